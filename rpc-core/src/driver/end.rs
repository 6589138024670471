//! The end of a session: its causes, its close code, and what its users and the peer are told.
//!
//! The codes themselves are in `close_codes.rs`.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    close_codes,
    driver::{Driver, Phase},
    error::{CloseReason, SocketError, Violation},
    session::Side,
    time::Time,
    transport::Transport,
};

/// How long the peer may take to answer a close: at most, and at least even if the close timeout is over.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(2);
pub(super) const CLOSE_GRACE_MIN: Duration = Duration::from_millis(200);
/// How long a peer that has sent no hello in time may take to answer a close; until then it occupies a place of the listener.
pub(super) const CLOSE_GRACE_UNGREETED: Duration = Duration::from_millis(500);

impl<T: Transport> Driver<T> {
    pub(super) fn check_end(&mut self, now: Time) -> Result<(), End> {
        if self.conversation.session.hello_overdue(now) && !self.conversation.session.close_overdue(now) {
            return Err(End::new(close_codes::HELLO_TIMEOUT, CloseReason::HelloTimeout));
        }
        if self.conversation.session.payload_stalled() {
            return Err(End::new(close_codes::POLICY, CloseReason::PayloadStalled));
        }
        if self.socket.stall_due().is_some_and(|due| due <= now) {
            return Err(End::new(close_codes::POLICY, CloseReason::Stalled));
        }
        let complete = !self.socket.is_unflushed() && self.conversation.session.close_complete();
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

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Phase::Closing { end, grace } = &mut self.phase else { return Poll::Pending };
        if self.socket.poll_close(cx, end).is_pending() {
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
