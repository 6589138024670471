//! Runs the programs of maps: each is one task that starts the handlers of its elements itself.
//!
//! A window of `Limits::map_concurrency` elements goes through the program step by step: all of them through one step,
//! then the remaining ones through the next. The result of an element's step is dropped after its last use. `start_step` in
//! `maps/window.rs` starts a step for as many elements of the window as one turn may decode the arguments of, and gives a
//! service with a batch method all of its calls at once. Maps within a map spend the turn of the outermost.
//!
//! Bounded by `map_calls_max` (maps within maps are charged before they start), and by `held_bytes_max` for all that the
//! maps of the session hold together: their arguments, results of steps and collected results.

use std::{
    future::{Future, poll_fn},
    ops::Range,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use tokio::task::yield_now;

use self::window::{Collected, ElementRun, Window};
use super::handlers::{self, EndReport, HandlerTask};
use crate::{
    buffer::small_bytes::SmallBytes,
    codec::{
        DecodeBudget,
        walk::{Elements, WalkError},
    },
    driver::Conversation,
    handler::{context::SessionScope, dispatch::Services, incoming::RunningHandler},
    schema::{descriptor::MAP, layout::Over},
    session::{
        account::{Charge, Elsewhere},
        events::BeginMap,
        plan::{Plan, PlannedStep, Work as StepWork},
        work::{self, Work},
    },
    time::{self, Time},
    value::{
        encoded::{Capabilities, Encoded},
        held::Held,
        outcome::Outcome,
    },
    wire::{
        Failure, Want,
        arguments::Slot,
        map_program::{Base, ElementCause, ElementFailure, OperandSlot},
    },
};

pub(super) use self::permits::Permits;

mod permits;
mod streamed;
mod tasks;
mod window;

impl Conversation {
    /// Starts a map and polls it once, like a handler: a map whose handlers finish at once is answered together with the
    /// results it was built on. It yields after [`TURN_NS`]. Returns the number of calls it may have made, which the driver's
    /// turn counts.
    pub(super) fn begin_map(&mut self, begin: BeginMap) -> usize {
        let report = EndReport::of(begin.answer, &self.link, &self.elsewhere);
        // Handlers before the map are timed here, because the map's own handlers are not timed.
        self.stopwatch.look();
        let answer = begin.answer;
        let deadline = begin.deadline;
        let calls_max = self.limits.map_calls_max as u64;
        let calls_left = Arc::new(AtomicU64::new(calls_max));
        let run = MapRun {
            services: Arc::clone(&self.services),
            scope: Arc::clone(&self.scope),
            budget: self.link.budget,
            deadline,
            metadata: begin.metadata,
            concurrency: self.limits.map_concurrency.max(1),
            calls_max,
            calls_left: Arc::clone(&calls_left),
            elsewhere: self.elsewhere.clone(),
            work: self.work.clone(),
            permits: self.map_permits.clone(),
            bytes_max: self.limits.held_bytes_max,
            payload_bytes_max: begin.payload_bytes_max.min(self.limits.payload_bytes_max),
            is_callers_limit: begin.payload_bytes_max < self.limits.payload_bytes_max,
            turn_ns: if begin.plan.over == Over::Stream { STREAM_TURN_NS } else { TURN_NS },
            spent_ns: AtomicU64::new(0),
            passed: begin.passed,
            report: Arc::clone(&report),
        };
        let (plan, want) = (begin.plan, begin.want);
        let future: RunningHandler = if plan.over == Over::Stream {
            // The items outlive the call, its deadline and its permit. Each item may take as long as the call had left.
            let item_time = deadline.map_or(self.limits.deadline_max, |deadline| time::now().until(deadline));
            let run = Arc::new(MapRun { deadline: None, report: EndReport::of_nobody(&self.link), ..run });
            let outcome = run.streamed(Arc::new(plan), &begin.source, begin.captures, item_time);
            Box::pin(std::future::ready(outcome))
        } else {
            Box::pin(async move {
                let mut outcome = pin!(run.outcome(&plan, begin.source, begin.captures, want));
                poll_fn(|cx| {
                    run.start_turn();
                    outcome.as_mut().poll(cx)
                })
                .await
            })
        };
        // `given` is zero: a map charges its arguments itself.
        let mut task = HandlerTask { handler: future, method: &MAP, deadline, given: 0, report };
        let polled = handlers::poll_once(|cx| task.poll_outcome(cx));
        let calls = usize::try_from(calls_max - calls_left.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        if let Poll::Ready(outcome) = polled {
            task.report.is_known();
            self.session.finish(answer, outcome);
            return calls;
        }
        self.spawn(task, None);
        calls
    }
}

/// The estimated work that a map does before it yields, in nanoseconds.
const TURN_NS: u64 = 500_000;
/// The estimated work that a map over a stream does before it yields: a session may have many of these at work.
const STREAM_TURN_NS: u64 = 50_000;
/// The bytes of arguments after which a map starts no more elements in one turn.
const TURN_BYTES: usize = 64 << 10;
/// The most bytes of captures that are decoded for the elements of one window.
const CAPTURED_BYTES: u64 = 1 << 20;

/// The estimated cost of one element's calls in nanoseconds, without their handlers and without costs that show only at run
/// time.
fn cost_ns(plan: &Plan) -> u64 {
    (plan.cost().saturating_mul(work::CALL_NS))
        .saturating_add((plan.inline_bytes() as u64).saturating_mul(work::BYTE_NS))
}

/// The state that all programs of one map share.
struct MapRun {
    services: Arc<Services>,
    scope: Arc<SessionScope>,
    budget: DecodeBudget,
    deadline: Option<Time>,
    metadata: Vec<(String, String)>,
    concurrency: usize,
    calls_max: u64,
    calls_left: Arc<AtomicU64>,
    elsewhere: Elsewhere,
    work: Work,
    permits: Permits,
    bytes_max: usize,
    payload_bytes_max: usize,
    /// Whether `payload_bytes_max` is the caller's, which is the lower one then.
    is_callers_limit: bool,
    /// The objects that came with the map.
    passed: Capabilities,
    /// The estimated work after which the map yields, in nanoseconds, and the work done since it last yielded.
    turn_ns: u64,
    spent_ns: AtomicU64,
    report: Arc<EndReport>,
}

/// Why a map has no result.
enum NoResult {
    /// The map could not be run, or not to its end.
    Whole(Failure),
    Element(ElementFailure),
}

impl From<Failure> for NoResult {
    fn from(failure: Failure) -> Self {
        Self::Whole(failure)
    }
}

/// The failure of a step: its cause, and the trail of elements of inner maps that leads to it.
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
        charged(&self.elsewhere, count, self.bytes_max)
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
        let captures: Vec<Held> = captures.into_iter().map(Held::new).collect();
        let captured = captured_bytes(plan, &captures);
        let ranges = self.elements(plan, &source.bytes, captured)?;
        let mut collected = Collected::new(self, plan, ranges.len(), bytes_max)?;
        let mut first = 0;
        for ranges in ranges.chunks(self.window(plan, captured, concurrency)) {
            let elements =
                (first..).zip(ranges).map(|(index, range)| ElementRun::new(index, range.clone())).collect();
            first += ranges.len() as u64;
            let mut window = Window {
                run: self,
                plan,
                source: &source,
                captures: &captures,
                // The inner maps of these elements share the rest of the concurrency.
                concurrency_within: (concurrency / ranges.len()).max(1),
                elements,
                failed: None,
            };
            for number in 0..plan.steps.len() {
                window.step(number).await;
            }
            window.collect_into(&mut collected)?;
            self.spend_turn(ranges.len() as u64 * plan.cost().saturating_mul(work::CALL_NS)).await;
        }
        Ok(collected.finish())
    }

    /// How many elements go through the program together. If all calls have batch methods, as many as one call of such a method
    /// answers: the methods bound their cost themselves. Fewer if long arguments are decoded for each.
    fn window(&self, plan: &Plan, captured: u64, concurrency: usize) -> usize {
        let window = match !plan.steps.is_empty() && plan.steps.iter().all(PlannedStep::is_batched) {
            true => concurrency.max(self.scope.session.handle.link.limits.batch_max),
            false => concurrency,
        };
        let with_captures = usize::try_from(CAPTURED_BYTES / captured.max(1)).unwrap_or(usize::MAX);
        window.min(TURN_BYTES / plan.inline_bytes().max(1)).min(with_captures).max(1)
    }

    /// Begins a new turn: the map is polled anew, so other tasks had theirs.
    fn start_turn(&self) {
        self.spent_ns.store(0, Ordering::Relaxed);
    }

    /// Whether this turn's work is done: then all inner maps wait for the next turn.
    fn is_turn_over(&self) -> bool {
        self.spent_ns.load(Ordering::Relaxed) >= self.turn_ns
    }

    /// Counts estimated work against the turn, and yields when that is over. Handlers that finish at once never yield
    /// themselves.
    async fn spend_turn(&self, ns: u64) {
        self.spent_ns.fetch_add(ns, Ordering::Relaxed);
        if self.is_turn_over() {
            yield_now().await;
        }
    }

    /// The ranges of the elements in the source, if the limits allow the program to run for all of them.
    fn elements(
        &self,
        plan: &Plan,
        source: &SmallBytes,
        captured: u64,
    ) -> Result<Vec<Range<usize>>, Failure> {
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
            return Err(Failure::exhausted("map_calls_max"));
        }
        let found = (source.len() as u64).saturating_mul(work::BYTE_NS);
        let work = elements.left().saturating_mul(cost_ns(plan)).saturating_add(found);
        // Decoded captures are paid for when they are selected.
        let with_captures =
            elements.left().saturating_mul(captured.saturating_mul(work::BYTE_NS)).saturating_add(work);
        if !self.work.affords(with_captures) {
            return Err(self.work.refusal(with_captures));
        }
        self.work.spend(work);
        elements.collect::<Result<_, WalkError>>().map_err(|error| unreadable(error.to_string()))
    }
}

