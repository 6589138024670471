//! The one runner of handlers: of calls, of batches, and of the programs of maps.
//!
//! A handler is polled once in the driver's turn, in start order: one that finishes at once needs no task and no wake. Any
//! other handler moves to a task of its own, whose end is always reported. Arguments that take long to decode are decoded on
//! another thread first; later calls start after them.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use tokio::task::AbortHandle;

use crate::{
    aside::{self, LONG_BYTES},
    codec::{self, DecodeBudget},
    deadline::with_deadline,
    driver::{self, Conversation, Task},
    handler::{
        batch,
        context::CancelSignal,
        dispatch::{self, Service},
        incoming::{Incoming, ReplyInner, RunningHandler},
    },
    link::{Link, Submission, ambient::inside},
    panics::drop_quietly,
    schema::descriptor::MethodDescriptor,
    session::{
        account::{Elsewhere, MEMORY_BUDGET},
        events::{Begin, BeginTarget},
    },
    time::Time,
    value::outcome::Outcome,
    wire::{CallId, Failure},
};

/// The longest arguments that are decoded with their usual budget, whatever is left of the session's memory.
const SMALL_BYTES: usize = 512;
/// A value is charged this multiple of the memory that its decoder saw it take.
const SPARE_FACTOR: usize = 2;

/// A handler that did not finish at once.
pub(super) struct RunningTask {
    pub(super) abort: AbortHandle,
    pub(super) cancelled: Option<Arc<CancelSignal>>,
    pub(super) no_cancel: bool,
    /// Whether it ends soon after its session does.
    pub(super) can_stop: bool,
    /// The memory charged for its arguments, in bytes.
    pub(super) given: usize,
    /// The bytes that it is expected to return.
    pub(super) expected: usize,
}

/// Calls of one method that start together, whose arguments are being decoded on another thread.
pub(super) struct Starting {
    calls: Vec<StartingCall>,
    descriptor: &'static MethodDescriptor,
    /// The encoded length of all arguments.
    length: usize,
}

struct StartingCall {
    answer: CallId,
    deadline: Option<Time>,
    is_cancelled: bool,
}

impl StartingCall {
    fn of(begin: &Begin) -> Self {
        Self { answer: begin.answer, deadline: begin.deadline, is_cancelled: false }
    }
}

/// The result of starting calls on another thread.
pub(super) struct Started {
    /// One reply for each call; fewer if decoding did not finish.
    replies: Vec<ReplyInner>,
    given: usize,
}

impl Conversation {
    /// Starts a handler and polls it once, in start order.
    pub(super) fn begin(&mut self, begin: Begin) {
        if let Some(recalls) = self.recalls_for(&begin) {
            return self.begin_again(recalls, begin);
        }
        self.has_begun = true;
        self.stopwatch.start();
        let (answer, deadline, descriptor) = (begin.answer, begin.deadline, begin.descriptor);
        let length = begin.arguments.bytes();
        if length > LONG_BYTES && !descriptor.decodes_fast() {
            return self.begin_elsewhere(begin, length);
        }
        let target = begin.target.clone();
        let (number, incoming) = self.incoming(begin, self.budget(length));
        let reply = with_deadline(deadline, || match &target {
            BeginTarget::Root(place) => {
                self.services.get(*place).map(|service| dispatch::start(service.as_ref(), number, incoming))
            }
            BeginTarget::Object(object) => dispatch::start_on(object, number, incoming),
        });
        let Some(reply) = reply else {
            return self.session.finish(answer, Outcome::Failed(Failure::UnknownService));
        };
        let given = given(length, self.link.budget);
        self.run(answer, reply, deadline, descriptor, given);
    }

    /// Starts a handler whose arguments take long to decode.
    #[cold]
    #[inline(never)]
    fn begin_elsewhere(&mut self, begin: Begin, length: usize) {
        let (call, descriptor, target) = (StartingCall::of(&begin), begin.descriptor, begin.target.clone());
        let service = self.service_of(&target);
        let (number, incoming) = self.incoming(begin, self.budget(length));
        let deadline = call.deadline;
        self.start_elsewhere(vec![call], descriptor, length, move || {
            vec![with_deadline(deadline, || start_one(&target, service.as_deref(), number, incoming))]
        });
    }

    /// The service at the root that a call addresses, or the one that answers for an object; `None` for an object that forwards calls.
    pub(super) fn service_of(&self, target: &BeginTarget) -> Option<Arc<dyn Service>> {
        match target {
            BeginTarget::Root(place) => self.services.get(*place).map(Arc::clone),
            BeginTarget::Object(object) => object.service().map(Arc::clone),
        }
    }

