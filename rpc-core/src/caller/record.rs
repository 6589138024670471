//! Recording of a `map`: its closure runs once, here, with a placeholder and becomes a program that the peer runs.
//!
//! The placeholder's cell is a recorded one: it names the [`Recorder`] of its map. A call whose arguments use a recorded cell
//! is not made. It becomes a step of the program, and its own cell is recorded too. A promise from outside of the closure
//! that a step uses becomes a capture. No thread-local is involved: a call that uses nothing recorded knows of no map and is
//! made at once.
//!
//! Maps nest when a call uses placeholders of several open closures: the one opened last is the innermost. An inner
//! program is a step of the next outer one. When its closure has returned, a recorder is closed for good.
//!
//! Recorded cells are born failed: awaiting one gives `Misuse`.

use std::sync::Arc;

use crate::{
    buffer::small_bytes::SmallBytes,
    caller::pipeline::Mapped,
    caller::{arguments::Ready, promise::Promise},
    deadline::{self, NoTimeLeft},
    error::Delivery,
    link::{
        CallRejected, Handle, OutgoingCall,
        cell::{BORN_FAILED, CallCell, ErrorDecoder, Place, Returned, born_failed},
        recorder::{ESCAPED, MapSteps, PROMISED_INSIDE, Recorded, Recorder, Recording, TOO_DEEP},
    },
    path::PATH_STEPS_MAX,
    schema::descriptor::{MAP, MethodDescriptor},
    session::inputs::{CallExtras, CallTarget, NumberedMethod},
    value::encoded::{Capability, Passing},
    wire::{
        Failure, METHOD_MAP,
        arguments::{self, ArgumentList, Reference, SLOTS_MAX},
        map_program::{Base, Operand, OperandSlot, Policy, Program, Step, Target},
    },
};

/// The limit of a map's captures, which are arguments beside its source and its program.
const CAPTURES_MAX: usize = SLOTS_MAX - 2;
pub(crate) const STREAM_INSIDE: &str = "a stream can be read once, so the calls of a closure cannot take one";
const FOREIGN: &str = "it belongs to another session; await it first";

/// Closes the recorder also when the closure panics; otherwise the cells it holds, which refer back to it, would leak.
struct Closing<'a>(&'a Recorder);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Nests the closures of these recorders and returns the innermost.
fn nest(recorders: &[Arc<Recorder>]) -> Result<Arc<Recorder>, &'static str> {
    let mut all: Vec<Arc<Recorder>> = Vec::new();
    for recorder in recorders {
        let mut next = Some(Arc::clone(recorder));
        while let Some(recorder) =
            next.take().filter(|next| all.iter().all(|known| !Arc::ptr_eq(known, next)))
        {
            next = recorder.with(|recording| recording.outer.clone())?;
            // The one opened last is the first. They are few, and `sort` would have more code than all of this file.
            let place = all.partition_point(|known| known.opened > recorder.opened);
            all.insert(place, recorder);
        }
    }
    for (inner, outer) in all.iter().zip(all.iter().skip(1)) {
        inner.with(|recording| recording.outer = Some(Arc::clone(outer)))?;
    }
    all.into_iter().next().ok_or(ESCAPED)
}

fn misuse(reason: &str) -> Returned {
    Returned::Misuse(reason.into())
}

// ---- calls of the closure ----

/// A call that uses something recorded.
pub(crate) struct RecordedCall<'a> {
    pub(crate) handle: &'a Arc<Handle>,
    pub(crate) name: NumberedMethod,
    pub(crate) decode_error: ErrorDecoder,
    pub(crate) target: RecordedTarget,
}

/// The object that a recorded call addresses.
pub(crate) enum RecordedTarget {
    Root,
    Settled(Capability),
    Promised(Place),
}

