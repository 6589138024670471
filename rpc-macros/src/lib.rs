//! The macros of `rpc-core`: `#[rpc]` for traits, `#[data]` and `#[derive(Pipeline)]` for the types that travel.
//!
//! Use them through `rpc_core`, which re-exports them: generated code names its items. Each macro goes parse → model → render.
//! Parsing collects all errors, each at the user's token. Rendering continues with the valid parts, so that one mistake gives
//! one message.

mod attributes;
mod batch;
mod client;
mod data;
mod declaration;
mod descriptor;
mod errors;
mod model;
mod names;
mod pipeline;
mod rpc;
mod server;
mod text;
mod trait_;
mod travel;

#[cfg(test)]
mod tests;

use attributes::Runtime;

/// Makes a trait callable from the other side of a session.
///
/// For `trait Chat` the macro generates `ChatClient`, whose methods return promises; `ChatServer<Implementation>`, which
/// answers calls with an implementation of the trait; and the descriptor of the service that both share. The trait
/// stays a plain trait: implement it with `async fn` and test the implementation without any RPC. Its futures must be
/// `Send`, the implementation `Send + Sync + 'static`.
///
/// Arguments, fields and variants travel by position. Both sides compare names and kinds before a method is called. A method
/// that differs between the two sides is refused with both signatures and never misread; extend an API with new methods.
/// `E` should implement `std::error::Error`, so that `?` works for callers.
///
/// A method is `async fn name(&self, argument: Type, …) -> Result<T, E>;`, or returns a plain `T`, or nothing. Types
/// are owned and implement serde's `Serialize` and `Deserialize`: write `#[rpc_core::data]` above your own. serde's two derives alone
/// make a type a value, but give promises of it no methods for its fields. An alias of `Result` is refused, because its error is
/// not seen.
///
/// | on | option | meaning |
/// |---|---|---|
/// | trait, method | `name = "…"` | the name on the wire; keeps it when the Rust name changes |
/// | trait | `ordered` | a call that waits for a promise holds back later calls |
/// | trait | `crate = path` | the path of `rpc_core`, if not `::rpc_core` |
/// | method | `idempotent` | running the method twice has the effect of running it once; it may be retried |
/// | method | `oneway` | the caller gets no result and no error |
/// | method | `blocking` | the `async fn`'s body may block its thread; it runs on the blocking pool |
/// | method | `no_cancel` | a dropped promise does not stop the handler |
/// | method | `batch = "…"` | calls that are ready together are answered by one call of this method; see below |
/// | parameter | `context` | the handler's `Context`; it does not travel. A type written `&Context` gets a reference |
///
/// The trait alone has these options. An implementation repeats none of them: `async fn who(&self, cx: Context) -> String`.
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
///
/// # Objects
///
/// A client is a value: `ChatClient` may be an argument, a result, a field of a struct, or an element of a `Vec`, an `Option`, a
/// map or an error. `RoomClient::local(room)` makes one from an implementation of `Room`;
/// `RoomServer::from_arc(room).into_client()` makes one from an `Arc`. Its receiver can call it, over the wire or in the same
/// process.
///
/// ```
/// # use rpc_core::rpc;
/// #[rpc]
/// trait Chat {
///     async fn enter(&self, room: String) -> RoomClient;                   // hands out an object
/// }
/// #[rpc]
/// trait Room {
///     async fn listen(&self, listener: ListenerClient);                    // takes one, to call it back
///     async fn title(&self) -> String;
/// }
/// #[rpc]
/// trait Listener {
///     async fn heard(&self, text: String);
/// }
///
/// struct House;
/// impl Chat for House {
///     async fn enter(&self, room: String) -> RoomClient {
///         RoomClient::local(Chamber(room))
///     }
/// }
/// struct Chamber(String);
/// impl Room for Chamber {
///     async fn listen(&self, listener: ListenerClient) {
///         let _ = listener.heard("welcome").await;
///     }
///     async fn title(&self) -> String {
///         self.0.clone()
///     }
/// }
/// struct Ear;
/// impl Listener for Ear {
///     async fn heard(&self, text: String) {
///         assert_eq!(text, "welcome");
///     }
/// }
///
/// # async fn visit(chat: ChatClient) -> Result<(), Box<dyn std::error::Error>> {
/// let room = chat.enter("kitchen");                                        // a promise of an object
/// let listening = room.listen(ListenerClient::local(Ear));                 // called before it exists
/// let (title, ()) = rpc_core::try_join!(room.title(), listening)?;
/// assert_eq!(title, "kitchen");
/// # Ok(())
/// # }
/// ```
///
/// - An implementation is dropped when the last client of it is dropped, on both sides, or when the session in which it was
///   passed ends. `client.released()` waits until no peer holds it, `client.closed()` until its session has ended.
/// - Clients that the peer holds do not keep a connection open; clients, session handles, promises and
///   streams on this side do. Objects
///   that hold clients of each other across the wire live until the session ends. An object that holds a client of the session
///   in which it was passed keeps that session open until it is closed, like a cycle of `Arc`s.
/// - A client that returns to the process of its object becomes the object itself: calls on it do not cross the wire. A client
///   of another session is forwarded: its calls go through this process. A *promise* belongs to its session; await it first.
/// - Calls on a local object in its own process go through a session of their own, in the runtime of the first such call.
///
/// `new`, `clone`, `local`, `deadline`, `metadata`, `closed` and `released` are methods of every client. A method of the trait with
/// such a name replaces it; use `ServiceClient` for the last four and `…Server::new(…).into_client()` for `local`.
///
/// # Streams
/// `Streaming<T>` is a value like a client. As a result it is a subscription or a download, as an argument an upload; a
/// method with both streams in both directions. `Streaming<T, E>` may end with an error that its producer chooses.
/// ```
/// # use rpc_core::{Streaming, rpc};
/// #[rpc]
/// trait Thermometer {
///     async fn degrees(&self) -> Streaming<f64>;                             // the client reads
///     async fn mean(&self, degrees: Streaming<f64>) -> f64;                  // the server reads
/// }
/// struct Lab;
/// impl Thermometer for Lab {
///     async fn degrees(&self) -> Streaming<f64> {
///         Streaming::from_iter([20.0, 21.0, 22.0])                           // or `new` of any `futures::Stream`
///     }
///     async fn mean(&self, mut degrees: Streaming<f64>) -> f64 {
///         let (mut sum, mut count) = (0.0, 0.0);
///         while let Some(Ok(now)) = degrees.next().await {
///             (sum, count) = (sum + now, count + 1.0);
///         }
///         sum / count
///     }
/// }
/// # async fn read(lab: ThermometerClient) -> Result<(), Box<dyn std::error::Error>> {
/// let mut degrees = lab.degrees().await?;
/// while let Some(now) = degrees.next().await {
///     println!("{}", now?);
/// }
/// let mean = lab.mean(lab.degrees()).await?;                                 // stays at the server
/// # Ok(())
/// # }
/// ```
///
/// # Batches
/// A thousand calls of a method in one message still make a thousand database queries. `batch` names a method of the same
/// trait that takes the arguments of many calls and returns their results, so that one query answers all.
/// ```
/// # #[rpc_core::data]
/// # pub struct User { pub id: u64 }
/// # #[rpc_core::data]
/// # pub enum ChatError { Nobody }
/// #[rpc_core::rpc]
/// pub trait Chat {
///     #[rpc(batch = "profiles")]
///     async fn profile(&self, id: u64) -> Result<User, ChatError>;
///     async fn profiles(&self, ids: Vec<u64>) -> Vec<Result<User, ChatError>>;
/// }
/// ```
/// | method | its batch method |
/// |---|---|
/// | takes `id: A` | takes `ids: Vec<A>` |
/// | takes `a: A, b: B` | takes `calls: Vec<(A, B)>` |
/// | returns `Result<T, E>` | returns `Vec<Result<T, E>>`, or `Result<Vec<Result<T, E>>, E>` to fail as a whole |
/// | returns `T` | returns `Vec<T>` |
/// | returns nothing, or is `oneway` | returns nothing |
/// | takes a context | takes a context |
///
/// Both methods must write the types in the same way.
///
/// * **Which calls.** When a call of the method starts, all ready calls of the same method in the session join its batch, at
///   most `Limits::batch_max`. No call waits for further ones. Every remote call goes through the batch method, a single
///   one too; the method itself is only called by code that holds the implementation. The batch method can also be called
///   remotely, like any other method.
/// * **Order.** The batch starts in the place of its first call. Its other calls may therefore start before calls of other
///   methods that became ready earlier. If a call depends on the effects of another, build it on that call's promise or make
///   it after that call has returned. In an `ordered` trait, calls share a batch only if no call of another method of the trait
///   comes between them.
/// * **Arguments** are in the order in which the calls became ready, duplicates included. A call whose arguments cannot
///   be decoded fails alone and is left out.
/// * **Results** are in the same order, one for each call. With any other number, all calls fail with `InvalidArgument` of
///   `(result)`, and the log names the method. A result that cannot be encoded fails its own call.
/// * **A panic** fails the calls of the batch as panicked, and no others.
/// * **Cancelling.** The batch continues while one of its callers waits. A cancelled call counts towards
///   `Limits::calls_max` until the batch ends. When all calls are cancelled, the batch's future is dropped, unless the method
///   is `no_cancel`. A deadline that passes ends its own call only. The batch's deadline is the latest of its calls'; it has
///   none if one call has none.
/// * **A context** stands for all calls of a batch: it has the latest deadline, and is cancelled when all calls are. If the
///   batch method takes a context, calls with different metadata are in separate batches.
/// * **Other options**: the method's options apply to its calls, the batch method's options to direct calls of that method.
///   Neither can be `blocking`.
#[proc_macro_attribute]
pub fn rpc(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rpc::expand(Runtime::Core, arguments.into(), item.into()).into()
}

