//! Calls that are made again when the peer refuses them for a while, and the results that a lost session leaves.

use std::time::Duration;

use super::pair::{ADD, Arg, Pair, TEXT, TestCall, encoded, value_of};
use crate::{
    limits::Limits,
    retry::Retry,
    time::Time,
    value::outcome::Outcome,
    wire::{CallId, Exhausted, Failure, Reached, Want},
};

const ALWAYS: Retry = Retry { attempts: u32::MAX, delay: Duration::ZERO, delay_max: Duration::ZERO };

fn refused(retry_after_ms: u64) -> Failure {
    let exhausted = Exhausted { retry_after_ms, ..Reached::at("work_per_second", 0).into() };
    Failure::ResourceExhausted(Box::new(exhausted))
}

/// A pair whose client retries like this, with handlers that wait.
fn pair(retry: Retry) -> Pair {
    let mut pair = Pair::new();
    pair.run();
    pair.client.retry = Some(retry);
    pair.server.automatic = false;
    pair
}

/// A call whose promise is awaited.
fn add(pair: &mut Pair, deadline: Option<Time>) -> TestCall {
    let call = pair.client.call_until(ADD, &[1.into(), 2.into()], deadline);
    pair.client.consume(&call);
    pair.run();
    call
}

/// Ends the handler that has begun last.
fn finish(pair: &mut Pair, outcome: impl FnOnce(CallId) -> Outcome) {
    let answer = pair.server.open.last().expect("a handler has begun").answer;
    pair.server.finish_with(answer, outcome(answer));
    pair.run();
}

fn refuse(pair: &mut Pair, retry_after_ms: u64) {
    finish(pair, |_| Outcome::Failed(refused(retry_after_ms)));
}

#[test]
fn a_call_that_was_refused_for_a_while_is_made_again_after_that_time() {
    let mut pair = pair(ALWAYS);
    let call = add(&mut pair, None);
    for attempt in 1..=3 {
        refuse(&mut pair, 500);
        pair.advance(Duration::from_millis(499));
        assert_eq!((pair.server.log.len(), call.outcome().is_some()), (attempt, false));
        pair.advance(Duration::from_millis(1));
        assert_eq!(pair.server.log.len(), attempt + 1);
    }
    pair.server.finish_next();
    pair.run();
    assert_eq!(call.value(), 3);
    pair.client.session.check_empty();
}

#[test]
fn a_call_fails_when_its_attempts_are_over() {
    let mut pair = pair(Retry { attempts: 3, ..ALWAYS });
    let call = add(&mut pair, None);
    for _ in 0..2 {
        refuse(&mut pair, 10);
        assert!(call.outcome().is_none());
        pair.advance(Duration::from_millis(10));
    }
    refuse(&mut pair, 10);
    assert!(matches!(call.failure(), Failure::ResourceExhausted(_)));
    assert_eq!(pair.server.log.len(), 3);
}

#[test]
fn only_refusals_that_time_may_mend_are_repeated() {
    for failure in [refused(0), Failure::PermissionDenied, Failure::Panicked, Failure::DeadlineExceeded] {
        let mut pair = pair(ALWAYS);
        let call = add(&mut pair, None);
        finish(&mut pair, |_| Outcome::Failed(failure.clone()));
        assert_eq!(call.failure(), failure.received());
    }
    let mut pair = pair(ALWAYS);
    let call = add(&mut pair, None);
    finish(&mut pair, |_| Outcome::Failed(Failure::Unavailable));
    assert!(call.outcome().is_none());
    pair.advance(Duration::ZERO);
    pair.server.finish_next();
    pair.run();
    assert_eq!(call.value(), 3);
}

#[test]
fn a_call_without_a_policy_is_made_once() {
    for retry in [None, Some(Retry::none())] {
        let mut pair = pair(ALWAYS);
        pair.client.retry = retry;
        let call = add(&mut pair, None);
        refuse(&mut pair, 1);
        assert!(matches!(call.failure(), Failure::ResourceExhausted(_)));
    }
}

