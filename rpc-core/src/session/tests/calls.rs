//! The protocol's rules, each with its violation, between two sessions under virtual time.

use std::time::Duration;

use bytes::Bytes;

use super::{
    pair::{
        ADD, Arg, BOTH, LABEL, MAYBE, NOTE, ORDERED_ADD, Pair, STRUCTURED, TEXT, TestCall, WORK, encoded,
        number, value_of,
    },
    stranger::define,
};
use crate::{
    buffer::small_bytes::SmallBytes,
    codec,
    error::Violation,
    limits::Limits,
    path::{Path, Step},
    session::inputs::CallTarget,
    value::{
        outcome::Outcome,
        returned::{OriginCause, Returned},
    },
    wire::{
        self, Call, CallId, Chunk, Failure, Frame, Hello, INLINE_BYTES_MAX, MethodNumber, Offer, Payload,
        Reached, Return, Status, Target, Want, Welcome,
        arguments::{self, Slot},
        map_program::{Base, Operand, Policy, Program, Step as MapStep, Target as MapTarget},
        read::FrameReader,
        write,
    },
};

fn add(pair: &mut Pair, a: impl Into<Arg>, b: impl Into<Arg>) -> TestCall {
    pair.client.call(ADD, &[a.into(), b.into()])
}

/// The violation that the server finds in these frames, sent behind a correct hello.
#[track_caller]
fn check_server_violation(frames: &[Frame], expected: &Violation) {
    let mut pair = Pair::new();
    pair.run();
    let mut message = Vec::new();
    frames.iter().for_each(|frame| write::put_frame(&mut message, frame));
    assert_eq!(pair.server.receive(pair.now, &message).as_ref(), Err(expected));
}

#[track_caller]
fn check_client_violation(pair: &mut Pair, frames: &[Frame], expected: &Violation) {
    let mut message = Vec::new();
    frames.iter().for_each(|frame| write::put_frame(&mut message, frame));
    assert_eq!(pair.client.receive(pair.now, &message).as_ref(), Err(expected));
}

fn raw_call(id: i64, number: u32, payload: &[u8]) -> Call {
    Call {
        extensions: None,
        id: CallId(id),
        want: Want { value: true, keep: false },
        oneway: false,
        target: Target::Root,
        objects: Vec::new(),
        method: MethodNumber(number),
        deadline_us: None,
        metadata: Vec::new(),
        payload: Payload::Inline(SmallBytes::copy_from_slice(payload)),
    }
}

fn failed(id: i64, failure: Failure) -> Frame {
    Frame::Return(Return { id: CallId(id), objects: Vec::new(), status: Status::Failed(failure) })
}

/// Two inline numbers: 1 and 2.
const ONE_AND_TWO: &[u8] = &[2, 0, 1, 1, 0, 1, 2];

fn kinds(frames: &[Frame]) -> Vec<&'static str> {
    frames
        .iter()
        .map(|frame| match frame {
            Frame::Hello(_) => "hello",
            Frame::Welcome(_) => "welcome",
            Frame::Define(_) => "define",
            Frame::Call(_) => "call",
            Frame::Return(_) => "return",
            Frame::Cancel(_) => "cancel",
            Frame::Release(_) => "release",
            Frame::ReleaseObjects(_) => "release-objects",
            Frame::Chunk(_) => "chunk",
            Frame::Items(_) => "items",
            Frame::LargeItem(_) => "large-item",
            Frame::ItemChunk { .. } => "item-chunk",
            Frame::Missed { .. } => "missed",
            Frame::StreamEnd { .. } => "stream-end",
            Frame::Credit { .. } => "credit",
            Frame::Stop { .. } => "stop",
            Frame::Goodbye { .. } => "goodbye",
            Frame::Ack { .. } => "ack",
            Frame::Ping { .. } => "ping",
            Frame::Pong { .. } => "pong",
            Frame::Skip { .. } => "skip",
        })
        .collect()
}

// ---- calls and what they cost ----

#[test]
fn a_call_returns_its_value() {
    let mut pair = Pair::new();
    let sum = add(&mut pair, 1, 2);
    pair.run();
    assert_eq!(pair.server.log, ["add(1, 2)"]);
    assert_eq!(sum.value(), 3);
}

#[test]
fn both_sides_call() {
    let mut pair = Pair::new();
    pair.run();
    let up = pair.client.call(ADD, &[1.into(), 2.into()]);
    let down = pair.server.call(ADD, &[3.into(), 4.into()]);
    pair.run();
    assert_eq!((up.value(), down.value()), (3, 7));
}

#[test]
fn the_hello_and_the_first_calls_share_one_message() {
    let mut pair = Pair::new();
    let sum = add(&mut pair, 1, 2);
    pair.run();
    assert_eq!(sum.value(), 3);
    assert_eq!((pair.client.sent.len(), pair.server.sent.len()), (1, 1));
}

#[test]
fn a_method_is_named_once() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        let sum = add(&mut pair, 1, 2);
        pair.client.consume(&sum);
        pair.run();
    }
    let defines = pair
        .client
        .sent
        .iter()
        .flat_map(|message| frames_of(message))
        .filter(|frame| matches!(frame, Frame::Define(_)));
    assert_eq!(defines.count(), 1);
}

fn frames_of(message: &[u8]) -> Vec<Frame> {
    let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
    std::iter::from_fn(|| reader.next_frame().expect("own frames are well formed")).collect()
}

#[test]
fn an_awaited_call_costs_two_frames() {
    let mut pair = Pair::new();
    let sum = add(&mut pair, 1, 2);
    pair.client.consume(&sum);
    pair.run();
    pair.advance(Duration::from_secs(1));
    let sent = pair.client.take_frames();
    assert_eq!(kinds(&sent), ["call"]);
    assert!(matches!(&sent[0], Frame::Call(call) if call.want == Want { value: true, keep: false }));
    assert_eq!(kinds(&pair.server.take_frames()), ["return"]);
    assert_eq!(pair.server.session.stats().answers_held, 0);
    assert_eq!(pair.client.session.stats().calls_remembered, 0);
}

#[test]
fn a_promise_dropped_before_the_seal_is_never_sent() {
    let mut pair = Pair::new();
    pair.run();
    let sum = add(&mut pair, 1, 2);
    pair.client.drop_promise(&sum);
    pair.run();
    assert_eq!(pair.client.take_frames(), []);
    assert_eq!(pair.client.session.stats().calls_remembered, 0);
    assert!(pair.server.log.is_empty());
}

#[test]
fn a_chain_whose_end_is_dropped_before_the_seal_is_withdrawn_whole() {
    let mut pair = Pair::new();
    pair.run();
    let first = add(&mut pair, 1, 2);
    let second = add(&mut pair, &first, 3);
    let third = add(&mut pair, &second, &first);
    for call in [&first, &second, &third] {
        pair.client.drop_promise(call);
    }
    pair.run();
    assert_eq!(pair.client.take_frames(), []);
    assert_eq!(pair.client.session.stats().calls_remembered, 0);
}

#[test]
fn a_dropped_promise_with_a_dependent_is_kept_without_its_value_and_let_go_in_the_same_batch() {
    let mut pair = Pair::new();
    pair.run();
    let first = add(&mut pair, 1, 2);
    let second = add(&mut pair, &first, 3);
    pair.client.drop_promise(&first);
    pair.client.consume(&second);
    pair.run();
    assert_eq!(second.value(), 6);
    let sent = pair.client.take_frames();
    assert_eq!(kinds(&sent), ["call", "call", "cancel"]);
    assert!(matches!(&sent[0], Frame::Call(call) if call.want == Want { value: false, keep: true }));
    assert!(matches!(&sent[1], Frame::Call(call) if call.want == Want { value: true, keep: false }));
    let answers = pair.server.take_frames();
    assert!(matches!(&answers[..], [Frame::Return(first), Frame::Return(_)] if first.status == Status::Done));
    assert_eq!(pair.server.session.stats().answers_held, 0);
    assert_eq!(pair.client.session.stats().calls_remembered, 0);
}

#[test]
fn a_promise_alive_at_the_seal_is_kept_until_it_goes() {
    let mut pair = Pair::new();
    let first = add(&mut pair, 1, 2);
    pair.run();
    assert_eq!(first.value(), 3);
    assert_eq!(pair.server.session.stats().answers_held, 1);
    let later = add(&mut pair, &first, 4);
    pair.client.consume(&later);
    pair.run();
    assert_eq!(later.value(), 7);
    pair.client.drop_promise(&first);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server.session.stats().answers_held, 0);
    assert_eq!(pair.client.session.stats().calls_remembered, 0);
}

#[test]
fn releases_wait_for_a_message_to_ride_on() {
    let mut pair = Pair::new();
    let calls: Vec<TestCall> = (0..5).map(|n| add(&mut pair, n, 1)).collect();
    pair.run();
    pair.client.take_frames();
    calls.iter().for_each(|call| pair.client.drop_promise(call));
    pair.run();
    assert_eq!(pair.client.take_frames(), []);
    let next = add(&mut pair, 1, 1);
    pair.client.consume(&next);
    pair.run();
    let sent = pair.client.take_frames();
    assert!(matches!(&sent[..], [Frame::Call(_), Frame::Release(ids)] if ids.len() == 5));
}

// ---- pipelining ----

#[test]
fn a_chain_of_sixteen_is_one_message_out_and_one_back() {
    let mut pair = Pair::new();
    let mut last = add(&mut pair, 0, 1);
    for _ in 0..15 {
        let next = add(&mut pair, &last, 1);
        pair.client.drop_promise(&last);
        last = next;
    }
    pair.client.consume(&last);
    pair.run();
    assert_eq!(last.value(), 16);
    assert_eq!((pair.client.sent.len(), pair.server.sent.len()), (1, 1));
}

#[test]
fn parts_of_a_result_are_selected_on_the_server() {
    let mut pair = Pair::new();
    let whole = pair.client.call(STRUCTURED, &[5.into()]);
    let field = pair.client.get(&whole, &[Step::Field(0)]);
    let inside = pair.client.get(&whole, &[Step::Field(1), Step::Some]);
    let third = pair.client.get(&whole, &[Step::Field(2), Step::Index(2)]);
    let sum = pair.client.call(
        ADD,
        &[Arg::part(&whole, &[Step::Field(2), Step::Index(4)]), Arg::part(&whole, &[Step::Field(0)])],
    );
    pair.run();
    assert_eq!((field.value(), inside.value(), third.value(), sum.value()), (5, 5, 2, 9));
    assert_eq!(pair.client.sent.len(), 1);
}

#[test]
fn a_promise_stands_for_the_some_of_an_option() {
    let mut pair = Pair::new();
    let sum = add(&mut pair, 1, 2);
    let maybe = pair.client.call(MAYBE, &[Arg::SomeOf(sum.id, Path::whole())]);
    pair.run();
    assert_eq!(pair.server.log, ["add(1, 2)", "maybe(Ok(Some(3)))"]);
    assert_eq!(maybe.value(), 3);
}

#[test]
fn promises_make_up_a_tuple() {
    let mut pair = Pair::new();
    let one = add(&mut pair, 1, 2);
    let other = add(&mut pair, 10, 20);
    let both = pair.client.call(BOTH, &[Arg::Pair(one.id, other.id)]);
    pair.run();
    assert_eq!(both.value(), 33);
}

