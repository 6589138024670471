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
    future::poll_fn,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serializer,
    de::{DeserializeOwned, Error as _, Visitor},
};

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::{self, DecodeBudget},
    dispatch::Service,
    error::DecodeError,
    forward,
    link::{Handle, Link},
    panics::drop_quietly,
    path::Path,
    schema::{
        descriptor::ServiceDescriptor,
        markers::{OBJECT, STREAM, trace_service},
    },
    stream::StreamSlot,
    stub::{Kind, Remote, RemoteTarget, Stub},
    wire::{CallId, ObjectId, StreamId},
};

// ---- what travels ----

/// An object of the peer. Dropped, the session hears that this side has one handle less.
pub(crate) struct Import {
    pub(crate) id: ObjectId,
    home: Arc<dyn Home>,
}

/// What a session's imports know of it; called from any thread.
pub(crate) trait Home: Send + Sync {
    /// A handle to an import is gone.
    fn import_dropped(&self, id: ObjectId);

    /// An object of this side that passes calls on to one of the peer.
    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject>;

    /// Whether calls through this link reach the same peer.
    fn is_of(&self, link: &Arc<Link>) -> bool;

    /// So much was read of a stream of the peer.
    fn stream_consumed(&self, stream: StreamId, bytes: u64);

    /// So much was read, and the reader waits for more.
    fn stream_awaited(&self, stream: StreamId, bytes: u64);

    /// Nobody reads the stream any more, or it was read to its end.
    fn stream_dropped(&self, stream: StreamId, reason: Option<String>);
}

impl Import {
    pub(crate) fn new(id: ObjectId, home: Arc<dyn Home>) -> Self {
        Self { id, home }
    }

    /// An object of this side that passes calls on to it.
    pub(crate) fn forward(self: Arc<Self>) -> Arc<LocalObject> {
        let home = Arc::clone(&self.home);
        home.forward(self)
    }

    /// Whether it is an object of the peer that calls through this link reach.
    pub(crate) fn is_of(&self, link: &Arc<Link>) -> bool {
        self.home.is_of(link)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.home.import_dropped(self.id);
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Import({})", self.id.0)
    }
}

/// An object that this side answers for.
pub(crate) struct LocalObject {
    /// Empty only while it is dropped.
    behaviour: Option<Behaviour>,
    /// How many sessions have it among their exports.
    exported: AtomicUsize,
    /// Who waits for that to be none.
    waiting: Mutex<Vec<Waker>>,
    /// The sessions in which this process calls it: one for each runtime that has, as long as that lives.
    #[cfg(feature = "driver")]
    in_process: Mutex<Vec<InProcess>>,
}

/// A session in memory and the runtime that drives it.
#[cfg(feature = "driver")]
struct InProcess {
    runtime: tokio::runtime::Id,
    session: crate::session_handle::SessionHandle,
}

pub(crate) enum Behaviour {
    Service(Arc<dyn Service>),
    /// Passes calls on: to an object of another session, or to one that is only promised.
    Forward(Remote),
}

