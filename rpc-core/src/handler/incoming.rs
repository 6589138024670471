//! A call of the peer as its handler gets it, and the reply to it.

use std::{
    any::Any,
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    aside::LONG_BYTES,
    buffer::small_bytes::SmallBytes,
    caller::passing::{self, SHARED_BYTES},
    codec::DecodeBudget,
    error::DecodeError,
    handler::{
        context::{CancelSignal, Context, ContextInner, SessionScope},
        encoding::{long_outcome, short_outcome},
    },
    panics::panic_text,
    schema::descriptor::{MethodDescriptor, ServiceDescriptor},
    session::events::BeginTarget,
    session::{
        account::{MEMORY_BUDGET, SESSION_BYTES_MAX},
        events::Arguments,
    },
    time::Time,
    value::outcome::Outcome,
    wire::{Failure, Want, arguments},
};

/// A call that may start: its arguments, its options and what the caller wants of the result.
#[doc(hidden)]
pub struct Incoming {
    /// The service or object that the call is for.
    pub(crate) target: BeginTarget,
    pub(crate) service: &'static ServiceDescriptor,
    pub(crate) method: &'static MethodDescriptor,
    pub(crate) arguments: Arguments,
    pub(crate) want: Want,
    pub(crate) budget: DecodeBudget,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) scope: Arc<SessionScope>,
}

/// A running handler, or the outcome of a call that needs none.
#[doc(hidden)]
pub struct Reply(pub(crate) ReplyInner);

pub(crate) enum ReplyInner {
    Done(Outcome),
    Running {
        handler: RunningHandler,
        /// Tells the handler that it is cancelled; `None` if nothing in it listens.
        cancelled: Option<Arc<CancelSignal>>,
    },
}

pub(crate) type RunningHandler = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Incoming {
    /// Decodes the arguments and starts a handler that needs no context.
    pub fn run<A, T, E, F>(self, decode: Decode<A>, handler: impl FnOnce(A) -> F) -> Reply
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize + Send + 'static,
        E: Serialize,
    {
        match decode_arguments(decode, &self) {
            Ok(arguments) => reply(handler(arguments), self.method, self.want, self.scope, None),
            Err(failure) => Reply::failed(failure),
        }
    }

    /// Decodes the arguments and starts a handler that takes its context.
    pub fn run_with_context<A, T, E, F>(
        self,
        decode: Decode<A>,
        handler: impl FnOnce(A, Context) -> F,
    ) -> Reply
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize + Send + 'static,
        E: Serialize,
    {
        let arguments = match decode_arguments(decode, &self) {
            Ok(arguments) => arguments,
            Err(failure) => return Reply::failed(failure),
        };
        let Self { target, method, want, deadline, metadata, scope, .. } = self;
        let cancelled = Arc::<CancelSignal>::default();
        let inner = ContextInner {
            scope: Arc::clone(&scope),
            this: target.into(),
            deadline,
            metadata,
            cancelled: Arc::clone(&cancelled),
        };
        let context = Context { inner: Arc::new(inner) };
        reply(handler(arguments, context), method, want, scope, Some(cancelled))
    }

    /// The answer to a method number this service does not have.
    pub fn unknown_method(self) -> Reply {
        Reply::failed(Failure::UnknownMethod)
    }
}

impl Reply {
    pub(crate) fn failed(failure: Failure) -> Self {
        Self(ReplyInner::Done(Outcome::Failed(failure)))
    }
}

/// The function of generated code that takes a method's arguments, in order.
#[doc(hidden)]
pub type Decode<A> = fn(&mut ArgumentReader<'_>) -> Result<A, ArgumentError>;

/// Hands out the decoded arguments in order.
#[doc(hidden)]
pub struct ArgumentReader<'a> {
    arguments: &'a Arguments,
    scope: &'a SessionScope,
    budget: DecodeBudget,
    index: usize,
    /// The offset of the next argument, if they are inline.
    at: usize,
}

/// An argument that could not be decoded.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentError {
    index: usize,
    reason: String,
    /// The limit that left no memory for decoding the argument, if that is why it failed.
    short_of: Option<&'static str>,
}

impl ArgumentError {
    #[cold]
    fn missing(index: usize) -> Self {
        Self { index, reason: "it is missing".into(), short_of: None }
    }

