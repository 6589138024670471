//! The first message of a client, which is read before there is a session for it: it may name one that goes on.

use std::{
    any::Any,
    future::{Future, poll_fn},
    time::Duration,
};

use bytes::Bytes;

use super::{
    Driver, Running, SessionConfig, SharedLimits,
    end::{CLOSE_GRACE_UNGREETED, farewell},
};
use crate::{
    caller::session_handle::SessionHandle,
    close_codes,
    error::CloseReason,
    link::{Attach, AttachRequest, Guard, SocketNumber, Submission},
    principal::Principal,
    session::Side,
    time::{self, Time},
    transport::Transport,
    wire::{FEATURE_RESUME, Frame, Hello, read::FrameReader},
};

/// The id of a session that can go on when its socket ends. Its client draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

impl From<[u8; 16]> for SessionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// A client's socket whose first message was read.
pub struct Greeted {
    number: SocketNumber,
    transport: Box<dyn Transport>,
    guard: Guard,
    /// When the socket ends, because its peer's token does.
    expires: Option<Time>,
    message: Bytes,
    hello: Option<Hello>,
    /// The length of the hello in the message.
    length: usize,
}

/// Reads a client's first message from its socket, within `limit`, and until `going_away` completes: then this side shuts down.
///
/// # Errors
/// Why the socket has ended before the message came. It was closed with the code that fits.
///
/// # Cancel safety
/// Dropping the future drops the transport.
pub async fn greet(
    transport: impl Into<Box<dyn Transport>>,
    limit: Duration,
    going_away: impl Future<Output = ()>,
) -> Result<Greeted, CloseReason> {
    let mut transport = transport.into();
    let number = SocketNumber::next();
    let received = tokio::select! {
        biased;
        received = poll_fn(|cx| transport.poll_receive(cx)) => received,
        () = tokio::time::sleep(limit) => {
            let reason = CloseReason::HelloTimeout;
            close(transport, close_codes::HELLO_TIMEOUT, &reason.to_string()).await;
            return Err(reason);
        }
        () = going_away => {
            let (code, text) = farewell(Side::Server);
            close(transport, code, text).await;
            return Err(CloseReason::Local);
        }
    };
    let reason = match received {
        Some(Ok(message)) => return Ok(Greeted::new(number, transport, message)),
        Some(Err(error)) => CloseReason::Socket(error),
        None => {
            let (code, text) = transport.peer_close().unwrap_or((close_codes::NORMAL, ""));
            CloseReason::Peer { code, text: text.to_owned() }
        }
    };
    close(transport, close_codes::NORMAL, "").await;
    Err(reason)
}

/// Closes a socket that is no session's, within a bounded time.
async fn close(mut transport: Box<dyn Transport>, code: u16, text: &str) {
    let closing = poll_fn(|cx| transport.poll_close(cx, code, text));
    // A peer that does not answer the close is not waited for.
    let _ = tokio::time::timeout(CLOSE_GRACE_UNGREETED, closing).await;
}

impl Greeted {
    fn new(number: SocketNumber, transport: Box<dyn Transport>, message: Bytes) -> Self {
        let mut frames = FrameReader::new(message.clone());
        // Anything else is left to the session, which says what is wrong with it.
        let hello = match frames.next_frame() {
            Ok(Some(Frame::Hello(hello))) => Some(*hello),
            _ => None,
        };
        Self {
            number,
            transport,
            guard: None,
            expires: None,
            length: message.len() - frames.left(),
            message,
            hello,
        }
    }

    /// Whether the message begins with a hello.
    pub fn is_hello(&self) -> bool {
        self.hello.is_some()
    }

    /// The session's id, if the client is ready to go on with it on further sockets.
    pub fn session(&self) -> Option<SessionId> {
        self.hello
            .as_ref()
            .filter(|hello| hello.features & FEATURE_RESUME != 0)
            .map(|hello| SessionId(hello.session))
    }

    /// Whether the client goes on with a session, and does not begin one.
    pub fn resumes(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.attach.is_some())
    }

    /// Keeps `guard` until the socket is dropped.
    pub fn holding(self, guard: impl Any + Send) -> Self {
        Self { guard: Some(Box::new(guard)), ..self }
    }

    /// Ends the socket when its peer's token does: after this time. Its session goes on, if it can go on without a socket.
    pub fn expiring_in(self, time: Duration) -> Self {
        Self { expires: Some(time::now() + time), ..self }
    }

    /// Starts a new session; see [`start`](super::start). It has these limits instead of those of `config`, and waits `hello_timeout`
    /// for the client's hello.
    pub fn start(
        self,
        config: SessionConfig,
        limits: &SharedLimits,
        hello_timeout: Duration,
    ) -> (SessionHandle, Running) {
        let Self { number, transport, guard, expires, message, .. } = self;
        let socket = Some((transport, Some(message)));
        let (link, mut driver) = Driver::sharing(limits, socket, Side::Server, config, None);
        driver.conversation.session.hurry_hello(time::now() + hello_timeout);
        driver.newest = number;
        if let Some(socket) = &mut driver.socket {
            socket.hold(guard);
            socket.expire(expires);
        }
        (super::handle(link, Side::Server), Running(driver))
    }

    /// Gives the socket to a session that this server has. The session checks that the client is its own, and closes the socket
    /// with [`close_codes::UNKNOWN_SESSION`] if it is not. `principal` is the client's identity on the new socket.
    pub fn attach(self, session: &SessionHandle, principal: Principal) {
        let Some(Hello { secret, attach: Some((next_secret, resume)), .. }) = self.hello else { return };
        let rest = self.message.slice(self.length..);
        let number = self.number;
        let request = AttachRequest { number, secret, next_secret, resume, principal, rest };
        let Self { transport, guard, expires, .. } = self;
        let attach = Attach { transport, guard, expires, request: Some(request) };
        session.handle.link.submit(Submission::Attach(Box::new(attach)));
    }

    /// Closes the socket with this code and text.
    ///
    /// # Cancel safety
    /// Dropping the future drops the socket.
    pub async fn refuse(self, code: u16, text: &str) {
        close(self.transport, code, text).await;
    }
}

impl std::fmt::Debug for Greeted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Greeted")
            .field("session", &self.session())
            .field("resumes", &self.resumes())
            .finish_non_exhaustive()
    }
}
