//! Attributes: the options in `#[rpc(…)]`, and the attributes of Rust that generated items repeat.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Token, ext::IdentExt, parse::Parser,
    parse_quote, punctuated::Punctuated,
};

use crate::errors::Errors;

mod docs;

/// The kind of item that an attribute stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Trait,
    Method,
    Parameter,
    /// `#[data(…)]` and `#[pipeline(…)]`.
    Type,
}

impl Level {
    const RPC: [Self; 3] = [Self::Trait, Self::Method, Self::Parameter];

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Trait => &["name", "ordered", "crate"],
            Self::Method => &["name", "idempotent", "oneway", "blocking", "no_cancel", "batch"],
            Self::Parameter => &["context"],
            Self::Type => &["crate"],
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Trait => "a trait",
            Self::Method => "a method",
            Self::Parameter => "a parameter",
            Self::Type => "a type",
        }
    }

    fn takes(self) -> String {
        let options: Vec<String> =
            self.options().iter().map(|option| format!("`{}`", usage(option))).collect();
        format!("{} takes {}", self.noun(), options.join(", "))
    }
}

/// The syntax of an option, for error messages.
fn usage(option: &str) -> &str {
    match option {
        "name" => "name = \"…\"",
        "crate" => "crate = path::to::rpc_core",
        "batch" => "batch = \"another_method\"",
        word => word,
    }
}

/// The options that one trait, method, parameter or type was given.
#[derive(Default)]
pub(crate) struct Options {
    /// The wire name, with its token.
    pub(crate) name: Option<LitStr>,
    /// The name of the batch method, with its token.
    pub(crate) batch: Option<LitStr>,
    pub(crate) runtime: Runtime,
    seen: Vec<String>,
}

impl Options {
    /// No options yet. Generated code finds `rpc_core` under this path, unless an option gives another.
    pub(crate) fn of(runtime: Runtime) -> Self {
        Self { runtime, ..Self::default() }
    }

    /// Whether this option was given.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.seen.iter().any(|seen| seen == option)
    }

    /// Reads the tokens between the parentheses.
    pub(crate) fn read(&mut self, level: Level, tokens: TokenStream, errors: &mut Errors) {
        let options = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens);
        let options = options.map_err(|error| {
            let text = format!(
                "{error}; options are separated by commas, and one with a value has a `=`: {}",
                level.takes()
            );
            syn::Error::new(error.span(), text)
        });
        for option in errors.keep(options).into_iter().flatten() {
            self.read_one(level, &option, errors);
        }
    }

    fn read_one(&mut self, level: Level, option: &Meta, errors: &mut Errors) {
        let path = option.path();
        let key = path.get_ident().map_or_else(|| quote!(#path).to_string(), ToString::to_string);
        if !level.options().contains(&key.as_str()) {
            return errors.push(option, misplaced(level, &key));
        }
        if self.has(&key) {
            return errors.push(option, format_args!("`{key}` is given twice; remove one of them"));
        }
        match (key.as_str(), option) {
            ("name", Meta::NameValue(pair)) => self.name = wire_name(&pair.value, errors),
            ("crate", Meta::NameValue(pair)) => self.runtime.set(&pair.value, errors),
            ("batch", Meta::NameValue(pair)) => self.batch = method_name(&pair.value, errors),
            ("name" | "crate" | "batch", _) => errors.push(option, format_args!("write `{}`", usage(&key))),
            (_, Meta::Path(_)) => {}
            (word, _) => errors.push(option, format_args!("`{word}` takes no value; write `{word}` alone")),
        }
        self.seen.push(key);
    }
}

fn misplaced(level: Level, key: &str) -> String {
    let elsewhere =
        Level::RPC.into_iter().filter(|other| level != Level::Type && other.options().contains(&key));
    let elsewhere: Vec<&str> = elsewhere.map(Level::noun).collect();
    if let Some(advice) = advice(level, key) {
        format!("there is no option `{key}`: {advice}")
    } else if elsewhere.is_empty() {
        format!("there is no option `{key}`; {}", level.takes())
    } else {
        format!("`{key}` belongs on {}; {}", elsewhere.join(" or "), level.takes())
    }
}

/// The advice to somebody who knows the option from elsewhere.
fn advice(level: Level, key: &str) -> Option<&'static str> {
    Some(match (level, key) {
        (Level::Trait, "server" | "client") => "every trait gets a client and a server; remove it",
        (Level::Trait, "namespace") => "write `name = \"…\"`",
        (Level::Method, "timeout" | "deadline") => "callers set it with `client.deadline(…)`; remove it",
        (Level::Method, "stream" | "streaming" | "subscription" | "subscribe") => {
            "a method that returns `Streaming<T>` is a subscription; remove it"
        }
        (Level::Method, "retry" | "retries") => "write `idempotent`, which says that callers may retry",
        (Level::Method, "notification" | "notify") => "write `oneway`",
        (
            Level::Type,
            "rename"
            | "rename_all"
            | "rename_all_fields"
            | "deny_unknown_fields"
            | "default"
            | "transparent"
            | "bound",
        ) => "it is serde's; write `#[serde(…)]` below `#[data]`",
        _ => return None,
    })
}

