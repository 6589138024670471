//! The grammar: everything that tracing knows of a type so far. Its rules are the type's parts.
//!
//! - A *slot* is a place where a value occurs. A *shape* is the structure of a compound type. All places that read with the
//!   same visitor type share a shape; so a recursive type leads back to itself.
//! - A shape has *groups* of slots: an enum has one for each variant, every other shape has one.
//! - The *height* of a slot or shape is the nesting of the least finite value that can be supplied for it, as far as is
//!   known. Heights are the least fixpoint over all shapes, so choosing the lowest group always comes to an end.
//! - A *goal* is an unknown: a slot never read, a variant never entered, a value that was not accepted.
//!   [`Grammar::next_goal`] finds the nearest reachable goal, and the way there. A goal that taught nothing is not tried again;
//!   a pass to another goal may still resolve it.

use std::{any::TypeId, collections::VecDeque, rc::Rc};

use rustc_hash::FxHashMap;

use super::joined;
use crate::schema::layout::{Leaf, RustType};

pub(super) type SlotId = usize;
pub(super) type ShapeId = usize;

/// The most slots of one layout.
const SLOTS_MAX: usize = 1 << 14;
/// Variations tried before a value counts as rejected. At least the length of the longest list of probes.
const PROBES: usize = 42;
/// The most variants tried of an enum that does not tell how many it has.
const VARIANTS_MAX: usize = 256;

/// The highest number that the first variant of such an enum may have.
const FIRST_VARIANT_MAX: usize = 16;

/// A place where a value occurs.
pub(super) struct Slot {
    /// The name of the type that was asked for here; empty if it is not known.
    pub(super) name: &'static str,
    pub(super) content: Content,
    /// The type that was asked for here, if it is known.
    pub(super) value: Option<TypeId>,
    /// The type that was asked for here; if none was, the type whose visitor read here.
    pub(super) ty: Option<RustType>,
    /// The type that a seed asked for here: exactly the one that the code names.
    pub(super) asked: Option<RustType>,
    /// Whether a value was accepted here.
    accepted: bool,
    /// Whether all values that are tried were rejected.
    pub(super) rejects: bool,
    /// The number of the value to try: rises with each rejected value.
    pub(super) variation: usize,
    /// The number of values that were rejected.
    tries: usize,
    /// Whether the value that another leaf of this type accepted was tried.
    has_recalled: bool,
    /// Whether the slot is being read further up.
    pub(super) is_active: bool,
    /// Whether this goal was tried in vain.
    is_stuck: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Content {
    Unseen,
    Leaf(Leaf),
    Shape(ShapeId),
    /// A kind of value that bincode cannot carry.
    Unsupported(&'static str),
    /// The type refused before it read anything.
    Opaque,
    /// The type reads different kinds of values on different occasions.
    Mixed,
}

/// The structure of a compound type.
pub(super) struct Shape {
    pub(super) value: RustType,
    pub(super) kind: Kind,
    /// The struct's or enum's name as serde knows it.
    pub(super) name: &'static str,
    pub(super) groups: Vec<Group>,
    /// The names of the variants, including aliases.
    pub(super) variant_names: &'static [&'static str],
    pub(super) is_active: bool,
    height: Option<usize>,
    /// Whether a finite value may exist.
    is_possible: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Newtype,
    Option,
    Seq,
    Map,
    Array(usize),
    Stream,
    Product,
    Enum,
}

/// Slots that a value has together.
pub(super) struct Group {
    pub(super) slots: Rc<[SlotId]>,
    /// The names by which fields are read, including aliases. Empty if fields have no names.
    pub(super) names: &'static [&'static str],
    /// The fields' own names in their order, once it is known which of `names` are aliases. A field whose own name is not known
    /// has all its names, joined: `a|b`.
    pub(super) own_names: Option<Rc<[&'static str]>>,
    /// The identity that the type gives to each of `names`, as far as they were asked about; `None` if that cannot be told.
    pub(super) identities: Option<Vec<u64>>,
    pub(super) state: GroupState,
    /// The identity that the type gives to the variant's index, if that can be told.
    pub(super) identity: Option<u64>,
    /// The number of slots that the type really has, known once it has accepted a value.
    pub(super) count: Option<usize>,
    /// The number of slots that the type claims to have.
    pub(super) stated: Option<usize>,
    /// Whether the fields can only be read by name, which bincode does not offer.
    pub(super) by_name_only: bool,
    pub(super) is_active: bool,
    /// Whether a value with this group was written and compared.
    pub(super) is_covered: bool,
    /// Whether this goal was tried in vain.
    is_stuck: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum GroupState {
    Unentered,
    Entered,
    /// The type knows no variant of this index.
    Refused,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ShapeKey {
    pub(super) visitor: TypeId,
    pub(super) value: TypeId,
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) members: &'static [&'static str],
    pub(super) len: usize,
}

/// One step on the way to a goal: the group to take of a shape, and which of its slots to go on in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hop {
    pub(super) shape: ShapeId,
    pub(super) group: usize,
    pub(super) toward: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// To find the content of a slot, or a value that it accepts.
    Slot(SlotId),
    /// To find the slots of a variant.
    Group(ShapeId, usize),
}

