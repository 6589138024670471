//! Finds changes of services, methods and their arguments.

use std::collections::BTreeMap;

use super::{Change, MethodName, Place};
use crate::description::{Argument, Description, Method, Service, Side, Value};

pub(super) fn changes(old: &Description, new: &Description) -> Vec<Change> {
    let mut changes = Changes::default();
    changes.differs(Place::Api, "the title", &old.title, &new.title);
    changes.differs(Place::Api, "the version", &old.version, &new.version);
    changes.rewritten(Place::Api, "introduction", &old.docs, &new.docs);
    if old.limits != new.limits {
        changes.add(Place::Api, "the limits differ");
    }
    for service in &old.services {
        match new.service(&service.name) {
            Some(now) => changes.service(service, now),
            None => changes.add(Place::Service(service.name.clone()), "the service is gone"),
        }
    }
    for service in new.services.iter().filter(|service| old.service(&service.name).is_none()) {
        changes.add(Place::Service(service.name.clone()), "the service is new");
    }
    changes.0
}

/// The changes found so far.
#[derive(Default)]
pub(super) struct Changes(pub(super) Vec<Change>);

impl Changes {
    pub(super) fn add(&mut self, place: Place, what: impl Into<String>) {
        self.0.push(Change { place, what: what.into(), refused: Vec::new() });
    }

    fn differs(&mut self, place: Place, noun: &str, old: &str, new: &str) {
        if old != new {
            self.add(place, format!("{noun} was `{old}` and is `{new}`"));
        }
    }

    /// Adds the change of a text on which no call depends.
    pub(super) fn rewritten(&mut self, place: Place, noun: &str, old: &str, new: &str) {
        if old != new {
            self.add(place, format!("the {noun} was rewritten"));
        }
    }

    pub(super) fn deprecated(&mut self, place: Place, noun: &str, old: Option<&str>, new: Option<&str>) {
        let what = match (old, new) {
            (None, Some("")) => format!("{noun} is deprecated"),
            (None, Some(note)) => format!("{noun} is deprecated: {note}"),
            (Some(_), None) => format!("{noun} is no longer deprecated"),
            (Some(old), Some(new)) if old != new => {
                format!("the note on {noun}'s deprecation is now `{new}`")
            }
            _ => return,
        };
        self.add(place, what);
    }

    fn service(&mut self, old: &Service, new: &Service) {
        let place = || Place::Service(old.name.clone());
        self.differs(place(), "the trait", old.trait_name(), new.trait_name());
        self.rewritten(place(), "doc comment", &old.docs, &new.docs);
        match (old.is_root, new.is_root) {
            (true, false) => self.add(place(), "a connection no longer offers it"),
            (false, true) => self.add(place(), "a connection offers it at once"),
            _ => {}
        }
        match (old.ordered, new.ordered) {
            (true, false) => self.add(
                place(),
                "it is no longer `ordered`: a call that waits for a promise does not hold back later ones",
            ),
            (false, true) => {
                self.add(place(), "it is `ordered`: a call that waits for a promise holds back later ones")
            }
            _ => {}
        }
        if let (Some(was), Some(is)) = (old.offered_by(), new.offered_by())
            && was != is
        {
            self.add(
                place(),
                format!("connections of {} offered it, and those of {} do", side(was), side(is)),
            );
        }
        if old.implemented_by != new.implemented_by {
            let [old, new] = [old.implemented_by, new.implemented_by].map(side);
            self.add(place(), format!("it was implemented by {old} and is by {new}"));
        }
        let by_name = |service: &Service| -> BTreeMap<String, usize> {
            service.methods.iter().enumerate().map(|(index, method)| (method.name.clone(), index)).collect()
        };
        let (in_old, in_new) = (by_name(old), by_name(new));
        for method in &old.methods {
            match in_new.get(&method.name).map(|index| &new.methods[*index]) {
                Some(now) => self.method(&old.name, method, now),
                None => self.add(place(), format!("the method `{}` is gone", method.name)),
            }
        }
        for method in new.methods.iter().filter(|method| !in_old.contains_key(&method.name)) {
            self.add(place(), format!("the method `{}` is new", method.name));
        }
    }

