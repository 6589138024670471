//! `#[derive(Pipeline)]`: takes a type and generates the pipe of its promises.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::{attributes::Runtime, declaration, errors::Errors};

mod model;
mod render;
pub(crate) mod serde;

pub(crate) fn expand(runtime: Runtime, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(input) = errors.keep(syn::parse2::<DeriveInput>(item)) else { return quote!(#errors) };
    let piped = model::Piped::parse(runtime, input.clone(), &mut errors);
    let pipe = piped.map(|piped| {
        let declaration = declaration::render(&piped.runtime, &input);
        let pipe = render::render(&piped);
        quote!(#pipe #declaration)
    });
    quote!(#errors #pipe)
}
