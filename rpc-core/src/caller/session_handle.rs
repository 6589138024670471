//! The handle with which users make clients of a running session, and close it.

use std::{future::poll_fn, sync::Arc, task::Poll};

use futures::channel::oneshot;

use crate::{
    caller::stub::{ServiceClient, Stub},
    error::CloseReason,
    link::{Handle, Submission, ambient},
    session::events::SessionStats,
};

/// One side of a running session: makes clients of the peer's services and ends it.
///
/// Cheap to clone, `Send` and `Sync`; one is enough for a whole application. On the side that connected, the session
/// closes when the last handle, client and promise of it is dropped.
#[derive(Clone)]
pub struct SessionHandle {
    pub(crate) handle: Arc<Handle>,
}

/// What has a session: a [`SessionHandle`], or the `Client` of `rpc-client`. `ChatClient::new` takes either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no connection to make a client from",
    label = "not a session",
    note = "pass a reference to what `Client::connect(…).await?` or `memory::connect(…)` returned"
)]
pub trait AsSession {
    /// The session.
    fn as_session(&self) -> &SessionHandle;
}

impl AsSession for SessionHandle {
    fn as_session(&self) -> &SessionHandle {
        self
    }
}

impl SessionHandle {
    /// A client of one of the peer's services. Costs no message: a peer without the service refuses its calls.
    pub fn service<C: ServiceClient>(&self) -> C {
        C::from_stub(Stub::root(Arc::clone(&self.handle), C::descriptor()))
    }

    /// Closes the session gracefully: takes no new calls, lets those in flight finish (for at most
    /// [`Limits::close_timeout`](crate::Limits::close_timeout)), tells the peer, and waits until the session is over.
    ///
    /// On the side that connected, open streams end when the calls are done; streams whose producers are done are still
    /// delivered whole. The other side waits for its streams, within the same timeout and as long as one of
    /// them moves at least every two seconds: end its broadcasts first, so that their readers come to an end.
    ///
    /// Inside a handler of the same session, or the producer of one of its streams, `close` begins the closing and does not
    /// wait: the handler is a call in flight, so it would wait for itself. It returns the reason with which the session is
    /// going to end, and the handler's result still reaches its caller. Tasks that the handler spawns are not recognised: a
    /// handler that awaits a task which awaits `close` waits until [`Limits::close_timeout`](crate::Limits::close_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) -> CloseReason {
        let link = self.handle.newest();
        link.begin_draining(CloseReason::Local);
        link.submit(Submission::Close);
        let reason = poll_fn(|cx| match link.draining_reason() {
            Some(reason) if ambient::is_inside(&link) => Poll::Ready(reason),
            _ => link.poll_closed(cx),
        })
        .await;
        // A session that took its place at that moment closes as well.
        match link.newest() {
            Some(_) if !ambient::is_inside(&link) => self.handle.until_closed().await,
            _ => reason,
        }
    }

    /// Waits until the session is over and returns the reason. Where another session takes its place, as a client's does, waits for that
    /// one as well.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    pub async fn closed(&self) -> CloseReason {
        self.handle.until_closed().await
    }

    /// Counts what the session holds at the moment; all counts are zero once it is over.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped at any time.
    pub async fn stats(&self) -> SessionStats {
        let (sender, receiver) = oneshot::channel();
        self.handle.newest().submit(Submission::Stats(sender));
        receiver.await.unwrap_or_default()
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.handle.newest().close_reason().is_some()
    }
}

impl std::fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionHandle").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
