//! Renders an AsyncAPI 3.0.0 document, for renderers and generators of message-driven APIs.
//!
//! The described application is the server. A service is a channel over the WebSocket. A call by a client is an operation that
//! receives a message with the arguments and replies with the result; a callback is an operation that sends. A stream is an
//! operation of its own, in the direction of its items.

use serde_json::{Map, Value, json};

use crate::{
    description::{Description, Method, Service, Side, Type},
    json_schema::{Schemas, documented},
    names::{Names, Taken, identifier},
    openrpc::side,
    prose::summary,
    samples::sample,
};

/// The version of AsyncAPI that the document follows.
const VERSION: &str = "3.0.0";

/// The API as an AsyncAPI document.
pub fn render(description: &Description) -> String {
    let mut text = serde_json::to_string_pretty(&document(description))
        .expect("all keys are strings and nothing fails to serialize");
    text.push('\n');
    text
}

fn document(description: &Description) -> Value {
    let names = Names::of(description);
    let schemas = Schemas::new(description, &names);
    let mut writer = Writer { description, schemas, operations: Map::new(), operation_names: Taken::none() };
    let channels: Map<String, Value> = description
        .services
        .iter()
        .filter_map(|service| Some((names.service(&service.name)?.to_owned(), service)))
        .map(|(name, service)| {
            let channel = writer.channel(&name, service);
            (name, channel)
        })
        .collect();
    json!({
        "asyncapi": VERSION,
        "info": {
            "title": description.title,
            "version": description.version,
            "description": introduction(description),
        },
        "defaultContentType": "application/json",
        "servers": {"websocket": {
            "host": "{host}",
            "protocol": "ws",
            "description": "One WebSocket carries all services; `wss` where the server has a certificate.",
            "variables": {"host": {"default": "localhost:8080", "description": "Where the server listens."}},
        }},
        "channels": channels,
        "operations": writer.operations,
        "components": {"schemas": schemas.definitions()},
    })
}

/// The API's own introduction, and a note that the protocol is not one that AsyncAPI tools know.
fn introduction(description: &Description) -> String {
    let protocol = "This API speaks its own protocol over WebSocket, in which many calls share a message and results can be passed on \
        before they are there. The messages here show what calls carry, as JSON.";
    [&*description.docs, protocol]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

struct Writer<'a> {
    description: &'a Description,
    schemas: Schemas<'a>,
    operations: Map<String, Value>,
    operation_names: Taken,
}

/// A channel while its methods are added.
struct Channel<'a> {
    name: &'a str,
    service: &'a Service,
    messages: Map<String, Value>,
}

