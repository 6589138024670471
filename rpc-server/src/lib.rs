//! Serves typed, pipelined RPC over WebSocket; see [`Server`].
//!
//! An application needs no other crate of the framework: all of [`rpc_core`] is here under the same names, and the macros
//! generate code that finds it here.
//!
//! ```no_run
//! use rpc_server::{Context, Server, rpc};
//!
//! #[rpc]
//! trait Greeter {
//!     async fn greet(&self, name: String, #[rpc(context)] cx: Context) -> String;
//! }
//!
//! struct English;
//!
//! impl Greeter for English {
//!     async fn greet(&self, name: String, cx: Context) -> String {
//!         format!("Hello, {name} from {:?}!", cx.peer_address())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().service(GreeterServer::new(English)).bind("127.0.0.1:9000").await?;
//! server.serve().await?;
//! # Ok(())
//! # }
//! ```

mod auth;
pub mod listen;
mod server;
mod sessions;
mod signals;
#[cfg(feature = "tls")]
pub mod tls;

pub use auth::{Authenticator, Identity};
pub use rpc_core;
#[doc(no_inline)]
pub use rpc_core::{
    __macros::{PipelineOfServer as Pipeline, data_of_server as data, rpc_of_server as rpc},
    websocket::{HandshakeError, Rejection},
    *,
};
pub use server::{Listening, ServeError, Server, ServerBuilder, ServerHandle};
pub use sessions::ResumeOptions;
