//! A number for each layout that equal layouts share.
//!
//! A layout is a graph that stands for an infinite tree, and many graphs stand for the same tree. So nodes with equal
//! trees are first found to be one *class*, by partition refinement; what is left is the least graph of the tree, of which
//! there is one. Its nodes are numbered in the order that a walk from the root meets them, and hashed in that order: two
//! layouts share a fingerprint if their trees are equal, to any depth, and by accident once in 2^64.

use std::{collections::VecDeque, sync::OnceLock};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Leaf, Node, below_newtypes};

/// The fingerprints of a graph's nodes, computed when they are asked for.
#[derive(Default)]
pub(super) struct Fingerprints {
    classes: OnceLock<Box<[u64]>>,
    of_nodes: OnceLock<Box<[OnceLock<u64>]>>,
}

impl Fingerprints {
    pub(super) fn of(&self, nodes: &[Node<usize>], root: usize) -> u64 {
        let of_nodes = self.of_nodes.get_or_init(|| nodes.iter().map(|_| OnceLock::new()).collect());
        *of_nodes[root].get_or_init(|| {
            let classes = self.classes.get_or_init(|| classes(nodes));
            walked(nodes, classes, root)
        })
    }
}

/// The class of every node: those of one class have equal trees.
///
/// After n rounds a node's number stands for its tree cut at depth n, so each round can only tell more nodes apart. The
/// first that does not is the last.
fn classes(nodes: &[Node<usize>]) -> Box<[u64]> {
    let meant: Vec<usize> = (0..nodes.len()).map(|index| below_newtypes(nodes, index)).collect();
    let mut current = vec![0; nodes.len()];
    let mut count = 1;
    loop {
        let next: Vec<u64> = meant.iter().map(|index| hash(&nodes[*index], |part| current[part])).collect();
        let next_count = next.iter().collect::<FxHashSet<_>>().len();
        if next_count == count {
            return next.into_boxed_slice();
        }
        (current, count) = (next, next_count);
    }
}

/// Hashes the classes that can be reached from a node, in the order in which they are met.
fn walked(nodes: &[Node<usize>], classes: &[u64], root: usize) -> u64 {
    let mut numbers = FxHashMap::from_iter([(classes[root], 0)]);
    let mut open = VecDeque::from([root]);
    let mut whole = Fnv::new();
    while let Some(index) = open.pop_front() {
        let node = &nodes[below_newtypes(nodes, index)];
        whole.number(hash(node, |part| {
            let next = numbers.len() as u64;
            *numbers.entry(classes[part]).or_insert_with(|| {
                open.push_back(part);
                next
            })
        }));
    }
    whole.0
}

/// Hashes one node from its parts' numbers. The tags are part of what a fingerprint is: never change one.
fn hash(node: &Node<usize>, mut part: impl FnMut(usize) -> u64) -> u64 {
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
                hash.text(9, variant.name);
                match &variant.fields {
                    Some(fields) => hash.runs(fields.iter().map(|field| (field.name, part(field.layout), 1))),
                    None => hash.number(14),
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

    /// Fields in a row: equal neighbours are counted, so that an array is the tuple of its elements.
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
