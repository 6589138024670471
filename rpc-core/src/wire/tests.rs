//! The format, byte for byte. The vectors are written by hand from the table in `wire.rs`, not by the code.

#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small or meant to be cut")]

use bytes::Bytes;

use super::{arguments::*, plain::*, read::*, write::*, *};
use crate::{
    buffer::small_bytes::SmallBytes,
    error::Violation,
    path::{PATH_STEPS_MAX, Path, Step},
    seeded::Seeded,
    wire::varint::{ID_MAX, put_varint},
};

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, frame);
    out
}

fn frames_of(message: &[u8]) -> Result<Vec<Frame>, Violation> {
    let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
    let mut frames = Vec::new();
    loop {
        let plain = reader.peek_plain();
        let frame = reader.next_frame();
        if let Some(plain) = plain {
            let (described, end) = described(&reader, plain);
            assert_eq!((frame.as_ref(), reader.at), (Ok(&Some(described)), end));
        }
        let Some(frame) = frame? else { return Ok(frames) };
        frames.push(frame);
    }
}

/// The frame that a plain one is, and where it ends.
fn described(reader: &FrameReader, plain: Plain) -> (Frame, usize) {
    match plain {
        Plain::Call(PlainCall { id, object, method, deadline_us, payload }) => {
            let call = Call {
                id,
                want: Want { value: true, keep: false },
                target: object.map_or(Target::Root, Target::Object),
                method,
                deadline_us,
                payload: Payload::Inline(reader.part(payload.clone())),
                ..plain_call()
            };
            (Frame::Call(call), payload.end)
        }
        Plain::Value(PlainValue { id, payload }) => {
            let value = Status::Value(Payload::Inline(reader.part(payload.clone())));
            (Frame::Return(Return { id, objects: Vec::new(), status: value }), payload.end)
        }
    }
}

#[test]
fn frames_about_which_nothing_is_special_are_seen_as_such() {
    let want = Want { value: true, keep: false };
    let peek = |bytes: &[u8]| FrameReader::new(Bytes::copy_from_slice(bytes)).peek_plain();
    let mut seeded = Seeded::new(4);
    for _ in 0..2_000 {
        let id = CallId(seeded.magnitude(53).clamp(1, ID_MAX as u64) as i64);
        let method = MethodNumber(seeded.magnitude(32) as u32);
        let deadline_us = seeded.chance(50).then(|| seeded.magnitude(64));
        let payload = SmallBytes::from(vec![7; seeded.below(300)]);
        let of_object = Target::Object(ObjectId(seeded.magnitude(53).clamp(1, ID_MAX as u64) as i64));
        let call =
            Call { id, want, method, deadline_us, payload: Payload::Inline(payload.clone()), ..plain_call() };
        let mut put = Vec::new();
        put_plain_call(&mut put, id, method, deadline_us, &payload);
        assert_eq!(put, encoded(&Frame::Call(call.clone())));
        let value = Status::Value(Payload::Inline(payload.clone()));
        let value = encoded(&Frame::Return(Return { id, objects: Vec::new(), status: value }));
        let mut put = Vec::new();
        put_plain_value(&mut put, id, &payload);
        assert_eq!(put, value);
        let calls = [call.clone(), Call { target: of_object, ..call.clone() }];
        for frame in calls.map(|call| encoded(&Frame::Call(call))).into_iter().chain([value]) {
            assert!(peek(&frame).is_some(), "{frame:x?}");
            assert_eq!(frames_of(&frame).map(|frames| frames.len()), Ok(1));
            assert!(peek(&frame[..frame.len() - 1]).is_none());
        }
        let special = [
            Call { want: Want { value: true, keep: true }, ..call.clone() },
            Call { want: Want::default(), ..call.clone() },
            Call { oneway: true, ..call.clone() },
            Call { target: Target::Result(CallId(1), Path::whole()), ..call.clone() },
            Call { metadata: vec![("k".into(), "v".into())], ..call.clone() },
            Call { objects: vec![PassedObject::Senders(ObjectId(1))], ..call.clone() },
            Call { extensions: extensions(vec![sent_before()]), ..call.clone() },
            Call { payload: Payload::Chunked { total: 1 }, ..call },
        ];
        for call in special {
            assert!(peek(&encoded(&Frame::Call(call.clone()))).is_none(), "{call:?}");
        }
    }
}

/// What is wrong with these bytes.
#[track_caller]
fn check_malformed(message: &[u8], expected: &str) {
    match frames_of(message) {
        Err(Violation::Malformed { what, .. }) => assert_eq!(what, expected),
        other => panic!("expected `{expected}` but {other:?}"),
    }
}

#[track_caller]
fn check_malformed_arguments(payload: &[u8], expected: &str) {
    match ArgumentList::parse(Bytes::copy_from_slice(payload)) {
        Err(Violation::Malformed { what, .. }) => assert_eq!(what, expected),
        Err(other) => panic!("expected `{expected}` but {other:?}"),
        Ok(list) => panic!("expected `{expected}` but {:?}", list.slots),
    }
}

fn extensions(sent_before: Vec<SentBefore>) -> Option<Box<Extensions>> {
    Some(Box::new(Extensions { sent_before }))
}

fn sent_before() -> SentBefore {
    SentBefore { session: [7; 16], call: CallId(5) }
}

fn plain_call() -> Call {
    Call {
        extensions: None,
        id: CallId(1),
        want: Want::default(),
        oneway: false,
        target: Target::Root,
        objects: Vec::new(),
        method: MethodNumber(2),
        deadline_us: None,
        metadata: Vec::new(),
        payload: Payload::Inline(SmallBytes::copy_from_slice(&[0])),
    }
}

fn answer(status: Status) -> Frame {
    Frame::Return(Return { id: CallId(1), objects: Vec::new(), status })
}

fn failed(failure: Failure) -> Frame {
    answer(Status::Failed(failure))
}

fn hello() -> Hello {
    Hello {
        version: 1,
        features: 300,
        codec: 1,
        session: [0xaa; 16],
        secret: [0xbb; 32],
        attach: None,
        offer: Offer {
            calls_max: 256,
            payload_bytes_max: 1 << 20,
            window_bytes: 0,
            streams_max: 5,
            stream_window_bytes: 6,
        },
    }
}

