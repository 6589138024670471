//! The context of a call, for its handler: the peer, the deadline, the metadata, and whether the caller still waits.

use std::{
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, SystemTime},
};

use crate::{
    caller::{
        session_handle::SessionHandle,
        stub::{ServiceClient, Stub},
    },
    error::CloseReason,
    handler::dispatch::Services,
    limits::Limits,
    link::{Handle, Link},
    principal::Principal,
    session::events::BeginTarget,
    sync::{Waiters, lock},
    time::{self, Time},
    value::object::LocalObject,
};

/// The other end of a session: its address, its identity, and the HTTP request of its handshake.
///
/// Its `Debug` leaves out the headers' values and the query, where tokens are.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Peer {
    /// The network address; `None` for transports that have none.
    pub address: Option<SocketAddr>,
    /// The identity; anonymous by default.
    pub principal: Principal,
    /// When the identity stops to count, if it does.
    pub expires_at: Option<SystemTime>,
    /// The path and query of the peer's HTTP request, like `/chat?v=2`; empty where there was none.
    pub target: String,
    /// The headers of the peer's HTTP request, names in lower case. Handlers see none of those that only the handshake needs:
    /// `connection`, `upgrade`, and `sec-websocket-key`, `-version` and `-extensions`.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, principal, expires_at, target, headers } = self;
        let path = target.split('?').next().unwrap_or_default();
        let headers: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Peer")
            .field("address", address)
            .field("principal", principal)
            .field("expires_at", expires_at)
            .field("path", &path)
            .field("headers", &headers)
            .finish()
    }
}

impl Peer {
    /// A peer with this name as its principal and without an address: for tests, and for transports that know their ends.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { principal: Principal::named(name), ..Self::default() }
    }

    /// The peer's token: that of its header `Authorization: Bearer …`, or of a subprotocol `bearer.…` beside `rpc.v1`, which is the
    /// only place where a browser's page can put one (`new WebSocket(url, ["rpc.v1", "bearer." + token])`).
    pub fn token(&self) -> Option<&str> {
        let values =
            |name| self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str());
        let of_header = values("authorization").find_map(|value| {
            let (scheme, token) = value.split_once(' ')?;
            let token = token.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
        });
        let mut offers = values("sec-websocket-protocol").flat_map(|value| value.split(','));
        of_header.or_else(|| offers.find_map(|offer| offer.trim().strip_prefix("bearer.")))
    }

    /// The value of the first header of this name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The context of one call, for handlers that take a parameter marked `#[rpc(context)]`.
///
/// Cheap to clone; it may outlive the handler.
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
}

/// The service or object whose method is called. Weak: an implementation may keep its contexts.
pub(crate) enum This {
    /// There is no call.
    None,
    Root(usize),
    Object(Weak<LocalObject>),
}

impl From<BeginTarget> for This {
    fn from(target: BeginTarget) -> Self {
        match target {
            BeginTarget::Root(place) => Self::Root(place),
            BeginTarget::Object(object) => Self::Object(Arc::downgrade(&object)),
        }
    }
}

pub(crate) struct ContextInner {
    pub(crate) scope: Arc<SessionScope>,
    pub(crate) this: This,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) cancelled: Arc<CancelSignal>,
}

impl Context {
    /// Makes a context without a call, to test a handler that takes one. The caller is `peer`, with this metadata and without
    /// a deadline, and never cancels. Calls of the peer's services fail as not sent.
    pub fn for_test(peer: Peer, metadata: &[(&str, &str)]) -> Self {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let scope = Arc::new(SessionScope::of_no_session(peer, Limits::default()));
        Self {
            inner: Arc::new(ContextInner {
                scope,
                this: This::None,
                deadline: None,
                metadata,
                cancelled: Arc::default(),
            }),
        }
    }

    /// The caller's identity.
    pub fn principal(&self) -> &Principal {
        &self.inner.scope.peer.principal
    }

    /// The other end of the session.
    pub fn peer(&self) -> &Peer {
        &self.inner.scope.peer
    }

