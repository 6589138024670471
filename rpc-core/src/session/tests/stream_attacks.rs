//! What a peer may do wrong with streams, and what must hold: a typed refusal or a violation, and bounded memory.

use super::{
    pair::{ADD, COUNT, encoded},
    stranger::{Stranger, define},
    streams::{check_ends, items, look, read_all, returning, slot, windows},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    codec,
    error::Violation,
    limits::Limits,
    stream::reading::Reading,
    value::stream::{Ending, Piece},
    wire::{
        Call, CallId, Define, Flow, Frame, Items, LargeItem, MethodNumber, ObjectId, PassedObject, Payload,
        Status, StreamEnd, StreamId, Target, Want, arguments, write,
    },
};

impl Stranger {
    fn new() -> Self {
        Self::against(Limits::default())
    }

    fn against(limits: Limits) -> Self {
        let mut stranger = Self::defining(limits, COUNT..=COUNT);
        stranger.says(&[define(ADD)]);
        stranger
    }

    fn call(&mut self, number: u32, streams: &[i64]) -> Frame {
        self.last += 1;
        let mut payload = vec![1];
        arguments::put_inline(&mut payload, |out| codec::encode(&1_u64, out)).expect("encodes");
        Frame::Call(Call {
            extensions: None,
            id: CallId(self.last),
            want: Want { value: true, keep: false },
            oneway: false,
            target: Target::Root,
            objects: streams.iter().map(|id| PassedObject::Stream(StreamId(*id), Flow::Window)).collect(),
            method: MethodNumber(number),
            deadline_us: None,
            metadata: Vec::new(),
            payload: Payload::Inline(payload.into()),
        })
    }

    /// Opens a stream; gives what the server reads it with.
    #[track_caller]
    fn opens(&mut self, stream: i64) -> Reading {
        let call = self.call(COUNT, &[stream]);
        self.says(&[call]);
        self.server().take_stream()
    }

    /// Calls for a stream of the server; gives its id.
    #[track_caller]
    fn asks_for_stream(&mut self) -> StreamId {
        let call = self.call(COUNT, &[]);
        self.says(&[call]);
        let begin = self.server().open.remove(0);
        self.server().finish_with(begin.answer, returning([slot()]));
        self.hears();
        self.server().last_stream()
    }

    /// That calls still return.
    #[track_caller]
    fn check_alive(&mut self) {
        let mut call = self.call(ADD, &[]);
        if let Frame::Call(call) = &mut call {
            let mut payload = vec![2];
            for number in [20_u64, 22] {
                arguments::put_inline(&mut payload, |out| codec::encode(&number, out)).expect("encodes");
            }
            call.payload = Payload::Inline(payload.into());
        }
        self.says(&[call]);
        let id = CallId(self.last);
        let frames = self.hears();
        let status = frames.into_iter().find_map(|frame| match frame {
            Frame::Return(answer) if answer.id == id => Some(answer.status),
            _ => None,
        });
        assert_eq!(status, Some(Status::Value(Payload::Inline(encoded(&42_u64)))));
    }
}

/// A frame of so many items of this length.
fn items_of(stream: i64, count: usize, length: usize) -> Frame {
    let Piece::Items { count, items } = items(&vec![length; count]) else { panic!("they are packed") };
    Frame::Items(Items { stream: StreamId(stream), objects: Vec::new(), count, bytes: items.bytes })
}

fn item_with(stream: i64, objects: Vec<PassedObject>) -> Frame {
    let bytes = SmallBytes::copy_from_slice(&[1, 7]);
    Frame::Items(Items { stream: StreamId(stream), objects, count: 1, bytes })
}

fn large(stream: i64, total: usize) -> Frame {
    Frame::LargeItem(LargeItem { stream: StreamId(stream), objects: Vec::new(), total })
}

fn chunk(stream: i64, length: usize) -> Frame {
    Frame::ItemChunk { stream: StreamId(stream), bytes: vec![1; length].into() }
}

