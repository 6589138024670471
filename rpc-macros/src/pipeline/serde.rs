//! The options of `#[serde(…)]` that decide about positions on the wire.
//!
//! Only options that change the position or the bytes of a value matter here. serde itself handles names and reports mistakes in
//! its attributes.

use proc_macro2::TokenStream;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token, punctuated::Punctuated};

use crate::errors::Errors;

/// The options in the `#[serde(…)]` attributes of one container, variant or field.
pub(crate) struct SerdeOptions(Vec<Meta>);

impl SerdeOptions {
    pub(crate) fn read(attributes: &[Attribute]) -> Self {
        let lists = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
        let options = lists.filter_map(|attribute| {
            attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()
        });
        Self(options.flatten().collect())
    }

    /// Whether this option is given.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.find(option).is_some()
    }

    /// Whether serde leaves the field out when it writes, or refuses to write the variant.
    pub(crate) fn is_skipped(&self) -> bool {
        self.has("skip") || self.has("skip_serializing")
    }

    /// Whether the field's bytes differ from those of its type.
    pub(crate) fn is_opaque(&self) -> bool {
        ["with", "serialize_with", "deserialize_with"].into_iter().any(|option| self.has(option))
    }

    /// Reports options that make a type's layout differ from its declaration.
    pub(crate) fn check_container(&self, errors: &mut Errors) {
        for option in ["untagged", "tag", "content"] {
            self.refuse(option, errors, "values name their variant by number; remove it", "");
        }
        for option in ["from", "try_from", "into", "remote"] {
            let message = "the bytes are those of another type; await the promise and remove the `Pipeline` derive \
                           (instead of `#[data]`, derive serde's traits)";
            self.refuse(option, errors, message, "");
        }
    }

    /// Reports options that make a variant's number depend on the direction.
    pub(crate) fn check_variant(&self, errors: &mut Errors) {
        self.refuse("untagged", errors, "values name their variant by number; remove it", "");
        self.check_skipped_both_ways(errors);
    }

    /// Reports options that make a field's position depend on the value or the direction.
    pub(crate) fn check_field(&self, errors: &mut Errors) {
        let message = "fields are found by their position, which this would make depend on the value; remove it, and \
                       use an `Option` for what may be missing";
        self.refuse("skip_serializing_if", errors, message, "");
        self.refuse(
            "flatten",
            errors,
            "fields are found by their position in one struct; nest the struct instead",
            "",
        );
        self.check_skipped_both_ways(errors);
    }

    fn check_skipped_both_ways(&self, errors: &mut Errors) {
        let message = "what is written must be read; write `skip`, which does neither";
        self.refuse("skip_deserializing", errors, message, "skip_serializing");
    }

    fn refuse(&self, option: &str, errors: &mut Errors, message: &str, unless: &str) {
        if let Some(found) = self.find(option)
            && !self.has(unless)
        {
            errors.push(found, format_args!("promised values cannot have `serde({option})`: {message}"));
        }
    }

    /// The texts of all `option = "…"`.
    pub(crate) fn texts(&self, option: &str) -> Vec<String> {
        self.0.iter().filter(|meta| meta.path().is_ident(option)).filter_map(text).collect()
    }

    /// The text of `option = "…"` or `option(deserialize = "…")`.
    pub(crate) fn read_name(&self, option: &str) -> Option<String> {
        let mut given = self.0.iter().filter(|meta| meta.path().is_ident(option));
        given.find_map(|meta| match meta {
            Meta::List(list) => {
                let sides = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
                sides.iter().find(|side| side.path().is_ident("deserialize")).and_then(text)
            }
            Meta::NameValue(_) | Meta::Path(_) => text(meta),
        })
    }

    fn find(&self, option: &str) -> Option<&Meta> {
        self.0.iter().find(|meta| meta.path().is_ident(option))
    }

    /// The tokens of `skip` or `skip_serializing`.
    pub(crate) fn skip_tokens(&self) -> TokenStream {
        let found = self.find("skip").or_else(|| self.find("skip_serializing"));
        quote::quote!(#found)
    }
}

/// The text in `option = "…"`.
fn text(meta: &Meta) -> Option<String> {
    let Meta::NameValue(pair) = meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
