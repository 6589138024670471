//! Layouts made of others: what a map returns is a sequence or an option of what its program does.
//!
//! The parts are taken over as they were traced; the bytes are those of the standard library's types.

use std::sync::{Arc, OnceLock};

use super::{Field, Layout, Node, Variant};
use crate::error::ElementError;

impl Layout {
    /// What a sequence or an option, whatever wraps it, is made of, and whether it is an option.
    pub(crate) fn element(&self) -> Option<(Layout, bool)> {
        let nodes = &self.graph.nodes;
        let (root, is_option) = match &nodes[super::below_newtypes(nodes, self.root)] {
            Node::Seq(element) => (*element, false),
            Node::Optional(inner) => (*inner, true),
            _ => return None,
        };
        Some((Layout { graph: Arc::clone(&self.graph), root }, is_option))
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
        let own = error.append_to(&mut nodes);
        // The variants but the first do not depend on `E`.
        static TRACED: OnceLock<Layout> = OnceLock::new();
        let other = TRACED.get_or_init(Layout::of::<ElementError<()>>).append_to(&mut nodes);
        if let Node::Enum { variants, .. } = &mut nodes[other]
            && let Some(method) = variants.first_mut()
        {
            method.fields = Some(vec![Field { name: "", layout: own }]);
        }
        let variant = |name, layout| Variant { name, fields: Some(vec![Field { name: "", layout }]) };
        nodes
            .push(Node::Enum { name: "Result", variants: vec![variant("Ok", value), variant("Err", other)] });
        Self::with_last_as_root(nodes)
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
