//! Renders TypeScript declarations of an API: the types of a client, without code.
//!
//! As in Rust, a promise's type defines the operations that are possible before the value arrives; `prelude.ts` explains them.
//! Methods, fields and variants keep their wire names: every client would have to convert a name in another style back, and two
//! names may become equal. Names of types are made valid, as in the JSON schemas.

use crate::{description::Description, names::Names, prose::printable};

mod forms;
mod services;
mod text;

pub(crate) use services::Declarations;
pub(crate) use text::{Words, expression, property};

/// The note that readers of TypeScript output see first.
pub(crate) const NO_CLIENT: &str = "Declarations only: there is no TypeScript client yet.";

/// The declarations that every file has.
const PRELUDE: &str = include_str!("typescript/prelude.ts");

/// Renders all types and services of an API as one file.
pub fn render(description: &Description) -> String {
    let names = Names::of(description);
    printable(Declarations::new(description, &names).file())
}

/// The TypeScript signature of a method, by wire names; `None` if the description has no such method.
pub fn signature(description: &Description, service: &str, method: &str) -> Option<String> {
    let method = description.service(service)?.method(method)?;
    let names = Names::of(description);
    Some(Declarations::new(description, &names).signature(method))
}

#[cfg(test)]
mod tests;
