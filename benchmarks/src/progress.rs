//! How far a run is, on standard error.

use std::time::{Duration, Instant};

/// Counts what is measured.
pub(crate) struct Progress {
    started: Instant,
    done: usize,
    total: usize,
}

impl Progress {
    pub(crate) fn of(total: usize) -> Self {
        Self { started: Instant::now(), done: 0, total }
    }

    /// Says what is measured next.
    pub(crate) fn next(&mut self, round: usize, rounds: usize, what: &str) {
        // Every round measures the same, so what is left takes as long as what was.
        let left = self.started.elapsed() * u32::try_from(self.total - self.done).unwrap_or(0)
            / u32::try_from(self.done.max(1)).unwrap_or(1);
        let left = match self.done {
            0 => String::new(),
            _ if left > Duration::from_mins(1) => format!(", {} min left", left.as_secs().div_ceil(60)),
            _ => format!(", {} s left", left.as_secs()),
        };
        let at = format!("round {round}/{rounds}, {}/{}{left}: {what}", self.done + 1, self.total);
        eprint!("\r{at:<100}");
        self.done += 1;
    }

    /// Clears the line.
    pub(crate) fn end(self) {
        eprintln!("\r{:<100}\r{} s", "", self.started.elapsed().as_secs());
    }
}
