//! Runs the programs of maps: each is one task that starts the handlers of its elements itself.
//!
//! A window of `Limits::map_concurrency` elements goes through the program step by step: all of them through one step,
//! then those that are left through the next. What an element holds is let go when its last use is over. A step is
//! started for a whole window in [`Window::start_step`], which is where a service could be given all calls of one
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
    time::Instant,
};

use tokio::task::{JoinHandle, yield_now};

use super::{Driver, RunningTask};
use crate::{
    codec::{self, DecodeBudget},
    context::{CancelSignal, with_deadline},
    descriptor::{MAP, MethodDescriptor},
    dispatch::{
        self, Held, HeldBytes, Incoming, Outcome, ReplyInner, RunningHandler, Services, SessionScope,
    },
    error::{ElementError, EncodedError},
    layout::{
        Layout,
        walk::{self, Elements, WalkError},
    },
    link::{Link, Submission},
    select::SelectError,
    session::{
        BeginMap,
        plan::{Plan, PlannedStep, Work},
    },
    small_bytes::SmallBytes,
    time::Time,
    wire::{
        CallId, Failure, Want,
        program::{Base, ElementCause, ElementFailure, Operand, Policy, Slot},
    },
};

impl<T> Driver<T> {
    /// Starts a map and polls it once, as a handler: one whose handlers finish at once answers with the results it was
    /// built on. It stops for others after [`TURN_CALLS`]. The driver's turn ends with it.
    pub(super) fn begin_map(&mut self, begin: BeginMap) {
        let report = Arc::new(MapReport {
            answer: begin.answer,
            link: Arc::clone(&self.link),
            finished: AtomicBool::new(false),
        });
        let answer = begin.answer;
        let deadline = begin.deadline;
        let run = MapRun {
            services: self.services.clone(),
            scope: Arc::clone(&self.scope),
            budget: self.link.budget,
            deadline,
            metadata: begin.metadata,
            concurrency: self.limits.map_concurrency.max(1),
            calls_left: AtomicU64::new(self.limits.map_calls_max as u64),
            bytes: Arc::clone(&self.map_bytes),
            bytes_max: self.limits.held_bytes_max,
            payload_bytes_max: begin.payload_bytes_max.min(self.limits.payload_bytes_max),
            since_yield: AtomicU64::new(0),
            report: Arc::clone(&report),
        };
        let (plan, want) = (begin.plan, begin.want);
        let future = Box::pin(async move { run.outcome(&plan, begin.source, begin.captures, want).await });
        let mut task = MapTask { future, deadline, report };
        let polled = {
            let mut unconstrained = pin!(tokio::task::unconstrained(poll_fn(|cx| task.poll_outcome(cx))));
            unconstrained.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        self.handler_started = Instant::now();
        if let Poll::Ready(outcome) = polled {
            task.report.finished.store(true, Ordering::Release);
            return self.session.finish(answer, outcome);
        }
        let task = tokio::spawn(task);
        self.running
            .insert(answer, RunningTask { abort: task.abort_handle(), cancelled: None, no_cancel: false });
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
        with_deadline(self.deadline, || dispatch::poll_handler(&mut self.future, &MAP, cx))
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
    calls_left: AtomicU64,
    bytes: MapBytes,
    bytes_max: usize,
    payload_bytes_max: usize,
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

    async fn outcome(
        &self,
        plan: &Plan,
        source: SmallBytes,
        captures: Vec<SmallBytes>,
        want: Want,
    ) -> Outcome {
        let given = source.len() + captures.iter().map(|capture| capture.len()).sum::<usize>();
        let _charge = match self.charge(given) {
            Ok(charge) => charge,
            Err(failure) => return Outcome::Failed(failure),
        };
        let bytes_max = if want.value { self.payload_bytes_max } else { usize::MAX };
        match self.run(plan, source, captures, bytes_max, self.concurrency).await {
            Ok((bytes, _charge)) => {
                let layout = plan.returns.clone();
                let length = bytes.len();
                Outcome::Value {
                    payload: want.value.then(|| bytes.clone()),
                    held: want.keep.then(|| (Box::new(HeldBytes { bytes, layout }) as Box<dyn Held>, length)),
                }
            }
            Err(NoResult::Whole(failure)) => Outcome::Failed(failure),
            Err(NoResult::Element(failure)) => Outcome::Element(failure),
        }
    }

    /// Runs a program for each element of the source.
    async fn run(
        &self,
        plan: &Plan,
        source: SmallBytes,
        captures: Vec<SmallBytes>,
        bytes_max: usize,
        concurrency: usize,
    ) -> Result<(SmallBytes, Charge), NoResult> {
        let ranges = self.elements(plan, &source)?;
        let mut collected = Collected::new(self, plan, ranges.len(), bytes_max)?;
        let mut first = 0;
        for ranges in ranges.chunks(concurrency) {
            let elements =
                (first..).zip(ranges).map(|(index, range)| ElementRun::new(index, range.clone())).collect();
            first += ranges.len() as u64;
            let mut window = Window {
                run: self,
                plan,
                source: &source,
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
        Ok((collected.out.into(), collected.charge))
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

/// What becomes of the elements, encoded as the map returns it.
struct Collected<'a> {
    run: &'a MapRun,
    out: Vec<u8>,
    charge: Charge,
    bytes_max: usize,
}

impl<'a> Collected<'a> {
    fn new(run: &'a MapRun, plan: &Plan, count: usize, bytes_max: usize) -> Result<Self, Failure> {
        let mut collected = Self { run, out: Vec::new(), charge: run.charge(0)?, bytes_max };
        let encoded = match (plan.is_option, count) {
            (true, 0) => codec::encode(&None::<()>, &mut collected.out),
            (true, _) => codec::encode(&Some(()), &mut collected.out),
            (false, count) => codec::encode(&(count as u64), &mut collected.out),
        };
        encoded.map_err(unencodable)?;
        Ok(collected)
    }

    fn append(
        &mut self,
        append: impl FnOnce(&mut Vec<u8>) -> Result<(), StepFailure>,
    ) -> Result<(), StepFailure> {
        let before = self.out.len();
        append(&mut self.out)?;
        self.charge.add(self.out.len() - before, self.run.bytes_max)?;
        if self.out.len() > self.bytes_max {
            return Err(exhausted("payload_bytes_max").into());
        }
        Ok(())
    }
}

struct ElementRun {
    index: u64,
    range: Range<usize>,
    results: Vec<StepResult>,
    /// The step that failed, where errors are collected.
    failed: Option<(u32, StepFailure)>,
}

impl ElementRun {
    fn new(index: u64, range: Range<usize>) -> Self {
        Self { index, range, results: Vec::new(), failed: None }
    }
}

/// What a step left for later ones.
#[expect(dead_code, reason = "a charge is held to be dropped")]
enum StepResult {
    Nothing,
    Bytes(SmallBytes, Charge),
    Held(Box<dyn Held>, Charge),
}

/// Elements that are worked on at the same time.
struct Window<'a> {
    run: &'a MapRun,
    plan: &'a Plan,
    source: &'a SmallBytes,
    captures: &'a [SmallBytes],
    concurrency_within: usize,
    /// In order; those behind one that failed the map are gone.
    elements: Vec<ElementRun>,
    /// The first element that failed the map.
    failed: Option<ElementFailure>,
}

type StepOutcome = Result<StepResult, StepFailure>;

enum StepTask<'a> {
    Done(Option<StepOutcome>),
    Call(RunningCall),
    Map(Pin<Box<dyn Future<Output = StepOutcome> + Send + 'a>>),
}

impl<'a> Window<'a> {
    /// Takes all elements through one step. Where an element fails the map, those behind it are stopped, and those
    /// before it go on: the first one that fails is told, whichever fails first.
    async fn step(&mut self, number: usize) {
        let mut tasks = self.start_step(number);
        let stops = self.plan.policy == Policy::Fail;
        let outcomes = poll_fn(|cx| poll_tasks(&mut tasks, stops, cx)).await;
        for (position, outcome) in outcomes.into_iter().enumerate() {
            let Some(element) = self.elements.get_mut(position) else { break };
            match outcome {
                Some(Ok(result)) => element.results.push(result),
                // It failed in an earlier step.
                None => element.results.push(StepResult::Nothing),
                Some(Err(failure)) => {
                    element.results.push(StepResult::Nothing);
                    self.fail(position, number, failure);
                }
            }
        }
        self.let_go_after(number);
    }

    fn fail(&mut self, position: usize, number: usize, failure: StepFailure) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let Some(element) = self.elements.get_mut(position) else { return };
        match self.plan.policy {
            Policy::Collect => element.failed = Some((number, failure)),
            Policy::Fail => {
                let mut trail = vec![(element.index, number)];
                trail.extend(failure.trail);
                self.failed = Some(ElementFailure { trail, cause: failure.cause });
                self.elements.truncate(position);
            }
        }
    }

    fn let_go_after(&mut self, number: usize) {
        let over = |step: &PlannedStep| step.last_use <= number;
        for element in &mut self.elements {
            for (result, _) in element.results.iter_mut().zip(&self.plan.steps).filter(|(_, step)| over(step))
            {
                *result = StepResult::Nothing;
            }
        }
    }

    /// Starts one step for every element.
    fn start_step(&mut self, number: usize) -> Vec<StepTask<'a>> {
        let step = &self.plan.steps[number];
        self.elements
            .iter()
            .map(|element| {
                if element.failed.is_some() {
                    return StepTask::Done(None);
                }
                let started = match &step.work {
                    Work::Call { arguments, .. } => {
                        self.arguments(element, arguments).map(|arguments| self.run.start(step, arguments))
                    }
                    Work::Map { source, captures, plan } => {
                        self.start_map(element, step, source, captures, plan)
                    }
                };
                started.unwrap_or_else(|failure| StepTask::Done(Some(Err(failure))))
            })
            .collect()
    }

    fn start_map(
        &self,
        element: &ElementRun,
        step: &'a PlannedStep,
        source: &Operand,
        captures: &[Operand],
        plan: &'a Plan,
    ) -> Result<StepTask<'a>, StepFailure> {
        let (run, concurrency) = (self.run, self.concurrency_within);
        let source = self.select(element, source)?;
        let captures =
            captures.iter().map(|capture| self.select(element, capture)).collect::<Result<Vec<_>, _>>()?;
        let given = run.charge(source.len() + captures.iter().map(|capture| capture.len()).sum::<usize>())?;
        Ok(StepTask::Map(Box::pin(async move {
            let _given = given;
            let (bytes, charge) = run.run(plan, source, captures, usize::MAX, concurrency).await?;
            Ok(if step.parts_used {
                StepResult::Held(Box::new(HeldBytes { bytes, layout: plan.returns.clone() }), charge)
            } else {
                StepResult::Bytes(bytes, charge)
            })
        })))
    }

    fn arguments(&self, element: &ElementRun, slots: &[Slot]) -> Result<Vec<SmallBytes>, StepFailure> {
        slots
            .iter()
            .map(|slot| match slot {
                Slot::Inline(bytes) => Ok(bytes.clone()),
                Slot::Operand { operand, as_some: false } => self.select(element, operand),
                Slot::Operand { .. } | Slot::Tuple(_) => {
                    SmallBytes::encode(|out| self.append_slot(element, slot, out))
                }
            })
            .collect()
    }

    /// A tuple encodes as its parts do, one behind the other.
    fn append_slot(&self, element: &ElementRun, slot: &Slot, out: &mut Vec<u8>) -> Result<(), StepFailure> {
        match slot {
            Slot::Inline(bytes) => out.extend_from_slice(bytes),
            Slot::Operand { operand, as_some } => {
                if *as_some {
                    out.push(codec::SOME);
                }
                self.append(element, operand, out)?;
            }
            Slot::Tuple(parts) => {
                return parts.iter().try_for_each(|part| self.append_slot(element, part, out));
            }
        }
        Ok(())
    }

    fn select(&self, element: &ElementRun, operand: &Operand) -> Result<SmallBytes, StepFailure> {
        let whole = operand.steps().is_empty();
        match operand.base {
            Base::Element if whole => Ok(self.source.part(element.range.clone())),
            Base::Capture(capture) if whole => Ok(self.captures[capture as usize].clone()),
            Base::Step(step) if whole && matches!(element.results[step as usize], StepResult::Bytes(..)) => {
                match &element.results[step as usize] {
                    StepResult::Bytes(bytes, _) => Ok(bytes.clone()),
                    StepResult::Held(..) | StepResult::Nothing => Ok(SmallBytes::default()),
                }
            }
            Base::Element | Base::Capture(_) | Base::Step(_) => {
                SmallBytes::encode(|out| self.append(element, operand, out))
            }
        }
    }

    fn append(&self, element: &ElementRun, operand: &Operand, out: &mut Vec<u8>) -> Result<(), StepFailure> {
        let path = operand.steps();
        let located = |layout: &Layout, bytes: &[u8], out: &mut Vec<u8>| {
            let range = walk::locate(layout, bytes, path).map_err(|error| match error {
                WalkError::Missed => ElementCause::Missed(operand.clone()),
                other => ElementCause::Failed(unselectable(other.to_string())),
            })?;
            out.extend_from_slice(&bytes[range]);
            Ok(())
        };
        match operand.base {
            Base::Element => located(&self.plan.element, &self.source[element.range.clone()], out),
            Base::Capture(capture) => {
                let capture = capture as usize;
                located(&self.plan.captures[capture], &self.captures[capture], out)
            }
            Base::Step(step) => match &element.results[step as usize] {
                StepResult::Held(held, _) => held.select(path, out).map_err(|error| match error {
                    SelectError::Missed => ElementCause::Missed(operand.clone()).into(),
                    other => unselectable(other.to_string()).into(),
                }),
                StepResult::Bytes(bytes, _) => {
                    out.extend_from_slice(bytes);
                    Ok(())
                }
                StepResult::Nothing => Err(unselectable("it was not kept".into()).into()),
            },
        }
    }

    /// Appends what became of the elements to the result, or gives the first one that failed the map.
    fn collect_into(mut self, collected: &mut Collected<'_>) -> Result<(), NoResult> {
        let elements = std::mem::take(&mut self.elements);
        for mut element in elements {
            let failed = element.failed.take();
            let appended = match (failed, self.plan.policy) {
                (Some((step, failure)), _) => self.append_error(collected, step, &failure),
                (None, Policy::Fail) => collected.append(|out| self.append(&element, &self.plan.result, out)),
                (None, Policy::Collect) => self.append_value_or_error(collected, &element),
            };
            if let Err(StepFailure { trail: within, cause }) = appended {
                let mut trail = vec![(element.index, self.result_number())];
                trail.extend(within);
                return Err(NoResult::Element(ElementFailure { trail, cause }));
            }
        }
        match self.failed {
            Some(failure) => Err(NoResult::Element(failure)),
            None => Ok(()),
        }
    }

    /// What stands for the result where steps are counted.
    fn result_number(&self) -> u32 {
        u32::try_from(self.plan.steps.len()).unwrap_or(u32::MAX)
    }

    fn append_value_or_error(
        &self,
        collected: &mut Collected<'_>,
        element: &ElementRun,
    ) -> Result<(), StepFailure> {
        match self.select(element, &self.plan.result) {
            Ok(bytes) => collected.append(|out| {
                codec::encode(&Ok::<(), ()>(()), out).map_err(unencodable)?;
                out.extend_from_slice(&bytes);
                Ok(())
            }),
            Err(failure) => self.append_error(collected, self.result_number(), &failure),
        }
    }

    fn append_error(
        &self,
        collected: &mut Collected<'_>,
        step: u32,
        failure: &StepFailure,
    ) -> Result<(), StepFailure> {
        let culprit = Culprit::find(self.plan, step, &failure.trail);
        let method = culprit.method.to_owned();
        let (error, own): (ElementError<()>, &[u8]) = match &failure.cause {
            ElementCause::Error(bytes) if culprit.gives_result => (ElementError::Method(()), bytes),
            ElementCause::Error(bytes) => {
                let error = EncodedError::new(bytes, culprit.error);
                (ElementError::Upstream { method, error }, &[])
            }
            ElementCause::Missed(operand) => {
                let reason = format!("what it takes has nothing at {}", operand.path);
                (ElementError::Failed { method, reason }, &[])
            }
            ElementCause::Failed(failure) => {
                (ElementError::Failed { method, reason: failure.to_string() }, &[])
            }
        };
        collected.append(|out| {
            // An error of the method itself stands where the unit does.
            codec::encode(&Err::<(), _>(error), out).map_err(unencodable)?;
            out.extend_from_slice(own);
            Ok(())
        })
    }
}

/// The call that failed an element.
struct Culprit<'a> {
    method: &'a str,
    /// The element's result is what the call returns.
    gives_result: bool,
    error: Option<&'a Layout>,
}