#[derive(Default)]
pub(super) struct Grammar {
    pub(super) slots: Vec<Slot>,
    pub(super) shapes: Vec<Shape>,
    keys: FxHashMap<ShapeKey, ShapeId>,
    /// The variation of the first leaf of each type that accepted its value.
    leaves: FxHashMap<TypeId, usize>,
    /// The number of findings so far: a pass that adds none was in vain.
    pub(super) findings: usize,
}

impl Grammar {
    // ---- what is learned ----

    pub(super) fn slot(&mut self, name: &'static str) -> SlotId {
        self.slots.push(Slot {
            name,
            content: Content::Unseen,
            value: None,
            ty: None,
            asked: None,
            accepted: false,
            rejects: false,
            variation: 0,
            tries: 0,
            has_recalled: false,
            is_active: false,
            is_stuck: false,
        });
        self.slots.len() - 1
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.len() > SLOTS_MAX
    }

    fn group(&mut self, state: GroupState, count: usize, names: &'static [&'static str]) -> Group {
        let slots = (0..count.min(SLOTS_MAX)).map(|_| self.slot("")).collect();
        Group {
            slots,
            names,
            own_names: None,
            identities: Some(Vec::new()),
            state,
            identity: None,
            count: None,
            stated: None,
            by_name_only: false,
            is_active: false,
            is_covered: false,
            is_stuck: false,
        }
    }

    /// The shape with this key. It is made when it is met first, with `slots` slots in its only group.
    pub(super) fn shape(&mut self, key: ShapeKey, value: RustType, slots: usize) -> ShapeId {
        if let Some(id) = self.keys.get(&key) {
            return *id;
        }
        let ShapeKey { kind, name, members, .. } = key;
        let (group, variant_names): (_, &[_]) = match kind {
            // A variant has one slot for its content until it is entered.
            Kind::Enum => (self.group(GroupState::Unentered, 1, &[]), members),
            _ => (self.group(GroupState::Entered, slots, members), &[]),
        };
        let groups = vec![group];
        self.shapes.push(Shape {
            value,
            kind,
            name,
            groups,
            variant_names,
            is_active: false,
            height: None,
            is_possible: true,
        });
        self.keys.insert(key, self.shapes.len() - 1);
        self.findings += 1;
        self.shapes.len() - 1
    }

    /// Sets the content of a slot. If the type reads different content there another time, it has no layout.
    pub(super) fn set_content(&mut self, slot: SlotId, content: Content) {
        let known = self.slots[slot].content;
        if known == Content::Unseen {
            self.slots[slot].content = content;
            self.findings += 1;
        } else if known != content && known != Content::Mixed {
            self.slots[slot].content = Content::Mixed;
            self.slots[slot].name = "";
            self.findings += 1;
        }
    }

    /// Notes that a value was accepted in the slot, with all wrappers around it.
    pub(super) fn accept(&mut self, slot: SlotId) {
        let slot = &mut self.slots[slot];
        if slot.content == Content::Unseen {
            slot.content = Content::Leaf(Leaf::Unit);
        }
        if !std::mem::replace(&mut slot.accepted, true) {
            self.findings += 1;
            if let (Content::Leaf(_), Some(value)) = (slot.content, slot.value) {
                self.leaves.entry(value).or_insert(slot.variation);
            }
        }
    }

    /// Lets a leaf that has not accepted anything try the value that another leaf of its type accepted. Returns how much further
    /// it is varied for that.
    pub(super) fn recall(&mut self, slot: SlotId) -> usize {
        let entry = &mut self.slots[slot];
        if entry.accepted || entry.rejects || entry.has_recalled {
            return 0;
        }
        let Some(accepted) = entry.value.and_then(|value| self.leaves.get(&value)) else { return 0 };
        entry.has_recalled = true;
        let more = accepted.saturating_sub(entry.variation);
        entry.variation += more;
        more
    }

    /// Notes that the slot's value was rejected, so that the next pass tries another.
    pub(super) fn vary(&mut self, slot: SlotId) {
        let known = &mut self.slots[slot];
        if known.rejects {
            return;
        }
        if known.content == Content::Unseen {
            known.content = Content::Opaque;
            return self.reject(slot);
        }
        if known.tries < PROBES {
            known.tries += 1;
            known.variation += 1;
            self.findings += 1;
        } else if !known.accepted {
            self.reject(slot);
        }
    }

    /// Notes that no value can be supplied for the slot.
    pub(super) fn reject(&mut self, slot: SlotId) {
        self.slots[slot].rejects = true;
        self.findings += 1;
    }

    /// Notes that a variant exists and has these slots. `None` if it had others before.
    pub(super) fn enter(
        &mut self,
        shape: ShapeId,
        index: usize,
        count: usize,
        names: &'static [&'static str],
    ) -> Option<()> {
        match self.shapes[shape].groups[index].state {
            GroupState::Entered => (self.shapes[shape].groups[index].slots.len() == count).then_some(()),
            GroupState::Unentered | GroupState::Refused => {
                let mut group = self.group(GroupState::Entered, count, names);
                group.is_active = true;
                group.identity = self.shapes[shape].groups[index].identity;
                self.shapes[shape].groups[index] = group;
                self.add_variant(shape, index);
                Some(())
            }
        }
    }

    /// Notes that the type knows no variant of this index.
    pub(super) fn refuse(&mut self, shape: ShapeId, index: usize) {
        self.shapes[shape].groups[index].state = GroupState::Refused;
        self.add_variant(shape, index);
    }

    /// Adds a variant to try behind the one of this index, if there may be one: names are only a hint at the number of variants.
    fn add_variant(&mut self, shape: ShapeId, index: usize) {
        self.findings += 1;
        let of = &self.shapes[shape];
        let most = if of.variant_names.is_empty() { VARIANTS_MAX } else { of.variant_names.len() };
        // Variants may begin at another number than 0.
        let has_begun =
            index >= FIRST_VARIANT_MAX || of.groups.iter().any(|group| group.state == GroupState::Entered);
        let ends = of.variant_names.is_empty() && of.groups[index].state == GroupState::Refused && has_begun;
        let is_bound = index + 1 >= most && of.variant_names.is_empty();
        if of.groups.len() == index + 1 && !ends && (index + 1 < most || is_bound) {
            let mut next = self.group(GroupState::Unentered, 1, &[]);
            // The variant stays unknown, and so does the layout.
            next.is_stuck = is_bound || self.is_full();
            self.shapes[shape].groups.push(next);
        }
    }

    /// Notes the identity that the type gives to a variant's index. Returns false if an earlier index has this identity: then the
    /// type reads every unknown index as that variant (`#[serde(other)]`), and this index is none.
    pub(super) fn identify(&mut self, shape: ShapeId, index: usize, identity: u64) -> bool {
        let groups = &mut self.shapes[shape].groups;
        if groups[..index].iter().any(|group| group.identity == Some(identity)) {
            return false;
        }
        groups[index].identity = Some(identity);
        true
    }

    /// Notes that the type accepted a value after it had read this number of slots of a group.
    pub(super) fn set_count(&mut self, shape: ShapeId, group: usize, count: usize) {
        let group = &mut self.shapes[shape].groups[group];
        if group.count.is_none() {
            group.count = Some(count);
            self.findings += 1;
        }
    }

    // ---- heights ----

    /// Computes all heights anew, and whether finite values may exist at all.
    pub(super) fn refresh(&mut self) {
        for shape in &mut self.shapes {
            shape.height = None;
            shape.is_possible = false;
        }
        let mut changed = true;
        while changed {
            changed = false;
            // Parts are found after the shapes that contain them, so the last come first.
            for id in (0..self.shapes.len()).rev() {
                let groups = 0..self.shapes[id].groups.len();
                let height = groups.clone().filter_map(|group| self.group_height(id, group)).min();
                let height = height.map(|height| height + 1);
                let is_possible = groups.clone().any(|group| self.is_group_possible(id, group));
                let shape = &mut self.shapes[id];
                changed |= height != shape.height || is_possible != shape.is_possible;
                shape.height = height;
                shape.is_possible = is_possible;
            }
        }
    }

    /// The height of the least value for a slot, if one can be supplied.
    pub(super) fn height(&self, slot: SlotId) -> Option<usize> {
        let slot = &self.slots[slot];
        match slot.content {
            _ if slot.rejects => None,
            Content::Leaf(_) => Some(0),
            // It may read again what it accepted before.
            Content::Mixed => slot.accepted.then_some(0),
            Content::Shape(shape) => self.shapes[shape].height,
            Content::Unseen | Content::Unsupported(_) | Content::Opaque => None,
        }
    }

    pub(super) fn shape_height(&self, shape: ShapeId) -> Option<usize> {
        self.shapes[shape].height
    }

    /// The height of the least value with this group's slots.
    pub(super) fn group_height(&self, shape: ShapeId, group: usize) -> Option<usize> {
        let Shape { kind, groups, .. } = &self.shapes[shape];
        let group = &groups[group];
        if group.state != GroupState::Entered || group.by_name_only {
            return None;
        }
        match kind {
            // The least value is `None`, or has no elements.
            Kind::Option | Kind::Seq | Kind::Map | Kind::Stream | Kind::Array(0) => Some(0),
            Kind::Newtype | Kind::Array(_) | Kind::Product | Kind::Enum => {
                group.known().iter().try_fold(0, |most, slot| Some(most.max(self.height(*slot)?)))
            }
        }
    }

    /// Whether the slot may have a finite value, as far as is known.
    pub(super) fn is_possible(&self, slot: SlotId) -> bool {
        match self.slots[slot].content {
            Content::Shape(shape) => self.shapes[shape].is_possible,
            Content::Unseen
            | Content::Leaf(_)
            | Content::Unsupported(_)
            | Content::Opaque
            | Content::Mixed => true,
        }
    }

    pub(super) fn is_group_possible(&self, shape: ShapeId, group: usize) -> bool {
        let Shape { kind, groups, .. } = &self.shapes[shape];
        let group = &groups[group];
        match (group.state, kind) {
            (GroupState::Refused, _) => false,
            (GroupState::Unentered, _) => true,
            (GroupState::Entered, Kind::Option | Kind::Seq | Kind::Map | Kind::Stream | Kind::Array(0)) => {
                true
            }
            (GroupState::Entered, Kind::Newtype | Kind::Array(_) | Kind::Product | Kind::Enum) => {
                group.known().iter().all(|slot| self.is_possible(*slot))
            }
        }
    }

    /// Whether a value can be supplied for every slot that may have one.
    pub(super) fn is_all_suppliable(&self, root: SlotId) -> bool {
        let groups = self.shapes.iter().flat_map(|shape| &shape.groups);
        let slots = groups.filter(|group| group.state == GroupState::Entered).flat_map(Group::known);
        slots.chain([&root]).all(|slot| !self.is_possible(*slot) || self.height(*slot).is_some())
    }

    /// The groups that a value can be supplied with, lowest first.
    pub(super) fn suppliable(&self, shape: ShapeId) -> Vec<usize> {
        let groups = 0..self.shapes[shape].groups.len();
        let mut known: Vec<_> =
            groups.filter_map(|group| Some((self.group_height(shape, group)?, group))).collect();
        known.sort_unstable();
        known.into_iter().map(|(_, group)| group).collect()
    }

    // ---- goals ----

    /// Walks over all slots and groups that can be reached from a slot, nearest first, until a wanted one is found; `through`
    /// tells which groups to enter. Returns the wanted one with the way there.
    fn find<G>(
        &self,
        root: SlotId,
        through: impl Fn(ShapeId, usize) -> bool,
        slot_wanted: impl Fn(SlotId) -> Option<G>,
        group_wanted: impl Fn(ShapeId, usize) -> Option<(G, Option<usize>)>,
    ) -> Option<(G, Vec<Hop>)> {
        // By shape: the hop to it, once it was met; none to the root's.
        let mut came_from: Vec<Option<Option<Hop>>> = vec![None; self.shapes.len()];
        let way = |came_from: &[Option<Option<Hop>>], last: Option<Hop>| {
            let mut way = Vec::new();
            let mut hop = last;
            while let Some(known) = hop {
                way.push(known);
                hop = came_from[known.shape].flatten();
            }
            way.reverse();
            way
        };
        let mut open = VecDeque::from([(root, None)]);
        while let Some((slot, hop)) = open.pop_front() {
            if let Some(goal) = slot_wanted(slot) {
                return Some((goal, way(&came_from, hop)));
            }
            let Content::Shape(shape) = self.slots[slot].content else { continue };
            if came_from[shape].is_some() {
                continue;
            }
            came_from[shape] = Some(hop);
            for (group, entry) in self.shapes[shape].groups.iter().enumerate() {
                if let Some((goal, toward)) = group_wanted(shape, group) {
                    return Some((goal, way(&came_from, Some(Hop { shape, group, toward }))));
                }
                if entry.state != GroupState::Entered || !through(shape, group) {
                    continue;
                }
                for (index, part) in entry.known().iter().enumerate() {
                    if self.is_reachable(shape, group, index) {
                        open.push_back((*part, Some(Hop { shape, group, toward: Some(index) })));
                    }
                }
            }
        }
        None
    }

    /// The nearest goal, and the way there.
    pub(super) fn next_goal(&self, root: SlotId) -> Option<(Goal, Vec<Hop>)> {
        let slot_wanted = |id: SlotId| {
            let slot = &self.slots[id];
            let is_open = match slot.content {
                Content::Unseen => true,
                Content::Leaf(_) => !slot.accepted && !slot.rejects,
                // A type that reads different kinds of values shows that only while its values are rejected.
                Content::Shape(shape) => {
                    !slot.accepted && !slot.rejects && self.shapes[shape].height.is_some()
                }
                Content::Unsupported(_) | Content::Opaque | Content::Mixed => false,
            };
            (is_open && !slot.is_stuck).then_some(Goal::Slot(id))
        };
        let group_wanted = |shape: ShapeId, index: usize| {
            let group = &self.shapes[shape].groups[index];
            let is_open = group.state == GroupState::Unentered && !group.is_stuck;
            is_open.then_some((Goal::Group(shape, index), None))
        };
        self.find(root, |_, _| true, slot_wanted, group_wanted)
    }

    /// The nearest group that was not written yet and for which a whole value can be supplied, and the way there.
    pub(super) fn next_uncovered(&self, root: SlotId) -> Option<(Goal, Vec<Hop>)> {
        let group_wanted = |shape: ShapeId, index: usize| {
            let Shape { kind, groups, .. } = &self.shapes[shape];
            let group = &groups[index];
            let is_open = !group.is_covered && !group.is_stuck;
            let toward = match kind {
                Kind::Option | Kind::Seq | Kind::Map => Some(0),
                Kind::Newtype | Kind::Array(_) | Kind::Stream | Kind::Product | Kind::Enum => None,
            };
            let parts = if toward.is_some() { group.known() } else { &[] };
            let can = self.group_height(shape, index).is_some()
                && parts.iter().all(|slot| self.height(*slot).is_some());
            (is_open && can).then_some((Goal::Group(shape, index), toward))
        };
        // A group that is read by name, or has no values, gives no whole value.
        self.find(root, |shape, group| self.group_height(shape, group).is_some(), |_| None, group_wanted)
    }

    /// The way to a group whose every part can be supplied.
    pub(super) fn way_to(&self, root: SlotId, shape: ShapeId, group: usize) -> Option<Vec<Hop>> {
        let wanted = |at: ShapeId, index: usize| ((at, index) == (shape, group)).then_some(((), None));
        self.find(root, |_, _| true, |_| None, wanted).map(|((), way)| way)
    }

    /// Notes that this goal taught nothing.
    pub(super) fn set_stuck(&mut self, goal: Goal) {
        match goal {
            Goal::Slot(slot) => self.slots[slot].is_stuck = true,
            Goal::Group(shape, group) => self.shapes[shape].groups[group].is_stuck = true,
        }
    }

    /// Whether a slot can be read: in order if all slots before it can be supplied, or by name if it has one.
    fn is_reachable(&self, shape: ShapeId, group: usize, index: usize) -> bool {
        let Shape { kind, groups, .. } = &self.shapes[shape];
        let group = &groups[group];
        match kind {
            Kind::Newtype | Kind::Option | Kind::Seq | Kind::Map | Kind::Array(_) | Kind::Stream => true,
            Kind::Product | Kind::Enum => group.is_named() || self.is_in_order(group, index),
        }
    }

    /// Whether all slots before this one can be supplied.
    pub(super) fn is_in_order(&self, group: &Group, index: usize) -> bool {
        !group.by_name_only && group.slots[..index].iter().all(|slot| self.height(*slot).is_some())
    }
}

