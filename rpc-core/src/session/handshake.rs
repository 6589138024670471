//! The handshake: which frames may come and leave before both sides know each other.
//!
//! The client's Hello leads its first message and costs no round trip: calls follow it at once, within fixed initial
//! limits. The server answers with its Welcome before anything else.
//!
//! ```text
//! client  Greeted ──welcome──▶ Open          server  Awaiting ──hello──▶ Open
//! ```

use super::{Identity, Side, outgoing::Outgoing};
use crate::{
    error::Violation,
    limits::Limits,
    time::Time,
    wire::{CODEC_BINCODE, Frame, Hello, Offer, WIRE_VERSION, Welcome},
};

/// The bytes and calls that a client may send before it knows the server's limits.
const INITIAL_BYTES: usize = 64 << 10;
pub(crate) const INITIAL_CALLS: usize = 256;

pub(crate) struct Handshake {
    side: Side,
    state: State,
    offer: Offer,
    peer: Option<Offer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Server: no hello was received yet.
    Awaiting {
        until: Time,
    },
    /// Client: the hello was sent, no welcome was received yet.
    Greeted {
        until: Time,
    },
    Open,
}

/// The calls that may be sealed now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// The number of calls that may be in flight.
    pub(crate) calls: usize,
    /// The bytes that calls may still add.
    pub(crate) bytes: usize,
    /// Whether payloads may leave in chunks.
    pub(crate) large: bool,
}

impl Handshake {
    pub(crate) fn new(
        now: Time,
        side: Side,
        limits: &Limits,
        offer: Offer,
        identity: Identity,
        outgoing: &mut Outgoing,
    ) -> Self {
        let until = now + limits.hello_timeout;
        let state = match side {
            Side::Server => State::Awaiting { until },
            Side::Client => {
                outgoing.put_frame(&Frame::Hello(Box::new(Hello {
                    version: WIRE_VERSION,
                    features: 0,
                    codec: CODEC_BINCODE,
                    session: identity.session,
                    secret: identity.secret,
                    offer,
                })));
                State::Greeted { until }
            }
        };
        Self { side, state, offer, peer: None }
    }

    /// Whether this frame may come now.
    pub(crate) fn admit(&self, frame: &Frame) -> Result<(), Violation> {
        match (frame, self.side, self.state) {
            (Frame::Hello(_), Side::Client, _) => Err(Violation::WrongSide("Hello")),
            (Frame::Welcome(_), Side::Server, _) => Err(Violation::WrongSide("Welcome")),
            (Frame::Hello(_) | Frame::Welcome(_), _, State::Open) => Err(Violation::HelloRepeated),
            (Frame::Hello(_) | Frame::Welcome(_), _, _) | (_, _, State::Open) => Ok(()),
            (_, _, State::Awaiting { .. } | State::Greeted { .. }) => Err(Violation::HelloMissing),
        }
    }

    /// Whether the handshake is done: any frame but Hello and Welcome may come.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn hello(&mut self, hello: &Hello, outgoing: &mut Outgoing) -> Result<(), Violation> {
        check_codec(hello.codec)?;
        self.peer = Some(hello.offer);
        self.state = State::Open;
        // The Welcome goes first, because a close may have been asked for before the hello came.
        outgoing.put_first(&Frame::Welcome(Welcome {
            version: WIRE_VERSION,
            features: 0,
            codec: CODEC_BINCODE,
            offer: self.offer,
        }));
        Ok(())
    }

    pub(crate) fn welcome(&mut self, welcome: &Welcome) -> Result<(), Violation> {
        check_codec(welcome.codec)?;
        self.peer = Some(welcome.offer);
        self.state = State::Open;
        Ok(())
    }

    /// Requires the peer's hello by `until`, if it is not due before.
    pub(crate) fn hurry(&mut self, until: Time) {
        match &mut self.state {
            State::Awaiting { until: due } | State::Greeted { until: due } => *due = until.min(*due),
            State::Open => {}
        }
    }

    /// When the peer's hello or welcome is due.
    pub(crate) fn timeout(&self) -> Option<Time> {
        match self.state {
            State::Awaiting { until } | State::Greeted { until } => Some(until),
            State::Open => None,
        }
    }

    /// Whether messages may be sent: a server sends nothing before it has received the hello.
    pub(crate) fn may_send(&self) -> bool {
        !matches!(self.state, State::Awaiting { .. })
    }

    pub(crate) fn allowance(&self, sent_bytes: usize) -> Allowance {
        match self.peer {
            Some(peer) => Allowance {
                calls: usize::try_from(peer.calls_max).unwrap_or(usize::MAX).max(1),
                bytes: usize::MAX,
                large: true,
            },
            None => Allowance {
                calls: INITIAL_CALLS,
                bytes: INITIAL_BYTES.saturating_sub(sent_bytes),
                large: false,
            },
        }
    }

    /// The limits that the peer has offered; `None` before its hello or welcome.
    pub(crate) fn peer(&self) -> Option<Offer> {
        self.peer
    }

    /// The longest payload the peer takes; before the peer has said so, the longest that this side takes.
    pub(crate) fn peer_payload_bytes_max(&self) -> usize {
        usize::try_from(self.peer.unwrap_or(self.offer).payload_bytes_max).unwrap_or(usize::MAX)
    }
}

fn check_codec(codec: u64) -> Result<(), Violation> {
    if codec == CODEC_BINCODE { Ok(()) } else { Err(Violation::Codec(codec)) }
}