#[test]
fn a_diamond_runs_each_call_once() {
    let mut pair = Pair::new();
    let top = add(&mut pair, 1, 1);
    let left = add(&mut pair, &top, 10);
    let right = add(&mut pair, &top, 100);
    let bottom = add(&mut pair, &left, &right);
    let twice = add(&mut pair, &bottom, &bottom);
    pair.run();
    assert_eq!(twice.value(), 228);
    assert_eq!(pair.server.log, ["add(1, 1)", "add(2, 10)", "add(2, 100)", "add(12, 102)", "add(114, 114)"]);
}

#[test]
fn waiting_calls_do_not_hold_back_others() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let slow = add(&mut pair, 1, 1);
    let dependent = add(&mut pair, &slow, 1);
    let other = add(&mut pair, 5, 5);
    pair.run();
    assert_eq!(pair.server.log, ["add(1, 1)", "add(5, 5)"]);
    pair.server.finish_next();
    pair.server.finish_next();
    pair.server.finish_next();
    pair.run();
    assert_eq!((dependent.value(), other.value()), (3, 10));
}

#[test]
fn calls_of_an_ordered_service_start_in_the_order_made() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let slow = add(&mut pair, 1, 1);
    let waiting = pair.client.call(ORDERED_ADD, &[(&slow).into(), 1.into()]);
    let held_back = pair.client.call(ORDERED_ADD, &[7.into(), 7.into()]);
    pair.run();
    assert_eq!(pair.server.log, ["add(1, 1)"]);
    pair.server.finish_next();
    assert_eq!(pair.server.log, ["add(1, 1)", "add(2, 1)", "add(7, 7)"]);
    pair.server.finish_next();
    pair.server.finish_next();
    pair.run();
    assert_eq!((waiting.value(), held_back.value()), (3, 14));
}

#[test]
fn a_failed_call_lets_an_ordered_service_go_on() {
    let mut pair = Pair::new();
    let failing = add(&mut pair, 1_000_000, 1);
    let waiting = pair.client.call(ORDERED_ADD, &[(&failing).into(), 1.into()]);
    let next = pair.client.call(ORDERED_ADD, &[7.into(), 7.into()]);
    pair.run();
    assert_eq!(waiting.upstream().0, failing.id);
    assert_eq!(next.value(), 14);
}

#[test]
fn replies_come_in_the_order_of_finishing() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let first = add(&mut pair, 1, 0);
    let second = add(&mut pair, 2, 0);
    pair.run();
    let begin = pair.server.open.remove(1);
    let outcome = crate::session::tests::pair::natural_outcome(&begin);
    pair.server.finish_with(begin.answer, outcome);
    pair.run();
    assert!(first.outcome().is_none());
    assert_eq!(second.value(), 2);
}

// ---- failures ----

#[test]
fn a_failed_call_fails_its_dependents_with_itself_as_origin() {
    let mut pair = Pair::new();
    let failing = add(&mut pair, 1_000_000, 1);
    let second = add(&mut pair, &failing, 1);
    let third = add(&mut pair, 1, &second);
    pair.client.drop_promise(&second);
    pair.run();
    assert_eq!(failing.outcome(), Some(Returned::Error(encoded(&"overflow").into())));
    let (origin, cause) = third.upstream();
    assert_eq!(origin, failing.id);
    assert_eq!(cause, OriginCause::Failed(Box::new(Returned::Error(encoded(&"overflow").into()))));
    assert_eq!(pair.server.log, ["add(1000000, 1)"]);
}

#[test]
fn a_dropped_failing_call_still_explains_its_dependents() {
    let mut pair = Pair::new();
    let failing = add(&mut pair, 1_000_000, 1);
    let dependent = add(&mut pair, &failing, 1);
    pair.client.drop_promise(&failing);
    pair.client.consume(&dependent);
    pair.run();
    let (origin, cause) = dependent.upstream();
    assert_eq!(origin, failing.id);
    assert_eq!(cause, OriginCause::Failed(Box::new(Returned::Error(encoded(&"overflow").into()))));
    assert_eq!(pair.client.session.stats().calls_remembered, 0);
    assert_eq!(pair.server.session.stats().answers_held, 0);
}

#[test]
fn a_call_on_a_result_that_failed_earlier_fails_with_it() {
    let mut pair = Pair::new();
    let failing = add(&mut pair, 1_000_000, 1);
    pair.run();
    let later = add(&mut pair, &failing, 1);
    pair.run();
    assert_eq!(later.upstream().0, failing.id);
}

#[test]
fn a_path_that_hits_nothing_is_named() {
    let mut pair = Pair::new();
    let whole = pair.client.call(STRUCTURED, &[4.into()]);
    let none = pair.client.get(&whole, &[Step::Field(1), Step::Some]);
    let beyond = add(&mut pair, Arg::part(&whole, &[Step::Field(2), Step::Index(4)]), 1);
    pair.run();
    for (call, steps) in
        [(none, vec![Step::Field(1), Step::Some]), (beyond, vec![Step::Field(2), Step::Index(4)])]
    {
        assert_eq!(call.upstream(), (whole.id, OriginCause::Missed(Path(steps))));
    }
}

#[test]
fn an_origin_whose_error_comes_in_chunks_is_waited_for() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let failing = pair.client.call(TEXT, &[Arg::Bytes(encoded(&"x").to_vec())]);
    let dependent = pair.client.call(TEXT, &[(&failing).into()]);
    pair.run();
    let long = encoded(&"e".repeat(300_000));
    let answer = pair.server.open[0].answer;
    pair.server.finish_with(answer, Outcome::Error(long.clone(), Vec::new()));
    pair.run();
    assert_eq!(failing.outcome(), Some(Returned::Error(long.clone().into())));
    assert_eq!(
        dependent.upstream(),
        (failing.id, OriginCause::Failed(Box::new(Returned::Error(long.into()))))
    );
}

#[test]
fn a_reference_must_fit_the_argument_it_stands_for() {
    let mut pair = Pair::new();
    let whole = pair.client.call(STRUCTURED, &[4.into()]);
    let misfit = add(&mut pair, &whole, 1);
    let no_such_part = add(&mut pair, Arg::part(&whole, &[Step::Field(9)]), 1);
    let in_option = pair.client.call(MAYBE, &[Arg::part(&whole, &[Step::Field(0)])]);
    let good = add(&mut pair, 1, 2);
    pair.run();
    for call in [misfit, no_such_part, in_option] {
        assert!(matches!(call.failure(), Failure::InvalidReference { .. }), "{:?}", call.failure());
    }
    assert_eq!(good.value(), 3);
}

#[test]
fn a_reference_to_an_unknown_or_released_call_is_refused_and_the_session_lives() {
    let mut pair = Pair::new();
    let unknown = add(&mut pair, Arg::Result(CallId(77), Path::whole()), 1);
    pair.run();
    assert!(matches!(unknown.failure(), Failure::InvalidReference { argument, .. } if argument == "a"));
    let consumed = add(&mut pair, 1, 2);
    pair.client.consume(&consumed);
    pair.run();
    let stale = add(&mut pair, Arg::Result(consumed.id, Path::whole()), 1);
    pair.run();
    assert!(matches!(stale.failure(), Failure::InvalidReference { .. }));
    let itself = add(&mut pair, Arg::Result(CallId(5), Path::whole()), 1);
    assert_eq!(itself.id, CallId(4));
    pair.run();
    assert!(matches!(itself.failure(), Failure::InvalidReference { .. }));
}

#[test]
fn unknown_names_and_signatures_are_refused_per_call() {
    let mut pair = Pair::new();
    pair.run();
    let unknown = |number, service: &str, method: &str| {
        Frame::Define(wire::Define {
            number: MethodNumber(number),
            service: service.into(),
            method: method.into(),
            fingerprint: 1,
        })
    };
    let mut message = Vec::new();
    for frame in [
        unknown(100, "Nobody", "add"),
        unknown(101, "Test", "nothing"),
        unknown(102, "Test", "add"),
        Frame::Call(raw_call(1, 100, ONE_AND_TWO)),
        Frame::Call(raw_call(2, 101, ONE_AND_TWO)),
        Frame::Call(raw_call(3, 102, ONE_AND_TWO)),
    ] {
        write::put_frame(&mut message, &frame);
    }
    pair.server.receive(pair.now, &message).expect("refused, not a violation");
    pair.server.poll_message(pair.now);
    let failures: Vec<Failure> = pair
        .server
        .take_frames()
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::Return(Return { status: Status::Failed(failure), .. }) => Some(failure),
            _ => None,
        })
        .collect();
    assert!(
        matches!(&failures[..], [Failure::UnknownService, Failure::UnknownMethod, Failure::SchemaMismatch { theirs }]
            if theirs == "(a: u64, b: u64) -> u64 or string"),
        "{failures:?}"
    );
}

#[test]
fn malformed_argument_lists_fail_their_call_alone() {
    let mut pair = Pair::new();
    pair.run();
    let payloads: [&[u8]; 6] =
        [&[], &[2, 0, 1, 1], &[1, 9], &[200, 1], &[1, 3, 1, 3, 1, 0], &[2, 0, 1, 1, 0, 1, 2, 7]];
    let calls: Vec<TestCall> = payloads
        .iter()
        .map(|payload| pair.client.call_raw(MethodNumber(ADD), payload.to_vec(), Vec::new(), None))
        .collect();
    let good = add(&mut pair, 1, 2);
    pair.run();
    for call in calls {
        assert!(matches!(call.failure(), Failure::InvalidArgument { .. }), "{:?}", call.failure());
    }
    assert_eq!(good.value(), 3);
}

// ---- cancelling and deadlines ----

#[test]
fn a_dropped_promise_cancels_its_handler_and_the_permit_returns_when_it_has_stopped() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let call = add(&mut pair, 1, 2);
    pair.run();
    pair.client.drop_promise(&call);
    pair.run();
    assert_eq!(pair.server.cancelled, [call.id]);
    assert_eq!(pair.server.session.stats().answers_unfinished, 1);
    pair.server.finish_with(call.id, Outcome::Failed(Failure::Cancelled));
    pair.run();
    assert_eq!(pair.server.session.stats(), Default::default());
    assert_eq!(pair.client.session.stats(), Default::default());
    assert!(call.outcome().is_none());
}

#[test]
fn a_cancelled_call_with_a_dependent_goes_on() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let base = add(&mut pair, 1, 2);
    let dependent = add(&mut pair, &base, 3);
    pair.run();
    pair.client.drop_promise(&base);
    pair.run();
    assert!(pair.server.cancelled.is_empty());
    pair.server.finish_next();
    pair.server.finish_next();
    pair.run();
    assert_eq!(dependent.value(), 6);
    pair.client.drop_promise(&dependent);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server.session.stats(), Default::default());
    assert_eq!(pair.client.session.stats(), Default::default());
}

#[test]
fn cancelling_the_last_dependent_stops_what_it_was_built_on() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let base = add(&mut pair, 1, 2);
    let dependent = add(&mut pair, &base, 3);
    pair.run();
    pair.client.drop_promise(&base);
    pair.client.drop_promise(&dependent);
    pair.run();
    assert_eq!(pair.server.cancelled, [base.id]);
}

#[test]
fn a_cancel_that_crosses_the_return_is_harmless() {
    let mut pair = Pair::new();
    let call = add(&mut pair, 1, 2);
    let kept = add(&mut pair, 3, 4);
    pair.client.consume(&call);
    let up = pair.client.poll_message(pair.now).expect("a call");
    pair.server.receive(pair.now, &up).expect("well formed");
    pair.client.drop_promise(&call);
    pair.client.drop_promise(&kept);
    pair.run();
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server.session.stats(), Default::default());
    assert_eq!(pair.client.session.stats(), Default::default());
}

