//! The positional layout of a type: what its encoded bytes are made of, in order.
//!
//! Two sides may exchange a value without names only if they agree on its layout, so each method's signature and each
//! argument slot is compared by [`Layout::fingerprint`] before anything is decoded. A layout is traced from the type's
//! own `Deserialize` (see `layout/trace.rs`), once per method, and shared from then on.
//!
//! A layout is a graph: a recursive type leads back to itself. Fingerprints are those of the infinite tree that the
//! graph stands for, so it does not matter where in the recursion a layout was entered.

use std::{fmt, sync::Arc, sync::OnceLock};

use serde::de::DeserializeOwned;

use crate::{descriptor::ServiceDescriptor, path::Step};

mod compose;
pub(crate) use compose::Over;
mod trace;
pub(crate) mod walk;

/// How deep a fingerprint looks into a recursive layout. Two layouts that differ only below that are taken as equal;
/// tracing stops at half that depth. Part of what a fingerprint is: both sides must use the same number.
const FINGERPRINT_ROUNDS: usize = 128;

/// Nodes that [`Layout`]'s `Display` writes before it gives up with `…`.
const DISPLAY_NODES_MAX: usize = 512;
/// So many nodes have their names compared.
const NAMED_NODES_MAX: usize = 4_096;

/// What a type's encoded bytes are made of. Cheap to clone.
///
/// Two layouts are equal when the same bytes mean the same in both: names of types, fields and variants do not matter,
/// except those of opaque types. A newtype struct equals what it wraps.
///
/// ```
/// use rpc_core::Layout;
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
    fingerprints: OnceLock<Box<[u64]>>,
}

