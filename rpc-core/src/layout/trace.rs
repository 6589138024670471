//! Finds out a type's layout by running its `Deserialize` on made-up values and watching what it asks for.
//!
//! One pass runs the whole `Deserialize` once. A pass learns at least one thing that no pass before it knew — a part of
//! the type, a variant, that a leaf rejects a value — or it is the last. What is known is not explored again but
//! *supplied*: with the least value that satisfies the type (`None`, no elements, the smallest variant), because its
//! neighbours can only be seen if it succeeds.
//!
//! - A *slot* is a place where a value occurs; a *shape* is what a compound type consists of. Shapes are shared by all
//!   places that use the same visitor type with the same members, which is also how recursion is found: a shape that is
//!   still being explored further up is referred to, not entered.
//! - A value that its type rejects is tried again with other leaves, [`PROBES`] times. A leaf that accepts none becomes
//!   opaque; a compound keeps its shape.
//! - After a slot that cannot be supplied, the other fields of a struct are reached by name. Those of a tuple cannot be,
//!   and become opaque.
//!
//! Bounded by [`PASSES_MAX`], [`STEPS_MAX`], [`SLOTS_MAX`] and [`DEPTH_MAX`]; what they cut off is opaque. Panics in a
//! user's `Deserialize` count as rejection.

use std::{
    any::type_name,
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{Field, Leaf, Node, ObjectService, Variant};
use crate::{object, stream};

/// Runs of the whole `Deserialize`.
const PASSES_MAX: usize = 4_096;
/// Values deserialised in all passes together.
const STEPS_MAX: usize = 1 << 20;
/// Places in one layout.
const SLOTS_MAX: usize = 1 << 14;
/// Nesting. Half of what fingerprints look at.
const DEPTH_MAX: usize = super::FINGERPRINT_ROUNDS / 2;
/// Variations tried before a value counts as rejected. At least the length of the longest list of probes.
const PROBES: usize = 42;
/// The longest tuple whose elements are told apart. Serde's own are shorter; what is longer is an array.
const TUPLE_MAX: usize = 16;

const INTEGERS: &[i32] = &[
    1,
    0,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
    16,
    20,
    24,
    32,
    50,
    64,
    99,
    100,
    127,
    128,
    200,
    255,
    -1,
    256,
    365,
    443,
    1_000,
    1_024,
    1_970,
    2_000,
    2_024,
    8_080,
    65_535,
    100_000,
    1_000_000,
    1_700_000_000,
];
const FLOATS: &[f32] = &[1.0, 0.0, 0.5, -1.0, 2.0, 10.0, 100.0, 1e6];
const CHARS: &[char] = &['a', 'A', '0', '1', ' ', '-', '+', '/', '\n', 'ß'];
const BYTE_COUNTS: &[usize] = &[16, 0, 1, 2, 3, 4, 6, 8, 10, 12, 20, 24, 28, 32, 33, 48, 64, 65, 96, 128];
const STRINGS: &[&str] = &[
    "0",
    "a",
    "",
    "1",
    "A",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "[::1]:80",
    "10.0.0.0/8",
    "00000000-0000-4000-8000-000000000000",
    "http://localhost/",
    "https://example.com/",
    "2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00",
    "2000-01-01 00:00:00",
    "2000-01-01",
    "00:00:00",
    "+00:00",
    "UTC",
    "Europe/Berlin",
    "1s",
    "PT1S",
    "1.0.0",
    "1.5",
    "en",
    "en-US",
    "EUR",
    "a@example.com",
    "example.com",
    "/",
    "text/plain",
    "#000000",
    "00:00:00:00:00:00",
    "+491701234567",
    "0x0",
    "AAAA",
    "00000000000000000000000000000000",
    "true",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "Mon",
    "Jan",
];

/// The layout of `T` as nodes, and which of them is the outermost. `written` names it should it be opaque.
pub(super) fn trace<T: DeserializeOwned>(written: &'static str) -> (Vec<Node<usize>>, usize) {
    let mut tracer = Tracer::default();
    let root = tracer.slot(written);
    for _ in 0..PASSES_MAX {
        tracer.begin_pass();
        let at = At { tracer: &mut tracer, slot: root, variation: 0, depth: 0 }.varied();
        match catch_unwind(AssertUnwindSafe(|| T::deserialize(at).is_ok())) {
            Ok(accepted) => tracer.settle(root, accepted),
            Err(_) => tracer.settle(tracer.last, false),
        }
        if tracer.is_done(root) || !tracer.learned {
            break;
        }
    }
    tracer.into_nodes(root)
}

type SlotId = usize;
type ShapeId = usize;

/// A place where a value occurs.
struct Slot {
    /// The name of the type that was asked for here; empty if nobody said.
    name: &'static str,
    content: Content,
    /// Nothing is left to find out here.
    done: bool,
    /// No value was accepted.
    rejects: bool,
    variation: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Content {
    Unseen,
    Leaf(Leaf),
    Shape(ShapeId),
    Unsupported(&'static str),
    Unknown,
}

/// What a compound type consists of.
struct Shape {
    kind: Kind,
    /// The type's name, to call parts by that have none.
    type_name: &'static str,
    is_entered: bool,
    is_explored: bool,
    /// The nesting of the least value that can be supplied, once there is one. Supplying always goes down in height,
    /// so it ends even in a recursive type.
    height: Option<usize>,
}

enum Kind {
    Newtype {
        name: &'static str,
        inner: SlotId,
    },
    Option(SlotId),
    Seq(SlotId),
    Map(SlotId, SlotId),
    Array(SlotId, usize),
    /// What its items and its error are.
    Stream(SlotId, SlotId),
    Product {
        name: &'static str,
        fields: Fields,
    },
    Enum {
        name: &'static str,
        variants: Vec<TracedVariant>,
    },
}

#[derive(Clone)]
struct Fields {
    slots: Rc<[SlotId]>,
    /// Empty if fields have no names.
    names: &'static [&'static str],
    /// The type reads its fields by name only, although bincode offers them in order.
    by_name_only: bool,
}

#[derive(Clone)]
struct TracedVariant {
    name: &'static str,
    fields: Option<Fields>,
    /// The variant cannot be selected by its index.
    is_unknown: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ShapeKey {
    visitor: &'static str,
    value: &'static str,
    kind: &'static str,
    name: &'static str,
    members: &'static [&'static str],
    len: usize,
}

/// A pass, or a part of it, ended. Why is in the tracer.
#[derive(Debug)]
struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this part of the layout is not traced any further")
    }
}

