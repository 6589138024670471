//! Plans the pipelining map: a picture of the results, or parts of results, that fit arguments, so that both calls share one round
//! trip.
//!
//! Services are cards, in columns by the number of objects on the path to them. Curves lead from results to the arguments that
//! they fit. An API with too many methods has curves between services instead; curves that are left out even then are counted.
//! Plain types are never drawn: a number fits every argument that is a number.

use std::collections::BTreeSet;

use super::{
    atlas::{At, Atlas, is_plain},
    phrases::{path, type_name},
};
use crate::description::{Flow, Sink, Type};

mod picture;

pub(super) use picture::render;

/// The limits of a picture of methods. With more methods or curves it would be unreadable, and services are drawn instead.
const METHODS_MAX: usize = 64;
const METHOD_CURVES_MAX: usize = 120;
/// The limits of a picture of services.
const SERVICES_MAX: usize = 24;
const SERVICE_CURVES_MAX: usize = 64;

/// An end of a curve: a method, or a service as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Service(usize),
    Method(At),
}

/// A curve from a result to an argument or object that it fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Curve {
    /// The index of the flow in [`Map::flows`].
    pub(super) flow: usize,
    pub(super) from: End,
    pub(super) to: End,
    /// The result and the argument, in words.
    pub(super) words: String,
}

/// The plan of the picture, with counts of what is left out.
pub(super) struct Map<'a> {
    /// Flows of types that are not plain, in the order of the description.
    pub(super) flows: Vec<&'a Flow>,
    pub(super) curves: Vec<Curve>,
    /// The services that have a card, in order.
    pub(super) services: Vec<usize>,
    /// Whether cards have a row for each method.
    pub(super) has_methods: bool,
    pub(super) curves_left_out: usize,
    pub(super) services_left_out: usize,
    pub(super) plain_flows: usize,
}

impl End {
    pub(super) fn service(self) -> usize {
        match self {
            Self::Service(service) => service,
            Self::Method(at) => at.service,
        }
    }
}

/// Plans the picture.
pub(super) fn plan<'a>(atlas: &Atlas<'a>) -> Map<'a> {
    let flows: Vec<&Flow> = atlas.description.flows.iter().filter(|flow| !is_plain(&flow.ty)).collect();
    let methods: usize = atlas.description.services.iter().map(|service| service.methods.len()).sum();
    let curves: usize = flows.iter().map(|flow| flow.from.len() * flow.into.len()).sum();
    let has_methods = methods <= METHODS_MAX && curves <= METHOD_CURVES_MAX * 4;
    let mut map = Map {
        plain_flows: atlas.description.flows.len() - flows.len(),
        flows,
        curves: Vec::new(),
        services: Vec::new(),
        has_methods,
        curves_left_out: 0,
        services_left_out: 0,
    };
    let curves_max = if has_methods { METHOD_CURVES_MAX } else { SERVICE_CURVES_MAX };
    map.choose_services(atlas);
    map.draw(atlas, curves_max);
    if map.has_methods && map.curves_left_out > 0 {
        // A complete map of services is more useful than an incomplete map of methods.
        map.has_methods = false;
        map.choose_services(atlas);
        map.draw(atlas, SERVICE_CURVES_MAX);
    }
    map
}

