//! Sequenced messages: those that this side has sent are kept until the peer has accepted them, and those of the peer that were
//! accepted are acknowledged. A session goes on, on a new socket, behind the last message that each side has accepted.
//!
//! The rules are those of `wire.rs`. Without the resume feature nothing is kept and nothing acknowledged. Kept messages are
//! bounded by the window; while it is full, the session sends no more of them, and its own queues fill up to their limits.

use std::{collections::VecDeque, time::Duration};

use crate::{buffer::message::Message, error::Violation, time::Time, wire::Resume};

/// The window that a session begins with, unless the sender offers less.
const WINDOW_MIN: usize = 256 << 10;
/// The bytes that a message counts besides its own.
const MESSAGE_OVERHEAD: usize = 64;
/// How long the receiver waits for more messages to acknowledge.
const ACK_DELAY: Duration = Duration::from_millis(100);
/// The messages after which the receiver acknowledges at once.
const ACK_MESSAGES: u64 = 64;
/// The messages whose acknowledgement rides along with a message that leaves anyway.
const ACK_ALONG: u64 = 32;
/// A queue that had to be longer than this gives its memory back when it is empty for a while.
const CAPACITY_IDLE: usize = 4;

/// The bytes of the window that a message takes.
fn charge(bytes: usize) -> usize {
    bytes + MESSAGE_OVERHEAD
}

/// The window in use when messages of so many bytes were acknowledged.
fn window(acknowledged: u64, max: usize) -> usize {
    let earned = usize::try_from(acknowledged / 4).unwrap_or(usize::MAX);
    earned.max(WINDOW_MIN).min(max)
}

/// The sequenced messages of this side that the peer may not have.
#[derive(Default)]
pub(crate) struct Kept {
    /// Oldest first. Without resume, this is at most the message that was handed out last.
    messages: VecDeque<Message>,
    bytes: usize,
    keeps: bool,
    window_max: usize,
    /// The number of messages before `messages`: all of them were acknowledged, or need not be.
    acknowledged: u64,
    acknowledged_bytes: u64,
    /// The number of the next message for the socket. Behind `messages`, it is a new one.
    next: u64,
    /// The number of the first message that no socket has taken yet. Messages before it may be sent again.
    fresh: u64,
    /// Whether messages that the peer has were left out on this socket, and it was not told.
    skips: bool,
    /// Since when the window is full and nothing was acknowledged.
    full_since: Option<Time>,
}

impl Kept {
    pub(crate) fn new(keeps: bool, window_max: usize) -> Self {
        Self { keeps, window_max, ..Self::default() }
    }

    /// Whether messages are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Keeps nothing any more: the peer has no resume.
    pub(crate) fn keep_nothing(&mut self) {
        self.keeps = false;
        while !self.messages.is_empty() {
            self.drop_first();
        }
        self.next = self.next.max(self.acknowledged);
    }

    /// The number of the first message that the peer has not acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        if self.keeps { self.acknowledged } else { 0 }
    }

    /// The number of the first message that no socket has taken.
    pub(crate) fn fresh(&self) -> u64 {
        self.fresh
    }

    /// Bytes of the messages that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets the message that was handed out, if it need not be kept.
    #[inline]
    pub(crate) fn forget_unkept(&mut self) {
        if !self.keeps {
            self.drop_first();
        }
    }

    /// Whether there is room for a new message, behind those that have to be sent again.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < window(self.acknowledged_bytes, self.window_max).max(1)
    }

    /// Whether messages wait to be sent on this socket that another has taken already.
    pub(crate) fn has_unsent(&self) -> bool {
        self.next < self.end()
    }

    /// The next message that has to be sent again, to be looked up as [`handed_out`](Self::handed_out).
    pub(crate) fn hand_out(&mut self) -> Option<usize> {
        let length = self.messages.get(self.index(self.next))?.len();
        self.next += 1;
        self.fresh = self.fresh.max(self.next);
        Some(length)
    }

    /// Gives back the room that no message takes.
    pub(crate) fn shrink(&mut self) {
        self.messages.shrink_to_fit();
    }

    /// Appends a new message and hands it out. No message waits to be sent again.
    pub(crate) fn push(&mut self, message: Message) {
        debug_assert!(!self.has_unsent(), "new messages come behind those that are sent again");
        self.bytes += charge(message.len());
        if self.messages.capacity() == 0 {
            // A session with one call at a time keeps one message.
            self.messages.reserve_exact(1);
        }
        self.messages.push_back(message);
        self.next += 1;
        self.fresh = self.next;
    }

    /// The message that was handed out last.
    pub(crate) fn handed_out(&self) -> Option<&Message> {
        self.messages.get(self.index(self.next).checked_sub(1)?)
    }

    /// Takes the peer's word that it has accepted the first `count` messages.
    pub(crate) fn acknowledge(&mut self, count: u64) -> Result<(), Violation> {
        if !self.keeps || count < self.acknowledged || count > self.next {
            return Err(Violation::ForgedAck);
        }
        self.accepted(count);
        Ok(())
    }

    /// Takes the peer's word, on a new socket, that it has accepted the first `count` messages.
    pub(crate) fn resume(&mut self, count: u64) -> Result<(), Violation> {
        if !self.keeps || count < self.acknowledged || count > self.fresh {
            return Err(Violation::ForgedAck);
        }
        self.skips |= count > self.next;
        self.next = self.next.max(count);
        self.accepted(count);
        Ok(())
    }

    /// Takes out the messages that the peer has not acknowledged, of a session that is over.
    pub(crate) fn take_messages(&mut self) -> VecDeque<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }

    /// The number of the next message, if the peer has to be told which one that is.
    pub(crate) fn take_skip(&mut self) -> Option<u64> {
        std::mem::take(&mut self.skips).then_some(self.next)
    }

    fn accepted(&mut self, count: u64) {
        if count > self.acknowledged {
            self.full_since = None;
            let before = self.bytes;
            while self.acknowledged < count {
                self.drop_first();
            }
            self.acknowledged_bytes += (before - self.bytes) as u64;
        }
    }

    #[inline]
    fn drop_first(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= charge(message.len());
            self.acknowledged += 1;
        }
    }

    /// Begins again with the oldest message, for a new socket.
    pub(crate) fn rewind(&mut self) {
        self.next = self.acknowledged;
        self.skips = false;
        self.full_since = None;
    }

    /// What a new socket's attach says about these messages.
    pub(crate) fn attach(&self, accepted: u64, detached: Duration) -> Resume {
        let detached_us = u64::try_from(detached.as_micros()).unwrap_or(u64::MAX);
        Resume { accepted, first: self.acknowledged, fresh: self.fresh, detached_us }
    }

    /// Takes note that more would be sent if the window was not full.
    pub(crate) fn is_stopped(&mut self, now: Time) {
        self.full_since.get_or_insert(now);
    }

    /// Since when a peer that takes messages has acknowledged none of them.
    pub(crate) fn full_since(&self) -> Option<Time> {
        self.full_since
    }

    /// Gives memory back that only busy sessions need.
    pub(crate) fn rest(&mut self) {
        if self.messages.is_empty() && self.messages.capacity() > CAPACITY_IDLE {
            self.messages = VecDeque::new();
        }
    }

    fn end(&self) -> u64 {
        self.acknowledged + self.messages.len() as u64
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number - self.acknowledged).unwrap_or(usize::MAX)
    }
}