impl<'a> Culprit<'a> {
    fn find(plan: &'a Plan, step: u32, trail: &[(u64, u32)]) -> Self {
        let gives_result = plan.result.base == Base::Step(step);
        match plan.steps.get(step as usize).map(|step| &step.work) {
            Some(Work::Call { method, .. }) => {
                let error = method.descriptor.signature().error.as_ref();
                Self { method: method.descriptor.name, gives_result, error }
            }
            Some(Work::Map { plan, .. }) => match trail.split_first() {
                Some(((_, step), rest)) => {
                    let within = Self::find(plan, *step, rest);
                    Self { gives_result: gives_result && within.gives_result, ..within }
                }
                None => Self { method: "map", gives_result: false, error: None },
            },
            None => Self { method: "(result)", gives_result: false, error: None },
        }
    }
}

/// Polls what runs. Gives all outcomes when they are there; those behind the first failure are left out if it stops them.
fn poll_tasks(
    tasks: &mut Vec<StepTask<'_>>,
    stops: bool,
    cx: &mut Context<'_>,
) -> Poll<Vec<Option<StepOutcome>>> {
    let mut pending = false;
    let mut last = None;
    for (position, task) in tasks.iter_mut().enumerate() {
        if last.is_some() {
            pending |= task.stop(cx).is_pending();
            continue;
        }
        pending |= task.poll(cx).is_pending();
        if stops && matches!(task, StepTask::Done(Some(Err(_)))) {
            last = Some(position);
        }
    }
    if pending {
        return Poll::Pending;
    }
    let left = last.map_or(tasks.len(), |last| last + 1);
    Poll::Ready(
        tasks
            .drain(..)
            .take(left)
            .map(|task| match task {
                StepTask::Done(outcome) => outcome,
                StepTask::Call(_) | StepTask::Map(_) => None,
            })
            .collect(),
    )
}

