//! The untyped half of a generated client: which object it stands for, and with which options its calls are made.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    time::Duration,
};

use crate::{
    caller::pipeline::PipeAt,
    error::CloseReason,
    link::{Handle, cell::Place},
    schema::descriptor::ServiceDescriptor,
    value::object::{Behaviour, Import, LocalObject},
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
    /// Under overload, a call that has not started after three quarters of its time fails as if its deadline had passed.
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
    pub(super) kind: Kind,
    pub(super) service: &'static ServiceDescriptor,
    /// Of the service's methods in the session its calls go through; unused for a local object.
    pub(super) first_method: u32,
    pub(super) options: Option<Arc<CallOptions>>,
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
pub(super) struct CallOptions {
    pub(super) deadline: Option<Duration>,
    pub(super) metadata: Vec<(String, String)>,
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
}

/// The session of a call to a local object, or why there is none; held while the call is made. `None` where the stub has it.
#[doc(hidden)]
pub struct CallSession(pub(super) Option<Result<Arc<Handle>, &'static str>>);

#[cold]
fn in_process(object: &LocalObject) -> Result<Arc<Handle>, &'static str> {
    let session = object.session_here().and_then(|session| session.downcast().ok());
    session.ok_or(NO_SESSION_HERE)
}

#[cfg(feature = "driver")]
const NO_SESSION_HERE: &str = "a local object can be called only inside a tokio runtime";
#[cfg(not(feature = "driver"))]
const NO_SESSION_HERE: &str = "a local object can be called only with the feature `driver`";
