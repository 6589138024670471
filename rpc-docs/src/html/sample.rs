//! What a value of a type looks like in JSON: a made-up one, small even where the type is large or recursive.

use super::atlas::Atlas;
use crate::{
    description::{Content, Field, Shape, Type},
    json::{Keys, keys, may_be_null},
};

/// So deep the types inside of a type are written out; below stands `…`.
const DEPTH_MAX: usize = 3;
/// So many parts a sample has in all.
const PARTS_MAX: usize = 80;

/// A sample that is longer stands on several lines.
const LINE_MAX: usize = 56;

/// A sample, or several for an enum: one a variant.
pub(super) fn samples(atlas: &Atlas<'_>, definition: usize) -> Vec<String> {
    let definition = &atlas.description.types[definition];
    let mut maker = Maker { atlas, parts_left: PARTS_MAX };
    let samples = match (&definition.json, &definition.shape) {
        (Some(ty), _) => vec![maker.value(ty, 0, "")],
        (None, Shape::Enum(variants)) => {
            let variant =
                |variant: &crate::description::Variant| maker.variant(&variant.name, &variant.content, 0);
            variants.iter().filter(|variant| variant.content != Content::Unreadable).map(variant).collect()
        }
        (None, Shape::Never) => Vec::new(),
        (None, shape) => vec![maker.shape(shape, 0)],
    };
    samples.iter().map(|sample| sample.text(0)).collect()
}

/// A JSON value whose fields stand in the order of the type.
enum Sample {
    Atom(String),
    List(Vec<Sample>),
    Object(Vec<(String, Sample)>),
}

impl Sample {
    /// JSON on one line, or on several if it is long.
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
}

impl Maker<'_, '_> {
    fn value(&mut self, ty: &Type, depth: usize, name: &str) -> Sample {
        let Some(left) = self.parts_left.checked_sub(1) else { return string("…") };
        self.parts_left = left;
        match ty {
            Type::Bool => atom("true"),
            Type::F32 | Type::F64 => atom("0.5"),
            Type::Char => string("a"),
            Type::String => string(text(name)),
            Type::Bytes => string("aGVsbG8="),
            Type::Unit => atom("null"),
            Type::Ref(name) => self.named(name, depth + 1),
            Type::Object(name) => string(&format!("‹object of {name}›")),
            Type::Stream { .. } => string("‹stream›"),
            Type::Option(inner) if may_be_null(self.atlas.description, inner) => {
                Sample::List(vec![self.value(inner, depth, name)])
            }
            Type::Option(inner) => self.value(inner, depth, name),
            Type::List(element) | Type::Collection { element, .. } => {
                Sample::List(vec![self.value(element, depth, name)])
            }
            Type::Array { element, len } => {
                let shown = (*len).min(3);
                Sample::List((0..shown).map(|_| self.value(element, depth, name)).collect())
            }
            Type::Tuple(elements) => {
                Sample::List(elements.iter().map(|element| self.value(element, depth, name)).collect())
            }
            Type::Map { key, value } => self.map(key, value, depth),
            Type::Result { ok, .. } => object("Ok", self.value(ok, depth, name)),
            Type::Unknown(_) => string("‹any JSON›"),
            _ => atom("7"),
        }
    }

    fn map(&mut self, key: &Type, value: &Type, depth: usize) -> Sample {
        let (key, pairs) = (self.value(key, depth, "key"), keys(self.atlas.description, key));
        let value = self.value(value, depth, "");
        match (pairs, key) {
            (Keys::Pairs, key) => Sample::List(vec![Sample::List(vec![key, value])]),
            (Keys::Object, Sample::Atom(key)) => object(key.trim_matches('"'), value),
            (Keys::Object, _) => object("…", value),
        }
    }

    fn named(&mut self, name: &str, depth: usize) -> Sample {
        let Some((_, definition)) = self.atlas.definition(name) else { return string("…") };
        if depth > DEPTH_MAX {
            return string("…");
        }
        match &definition.json {
            Some(ty) => self.value(ty, depth, ""),
            None => self.shape(&definition.shape, depth),
        }
    }

    fn shape(&mut self, shape: &Shape, depth: usize) -> Sample {
        match shape {
            Shape::Newtype(inner) | Shape::Opaque { reads: Some(inner) } => self.value(inner, depth, ""),
            Shape::Unit | Shape::Never => atom("null"),
            Shape::Tuple(elements) => {
                Sample::List(elements.iter().map(|element| self.value(element, depth, "")).collect())
            }
            Shape::Struct(fields) => self.fields(fields, depth),
            Shape::Enum(variants) => {
                match variants.iter().find(|variant| variant.content != Content::Unreadable) {
                    Some(variant) => self.variant(&variant.name, &variant.content, depth),
                    None => atom("null"),
                }
            }
            Shape::Opaque { reads: None } | Shape::Unknown(_) => string("‹any JSON›"),
        }
    }

    fn variant(&mut self, name: &str, content: &Content, depth: usize) -> Sample {
        match content {
            Content::Unit | Content::Unreadable => string(name),
            Content::Newtype(inner) => object(name, self.value(inner, depth, "")),
            Content::Tuple(elements) => {
                let elements =
                    Sample::List(elements.iter().map(|element| self.value(element, depth, "")).collect());
                object(name, elements)
            }
            Content::Struct(fields) => object(name, self.fields(fields, depth)),
        }
    }

    fn fields(&mut self, fields: &[Field], depth: usize) -> Sample {
        let mut object = Vec::new();
        for field in fields {
            if self.parts_left == 0 {
                object.push(("…".into(), string("…")));
                break;
            }
            object.push((field.name.clone(), self.value(&field.ty, depth, &field.name)));
        }
        Sample::Object(object)
    }
}

fn text(name: &str) -> &'static str {
    if name.contains("name") { "Ann" } else { "hello" }
}

#[cfg(test)]
mod tests;
