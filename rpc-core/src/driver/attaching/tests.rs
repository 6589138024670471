use super::*;
use crate::{driver, memory};

#[test]
fn a_secret_counts_until_the_client_has_answered_on_the_next_socket() {
    let [first, second, third] = [[1; 32], [2; 32], [3; 32]];
    let mut proof = Proof::new(&first);
    assert!(!proof.is_of(&second), "a guess");
    proof.rotate(&first, &second);
    // The welcome may be lost: then the client still has the first one.
    assert!(proof.is_of(&first) && proof.is_of(&second));
    proof.rotate(&first, &third);
    assert!(proof.is_of(&first) && proof.is_of(&third));
    assert!(!proof.is_of(&second), "nobody answered with it");
    proof.confirm();
    assert!(!proof.is_of(&first), "replayed");
    assert!(proof.is_of(&third));
}

#[test]
fn sockets_come_at_a_bounded_rate() {
    let mut now = Time::ZERO;
    let mut rate = AttachRate::new(now, 10);
    assert_eq!((0..20).filter(|_| rate.admit(now)).count(), 10);
    now = now + Duration::from_secs(6);
    assert_eq!((0..20).filter(|_| rate.admit(now)).count(), 1);
    now = now + Duration::from_secs(3_600);
    assert_eq!((0..20).filter(|_| rate.admit(now)).count(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_just_got_a_socket_is_not_given_up() {
    let (near, far) = memory::pipe();
    let (_server, serving) = driver::start(far, Side::Server, SessionConfig::default());
    let (client, running) = driver::start_detached(SessionConfig::default());
    tokio::spawn(serving);
    tokio::spawn(running);
    let mut sockets = client.attachments();
    sockets.attach(near);
    sockets.give_up(CloseReason::Expired { cause: None });
    while !matches!(sockets.changed().await.expect("the session goes on"), Attachment::Attached) {}
}

#[test]
fn time_that_is_over_wakes_nobody() {
    let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
    let detached = Detached { calls_until: at(30), until: Some(at(120)), is_wanted: false, cause: None };
    let due = |now| detached.due(at(now));
    assert_eq!([due(0), due(30), due(119), due(120)], [Some(at(30)), Some(at(120)), Some(at(120)), None]);
}

/// A server has one of these for each client, and the allocator nothing smaller to give.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_task_of_a_session_takes_at_most_3328_bytes() {
    let bytes = size_of::<Driver>();
    assert!(bytes <= 3_328, "a driver takes {bytes} bytes");
}
