//! The socket that a session is attached to.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::busy_poll::BusyPoll;
use crate::{
    buffer::message::MessageRef,
    close_codes,
    driver::end::End,
    error::{CloseReason, SocketError},
    limits::Limits,
    link::Guard,
    time::Time,
    transport::Transport,
};

/// How long a socket whose session goes on may take to close.
const CLOSE_GRACE_ASIDE: Duration = Duration::from_millis(500);

/// A session's socket and the state that belongs to it alone.
pub(super) struct Attached {
    transport: Box<dyn Transport>,
    /// Kept as long as the socket.
    guard: Guard,
    /// A message that was read before the session had the socket.
    first: Option<Bytes>,
    /// The end of the peer's messages, if it was read ahead.
    received_end: Option<Box<End>>,
    busy_poll: BusyPoll,
    /// Whether a message was given to the transport since this task last had nothing to do.
    has_sent: bool,
    /// Whether messages were given to the transport since it was last flushed.
    unflushed: bool,
    /// Since when the peer has read nothing though messages wait to be written.
    blocked_since: Option<Time>,
    write_stall: Duration,
    /// When the socket ends, because its peer's token does.
    expires: Option<Time>,
}

impl Attached {
    /// `first` is a message that was read from the transport already.
    pub(super) fn new(transport: Box<dyn Transport>, first: Option<Bytes>, limits: &Limits) -> Self {
        Self {
            transport,
            guard: None,
            first,
            received_end: None,
            busy_poll: BusyPoll::new(limits.busy_poll),
            has_sent: false,
            unflushed: false,
            blocked_since: None,
            write_stall: limits.write_stall,
            expires: None,
        }
    }

    /// Keeps the guard until the socket is dropped.
    pub(super) fn hold(&mut self, guard: Guard) {
        self.guard = guard;
    }

    /// Has the socket end at this time, because its peer's token does.
    pub(super) fn expire(&mut self, at: Option<Time>) {
        self.expires = at;
    }

    /// Whether the token that the peer opened the socket with counts no more.
    pub(super) fn has_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// When time alone next ends the socket.
    pub(super) fn due(&self) -> Option<Time> {
        [self.stall_due(), self.expires].into_iter().flatten().min()
    }

    /// The memory that the transport's buffers take.
    pub(super) fn buffer_bytes(&mut self) -> usize {
        self.transport.buffer_bytes()
    }

    /// The next message; an error when the peer sends nothing more. `draining` is the reason why the session had begun to close,
    /// if it had: its own close remains its own, and words of the peer's goodbye stand in for a close without words.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        draining: impl FnOnce() -> Option<CloseReason>,
    ) -> Poll<Result<Bytes, End>> {
        if let Some(end) = self.received_end.take() {
            return Poll::Ready(Err(*end));
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(first));
        }
        let received = ready!(self.transport.poll_receive(cx));
        self.busy_poll.received(Instant::now);
        Poll::Ready(match received {
            Some(message) => Ok(message?),
            None => {
                let reason = match (draining(), self.transport.peer_close()) {
                    (Some(CloseReason::Local), _) => CloseReason::Local,
                    (Some(goodbye), None | Some((_, ""))) => goodbye,
                    (_, said) => {
                        let (code, text) = said.unwrap_or((close_codes::NORMAL, ""));
                        CloseReason::Peer { code, text: text.into() }
                    }
                };
                Err(End::new(close_codes::NORMAL, reason))
            }
        })
    }

    /// Keeps the end to return it again when the next message is asked for: messages before it are handled first.
    pub(super) fn put_back(&mut self, end: End) {
        self.received_end = Some(Box::new(end));
    }

    /// Whether the end has been read.
    pub(super) fn is_over(&self) -> bool {
        self.received_end.is_some()
    }

    /// Whether there is room for a message.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        Ok(self.transport.poll_ready(cx)?.is_ready())
    }

    pub(super) fn send(&mut self, message: MessageRef<'_>) -> Result<(), End> {
        self.transport.send(message)?;
        self.has_sent = true;
        self.unflushed = true;
        self.blocked_since = None;
        Ok(())
    }

    /// Flushes the messages given to the transport. `blocked` says that more messages wait for room.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, now: Time, mut blocked: bool) -> Result<(), End> {
        if self.unflushed {
            match self.transport.poll_flush(cx)? {
                Poll::Ready(()) => self.unflushed = false,
                Poll::Pending => blocked = true,
            }
        }
        if blocked {
            self.blocked_since.get_or_insert(now);
        } else {
            self.blocked_since = None;
        }
        Ok(())
    }

    /// Whether a sent message has not been flushed yet.
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// When a peer that reads nothing counts as stalled.
    pub(super) fn stall_due(&self) -> Option<Time> {
        self.blocked_since.map(|since| since + self.write_stall)
    }

    /// Busy-polls if that helps: has this task polled again as soon as the worker has nothing else to do. `has_calls` says
    /// whether calls are in flight, or the peer has made some since the last wait. Returns whether a wait began.
    pub(super) fn await_peer(&mut self, cx: &mut Context<'_>, has_calls: bool) -> bool {
        let waits = std::mem::take(&mut self.has_sent) && has_calls;
        if waits {
            self.busy_poll.wait(Instant::now);
        }
        if self.busy_poll.is_awake(Instant::now) {
            // Polled once, it makes the runtime wake this task after it has polled its sockets.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
        waits
    }

    /// Closes the socket in the background: its session goes on without it.
    pub(super) fn close_aside(mut self, end: End) {
        tokio::spawn(async move {
            let closing = poll_fn(|cx| self.poll_close(cx, &end));
            // A socket that is gone already needs no close.
            let _ = tokio::time::timeout(CLOSE_GRACE_ASIDE, closing).await;
        });
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>, end: &End) -> Poll<Result<(), SocketError>> {
        self.transport.poll_close(cx, end.code, &end.text)
    }
}
