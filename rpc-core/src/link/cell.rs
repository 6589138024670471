//! The cell of one call, shared by its promise, the pipes derived from that, and the driver.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    error::MethodName,
    link::{
        Handle, Submission,
        recorder::{MapSteps, Recorded},
    },
    path::{Path, Step},
    schema::descriptor::{MAP, MethodDescriptor},
    session::inputs::Interest,
    sync::lock,
    value::returned::OriginCause,
    wire::{CallId, Failure},
};

/// A call's result, or a part of it, as an argument names it. Keeps the result referable.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) base: Referable,
    pub(crate) path: Path,
}

impl Place {
    pub(crate) fn then(&self, step: Step) -> Self {
        Self { base: self.base.clone(), path: self.path.then(step) }
    }
}

/// The id of a call that failed before it could get one.
pub(crate) const BORN_FAILED: CallId = CallId(0);

pub(crate) fn born_failed(cell: Arc<CallCell>, failed: Returned) -> Arc<CallCell> {
    cell.complete(failed);
    cell
}

// ---- one call, shared by its promise, the pipes derived from that, and the driver ----

/// The outcome of a call as its promise takes it, still encoded.
pub(crate) type Returned = crate::value::returned::Returned<Arc<CallCell>>;

/// Turns a failed return of a call into its `CallError<E>` and that error's text, without knowing `E`.
pub(crate) type ErrorDecoder = fn(&Returned, &CallCell) -> (Arc<dyn std::any::Any + Send + Sync>, String);

/// The state of one call that its handles share with the driver.
pub(crate) struct CallCell {
    /// Changed when the call is made again.
    id: AtomicI64,
    pub(crate) handle: Arc<Handle>,
    pub(crate) service: &'static str,
    pub(crate) method: &'static MethodDescriptor,
    pub(crate) decode_error: ErrorDecoder,
    /// The call whose result has the part, if this is the built-in call for a part.
    pub(crate) part_of: Option<Arc<CallCell>>,
    /// The place in the program of a map, if this cell only stands for a recorded call.
    pub(crate) recorded: Option<Recorded>,
    /// The steps of the map, if this is a map or stands for a recorded one.
    pub(crate) steps: Option<Arc<MapSteps>>,
    interest: AtomicU32,
    state: Mutex<CellState>,
}

enum CellState {
    Pending(Option<Waker>),
    Done(Returned),
    Taken,
}

const SEALED: u32 = 1;
const WANTED: u32 = 2;
const DETACHED: u32 = 4;
const REFERENCE: u32 = 8;

impl CallCell {
    /// The cell of a call with one promise: its value is wanted, and later calls can refer to it.
    pub(crate) fn new(
        id: CallId,
        handle: Arc<Handle>,
        service: &'static str,
        method: &'static MethodDescriptor,
        decode_error: ErrorDecoder,
    ) -> Arc<Self> {
        Self::with(id, handle, service, method, decode_error, None, WANTED | REFERENCE)
    }

    /// The cell of a one-way call: nobody waits for it, and it runs all the same.
    pub(crate) fn oneway(
        id: CallId,
        handle: Arc<Handle>,
        service: &'static str,
        method: &'static MethodDescriptor,
    ) -> Arc<Self> {
        let no_promise: ErrorDecoder = |_, _| (Arc::new(()), String::new());
        Self::with(id, handle, service, method, no_promise, None, DETACHED)
    }

    /// The cell of a recorded call, which stands for a call in the program of a map and is never queued.
    pub(crate) fn recorded(
        handle: Arc<Handle>,
        service: &'static str,
        method: &'static MethodDescriptor,
        decode_error: ErrorDecoder,
        recorded: Recorded,
        steps: Option<Arc<MapSteps>>,
    ) -> Arc<Self> {
        let interest = WANTED | REFERENCE;
        let cell = Self::build(BORN_FAILED, handle, service, method, decode_error, None, interest);
        Arc::new(Self { recorded: Some(recorded), steps, ..cell })
    }

    /// The cell of the built-in call that runs a program for each element of a result.
    pub(crate) fn map(
        id: CallId,
        handle: Arc<Handle>,
        service: &'static str,
        decode_error: ErrorDecoder,
        steps: Arc<MapSteps>,
    ) -> Arc<Self> {
        let cell = Self::build(id, handle, service, &MAP, decode_error, None, WANTED | REFERENCE);
        Arc::new(Self { steps: Some(steps), ..cell })
    }

    /// The cell of the built-in call for a part of the result of `whole`. Later calls refer to the whole, never to this call.
    pub(crate) fn part(id: CallId, whole: &Arc<CallCell>) -> Arc<Self> {
        let handle = Arc::clone(&whole.handle);
        Self::with(
            id,
            handle,
            whole.service,
            whole.method,
            whole.decode_error,
            Some(Arc::clone(whole)),
            WANTED,
        )
    }

    fn with(
        id: CallId,
        handle: Arc<Handle>,
        service: &'static str,
        method: &'static MethodDescriptor,
        decode_error: ErrorDecoder,
        part_of: Option<Arc<CallCell>>,
        interest: u32,
    ) -> Arc<Self> {
        Arc::new(Self::build(id, handle, service, method, decode_error, part_of, interest))
    }

