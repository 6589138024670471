//! Writes the server: a struct around an implementation of the trait that answers calls with it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, ext::IdentExt, spanned::Spanned};

use crate::{
    client,
    model::{Method, Number, ParameterKind, Service},
};

/// Input: `#[rpc] pub trait Chat { async fn count(&self) -> u64; }`
/// Output:
/// ```text
/// pub struct ChatServer<__Implementation>(Arc<__Implementation>);
/// impl<__Implementation: Chat> ChatServer<__Implementation> { pub fn new(…) … pub fn from_arc(…) … }
/// impl<__Implementation> Clone for ChatServer<__Implementation> { … }
/// impl<__Implementation: Chat> Service for ChatServer<__Implementation> {
///     fn descriptor(&self) -> &'static ServiceDescriptor { … }
///     fn dispatch(&self, method: u32, incoming: Incoming) -> Reply {
///         let implementation = Arc::clone(&self.0);
///         match method {
///             0u32 => …,
///             _ => Incoming::unknown_method(incoming),
///         }
///     }
/// }
/// ```
pub(crate) fn render(service: &Service) -> TokenStream {
    let Service { runtime, visibility, ident, .. } = service;
    let private = runtime.private();
    let server = service.named("Server");
    let client = service.named("Client");
    let conditions = service.conditions();
    let docs = format!("Answers calls of [`{}`] with an implementation of it.", ident.unraw());
    let names = Names::new();
    let Names { implementation, incoming, method, .. } = &names;
    let arms =
        service.numbered_methods().map(|(number, method)| render_arm(service, method, &number, &names));
    quote! {
        #(#conditions)*
        #[doc = #docs]
        #[allow(deprecated)]
        #visibility struct #server<__Implementation>(#private::Arc<__Implementation>);

        #(#conditions)*
        #[allow(deprecated)]
        impl<__Implementation: #ident> #server<__Implementation> {
            /// Answers with this implementation.
            #[allow(dead_code)]
            #visibility fn new(#implementation: __Implementation) -> Self {
                Self(#private::Arc::new(#implementation))
            }

            /// Answers with this implementation, which its owner goes on using.
            #[allow(dead_code)]
            #visibility fn from_arc(#implementation: #private::Arc<__Implementation>) -> Self {
                Self(#implementation)
            }

            /// As an object of its own: a client that can be passed to the peer, which calls it back.
            #[allow(dead_code)]
            #visibility fn into_client(self) -> #client {
                #client { stub: #private::Stub::of_service(#private::Arc::new(self)) }
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__Implementation> #private::Clone for #server<__Implementation> {
            fn clone(&self) -> Self {
                Self(#private::Arc::clone(&self.0))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated, unused_variables)]
        impl<__Implementation: #ident> #runtime::Service for #server<__Implementation> {
            fn descriptor(&self) -> &'static #runtime::ServiceDescriptor {
                <#client as #runtime::ServiceClient>::descriptor()
            }

            fn dispatch(&self, #method: #private::u32, #incoming: #private::Incoming) -> #private::Reply {
                let #implementation = #private::Arc::clone(&self.0);
                match #method {
                    #(#arms)*
                    _ => #private::Incoming::unknown_method(#incoming),
                }
            }
        }
    }
}

/// The locals of `dispatch`; arguments cannot meet them.
struct Names {
    implementation: Ident,
    incoming: Ident,
    method: Ident,
    reader: Ident,
    context: Ident,
}

impl Names {
    fn new() -> Self {
        let local = |name| Ident::new(name, Span::mixed_site());
        Self {
            implementation: local("implementation"),
            incoming: local("incoming"),
            method: local("method"),
            reader: local("reader"),
            context: local("context"),
        }
    }
}

/// Input: `async fn who(&self, #[rpc(context)] cx: Context, verbose: bool) -> u64;`
/// Output:
/// ```text
/// 0u32 => Incoming::run_with_context::<_, u64, Never, _>(
///     incoming,
///     |reader: &mut ArgumentReader<'_>| Result::Ok((ArgumentReader::take::<bool>(reader)?,)),
///     move |(value_0,), context| async move {
///         Result::Ok(<__Implementation as Chat>::who(&*implementation, context, value_0).await)
///     },
/// ),
/// ```
/// The types are named so that rustc points at them if they cannot travel. Without a context it is `Incoming::run`; a method that returns a `Result` is awaited as it is. After a conditional
/// method the pattern is `number if number == { … }`.
fn render_arm(service: &Service, method: &Method, number: &Number, names: &Names) -> TokenStream {
    let private = service.runtime.private();
    let Names { incoming, reader, context, .. } = names;
    let conditions = method.conditions();
    let pattern = render_pattern(number);
    let value_type = &method.output.value;
    let error_type = client::error_type(service, method);
    let types = method.arguments().map(|argument| &argument.ty);
    let values = (0..method.arguments().count()).map(value);
    let handler = render_handler(service, method, names);
    let takes_context = method.parameters.iter().any(|parameter| parameter.kind != ParameterKind::Argument);
    let (run, context) = match takes_context {
        false => (quote!(run), None),
        true => (quote!(run_with_context), Some(quote!(, #context))),
    };
    quote! {
        #(#conditions)*
        #pattern => #private::Incoming::#run::<_, #value_type, #error_type, _>(
            #incoming,
            |#reader: &mut #private::ArgumentReader<'_>| {
                #private::Result::Ok((#(#private::ArgumentReader::take::<#types>(#reader)?,)*))
            },
            move |(#(#values,)*) #context| #handler,
        ),
    }
}

fn render_pattern(number: &Number) -> TokenStream {
    let rendered = number.render();
    if number.is_literal() {
        return rendered;
    }
    let candidate = Ident::new("candidate", Span::mixed_site());
    quote!(#candidate if #candidate == #rendered)
}

/// The future that runs the method; see [`render_arm`].
fn render_handler(service: &Service, method: &Method, names: &Names) -> TokenStream {
    let Service { ident, .. } = service;
    let private = service.runtime.private();
    let Names { implementation, context, .. } = names;
    let mut index = 0;
    let passed = method.parameters.iter().map(|parameter| match parameter.kind {
        ParameterKind::Argument => {
            let value = value(index);
            index += 1;
            quote!(#value)
        }
        // A context of another type than the runtime's is reported at the parameter.
        ParameterKind::Context => {
            let context = Ident::new(&context.to_string(), context.span().located_at(parameter.ty.span()));
            quote!(#context)
        }
        ParameterKind::ContextReference => {
            let span = parameter.ty.span();
            let context = Ident::new(&context.to_string(), context.span().located_at(span));
            quote_spanned!(span=> &#context)
        }
    });
    let method_ident = &method.ident;
    let call = quote!(<__Implementation as #ident>::#method_ident(&*#implementation, #(#passed),*).await);
    let result = match method.output.error {
        Some(_) => call,
        None => quote!(#private::Result::Ok(#call)),
    };
    quote!(async move { #result })
}

/// A decoded argument. The user's names would do, but a constant of that name would turn them into patterns.
fn value(index: usize) -> Ident {
    Ident::new(&format!("value_{index}"), Span::mixed_site())
}
