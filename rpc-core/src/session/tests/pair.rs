//! Two sessions joined back to back under virtual time: the harness of the protocol tests.
//!
//! Methods are those of one service, `Test`, whose handlers are told what to do by the test. Values are encoded by
//! hand: an argument or result is a `u64`, and the structured result is `(u64, Option<u64>, Vec<u64>)`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;

use super::things::{OTHER, THING};
use crate::{
    buffer::small_bytes::SmallBytes,
    caller::stub::{Remote, RemoteTarget},
    codec::{self, DecodeBudget},
    error::{StopReason, Violation},
    limits::Limits,
    link::Handle,
    memory_budget::MemoryBudget,
    path::{Path, Step},
    retry::Retry,
    schema::descriptor::{MethodAttributes, MethodDescriptor, ObjectsCache, ServiceDescriptor},
    session::{
        Identity, Session, Side,
        events::{Begin, BeginMap, Event},
        inputs::{Attempts, CallExtras, CallTarget, Interest, NewCall, NumberedMethod, Waiter},
        streams::StreamEvent,
    },
    time::Time,
    value::{
        encoded::Passing,
        object::{Home, Import, LocalObject},
        outcome::Outcome,
        returned::{OriginCause, Returned},
        stream::{Piece, StreamSlot},
    },
    wire::{
        CallId, Failure, Frame, METHOD_GET, METHOD_MAP, MethodNumber, ObjectId, Resume, StreamId, arguments,
        read::FrameReader,
    },
};

/// What `structured` returns.
pub(crate) type Structured = (u64, Option<u64>, Vec<u64>);

pub(crate) static TEST: ServiceDescriptor = ServiceDescriptor {
    name: "Test",
    rust_name: "Test",
    docs: "",
    ordered: false,
    methods: &TEST_METHODS,
    objects: ObjectsCache::new(),
};
static TEST_METHODS: [MethodDescriptor; 7] = [
    method!("add", ["a": u64, "b": u64] -> u64, String, MethodAttributes::NONE),
    method!("structured", ["seed": u64] -> Structured, String, MethodAttributes::NONE),
    method!("maybe", ["value": Option<u64>] -> u64, String, MethodAttributes::NONE),
    method!("both", ["pair": (u64, u64)] -> u64, String, MethodAttributes::NONE),
    method!("text", ["text": String] -> String, String, MethodAttributes::NONE),
    method!("note", ["value": u64] -> (), String, MethodAttributes { oneway: true, ..MethodAttributes::NONE }),
    method!("label", ["text": String, "value": u64] -> u64, String, MethodAttributes::NONE),
];
pub(crate) static ORDERED: ServiceDescriptor = ServiceDescriptor {
    name: "Ordered",
    rust_name: "Ordered",
    docs: "",
    ordered: true,
    methods: &ORDERED_METHODS,
    objects: ObjectsCache::new(),
};
static ORDERED_METHODS: [MethodDescriptor; 1] =
    [method!("add", ["a": u64, "b": u64] -> u64, String, MethodAttributes::NONE)];

pub(crate) const ADD: u32 = 2;
pub(crate) const STRUCTURED: u32 = 3;
pub(crate) const MAYBE: u32 = 4;
pub(crate) const BOTH: u32 = 5;
pub(crate) const TEXT: u32 = 6;
pub(crate) const NOTE: u32 = 7;
pub(crate) const LABEL: u32 = 8;
pub(crate) const ORDERED_ADD: u32 = 9;
pub(crate) const WORK: u32 = 10;
pub(crate) const ONE: u32 = 11;
pub(crate) const COUNT: u32 = 12;
pub(crate) const THING_NOTE: u32 = 13;
pub(crate) const GIVE_OTHER: u32 = 14;
pub(crate) const PING: u32 = 15;

/// The service and method behind a number of the constants above.
pub(crate) fn method(number: u32) -> (&'static str, &'static MethodDescriptor) {
    let (service, first) = match number {
        PING.. => (&OTHER, PING),
        WORK.. => (&THING, WORK),
        ORDERED_ADD => (&ORDERED, ORDERED_ADD),
        _ => (&TEST, ADD),
    };
    (service.name, &service.methods[number.saturating_sub(first) as usize])
}

