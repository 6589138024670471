use super::*;
use crate::session::tests::pair::{ADD, Pair};

const INTERVAL: Duration = Duration::from_secs(7);
const PATIENCE: Duration = Duration::from_secs(3);

fn limits() -> Limits {
    Limits { ping_interval: INTERVAL, ping_timeout: PATIENCE, ..Limits::default() }
}

#[test]
fn a_silent_peer_is_pinged_and_its_pong_is_a_round_trip() {
    let mut pair = Pair::with_limits(limits(), Limits::default());
    pair.run();
    assert_eq!(pair.client.session.round_trip(), Some(Duration::ZERO), "measured by the handshake");
    pair.now = pair.now + INTERVAL;
    pair.client.handle_timeout(pair.now);
    let ping = pair.client.poll_message(pair.now).expect("it pings");
    assert_eq!(ping, [0x0b, 1]);
    pair.now = pair.now + Duration::from_millis(40);
    pair.server.receive(pair.now, &ping).expect("well formed");
    let pong = pair.server.poll_message(pair.now).expect("it answers");
    assert_eq!(pong, [0x0c, 1]);
    pair.now = pair.now + Duration::from_millis(2);
    pair.client.receive(pair.now, &pong).expect("well formed");
    assert_eq!(pair.client.session.round_trip(), Some(Duration::from_millis(42)));
    assert_eq!(pair.client.session.poll_timeout(), Some(pair.now + INTERVAL));
    assert!(!pair.client.session.is_peer_silent(pair.now + INTERVAL));
}

#[test]
fn a_peer_that_does_not_answer_is_given_up_in_time() {
    let mut pair = Pair::with_limits(limits(), Limits::default());
    pair.run();
    let pinged = pair.now + INTERVAL;
    pair.client.handle_timeout(pinged);
    pair.client.poll_message(pinged).expect("it pings");
    let due = pinged + PATIENCE;
    assert_eq!(pair.client.session.poll_timeout(), Some(due));
    pair.client.handle_timeout(due);
    assert_eq!(pair.client.poll_message(due), None, "it pings once");
    assert!(!pair.client.session.is_peer_silent(pinged + PATIENCE / 2));
    assert!(pair.client.session.is_peer_silent(due));
}

#[test]
fn any_message_is_a_sign_of_life() {
    let mut pair = Pair::with_limits(limits(), Limits::default());
    pair.run();
    let pinged = pair.now + INTERVAL;
    pair.client.handle_timeout(pinged);
    pair.client.poll_message(pinged).expect("it pings");
    let later = pinged + PATIENCE / 2;
    // The acknowledgement of nothing is the shortest message of a resumable session; here a ping of the peer's own.
    pair.client.receive(later, &[0x0b, 9]).expect("well formed");
    assert_eq!(pair.client.poll_message(later).expect("it answers"), [0x0c, 9]);
    assert!(!pair.client.session.is_peer_silent(pinged + PATIENCE));
    assert_eq!(pair.client.session.poll_timeout(), Some(later + INTERVAL));
}

#[test]
fn a_flood_of_pings_is_answered_by_one_pong() {
    let mut pair = Pair::new();
    pair.run();
    for number in 0..1_000 {
        let mut ping = Vec::new();
        crate::wire::write::put_frame(&mut ping, &Frame::Ping { number });
        pair.server.receive(pair.now, &ping).expect("well formed");
    }
    assert_eq!(pair.server.poll_message(pair.now).expect("it answers"), [0x0c, 0xe7, 0x07]);
    assert_eq!(pair.server.poll_message(pair.now), None);
}

#[test]
fn a_session_is_unused_when_no_call_runs_and_no_message_of_its_own_moves() {
    let idle = Duration::from_secs(60);
    let limits = Limits { idle_timeout: idle, ping_interval: INTERVAL, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), limits);
    pair.run();
    pair.server.automatic = false;
    let call = pair.client.call(ADD, &[1.into(), 2.into()]);
    pair.run();
    // A call that runs is use, however long it takes.
    pair.advance(2 * idle);
    assert!(!pair.server.session.is_idle(pair.now));
    pair.server.finish_next();
    pair.run();
    assert_eq!(call.value(), 3);
    pair.client.drop_promise(&call);
    // Heartbeats are no use.
    pair.advance(idle / 2);
    assert!(!pair.server.session.is_idle(pair.now));
    let later = pair.now + idle;
    assert!(pair.server.session.is_idle(later) && pair.server.session.poll_timeout() < Some(later));
    assert!(!pair.client.session.is_idle(later), "that side has no such limit");
}
