//! Streams that are read, whether their items come from a peer or a producer in this process.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    task::{Context, Poll, ready},
};

use serde::de::DeserializeOwned;

use crate::{
    buffer::{message::LONG_BYTES, small_bytes::SmallBytes},
    caller::passing,
    error::{DecodeError, StreamError},
    link::{Handle, Link},
    stream::source::{Fill, Source, poll_fill},
    value::{
        encoded::{Capabilities, Encoded},
        inlet::InletReader,
        stream::{Ending, Piece, StreamContent, StreamSlot, TakenStream},
    },
    wire::{Failure, Flow, arguments::ItemReader},
};

/// Local streams are read in portions of this.
const LOCAL_BYTES: i64 = 16 << 10;

/// A stream that is being read, or can be.
pub(crate) struct Reading {
    pub(super) content: Content,
    /// Items that are handed out one by one.
    pub(super) open: Option<Open>,
    /// What comes behind them.
    pub(super) pieces: VecDeque<Piece>,
    /// How far ahead of its reader its producer may be.
    pub(super) flow: Flow,
    /// Of the session that its items call through; keeps it open.
    handle: Option<Arc<Handle>>,
}

pub(crate) enum Content {
    /// Made in this process.
    Source(Box<dyn Source>),
    /// Of a peer.
    Inlet(InletReader),
}

impl Reading {
    fn new(content: Content, flow: Flow) -> Box<Self> {
        Box::new(Self { content, open: None, pieces: VecDeque::new(), flow, handle: None })
    }

    fn of(stream: TakenStream, flow: Flow) -> Option<Box<Self>> {
        let mut reading = match stream.content {
            StreamContent::Arrived(reader) => Self::new(Content::Inlet(reader), flow),
            StreamContent::Opened(reading) => reading.downcast().ok()?,
        };
        let session = || stream.session?.downcast::<Handle>().ok();
        reading.handle = reading.handle.or_else(session);
        Some(reading)
    }

    /// A slot that a stream of this process waits in.
    pub(crate) fn slot_of(source: impl Source + 'static) -> Arc<StreamSlot> {
        let reading = Self::new(Content::Source(Box::new(source)), Flow::Window);
        StreamSlot::new(StreamContent::Opened(reading), Flow::Window)
    }

    /// Takes the stream out of its slot, if nobody has.
    pub(crate) fn take(slot: &StreamSlot) -> Option<Box<Self>> {
        Self::of(slot.take()?, slot.flow())
    }

    /// The next item, as the reader gets it: each move of it on the way there costs as much as decoding a short one. All
    /// but items and what was missed is the end.
    pub(super) fn poll_item<T, E>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, StreamError<E>>>>
    where
        T: DeserializeOwned + 'static,
        E: DeserializeOwned,
    {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(range) = open.reader.next_range() {
                    let bytes = open.reader.bytes();
                    return match decode::<T>(bytes, range, &open.capabilities, self.handle.as_ref()) {
                        Ok(item) => Poll::Ready(Some(Ok(item))),
                        Err(error) => Poll::Ready(Some(Err(StreamError::BadItem(error)))),
                    };
                }
                self.open = None;
            }
            match ready!(self.poll_piece(cx)) {
                Piece::Items { items, .. } => self.open = Some(Open::new(items)),
                Piece::Large { head, item } => {
                    let item = decode_large::<T>(&head, item, self.handle.as_ref());
                    return Poll::Ready(Some(item.map_err(StreamError::BadItem)));
                }
                Piece::Missed(count) => return Poll::Ready(Some(Err(StreamError::Missed { count }))),
                Piece::End(ending) => return Poll::Ready(self.error(ending).map(Err)),
            }
        }
    }

    /// What comes next, items that were not handed out included.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        match self.open.take() {
            Some(open) => Poll::Ready(open.into_rest()),
            None => self.poll_piece(cx),
        }
    }

    /// The objects of an item, as they are passed to the peer of `link`.
    pub(crate) fn onto(&self, item: &mut Encoded, link: &Arc<Link>) {
        passing::onto_item(item, self.handle.as_ref(), link);
    }

    /// The next part that has not been taken apart.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(piece);
            }
            match &mut self.content {
                Content::Inlet(reader) => return reader.poll(cx),
                Content::Source(source) => {
                    let handle = self.handle.as_ref().unwrap_or(Handle::never_open());
                    let room = if self.flow == Flow::OneByOne { 1 } else { LOCAL_BYTES };
                    let mut fill = Fill::new(&handle.link, room);
                    let polled = poll_fill(&mut **source, cx, &mut fill);
                    self.pieces.extend(fill.finish());
                    if polled.is_pending() && self.pieces.is_empty() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// How the reader learns of an end; `None` if it is complete.
    fn error<E: DeserializeOwned>(&self, ending: Ending) -> Option<StreamError<E>> {
        let handle = self.handle.as_ref().unwrap_or(Handle::never_open());
        Some(match ending {
            Ending::Complete => return None,
            Ending::Error(Encoded { bytes, capabilities }) => {
                passing::decode(&bytes, &capabilities, handle, handle.link.budget)
                    .map_or_else(StreamError::BadItem, StreamError::Failed)
            }
            Ending::Abandoned | Ending::Stopped => StreamError::Abandoned,
            Ending::Failed(Failure::Panicked) => StreamError::Panicked,
            Ending::Failed(Failure::Unreachable { reason }) => StreamError::Broken { reason },
            Ending::Failed(failure) => StreamError::Broken { reason: failure.to_string() },
            Ending::Disconnected(reason) => StreamError::Disconnected(reason),
        })
    }
}

/// Items that lie one behind the other.
pub(crate) struct Open {
    reader: ItemReader,
    capabilities: Capabilities,
}

impl Open {
    pub(super) fn new(items: Encoded) -> Self {
        Self { reader: ItemReader::new(items.bytes), capabilities: items.capabilities }
    }

    fn into_rest(self) -> Piece {
        let Self { reader, capabilities } = self;
        let bytes = reader.into_rest();
        Piece::Items { count: 1, items: Encoded { bytes, capabilities } }
    }

    pub(super) fn next_encoded(&mut self) -> Option<Encoded> {
        let range = self.reader.next_range()?;
        Some(Encoded { bytes: self.reader.bytes().part(range), capabilities: self.capabilities.clone() })
    }
}

/// Inlined, so that a short item is made where its reader gets it.
#[inline(always)]
fn decode<T: DeserializeOwned + 'static>(
    bytes: &SmallBytes,
    range: Range<usize>,
    capabilities: &Capabilities,
    handle: Option<&Arc<Handle>>,
) -> Result<T, DecodeError> {
    let handle = handle.unwrap_or(Handle::never_open());
    // Items that are little of the message they came in were copied out of it when it was read.
    passing::decode_part(bytes, range, capabilities, handle, handle.link.budget, LONG_BYTES)
}

#[inline(never)]
fn decode_large<T: DeserializeOwned + 'static>(
    head: &[u8],
    item: Encoded,
    handle: Option<&Arc<Handle>>,
) -> Result<T, DecodeError> {
    let bytes = match head.is_empty() {
        true => item.bytes,
        false => [head, &item.bytes].concat().into(),
    };
    decode(&bytes, 0..bytes.len(), &item.capabilities, handle)
}
