//! The untyped half of a generated client: the object it stands for and the options of its calls.

use std::{
    future::{Future, poll_fn},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::{
    caller::pipeline::PipeAt,
    error::CloseReason,
    link::{Handle, cell::Place},
    retry::Retry,
    schema::descriptor::ServiceDescriptor,
    value::object::{Behaviour, Import, LocalObject},
};

/// A generated client of a service: a typed remote object.
///
/// A session gives the client of a service that its peer offers: `let chat: ChatClient = client.service();`. The other
/// clients are values: they come as results, arguments and items, or `ChatClient::local` makes them.
///
/// Clients are equal, and have the same hash, if this side knows that they call the same object: clones, clients of the same
/// service of a session, clients of an object that the peer passed twice, and promises of the same part of a result. A
/// deadline or metadata makes no difference. Clients can be unequal although one object is behind them: that of a promise and
/// that of its value are, and so are those of different sessions. The hash never changes, so clients are good keys; Clippy's
/// `mutable_key_type`, which cannot see that, may be allowed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no client of a service",
    label = "no client",
    note = "name what `#[rpc]` made of the trait for its callers: `ChatClient` for `Chat`"
)]
pub trait ServiceClient: Sized + Clone + Send + Sync + 'static {
    /// The descriptor of the service: its methods and their types.
    fn descriptor() -> &'static ServiceDescriptor;

    #[doc(hidden)]
    fn from_stub(stub: Stub) -> Self;

    #[doc(hidden)]
    fn stub(&self) -> &Stub;

    /// Returns this client with a deadline: each call must return within `limit`, counted from when the call is made. The
    /// deadline travels with the call. Calls built on its result and calls that its handler makes inherit it. Once it has
    /// passed, the call is not sent, its handler is not started, and a late result is dropped: the call fails with
    /// [`CallError::DeadlineExceeded`](crate::CallError::DeadlineExceeded). With a `limit` of zero every call fails so.
    ///
    /// Under overload, a call that has not started after three quarters of its time fails as if its deadline had passed.
    fn deadline(&self, limit: Duration) -> Self {
        Self::from_stub(self.stub().with_options(|options| options.deadline = Some(limit)))
    }

    /// Returns this client with a policy for calls that fail in a way that time may mend; see [`Retry`].
    ///
    /// ```
    /// # use rpc_core::{Retry, ServiceClient, rpc};
    /// # #[rpc]
    /// # pub trait Weather { async fn report(&self, city: String) -> String; }
    /// # async fn example(weather: WeatherClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let patient = weather.retry(Retry { attempts: 10, ..Retry::default() });
    /// let report = patient.report("Bern").await?;
    /// # Ok(())
    /// # }
    /// ```
    fn retry(&self, policy: Retry) -> Self {
        Self::from_stub(self.stub().with_retry(policy))
    }

    /// Completes with the reason when the object cannot be reached any more, because its session is over. For a local
    /// object it never completes.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    fn closed(&self) -> impl Future<Output = CloseReason> + Send + 'static {
        let stub = self.stub().clone();
        async move { stub.closed().await }
    }

    /// Completes when no peer holds this local object: all have dropped their clients of it, or their sessions are over. For
    /// a remote object it completes at once.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let stub = self.stub().clone();
        async move { stub.released().await }
    }

    /// Returns this client with one more metadata entry: its calls carry this key and value beside their arguments. Unlike
    /// a deadline, metadata is not inherited, neither by calls built on the results nor by calls that handlers make.
    fn metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::from_stub(self.stub().with_options(|options| options.metadata.push((key.into(), value.into()))))
    }
}

/// An implementation of the trait from which `Client` was generated.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement the trait that `{Client}` was generated from",
    label = "not an implementation",
    note = "implement the trait under `#[rpc]` for the type, all its methods in one plain `impl`",
    note = "an implementation in an `Arc` that others use too is served by `…Server::from_arc(…)`",
    note = "a client is no implementation but an object already: pass it to the peer as it is. To answer calls with the calls of a client, implement the \
            trait for a type that holds it"
)]
#[doc(hidden)]
pub trait ImplementationOf<Client> {
    /// Makes the client of this implementation.
    fn into_client(self) -> Client;
}

/// The other direction of [`ImplementationOf`], which generated code can implement: `impl<I: Chat> Calls<I> for ChatClient`.
#[doc(hidden)]
pub trait Calls<Implementation> {
    /// Makes the client of this implementation.
    fn local(implementation: Implementation) -> Self;
}

// rustc reports the bound of `ImplementationOf` instead of the user's trait, whose message could not say more.
#[diagnostic::do_not_recommend]
impl<Implementation, Client: Calls<Implementation>> ImplementationOf<Client> for Implementation {
    fn into_client(self) -> Client {
        Client::local(self)
    }
}

