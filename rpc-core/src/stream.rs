//! Streams as values: made of any producer on one side, read as a `futures::Stream` on the other.
//!
//! Like a client, a stream inside an argument, a result or another stream's item is written as its place in the table that
//! travels beside the payload (`object.rs`). What it stands for lies in a slot that the value and the tables share; who
//! reads it, or sends it, takes it out, and whoever comes later finds it taken.
//!
//! ```text
//! user's Stream ─▶ Source ─▶ pump, a task (driver/streams.rs) ─▶ session/streams.rs ═▶ peer
//! peer ═▶ session/streams.rs ─▶ Inlet ─▶ Streaming<T> ─▶ user
//!                                   └──▶ as a Source again, for a third party
//! ```

use std::{
    any::type_name,
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt, stream};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};

use self::source::FromStream;
use crate::{
    caller::passing,
    error::{StopReason, StreamError},
    never::Never,
    schema::{layout, markers::STREAM},
    stream::{reading::Reading, source::Source},
    sync::lock,
    value::stream::{StreamContent, StreamSlot},
    wire::Flow,
};

pub use self::{
    broadcast::{Broadcast, Slow},
    channel::StreamSender,
};

mod broadcast;
mod channel;
pub(crate) mod pipe;
pub(crate) mod reading;
pub(crate) mod source;

/// A stream of `T`, as an argument, a result, or anywhere inside of one.
///
/// It is made of a producer — [`new`](Self::new) of any `Stream`, [`from_iter`](Self::from_iter),
/// [`channel`](Self::channel), a [`Broadcast`] — and given away like any other value; who gets it reads it as a
/// `futures::Stream` of `Result<T, StreamError<E>>`. So a method that takes one is uploaded to, one that returns one can be
/// subscribed to, and one that does both talks both ways.
///
/// * **Bounded.** The producer is polled only when the reader has room: a reader that stops stops it, wherever the two
///   are, and nothing is dropped in between. What may be on its way is
///   [`Limits::stream_window_bytes`](crate::Limits::stream_window_bytes) and adapts to the link. Other calls
///   and streams of the session do not notice, unless items of tens of megabytes wait for readers that do not come.
/// * **Once.** It can be read, or passed on, by one: the second finds [`StreamError::Taken`], or has its call refused. A
///   value that could not be encoded takes nothing.
/// * **Ends as its producer does**: completely, with a typed error of its own (`E`; see [`try_new`](Self::try_new)), or
///   with another [`StreamError`], exactly once; after that there is `None`.
/// * **Dropped, it stops the producer**, which is dropped in turn and can know why ([`StreamSender`]). It keeps its session
///   open until then, as one that is being sent does; nothing else that is dropped ends it.
/// * **Passed on**, also when a part was read, its items flow through this side without being decoded or piled up. A
///   promise of one can be an argument of a later call, which then runs next to the producer.
/// * **A deadline** is that of the call, not of the streams in its arguments and its result; for a single item there is
///   `tokio::time::timeout(limit, stream.next())`.
/// * Items can be anything that arguments can, clients and further streams included. [`bytes::Bytes`] travel without being
///   looked at, and long ones without being copied before they are sent.
///
/// # Cancel safety
/// `next()` and what else polls it hold nothing: dropped, the item is still there for the next.
///
/// # Example
/// ```
/// use futures::StreamExt;
/// use rpc_core::{Services, Streaming, memory, rpc};
///
/// #[rpc]
/// trait Numbers {
///     async fn upto(&self, end: u64) -> Streaming<u64>;
///     async fn sum(&self, numbers: Streaming<u64>) -> u64;
/// }
/// struct Counting;
/// impl Numbers for Counting {
///     async fn upto(&self, end: u64) -> Streaming<u64> {
///         Streaming::from_iter(0..end)
///     }
///     async fn sum(&self, numbers: Streaming<u64>) -> u64 {
///         numbers.filter_map(async |number| number.ok()).fold(0, async |sum, number| sum + number).await
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers: NumbersClient = memory::connect(Services::new().with(NumbersServer::new(Counting))).service();
/// let mut three = numbers.upto(3).await?;
/// while let Some(number) = three.next().await {
///     println!("{}", number?);
/// }
/// assert_eq!(numbers.sum(Streaming::from_iter([1, 2, 3])).await?, 6);
/// assert_eq!(numbers.sum(numbers.upto(4)).await?, 6); // never came by here
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream that is dropped stops its producer"]
pub struct Streaming<T, E = Never> {
    slot: Arc<StreamSlot>,
    /// Taken out of the slot by the first poll.
    reading: Mutex<Option<Box<Reading>>>,
    state: State,
    _types: PhantomData<fn() -> (T, E)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Over,
}

// ---- making ----

impl<T: Serialize + Send + 'static> Streaming<T> {
    /// Of the items of any stream.
    ///
    /// It is polled on a task of its own, when the reader has room for more. It lives longer than the call that it travels in, so
    /// it owns what it needs: clone that out of `self`.
    pub fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self::try_new(stream.map(Ok))
    }

    /// Of the items of an iterator, which must not block.
    #[expect(
        clippy::should_implement_trait,
        reason = "`collect` would hide that the iterator is not run here"
    )]
    pub fn from_iter(items: impl IntoIterator<Item = T, IntoIter: Send + 'static>) -> Self {
        Self::new(stream::iter(items))
    }
}