#[test]
fn a_deadline_ends_the_wait_on_both_sides() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let until = pair.now + Duration::from_millis(100);
    let call = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
    pair.run();
    pair.advance(Duration::from_millis(99));
    assert!(call.outcome().is_none());
    pair.advance(Duration::from_millis(1));
    assert_eq!(call.failure(), Failure::DeadlineExceeded);
    assert_eq!(pair.server.cancelled.first(), Some(&call.id));
}

#[test]
fn a_call_whose_deadline_has_passed_is_not_sent() {
    let mut pair = Pair::new();
    pair.run();
    pair.advance(Duration::from_millis(10));
    for before in [0, 1, 10] {
        let passed = Some(crate::time::Time::ZERO + Duration::from_millis(10 - before));
        let awaited = pair.client.call_until(ADD, &[1.into(), 2.into()], passed);
        pair.client.release(&awaited);
        let kept = pair.client.call_until(ADD, &[1.into(), 2.into()], passed);
        let built_on_it = add(&mut pair, &kept, 1);
        let dropped = pair.client.call_until(ADD, &[1.into(), 2.into()], passed);
        pair.client.detach(&dropped);
        pair.run();
        for call in [awaited, kept, built_on_it] {
            assert_eq!(call.failure(), Failure::DeadlineExceeded);
            pair.client.release(&call);
        }
        assert_eq!(dropped.outcome(), None);
        pair.run();
        assert_eq!(pair.client.take_frames(), []);
        pair.client.session.check_empty();
    }
    assert_eq!(pair.server.log, [""; 0]);
}

/// Time as the sides see it may be ahead of their timers.
#[test]
fn a_result_that_comes_after_the_deadline_is_too_late() {
    for (waited, is_late) in [(99, false), (100, true), (101, true)] {
        let mut pair = Pair::new();
        pair.run();
        pair.server.automatic = false;
        let until = Some(pair.now + Duration::from_millis(100));
        let plain = pair.client.call_until(ADD, &[1.into(), 2.into()], until);
        pair.client.release(&plain);
        let kept = pair.client.call_until(ADD, &[1.into(), 2.into()], until);
        let failing = pair.client.call_until(ADD, &[1.into(), 2.into()], until);
        let endless = add(&mut pair, 1, 2);
        pair.run();
        pair.server.finish_next();
        pair.server.finish_next();
        pair.server.finish_with(failing.id, Outcome::Failed(Failure::Panicked));
        pair.server.finish_next();
        let message = pair.server.poll_message(pair.now).expect("the results");
        pair.now = pair.now + Duration::from_millis(waited);
        pair.client.receive(pair.now, &message).unwrap();
        let outcomes = [&plain, &kept, &failing].map(|call| call.outcome().expect("it is over"));
        for outcome in &outcomes {
            let exceeded = Returned::Failed(Failure::DeadlineExceeded);
            assert_eq!(*outcome == exceeded, is_late, "{waited} ms: {outcome:?}");
        }
        assert_eq!(endless.value(), 3);
        for call in [plain, kept, failing, endless] {
            pair.client.release(&call);
        }
        pair.run();
        pair.advance(Duration::from_secs(1));
        pair.client.session.check_empty();
        pair.server.session.check_empty();
    }
}

#[test]
fn a_call_that_arrives_with_no_time_left_is_not_started() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let mut message = Vec::new();
    [ADD, NOTE, ORDERED_ADD].iter().for_each(|number| write::put_frame(&mut message, &define(*number)));
    let keep = Want { value: true, keep: true };
    let none = Call { deadline_us: Some(0), ..raw_call(1, ADD, ONE_AND_TWO) };
    let built_on = [2, 1, 2, 0, 0, 1, 2];
    let calls = [
        none.clone(),
        Call { id: CallId(2), want: keep, ..none.clone() },
        Call { deadline_us: None, ..raw_call(3, ADD, &built_on) },
        Call { id: CallId(4), method: MethodNumber(ORDERED_ADD), ..none.clone() },
        Call { deadline_us: Some(0), oneway: true, ..raw_call(5, NOTE, &[1, 0, 1, 5]) },
        raw_call(6, ADD, ONE_AND_TWO),
    ];
    for call in calls {
        write::put_frame(&mut message, &Frame::Call(call));
    }
    pair.server.receive(pair.now, &message).unwrap();
    let begun: Vec<i64> = pair.server.open.iter().map(|begin| begin.answer.0).collect();
    assert_eq!(begun, [6]);
    while pair.server.poll_message(pair.now).is_some() {}
    let frames = pair.server.take_frames();
    assert_eq!(
        frames,
        [
            failed(1, Failure::DeadlineExceeded),
            failed(2, Failure::DeadlineExceeded),
            Frame::Return(Return {
                id: CallId(3),
                objects: Vec::new(),
                status: Status::Upstream { origin: CallId(2), missed: None }
            }),
            failed(4, Failure::DeadlineExceeded),
            Frame::Return(Return { id: CallId(5), objects: Vec::new(), status: Status::Done }),
        ]
    );
}

#[test]
fn a_call_that_has_waited_for_most_of_its_time_does_not_start() {
    let mut pair = Pair::new();
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1..=2 {
        let call = Call { deadline_us: Some(100_000), ..raw_call(id, ADD, ONE_AND_TWO) };
        write::put_frame(&mut message, &Frame::Call(call));
    }
    write::put_frame(&mut message, &Frame::Call(raw_call(3, ADD, ONE_AND_TWO)));
    pair.server.session.handle_message(pair.now, message.into()).expect("well formed");
    // Handlers of other calls keep the server busy.
    let mut begun =
        |after: u64| match pair.server.session.poll_event(pair.now + Duration::from_millis(after), true) {
            Some(crate::session::events::Event::Begin(begin)) => Some(begin.answer.0),
            _ => None,
        };
    assert_eq!((begun(75), begun(76), begun(76)), (Some(1), Some(3), None));
    pair.server.poll_message(pair.now);
    let late = failed(2, Failure::DeadlineExceeded);
    assert_eq!(pair.server.take_frames(), [late]);
    let stats = pair.server.session.stats();
    assert_eq!((stats.answers_unfinished, stats.pending_bytes), (2, 0));
}

#[test]
fn a_call_that_has_waited_for_most_of_its_time_has_no_place_in_a_batch() {
    let mut pair = Pair::new();
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for (id, deadline_us) in [(1, None), (2, Some(100_000)), (3, None)] {
        let want = Want { value: true, keep: true };
        let call = Call { deadline_us, want, ..raw_call(id, ADD, ONE_AND_TWO) };
        write::put_frame(&mut message, &Frame::Call(call));
    }
    pair.server.session.handle_message(pair.now, message.into()).expect("well formed");
    let later = pair.now + Duration::from_millis(76);
    let Some(crate::session::events::Event::Begin(first)) = pair.server.session.poll_event(later, true)
    else {
        panic!("it begins")
    };
    let alike: Vec<i64> =
        pair.server.session.poll_alike(&first, 10).iter().map(|begin| begin.answer.0).collect();
    assert_eq!((first.answer.0, alike), (1, vec![3]));
    pair.server.poll_message(later);
    assert_eq!(pair.server.take_frames(), [failed(2, Failure::DeadlineExceeded)]);
}

#[test]
fn a_call_that_has_waited_at_home_for_most_of_its_time_is_not_sent() {
    let mut pair = Pair::with_limits(Limits::default(), Limits { calls_max: 1, ..Limits::default() });
    pair.run();
    pair.server.automatic = false;
    let first = add(&mut pair, 1, 1);
    pair.run();
    let until = |millis| Some(pair.now + Duration::from_millis(millis));
    let (soon, later) = (until(100), until(200));
    let late = pair.client.call_until(ADD, &[2.into(), 2.into()], soon);
    let built_on_it = add(&mut pair, &late, 1);
    let in_time = pair.client.call_until(ADD, &[3.into(), 3.into()], later);
    pair.run();
    pair.advance(Duration::from_millis(76));
    pair.server.finish_next();
    pair.run();
    assert_eq!(late.failure(), Failure::DeadlineExceeded);
    assert_eq!(built_on_it.upstream().0, late.id);
    pair.server.finish_next();
    pair.run();
    assert_eq!((first.value(), in_time.value()), (2, 6));
}

/// What a server with these limits says to two plain calls that come one after the other before it says anything.
fn answers_to_two_plain_calls(client: Limits, server: Limits) -> Vec<Frame> {
    let mut pair = Pair::with_limits(client, server);
    pair.run();
    pair.server.take_frames();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1..=2 {
        write::put_frame(&mut message, &Frame::Call(raw_call(id, ADD, ONE_AND_TWO)));
        pair.server.receive(pair.now, &std::mem::take(&mut message)).expect("well formed");
    }
    while pair.server.poll_message(pair.now).is_some() {}
    pair.server.take_frames()
}

#[test]
fn the_limits_hold_for_calls_about_which_nothing_is_special() {
    let check = |server: Limits, expected: [Option<&'static str>; 2]| {
        let said = answers_to_two_plain_calls(Limits::default(), server);
        for (frame, (id, name)) in said.iter().zip((1..).zip(expected)) {
            match name {
                Some(name) => assert!(
                    matches!(frame, Frame::Return(Return { id: of, status: Status::Failed(Failure::ResourceExhausted(reached)), .. }) if of.0 == id && reached.limit == name),
                    "{frame:?}"
                ),
                None => assert!(matches!(frame, Frame::Return(Return { status: Status::Value(_), .. }))),
            }
        }
        assert_eq!(said.len(), 2);
    };
    let length = ONE_AND_TWO.len();
    let limits = Limits::default;
    check(limits(), [None, None]);
    check(Limits { payload_bytes_max: length, ..limits() }, [None, None]);
    check(Limits { payload_bytes_max: length - 1, ..limits() }, [Some("payload_bytes_max"); 2]);
    check(Limits { pending_bytes_max: length, ..limits() }, [None, None]);
    check(Limits { pending_bytes_max: length - 1, ..limits() }, [Some("pending_bytes_max"); 2]);
    // The first answer waits to be sent.
    check(Limits { outgoing_bytes_max: 0, ..limits() }, [None, Some("outgoing_bytes_max")]);
}

/// Every kind of call there is, in the order of its name.
fn one_call_of_each_kind(pair: &mut Pair, sum: &TestCall, list: &TestCall) -> Vec<(&'static str, TestCall)> {
    let whole = Operand { base: Base::Element, path: Path::whole() };
    let mut program = Vec::new();
    Program { policy: Policy::Fail, steps: Vec::new(), result: whole }.put(&mut program);
    let client = &mut pair.client;
    let of_result = CallTarget::Result(sum.id, Path::whole());
    let text = Arg::Bytes(encoded(&"x".repeat(INLINE_BYTES_MAX)).to_vec());
    let plain = client.call(ADD, &[1.into(), 2.into()]);
    client.release(&plain);
    vec![
        ("plain", plain),
        ("kept", client.call(ADD, &[1.into(), 2.into()])),
        (
            "with a deadline",
            client.call_until(ADD, &[1.into(), 2.into()], Some(pair.now + Duration::from_secs(9))),
        ),
        ("built on a result", client.call(ADD, &[sum.into(), 2.into()])),
        (
            "on a promised object",
            client.call_with(MethodNumber(WORK), of_result, Vec::new(), vec![0], vec![sum.id], None),
        ),
        ("ordered", client.call(ORDERED_ADD, &[1.into(), 2.into()])),
        ("in chunks", client.call(TEXT, &[text])),
        ("a part", client.get(list, &[Step::Field(0)])),
        ("a map", client.map(list, &[Step::Field(2)], &program, &[])),
    ]
}