/// A promise as the tests hold it.
#[derive(Clone, Debug)]
pub(crate) struct TestCall {
    pub(crate) id: CallId,
    /// The id of the last attempt.
    current: Rc<Cell<CallId>>,
    interest: Rc<Cell<Interest>>,
    sealed: Rc<Cell<bool>>,
    outcome: Rc<RefCell<Option<Returned<TestCall>>>>,
}

impl PartialEq for TestCall {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Waiter for TestCall {
    fn seal(&self) -> Interest {
        assert!(!self.sealed.replace(true), "a call is sealed once");
        self.interest.get()
    }

    fn renumber(&self, id: CallId) {
        self.current.set(id);
        self.sealed.set(false);
    }
}

impl TestCall {
    /// The outcome, if it has returned.
    pub(crate) fn outcome(&self) -> Option<Returned<TestCall>> {
        self.outcome.borrow().clone()
    }

    /// The outcome, taken out of the promise together with the objects in it.
    pub(crate) fn take_outcome(&self) -> Option<Returned<TestCall>> {
        self.outcome.take()
    }

    /// The returned number.
    #[track_caller]
    pub(crate) fn value(&self) -> u64 {
        match self.outcome() {
            Some(Returned::Value(value)) => number(&value.bytes),
            other => panic!("call {} has no value but {other:?}", self.id.0),
        }
    }

    /// The id of the call that this one failed with.
    #[track_caller]
    pub(crate) fn upstream(&self) -> (CallId, OriginCause<TestCall>) {
        match self.outcome() {
            Some(Returned::Upstream { origin, cause }) => (origin.id, cause),
            other => panic!("call {} did not fail upstream but {other:?}", self.id.0),
        }
    }

    #[track_caller]
    pub(crate) fn failure(&self) -> Failure {
        match self.outcome() {
            Some(Returned::Failed(failure)) => failure,
            other => panic!("call {} was not refused but {other:?}", self.id.0),
        }
    }
}

/// The encoded number.
pub(crate) fn encoded<T: serde::Serialize>(value: &T) -> SmallBytes {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).expect("test values encode");
    bytes.into()
}

pub(crate) fn number(bytes: &[u8]) -> u64 {
    codec::decode(bytes, DecodeBudget::from(&Limits::default())).expect("a number was sent")
}

/// One slot of a test call.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Number(u64),
    Result(CallId, Path),
    SomeOf(CallId, Path),
    Pair(CallId, CallId),
    Bytes(Vec<u8>),
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Number(value)
    }
}

impl From<&TestCall> for Arg {
    fn from(call: &TestCall) -> Self {
        Self::Result(call.id, Path::whole())
    }
}

impl Arg {
    pub(crate) fn part(call: &TestCall, steps: &[Step]) -> Self {
        Self::Result(call.id, Path(steps.to_vec()))
    }

    fn put(&self, payload: &mut Vec<u8>, bases: &mut Vec<CallId>) {
        match self {
            Self::Number(value) => {
                arguments::put_inline(payload, |out| codec::encode(value, out)).expect("encodes")
            }
            Self::Bytes(bytes) => arguments::put_inline(payload, |out| {
                out.extend_from_slice(bytes);
                Ok::<_, ()>(())
            })
            .expect("copies"),
            Self::Result(base, path) => {
                arguments::put_reference(payload, *base, path, false);
                bases.push(*base);
            }
            Self::SomeOf(base, path) => {
                arguments::put_reference(payload, *base, path, true);
                bases.push(*base);
            }
            Self::Pair(first, second) => {
                arguments::put_tuple(payload, 2);
                for base in [first, second] {
                    arguments::put_reference(payload, *base, &Path::whole(), false);
                    bases.push(*base);
                }
            }
        }
    }
}

