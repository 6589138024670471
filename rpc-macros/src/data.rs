//! `#[data]`: the derives of a type that travels.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Item, Meta, Path, Token, punctuated::Punctuated};

use crate::{
    attributes::{Level, Options, Runtime},
    errors::Errors,
    text::readable,
};

mod refused;

/// Input: `#[data] #[derive(Debug)] struct User { … }`
/// Output:
/// ```text
/// #[derive(::rpc_core::Pipeline, ::rpc_core::__private::serde::Serialize, ::rpc_core::__private::serde::Deserialize)]
/// #[serde(crate = "::rpc_core::__private::serde")]
/// #[derive(Debug)]
/// struct User { … }
/// ```
/// Where `rpc_core` has another path, also `#[pipeline(crate = path)]`.
pub(crate) fn expand(runtime: Runtime, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut options = Options::of(runtime);
    options.read(Level::Type, arguments, &mut errors);
    let Some(mut item) = errors.keep(syn::parse2::<Item>(item)) else { return quote!(#errors) };
    if refused::report(&mut item, &mut errors) {
        let stand_ins = refused::render(&options.runtime, &item);
        return quote!(#errors #item #stand_ins);
    }
    let attributes = match &item {
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        other => {
            let message = "`#[data]` goes on a struct or an enum";
            errors.push_syntax(syn::Error::new(Span::call_site(), message));
            return quote!(#errors #other);
        }
    };
    let runtime = &options.runtime;
    let serde = runtime.private();
    let serde = quote!(#serde::serde);
    let derives = [
        // First, so that its message about a field comes before serde's.
        ("Pipeline", quote!(#runtime::Pipeline)),
        ("Serialize", quote!(#serde::Serialize)),
        ("Deserialize", quote!(#serde::Deserialize)),
    ];
    let mut wanted = derives.to_vec();
    wanted.retain(|(name, _)| !is_derived(attributes, name, &mut errors));
    let wanted = wanted.iter().map(|(_, derive)| derive);
    let serde_path = readable(&serde);
    let serde_crate = (!names_serde(attributes)).then(|| quote!(#[serde(crate = #serde_path)]));
    let pipeline_crate = runtime.is_renamed().then(|| quote!(#[pipeline(crate = #runtime)]));
    quote! {
        #errors
        #[derive(#(#wanted),*)]
        #serde_crate
        #pipeline_crate
        #item
    }
}

/// Whether the user derives this trait too. Reports it, because two implementations would conflict.
fn is_derived(attributes: &[Attribute], name: &str, errors: &mut Errors) -> bool {
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let Ok(derives) = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated) else {
            continue;
        };
        for derive in
            derives.iter().filter(|path| path.segments.last().is_some_and(|last| last.ident == name))
        {
            errors.push(derive, format_args!("`#[data]` derives `{name}`; remove it here"));
            found = true;
        }
    }
    found
}

/// Whether the user gives the path of serde with `#[serde(crate = …)]`.
fn names_serde(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).any(|attribute| {
        let options = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        options.is_ok_and(|options| options.iter().any(|option| option.path().is_ident("crate")))
    })
}
