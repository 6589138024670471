//! Checks types by their tokens: only owned types that mean the same on both sides may travel.

use std::fmt;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Expr, ExprLit, GenericArgument, Lit, Path, PathArguments, Type, TypeArray, TypePath, TypeReference,
    TypeTuple,
};

use self::stand_in::Advice;
use crate::{attributes::Runtime, declaration, errors::Errors, text::readable};

mod stand_in;

/// The role of a type in a signature, for error messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Argument,
    Result,
    Field,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argument => "arguments",
            Self::Result => "results",
            Self::Field => "fields",
        })
    }
}

/// Reports the parts of this type that cannot travel.
pub(crate) fn check(ty: &Type, role: Role, errors: &mut Errors) {
    match ty {
        // These have no size. A `Box` of one travels.
        Type::Slice(slice) => {
            errors.push(slice, format_args!("{role} have a size; write `Vec<{}>`", readable(&slice.elem)));
        }
        Type::Path(path) if path.path.is_ident("str") => {
            errors.push(path, format_args!("{role} have a size; write `String`"));
        }
        _ => check_part(ty, role, errors),
    }
}

/// Reports the parts of a type inside of another type that cannot travel.
fn check_part(ty: &Type, role: Role, errors: &mut Errors) {
    if let Some(advice) = stand_in::advice(ty, role) {
        return errors.push(ty, advice);
    }
    match ty {
        Type::Reference(reference) => errors.push(reference, borrowed(reference, role)),
        Type::Infer(hole) => {
            errors.push(hole, format_args!("{role} have one type that both sides know; write it out"));
        }
        Type::Path(path) => {
            if let Some(qself) = &path.qself {
                check_part(&qself.ty, role, errors);
            }
            check_path(&path.path, role, errors);
        }
        Type::Array(array) => check_array(array, role, errors),
        Type::Slice(slice) => check_part(&slice.elem, role, errors),
        Type::Tuple(tuple) => check_tuple(tuple, role, errors),
        Type::Paren(inner) => check_part(&inner.elem, role, errors),
        Type::Group(inner) => check_part(&inner.elem, role, errors),
        // rustc refuses all other types, because they are not serialisable.
        _ => {}
    }
}

/// Writes the clients of objects in place of the objects in a reported type, as the report advises. rustc says nothing about trait objects
/// then, and an implementation is told to write the client.
pub(crate) fn put_clients(ty: &mut Type) {
    if let Some(Advice::Client { client, .. }) = stand_in::advice(ty, Role::Argument) {
        *ty = Type::Path(TypePath { attrs: Vec::new(), qself: None, path: client });
        return;
    }
    match ty {
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                let PathArguments::AngleBracketed(generics) = &mut segment.arguments else { continue };
                for argument in &mut generics.args {
                    if let GenericArgument::Type(ty) = argument {
                        put_clients(ty);
                    }
                }
            }
        }
        Type::Reference(reference) => put_clients(&mut reference.elem),
        Type::Array(array) => put_clients(&mut array.elem),
        Type::Slice(slice) => put_clients(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(put_clients),
        Type::Paren(inner) => put_clients(&mut inner.elem),
        Type::Group(inner) => put_clients(&mut inner.elem),
        _ => {}
    }
}

/// The longest array and tuple for which serde has implementations.
const ARRAY_MAX: u64 = 32;
const TUPLE_MAX: usize = 16;

fn check_array(array: &TypeArray, role: Role, errors: &mut Errors) {
    if let Expr::Lit(ExprLit { lit: Lit::Int(length), .. }) = &array.len
        && length.base10_parse::<u64>().is_ok_and(|length| length > ARRAY_MAX)
    {
        let element = readable(&array.elem);
        errors.push(
            array,
            format_args!("serde writes arrays of at most {ARRAY_MAX} elements; write `Vec<{element}>`"),
        );
    }
    check_part(&array.elem, role, errors);
}

fn check_tuple(tuple: &TypeTuple, role: Role, errors: &mut Errors) {
    if tuple.elems.len() > TUPLE_MAX {
        let message = format_args!(
            "serde writes tuples of at most {TUPLE_MAX} elements; write a struct under `#[rpc_core::data]`"
        );
        errors.push(tuple, message);
    }
    tuple.elems.iter().for_each(|ty| check_part(ty, role, errors));
}

