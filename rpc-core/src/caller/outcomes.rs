//! The typed error of a call that came back without a value.

use std::{any::Any, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    caller::call::NotSent,
    error::{CallError, DecodeError, Refusal, Upstream, UpstreamCause},
    link::{
        cell::{CallCell, Returned},
        recorder::MapSteps,
    },
    never::Never,
    schema::descriptor::MethodDescriptor,
    value::returned::OriginCause,
    wire::{
        Failure,
        map_program::{Base, ElementCause, ElementFailure},
    },
};

/// The error of a call that returned without a value.
pub(super) fn call_error<E: DeserializeOwned + 'static>(returned: Returned, cell: &CallCell) -> CallError<E> {
    match returned {
        Returned::Value(_) => bad_answer("a value, not an error"),
        Returned::Error(encoded) => encoded
            .decode(&cell.handle, cell.handle.link.budget)
            .map_or_else(CallError::BadAnswer, CallError::Method),
        Returned::Upstream { origin, cause } => match cause {
            // A part fails as its whole does, with the same typed error.
            OriginCause::Failed(failed)
                if cell.part_of.as_ref().is_some_and(|whole| Arc::ptr_eq(whole, &origin)) =>
            {
                call_error(*failed, &origin)
            }
            OriginCause::Failed(failed) => {
                let (error, text) = (origin.decode_error)(&failed, &origin);
                let as_error = origin.method.shown_error().map(|shown| shown.as_error);
                let cause = UpstreamCause::Failed { error, text: text.into(), as_error };
                CallError::Upstream(upstream(&origin, cause))
            }
            OriginCause::Missed(path) => {
                let words = origin.method.words_of(&path).into();
                CallError::Upstream(upstream(&origin, UpstreamCause::Missed { path, words }))
            }
        },
        Returned::Element(failure) => match failed_element(cell, &failure) {
            Ok((index, step, returned)) => {
                CallError::Element { index, error: Box::new(call_error(returned, &step)) }
            }
            Err(reason) => bad_answer(reason),
        },
        Returned::Done => {
            CallError::Refused(Refusal::Misuse { reason: "its value was not asked for".into() })
        }
        Returned::Misuse(reason) => CallError::Refused(Refusal::Misuse { reason }),
        Returned::Failed(Failure::DeadlineExceeded) => CallError::DeadlineExceeded,
        Returned::Failed(Failure::Cancelled) => CallError::Cancelled,
        Returned::Failed(Failure::Panicked) => CallError::Panicked,
        Returned::Failed(failure) => CallError::Refused(refusal(failure, cell.service, cell.method)),
        Returned::Disconnected { delivery, reason } => CallError::Disconnected { delivery, reason },
    }
}

/// [`call_error`] for those who do not know `E`; see `ErrorDecoder`.
pub(crate) fn decode_error<E: DeserializeOwned + Send + Sync + 'static>(
    returned: &Returned,
    origin: &CallCell,
) -> (Arc<dyn Any + Send + Sync>, String) {
    let error = call_error::<E>(returned.clone(), origin);
    let text = text(&error, origin.method);
    (Arc::new(error), text)
}

/// [`decode_error`] for a call that passes encoded values on, whose types this side does not know.
pub(super) fn untyped_error(returned: &Returned, origin: &CallCell) -> (Arc<dyn Any + Send + Sync>, String) {
    let text = match returned {
        Returned::Error(_) => "the method failed".into(),
        returned => call_error::<Never>(returned.clone(), origin).to_string(),
    };
    (Arc::new(()), text)
}

/// The text of an error of the method, with that of the method's own error.
fn text<E: 'static>(error: &CallError<E>, method: &MethodDescriptor) -> String {
    let own = match error {
        CallError::Method(own) => method.shown_error().and_then(|shown| (shown.text)(own)),
        CallError::Element { index, error } => {
            Some(format!("element {index} of the map failed: {}", text(error, method)))
        }
        _ => None,
    };
    own.unwrap_or_else(|| error.to_string())
}

