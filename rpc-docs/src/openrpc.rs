//! Renders an OpenRPC 1.4.1 document, for tools for JSON-RPC services and for programs that read an API.
//!
//! Properties that OpenRPC does not define have `x-` names. The document's own `x-extensions` explains each of them.

use serde_json::{Map, Value, json};

use crate::{
    description::{Description, Flow, Method, PathStep, Service, Side, Type},
    flows::Flows,
    json_schema::Schemas,
    names::Names,
    prose::summary,
    samples::sample,
};

mod errors;

/// The version of OpenRPC that the document follows.
const VERSION: &str = "1.4.1";

/// The maximum number of sources and sinks listed for one value; the number of others is given.
const ENDS_MAX: usize = 6;

/// The maximum number of parts of a result that are listed; those with the shortest path come first.
const PARTS_MAX: usize = 32;

/// The `x-` names with their meanings.
const EXTENSIONS: [(&str, &str); 15] = [
    (
        "x-service",
        "The service of the method: its name, which side implements it (`server`, `client` or `both`), and whether a connection offers it at once (`root`) or objects of it are handed out by other methods.",
    ),
    (
        "x-object",
        "Objects in arguments and results, by service. An object is a reference; its methods can be called before it exists.",
    ),
    (
        "x-stream",
        "Streams in arguments (sent by the caller) and results (sent to the caller), with the schemas of their items and errors.",
    ),
    (
        "x-pipelines",
        "What can be passed on before it is here: for arguments, the results that fit; for parts of the result, where they can go. Paths lead into the result: a field, an index, `some` for what is in an option, `element` for each of a list.",
    ),
    ("x-idempotent", "Running the method twice does what running it once does; it may be retried."),
    ("x-oneway", "The caller gets no result and no error."),
    ("x-batch", "Many calls of the method in flight are answered by one call of this method."),
    ("x-ordered", "A call that waits for a promise holds back later calls of the same object."),
    ("x-no-cancel", "Dropping the promise does not stop the handler."),
    ("x-fingerprint", "What two sides compare before a call; it changes with the method's types."),
    ("x-problems", "Why the method cannot be called."),
    ("x-rust-type", "The type of an argument as it is written in the Rust trait."),
    ("x-deprecated", "What to use instead of what is deprecated."),
    ("x-limits", "Limits of the server that callers can meet."),
    (
        "x-error-codes",
        "Errors are values of their types. Their codes are made for this document: the number of the variant in its type, counted from 1, as it travels; it stays when variants are added behind the others. `data.schema` is the schema of the error as JSON. An error that is no enum has the code 1.",
    ),
];

/// The API as an OpenRPC document.
pub fn render(description: &Description) -> String {
    let mut text = serde_json::to_string_pretty(&document(description))
        .expect("all keys are strings and nothing fails to serialize");
    text.push('\n');
    text
}

fn document(description: &Description) -> Value {
    let names = Names::of(description);
    let writer = Writer {
        description,
        schemas: Schemas::new(description, &names),
        flows: Flows::of(description),
        errors: errors::Errors::of(description),
    };
    let methods: Vec<Value> = description
        .services
        .iter()
        .flat_map(|service| service.methods.iter().map(move |method| (service, method)))
        .map(|(service, method)| writer.method(service, method))
        .collect();
    let tag = |service: &Service| (service.name.clone(), tag(service));
    let extensions: Map<String, Value> =
        EXTENSIONS.into_iter().map(|(name, meaning)| (name.to_owned(), meaning.into())).collect();
    let mut document = json!({
        "openrpc": VERSION,
        "info": {
            "title": description.title,
            "version": description.version,
            "description": introduction(description),
        },
        "methods": methods,
        "components": {
            "schemas": writer.schemas.definitions(),
            "errors": writer.errors.components(&writer.schemas),
            "tags": description.services.iter().map(tag).collect::<Map<_, _>>(),
        },
        "x-extensions": extensions,
    });
    if !description.limits.is_empty() {
        document["x-limits"] = json!(description.limits);
    }
    document
}

/// The API's own introduction, and a note that the protocol is not JSON-RPC.
fn introduction(description: &Description) -> String {
    let protocol = "This API speaks its own protocol over WebSocket: binary, with promises, objects and streams. It speaks no JSON-RPC \
        yet; this document shows its methods and types to tools that know OpenRPC. Names under `x-` are explained in `x-extensions`.";
    [&*description.docs, protocol]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn tag(service: &Service) -> Value {
    let mut tag = json!({"name": service.name});
    if !service.docs.is_empty() {
        tag["description"] = service.docs.as_str().into();
    }
    tag
}

pub(crate) fn side(side: Side) -> &'static str {
    match side {
        Side::Server => "server",
        Side::Client => "client",
        Side::Both => "both",
    }
}

struct Writer<'a> {
    description: &'a Description,
    schemas: Schemas<'a>,
    flows: Flows<'a>,
    errors: errors::Errors<'a>,
}

