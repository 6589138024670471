//! Types that stay on their side and have a stand-in that travels: a trait object's is a client, a stream's is `Streaming`.

use std::fmt;

use syn::{
    GenericArgument, Ident, Path, PathArguments, Type, TypeParamBound, TypePath, punctuated::Punctuated,
    token::Plus,
};

use super::Role;
use crate::text::readable;

/// What to write in place of a type.
pub(super) enum Advice {
    /// The client of an object.
    Client { of_trait: String, client: Path },
    /// Something else.
    Text(String),
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { of_trait, client } => {
                let client = readable(client);
                write!(
                    f,
                    "an object travels as its client; write `{client}`, which `#[rpc]` makes of `trait {of_trait}`"
                )
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl<T: Into<String>> From<T> for Advice {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// The advice to write the stand-in of this type; `None` if the type has none. Looks at the type itself and at what a pointer points
/// to; the caller looks at type arguments.
pub(super) fn advice(ty: &Type, role: Role) -> Option<Advice> {
    match ty {
        Type::TraitObject(object) => Some(of_bounds(&object.bounds, role, ty)),
        Type::ImplTrait(opaque) => Some(of_bounds(&opaque.bounds, role, ty)),
        Type::FnPtr(_) => Some(CLOSURE.into()),
        Type::Ptr(_) => {
            Some("an address means nothing on the other side; write the type of the value".into())
        }
        Type::Reference(reference) => match &*reference.elem {
            Type::TraitObject(_) => advice(&reference.elem, role),
            _ => None,
        },
        Type::Path(path) if path.qself.is_none() => of_path(path, role),
        _ => None,
    }
}

const CLOSURE: &str = "code cannot travel; declare a trait under `#[rpc]` with one method and take its `…Client`, \
                       which the other side calls back";

/// Input: `Room + Send` of `dyn Room + Send`. Output: the advice to write `RoomClient`.
fn of_bounds(bounds: &Punctuated<TypeParamBound, Plus>, role: Role, ty: &Type) -> Advice {
    let mut traits = bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => Some(&bound.path),
        _ => None,
    });
    let first = traits.next();
    let Some((path, last)) = first.and_then(|path| Some((path, path.segments.last()?))) else {
        return format!("{role} have one type that both sides know; name it instead of `{}`", readable(ty))
            .into();
    };
    let part = |name| associated(&last.arguments, name).map_or("T".into(), |ty| readable(&ty));
    match last.ident.to_string().as_str() {
        "Stream" | "TryStream" => stream(&part("Item")).into(),
        "Iterator" | "IntoIterator" | "DoubleEndedIterator" | "ExactSizeIterator" => {
            let item = part("Item");
            format!(
                "{role} have one type that both sides know; write `Vec<{item}>`, or `Streaming<{item}>` for items that come one by one"
            )
            .into()
        }
        "Future" => future(&part("Output")).into(),
        "Fn" | "FnMut" | "FnOnce" | "AsyncFn" | "AsyncFnMut" | "AsyncFnOnce" => CLOSURE.into(),
        "Error" | "StdError" => ERROR.into(),
        "Into" | "AsRef" | "Borrow" => {
            let of = first_type(&last.arguments).map_or("T".into(), |ty| readable(&ty));
            let owned = if of == "str" { "String".to_owned() } else { of };
            format!(
                "{role} have one type that both sides know; write `{owned}`. Clients take a `&str` for a `String`, and promises, by themselves"
            )
            .into()
        }
        "Display" | "ToString" | "Debug" | "Any" | "Serialize" | "Send" | "Sync" | "Sized" | "Clone" => {
            format!("{role} have one type that both sides know; name it instead of `{}`", readable(ty)).into()
        }
        name => object(path, name),
    }
}

/// Input: `rooms::Room`. Output: the advice to write `rooms::RoomClient`.
fn object(path: &Path, name: &str) -> Advice {
    let mut client = path.clone();
    if let Some(last) = client.segments.last_mut() {
        last.ident = Ident::new(&format!("{name}Client"), last.ident.span());
        last.arguments = PathArguments::None;
    }
    Advice::Client { of_trait: name.to_owned(), client }
}

fn stream(item: &str) -> String {
    format!("a stream travels as a value of its own type; write `Streaming<{item}>`")
}

fn future(output: &str) -> String {
    format!("a remote method is asynchronous already; write `{output}`, and `async fn`")
}

const ERROR: &str =
    "both sides must know an error's type; write an enum under `#[rpc_core::data]`, or `String`";

/// Pointers, streams, channels and errors, by the names under which they are known.
fn of_path(ty: &TypePath, role: Role) -> Option<Advice> {
    let last = ty.path.segments.last()?;
    let module = ty.path.segments.iter().rev().nth(1).map(|segment| segment.ident.to_string());
    let inner = first_type(&last.arguments);
    let text = |ty: &Option<Type>| ty.as_ref().map_or("T".into(), readable);
    match (module.as_deref(), last.ident.to_string().as_str()) {
        (_, "Box" | "Arc" | "Rc" | "Pin") if inner.as_ref().is_some_and(is_unnamed) => advice(&inner?, role),
        (_, "Rc") if inner.is_some() && role != Role::Field => {
            Some(format!("an `Rc` cannot leave its thread; write `{}`", text(&inner)).into())
        }
        (_, "BoxStream" | "LocalBoxStream" | "ReceiverStream" | "UnboundedReceiverStream")
            if inner.is_some() =>
        {
            Some(stream(&text(&inner)).into())
        }
        (Some("mpsc" | "broadcast" | "watch"), "Receiver" | "UnboundedReceiver") => {
            Some(stream(&text(&inner)).into())
        }
        (Some("oneshot"), "Receiver") | (_, "BoxFuture" | "LocalBoxFuture") if inner.is_some() => {
            Some(future(&text(&inner)).into())
        }
        (_, "Promise") if inner.is_some() => Some(
            format!("callers pass a promise where a method takes its value; write `{}`", text(&inner)).into(),
        ),
        (Some("anyhow" | "io"), "Error") | (Some("eyre"), "Report") => Some(ERROR.into()),
        _ => None,
    }
}

/// Whether a pointer to this type needs a stand-in: a trait object, or a pointer to one.
fn is_unnamed(ty: &Type) -> bool {
    match ty {
        Type::TraitObject(_) | Type::ImplTrait(_) => true,
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let inner = first_type(&last.arguments);
            matches!(last.ident.to_string().as_str(), "Box" | "Arc") && inner.as_ref().is_some_and(is_unnamed)
        }),
        _ => false,
    }
}

/// The first type among these arguments.
fn first_type(arguments: &PathArguments) -> Option<Type> {
    let PathArguments::AngleBracketed(generics) = arguments else { return None };
    generics.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}

/// The `T` of `Item = T`.
fn associated(arguments: &PathArguments, name: &str) -> Option<Type> {
    let PathArguments::AngleBracketed(generics) = arguments else { return None };
    generics.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(binding) if binding.ident == name => Some(binding.ty.clone()),
        _ => None,
    })
}