    fn build(
        id: CallId,
        handle: Arc<Handle>,
        service: &'static str,
        method: &'static MethodDescriptor,
        decode_error: ErrorDecoder,
        part_of: Option<Arc<CallCell>>,
        interest: u32,
    ) -> Self {
        let state = Mutex::new(CellState::Pending(None));
        Self {
            id: AtomicI64::new(id.0),
            handle,
            service,
            method,
            decode_error,
            part_of,
            recorded: None,
            steps: None,
            interest: AtomicU32::new(interest),
            state,
        }
    }

    pub(crate) fn id(&self) -> CallId {
        CallId(self.id.load(Ordering::Acquire))
    }

    /// Takes note that the call is made again by another id; nothing refers to it by the first one.
    pub(crate) fn renumber(&self, id: CallId) {
        self.id.store(id.0, Ordering::Release);
    }

    pub(crate) fn name(&self) -> MethodName {
        MethodName { service: self.service, method: self.method.name }
    }

    /// The failure of a call that was born failed.
    pub(crate) fn failure(&self) -> Returned {
        match &*lock(&self.state) {
            CellState::Done(returned) => returned.clone(),
            CellState::Pending(_) | CellState::Taken => Returned::Failed(Failure::Cancelled),
        }
    }

    /// Reads the interest for sealing the call; later changes are submitted to the session.
    pub(crate) fn seal(&self) -> Interest {
        let bits = self.interest.fetch_or(SEALED, Ordering::AcqRel);
        Interest { value: bits & WANTED != 0, reference: bits >= REFERENCE, detached: bits & DETACHED != 0 }
    }

    /// The failure of calls that are built on this one, which was born failed. An exceeded deadline is theirs as well.
    pub(crate) fn failure_of_dependents(self: &Arc<Self>) -> Returned {
        match self.failure() {
            failed @ Returned::Failed(Failure::DeadlineExceeded) => failed,
            failed => {
                let cause = OriginCause::Failed(Box::new(failed));
                Returned::Upstream { origin: Arc::clone(self), cause }
            }
        }
    }

    pub(crate) fn add_reference(&self) {
        self.interest.fetch_add(REFERENCE, Ordering::AcqRel);
    }

    pub(crate) fn drop_reference(&self) {
        let before = self.interest.fetch_sub(REFERENCE, Ordering::AcqRel);
        if before & SEALED != 0 && before < 2 * REFERENCE {
            self.handle.link.submit(Submission::Released(self.id()));
        }
    }

    /// Records that nobody will take the value.
    pub(crate) fn drop_value(&self) {
        let before = self.interest.fetch_and(!WANTED, Ordering::AcqRel);
        let mut state = lock(&self.state);
        let pending = matches!(&*state, CellState::Pending(_));
        // The session may keep the cell, for errors that name its call, for as long as objects in the value live.
        let value = match &*state {
            CellState::Done(Returned::Value(_)) => Some(std::mem::replace(&mut *state, CellState::Taken)),
            _ => None,
        };
        drop(state);
        drop(value);
        if pending && before & (SEALED | DETACHED) == SEALED {
            self.handle.link.submit(Submission::Unwanted(self.id()));
        }
    }

    /// Lets the call run to its end even if all its promises are dropped.
    pub(crate) fn detach(&self) {
        self.interest.fetch_or(DETACHED, Ordering::AcqRel);
        self.handle.link.flush();
    }

    /// Stores the result for the promise. Returns the waker of the task that waits for it.
    pub(crate) fn complete(&self, returned: Returned) -> Option<Waker> {
        let mut state = lock(&self.state);
        // The session may keep the cell for as long as objects in the value live: nobody would let go of these.
        let is_wanted = self.interest.load(Ordering::Acquire) & WANTED != 0;
        let (next, dropped) = match returned {
            Returned::Value(value) if !is_wanted => (CellState::Taken, Some(value)),
            returned => (CellState::Done(returned), None),
        };
        let before = std::mem::replace(&mut *state, next);
        drop(state);
        drop(dropped);
        match before {
            CellState::Pending(waker) => waker,
            CellState::Done(_) | CellState::Taken => None,
        }
    }

    /// Takes the result, or registers the waker. Does not flush.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Returned> {
        let mut state = lock(&self.state);
        match &mut *state {
            CellState::Pending(waker) => {
                match waker {
                    Some(known) if known.will_wake(cx.waker()) => {}
                    _ => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            CellState::Done(_) => match std::mem::replace(&mut *state, CellState::Taken) {
                CellState::Done(returned) => Poll::Ready(returned),
                CellState::Pending(_) | CellState::Taken => Poll::Pending,
            },
            CellState::Taken => Poll::Pending,
        }
    }
}

/// A handle's right to pass a call's result into later calls. Cloning and dropping keep the count that the seal reads.
pub(crate) struct Referable(Arc<CallCell>);

impl Referable {
    /// Takes over the reference that `CallCell::new` counted.
    pub(crate) fn first(cell: Arc<CallCell>) -> Self {
        Self(cell)
    }

    pub(crate) fn cell(&self) -> &Arc<CallCell> {
        &self.0
    }
}

impl Clone for Referable {
    fn clone(&self) -> Self {
        self.0.add_reference();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Referable {
    fn drop(&mut self) {
        self.0.drop_reference();
    }
}
