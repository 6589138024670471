//! Renders the client: a struct whose methods queue calls and return promises.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Ident, Type, ext::IdentExt};

use crate::{
    attributes::{self, Repeat},
    declaration, descriptor,
    model::{Method, Number, Parameter, Service},
    names::local,
    text::readable,
    travel,
};

/// Input: `#[rpc] pub trait Chat { async fn count(&self) -> u64; }`
/// Output:
/// ```text
/// pub struct ChatClient { stub: Stub }
/// impl ChatClient {
///     pub fn count(&self) -> Promise<u64, Never> { … }
///     pub fn deadline(&self, limit: Duration) -> Self { … }
///     pub fn metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Self { … }
///     pub fn new(session: &impl AsSession) -> Self { … }
///     pub fn local<Implementation: ImplementationOf<Self>>(implementation: Implementation) -> Self { … }
///     #[doc(hidden)] pub fn connect<Address: ConnectsTo<Self>>(_: Address) -> Pending<…> { … }
/// }
/// impl Clone, PartialEq, Eq, Hash for ChatClient { … }
/// impl Debug for ChatClient { … }
/// impl ServiceClient for ChatClient { fn descriptor() … fn from_stub(…) … fn stub(&self) … }
/// impl Serialize, Deserialize, Pipelined for ChatClient { … }
/// impl IntoArg<ChatClient> for &ChatClient { … }
/// ```
pub(crate) fn render(service: &Service) -> TokenStream {
    let Service { runtime, visibility, ident, .. } = service;
    let private = runtime.private();
    let client = service.named("Client");
    let client_name = client.to_string();
    let (stub, formatter) = (local("stub"), local("formatter"));
    let conditions = service.conditions();
    let surface = attributes::repeated(&service.attributes, Repeat::Surface);
    let lints = attributes::repeated(&service.attributes, Repeat::Lints);
    let methods = service.numbered_methods().map(|(number, method)| render_method(service, method, &number));
    let options = render_options(service);
    let (new, local, connect) = (render_new(service), render_local(service), render_connect(service));
    let value = render_value(service);
    let descriptor = descriptor::render(service);
    let docs = format!(
        "A client of [`{0}`](trait@{0}). A call is on its way when it is made and gives a promise; each argument is a value, or a \
         promise of one.\n\n\
         A session gives one for a service that its peer offers: `{1}::new(&client)` or `client.service()`. [`local`](Self::local) makes one of an \
         implementation in this process.",
        ident.unraw(),
        client
    );
    let paragraph = attributes::has_docs(&service.attributes).then(|| quote!(#[doc = ""]));
    quote! {
        #(#surface)*
        #paragraph
        #[doc = #docs]
        #visibility struct #client {
            stub: #private::Stub,
        }

        #(#lints)*
        #[allow(deprecated, clippy::too_many_arguments)]
        impl #client {
            #(#methods)*
            #options
            #new
            #local
            #connect
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Clone for #client {
            fn clone(&self) -> Self {
                <Self as #runtime::ServiceClient>::from_stub(#private::Clone::clone(#runtime::ServiceClient::stub(self)))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Debug for #client {
            fn fmt(&self, #formatter: &mut #private::fmt::Formatter<'_>) -> #private::fmt::Result {
                #private::fmt::Formatter::debug_tuple(#formatter, #client_name).field(#runtime::ServiceClient::stub(self)).finish()
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

        #value
    }
}

/// Renders the implementations that make a client a value: it can be serialised, and a promise of one can be called.
fn render_value(service: &Service) -> TokenStream {
    let runtime = &service.runtime;
    let private = runtime.private();
    let serde = quote!(#private::serde);
    let client = service.named("Client");
    let conditions = service.conditions();
    let (serializer, deserializer, at, arguments) =
        (local("serializer"), local("deserializer"), local("at"), local("arguments"));
    let (other, hasher) = (local("other"), local("hasher"));
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #serde::Serialize for #client {
            fn serialize<__RpcSerializer: #serde::Serializer>(&self, #serializer: __RpcSerializer) -> #private::Result<__RpcSerializer::Ok, __RpcSerializer::Error> {
                #private::serialize_object(#runtime::ServiceClient::stub(self), #serializer)
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<'de> #serde::Deserialize<'de> for #client {
            fn deserialize<__RpcDeserializer: #serde::Deserializer<'de>>(#deserializer: __RpcDeserializer) -> #private::Result<Self, __RpcDeserializer::Error> {
                #private::Result::Ok(<Self as #runtime::ServiceClient>::from_stub(#private::deserialize_object(
                    <Self as #runtime::ServiceClient>::descriptor(),
                    #deserializer,
                )?))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::PartialEq for #client {
            fn eq(&self, #other: &Self) -> #private::bool {
                #private::PartialEq::eq(#runtime::ServiceClient::stub(self), #runtime::ServiceClient::stub(#other))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Eq for #client {}

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Hash for #client {
            fn hash<__RpcHasher: #private::Hasher>(&self, #hasher: &mut __RpcHasher) {
                #private::Hash::hash(#runtime::ServiceClient::stub(self), #hasher);
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::Pipelined for #client {
            type Pipe<__RpcError: #private::Send + #private::Sync + 'static> = Self;

            fn pipe<__RpcError: #private::Send + #private::Sync + 'static>(#at: #private::PipeAt<__RpcError>) -> Self {
                <Self as #runtime::ServiceClient>::from_stub(#private::Stub::promised(&#at, <Self as #runtime::ServiceClient>::descriptor()))
            }
        }

        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::IntoArg<#client> for &#client {
            fn put_into(self, #arguments: &mut #private::Arguments<'_>) {
                <#client as #runtime::IntoArg<#client>>::put_into(#private::Clone::clone(self), #arguments);
            }
        }
    }
}