/// [`rpc`], for crates that depend on `rpc-client` and not on `rpc-core`.
#[proc_macro_attribute]
pub fn rpc_of_client(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    rpc::expand(Runtime::Client, arguments.into(), item.into()).into()
}

/// [`rpc`], for crates that depend on `rpc-server` and not on `rpc-core`.
#[proc_macro_attribute]
pub fn rpc_of_server(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    rpc::expand(Runtime::Server, arguments.into(), item.into()).into()
}

/// Derives what a type needs to travel: serde's `Serialize` and `Deserialize`, and [`Pipeline`](derive@Pipeline).
///
/// The derives use the serde of `rpc_core`, so that an API crate depends on `rpc_core` alone. `#[serde(…)]` attributes
/// and other derives work as usual; write them after `#[data]`. `#[data(crate = path)]` sets the path of `rpc_core`, if it is
/// not `::rpc_core`.
///
/// # Example
/// ```
/// #[rpc_core::data]
/// #[derive(Debug, Clone)]
/// pub struct User { pub id: u64, pub name: String }
/// ```
#[proc_macro_attribute]
pub fn data(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    data::expand(Runtime::Core, arguments.into(), item.into()).into()
}

/// [`data`], for crates that depend on `rpc-client` and not on `rpc-core`.
#[proc_macro_attribute]
pub fn data_of_client(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    data::expand(Runtime::Client, arguments.into(), item.into()).into()
}

