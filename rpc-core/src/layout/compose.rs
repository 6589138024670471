//! Layouts made of others: what a map returns is a sequence or an option of what its program does.
//!
//! The parts are taken over as they were traced; the bytes are those of the standard library's types.

use std::sync::{Arc, OnceLock};

use super::{Field, Layout, Leaf, Node, Variant};
use crate::{error::ElementError, never::Never};

/// What a map runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Sequence,
    Option,
    Stream,
}

impl Layout {
    /// The layout of the error of a method that cannot fail. Traced once: maps ask for it.
    pub(crate) fn of_never() -> Layout {
        static TRACED: OnceLock<Layout> = OnceLock::new();
        TRACED.get_or_init(Layout::of::<Never>).clone()
    }

    /// What a sequence, an option or a stream, whatever wraps it, is made of, and which of them it is.
    pub(crate) fn element(&self) -> Option<(Layout, Over)> {
        let nodes = &self.graph.nodes;
        let (root, over) = match &nodes[super::below_newtypes(nodes, self.root)] {
            Node::Seq(element) => (*element, Over::Sequence),
            Node::Optional(inner) => (*inner, Over::Option),
            Node::Stream(item, _) => (*item, Over::Stream),
            _ => return None,
        };
        Some((Layout { graph: Arc::clone(&self.graph), root }, over))
    }

    /// The layout of a stream of these, which ends with an `ElementError<E>` or with no error of its own.
    pub(crate) fn streamed(&self, error: Option<&Layout>) -> Layout {
        let mut nodes = Vec::new();
        let item = self.append_to(&mut nodes);
        let error = match error {
            Some(error) => error.append_as_element_error(&mut nodes),
            None => {
                nodes.push(Node::Leaf(Leaf::Unit));
                nodes.len() - 1
            }
        };
        nodes.push(Node::Stream(item, error));
        Self::with_last_as_root(nodes)
    }

    /// The layout of a sequence of these.
    pub(crate) fn sequence(&self) -> Layout {
        let mut nodes = Vec::new();
        let element = self.append_to(&mut nodes);
        nodes.push(Node::Seq(element));
        Self::with_last_as_root(nodes)
    }

    /// The layout of an option of this.
    pub(crate) fn optional(&self) -> Layout {
        let mut nodes = Vec::new();
        let inner = self.append_to(&mut nodes);
        nodes.push(Node::Optional(inner));
        Self::with_last_as_root(nodes)
    }

    /// The layout of `Result<T, ElementError<E>>`, for the `T` of this layout.
    pub(crate) fn or_element_error(&self, error: &Layout) -> Layout {
        let mut nodes = Vec::new();
        let value = self.append_to(&mut nodes);
        let other = error.append_as_element_error(&mut nodes);
        let variant = |name, layout| Variant { name, fields: Some(vec![Field { name: "", layout }]) };
        nodes
            .push(Node::Enum { name: "Result", variants: vec![variant("Ok", value), variant("Err", other)] });
        Self::with_last_as_root(nodes)
    }

    /// The nodes of `ElementError<E>`, for the `E` of this layout.
    fn append_as_element_error(&self, nodes: &mut Vec<Node<usize>>) -> usize {
        let own = self.append_to(nodes);
        // The variants but the first do not depend on `E`.
        static TRACED: OnceLock<Layout> = OnceLock::new();
        let error = TRACED.get_or_init(Layout::of::<ElementError<()>>).append_to(nodes);
        if let Node::Enum { variants, .. } = &mut nodes[error]
            && let Some(method) = variants.first_mut()
        {
            method.fields = Some(vec![Field { name: "", layout: own }]);
        }
        error
    }

    /// Copies this layout's nodes behind others; gives where its root then is.
    fn append_to(&self, nodes: &mut Vec<Node<usize>>) -> usize {
        let shift = nodes.len();
        nodes.extend(self.graph.nodes.iter().map(|node| node.map(|part| part + shift)));
        self.root + shift
    }

    fn with_last_as_root(nodes: Vec<Node<usize>>) -> Layout {
        let root = nodes.len() - 1;
        Self::new(nodes, root)
    }
}