impl Map<'_> {
    /// Chooses the services that flows lead to or from, nearest to the root first.
    fn choose_services(&mut self, atlas: &Atlas<'_>) {
        let mut found = BTreeSet::new();
        for flow in &self.flows {
            for service in outs(atlas, flow, false).iter().map(|(end, _)| end.service()) {
                found.insert((atlas.depth(service).unwrap_or(usize::MAX), service));
            }
            for service in ins(atlas, flow, false).iter().map(|(end, _)| end.service()) {
                found.insert((atlas.depth(service).unwrap_or(usize::MAX), service));
            }
        }
        self.services_left_out = found.len().saturating_sub(SERVICES_MAX);
        self.services = found.into_iter().take(SERVICES_MAX).map(|(_, service)| service).collect();
        self.services.sort_unstable();
    }

    /// Chooses curves: objects first, then types with the fewest ends. A type that fits nearly everywhere says least.
    fn draw(&mut self, atlas: &Atlas<'_>, curves_max: usize) {
        self.curves.clear();
        self.curves_left_out = 0;
        let shown: BTreeSet<usize> = self.services.iter().copied().collect();
        let mut order: Vec<(bool, usize, usize)> = (0..self.flows.len())
            .map(|at| {
                let flow = self.flows[at];
                (!matches!(flow.ty, Type::Object(_)), flow.from.len() * flow.into.len(), at)
            })
            .collect();
        order.sort_unstable();
        for (_, _, flow) in order {
            let ty = type_name(atlas, &self.flows[flow].ty);
            let (outs, ins) = (
                outs(atlas, self.flows[flow], self.has_methods),
                ins(atlas, self.flows[flow], self.has_methods),
            );
            let mut drawn = 0;
            'flow: for (from, from_words) in outs.iter().filter(|(end, _)| shown.contains(&end.service())) {
                for (to, to_words) in ins.iter().filter(|(end, _)| shown.contains(&end.service())) {
                    if self.curves.len() == curves_max {
                        break 'flow;
                    }
                    drawn += 1;
                    let words = format!("{from_words} fits {to_words} ({ty})");
                    self.curves.push(Curve { flow, from: *from, to: *to, words });
                }
            }
            self.curves_left_out += outs.len() * ins.len() - drawn;
        }
        self.curves.sort_by_key(|curve| (curve.flow, curve.from, curve.to));
    }
}

/// The ends that a flow comes from, each once, with words.
fn outs(atlas: &Atlas<'_>, flow: &Flow, has_methods: bool) -> Vec<(End, String)> {
    let mut ends: Vec<(End, String)> = Vec::new();
    for source in &flow.from {
        let Some(at) = atlas.method_at(&source.service, &source.method) else { continue };
        let (service, method) = atlas.method(at);
        let (end, words) = if has_methods {
            let words = format!("{}.{}(){}", service.trait_name(), method.trait_name(), path(&source.path));
            (End::Method(at), words)
        } else {
            (End::Service(at.service), service.trait_name().to_owned())
        };
        add(&mut ends, end, words, has_methods);
    }
    ends
}

/// The ends that a flow leads to, each once, with words.
fn ins(atlas: &Atlas<'_>, flow: &Flow, has_methods: bool) -> Vec<(End, String)> {
    let mut ends: Vec<(End, String)> = Vec::new();
    for sink in &flow.into {
        match sink {
            Sink::Target { service } => {
                if let Some((at, service)) = atlas.service(service) {
                    add(
                        &mut ends,
                        End::Service(at),
                        format!("all methods of {}", service.trait_name()),
                        has_methods,
                    );
                }
            }
            Sink::Argument { service, method, argument } => {
                let Some(at) = atlas.method_at(service, method) else { continue };
                let (service, method) = atlas.method(at);
                if has_methods {
                    let words = format!("{}.{}({argument})", service.trait_name(), method.trait_name());
                    add(&mut ends, End::Method(at), words, true);
                } else {
                    add(&mut ends, End::Service(at.service), service.trait_name().to_owned(), false);
                }
            }
        }
    }
    ends
}

/// Adds an end, or its words to the last end if both are equal. Sources and sinks are in the order of methods, so equal ends are
/// adjacent.
fn add(ends: &mut Vec<(End, String)>, end: End, words: String, adds_words: bool) {
    match ends.last_mut() {
        Some((last, known)) if *last == end => {
            if adds_words {
                known.push_str(", ");
                known.push_str(&words);
            }
        }
        _ => ends.push((end, words)),
    }
}

#[cfg(test)]
mod tests;
