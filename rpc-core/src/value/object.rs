//! Objects: those of the peer, and those that this side answers for.

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use crate::{
    dispatch::Service,
    link::Link,
    panics::drop_quietly,
    schema::descriptor::ServiceDescriptor,
    stub::Remote,
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

    /// Whether calls through this link reach the same peer.
    fn is_of(&self, link: &Arc<Link>) -> bool;

    /// So much was read of a stream of the peer.
    fn stream_consumed(&self, stream: StreamId, bytes: u64);

    /// So much was read, and the reader waits for more.
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

    /// Whether it is an object of the peer that calls through this link reach.
    pub(crate) fn is_of(&self, link: &Arc<Link>) -> bool {
        self.home.is_of(link)
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
    behaviour: Option<Behaviour>,
    /// How many sessions have it among their exports.
    exported: AtomicUsize,
    /// Who waits for that to be none.
    waiting: Mutex<Vec<Waker>>,
    /// The sessions in which this process calls it: one for each runtime that has, as long as that lives.
    #[cfg(feature = "driver")]
    in_process: Mutex<Vec<InProcess>>,
}

/// A session in memory and the runtime that drives it.
#[cfg(feature = "driver")]
struct InProcess {
    runtime: tokio::runtime::Id,
    session: crate::session_handle::SessionHandle,
}

pub(crate) enum Behaviour {
    Service(Arc<dyn Service>),
    /// Passes calls on: to an object of another session, or to one that is only promised.
    Forward(Remote),
}

impl LocalObject {
    pub(crate) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Some(behaviour),
            exported: AtomicUsize::new(0),
            waiting: Mutex::default(),
            #[cfg(feature = "driver")]
            in_process: Mutex::default(),
        })
    }

    pub(crate) fn behaviour(&self) -> Option<&Behaviour> {
        self.behaviour.as_ref()
    }

    /// What answers its calls, unless it passes them on.
    pub(crate) fn service(&self) -> Option<&Arc<dyn Service>> {
        match self.behaviour.as_ref()? {
            Behaviour::Service(service) => Some(service),
            Behaviour::Forward(_) => None,
        }
    }

    /// What it is; not known of one that passes calls on.
    pub(crate) fn descriptor(&self) -> Option<&'static ServiceDescriptor> {
        match self.behaviour.as_ref()? {
            Behaviour::Service(service) => Some(service.descriptor()),
            Behaviour::Forward(_) => None,
        }
    }

    /// The session in which this process calls it from the current runtime, made if there is none; outside of all runtimes,
    /// one that another has made. A session of another runtime is not used while there is a current one: nobody may be driving
    /// it, and it ends with that runtime.
    #[cfg(feature = "driver")]
    pub(crate) fn in_process(&self) -> Option<Arc<crate::link::Handle>> {
        let mut sessions = self.in_process.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(runtime) = tokio::runtime::Handle::try_current().map(|runtime| runtime.id()) else {
            let open = sessions.iter().find(|known| !known.session.is_closed())?;
            return Some(Arc::clone(&open.session.handle));
        };
        if let Some(known) = sessions.iter().find(|known| known.runtime == runtime)
            && !known.session.is_closed()
        {
            return Some(Arc::clone(&known.session.handle));
        }
        let mut services = crate::dispatch::Services::new();
        services.offer(Arc::clone(self.service()?));
        // Those of runtimes that are gone go, too.
        sessions.retain(|known| !known.session.is_closed());
        let session = crate::memory::connect(services);
        let handle = Arc::clone(&session.handle);
        sessions.push(InProcess { runtime, session });
        Some(handle)
    }

    /// A session passes it on, for the first time or again.
    pub(crate) fn was_exported(&self) {
        self.exported.fetch_add(1, Ordering::AcqRel);
    }

    /// The peer of a session has let go of it, or the session is over.
    pub(crate) fn was_released(&self) {
        if self.exported.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until no peer holds it.
    pub(crate) async fn released(&self) {
        poll_fn(|cx| {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Checked under the lock: the count falls before the wakers are taken.
            if self.exported.load(Ordering::Acquire) == 0 {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
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
