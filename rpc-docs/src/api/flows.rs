//! What can be piped into what: parts of results and arguments of one type.
//!
//! Both calls are made by one side. A promise fits where its type is the argument's, or what an optional argument may hold. The parts of a result are those that
//! its promise has: fields of types under `#[data]`, elements of lists and tuples, what is in an `Option`. An object fits
//! as the target of its methods.

use std::collections::BTreeMap;

use crate::description::{Description, Flow, PathStep, Service, Shape, Side, Sink, Source, Type};

/// How many steps into a result are looked at.
const STEPS_MAX: usize = 6;
/// How many parts of one result are looked at.
const PARTS_MAX: usize = 256;

#[derive(Default)]
struct Ends {
    from: Vec<Source>,
    into: Vec<Sink>,
}

pub(super) fn find(description: &Description) -> Vec<Flow> {
    // A promise can be passed by the side that made the call.
    let [mut flows, others] = [Side::Server, Side::Client].map(|called| find_among(description, called));
    flows.extend(others.into_iter().filter(|flow| !flows.contains(flow)).collect::<Vec<_>>());
    flows.sort_by(|one, other| one.ty.cmp(&other.ty));
    flows
}

/// What fits among calls to one side.
fn find_among(description: &Description, called: Side) -> Vec<Flow> {
    let services: Vec<&Service> = description
        .services
        .iter()
        .filter(|service| [called, Side::Both].contains(&service.implemented_by))
        .collect();
    let mut by_type: BTreeMap<Type, Ends> = BTreeMap::new();
    for service in &services {
        let target = Sink::Target { service: service.name.clone() };
        by_type.entry(Type::Object(service.name.clone())).or_default().into.push(target);
    }
    for service in &services {
        for method in service.methods.iter().filter(|method| method.problems.is_empty()) {
            for argument in &method.arguments {
                let sink = || Sink::Argument {
                    service: service.name.clone(),
                    method: method.name.clone(),
                    argument: argument.name.clone(),
                };
                by_type.entry(argument.value.ty.clone()).or_default().into.push(sink());
                if let Type::Option(inner) = &argument.value.ty {
                    by_type.entry((**inner).clone()).or_default().into.push(sink());
                }
            }
            if !method.oneway {
                let mut parts = Parts { description, found: Vec::new(), around: Vec::new() };
                parts.collect(&method.result.ty, &mut Vec::new());
                for (ty, path) in parts.found {
                    let source = Source { service: service.name.clone(), method: method.name.clone(), path };
                    by_type.entry(ty.clone()).or_default().from.push(source);
                }
            }
        }
    }
    let whole = by_type
        .into_iter()
        .filter(|(ty, ends)| *ty != Type::Unit && !ends.from.is_empty() && !ends.into.is_empty());
    whole.map(|(ty, Ends { from, into })| Flow { ty, from, into }).collect()
}

struct Parts<'a> {
    description: &'a Description,
    found: Vec<(&'a Type, Vec<PathStep>)>,
    /// The definitions around the part: what comes back inside of itself ends there.
    around: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn collect(&mut self, ty: &'a Type, path: &mut Vec<PathStep>) {
        if self.found.len() >= PARTS_MAX {
            return;
        }
        self.found.push((ty, path.clone()));
        if path.len() >= STEPS_MAX {
            return;
        }
        match ty {
            Type::Option(inner) => self.step(PathStep::Some, inner, path),
            Type::List(element) => self.step(PathStep::Element, element, path),
            Type::Tuple(elements) => self.elements(elements, path),
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
        match &definition.shape {
            Shape::Struct(fields) => {
                for field in fields.iter().filter(|field| !field.is_opaque) {
                    self.step(PathStep::Field(field.name.clone()), &field.ty, path);
                }
            }
            Shape::Newtype(inner) => self.step(PathStep::Index(0), inner, path),
            Shape::Tuple(elements) => self.elements(elements, path),
            _ => {}
        }
        self.around.pop();
    }

    fn elements(&mut self, elements: &'a [Type], path: &mut Vec<PathStep>) {
        for (index, element) in elements.iter().enumerate() {
            self.step(PathStep::Index(index), element, path);
        }
    }

    fn step(&mut self, step: PathStep, ty: &'a Type, path: &mut Vec<PathStep>) {
        path.push(step);
        self.collect(ty, path);
        path.pop();
    }
}
