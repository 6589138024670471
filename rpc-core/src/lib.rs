//! Typed RPC over WebSocket: the protocol engine, promises and pipelining.
//!
//! A trait under [`rpc`] becomes a client and a server. A method of the client returns a [`Promise`], which is awaited or
//! passed into later calls before its value is here: a conversation whose calls depend on each other takes one round trip.
//!
//! ```
//! use rpc_core::{Services, memory, rpc};
//!
//! #[rpc_core::data]
//! struct User {
//!     name: String,
//!     boss: Option<u64>,
//! }
//!
//! #[rpc]
//! trait Staff {
//!     async fn find(&self, id: u64) -> Result<User, String>;
//!     async fn greet(&self, name: String) -> String;
//! }
//!
//! struct Office;
//!
//! impl Staff for Office {
//!     async fn find(&self, id: u64) -> Result<User, String> {
//!         match id {
//!             7 => Ok(User { name: "Ann".into(), boss: None }),
//!             _ => Err(format!("nobody has number {id}")),
//!         }
//!     }
//!     async fn greet(&self, name: String) -> String {
//!         format!("Good morning, {name}")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In memory; `rpc_server::Server` and `rpc_client::Client` do the same over a socket.
//! let staff: StaffClient = memory::connect(Services::new().with(StaffServer::new(Office))).service();
//! let ann = staff.find(7);
//! // Both calls leave in one message.
//! assert_eq!(staff.greet(ann.name()).await?, "Good morning, Ann");
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | declare an API | [`rpc`], [`data`], [`Pipeline`] |
//! | make calls | the generated client, [`ServiceClient`], [`Promise`], [`join!`], [`try_join!`] |
//! | offer services | [`Services`], [`Context`] |
//! | send many things | [`Streaming`], [`Broadcast`] |
//! | bound what a peer may cost | [`Limits`], [`MemoryBudget`] |
//! | learn what went wrong | [`CallError`], [`Refusal`], [`CloseReason`] |
//! | test without a socket | [`memory::connect`], [`Context::for_test`] |
//! | describe an API | the module [`schema`], and the crate `rpc-docs` |
//!
//! The modules [`driver`], [`transport`], [`websocket`] and [`close_codes`] are for those who run sessions over something else than
//! the sockets of `rpc-server` and `rpc-client`.
//!
//! # What it needs
//! An application imports everything from `rpc-server` or `rpc-client`, under the same names. A crate that only declares an API needs no other crate and no runtime: it depends on `rpc-core` with
//! `default-features = false`. `rpc-server` and `rpc-client` run sessions, on tokio.
//!
//! # What it does not do
//! Peers are authenticated only by what a server checks in the handshake. There is no client in another language than Rust.

// An API crate builds without a driver: then nothing runs sessions, and the code that only sessions use is dead.
#![cfg_attr(not(feature = "driver"), allow(dead_code, unreachable_pub))]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests choose their numbers")
)]

#[cfg(feature = "driver")]
pub mod driver;
#[cfg(feature = "driver")]
pub mod memory;
pub mod transport;
#[cfg(feature = "websocket")]
pub mod websocket;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

mod aside;
mod buffer;
mod caller;
pub mod close_codes;
mod codec;
mod deadline;
mod element_error;
mod error;
mod handler;
mod id_map;
mod in_order;
mod limits;
mod link;
mod log_rate;
mod memory_budget;
mod never;
mod panics;
mod path;
mod principal;
mod retry;
pub mod schema;
#[cfg(test)]
mod seeded;
mod session;
mod stream;
mod sync;
mod time;
mod value;
mod wire;

pub use caller::{
    args::IntoArg,
    call::{NotSent, join_all},
    pipeline::Pipelined,
    promise::{CallFuture, Promise},
    session_handle::{AsSession, SessionHandle},
    stub::ServiceClient,
};
pub use error::{
    CallError, CloseReason, DecodeError, Delivery, ElementError, EncodeError, EncodedError, MethodName,
    Refusal, Side, SocketError, StopReason, StreamError, StreamStopped, Upstream, Violation,
};
#[doc(hidden)]
pub use handler::dispatch::log_problems;
pub use handler::{
    context::{Context, Peer},
    dispatch::{Service, Services},
};
pub use limits::{Limits, LimitsError};
#[doc(hidden)]
pub use log_rate::LogRate;
pub use memory_budget::MemoryBudget;
pub use never::Never;
pub use path::{PATH_STEPS_MAX, Path, Step};
pub use principal::Principal;
pub use retry::Retry;
pub use rpc_macros::{Pipeline, data, rpc};
pub use session::events::SessionStats;
pub use stream::{Broadcast, Slow, StreamSender, Streaming};

/// Pipes of standard types: promises of their parts. [`Pipelined`] says how to get one.
pub mod pipes {
    pub use crate::{
        caller::pipeline::{Mapped, OptionPipe, SequencePipe},
        stream::pipe::StreamPipe,
    };
}

