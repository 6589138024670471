//! Declarations of types, from `#[data]` and from the types written in a trait: a second witness beside tracing, which sees the
//! attributes that tracing cannot.
//!
//! `#[derive(Pipeline)]` implements [`Declared`]. Generated code asks every type that a method names, and every type named
//! in those, for its declaration ([`Witness`]). A declaration and the traced layout must agree. A type behind an alias, or
//! behind a type parameter that nobody names, is not asked.
//!
//! Declarations also name the elements of tuples. Tracing does not get behind an element for which no value can be made up, so
//! the elements behind it are traced by themselves.

use std::{
    any::{TypeId, type_name},
    marker::PhantomData,
};

use rustc_hash::FxHashMap;
use serde::{Serialize, de::DeserializeOwned};

use super::{Field, Layout, Node, RustType, Variant, is_among, trace::Traced};

/// The declaration of a struct or enum: only the parts that are sent, in their order on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// The type's name in Rust.
    pub name: &'static str,
    /// The doc comments of the type and its parts, by their numbers. Parts after the end of the list have no doc comment.
    ///
    /// The type is number 0. Its fields follow in their order; for an enum, each variant followed by its fields.
    pub docs: &'static [&'static str],
    /// Remarks about the type or its parts, by their numbers.
    pub remarks: &'static [(usize, Remark)],
    /// The parts of the type.
    pub parts: DeclaredParts,
}

/// Something unusual about a type, a field or a variant.
#[derive(Debug, Clone, Copy)]
pub enum Remark {
    /// `#[deprecated]` with its note; empty when it has none.
    Deprecated(&'static str),
    /// The name in Rust, if serde has another. For an unnamed field, its number in Rust, if fields before it are skipped.
    RustName(&'static str),
    /// The text of a variant's `#[error("…")]`.
    Message(&'static str),
    /// The field's bytes differ from those of its type (`#[serde(with)]`): promises of the field have no parts.
    Opaque,
    /// The field's type as written, if it is spelled differently than the type with its layout: `Box<User>`.
    Spelled(&'static str),
    /// The variant has named fields, none of which is sent. Formats that write names write it with `{}`, not as a bare name.
    Braces,
    /// The struct or variant has unnamed fields, none or several, at most one of which is sent. It is still written as a list.
    Parentheses,
}

/// Documentation of a type, a field or a variant, for people.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct About {
    /// The doc comment.
    pub docs: &'static str,
    /// The note of `#[deprecated]`, which may be empty; `None` without the attribute.
    pub deprecated: Option<&'static str>,
    /// The name in Rust, if serde has another.
    pub rust_name: Option<&'static str>,
    /// The text of a variant's `#[error("…")]`.
    pub message: Option<&'static str>,
    /// Whether the field's bytes differ from those of its type.
    pub is_opaque: bool,
    /// The field's type as written, if it is spelled differently than the type with its layout.
    pub spelled: Option<&'static str>,
    /// Whether the variant has named fields, none of which is sent.
    pub has_braces: bool,
    /// Whether the struct or variant has unnamed fields, none or several, at most one of which is sent.
    pub has_parentheses: bool,
}

impl Declaration {
    /// The documentation of the type (number 0) or of a part of it.
    pub fn about(&self, part: usize) -> About {
        let mut about = About { docs: self.docs.get(part).copied().unwrap_or_default(), ..About::default() };
        for (_, remark) in self.remarks.iter().filter(|(number, _)| *number == part) {
            match remark {
                Remark::Deprecated(note) => about.deprecated = Some(note),
                Remark::RustName(name) => about.rust_name = Some(name),
                Remark::Message(message) => about.message = Some(message),
                Remark::Opaque => about.is_opaque = true,
                Remark::Spelled(ty) => about.spelled = Some(ty),
                Remark::Braces => about.has_braces = true,
                Remark::Parentheses => about.has_parentheses = true,
            }
        }
        about
    }
}

/// The parts of a declared type.
#[derive(Debug, Clone, Copy)]
pub enum DeclaredParts {
    /// The fields of a struct.
    Fields(&'static [DeclaredField]),
    /// The variants of an enum.
    Variants(&'static [DeclaredVariant]),
    /// The parts of another type, as whose bytes the type is sent (`#[serde(transparent)]` and its like).
    Another,
}

/// A declared field.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredField {
    /// The name that serde reads; empty where fields have none.
    pub name: &'static str,
    /// Other names that it is read by where names are.
    pub aliases: &'static [&'static str],
    /// Whether the field has `#[serde(default)]`, which matters in formats that have names.
    pub has_default: bool,
}

/// A declared variant.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredVariant {
    /// The name that serde reads.
    pub name: &'static str,
    /// Other names that it is read by where names are.
    pub aliases: &'static [&'static str],
    /// The number that the variant is written with, and that promises of its fields use.
    pub index: u32,
    /// Whether every unknown number is read as this variant (`#[serde(other)]`).
    pub is_other: bool,
    /// The variant's fields; `None` if its content has an encoding of its own.
    pub fields: Option<&'static [DeclaredField]>,
}

/// A type with a declaration.
pub trait Declared {
    /// Adds the type's declaration and those of the types named in it.
    fn declare(found: &mut Declarations);
}

/// A type that can be sent, and so can be traced by itself.
#[derive(Debug, Clone, Copy)]
pub struct Element {
    ty: TypeId,
    name: &'static str,
    trace: fn() -> Layout,
}

/// Declarations of types, and the types that can be traced by themselves.
#[derive(Debug, Default)]
pub struct Declarations {
    // Lists, and no maps: they are short, and each map has its own code.
    declared: Vec<(TypeId, Declaration)>,
    /// The elements of tuples and tuple structs; `None` for elements that cannot be sent.
    rows: Vec<(TypeId, Vec<Option<Element>>)>,
    /// All named types that can be sent.
    elements: Vec<Element>,
}

impl Declarations {
    /// Adds a declaration and returns true. Returns false if the type's declaration, and so those of the types in it, were added
    /// before.
    pub fn add<T>(&mut self, declaration: Declaration) -> bool {
        self.add_of(typeid::of::<T>(), declaration)
    }

