//! One live WebSocket: whole binary messages, a heartbeat, and a close that says why.
//!
//! The driver polls it from one task. Inbound it holds at most one unfinished message of [`Limits::message_bytes_max`] and one
//! read buffer; outbound at most the 512 KiB that collect before a write, one message more, and a few control frames.
//!
//! ```text
//!          poll_close                the peer's close, or the link ends
//!  Open ──────────────► Closing ─────────────────────────────────────► Ended
//!   │ │ the peer's close                    answer flushed              ▲ ▲
//!   │ └────────────────► Answering ─────────────────────────────────────┘ │
//!   │ violation, timeout                    farewell drained              │
//!   └──────────────────► Failed ──────────────────────────────────────────┘
//! ```

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, Sink, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as CodecError, Message as CodecMessage, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::metered::Metered;
use crate::{
    close_codes,
    error::SocketError,
    limits::Limits,
    transport::{MessageRef, Transport},
};

/// The longest message a socket sends: a batch sealed just below 16 KiB to which one chunk of 64 KiB was added.
pub const SEND_BYTES_MAX: usize = crate::wire::MESSAGE_BYTES_MAX;

/// Room in the codec for control frames that the outbox does not take yet: its last pong, one ping and a close.
const CONTROL_BYTES_MAX: usize = 1 << 10;

/// The longest close reason RFC 6455 has room for.
const CLOSE_REASON_BYTES_MAX: usize = 123;

/// How long, and for how many bytes, the socket still reads after a violation: unread bytes would reset the link before the
/// peer has read the close code.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES_MAX: usize = 256 << 10;

/// A WebSocket over any byte stream, after its handshake.
///
/// Made by [`connect`](Self::connect) and [`accept`](Self::accept). Limits are checked on every received byte. If the peer
/// breaks a rule, the socket sends the matching code of [`close_codes`](crate::close_codes), if the link takes it.
pub struct Socket<IO> {
    /// Empty only inside [`rebuild`](Self::rebuild).
    stream: Option<WebSocketStream<Metered<IO>>>,
    role: Role,
    limits: SocketLimits,
    phase: Phase,
    /// Messages and control frames that the codec has handed on.
    delivered: u64,
    /// A frame of the socket's own (a ping) waits to be flushed.
    flush_due: bool,
    timer: Pin<Box<Sleep>>,
    /// When [`poll_close`](Transport::poll_close) gives up, once it was called.
    close_deadline: Option<Instant>,
    farewell_bytes: usize,
    peer_close: Option<PeerClose>,
    #[cfg(test)]
    rebuilds: usize,
}

/// The fields of [`Limits`] that a socket needs for as long as it lives.
struct SocketLimits {
    message_bytes_max: usize,
    ping_interval: Duration,
    ping_timeout: Duration,
    close_timeout: Duration,
}

enum Phase {
    Open,
    Closing,
    Answering,
    Failed(SocketError),
    Ended,
}

/// The close frame a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerClose {
    /// The close code; 1005 where the peer gave none.
    pub code: u16,
    /// The reason text the peer sent.
    pub text: String,
}

