//! The recorder of a `map`: the calls that its closure has recorded so far.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    link::cell::{CallCell, Place, Returned},
    path::{PATH_STEPS_MAX, Path},
    session::inputs::NumberedMethod,
    sync::lock,
    time::Time,
    value::encoded::Capability,
    wire::{
        CallId,
        map_program::{Base, Operand, Step},
    },
};

pub(crate) const ESCAPED: &str = "it stands for something inside the closure of a `map`, and can be used by calls made in that closure alone; to use it later, return it from the closure";
pub(crate) const TOO_DEEP: &str = "it lies deeper inside a result than paths may reach";

/// The recording of one closure, until the closure returns.
pub(crate) struct Recorder {
    /// A number that rises with every map of the process: of nested closures, the inner one has the higher number.
    pub(crate) opened: u64,
    state: Mutex<State>,
}

enum State {
    Open(Box<Recording>),
    Closed,
}

#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) outer: Option<Arc<Recorder>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) cells: Vec<Arc<CallCell>>,
    pub(crate) captures: Vec<Place>,
    /// The objects for the table of the map's call.
    pub(crate) passed: Vec<Capability>,
    pub(crate) methods: Vec<NumberedMethod>,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
    /// Why a call of the closure could not be recorded; the map fails with it.
    pub(crate) failed: Option<Returned>,
}

/// The place of a recorded call in its program.
pub(crate) struct Recorded {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) base: Base,
}

/// The calls of a sent map's program, kept to tell which of them failed.
pub(crate) struct MapSteps {
    pub(crate) placeholder: Arc<CallCell>,
    pub(crate) steps: Vec<Arc<CallCell>>,
    /// The step whose result, or a part of it, is the element's result.
    pub(crate) result: Option<u32>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let opened = OPENED.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { opened, state: Mutex::new(State::Open(Box::default())) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Recording) -> R) -> Result<R, &'static str> {
        match &mut *self.state() {
            State::Open(recording) => Ok(change(recording)),
            State::Closed => Err(ESCAPED),
        }
    }

    pub(crate) fn close(&self) -> Option<Box<Recording>> {
        match std::mem::replace(&mut *self.state(), State::Closed) {
            State::Open(recording) => Some(recording),
            State::Closed => None,
        }
    }

    pub(crate) fn fail(&self, failed: &Returned) {
        let _ = self.with(|recording| recording.failed.get_or_insert_with(|| failed.clone()).clone());
    }

    /// The operand with which the program names a place: a place in its own results, or a capture.
    pub(crate) fn operand(self: &Arc<Self>, place: &Place) -> Result<Operand, &'static str> {
        if place.path.steps().len() > PATH_STEPS_MAX {
            return Err(TOO_DEEP);
        }
        match &place.base.cell().recorded {
            Some(recorded) if Arc::ptr_eq(&recorded.recorder, self) => {
                Ok(Operand { base: recorded.base, path: place.path.clone() })
            }
            _ => self.with(|recording| recording.capture(place)),
        }
    }
}

impl Recording {
    fn capture(&mut self, place: &Place) -> Operand {
        let same =
            |known: &Place| Arc::ptr_eq(known.base.cell(), place.base.cell()) && known.path == place.path;
        let index = self.captures.iter().position(same).unwrap_or_else(|| {
            self.captures.push(place.clone());
            self.captures.len() - 1
        });
        Operand { base: Base::Capture(u32::try_from(index).unwrap_or(u32::MAX)), path: Path::whole() }
    }

    /// Adds an object to the table of the map's call and returns its place.
    pub(crate) fn pass(&mut self, object: Capability) -> u32 {
        self.passed.push(object);
        u32::try_from(self.passed.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn needs(&mut self, method: NumberedMethod) {
        if self.methods.iter().all(|known| known.number != method.number) {
            self.methods.push(method);
        }
    }

    /// Merges a call's deadline and metadata into the map's. All calls of a map travel as one, so they share both.
    pub(crate) fn carry(
        &mut self,
        deadline: Option<Time>,
        metadata: Vec<(String, String)>,
    ) -> Result<(), &'static str> {
        self.deadline = self.deadline.into_iter().chain(deadline).min();
        if self.metadata.is_empty() {
            self.metadata = metadata;
        } else if !metadata.is_empty() && metadata != self.metadata {
            return Err("the calls of one `map` carry different metadata");
        }
        Ok(())
    }

    /// Adds a step and returns the cell that stands for its result.
    pub(crate) fn push(
        &mut self,
        recorder: &Arc<Recorder>,
        step: Step,
        cell: impl FnOnce(Recorded) -> Arc<CallCell>,
    ) -> Arc<CallCell> {
        let number = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let cell = cell(Recorded { recorder: Arc::clone(recorder), base: Base::Step(number) });
        self.steps.push(step);
        self.cells.push(Arc::clone(&cell));
        cell
    }
}

pub(crate) const PROMISED_INSIDE: &str = "a client that is only promised cannot lie inside a value in a `map`; pass its promise as an argument of its own";

/// The call id in a reference to a recorded result, until the reference becomes an operand.
pub(crate) const RECORDED: CallId = CallId(1);
