use super::*;
use crate::{codec, limits::Limits};

/// Whether a byte string of this length is a part of the message it came in.
fn is_shared(length: usize) -> bool {
    let mut encoded = Vec::new();
    codec::encode(&Bytes::from(vec![7; length]), &mut encoded).unwrap();
    let message = Bytes::from([encoded, vec![0; 100_000]].concat());
    let value = SmallBytes::from(message.clone()).part(0..message.len() - 100_000);
    let encoded = Encoded { bytes: value, capabilities: None };
    let budget = DecodeBudget::from(&Limits::default());
    let bytes: Bytes = encoded.decode(Handle::never_open(), budget).unwrap();
    assert_eq!(bytes, vec![7; length]);
    message.as_ptr_range().contains(&bytes.as_ptr())
}

#[test]
fn a_short_byte_string_does_not_keep_its_message() {
    assert!(!is_shared(100));
    assert!(!is_shared(SHARED_BYTES - 1));
    assert!(is_shared(SHARED_BYTES));
}
