//! The deserializer of a pass: it hands made-up values to a type and notes what the type asks for.

use std::{any::type_name, fmt, mem, rc::Rc};

use serde::de::{DeserializeSeed, Deserializer, Expected, Visitor};

use super::{
    Asking, DEPTH_MAX, Tracer,
    grammar::{Content, GroupState, Kind, ShapeId, ShapeKey, SlotId},
    interned,
    probes::{BYTE_COUNTS, CHARS, COUNTS, FLOATS, INTEGERS, STRINGS},
    short,
};
use crate::schema::{
    layout::{
        Leaf, ObjectService, RustType,
        trace::parts::{ByName, Elements, Entries, FieldsInOrder, Named, OneVariant, StreamParts},
        written,
    },
    markers::{self, OBJECT, STREAM},
};

/// The longest tuple whose elements are told apart. Serde's tuples have no more elements; a longer one is an array.
pub(super) const TUPLE_MAX: usize = 16;
/// How often a type may ask for more elements when none are left.
const VAIN_READS_MAX: usize = 1_000;

/// The error that ends a pass, or a part of it. The tracer holds the reason, except if only the type itself can tell it.
#[derive(Debug, Default)]
pub(super) struct Ended(Option<Told>);

#[derive(Debug)]
enum Told {
    /// The type complains that this field was given twice.
    Duplicate(&'static str),
    /// The type complains that it has this number of elements.
    Stated(usize),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this part of the layout is not traced any further")
    }
}

impl Ended {
    /// The number of elements that the type says it has.
    fn stated(self) -> Option<usize> {
        match self.0 {
            Some(Told::Stated(count)) => Some(count),
            Some(Told::Duplicate(_)) | None => None,
        }
    }
}

impl std::error::Error for Ended {}

impl serde::de::Error for Ended {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::default()
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(Some(Told::Duplicate(field)))
    }

    /// Derived code tells here how many elements it expects.
    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        let text = expected.to_string();
        let count = text.rsplit_once(" with ").and_then(|(_, rest)| {
            let (count, _) = rest.split_once(" element")?;
            count.parse().ok()
        });
        Self(count.map(Told::Stated))
    }
}

/// Deserializes the value of one slot.
pub(super) struct At<'t> {
    pub(super) tracer: &'t mut Tracer,
    pub(super) slot: SlotId,
    /// The variation of leaves below: the number of values that were rejected from the root to here.
    variation: usize,
    depth: usize,
    /// The slot's place on the way to the goal, if it is on it.
    hop: Option<usize>,
    /// Whether the slot is not being read further up as well.
    is_outermost: bool,
}

/// The group of a shape to read, and the slot in it through which the way to the goal leads.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    pub(super) group: usize,
    pub(super) toward: Option<usize>,
    pub(super) hop: Option<usize>,
}

/// A compound that is being read, and what was active before.
struct Entered {
    id: ShapeId,
    choice: Choice,
    slot_was_active: bool,
    shape_was_active: bool,
    group_was_active: bool,
}

/// The way in which the fields of a group are read in one pass.
enum Fields {
    InOrder(Rc<[SlotId]>),
    /// One field, or one name, as the type is asked for it.
    ByName(Named),
    /// No field: the type's complaint tells how many it has.
    Counted,
}

impl<'t> At<'t> {
    pub(super) fn root(tracer: &'t mut Tracer, slot: SlotId) -> Self {
        let variation = tracer.grammar.slots[slot].variation;
        At { tracer, slot, variation, depth: 0, hop: Some(0), is_outermost: true }
    }

