//! Tracing: finds out a type's layout by running its `Deserialize` on made-up values and recording what it asks for.
//!
//! One *pass* runs the whole `Deserialize` once. A [`Grammar`] holds what is known. Each pass goes straight to the nearest
//! unknown part. For all parts beside the way it supplies the least value (`None`, no elements, the smallest variant), because a
//! part can only be seen if the parts before it are accepted. Tracing ends when no pass can learn more.
//!
//! - A value that its type rejects is tried again with other leaves, some dozens of times. A leaf that accepts none is
//!   opaque; a compound keeps its shape.
//! - Behind a slot for which no value can be supplied, other fields of a struct are reached by name. Those of a tuple cannot be.
//! - The number of fields and variants is the number that the type reads and accepts: lists of names contain aliases.
//!
//! A part that stays unknown has one of three reasons. The type has no finite value ([`Node::Uninhabited`]): then there are no
//! bytes to misread. The type rejects every value ([`Node::Opaque`]): it is compared by its name and by the leaf it reads. Or
//! tracing did not reach the part, or it read something else each time ([`Node::Unreached`]): such a part equals no other.
//!
//! If the type can be written as well, made-up values are written and compared with what is read; see `written.rs`.
//!
//! Bounded by [`PASSES_MAX`], [`STEPS_MAX`], [`DEPTH_MAX`] and the number of slots. Panics in a user's `Deserialize` count
//! as rejection.

