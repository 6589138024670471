//! The ledger of a simulation: what each call did on both sides, and whether that is allowed.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rpc_core::{CallError, Delivery};

/// A call of a simulation; unique in it.
pub(super) type CallNumber = u64;

/// How often the handler of a call may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// Once at most; exactly once if the caller got a value.
    Once,
    /// Once for each session that the call was made in.
    Idempotent,
    /// Once at most for each element of a map; exactly once for each of them if the caller got a value.
    Each(u64),
}

/// The end of a call as its caller saw it.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Value,
    Failed(Failure),
    /// The caller dropped the call's promise, or died.
    Dropped,
}

#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) may_have_run: bool,
    /// Whether the call failed because its session was lost.
    pub(super) is_loss: bool,
}

impl Failure {
    pub(super) fn of<E: fmt::Display>(error: &CallError<E>) -> Self {
        let delivery = match error {
            CallError::Disconnected { delivery, .. } => Some(*delivery),
            _ => None,
        };
        // Where a call stood that was built on a lost one says nothing of its own.
        let is_loss = delivery.is_some() || error.to_string().contains("the session closed");
        let place = delivery.map_or("", |delivery| match delivery {
            Delivery::NotSent => " (not sent)",
            Delivery::Unacknowledged => " (unacknowledged)",
            Delivery::Accepted => " (accepted)",
            _ => " (unknown)",
        });
        Self { text: format!("{error}{place}"), may_have_run: error.may_have_run(), is_loss }
    }
}

#[derive(Debug)]
struct Call {
    what: &'static str,
    allowed: Runs,
    /// Runs of its handler, by element.
    runs: BTreeMap<u64, u64>,
    outcome: Option<Outcome>,
}

#[derive(Default)]
struct Book {
    calls: BTreeMap<CallNumber, Call>,
    events: Vec<String>,
    faults: Vec<String>,
    is_closed: bool,
}

/// Shared by all hosts of a simulation. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
    /// Things alive, by their kinds: handlers, objects, sessions.
    alive: Arc<[AtomicI64; 3]>,
}

/// A kind of thing that must be gone at the end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Handler,
    Object,
    Session,
}

/// One thing that is alive until it is dropped.
pub(super) struct Alive(Arc<[AtomicI64; 3]>, Kind);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0[self.1 as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an event down, with the time of the simulation.
    pub(super) fn log(&self, event: impl fmt::Display) {
        let mut book = self.book();
        if !book.is_closed {
            let time = turmoil::sim_elapsed().unwrap_or_default().as_millis();
            book.events.push(format!("{time:>6} {event}"));
        }
    }

    pub(super) fn fault(&self, fault: impl fmt::Display) {
        self.log(format_args!("FAULT {fault}"));
        self.book().faults.push(fault.to_string());
    }

    /// Counts a thing until the result is dropped.
    pub(super) fn alive(&self, kind: Kind) -> Alive {
        self.alive[kind as usize].fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(&self.alive), kind)
    }

    pub(super) fn count(&self, kind: Kind) -> i64 {
        self.alive[kind as usize].load(Ordering::SeqCst)
    }

    pub(super) fn begin(&self, number: CallNumber, what: &'static str, allowed: Runs) {
        self.log(format_args!("{number:x} {what}"));
        let call = Call { what, allowed, runs: BTreeMap::new(), outcome: None };
        if self.book().calls.insert(number, call).is_some() {
            self.fault(format_args!("{number:x}: the number is taken"));
        }
    }

    pub(super) fn ran(&self, number: CallNumber, element: u64) {
        self.log(format_args!("{number:x} runs"));
        let mut book = self.book();
        if let Some(call) = book.calls.get_mut(&number) {
            *call.runs.entry(element).or_default() += 1;
        } else {
            book.faults.push(format!("{number:x}: a handler ran that nobody called"));
        }
    }

    pub(super) fn settle(&self, number: CallNumber, outcome: Outcome) {
        match &outcome {
            Outcome::Value => self.log(format_args!("{number:x} has a value")),
            Outcome::Failed(failure) => self.log(format_args!("{number:x} failed: {}", failure.text)),
            // A host that crashes drops its handlers in any order.
            Outcome::Dropped => {}
        }
        let before = self.book().calls.get_mut(&number).and_then(|call| call.outcome.replace(outcome));
        if let Some(before) = before {
            self.fault(format_args!("{number:x}: a second outcome, after {before:?}"));
        }
    }

    /// Settles a call with a result whose value is checked by `is_right`.
    pub(super) fn settle_with<T: fmt::Debug, E: fmt::Display>(
        &self,
        number: CallNumber,
        result: Result<T, CallError<E>>,
        is_right: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                if !is_right(&value) {
                    let value: String = format!("{value:?}").chars().take(200).collect();
                    self.fault(format_args!("{number:x}: a wrong value: {value}"));
                }
                self.settle(number, Outcome::Value);
                Some(value)
            }
            Err(error) => {
                self.settle(number, Outcome::Failed(Failure::of(&error)));
                None
            }
        }
    }

    /// What the simulation did wrong. `loses` says whether sessions may have been lost.
    pub(super) fn faults(&self, loses: bool) -> Vec<String> {
        let book = self.book();
        let mut faults = book.faults.clone();
        for (number, call) in &book.calls {
            let Call { what, allowed, runs, outcome } = call;
            let (sum, most) = (runs.values().sum::<u64>(), runs.values().copied().max().unwrap_or(0));
            let mut fault = |text: String| faults.push(format!("{number:x} ({what}): {text}"));
            if *allowed != Runs::Idempotent && most > 1 {
                fault(format!("the handler ran {most} times"));
            }
            match outcome {
                None => fault("it has no outcome".into()),
                Some(Outcome::Value) => {
                    let is_right = match allowed {
                        Runs::Once => sum == 1,
                        Runs::Idempotent => sum > 0 && (loses || sum == 1),
                        Runs::Each(count) => sum == *count,
                    };
                    if !is_right {
                        fault(format!("it has a value, and the handler ran {sum} times"));
                    }
                }
                Some(Outcome::Failed(failure)) => {
                    if !failure.may_have_run && sum > 0 {
                        fault(format!("it cannot have run and ran {sum} times: {}", failure.text));
                    }
                    if failure.is_loss && !loses {
                        fault(format!("it failed, and no session can be lost: {}", failure.text));
                    }
                }
                Some(Outcome::Dropped) => {}
            }
        }
        faults
    }

    /// Ends the log: what is dropped with the simulation is none of its events.
    pub(super) fn close(&self) -> Vec<String> {
        let mut book = self.book();
        book.is_closed = true;
        std::mem::take(&mut book.events)
    }

    /// The numbers of calls, of values and of losses.
    pub(super) fn sums(&self) -> [usize; 3] {
        let book = self.book();
        let count = |is_it: &dyn Fn(&Outcome) -> bool| {
            book.calls.values().filter(|call| call.outcome.as_ref().is_some_and(is_it)).count()
        };
        [
            book.calls.len(),
            count(&|outcome| matches!(outcome, Outcome::Value)),
            count(&|outcome| matches!(outcome, Outcome::Failed(failure) if failure.is_loss)),
        ]
    }
}
