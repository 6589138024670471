//! The parts that a traced type is given to read: its fields, elements, entries and variants.

use std::{any::type_name, hash::BuildHasher, mem};

use rustc_hash::FxBuildHasher;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::schema::layout::trace::{
    Asking, Tracer,
    grammar::{Content, ShapeId, SlotId},
    reading::{At, Choice, Ended, TUPLE_MAX, nothing_left, read_part},
};

pub(super) struct FieldsInOrder<'a, 't> {
    pub(super) at: &'a mut At<'t>,
    pub(super) slots: &'a [SlotId],
    pub(super) choice: Choice,
    pub(super) read: &'a mut usize,
    pub(super) vain: usize,
}

impl<'de> SeqAccess<'de> for FieldsInOrder<'_, '_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Ended> {
        let Some(slot) = self.slots.get(*self.read).copied() else {
            return nothing_left(self.at, &mut self.vain);
        };
        let index = *self.read;
        *self.read += 1;
        read_part(self.at, slot, index, self.choice, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.slots.len() - *self.read)
    }
}

/// The elements of a sequence or array: one slot, read `left` times.
pub(super) struct Elements<'a, 't> {
    pub(super) at: &'a mut At<'t>,
    pub(super) slot: SlotId,
    pub(super) choice: Choice,
    pub(super) left: usize,
    pub(super) vain: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Ended> {
        let Some(left) = self.left.checked_sub(1) else { return nothing_left(self.at, &mut self.vain) };
        self.left = left;
        read_part(self.at, self.slot, 0, self.choice, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(TUPLE_MAX))
    }
}

/// The item and the error of a stream. Only the one on the way to the goal is supplied; a stream may have neither.
pub(super) struct StreamParts<'a, 't> {
    pub(super) at: &'a mut At<'t>,
    pub(super) slots: &'a [SlotId],
    pub(super) next: usize,
    pub(super) choice: Choice,
}

