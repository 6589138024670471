//! Finds the shortest path of calls from the root services to an object of each service.

use std::collections::BTreeMap;

use super::parts::snake;
use crate::{
    description::{Argument, Description, Method, PathStep, Service, Side, Type},
    flows::Flows,
};

/// The paths of calls to a client of each service.
#[derive(Debug)]
pub(super) struct Routes<'a> {
    routes: BTreeMap<&'a str, Route<'a>>,
}

/// The path of calls to a client of one service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    /// The number of calls.
    pub(super) depth: usize,
    /// The call whose result has the object; `None` for a root service.
    pub(super) last: Option<Hop<'a>>,
}

/// A call whose result has an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop<'a> {
    pub(super) service: &'a Service,
    pub(super) method: &'a Method,
    pub(super) path: &'a [PathStep],
}

impl Hop<'_> {
    /// The cost of a hop, for comparison. Parts of results, methods not named after the object, methods that change state, and
    /// methods with many arguments cost more.
    fn cost(&self, object: &str) -> (bool, bool, bool, usize) {
        let name = snake(object.rsplit("::").next().unwrap_or(object));
        let is_wanted = |argument: &&Argument| !matches!(argument.value.ty, Type::Option(_));
        (
            !self.path.is_empty(),
            self.method.trait_name() != name,
            !self.method.idempotent,
            self.method.arguments.iter().filter(is_wanted).count(),
        )
    }
}

impl<'a> Routes<'a> {
    pub(super) fn of(description: &'a Description, flows: &Flows<'a>) -> Self {
        let hops = hops(description, flows);
        let roots = description.services.iter().filter(|service| service.is_offered_by(Side::Server));
        let mut routes: BTreeMap<&str, Route<'_>> =
            roots.map(|service| (&*service.name, Route { depth: 0, last: None })).collect();
        let services = description.services.iter().map(|service| &*service.name);
        let mut reached: Vec<&str> = services.filter(|name| routes.contains_key(name)).collect();
        for depth in 1.. {
            let mut found: Vec<(&str, Hop<'_>)> = Vec::new();
            for (object, hop) in reached.iter().filter_map(|service| hops.get(service)).flatten() {
                if routes.contains_key(object) {
                    continue;
                }
                match found.iter_mut().find(|(known, _)| known == object) {
                    Some((_, best)) if hop.cost(object) < best.cost(object) => *best = *hop,
                    Some(_) => {}
                    None => found.push((object, *hop)),
                }
            }
            if found.is_empty() {
                break;
            }
            routes.extend(found.iter().map(|(object, hop)| (*object, Route { depth, last: Some(*hop) })));
            reached = found.into_iter().map(|(object, _)| object).collect();
        }
        Self { routes }
    }

    pub(super) fn to(&self, service: &str) -> Option<Route<'a>> {
        self.routes.get(service).copied()
    }
}

/// The calls of each service that return objects, with the objects' services; whole results before parts of results.
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

/// Whether examples of other methods may call this one. A method `then` cannot be called from JavaScript.
pub(super) fn is_usable(method: &Method) -> bool {
    method.problems.is_empty() && !method.oneway && method.deprecated.is_none() && method.name != "then"
}
