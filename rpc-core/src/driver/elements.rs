//! How a map failed, told as if its closure had run here for the element.

use std::sync::Arc;

use super::failed;
use crate::{
    link::{
        cell::{CallCell, OriginCause, Returned},
        recorder::MapSteps,
    },
    wire::program::{Base, ElementCause, ElementFailure},
};

/// The failure of a map whose element failed.
pub(super) fn element_returned(map: &CallCell, failure: &ElementFailure) -> Returned {
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
