//! The untyped half of a generated client: encodes arguments, queues the call, gives the promise.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use futures::future::JoinAll;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    args::IntoArg,
    codec, context,
    descriptor::{MethodDescriptor, ServiceDescriptor},
    error::{CloseReason, Delivery, Refusal},
    limits::metadata_bytes,
    link::{
        CallCell, CallRejected, ErrorDecoder, Handle, Link, OriginCause, OutgoingCall, Referable, Returned,
    },
    promise::{Place, Promise, decode_error},
    record::{self, RecordedCall, Recorder},
    session::MethodName,
    small_bytes::SmallBytes,
    time::{self, Time},
    wire::{CallId, METHOD_GET, MethodNumber, slots},
};

/// A generated client of a service: a typed remote object.
pub trait ServiceClient: Sized + Clone + Send + Sync + 'static {
    /// What the service is, as data.
    fn descriptor() -> &'static ServiceDescriptor;

    #[doc(hidden)]
    fn from_stub(stub: Stub) -> Self;

    #[doc(hidden)]
    fn stub(&self) -> &Stub;

    /// The same client, whose calls must return within `limit`. The deadline travels with each call and is inherited
    /// by calls built on its result and by calls its handler makes.
    fn deadline(&self, limit: Duration) -> Self {
        Self::from_stub(self.stub().with_options(|options| options.deadline = Some(limit)))
    }

    /// The same client, whose calls carry this key and value beside their arguments.
    fn metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::from_stub(self.stub().with_options(|options| options.metadata.push((key.into(), value.into()))))
    }
}

/// What generated clients hold.
#[doc(hidden)]
#[derive(Clone)]
pub struct Stub {
    handle: Arc<Handle>,
    service: &'static ServiceDescriptor,
    first_method: u32,
    options: Option<Arc<CallOptions>>,
}

#[derive(Clone, Default)]
struct CallOptions {
    deadline: Option<Duration>,
    metadata: Vec<(String, String)>,
}

impl std::fmt::Debug for Stub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stub").field("service", &self.service.name).finish_non_exhaustive()
    }
}

impl Stub {
    pub(crate) fn new(handle: Arc<Handle>, service: &'static ServiceDescriptor) -> Self {
        let first_method = handle.link.register(service);
        Self { handle, service, first_method, options: None }
    }

    fn with_options(&self, change: impl FnOnce(&mut CallOptions)) -> Self {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        change(&mut options);
        Self { options: Some(Arc::new(options)), ..self.clone() }
    }

    /// Starts a call of the method with this index in the descriptor.
    pub fn begin(&self, method: u32) -> CallBuilder<'_> {
        CallBuilder {
            stub: self,
            method: &self.service.methods[method as usize],
            number: MethodNumber(self.first_method + method),
            arguments: Arguments::new(&self.handle.link),
        }
    }
}

/// A call whose arguments are being collected.
#[doc(hidden)]
pub struct CallBuilder<'a> {
    stub: &'a Stub,
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

    /// Queues a call nobody waits for.
    pub fn send_oneway(self) -> Result<(), NotSent> {
        if !self.arguments.recorders.is_empty() {
            return self.record(|_, _| (Arc::new(()), String::new())).map(drop).map_err(NotSent::from);
        }
        let Self { stub, method, number, arguments } = self;
        let Ready { payload, bases, deadline, metadata } =
            arguments.finish(stub, method).map_err(NotSent::from)?;
        let queued = stub.handle.link.call(true, |id| OutgoingCall {
            id,
            number,
            payload,
            bases: ids(&bases),
            methods: Vec::new(),
            deadline,
            metadata,
            cell: CallCell::oneway(id, Arc::clone(&stub.handle), stub.service.name, method),
        });
        queued.map(drop).map_err(|CallRejected(reason)| NotSent::Disconnected(reason))
    }

    /// The part of `send` that does not depend on the method's types.
    fn queue(self, decode_error: ErrorDecoder) -> Arc<CallCell> {
        let (stub, method) = (self.stub, self.method);
        let new_cell =
            |id| CallCell::new(id, Arc::clone(&stub.handle), stub.service.name, method, decode_error);
        if !self.arguments.recorders.is_empty() {
            return self
                .record(decode_error)
                .unwrap_or_else(|failed| born_failed(new_cell(BORN_FAILED), failed));
        }
        let Self { number, arguments, .. } = self;
        let ready = match arguments.finish(stub, method) {
            Ok(ready) => ready,
            Err(failed) => return born_failed(new_cell(BORN_FAILED), failed),
        };
        // The bases are dropped after the call is queued: until then nothing may take them for unneeded.
        let Ready { payload, bases, deadline, metadata } = ready;
        let queued = stub.handle.link.call(false, |id| {
            let cell = new_cell(id);
            let (bases, methods) = (ids(&bases), Vec::new());
            OutgoingCall { id, number, payload, bases, methods, deadline, metadata, cell }
        });
        queued.unwrap_or_else(|CallRejected(reason)| {
            born_failed(new_cell(BORN_FAILED), Returned::Disconnected { delivery: Delivery::NotSent, reason })
        })
    }
}

