//! Error types, one for each party to blame: the call, the peer, the socket, the bytes of a value.

use std::{any::Any, error::Error, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    limits::{LimitText, LimitsError},
    path::Path,
    schema::shown::CauseOf,
};

/// A method by its names on the wire. Its text is `Chat.find`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodName {
    /// The service's name.
    pub service: &'static str,
    /// The method's name in the service.
    pub method: &'static str,
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.method)
    }
}

/// Why a call did not produce a value.
///
/// `E` is the method's own error type. Where a gRPC status code says the same, the variant has its name. The method in a
/// variant is the called one; that of a map is `map`, in the service that made the list.
///
/// # Example
/// ```
/// # use rpc_core::{CallError, Promise};
/// # #[rpc_core::data]
/// # #[derive(Debug, thiserror::Error)]
/// # enum ChatError { #[error("nobody is called {0}")] Nobody(String) }
/// # async fn find(found: Promise<u64, ChatError>) {
/// match found.await {
///     Ok(id) => println!("number {id}"),
///     Err(CallError::Method(ChatError::Nobody(name))) => println!("nobody is called {name}"),
///     Err(CallError::DeadlineExceeded { .. }) => println!("try again later"),
///     Err(error) => eprintln!("{error}"), // names the method; its source is the cause
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E = crate::never::Never> {
    /// The method ran and returned its own error, which gives this one its text.
    Method(E),
    /// A promise this call was built on failed, so this call never ran.
    Upstream(Upstream),
    /// An element of a `map` failed, and with it the map.
    Element {
        /// The index of the first element that failed, counted from 0.
        index: u64,
        /// The method of the closure that failed.
        method: MethodName,
        /// The error that the closure's promise for this element would have failed with outside of a map: `Method` if the
        /// call whose result the closure returned failed with its own error, `Upstream` if another call of the closure did.
        error: Box<CallError<E>>,
    },
    /// The deadline passed. The handler was told to stop; it may have run in part.
    DeadlineExceeded {
        /// The called method.
        method: MethodName,
    },
    /// The call was cancelled, by this side or because the peer is shutting its work down.
    Cancelled {
        /// The called method.
        method: MethodName,
    },
    /// The peer, or this side before sending, would not run the call.
    Refused {
        /// The called method.
        method: MethodName,
        /// Why it was not run.
        refusal: Refusal,
    },
    /// The handler panicked. The peer's session goes on.
    Panicked {
        /// The called method.
        method: MethodName,
    },
    /// The peer answered with bytes that are not the method's result.
    BadAnswer {
        /// The called method.
        method: MethodName,
        /// The fault of the bytes.
        error: DecodeError,
    },
    /// The session ended first; `delivery` says whether the peer can have run the call.
    Disconnected {
        /// The called method.
        method: MethodName,
        /// How far the call got.
        delivery: Delivery,
        /// Why the session ended.
        reason: CloseReason,
    },
}

impl<E> CallError<E> {
    /// Whether the method can have run, in part or whole, so that a call made again could run it twice. False only if it cannot:
    /// the call was refused before it ran, was not sent, or was built on one that failed.
    ///
    /// A map's calls can have run if the map has begun.
    pub fn may_have_run(&self) -> bool {
        match self {
            // A part that its own result does not have.
            Self::Upstream(upstream) => upstream.method == upstream.failed,
            Self::Disconnected { delivery, .. } => *delivery != Delivery::NotSent,
            Self::Refused { refusal, .. } => match refusal {
                // Where the call stood when the limit was reached is not told: it may be the result that is too long.
                Refusal::ResourceExhausted { .. } => true,
                Refusal::InvalidArgument { argument, .. } => argument == "(result)",
                _ => false,
            },
            Self::Method(_)
            | Self::Element { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Cancelled { .. }
            | Self::Panicked { .. }
            | Self::BadAnswer { .. } => true,
        }
    }

    /// The method's own error, if it returned one; also the one it returned for an element of a map.
    pub fn own(&self) -> Option<&E> {
        match self {
            Self::Method(error) => Some(error),
            Self::Element { error, .. } => error.own(),
            _ => None,
        }
    }
}

/// The method's own error reads as it is; everything else names the method.
impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &|own, f| own.fmt(f))
    }
}

