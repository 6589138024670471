//! Fingerprints: a number for each layout, which equal layouts share.
//!
//! A layout is a graph that represents an infinite tree, and many graphs represent one tree. So partition refinement first
//! joins nodes with equal trees into one *class*. The classes form the smallest graph of the tree, which is unique. Its nodes
//! are numbered and hashed in the order in which a walk from the root meets them. Two layouts share a fingerprint if their
//! trees are equal, to any depth, and otherwise only by accident, once in 2^64.
//!
//! All parts without finite values are alike, whatever their nodes: they have no bytes.

use std::{collections::VecDeque, sync::OnceLock};

use rustc_hash::FxHashMap;

use super::{Field, Leaf, Node, below_newtypes};
use crate::in_order::in_order;

/// The fingerprints of a graph's nodes, each computed on first use.
#[derive(Default)]
pub(super) struct Fingerprints {
    graph: OnceLock<Classes>,
    of_nodes: OnceLock<Box<[OnceLock<u64>]>>,
}

/// Properties that are computed once for all nodes of a graph.
struct Classes {
    /// The class of each node. Nodes of one class have equal trees.
    classes: Vec<u64>,
    /// Whether each node has a finite value.
    has_values: Vec<bool>,
}

impl Fingerprints {
    pub(super) fn of(&self, nodes: &[Node<usize>], root: usize) -> u64 {
        let of_nodes = self.of_nodes.get_or_init(|| nodes.iter().map(|_| OnceLock::new()).collect());
        *of_nodes[root].get_or_init(|| {
            let graph = self.graph.get_or_init(|| {
                let has_values = has_values(nodes);
                Classes { classes: classes(nodes, &has_values), has_values }
            });
            walked(nodes, graph, root)
        })
    }
}

/// Whether each node has a finite value: the least fixpoint over all nodes.
fn has_values(nodes: &[Node<usize>]) -> Vec<bool> {
    let mut known = vec![false; nodes.len()];
    loop {
        let next: Vec<bool> = nodes.iter().map(|node| node_has_values(node, &known)).collect();
        if next == known {
            return known;
        }
        known = next;
    }
}

fn node_has_values(node: &Node<usize>, known: &[bool]) -> bool {
    match node {
        Node::Leaf(_) | Node::Opaque { .. } | Node::Unsupported { .. } | Node::Unreached(_) => true,
        Node::Optional(_) | Node::Seq(_) | Node::Map(..) | Node::Stream(..) | Node::Array(_, 0) => true,
        Node::Uninhabited => false,
        Node::Newtype { inner, .. } => known[*inner],
        Node::Array(element, _) => known[*element],
        Node::Product { fields, .. } => fields_have_values(fields, known),
        Node::Enum { variants, .. } => variants
            .iter()
            .any(|variant| variant.fields.as_ref().is_some_and(|fields| fields_have_values(fields, known))),
    }
}

fn fields_have_values(fields: &[Field<usize>], known: &[bool]) -> bool {
    fields.iter().all(|field| known[field.layout])
}

/// The class of each node.
///
/// After n rounds, a node's number represents its tree cut at depth n. So each round can only tell more nodes apart, and the
/// first round that tells no more apart is the last.
fn classes(nodes: &[Node<usize>], has_values: &[bool]) -> Vec<u64> {
    let meant: Vec<usize> = (0..nodes.len()).map(|index| below_newtypes(nodes, index)).collect();
    let mut current = vec![0; nodes.len()];
    let mut count = 1;
    loop {
        let next: Vec<u64> =
            meant.iter().map(|index| hash(nodes, has_values, *index, |part| current[part])).collect();
        let mut distinct = in_order(next.clone(), |class| *class);
        distinct.dedup();
        let next_count = distinct.len();
        if next_count == count {
            return next;
        }
        (current, count) = (next, next_count);
    }
}

/// Hashes the classes that can be reached from a node, in the order in which they are met.
fn walked(nodes: &[Node<usize>], graph: &Classes, root: usize) -> u64 {
    let Classes { classes, has_values } = graph;
    let mut numbers = FxHashMap::from_iter([(classes[root], 0)]);
    let mut open = VecDeque::from([root]);
    let mut whole = Fnv::new();
    while let Some(index) = open.pop_front() {
        let meant = below_newtypes(nodes, index);
        whole.number(hash(nodes, has_values, meant, |part| {
            let next = numbers.len() as u64;
            *numbers.entry(classes[part]).or_insert_with(|| {
                open.push_back(part);
                next
            })
        }));
    }
    whole.0
}

/// Hashes one node from its parts' numbers. The tags go into fingerprints: never change one.
fn hash(nodes: &[Node<usize>], has_values: &[bool], index: usize, mut part: impl FnMut(usize) -> u64) -> u64 {
    let mut hash = Fnv::new();
    match &nodes[index] {
        _ if !has_values[index] => hash.number(4),
        Node::Leaf(Leaf::Unit) => hash.runs(std::iter::empty()),
        Node::Leaf(Leaf::Object(service)) => hash.text(10, service.0.name),
        Node::Leaf(leaf) => hash.text(1, leaf.name()),
        Node::Opaque { name, base } => {
            hash.text(2, name);
            hash.text(2, base.map_or("", Leaf::name));
        }
        Node::Unsupported { .. } => hash.number(3),
        // Only a newtype that contains nothing but itself gets here; it has no values.
        Node::Newtype { .. } | Node::Uninhabited => hash.number(4),
        Node::Unreached(unreached) => hash.numbers([13, unreached.number]),
        Node::Optional(inner) => hash.numbers([5, part(*inner)]),
        Node::Seq(element) => hash.numbers([6, part(*element)]),
        Node::Map(key, value) => hash.numbers([7, part(*key), part(*value)]),
        Node::Array(element, len) => hash.runs([("", part(*element), *len as u64)].into_iter()),
        Node::Stream(item, error) => hash.numbers([12, part(*item), part(*error)]),
        Node::Product { fields, .. } => {
            hash.runs(fields.iter().map(|field| (field.name, part(field.layout), 1)));
        }
        Node::Enum { variants, .. } => {
            hash.numbers([8, variants.len() as u64]);
            for variant in variants {
                match &variant.fields {
                    Some(fields) if fields_have_values(fields, has_values) => {
                        hash.text(9, variant.name);
                        hash.runs(fields.iter().map(|field| (field.name, part(field.layout), 1)));
                    }
                    Some(_) | None => hash.number(14),
                }
            }
        }
    }
    hash.0
}

/// The fingerprint of a name alone.
pub(crate) fn fingerprint_of_name(name: &str) -> u64 {
    let mut hash = Fnv::new();
    hash.bytes(name.as_bytes());
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

    /// Hashes fields in a row. Equal neighbours are counted, so that an array equals the tuple of its elements.
    fn runs<'a>(&mut self, parts: impl Iterator<Item = (&'a str, u64, u64)>) {
        let mut run = ("", 0, 0);
        self.number(10);
        for (name, part, count) in parts {
            if (run.0, run.1) != (name, part) {
                self.run(run);
                run.2 = 0;
            }
            run = (name, part, run.2 + count);
        }
        self.run(run);
        self.number(11);
    }

    fn run(&mut self, (name, part, count): (&str, u64, u64)) {
        if count > 0 {
            self.text(15, name);
            self.numbers([part, count]);
        }
    }
}
