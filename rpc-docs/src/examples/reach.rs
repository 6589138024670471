//! The shortest way to an object of each service, from what a connection offers.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    description::{Description, Method, PathStep, Service, Side, Type},
    flows::Flows,
};

/// How a client of each service is come by.
#[derive(Debug)]
pub(super) struct Routes<'a> {
    routes: BTreeMap<&'a str, Route<'a>>,
}

/// How a client of one service is come by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    /// How many calls it takes.
    pub(super) depth: usize,
    /// The call whose result has the object; none if the connection offers the service.
    pub(super) last: Option<Hop<'a>>,
}

/// A call whose result has an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop<'a> {
    pub(super) service: &'a Service,
    pub(super) method: &'a Method,
    pub(super) path: &'a [PathStep],
}

impl<'a> Routes<'a> {
    pub(super) fn of(description: &'a Description, flows: &Flows<'a>) -> Self {
        let hops = hops(description, flows);
        let roots = description.services.iter().filter(|service| service.is_offered_by(Side::Server));
        let mut routes: BTreeMap<&str, Route<'_>> =
            roots.map(|service| (&*service.name, Route { depth: 0, last: None })).collect();
        let mut queue: VecDeque<(&str, usize)> = description
            .services
            .iter()
            .filter(|service| routes.contains_key(&*service.name))
            .map(|service| (&*service.name, 0))
            .collect();
        while let Some((service, depth)) = queue.pop_front() {
            for (object, hop) in hops.get(service).into_iter().flatten() {
                if !routes.contains_key(object) {
                    routes.insert(object, Route { depth: depth + 1, last: Some(*hop) });
                    queue.push_back((object, depth + 1));
                }
            }
        }
        Self { routes }
    }

    pub(super) fn to(&self, service: &str) -> Option<Route<'a>> {
        self.routes.get(service).copied()
    }
}

/// The calls of each service that give objects, with the services of these; whole results before parts of them.
fn hops<'a>(description: &'a Description, flows: &Flows<'a>) -> BTreeMap<&'a str, Vec<(&'a str, Hop<'a>)>> {
    let mut hops: BTreeMap<&str, Vec<(&str, Hop<'_>)>> = BTreeMap::new();
    for service in &description.services {
        for method in service.methods.iter().filter(|method| is_usable(method)) {
            if let Type::Object(object) = &method.result.ty {
                let hop = Hop { service, method, path: &[] };
                hops.entry(&service.name).or_default().push((object, hop));
            }
        }
    }
    for object in &description.services {
        for source in flows.objects(&object.name).filter(|source| !source.path.is_empty()) {
            let Some(service) = description.service(&source.service) else { continue };
            let Some(method) = service.method(&source.method).filter(|method| is_usable(method)) else {
                continue;
            };
            let hop = Hop { service, method, path: &source.path };
            hops.entry(&service.name).or_default().push((&object.name, hop));
        }
    }
    hops
}

/// Whether examples of other methods may call this one. What has a `then` cannot be spoken in JavaScript.
pub(super) fn is_usable(method: &Method) -> bool {
    method.problems.is_empty() && !method.oneway && method.deprecated.is_none() && method.name != "then"
}
