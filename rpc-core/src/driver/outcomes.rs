//! How calls of this side came back, as their promises understand it.

use std::{sync::Arc, time::Duration};

use crate::{
    error::Refusal,
    link::{
        cell::{CallCell, OriginCause, Returned},
        recorder::MapSteps,
    },
    session::inputs::{CallOutcome, UpstreamOutcome},
    wire::{
        Failure,
        map_program::{Base, ElementCause, ElementFailure},
    },
};

/// A call's outcome as its promise understands it.
pub(super) fn returned(cell: &Arc<CallCell>, outcome: CallOutcome<Arc<CallCell>>) -> Returned {
    match outcome {
        CallOutcome::Done => {
            Returned::Refused(Refusal::Misuse { reason: "its value was not asked for".into() })
        }
        CallOutcome::Value(bytes) => Returned::Value(bytes),
        CallOutcome::Error(bytes) => Returned::Error(bytes),
        CallOutcome::Element(failure) => element_returned(cell, &failure),
        CallOutcome::Upstream { origin, cause } => {
            let cause = match cause {
                UpstreamOutcome::Missed(path) => OriginCause::Missed(path),
                UpstreamOutcome::Failed(failed) => OriginCause::Failed(Box::new(returned(&origin, *failed))),
            };
            Returned::Upstream { origin, cause }
        }
        CallOutcome::Failed(failure) => failed(cell, failure),
    }
}

fn failed(cell: &CallCell, failure: Failure) -> Returned {
    let (service, method) = (cell.service, cell.method.name);
    Returned::Refused(match failure {
        Failure::DeadlineExceeded => return Returned::DeadlineExceeded,
        Failure::Cancelled => return Returned::Cancelled,
        Failure::Panicked => return Returned::Panicked,
        Failure::UnknownService => Refusal::UnknownService { service: service.into() },
        Failure::UnknownMethod => Refusal::UnknownMethod { service: service.into(), method: method.into() },
        Failure::SchemaMismatch { theirs } => Refusal::SchemaMismatch {
            method: format!("{service}.{method}"),
            ours: cell.method.layout_text(),
            theirs,
        },
        Failure::InvalidArgument { argument, reason } => Refusal::InvalidArgument { argument, reason },
        Failure::InvalidReference { argument, reason } => Refusal::InvalidReference { argument, reason },
        Failure::ResourceExhausted { limit, retry_after_ms } => Refusal::ResourceExhausted {
            limit,
            retry_after: (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms)),
        },
        Failure::Unavailable => Refusal::Unavailable,
        Failure::Unauthenticated => Refusal::Unauthenticated,
        Failure::PermissionDenied => Refusal::PermissionDenied,
        Failure::Unreachable { reason } => Refusal::Unreachable { reason },
        Failure::NotCallable { reason } => {
            Refusal::NotCallable { method: format!("{service}.{method}"), reason }
        }
    })
}

/// The failure of a map whose element failed, told as if its closure had run here for the element.
fn element_returned(map: &CallCell, failure: &ElementFailure) -> Returned {
    within(map, &failure.trail, &failure.cause)
}

fn within(map: &CallCell, trail: &[(u64, u32)], cause: &ElementCause) -> Returned {
    let (Some(steps), Some(((index, step), inwards))) = (&map.steps, trail.split_first()) else {
        return Returned::BadAnswer("it names an element of what is no map");
    };
    Returned::Element { index: *index, error: Box::new(at_step(steps, *step, inwards, cause)) }
}

/// The failure of one element: that of the call whose result was returned, or of one that it is built on.
fn at_step(steps: &MapSteps, number: u32, inwards: &[(u64, u32)], cause: &ElementCause) -> Returned {
    let step = steps.steps.get(number as usize);
    let failed = match (cause, step) {
        (ElementCause::Missed(operand), _) if inwards.is_empty() => {
            let origin = match operand.base {
                Base::Step(step) => steps.steps.get(step as usize),
                Base::Element | Base::Capture(_) => None,
            };
            let origin = Arc::clone(origin.unwrap_or(&steps.placeholder));
            return Returned::Upstream { origin, cause: OriginCause::Missed(operand.path.clone()) };
        }
        (cause, Some(step)) if !inwards.is_empty() => within(step, inwards, cause),
        (ElementCause::Error(bytes), Some(_)) => Returned::Error(bytes.clone().into()),
        (ElementCause::Failed(failure), Some(step)) => failed(step, failure.clone()),
        (ElementCause::Failed(failure), None) => return failed(&steps.placeholder, failure.clone()),
        (ElementCause::Error(_) | ElementCause::Missed(_), _) => {
            return Returned::BadAnswer("it names a step that the program does not have");
        }
    };
    match step {
        Some(origin) if steps.result != Some(number) => {
            Returned::Upstream { origin: Arc::clone(origin), cause: OriginCause::Failed(Box::new(failed)) }
        }
        _ => failed,
    }
}