fn wire_name(value: &Expr, errors: &mut Errors) -> Option<LitStr> {
    let Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) = value else {
        errors.push(value, "the name on the wire is a string, like `name = \"chat\"`");
        return None;
    };
    if name.value().is_empty() {
        errors.push(name, "the name on the wire must not be empty; leave `name` out to use the Rust name");
        return None;
    }
    Some(name.clone())
}

fn method_name(value: &Expr, errors: &mut Errors) -> Option<LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if name.parse_with(Ident::parse_any).is_ok() => {
            Some(name.clone())
        }
        _ => {
            errors.push(value, "name a method of this trait, like `batch = \"profiles\"`");
            None
        }
    }
}

/// The path of `rpc_core` in generated code.
#[derive(Clone, Default)]
pub(crate) enum Runtime {
    /// The user's crate depends on `rpc-core`.
    #[default]
    Core,
    /// The user's crate depends on `rpc-client` or `rpc-server` and took the macro from there.
    Client,
    Server,
    /// The path that the user gave with `crate = …`.
    Given(Path),
}

impl Runtime {
    fn set(&mut self, value: &Expr, errors: &mut Errors) {
        let path = match value {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                errors.keep(text.parse_with(Path::parse_mod_style))
            }
            other => {
                errors.push(other, "write a path, like `crate = my_crate::rpc_core`");
                None
            }
        };
        if let Some(path) = path {
            *self = Self::Given(path);
        }
    }

    /// Whether other macros, whose default is `::rpc_core`, must be told the path.
    pub(crate) fn is_renamed(&self) -> bool {
        !matches!(self, Self::Core)
    }

    /// The path with the location of `span`, so that rustc's messages about it point there.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        let relocated = self.to_token_stream().into_iter().map(|mut token| {
            token.set_span(token.span().located_at(span));
            token
        });
        relocated.collect()
    }

    /// The module of items that only generated code names.
    pub(crate) fn private(&self) -> TokenStream {
        quote!(#self::__private)
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Core => tokens.extend(quote!(::rpc_core)),
            Self::Client => tokens.extend(quote!(::rpc_client::rpc_core)),
            Self::Server => tokens.extend(quote!(::rpc_server::rpc_core)),
            Self::Given(path) => path.to_tokens(tokens),
        }
    }
}

/// Takes the `#[rpc(…)]` attributes out of `attributes` and reads them.
pub(crate) fn take_rpc(attributes: &mut Vec<Attribute>, level: Level, errors: &mut Errors) -> Options {
    let mut options = Options::default();
    if level == Level::Method {
        take_foreign(attributes, errors);
    }
    attributes.retain(|attribute| {
        if !is_rpc(attribute) {
            return true;
        }
        match &attribute.meta {
            Meta::List(list) => options.read(level, list.tokens.clone(), errors),
            other => errors.push(
                other,
                format_args!(
                    "remove `#[rpc]` here, it stands on the trait; or write `#[rpc(…)]` with an option: {}",
                    level.takes()
                ),
            ),
        }
        false
    });
    options
}

/// Removes the attributes of other frameworks, and reports each.
pub(crate) fn take_foreign(attributes: &mut Vec<Attribute>, errors: &mut Errors) {
    attributes.retain(|attribute| {
        let advice = foreign(attribute);
        if let Some(advice) = advice {
            errors.push(attribute, advice);
        }
        advice.is_none()
    });
}

/// The advice to somebody who knows the attribute from another framework.
fn foreign(attribute: &Attribute) -> Option<&'static str> {
    let last = attribute.path().segments.last()?;
    let has_name = || match &attribute.meta {
        Meta::List(list) => {
            list.tokens.clone().into_iter().next().is_some_and(|first| first.to_string() == "name")
        }
        _ => false,
    };
    match last.ident.to_string().as_str() {
        "async_trait" => Some(ASYNC_TRAIT),
        "method" if has_name() => {
            Some("every method is remote; remove the attribute, or write `#[rpc(name = \"…\")]`")
        }
        "subscription" if has_name() => {
            Some("a method that returns `Streaming<T>` is a subscription; remove the attribute")
        }
        _ => None,
    }
}