    /// Has calls started on another thread; later calls start after them.
    fn start_elsewhere(
        &mut self,
        calls: Vec<StartingCall>,
        descriptor: &'static MethodDescriptor,
        length: usize,
        start: impl FnOnce() -> Vec<ReplyInner> + Send + 'static,
    ) {
        self.session.goes_on(length, 0);
        self.starting = Some(Box::new(Starting { calls, descriptor, length }));
        let report = StartReport { link: Arc::clone(&self.link), is_told: false };
        aside::run(move || {
            let link = Arc::clone(&report.link);
            codec::forget_decoded();
            let replies = inside(Arc::as_ptr(&link), start);
            report.tell(Started { replies, given: given(length, link.budget) });
        });
    }

    /// Runs the handlers of calls whose arguments were decoded on another thread.
    pub(super) fn started(&mut self, started: Started) {
        let Some(starting) = self.starting.take() else { return };
        let Starting { calls, descriptor, length } = *starting;
        self.session.came_back(length, 0);
        let share = started.given / calls.len();
        let mut replies = started.replies.into_iter();
        for StartingCall { answer, deadline, is_cancelled } in calls {
            match replies.next() {
                None => self.session.finish(answer, Outcome::Failed(Failure::Cancelled)),
                Some(reply) if is_cancelled && !outlives_cancel(descriptor) => {
                    aside::run(move || drop_quietly(reply, "a handler that was cancelled"));
                    self.session.finish(answer, Outcome::Failed(Failure::Cancelled));
                }
                Some(reply) => {
                    self.stopwatch.start();
                    self.run(answer, reply, deadline, descriptor, share);
                    if is_cancelled {
                        self.cancel(answer);
                    }
                }
            }
        }
    }

    /// Starts all ready calls of the same method at the place of the first: one call of the batch method answers them.
    /// Returns how many they are.
    pub(super) fn begin_batch(&mut self, first: Begin) -> usize {
        if let Some(recalls) = self.recalls_for(&first) {
            self.begin_again(recalls, first);
            return 1;
        }
        let target = first.target.clone();
        let Some(service) = self.service_of(&target) else {
            // The object forwards calls; its peer collects them into a batch again.
            self.begin(first);
            return 1;
        };
        let mut begins = self.session.poll_alike(&first, self.limits.batch_max.saturating_sub(1));
        begins.insert(0, first);
        self.has_begun = true;
        let (count, descriptor) = (begins.len(), begins[0].descriptor);
        let calls: Vec<StartingCall> = begins.iter().map(StartingCall::of).collect();
        let length = begins.iter().map(|begin| begin.arguments.bytes()).sum();
        self.stopwatch.start();
        // All calls share what is left of the session's memory.
        let budget = self.budget(length);
        let mut number = 0;
        let mut incoming = Vec::with_capacity(count);
        for begin in begins {
            let call;
            (number, call) = self.incoming(begin, budget);
            incoming.push(call);
        }
        let start = move || batch::start_many(service.as_ref(), number, incoming);
        if length > LONG_BYTES && !descriptor.decodes_fast() {
            self.start_elsewhere(calls, descriptor, length, start);
            return count;
        }
        codec::forget_decoded();
        let replies = start();
        // One handler holds all arguments as long as any of the calls is unfinished: each call is charged its share.
        let share = given(length, self.link.budget) / count;
        for (StartingCall { answer, deadline, .. }, reply) in calls.into_iter().zip(replies) {
            self.run(answer, reply, deadline, descriptor, share);
        }
        count
    }

    /// The number of the method, and the call as its handler gets it.
    #[inline(always)]
    pub(super) fn incoming(&self, begin: Begin, budget: DecodeBudget) -> (u32, Incoming) {
        let Begin { target, service, method, descriptor, arguments, want, deadline, extras, .. } = begin;
        let scope = Arc::clone(&self.scope);
        let incoming = Incoming {
            target,
            service,
            method: descriptor,
            arguments,
            want,
            budget,
            deadline,
            metadata: extras.map(|extras| extras.metadata).unwrap_or_default(),
            scope,
        };
        (u32::try_from(method).unwrap_or(u32::MAX), incoming)
    }

    /// The budget for decoding arguments of `length` bytes.
    #[inline(always)]
    pub(super) fn budget(&self, length: usize) -> DecodeBudget {
        match length < codec::COUNTED_BYTES_MIN {
            true => self.link.budget,
            false => self.budget_left(length),
        }
    }

    /// The budget for arguments whose decoded memory is counted, which begins here.
    #[inline(never)]
    fn budget_left(&self, length: usize) -> DecodeBudget {
        codec::forget_decoded();
        let mut budget = self.link.budget;
        if length > SMALL_BYTES {
            let (left, limit) = self.session.memory_left();
            budget.factor = budget.factor.min(left / length / SPARE_FACTOR);
            self.link.short_of.store(limit == MEMORY_BUDGET, Ordering::Relaxed);
        }
        budget
    }

