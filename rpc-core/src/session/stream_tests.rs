//! Streams in virtual time: what credit lets through, what it holds back, and that all of it comes home.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    CallOutcome, CallTarget, SessionStats,
    pair::{ADD, Arg, COUNT, Pair, STRUCTURED, TEXT, TestCall, TestPeer, encoded, value_of},
};
use crate::{
    codec,
    dispatch::Outcome,
    limits::Limits,
    object::{self, Capability, Encoded, Passed, Passing},
    path::Path,
    small_bytes::SmallBytes,
    stream::{Ending, Piece, Reading, StreamSlot, Streaming},
    time::Time,
    wire::{ITEM_OVERHEAD, ITEMS_BYTES, METHOD_MAP, MethodNumber, StreamId, put_sized, slots},
};

/// A stream as a value of this side that is yet to be sent. The test sends its items itself.
pub(crate) fn slot() -> Arc<StreamSlot> {
    marked(0)
}

/// The same, to be known by a number.
pub(crate) fn marked(number: u64) -> Arc<StreamSlot> {
    let mut passed = Vec::new();
    let stream = Streaming::<u64>::from_iter([number]);
    object::writing(&mut passed, || codec::encode(&stream, &mut Vec::new())).expect("a stream encodes");
    match passed.pop() {
        Some(Passed::Stream(slot)) => slot,
        Some(Passed::Stub(_)) | None => panic!("a stream was encoded"),
    }
}

/// Items of these lengths, packed.
pub(crate) fn items(lengths: &[usize]) -> Piece {
    let mut bytes = Vec::new();
    for length in lengths {
        let put = put_sized(&mut bytes, |out| {
            out.resize(out.len() + length, 7);
            Ok::<_, ()>(())
        });
        put.expect("bytes are copied");
    }
    Piece::Items { count: lengths.len() as u64, items: bytes.into() }
}

/// One item that takes exactly so much credit.
pub(crate) fn item_of(charge: usize) -> Piece {
    let head = if charge - ITEM_OVERHEAD - 1 < 0x80 { 1 } else { 2 };
    let item = items(&[charge - ITEM_OVERHEAD - head]);
    assert_eq!(item.charge(), charge as u64);
    item
}

/// One item of this length that travels in chunks.
pub(crate) fn large(length: usize) -> Piece {
    Piece::Large { head: SmallBytes::default(), item: vec![9; length].into() }
}

/// An item with these streams in it.
pub(crate) fn item_with(slots: impl IntoIterator<Item = Arc<StreamSlot>>) -> Piece {
    let Piece::Items { count, items } = items(&[1]) else { panic!("it is packed") };
    let table = slots.into_iter().map(Capability::Stream).collect();
    Piece::Items { count, items: Encoded { bytes: items.bytes, capabilities: object::capabilities(table) } }
}

pub(crate) const COMPLETE: Piece = Piece::End(Ending::Complete);

/// The stream in a table.
pub(crate) fn stream_of(table: &object::Capabilities) -> Reading {
    let found = table.iter().flat_map(|table| table.iter()).find_map(|capability| match capability {
        Capability::Stream(slot) => slot.take(),
        Capability::Import(_) | Capability::Local(_) => None,
    });
    found.expect("there is a stream, and nobody has taken it")
}

/// What the reader of a stream finds if it looks once.
pub(crate) fn look(reading: &mut Reading) -> Option<Piece> {
    match reading.poll_piece(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(piece) => Some(piece),
        Poll::Pending => None,
    }
}

/// Reads what is there; the bytes of items that were.
pub(crate) fn read_all(reading: &mut Reading) -> u64 {
    let mut charge = 0;
    while let Some(piece) = look(reading) {
        charge += piece.charge();
        if matches!(piece, Piece::End(_)) {
            break;
        }
    }
    charge
}

#[track_caller]
pub(crate) fn check_ends(reading: &mut Reading) -> Ending {
    match look(reading) {
        Some(Piece::End(ending)) => ending,
        Some(other) => panic!("not its end but a piece of charge {}", other.charge()),
        None => panic!("it has not ended"),
    }
}

/// An argument of `text` with so many letters.
pub(crate) fn text(length: usize) -> Arg {
    Arg::Bytes(encoded(&"t".repeat(length)).to_vec())
}

