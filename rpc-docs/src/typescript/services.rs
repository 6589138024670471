//! Writes the interfaces of services: one for callers, and one for implementers of callbacks.

use crate::{
    description::{Argument, Description, Method, Service, Side, Type},
    json,
    names::Names,
    typescript::{
        NO_CLIENT, PRELUDE,
        forms::Forms,
        text::{Words, comment, deprecated, property},
    },
};

/// Writes the declarations of an API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declarations<'a> {
    forms: Forms<'a>,
}

impl<'a> Declarations<'a> {
    /// Declarations for this description, under these names.
    pub(crate) fn new(description: &'a Description, names: &'a Names<'a>) -> Self {
        Self { forms: Forms { description, names } }
    }

    /// All declarations.
    pub(crate) fn file(&self) -> String {
        let description = self.forms.description;
        let mut out = String::new();
        let title = format!("{} {}", description.title, description.version);
        comment(
            &mut out,
            "",
            &format!("{title}\n\n{NO_CLIENT}\n\n{}", description.docs),
            &["@packageDocumentation".into()],
        );
        out.push('\n');
        out.push_str(PRELUDE);
        self.roots(&mut out);
        for service in &description.services {
            out.push('\n');
            self.client(&mut out, service);
            if service.implemented_by != Side::Server {
                out.push('\n');
                self.implementation(&mut out, service);
            }
        }
        for definition in &description.types {
            out.push('\n');
            self.forms.declare(&mut out, definition);
        }
        out
    }

    /// Writes the interface with the root services.
    fn roots(&self, out: &mut String) {
        out.push_str("\n/** The services that a connection offers, by their names on the wire. */\nexport interface Services {\n");
        let services = self.forms.description.services.iter();
        for service in services.filter(|service| service.is_offered_by(Side::Server)) {
            let name = self.forms.names.service(&service.name).unwrap_or("unknown");
            out.push_str(&format!("  readonly {}: {name};\n", property(&service.name)));
        }
        out.push_str("}\n");
    }

    fn client(&self, out: &mut String, service: &Service) {
        let name = self.forms.names.service(&service.name).unwrap_or("_");
        comment(out, "", &service.docs, &[]);
        out.push_str(&format!("export interface {name} extends Remote {{\n"));
        out.push_str(&format!("  readonly [remote]: {};\n", super::text::literal(&service.name)));
        for method in &service.methods {
            if method.name == "then" {
                out.push_str("  // The method `then` is left out: what has a `then` is a promise to JavaScript. Give it another name on the wire.\n");
                continue;
            }
            let mut tags = deprecated(method.deprecated.as_deref());
            if method.oneway {
                tags.push("@remarks One-way: nothing comes back.".into());
            }
            comment(out, "  ", &method.docs, &tags);
            out.push_str(&format!("  {};\n", self.signature(method)));
        }
        out.push_str("}\n");
    }

    /// A method's signature for callers.
    pub(crate) fn signature(&self, method: &Method) -> String {
        let mut words = Words::new();
        let parameter = |argument: &Argument| {
            format!("{}: {}", words.name(&argument.name), self.accepted(&argument.value.ty))
        };
        let parameters: Vec<String> = method.arguments.iter().map(parameter).collect();
        format!("{}({}): {}", property(&method.name), parameters.join(", "), self.promised(method))
    }

    /// The promise that a method returns.
    pub(crate) fn promised(&self, method: &Method) -> String {
        if method.oneway {
            return "Sent".into();
        }
        let result = self.received(&method.result.ty);
        match &method.error {
            Some(error) => format!("Promised<{result}, {}>", self.forms.of(&error.ty)),
            None => format!("Promised<{result}>"),
        }
    }

    /// The type of values that an argument accepts.
    pub(crate) fn accepted(&self, ty: &Type) -> String {
        let accepts = match ty {
            Type::Object(_) => format!("Argument<{}>", self.received(ty)),
            ty => format!("Argument<{}>", self.forms.of(ty)),
        };
        let also = match ty {
            Type::Object(_) if self.forms.of(ty) != self.received(ty) => {
                self.forms.of(ty).split_once(" | ").map(|(_, implementation)| implementation.to_owned())
            }
            // As in Rust, a promise of a value serves as a promise of an `Option`, and a tuple of promises as a promise of a tuple.
            Type::Option(inner) if json::may_be_null(self.forms.description, inner) => {
                Some(self.pending(inner))
            }
            Type::Tuple(elements) if (2..=4).contains(&elements.len()) => {
                let promises: Vec<String> = elements.iter().map(|element| self.pending(element)).collect();
                Some(format!("[{}]", promises.join(", ")))
            }
            _ => None,
        };
        match also {
            Some(also) => format!("{accepts} | {also}"),
            None => accepts,
        }
    }

    fn pending(&self, ty: &Type) -> String {
        format!("Pending<{}, unknown>", self.forms.of(ty))
    }

    /// The type of values that come from the other side: an object is always a client.
    pub(crate) fn received(&self, ty: &Type) -> String {
        match ty {
            Type::Object(service) => self.forms.names.service(service).unwrap_or("unknown").into(),
            other => self.forms.of(other),
        }
    }

    fn implementation(&self, out: &mut String, service: &Service) {
        let name = self.forms.names.implementation(&service.name).unwrap_or("_");
        let title = format!("Implements {}: what the other side calls back.", service.name.replace('`', "'"));
        comment(out, "", &title, &[]);
        out.push_str(&format!("export interface {name} {{\n"));
        for method in &service.methods {
            comment(out, "  ", &method.docs, &deprecated(method.deprecated.as_deref()));
            out.push_str(&format!("  {};\n", self.handler(method)));
        }
        out.push_str("}\n");
    }

    /// A method's signature for implementers: it fails by throwing.
    fn handler(&self, method: &Method) -> String {
        let mut words = Words::new();
        let parameter = |argument: &Argument| {
            format!("{}: {}", words.name(&argument.name), self.received(&argument.value.ty))
        };
        let parameters: Vec<String> = method.arguments.iter().map(parameter).collect();
        let result = match &method.result.ty {
            Type::Unit => "void".into(),
            other => self.forms.of(other),
        };
        format!("{}({}): {result} | PromiseLike<{result}>", property(&method.name), parameters.join(", "))
    }
}