impl<E> CallError<E> {
    /// Writes the text, with `write_own` for the method's own error.
    pub(crate) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        write_own: &dyn Fn(&E, &mut fmt::Formatter<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let method = match self {
            Self::Method(own) => return write_own(own, f),
            Self::Element { index, method, error } => {
                write!(f, "element {index} of the map failed: ")?;
                if let Self::Method(_) = **error {
                    write!(f, "`{method}` failed: ")?;
                }
                return error.write(f, write_own);
            }
            Self::Upstream(upstream) => return write!(f, "{upstream}"),
            Self::Refused { method, refusal } => return write!(f, "{}", refusal.of(*method)),
            Self::DeadlineExceeded { method }
            | Self::Cancelled { method }
            | Self::Panicked { method }
            | Self::BadAnswer { method, .. }
            | Self::Disconnected { method, .. } => method,
        };
        write!(f, "`{method}`: {}", self.reason())
    }

    /// The text without the method's name, for sentences that have named it, and without that of its own error, for which
    /// `E` need not have one.
    pub(crate) fn reason(&self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Method(_) => f.write_str("the method failed"),
            Self::Upstream(upstream) => write!(f, "it was {}", upstream.reason()),
            Self::Element { .. } => self.write(f, &|_, f| f.write_str("the method failed")),
            Self::DeadlineExceeded { .. } => f.write_str("the deadline passed before the call returned"),
            Self::Cancelled { .. } => f.write_str("the call was cancelled"),
            Self::Refused { refusal, .. } => write!(f, "{refusal}"),
            Self::Panicked { .. } => f.write_str("the handler panicked"),
            Self::BadAnswer { .. } => f.write_str("the answer could not be decoded"),
            Self::Disconnected { delivery, .. } => {
                write!(f, "the session closed before the call returned ({delivery})")
            }
        })
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    /// The cause. That of the method's own error, which `Method` reads as; below a map, the method's own error.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Method(own) => own.source(),
            Self::Element { error, .. } => error.own_or_source(),
            Self::Upstream(upstream) => upstream.source(),
            Self::BadAnswer { error, .. } => Some(error),
            Self::Disconnected { reason, .. } => Some(reason),
            Self::Refused { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Cancelled { .. }
            | Self::Panicked { .. } => None,
        }
    }
}

impl<E: Error + 'static> CallError<E> {
    /// The source of an error that this one is the reason of: the method's own error, or the source of any other.
    pub(crate) fn own_or_source(&self) -> Option<&(dyn Error + 'static)> {
        match self.own() {
            Some(own) => Some(own),
            None => self.source(),
        }
    }
}

/// A promise that a call was built on failed: which one, and with what.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) method: MethodName,
    pub(crate) failed: MethodName,
    pub(crate) cause: UpstreamCause,
}

#[derive(Clone)]
pub(crate) enum UpstreamCause {
    /// The `CallError<E>` of the call that failed, with its own `E`.
    Failed { error: Arc<dyn Any + Send + Sync>, text: Arc<str>, cause_of: Option<CauseOf> },
    /// The call succeeded, but the value has nothing at this path: `None`, another variant, past the end.
    Missed { path: Path, words: Box<str> },
}

impl Upstream {
    /// The called method, which never ran.
    pub fn method(&self) -> MethodName {
        self.method
    }

    /// The method that failed, or whose result has nothing at the path.
    pub fn failed(&self) -> MethodName {
        self.failed
    }

    /// The failed call's whole error, if its method's own error type is `E`.
    pub fn call_error<E: 'static>(&self) -> Option<&CallError<E>> {
        match &self.cause {
            UpstreamCause::Failed { error, .. } => error.downcast_ref(),
            UpstreamCause::Missed { .. } => None,
        }
    }

    /// The typed error that the failed method returned, if it returned one and its type is `E`.
    pub fn downcast<E: 'static>(&self) -> Option<&E> {
        self.call_error::<E>()?.own()
    }

    /// The path that led to no value (`None`, another variant, an index past the end), if that is why the promise failed.
    pub fn missed(&self) -> Option<&Path> {
        match &self.cause {
            UpstreamCause::Missed { path, .. } => Some(path),
            UpstreamCause::Failed { .. } => None,
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, failed, cause } = self;
        match cause {
            // A part that was asked for itself.
            UpstreamCause::Missed { words, .. } if method == failed => {
                write!(f, "the result of `{failed}` has nothing at {words}")
            }
            _ => write!(f, "`{method}` was {}", self.reason()),
        }
    }
}