/// One side: its session, the calls it made and the handlers it runs.
pub(crate) struct TestPeer {
    pub(crate) session: Session<TestCall>,
    pub(crate) home: Arc<TestHome>,
    /// The time of what this side was last told.
    now: Time,
    /// The streams that it sends.
    pub(crate) producers: BTreeMap<StreamId, Producer>,
    next_id: i64,
    /// The policy of the calls that it makes.
    pub(crate) retry: Option<Retry>,
    /// Calls whose handler has not been told what to do.
    pub(crate) open: Vec<Begin>,
    /// Maps that may start; the driver would run them.
    pub(crate) maps: Vec<BeginMap>,
    /// What handlers saw, in start order: `add(1, 2)`.
    pub(crate) log: Vec<String>,
    pub(crate) cancelled: Vec<CallId>,
    /// Handlers finish at once with the natural result.
    pub(crate) automatic: bool,
    pub(crate) peer_closing: bool,
    pub(crate) sent: Vec<Vec<u8>>,
    /// What happened to handlers, in order, for tests that check the order.
    pub(crate) history: Vec<Happened>,
}

/// What happened to a handler.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Begun { answer: CallId, method: &'static str, arguments: Vec<SmallBytes> },
    Finished { answer: CallId },
}

/// The producer of a stream, as the driver would run it.
pub(crate) struct Producer {
    pub(crate) slot: Arc<StreamSlot>,
    /// What it may still send.
    pub(crate) room: i64,
    pub(crate) stopped: Option<StopReason>,
}

/// Makes a pair with limits for the client and for the server.
pub(crate) type MakePair = fn(Limits, Limits) -> Pair;

/// A client and a server with nothing but virtual time between them.
pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) client: TestPeer,
    pub(crate) server: TestPeer,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default(), Limits::default())
    }

    pub(crate) fn with_limits(client: Limits, server: Limits) -> Self {
        let now = Time::ZERO;
        Self {
            now,
            client: TestPeer::new(now, Side::Client, client, None),
            server: TestPeer::new(now, Side::Server, server, None),
        }
    }

    /// Two peers whose session can outlive its socket.
    pub(crate) fn resumable(client: Limits, server: Limits) -> Self {
        let now = Time::ZERO;
        let identity = Some(Identity { session: [1; 16], secret: [2; 32] });
        Self {
            now,
            client: TestPeer::new(now, Side::Client, client, identity),
            server: TestPeer::new(now, Side::Server, server, identity),
        }
    }

    /// Moves messages and runs handlers until both sides are silent.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        self.try_run().expect("both sides keep to the protocol");
    }

    pub(crate) fn try_run(&mut self) -> Result<(), Violation> {
        loop {
            self.client.feed_drops();
            self.server.feed_drops();
            let up = self.client.poll_message(self.now);
            if let Some(message) = &up {
                self.server.receive(self.now, message)?;
            }
            let down = self.server.poll_message(self.now);
            if let Some(message) = &down {
                self.client.receive(self.now, message)?;
            }
            if up.is_none() && down.is_none() {
                return Ok(());
            }
        }
    }

    /// One of the two, the client being 0, who knows how late it is.
    pub(crate) fn peer(&mut self, side: usize) -> &mut TestPeer {
        let peer = if side == 0 { &mut self.client } else { &mut self.server };
        peer.now = self.now;
        peer
    }

    /// Lets time pass and what is due happen.
    #[track_caller]
    pub(crate) fn advance(&mut self, by: Duration) {
        self.run();
        let until = self.now + by;
        loop {
            let due = [self.client.session.poll_timeout(), self.server.session.poll_timeout()];
            let Some(next) = due.into_iter().flatten().filter(|due| *due <= until).min() else { break };
            self.now = self.now.max(next);
            for peer in [&mut self.client, &mut self.server] {
                peer.handle_timeout(self.now);
            }
            self.run();
        }
        self.now = until;
        self.run();
    }
}

/// What the reader of a stream did.
enum Read {
    Consumed(StreamId, u64, bool),
    Dropped(StreamId, Option<String>),
}

