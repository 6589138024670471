//! Varints: integers of variable length, which lengths and ids are, too.

use std::ops::Range;

/// The largest id: ids stay below 2^53 so that a peer written in JavaScript can hold them.
pub(crate) const ID_MAX: i64 = (1 << 53) - 1;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

pub(super) fn id_in_range(raw: i64) -> Option<i64> {
    (1..=ID_MAX).contains(&raw).then_some(raw)
}

/// The range of the byte string whose length begins at `at`.
#[inline]
pub(super) fn sized_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let (length, start) = varint_at(bytes, at)?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

/// The most bytes of a varint of 64 bits.
pub(super) const VARINT_BYTES_MAX: usize = 10;

/// The integer that begins at `at`, and where it ends; `None` if it does not end or has more than 64 bits.
#[inline]
pub(super) fn varint_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    match *bytes.get(at)? {
        short @ ..0x80 => Some((u64::from(short), at + 1)),
        _ => long_varint_at(bytes, at),
    }
}

fn long_varint_at(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        if shift == 63 && byte & 0x7f > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}
