//! Objects: imports of the peer's objects, and local objects, whose calls this side answers.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    error::CloseReason,
    panics::drop_quietly,
    path::Path,
    schema::descriptor::ServiceDescriptor,
    sync::{Waiters, lock},
    wire::{CallId, ObjectId, StreamId},
};

// ---- what travels ----

/// A handle to an object of the peer. When it is dropped, the session is told.
pub(crate) struct Import {
    pub(crate) id: ObjectId,
    /// The place that the object came from, if its call can be made again.
    origin: Option<Origin>,
    home: Arc<dyn Home>,
}

/// A place in the result of a call of this side.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) call: CallId,
    pub(crate) path: Path,
}

/// The part of a session that its imports and inlets know; called from any thread.
pub(crate) trait Home: Send + Sync {
    /// Tells the session that a handle to an import was dropped.
    fn import_dropped(&self, id: ObjectId, origin: Option<CallId>);

    /// An object of this side that forwards calls to an object of the peer.
    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject>;

    /// Whether this is the home of a session with that address, which sessions that follow each other have in common.
    fn is_at(&self, session: *const ()) -> bool;

    /// Completes with the reason when the session is over.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<CloseReason>;

    /// Tells the session that the reader of a stream took `bytes` of it.
    fn stream_consumed(&self, stream: StreamId, bytes: u64);

    /// Tells the session that the reader took `bytes`, and waits for more.
    fn stream_awaited(&self, stream: StreamId, bytes: u64);

    /// Tells the session that nobody reads the stream any more, or that it was read to its end.
    fn stream_dropped(&self, stream: StreamId, reason: Option<String>);
}

impl Import {
    pub(crate) fn new(id: ObjectId, origin: Option<Origin>, home: Arc<dyn Home>) -> Self {
        Self { id, origin, home }
    }

    /// The place that the object came from, if its call can be made again.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// An object of this side that forwards calls to this one.
    pub(crate) fn forward(self: Arc<Self>) -> Arc<LocalObject> {
        let home = Arc::clone(&self.home);
        home.forward(self)
    }

    /// Whether the session of this home imported the object.
    pub(crate) fn is_of(&self, home: &Arc<dyn Home>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.home), Arc::as_ptr(home))
    }

    /// Whether both are one object. The peer keeps an object's id while this side has a client of it, and uses none again.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.is_of(&other.home)
    }

    /// Completes with the reason when the session that imported the object is over.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.home.poll_closed(cx)
    }

    /// Whether a session with that address imported the object.
    pub(crate) fn is_at(&self, session: *const ()) -> bool {
        self.home.is_at(session)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.home.import_dropped(self.id, self.origin.as_ref().map(|origin| origin.call));
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Import({})", self.id.0)
    }
}

/// An object that this side answers for.
pub(crate) struct LocalObject {
    /// Empty only while the object is dropped.
    behaviour: Option<Box<dyn Behaviour>>,
    /// The number of sessions that export the object.
    exported: AtomicUsize,
    /// Tasks that wait until no session exports the object.
    waiting: Mutex<Waiters>,
}

/// The behaviour of an object of this side. The session passes objects without knowing it.
pub(crate) trait Behaviour: Any + Send + Sync {
    /// The object's service; `None` for an object that forwards calls, whose service is not known.
    fn descriptor(&self) -> Option<&'static ServiceDescriptor>;

    /// The session in which this process itself calls the object, in a type that the maker of the object knows.
    fn session_here(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

impl LocalObject {
    pub(crate) fn new(behaviour: impl Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Some(Box::new(behaviour)),
            exported: AtomicUsize::new(0),
            waiting: Mutex::default(),
        })
    }

    /// The object's behaviour, if it is a `B`.
    pub(crate) fn behaviour<B: Behaviour>(&self) -> Option<&B> {
        let behaviour: &dyn Any = self.behaviour.as_deref()?;
        behaviour.downcast_ref()
    }

    /// The object's service; `None` for an object that forwards calls, whose service is not known.
    pub(crate) fn descriptor(&self) -> Option<&'static ServiceDescriptor> {
        self.behaviour.as_deref()?.descriptor()
    }

    /// The session in which this process itself calls the object.
    pub(crate) fn session_here(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.behaviour.as_deref()?.session_here()
    }

    /// Takes note that a session exports the object.
    pub(crate) fn was_exported(&self) {
        self.exported.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes note that a session's peer has released the object, or that the session is over.
    pub(crate) fn was_released(&self) {
        if self.exported.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = lock(&self.waiting).take();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until no peer holds the object.
    pub(crate) async fn released(&self) {
        poll_fn(|cx| {
            let mut waiting = lock(&self.waiting);
            // Checked under the lock: the count falls before the wakers are taken.
            if self.exported.load(Ordering::Acquire) == 0 {
                return Poll::Ready(());
            }
            waiting.add(cx);
            Poll::Pending
        })
        .await;
    }
}

/// A user's `Drop` may panic; the panic must not end the session.
impl Drop for LocalObject {
    fn drop(&mut self) {
        drop_quietly(self.behaviour.take(), "an object");
    }
}

impl fmt::Debug for LocalObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalObject").field(&self.descriptor().map(|service| service.name)).finish()
    }
}
