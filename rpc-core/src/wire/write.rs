//! Writes frames to messages.

use crate::{
    buffer::{message::Out, small_bytes::SmallBytes},
    error::Side,
    path::{Path, Step},
    wire::{
        CHUNKED, Call, CallId, DEADLINE, END_OBJECTS, EXTENSIONS, Exhausted, Extensions, Failure, Flow,
        Frame, KEEP, MAGIC, METADATA, MethodNumber, OBJECTS, ONEWAY, ObjectId, Offer, PassedObject, Payload,
        RETURN_CHUNKED, RETURN_OBJECTS, Resume, Return, SENT_BEFORE, SENT_BEFORE_BYTES, SentBefore, Status,
        StreamEnd, StreamId, TEXT_BYTES_MAX, Target, WANTED, varint::put_varint,
    },
};

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text. Long texts are cut at a character boundary: they explain, they do not carry data.
fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
}

pub(super) fn put_id(out: &mut Vec<u8>, id: CallId) {
    put_varint(out, id.0 as u64);
}

fn put_offer(out: &mut Vec<u8>, offer: &Offer) {
    put_varint(out, offer.calls_max);
    put_varint(out, offer.payload_bytes_max);
    put_varint(out, offer.window_bytes);
    put_varint(out, offer.streams_max);
    put_varint(out, offer.stream_window_bytes);
    put_bytes(out, &[]);
}

fn put_resume(out: &mut Vec<u8>, resume: &Resume) {
    put_varint(out, resume.accepted);
    put_varint(out, resume.first);
    put_varint(out, resume.fresh);
    put_varint(out, resume.detached_us);
}

fn put_payload(out: &mut impl Out, payload: &Payload) {
    match payload {
        Payload::Inline(bytes) => {
            put_varint(out.bytes(), bytes.len() as u64);
            put_long(out, bytes);
        }
        Payload::Chunked { total } => put_varint(out.bytes(), *total as u64),
    }
}

pub(super) fn put_long(out: &mut impl Out, bytes: &SmallBytes) {
    let (head, long) = bytes.pieces();
    out.bytes().extend_from_slice(head);
    if let Some(long) = long {
        out.put_long(long);
    }
}

pub(super) fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_varint(out, path.steps().len() as u64);
    for step in path.steps() {
        let (tag, number) = match *step {
            Step::Field(number) => (0, Some(number)),
            Step::Index(number) => (1, Some(number)),
            Step::Some => (2, None),
            Step::Variant(number) => (3, Some(number)),
        };
        out.push(tag);
        if let Some(number) = number {
            put_varint(out, u64::from(number));
        }
    }
}

/// Appends one frame.
pub(crate) fn put_frame(out: &mut impl Out, frame: &Frame) {
    // These frames end with a byte string that may be long.
    match frame {
        Frame::Call(call) => {
            put_call_head(out.bytes(), call);
            return put_payload(out, &call.payload);
        }
        Frame::Return(answer) => return put_return(out, answer),
        Frame::Chunk(chunk) => {
            put_chunk_head(out.bytes(), chunk.id, chunk.of_return, chunk.bytes.len());
            return put_long(out, &chunk.bytes);
        }
        Frame::ItemChunk { stream, bytes } => {
            put_item_chunk_head(out.bytes(), *stream, bytes.len());
            return put_long(out, bytes);
        }
        _ => {}
    }
    let out = out.bytes();
    match frame {
        Frame::Call(_) | Frame::Return(_) | Frame::Chunk(_) | Frame::ItemChunk { .. } => {}
        Frame::Define(define) => {
            put_define(out, define.number, &define.service, &define.method, define.fingerprint)
        }
        Frame::Cancel(id) => {
            out.push(0x06);
            put_id(out, *id);
        }
        Frame::Release(ids) => put_release(out, ids),
        Frame::ReleaseObjects(objects) => put_release_objects(out, objects),
        Frame::Items(items) => put_items(out, items.stream, &items.objects, items.count, &items.bytes),
        Frame::LargeItem(item) => put_large_item(out, item.stream, &item.objects, item.total),
        Frame::Missed { stream, count } => {
            put_stream_head(out, 0x15, *stream);
            put_varint(out, *count);
        }
        Frame::StreamEnd { stream, end } => put_stream_end(out, *stream, end),
        Frame::Credit { stream, bytes } => {
            put_stream_head(out, 0x17, *stream);
            put_varint(out, *bytes);
        }
        Frame::Stop { stream, reason } => {
            put_stream_head(out, 0x18, *stream);
            out.push(u8::from(reason.is_some()));
            if let Some(reason) = reason {
                put_text(out, reason);
            }
        }
        Frame::Goodbye { code, reason } => {
            out.push(0x09);
            put_varint(out, u64::from(*code));
            put_text(out, reason);
        }
        Frame::Hello(_)
        | Frame::Welcome(_)
        | Frame::Ack { .. }
        | Frame::Ping { .. }
        | Frame::Pong { .. }
        | Frame::Skip { .. } => put_frame_of_socket(out, frame),
    }
}