fn check_path(path: &Path, role: Role, errors: &mut Errors) {
    if path.segments.first().is_some_and(|first| first.ident == "Self") && role != Role::Field {
        errors.push(path, "`Self` is another type on each side; write the name of the type that travels");
    }
    for segment in &path.segments {
        match &segment.arguments {
            PathArguments::AngleBracketed(generics) => {
                generics.args.iter().for_each(|argument| check_generic(argument, role, errors));
            }
            PathArguments::None | PathArguments::Parenthesized(_) => {}
        }
    }
}

fn check_generic(argument: &GenericArgument, role: Role, errors: &mut Errors) {
    match argument {
        GenericArgument::Type(ty) => check_part(ty, role, errors),
        GenericArgument::Lifetime(lifetime) if lifetime.ident != "static" => {
            errors.push(lifetime, format_args!("{role} travel by value and cannot borrow; write `'static`"));
        }
        _ => {}
    }
}

/// Input: `&str`, `&[User]`, `&User`. Output: the advice to write `String`, `Vec<User>`, `User`.
fn borrowed(reference: &TypeReference, role: Role) -> String {
    let owned = match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", readable(&slice.elem)),
        other => readable(other),
    };
    format!("{role} travel by value; write `{owned}`")
}

/// Input: `Vec<User>`
/// Output: `Vec<<User as Travels<_>>::Type>`, all at the place of `User`.
///
/// The type is the same. If `User` cannot be sent, one message says so at `User`, however many functions name the type.
pub(crate) fn render(runtime: &Runtime, ty: &Type) -> TokenStream {
    render_doubtful(runtime, ty).unwrap_or_else(|| ty.to_token_stream())
}

/// Like [`render`]; nothing for a type that certainly travels.
pub(crate) fn render_doubtful(runtime: &Runtime, ty: &Type) -> Option<TokenStream> {
    let mut checked = ty.clone();
    let place = check_leaves(runtime, &mut checked)?;
    Some(place.around(checked.into_token_stream()))
}

/// Replaces every type in `ty` that may not travel by its projection, and returns the place of the first.
fn check_leaves(runtime: &Runtime, ty: &mut Type) -> Option<Place> {
    match ty {
        Type::Path(path) if is_container(path) => {
            let arguments =
                path.path.segments.iter_mut().filter_map(|segment| match &mut segment.arguments {
                    PathArguments::AngleBracketed(generics) => Some(&mut generics.args),
                    PathArguments::None | PathArguments::Parenthesized(_) => None,
                });
            let types = arguments.flatten().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            first(types.map(|ty| check_leaves(runtime, ty)))
        }
        Type::Tuple(tuple) => first(tuple.elems.iter_mut().map(|ty| check_leaves(runtime, ty))),
        Type::Array(array) => check_leaves(runtime, &mut array.elem),
        Type::Slice(slice) => check_leaves(runtime, &mut slice.elem),
        Type::Group(inner) => check_leaves(runtime, &mut inner.elem),
        Type::Paren(inner) => check_leaves(runtime, &mut inner.elem),
        leaf => {
            let place = Place::of(leaf);
            let (start, end) = (quote_spanned!(place.start=> <), quote_spanned!(place.end=> >::Type));
            let projection = quote!(#start #leaf as #runtime::__private::Travels<_> #end);
            *leaf = Type::Verbatim(projection);
            Some(place)
        }
    }
}

/// The first place, after all have been looked at.
fn first(places: impl Iterator<Item = Option<Place>>) -> Option<Place> {
    places.fold(None, Option::or)
}

/// Whether a type travels if its type arguments do.
fn is_container(path: &TypePath) -> bool {
    let is_streaming = || path.path.segments.last().is_some_and(|last| last.ident == "Streaming");
    declaration::is_plain_path(path) || path.qself.is_none() && is_streaming()
}

/// The place of a type in the user's code: a message about all tokens from `start` to `end` points at the type.
struct Place {
    start: Span,
    end: Span,
}

impl Place {
    fn of(ty: &Type) -> Self {
        let mut spans = ty.to_token_stream().into_iter().map(|token| token.span());
        let start = spans.next().unwrap_or_else(Span::call_site);
        Self { start, end: spans.last().unwrap_or(start) }
    }

    /// Moves the ends of a type around the one at this place to this place, so that messages about both are at the same place
    /// and rustc leaves one of them out.
    fn around(&self, tokens: TokenStream) -> TokenStream {
        let count = tokens.clone().into_iter().count();
        let moved = tokens.into_iter().enumerate().map(|(index, mut token)| {
            if index == 0 {
                token.set_span(self.start);
            } else if index + 1 == count {
                token.set_span(self.end);
            }
            token
        });
        moved.collect()
    }
}