const HELLO: &[u8] = &[
    0x01, b'R', b'P', b'C', b'W', // kind, magic
    0x01, 0xac, 0x02, 0x01, // version 1, features 300, codec 1
    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    0xaa, // session
    0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb,
    0xbb, // secret
    0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, //
    0x00, // attach: new session
    0x80, 0x02, 0x80, 0x80, 0x40, 0x00, // calls 256, payload 2^20, window 0
    0x05, 0x06, 0x00, // streams 5 that open with 6, no extension
];

/// Every kind, status, failure, path step and flag, and its bytes.
pub(crate) fn golden() -> Vec<(Frame, Vec<u8>)> {
    let path = |steps: &[Step]| Path(steps.to_vec());
    let resume = Resume { accepted: 5, first: 6, fresh: 128, detached_us: 9 };
    let welcome = Welcome {
        version: 1,
        features: 0,
        codec: 1,
        attach: None,
        offer: Offer {
            calls_max: 1,
            payload_bytes_max: 127,
            window_bytes: 128,
            streams_max: 5,
            stream_window_bytes: 129,
        },
    };
    let define = Define {
        number: MethodNumber(200),
        service: "Chat".into(),
        method: "né".into(),
        fingerprint: 0x0102_0304_0506_0708,
    };
    let every_flag = Call {
        extensions: extensions(vec![sent_before(), SentBefore { session: [8; 16], call: CallId(ID_MAX) }]),
        id: CallId(ID_MAX),
        want: Want { value: true, keep: true },
        oneway: true,
        target: Target::Object(ObjectId(3)),
        objects: vec![
            PassedObject::Senders(ObjectId(300)),
            PassedObject::Receivers(ObjectId(1)),
            PassedObject::Result(CallId(7), Path(vec![Step::Field(2), Step::Some])),
        ],
        method: MethodNumber(u32::MAX),
        deadline_us: Some(u64::MAX),
        metadata: vec![("k".into(), "vv".into()), (String::new(), "é".into())],
        payload: Payload::Chunked { total: 300 },
    };
    let chunk = |of_return| Chunk { id: CallId(64), of_return, bytes: SmallBytes::copy_from_slice(b"xyz") };
    let invalid = |argument: &str, reason: &str| (argument.to_string(), reason.to_string());
    let (argument, reason) = invalid("id", "no");
    let exhausted = |side, needed, allowed, retry_after_ms| {
        let limit = "m".into();
        Failure::ResourceExhausted(Box::new(Exhausted { limit, side, needed, allowed, retry_after_ms }))
    };
    let missed = |path| answer(Status::Upstream { origin: CallId(5), missed: path });
    let inline = |bytes: &'static [u8]| Payload::Inline(SmallBytes::copy_from_slice(bytes));
    vec![
        (Frame::Hello(Box::new(hello())), HELLO.to_vec()),
        (Frame::Welcome(welcome.clone()), vec![0x02, 1, 0, 1, 0, 1, 0x7f, 0x80, 0x01, 5, 0x81, 0x01, 0]),
        (
            Frame::Hello(Box::new(Hello { attach: Some(([0xcc; 32], resume)), ..hello() })),
            [&HELLO[..57], &[1], &[0xcc; 32], &[5, 6, 0x80, 0x01, 9], &HELLO[58..]].concat(),
        ),
        (
            Frame::Welcome(Welcome { attach: Some(resume), ..welcome }),
            vec![0x02, 1, 0, 1, 1, 5, 6, 0x80, 0x01, 9, 1, 0x7f, 0x80, 0x01, 5, 0x81, 0x01, 0],
        ),
        (Frame::Ping { number: 300 }, vec![0x0b, 0xac, 0x02]),
        (Frame::Pong { number: 1 }, vec![0x0c, 1]),
        (Frame::Skip { next: 129 }, vec![0x0d, 0x81, 0x01]),
        (
            Frame::Items(Items {
                stream: StreamId(300),
                objects: Vec::new(),
                count: 2,
                bytes: SmallBytes::copy_from_slice(b"\x03abc\x00"),
            }),
            vec![0x10, 0xac, 0x02, 2, 5, 3, b'a', b'b', b'c', 0],
        ),
        (
            Frame::Items(Items {
                stream: StreamId(1),
                objects: vec![
                    PassedObject::Senders(ObjectId(5)),
                    PassedObject::Stream(StreamId(2), Flow::Window),
                ],
                count: 1,
                bytes: SmallBytes::copy_from_slice(b"\x01z"),
            }),
            vec![0x11, 1, 2, 0, 5, 3, 2, 2, 1, b'z'],
        ),
        (
            Frame::Items(Items {
                stream: StreamId(1),
                objects: vec![PassedObject::Stream(StreamId(2), Flow::OneByOne)],
                count: 1,
                bytes: SmallBytes::copy_from_slice(b"\x01z"),
            }),
            vec![0x11, 1, 1, 4, 2, 2, 1, b'z'],
        ),
        (
            Frame::LargeItem(LargeItem { stream: StreamId(1), objects: Vec::new(), total: 300 }),
            vec![0x12, 1, 0xac, 0x02],
        ),
        (
            Frame::LargeItem(LargeItem {
                stream: StreamId(1),
                objects: vec![PassedObject::Receivers(ObjectId(6))],
                total: 1,
            }),
            vec![0x13, 1, 1, 1, 6, 1],
        ),
        (
            Frame::ItemChunk { stream: StreamId(2), bytes: SmallBytes::copy_from_slice(b"xyz") },
            vec![0x14, 2, 3, b'x', b'y', b'z'],
        ),
        (Frame::Missed { stream: StreamId(2), count: 128 }, vec![0x15, 2, 0x80, 1]),
        (Frame::StreamEnd { stream: StreamId(2), end: StreamEnd::Complete }, vec![0x16, 2, 0]),
        (
            Frame::StreamEnd {
                stream: StreamId(2),
                end: StreamEnd::Error { objects: Vec::new(), bytes: SmallBytes::copy_from_slice(b"e") },
            },
            vec![0x16, 2, 1, 1, b'e'],
        ),
        (
            Frame::StreamEnd {
                stream: StreamId(2),
                end: StreamEnd::Error {
                    objects: vec![PassedObject::Senders(ObjectId(9))],
                    bytes: SmallBytes::copy_from_slice(b"e"),
                },
            },
            vec![0x16, 2, 0x21, 1, 0, 9, 1, b'e'],
        ),
        (Frame::StreamEnd { stream: StreamId(2), end: StreamEnd::Abandoned }, vec![0x16, 2, 2]),
        (Frame::StreamEnd { stream: StreamId(2), end: StreamEnd::Stopped }, vec![0x16, 2, 3]),
        (
            Frame::StreamEnd { stream: StreamId(2), end: StreamEnd::Failed(Failure::Panicked) },
            vec![0x16, 2, 4, 12],
        ),
        (Frame::Credit { stream: StreamId(2), bytes: 1 << 14 }, vec![0x17, 2, 0x80, 0x80, 1]),
        (Frame::Stop { stream: StreamId(2), reason: None }, vec![0x18, 2, 0]),
        (Frame::Stop { stream: StreamId(2), reason: Some("no".into()) }, vec![0x18, 2, 1, 2, b'n', b'o']),
        (
            Frame::Define(define),
            vec![
                0x03, 0xc8, 0x01, // number 200
                4, b'C', b'h', b'a', b't', // service
                3, b'n', 0xc3, 0xa9, // method
                8, 7, 6, 5, 4, 3, 2, 1, // fingerprint
            ],
        ),
        (Frame::Call(plain_call()), vec![0x04, 1, 0x00, 0, 2, 1, 0]),
        (
            Frame::Call(Call { want: Want { value: true, keep: false }, ..plain_call() }),
            vec![0x04, 1, 0x01, 0, 2, 1, 0],
        ),
        (
            Frame::Call(Call { want: Want { value: false, keep: true }, ..plain_call() }),
            vec![0x04, 1, 0x02, 0, 2, 1, 0],
        ),
        (Frame::Call(Call { oneway: true, ..plain_call() }), vec![0x04, 1, 0x04, 0, 2, 1, 0]),
        (
            Frame::Call(Call { deadline_us: Some(1_000_000), ..plain_call() }),
            vec![0x04, 1, 0x08, 0, 2, 0xc0, 0x84, 0x3d, 1, 0],
        ),
        (
            Frame::Call(Call { metadata: vec![("a".into(), String::new())], ..plain_call() }),
            vec![0x04, 1, 0x10, 0, 2, 1, 1, b'a', 0, 1, 0],
        ),
        (
            Frame::Call(Call { payload: Payload::Chunked { total: 1 << 14 }, ..plain_call() }),
            vec![0x04, 1, 0x20, 0, 2, 0x80, 0x80, 0x01],
        ),
        (
            Frame::Call(Call {
                target: Target::Result(CallId(1), Path(vec![Step::Index(3)])),
                ..plain_call()
            }),
            vec![0x04, 1, 0, 2, 1, 1, 3, 2, 1, 0],
        ),
        (Frame::ReleaseObjects(vec![(ObjectId(2), 1), (ObjectId(1), 300)]), vec![0x20, 2, 4, 1, 1, 0xac, 2]),
        (
            Frame::Call(Call { target: Target::Object(ObjectId(1)), ..plain_call() }),
            vec![0x04, 1, 0, 1, 2, 1, 0],
        ),
        (
            Frame::Call(every_flag),
            vec![
                0x04, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, // id 2^53 - 1
                0xff, 5, // flags, object 3
                0xff, 0xff, 0xff, 0xff, 0x0f, // method 2^32 - 1
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, // deadline 2^64 - 1
                2, 1, b'k', 2, b'v', b'v', 0, 2, 0xc3, 0xa9, // metadata
                3, 0, 0xac, 0x02, 1, 1, 2, 7, 2, 0, 2, 2, // objects
                1, 1, 48, // an extension
                7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 5, 0, 0, 0, 0, 0, 0, 0, // call 5
                8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f,
                0, // 2^53 - 1
                0xac, 0x02, // 300 bytes in chunks
            ],
        ),
        (answer(Status::Done), vec![0x05, 1, 0]),
        (answer(Status::Value(inline(&[7, 8]))), vec![0x05, 1, 1, 2, 7, 8]),
        (answer(Status::Value(Payload::Chunked { total: 128 })), vec![0x05, 1, 0x11, 0x80, 0x01]),
        (answer(Status::Error(inline(&[9]))), vec![0x05, 1, 2, 1, 9]),
        (answer(Status::Error(Payload::Chunked { total: 1 })), vec![0x05, 1, 0x12, 1]),
        (answer(Status::Element(inline(&[9]))), vec![0x05, 1, 5, 1, 9]),
        (answer(Status::Element(Payload::Chunked { total: 1 })), vec![0x05, 1, 0x15, 1]),
        (missed(None), vec![0x05, 1, 3, 5, 0]),
        (missed(Some(Path::whole())), vec![0x05, 1, 3, 5, 1, 0]),
        (
            missed(Some(path(&[Step::Field(2), Step::Index(300), Step::Some, Step::Variant(u32::MAX)]))),
            vec![0x05, 1, 3, 5, 1, 4, 0, 2, 1, 0xac, 0x02, 2, 3, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (failed(Failure::UnknownService), vec![0x05, 1, 4, 1]),
        (failed(Failure::UnknownMethod), vec![0x05, 1, 4, 2]),
        (failed(Failure::SchemaMismatch { theirs: "()".into() }), vec![0x05, 1, 4, 3, 2, b'(', b')']),
        (
            failed(Failure::InvalidArgument { argument: argument.clone(), reason: reason.clone() }),
            vec![0x05, 1, 4, 4, 2, b'i', b'd', 2, b'n', b'o'],
        ),
        (
            failed(Failure::InvalidReference { argument, reason }),
            vec![0x05, 1, 4, 5, 2, b'i', b'd', 2, b'n', b'o'],
        ),
        (failed(exhausted(Side::Local, 0, 0, 0)), vec![0x05, 1, 4, 6, 1, b'm', 0, 0, 0, 0]),
        (
            failed(exhausted(Side::Peer, 300, 2, 250)),
            vec![0x05, 1, 4, 6, 1, b'm', 1, 0xac, 0x02, 2, 0xfa, 0x01],
        ),
        (failed(Failure::Unavailable), vec![0x05, 1, 4, 7]),
        (failed(Failure::Unauthenticated), vec![0x05, 1, 4, 8]),
        (failed(Failure::PermissionDenied), vec![0x05, 1, 4, 9]),
        (failed(Failure::DeadlineExceeded), vec![0x05, 1, 4, 10]),
        (failed(Failure::Cancelled), vec![0x05, 1, 4, 11]),
        (failed(Failure::Panicked), vec![0x05, 1, 4, 12]),
        (failed(Failure::NotCallable { reason: "no".into() }), vec![0x05, 1, 4, 14, 2, b'n', b'o']),
        (Frame::Cancel(CallId(129)), vec![0x06, 0x81, 0x01]),
        (Frame::Release(Vec::new()), vec![0x07, 0]),
        (Frame::Release(vec![CallId(3), CallId(4), CallId(2)]), vec![0x07, 3, 6, 2, 3]),
        (Frame::Chunk(chunk(false)), vec![0x08, 0x80, 0x01, 3, b'x', b'y', b'z']),
        (Frame::Chunk(chunk(true)), vec![0x08, 0x81, 0x01, 3, b'x', b'y', b'z']),
        (Frame::Goodbye { code: 4_429, reason: "bye".into() }, vec![0x09, 0xcd, 0x22, 3, b'b', b'y', b'e']),
        (Frame::Ack { messages: 0 }, vec![0x0a, 0]),
        (
            Frame::Ack { messages: u64::MAX },
            vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ]
}

/// Every slot, and its bytes as an argument list.
pub(crate) fn golden_arguments() -> Vec<(Vec<Slot<Reference>>, Vec<u8>)> {
    let reference = |base, steps: &[Step], as_some| {
        Slot::Reference(Reference { base: CallId(base), path: Path(steps.to_vec()), as_some })
    };
    let inline = |bytes: &'static [u8]| Slot::Inline(SmallBytes::copy_from_slice(bytes));
    let long = vec![0xee; 200];
    let mut long_bytes = vec![1, 0, 0xc8, 0x01];
    long_bytes.extend_from_slice(&long);
    vec![
        (vec![], vec![0]),
        (vec![inline(b""), inline(b"ab")], vec![2, 0, 0, 0, 2, b'a', b'b']),
        (vec![Slot::Inline(long.into())], long_bytes),
        (vec![reference(1, &[], false)], vec![1, 1, 1, 0]),
        (
            vec![reference(300, &[Step::Field(1), Step::Index(2), Step::Some, Step::Variant(3)], false)],
            vec![1, 1, 0xac, 0x02, 4, 0, 1, 1, 2, 2, 3, 3],
        ),
        (vec![reference(7, &[Step::Some], true)], vec![1, 2, 7, 1, 2]),
        (
            vec![Slot::Tuple(vec![inline(b"x"), reference(1, &[], false), reference(2, &[], true)])],
            vec![1, 3, 3, 0, 1, b'x', 1, 1, 0, 2, 2, 0],
        ),
        (vec![Slot::Tuple(vec![])], vec![1, 3, 0]),
    ]
}

fn put_slot(out: &mut Vec<u8>, slot: &Slot<Reference>) {
    match slot {
        Slot::Inline(bytes) => arguments::put_inline(out, |out| {
            out.extend_from_slice(bytes);
            Ok::<_, ()>(())
        })
        .expect("copying does not fail"),
        Slot::Reference(Reference { base, path, as_some }) => {
            arguments::put_reference(out, *base, path, *as_some)
        }
        Slot::Tuple(parts) => {
            arguments::put_tuple(out, parts.len());
            parts.iter().for_each(|part| put_slot(out, part));
        }
    }
}

// ---- both directions ----

#[test]
fn frames_have_the_bytes_of_the_table() {
    for (frame, bytes) in golden() {
        assert_eq!(encoded(&frame), bytes, "{frame:?}");
        assert_eq!(frames_of(&bytes), Ok(vec![frame]));
    }
}

#[test]
fn slots_have_the_bytes_of_the_table() {
    for (slots, bytes) in golden_arguments() {
        let mut out = vec![u8::try_from(slots.len()).expect("few slots")];
        slots.iter().for_each(|slot| put_slot(&mut out, slot));
        assert_eq!(out, bytes, "{slots:?}");
        assert_eq!(ArgumentList::parse(bytes).expect("it is well formed").slots, slots);
    }
}

#[test]
fn a_message_carries_frames_back_to_back() {
    let (frames, bytes): (Vec<Frame>, Vec<Vec<u8>>) = golden().into_iter().unzip();
    assert_eq!(frames_of(&bytes.concat()), Ok(frames));
    assert_eq!(frames_of(&[]), Ok(vec![]));
}

#[test]
fn random_frames_survive_the_way_there_and_back() {
    let mut seeded = Seeded::new(1);
    for _ in 0..20_000 {
        let frame = random_frame(&mut seeded);
        assert_eq!(frames_of(&encoded(&frame)), Ok(vec![frame]));
    }
}

#[test]
fn random_arguments_survive_the_way_there_and_back() {
    let mut seeded = Seeded::new(2);
    for _ in 0..5_000 {
        let slots: Vec<Slot<Reference>> =
            (0..seeded.below(6)).map(|_| random_slot(&mut seeded, true)).collect();
        let mut out = vec![u8::try_from(slots.len()).expect("few slots")];
        slots.iter().for_each(|slot| put_slot(&mut out, slot));
        assert_eq!(ArgumentList::parse(out).expect("it is well formed").slots, slots);
    }
}

pub(crate) fn random_frame(seeded: &mut Seeded) -> Frame {
    let id = |seeded: &mut Seeded| CallId(seeded.magnitude(53).clamp(1, ID_MAX as u64) as i64);
    match seeded.below(21) {
        0 => Frame::Hello(Box::new(Hello {
            version: 1,
            features: seeded.magnitude(64),
            codec: seeded.magnitude(64),
            session: [seeded.next() as u8; 16],
            secret: [seeded.next() as u8; 32],
            attach: seeded.chance(50).then(|| ([seeded.next() as u8; 32], random_resume(seeded))),
            offer: random_offer(seeded),
        })),
        1 => Frame::Welcome(Welcome {
            version: 1,
            features: seeded.magnitude(64),
            codec: seeded.magnitude(64),
            attach: seeded.chance(50).then(|| random_resume(seeded)),
            offer: random_offer(seeded),
        }),
        2 => Frame::Define(Define {
            number: MethodNumber(seeded.magnitude(32) as u32),
            service: random_text(seeded),
            method: random_text(seeded),
            fingerprint: seeded.next(),
        }),
        3 => Frame::Call(Call {
            extensions: None,
            id: id(seeded),
            want: Want { value: seeded.chance(50), keep: seeded.chance(50) },
            oneway: seeded.chance(20),
            target: random_target(seeded),
            objects: random_objects(seeded, true),
            method: MethodNumber(seeded.magnitude(32) as u32),
            deadline_us: seeded.chance(30).then(|| seeded.magnitude(64)),
            metadata: (0..seeded.below(3)).map(|_| (random_text(seeded), random_text(seeded))).collect(),
            payload: random_payload(seeded),
        }),
        4 => {
            let status = random_status(seeded);
            let may_name = matches!(status, Status::Value(_) | Status::Error(_));
            let objects = if may_name { random_objects(seeded, false) } else { Vec::new() };
            Frame::Return(Return { id: id(seeded), objects, status })
        }
        5 => Frame::Cancel(id(seeded)),
        6 => Frame::Release((0..seeded.below(5)).map(|_| id(seeded)).collect()),
        7 => Frame::Chunk(Chunk {
            id: id(seeded),
            of_return: seeded.chance(50),
            bytes: seeded.bytes(300).into(),
        }),
        9 => Frame::ReleaseObjects(
            (0..seeded.below(5)).map(|_| (ObjectId(id(seeded).0), seeded.magnitude(64))).collect(),
        ),
        8 => Frame::Goodbye { code: seeded.magnitude(16) as u16, reason: random_text(seeded) },
        10 => random_items(seeded),
        11 => Frame::LargeItem(LargeItem {
            stream: random_stream(seeded),
            objects: random_objects(seeded, false),
            total: 1 + seeded.magnitude(53) as usize,
        }),
        12 => {
            let mut bytes = seeded.bytes(300);
            bytes.push(1);
            Frame::ItemChunk { stream: random_stream(seeded), bytes: bytes.into() }
        }
        13 => Frame::Missed { stream: random_stream(seeded), count: seeded.magnitude(64).max(1) },
        14 => Frame::StreamEnd { stream: random_stream(seeded), end: random_end(seeded) },
        15 => Frame::Credit { stream: random_stream(seeded), bytes: seeded.magnitude(64).max(1) },
        16 => Frame::Stop {
            stream: random_stream(seeded),
            reason: seeded.chance(50).then(|| random_text(seeded)),
        },
        17 => Frame::Ping { number: seeded.magnitude(64) },
        18 => Frame::Pong { number: seeded.magnitude(64) },
        19 => Frame::Skip { next: seeded.magnitude(64) },
        _ => Frame::Ack { messages: seeded.magnitude(64) },
    }
}

fn random_resume(seeded: &mut Seeded) -> Resume {
    let first = seeded.magnitude(53);
    Resume {
        accepted: seeded.magnitude(64),
        first,
        fresh: first + seeded.magnitude(53),
        detached_us: seeded.magnitude(64),
    }
}

fn random_stream(seeded: &mut Seeded) -> StreamId {
    StreamId(seeded.magnitude(53).clamp(1, ID_MAX as u64) as i64)
}

fn random_items(seeded: &mut Seeded) -> Frame {
    let objects = random_objects(seeded, false);
    let count = if objects.is_empty() { 1 + seeded.below(5) } else { 1 };
    let mut bytes = Vec::new();
    for _ in 0..count {
        let item = seeded.bytes(200);
        put_sized(&mut bytes, |out| {
            out.extend_from_slice(&item);
            Ok::<_, ()>(())
        })
        .expect("it only copies");
    }
    Frame::Items(Items { stream: random_stream(seeded), objects, count: count as u64, bytes: bytes.into() })
}

fn random_end(seeded: &mut Seeded) -> StreamEnd {
    match seeded.below(5) {
        0 => StreamEnd::Complete,
        1 => StreamEnd::Error { objects: random_objects(seeded, false), bytes: seeded.bytes(50).into() },
        2 => StreamEnd::Abandoned,
        3 => StreamEnd::Stopped,
        _ => StreamEnd::Failed(Failure::Unreachable { reason: random_text(seeded) }),
    }
}

fn random_target(seeded: &mut Seeded) -> Target {
    let id = CallId((seeded.magnitude(53) as i64).clamp(1, ID_MAX));
    match seeded.below(3) {
        0 => Target::Root,
        1 => Target::Object(ObjectId(id.0)),
        _ => Target::Result(id, random_path(seeded)),
    }
}

fn random_objects(seeded: &mut Seeded, in_call: bool) -> Vec<PassedObject> {
    let one = |seeded: &mut Seeded| {
        let id = (seeded.magnitude(53) as i64).clamp(1, ID_MAX);
        match seeded.below(if in_call { 4 } else { 3 }) {
            0 => PassedObject::Senders(ObjectId(id)),
            1 => PassedObject::Receivers(ObjectId(id)),
            2 => PassedObject::Stream(StreamId(id), *seeded.pick(&[Flow::Window, Flow::OneByOne])),
            _ => PassedObject::Result(CallId(id), random_path(seeded)),
        }
    };
    (0..seeded.below(4)).map(|_| one(seeded)).collect()
}

fn random_offer(seeded: &mut Seeded) -> Offer {
    Offer {
        calls_max: seeded.magnitude(64),
        payload_bytes_max: seeded.magnitude(64),
        window_bytes: seeded.magnitude(64),
        streams_max: seeded.magnitude(64),
        stream_window_bytes: seeded.magnitude(64),
    }
}

fn random_text(seeded: &mut Seeded) -> String {
    (0..seeded.below(20)).map(|_| *seeded.pick(&['a', '0', 'é', '€', '🦀'])).collect()
}

fn random_payload(seeded: &mut Seeded) -> Payload {
    if seeded.chance(30) {
        Payload::Chunked { total: seeded.magnitude(63) as usize }
    } else {
        Payload::Inline(seeded.bytes(200).into())
    }
}

fn random_status(seeded: &mut Seeded) -> Status {
    match seeded.below(6) {
        0 => Status::Done,
        1 => Status::Value(random_payload(seeded)),
        2 => Status::Error(random_payload(seeded)),
        3 => Status::Upstream {
            origin: CallId(1 + seeded.magnitude(52) as i64),
            missed: seeded.chance(50).then(|| random_path(seeded)),
        },
        4 => Status::Failed(Failure::ResourceExhausted(Box::new(Exhausted {
            limit: random_text(seeded).into(),
            side: if seeded.chance(50) { Side::Local } else { Side::Peer },
            needed: seeded.magnitude(64),
            allowed: seeded.magnitude(64),
            retry_after_ms: seeded.magnitude(64),
        }))),
        _ => Status::Failed(Failure::InvalidArgument {
            argument: random_text(seeded),
            reason: random_text(seeded),
        }),
    }
}

fn random_path(seeded: &mut Seeded) -> Path {
    let step = |seeded: &mut Seeded| match seeded.below(4) {
        0 => Step::Field(seeded.magnitude(32) as u32),
        1 => Step::Index(seeded.magnitude(32) as u32),
        2 => Step::Some,
        _ => Step::Variant(seeded.magnitude(32) as u32),
    };
    Path((0..seeded.below(PATH_STEPS_MAX + 1)).map(|_| step(seeded)).collect())
}

fn random_slot(seeded: &mut Seeded, tuple_allowed: bool) -> Slot<Reference> {
    match seeded.below(if tuple_allowed { 3 } else { 2 }) {
        0 => Slot::Inline(seeded.bytes(300).into()),
        1 => Slot::Reference(Reference {
            base: CallId(1 + seeded.magnitude(52) as i64),
            path: random_path(seeded),
            as_some: seeded.chance(50),
        }),
        _ => Slot::Tuple((0..seeded.below(5)).map(|_| random_slot(seeded, false)).collect()),
    }
}

// ---- what is not well formed ----

#[test]
fn every_truncation_of_a_frame_is_an_error() {
    for (frame, bytes) in golden() {
        for length in 1..bytes.len() {
            let found = frames_of(&bytes[..length]);
            assert!(
                matches!(found, Err(Violation::Malformed { .. })),
                "{length} bytes of {frame:?} are {found:?}"
            );
        }
    }
    for (slots, bytes) in golden_arguments() {
        for length in 0..bytes.len() {
            let found = ArgumentList::parse(Bytes::copy_from_slice(&bytes[..length]));
            assert!(found.is_err(), "{length} bytes of {slots:?}");
        }
    }
}

#[test]
fn changed_and_random_bytes_never_panic() {
    let mut seeded = Seeded::new(3);
    let golden: Vec<Vec<u8>> = golden().into_iter().map(|(_, bytes)| bytes).collect();
    for _ in 0..50_000 {
        let mut bytes = seeded.pick(&golden).clone();
        for _ in 0..=seeded.below(3) {
            let at = seeded.below(bytes.len());
            bytes[at] = seeded.next().to_le_bytes()[0];
        }
        let _ = frames_of(&bytes);
        let _ = ArgumentList::parse(bytes);
        let noise = seeded.bytes(40);
        let _ = frames_of(&noise);
        let _ = ArgumentList::parse(noise);
    }
}

#[test]
fn unknown_mandatory_kinds_end_the_conversation_and_optional_ones_are_skipped() {
    for kind in [0x00].into_iter().chain(0x0e..0x10).chain(0x19..0x20).chain(0x21..0x80) {
        assert_eq!(frames_of(&[kind, 0]), Err(Violation::UnknownFrame(kind)));
    }
    for kind in 0x80..=0xff {
        assert_eq!(frames_of(&[kind, 2, 0x77, 0x77, 0x06, 1, kind, 0]), Ok(vec![Frame::Cancel(CallId(1))]));
        check_malformed(&[kind, 3, 0x77], "a length beyond the end of the message");
    }
}

#[test]
fn integers_end_within_ten_bytes_and_64_bits() {
    let nine = [0xff; 9];
    let message = |last: &[u8]| [&[0x0a], &nine[..], last].concat();
    assert_eq!(frames_of(&message(&[1])), Ok(vec![Frame::Ack { messages: u64::MAX }]));
    check_malformed(&message(&[2]), "an integer above 64 bits");
    check_malformed(&message(&[0x81, 0]), "an integer above 64 bits");
    check_malformed(&message(&[0xff, 0xff, 0x01]), "an integer above 64 bits");
    // Longer than needed, but within ten bytes: the value counts.
    assert_eq!(frames_of(&[0x0a, 0x81, 0x80, 0x00]), Ok(vec![Frame::Ack { messages: 1 }]));
}

#[test]
fn ids_are_from_one_to_below_two_to_the_53rd() {
    let too_large = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    let out_of_range = "a call id out of range";
    for id in [&[0][..], &too_large, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        check_malformed(&[&[0x06], id].concat(), out_of_range);
        check_malformed(&[&[0x04], id, &[0, 0, 2, 1, 0]].concat(), out_of_range);
        check_malformed(&[&[0x05], id, &[0]].concat(), out_of_range);
        check_malformed(&[&[0x05, 1, 3], id, &[0]].concat(), out_of_range);
        check_malformed_arguments(&[&[1, 1], id, &[0]].concat(), out_of_range);
    }
    for first_chunk_id in [0, 1] {
        check_malformed(&[0x08, first_chunk_id, 1, 0], out_of_range);
    }
    check_malformed(&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0], out_of_range);
    // Differences that lead to zero, below it, or beyond what can be counted.
    for released in [&[1, 0][..], &[1, 1], &[2, 2, 1], &[2, 2, 3]] {
        check_malformed(&[&[0x07], released].concat(), out_of_range);
    }
    let far = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    check_malformed(&[&[0x07, 2, 2][..], &far].concat(), out_of_range);
}

#[test]
fn numbers_that_do_not_fit_are_named() {
    let above_32_bits = [0x80, 0x80, 0x80, 0x80, 0x10];
    let named = "a number above 32 bits";
    check_malformed(&[&[0x03], &above_32_bits[..], &[0; 10]].concat(), named);
    check_malformed(&[&[0x04, 1, 0, 0], &above_32_bits[..], &[1, 0]].concat(), named);
    for step in [0, 1, 3] {
        check_malformed(&[&[0x05, 1, 3, 5, 1, 1, step], &above_32_bits[..]].concat(), named);
        check_malformed_arguments(&[&[1, 1, 1, 1, step], &above_32_bits[..]].concat(), named);
    }
    check_malformed(&[0x09, 0x80, 0x80, 0x04, 0], "close code above 65,535");
    check_malformed(&[&[0x02], &above_32_bits[..], &[0; 6]].concat(), named);
}

#[test]
fn lengths_stay_within_the_message() {
    let beyond = "a length beyond the end of the message";
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    for length in [&[2][..], &[0x80, 0x80, 0x80, 0x80, 0x08], &huge] {
        check_malformed(&[&[0x04, 1, 0, 0, 2], length, &[0]].concat(), beyond);
        check_malformed(&[&[0x05, 1, 1], length, &[0]].concat(), beyond);
        check_malformed(&[&[0x05, 1, 2], length, &[0]].concat(), beyond);
        check_malformed(&[&[0x05, 1, 4, 3], length, &[0]].concat(), beyond);
        check_malformed(&[&[0x08, 2], length, &[0]].concat(), beyond);
        check_malformed(&[&[0x09, 0], length, &[0]].concat(), beyond);
        check_malformed(&[&[0x03, 1], length, b"S"].concat(), beyond);
        check_malformed_arguments(&[&[1, 0], length, &[0]].concat(), beyond);
    }
    check_malformed(&[0x07, 3, 2, 2], "more released ids than bytes");
    check_malformed(&[&[0x07], &huge[..]].concat(), "more released ids than bytes");
}

#[test]
fn metadata_counts_do_not_lie() {
    let lie = "more metadata than bytes";
    check_malformed(&[0x04, 1, 0x10, 0, 2, 2, 0, 0, 0], lie);
    check_malformed(&[0x04, 1, 0x10, 0, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, b'k', 1, b'v', 1, 0], lie);
    // A flag with nothing behind it says less than it could, and is no lie.
    assert_eq!(frames_of(&[0x04, 1, 0x10, 0, 2, 0, 1, 0]), Ok(vec![Frame::Call(plain_call())]));
}

#[test]
fn texts_are_utf8_and_bounded() {
    let not_text = "a text that is not UTF-8";
    check_malformed(&[0x09, 0, 1, 0xff], not_text);
    check_malformed(&[0x03, 1, 2, 0xc3, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0], not_text);
    check_malformed(&[0x05, 1, 4, 4, 1, b'a', 1, 0xc0], not_text);
    check_malformed(&[0x04, 1, 0x10, 0, 2, 1, 1, 0x80, 0, 1, 0], not_text);

    let text = |length: usize| {
        let mut bytes = vec![0x09, 0];
        put_varint(&mut bytes, length as u64);
        bytes.resize(bytes.len() + length, b'a');
        bytes
    };
    assert!(frames_of(&text(4_096)).is_ok());
    check_malformed(&text(4_097), "a text that is too long");
    for prefix in [&[0x03, 1][..], &[0x03, 1, 0], &[0x05, 1, 4, 3], &[0x05, 1, 4, 5, 0], &[0x05, 1, 4, 6]] {
        check_malformed(&[prefix, &text(4_097)[2..]].concat(), "a text that is too long");
    }
}

#[test]
fn long_explanations_are_cut_at_a_character_before_they_leave() {
    let reason = format!("a{}", "é".repeat(3_000));
    let bytes = encoded(&Frame::Goodbye { code: 1, reason });
    let cut = format!("a{}", "é".repeat(2_047));
    assert_eq!(frames_of(&bytes), Ok(vec![Frame::Goodbye { code: 1, reason: cut }]));
}

#[test]
fn unknown_flags_statuses_and_codes_are_violations() {
    // In chunks are only a value, an error and an element; no other bit is known.
    for status in [0x10, 0x13, 0x14, 0x06, 0x16, 0x20, 0x23, 0x25, 0x34, 0x41, 0x7f] {
        check_malformed(&[0x05, 1, status, 1, 0], "an unknown return status");
    }
    for code in [0, 15, 0xff] {
        check_malformed(&[0x05, 1, 4, code], "an unknown failure code");
    }
    check_malformed(&[0x05, 1, 3, 5, 2], "neither a path nor none");
    check_malformed(&[0x05, 1, 3, 5, 1, 1, 4], "an unknown path step");
    check_malformed_arguments(&[1, 1, 1, 1, 4, 0], "an unknown path step");
}

#[test]
fn extensions_are_bounded_and_the_unknown_ones_are_skipped() {
    let call = |extensions: &[u8]| [&[0x04, 1, 0x81, 0, 2], extensions, &[1, 0]].concat();
    let answer = |extensions: &[u8]| [&[0x05, 1, 0x81], extensions, &[1, 9]].concat();
    let plain = Frame::Call(Call { want: Want { value: true, keep: false }, ..plain_call() });
    let known = [&[1, 1, 24][..], &[7; 16], &[5, 0, 0, 0, 0, 0, 0, 0]].concat();
    let SentBefore { session, call: id } = sent_before();
    assert_eq!((session, id), ([7; 16], CallId(5)));
    for skipped in [&[0][..], &[1, 2, 0], &[2, 3, 1, 0xff, 0xc8, 0x01, 2, 1, 2]] {
        assert_eq!(frames_of(&call(skipped)), Ok(vec![plain.clone()]), "{skipped:?}");
        let value = Status::Value(Payload::Inline(SmallBytes::copy_from_slice(&[9])));
        let returned = Frame::Return(Return { id: CallId(1), objects: Vec::new(), status: value });
        assert_eq!(frames_of(&answer(skipped)), Ok(vec![returned]), "{skipped:?}");
    }
    let Ok(frames) = frames_of(&call(&known)) else { panic!("it is known") };
    assert!(matches!(&frames[..], [Frame::Call(call)] if call.extensions == extensions(vec![sent_before()])));
    for message in [call, answer] {
        check_malformed(&message(&[17]), "too many extensions");
        check_malformed(&message(&[2, 3, 0, 3, 0]), "extensions that do not rise");
        check_malformed(&message(&[2, 3, 0, 2, 0]), "extensions that do not rise");
        let long = [&[1, 2, 0x81, 0x20][..], &[0; 4_097]].concat();
        check_malformed(&message(&long), "too long extensions");
        assert!(frames_of(&message(&[&[1, 2, 0x80, 0x20][..], &[0; 4_096]].concat())).is_ok());
    }
    for bytes in [
        &[][..],
        &[7; 23],
        &[0; 24],
        &[0xff; 24],
        &[[7; 16].as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat().repeat(17),
    ] {
        let mut extension = vec![1, 1];
        put_varint(&mut extension, bytes.len() as u64);
        check_malformed(&call(&[&extension, bytes].concat()), "not calls of other sessions");
    }
}

#[test]
fn a_table_of_objects_is_bounded_and_of_known_entries() {
    let call = |table: &[u8]| [&[0x04, 1, 0x40, 0, 2], table, &[1, 0]].concat();
    let answer = |table: &[u8]| [&[0x05, 1, 0x21], table, &[1, 0]].concat();
    for message in [call, answer] {
        check_malformed(&message(&[0]), "a table of objects that cannot be");
        check_malformed(&message(&[100, 0, 1]), "a table of objects that cannot be");
        check_malformed(&message(&[1, 5, 1]), "an unknown object entry");
        check_malformed(&message(&[1, 3, 0]), "a stream id out of range");
        check_malformed(&message(&[1, 0, 0]), "an object id out of range");
        check_malformed(&message(&[1, 1, 0]), "an object id out of range");
    }
    // A result names no results of calls: it is settled.
    check_malformed(&answer(&[1, 2, 1, 0]), "an unknown object entry");
    check_malformed(&call(&[1, 2, 0, 0]), "a call id out of range");
    let many = [&[0x04, 1, 0x40, 0, 2, 0xff, 0xff, 0x01][..], &[0, 1].repeat(0x7fff), &[1, 0]].concat();
    check_malformed(&many, "a table of objects that is too long");
    check_malformed(&[0x20, 5, 2, 1], "more released objects than bytes");
    check_malformed(&[0x20, 1, 0, 1], "an object id out of range");
}

#[test]
fn hello_and_welcome_name_what_they_are() {
    let mut wrong_magic = HELLO.to_vec();
    wrong_magic[4] = b'X';
    check_malformed(&wrong_magic, "not a hello of this protocol");
    let mut other_version = HELLO.to_vec();
    other_version[5] = 2;
    assert_eq!(frames_of(&other_version), Err(Violation::Version { peer: 2, ours: 1 }));
    let mut attach = HELLO.to_vec();
    attach[57] = 2;
    check_malformed(&attach, "an attach this version does not know");
    let backward = [&HELLO[..57], &[1], &[0; 32], &[5, 7, 6, 9], &HELLO[58..]].concat();
    check_malformed(&backward, "a resume whose messages are out of order");
    let mut extended = HELLO.to_vec();
    *extended.last_mut().expect("it has a last byte") = 2;
    extended.extend_from_slice(&[0x77, 0x77]);
    assert_eq!(frames_of(&extended), Ok(vec![Frame::Hello(Box::new(hello()))]));
    assert_eq!(frames_of(&[0x02, 0, 0, 1, 1, 1, 1, 0]), Err(Violation::Version { peer: 0, ours: 1 }));
}

#[test]
fn paths_have_thirty_two_steps_at_most() {
    let path = |steps: u8| [&[steps][..], &vec![2; usize::from(steps)]].concat();
    let missed = |steps| [&[0x05, 1, 3, 5, 1], &path(steps)[..]].concat();
    let argument = |steps| [&[1, 1, 1], &path(steps)[..]].concat();
    assert!(frames_of(&missed(32)).is_ok());
    check_malformed(&missed(33), "a path with too many steps");
    assert!(ArgumentList::parse(argument(32)).is_ok());
    check_malformed_arguments(&argument(33), "a path with too many steps");
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    check_malformed_arguments(&[&[1, 1, 1], &huge[..]].concat(), "a path with too many steps");
}

#[test]
fn argument_lists_are_bounded_flat_and_complete() {
    let list = |count: u8| [&[count][..], &vec![0; 2 * usize::from(count)]].concat();
    assert!(ArgumentList::parse(list(64)).is_ok());
    check_malformed_arguments(&list(65), "too many arguments");
    let tuple = |count: u8| [&[1, 3], &list(count)[..]].concat();
    assert!(ArgumentList::parse(tuple(64)).is_ok());
    check_malformed_arguments(&tuple(65), "too many slots in a tuple");
    check_malformed_arguments(&[1, 3, 1, 3, 0], "an unknown argument slot");
    check_malformed_arguments(&[1, 4], "an unknown argument slot");
    check_malformed_arguments(&[0, 0], "bytes after the last argument");
    check_malformed_arguments(&[1, 0, 0, 9], "bytes after the last argument");
}

#[test]
fn an_error_names_its_place_in_the_message() {
    let message = [&[0x06, 1][..], &[0x06, 0]].concat();
    let expected = Violation::Malformed { offset: 4, what: "a call id out of range" };
    assert_eq!(frames_of(&message), Err(expected));
}

#[test]
fn inline_slots_of_every_length_prefix_agree_with_the_table() {
    for length in [0, 1, 127, 128, 300, 16_383, 16_384] {
        let value = vec![0x55; length];
        let mut out = Vec::new();
        put_slot(&mut out, &Slot::Inline(value.clone().into()));
        let mut expected = vec![0];
        put_varint(&mut expected, length as u64);
        expected.extend_from_slice(&value);
        assert_eq!(out, expected);
    }
}

#[test]
fn a_failed_inline_slot_leaves_nothing_behind() {
    let mut out = vec![9];
    let failed = arguments::put_inline(&mut out, |out| {
        out.push(1);
        Err("it does not encode")
    });
    assert_eq!((failed, out), (Err("it does not encode"), vec![9]));
}
