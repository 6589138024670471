//! The description of an API: its services and methods, the layouts of their types, and how two sides compare them. For tools
//! that document, check or translate APIs; programs that serve or call need none of it.

pub mod compatibility;
pub(crate) mod descriptor;
pub(crate) mod layout;
pub(crate) mod markers;
pub(crate) mod plain;
pub(crate) mod shown;
pub(crate) mod travels;

pub use descriptor::{
    ArgumentDescriptor, MethodAttributes, MethodDescriptor, ServiceDescriptor, Signature, ValueDescriptor,
};
pub use layout::{Field, Layout, Leaf, Node, ObjectService, RustType, Unreached, Variant};

/// Declarations of the types under [`data`](macro@crate::data), doc comments included.
pub mod declared {
    pub use super::layout::declared::{
        About, Declaration, Declarations, DeclaredField, DeclaredParts, DeclaredVariant, Remark,
    };
}
