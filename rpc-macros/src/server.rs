//! Renders the server: a struct around an implementation of the trait, which answers calls.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Ident, ext::IdentExt, spanned::Spanned};

use crate::{
    attributes,
    batch::{Answers, Batch},
    client,
    model::{Method, Number, ParameterKind, Service},
    names::local,
    travel,
};

/// Input: `#[rpc] pub trait Chat { async fn count(&self) -> u64; }`
/// Output:
/// ```text
/// pub struct ChatServer<Implementation>(Arc<Implementation>);
/// impl<Implementation> ChatServer<Implementation> { pub fn new(…) … where Implementation: ImplementationOf<ChatClient> … }
/// impl<Implementation: Chat> ChatServer<Implementation> { pub fn from_arc(…) … }
/// impl<Implementation: Chat> Calls<Implementation> for ChatClient { fn local(…) … }
/// impl<Implementation> Clone for ChatServer<Implementation> { … }
/// impl<Implementation: Chat> Service for ChatServer<Implementation> {
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
/// A trait with batch methods gets `dispatch_many` as well; see [`render_dispatch_many`].
pub(crate) fn render(service: &Service) -> TokenStream {
    let Service { runtime, visibility, ident, .. } = service;
    let private = runtime.private();
    let server = service.named("Server");
    let client = service.named("Client");
    let conditions = service.conditions();
    let hidden = attributes::is_hidden(&service.attributes).then(|| quote!(#[doc(hidden)]));
    let docs = format!("Answers calls of [`{0}`](trait@{0}) with an implementation of it.", ident.unraw());
    let new_docs = format!("Answers with this implementation of [`{0}`](trait@{0}).", ident.unraw());
    let names = Names::new();
    let Names { implementation, incoming, method, .. } = &names;
    let dispatch_many = render_dispatch_many(service, &names);
    let arms =
        service.numbered_methods().map(|(number, method)| render_arm(service, method, &number, &names));
    quote! {
        #(#conditions)*
        #hidden
        #[doc = #docs]
        #[allow(deprecated)]
        #visibility struct #server<__RpcImplementation>(#private::Arc<__RpcImplementation>);

        #(#conditions)*
        #[allow(deprecated)]
        impl<__RpcImplementation> #server<__RpcImplementation> {
            #[doc = #new_docs]
            #[allow(dead_code)]
            #visibility fn new(#implementation: __RpcImplementation) -> Self
            where
                __RpcImplementation: #private::ImplementationOf<#client>,
            {
                Self(#private::Arc::new(#implementation))
            }
        }

        #(#conditions)*
        #[allow(deprecated)]
        impl<__RpcImplementation: #ident> #server<__RpcImplementation> {
            /// Answers with this implementation, which its owner goes on using.
            #[allow(dead_code)]
            #visibility fn from_arc(#implementation: #private::Arc<__RpcImplementation>) -> Self {
                Self(#implementation)
            }

            /// As an object of its own: a client that can be passed to the peer, which calls it back.
            #[allow(dead_code)]
            #visibility fn into_client(self) -> #client {
                <#client as #runtime::ServiceClient>::from_stub(#private::Stub::of_service(#private::Arc::new(self)))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__RpcImplementation: #ident> #private::Calls<__RpcImplementation> for #client {
            fn local(#implementation: __RpcImplementation) -> Self {
                #server(#private::Arc::new(#implementation)).into_client()
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__RpcImplementation> #private::Clone for #server<__RpcImplementation> {
            fn clone(&self) -> Self {
                Self(#private::Arc::clone(&self.0))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated, unused_variables)]
        impl<__RpcImplementation: #ident> #runtime::Service for #server<__RpcImplementation> {
            fn descriptor(&self) -> &'static #runtime::schema::ServiceDescriptor {
                <#client as #runtime::ServiceClient>::descriptor()
            }

            fn dispatch(&self, #method: #private::u32, #incoming: #private::Incoming) -> #private::Reply {
                let #implementation = #private::Arc::clone(&self.0);
                match #method {
                    #(#arms)*
                    _ => #private::Incoming::unknown_method(#incoming),
                }
            }

            #dispatch_many
        }
    }
}

/// Input: `#[rpc(batch = "profiles")] async fn profile(&self, id: u64) -> Result<User, ChatError>;`
/// Output:
/// ```text
/// fn dispatch_many(&self, method: u32, incoming: Vec<Incoming>) -> Vec<Reply> {
///     let implementation = Arc::clone(&self.0);
///     match method {
///         0u32 => …,
///         _ => Incoming::one_by_one(self, method, incoming),
///     }
/// }
/// ```
fn render_dispatch_many(service: &Service, names: &Names) -> Option<TokenStream> {
    let private = service.runtime.private();
    let Names { implementation, incoming, method: number, .. } = names;
    let arms = service.numbered_methods().filter_map(|(number, method)| {
        render_batch_arm(service, method, method.batch.as_ref()?, &number, names)
    });
    let arms: Vec<TokenStream> = arms.collect();
    (!arms.is_empty()).then(|| {
        quote! {
            fn dispatch_many(
                &self,
                #number: #private::u32,
                #incoming: #private::Vec<#private::Incoming>,
            ) -> #private::Vec<#private::Reply> {
                let #implementation = #private::Arc::clone(&self.0);
                match #number {
                    #(#arms)*
                    _ => #private::Incoming::one_by_one(self, #number, #incoming),
                }
            }
        }
    })
}

/// The locals of `dispatch`; the user's arguments cannot clash with them.
struct Names {
    /// The arguments of all calls of a batch, and the number of these calls.
    values: Ident,
    calls: Ident,
    implementation: Ident,
    incoming: Ident,
    method: Ident,
    reader: Ident,
    context: Ident,
}

