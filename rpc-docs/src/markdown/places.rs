//! The places of all items: pages, anchors, and the links between them.

use std::collections::BTreeMap;

use crate::{
    description::{Description, Service, Shape, TypeDefinition},
    links::Target,
    names::{Names, Taken, identifier},
};

/// The page with all types.
pub(crate) const TYPES: &str = "types.md";

/// The page that contains a link; link paths are relative to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page<'a> {
    Index,
    Types,
    Service(&'a str),
}

/// The files and anchors of an API.
#[derive(Debug)]
pub(super) struct Places<'a> {
    files: BTreeMap<&'a str, String>,
    methods: BTreeMap<&'a str, BTreeMap<&'a str, String>>,
    types: BTreeMap<&'a str, String>,
    /// Anchors by the name of the type, then of the field or variant.
    parts: BTreeMap<&'a str, BTreeMap<&'a str, String>>,
}

impl<'a> Places<'a> {
    pub(super) fn of(description: &'a Description, names: &Names<'_>) -> Self {
        // Some file systems ignore case in file names.
        let mut files_taken = Taken::none();
        let mut places = Self {
            files: BTreeMap::new(),
            methods: BTreeMap::new(),
            types: BTreeMap::new(),
            parts: BTreeMap::new(),
        };
        for service in &description.services {
            let name = names.service(&service.name).unwrap_or("_");
            let name = if is_device(name) { format!("{name}_") } else { name.to_owned() };
            let unique = files_taken.name(&name.to_lowercase());
            let file = format!("services/{name}{}.md", &unique[name.len().min(unique.len())..]);
            places.files.insert(&service.name, file);
            let mut taken = Taken::none();
            let methods = service.methods.iter();
            let ids = methods.map(|method| (&*method.name, taken.name(&identifier(&method.name)))).collect();
            places.methods.insert(&service.name, ids);
        }
        let mut taken = Taken::none();
        for definition in &description.types {
            let id = taken.name(names.ty(&definition.name).unwrap_or("_"));
            places.types.insert(&definition.name, id);
        }
        for definition in &description.types {
            let id = places.types[&*definition.name].clone();
            let part = |name: &'a str| (name, taken.name(&format!("{id}.{}", identifier(name))));
            places.parts.insert(&definition.name, part_names(definition).map(part).collect());
        }
        places
    }

    pub(super) fn page(&self, service: &Service) -> String {
        self.files.get(&*service.name).cloned().unwrap_or_default()
    }

    pub(super) fn method(&self, service: &str, method: &str) -> &str {
        self.methods.get(service).and_then(|methods| methods.get(method)).map_or("", String::as_str)
    }

    pub(super) fn ty(&self, name: &str) -> &str {
        self.types.get(name).map_or("", String::as_str)
    }

    pub(super) fn part(&self, definition: &str, part: &str) -> &str {
        self.parts.get(definition).and_then(|parts| parts.get(part)).map_or("", String::as_str)
    }

    /// The address of a target, relative to a page.
    pub(super) fn link(&self, from: Page<'_>, target: Target<'_>) -> String {
        match target {
            Target::Service(service) => self.file(from, &service.name),
            Target::Method(service, method) => self.link_to_method(from, &service.name, &method.name),
            Target::Type(definition) => self.link_to_type(from, &definition.name),
            Target::Field(definition, field) => self.link_to_part(from, &definition.name, &field.name),
            Target::Variant(definition, variant) => self.link_to_part(from, &definition.name, &variant.name),
        }
    }

    pub(super) fn link_to_method(&self, from: Page<'_>, service: &str, method: &str) -> String {
        let id = self.method(service, method);
        match from {
            Page::Service(here) if here == service => format!("#{id}"),
            _ => format!("{}#{id}", self.file(from, service)),
        }
    }

    pub(super) fn link_to_type(&self, from: Page<'_>, name: &str) -> String {
        format!("{}#{}", types_page(from), self.ty(name))
    }

    fn link_to_part(&self, from: Page<'_>, definition: &str, part: &str) -> String {
        format!("{}#{}", types_page(from), self.part(definition, part))
    }

    pub(super) fn file(&self, from: Page<'_>, service: &str) -> String {
        let file = self.files.get(service).map_or("", String::as_str);
        match from {
            Page::Index | Page::Types => file.to_owned(),
            Page::Service(_) => file.trim_start_matches("services/").to_owned(),
        }
    }
}

/// Whether Windows treats a file with this name, with any extension, as a device.
fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_port = |port: &str| {
        name.strip_prefix(port).is_some_and(|number| number.len() == 1 && "123456789".contains(number))
    };
    ["con", "prn", "aux", "nul"].contains(&&*name) || is_port("com") || is_port("lpt")
}

fn types_page(from: Page<'_>) -> &'static str {
    match from {
        Page::Index => TYPES,
        Page::Types => "",
        Page::Service(_) => "../types.md",
    }
}

fn part_names(definition: &TypeDefinition) -> Box<dyn Iterator<Item = &str> + '_> {
    match &definition.shape {
        Shape::Struct(fields) => Box::new(fields.iter().map(|field| &*field.name)),
        Shape::Enum(variants) => Box::new(variants.iter().map(|variant| &*variant.name)),
        _ => Box::new(std::iter::empty()),
    }
}
