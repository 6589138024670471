//! Entry points of the fuzz targets in `fuzz/`: hostile bytes in, nothing out, a panic when a rule is broken.
//!
//! An ordinary test replays the committed corpus through the same functions.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    buffer::small_bytes::SmallBytes,
    caller::{
        passing,
        stub::{Remote, RemoteTarget, Stub},
    },
    codec::{self, DecodeBudget, walk},
    error::Violation,
    handler::{
        dispatch::Service,
        incoming::{Incoming, Reply},
    },
    limits::Limits,
    link::Handle,
    memory_budget::MemoryBudget,
    schema::{
        descriptor::{
            ArgumentDescriptor, MethodAttributes, MethodDescriptor, ObjectsCache, ServiceDescriptor,
            SignatureCache, ValueDescriptor,
        },
        layout::Layout,
    },
    session::{
        Session, Side,
        events::{Begin, Event, SessionStats},
        inputs::{Interest, Waiter},
        streams::StreamEvent,
    },
    sync::lock,
    time::Time,
    value::{
        encoded::Capability,
        object::{Home, Import, LocalObject},
        outcome::Outcome,
        stream::{Ending, Piece},
    },
    wire::{
        CallId, Failure, Frame, ObjectId, Payload, StreamId,
        arguments::ArgumentList,
        map_program::{ElementFailure, Program},
        read::FrameReader,
        write,
    },
};

#[cfg(test)]
mod tests;

// ---- frames ----

/// Frames and argument lists out of any bytes: what decodes, encodes to what decodes to the same.
pub fn frames(message: &[u8]) {
    let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Frame::Call(call) = &frame
            && let Payload::Inline(payload) = &call.payload
        {
            let _ = ArgumentList::parse(payload.clone());
        }
        let mut again = Vec::new();
        write::put_frame(&mut again, &frame);
        let decoded = FrameReader::new(again).next_frame();
        assert_eq!(decoded, Ok(Some(frame)), "a frame changed when it was written again");
    }
    let _ = ArgumentList::parse(Bytes::copy_from_slice(message));
    let bytes = SmallBytes::copy_from_slice(message);
    if let Ok(program) = Program::parse(&bytes, 3, 2, 64, 4) {
        let mut again = Vec::new();
        program.put(&mut again);
        assert_eq!(Program::parse(&again.into(), 3, 2, 64, 4), Ok(program), "a program changed");
    }
    let _ = ElementFailure::parse(bytes);
}

// ---- payloads ----

/// A value of every kind the codec knows, some of them in each other.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Everything {
    small: u8,
    wide: u128,
    signed: i64,
    real: f64,
    letter: char,
    flag: bool,
    text: String,
    maybe: Option<Box<Everything>>,
    shape: Shape,
    map: BTreeMap<u16, Vec<u32>>,
    pair: (i8, ()),
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Shape {
    Point,
    Circle(f32),
    Line { from: u32, to: Vec<Shape> },
}

/// The first byte chooses a type; the rest is decoded as it, within the budget of a session.
pub fn payload(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 9 {
        0 => decode::<u64>(bytes),
        1 => decode::<String>(bytes),
        2 => decode::<Vec<u8>>(bytes),
        3 => decode::<Vec<String>>(bytes),
        4 => decode::<Vec<()>>(bytes),
        5 => decode::<BTreeMap<String, Option<i32>>>(bytes),
        6 => decode::<Vec<Vec<Vec<(u8, char)>>>>(bytes),
        7 => decode::<Shape>(bytes),
        _ => decode::<Everything>(bytes),
    }
}

/// Compared as bytes, because a NaN is not equal to itself.
fn decode<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let budget = DecodeBudget::from(&Limits::public());
    let layout = Layout::of::<T>();
    let walked = walk::skip(&layout, bytes);
    let Ok(value) = codec::decode::<T>(bytes, budget) else { return };
    assert_eq!(walked, Ok(bytes.len()), "the walk and the decoder disagree about {value:?}");
    let mut once = Vec::new();
    codec::encode(&value, &mut once).expect("what was decoded encodes");
    let again: T = codec::decode(&once, budget).expect("what was encoded decodes");
    let mut twice = Vec::new();
    codec::encode(&again, &mut twice).expect("what was decoded encodes");
    assert_eq!(once, twice, "{value:?} changed when it was written again");
}

