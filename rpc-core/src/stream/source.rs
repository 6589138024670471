//! Producers of streams, and how their items are encoded and packed into pieces.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use futures::Stream;
use serde::Serialize;

use super::reading::{Content, Open, Reading};
use crate::{
    aside::LONG_BYTES,
    buffer::small_bytes::SmallBytes,
    caller::passing::{self, Passed},
    codec,
    error::{EncodeError, StopReason},
    handler::encoding::{self, EncodedAside},
    link::Link,
    panics,
    value::{
        encoded::{self, Capability, Encoded},
        stream::{Ending, Piece},
    },
    wire::{
        Failure, ITEMS_BYTES, items_charge,
        write::{self, put_sized},
    },
};

/// A producer of encoded items.
pub(crate) trait Source: Send {
    /// Adds items while there are any and there is room. Ready when the room is used up or the stream has ended; pending, with the
    /// items added so far, when the producer has no more yet.
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()>;

    /// Tells the producer that its items are not wanted any more. It is dropped next.
    fn stopped(&mut self, _reason: &StopReason) {}

    /// The part to tell at once that items are not wanted any more; the task that polls the producer drops it later.
    fn stop(&self) -> Option<Arc<dyn Stop>> {
        None
    }
}

/// The part of a producer that can be told on any thread, at once, that its items are not wanted any more.
pub(crate) trait Stop: Send + Sync {
    /// Stops taking items; returns the wakers of tasks that wait for the stop. The first reason counts.
    fn stop(&self, reason: &StopReason) -> Vec<Waker>;
}

/// Lets a producer add items. A producer is user code: its panic ends the stream, behind the items added before.
pub(crate) fn poll_fill(source: &mut dyn Source, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
    catch_unwind(AssertUnwindSafe(|| source.poll_fill(cx, fill))).unwrap_or_else(|panic| {
        crate::log_rate::log_rarely!(
            error,
            "the producer of a stream panicked: {}",
            panics::panic_text(&*panic)
        );
        fill.end(Ending::Failed(Failure::Panicked));
        Poll::Ready(())
    })
}

/// The pieces that a producer fills: items packed one behind the other, as far as there is credit for them.
pub(crate) struct Fill<'a> {
    /// The session that the items are for.
    link: &'a Arc<Link>,
    /// Credit that is left; below zero after an item that took more than was left.
    room: i64,
    packed: Vec<u8>,
    /// Where the last whole item ends in `packed`: an encoder that panics leaves half an item behind it.
    whole: usize,
    count: u64,
    pieces: Vec<Piece>,
    has_ended: bool,
    /// A long item is being encoded on another thread.
    is_encoding: bool,
}

impl<'a> Fill<'a> {
    /// A fill that takes items until they have used up `room`; the last item may exceed it.
    pub(crate) fn new(link: &'a Arc<Link>, room: i64) -> Self {
        Self {
            link,
            room,
            packed: Vec::new(),
            whole: 0,
            count: 0,
            pieces: Vec::new(),
            has_ended: false,
            is_encoding: false,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.room > 0 && !self.has_ended
    }

    /// Whether an item is being encoded on another thread, for which the producer waits.
    pub(crate) fn is_encoding(&self) -> bool {
        self.is_encoding
    }

    /// The pieces that were added.
    pub(crate) fn finish(mut self) -> Vec<Piece> {
        self.flush();
        self.pieces
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        self.link
    }

    /// Encodes and adds a short item. A long item is not added: `Err(None)`.
    pub(crate) fn short<T: Serialize + 'static>(&mut self, value: &T) -> Result<(), Option<EncodeError>> {
        if let Some((head, bytes)) = codec::long_byte_string(value) {
            self.bytes(&head, bytes);
            return Ok(());
        }
        let start = self.packed.len();
        let Self { packed, link, .. } = self;
        let depth_max = link.limits.decode_depth_max;
        let put = |out: &mut Vec<u8>| codec::encode_up_to(value, depth_max, LONG_BYTES, out);
        let (length, added) = passing::writing(0, || put_sized(packed, put));
        let length = length?;
        if added.is_empty() && length <= ITEMS_BYTES {
            self.packed_item(start);
            return Ok(());
        }
        let item = self.packed.split_off(self.packed.len() - length);
        self.packed.truncate(start);
        let capabilities = encoded::capabilities(added.capabilities(self.link));
        self.encoded(Encoded { bytes: item.into(), capabilities });
        Ok(())
    }

