//! The typed error of a call that came back without a value.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    caller::call::NotSent,
    error::{CallError, DecodeError, MethodName, Refusal, Upstream, UpstreamCause},
    link::{
        Handle,
        cell::{CallCell, Returned},
        recorder::MapSteps,
    },
    never::Never,
    schema::descriptor::MethodDescriptor,
    value::{encoded::Encoded, returned::OriginCause},
    wire::{
        Exhausted, Failure,
        map_program::{Base, ElementCause, ElementFailure},
    },
};

/// The error of a call that returned without a value.
pub(super) fn call_error<E: DeserializeOwned + 'static>(returned: Returned, cell: &CallCell) -> CallError<E> {
    match sort_out(returned, cell) {
        Sorted::Own { encoded, handle, method } => encoded
            .decode(&handle, handle.link.budget)
            .map_or_else(|error| CallError::BadAnswer { method, error }, CallError::Method),
        Sorted::Element { index, step, returned } => {
            CallError::Element { index, method: step.name(), error: Box::new(call_error(returned, &step)) }
        }
        Sorted::Other(error) => of_any_type(error),
    }
}

/// What came back, without the type of the method's own error: nearly all of [`call_error`], compiled once for all types.
enum Sorted {
    /// The method's own error.
    Own {
        encoded: Encoded,
        handle: Arc<Handle>,
        method: MethodName,
    },
    /// The outcome of an element of a map.
    Element {
        index: u64,
        step: Arc<CallCell>,
        returned: Returned,
    },
    Other(CallError<Never>),
}

fn sort_out(returned: Returned, cell: &CallCell) -> Sorted {
    let method = cell.name();
    let refused = |refusal| CallError::Refused { method, refusal };
    let bad_answer =
        |reason: &str| CallError::BadAnswer { method, error: DecodeError::Invalid(reason.into()) };
    Sorted::Other(match returned {
        Returned::Value(_) => bad_answer("a value, not an error"),
        Returned::Error(encoded) => return Sorted::Own { encoded, handle: Arc::clone(&cell.handle), method },
        Returned::Upstream { origin, cause } => match cause {
            // A part fails as its whole does, with the same typed error.
            OriginCause::Failed(failed)
                if cell.part_of.as_ref().is_some_and(|whole| Arc::ptr_eq(whole, &origin)) =>
            {
                return sort_out(*failed, &origin);
            }
            OriginCause::Failed(failed) => {
                let (error, text) = (origin.decode_error)(&failed, &origin);
                let cause_of = origin.method.shown_error().map(|shown| shown.cause);
                let cause = UpstreamCause::Failed { error, text: text.into(), cause_of };
                CallError::Upstream(Upstream { method, failed: origin.name(), cause })
            }
            OriginCause::Missed(path) => {
                let words = origin.method.words_of(&path).into();
                let cause = UpstreamCause::Missed { path, words };
                CallError::Upstream(Upstream { method, failed: origin.name(), cause })
            }
        },
        Returned::Element(failure) => match failed_element(cell, &failure) {
            Ok((index, step, returned)) => return Sorted::Element { index, step, returned },
            Err(reason) => bad_answer(reason),
        },
        Returned::Done => refused(Refusal::Misuse { reason: "its value was not asked for".into() }),
        Returned::Misuse(reason) => refused(Refusal::Misuse { reason }),
        Returned::Failed(Failure::DeadlineExceeded) => CallError::DeadlineExceeded { method },
        Returned::Failed(Failure::Cancelled) => CallError::Cancelled { method },
        Returned::Failed(Failure::Panicked) => CallError::Panicked { method },
        Returned::Failed(failure) => refused(refusal(failure, method, cell.method)),
        Returned::Disconnected { delivery, reason } => CallError::Disconnected { method, delivery, reason },
    })
}

fn of_any_type<E>(error: CallError<Never>) -> CallError<E> {
    match error {
        CallError::Method(never) => match never {},
        CallError::Element { index, method, error } => {
            CallError::Element { index, method, error: Box::new(of_any_type(*error)) }
        }
        CallError::Upstream(upstream) => CallError::Upstream(upstream),
        CallError::Refused { method, refusal } => CallError::Refused { method, refusal },
        CallError::DeadlineExceeded { method } => CallError::DeadlineExceeded { method },
        CallError::Cancelled { method } => CallError::Cancelled { method },
        CallError::Panicked { method } => CallError::Panicked { method },
        CallError::BadAnswer { method, error } => CallError::BadAnswer { method, error },
        CallError::Disconnected { method, delivery, reason } => {
            CallError::Disconnected { method, delivery, reason }
        }
    }
}

/// Clones what came back. Without type parameters, so that it is compiled once.
#[inline(never)]
fn copy(returned: &Returned) -> Returned {
    returned.clone()
}

