//! How wide a stream's window should be.

use std::time::Duration;

use crate::{
    time::Time,
    wire::{ITEM_CHUNK_BYTES, ITEM_OVERHEAD},
};

/// Shorter round trips are not told apart from the time that the sides take to react.
const ROUND_TRIP_MIN: Duration = Duration::from_micros(200);
/// How fast a stream is read is not told from less: what piled up is read in bursts.
const READING_MIN: Duration = Duration::from_millis(2);

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
}

impl Pace {
    /// Of a stream that opens with so much credit.
    pub(super) fn new(granted: u64) -> Self {
        Self { received: 0, granted, probe: None, round_trip: None, since: Time::ZERO, read: 0, longest: 0 }
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

    /// So much more was read; gives the window that the stream could use, if that is more than it has.
    pub(super) fn wider(&mut self, now: Time, bytes: u64, window: u64) -> Option<u64> {
        self.read += bytes;
        let round_trip = self.round_trip?.max(ROUND_TRIP_MIN);
        let taken = self.since.until(now);
        if taken < round_trip.max(READING_MIN) {
            return None;
        }
        let read = std::mem::take(&mut self.read);
        self.since = now;
        // Half an item cannot be read: a window of almost two long ones lets through one in a round trip. Where that is short,
        // the next one is here before that is noticed.
        let half_read = if round_trip >= READING_MIN { self.longest } else { 0 };
        let wanted =
            2 * u128::from(read) * round_trip.as_micros() / taken.as_micros().max(1) + u128::from(half_read);
        // Twice at once is as fast as a round trip tells.
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).min(2 * window);
        (wanted > window).then_some(wanted)
    }
}
