//! The macros of `rpc-core`: `#[rpc]` for traits, `#[data]` and `#[derive(Pipeline)]` for the types that travel.
//!
//! Use them through `rpc_core`, which re-exports them; the code they write names its items. Each macro goes parse →
//! model → render. Parsing collects every mistake, each at the user's token, and rendering goes on with what was
//! understood, so that one mistake is one message.

mod attributes;
mod batch;
mod client;
mod data;
mod descriptor;
mod errors;
mod model;
mod pipeline;
mod rpc;
mod server;
mod text;
mod trait_;
mod travel;

#[cfg(test)]
mod tests;

/// Makes a trait callable from the other side of a session.
///
/// From `trait Chat` it writes `ChatClient`, whose methods return promises; `ChatServer<Implementation>`, which
/// answers calls with an implementation of the trait; and the description of the service that both share. The trait
/// stays a plain one: implement it with `async fn` and test the implementation without any RPC. Its futures must be
/// `Send`, the implementation `Send + Sync + 'static`.
///
/// Arguments, fields and variants travel by position. Both sides compare their names and kinds before a method is
/// called, so a change that one side does not have is refused in words and never misread; add to an API with a new
/// method. `E` should implement `std::error::Error`, so that `?` works for callers.
///
/// A method is `async fn name(&self, argument: Type, …) -> Result<T, E>;`, or returns a plain `T`, or nothing. Types
/// are owned, and serde can write and read them.
///
/// | on | option | says |
/// |---|---|---|
/// | trait, method | `name = "…"` | the name on the wire, when the Rust name is to change |
/// | trait | `ordered` | a call that waits for a promise holds back later calls |
/// | trait | `crate = path` | where `rpc_core` is, if not at `::rpc_core` |
/// | method | `idempotent` | running it twice does what once does; it may be retried |
/// | method | `oneway` | nothing comes back, not even an error |
/// | method | `blocking` | the `async fn`'s body may block its thread; it runs on the blocking pool |
/// | method | `no_cancel` | a dropped promise does not stop the handler |
/// | parameter | `context` | the handler's `Context`; it does not travel. A type written `&Context` gets a reference |
///
/// # Example
/// ```
/// use rpc_core::{Context, rpc};
/// # #[rpc_core::data]
/// # pub struct User { pub id: u64 }
/// # #[rpc_core::data]
/// # pub enum ChatError { Nobody }
///
/// #[rpc]
/// pub trait Chat {
///     /// Finds a user by name.
///     #[rpc(idempotent)]
///     async fn find(&self, name: String) -> Result<User, ChatError>;
///     async fn who(&self, #[rpc(context)] cx: Context) -> String;
///     #[rpc(oneway)]
///     async fn log(&self, line: String);
/// }
/// ```
#[proc_macro_attribute]
pub fn rpc(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rpc::expand(arguments.into(), item.into()).into()
}

/// Derives what a type needs to travel: serde's `Serialize` and `Deserialize`, and [`Pipeline`](derive@Pipeline).
///
/// It uses the serde that `rpc_core` uses, so that an API crate depends on `rpc_core` alone. `#[serde(…)]` attributes
/// and other derives work as usual; they come after `#[data]`. `#[data(crate = path)]` says where `rpc_core` is, if
/// not at `::rpc_core`.
///
/// # Example
/// ```
/// #[rpc_core::data]
/// #[derive(Debug, Clone)]
/// pub struct User { pub id: u64, pub name: String }
/// ```
#[proc_macro_attribute]
pub fn data(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    data::expand(arguments.into(), item.into()).into()
}

/// Makes the parts of a promised value usable before it is here: `Promise<User, E>` gets `id()`, `name()`, ….
///
/// * A struct's pipe has one method per field; a tuple struct's are `_0()`, `_1()`, …. Each is as visible as its field.
/// * An enum's pipe has one method per variant, in snake case, for the fields of that variant. A call that uses a
///   field of another variant than the value's fails with `Upstream`. Variants without fields have no method.
/// * Fields and variants count as serde writes them: `#[serde(skip)]` leaves a field out.
/// * A field or variant with `#[serde(with)]`, `serialize_with` or `deserialize_with` has no method, because its bytes
///   are not those of its type. It still travels with the whole value.
/// * Refused is what makes positions depend on the value, or the bytes those of another type: `skip_serializing_if`,
///   `flatten`, `tag`, `content`, `untagged`, `from`, `try_from`, `into`, `remote`.
///
/// `#[pipeline(crate = path)]` says where `rpc_core` is, if not at `::rpc_core`.
#[proc_macro_derive(Pipeline, attributes(pipeline, serde))]
pub fn pipeline(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    pipeline::expand(item.into()).into()
}
