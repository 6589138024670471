//! Examples of use, made from types: for each method how to await it, and what pipelining makes of it.
//!
//! A plan is made once (`plan.rs`) and spoken in both languages. It starts from the clients of root services; objects are
//! reached the shortest way (`reach.rs`). Arguments are made up where that always compiles; others are variables with the
//! name of the argument, which the functions of the files that prove the examples take as parameters.

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

/// Statements that use a method. The reader has the clients of the root services, called like them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examples {
    /// Rust, one call after the other.
    pub rust_awaited: String,
    /// Rust, in one round trip.
    pub rust_pipelined: String,
    /// TypeScript, one call after the other.
    pub typescript_awaited: String,
    /// TypeScript, in one round trip.
    pub typescript_pipelined: String,
}

/// Examples of one method.
pub fn of(description: &Description, service: &Service, method: &Method) -> Examples {
    let names = Names::of(description);
    Guide::new(description, &names).examples(service, method)
}

/// All examples of an API as functions of one Rust file, to be compiled where `api` names the module with the traits.
pub fn rust_file(description: &Description, api: &str) -> String {
    let names = Names::of(description);
    file::rust(&Guide::new(description, &names), api)
}

/// All examples of an API as functions of one TypeScript file, to be compiled beside the declarations in `./api`.
pub fn typescript_file(description: &Description) -> String {
    let names = Names::of(description);
    file::typescript(&Guide::new(description, &names))
}

/// Makes the examples of an API.
#[derive(Debug)]
pub(crate) struct Guide<'a> {
    description: &'a Description,
    names: &'a Names<'a>,
    flows: Flows<'a>,
    routes: reach::Routes<'a>,
}

impl<'a> Guide<'a> {
    /// For this description, under these names.
    pub(crate) fn new(description: &'a Description, names: &'a Names<'a>) -> Self {
        let flows = Flows::of(description);
        let routes = reach::Routes::of(description, &flows);
        Self { description, names, flows, routes }
    }

    /// The examples of one method.
    pub(crate) fn examples(&self, service: &'a Service, method: &'a Method) -> Examples {
        let (awaited, mut pipelined) = (self.awaited(service, method), self.pipelined(service, method));
        // An implementation stands in the first example; the second goes on from there.
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
    /// What else the statements take for given, in the order met.
    given: Vec<Given>,
}

/// A variable that an example takes for given.
#[derive(Debug)]
struct Given {
    name: String,
    /// The type that a parameter has, so that all that fits is accepted.
    parameter: String,
    /// The type of a value, for readers.
    ty: String,
}

impl Spoken {
    /// The statements as readers see them: below a line that says which variables they take for given.
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
