//! Object references: clients as values.
//!
//! A client inside an argument or a result is written as its place in a table that travels beside the payload. While a
//! value is encoded or decoded, that table lies in a scoped thread-local, because serde has no other way to hand it
//! to a value deep inside others. Nothing is exported by encoding alone and nothing is taken by decoding: stubs are
//! collected, or cloned out of the table, and what was not cloned is let go of when the table is dropped.
//!
//! Who lets go is Rust's ownership: an [`Import`] is one introduction's worth of the peer's object, a [`LocalObject`] is
//! kept by the exports of every session that passed it on.

use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    fmt,
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serializer,
    de::{DeserializeOwned, Error as _, Visitor},
};

use crate::{
    buffer::small_bytes::SmallBytes,
    caller::stub::{Kind, Remote, RemoteTarget, Stub},
    codec::{self, DecodeBudget},
    error::DecodeError,
    link::{Handle, Link, Submission},
    schema::{
        descriptor::ServiceDescriptor,
        markers::{self, OBJECT, STREAM, trace_service},
    },
    value::{
        encoded::{Capabilities, Capability, Encoded, capabilities},
        object::{Home, Import, LocalObject},
        stream::StreamSlot,
    },
    wire::{ObjectId, StreamId},
};

/// What a value that is encoded names beside its bytes.
#[derive(Clone)]
pub(crate) enum Passed {
    Stub(Stub),
    Stream(Arc<StreamSlot>),
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
            Self::Local(object) => match object.behaviour::<Remote>() {
                Some(remote) => return Ok(Stub::remote(remote.clone(), service)),
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
        Self::Local(LocalObject::new(remote))
    }

    /// The same for all stubs of a value.
    pub(crate) fn of_all(passed: &[Passed], link: &Arc<Link>) -> Vec<Self> {
        let one = |passed: &Passed| match passed {
            Passed::Stub(stub) => Self::of(stub, link),
            Passed::Stream(slot) => Self::Stream(Arc::clone(slot)),
        };
        passed.iter().map(one).collect()
    }
}

impl Encoded {
    /// Decodes the value; clients in it call through `handle`.
    pub(crate) fn decode<T: DeserializeOwned + 'static>(
        &self,
        handle: &Arc<Handle>,
        budget: DecodeBudget,
    ) -> Result<T, DecodeError> {
        decode_part(&self.bytes, 0..self.bytes.len(), &self.capabilities, handle, budget, SHARED_BYTES)
    }
}

// ---- the scopes of encoding and decoding ----

// Read on every encode: a `Cell` without a destructor skips the thread-local's registration check.
thread_local! {
    /// The table of the payload that is being encoded; none outside of that.
    static WRITING: Cell<Option<Table>> = const { Cell::new(None) };
    /// The entries of all tables that are being made, the innermost last.
    static PASSED: RefCell<Vec<Passed>> = const { RefCell::new(Vec::new()) };
    static IS_READING: Cell<bool> = const { Cell::new(false) };
    /// The tables of the payloads that are being decoded, the innermost last.
    static READING: RefCell<Vec<Option<Reading>>> = const { RefCell::new(Vec::new()) };
}

/// Entries that a table had before, and those that were added to it.
#[derive(Clone, Copy)]
struct Table {
    before: usize,
    added: usize,
}

struct Reading {
    capabilities: Arc<[Capability]>,
    handle: Arc<Handle>,
}

/// Runs `encode`. Clients and streams that it serializes are written as their places in a table that has `before` entries,
/// and given as those to add to it.
#[inline(always)]
pub(crate) fn writing<R>(before: usize, encode: impl FnOnce() -> R) -> (R, Added) {
    let scope = Writing { outer: WRITING.replace(Some(Table { before, added: 0 })) };
    let result = encode();
    let added = scope.end();
    std::mem::forget(scope);
    (result, added)
}

/// A table is being made.
struct Writing {
    outer: Option<Table>,
}

impl Writing {
    #[inline(always)]
    fn end(&self) -> Added {
        Added(WRITING.replace(self.outer).map_or(0, |table| table.added))
    }
}

/// `encode` has panicked.
impl Drop for Writing {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// So many of the last entries, which wait to be taken; most values have none.
pub(crate) struct Added(usize);

impl Added {
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    #[cold]
    pub(crate) fn take(mut self) -> Vec<Passed> {
        let added = std::mem::take(&mut self.0);
        PASSED.with_borrow_mut(|all| all.split_off(all.len() - added))
    }