/// Remembers which handles to imports are gone, until the session is told.
pub(crate) struct TestHome {
    pub(crate) dropped: Mutex<Vec<(ObjectId, Option<CallId>)>>,
    /// What readers of streams did, until the session is told.
    read: Mutex<Vec<Read>>,
    /// What stubs of this side go through; nothing leaves by it.
    pub(crate) handle: Arc<Handle>,
}

impl Home for TestHome {
    fn import_dropped(&self, id: ObjectId, origin: Option<CallId>) {
        self.dropped.lock().expect("no test panics while it holds it").push((id, origin));
    }

    fn forward(&self, import: Arc<Import>) -> Arc<LocalObject> {
        let handle = Arc::clone(&self.handle);
        LocalObject::new(Remote { handle, target: RemoteTarget::Import(import) })
    }

    fn poll_closed(&self, _: &mut std::task::Context<'_>) -> std::task::Poll<crate::CloseReason> {
        std::task::Poll::Pending
    }

    fn is_at(&self, session: *const ()) -> bool {
        std::ptr::eq(self.handle.link.identity(), session)
    }

    fn stream_consumed(&self, stream: StreamId, bytes: u64) {
        self.read
            .lock()
            .expect("no test panics while it holds it")
            .push(Read::Consumed(stream, bytes, false));
    }

    fn stream_awaited(&self, stream: StreamId, bytes: u64) {
        self.read.lock().expect("no test panics while it holds it").push(Read::Consumed(stream, bytes, true));
    }

    fn stream_dropped(&self, stream: StreamId, reason: Option<String>) {
        self.read.lock().expect("no test panics while it holds it").push(Read::Dropped(stream, reason));
    }
}

