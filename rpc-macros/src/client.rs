//! Writes the client: a struct whose methods queue calls and return promises.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, ext::IdentExt};

use crate::{
    attributes::{self, Repeat},
    descriptor,
    model::{Method, Number, Service},
};

/// Input: `#[rpc] pub trait Chat { async fn count(&self) -> u64; }`
/// Output:
/// ```text
/// pub struct ChatClient { stub: Stub }
/// impl ChatClient {
///     pub fn count(&self) -> Promise<u64, Never> { … }
///     pub fn deadline(&self, limit: Duration) -> Self { … }
///     pub fn metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Self { … }
/// }
/// impl Clone for ChatClient { … }
/// impl Debug for ChatClient { … }
/// impl ServiceClient for ChatClient { fn descriptor() … fn from_stub(…) … fn stub(&self) … }
/// ```
pub(crate) fn render(service: &Service) -> TokenStream {
    let Service { runtime, visibility, ident, .. } = service;
    let private = runtime.private();
    let client = service.named("Client");
    let client_name = client.to_string();
    let stub = Ident::new("stub", Span::mixed_site());
    let conditions = service.conditions();
    let surface = attributes::repeated(&service.attributes, Repeat::Surface);
    let lints = attributes::repeated(&service.attributes, Repeat::Lints);
    let methods = service.numbered_methods().map(|(number, method)| render_method(service, method, &number));
    let options = render_options(service);
    let descriptor = descriptor::render(service);
    let docs = (!attributes::has_docs(&service.attributes)).then(|| {
        let text = format!("A client of [`{}`].", ident.unraw());
        quote!(#[doc = #text])
    });
    quote! {
        #(#surface)*
        #docs
        #visibility struct #client {
            stub: #private::Stub,
        }

        #(#lints)*
        #[allow(deprecated, clippy::too_many_arguments)]
        impl #client {
            #(#methods)*
            #options
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Clone for #client {
            fn clone(&self) -> Self {
                Self { stub: #private::Clone::clone(&self.stub) }
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Debug for #client {
            fn fmt(&self, formatter: &mut #private::fmt::Formatter<'_>) -> #private::fmt::Result {
                #private::fmt::Formatter::debug_tuple(formatter, #client_name).field(&self.stub).finish()
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::ServiceClient for #client {
            #descriptor

            fn from_stub(#stub: #private::Stub) -> Self {
                Self { stub: #stub }
            }

            fn stub(&self) -> &#private::Stub {
                &self.stub
            }
        }
    }
}

/// Input: `async fn find(&self, name: String) -> Result<User, ChatError>;`
/// Output:
/// ```text
/// pub fn find(&self, name: impl IntoArg<String>) -> Promise<User, ChatError> {
///     let mut call = Stub::begin(&self.stub, 0u32);
///     CallBuilder::argument::<String>(&mut call, name);
///     CallBuilder::send::<User, ChatError>(call)
/// }
/// ```
fn render_method(service: &Service, method: &Method, number: &Number) -> TokenStream {
    let Service { runtime, visibility, .. } = service;
    let private = runtime.private();
    let ident = &method.ident;
    let surface = attributes::repeated(&method.attributes, Repeat::Surface);
    // The trait's own method is where documentation is missing.
    let undocumented = (!attributes::has_docs(&surface)).then(|| quote!(#[allow(missing_docs)]));
    let call = Ident::new("call", Span::mixed_site());
    let mutability = method.arguments().next().map(|_| quote!(mut));
    let names: Vec<&Ident> = method.arguments().map(|argument| &argument.ident).collect();
    let parameters = method.arguments().map(|argument| {
        let (ident, ty) = (&argument.ident, &argument.ty);
        let runtime = runtime.at(ident.span());
        let bound = quote_spanned!(ident.span()=> impl #runtime::IntoArg<#ty>);
        quote!(#ident: #bound)
    });
    let types = method.arguments().map(|argument| &argument.ty);
    let (result, send) = if method.oneway {
        (quote!(#private::Result<(), #runtime::NotSent>), quote!(send_oneway))
    } else {
        let value = &method.output.value;
        let error = error_type(service, method);
        (quote!(#runtime::Promise<#value, #error>), quote!(send::<#value, #error>))
    };
    let number = number.render();
    quote! {
        #(#surface)*
        #undocumented
        #visibility fn #ident(&self, #(#parameters),*) -> #result {
            let #mutability #call = #private::Stub::begin(&self.stub, #number);
            #(#private::CallBuilder::argument::<#types>(&mut #call, #names);)*
            #private::CallBuilder::#send(#call)
        }
    }
}

/// The `E` of the method's promise.
pub(crate) fn error_type(service: &Service, method: &Method) -> TokenStream {
    let runtime = &service.runtime;
    method.output.error.as_ref().map_or_else(|| quote!(#runtime::Never), |error| quote!(#error))
}

/// The options of a call, as methods of the client itself: callers need no trait in scope. A method of the user's trait
/// of that name wins; the option is then the `ServiceClient` trait's.
fn render_options(service: &Service) -> TokenStream {
    let Service { runtime, visibility, .. } = service;
    let private = runtime.private();
    let (limit, key, value) = (
        Ident::new("limit", Span::mixed_site()),
        Ident::new("key", Span::mixed_site()),
        Ident::new("value", Span::mixed_site()),
    );
    let is_free = |name: &str| service.methods().all(|method| method.ident.unraw() != name);
    let deadline = is_free("deadline").then(|| {
        quote! {
            /// The same client, whose calls must return within `limit`.
            ///
            /// The deadline travels with each call and is inherited by calls built on its result and by calls its
            /// handler makes.
            #[allow(dead_code)]
            #visibility fn deadline(&self, #limit: #private::Duration) -> Self {
                #runtime::ServiceClient::deadline(self, #limit)
            }
        }
    });
    let metadata = is_free("metadata").then(|| {
        quote! {
            /// The same client, whose calls carry this key and value beside their arguments.
            #[allow(dead_code)]
            #visibility fn metadata(
                &self,
                #key: impl #private::Into<#private::String>,
                #value: impl #private::Into<#private::String>,
            ) -> Self {
                #runtime::ServiceClient::metadata(self, #key, #value)
            }
        }
    });
    quote!(#deadline #metadata)
}