    /// As they are passed to the peer of `link`.
    #[inline(always)]
    pub(crate) fn capabilities(self, link: &Arc<Link>) -> Vec<Capability> {
        match self.is_empty() {
            true => Vec::new(),
            false => Capability::of_all(&self.take(), link),
        }
    }
}

/// Nobody has taken them.
impl Drop for Added {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0 > 0 {
            drop(Self(std::mem::take(&mut self.0)).take());
        }
    }
}

/// While it lives, clients that are deserialized are cloned out of a table. Most payloads name none and are decoded outside
/// of any other's table: then there is nothing to do.
struct ReadingScope {
    is_entered: bool,
}

impl ReadingScope {
    #[inline(always)]
    fn enter(capabilities: &Capabilities, handle: &Arc<Handle>) -> Self {
        let is_entered = capabilities.is_some() || IS_READING.get();
        if is_entered {
            Self::push(capabilities, handle);
        }
        Self { is_entered }
    }

    #[cold]
    fn push(capabilities: &Capabilities, handle: &Arc<Handle>) {
        let reading = capabilities
            .as_ref()
            .map(|table| Reading { capabilities: Arc::clone(table), handle: Arc::clone(handle) });
        IS_READING.set(reading.is_some());
        READING.with_borrow_mut(|all| all.push(reading));
    }

    #[cold]
    fn pop() {
        let (inner, is_reading) = READING.with_borrow_mut(|all| {
            let inner = all.pop();
            (inner, matches!(all.last(), Some(Some(_))))
        });
        IS_READING.set(is_reading);
        drop(inner);
    }
}

impl Drop for ReadingScope {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_entered {
            Self::pop();
        }
    }
}

/// A byte string of a call keeps the message that it came in, and the socket's buffer around that, as long as somebody has
/// it. Shorter ones are copied: who collects them must not collect many times as much.
pub(crate) const SHARED_BYTES: usize = 32 << 10;

/// Decodes a value whose clients and streams are in the table; what it calls, it calls through `handle`.
#[inline(always)]
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    capabilities: &Capabilities,
    handle: &Arc<Handle>,
    budget: DecodeBudget,
) -> Result<T, DecodeError> {
    let objects = capabilities.as_ref().map_or(0, |table| table.len());
    let _scope = ReadingScope::enter(capabilities, handle);
    codec::decode_beside(objects, bytes, budget)
}

/// Decodes a value that lies in `bytes`. A byte string is not looked at, and shares them if it is `shared_min` long.
#[inline(always)]
pub(crate) fn decode_part<T: DeserializeOwned + 'static>(
    bytes: &SmallBytes,
    range: Range<usize>,
    capabilities: &Capabilities,
    handle: &Arc<Handle>,
    budget: DecodeBudget,
    shared_min: usize,
) -> Result<T, DecodeError> {
    if TypeId::of::<T>() == TypeId::of::<Bytes>() {
        let mut whole = Some(codec::byte_string(bytes, range, shared_min)?);
        let taken = (&mut whole as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take);
        return taken.ok_or(DecodeError::Truncated);
    }
    decode(&bytes[range], capabilities, handle, budget)
}

/// Writes a client as its place in the table of the payload being encoded.
pub fn serialize<S: Serializer>(stub: &Stub, serializer: S) -> Result<S::Ok, S::Error> {
    let place = put_into_table(Passed::Stub(stub.clone()))?;
    serializer.serialize_newtype_struct(OBJECT, &place)
}

/// Writes a stream as its place in the table of the payload being encoded. It stays where it is until it is sent.
pub(crate) fn serialize_stream<S: Serializer>(
    slot: &Arc<StreamSlot>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let place = put_into_table(Passed::Stream(Arc::clone(slot)))?;
    serializer.serialize_newtype_struct(STREAM, &place)
}

fn put_into_table<E: serde::ser::Error>(passed: Passed) -> Result<u32, E> {
    if markers::is_recording() {
        return Ok(0);
    }
    let Some(Table { before, added }) = WRITING.get() else {
        return Err(E::custom(
            "clients and streams travel only inside the arguments and results of calls, and items of streams",
        ));
    };
    PASSED.with_borrow_mut(|all| all.push(passed));
    WRITING.set(Some(Table { before, added: added + 1 }));
    u32::try_from(before + added).map_err(|_| E::custom("too many clients and streams in one payload"))
}

