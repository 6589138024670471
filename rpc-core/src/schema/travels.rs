//! The bound on types in signatures. Its message names `#[data]`, where serde's messages list implementations of serde's traits.

use serde::{Serialize, de::DeserializeOwned};

/// A type whose values can be sent: serde writes and reads it.
///
/// Generated code names a type `User` as `<User as Travels<_>>::Type`, which is `User`. Two implementations are candidates, of which
/// that of `ByNobody` never applies. rustc therefore decides by their bounds before it chooses one. If both fail, it reports this
/// trait alone, and the same message at the same place for every function that names the type, which makes one message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel: write `#[rpc_core::data]` above it",
    label = "not a type under `#[rpc_core::data]`",
    note = "types inside of it need `#[rpc_core::data]` too; serde's two derives are enough for a type whose promise has no `.field()`s",
    note = "a type that is not yours travels if its crate implements serde's traits, often with a feature called `serde`; otherwise send a type of your own in its place"
)]
pub trait Travels<By>: Serialize + DeserializeOwned {
    /// The type itself.
    type Type;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Travels<BySerde> for T {
    type Type = T;
}

#[diagnostic::do_not_recommend]
impl<T: Impossible + Serialize + DeserializeOwned> Travels<ByNobody> for T {
    type Type = T;
}

/// Marks the implementation of [`Travels`] for all types that serde writes and reads.
#[derive(Debug)]
pub struct BySerde;

/// Marks the implementation of [`Travels`] that applies to no type.
#[derive(Debug)]
pub struct ByNobody;

/// A trait without implementations.
pub trait Impossible {}
