//! Which calls are refused between two versions, by the rule that sessions enforce.

use rpc_core::compatibility::{Compatibility, MethodVersion, Offered, of_call};

use super::{MethodName, Refused, Version};
use crate::description::{Description, Method, Service, Side};

/// Calls that worked and are refused, and calls that only the new version knows.
pub(super) fn refused(old: &Description, new: &Description) -> (Vec<Refused>, Vec<Refused>) {
    let mut broken = Vec::new();
    let mut not_yet = Vec::new();
    for (version, callers, called) in [(Version::Old, old, new), (Version::New, new, old)] {
        for service in &callers.services {
            for method in &service.methods {
                let why = of_call(version_of(method), offered(called, service, method));
                if why == Compatibility::Works {
                    continue;
                }
                let name = MethodName { service: service.name.clone(), method: method.name.clone() };
                let caller = other(service.implemented_by);
                let call = Refused { method: name, caller, caller_version: version, why };
                match works(old, service, method) {
                    true => broken.push(call),
                    // It never worked, or did not exist.
                    false if version == Version::New => not_yet.push(call),
                    false => {}
                }
            }
        }
    }
    (broken, not_yet)
}

/// Whether two sides of this version can make the call.
fn works(version: &Description, service: &Service, method: &Method) -> bool {
    let known = version.service(&service.name).and_then(|service| service.method(&method.name));
    known.is_some_and(|method| {
        of_call(version_of(method), offered(version, service, method)) == Compatibility::Works
    })
}

fn version_of(method: &Method) -> MethodVersion {
    // Reading a description checks that it is a number.
    let fingerprint = u64::from_str_radix(&method.fingerprint, 16).unwrap_or_default();
    MethodVersion { fingerprint, is_callable: method.problems.is_empty() }
}

/// What this version offers to a caller who has the service as it is there.
fn offered(version: &Description, service: &Service, method: &Method) -> Offered {
    let Some(offered) = version.service(&service.name).filter(|offered| offered.is_root || !service.is_root)
    else {
        return Offered::NoService;
    };
    offered.method(&method.name).map_or(Offered::NoMethod, |method| Offered::Method(version_of(method)))
}

fn other(side: Side) -> Side {
    match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
        Side::Both => Side::Both,
    }
}