impl CallBuilder<'_> {
    /// Makes the call a step of the `map` that its arguments belong to.
    fn record(self, decode_error: ErrorDecoder) -> Result<Arc<CallCell>, Returned> {
        let Self { stub, method, number, mut arguments } = self;
        let recorders = std::mem::take(&mut arguments.recorders);
        let ready = arguments.finish(stub, method).inspect_err(|failed| record::fail(&recorders, failed))?;
        let name = MethodName { number, service: stub.service.name, method };
        RecordedCall { handle: &stub.handle, name, decode_error }.record(&recorders, ready)
    }
}

/// The id of a call that failed before it could get one.
pub(crate) const BORN_FAILED: CallId = CallId(0);

pub(crate) fn born_failed(cell: Arc<CallCell>, failed: Returned) -> Arc<CallCell> {
    cell.complete(failed);
    cell
}

fn ids(bases: &[Referable]) -> Vec<CallId> {
    bases.iter().map(|base| base.cell().id).collect()
}

/// Queues the built-in call for the part of a result at `place`. Withdrawn before it is sent if nobody wants its value.
pub(crate) fn call_for_part(place: &Place) -> Arc<CallCell> {
    let whole = place.base.cell();
    let new_cell = |id| CallCell::part(id, whole);
    if whole.id == BORN_FAILED {
        return born_failed(new_cell(BORN_FAILED), whole.failure());
    }
    let mut payload = vec![1];
    slots::put_reference(&mut payload, whole.id, &place.path, false);
    let queued = whole.handle.link.call(false, |id| OutgoingCall {
        id,
        number: METHOD_GET,
        payload: payload.into(),
        bases: vec![whole.id],
        methods: Vec::new(),
        deadline: None,
        metadata: Vec::new(),
        cell: new_cell(id),
    });
    queued.unwrap_or_else(|CallRejected(reason)| {
        born_failed(new_cell(BORN_FAILED), Returned::Disconnected { delivery: Delivery::NotSent, reason })
    })
}

/// Why a one-way call did not leave this process.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// The call cannot be made like this.
    #[error("the call was refused before it was sent")]
    Refused(#[source] Refusal),
    /// A promise it was built on had failed already.
    #[error("a promise the call was built on had failed")]
    Upstream,
    /// The session is over or takes no new calls.
    #[error("the session takes no calls")]
    Disconnected(#[source] CloseReason),
}

impl From<Returned> for NotSent {
    fn from(returned: Returned) -> Self {
        match returned {
            Returned::Refused(refusal) => Self::Refused(refusal),
            Returned::Disconnected { reason, .. } => Self::Disconnected(reason),
            _ => Self::Upstream,
        }
    }
}

/// The arguments of one call, as slots.
#[doc(hidden)]
pub struct Arguments<'a> {
    /// The session they are for.
    link: &'a Arc<Link>,
    /// The count, then the slots.
    payload: Vec<u8>,
    bases: Vec<Referable>,
    /// The maps whose closures the call is made in, as far as its arguments say.
    recorders: Vec<Arc<Recorder>>,
    failed: Option<ArgumentFault>,
}

