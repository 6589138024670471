//! Runs the programs of maps: each is one task that starts the handlers of its elements itself.
//!
//! A window of `Limits::map_concurrency` elements goes through the program step by step: all of them through one step,
//! then those that are left through the next. What an element holds is let go when its last use is over. A step is
//! started for a whole window in `maps/window.rs`, in `start_step`, which is where a service could be given all calls of one
//! method at once.
//!
//! Bounded by `map_calls_max` (maps within maps are charged before they start), and by `held_bytes_max` for what all
//! maps of the session hold together: what they were given, results of steps and what is collected.

use std::{
    future::{Future, poll_fn},
    ops::Range,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use tokio::task::yield_now;

use self::window::{Collected, ElementRun, Window};
use super::{Driver, RunningTask};
use crate::{
    codec::DecodeBudget,
    context::{inside, with_deadline},
    descriptor::MAP,
    dispatch::{self, Outcome, RunningHandler, Services, SessionScope},
    held::Held,
    layout::{
        Over,
        walk::{Elements, WalkError},
    },
    link::{Link, Submission},
    object::{Capabilities, Encoded},
    session::{
        BeginMap,
        plan::{Plan, PlannedStep, Work},
    },
    small_bytes::SmallBytes,
    time::Time,
    wire::{
        CallId, Failure, Want,
        program::{ElementCause, ElementFailure},
    },
};

mod streamed;
mod tasks;
mod window;

impl<T> Driver<T> {
    /// Starts a map and polls it once, as a handler: one whose handlers finish at once answers with the results it was
    /// built on. It stops for others after [`TURN_CALLS`]. Gives the calls it may have made, for the driver's turn to count.
    pub(super) fn begin_map(&mut self, begin: BeginMap) -> usize {
        let report = Arc::new(MapReport {
            answer: begin.answer,
            link: Arc::clone(&self.link),
            finished: AtomicBool::new(false),
        });
        // Its handlers are many.
        self.stopwatch.look();
        let answer = begin.answer;
        let deadline = begin.deadline;
        let calls_max = self.limits.map_calls_max as u64;
        let calls_left = Arc::new(AtomicU64::new(calls_max));
        let run = MapRun {
            services: self.services.clone(),
            scope: Arc::clone(&self.scope),
            budget: self.link.budget,
            deadline,
            metadata: begin.metadata,
            concurrency: self.limits.map_concurrency.max(1),
            calls_max,
            calls_left: Arc::clone(&calls_left),
            bytes: Arc::clone(&self.map_bytes),
            bytes_max: self.limits.held_bytes_max,
            payload_bytes_max: begin.payload_bytes_max.min(self.limits.payload_bytes_max),
            since_yield: AtomicU64::new(0),
            passed: begin.passed,
            report: Arc::clone(&report),
        };
        let (plan, want) = (begin.plan, begin.want);
        let future: RunningHandler = if plan.over == Over::Stream {
            // Its items outlive the call, and with it the deadline and the permit.
            let run = Arc::new(MapRun { deadline: None, report: MapReport::of_nobody(&self.link), ..run });
            let outcome = run.streamed(Arc::new(plan), &begin.source, begin.captures);
            Box::pin(std::future::ready(outcome))
        } else {
            Box::pin(async move { run.outcome(&plan, begin.source, begin.captures, want).await })
        };
        let mut task = MapTask { future, deadline, report };
        let polled = {
            let mut unconstrained = pin!(tokio::task::unconstrained(poll_fn(|cx| task.poll_outcome(cx))));
            unconstrained.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        let calls = usize::try_from(calls_max - calls_left.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        if let Poll::Ready(outcome) = polled {
            task.report.finished.store(true, Ordering::Release);
            self.session.finish(answer, outcome);
            return calls;
        }
        let task = tokio::spawn(task);
        self.running
            .insert(answer, RunningTask { abort: task.abort_handle(), cancelled: None, no_cancel: false });
        calls
    }
}

/// So many calls are made before other tasks get their turn.
const TURN_CALLS: u64 = 256;

/// What the maps of a session hold, in bytes.
pub(super) type MapBytes = Arc<AtomicUsize>;

struct MapTask {
    future: RunningHandler,
    deadline: Option<Time>,
    // Behind the future, because fields are dropped in order.
    report: Arc<MapReport>,
}

impl MapTask {
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let future = &mut self.future;
        inside(Arc::as_ptr(&self.report.link), || {
            with_deadline(self.deadline, || dispatch::poll_handler(future, &MAP, cx))
        })
    }
}

impl Future for MapTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        let outcome = ready!(task.poll_outcome(cx));
        task.report.finish(outcome);
        Poll::Ready(())
    }
}