impl StepTask<'_> {
    /// Becomes `Done` when it is.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let outcome = match self {
            Self::Done(_) => return Poll::Ready(()),
            Self::Call(call) => ready!(call.poll(cx)),
            Self::Map(map) => ready!(map.as_mut().poll(cx)),
        };
        *self = Self::Done(Some(outcome));
        Poll::Ready(())
    }

    /// Ends it; a handler that cannot be dropped is told and waited for.
    fn stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Call(RunningCall { place: CallPlace::Task { .. }, cancelled, .. }) = self {
            if let Some(cancelled) = cancelled {
                cancelled.set();
            }
            ready!(self.poll(cx));
        }
        *self = Self::Done(None);
        Poll::Ready(())
    }
}

/// The handler of one element's step.
struct RunningCall {
    place: CallPlace,
    /// Tells the handler that it is cancelled, if it can know; gone when it is over.
    cancelled: Option<Arc<CancelSignal>>,
    descriptor: &'static MethodDescriptor,
    run: CallRun,
}

enum CallPlace {
    /// On the map's own task: dropped with it.
    Here(RunningHandler),
    /// On a task of its own: it blocks its thread, or is to run to its end.
    Task(JoinHandle<Outcome>),
}

/// What a finished call's outcome is turned into a result with.
struct CallRun {
    bytes: MapBytes,
    bytes_max: usize,
}

