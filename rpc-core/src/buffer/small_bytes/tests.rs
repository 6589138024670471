use super::*;

#[test]
fn keeps_bytes_of_any_length() {
    for length in [0, 1, INLINE - 1, INLINE, INLINE + 1, 255, 256, 300, SCRATCH_BYTES, SCRATCH_BYTES + 1] {
        let bytes: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let message = Bytes::from(bytes.clone());
        let encoded = SmallBytes::encode(|out| {
            out.extend_from_slice(&bytes);
            Ok::<(), ()>(())
        });
        for small in [
            SmallBytes::copy_from_slice(&bytes),
            SmallBytes::from(message.clone()).part(0..length),
            SmallBytes::from(message.clone()),
            SmallBytes::from(bytes.clone()),
            encoded.unwrap(),
        ] {
            assert_eq!(*small, *bytes);
            assert_eq!(small.clone(), small);
            assert_eq!(small.into_bytes(), message);
        }
    }
}

#[test]
fn encoding_inside_encoding_starts_empty() {
    let outer: Result<_, ()> = SmallBytes::encode(|out| {
        out.push(1);
        let inner = SmallBytes::encode(|out| {
            out.push(2);
            Ok::<(), ()>(())
        })?;
        assert_eq!(*inner, [2]);
        out.push(3);
        Ok(())
    });
    assert_eq!(*outer.unwrap(), [1, 3]);
}

#[test]
fn joined_it_is_the_same_value() {
    for length in [0, 10, 100_000] {
        let (head, tail) = (b"head", Bytes::from(vec![7; length]));
        let joined = SmallBytes::joined(head, tail.clone());
        let whole = [&head[..], &tail].concat();
        assert_eq!(joined.len(), whole.len());
        let (copied, shared) = joined.pieces();
        assert_eq!(copied, head);
        assert!(shared.is_some_and(|shared| shared.as_ptr() == tail.as_ptr()), "it is not copied");
        assert_eq!(joined, SmallBytes::from(whole.clone()));
        assert_eq!(&*joined.part(2..whole.len()), &whole[2..]);
        assert_eq!(joined.clone().into_bytes(), whole);
    }
}
