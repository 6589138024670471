//! Makes JSON schemas of types, for the forms of values in [`mod@json`].
//!
//! The schemas follow draft 7, because OpenRPC accepts only that and AsyncAPI's own schemas extend it. So a reference has no
//! sibling keywords (with siblings it is in an `allOf`), a tuple is `items` with a list, and definitions are where both documents
//! look for them: under `#/components/schemas/`.

use serde_json::{Map, Value, json};

use crate::{
    description::{Content, Description, Field, Shape, Type, TypeDefinition, Variant},
    json::{self, Keys, Seen},
    names::Names,
};

/// The largest integer up to which JavaScript's numbers represent all integers exactly.
const EXACT_MAX: i64 = (1 << 53) - 1;

/// The maximum length of tuples and arrays with a schema for each element; longer ones are lists of a fixed length.
const PLACES_MAX: usize = 32;

/// Makes schemas of an API's types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schemas<'a> {
    description: &'a Description,
    names: &'a Names<'a>,
}

impl<'a> Schemas<'a> {
    /// Schemas for the types of this description, under these names.
    pub(crate) fn new(description: &'a Description, names: &'a Names<'a>) -> Self {
        Self { description, names }
    }

    /// The schemas of all types with a name, by that name.
    pub(crate) fn definitions(&self) -> Map<String, Value> {
        let named = |definition: &TypeDefinition| {
            let name = self.names.ty(&definition.name)?;
            Some((name.to_owned(), self.definition(name, definition)))
        };
        self.description.types.iter().filter_map(named).collect()
    }

