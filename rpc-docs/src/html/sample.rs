//! Makes sample values of types in JSON, small even if the type is large or recursive.

use super::atlas::Atlas;
use crate::{
    description::{Content, Field, Shape, Type, TypeDefinition, Variant},
    json::{Keys, Seen, keys, may_be_null, seen},
    samples::text_of,
};

/// The depth to which nested types are written out; below it, lists are empty and options absent.
const DEPTH_MAX: usize = 4;
/// Arrays with more than `ELEMENTS_MAX` elements are cut to `ELEMENTS_CUT`, with a note on their length.
const ELEMENTS_MAX: usize = 8;
const ELEMENTS_CUT: usize = 3;
/// The maximum number of parts of a sample.
const PARTS_MAX: usize = 80;

/// The maximum length of a sample on one line.
const LINE_MAX: usize = 56;

/// A sample of a type; for an enum, one for each variant.
pub(super) fn samples<'a>(atlas: &Atlas<'a>, definition: usize) -> Vec<String> {
    let definition = &atlas.description.types[definition];
    let maker = || Maker { atlas, parts_left: PARTS_MAX, open: Vec::new() };
    let samples: Vec<Sample> = match (&definition.json, &definition.shape) {
        (None, Shape::Enum(variants)) => {
            let variant = |variant: &'a Variant| {
                let mut maker = Maker { open: vec![&definition.name], ..maker() };
                maker.variant(&variant.name, &variant.content, 0)
            };
            let sent = variants.iter().filter(|variant| variant.content != Content::Unreadable);
            sent.filter_map(variant).collect()
        }
        _ => maker().definition(definition, 0).into_iter().collect(),
    };
    samples.iter().map(|sample| sample.text(0)).collect()
}

/// A JSON value whose fields are in the order of the type.
enum Sample {
    Atom(String),
    List(Vec<Sample>),
    Object(Vec<(String, Sample)>),
}

