//! TypeScript declarations of an API: what a client would have, as types without code.
//!
//! A promise's type says what can be done before its value is here, like in Rust; `prelude.ts` explains how. Methods, fields
//! and variants have their names on the wire, unchanged: a name that was turned into another style would have to be turned
//! back by every client, and two names may become one. Names of types are made to fit, as in the JSON schemas.

use crate::{description::Description, names::Names, prose::printable};

mod forms;
mod services;
mod text;

pub(crate) use services::Declarations;
pub(crate) use text::{Words, expression, property};

/// What every reader of TypeScript has to know first.
pub(crate) const NO_CLIENT: &str = "Declarations only: there is no TypeScript client yet.";

/// The declarations that every file has.
const PRELUDE: &str = include_str!("typescript/prelude.ts");

/// All types and services of an API, as one file.
pub fn render(description: &Description) -> String {
    let names = Names::of(description);
    printable(Declarations::new(description, &names).file())
}

/// The method of these names on the wire, as it stands in the interface of its service; none if there is none.
pub fn signature(description: &Description, service: &str, method: &str) -> Option<String> {
    let method = description.service(service)?.method(method)?;
    let names = Names::of(description);
    Some(Declarations::new(description, &names).signature(method))
}

#[cfg(test)]
mod tests;