impl TestPeer {
    fn new(now: Time, side: Side, limits: Limits, identity: Option<Identity>) -> Self {
        let home = Arc::new(TestHome {
            dropped: Mutex::default(),
            read: Mutex::default(),
            handle: Arc::new(Handle::closed()),
        });
        // Tests of other rules see no heartbeats; those of heartbeats say their interval.
        let ping_interval = match limits.ping_interval == Limits::default().ping_interval {
            true => Duration::MAX,
            false => limits.ping_interval,
        };
        let session = Session::new(
            now,
            side,
            Arc::new(Limits { ping_interval, ..limits }),
            vec![&TEST, &ORDERED, &THING],
            identity,
            Arc::clone(&home) as Arc<dyn Home>,
            MemoryBudget::default(),
        );
        Self {
            session,
            home,
            now,
            producers: BTreeMap::new(),
            next_id: 1,
            retry: None,
            open: Vec::new(),
            maps: Vec::new(),
            log: Vec::new(),
            cancelled: Vec::new(),
            automatic: true,
            peer_closing: false,
            sent: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Makes a call whose promise is alive: its value is wanted and it can be referred to.
    pub(crate) fn call(&mut self, number: u32, arguments: &[Arg]) -> TestCall {
        self.call_until(number, arguments, None)
    }

    pub(crate) fn call_until(&mut self, number: u32, arguments: &[Arg], deadline: Option<Time>) -> TestCall {
        let mut payload = vec![u8::try_from(arguments.len()).expect("few arguments")];
        let mut bases = Vec::new();
        arguments.iter().for_each(|argument| argument.put(&mut payload, &mut bases));
        self.call_raw(MethodNumber(number), payload, bases, deadline)
    }

    /// Asks for the value of a part.
    pub(crate) fn get(&mut self, base: &TestCall, steps: &[Step]) -> TestCall {
        let mut payload = vec![1];
        arguments::put_reference(&mut payload, base.id, &Path(steps.to_vec()), false);
        let call = self.call_raw(METHOD_GET, payload, vec![base.id], None);
        self.release(&call);
        call
    }

    pub(crate) fn call_raw(
        &mut self,
        number: MethodNumber,
        payload: Vec<u8>,
        bases: Vec<CallId>,
        deadline: Option<Time>,
    ) -> TestCall {
        self.call_with(number, CallTarget::Root, Vec::new(), payload, bases, deadline)
    }

    /// Maps a program over a part of a result; the methods it names are defined before.
    pub(crate) fn map(
        &mut self,
        base: &TestCall,
        steps: &[Step],
        program: &[u8],
        methods: &[u32],
    ) -> TestCall {
        let mut payload = vec![2];
        let mut bases = Vec::new();
        Arg::part(base, steps).put(&mut payload, &mut bases);
        Arg::Bytes(program.to_vec()).put(&mut payload, &mut bases);
        self.call_naming(METHOD_MAP, CallTarget::Root, Vec::new(), payload, bases, None, methods)
    }

    /// Makes a call on any target, with objects in its arguments.
    pub(crate) fn call_with(
        &mut self,
        number: MethodNumber,
        target: CallTarget,
        objects: Vec<Passing>,
        payload: Vec<u8>,
        bases: Vec<CallId>,
        deadline: Option<Time>,
    ) -> TestCall {
        self.call_naming(number, target, objects, payload, bases, deadline, &[])
    }

    #[expect(clippy::too_many_arguments, reason = "each is one fact about the call")]
    pub(crate) fn call_naming(
        &mut self,
        number: MethodNumber,
        target: CallTarget,
        objects: Vec<Passing>,
        payload: Vec<u8>,
        bases: Vec<CallId>,
        deadline: Option<Time>,
        methods: &[u32],
    ) -> TestCall {
        let named = |number: &u32| {
            let (service, descriptor) = method(*number);
            NumberedMethod { number: MethodNumber(*number), service, method: descriptor }
        };
        let id = CallId(self.next_id);
        self.next_id += 1;
        let (service, descriptor) = method(number.0.max(ADD));
        let detached = descriptor.attributes.oneway;
        let call = TestCall {
            id,
            current: Rc::new(Cell::new(id)),
            interest: Rc::new(Cell::new(Interest { value: !detached, reference: !detached, detached })),
            sealed: Rc::default(),
            outcome: Rc::default(),
        };
        self.session.call(
            self.now,
            NewCall {
                id,
                number,
                service,
                method: descriptor,
                payload: payload.into(),
                bases,
                deadline,
                extras: CallExtras::boxed(
                    target,
                    objects,
                    methods.iter().map(named).collect(),
                    Vec::new(),
                    self.retry.map(|retry| Box::new(Attempts { retry: Some(retry), ..Attempts::default() })),
                ),
                waiter: call.clone(),
            },
        );
        self.take_events();
        call
    }

    fn set(&mut self, call: &TestCall, change: impl FnOnce(&mut Interest)) {
        let mut interest = call.interest.get();
        change(&mut interest);
        call.interest.set(interest);
    }

    /// The promise is being awaited: its value is wanted, nothing can refer to it any more.
    pub(crate) fn consume(&mut self, call: &TestCall) {
        self.release(call);
    }

    /// Nothing can refer to the result any more.
    pub(crate) fn release(&mut self, call: &TestCall) {
        self.set(call, |interest| interest.reference = false);
        if call.sealed.get() {
            self.session.released(call.current.get());
        }
    }

    /// The promise is gone.
    pub(crate) fn drop_promise(&mut self, call: &TestCall) {
        self.drop_value(call);
        self.release(call);
        self.take_events();
    }

    /// Nobody waits for the value any more; something may still refer to the result.
    pub(crate) fn drop_value(&mut self, call: &TestCall) {
        self.set(call, |interest| interest.value = false);
        if call.sealed.get() {
            self.session.unwanted(call.current.get());
        }
        self.take_events();
    }

    /// Lets the call run whoever drops what, then drops its promise.
    pub(crate) fn detach(&mut self, call: &TestCall) {
        let sealed = call.sealed.get();
        self.set(call, |interest| interest.detached = true);
        if !sealed {
            self.set(call, |interest| interest.value = false);
        }
        self.release(call);
        self.take_events();
    }

    /// Expires what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.session.handle_timeout(now);
        self.take_events();
    }

    /// Tells the session which handles to imports are gone.
    pub(crate) fn feed_drops(&mut self) {
        let dropped =
            std::mem::take(&mut *self.home.dropped.lock().expect("no test panics while it holds it"));
        dropped.into_iter().for_each(|(id, origin)| self.session.import_dropped(id, origin));
        let read = std::mem::take(&mut *self.home.read.lock().expect("no test panics while it holds it"));
        for read in read {
            match read {
                Read::Consumed(stream, bytes, awaited) => {
                    self.session.stream_consumed(self.now, stream, bytes, awaited);
                }
                Read::Dropped(stream, reason) => self.session.stream_dropped(self.now, stream, reason),
            }
        }
        self.take_events();
    }

    pub(crate) fn poll_message(&mut self, now: Time) -> Option<Vec<u8>> {
        self.now = now;
        // As a driver does.
        let message = match self.session.may_have_message(now) {
            true => self.session.poll_message(now, true).map(|message| message.to_vec()),
            false => None,
        };
        self.take_events();
        match &message {
            Some(message) => self.sent.push(message.clone()),
            // The socket has taken all.
            None => self.session.settle_rest(0),
        }
        message
    }

    pub(crate) fn receive(&mut self, now: Time, message: &[u8]) -> Result<(), Violation> {
        self.now = now;
        let mut message = Bytes::copy_from_slice(message);
        if self.session.is_resumable()
            && let Some((resume, rest)) = resume_of(&message)
        {
            // As a driver does that is given a socket.
            self.session.detach(now);
            self.session.welcome_back(now, &resume)?;
            message = rest;
        }
        self.session.handle_message(now, message)?;
        self.take_events();
        while self.session.is_reading() {
            self.session.read_on(now)?;
            self.take_events();
        }
        Ok(())
    }

    /// The frames sent so far, hello and welcome left out; forgets them.
    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        for message in std::mem::take(&mut self.sent) {
            let mut reader = FrameReader::new(message);
            while let Some(frame) = reader.next_frame().expect("own frames are well formed") {
                if !matches!(
                    frame,
                    Frame::Hello(_)
                        | Frame::Welcome(_)
                        | Frame::Define(_)
                        | Frame::Ping { .. }
                        | Frame::Pong { .. }
                ) {
                    frames.push(frame);
                }
            }
        }
        frames
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event(self.now, true) {
            match event {
                Event::Returned { waiter, returned: outcome } => {
                    let before = waiter.outcome.replace(Some(outcome));
                    assert!(before.is_none(), "call {} returned twice", waiter.id.0);
                }
                Event::Again { call, .. } => {
                    let id = CallId(self.next_id);
                    self.next_id += 1;
                    call.waiter.renumber(id);
                    self.session.call(self.now, NewCall { id, ..call });
                }
                Event::Begin(begin) => self.begin(begin),
                Event::Map(begin) => {
                    self.log.push(format!("map({} steps)", begin.plan.steps.len()));
                    self.maps.push(*begin);
                }
                Event::Cancel(answer) => self.cancelled.push(answer),
                Event::Stream(event) => self.stream_event(event),
                Event::PeerClosing { .. } => self.peer_closing = true,
            }
        }
    }