impl RecordedCall<'_> {
    /// Makes the call a step of the innermost program that its arguments belong to.
    pub(crate) fn record(self, recorders: &[Arc<Recorder>], ready: Ready) -> Result<Arc<CallCell>, Returned> {
        let recorder = nest(recorders).map_err(misuse)?;
        self.step(&recorder, ready).inspect_err(|failed| recorder.fail(failed))
    }

    fn step(self, recorder: &Arc<Recorder>, ready: Ready) -> Result<Arc<CallCell>, Returned> {
        let Ready { payload, objects, bases, deadline, metadata } = ready;
        let list = ArgumentList::parse(payload).map_err(|violation| misuse(&violation.to_string()))?;
        // References stand in the arguments in the order of their bases.
        let mut bases = bases.into_iter();
        let mut operand = |reference: Reference| {
            let base = bases.next().ok_or(ESCAPED)?;
            let operand = recorder.operand(&Place { base, path: reference.path })?;
            Ok(OperandSlot { operand, as_some: reference.as_some })
        };
        let slots = list.slots.into_iter().map(|slot| slot.try_map(&mut operand));
        let arguments = slots.collect::<Result<_, &'static str>>().map_err(misuse)?;
        let Self { handle, name, decode_error, target } = self;
        let settled = |object| match object {
            Passing::Settled(capability) => Ok(capability),
            Passing::Result(..) => Err(misuse(PROMISED_INSIDE)),
        };
        let objects = objects.into_iter().map(settled).collect::<Result<Vec<_>, _>>()?;
        let promised = match &target {
            RecordedTarget::Promised(place) => Some(recorder.operand(place).map_err(misuse)?),
            RecordedTarget::Root | RecordedTarget::Settled(_) => None,
        };
        let pushed = recorder.with(|recording| {
            recording.carry(deadline, metadata)?;
            let target = match (target, promised) {
                (RecordedTarget::Settled(object), _) => Target::Passed(recording.pass(object)),
                (_, Some(operand)) => Target::Object(operand),
                (RecordedTarget::Root | RecordedTarget::Promised(_), None) => Target::Root,
            };
            let objects = objects.into_iter().map(|object| recording.pass(object)).collect();
            let step = Step::Call { target, method: name.number, arguments, objects };
            recording.needs(name);
            Ok(recording.push(recorder, step, |recorded| {
                cell(handle, name.service, name.method, decode_error, recorded, None)
            }))
        });
        pushed.and_then(|pushed| pushed).map_err(misuse)
    }
}

/// Fails the map in which a call was recorded that cannot be made.
pub(crate) fn fail(recorders: &[Arc<Recorder>], failed: &Returned) {
    if let Ok(recorder) = nest(recorders) {
        recorder.fail(failed);
    }
}

/// Makes the cell of a recorded call, whose result no call of this side will bring.
pub(crate) fn cell(
    handle: &Arc<Handle>,
    service: &'static str,
    method: &'static MethodDescriptor,
    decode_error: ErrorDecoder,
    recorded: Recorded,
    steps: Option<Arc<MapSteps>>,
) -> Arc<CallCell> {
    let cell = CallCell::recorded(Arc::clone(handle), service, method, decode_error, recorded, steps);
    born_failed(cell, misuse(ESCAPED))
}

// ---- maps ----

/// Runs the closure of a map over the sequence or option at `place`. Queues the map, or adds it to the closure around it.
pub(crate) fn map<T, E, R: Mapped>(
    place: &Place,
    policy: Policy,
    decode_error: ErrorDecoder,
    each: impl FnOnce(Promise<T, E>) -> R,
) -> Arc<CallCell> {
    let source = place.base.cell();
    let recorder = Recorder::new();
    let _closing = Closing(&recorder);
    if let Some(recorded) = &source.recorded
        && let Err(reason) = nest(&[Arc::clone(&recorder), Arc::clone(&recorded.recorder)])
    {
        recorder.fail(&misuse(reason));
    }
    let recorded = Recorded { recorder: Arc::clone(&recorder), base: Base::Element };
    let placeholder =
        cell(&source.handle, source.service, source.method, source.decode_error, recorded, None);
    let result = each(Promise::of_call(Arc::clone(&placeholder))).promise();
    // The result is dropped after the map is queued: until then it keeps the calls that the map needs wanted.
    let map = Map { place, policy, decode_error, placeholder };
    map.finish(&recorder, result.place()).unwrap_or_else(|failed| {
        let id = BORN_FAILED;
        let cell = CallCell::new(id, Arc::clone(&source.handle), source.service, &MAP, decode_error);
        born_failed(cell, failed)
    })
}

/// A map whose closure has returned.
struct Map<'a> {
    place: &'a Place,
    policy: Policy,
    decode_error: ErrorDecoder,
    placeholder: Arc<CallCell>,
}

