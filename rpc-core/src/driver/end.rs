//! The end of a session: its causes, its close code, and what its users and the peer are told.
//!
//! The codes themselves are in `close_codes.rs`.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    close_codes,
    driver::{Driver, Phase, conversation::Conversation},
    error::{CloseReason, SocketError, Violation},
    session::Side,
    time::Time,
};

/// How long the peer may take to answer a close: at most, and at least even if the close timeout is over.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(2);
pub(super) const CLOSE_GRACE_MIN: Duration = Duration::from_millis(200);
/// How long a peer that has sent no hello in time may take to answer a close; until then it occupies a place of the listener.
pub(super) const CLOSE_GRACE_UNGREETED: Duration = Duration::from_millis(500);

impl Driver {
    pub(super) fn check_end(&mut self, now: Time) -> Result<(), End> {
        let Some(socket) = &self.socket else { return self.check_end_detached(now) };
        if self.conversation.session.hello_overdue(now) && !self.conversation.session.close_overdue(now) {
            return Err(End::new(close_codes::HELLO_TIMEOUT, CloseReason::HelloTimeout));
        }
        if self.conversation.session.payload_stalled() {
            return Err(End::new(close_codes::POLICY, CloseReason::PayloadStalled));
        }
        if socket.stall_due().is_some_and(|due| due <= now) || self.conversation.session.acks_stalled(now) {
            return Err(End::new(close_codes::POLICY, CloseReason::Stalled));
        }
        if socket.has_expired(now) {
            return Err(End::new(close_codes::TOKEN_EXPIRED, CloseReason::TokenExpired));
        }
        if self.conversation.session.is_peer_silent(now) {
            let silence = SocketError::PingTimeout(self.conversation.limits.ping_timeout);
            return Err(End::new(close_codes::POLICY, CloseReason::Socket(silence)));
        }
        if self.conversation.session.is_idle(now) {
            let idle = CloseReason::Idle(self.conversation.limits.idle_timeout);
            return Err(End::new(close_codes::IDLE, idle));
        }
        let complete = !socket.is_unflushed() && self.conversation.session.close_complete();
        // A peer that reads slowly always leaves something unflushed.
        if complete || self.conversation.session.close_overdue(now) {
            let reason = self.conversation.link.draining_reason().unwrap_or(CloseReason::Local);
            let (code, text) = match &reason {
                CloseReason::Local => farewell(self.conversation.side),
                _ => (close_codes::NORMAL, ""),
            };
            return Err(End { code, text: text.into(), reason });
        }
        Ok(())
    }

    /// Whether a session without a socket is over: nobody came in time, or this side closes it and nothing runs any more.
    fn check_end_detached(&mut self, now: Time) -> Result<(), End> {
        let Conversation { session, link, .. } = &self.conversation;
        if session.close_overdue(now) || session.has_nothing_to_finish() {
            return Err(End::new(close_codes::NORMAL, link.draining_reason().unwrap_or(CloseReason::Local)));
        }
        match &self.detached {
            Some(detached) if detached.until.is_some_and(|until| until <= now) => {
                let cause = detached.cause.clone().map(Arc::new);
                Err(End::new(close_codes::NORMAL, CloseReason::Expired { cause }))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Phase::Closing { end, grace } = &mut self.phase else { return Poll::Pending };
        if let Some(socket) = &mut self.socket
            && socket.poll_close(cx, end).is_pending()
        {
            ready!(grace.as_mut().poll(cx));
        }
        Poll::Ready(end.reason.clone())
    }
}

/// The close code and text of a side that closes in good order.
pub(super) fn farewell(side: Side) -> (u16, &'static str) {
    match side {
        Side::Client => (close_codes::NORMAL, "the client is done"),
        Side::Server => (close_codes::GOING_AWAY, "the server is shutting down"),
    }
}

/// The reason why a running session ends, and the close code and text that the peer is told.
pub(super) struct End {
    pub(super) code: u16,
    pub(super) text: String,
    pub(super) reason: CloseReason,
}

impl End {
    /// Whether only the socket has ended. Its session can go on, on another one.
    pub(super) fn is_of_socket(&self) -> bool {
        match &self.reason {
            CloseReason::Stalled | CloseReason::HelloTimeout | CloseReason::TokenExpired => true,
            CloseReason::Socket(error) => {
                matches!(error, SocketError::Io(_) | SocketError::Cut | SocketError::PingTimeout(_))
            }
            CloseReason::Peer { code, .. } => close_codes::is_of_socket(*code),
            CloseReason::Local
            | CloseReason::Violation(_)
            | CloseReason::PayloadStalled
            | CloseReason::Idle(_)
            | CloseReason::Revoked
            | CloseReason::Expired { .. }
            | CloseReason::GaveUp { .. }
            | CloseReason::Limits(_)
            | CloseReason::Aborted => false,
        }
    }

    pub(super) fn new(code: u16, reason: CloseReason) -> Self {
        Self { code, text: reason.to_string(), reason }
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        crate::log_rate::log_rarely!(warn, "the peer broke the protocol: {violation}");
        Self {
            text: violation.to_string(),
            ..Self::new(close_codes::PROTOCOL, CloseReason::Violation(violation))
        }
    }
}

/// The code and text here are not sent as they are: the transport itself tells the peer about its errors.
impl From<SocketError> for End {
    fn from(error: SocketError) -> Self {
        Self::new(close_codes::INTERNAL, CloseReason::Socket(error))
    }
}
