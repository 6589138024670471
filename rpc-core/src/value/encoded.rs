//! Encoded values, and the objects beside them.

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

/// One entry of a table that came with a payload.
#[derive(Debug, Clone)]
pub(crate) enum Capability {
    Import(Arc<Import>),
    Local(Arc<LocalObject>),
    /// For the first who takes it.
    Stream(Arc<StreamSlot>),
}

/// A table as it is shared by the values that name its entries; `None` where there is none.
pub(crate) type Capabilities = Option<Arc<[Capability]>>;

pub(crate) fn capabilities(list: Vec<Capability>) -> Capabilities {
    (!list.is_empty()).then(|| list.into())
}

/// What the table takes.
pub(crate) fn capabilities_bytes(table: &Capabilities) -> usize {
    table.as_ref().map_or(0, |table| size_of_val(&**table))
}

impl Capability {
    /// The same for who passes it on alone: of a stream, nobody else can take it any more. `None` if somebody has.
    pub(crate) fn claimed(&self) -> Option<Self> {
        match self {
            Self::Stream(slot) => slot.claim().map(Self::Stream),
            Self::Import(_) | Self::Local(_) => Some(self.clone()),
        }
    }
}

/// The reason why a value cannot be passed on with a stream in it that another reader has taken.
pub(crate) const STREAM_TAKEN: &str = "a stream in it was taken by another reader or call";

/// An object on its way to the peer, in a call.
#[derive(Debug, Clone)]
pub(crate) enum Passing {
    /// This side's, which gets its id when it is sent, or the peer's own, whose handle lives until it is sent, so that its
    /// release comes after.
    Settled(Capability),
    /// In the result of a call of this side that goes to the same peer.
    Result(CallId, Path),
}

/// A value and the objects it names, encoded: what calls and results are until somebody decodes them.
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

    /// The object that this is, if it is one and nothing else.
    pub(crate) fn only_object(&self) -> Option<Capability> {
        let budget = DecodeBudget { depth_max: 1, factor: 1, zero_sized_max: 0 };
        let place = codec::decode::<u32>(&self.bytes, budget).ok()?;
        self.capabilities.as_ref()?.get(place as usize).cloned()
    }

    /// Bytes of the value, and what its objects take.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + capabilities_bytes(&self.capabilities)
    }
}
