//! Computes how wide a stream's window should be.

use std::time::Duration;

use crate::{
    time::Time,
    wire::{ITEM_CHUNK_BYTES, ITEM_OVERHEAD},
};

/// The measuring limits of a stream without calls beside it. Shorter round trips cannot be told from the reaction time of the
/// two sides. The reading rate is not measured over shorter times, because items that piled up are read in bursts.
const ALONE: Least = Least { round_trip: Duration::from_micros(200), reading: Duration::from_millis(2) };
/// The measuring limits of a stream beside calls. They are finer, because calls queue behind all items that are on their way.
const BESIDE_CALLS: Least =
    Least { round_trip: Duration::from_micros(25), reading: Duration::from_millis(1) };
/// The round trip below which windows may shrink beside calls: a window that became too narrow is soon wide again.
const NEAR: Duration = Duration::from_millis(2);

/// The shortest round trip and reading time that are measured; shorter ones count as these.
struct Least {
    round_trip: Duration,
    reading: Duration,
}

/// The pace of a stream: how fast it is read, and how long its round trip is.
pub(super) struct Pace {
    received: u64,
    granted: u64,
    /// A mark and a time: when more bytes than the mark have arrived, credit that was granted at that time has been used.
    probe: Option<(u64, Time)>,
    round_trip: Option<Duration>,
    /// When the reading rate was last computed, and the bytes read since.
    since: Time,
    read: u64,
    /// The longest item in chunks that the window had room for.
    longest: u64,
    /// The last three windows that were computed beside calls; their median is used.
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

    /// Records an item that begins to arrive in chunks and that the window has room for.
    pub(super) fn begins(&mut self, charge: u64) {
        self.longest = self.longest.max(charge);
    }

    pub(super) fn granting(&mut self, now: Time, bytes: u64) {
        // The peer may exceed its credit by one short item, which can arrive without the credit that is granted now.
        let owed = (ITEM_CHUNK_BYTES + ITEM_OVERHEAD) as u64;
        self.probe.get_or_insert((self.granted + owed, now));
        self.granted += bytes;
    }

    /// Counts `bytes` more that were read. Returns the window that the stream should have now, if it can be computed.
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
        // Half an item cannot be read: a window of almost two long items lets through one in a round trip, so there must be
        // room for one more. Over a short round trip the next item arrives before that matters.
        let half_read = if round_trip >= NEAR { self.longest } else { 0 };
        let due =
            2 * u128::from(read) * round_trip.as_micros() / taken.as_micros().max(1) + u128::from(half_read);
        // At most doubled at once: one round trip proves no more than that.
        let due = u64::try_from(due).unwrap_or(u64::MAX).min(2 * window);
        if !follows {
            let wider = due.max(window);
            self.due = [wider; 3];
            return Some(wider);
        }
        // A thread that was kept from running finds much to read at once. The median ignores that: one burst does not make the
        // window wide.
        self.due = [due, self.due[0], self.due[1]];
        Some(median(self.due))
    }
}

fn median([one, two, three]: [u64; 3]) -> u64 {
    one.min(two).max(one.max(two).min(three))
}

#[cfg(test)]
mod tests;
