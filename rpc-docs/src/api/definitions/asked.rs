//! The Rust types of the parts of a layout, as they are written in code.
//!
//! A type may read itself as another: chrono's `DateTime<Utc>` reads one of a fixed offset, a `SystemTime` a duration. The type
//! that was asked for is the written one: a whole value, a field, the argument of an `Option`, the content of a newtype.

use std::any::TypeId;

use rpc_core::schema::{Layout, Node, RustType, declared::Declarations};

use super::naming;

/// A type as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// The type's path, without the pointers around it.
    pub(super) path: &'static str,
    /// The type's id, if it is known.
    pub(super) id: Option<TypeId>,
}

impl Asked {
    /// A type that was asked for; `None` for helper types of derived code.
    pub(super) fn of(ty: RustType) -> Option<Self> {
        let path = naming::without_pointers(ty.name);
        // The id of a pointer is not that of the type in it.
        let id = (path.len() == ty.name.len()).then_some(ty.id);
        naming::is_nameable(path).then_some(Self { path, id })
    }

    fn by_path(path: &'static str) -> Option<Self> {
        let path = naming::without_pointers(path);
        naming::is_nameable(path).then_some(Self { path, id: None })
    }
}

/// The type of a node: the one that was asked for, or else the one that reads the node.
pub(super) fn of_node(layout: &Layout, node: usize, asked: Option<Asked>) -> Option<Asked> {
    let read = layout.rust_type(node).and_then(Asked::of);
    match (asked, read) {
        (Some(asked), Some(read)) if asked.path == read.path => {
            Some(Asked { path: asked.path, id: read.id.or(asked.id) })
        }
        (Some(asked), _) => Some(asked),
        (None, read) => read,
    }
}

/// The type that was asked for as a part of a node.
pub(super) fn of_part(
    layout: &Layout,
    declarations: &Declarations,
    (node, place): (usize, usize),
    asked: Option<Asked>,
) -> Option<Asked> {
    if let Some(part) = layout.part_type(node, place) {
        return Asked::of(part);
    }
    let (nodes, _) = layout.nodes();
    let own = of_node(layout, node, asked)?;
    match &nodes[node] {
        Node::Optional(_) => {
            let inner = own.path.strip_prefix("core::option::Option<")?.strip_suffix('>')?;
            Asked::by_path(inner)
        }
        Node::Newtype { .. } => Asked::of(declarations.wrapped(own.id?)?),
        _ => None,
    }
}