/// Reads a client of this service out of the table of the payload being decoded.
pub fn deserialize<'de, D: Deserializer<'de>>(
    service: &'static ServiceDescriptor,
    deserializer: D,
) -> Result<Stub, D::Error> {
    trace_service(service);
    deserializer.deserialize_newtype_struct(OBJECT, ObjectVisitor(service))
}

struct ObjectVisitor(&'static ServiceDescriptor);

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Stub;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a reference to a `{}`", self.0.name)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Stub, D::Error> {
        let (capability, handle) = take_from_table(deserializer)?;
        capability.to_stub(&handle, self.0).map_err(D::Error::custom)
    }

    /// How tracing makes one that nobody calls.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Stub, E> {
        Ok(Stub::unreachable(self.0))
    }
}

/// Reads a stream out of the table of the payload being decoded, which keeps it until somebody takes it.
pub(crate) fn deserialize_stream<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<StreamSlot>, D::Error> {
    match take_from_table(deserializer)? {
        (Capability::Stream(slot), handle) => {
            slot.belongs_to(&handle);
            Ok(slot)
        }
        (Capability::Import(_) | Capability::Local(_), _) => {
            Err(D::Error::custom("it is a client, and a stream is due"))
        }
    }
}

fn take_from_table<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(Capability, Arc<Handle>), D::Error> {
    let place = u32::deserialize(deserializer)?;
    let entry = READING.with_borrow(|reading| {
        let reading = reading.last()?.as_ref()?;
        Some((reading.capabilities.get(place as usize)?.clone(), Arc::clone(&reading.handle)))
    });
    entry.ok_or_else(|| {
        D::Error::custom(format!(
            "there is no object {place} here: clients and streams travel only inside the arguments and results of calls, \
             and items of streams"
        ))
    })
}

/// Turns the objects of an item into those that are passed to the peer of `link`; they are known in the session of `home`.
pub(crate) fn onto_item(item: &mut Encoded, home: Option<&Arc<Handle>>, link: &Arc<Link>) {
    if let Some(table) = &item.capabilities {
        item.capabilities = capabilities(onto(table, home, link));
    }
}

/// Objects that are known in the session of `home`, if that is known, as they are passed to the peer of `link`.
pub(crate) fn onto(table: &[Capability], home: Option<&Arc<Handle>>, link: &Arc<Link>) -> Vec<Capability> {
    table.iter().map(|object| onto_one(object, home, link)).collect()
}

fn onto_one(object: &Capability, home: Option<&Arc<Handle>>, link: &Arc<Link>) -> Capability {
    match object {
        Capability::Import(import) if import.is_at(Arc::as_ptr(link).cast()) => {
            Capability::Import(Arc::clone(import))
        }
        Capability::Import(import) => Capability::Local(match home {
            Some(home) => {
                let target = RemoteTarget::Import(Arc::clone(import));
                LocalObject::new(Remote { handle: Arc::clone(home), target })
            }
            None => Arc::clone(import).forward(),
        }),
        Capability::Local(object) => match object.behaviour::<Remote>() {
            Some(Remote { handle, target: RemoteTarget::Import(import) })
                if Arc::ptr_eq(&handle.link, link) =>
            {
                Capability::Import(Arc::clone(import))
            }
            _ => Capability::Local(Arc::clone(object)),
        },
        Capability::Stream(slot) => {
            if let Some(home) = home {
                slot.belongs_to(home);
            }
            Capability::Stream(Arc::clone(slot))
        }
    }
}

/// What a session's imports know of it.
pub(crate) struct LinkHome(pub(crate) Arc<Link>);

impl Home for LinkHome {
    fn import_dropped(&self, id: ObjectId) {
        self.0.submit(Submission::ImportDropped(id));
    }

    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject> {
        let handle = Arc::new(Handle { link: Arc::clone(&self.0), closes_on_drop: false });
        let target = RemoteTarget::Import(import);
        LocalObject::new(Remote { handle, target })
    }

    fn is_at(&self, session: *const ()) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.0).cast(), session)
    }

    fn stream_consumed(&self, stream: StreamId, bytes: u64) {
        self.0.submit(Submission::StreamConsumed { stream, bytes, awaited: false });
    }

    fn stream_awaited(&self, stream: StreamId, bytes: u64) {
        self.0.submit(Submission::StreamConsumed { stream, bytes, awaited: true });
    }

    fn stream_dropped(&self, stream: StreamId, reason: Option<String>) {
        self.0.submit(Submission::StreamDropped(stream, reason));
    }
}

#[cfg(test)]
mod tests;
