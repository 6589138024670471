//! The queue from stubs, promises and handlers to the driver of their session.
//!
//! Callers on any thread append submissions under one short lock: an id is assigned, a few words are copied, nothing
//! is encoded and nothing awaits. The driver, which alone owns the session, swaps the queue out and works through it.
//!
//! A call does not flush at once. The driver holds queued calls until somebody awaits a promise, a call is detached or
//! one-way, or a millisecond has passed. So a graph of calls made without awaiting leaves in one message, whichever threads
//! the caller and the driver run on.

use std::{
    any::Any,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::{channel::oneshot, task::AtomicWaker};

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::DecodeBudget,
    error::{CloseReason, Delivery},
    limits::Limits,
    link::cell::{CallCell, Referable, Returned},
    principal::Principal,
    schema::descriptor::ServiceDescriptor,
    session::{
        events::SessionStats,
        inputs::{CallExtras, NewCall},
    },
    sync::{Waiters, lock},
    time::Time,
    transport::Transport,
    value::{outcome::Outcome, stream::Piece},
    wire::{CallId, METHOD_FIRST, MethodNumber, ObjectId, Resume, StreamId},
};

pub(crate) mod ambient;
pub(crate) mod cell;
pub(crate) mod recorder;

#[cfg(test)]
mod tests;

/// A request of a caller, a handler or a handle to its session.
pub(crate) enum Submission {
    Call(OutgoingCall),
    /// Nobody waits for the value of this call any more. Sent only after the call was sealed.
    Unwanted(CallId),
    /// Nobody can pass the result of this call to another call any more. Sent only after the call was sealed.
    Released(CallId),
    /// A handler finished.
    Finish {
        answer: CallId,
        outcome: Outcome,
    },
    /// Calls that the driver had started on another thread have come back.
    CameBack(Box<dyn Any + Send>),
    /// One introduction of an object of the peer was dropped; with the call that it came from, if that can be made again.
    ImportDropped(ObjectId, Option<CallId>),
    /// One object was dropped that came from this call, in a session before.
    OriginDropped(CallId),
    /// Items of a stream of this side, or its end.
    Stream(StreamId, Vec<Piece>),
    /// Bytes of a stream of the peer were read; `awaited` says that its reader waits for more.
    StreamConsumed {
        stream: StreamId,
        bytes: u64,
        awaited: bool,
    },
    /// Nobody reads a stream of the peer any more.
    StreamDropped(StreamId, Option<String>),
    /// Send back the session's counts.
    Stats(oneshot::Sender<SessionStats>),
    /// Calls of the session before this one, which it had not sent or which may be sent twice.
    Moved(Vec<NewCall<Arc<CallCell>>>),
    /// Close gracefully once the calls in flight are done.
    Close,
    /// Nobody holds the session any more: close when the streams that it sends are over too.
    Left,
    /// Go on with this socket.
    Attach(Box<Attach>),
    /// End the session with this reason: there will be no further socket.
    GiveUp(CloseReason),
    /// End the session at once, with this code and reason.
    End(u16, CloseReason),
}

impl Submission {
    /// This submission for the session that took over the calls of its own one; `None` if it concerns that one alone.
    fn for_successor(&self) -> Option<Self> {
        Some(match self {
            Self::Unwanted(id) => Self::Unwanted(*id),
            Self::Released(id) => Self::Released(*id),
            Self::ImportDropped(_, Some(call)) | Self::OriginDropped(call) => Self::OriginDropped(*call),
            Self::Left => Self::Left,
            // The closing and the loss may cross.
            Self::Close => Self::Close,
            _ => return None,
        })
    }
}

/// A value that is kept as long as a socket, for whoever counts sockets.
pub(crate) type Guard = Option<Box<dyn Any + Send>>;

/// A new socket for a session.
pub(crate) struct Attach {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) guard: Guard,
    /// When the socket ends, because its peer's token does.
    pub(crate) expires: Option<Time>,
    /// On a server, the request of the client.
    pub(crate) request: Option<AttachRequest>,
}