    /// Adds an item that is encoded already.
    pub(crate) fn encoded(&mut self, item: Encoded) {
        let objects = item.capabilities.as_ref().map_or(0, |table| table.len());
        if item.len() > ITEMS_BYTES {
            return self.alone(Piece::Large { head: SmallBytes::default(), item });
        }
        let start = self.packed.len();
        write::put_item_length(&mut self.packed, item.len());
        self.packed.extend_from_slice(&item.bytes);
        if objects == 0 {
            return self.packed_item(start);
        }
        let bytes = self.packed.split_off(start).into();
        let items = Encoded { bytes, capabilities: item.capabilities };
        self.alone(Piece::Items { count: 1, items });
    }

    /// Adds a byte string, without encoding it byte by byte.
    fn bytes(&mut self, head: &[u8], bytes: Bytes) {
        if head.len() + bytes.len() > ITEMS_BYTES {
            let item = Encoded { bytes: SmallBytes::from(bytes), capabilities: None };
            return self.alone(Piece::Large { head: SmallBytes::copy_from_slice(head), item });
        }
        let start = self.packed.len();
        write::put_item_length(&mut self.packed, head.len() + bytes.len());
        self.packed.extend_from_slice(head);
        self.packed.extend_from_slice(&bytes);
        self.packed_item(start);
    }

    /// Adds the notice that `count` items were left out at this point.
    pub(crate) fn missed(&mut self, count: u64) {
        self.flush();
        self.pieces.push(Piece::Missed(count));
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        self.flush();
        self.has_ended = true;
        self.pieces.push(Piece::End(ending));
    }

    /// Counts the bytes from `start` on as an item. If it does not fit behind the items before it, these become a piece of their
    /// own.
    fn packed_item(&mut self, start: usize) {
        let charge = i64::try_from(items_charge(1, self.packed.len() - start, 0)).unwrap_or(i64::MAX);
        if start > 0 && (charge > self.room || self.packed.len() > ITEMS_BYTES) {
            let item = self.packed.split_off(start);
            debug_assert_eq!(self.whole, start, "items lie one behind the other");
            self.flush();
            self.packed = item;
        }
        self.count += 1;
        self.whole = self.packed.len();
        self.room -= charge;
        // An item that took more than was left stays alone in its piece.
        if self.room <= 0 {
            self.flush();
        }
    }

    fn alone(&mut self, piece: Piece) {
        self.flush();
        self.room -= i64::try_from(piece.charge()).unwrap_or(i64::MAX);
        self.pieces.push(piece);
    }

    fn flush(&mut self) {
        if self.count > 0 {
            self.packed.truncate(std::mem::take(&mut self.whole));
            let next = Vec::with_capacity(if self.room > 0 { self.packed.len() } else { 0 });
            let bytes = std::mem::replace(&mut self.packed, next).into();
            let count = std::mem::take(&mut self.count);
            self.pieces.push(Piece::Items { count, items: Encoded { bytes, capabilities: None } });
        }
    }
}

/// The items of any `Stream`.
pub(super) struct FromStream<S> {
    stream: Pin<Box<S>>,
    long: LongItem,
}

impl<S> FromStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream: Box::pin(stream), long: LongItem::default() }
    }
}

impl<S, T, E> Source for FromStream<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: Serialize + Send + 'static,
    E: Serialize,
{
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        ready!(self.long.poll(cx, fill));
        while fill.has_room() {
            match ready!(self.stream.as_mut().poll_next(cx)) {
                Some(item) => ready!(self.long.put(cx, fill, item)),
                None => fill.end(Ending::Complete),
            }
        }
        Poll::Ready(())
    }
}

