//! Examples of a call, awaited and pipelined, in Rust and in TypeScript.

use super::atlas::{At, Atlas};
use crate::description::{Argument, Method, PathStep, Service, Side, Sink, Source, Type};

/// The texts beside a method.
pub(super) struct Examples {
    /// Each call waits for the one before.
    pub(super) awaited: Pair,
    /// The same, or what can follow, in one round trip; none for a call that fits nothing.
    pub(super) pipelined: Option<Pair>,
}

/// One text in both languages.
pub(super) struct Pair {
    pub(super) rust: String,
    pub(super) typescript: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Rust,
    TypeScript,
}

/// No way to an object is shown that is longer.
const WAY_MAX: usize = 6;

/// The examples of a method.
pub(super) fn examples(atlas: &Atlas<'_>, at: At) -> Examples {
    let (service, method) = atlas.method(at);
    if service.implemented_by == Side::Client {
        return Examples { awaited: pair(|style| implemented(service, method, style)), pipelined: None };
    }
    let way = way(atlas, at.service);
    let chain = way.as_ref().filter(|way| !way.is_empty());
    let follow_up =
        fitting_source(atlas, at).map(Follow::Source).or_else(|| next_call(atlas, at).map(Follow::Next));
    let pipelined = (chain.is_some() || follow_up.is_some()).then(|| {
        pair(|style| match &follow_up {
            Some(follow) if chain.is_none() => follow.text(atlas, at, style),
            _ => statement(method, &chained(atlas, chain.map_or(&[][..], Vec::as_slice), at, style), style),
        })
    });
    Examples { awaited: pair(|style| awaited(atlas, way.as_deref().unwrap_or(&[]), at, style)), pipelined }
}

fn pair(text: impl Fn(Style) -> String) -> Pair {
    Pair { rust: text(Style::Rust), typescript: text(Style::TypeScript) }
}

/// The calls that lead from the root to an object of a service, if each gives just the object.
fn way(atlas: &Atlas<'_>, service: usize) -> Option<Vec<At>> {
    let mut way = Vec::new();
    let mut service = service;
    while let Some(at) = atlas.way(service) {
        let (_, method) = atlas.method(at);
        let Type::Object(given) = &method.result.ty else { return None };
        if atlas.service(given)?.0 != service || way.len() == WAY_MAX {
            return None;
        }
        way.push(at);
        service = at.service;
    }
    way.reverse();
    Some(way)
}

fn awaited(atlas: &Atlas<'_>, way: &[At], at: At, style: Style) -> String {
    let mut lines: Vec<String> = way
        .iter()
        .map(|at| {
            let (_, method) = atlas.method(*at);
            statement(method, &call(&variable(atlas.method(*at).0), method, style), style)
        })
        .collect();
    let (service, method) = atlas.method(at);
    lines.push(statement(method, &call(&variable(service), method, style), style));
    lines.join("\n")
}

/// All calls of a way in one expression.
fn chained(atlas: &Atlas<'_>, way: &[At], last: At, style: Style) -> String {
    let mut expression = variable(atlas.method(*way.first().unwrap_or(&last)).0);
    for at in way.iter().chain([&last]) {
        let separator = if way.len() > 1 { "\n    " } else { "" };
        let (_, method) = atlas.method(*at);
        expression = format!("{expression}{separator}.{}({})", method.trait_name(), arguments(method, style));
    }
    expression
}

enum Follow<'a> {
    /// A result that fits the argument.
    Source((&'a str, &'a Source)),
    /// A call on the object that the method gives.
    Next(At),
}

impl Follow<'_> {
    fn text(&self, atlas: &Atlas<'_>, at: At, style: Style) -> String {
        let (service, method) = atlas.method(at);
        let receiver = variable(service);
        match self {
            Self::Next(next) => {
                let (_, following) = atlas.method(*next);
                let separator = if style == Style::Rust { "" } else { "\n    " };
                let object = call(&receiver, method, style);
                statement(following, &call(&format!("{object}{separator}"), following, style), style)
            }
            Self::Source((argument, source)) => {
                let Some(from) = atlas.method_at(&source.service, &source.method) else {
                    return String::new();
                };
                let (_, earlier) = atlas.method(from);
                let first = call(&receiver, earlier, style);
                let name = if earlier.name == method.name { "first".into() } else { result_name(earlier) };
                let part = format!("{name}{}", steps(&source.path, style));
                let arguments: Vec<String> = method
                    .arguments
                    .iter()
                    .map(|known| if known.name == *argument { part.clone() } else { sample(known, style) })
                    .collect();
                let second = format!("{receiver}.{}({})", method.trait_name(), arguments.join(", "));
                let binding = if style == Style::Rust { "let" } else { "const" };
                format!("{binding} {name} = {first};\n{}", statement(method, &second, style))
            }
        }
    }
}