// ---- sessions ----

macro_rules! method {
    ($name:literal, [$($argument:literal: $type:ty),*] -> $result:ty) => {
        MethodDescriptor {
            name: $name, rust_name: $name,
            docs: "",
            arguments: &[$(ArgumentDescriptor::new::<$type>($argument, stringify!($type))),*],
            result: ValueDescriptor::new::<$result>(stringify!($result)),
            error: Some(ValueDescriptor::new::<String>("String")),
            attributes: MethodAttributes::NONE,
            cache: SignatureCache::new(),
        }
    };
}

/// What the victim returns: the names and layouts are those of the session's own tests, whose conversations seed the
/// corpus.
type Structured = (u64, Option<u64>, Vec<u64>);

static TEST: ServiceDescriptor = ServiceDescriptor {
    name: "Test",
    rust_name: "Test",
    docs: "",
    ordered: false,
    methods: &TEST_METHODS,
    objects: ObjectsCache::new(),
};
static TEST_METHODS: [MethodDescriptor; 5] = [
    method!("add", ["a": u64, "b": u64] -> u64),
    method!("structured", ["seed": u64] -> Structured),
    method!("maybe", ["value": Option<u64>] -> u64),
    method!("both", ["pair": (u64, u64)] -> u64),
    method!("text", ["text": String] -> String),
];
static ORDERED: ServiceDescriptor = ServiceDescriptor {
    name: "Ordered",
    rust_name: "Ordered",
    docs: "",
    ordered: true,
    methods: &ORDERED_METHODS,
    objects: ObjectsCache::new(),
};
static ORDERED_METHODS: [MethodDescriptor; 1] = [method!("add", ["a": u64, "b": u64] -> u64)];

/// At the root, and what its objects are.
static THING: ServiceDescriptor = ServiceDescriptor {
    name: "Thing",
    rust_name: "Thing",
    docs: "",
    ordered: false,
    methods: &THING_METHODS,
    objects: ObjectsCache::new(),
};
static THING_METHODS: [MethodDescriptor; 1] = [method!("one", ["item": Item] -> Item)];

/// A client of a `Thing`, for its layout: values are taken apart by hand.
struct Item;

impl<'de> serde::Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        passing::deserialize(&THING, deserializer).map(|_: Stub| Self)
    }
}

impl serde::Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("values are put together by hand"))
    }
}

/// What answers for the victim's objects; the victim begins their calls itself.
struct Thing;

impl Service for Thing {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &THING
    }

    fn dispatch(&self, _: u32, incoming: Incoming) -> Reply {
        incoming.unknown_method()
    }
}

/// Nobody: the victim makes no calls of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Nobody;

impl Waiter for Nobody {
    fn seal(&self) -> Interest {
        Interest { value: false, reference: false, detached: false }
    }

    fn renumber(&self, _: CallId) {}
}

/// Remembers which handles to imports are gone, and what was read of streams, until the session is told.
#[derive(Default)]
struct Dropped {
    imports: Mutex<Vec<(ObjectId, Option<CallId>)>>,
    streams: Mutex<Vec<Read>>,
}

enum Read {
    Consumed(StreamId, u64, bool),
    Dropped(StreamId),
}

impl Home for Dropped {
    fn import_dropped(&self, id: ObjectId, origin: Option<CallId>) {
        lock(&self.imports).push((id, origin));
    }

    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject> {
        let handle = Arc::new(Handle::closed());
        LocalObject::new(Remote { handle, target: RemoteTarget::Import(import) })
    }

    fn poll_closed(&self, _: &mut std::task::Context<'_>) -> std::task::Poll<crate::CloseReason> {
        std::task::Poll::Pending
    }

    fn is_at(&self, _: *const ()) -> bool {
        false
    }

    fn stream_consumed(&self, stream: StreamId, bytes: u64) {
        lock(&self.streams).push(Read::Consumed(stream, bytes, false));
    }

    fn stream_awaited(&self, stream: StreamId, bytes: u64) {
        lock(&self.streams).push(Read::Consumed(stream, bytes, true));
    }

    fn stream_dropped(&self, stream: StreamId, _: Option<String>) {
        lock(&self.streams).push(Read::Dropped(stream));
    }
}