impl std::error::Error for Ended {}

impl serde::de::Error for Ended {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Ended
    }
}

#[derive(Default)]
struct Tracer {
    slots: Vec<Slot>,
    shapes: Vec<Shape>,
    keys: HashMap<ShapeKey, ShapeId>,
    steps: usize,
    /// The slot read last, to blame if the user's code panics.
    last: SlotId,
    /// The failure on its way up was caused or noted further down.
    explained: bool,
    /// This pass found something out.
    learned: bool,
}

impl Tracer {
    fn begin_pass(&mut self) {
        self.explained = false;
        self.learned = false;
        for shape in &mut self.shapes {
            shape.is_entered = false;
        }
    }

    fn slot(&mut self, name: &'static str) -> SlotId {
        self.slots.push(Slot { name, content: Content::Unseen, done: false, rejects: false, variation: 0 });
        self.slots.len() - 1
    }

    fn fields(&mut self, count: usize, names: &'static [&'static str]) -> Fields {
        Fields { slots: (0..count).map(|_| self.slot("")).collect(), names, by_name_only: false }
    }

    fn stop<T>(&mut self) -> Result<T, Ended> {
        self.explained = true;
        Err(Ended)
    }

    fn step(&mut self, slot: SlotId) -> Result<(), Ended> {
        self.last = slot;
        self.steps += 1;
        if self.steps > STEPS_MAX || self.slots.len() > SLOTS_MAX {
            return self.stop();
        }
        Ok(())
    }

    fn is_done(&self, slot: SlotId) -> bool {
        let slot = &self.slots[slot];
        slot.done || matches!(slot.content, Content::Shape(shape) if self.shapes[shape].is_explored)
    }

    /// The height of the least value for a slot, if one can be supplied.
    fn height(&self, slot: SlotId) -> Option<usize> {
        let slot = &self.slots[slot];
        match slot.content {
            _ if slot.rejects => None,
            Content::Leaf(_) => Some(0),
            Content::Shape(shape) => self.shapes[shape].height,
            Content::Unseen | Content::Unsupported(_) | Content::Unknown => None,
        }
    }

    fn fields_height(&self, fields: &Fields) -> Option<usize> {
        if fields.by_name_only {
            return None;
        }
        fields.slots.iter().try_fold(0, |most, slot| Some(most.max(self.height(*slot)?)))
    }

    fn is_blocked(&self, slot: SlotId) -> bool {
        self.is_done(slot) && self.height(slot).is_none()
    }

    /// Sets what is in a slot; the first finding stays. A type that reads something else there next time has no layout.
    fn set_content(&mut self, slot: SlotId, content: Content) -> Result<(), Ended> {
        let known = &mut self.slots[slot];
        if known.content == Content::Unseen {
            known.content = content;
            self.learned = true;
        } else if known.content != content {
            self.give_up(slot);
        }
        if self.slots[slot].rejects { self.stop() } else { Ok(()) }
    }

    fn give_up(&mut self, slot: SlotId) {
        let slot = &mut self.slots[slot];
        if slot.content != Content::Unknown {
            slot.content = Content::Unknown;
            slot.done = true;
            slot.rejects = true;
            self.learned = true;
        }
    }

    /// Notes whether the value of a slot was accepted, all wrappers around what it reads included.
    fn settle(&mut self, slot: SlotId, accepted: bool) {
        if accepted {
            let slot = &mut self.slots[slot];
            if slot.content == Content::Unseen {
                slot.content = Content::Leaf(Leaf::Unit);
            }
            if matches!(slot.content, Content::Leaf(_)) && !slot.done {
                slot.done = true;
                self.learned = true;
            }
        } else if !std::mem::replace(&mut self.explained, true) {
            self.vary(slot);
        }
    }

    /// Sees to it that the next pass tries another value for a slot.
    fn vary(&mut self, slot: SlotId) {
        match self.slots[slot].content {
            // While there are parts to find out, every pass tries another value anyway.
            Content::Shape(shape) if !self.shapes[shape].is_explored => return,
            Content::Unseen => return self.give_up(slot),
            Content::Leaf(_) | Content::Shape(_) | Content::Unsupported(_) | Content::Unknown => {}
        }
        let slot = &mut self.slots[slot];
        if slot.rejects {
            return;
        }
        slot.variation += 1;
        self.learned = true;
        if slot.variation >= PROBES {
            slot.rejects = true;
            slot.done = true;
        }
    }

    /// Brings up to date what is known of a shape from its parts.
    fn refresh(&mut self, id: ShapeId) {
        let done = |slot: &SlotId| self.is_done(*slot);
        let (explored, height) = match &self.shapes[id].kind {
            Kind::Newtype { inner, .. } => (done(inner), self.height(*inner).map(|inner| inner + 1)),
            Kind::Option(inner) | Kind::Seq(inner) => (done(inner), Some(0)),
            Kind::Map(key, value) | Kind::Stream(key, value) => (done(key) && done(value), Some(0)),
            Kind::Array(_, 0) => (true, Some(0)),
            Kind::Array(element, _) => (done(element), self.height(*element).map(|element| element + 1)),
            Kind::Product { fields, .. } => {
                (fields.slots.iter().all(done), self.fields_height(fields).map(|most| most + 1))
            }
            Kind::Enum { variants, .. } => (
                variants.iter().all(|variant| {
                    variant.is_unknown
                        || variant.fields.as_ref().is_some_and(|fields| fields.slots.iter().all(done))
                }),
                variants
                    .iter()
                    .filter_map(|variant| self.fields_height(variant.fields.as_ref()?))
                    .min()
                    .map(|least| least + 1),
            ),
        };
        let shape = &mut self.shapes[id];
        self.learned |= explored != shape.is_explored || height.is_some() != shape.height.is_some();
        shape.is_explored = explored;
        shape.height = height;
    }

    fn variants(&self, id: ShapeId) -> &[TracedVariant] {
        match &self.shapes[id].kind {
            Kind::Enum { variants, .. } => variants,
            _ => &[],
        }
    }

    fn variant_mut(&mut self, id: ShapeId, index: usize) -> Option<&mut TracedVariant> {
        match &mut self.shapes[id].kind {
            Kind::Enum { variants, .. } => variants.get_mut(index),
            _ => None,
        }
    }

    /// The first variant not covered yet; else one that can be supplied, smallest first, others on variation.
    fn choose_variant(&self, id: ShapeId, variation: usize) -> Option<usize> {
        let variants = self.variants(id);
        let open = variants.iter().position(|variant| {
            !variant.is_unknown
                && variant
                    .fields
                    .as_ref()
                    .is_none_or(|fields| fields.slots.iter().any(|slot| !self.is_done(*slot)))
        });
        if open.is_some() {
            return open;
        }
        let mut possible: Vec<(usize, usize)> = variants
            .iter()
            .enumerate()
            .filter_map(|(index, variant)| Some((self.fields_height(variant.fields.as_ref()?)?, index)))
            .collect();
        possible.sort_unstable();
        let choice = variation.checked_rem(possible.len())?;
        Some(possible[choice].1)
    }

    /// The fields of a variant, made when it is first seen.
    fn variant_fields(
        &mut self,
        id: ShapeId,
        index: usize,
        count: usize,
        names: &'static [&'static str],
    ) -> Result<Fields, Ended> {
        match self.variants(id).get(index).and_then(|variant| variant.fields.clone()) {
            Some(fields) if fields.slots.len() == count => return Ok(fields),
            Some(_) => return self.stop(),
            None => {}
        }
        let fields = self.fields(count, names);
        if let Some(variant) = self.variant_mut(id, index) {
            variant.fields = Some(fields.clone());
        }
        self.learned = true;
        Ok(fields)
    }

    fn into_nodes(self, root: SlotId) -> (Vec<Node<usize>>, usize) {
        let mut nodes = Vec::with_capacity(self.shapes.len());
        // Shapes keep their numbers; leaves are appended behind them.
        let mut leaves = Vec::new();
        for shape in &self.shapes {
            let mut part = |slot: SlotId, place: &str| self.node_of(slot, shape, place, &mut leaves);
            let node = match &shape.kind {
                Kind::Newtype { name, inner } => Node::Newtype { name, inner: part(*inner, "0") },
                Kind::Option(inner) => Node::Optional(part(*inner, "Some")),
                Kind::Seq(element) => Node::Seq(part(*element, "element")),
                Kind::Map(key, value) => Node::Map(part(*key, "key"), part(*value, "value")),
                Kind::Array(element, len) => Node::Array(part(*element, "element"), *len),
                Kind::Stream(item, error) => Node::Stream(part(*item, "item"), part(*error, "error")),
                Kind::Product { name, fields } => {
                    Node::Product { name, fields: fields.to_nodes("", &mut part) }
                }
                Kind::Enum { name, variants } => Node::Enum {
                    name,
                    variants: variants
                        .iter()
                        .map(|variant| Variant {
                            name: variant.name,
                            fields: variant
                                .fields
                                .as_ref()
                                .map(|fields| fields.to_nodes(variant.name, &mut part)),
                        })
                        .collect(),
                },
            };
            nodes.push(node);
        }
        let root = match self.slots[root].content {
            Content::Shape(shape) => shape,
            _ => {
                leaves.push(self.leaf_node(&self.slots[root], String::new));
                self.shapes.len() + leaves.len() - 1
            }
        };
        nodes.extend(leaves);
        (nodes, root)
    }

    fn node_of(&self, slot: SlotId, parent: &Shape, place: &str, leaves: &mut Vec<Node<usize>>) -> usize {
        let slot = &self.slots[slot];
        if let Content::Shape(shape) = slot.content {
            return shape;
        }
        leaves.push(self.leaf_node(slot, || format!("{}.{place}", short(parent.type_name))));
        self.shapes.len() + leaves.len() - 1
    }

    fn leaf_node(&self, slot: &Slot, place: impl Fn() -> String) -> Node<usize> {
        let name = || match slot.name {
            "" => place(),
            name => short(name),
        };
        match slot.content {
            Content::Leaf(leaf) if slot.rejects => Node::Opaque { name: name(), base: Some(leaf) },
            Content::Leaf(leaf) => Node::Leaf(leaf),
            Content::Unsupported(reads) => Node::Unsupported { reads },
            Content::Unseen | Content::Unknown | Content::Shape(_) => {
                Node::Opaque { name: name(), base: None }
            }
        }
    }
}