impl<T: Serialize + Send + 'static, E: Serialize + Send + 'static> Streaming<T, E> {
    /// Of the items of a stream that may fail: its first error ends it, and reaches the reader as
    /// [`StreamError::Failed`].
    pub fn try_new(stream: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self {
        Self::of_source(FromStream::new(stream))
    }

    /// A stream and what puts items in it. `capacity` items, and one a sender, wait here for credit; more make the senders
    /// wait, also before the stream is given away. Its reader waits for the end as long as a sender is there: drop or finish
    /// all before you wait for a call that reads to the end. Where nothing else says what it carries: `Streaming::<T>::channel(16)`.
    pub fn channel(capacity: usize) -> (StreamSender<T, E>, Self) {
        let (sender, source) = channel::channel(capacity);
        (sender, Self::of_source(source))
    }
}

impl<T> Streaming<T> {
    /// The same stream where one with an error of its own is due.
    pub fn widen<E>(self) -> Streaming<T, E> {
        let Self { slot, reading, state, .. } = self;
        Streaming { slot, reading, state, _types: PhantomData }
    }
}

impl<T, E> Streaming<T, E> {
    fn at(slot: Arc<StreamSlot>) -> Self {
        Self { slot, reading: Mutex::default(), state: State::Open, _types: PhantomData }
    }

    pub(crate) fn of_source(source: impl Source + 'static) -> Self {
        Self::at(Reading::slot_of(source))
    }

    /// The same stream, whose producer is asked for an item when the reader has taken the one before: for what is expensive to
    /// make, or stale when it waits. Each item takes a round trip then. Of a stream that a peer sends, it is the peer who can
    /// say this.
    pub fn one_by_one(mut self) -> Self {
        if let Some(mut reading) = Reading::take(&self.slot) {
            reading.flow = Flow::OneByOne;
            self.slot = StreamSlot::new(StreamContent::Opened(reading), Flow::OneByOne);
        }
        self
    }

    /// Stops the producer and says why, in words that it sees as [`StopReason::Refused`]. Merely dropped, it sees
    /// [`StopReason::NotWanted`].
    pub fn refuse(mut self, reason: impl Into<String>) {
        self.stop_for(reason.into());
    }

    fn stop_for(&mut self, reason: String) {
        let own = self.reading.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut reading) = own.or_else(|| Reading::take(&self.slot)) {
            reading.stopped(&StopReason::Refused { reason });
        }
        self.state = State::Over;
    }
}

// ---- reading ----

impl<T: DeserializeOwned + 'static, E: DeserializeOwned + 'static> Streaming<T, E> {
    /// The next item, why there is none, or `None` behind the end. `futures::StreamExt`, which has one as well, has what else
    /// can be done with a stream.
    ///
    /// # Cancel safety
    /// Dropped, the item is still there for the next.
    #[expect(clippy::should_implement_trait, reason = "the asynchronous one; it is what users look for")]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<T, StreamError<E>>>> + Send + '_ {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
    }
}

impl<T: DeserializeOwned + 'static, E: DeserializeOwned + 'static> Stream for Streaming<T, E> {
    type Item = Result<T, StreamError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.state == State::Over {
            return Poll::Ready(None);
        }
        let reading = stream.reading.get_mut().unwrap_or_else(PoisonError::into_inner);
        if reading.is_none() {
            *reading = Reading::take(&stream.slot);
        }
        let Some(reading) = reading else {
            stream.state = State::Over;
            return Poll::Ready(Some(Err(StreamError::Taken)));
        };
        let next = ready!(reading.poll_item::<T, E>(cx));
        if matches!(next, Some(Ok(_) | Err(StreamError::Missed { .. }))) {
            return Poll::Ready(next);
        }
        if let Some(Err(StreamError::BadItem(reason))) = &next {
            let reason = format!("an item could not be decoded: {reason}");
            stream.stop_for(reason);
        }
        stream.state = State::Over;
        *stream.reading.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        Poll::Ready(next)
    }
}

impl<T, E> Serialize for Streaming<T, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What was read in part goes on from there.
        if let Some(reading) = lock(&self.reading).take() {
            self.slot.put(StreamContent::Opened(reading));
        }
        passing::serialize_stream(&self.slot, serializer)
    }
}

impl<'de, T, E> Deserialize<'de> for Streaming<T, E>
where
    T: Serialize + DeserializeOwned,
    E: Serialize + DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(STREAM, StreamVisitor(PhantomData))
    }
}

struct StreamVisitor<T, E>(PhantomData<fn() -> (T, E)>);

impl<'de, T, E> Visitor<'de> for StreamVisitor<T, E>
where
    T: Serialize + DeserializeOwned,
    E: Serialize + DeserializeOwned,
{
    type Value = Streaming<T, E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        passing::deserialize_stream(deserializer).map(Streaming::at)
    }

    /// How tracing learns what items and errors are made of: it hands out one of each.
    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        if let Some(item) = parts.next_element::<T>()? {
            layout::offer(&item);
        }
        // A stream that has no error of its own is not told apart by what it does not have.
        if type_name::<E>() == type_name::<Never>() {
            parts.next_element::<()>()?;
        } else if let Some(error) = parts.next_element::<E>()? {
            layout::offer(&error);
        }
        Ok(Streaming::at(StreamSlot::taken()))
    }
}

impl<T, E> fmt::Debug for Streaming<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}