impl Upstream {
    fn reason(&self) -> impl fmt::Display {
        let Self { failed, cause, .. } = self;
        fmt::from_fn(move |f| match cause {
            UpstreamCause::Failed { text, .. } => write!(f, "built on `{failed}`, which failed: {text}"),
            UpstreamCause::Missed { words, .. } => {
                write!(f, "built on the result of `{failed}`, which has nothing at {words}")
            }
        })
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.to_string()).finish()
    }
}

impl Error for Upstream {
    /// The source of the failed call's error, whose text is part of this one's: above all, its method's own error, where that
    /// is an [`Error`].
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            UpstreamCause::Failed { error, cause_of, .. } => (*cause_of)?(&**error),
            UpstreamCause::Missed { .. } => None,
        }
    }
}

/// Why a call was not run, or why its result could not come back.
///
/// Nothing was executed, with two exceptions: the call ran if its result was too long or found no memory left
/// ([`ResourceExhausted`](Self::ResourceExhausted) of `payload_bytes_max`, `held_bytes_max`, `session_bytes_max` or `memory_budget`), or if
/// its result could not be encoded ([`InvalidArgument`](Self::InvalidArgument) of `(result)`).
/// [`CallError::may_have_run`] knows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer serves no service of this name.
    #[error("the peer has no service `{service}`; a server offers one with `.service(…)`")]
    UnknownService {
        /// The wire name that was asked for.
        service: String,
    },
    /// The peer's service has no method of this name.
    #[error("the peer's service `{service}` has no method `{method}`")]
    UnknownMethod {
        /// The wire name of the service.
        service: String,
        /// The wire name that was asked for.
        method: String,
    },
    /// Both sides have the method, but its arguments or result have different layouts on the two sides.
    #[error("`{method}` differs between the two sides\n  here: {ours}\n  peer: {theirs}")]
    SchemaMismatch {
        /// `Service.method`.
        method: String,
        /// The signature's layout on this side.
        ours: String,
        /// The signature's layout on the peer's side.
        theirs: String,
    },
    /// A type of the method cannot be sent: serde writes it differently than it reads it, it cannot be encoded, or its layout
    /// cannot be found out. Detected on this side before sending, or by the peer. A service with such a method is not offered.
    #[error("`{method}` cannot be called: {reason}")]
    NotCallable {
        /// `Service.method`.
        method: String,
        /// Which part of which argument or result is at fault, and how to mend it.
        reason: String,
    },
    /// An argument could not be encoded on this side or decoded by the peer.
    #[error("argument `{argument}` of the call is not valid: {reason}")]
    InvalidArgument {
        /// The argument's name in the trait.
        argument: String,
        /// The fault of the argument, in words.
        reason: String,
    },
    /// An argument refers to a result that the peer does not hold, or that has another layout than the argument.
    #[error("the reference in argument `{argument}` is not valid: {reason}")]
    InvalidReference {
        /// The argument's name in the trait.
        argument: String,
        /// The fault of the reference, in words.
        reason: String,
    },
    /// A limit would have been exceeded.
    #[error("{}", limit_text(limit, *side, *needed, *allowed, *retry_after))]
    ResourceExhausted {
        /// The name of the limit in [`Limits`](crate::Limits).
        limit: String,
        /// The side that has the limit.
        side: Side,
        /// The bytes or the number that the call would have brought the limit's figure to; `None` where the limit's side did
        /// not say.
        needed: Option<u64>,
        /// The bytes or the number that the limit allows; `None` where the limit's side did not say.
        allowed: Option<u64>,
        /// How long to wait before a retry, if the limit's side knows.
        retry_after: Option<Duration>,
    },
    /// The peer is shutting down and takes no new calls.
    #[error("the peer takes no new calls")]
    Unavailable,
    /// The peer does not know who is calling.
    #[error("the caller is not authenticated")]
    Unauthenticated,
    /// The caller may not do this.
    #[error("the caller may not do this")]
    PermissionDenied,
    /// The object behind a reference cannot be reached: its session is over, or the call that promised it failed.
    #[error("the object cannot be reached: {reason}")]
    Unreachable {
        /// Why not.
        reason: String,
    },
    /// This side used the promise in a way that cannot work.
    #[error("the promise cannot be used like this: {reason}")]
    Misuse {
        /// How the promise was used.
        reason: String,
    },
}

