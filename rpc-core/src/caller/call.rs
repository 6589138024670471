//! Making a call: its arguments are collected, then the call is queued, or recorded in a map.

use std::{future::IntoFuture, sync::Arc};

use futures::future::JoinAll;
use serde::de::DeserializeOwned;

use crate::{
    buffer::small_bytes::SmallBytes,
    caller::{
        args::IntoArg,
        arguments::{ArgumentFault, Arguments, Ready},
        outcomes::{self, decode_error},
        promise::{Promise, RawCall},
        record::{self, RecordedCall, RecordedTarget},
        stub::{CallSession, Kind, Remote, RemoteTarget, Stub},
    },
    error::{CloseReason, Delivery, MethodName, Refusal},
    link::{
        CallRejected, Handle, OutgoingCall,
        cell::{BORN_FAILED, CallCell, ErrorDecoder, Returned, born_failed},
    },
    schema::descriptor::MethodDescriptor,
    session::inputs::{Attempts, CallExtras, CallTarget, NumberedMethod},
    value::encoded::{Capability, Passing},
    wire::MethodNumber,
};

/// A call whose arguments are being collected.
#[doc(hidden)]
pub struct CallBuilder<'a> {
    stub: &'a Stub,
    handle: &'a Arc<Handle>,
    method: &'static MethodDescriptor,
    number: MethodNumber,
    arguments: Arguments<'a>,
}

impl CallBuilder<'_> {
    /// Appends the next argument.
    #[inline]
    pub fn argument<T>(&mut self, value: impl IntoArg<T>) {
        value.put_into(&mut self.arguments);
    }

    /// Queues the call.
    #[inline]
    pub fn send<T, E: DeserializeOwned + Send + Sync + 'static>(self) -> Promise<T, E> {
        Promise::of_call(self.queue(decode_error::<E>))
    }

    /// Queues a one-way call.
    pub fn send_oneway(self) -> Result<(), NotSent> {
        let descriptor = self.method;
        let method = MethodName { service: self.stub.service.name, method: descriptor.name };
        let not_sent = |returned| outcomes::not_sent(returned, method, descriptor);
        if self.arguments.is_recorded() {
            return self.record(|_, _| (Arc::new(()), String::new())).map(drop).map_err(not_sent);
        }
        let Self { stub, handle, number, arguments, .. } = self;
        let Ready { payload, objects, bases, deadline, metadata } =
            arguments.finish(stub, descriptor).map_err(not_sent)?;
        let queued = handle.link.call(true, |id| OutgoingCall {
            id,
            number,
            payload,
            bases,
            deadline,
            extras: stub.extras(objects, metadata),
            cell: CallCell::oneway(id, Arc::clone(handle), stub.service.name, descriptor),
        });
        queued.map(drop).map_err(|CallRejected(reason)| NotSent::Disconnected { method, reason })
    }

    /// Queues a call whose arguments are encoded already.
    pub(crate) fn pass_on(
        mut self,
        values: &[SmallBytes],
        objects: impl Iterator<Item = Passing>,
    ) -> RawCall {
        let mut objects = objects.peekable();
        if objects.peek().is_some() {
            self.arguments.beside().objects.extend(objects);
        }
        for value in values {
            self.arguments.push_encoded(value);
        }
        RawCall::of_call(self.queue(outcomes::untyped_error))
    }

    /// The part of `send` that does not depend on the method's types.
    fn queue(self, decode_error: ErrorDecoder) -> Arc<CallCell> {
        let (stub, handle, method) = (self.stub, self.handle, self.method);
        let new_cell = |id| CallCell::new(id, Arc::clone(handle), stub.service.name, method, decode_error);
        if self.arguments.is_recorded() {
            return self
                .record(decode_error)
                .unwrap_or_else(|failed| born_failed(new_cell(BORN_FAILED), failed));
        }
        let Self { number, arguments, .. } = self;
        let ready = match arguments.finish(stub, method) {
            Ok(ready) => ready,
            Err(failed) => return born_failed(new_cell(BORN_FAILED), failed),
        };
        let Ready { payload, objects, bases, deadline, metadata } = ready;
        let queued = handle.link.call(false, |id| OutgoingCall {
            id,
            number,
            payload,
            bases,
            deadline,
            extras: stub.extras(objects, metadata),
            cell: new_cell(id),
        });
        queued.unwrap_or_else(|CallRejected(reason)| {
            born_failed(new_cell(BORN_FAILED), Returned::Disconnected { delivery: Delivery::NotSent, reason })
        })
    }
}

