//! Resolves intra-doc links: paths in comments to items of the API, independent of the output format.

use std::collections::BTreeMap;

use crate::description::{Content, Description, Field, Method, Service, Shape, TypeDefinition, Variant};

/// The item that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A service: its trait, its client or its server.
    Service(&'a Service),
    /// A method, with its service.
    Method(&'a Service, &'a Method),
    /// A type.
    Type(&'a TypeDefinition),
    /// A field of a struct.
    Field(&'a TypeDefinition, &'a Field),
    /// A variant of an enum, or a field of a variant.
    Variant(&'a TypeDefinition, &'a Variant),
}

/// Resolves paths in comments.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    /// Services by trait name, wire name, and the names of the generated types.
    services: BTreeMap<String, &'a Service>,
    /// Methods by the service's wire name and the method's wire name or Rust name. Of two with one name, the first.
    methods: BTreeMap<(&'a str, &'a str), &'a Method>,
    /// Types by name and by path.
    types: BTreeMap<&'a str, &'a TypeDefinition>,
    /// Types by the last word of their names; several if only their modules differ.
    last_words: BTreeMap<&'a str, Vec<&'a TypeDefinition>>,
}

impl<'a> Links<'a> {
    /// Links for the comments of this description.
    pub(crate) fn new(description: &'a Description) -> Self {
        let mut services = BTreeMap::new();
        for service in &description.services {
            let name = service.trait_name();
            // The name of a trait takes precedence over a name generated for another trait.
            for generated in [format!("{name}Client"), format!("{name}Server"), service.name.clone()] {
                services.entry(generated).or_insert(service);
            }
        }
        services
            .extend(description.services.iter().map(|service| (service.trait_name().to_owned(), service)));
        let mut methods = BTreeMap::new();
        for service in &description.services {
            for method in &service.methods {
                methods.entry((&*service.name, method.trait_name())).or_insert(method);
                methods.entry((&*service.name, &*method.name)).or_insert(method);
            }
        }
        let mut last_words: BTreeMap<&str, Vec<&TypeDefinition>> = BTreeMap::new();
        for definition in &description.types {
            last_words.entry(last_word(&definition.name)).or_default().push(definition);
        }
        let by_path = description.types.iter().map(|definition| (&*definition.path, definition));
        let by_name = description.types.iter().map(|definition| (&*definition.name, definition));
        let types = by_path.filter(|(path, _)| !path.is_empty()).chain(by_name).collect();
        Self { services, methods, types, last_words }
    }

    /// The item that the path names; `Self` is `home`. `None` if no item has the name, or several have.
    pub(crate) fn resolve(&self, path: &str, home: Option<Target<'a>>) -> Option<Target<'a>> {
        let path = bare(path);
        if let Some(whole) = self.item(path) {
            return Some(whole);
        }
        let Some((before, last)) = path.rsplit_once("::") else {
            // A single word may be a sibling of the item with the comment.
            return self.part(owner(home?), path);
        };
        if before == "Self" {
            return self.part(owner(home?), last);
        }
        if let Some(part) = self.item(before).and_then(|item| self.part(item, last)) {
            return Some(part);
        }
        // A field of a variant resolves to the variant, because fields of variants have no anchors.
        match self.resolve(before, home)? {
            variant @ Target::Variant(_, Variant { content: Content::Struct(fields), .. }) => fields
                .iter()
                .any(|field| is_called(&field.name, field.rust_name.as_deref(), last))
                .then_some(variant),
            _ => None,
        }
    }

    /// A service or a type, possibly with modules before its name.
    fn item(&self, path: &str) -> Option<Target<'a>> {
        if let Some(definition) = self.types.get(path) {
            // A comment more likely means a service with the same name than the type.
            return Some(
                self.services.get(path).map_or(Target::Type(definition), |service| Target::Service(service)),
            );
        }
        let word = last_word(path);
        let modules = path.strip_suffix(word).unwrap_or_default().trim_end_matches("::");
        let modules = ["crate", "self", "super"].into_iter().fold(modules, |modules, start| {
            modules.strip_prefix(start).map_or(modules, |rest| rest.trim_start_matches("::"))
        });
        if let Some(service) = self.services.get(word) {
            return Some(Target::Service(service));
        }
        let candidates = self.last_words.get(word)?.iter().filter(|definition| {
            let within = definition.path.strip_suffix(word).unwrap_or_default().trim_end_matches("::");
            modules.is_empty() || definition.path.is_empty() || within.ends_with(modules)
        });
        match candidates.collect::<Vec<_>>().as_slice() {
            [only] => Some(Target::Type(only)),
            _ => None,
        }
    }

    fn part(&self, of: Target<'a>, name: &str) -> Option<Target<'a>> {
        match of {
            Target::Service(service) => {
                let method = self.methods.get(&(&*service.name, name))?;
                Some(Target::Method(service, method))
            }
            Target::Type(definition) => match &definition.shape {
                Shape::Struct(fields) => {
                    let is_it = |field: &&Field| is_called(&field.name, field.rust_name.as_deref(), name);
                    Some(Target::Field(definition, fields.iter().find(is_it)?))
                }
                Shape::Enum(variants) => {
                    let is_it =
                        |variant: &&Variant| is_called(&variant.name, variant.rust_name.as_deref(), name);
                    Some(Target::Variant(definition, variants.iter().find(is_it)?))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// The item that `Self` means in a comment on `target`.
fn owner(target: Target<'_>) -> Target<'_> {
    match target {
        Target::Method(service, _) => Target::Service(service),
        Target::Field(definition, _) | Target::Variant(definition, _) => Target::Type(definition),
        other => other,
    }
}

fn is_called(name: &str, rust_name: Option<&str>, wanted: &str) -> bool {
    rust_name.unwrap_or(name) == wanted || name == wanted
}

/// A path without the decorations that rustdoc allows: back-ticks, `trait@`, `fn@` and the like, `()`, `!`, trailing generics.
fn bare(path: &str) -> &str {
    let path = path.trim().trim_matches('`').trim();
    let path = path.split_once('@').map_or(path, |(_, path)| path);
    let path = path.split('#').next().unwrap_or(path);
    path.trim_end_matches("()").trim_end_matches('!')
}

/// The last segment of a path; generics are part of it.
fn last_word(path: &str) -> &str {
    let name_end = path.find('<').unwrap_or(path.len());
    let start = path[..name_end].rfind("::").map_or(0, |at| at + 2);
    &path[start..]
}

#[cfg(test)]
mod tests;