/// [`call_error`] for those who do not know `E`; see `ErrorDecoder`.
pub(crate) fn decode_error<E: DeserializeOwned + Send + Sync + 'static>(
    returned: &Returned,
    origin: &CallCell,
) -> (Arc<dyn Any + Send + Sync>, String) {
    let error = call_error::<E>(copy(returned), origin);
    let text = text(&error, origin.method);
    (Arc::new(error), text)
}

/// [`decode_error`] for a call that passes encoded values on, whose types this side does not know.
pub(super) fn untyped_error(returned: &Returned, origin: &CallCell) -> (Arc<dyn Any + Send + Sync>, String) {
    let text = match returned {
        Returned::Error(_) => "the method failed".into(),
        returned => call_error::<Never>(returned.clone(), origin).reason().to_string(),
    };
    (Arc::new(()), text)
}

/// The text of an error of the method, with that of the method's own error.
fn text<E: 'static>(error: &CallError<E>, method: &MethodDescriptor) -> String {
    let own = error.own().and_then(|own| (method.shown_error()?.text)(own));
    match own {
        Some(own) => fmt::from_fn(|f| error.write(f, &|_, f| f.write_str(&own))).to_string(),
        None => error.reason().to_string(),
    }
}

/// Why a one-way call was not sent.
pub(super) fn not_sent(returned: Returned, method: MethodName, descriptor: &MethodDescriptor) -> NotSent {
    match returned {
        Returned::Misuse(reason) => NotSent::Refused { method, refusal: Refusal::Misuse { reason } },
        Returned::Disconnected { reason, .. } => NotSent::Disconnected { method, reason },
        Returned::Failed(Failure::DeadlineExceeded) => NotSent::DeadlineExceeded { method },
        Returned::Failed(failure) if !matches!(failure, Failure::Cancelled | Failure::Panicked) => {
            NotSent::Refused { method, refusal: refusal(failure, method, descriptor) }
        }
        _ => NotSent::Upstream { method },
    }
}

/// The public error for a failure that the peer sent, or that this side found before sending.
pub(crate) fn refusal(failure: Failure, method: MethodName, descriptor: &MethodDescriptor) -> Refusal {
    let service = || method.service.to_owned();
    match failure {
        Failure::UnknownService => Refusal::UnknownService { service: service() },
        Failure::UnknownMethod => Refusal::UnknownMethod { service: service(), method: method.method.into() },
        Failure::SchemaMismatch { theirs } => {
            Refusal::SchemaMismatch { method: method.to_string(), ours: descriptor.layout_text(), theirs }
        }
        Failure::InvalidArgument { argument, reason } => Refusal::InvalidArgument { argument, reason },
        Failure::InvalidReference { argument, reason } => Refusal::InvalidReference { argument, reason },
        Failure::ResourceExhausted(exhausted) => {
            let Exhausted { limit, side, needed, allowed, retry_after_ms } = *exhausted;
            Refusal::ResourceExhausted {
                limit: limit.into_owned(),
                side,
                needed: (needed > 0).then_some(needed),
                // A limit may be 0.
                allowed: (allowed > 0 || needed > 0).then_some(allowed),
                retry_after: (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms)),
            }
        }
        Failure::Unavailable => Refusal::Unavailable,
        Failure::Unauthenticated => Refusal::Unauthenticated,
        Failure::PermissionDenied => Refusal::PermissionDenied,
        Failure::Unreachable { reason } => Refusal::Unreachable { reason },
        Failure::NotCallable { reason } => Refusal::NotCallable { method: method.to_string(), reason },
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
    // The call whose result, or a part of it, the closure returned.
    let returning = || {
        let step = result.and_then(|result| steps.get(result as usize));
        Arc::clone(step.unwrap_or(placeholder))
    };
    let step = steps.get(*number as usize);
    let returned = match (cause, step) {
        (ElementCause::Missed(operand), _) if inwards.is_empty() => {
            let origin = match operand.base {
                Base::Step(step) => steps.get(step as usize),
                Base::Element | Base::Capture(_) => None,
            };
            let origin = Arc::clone(origin.unwrap_or(placeholder));
            let cause = OriginCause::Missed(operand.path.clone());
            return Ok((*index, returning(), Returned::Upstream { origin, cause }));
        }
        (cause, Some(_)) if !inwards.is_empty() => {
            Returned::Element(Box::new(ElementFailure { trail: inwards.to_vec(), cause: cause.clone() }))
        }
        (ElementCause::Error(bytes), Some(_)) => Returned::Error(bytes.clone().into()),
        (ElementCause::Failed(failure), _) => Returned::Failed(failure.clone().received()),
        (ElementCause::Error(_) | ElementCause::Missed(_), _) => {
            return Err("it names a step that the program does not have");
        }
    };
    Ok(match step {
        // The closure returns the result of another step, which is built on this one.
        Some(step) if *result != Some(*number) => {
            let cause = OriginCause::Failed(Box::new(returned));
            let returned = Returned::Upstream { origin: Arc::clone(step), cause };
            (*index, returning(), returned)
        }
        step => (*index, Arc::clone(step.unwrap_or(placeholder)), returned),
    })
}
