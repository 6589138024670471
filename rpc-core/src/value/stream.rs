//! Streams as they lie in values, and the pieces that they travel in.

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

/// What a stream stands for, until somebody takes it.
pub(crate) struct StreamSlot {
    flow: Flow,
    content: Mutex<Option<TakenStream>>,
}

/// A stream that somebody has taken.
pub(crate) struct TakenStream {
    pub(crate) content: StreamContent,
    /// The session that its items call through, if that is known.
    pub(crate) session: Option<Arc<dyn Any + Send + Sync>>,
}

impl From<StreamContent> for TakenStream {
    fn from(content: StreamContent) -> Self {
        Self { content, session: None }
    }
}

pub(crate) enum StreamContent {
    /// A stream of a peer, of which nothing was read.
    Arrived(InletReader),
    /// A stream that this process produces, or that was read in part; whoever reads streams knows what it is.
    Opened(Box<dyn Any + Send>),
}

/// A part of a stream on its way.
pub(crate) enum Piece {
    /// `count` items, one behind the other, each after its length.
    Items { count: u64, items: Encoded },
    /// A long item. While it is to be sent, its first bytes may lie apart.
    Large { head: SmallBytes, item: Encoded },
    /// The producer left out this number of items.
    Missed(u64),
    /// Nothing comes behind it.
    End(Ending),
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Complete,
    Error(Encoded),
    /// Its producer was dropped first.
    Abandoned,
    /// The reader let go of it.
    Stopped,
    Failed(Failure),
    Disconnected(CloseReason),
}

impl Piece {
    /// What it takes of its stream's credit.
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

    /// How far ahead of its reader its producer may be.
    pub(crate) fn flow(&self) -> Flow {
        self.flow
    }

    fn lock(&self) -> MutexGuard<'_, Option<TakenStream>> {
        lock(&self.content)
    }

    /// Takes the stream, if nobody has.
    pub(crate) fn take(&self) -> Option<TakenStream> {
        self.lock().take()
    }

    /// Takes the stream for who passes it on.
    pub(crate) fn claim(&self) -> Option<Arc<Self>> {
        let content = self.take()?;
        Some(Self::new(content, self.flow))
    }

    /// Puts a stream back that was taken.
    pub(crate) fn put(&self, content: StreamContent) {
        *self.lock() = Some(content.into());
    }

    /// The items of the stream call through this session, unless it is known already through which.
    pub(crate) fn belongs_to(&self, session: &Arc<impl Any + Send + Sync>) {
        if let Some(stream) = &mut *self.lock()
            && stream.session.is_none()
        {
            stream.session = Some(Arc::<_>::clone(session) as Arc<dyn Any + Send + Sync>);
        }
    }
}

/// The producer is user code, whose `Drop` may panic; it must not take the session with it.
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
