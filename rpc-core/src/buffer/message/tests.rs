use super::*;
use crate::seeded::Seeded;

fn long(seeded: &mut Seeded) -> Bytes {
    let length = LONG_BYTES - 2 + seeded.below(5);
    (0..length).map(|_| seeded.below(256) as u8).collect()
}

/// A message of short and long pieces, and the same in one.
fn random(seeded: &mut Seeded) -> (Message, Vec<u8>) {
    let (mut message, mut whole) = (Message::default(), Vec::new());
    for _ in 0..seeded.below(6) {
        if seeded.below(2) == 0 {
            let bytes: Vec<u8> = (0..seeded.below(20)).map(|_| seeded.below(256) as u8).collect();
            message.bytes().extend_from_slice(&bytes);
            whole.extend_from_slice(&bytes);
        } else {
            let part = long(seeded);
            message.put_long(&part);
            whole.put_long(&part);
        }
    }
    (message, whole)
}

#[test]
fn pieces_make_the_same_message() {
    let mut seeded = Seeded::new(7);
    for _ in 0..200 {
        let (mut message, mut whole) = random(&mut seeded);
        let (other, more) = random(&mut seeded);
        message.append(&other);
        whole.extend_from_slice(&more);
        assert_eq!(message.len(), whole.len());
        let framed = MessageRef::new(&[1, 2, 3], Some(&message));
        let with_head = [&[1, 2, 3], &whole[..]].concat();
        assert_eq!((framed.len(), framed.to_vec()), (with_head.len(), with_head));
        assert_eq!(message.into_bytes(), whole);
    }
}

#[test]
fn long_pieces_are_not_copied() {
    let part = Bytes::from(vec![7; LONG_BYTES]);
    let mut message = Message::default();
    message.put_long(&part);
    assert!(message.slices().any(|slice| slice.as_ptr() == part.as_ptr()));
}

#[cfg(feature = "websocket")]
#[test]
fn written_in_any_steps_it_is_the_same() {
    let mut seeded = Seeded::new(8);
    for _ in 0..100 {
        let (mut expected, mut written) = (Vec::new(), Vec::new());
        let mut unwritten = Unwritten::default();
        for _ in 0..6 {
            let (message, whole) = random(&mut seeded);
            unwritten.message().append(&message);
            expected.extend_from_slice(&whole);
            assert_eq!(unwritten.len(), expected.len() - written.len());
            for _ in 0..seeded.below(4) {
                let mut slices = [std::io::IoSlice::new(&[]); 3];
                let filled = unwritten.fill(&mut slices);
                let there: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = if seeded.below(3) == 0 { there.len() } else { seeded.below(there.len() + 1) };
                written.extend_from_slice(&there[..taken]);
                unwritten.advance(taken);
            }
            if seeded.below(5) == 0 {
                unwritten.shrink();
            }
        }
        while !unwritten.is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 3];
            let filled = unwritten.fill(&mut slices);
            let there: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            written.extend_from_slice(&there);
            unwritten.advance(there.len());
        }
        assert_eq!(written, expected);
    }
}
