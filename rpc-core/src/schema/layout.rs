//! Layouts: the parts that the encoded bytes of a type consist of, in order.
//!
//! Two sides may exchange a value without names only if they agree on its layout. So each method's signature and each argument
//! slot is compared by [`Layout::fingerprint`] before anything is decoded. A layout is traced from the type's own
//! `Deserialize` (see `layout/trace.rs`), once for each method, and then shared.
//!
//! A layout is a graph: a recursive type leads back to itself. Fingerprints are those of the infinite tree that the graph
//! represents, so the point where a layout enters the recursion does not matter.

use std::{
    any::TypeId,
    fmt::{self, Write},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use rustc_hash::FxHashMap;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    path::{PATH_STEPS_MAX, Path, Step},
    schema::{descriptor::ServiceDescriptor, layout::fingerprint::Fingerprints},
};

pub(crate) use crate::schema::layout::compose::Over;

pub(crate) use crate::schema::layout::fingerprint::fingerprint_of_name;

pub(crate) use crate::schema::layout::written::offer;

mod compose;
pub(crate) mod declared;
mod fingerprint;
mod text;
mod trace;
mod written;

/// The layout of a type: the parts that its encoded bytes consist of. Cheap to clone.
///
/// Two layouts are equal if the same bytes mean the same in both: their parts are of the same kinds, and fields and variants
/// have the same names. Names count because two versions of a type that swapped fields of one kind have the same bytes. Names
/// of types do not count, except those of opaque types. A newtype struct equals the type it wraps, and an array equals the
/// tuple of its elements. A layout with a part that tracing did not reach equals only its own clones.
///
/// ```
/// use rpc_core::schema::Layout;
///
/// let layout = Layout::of::<(u64, Option<String>)>();
/// assert_eq!(layout.to_string(), "(u64, option<string>)");
/// ```
#[derive(Clone)]
pub struct Layout {
    graph: Arc<Graph>,
    root: usize,
}

struct Graph {
    nodes: Vec<Node<usize>>,
    /// The Rust types of the first nodes, if they were traced.
    types: Vec<Option<RustType>>,
    /// The Rust types of the parts of nodes, as asked for in tracing, by the node and the part's place among its parts.
    asked: FxHashMap<(usize, usize), RustType>,
    /// The outermost Rust type, if it is known.
    whole: Option<RustType>,
    fingerprints: Fingerprints,
    /// The differences between how values of the outermost type are written and how they are read.
    differences: Vec<String>,
    /// Whether values of all parts could be made up, to be written and compared.
    is_written: bool,
    outermost: usize,
    /// Whether the layout was composed from others, for one session. A traced layout is shared by all sessions.
    is_composed: bool,
}

/// A Rust type, as the running program knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RustType {
    /// The type's identity in this program.
    pub id: TypeId,
    /// The type's name with its path. For display only: two types can share a name.
    pub name: &'static str,
}

impl RustType {
    pub(crate) fn of<T: ?Sized>() -> Self {
        Self { id: typeid::of::<T>(), name: std::any::type_name::<T>() }
    }
}

/// One node of a layout, as [`Layout::node`] returns it. `L` is the type of references to its parts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Node<L = Layout> {
    /// A value without parts.
    Leaf(Leaf),
    /// A type that accepted none of the made-up values, so that only its name is known.
    Opaque {
        /// The type's name, without its module path.
        name: String,
        /// The leaf that the type reads, if it got that far.
        base: Option<Leaf>,
    },
    /// A type that bincode cannot carry.
    Unsupported {
        /// The value that the type asks the decoder for, in words.
        reads: &'static str,
    },
    /// A type without finite values, or a part behind one: it has no bytes.
    Uninhabited,
    /// A part that tracing did not reach: its layout is not known.
    Unreached(Unreached),
    /// A struct around one unnamed value. Takes no bytes of its own.
    Newtype {
        /// The struct's name.
        name: &'static str,
        /// The wrapped value.
        inner: L,
    },
    /// A value that may be absent.
    Optional(L),
    /// Any number of elements.
    Seq(L),
    /// Any number of keys and values.
    Map(L, L),
    /// A fixed number of elements of one type.
    Array(L, usize),
    /// A tuple (without a name), tuple struct or struct.
    Product {
        /// The struct's name; empty for a tuple.
        name: &'static str,
        /// The fields in their order.
        fields: Vec<Field<L>>,
    },
    /// A stream: its items, and the error that may end it.
    Stream(L, L),
    /// One of several variants.
    Enum {
        /// The enum's name.
        name: &'static str,
        /// The variants in their order.
        variants: Vec<Variant<L>>,
    },
}