/// Renders `new`, which makes a client of a service that the peer offers; nothing if the user's trait has a method `new`.
fn render_new(service: &Service) -> Option<TokenStream> {
    let Service { runtime, visibility, .. } = service;
    let private = runtime.private();
    let session = local("session");
    let has_none = service.methods().all(|method| method.ident.unraw() != "new");
    has_none.then(|| {
        quote! {
            #[doc = "A client of the service that the session's peer offers, as the session's `service()` makes it."]
            #[allow(dead_code)]
            #visibility fn new(#session: &impl #runtime::AsSession) -> Self {
                #private::SessionHandle::service(#runtime::AsSession::as_session(#session))
            }
        }
    })
}

/// Renders `connect`, which never compiles and says how a client is made; nothing if the user's trait has a method `connect`.
fn render_connect(service: &Service) -> Option<TokenStream> {
    let Service { runtime, visibility, .. } = service;
    let private = runtime.private();
    let has_none = service.methods().all(|method| method.ident.unraw() != "connect");
    has_none.then(|| {
        quote! {
            #[doc(hidden)]
            #[allow(dead_code)]
            #visibility fn connect<__RpcAddress: #private::ConnectsTo<Self>>(_: __RpcAddress) -> #private::Pending<#private::Result<Self, #runtime::SocketError>> {
                #private::pending()
            }
        }
    })
}

/// Renders `local`, which makes a client of an implementation in this process; nothing if the user's trait has a method `local`.
fn render_local(service: &Service) -> Option<TokenStream> {
    let Service { runtime, visibility, ident, .. } = service;
    let private = runtime.private();
    let implementation = local("implementation");
    let docs = format!(
        "A client of an implementation of [`{0}`](trait@{0}) in this process: an object to pass to the peer, which calls it back. It is \
         dropped when nobody holds a client of it any more.\n\n\
         Its methods can be called here too, inside a tokio runtime, as if through a session of its own: one for each runtime, \
         so a promise made in one is an argument there only.",
        ident.unraw()
    );
    service.methods().all(|method| method.ident.unraw() != "local").then(|| {
        quote! {
            #[doc = #docs]
            #[allow(dead_code)]
            #visibility fn local<__RpcImplementation: #private::ImplementationOf<Self>>(#implementation: __RpcImplementation) -> Self {
                #private::ImplementationOf::into_client(#implementation)
            }
        }
    })
}

