//! Looks up flows by method: where a result can be piped, and what an argument takes.

use std::collections::BTreeMap;

use crate::description::{Description, Flow, PathStep, Sink, Source};

/// The flows of an API by the methods at their ends.
#[derive(Debug)]
pub(crate) struct Flows<'a> {
    results: ByMethod<'a, (&'a [PathStep], &'a Flow)>,
    arguments: ByMethod<'a, (&'a str, &'a Flow)>,
    targets: BTreeMap<&'a str, Vec<&'a Flow>>,
}

/// Lists by the names of services, then of methods.
type ByMethod<'a, T> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<T>>>;

impl<'a> Flows<'a> {
    /// The flows of this description.
    pub(crate) fn of(description: &'a Description) -> Self {
        let mut flows =
            Self { results: BTreeMap::new(), arguments: BTreeMap::new(), targets: BTreeMap::new() };
        for flow in &description.flows {
            for source in &flow.from {
                let results = flows.results.entry(&source.service).or_default();
                let results = results.entry(&source.method).or_default();
                results.push((&source.path, flow));
            }
            for sink in &flow.into {
                match sink {
                    Sink::Argument { service, method, argument } => {
                        let arguments = flows.arguments.entry(service).or_default();
                        arguments.entry(method).or_default().push((argument, flow));
                    }
                    Sink::Target { service } => flows.targets.entry(service).or_default().push(flow),
                }
            }
        }
        // Whole results come first, then parts of results with the shortest path first.
        for results in flows.results.values_mut().flat_map(BTreeMap::values_mut) {
            results.sort_by_key(|(path, _)| path.len());
        }
        flows
    }

    /// The parts of a method's result that fit arguments, with their flows.
    pub(crate) fn results(&self, service: &str, method: &str) -> &[(&'a [PathStep], &'a Flow)] {
        self.results.get(service).and_then(|methods| methods.get(method)).map_or(&[], Vec::as_slice)
    }

    /// The arguments of a method that some result fits, with their flows.
    pub(crate) fn arguments(&self, service: &str, method: &str) -> &[(&'a str, &'a Flow)] {
        self.arguments.get(service).and_then(|methods| methods.get(method)).map_or(&[], Vec::as_slice)
    }

    /// The results that are objects of a service.
    pub(crate) fn objects(&self, service: &str) -> impl Iterator<Item = &'a Source> {
        self.targets.get(service).into_iter().flatten().flat_map(|flow| &flow.from)
    }
}

/// A path for readers: `presence.some`, `friends[…].name`; empty for the whole result.
pub(crate) fn spelled(path: &[PathStep]) -> String {
    let mut text = String::new();
    for step in path {
        let word = match step {
            PathStep::Element => {
                text.push_str("[…]");
                continue;
            }
            PathStep::Field(name) => name.clone(),
            PathStep::Index(index) => index.to_string(),
            PathStep::Some => "some".into(),
        };
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&word);
    }
    text
}

#[cfg(test)]
mod tests;
