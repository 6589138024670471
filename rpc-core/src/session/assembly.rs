//! Assembles large payloads from the chunks in which they arrive.

use std::time::Duration;

use crate::{
    buffer::{small_bytes::SmallBytes, spares::Spares},
    error::Violation,
    id_map::IdMap,
    time::Time,
    wire::CallId,
};

#[derive(Default)]
pub(crate) struct Assembly {
    partial: IdMap<CallId, Partial>,
    announced: usize,
    /// Since when progress is watched, and the bytes that have arrived since.
    since: Time,
    arrived: usize,
}

/// The bytes that must arrive in each period of patience; with less, the peer counts as stalled.
const PROGRESS_BYTES: usize = 16 << 10;

/// A payload that arrives in chunks.
pub(super) struct Partial {
    total: usize,
    received: usize,
    /// `None` when the payload is only counted off, because nobody wants it any more.
    bytes: Option<Vec<u8>>,
}

impl Partial {
    pub(super) fn new(total: usize, keep: bool) -> Self {
        Self { total, received: 0, bytes: keep.then(Vec::new) }
    }

    /// Bytes that have not arrived yet.
    pub(super) fn rest(&self) -> usize {
        self.total - self.received
    }

    pub(super) fn is_complete(&self) -> bool {
        self.rest() == 0
    }

    /// Takes a chunk; false if it is longer than the rest.
    pub(super) fn take(&mut self, now: Time, bytes: &[u8], spares: &mut Spares) -> bool {
        if bytes.len() > self.rest() {
            return false;
        }
        self.received += bytes.len();
        if let Some(kept) = &mut self.bytes {
            spares.append(now, kept, bytes, self.total);
        }
        true
    }

    /// Drops the bytes; the rest is only counted off.
    pub(super) fn forget(&mut self) {
        self.bytes = None;
    }

    /// The whole payload, if it was kept.
    pub(super) fn into_bytes(self, spares: &mut Spares) -> Option<SmallBytes> {
        self.bytes.map(|bytes| spares.lend(bytes))
    }
}

impl Assembly {
    /// The announced bytes of kept payloads that are not complete.
    pub(crate) fn bytes_announced(&self) -> usize {
        self.announced
    }

    /// The number of payloads that are on their way, kept or not.
    pub(crate) fn payloads(&self) -> usize {
        self.partial.len()
    }

    /// When the current period of patience ends; `None` while no payload is on its way.
    pub(crate) fn timeout(&self, patience: Duration) -> Option<Time> {
        (!self.partial.is_empty()).then(|| self.since + patience)
    }

    /// Whether too little has arrived by the end of the period; if not, a new period begins.
    pub(crate) fn is_stalled(&mut self, now: Time, patience: Duration) -> bool {
        if self.timeout(patience).is_none_or(|due| due > now) {
            return false;
        }
        if self.arrived < PROGRESS_BYTES {
            return true;
        }
        (self.since, self.arrived) = (now, 0);
        false
    }

    /// Begins a new period, because nothing could arrive before.
    pub(crate) fn restart(&mut self, now: Time) {
        (self.since, self.arrived) = (now, 0);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.announced == 0
    }

    /// Expects the chunks of a payload of `total` bytes. Without `keep` they are only counted off.
    pub(crate) fn expect(
        &mut self,
        now: Time,
        id: CallId,
        total: usize,
        keep: bool,
    ) -> Result<(), Violation> {
        if self.partial.is_empty() {
            (self.since, self.arrived) = (now, 0);
        }
        if total == 0 || self.partial.contains_key(&id) {
            return Err(Violation::UnexpectedChunk(id.0));
        }
        if keep {
            self.announced += total;
        }
        self.partial.insert(id, Partial::new(total, keep));
        Ok(())
    }

    /// Takes a chunk. `Some` when it was the last: with the payload, or with nothing if it was not kept.
    pub(crate) fn chunk(
        &mut self,
        now: Time,
        id: CallId,
        bytes: &[u8],
        spares: &mut Spares,
    ) -> Result<Option<Option<SmallBytes>>, Violation> {
        let partial = self.partial.get_mut(&id).ok_or(Violation::UnexpectedChunk(id.0))?;
        // Empty chunks could go on forever without progress.
        if bytes.is_empty() || !partial.take(now, bytes, spares) {
            return Err(Violation::UnexpectedChunk(id.0));
        }
        self.arrived += bytes.len();
        if !partial.is_complete() {
            return Ok(None);
        }
        let Some(partial) = self.partial.remove(&id) else { return Ok(None) };
        self.arrived = PROGRESS_BYTES;
        if partial.bytes.is_some() {
            self.announced -= partial.total;
        }
        Ok(Some(partial.into_bytes(spares)))
    }
}
