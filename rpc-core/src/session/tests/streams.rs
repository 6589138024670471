//! Streams in virtual time: what credit lets through, what it holds back, and that all of it comes home.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::pair::{ADD, Arg, COUNT, Pair, STRUCTURED, TEXT, TestCall, TestPeer, encoded, value_of};
use crate::{
    buffer::small_bytes::SmallBytes,
    caller::passing::{self, Passed},
    codec,
    error::StopReason,
    limits::Limits,
    path::Path,
    session::{events::SessionStats, inputs::CallTarget},
    stream::{Streaming, reading::Reading, source::Source},
    time::Time,
    value::{
        encoded::{self, Capabilities, Capability, Encoded, Passing},
        outcome::Outcome,
        returned::Returned,
        stream::{Ending, Piece, StreamSlot},
    },
    wire::{
        Failure, Frame, ITEM_OVERHEAD, ITEMS_BYTES, METHOD_MAP, MethodNumber, StreamId, arguments,
        write::put_sized,
    },
};

/// A stream as a value of this side that is yet to be sent. The test sends its items itself.
pub(crate) fn slot() -> Arc<StreamSlot> {
    marked(0)
}

/// The same, to be known by a number.
pub(crate) fn marked(number: u64) -> Arc<StreamSlot> {
    let stream = Streaming::<u64>::from_iter([number]);
    let (encoded, added) = passing::writing(0, || codec::encode(&stream, &mut Vec::new()));
    encoded.expect("a stream encodes");
    match added.take().pop() {
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
    Piece::Items { count, items: Encoded { bytes: items.bytes, capabilities: encoded::capabilities(table) } }
}

pub(crate) const COMPLETE: Piece = Piece::End(Ending::Complete);

/// The stream in a table.
pub(crate) fn stream_of(table: &Capabilities) -> Reading {
    let found = table.iter().flat_map(|table| table.iter()).find_map(|capability| match capability {
        Capability::Stream(slot) => Reading::take(slot).map(|reading| *reading),
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
        arguments::put_inline(&mut payload, |out| codec::encode(&1_u64, out)).expect("encodes");
        self.call_with(MethodNumber(COUNT), CallTarget::Root, objects, payload, Vec::new(), None)
    }

    /// Lets the handler that was begun first finish, and gives the stream that it was called with.
    #[track_caller]
    pub(crate) fn take_stream(&mut self) -> Reading {
        let begin = self.open.remove(0);
        let reading = stream_of(begin.arguments.objects().0);
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
    Outcome::Value { payload: Some(encoded(&0_u32)), objects }
}

#[track_caller]
pub(crate) fn returned_stream(call: &TestCall) -> Reading {
    match call.take_outcome() {
        Some(Returned::Value(value)) => stream_of(&value.capabilities),
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
        arguments::put_reference(&mut payload, base.id, &Path::whole(), false);
        arguments::put_inline(&mut payload, |out| codec::encode(&1_u64, out)).expect("encodes");
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
        true => assert!(matches!(call.outcome(), Some(Returned::Failed(_)))),
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
    let object = crate::value::object::LocalObject::new(crate::caller::stub::Remote {
        handle: Arc::clone(&pair.client.home.handle),
        target: crate::caller::stub::RemoteTarget::Root,
    });
    let table = vec![Capability::Local(object); 4_000];
    for stream in [stream, more] {
        let Piece::Items { count, items } = items(&[16_200]) else { panic!("it is packed") };
        pair.client.send(stream, Piece::Items { count, items });
    }
    let item = Encoded { bytes: vec![1; 100_000].into(), capabilities: encoded::capabilities(table) };
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

// ---- what credit lets through ----

/// Frames of streams that a side has sent since this was last asked.
fn stream_frames(peer: &mut TestPeer) -> Vec<Frame> {
    let about_streams = |frame: &Frame| {
        !matches!(frame, Frame::Call(_) | Frame::Return(_) | Frame::Release(_) | Frame::ReleaseObjects(_))
    };
    peer.take_frames().into_iter().filter(about_streams).collect()
}

fn granted(frames: &[Frame]) -> Vec<u64> {
    let bytes = |frame: &Frame| if let Frame::Credit { bytes, .. } = frame { Some(*bytes) } else { None };
    frames.iter().filter_map(bytes).collect()
}

#[test]
fn a_producer_gets_the_room_that_its_window_has() {
    for window in [1, 200, 5_000, 100_000] {
        let mut pair = Pair::with_limits(Limits::default(), windows(window));
        let (stream, _reading) = pair.upload();
        assert_eq!(pair.client.room(stream), window as i64);
        // The windows of the two sides have nothing to do with each other.
        let (stream, _reading) = pair.download();
        assert_eq!(pair.server.room(stream), 64 << 10);
    }
}

#[test]
fn both_sides_count_with_the_same_window_however_wide_it_may_be() {
    let wide = windows(8 << 30);
    let mut pair = Pair::with_limits(Limits::default(), wide);
    let (stream, _reading) = pair.upload();
    let credit = pair.client.session.outgoing.streams.credit_of(stream);
    assert_eq!(credit, Some((1 << 31) - 1));
    assert_eq!(pair.server.session.outgoing.streams.window(stream), Some(((1 << 31) - 1, 0)));
}

#[test]
fn a_producer_is_not_given_more_than_a_short_queue_takes() {
    let mut pair = Pair::with_limits(Limits::default(), windows(10 << 20));
    let (stream, _reading) = pair.upload();
    assert_eq!(pair.client.room(stream), 128 << 10);
    pair.client.fill(stream, 1_000);
    assert!(pair.client.session.stats().outgoing_bytes <= (128 << 10) + 1_066);
    pair.run();
    assert_eq!(pair.client.room(stream), 128 << 10, "what has left makes room");
}

#[test]
fn what_waits_for_slow_readers_holds_further_producers_back_until_it_is_less() {
    let client = Limits { outgoing_bytes_max: 100_000, ..Limits::default() };
    let mut pair = Pair::with_limits(client, windows(1_000));
    let (first, first_reading) = pair.upload();
    let (second, second_reading) = pair.upload();
    for stream in [first, second] {
        pair.client.send(stream, large(90_000));
    }
    pair.run();
    let (third, mut reading) = pair.upload();
    assert_eq!(pair.client.room(third), 0);
    drop(first_reading);
    pair.run();
    assert_eq!(pair.client.room(third), 0, "more than half of it waits");
    drop(second_reading);
    pair.run();
    assert_eq!(pair.client.room(third), 1_000);
    pair.client.fill(third, 100);
    pair.run();
    assert!(read_all(&mut reading) > 1_000);
}

#[test]
fn items_are_charged_what_they_take_and_64_more() {
    let mut pair = Pair::with_limits(Limits::default(), windows(1_000));
    let (stream, _reading) = pair.upload();
    pair.client.send(stream, items(&[0]));
    pair.client.send(stream, items(&[10, 20]));
    pair.client.send(stream, item_with([slot(), slot()]));
    pair.client.send(stream, Piece::Missed(9));
    pair.run();
    let charge = (1 + 64) + (11 + 64 + 21 + 64) + (2 + 64 + 2 * 16);
    assert_eq!(pair.client.session.outgoing.streams.credit_of(stream), Some(1_000 - charge));
    assert_eq!(pair.server.session.outgoing.streams.window(stream), Some((1_000, charge as u64)));
}

#[test]
fn a_reader_that_reads_nothing_stops_the_producer_at_a_window_and_one_item() {
    let mut pair = Pair::with_limits(Limits::default(), windows(1_000));
    let (stream, mut reading) = pair.upload();
    let sent = pair.client.fill(stream, 235);
    pair.run();
    assert_eq!(sent, 4 * (2 + 235 + 64), "the last is one item beyond the window");
    assert_eq!(pair.client.room(stream), 1_000 - sent as i64);
    assert_eq!(pair.server.session.stats().stream_bytes_unread as u64, sent);
    assert_eq!(read_all(&mut reading), sent);
    pair.run();
    assert_eq!(pair.client.room(stream), 1_000, "all of it was granted again");
}

#[test]
fn nothing_is_sent_without_credit_and_one_item_with_the_last_of_it() {
    let mut pair = Pair::with_limits(Limits::default(), windows(300));
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, item_of(299));
    pair.client.send(stream, items(&[10_000]));
    pair.client.send(stream, items(&[1]));
    pair.client.send(stream, COMPLETE);
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    assert!(matches!(look(&mut reading), Some(Piece::Items { items, .. }) if items.len() == 10_002));
    assert!(look(&mut reading).is_none(), "the third has no credit");
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    assert!(matches!(check_ends(&mut reading), Ending::Complete));
}

#[test]
fn an_item_behind_exactly_all_credit_waits() {
    let mut pair = Pair::with_limits(Limits::default(), windows(300));
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, item_of(300));
    pair.client.send(stream, item_of(65));
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    assert!(look(&mut reading).is_none());
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
}

#[test]
fn credit_is_granted_for_a_quarter_of_the_window_that_was_read() {
    let mut pair = Pair::with_limits(Limits::default(), windows(1_000));
    let (stream, mut reading) = pair.upload();
    for charge in [100, 149, 1 + 64, 500] {
        pair.client.send(stream, item_of(charge));
    }
    pair.run();
    pair.server.sent.clear();
    for expected in [vec![], vec![], vec![314], vec![500]] {
        look(&mut reading).expect("it has arrived");
        pair.run();
        assert_eq!(granted(&stream_frames(&mut pair.server)), expected);
    }
}

#[test]
fn a_large_item_travels_in_chunks_within_its_credit() {
    let mut pair = Pair::with_limits(Limits::default(), windows(200_000));
    let (stream, mut reading) = pair.upload();
    pair.client.sent.clear();
    pair.client.send(stream, large(150_000));
    pair.run();
    let lengths: Vec<usize> = stream_frames(&mut pair.client)
        .into_iter()
        .filter_map(|frame| if let Frame::ItemChunk { bytes, .. } = frame { Some(bytes.len()) } else { None })
        .collect();
    assert_eq!(lengths, [64 << 10, 64 << 10, 150_000 - (128 << 10)]);
    assert!(matches!(look(&mut reading), Some(Piece::Large { item, .. }) if item.len() == 150_000));
}

#[test]
fn a_large_item_is_charged_whole_until_its_last_chunk_has_left_the_socket() {
    const LENGTH: usize = 500_000;
    let charged = |peer: &mut TestPeer, waiting| {
        peer.session.settle_rest(waiting);
        peer.session.stats().session_bytes
    };
    for is_stopped in [false, true] {
        let mut pair = Pair::with_limits(Limits::default(), windows(2_000_000));
        let (stream, mut reading) = pair.upload();
        pair.client.send(stream, large(LENGTH));
        while let Some(message) = pair.client.poll_message(pair.now) {
            let bytes = charged(&mut pair.client, message.len());
            assert!(bytes >= LENGTH, "{bytes}");
            pair.server.receive(pair.now, &message).expect("well formed");
            if is_stopped {
                let stop = Frame::Stop { stream, reason: None };
                let mut message = Vec::new();
                crate::wire::write::put_frame(&mut message, &stop);
                pair.client.receive(pair.now, &message).expect("well formed");
                let bytes = charged(&mut pair.client, 100);
                assert!((50_000..LENGTH).contains(&bytes), "one chunk was cut off: {bytes}");
                break;
            }
        }
        assert!(charged(&mut pair.client, 0) < 20_000);
        assert!(is_stopped || matches!(look(&mut reading), Some(Piece::Large { .. })));
    }
}

#[test]
fn the_memory_of_large_items_is_kept_for_a_moment_when_they_were_read() {
    let mut pair = Pair::with_limits(Limits::default(), windows(2_000_000));
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, large(500_000));
    pair.run();
    let item = look(&mut reading).expect("it has arrived");
    assert_eq!(pair.server.session.spare_bytes(), 0);
    drop(item);
    assert_eq!(pair.server.session.spare_bytes(), 500_000);
    pair.client.send(stream, large(450_000));
    pair.run();
    assert_eq!(pair.server.session.spare_bytes(), 0, "the next lies in it");
    assert_eq!(read_all(&mut reading), 450_064);
    assert_eq!(pair.server.session.spare_bytes(), 500_000);
    pair.advance(Duration::from_millis(250));
    assert_eq!(pair.server.session.spare_bytes(), 0);
}

#[test]
fn an_item_longer_than_its_window_waits_for_its_reader() {
    let mut pair = Pair::with_limits(Limits::default(), windows(40_000));
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, items(&[5]));
    pair.client.send(stream, large(500_000));
    pair.client.send(stream, items(&[6]));
    pair.client.send(stream, COMPLETE);
    pair.run();
    let unread = pair.server.session.stats().stream_bytes_unread;
    assert!(unread <= 40_000 + (16 << 10), "{unread} bytes came though nobody waits for them");
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    pair.run();
    assert_eq!(pair.server.session.stats().stream_bytes_unread, unread, "its reader is busy");
    assert!(look(&mut reading).is_none());
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Large { item, .. }) if item.len() == 500_000));
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    pair.run();
    assert!(matches!(check_ends(&mut reading), Ending::Complete));
    drop(reading);
    pair.check_empty();
}