/// A server session at the mercy of its peer, with handlers that finish at once, later, or in failure, as their
/// arguments say.
pub(crate) struct Victim {
    session: Session<Nobody>,
    dropped: Arc<Dropped>,
    limits: Limits,
    now: Time,
    running: Vec<Begin>,
    /// Messages it sent.
    pub(crate) said: Vec<Vec<u8>>,
}

impl Victim {
    pub(crate) fn new() -> Self {
        let limits = Limits {
            calls_max: 16,
            payload_bytes_max: 20_000,
            pending_bytes_max: 40_000,
            held_answers_max: 8,
            held_bytes_max: 30_000,
            outgoing_bytes_max: 50_000,
            chain_depth_max: 8,
            exports_max: 6,
            imports_max: 6,
            methods_max: 32,
            metadata_bytes_max: 500,
            streams_max: 6,
            stream_window_bytes: 1_000,
            stream_window_bytes_max: 4_000,
            stream_buffer_bytes_max: 8_000,
            ..Limits::public()
        };
        let shared = Arc::new(limits.clone());
        let dropped = Arc::new(Dropped::default());
        let session = Session::new(
            Time::ZERO,
            Side::Server,
            shared,
            vec![&TEST, &ORDERED, &THING],
            None,
            Arc::clone(&dropped) as Arc<dyn Home>,
            MemoryBudget::default(),
        );
        Self { session, dropped, limits, now: Time::ZERO, running: Vec::new(), said: Vec::new() }
    }

    /// Takes one message and does everything a driver would.
    pub(crate) fn hear(&mut self, message: &[u8]) -> Result<(), Violation> {
        let mut heard = self.session.handle_message(self.now, Bytes::copy_from_slice(message));
        while heard.is_ok() && self.session.is_reading() {
            heard = self.session.read_on(self.now);
        }
        self.run_events();
        self.check();
        heard?;
        while let Some(message) = self.session.poll_message(self.now, true) {
            self.said.push(message.to_vec());
        }
        self.check();
        Ok(())
    }

    pub(crate) fn pass_time(&mut self, by: std::time::Duration) {
        self.now = self.now + by;
        self.session.handle_timeout(self.now);
        self.run_events();
        self.check();
    }

    /// Lets the handlers that took their time finish.
    pub(crate) fn finish_handlers(&mut self) {
        while let Some(begin) = self.running.pop() {
            let outcome = outcome(&begin);
            self.session.finish(begin.answer, outcome);
            self.run_events();
        }
        self.check();
    }

    fn run_events(&mut self) {
        while let Some(event) = self.session.poll_event(self.now, true) {
            match event {
                Event::Begin(begin) if begin.answer.0 % 3 == 0 => self.running.push(begin),
                Event::Begin(begin) => self.session.finish(begin.answer, outcome(&begin)),
                Event::Map(begin) => self.session.finish(begin.answer, Outcome::Failed(Failure::Unavailable)),
                Event::Cancel(answer) => self.stop(answer),
                Event::Stream(event) => self.stream_event(event),
                Event::PeerClosing { .. } | Event::Returned { .. } | Event::Again { .. } => {}
            }
        }
        let imports = std::mem::take(&mut *lock(&self.dropped.imports));
        imports.into_iter().for_each(|(id, origin)| self.session.import_dropped(id, origin));
        let streams = std::mem::take(&mut *lock(&self.dropped.streams));
        for read in streams {
            match read {
                Read::Consumed(stream, bytes, awaited) => {
                    self.session.stream_consumed(self.now, stream, bytes, awaited);
                }
                Read::Dropped(stream) => self.session.stream_dropped(self.now, stream, None),
            }
        }
    }