/// The item of a stream that is being encoded on another thread, if any; items behind it wait.
#[derive(Default)]
pub(super) struct LongItem(Option<EncodedAside>);

impl LongItem {
    /// Adds an item, or the error that ends its stream. Pending while the item is being encoded on another thread.
    pub(super) fn put<T: Serialize + Send + 'static, E: Serialize>(
        &mut self,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
        item: Result<T, E>,
    ) -> Poll<()> {
        match item {
            Ok(item) => match fill.short(&item) {
                Ok(()) => {}
                Err(None) => {
                    self.0 = Some(encoding::encode_aside(item, fill.link()));
                    return self.poll(cx, fill);
                }
                Err(Some(error)) => fill.end(unencodable(&error)),
            },
            Err(error) => fill.end(match encoding::encode(&error, fill.link()) {
                Ok((bytes, objects)) => {
                    Ending::Error(Encoded { bytes, capabilities: encoded::capabilities(objects) })
                }
                Err(error) => unencodable(&error),
            }),
        }
        Poll::Ready(())
    }

    /// Adds the long item, if there is one, as soon as it is encoded.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        let Some(item) = &mut self.0 else { return Poll::Ready(()) };
        fill.is_encoding = true;
        let encoded = ready!(Pin::new(item).poll(cx));
        fill.is_encoding = false;
        self.0 = None;
        match encoded {
            Ok((bytes, objects)) => {
                fill.encoded(Encoded { bytes, capabilities: encoded::capabilities(objects) });
            }
            Err(error) => fill.end(unencodable(&error)),
        }
        Poll::Ready(())
    }
}

fn unencodable(error: &EncodeError) -> Ending {
    Ending::Failed(Failure::InvalidArgument { argument: "(item)".into(), reason: error.to_string() })
}

/// Adds an item that was encoded once for many streams.
pub(super) fn put_passed(fill: &mut Fill<'_>, bytes: &SmallBytes, passed: &[Passed]) {
    let capabilities = encoded::capabilities(Capability::of_all(passed, fill.link()));
    fill.encoded(Encoded { bytes: bytes.clone(), capabilities });
}

/// A received stream as the producer of one that is passed on to a peer. Its items stay encoded.
impl Source for Reading {
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        // A local producer that nobody has begun to read fills directly.
        if let (Content::Source(source), None, true) = (&mut self.content, &self.open, self.pieces.is_empty())
        {
            return source.poll_fill(cx, fill);
        }
        while fill.has_room() {
            let piece = match &mut self.open {
                Some(open) => match open.next_encoded() {
                    Some(mut item) => {
                        self.onto(&mut item, fill.link());
                        fill.encoded(item);
                        continue;
                    }
                    None => {
                        self.open = None;
                        continue;
                    }
                },
                None => ready!(self.poll_piece(cx)),
            };
            match piece {
                Piece::Items { count: _, items } => self.open = Some(Open::new(items)),
                Piece::Large { head, mut item } => {
                    self.onto(&mut item, fill.link());
                    fill.alone(Piece::Large { head, item });
                }
                Piece::Missed(count) => fill.missed(count),
                Piece::End(Ending::Error(mut error)) => {
                    self.onto(&mut error, fill.link());
                    fill.end(Ending::Error(error));
                }
                Piece::End(ending) => fill.end(ending),
            }
        }
        Poll::Ready(())
    }

    fn stop(&self) -> Option<Arc<dyn Stop>> {
        match &self.content {
            Content::Source(source) => source.stop(),
            Content::Inlet(_) => None,
        }
    }

    fn stopped(&mut self, reason: &StopReason) {
        match &mut self.content {
            Content::Source(source) => source.stopped(reason),
            Content::Inlet(reader) => match reason {
                StopReason::NotWanted => {}
                StopReason::Refused { reason } => reader.refuse(reason.clone()),
                StopReason::Disconnected(reason) => {
                    reader.refuse(format!("it was passed on to a session that is over: {reason}"));
                }
            },
        }
    }
}