    /// The deserializer of a part of this slot's value; `index` tells the part from its neighbours.
    fn part(&mut self, slot: SlotId, index: usize, choice: Choice) -> At<'_> {
        let own = &self.tracer.grammar.slots[slot];
        // A compound that was rejected as a whole is tried with parts that are all alike, rising, and falling.
        let shared = match self.variation % 3 {
            1 => self.variation + index,
            2 => self.variation.saturating_sub(index),
            _ => self.variation,
        };
        let variation = shared + if own.is_active { 0 } else { own.variation };
        let hop = choice.hop.filter(|_| choice.toward == Some(index));
        let is_outermost = !own.is_active;
        At { tracer: self.tracer, slot, variation, depth: self.depth + 1, hop, is_outermost }
    }

    /// How often this slot's own value was rejected. Zero inside of itself: there the least value is read, so that it ends.
    fn own_variation(&self) -> usize {
        if self.is_outermost { self.tracer.grammar.slots[self.slot].variation } else { 0 }
    }

    fn leaf<'de, V: Visitor<'de>>(
        mut self,
        leaf: Leaf,
        visit: impl FnOnce(usize) -> Result<V::Value, Ended>,
    ) -> Result<V::Value, Ended> {
        visit(self.enter_leaf(leaf, RustType::of::<V::Value>())?)
    }

    /// Notes a leaf. Returns the variation of the value that it is given.
    fn enter_leaf(&mut self, leaf: Leaf, ty: RustType) -> Result<usize, Ended> {
        self.tracer.step(self.slot)?;
        let recalled = self.tracer.grammar.recall(self.slot);
        self.tracer.grammar.set_content(self.slot, Content::Leaf(leaf));
        let slot = &mut self.tracer.grammar.slots[self.slot];
        slot.ty = slot.ty.or(Some(ty));
        if slot.name.is_empty() && slot.content != Content::Mixed {
            slot.name = ty.name;
        }
        if slot.rejects {
            return self.tracer.stop();
        }
        Ok(self.variation + recalled + self.tracer.base_variation)
    }

    fn unsupported<T>(self, reads: &'static str) -> Result<T, Ended> {
        Err(self.note_unsupported(reads))
    }

    fn note_unsupported(self, reads: &'static str) -> Ended {
        if let Err(ended) = self.tracer.step(self.slot) {
            return ended;
        }
        self.tracer.grammar.set_content(self.slot, Content::Unsupported(reads));
        self.tracer.ended()
    }

    /// Enters a compound type with `len` parts, if that can end or teach something, and lets `read` read them.
    fn compound<'de, V: Visitor<'de>>(
        mut self,
        named: (Kind, &'static str),
        members: &'static [&'static str],
        len: usize,
        read: impl FnOnce(&mut Self, ShapeId, Choice) -> Result<V::Value, Ended>,
    ) -> Result<V::Value, Ended> {
        let types = (RustType::of::<V>(), RustType::of::<V::Value>());
        let entered = self.enter_compound(named, members, len, types)?;
        let result = read(&mut self, entered.id, entered.choice);
        self.leave_compound(entered);
        result
    }

    fn enter_compound(
        &mut self,
        (kind, name): (Kind, &'static str),
        members: &'static [&'static str],
        len: usize,
        (visitor, value): (RustType, RustType),
    ) -> Result<Entered, Ended> {
        self.tracer.step(self.slot)?;
        if self.depth > DEPTH_MAX {
            return self.tracer.stop();
        }
        let key = ShapeKey { visitor: visitor.id, value: value.id, kind, name, members, len };
        let slots = match kind {
            Kind::Newtype | Kind::Option | Kind::Seq | Kind::Array(_) => 1,
            Kind::Map | Kind::Stream => 2,
            Kind::Product | Kind::Enum => len,
        };
        let grammar = &mut self.tracer.grammar;
        let id = grammar.shape(key, read_type(name, visitor, value), slots);
        grammar.set_content(self.slot, Content::Shape(id));
        let Some(choice) = self.choose(id) else { return self.tracer.stop() };
        let grammar = &mut self.tracer.grammar;
        let slot_was_active = mem::replace(&mut grammar.slots[self.slot].is_active, true);
        let shape_was_active = mem::replace(&mut grammar.shapes[id].is_active, true);
        let group = &mut grammar.shapes[id].groups[choice.group];
        let group_was_active = mem::replace(&mut group.is_active, true);
        if kind == Kind::Enum || choice.toward.is_some() {
            self.tracer.used.push((id, choice.group));
        }
        Ok(Entered { id, choice, slot_was_active, shape_was_active, group_was_active })
    }

    fn leave_compound(&mut self, entered: Entered) {
        let Entered { id, choice, slot_was_active, shape_was_active, group_was_active } = entered;
        let grammar = &mut self.tracer.grammar;
        grammar.slots[self.slot].is_active = slot_was_active;
        grammar.shapes[id].is_active = shape_was_active;
        grammar.shapes[id].groups[choice.group].is_active = group_was_active;
    }

    /// The group to read: the one on the way to the goal, else the lowest, else one that was never read. `None` if no group would
    /// end or teach anything.
    fn choose(&self, id: ShapeId) -> Option<Choice> {
        let Tracer { grammar, way, .. } = &*self.tracer;
        let shape = &grammar.shapes[id];
        if let Some(hop) = self.hop
            && let Some(next) = way.get(hop)
            && next.shape == id
        {
            return Some(Choice { group: next.group, toward: next.toward, hop: Some(hop + 1) });
        }
        let free = |group| Choice { group, toward: None, hop: None };
        if shape.kind != Kind::Enum {
            let unread = |slot: &SlotId| grammar.slots[*slot].content == Content::Unseen;
            let can_learn = || !shape.is_active && shape.groups[0].known().iter().any(unread);
            return (grammar.shape_height(id).is_some() || can_learn()).then(|| free(0));
        }
        let known = grammar.suppliable(id);
        if let Some(choice) = self.own_variation().checked_rem(known.len()) {
            return Some(free(known[choice]));
        }
        let unread =
            shape.groups.iter().position(|group| group.state == GroupState::Unentered && !group.is_active);
        unread.map(free)
    }

    /// Reads fields in their order. If one before the goal cannot be supplied, reads the field on the way to the goal by its name.
    pub(super) fn read_fields<'de, V: Visitor<'de>>(
        &mut self,
        id: ShapeId,
        choice: Choice,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        match self.fields(id, choice) {
            Fields::InOrder(slots) => {
                let mut read = 0;
                let in_order = FieldsInOrder { at: self, slots: &slots, choice, read: &mut read, vain: 0 };
                let result = visitor.visit_seq(in_order);
                self.note_fields(id, choice, read, result.is_ok());
                result
            }
            Fields::ByName(named) => {
                let mut identity = None;
                let by_name = ByName { at: self, named, choice, identity: &mut identity, given: 0 };
                let result = visitor.visit_map(by_name);
                self.note_named(id, choice, named, identity, result)
            }
            Fields::Counted => {
                let mut read = 0;
                let none = FieldsInOrder { at: self, slots: &[], choice, read: &mut read, vain: 0 };
                let result = visitor.visit_seq(none);
                let stated = result.err().and_then(Ended::stated);
                self.note_count(id, choice, stated)
            }
        }
    }

    fn fields(&self, id: ShapeId, choice: Choice) -> Fields {
        let grammar = &self.tracer.grammar;
        let group = &grammar.shapes[id].groups[choice.group];
        if let Some(Asking::Field(shape, index, name, value)) = self.tracer.asking
            && (shape, index) == (id, choice.group)
            && choice.hop == Some(self.tracer.way.len())
        {
            return Fields::ByName(Named::Twice(name, value));
        }
        let Some(index) = choice.toward.filter(|toward| !grammar.is_in_order(group, *toward)) else {
            return Fields::InOrder(Rc::clone(&group.slots));
        };
        if group.stated.is_some() {
            return Fields::ByName(Named::Field(group.key_of(index), group.slots[index], index));
        }
        // The names contain aliases. Derived code tells which names are of one field, one name in each pass. For other code,
        // only the number of fields tells.
        let name = group.identities.as_ref().and_then(|known| group.names.get(known.len()));
        name.map_or(Fields::Counted, |name| Fields::ByName(Named::Name(name)))
    }

    fn note_fields(&mut self, id: ShapeId, choice: Choice, read: usize, is_ok: bool) {
        let group = &mut self.tracer.grammar.shapes[id].groups[choice.group];
        match (is_ok, group.count) {
            (true, None) => self.tracer.grammar.set_count(id, choice.group, read),
            // The number of fields depends on their values.
            (true, Some(count)) if count != read => {
                self.tracer.grammar.set_content(self.slot, Content::Mixed)
            }
            (false, None) if !self.tracer.explained && read == 0 && !group.names.is_empty() => {
                group.by_name_only = true;
                self.tracer.explained = true;
                self.tracer.grammar.findings += 1;
            }
            (true | false, _) => {}
        }
    }

    fn note_named<T>(
        &mut self,
        id: ShapeId,
        choice: Choice,
        named: Named,
        identity: Option<u64>,
        result: Result<T, Ended>,
    ) -> Result<T, Ended> {
        match (named, &result) {
            (Named::Name(_), _) => {
                self.tracer.grammar.shapes[id].groups[choice.group].identify(identity);
                self.tracer.grammar.findings += 1;
                return self.tracer.stop();
            }
            // An error because the other fields are missing is expected.
            (Named::Field(..), _) => self.tracer.explained = true,
            (Named::Twice(..), Err(Ended(Some(Told::Duplicate(field))))) => {
                self.tracer.answered_field = Some(field);
                self.tracer.explained = true;
            }
            (Named::Twice(..), _) => {}
        }
        result
    }

    fn note_count<T>(&mut self, id: ShapeId, choice: Choice, stated: Option<usize>) -> Result<T, Ended> {
        let group = &mut self.tracer.grammar.shapes[id].groups[choice.group];
        group.stated = Some(stated.unwrap_or(group.names.len()));
        self.tracer.grammar.findings += 1;
        self.tracer.stop()
    }

    /// The number of elements that a sequence or map is given.
    fn element_count(&self, choice: Choice, parts: &[SlotId]) -> usize {
        let varied = if self.is_outermost { self.tracer.base_variation } else { 0 };
        let count = COUNTS[(self.own_variation() + varied) % COUNTS.len()];
        match choice.toward {
            Some(_) => count.max(1),
            None if parts.iter().all(|slot| self.tracer.grammar.height(*slot).is_some()) => count,
            None => 0,
        }
    }

    fn slots_of(&self, id: ShapeId) -> Rc<[SlotId]> {
        Rc::clone(&self.tracer.grammar.shapes[id].groups[0].slots)
    }
}