    /// The schema of a type where it is used.
    pub(crate) fn of(&self, ty: &Type) -> Value {
        match ty {
            Type::Bool => json!({"type": "boolean"}),
            Type::String => json!({"type": "string"}),
            Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Type::Bytes => {
                json!({"type": "string", "contentEncoding": "base64", "description": "Bytes in base64."})
            }
            Type::Unit => json!({"type": "null"}),
            Type::F32 | Type::F64 => {
                json!({"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]})
            }
            Type::I8 => integer(i8::MIN.into(), i8::MAX.into()),
            Type::I16 => integer(i16::MIN.into(), i16::MAX.into()),
            Type::I32 => integer(i32::MIN.into(), i32::MAX.into()),
            Type::U8 => integer(0, u8::MAX.into()),
            Type::U16 => integer(0, u16::MAX.into()),
            Type::U32 => integer(0, u32::MAX.into()),
            Type::I64 | Type::I128 => long_integer(-EXACT_MAX, "^-?[0-9]+$"),
            Type::U64 | Type::U128 => long_integer(0, "^[0-9]+$"),
            Type::Ref(name) => match self.names.ty(name) {
                Some(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
                None => json!({}),
            },
            Type::Object(service) => json!({
                "description": format!("A reference to an object of the service {}.", quoted(service)),
                "x-object": service,
            }),
            Type::Stream { item, error } => self.stream(item, error.as_deref()),
            Type::Option(inner) if json::may_be_null(self.description, inner) => {
                json!({"oneOf": [{"type": "null"}, tuple(vec![self.of(inner)])]})
            }
            Type::Option(inner) => json!({"anyOf": [{"type": "null"}, self.of(inner)]}),
            Type::List(inner) | Type::Collection { element: inner, .. } => {
                json!({"type": "array", "items": self.of(inner)})
            }
            Type::Map { key, value, .. } => self.map(key, value),
            Type::Array { element, len } => {
                json!({"type": "array", "items": self.of(element), "minItems": len, "maxItems": len})
            }
            Type::Tuple(elements) => self.tuple(elements),
            Type::Result { ok, error } => json!({"oneOf": [
                tagged("Ok", self.of(ok)),
                tagged("Err", self.of(error)),
            ]}),
            Type::Unknown(why) => any(why),
        }
    }

    /// The schema of a stream: a reference, with the schemas of its items and its error under `x-stream`.
    fn stream(&self, item: &Type, error: Option<&Type>) -> Value {
        let mut stream = json!({"item": self.of(item)});
        if let Some(error) = error {
            stream["error"] = self.of(error);
        }
        json!({"description": "A reference to a stream; its items come one after the other.", "x-stream": stream})
    }

    fn map(&self, key: &Type, value: &Type) -> Value {
        let value = self.of(value);
        match json::keys(self.description, key) {
            Keys::Object => {
                let mut schema = json!({"type": "object", "additionalProperties": value});
                if let Some(names) = self.key_names(key) {
                    schema["propertyNames"] = names;
                }
                schema
            }
            Keys::Pairs => json!({"type": "array", "items": tuple(vec![self.of(key), value])}),
        }
    }

    /// The schema of a map's keys; `None` if every string is a key.
    fn key_names(&self, key: &Type) -> Option<Value> {
        match json::seen(self.description, key) {
            Seen::Shape(Shape::Enum(variants)) => {
                let names: Vec<&str> = variants.iter().map(|variant| &*variant.name).collect();
                (!names.is_empty()).then(|| json!({"enum": names}))
            }
            Seen::Type(Type::Bool) => Some(json!({"enum": ["true", "false"]})),
            Seen::Type(Type::Char) => Some(json!({"minLength": 1, "maxLength": 1})),
            Seen::Type(Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::U128) => {
                Some(json!({"pattern": "^[0-9]+$"}))
            }
            Seen::Type(Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::I128) => {
                Some(json!({"pattern": "^-?[0-9]+$"}))
            }
            _ => None,
        }
    }

    fn tuple(&self, elements: &[Type]) -> Value {
        if elements.len() > PLACES_MAX {
            return json!({"type": "array", "minItems": elements.len(), "maxItems": elements.len()});
        }
        tuple(elements.iter().map(|element| self.of(element)).collect())
    }

    fn definition(&self, name: &str, definition: &TypeDefinition) -> Value {
        let schema = match (&definition.schema, &definition.json) {
            // Only objects and booleans are schemas. An author's schema is not checked further.
            (Some(schema @ (Value::Object(_) | Value::Bool(_))), _) => return rebased(schema, name),
            _ if json::is_endless(self.description, &Type::Ref(definition.name.clone())) => never(),
            (_, Some(json)) => self.of(json),
            _ => self.shape(&definition.shape),
        };
        let mut schema = documented(schema, &definition.docs, definition.deprecated.as_deref());
        if let Value::Object(schema) = &mut schema {
            schema.insert("title".into(), definition.name.as_str().into());
        }
        schema
    }

    fn shape(&self, shape: &Shape) -> Value {
        match shape {
            Shape::Newtype(inner) => self.of(inner),
            Shape::Unit => json!({"type": "null"}),
            Shape::Tuple(elements) => self.tuple(elements),
            Shape::Struct(fields) => self.object(fields),
            Shape::Enum(variants) => self.one_of(variants),
            Shape::Opaque { reads: Some(reads) } => self.of(reads),
            Shape::Opaque { reads: None } => json!({}),
            Shape::Never => never(),
            Shape::Unknown(why) => any(why),
        }
    }

    fn object(&self, fields: &[Field]) -> Value {
        let property = |field: &Field| {
            let schema = documented(self.of(&field.ty), &field.docs, field.deprecated.as_deref());
            (field.name.clone(), schema)
        };
        let properties: Map<String, Value> = fields.iter().map(property).collect();
        let required: Vec<&str> =
            fields.iter().filter(|field| !field.has_default).map(|field| &*field.name).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    fn one_of(&self, variants: &[Variant]) -> Value {
        let readable = variants.iter().filter(|variant| variant.content != Content::Unreadable);
        let choices: Vec<Value> = readable.map(|variant| self.variant(variant)).collect();
        if choices.is_empty() { never() } else { json!({"oneOf": choices}) }
    }

    /// The schema of a value of this variant.
    pub(crate) fn variant(&self, variant: &Variant) -> Value {
        let schema = match self.content(&variant.content) {
            Some(content) => tagged(&variant.name, content),
            None => json!({"type": "string", "const": variant.name}),
        };
        documented(schema, &variant.docs, variant.deprecated.as_deref())
    }

    /// The schema of what a variant holds, if it holds anything.
    pub(crate) fn content(&self, content: &Content) -> Option<Value> {
        match content {
            Content::Unit | Content::Unreadable => None,
            Content::Newtype(inner) => Some(self.of(inner)),
            Content::Tuple(elements) => Some(self.tuple(elements)),
            Content::Struct(fields) => Some(self.object(fields)),
        }
    }
}

fn integer(minimum: i64, maximum: i64) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum})
}

fn long_integer(minimum: i64, pattern: &str) -> Value {
    json!({"anyOf": [integer(minimum, EXACT_MAX), {"type": "string", "pattern": pattern}]})
}

fn tuple(items: Vec<Value>) -> Value {
    let len = items.len();
    if items.is_empty() {
        // AsyncAPI does not accept an empty list of items.
        return json!({"type": "array", "maxItems": 0});
    }
    json!({"type": "array", "items": items, "minItems": len, "maxItems": len})
}

/// The schema of a variant with content: an object with one property.
fn tagged(name: &str, content: Value) -> Value {
    let properties: Map<String, Value> = [(name.to_owned(), content)].into_iter().collect();
    json!({"type": "object", "properties": properties, "required": [name], "additionalProperties": false})
}

fn never() -> Value {
    json!({"not": {}})
}

fn any(why: &str) -> Value {
    if why.is_empty() { json!({}) } else { json!({"description": format!("Any JSON: {why}")}) }
}

fn quoted(name: &str) -> String {
    format!("“{name}”")
}

/// Adds a description and a deprecation mark to a schema; a reference is put into an `allOf` for that.
pub(crate) fn documented(schema: Value, docs: &str, deprecated: Option<&str>) -> Value {
    if docs.is_empty() && deprecated.is_none() {
        return schema;
    }
    let mut schema = match schema {
        Value::Object(schema) if !schema.contains_key("$ref") => schema,
        schema => [("allOf".to_owned(), json!([schema]))].into_iter().collect(),
    };
    let note = deprecated.filter(|note| !note.is_empty()).map(|note| format!("Deprecated: {note}"));
    let text: Vec<&str> =
        [docs, note.as_deref().unwrap_or_default()].into_iter().filter(|text| !text.is_empty()).collect();
    if !text.is_empty() {
        schema.insert("description".into(), text.join("\n\n").into());
    }
    if deprecated.is_some() {
        schema.insert("deprecated".into(), true.into());
    }
    schema.into()
}

/// Adapts an author's schema to its new place: references into itself get the new path. A schema with an `$id` keeps its own base,
/// so its references stay.
fn rebased(schema: &Value, name: &str) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(root) = &mut schema {
        // The document around the schema sets the dialect.
        root.shift_remove("$schema");
        if !root.contains_key("$id") {
            rebase(&mut schema, name);
        }
    }
    schema
}

fn rebase(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(parts) => {
            for (key, part) in parts {
                let inside = match part {
                    Value::String(reference) if key == "$ref" => {
                        reference.strip_prefix('#').map(str::to_owned)
                    }
                    _ => None,
                };
                match inside {
                    Some(inside) => *part = format!("#/components/schemas/{name}{inside}").into(),
                    None => rebase(part, name),
                }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| rebase(part, name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
