//! Types that are data, and serialise as serde's derive would have made them.
//!
//! A `Node<SIDE, KIND>` is a value of that kind in the current types of that side. Every kind is a type of its own, as it
//! would be in a program; that derived code does the same is tested with a sample of both (`sample.rs`).

use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc, sync::Mutex};

use rpc_core::__private::{ArgumentError, ArgumentReader, PipeAt};
use rpc_core::{
    Pipelined,
    schema::{Layout, ValueDescriptor},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor},
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::definitions::{Body, Def, Form, Kind, Leaf, Style, Types, Value, Variant};

/// The most kinds that types may have.
pub(super) const KINDS_MAX: usize = 20;
/// The most fields or variants of one of them.
pub(super) const PARTS_MAX: usize = 8;

thread_local! {
    static TYPES: RefCell<[Rc<Types>; 2]> = RefCell::default();
}

/// The types of both sides from here on, on this thread.
pub(super) fn set(types: [Types; 2]) {
    assert!(types.iter().all(|types| types.kinds.len() <= KINDS_MAX));
    TYPES.set(types.map(Rc::new));
}

pub(super) fn types(side: usize) -> Rc<Types> {
    TYPES.with_borrow(|types| Rc::clone(&types[side]))
}

fn kind(side: usize, kind: usize) -> Kind {
    TYPES.with_borrow(|types| types[side].kinds[kind].clone())
}

fn def(side: usize, def: usize) -> Def {
    TYPES.with_borrow(|types| types[side].defs[def].clone())
}

#[derive(Debug, Clone)]
pub(super) struct Node<const SIDE: usize, const KIND: usize>(pub(super) Value);

/// Runs code for the kind of this number.
macro_rules! of_kind {
    ($number:expr, $kind:ident => $code:expr) => {
        of_kind!(@ $number, $kind => $code; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19)
    };
    (@ $number:expr, $kind:ident => $code:expr; $($literal:literal)*) => {
        match $number {
            $($literal => { const $kind: usize = $literal; $code })*
            other => panic!("there is no kind {other}"),
        }
    };
}

pub(super) fn layout(side: usize, kind: usize) -> Layout {
    match side {
        0 => of_kind!(kind, KIND => Layout::of_exchanged::<Node<0, KIND>>("T")),
        _ => of_kind!(kind, KIND => Layout::of_exchanged::<Node<1, KIND>>("T")),
    }
}

pub(super) fn descriptor(side: usize, kind: usize) -> ValueDescriptor {
    match side {
        0 => of_kind!(kind, KIND => ValueDescriptor::new::<Node<0, KIND>>("T")),
        _ => of_kind!(kind, KIND => ValueDescriptor::new::<Node<1, KIND>>("T")),
    }
}

pub(super) fn take(reader: &mut ArgumentReader<'_>, kind: usize) -> Result<Value, ArgumentError> {
    of_kind!(kind, KIND => reader.take::<Node<1, KIND>>().map(|node| node.0))
}

/// The parts of a promised value of any kind.
pub(super) struct Parts<E>(pub(super) PipeAt<E>);

impl<const SIDE: usize, const KIND: usize> Pipelined for Node<SIDE, KIND> {
    type Pipe<E: Send + Sync + 'static> = Parts<E>;

    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Parts<E> {
        Parts(at)
    }
}

// ---- reading ----