    fn stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { stream, slot } => {
                self.producers.insert(stream, Producer { slot, room: 0, stopped: None });
            }
            StreamEvent::Room { stream, bytes } => {
                self.producers.get_mut(&stream).expect("it was opened").room += bytes;
            }
            StreamEvent::Stopped { stream, reason } => {
                let producer = self.producers.get_mut(&stream).expect("it was opened");
                assert!(producer.stopped.replace(reason).is_none(), "stream {} is stopped once", stream.0);
            }
            StreamEvent::Arrived { inlet, piece } => drop(inlet.push(piece)),
            StreamEvent::Awaited { inlet } => {
                if let Some(bytes) = inlet.awaited() {
                    self.session.stream_consumed(self.now, inlet.stream, bytes, true);
                }
            }
        }
    }

    /// Sends a piece of a stream, as a producer does whose room it takes.
    pub(crate) fn send(&mut self, stream: StreamId, piece: Piece) {
        if let Some(producer) = self.producers.get_mut(&stream) {
            producer.room -= i64::try_from(piece.charge()).expect("pieces are small");
        }
        self.session.send_stream(stream, piece);
    }

    fn begin(&mut self, begin: Begin) {
        if [THING.name, OTHER.name].contains(&begin.service.name) {
            self.open.push(begin);
            return;
        }
        let arguments: Vec<String> =
            begin.arguments.values().iter().map(|bytes| text_of(begin.descriptor.name, bytes)).collect();
        self.log.push(format!("{}({})", begin.descriptor.name, arguments.join(", ")));
        self.history.push(Happened::Begun {
            answer: begin.answer,
            method: begin.descriptor.name,
            arguments: begin.arguments.values(),
        });
        if self.automatic {
            let outcome = natural_outcome(&begin);
            self.history.push(Happened::Finished { answer: begin.answer });
            self.session.finish(begin.answer, outcome);
        } else {
            self.open.push(begin);
        }
    }

    /// Lets the handler that was begun first finish with its natural result.
    #[track_caller]
    pub(crate) fn finish_next(&mut self) {
        let begin = self.open.remove(0);
        let outcome = natural_outcome(&begin);
        self.finish_with(begin.answer, outcome);
    }

    #[track_caller]
    pub(crate) fn finish_with(&mut self, answer: CallId, outcome: Outcome) {
        self.open.retain(|begin| begin.answer != answer);
        self.history.push(Happened::Finished { answer });
        self.session.finish(answer, outcome);
        self.take_events();
    }
}