/// The type that a visitor reads: the one whose values it makes.
///
/// For some types of the standard library, serde reads another type and converts it: a `Range<u8>` is made from a `(u8, u8)`,
/// and a `RangeFrom<User>` from a `User`. Such types are recognised by their visitor, and get the name that serde gives them.
fn read_type(name: &'static str, visitor: RustType, value: RustType) -> RustType {
    if name.is_empty() || !visitor.name.starts_with("serde") {
        return value;
    }
    let of_value = short(value.name);
    if of_value.split('<').next() == Some(name) {
        return value;
    }
    let text = short(visitor.name);
    let generics = text.find('<').filter(|_| text.ends_with('>')).map_or("", |start| &text[start..]);
    RustType { id: visitor.id, name: interned(format!("{name}{generics}")) }
}

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
            // Many types of keys and identifiers reject zeros.
            let fill = u8::from(variation / BYTE_COUNTS.len() % 2 == 1);
            visitor.visit_bytes(&vec![fill; BYTE_COUNTS[variation % BYTE_COUNTS.len()]])
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
        if name == OBJECT
            && let Some(service) = markers::traced_service()
        {
            return self.leaf::<V>(Leaf::Object(ObjectService(service)), |_| visitor.visit_unit());
        }
        if name == STREAM {
            return self.compound::<V>((Kind::Stream, name), &[], 2, |at, id, choice| {
                let slots = at.slots_of(id);
                let parts = StreamParts { at: &mut *at, slots: &slots, next: 0, choice };
                let result = visitor.visit_seq(parts);
                if let Some(part) = choice.toward {
                    at.tracer.items.extend(written::offered().map(|record| (slots[part], record)));
                }
                result
            });
        }
        self.compound::<V>((Kind::Newtype, name), &[], 1, |at, id, choice| {
            let inner = at.slots_of(id)[0];
            let result = visitor.visit_newtype_struct(at.part(inner, 0, choice));
            at.tracer.settle(inner, result.is_ok());
            result
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        let inside = type_name::<V::Value>()
            .strip_prefix("core::option::Option<")
            .and_then(|name| name.strip_suffix('>'))
            .unwrap_or_default();
        self.compound::<V>((Kind::Option, ""), &[], 1, |at, id, choice| {
            let inner = at.slots_of(id)[0];
            let slot = &mut at.tracer.grammar.slots[inner];
            if slot.name.is_empty() && slot.content == Content::Unseen {
                slot.name = inside;
            }
            if choice.toward.is_none() && at.element_count(choice, &[inner]) % 2 == 0 {
                return visitor.visit_none();
            }
            let result = visitor.visit_some(at.part(inner, 0, choice));
            at.tracer.settle(inner, result.is_ok());
            result
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.compound::<V>((Kind::Seq, ""), &[], 1, |at, id, choice| {
            let slot = at.slots_of(id)[0];
            let left = at.element_count(choice, &[slot]);
            visitor.visit_seq(Elements { at, slot, choice, left, vain: 0 })
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Ended> {
        self.compound::<V>((Kind::Map, ""), &[], 2, |at, id, choice| {
            let slots = at.slots_of(id);
            let left = at.element_count(choice, &slots);
            visitor.visit_map(Entries { at, slots: &slots, choice, left, vain: 0 })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Ended> {
        if len <= TUPLE_MAX {
            return self.deserialize_tuple_struct("", len, visitor);
        }
        self.compound::<V>((Kind::Array(len), ""), &[], len, |at, id, choice| {
            let slot = at.slots_of(id)[0];
            visitor.visit_seq(Elements { at, slot, choice, left: len, vain: 0 })
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.compound::<V>((Kind::Product, name), &[], len, |at, id, choice| {
            at.read_fields(id, choice, visitor)
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.compound::<V>((Kind::Product, name), names, names.len(), |at, id, choice| {
            at.read_fields(id, choice, visitor)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.compound::<V>((Kind::Enum, name), names, 0, |at, id, choice| {
            let result = visitor.visit_enum(OneVariant { at: &mut *at, id, choice });
            at.tracer.note_variant(id, choice, result.is_ok());
            result
        })
    }

    fn is_human_readable(&self) -> bool {
        self.tracer.is_human_readable
    }
}

impl Tracer {
    /// Notes the type that is asked for in a slot.
    fn note_part(&mut self, slot: SlotId, ty: RustType) {
        let entry = &mut self.grammar.slots[slot];
        entry.asked = entry.asked.or(Some(ty));
        if entry.content == Content::Unseen {
            entry.value = Some(ty.id);
            entry.ty = Some(ty);
            if entry.name.is_empty() {
                entry.name = ty.name;
            }
        }
    }

    fn note_variant(&mut self, id: ShapeId, choice: Choice, is_ok: bool) {
        if self.grammar.shapes[id].groups[choice.group].state == GroupState::Entered {
            return;
        }
        if is_ok {
            self.grammar.enter(id, choice.group, 0, &[]);
        } else if !mem::replace(&mut self.explained, true) {
            self.grammar.refuse(id, choice.group);
        }
    }
}

/// Reads the value of a slot with a seed, which tells the slot's type.
pub(super) fn read_part<'de, S: DeserializeSeed<'de>>(
    at: &mut At<'_>,
    slot: SlotId,
    index: usize,
    choice: Choice,
    seed: S,
) -> Result<S::Value, Ended> {
    at.tracer.note_part(slot, RustType::of::<S::Value>());
    let result = seed.deserialize(at.part(slot, index, choice));
    at.tracer.settle(slot, result.is_ok());
    result
}

/// The answer to a type that asks for more when nothing is left. A type that does not stop asking is rejected.
pub(super) fn nothing_left<T>(at: &mut At<'_>, vain: &mut usize) -> Result<Option<T>, Ended> {
    note_vain(at, vain).map(|()| None)
}

fn note_vain(at: &mut At<'_>, vain: &mut usize) -> Result<(), Ended> {
    at.tracer.step(at.slot)?;
    *vain += 1;
    if *vain > VAIN_READS_MAX {
        at.tracer.grammar.reject(at.slot);
        return at.tracer.stop();
    }
    Ok(())
}