/// The place of a client's socket among all sockets of this process, by when their handshakes were done. A client dials its next
/// socket after the handshake of the one before, so the numbers of its sockets rise, whenever its hellos arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct SocketNumber(u64);

impl SocketNumber {
    pub(crate) fn next() -> Self {
        static SOCKETS: AtomicU64 = AtomicU64::new(1);
        Self(SOCKETS.fetch_add(1, Ordering::SeqCst))
    }
}

/// A client's request to go on with a session on a new socket.
pub(crate) struct AttachRequest {
    pub(crate) number: SocketNumber,
    pub(crate) secret: [u8; 32],
    pub(crate) next_secret: [u8; 32],
    pub(crate) resume: Resume,
    /// The client's identity, as the handshake of the new socket showed it.
    pub(crate) principal: Principal,
    /// The bytes behind the hello in the client's first message.
    pub(crate) rest: Bytes,
}

/// Whether a session has a socket.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Attachment {
    /// It has one, and the handshake is done on it.
    Attached,
    /// The last one ended for this reason; `None` if there was none yet.
    Detached(Option<CloseReason>),
    /// It never had one, and now a call waits for it.
    Wanted,
}

#[derive(Debug, Default)]
struct Attachments {
    /// The number of changes so far.
    changes: u64,
    now: Attachment,
    waiting: Waiters,
}

impl Default for Attachment {
    fn default() -> Self {
        Self::Detached(None)
    }
}

/// A call on its way to the session.
pub(crate) struct OutgoingCall {
    pub(crate) id: CallId,
    pub(crate) number: MethodNumber,
    /// Encoded slots, preceded by their count.
    pub(crate) payload: SmallBytes,
    /// The calls that this one is built on. Held until the session has this call: a base that is sealed earlier must still
    /// count as referred to.
    pub(crate) bases: Vec<Referable>,
    pub(crate) deadline: Option<Time>,
    pub(crate) extras: Option<Box<CallExtras>>,
    pub(crate) cell: Arc<CallCell>,
}

/// The queue and the state that all handles of one session share with its driver.
pub(crate) struct Link {
    pub(crate) limits: Arc<Limits>,
    pub(crate) budget: DecodeBudget,
    /// Whether the shared memory budget, not the session's own limit, left too little memory for arguments.
    pub(crate) short_of: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Shared with the sessions before and after this one.
    registry: Arc<Mutex<Registry>>,
    /// Whether another session takes this one's new calls.
    has_successor: AtomicBool,
    driver: AtomicWaker,
    /// Whether the queue has entries and the driver has been woken for them. Changed with the outbox locked.
    woken: AtomicBool,
    /// Whether the driver has been told to flush; then awaiting a promise need not wake it again.
    flushing: AtomicBool,
    closed: Mutex<Closed>,
    attachments: Mutex<Attachments>,
    /// The last round trip in microseconds; 0 if none was measured.
    round_trip_us: AtomicU64,
}

struct Outbox {
    next_call: i64,
    queue: Vec<Submission>,
    state: OutboxState,
    /// The session that takes the new calls, once this one takes none.
    successor: Option<Arc<Link>>,
}

/// The numbers of methods. The numbers of a service's methods follow each other.
struct Registry {
    services: Vec<(&'static ServiceDescriptor, u32)>,
    next_method: u32,
}

impl Default for Registry {
    fn default() -> Self {
        Self { services: Vec::new(), next_method: METHOD_FIRST.0 }
    }
}

enum OutboxState {
    Open,
    /// Closing, on either side's request: no new calls.
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
        Self::with(limits, Arc::default())
    }

    /// The link of a session that takes the place of this one: it counts calls and methods on.
    #[cfg_attr(not(feature = "driver"), expect(dead_code, reason = "only drivers make sessions"))]
    pub(crate) fn succeeding(&self, limits: Arc<Limits>) -> Self {
        Self::with(limits, Arc::clone(&self.registry))
    }

