//! Tokens as a person would write them: `Vec < u8 >` becomes `Vec<u8>`. For the type names in descriptors.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The text of a type or path.
pub(crate) fn readable(tokens: impl ToTokens) -> String {
    let mut text = String::new();
    write(tokens.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut after_joint = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) => write_word(&word.to_string(), text),
            TokenTree::Literal(literal) => write_word(&literal.to_string(), text),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{ ", " }"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                let joint = punct.spacing() == Spacing::Joint;
                let arrow = after_joint && punct.as_char() == '>' && text.ends_with(" -");
                // A trailing comma, as in `(u8,)`, needs no space.
                let last = tokens.peek().is_none();
                match punct.as_char() {
                    ',' | ';' if !last => text.extend([punct.as_char(), ' ']),
                    ':' if !joint && !after_joint => text.push_str(": "),
                    '=' | '+' => text.extend([' ', punct.as_char(), ' ']),
                    '-' if joint => text.push_str(" -"),
                    '>' if arrow => text.push_str("> "),
                    other => text.push(other),
                }
                after_joint = joint;
                continue;
            }
        }
        after_joint = false;
    }
}

/// Words in a row need a space, `dyn Trait`, and so does one after generics, `<Vec<u8> as IntoIterator>`.
fn write_word(word: &str, text: &mut String) {
    if text.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == '>') {
        text.push(' ');
    }
    text.push_str(word);
}
