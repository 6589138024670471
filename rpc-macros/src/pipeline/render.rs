//! Renders pipes.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{GenericParam, Generics, Ident, TypeParam, ext::IdentExt, parse_quote};

use super::model::{Part, Parts, Piped, Shape, Step, Variant};
use crate::{attributes, names::local};

/// Input: `pub struct User { pub id: u64, name: String }`
/// Output:
/// ```text
/// pub struct UserPipe<Error> { at: PipeAt<Error>, values: PhantomData<fn() -> ()> }
/// impl<Error: …> UserPipe<Error> {
///     pub fn id(&self) -> Promise<u64, Error> { … }
///     fn name(&self) -> Promise<String, Error> { … }
///     #[doc(hidden)] pub fn map<Mapped>(…) … where User: HasElements<Mapped> { … }
/// }
/// impl<Error> Clone for UserPipe<Error> { … }
/// impl Pipelined for User { type Pipe<Error: …> = UserPipe<Error>; … }
/// ```
/// For an enum, `UserPipe` has a method per variant, and each of those variants a pipe of its own.
pub(crate) fn render(piped: &Piped) -> TokenStream {
    let Piped { runtime, ident, pipe, generics, shape, .. } = piped;
    let docs = format!("The parts of a promised [`{0}`](type@{0}).", ident.unraw());
    let (pipe_struct, variants) = match shape {
        Shape::Struct(parts) => {
            let (methods, map) = (render_parts(piped, parts), render_map(piped));
            (render_pipe(piped, pipe, &docs, parts, &quote!(#methods #map)), Vec::new())
        }
        Shape::Enum(variants) => {
            let methods: TokenStream =
                variants.iter().map(|variant| render_variant(piped, variant)).collect();
            let pipes = variants.iter().map(|variant| render_variant_pipe(piped, variant)).collect();
            let map = render_map(piped);
            (render_pipe(piped, pipe, &docs, &Parts::default(), &quote!(#methods #map)), pipes)
        }
    };
    let private = runtime.private();
    let owned = owned(piped, generics.clone());
    let (impl_generics, _, where_clause) = owned.split_for_impl();
    let (_, type_generics, _) = generics.split_for_impl();
    let with_error = with_error(piped);
    let (_, pipe_generics, _) = with_error.split_for_impl();
    let at = local("at");
    let bounds = error_bounds(piped);
    quote! {
        #pipe_struct
        #(#variants)*

        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #runtime::Pipelined for #ident #type_generics #where_clause {
            type Pipe<__RpcError: #bounds> = #pipe #pipe_generics;

            fn pipe<__RpcError: #bounds>(#at: #private::PipeAt<__RpcError>) -> Self::Pipe<__RpcError> {
                #pipe { at: #at, values: #private::PhantomData }
            }
        }
    }
}

/// Input: a name, its docs and methods.
/// Output: the pipe's struct, those methods in its `impl`, and its `Clone`.
fn render_pipe(piped: &Piped, pipe: &Ident, docs: &str, parts: &Parts, methods: &TokenStream) -> TokenStream {
    let Piped { runtime, visibility, .. } = piped;
    let private = runtime.private();
    let docs = format!("{docs}{}", opaque_docs(parts));
    let with_error = with_error(piped);
    let (_, pipe_generics, where_clause) = with_error.split_for_impl();
    let declared = &with_error.params;
    let bounded = bounded(piped);
    let (bounded_generics, _, bounded_where) = bounded.split_for_impl();
    let (clone_generics, _, _) = with_error.split_for_impl();
    let values = piped.type_parameters();
    quote! {
        #[doc = #docs]
        // A type of its own for each type and variant would fill the pages of an API.
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types)]
        #visibility struct #pipe<#declared> #where_clause {
            at: #private::PipeAt<__RpcError>,
            values: #private::PhantomData<fn() -> (#(#private::PhantomData<#values>,)*)>,
        }

        #[allow(dead_code, deprecated)]
        impl #bounded_generics #pipe #pipe_generics #bounded_where {
            #methods
        }

        #[automatically_derived]
        impl #clone_generics #private::Clone for #pipe #pipe_generics #where_clause {
            fn clone(&self) -> Self {
                Self { at: #private::Clone::clone(&self.at), values: #private::PhantomData }
            }
        }
    }
}