#[test]
fn what_a_reader_tells_while_an_item_is_let_in_widens_the_window_again() {
    let mut pair = Pair::with_limits(Limits::default(), windows(20_000));
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, items(&[6_000]));
    pair.run();
    // The session hears of this after the next item was announced.
    assert_eq!(read_all(&mut reading), 6_066);
    pair.client.send(stream, large(90_000));
    let now = pair.now;
    while let Some(message) = pair.client.poll_message(now) {
        pair.server.receive(now, &message).expect("it is in order");
    }
    pair.run();
    assert_eq!(pair.server.session.stats().stream_bytes_unread, 90_064);
    let credit = pair.client.session.outgoing.streams.credit_of(stream).expect("it is open");
    assert!(credit > 15_000, "what was read is not taken for what waits: {credit}");
    assert_eq!(read_all(&mut reading), 90_064);
    drop(reading);
    pair.check_empty();
}

#[test]
fn items_that_compete_for_the_shared_buffer_get_it_one_after_the_other() {
    let limits = Limits { stream_buffer_bytes_max: 100_000, ..windows(1_000) };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut flows: Vec<_> = (0..5).map(|_| pair.upload()).collect();
    for (stream, reading) in &mut flows {
        pair.client.send(*stream, large(90_000));
        pair.client.send(*stream, COMPLETE);
        assert!(look(reading).is_none());
        pair.run();
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        assert!(pair.server.session.stats().stream_bytes_unread <= 100_000 + 5 * (1_000 + (16 << 10)));
        for (at, (_, reading)) in flows.iter_mut().enumerate() {
            if !order.contains(&at)
                && let Some(Piece::Large { .. }) = look(reading)
            {
                order.push(at);
            }
        }
        pair.run();
    }
    assert_eq!(order, [0, 1, 2, 3, 4]);
    for (_, reading) in &mut flows {
        assert!(matches!(check_ends(reading), Ending::Complete));
    }
    drop(flows);
    pair.check_empty();
}

