//! Method names: each is sent once, and a number stands for it afterwards.

use crate::{
    error::Violation,
    id_map::IdMap,
    schema::{
        compatibility::{Compatibility, MethodVersion, Offered, of_call},
        descriptor::{MethodDescriptor, ServiceDescriptor},
    },
    wire::{Define, Failure, METHOD_FIRST, METHOD_GET, METHOD_MAP, MethodNumber, Reached},
};

/// Why no call of this method can be made, if none can.
pub(crate) fn not_callable(method: &MethodDescriptor) -> Option<Failure> {
    let problems = method.problems();
    (!problems.is_empty()).then(|| Failure::NotCallable { reason: problems.join("; ") })
}

/// The refusal of a method whose versions on the two sides do not fit; `None` if they fit.
fn refusal(compatibility: Compatibility, ours: Option<&'static MethodDescriptor>) -> Option<Refused> {
    let unfit = |is_callable| ours.map(|ours| Refused::Unfit(Unfit { ours, is_callable }));
    match compatibility {
        Compatibility::Works => None,
        Compatibility::UnknownService => Some(Refused::with(Failure::UnknownService)),
        Compatibility::UnknownMethod => Some(Refused::with(Failure::UnknownMethod)),
        Compatibility::NotCallable => unfit(false),
        Compatibility::SchemaMismatch => unfit(true),
    }
}

/// The methods this side has named to the peer.
#[derive(Default)]
pub(crate) struct OwnMethods {
    /// Whether each method was named, by its number. This side numbers its methods in sequence.
    defined: Vec<bool>,
}

impl OwnMethods {
    /// Marks a method as named. Returns whether its name must be sent first.
    pub(crate) fn define(&mut self, number: MethodNumber) -> bool {
        if !self.is_new(number) {
            return false;
        }
        let place = number.0 as usize;
        if place >= self.defined.len() {
            self.defined.resize(place + 1, false);
        }
        self.defined[place] = true;
        true
    }

    /// Whether the method's name was not sent yet. Built-in methods have none.
    pub(crate) fn is_new(&self, number: MethodNumber) -> bool {
        number.0 >= METHOD_FIRST.0 && !self.is_defined(number)
    }

    /// Whether the method's name was sent.
    pub(crate) fn is_defined(&self, number: MethodNumber) -> bool {
        self.defined.get(number.0 as usize).copied().unwrap_or_default()
    }
}

/// The method that a number of the peer stands for.
#[derive(Debug, Clone)]
pub(crate) enum Method {
    /// The built-in call for the value of a reference.
    Get,
    /// The built-in call that runs a program for each element of its reference.
    Map,
    /// A method this side has.
    Known(KnownMethod),
    /// A method that this side does not have, or not with this signature.
    Refused(Refused),
}

/// Why a method cannot be called. Texts are made when somebody calls it: a peer may name one method a thousand times.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// Boxed to keep the table of methods, which every session has, small.
    As(Box<Failure>),
    Unfit(Unfit),
}

/// A method of this side whose signature is not the one that the peer expects, or that nobody can call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unfit {
    ours: &'static MethodDescriptor,
    is_callable: bool,
}

impl Refused {
    pub(crate) fn with(failure: Failure) -> Self {
        Self::As(Box::new(failure))
    }

    /// The failure of a call of the method.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::As(failure) => Failure::clone(failure),
            Self::Unfit(Unfit { ours, is_callable: true }) => {
                Failure::SchemaMismatch { theirs: ours.layout_text() }
            }
            Self::Unfit(Unfit { ours, is_callable: false }) => {
                not_callable(ours).unwrap_or(Failure::UnknownMethod)
            }
        }
    }
}

/// A method that this side has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownMethod {
    /// The index of the service: services at the root come first, then those of objects.
    service: u32,
    pub(crate) descriptor_of_service: &'static ServiceDescriptor,
    pub(crate) method: usize,
    pub(crate) ordered: bool,
    pub(crate) descriptor: &'static MethodDescriptor,
}

impl KnownMethod {
    /// The index of the service.
    #[inline]
    pub(crate) fn service(&self) -> usize {
        self.service as usize
    }

    /// The method in the version of an object's service. An object that forwards calls has no descriptor: the method stays.
    pub(crate) fn of(self, object: Option<&'static ServiceDescriptor>) -> Result<Self, Failure> {
        let ours = self.descriptor_of_service;
        let Some(object) = object.filter(|object| !std::ptr::eq(*object, ours)) else { return Ok(self) };
        if object.name != ours.name {
            let reason = format!("the object is a `{}`, not a `{}`", object.name, ours.name);
            return Err(Failure::InvalidReference { argument: "(target)".into(), reason });
        }
        // This side has two traits of one name: that of the object counts.
        let method = object.method_named(self.descriptor.name).ok_or(Failure::UnknownMethod)?;
        let descriptor = &object.methods[method];
        let called =
            MethodVersion { fingerprint: self.descriptor.signature().fingerprint, is_callable: true };
        let compatibility = of_call(called, Offered::Method(descriptor.version()));
        match refusal(compatibility, Some(descriptor)) {
            Some(refused) => Err(refused.failure()),
            None => Ok(Self { descriptor_of_service: object, method, descriptor, ..self }),
        }
    }
}

