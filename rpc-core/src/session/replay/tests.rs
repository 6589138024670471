use super::*;
use crate::buffer::message::Out;

fn message(bytes: usize) -> Message {
    let mut message = Message::default();
    message.bytes().resize(bytes, 7);
    message
}

fn kept(sent: usize) -> Kept {
    let mut kept = Kept::new(true, usize::MAX);
    (1..=sent).for_each(|bytes| kept.push(message(bytes)));
    kept
}

/// The lengths of the messages that a new socket is given.
fn repeated(kept: &mut Kept) -> Vec<usize> {
    std::iter::from_fn(|| kept.hand_out()).collect()
}

#[test]
fn what_was_not_acknowledged_is_sent_again_in_order() {
    let mut kept = kept(4);
    kept.acknowledge(1).expect("it was sent");
    kept.rewind();
    assert_eq!(kept.attach(0, Duration::ZERO), Resume { accepted: 0, first: 1, fresh: 4, detached_us: 0 });
    assert_eq!(repeated(&mut kept), [2, 3, 4]);
    // A socket that ends half-way through.
    kept.rewind();
    assert_eq!(kept.hand_out(), Some(2));
    kept.rewind();
    kept.resume(3).expect("it was sent, by another socket");
    assert_eq!(repeated(&mut kept), [4]);
    kept.push(message(9));
    assert_eq!(kept.handed_out().map(Message::len), Some(9));
    kept.acknowledge(5).expect("it was sent");
    assert_eq!((kept.bytes(), kept.end()), (0, 5));
}

#[test]
fn a_forged_or_backward_acknowledgement_is_a_violation() {
    let mut kept = kept(4);
    kept.acknowledge(2).expect("it was sent");
    kept.acknowledge(2).expect("nothing is new");
    assert_eq!(kept.acknowledge(1), Err(Violation::ForgedAck), "backward");
    assert_eq!(kept.acknowledge(5), Err(Violation::ForgedAck), "never sent");
    kept.rewind();
    assert_eq!(kept.resume(1), Err(Violation::ForgedAck), "backward");
    assert_eq!(kept.resume(5), Err(Violation::ForgedAck), "never sent");
    assert_eq!(kept.acknowledge(3), Err(Violation::ForgedAck), "not sent on this socket yet");
    assert_eq!(Kept::new(false, 1).acknowledge(0), Err(Violation::ForgedAck), "nothing is kept");
}

#[test]
fn the_window_grows_with_what_was_acknowledged() {
    let mut kept = Kept::new(true, 1 << 20);
    let mut sent = 0;
    let fill = |kept: &mut Kept, sent: &mut u64| {
        while kept.has_room() {
            kept.push(message(1_000));
            *sent += 1;
        }
        kept.bytes()
    };
    let close_to = |window: usize| window..window + charge(1_000);
    assert!(close_to(WINDOW_MIN).contains(&fill(&mut kept, &mut sent)));
    for _ in 0..100 {
        kept.acknowledge(sent).expect("it was sent");
        fill(&mut kept, &mut sent);
    }
    assert!(close_to(1 << 20).contains(&kept.bytes()), "{}", kept.bytes());
    // A window of none lets one message through at a time.
    let mut kept = Kept::new(true, 0);
    assert!(kept.has_room());
    kept.push(message(1));
    assert!(!kept.has_room());
}

#[test]
fn without_resume_only_the_last_message_is_held_for_the_socket() {
    let mut kept = Kept::new(false, usize::MAX);
    for bytes in 1..5 {
        kept.forget_unkept();
        kept.push(message(bytes));
        assert_eq!((kept.bytes(), kept.handed_out().map(Message::len)), (charge(bytes), Some(bytes)));
    }
    kept.forget_unkept();
    assert_eq!((kept.bytes(), kept.end()), (0, 4));
}

fn accepting() -> Accepted {
    let mut accepted = Accepted::default();
    accepted.acknowledge_from_here(u64::MAX);
    accepted
}

#[test]
fn acknowledgements_wait_for_a_while_for_many_messages_or_much() {
    let now = Time::ZERO;
    let mut accepted = accepting();
    assert_eq!(accepted.arrived(now, 10), Arrival::New);
    assert_eq!(accepted.ack_due(), Some(now + ACK_DELAY));
    assert_eq!(accepted.take_ack(now, true), None, "one is not worth it");
    assert_eq!(accepted.take_ack(now + ACK_DELAY, false), Some(1));
    assert_eq!(accepted.ack_due(), None);

    (0..ACK_ALONG).for_each(|_| assert_eq!(accepted.arrived(now, 10), Arrival::New));
    assert_eq!(accepted.take_ack(now, false), None);
    assert_eq!(accepted.take_ack(now, true), Some(1 + ACK_ALONG));

    (0..ACK_MESSAGES).for_each(|_| assert_eq!(accepted.arrived(now, 10), Arrival::New));
    assert_eq!(accepted.take_ack(now, false), Some(1 + ACK_ALONG + ACK_MESSAGES));

    accepted.arrived(now, WINDOW_MIN / 4);
    assert_eq!(accepted.ack_due(), Some(now), "a quarter of the window");
}

#[test]
fn known_messages_are_skipped_and_gaps_refused() {
    let now = Time::ZERO;
    let mut accepted = accepting();
    (0..3).for_each(|_| assert_eq!(accepted.arrived(now, 10), Arrival::New));
    let mut resume = Resume { accepted: 0, first: 1, fresh: 4, detached_us: 5_000 };
    accepted.resume(&resume).expect("nothing is missing");
    let arrivals: Vec<_> = (0..4).map(|_| (accepted.arrived(now, 10), accepted.age().as_millis())).collect();
    assert_eq!(arrivals, [(Arrival::Known, 5), (Arrival::Known, 5), (Arrival::New, 5), (Arrival::New, 0),]);
    assert_eq!(accepted.count(), 5);
    resume.first = 6;
    assert_eq!(accepted.resume(&resume), Err(Violation::Gap));
}

#[test]
fn messages_that_the_peer_has_are_left_out_and_it_is_told() {
    let now = Time::ZERO;
    let (mut kept, mut accepted) = (kept(4), accepting());
    (0..3).for_each(|_| assert_eq!(accepted.arrived(now, 10), Arrival::New));
    kept.rewind();
    accepted.resume(&kept.attach(0, Duration::ZERO)).expect("nothing is missing");
    // One was sent before the peer's answer came, which says that it has three.
    kept.hand_out();
    assert_eq!(accepted.arrived(now, 10), Arrival::Known);
    kept.resume(3).expect("they were sent");
    assert_eq!((kept.take_skip(), kept.take_skip()), (Some(3), None));
    accepted.skip_to(3).expect("it has those");
    assert_eq!(kept.hand_out(), Some(4));
    assert_eq!(accepted.arrived(now, 4), Arrival::New);
    assert_eq!(accepted.skip_to(3), Err(Violation::Gap), "backward");
    assert_eq!(accepted.skip_to(5), Err(Violation::Gap), "never accepted");
}