/// Waits for several promises or futures at once and gives a tuple of their results.
///
/// Like `futures::join!`, but takes promises. All are made into futures before the first is polled, so that their calls
/// leave together.
#[macro_export]
macro_rules! join {
    ($($promise:expr),+ $(,)?) => {
        $crate::__join!(join, ready, [] $($promise,)+)
    };
}

/// Waits for several promises or futures at once and gives a tuple of their values, or the first error.
///
/// Like `futures::try_join!`, but takes promises. Promises of methods without an error join those of methods with one; apart from
/// that, the error types must be the same.
#[macro_export]
macro_rules! try_join {
    ($($promise:expr),+ $(,)?) => { $crate::__try_join!([] $($promise),+) };
}

/// The steps of [`try_join!`]: names the promises one by one, each in a scope of its own, then joins them under one error type.
#[doc(hidden)]
#[macro_export]
macro_rules! __try_join {
    ([$($named:ident)*] $next:expr $(, $promise:expr)*) => {{
        let next = $crate::__private::Joined::new($next);
        $crate::__try_join!([$($named)* next] $($promise),*)
    }};
    ([$($named:ident)+]) => {{
        #[allow(unused_imports)]
        use $crate::__private::{JoinedAsIs as _, KnownError as _};
        let error = $crate::__private::JoinedError::none()$(.or($named.error()))+;
        $crate::__join!(try_join, ok, [] $($named.with(&error),)+)
    }};
}

// The macros of `futures` do the same, but need a crate of procedural macros.
//
// Input: `__join!(join, ready, [] first, second,)`.
// Output: the pairs `join(first, join(second, ready(())))`, awaited and flattened.
#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    // Each round names one future. The names differ although they are spelled alike.
    ($join:ident, $end:ident, [$($known:ident)*] $promise:expr, $($rest:expr,)*) => {
        match $crate::__private::into_future($promise) {
            future => $crate::__join!($join, $end, [$($known)* future] $($rest,)*),
        }
    };
    (join, ready, [$($future:ident)+]) => {
        match $crate::__join!(@pairs join, ready, $($future)+).await {
            $crate::__join!(@pattern $($future)+) => ($($future,)+),
        }
    };
    (try_join, ok, [$($future:ident)+]) => {
        match $crate::__join!(@pairs try_join, ok, $($future)+).await {
            $crate::__private::Result::Ok($crate::__join!(@pattern $($future)+)) => {
                $crate::__private::Result::Ok(($($future,)+))
            }
            $crate::__private::Result::Err(error) => $crate::__private::Result::Err(error),
        }
    };
    (@pairs $join:ident, $end:ident, $future:ident $($rest:ident)*) => {
        $crate::__private::futures::future::$join($future, $crate::__join!(@pairs $join, $end, $($rest)*))
    };
    (@pairs $join:ident, $end:ident,) => {
        $crate::__private::futures::future::$end(())
    };
    (@pattern $future:ident $($rest:ident)*) => {
        ($future, $crate::__join!(@pattern $($rest)*))
    };
    (@pattern) => {
        ()
    };
}

/// Macros that `rpc-client` and `rpc-server` export under the names of those here. Not part of the public API.
#[doc(hidden)]
pub mod __macros {
    pub use rpc_macros::{
        PipelineOfClient, PipelineOfServer, data_of_client, data_of_server, rpc_of_client, rpc_of_server,
    };
}

/// Names that generated code uses. Not part of the public API.
#[doc(hidden)]
pub mod __private {
    pub use std::{
        clone::Clone,
        cmp::{Eq, PartialEq},
        convert::Into,
        fmt::{self, Debug},
        future::{Future, Pending, pending},
        hash::{Hash, Hasher},
        marker::{PhantomData, Send, Sync},
        ops::FnOnce,
        option::Option,
        primitive::{bool, u32, usize},
        result::Result,
        string::String,
        sync::Arc,
        time::Duration,
        vec::Vec,
    };

    pub use futures;
    pub use serde;

    pub use crate::{
        caller::{
            arguments::Arguments,
            arrived::HasElements,
            call::CallBuilder,
            joined::{Joined, JoinedAsIs, JoinedError, KnownError},
            passing::{deserialize as deserialize_object, serialize as serialize_object},
            pipeline::PipeAt,
            session_handle::SessionHandle,
            stub::{Calls, ConnectsTo, ImplementationOf, Stub},
        },
        handler::{
            batch::{nothing, succeeded},
            incoming::{ArgumentError, ArgumentReader, Decode, Incoming, Reply},
        },
        schema::{
            descriptor::{ObjectsCache, SignatureCache},
            layout::declared::{
                ByDeclaration, ByLayout, ByNoLayout, ByNothing, Declaration, Declarations, Declared,
                DeclaredField, DeclaredParts, DeclaredVariant, Element, Remark, Witness,
            },
            plain::{Plain, PlainByDefault, no_result},
            shown::{ByDebug, ByDisplay, ByError, ByNoText},
            travels::Travels,
        },
    };

    /// `IntoFuture::into_future` for promises and futures alike.
    pub fn into_future<P: crate::caller::joined::Joinable<By>, By>(promise: P) -> P::Future {
        promise.joinable()
    }
}