/// Appends a frame about the socket; any other is left out.
pub(crate) fn put_frame_of_socket(out: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Hello(hello) => {
            out.push(0x01);
            out.extend_from_slice(&MAGIC);
            put_varint(out, u64::from(hello.version));
            put_varint(out, hello.features);
            put_varint(out, hello.codec);
            out.extend_from_slice(&hello.session);
            out.extend_from_slice(&hello.secret);
            match &hello.attach {
                None => out.push(0),
                Some((next_secret, resume)) => {
                    out.push(1);
                    out.extend_from_slice(next_secret);
                    put_resume(out, resume);
                }
            }
            put_offer(out, &hello.offer);
        }
        Frame::Welcome(welcome) => {
            out.push(0x02);
            put_varint(out, u64::from(welcome.version));
            put_varint(out, welcome.features);
            put_varint(out, welcome.codec);
            match &welcome.attach {
                None => out.push(0),
                Some(resume) => {
                    out.push(1);
                    put_resume(out, resume);
                }
            }
            put_offer(out, &welcome.offer);
        }
        Frame::Ack { messages } => {
            out.push(0x0a);
            put_varint(out, *messages);
        }
        Frame::Ping { number } => {
            out.push(0x0b);
            put_varint(out, *number);
        }
        Frame::Pong { number } => {
            out.push(0x0c);
            put_varint(out, *number);
        }
        Frame::Skip { next } => {
            out.push(0x0d);
            put_varint(out, *next);
        }
        _ => {}
    }
}

pub(crate) fn put_define(
    out: &mut Vec<u8>,
    number: MethodNumber,
    service: &str,
    method: &str,
    fingerprint: u64,
) {
    out.push(0x03);
    put_varint(out, u64::from(number.0));
    put_bytes(out, service.as_bytes());
    put_bytes(out, method.as_bytes());
    out.extend_from_slice(&fingerprint.to_le_bytes());
}

