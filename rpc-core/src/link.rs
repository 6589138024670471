//! The road from stubs, promises and handlers to the session they belong to.
//!
//! Callers on any thread append submissions under one short lock: an id is assigned, a few words are copied, nothing
//! is encoded and nothing awaits. The driver, which alone owns the session, swaps the queue out and works through it.
//!
//! A call does not flush at once. The driver holds what it was given until somebody awaits a promise (or the call is
//! detached, one-way, or a grace of a millisecond passes), so that a graph of calls made without awaiting leaves in
//! one message whichever threads the caller and the driver run on.

use std::{
    any::Any,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::{channel::oneshot, task::AtomicWaker};

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::DecodeBudget,
    error::{CloseReason, Delivery},
    limits::Limits,
    link::cell::{CallCell, Referable, Returned},
    schema::descriptor::ServiceDescriptor,
    session::{events::SessionStats, inputs::CallExtras},
    sync::{Waiters, lock},
    time::Time,
    value::{outcome::Outcome, stream::Piece},
    wire::{CallId, METHOD_FIRST, MethodNumber, ObjectId, StreamId},
};

pub(crate) mod ambient;
pub(crate) mod cell;
pub(crate) mod recorder;

#[cfg(test)]
mod tests;

/// What a caller, a handler or a handle asks of the session.
pub(crate) enum Submission {
    Call(OutgoingCall),
    /// Nobody waits for the value of this call any more. Sent only after the call was sealed.
    Unwanted(CallId),
    /// Nobody can pass the result of this call on any more. Sent only after the call was sealed.
    Released(CallId),
    /// A handler finished.
    Finish {
        answer: CallId,
        outcome: Outcome,
    },
    /// What the driver gave to another thread has come back.
    CameBack(Box<dyn Any + Send>),
    /// A handle to an object of the peer is gone.
    ImportDropped(ObjectId),
    /// Items of a stream of this side, or its end.
    Stream(StreamId, Vec<Piece>),
    /// Bytes were read of a stream of the peer; `awaited` says that its reader waits for more.
    StreamConsumed {
        stream: StreamId,
        bytes: u64,
        awaited: bool,
    },
    /// Nobody reads a stream of the peer any more.
    StreamDropped(StreamId, Option<String>),
    /// Tell how much the session holds.
    Stats(oneshot::Sender<SessionStats>),
    /// Close in good order once the calls in flight are done.
    Close,
    /// Nobody holds the session any more: close when the streams that it sends are over too.
    Left,
}

/// A call on its way to the session.
pub(crate) struct OutgoingCall {
    pub(crate) id: CallId,
    pub(crate) number: MethodNumber,
    /// Encoded slots, preceded by their count.
    pub(crate) payload: SmallBytes,
    /// The calls that it is built on. Held until the session knows of this call: it may be asked what is wanted of them
    /// before.
    pub(crate) bases: Vec<Referable>,
    pub(crate) deadline: Option<Time>,
    pub(crate) extras: Option<Box<CallExtras>>,
    pub(crate) cell: Arc<CallCell>,
}

/// Shared by every handle of one session and its driver.
pub(crate) struct Link {
    pub(crate) limits: Arc<Limits>,
    pub(crate) budget: DecodeBudget,
    /// What arguments have no memory left of is the budget that sessions share.
    pub(crate) short_of: AtomicBool,
    outbox: Mutex<Outbox>,
    driver: AtomicWaker,
    /// The driver has been woken since it last took the queue, in which something is. Changed with the outbox locked.
    woken: AtomicBool,
    /// Whether the driver has been told to send; saves the lock when a promise is awaited and it has.
    flushing: AtomicBool,
    closed: Mutex<Closed>,
}

