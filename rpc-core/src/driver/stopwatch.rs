//! Finds handlers that hold their thread, without a look at the clock for each: that costs as much as a small handler.
//!
//! Handlers that run one after the other are timed together. Where they took too long together, each one is timed from
//! then on, so that the one at fault is named at the latest when it does so again.

use std::time::{Duration, Instant};

use crate::descriptor::MethodDescriptor;

/// A handler that holds its thread for longer before its first await is named in a warning.
const BLOCKING_WARNING: Duration = Duration::from_millis(10);
/// So many handlers are timed together.
const TOGETHER: u32 = 16;

pub(super) struct Stopwatch {
    since: Instant,
    /// Handlers that have run since then, and the last of them.
    handlers: u32,
    last: Option<&'static MethodDescriptor>,
    times_each: bool,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), handlers: 0, last: None, times_each: false }
    }

    /// A handler starts.
    pub(super) fn start(&mut self) {
        if self.handlers == 0 {
            self.since = Instant::now();
        }
    }

    /// It has come to its first await, or to its end.
    pub(super) fn stop(&mut self, method: &'static MethodDescriptor) {
        self.handlers += 1;
        self.last = Some(method);
        if self.times_each || self.handlers == TOGETHER {
            self.look();
        }
    }

    /// Forgets what has run: it took its time for reasons that nobody needs to be warned of.
    pub(super) fn forget(&mut self) {
        self.handlers = 0;
    }

    /// Looks at the clock, if any handler has run.
    pub(super) fn look(&mut self) {
        let handlers = std::mem::take(&mut self.handlers);
        let Some(method) = self.last.filter(|_| handlers > 0) else { return };
        let taken = self.since.elapsed();
        if taken < BLOCKING_WARNING {
            return;
        }
        if handlers > 1 {
            self.times_each = true;
            return;
        }
        let (name, advice) = match method.attributes.batch {
            Some(batch) => (batch, "move its work to a thread that may block"),
            None => (method.name, "mark it #[rpc(blocking)]"),
        };
        tracing::warn!(
            "the handler of `{name}` held its thread for {taken:?} before its first await, and its whole session with \
             it; {advice}"
        );
    }
}