impl Writer<'_> {
    fn method(&self, service: &Service, method: &Method) -> Value {
        let mut entry = json!({
            "name": format!("{}.{}", service.name, method.name),
            "tags": [{"name": service.name}],
            "paramStructure": "by-position",
            "params": self.parameters(method),
        });
        if !method.docs.is_empty() {
            entry["summary"] = summary(&method.docs).into();
            entry["description"] = method.docs.as_str().into();
        }
        if !method.oneway {
            entry["result"] = json!({"name": "result", "schema": self.schemas.of(&method.result.ty)});
        }
        if let Some(error) = &method.error {
            entry["errors"] = self.errors.of_method(&self.schemas, &error.ty);
        }
        if let Some(note) = &method.deprecated {
            entry["deprecated"] = true.into();
            if !note.is_empty() {
                entry["x-deprecated"] = note.as_str().into();
            }
        }
        if let Some(example) = self.example(method) {
            entry["examples"] = json!([example]);
        }
        self.extend(&mut entry, service, method);
        entry
    }

    fn parameters(&self, method: &Method) -> Vec<Value> {
        let parameter = |argument: &crate::description::Argument| {
            json!({
                "name": filled(&argument.name),
                "required": true,
                "schema": self.schemas.of(&argument.value.ty),
                "x-rust-type": argument.value.rust,
            })
        };
        method.arguments.iter().map(parameter).collect()
    }

    fn example(&self, method: &Method) -> Option<Value> {
        let parameter = |argument: &crate::description::Argument| {
            let value = sample(self.description, &argument.value.ty, &argument.name)?;
            Some(json!({"name": filled(&argument.name), "value": value}))
        };
        let parameters: Vec<Value> = method.arguments.iter().map(parameter).collect::<Option<_>>()?;
        let mut example = json!({"name": "made up", "params": parameters});
        if !method.oneway {
            let result = sample(self.description, &method.result.ty, "result")?;
            example["result"] = json!({"name": "result", "value": result});
        }
        Some(example)
    }

    fn extend(&self, entry: &mut Value, service: &Service, method: &Method) {
        entry["x-service"] = json!({
            "name": service.name,
            "implemented-by": side(service.implemented_by),
            "root": service.is_root,
        });
        let found = [
            ("x-object", carried(method, |ty| self.objects(ty))),
            ("x-stream", carried(method, |ty| self.streams(ty))),
            ("x-pipelines", self.pipelines(service, method)),
        ];
        for (name, value) in found {
            if !value.is_empty() {
                entry[name] = value.into();
            }
        }
        let marks = [
            ("x-idempotent", method.idempotent),
            ("x-oneway", method.oneway),
            ("x-ordered", service.ordered),
            ("x-no-cancel", method.no_cancel),
        ];
        for (name, _) in marks.into_iter().filter(|(_, is_set)| *is_set) {
            entry[name] = true.into();
        }
        if let Some(batch) = &method.batch {
            entry["x-batch"] = format!("{}.{batch}", service.name).into();
        }
        if !method.problems.is_empty() {
            entry["x-problems"] = json!(method.problems);
        }
        entry["x-fingerprint"] = method.fingerprint.as_str().into();
    }

    fn objects(&self, ty: &Type) -> Vec<Value> {
        let mut objects = Vec::new();
        ty.walk(&mut |part| {
            if let Type::Object(service) = part {
                objects.push(service.as_str().into());
            }
        });
        objects
    }

    fn streams(&self, ty: &Type) -> Vec<Value> {
        let mut streams = Vec::new();
        ty.walk(&mut |part| {
            if let Type::Stream { .. } = part {
                streams.push(self.schemas.of(part)["x-stream"].clone());
            }
        });
        streams
    }

    fn pipelines(&self, service: &Service, method: &Method) -> Map<String, Value> {
        let argument = |(argument, flow): &(&str, &Flow)| {
            let from = flow.from.iter().map(
                |source| json!({"method": format!("{}.{}", source.service, source.method), "path": source.path}),
            );
            ends(json!({"argument": argument}), "from", from)
        };
        let result = |(path, flow): &(&[PathStep], &Flow)| {
            ends(json!({"path": path}), "into", flow.into.iter().map(|sink| json!(sink)))
        };
        let arguments: Vec<Value> =
            self.flows.arguments(&service.name, &method.name).iter().map(argument).collect();
        let results: Vec<Value> =
            self.flows.results(&service.name, &method.name).iter().take(PARTS_MAX).map(result).collect();
        let lists = [("arguments", arguments), ("result", results)];
        lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| (name.to_owned(), list.into()))
            .collect()
    }
}

/// Adds the first ends to an entry, and the number of others.
fn ends(mut entry: Value, name: &str, ends: impl ExactSizeIterator<Item = Value>) -> Value {
    let more = ends.len().saturating_sub(ENDS_MAX);
    entry[name] = ends.take(ENDS_MAX).collect::<Vec<_>>().into();
    if more > 0 {
        entry["more"] = more.into();
    }
    entry
}

/// The results of `find` for each argument and for the result.
fn carried(method: &Method, find: impl Fn(&Type) -> Vec<Value>) -> Map<String, Value> {
    let mut places = Map::new();
    let arguments: Map<String, Value> = method
        .arguments
        .iter()
        .map(|argument| (argument.name.clone(), find(&argument.value.ty)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(name, found)| (name, found.into()))
        .collect();
    if !arguments.is_empty() {
        places.insert("arguments".into(), arguments.into());
    }
    let result = find(&method.result.ty);
    if !result.is_empty() {
        places.insert("result".into(), result.into());
    }
    places
}

/// A parameter's name, or `_` if it is empty, which OpenRPC does not allow.
fn filled(name: &str) -> &str {
    if name.is_empty() { "_" } else { name }
}

#[cfg(test)]
mod tests;