/// Input: `async fn find(&self, name: String) -> Result<User, ChatError>;`
/// Output:
/// ```text
/// pub fn find(&self, name: impl IntoArg<String>) -> Promise<User, ChatError> {
///     let session = Stub::session(&self.stub);
///     let mut call = Stub::begin(&self.stub, &session, 0u32);
///     CallBuilder::argument::<String>(&mut call, name);
///     CallBuilder::send::<User, ChatError>(call)
/// }
/// ```
/// The parameters keep the user's names, because callers read them. A parameter with the name of a constant in scope is an
/// error at the user's token, as in an implementation.
fn render_method(service: &Service, method: &Method, number: &Number) -> TokenStream {
    let Service { runtime, visibility, .. } = service;
    let private = runtime.private();
    let ident = &method.ident;
    let surface = attributes::repeated(&method.attributes, Repeat::Surface);
    let paragraph = attributes::has_docs(&surface).then(|| quote!(#[doc = ""]));
    let notes = notes(service, method);
    let (session, call) = (local("session"), local("call"));
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
        let checked = checked_error_type(service, method);
        (quote!(#runtime::Promise<#value, #error>), quote!(send::<#value, #checked>))
    };
    let number = number.render();
    quote! {
        #(#surface)*
        #paragraph
        #(#[doc = #notes])*
        #visibility fn #ident(&self, #(#parameters),*) -> #result {
            let #session = #private::Stub::session(&self.stub);
            let #mutability #call = #private::Stub::begin(&self.stub, &#session, #number);
            #(#private::CallBuilder::argument::<#types>(&mut #call, #names);)*
            #private::CallBuilder::#send(#call)
        }
    }
}

/// The maximum number of methods that the docs list as takers of a result.
const TAKERS_MAX: usize = 12;

/// The lines that generated docs add to the author's: what a call returns, how it behaves, and which methods take its result.
/// Empty lines separate paragraphs.
fn notes(service: &Service, method: &Method) -> Vec<String> {
    let mut behaviour = Vec::new();
    if method.oneway {
        behaviour.push("One-way: it says whether the call was sent, and nothing comes back.".to_owned());
    } else {
        let value = readable(&method.output.value);
        behaviour.push(match &method.output.error {
            Some(error) => {
                format!("Promises `{value}`; fails with `{}`, as `CallError::Method`.", readable(error))
            }
            None => format!("Promises `{value}`; it cannot fail by itself."),
        });
    }
    if readable(&method.output.declared).contains("Streaming<") {
        behaviour
            .push("Items come as they are produced; a stream that is dropped stops its producer.".to_owned());
    }
    if method.idempotent {
        behaviour.push("Idempotent: it may be retried.".to_owned());
    }
    if method.no_cancel {
        behaviour.push("It goes on when the promise is dropped.".to_owned());
    }
    if let Some(batch) = method.batch.as_ref().and_then(|batch| batch.method(service)) {
        behaviour.push(format!("Many calls at once are answered by {}.", link(batch)));
    }
    let mut notes = vec![behaviour.join(" ")];
    let mut takers = takers(service, method);
    if takers.len() > TAKERS_MAX {
        takers.truncate(TAKERS_MAX);
        takers.push("others".to_owned());
    }
    if !takers.is_empty() {
        notes.extend([
            String::new(),
            format!("Before it is there, its result can be passed to {}.", takers.join(", ")),
        ]);
    }
    notes
}

/// The methods of the same service that take the result of this one, without deprecated and hidden ones.
fn takers(service: &Service, method: &Method) -> Vec<String> {
    let value = readable(&method.output.value);
    // Numbers and strings fit too many arguments to be useful hints.
    let is_unit = matches!(&method.output.value, Type::Tuple(tuple) if tuple.elems.is_empty());
    if method.oneway || is_unit || declaration::is_plain(&method.output.value) {
        return Vec::new();
    }
    let optional = format!("Option<{value}>");
    let takes = |argument: &&Parameter| [&value, &optional].contains(&&readable(&argument.ty));
    let taker = |taker| {
        let argument = Method::arguments(taker).find(takes)?;
        Some(format!("{} as `{}`", link(taker), argument.ident.unraw()))
    };
    let is_recommended = |taker: &&Method| {
        !attributes::is_hidden(&taker.attributes) && attributes::deprecation(&taker.attributes).is_none()
    };
    service.methods().filter(is_recommended).filter_map(taker).collect()
}

/// A link to a method of the client; its plain name if a condition may remove it.
fn link(method: &Method) -> String {
    let name = method.ident.unraw();
    match &method.conditions()[..] {
        [] => format!("[`{name}`](Self::{name})"),
        _ => format!("`{name}`"),
    }
}

/// The `E` of the method's promise.
fn error_type(service: &Service, method: &Method) -> TokenStream {
    let runtime = &service.runtime;
    method.output.error.as_ref().map_or_else(|| quote!(#runtime::Never), |error| quote!(#error))
}

/// The `E` of the method's promise, where it has to travel.
pub(crate) fn checked_error_type(service: &Service, method: &Method) -> TokenStream {
    match &method.output.error {
        Some(error) => travel::render(&service.runtime, error),
        None => error_type(service, method),
    }
}

/// Renders the options of a call as methods of the client itself, so that callers need no trait in scope. If the user's trait has
/// a method of the same name, the option is available through the `ServiceClient` trait only.
fn render_options(service: &Service) -> TokenStream {
    let Service { runtime, visibility, .. } = service;
    let private = runtime.private();
    let (limit, key, value) = (local("limit"), local("key"), local("value"));
    let is_free = |name: &str| service.methods().all(|method| method.ident.unraw() != name);
    let deadline = is_free("deadline").then(|| {
        quote! {
            /// The same client, whose calls must return within this time.
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
    let closed = is_free("closed").then(|| {
        quote! {
            /// Completes with the reason when the object cannot be reached any more, because its session is over.
            ///
            /// Of a local object it never completes. It holds nothing and may be dropped at any time.
            #[allow(dead_code)]
            #visibility fn closed(&self) -> impl #private::Future<Output = #runtime::CloseReason> + #private::Send + 'static {
                #runtime::ServiceClient::closed(self)
            }
        }
    });
    let released = is_free("released").then(|| {
        quote! {
            /// Completes when no peer holds this local object any more. A client of a remote object does not wait.
            ///
            /// It holds nothing but the object and may be dropped at any time.
            #[allow(dead_code)]
            #visibility fn released(&self) -> impl #private::Future<Output = ()> + #private::Send + 'static {
                #runtime::ServiceClient::released(self)
            }
        }
    });
    quote!(#deadline #metadata #closed #released)
}