#[test]
fn no_call_goes_around_a_rule_of_admission() {
    let mut pair = Pair::new();
    let (sum, list) = (add(&mut pair, 1, 2), pair.client.call(STRUCTURED, &[1.into()]));
    pair.run();
    let begun = pair.server.log.len();
    pair.server.session.answers.added_rule = Some("a_rule");
    let calls = one_call_of_each_kind(&mut pair, &sum, &list);
    let oneway = pair.client.call(NOTE, &[1.into()]);
    pair.run();
    for (kind, call) in calls {
        let failure = call.failure();
        assert!(
            matches!(&failure, Failure::ResourceExhausted(of) if of.limit == "a_rule"),
            "{kind}: {failure:?}"
        );
    }
    assert!(oneway.outcome().is_none());
    assert_eq!(pair.server.log.len(), begun, "{:?}", pair.server.log);
    assert!(pair.server.maps.is_empty());
}

#[test]
fn no_call_goes_around_what_a_method_number_stands_for() {
    let mut pair = Pair::new();
    pair.server.session.answers.methods.forbidden = Some("add");
    let list = pair.client.call(STRUCTURED, &[1.into()]);
    let sum_of_elements = MapStep::Call {
        target: MapTarget::Root,
        method: MethodNumber(ADD),
        arguments: vec![Slot::Inline(encoded(&1_u64)), Slot::Inline(encoded(&2_u64))],
        objects: Vec::new(),
    };
    let result = Operand { base: Base::Step(0), path: Path::whole() };
    let mut program = Vec::new();
    Program { policy: Policy::Fail, steps: vec![sum_of_elements], result }.put(&mut program);
    let plain = add(&mut pair, 1, 2);
    pair.client.release(&plain);
    let of_list = CallTarget::Result(list.id, Path::whole());
    let calls = [
        ("plain", plain),
        ("kept", add(&mut pair, 1, 2)),
        ("built on a result", add(&mut pair, Arg::part(&list, &[Step::Field(0)]), 2)),
        (
            "on a promised object",
            pair.client.call_with(MethodNumber(ADD), of_list, Vec::new(), vec![0], vec![list.id], None),
        ),
        ("ordered", pair.client.call(ORDERED_ADD, &[1.into(), 2.into()])),
        ("a step of a map", pair.client.map(&list, &[Step::Field(2)], &program, &[ADD])),
    ];
    pair.run();
    for (kind, call) in calls {
        assert_eq!(call.failure(), Failure::PermissionDenied, "{kind}");
    }
    assert_eq!(pair.server.log.len(), 1, "{:?}", pair.server.log);
    assert!(pair.server.maps.is_empty());
}

#[test]
fn a_peer_that_reads_no_answers_to_plain_calls_is_stopped() {
    let mut pair = Pair::new();
    pair.run();
    let in_flight_max = Limits::default().calls_max;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1.. {
        write::put_frame(&mut message, &Frame::Call(raw_call(id, ADD, ONE_AND_TWO)));
        match pair.server.receive(pair.now, &std::mem::take(&mut message)) {
            Ok(()) => assert!(id <= 4 * in_flight_max as i64, "{id} answers wait"),
            Err(violation) => return assert_eq!(violation, Violation::Limit("calls_max")),
        }
    }
}

#[test]
fn calls_that_are_cancelled_before_they_start_leave_no_places_behind() {
    let mut pair = Pair::new();
    pair.run();
    let server = &mut pair.server.session;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    // It waits all the time: others keep the handlers busy.
    write::put_frame(&mut message, &Frame::Call(raw_call(1, ADD, ONE_AND_TWO)));
    for id in 2..10_000 {
        let keep = Want { value: true, keep: id % 2 == 0 };
        write::put_frame(&mut message, &Frame::Call(Call { want: keep, ..raw_call(id, ADD, ONE_AND_TWO) }));
        (0..2).for_each(|_| write::put_frame(&mut message, &Frame::Cancel(CallId(id))));
        server.handle_message(pair.now, std::mem::take(&mut message).into()).expect("well formed");
        while server.poll_message(pair.now, true).is_some() {}
        let waiting = server.calls_waiting();
        assert!(waiting < 300, "{waiting} places after {id} calls");
        assert!(server.stats().pending_bytes < 300 * ONE_AND_TWO.len());
    }
    assert!(
        matches!(server.poll_event(pair.now, true), Some(crate::session::events::Event::Begin(begin)) if begin.answer == CallId(1))
    );
    assert!(server.poll_event(pair.now, true).is_none());
    assert_eq!(server.stats().pending_bytes, 0);
}

#[test]
fn a_call_is_cancelled_once() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    write::put_frame(&mut message, &Frame::Call(raw_call(1, ADD, ONE_AND_TWO)));
    pair.server.receive(pair.now, &message).expect("well formed");
    let mut cancels = Vec::new();
    (0..100).for_each(|_| write::put_frame(&mut cancels, &Frame::Cancel(CallId(1))));
    pair.server.receive(pair.now, &cancels).expect("well formed");
    assert_eq!(pair.server.cancelled, [CallId(1)]);
}

/// A pair whose server has been told the number of a method.
fn pair_with_add() -> Pair {
    let mut pair = Pair::new();
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    pair.server.receive(pair.now, &message).expect("well formed");
    pair
}

#[test]
fn a_call_that_crosses_a_goodbye_runs_and_a_later_one_is_refused() {
    let mut pair = pair_with_add();
    pair.server.session.close(pair.now, pair.now + Duration::from_secs(30), 1_000, "", false);
    let mut call = |id| {
        let mut message = Vec::new();
        write::put_frame(&mut message, &Frame::Call(raw_call(id, ADD, ONE_AND_TWO)));
        pair.server.receive(pair.now, &message).expect("well formed");
        pair.server.poll_message(pair.now);
        pair.now = pair.now + Duration::from_secs(1);
        pair.server.handle_timeout(pair.now);
        pair.server.take_frames().contains(&failed(id, Failure::Unavailable))
    };
    assert_eq!((call(1), call(2)), (false, true));
}

#[test]
fn a_call_behind_both_goodbyes_is_refused() {
    let mut pair = pair_with_add();
    pair.server.session.close(pair.now, pair.now + Duration::from_secs(30), 1_000, "", false);
    let goodbye = Frame::Goodbye { code: 1_000, reason: String::new() };
    let mut message = Vec::new();
    write::put_frame(&mut message, &goodbye);
    write::put_frame(&mut message, &Frame::Call(raw_call(1, ADD, ONE_AND_TWO)));
    pair.server.receive(pair.now, &message).expect("well formed");
    pair.server.poll_message(pair.now);
    assert!(pair.server.take_frames().contains(&failed(1, Failure::Unavailable)));
}

#[test]
fn a_plain_calls_long_result_is_sent_in_chunks_or_not_at_all() {
    let said = |client: Limits, length: usize| {
        let mut pair = Pair::with_limits(client, Limits::default());
        pair.run();
        pair.server.automatic = false;
        pair.server.take_frames();
        let mut message = Vec::new();
        write::put_frame(&mut message, &define(ADD));
        write::put_frame(&mut message, &Frame::Call(raw_call(1, ADD, ONE_AND_TWO)));
        pair.server.receive(pair.now, &message).expect("well formed");
        let payload = Some(SmallBytes::from(vec![7; length]));
        pair.server.finish_with(CallId(1), Outcome::Value { payload, objects: Vec::new() });
        while pair.server.poll_message(pair.now).is_some() {}
        pair.server.take_frames()
    };
    let long = said(Limits::default(), 100 << 10);
    assert_eq!(kinds(&long), ["return", "chunk", "chunk"]);
    let small = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    assert_eq!(kinds(&said(small.clone(), 1_000)), ["return"]);
    let limit = Reached::new("payload_bytes_max", 1_001, 1_000);
    assert_eq!(said(small, 1_001), [failed(1, Failure::exhausted_of_peer(limit))]);
}

#[test]
fn streams_make_room_for_plain_calls() {
    let mut pair = pair_with_add();
    assert!(!pair.server.session.outgoing.streams.is_beside_calls(pair.now));
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Call(raw_call(1, ADD, ONE_AND_TWO)));
    pair.server.receive(pair.now, &message).expect("well formed");
    assert!(pair.server.session.outgoing.streams.is_beside_calls(pair.now));
}

#[test]
fn a_plain_call_is_cancelled_before_it_starts_and_while_it_runs() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1..=2 {
        write::put_frame(&mut message, &Frame::Call(raw_call(id, ADD, ONE_AND_TWO)));
    }
    write::put_frame(&mut message, &Frame::Cancel(CallId(1)));
    pair.server.receive(pair.now, &message).expect("well formed");
    assert_eq!(pair.server.log, ["add(1, 2)"]);
    let mut cancel = Vec::new();
    write::put_frame(&mut cancel, &Frame::Cancel(CallId(2)));
    pair.server.receive(pair.now, &cancel).expect("well formed");
    assert_eq!(pair.server.cancelled, [CallId(2)]);
    pair.server.finish_next();
    pair.server.poll_message(pair.now);
    let returned = pair.server.take_frames();
    assert_eq!(returned.first(), Some(&failed(1, Failure::Cancelled)));
    assert_eq!(returned.len(), 2);
    let stats = pair.server.session.stats();
    assert_eq!((stats.answers_unfinished, stats.answers_held, stats.pending_bytes), (0, 0, 0));
    pair.server.session.check_empty();
}

#[test]
fn dependents_inherit_the_deadline() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let until = pair.now + Duration::from_millis(100);
    let base = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
    let dependent = add(&mut pair, &base, 1);
    pair.run();
    pair.advance(Duration::from_millis(100));
    assert_eq!(dependent.failure(), Failure::DeadlineExceeded);
}

#[test]
fn a_deadline_of_the_largest_number_is_clamped() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    let call = Call { deadline_us: Some(u64::MAX), ..raw_call(1, ADD, ONE_AND_TWO) };
    write::put_frame(&mut message, &Frame::Call(call));
    pair.server.receive(pair.now, &message).expect("well formed");
    let deadline = pair.server.open[0].deadline.expect("it has one");
    assert_eq!(pair.now.until(deadline), Limits::default().deadline_max);
}

#[test]
fn a_oneway_call_returns_nothing_but_its_permit() {
    let mut pair = Pair::new();
    let note = pair.client.call(NOTE, &[5.into()]);
    pair.run();
    assert_eq!(pair.server.log, ["note(5)"]);
    assert!(note.outcome().is_none());
    assert_eq!(pair.client.session.stats(), Default::default());
}

// ---- large payloads ----

#[test]
fn large_payloads_travel_in_chunks_and_small_calls_pass_them() {
    let mut pair = Pair::new();
    pair.run();
    let text = "t".repeat(1_000_000);
    let large = pair.client.call(TEXT, &[Arg::Bytes(encoded(&text).to_vec())]);
    let first = pair.client.poll_message(pair.now).expect("the first chunk");
    let small = add(&mut pair, 1, 2);
    pair.server.receive(pair.now, &first).expect("well formed");
    let second = pair.client.poll_message(pair.now).expect("the second chunk");
    pair.server.receive(pair.now, &second).expect("well formed");
    assert_eq!(pair.server.log, ["add(1, 2)"]);
    pair.run();
    assert_eq!(small.value(), 3);
    assert_eq!(large.outcome(), Some(Returned::Value(encoded(&text).into())));
    assert!(
        pair.client
            .sent
            .iter()
            .chain(&pair.server.sent)
            .all(|message| message.len() <= Limits::default().message_bytes_max)
    );
    assert_eq!(pair.server.session.stats().pending_bytes, 0);
}

