//! Writes a method's signature as text. The pages colour it and link its words.

use crate::{
    description::{Method, Type},
    examples::rust_word,
};

/// The maximum length of a signature on one line; a longer one has a line for each argument.
const LINE_MAX: usize = 96;

/// The signature in Rust: `async fn log_in(&self, name: String) -> Result<MemberClient, ChatError>`.
pub(super) fn rust(method: &Method) -> String {
    let mut arguments = vec!["&self".to_owned()];
    arguments.extend(
        method
            .arguments
            .iter()
            .map(|argument| format!("{}: {}", rust_word(&argument.name), argument.value.rust)),
    );
    let result = match &method.error {
        Some(error) => format!(" -> Result<{}, {}>", method.result.rust, error.rust),
        None if method.result.ty == Type::Unit => String::new(),
        None => format!(" -> {}", method.result.rust),
    };
    arranged(&format!("async fn {}", rust_word(method.trait_name())), &arguments, &result)
}

fn arranged(start: &str, arguments: &[String], end: &str) -> String {
    let line = format!("{start}({}){end}", arguments.join(", "));
    if line.chars().count() <= LINE_MAX {
        return line;
    }
    format!("{start}(\n    {},\n){end}", arguments.join(",\n    "))
}