/// One node of a layout, as [`Layout::node`] shows it. `L` is how it refers to its parts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Node<L = Layout> {
    /// A value without parts.
    Leaf(Leaf),
    /// A type that accepted none of the values it was tried with, so only its name is known.
    Opaque {
        /// The type's name, without its module path.
        name: String,
        /// What it reads, if it got that far.
        base: Option<Leaf>,
    },
    /// A type that bincode cannot carry.
    Unsupported {
        /// What the type asks the decoder for.
        reads: &'static str,
    },
    /// A struct around one unnamed value. Takes no bytes of its own.
    Newtype {
        /// The struct's name.
        name: &'static str,
        /// What it wraps.
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
pub struct Field<L = Layout> {
    /// The field's name; empty where fields have none.
    pub name: &'static str,
    /// What it holds.
    pub layout: L,
}

/// A variant of an enum.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant<L = Layout> {
    /// The variant's name.
    pub name: &'static str,
    /// Its fields; `None` if they could not be found out.
    pub fields: Option<Vec<Field<L>>>,
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

/// The service that an object reference is a client of. Equal when the names are.
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
    /// Written into fingerprints: never change one.
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
    /// The layout of `T`. Never fails: what cannot be found out is [`Node::Opaque`] under its type's name.
    ///
    /// Runs `T`'s `Deserialize` a bounded number of times on made-up values.
    pub fn of<T: DeserializeOwned>() -> Layout {
        Self::of_named::<T>(std::any::type_name::<T>())
    }

    /// The layout of `T`, which is called `written` should it be opaque as a whole.
    ///
    /// A module path in `written` is left out.
    pub fn of_named<T: DeserializeOwned>(written: &'static str) -> Layout {
        let (nodes, root) = trace::trace::<T>(written);
        Self::new(nodes, root)
    }

    fn new(nodes: Vec<Node<usize>>, root: usize) -> Self {
        Self { graph: Arc::new(Graph { nodes, fingerprints: OnceLock::new() }), root }
    }

    /// A number that equal layouts share, on every platform and in every build. Computed once.
    pub fn fingerprint(&self) -> u64 {
        self.graph.fingerprints.get_or_init(|| fingerprints(&self.graph.nodes))[self.root]
    }

    /// The outermost node, for tools that print or draw layouts. Following a recursive layout has no end.
    pub fn node(&self) -> Node {
        self.graph.nodes[self.root].map(|root| Layout { graph: Arc::clone(&self.graph), root: *root })
    }

    /// The layout of the part that a path selects, or `None` if the path does not fit.
    ///
    /// Takes the same steps as `select` does; `Variant` must be followed by `Field`.
    pub(crate) fn at(&self, steps: &[Step]) -> Option<Layout> {
        let mut root = self.root;
        let mut steps = steps.iter().copied();
        while let Some(step) = steps.next() {
            root = match (&self.graph.nodes[root], step) {
                (Node::Newtype { inner, .. }, Step::Field(0)) => *inner,
                (Node::Optional(inner), Step::Some) => *inner,
                (Node::Seq(element), Step::Index(_)) => *element,
                (Node::Array(element, len), Step::Field(ordinal)) if (ordinal as usize) < *len => *element,
                (Node::Product { fields, .. }, Step::Field(ordinal)) => fields.get(ordinal as usize)?.layout,
                (Node::Enum { variants, .. }, Step::Variant(index)) => {
                    let fields = variants.get(index as usize)?.fields.as_ref()?;
                    let Some(Step::Field(ordinal)) = steps.next() else { return None };
                    fields.get(ordinal as usize)?.layout
                }
                _ => return None,
            };
        }
        Some(Layout { graph: Arc::clone(&self.graph), root })
    }

    /// Like [`fingerprint`](Self::fingerprint), but the names of fields and variants count too, as far as the first
    /// thousands of nodes: tells two versions of a type apart that swapped parts of the same shape.
    pub(crate) fn named_fingerprint(&self) -> u64 {
        let mut hash = Fnv::new();
        hash.number(self.fingerprint());
        hash.bytes(Named(self).to_string().as_bytes());
        hash.0
    }

    /// Whether it is the standard library's `Result`, as serde sees it.
    pub(crate) fn is_result(&self) -> bool {
        match &self.graph.nodes[self.root] {
            Node::Enum { name, variants } => {
                *name == "Result" && variants.iter().map(|variant| variant.name).eq(["Ok", "Err"])
            }
            _ => false,
        }
    }

    /// The services whose objects occur in it.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        // The graph has parts of the outermost type only; nearly always the layout is all of it.
        self.graph.nodes.iter().filter_map(|node| match node {
            Node::Leaf(Leaf::Object(service)) => Some(service.0),
            _ => None,
        })
    }

    /// Whether a value of it can name objects or streams.
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
            open.extend(node.parts().into_iter().map(|(part, _)| part));
        }
        false
    }

    /// The service of the object that this is a reference to.
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

    /// What in this layout bincode cannot carry, and where: one sentence each, none if all is well.
    ///
    /// Such a type can be encoded all the same; only the receiver fails.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen = vec![false; self.graph.nodes.len()];
        let mut open = vec![(self.root, String::new())];
        while let Some((root, place)) = open.pop() {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let node = &self.graph.nodes[root];
            if let Node::Unsupported { reads } = node {
                let place = if place.is_empty() { "the value" } else { &place };
                problems.push(format!("{place} reads {reads}, which bincode cannot carry"));
            }
            let mut parts = node.parts();
            parts.reverse();
            open.extend(parts.into_iter().map(|(part, name)| (part, place.clone() + &name)));
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
    fn map<M>(&self, mut to: impl FnMut(&L) -> M) -> Node<M> {
        fn fields<L, M>(fields: &[Field<L>], to: &mut impl FnMut(&L) -> M) -> Vec<Field<M>> {
            fields.iter().map(|field| Field { name: field.name, layout: to(&field.layout) }).collect()
        }
        match self {
            Node::Leaf(leaf) => Node::Leaf(*leaf),
            Node::Opaque { name, base } => Node::Opaque { name: name.clone(), base: *base },
            Node::Unsupported { reads } => Node::Unsupported { reads },
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
    /// The nodes right below, each with what leads to it, written as in Rust.
    fn parts(&self) -> Vec<(usize, String)> {
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
            Node::Leaf(_) | Node::Opaque { .. } | Node::Unsupported { .. } => Vec::new(),
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

/// The fingerprint of every node: colour refinement, one level deeper each round.
///
/// After n rounds a node's number stands for the tree below it, cut at depth n. That tree is the same wherever a
/// recursion was entered, and it stops changing on its own when nothing is recursive.
fn fingerprints(nodes: &[Node<usize>]) -> Box<[u64]> {
    let meant: Vec<usize> = (0..nodes.len()).map(|index| below_newtypes(nodes, index)).collect();
    let mut current = vec![0; nodes.len()];
    for _ in 0..FINGERPRINT_ROUNDS {
        let next: Vec<u64> =
            meant.iter().map(|index| node_hash(&nodes[*index], |part| current[part])).collect();
        if next == current {
            break;
        }
        current = next;
    }
    current.into_boxed_slice()
}

fn below_newtypes(nodes: &[Node<usize>], start: usize) -> usize {
    let mut index = start;
    for _ in 0..nodes.len() {
        let Node::Newtype { inner, .. } = &nodes[index] else { return index };
        index = *inner;
    }
    start
}

/// Hashes one node from its parts' hashes. The tags are part of what a fingerprint is: never change one.
fn node_hash(node: &Node<usize>, part: impl Fn(usize) -> u64) -> u64 {
    let mut hash = Fnv::new();
    match node {
        Node::Leaf(Leaf::Unit) => hash.runs(std::iter::empty()),
        Node::Leaf(Leaf::Object(service)) => hash.text(10, service.0.name),
        Node::Leaf(leaf) => hash.text(1, leaf.name()),
        Node::Opaque { name, base } => {
            hash.text(2, name);
            hash.text(2, base.map_or("", Leaf::name));
        }
        Node::Unsupported { .. } => hash.number(3),
        // Only a newtype that contains nothing but itself gets here; it has no values.
        Node::Newtype { .. } => hash.number(4),
        Node::Optional(inner) => hash.numbers([5, part(*inner)]),
        Node::Seq(element) => hash.numbers([6, part(*element)]),
        Node::Map(key, value) => hash.numbers([7, part(*key), part(*value)]),
        Node::Array(element, len) => hash.runs([(part(*element), *len as u64)].into_iter()),
        Node::Stream(item, error) => hash.numbers([12, part(*item), part(*error)]),
        Node::Product { fields, .. } => hash.runs(fields.iter().map(|field| (part(field.layout), 1))),
        Node::Enum { variants, .. } => {
            hash.numbers([8, variants.len() as u64]);
            for variant in variants {
                match &variant.fields {
                    Some(fields) => hash.runs(fields.iter().map(|field| (part(field.layout), 1))),
                    None => hash.text(9, variant.name),
                }
            }
        }
    }
    hash.0
}

/// FNV-1a. Chosen because it never changes, unlike the standard library's hashers.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            self.number(number);
        }
    }

    fn text(&mut self, tag: u64, text: &str) {
        self.numbers([tag, text.len() as u64]);
        self.bytes(text.as_bytes());
    }

    /// Fields in a row: equal neighbours are counted, so that an array is the tuple of its elements.
    fn runs(&mut self, parts: impl Iterator<Item = (u64, u64)>) {
        let mut run = (0, 0);
        self.number(10);
        for (part, count) in parts {
            if run.0 != part && run.1 > 0 {
                self.numbers([run.0, run.1]);
                run.1 = 0;
            }
            run = (part, run.1 + count);
        }
        if run.1 > 0 {
            self.numbers([run.0, run.1]);
        }
        self.number(11);
    }
}

/// Compact and readable: `{id: u64, boss: option<u64>}`, `enum{Circle{r: f64}, Unit}`, `seq<..>`. A recursive type is
/// written with its name, and `^Name` where it comes back.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Writer { nodes: &self.graph.nodes, above: Vec::new(), left: DISPLAY_NODES_MAX }.node(f, self.root)
    }
}

