//! Renders the page of all types, and types with links.

use super::{
    Pages, kind,
    places::Page,
    text::{anchor, code, escaped, table, word},
};
use crate::{
    description::{Content, Field, Service, Shape, Type, TypeDefinition, Variant},
    links::Target,
};

impl<'a> Pages<'a> {
    pub(super) fn types(&self) -> String {
        let mut page = String::from("# Types\n\n[All services](README.md)\n\n");
        for definition in &self.description.types {
            page.push_str(&self.definition(definition));
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        page
    }

    fn definition(&self, definition: &'a TypeDefinition) -> String {
        let home = Some(Target::Type(definition));
        let mut text =
            format!("{}\n\n## {}\n\n", anchor(self.places.ty(&definition.name)), word(&definition.name));
        let what = match &definition.shape {
            Shape::Newtype(inner) => format!("newtype of {}", self.linked(inner, Page::Types)),
            Shape::Tuple(elements) => format!("struct of {}", self.all(elements, Page::Types)),
            Shape::Opaque { reads: Some(reads) } => format!("read as {}", self.linked(reads, Page::Types)),
            Shape::Unknown(why) => format!("not known: {}", escaped(why)),
            _ => kind(definition).to_owned(),
        };
        text.push_str(&format!("*{what}*\n\n"));
        if let Some(note) = &definition.deprecated {
            let note = self.summary(note, home, Page::Types);
            let note = if note.is_empty() { note } else { format!(": {note}") };
            text.push_str(&format!("> **Deprecated**{note}\n\n"));
        }
        text.push_str(&self.comment(&definition.docs, home, Page::Types, 2));
        match &definition.shape {
            Shape::Struct(fields) => {
                let rows: Vec<_> = fields.iter().map(|field| self.field(definition, field)).collect();
                text.push_str(&table(&["field", "type", ""], &rows));
            }
            Shape::Enum(variants) => {
                let rows: Vec<_> = variants.iter().map(|variant| self.variant(definition, variant)).collect();
                text.push_str(&table(&["variant", "holds", ""], &rows));
            }
            _ => {}
        }
        text
    }

    fn field(&self, definition: &'a TypeDefinition, field: &'a Field) -> Vec<String> {
        let home = Some(Target::Field(definition, field));
        let place = anchor(self.places.part(&definition.name, &field.name));
        let optional = if field.has_default { "may be left out in JSON. " } else { "" };
        vec![
            format!("{place}{}", code(field.rust_name.as_deref().unwrap_or(&field.name))),
            self.linked(&field.ty, Page::Types),
            format!(
                "{}{optional}{}",
                gone(field.deprecated.as_deref()),
                self.summary(&field.docs, home, Page::Types)
            ),
        ]
    }

    fn variant(&self, definition: &'a TypeDefinition, variant: &'a Variant) -> Vec<String> {
        let home = Some(Target::Variant(definition, variant));
        let place = anchor(self.places.part(&definition.name, &variant.name));
        let holds = match &variant.content {
            Content::Unit => String::new(),
            Content::Unreadable => "cannot be sent".into(),
            Content::Newtype(inner) => self.linked(inner, Page::Types),
            Content::Tuple(elements) => self.all(elements, Page::Types),
            Content::Struct(fields) => {
                let field =
                    |field: &Field| format!("{} {}", code(&field.name), self.linked(&field.ty, Page::Types));
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            }
        };
        let message = variant.message.as_ref().map_or(String::new(), |message| format!(" {}", code(message)));
        vec![
            format!("{place}{}", code(variant.rust_name.as_deref().unwrap_or(&variant.name))),
            holds,
            format!(
                "{}{}{message}",
                gone(variant.deprecated.as_deref()),
                self.summary(&variant.docs, home, Page::Types)
            ),
        ]
    }

    fn all(&self, types: &[Type], here: Page<'_>) -> String {
        types.iter().map(|ty| self.linked(ty, here)).collect::<Vec<_>>().join(", ")
    }

    /// A type in Rust's syntax, with links on its names.
    pub(super) fn linked(&self, ty: &Type, here: Page<'_>) -> String {
        let within = |name: &str, parts: &[&Type]| {
            let parts: Vec<String> = parts.iter().map(|part| self.linked(part, here)).collect();
            format!("{name}&lt;{}&gt;", parts.join(", "))
        };
        match ty {
            Type::Ref(name) => format!("[{}]({})", word(name), self.places.link_to_type(here, name)),
            Type::Object(service) => {
                let name = self.description.service(service).map_or(&**service, Service::trait_name);
                format!("[{}]({}) object", word(name), self.places.file(here, service))
            }
            Type::Option(inner) => within("Option", &[inner]),
            Type::List(inner) => within("Vec", &[inner]),
            Type::Collection { name, element } => within(name, &[element]),
            Type::Map { name, key, value } => within(name, &[key, value]),
            Type::Result { ok, error } => within("Result", &[ok, error]),
            Type::Stream { item, error: None } => within("Streaming", &[item]),
            Type::Stream { item, error: Some(error) } => within("Streaming", &[item, error]),
            Type::Array { element, len } => format!("&#91;{}; {len}&#93;", self.linked(element, here)),
            Type::Tuple(elements) => format!("&#40;{}&#41;", self.all(elements, here)),
            Type::Unit => "&#40;&#41;".into(),
            Type::String => "String".into(),
            Type::Bytes => "Bytes".into(),
            Type::Unknown(why) => format!("not known {}", escaped(why)),
            plain => format!("{plain:?}").to_lowercase(),
        }
    }
}

fn gone(deprecated: Option<&str>) -> String {
    match deprecated {
        None => String::new(),
        Some("") => "**deprecated** ".into(),
        Some(note) => format!("**deprecated**: {} ", escaped(note)),
    }
}
