//! The comparison of how values of a type are written with how the type reads them.
//!
//! Serde's attributes can make the two sides of one type differ (`skip` on a variant, `skip_serializing_if`,
//! `serialize_with`, `into` without `from`). Then a value arrives as another one, and comparing what the two *peers* read does
//! not find it. So tracing records made-up values as they are written ([`Record`]), and a [`Comparison`] compares the records
//! with the layout that was read.
//!
//! Kinds with the same bytes count as equal: texts, byte strings and sequences of bytes; unsigned integers of all widths
//! above a byte; signed integers of all widths above a byte.

use std::{
    cell::RefCell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::{Field, Leaf, Node, Variant, below_newtypes, is_among};
use crate::schema::markers::{self, OBJECT, STREAM};

/// The most differences reported for one type.
const DIFFERENCES_MAX: usize = 8;

/// The record of a value as it was written.
#[derive(Debug)]
pub(super) enum Record {
    Leaf(Leaf),
    None,
    Some(Box<Record>),
    /// The announced number of elements, and the elements.
    Seq(Option<usize>, Vec<Record>),
    Map(Option<usize>, Vec<(Record, Record)>),
    Product(Fields),
    Variant(u32, &'static str, Fields),
    Object,
    Stream,
}

/// The announced number of fields, the fields that were written, and one that was left out.
#[derive(Debug)]
pub(super) struct Fields {
    said: usize,
    written: Vec<(&'static str, Record)>,
    left_out: Option<&'static str>,
}

impl Record {
    /// Records how a value is written; `None` if its type refuses to write it. A panic is a refusal: the value was made up.
    pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Option<Self> {
        let write = || markers::recording(|| value.serialize(Recorder));
        catch_unwind(AssertUnwindSafe(write)).ok()?.ok()
    }

    fn what(&self) -> String {
        match self {
            Self::Leaf(leaf) => leaf.name().into(),
            Self::None | Self::Some(_) => "an option".into(),
            Self::Seq(..) => "a sequence".into(),
            Self::Map(..) => "a map".into(),
            Self::Product(fields) => format!("a tuple or struct of {}", fields.said),
            Self::Variant(_, name, _) => format!("the variant `{name}`"),
            Self::Object => "a client".into(),
            Self::Stream => "a stream".into(),
        }
    }
}

thread_local! {
    /// Records of the items and errors of streams, which are not part of the value itself.
    static OFFERED: RefCell<Vec<Record>> = const { RefCell::new(Vec::new()) };
}

/// Records an item or error of a stream in the value being traced, so that it is compared as well.
pub(crate) fn offer<T: Serialize>(value: &T) {
    if let Some(record) = Record::of(value) {
        OFFERED.with_borrow_mut(|offered| offered.push(record));
    }
}

/// Takes the last record that was offered since the last call.
pub(super) fn offered() -> Option<Record> {
    OFFERED.with_borrow_mut(|offered| {
        let last = offered.pop();
        offered.clear();
        last
    })
}

// ---- comparing ----

/// Compares records with a layout.
pub(super) struct Comparison<'a, N> {
    nodes: &'a mut [Node<usize>],
    /// The names of an enum's variants, including aliases.
    variant_names: N,
    /// The differences found, one sentence each.
    pub(super) differences: Vec<String>,
}

impl<'a, N: Fn(usize) -> &'static [&'static str]> Comparison<'a, N> {
    pub(super) fn new(nodes: &'a mut [Node<usize>], variant_names: N) -> Self {
        Self { nodes, variant_names, differences: Vec::new() }
    }

    pub(super) fn compare(&mut self, record: &Record, root: usize) {
        if let Err(difference) = self.value(record, root, "")
            && self.differences.len() < DIFFERENCES_MAX
            && !self.differences.contains(&difference)
        {
            self.differences.push(difference);
        }
    }

    fn value(&mut self, record: &Record, root: usize, place: &str) -> Result<(), String> {
        let root = below_newtypes(self.nodes, root);
        match (record, &self.nodes[root]) {
            // These nodes have no bytes, or none that could be compared.
            (_, Node::Opaque { .. } | Node::Unsupported { .. } | Node::Unreached(_) | Node::Uninhabited) => {
                Ok(())
            }
            (Record::Leaf(written), Node::Leaf(read)) if alike(*written, *read) => Ok(()),
            (Record::Object, Node::Leaf(Leaf::Object(_))) | (Record::Stream, Node::Stream(..)) => Ok(()),
            (Record::None, Node::Optional(_)) => Ok(()),
            (Record::Some(inner), Node::Optional(part)) => self.value(inner, *part, &format!("{place}?")),
            (Record::Leaf(Leaf::Text | Leaf::Bytes), Node::Seq(part)) if self.is_byte(*part) => Ok(()),
            (Record::Seq(said, elements), Node::Leaf(Leaf::Text | Leaf::Bytes))
                if elements.iter().all(|element| matches!(element, Record::Leaf(Leaf::U8))) =>
            {
                check_length(*said, elements.len(), place)
            }
            (Record::Seq(said, elements), Node::Seq(part)) => {
                let part = *part;
                check_length(*said, elements.len(), place)?;
                elements.iter().try_for_each(|element| self.value(element, part, &format!("{place}[..]")))
            }
            (Record::Map(said, entries), Node::Map(key, value)) => {
                let (key, value) = (*key, *value);
                check_length(*said, entries.len(), place)?;
                entries.iter().try_for_each(|(written_key, written_value)| {
                    self.value(written_key, key, &format!("{place}.keys"))?;
                    self.value(written_value, value, &format!("{place}.values"))
                })
            }
            (Record::Product(fields), Node::Product { fields: read, .. }) => {
                let read = read.clone();
                self.fields(fields, &read, place, "")
            }
            (Record::Product(fields), Node::Array(part, len)) => {
                let read = vec![Field { name: "", layout: *part }; *len];
                self.fields(fields, &read, place, "")
            }
            (Record::Variant(index, name, fields), Node::Enum { .. }) => {
                let read = self.variant(root, *index, name, place)?;
                self.fields(fields, &read, place, name)
            }
            (_, read) => {
                Err(format!("{} is written as {} and read as {}", told(place), record.what(), read.what()))
            }
        }
    }

    /// The fields of the variant that is written with this number and name.
    fn variant(
        &mut self,
        root: usize,
        index: u32,
        name: &'static str,
        place: &str,
    ) -> Result<Vec<Field<usize>>, String> {
        let aliases = (self.variant_names)(root);
        let Node::Enum { variants, .. } = &mut self.nodes[root] else { return Ok(Vec::new()) };
        let place = told(place);
        let number = index as usize;
        if variants.iter().all(|variant| variant.name != name)
            && let Some(read) = variants.get_mut(number)
            && (read.name.is_empty() || is_among(name, read.name))
            && aliases.contains(&name)
        {
            // A variant is written by its own name; the other names by which it is read are aliases.
            read.name = name;
        }
        if let Some(read) = variants.iter().position(|variant| variant.name == name && !name.is_empty())
            && read != number
        {
            return Err(format!(
                "{place} has a variant `{name}` that is written as number {index} and read as number {read}: serde counts \
                 a variant with `skip` before it only when it writes; move that to the end"
            ));
        }
        match variants.get(number) {
            None => Err(format!("{place} has a variant `{name}` that is written but not read")),
            Some(Variant { name: read, .. }) if *read != name => {
                Err(format!("{place} has a variant that is written as `{name}` and read as `{read}`"))
            }
            Some(Variant { fields: None, .. }) => {
                Err(format!("{place} has a variant `{name}` that is written but not read"))
            }
            Some(Variant { fields: Some(fields), .. }) => Ok(fields.clone()),
        }
    }

    fn fields(
        &mut self,
        written: &Fields,
        read: &[Field<usize>],
        place: &str,
        variant: &str,
    ) -> Result<(), String> {
        let place = if variant.is_empty() { place.to_owned() } else { format!("{place}::{variant}") };
        if let Some(name) = written.left_out {
            return Err(format!(
                "the field `{name}` of {} is left out of some values when they are written (`skip_serializing_if`), and \
                 read from all: use an `Option` without it",
                told(&place)
            ));
        }
        if written.written.len() != written.said {
            let (said, count) = (written.said, written.written.len());
            return Err(format!("{} says that it has {said} fields and writes {count}", told(&place)));
        }
        if read.len() != written.said {
            let only = |names: &[&str], others: &[&str]| {
                let only = names.iter().find(|name| !name.is_empty() && !others.contains(name));
                only.map_or(String::new(), |name| format!(", `{name}` among them"))
            };
            let read_names: Vec<&str> = read.iter().map(|field| field.name).collect();
            let written_names: Vec<&str> = written.written.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "{} has {} fields when it is written{} and {} when it is read{}",
                told(&place),
                written.said,
                only(&written_names, &read_names),
                read.len(),
                only(&read_names, &written_names),
            ));
        }
        for (ordinal, ((name, record), field)) in written.written.iter().zip(read).enumerate() {
            if !is_among(name, field.name) && !name.is_empty() && !field.name.is_empty() {
                return Err(format!(
                    "field {ordinal} of {} is written as `{name}` and read as `{}`",
                    told(&place),
                    field.name
                ));
            }
            let part = match field.name {
                "" => format!("{place}.{ordinal}"),
                name => format!("{place}.{name}"),
            };
            self.value(record, field.layout, &part)?;
        }
        Ok(())
    }

    fn is_byte(&self, part: usize) -> bool {
        matches!(self.nodes[below_newtypes(self.nodes, part)], Node::Leaf(Leaf::U8))
    }
}

fn check_length(said: Option<usize>, count: usize, place: &str) -> Result<(), String> {
    match said {
        None => Err(format!("{} is written without saying how many elements it has", told(place))),
        Some(said) if said != count => {
            Err(format!("{} says that it has {said} elements and writes {count}", told(place)))
        }
        Some(_) => Ok(()),
    }
}

fn told(place: &str) -> &str {
    if place.is_empty() { "the value" } else { place }
}

/// Whether two kinds have the same bytes.
fn alike(written: Leaf, read: Leaf) -> bool {
    use Leaf::{Bytes, I16, I32, I64, I128, Text, U16, U32, U64, U128};
    let kind = |leaf| match leaf {
        U16 | U32 | U64 | U128 => U64,
        I16 | I32 | I64 | I128 => I64,
        Text | Bytes => Bytes,
        other => other,
    };
    kind(written) == kind(read)
}

// ---- recording ----

/// The error of a value that its type refuses to write.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is not written")
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Refused
    }
}