/// The bytes of whole captures that the calls of one element take as arguments.
fn captured_bytes(plan: &Plan, captures: &[Held]) -> u64 {
    fn of(slot: &Slot<OperandSlot>, captures: &[Held]) -> usize {
        match slot {
            Slot::Reference(OperandSlot { operand, .. }) => match operand.base {
                Base::Capture(capture) if operand.steps().is_empty() => {
                    captures.get(capture as usize).map_or(0, |capture| capture.value().len())
                }
                _ => 0,
            },
            Slot::Tuple(parts) => parts.iter().map(|part| of(part, captures)).sum(),
            Slot::Inline(_) => 0,
        }
    }
    let of_step = |step: &PlannedStep| match &step.work {
        StepWork::Call { arguments, .. } => arguments.iter().map(|slot| of(slot, captures)).sum(),
        StepWork::Map { .. } => 0,
    };
    plan.steps.iter().map(of_step).sum::<usize>() as u64
}

/// Charges `bytes`, unless the maps of the session would hold more than `bytes_max`.
fn charged(elsewhere: &Elsewhere, bytes: usize, bytes_max: usize) -> Result<Charge, Failure> {
    let mut charge = elsewhere.charge(0);
    match charge.add(bytes, bytes_max) {
        true => Ok(charge),
        false => Err(Failure::exhausted("held_bytes_max")),
    }
}

fn unselectable(reason: String) -> Failure {
    Failure::InvalidReference { argument: "(part)".into(), reason }
}

fn unencodable(error: crate::error::EncodeError) -> Failure {
    Failure::InvalidArgument { argument: "(result)".into(), reason: error.to_string() }
}