    /// Producers answer room with items and, every fourth time, their end. Every other stream is read as it arrives.
    fn stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { .. } | StreamEvent::Stopped { .. } => {}
            StreamEvent::Room { stream, bytes } if bytes % 4 == 0 => {
                self.session.send_stream(stream, Piece::End(Ending::Complete));
            }
            StreamEvent::Room { stream, .. } => {
                let items = SmallBytes::copy_from_slice(b"\x01a").into();
                self.session.send_stream(stream, Piece::Items { count: 1, items });
            }
            StreamEvent::Arrived { inlet, piece: Piece::End(_) } if inlet.stream.0 % 2 == 0 => {
                self.session.stream_dropped(self.now, inlet.stream, None);
            }
            StreamEvent::Arrived { inlet, piece } if inlet.stream.0 % 2 == 0 => {
                self.session.stream_consumed(self.now, inlet.stream, piece.charge(), true);
            }
            StreamEvent::Arrived { inlet, piece } => drop(inlet.push(piece)),
            StreamEvent::Awaited { inlet } => {
                self.session.stream_consumed(self.now, inlet.stream, 0, true);
            }
        }
    }

    fn stop(&mut self, answer: CallId) {
        if let Some(at) = self.running.iter().position(|begin| begin.answer == answer) {
            self.running.swap_remove(at);
            self.session.finish(answer, Outcome::Failed(Failure::Cancelled));
        }
    }

    /// Nothing is held beyond the limits.
    fn check(&self) {
        let SessionStats {
            answers_unfinished,
            answers_held,
            held_bytes,
            pending_bytes,
            calls_in_flight,
            exports,
            imports,
            stream_bytes_unread,
            ..
        } = self.session.stats();
        let limits = &self.limits;
        assert!(answers_unfinished <= limits.calls_max, "{answers_unfinished} unfinished answers");
        assert!(
            answers_held <= limits.held_answers_max + 1_024 + 2 * limits.calls_max,
            "{answers_held} held answers"
        );
        assert!(held_bytes <= limits.held_bytes_max, "{held_bytes} held bytes");
        assert!(pending_bytes <= limits.pending_bytes_max, "{pending_bytes} pending bytes");
        assert!(exports <= limits.exports_max, "{exports} exports");
        assert!(imports <= limits.imports_max, "{imports} imports");
        let windows = 64 * (limits.stream_window_bytes + (128 << 10)) + limits.stream_buffer_bytes_max;
        assert!(stream_bytes_unread <= windows, "{stream_bytes_unread} bytes of streams are unread");
        assert_eq!(calls_in_flight, 0);
    }
}

fn outcome(begin: &Begin) -> Outcome {
    let budget = DecodeBudget::from(&Limits::public());
    let number = |at: usize| {
        begin.arguments.values().get(at).and_then(|bytes| codec::decode::<u64>(bytes, budget).ok())
    };
    let (Some(first), second) = (number(0), number(1)) else {
        return Outcome::Failed(Failure::InvalidArgument {
            argument: "a".into(),
            reason: "no number".into(),
        });
    };
    match begin.descriptor.name {
        _ if first == 13 => Outcome::Error(SmallBytes::copy_from_slice(b"\x02no"), Vec::new()),
        "structured" => {
            let seed = first % 1_000;
            value::<Structured>(begin, (seed, (seed % 2 == 1).then_some(seed), (0..seed).collect()))
        }
        "one" => one(begin),
        "text" => value(begin, "t".repeat(usize::try_from(first % 30_000).unwrap_or(0))),
        _ => value(begin, first.wrapping_add(second.unwrap_or(0))),
    }
}

fn value<T: Serialize>(_: &Begin, value: T) -> Outcome {
    let mut bytes = Vec::new();
    codec::encode(&value, &mut bytes).expect("numbers and texts encode");
    Outcome::Value { payload: Some(bytes.into()), objects: Vec::new() }
}

/// The object that came, or a new one.
fn one(begin: &Begin) -> Outcome {
    let came = begin.arguments.clone().into_encoded().next().and_then(|first| first.only_object());
    let object = match came {
        Some(object) if begin.answer.0 % 2 == 0 => object,
        _ => Capability::Local(LocalObject::of_service(Arc::new(Thing), None)),
    };
    Outcome::Value { payload: Some(SmallBytes::copy_from_slice(&[0])), objects: vec![object] }
}

/// A server session hears a sequence of messages: each is its length in two bytes, little-endian, and that many
/// bytes. Length `ffff` lets time pass and handlers finish.
pub fn session(script: &[u8]) {
    let mut victim = Victim::new();
    let mut rest = script;
    while let Some(([low, high], after)) = rest.split_first_chunk() {
        let length = u16::from_le_bytes([*low, *high]);
        if length == u16::MAX {
            victim.pass_time(std::time::Duration::from_millis(100));
            victim.finish_handlers();
            rest = after;
            continue;
        }
        let (message, after) = after.split_at(usize::from(length).min(after.len()));
        if victim.hear(message).is_err() {
            return;
        }
        rest = after;
    }
    victim.finish_handlers();
}