struct Outbox {
    next_call: i64,
    queue: Vec<Submission>,
    state: OutboxState,
    services: Vec<(&'static ServiceDescriptor, u32)>,
    next_method: u32,
}

enum OutboxState {
    Open,
    /// Closing or told to go away: no new calls.
    Draining(CloseReason),
    Closed(CloseReason),
}

#[derive(Default)]
struct Closed {
    reason: Option<CloseReason>,
    waiting: Waiters,
}

impl Link {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            budget: DecodeBudget::from(&*limits),
            short_of: AtomicBool::new(false),
            limits,
            outbox: Mutex::new(Outbox {
                next_call: 1,
                queue: Vec::new(),
                state: OutboxState::Open,
                services: Vec::new(),
                next_method: METHOD_FIRST.0,
            }),
            driver: AtomicWaker::new(),
            woken: AtomicBool::new(false),
            flushing: AtomicBool::new(false),
            closed: Mutex::default(),
        }
    }

    /// The number of the service's first method; the others follow it.
    pub(crate) fn register(&self, service: &'static ServiceDescriptor) -> u32 {
        let mut outbox = lock(&self.outbox);
        if let Some((_, first)) = outbox.services.iter().find(|(known, _)| std::ptr::eq(*known, service)) {
            return *first;
        }
        let first = outbox.next_method;
        outbox.next_method += u32::try_from(service.methods.len()).unwrap_or(u32::MAX);
        outbox.services.push((service, first));
        first
    }

    /// Gives a call its id and queues it, or says why it cannot be sent.
    pub(crate) fn call(
        &self,
        flush: bool,
        make: impl FnOnce(CallId) -> OutgoingCall,
    ) -> Result<Arc<CallCell>, CallRejected> {
        let mut outbox = lock(&self.outbox);
        match &outbox.state {
            OutboxState::Open => {}
            OutboxState::Draining(reason) | OutboxState::Closed(reason) => {
                return Err(CallRejected(reason.clone()));
            }
        }
        let id = CallId(outbox.next_call);
        outbox.next_call += 1;
        let call = make(id);
        let cell = Arc::clone(&call.cell);
        outbox.queue.push(Submission::Call(call));
        if flush {
            self.flushing.store(true, Ordering::Release);
        }
        self.wake(outbox);
        Ok(cell)
    }

    pub(crate) fn submit(&self, submission: Submission) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.state, OutboxState::Closed(_)) {
            return;
        }
        outbox.queue.push(submission);
        self.wake(outbox);
    }

    fn wake(&self, outbox: MutexGuard<'_, Outbox>) {
        let first = !self.woken.load(Ordering::Relaxed);
        if first {
            self.woken.store(true, Ordering::Release);
        }
        drop(outbox);
        if first {
            self.driver.wake();
        }
    }

    /// Somebody waits: what is queued leaves at once.
    pub(crate) fn flush(&self) {
        // Read first: all callers on all cores come by here, and a line that is only read is not passed around.
        if !self.flushing.load(Ordering::Acquire) && !self.flushing.swap(true, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// The driver's turn: swaps the queue with an empty one and says whether somebody awaits what is in it. Registers
    /// `cx` to be woken by what comes later.
    pub(crate) fn drain(&self, cx: &mut Context<'_>, into: &mut Vec<Submission>) -> bool {
        self.driver.register(cx.waker());
        // Cleared before the queue is taken: a flush that comes in between is not lost, it only wakes once more. Both are
        // read first: a driver that polls would take them away from the cores that callers run on.
        let flush = self.flushing.load(Ordering::Acquire) && self.flushing.swap(false, Ordering::AcqRel);
        if !self.woken.load(Ordering::Acquire) {
            return flush;
        }
        let mut outbox = lock(&self.outbox);
        self.woken.store(false, Ordering::Release);
        if into.is_empty() {
            std::mem::swap(into, &mut outbox.queue);
        } else {
            into.append(&mut outbox.queue);
        }
        flush
    }

    /// From here on new calls fail as not sent; those in flight go on.
    pub(crate) fn begin_draining(&self, reason: CloseReason) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.state, OutboxState::Open) {
            outbox.state = OutboxState::Draining(reason);
        }
    }

    /// The session is over: fails what is still queued and wakes who waits for it or for the end.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut wakers = self.shut(reason);
        wakers.extend(self.announce_end(reason));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// From here on nothing is taken, and what is still queued fails. Gives the wakers of who waits for that.
    pub(crate) fn shut(&self, reason: &CloseReason) -> Vec<Waker> {
        let queue = {
            let mut outbox = lock(&self.outbox);
            if matches!(outbox.state, OutboxState::Closed(_)) {
                return Vec::new();
            }
            outbox.state = OutboxState::Closed(reason.clone());
            std::mem::take(&mut outbox.queue)
        };
        let mut wakers = Vec::new();
        for submission in queue {
            if let Submission::Call(call) = submission {
                let returned = Returned::Disconnected { delivery: Delivery::NotSent, reason: reason.clone() };
                wakers.extend(call.cell.complete(returned));
            }
        }
        wakers
    }

    /// Whoever asks learns that the session is over. Gives the wakers of who waits for that.
    pub(crate) fn announce_end(&self, reason: &CloseReason) -> Vec<Waker> {
        let mut closed = lock(&self.closed);
        closed.reason.get_or_insert_with(|| reason.clone());
        closed.waiting.take()
    }

    /// Why no new calls are taken, while those in flight go on.
    pub(crate) fn draining_reason(&self) -> Option<CloseReason> {
        match &lock(&self.outbox).state {
            OutboxState::Draining(reason) => Some(reason.clone()),
            OutboxState::Open | OutboxState::Closed(_) => None,
        }
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        lock(&self.closed).reason.clone()
    }

    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut closed = lock(&self.closed);
        if let Some(reason) = &closed.reason {
            return Poll::Ready(reason.clone());
        }
        closed.waiting.add(cx);
        Poll::Pending
    }
}

/// The session takes no calls; this is why.
pub(crate) struct CallRejected(pub(crate) CloseReason);

/// Keeps a session open while a handle, a stub or a promise exists; the last one closes it.
pub(crate) struct Handle {
    pub(crate) link: Arc<Link>,
    /// A served session lives as long as its socket, whoever holds handles to it.
    pub(crate) closes_on_drop: bool,
}

impl Handle {
    /// Of a session that is over.
    pub(crate) fn closed() -> Self {
        let link = Arc::new(Link::new(Arc::default()));
        link.close(&CloseReason::Aborted);
        Self { link, closes_on_drop: false }
    }

    /// What calls that cannot be made go through.
    pub(crate) fn never_open() -> &'static Arc<Self> {
        static NEVER_OPEN: OnceLock<Arc<Handle>> = OnceLock::new();
        NEVER_OPEN.get_or_init(|| Arc::new(Self::closed()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.closes_on_drop {
            self.link.submit(Submission::Left);
        }
    }
}