impl<'de, const SIDE: usize, const KIND: usize> Deserialize<'de> for Node<SIDE, KIND> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = |number: i64| Value::Number(number);
        let value = match kind(SIDE, KIND) {
            Kind::Leaf(Leaf::Unit) => <()>::deserialize(deserializer).map(|()| number(0)),
            Kind::Leaf(Leaf::Bool) => bool::deserialize(deserializer).map(|value| number(value.into())),
            Kind::Leaf(Leaf::U8) => u8::deserialize(deserializer).map(|value| number(value.into())),
            Kind::Leaf(Leaf::U32) => u32::deserialize(deserializer).map(|value| number(value.into())),
            Kind::Leaf(Leaf::U64) => u64::deserialize(deserializer).map(|value| number(value as i64)),
            Kind::Leaf(Leaf::I8) => i8::deserialize(deserializer).map(|value| number(value.into())),
            Kind::Leaf(Leaf::I32) => i32::deserialize(deserializer).map(|value| number(value.into())),
            Kind::Leaf(Leaf::I64) => i64::deserialize(deserializer).map(number),
            Kind::Leaf(Leaf::Char) => {
                char::deserialize(deserializer).map(|value| number((value as u32).into()))
            }
            Kind::Leaf(Leaf::Text) => String::deserialize(deserializer).map(Value::Text),
            Kind::Option(part) => deserializer.deserialize_option(InOption::<SIDE, KIND>(part)),
            Kind::Vec(part) => deserializer.deserialize_seq(InVec::<SIDE, KIND>(part)),
            Kind::Map(part) => deserializer.deserialize_map(InMap::<SIDE, KIND>(part)),
            Kind::Tuple(parts) => {
                let read = parts.iter().map(|part| (*part, None)).collect();
                deserializer.deserialize_tuple(parts.len(), InRow::<SIDE, KIND>::new("a tuple", read))
            }
            Kind::Def(number) => read_def::<D, SIDE, KIND>(def(SIDE, number), deserializer),
        };
        value.map(Self)
    }
}

fn read_def<'de, D: Deserializer<'de>, const SIDE: usize, const KIND: usize>(
    Def { name, body }: Def,
    deserializer: D,
) -> Result<Value, D::Error> {
    match body {
        Body::Struct(form) => match form.style {
            Style::Tuple if form.fields.is_empty() => {
                deserializer.deserialize_unit_struct(name, InRow::<SIDE, KIND>::of(name, &form))
            }
            Style::Tuple if form.is_newtype() => {
                deserializer.deserialize_newtype_struct(name, InRow::<SIDE, KIND>::of(name, &form))
            }
            Style::Tuple => {
                let count = form.read().count();
                deserializer.deserialize_tuple_struct(name, count, InRow::<SIDE, KIND>::of(name, &form))
            }
            Style::Named => deserializer.deserialize_struct(
                name,
                field_names(&form),
                InRow::<SIDE, KIND>::of(name, &form),
            ),
        },
        Body::Enum(variants) => {
            let read = variants.iter().filter(|variant| !variant.skip);
            let names = read.flat_map(|variant| all_names(variant.name, variant.alias)).collect();
            deserializer.deserialize_enum(name, interned(names), InEnum::<SIDE, KIND>(name, variants))
        }
    }
}

/// A name and its alias, as derived code lists them.
fn all_names(name: &'static str, alias: Option<&'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = [name].into_iter().chain(alias).collect();
    names.sort_unstable();
    names
}

fn field_names(form: &Form) -> &'static [&'static str] {
    interned(form.read().flat_map(|field| all_names(field.name, field.alias)).collect())
}

fn interned(names: Vec<&'static str>) -> &'static [&'static str] {
    static NAMES: Mutex<BTreeMap<Vec<&'static str>, &'static [&'static str]>> = Mutex::new(BTreeMap::new());
    NAMES.lock().unwrap().entry(names).or_insert_with_key(|names| names.clone().leak())
}

/// Reads a value of the kind of this number.
struct Seed<const SIDE: usize>(usize);

impl<'de, const SIDE: usize> DeserializeSeed<'de> for Seed<SIDE> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        of_kind!(self.0, KIND => Node::<SIDE, KIND>::deserialize(deserializer).map(|node| node.0))
    }
}

struct InOption<const SIDE: usize, const KIND: usize>(usize);

impl<'de, const SIDE: usize, const KIND: usize> Visitor<'de> for InOption<SIDE, KIND> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("option")
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Seed::<SIDE>(self.0).deserialize(deserializer).map(|value| Value::Some(Box::new(value)))
    }
}

struct InVec<const SIDE: usize, const KIND: usize>(usize);

impl<'de, const SIDE: usize, const KIND: usize> Visitor<'de> for InVec<SIDE, KIND> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(Seed::<SIDE>(self.0))? {
            values.push(value);
        }
        Ok(Value::List(values))
    }
}