impl TestPeer {
    /// Calls with streams beside the arguments.
    pub(crate) fn call_with_streams(&mut self, slots: impl IntoIterator<Item = Arc<StreamSlot>>) -> TestCall {
        let objects = slots.into_iter().map(|slot| Passing::Settled(Capability::Stream(slot))).collect();
        let mut payload = vec![1];
        slots::put_inline(&mut payload, |out| codec::encode(&1_u64, out)).expect("encodes");
        self.call_with(MethodNumber(COUNT), CallTarget::Root, objects, payload, Vec::new(), None)
    }

    /// Lets the handler that was begun first finish, and gives the stream that it was called with.
    #[track_caller]
    pub(crate) fn take_stream(&mut self) -> Reading {
        let begin = self.open.remove(0);
        let reading = stream_of(&begin.arguments.beside);
        self.finish_with(begin.answer, value_of(begin.want, 5_u64));
        reading
    }

    pub(crate) fn room(&self, stream: StreamId) -> i64 {
        self.producers[&stream].room
    }

    pub(crate) fn last_stream(&self) -> StreamId {
        *self.producers.keys().last().expect("it has opened one")
    }

    /// Sends items of this length as long as there is room, as a producer would.
    pub(crate) fn fill(&mut self, stream: StreamId, length: usize) -> u64 {
        let mut sent = 0;
        while self.producers[&stream].stopped.is_none() && self.room(stream) > 0 {
            let item = if length > ITEMS_BYTES { large(length) } else { items(&[length]) };
            sent += item.charge();
            self.send(stream, item);
        }
        sent
    }
}

impl Pair {
    /// A stream from the client to the server, at both its ends.
    #[track_caller]
    pub(crate) fn upload(&mut self) -> (StreamId, Reading) {
        let call = self.client.call_with_streams([slot()]);
        self.run();
        let reading = self.server.take_stream();
        self.run();
        self.client.drop_promise(&call);
        self.run();
        (self.client.last_stream(), reading)
    }

    /// A stream from the server to the client, at both its ends.
    #[track_caller]
    pub(crate) fn download(&mut self) -> (StreamId, Reading) {
        let call = self.client.call(COUNT, &[1.into()]);
        self.run();
        let begin = self.server.open.remove(0);
        self.server.finish_with(begin.answer, returning([slot()]));
        self.run();
        let reading = returned_stream(&call);
        self.client.drop_promise(&call);
        self.run();
        (self.server.last_stream(), reading)
    }

    #[track_caller]
    pub(crate) fn check_empty(&mut self) {
        self.run();
        self.advance(Duration::from_secs(1));
        for peer in [&self.client, &self.server] {
            assert_eq!(peer.session.stats(), SessionStats::default());
            peer.session.check_empty();
        }
    }
}

/// What a handler returns that returns streams.
pub(crate) fn returning(slots: impl IntoIterator<Item = Arc<StreamSlot>>) -> Outcome {
    let objects = slots.into_iter().map(Capability::Stream).collect();
    Outcome::Value { payload: Some(encoded(&0_u32)), objects, held: None }
}

#[track_caller]
pub(crate) fn returned_stream(call: &TestCall) -> Reading {
    match call.take_outcome() {
        Some(CallOutcome::Value(value)) => stream_of(&value.capabilities),
        other => panic!("no stream was returned but {other:?}"),
    }
}

/// With windows of this size that do not grow.
pub(crate) fn windows(bytes: usize) -> Limits {
    Limits { stream_window_bytes: bytes, stream_window_bytes_max: bytes, ..Limits::default() }
}

// ---- what goes wrong between honest peers ----

#[test]
fn an_item_that_almost_fills_the_window_comes_though_the_reader_has_not_told_all_it_read() {
    for shortfall in [0, 1, 64, 100] {
        let mut pair = Pair::new();
        let (stream, mut reading) = pair.upload();
        pair.client.send(stream, items(&[100]));
        pair.run();
        // Too little to be told; and now the reader waits.
        assert_eq!(read_all(&mut reading), 165);
        pair.run();
        let length = (64 << 10) - ITEM_OVERHEAD - shortfall;
        pair.client.send(stream, large(length));
        pair.client.send(stream, COMPLETE);
        pair.run();
        assert!(matches!(look(&mut reading), Some(Piece::Large { item, .. }) if item.len() == length));
        pair.run();
        assert!(matches!(check_ends(&mut reading), Ending::Complete));
        drop(reading);
        pair.check_empty();
    }
}

