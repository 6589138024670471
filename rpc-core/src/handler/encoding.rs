//! Encodes results of handlers: short values in place, long values on another thread.
//!
//! The length of a value shows only while it is encoded. A value that turns out long is encoded again on the other thread,
//! from its start.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
};

use futures::{FutureExt, channel::oneshot};
use serde::Serialize;

use crate::{
    aside::{self, LONG_BYTES},
    buffer::small_bytes::SmallBytes,
    caller::passing,
    codec,
    deadline::{ambient_deadline, with_deadline},
    error::EncodeError,
    handler::incoming,
    link::{Link, ambient::inside},
    schema::descriptor::MethodDescriptor,
    value::{encoded::Capability, outcome::Outcome},
    wire::{Failure, Want},
};

/// A value's bytes, and the objects inside it.
pub(crate) type Payload = (SmallBytes, Vec<Capability>);

/// Encodes a value of any length.
pub(crate) fn encode<T: Serialize>(value: &T, link: &Arc<Link>) -> Result<Payload, EncodeError> {
    let write = |out: &mut Vec<u8>| codec::encode_within(value, link.limits.decode_depth_max, out);
    let (bytes, added) = passing::writing(0, || SmallBytes::encode(write));
    Ok((bytes?, added.capabilities(link)))
}

/// Encodes a value. Stops with `Err(None)` if it is longer than about `bytes_max`.
#[inline(always)]
fn encode_up_to<T: Serialize>(
    value: &T,
    bytes_max: usize,
    link: &Arc<Link>,
) -> Result<Payload, Option<EncodeError>> {
    let depth_max = link.limits.decode_depth_max;
    let write = |out: &mut Vec<u8>| codec::encode_up_to(value, depth_max, bytes_max, out);
    let (bytes, added) = passing::writing(0, || SmallBytes::encode(write));
    Ok((bytes?, added.capabilities(link)))
}

/// The outcome of a call whose handler returned a long value.
#[cold]
pub(super) async fn long_outcome<T: Serialize + Send + 'static>(value: T, link: &Arc<Link>) -> Outcome {
    value_outcome(encode_aside(value, link).await)
}

/// The outcomes of several calls that one handler answered.
pub(super) async fn outcomes_of<T, E>(
    results: Vec<Result<T, E>>,
    wants: &[Want],
    method: &'static MethodDescriptor,
    link: &Arc<Link>,
) -> Vec<Outcome>
where
    T: Serialize + Send + 'static,
    E: Serialize,
{
    let mut outcomes = Vec::with_capacity(results.len());
    let mut bytes_left = LONG_BYTES;
    for (result, want) in results.into_iter().zip(wants) {
        // A user's `Serialize` that panics fails its own call only.
        let panicked = |panic: Box<dyn Any + Send>| incoming::panicked(&*panic, method);
        let encoded = AssertUnwindSafe(|| short_outcome(result, method, *want, bytes_left, link));
        let outcome = match catch_unwind(encoded).unwrap_or_else(|panic| Ok(panicked(panic))) {
            Ok(outcome) => outcome,
            Err(long) => {
                let encoded = AssertUnwindSafe(encode_aside(long, link)).catch_unwind();
                encoded.await.map_or_else(panicked, value_outcome)
            }
        };
        bytes_left = bytes_left.saturating_sub(outcome.bytes());
        outcomes.push(outcome);
    }
    outcomes
}

/// The outcome of a call whose handler returned `result`, encoded in place whatever its length.
#[cfg(test)]
pub(crate) fn outcome<T: Serialize + 'static, E: Serialize>(
    result: Result<T, E>,
    method: &MethodDescriptor,
    want: Want,
    link: &Arc<Link>,
) -> Outcome {
    short_outcome(result, method, want, usize::MAX, link)
        .unwrap_or_else(|value| value_outcome(encode(&value, link)))
}

/// The outcome of a call, or its value if that is long and must be encoded on another thread.
#[inline(always)]
pub(super) fn short_outcome<T: Serialize + 'static, E: Serialize>(
    result: Result<T, E>,
    method: &MethodDescriptor,
    want: Want,
    bytes_max: usize,
    link: &Arc<Link>,
) -> Result<Outcome, T> {
    let value = match result {
        Ok(value) => value,
        Err(error) => return Ok(error_outcome(&error, link)),
    };
    if !want.value && !want.keep {
        return Ok(Outcome::Value { payload: None, objects: Vec::new() });
    }
    if let Some((head, bytes)) = codec::long_byte_string(&value) {
        return Ok(Outcome::Value { payload: Some(SmallBytes::joined(&head, bytes)), objects: Vec::new() });
    }
    Ok(value_outcome(match encode_up_to(&value, bytes_max, link) {
        Ok(encoded) => Ok(encoded),
        Err(None) if method.encodes_fast() => encode(&value, link),
        Err(None) => return Err(value),
        Err(Some(error)) => Err(error),
    }))
}

#[inline(always)]
fn value_outcome(encoded: Result<Payload, EncodeError>) -> Outcome {
    match encoded {
        Ok((bytes, objects)) => Outcome::Value { payload: Some(bytes), objects },
        Err(error) => Outcome::Failed(unusable(error.to_string())),
    }
}

/// The outcome of a call whose handler returned an error.
pub(super) fn error_outcome<E: Serialize>(error: &E, link: &Arc<Link>) -> Outcome {
    match encode(error, link) {
        Ok((bytes, objects)) => Outcome::Error(bytes, objects),
        Err(error) => Outcome::Failed(unusable(error.to_string())),
    }
}

/// The failure of a call whose handler returned an unusable result.
pub(crate) fn unusable(reason: String) -> Failure {
    Failure::InvalidArgument { argument: "(result)".into(), reason }
}

/// Encodes a value on another thread, where it is dropped as well.
pub(crate) fn encode_aside<T: Serialize + Send + 'static>(value: T, link: &Arc<Link>) -> EncodedAside {
    let (done, encoded) = oneshot::channel();
    let (deadline, link) = (ambient_deadline(), Arc::clone(link));
    aside::run(move || {
        let encode = || {
            let value = value;
            inside(Arc::as_ptr(&link), || with_deadline(deadline, || encode(&value, &link)))
        };
        // Nobody receives the bytes if the call was cancelled.
        let _ = done.send(catch_unwind(AssertUnwindSafe(encode)));
    });
    EncodedAside(encoded)
}

/// A value that is being encoded on another thread. A panic there is resumed where this future is polled.
pub(crate) struct EncodedAside(oneshot::Receiver<thread::Result<Result<Payload, EncodeError>>>);

impl Future for EncodedAside {
    type Output = Result<Payload, EncodeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(Ok(encoded)) => encoded,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(EncodeError::Invalid("the thread that encoded it is gone".into())),
        })
    }
}