struct InMap<const SIDE: usize, const KIND: usize>(usize);

impl<'de, const SIDE: usize, const KIND: usize> Visitor<'de> for InMap<SIDE, KIND> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(entry) =
            entries.next_entry_seed(std::marker::PhantomData::<String>, Seed::<SIDE>(self.0))?
        {
            values.push(entry);
        }
        Ok(Value::Map(values))
    }
}

/// What a field's identifier is read as.
#[derive(Clone, Copy, PartialEq)]
enum __Field {
    F0,
    F1,
    F2,
    F3,
    F4,
    F5,
    F6,
    F7,
    Unknown,
}

const FIELDS: [__Field; PARTS_MAX] =
    [__Field::F0, __Field::F1, __Field::F2, __Field::F3, __Field::F4, __Field::F5, __Field::F6, __Field::F7];

/// Reads the identifier of a field or variant: all names of each.
struct Identifier {
    names: Vec<Vec<&'static str>>,
    of_variant: bool,
}

impl<'de> DeserializeSeed<'de> for Identifier {
    type Value = __Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<__Field, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de> Visitor<'de> for Identifier {
    type Value = __Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identifier")
    }

    fn visit_u64<E: Error>(self, index: u64) -> Result<__Field, E> {
        match FIELDS[..self.names.len()].get(index as usize) {
            Some(field) => Ok(*field),
            None if self.of_variant => {
                Err(E::invalid_value(serde::de::Unexpected::Unsigned(index), &"variant index"))
            }
            None => Ok(__Field::Unknown),
        }
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<__Field, E> {
        match self.names.iter().position(|names| names.contains(&name)) {
            Some(index) => Ok(FIELDS[index]),
            None if self.of_variant => Err(E::unknown_variant(name, &[])),
            None => Ok(__Field::Unknown),
        }
    }
}

/// A field that is read, or one that is not and gets its default.
type Part = (usize, Option<Value>);

/// Reads a struct, a tuple, or the content of a variant.
struct InRow<const SIDE: usize, const KIND: usize> {
    what: String,
    /// The kind of each field, and its value if it is not read.
    parts: Vec<Part>,
    defaults: Vec<Option<Value>>,
    names: Vec<Vec<&'static str>>,
    /// The variant of which this is the content.
    variant: Option<usize>,
}

impl<const SIDE: usize, const KIND: usize> InRow<SIDE, KIND> {
    fn new(what: &str, parts: Vec<Part>) -> Self {
        let count = parts.iter().filter(|(_, given)| given.is_none()).count();
        let plural = if count == 1 { "" } else { "s" };
        let what = format!("{what} with {count} element{plural}");
        Self { what, defaults: vec![None; parts.len()], parts, names: Vec::new(), variant: None }
    }

    fn of(name: &str, form: &Form) -> Self {
        let types = types(SIDE);
        let given = |field: &super::definitions::Field| {
            (field.skip || field.skip_reading).then(|| types.empty(field.kind))
        };
        let parts = form.fields.iter().map(|field| (field.kind, given(field))).collect();
        let mut row = Self::new(&format!("struct {name}"), parts);
        row.defaults =
            form.fields.iter().map(|field| field.default.then(|| types.empty(field.kind))).collect();
        row.names = form.read().map(|field| all_names(field.name, field.alias)).collect();
        row
    }

    fn finish(variant: Option<usize>, values: Vec<Value>) -> Value {
        match variant {
            None => Value::List(values),
            Some(index) => Value::Variant(index, values),
        }
    }
}