impl Map<'_> {
    fn finish(self, recorder: &Arc<Recorder>, result: &Place) -> Result<Arc<CallCell>, Returned> {
        let result = self.result(recorder, result);
        let Some(mut recording) = recorder.close() else { return Err(misuse(ESCAPED)) };
        // The first failure is the reason; a result built on the failed call only names it.
        let result = recording.failed.take().map_or(result, Err).inspect_err(|failed| {
            if let Some(outer) = &recording.outer {
                outer.fail(failed);
            }
        })?;
        if recording.captures.len() > CAPTURES_MAX {
            return Err(misuse("the closure uses more than 62 promises from outside of it"));
        }
        let steps = Arc::new(MapSteps {
            placeholder: Arc::clone(&self.placeholder),
            steps: std::mem::take(&mut recording.cells),
            result: match result.base {
                Base::Step(step) => Some(step),
                Base::Element | Base::Capture(_) => None,
            },
        });
        let program = Program { policy: self.policy, steps: std::mem::take(&mut recording.steps), result };
        match recording.outer.take() {
            Some(outer) => self.nested(&outer, program, *recording, steps),
            None => self.queued(&program, *recording, steps),
        }
    }

    /// The closure's result as an operand of its program.
    fn result(&self, recorder: &Arc<Recorder>, place: &Place) -> Result<Operand, Returned> {
        let cell = place.base.cell();
        if !cell.handle.link.is_same(&self.placeholder.handle.link) {
            return Err(misuse(FOREIGN));
        }
        match &cell.recorded {
            Some(recorded) => {
                nest(&[Arc::clone(recorder), Arc::clone(&recorded.recorder)]).map_err(misuse)?;
            }
            None if cell.id() == BORN_FAILED => return Err(cell.failure()),
            None => {}
        }
        recorder.operand(place).map_err(misuse)
    }

    /// Makes the map a step of the closure around it.
    fn nested(
        self,
        outer: &Arc<Recorder>,
        program: Program,
        recording: Recording,
        steps: Arc<MapSteps>,
    ) -> Result<Arc<CallCell>, Returned> {
        let source = outer.operand(self.place).map_err(misuse)?;
        let captures = recording
            .captures
            .iter()
            .map(|place| outer.operand(place))
            .collect::<Result<_, _>>()
            .map_err(misuse)?;
        let mut program = program;
        let handle = &self.placeholder.handle;
        let pushed = outer.with(|around| {
            around.carry(recording.deadline, recording.metadata)?;
            program.shift_passed(u32::try_from(around.passed.len()).unwrap_or(u32::MAX));
            around.passed.extend(recording.passed);
            let step = Step::Map { source, captures, program };
            recording.methods.into_iter().for_each(|method| around.needs(method));
            Ok(around.push(outer, step, |recorded| {
                cell(handle, self.placeholder.service, &MAP, self.decode_error, recorded, Some(steps))
            }))
        });
        pushed.and_then(|pushed| pushed).map_err(misuse)
    }

    /// Queues the map as one call.
    fn queued(
        self,
        program: &Program,
        recording: Recording,
        steps: Arc<MapSteps>,
    ) -> Result<Arc<CallCell>, Returned> {
        let source = self.place.base.cell();
        if source.id() == BORN_FAILED {
            return Err(source.failure_of_dependents());
        }
        if self.place.path.steps().len() > PATH_STEPS_MAX {
            return Err(misuse(TOO_DEEP));
        }
        let Recording { captures, passed, methods, deadline, metadata, .. } = recording;
        let inherited = deadline::deadline_within(None)
            .map_err(|NoTimeLeft| Returned::Failed(Failure::DeadlineExceeded))?;
        let deadline = deadline.into_iter().chain(inherited).min();
        let payload = payload(self.place, program, &captures);
        let bases = std::iter::once(self.place).chain(&captures).map(|place| place.base.clone()).collect();
        let handle = &source.handle;
        let queued = handle.link.call(false, |id| OutgoingCall {
            id,
            number: METHOD_MAP,
            payload,
            bases,
            deadline,
            extras: CallExtras::boxed(
                CallTarget::Root,
                passed.into_iter().map(Passing::Settled).collect(),
                methods,
                metadata,
                None,
            ),
            cell: CallCell::map(id, Arc::clone(handle), source.service, self.decode_error, steps),
        });
        queued.map_err(|CallRejected(reason)| Returned::Disconnected { delivery: Delivery::NotSent, reason })
    }
}

/// The arguments of a map: its source, its program and the captures.
fn payload(source: &Place, program: &Program, captures: &[Place]) -> SmallBytes {
    let reference = |out: &mut Vec<u8>, place: &Place| {
        arguments::put_reference(out, place.base.cell().id(), &place.path, false);
        arguments::count_one(out);
    };
    let mut payload = SmallBytes::scratch();
    arguments::begin(&mut payload);
    reference(&mut payload, source);
    let Ok(()) = arguments::put_inline(&mut payload, |out| {
        program.put(out);
        Ok::<(), std::convert::Infallible>(())
    });
    arguments::count_one(&mut payload);
    captures.iter().for_each(|capture| reference(&mut payload, capture));
    SmallBytes::from_scratch(payload)
}
