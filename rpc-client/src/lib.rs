//! Connects to services that speak typed, pipelined RPC over WebSocket; see [`Client`].
//!
//! An application needs no other crate of the framework: all of [`rpc_core`] is here under the same names, and the macros
//! generate code that finds it here.
//!
//! ```no_run
//! use rpc_client::{CallError, Client, data, rpc};
//!
//! #[data]
//! struct User {
//!     name: String,
//! }
//!
//! #[rpc]
//! trait Staff {
//!     async fn find(&self, id: u64) -> Result<User, String>;
//!     async fn greet(&self, name: String) -> String;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("ws://127.0.0.1:9000").await?;
//! let staff: StaffClient = client.service();
//! match staff.greet(staff.find(7).name()).await {
//!     Ok(greeting) => println!("{greeting}"),
//!     Err(CallError::Upstream(upstream)) => eprintln!("{:?}", upstream.downcast::<String>()),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```

pub mod address;
mod client;
mod connector;
mod dial;
mod reconnect;
#[cfg(feature = "tls")]
pub mod tls;

pub use client::{Client, ClientBuilder};
pub use dial::ConnectError;
pub use reconnect::{ConnectionState, Reconnect};
pub use rpc_core;
#[doc(no_inline)]
pub use rpc_core::{
    __macros::{PipelineOfClient as Pipeline, data_of_client as data, rpc_of_client as rpc},
    driver::WaitingCalls,
    websocket::HandshakeError,
    *,
};
