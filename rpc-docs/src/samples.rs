//! Makes sample values of types as JSON, for the examples in schemas.

use serde_json::{Map, Value, json};

use crate::{
    description::{Content, Description, Field, Shape, Type},
    json::{self, Keys, Seen},
};

/// The maximum depth of sample values; below it, lists are empty and options absent.
const DEPTH_MAX: usize = 6;

/// The maximum number of values in one sample.
const VALUES_MAX: usize = 60;

/// A sample of the type, with `name` as its strings; `None` if the type has objects or streams, has no values, or is unknown.
pub(crate) fn sample(description: &Description, ty: &Type, name: &str) -> Option<Value> {
    Sampler { description, left: VALUES_MAX }.of(ty, name, DEPTH_MAX)
}

/// A text that a well-known type with this name reads.
pub(crate) fn text_of(type_name: &str) -> Option<&'static str> {
    let plain = type_name.split('<').next().unwrap_or_default();
    Some(match plain.rsplit("::").next().unwrap_or_default() {
        "Uuid" => "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "DateTime" | "OffsetDateTime" | "Timestamp" => "2026-01-31T12:00:00Z",
        "NaiveDateTime" => "2026-01-31T12:00:00",
        "NaiveDate" => "2026-01-31",
        "NaiveTime" => "12:00:00",
        "Url" => "https://example.com/",
        "IpAddr" | "Ipv4Addr" => "192.0.2.1",
        "Ipv6Addr" => "2001:db8::1",
        "SocketAddr" | "SocketAddrV4" => "192.0.2.1:8080",
        "SocketAddrV6" => "[2001:db8::1]:8080",
        _ => return None,
    })
}

struct Sampler<'a> {
    description: &'a Description,
    left: usize,
}

impl Sampler<'_> {
    fn of(&mut self, ty: &Type, name: &str, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        Some(match ty {
            Type::Bool => json!(true),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::I128 => json!(1),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::U128 => json!(1),
            Type::F32 | Type::F64 => json!(1.5),
            Type::Char => json!("a"),
            Type::String => json!(name.replace('_', " ")),
            Type::Bytes => json!("AAEC"),
            Type::Unit => Value::Null,
            Type::Ref(reference) => {
                let definition = self.description.definition(reference)?;
                if definition.schema.is_some() {
                    // An author's schema may not accept a sample that is made here.
                    return None;
                }
                if matches!(json::seen(self.description, ty), Seen::Type(Type::String))
                    && let Some(text) = text_of(reference)
                {
                    return Some(json!(text));
                }
                match &definition.json {
                    Some(json) => self.of(json, name, depth)?,
                    None => self.shape(&definition.shape, name, depth)?,
                }
            }
            Type::Object(_) | Type::Stream { .. } | Type::Unknown(_) => return None,
            Type::Option(inner) => match self.optional(inner, name, depth) {
                Some(value) if json::may_be_null(self.description, inner) => json!([value]),
                Some(value) => value,
                None => Value::Null,
            },
            Type::List(inner) | Type::Collection { element: inner, .. } => {
                self.optional(inner, name, depth).map_or(json!([]), |value| json!([value]))
            }
            Type::Map { key, value, .. } => self.map(key, value, depth),
            Type::Array { element, len } => {
                let elements = (0..*len).map(|_| self.of(element, name, depth));
                elements.collect::<Option<Vec<_>>>()?.into()
            }
            Type::Tuple(elements) => self.tuple(elements, name, depth)?,
            Type::Result { ok, .. } => json!({"Ok": self.of(ok, name, depth)?}),
        })
    }

    /// A value that may be left out. It uses at most a quarter of the remaining values, so that some are left for others.
    fn optional(&mut self, ty: &Type, name: &str, depth: usize) -> Option<Value> {
        let share = self.left / 4;
        let rest = self.left - share;
        self.left = share;
        let value = self.of(ty, name, depth);
        self.left += rest;
        value
    }

    fn map(&mut self, key: &Type, value: &Type, depth: usize) -> Value {
        let key_sample = self.optional(key, "key", depth);
        let value_sample = self.optional(value, "value", depth);
        match (json::keys(self.description, key), key_sample, value_sample) {
            (Keys::Object, Some(Value::String(key)), Some(value)) => {
                Value::Object([(key, value)].into_iter().collect())
            }
            (Keys::Object, Some(key), Some(value)) => {
                Value::Object([(key.to_string(), value)].into_iter().collect())
            }
            (Keys::Object, _, _) => json!({}),
            (Keys::Pairs, Some(key), Some(value)) => json!([[key, value]]),
            (Keys::Pairs, _, _) => json!([]),
        }
    }

    fn tuple(&mut self, elements: &[Type], name: &str, depth: usize) -> Option<Value> {
        let elements = elements.iter().map(|element| self.of(element, name, depth));
        Some(elements.collect::<Option<Vec<_>>>()?.into())
    }

    fn object(&mut self, fields: &[Field], depth: usize) -> Option<Value> {
        let field = |field: &Field| Some((field.name.clone(), self.of(&field.ty, &field.name, depth)?));
        Some(Value::Object(fields.iter().map(field).collect::<Option<Map<_, _>>>()?))
    }

    fn shape(&mut self, shape: &Shape, name: &str, depth: usize) -> Option<Value> {
        match shape {
            Shape::Newtype(inner) => self.of(inner, name, depth),
            Shape::Unit => Some(Value::Null),
            Shape::Tuple(elements) => self.tuple(elements, name, depth),
            Shape::Struct(fields) => self.object(fields, depth),
            Shape::Enum(variants) => {
                // The first variant may contain the type itself; then one of the others does not.
                variants.iter().find_map(|variant| self.variant(&variant.name, &variant.content, depth))
            }
            Shape::Opaque { reads } => self.of(reads.as_ref()?, name, depth),
            Shape::Never | Shape::Unknown(_) => None,
        }
    }

    fn variant(&mut self, name: &str, content: &Content, depth: usize) -> Option<Value> {
        let content = match content {
            Content::Unit => return Some(json!(name)),
            Content::Unreadable => return None,
            Content::Newtype(inner) => self.of(inner, name, depth)?,
            Content::Tuple(elements) => self.tuple(elements, name, depth)?,
            Content::Struct(fields) => self.object(fields, depth)?,
        };
        Some(Value::Object([(name.to_owned(), content)].into_iter().collect()))
    }
}

#[cfg(test)]
mod tests;