    #[cold]
    fn of(reader: &ArgumentReader<'_>, index: usize, error: &DecodeError) -> Self {
        // A budget below the session's usual one means that memory is short.
        let link = &reader.scope.session.handle.link;
        let is_short = *error == DecodeError::OverBudget && reader.budget.factor < link.budget.factor;
        let limit = match link.short_of.load(Ordering::Relaxed) {
            true => MEMORY_BUDGET,
            false => SESSION_BYTES_MAX,
        };
        Self { index, reason: error.to_string(), short_of: is_short.then_some(limit) }
    }
}

impl ArgumentError {
    #[cold]
    fn into_failure(self, method: &MethodDescriptor) -> Failure {
        let Self { index, reason, short_of } = self;
        if let Some(limit) = short_of {
            return Failure::exhausted(limit);
        }
        let argument = method.arguments.get(index);
        let argument = argument.map_or("(after the last)", |argument| argument.name).into();
        Failure::InvalidArgument { argument, reason }
    }
}

impl<'a> ArgumentReader<'a> {
    #[inline(always)]
    fn new(incoming: &'a Incoming) -> Self {
        let Incoming { arguments, scope, budget, .. } = incoming;
        Self { arguments, scope, budget: *budget, index: 0, at: arguments.first() }
    }

    /// The bytes that hold the next argument, and its range in them.
    fn next(&mut self, index: usize) -> Option<(&'a SmallBytes, Range<usize>)> {
        match self.arguments {
            Arguments::Inline(payload) => {
                let range = arguments::inline_value(payload, self.at)?;
                self.at = range.end;
                Some((payload, range))
            }
            Arguments::Resolved(resolved) => {
                let value = resolved.values.get(index)?;
                Some((value, 0..value.len()))
            }
        }
    }

    fn left(&self) -> usize {
        match self.arguments {
            Arguments::Inline(payload) if self.at == payload.len() => 0,
            arguments => arguments.count().saturating_sub(self.index),
        }
    }

    /// Decodes the next argument.
    #[inline]
    pub fn take<T: DeserializeOwned + 'static>(&mut self) -> Result<T, ArgumentError> {
        let index = self.index;
        self.index += 1;
        let (bytes, range) = self.next(index).ok_or_else(|| ArgumentError::missing(index))?;
        let objects = self.arguments.capabilities(index);
        passing::decode_part(bytes, range, objects, &self.scope.session.handle, self.budget, SHARED_BYTES)
            .map_err(|error| ArgumentError::of(self, index, &error))
    }
}

#[inline]
pub(crate) fn decode_arguments<A>(decode: Decode<A>, incoming: &Incoming) -> Result<A, Failure> {
    let mut reader = ArgumentReader::new(incoming);
    let decoded = decode(&mut reader).and_then(|arguments| match reader.left() {
        0 => Ok(arguments),
        left => {
            let reason = format!("{left} more than the method takes");
            Err(ArgumentError { index: reader.index, reason, short_of: None })
        }
    });
    decoded.map_err(|error| error.into_failure(incoming.method))
}

pub(super) fn reply<T, E>(
    handler: impl Future<Output = Result<T, E>> + Send + 'static,
    method: &'static MethodDescriptor,
    want: Want,
    scope: Arc<SessionScope>,
    cancelled: Option<Arc<CancelSignal>>,
) -> Reply
where
    T: Serialize + Send + 'static,
    E: Serialize,
{
    let handler = Box::pin(async move {
        let link = &scope.session.handle.link;
        match short_outcome(handler.await, method, want, LONG_BYTES, link) {
            Ok(outcome) => outcome,
            Err(long) => long_outcome(long, link).await,
        }
    });
    Reply(ReplyInner::Running { handler, cancelled })
}

pub(crate) fn panicked(panic: &(dyn Any + Send), method: &MethodDescriptor) -> Outcome {
    log_panic(panic, method);
    Outcome::Failed(Failure::Panicked)
}

pub(crate) fn log_panic(panic: &(dyn Any + Send), method: &MethodDescriptor) {
    crate::log_rate::log_rarely!(error, "the handler of `{}` panicked: {}", method.name, panic_text(panic));
}
