//! Makes a description from client types.
//!
//! ```text
//! ChatClient ─▶ ServiceDescriptor ─▶ layouts, declarations ─▶ definitions.rs ─▶ Description
//!                     └ services of objects, one after the other ┘        sides.rs, flows.rs ┘
//! ```

use std::collections::BTreeSet;

use rpc_core::{
    Limits, ServiceClient,
    schema::{Leaf, Node, ServiceDescriptor, declared::Declarations},
};

use crate::description::{Argument, CallerLimit, Description, FORMAT, Method, Service, Side, Value};

mod definitions;
mod flows;
mod limits;
mod sides;

use definitions::Types;

/// An API to describe: its name, its version, and the services that a connection offers.
///
/// Services of objects and callbacks are found and included automatically.
///
/// ```
/// use rpc_docs::Api;
///
/// /// Says hello.
/// #[rpc_core::rpc]
/// trait Greeter {
///     /// A greeting.
///     async fn greet(&self, name: String) -> String;
/// }
///
/// let description = Api::new("Greetings", "1.0.0").service::<GreeterClient>().describe();
/// assert_eq!(description.services[0].methods[0].docs, "A greeting.");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Api {
    title: String,
    version: String,
    docs: String,
    limits: Vec<CallerLimit>,
    roots: Vec<(&'static ServiceDescriptor, Side)>,
    schemas: Vec<(std::any::TypeId, serde_json::Value)>,
}

impl Api {
    /// An API without services.
    ///
    /// `version` is the API's own version. It is part of the description, so a version that rises with each release of a crate
    /// changes the description each time.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            docs: String::new(),
            limits: Vec::new(),
            roots: Vec::new(),
            schemas: Vec::new(),
        }
    }

    /// Sets the introduction, in Markdown.
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Adds a service that the server offers to every client.
    pub fn service<C: ServiceClient>(self) -> Self {
        self.root(C::descriptor(), Side::Server)
    }

    /// Adds a service that every client offers to the server.
    pub fn client_service<C: ServiceClient>(self) -> Self {
        self.root(C::descriptor(), Side::Client)
    }

    /// Adds the server's limits, as far as callers can reach them.
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.limits = limits::of_callers(limits);
        self
    }

    /// Uses the type's own JSON schema instead of the one made from its layout.
    #[cfg(feature = "schemars")]
    pub fn schema<T: schemars::JsonSchema + 'static>(mut self) -> Self {
        let schema =
            schemars::generate::SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
        self.schemas.push((std::any::TypeId::of::<T>(), schema.to_value()));
        self
    }

    fn root(mut self, service: &'static ServiceDescriptor, side: Side) -> Self {
        match self.roots.iter_mut().find(|(known, _)| known.name == service.name) {
            Some((_, known)) if *known != side => *known = Side::Both,
            Some(_) => {}
            None => self.roots.push((service, side)),
        }
        self
    }

    /// Describes the API.
    ///
    /// Never fails: types that cannot be traced are described as opaque. Runs the `Deserialize` of the types that travel on
    /// made-up values, as the first call of each method would.
    pub fn describe(&self) -> Description {
        let mut found: Vec<&'static ServiceDescriptor> = self.roots.iter().map(|(root, _)| *root).collect();
        let mut types = Types::new(&self.schemas, declarations(&found));
        let mut services: Vec<Service> = Vec::new();
        while let Some(descriptor) = found.get(services.len()).copied() {
            let methods = descriptor.methods.iter().map(|method| describe_method(method, &mut types));
            services.push(Service {
                name: descriptor.name.into(),
                rust_name: other_name(descriptor.rust_name, descriptor.name),
                docs: descriptor.docs.into(),
                implemented_by: Side::Both,
                is_root: services.len() < self.roots.len(),
                offered_by: None,
                ordered: descriptor.ordered,
                methods: methods.collect(),
            });
            for object in types.take_services() {
                if found.iter().all(|known| known.name != object.name) {
                    found.push(object);
                }
            }
        }
        let (types, spellings) = types.into_definitions();
        let mut description = Description {
            format: FORMAT,
            title: self.title.clone(),
            version: self.version.clone(),
            docs: self.docs.clone(),
            services,
            types,
            flows: Vec::new(),
            limits: self.limits.clone(),
        };
        sides::find(&mut description, &self.roots);
        description.flows = flows::find(&description, &spellings);
        description
    }
}

/// The declarations of all types in all methods: one method may name a type that another has behind an alias.
fn declarations(roots: &[&'static ServiceDescriptor]) -> Declarations {
    let mut found = Declarations::default();
    let mut services = roots.to_vec();
    let mut names: BTreeSet<&str> = services.iter().map(|service| service.name).collect();
    while let Some(service) = services.pop() {
        for method in service.methods {
            let signature = method.signature();
            let arguments = method.arguments.iter().map(|argument| &argument.value);
            for value in arguments.chain([&method.result]).chain(&method.error) {
                value.declare(&mut found);
            }
            let layouts = signature.arguments.iter().chain([&signature.result]).chain(&signature.error);
            for node in layouts.flat_map(|layout| layout.nodes().0) {
                if let Node::Leaf(Leaf::Object(object)) = node
                    && names.insert(object.0.name)
                {
                    services.push(object.0);
                }
            }
        }
    }
    found
}

fn describe_method(method: &'static rpc_core::schema::MethodDescriptor, types: &mut Types<'_>) -> Method {
    let signature = method.signature();
    let attributes = &method.attributes;
    let argument = |(argument, layout): (&'static rpc_core::schema::ArgumentDescriptor, _)| Argument {
        name: argument.name.into(),
        value: types.value(&argument.value, layout),
    };
    let arguments = method.arguments.iter().zip(&signature.arguments).map(argument).collect();
    let result = types.value(&method.result, &signature.result);
    let error = method.error.as_ref().zip(signature.error.as_ref());
    let error: Option<Value> = error.map(|(error, layout)| types.value(error, layout));
    Method {
        name: method.name.into(),
        rust_name: other_name(method.rust_name, method.name),
        docs: method.docs.into(),
        arguments,
        result,
        error,
        idempotent: attributes.idempotent,
        oneway: attributes.oneway,
        no_cancel: attributes.no_cancel,
        batch: attributes.batch.map(Into::into),
        deprecated: attributes.deprecated.map(Into::into),
        // The fingerprint of a method with problems differs in each process.
        fingerprint: match method.problems() {
            [] => format!("{:016x}", signature.fingerprint),
            _ => "0000000000000000".into(),
        },
        problems: method.problems().to_vec(),
    }
}

/// The name in Rust, if it differs from the wire name.
fn other_name(rust_name: &str, name: &str) -> Option<String> {
    (rust_name != name && !rust_name.is_empty()).then(|| rust_name.to_owned())
}

#[cfg(test)]
mod tests; // api/tests.rs: editing tests does not rebuild the library