impl<'de, const SIDE: usize, const KIND: usize> Visitor<'de> for InRow<SIDE, KIND> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Self::finish(self.variant, Vec::new()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let value = Seed::<SIDE>(self.parts[0].0).deserialize(deserializer)?;
        Ok(Self::finish(self.variant, vec![value]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let mut read = 0;
        for ((kind, given), default) in self.parts.iter().zip(&self.defaults) {
            if let Some(given) = given {
                values.push(given.clone());
                continue;
            }
            match (fields.next_element_seed(Seed::<SIDE>(*kind))?, default) {
                (Some(value), _) => values.push(value),
                (None, Some(default)) => values.push(default.clone()),
                (None, None) => return Err(A::Error::invalid_length(read, &self.what.as_str())),
            }
            read += 1;
        }
        Ok(Self::finish(self.variant, values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let read: Vec<usize> = (0..self.parts.len()).filter(|index| self.parts[*index].1.is_none()).collect();
        let mut values: Vec<Option<Value>> = self.parts.iter().map(|(_, given)| given.clone()).collect();
        while let Some(field) =
            fields.next_key_seed(Identifier { names: self.names.clone(), of_variant: false })?
        {
            let Some(place) = FIELDS.iter().position(|known| *known == field).map(|index| read[index]) else {
                fields.next_value::<serde::de::IgnoredAny>()?;
                continue;
            };
            if values[place].is_some() {
                let name = self.names[read.iter().position(|known| *known == place).unwrap()][0];
                let own = TYPES.with_borrow(|types| own_name(&types[SIDE], name));
                return Err(A::Error::duplicate_field(own));
            }
            values[place] = Some(fields.next_value_seed(Seed::<SIDE>(self.parts[place].0))?);
        }
        let values: Option<Vec<Value>> =
            values.into_iter().zip(self.defaults).map(|(value, default)| value.or(default)).collect();
        match values {
            Some(values) => Ok(Self::finish(self.variant, values)),
            None => Err(A::Error::missing_field("some")),
        }
    }
}

/// Which field has this as one of its names.
fn own_name(types: &Types, name: &'static str) -> &'static str {
    let mut fields = types.defs.iter().flat_map(Def::forms).flat_map(|form| &form.fields);
    fields.find(|field| field.alias == Some(name)).map_or(name, |field| field.name)
}

struct InEnum<const SIDE: usize, const KIND: usize>(&'static str, Vec<Variant>);

impl<'de, const SIDE: usize, const KIND: usize> Visitor<'de> for InEnum<SIDE, KIND> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enum {}", self.0)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let read: Vec<usize> = (0..self.1.len()).filter(|index| !self.1[*index].skip).collect();
        let names = read.iter().map(|index| all_names(self.1[*index].name, self.1[*index].alias)).collect();
        let (field, access) = data.variant_seed(Identifier { names, of_variant: true })?;
        let index = read[FIELDS.iter().position(|known| *known == field).unwrap()];
        let Variant { name, form, .. } = &self.1[index];
        let row = InRow::<SIDE, KIND> { variant: Some(index), ..InRow::of(name, form) };
        match form.style {
            Style::Tuple if form.fields.is_empty() => {
                access.unit_variant().map(|()| Value::Variant(index, Vec::new()))
            }
            Style::Tuple if form.is_newtype() => access
                .newtype_variant_seed(Seed::<SIDE>(form.fields[0].kind))
                .map(|value| Value::Variant(index, vec![value])),
            Style::Tuple => access.tuple_variant(form.read().count(), row),
            Style::Named => access.struct_variant(field_names(form), row),
        }
    }
}

// ---- writing ----

impl<const SIDE: usize, const KIND: usize> Serialize for Node<SIDE, KIND> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { side: SIDE, kind: KIND, value: &self.0 }.serialize(serializer)
    }
}

struct Written<'a> {
    side: usize,
    kind: usize,
    value: &'a Value,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let part = |kind, value| Written { side: self.side, kind, value };
        match (kind(self.side, self.kind), self.value) {
            (Kind::Leaf(Leaf::Unit), _) => serializer.serialize_unit(),
            (Kind::Leaf(Leaf::Bool), Value::Number(value)) => serializer.serialize_bool(*value != 0),
            (Kind::Leaf(Leaf::U8), Value::Number(value)) => serializer.serialize_u8(*value as u8),
            (Kind::Leaf(Leaf::U32), Value::Number(value)) => serializer.serialize_u32(*value as u32),
            (Kind::Leaf(Leaf::U64), Value::Number(value)) => serializer.serialize_u64(*value as u64),
            (Kind::Leaf(Leaf::I8), Value::Number(value)) => serializer.serialize_i8(*value as i8),
            (Kind::Leaf(Leaf::I32), Value::Number(value)) => serializer.serialize_i32(*value as i32),
            (Kind::Leaf(Leaf::I64), Value::Number(value)) => serializer.serialize_i64(*value),
            (Kind::Leaf(Leaf::Char), Value::Number(value)) => {
                serializer.serialize_char(char::from_u32(*value as u32).unwrap_or('?'))
            }
            (Kind::Leaf(Leaf::Text), Value::Text(text)) => serializer.serialize_str(text),
            (Kind::Option(_), Value::None) => serializer.serialize_none(),
            (Kind::Option(inner), Value::Some(value)) => serializer.serialize_some(&part(inner, value)),
            (Kind::Vec(element), Value::List(values)) => {
                let mut seq = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| seq.serialize_element(&part(element, value)))?;
                seq.end()
            }
            (Kind::Map(inner), Value::Map(entries)) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, &part(inner, value)))?;
                map.end()
            }
            (Kind::Tuple(parts), Value::List(values)) => {
                let mut tuple = serializer.serialize_tuple(parts.len())?;
                for (kind, value) in parts.into_iter().zip(values) {
                    tuple.serialize_element(&part(kind, value))?;
                }
                tuple.end()
            }
            (Kind::Def(number), value) => self.def(def(self.side, number), value, serializer),
            (kind, value) => panic!("{value:?} is not of {kind:?}"),
        }
    }
}

