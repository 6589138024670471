//! Names of types and services for JSON schemas and TypeScript: unique identifiers.
//!
//! Types and services share one namespace there, together with the outputs' own names. A valid name is kept, invalid characters
//! become underscores, and a name that is taken gets a number.

use std::collections::{BTreeMap, BTreeSet};

use crate::description::Description;

/// The names of types and services outside Rust.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    types: BTreeMap<&'a str, String>,
    services: BTreeMap<&'a str, String>,
    implementations: BTreeMap<&'a str, String>,
}

/// Names of the TypeScript declarations that every file has.
const OWN: [&str; 20] = [
    "Argument",
    "Bytes",
    "CallFailure",
    "Failure",
    "Float",
    "Inside",
    "Integer64",
    "ListParts",
    "Option",
    "OptionParts",
    "Parts",
    "Pending",
    "Promised",
    "Remote",
    "Sent",
    "Services",
    "Stream",
    "StreamParts",
    "StructParts",
    "TupleParts",
];

/// Reserved words and global names of TypeScript, and names of members that all JavaScript objects have.
const RESERVED: &str = "any arguments as asserts async await bigint boolean break case catch class const \
    constructor continue debugger declare default delete do else enum eval export extends false finally for from function get if \
    implements import in infer instanceof interface is keyof let module namespace never new null number object of out \
    override package private protected prototype public readonly require return satisfies set static string super \
    switch symbol this throw true try type typeof undefined unique unknown using var void while with yield \
    Array AsyncIterable Awaited Boolean Error Exclude Extract Function Infinity Map NaN Number Object Omit Partial Pick \
    Promise PromiseLike ReadonlyArray Record Required Set String Symbol hasOwnProperty toString valueOf \
    __proto__ __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ globalThis \
    isPrototypeOf propertyIsEnumerable toLocaleString";

impl<'a> Names<'a> {
    /// The names of all types and services of an API.
    pub(crate) fn of(description: &'a Description) -> Self {
        let mut taken = Taken::new();
        let types: Vec<&str> = description.types.iter().map(|definition| &*definition.name).collect();
        let services: Vec<&str> = description.services.iter().map(|service| &*service.name).collect();
        // Valid names are claimed first, so that no other type takes one of them.
        let mut kept = BTreeSet::new();
        let fitting = types.iter().chain(&services).copied().filter(|name| identifier(name) == **name);
        kept.extend(fitting.filter(|name| taken.claim(name)));
        let services = give(&services, &mut kept, &mut taken);
        let types = give(&types, &mut kept, &mut taken);
        let implementation =
            |(name, new): (&&'a str, &String)| (*name, taken.name(&format!("{new}Implementation")));
        let implementations = services.iter().map(implementation).collect();
        Self { types, services, implementations }
    }

    /// The name of a type, by its name in references.
    pub(crate) fn ty(&self, name: &str) -> Option<&str> {
        self.types.get(name).map(String::as_str)
    }

    /// The name of a service, by its wire name.
    pub(crate) fn service(&self, name: &str) -> Option<&str> {
        self.services.get(name).map(String::as_str)
    }

    /// The name of the interface for implementations of a service.
    pub(crate) fn implementation(&self, name: &str) -> Option<&str> {
        self.implementations.get(name).map(String::as_str)
    }
}

/// Whether a name is reserved.
#[cfg(test)]
pub(crate) fn is_reserved(name: &str) -> bool {
    OWN.contains(&name) || RESERVED.split_whitespace().any(|reserved| reserved == name)
}

/// Gives each name a valid one: itself if it is in `kept`.
fn give<'a>(names: &[&'a str], kept: &mut BTreeSet<&'a str>, taken: &mut Taken) -> BTreeMap<&'a str, String> {
    let mut name = |name: &str| {
        if kept.remove(name) { name.to_owned() } else { taken.name(&identifier(name)) }
    };
    names.iter().map(|old| (*old, name(old))).collect()
}

/// Names that are taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    names: BTreeSet<String>,
    /// The last number that was tried for each name, so that many equal names cost no more than others.
    numbers: BTreeMap<String, usize>,
}

impl Taken {
    /// A set with the reserved names.
    fn new() -> Self {
        let names = OWN.into_iter().chain(RESERVED.split_whitespace()).map(str::to_owned).collect();
        Self { names, numbers: BTreeMap::new() }
    }

    /// An empty set.
    pub(crate) fn none() -> Self {
        Self { names: BTreeSet::new(), numbers: BTreeMap::new() }
    }

    fn claim(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    /// Takes this name, or the name with a number if it is taken.
    pub(crate) fn name(&mut self, wanted: &str) -> String {
        if self.claim(wanted) {
            return wanted.to_owned();
        }
        let number = self.numbers.entry(wanted.to_owned()).or_insert(1);
        loop {
            *number += 1;
            let name = format!("{wanted}_{number}");
            if self.names.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The maximum length of a name; longer names are cut, and numbers keep them unique.
const NAME_CHARACTERS_MAX: usize = 120;

/// The name with only ASCII letters, digits and underscores, and no leading digit.
pub(crate) fn identifier(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            text.push(letter);
        } else if !text.ends_with('_') {
            text.push('_');
        }
        if text.len() == NAME_CHARACTERS_MAX {
            break;
        }
    }
    if !name.ends_with('_') {
        text.truncate(text.trim_end_matches('_').len());
    }
    if text.is_empty() || text.starts_with(|first: char| first.is_ascii_digit()) {
        text.insert(0, '_');
    }
    text
}

#[cfg(test)]
mod tests;
