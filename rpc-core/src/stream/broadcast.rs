//! Broadcasts: one producer, many subscribers. Each subscriber chooses what happens when it falls behind.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
};

use serde::Serialize;

use super::{
    Streaming,
    source::{Fill, Source, put_passed},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    caller::passing::{self, Passed},
    codec,
    error::EncodeError,
    sync::{Waiters, lock},
    value::stream::Ending,
    wire::Failure,
};

/// What happens to an item for a subscriber whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slow {
    /// [`Broadcast::send`] waits until the subscriber has room, and so holds up all others. [`Broadcast::try_send`] drops the
    /// subscriber's oldest item instead, as [`DropOldest`](Self::DropOldest) does.
    Block,
    /// The oldest waiting item is left out. The subscriber reads [`StreamError::Missed`](crate::StreamError::Missed) in its place,
    /// with the number of items left out, and then the items that followed.
    DropOldest,
    /// Only the newest item waits, whatever the room, and it is sent when the one before was read ([`Streaming::one_by_one`]): for
    /// values of which only the last matters. The subscriber does not learn of replaced items.
    Latest,
    /// The subscriber's stream ends behind the waiting items, with [`StreamError::Broken`](crate::StreamError::Broken).
    Disconnect,
}

/// Sends each item to all subscribers. Cheap to clone; all clones send to the same subscribers. Each subscriber gets the items of
/// one task in the order in which it sends them. Items that several tasks send at the same time may reach subscribers in
/// different orders.
///
/// An item is encoded once, however many subscribers there are. Only subscribers with [`Slow::Block`] hold up others. When the
/// last clone is dropped, or one is [`close`](Self::close)d, the subscribers' streams are complete behind the items sent so far.
///
/// # Example
/// ```
/// use futures::StreamExt;
/// use rpc_core::{Broadcast, Slow, StreamError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let news = Broadcast::<u64>::new();
/// let mut subscriber = news.subscribe(2, Slow::DropOldest);   // a method would return it
/// for number in 0..5 {
///     news.send(&number).await?;
/// }
/// drop(news);
/// assert!(matches!(subscriber.next().await, Some(Err(StreamError::Missed { count: 3 }))));
/// assert_eq!(subscriber.next().await.transpose()?, Some(3));
/// assert_eq!(subscriber.next().await.transpose()?, Some(4));
/// assert!(subscriber.next().await.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Broadcast<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    subscribers: Mutex<Subscribers<T>>,
}

struct Subscribers<T> {
    list: Vec<Arc<Subscriber<T>>>,
    /// Subscribers in the list that are gone.
    gone: usize,
    closed: bool,
}

type Filter<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;

struct Subscriber<T> {
    slow: Slow,
    room: usize,
    is_wanted: Option<Filter<T>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Arc<Item>>,
    /// Items that were left out before these.
    missed: u64,
    end: Option<End>,
    /// The waker of the subscriber's stream, if it waits for an item.
    reader: Option<Waker>,
    /// Senders that wait for room.
    writers: Waiters,
}

#[derive(Clone, Copy)]
enum End {
    Closed,
    TooSlow,
    /// The subscriber's stream was dropped.
    Dropped,
}

struct Item {
    bytes: SmallBytes,
    passed: Vec<Passed>,
}

impl<T: Serialize + 'static> Broadcast<T> {
    /// A broadcast without subscribers.
    pub fn new() -> Self {
        let subscribers = Subscribers { list: Vec::new(), gone: 0, closed: false };
        Self { shared: Arc::new(Shared { subscribers: Mutex::new(subscribers) }) }
    }

    /// A stream of all items sent from now on, to be returned by a method or passed to one. `room` is the number of items that may
    /// wait here, not counting those on their way to the reader; zero counts as one.
    pub fn subscribe(&self, room: usize, slow: Slow) -> Streaming<T> {
        self.subscribe_with(room, slow, None)
    }

    /// Like [`subscribe`](Self::subscribe), but only of the items for which `is_wanted` returns true. It runs on the sender's task.
    /// Other items take no room and are not counted as missed.
    pub fn subscribe_filtered(
        &self,
        room: usize,
        slow: Slow,
        is_wanted: impl Fn(&T) -> bool + Send + Sync + 'static,
    ) -> Streaming<T> {
        self.subscribe_with(room, slow, Some(Box::new(is_wanted)))
    }

    fn subscribe_with(&self, room: usize, slow: Slow, is_wanted: Option<Filter<T>>) -> Streaming<T> {
        let room = if slow == Slow::Latest { 1 } else { room.max(1) };
        let subscriber = Arc::new(Subscriber { slow, room, is_wanted, queue: Mutex::default() });
        let mut subscribers = lock(&self.shared.subscribers);
        if subscribers.closed {
            lock(&subscriber.queue).end = Some(End::Closed);
        } else {
            subscribers.list.push(Arc::clone(&subscriber));
        }
        drop(subscribers);
        let shared = Arc::downgrade(&self.shared);
        let stream = Streaming::of_source(Subscription { subscriber, shared });
        // Items on their way to the reader would be stale as well.
        if slow == Slow::Latest { stream.one_by_one() } else { stream }
    }

    /// Sends an item to all subscribers. Waits for full subscribers with [`Slow::Block`].
    ///
    /// # Cancel safety
    /// If the future is dropped while it waits, the subscribers that it waits for do not get the item; all others have it.
    ///
    /// # Errors
    /// When the item cannot be encoded. Then no subscriber gets it.
    pub async fn send(&self, item: &T) -> Result<(), EncodeError> {
        let encoded = encode(item)?;
        let mut full = self.offer(item, &encoded, true);
        poll_fn(|cx| {
            full.retain(|subscriber| !subscriber.put_when_room(&encoded, cx));
            if full.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(())
    }

    /// Sends an item to all subscribers and waits for none of them.
    ///
    /// # Errors
    /// When the item cannot be encoded. Then no subscriber gets it.
    pub fn try_send(&self, item: &T) -> Result<(), EncodeError> {
        self.offer(item, &encode(item)?, false);
        Ok(())
    }

    /// Puts an item in all queues. If `waits`, returns the full subscribers that block; their queues do not have it yet.
    fn offer(&self, item: &T, encoded: &Arc<Item>, waits: bool) -> Vec<Arc<Subscriber<T>>> {
        // Filters are user code and run under no lock.
        let list = lock(&self.shared.subscribers).list.clone();
        let mut wakers = Vec::new();
        let is_wanted = |subscriber: &Arc<Subscriber<T>>| {
            subscriber.is_wanted.as_ref().is_none_or(|is_wanted| is_wanted(item))
        };
        let wanting = list.into_iter().filter(is_wanted);
        let full = wanting.filter(|subscriber| !subscriber.put(encoded, waits, &mut wakers)).collect();
        wakers.into_iter().for_each(Waker::wake);
        full
    }
}

impl<T> Broadcast<T> {
    /// The number of subscribers.
    pub fn subscribers(&self) -> usize {
        let subscribers = lock(&self.shared.subscribers);
        subscribers.list.len() - subscribers.gone
    }

    /// Ends the streams of all subscribers, and of those to come.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Serialize + 'static> Default for Broadcast<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("subscribers", &self.subscribers()).finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    fn close(&self) {
        let list = {
            let mut subscribers = lock(&self.subscribers);
            subscribers.closed = true;
            std::mem::take(&mut subscribers.list)
        };
        for subscriber in list {
            subscriber.end(End::Closed);
        }
    }
}

