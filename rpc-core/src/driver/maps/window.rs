//! The window of a map: elements that go through the program together, and their results.

use std::{
    future::poll_fn,
    ops::Range,
    sync::{Arc, OnceLock},
};

use super::{
    Charge, MapRun, NoResult, StepFailure, TURN_BYTES,
    tasks::{StepResult, StepTask, poll_tasks},
    unencodable, unselectable,
};
use crate::{
    buffer::small_bytes::SmallBytes,
    codec::{self, walk::WalkError},
    error::{ElementError, EncodedError},
    handler::{
        batch, dispatch,
        incoming::{Incoming, ReplyInner},
    },
    schema::layout::{Layout, Over},
    session::{
        events::{Arguments, Resolved},
        methods::KnownMethod,
        plan::{Plan, PlannedStep, Work},
        work,
    },
    value::{
        encoded::{self, Capability, Encoded},
        held::{self, Held, Selected},
        object::LocalObject,
    },
    wire::{
        Failure, Reached,
        arguments::Slot,
        map_program::{Base, ElementCause, ElementFailure, Operand, OperandSlot, Policy, Target},
    },
};

/// The results of the elements, encoded as the map returns them.
pub(super) struct Collected<'a> {
    run: &'a MapRun,
    out: Vec<u8>,
    /// The results that are objects.
    objects: Vec<Capability>,
    charge: Charge,
    bytes_max: usize,
}

impl<'a> Collected<'a> {
    pub(super) fn new(run: &'a MapRun, plan: &Plan, count: usize, bytes_max: usize) -> Result<Self, Failure> {
        let mut collected =
            Self { run, out: Vec::new(), objects: Vec::new(), charge: run.charge(0)?, bytes_max };
        let encoded = match (plan.over, count) {
            (Over::Option, 0) => codec::encode(&None::<()>, &mut collected.out),
            (Over::Option, _) => codec::encode(&Some(()), &mut collected.out),
            (Over::Sequence, count) => codec::encode(&(count as u64), &mut collected.out),
            // Items of a stream are encoded one by one.
            (Over::Stream, _) => Ok(()),
        };
        encoded.map_err(unencodable)?;
        Ok(collected)
    }

    pub(super) fn finish(self) -> (Encoded, Charge) {
        let Self { out, objects, charge, .. } = self;
        (Encoded { bytes: out.into(), capabilities: encoded::capabilities(objects) }, charge)
    }

    /// Appends the result of an element. An object gets a place in the table of the whole map.
    fn append_value(&mut self, value: &Encoded, is_object: bool) -> Result<(), StepFailure> {
        if is_object {
            let object = value.only_object().ok_or_else(|| unselectable("there is no object".into()))?;
            let place = self.objects.len() as u64;
            self.objects.push(object);
            return self.append(|out| Ok(codec::encode(&place, out).map_err(unencodable)?));
        }
        self.append(|out| {
            out.extend_from_slice(&value.bytes);
            Ok(())
        })
    }

    fn append(
        &mut self,
        append: impl FnOnce(&mut Vec<u8>) -> Result<(), StepFailure>,
    ) -> Result<(), StepFailure> {
        let before = self.out.len();
        append(&mut self.out)?;
        if !self.charge.add(self.out.len() - before, self.run.bytes_max) {
            return Err(Failure::exhausted("held_bytes_max").into());
        }
        if self.out.len() > self.bytes_max {
            let reached = Reached::new("payload_bytes_max", self.out.len(), self.bytes_max);
            let failure = match self.run.is_callers_limit {
                true => Failure::exhausted_of_peer(reached),
                false => reached.into(),
            };
            return Err(failure.into());
        }
        Ok(())
    }
}

pub(super) struct ElementRun {
    index: u64,
    range: Range<usize>,
    /// The element as a value whose parts can be selected; made when a part is first selected.
    held: OnceLock<Box<Held>>,
    results: Vec<StepResult>,
    /// The step that failed, where errors are collected.
    failed: Option<(u32, StepFailure)>,
}

impl ElementRun {
    /// The element number `index`, which lies at `range` in the source.
    pub(super) fn new(index: u64, range: Range<usize>) -> Self {
        Self { index, range, held: OnceLock::new(), results: Vec::new(), failed: None }
    }
}