/// The methods the peer has named. Bounded by `Limits::methods_max`.
pub(crate) struct PeerMethods {
    /// The services at the root first, then those of objects that the peer can get from them or was given.
    services: Vec<&'static ServiceDescriptor>,
    at_root: usize,
    named: IdMap<u32, Method>,
    methods_max: usize,
    /// The method that unknown numbers stand for, once the peer has named more methods than are kept: an unknown number may be
    /// one of those.
    unknown: Option<Method>,
    /// A method that a test forbids the peer.
    #[cfg(test)]
    pub(crate) forbidden: Option<&'static str>,
}

impl PeerMethods {
    pub(crate) fn new(services: Vec<&'static ServiceDescriptor>, methods_max: usize) -> Self {
        let at_root = services.len();
        let mut methods = Self {
            services,
            at_root,
            named: IdMap::default(),
            methods_max,
            unknown: None,
            #[cfg(test)]
            forbidden: None,
        };
        for index in 0..at_root {
            methods.learn_objects_of(methods.services[index]);
        }
        methods
    }

    /// Adds a service whose objects the peer may call, and the services of objects that it can get from them.
    pub(crate) fn learn(&mut self, service: &'static ServiceDescriptor) {
        if self.services.iter().all(|known| known.name != service.name) {
            self.services.push(service);
            self.learn_objects_of(service);
        }
    }

    fn learn_objects_of(&mut self, service: &'static ServiceDescriptor) {
        for object in service.objects() {
            self.learn(object);
        }
    }

    /// Gives back the room that no method takes.
    pub(crate) fn shrink(&mut self) {
        self.named.shrink_to_fit();
        self.services.shrink_to_fit();
    }

    /// Whether the service is one of those at the root.
    pub(crate) fn is_at_root(&self, method: &KnownMethod) -> bool {
        method.service() < self.at_root
    }

    pub(crate) fn define(&mut self, define: Define) -> Result<(), Violation> {
        let number = define.number;
        if number.0 < METHOD_FIRST.0 || self.named.contains_key(&number.0) {
            return Err(Violation::MethodRedefined(number.0));
        }
        if self.named.len() >= self.methods_max {
            // No violation: the peer does not know this limit.
            let reached = Reached::new("methods_max", self.named.len() + 1, self.methods_max);
            self.unknown = Some(Method::Refused(Refused::with(reached.into())));
            return Ok(());
        }
        let method = self.find(&define);
        self.named.insert(number.0, method);
        Ok(())
    }

    fn find(&self, define: &Define) -> Method {
        #[cfg(test)]
        if self.forbidden == Some(&*define.method) {
            return Method::Refused(Refused::with(Failure::PermissionDenied));
        }
        let is_named = |(_, service): &(usize, &&ServiceDescriptor)| service.name == define.service;
        let service = self.services.iter().enumerate().find(is_named);
        let method = service.and_then(|(_, service)| service.method_named(&define.method));
        let offered = match (service, method) {
            (None, _) => Offered::NoService,
            (Some(_), None) => Offered::NoMethod,
            (Some((_, service)), Some(method)) => Offered::Method(service.methods[method].version()),
        };
        let called = MethodVersion { fingerprint: define.fingerprint, is_callable: true };
        let ours = service.zip(method).map(|((_, service), method)| &service.methods[method]);
        match (refusal(of_call(called, offered), ours), service, method) {
            (None, Some((index, service)), Some(method)) => Method::Known(KnownMethod {
                service: u32::try_from(index).unwrap_or(u32::MAX),
                descriptor_of_service: service,
                method,
                ordered: service.ordered,
                descriptor: &service.methods[method],
            }),
            (refused, _, _) => Method::Refused(refused.unwrap_or(Refused::with(Failure::UnknownMethod))),
        }
    }

    /// The method that a number stands for; `None` if it was not defined.
    pub(crate) fn find_number(&self, number: MethodNumber) -> Option<&Method> {
        self.named.get(&number.0).or(self.unknown.as_ref())
    }

    pub(crate) fn resolve(&self, number: MethodNumber) -> Result<Method, Violation> {
        if number == METHOD_GET {
            return Ok(Method::Get);
        }
        if number == METHOD_MAP {
            return Ok(Method::Map);
        }
        self.find_number(number).cloned().ok_or(Violation::UnknownMethodNumber(number.0))
    }
}
