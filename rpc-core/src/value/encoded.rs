//! Encoded values, and the table of capabilities (objects and streams) beside each.

use std::sync::Arc;

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::{self, DecodeBudget},
    path::Path,
    value::{
        object::{Import, LocalObject},
        stream::StreamSlot,
    },
    wire::CallId,
};

/// One entry of the table that came with a payload.
#[derive(Debug, Clone)]
pub(crate) enum Capability {
    Import(Arc<Import>),
    Local(Arc<LocalObject>),
    /// A stream; the first reader takes it.
    Stream(Arc<StreamSlot>),
}

/// A table of capabilities, shared by the values that name its entries; `None` if it is empty.
pub(crate) type Capabilities = Option<Arc<[Capability]>>;

pub(crate) fn capabilities(list: Vec<Capability>) -> Capabilities {
    (!list.is_empty()).then(|| list.into())
}

/// The memory of the table, in bytes.
pub(crate) fn capabilities_bytes(table: &Capabilities) -> usize {
    table.as_ref().map_or(0, |table| size_of_val(&**table))
}

impl Capability {
    /// This capability for one new owner. A stream is taken out of its slot, so that nobody else can take it; `None` if it was
    /// taken before.
    pub(crate) fn claimed(&self) -> Option<Self> {
        match self {
            Self::Stream(slot) => slot.claim().map(Self::Stream),
            Self::Import(_) | Self::Local(_) => Some(self.clone()),
        }
    }
}

/// The reason why a value cannot be passed on with a stream in it that another reader has taken.
pub(crate) const STREAM_TAKEN: &str = "a stream in it was taken by another reader or call";

/// A capability on its way to the peer, in a call.
#[derive(Debug, Clone)]
pub(crate) enum Passing {
    /// A known capability. An object of this side gets its id when it is sent. The handle of an object of the peer lives until it
    /// is sent, so that its release comes after.
    Settled(Capability),
    /// An object in the result of another call of this side to the same peer.
    Result(CallId, Path),
}

/// An encoded value and the objects it names: the form of arguments and results until somebody decodes them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Encoded {
    pub(crate) bytes: SmallBytes,
    pub(crate) capabilities: Capabilities,
}

impl<B: Into<SmallBytes>> From<B> for Encoded {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), capabilities: None }
    }
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        let count = |encoded: &Self| encoded.capabilities.as_ref().map_or(0, |table| table.len());
        self.bytes == other.bytes && count(self) == count(other)
    }
}

impl Encoded {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The capability, if the value is a single object or stream and nothing else.
    pub(crate) fn only_object(&self) -> Option<Capability> {
        let budget = DecodeBudget { depth_max: 1, factor: 1, zero_sized_max: 0 };
        let place = codec::decode::<u32>(&self.bytes, budget).ok()?;
        self.capabilities.as_ref()?.get(place as usize).cloned()
    }

    /// The bytes of the value and of its table.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + capabilities_bytes(&self.capabilities)
    }
}