/// Dropped with the last clone of the broadcast.
impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        self.close();
    }
}

fn encode<T: Serialize>(item: &T) -> Result<Arc<Item>, EncodeError> {
    let (bytes, added) = passing::writing(0, || SmallBytes::encode(|out| codec::encode(item, out)));
    Ok(Arc::new(Item { bytes: bytes?, passed: added.take() }))
}

impl<T> Subscriber<T> {
    /// Puts the item in the queue and returns true, or returns false if the sender must wait for room.
    fn put(&self, item: &Arc<Item>, waits: bool, wakers: &mut Vec<Waker>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.end.is_some() {
            return true;
        }
        if queue.items.len() >= self.room {
            match self.slow {
                Slow::Block if waits => return false,
                Slow::Block | Slow::DropOldest => {
                    queue.items.pop_front();
                    queue.missed += 1;
                }
                Slow::Latest => queue.items.clear(),
                Slow::Disconnect => {
                    queue.end = Some(End::TooSlow);
                    wakers.extend(queue.reader.take());
                    return true;
                }
            }
        }
        queue.items.push_back(Arc::clone(item));
        wakers.extend(queue.reader.take());
        true
    }

    /// Puts the item in the queue if there is room, or drops it if nobody reads the stream. Otherwise returns false and wakes `cx`
    /// when one of these may be true.
    fn put_when_room(&self, item: &Arc<Item>, cx: &mut Context<'_>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.end.is_some() {
            return true;
        }
        if queue.items.len() >= self.room {
            queue.writers.add(cx);
            return false;
        }
        queue.items.push_back(Arc::clone(item));
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
        true
    }

    fn end(&self, end: End) {
        let mut queue = lock(&self.queue);
        // A subscriber that was too slow still counts as dropped once its stream is dropped.
        if queue.end.is_none() || matches!(end, End::Dropped) {
            queue.end = Some(end);
        }
        let wakers: Vec<Waker> = queue.writers.take().into_iter().chain(queue.reader.take()).collect();
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The source of one subscriber's stream.
struct Subscription<T> {
    subscriber: Arc<Subscriber<T>>,
    shared: Weak<Shared<T>>,
}

impl<T> Source for Subscription<T> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        while fill.has_room() {
            let mut queue = lock(&self.subscriber.queue);
            let missed = std::mem::take(&mut queue.missed);
            let item = queue.items.pop_front();
            let writers = queue.writers.take();
            let end = queue.end;
            if item.is_none() && missed == 0 && end.is_none() {
                match &queue.reader {
                    Some(waker) if waker.will_wake(cx.waker()) => {}
                    _ => queue.reader = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            drop(queue);
            writers.into_iter().for_each(Waker::wake);
            if missed > 0 {
                fill.missed(missed);
            }
            match (item, end) {
                (Some(item), _) => put_passed(fill, &item.bytes, &item.passed),
                (None, Some(End::TooSlow)) => {
                    let room = self.subscriber.room;
                    let reason = format!(
                        "the reader fell behind the broadcast by more than the {room} items that wait for it"
                    );
                    fill.end(Ending::Failed(Failure::Unreachable { reason }));
                }
                (None, Some(End::Closed | End::Dropped)) => fill.end(Ending::Complete),
                (None, None) => {}
            }
        }
        Poll::Ready(())
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.subscriber.end(End::Dropped);
        let Some(shared) = self.shared.upgrade() else { return };
        let mut subscribers = lock(&shared.subscribers);
        if subscribers.closed {
            return;
        }
        subscribers.gone += 1;
        // The list is tidied when half of it is gone: tidying for each subscriber would take quadratic time when many leave.
        if 2 * subscribers.gone >= subscribers.list.len() {
            let is_here =
                |subscriber: &Arc<Subscriber<T>>| !matches!(lock(&subscriber.queue).end, Some(End::Dropped));
            subscribers.list.retain(is_here);
            subscribers.gone = 0;
        }
        drop(subscribers);
    }
}