impl MapRun {
    fn start<'a>(&self, step: &PlannedStep, arguments: Vec<SmallBytes>) -> StepTask<'a> {
        let Work::Call { method, .. } = &step.work else { return StepTask::Done(None) };
        let descriptor = method.descriptor;
        let Some(service) = self.services.get(method.service) else { return StepTask::Done(None) };
        let incoming = Incoming {
            method: descriptor,
            arguments,
            want: Want { value: step.whole_used && !step.parts_used, keep: step.parts_used },
            budget: self.budget,
            deadline: self.deadline,
            metadata: self.metadata.clone(),
            scope: Arc::clone(&self.scope),
        };
        let number = u32::try_from(method.method).unwrap_or(u32::MAX);
        let run = CallRun { bytes: Arc::clone(&self.bytes), bytes_max: self.bytes_max };
        match dispatch::start(service.as_ref(), number, incoming) {
            ReplyInner::Done(outcome) => StepTask::Done(Some(run.result(descriptor, outcome))),
            ReplyInner::Running { handler, cancelled } => {
                let place = self.place(descriptor, handler);
                StepTask::Call(RunningCall { place, cancelled, descriptor, run })
            }
        }
    }

    fn place(&self, descriptor: &'static MethodDescriptor, handler: RunningHandler) -> CallPlace {
        let attributes = &descriptor.attributes;
        if !attributes.blocking && !attributes.no_cancel {
            return CallPlace::Here(handler);
        }
        let (deadline, report) = (self.deadline, Arc::clone(&self.report));
        let mut handler = handler;
        let task = async move {
            let _report = report;
            poll_fn(|cx| with_deadline(deadline, || dispatch::poll_handler(&mut handler, descriptor, cx)))
                .await
        };
        CallPlace::Task(if attributes.blocking {
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || runtime.block_on(task))
        } else {
            tokio::spawn(task)
        })
    }
}

