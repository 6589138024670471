//! One conversation with every kind of frame, over a link that is cut after each byte: whatever is cut, what both sides see is the same.

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::{
    pair::{ADD, Arg, COUNT, LABEL, NOTE, ONE, Pair, STRUCTURED, TEXT, TestCall, encoded},
    streams::{COMPLETE, item_with, items, large, look, returned_stream, returning, slot, text},
    things::{Item, THING, Things, argument},
};
use crate::{
    limits::Limits,
    path::Step,
    seeded::Seeded,
    session::{events::SessionStats, inputs::CallTarget},
    stream::reading::Reading,
    value::{
        encoded::Capability,
        outcome::Outcome,
        returned::Returned,
        stream::{Ending, Piece},
    },
    wire::{CallId, Frame, MethodNumber, StreamEnd, StreamId, arguments, read::FrameReader},
};

/// The pairs of cuts that are drawn in an ordinary test run; `CUT_PAIRS` draws others, as CI does. Several tests share them.
const PAIRS: usize = 4_000;
const PARTS: usize = 8;

/// A place where the link is cut: the direction, and the bytes that pass in it before.
type Cut = (usize, usize);

/// A link between the two sides of a pair that is cut at these places.
struct Cutting {
    pair: Pair,
    ways: [VecDeque<Vec<u8>>; 2],
    /// Bytes that have passed in each direction, over all sockets.
    passed: [usize; 2],
    cuts: Vec<Cut>,
    /// The times the link was cut.
    done: usize,
    /// The lengths of the messages, where they begin, in each direction.
    messages: [Vec<(usize, usize)>; 2],
    kinds: [BTreeSet<&'static str>; 2],
    /// What happened, as the users of both sides see it.
    seen: Vec<String>,
}

impl Cutting {
    fn new(cuts: &[Cut]) -> Self {
        // Small windows of streams: then credit is granted on the way.
        let limits = Limits { stream_window_bytes: 400, stream_window_bytes_max: 400, ..Limits::default() };
        Self {
            pair: Pair::resumable(limits.clone(), limits),
            ways: Default::default(),
            passed: [0; 2],
            cuts: cuts.to_vec(),
            done: 0,
            messages: Default::default(),
            kinds: Default::default(),
            seen: Vec::new(),
        }
    }