/// The resume in a client's hello, and the bytes behind the hello.
fn resume_of(message: &Bytes) -> Option<(Resume, Bytes)> {
    let mut frames = FrameReader::new(message.clone());
    match frames.next_frame() {
        Ok(Some(Frame::Hello(hello))) => {
            hello.attach.map(|(_, resume)| (resume, message.slice(message.len() - frames.left()..)))
        }
        _ => None,
    }
}

fn text_of(method: &str, bytes: &[u8]) -> String {
    let budget = DecodeBudget::from(&Limits::default());
    match method {
        "maybe" => format!("{:?}", codec::decode::<Option<u64>>(bytes, budget)),
        "both" => format!("{:?}", codec::decode::<(u64, u64)>(bytes, budget).expect("a pair was sent")),
        "text" | "label" => format!("{} bytes", bytes.len()),
        _ => number(bytes).to_string(),
    }
}

/// An outcome as dispatch would make it.
pub(crate) fn value_of<T: serde::Serialize + Send + 'static>(want: crate::wire::Want, value: T) -> Outcome {
    Outcome::Value { payload: (want.value || want.keep).then(|| encoded(&value)), objects: Vec::new() }
}

/// `add` sums and fails with "overflow" above 1,000,000; `structured` takes its seed apart, `label` adds the encoded
/// length of its text; the rest echo.
pub(crate) fn natural_outcome(begin: &Begin) -> Outcome {
    let budget = DecodeBudget::from(&Limits::default());
    let argument = |index: usize| number(&begin.arguments.values()[index]);
    match begin.descriptor.name {
        "add" => match argument(0) + argument(1) {
            sum if sum > 1_000_000 => Outcome::Error(encoded(&"overflow"), Vec::new()),
            sum => value_of(begin.want, sum),
        },
        "structured" => {
            let seed = argument(0);
            value_of::<Structured>(begin.want, (seed, (seed % 2 == 1).then_some(seed), (0..seed).collect()))
        }
        "maybe" => {
            let value: Option<u64> =
                codec::decode(&begin.arguments.values()[0], budget).expect("an option was sent");
            value_of(begin.want, value.unwrap_or_default())
        }
        "both" => {
            let (a, b): (u64, u64) =
                codec::decode(&begin.arguments.values()[0], budget).expect("a pair was sent");
            value_of(begin.want, a + b)
        }
        "text" => {
            let text: String = codec::decode(&begin.arguments.values()[0], budget).expect("a text was sent");
            value_of(begin.want, text)
        }
        "label" => value_of(begin.want, begin.arguments.values()[0].len() as u64 + argument(1)),
        _ => value_of(begin.want, ()),
    }
}