#[test]
fn the_memory_of_large_payloads_is_kept_for_a_moment_when_nobody_has_it_any_more() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let (short, long) = (encoded(&"t"), encoded(&"t".repeat(500_000)));
    let uploading = pair.client.call(TEXT, &[Arg::Bytes(long.to_vec())]);
    pair.run();
    assert_eq!(pair.server.session.spare_bytes(), 0, "the handler has it");
    pair.server.finish_with(uploading.id, Outcome::Error(short.clone(), Vec::new()));
    pair.server.history.clear();
    // Beside the argument its length and what kind of argument it is.
    let spare = pair.server.session.spare_bytes();
    assert!((long.len()..long.len() + 8).contains(&spare), "{spare}");
    let downloading = pair.client.call(TEXT, &[Arg::Bytes(short.to_vec())]);
    pair.client.consume(&downloading);
    pair.run();
    pair.server.finish_with(downloading.id, Outcome::Error(long.clone(), Vec::new()));
    pair.run();
    assert_eq!(pair.client.session.spare_bytes(), 0, "the caller has it");
    drop(downloading.take_outcome().expect("it has returned"));
    assert_eq!(pair.client.session.spare_bytes(), long.len());
    pair.advance(Duration::from_millis(250));
    assert_eq!((pair.client.session.spare_bytes(), pair.server.session.spare_bytes()), (0, 0));
}

#[test]
fn large_payloads_share_the_way() {
    let mut pair = Pair::new();
    pair.run();
    let text = encoded(&"t".repeat(500_000)).to_vec();
    let calls: Vec<TestCall> = (0..3).map(|_| pair.client.call(TEXT, &[Arg::Bytes(text.clone())])).collect();
    let mut order = Vec::new();
    while let Some(message) = pair.client.poll_message(pair.now) {
        order.extend(frames_of(&message).into_iter().filter_map(|frame| match frame {
            Frame::Chunk(chunk) => Some(chunk.id),
            _ => None,
        }));
    }
    assert_eq!(order[..6], [calls[0].id, calls[1].id, calls[2].id, calls[0].id, calls[1].id, calls[2].id]);
}

#[test]
fn a_payload_above_the_peers_limit_is_refused_before_it_is_sent() {
    let server = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let large = pair.client.call(TEXT, &[Arg::Bytes(vec![0; 1_001])]);
    pair.run();
    assert!(
        matches!(large.failure(), Failure::ResourceExhausted(reached) if reached.limit == "payload_bytes_max")
    );
    assert_eq!(pair.client.take_frames(), []);
}

#[test]
fn a_result_above_the_callers_limit_is_a_typed_failure() {
    let client = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    let mut pair = Pair::with_limits(client, Limits::default());
    let call = pair.client.call(STRUCTURED, &[2_000.into()]);
    pair.run();
    assert!(
        matches!(call.failure(), Failure::ResourceExhausted(reached) if reached.limit == "payload_bytes_max")
    );
}

#[test]
fn the_first_flight_stays_within_the_initial_limits() {
    let mut pair = Pair::new();
    let calls: Vec<TestCall> = (0..300).map(|n| add(&mut pair, n, 1)).collect();
    let text = pair.client.call(TEXT, &[Arg::Bytes(encoded(&"t".repeat(100_000)).to_vec())]);
    let mut bytes = 0;
    let mut sent = 0;
    while let Some(message) = pair.client.poll_message(pair.now) {
        bytes += message.len();
        sent += frames_of(&message).iter().filter(|frame| matches!(frame, Frame::Call(_))).count();
        pair.server.receive(pair.now, &message).expect("well formed");
    }
    assert_eq!(sent, 256);
    assert!(bytes <= 64 << 10);
    pair.run();
    assert_eq!(calls[299].value(), 300);
    assert!(matches!(text.outcome(), Some(Returned::Value(_))));
}

// ---- limits ----

#[test]
fn calls_above_the_peers_limit_wait_at_home() {
    let server = Limits { calls_max: 2, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    pair.server.automatic = false;
    let calls: Vec<TestCall> = (0..5).map(|n| add(&mut pair, n, 1)).collect();
    pair.run();
    assert_eq!(pair.server.open.len(), 2);
    for _ in 0..5 {
        pair.server.finish_next();
        pair.run();
    }
    assert_eq!(calls.iter().map(TestCall::value).sum::<u64>(), 15);
}

#[test]
fn a_peer_that_ignores_the_call_limit_is_refused() {
    let server = Limits { calls_max: 1, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    pair.server.automatic = false;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1..=3 {
        write::put_frame(&mut message, &Frame::Call(raw_call(id, ADD, ONE_AND_TWO)));
    }
    pair.server.receive(pair.now, &message).expect("refused, not a violation");
    assert_eq!(pair.server.open.len(), 1);
    pair.server.poll_message(pair.now);
    let refused = pair.server.take_frames();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|frame| matches!(frame, Frame::Return(Return { status: Status::Failed(Failure::ResourceExhausted(reached)), .. }) if reached.limit == "calls_max")));
}

#[test]
fn a_chain_above_the_depth_limit_fails_before_the_excess_runs() {
    let server = Limits { chain_depth_max: 4, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.server.automatic = false;
    let mut calls = vec![add(&mut pair, 0, 1)];
    for _ in 0..10 {
        let next = add(&mut pair, &calls[calls.len() - 1], 1);
        calls.push(next);
    }
    pair.run();
    assert_eq!(pair.server.open.len(), 1);
    assert!(
        matches!(calls[4].failure(), Failure::ResourceExhausted(reached) if reached.limit == "chain_depth_max")
    );
    assert_eq!(calls[10].upstream().0, calls[4].id);
    assert!(calls[3].outcome().is_none());
}

#[test]
fn held_results_are_bounded_in_number_and_bytes() {
    let server = Limits { held_answers_max: 3, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    let calls: Vec<TestCall> = (0..5).map(|n| add(&mut pair, n, 1)).collect();
    pair.run();
    assert_eq!(calls[2].value(), 3);
    assert!(
        matches!(calls[3].failure(), Failure::ResourceExhausted(reached) if reached.limit == "held_answers_max")
    );

    let server = Limits { held_bytes_max: 1_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    let small = pair.client.call(STRUCTURED, &[200.into()]);
    let large = pair.client.call(STRUCTURED, &[900.into()]);
    pair.run();
    assert!(matches!(small.outcome(), Some(Returned::Value(_))));
    assert!(
        matches!(large.failure(), Failure::ResourceExhausted(reached) if reached.limit == "held_bytes_max")
    );
    pair.client.drop_promise(&small);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server.session.stats().held_bytes, 0);
}

#[test]
fn repeating_a_large_result_into_waiting_calls_is_bounded() {
    let server = Limits { pending_bytes_max: 10_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    pair.server.automatic = false;
    let text = pair.client.call(TEXT, &[Arg::Bytes(encoded(&"t".repeat(4_000)).to_vec())]);
    let gate = add(&mut pair, 1, 1);
    pair.run();
    let uses: Vec<TestCall> = (0..5).map(|_| pair.client.call(TEXT, &[(&text).into()])).collect();
    pair.run();
    // The uses are resolved in one go when the text is here; what does not fit is refused, the rest runs.
    let begin = pair.server.open.remove(0);
    pair.server.session.finish(begin.answer, value_of(begin.want, "t".repeat(4_000)));
    assert!(pair.server.session.stats().pending_bytes <= 10_000);
    pair.run();
    assert!(uses.iter().any(|call| call.outcome().is_some()));
    assert!(
        matches!(uses[4].failure(), Failure::ResourceExhausted(reached) if reached.limit == "pending_bytes_max")
    );
    drop(gate);
}

// ---- closing ----

#[test]
fn a_close_lets_calls_in_flight_finish_and_those_that_cross_it() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let running = add(&mut pair, 1, 2);
    pair.run();
    let until = pair.now + Duration::from_secs(30);
    pair.server.session.close(pair.now, until, 1000, "going home", false);
    let crossing = add(&mut pair, 3, 4);
    let up = pair.client.poll_message(pair.now).expect("a call");
    pair.server.receive(pair.now, &up).expect("well formed");
    pair.run();
    assert!(pair.client.peer_closing);
    assert!(!pair.server.session.close_complete());
    pair.server.finish_next();
    pair.server.finish_next();
    pair.run();
    assert_eq!((running.value(), crossing.value()), (3, 7));
    assert!(pair.server.session.close_complete());
}

#[test]
fn calls_made_before_a_close_are_sent_before_the_goodbye() {
    let mut pair = Pair::new();
    pair.run();
    let sum = add(&mut pair, 1, 2);
    let until = pair.now + Duration::from_secs(30);
    pair.client.session.close(pair.now, until, 1000, "", false);
    pair.run();
    assert_eq!(sum.value(), 3);
    assert!(pair.client.session.close_complete());
}

#[test]
fn a_close_that_nobody_answers_ends_in_time() {
    let mut pair = Pair::new();
    pair.run();
    let until = pair.now + Duration::from_secs(30);
    pair.client.session.close(pair.now, until, 1000, "", true);
    assert_eq!(pair.client.session.poll_timeout(), Some(until));
    assert!(!pair.client.session.close_complete());
    assert!(pair.client.session.close_overdue(until));
}

#[test]
fn a_close_ends_in_time_whatever_the_peer_says_and_keeps_running() {
    for peer_first in [false, true] {
        let mut pair = Pair::new();
        pair.run();
        pair.server.automatic = false;
        add(&mut pair, 1, 2);
        pair.run();
        let until = pair.now + Duration::from_secs(30);
        let mut goodbye = Vec::new();
        write::put_frame(&mut goodbye, &Frame::Goodbye { code: 1000, reason: String::new() });
        if peer_first {
            pair.server.receive(pair.now, &goodbye).expect("well formed");
            pair.server.poll_message(pair.now);
            pair.server.session.close(pair.now, until, 1000, "", false);
        } else {
            pair.server.session.close(pair.now, until, 1000, "", false);
            pair.server.receive(pair.now, &goodbye).expect("well formed");
        }
        assert_eq!(pair.server.session.poll_timeout(), Some(until));
        assert!(!pair.server.session.close_complete());
        assert!(pair.server.session.close_overdue(until));
    }
}

// ---- violations ----

#[test]
fn only_a_hello_may_come_first() {
    let mut pair = Pair::new();
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Cancel(CallId(1)));
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::HelloMissing));
}

#[test]
fn a_second_hello_is_a_violation() {
    let offer =
        Offer { calls_max: 1, payload_bytes_max: 1, window_bytes: 1, streams_max: 1, stream_window_bytes: 1 };
    let hello =
        Hello { version: 1, features: 0, codec: 1, session: [0; 16], secret: [0; 32], attach: None, offer };
    check_server_violation(&[Frame::Hello(Box::new(hello))], &Violation::HelloRepeated);
    let welcome = Welcome { version: 1, features: 0, codec: 1, attach: None, offer };
    check_server_violation(&[Frame::Welcome(welcome.clone())], &Violation::WrongSide("Welcome"));
    let mut pair = Pair::new();
    pair.run();
    check_client_violation(&mut pair, &[Frame::Welcome(welcome)], &Violation::HelloRepeated);
}

