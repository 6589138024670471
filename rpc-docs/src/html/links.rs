//! Links in doc comments: `[Room::history]`, `[UserClient]`, `[ChatError::BadName]` to the pages of what they name.

use rustc_hash::FxHashMap;

use super::{
    atlas::{self, Atlas},
    names,
};
use crate::description::Shape;

/// What a name outside of anything else can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// A service, by its place.
    Service(usize),
    /// A type, by its place.
    Type(usize),
}

/// Where a doc comment stands: what `Self` is there.
pub(super) type Here = Option<Named>;

/// No doc comment refers to a longer name; longer texts are not looked up.
const LINK_MAX: usize = 256;

/// All names that stand by themselves, and what they can mean.
pub(super) fn table<'a>(atlas: &Atlas<'a>) -> FxHashMap<&'a str, Vec<Named>> {
    let mut table: FxHashMap<&'a str, Vec<Named>> = FxHashMap::default();
    let mut add = |name: &'a str, named: Named| {
        let meanings = table.entry(name).or_default();
        if !meanings.contains(&named) {
            meanings.push(named);
        }
    };
    for (at, service) in atlas.description.services.iter().enumerate() {
        add(&service.name, Named::Service(at));
        add(service.trait_name(), Named::Service(at));
    }
    for (at, definition) in atlas.description.types.iter().enumerate() {
        add(&definition.name, Named::Type(at));
        add(last_segment(&definition.name), Named::Type(at));
        if !definition.path.is_empty() {
            add(&definition.path, Named::Type(at));
        }
    }
    table
}

/// The page and anchor that a link in a doc comment leads to, if it names one thing of the API.
pub(super) fn resolve(atlas: &Atlas<'_>, here: Here, text: &str) -> Option<String> {
    let text = cleaned(text)?;
    if let Some(named) = by_name(atlas, here, text) {
        return Some(link(atlas, named));
    }
    if let Some((owner, member)) = text.rsplit_once("::") {
        let member = by_suffix(atlas, here, owner).and_then(|owner| member_link(atlas, owner, member));
        return member.or_else(|| by_suffix(atlas, here, text).map(|named| link(atlas, named)));
    }
    member_link(atlas, here?, text)
}

/// The page of a name in code, for signatures: a type, or a service by its client.
pub(super) fn resolve_word(atlas: &Atlas<'_>, word: &str) -> Option<String> {
    by_name(atlas, None, word).map(|named| match named {
        Named::Type(at) => definition_link(atlas, at),
        Named::Service(_) => link(atlas, named),
    })
}

/// A type's place on the page of types.
pub(super) fn definition_link(atlas: &Atlas<'_>, at: usize) -> String {
    format!("types.html#{}", names::anchor("type", &[&atlas.description.types[at].name]))
}

/// An error type's place on the page of errors.
pub(super) fn error_link(atlas: &Atlas<'_>, at: usize) -> String {
    format!("errors.html#{}", names::anchor("error", &[&atlas.description.types[at].name]))
}

fn cleaned(text: &str) -> Option<&str> {
    let text = text.trim().trim_matches('`');
    let text = text.split_once('@').map_or(text, |(_, name)| name);
    let text = text.strip_suffix("()").or_else(|| text.strip_suffix('!')).unwrap_or(text);
    let text = text.split_once('<').map_or(text, |(name, _)| name);
    (!text.is_empty() && text.len() <= LINK_MAX && !text.contains(char::is_whitespace)).then_some(text)
}

fn by_name(atlas: &Atlas<'_>, here: Here, name: &str) -> Option<Named> {
    if name == "Self" {
        return here;
    }
    let only = |name: &str| match atlas.names.get(name).map(Vec::as_slice) {
        Some([named]) => Some(*named),
        _ => None,
    };
    let stub = |suffix: &str| match only(name.strip_suffix(suffix)?) {
        Some(named @ Named::Service(_)) => Some(named),
        _ => None,
    };
    only(name).or_else(|| stub("Client")).or_else(|| stub("Server"))
}

/// `crate::api::User` is `api::User`, or else `User`.
fn by_suffix(atlas: &Atlas<'_>, here: Here, path: &str) -> Option<Named> {
    let mut rest = path;
    loop {
        if let Some(named) = by_name(atlas, here, rest) {
            return Some(named);
        }
        (_, rest) = rest.split_once("::")?;
    }
}

fn link(atlas: &Atlas<'_>, named: Named) -> String {
    match named {
        Named::Service(at) => atlas.service_file(at).to_owned(),
        Named::Type(at) if atlas.uses(at).fails.is_empty() => definition_link(atlas, at),
        Named::Type(at) => error_link(atlas, at),
    }
}

fn member_link(atlas: &Atlas<'_>, owner: Named, member: &str) -> Option<String> {
    match owner {
        Named::Service(at) => {
            let service = &atlas.description.services[at];
            let method = service
                .methods
                .iter()
                .find(|method| method.name == member || method.rust_name.as_deref() == Some(member))?;
            Some(format!("{}#{}", atlas.service_file(at), names::anchor("method", &[&method.name])))
        }
        Named::Type(at) => {
            let definition = &atlas.description.types[at];
            let is_meant = |name: &str, rust_name: &Option<String>| {
                name == member || rust_name.as_deref() == Some(member)
            };
            if let Shape::Struct(fields) = &definition.shape {
                let field = fields.iter().find(|field| is_meant(&field.name, &field.rust_name))?;
                return Some(format!(
                    "types.html#{}",
                    names::anchor("field", &[&definition.name, &field.name])
                ));
            }
            let mut variants = atlas::variants(definition).iter();
            let variant = variants.find(|variant| is_meant(&variant.name, &variant.rust_name))?;
            let page = if atlas.uses(at).fails.is_empty() { "types.html" } else { "errors.html" };
            Some(format!("{page}#{}", names::anchor("variant", &[&definition.name, &variant.name])))
        }
    }
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests;