fn end(stream: i64, end: StreamEnd) -> Frame {
    Frame::StreamEnd { stream: StreamId(stream), end }
}

fn credit(stream: StreamId, bytes: u64) -> Frame {
    Frame::Credit { stream, bytes }
}

fn stop(stream: StreamId) -> Frame {
    Frame::Stop { stream, reason: None }
}

const LONG: usize = 16 << 10;

// ---- credit ----

#[test]
fn several_items_beyond_the_credit_are_a_violation_and_one_is_not() {
    let mut stranger = Stranger::against(windows(1_000));
    let mut reading = stranger.opens(1);
    stranger.says(&[items_of(1, 3, 235)]);
    // 97 are left.
    stranger.check_violation(&[items_of(1, 2, 0)], &Violation::CreditExceeded(1));
    stranger.says(&[items_of(1, 1, LONG)]);
    stranger.check_violation(&[items_of(1, 1, 0)], &Violation::CreditExceeded(1));
    assert_eq!(read_all(&mut reading), 3 * 301 + 3 + 64 + LONG as u64);
}

#[test]
fn a_long_chunk_beyond_the_credit_is_a_violation_and_a_short_one_is_not() {
    for (length, is_violation) in [(LONG, false), (LONG + 1, true)] {
        let mut stranger = Stranger::against(windows(1_000));
        let _reading = stranger.opens(1);
        let said = stranger.try_say(&[large(1, 100_000), chunk(1, length)]);
        assert_eq!(said, if is_violation { Err(Violation::CreditExceeded(1)) } else { Ok(()) });
    }
    let mut stranger = Stranger::against(windows(1_000));
    let _reading = stranger.opens(1);
    stranger
        .check_violation(&[large(1, 100_000), chunk(1, LONG), chunk(1, 1)], &Violation::CreditExceeded(1));
}

#[test]
fn a_flood_of_small_items_is_stopped_by_credit() {
    let mut stranger = Stranger::new();
    let mut reading = stranger.opens(1);
    let mut taken = 0;
    let violation = loop {
        match stranger.try_say(&[items_of(1, 1, 1)]) {
            Ok(()) => taken += 1,
            Err(violation) => break violation,
        }
        assert!(taken < 1_000_000);
    };
    assert_eq!(violation, Violation::CreditExceeded(1));
    assert_eq!(taken, (64_usize << 10).div_ceil(66));
    assert_eq!(read_all(&mut reading), 66 * taken as u64);
}

#[test]
fn more_credit_than_a_stream_may_have_is_a_violation() {
    let max = (1_u64 << 31) - 1;
    for (grants, is_violation) in [
        (vec![max - (64 << 10)], false),
        (vec![max - (64 << 10), 1], true),
        (vec![max], true),
        (vec![u64::MAX], true),
        (vec![i64::MAX as u64], true),
        (vec![i64::MAX as u64 + 1], true),
    ] {
        let mut stranger = Stranger::new();
        let stream = stranger.asks_for_stream();
        let frames: Vec<Frame> = grants.iter().map(|bytes| credit(stream, *bytes)).collect();
        let said = stranger.try_say(&frames);
        let expected = if is_violation { Err(Violation::CreditOverflow(stream.0)) } else { Ok(()) };
        assert_eq!(said, expected, "{grants:?}");
    }
}

#[test]
fn credit_of_zero_and_frames_with_nothing_in_them_are_malformed() {
    let mut stranger = Stranger::new();
    let stream = stranger.asks_for_stream();
    let _reading = stranger.opens(1);
    for frame in [
        credit(stream, 0),
        Frame::Missed { stream: StreamId(1), count: 0 },
        large(1, 0),
        chunk(1, 0),
        Frame::Items(Items {
            stream: StreamId(1),
            objects: Vec::new(),
            count: 0,
            bytes: SmallBytes::default(),
        }),
    ] {
        assert!(
            matches!(stranger.try_say(std::slice::from_ref(&frame)), Err(Violation::Malformed { .. })),
            "{frame:?}"
        );
    }
}