    fn add_of(&mut self, ty: TypeId, declaration: Declaration) -> bool {
        let is_new = self.of(ty).is_none();
        if is_new {
            self.declared.push((ty, declaration));
        }
        is_new
    }

    /// The declaration of a type, if it has one.
    pub fn of(&self, ty: TypeId) -> Option<&Declaration> {
        self.declared.iter().find(|(known, _)| *known == ty).map(|(_, declaration)| declaration)
    }

    /// The type that a newtype wraps, if its declaration names it.
    pub fn wrapped(&self, ty: TypeId) -> Option<RustType> {
        let [Some(only)] = self.row_of(ty)?[..] else { return None };
        Some(RustType { id: only.ty, name: only.name })
    }

    /// Adds a type that can be sent; `None` adds nothing.
    pub fn element(&mut self, element: Option<Element>) {
        let is_known = |new: &Element| self.elements.iter().any(|known| known.ty == new.ty);
        self.elements.extend(element.filter(|new| !is_known(new)));
    }

    /// Adds the elements of a tuple.
    pub fn row<T>(&mut self, elements: Vec<Option<Element>>) {
        self.add_row(typeid::of::<T>(), elements);
    }

    fn add_row(&mut self, ty: TypeId, elements: Vec<Option<Element>>) {
        if self.row_of(ty).is_none() {
            self.rows.push((ty, elements));
        }
    }

