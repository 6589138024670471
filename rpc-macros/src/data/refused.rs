//! Types under `#[data]` with a field that cannot travel or that is there twice: the field is reported, and serde's derives do not report
//! it again.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Field, Fields, GenericParam, Generics, Ident, Item, ext::IdentExt, parse_quote};

use crate::{
    attributes::{self, Runtime},
    errors::Errors,
    pipeline::serde::SerdeOptions,
    travel::{self, Role},
};

/// Reports the fields whose types cannot travel. If there are any, removes the attributes that only derives read.
pub(super) fn report(item: &mut Item, errors: &mut Errors) -> bool {
    let before = errors.len();
    let Some((attributes, generics)) = parts(item) else { return false };
    let container = SerdeOptions::read(attributes);
    // A borrowing type is reported as a whole, and a converted one is sent as another type.
    if generics.lifetimes().next().is_none()
        && !["from", "try_from", "remote"].iter().any(|it| container.has(it))
    {
        for_fields(item, |attributes, fields| {
            if is_sent(attributes) {
                for field in fields.iter().filter(|field| is_sent(&field.attrs)) {
                    travel::check(&field.ty, Role::Field, errors);
                }
            }
        });
    }
    for_fields(item, |_, fields| remove_namesakes(fields, errors));
    if errors.len() == before {
        return false;
    }
    let clean = |attributes: &mut Vec<Attribute>| {
        attributes
            .retain(|attribute| !["serde", "pipeline"].iter().any(|name| attribute.path().is_ident(name)));
    };
    match item {
        Item::Struct(item) => clean(&mut item.attrs),
        Item::Enum(item) => clean(&mut item.attrs),
        _ => {}
    }
    for_fields(item, |attributes, fields| {
        clean(attributes);
        for field in fields {
            clean(&mut field.attrs);
            travel::put_clients(&mut field.ty);
        }
    });
    true
}

fn parts(item: &Item) -> Option<(&[Attribute], &Generics)> {
    match item {
        Item::Struct(item) => Some((&item.attrs, &item.generics)),
        Item::Enum(item) => Some((&item.attrs, &item.generics)),
        _ => None,
    }
}

/// Visits the fields of the struct, or of each variant with the variant's attributes.
fn for_fields(item: &mut Item, mut visit: impl FnMut(&mut Vec<Attribute>, &mut Fields)) {
    match item {
        Item::Struct(item) => visit(&mut Vec::new(), &mut item.fields),
        Item::Enum(item) => {
            item.variants.iter_mut().for_each(|variant| visit(&mut variant.attrs, &mut variant.fields));
        }
        _ => {}
    }
}

/// Removes fields that have the name of one before them, and reports each.
fn remove_namesakes(fields: &mut Fields, errors: &mut Errors) {
    let Fields::Named(fields) = fields else { return };
    let mut known: Vec<Ident> = Vec::new();
    let is_new = |field: &Field| {
        let Some(ident) = &field.ident else { return true };
        if field.attrs.iter().any(attributes::is_condition) {
            return true;
        }
        let is_new = known.iter().all(|known| known.unraw() != ident.unraw());
        if is_new {
            known.push(ident.clone());
        } else {
            errors.push(ident, format_args!("there are two fields `{ident}`; give one another name"));
        }
        is_new
    };
    fields.named = std::mem::take(&mut fields.named).into_iter().filter(is_new).collect();
}

/// Whether a field or variant is sent as its type is. The condition of a conditional one is not known here.
fn is_sent(attributes: &[Attribute]) -> bool {
    let options = SerdeOptions::read(attributes);
    !options.is_skipped() && !options.is_opaque() && !attributes.iter().any(attributes::is_condition)
}

/// Input: `struct Holder { room: Box<dyn Room> }`
/// Output: `impl Serialize for Holder { … }`, `impl Deserialize for Holder { … }`, `impl Pipelined for Holder { … }`, whose bodies never
/// run. With them, methods that take a `Holder` are no second mistake.
pub(super) fn render(runtime: &Runtime, item: &Item) -> TokenStream {
    let (ident, generics): (&Ident, &Generics) = match item {
        Item::Struct(item) => (&item.ident, &item.generics),
        Item::Enum(item) => (&item.ident, &item.generics),
        _ => return TokenStream::new(),
    };
    let private = runtime.private();
    let serde = quote!(#private::serde);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let mut reading = generics.clone();
    reading.params.insert(0, GenericParam::Lifetime(parse_quote!('de)));
    let (reading_generics, _, _) = reading.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #serde::Serialize for #ident #type_generics #where_clause {
            fn serialize<__RpcSerializer: #serde::Serializer>(&self, _: __RpcSerializer) -> #private::Result<__RpcSerializer::Ok, __RpcSerializer::Error> {
                loop {}
            }
        }

        #[automatically_derived]
        impl #reading_generics #serde::Deserialize<'de> for #ident #type_generics #where_clause {
            fn deserialize<__RpcDeserializer: #serde::Deserializer<'de>>(_: __RpcDeserializer) -> #private::Result<Self, __RpcDeserializer::Error> {
                loop {}
            }
        }

        #[automatically_derived]
        impl #impl_generics #runtime::Pipelined for #ident #type_generics #where_clause {
            type Pipe<__RpcError: #private::Send + #private::Sync + 'static> = ();

            fn pipe<__RpcError: #private::Send + #private::Sync + 'static>(_: #private::PipeAt<__RpcError>) {}
        }
    }
}