#[test]
fn a_peer_that_grants_no_credit_holds_up_nothing_but_its_streams() {
    let mut stranger = Stranger::new();
    let first = stranger.asks_for_stream();
    let sent = stranger.server().fill(first, 900);
    let frames = stranger.hears();
    assert!(!frames.is_empty());
    assert!(sent <= (64 << 10) + 1_000);
    assert!(stranger.server().room(first) <= 0);
    let second = stranger.asks_for_stream();
    assert_eq!(stranger.server().room(second), 64 << 10);
    stranger.check_alive();
    assert!(stranger.server().session.stats().outgoing_bytes <= 1_000);
}

// ---- order ----

#[test]
fn frames_of_streams_that_are_not_open_are_violations() {
    let frames = |id| {
        [
            items_of(id, 1, 1),
            large(id, 20_000),
            chunk(id, 1),
            Frame::Missed { stream: StreamId(id), count: 1 },
            end(id, StreamEnd::Complete),
        ]
    };
    for at in 0..5 {
        let mut stranger = Stranger::new();
        stranger.check_violation(&[frames(1)[at].clone()], &Violation::UnknownStream(1));
        let mut stranger = Stranger::new();
        let _reading = stranger.opens(1);
        stranger.says(&[end(1, StreamEnd::Complete)]);
        stranger.check_violation(&[frames(1)[at].clone()], &Violation::UnknownStream(1));
    }
    for frame in [credit(StreamId(1), 1), stop(StreamId(1))] {
        let mut stranger = Stranger::new();
        stranger.check_violation(&[frame], &Violation::UnknownStream(1));
    }
}

#[test]
fn credit_and_stops_may_come_after_the_end_as_they_cross_it() {
    let mut stranger = Stranger::new();
    let stream = stranger.asks_for_stream();
    stranger.server().send(stream, Piece::End(Ending::Complete));
    stranger.hears();
    stranger.says(&[credit(stream, 5), stop(stream), stop(stream), credit(stream, u64::MAX)]);
    assert_eq!(stranger.hears(), []);
    stranger.check_alive();
}

#[test]
fn an_item_is_whole_before_the_next_frame_of_its_stream() {
    for frame in [
        items_of(1, 1, 1),
        large(1, 20_000),
        end(1, StreamEnd::Complete),
        item_with(1, vec![PassedObject::Stream(StreamId(2), Flow::Window)]),
        chunk(1, 20_000),
    ] {
        let mut stranger = Stranger::new();
        let _reading = stranger.opens(1);
        stranger.says(&[large(1, 20_000), chunk(1, 10)]);
        stranger.check_violation(&[frame], &Violation::StreamOrder(1));
    }
    let mut stranger = Stranger::new();
    let _reading = stranger.opens(1);
    stranger.check_violation(&[chunk(1, 1)], &Violation::StreamOrder(1));
    // The end of a stream that is broken off may come in an item.
    let mut stranger = Stranger::new();
    let mut reading = stranger.opens(1);
    stranger.says(&[large(1, 20_000), chunk(1, 10), end(1, StreamEnd::Abandoned)]);
    assert!(matches!(check_ends(&mut reading), Ending::Abandoned));
}