impl Sample {
    /// The sample as JSON on one line, or on several lines if it is long.
    fn text(&self, indent: usize) -> String {
        let (open, parts, close) = match self {
            Self::Atom(text) => return text.clone(),
            Self::List(elements) => ("[", elements.iter().map(|part| part.text(indent + 2)).collect(), "]"),
            Self::Object(fields) => {
                let field =
                    |(name, part): &(String, Sample)| format!("{}: {}", quoted(name), part.text(indent + 2));
                ("{", fields.iter().map(field).collect::<Vec<_>>(), "}")
            }
        };
        let line = parts.join(", ");
        let space = if open == "{" && !parts.is_empty() { " " } else { "" };
        if indent + line.chars().count() <= LINE_MAX && !line.contains('\n') {
            return format!("{open}{space}{line}{space}{close}");
        }
        let (inside, outside) = (" ".repeat(indent + 2), " ".repeat(indent));
        format!("{open}\n{inside}{}\n{outside}{close}", parts.join(&format!(",\n{inside}")))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn atom(text: &str) -> Sample {
    Sample::Atom(text.to_owned())
}

fn string(text: &str) -> Sample {
    Sample::Atom(quoted(text))
}

fn object(name: &str, value: Sample) -> Sample {
    Sample::Object(vec![(name.to_owned(), value)])
}

struct Maker<'m, 'a> {
    atlas: &'m Atlas<'a>,
    parts_left: usize,
    /// The types around the value that is being made.
    open: Vec<&'a str>,
}

/// Functions return `None` for values that would be too deep, such as values of a type inside itself. Optional parts are left out
/// in that case.
impl<'a> Maker<'_, 'a> {
    fn value(&mut self, ty: &'a Type, depth: usize, name: &str) -> Option<Sample> {
        let Some(left) = self.parts_left.checked_sub(1) else { return Some(string("…")) };
        self.parts_left = left;
        Some(match ty {
            Type::Bool => atom("true"),
            Type::F32 | Type::F64 => atom("0.5"),
            Type::Char => string("a"),
            Type::String => string(text(name)),
            Type::Bytes => string("aGVsbG8="),
            Type::Unit => atom("null"),
            Type::Ref(name) => self.named(name, depth + 1)?,
            Type::Object(name) => string(&format!("‹object of {name}›")),
            Type::Stream { .. } => string("‹stream›"),
            Type::Option(inner) => match self.value(inner, depth, name) {
                Some(value) if may_be_null(self.atlas.description, inner) => Sample::List(vec![value]),
                Some(value) => value,
                None => atom("null"),
            },
            Type::List(element) | Type::Collection { element, .. } => {
                Sample::List(self.value(element, depth, name).into_iter().collect())
            }
            Type::Array { element, len } => self.array(element, *len, depth, name)?,
            Type::Tuple(elements) => self.tuple(elements, depth, name)?,
            Type::Map { key, value, .. } => self.map(key, value, depth),
            Type::Result { ok, .. } => object("Ok", self.value(ok, depth, name)?),
            Type::Unknown(_) => string("‹any JSON›"),
            _ => atom("7"),
        })
    }

    fn array(&mut self, element: &'a Type, len: usize, depth: usize, name: &str) -> Option<Sample> {
        let shown = if len > ELEMENTS_MAX { ELEMENTS_CUT } else { len };
        let elements = (0..shown).map(|_| self.value(element, depth, name));
        let mut elements = elements.collect::<Option<Vec<_>>>()?;
        if shown < len {
            elements.push(string(&format!("… {len} in all")));
        }
        Some(Sample::List(elements))
    }

    fn tuple(&mut self, elements: &'a [Type], depth: usize, name: &str) -> Option<Sample> {
        let elements = elements.iter().map(|element| self.value(element, depth, name));
        Some(Sample::List(elements.collect::<Option<Vec<_>>>()?))
    }

    fn map(&mut self, key: &'a Type, value: &'a Type, depth: usize) -> Sample {
        let (key, pairs) = (self.value(key, depth, "key"), keys(self.atlas.description, key));
        match (pairs, key.zip(self.value(value, depth, ""))) {
            (Keys::Pairs, Some((key, value))) => Sample::List(vec![Sample::List(vec![key, value])]),
            (Keys::Pairs, None) => Sample::List(Vec::new()),
            (Keys::Object, Some((Sample::Atom(key), value))) => object(key.trim_matches('"'), value),
            (Keys::Object, Some((_, value))) => object("…", value),
            (Keys::Object, None) => Sample::Object(Vec::new()),
        }
    }

    fn named(&mut self, name: &str, depth: usize) -> Option<Sample> {
        let Some((_, definition)) = self.atlas.definition(name) else { return Some(string("…")) };
        if depth > DEPTH_MAX {
            return None;
        }
        self.definition(definition, depth)
    }

    fn definition(&mut self, definition: &'a TypeDefinition, depth: usize) -> Option<Sample> {
        let ty = Type::Ref(definition.name.clone());
        if matches!(seen(self.atlas.description, &ty), Seen::Type(Type::String))
            && let Some(text) = text_of(&definition.name)
        {
            return Some(string(text));
        }
        if self.open.contains(&&*definition.name) {
            return None;
        }
        self.open.push(&definition.name);
        let sample = match &definition.json {
            Some(ty) => self.value(ty, depth, ""),
            None => self.shape(&definition.shape, depth),
        };
        self.open.pop();
        sample
    }

    fn shape(&mut self, shape: &'a Shape, depth: usize) -> Option<Sample> {
        match shape {
            Shape::Newtype(inner) | Shape::Opaque { reads: Some(inner) } => self.value(inner, depth, ""),
            Shape::Unit => Some(atom("null")),
            Shape::Tuple(elements) => self.tuple(elements, depth, ""),
            Shape::Struct(fields) => self.fields(fields, depth),
            // The first variant may contain the type itself; then one of the others does not.
            Shape::Enum(variants) => variants
                .iter()
                .filter(|variant| variant.content != Content::Unreadable)
                .find_map(|variant| self.variant(&variant.name, &variant.content, depth)),
            Shape::Opaque { reads: None } | Shape::Unknown(_) => Some(string("‹any JSON›")),
            Shape::Never => None,
        }
    }

    fn variant(&mut self, name: &str, content: &'a Content, depth: usize) -> Option<Sample> {
        Some(match content {
            Content::Unit | Content::Unreadable => string(name),
            Content::Newtype(inner) => object(name, self.value(inner, depth, "")?),
            Content::Tuple(elements) => object(name, self.tuple(elements, depth, "")?),
            Content::Struct(fields) => object(name, self.fields(fields, depth)?),
        })
    }

    fn fields(&mut self, fields: &'a [Field], depth: usize) -> Option<Sample> {
        let mut object = Vec::new();
        for field in fields {
            if self.parts_left == 0 {
                object.push(("…".into(), string("…")));
                break;
            }
            object.push((field.name.clone(), self.value(&field.ty, depth, &field.name)?));
        }
        Some(Sample::Object(object))
    }
}

fn text(name: &str) -> &'static str {
    if name.contains("name") { "Ann" } else { "hello" }
}

#[cfg(test)]
mod tests;