impl<'de> SeqAccess<'de> for StreamParts<'_, '_> {
    type Error = Ended;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Ended> {
        let index = self.next;
        self.next += 1;
        match self.slots.get(index) {
            Some(slot) if self.choice.toward == Some(index) => {
                read_part(self.at, *slot, index, self.choice, seed).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// The entries of a map.
pub(super) struct Entries<'a, 't> {
    pub(super) at: &'a mut At<'t>,
    /// The slot of keys and the slot of values.
    pub(super) slots: &'a [SlotId],
    pub(super) choice: Choice,
    pub(super) left: usize,
    pub(super) vain: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Ended;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Ended> {
        let Some(left) = self.left.checked_sub(1) else { return nothing_left(self.at, &mut self.vain) };
        self.left = left;
        read_part(self.at, self.slots[0], 0, self.choice, seed).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Ended> {
        read_part(self.at, self.slots[1], 1, self.choice, seed)
    }

    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Result<Option<(K::Value, V::Value)>, Ended> {
        let Some(left) = self.left.checked_sub(1) else { return nothing_left(self.at, &mut self.vain) };
        self.left = left;
        // Both seeds are at hand, so the value can be seen even if no key is accepted.
        let key = read_part(self.at, self.slots[0], 0, self.choice, key);
        self.at.tracer.explained = false;
        let value = read_part(self.at, self.slots[1], 1, self.choice, value);
        self.at.tracer.explained = key.is_err() || value.is_err();
        Ok(Some((key?, value?)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// What a struct is given by name. One type does for all three, so that derived code has one copy of what reads it.
#[derive(Clone, Copy)]
pub(super) enum Named {
    /// Only the field with this name; its slot and its place among the fields.
    Field(&'static str, SlotId, usize),
    /// Only the name of a field, to see the identity that the type gives it.
    Name(&'static str),
    /// The field with this name, given twice, and the slot for its value.
    Twice(&'static str, SlotId),
}

pub(super) struct ByName<'a, 't> {
    pub(super) at: &'a mut At<'t>,
    pub(super) named: Named,
    pub(super) choice: Choice,
    /// The identity of [`Named::Name`].
    pub(super) identity: &'a mut Option<u64>,
    pub(super) given: usize,
}

impl ByName<'_, '_> {
    /// The name of the next field, if there is one.
    fn next_name(&mut self) -> Result<Option<&'static str>, Ended> {
        self.given += 1;
        let (name, fields) = match self.named {
            Named::Field(name, ..) => (name, 1),
            Named::Name(name) => (name, 1),
            Named::Twice(name, _) => (name, 2),
        };
        if self.given > fields || fields == 2 {
            self.at.tracer.step(self.at.slot)?;
        }
        Ok((self.given <= fields).then_some(name))
    }
}

impl<'de> MapAccess<'de> for ByName<'_, '_> {
    type Error = Ended;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Ended> {
        let Some(name) = self.next_name()? else { return Ok(None) };
        let field = seed.deserialize(IntoDeserializer::<Ended>::into_deserializer(name))?;
        if let Named::Name(_) = self.named {
            *self.identity = identity(&field);
            return Err(Ended::default());
        }
        Ok(Some(field))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Ended> {
        match self.named {
            Named::Field(_, slot, index) => read_part(self.at, slot, index, self.choice, seed),
            Named::Twice(_, slot) => {
                read_part(self.at, slot, 0, Choice { toward: None, ..self.choice }, seed)
            }
            Named::Name(_) => Err(Ended::default()),
        }
    }
}

/// The identity that derived code gives to a variant's index, or to a name: equal for equal variants or fields. `None` if the
/// code is not derived.
pub(super) fn identity<T>(variant: &T) -> Option<u64> {
    let is_derived = type_name::<T>().rsplit("::").next().is_some_and(|name| name.starts_with("__Field"));
    is_derived.then(|| FxBuildHasher.hash_one(mem::discriminant(variant)))
}

pub(super) struct OneVariant<'a, 't> {
    pub(super) at: &'a mut At<'t>,
    pub(super) id: ShapeId,
    pub(super) choice: Choice,
}

impl OneVariant<'_, '_> {
    fn enter(&mut self, count: usize, names: &'static [&'static str]) -> Result<(), Ended> {
        let Tracer { grammar, .. } = &mut *self.at.tracer;
        if grammar.enter(self.id, self.choice.group, count, names).is_none() {
            grammar.set_content(self.at.slot, Content::Mixed);
            return self.at.tracer.stop();
        }
        Ok(())
    }
}

impl<'de> EnumAccess<'de> for OneVariant<'_, '_> {
    type Error = Ended;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Ended> {
        let tracer = &mut *self.at.tracer;
        if let Some(Asking::Variant(shape, name)) = tracer.asking
            && shape == self.id
            && self.choice.hop == Some(tracer.way.len())
        {
            let variant = seed.deserialize(IntoDeserializer::<Ended>::into_deserializer(name))?;
            tracer.answered_variant = identity(&variant);
            return tracer.stop();
        }
        let index = u32::try_from(self.choice.group).map_err(|_| Ended::default())?;
        let variant = seed.deserialize(IntoDeserializer::<Ended>::into_deserializer(index))?;
        match identity(&variant) {
            Some(identity) if !tracer.grammar.identify(self.id, self.choice.group, identity) => {
                Err(Ended::default())
            }
            _ => Ok((variant, self)),
        }
    }
}

impl<'de> VariantAccess<'de> for OneVariant<'_, '_> {
    type Error = Ended;

    fn unit_variant(mut self) -> Result<(), Ended> {
        self.enter(0, &[])
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, Ended> {
        self.enter(1, &[])?;
        let slot = self.at.tracer.grammar.shapes[self.id].groups[self.choice.group].slots[0];
        read_part(self.at, slot, 0, self.choice, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Ended> {
        self.enter(len, &[])?;
        self.at.read_fields(self.id, self.choice, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        self.enter(names.len(), names)?;
        self.at.read_fields(self.id, self.choice, visitor)
    }
}
