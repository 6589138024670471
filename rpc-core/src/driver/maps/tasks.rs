//! One step of one element: a handler, or an inner map.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::channel::oneshot;
use tokio::task::AbortHandle;

use super::{Charge, Elsewhere, HandlerTask, MapRun, StepFailure, charged, handlers};
use crate::{
    handler::{
        context::CancelSignal,
        dispatch,
        incoming::{Incoming, ReplyInner, RunningHandler},
    },
    schema::descriptor::MethodDescriptor,
    session::events::BeginTarget,
    session::{events::Arguments, methods::KnownMethod, plan::PlannedStep},
    value::object::LocalObject,
    value::{
        encoded::{self, Encoded},
        held::Held,
        outcome::Outcome,
    },
    wire::{Failure, Want, map_program::ElementCause},
};

/// The result of a step, kept for later steps.
#[expect(dead_code, reason = "a charge is held to be dropped")]
pub(super) enum StepResult {
    Nothing,
    Value(Held, Charge),
}

pub(super) type StepOutcome = Result<StepResult, StepFailure>;

pub(super) enum StepTask<'a> {
    Done(Option<StepOutcome>),
    Call(RunningCall),
    Map(Pin<Box<dyn Future<Output = StepOutcome> + Send + 'a>>),
}

/// Polls all tasks, and returns their outcomes when all are done. With `stops`, the first failure stops the tasks behind it,
/// and their outcomes are left out.
pub(super) fn poll_tasks(
    tasks: &mut Vec<StepTask<'_>>,
    stops: bool,
    run: &MapRun,
    cx: &mut Context<'_>,
) -> Poll<Vec<Option<StepOutcome>>> {
    let mut pending = false;
    let mut last = None;
    for (position, task) in tasks.iter_mut().enumerate() {
        if last.is_some() {
            pending |= task.stop(cx).is_pending();
            continue;
        }
        // The inner map that used up the turn has already had the task woken.
        if matches!(task, StepTask::Map(_)) && run.is_turn_over() {
            pending = true;
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
    /// Polls the task; a finished one becomes `Done`.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let outcome = match self {
            Self::Done(_) => return Poll::Ready(()),
            Self::Call(call) => ready!(call.poll(cx)),
            Self::Map(map) => ready!(map.as_mut().poll(cx)),
        };
        *self = Self::Done(Some(outcome));
        Poll::Ready(())
    }

    /// Stops the task. A handler on a task of its own is told and waited for; any other is dropped.
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
pub(super) struct RunningCall {
    place: CallPlace,
    /// Tells the handler that it is cancelled; `None` if nothing in it listens, or if it is over.
    cancelled: Option<Arc<CancelSignal>>,
    descriptor: &'static MethodDescriptor,
    run: CallRun,
}

enum CallPlace {
    /// On the map's own task; dropped with it.
    Here(RunningHandler),
    /// On a task of its own, because its method is `blocking` or `no_cancel`.
    Task { outcome: oneshot::Receiver<Outcome>, abort: AbortHandle },
}

/// Turns the outcome of a finished call into the result of its step; charges the bytes.
struct CallRun {
    elsewhere: Elsewhere,
    bytes_max: usize,
}

impl MapRun {
    /// The call of one element, as its handler gets it.
    pub(super) fn incoming(
        &self,
        step: &PlannedStep,
        object: Option<&Arc<LocalObject>>,
        method: KnownMethod,
        arguments: Arguments,
    ) -> Incoming {
        let descriptor = method.descriptor;
        let at_root = BeginTarget::Root(method.service());
        Incoming {
            target: object.map_or(at_root, |object| BeginTarget::Object(Arc::clone(object))),
            service: method.descriptor_of_service,
            method: descriptor,
            arguments,
            want: Want { value: step.is_used, keep: false },
            budget: self.budget,
            deadline: self.deadline,
            metadata: self.metadata.clone(),
            scope: Arc::clone(&self.scope),
        }
    }

    /// The task of a call that was started with this reply.
    pub(super) fn task<'a>(&self, descriptor: &'static MethodDescriptor, reply: ReplyInner) -> StepTask<'a> {
        let run = CallRun { elsewhere: self.elsewhere.clone(), bytes_max: self.bytes_max };
        match reply {
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
        let report = Arc::clone(&self.report);
        let mut task = HandlerTask { handler, method: descriptor, deadline: self.deadline, given: 0, report };
        let (sender, outcome) = oneshot::channel();
        let task = Box::pin(async move {
            let _ = sender.send(poll_fn(|cx| task.poll_outcome(cx)).await);
        });
        CallPlace::Task { outcome, abort: handlers::spawn(task, descriptor) }
    }
}

impl RunningCall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StepOutcome> {
        let outcome = match &mut self.place {
            CallPlace::Here(handler) => ready!(dispatch::poll_handler(handler, self.descriptor, cx)),
            CallPlace::Task { outcome, .. } => {
                ready!(Pin::new(outcome).poll(cx)).unwrap_or(Outcome::Failed(Failure::Cancelled))
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
        if let CallPlace::Task { abort, .. } = &self.place
            && !self.descriptor.attributes.no_cancel
        {
            abort.abort();
        }
    }
}

impl CallRun {
    fn charge(&self, count: usize) -> Result<Charge, Failure> {
        charged(&self.elsewhere, count, self.bytes_max)
    }

    fn result(&self, descriptor: &MethodDescriptor, outcome: Outcome) -> StepOutcome {
        let cause = match outcome {
            Outcome::Value { payload: Some(bytes), objects } => {
                let charge = self.charge(bytes.len())?;
                let value = Encoded { bytes, capabilities: encoded::capabilities(objects) };
                return Ok(StepResult::Value(Held::new(value), charge));
            }
            Outcome::Value { payload: None, .. } => return Ok(StepResult::Nothing),
            // A one-way call gives its caller no error outside of a map either.
            _ if descriptor.attributes.oneway => return Ok(StepResult::Nothing),
            Outcome::Error(bytes, objects) if objects.is_empty() => ElementCause::Error(bytes),
            // An element's error has no table of objects beside it.
            Outcome::Error(..) => ElementCause::Failed(Failure::InvalidReference {
                argument: "(error)".into(),
                reason: "it has objects inside, which the error of an element cannot carry".into(),
            }),
            Outcome::Failed(failure) => ElementCause::Failed(failure),
            // Steps that depend on a failed one do not run.
            Outcome::Upstream { .. } => ElementCause::Failed(Failure::Cancelled),
            Outcome::Element(failure) => {
                return Err(StepFailure { trail: failure.trail, cause: failure.cause });
            }
        };
        Err(cause.into())
    }
}
