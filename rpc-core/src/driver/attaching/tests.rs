use super::*;

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