enum Timer {
    /// The timer fired and may have changed the socket, which must be polled again.
    Fired,
    Expired(SocketError),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Socket<IO> {
    /// A socket over `io`, whose handshake is done. `already_read` are bytes that were read behind the handshake.
    pub(super) fn open(io: IO, role: Role, limits: &Limits, already_read: Vec<u8>) -> Self {
        let metered = Metered::new(io, role, limits, &already_read);
        let config = codec_config(limits.message_bytes_max, metered.sizing.read_bytes());
        let stream = WebSocketStream::from_partially_read(metered, already_read, role, Some(config));
        Self {
            stream: Some(stream.now_or_never().expect("building a codec awaits nothing")),
            role,
            limits: SocketLimits {
                message_bytes_max: limits.message_bytes_max,
                ping_interval: limits.ping_interval,
                ping_timeout: limits.ping_timeout,
                close_timeout: limits.close_timeout,
            },
            phase: Phase::Open,
            delivered: 0,
            flush_due: false,
            // Fires at once, which computes the first deadline.
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            close_deadline: None,
            farewell_bytes: 0,
            peer_close: None,
            #[cfg(test)]
            rebuilds: 0,
        }
    }

    /// The close frame the peer sent, once [`poll_receive`](Transport::poll_receive) has returned `None`.
    pub fn peer_close(&self) -> Option<&PeerClose> {
        self.peer_close.as_ref()
    }

    /// Sets another message length limit for the peer's next messages; [`Limits::message_bytes_max`] stays the upper bound. For
    /// peers that have not sent their hello yet.
    pub fn set_message_bytes_max(&mut self, bytes: usize) {
        let bytes = bytes.min(self.limits.message_bytes_max);
        self.metered().meter.set_message_bytes_max(bytes);
    }

    fn stream(&mut self) -> &mut WebSocketStream<Metered<IO>> {
        self.stream.as_mut().expect("the codec is only missing while it is rebuilt")
    }

    fn metered(&mut self) -> &mut Metered<IO> {
        self.stream().get_mut()
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>> {
        loop {
            match ready!(Pin::new(self.stream()).poll_next(cx)) {
                Some(Ok(message)) => {
                    self.delivered += 1;
                    match message {
                        CodecMessage::Binary(bytes) => return Poll::Ready(Some(Ok(bytes))),
                        // Any byte is a sign of life, and the codec answers pings by itself.
                        CodecMessage::Ping(_) | CodecMessage::Pong(_) | CodecMessage::Frame(_) => {}
                        CodecMessage::Text(_) => {
                            return Poll::Ready(Some(Err(self.fail(cx, SocketError::Text))));
                        }
                        CodecMessage::Close(frame) => {
                            self.accept_close(cx, frame);
                            return Poll::Ready(None);
                        }
                    }
                }
                Some(Err(error)) => {
                    let error = self.translate(error);
                    return Poll::Ready(Some(Err(self.fail(cx, error))));
                }
                None => {
                    self.phase = Phase::Ended;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn accept_close(&mut self, cx: &mut Context<'_>, frame: Option<CloseFrame>) {
        self.peer_close = Some(match frame {
            Some(frame) => PeerClose { code: frame.code.into(), text: frame.reason.to_string() },
            None => PeerClose { code: 1005, text: String::new() },
        });
        self.phase = match self.phase {
            Phase::Open => Phase::Answering,
            Phase::Closing | Phase::Answering | Phase::Ended | Phase::Failed(_) => Phase::Ended,
        };
        // The driver may drop the socket after this. `poll_close` writes the bytes that the link does not take at once.
        let _ = self.poll_flush_all(cx);
    }

    /// Ends the socket with an error. If the peer is at fault, sends the close code, as far as the link takes it at once.
    fn fail(&mut self, cx: &mut Context<'_>, error: SocketError) -> SocketError {
        if let (Phase::Open, Some(code)) = (&self.phase, close_codes::for_error(&error)) {
            let _ = self.queue_close(code, &error.to_string());
            let _ = self.poll_flush_all(cx);
        }
        self.phase = Phase::Failed(error.clone());
        error
    }

    fn translate(&mut self, error: CodecError) -> SocketError {
        if let Some(violation) = self.metered().violation() {
            return violation.clone();
        }
        match error {
            CodecError::Io(error) => from_io(error),
            CodecError::ConnectionClosed
            | CodecError::AlreadyClosed
            | CodecError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => SocketError::Cut,
            CodecError::Capacity(CapacityError::MessageTooLong { .. }) => {
                SocketError::Limit { limit: "message_bytes_max" }
            }
            other => SocketError::Protocol(other.to_string()),
        }
    }

    /// Acts on the deadlines that have passed: an unfinished message, a silent peer, buffers no longer needed.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Timer> {
        if let Some(next) = self.next_deadline() {
            // A deadline that moved to later is noticed when the timer fires; resetting the timer for each message costs more.
            if next < self.timer.deadline() {
                self.timer.as_mut().reset(next);
            }
        }
        ready!(self.timer.as_mut().poll(cx));
        let now = Instant::now();
        if let Some(error) = self.expired(now) {
            return Poll::Ready(Timer::Expired(error));
        }
        if self.ping_deadline().is_some_and(|at| at <= now) {
            self.ping(now);
        }
        self.metered().give_back(now);
        let next = self.next_deadline().unwrap_or_else(|| now + Duration::from_secs(60 * 60));
        self.timer.as_mut().reset(next);
        Poll::Ready(Timer::Fired)
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let metered = self.metered();
        let message = metered.meter.deadline();
        let quiet = metered.sizing.quiet_deadline();
        [message, quiet, self.ping_deadline()].into_iter().flatten().min()
    }

    /// When the peer's silence leads to a ping; after a ping, when the peer counts as dead.
    fn ping_deadline(&mut self) -> Option<Instant> {
        let metered = self.metered();
        let (pinged, last_sign) = (metered.pinged, metered.last_sign_of_life());
        match pinged {
            Some(pinged) => pinged.checked_add(self.limits.ping_timeout),
            None => last_sign.checked_add(self.limits.ping_interval),
        }
    }

    fn expired(&mut self, now: Instant) -> Option<SocketError> {
        if self.metered().meter.deadline().is_some_and(|at| at <= now) {
            return Some(SocketError::Limit { limit: "message_timeout" });
        }
        let is_pinged = self.metered().pinged.is_some();
        let is_dead = is_pinged && self.ping_deadline().is_some_and(|at| at <= now);
        is_dead.then_some(SocketError::PingTimeout(self.limits.ping_timeout))
    }

    fn ping(&mut self, now: Instant) {
        self.metered().pinged = Some(now);
        // On a full link a ping would only wait behind other bytes, and taking those is a sign of life as well.
        if !self.metered().is_write_blocked() {
            self.flush_due = Pin::new(self.stream()).start_send(CodecMessage::Ping(Bytes::new())).is_ok();
        }
    }

    /// Rebuilds the codec with the wanted buffer sizes, if it holds nothing that would be lost.
    fn adapt_buffers(&mut self, cx: &mut Context<'_>) {
        let delivered = self.delivered;
        let metered = self.metered();
        if !metered.sizing.wants_rebuild() || !metered.meter.is_between_messages(delivered) {
            return;
        }
        // Flushed twice: the first flush may only have made room for a pong that waited beside a full buffer.
        for _ in 0..2 {
            if !matches!(self.poll_flush_all(cx), Poll::Ready(Ok(()))) {
                return;
            }
        }
        self.rebuild();
    }

    fn rebuild(&mut self) {
        let stream = self.stream.take().expect("the codec is only missing while it is rebuilt");
        let mut metered = stream.into_inner();
        let config = codec_config(self.limits.message_bytes_max, metered.sizing.rebuild());
        let stream = WebSocketStream::from_raw_socket(metered, self.role, Some(config));
        self.stream = Some(stream.now_or_never().expect("building a codec awaits nothing"));
        #[cfg(test)]
        {
            self.rebuilds += 1;
        }
    }

    /// Flushes the codec and the byte stream below it, which the codec no longer flushes after a close.
    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        let flushed = ready!(Pin::new(self.stream()).poll_flush(cx));
        flushed.map_err(|error| self.translate(error))?;
        ready!(Pin::new(self.metered()).poll_flush(cx)).map_err(from_io)?;
        self.flush_due = false;
        Poll::Ready(Ok(()))
    }

    fn queue_close(&mut self, code: u16, reason: &str) -> Result<(), SocketError> {
        let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) };
        let sent = Pin::new(self.stream()).start_send(CodecMessage::Close(Some(frame)));
        sent.map_err(|error| self.translate(error))
    }

    fn poll_goodbye(
        &mut self,
        cx: &mut Context<'_>,
        code: u16,
        reason: &str,
    ) -> Poll<Result<(), SocketError>> {
        loop {
            match &self.phase {
                Phase::Open => {
                    // A full buffer may have no room for the close frame.
                    if self.metered().is_write_blocked() {
                        ready!(self.poll_flush_all(cx))?;
                    }
                    self.queue_close(code, reason)?;
                    self.phase = Phase::Closing;
                }
                Phase::Closing => {
                    // Pending or failed: either way `poll_message` finds the peer's answer or the end of the link.
                    let _ = self.poll_flush_all(cx);
                    // Messages that crossed our close are not wanted any more.
                    if let None | Some(Err(_)) = ready!(self.poll_message(cx)) {
                        self.phase = Phase::Ended;
                    }
                }
                Phase::Answering => {
                    let _ = ready!(self.poll_flush_all(cx));
                    self.phase = Phase::Ended;
                }
                Phase::Failed(_) => {
                    ready!(self.poll_farewell(cx));
                    self.phase = Phase::Ended;
                }
                Phase::Ended => {
                    // The link may be gone already, and nothing is left to lose.
                    let _ = ready!(Pin::new(self.metered()).poll_shutdown(cx));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Lets the peer read the close code: flushes, shuts this direction down, and ignores what still arrives.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = ready!(self.poll_flush_all(cx));
        let _ = ready!(Pin::new(self.metered()).poll_shutdown(cx));
        let mut space = [MaybeUninit::uninit(); 2048];
        while self.farewell_bytes < FAREWELL_BYTES_MAX {
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(self.metered().io()).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.farewell_bytes += buffer.filled().len();
        }
        Poll::Ready(())
    }

    fn close_patience(&self) -> Duration {
        match self.phase {
            Phase::Failed(_) | Phase::Answering => FAREWELL.min(self.limits.close_timeout),
            Phase::Open | Phase::Closing | Phase::Ended => self.limits.close_timeout,
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for Socket<IO> {
    fn peer_close(&self) -> Option<(u16, &str)> {
        self.peer_close.as_ref().map(|close| (close.code, close.text.as_str()))
    }

    fn buffer_bytes(&mut self) -> usize {
        let metered = self.metered();
        // Every busy session has a short queue for moments; it is not counted.
        let queued = metered.outbox.len().saturating_sub(64 << 10);
        metered.sizing.bytes() + metered.meter.message_bytes() + queued
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>> {
        loop {
            match &self.phase {
                Phase::Open => self.adapt_buffers(cx),
                Phase::Closing => {}
                Phase::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
                Phase::Answering | Phase::Ended => return Poll::Ready(None),
            }
            if self.flush_due {
                // A link that fails here fails the read below as well.
                let _ = self.poll_flush_all(cx);
            }
            if let Poll::Ready(message) = self.poll_message(cx) {
                return Poll::Ready(message);
            }
            match ready!(self.poll_timer(cx)) {
                Timer::Fired => {}
                Timer::Expired(error) => return Poll::Ready(Some(Err(self.fail(cx, error)))),
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        match &self.phase {
            Phase::Open => {}
            Phase::Failed(error) => return Poll::Ready(Err(error.clone())),
            // `poll_receive` tells how the socket ended.
            Phase::Closing | Phase::Answering | Phase::Ended => return Poll::Pending,
        }
        if self.metered().is_write_blocked() || self.metered().is_full() {
            ready!(self.metered().poll_write_out(cx)).map_err(from_io)?;
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, message: MessageRef<'_>) -> Result<(), SocketError> {
        let bytes = message.len();
        if bytes > SEND_BYTES_MAX {
            return Err(SocketError::TooLong { bytes, max: SEND_BYTES_MAX });
        }
        self.metered().push(message);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.poll_flush_all(cx)
    }

    /// Gives up with [`SocketError::Limit`] after [`Limits::close_timeout`]. After a violation it waits a second at most, and the
    /// close code that was sent with the violation stands.
    fn poll_close(&mut self, cx: &mut Context<'_>, code: u16, reason: &str) -> Poll<Result<(), SocketError>> {
        let patience = self.close_patience();
        let deadline = *self.close_deadline.get_or_insert_with(|| {
            let now = Instant::now();
            now.checked_add(patience).unwrap_or(now + FAREWELL)
        });
        if let Poll::Ready(result) = self.poll_goodbye(cx, code, reason) {
            return Poll::Ready(result);
        }
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        ready!(self.timer.as_mut().poll(cx));
        let result = match self.phase {
            Phase::Open | Phase::Closing => Err(SocketError::Limit { limit: "close_timeout" }),
            Phase::Answering | Phase::Failed(_) | Phase::Ended => Ok(()),
        };
        self.phase = Phase::Ended;
        Poll::Ready(result)
    }
}

fn codec_config(message_bytes_max: usize, read_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read_bytes)
        .write_buffer_size(0)
        .max_write_buffer_size(CONTROL_BYTES_MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

/// Turns the many I/O errors for a link that ended into [`SocketError::Cut`].
fn from_io(error: io::Error) -> SocketError {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::WriteZero => SocketError::Cut,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
