//! Generates examples from types: for each method, awaited calls and the same calls pipelined.
//!
//! A plan is made once (`plan.rs`) and written in both languages. It starts from the clients of root services and reaches objects
//! by the shortest path (`reach.rs`). Arguments are made up if that always compiles. Otherwise they are variables named after the
//! argument; in the files that prove that the examples compile, functions take them as parameters.

use crate::{
    description::{Description, Method, Service},
    flows::Flows,
    names::Names,
};

mod file;
mod lines;
mod parts;
mod plan;
mod reach;
mod rust;
mod typescript;

pub(crate) use parts::{rust_word, snake};

/// Statements that use a method. They expect the clients of the root services in variables named after the services.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examples {
    /// Rust, with each call awaited.
    pub rust_awaited: String,
    /// Rust, pipelined into one round trip.
    pub rust_pipelined: String,
    /// TypeScript, with each call awaited.
    pub typescript_awaited: String,
    /// TypeScript, pipelined into one round trip.
    pub typescript_pipelined: String,
}

/// Generates the examples of one method.
pub fn of(description: &Description, service: &Service, method: &Method) -> Examples {
    let names = Names::of(description);
    Guide::new(description, &names).examples(service, method)
}

/// All examples of an API as functions of one Rust file. `api` is the path of the module with the traits.
pub fn rust_file(description: &Description, api: &str) -> String {
    let names = Names::of(description);
    file::rust(&Guide::new(description, &names), api)
}

/// All examples of an API as functions of one TypeScript file, which imports the declarations from `./api`.
pub fn typescript_file(description: &Description) -> String {
    let names = Names::of(description);
    file::typescript(&Guide::new(description, &names))
}

/// Generates the examples of an API.
#[derive(Debug)]
pub(crate) struct Guide<'a> {
    description: &'a Description,
    names: &'a Names<'a>,
    flows: Flows<'a>,
    routes: reach::Routes<'a>,
}

impl<'a> Guide<'a> {
    /// A guide for this description; `names` are those of types and services in TypeScript.
    pub(crate) fn new(description: &'a Description, names: &'a Names<'a>) -> Self {
        let flows = Flows::of(description);
        let routes = reach::Routes::of(description, &flows);
        Self { description, names, flows, routes }
    }

    /// The examples of one method.
    pub(crate) fn examples(&self, service: &'a Service, method: &'a Method) -> Examples {
        let (awaited, mut pipelined) = (self.awaited(service, method), self.pipelined(service, method));
        // The first example shows the implementation; the second uses it.
        if let [plan::Statement::Implement { .. }, _, ..] = &*pipelined.statements {
            pipelined.statements.remove(0);
        }
        Examples {
            rust_awaited: rust::speak(self, &awaited).shown(),
            rust_pipelined: rust::speak(self, &pipelined).shown(),
            typescript_awaited: typescript::speak(self, &awaited).shown(),
            typescript_pipelined: typescript::speak(self, &pipelined).shown(),
        }
    }
}

/// Statements in one language, and the variables that they expect.
#[derive(Debug)]
struct Spoken {
    text: String,
    /// The clients of root services, with their types.
    roots: Vec<(String, String)>,
    /// The other variables that the statements expect, in the order of their use.
    given: Vec<Given>,
}

/// A variable that an example expects.
#[derive(Debug)]
struct Given {
    name: String,
    /// The type for a parameter: the widest that the statements accept.
    parameter: String,
    /// The type for readers.
    ty: String,
}

impl Spoken {
    /// The statements as readers see them, below comments that list the expected variables.
    fn shown(&self) -> String {
        if self.given.is_empty() {
            return self.text.clone();
        }
        let one = |given: &Given| {
            let ty = given.ty.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{}: {ty}", given.name)
        };
        let all: Vec<String> = self.given.iter().map(one).collect();
        let line = format!("// given {}", all.join(", "));
        let lines = if line.chars().count() <= lines::LINE_MAX {
            line
        } else {
            all.iter().map(|one| format!("// given {one}")).collect::<Vec<_>>().join("\n")
        };
        format!("{lines}\n{}", self.text)
    }
}

#[cfg(test)]
mod tests;
