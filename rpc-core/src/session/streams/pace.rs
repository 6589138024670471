//! How wide a stream's window should be.

use std::time::Duration;

use crate::{
    time::Time,
    wire::{ITEM_CHUNK_BYTES, ITEM_OVERHEAD},
};

/// Shorter round trips are not told apart from the time that the sides take to react, and how fast a stream is read is not
/// told from less: what piled up is read in bursts.
const ALONE: Least = Least { round_trip: Duration::from_micros(200), reading: Duration::from_millis(2) };
/// Where calls are made beside a stream, all that is on its way is a queue that they stand in.
const BESIDE_CALLS: Least =
    Least { round_trip: Duration::from_micros(25), reading: Duration::from_millis(1) };
/// Over shorter round trips than this, a window that became too narrow is wide again before anybody notices.
const NEAR: Duration = Duration::from_millis(2);

/// What is not told from less.
struct Least {
    round_trip: Duration,
    reading: Duration,
}

/// How fast a stream is read, and how long its round trip is.
pub(super) struct Pace {
    received: u64,
    granted: u64,
    /// When more than this has arrived, credit that was granted then has been used.
    probe: Option<(u64, Time)>,
    round_trip: Option<Duration>,
    /// What was read since then.
    since: Time,
    read: u64,
    /// The longest item in chunks that the window had room for.
    longest: u64,
    /// The windows that were due the last times, as far as it follows what is read.
    due: [u64; 3],
}

impl Pace {
    /// The pace of a stream that opens with this credit.
    pub(super) fn new(granted: u64) -> Self {
        Self {
            received: 0,
            granted,
            probe: None,
            round_trip: None,
            since: Time::ZERO,
            read: 0,
            longest: 0,
            due: [granted; 3],
        }
    }

    pub(super) fn arrived(&mut self, now: Time, bytes: u64) {
        self.received += bytes;
        if let Some((mark, at)) = self.probe
            && self.received > mark
        {
            self.probe = None;
            let sample = at.until(now);
            self.round_trip = Some(self.round_trip.map_or(sample, |shortest| shortest.min(sample)));
        }
    }

    /// An item that the window has room for begins to arrive in chunks.
    pub(super) fn begins(&mut self, charge: u64) {
        self.longest = self.longest.max(charge);
    }

    pub(super) fn granting(&mut self, now: Time, bytes: u64) {
        // What the peer may owe can arrive without the credit that is granted now.
        let owed = (ITEM_CHUNK_BYTES + ITEM_OVERHEAD) as u64;
        self.probe.get_or_insert((self.granted + owed, now));
        self.granted += bytes;
    }

    /// `bytes` more were read; gives the window that the stream should have now, if that can be told.
    pub(super) fn window(&mut self, now: Time, bytes: u64, window: u64, beside_calls: bool) -> Option<u64> {
        self.read += bytes;
        let round_trip = self.round_trip?;
        let follows = beside_calls && round_trip < NEAR;
        let least = if follows { BESIDE_CALLS } else { ALONE };
        let round_trip = round_trip.max(least.round_trip);
        let taken = self.since.until(now);
        if taken < round_trip.max(least.reading) {
            return None;
        }
        let read = std::mem::take(&mut self.read);
        self.since = now;
        // Half an item cannot be read: a window of almost two long ones lets through one in a round trip. Where that is short,
        // the next one is here before that is noticed.
        let half_read = if round_trip >= NEAR { self.longest } else { 0 };
        let due =
            2 * u128::from(read) * round_trip.as_micros() / taken.as_micros().max(1) + u128::from(half_read);
        // Twice at once is as fast as a round trip tells.
        let due = u64::try_from(due).unwrap_or(u64::MAX).min(2 * window);
        if !follows {
            let wider = due.max(window);
            self.due = [wider; 3];
            return Some(wider);
        }
        // A thread that was kept from running finds much to read at once. That is no reason for a wide window.
        self.due = [due, self.due[0], self.due[1]];
        Some(median(self.due))
    }
}

fn median(mut three: [u64; 3]) -> u64 {
    three.sort_unstable();
    three[1]
}

#[cfg(test)]
mod tests;