impl Written<'_> {
    fn def<S: Serializer>(&self, def: Def, value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        let types = types(self.side);
        let part = |kind, value| Written { side: self.side, kind, value };
        let (form, values, variant) = match (&def.body, value) {
            (Body::Struct(form), Value::List(values)) => (form, values, None),
            (Body::Enum(variants), Value::Variant(index, values)) => {
                let variant = &variants[*index];
                if variant.skip {
                    return Err(serde::ser::Error::custom("the variant cannot be serialized"));
                }
                (&variant.form, values, Some((*index as u32, variant.written_as.unwrap_or(variant.name))))
            }
            (body, value) => panic!("{value:?} is not of {body:?}"),
        };
        let written: Vec<_> = form
            .fields
            .iter()
            .zip(values)
            .filter(|(field, _)| !field.skip && !field.skip_writing)
            .map(|(field, value)| {
                let is_least = field.skip_if_least && *value == types.empty(field.kind);
                (field.written_as.unwrap_or(field.name), part(field.kind, value), is_least)
            })
            .collect();
        let count = written.iter().filter(|(_, _, is_least)| !is_least).count();
        macro_rules! fields {
            ($row:expr, named) => {{
                let mut row = $row;
                for (name, value, is_least) in &written {
                    if *is_least { row.skip_field(name)? } else { row.serialize_field(name, value)? }
                }
                row.end()
            }};
            ($row:expr, unnamed) => {{
                let mut row = $row;
                written.iter().try_for_each(|(_, value, _)| row.serialize_field(value))?;
                row.end()
            }};
        }
        match (form.style, variant) {
            (Style::Tuple, None) if form.fields.is_empty() => serializer.serialize_unit_struct(def.name),
            (Style::Tuple, None) if form.is_newtype() => {
                serializer.serialize_newtype_struct(def.name, &written[0].1)
            }
            (Style::Tuple, None) => fields!(serializer.serialize_tuple_struct(def.name, count)?, unnamed),
            (Style::Named, None) => fields!(serializer.serialize_struct(def.name, count)?, named),
            (Style::Tuple, Some((index, name))) if form.fields.is_empty() => {
                serializer.serialize_unit_variant(def.name, index, name)
            }
            (Style::Tuple, Some((index, name))) if form.is_newtype() => {
                serializer.serialize_newtype_variant(def.name, index, name, &written[0].1)
            }
            (Style::Tuple, Some((index, name))) => {
                fields!(serializer.serialize_tuple_variant(def.name, index, name, count)?, unnamed)
            }
            (Style::Named, Some((index, name))) => {
                fields!(serializer.serialize_struct_variant(def.name, index, name, count)?, named)
            }
        }
    }
}