impl Refusal {
    /// The text as that of a call of this method.
    pub(crate) fn of(&self, method: MethodName) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            // These name it themselves.
            Self::UnknownMethod { .. } | Self::SchemaMismatch { .. } | Self::NotCallable { .. } => {
                write!(f, "{self}")
            }
            _ => write!(f, "`{method}`: {self}"),
        })
    }
}

/// One of the two sides of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// This side.
    Local,
    /// The other side.
    Peer,
}

/// The text of a limit that was reached.
fn limit_text(
    limit: &str,
    side: Side,
    needed: Option<u64>,
    allowed: Option<u64>,
    retry_after: Option<Duration>,
) -> impl fmt::Display {
    let whose = match side {
        Side::Local => "this side's",
        Side::Peer => "the peer's",
    };
    let (needed, allowed) = (needed.unwrap_or_default(), allowed.unwrap_or_default());
    fmt::from_fn(move |f| {
        write!(f, "{whose} {}", LimitText { limit, needed, allowed })?;
        match retry_after {
            Some(after) => write!(f, "; retry after {after:?}"),
            None => Ok(()),
        }
    })
}

/// Why reading a stream gave an error instead of the next item.
///
/// Every variant but [`Missed`](Self::Missed) ends the stream. `E` is the error type of its producer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError<E = crate::never::Never> {
    /// The producer ended the stream with its own error.
    #[error("the stream failed")]
    Failed(#[source] E),
    /// The producer left out items at this point, because this reader was too slow; see [`Slow`](crate::Slow). The stream
    /// goes on.
    #[error("{count} items were left out")]
    Missed {
        /// The number of items left out.
        count: u64,
    },
    /// The producer was dropped before it said that the stream is complete.
    #[error("the stream was abandoned: its producer was dropped without `finish` or `fail`")]
    Abandoned,
    /// The producer panicked.
    #[error("the producer of the stream panicked")]
    Panicked,
    /// An item's bytes are not a value of its type.
    #[error("an item could not be decoded")]
    BadItem(#[source] DecodeError),
    /// The stream could not go on: a limit was reached, an item cannot be encoded, the subscriber fell behind, or a third
    /// party cannot be reached.
    #[error("the stream broke off: {reason}")]
    Broken {
        /// What happened.
        reason: String,
    },
    /// Another reader took the stream, or it was passed on.
    #[error("the stream was taken by another reader")]
    Taken,
    /// The session that carried the stream ended first.
    #[error("the session closed before the stream was complete")]
    Disconnected(#[source] CloseReason),
}

/// Why a stream's reader stopped, as its producer sees it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// The reader dropped the stream.
    #[error("nobody reads it")]
    NotWanted,
    /// The reader refused more items, or a limit on the way to it did.
    #[error("it was refused: {reason}")]
    Refused {
        /// The text the reader gave, or the limit that was reached.
        reason: String,
    },
    /// The session to the reader ended.
    #[error("the session to its reader closed")]
    Disconnected(#[source] CloseReason),
}

impl StopReason {
    pub(crate) fn refused(reason: &str) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// The error of sending an item on a stream that is over.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the stream was stopped")]
#[non_exhaustive]
pub struct StreamStopped {
    /// Why the stream is over.
    #[source]
    pub reason: StopReason,
}

/// How far a call got before its session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// The call never left this process: a retry is safe.
    NotSent,
    /// The call was handed to the socket; whether the peer received it is unknown.
    Unacknowledged,
    /// The peer acknowledged the call; how it ended is unknown.
    Accepted,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivery::NotSent => "the call was not sent",
            Delivery::Unacknowledged => "the peer may have run the call",
            Delivery::Accepted => "the peer accepted the call",
        })
    }
}