    /// Polls a call's handler once; one that does not finish at once moves to a task of its own.
    fn run(
        &mut self,
        answer: CallId,
        reply: ReplyInner,
        deadline: Option<Time>,
        descriptor: &'static MethodDescriptor,
        given: usize,
    ) {
        let (mut handler, cancelled) = match reply {
            ReplyInner::Done(outcome) => return self.session.finish(answer, outcome),
            ReplyInner::Running { handler, cancelled } => (handler, cancelled),
        };
        if !descriptor.attributes.blocking {
            let polled = with_deadline(deadline, || {
                poll_once(|cx| dispatch::poll_handler(&mut handler, descriptor, cx))
            });
            // Printing a panic takes long, which the warning about blocking handlers is not about.
            if matches!(polled, Poll::Ready(Outcome::Failed(Failure::Panicked))) {
                self.stopwatch.forget();
            } else {
                self.stopwatch.stop(descriptor);
            }
            if let Poll::Ready(outcome) = polled {
                return self.session.finish(answer, outcome);
            }
        }
        let report = EndReport::of(answer, &self.link, &self.elsewhere);
        self.spawn(HandlerTask { handler, method: descriptor, deadline, given, report }, cancelled);
    }

    /// Gives a handler a task of its own.
    pub(super) fn spawn(&mut self, task: HandlerTask, cancelled: Option<Arc<CancelSignal>>) {
        let (answer, descriptor, given) = (task.report.answer, task.method, task.given);
        let abort = match descriptor.attributes.blocking {
            // As it is, and not boxed: every call that is not answered at once comes by here.
            false => tokio::spawn(task).abort_handle(),
            true => spawn(Box::pin(task), descriptor),
        };
        let no_cancel = outlives_cancel(descriptor);
        // Nothing stops a thread that has begun. A batch ends with its last call.
        let can_stop = !descriptor.attributes.no_cancel && !descriptor.attributes.blocking;
        let expected = descriptor.expected_bytes().min(self.limits.payload_bytes_max);
        self.session.goes_on(given, expected);
        self.running.insert(answer, RunningTask { abort, cancelled, no_cancel, can_stop, given, expected });
    }

    /// Ends a call whose handler ran on a task of its own.
    pub(super) fn finish(&mut self, answer: CallId, outcome: Outcome) {
        self.elsewhere.received(outcome.bytes());
        if let Some(RunningTask { given, expected, .. }) = self.running.remove(&answer) {
            self.session.came_back(given, expected);
        }
        self.session.finish(answer, outcome);
    }

    pub(super) fn cancel(&mut self, answer: CallId) {
        if let Some(starting) = &mut self.starting {
            let cancelled = starting.calls.iter_mut().filter(|call| call.answer == answer);
            cancelled.for_each(|call| call.is_cancelled = true);
        }
        if let Some(task) = self.running.get_mut(&answer) {
            task.cancel();
        }
    }
}

/// Starts one call. A call of a batch method is a batch of its own.
pub(super) fn start_one(
    target: &BeginTarget,
    service: Option<&dyn Service>,
    number: u32,
    incoming: Incoming,
) -> ReplyInner {
    let reply = match (target, service) {
        (_, Some(service)) => batch::start_many(service, number, vec![incoming]).pop(),
        (BeginTarget::Object(object), None) => dispatch::start_on(object, number, incoming),
        (BeginTarget::Root(_), None) => None,
    };
    reply.unwrap_or(ReplyInner::Done(Outcome::Failed(Failure::UnknownService)))
}