#[test]
fn what_is_reserved_is_given_back_however_the_stream_goes() {
    let limits = Limits { stream_buffer_bytes_max: 100_000, ..windows(20_000) };
    for way in 0..4 {
        let mut pair = Pair::with_limits(limits.clone(), limits.clone());
        let (stream, mut reading) = pair.upload();
        let (other, mut other_reading) = pair.upload();
        pair.client.send(stream, large(90_000));
        assert!(look(&mut reading).is_none());
        // The item is reserved for, and a part of it has come.
        let now = pair.now;
        for _ in 0..2 {
            while let Some(message) = pair.client.poll_message(now) {
                pair.server.receive(now, &message).expect("it is in order");
            }
            pair.server.feed_drops();
            while let Some(message) = pair.server.poll_message(now) {
                pair.client.receive(now, &message).expect("it is in order");
            }
        }
        pair.client.send(other, large(90_000));
        assert!(look(&mut other_reading).is_none());
        match way {
            0 => drop(reading),
            1 => {
                reading.stopped(&StopReason::Refused { reason: "not today".into() });
                drop(reading);
            }
            2 => {
                pair.run();
                assert!(look(&mut reading).is_some());
                drop(reading);
            }
            _ => {
                pair.client.send(stream, Piece::End(Ending::Abandoned));
                pair.run();
                assert!(look(&mut reading).is_some());
                assert!(matches!(check_ends(&mut reading), Ending::Abandoned));
            }
        }
        pair.run();
        assert!(matches!(look(&mut other_reading), Some(Piece::Large { .. })), "way {way}");
        if way == 1 {
            let stopped = pair.client.producers[&stream].stopped.as_ref();
            assert!(matches!(stopped, Some(StopReason::Refused { reason }) if reason == "not today"));
        }
        drop(other_reading);
        pair.check_empty();
    }
}