    fn see(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    /// Moves messages until both sides are silent, and lets short waits pass.
    fn run(&mut self) {
        for _ in 0..3 {
            while self.step() {}
            self.pair.now = self.pair.now + Duration::from_millis(120);
            let now = self.pair.now;
            for side in [0, 1] {
                self.pair.peer(side).handle_timeout(now);
            }
        }
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let now = self.pair.now;
        let mut has_moved = false;
        for side in [0, 1] {
            self.pair.peer(side).feed_drops();
            if side == 0 && self.pair.client.session.is_detached() {
                self.pair.client.session.greet_again(now, [9; 32]);
            }
            while let Some(message) = self.pair.peer(side).poll_message(now) {
                self.ways[side].push_back(message);
            }
            while let Some(message) = self.ways[side].pop_front() {
                has_moved = true;
                if !self.pass(side, &message) {
                    break;
                }
            }
        }
        has_moved
    }

    /// Passes a message on, or cuts the link inside it.
    fn pass(&mut self, from: usize, message: &[u8]) -> bool {
        let begins = self.passed[from];
        let cut = self
            .cuts
            .iter()
            .position(|(side, at)| *side == from && (begins..begins + message.len()).contains(at));
        if let Some(cut) = cut {
            self.passed[from] = self.cuts.swap_remove(cut).1;
            self.done += 1;
            self.ways.iter_mut().for_each(VecDeque::clear);
            let now = self.pair.now;
            self.pair.client.session.detach(now);
            self.pair.server.session.detach(now);
            self.pair.client.session.rest();
            self.pair.server.session.rest();
            return false;
        }
        self.passed[from] += message.len();
        self.messages[from].push((begins, message.len()));
        let mut frames = FrameReader::new(message.to_vec());
        while let Some(frame) = frames.next_frame().expect("own frames are well formed") {
            self.kinds[from].insert(kind(&frame));
        }
        let now = self.pair.now;
        let heard = self.pair.peer(1 - from).receive(now, message);
        assert_eq!(heard, Ok(()), "an honest peer broke the protocol");
        true
    }

    /// The byte of a direction from which on cuts are survived. A session goes on once the server knows it: its client's first message
    /// must have arrived.
    fn known(&self, side: usize) -> usize {
        if side == 0 { self.messages[0][0].1 } else { 0 }
    }

    fn see_outcome(&mut self, name: &str, call: &TestCall) {
        let outcome = match call.outcome() {
            Some(Returned::Upstream { origin, .. }) => format!("upstream of {}", origin.id.0),
            Some(Returned::Value(value)) => format!("{:?}", &value.bytes[..value.bytes.len().min(40)]),
            Some(Returned::Error(error)) => format!("error {:?}", &error.bytes[..]),
            outcome => format!("{:?}", outcome.map(|_| "other")),
        };
        self.see(format!("{name}: {outcome}"));
    }

    fn read(&mut self, name: &str, reading: &mut Reading) {
        while let Some(piece) = look(reading) {
            let is_end = matches!(piece, Piece::End(_));
            let shown = match piece {
                Piece::Items { count, items } => {
                    // Items that arrive together are read one by one or as one piece, as messages came.
                    format!("{count} items of {} bytes", items.bytes.len())
                }
                Piece::Large { item, .. } => format!("a large item of {} bytes", item.len()),
                Piece::Missed(count) => format!("{count} missed"),
                Piece::End(ending) => format!("the end: {}", ending_of(&ending)),
            };
            self.see(format!("{name}: {shown}"));
            if is_end {
                break;
            }
        }
    }
}

fn ending_of(ending: &Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::Error(_) => "error",
        Ending::Abandoned => "abandoned",
        Ending::Stopped => "stopped",
        _ => "another",
    }
}

fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "Hello",
        Frame::Welcome(_) => "Welcome",
        Frame::Define(_) => "Define",
        Frame::Call(_) => "Call",
        Frame::Return(_) => "Return",
        Frame::Cancel(_) => "Cancel",
        Frame::Release(_) => "Release",
        Frame::ReleaseObjects(_) => "ReleaseObjects",
        Frame::Chunk(_) => "Chunk",
        Frame::Items(items) if items.objects.is_empty() => "Items",
        Frame::Items(_) => "ItemWithObjects",
        Frame::LargeItem(_) => "LargeItem",
        Frame::ItemChunk { .. } => "ItemChunk",
        Frame::Missed { .. } => "Missed",
        Frame::StreamEnd { end: StreamEnd::Stopped, .. } => "StreamEnd (stopped)",
        Frame::StreamEnd { .. } => "StreamEnd",
        Frame::Credit { .. } => "Credit",
        Frame::Stop { .. } => "Stop",
        Frame::Goodbye { .. } => "Goodbye",
        Frame::Ack { .. } => "Ack",
        Frame::Ping { .. } => "Ping",
        Frame::Pong { .. } => "Pong",
        Frame::Skip { .. } => "Skip",
    }
}

const BOTH_WAYS: [&str; 17] = [
    "Define",
    "Call",
    "Return",
    "Cancel",
    "Release",
    "ReleaseObjects",
    "Items",
    "ItemWithObjects",
    "Missed",
    "StreamEnd",
    "StreamEnd (stopped)",
    "Credit",
    "Stop",
    "Goodbye",
    "Ack",
    "Chunk",
    "LargeItem",
];

/// What one side asks of the other. Both sides play it.
fn calls(talk: &mut Cutting, side: usize) {
    // A chain, a part, a failure and what is built on it, a call one way.
    let peer = talk.pair.peer(side);
    let first = peer.call(ADD, &[1.into(), 2.into()]);
    let second = peer.call(ADD, &[(&first).into(), 10.into()]);
    let list = peer.call(STRUCTURED, &[7.into()]);
    let part = peer.get(&list, &[Step::Field(2), Step::Index(3)]);
    let failing = peer.call(ADD, &[1_000_000.into(), 1.into()]);
    let dependent = peer.call(ADD, &[(&failing).into(), 1.into()]);
    let label = peer.call(LABEL, &[text(20), (&second).into()]);
    peer.call(NOTE, &[(side as u64).into()]);
    talk.run();
    for (name, call) in [
        ("first", &first),
        ("second", &second),
        ("part", &part),
        ("failing", &failing),
        ("dependent", &dependent),
        ("label", &label),
    ] {
        talk.see_outcome(name, call);
    }
    // Later calls on kept results, then their release.
    let later = talk.pair.peer(side).call(ADD, &[Arg::part(&list, &[Step::Field(0)]), (&second).into()]);
    talk.run();
    talk.see_outcome("later", &later);
    for call in [first, second, list, part, failing, dependent, label, later] {
        talk.pair.peer(side).drop_promise(&call);
    }
    // A call that is cancelled while it runs.
    talk.pair.peer(1 - side).automatic = false;
    let cancelled = talk.pair.peer(side).call(ADD, &[3.into(), 3.into()]);
    talk.run();
    talk.pair.peer(side).drop_promise(&cancelled);
    talk.run();
    let told = talk.pair.peer(1 - side).cancelled.len();
    talk.see(format!("{told} handlers were told to stop"));
    while !talk.pair.peer(1 - side).open.is_empty() {
        talk.pair.peer(1 - side).finish_next();
    }
    talk.pair.peer(1 - side).automatic = true;
    talk.run();
}