/// Why a session ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// The peer closed the session in good order.
    #[error("closed by the peer (code {code}){}{text}", if text.is_empty() { "" } else { ": " })]
    Peer {
        /// The close code; see [`close_codes`](crate::close_codes).
        code: u16,
        /// The reason text the peer sent.
        text: String,
    },
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[source] SocketError),
    /// The peer broke the protocol and was cut off.
    #[error("the peer broke the protocol")]
    Violation(#[source] Violation),
    /// The peer took no bytes for [`Limits::write_stall`](crate::Limits::write_stall), although some waited for it.
    #[error("the peer stopped reading")]
    Stalled,
    /// The peer began a payload in chunks and sent too little of it for
    /// [`Limits::message_timeout`](crate::Limits::message_timeout).
    #[error("the peer stopped in the middle of a payload")]
    PayloadStalled,
    /// The peer did not complete its hello within [`Limits::hello_timeout`](crate::Limits::hello_timeout).
    #[error("the peer did not say hello in time")]
    HelloTimeout,
    /// The session was not used for [`Limits::idle_timeout`](crate::Limits::idle_timeout) of this side.
    #[error("the session was not used for {0:?}")]
    Idle(Duration),
    /// The token that the peer had opened the socket with expired.
    #[error("the peer's token expired")]
    TokenExpired,
    /// The peer's identity was revoked.
    #[error("the peer's identity was revoked")]
    Revoked,
    /// The socket ended for this reason, and none took its place within the time that sessions are kept for.
    #[error("no new socket came in time")]
    Expired {
        /// Why the last socket ended.
        #[source]
        cause: Option<Arc<CloseReason>>,
    },
    /// The client gave up connecting.
    #[error("no new socket could be opened")]
    GaveUp {
        /// Why the last attempt failed.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The session could not be started, because its limits are invalid.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The task that ran the session was dropped, for example because its runtime shut down.
    #[error("the session's task was dropped")]
    Aborted,
}

/// Why a socket, or the in-memory transport, failed. Cloneable, so that every call it ends can carry it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The operating system's or the TLS layer's error.
    #[error("{0}")]
    Io(#[source] Arc<std::io::Error>),
    /// The link ended without a close handshake.
    #[error("the link was cut without a close")]
    Cut,
    /// The peer did not answer a ping within this time.
    #[error("the peer did not answer a ping within {0:?}")]
    PingTimeout(Duration),
    /// The peer broke the WebSocket protocol (RFC 6455).
    #[error("the peer broke the WebSocket protocol: {0}")]
    Protocol(String),
    /// The peer exceeded a limit of the WebSocket layer.
    #[error("the peer exceeded `{limit}`")]
    Limit {
        /// The name of the limit in [`Limits`](crate::Limits).
        limit: &'static str,
    },
    /// A text message arrived; this protocol is binary.
    #[error("the peer sent text where binary is due")]
    Text,
    /// This side tried to send a message that is longer than a socket takes.
    #[error("a message of {bytes} bytes is longer than the {max} that a socket sends")]
    TooLong {
        /// The length of the message, in bytes.
        bytes: usize,
        /// The greatest length a socket sends, in bytes.
        max: usize,
    },
}

impl From<std::io::Error> for SocketError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// How the peer broke the protocol. The session ends: nothing the peer sends after this can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame ended before its fields did, or a field has a value the format does not allow.
    #[error("malformed frame at byte {offset} of a message: {what}")]
    Malformed {
        /// The offset in the message, in bytes.
        offset: usize,
        /// The rule that the frame breaks.
        what: &'static str,
    },
    /// A mandatory frame of a kind this version does not know.
    #[error("unknown mandatory frame kind {0:#04x}")]
    UnknownFrame(u8),
    /// The first frame was not a hello.
    #[error("the first frame was not a hello")]
    HelloMissing,
    /// A second hello on the same session.
    #[error("a second hello")]
    HelloRepeated,
    /// The peer speaks none of this side's wire versions.
    #[error("the peer speaks wire version {peer}, this side {ours}")]
    Version {
        /// The version the peer offered.
        peer: u32,
        /// The version this side speaks.
        ours: u32,
    },
    /// A frame that only the other side may send.
    #[error("a `{0}` frame from the wrong side")]
    WrongSide(&'static str),
    /// A call id that is not above all earlier ones.
    #[error("call id {0} was used before")]
    IdReused(i64),
    /// An answer to a call that was never made.
    #[error("an answer to call {0}, which was never made")]
    UnknownCall(i64),
    /// A second answer to a call.
    #[error("a second answer to call {0}")]
    ReturnRepeated(i64),
    /// A release of an answer that is not kept.
    #[error("a release of call {0}, which is not kept")]
    UnknownRelease(i64),
    /// A release of an object that the peer does not have, or of more introductions than there were.
    #[error("a release of object {0}, which the peer does not have so often")]
    UnknownObject(i64),
    /// A method number that the peer has not defined.
    #[error("method number {0} was not defined")]
    UnknownMethodNumber(u32),
    /// A method number that was defined before.
    #[error("method number {0} was defined twice")]
    MethodRedefined(u32),
    /// A codec this side does not have.
    #[error("the peer's codec {0} is not known here")]
    Codec(u64),
    /// A chunk that belongs to no payload being assembled.
    #[error("a chunk for {0}, which expects none")]
    UnexpectedChunk(i64),
    /// A stream id that is not above all earlier ones.
    #[error("stream id {0} was used before")]
    StreamReused(i64),
    /// A frame of a stream that was never opened, or is over.
    #[error("a frame of stream {0}, which is not open")]
    UnknownStream(i64),
    /// A stream's frames out of order: an item inside another item, a chunk outside of one, or an end in the middle of one.
    #[error("a frame of stream {0} that cannot be where it is")]
    StreamOrder(i64),
    /// Items of a stream beyond its credit.
    #[error("stream {0} exceeded its credit")]
    CreditExceeded(i64),
    /// A grant that raises a stream's credit above the maximum.
    #[error("more credit for stream {0} than a stream may have")]
    CreditOverflow(i64),
    /// More than a negotiated limit, named here, allows.
    #[error("the peer exceeded `{0}`")]
    Limit(&'static str),
    /// An acknowledgement of messages that were never sent, or of fewer than the one before.
    #[error("an acknowledgement of messages that were never sent, or of fewer than before")]
    ForgedAck,
    /// A frame about the socket behind frames of the session.
    #[error("a frame about the socket behind frames of the session")]
    FrameOrder,
    /// A new socket on which messages are missing.
    #[error("a new socket goes on behind messages that are missing")]
    Gap,
    /// A new socket for a session that is not known here, or a welcome of a session that was not asked for.
    #[error("the session is not known")]
    UnknownSession,
}

/// Why bytes are not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the payload ends too early")]
    Truncated,
    /// This many bytes are left after the value.
    #[error("{0} bytes are left after the value")]
    Trailing(usize),
    /// Deeper nesting than [`Limits::decode_depth_max`](crate::Limits::decode_depth_max).
    #[error("the value is nested deeper than {0} levels")]
    TooDeep(usize),
    /// Decoding would allocate more than the payload justifies.
    #[error("the value would take more memory than its payload justifies")]
    OverBudget,
    /// Serde or the codec rejected the bytes.
    #[error("{0}")]
    Invalid(String),
}

/// Why a value cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Deeper nesting than [`Limits::decode_depth_max`](crate::Limits::decode_depth_max), which no peer with the same
    /// limit could decode.
    #[error("the value is nested deeper than {0} levels")]
    TooDeep(usize),
    /// The type leaves a field out of some values (`skip_serializing_if`): a reader would take the next field for it.
    #[error(
        "its type leaves the field `{0}` out of this value (`skip_serializing_if`), which bincode cannot carry"
    )]
    LeftOut(&'static str),
    /// The type announced another number of elements or fields than it wrote.
    #[error("its type wrote another number of elements or fields than it said")]
    WrongLength,
    /// A sequence or map did not say how many elements it has.
    #[error(
        "a sequence or map whose length is not known in advance cannot be encoded (`#[serde(flatten)]` makes one)"
    )]
    UnknownLength,
    /// The type's `Serialize` refused.
    #[error("{0}")]
    Invalid(String),
}

/// Why an element of a [`map_each`](crate::pipes::SequencePipe::map_each) has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ElementError<E> {
    /// The call whose result the closure returned failed with its own error.
    #[error("the method failed")]
    Method(#[source] E),
    /// Another call of the closure failed with its own error.
    #[error("`{method}`, which was called for the element, failed")]
    Upstream {
        /// The wire name of the method that failed.
        method: String,
        /// The error the method returned.
        error: EncodedError,
    },
    /// The element failed without a method's own error: a panic, a deadline, a limit, a path that led to no value.
    #[error("`{method}` did not run to its end: {reason}")]
    Failed {
        /// The wire name of the method that was called, or was about to be.
        method: String,
        /// What happened.
        reason: String,
    },
}

/// A method's own error, still encoded. [`downcast`](Self::downcast) decodes it where its type is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedError {
    pub(crate) bytes: Vec<u8>,
    pub(crate) layout: u64,
}