#[test]
fn streams_in_items_and_in_calls_that_wait_behind_others_open_in_the_order_of_their_ids() {
    let mut pair = Pair::new();
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, item_with([slot()]));
    pair.client.send(stream, items(&[3]));
    // The second call does not fit in the message that the first one fills.
    pair.client.call(TEXT, &[text(20_000)]);
    pair.client.call_with_streams([slot()]);
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Items { items, .. }) if items.capabilities.is_some()));
    assert!(matches!(look(&mut reading), Some(Piece::Items { items, .. }) if items.capabilities.is_none()));
    drop(pair.server.take_stream());
    drop(reading);
    pair.run();
}

#[test]
fn a_stream_does_not_start_before_the_map_that_opens_it_when_definitions_fill_the_message() {
    for length in 16_280..16_384 {
        let mut pair = Pair::new();
        let base = pair.client.call(STRUCTURED, &[3.into()]);
        pair.client.call(TEXT, &[text(1)]);
        pair.run();
        pair.client.call(TEXT, &[text(20_000)]);
        pair.client.call(TEXT, &[text(length)]);
        let mut payload = vec![2];
        slots::put_reference(&mut payload, base.id, &Path::whole(), false);
        slots::put_inline(&mut payload, |out| codec::encode(&1_u64, out)).expect("encodes");
        let objects = vec![Passing::Settled(Capability::Stream(slot()))];
        let root = CallTarget::Root;
        pair.client.call_naming(METHOD_MAP, root, objects, payload, vec![base.id], None, &[COUNT, ADD]);
        let now = pair.now;
        let mut messages: Vec<Vec<u8>> = pair.client.poll_message(now).into_iter().collect();
        let stream = pair.client.last_stream();
        pair.client.send(stream, items(&[1]));
        while let Some(message) = pair.client.poll_message(now) {
            messages.push(message);
        }
        assert!(messages.len() > 1, "the call is not in the first message");
        for message in messages {
            let heard = pair.server.receive(now, &message);
            assert_eq!(heard, Ok(()), "the stream is open when its items come");
        }
    }
}

#[test]
fn a_stream_takes_the_place_of_a_stopped_one_after_its_end_was_said() {
    let limits = Limits { streams_max: 64, ..Limits::default() };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut readings: Vec<Reading> = (0..64).map(|_| pair.upload().1).collect();
    drop(readings.pop());
    pair.server.feed_drops();
    let now = pair.now;
    let stop = pair.server.poll_message(now).expect("it stops the stream");
    pair.client.receive(now, &stop).expect("a stream may be stopped");
    let call = pair.client.call_with_streams([slot()]);
    pair.run();
    match pair.server.open.is_empty() {
        // Refused for once, and then there is room.
        true => assert!(matches!(call.outcome(), Some(CallOutcome::Failed(_)))),
        false => drop(pair.server.take_stream()),
    }
    pair.client.drop_promise(&call);
    drop(pair.upload());
    drop(readings);
    pair.check_empty();
}

#[test]
fn what_its_producer_left_out_takes_no_room_while_nobody_reads() {
    let mut pair = Pair::new();
    let (stream, mut reading) = pair.upload();
    for _ in 0..1_000 {
        pair.client.send(stream, Piece::Missed(2));
        pair.run();
    }
    pair.client.send(stream, items(&[1]));
    pair.client.send(stream, Piece::Missed(u64::MAX));
    pair.client.send(stream, Piece::Missed(u64::MAX));
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Missed(2_000))));
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    assert!(matches!(look(&mut reading), Some(Piece::Missed(u64::MAX))));
    assert!(look(&mut reading).is_none());
}

#[test]
fn an_item_that_waits_for_the_shared_buffer_is_not_overtaken_for_ever() {
    let limits = Limits { stream_buffer_bytes_max: 300_000, ..windows(1_000) };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut flows: Vec<_> = (0..4).map(|_| pair.upload()).collect();
    // Two small ones are in, a large one waits, and two more small ones come.
    for (at, length) in [(0, 140_000), (1, 140_000)] {
        pair.client.send(flows[at].0, large(length));
        assert!(look(&mut flows[at].1).is_none());
        pair.run();
    }
    pair.client.send(flows[2].0, large(280_000));
    assert!(look(&mut flows[2].1).is_none());
    pair.run();
    for round in 0..6 {
        if let Some(Piece::Large { item, .. }) = look(&mut flows[2].1) {
            assert_eq!(item.len(), 280_000);
            assert!(round <= 2, "it waited for {round} others");
            return;
        }
        let at = round % 2;
        assert!(matches!(look(&mut flows[at].1), Some(Piece::Large { .. })));
        pair.client.send(flows[at].0, large(140_000));
        assert!(look(&mut flows[at].1).is_none());
        pair.run();
        pair.run();
    }
    panic!("it was overtaken again and again");
}