enum ArgumentFault {
    Encode { index: u8, reason: String },
    Upstream(Returned),
    Misuse(&'static str),
}

/// What is sent of a call's arguments.
pub(crate) struct Ready {
    pub(crate) payload: SmallBytes,
    pub(crate) bases: Vec<Referable>,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl<'a> Arguments<'a> {
    fn new(link: &'a Arc<Link>) -> Self {
        let mut payload = SmallBytes::scratch();
        payload.push(0);
        Self { link, payload, bases: Vec::new(), recorders: Vec::new(), failed: None }
    }

    pub(crate) fn push_value<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(error) = slots::put_inline(&mut self.payload, |out| codec::encode(value, out)) {
            self.fail(ArgumentFault::Encode { index: self.payload[0], reason: error.to_string() });
        }
        self.payload[0] += 1;
    }

    pub(crate) fn push_promise(&mut self, place: &Place) {
        self.push_reference(place, false);
        self.payload[0] += 1;
    }

    pub(crate) fn push_promise_as_some(&mut self, place: &Place) {
        self.push_reference(place, true);
        self.payload[0] += 1;
    }

    /// One argument whose parts are all promises.
    pub(crate) fn push_tuple(&mut self, places: &[&Place]) {
        slots::put_tuple(&mut self.payload, places.len());
        for place in places {
            self.push_reference(place, false);
        }
        self.payload[0] += 1;
    }

    fn push_reference(&mut self, place: &Place, as_some: bool) {
        let base = place.base.cell();
        if !Arc::ptr_eq(&base.handle.link, self.link) {
            self.fail(ArgumentFault::Misuse("it belongs to another session; await it first"));
        } else if let Some(recorded) = &base.recorded {
            self.recorders.push(Arc::clone(&recorded.recorder));
            slots::put_reference(&mut self.payload, record::RECORDED, &place.path, as_some);
            self.bases.push(place.base.clone());
        } else if base.id == BORN_FAILED {
            let cause = OriginCause::Failed(Box::new(base.failure()));
            self.fail(ArgumentFault::Upstream(Returned::Upstream { origin: Arc::clone(base), cause }));
        } else if place.path.steps().len() > crate::path::PATH_STEPS_MAX {
            self.fail(ArgumentFault::Misuse("it lies deeper inside a result than paths may reach"));
        } else {
            slots::put_reference(&mut self.payload, base.id, &place.path, as_some);
            self.bases.push(place.base.clone());
        }
    }

    fn fail(&mut self, fault: ArgumentFault) {
        self.failed.get_or_insert(fault);
    }

    fn finish(self, stub: &Stub, method: &'static MethodDescriptor) -> Result<Ready, Returned> {
        match self.failed {
            None => {}
            Some(ArgumentFault::Upstream(returned)) => return Err(returned),
            Some(ArgumentFault::Misuse(reason)) => {
                return Err(Returned::Refused(Refusal::Misuse { reason: reason.into() }));
            }
            Some(ArgumentFault::Encode { index, reason }) => {
                let argument =
                    method.arguments.get(usize::from(index)).map_or("?", |argument| argument.name).into();
                return Err(Returned::Refused(Refusal::InvalidArgument { argument, reason }));
            }
        }
        let options = stub.options.as_deref();
        let metadata = options.map(|options| options.metadata.clone()).unwrap_or_default();
        if metadata_bytes(&metadata) > stub.handle.link.limits.metadata_bytes_max {
            return Err(Returned::Refused(Refusal::ResourceExhausted {
                limit: "metadata_bytes_max".into(),
                retry_after: None,
            }));
        }
        let own = options.and_then(|options| options.deadline).map(|limit| time::now() + limit);
        let deadline = own.into_iter().chain(context::ambient_deadline()).min();
        Ok(Ready { payload: SmallBytes::from_scratch(self.payload), bases: self.bases, deadline, metadata })
    }
}

/// Waits for all of several promises; their results keep the order. Like `futures`' `join_all`, for promises.
pub fn join_all<P: IntoFuture>(promises: impl IntoIterator<Item = P>) -> JoinAll<P::IntoFuture> {
    futures::future::join_all(promises.into_iter().map(IntoFuture::into_future))
}