#[test]
fn the_waits_grow_and_end_before_the_deadline() {
    let mut pair =
        pair(Retry { delay_max: Duration::from_secs(60), delay: Duration::from_secs(1), ..ALWAYS });
    let deadline = pair.now + Duration::from_secs(100);
    let call = add(&mut pair, Some(deadline));
    let mut waits = Vec::new();
    while call.outcome().is_none() {
        let since = pair.now;
        refuse(&mut pair, 1);
        if let Some(due) = pair.client.session.poll_timeout().filter(|_| call.outcome().is_none()) {
            pair.advance(pair.now.until(due));
            waits.push(since.until(pair.now));
        }
    }
    assert!(matches!(call.failure(), Failure::ResourceExhausted(_)), "the last refusal is told");
    assert!(pair.now < deadline);
    for (attempt, wait) in waits.iter().enumerate() {
        assert!(*wait <= Duration::from_secs(1 << attempt), "{waits:?}");
    }
    assert!(waits.len() > 4 && waits.iter().any(|wait| *wait > Duration::from_secs(2)), "{waits:?}");
}

#[test]
fn a_call_that_others_refer_to_fails_with_them() {
    let mut pair = pair(ALWAYS);
    let first = pair.client.call(ADD, &[1.into(), 2.into()]);
    let second = pair.client.call(ADD, &[(&first).into(), 2.into()]);
    pair.client.consume(&first);
    pair.client.consume(&second);
    pair.run();
    refuse(&mut pair, 1);
    assert!(matches!(first.failure(), Failure::ResourceExhausted(_)));
    assert_eq!(second.upstream().0, first.id);

    // A promise that could still be passed on.
    let promise = pair.client.call(ADD, &[1.into(), 2.into()]);
    pair.run();
    refuse(&mut pair, 1);
    assert!(matches!(promise.failure(), Failure::ResourceExhausted(_)));
}

#[test]
fn nobody_repeats_a_call_whose_promise_was_dropped() {
    let mut pair = pair(ALWAYS);
    let call = add(&mut pair, None);
    refuse(&mut pair, 100);
    pair.client.drop_value(&call);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server.log.len(), 1);
    pair.client.session.check_empty();

    // Dropped when it is under way again.
    let call = add(&mut pair, None);
    refuse(&mut pair, 100);
    pair.advance(Duration::from_millis(100));
    pair.client.drop_value(&call);
    pair.run();
    assert_eq!(pair.server.cancelled.len(), 1);
}

#[test]
fn a_resting_call_goes_to_the_next_session_or_fails_with_this_one() {
    let mut pair = pair(ALWAYS);
    let call = add(&mut pair, None);
    let fresh = pair.client.call(ADD, &[3.into(), 4.into()]);
    refuse(&mut pair, 100);
    let moved: Vec<_> = pair.client.session.hand_over_calls(true).into_iter().map(|call| call.id).collect();
    assert_eq!(moved, [call.id], "the other one was sent, and it is not idempotent");
    drop(fresh);

    let mut pair = self::pair(ALWAYS);
    let call = add(&mut pair, None);
    refuse(&mut pair, 100);
    let ended = pair.client.session.abandon_calls();
    assert!(matches!(&ended[..], [(waiter, crate::error::Delivery::NotSent)] if *waiter == call));
}

#[test]
fn a_lost_session_leaves_the_results_that_were_not_acknowledged() {
    let mut pair = Pair::resumable(Limits::default(), Limits::default());
    let text = |pair: &mut Pair, text: &str| pair.client.call(TEXT, &[Arg::Bytes(encoded(&text).to_vec())]);
    let known = text(&mut pair, "known");
    pair.run();
    pair.advance(Duration::from_secs(1));
    assert!(known.outcome().is_some());

    pair.server.automatic = false;
    let short = text(&mut pair, "short");
    let long = text(&mut pair, &"l".repeat(200_000));
    let failed = text(&mut pair, "failed");
    let running = text(&mut pair, "running");
    pair.run();
    pair.server.session.detach(pair.now);
    for call in &[&short, &long] {
        let text = if *call == &short { "short".to_owned() } else { "l".repeat(200_000) };
        pair.server.finish_with(call.id, value_of(Want { value: true, keep: false }, text));
    }
    pair.server.finish_with(failed.id, Outcome::Failed(Failure::Panicked));
    let left = pair.server.session.take_unacknowledged_results();
    assert!(left.iter().all(|(id, _)| *id != running.id && *id != failed.id && *id != known.id));
    let [(id, Outcome::Value { payload: Some(payload), objects })] = &left[..] else {
        panic!("{} results", left.len())
    };
    assert_eq!((*id, &payload[..], objects.len()), (short.id, &b"\x05short"[..], 0));
}
