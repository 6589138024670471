//! Method batches: one call of a batch method answers many calls, `#[rpc(batch = "…")]`.
//!
//! Each call of a [`MethodBatch`] has a [`Seat`]. To its runner, a seat is a handler like any other, with its own outcome.
//! All seats share one handler, which is the batch method's future. When the handler has been woken, the next seat that is
//! polled polls it. The seat that polled the handler last is woken for it; when that seat is dropped, another one takes
//! over.
//!
//! A cancelled call keeps its seat, and with it its permit, because its share of the work goes on. When all calls are
//! cancelled, the handler is dropped and all seats are answered. The handler is also dropped with the last seat.
//!
//! ```text
//! handler:  idle ──a seat is polled, and it was woken──▶ in that seat's hands ──pending──▶ idle
//!             │                                                  └──ready, panicked, all cancelled──▶ over
//!             └──the last seat is dropped──▶ over
//! seat:     waiting ──the handler is over──▶ answered ──polled──▶ left
//!             └──dropped──▶ left
//! ```

use std::{
    collections::HashMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard},
    task::{self, Poll, Wake, Waker},
};

use futures::future::{Either, select};
use serde::Serialize;

use crate::{
    deadline::with_deadline,
    handler::{
        context::{CancelSignal, Context, ContextInner},
        dispatch::{self, Service},
        encoding,
        incoming::{self, Decode, Incoming, Reply, ReplyInner},
    },
    link::Link,
    schema::descriptor::MethodDescriptor,
    sync::lock,
    time::Time,
    value::outcome::Outcome,
    wire::{Failure, Want},
};

/// The reply to each call, at the call's place; every place is filled in the end.
type Replies = Vec<Option<ReplyInner>>;

impl Incoming {
    /// Decodes the arguments of each call. One handler answers all calls whose arguments could be decoded.
    pub fn run_batch<A, T, E, F>(
        calls: Vec<Self>,
        decode: Decode<A>,
        handler: impl FnOnce(Vec<A>) -> F + Send + 'static,
    ) -> Vec<Reply>
    where
        A: Send + 'static,
        F: Future<Output = Result<Vec<Result<T, E>>, E>> + Send + 'static,
        T: Serialize + Send + 'static,
        E: Serialize + Send + 'static,
    {
        let mut replies: Replies = Vec::new();
        replies.resize_with(calls.len(), || None);
        let (arguments, calls) = decode_each(calls.into_iter().enumerate(), decode, &mut replies);
        let cancelled = Arc::new(CancelSignal::of(calls.len()));
        seat(calls, &cancelled, &mut replies, move || handler(arguments));
        into_replies(replies)
    }

    /// Like [`run_batch`](Self::run_batch), for a handler that takes a context. One context stands for all calls of a handler,
    /// so calls with different metadata get different handlers.
    pub fn run_batch_with_context<A, T, E, F>(
        calls: Vec<Self>,
        decode: Decode<A>,
        handler: impl FnOnce(Vec<A>, Context) -> F + Clone + Send + 'static,
    ) -> Vec<Reply>
    where
        A: Send + 'static,
        F: Future<Output = Result<Vec<Result<T, E>>, E>> + Send + 'static,
        T: Serialize + Send + 'static,
        E: Serialize + Send + 'static,
    {
        let mut replies: Replies = Vec::new();
        replies.resize_with(calls.len(), || None);
        for (metadata, calls) in by_metadata(calls) {
            let (arguments, calls) = decode_each(calls.into_iter(), decode, &mut replies);
            let Some((_, first)) = calls.first() else { continue };
            let (scope, this) = (Arc::clone(&first.scope), first.target.clone().into());
            let cancelled = Arc::new(CancelSignal::of(calls.len()));
            let deadline = latest_deadline(&calls);
            let inner = ContextInner { scope, this, deadline, metadata, cancelled: Arc::clone(&cancelled) };
            let context = Context { inner: Arc::new(inner) };
            let handler = handler.clone();
            seat(calls, &cancelled, &mut replies, move || handler(arguments, context));
        }
        into_replies(replies)
    }

    /// The answers of a service to calls of a method that has no batch method.
    pub fn one_by_one(service: &dyn Service, method: u32, calls: Vec<Self>) -> Vec<Reply> {
        calls.into_iter().map(|incoming| service.dispatch(method, incoming)).collect()
    }