/// An object there and back.
fn objects(talk: &mut Cutting, side: usize, things: &mut Things) {
    let (serial, stub) = things.make(&THING);
    let passing = talk.pair.peer(side).passing(&stub);
    let mut payload = vec![1];
    arguments::put_inline(&mut payload, |out| crate::codec::encode(&0_u32, out)).expect("encodes");
    let call = talk.pair.peer(side).call_with(
        MethodNumber(ONE),
        CallTarget::Root,
        vec![passing],
        payload,
        Vec::new(),
        None,
    );
    drop(stub);
    talk.run();
    let begin = talk.pair.peer(1 - side).open.remove(0);
    let item: Item = argument(talk.pair.peer(1 - side), &begin, 0).expect("it is an object");
    let answerer = talk.pair.peer(1 - side);
    let home = Capability::of(&item.0, &answerer.home.handle.link);
    let outcome = Outcome::Value { payload: Some(encoded(&0_u32)), objects: vec![home] };
    answerer.finish_with(begin.answer, outcome);
    drop((begin, item));
    talk.run();
    let is_back = matches!(call.outcome(), Some(Returned::Value(value)) if value.capabilities.is_some());
    let drops = things.drops(serial);
    talk.see(format!("the object is back: {is_back}, dropped {drops} times"));
    talk.pair.peer(side).drop_promise(&call);
    drop(call.take_outcome());
    talk.run();
    let drops = things.drops(serial);
    talk.see(format!("dropped {drops} times"));
}

/// A stream from a side to the other; returns its id and its reader.
fn open(talk: &mut Cutting, side: usize) -> (StreamId, Reading) {
    match side {
        0 => {
            let call = talk.pair.client.call_with_streams([slot()]);
            talk.run();
            let reading = talk.pair.server.take_stream();
            talk.run();
            talk.pair.client.drop_promise(&call);
            talk.run();
            (talk.pair.client.last_stream(), reading)
        }
        _ => {
            let call = talk.pair.client.call(COUNT, &[1.into()]);
            talk.run();
            let begin = talk.pair.server.open.remove(0);
            talk.pair.server.finish_with(begin.answer, returning([slot()]));
            talk.run();
            let reading = returned_stream(&call);
            talk.pair.client.drop_promise(&call);
            talk.run();
            (talk.pair.server.last_stream(), reading)
        }
    }
}

fn streams(talk: &mut Cutting, side: usize, is_long: bool) {
    let (stream, mut reading) = open(talk, side);
    for length in [10, 200, 30] {
        talk.pair.peer(side).send(stream, items(&[length]));
        talk.run();
        talk.read("stream", &mut reading);
        talk.run();
    }
    talk.pair.peer(side).send(stream, Piece::Missed(3));
    if is_long {
        talk.pair.peer(side).send(stream, large(600));
    }
    talk.pair.peer(side).send(stream, item_with([slot()]));
    for _ in 0..4 {
        talk.run();
        talk.read("stream", &mut reading);
    }
    talk.pair.peer(side).send(stream, COMPLETE);
    talk.run();
    talk.read("stream", &mut reading);
    drop(reading);
    talk.run();
    // One that its reader leaves.
    let (stream, reading) = open(talk, side);
    talk.pair.peer(side).send(stream, items(&[50]));
    talk.run();
    drop(reading);
    talk.run();
    let stopped = talk.pair.peer(side).producers[&stream].stopped.is_some();
    talk.see(format!("the producer was stopped: {stopped}"));
    // The streams inside items that nobody took.
    let open: Vec<StreamId> = talk.pair.peer(side).producers.keys().copied().collect();
    for stream in open {
        talk.pair.peer(side).send(stream, COMPLETE);
    }
    talk.run();
}