/// Whatever a peer says that it takes: no more than this side has is sent, and nothing overflows.
#[test]
fn a_peer_may_offer_nothing_or_without_end() {
    let offers = |bound| Offer {
        calls_max: bound,
        payload_bytes_max: bound,
        window_bytes: bound,
        streams_max: bound,
        stream_window_bytes: bound,
    };
    let long = vec![7_u8; 200_000];
    for bound in [0, 1, 2, u64::MAX] {
        let offer = offers(bound);
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        write::put_frame(
            &mut to_client,
            &Frame::Welcome(Welcome { version: 1, features: 0, codec: 1, attach: None, offer }),
        );
        let hello = Hello {
            version: 1,
            features: 0,
            codec: 1,
            session: [0; 16],
            secret: [0; 32],
            attach: None,
            offer,
        };
        write::put_frame(&mut to_server, &Frame::Hello(Box::new(hello)));
        let mut pair = Pair::new();
        let now = pair.now;
        // Calls that were made before the peer was heard, and calls that were made after.
        let calls = [&mut pair.client, &mut pair.server].map(|peer| peer.call(ADD, &[1.into(), 2.into()]));
        pair.client.receive(now, &to_client).unwrap();
        pair.server.receive(now, &to_server).unwrap();
        for peer in [&mut pair.client, &mut pair.server] {
            peer.call_raw(MethodNumber(TEXT), long.clone(), Vec::new(), None);
            while peer.poll_message(now).is_some() {}
            let sent = peer.take_frames().iter().filter(|frame| matches!(frame, Frame::Call(_))).count();
            // Of bounds that small, none takes the arguments.
            let due = if bound == u64::MAX { 2 } else { 0 };
            assert_eq!(sent, due, "calls sent to a peer that offers {bound}");
        }
        for call in calls {
            match bound {
                u64::MAX => assert!(call.outcome().is_none(), "it is in flight"),
                bound => {
                    let reached = Reached::new("payload_bytes_max", ONE_AND_TWO.len(), bound as usize);
                    assert_eq!(call.failure(), Failure::exhausted_of_peer(reached));
                }
            }
        }
    }
}

#[test]
fn another_version_or_codec_is_named() {
    let offer =
        Offer { calls_max: 1, payload_bytes_max: 1, window_bytes: 1, streams_max: 1, stream_window_bytes: 1 };
    let hello =
        Hello { version: 7, features: 0, codec: 1, session: [0; 16], secret: [0; 32], attach: None, offer };
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Hello(Box::new(hello.clone())));
    let mut pair = Pair::new();
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::Version { peer: 7, ours: 1 }));
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Hello(Box::new(Hello { version: 1, codec: 9, ..hello })));
    let mut pair = Pair::new();
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::Codec(9)));
}

#[test]
fn ids_are_never_reused() {
    let call = |id| Frame::Call(raw_call(id, ADD, ONE_AND_TWO));
    check_server_violation(&[define(ADD), call(5), call(5)], &Violation::IdReused(5));
    check_server_violation(&[define(ADD), call(5), call(4)], &Violation::IdReused(4));
}

#[test]
fn what_was_never_said_cannot_be_referred_to() {
    check_server_violation(&[Frame::Call(raw_call(1, 9, ONE_AND_TWO))], &Violation::UnknownMethodNumber(9));
    check_server_violation(&[define(ADD), define(ADD)], &Violation::MethodRedefined(ADD));
    check_server_violation(&[Frame::Cancel(CallId(1))], &Violation::UnknownCall(1));
    check_server_violation(&[Frame::Release(vec![CallId(1)])], &Violation::UnknownRelease(1));
    let chunk =
        Frame::Chunk(Chunk { id: CallId(1), of_return: false, bytes: SmallBytes::copy_from_slice(b"x") });
    check_server_violation(&[chunk], &Violation::UnexpectedChunk(1));
    let answer = Frame::Return(Return { id: CallId(1), objects: Vec::new(), status: Status::Done });
    check_server_violation(&[answer], &Violation::UnknownCall(1));
    check_server_violation(&[Frame::Ack { messages: 0 }], &Violation::ForgedAck);
    check_server_violation(&[define(ADD), Frame::Ping { number: 1 }], &Violation::FrameOrder);
}

#[test]
fn a_release_counts_once() {
    let mut pair = Pair::new();
    let kept = add(&mut pair, 1, 2);
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Release(vec![kept.id, kept.id]));
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::UnknownRelease(kept.id.0)));
}

#[test]
fn an_answer_comes_once() {
    let mut pair = Pair::new();
    let kept = add(&mut pair, 1, 2);
    pair.run();
    let again = Frame::Return(Return { id: kept.id, objects: Vec::new(), status: Status::Done });
    check_client_violation(&mut pair, &[again], &Violation::ReturnRepeated(kept.id.0));
}

#[test]
fn chunks_stay_within_what_was_announced() {
    let announce = |total| Call { payload: Payload::Chunked { total }, ..raw_call(1, ADD, &[]) };
    let chunk = |bytes: &'static [u8]| {
        Frame::Chunk(Chunk { id: CallId(1), of_return: false, bytes: SmallBytes::copy_from_slice(bytes) })
    };
    check_server_violation(
        &[define(ADD), Frame::Call(announce(3)), chunk(b"1234")],
        &Violation::UnexpectedChunk(1),
    );
    check_server_violation(
        &[define(ADD), Frame::Call(announce(3)), chunk(b"")],
        &Violation::UnexpectedChunk(1),
    );
    check_server_violation(&[define(ADD), Frame::Call(announce(0))], &Violation::UnexpectedChunk(1));
    check_server_violation(
        &[define(ADD), Frame::Call(announce(usize::MAX))],
        &Violation::Limit("payload_bytes_max"),
    );
}

/// The peer does not know how much is taken.
#[test]
fn too_much_metadata_and_too_many_methods_are_refused() {
    let mut pair = Pair::with_limits(Limits::default(), Limits { methods_max: 1, ..Limits::default() });
    pair.run();
    let long = Call { metadata: vec![("k".into(), "v".repeat(9_000))], ..raw_call(1, ADD, ONE_AND_TWO) };
    let many = Call { metadata: vec![Default::default(); 200], ..raw_call(2, ADD, ONE_AND_TWO) };
    let frames = [
        define(ADD),
        define(NOTE),
        Frame::Call(long),
        Frame::Call(many),
        Frame::Call(raw_call(3, NOTE, ONE_AND_TWO)),
        Frame::Call(raw_call(4, ADD, ONE_AND_TWO)),
    ];
    let mut message = Vec::new();
    frames.iter().for_each(|frame| write::put_frame(&mut message, frame));
    pair.server.receive(pair.now, &message).unwrap();
    while pair.server.poll_message(pair.now).is_some() {}
    let limits: Vec<(i64, String)> = (pair.server.take_frames().into_iter())
        .filter_map(|frame| match frame {
            Frame::Return(Return {
                id, status: Status::Failed(Failure::ResourceExhausted(reached)), ..
            }) => Some((id.0, reached.limit.into_owned())),
            _ => None,
        })
        .collect();
    let (metadata, methods) = ("metadata_bytes_max".to_owned(), "methods_max".to_owned());
    assert_eq!(limits, [(1, metadata.clone()), (2, metadata), (3, methods)]);
}

#[test]
fn a_peer_silent_after_connecting_is_overdue() {
    let pair = Pair::new();
    assert!(!pair.server.session.hello_overdue(pair.now));
    assert!(pair.server.session.hello_overdue(pair.now + Limits::default().hello_timeout));
}

#[test]
fn refused_kept_calls_cannot_pile_up() {
    let server = Limits { held_answers_max: 4, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1..=10_000 {
        let call = Call { want: Want { value: true, keep: true }, ..raw_call(id, ADD, ONE_AND_TWO) };
        write::put_frame(&mut message, &Frame::Call(call));
    }
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::Limit("held_answers_max")));
}

#[test]
fn numbers_survive_the_wire() {
    assert_eq!(number(&encoded(&u64::MAX)), u64::MAX);
}

// ---- found by the model ----

#[test]
fn a_cancel_right_behind_an_unsent_release_releases_once() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let call = add(&mut pair, 1, 2);
    pair.run();
    pair.client.consume(&call);
    pair.client.drop_value(&call);
    pair.run();
    assert_eq!(pair.server.cancelled, [call.id]);
    pair.server.finish_next();
    pair.run();
    assert_eq!(pair.server.session.stats(), Default::default());
    assert_eq!(pair.client.session.poll_timeout(), None);
}

#[test]
fn a_call_that_expires_before_it_is_sealed_returns_once() {
    let mut pair = Pair::new();
    pair.run();
    let until = pair.now + Duration::from_millis(10);
    let call = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
    pair.now = until;
    pair.client.handle_timeout(until);
    assert_eq!(call.failure(), Failure::DeadlineExceeded);
    pair.run();
}

#[test]
fn a_promise_dropped_before_the_seal_hears_of_no_deadline() {
    let mut pair = Pair::new();
    pair.run();
    let until = pair.now + Duration::from_millis(10);
    let call = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
    pair.client.drop_promise(&call);
    pair.client.handle_timeout(until);
    assert!(call.outcome().is_none());
}

#[test]
fn a_result_that_is_here_hands_no_deadline_on() {
    let mut pair = Pair::new();
    let until = pair.now + Duration::from_millis(10);
    let base = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
    pair.advance(Duration::from_millis(20));
    pair.server.automatic = false;
    let later = add(&mut pair, &base, 1);
    pair.advance(Duration::from_millis(1));
    pair.server.finish_next();
    pair.run();
    assert_eq!(later.value(), 4);
}

#[test]
fn a_base_is_cancelled_when_its_unsent_dependent_is_withdrawn() {
    let server = Limits { calls_max: 1, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    pair.server.automatic = false;
    let base = add(&mut pair, 1, 2);
    pair.run();
    let dependent = add(&mut pair, &base, 3);
    pair.run();
    pair.client.drop_promise(&base);
    pair.run();
    assert!(pair.server.cancelled.is_empty());
    pair.client.drop_promise(&dependent);
    pair.run();
    assert_eq!(pair.server.cancelled, [base.id]);
}

#[test]
fn a_base_dropped_before_the_seal_is_stopped_with_its_last_dependent() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let base = add(&mut pair, 1, 2);
    let dependent = add(&mut pair, &base, 3);
    pair.client.drop_promise(&base);
    pair.run();
    assert!(pair.server.cancelled.is_empty());
    pair.client.drop_promise(&dependent);
    pair.run();
    assert_eq!(pair.server.cancelled, [base.id]);
}

#[test]
fn a_part_above_the_callers_limit_is_a_typed_failure() {
    let client = Limits { payload_bytes_max: 100_000, ..Limits::default() };
    let mut pair = Pair::with_limits(client, Limits::default());
    pair.run();
    pair.server.automatic = false;
    let whole = pair.client.call(TEXT, &[Arg::Bytes(encoded(&"x").to_vec())]);
    let part = pair.client.get(&whole, &[]);
    pair.client.drop_promise(&whole);
    pair.run();
    let begin = pair.server.open.remove(0);
    pair.server.finish_with(begin.answer, value_of(begin.want, "t".repeat(200_000)));
    pair.run();
    assert!(
        matches!(part.failure(), Failure::ResourceExhausted(reached) if reached.limit == "payload_bytes_max")
    );
}

