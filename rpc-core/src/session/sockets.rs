//! The sockets of a session: it loses one, waits, and goes on, on the next; and what says that one is no good any more.

use std::time::Duration;

use super::{Session, earlier, inputs::Waiter};
use crate::{error::Violation, limits::TIME_MAX, time::Time, wire::Resume};

impl<W: Waiter> Session<W> {
    /// Whether the session can go on when its socket ends.
    pub(crate) fn is_resumable(&self) -> bool {
        self.kept.keeps()
    }

    /// Whether there is no socket.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached_since.is_some()
    }

    /// Takes out the secret that a client gave a server's session.
    pub(crate) fn take_secret(&mut self) -> Option<[u8; 32]> {
        self.handshake.take_secret()
    }

    /// Takes note that the socket has ended and the session goes on: messages wait for the next one.
    pub(crate) fn detach(&mut self, now: Time) {
        self.handshake.detach();
        self.kept.rewind();
        self.head = Vec::new();
        self.transport_bytes = 0;
        self.detached_since.get_or_insert(now);
    }

    /// Gives back the room of tables that are empty, for a session that waits without a socket.
    pub(crate) fn rest(&mut self) {
        self.events.shrink_to_fit();
        self.kept.shrink();
        self.answers.rest();
    }

    /// Goes on, on a new socket to the server.
    pub(crate) fn greet_again(&mut self, now: Time, next_secret: [u8; 32]) {
        let resume = self.kept.attach(self.accepted.count(), self.detached_for(now));
        self.handshake.greet_again(now, self.limits.hello_timeout, next_secret, resume);
        self.attached(now);
    }

    /// Goes on, on a new socket that a client has attached with this resume.
    pub(crate) fn welcome_back(&mut self, now: Time, resume: &Resume) -> Result<(), Violation> {
        self.kept.resume(resume.accepted)?;
        self.accepted.resume(resume)?;
        let answer = self.kept.attach(self.accepted.count(), self.detached_for(now));
        self.handshake.welcome_back(answer);
        // The Welcome says the count as well.
        self.accepted.tell();
        self.attached(now);
        Ok(())
    }

    /// Whether the peer has acknowledged something on this socket.
    pub(crate) fn is_acknowledged_here(&self) -> bool {
        self.is_acknowledged_here
    }

    fn detached_for(&self, now: Time) -> Duration {
        self.detached_since.map_or(Duration::ZERO, |since| since.until(now))
    }

    fn attached(&mut self, now: Time) {
        self.detached_since = None;
        self.used = now;
        self.is_acknowledged_here = false;
        self.repeated = 0;
        self.heartbeat.restart(now);
        self.arguments.restart(now);
        self.results.restart(now);
        self.outgoing.streams.restart_stalls(now);
        self.stir(now);
    }

    /// The timeouts of a session that has a socket: without one, the peer cannot be late.
    #[inline]
    pub(super) fn timeout_of_socket(&self) -> Option<Time> {
        if self.is_detached() {
            return None;
        }
        // On a further socket, acknowledgements wait for the Welcome. A timeout that stays due would make the driver spin.
        let ack_due = self.accepted.ack_due().filter(|_| self.handshake.is_open());
        let due = earlier(self.heartbeat.timeout(), ack_due);
        let due = earlier(due, self.idle_due());
        let due = earlier(due, self.ack_stall_due());
        let due = earlier(due, self.handshake.timeout());
        let due = earlier(due, self.arguments.timeout(self.limits.message_timeout));
        let due = earlier(due, self.results.timeout(self.limits.message_timeout));
        earlier(due, self.outgoing.streams.timeout())
    }

    /// When the session counts as unused; `None` while calls are in flight.
    fn idle_due(&self) -> Option<Time> {
        let is_limited = self.limits.idle_timeout < TIME_MAX;
        let is_unused = is_limited && self.calls.is_idle() && self.answers.books.unfinished() == 0;
        is_unused.then(|| self.used + self.limits.idle_timeout)
    }

    /// Whether the session was not used for too long.
    pub(crate) fn is_idle(&self, now: Time) -> bool {
        !self.is_detached() && self.idle_due().is_some_and(|due| due <= now)
    }

    /// When a peer that acknowledges nothing counts as stalled.
    fn ack_stall_due(&self) -> Option<Time> {
        self.kept.full_since().map(|since| since + self.limits.write_stall)
    }

    /// Whether the peer has acknowledged nothing for too long, though messages wait for that.
    pub(crate) fn acks_stalled(&self, now: Time) -> bool {
        !self.is_detached() && self.ack_stall_due().is_some_and(|due| due <= now)
    }

    /// Whether the peer has not answered a Ping in time.
    pub(crate) fn is_peer_silent(&self, now: Time) -> bool {
        !self.is_detached() && self.heartbeat.is_silent(now)
    }

    /// The last round trip that was measured, by a heartbeat or the handshake.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.heartbeat.round_trip()
    }
}
