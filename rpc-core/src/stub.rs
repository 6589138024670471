//! The untyped half of a generated client: encodes arguments, queues the call, gives the promise.

use std::{
    future::{Future, IntoFuture, poll_fn},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::future::JoinAll;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    args::IntoArg,
    buffer::small_bytes::SmallBytes,
    codec,
    deadline::{self, NoTimeLeft},
    dispatch::Service,
    error::{CloseReason, Delivery, Refusal},
    limits::metadata_bytes,
    link::{CallCell, CallRejected, ErrorDecoder, Handle, Link, OutgoingCall, Referable, Returned},
    object::{self, Passed},
    pipeline::PipeAt,
    promise::{Place, Promise, RawCall, decode_error},
    record::{self, RecordedCall, RecordedTarget, Recorder},
    schema::descriptor::{MethodDescriptor, ServiceDescriptor},
    session::inputs::{CallExtras, CallTarget, MethodName},
    time::Time,
    value::{
        encoded::{Capability, Passing},
        object::{Behaviour, Import, LocalObject},
    },
    wire::{CallId, METHOD_GET, MethodNumber, arguments},
};

/// A generated client of a service: a typed remote object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no client of a service",
    label = "no client",
    note = "name what `#[rpc]` made of the trait for its callers: `ChatClient` for `Chat`"
)]
pub trait ServiceClient: Sized + Clone + Send + Sync + 'static {
    /// What the service is, as data.
    fn descriptor() -> &'static ServiceDescriptor;

    #[doc(hidden)]
    fn from_stub(stub: Stub) -> Self;

    #[doc(hidden)]
    fn stub(&self) -> &Stub;

    /// The same client, whose calls must return within `limit`. The deadline travels with each call and is inherited
    /// by calls built on its result and by calls its handler makes. Once it has passed, a call is not sent, its handler is not
    /// started, and a result that comes is dropped: the call fails with
    /// [`CallError::DeadlineExceeded`](crate::CallError::DeadlineExceeded). Of no time at all, always.
    ///
    /// A call that has waited for three quarters of that to be sent, or as long at the peer to be started, because there
    /// is more to do than can be done, is answered as if its deadline had passed: of calls that are started just in time
    /// to be too late, none would be answered.
    fn deadline(&self, limit: Duration) -> Self {
        Self::from_stub(self.stub().with_options(|options| options.deadline = Some(limit)))
    }

    /// Completes with the reason when the object cannot be reached any more, because its session is over. Of a local
    /// object it never completes.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    fn closed(&self) -> impl Future<Output = CloseReason> + Send + 'static {
        let stub = self.stub().clone();
        async move { stub.closed().await }
    }

    /// Completes when no peer holds this local object: all have dropped their clients of it, or their sessions are over. A
    /// client of a remote object does not wait.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let stub = self.stub().clone();
        async move { stub.released().await }
    }

    /// The same client, whose calls carry this key and value beside their arguments. Unlike a deadline, they are not
    /// inherited: not by calls built on the results, nor by calls that handlers make.
    fn metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::from_stub(self.stub().with_options(|options| options.metadata.push((key.into(), value.into()))))
    }
}

/// What generated clients hold.
#[doc(hidden)]
#[derive(Clone)]
pub struct Stub {
    kind: Kind,
    service: &'static ServiceDescriptor,
    /// Of the service's methods in the session its calls go through; unused for a local object.
    first_method: u32,
    options: Option<Arc<CallOptions>>,
}

/// Where the object is.
#[derive(Clone)]
pub(crate) enum Kind {
    Remote(Remote),
    Local(Arc<LocalObject>),
}

/// An object at the other end of a session.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) handle: Arc<Handle>,
    pub(crate) target: RemoteTarget,
}

impl Behaviour for Remote {
    fn descriptor(&self) -> Option<&'static ServiceDescriptor> {
        None
    }
}

#[derive(Clone)]
pub(crate) enum RemoteTarget {
    /// The service of this name that the peer offers.
    Root,
    Import(Arc<Import>),
    /// In a result that is not here yet.
    Promised(Place),
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
    /// A service that the peer offers.
    pub(crate) fn root(handle: Arc<Handle>, service: &'static ServiceDescriptor) -> Self {
        Self::remote(Remote { handle, target: RemoteTarget::Root }, service)
    }

    pub(crate) fn remote(remote: Remote, service: &'static ServiceDescriptor) -> Self {
        let first_method = remote.handle.link.register(service);
        Self { kind: Kind::Remote(remote), service, first_method, options: None }
    }

    pub(crate) fn local(object: Arc<LocalObject>, service: &'static ServiceDescriptor) -> Self {
        Self { kind: Kind::Local(object), service, first_method: 0, options: None }
    }

