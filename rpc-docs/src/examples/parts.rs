//! Writes paths into results in both languages, step by step through the types.

use crate::{
    description::{Description, PathStep, Shape, Type},
    typescript::property,
};

/// A step into a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// `.presence()`
    pub(super) rust: String,
    /// `.presence`
    pub(super) typescript: String,
    /// Whether the step leads to each element of a list. Outside a map it is written as the first element.
    pub(super) is_element: bool,
}

/// The steps of a path into a value of this type; `None` if the path does not fit the type or cannot be written.
pub(super) fn parts(description: &Description, ty: &Type, path: &[PathStep]) -> Option<Vec<Part>> {
    let mut at = ty;
    let mut parts = Vec::new();
    for step in path {
        let (part, next) = part(description, at, step)?;
        parts.push(part);
        at = next;
    }
    Some(parts)
}

fn part<'a>(description: &'a Description, ty: &'a Type, step: &PathStep) -> Option<(Part, &'a Type)> {
    let plain = |rust: String, typescript: String| Part { rust, typescript, is_element: false };
    let place = |index: usize| plain(format!("._{index}()"), format!("[{index}]"));
    let shape = match ty {
        Type::Ref(name) => Some(&description.definition(name)?.shape),
        _ => None,
    };
    match (step, ty, shape) {
        (PathStep::Some, Type::Option(inner), _) => Some((plain(".some()".into(), ".some".into()), inner)),
        (PathStep::Element, Type::List(inner), _) => {
            let part = Part { rust: ".index(0)".into(), typescript: ".at(0)".into(), is_element: true };
            Some((part, inner))
        }
        (PathStep::Index(index), Type::Tuple(elements), _)
        | (PathStep::Index(index), _, Some(Shape::Tuple(elements))) => {
            Some((place(*index), elements.get(*index)?))
        }
        // In JSON a newtype looks like the value in it.
        (PathStep::Index(0), _, Some(Shape::Newtype(inner))) => {
            Some((plain("._0()".into(), String::new()), inner))
        }
        (PathStep::Field(name), _, Some(Shape::Struct(fields))) if name != "then" => {
            let field = fields.iter().find(|field| field.name == *name)?;
            let rust = format!(".{}()", rust_word(field.rust_name.as_deref().unwrap_or(name)));
            let typescript = match property(name) {
                bare if bare == *name => format!(".{bare}"),
                quoted => format!("[{quoted}]"),
            };
            Some((plain(rust, typescript), &field.ty))
        }
        _ => None,
    }
}

/// Rust's keywords that can be raw identifiers.
const KEYWORDS: &str = "abstract as async await become box break const continue do dyn else enum extern false final fn for gen if \
    impl in let loop macro match mod move mut override priv pub ref return static struct trait true try type typeof unsafe \
    unsized use virtual where while yield";

/// The name of a method or field in Rust, as a raw identifier if it is a keyword.
pub(crate) fn rust_word(name: &str) -> String {
    if KEYWORDS.split_whitespace().any(|keyword| keyword == name) {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

/// Whether a name is a keyword of Rust. TypeScript's keywords are handled by its `Words`.
pub(super) fn is_keyword(name: &str) -> bool {
    ["self", "Self", "super", "crate"].contains(&name)
        || KEYWORDS.split_whitespace().any(|keyword| keyword == name)
}

/// A name in snake case: `UserId` is `user_id`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut before_is_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && before_is_lower {
            snake.push('_');
        }
        before_is_lower = letter.is_lowercase() || letter.is_ascii_digit();
        snake.extend(letter.to_lowercase());
    }
    snake
}