impl Names {
    fn new() -> Self {
        Self {
            values: local("values"),
            calls: local("calls"),
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
///         Result::Ok(<Implementation as Chat>::who(&*implementation, context, value_0).await)
///     },
/// ),
/// ```
/// The types are named so that rustc points at them if they cannot travel. Without a context the function is `Incoming::run`. A
/// method that returns a `Result` is awaited without `Result::Ok` around it. After a conditional method the pattern is
/// `number if number == { … }`. A method with a batch method is answered by `Incoming::batch_of_one(incoming, self, method)`.
fn render_arm(service: &Service, method: &Method, number: &Number, names: &Names) -> TokenStream {
    let private = service.runtime.private();
    let Names { incoming, reader, context, .. } = names;
    let conditions = method.conditions();
    let pattern = render_pattern(number);
    let value_type = travel::render(&service.runtime, &method.output.value);
    let error_type = client::checked_error_type(service, method);
    if method.batch.is_some() {
        let number = &names.method;
        return quote! {
            #(#conditions)*
            #pattern => #private::Incoming::batch_of_one(#incoming, self, #number),
        };
    }
    let types = method.arguments().map(|argument| travel::render(&service.runtime, &argument.ty));
    let values = (0..method.arguments().count()).map(value);
    let handler = render_handler(service, method, names);
    let (run, context) = match method.takes_context() {
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

/// Input: `#[rpc(batch = "sums")] async fn sum(&self, a: u64, b: u64) -> u64;`,
/// `async fn sums(&self, #[rpc(context)] cx: Context, pairs: Vec<(u64, u64)>) -> Vec<u64>;`
/// Output:
/// ```text
/// 0u32 => Incoming::run_batch_with_context::<_, u64, Never, _>(
///     incoming,
///     |reader: &mut ArgumentReader<'_>| {
///         Result::Ok((ArgumentReader::take::<u64>(reader)?, ArgumentReader::take::<u64>(reader)?))
///     },
///     move |values, context| async move {
///         Result::Ok(succeeded(<Implementation as Chat>::sums(&*implementation, context, values).await))
///     },
/// ),
/// ```
fn render_batch_arm(
    service: &Service,
    method: &Method,
    batch: &Batch,
    number: &Number,
    names: &Names,
) -> Option<TokenStream> {
    let private = service.runtime.private();
    let Names { values, calls, incoming, reader, context, .. } = names;
    let target = batch.method(service)?;
    let conditions = method.conditions();
    let pattern = render_pattern(number);
    let value_type = travel::render(&service.runtime, &method.output.value);
    let error_type = client::checked_error_type(service, method);
    let taken = method.arguments().map(|argument| {
        let ty = travel::render(&service.runtime, &argument.ty);
        quote!(#private::ArgumentReader::take::<#ty>(#reader))
    });
    let taken: Vec<TokenStream> = taken.collect();
    let arguments = match &taken[..] {
        [one] => one.clone(),
        several => quote!(#private::Result::Ok((#(#several?),*))),
    };
    let (run, context) = match target.takes_context() {
        false => (quote!(run_batch), None),
        true => (quote!(run_batch_with_context), Some(quote!(, #context))),
    };
    let call = render_call(service, target, names, |_| values.clone());
    let count =
        matches!(batch.answers, Answers::Nothing).then(|| quote!(let #calls = #private::Vec::len(&#values);));
    let results = match batch.answers {
        Answers::Each => quote!(#private::Result::Ok(#call)),
        Answers::EachOrNone => call,
        Answers::Values => quote!(#private::Result::Ok(#private::succeeded(#call))),
        Answers::Nothing => quote!(#call; #private::Result::Ok(#private::nothing(#calls))),
    };
    Some(quote! {
        #(#conditions)*
        #pattern => #private::Incoming::#run::<_, #value_type, #error_type, _>(
            #incoming,
            |#reader: &mut #private::ArgumentReader<'_>| #arguments,
            move |#values #context| async move { #count #results },
        ),
    })
}

fn render_pattern(number: &Number) -> TokenStream {
    let rendered = number.render();
    if number.is_literal() {
        return rendered;
    }
    let candidate = local("candidate");
    quote!(#candidate if #candidate == #rendered)
}

/// The future that runs the method; see [`render_arm`].
fn render_handler(service: &Service, method: &Method, names: &Names) -> TokenStream {
    let private = service.runtime.private();
    let call = render_call(service, method, names, value);
    let result = match method.output.error {
        Some(_) => call,
        None => quote!(#private::Result::Ok(#call)),
    };
    quote!(async move { #result })
}

/// Input: `async fn who(&self, #[rpc(context)] cx: &Context, verbose: bool) -> u64;`
/// Output: `<Implementation as Chat>::who(&*implementation, &context, value_0).await`; `value` names the arguments.
fn render_call(
    service: &Service,
    method: &Method,
    names: &Names,
    value: impl Fn(usize) -> Ident,
) -> TokenStream {
    let Service { ident, .. } = service;
    let Names { implementation, context, .. } = names;
    let mut index = 0;
    let passed = method.parameters.iter().map(|parameter| match parameter.kind {
        ParameterKind::Argument => {
            let value = value(index);
            index += 1;
            quote!(#value)
        }
        // rustc reports a context of another type than the runtime's at the parameter.
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
    quote!(<__RpcImplementation as #ident>::#method_ident(&*#implementation, #(#passed),*).await)
}

/// The local of a decoded argument, by its index.
fn value(index: usize) -> Ident {
    local(&format!("value_{index}"))
}
