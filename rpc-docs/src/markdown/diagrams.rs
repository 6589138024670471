//! Renders sequence diagrams in Mermaid, for methods with streams or objects.

use super::text::block;
use crate::description::{Description, Method, Service, Side, Type};

const RESULT: &str = "the result";

/// The diagram of a method with streams or objects; empty for others.
pub(super) fn diagram(description: &Description, service: &Service, method: &Method) -> String {
    let mut lines = Vec::new();
    let (caller, callee) = match service.implemented_by {
        Side::Client => ("Server", "Client"),
        _ => ("Client", "Server"),
    };
    let names: Vec<String> = method.arguments.iter().map(|argument| plain(&argument.name)).collect();
    let call =
        format!("{}.{}({})", plain(service.trait_name()), plain(method.trait_name()), names.join(", "));
    lines.push(format!("{caller}->>{callee}: {call}"));
    let before = lines.len();
    for argument in &method.arguments {
        lines.extend(carried(description, &argument.value.ty, &plain(&argument.name), caller, callee));
    }
    let mut results = carried(description, &method.result.ty, RESULT, callee, caller);
    if lines.len() == before && results.is_empty() {
        return String::new();
    }
    if !method.oneway {
        results.insert(0, format!("{callee}-->>{caller}: the result, or an error"));
    }
    lines.extend(results);
    let body: Vec<String> = lines.iter().map(|line| format!("    {line}")).collect();
    let diagram =
        format!("sequenceDiagram\n    participant {caller}\n    participant {callee}\n{}", body.join("\n"));
    format!("{}\n", block("mermaid", &diagram))
}

/// The lines of a diagram for the objects and streams in a value that was sent.
fn carried(description: &Description, ty: &Type, place: &str, from: &str, to: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let is_result = place == RESULT;
    ty.walk(&mut |part| match part {
        Type::Object(name) => {
            let name = description.service(name).map_or(&**name, Service::trait_name);
            lines.push(format!("Note over {from}: holds the object {}", plain(name)));
            // An object in a result can be called while the result is on its way.
            let early = if is_result { ", also before it is here" } else { "" };
            lines.push(format!("{to}->>{from}: calls of {}{early}", plain(name)));
        }
        Type::Stream { .. } => lines.extend([
            format!("loop items of {place}, as they are read"),
            format!("    {from}-->>{to}: an item"),
            "end".into(),
        ]),
        _ => {}
    });
    lines
}

/// A name without characters and words that have a meaning in Mermaid.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '_' { letter } else { ' ' })
        .collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    // The word `end` closes a block anywhere in a line.
    let words: Vec<&str> = words.into_iter().map(|word| if word == "end" { "end_" } else { word }).collect();
    if words.is_empty() { "_".into() } else { words.join(" ") }
}