/// Elements that go through the program together.
pub(super) struct Window<'a> {
    pub(super) run: &'a MapRun,
    pub(super) plan: &'a Plan,
    pub(super) source: &'a Encoded,
    pub(super) captures: &'a [Held],
    /// The number of elements that an inner map of one of these works on at once.
    pub(super) concurrency_within: usize,
    /// The elements in order, up to the first one that failed the map.
    pub(super) elements: Vec<ElementRun>,
    /// The first element that failed the map.
    pub(super) failed: Option<ElementFailure>,
}

impl<'a> Window<'a> {
    /// Takes all elements through one step. If an element fails the map, the elements behind it are stopped and those before
    /// it go on: so the failure reported is that of the first element in order, not in time.
    pub(super) async fn step(&mut self, number: usize) {
        let mut tasks = Vec::with_capacity(self.elements.len());
        while tasks.len() < self.elements.len() {
            let bytes = self.start_step(number, &mut tasks);
            self.run.spend_turn(bytes as u64 * work::BYTE_NS).await;
        }
        let stops = self.plan.policy == Policy::Fail;
        let run = self.run;
        let outcomes = poll_fn(|cx| poll_tasks(&mut tasks, stops, run, cx)).await;
        for (position, outcome) in outcomes.into_iter().enumerate() {
            let Some(element) = self.elements.get_mut(position) else { break };
            match outcome {
                Some(Ok(result)) => element.results.push(result),
                // The element failed in an earlier step.
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

    /// Starts one step for the elements that have no task yet, or for as many as one turn may decode the arguments of. Returns
    /// the bytes of their arguments. Calls of one service or object are started together: it may answer them with a batch
    /// method.
    fn start_step(&mut self, number: usize, tasks: &mut Vec<StepTask<'a>>) -> usize {
        let step = &self.plan.steps[number];
        let mut groups: Vec<Together> = Vec::new();
        let mut bytes = 0;
        for (position, element) in self.elements.iter().enumerate().skip(tasks.len()) {
            let started = match &step.work {
                _ if element.failed.is_some() => Ok(StepTask::Done(None)),
                Work::Call { target, method, arguments, objects } => {
                    self.call(element, target, arguments, objects).map(|(object, arguments)| {
                        bytes += arguments.values_bytes();
                        let incoming = self.run.incoming(step, object.as_ref(), *method, arguments);
                        Together::add(&mut groups, object, position, incoming);
                        StepTask::Done(None)
                    })
                }
                Work::Map { source, captures, plan } => self.start_map(element, source, captures, plan),
            };
            tasks.push(started.unwrap_or_else(|failure| StepTask::Done(Some(Err(failure)))));
            if bytes >= TURN_BYTES && !step.is_batched() {
                break;
            }
        }
        if let Work::Call { method, .. } = &step.work {
            for Together { object, positions, incoming } in groups {
                let started = match &object {
                    None => Ok(self.start_at_root(*method, incoming)),
                    Some(object) => self.start_on(object, *method, incoming),
                };
                match started {
                    Ok(started) => {
                        positions
                            .into_iter()
                            .zip(started)
                            .for_each(|(position, task)| tasks[position] = task);
                    }
                    Err(failure) => {
                        for position in positions {
                            tasks[position] = StepTask::Done(Some(Err(failure.clone().into())));
                        }
                    }
                }
            }
        }
        bytes
    }

    fn start_at_root(&self, method: KnownMethod, incoming: Vec<Incoming>) -> Vec<StepTask<'a>> {
        let Some(service) = self.run.services.get(method.service()) else { return Vec::new() };
        self.tasks(method, batch::start_many(service.as_ref(), number_of(method), incoming))
    }

    fn start_on(
        &self,
        object: &Arc<LocalObject>,
        method: KnownMethod,
        mut incoming: Vec<Incoming>,
    ) -> Result<Vec<StepTask<'a>>, Failure> {
        let method = method.of(object.descriptor())?;
        for incoming in &mut incoming {
            (incoming.service, incoming.method) = (method.descriptor_of_service, method.descriptor);
        }
        let replies = match object.service() {
            Some(service) => batch::start_many(service.as_ref(), number_of(method), incoming),
            // The object forwards calls; its peer collects them into a batch again.
            None => incoming
                .into_iter()
                .filter_map(|incoming| dispatch::start_on(object, number_of(method), incoming))
                .collect(),
        };
        Ok(self.tasks(method, replies))
    }

    fn tasks(&self, method: KnownMethod, replies: Vec<ReplyInner>) -> Vec<StepTask<'a>> {
        replies.into_iter().map(|reply| self.run.task(method.descriptor, reply)).collect()
    }