fn put_call_head(out: &mut Vec<u8>, call: &Call) {
    out.push(0x04);
    put_id(out, call.id);
    let mut flags = 0;
    for (set, flag) in [
        (call.want.value, WANTED),
        (call.want.keep, KEEP),
        (call.oneway, ONEWAY),
        (call.deadline_us.is_some(), DEADLINE),
        (!call.metadata.is_empty(), METADATA),
        (matches!(call.payload, Payload::Chunked { .. }), CHUNKED),
        (!call.objects.is_empty(), OBJECTS),
        (call.extensions.is_some(), EXTENSIONS),
    ] {
        if set {
            flags |= flag;
        }
    }
    out.push(flags);
    match &call.target {
        Target::Root => put_signed(out, 0),
        Target::Object(id) => put_signed(out, -id.0),
        Target::Result(base, path) => {
            put_signed(out, base.0);
            put_path(out, path);
        }
    }
    put_varint(out, u64::from(call.method.0));
    if let Some(deadline) = call.deadline_us {
        put_varint(out, deadline);
    }
    if !call.metadata.is_empty() {
        put_varint(out, call.metadata.len() as u64);
        for (key, value) in &call.metadata {
            put_bytes(out, key.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    if !call.objects.is_empty() {
        put_objects(out, &call.objects);
    }
    if let Some(Extensions { sent_before }) = call.extensions.as_deref() {
        put_varint(out, 1);
        put_varint(out, SENT_BEFORE);
        put_varint(out, (sent_before.len() * SENT_BEFORE_BYTES) as u64);
        for SentBefore { session, call } in sent_before {
            out.extend_from_slice(session);
            out.extend_from_slice(&call.0.to_le_bytes());
        }
    }
}

pub(crate) fn put_objects(out: &mut Vec<u8>, objects: &[PassedObject]) {
    put_varint(out, objects.len() as u64);
    for object in objects {
        let (tag, id) = match object {
            PassedObject::Senders(id) => (0, id.0),
            PassedObject::Receivers(id) => (1, id.0),
            PassedObject::Result(base, _) => (2, base.0),
            PassedObject::Stream(stream, Flow::Window) => (3, stream.0),
            PassedObject::Stream(stream, Flow::OneByOne) => (4, stream.0),
        };
        out.push(tag);
        put_varint(out, id as u64);
        if let PassedObject::Result(_, path) = object {
            put_path(out, path);
        }
    }
}

/// The number of bytes of a table of objects; zero for an empty table, which is not written.
pub(crate) fn objects_bytes(objects: &[PassedObject]) -> usize {
    if objects.is_empty() {
        return 0;
    }
    let mut out = Vec::with_capacity(16 * objects.len());
    put_objects(&mut out, objects);
    out.len()
}

pub(crate) fn put_return(out: &mut impl Out, answer: &Return) {
    let with_payload = match &answer.status {
        Status::Value(payload) => Some((1, payload)),
        Status::Error(payload) => Some((2, payload)),
        Status::Element(payload) => Some((5, payload)),
        Status::Done | Status::Upstream { .. } | Status::Failed(_) => None,
    };
    let bytes = out.bytes();
    bytes.push(0x05);
    put_id(bytes, answer.id);
    if let Some((status, payload)) = with_payload {
        let chunked = if matches!(payload, Payload::Chunked { .. }) { RETURN_CHUNKED } else { 0 };
        let objects = if answer.objects.is_empty() { 0 } else { RETURN_OBJECTS };
        bytes.push(status | chunked | objects);
        if objects != 0 {
            put_objects(bytes, &answer.objects);
        }
        return put_payload(out, payload);
    }
    let out = bytes;
    match &answer.status {
        Status::Done => out.push(0),
        Status::Upstream { origin, missed } => {
            out.push(3);
            put_id(out, *origin);
            out.push(u8::from(missed.is_some()));
            if let Some(path) = missed {
                put_path(out, path);
            }
        }
        Status::Failed(failure) => {
            out.push(4);
            put_failure(out, failure);
        }
        Status::Value(_) | Status::Error(_) | Status::Element(_) => {}
    }
}

pub(super) fn put_failure(out: &mut Vec<u8>, failure: &Failure) {
    match failure {
        Failure::UnknownService => out.push(1),
        Failure::UnknownMethod => out.push(2),
        Failure::SchemaMismatch { theirs } => {
            out.push(3);
            put_text(out, theirs);
        }
        Failure::InvalidArgument { argument, reason } => {
            out.push(4);
            put_text(out, argument);
            put_text(out, reason);
        }
        Failure::InvalidReference { argument, reason } => {
            out.push(5);
            put_text(out, argument);
            put_text(out, reason);
        }
        Failure::ResourceExhausted(exhausted) => {
            let Exhausted { limit, side, needed, allowed, retry_after_ms } = &**exhausted;
            out.push(6);
            put_text(out, limit);
            out.push(match side {
                Side::Local => 0,
                Side::Peer => 1,
            });
            for figure in [needed, allowed, retry_after_ms] {
                put_varint(out, *figure);
            }
        }
        Failure::Unavailable => out.push(7),
        Failure::Unauthenticated => out.push(8),
        Failure::PermissionDenied => out.push(9),
        Failure::DeadlineExceeded => out.push(10),
        Failure::Cancelled => out.push(11),
        Failure::Panicked => out.push(12),
        Failure::Unreachable { reason } => {
            out.push(13);
            put_text(out, reason);
        }
        Failure::NotCallable { reason } => {
            out.push(14);
            put_text(out, reason);
        }
    }
}

fn put_release(out: &mut Vec<u8>, ids: &[CallId]) {
    out.push(0x07);
    put_varint(out, ids.len() as u64);
    let mut before = 0;
    for id in ids {
        put_signed(out, id.0 - before);
        before = id.0;
    }
}

fn put_release_objects(out: &mut Vec<u8>, objects: &[(ObjectId, u64)]) {
    out.push(0x20);
    put_varint(out, objects.len() as u64);
    let mut before = 0;
    for (id, introductions) in objects {
        put_signed(out, id.0 - before);
        put_varint(out, *introductions);
        before = id.0;
    }
}

fn put_stream_head(out: &mut Vec<u8>, kind: u8, stream: StreamId) {
    out.push(kind);
    put_varint(out, stream.0 as u64);
}

pub(crate) fn put_items(
    out: &mut Vec<u8>,
    stream: StreamId,
    objects: &[PassedObject],
    count: u64,
    bytes: &[u8],
) {
    put_stream_head(out, if objects.is_empty() { 0x10 } else { 0x11 }, stream);
    if objects.is_empty() {
        put_varint(out, count);
    } else {
        put_objects(out, objects);
    }
    put_bytes(out, bytes);
}

pub(crate) fn put_large_item(out: &mut Vec<u8>, stream: StreamId, objects: &[PassedObject], total: usize) {
    put_stream_head(out, if objects.is_empty() { 0x12 } else { 0x13 }, stream);
    if !objects.is_empty() {
        put_objects(out, objects);
    }
    put_varint(out, total as u64);
}

/// Appends the head of a chunk frame; the caller appends the bytes of the chunk.
pub(crate) fn put_item_chunk_head(out: &mut Vec<u8>, stream: StreamId, bytes: usize) {
    put_stream_head(out, 0x14, stream);
    put_varint(out, bytes as u64);
}

fn put_stream_end(out: &mut Vec<u8>, stream: StreamId, end: &StreamEnd) {
    put_stream_head(out, 0x16, stream);
    match end {
        StreamEnd::Complete => out.push(0),
        StreamEnd::Error { objects, bytes } => {
            out.push(if objects.is_empty() { 1 } else { 1 | END_OBJECTS });
            if !objects.is_empty() {
                put_objects(out, objects);
            }
            put_bytes(out, bytes);
        }
        StreamEnd::Abandoned => out.push(2),
        StreamEnd::Stopped => out.push(3),
        StreamEnd::Failed(failure) => {
            out.push(4);
            put_failure(out, failure);
        }
    }
}

/// Appends the length of an item; the caller appends the item.
pub(crate) fn put_item_length(out: &mut Vec<u8>, length: usize) {
    put_varint(out, length as u64);
}

/// Appends a length and then the bytes that `encode` writes. Returns the length.
pub(crate) fn put_sized<E>(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<usize, E> {
    let start = out.len();
    // Most values are short: one byte is reserved for the length, and the value moves if that is too few.
    out.push(0);
    if let Err(error) = encode(out) {
        out.truncate(start);
        return Err(error);
    }
    let length = out.len() - start - 1;
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out[start] = short,
        _ => {
            let mut prefix = Vec::with_capacity(10);
            put_varint(&mut prefix, length as u64);
            out.splice(start..start + 1, prefix);
        }
    }
    Ok(length)
}

/// Appends the head of a chunk frame; the caller appends the bytes of the chunk.
pub(crate) fn put_chunk_head(out: &mut Vec<u8>, id: CallId, of_return: bool, bytes: usize) {
    out.push(0x08);
    put_varint(out, ((id.0 as u64) << 1) | u64::from(of_return));
    put_varint(out, bytes as u64);
}

/// Appends a chunk frame, with a copy of its bytes.
#[cfg(test)]
pub(crate) fn put_chunk(out: &mut Vec<u8>, id: CallId, of_return: bool, bytes: &[u8]) {
    put_chunk_head(out, id, of_return, bytes.len());
    out.extend_from_slice(bytes);
}