    /// The answer to a call of a method that has a batch method, on its own: a batch of one.
    pub fn batch_of_one(self, service: &dyn Service, method: u32) -> Reply {
        let replies = service.dispatch_many(method, vec![self]);
        replies.into_iter().next().unwrap_or_else(|| Reply::failed(Failure::Panicked))
    }
}

/// The results of a batch method whose calls cannot fail, as `Result`s.
#[doc(hidden)]
pub fn succeeded<T, E>(values: Vec<T>) -> Vec<Result<T, E>> {
    values.into_iter().map(Ok).collect()
}

/// The results of a batch method that returns nothing, for `calls` calls.
#[doc(hidden)]
pub fn nothing<E>(calls: usize) -> Vec<Result<(), E>> {
    succeeded(vec![(); calls])
}

/// Starts handlers for calls of one method and returns the replies in the order of the calls. A panic becomes the outcome.
///
/// If the method has a batch method, that answers the calls, at most [`Limits::batch_max`](crate::Limits::batch_max) at once.
/// Such a call is cancelled through its signal, and its handler is polled until it is done or dropped with all others.
pub(crate) fn start_many(service: &dyn Service, method: u32, mut calls: Vec<Incoming>) -> Vec<ReplyInner> {
    let Some(first) = calls.first() else { return Vec::new() };
    let descriptor = first.method;
    if descriptor.attributes.batch.is_none() {
        let start = |incoming: Incoming| {
            with_deadline(incoming.deadline, || dispatch::start(service, method, incoming))
        };
        return calls.into_iter().map(start).collect();
    }
    let batch_max = first.scope.session.handle.link.limits.batch_max.max(1);
    let mut replies = Vec::with_capacity(calls.len());
    while !calls.is_empty() {
        let later = calls.split_off(calls.len().min(batch_max));
        let many = replies.len() + calls.len();
        let started = catch_unwind(AssertUnwindSafe(|| service.dispatch_many(method, calls)));
        match started {
            Ok(started) => replies.extend(started.into_iter().map(|reply| reply.0)),
            Err(panic) => incoming::log_panic(&*panic, descriptor),
        }
        // Generated code answers every call.
        replies.resize_with(many, || ReplyInner::Done(Outcome::Failed(Failure::Panicked)));
        calls = later;
    }
    replies
}

fn into_replies(replies: Replies) -> Vec<Reply> {
    let panicked = || ReplyInner::Done(Outcome::Failed(Failure::Panicked));
    replies.into_iter().map(|reply| Reply(reply.unwrap_or_else(panicked))).collect()
}

/// Calls and their places among all that were started together.
type Placed = Vec<(usize, Incoming)>;

/// Groups the calls by their metadata; groups and calls keep the order in which the calls were made.
fn by_metadata(calls: Vec<Incoming>) -> Vec<(Vec<(String, String)>, Placed)> {
    let mut groups: Vec<(Vec<(String, String)>, Placed)> = Vec::new();
    // The peer chooses the keys: a hash that it cannot steer.
    let mut known: HashMap<Vec<(String, String)>, usize> = HashMap::new();
    for (place, mut incoming) in calls.into_iter().enumerate() {
        let metadata = std::mem::take(&mut incoming.metadata);
        if let Some(group) = known.get(&metadata) {
            groups[*group].1.push((place, incoming));
        } else {
            known.insert(metadata.clone(), groups.len());
            groups.push((metadata, vec![(place, incoming)]));
        }
    }
    groups
}

/// Decodes the arguments of each call. Returns the arguments and calls that could be decoded; the others are answered in
/// `replies`.
fn decode_each<A>(
    calls: impl Iterator<Item = (usize, Incoming)>,
    decode: Decode<A>,
    replies: &mut Replies,
) -> (Vec<A>, Placed) {
    let mut decoded = (Vec::new(), Vec::new());
    for (place, incoming) in calls {
        // A user's `Deserialize` that panics fails its own call only.
        let arguments = catch_unwind(AssertUnwindSafe(|| {
            incoming::decode_arguments(decode, &incoming).map_err(Outcome::Failed)
        }))
        .unwrap_or_else(|panic| Err(incoming::panicked(&*panic, incoming.method)));
        match arguments {
            Ok(arguments) => {
                decoded.0.push(arguments);
                decoded.1.push((place, incoming));
            }
            Err(outcome) => replies[place] = Some(ReplyInner::Done(outcome)),
        }
    }
    decoded
}