impl Fields {
    fn to_nodes(&self, variant: &str, part: &mut impl FnMut(SlotId, &str) -> usize) -> Vec<Field<usize>> {
        let separator = if variant.is_empty() { "" } else { "." };
        self.slots
            .iter()
            .enumerate()
            .map(|(ordinal, slot)| Field {
                name: self.names.get(ordinal).copied().unwrap_or_default(),
                layout: part(*slot, &format!("{variant}{separator}{ordinal}")),
            })
            .collect()
    }
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

/// Deserializes the value of one slot.
struct At<'t> {
    tracer: &'t mut Tracer,
    slot: SlotId,
    /// The sum of the variations of all slots from the root to here.
    variation: usize,
    depth: usize,
}

impl<'t> At<'t> {
    fn part(&mut self, slot: SlotId) -> At<'_> {
        At { tracer: self.tracer, slot, variation: self.variation, depth: self.depth + 1 }.varied()
    }

    fn varied(mut self) -> Self {
        self.variation += self.tracer.slots[self.slot].variation;
        self
    }

    fn own_variation(&self) -> usize {
        self.tracer.slots[self.slot].variation
    }

    fn leaf<'de, V: Visitor<'de>>(
        self,
        leaf: Leaf,
        visit: impl FnOnce(usize) -> Result<V::Value, Ended>,
    ) -> Result<V::Value, Ended> {
        self.tracer.step(self.slot)?;
        self.tracer.set_content(self.slot, Content::Leaf(leaf))?;
        let name = &mut self.tracer.slots[self.slot].name;
        if name.is_empty() {
            *name = type_name::<V::Value>();
        }
        visit(self.variation)
    }

    fn unsupported<T>(self, reads: &'static str) -> Result<T, Ended> {
        self.tracer.step(self.slot)?;
        self.tracer.set_content(self.slot, Content::Unsupported(reads))?;
        self.tracer.slots[self.slot].done = true;
        self.tracer.stop()
    }

    /// Enters a compound type, lets `read` have its parts, and takes stock.
    fn compound<'de, V: Visitor<'de>>(
        mut self,
        kind: &'static str,
        name: &'static str,
        members: &'static [&'static str],
        len: usize,
        make: impl FnOnce(&mut Tracer) -> Kind,
        read: impl FnOnce(&mut Self, ShapeId) -> Result<V::Value, Ended>,
    ) -> Result<V::Value, Ended> {
        self.tracer.step(self.slot)?;
        if self.depth > DEPTH_MAX {
            self.tracer.give_up(self.slot);
            return self.tracer.stop();
        }
        let key =
            ShapeKey { visitor: type_name::<V>(), value: type_name::<V::Value>(), kind, name, members, len };
        let known = self.tracer.keys.get(&key).copied();
        let id = known.unwrap_or_else(|| {
            let kind = make(self.tracer);
            let type_name = type_name::<V::Value>();
            self.tracer.shapes.push(Shape {
                kind,
                type_name,
                is_entered: false,
                is_explored: false,
                height: None,
            });
            self.tracer.keys.insert(key, self.tracer.shapes.len() - 1);
            self.tracer.shapes.len() - 1
        });
        self.tracer.set_content(self.slot, Content::Shape(id))?;
        let shape = &self.tracer.shapes[id];
        let was_entered = shape.is_entered;
        if was_entered && !shape.is_explored {
            // A recursion. Its parts are being explored further up.
            let slot = &mut self.tracer.slots[self.slot];
            self.tracer.learned |= !std::mem::replace(&mut slot.done, true);
            return self.tracer.stop();
        }
        if shape.is_explored && shape.height.is_none() {
            return self.tracer.stop();
        }
        self.tracer.shapes[id].is_entered = true;
        let result = read(&mut self, id);
        self.tracer.shapes[id].is_entered = was_entered;
        self.tracer.refresh(id);
        result
    }

    /// Reads fields in their order or, past one that cannot be supplied, the next unknown one by its name.
    fn read_fields<'de, V: Visitor<'de>>(
        &mut self,
        fields: &Fields,
        visitor: V,
    ) -> (Result<V::Value, Ended>, ByNameOnly) {
        let open = fields.slots.iter().position(|slot| !self.tracer.is_done(*slot));
        let blocked = fields.slots.iter().position(|slot| self.tracer.is_blocked(*slot));
        match (open, blocked) {
            (None, Some(_)) => return (self.tracer.stop(), ByNameOnly(fields.by_name_only)),
            (None, None) if fields.by_name_only => return (self.tracer.stop(), ByNameOnly(true)),
            (Some(open), blocked) if fields.by_name_only || blocked.is_some_and(|blocked| blocked < open) => {
                return (self.read_beyond(fields, open, visitor), ByNameOnly(fields.by_name_only));
            }
            (Some(_) | None, _) => {}
        }
        let mut read = 0;
        let result = visitor.visit_seq(FieldsInOrder { at: self, slots: &fields.slots, read: &mut read });
        let refused = result.is_err() && !self.tracer.explained && read == 0 && !fields.names.is_empty();
        if refused {
            self.tracer.explained = true;
            self.tracer.learned = true;
        }
        (result, ByNameOnly(refused))
    }

    fn read_beyond<'de, V: Visitor<'de>>(
        &mut self,
        fields: &Fields,
        open: usize,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        let Some(name) = fields.names.get(open) else {
            for slot in &fields.slots[open..] {
                if !self.tracer.is_done(*slot) {
                    self.tracer.give_up(*slot);
                }
            }
            return self.tracer.stop();
        };
        let slot = fields.slots[open];
        let result = visitor.visit_map(OneField { at: self, name: Some(name), slot });
        if self.tracer.slots[slot].content == Content::Unseen {
            self.tracer.give_up(slot);
        }
        self.tracer.explained = true;
        result
    }
}