    fn call(
        &self,
        element: &ElementRun,
        target: &Target,
        arguments: &[Slot<OperandSlot>],
        objects: &[u32],
    ) -> Result<(Option<Arc<LocalObject>>, Arguments), StepFailure> {
        if self.run.work.is_overdrawn() {
            return Err(self.run.work.refusal(0).into());
        }
        Ok((self.target(element, target)?, self.arguments(element, arguments, objects)?))
    }

    fn start_map(
        &self,
        element: &ElementRun,
        source: &Operand,
        captures: &[Operand],
        plan: &'a Plan,
    ) -> Result<StepTask<'a>, StepFailure> {
        let (run, concurrency) = (self.run, self.concurrency_within);
        let source = self.select(element, source, false)?;
        let captures = captures
            .iter()
            .map(|capture| self.select(element, capture, false))
            .collect::<Result<Vec<_>, _>>()?;
        let given = run.charge(source.len() + captures.iter().map(Encoded::len).sum::<usize>())?;
        Ok(StepTask::Map(Box::pin(async move {
            let _given = given;
            let (encoded, charge) = run.run(plan, source, captures, usize::MAX, concurrency).await?;
            Ok(StepResult::Value(Held::new(encoded), charge))
        })))
    }

    fn arguments(
        &self,
        element: &ElementRun,
        slots: &[Slot<OperandSlot>],
        objects: &[u32],
    ) -> Result<Arguments, StepFailure> {
        let mut arguments = Resolved::default();
        let passed = |place: &u32| self.run.passed.as_ref()?.get(*place as usize).cloned();
        arguments.beside = encoded::capabilities(objects.iter().filter_map(passed).collect());
        for (index, slot) in slots.iter().enumerate() {
            let value = match slot {
                Slot::Inline(bytes) => bytes.clone(),
                Slot::Reference(OperandSlot { operand, as_some }) => {
                    let Encoded { bytes, capabilities } = self.select(element, operand, *as_some)?;
                    arguments.selected.extend(capabilities.map(|table| (index, Some(table))));
                    bytes
                }
                Slot::Tuple(parts) => self.tuple(element, parts)?,
            };
            arguments.values.push(value);
        }
        Ok(arguments.into())
    }

    /// Encodes a tuple: its encoded parts, one behind the other.
    fn tuple(&self, element: &ElementRun, parts: &[Slot<OperandSlot>]) -> Result<SmallBytes, StepFailure> {
        let mut out = Vec::new();
        for part in parts {
            match part {
                Slot::Inline(bytes) => out.extend_from_slice(bytes),
                Slot::Reference(OperandSlot { operand, as_some }) => {
                    let Encoded { bytes, capabilities } = self.select(element, operand, *as_some)?;
                    if capabilities.is_some() {
                        let reason = "a tuple of promises cannot have objects in it";
                        return Err(unselectable(reason.into()).into());
                    }
                    out.extend_from_slice(&bytes);
                }
                Slot::Tuple(parts) => out.extend_from_slice(&self.tuple(element, parts)?),
            }
        }
        Ok(out.into())
    }

    /// The part that an operand names, with the objects inside it; wrapped in a `Some` with `as_some`.
    fn select(&self, element: &ElementRun, operand: &Operand, as_some: bool) -> Result<Encoded, StepFailure> {
        let path = operand.steps();
        let (held, layout) = match operand.base {
            Base::Element => {
                let whole = || Encoded {
                    bytes: self.source.bytes.part(element.range.clone()),
                    capabilities: self.source.capabilities.clone(),
                };
                if path.is_empty() {
                    return Ok(if as_some { held::some(whole()) } else { whole() });
                }
                (&**element.held.get_or_init(|| Box::new(Held::new(whole()))), &self.plan.element)
            }
            Base::Capture(capture) => {
                (&self.captures[capture as usize], &self.plan.captures[capture as usize])
            }
            Base::Step(step) => match &element.results[step as usize] {
                StepResult::Value(held, _) => (held, &self.plan.steps[step as usize].returns),
                StepResult::Nothing => return Err(unselectable("it was not kept".into()).into()),
            },
        };
        match held.select(layout, path, as_some) {
            Ok(Selected { part, walked }) => {
                let bytes = part.len() as u64;
                self.run.work.spend(walked as u64 * work::STEP_NS + bytes * work::BYTE_NS);
                Ok(part)
            }
            Err(WalkError::Missed) => Err(ElementCause::Missed(operand.clone()).into()),
            Err(other) => Err(unselectable(other.to_string()).into()),
        }
    }

    /// The object that answers an element's call; `None` for a service at the root.
    fn target(&self, element: &ElementRun, target: &Target) -> Result<Option<Arc<LocalObject>>, StepFailure> {
        let object = match target {
            Target::Root => return Ok(None),
            Target::Object(operand) => self.select(element, operand, false)?.only_object(),
            Target::Passed(place) => {
                self.run.passed.as_ref().and_then(|table| table.get(*place as usize).cloned())
            }
        };
        let object = object.ok_or_else(|| unselectable("there is no object".into()))?;
        Ok(Some(match object {
            Capability::Local(object) => object,
            Capability::Import(import) => import.forward(),
            Capability::Stream(_) => return Err(unselectable("there is no object".into()).into()),
        }))
    }

    /// Appends the results of the elements to the map's, or returns the first failure that fails the map.
    pub(super) fn collect_into(mut self, collected: &mut Collected<'_>) -> Result<(), NoResult> {
        let elements = std::mem::take(&mut self.elements);
        for element in &elements {
            let appended = match (&element.failed, self.plan.policy) {
                (Some((step, failure)), _) => self.append_error(collected, *step, failure),
                (None, Policy::Fail) => match self.result_of_step(element) {
                    Some(value) => collected.append_value(value, self.plan.result_is_object),
                    None => self
                        .select(element, &self.plan.result, false)
                        .and_then(|value| collected.append_value(&value, self.plan.result_is_object)),
                },
                (None, Policy::Collect) => self.append_value_or_error(collected, element),
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

    /// The element's result, if it is the whole result of a step.
    fn result_of_step<'b>(&self, element: &'b ElementRun) -> Option<&'b Encoded> {
        let Operand { base: Base::Step(step), .. } = &self.plan.result else { return None };
        match element.results.get(*step as usize)? {
            StepResult::Value(held, _) if self.plan.result.steps().is_empty() => {
                self.run.work.spend(held.value().len() as u64 * work::BYTE_NS);
                Some(held.value())
            }
            StepResult::Value(..) | StepResult::Nothing => None,
        }
    }

    /// The step number that stands for the element's result: one more than the last step.
    fn result_number(&self) -> u32 {
        u32::try_from(self.plan.steps.len()).unwrap_or(u32::MAX)
    }

    fn append_value_or_error(
        &self,
        collected: &mut Collected<'_>,
        element: &ElementRun,
    ) -> Result<(), StepFailure> {
        match self.select(element, &self.plan.result, false) {
            Ok(value) => {
                collected.append(|out| Ok(codec::encode(&Ok::<(), ()>(()), out).map_err(unencodable)?))?;
                collected.append_value(&value, self.plan.result_is_object)
            }
            Err(failure) => self.append_error(collected, self.result_number(), &failure),
        }
    }

    fn append_error(
        &self,
        collected: &mut Collected<'_>,
        step: u32,
        failure: &StepFailure,
    ) -> Result<(), StepFailure> {
        let (error, own) = self.element_error(step, failure);
        collected.append(|out| {
            // The method's own error takes the place of the encoded unit, which has no bytes.
            codec::encode(&Err::<(), _>(error), out).map_err(unencodable)?;
            out.extend_from_slice(own);
            Ok(())
        })
    }

    /// An element's error, and the bytes of the error that the method itself returned.
    fn element_error<'b>(&self, step: u32, failure: &'b StepFailure) -> (ElementError<()>, &'b [u8]) {
        let culprit = Culprit::find(self.plan, step, &failure.trail);
        let method = culprit.method.to_owned();
        match &failure.cause {
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
        }
    }

    /// The results of the elements as items of a stream; an error is the last item and ends the stream.
    pub(super) fn each(mut self) -> Vec<Result<Encoded, Encoded>> {
        let elements = std::mem::take(&mut self.elements);
        let mut made = Vec::with_capacity(elements.len());
        for mut element in elements {
            let value = match element.failed.take() {
                Some(failed) => Err(failed),
                None => self
                    .select(&element, &self.plan.result, false)
                    .map_err(|failure| (self.result_number(), failure)),
            };
            let one = match (value, self.plan.policy) {
                (Ok(value), Policy::Fail) => Ok(value),
                (Ok(value), Policy::Collect) => {
                    self.encoded(&Ok::<(), ()>(()), &value.bytes).map(|bytes| Encoded { bytes, ..value })
                }
                (Err((step, failure)), Policy::Collect) => {
                    let (error, own) = self.element_error(step, &failure);
                    self.encoded(&Err::<(), _>(error), own).map(Encoded::from)
                }
                (Err((step, failure)), Policy::Fail) => Err(self.ending_error(step, &failure)),
            };
            let is_last = one.is_err();
            made.push(one);
            if is_last {
                return made;
            }
        }
        if let Some(ElementFailure { mut trail, cause }) = self.failed.take() {
            let (_, step) = trail.remove(0);
            made.push(Err(self.ending_error(step, &StepFailure { trail, cause })));
        }
        made
    }

    /// The error that ends a stream of elements.
    fn ending_error(&self, step: u32, failure: &StepFailure) -> Encoded {
        let (error, own) = self.element_error(step, failure);
        self.encoded(&error, own).map_or_else(|error| error, Encoded::from)
    }

    /// Encodes a value, followed by `own`. A value that cannot be encoded, or is too long, becomes an encoded error.
    fn encoded(&self, value: &impl serde::Serialize, own: &[u8]) -> Result<SmallBytes, Encoded> {
        let mut bytes = Vec::new();
        let failed = match codec::encode(value, &mut bytes) {
            Ok(()) if bytes.len() + own.len() <= self.run.payload_bytes_max => {
                bytes.extend_from_slice(own);
                return Ok(bytes.into());
            }
            Ok(()) => {
                let needed = bytes.len() + own.len();
                Failure::from(Reached::new("payload_bytes_max", needed, self.run.payload_bytes_max))
                    .to_string()
            }
            Err(error) => error.to_string(),
        };
        let error = ElementError::<()>::Failed { method: "(result)".into(), reason: failed };
        let mut bytes = Vec::new();
        // Two texts always encode.
        let _ = codec::encode(&error, &mut bytes);
        Err(bytes.into())
    }
}

/// The call that failed an element.
struct Culprit<'a> {
    method: &'a str,
    /// Whether the call's result is the element's result.
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

/// Calls of several elements that one service or object answers.
struct Together {
    /// `None` for the service at the root.
    object: Option<Arc<LocalObject>>,
    positions: Vec<usize>,
    incoming: Vec<Incoming>,
}

impl Together {
    fn add(groups: &mut Vec<Self>, object: Option<Arc<LocalObject>>, position: usize, incoming: Incoming) {
        let is_same = |group: &&mut Self| match (&group.object, &object) {
            (None, None) => true,
            (Some(known), Some(object)) => Arc::ptr_eq(known, object),
            (None, Some(_)) | (Some(_), None) => false,
        };
        // Neighbours mostly address the same service or object. Only the last group is compared: elements that address an
        // object each are a group each, and comparing all groups would cost the square of their number.
        if let Some(group) = groups.last_mut().filter(is_same) {
            group.positions.push(position);
            group.incoming.push(incoming);
            return;
        }
        groups.push(Self { object, positions: vec![position], incoming: vec![incoming] });
    }
}

fn number_of(method: KnownMethod) -> u32 {
    u32::try_from(method.method).unwrap_or(u32::MAX)
}
