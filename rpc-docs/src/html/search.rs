//! Renders the search index: a script with one array, because pages opened from a folder may not fetch files.

use serde_json::json;

use super::{atlas, atlas::Atlas, markdown, names, own_page};
use crate::description::{Field, Shape, TypeDefinition};

/// The kind of an entry. The index has its number; the search script has the word for it.
#[derive(Clone, Copy)]
enum Kind {
    Service,
    Method,
    Argument,
    Type,
    Field,
    Variant,
    Page,
    Section,
}

/// The maximum number of characters of a comment beside a search result.
const SUMMARY_MAX: usize = 88;

/// The entries, each `[kind, name, owner, file, anchor, summary]`, and the files, which entries refer to by index.
struct Index {
    files: Vec<String>,
    entries: Vec<serde_json::Value>,
}

/// Renders `search-index.js`.
pub(super) fn render(atlas: &Atlas<'_>) -> String {
    let mut index = Index { files: Vec::new(), entries: Vec::new() };
    index.services(atlas);
    index.types(atlas);
    index.pages(atlas);
    let mut text = format!("var rpcDocsFiles = {};\nvar rpcDocsEntries = [", json!(index.files));
    for (at, entry) in index.entries.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&entry.to_string());
    }
    text.push_str("\n];\n");
    text
}

impl Index {
    fn file(&mut self, name: &str) -> usize {
        self.files.push(name.to_owned());
        self.files.len() - 1
    }

    fn add(&mut self, kind: Kind, name: &str, owner: &str, place: (usize, &str), docs: &str) {
        let summary = markdown::shortened(&markdown::plain_summary(docs), SUMMARY_MAX);
        self.entries.push(json!([kind as u8, name, owner, place.0, place.1, summary]));
    }

    fn services(&mut self, atlas: &Atlas<'_>) {
        for (at, service) in atlas.description.services.iter().enumerate() {
            let file = self.file(atlas.service_file(at));
            let trait_name = service.trait_name();
            self.add(Kind::Service, trait_name, "", (file, ""), &service.docs);
            for method in &service.methods {
                let anchor = names::anchor("method", &[&method.name]);
                self.add(Kind::Method, method.trait_name(), trait_name, (file, &anchor), &method.docs);
                for argument in &method.arguments {
                    let owner = format!("{trait_name}.{}", method.trait_name());
                    self.add(Kind::Argument, &argument.name, &owner, (file, &anchor), &argument.value.rust);
                }
            }
        }
    }

    fn types(&mut self, atlas: &Atlas<'_>) {
        let (types, errors) = (self.file("types.html"), self.file("errors.html"));
        for (at, definition) in atlas.description.types.iter().enumerate() {
            let is_error = !atlas.uses(at).fails.is_empty();
            let (file, kind) = if is_error { (errors, "error") } else { (types, "type") };
            self.add(
                Kind::Type,
                &definition.name,
                "",
                (file, &names::anchor(kind, &[&definition.name])),
                &definition.docs,
            );
            if let Shape::Struct(fields) = &definition.shape {
                self.fields(definition, fields, types);
            }
            for variant in atlas::variants(definition) {
                let anchor = names::anchor("variant", &[&definition.name, &variant.name]);
                self.add(Kind::Variant, &variant.name, &definition.name, (file, &anchor), &variant.docs);
                for field in atlas::fields(&variant.content) {
                    let owner = format!("{}.{}", definition.name, variant.name);
                    self.add(Kind::Field, &field.name, &owner, (file, &anchor), &field.docs);
                }
            }
        }
    }

    fn fields(&mut self, definition: &TypeDefinition, fields: &[Field], file: usize) {
        for field in fields {
            let anchor = names::anchor("field", &[&definition.name, &field.name]);
            self.add(Kind::Field, &field.name, &definition.name, (file, &anchor), &field.docs);
        }
    }

    fn pages(&mut self, atlas: &Atlas<'_>) {
        for (at, page) in atlas.theme.pages.iter().enumerate() {
            let file = self.file(atlas.page_file(at));
            self.add(Kind::Page, &page.title, "", (file, ""), &page.markdown);
            for heading in own_page::headings(atlas, at) {
                self.add(Kind::Section, &heading.text, &page.title, (file, &heading.id), "");
            }
        }
    }
}
