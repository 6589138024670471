//! Two peers in a random conversation: messages are under way until the model that knows what must come of it delivers them.

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use super::pair::{Pair, TestPeer};
use crate::{seeded::Seeded, wire::MESSAGE_BYTES_MAX};

/// What knows what must come of a conversation.
pub(super) trait Model {
    fn talk(&mut self) -> &mut Talk;
    /// Anything that may happen.
    fn step(&mut self);
    /// The conversation comes to its end, and nothing is left.
    fn finish(&mut self);
}

/// Has a conversation of so many steps; prints them if it is not as the model says.
pub(super) fn converse(name: &str, steps: usize, mut model: impl Model) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (0..steps).for_each(|_| model.step());
        model.finish();
    }));
    if let Err(panic) = outcome {
        #[expect(clippy::print_stderr, reason = "what a failing test has to say")]
        {
            eprintln!("{name}, steps:\n{}", model.talk().steps.join("\n"));
        }
        resume_unwind(panic);
    }
}

pub(super) struct Talk {
    pub(super) seeded: Seeded,
    pub(super) pair: Pair,
    /// Messages on their way from the client, and from the server.
    ways: [VecDeque<Vec<u8>>; 2],
    steps: Vec<String>,
    /// The times that the socket may still be cut.
    cuts: usize,
    /// Whether the server has not noticed that its socket was cut: what it sends is lost.
    is_server_alone: bool,
}

/// The times that the socket of a resumable session is cut.
const CUTS: usize = 12;

impl Talk {
    pub(super) fn new(seeded: Seeded, pair: Pair) -> Self {
        let cuts = if pair.client.session.is_resumable() { CUTS } else { 0 };
        Self { seeded, pair, ways: Default::default(), steps: Vec::new(), cuts, is_server_alone: false }
    }

    // ---- sockets ----

    /// Cuts the socket, now and then: messages on their way are lost. Returns whether it did.
    fn cuts(&mut self) -> bool {
        if self.cuts == 0 || self.pair.server.session.handshake.is_first() || !self.seeded.chance(4) {
            return false;
        }
        self.cuts -= 1;
        let now = self.pair.now;
        self.is_server_alone = self.seeded.chance(50);
        self.note(format!("the socket is cut, server alone: {}", self.is_server_alone));
        self.ways.iter_mut().for_each(VecDeque::clear);
        self.pair.client.session.detach(now);
        if !self.is_server_alone {
            self.pair.server.session.detach(now);
        }
        true
    }

    pub(super) fn peer(&mut self, side: usize) -> &mut TestPeer {
        self.pair.peer(side)
    }

    pub(super) fn note(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    // ---- messages ----

    pub(super) fn is_silent(&self, from: usize) -> bool {
        self.ways[from].is_empty()
    }

    /// What `from` has sent does not arrive.
    pub(super) fn lose_messages(&mut self, from: usize) {
        self.ways[from].clear();
    }

    pub(super) fn send(&mut self, side: usize) -> bool {
        let now = self.pair.now;
        if side == 0 && self.pair.client.session.is_detached() {
            self.note("0 has a new socket");
            self.pair.client.session.greet_again(now, [7; 32]);
        }
        let Some(message) = self.peer(side).poll_message(now) else { return false };
        self.note(format!("{side} sends {} bytes", message.len()));
        assert!(message.len() <= MESSAGE_BYTES_MAX, "a message is {} bytes long", message.len());
        self.ways[side].push_back(message);
        true
    }

    /// Delivers what `from` sent first, and returns it, or no bytes if it was lost or is known.
    pub(super) fn deliver(&mut self, from: usize) -> Option<Vec<u8>> {
        if self.cuts() {
            return Some(Vec::new());
        }
        let message = self.ways[from].pop_front()?;
        if from == 1 && self.is_server_alone {
            return Some(Vec::new());
        }
        self.note(format!("{from} is heard"));
        if from == 0 && self.is_server_alone {
            self.is_server_alone = false;
            self.ways[1].clear();
        }
        let now = self.pair.now;
        let before = self.peer(1 - from).session.accepted.count();
        let heard = self.peer(1 - from).receive(now, &message);
        assert_eq!(heard, Ok(()), "an honest peer broke the protocol");
        let is_new = self.peer(1 - from).session.accepted.count() > before;
        Some(if is_new { message } else { Vec::new() })
    }

    // ---- time ----

    pub(super) fn milliseconds(&mut self, end: usize) -> Duration {
        Duration::from_millis(self.seeded.below(end) as u64)
    }

    pub(super) fn pass_time(&mut self) {
        let by = self.milliseconds(30);
        self.note(format!("{by:?} pass"));
        let now = self.pair.now + by;
        self.pair.now = now;
        for side in [0, 1] {
            // A timer may come late.
            if self.seeded.chance(80) {
                self.peer(side).handle_timeout(now);
            }
        }
    }

    /// Goes on to the next timer, if there is one.
    pub(super) fn skip_time(&mut self) -> bool {
        let due = [self.pair.client.session.poll_timeout(), self.pair.server.session.poll_timeout()];
        let Some(next) = due.into_iter().flatten().min() else { return false };
        self.note(format!("time is {next:?}"));
        self.pair.now = self.pair.now.max(next);
        for side in [0, 1] {
            let now = self.pair.now;
            self.peer(side).handle_timeout(now);
        }
        true
    }
}

/// Whether the call with this number is built on the result of `origin`; `uses` gives what a call is built on directly.
pub(super) fn is_built_on<I>(id: usize, origin: usize, uses: impl Fn(usize) -> I) -> bool
where
    I: IntoIterator<Item = usize>,
{
    let mut open = vec![id];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        for base in uses(id) {
            if base == origin {
                return true;
            }
            if seen.insert(base) {
                open.push(base);
            }
        }
    }
    false
}