#[test]
fn windows_that_have_grown_leave_room_for_an_item_that_is_longer_than_its_window() {
    let limits = Limits {
        payload_bytes_max: 200_000,
        stream_buffer_bytes_max: 600_000,
        stream_window_bytes_max: 8 << 20,
        ..Limits::default()
    };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let (fast, mut fast_reading) = pair.upload();
    let (other, mut other_reading) = pair.upload();
    let mut far = Far::new(Duration::from_millis(50));
    far.run(&mut pair, Duration::from_secs(5), |pair| {
        pair.client.fill(fast, 10_000);
        read_all(&mut fast_reading);
    });
    let (window, _) = pair.server.session.outgoing.streams.window(fast).expect("it is open");
    assert!(window >= 400_000, "it grew to {window} only");
    assert!(look(&mut other_reading).is_none());
    pair.client.send(other, large(200_000));
    pair.run();
    assert!(matches!(look(&mut other_reading), Some(Piece::Large { .. })), "there was no room for it");
    drop((fast_reading, other_reading));
    pair.check_empty();
}

#[test]
fn no_message_is_longer_than_what_receivers_take() {
    let mut pair = Pair::new();
    let (stream, reading) = pair.upload();
    let (more, more_reading) = pair.upload();
    let (third, third_reading) = pair.upload();
    pair.server.sent.clear();
    pair.client.sent.clear();
    let object = crate::object::LocalObject::new(crate::object::Behaviour::Forward(crate::stub::Remote {
        handle: Arc::clone(&pair.client.home.handle),
        target: crate::stub::RemoteTarget::Root,
    }));
    let table = vec![Capability::Local(object); 4_000];
    for stream in [stream, more] {
        let Piece::Items { count, items } = items(&[16_200]) else { panic!("it is packed") };
        pair.client.send(stream, Piece::Items { count, items });
    }
    let item = Encoded { bytes: vec![1; 100_000].into(), capabilities: object::capabilities(table) };
    pair.client.send(third, Piece::Large { head: SmallBytes::default(), item });
    pair.run();
    let longest = pair.client.sent.iter().map(Vec::len).max();
    assert!(longest <= Some(crate::wire::MESSAGE_BYTES_MAX), "{longest:?} bytes");
    drop((reading, more_reading, third_reading));
}

#[test]
fn an_item_longer_than_the_shared_buffer_does_not_loosen_its_stream_s_window() {
    let limits = Limits { stream_buffer_bytes_max: 50_000, ..windows(20_000) };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, large(400_000));
    assert!(look(&mut reading).is_none());
    pair.run();
    // It is here and was not read; what comes behind it takes the window, and no more.
    pair.run();
    assert!(pair.server.session.stats().stream_bytes_unread >= 400_000, "it is counted until it is read");
    pair.client.fill(stream, 900);
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Large { .. })));
    pair.run();
    pair.client.fill(stream, 900);
    pair.run();
    let unread = pair.server.session.stats().stream_bytes_unread;
    let found = read_all(&mut reading);
    assert_eq!(unread as u64, found, "it counts what waits to be read");
    assert!(found <= 20_000 + 1_000, "{found} waited to be read");
    drop(reading);
    pair.check_empty();
}

// ---- a link that takes its time ----

/// Messages on a link with a delay each way, and endless bandwidth.
pub(crate) struct Far {
    delay: Duration,
    ways: [VecDeque<(Time, Vec<u8>)>; 2],
}

impl Far {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay, ways: Default::default() }
    }

    /// Lets time pass; `act` is what producers and readers do whenever something has happened.
    #[track_caller]
    pub(crate) fn run(&mut self, pair: &mut Pair, by: Duration, mut act: impl FnMut(&mut Pair)) {
        let until = pair.now + by;
        loop {
            let now = pair.now;
            act(pair);
            for (peer, way) in [&mut pair.client, &mut pair.server].into_iter().zip(&mut self.ways) {
                peer.feed_drops();
                while let Some(message) = peer.poll_message(now) {
                    way.push_back((now + self.delay, message));
                }
            }
            let next = self.ways.iter().filter_map(|way| way.front()).map(|(due, _)| *due).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            pair.now = next;
            for (from, way) in self.ways.iter_mut().enumerate() {
                while let Some((_, message)) = way.pop_front_if(|(due, _)| *due <= next) {
                    let to = if from == 0 { &mut pair.server } else { &mut pair.client };
                    to.receive(next, &message).expect("both sides keep to the protocol");
                }
            }
        }
        pair.now = until;
    }
}
