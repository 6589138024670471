//! Streams as values: made from any producer on one side, read as a `futures::Stream` on the other.
//!
//! Like a client, a stream inside an argument, a result or another stream's item is written as its place in the table that
//! travels beside the payload (`value/stream.rs`). The stream itself lies in a slot that the value and the tables share. The
//! first to read or send it takes it out of the slot; everybody else finds it taken.
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
/// A stream is made from a producer — [`new`](Self::new) of any `Stream`, [`from_iter`](Self::from_iter),
/// [`channel`](Self::channel), a [`Broadcast`] — and passed like any other value. The receiver reads it as a
/// `futures::Stream` of `Result<T, StreamError<E>>`. So a method that takes a stream is an upload, a method that returns one is
/// a subscription, and a method that does both is a two-way conversation.
///
/// * **Backpressure.** The producer is polled only when the reader has room: a reader that stops stops the producer, wherever
///   the two are, and no item is dropped in between. The window of unread items starts at
///   [`Limits::stream_window_bytes`](crate::Limits::stream_window_bytes) and adapts to the link. Other calls and streams of
///   the session are not held up, unless items of tens of megabytes wait for readers that do not come.
/// * **One reader.** A stream can be read or passed on once: a second reader gets [`StreamError::Taken`], and a call that
///   passes it again is refused. A value that could not be encoded takes nothing.
/// * **End.** A stream ends as its producer does, exactly once: complete, with a typed error of its own (`E`; see
///   [`try_new`](Self::try_new)), or with another [`StreamError`]. After the end there is `None`.
/// * **Drop.** Dropping a stream stops the producer, which is dropped in turn and can know why ([`StreamSender`]). Until its
///   end or its drop, a stream keeps its session open, on either side. Dropping anything else does not end it.
/// * **Passing on.** A stream can be passed on, also after a part was read. Its items flow through this side without being
///   decoded or piled up. A promise of a stream can be an argument of a later call, which then runs next to the producer.
/// * **Deadline.** The deadline of a call does not apply to the streams in its arguments and its result. For a single item,
///   use `tokio::time::timeout(limit, stream.next())`.
/// * **Items** can be anything that arguments can, clients and further streams included. [`bytes::Bytes`] are not serialised
///   byte by byte, and long ones are not copied before they are sent.
///
/// # Cancel safety
/// `next()` and other futures that poll the stream hold no item: if one is dropped, the next one gets the item.
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
    /// The stream, once the first poll has taken it out of the slot.
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

/// Any `futures::Stream`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no stream of items",
    label = "not a `futures::Stream`",
    note = "`Streaming::from_iter(…)` makes a stream of a list or an iterator, `Streaming::channel(…)` one with a sender"
)]
#[doc(hidden)]
pub trait Items: Stream {}

#[diagnostic::do_not_recommend]
impl<S: Stream> Items for S {}

/// A stream with several readers. No stream has it.
#[diagnostic::on_unimplemented(
    message = "a stream has one reader, so it cannot be cloned",
    label = "`Streaming` is passed or read once",
    note = "for several readers make the stream of a `Broadcast`: each `broadcast.subscribe(…)` is a stream of its own; or ask the peer for a second stream"
)]
#[doc(hidden)]
pub trait SeveralReaders {}

// Does not compile, and says why.
#[doc(hidden)]
impl<T, E> Streaming<T, E> {
    #[expect(
        clippy::should_implement_trait,
        reason = "the trait would be found with its bound only, as missing"
    )]
    pub fn clone(&self) -> Self
    where
        (T, E): SeveralReaders,
    {
        unreachable!("no stream has the bound")
    }
}

impl<T: Serialize + Send + 'static> Streaming<T> {
    /// Makes a stream from the items of any `Stream`.
    ///
    /// The producer is polled on a task of its own, when the reader has room for more. It lives longer than the call that it
    /// travels in, so it must own what it needs: clone that out of `self`.
    pub fn new(stream: impl Items<Item = T> + Send + 'static) -> Self {
        Self::try_new(stream.map(Ok))
    }

    /// Makes a stream from the items of an iterator, which must not block.
    #[expect(
        clippy::should_implement_trait,
        reason = "`collect` would hide that the iterator is not run here"
    )]
    pub fn from_iter(items: impl IntoIterator<Item = T, IntoIter: Send + 'static>) -> Self {
        Self::new(stream::iter(items))
    }
}

impl<T: Serialize + Send + 'static, E: Serialize + Send + 'static> Streaming<T, E> {
    /// Makes a stream from a `Stream` of results. The first error ends it, and reaches the reader as [`StreamError::Failed`].
    pub fn try_new(stream: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self {
        Self::of_source(FromStream::new(stream))
    }

    /// Makes a stream and a sender that puts items into it. `capacity` items, and one more for each sender, wait here for credit;
    /// with more, senders wait, also before the stream is passed. The stream ends only when all senders are gone: drop or finish
    /// them before you wait for a call that reads to the end. If the item type cannot be inferred: `Streaming::<T>::channel(16)`.
    pub fn channel(capacity: usize) -> (StreamSender<T, E>, Self) {
        let (sender, source) = channel::channel(capacity);
        (sender, Self::of_source(source))
    }
}

impl<T> Streaming<T> {
    /// Converts a stream that cannot fail by itself into one with an error type.
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

    /// Asks the producer for an item only when the reader has taken the one before: for items that are expensive to make, or that
    /// become stale while they wait. Each item then takes a round trip. The side that sends a stream chooses this; it does not
    /// change how a peer sends a stream to this side.
    pub fn one_by_one(mut self) -> Self {
        if let Some(mut reading) = Reading::take(&self.slot) {
            reading.flow = Flow::OneByOne;
            self.slot = StreamSlot::new(StreamContent::Opened(reading), Flow::OneByOne);
        }
        self
    }

    /// Stops the producer with a reason, which it sees as [`StopReason::Refused`]. If the stream is merely dropped, the producer
    /// sees [`StopReason::NotWanted`].
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
    /// Waits for the next item or error; `None` after the end. `futures::StreamExt` has a `next` as well, and all other
    /// combinators.
    ///
    /// # Cancel safety
    /// If the future is dropped, no item is lost: the next call gets it.
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
        // A stream that was read in part goes on from there.
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

    /// Called only by layout tracing, which hands out one item and one error to learn their layouts.
    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        if let Some(item) = parts.next_element::<T>()? {
            layout::offer(&item);
        }
        // The layout of a stream without an error type has `()` in the error's place.
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