#[test]
fn an_item_longer_than_the_peer_takes_ends_its_stream_here() {
    let server = Limits { payload_bytes_max: 50_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    let (stream, mut reading) = pair.upload();
    pair.client.send(stream, large(50_000));
    pair.run();
    assert!(matches!(look(&mut reading), Some(Piece::Large { .. })));
    pair.run();
    pair.client.send(stream, large(50_001));
    pair.run();
    let ending = check_ends(&mut reading);
    assert!(
        matches!(&ending, Ending::Failed(Failure::ResourceExhausted(reached)) if reached.limit == "payload_bytes_max")
    );
    assert!(pair.client.producers[&stream].stopped.is_some());
    pair.check_empty();
}

#[test]
fn streams_opened_before_the_welcome_send_nothing_until_it_is_here() {
    let mut pair = Pair::new();
    pair.client.call_with_streams([slot()]);
    let now = pair.now;
    let hello = pair.client.poll_message(now).expect("it greets and calls");
    let stream = pair.client.last_stream();
    assert_eq!(pair.client.room(stream), 0);
    pair.client.send(stream, items(&[1]));
    pair.client.send(stream, COMPLETE);
    assert_eq!(pair.client.poll_message(now), None);
    pair.server.receive(now, &hello).expect("it is in order");
    pair.run();
    let mut reading = pair.server.take_stream();
    assert!(matches!(look(&mut reading), Some(Piece::Items { .. })));
    assert!(matches!(check_ends(&mut reading), Ending::Complete));
}

#[test]
fn more_streams_than_the_peer_takes_are_refused_on_this_side() {
    let limits = Limits { streams_max: 70, ..Limits::default() };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut readings: Vec<_> = (0..70).map(|_| pair.upload().1).collect();
    let call = pair.client.call_with_streams([slot()]);
    pair.run();
    let exhausted =
        |failure| matches!(failure, Failure::ResourceExhausted(reached) if reached.limit == "streams_max");
    assert!(exhausted(call.failure()));
    pair.client.drop_promise(&call);
    readings.pop();
    pair.run();
    let (_, reading) = pair.upload();
    // The other way they are counted apart.
    let others: Vec<_> = (0..70).map(|_| pair.download().1).collect();
    let call = pair.client.call(COUNT, &[1.into()]);
    pair.run();
    let begin = pair.server.open.remove(0);
    pair.server.finish_with(begin.answer, returning([slot()]));
    pair.run();
    assert!(exhausted(call.failure()));
    pair.client.drop_promise(&call);
    drop((readings, reading, others));
    pair.check_empty();
}

#[test]
fn a_stop_and_an_end_may_cross() {
    for stopped_first in [true, false] {
        let mut pair = Pair::new();
        let (stream, reading) = pair.upload();
        let now = pair.now;
        pair.client.send(stream, items(&[1]));
        pair.client.send(stream, COMPLETE);
        let end = pair.client.poll_message(now).expect("it ends");
        drop(reading);
        pair.server.feed_drops();
        let stop = pair.server.poll_message(now).expect("it stops");
        let mut to_server = || pair.server.receive(now, &end).expect("a stopped stream may end");
        let mut to_client = || pair.client.receive(now, &stop).expect("an ended stream may be stopped");
        if stopped_first {
            to_client();
            to_server();
        } else {
            to_server();
            to_client();
        }
        pair.check_empty();
    }
}

#[test]
fn a_stopped_stream_discards_what_is_on_its_way_and_ends_once() {
    let mut pair = Pair::new();
    let (stream, reading) = pair.upload();
    let now = pair.now;
    pair.client.send(stream, items(&[1, 2]));
    pair.client.send(stream, large(60_000));
    pair.client.send(stream, item_with([slot()]));
    drop(reading);
    pair.server.feed_drops();
    let stop = pair.server.poll_message(now).expect("it stops");
    while let Some(message) = pair.client.poll_message(now) {
        pair.server.receive(now, &message).expect("what was on its way is taken");
    }
    pair.client.receive(now, &stop).expect("it may be stopped");
    pair.client.sent.clear();
    pair.run();
    let ends: Vec<Frame> = stream_frames(&mut pair.client);
    let about = |frame: &&Frame| matches!(frame, Frame::StreamEnd { stream: ended, .. } if *ended == stream);
    assert_eq!(ends.iter().filter(about).count(), 1);
    pair.check_empty();
}

#[test]
fn streams_and_large_payloads_share_the_messages() {
    let mut pair = Pair::with_limits(windows(10 << 20), windows(10 << 20));
    let flows = [pair.upload(), pair.upload()];
    let call = pair.client.call(TEXT, &[text(400_000)]);
    pair.client.sent.clear();
    for (stream, _) in &flows {
        pair.client.send(*stream, large(1 << 20));
    }
    let now = pair.now;
    let mut streams = [0_usize; 3];
    for _ in 0..24 {
        pair.client.poll_message(now);
    }
    for frame in pair.client.take_frames() {
        match frame {
            Frame::ItemChunk { stream, bytes } => streams[usize::from(stream == flows[1].0)] += bytes.len(),
            Frame::Chunk(chunk) => streams[2] += chunk.bytes.len(),
            _ => {}
        }
    }
    assert!(streams.iter().all(|bytes| *bytes >= 390_000), "{streams:?}");
    let _ = call;
}

#[test]
fn two_streams_take_turns_whatever_the_size_of_their_items() {
    let mut pair = Pair::with_limits(windows(10 << 20), windows(10 << 20));
    let (first, _reading) = pair.upload();
    let (second, _other) = pair.upload();
    pair.client.fill(first, 100);
    pair.client.fill(second, 100);
    pair.client.sent.clear();
    let now = pair.now;
    pair.client.poll_message(now);
    let frames = pair.client.take_frames();
    let of = |wanted: StreamId| {
        frames.iter().filter(|frame| matches!(frame, Frame::Items(items) if items.stream == wanted)).count()
    };
    assert!(of(first).abs_diff(of(second)) <= 1, "{} and {}", of(first), of(second));
}

#[test]
fn a_return_is_in_the_next_message_whatever_streams_have_to_send() {
    let mut pair = Pair::with_limits(windows(10 << 20), windows(10 << 20));
    let flows: Vec<_> = (0..5).map(|_| pair.download()).collect();
    for (stream, _) in &flows {
        pair.server.send(*stream, large(1 << 20));
    }
    let now = pair.now;
    pair.server.poll_message(now).expect("it is busy");
    let call = pair.client.call(ADD, &[1.into(), 2.into()]);
    let message = pair.client.poll_message(now).expect("it calls");
    pair.server.receive(now, &message).expect("it is in order");
    pair.server.sent.clear();
    pair.server.poll_message(now).expect("it answers");
    let frames = pair.server.take_frames();
    assert!(matches!(&frames[0], Frame::Return(answer) if answer.id == call.id), "{frames:?}");
}

// ---- windows that grow ----

/// Reads all that comes for so long; bytes a second over the second half.
fn throughput(pair: &mut Pair, far: &mut Far, seconds: u64, flow: &mut (StreamId, Reading)) -> u64 {
    let mut read = [0, 0];
    for part in &mut read {
        far.run(pair, Duration::from_secs(seconds) / 2, |pair| {
            pair.client.fill(flow.0, 8_000);
            *part += read_all(&mut flow.1);
        });
    }
    read[1] * 2 / seconds
}

#[test]
fn on_a_link_with_delay_a_window_grows_to_its_most_and_no_further() {
    let most = 1 << 20;
    let limits = Limits { stream_window_bytes_max: most, ..Limits::default() };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut flow = pair.upload();
    let mut far = Far::new(Duration::from_millis(50));
    let rate = throughput(&mut pair, &mut far, 10, &mut flow);
    let window = pair.server.session.outgoing.streams.window(flow.0).map(|(window, _)| window);
    assert_eq!(window, Some(most as u64));
    // A window a round trip, less what the reader does not tell at once.
    let best = 10 * most as u64;
    assert!((best * 7 / 10..=best * 11 / 10).contains(&rate), "{rate} of {best} bytes a second");
    pair.server.session.outgoing.streams.check_books();
    drop(flow);
    pair.check_empty();
}

#[test]
fn a_window_does_not_grow_for_a_reader_that_is_slower_than_the_link() {
    let mut pair = Pair::new();
    let (stream, mut reading) = pair.upload();
    let mut far = Far::new(Duration::from_millis(5));
    for _ in 0..2_000 {
        pair.client.fill(stream, 1_000);
        // Two items each 20 ms: 100 KB a second, 1 KB a round trip.
        look(&mut reading);
        look(&mut reading);
        far.run(&mut pair, Duration::from_millis(20), |_| {});
    }
    let (window, _) = pair.server.session.outgoing.streams.window(stream).expect("it is open");
    assert_eq!(window, 64 << 10);
}

/// Reads so many items a millisecond, for so long, over a round trip of 0.4 ms and beside calls.
fn read_slowly(
    pair: &mut Pair,
    far: &mut Far,
    (stream, reading): &mut (StreamId, Reading),
    items: usize,
    time: Duration,
) {
    for _ in 0..time.as_millis() {
        for _ in 0..items {
            look(reading);
        }
        saw_call(pair);
        far.run(pair, Duration::from_millis(1), |pair| _ = pair.client.fill(*stream, 1_000));
    }
}

/// As if the reader's side had been called.
fn saw_call(pair: &mut Pair) {
    pair.server.session.outgoing.streams.saw_call(pair.now);
}

fn window(pair: &Pair, stream: StreamId) -> u64 {
    pair.server.session.outgoing.streams.window(stream).map_or(0, |(window, _)| window)
}

#[test]
fn beside_calls_and_where_round_trips_are_short_a_window_follows_what_is_read() {
    let mut pair = Pair::new();
    let mut flow = pair.upload();
    let mut far = Far::new(Duration::from_micros(200));
    far.run(&mut pair, Duration::from_millis(20), |pair| {
        pair.client.fill(flow.0, 10_000);
        read_all(&mut flow.1);
    });
    let wide = window(&pair, flow.0);
    assert!(wide > 1 << 20, "it grew to {wide}");
    // One that is alone keeps what it has, however slowly it is read.
    for _ in 0..100 {
        pair.client.fill(flow.0, 10_000);
        (0..10).for_each(|_| _ = look(&mut flow.1));
        far.run(&mut pair, Duration::from_millis(3), |_| {});
    }
    assert!(window(&pair, flow.0) >= wide);
    // One that reads 100 KB a millisecond and needs 80 KB.
    read_slowly(&mut pair, &mut far, &mut flow, 100, Duration::from_millis(100));
    let narrow = window(&pair, flow.0);
    assert!((64 << 10..100_000).contains(&narrow), "{wide} became {narrow}");
    // No narrower than it was to begin with.
    read_slowly(&mut pair, &mut far, &mut flow, 1, Duration::from_millis(500));
    assert_eq!(window(&pair, flow.0), 64 << 10);
    pair.server.session.outgoing.streams.check_books();
    drop(flow);
    pair.check_empty();
}

#[test]
fn a_window_that_becomes_narrower_than_the_item_that_arrives_lets_it_in() {
    let limits = Limits { stream_window_bytes_max: 1 << 20, ..Limits::default() };
    for length in [500_000, 700_000, 1_000_000] {
        let mut pair = Pair::with_limits(limits.clone(), limits.clone());
        let mut flow = pair.upload();
        let mut far = Far::new(Duration::from_micros(200));
        far.run(&mut pair, Duration::from_millis(20), |pair| {
            pair.client.fill(flow.0, 10_000);
            read_all(&mut flow.1);
        });
        assert_eq!(window(&pair, flow.0), 1 << 20);
        pair.client.fill(flow.0, 10_000);
        pair.client.send(flow.0, large(length));
        let mut found = false;
        for _ in 0..500 {
            found |= matches!(look(&mut flow.1), Some(Piece::Large { item, .. }) if item.len() == length);
            saw_call(&mut pair);
            far.run(&mut pair, Duration::from_micros(700), |_| {});
        }
        assert!(found, "{length} bytes did not come");
        assert!(window(&pair, flow.0) < length as u64, "it has become no narrower");
        drop(flow);
        pair.check_empty();
    }
}

#[test]
fn a_window_keeps_room_beside_what_its_reader_has_read_and_not_told() {
    const ITEM: u64 = 10_000 + 64 + 2;
    let limits = Limits { stream_window_bytes_max: 1 << 20, ..Limits::default() };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut flow = pair.upload();
    let mut far = Far::new(Duration::from_micros(200));
    far.run(&mut pair, Duration::from_millis(20), |pair| {
        pair.client.fill(flow.0, 10_000);
        read_all(&mut flow.1);
    });
    // From here on its reader tells nothing of itself: it has read all, and tells it bit by bit.
    far.run(&mut pair, Duration::from_millis(1), |pair| _ = pair.client.fill(flow.0, 10_000));
    let streams = |pair: &Pair| pair.server.session.outgoing.streams.window(flow.0).expect("it is open");
    for _ in 0..3 {
        let (before, unread) = streams(&pair);
        pair.now = pair.now + Duration::from_millis(1);
        let now = pair.now;
        saw_call(&mut pair);
        pair.server.session.outgoing.streams.consumed(now, flow.0, 26 * ITEM);
        let (after, _) = streams(&pair);
        assert!(after >= before - before / 4, "{before} became {after}, of which {unread} are taken");
    }
    let (after, unread) = streams(&pair);
    assert!(after < 700_000 && unread < after / 2, "{unread} of {after} are taken");
    pair.run();
    assert!(pair.client.room(flow.0) > 0, "nobody tells it to go on");
    drop(flow);
}

#[test]
fn calls_are_beside_streams_unless_they_open_them() {
    let mut pair = Pair::new();
    let flow = pair.upload();
    let beside = |pair: &Pair| {
        [&pair.client, &pair.server].map(|side| side.session.outgoing.streams.is_beside_calls(pair.now))
    };
    assert!(!beside(&pair)[1], "it opened the stream");
    pair.advance(Duration::from_millis(21));
    pair.server.automatic = false;
    let call = pair.client.call(ADD, &[1.into(), 1.into()]);
    pair.run();
    assert_eq!(beside(&pair), [false, true]);
    pair.advance(Duration::from_millis(21));
    assert_eq!(beside(&pair), [false, false], "it is long ago");
    pair.server.finish_next();
    pair.run();
    assert_eq!(beside(&pair), [true, false], "it was answered");
    pair.advance(Duration::from_millis(21));
    // One that names another's result is not of the plain ones.
    let second = pair.client.call(ADD, &[(&call).into(), 1.into()]);
    pair.run();
    assert_eq!(beside(&pair), [false, true]);
    let outcome = Outcome::Failed(Failure::Panicked);
    let answer = pair.server.open[0].answer;
    pair.server.finish_with(answer, outcome);
    pair.run();
    assert_eq!(beside(&pair), [true, true], "neither are all answers");
    drop((flow, call, second));
}

#[test]
fn windows_share_what_they_may_grow_by() {
    let limits = Limits {
        payload_bytes_max: 100_000,
        stream_buffer_bytes_max: 500_000,
        stream_window_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    let mut flows = [pair.upload(), pair.upload(), pair.upload()];
    let mut far = Far::new(Duration::from_millis(50));
    far.run(&mut pair, Duration::from_secs(10), |pair| {
        for (stream, reading) in &mut flows {
            pair.client.fill(*stream, 5_000);
            read_all(reading);
        }
    });
    let window = |stream| pair.server.session.outgoing.streams.window(stream).map_or(0, |(window, _)| window);
    let grown: u64 = flows.iter().map(|(stream, _)| window(*stream) - (64 << 10)).sum();
    assert!((350_000..=400_000).contains(&grown), "they grew by {grown}");
    drop(flows);
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
            let mut says = true;
            while std::mem::take(&mut says) {
                act(pair);
                for (peer, way) in [&mut pair.client, &mut pair.server].into_iter().zip(&mut self.ways) {
                    peer.feed_drops();
                    while let Some(message) = peer.poll_message(now) {
                        way.push_back((now + self.delay, message));
                        says = true;
                    }
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
