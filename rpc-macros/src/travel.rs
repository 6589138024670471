//! Checks types by their tokens: only owned types that mean the same on both sides may travel.

use std::fmt;

use syn::{GenericArgument, Path, PathArguments, Type, TypeReference};

use crate::{errors::Errors, text::readable};

/// The role of a type in a signature, for error messages.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Argument,
    Result,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argument => "arguments",
            Self::Result => "results",
        })
    }
}

/// Reports the parts of this type that cannot travel.
pub(crate) fn check(ty: &Type, role: Role, errors: &mut Errors) {
    match ty {
        Type::Reference(reference) => errors.push(reference, borrowed(reference, role)),
        Type::ImplTrait(opaque) => {
            errors.push(
                opaque,
                format_args!("{role} have one type that both sides know; name it instead of `impl …`"),
            );
        }
        Type::Infer(hole) => {
            errors.push(hole, format_args!("{role} have one type that both sides know; write it out"));
        }
        Type::Path(path) => {
            if let Some(qself) = &path.qself {
                check(&qself.ty, role, errors);
            }
            check_path(&path.path, role, errors);
        }
        Type::Array(array) => check(&array.elem, role, errors),
        Type::Slice(slice) => check(&slice.elem, role, errors),
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| check(ty, role, errors)),
        Type::Paren(inner) => check(&inner.elem, role, errors),
        Type::Group(inner) => check(&inner.elem, role, errors),
        // rustc refuses all other types, because they are not serialisable.
        _ => {}
    }
}

fn check_path(path: &Path, role: Role, errors: &mut Errors) {
    if path.segments.first().is_some_and(|first| first.ident == "Self") {
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
        GenericArgument::Type(ty) => check(ty, role, errors),
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