impl Group {
    /// The slots that the type has, as far as is known.
    pub(super) fn known(&self) -> &[SlotId] {
        &self.slots[..self.count.or(self.stated).unwrap_or(self.slots.len()).min(self.slots.len())]
    }

    /// Whether each slot has a known name by which it can be read. False while it is not known which names are aliases.
    pub(super) fn is_named(&self) -> bool {
        !self.names.is_empty() && (self.known().len() == self.names.len() || self.own_names.is_some())
    }

    /// A name by which the slot at this place can be read.
    pub(super) fn key_of(&self, index: usize) -> &'static str {
        let name = self.name_of(index);
        name.split_once('|').filter(|_| !self.names.contains(&name)).map_or(name, |(first, _)| first)
    }

    /// Notes the identity that the type gives to the next name. After the last name, the number of fields is known.
    pub(super) fn identify(&mut self, identity: Option<u64>) {
        let (Some(known), Some(identity)) = (&mut self.identities, identity) else {
            self.identities = None;
            return;
        };
        known.push(identity);
        if known.len() < self.names.len() {
            return;
        }
        // All names of a field are neighbours.
        let mut fields = Vec::new();
        let mut start = 0;
        for run in known.chunk_by(|one, next| one == next) {
            fields.push(joined(&self.names[start..start + run.len()]));
            start += run.len();
        }
        self.stated = Some(fields.len());
        if fields.len() < self.names.len() {
            self.own_names = Some(fields.into());
        }
    }

    /// The name of the slot at this place; empty if it has none, or if its name is not known.
    pub(super) fn name_of(&self, index: usize) -> &'static str {
        match &self.own_names {
            Some(names) => names.get(index).copied().unwrap_or_default(),
            None if self.is_named() => self.names[index],
            None => "",
        }
    }
}
