//! Composed layouts, made from other layouts: a map returns a sequence, an option or a stream of its program's results.
//!
//! The parts are copied as they were traced; the bytes are those of the standard library's types. A peer can run maps over the
//! results of maps: a layout composed from a composed one has at most [`NODES_MAX`] nodes, and each kept one is charged to the
//! session by its [`composed_bytes`](Layout::composed_bytes).

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::{Field, Fingerprints, Graph, Layout, Leaf, Node, Variant};
use crate::{error::ElementError, never::Never};

/// The most nodes of a layout that is composed from a composed one. Layouts of a trait's types can have more.
const NODES_MAX: usize = 4_096;

/// The kind of value that a map runs over.
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

    /// The layout of the elements of a sequence, an option or a stream, inside any newtypes, and which of the three it is.
    pub(crate) fn element(&self) -> Option<(Layout, Over)> {
        let nodes = &self.graph.nodes;
        let (root, over) = match &nodes[crate::schema::layout::below_newtypes(nodes, self.root)] {
            Node::Seq(element) => (*element, Over::Sequence),
            Node::Optional(inner) => (*inner, Over::Option),
            Node::Stream(item, _) => (*item, Over::Stream),
            _ => return None,
        };
        Some((Layout { graph: Arc::clone(&self.graph), root }, over))
    }

    /// The layout of a stream of items with this layout. Its error is an `ElementError<E>` for the `E` of `error`, or none.
    ///
    /// `None` if the result has too many nodes, as in the functions below.
    pub(crate) fn streamed(&self, error: Option<&Layout>) -> Option<Layout> {
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
        self.composed(nodes)
    }

    /// The layout of a sequence of elements with this layout.
    pub(crate) fn sequence(&self) -> Option<Layout> {
        let mut nodes = Vec::new();
        let element = self.append_to(&mut nodes);
        nodes.push(Node::Seq(element));
        self.composed(nodes)
    }

    /// The layout of an option of a value with this layout.
    pub(crate) fn optional(&self) -> Option<Layout> {
        let mut nodes = Vec::new();
        let inner = self.append_to(&mut nodes);
        nodes.push(Node::Optional(inner));
        self.composed(nodes)
    }

    /// The layout of `Result<T, ElementError<E>>`, for the `T` of this layout.
    pub(crate) fn or_element_error(&self, error: &Layout) -> Option<Layout> {
        let mut nodes = Vec::new();
        let value = self.append_to(&mut nodes);
        let other = error.append_as_element_error(&mut nodes);
        let variant = |name, layout| Variant { name, fields: Some(vec![Field { name: "", layout }]) };
        nodes
            .push(Node::Enum { name: "Result", variants: vec![variant("Ok", value), variant("Err", other)] });
        self.composed(nodes)
    }

    /// Appends the nodes of `ElementError<E>`, for the `E` of this layout; returns the index of their root.
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

    /// Appends copies of the nodes of this layout, and no others of its graph; returns the index of its root.
    fn append_to(&self, nodes: &mut Vec<Node<usize>>) -> usize {
        let shift = nodes.len();
        let mut place = vec![None; self.graph.nodes.len()];
        let mut order = vec![self.root];
        place[self.root] = Some(shift);
        let mut next = 0;
        while let Some(node) = order.get(next).copied() {
            next += 1;
            for part in self.graph.nodes[node].parts().into_iter().copied() {
                if place[part].is_none() {
                    place[part] = Some(shift + order.len());
                    order.push(part);
                }
            }
        }
        let to_place = |part: &usize| place[*part].expect("all parts have been given a place");
        nodes.extend(order.iter().map(|node| self.graph.nodes[*node].map(to_place)));
        shift
    }

    /// The layout of these nodes, the last of which is the root; `None` if they are too many.
    fn composed(&self, nodes: Vec<Node<usize>>) -> Option<Layout> {
        if self.graph.is_composed && nodes.len() > NODES_MAX {
            return None;
        }
        let root = nodes.len() - 1;
        let graph = Graph {
            nodes,
            types: Vec::new(),
            asked: FxHashMap::default(),
            whole: None,
            fingerprints: Fingerprints::default(),
            differences: Vec::new(),
            is_written: false,
            outermost: root,
            is_composed: true,
        };
        Some(Layout { graph: Arc::new(graph), root })
    }

    /// The memory of a composed layout, in bytes; zero for a traced one, which all sessions share.
    pub(crate) fn composed_bytes(&self) -> usize {
        if !self.graph.is_composed {
            return 0;
        }
        let bytes_of = |node: &Node<usize>| {
            let (fields, variants) = match node {
                Node::Product { fields, .. } => (fields.len(), 0),
                Node::Enum { variants, .. } => {
                    let fields = |variant: &Variant<usize>| variant.fields.as_ref().map_or(0, Vec::len);
                    (variants.iter().map(fields).sum(), variants.len())
                }
                _ => (0, 0),
            };
            size_of::<Node<usize>>()
                + fields * size_of::<Field<usize>>()
                + variants * size_of::<Variant<usize>>()
        };
        self.graph.nodes.iter().map(bytes_of).sum()
    }
}