/// A layout written down as far as its names are compared.
struct Named<'a>(&'a Layout);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Writer { nodes: &self.0.graph.nodes, above: Vec::new(), left: NAMED_NODES_MAX }.node(f, self.0.root)
    }
}

/// The fingerprint of a name alone.
pub(crate) fn fingerprint_of_name(name: &str) -> u64 {
    let mut hash = Fnv::new();
    hash.bytes(name.as_bytes());
    hash.0
}

/// Whether a node leads back to itself.
fn is_recursive(nodes: &[Node<usize>], start: usize) -> bool {
    let mut seen = vec![false; nodes.len()];
    let mut open = vec![start];
    while let Some(index) = open.pop() {
        for (part, _) in nodes[index].parts() {
            if part == start {
                return true;
            }
            if !std::mem::replace(&mut seen[part], true) {
                open.push(part);
            }
        }
    }
    false
}

struct Writer<'a> {
    nodes: &'a [Node<usize>],
    /// The nodes around the one being written, each with its name if it is a recursive type that has one.
    above: Vec<(usize, &'a str)>,
    left: usize,
}

impl Writer<'_> {
    fn node(&mut self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let Some(left) = self.left.checked_sub(1) else { return f.write_str("…") };
        self.left = left;
        let node = &self.nodes[index];
        let label = match node {
            Node::Newtype { name, .. } | Node::Product { name, .. } | Node::Enum { name, .. } => *name,
            _ => "",
        };
        // Where several types make up the circle, one with a name ends it.
        if let Some(start) = self.above.iter().position(|(above, _)| *above == index)
            && (!label.is_empty() || self.above[start..].iter().all(|(_, name)| name.is_empty()))
        {
            return write!(f, "^{label}");
        }
        let label = if !label.is_empty() && is_recursive(self.nodes, index) { label } else { "" };
        self.above.push((index, label));
        match node {
            Node::Leaf(leaf) => f.write_str(leaf.name())?,
            Node::Opaque { name, base: None } => write!(f, "opaque<{name}>")?,
            Node::Opaque { name, base: Some(base) } => write!(f, "opaque<{name}: {}>", base.name())?,
            Node::Unsupported { .. } => f.write_str("unsupported")?,
            Node::Newtype { inner, .. } if label.is_empty() => self.node(f, *inner)?,
            Node::Newtype { inner, .. } => self.list(f, label, ["(", ")"], &[("", *inner)])?,
            Node::Optional(inner) => self.list(f, "option", ["<", ">"], &[("", *inner)])?,
            Node::Seq(element) => self.list(f, "seq", ["<", ">"], &[("", *element)])?,
            Node::Map(key, value) => self.list(f, "map", ["<", ">"], &[("", *key), ("", *value)])?,
            Node::Array(element, len) => {
                f.write_str("[")?;
                self.node(f, *element)?;
                write!(f, "; {len}]")?;
            }
            Node::Stream(item, error) if matches!(&self.nodes[*error], Node::Leaf(Leaf::Unit)) => {
                self.list(f, "stream", ["<", ">"], &[("", *item)])?;
            }
            Node::Stream(item, error) => {
                self.list(f, "stream", ["<", ">"], &[("", *item), ("", *error)])?;
            }
            Node::Product { fields, .. } => self.fields(f, label, fields)?,
            Node::Enum { variants, .. } => {
                f.write_str(if label.is_empty() { "enum" } else { "enum " })?;
                write!(f, "{label}{{")?;
                for (index, variant) in variants.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    match variant.fields.as_deref() {
                        None => write!(f, "{}(?)", variant.name)?,
                        Some([]) => f.write_str(variant.name)?,
                        Some(fields) => self.fields(f, variant.name, fields)?,
                    }
                }
                f.write_str("}")?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn fields(&mut self, f: &mut fmt::Formatter<'_>, label: &str, fields: &[Field<usize>]) -> fmt::Result {
        let named = fields.iter().any(|field| !field.name.is_empty());
        let brackets = if named { ["{", "}"] } else { ["(", ")"] };
        let parts: Vec<_> = fields.iter().map(|field| (field.name, field.layout)).collect();
        self.list(f, label, brackets, &parts)
    }

    fn list(
        &mut self,
        f: &mut fmt::Formatter<'_>,
        label: &str,
        [open, close]: [&str; 2],
        parts: &[(&str, usize)],
    ) -> fmt::Result {
        write!(f, "{label}{open}")?;
        for (index, (name, part)) in parts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            if !name.is_empty() {
                write!(f, "{name}: ")?;
            }
            self.node(f, *part)?;
        }
        f.write_str(close)
    }
}

#[cfg(test)]
mod tests; // layout/tests.rs: editing tests does not rebuild the library