fn bad_answer<E>(reason: &str) -> CallError<E> {
    CallError::BadAnswer(DecodeError::Invalid(reason.into()))
}

fn upstream(origin: &CallCell, cause: UpstreamCause) -> Upstream {
    Upstream { service: origin.service, method: origin.method.name, cause }
}

/// Why a one-way call was not sent.
pub(super) fn not_sent(returned: Returned, service: &str, method: &MethodDescriptor) -> NotSent {
    match returned {
        Returned::Misuse(reason) => NotSent::Refused(Refusal::Misuse { reason }),
        Returned::Disconnected { reason, .. } => NotSent::Disconnected(reason),
        Returned::Failed(Failure::DeadlineExceeded) => NotSent::DeadlineExceeded,
        Returned::Failed(failure) if !matches!(failure, Failure::Cancelled | Failure::Panicked) => {
            NotSent::Refused(refusal(failure, service, method))
        }
        _ => NotSent::Upstream,
    }
}

/// The public error for a failure that the peer sent, or that this side found before sending.
pub(crate) fn refusal(failure: Failure, service: &str, method: &MethodDescriptor) -> Refusal {
    let name = method.name;
    match failure {
        Failure::UnknownService => Refusal::UnknownService { service: service.into() },
        Failure::UnknownMethod => Refusal::UnknownMethod { service: service.into(), method: name.into() },
        Failure::SchemaMismatch { theirs } => Refusal::SchemaMismatch {
            method: format!("{service}.{name}"),
            ours: method.layout_text(),
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
            Refusal::NotCallable { method: format!("{service}.{name}"), reason }
        }
        // Errors of their own.
        Failure::DeadlineExceeded | Failure::Cancelled | Failure::Panicked => {
            Refusal::Unreachable { reason: failure.to_string() }
        }
    }
}

/// The failed element of a map, as if the map's closure had run on this side: the element's index, a call of the closure, and
/// that call's outcome.
fn failed_element(
    map: &CallCell,
    failure: &ElementFailure,
) -> Result<(u64, Arc<CallCell>, Returned), &'static str> {
    let ElementFailure { trail, cause } = failure;
    let (Some(steps), Some(((index, number), inwards))) = (&map.steps, trail.split_first()) else {
        return Err("it names an element of what is no map");
    };
    let MapSteps { placeholder, steps, result } = &**steps;
    let step = steps.get(*number as usize);
    let returned = match (cause, step) {
        (ElementCause::Missed(operand), _) if inwards.is_empty() => {
            let origin = match operand.base {
                Base::Step(step) => steps.get(step as usize),
                Base::Element | Base::Capture(_) => None,
            };
            let origin = Arc::clone(origin.unwrap_or(placeholder));
            let cause = OriginCause::Missed(operand.path.clone());
            return Ok((*index, Arc::clone(placeholder), Returned::Upstream { origin, cause }));
        }
        (cause, Some(_)) if !inwards.is_empty() => {
            Returned::Element(Box::new(ElementFailure { trail: inwards.to_vec(), cause: cause.clone() }))
        }
        (ElementCause::Error(bytes), Some(_)) => Returned::Error(bytes.clone().into()),
        (ElementCause::Failed(failure), _) => Returned::Failed(failure.clone()),
        (ElementCause::Error(_) | ElementCause::Missed(_), _) => {
            return Err("it names a step that the program does not have");
        }
    };
    Ok(match step {
        // The closure returns the result of another step, which is built on this one.
        Some(step) if *result != Some(*number) => {
            let cause = OriginCause::Failed(Box::new(returned));
            let returned = Returned::Upstream { origin: Arc::clone(step), cause };
            (*index, Arc::clone(placeholder), returned)
        }
        step => (*index, Arc::clone(step.unwrap_or(placeholder)), returned),
    })
}