/// The latest of the calls' deadlines; none if one of them has none. The shared handler must not end before that.
fn latest_deadline(calls: &[(usize, Incoming)]) -> Option<Time> {
    let deadlines: Option<Vec<Time>> = calls.iter().map(|(_, incoming)| incoming.deadline).collect();
    deadlines?.into_iter().max()
}

/// Gives each of the calls a seat at one handler, which is made when a seat is first polled.
fn seat<T, E, F>(
    calls: Placed,
    cancelled: &Arc<CancelSignal>,
    replies: &mut Replies,
    handler: impl FnOnce() -> F + Send + 'static,
) where
    F: Future<Output = Result<Vec<Result<T, E>>, E>> + Send + 'static,
    T: Serialize + Send + 'static,
    E: Serialize + Send + 'static,
{
    let Some((_, first)) = calls.first() else { return };
    let method = first.method;
    let deadline = latest_deadline(&calls);
    let wants: Vec<Want> = calls.iter().map(|(_, incoming)| incoming.want).collect();
    let all_cancelled = Arc::clone(cancelled);
    let scope = Arc::clone(&first.scope);
    let handler = Box::pin(async move {
        let link = &scope.session.handle.link;
        let answered = async { outcomes(handler().await, &wants, method, link).await };
        if method.attributes.no_cancel {
            return answered.await;
        }
        match select(pin!(answered), pin!(all_cancelled.wait())).await {
            Either::Left((outcomes, _)) => outcomes,
            Either::Right(_) => vec![Outcome::Failed(Failure::Cancelled); wants.len()],
        }
    });
    let batch = MethodBatch::new(method, deadline, calls.len(), handler);
    for (index, (place, _)) in calls.into_iter().enumerate() {
        let handler = Box::pin(Seat { batch: Arc::clone(&batch), index });
        replies[place] = Some(ReplyInner::Running { handler, cancelled: Some(Arc::clone(cancelled)) });
    }
}

/// The outcomes of the calls: each has its own result, or all have one error.
async fn outcomes<T: Serialize + Send + 'static, E: Serialize>(
    results: Result<Vec<Result<T, E>>, E>,
    wants: &[Want],
    method: &'static MethodDescriptor,
    link: &Arc<Link>,
) -> Vec<Outcome> {
    match results {
        Ok(results) if results.len() == wants.len() => {
            encoding::outcomes_of(results, wants, method, link).await
        }
        Ok(results) => wrong_number(results.len(), wants.len(), method),
        Err(error) => vec![encoding::error_outcome(&error, link); wants.len()],
    }
}

fn wrong_number(results: usize, calls: usize, method: &MethodDescriptor) -> Vec<Outcome> {
    let name = method.attributes.batch.unwrap_or_default();
    let reason = format!("the batch method `{name}` returned {results} results for {calls} calls");
    crate::log_rate::log_rarely!(error, "calls of `{}` failed: {reason}", method.name);
    vec![Outcome::Failed(encoding::unusable(reason)); calls]
}

type BatchHandler = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send>>;

/// One handler and the calls it answers.
struct MethodBatch {
    method: &'static MethodDescriptor,
    deadline: Option<Time>,
    state: Mutex<State>,
}

struct State {
    /// `None` while a seat polls it, and when it is over.
    handler: Option<BatchHandler>,
    /// Whether the handler was woken since it was last polled.
    woken: bool,
    /// The seat that is woken when the handler is.
    lead: usize,
    calls: Vec<SeatState>,
    /// How many of the calls wait.
    waiting: usize,
}

enum SeatState {
    /// The waker of the seat's task; `None` until the seat is first polled.
    Waiting(Option<Waker>),
    Answered(Outcome),
    Left,
}

/// One call's place at a handler.
struct Seat {
    batch: Arc<MethodBatch>,
    index: usize,
}

impl Future for Seat {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Outcome> {
        self.batch.poll(self.index, cx.waker())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.batch.leave(self.index);
    }
}

/// Wakes the lead seat for the handler.
impl Wake for MethodBatch {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        state.woken = true;
        let lead = state.lead_waker();
        drop(state);
        lead.into_iter().for_each(Waker::wake);
    }
}

