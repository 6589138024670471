//! The handshake: which frames may come and leave before both sides know each other.
//!
//! The client's Hello leads its first message and costs no round trip: calls follow it at once, within fixed initial
//! limits. The server answers with its Welcome before anything else. On a new socket of the same session the greetings say where
//! the session goes on; then messages that were sent before follow the Hello at once, and new ones the Welcome.
//!
//! ```text
//! client  Greeted ──welcome──▶ Open ──socket ends──▶ Detached ──new socket──▶ Greeted
//! server  Awaiting ──hello──▶ Open ──socket ends──▶ Detached ──new socket, hello──▶ Open
//! ```

use std::time::Duration;

use super::{Identity, Side};
use crate::{
    error::Violation,
    time::Time,
    wire::{CODEC_BINCODE, FEATURE_RESUME, Frame, Hello, Offer, Resume, WIRE_VERSION, Welcome},
};

/// The bytes and calls that a client may send before it knows the server's limits.
const INITIAL_BYTES: usize = 64 << 10;
pub(crate) const INITIAL_CALLS: usize = 256;

pub(crate) struct Handshake {
    side: Side,
    state: State,
    offer: Offer,
    /// The session's identity, if it can outlive its socket.
    identity: Option<Identity>,
    /// The secret that takes the identity's place once the server has answered.
    next_secret: Option<[u8; 32]>,
    /// Whether a Hello has left: then the server may know the session.
    is_introduced: bool,
    /// The Hello or Welcome that leaves next.
    greeting: Option<Box<Frame>>,
    peer: Option<Offer>,
    /// The time from the last Hello to its Welcome.
    round_trip: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Server: no hello was received yet.
    Awaiting {
        until: Time,
    },
    /// Client: the hello was sent, no welcome was received yet.
    Greeted {
        since: Time,
        until: Time,
        resumes: bool,
    },
    Open,
    /// There is no socket.
    Detached,
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
    /// `identity` is that of a session that can outlive its socket.
    pub(crate) fn new(
        now: Time,
        side: Side,
        hello_timeout: Duration,
        offer: Offer,
        identity: Option<Identity>,
    ) -> Self {
        let until = now + hello_timeout;
        let state = match side {
            Side::Server => State::Awaiting { until },
            Side::Client => State::Greeted { since: now, until, resumes: false },
        };
        let mut handshake = Self {
            side,
            state,
            offer,
            identity,
            next_secret: None,
            is_introduced: false,
            greeting: None,
            peer: None,
            round_trip: None,
        };
        if side == Side::Client {
            handshake.greeting = Some(Box::new(handshake.hello_frame(None)));
        }
        handshake
    }

    /// The id of a session that can outlive its socket.
    pub(crate) fn session_id(&self) -> Option<[u8; 16]> {
        self.identity.map(|identity| identity.session)
    }

    fn features(&self) -> u64 {
        if self.identity.is_some() { FEATURE_RESUME } else { 0 }
    }

    fn hello_frame(&self, attach: Option<([u8; 32], Resume)>) -> Frame {
        let Identity { session, secret } = self.identity.unwrap_or_default();
        Frame::Hello(Box::new(Hello {
            version: WIRE_VERSION,
            features: self.features(),
            codec: CODEC_BINCODE,
            session,
            secret,
            attach,
            offer: self.offer,
        }))
    }

    fn welcome_frame(&self, attach: Option<Resume>) -> Frame {
        Frame::Welcome(Welcome {
            version: WIRE_VERSION,
            features: self.features(),
            codec: CODEC_BINCODE,
            attach,
            offer: self.offer,
        })
    }

    /// Whether this frame may come now.
    pub(crate) fn admit(&self, frame: &Frame) -> Result<(), Violation> {
        match (frame, self.side, self.state) {
            (Frame::Hello(_), Side::Client, _) => Err(Violation::WrongSide("Hello")),
            (Frame::Welcome(_), Side::Server, _) => Err(Violation::WrongSide("Welcome")),
            (Frame::Hello(_) | Frame::Welcome(_), _, State::Open) => Err(Violation::HelloRepeated),
            (Frame::Hello(_) | Frame::Welcome(_), _, _) | (_, _, State::Open) => Ok(()),
            (_, _, State::Awaiting { .. } | State::Greeted { .. } | State::Detached) => {
                Err(Violation::HelloMissing)
            }
        }
    }

    /// Whether the handshake is done: any frame but Hello and Welcome may come.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the peer was never heard.
    pub(crate) fn is_first(&self) -> bool {
        self.peer.is_none()
    }

    /// Takes the secret out of a server's session, which knows only its hash from then on.
    pub(crate) fn take_secret(&mut self) -> Option<[u8; 32]> {
        self.identity.as_mut().map(|identity| std::mem::take(&mut identity.secret))
    }