#[test]
fn a_stopped_stream_keeps_the_order_and_its_credit() {
    for (frames, expected) in [
        (vec![large(1, 50_000), chunk(1, 40_000), chunk(1, 10_001)], Violation::StreamOrder(1)),
        (vec![chunk(1, 1)], Violation::StreamOrder(1)),
        (vec![large(1, 20_000), items_of(1, 1, 1)], Violation::StreamOrder(1)),
        (vec![items_of(1, 4, 4_000); 5], Violation::CreditExceeded(1)),
        (vec![end(1, StreamEnd::Stopped), items_of(1, 1, 1)], Violation::UnknownStream(1)),
    ] {
        let mut stranger = Stranger::new();
        drop(stranger.opens(1));
        assert!(stranger.hears().contains(&stop(StreamId(1))));
        stranger.check_violation(&frames, &expected);
    }
    let mut stranger = Stranger::new();
    let reading = stranger.opens(1);
    stranger.says(&[large(1, 50_000), chunk(1, 20_000)]);
    drop(reading);
    stranger.hears();
    stranger.says(&[chunk(1, 30_000), items_of(1, 1, 1), large(1, 8 << 20), chunk(1, 15_000)]);
    assert_eq!(stranger.server().session.stats().stream_bytes_unread, 0, "nothing is kept of it");
    stranger.says(&[end(1, StreamEnd::Stopped)]);
    stranger.check_alive();
    assert_eq!(stranger.server().session.stats().streams_received, 0);
}

#[test]
fn half_a_frame_is_malformed() {
    for frame in
        [items_of(1, 2, 30), large(1, 20_000), chunk(1, 30), end(1, StreamEnd::Abandoned), stop(StreamId(1))]
    {
        let mut message = Vec::new();
        write::put_frame(&mut message, &frame);
        for length in 1..message.len() {
            let mut stranger = Stranger::new();
            let _reading = stranger.opens(1);
            let said = stranger.say_bytes(&message[..length]);
            assert!(
                matches!(said, Err(Violation::Malformed { .. })),
                "{length} bytes of {frame:?}: {said:?}"
            );
        }
    }
}

#[test]
fn an_item_longer_than_payload_bytes_max_is_a_violation() {
    let mut stranger = Stranger::against(Limits { payload_bytes_max: 100_000, ..Limits::default() });
    let _reading = stranger.opens(1);
    stranger.says(&[large(1, 100_000)]);
    for total in [100_001, usize::MAX >> 1] {
        let mut stranger = Stranger::against(Limits { payload_bytes_max: 100_000, ..Limits::default() });
        let _reading = stranger.opens(1);
        stranger.check_violation(&[large(1, total)], &Violation::Limit("payload_bytes_max"));
    }
}

#[test]
fn a_stream_id_is_used_once_and_rises() {
    for second in [1, 2, 3] {
        let mut stranger = Stranger::new();
        let _reading = stranger.opens(3);
        let call = stranger.call(COUNT, &[second]);
        stranger.check_violation(&[call], &Violation::StreamReused(second));
    }
    let mut stranger = Stranger::new();
    let call = stranger.call(COUNT, &[5, 5]);
    stranger.check_violation(&[call], &Violation::StreamReused(5));
    let mut stranger = Stranger::new();
    let _reading = stranger.opens(1);
    let item = item_with(1, vec![PassedObject::Stream(StreamId(1), Flow::Window)]);
    stranger.check_violation(&[item], &Violation::StreamReused(1));
}

// ---- memory ----

#[test]
fn too_many_streams_are_a_violation() {
    let mut stranger = Stranger::against(Limits { streams_max: 70, ..Limits::default() });
    let ids: Vec<i64> = (1..=70).collect();
    let call = stranger.call(COUNT, &ids);
    stranger.says(&[call]);
    let call = stranger.call(COUNT, &[71]);
    stranger.check_violation(&[call], &Violation::Limit("streams_max"));
}