/// The sequenced messages of the peer that this side has accepted.
#[derive(Default)]
pub(crate) struct Accepted {
    count: u64,
    /// The number of the next message on this socket. Below `count`, it is one that was accepted already.
    next: u64,
    acknowledges: bool,
    window_max: usize,
    /// The count that the peer was told.
    told: u64,
    told_bytes: u64,
    untold_bytes: usize,
    ack_due: Option<Time>,
    /// Messages before this number were sent before, so long ago.
    old: u64,
    age: Duration,
}

/// What to do with a message of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its frames are taken.
    New,
    /// It was accepted on another socket.
    Known,
}

impl Accepted {
    /// Acknowledges messages from here on. The peer keeps `window_max` bytes at most.
    pub(crate) fn acknowledge_from_here(&mut self, window_max: u64) {
        self.acknowledges = true;
        self.window_max = usize::try_from(window_max).unwrap_or(usize::MAX);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Counts a message whose frames of the session are this long.
    pub(crate) fn arrived(&mut self, now: Time, bytes: usize) -> Arrival {
        let number = self.next;
        self.next += 1;
        if number < self.count {
            return Arrival::Known;
        }
        self.count += 1;
        if self.acknowledges {
            self.untold_bytes += charge(bytes);
            let is_much = self.untold_bytes >= window(self.told_bytes, self.window_max) / 4;
            match self.ack_due {
                _ if is_much || self.untold() >= ACK_MESSAGES => self.ack_due = Some(now),
                None => self.ack_due = Some(now + ACK_DELAY),
                Some(_) => {}
            }
        }
        Arrival::New
    }

    /// How long ago the message that arrived last was first sent, if that was on another socket.
    pub(crate) fn age(&self) -> Duration {
        if self.next <= self.old { self.age } else { Duration::ZERO }
    }

    /// Begins with the message that the peer says comes first on a new socket.
    pub(crate) fn resume(&mut self, resume: &Resume) -> Result<(), Violation> {
        if resume.first > self.count {
            return Err(Violation::Gap);
        }
        self.next = resume.first;
        self.old = resume.fresh;
        self.age = Duration::from_micros(resume.detached_us);
        Ok(())
    }

    /// Takes note that the peer leaves messages out that were accepted.
    pub(crate) fn skip_to(&mut self, next: u64) -> Result<(), Violation> {
        if next < self.next || next > self.count {
            return Err(Violation::Gap);
        }
        self.next = next;
        Ok(())
    }

    /// When the peer must be told how much was accepted.
    pub(crate) fn ack_due(&self) -> Option<Time> {
        self.ack_due
    }

    /// Has the next message tell the peer how much was accepted.
    pub(crate) fn acknowledge_now(&mut self, now: Time) {
        self.ack_due = Some(now);
    }

    /// The count to tell the peer, if that is due. With `along`, a message leaves anyway.
    pub(crate) fn take_ack(&mut self, now: Time, along: bool) -> Option<u64> {
        let due = self.ack_due?;
        if due > now && !(along && self.untold() >= ACK_ALONG) {
            return None;
        }
        self.tell();
        Some(self.count)
    }

    /// Takes note that the peer was told the count.
    pub(crate) fn tell(&mut self) {
        self.ack_due = None;
        self.told = self.count;
        self.told_bytes += std::mem::take(&mut self.untold_bytes) as u64;
    }

    fn untold(&self) -> u64 {
        self.count - self.told
    }
}

#[cfg(test)]
mod tests;
