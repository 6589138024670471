//! The macros of `rpc-core`: `#[rpc]` for traits, `#[data]` and `#[derive(Pipeline)]` for the types that travel.
//!
//! Use them through `rpc_core`, which re-exports them; the code they write names its items. Each macro goes parse →
//! model → render. Parsing collects every mistake, each at the user's token, and rendering goes on with what was
//! understood, so that one mistake is one message.

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
/// | method | `batch = "…"` | calls that are ready together are answered by one call of this method; see below |
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
///
/// # Objects
///
/// A client is a value: `ChatClient` may be an argument or a result, a field of a struct, lie in a `Vec`, an `Option`, a map
/// or an error. `RoomClient::local(room)` makes one from an implementation of `Room` (from an `Arc` of one:
/// `RoomServer::from_arc(room).into_client()`); whoever gets it can call it, over the wire or in the same process.
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
/// - An implementation is dropped when nobody holds a client of it any more, here or at the peer, or when the session that
///   it was passed in ends. `client.released()` waits until no peer holds it, `client.closed()` until its session is over.
/// - Clients that the peer holds do not keep a connection open: that is the part of the client, session and promises on this
///   side. Objects that hold clients of each other across the wire live until the session ends; and an object that holds a
///   client of the session which it was passed in keeps that session open, a circle as `Arc`s make them, until it is closed.
/// - A client that comes back to where its object is, is the object: calls on it do not cross the wire. One of another
///   session is passed on: calls go through this process. A *promise* belongs to its session; await it first.
/// - Calls on a local object in its own process go through a session of its own, in the runtime of the first such call.
///
/// `clone`, `local`, `deadline`, `metadata`, `closed` and `released` are methods of every client. A method of the trait with
/// such a name takes its place; use `ServiceClient` for the last four and `…Server::new(…).into_client()` for `local`.
///
/// # Streams
/// `Streaming<T>` is a value as clients are. As a result it is a subscription or a download, as an argument an upload; a
/// method with both talks both ways. `Streaming<T, E>` may end with an error of its producer's own.
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
/// A thousand calls of a method that travel together still make a thousand queries. `batch` names a method of the same
/// trait that takes the arguments of many calls and returns their results, and so makes one.
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
/// Types are written alike in both.
///
/// * **Which calls.** When a call is to start, all calls of its method that the session has ready by then go with it, at
///   most `Limits::batch_max`. Nothing waits for more to come. Every remote call goes through the batch method, also one
///   that is alone; the method itself is called by code that holds the implementation. The batch method can be called
///   remotely too, like any other.
/// * **Order.** The batch starts in the place of its first call, so the others may start before calls of other methods
///   that became ready before them. A call that must see what another one did is built on it or made when that is done. In
///   an `ordered` trait, only calls share a batch that no call of another of the trait's methods comes between.
/// * **Arguments** come in the order in which the calls became ready, duplicates included. A call whose arguments cannot
///   be decoded fails alone, and is not among them.
/// * **Results** are in that order, one for each call. With any other number all calls fail with `InvalidArgument` of
///   `(result)`, and the log names the method. A result that cannot be encoded fails its own call.
/// * **A panic** fails the calls of the batch as panicked, and no others.
/// * **Cancelling.** The batch goes on while one of its callers waits, and a cancelled call counts towards
///   `Limits::calls_max` until the batch is over. When all are cancelled, its future is dropped, unless the method is
///   `no_cancel`. A deadline that passes ends its own call; for what the batch does, the latest one counts, and none if
///   one call has none.
/// * **A context** stands for all calls of a batch: its deadline is the latest, it is cancelled when all are. If the batch
///   method takes one, calls with different metadata are answered by calls of their own.
/// * **Other options** are those of the method for its calls, and those of the batch method for calls of that. Neither
///   can be `blocking`.
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