fn long_values(talk: &mut Cutting, side: usize) {
    let call = talk.pair.peer(side).call(TEXT, &[text(80_000)]);
    talk.run();
    let length = match call.outcome() {
        Some(Returned::Value(value)) => value.bytes.len(),
        other => panic!("not a text but {other:?}"),
    };
    talk.see(format!("a text of {length} bytes"));
    talk.pair.peer(side).drop_promise(&call);
    talk.run();
}

/// The whole conversation. Returns what was seen.
fn converse(cuts: &[Cut], is_long: bool) -> Cutting {
    let mut talk = Cutting::new(cuts);
    let mut things = Things::default();
    for side in [0, 1] {
        calls(&mut talk, side);
        objects(&mut talk, side, &mut things);
        streams(&mut talk, side, is_long);
        if is_long {
            long_values(&mut talk, side);
        }
    }
    let (now, log) = (talk.pair.now, [talk.pair.client.log.clone(), talk.pair.server.log.clone()]);
    talk.see(format!("handlers: {log:?}"));
    let until = now + Duration::from_secs(30);
    talk.pair.client.session.close(now, until, 1_000, "", true);
    talk.run();
    for side in [0, 1] {
        let peer = talk.pair.peer(side);
        assert!(peer.session.close_complete(), "{side} does not close: {:?}", peer.session.stats());
        assert_eq!(peer.session.stats(), SessionStats::default(), "{side} still holds something");
        peer.session.check_empty();
        let told: BTreeSet<CallId> = peer.cancelled.iter().copied().collect();
        assert_eq!(told.len(), peer.cancelled.len(), "a handler is told to stop once");
    }
    assert_eq!(things.alive(), 0, "objects are dropped");
    talk
}

/// Has the conversation with these cuts, and checks that it was the same.
#[track_caller]
fn check(expected: &Cutting, cuts: &[Cut], is_long: bool) {
    let outcome = catch_unwind(AssertUnwindSafe(|| converse(cuts, is_long)));
    let talk = outcome.unwrap_or_else(|_| panic!("cut at {cuts:?}: see above"));
    assert_eq!(talk.seen, expected.seen, "cut at {cuts:?}");
    assert!(talk.done > 0, "not cut at {cuts:?}");
}

#[test]
fn a_cut_after_any_byte_changes_nothing() {
    let expected = converse(&[], false);
    for side in [0, 1] {
        let missing: Vec<_> = BOTH_WAYS
            .iter()
            .filter(|kind| !["Chunk", "LargeItem"].contains(kind) && !expected.kinds[side].contains(*kind))
            .collect();
        assert!(missing.is_empty(), "the conversation has no {missing:?} from {side}");
        for at in expected.known(side)..expected.passed[side] {
            check(&expected, &[(side, at)], false);
        }
    }
}

#[test]
fn a_cut_inside_long_values_changes_nothing() {
    let expected = converse(&[], true);
    for side in [0, 1] {
        for kind in ["Chunk", "LargeItem", "ItemChunk"] {
            assert!(expected.kinds[side].contains(kind), "the conversation has no {kind} from {side}");
        }
        // A message arrives whole or not at all: of long ones, some bytes stand for all.
        for (begins, length) in
            expected.messages[side].iter().filter(|(begins, _)| *begins >= expected.known(side))
        {
            for at in [0, 1, length / 2, length - 1] {
                check(&expected, &[(side, begins + at)], true);
            }
        }
    }
}

macro_rules! pairs {
    ($($name:ident = $part:literal),*) => {
        $(#[test]
        fn $name() {
            pairs_of_cuts_change_nothing_also_inside_the_resume($part);
        })*
    };
}

pairs! {
    pairs_of_cuts_change_nothing_1 = 1, pairs_of_cuts_change_nothing_2 = 2, pairs_of_cuts_change_nothing_3 = 3,
    pairs_of_cuts_change_nothing_4 = 4, pairs_of_cuts_change_nothing_5 = 5, pairs_of_cuts_change_nothing_6 = 6,
    pairs_of_cuts_change_nothing_7 = 7, pairs_of_cuts_change_nothing_8 = 8
}