impl LocalObject {
    pub(crate) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Some(behaviour),
            exported: AtomicUsize::new(0),
            waiting: Mutex::default(),
            #[cfg(feature = "driver")]
            in_process: Mutex::default(),
        })
    }

    pub(crate) fn behaviour(&self) -> Option<&Behaviour> {
        self.behaviour.as_ref()
    }

    /// What answers its calls, unless it passes them on.
    pub(crate) fn service(&self) -> Option<&Arc<dyn Service>> {
        match self.behaviour.as_ref()? {
            Behaviour::Service(service) => Some(service),
            Behaviour::Forward(_) => None,
        }
    }

    /// What it is; not known of one that passes calls on.
    pub(crate) fn descriptor(&self) -> Option<&'static ServiceDescriptor> {
        match self.behaviour.as_ref()? {
            Behaviour::Service(service) => Some(service.descriptor()),
            Behaviour::Forward(_) => None,
        }
    }

    /// The session in which this process calls it from the current runtime, made if there is none; outside of all runtimes,
    /// one that another has made. A session of another runtime is not used while there is a current one: nobody may be driving
    /// it, and it ends with that runtime.
    #[cfg(feature = "driver")]
    pub(crate) fn in_process(&self) -> Option<Arc<Handle>> {
        let mut sessions = self.in_process.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(runtime) = tokio::runtime::Handle::try_current().map(|runtime| runtime.id()) else {
            let open = sessions.iter().find(|known| !known.session.is_closed())?;
            return Some(Arc::clone(&open.session.handle));
        };
        if let Some(known) = sessions.iter().find(|known| known.runtime == runtime)
            && !known.session.is_closed()
        {
            return Some(Arc::clone(&known.session.handle));
        }
        let mut services = crate::dispatch::Services::new();
        services.offer(Arc::clone(self.service()?));
        // Those of runtimes that are gone go, too.
        sessions.retain(|known| !known.session.is_closed());
        let session = crate::memory::connect(services);
        let handle = Arc::clone(&session.handle);
        sessions.push(InProcess { runtime, session });
        Some(handle)
    }

    /// A session passes it on, for the first time or again.
    pub(crate) fn was_exported(&self) {
        self.exported.fetch_add(1, Ordering::AcqRel);
    }

    /// The peer of a session has let go of it, or the session is over.
    pub(crate) fn was_released(&self) {
        if self.exported.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until no peer holds it.
    pub(crate) async fn released(&self) {
        poll_fn(|cx| {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Checked under the lock: the count falls before the wakers are taken.
            if self.exported.load(Ordering::Acquire) == 0 {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// A user's `Drop` may panic; it must not take the session with it.
impl Drop for LocalObject {
    fn drop(&mut self) {
        drop_quietly(self.behaviour.take(), "an object");
    }
}

impl fmt::Debug for LocalObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalObject").field(&self.descriptor().map(|service| service.name)).finish()
    }
}

/// One entry of a table that came with a payload.
#[derive(Debug, Clone)]
pub(crate) enum Capability {
    Import(Arc<Import>),
    Local(Arc<LocalObject>),
    /// For the first who takes it.
    Stream(Arc<StreamSlot>),
}

/// What a value that is encoded names beside its bytes.
#[derive(Clone)]
pub(crate) enum Passed {
    Stub(Stub),
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

// ---- the scopes of encoding and decoding ----

// What is looked at for every value needs no destructor, because that would be looked at too.
thread_local! {
    /// The table of the payload that is being encoded; none outside of that.
    static WRITING: Cell<Option<Table>> = const { Cell::new(None) };
    /// The entries of all tables that are being made, the innermost last.
    static PASSED: RefCell<Vec<Passed>> = const { RefCell::new(Vec::new()) };
    static IS_READING: Cell<bool> = const { Cell::new(false) };
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

/// Entries that a table had before, and those that were added to it.
#[derive(Clone, Copy)]
struct Table {
    before: usize,
    added: usize,
}

#[derive(Clone)]
struct Reading {
    capabilities: Arc<[Capability]>,
    handle: Arc<Handle>,
}

/// Runs `encode`; clients and streams that it serializes are appended to `passed` and written as their places in it.
pub(crate) fn writing<R>(passed: &mut Vec<Passed>, encode: impl FnOnce() -> R) -> R {
    struct Scope<'a> {
        passed: &'a mut Vec<Passed>,
        outer: Option<Table>,
    }
    impl Drop for Scope<'_> {
        #[inline]
        fn drop(&mut self) {
            let added = WRITING.replace(self.outer).map_or(0, |table| table.added);
            if added > 0 {
                take_passed(added, self.passed);
            }
        }
    }
    let outer = WRITING.replace(Some(Table { before: passed.len(), added: 0 }));
    let _scope = Scope { passed, outer };
    encode()
}

#[cold]
fn take_passed(added: usize, into: &mut Vec<Passed>) {
    PASSED.with_borrow_mut(|all| {
        let first = all.len() - added;
        into.extend(all.drain(first..));
    });
}

/// While it lives, clients that are deserialized are cloned out of a table.
struct ReadingScope(Option<Reading>);

impl ReadingScope {
    /// `None` where there is no table: most payloads name no objects and are decoded outside of any other.
    #[inline(always)]
    fn enter(capabilities: &Capabilities, handle: &Arc<Handle>) -> Option<Self> {
        (capabilities.is_some() || IS_READING.get()).then(|| Self::replace(capabilities, handle))
    }

    #[inline(never)]
    fn replace(capabilities: &Capabilities, handle: &Arc<Handle>) -> Self {
        let reading = capabilities
            .as_ref()
            .map(|table| Reading { capabilities: Arc::clone(table), handle: Arc::clone(handle) });
        IS_READING.set(reading.is_some());
        Self(READING.replace(reading))
    }
}

impl Drop for ReadingScope {
    #[inline]
    fn drop(&mut self) {
        IS_READING.set(self.0.is_some());
        READING.replace(self.0.take());
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
        let reading = reading.as_ref()?;
        Some((reading.capabilities.get(place as usize)?.clone(), Arc::clone(&reading.handle)))
    });
    entry.ok_or_else(|| {
        D::Error::custom(format!(
            "there is no object {place} here: clients and streams travel only inside the arguments and results of calls, \
             and items of streams"
        ))
    })
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

/// Turns the objects of an item into those that are passed to the peer of `link`; they are known in the session of `home`.
pub(crate) fn onto(item: &mut Encoded, home: Option<&Arc<Handle>>, link: &Arc<Link>) {
    if let Some(table) = &item.capabilities {
        item.capabilities = capabilities(forward::onto(table, home, link));
    }
}

#[cfg(test)]
mod tests;