    /// Answers the peer's hello. Returns whether the session can outlive its socket.
    pub(crate) fn hello(&mut self, hello: &Hello) -> Result<bool, Violation> {
        check_codec(hello.codec)?;
        if hello.attach.is_some() {
            // Whoever knows the session attaches its socket; this is a new one.
            return Err(Violation::UnknownSession);
        }
        let identity = Identity { session: hello.session, secret: hello.secret };
        self.identity = self.identity.filter(|_| hello.features & FEATURE_RESUME != 0).map(|_| identity);
        self.peer = Some(hello.offer);
        self.state = State::Open;
        self.greeting = Some(Box::new(self.welcome_frame(None)));
        Ok(self.identity.is_some())
    }

    /// Takes the peer's welcome. Returns whether the session can outlive its socket, and where it goes on if it is not new.
    pub(crate) fn welcome(
        &mut self,
        now: Time,
        welcome: &Welcome,
    ) -> Result<(bool, Option<Resume>), Violation> {
        check_codec(welcome.codec)?;
        let State::Greeted { since, resumes, .. } = self.state else {
            return Err(Violation::HelloRepeated);
        };
        if welcome.attach.is_some() != resumes {
            return Err(Violation::UnknownSession);
        }
        if welcome.features & FEATURE_RESUME == 0 {
            self.identity = None;
        }
        if let (Some(identity), Some(secret)) = (&mut self.identity, self.next_secret.take()) {
            identity.secret = secret;
        }
        self.round_trip = Some(since.until(now));
        self.peer = Some(welcome.offer);
        self.state = State::Open;
        Ok((self.identity.is_some(), welcome.attach))
    }

    /// Takes note that the socket has ended and the session goes on.
    pub(crate) fn detach(&mut self) {
        self.state = State::Detached;
        self.greeting = None;
    }

    /// Greets the server on a new socket, the first one too if there was none when the session was made. The next secret takes the secret's place once the server has answered.
    pub(crate) fn greet_again(
        &mut self,
        now: Time,
        hello_timeout: Duration,
        next_secret: [u8; 32],
        resume: Resume,
    ) {
        let resumes = self.is_introduced;
        self.state = State::Greeted { since: now, until: now + hello_timeout, resumes };
        self.next_secret = resumes.then_some(next_secret);
        self.greeting = Some(Box::new(self.hello_frame(resumes.then_some((next_secret, resume)))));
    }

    /// Welcomes a client that goes on with the session on a new socket.
    pub(crate) fn welcome_back(&mut self, resume: Resume) {
        self.state = State::Open;
        self.greeting = Some(Box::new(self.welcome_frame(Some(resume))));
    }

    /// The Hello or Welcome, if it has to leave now.
    pub(crate) fn take_greeting(&mut self) -> Option<Frame> {
        let greeting = self.greeting.take()?;
        self.is_introduced = true;
        Some(*greeting)
    }

    /// Whether a Hello or Welcome has to leave.
    pub(crate) fn has_greeting(&self) -> bool {
        self.greeting.is_some()
    }

    /// Requires the peer's hello by `until`, if it is not due before.
    pub(crate) fn hurry(&mut self, until: Time) {
        match &mut self.state {
            State::Awaiting { until: due } | State::Greeted { until: due, .. } => *due = until.min(*due),
            State::Open | State::Detached => {}
        }
    }

    /// When the peer's hello or welcome is due.
    pub(crate) fn timeout(&self) -> Option<Time> {
        match self.state {
            State::Awaiting { until } | State::Greeted { until, .. } => Some(until),
            State::Open | State::Detached => None,
        }
    }

    /// Whether messages may be sent: a server sends nothing before it has received the hello.
    pub(crate) fn may_send(&self) -> bool {
        !matches!(self.state, State::Awaiting { .. } | State::Detached)
    }

    /// Whether new messages may be sent: on a further socket they follow the welcome.
    pub(crate) fn may_send_new(&self) -> bool {
        !matches!(self.state, State::Awaiting { .. } | State::Greeted { resumes: true, .. } | State::Detached)
    }

    /// The bytes that may be sent of messages that were sent before, when `sent` of them were sent on this socket.
    pub(crate) fn may_repeat(&self, sent: usize) -> bool {
        self.state == State::Open || sent < INITIAL_BYTES
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

    /// The time from the last Hello to its Welcome.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The longest payload the peer takes; before the peer has said so, the longest that this side takes.
    pub(crate) fn peer_payload_bytes_max(&self) -> usize {
        usize::try_from(self.peer.unwrap_or(self.offer).payload_bytes_max).unwrap_or(usize::MAX)
    }
}

fn check_codec(codec: u64) -> Result<(), Violation> {
    if codec == CODEC_BINCODE { Ok(()) } else { Err(Violation::Codec(codec)) }
}