impl CallBuilder<'_> {
    /// Makes the call a step of the `map` that its arguments belong to.
    fn record(self, decode_error: ErrorDecoder) -> Result<Arc<CallCell>, Returned> {
        let Self { stub, handle, method, number, mut arguments } = self;
        let beside = arguments.beside();
        let recorders = std::mem::take(&mut beside.recorders);
        // A recorded call pairs its bases with the references among its arguments; its target is passed separately.
        beside.target = None;
        let is_stream = |object: &Passing| matches!(object, Passing::Settled(Capability::Stream(_)));
        let ready = arguments
            .finish(stub, method)
            .and_then(|ready| match ready.objects.iter().any(is_stream) {
                // Every element of the map would read the stream, and a stream can be read once.
                true => Err(Returned::Misuse(record::STREAM_INSIDE.into())),
                false => Ok(ready),
            })
            .inspect_err(|failed| record::fail(&recorders, failed))?;
        let name = NumberedMethod { number, service: stub.service.name, method };
        let target = match &stub.kind {
            Kind::Local(_) | Kind::Remote(Remote { target: RemoteTarget::Root, .. }) => RecordedTarget::Root,
            Kind::Remote(Remote { target: RemoteTarget::Import(import), .. }) => {
                RecordedTarget::Settled(Capability::Import(Arc::clone(import)))
            }
            Kind::Remote(Remote { target: RemoteTarget::Promised(place), .. }) => {
                RecordedTarget::Promised(place.clone())
            }
        };
        RecordedCall { handle, name, decode_error, target }.record(&recorders, ready)
    }
}

/// Why a one-way call did not leave this process.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// This side refused the call; the [`Refusal`] says why.
    #[error("{}", refusal.of(*method))]
    Refused {
        /// The called method.
        method: MethodName,
        /// Why the call was refused.
        refusal: Refusal,
    },
    /// A promise the call was built on had failed already.
    #[error("`{method}` was built on a promise that had failed")]
    Upstream {
        /// The called method.
        method: MethodName,
    },
    /// The call's deadline had passed already.
    #[error("`{method}`: the deadline passed before the call was sent")]
    DeadlineExceeded {
        /// The called method.
        method: MethodName,
    },
    /// The session is over or takes no new calls.
    #[error("`{method}`: the session takes no calls")]
    Disconnected {
        /// The called method.
        method: MethodName,
        /// Why the session ended.
        #[source]
        reason: CloseReason,
    },
}

/// Waits for all promises and returns their results in the same order. Like `futures`' `join_all`, for promises.
pub fn join_all<P: IntoFuture>(promises: impl IntoIterator<Item = P>) -> JoinAll<P::IntoFuture> {
    futures::future::join_all(promises.into_iter().map(IntoFuture::into_future))
}

impl Stub {
    fn target(&self) -> CallTarget {
        match &self.kind {
            Kind::Local(_) | Kind::Remote(Remote { target: RemoteTarget::Root, .. }) => CallTarget::Root,
            Kind::Remote(Remote { target: RemoteTarget::Import(import), .. }) => {
                CallTarget::Import(Arc::clone(import))
            }
            Kind::Remote(Remote { target: RemoteTarget::Promised(place), .. }) => {
                CallTarget::Result(place.base.cell().id(), place.path.clone())
            }
        }
    }

    /// The parts of a call that a plain call to a root service does not have; `None` if it has none of them.
    pub(super) fn extras(
        &self,
        objects: Vec<Passing>,
        metadata: Vec<(String, String)>,
    ) -> Option<Box<CallExtras>> {
        let retry = self.options.as_ref().and_then(|options| options.retry);
        let attempts = retry.map(|_| Box::new(Attempts { retry, ..Attempts::default() }));
        CallExtras::boxed(self.target(), objects, Vec::new(), metadata, attempts)
    }

    /// Starts a call of the method with this index in the descriptor, through [`session`](Self::session).
    pub fn begin<'a>(&'a self, session: &'a CallSession, method: u32) -> CallBuilder<'a> {
        let (handle, first_method) = match (&self.kind, &session.0) {
            (Kind::Remote(remote), _) => (&remote.handle, self.first_method),
            (Kind::Local(_), Some(Ok(handle))) => (handle, handle.link.register(self.service)),
            (Kind::Local(_), Some(Err(_)) | None) => (Handle::never_open(), 0),
        };
        let mut arguments = Arguments::new(&handle.link);
        if let Some(Err(reason)) = session.0 {
            arguments.fail(ArgumentFault::Misuse(reason));
        }
        if let Kind::Remote(Remote { target: RemoteTarget::Promised(place), .. }) = &self.kind {
            arguments.address(place);
        }
        CallBuilder {
            stub: self,
            handle,
            method: &self.service.methods[method as usize],
            number: MethodNumber(first_method + method),
            arguments,
        }
    }
}
