//! Object references: clients as values.
//!
//! A client inside an argument or a result is written as its place in a table that travels beside the payload. While a
//! value is encoded or decoded, that table lies in a scoped thread-local, because serde has no other way to hand it
//! to a value deep inside others. Encoding exports nothing: it collects stubs. Decoding takes nothing: it clones stubs out of
//! the table, and entries that were not cloned are released when the table is dropped.
//!
//! Rust's ownership says when references are released: an [`Import`] is one introduction of the peer's object, and a
//! [`LocalObject`] is kept alive by the exports of every session that passed it on.

use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    fmt,
    ops::Range,
    sync::Arc,
    task,
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
    error::{CloseReason, DecodeError},
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
    wire::{CallId, ObjectId, StreamId},
};

/// A client or stream in a value that is encoded; listed beside its bytes.
#[derive(Clone)]
pub(crate) enum Passed {
    Stub(Stub),
    Stream(Arc<StreamSlot>),
}

impl Capability {
    /// Makes a stub for the object; calls of an import go through `handle`. Fails for a stream, and for a local object of
    /// another service.
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

    /// The capability with which a stub is passed to the peer of `link`. A stub that is neither local nor an import of this
    /// session is passed as a local object that forwards calls.
    pub(crate) fn of(stub: &Stub, link: &Arc<Link>) -> Self {
        let remote = match stub.kind() {
            Kind::Local(object) => return Self::Local(Arc::clone(object)),
            Kind::Remote(remote) => remote,
        };
        let is_same = remote.handle.link.is_same(link);
        if let (RemoteTarget::Import(import), true) = (&remote.target, is_same) {
            return Self::Import(Arc::clone(import));
        }
        let mut remote = remote.clone();
        if is_same {
            // The session holds this handle: it must not keep itself open.
            remote.handle = Arc::new(Handle { link: Arc::clone(link), closes_on_drop: false });
        }
        Self::Local(LocalObject::new(remote))
    }

    /// The capabilities with which all stubs and streams of a value are passed to the peer of `link`.
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
    /// The table of the payload that is being encoded; `None` while none is.
    static WRITING: Cell<Option<Table>> = const { Cell::new(None) };
    /// The entries of all tables that are being made, the innermost last.
    static PASSED: RefCell<Vec<Passed>> = const { RefCell::new(Vec::new()) };
    static IS_READING: Cell<bool> = const { Cell::new(false) };
    /// The tables of the payloads that are being decoded, the innermost last.
    static READING: RefCell<Vec<Option<Reading>>> = const { RefCell::new(Vec::new()) };
}

/// The number of entries that a table had before, and of those added to it.
#[derive(Clone, Copy)]
struct Table {
    before: usize,
    added: usize,
}

struct Reading {
    capabilities: Arc<[Capability]>,
    handle: Arc<Handle>,
}

/// Runs `encode`. Clients and streams that it serializes are written as their places in a table that already has `before`
/// entries, and returned as the entries to add to it.
#[inline(always)]
pub(crate) fn writing<R>(before: usize, encode: impl FnOnce() -> R) -> (R, Added) {
    let scope = Writing { outer: WRITING.replace(Some(Table { before, added: 0 })) };
    let result = encode();
    let added = scope.end();
    std::mem::forget(scope);
    (result, added)
}

/// The scope in which a table is made; ends by restoring the table of the scope around it.
struct Writing {
    outer: Option<Table>,
}

impl Writing {
    #[inline(always)]
    fn end(&self) -> Added {
        Added(WRITING.replace(self.outer).map_or(0, |table| table.added))
    }
}

/// Runs only if `encode` has panicked.
impl Drop for Writing {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// The number of entries at the end of `PASSED` that wait to be taken; zero for most values.
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

    /// The entries as they are passed to the peer of `link`.
    #[inline(always)]
    pub(crate) fn capabilities(self, link: &Arc<Link>) -> Vec<Capability> {
        match self.is_empty() {
            true => Vec::new(),
            false => Capability::of_all(&self.take(), link),
        }
    }
}

/// Discards entries that nobody has taken.
impl Drop for Added {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0 > 0 {
            drop(Self(std::mem::take(&mut self.0)).take());
        }
    }
}

/// The scope in which deserialized clients are cloned out of a table. Most payloads have no table and are decoded outside of
/// any other scope with one: then it does nothing.
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

/// Byte strings of at least this length share the memory of the message they came in. That keeps the message, and the
/// socket's buffer around it, alive as long as the byte string. Shorter ones are copied, so that collecting them does not
/// hold many times their size.
pub(crate) const SHARED_BYTES: usize = 32 << 10;

/// Decodes a value whose clients and streams are in the table. Its clients call through `handle`.
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

/// Decodes a value that lies in `bytes`. A byte string does not pass through serde, and shares `bytes` if it is at least
/// `shared_min` long.
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

/// Writes a stream as its place in the table of the payload being encoded. The stream stays in its slot until it is sent.
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

    /// Makes a client that nobody calls, for tracing.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Stub, E> {
        Ok(Stub::unreachable(self.0))
    }
}

/// Reads a stream out of the table of the payload being decoded. The slot keeps the stream until somebody takes it.
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

/// Replaces the objects of a stream's item, which are known in the session of `home`, by those that are passed to the peer of
/// `link`.
pub(crate) fn onto_item(item: &mut Encoded, home: Option<&Arc<Handle>>, link: &Arc<Link>) {
    if let Some(table) = &item.capabilities {
        item.capabilities = capabilities(onto(table, home, link));
    }
}

/// Objects of another session as they are passed to the peer of `link`. They are known in the session of `home`, if that is
/// given.
pub(crate) fn onto(table: &[Capability], home: Option<&Arc<Handle>>, link: &Arc<Link>) -> Vec<Capability> {
    table.iter().map(|object| onto_one(object, home, link)).collect()
}

fn onto_one(object: &Capability, home: Option<&Arc<Handle>>, link: &Arc<Link>) -> Capability {
    match object {
        Capability::Import(import) if import.is_at(link.identity()) => Capability::Import(Arc::clone(import)),
        Capability::Import(import) => Capability::Local(match home {
            Some(home) => {
                let target = RemoteTarget::Import(Arc::clone(import));
                LocalObject::new(Remote { handle: Arc::clone(home), target })
            }
            None => Arc::clone(import).forward(),
        }),
        Capability::Local(object) => match object.behaviour::<Remote>() {
            Some(Remote { handle, target: RemoteTarget::Import(import) }) if handle.link.is_same(link) => {
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

/// A session as its imports and streams know it: the queue to its driver.
pub(crate) struct LinkHome(pub(crate) Arc<Link>);

impl Home for LinkHome {
    fn import_dropped(&self, id: ObjectId, origin: Option<CallId>) {
        self.0.submit(Submission::ImportDropped(id, origin));
    }

    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject> {
        let handle = Arc::new(Handle { link: Arc::clone(&self.0), closes_on_drop: false });
        let target = RemoteTarget::Import(import);
        LocalObject::new(Remote { handle, target })
    }

    fn is_at(&self, session: *const ()) -> bool {
        std::ptr::eq(self.0.identity(), session)
    }

    fn poll_closed(&self, cx: &mut task::Context<'_>) -> task::Poll<CloseReason> {
        self.0.poll_closed(cx)
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