#[test]
fn an_error_above_the_callers_limit_is_a_typed_failure() {
    let client = Limits { payload_bytes_max: 100_000, ..Limits::default() };
    let mut pair = Pair::with_limits(client, Limits::default());
    pair.run();
    pair.server.automatic = false;
    let call = add(&mut pair, 1, 2);
    pair.run();
    pair.server.finish_with(call.id, Outcome::Error(encoded(&"e".repeat(200_000)), Vec::new()));
    pair.run();
    assert!(
        matches!(call.failure(), Failure::ResourceExhausted(reached) if reached.limit == "payload_bytes_max")
    );
}

#[test]
fn a_first_flight_above_limits_it_cannot_know_is_refused_and_the_session_lives() {
    let server = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    let text = |length| Arg::Bytes(encoded(&"t".repeat(length)).to_vec());
    let inline = pair.client.call(TEXT, &[text(5_000)]);
    let large = pair.client.call(TEXT, &[text(200_000)]);
    let dependent = pair.client.call(TEXT, &[(&large).into()]);
    let good = add(&mut pair, 1, 2);
    pair.run();
    for call in [&inline, &large] {
        assert!(
            matches!(call.failure(), Failure::ResourceExhausted(reached) if reached.limit == "payload_bytes_max")
        );
    }
    assert_eq!(dependent.upstream().0, large.id);
    assert_eq!(good.value(), 3);
}

#[test]
fn calls_built_on_one_refused_at_home_fail_with_it_and_are_never_sent() {
    let server = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let large = pair.client.call(TEXT, &[Arg::Bytes(vec![0; 1_001])]);
    let dependent = pair.client.call(TEXT, &[(&large).into()]);
    let last = pair.client.call(TEXT, &[(&dependent).into()]);
    pair.run();
    assert_eq!((dependent.upstream().0, last.upstream().0), (large.id, large.id));
    assert_eq!(pair.client.take_frames(), []);
    [&large, &dependent, &last].into_iter().for_each(|call| pair.client.drop_promise(call));
    assert_eq!(pair.client.session.stats(), Default::default());
}

#[test]
fn a_server_may_call_and_close_before_it_is_greeted() {
    let mut pair = Pair::new();
    let early = pair.server.call(ADD, &[1.into(), 2.into()]);
    assert!(pair.server.poll_message(pair.now).is_none());
    let until = pair.now + Duration::from_secs(30);
    pair.server.session.close(pair.now, until, 1000, "", false);
    pair.run();
    assert_eq!(early.value(), 3);
    assert!(pair.client.peer_closing);
}

#[test]
fn a_close_waits_for_a_hello_that_may_be_on_its_way_and_no_longer() {
    let mut pair = Pair::new();
    let now = pair.now;
    pair.server.session.close(now, now + Duration::from_secs(30), 1000, "", false);
    pair.server.session.hurry_hello(now + Duration::from_secs(1));
    assert_eq!(pair.server.session.poll_timeout(), Some(now + Duration::from_secs(1)));
    assert!(!pair.server.session.close_overdue(now));
    assert!(pair.server.session.close_overdue(now + Duration::from_secs(1)));
    // Heard in time, the peer has as long as any other.
    pair.run();
    assert!(!pair.server.session.close_overdue(now + Duration::from_secs(1)));
    assert!(pair.client.peer_closing);
}

#[test]
fn a_caller_may_hold_more_failed_promises_than_results_are_kept() {
    let server = Limits { held_answers_max: 4, calls_max: 8, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let calls: Vec<TestCall> = (0..3_000).map(|_| add(&mut pair, 1_000_000, 1)).collect();
    pair.run();
    pair.advance(Duration::from_secs(1));
    assert!(calls.iter().all(|call| call.outcome().is_some()));
    assert_eq!(pair.server.session.stats().answers_held, 0);
    let later = add(&mut pair, &calls[7], 1);
    pair.run();
    assert_eq!(later.upstream().0, calls[7].id);
}

#[test]
fn references_in_chunked_arguments_outlive_the_promise_they_came_from() {
    let mut pair = Pair::new();
    pair.run();
    let base = add(&mut pair, 1, 2);
    let text = encoded(&"t".repeat(200_000));
    let label = pair.client.call(LABEL, &[Arg::Bytes(text.to_vec()), (&base).into()]);
    pair.client.drop_promise(&base);
    pair.run();
    assert_eq!(label.value(), text.len() as u64 + 3);
    pair.client.drop_promise(&label);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server.session.stats(), Default::default());
    assert_eq!(pair.client.session.stats(), Default::default());
}

#[test]
fn calls_that_become_ready_together_start_in_the_order_made() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let base = add(&mut pair, 1, 2);
    pair.client.call(LABEL, &[Arg::Bytes(encoded(&"t".repeat(100_000)).to_vec()), (&base).into()]);
    add(&mut pair, &base, 10);
    pair.run();
    pair.server.finish_next();
    assert_eq!(pair.server.log, ["add(1, 2)", "label(100005 bytes, 1 bytes)", "add(3, 10)"]);
}

#[test]
fn a_long_batch_and_a_chunk_are_no_longer_than_a_message_may_be() {
    let mut pair = Pair::new();
    pair.run();
    let text = |length| Arg::Bytes(encoded(&"t".repeat(length)).to_vec());
    let calls: Vec<TestCall> =
        [200_000, 16_000, 73_000].into_iter().map(|length| pair.client.call(TEXT, &[text(length)])).collect();
    pair.run();
    assert!(calls.iter().all(|call| matches!(call.outcome(), Some(Returned::Value(_)))));
    let longest = pair.client.sent.iter().chain(&pair.server.sent).map(Vec::len).max();
    assert!(longest <= Some(Limits::default().message_bytes_max), "{longest:?}");
}

#[test]
fn a_call_that_expired_is_not_abandoned_as_well() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let until = pair.now + Duration::from_millis(10);
    let call = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
    pair.run();
    pair.client.handle_timeout(until);
    assert_eq!(call.failure(), Failure::DeadlineExceeded);
    assert_eq!(pair.client.session.abandon_calls(), []);
}

#[test]
fn origins_named_one_by_one_do_not_pile_up_causes() {
    let mut pair = Pair::new();
    pair.run();
    let mut calls = vec![add(&mut pair, 0, 1)];
    for _ in 0..2_000 {
        let next = add(&mut pair, &calls[calls.len() - 1], 1);
        calls.push(next);
    }
    while pair.client.poll_message(pair.now).is_some() {}
    // Each waits for the answer to the one before it; the first answer ends them all.
    let mut message = Vec::new();
    for (call, origin) in calls[1..].iter().zip(&calls) {
        let status = Status::Upstream { origin: origin.id, missed: None };
        write::put_frame(&mut message, &Frame::Return(Return { id: call.id, objects: Vec::new(), status }));
    }
    let status = Status::Failed(Failure::Panicked);
    write::put_frame(&mut message, &Frame::Return(Return { id: calls[0].id, objects: Vec::new(), status }));
    pair.client.receive(pair.now, &message).expect("well formed");
    let cause = OriginCause::Failed(Box::new(Returned::Failed(Failure::Panicked)));
    assert_eq!(calls[2_000].upstream(), (calls[0].id, cause));
}

#[test]
fn a_call_cannot_fail_because_of_itself() {
    let mut pair = Pair::new();
    let call = add(&mut pair, 1, 2);
    pair.client.poll_message(pair.now).expect("a call");
    let mut message = Vec::new();
    let offer =
        Offer { calls_max: 1, payload_bytes_max: 1, window_bytes: 1, streams_max: 1, stream_window_bytes: 1 };
    write::put_frame(
        &mut message,
        &Frame::Welcome(Welcome { version: 1, features: 0, codec: 1, attach: None, offer }),
    );
    let status = Status::Upstream { origin: call.id, missed: None };
    write::put_frame(&mut message, &Frame::Return(Return { id: call.id, objects: Vec::new(), status }));
    assert_eq!(pair.client.receive(pair.now, &message), Err(Violation::UnknownCall(call.id.0)));
}

#[test]
fn payloads_that_never_come_cannot_pile_up() {
    let server = Limits { calls_max: 1, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    for id in 1..=300 {
        let call = Call { payload: Payload::Chunked { total: 9 }, ..raw_call(id, ADD, &[]) };
        write::put_frame(&mut message, &Frame::Call(call));
    }
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::Limit("calls_max")));
}

#[test]
fn a_peer_that_calls_and_reads_no_answers_is_cut_off() {
    let mut pair = Pair::with_limits(Limits::default(), Limits::public());
    pair.run();
    let define = Frame::Define(wire::Define {
        number: MethodNumber(ADD),
        service: "Test".into(),
        method: "add".into(),
        fingerprint: 0,
    });
    let mut message = Vec::new();
    write::put_frame(&mut message, &define);
    for id in 1..=2_000 {
        write::put_frame(&mut message, &Frame::Call(raw_call(id, 1, ONE_AND_TWO)));
    }
    assert_eq!(pair.server.receive(pair.now, &message), Err(Violation::Limit("calls_max")));
}

#[test]
fn answers_name_the_call_that_failed_first() {
    let mut pair = Pair::new();
    let failing = add(&mut pair, 1_000_000, 1);
    let second = add(&mut pair, &failing, 1);
    add(&mut pair, &second, 1);
    pair.run();
    let origins: Vec<CallId> = pair
        .server
        .take_frames()
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::Return(Return { status: Status::Upstream { origin, .. }, .. }) => Some(origin),
            _ => None,
        })
        .collect();
    assert_eq!(origins, [failing.id, failing.id]);
}

#[test]
fn a_call_that_waits_for_one_with_a_deadline_has_it_too_whatever_its_caller_says() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(ADD));
    let want = Want { value: true, keep: true };
    let base = Call { deadline_us: Some(50_000), want, ..raw_call(1, ADD, ONE_AND_TWO) };
    write::put_frame(&mut message, &Frame::Call(base));
    write::put_frame(&mut message, &Frame::Call(raw_call(2, ADD, &[2, 1, 1, 0, 0, 1, 2])));
    pair.server.receive(pair.now, &message).expect("well formed");
    let deadline = pair.server.open[0].deadline;
    assert_eq!(deadline, Some(pair.now + Duration::from_millis(50)));
    pair.server.finish_next();
    assert_eq!(pair.server.open[0].deadline, deadline);
}

#[test]
fn a_close_that_both_agreed_on_waits_for_calls_in_flight() {
    let mut pair = Pair::new();
    pair.run();
    pair.server.automatic = false;
    let running = add(&mut pair, 1, 2);
    pair.client.consume(&running);
    pair.run();
    let until = pair.now + Duration::from_secs(30);
    pair.client.session.close(pair.now, until, 1000, "", false);
    pair.run();
    assert!(pair.server.peer_closing && pair.client.peer_closing);
    assert!(!pair.client.session.close_complete());
    assert!(!pair.server.session.close_complete());
    pair.server.finish_next();
    pair.run();
    assert_eq!(running.value(), 3);
    assert!(pair.client.session.close_complete());
}