/// Reports the end of a map, when it is dropped in the middle as well. Handlers that go on without it share this, so
/// that its permit is taken until they are over.
struct MapReport {
    answer: CallId,
    link: Arc<Link>,
    finished: AtomicBool,
}

impl MapReport {
    /// One that has nothing to report.
    fn of_nobody(link: &Arc<Link>) -> Arc<Self> {
        let finished = AtomicBool::new(true);
        Arc::new(Self { answer: CallId(0), link: Arc::clone(link), finished })
    }

    fn finish(&self, outcome: Outcome) {
        if !self.finished.swap(true, Ordering::AcqRel) {
            self.link.submit(Submission::Finish { answer: self.answer, outcome });
        }
    }
}

impl Drop for MapReport {
    fn drop(&mut self) {
        self.finish(Outcome::Failed(Failure::Cancelled));
    }
}

/// What all programs of one map share.
struct MapRun {
    services: Services,
    scope: Arc<SessionScope>,
    budget: DecodeBudget,
    deadline: Option<Time>,
    metadata: Vec<(String, String)>,
    concurrency: usize,
    calls_max: u64,
    calls_left: Arc<AtomicU64>,
    bytes: MapBytes,
    bytes_max: usize,
    payload_bytes_max: usize,
    /// The objects that came with the map.
    passed: Capabilities,
    /// Calls made since other tasks had their turn.
    since_yield: AtomicU64,
    report: Arc<MapReport>,
}

/// Bytes that are held; counted until this is dropped.
struct Charge {
    bytes: MapBytes,
    count: usize,
}