    fn row_of(&self, ty: TypeId) -> Option<&Vec<Option<Element>>> {
        self.rows.iter().find(|(known, _)| *known == ty).map(|(_, elements)| elements)
    }
}

/// Asks any type for its declaration, whether it has one or not: `(&Witness::<T>::new()).__rpc_declare(…)` resolves to
/// [`ByDeclaration`] for types that have one, and to [`ByNothing`] for all others.
pub struct Witness<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Witness<T> {
    /// A witness of `T`.
    #[expect(clippy::new_without_default, reason = "generated code alone makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// See [`Witness`].
pub trait ByDeclaration {
    /// Adds the type's declaration.
    fn __rpc_declare(&self, found: &mut Declarations);
}

impl<T: Declared + ?Sized> ByDeclaration for Witness<T> {
    fn __rpc_declare(&self, found: &mut Declarations) {
        T::declare(found);
    }
}

/// See [`Witness`].
pub trait ByNothing {
    /// Does nothing: the type has no declaration.
    fn __rpc_declare(&self, _: &mut Declarations) {}
}

impl<T: ?Sized> ByNothing for &Witness<T> {}

/// Like [`ByDeclaration`], for the layouts of types that can be sent.
pub trait ByLayout {
    /// The type, to be traced by itself.
    fn __rpc_element(&self) -> Option<Element>;
}

impl<T: Serialize + DeserializeOwned> ByLayout for Witness<T> {
    fn __rpc_element(&self) -> Option<Element> {
        let trace = || Layout::of_exchanged::<T>(type_name::<T>());
        Some(Element { ty: typeid::of::<T>(), name: type_name::<T>(), trace })
    }
}

/// See [`ByLayout`].
pub trait ByNoLayout {
    /// Returns `None`: the type cannot be sent.
    fn __rpc_element(&self) -> Option<Element> {
        None
    }
}

impl<T: ?Sized> ByNoLayout for &Witness<T> {}

impl Layout {
    /// This layout, in which the elements of tuples that tracing did not reach are traced by themselves.
    pub(crate) fn filled(self, declarations: &Declarations) -> Layout {
        if !self.graph.nodes.iter().any(|node| matches!(node, Node::Unreached(_))) {
            return self;
        }
        let mut nodes = self.graph.nodes.clone();
        let mut types = self.graph.types.clone();
        let mut differences = self.graph.differences.clone();
        let mut asked = self.graph.asked.clone();
        // Each type is traced once, so that a recursive one leads back to itself.
        let mut traced: FxHashMap<TypeId, usize> = FxHashMap::default();
        let mut node = 0;
        while node < types.len() {
            let row = types[node].and_then(|ty| declarations.row_of(ty.id));
            for index in 0..row.map_or(0, Vec::len) {
                let Node::Product { fields, .. } = &nodes[node] else { break };
                let Some(field) = fields.get(index) else { break };
                if !matches!(nodes[field.layout], Node::Unreached(_)) {
                    continue;
                }
                let Some(Element { ty, trace, .. }) = row.and_then(|row| row[index]) else { continue };
                let layout = *traced.entry(ty).or_insert_with(|| {
                    let element = trace();
                    let at = nodes.len();
                    nodes.extend(element.graph.nodes.iter().map(|node| node.map(|part| part + at)));
                    types.resize(at, None);
                    types.extend_from_slice(&element.graph.types);
                    differences.extend(element.graph.differences.iter().cloned());
                    let parts = element.graph.asked.iter();
                    asked.extend(parts.map(|((node, place), ty)| ((node + at, *place), *ty)));
                    at + element.root
                });
                if let Node::Product { fields, .. } = &mut nodes[node] {
                    fields[index].layout = layout;
                }
            }
            node += 1;
        }
        if traced.is_empty() {
            return self;
        }
        let is_written = self.graph.is_written;
        let whole = self.graph.whole;
        Layout::from(Traced { nodes, root: self.root, types, asked, whole, differences, is_written })
    }