#[test]
fn a_call_answered_before_its_arguments_have_left_keeps_its_place_until_they_have() {
    let server = Limits { calls_max: 1, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let text = Arg::Bytes(encoded(&"t".repeat(300_000)).to_vec());
    let dropped = pair.client.call(TEXT, std::slice::from_ref(&text));
    let first = pair.client.poll_message(pair.now).expect("the first chunk");
    pair.server.receive(pair.now, &first).expect("well formed");
    pair.client.drop_promise(&dropped);
    pair.client.take_frames();
    let next = pair.client.call(TEXT, &[text]);
    pair.run();
    let sent = pair.client.take_frames();
    let last_chunk =
        sent.iter().rposition(|frame| matches!(frame, Frame::Chunk(chunk) if chunk.id == dropped.id));
    let next_call = sent.iter().position(|frame| matches!(frame, Frame::Call(call) if call.id == next.id));
    assert!(last_chunk < next_call, "{last_chunk:?} {next_call:?}");
    assert!(matches!(next.outcome(), Some(Returned::Value(_))));
}

#[test]
fn releases_that_are_due_while_the_socket_is_full_stay_due_no_longer() {
    let mut pair = Pair::new();
    let call = add(&mut pair, 1, 2);
    pair.run();
    pair.client.release(&call);
    assert_eq!(pair.client.poll_message(pair.now), None);
    let due = pair.client.session.poll_timeout().expect("the release is due some time");
    // The driver has no room for a message, only the time.
    pair.client.handle_timeout(due);
    assert_eq!(pair.client.session.poll_timeout(), None);
    pair.now = due;
    pair.run();
    assert_eq!(pair.server.session.stats().answers_held, 0);
}

#[test]
fn deadlines_of_calls_that_are_over_are_forgotten() {
    let mut pair = Pair::new();
    for _ in 0..10_000 {
        let until = pair.now + Duration::from_secs(3_600);
        let call = pair.client.call_until(ADD, &[1.into(), 2.into()], Some(until));
        pair.client.consume(&call);
        pair.run();
        assert_eq!(call.value(), 3);
    }
    let [own, peers, _] = pair.client.session.remembered_beside_tables();
    let [_, answered, _] = pair.server.session.remembered_beside_tables();
    assert!(own < 200 && peers == 0 && answered < 200, "{own} {peers} {answered}");
}

#[test]
fn ordered_calls_that_are_over_leave_the_queue_though_the_first_still_waits() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let slow = add(&mut pair, 1, 1);
    let waiting = pair.client.call(ORDERED_ADD, &[(&slow).into(), 1.into()]);
    pair.run();
    for _ in 0..1_000 {
        let dropped = pair.client.call(ORDERED_ADD, &[7.into(), 7.into()]);
        pair.run();
        pair.client.drop_promise(&dropped);
        pair.run();
    }
    let [_, _, in_order] = pair.server.session.remembered_beside_tables();
    assert_eq!(in_order, 1);
    pair.server.finish_next();
    pair.server.finish_next();
    pair.run();
    assert_eq!(waiting.value(), 3);
}

#[test]
fn a_message_that_searches_much_is_read_in_parts() {
    let mut pair = Pair::new();
    let lists: Vec<_> = (0..20).map(|_| pair.client.call(STRUCTURED, &[100_000.into()])).collect();
    pair.run();
    let lasts: Vec<_> = (21..=40).map(|id| last_of(id, id - 20, 99_999)).collect();
    assert_eq!(read_in_parts(&mut pair, &lasts), 21, "each list is searched once");
    // A long list that was searched remembers where its elements lie.
    let lasts: Vec<_> = (41..=1_040).map(|id| last_of(id, id % 20 + 1, 99_000 + id)).collect();
    assert!(read_in_parts(&mut pair, &lasts) <= 3_000 / 64);
    while pair.server.poll_message(pair.now).is_some() {}
    let returned = pair.server.take_frames().into_iter().filter(|frame| {
        matches!(frame, Frame::Return(Return { status: Status::Value(Payload::Inline(value)), .. }) if value.len() > 1)
    });
    assert_eq!(returned.count(), 20 + 959);
    lists.iter().for_each(|list| pair.client.release(list));
}

/// The built-in call for an element of the list in a result.
fn last_of(id: i64, list: i64, element: i64) -> Frame {
    let mut payload = vec![1, 1, u8::try_from(list).expect("few"), 2, 0, 2, 1];
    payload.extend([element as u8 | 0x80, (element >> 7) as u8 | 0x80, (element >> 14) as u8]);
    Frame::Call(raw_call(id, 0, &payload))
}

/// In how many parts the server reads one message of these frames.
fn read_in_parts(pair: &mut Pair, frames: &[Frame]) -> usize {
    let mut message = Vec::new();
    frames.iter().for_each(|frame| write::put_frame(&mut message, frame));
    pair.server.session.handle_message(pair.now, message.into()).expect("well formed");
    let mut parts = 1;
    while pair.server.session.is_reading() {
        pair.server.session.read_on(pair.now).expect("well formed");
        parts += 1;
    }
    parts
}

// ---- what a peer may cost ----

#[test]
fn results_are_not_made_while_the_last_ones_wait_to_be_sent() {
    let server = Limits { outgoing_bytes_max: 250_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let texts: Vec<TestCall> = (0..10)
        .map(|_| pair.client.call(TEXT, &[Arg::Bytes(encoded(&"t".repeat(100_000)).to_vec())]))
        .collect();
    while let Some(message) = pair.client.poll_message(pair.now) {
        pair.server.receive(pair.now, &message).expect("well formed");
    }
    let stats = pair.server.session.stats();
    assert!(stats.outgoing_bytes <= 350_100, "{stats:?}");
    assert!(stats.pending_bytes >= 600_000, "{stats:?}");
    let mut longest = 0;
    while let Some(message) = pair.server.poll_message(pair.now) {
        pair.client.receive(pair.now, &message).expect("well formed");
        longest = longest.max(pair.server.session.stats().outgoing_bytes);
    }
    assert!(longest <= 350_100, "{longest}");
    assert!(texts.iter().all(|text| matches!(text.outcome(), Some(Returned::Value(_)))));
}

#[test]
fn calls_that_are_cancelled_while_they_wait_for_room_leave_nothing_to_be_done() {
    let server = Limits { outgoing_bytes_max: 250_000, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), server);
    pair.run();
    let text = Arg::Bytes(encoded(&"t".repeat(100_000)).to_vec());
    let texts: Vec<TestCall> = (0..10).map(|_| pair.client.call(TEXT, std::slice::from_ref(&text))).collect();
    while let Some(message) = pair.client.poll_message(pair.now) {
        pair.server.receive(pair.now, &message).expect("well formed");
    }
    assert!(!pair.server.session.has_events_of_sending(), "there is no room yet");
    texts.iter().for_each(|text| pair.client.drop_promise(text));
    while let Some(message) = pair.client.poll_message(pair.now) {
        pair.server.receive(pair.now, &message).expect("well formed");
    }
    while pair.server.poll_message(pair.now).is_some() {}
    assert!(!pair.server.session.has_events_of_sending(), "nothing waits");
    assert_eq!(pair.server.session.stats().session_bytes, 0);
}

#[test]
fn a_call_that_waits_keeps_its_own_bytes_alone() {
    let mut pair = Pair::with_limits(Limits::default(), Limits { calls_max: 8, ..Limits::default() });
    pair.run();
    let mut message = Vec::new();
    write::put_frame(&mut message, &define(TEXT));
    let mut payload = vec![1];
    arguments::put_inline(&mut payload, |out| codec::encode(&"t".repeat(100), out)).expect("it encodes");
    write::put_frame(&mut message, &Frame::Call(raw_call(1, TEXT, &payload)));
    let kept = Call { want: Want { value: true, keep: true }, ..raw_call(2, TEXT, &payload) };
    write::put_frame(&mut message, &Frame::Call(kept));
    // Optional frames that nobody knows are skipped.
    message.extend([0x80, 0xe8, 0x07]);
    message.extend([0; 1_000]);
    let message = Bytes::from(message);
    pair.server.session.handle_message(pair.now, message.clone()).expect("well formed");
    assert!(!message.is_unique(), "they may start at once");
    let later = pair.now + Duration::from_millis(10);
    pair.server.session.handle_message(later, Bytes::new()).expect("an empty batch");
    assert!(message.is_unique());
}

#[test]
fn a_payload_that_stops_coming_ends_the_session_and_a_slow_one_does_not() {
    let (patience, tick) = (Limits::default().message_timeout, Duration::from_millis(4_500));
    for (bytes, stalls) in [(1, true), (4_000, false)] {
        let mut pair = Pair::new();
        pair.run();
        let mut message = Vec::new();
        write::put_frame(&mut message, &define(TEXT));
        let call = Call { payload: Payload::Chunked { total: 1 << 20 }, ..raw_call(1, TEXT, &[]) };
        write::put_frame(&mut message, &Frame::Call(call));
        pair.server.receive(pair.now, &message).expect("well formed");
        let begun = pair.now;
        while pair.now < begun + 4 * patience && !pair.server.session.payload_stalled() {
            let mut message = Vec::new();
            let chunk = Chunk { id: CallId(1), of_return: false, bytes: vec![7; bytes].into() };
            write::put_frame(&mut message, &Frame::Chunk(chunk));
            pair.server.receive(pair.now, &message).expect("well formed");
            pair.now = pair.now + tick;
            pair.server.handle_timeout(pair.now);
        }
        assert_eq!(pair.server.session.payload_stalled(), stalls, "{bytes} bytes at a time");
        assert!(!stalls || pair.now <= begun + patience + tick, "in its time");
    }
}

#[test]
fn a_method_that_was_named_wrongly_a_thousand_times_keeps_no_texts() {
    let mut pair = Pair::new();
    pair.run();
    let mut message = Vec::new();
    for number in 100..1_100 {
        let named = wire::Define {
            number: MethodNumber(number),
            service: "Test".into(),
            method: "add".into(),
            fingerprint: u64::from(number),
        };
        write::put_frame(&mut message, &Frame::Define(named));
    }
    for id in 1..=3 {
        write::put_frame(&mut message, &Frame::Call(raw_call(id, 100, ONE_AND_TWO)));
    }
    pair.server.receive(pair.now, &message).expect("well formed");
    while pair.server.poll_message(pair.now).is_some() {}
    let said = pair.server.take_frames();
    let texts = said.iter().filter(
        |frame| matches!(frame, Frame::Return(Return { status: Status::Failed(Failure::SchemaMismatch { theirs }), .. }) if theirs.contains("u64")),
    );
    assert_eq!(texts.count(), 3);
}

#[test]
fn a_long_payload_is_charged_whole_until_its_last_chunk_has_left_the_socket() {
    const LENGTH: usize = 1 << 20;
    let mut pair = Pair::new();
    pair.run();
    let text = pair.client.call(TEXT, &[Arg::Bytes(encoded(&"t".repeat(LENGTH)).to_vec())]);
    let charged = |peer: &mut crate::session::tests::pair::TestPeer, waiting| {
        peer.session.spares.clear();
        peer.session.settle_rest(waiting);
        let crate::session::events::SessionStats { session_bytes, held_bytes, .. } = peer.session.stats();
        session_bytes - held_bytes
    };
    while let Some(message) = pair.client.poll_message(pair.now) {
        let bytes = charged(&mut pair.client, message.len());
        assert!(bytes >= LENGTH, "{bytes} of the arguments");
        pair.server.receive(pair.now, &message).expect("well formed");
    }
    assert!(charged(&mut pair.client, 0) < LENGTH / 2, "the arguments have left");
    while let Some(message) = pair.server.poll_message(pair.now) {
        let bytes = charged(&mut pair.server, message.len());
        assert!(bytes >= LENGTH, "{bytes} of the result");
        pair.client.receive(pair.now, &message).expect("well formed");
    }
    assert!(charged(&mut pair.server, 0) < LENGTH / 2, "the result has left");
    assert!(matches!(text.outcome(), Some(Returned::Value(_))));
}