/// [`data`], for crates that depend on `rpc-server` and not on `rpc-core`.
#[proc_macro_attribute]
pub fn data_of_server(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    data::expand(Runtime::Server, arguments.into(), item.into()).into()
}

/// Makes the parts of a promised value usable before the value has arrived: `Promise<User, E>` gets `id()`, `name()`, ….
///
/// * A struct's pipe has one method per field; a tuple struct's are `_0()`, `_1()`, …. Each is as visible as its field.
/// * An enum's pipe has one method per variant, in snake case, for the fields of that variant. A call that uses a
///   field of another variant than the value's fails with `Upstream`. Variants without fields have no method.
/// * Fields and variants count as serde writes them: `#[serde(skip)]` leaves a field out.
/// * A field or variant with `#[serde(with)]`, `serialize_with` or `deserialize_with` has no method, because its bytes
///   are not those of its type. It still travels with the whole value.
/// * Some serde attributes are refused, because positions would depend on the value or the bytes would be those of another
///   type: `skip_serializing_if`, `flatten`, `tag`, `content`, `untagged`, `from`, `try_from`, `into`, `remote`.
///
/// `#[pipeline(crate = path)]` sets the path of `rpc_core`, if it is not `::rpc_core`.
#[proc_macro_derive(Pipeline, attributes(pipeline, serde))]
pub fn pipeline(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    pipeline::expand(Runtime::Core, item.into()).into()
}

/// [`Pipeline`](derive@Pipeline), for crates that depend on `rpc-client` and not on `rpc-core`.
#[proc_macro_derive(PipelineOfClient, attributes(pipeline, serde))]
pub fn pipeline_of_client(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    pipeline::expand(Runtime::Client, item.into()).into()
}

/// [`Pipeline`](derive@Pipeline), for crates that depend on `rpc-server` and not on `rpc-core`.
#[proc_macro_derive(PipelineOfServer, attributes(pipeline, serde))]
pub fn pipeline_of_server(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    pipeline::expand(Runtime::Server, item.into()).into()
}