struct Recorder;

macro_rules! leaves {
    ($($serialize:ident $type:ty, $leaf:ident;)*) => {$(
        fn $serialize(self, _: $type) -> Result<Record, Refused> {
            Ok(Record::Leaf(Leaf::$leaf))
        }
    )*};
}

impl Serializer for Recorder {
    type Ok = Record;
    type Error = Refused;
    type SerializeSeq = Elements;
    type SerializeTuple = Listed;
    type SerializeTupleStruct = Listed;
    type SerializeTupleVariant = Listed;
    type SerializeMap = Entries;
    type SerializeStruct = Listed;
    type SerializeStructVariant = Listed;

    leaves! {
        serialize_bool bool, Bool;
        serialize_i8 i8, I8;
        serialize_i16 i16, I16;
        serialize_i32 i32, I32;
        serialize_i64 i64, I64;
        serialize_i128 i128, I128;
        serialize_u8 u8, U8;
        serialize_u16 u16, U16;
        serialize_u32 u32, U32;
        serialize_u64 u64, U64;
        serialize_u128 u128, U128;
        serialize_f32 f32, F32;
        serialize_f64 f64, F64;
        serialize_char char, Char;
        serialize_str &str, Text;
        serialize_bytes &[u8], Bytes;
    }

    fn serialize_none(self) -> Result<Record, Refused> {
        Ok(Record::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Record, Refused> {
        Ok(Record::Some(Box::new(value.serialize(Recorder)?)))
    }

    fn serialize_unit(self) -> Result<Record, Refused> {
        Ok(Record::Leaf(Leaf::Unit))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Record, Refused> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
    ) -> Result<Record, Refused> {
        Ok(Record::Variant(index, name, Listed::new(0, None).fields))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Record, Refused> {
        match name {
            OBJECT => Ok(Record::Object),
            STREAM => Ok(Record::Stream),
            _ => value.serialize(Recorder),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Record, Refused> {
        let mut listed = Listed::new(1, Some((index, name)));
        listed.add("", value)?;
        Ok(listed.finish())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements, Refused> {
        Ok(Elements { said: len, elements: Vec::new() })
    }

    fn serialize_tuple(self, len: usize) -> Result<Listed, Refused> {
        Ok(Listed::new(len, None))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Listed, Refused> {
        Ok(Listed::new(len, None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Listed, Refused> {
        Ok(Listed::new(len, Some((index, name))))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries, Refused> {
        Ok(Entries { said: len, keys: Vec::new(), values: Vec::new() })
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Listed, Refused> {
        Ok(Listed::new(len, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Listed, Refused> {
        Ok(Listed::new(len, Some((index, name))))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Elements {
    said: Option<usize>,
    elements: Vec<Record>,
}

impl SerializeSeq for Elements {
    type Ok = Record;
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.elements.push(value.serialize(Recorder)?);
        Ok(())
    }

    fn end(self) -> Result<Record, Refused> {
        Ok(Record::Seq(self.said, self.elements))
    }
}

struct Entries {
    said: Option<usize>,
    keys: Vec<Record>,
    values: Vec<Record>,
}

impl SerializeMap for Entries {
    type Ok = Record;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.keys.push(key.serialize(Recorder)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.values.push(value.serialize(Recorder)?);
        Ok(())
    }

    fn end(self) -> Result<Record, Refused> {
        Ok(Record::Map(self.said, self.keys.into_iter().zip(self.values).collect()))
    }
}

/// The fields of a tuple, struct or variant, as they are being recorded.
struct Listed {
    variant: Option<(u32, &'static str)>,
    fields: Fields,
}

impl Listed {
    fn new(said: usize, variant: Option<(u32, &'static str)>) -> Self {
        Self { variant, fields: Fields { said, written: Vec::new(), left_out: None } }
    }

    fn add<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
        self.fields.written.push((name, value.serialize(Recorder)?));
        Ok(())
    }

    fn finish(self) -> Record {
        match self.variant {
            None => Record::Product(self.fields),
            Some((index, name)) => Record::Variant(index, name, self.fields),
        }
    }
}

macro_rules! unnamed {
    ($($trait:ident $serialize:ident;)*) => {$(
        impl $trait for Listed {
            type Ok = Record;
            type Error = Refused;

            fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.add("", value)
            }

            fn end(self) -> Result<Record, Refused> {
                Ok(self.finish())
            }
        }
    )*};
}

macro_rules! named {
    ($($trait:ident;)*) => {$(
        impl $trait for Listed {
            type Ok = Record;
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.add(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Refused> {
                self.fields.left_out = Some(name);
                Ok(())
            }

            fn end(self) -> Result<Record, Refused> {
                Ok(self.finish())
            }
        }
    )*};
}

unnamed! {
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}
named! {
    SerializeStruct;
    SerializeStructVariant;
}

#[cfg(test)]
mod tests; // layout/written/tests.rs: editing tests does not rebuild the library
