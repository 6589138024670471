//! Renders the descriptor of a service, as static data.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Type, ext::IdentExt, spanned::Spanned};

use crate::{
    attributes, declaration,
    model::{Method, Service},
    names::local,
    text::readable,
    travel,
};

/// Input: `#[rpc] pub trait Chat { async fn count(&self) -> u64; }`
/// Output:
/// ```text
/// fn descriptor() -> &'static ServiceDescriptor {
///     static METHODS: [MethodDescriptor; 1u32 as usize] = [ … ];
///     static SERVICE: ServiceDescriptor =
///         ServiceDescriptor { name: "Chat", rust_name: "Chat", docs: "", ordered: false, methods: &METHODS, objects: … };
///     &SERVICE
/// }
/// ```
/// The methods are a static of their own because each holds a cache: a static can borrow such a value only from another static.
pub(crate) fn render(service: &Service) -> TokenStream {
    let Service { runtime, wire_name, ordered, ident, .. } = service;
    let rust_name = ident.unraw().to_string();
    let docs = attributes::docs_text(&service.attributes);
    let methods = service.methods().map(|method| render_method(service, method));
    let private = runtime.private();
    let count = service.method_count().render();
    quote! {
        fn descriptor() -> &'static #runtime::schema::ServiceDescriptor {
            static __RPC_METHODS: [#runtime::schema::MethodDescriptor; #count as #private::usize] = [#(#methods),*];
            static __RPC_SERVICE: #runtime::schema::ServiceDescriptor = #runtime::schema::ServiceDescriptor {
                name: #wire_name,
                rust_name: #rust_name,
                docs: #docs,
                ordered: #ordered,
                methods: &__RPC_METHODS,
                objects: #private::ObjectsCache::new(),
            };
            &__RPC_SERVICE
        }
    }
}

/// Input: `async fn find(&self, name: String) -> Result<User, ChatError>;`
/// Output:
/// ```text
/// MethodDescriptor {
///     name: "find",
///     rust_name: "find",
///     docs: "",
///     arguments: &[ArgumentDescriptor::new::<String>("name", "String")],
///     result: ValueDescriptor::new::<User>("User"),
///     error: Some(ValueDescriptor::new::<ChatError>("ChatError").shown(|| (&&&&Witness::<ChatError>::new()).__rpc_shown())),
///     attributes: MethodAttributes::NONE,
///     cache: SignatureCache::new(),
/// }
/// ```
fn render_method(service: &Service, method: &Method) -> TokenStream {
    let Service { runtime, .. } = service;
    let private = runtime.private();
    let Method { wire_name, idempotent, oneway, blocking, no_cancel, output, .. } = method;
    let conditions = method.conditions();
    let rust_name = method.ident.unraw().to_string();
    let docs = attributes::docs_text(&method.attributes);
    let arguments = method.arguments().map(|argument| {
        let (ty, name, type_name) =
            (&argument.ty, argument.ident.unraw().to_string(), readable(&argument.ty));
        let (declared, ty) = (render_declared(service, ty), travel::render(runtime, ty));
        quote!(#runtime::schema::ArgumentDescriptor::new::<#ty>(#name, #type_name) #declared)
    });
    let value = |ty: &Type| {
        let type_name = readable(ty);
        let (declared, ty) = (render_declared(service, ty), travel::render(runtime, ty));
        quote!(#runtime::schema::ValueDescriptor::new::<#ty>(#type_name) #declared)
    };
    let result = value(&output.value);
    let hidden = output.error.is_none().then(|| render_hidden(service, &output.value)).flatten();
    let error = output.error.as_ref().map(|ty| {
        let (value, shown) = (value(ty), render_shown(&private, ty));
        quote!(#value #shown)
    });
    let error = option(service, error);
    let batch = method.batch.as_ref().and_then(|batch| batch.method(service));
    let text = |text: String| quote!(#private::Option::Some(#text));
    let batch = batch.map(|batch| text(batch.wire_name.clone()));
    let deprecated = attributes::deprecation(&method.attributes).map(text);
    let yes = |is_so: &bool| is_so.then(|| quote!(true));
    let attributes = [
        ("idempotent", yes(idempotent)),
        ("oneway", yes(oneway)),
        ("blocking", yes(blocking)),
        ("no_cancel", yes(no_cancel)),
        ("batch", batch),
        ("deprecated", deprecated),
    ];
    let attributes = render_attributes(service, attributes);
    quote! {
        #(#conditions)*
        #runtime::schema::MethodDescriptor {
            name: #wire_name,
            rust_name: #rust_name,
            docs: #docs,
            arguments: &[#(#arguments),*],
            result: #result #hidden,
            error: #error,
            attributes: #attributes,
            cache: #private::SignatureCache::new(),
        }
    }
}

/// Input: `#[rpc(oneway)]`
/// Output: `{ let mut attributes = MethodAttributes::NONE; attributes.oneway = true; attributes }`
fn render_attributes(service: &Service, attributes: [(&str, Option<TokenStream>); 6]) -> TokenStream {
    let (runtime, own) = (&service.runtime, local("attributes"));
    let mut said = attributes.into_iter().filter_map(|(name, value)| {
        let name = Ident::new(name, Span::call_site());
        value.map(|value| quote!(#own.#name = #value;))
    });
    let Some(first) = said.next() else { return quote!(#runtime::schema::MethodAttributes::NONE) };
    quote! {{
        let mut #own = #runtime::schema::MethodAttributes::NONE;
        #first
        #(#said)*
        #own
    }}
}

/// Input: `Vec<User>`
/// Output: `.declared(|found| { (&Witness::<User>::new()).__rpc_declare(found); })`; nothing where no type is asked.
fn render_declared(service: &Service, ty: &Type) -> Option<TokenStream> {
    let mut types = Vec::new();
    declaration::collect(ty, &mut types);
    let found = local("found");
    let witnesses = declaration::render_witnesses(&service.runtime.private(), &found, &types);
    (!types.is_empty()).then(|| quote!(.declared(|#found| { #witnesses })))
}

/// Input: `ChatError`
/// Output: `.shown(|| (&&&&Witness::<ChatError>::new()).__rpc_shown())`
fn render_shown(private: &TokenStream, ty: &Type) -> TokenStream {
    quote! {
        .shown(|| {
            use #private::{ByDebug as _, ByDisplay as _, ByError as _, ByNoText as _};
            (&&&&#private::Witness::<#ty>::new()).__rpc_shown()
        })
    }
}

/// Input: `ChatResult<User>`, the result of a method without `Result`
/// Output: `.without_error(no_result(Plain::<ChatResult<User>>::IS))`; nothing for a type that is known by its name.
///
/// Only rustc sees through an alias. The constant is false for `Result<T, E>`, and then the descriptor cannot be evaluated.
fn render_hidden(service: &Service, ty: &Type) -> Option<TokenStream> {
    let Type::Path(path) = ty else { return None };
    if declaration::is_plain_path(path) {
        return None;
    }
    let span = path.span();
    let (runtime, private) = (service.runtime.at(span), service.runtime.private());
    let checked =
        quote_spanned!(span=> #runtime::__private::no_result(#runtime::__private::Plain::<#ty>::IS));
    Some(quote! {
        .without_error({
            use #private::PlainByDefault as _;
            #checked
        })
    })
}

fn option(service: &Service, value: Option<TokenStream>) -> TokenStream {
    let private = service.runtime.private();
    match value {
        Some(value) => quote!(#private::Option::Some(#value)),
        None => quote!(#private::Option::None),
    }
}