#[test]
fn streams_of_calls_that_are_refused_are_stopped_and_leave_nothing() {
    let mut stranger = Stranger::against(Limits { calls_max: 1, ..Limits::default() });
    let mut first = stranger.call(COUNT, &[1]);
    let mut frames = vec![first.clone()];
    // One too many, one of an unknown method, one to nobody, and one that is cancelled.
    frames.push(stranger.call(COUNT, &[2, 3]));
    frames.push(Frame::Define(Define {
        number: MethodNumber(99),
        service: "Nobody".into(),
        method: "nothing".into(),
        fingerprint: 0,
    }));
    frames.push(stranger.call(99, &[4]));
    first = stranger.call(COUNT, &[5]);
    if let Frame::Call(call) = &mut first {
        call.target = Target::Object(ObjectId(7));
    }
    frames.push(first);
    frames.push(Frame::Cancel(CallId(1)));
    stranger.says(&frames);
    let said = stranger.hears();
    for id in 1..=5 {
        assert!(said.contains(&stop(StreamId(id))), "stream {id} is not stopped");
        stranger.says(&[end(id, StreamEnd::Stopped)]);
    }
    stranger.check_alive();
    assert_eq!(stranger.server().session.stats(), crate::session::events::SessionStats::default());
}

#[test]
fn a_flood_of_streams_that_are_stopped_at_once_is_bounded_by_those_that_do_not_end() {
    let mut stranger = Stranger::new();
    for id in 1..=5_000 {
        drop(stranger.opens(id));
        let said = stranger.hears();
        assert!(said.contains(&stop(StreamId(id))));
        stranger.says(&[items_of(id, 1, 10_000), end(id, StreamEnd::Stopped)]);
    }
    assert_eq!(stranger.server().session.stats(), crate::session::events::SessionStats::default());
    let violation = (5_001..).find_map(|id| {
        let call = stranger.call(COUNT, &[id]);
        let said = stranger.try_say(&[call]);
        if said.is_ok() {
            drop(stranger.server().take_stream());
            stranger.hears();
        }
        said.err()
    });
    assert_eq!(violation, Some(Violation::Limit("streams_max")));
}

#[test]
fn a_flood_of_calls_and_stops_of_what_they_return_leaves_nothing() {
    let mut stranger = Stranger::new();
    for _ in 0..2_000 {
        let stream = stranger.asks_for_stream();
        stranger.says(&[stop(stream), stop(stream)]);
        let ends =
            stranger.hears().into_iter().filter(|frame| matches!(frame, Frame::StreamEnd { .. })).count();
        assert_eq!(ends, 1);
        assert!(stranger.server().producers[&stream].stopped.is_some());
    }
    assert_eq!(stranger.server().session.stats(), crate::session::events::SessionStats::default());
}

#[test]
fn a_flood_of_missed_items_takes_one_place() {
    let mut stranger = Stranger::new();
    let mut reading = stranger.opens(1);
    let many = vec![Frame::Missed { stream: StreamId(1), count: u64::MAX }; 10_000];
    for _ in 0..10 {
        stranger.says(&many);
    }
    assert!(matches!(look(&mut reading), Some(Piece::Missed(u64::MAX))));
    assert!(look(&mut reading).is_none());
}

#[test]
fn announced_items_that_do_not_come_take_no_memory_and_hold_nobody_else_up() {
    let mut stranger = Stranger::against(Limits { stream_buffer_bytes_max: 8 << 20, ..Limits::default() });
    let mut readings: Vec<Reading> = (1..=64).map(|id| stranger.opens(id)).collect();
    for (id, reading) in (1..).zip(&mut readings) {
        assert!(look(reading).is_none());
        stranger.says(&[large(id, 8 << 20)]);
    }
    stranger.hears();
    let stats = stranger.server().session.stats();
    assert!(stats.stream_bytes_unread <= 64 * 64, "{} bytes", stats.stream_bytes_unread);
    stranger.check_alive();
    let mut other = stranger.opens(65);
    stranger.says(&[items_of(65, 10, 1_000)]);
    assert_eq!(read_all(&mut other), 10 * (1_002 + 64));
    // Dropped, they leave the line.
    drop(readings);
    for id in 1..=64 {
        stranger.hears();
        stranger.says(&[end(id, StreamEnd::Stopped)]);
    }
    assert_eq!(stranger.server().session.stats().streams_received, 1);
}

