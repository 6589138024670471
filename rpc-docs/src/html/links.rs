//! Resolves links in doc comments: `[Room::history]`, `[UserClient]`, `[ChatError::BadName]` lead to the pages of these items.

use super::{atlas::Atlas, names};
use crate::links::Target;

/// The item that a doc comment belongs to, which is `Self` in its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// A service, by its index.
    Service(usize),
    /// A type, by its index.
    Type(usize),
}

pub(super) type Here = Option<Named>;

/// The maximum length of a link that is looked up. No doc comment refers to a longer name.
const LINK_MAX: usize = 256;

/// The page and anchor of a link in a doc comment; `None` unless it names exactly one item of the API.
pub(super) fn resolve(atlas: &Atlas<'_>, here: Here, text: &str) -> Option<String> {
    let home = here.map(|here| match here {
        Named::Service(at) => Target::Service(&atlas.description.services[at]),
        Named::Type(at) => Target::Type(&atlas.description.types[at]),
    });
    let target =
        Some(text).filter(|text| text.len() <= LINK_MAX).and_then(|text| atlas.links.resolve(text, home))?;
    Some(match target {
        Target::Service(service) => atlas.service_file(atlas.service(&service.name)?.0).to_owned(),
        Target::Method(service, method) => atlas.method_link(atlas.method_at(&service.name, &method.name)?),
        Target::Type(definition) => {
            let (at, _) = atlas.definition(&definition.name)?;
            if atlas.uses(at).fails.is_empty() { definition_link(atlas, at) } else { error_link(atlas, at) }
        }
        Target::Field(definition, field) => {
            format!("types.html#{}", names::anchor("field", &[&definition.name, &field.name]))
        }
        Target::Variant(definition, variant) => {
            let is_error = !atlas.uses(atlas.definition(&definition.name)?.0).fails.is_empty();
            let page = if is_error { "errors.html" } else { "types.html" };
            format!("{page}#{}", names::anchor("variant", &[&definition.name, &variant.name]))
        }
    })
}

/// The page of a name in a signature: a type, or a service by its client's name.
pub(super) fn resolve_word(atlas: &Atlas<'_>, word: &str) -> Option<String> {
    match atlas.links.resolve(word, None)? {
        Target::Type(definition) => Some(definition_link(atlas, atlas.definition(&definition.name)?.0)),
        Target::Service(service) => Some(atlas.service_file(atlas.service(&service.name)?.0).to_owned()),
        Target::Method(..) | Target::Field(..) | Target::Variant(..) => None,
    }
}

/// The address of a type on the page of types.
pub(super) fn definition_link(atlas: &Atlas<'_>, at: usize) -> String {
    format!("types.html#{}", names::anchor("type", &[&atlas.description.types[at].name]))
}

/// The address of an error type on the page of errors.
pub(super) fn error_link(atlas: &Atlas<'_>, at: usize) -> String {
    format!("errors.html#{}", names::anchor("error", &[&atlas.description.types[at].name]))
}

#[cfg(test)]
mod tests;
