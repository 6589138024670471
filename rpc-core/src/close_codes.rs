//! The close codes this project sends and what they tell the peer.
//!
//! | code | constant | sent when | worth reconnecting |
//! |---|---|---|---|
//! | 1000 | [`NORMAL`] | the session ended in good order | no |
//! | 1001 | [`GOING_AWAY`] | the server drains or the client's process ends | yes, elsewhere or later |
//! | 1002 | [`PROTOCOL`] | RFC 6455 or the RPC protocol was broken | no |
//! | 1003 | [`TEXT`] | a text message arrived; the protocol is binary | no |
//! | 1008 | [`POLICY`] | a limit without a code of its own was exceeded: fragments, an unfinished message | no |
//! | 1009 | [`TOO_LONG`] | a message is longer than `message_bytes_max` | no |
//! | 1011 | [`INTERNAL`] | this side failed through no fault of the peer | yes |
//! | 4401 | [`TOKEN_EXPIRED`] | the token that the socket was opened with has expired; the session can go on | yes, with another token |
//! | 4403 | [`REVOKED`] | the peer's identity was revoked | no |
//! | 4404 | [`UNKNOWN_SESSION`] | a session was to go on that this side does not know, or with a wrong secret | yes, with a new session |
//! | 4408 | [`HELLO_TIMEOUT`] | the socket was open but no hello came in time | yes |
//! | 4409 | [`TAKEN_OVER`] | the session goes on, on another socket | no |
//! | 4410 | [`IDLE`] | the session was not used for `idle_timeout` | yes, when it is needed |
//! | 4429 | [`FLOOD`] | too many pings, pongs or closes | no |
//! | 4430 | [`TOO_OFTEN`] | a session went on with a new socket too often | yes, later |
//!
//! A peer that does not answer a ping gets no code: nobody is reading.

#[cfg(feature = "websocket")]
use crate::error::SocketError;

/// The session ended in good order.
pub const NORMAL: u16 = 1000;
/// This side is shutting down.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke RFC 6455 or the RPC protocol.
pub const PROTOCOL: u16 = 1002;
/// The peer sent text; the protocol is binary.
pub const TEXT: u16 = 1003;
/// The peer exceeded a limit that has no close code of its own.
pub const POLICY: u16 = 1008;
/// The peer's message is longer than [`Limits::message_bytes_max`](crate::Limits::message_bytes_max).
pub const TOO_LONG: u16 = 1009;
/// This side failed through no fault of the peer.
pub const INTERNAL: u16 = 1011;
/// The token that the peer opened the socket with has expired. Its session goes on, on a socket that is opened with another one.
pub const TOKEN_EXPIRED: u16 = 4401;
/// The peer's identity was revoked.
pub const REVOKED: u16 = 4403;
/// The peer did not say hello within [`Limits::hello_timeout`](crate::Limits::hello_timeout).
pub const HELLO_TIMEOUT: u16 = 4408;
/// The peer named a session that this side does not know, or did not prove that it is its own.
pub const UNKNOWN_SESSION: u16 = 4404;
/// The session goes on, on another socket.
pub const TAKEN_OVER: u16 = 4409;
/// The session was not used for [`Limits::idle_timeout`](crate::Limits::idle_timeout).
pub const IDLE: u16 = 4410;
/// The session went on with a new socket too often; see [`ResumeConfig::attaches_per_minute`](crate::driver::ResumeConfig).
pub const TOO_OFTEN: u16 = 4430;
/// The peer exceeded [`Limits::control_frames_burst`](crate::Limits::control_frames_burst).
pub const FLOOD: u16 = 4429;

/// Whether a socket that the peer closes with `code` says nothing about the session: a proxy or a server that restarts does so.
#[cfg(feature = "driver")]
pub(crate) fn is_of_socket(code: u16) -> bool {
    // 1005 and 1006 stand for no code and no close frame; 1011 to 1014 are a proxy's words for a server that it cannot reach.
    matches!(code, GOING_AWAY | 1005 | 1006 | INTERNAL..=1014 | TOO_OFTEN | TOKEN_EXPIRED)
}

/// The code that a socket closes with after `error`; `None` where nobody is left to read it.
#[cfg(feature = "websocket")]
pub(crate) fn for_error(error: &SocketError) -> Option<u16> {
    match error {
        SocketError::Text => Some(TEXT),
        SocketError::Limit { limit: "message_bytes_max" } => Some(TOO_LONG),
        SocketError::Limit { limit: "control_frames_burst" } => Some(FLOOD),
        SocketError::Limit { .. } => Some(POLICY),
        SocketError::Protocol(_) => Some(PROTOCOL),
        SocketError::TooLong { .. } => Some(INTERNAL),
        SocketError::Io(_) | SocketError::Cut | SocketError::PingTimeout(_) => None,
    }
}