/// An address that a generated client could connect to by itself. There is none: sessions connect.
#[diagnostic::on_unimplemented(
    message = "`{Client}` does not connect by itself",
    label = "a session connects, and then gives clients",
    note = "connect first with the `Client` of the crate rpc-client, `let session = Client::connect(url).await?`, then ask for the service: `session.service::<{Client}>()` or \
            `{Client}::new(&session)`"
)]
#[doc(hidden)]
pub trait ConnectsTo<Client> {}

/// The untyped client inside a generated one.
#[doc(hidden)]
#[derive(Clone)]
pub struct Stub {
    pub(super) kind: Kind,
    pub(super) service: &'static ServiceDescriptor,
    /// The session's number of the service's first method; unused for a local object.
    pub(super) first_method: u32,
    pub(super) options: Option<Arc<CallOptions>>,
}

/// The place of a stub's object: at the other end of a session, or in this process.
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
    /// An object in a result that is not here yet.
    Promised(Place),
}

#[derive(Clone, Default)]
pub(super) struct CallOptions {
    pub(super) deadline: Option<Duration>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) retry: Option<Retry>,
}

impl std::fmt::Debug for Stub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stub").field("service", &self.service.name).finish_non_exhaustive()
    }
}

/// Two stubs are equal if this side knows that their calls reach the same object; the options of the calls do not matter.
impl PartialEq for Stub {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Local(one), Kind::Local(other)) => Arc::ptr_eq(one, other),
            (Kind::Remote(one), Kind::Remote(other)) => {
                one.handle.link.is_same(&other.handle.link) && one.target == other.target
            }
            (Kind::Local(_), Kind::Remote(_)) | (Kind::Remote(_), Kind::Local(_)) => false,
        }
    }
}

impl Eq for Stub {}

impl Hash for Stub {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.kind {
            Kind::Local(object) => Arc::as_ptr(object).hash(state),
            Kind::Remote(Remote { handle, target }) => {
                handle.link.identity().hash(state);
                match target {
                    RemoteTarget::Root => {}
                    RemoteTarget::Import(import) => import.id.hash(state),
                    RemoteTarget::Promised(place) => {
                        Arc::as_ptr(place.base.cell()).hash(state);
                        place.path.hash(state);
                    }
                }
            }
        }
    }
}

impl PartialEq for RemoteTarget {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Root, Self::Root) => true,
            (Self::Import(one), Self::Import(other)) => one.is_same(other),
            (Self::Promised(one), Self::Promised(other)) => {
                Arc::ptr_eq(one.base.cell(), other.base.cell()) && one.path == other.path
            }
            _ => false,
        }
    }
}

impl Stub {
    /// Whether this is a stub of that service.
    pub(crate) fn is_of(&self, service: &'static ServiceDescriptor) -> bool {
        std::ptr::eq(self.service, service)
    }

    /// The stub of a service that the peer offers.
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

    /// The stub of the object in a result that is not here yet.
    pub fn promised<E: Send + Sync + 'static>(at: &PipeAt<E>, service: &'static ServiceDescriptor) -> Self {
        let place = at.place().clone();
        let handle = Arc::clone(&place.base.cell().handle);
        Self::remote(Remote { handle, target: RemoteTarget::Promised(place) }, service)
    }

    /// A stub whose calls fail.
    pub(crate) fn unreachable(service: &'static ServiceDescriptor) -> Self {
        Self::root(Arc::new(Handle::closed()), service)
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The session for a call of a local object, which lies inside this process. The stub of a remote object has its session
    /// itself.
    #[inline]
    pub fn session(&self) -> CallSession {
        match &self.kind {
            Kind::Remote(_) => CallSession(None),
            Kind::Local(object) => CallSession(Some(in_process(object))),
        }
    }

    /// Waits until the object cannot be reached any more; forever if it is local.
    pub(crate) async fn closed(&self) -> CloseReason {
        match &self.kind {
            // Where another session takes over, it makes the object's call again if it can.
            Kind::Remote(Remote { target: RemoteTarget::Import(import), .. })
                if import.origin().is_none() =>
            {
                poll_fn(|cx| import.poll_closed(cx)).await
            }
            Kind::Remote(remote) => remote.handle.until_closed().await,
            Kind::Local(_) => std::future::pending().await,
        }
    }

    /// Waits until no peer holds the local object; does not wait if the object is remote.
    pub(crate) async fn released(&self) {
        if let Kind::Local(object) = &self.kind {
            object.released().await;
        }
    }

    /// Returns this stub with this metadata, unless it is empty.
    pub(crate) fn with_metadata(self, metadata: Vec<(String, String)>) -> Self {
        match metadata.is_empty() {
            true => self,
            false => self.with_options(|options| options.metadata = metadata),
        }
    }

    pub(crate) fn with_retry(&self, policy: Retry) -> Self {
        self.with_options(|options| options.retry = Some(policy))
    }

    fn with_options(&self, change: impl FnOnce(&mut CallOptions)) -> Self {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        change(&mut options);
        Self { options: Some(Arc::new(options)), ..self.clone() }
    }
}

/// The session of a call to a local object, or why there is none; held while the call is made. `None` for a remote object,
/// whose stub has the session.
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
