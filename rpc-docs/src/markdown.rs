//! Renders Markdown pages for code hosts: an index, a page for each service, and one with all types.
//!
//! Anchors are explicit elements (`<a id="…">`), because the anchors that hosts make from headings differ and change when a
//! heading is added. All other markup in names and comments is escaped.

use std::collections::BTreeMap;

use crate::{
    description::{Description, Method, Service, Shape, TypeDefinition},
    examples::Guide,
    flows::Flows,
    links::Links,
    names::Names,
    prose::printable,
    typescript::Declarations,
};

mod comments;
mod definitions;
mod diagrams;
mod index;
mod places;
mod services;
mod text;

use places::Places;
pub(crate) use places::TYPES;
pub(crate) use services::signature;
pub(crate) use text::block;

/// The file of the first page.
pub(crate) const INDEX: &str = "README.md";

/// Renders the pages, by their paths.
pub fn render(description: &Description) -> BTreeMap<String, String> {
    let names = Names::of(description);
    let pages = Pages {
        description,
        links: Links::new(description),
        places: Places::of(description, &names),
        flows: Flows::of(description),
        methods: description
            .services
            .iter()
            .flat_map(|service| service.methods.iter().map(move |method| (service, method)))
            .map(|(service, method)| ((&*service.name, &*method.name), (service, method)))
            .collect(),
        guide: Guide::new(description, &names),
        declarations: Declarations::new(description, &names),
        errors: errors(description),
    };
    let services =
        description.services.iter().map(|service| (pages.places.page(service), pages.service(service)));
    [(INDEX.to_owned(), pages.index()), (TYPES.to_owned(), pages.types())]
        .into_iter()
        .chain(services)
        .map(|(path, page)| (path, printable(page)))
        .collect()
}

/// The paths of the services' pages, in the order of the services.
pub(crate) fn paths(description: &Description) -> Vec<String> {
    let names = Names::of(description);
    let places = Places::of(description, &names);
    description.services.iter().map(|service| places.page(service)).collect()
}

/// Writes the pages of an API.
struct Pages<'a> {
    description: &'a Description,
    links: Links<'a>,
    places: Places<'a>,
    flows: Flows<'a>,
    /// Methods by the wire names of service and method.
    methods: BTreeMap<(&'a str, &'a str), (&'a Service, &'a Method)>,
    guide: Guide<'a>,
    declarations: Declarations<'a>,
    /// The error types of methods, with the number of methods.
    errors: BTreeMap<&'a str, usize>,
}

fn errors(description: &Description) -> BTreeMap<&str, usize> {
    let mut errors = BTreeMap::new();
    for method in description.services.iter().flat_map(|service: &Service| &service.methods) {
        if let Some(crate::description::Type::Ref(name)) = method.error.as_ref().map(|error| &error.ty) {
            *errors.entry(&**name).or_default() += 1;
        }
    }
    errors
}

/// The word for a kind of type in lists.
fn kind(definition: &TypeDefinition) -> &'static str {
    match &definition.shape {
        Shape::Newtype(_) => "newtype",
        Shape::Unit | Shape::Tuple(_) | Shape::Struct(_) => "struct",
        Shape::Enum(_) => "enum",
        Shape::Never => "without values",
        Shape::Opaque { .. } | Shape::Unknown(_) => "opaque",
    }
}

#[cfg(test)]
mod tests;