    /// The differences between how named types are written and how they are read. Empty if values of all parts could be made up,
    /// because then tracing the whole has found them.
    pub(crate) fn differences_of_parts(&self, declarations: &Declarations) -> Vec<String> {
        let elements: &[Element] = if self.graph.is_written { &[] } else { &declarations.elements };
        let told = |Element { name, trace, .. }: &Element| -> Vec<String> {
            let differences = &trace().graph.differences;
            differences.iter().map(|difference| format!("in `{name}`: {difference}")).collect()
        };
        elements.iter().flat_map(told).collect()
    }

    /// The differences between the declarations of types in this layout and their traced nodes, one sentence each.
    pub(crate) fn disagreements(&self, declarations: &Declarations) -> Vec<String> {
        let types = self.graph.types.iter().zip(&self.graph.nodes);
        types
            .filter_map(|(ty, node)| {
                let declaration = declarations.of((*ty)?.id)?;
                let differs = disagreement(declaration.parts, node)?;
                Some(format!(
                    "`{}` {differs}: either its serde attributes do not suit bincode, or this is a fault of ours; remove \
                     what is unusual about it",
                    declaration.name
                ))
            })
            .collect()
    }
}

/// The first point in which a declaration and a traced node differ.
fn disagreement(parts: DeclaredParts, node: &Node<usize>) -> Option<String> {
    match (parts, node) {
        // Tracing reports the problems of these nodes itself.
        (_, Node::Opaque { .. } | Node::Unsupported { .. } | Node::Unreached(_) | Node::Uninhabited) => None,
        (DeclaredParts::Another, _) => None,
        // Serde ignores `skip` in a newtype.
        (DeclaredParts::Fields([] | [_]), Node::Newtype { .. }) => None,
        // The value is read by foreign code (`#[serde(with)]` on a field): derived code would have given the type's name.
        (
            _,
            Node::Leaf(_)
            | Node::Optional(_)
            | Node::Seq(_)
            | Node::Map(..)
            | Node::Array(..)
            | Node::Stream(..)
            | Node::Product { name: "", .. },
        ) => None,
        (DeclaredParts::Fields(declared), Node::Product { fields, .. }) => {
            of_fields(declared, fields).map(|differs| format!("is declared with {differs}"))
        }
        (DeclaredParts::Variants(declared), Node::Enum { variants, .. }) => of_variants(declared, variants),
        (DeclaredParts::Fields(_), node) => {
            Some(format!("is declared as a struct and read as {}", node.what()))
        }
        (DeclaredParts::Variants(_), node) => {
            Some(format!("is declared as an enum and read as {}", node.what()))
        }
    }
}

fn of_fields(declared: &[DeclaredField], read: &[Field<usize>]) -> Option<String> {
    if declared.len() != read.len() {
        return Some(format!("{} fields and read with {}", declared.len(), read.len()));
    }
    let differs = declared.iter().zip(read).enumerate().find(|(_, (declared, read))| {
        !declared.name.is_empty() && !read.name.is_empty() && !is_among(declared.name, read.name)
    });
    differs.map(|(ordinal, (declared, read))| {
        format!("`{}` as field {ordinal} and read with `{}` there", declared.name, read.name)
    })
}

fn of_variants(declared: &[DeclaredVariant], read: &[Variant<usize>]) -> Option<String> {
    if declared.len() != read.len() {
        return Some(format!("is declared with {} variants and read with {}", declared.len(), read.len()));
    }
    declared.iter().zip(read).enumerate().find_map(|(number, (declared, read))| {
        let name = declared.name;
        if declared.index as usize != number {
            return Some(format!(
                "is declared with `{name}` as number {} and read with it as {number}",
                declared.index
            ));
        }
        if !read.name.is_empty() && !is_among(name, read.name) {
            return Some(format!(
                "is declared with `{name}` as number {number} and read with `{}` there",
                read.name
            ));
        }
        let differs = of_fields(declared.fields?, read.fields.as_deref()?)?;
        Some(format!("is declared with a variant `{name}` of {differs}"))
    })
}

#[cfg(test)]
mod tests; // layout/declared/tests.rs: editing tests does not rebuild the library