/// A result of the same service that fits one of the arguments, found by its fields.
fn fitting_source<'a>(atlas: &Atlas<'a>, at: At) -> Option<(&'a str, &'a Source)> {
    let (service, _) = atlas.method(at);
    let is_simple = |source: &&Source| {
        source.service == service.name && source.path.iter().all(|step| !matches!(step, PathStep::Index(_)))
    };
    let flows = atlas.flows(at).built_on.iter();
    flows.filter_map(|(argument, flow)| Some((*argument, flow.from.iter().find(is_simple)?))).next()
}

/// The first method of the object that a method gives.
fn next_call(atlas: &Atlas<'_>, at: At) -> Option<At> {
    let (_, flow) = atlas.flows(at).leads_to.iter().find(|(path, _)| path.is_empty())?;
    let Some(Sink::Target { service }) = flow.into.iter().find(|sink| matches!(sink, Sink::Target { .. }))
    else {
        return None;
    };
    let (next, service) = atlas.service(service)?;
    let method = service.methods.iter().position(|method| !method.oneway && method.problems.is_empty())?;
    Some(At { service: next, method })
}

fn implemented(service: &Service, method: &Method, style: Style) -> String {
    let name = service.trait_name();
    match style {
        Style::Rust => {
            let signature = super::signature::rust(method).replace('\n', "\n    ");
            format!(
                "impl {name} for My{name} {{\n    {signature} {{\n        // The server calls this.\n    }}\n}}"
            )
        }
        Style::TypeScript => {
            let arguments =
                method.arguments.iter().map(|argument| argument.name.as_str()).collect::<Vec<_>>().join(", ");
            format!(
                "class My{name} implements {name} {{\n    async {}({arguments}) {{\n        // The server calls this.\n    }}\n}}",
                method.trait_name()
            )
        }
    }
}

fn call(receiver: &str, method: &Method, style: Style) -> String {
    format!("{receiver}.{}({})", method.trait_name(), arguments(method, style))
}

fn arguments(method: &Method, style: Style) -> String {
    method.arguments.iter().map(|argument| sample(argument, style)).collect::<Vec<_>>().join(", ")
}

fn statement(method: &Method, call: &str, style: Style) -> String {
    let is_silent = method.oneway || method.result.ty == Type::Unit;
    match style {
        Style::Rust if method.oneway => format!("{call};"),
        Style::Rust if is_silent => format!("{call}.await?;"),
        Style::Rust => format!("let {} = {call}.await?;", result_name(method)),
        Style::TypeScript if method.oneway => format!("{call};"),
        Style::TypeScript if is_silent => format!("await {call};"),
        Style::TypeScript => format!("const {} = await {call};", result_name(method)),
    }
}

fn steps(path: &[PathStep], style: Style) -> String {
    let call = if style == Style::Rust { "()" } else { "" };
    path.iter()
        .map(|step| match (step, style) {
            (PathStep::Field(name), _) => format!(".{name}{call}"),
            (PathStep::Index(at), _) => format!(".{at}"),
            (PathStep::Some, Style::Rust) => ".some()".into(),
            (PathStep::Some, Style::TypeScript) => String::new(),
            (PathStep::Element, Style::Rust) => ".index(0)".into(),
            (PathStep::Element, Style::TypeScript) => "[0]".into(),
        })
        .collect()
}

fn sample(argument: &Argument, style: Style) -> String {
    match (&argument.value.ty, style) {
        (Type::Bool, _) => "true".into(),
        (Type::F32 | Type::F64, _) => "0.5".into(),
        (Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::U128, _)
        | (Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::I128, _) => "10".into(),
        (Type::String, _) if argument.name.contains("name") => "\"ann\"".into(),
        (Type::String, _) => "\"hello\"".into(),
        (Type::Option(_), Style::Rust) => "None".into(),
        (Type::Option(_), Style::TypeScript) => "null".into(),
        _ => argument.name.clone(),
    }
}

/// What a result is called: after its type if that has a name.
fn result_name(method: &Method) -> String {
    match &method.result.ty {
        Type::Object(name) | Type::Ref(name) => snake(name.rsplit("::").next().unwrap_or(name)),
        _ => method.trait_name().to_owned(),
    }
}

fn variable(service: &Service) -> String {
    snake(service.trait_name())
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
