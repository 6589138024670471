//! Objects: those of the peer, and those that this side answers for.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use crate::{
    panics::drop_quietly,
    schema::descriptor::ServiceDescriptor,
    sync::{Waiters, lock},
    wire::{ObjectId, StreamId},
};

// ---- what travels ----

/// An object of the peer. Dropped, the session hears that this side has one handle less.
pub(crate) struct Import {
    pub(crate) id: ObjectId,
    home: Arc<dyn Home>,
}

/// What a session's imports know of it; called from any thread.
pub(crate) trait Home: Send + Sync {
    /// A handle to an import is gone.
    fn import_dropped(&self, id: ObjectId);

    /// An object of this side that passes calls on to one of the peer.
    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject>;

    /// Whether this is the home of what the session at that address imports.
    fn is_at(&self, session: *const ()) -> bool;

    /// The reader of a stream of the peer took `bytes` of it.
    fn stream_consumed(&self, stream: StreamId, bytes: u64);

    /// The reader took `bytes`, and waits for more.
    fn stream_awaited(&self, stream: StreamId, bytes: u64);

    /// Nobody reads the stream any more, or it was read to its end.
    fn stream_dropped(&self, stream: StreamId, reason: Option<String>);
}

impl Import {
    pub(crate) fn new(id: ObjectId, home: Arc<dyn Home>) -> Self {
        Self { id, home }
    }

    /// An object of this side that passes calls on to it.
    pub(crate) fn forward(self: Arc<Self>) -> Arc<LocalObject> {
        let home = Arc::clone(&self.home);
        home.forward(self)
    }

    /// Whether the session at that address imported it.
    pub(crate) fn is_at(&self, session: *const ()) -> bool {
        self.home.is_at(session)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.home.import_dropped(self.id);
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Import({})", self.id.0)
    }
}

/// An object that this side answers for.
pub(crate) struct LocalObject {
    /// Empty only while it is dropped.
    behaviour: Option<Box<dyn Behaviour>>,
    /// How many sessions have it among their exports.
    exported: AtomicUsize,
    /// Tasks that wait until no session has it.
    waiting: Mutex<Waiters>,
}

/// What an object of this side does. The session passes objects on without knowing.
pub(crate) trait Behaviour: Any + Send + Sync {
    /// What the object is; not known of one that passes calls on.
    fn descriptor(&self) -> Option<&'static ServiceDescriptor>;

    /// The session in which this process calls it, as who made the object knows sessions.
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

    /// Its behaviour, if that is of this kind.
    pub(crate) fn behaviour<B: Behaviour>(&self) -> Option<&B> {
        let behaviour: &dyn Any = self.behaviour.as_deref()?;
        behaviour.downcast_ref()
    }

    /// What it is; not known of one that passes calls on.
    pub(crate) fn descriptor(&self) -> Option<&'static ServiceDescriptor> {
        self.behaviour.as_deref()?.descriptor()
    }

    /// The session in which this process calls it.
    pub(crate) fn session_here(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.behaviour.as_deref()?.session_here()
    }

    /// A session passes it on, for the first time or again.
    pub(crate) fn was_exported(&self) {
        self.exported.fetch_add(1, Ordering::AcqRel);
    }

    /// The peer of a session has let go of it, or the session is over.
    pub(crate) fn was_released(&self) {
        if self.exported.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = lock(&self.waiting).take();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until no peer holds it.
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

/// A user's `Drop` may panic; it must not take the session with it.
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
