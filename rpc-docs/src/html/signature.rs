//! A method's signature as text, in Rust and in TypeScript. The pages colour it and link its words.

use super::atlas::Atlas;
use crate::{
    description::{Method, Type},
    json,
};

/// A longer signature has a line for each argument.
const LINE_MAX: usize = 78;

/// `async fn log_in(&self, name: String) -> Result<MemberClient, ChatError>`
pub(super) fn rust(method: &Method) -> String {
    let mut arguments = vec!["&self".to_owned()];
    arguments.extend(
        method.arguments.iter().map(|argument| format!("{}: {}", argument.name, argument.value.rust)),
    );
    let result = match &method.error {
        Some(error) => format!(" -> Result<{}, {}>", method.result.rust, error.rust),
        None if method.result.ty == Type::Unit => String::new(),
        None => format!(" -> {}", method.result.rust),
    };
    arranged(&format!("async fn {}", method.trait_name()), &arguments, &result)
}

/// `log_in(name: string): Promise<Member>`
pub(super) fn typescript(atlas: &Atlas<'_>, method: &Method) -> String {
    let argument = |argument: &crate::description::Argument| {
        format!("{}: {}", argument.name, typescript_type(atlas, &argument.value.ty))
    };
    let arguments: Vec<String> = method.arguments.iter().map(argument).collect();
    let result = match (&method.result.ty, method.oneway) {
        (_, true) => "void".to_owned(),
        (Type::Unit, false) => "Promise<void>".to_owned(),
        (ty, false) => format!("Promise<{}>", typescript_type(atlas, ty)),
    };
    arranged(method.trait_name(), &arguments, &format!(": {result}"))
}

/// The same type in TypeScript.
pub(super) fn typescript_type(atlas: &Atlas<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| typescript_type(atlas, ty);
    match ty {
        Type::Bool => "boolean".into(),
        Type::I8 | Type::I16 | Type::I32 | Type::U8 | Type::U16 | Type::U32 | Type::F32 | Type::F64 => {
            "number".into()
        }
        Type::I64 | Type::I128 | Type::U64 | Type::U128 => "number | bigint".into(),
        Type::Char | Type::String => "string".into(),
        Type::Bytes => "Uint8Array".into(),
        Type::Unit => "null".into(),
        Type::Ref(name) => name.replace("::", "_"),
        Type::Object(name) => {
            atlas.service(name).map_or(name.as_str(), |(_, service)| service.trait_name()).to_owned()
        }
        Type::Stream { item, .. } => format!("AsyncIterable<{}>", inner(item)),
        Type::Option(element) => format!("{} | null", inner(element)),
        Type::List(element) | Type::Array { element, .. } => match inner(element) {
            element if element.contains(' ') => format!("({element})[]"),
            element => format!("{element}[]"),
        },
        Type::Map { key, value } => match json::keys(atlas.description, key) {
            json::Keys::Object => format!("Record<string, {}>", inner(value)),
            json::Keys::Pairs => format!("[{}, {}][]", inner(key), inner(value)),
        },
        Type::Tuple(elements) => format!("[{}]", elements.iter().map(inner).collect::<Vec<_>>().join(", ")),
        Type::Result { ok, error } => format!("{{ Ok: {} }} | {{ Err: {} }}", inner(ok), inner(error)),
        Type::Unknown(_) => "unknown".into(),
    }
}

fn arranged(start: &str, arguments: &[String], end: &str) -> String {
    let line = format!("{start}({}){end}", arguments.join(", "));
    if line.chars().count() <= LINE_MAX {
        return line;
    }
    format!("{start}(\n    {},\n){end}", arguments.join(",\n    "))
}
