//! Streams inside values, and the pieces that streams travel in.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    buffer::small_bytes::SmallBytes,
    error::CloseReason,
    panics::drop_quietly,
    sync::lock,
    value::{encoded::Encoded, inlet::InletReader},
    wire::{Failure, Flow, items_charge},
};

/// The place of a stream inside a value, until somebody takes the stream.
pub(crate) struct StreamSlot {
    flow: Flow,
    content: Mutex<Option<TakenStream>>,
}

/// A stream that somebody has taken.
pub(crate) struct TakenStream {
    pub(crate) content: StreamContent,
    /// The session that objects in its items call through, if it is known.
    pub(crate) session: Option<Arc<dyn Any + Send + Sync>>,
}

impl From<StreamContent> for TakenStream {
    fn from(content: StreamContent) -> Self {
        Self { content, session: None }
    }
}

pub(crate) enum StreamContent {
    /// A stream of the peer that nobody has begun to read.
    Arrived(InletReader),
    /// A stream that this process produces, or that was read in part: a `Reading` of `stream/`.
    Opened(Box<dyn Any + Send>),
}

/// A piece of a stream on its way.
pub(crate) enum Piece {
    /// `count` items, one behind the other, each preceded by its length.
    Items { count: u64, items: Encoded },
    /// A long item. Until it is sent, its first bytes may lie apart in `head`.
    Large { head: SmallBytes, item: Encoded },
    /// The producer left out this number of items.
    Missed(u64),
    /// The end of the stream.
    End(Ending),
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Complete,
    Error(Encoded),
    /// The producer was dropped before the end.
    Abandoned,
    /// The reader dropped the stream.
    Stopped,
    Failed(Failure),
    Disconnected(CloseReason),
}

impl Piece {
    /// The credit that the piece takes from its stream.
    pub(crate) fn charge(&self) -> u64 {
        let objects = |encoded: &Encoded| encoded.capabilities.as_ref().map_or(0, |table| table.len());
        match self {
            Self::Items { count, items } => items_charge(*count, items.len(), objects(items)),
            Self::Large { head, item } => items_charge(1, head.len() + item.len(), objects(item)),
            Self::Missed(_) | Self::End(_) => 0,
        }
    }
}

// ---- travelling ----

impl StreamSlot {
    pub(crate) fn new(content: impl Into<TakenStream>, flow: Flow) -> Arc<Self> {
        Arc::new(Self { flow, content: Mutex::new(Some(content.into())) })
    }

    /// The slot of a stream that was taken before.
    pub(crate) fn taken() -> Arc<Self> {
        Arc::new(Self { flow: Flow::default(), content: Mutex::default() })
    }

    /// How far the producer may be ahead of the reader.
    pub(crate) fn flow(&self) -> Flow {
        self.flow
    }

    fn lock(&self) -> MutexGuard<'_, Option<TakenStream>> {
        lock(&self.content)
    }

    /// Takes the stream; `None` if it was taken before.
    pub(crate) fn take(&self) -> Option<TakenStream> {
        self.lock().take()
    }

    /// Takes the stream and puts it into a new slot, which only the caller has.
    pub(crate) fn claim(&self) -> Option<Arc<Self>> {
        let content = self.take()?;
        Some(Self::new(content, self.flow))
    }

    /// Puts a stream back that was taken.
    pub(crate) fn put(&self, content: StreamContent) {
        *self.lock() = Some(content.into());
    }

    /// Sets the session that objects in the stream's items call through, unless it is set already.
    pub(crate) fn belongs_to(&self, session: &Arc<impl Any + Send + Sync>) {
        if let Some(stream) = &mut *self.lock()
            && stream.session.is_none()
        {
            stream.session = Some(Arc::<_>::clone(session) as Arc<dyn Any + Send + Sync>);
        }
    }
}

/// The producer is user code, whose `Drop` may panic; the panic must not end the session.
impl Drop for StreamSlot {
    fn drop(&mut self) {
        drop_quietly(self.take(), "a stream");
    }
}

impl fmt::Debug for StreamSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.lock().is_some() { "StreamSlot(open)" } else { "StreamSlot(taken)" })
    }
}