/// The advice about `#[async_trait]`, on the trait or as what it makes of methods.
pub(crate) const ASYNC_TRAIT: &str =
    "the trait and its implementations are plain `async fn`s; remove `#[async_trait]` from both";

/// Whether the attribute is `#[rpc]` or `#[path::to::rpc]`.
fn is_rpc(attribute: &Attribute) -> bool {
    let segments = &attribute.path().segments;
    segments.last().is_some_and(|last| last.ident == "rpc")
        && segments.iter().all(|segment| segment.arguments.is_none())
}

/// The attributes of Rust that a generated item repeats from the user's item. Each level includes the ones before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Repeat {
    /// Conditions on the item's existence: `cfg`.
    Conditions,
    /// Also the levels of lints.
    Lints,
    /// Also docs and deprecation, which users of the item see.
    Surface,
}

/// The attributes among these that a generated item repeats.
pub(crate) fn repeated(attributes: &[Attribute], repeat: Repeat) -> Vec<Attribute> {
    let metas = attributes.iter().filter_map(|attribute| repeated_meta(&attribute.meta, repeat));
    metas.map(|meta| parse_quote!(#[#meta])).collect()
}

/// Whether the attribute decides if its item exists.
pub(crate) fn is_condition(attribute: &Attribute) -> bool {
    repeated_meta(&attribute.meta, Repeat::Conditions).is_some()
}

fn repeated_meta(meta: &Meta, repeat: Repeat) -> Option<Meta> {
    match meta.path().get_ident()?.to_string().as_str() {
        "cfg" => Some(meta.clone()),
        "cfg_attr" => repeated_conditionally(meta, repeat),
        "allow" | "warn" | "deny" | "forbid" if repeat >= Repeat::Lints => Some(meta.clone()),
        // An unfulfilled expectation on the generated item would be a warning.
        "expect" if repeat >= Repeat::Lints => {
            let lints = &meta.require_list().ok()?.tokens;
            Some(parse_quote!(allow(#lints)))
        }
        "doc" | "deprecated" if repeat >= Repeat::Surface => Some(meta.clone()),
        _ => None,
    }
}

/// Input: `cfg_attr(feature = "x", doc = "…", inline)`. Output: `cfg_attr(feature = "x", doc = "…")`.
fn repeated_conditionally(meta: &Meta, repeat: Repeat) -> Option<Meta> {
    let list = meta.require_list().ok()?;
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
    let mut parts = parts.iter();
    let condition = parts.next()?;
    let kept: Vec<Meta> = parts.filter_map(|part| repeated_meta(part, repeat)).collect();
    (!kept.is_empty()).then(|| parse_quote!(cfg_attr(#condition, #(#kept),*)))
}

/// Whether the item is `#[doc(hidden)]`.
pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .any(|attribute| attribute.parse_args::<Ident>().is_ok_and(|option| option == "hidden"))
}

/// Whether one of the attributes sets documentation text.
pub(crate) fn has_docs(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| matches!(&attribute.meta, Meta::NameValue(pair) if pair.path.is_ident("doc")))
}

/// Input: `/// Finds.`, `#[doc = include_str!("find.md")]`.
/// Output: `"Finds."` if all is literal, else `::core::concat!("Finds.", "\n", include_str!("find.md"))`.
pub(crate) fn docs_text(attributes: &[Attribute]) -> TokenStream {
    let docs = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(&pair.value),
        _ => None,
    });
    let mut parts: Vec<TokenStream> = Vec::new();
    let mut comment = String::new();
    let end = |comment: &mut String, parts: &mut Vec<TokenStream>| {
        if !comment.is_empty() {
            let text = docs::comment(comment);
            parts.push(quote!(#text));
            comment.clear();
        }
    };
    for doc in docs {
        match doc {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => {
                comment.push_str(&docs::without_stars(&line.value()));
                comment.push('\n');
            }
            other => {
                end(&mut comment, &mut parts);
                parts.push(other.to_token_stream());
            }
        }
    }
    let is_literal = parts.is_empty();
    end(&mut comment, &mut parts);
    match &parts[..] {
        [] => quote!(""),
        [literal] if is_literal => literal.clone(),
        [first, others @ ..] => quote!(::core::concat!(#first #(, "\n", #others)*)),
    }
}

/// The note of `#[deprecated]`, empty if it has none.
pub(crate) fn deprecation(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("deprecated"))?;
    let note = match &attribute.meta {
        Meta::NameValue(pair) => string(&pair.value),
        Meta::Path(_) => None,
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            parts.iter().find_map(|part| match part {
                Meta::NameValue(pair) if pair.path.is_ident("note") => string(&pair.value),
                _ => None,
            })
        }
    };
    Some(note.unwrap_or_default())
}

fn string(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
