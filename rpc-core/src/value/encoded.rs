//! Encoded values, and the objects beside them.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::{self, DecodeBudget},
    error::DecodeError,
    link::{Handle, Link},
    object::{Passed, SHARED_BYTES, decode_part},
    path::Path,
    schema::descriptor::ServiceDescriptor,
    stub::{Kind, Remote, RemoteTarget, Stub},
    value::{
        object::{Behaviour, Import, LocalObject},
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
    /// A stub for it, whose calls go through `handle` where they leave this side.
    pub(crate) fn to_stub(
        &self,
        handle: &Arc<Handle>,
        service: &'static ServiceDescriptor,
    ) -> Result<Stub, String> {
        let found = match self {
            Self::Import(import) => {
                let target = RemoteTarget::Import(Arc::clone(import));
                return Ok(Stub::remote(Remote { handle: Arc::clone(handle), target }, service));
            }
            Self::Local(object) => match object.behaviour() {
                Some(Behaviour::Forward(remote)) => return Ok(Stub::remote(remote.clone(), service)),
                _ if object.descriptor().is_some_and(|known| known.name == service.name) => {
                    return Ok(Stub::local(Arc::clone(object), service));
                }
                _ => object.descriptor().map_or("?", |known| known.name),
            },
            Self::Stream(_) => return Err(format!("it is a stream, and a `{}` is due", service.name)),
        };
        Err(format!("the object is a `{found}`, and a `{}` is due", service.name))
    }

    /// How a stub is passed to the peer of `link`. One that leads anywhere else is passed as an object of this side, which
    /// passes calls on.
    pub(crate) fn of(stub: &Stub, link: &Arc<Link>) -> Self {
        let remote = match stub.kind() {
            Kind::Local(object) => return Self::Local(Arc::clone(object)),
            Kind::Remote(remote) => remote,
        };
        let is_same = Arc::ptr_eq(&remote.handle.link, link);
        if let (RemoteTarget::Import(import), true) = (&remote.target, is_same) {
            return Self::Import(Arc::clone(import));
        }
        let mut remote = remote.clone();
        if is_same {
            // The session holds it: it must not keep itself open.
            remote.handle = Arc::new(Handle { link: Arc::clone(link), closes_on_drop: false });
        }
        Self::Local(LocalObject::new(Behaviour::Forward(remote)))
    }

    /// The same for all stubs of a value.
    pub(crate) fn of_all(passed: &[Passed], link: &Arc<Link>) -> Vec<Self> {
        let one = |passed: &Passed| match passed {
            Passed::Stub(stub) => Self::of(stub, link),
            Passed::Stream(slot) => Self::Stream(Arc::clone(slot)),
        };
        passed.iter().map(one).collect()
    }

    /// The same for who passes it on alone: of a stream, nobody else can take it any more. `None` if somebody has.
    pub(crate) fn claimed(&self) -> Option<Self> {
        match self {
            Self::Stream(slot) => slot.claim().map(Self::Stream),
            Self::Import(_) | Self::Local(_) => Some(self.clone()),
        }
    }
}

/// What is wrong with passing a stream on that somebody else has taken.
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

    /// Decodes the value; clients in it call through `handle`.
    pub(crate) fn decode<T: DeserializeOwned + 'static>(
        &self,
        handle: &Arc<Handle>,
        budget: DecodeBudget,
    ) -> Result<T, DecodeError> {
        decode_part(&self.bytes, 0..self.bytes.len(), &self.capabilities, handle, budget, SHARED_BYTES)
    }
}
