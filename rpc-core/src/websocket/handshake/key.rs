//! The key of a handshake and the answer that proves that the server read it (RFC 6455, 4.1 and 4.2.2), in base64.

use sha1_smol::Sha1;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The bytes that a server adds to every key.
const SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's key: sixteen random bytes.
pub(super) fn random() -> String {
    base64(&rand::random::<[u8; 16]>())
}

/// Whether a client's key is sixteen bytes in base64.
pub(super) fn is_valid(key: &[u8]) -> bool {
    // Of the last digit only the upper two bits are part of the bytes.
    matches!(key, [digits @ .., b'A' | b'Q' | b'g' | b'w', b'=', b'=']
        if digits.len() == 21 && digits.iter().all(|digit| ALPHABET.contains(digit)))
}

/// The server's answer to a client's key.
pub(super) fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(SUFFIX);
    base64(&hash.digest().bytes())
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            (0..3).fold(0, |bits, index| bits << 8 | usize::from(group.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let is_padding = digit > group.len();
            text.push(if is_padding { '=' } else { char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let words = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let written = words.map(|word| base64(word.as_bytes()));
        assert_eq!(written, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn keys_are_valid_and_differ_and_others_are_not() {
        let (first, second) = (random(), random());
        assert!(is_valid(first.as_bytes()) && is_valid(second.as_bytes()) && first != second);
        for other in
            ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25j!A==", "AAAA=="]
        {
            assert!(!is_valid(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_answer_is_that_of_the_standard() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
