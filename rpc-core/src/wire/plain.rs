//! The frames of plain calls and plain values: read and written without building a `Frame`.

use std::ops::Range;

use crate::{
    buffer::{message::Out, small_bytes::SmallBytes},
    wire::{
        CallId, DEADLINE, MethodNumber, ObjectId, WANTED,
        varint::{id_in_range, put_varint, sized_at, varint_at},
        write::{put_id, put_long},
    },
};

/// Room for the head of a plain frame and a short payload.
pub(super) const PLAIN_HEAD_BYTES: usize = 64;

/// A plain frame. It ends with its payload.
#[derive(Debug, Clone)]
pub(crate) enum Plain {
    Call(PlainCall),
    Value(PlainValue),
}

/// A plain call: its value is wanted and not kept, it has no metadata and objects, and its target is not a promised object.
#[derive(Debug, Clone)]
pub(crate) struct PlainCall {
    pub(crate) id: CallId,
    /// The object of the receiver that is called; `None` for the services at the root.
    pub(crate) object: Option<ObjectId>,
    pub(crate) method: MethodNumber,
    pub(crate) deadline_us: Option<u64>,
    pub(crate) payload: Range<usize>,
}

/// A plain value: a Return with an inline value and without objects.
#[derive(Debug, Clone)]
pub(crate) struct PlainValue {
    pub(crate) id: CallId,
    pub(crate) payload: Range<usize>,
}

pub(super) fn plain_call(bytes: &[u8], at: usize) -> Option<PlainCall> {
    let (id, at) = plain_id(bytes, at)?;
    let flags = *bytes.get(at)?;
    if flags & !DEADLINE != WANTED {
        return None;
    }
    let (target, at) = varint_at(bytes, at + 1)?;
    let object = match target {
        0 => None,
        // Zigzag: an odd number is a negative one, which is an object id. Object n is 2n - 1.
        odd if odd & 1 == 1 => Some(ObjectId(id_in_range(i64::try_from(odd / 2 + 1).ok()?)?)),
        _ => return None,
    };
    let (method, at) = varint_at(bytes, at)?;
    let (deadline_us, at) = match flags & DEADLINE {
        0 => (None, at),
        _ => varint_at(bytes, at).map(|(deadline, at)| (Some(deadline), at))?,
    };
    let payload = sized_at(bytes, at)?;
    Some(PlainCall { id, object, method: MethodNumber(u32::try_from(method).ok()?), deadline_us, payload })
}

pub(super) fn plain_value(bytes: &[u8], at: usize) -> Option<PlainValue> {
    let (id, at) = plain_id(bytes, at)?;
    if *bytes.get(at)? != 0x01 {
        return None;
    }
    Some(PlainValue { id, payload: sized_at(bytes, at + 1)? })
}

#[inline]
fn plain_id(bytes: &[u8], at: usize) -> Option<(CallId, usize)> {
    let (id, at) = varint_at(bytes, at)?;
    Some((CallId(id_in_range(i64::try_from(id).ok()?)?), at))
}

/// Appends a call as [`PlainCall`] describes it, to the services at the root.
pub(crate) fn put_plain_call(
    out: &mut impl Out,
    id: CallId,
    method: MethodNumber,
    deadline_us: Option<u64>,
    payload: &SmallBytes,
) {
    let bytes = out.bytes();
    bytes.reserve(PLAIN_HEAD_BYTES);
    bytes.push(0x04);
    put_id(bytes, id);
    bytes.push(if deadline_us.is_some() { WANTED | DEADLINE } else { WANTED });
    bytes.push(0);
    put_varint(bytes, u64::from(method.0));
    if let Some(deadline) = deadline_us {
        put_varint(bytes, deadline);
    }
    put_varint(bytes, payload.len() as u64);
    put_long(out, payload);
}

/// Appends a return as [`PlainValue`] describes it.
pub(crate) fn put_plain_value(out: &mut impl Out, id: CallId, payload: &SmallBytes) {
    let bytes = out.bytes();
    bytes.reserve(PLAIN_HEAD_BYTES);
    bytes.push(0x05);
    put_id(bytes, id);
    bytes.push(0x01);
    put_varint(bytes, payload.len() as u64);
    put_long(out, payload);
}