/// Input: `pub id: u64`, the first field.
/// Output: `pub fn id(&self) -> Promise<u64, Error> { PipeAt::field(&self.at, 0u32) }`; `PipeAt::same(&self.at)` if
/// the struct is transparent.
fn render_parts(piped: &Piped, parts: &Parts) -> TokenStream {
    let Piped { runtime, .. } = piped;
    let private = runtime.private();
    let methods = parts.parts.iter().map(|Part { surface, visibility, method, ty, step }| {
        let undocumented = undocumented(surface);
        let part = match step {
            Step::Field(ordinal) => quote!(#private::PipeAt::field(&self.at, #ordinal)),
            Step::Same => quote!(#private::PipeAt::same(&self.at)),
        };
        quote! {
            #(#surface)*
            #undocumented
            #visibility fn #method(&self) -> #runtime::Promise<#ty, __RpcError> {
                #part
            }
        }
    });
    methods.collect()
}

/// Renders `map`, which never compiles and says that the type has no elements; nothing if a part is called so.
fn render_map(piped: &Piped) -> Option<TokenStream> {
    let Piped { runtime, visibility, ident, generics, shape, .. } = piped;
    let private = runtime.private();
    let (_, type_generics, _) = generics.split_for_impl();
    let is_taken = match shape {
        Shape::Struct(parts) => parts.parts.iter().any(|part| part.method.unraw() == "map"),
        Shape::Enum(variants) => variants.iter().any(|variant| variant.method.unraw() == "map"),
    };
    (!is_taken).then(|| {
        quote! {
            #[doc(hidden)]
            #visibility fn map<__RpcMapped>(
                &self,
                _: impl #private::FnOnce(#runtime::Promise<#ident #type_generics, __RpcError>) -> __RpcMapped,
            ) -> #runtime::Promise<#ident #type_generics, __RpcError>
            where
                #ident #type_generics: #private::HasElements<__RpcMapped>,
            {
                loop {}
            }
        }
    })
}

/// Input: `Circle(f64)`, the third variant of `Shape`.
/// Output:
/// ```text
/// pub fn circle(&self) -> ShapeCirclePipe<Error> {
///     ShapeCirclePipe { at: PipeAt::variant(&self.at, 2u32), values: PhantomData }
/// }
/// ```
fn render_variant(piped: &Piped, variant: &Variant) -> TokenStream {
    let Piped { runtime, visibility, .. } = piped;
    let private = runtime.private();
    let Variant { surface, method, pipe, index, .. } = variant;
    let undocumented = undocumented(surface);
    let with_error = with_error(piped);
    let (_, pipe_generics, _) = with_error.split_for_impl();
    quote! {
        #(#surface)*
        #undocumented
        #visibility fn #method(&self) -> #pipe #pipe_generics {
            #pipe { at: #private::PipeAt::variant(&self.at, #index), values: #private::PhantomData }
        }
    }
}

fn render_variant_pipe(piped: &Piped, variant: &Variant) -> TokenStream {
    let Variant { ident, pipe, parts, .. } = variant;
    let docs = format!("The parts of a promised [`{0}::{1}`].", piped.ident.unraw(), ident.unraw());
    render_pipe(piped, pipe, &docs, parts, &render_parts(piped, parts))
}

fn undocumented(surface: &[syn::Attribute]) -> Option<TokenStream> {
    // The lint already reports the missing documentation at the type's own definition.
    (!attributes::has_docs(surface)).then(|| quote!(#[allow(missing_docs)]))
}

fn opaque_docs(parts: &Parts) -> String {
    if parts.opaque.is_empty() {
        return String::new();
    }
    let fields: Vec<String> = parts.opaque.iter().map(|field| format!("`{field}`")).collect();
    format!("\n\nNot among them, because they travel with an encoding of their own: {}.", fields.join(", "))
}

fn error_bounds(piped: &Piped) -> TokenStream {
    let private = piped.runtime.private();
    quote!(#private::Send + #private::Sync + 'static)
}

/// Input: `<T: Bound = u8>`. Output: `<T: Bound, Error>`.
fn with_error(piped: &Piped) -> Generics {
    let mut generics = piped.generics.clone();
    for parameter in &mut generics.params {
        match parameter {
            GenericParam::Type(parameter) => parameter.default = None,
            GenericParam::Const(parameter) => parameter.default = None,
            GenericParam::Lifetime(_) => {}
        }
    }
    generics.params.push(GenericParam::Type(TypeParam::from(Ident::new("__RpcError", Span::call_site()))));
    generics
}

/// Input: `<T: Bound>`. Output: `<T: Bound, Error> where T: 'static, Error: Send + Sync + 'static`.
fn bounded(piped: &Piped) -> Generics {
    let mut generics = owned(piped, with_error(piped));
    let bounds = error_bounds(piped);
    generics.make_where_clause().predicates.push(parse_quote!(__RpcError: #bounds));
    generics
}

/// Input: `<T>`. Output: `<T> where T: 'static`.
fn owned(piped: &Piped, mut generics: Generics) -> Generics {
    let types: Vec<&Ident> = piped.type_parameters().collect();
    if !types.is_empty() {
        let predicates = &mut generics.make_where_clause().predicates;
        predicates.extend(types.into_iter().map(|ty| -> syn::WherePredicate { parse_quote!(#ty: 'static) }));
    }
    generics
}
