//! Large payloads on their way in, chunk by chunk.

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
    /// Since when payloads are watched that are under way, and what has come of them since.
    since: Time,
    arrived: usize,
}

/// Payloads of which less comes in their time are given up.
const PROGRESS_BYTES: usize = 16 << 10;

/// A payload of which chunks come, until all have.
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

    /// What has not come yet.
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

    /// Counts the rest off.
    pub(super) fn forget(&mut self) {
        self.bytes = None;
    }

    /// The whole payload, if it was kept.
    pub(super) fn into_bytes(self, spares: &mut Spares) -> Option<SmallBytes> {
        self.bytes.map(|bytes| spares.lend(bytes))
    }
}

impl Assembly {
    /// Bytes of kept payloads that were announced and are not complete.
    pub(crate) fn bytes_announced(&self) -> usize {
        self.announced
    }

    /// How many payloads are on their way, kept or not.
    pub(crate) fn payloads(&self) -> usize {
        self.partial.len()
    }

    /// When enough must have come of those that are under way, if each `patience` something has to.
    pub(crate) fn timeout(&self, patience: Duration) -> Option<Time> {
        (!self.partial.is_empty()).then(|| self.since + patience)
    }

    /// Whether too little has come; else looks from now on.
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

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.announced == 0
    }

    /// Chunks for `id` will follow.
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
        // An empty chunk would make no progress, for ever.
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
