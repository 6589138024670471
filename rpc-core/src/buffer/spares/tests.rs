use super::*;
use crate::sync::lock;

const MIB: usize = 1 << 20;

/// A payload of `total` bytes, all the same, that came in parts of 64 KiB.
fn receive(spares: &mut Spares, now: Time, byte: u8, total: usize) -> Bytes {
    let mut payload = Vec::new();
    while payload.len() < total {
        let part = vec![byte; (64 << 10).min(total - payload.len())];
        spares.append(now, &mut payload, &part, total);
    }
    let payload = spares.lend(payload).into_bytes();
    assert_eq!(payload.len(), total);
    assert!(payload.iter().all(|have| *have == byte));
    payload
}

fn kept(spares: &Spares) -> (usize, usize) {
    let Some(kept) = &spares.kept else { return (0, 0) };
    let kept = lock(kept);
    assert_eq!(kept.bytes, kept.buffers.iter().map(Vec::capacity).sum::<usize>());
    (kept.buffers.len(), kept.bytes)
}

#[test]
fn a_buffer_is_used_again_when_nobody_has_it_any_more() {
    let mut spares = Spares::default();
    let first = receive(&mut spares, Time::ZERO, 1, MIB);
    let place = first.as_ptr();
    let part = first.slice(MIB / 2..);
    drop(first);
    assert_eq!(kept(&spares), (0, 0), "a part of it is still looked at");
    drop(part);
    assert_eq!(kept(&spares), (1, MIB));
    let second = receive(&mut spares, Time::ZERO, 2, MIB);
    assert_eq!(second.as_ptr(), place);
    assert_eq!(kept(&spares), (0, 0));
}

#[test]
fn a_payload_does_not_take_much_more_than_it_needs() {
    let mut spares = Spares::default();
    drop(receive(&mut spares, Time::ZERO, 1, MIB));
    drop(receive(&mut spares, Time::ZERO, 2, MIB / 2));
    assert_eq!(kept(&spares), (2, MIB + MIB / 2));
    drop(receive(&mut spares, Time::ZERO, 3, MIB - MIB / 8));
    assert_eq!(kept(&spares), (2, MIB + MIB / 2), "an eighth is not much");
    drop(receive(&mut spares, Time::ZERO, 4, MIB + 1));
    assert_eq!(kept(&spares), (3, 2 * MIB + MIB / 2 + 1));
}

#[test]
fn short_payloads_are_left_to_the_allocator() {
    let mut spares = Spares::default();
    drop(receive(&mut spares, Time::ZERO, 1, LONG_BYTES - 1));
    assert_eq!((kept(&spares), spares.timeout()), ((0, 0), None));
}

#[test]
fn what_is_kept_has_a_bound_and_the_oldest_goes_first() {
    let mut spares = Spares::default();
    let payloads: Vec<Bytes> =
        (0..10).map(|number| receive(&mut spares, Time::ZERO, number, MIB + usize::from(number))).collect();
    drop(payloads);
    let (buffers, bytes) = kept(&spares);
    assert_eq!(buffers, 7);
    assert!(bytes <= KEPT_BYTES_MAX);
    let lengths: Vec<usize> = spares
        .kept
        .iter()
        .flat_map(|kept| lock(kept).buffers.iter().map(Vec::capacity).collect::<Vec<_>>())
        .collect();
    assert_eq!(lengths, (3..10).map(|number| MIB + number).collect::<Vec<_>>());
    drop(receive(&mut spares, Time::ZERO, 1, KEPT_BYTES_MAX + 1));
    assert_eq!(kept(&spares), (buffers, bytes), "one that is longer than all of them pushes none out");
}

#[test]
fn nothing_is_kept_where_nothing_comes() {
    let mut spares = Spares::default();
    let early = receive(&mut spares, Time::ZERO, 1, MIB);
    drop(receive(&mut spares, Time::ZERO, 2, MIB));
    let look = |number: u32| Time::ZERO + KEPT_FOR * number;
    assert_eq!(spares.timeout(), Some(look(1)));
    spares.expire(look(1));
    assert_eq!((kept(&spares), spares.timeout()), ((1, MIB), Some(look(2))), "it came since");
    spares.expire(look(2));
    assert_eq!((kept(&spares), spares.timeout()), ((0, 0), None));
    drop(early);
    assert_eq!(kept(&spares), (0, 0), "what comes back late is not kept either");
    drop(receive(&mut spares, look(3), 4, MIB));
    assert_eq!((kept(&spares), spares.timeout()), ((1, MIB), Some(look(4))));
}

#[test]
fn a_peer_that_goes_on_sending_little_keeps_no_more_than_that() {
    let mut spares = Spares::default();
    let payloads: Vec<Bytes> = (0..8).map(|number| receive(&mut spares, Time::ZERO, number, MIB)).collect();
    drop(payloads);
    assert_eq!(kept(&spares), (8, 8 * MIB));
    let mut unfinished = Vec::new();
    for look in 1..4 {
        let now = Time::ZERO + KEPT_FOR * look;
        // One payload is used over and over, another never ends.
        drop(receive(&mut spares, now, 9, MIB));
        spares.append(now, &mut unfinished, &[9], 10 * MIB);
        spares.expire(now);
    }
    assert_eq!(kept(&spares), (1, MIB));
}

#[test]
fn a_payload_may_outlive_its_session() {
    let mut spares = Spares::default();
    let payload = receive(&mut spares, Time::ZERO, 1, MIB);
    drop(spares);
    assert!(payload.iter().all(|byte| *byte == 1));
}