use std::{
    any::type_name,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use rustc_hash::FxHashMap;
use serde::{Serialize, de::DeserializeOwned};

use super::{Field, Node, RustType, Unreached, Variant, is_among, written};
use crate::{
    limits::DECODE_DEPTH_MAX,
    schema::layout::trace::grammar::{
        Content, Goal, Grammar, Group, GroupState, Hop, Kind, Shape, ShapeId, SlotId,
    },
    sync::lock,
};

mod grammar;
pub(crate) mod parts;
mod probes;
mod reading;

/// The most passes: runs of the whole `Deserialize`.
const PASSES_MAX: usize = 8_192;
/// The most values deserialized in all passes together.
const STEPS_MAX: usize = 1 << 21;
/// The deepest nesting: the decoder's default.
const DEPTH_MAX: usize = DECODE_DEPTH_MAX;
/// The number of values of each part that are written and compared: zeros, empty strings and both booleans are among them.
const WRITTEN_VARIATIONS: usize = 3;

/// A traced layout as nodes, and the problems found.
pub(super) struct Traced {
    pub(super) nodes: Vec<Node<usize>>,
    pub(super) root: usize,
    /// The Rust types of the first nodes.
    pub(super) types: Vec<Option<RustType>>,
    /// The Rust types that were asked for as parts of nodes, by the node and the part's place among its parts.
    pub(super) asked: FxHashMap<(usize, usize), RustType>,
    /// The type as a whole.
    pub(super) whole: Option<RustType>,
    /// The differences between how values are written and how they are read.
    pub(super) differences: Vec<String>,
    /// Whether values of all parts could be made up, to be written and compared.
    pub(super) is_written: bool,
}

/// The layout of the values that `T` reads. If `T` is opaque, its name is `written`.
pub(super) fn trace<T: DeserializeOwned>(written: &'static str) -> Traced {
    Tracer::default().read(RustType::of::<T>(), written, run::<T>)
}

/// The layout of the values that `T` reads from human-readable formats.
pub(super) fn trace_text<T: DeserializeOwned>() -> Traced {
    let tracer = Tracer { is_human_readable: true, ..Tracer::default() };
    tracer.read(RustType::of::<T>(), type_name::<T>(), run::<T>)
}

/// The layout of the values that `T` reads, compared with those that it writes.
pub(super) fn trace_exchanged<T: Serialize + DeserializeOwned>(written: &'static str) -> Traced {
    Tracer::default().exchange(RustType::of::<T>(), written, run_recorded::<T>)
}

/// One run of a type's `Deserialize`, as a function pointer: what tracing does around it is compiled once for all types.
/// Returns whether there was a value. A record that is asked for is made of that value.
type Run = fn(reading::At<'_>, Option<&mut Option<written::Record>>) -> bool;

fn run<T: DeserializeOwned>(at: reading::At<'_>, _: Option<&mut Option<written::Record>>) -> bool {
    T::deserialize(at).is_ok()
}

fn run_recorded<T: Serialize + DeserializeOwned>(
    at: reading::At<'_>,
    record: Option<&mut Option<written::Record>>,
) -> bool {
    let value = T::deserialize(at);
    if let (Ok(value), Some(record)) = (&value, record) {
        *record = written::Record::of(value);
    }
    value.is_ok()
}

/// A question to a type about one name, to tell names from aliases.
#[derive(Clone, Copy)]
enum Asking {
    /// Which field of a group has this name; the slot is for its value.
    Field(ShapeId, usize, &'static str, SlotId),
    /// Which variant of an enum has this name.
    Variant(ShapeId, &'static str),
}

#[derive(Default)]
struct Tracer {
    grammar: Grammar,
    /// Whether the format claims to be human-readable.
    is_human_readable: bool,
    /// The way to this pass's goal.
    way: Vec<Hop>,
    /// The variation of all leaves of this pass.
    base_variation: usize,
    /// Whether rejected values of this pass are ignored.
    is_trial: bool,
    asking: Option<Asking>,
    /// The answer about a field: its own name.
    answered_field: Option<&'static str>,
    /// The answer about a variant: its identity.
    answered_variant: Option<u64>,
    /// All names of a variant, joined, if its own one is not known.
    aliased: Vec<((ShapeId, usize), &'static str)>,
    passes: usize,
    steps: usize,
    /// The slot read last, to blame if the user's code panics.
    last: SlotId,
    /// Whether the cause of the current failure was noted already, further down.
    explained: bool,
    /// The groups in the value of this pass.
    used: Vec<(ShapeId, usize)>,
    /// Records of the items and errors of streams.
    items: Vec<(SlotId, written::Record)>,
    /// Whether tracing ran out of passes before all parts were written.
    is_unwritten: bool,
}

impl Tracer {
    // ---- passes ----

    /// Runs passes until nothing is left to learn. Returns the outermost slot.
    fn explore(&mut self, run: Run, written: &'static str) -> SlotId {
        let root = self.grammar.slot(written);
        while let Some((goal, way)) = self.grammar.next_goal(root) {
            let before = self.grammar.findings;
            if self.pass(run, root, way, None).is_none() {
                break;
            }
            if self.grammar.findings == before {
                self.grammar.set_stuck(goal);
            }
        }
        self.ask_for_names(run, root);
        root
    }

    /// Runs `Deserialize` once, toward the end of `way`, and records the value if that is asked for. Returns whether there was
    /// a value; `None` if the bounds of tracing are reached.
    fn pass(
        &mut self,
        run: Run,
        root: SlotId,
        way: Vec<Hop>,
        record: Option<&mut Option<written::Record>>,
    ) -> Option<bool> {
        if self.passes >= PASSES_MAX || self.steps >= STEPS_MAX {
            return None;
        }
        self.passes += 1;
        self.way = way;
        self.explained = false;
        self.used.clear();
        self.items.clear();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(reading::At::root(self, root), record)));
        let accepted = match outcome {
            Ok(accepted) => {
                self.settle(root, accepted);
                accepted
            }
            Err(_) => {
                // The panic skipped the code that resets these flags.
                self.grammar.slots.iter_mut().for_each(|slot| slot.is_active = false);
                for shape in &mut self.grammar.shapes {
                    shape.is_active = false;
                    shape.groups.iter_mut().for_each(|group| group.is_active = false);
                }
                self.explained = false;
                self.settle(self.last, false);
                false
            }
        };
        self.grammar.refresh();
        Some(accepted)
    }

    /// Notes whether the value of a slot was accepted.
    fn settle(&mut self, slot: SlotId, accepted: bool) {
        if accepted {
            self.grammar.accept(slot);
        } else if !std::mem::replace(&mut self.explained, true) && !self.is_trial {
            self.grammar.vary(slot);
        }
    }

    /// Tells names from aliases if there are more names than fields or variants.
    fn ask_for_names(&mut self, run: Run, root: SlotId) {
        for shape in 0..self.grammar.shapes.len() {
            for group in 0..self.grammar.shapes[shape].groups.len() {
                let entry = &self.grammar.shapes[shape].groups[group];
                let (names, count) = (entry.names, entry.known().len());
                if count < names.len() {
                    self.ask_for_fields(run, root, (shape, group), names, count);
                }
            }
            if self.variant_count(shape) < self.grammar.shapes[shape].variant_names.len() {
                self.ask_for_variants(run, root, shape);
            }
        }
        self.asking = None;
    }

    /// Finds the own names of fields: a struct that is given a field twice complains with the field's own name.
    fn ask_for_fields(
        &mut self,
        run: Run,
        root: SlotId,
        (shape, group): (ShapeId, usize),
        names: &[&'static str],
        count: usize,
    ) {
        let Some(way) = self.grammar.way_to(root, shape, group) else { return };
        let mut own: Vec<&'static str> = Vec::with_capacity(count);
        for name in names {
            let value = self.grammar.slot("");
            self.ask(run, root, &way, Asking::Field(shape, group, name, value));
            if let Some(field) = self.answered_field.take()
                && !own.contains(&field)
            {
                own.push(field);
            }
        }
        let group = &mut self.grammar.shapes[shape].groups[group];
        if own.len() == count {
            group.own_names = Some(own.into());
        } else if let Some(joined) = &group.own_names {
            // A field for which no value can be supplied keeps all its names.
            let own_of = |names| own.iter().copied().find(|own| is_among(own, names)).unwrap_or(names);
            group.own_names = Some(joined.iter().copied().map(own_of).collect());
        }
    }

    /// Finds the names that an enum reads as the same variant. Writing the variant later tells which of them is its own.
    fn ask_for_variants(&mut self, run: Run, root: SlotId, shape: ShapeId) {
        let Some(way) = self.grammar.way_to(root, shape, 0) else { return };
        let mut answers: Vec<(u64, &'static str)> = Vec::new();
        for name in self.grammar.shapes[shape].variant_names {
            self.ask(run, root, &way, Asking::Variant(shape, name));
            if let Some(identity) = self.answered_variant.take() {
                answers.push((identity, name));
            }
        }
        for (index, group) in self.grammar.shapes[shape].groups.iter().enumerate() {
            let Some(own) = group.identity else { continue };
            let names = answers.iter().filter(|(identity, _)| *identity == own).map(|(_, name)| *name);
            let names: Vec<&'static str> = names.collect();
            if !names.is_empty() {
                self.aliased.push(((shape, index), joined(&names)));
            }
        }
    }

    /// Runs passes until the question is answered, or no pass learns more.
    fn ask(&mut self, run: Run, root: SlotId, way: &[Hop], asking: Asking) {
        self.asking = Some(asking);
        loop {
            let before = self.grammar.findings;
            let more = self.pass(run, root, way.to_vec(), None).is_some();
            let is_answered = self.answered_field.is_some() || self.answered_variant.is_some();
            if is_answered || !more || self.grammar.findings == before {
                return;
            }
        }
    }

    /// Writes values until all parts that can be supplied were among them. Returns their records.
    fn write(&mut self, run: Run, root: SlotId) -> Vec<(SlotId, written::Record)> {
        let mut records = Vec::new();
        let mut next = Some((Goal::Slot(root), Vec::new()));
        while let Some((goal, way)) = next {
            let before = self.grammar.findings;
            let mut is_whole = false;
            // A group without parts has only one value.
            let variations = match goal {
                Goal::Group(shape, group) if self.grammar.shapes[shape].groups[group].known().is_empty() => 1,
                Goal::Group(..) | Goal::Slot(_) => WRITTEN_VARIATIONS,
            };
            for variation in 0..variations {
                self.base_variation = variation;
                self.is_trial = variation > 0;
                let mut record = None;
                let Some(accepted) = self.pass(run, root, way.clone(), Some(&mut record)) else {
                    self.is_unwritten = true;
                    return records;
                };
                records.extend(record.map(|record| (root, record)));
                records.append(&mut self.items);
                if accepted {
                    is_whole = true;
                }
                // Groups that only another variation has are still to be covered in all variations.
                if accepted && variation == 0 {
                    for (shape, group) in std::mem::take(&mut self.used) {
                        self.grammar.shapes[shape].groups[group].is_covered = true;
                    }
                }
            }
            match goal {
                // If the value did not contain the group after all, no later one will.
                Goal::Group(shape, group) if is_whole => {
                    self.grammar.shapes[shape].groups[group].is_covered = true;
                }
                _ if self.grammar.findings == before => self.grammar.set_stuck(goal),
                _ => {}
            }
            next = self.grammar.next_uncovered(root);
        }
        records
    }

    // ---- during a pass ----

    fn stop<T>(&mut self) -> Result<T, reading::Ended> {
        Err(self.ended())
    }

    fn ended(&mut self) -> reading::Ended {
        self.explained = true;
        reading::Ended::default()
    }

    fn step(&mut self, slot: SlotId) -> Result<(), reading::Ended> {
        self.last = slot;
        self.steps += 1;
        if self.steps > STEPS_MAX || self.grammar.is_full() {
            return self.stop();
        }
        Ok(())
    }

    // ---- the result ----

    /// Traces a type that is read but not written.
    fn read(mut self, ty: RustType, written: &'static str, run: Run) -> Traced {
        let root = self.explore(run, written);
        let (nodes, node_of) = self.to_nodes();
        Traced {
            nodes,
            root: node_of[root],
            types: self.types(ty, root),
            asked: self.asked(),
            whole: Some(ty),
            differences: Vec::new(),
            is_written: false,
        }
    }

    /// Traces a type, and compares what it writes with what it reads.
    fn exchange(mut self, ty: RustType, written: &'static str, run: Run) -> Traced {
        let root = self.explore(run, written);
        let records = self.write(run, root);
        let is_written = self.grammar.is_all_suppliable(root);
        let (mut nodes, node_of) = self.to_nodes();
        let variant_names = |shape: ShapeId| match self.grammar.shapes.get(shape) {
            Some(shape) => shape.variant_names,
            None => &[],
        };
        let mut comparison = written::Comparison::new(&mut nodes, variant_names);
        for (slot, record) in records {
            comparison.compare(&record, node_of[slot]);
        }
        let mut differences = comparison.differences;
        if self.is_unwritten && differences.is_empty() {
            differences.push(format!("what is written was not all compared: {}", self.out_of_bounds()));
        }
        Traced {
            nodes,
            root: node_of[root],
            types: self.types(ty, root),
            asked: self.asked(),
            whole: Some(ty),
            differences,
            is_written,
        }
    }

    /// The Rust types that were asked for as parts of shapes, by the shape's node and the part's place in it.
    fn asked(&self) -> FxHashMap<(usize, usize), RustType> {
        let of_shape = |(id, shape): (ShapeId, &Shape)| {
            let groups = match shape.kind {
                Kind::Enum => &shape.groups[..self.variant_count(id)],
                _ => &shape.groups[..],
            };
            let is_read = |group: &&Group| group.state != GroupState::Refused;
            let slots = groups.iter().filter(is_read).flat_map(|group| group.known().iter().copied());
            slots
                .map(|slot| self.grammar.slots[slot].asked)
                .enumerate()
                .map(|(place, ty)| (id, place, ty))
                .collect::<Vec<_>>()
        };
        let parts = self.grammar.shapes.iter().enumerate().flat_map(of_shape);
        parts.filter_map(|(id, place, ty)| Some(((id, place), ty?))).collect()
    }

    /// The Rust types of the nodes; `ty` is the outermost.
    fn types(&self, ty: RustType, root: SlotId) -> Vec<Option<RustType>> {
        let shapes = self.grammar.shapes.iter().map(|shape| Some(shape.value));
        let of_slot = |(id, slot): (SlotId, &grammar::Slot)| match slot.content {
            Content::Shape(_) => None,
            _ if id == root => Some(Some(ty)),
            _ => Some(slot.ty),
        };
        shapes.chain(self.grammar.slots.iter().enumerate().filter_map(of_slot)).collect()
    }

    /// The nodes of all shapes, in order, followed by those of all other slots; and the node of each slot.
    fn to_nodes(&self) -> (Vec<Node<usize>>, Vec<usize>) {
        let mut node_of = Vec::with_capacity(self.grammar.slots.len());
        let mut count = self.grammar.shapes.len();
        for slot in &self.grammar.slots {
            node_of.push(match slot.content {
                Content::Shape(shape) => shape,
                _ => count,
            });
            count += usize::from(!matches!(slot.content, Content::Shape(_)));
        }
        let mut nodes: Vec<_> = (0..self.grammar.shapes.len()).map(|id| self.node(id, &node_of)).collect();
        let mut leaves: Vec<_> = (0..self.grammar.slots.len())
            .map(|slot| self.leaf_node(slot, String::new, || self.out_of_bounds()))
            .collect();
        // The shape of a leaf names the place of the leaf.
        for (id, shape) in self.grammar.shapes.iter().enumerate() {
            for (index, group) in shape.groups.iter().enumerate() {
                self.name_leaves((id, shape), (index, group), &mut leaves);
            }
        }
        let of_leaves = self.grammar.slots.iter().zip(leaves);
        nodes.extend(
            of_leaves.filter(|(slot, _)| !matches!(slot.content, Content::Shape(_))).map(|(_, leaf)| leaf),
        );
        (nodes, node_of)
    }

    fn node(&self, id: ShapeId, node_of: &[usize]) -> Node<usize> {
        let shape = &self.grammar.shapes[id];
        let name = shape.name;
        let fields = |group: &Group| {
            let named = |(index, slot): (usize, &SlotId)| Field {
                name: group.name_of(index),
                layout: node_of[*slot],
            };
            group.known().iter().enumerate().map(named).collect::<Vec<_>>()
        };
        let only = &shape.groups[0];
        let part = |index: usize| node_of[only.slots[index]];
        match shape.kind {
            Kind::Newtype => Node::Newtype { name, inner: part(0) },
            Kind::Option => Node::Optional(part(0)),
            Kind::Seq => Node::Seq(part(0)),
            Kind::Map => Node::Map(part(0), part(1)),
            Kind::Array(len) => Node::Array(part(0), len),
            Kind::Stream => Node::Stream(part(0), part(1)),
            Kind::Product if only.by_name_only => {
                Node::Unsupported { reads: "its fields by their names, not in their order" }
            }
            Kind::Product => Node::Product { name, fields: fields(only) },
            Kind::Enum => {
                let variant = |index: usize| {
                    let group = &shape.groups[index];
                    let is_read = group.state != GroupState::Refused;
                    Variant { name: self.variant_name(id, index), fields: is_read.then(|| fields(group)) }
                };
                Node::Enum { name, variants: (0..self.variant_count(id)).map(variant).collect() }
            }
        }
    }

    /// The number of variants of an enum, up to the last that it reads.
    fn variant_count(&self, id: ShapeId) -> usize {
        let is_read = |group: &Group| group.state != GroupState::Refused;
        self.grammar.shapes[id].groups.iter().rposition(is_read).map_or(0, |last| last + 1)
    }

    /// The name of a variant. If there are as many names as variants, none is an alias.
    fn variant_name(&self, id: ShapeId, index: usize) -> &'static str {
        let names = self.grammar.shapes[id].variant_names;
        if names.len() == self.variant_count(id) {
            return names.get(index).copied().unwrap_or_default();
        }
        let known = self.aliased.iter().rev().find(|(variant, _)| *variant == (id, index));
        known.map(|(_, name)| *name).unwrap_or_default()
    }

    /// Names the places of a group's leaves, and the reasons for leaves that were never read.
    fn name_leaves(
        &self,
        (id, shape): (ShapeId, &Shape),
        (index, group): (usize, &Group),
        leaves: &mut [Node<usize>],
    ) {
        let is_possible = self.grammar.is_group_possible(id, index);
        let variant = match shape.kind {
            Kind::Enum => format!("{}.", self.variant_name(id, index)),
            _ => String::new(),
        };
        for (ordinal, slot) in group.known().iter().enumerate() {
            leaves[*slot] = match self.grammar.slots[*slot].content {
                Content::Unseen if !is_possible => Node::Uninhabited,
                _ => {
                    let part = shape.kind.part_name(ordinal);
                    let place = || format!("{}.{variant}{part}", short(shape.value.name));
                    self.leaf_node(*slot, place, || self.why_unreached(shape, group, ordinal))
                }
            };
        }
    }

    fn leaf_node(&self, slot: SlotId, place: impl Fn() -> String, why: impl Fn() -> String) -> Node<usize> {
        let entry = &self.grammar.slots[slot];
        let name = || match entry.name {
            "" => place(),
            name => short(name),
        };
        match entry.content {
            Content::Leaf(leaf) if entry.rejects => Node::Opaque { name: name(), base: Some(leaf) },
            Content::Leaf(leaf) => Node::Leaf(leaf),
            Content::Unsupported(reads) => Node::Unsupported { reads },
            Content::Opaque => Node::Opaque { name: name(), base: None },
            Content::Mixed => {
                let why = "what is read there depends on what was read before, so that two versions of it could not be told \
                           apart: derive an enum";
                Node::Unreached(Unreached::new(name(), why.into()))
            }
            Content::Unseen | Content::Shape(_) => Node::Unreached(Unreached::new(name(), why())),
        }
    }

    /// The reason why a slot was never read, although values of its type may exist.
    fn why_unreached(&self, shape: &Shape, group: &Group, index: usize) -> String {
        let blocks = |slot: &&SlotId| self.grammar.height(**slot).is_none();
        let Some(first) = group.slots[..index].iter().find(blocks) else { return self.out_of_bounds() };
        let slot = &self.grammar.slots[*first];
        let name = match (slot.name, slot.content) {
            (_, Content::Shape(id)) => short(self.grammar.shapes[id].value.name),
            ("", _) => short(shape.value.name),
            (name, _) => short(name),
        };
        let remedy = match (shape.kind, group.names) {
            (Kind::Product | Kind::Enum, []) => ": give the fields names, or put it last",
            (Kind::Product | Kind::Enum, _) => ": put it last",
            _ => "",
        };
        format!("it comes behind `{name}`, for which no value could be made up{remedy}")
    }

    fn out_of_bounds(&self) -> String {
        format!("the type is nested deeper than {DEPTH_MAX} levels, or has more parts than are looked at")
    }
}

impl Kind {
    fn part_name(self, ordinal: usize) -> String {
        match (self, ordinal) {
            (Self::Option, _) => "Some".into(),
            (Self::Seq | Self::Array(_), _) => "element".into(),
            (Self::Map, 0) => "key".into(),
            (Self::Map, _) => "value".into(),
            (Self::Stream, 0) => "item".into(),
            (Self::Stream, _) => "error".into(),
            (Self::Newtype | Self::Product | Self::Enum, ordinal) => ordinal.to_string(),
        }
    }
}

/// All names of a field or variant, joined as `a|b`, if its own one is not known.
fn joined(names: &[&'static str]) -> &'static str {
    match names {
        [name] => name,
        _ => interned(names.join("|")),
    }
}

/// Interns a joined name. It lives as long as the program, which has only a handful of types with aliases.
fn interned(name: String) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = lock(&NAMES);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    let name = &*name.leak();
    names.push(name);
    name
}

/// A type's name without module paths, spaces and the pointers that serde does not see.
fn short(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name.chars().filter(|character| !character.is_whitespace()).peekable();
    while let Some(character) = rest.next() {
        if character == ':' && rest.next_if_eq(&':').is_some() {
            let path =
                out.trim_end_matches(|character: char| character.is_alphanumeric() || character == '_').len();
            out.truncate(path);
        } else {
            out.push(character);
        }
    }
    while let Some(inner) = ["Box<", "Rc<", "Arc<"]
        .iter()
        .find_map(|pointer| out.strip_prefix(pointer)?.strip_suffix('>').map(str::to_owned))
    {
        out = inner;
    }
    out
}
