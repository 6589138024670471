//! Renders the user's trait with `Send` futures, which rustc checks at every implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::model::{Item, Method, Service};

/// Input: `#[rpc] pub trait Chat: Debug { async fn count(&self) -> u64; }`
/// Output:
/// ```text
/// pub trait Chat: Debug + Send + Sync + 'static {
///     fn count(&self) -> impl Future<Output = u64> + Send;
/// }
/// ```
pub(crate) fn render(service: &Service) -> TokenStream {
    let Service { attributes, visibility, unsafety, ident, generics, supertraits, .. } = service;
    let runtime = service.runtime.at(ident.span());
    let bounds = quote_spanned! {ident.span()=>
        #runtime::__private::Send + #runtime::__private::Sync + 'static
    };
    let where_clause = &generics.where_clause;
    let supertraits = supertraits.iter();
    let items = service.items.iter().map(|item| match item {
        Item::Method(method) => render_method(service, method),
        Item::Refused(item) => quote!(#item),
    });
    quote! {
        #(#attributes)*
        #visibility #unsafety trait #ident #generics:
            #(#supertraits +)* #bounds
        #where_clause
        {
            #(#items)*
        }
    }
}

/// Input: `async fn find(&self, name: String) -> User;`
/// Output: `fn find(&self, name: String) -> impl Future<Output = User> + Send;`, the future at the span of `async`.
fn render_method(service: &Service, method: &Method) -> TokenStream {
    let Method { attributes, ident, async_span, receiver, parameters, output, .. } = method;
    let runtime = service.runtime.at(*async_span);
    // The batch method answers remote calls of this method; implementers may still call it directly.
    let unused = method.batch.as_ref().map(|_| quote!(#[allow(dead_code)]));
    let declared = &output.declared;
    let parameters = parameters.iter().map(|parameter| {
        let (attributes, ident, ty) = (&parameter.attributes, &parameter.ident, &parameter.ty);
        quote!(#(#attributes)* #ident: #ty)
    });
    let future = quote_spanned! {*async_span=>
        impl #runtime::__private::Future<Output = #declared> + #runtime::__private::Send
    };
    quote! {
        #(#attributes)*
        #unused
        fn #ident(#receiver, #(#parameters),*) -> #future;
    }
}
