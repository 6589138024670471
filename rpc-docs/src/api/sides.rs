//! Infers which side implements the services of objects.
//!
//! An object in a result belongs to the called side. An object in an argument belongs to the caller, unless a result
//! hands out objects of the same service: then it is passed back.

use std::collections::{BTreeMap, BTreeSet};

use rpc_core::schema::ServiceDescriptor;

use crate::description::{Description, Method, Side, Type};

type Sides = BTreeMap<String, Side>;

pub(super) fn find(description: &mut Description, roots: &[(&'static ServiceDescriptor, Side)]) {
    let mut sides: Sides = roots.iter().map(|(root, side)| (root.name.to_owned(), *side)).collect();
    loop {
        while spread(description, &mut sides, results, |side| side, None) {}
        let known = sides.keys().cloned().collect();
        if !spread(description, &mut sides, arguments, other, Some(&known)) {
            break;
        }
    }
    for service in &mut description.services {
        service.implemented_by = sides.get(&service.name).copied().unwrap_or(Side::Both);
        let root = roots.iter().find(|(root, _)| root.name == service.name).map(|(_, side)| *side);
        service.offered_by = root.filter(|side| *side != service.implemented_by);
    }
}

fn results(method: &Method) -> Vec<&Type> {
    std::iter::once(&method.result).chain(&method.error).map(|value| &value.ty).collect()
}

fn arguments(method: &Method) -> Vec<&Type> {
    method.arguments.iter().map(|argument| &argument.value.ty).collect()
}

/// Gives the services of objects in these types a side, which follows from the side of the service whose methods have the types.
/// Leaves services in `settled` as they are. Returns whether any side changed.
fn spread(
    description: &Description,
    sides: &mut Sides,
    types: fn(&Method) -> Vec<&Type>,
    of: fn(Side) -> Side,
    settled: Option<&BTreeSet<String>>,
) -> bool {
    let mut changed = false;
    for service in &description.services {
        let is_settled = |service: &String| settled.is_some_and(|settled| settled.contains(service));
        let Some(side) = sides.get(&service.name).copied() else { continue };
        if settled.is_some() && !is_settled(&service.name) {
            continue;
        }
        for ty in service.methods.iter().flat_map(types) {
            for object in objects(description, ty) {
                if !is_settled(&object) {
                    changed |= join(sides, object, of(side));
                }
            }
        }
    }
    changed
}

fn join(sides: &mut Sides, service: String, side: Side) -> bool {
    match sides.insert(service.clone(), side) {
        None => true,
        Some(known) if known == side => false,
        Some(known) => {
            sides.insert(service, Side::Both);
            known != Side::Both
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
        Side::Both => Side::Both,
    }
}

/// The services whose objects occur in a type.
fn objects(description: &Description, ty: &Type) -> BTreeSet<String> {
    let mut objects = BTreeSet::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![ty];
    while let Some(ty) = open.pop() {
        match ty {
            Type::Object(service) => drop(objects.insert(service.clone())),
            Type::Ref(name) if seen.insert(name) => {
                open.extend(description.definition(name).into_iter().flat_map(|known| known.shape.parts()));
            }
            _ => open.extend(ty.parts()),
        }
    }
    objects
}