    fn with(limits: Arc<Limits>, registry: Arc<Mutex<Registry>>) -> Self {
        Self {
            budget: DecodeBudget::from(&*limits),
            short_of: AtomicBool::new(false),
            limits,
            outbox: Mutex::new(Outbox {
                next_call: 1,
                queue: Vec::new(),
                state: OutboxState::Open,
                successor: None,
            }),
            registry,
            has_successor: AtomicBool::new(false),
            driver: AtomicWaker::new(),
            woken: AtomicBool::new(false),
            flushing: AtomicBool::new(false),
            closed: Mutex::default(),
            attachments: Mutex::default(),
            round_trip_us: AtomicU64::new(0),
        }
    }

    /// Whether both are links of one session, or of sessions that follow each other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.registry, &other.registry)
    }

    /// The address that links of sessions which follow each other have in common.
    pub(crate) fn identity(&self) -> *const () {
        Arc::as_ptr(&self.registry).cast()
    }

    /// The number of the service's first method; the others follow it.
    pub(crate) fn register(&self, service: &'static ServiceDescriptor) -> u32 {
        let mut registry = lock(&self.registry);
        if let Some((_, first)) = registry.services.iter().find(|(known, _)| std::ptr::eq(*known, service)) {
            return *first;
        }
        let first = registry.next_method;
        registry.next_method += u32::try_from(service.methods.len()).unwrap_or(u32::MAX);
        registry.services.push((service, first));
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
                let rejected = CallRejected(reason.clone());
                drop(outbox);
                return match self.newest() {
                    Some(newest) => newest.call(flush, make),
                    None => Err(rejected),
                };
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
        if self.has_successor.load(Ordering::Acquire) {
            self.submit_to_successor(&submission);
        }
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.state, OutboxState::Closed(_)) {
            return;
        }
        outbox.queue.push(submission);
        self.wake(outbox);
    }

    /// Tells the session that took over this one's calls what is said about one of them, or about all.
    #[cold]
    fn submit_to_successor(&self, submission: &Submission) {
        if let (Some(same), Some(newest)) = (submission.for_successor(), self.newest()) {
            newest.submit(same);
        }
    }

    /// The last of the sessions that follow this one; `None` if none does.
    pub(crate) fn newest(&self) -> Option<Arc<Self>> {
        if !self.has_successor.load(Ordering::Acquire) {
            return None;
        }
        let next = lock(&self.outbox).successor.clone()?;
        let Some(newest) = next.newest() else { return Some(next) };
        // The way is short the next time.
        lock(&self.outbox).successor = Some(Arc::clone(&newest));
        Some(newest)
    }

    /// Hands new calls to another session from here on, and those that wait in the queue. `moved` are calls that the session had
    /// not sent, or sends again.
    #[cfg_attr(not(feature = "driver"), expect(dead_code, reason = "only drivers make sessions"))]
    pub(crate) fn hand_on(
        &self,
        reason: CloseReason,
        successor: Arc<Self>,
        moved: Vec<NewCall<Arc<CallCell>>>,
    ) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.state, OutboxState::Open) {
            outbox.state = OutboxState::Draining(reason);
        }
        let mut theirs = lock(&successor.outbox);
        theirs.next_call = outbox.next_call;
        theirs.queue.push(Submission::Moved(moved));
        for submission in std::mem::take(&mut outbox.queue) {
            match submission {
                Submission::Call(_) => theirs.queue.push(submission),
                _ => {
                    theirs.queue.extend(submission.for_successor());
                    outbox.queue.push(submission);
                }
            }
        }
        let next = Arc::clone(&successor);
        next.wake(theirs);
        outbox.successor = Some(successor);
        self.has_successor.store(true, Ordering::Release);
        drop(outbox);
        // Somebody may wait for one of those calls already.
        next.flush();
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

    /// Makes the queued calls leave at once, because somebody awaits a result.
    pub(crate) fn flush(&self) {
        if let Some(newest) = self.newest() {
            newest.flush();
        }
        // Read first: callers on all cores come by here, and a cache line that is only read does not move between cores.
        if !self.flushing.load(Ordering::Acquire) && !self.flushing.swap(true, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// Takes the queue for the driver and returns whether to flush. Registers `cx` to be woken by later submissions.
    pub(crate) fn drain(&self, cx: &mut Context<'_>, into: &mut Vec<Submission>) -> bool {
        self.driver.register(cx.waker());
        // Cleared before the queue is taken: a flush that comes in between is not lost, it only wakes once more. Both flags are
        // read first: writing them would take their cache line from the cores that callers run on.
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

    /// Gives back the room of an empty queue.
    #[cfg_attr(not(feature = "driver"), expect(dead_code, reason = "only drivers have queues to empty"))]
    pub(crate) fn rest(&self) {
        let mut outbox = lock(&self.outbox);
        if outbox.queue.is_empty() {
            outbox.queue = Vec::new();
        }
    }

    /// Makes new calls fail as not sent from here on; calls in flight go on.
    pub(crate) fn begin_draining(&self, reason: CloseReason) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.state, OutboxState::Open) {
            outbox.state = OutboxState::Draining(reason);
        }
    }

    /// Ends the session: fails the queued calls and wakes everybody who waits for one of them or for the end.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut wakers = self.shut(reason);
        wakers.extend(self.announce_end(reason));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes no submissions from here on, and fails the queued calls. Returns the wakers of tasks that wait for them.
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

    /// Publishes that the session is over. Returns the wakers of tasks that wait for the end.
    pub(crate) fn announce_end(&self, reason: &CloseReason) -> Vec<Waker> {
        let mut wakers = {
            let mut closed = lock(&self.closed);
            closed.reason.get_or_insert_with(|| reason.clone());
            closed.waiting.take()
        };
        wakers.extend(lock(&self.attachments).waiting.take());
        wakers
    }

    pub(crate) fn set_round_trip(&self, round_trip: Option<Duration>) {
        // Zero stands for none: what is shorter than a microsecond counts as one.
        let us = round_trip.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
        self.round_trip_us.store(us, Ordering::Relaxed);
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let us = self.round_trip_us.load(Ordering::Relaxed);
        (us > 0).then(|| Duration::from_micros(us))
    }

    /// Publishes whether the session has a socket. Returns the wakers of tasks that wait for a change.
    pub(crate) fn set_attachment(&self, attachment: Attachment) -> Vec<Waker> {
        let mut attachments = lock(&self.attachments);
        attachments.changes += 1;
        attachments.now = attachment;
        attachments.waiting.take()
    }

    /// Waits until the session's sockets have changed more often than `seen`; then that count is in `seen`. `None` when the
    /// session is over.
    pub(crate) fn poll_attachment(&self, cx: &mut Context<'_>, seen: &mut u64) -> Poll<Option<Attachment>> {
        let mut attachments = lock(&self.attachments);
        if attachments.changes > *seen {
            *seen = attachments.changes;
            return Poll::Ready(Some(attachments.now.clone()));
        }
        attachments.waiting.add(cx);
        drop(attachments);
        match self.close_reason() {
            Some(_) => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Why no new calls are taken, while calls in flight go on.
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

/// The reason why the session takes no calls.
pub(crate) struct CallRejected(pub(crate) CloseReason);

/// Keeps a session open while a handle, a stub or a promise exists; the last one closes it.
pub(crate) struct Handle {
    pub(crate) link: Arc<Link>,
    /// False for a server's session, which lives as long as its socket, and for handles that a session itself holds.
    pub(crate) closes_on_drop: bool,
}

impl Handle {
    /// A handle of a session that is over.
    pub(crate) fn closed() -> Self {
        let link = Arc::new(Link::new(Arc::default()));
        link.close(&CloseReason::Aborted);
        Self { link, closes_on_drop: false }
    }

    /// The last of the sessions that follow the handle's session; that session if none does.
    pub(crate) fn newest(&self) -> Arc<Link> {
        self.link.newest().unwrap_or_else(|| Arc::clone(&self.link))
    }

    /// Waits until the session is over, and all that follow it.
    pub(crate) async fn until_closed(&self) -> CloseReason {
        loop {
            let link = self.newest();
            let reason = poll_fn(|cx| link.poll_closed(cx)).await;
            if link.newest().is_none() {
                return reason;
            }
        }
    }

    /// The handle for calls that have no session and cannot be made.
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
