//! `#[rpc]`: takes a trait and generates the trait, its client, its server and its descriptor.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Item;

use crate::{
    attributes::{Level, Options, Runtime},
    client,
    errors::Errors,
    model::Service,
    server, trait_,
};

mod misplaced;

pub(crate) fn expand(runtime: Runtime, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item_trait = match errors.keep(syn::parse2(item)) {
        Some(Item::Trait(item_trait)) => item_trait,
        Some(mut other) => {
            let message = misplaced::report(&mut other, &mut errors);
            errors.push_syntax(syn::Error::new(Span::call_site(), message));
            return quote!(#errors #other);
        }
        None => return quote!(#errors),
    };
    let mut options = Options::of(runtime);
    options.read(Level::Trait, arguments, &mut errors);
    let service = Service::parse(options, item_trait, &mut errors);
    let trait_ = trait_::render(&service);
    if !service.is_plain() {
        return quote!(#errors #trait_);
    }
    let client = client::render(&service);
    let server = server::render(&service);
    quote!(#errors #trait_ #client #server)
}