fn pairs_of_cuts_change_nothing_also_inside_the_resume(part: u64) {
    let expected = converse(&[], false);
    let mut seeded = Seeded::new(part);
    let pairs = std::env::var("CUT_PAIRS").map_or(PAIRS, |pairs| pairs.parse().expect("a number"));
    for _ in 0..pairs / PARTS {
        let side = seeded.below(2);
        let within = |seeded: &mut Seeded, side| {
            let known = expected.known(side);
            known + seeded.below(expected.passed[side] - known)
        };
        let first = (side, within(&mut seeded, side));
        let other = if seeded.chance(50) { side } else { 1 - side };
        // Half of the second cuts are near the first, where the resume of that one is.
        let near = seeded.below(300);
        let second = match seeded.chance(50) {
            true if other == side => (other, first.1 + 1 + near),
            _ => (other, within(&mut seeded, other)),
        };
        check(&expected, &[first, second], false);
    }
}

#[test]
fn a_hundred_calls_in_flight_are_resumed_in_one_round_trip() {
    let flight = |pair: &mut Pair, side: usize| -> Vec<Vec<u8>> {
        let now = pair.now;
        std::iter::from_fn(|| pair.peer(side).poll_message(now)).collect()
    };
    let arrive = |pair: &mut Pair, side: usize, messages: Vec<Vec<u8>>| {
        let now = pair.now;
        messages
            .iter()
            .for_each(|message| pair.peer(side).receive(now, message).expect("it keeps to the protocol"));
    };
    let fifty = |pair: &mut Pair| -> Vec<TestCall> {
        (0..50).map(|number| pair.client.call(ADD, &[number.into(), 1.into()])).collect()
    };
    let mut pair = Pair::resumable(Limits::default(), Limits::default());
    pair.run();
    let mut calls = fifty(&mut pair);
    let up = flight(&mut pair, 0);
    arrive(&mut pair, 1, up);
    assert!(!flight(&mut pair, 1).is_empty(), "the answers, which are lost");
    calls.extend(fifty(&mut pair));
    assert!(!flight(&mut pair, 0).is_empty(), "the other calls, which are lost");

    let now = pair.now;
    pair.client.session.detach(now);
    pair.server.session.detach(now);
    pair.client.session.greet_again(now, [9; 32]);
    let up = flight(&mut pair, 0);
    arrive(&mut pair, 1, up);
    let down = flight(&mut pair, 1);
    arrive(&mut pair, 0, down);
    let sums: Vec<u64> = calls.iter().map(TestCall::value).collect();
    assert_eq!(sums, (1..=50).chain(1..=50).collect::<Vec<u64>>());
    assert_eq!(pair.server.log.len(), 100, "each ran once");
}

/// A timeout that stays due makes the driver spin.
#[test]
fn an_acknowledgement_that_waits_for_the_welcome_is_not_due() {
    let mut pair = Pair::resumable(Limits::default(), Limits::default());
    let sum = pair.client.call(ADD, &[1.into(), 2.into()]);
    pair.run();
    assert_eq!(sum.value(), 3);
    pair.client.session.detach(pair.now);
    // The acknowledgement of the result is due long before the server answers.
    pair.client.session.greet_again(pair.now, [9; 32]);
    while pair.client.poll_message(pair.now).is_some() {}
    pair.now = pair.now + Duration::from_millis(500);
    pair.client.handle_timeout(pair.now);
    while pair.client.poll_message(pair.now).is_some() {}
    let due = pair.client.session.poll_timeout();
    assert!(due.is_none_or(|due| due > pair.now), "{due:?} at {:?}", pair.now);
}

#[test]
fn a_session_that_waits_for_a_socket_keeps_no_room_for_calls_that_are_over() {
    let mut pair = Pair::resumable(Limits::default(), Limits::default());
    let kept = pair.client.call(ADD, &[1.into(), 2.into()]);
    let plain = pair.client.call(ADD, &[3.into(), 4.into()]);
    pair.client.release(&plain);
    pair.run();
    assert_eq!([kept.value(), plain.value()], [3, 7]);
    pair.client.release(&kept);
    pair.advance(Duration::from_secs(1));
    let now = pair.now;
    let server = &mut pair.server.session;
    assert!(server.answers.room().iter().all(|room| *room > 0), "the next calls find room");
    server.detach(now);
    server.rest();
    assert_eq!(server.answers.room(), [0; 3]);
}
