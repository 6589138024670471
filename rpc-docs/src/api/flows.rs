//! Finds flows: results, or parts of results, that fit arguments of the same type.
//!
//! One side makes both calls. A promise fits an argument of the same type, or an optional argument of that type. The parts of a
//! result are those that its promise has: fields of types under `#[data]`, elements of lists and tuples, the value in an `Option`.
//! An object fits as the target of its methods.
//!
//! Types that differ in Rust can be equal in a description: `Box<User>` is `User`, a `BTreeMap` is a map. A promise of one does
//! not fit the other, so the written types are compared too.

use std::collections::BTreeMap;

use super::definitions::Spellings;
use crate::description::{Description, Flow, PathStep, Service, Shape, Side, Sink, Source, Type};

mod spelled;

use spelled::Spelled;

/// The maximum depth of a part in a result.
const STEPS_MAX: usize = 6;
/// The maximum number of parts of one result.
const PARTS_MAX: usize = 256;
/// The longest tuple whose promises have parts.
const TUPLE_MAX: usize = 6;

#[derive(Default)]
struct Ends {
    from: Vec<Source>,
    into: Vec<Sink>,
}

pub(super) fn find(description: &Description, spellings: &Spellings) -> Vec<Flow> {
    // Only the side that made a call can pass its promise.
    let [mut flows, others] =
        [Side::Server, Side::Client].map(|called| find_among(description, spellings, called));
    flows.extend(others.into_iter().filter(|flow| !flows.contains(flow)).collect::<Vec<_>>());
    flows.sort_by(|one, other| one.ty.cmp(&other.ty));
    flows
}

/// The flows among calls to one side.
fn find_among(description: &Description, spellings: &Spellings, called: Side) -> Vec<Flow> {
    let services: Vec<&Service> = description
        .services
        .iter()
        .filter(|service| [called, Side::Both].contains(&service.implemented_by))
        .collect();
    let mut by_type: BTreeMap<(Type, String), Ends> = BTreeMap::new();
    for service in &services {
        let target = Sink::Target { service: service.name.clone() };
        by_type.entry((Type::Object(service.name.clone()), String::new())).or_default().into.push(target);
    }
    for service in &services {
        for method in service.methods.iter().filter(|method| method.problems.is_empty()) {
            for argument in &method.arguments {
                let sink = || Sink::Argument {
                    service: service.name.clone(),
                    method: method.name.clone(),
                    argument: argument.name.clone(),
                };
                let spelled = Spelled::written(&argument.value.rust);
                let taken = (argument.value.ty.clone(), spelled.unusual());
                by_type.entry(taken).or_default().into.push(sink());
                if let Type::Option(inner) = &argument.value.ty {
                    let taken = ((**inner).clone(), spelled.inner().unusual());
                    by_type.entry(taken).or_default().into.push(sink());
                }
            }
            if !method.oneway {
                let mut parts = Parts { description, spellings, found: Vec::new(), around: Vec::new() };
                parts.collect(&method.result.ty, Spelled::written(&method.result.rust), &mut Vec::new());
                for (ty, unusual, path) in parts.found {
                    let source = Source { service: service.name.clone(), method: method.name.clone(), path };
                    by_type.entry((ty.clone(), unusual)).or_default().from.push(source);
                }
            }
        }
    }
    let whole = by_type
        .into_iter()
        .filter(|((ty, _), ends)| *ty != Type::Unit && !ends.from.is_empty() && !ends.into.is_empty());
    whole.map(|((ty, _), Ends { from, into })| Flow { ty, from, into }).collect()
}

struct Parts<'a> {
    description: &'a Description,
    spellings: &'a Spellings,
    /// The parts found: the type, the unusual words in which it is written, and the path to it.
    found: Vec<(&'a Type, String, Vec<PathStep>)>,
    /// The definitions around the part: the search ends at a type inside itself.
    around: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn collect(&mut self, ty: &'a Type, spelled: Spelled<'a>, path: &mut Vec<PathStep>) {
        if self.found.len() >= PARTS_MAX {
            return;
        }
        self.found.push((ty, spelled.unusual(), path.clone()));
        if path.len() >= STEPS_MAX || !spelled.has_parts() {
            return;
        }
        match ty {
            Type::Option(inner) => self.step(PathStep::Some, inner, spelled.inner(), path),
            Type::List(element) => self.step(PathStep::Element, element, spelled.inner(), path),
            Type::Tuple(elements) if elements.len() <= TUPLE_MAX => {
                for (index, element) in elements.iter().enumerate() {
                    self.step(PathStep::Index(index), element, spelled.element(index), path);
                }
            }
            Type::Ref(name) => self.definition(name, path),
            _ => {}
        }
    }

    fn definition(&mut self, name: &'a str, path: &mut Vec<PathStep>) {
        let Some(definition) = self.description.definition(name) else { return };
        if !definition.pipelined || self.around.contains(&name) {
            return;
        }
        self.around.push(name);
        let spellings = self.spellings;
        let spelled = |index: usize| {
            let known = spellings.get(name).and_then(|fields| *fields.get(index)?);
            known.map_or(Spelled::UNKNOWN, Spelled::written)
        };
        match &definition.shape {
            Shape::Struct(fields) => {
                for (index, field) in fields.iter().enumerate().filter(|(_, field)| !field.is_opaque) {
                    self.step(PathStep::Field(field.name.clone()), &field.ty, spelled(index), path);
                }
            }
            Shape::Newtype(inner) => self.step(PathStep::Index(0), inner, spelled(0), path),
            Shape::Tuple(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.step(PathStep::Index(index), element, spelled(index), path);
                }
            }
            _ => {}
        }
        self.around.pop();
    }

    fn step(&mut self, step: PathStep, ty: &'a Type, spelled: Spelled<'a>, path: &mut Vec<PathStep>) {
        path.push(step);
        self.collect(ty, spelled, path);
        path.pop();
    }
}
