//! Finds the calls that are refused between two versions, by the rule that sessions enforce.

use std::collections::BTreeMap;

use rpc_core::schema::compatibility::{Compatibility, MethodVersion, Offered, of_call};

use super::{MethodName, Refused, Version};
use crate::description::{Description, Method, Service, Side};

/// Calls that worked and are now refused, and calls that only the new version has.
pub(super) fn refused(old: &Description, new: &Description) -> (Vec<Refused>, Vec<Refused>) {
    let mut broken = Vec::new();
    let mut not_yet = Vec::new();
    for (version, callers, called) in [(Version::Old, old, new), (Version::New, new, old)] {
        for service in &callers.services {
            let offers = called.service(&service.name).map(Known::new);
            let known = old.service(&service.name).map(Known::new);
            for method in &service.methods {
                let name = MethodName { service: service.name.clone(), method: method.name.clone() };
                let own = version_of(method);
                let outcome = |at| {
                    (of_call(own, offered(offers.as_ref(), at, method)), works(known.as_ref(), at, method))
                };
                for (caller, (why, worked)) in merged(places(service).map(|at| (at.caller(), outcome(at)))) {
                    let call = Refused { method: name.clone(), caller, caller_version: version, why };
                    match (why, worked) {
                        (Compatibility::Works, _) => {}
                        (_, true) => broken.push(call),
                        // The call never worked, or did not exist.
                        (_, false) if version == Version::New => not_yet.push(call),
                        (_, false) => {}
                    }
                }
            }
        }
    }
    (broken, not_yet)
}

/// A service with its methods by name. There may be thousands of methods.
struct Known<'a> {
    service: &'a Service,
    methods: BTreeMap<&'a str, &'a Method>,
}

impl<'a> Known<'a> {
    fn new(service: &'a Service) -> Self {
        Self { service, methods: service.methods.iter().map(|method| (&*method.name, method)).collect() }
    }
}

/// The place where a caller finds a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// This side (server or client) offers it as a root service.
    Root(Side),
    /// This side has objects of the service.
    Object(Side),
}

impl At {
    fn caller(self) -> Side {
        match self {
            At::Root(Side::Server) | At::Object(Side::Server) => Side::Client,
            At::Root(Side::Client) | At::Object(Side::Client) => Side::Server,
            At::Root(Side::Both) | At::Object(Side::Both) => Side::Both,
        }
    }
}

fn places(service: &Service) -> impl Iterator<Item = At> {
    let roots =
        [Side::Server, Side::Client].into_iter().filter(|side| service.is_offered_by(*side)).map(At::Root);
    roots.chain((!service.is_root).then_some(At::Object(service.implemented_by)))
}

/// Merges the outcomes of both sides' calls into one if they are equal.
fn merged<T: PartialEq>(calls: impl Iterator<Item = (Side, T)>) -> Vec<(Side, T)> {
    let mut calls: Vec<_> = calls.collect();
    if let [(caller, one), (_, other)] = &mut calls[..]
        && one == other
    {
        *caller = Side::Both;
        calls.truncate(1);
    }
    calls
}

/// Whether the call works between two sides that both have this version of the service.
fn works(service: Option<&Known<'_>>, at: At, method: &Method) -> bool {
    let known = service.and_then(|service| service.methods.get(&*method.name));
    known.is_some_and(|method| {
        of_call(version_of(method), offered(service, at, method)) == Compatibility::Works
    })
}

fn version_of(method: &Method) -> MethodVersion {
    // Reading a description has checked that the fingerprint is a number.
    let fingerprint = u64::from_str_radix(&method.fingerprint, 16).unwrap_or_default();
    MethodVersion { fingerprint, is_callable: method.problems.is_empty() }
}

/// The offer of a side with this version of the service to a caller that looks for it at `at`.
fn offered(service: Option<&Known<'_>>, at: At, method: &Method) -> Offered {
    let is_there = |known: &&Known<'_>| match at {
        At::Root(side) => known.service.is_offered_by(side),
        At::Object(_) => true,
    };
    let Some(service) = service.filter(is_there) else { return Offered::NoService };
    service.methods.get(&*method.name).map_or(Offered::NoMethod, |method| Offered::Method(version_of(method)))
}
