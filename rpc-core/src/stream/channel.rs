//! Channels: streams whose items a sender puts in, one by one.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use futures::{
    Stream,
    channel::mpsc::{self, Receiver, Sender},
};
use serde::Serialize;

use super::source::{Fill, LongItem, Source, Stop};
use crate::{
    error::{StopReason, StreamStopped},
    never::Never,
    sync::{Waiters, lock},
    value::stream::Ending,
};

/// The largest capacity, more than ever waits: `mpsc` panics at very large capacities.
const CAPACITY_MAX: usize = 1 << 28;

/// Puts items into a [`Streaming`](crate::Streaming); made with [`Streaming::channel`](crate::Streaming::channel).
///
/// Clones write to the same stream, and one call of [`finish`](Self::finish) or [`fail`](Self::fail) counts for all of them.
/// Without such a call, the stream ends with [`StreamError::Abandoned`](crate::StreamError::Abandoned) when the last clone is
/// dropped. So a task that panics or returns early does not make half a file look like a whole one.
///
/// # Example
/// ```
/// use futures::StreamExt;
/// use rpc_core::Streaming;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (mut lines, stream) = Streaming::<String>::channel(16);
/// tokio::spawn(async move {
///     for line in ["one", "two"] {
///         if lines.send(line.into()).await.is_err() {
///             return; // nobody reads on
///         }
///     }
///     lines.finish();
/// });
/// let lines: Vec<_> = stream.map(|line| line.unwrap_or_default()).collect().await;
/// assert_eq!(lines, ["one", "two"]);
/// # }
/// ```
pub struct StreamSender<T, E = Never> {
    items: Sender<T>,
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    state: Mutex<State<E>>,
    /// Whether `stopped` is set. Saves senders the lock, since they check after each item.
    is_stopped: AtomicBool,
}

struct State<E> {
    /// How the stream ends when the last sender is gone; abandoned if no sender has said.
    ending: Option<Result<(), E>>,
    stopped: Option<StopReason>,
    waiting: Waiters,
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        lock(&self.state)
    }

    fn reason(&self) -> StreamStopped {
        StreamStopped { reason: self.lock().stopped.clone().unwrap_or(StopReason::NotWanted) }
    }
}

impl<E: Send> Stop for Shared<E> {
    fn stop(&self, reason: &StopReason) -> Vec<Waker> {
        let mut state = self.lock();
        state.stopped.get_or_insert_with(|| reason.clone());
        self.is_stopped.store(true, Ordering::Release);
        state.waiting.take()
    }
}

pub(super) fn channel<T, E: Send>(capacity: usize) -> (StreamSender<T, E>, ChannelSource<T, E>) {
    let (sender, items) = mpsc::channel(capacity.min(CAPACITY_MAX));
    let state = Mutex::new(State { ending: None, stopped: None, waiting: Waiters::default() });
    let shared = Arc::new(Shared { state, is_stopped: AtomicBool::new(false) });
    (
        StreamSender { items: sender, shared: Arc::clone(&shared) },
        ChannelSource { items, long: LongItem::default(), shared },
    )
}

impl<T, E> StreamSender<T, E> {
    /// Waits until there is room for an item and puts it in. `Ok` means that the stream took the item, not that it was read: items
    /// on their way when the reader stops are lost.
    ///
    /// # Cancel safety
    /// If the future is dropped before it completes, the item is not sent, and lost.
    ///
    /// # Errors
    /// When the reader's side has ended the stream: see [`StopReason`]. Every call fails once [`stopped`](Self::stopped) has
    /// completed, an item was refused, or the session that sends the stream is known to be over.
    pub async fn send(&mut self, item: T) -> Result<(), StreamStopped> {
        let ready = poll_fn(|cx| self.items.poll_ready(cx)).await;
        // The queue is closed a moment after the stream was stopped, and takes items until then. Not checked after the item was put:
        // a reader that has taken it may have stopped the stream since.
        if self.shared.is_stopped.load(Ordering::Acquire) {
            return Err(self.shared.reason());
        }
        ready.and_then(|()| self.items.start_send(item)).map_err(|_| self.shared.reason())
    }

    /// Completes with the reason when nobody wants more items.
    ///
    /// # Cancel safety
    /// Holds nothing; may be dropped and called again at any time.
    pub async fn stopped(&self) -> StopReason {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(reason) = &state.stopped {
                return Poll::Ready(reason.clone());
            }
            state.waiting.add(cx);
            Poll::Pending
        })
        .await
    }

    /// Marks the stream as complete. It ends behind all items sent, once all other senders are gone.
    pub fn finish(self) {
        self.shared.lock().ending.get_or_insert(Ok(()));
    }

    /// Lets the stream end with this error, behind all items sent, once all other senders are gone.
    pub fn fail(self, error: E) {
        self.shared.lock().ending = Some(Err(error));
    }
}

impl<T, E> Clone for StreamSender<T, E> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<T, E> fmt::Debug for StreamSender<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").field("stopped", &self.shared.lock().stopped).finish_non_exhaustive()
    }
}

pub(super) struct ChannelSource<T, E: Send> {
    items: Receiver<T>,
    long: LongItem,
    shared: Arc<Shared<E>>,
}

impl<T, E> Source for ChannelSource<T, E>
where
    T: Serialize + Send + 'static,
    E: Serialize + Send + 'static,
{
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        ready!(self.long.poll(cx, fill));
        while fill.has_room() {
            match ready!(Pin::new(&mut self.items).poll_next(cx)) {
                Some(item) => ready!(self.long.put::<T, E>(cx, fill, Ok(item))),
                None => {
                    let ending = self.shared.lock().ending.take();
                    match ending {
                        Some(Ok(())) => fill.end(Ending::Complete),
                        Some(Err(error)) => ready!(self.long.put::<T, E>(cx, fill, Err(error))),
                        None => fill.end(Ending::Abandoned),
                    }
                }
            }
        }
        Poll::Ready(())
    }

    fn stopped(&mut self, reason: &StopReason) {
        self.shared.stop(reason).into_iter().for_each(Waker::wake);
    }

    fn stop(&self) -> Option<Arc<dyn Stop>> {
        Some(Arc::clone(&self.shared) as Arc<dyn Stop>)
    }
}

impl<T, E: Send> Drop for ChannelSource<T, E> {
    fn drop(&mut self) {
        self.shared.stop(&StopReason::NotWanted).into_iter().for_each(Waker::wake);
    }
}