impl Charge {
    fn add(&mut self, count: usize, bytes_max: usize) -> Result<(), Failure> {
        let before = self.bytes.fetch_add(count, Ordering::Relaxed);
        self.count += count;
        match before.saturating_add(count) > bytes_max {
            true => Err(exhausted("held_bytes_max")),
            false => Ok(()),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Why a map has no result.
enum NoResult {
    /// It could not be run, or not to its end.
    Whole(Failure),
    Element(ElementFailure),
}

impl From<Failure> for NoResult {
    fn from(failure: Failure) -> Self {
        Self::Whole(failure)
    }
}

/// How a step failed: inside of which elements of a map within, and why.
struct StepFailure {
    trail: Vec<(u64, u32)>,
    cause: ElementCause,
}

impl From<ElementCause> for StepFailure {
    fn from(cause: ElementCause) -> Self {
        Self { trail: Vec::new(), cause }
    }
}

impl From<Failure> for StepFailure {
    fn from(failure: Failure) -> Self {
        ElementCause::Failed(failure).into()
    }
}

impl From<NoResult> for StepFailure {
    fn from(no_result: NoResult) -> Self {
        match no_result {
            NoResult::Whole(failure) => failure.into(),
            NoResult::Element(ElementFailure { trail, cause }) => Self { trail, cause },
        }
    }
}

impl MapRun {
    fn charge(&self, count: usize) -> Result<Charge, Failure> {
        let mut charge = Charge { bytes: Arc::clone(&self.bytes), count: 0 };
        charge.add(count, self.bytes_max)?;
        Ok(charge)
    }

    async fn outcome(&self, plan: &Plan, source: Encoded, captures: Vec<Encoded>, want: Want) -> Outcome {
        let given = source.len() + captures.iter().map(Encoded::len).sum::<usize>();
        let _charge = match self.charge(given) {
            Ok(charge) => charge,
            Err(failure) => return Outcome::Failed(failure),
        };
        let bytes_max = if want.value { self.payload_bytes_max } else { usize::MAX };
        match self.run(plan, source, captures, bytes_max, self.concurrency).await {
            Ok((Encoded { bytes, capabilities }, _charge)) => {
                let objects = capabilities.as_deref().unwrap_or_default().to_vec();
                Outcome::Value { payload: Some(bytes), objects }
            }
            Err(NoResult::Whole(failure)) => Outcome::Failed(failure),
            Err(NoResult::Element(failure)) => Outcome::Element(failure),
        }
    }

    /// Runs a program for each element of the source.
    async fn run(
        &self,
        plan: &Plan,
        source: Encoded,
        captures: Vec<Encoded>,
        bytes_max: usize,
        concurrency: usize,
    ) -> Result<(Encoded, Charge), NoResult> {
        let ranges = self.elements(plan, &source.bytes)?;
        let mut collected = Collected::new(self, plan, ranges.len(), bytes_max)?;
        let captures: Vec<Held> = captures.into_iter().map(Held::new).collect();
        let mut first = 0;
        for ranges in ranges.chunks(self.window(plan, concurrency)) {
            let elements = (first..)
                .zip(ranges)
                .map(|(index, range)| ElementRun::new(index, &source, range.clone()))
                .collect();
            first += ranges.len() as u64;
            let mut window = Window {
                run: self,
                plan,
                captures: &captures,
                // The maps within these elements share what is left of it.
                concurrency_within: (concurrency / ranges.len()).max(1),
                elements,
                failed: None,
            };
            for number in 0..plan.steps.len() {
                window.step(number).await;
            }
            window.collect_into(&mut collected)?;
            self.yield_after(ranges.len() as u64 * plan.cost()).await;
        }
        Ok(collected.finish())
    }

    /// How many elements go through the program together. Where all calls have batch methods, so many as one call of
    /// those answers: what that costs is theirs to bound.
    fn window(&self, plan: &Plan, concurrency: usize) -> usize {
        let is_batched = |step: &PlannedStep| match &step.work {
            Work::Call { method, .. } => method.descriptor.attributes.batch.is_some(),
            Work::Map { .. } => false,
        };
        if !plan.steps.is_empty() && plan.steps.iter().all(is_batched) {
            return concurrency.max(self.scope.session.handle.link.limits.batch_max);
        }
        concurrency
    }

    /// Handlers that finish at once never wait: other tasks get their turn here.
    async fn yield_after(&self, calls: u64) {
        if self.since_yield.fetch_add(calls, Ordering::Relaxed) + calls >= TURN_CALLS {
            self.since_yield.store(0, Ordering::Relaxed);
            yield_now().await;
        }
    }

    /// Where the elements lie, if the program may run for so many.
    fn elements(&self, plan: &Plan, source: &SmallBytes) -> Result<Vec<Range<usize>>, Failure> {
        let unreadable = |reason: String| Failure::InvalidReference { argument: "(source)".into(), reason };
        let elements = match Elements::of(&plan.source, source) {
            Some(Ok(elements)) => elements,
            Some(Err(error)) => return Err(unreadable(error.to_string())),
            None => return Err(unreadable("it is neither a sequence nor an option".into())),
        };
        let calls = elements.left().saturating_mul(plan.cost());
        let taken = self
            .calls_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(calls));
        if taken.is_err() {
            return Err(exhausted("map_calls_max"));
        }
        elements.collect::<Result<_, WalkError>>().map_err(|error| unreadable(error.to_string()))
    }
}

fn exhausted(limit: &str) -> Failure {
    Failure::ResourceExhausted { limit: limit.into(), retry_after_ms: 0 }
}

fn unselectable(reason: String) -> Failure {
    Failure::InvalidReference { argument: "(part)".into(), reason }
}

fn unencodable(error: crate::error::EncodeError) -> Failure {
    Failure::InvalidArgument { argument: "(result)".into(), reason: error.to_string() }
}
