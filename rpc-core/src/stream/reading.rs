//! The reading side of a stream, whether its items come from a peer or from a producer in this process.

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

/// The bytes that a producer in this process is asked for at once.
const LOCAL_BYTES: i64 = 16 << 10;

/// A stream that somebody reads, or may still read.
pub(crate) struct Reading {
    pub(super) content: Content,
    /// Packed items that are being handed out one by one.
    pub(super) open: Option<Open>,
    /// Pieces behind the open items.
    pub(super) pieces: VecDeque<Piece>,
    /// How far the producer may be ahead of the reader.
    pub(super) flow: Flow,
    /// The session that objects in the items call through; the handle keeps it open.
    handle: Option<Arc<Handle>>,
}

pub(crate) enum Content {
    /// A producer in this process.
    Source(Box<dyn Source>),
    /// A stream of the peer.
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

    /// The slot of a stream with a producer in this process.
    pub(crate) fn slot_of(source: impl Source + 'static) -> Arc<StreamSlot> {
        let reading = Self::new(Content::Source(Box::new(source)), Flow::Window);
        StreamSlot::new(StreamContent::Opened(reading), Flow::Window)
    }

    /// Takes the stream out of its slot; `None` if it was taken before.
    pub(crate) fn take(slot: &StreamSlot) -> Option<Box<Self>> {
        Self::of(slot.take()?, slot.flow())
    }

    /// The next item, in the type the reader gets: each move of an item on the way costs as much as decoding a short one. Any
    /// result but an item or `Missed` is the end.
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

    /// The next piece, which may be the rest of the open items.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        match self.open.take() {
            Some(open) => Poll::Ready(open.into_rest()),
            None => self.poll_piece(cx),
        }
    }

    /// Turns the objects of an item into objects that the peer of `link` can be passed.
    pub(crate) fn onto(&self, item: &mut Encoded, link: &Arc<Link>) {
        passing::onto_item(item, self.handle.as_ref(), link);
    }

    /// The next piece behind the open items.
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

    /// The error that tells the reader of an end; `None` if the stream is complete.
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

/// A piece of packed items, one behind the other, that is being read.
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

/// Decodes an item. Inlined, so that a short item is built in the place where its reader gets it.
#[inline(always)]
fn decode<T: DeserializeOwned + 'static>(
    bytes: &SmallBytes,
    range: Range<usize>,
    capabilities: &Capabilities,
    handle: Option<&Arc<Handle>>,
) -> Result<T, DecodeError> {
    let handle = handle.unwrap_or(Handle::never_open());
    // Items that were only a small part of their message were copied out of it when it was read.
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