    /// The peer's network address; `None` for transports that have none.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.inner.scope.peer.address
    }

    /// The time left until the caller's deadline; `None` without a deadline, zero when it has passed. For a batch, the
    /// longest such time among its callers.
    pub fn remaining(&self) -> Option<Duration> {
        self.inner.deadline.map(|deadline| time::now().until(deadline))
    }

    /// The value that the caller sent under this key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.inner.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// All metadata entries of the call, in the order in which the caller added them.
    pub fn metadata_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inner.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether the caller has stopped waiting; for a batch, whether all callers have.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.is_set()
    }

    /// Completes when the caller stops waiting: it dropped its promise, its deadline passed, or its session ended.
    /// Useful in handlers marked `#[rpc(no_cancel)]`; other handlers are dropped at that moment.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    pub async fn cancelled(&self) {
        self.inner.cancelled.wait().await;
    }

    /// Whether the session has begun to close, on this side or the peer's, or is over.
    pub fn is_closing(&self) -> bool {
        self.inner.scope.closing.is_set()
    }

    /// Completes when the session begins to close: this server shuts down, the peer hangs up, or the connection is lost. A
    /// handler that would wait for long, or a stream without an end, can end in good order then; calls in flight and streams
    /// that move have [`Limits::close_timeout`] left, streams that are still for two seconds are cut before that.
    ///
    /// The future holds neither the context nor the session, so a stream can keep it.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    ///
    /// # Example
    /// ```
    /// # use futures::StreamExt;
    /// # use rpc_core::{Context, Streaming, rpc};
    /// #[rpc]
    /// trait Ticker {
    ///     async fn ticks(&self, #[rpc(context)] cx: Context) -> Streaming<u64>;
    /// }
    /// # struct Quartz;
    ///
    /// impl Ticker for Quartz {
    ///     async fn ticks(&self, cx: Context) -> Streaming<u64> {
    ///         let ticks = futures::stream::unfold(0, |tick| async move {
    ///             tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    ///             Some((tick, tick + 1))
    ///         });
    ///         Streaming::new(ticks.take_until(cx.closing()))
    ///     }
    /// }
    /// ```
    pub fn closing(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let closing = Arc::clone(&self.inner.scope.closing);
        async move { closing.wait().await }
    }

    /// A client of the object whose method is called, for a handler that hands itself out or on: `&self` leads to none. `None`
    /// if `C` is the client of another trait, if nobody holds the object any more, and in [`for_test`](Self::for_test).
    ///
    /// To the peer that called an object, the client is the object itself, and equal to the one it has. Of a service that the
    /// server offers, and in a call inside the object's own process, the client is of a new object with the same
    /// implementation.
    ///
    /// # Example
    /// ```
    /// # use rpc_core::{Context, rpc};
    /// #[rpc]
    /// trait Account {
    ///     async fn owner(&self) -> String;
    ///     /// Gives whoever gets this client the right to call.
    ///     async fn share(&self, with: FriendClient, #[rpc(context)] cx: Context);
    /// }
    /// #[rpc]
    /// trait Friend {
    ///     async fn take(&self, account: AccountClient);
    /// }
    /// # struct Books;
    ///
    /// impl Account for Books {
    ///     # async fn owner(&self) -> String { "Ann".into() }
    ///     async fn share(&self, with: FriendClient, cx: Context) {
    ///         if let Some(this) = cx.this::<AccountClient>() {
    ///             let _ = with.take(this).await;
    ///         }
    ///     }
    /// }
    /// ```
    pub fn this<C: ServiceClient>(&self) -> Option<C> {
        let stub = match &self.inner.this {
            This::None => return None,
            This::Root(place) => {
                Stub::of_service(Arc::clone(self.inner.scope.services.upgrade()?.get(*place)?))
            }
            This::Object(object) => {
                let object = object.upgrade()?;
                let service = object.descriptor()?;
                Stub::local(object, service)
            }
        };
        stub.is_of(C::descriptor()).then(|| C::from_stub(stub))
    }

    /// A client of one of the peer's own services: both sides of a session can call.
    pub fn peer_service<C: ServiceClient>(&self) -> C {
        self.inner.scope.session.service()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("peer", &self.inner.scope.peer)
            .field("remaining", &self.remaining())
            .field("metadata", &self.inner.metadata)
            .finish_non_exhaustive()
    }
}

impl SessionScope {
    pub(crate) fn new(peer: Peer, session: SessionHandle, services: Weak<Services>) -> Self {
        Self { peer, session, services, closing: Arc::default() }
    }

    /// The scope of a session that is over.
    pub(crate) fn of_no_session(peer: Peer, limits: Limits) -> Self {
        let link = Arc::new(Link::new(Arc::new(limits)));
        link.close(&CloseReason::Aborted);
        let session = SessionHandle { handle: Arc::new(Handle { link, closes_on_drop: false }) };
        Self::new(peer, session, Weak::new())
    }
}

/// Counts the callers of a handler that still wait. Set for good when the last one stops; any number of tasks may wait for
/// that.
pub(crate) struct CancelSignal {
    callers: AtomicUsize,
    waiting: Mutex<Waiters>,
}

impl Default for CancelSignal {
    fn default() -> Self {
        Self::of(1)
    }
}

impl CancelSignal {
    /// A signal that this number of callers share.
    pub(crate) fn of(callers: usize) -> Self {
        Self { callers: AtomicUsize::new(callers), waiting: Mutex::default() }
    }

    /// Records that one of the callers has stopped waiting. Called once for each caller.
    pub(crate) fn set(&self) {
        let one_less = |callers: usize| callers.checked_sub(1);
        if self.callers.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less) != Ok(1) {
            return;
        }
        lock(&self.waiting).take().into_iter().for_each(Waker::wake);
    }

    fn is_set(&self) -> bool {
        self.callers.load(Ordering::Acquire) == 0
    }

    pub(crate) fn wait(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            let mut waiting = lock(&self.waiting);
            // Checked under the lock: `set` stores first and takes the wakers after.
            if self.is_set() {
                return Poll::Ready(());
            }
            waiting.add(cx);
            Poll::Pending
        })
    }
}

/// The peer and the session handle, which all calls of one session share.
pub(crate) struct SessionScope {
    pub(crate) peer: Peer,
    pub(crate) session: SessionHandle,
    /// The services at the root. Weak: they may keep contexts.
    pub(crate) services: Weak<Services>,
    /// Set when the session begins to close.
    pub(crate) closing: Arc<CancelSignal>,
}
