//! The heartbeat: a Ping after a time without a message of the peer, and what its Pong tells.
//!
//! It runs in the session, because some proxies answer the pings of WebSocket by themselves: only a frame of the session shows
//! that the peer's process is there.

use std::time::Duration;

use crate::{
    limits::{Limits, TIME_MAX},
    time::Time,
    wire::Frame,
};

pub(crate) struct Heartbeat {
    /// `None` without heartbeats.
    interval: Option<Duration>,
    patience: Duration,
    /// When the peer's last message came, or the socket was attached.
    heard: Time,
    /// The last Ping without a Pong, and when it was sent; also a Ping that waits to be sent.
    pinged: Option<(u64, Time)>,
    ping_due: bool,
    pings: u64,
    /// The number of the peer's last Ping, until it is answered.
    owed: Option<u64>,
    round_trip: Option<Duration>,
}

impl Heartbeat {
    pub(crate) fn new(now: Time, limits: &Limits) -> Self {
        Self {
            interval: Some(limits.ping_interval).filter(|interval| *interval < TIME_MAX),
            patience: limits.ping_timeout,
            heard: now,
            pinged: None,
            ping_due: false,
            pings: 0,
            owed: None,
            round_trip: None,
        }
    }

    /// Begins anew on a new socket.
    pub(crate) fn restart(&mut self, now: Time) {
        self.heard = now;
        self.pinged = None;
        self.ping_due = false;
        self.owed = None;
    }

    /// Takes note of a message of the peer, whatever it says.
    #[inline]
    pub(crate) fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    /// When to ping, or to give the peer up.
    pub(crate) fn timeout(&self) -> Option<Time> {
        match self.pinged {
            Some((_, at)) if at >= self.heard => Some(at + self.patience),
            _ => self.interval.map(|interval| self.heard + interval),
        }
    }

    /// Pings when that is due.
    pub(crate) fn expire(&mut self, now: Time) {
        let waits = self.pinged.is_some_and(|(_, at)| at >= self.heard);
        if !waits && self.timeout().is_some_and(|due| due <= now) {
            self.pings += 1;
            self.pinged = Some((self.pings, now));
            self.ping_due = true;
        }
    }

    /// Whether the peer has sent nothing since it was pinged, for too long.
    pub(crate) fn is_silent(&self, now: Time) -> bool {
        self.pinged.is_some_and(|(_, at)| at >= self.heard && at + self.patience <= now)
    }

    /// Takes the peer's Ping. Of several, the last one is answered.
    pub(crate) fn ping(&mut self, number: u64) {
        self.owed = Some(number);
    }

    /// Takes the peer's Pong.
    pub(crate) fn pong(&mut self, now: Time, number: u64) {
        if let Some((_, at)) = self.pinged.take_if(|(pinged, _)| *pinged == number) {
            self.round_trip = Some(at.until(now));
        }
    }

    /// Takes note of a round trip that was measured otherwise.
    pub(crate) fn measured(&mut self, round_trip: Option<Duration>) {
        self.round_trip = round_trip.or(self.round_trip);
    }

    /// The last round trip that was measured.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether frames are due.
    #[inline]
    pub(crate) fn has_frames(&self) -> bool {
        self.ping_due || self.owed.is_some()
    }

    /// The frames that are due, in `put`.
    #[inline]
    pub(crate) fn take(&mut self, mut put: impl FnMut(&Frame)) {
        if let Some(number) = self.owed.take() {
            put(&Frame::Pong { number });
        }
        if std::mem::take(&mut self.ping_due) {
            put(&Frame::Ping { number: self.pings });
        }
    }
}

#[cfg(test)]
mod tests;
