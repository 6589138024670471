//! The memory of long payloads, used again by those that come next.
//!
//! An allocator takes buffers of this length from the operating system and gives them back, and then each of their
//! pages costs a fault: more than to receive what is put into them. So a buffer whose last [`Bytes`] is dropped comes
//! back here, and waits a moment for the next payload of its length.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use bytes::Bytes;

use crate::{buffer::small_bytes::SmallBytes, sync::lock, time::Time};

/// Shorter ones are what allocators are good at. It is where glibc's begins to ask the operating system.
const LONG_BYTES: usize = 128 << 10;
/// Bytes that nobody uses and a session keeps: eight payloads of a MiB under way at once.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// How often a session lets go of those that nobody has used since the last time. So whatever a peer sends, what is kept of it
/// was in use within twice that time.
const KEPT_FOR: Duration = Duration::from_millis(100);

/// What one session keeps.
#[derive(Default)]
pub(crate) struct Spares {
    kept: Option<Arc<Mutex<Kept>>>,
    /// A part of a long payload has come since the last look at them.
    is_used: bool,
    /// When to look next.
    due: Option<Time>,
}

#[derive(Default)]
struct Kept {
    /// The last is the one that was used last.
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The number of them, from the first on, that were there at the last look already.
    old: usize,
    /// Nobody needs what comes back.
    is_closed: bool,
}

/// A buffer in use.
struct Lent {
    bytes: Vec<u8>,
    home: Weak<Mutex<Kept>>,
}

impl Spares {
    /// Appends a part of a payload that will be `total` long. Memory is taken as bytes arrive; once a quarter has come,
    /// the rest is believed.
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

    /// A payload that has come whole. What is long comes back when nobody has it any more.
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

    /// Lets go of what nobody has used for a while.
    pub(crate) fn expire(&mut self, now: Time) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let is_used = std::mem::take(&mut self.is_used);
        let is_left = self.kept.as_ref().is_some_and(|kept| lock(kept).let_go(is_used));
        self.due = (is_used || is_left).then_some(now + KEPT_FOR);
    }

    /// Bytes that nobody uses.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| lock(kept).bytes)
    }

    /// Lets go of all of them.
    pub(crate) fn clear(&mut self) {
        if let Some(kept) = &self.kept {
            let mut kept = lock(kept);
            (kept.bytes, kept.old) = (0, 0);
            kept.buffers.clear();
        }
    }

    /// An empty buffer, with room for `total` bytes and not much more, if there is one.
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

    /// Whether any are left. When empty and unused, stops taking buffers back.
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