impl RunningCall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StepOutcome> {
        let outcome = match &mut self.place {
            CallPlace::Here(handler) => ready!(dispatch::poll_handler(handler, self.descriptor, cx)),
            CallPlace::Task(task) => {
                ready!(Pin::new(task).poll(cx)).unwrap_or(Outcome::Failed(Failure::Cancelled))
            }
        };
        self.cancelled = None;
        Poll::Ready(self.run.result(self.descriptor, outcome))
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if let Some(cancelled) = &self.cancelled {
            cancelled.set();
        }
        if let CallPlace::Task(task) = &self.place
            && !self.descriptor.attributes.no_cancel
        {
            task.abort();
        }
    }
}

impl CallRun {
    fn charge(&self, count: usize) -> Result<Charge, Failure> {
        let mut charge = Charge { bytes: Arc::clone(&self.bytes), count: 0 };
        charge.add(count, self.bytes_max)?;
        Ok(charge)
    }

    fn result(&self, descriptor: &MethodDescriptor, outcome: Outcome) -> StepOutcome {
        let cause = match outcome {
            Outcome::Value { held: Some((value, length)), .. } => {
                return Ok(StepResult::Held(value, self.charge(length)?));
            }
            Outcome::Value { payload: Some(bytes), held: None } => {
                let charge = self.charge(bytes.len())?;
                return Ok(StepResult::Bytes(bytes, charge));
            }
            Outcome::Value { payload: None, held: None } => return Ok(StepResult::Nothing),
            // Its caller gets no error outside of a map either.
            _ if descriptor.attributes.oneway => return Ok(StepResult::Nothing),
            Outcome::Error(bytes) => ElementCause::Error(bytes),
            Outcome::Failed(failure) => ElementCause::Failed(failure),
            Outcome::Element(failure) => {
                return Err(StepFailure { trail: failure.trail, cause: failure.cause });
            }
        };
        Err(cause.into())
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