impl Writer<'_> {
    fn channel(&mut self, name: &str, service: &Service) -> Value {
        let mut channel = Channel { name, service, messages: Map::new() };
        for method in &service.methods {
            self.method(&mut channel, method);
        }
        let mut entry = json!({
            "address": if service.is_root { Value::from("/") } else { Value::Null },
            "title": service.name,
            "messages": channel.messages,
            "servers": [{"$ref": "#/servers/websocket"}],
            "x-implemented-by": side(service.implemented_by),
            "x-root": service.is_root,
        });
        if !service.docs.is_empty() {
            entry["summary"] = summary(&service.docs).into();
            entry["description"] = service.docs.as_str().into();
        }
        entry
    }

    fn method(&mut self, channel: &mut Channel<'_>, method: &Method) {
        // A service that both sides implement is shown as the server's: an operation has one direction.
        let called = match channel.service.implemented_by {
            Side::Server | Side::Both => "receive",
            Side::Client => "send",
        };
        let operation = self.operation_names.name(&identifier(&format!("{}_{}", channel.name, method.name)));
        let call = channel.message(&format!("{operation}_call"), self.call(method));
        let mut entry = json!({
            "action": called,
            "channel": channel.reference(),
            "title": format!("{}.{}", channel.service.name, method.name),
            "messages": [call],
            "tags": [{"name": channel.service.name}],
            "x-fingerprint": method.fingerprint,
        });
        if !method.docs.is_empty() {
            entry["summary"] = summary(&method.docs).into();
            entry["description"] = method.docs.as_str().into();
        }
        if method.deprecated.is_some() {
            // AsyncAPI has no word for an operation that is deprecated.
            entry["x-deprecated"] = true.into();
        }
        if !method.oneway {
            let mut replies = vec![channel.message(&format!("{operation}_result"), self.result(method))];
            if let Some(error) = &method.error {
                let message = message("error", self.schemas.of(&error.ty));
                replies.push(channel.message(&format!("{operation}_error"), message));
            }
            entry["reply"] = json!({"channel": channel.reference(), "messages": replies});
        }
        self.operations.insert(operation.clone(), entry);
        self.streams(channel, method, &operation, called);
    }

    fn call(&self, method: &Method) -> Value {
        let argument = |argument: &crate::description::Argument| {
            documented(self.schemas.of(&argument.value.ty), &format!("`{}`", argument.name), None)
        };
        let arguments: Vec<Value> = method.arguments.iter().map(argument).collect();
        let count = arguments.len();
        let mut payload = json!({"type": "array", "minItems": count, "maxItems": count});
        if count > 0 {
            payload["items"] = arguments.into();
        }
        let mut call = message(&format!("arguments of {}", method.name), payload);
        let values = method
            .arguments
            .iter()
            .map(|argument| sample(self.description, &argument.value.ty, &argument.name));
        if let Some(values) = values.collect::<Option<Vec<_>>>().filter(|_| count > 0) {
            call["examples"] = json!([{"payload": values}]);
        }
        call
    }

    fn result(&self, method: &Method) -> Value {
        let mut result = message("result", self.schemas.of(&method.result.ty));
        if let Some(value) = sample(self.description, &method.result.ty, "result") {
            result["examples"] = json!([{"payload": value}]);
        }
        result
    }

    /// Adds an operation for each stream in the method's signature.
    fn streams(&mut self, channel: &mut Channel<'_>, method: &Method, operation: &str, called: &str) {
        // Items of arguments flow in the direction of the call, items of results in the opposite direction.
        let back = if called == "receive" { "send" } else { "receive" };
        let arguments = method.arguments.iter().map(|argument| (&*argument.name, called, &argument.value.ty));
        for (place, action, ty) in arguments.chain([("result", back, &method.result.ty)]) {
            let mut streams = Vec::new();
            ty.walk(&mut |part| {
                if let Type::Stream { item, error } = part {
                    streams.push((item, error));
                }
            });
            for (item, error) in streams {
                let name = self.operation_names.name(&format!("{operation}_{}_items", identifier(place)));
                let mut messages =
                    vec![channel.message(&format!("{name}_item"), message("item", self.schemas.of(item)))];
                if let Some(error) = error {
                    let end = message("the error that ends the stream", self.schemas.of(error));
                    messages.push(channel.message(&format!("{name}_end"), end));
                }
                let entry = json!({
                    "action": action,
                    "channel": channel.reference(),
                    "title": format!("{}.{}: items of {place}", channel.service.name, method.name),
                    "messages": messages,
                    "tags": [{"name": channel.service.name}],
                    "x-stream-of": operation,
                });
                self.operations.insert(name, entry);
            }
        }
    }
}

impl Channel<'_> {
    fn reference(&self) -> Value {
        json!({"$ref": format!("#/channels/{}", self.name)})
    }

    /// Adds a message and returns a reference to it. Names of operations are unique, so names of their messages are too.
    fn message(&mut self, name: &str, message: Value) -> Value {
        self.messages.insert(name.to_owned(), message);
        json!({"$ref": format!("#/channels/{}/messages/{name}", self.name)})
    }
}

fn message(title: &str, payload: Value) -> Value {
    json!({"title": title, "payload": payload})
}

#[cfg(test)]
mod tests;