/// Polls a handler that may finish at once, outside of tokio's cooperative budget. That budget belongs to the driver's task: a
/// handler must not pend because others ran before it.
pub(super) fn poll_once(poll: impl FnMut(&mut Context<'_>) -> Poll<Outcome>) -> Poll<Outcome> {
    let mut unconstrained = pin!(tokio::task::unconstrained(std::future::poll_fn(poll)));
    unconstrained.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a handler on a task of its own, or on a blocking thread if its method is marked `blocking`.
pub(super) fn spawn(task: Task, descriptor: &MethodDescriptor) -> AbortHandle {
    if !descriptor.attributes.blocking {
        return driver::spawn(task).abort_handle();
    }
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(task)).abort_handle()
}

/// The estimated memory of arguments that were just decoded. It is their length and twice what the decoder saw them take:
/// collections keep spare room, and allocators add to many small pieces. The shortest arguments are not measured: they count
/// as if they took all they may, up to 1,024 times their length.
fn given(length: usize, budget: DecodeBudget) -> usize {
    match length < codec::COUNTED_BYTES_MIN {
        true => length.saturating_mul(budget.factor.min(1_024)),
        false => length.saturating_add(SPARE_FACTOR.saturating_mul(codec::forget_decoded())),
    }
}

/// Whether a handler goes on when its call is cancelled. A batch ends itself when all its calls are cancelled; until then each
/// has a share in it.
fn outlives_cancel(descriptor: &MethodDescriptor) -> bool {
    descriptor.attributes.no_cancel || descriptor.attributes.batch.is_some()
}

impl RunningTask {
    /// Cancels the handler: sets its signal and drops it, unless its method is `no_cancel` or a batch.
    pub(super) fn cancel(&mut self) {
        // Calls of one batch share the signal, which counts them.
        if let Some(cancelled) = self.cancelled.take() {
            cancelled.set();
        }
        if !self.no_cancel {
            self.abort.abort();
        }
    }
}

/// A handler that did not finish at once.
pub(super) struct HandlerTask {
    pub(super) handler: RunningHandler,
    pub(super) method: &'static MethodDescriptor,
    pub(super) deadline: Option<Time>,
    /// The memory charged for its arguments, in bytes.
    pub(super) given: usize,
    // Declared after the handler, because fields are dropped in order: the permit is freed after the handler is dropped.
    pub(super) report: Arc<EndReport>,
}

/// Drops a handler with long arguments on another thread. Dropping many values takes long, and a peer that hangs up has many
/// handlers dropped at once.
impl Drop for HandlerTask {
    fn drop(&mut self) {
        if self.given > LONG_BYTES {
            let handler = std::mem::replace(&mut self.handler, Box::pin(std::future::pending()));
            let report = Arc::clone(&self.report);
            aside::run(move || {
                drop_quietly(handler, "a handler that was stopped");
                drop(report);
            });
        }
    }
}

impl HandlerTask {
    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Self { handler, method, deadline, report, .. } = self;
        let poll = || dispatch::poll_handler(handler, method, cx);
        inside(Arc::as_ptr(&report.link), || with_deadline(*deadline, poll))
    }
}

impl Future for HandlerTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        let outcome = ready!(task.poll_outcome(cx));
        // A finished handler has dropped its arguments.
        task.given = 0;
        task.report.finish(outcome);
        Poll::Ready(())
    }
}

/// Reports the end of a handler in any case, also when it is dropped. Handlers of a map that outlive the map share this, so
/// that its permit is taken until they are over.
pub(super) struct EndReport {
    pub(super) answer: CallId,
    pub(super) link: Arc<Link>,
    elsewhere: Elsewhere,
    finished: AtomicBool,
}

impl EndReport {
    pub(super) fn of(answer: CallId, link: &Arc<Link>, elsewhere: &Elsewhere) -> Arc<Self> {
        let (link, elsewhere) = (Arc::clone(link), elsewhere.clone());
        Arc::new(Self { answer, link, elsewhere, finished: AtomicBool::new(false) })
    }

    /// A report that reports nothing.
    pub(super) fn of_nobody(link: &Arc<Link>) -> Arc<Self> {
        let (link, elsewhere) = (Arc::clone(link), Elsewhere::default());
        Arc::new(Self { answer: CallId(0), link, elsewhere, finished: AtomicBool::new(true) })
    }

    /// Reports nothing from here on: the driver has the outcome already.
    pub(super) fn is_known(&self) {
        self.finished.store(true, Ordering::Release);
    }

    fn finish(&self, mut outcome: Outcome) {
        if !self.finished.swap(true, Ordering::AcqRel) {
            // Results on their way count too: many handlers can finish before the driver sees the first result.
            if !self.elsewhere.sends(outcome.bytes(), self.link.limits.session_bytes_max) {
                outcome = Outcome::Failed(Failure::exhausted("session_bytes_max"));
            }
            self.link.submit(Submission::Finish { answer: self.answer, outcome });
        }
    }
}

impl Drop for EndReport {
    fn drop(&mut self) {
        self.finish(Outcome::Failed(Failure::Cancelled));
    }
}

/// Reports the result of starting calls on another thread, also if that did not finish.
struct StartReport {
    link: Arc<Link>,
    is_told: bool,
}

impl StartReport {
    fn tell(mut self, started: Started) {
        self.is_told = true;
        self.link.submit(Submission::CameBack(Box::new(started)));
    }
}

impl Drop for StartReport {
    fn drop(&mut self) {
        if !self.is_told {
            self.link.submit(Submission::CameBack(Box::new(Started { replies: Vec::new(), given: 0 })));
        }
    }
}