#[test]
fn what_was_reserved_for_an_item_that_is_broken_off_is_free_again() {
    let mut stranger = Stranger::against(Limits { stream_buffer_bytes_max: 100_000, ..windows(20_000) });
    for id in 1..=3 {
        let mut reading = stranger.opens(id);
        assert!(look(&mut reading).is_none());
        stranger.says(&[large(id, 90_000)]);
        let said = stranger.hears();
        assert!(stranger.try_say(&[chunk(id, 10_000), chunk(id, 9_000)]).is_ok(), "{said:?}");
        stranger.hears();
        stranger.says(&[chunk(id, 10_000)]);
        assert_eq!(stranger.server().session.stats().stream_bytes_unread, 29_064);
        stranger.says(&[end(id, StreamEnd::Abandoned)]);
        assert!(matches!(check_ends(&mut reading), Ending::Abandoned));
        drop(reading);
        stranger.hears();
        assert_eq!(stranger.server().session.stats(), crate::session::events::SessionStats::default());
    }
}

#[test]
fn tiny_chunks_are_not_answered_one_by_one() {
    let mut stranger = Stranger::against(windows(20_000));
    let mut reading = stranger.opens(1);
    assert!(look(&mut reading).is_none());
    stranger.says(&[large(1, 90_000)]);
    stranger.hears();
    let mut grants = 0;
    for _ in 0..600 {
        stranger.says(&[chunk(1, 100)]);
        grants += stranger.hears().iter().filter(|frame| matches!(frame, Frame::Credit { .. })).count();
    }
    assert_eq!(grants, 0, "all of it was granted with its room");
}

#[test]
fn streams_that_end_leave_the_line_for_the_shared_buffer() {
    let mut stranger = Stranger::against(Limits { stream_buffer_bytes_max: 100_000, ..windows(20_000) });
    let mut first = stranger.opens(1);
    assert!(look(&mut first).is_none());
    stranger.says(&[large(1, 90_000)]);
    for id in 2..=300 {
        let mut reading = stranger.opens(id);
        assert!(look(&mut reading).is_none());
        // That nobody is in the line but open streams is among what is checked with every message.
        stranger.says(&[large(id, 90_000), end(id, StreamEnd::Abandoned)]);
        stranger.hears();
    }
}

#[test]
fn streams_that_ended_unread_are_not_forgotten_by_the_limits() {
    const TAKEN: u64 = 12 * (4_002 + 64) + (LONG as u64 + 3 + 64) + 512;
    let limits = Limits { streams_max: 64, stream_window_bytes: 64 << 10, ..Limits::default() };
    let mut stranger = Stranger::against(limits);
    let mut held = Vec::new();
    let mut refused = 0;
    for id in 1..=200 {
        let call = stranger.call(COUNT, &[id]);
        stranger.says(&[call]);
        if stranger.server().open.is_empty() {
            refused += 1;
            assert!(stranger.hears().contains(&Frame::Stop { stream: StreamId(id), reason: None }));
            stranger.says(&[end(id, StreamEnd::Stopped)]);
            continue;
        }
        held.push(stranger.server().take_stream());
        stranger.says(&[
            items_of(id, 4, 4_000),
            items_of(id, 4, 4_000),
            items_of(id, 4, 4_000),
            items_of(id, 1, LONG),
        ]);
        stranger.says(&[end(id, StreamEnd::Complete)]);
        let unread = stranger.server().session.stats().stream_bytes_unread;
        assert_eq!(unread as u64, held.len() as u64 * TAKEN);
        assert!(unread <= 65 * (80 << 10), "{unread} bytes wait to be read");
    }
    assert!(refused > 100);
    // Read or dropped, they make room.
    assert_eq!(read_all(&mut held[0]), TAKEN - 512);
    held.truncate(1);
    stranger.hears();
    assert_eq!(stranger.server().session.stats().stream_bytes_unread, 0);
    drop(stranger.opens(201));
}
