//! One producer, many subscribers, each with its own answer to falling behind.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use serde::Serialize;

use super::{
    Ending, Streaming,
    source::{Fill, Source, put_passed},
};
use crate::{
    codec,
    error::EncodeError,
    object::{self, Passed},
    small_bytes::SmallBytes,
    wire::Failure,
};

/// What becomes of items for a subscriber that has fallen behind by as many as it is given room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slow {
    /// [`Broadcast::send`] waits for it, and with it all others. [`Broadcast::try_send`] leaves the item out for it, and
    /// counts that as [`DropOldest`](Self::DropOldest) does.
    Block,
    /// The oldest item that waits is left out. The subscriber reads [`StreamError::Missed`](crate::StreamError::Missed) in its place,
    /// with how many there were, and what came after goes on.
    DropOldest,
    /// Only the newest item waits, whatever the room: for values of which the last one says all. What it replaced is not
    /// told.
    Latest,
    /// Its stream ends, with [`StreamError::Broken`](crate::StreamError::Broken) that says so.
    Disconnect,
}

/// Sends each item to all subscribers. Cheap to clone; clones are the same.
///
/// An item is encoded once, however many subscribers there are, and a subscriber waits for nobody but those that
/// [`Slow::Block`]. When the last clone is dropped, or [`close`](Self::close)d, the subscribers' streams are complete
/// behind what was sent.
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
    shared: Arc<Shared>,
    _items: PhantomData<fn(T)>,
}

struct Shared {
    subscribers: Mutex<Subscribers>,
}

#[derive(Default)]
struct Subscribers {
    list: Vec<Arc<Subscriber>>,
    /// So many went since the list was last tidied.
    gone: usize,
    closed: bool,
}

struct Subscriber {
    slow: Slow,
    room: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Arc<Item>>,
    /// Left out before them.
    missed: u64,
    end: Option<End>,
    /// The stream's.
    reader: Option<Waker>,
    /// Those of who wait for room.
    writers: Vec<Waker>,
}

#[derive(Clone, Copy)]
enum End {
    Closed,
    TooSlow,
    /// Nobody reads it.
    Dropped,
}

struct Item {
    bytes: SmallBytes,
    passed: Vec<Passed>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks, so a poisoned one is still consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Serialize> Broadcast<T> {
    /// Without subscribers.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { subscribers: Mutex::default() }), _items: PhantomData }
    }

    /// A stream of what is sent from now on, to be returned by a method or passed to one. `room` is how many items may
    /// wait for it here, beside what is on its way to the reader; at least one.
    pub fn subscribe(&self, room: usize, slow: Slow) -> Streaming<T> {
        let room = if slow == Slow::Latest { 1 } else { room.max(1) };
        let subscriber = Arc::new(Subscriber { slow, room, queue: Mutex::default() });
        let mut subscribers = lock(&self.shared.subscribers);
        if subscribers.closed {
            lock(&subscriber.queue).end = Some(End::Closed);
        } else {
            subscribers.list.push(Arc::clone(&subscriber));
        }
        drop(subscribers);
        let shared = Arc::downgrade(&self.shared);
        Streaming::of_source(Subscription { subscriber, shared })
    }

    /// Sends an item to all subscribers; waits for those that block.
    ///
    /// # Cancel safety
    /// Dropped while it waits, all others have the item and those that it waits for do not.
    ///
    /// # Errors
    /// When the item cannot be encoded. Then nobody gets it.
    pub async fn send(&self, item: &T) -> Result<(), EncodeError> {
        let item = encode(item)?;
        let mut full = self.offer(&item, true);
        poll_fn(|cx| {
            full.retain(|subscriber| !subscriber.put_when_room(&item, cx));
            if full.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(())
    }

    /// Sends an item to all subscribers and waits for none.
    ///
    /// # Errors
    /// When the item cannot be encoded. Then nobody gets it.
    pub fn try_send(&self, item: &T) -> Result<(), EncodeError> {
        self.offer(&encode(item)?, false);
        Ok(())
    }

    /// Puts an item in all queues. Gives those that have no room and block, if somebody waits for them.
    fn offer(&self, item: &Arc<Item>, waits: bool) -> Vec<Arc<Subscriber>> {
        let mut wakers = Vec::new();
        let mut full = Vec::new();
        let subscribers = lock(&self.shared.subscribers);
        for subscriber in &subscribers.list {
            if !subscriber.put(item, waits, &mut wakers) {
                full.push(Arc::clone(subscriber));
            }
        }
        drop(subscribers);
        wakers.into_iter().for_each(Waker::wake);
        full
    }
}

impl<T> Broadcast<T> {
    /// How many subscribers there are.
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
        Self { shared: Arc::clone(&self.shared), _items: PhantomData }
    }
}

impl<T: Serialize> Default for Broadcast<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("subscribers", &self.subscribers()).finish_non_exhaustive()
    }
}

impl Shared {
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

/// No clone of the broadcast is left.
impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

fn encode<T: Serialize>(item: &T) -> Result<Arc<Item>, EncodeError> {
    let mut passed = Vec::new();
    let bytes = object::writing(&mut passed, || SmallBytes::encode(|out| codec::encode(item, out)))?;
    Ok(Arc::new(Item { bytes, passed }))
}

impl Subscriber {
    /// Takes the item, or says that it must be waited for.
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
                    queue.items.clear();
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

    /// Takes the item if there is room, or nobody to read it. Wakes `cx` when that may be.
    fn put_when_room(&self, item: &Arc<Item>, cx: &mut Context<'_>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.end.is_some() {
            return true;
        }
        if queue.items.len() >= self.room {
            if !queue.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
                queue.writers.push(cx.waker().clone());
            }
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
        queue.end.get_or_insert(end);
        let wakers: Vec<Waker> =
            std::mem::take(&mut queue.writers).into_iter().chain(queue.reader.take()).collect();
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The source of one subscriber's stream.
struct Subscription {
    subscriber: Arc<Subscriber>,
    shared: Weak<Shared>,
}

impl Source for Subscription {
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        while fill.has_room() {
            let mut queue = lock(&self.subscriber.queue);
            let missed = std::mem::take(&mut queue.missed);
            let item = queue.items.pop_front();
            let writers = std::mem::take(&mut queue.writers);
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
                    let reason = "the subscriber fell behind the broadcast".into();
                    fill.end(Ending::Failed(Failure::Unreachable { reason }));
                }
                (None, Some(End::Closed | End::Dropped)) => fill.end(Ending::Complete),
                (None, None) => {}
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.subscriber.end(End::Dropped);
        let Some(shared) = self.shared.upgrade() else { return };
        let mut subscribers = lock(&shared.subscribers);
        if subscribers.closed {
            return;
        }
        subscribers.gone += 1;
        // One by one would cost the square of their number when many leave.
        if 2 * subscribers.gone >= subscribers.list.len() {
            let is_here =
                |subscriber: &Arc<Subscriber>| !matches!(lock(&subscriber.queue).end, Some(End::Dropped));
            subscribers.list.retain(is_here);
            subscribers.gone = 0;
        }
        drop(subscribers);
    }
}