    fn method(&mut self, service: &str, old: &Method, new: &Method) {
        let name = MethodName { service: service.into(), method: old.name.clone() };
        let place = || Place::Method(name.clone());
        self.differs(place(), "the method in the trait", old.trait_name(), new.trait_name());
        self.rewritten(place(), "doc comment", &old.docs, &new.docs);
        self.arguments(&place(), &old.arguments, &new.arguments);
        self.value(&place(), "the result", &old.result, &new.result);
        match (&old.error, &new.error) {
            (Some(old), Some(new)) => self.value(&place(), "the error", old, new),
            (None, Some(new)) => self.add(place(), format!("it can fail with `{}`", new.rust)),
            (Some(old), None) => self.add(place(), format!("it can no longer fail with `{}`", old.rust)),
            (None, None) => {}
        }
        self.flags(&place(), old, new);
        self.deprecated(place(), "it", old.deprecated.as_deref(), new.deprecated.as_deref());
        if old.problems != new.problems {
            let what = match &new.problems[..] {
                [] => "it can be called".to_owned(),
                problems => format!("it cannot be called: {}", problems.join("; ")),
            };
            self.add(place(), what);
        }
    }

    fn flags(&mut self, place: &Place, old: &Method, new: &Method) {
        let flags = [
            (
                old.idempotent,
                new.idempotent,
                "it is `idempotent`: callers may retry it",
                "it is no longer `idempotent`, and older callers may still retry it",
            ),
            (
                old.oneway,
                new.oneway,
                "it is `oneway`: callers get no answer",
                "it is no longer `oneway`, and older callers do not wait for its answer",
            ),
            (
                old.no_cancel,
                new.no_cancel,
                "it is `no_cancel`: it goes on when its caller drops the promise",
                "it is no longer `no_cancel`: it ends when its caller drops the promise",
            ),
        ];
        for (was, is, gained, lost) in flags {
            match (was, is) {
                (false, true) => self.add(place.clone(), gained),
                (true, false) => self.add(place.clone(), lost),
                _ => {}
            }
        }
        match (&old.batch, &new.batch) {
            (old, Some(new)) if old.as_ref() != Some(new) => {
                self.add(place.clone(), format!("many calls of it are answered by `{new}`"));
            }
            (Some(_), None) => self.add(place.clone(), "each call of it is answered by itself"),
            _ => {}
        }
    }

    fn arguments(&mut self, place: &Place, old: &[Argument], new: &[Argument]) {
        let names = |arguments: &[Argument]| -> Vec<String> {
            arguments.iter().map(|argument| argument.name.clone()).collect()
        };
        for (index, argument) in old.iter().enumerate() {
            let Argument { name, value } = argument;
            match new.iter().find(|now| now.name == *name) {
                Some(now) => self.value(place, &format!("the argument `{name}`"), value, &now.value),
                None => match new.get(index).filter(|now| old.iter().all(|old| old.name != now.name)) {
                    Some(now) if now.value.ty == value.ty => {
                        self.add(
                            place.clone(),
                            format!("the argument `{name}` is now called `{}`", now.name),
                        );
                    }
                    _ => self.add(place.clone(), format!("the argument `{name}` is gone")),
                },
            }
        }
        for (index, argument) in new.iter().enumerate() {
            let Argument { name, value } = argument;
            let is_renamed = old
                .get(index)
                .is_some_and(|was| was.value.ty == value.ty && new.iter().all(|now| now.name != was.name));
            if !is_renamed && old.iter().all(|was| was.name != *name) {
                self.add(place.clone(), format!("the argument `{name}: {}` is new", value.rust));
            }
        }
        let (mut was, mut is) = (names(old), names(new));
        let is_reordered = was != is;
        was.sort();
        is.sort();
        if is_reordered && was == is {
            self.add(place.clone(), "the arguments are in another order");
        }
    }

    fn value(&mut self, place: &Place, noun: &str, old: &Value, new: &Value) {
        if old.ty != new.ty {
            self.add(place.clone(), format!("{noun} was `{}` and is `{}`", old.rust, new.rust));
        } else if old.rust != new.rust {
            self.add(place.clone(), format!("{noun} is written `{}`", new.rust));
        }
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Server => "servers",
        Side::Client => "clients",
        Side::Both => "both sides",
    }
}
