//! Elements of a map that are worked on at the same time, and what becomes of them.

use std::{future::poll_fn, ops::Range};

use super::{
    Charge, MapRun, NoResult, StepFailure, exhausted,
    tasks::{StepResult, StepTask, poll_tasks},
    unencodable, unselectable,
};
use crate::{
    codec,
    dispatch::HeldBytes,
    error::{ElementError, EncodedError},
    layout::{
        Layout,
        walk::{self, WalkError},
    },
    select::SelectError,
    session::plan::{Plan, PlannedStep, Work},
    small_bytes::SmallBytes,
    wire::{
        Failure,
        program::{Base, ElementCause, ElementFailure, Operand, Policy, Slot},
    },
};

/// What becomes of the elements, encoded as the map returns it.
pub(super) struct Collected<'a> {
    run: &'a MapRun,
    pub(super) out: Vec<u8>,
    pub(super) charge: Charge,
    bytes_max: usize,
}

impl<'a> Collected<'a> {
    pub(super) fn new(run: &'a MapRun, plan: &Plan, count: usize, bytes_max: usize) -> Result<Self, Failure> {
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

pub(super) struct ElementRun {
    index: u64,
    range: Range<usize>,
    results: Vec<StepResult>,
    /// The step that failed, where errors are collected.
    failed: Option<(u32, StepFailure)>,
}

impl ElementRun {
    pub(super) fn new(index: u64, range: Range<usize>) -> Self {
        Self { index, range, results: Vec::new(), failed: None }
    }
}

/// Elements that are worked on at the same time.
pub(super) struct Window<'a> {
    pub(super) run: &'a MapRun,
    pub(super) plan: &'a Plan,
    pub(super) source: &'a SmallBytes,
    pub(super) captures: &'a [SmallBytes],
    /// Elements that a map within one of these works on at once.
    pub(super) concurrency_within: usize,
    /// In order; those behind one that failed the map are gone.
    pub(super) elements: Vec<ElementRun>,
    /// The first element that failed the map.
    pub(super) failed: Option<ElementFailure>,
}

impl<'a> Window<'a> {
    /// Takes all elements through one step. Where an element fails the map, those behind it are stopped, and those
    /// before it go on: the first one that fails is told, whichever fails first.
    pub(super) async fn step(&mut self, number: usize) {
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
    pub(super) fn collect_into(mut self, collected: &mut Collected<'_>) -> Result<(), NoResult> {
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