impl MethodBatch {
    fn new(
        method: &'static MethodDescriptor,
        deadline: Option<Time>,
        calls: usize,
        handler: BatchHandler,
    ) -> Arc<Self> {
        let state = State {
            handler: Some(handler),
            woken: true,
            lead: 0,
            calls: (0..calls).map(|_| SeatState::Waiting(None)).collect(),
            waiting: calls,
        };
        Arc::new(Self { method, deadline, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn poll(self: &Arc<Self>, seat: usize, waker: &Waker) -> Poll<Outcome> {
        let turn = self.lock().turn(seat, waker);
        let mut handler = match turn {
            Turn::Answered(outcome) => return Poll::Ready(outcome),
            Turn::Wait => return Poll::Pending,
            Turn::Run(handler) => handler,
        };
        let handler_waker = Waker::from(Arc::clone(self));
        let mut cx = task::Context::from_waker(&handler_waker);
        // The seat that polls has a deadline of its own, which is not that of the shared handler.
        let polled = with_deadline(self.deadline, || {
            catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(&mut cx)))
        });
        let outcomes = match polled {
            Ok(Poll::Pending) => {
                self.lock().handler = Some(handler);
                return Poll::Pending;
            }
            Ok(Poll::Ready(outcomes)) => outcomes,
            Err(panic) => {
                incoming::log_panic(&*panic, self.method);
                Vec::new()
            }
        };
        Poll::Ready(self.finish(seat, outcomes))
    }

    /// Answers every call and returns the answer for `seat`. A call without an outcome counts as panicked.
    fn finish(&self, seat: usize, outcomes: Vec<Outcome>) -> Outcome {
        let panicked = || Outcome::Failed(Failure::Panicked);
        let mut outcomes = outcomes.into_iter();
        let (mut wakers, mut own, mut unwanted) = (Vec::new(), None, Vec::new());
        let mut state = self.lock();
        state.waiting = 0;
        for (index, call) in state.calls.iter_mut().enumerate() {
            let outcome = outcomes.next().unwrap_or_else(panicked);
            if index == seat {
                *call = SeatState::Left;
                own = Some(outcome);
            } else if let SeatState::Waiting(waker) = call {
                wakers.extend(waker.take());
                *call = SeatState::Answered(outcome);
            } else {
                unwanted.push(outcome);
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        own.unwrap_or_else(panicked)
    }

    /// Leaves a seat whose call is over, or that nobody polls any more.
    fn leave(&self, seat: usize) {
        let mut state = self.lock();
        let left = std::mem::replace(&mut state.calls[seat], SeatState::Left);
        let (mut handler, mut lead) = (None, None);
        if matches!(left, SeatState::Waiting(_)) {
            state.waiting -= 1;
            if state.waiting == 0 {
                handler = state.handler.take();
            } else if state.woken && state.lead == seat {
                // This seat was woken to poll the handler; another one must do it.
                lead = state.lead_waker();
            }
        }
        drop(state);
        lead.into_iter().for_each(Waker::wake);
        // User values, such as an answer that was not taken, are dropped outside the lock.
        drop((left, handler));
    }
}

/// What a polled seat does next.
enum Turn {
    Answered(Outcome),
    Wait,
    /// Poll the handler and give it back.
    Run(BatchHandler),
}

impl State {
    fn turn(&mut self, seat: usize, waker: &Waker) -> Turn {
        match &mut self.calls[seat] {
            SeatState::Waiting(Some(known)) => known.clone_from(waker),
            SeatState::Waiting(none) => *none = Some(waker.clone()),
            call => {
                return match std::mem::replace(call, SeatState::Left) {
                    SeatState::Answered(outcome) => Turn::Answered(outcome),
                    SeatState::Waiting(_) | SeatState::Left => Turn::Wait,
                };
            }
        }
        if !self.woken {
            return Turn::Wait;
        }
        let Some(handler) = self.handler.take() else { return Turn::Wait };
        self.woken = false;
        self.lead = seat;
        Turn::Run(handler)
    }

    /// The waker of the seat that is woken for the handler. A seat that was never polled needs no waking: its first poll is
    /// still to come.
    fn lead_waker(&mut self) -> Option<Waker> {
        if !matches!(self.calls[self.lead], SeatState::Waiting(_)) {
            self.lead = self.calls.iter().position(|call| matches!(call, SeatState::Waiting(_)))?;
        }
        match &self.calls[self.lead] {
            SeatState::Waiting(waker) => waker.clone(),
            SeatState::Answered(_) | SeatState::Left => None,
        }
    }
}

#[cfg(test)]
mod tests;
