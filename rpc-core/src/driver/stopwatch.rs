//! Measures how long handlers hold their thread, without reading the clock for each: that costs as much as a small handler.
//!
//! Handlers that run one after the other are timed together; the longer they take, the fewer are timed together. If a group
//! took far too long, each handler is timed by itself from then on. So the handler at fault is named at the latest when it
//! blocks again, and once.

use std::time::Duration;

// tokio's clock can be stopped. While it is, as for counting instructions, nothing depends on how long handlers take.
use tokio::time::Instant;

use crate::schema::descriptor::MethodDescriptor;

/// A handler that holds its thread for longer before its first await is named in a warning.
const BLOCKING_WARNING: Duration = Duration::from_millis(10);
/// The time that handlers get before other tasks get their turn. Busy sessions wait for each other's turns, and their unread
/// messages wait meanwhile.
const TURN: Duration = Duration::from_micros(250);
/// After a turn of this length other tasks get theirs even if only few calls wait, whose results would leave together.
const LONG_TURN: Duration = Duration::from_millis(2);
/// The most handlers that are timed together.
const TOGETHER_MAX: u32 = 16;
/// The time between two looks at the clock that grouping aims at: a part of a turn.
const LOOK_EVERY: Duration = Duration::from_micros(100);

pub(super) struct Stopwatch {
    since: Instant,
    /// When the first handler of the turn started.
    turn_since: Option<Instant>,
    is_turn_over: bool,
    is_turn_long: bool,
    was_turn_over: bool,
    /// The number of handlers that have run since the last look at the clock, and the method of the last one.
    handlers: u32,
    last: Option<&'static MethodDescriptor>,
    /// The number of handlers between two looks.
    together: u32,
    times_each: bool,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            turn_since: None,
            is_turn_over: false,
            is_turn_long: false,
            was_turn_over: false,
            handlers: 0,
            last: None,
            together: 1,
            times_each: false,
        }
    }

    pub(super) fn start_turn(&mut self) {
        self.turn_since = None;
        self.is_turn_long = false;
        self.was_turn_over = std::mem::take(&mut self.is_turn_over);
    }

    /// Whether handlers have used up their time ([`TURN`]) in this turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.is_turn_over
    }

    /// Whether handlers have used up a [`LONG_TURN`] in this turn.
    pub(super) fn is_turn_long(&self) -> bool {
        self.is_turn_long
    }

    /// Whether handlers had used up their time in the turn before.
    pub(super) fn was_last_turn_over(&self) -> bool {
        self.was_turn_over
    }

    /// Begins the time of a handler that starts.
    pub(super) fn start(&mut self) {
        if self.handlers == 0 {
            self.since = Instant::now();
            self.turn_since.get_or_insert(self.since);
        }
    }

    /// Ends the time of a handler that has come to its first await, or to its end.
    pub(super) fn stop(&mut self, method: &'static MethodDescriptor) {
        self.handlers += 1;
        self.last = Some(method);
        if self.times_each || self.handlers >= self.together {
            self.look();
        }
    }

    /// Forgets the handlers since the last look: they took their time for reasons that need no warning.
    pub(super) fn forget(&mut self) {
        self.handlers = 0;
    }

    /// Looks at the clock, if any handler has run.
    #[inline]
    pub(super) fn look(&mut self) {
        if self.handlers > 0
            && let Some(method) = self.last
        {
            self.look_after(method);
        }
    }

    fn look_after(&mut self, method: &'static MethodDescriptor) {
        let handlers = std::mem::take(&mut self.handlers);
        let now = Instant::now();
        let turn = self.turn_since.map_or(Duration::ZERO, |since| now - since);
        self.is_turn_over = turn >= TURN;
        self.is_turn_long = turn >= LONG_TURN;
        let taken = now - self.since;
        let each = (taken / handlers).max(Duration::from_nanos(1));
        self.together = u32::try_from(LOOK_EVERY.as_nanos() / each.as_nanos())
            .map_or(TOGETHER_MAX, |many| many.clamp(1, TOGETHER_MAX));
        if taken < BLOCKING_WARNING {
            return;
        }
        if handlers > 1 {
            self.times_each = true;
            return;
        }
        if !method.is_first_to_block() {
            return;
        }
        let (name, advice) = match method.attributes.batch {
            Some(batch) => (batch, "move its work to a thread that may block"),
            None => (method.name, "mark it #[rpc(blocking)]"),
        };
        tracing::warn!(
            "the handler of `{name}` held its thread for {taken:?} before its first await, and every other call of \
             its session waited meanwhile; {advice}. This is said once for each method"
        );
    }
}