struct ByNameOnly(bool);

macro_rules! integers {
    ($($deserialize:ident $visit:ident $type:ident $leaf:ident;)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
            self.leaf::<V>(Leaf::$leaf, |variation| {
                let probe = INTEGERS[variation % INTEGERS.len()];
                visitor.$visit($type::try_from(probe).unwrap_or(1))
            })
        }
    )*};
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Ended;

    integers! {
        deserialize_i8 visit_i8 i8 I8;
        deserialize_i16 visit_i16 i16 I16;
        deserialize_i32 visit_i32 i32 I32;
        deserialize_i64 visit_i64 i64 I64;
        deserialize_i128 visit_i128 i128 I128;
        deserialize_u8 visit_u8 u8 U8;
        deserialize_u16 visit_u16 u16 U16;
        deserialize_u32 visit_u32 u32 U32;
        deserialize_u64 visit_u64 u64 U64;
        deserialize_u128 visit_u128 u128 U128;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::Bool, |variation| visitor.visit_bool(variation % 2 == 1))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::F32, |variation| visitor.visit_f32(FLOATS[variation % FLOATS.len()]))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::F64, |variation| visitor.visit_f64(FLOATS[variation % FLOATS.len()].into()))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::Char, |variation| visitor.visit_char(CHARS[variation % CHARS.len()]))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::Text, |variation| visitor.visit_borrowed_str(STRINGS[variation % STRINGS.len()]))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::Bytes, |variation| {
            visitor.visit_bytes(&vec![0; BYTE_COUNTS[variation % BYTE_COUNTS.len()]])
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.leaf::<V>(Leaf::Unit, |_| visitor.visit_unit())
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Ended> {
        self.unsupported("a value of any type (an untagged or internally tagged enum, or a JSON value)")
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Ended> {
        self.unsupported("and ignores a value of any type")
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Ended> {
        self.unsupported("the name of a field or a tag (`#[serde(flatten)]`, or an adjacently tagged enum)")
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        if name == object::OBJECT
            && let Some(service) = object::traced_service()
        {
            return self.leaf::<V>(Leaf::Object(ObjectService(service)), |_| visitor.visit_unit());
        }
        if name == stream::STREAM {
            let make = |tracer: &mut Tracer| Kind::Stream(tracer.slot(""), tracer.slot(""));
            return self.compound::<V>("stream", name, &[], 2, make, |at, id| {
                let Kind::Stream(item, error) = at.tracer.shapes[id].kind else { return at.tracer.stop() };
                let open = [item, error].into_iter().find(|slot| !at.tracer.is_done(*slot));
                visitor.visit_seq(StreamParts { at, slots: [item, error], next: 0, open })
            });
        }
        let make = |tracer: &mut Tracer| Kind::Newtype { name, inner: tracer.slot("") };
        self.compound::<V>("newtype", name, &[], 1, make, |at, id| {
            let Kind::Newtype { inner, .. } = at.tracer.shapes[id].kind else { return at.tracer.stop() };
            let result = visitor.visit_newtype_struct(at.part(inner));
            at.tracer.settle(inner, result.is_ok());
            result
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        let inside = type_name::<V::Value>()
            .strip_prefix("core::option::Option<")
            .and_then(|name| name.strip_suffix('>'))
            .unwrap_or_default();
        let make = |tracer: &mut Tracer| Kind::Option(tracer.slot(inside));
        self.compound::<V>("option", "", &[], 1, make, |at, id| {
            let Kind::Option(inner) = at.tracer.shapes[id].kind else { return at.tracer.stop() };
            let open = !at.tracer.is_done(inner);
            if !open && (at.own_variation() % 2 == 0 || at.tracer.height(inner).is_none()) {
                return visitor.visit_none();
            }
            let result = visitor.visit_some(at.part(inner));
            at.tracer.settle(inner, result.is_ok());
            result
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        let make = |tracer: &mut Tracer| Kind::Seq(tracer.slot(""));
        self.compound::<V>("seq", "", &[], 0, make, |at, id| {
            let Kind::Seq(element) = at.tracer.shapes[id].kind else { return at.tracer.stop() };
            let open = !at.tracer.is_done(element);
            let wanted = open || (at.own_variation() % 2 == 1 && at.tracer.height(element).is_some());
            visitor.visit_seq(Elements { at, slot: element, left: usize::from(wanted) })
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        let make = |tracer: &mut Tracer| Kind::Map(tracer.slot(""), tracer.slot(""));
        self.compound::<V>("map", "", &[], 0, make, |at, id| {
            let Kind::Map(key, value) = at.tracer.shapes[id].kind else { return at.tracer.stop() };
            let open = !at.tracer.is_done(key) || !at.tracer.is_done(value);
            let can = at.tracer.height(key).is_some() && at.tracer.height(value).is_some();
            let wanted = open || (at.own_variation() % 2 == 1 && can);
            visitor.visit_map(Entries { at, key, value, left: usize::from(wanted) })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Ended> {
        if len <= TUPLE_MAX {
            return self.deserialize_tuple_struct("", len, visitor);
        }
        let make = |tracer: &mut Tracer| Kind::Array(tracer.slot(""), len);
        self.compound::<V>("array", "", &[], len, make, |at, id| {
            let Kind::Array(element, _) = at.tracer.shapes[id].kind else { return at.tracer.stop() };
            visitor.visit_seq(Elements { at, slot: element, left: len })
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        let make =
            |tracer: &mut Tracer| Kind::Product { name, fields: tracer.fields(len.min(SLOTS_MAX), &[]) };
        self.compound::<V>("tuple", name, &[], len, make, |at, id| {
            let Kind::Product { fields, .. } = &at.tracer.shapes[id].kind else { return at.tracer.stop() };
            let fields = fields.clone();
            at.read_fields(&fields, visitor).0
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        let make = |tracer: &mut Tracer| Kind::Product { name, fields: tracer.fields(names.len(), names) };
        self.compound::<V>("struct", name, names, names.len(), make, |at, id| {
            let Kind::Product { fields, .. } = &at.tracer.shapes[id].kind else { return at.tracer.stop() };
            let fields = fields.clone();
            let (result, ByNameOnly(refused)) = at.read_fields(&fields, visitor);
            if let Kind::Product { fields, .. } = &mut at.tracer.shapes[id].kind {
                fields.by_name_only = refused;
            }
            result
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        let make = |_: &mut Tracer| Kind::Enum {
            name,
            variants: names
                .iter()
                .take(SLOTS_MAX)
                .map(|name| TracedVariant { name, fields: None, is_unknown: false })
                .collect(),
        };
        self.compound::<V>("enum", name, names, names.len(), make, |at, id| {
            let Some(index) = at.tracer.choose_variant(id, at.own_variation()) else {
                return at.tracer.stop();
            };
            let result = visitor.visit_enum(OneVariant { at, id, index });
            let identified =
                at.tracer.variants(id).get(index).is_some_and(|variant| variant.fields.is_some());
            if !identified && let Some(variant) = at.tracer.variant_mut(id, index) {
                variant.is_unknown = true;
                at.tracer.explained = true;
                at.tracer.learned = true;
            }
            result
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

struct FieldsInOrder<'a, 't> {
    at: &'a mut At<'t>,
    slots: &'a [SlotId],
    read: &'a mut usize,
}

impl<'de> SeqAccess<'de> for FieldsInOrder<'_, '_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Ended> {
        let Some(slot) = self.slots.get(*self.read).copied() else {
            self.at.tracer.step(self.at.slot)?;
            return Ok(None);
        };
        *self.read += 1;
        read_part(self.at, slot, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.slots.len() - *self.read)
    }
}

/// Reads the value of a slot that says its type.
fn read_part<'de, S: DeserializeSeed<'de>>(
    at: &mut At<'_>,
    slot: SlotId,
    seed: S,
) -> Result<S::Value, Ended> {
    let name = &mut at.tracer.slots[slot].name;
    if name.is_empty() {
        *name = type_name::<S::Value>();
    }
    if at.tracer.is_blocked(slot) {
        return at.tracer.stop();
    }
    let result = seed.deserialize(at.part(slot));
    at.tracer.settle(slot, result.is_ok());
    result
}

/// The elements of a sequence or array: one slot, read `left` times.
struct Elements<'a, 't> {
    at: &'a mut At<'t>,
    slot: SlotId,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Ended> {
        let Some(left) = self.left.checked_sub(1) else {
            self.at.tracer.step(self.at.slot)?;
            return Ok(None);
        };
        self.left = left;
        read_part(self.at, self.slot, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(TUPLE_MAX))
    }
}

/// An item and an error of a stream: only what is not known yet is asked for, and an empty stream is as good.
struct StreamParts<'a, 't> {
    at: &'a mut At<'t>,
    slots: [SlotId; 2],
    next: usize,
    open: Option<SlotId>,
}

impl<'de> SeqAccess<'de> for StreamParts<'_, '_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Ended> {
        let slot = self.slots.get(self.next).copied();
        self.next += 1;
        match slot {
            Some(slot) if self.open == Some(slot) => read_part(self.at, slot, seed).map(Some),
            _ => Ok(None),
        }
    }
}

struct Entries<'a, 't> {
    at: &'a mut At<'t>,
    key: SlotId,
    value: SlotId,
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Ended;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Ended> {
        let Some(left) = self.left.checked_sub(1) else {
            self.at.tracer.step(self.at.slot)?;
            return Ok(None);
        };
        self.left = left;
        let result = read_part(self.at, self.key, seed);
        if self.at.tracer.is_blocked(self.key) && !self.at.tracer.is_done(self.value) {
            // Without a key this way of reading never gets to the value.
            self.at.tracer.give_up(self.value);
        }
        result.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Ended> {
        read_part(self.at, self.value, seed)
    }

    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Result<Option<(K::Value, V::Value)>, Ended> {
        let Some(left) = self.left.checked_sub(1) else {
            self.at.tracer.step(self.at.slot)?;
            return Ok(None);
        };
        self.left = left;
        // Both seeds are here, so the value can be seen although no key is accepted.
        let key = read_part(self.at, self.key, key);
        self.at.tracer.explained = false;
        let value = read_part(self.at, self.value, value);
        self.at.tracer.explained = key.is_err() || value.is_err();
        Ok(Some((key?, value?)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A struct of which only one field is there.
struct OneField<'a, 't> {
    at: &'a mut At<'t>,
    name: Option<&'static str>,
    slot: SlotId,
}

impl<'de> MapAccess<'de> for OneField<'_, '_> {
    type Error = Ended;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Ended> {
        let Some(name) = self.name.take() else {
            self.at.tracer.step(self.at.slot)?;
            return Ok(None);
        };
        seed.deserialize(IntoDeserializer::<Ended>::into_deserializer(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Ended> {
        read_part(self.at, self.slot, seed)
    }
}

struct OneVariant<'a, 't> {
    at: &'a mut At<'t>,
    id: ShapeId,
    index: usize,
}

impl<'de> EnumAccess<'de> for OneVariant<'_, '_> {
    type Error = Ended;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Ended> {
        let index = u32::try_from(self.index).map_err(|_| Ended)?;
        let variant = seed.deserialize(IntoDeserializer::<Ended>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for OneVariant<'_, '_> {
    type Error = Ended;

    fn unit_variant(self) -> Result<(), Ended> {
        self.at.tracer.variant_fields(self.id, self.index, 0, &[]).map(|_| ())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Ended> {
        let fields = self.at.tracer.variant_fields(self.id, self.index, 1, &[])?;
        read_part(self.at, fields.slots[0], seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Ended> {
        let fields = self.at.tracer.variant_fields(self.id, self.index, len.min(SLOTS_MAX), &[])?;
        self.at.read_fields(&fields, visitor).0
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        let fields = self.at.tracer.variant_fields(self.id, self.index, names.len(), names)?;
        self.at.read_fields(&fields, visitor).0
    }
}
