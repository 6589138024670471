//! Spare buffers: the memory of long payloads, reused by the next long payloads.
//!
//! An allocator takes buffers of this length from the operating system and gives them back, and then each of their pages costs
//! a page fault: more than receiving the bytes. So a buffer whose last [`Bytes`] is dropped comes back here, and waits a moment
//! for the next payload of its length.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use bytes::Bytes;

use crate::{buffer::small_bytes::SmallBytes, sync::lock, time::Time};

/// The shortest payload whose buffer is reused: allocators are good at shorter ones. From this length on, glibc's asks the
/// operating system.
const LONG_BYTES: usize = 128 << 10;
/// The most unused bytes that a session keeps: enough for eight payloads of a MiB in flight at once.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// How often a session frees the buffers that were not used since the last time. So, whatever a peer sends, each kept buffer
/// was in use within twice that time.
const KEPT_FOR: Duration = Duration::from_millis(100);

/// The spare buffers of one session.
#[derive(Default)]
pub(crate) struct Spares {
    kept: Option<Arc<Mutex<Kept>>>,
    /// Whether a part of a long payload has come since the last [`expire`](Self::expire).
    is_used: bool,
    /// When [`expire`](Self::expire) is due.
    due: Option<Time>,
}

#[derive(Default)]
struct Kept {
    /// The buffers, the one that was used last at the end.
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The number of buffers, from the first on, that were kept at the last [`let_go`](Self::let_go) already.
    old: usize,
    /// Whether buffers that come back are freed, because no long payloads come.
    is_closed: bool,
}

/// A buffer in use.
struct Lent {
    bytes: Vec<u8>,
    home: Weak<Mutex<Kept>>,
}

impl Spares {
    /// Appends a part of a payload that will be `total` bytes long. Memory is taken as bytes arrive; once a quarter has arrived,
    /// room for all of it is taken.
    pub(crate) fn append(&mut self, now: Time, payload: &mut Vec<u8>, part: &[u8], total: usize) {
        if total >= LONG_BYTES {
            self.is_used = true;
            self.due.get_or_insert(now + KEPT_FOR);
            if payload.capacity() == 0 {
                *payload = self.take(total);
            }
        }
        let length = payload.len() + part.len();
        if length > payload.capacity() {
            let room = if length >= total / 4 { total } else { (2 * length).min(total) };
            payload.reserve_exact(room - payload.len());
        }
        payload.extend_from_slice(part);
    }

    /// Turns a complete payload into a value. The buffer of a long payload comes back when the last copy of the value is dropped.
    pub(crate) fn lend(&self, payload: Vec<u8>) -> SmallBytes {
        match &self.kept {
            Some(kept) if payload.capacity() >= LONG_BYTES => {
                Bytes::from_owner(Lent { bytes: payload, home: Arc::downgrade(kept) }).into()
            }
            _ => payload.into(),
        }
    }

    pub(crate) fn timeout(&self) -> Option<Time> {
        self.due
    }

    /// Frees the buffers that nobody has used for a while.
    pub(crate) fn expire(&mut self, now: Time) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let is_used = std::mem::take(&mut self.is_used);
        let is_left = self.kept.as_ref().is_some_and(|kept| lock(kept).let_go(is_used));
        self.due = (is_used || is_left).then_some(now + KEPT_FOR);
    }

    /// The bytes of unused buffers.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| lock(kept).bytes)
    }

    /// Frees all unused buffers.
    pub(crate) fn clear(&mut self) {
        if let Some(kept) = &self.kept {
            let mut kept = lock(kept);
            (kept.bytes, kept.old) = (0, 0);
            kept.buffers.clear();
        }
    }

    /// An empty buffer with room for `total` bytes and not much more; a new one if none fits.
    fn take(&mut self, total: usize) -> Vec<u8> {
        let mut kept = lock(self.kept.get_or_insert_default());
        kept.is_closed = false;
        let fits = |buffer: &Vec<u8>| (total..=total + total / 4).contains(&buffer.capacity());
        let place = kept.buffers.iter().rposition(fits);
        let Some(buffer) = place.and_then(|place| kept.buffers.remove(place)) else { return Vec::new() };
        kept.bytes -= buffer.capacity();
        kept.old -= usize::from(place < Some(kept.old));
        buffer
    }
}

impl Kept {
    fn give(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if self.is_closed || bytes > KEPT_BYTES_MAX {
            return;
        }
        while self.bytes + bytes > KEPT_BYTES_MAX
            && let Some(oldest) = self.buffers.pop_front()
        {
            self.bytes -= oldest.capacity();
            self.old = self.old.saturating_sub(1);
        }
        buffer.clear();
        self.bytes += bytes;
        self.buffers.push_back(buffer);
    }

    /// Frees the buffers that were not used since the last time. Returns whether any are left. When empty and unused, stops
    /// taking buffers back.
    fn let_go(&mut self, is_used: bool) -> bool {
        for buffer in self.buffers.drain(..self.old) {
            self.bytes -= buffer.capacity();
        }
        self.old = self.buffers.len();
        self.is_closed = self.buffers.is_empty() && !is_used;
        !self.buffers.is_empty()
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            lock(&home).give(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests;