    /// What answers calls in this process.
    pub fn of_service(service: Arc<dyn Service>) -> Self {
        let descriptor = service.descriptor();
        Self::local(LocalObject::of_service(service), descriptor)
    }

    /// The object in a result that is not here yet.
    pub fn promised<E: Send + Sync + 'static>(at: &PipeAt<E>, service: &'static ServiceDescriptor) -> Self {
        let place = at.place().clone();
        let handle = Arc::clone(&place.base.cell().handle);
        Self::remote(Remote { handle, target: RemoteTarget::Promised(place) }, service)
    }

    /// One whose calls fail.
    pub(crate) fn unreachable(service: &'static ServiceDescriptor) -> Self {
        Self::root(Arc::new(Handle::closed()), service)
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The session that a call goes through where the stub has none: of a local object one inside this process.
    #[inline]
    pub fn session(&self) -> CallSession {
        match &self.kind {
            Kind::Remote(_) => CallSession(None),
            Kind::Local(object) => CallSession(Some(in_process(object))),
        }
    }

    /// Waits until the object cannot be reached any more; for ever if it is local.
    pub(crate) async fn closed(&self) -> CloseReason {
        match &self.kind {
            Kind::Remote(remote) => poll_fn(|cx| remote.handle.link.poll_closed(cx)).await,
            Kind::Local(_) => std::future::pending().await,
        }
    }

    /// Waits until no peer holds the local object; not at all if it is not local.
    pub(crate) async fn released(&self) {
        if let Kind::Local(object) = &self.kind {
            object.released().await;
        }
    }

    /// The same stub, whose calls carry this beside their arguments.
    pub(crate) fn with_metadata(self, metadata: Vec<(String, String)>) -> Self {
        match metadata.is_empty() {
            true => self,
            false => self.with_options(|options| options.metadata = metadata),
        }
    }

    fn with_options(&self, change: impl FnOnce(&mut CallOptions)) -> Self {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        change(&mut options);
        Self { options: Some(Arc::new(options)), ..self.clone() }
    }

    fn target(&self) -> CallTarget {
        match &self.kind {
            Kind::Local(_) | Kind::Remote(Remote { target: RemoteTarget::Root, .. }) => CallTarget::Root,
            Kind::Remote(Remote { target: RemoteTarget::Import(import), .. }) => {
                CallTarget::Import(Arc::clone(import))
            }
            Kind::Remote(Remote { target: RemoteTarget::Promised(place), .. }) => {
                CallTarget::Result(place.base.cell().id, place.path.clone())
            }
        }
    }

    /// What a call has that most have not.
    fn extras(&self, objects: Vec<Passing>, metadata: Vec<(String, String)>) -> Option<Box<CallExtras>> {
        CallExtras::boxed(self.target(), objects, Vec::new(), metadata)
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

/// The session of a call to a local object, or why there is none; held while the call is made. `None` where the stub has it.
#[doc(hidden)]
pub struct CallSession(Option<Result<Arc<Handle>, &'static str>>);

#[cfg(feature = "driver")]
#[cold]
fn in_process(object: &LocalObject) -> Result<Arc<Handle>, &'static str> {
    object.in_process().ok_or("a local object can be called only inside a tokio runtime")
}

#[cfg(not(feature = "driver"))]
fn in_process(_object: &LocalObject) -> Result<Arc<Handle>, &'static str> {
    Err("a local object can be called only with the feature `driver`")
}

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

    /// Queues a call nobody waits for.
    pub fn send_oneway(self) -> Result<(), NotSent> {
        if self.arguments.is_recorded() {
            return self.record(|_, _| (Arc::new(()), String::new())).map(drop).map_err(NotSent::from);
        }
        let Self { stub, handle, method, number, arguments } = self;
        let Ready { payload, objects, bases, deadline, metadata } =
            arguments.finish(stub, method).map_err(NotSent::from)?;
        let queued = handle.link.call(true, |id| OutgoingCall {
            id,
            number,
            payload,
            bases,
            deadline,
            extras: stub.extras(objects, metadata),
            cell: CallCell::oneway(id, Arc::clone(handle), stub.service.name, method),
        });
        queued.map(drop).map_err(|CallRejected(reason)| NotSent::Disconnected(reason))
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
        let untyped: crate::link::ErrorDecoder = |returned, _| {
            let text = match returned {
                Returned::Refused(refusal) => refusal.to_string(),
                _ => "the method failed".into(),
            };
            (Arc::new(()), text)
        };
        RawCall::of_call(self.queue(untyped))
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
        // A recorded call pairs its bases with the references among its arguments; its target is told beside them.
        beside.target = None;
        let is_stream = |object: &Passing| matches!(object, Passing::Settled(Capability::Stream(_)));
        let ready = arguments
            .finish(stub, method)
            .and_then(|ready| match ready.objects.iter().any(is_stream) {
                // Every element would want it, and it can be read once.
                true => Err(Returned::Refused(Refusal::Misuse { reason: record::STREAM_INSIDE.into() })),
                false => Ok(ready),
            })
            .inspect_err(|failed| record::fail(&recorders, failed))?;
        let name = MethodName { number, service: stub.service.name, method };
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

/// The id of a call that failed before it could get one.
pub(crate) const BORN_FAILED: CallId = CallId(0);

pub(crate) fn born_failed(cell: Arc<CallCell>, failed: Returned) -> Arc<CallCell> {
    cell.complete(failed);
    cell
}

/// Queues the built-in call for the part of a result at `place`. Withdrawn before it is sent if nobody wants its value.
pub(crate) fn call_for_part(place: &Place) -> Arc<CallCell> {
    let whole = place.base.cell();
    let new_cell = |id| CallCell::part(id, whole);
    if whole.id == BORN_FAILED {
        return born_failed(new_cell(BORN_FAILED), whole.failure());
    }
    let mut payload = vec![1];
    arguments::put_reference(&mut payload, whole.id, &place.path, false);
    let queued = whole.handle.link.call(false, |id| OutgoingCall {
        id,
        number: METHOD_GET,
        payload: payload.into(),
        bases: vec![place.base.clone()],
        deadline: None,
        extras: None,
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
    /// Its deadline had passed already.
    #[error("the deadline passed before the call was sent")]
    DeadlineExceeded,
    /// The session is over or takes no new calls.
    #[error("the session takes no calls")]
    Disconnected(#[source] CloseReason),
}

impl From<Returned> for NotSent {
    fn from(returned: Returned) -> Self {
        match returned {
            Returned::Refused(refusal) => Self::Refused(refusal),
            Returned::Disconnected { reason, .. } => Self::Disconnected(reason),
            Returned::DeadlineExceeded => Self::DeadlineExceeded,
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
    /// Clients and streams in the values, in the order of their places.
    passed: Vec<Passed>,
    /// A long byte string that ends them and is not copied, unless another slot follows.
    tail: Option<Bytes>,
    /// Most calls have nothing of it.
    beside: Option<Box<Beside>>,
}

/// What a call's arguments are beside values.
#[derive(Default)]
struct Beside {
    bases: Vec<Referable>,
    /// The result that has the object which the call addresses.
    target: Option<Referable>,
    /// Clients and streams of values that came encoded.
    objects: Vec<Passing>,
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
    pub(crate) objects: Vec<Passing>,
    pub(crate) bases: Vec<Referable>,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl<'a> Arguments<'a> {
    fn new(link: &'a Arc<Link>) -> Self {
        let mut payload = SmallBytes::scratch();
        payload.push(0);
        Self { link, payload, passed: Vec::new(), tail: None, beside: None }
    }

    fn beside(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// Whether the call is made in the closure of a map.
    fn is_recorded(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| !beside.recorders.is_empty())
    }

    pub(crate) fn push_owned<T: Serialize + 'static>(&mut self, value: &T) {
        let Some((head, bytes)) = codec::long_byte_string(value) else { return self.push_value(value) };
        arguments::put_inline_head(self.slots(), &head, bytes.len());
        self.tail = Some(bytes);
        self.payload[0] += 1;
    }

    /// Where the next slot goes.
    fn slots(&mut self) -> &mut Vec<u8> {
        if let Some(tail) = self.tail.take() {
            self.payload.extend_from_slice(&tail);
        }
        &mut self.payload
    }

    pub(crate) fn push_value<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.slots();
        let Self { payload, passed, link, .. } = self;
        let depth_max = link.limits.decode_depth_max;
        let put = |out: &mut Vec<u8>| codec::encode_within(value, depth_max, out);
        let encoded = object::writing(passed, || arguments::put_inline(payload, put));
        if let Err(error) = encoded {
            self.fail(ArgumentFault::Encode { index: self.payload[0], reason: error.to_string() });
        }
        self.payload[0] += 1;
    }

    fn push_encoded(&mut self, value: &[u8]) {
        let put = arguments::put_inline(self.slots(), |out| {
            out.extend_from_slice(value);
            Ok::<(), std::convert::Infallible>(())
        });
        match put {
            Ok(()) => self.payload[0] += 1,
            Err(never) => match never {},
        }
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
        arguments::put_tuple(self.slots(), places.len());
        for place in places {
            self.push_reference(place, false);
        }
        self.payload[0] += 1;
    }

    fn push_reference(&mut self, place: &Place, as_some: bool) {
        if self.can_use(place) {
            let base = place.base.cell();
            let id = if base.recorded.is_some() { record::RECORDED } else { base.id };
            arguments::put_reference(self.slots(), id, &place.path, as_some);
            self.beside().bases.push(place.base.clone());
        }
    }

    /// Addresses the object in this result.
    fn address(&mut self, place: &Place) {
        if self.can_use(place) {
            self.beside().target = Some(place.base.clone());
        }
    }

    /// Whether the call can be built on this result; it fails if not. What is recorded makes the call recorded too.
    fn can_use(&mut self, place: &Place) -> bool {
        let base = place.base.cell();
        if !Arc::ptr_eq(&base.handle.link, self.link) {
            self.fail(ArgumentFault::Misuse("it belongs to another session; await it first"));
        } else if let Some(recorded) = &base.recorded {
            self.beside().recorders.push(Arc::clone(&recorded.recorder));
            return true;
        } else if base.id == BORN_FAILED {
            self.fail(ArgumentFault::Upstream(base.failure_of_dependents()));
        } else if place.path.steps().len() > crate::path::PATH_STEPS_MAX {
            self.fail(ArgumentFault::Misuse("it lies deeper inside a result than paths may reach"));
        } else {
            return true;
        }
        false
    }

    /// How the clients in the arguments are passed. One that this peer promises is named by the call that promises it.
    fn pass(&mut self) -> Vec<Passing> {
        let mut objects =
            self.beside.as_mut().map_or_else(Vec::new, |beside| std::mem::take(&mut beside.objects));
        for passed in std::mem::take(&mut self.passed) {
            let stub = match passed {
                Passed::Stub(stub) => stub,
                Passed::Stream(slot) => {
                    objects.push(Passing::Settled(Capability::Stream(slot)));
                    continue;
                }
            };
            match &stub.kind {
                Kind::Remote(Remote { handle, target: RemoteTarget::Promised(place) })
                    if Arc::ptr_eq(&handle.link, self.link) =>
                {
                    if place.base.cell().recorded.is_some() {
                        self.fail(ArgumentFault::Misuse(record::PROMISED_INSIDE));
                    } else if self.can_use(place) {
                        objects.push(Passing::Result(place.base.cell().id, place.path.clone()));
                        self.beside().bases.push(place.base.clone());
                    }
                }
                _ => objects.push(Passing::Settled(Capability::of(&stub, self.link))),
            }
        }
        objects
    }

    fn fail(&mut self, fault: ArgumentFault) {
        self.beside().failed.get_or_insert(fault);
    }

    fn finish(mut self, stub: &Stub, method: &'static MethodDescriptor) -> Result<Ready, Returned> {
        let (mut bases, mut objects) = (Vec::new(), Vec::new());
        if self.beside.is_some() || !self.passed.is_empty() {
            objects = self.pass();
            let Beside { bases: named, target, failed, .. } =
                self.beside.take().map_or_else(Beside::default, |beside| *beside);
            if let Some(fault) = failed {
                return Err(fault.into_returned(method));
            }
            bases = named;
            bases.extend(target);
        }
        let mut metadata = Vec::new();
        let mut limit = None;
        if let Some(options) = &stub.options {
            limit = options.deadline;
            metadata = options.metadata.clone();
            if metadata_bytes(&metadata) > self.link.limits.metadata_bytes_max {
                return Err(Returned::Refused(Refusal::ResourceExhausted {
                    limit: "metadata_bytes_max".into(),
                    retry_after: None,
                }));
            }
        }
        let deadline = deadline::deadline_within(limit).map_err(|NoTimeLeft| Returned::DeadlineExceeded)?;
        let payload = match self.tail {
            None => SmallBytes::from_scratch(self.payload),
            Some(tail) => SmallBytes::joined(&self.payload, tail),
        };
        Ok(Ready { payload, objects, bases, deadline, metadata })
    }
}

impl ArgumentFault {
    #[cold]
    fn into_returned(self, method: &'static MethodDescriptor) -> Returned {
        match self {
            Self::Upstream(returned) => returned,
            Self::Misuse(reason) => Returned::Refused(Refusal::Misuse { reason: reason.into() }),
            Self::Encode { index, reason } => {
                let argument =
                    method.arguments.get(usize::from(index)).map_or("?", |argument| argument.name).into();
                Returned::Refused(Refusal::InvalidArgument { argument, reason })
            }
        }
    }
}

/// Waits for all of several promises; their results keep the order. Like `futures`' `join_all`, for promises.
pub fn join_all<P: IntoFuture>(promises: impl IntoIterator<Item = P>) -> JoinAll<P::IntoFuture> {
    futures::future::join_all(promises.into_iter().map(IntoFuture::into_future))
}
