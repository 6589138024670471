//! `#[derive(Pipeline)]`: a type in; the pipe of a promise of it out.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

mod model;
mod render;
mod serde;

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let piped = errors.keep(syn::parse2(item)).and_then(|input| model::Piped::parse(input, &mut errors));
    let pipe = piped.map(|piped| render::render(&piped));
    quote!(#errors #pipe)
}