/// A field of a tuple, struct or variant.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Field<L = Layout> {
    /// The field's name; empty where fields have none.
    pub name: &'static str,
    /// The field's layout.
    pub layout: L,
}

/// A variant of an enum.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Variant<L = Layout> {
    /// The variant's name.
    pub name: &'static str,
    /// The variant's fields; `None` if the type reads no variant of this number.
    pub fields: Option<Vec<Field<L>>>,
}

/// A part of a type that tracing did not reach. Equals only its own clones.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreached {
    /// The type's name, or its place in the type around it.
    pub place: String,
    /// Why the part was not reached, and what to do about it.
    pub why: String,
    number: u64,
}

impl Unreached {
    fn new(place: String, why: String) -> Self {
        // A random number, so that no other layout in any process has the same fingerprint.
        Self { place, why, number: RandomState::new().hash_one(0) }
    }
}

/// A value without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the Rust types")]
pub enum Leaf {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Text,
    Bytes,
    Unit,
    /// A reference to an object of a service.
    Object(ObjectService),
}

/// The service that an object reference is a client of. Services are equal if their names are.
#[derive(Clone, Copy)]
pub struct ObjectService(pub &'static ServiceDescriptor);

impl PartialEq for ObjectService {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ObjectService {}

impl std::hash::Hash for ObjectService {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for ObjectService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Leaf {
    /// The leaf's name, which goes into fingerprints: never change one.
    fn name(self) -> &'static str {
        match self {
            Leaf::Bool => "bool",
            Leaf::I8 => "i8",
            Leaf::I16 => "i16",
            Leaf::I32 => "i32",
            Leaf::I64 => "i64",
            Leaf::I128 => "i128",
            Leaf::U8 => "u8",
            Leaf::U16 => "u16",
            Leaf::U32 => "u32",
            Leaf::U64 => "u64",
            Leaf::U128 => "u128",
            Leaf::F32 => "f32",
            Leaf::F64 => "f64",
            Leaf::Char => "char",
            Leaf::Text => "string",
            Leaf::Bytes => "bytes",
            Leaf::Unit => "()",
            Leaf::Object(service) => service.0.name,
        }
    }
}

impl Layout {
    /// Whether the number of values in a value is fixed by its type: it has no sequences, maps or arrays, and is not recursive.
    pub(crate) fn is_of_few_values(&self) -> bool {
        let is_one = |node: &Node<usize>| {
            !matches!(node, Node::Seq(_) | Node::Map(..) | Node::Array(..) | Node::Unreached(_))
        };
        // Nodes are marked as done once all their parts are. Recursive nodes are never marked.
        let nodes = &self.graph.nodes;
        let mut is_done = vec![false; nodes.len()];
        loop {
            let before = is_done.iter().filter(|done| **done).count();
            for (index, node) in nodes.iter().enumerate() {
                is_done[index] |= is_one(node) && node.parts().into_iter().all(|part| is_done[*part]);
            }
            if is_done.iter().filter(|done| **done).count() == before {
                return is_done[self.root];
            }
        }
    }

    /// The layout of `T`. Never fails: a part whose layout cannot be found out becomes [`Node::Opaque`], with its type's name.
    ///
    /// Runs `T`'s `Deserialize` a bounded number of times on made-up values.
    pub fn of<T: DeserializeOwned>() -> Layout {
        Self::of_named::<T>(std::any::type_name::<T>())
    }

    /// The layout of `T`. If `T` is opaque as a whole, its name is `written`.
    ///
    /// A module path in `written` is left out.
    pub fn of_named<T: DeserializeOwned>(written: &'static str) -> Layout {
        Self::from(trace::trace::<T>(written))
    }

    /// The layout of a type that is both written and read. If its values are written differently than they are read, the layout
    /// has [`problems`](Self::problems).
    ///
    /// Runs `T`'s `Deserialize` and `Serialize`, on made-up values.
    pub fn of_exchanged<T: Serialize + DeserializeOwned>(written: &'static str) -> Layout {
        Self::from(trace::trace_exchanged::<T>(written))
    }

    /// The layout of `T` in human-readable formats, like JSON. Some types have another one there: a UUID is a text.
    pub fn of_text<T: DeserializeOwned>() -> Layout {
        Self::from(trace::trace_text::<T>())
    }

    fn from(traced: trace::Traced) -> Self {
        let trace::Traced { nodes, root, types, asked, whole, differences, is_written } = traced;
        let fingerprints = Fingerprints::default();
        let graph = Graph {
            nodes,
            types,
            asked,
            whole,
            fingerprints,
            differences,
            is_written,
            outermost: root,
            is_composed: false,
        };
        Self { graph: Arc::new(graph), root }
    }

    /// A number that equal layouts share, on every platform and in every build. Computed once.
    pub fn fingerprint(&self) -> u64 {
        self.graph.fingerprints.of(&self.graph.nodes, self.root)
    }

    /// The outermost node, for tools that print or draw layouts. A recursive layout never ends: use [`nodes`](Self::nodes) for it.
    pub fn node(&self) -> Node {
        self.graph.nodes[self.root].map(|root| Layout { graph: Arc::clone(&self.graph), root: *root })
    }

    /// All nodes and the index of the outermost one. Nodes refer to each other by index. For tools, which must handle recursive
    /// types.
    pub fn nodes(&self) -> (&[Node<usize>], usize) {
        (&self.graph.nodes, self.root)
    }

    /// The Rust type from which a node of [`nodes`](Self::nodes) was traced, if it is known.
    pub fn rust_type(&self, node: usize) -> Option<RustType> {
        self.graph.types.get(node).copied().flatten()
    }

    /// The Rust type of a part of a node of [`nodes`](Self::nodes), as its owner names it; `place` is the part's place among all
    /// parts of the node. It may differ from [`rust_type`](Self::rust_type), since a type may read itself as another. `None` if
    /// the owner names no type, as in an `Option` or a newtype.
    pub fn part_type(&self, node: usize, place: usize) -> Option<RustType> {
        self.graph.asked.get(&(node, place)).copied()
    }

    /// The Rust type that this is the layout of, if the layout was traced.
    pub fn whole_type(&self) -> Option<RustType> {
        self.graph.whole.filter(|_| self.root == self.graph.outermost)
    }

    /// The layout of the part that a path selects, or `None` if the path does not fit.
    ///
    /// Takes the same steps as `select` does; `Variant` must be followed by `Field`.
    pub(crate) fn at(&self, steps: &[Step]) -> Option<Layout> {
        let root = self.follow(steps, |_| ())?;
        Some(Layout { graph: Arc::clone(&self.graph), root })
    }

    /// A path in the words of the type: `.boss`, `.friends[7]`, `::Member.name`. In numbers if it does not fit.
    pub(crate) fn words_of(&self, path: &Path) -> String {
        let mut words = String::new();
        let fits = self.follow(path.steps(), |word| {
            // A `String` takes all that is written.
            let _ = words.write_fmt(word);
        });
        match fits {
            Some(_) if !words.is_empty() => words,
            Some(_) | None => path.to_string(),
        }
    }

    /// The node at the end of a path, or `None` if the path does not fit. `say` is told each step in words.
    #[inline]
    fn follow(&self, steps: &[Step], mut say: impl FnMut(fmt::Arguments<'_>)) -> Option<usize> {
        let mut root = self.root;
        let mut steps = steps.iter().copied();
        while let Some(step) = steps.next() {
            root = match (&self.graph.nodes[root], step) {
                (Node::Newtype { inner, .. }, Step::Field(0)) => *inner,
                (Node::Optional(inner), Step::Some) => *inner,
                (Node::Seq(element), Step::Index(index)) => {
                    say(format_args!("[{index}]"));
                    *element
                }
                (Node::Array(element, len), Step::Field(ordinal)) if (ordinal as usize) < *len => {
                    say(format_args!("[{ordinal}]"));
                    *element
                }
                (Node::Product { fields, .. }, Step::Field(ordinal)) => field_at(fields, ordinal, &mut say)?,
                (Node::Enum { variants, .. }, Step::Variant(index)) => {
                    let variant = variants.get(index as usize)?;
                    let Some(Step::Field(ordinal)) = steps.next() else { return None };
                    say(format_args!("::{}", variant.name));
                    field_at(variant.fields.as_ref()?, ordinal, &mut say)?
                }
                _ => return None,
            };
        }
        Some(root)
    }

    /// Whether this is the layout of the standard library's `Result`.
    pub(crate) fn is_result(&self) -> bool {
        match &self.graph.nodes[self.root] {
            Node::Enum { name, variants } => {
                *name == "Result" && variants.iter().map(|variant| variant.name).eq(["Ok", "Err"])
            }
            _ => false,
        }
    }

    /// The services of the objects in this layout.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        // The graph has parts of the outermost type only; nearly always the layout is all of it.
        self.graph.nodes.iter().filter_map(|node| match node {
            Node::Leaf(Leaf::Object(service)) => Some(service.0),
            _ => None,
        })
    }

    /// Whether a value of this layout can name objects or streams.
    pub(crate) fn has_objects(&self) -> bool {
        let mut seen = vec![false; self.graph.nodes.len()];
        let mut open = vec![self.root];
        while let Some(root) = open.pop() {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let node = &self.graph.nodes[root];
            if matches!(node, Node::Leaf(Leaf::Object(_)) | Node::Stream(..)) {
                return true;
            }
            open.extend(node.parts());
        }
        false
    }

    /// The place of the one object in values of this layout; `None` if they may have several, or name streams.
    pub(crate) fn only_object(&self) -> Option<Path> {
        let mut steps = Vec::new();
        let mut at = Self { graph: Arc::clone(&self.graph), root: self.root };
        while steps.len() < PATH_STEPS_MAX {
            let step = match &self.graph.nodes[at.root] {
                Node::Leaf(Leaf::Object(_)) => return Some(Path(steps)),
                Node::Newtype { .. } => Step::Field(0),
                Node::Optional(_) => Step::Some,
                Node::Product { fields, .. } => {
                    let has_objects = |root| Self { graph: Arc::clone(&self.graph), root }.has_objects();
                    let mut places = (0_u32..).zip(fields).filter(|(_, field)| has_objects(field.layout));
                    let (Some((place, _)), None) = (places.next(), places.next()) else { return None };
                    Step::Field(place)
                }
                _ => return None,
            };
            at = at.at(&[step])?;
            steps.push(step);
        }
        None
    }

    /// The object's service, if this is the layout of an object reference.
    pub(crate) fn object(&self) -> Option<&'static ServiceDescriptor> {
        let mut root = self.root;
        for _ in 0..self.graph.nodes.len() {
            match &self.graph.nodes[root] {
                Node::Leaf(Leaf::Object(service)) => return Some(service.0),
                Node::Newtype { inner, .. } => root = *inner,
                _ => return None,
            }
        }
        None
    }

    /// The reasons why values of this type cannot be sent, each with its place in the type, one sentence each; empty if they can.
    ///
    /// A part of the type cannot be carried by bincode, was not reached by tracing, or (if the layout was made by
    /// [`of_exchanged`](Self::of_exchanged)) is written differently than it is read. Such a type can still be encoded, but the
    /// receiver fails to decode it, or takes one value for another.
    pub fn problems(&self) -> Vec<String> {
        let is_whole = self.root == self.graph.outermost;
        let mut problems = if is_whole { self.graph.differences.clone() } else { Vec::new() };
        let mut unreached = Vec::new();
        let mut seen = vec![false; self.graph.nodes.len()];
        let mut open = vec![(self.root, String::new())];
        while let Some((root, place)) = open.pop() {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let node = &self.graph.nodes[root];
            let here = if place.is_empty() { "the value" } else { &place };
            match node {
                Node::Unsupported { reads } => {
                    problems.push(format!("{here} reads {reads}, which bincode cannot carry"));
                }
                Node::Unreached(part) => {
                    unreached.push(format!("{here} could not be looked at: {}", part.why));
                }
                _ => {}
            }
            let mut parts = node.named_parts();
            parts.reverse();
            open.extend(parts.into_iter().map(|(part, name)| (part, place.clone() + &name)));
        }
        // Parts behind one that bincode cannot carry are unreached because of it; they are no problems of their own.
        if problems.is_empty() {
            problems = unreached;
        }
        problems
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl Eq for Layout {}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({self})")
    }
}

impl<L> Node<L> {
    /// The direct parts, in order; for an enum, the fields of all its variants.
    pub fn parts(&self) -> Vec<&L> {
        match self {
            Node::Leaf(_)
            | Node::Opaque { .. }
            | Node::Unsupported { .. }
            | Node::Uninhabited
            | Node::Unreached(_) => Vec::new(),
            Node::Newtype { inner, .. } | Node::Optional(inner) => vec![inner],
            Node::Seq(element) | Node::Array(element, _) => vec![element],
            Node::Map(one, other) | Node::Stream(one, other) => vec![one, other],
            Node::Product { fields, .. } => fields.iter().map(|field| &field.layout).collect(),
            Node::Enum { variants, .. } => {
                let fields = variants.iter().flat_map(|variant| variant.fields.iter().flatten());
                fields.map(|field| &field.layout).collect()
            }
        }
    }

    fn map<M>(&self, mut to: impl FnMut(&L) -> M) -> Node<M> {
        fn fields<L, M>(fields: &[Field<L>], to: &mut impl FnMut(&L) -> M) -> Vec<Field<M>> {
            fields.iter().map(|field| Field { name: field.name, layout: to(&field.layout) }).collect()
        }
        match self {
            Node::Leaf(leaf) => Node::Leaf(*leaf),
            Node::Opaque { name, base } => Node::Opaque { name: name.clone(), base: *base },
            Node::Unsupported { reads } => Node::Unsupported { reads },
            Node::Uninhabited => Node::Uninhabited,
            Node::Unreached(unreached) => Node::Unreached(unreached.clone()),
            Node::Newtype { name, inner } => Node::Newtype { name, inner: to(inner) },
            Node::Optional(inner) => Node::Optional(to(inner)),
            Node::Seq(element) => Node::Seq(to(element)),
            Node::Map(key, value) => Node::Map(to(key), to(value)),
            Node::Array(element, len) => Node::Array(to(element), *len),
            Node::Stream(item, error) => Node::Stream(to(item), to(error)),
            Node::Product { name, fields: parts } => Node::Product { name, fields: fields(parts, &mut to) },
            Node::Enum { name, variants } => Node::Enum {
                name,
                variants: variants
                    .iter()
                    .map(|variant| Variant {
                        name: variant.name,
                        fields: variant.fields.as_ref().map(|parts| fields(parts, &mut to)),
                    })
                    .collect(),
            },
        }
    }
}

impl Node<usize> {
    /// The kind of node, in a word or two.
    fn what(&self) -> String {
        match self {
            Node::Leaf(leaf) => leaf.name().into(),
            Node::Opaque { name, .. } => format!("`{name}`"),
            Node::Unsupported { .. } => "a value of any type".into(),
            Node::Uninhabited => "a type without values".into(),
            Node::Unreached(unreached) => format!("`{}`", unreached.place),
            Node::Newtype { name, .. } => format!("`{name}`"),
            Node::Optional(_) => "an option".into(),
            Node::Seq(_) => "a sequence".into(),
            Node::Map(..) => "a map".into(),
            Node::Array(_, len) => format!("an array of {len}"),
            Node::Product { fields, .. } => format!("a tuple or struct of {}", fields.len()),
            Node::Stream(..) => "a stream".into(),
            Node::Enum { .. } => "an enum".into(),
        }
    }

    /// The nodes of the direct parts, each with the path to it, written as in Rust.
    fn named_parts(&self) -> Vec<(usize, String)> {
        fn named(fields: &[Field<usize>], prefix: &str) -> Vec<(usize, String)> {
            fields
                .iter()
                .enumerate()
                .map(|(ordinal, field)| match field.name {
                    "" => (field.layout, format!("{prefix}.{ordinal}")),
                    name => (field.layout, format!("{prefix}.{name}")),
                })
                .collect()
        }
        match self {
            Node::Leaf(_)
            | Node::Opaque { .. }
            | Node::Unsupported { .. }
            | Node::Uninhabited
            | Node::Unreached(_) => Vec::new(),
            Node::Newtype { inner, .. } => vec![(*inner, ".0".to_owned())],
            Node::Optional(inner) => vec![(*inner, "?".to_owned())],
            Node::Seq(element) | Node::Array(element, _) => vec![(*element, "[..]".to_owned())],
            Node::Map(key, value) => vec![(*key, ".keys".to_owned()), (*value, ".values".to_owned())],
            Node::Stream(item, error) => vec![(*item, ".items".to_owned()), (*error, ".error".to_owned())],
            Node::Product { fields, .. } => named(fields, ""),
            Node::Enum { variants, .. } => variants
                .iter()
                .flat_map(|variant| {
                    named(variant.fields.as_deref().unwrap_or_default(), &format!("::{}", variant.name))
                })
                .collect(),
        }
    }
}

/// Whether a name matches the name that was read. If tracing found several possible names (`a|b`), each of them matches.
fn is_among(name: &str, read: &str) -> bool {
    name == read || read.split('|').any(|read| read == name)
}

fn field_at(
    fields: &[Field<usize>],
    ordinal: u32,
    say: &mut impl FnMut(fmt::Arguments<'_>),
) -> Option<usize> {
    let field = fields.get(ordinal as usize)?;
    match field.name {
        "" => say(format_args!(".{ordinal}")),
        name => say(format_args!(".{name}")),
    }
    Some(field.layout)
}

pub(crate) fn below_newtypes(nodes: &[Node<usize>], start: usize) -> usize {
    let mut index = start;
    for _ in 0..nodes.len() {
        let Node::Newtype { inner, .. } = &nodes[index] else { return index };
        index = *inner;
    }
    start
}

#[cfg(test)]
mod tests; // layout/tests.rs: editing tests does not rebuild the library
