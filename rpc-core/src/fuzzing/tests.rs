//! The committed corpus through the fuzz targets, and a seeded hostile peer through the victim of `session`.

#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small or meant to be cut")]

use std::{fs, path::PathBuf, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    buffer::small_bytes::SmallBytes,
    path::Step,
    seeded::Seeded,
    session::tests::pair::{self, Arg, Pair},
    wire::{
        Call, Define, Items, LargeItem, MethodNumber, ObjectId, PassedObject, Return, Status, StreamEnd,
        StreamId, Target, Want,
    },
};

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

#[track_caller]
fn check_corpus(target: &str, run: fn(&[u8])) {
    let files = fs::read_dir(corpus(target)).expect("the corpus is committed");
    let mut count = 0;
    for file in files {
        let path = file.expect("the directory is readable").path();
        run(&fs::read(path).expect("the file is readable"));
        count += 1;
    }
    assert!(count >= 5, "the corpus of {target} has {count} files");
}

#[test]
fn the_corpus_of_frames_breaks_nothing() {
    check_corpus("frames", frames);
}

#[test]
fn the_corpus_of_payloads_breaks_nothing() {
    check_corpus("payload", payload);
}

#[test]
fn the_corpus_of_sessions_breaks_nothing() {
    check_corpus("session", session);
}

/// What a client says in conversations that use all there is, message by message.
fn conversations() -> Vec<Vec<Vec<u8>>> {
    let mut chain = Pair::new();
    let mut last = chain.client.call(pair::ADD, &[1.into(), 2.into()]);
    for _ in 0..4 {
        let next = chain.client.call(pair::ADD, &[(&last).into(), 1.into()]);
        chain.client.drop_promise(&last);
        last = next;
    }
    chain.run();
    chain.client.drop_promise(&last);
    chain.advance(Duration::from_secs(1));

    let mut parts = Pair::new();
    let whole = parts.client.call(pair::STRUCTURED, &[5.into()]);
    let part = parts.client.get(&whole, &[Step::Field(2), Step::Index(1)]);
    let missed = parts.client.get(&whole, &[Step::Field(2), Step::Index(9)]);
    parts.client.call(pair::MAYBE, &[Arg::part(&whole, &[Step::Field(1)])]);
    parts.run();
    let one = parts.client.call(pair::ADD, &[1.into(), 2.into()]);
    parts.client.call(pair::BOTH, &[Arg::Pair(one.id, one.id)]);
    parts.client.call(pair::ORDERED_ADD, &[(&one).into(), 2.into()]);
    parts.run();
    drop((part, missed));
    let until = parts.now + Duration::from_secs(1);
    parts.client.session.close(parts.now, until, 1000, "bye", false);
    parts.run();

    let mut late = Pair::new();
    late.server.automatic = false;
    let until = late.now + Duration::from_millis(50);
    let slow = late.client.call_until(pair::ADD, &[3.into(), 4.into()], Some(until));
    let built = late.client.call(pair::ADD, &[(&slow).into(), 1.into()]);
    let failing = late.client.call(pair::ADD, &[13.into(), 1.into()]);
    late.client.call(pair::ADD, &[(&failing).into(), 1.into()]);
    late.run();
    late.client.drop_promise(&built);
    late.client.drop_promise(&slow);
    late.run();

    [chain, parts, late].into_iter().map(|pair| pair.client.sent).collect()
}

/// A call in chunks, written by hand because an honest peer sends a short payload in one piece.
fn chunked_call() -> Vec<Vec<u8>> {
    let mut messages = conversations().swap_remove(0);
    let call = Call {
        extensions: None,
        id: CallId(100),
        want: Want { value: true, keep: true },
        oneway: false,
        target: Target::Root,
        objects: Vec::new(),
        method: MethodNumber(pair::ADD),
        deadline_us: None,
        metadata: vec![("key".into(), "value".into())],
        payload: Payload::Chunked { total: 7 },
    };
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Call(call));
    write::put_chunk(&mut message, CallId(100), false, &[2, 0, 1, 1]);
    messages.push(message);
    let mut message = Vec::new();
    write::put_chunk(&mut message, CallId(100), false, &[0, 1, 2]);
    write::put_frame(&mut message, &Frame::Cancel(CallId(100)));
    messages.push(message);
    messages
}

/// The number that hostile peers give the method of objects.
const ONE: u32 = 50;

fn define_one() -> Vec<u8> {
    let define = Define {
        number: MethodNumber(ONE),
        service: THING.name.into(),
        method: "one".into(),
        fingerprint: THING.methods[0].signature().fingerprint,
    };
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Define(define));
    message
}

/// Objects that come, are promised, called, passed home and released, written by hand.
fn objects_passed() -> Vec<Vec<u8>> {
    let mut messages = vec![conversations().swap_remove(0).swap_remove(0), define_one()];
    let result = |id| PassedObject::Result(CallId(id), crate::Path::whole());
    let own = PassedObject::Receivers(ObjectId(1));
    let its = PassedObject::Senders(ObjectId(1));
    for (id, target, objects) in [
        (100, Target::Root, vec![its.clone(), its.clone()]),
        (101, Target::Result(CallId(100), crate::Path::whole()), vec![result(100), its]),
        (103, Target::Root, vec![result(101)]),
        (106, Target::Object(ObjectId(1)), vec![own]),
    ] {
        let call = Call {
            extensions: None,
            id: CallId(id),
            want: Want { value: true, keep: true },
            oneway: false,
            target,
            objects,
            method: MethodNumber(ONE),
            deadline_us: None,
            metadata: Vec::new(),
            payload: Payload::Inline(SmallBytes::copy_from_slice(&[1, 0, 1, 0])),
        };
        let mut message = Vec::new();
        write::put_frame(&mut message, &Frame::Call(call));
        messages.push(message);
    }
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Release([100, 101, 103, 106].map(CallId).to_vec()));
    write::put_frame(&mut message, &Frame::ReleaseObjects(vec![(ObjectId(1), 1)]));
    messages.push(message);
    messages
}

/// Streams in arguments, results and items, with items of all kinds and ends.
fn streams_passed() -> Vec<Vec<u8>> {
    let mut messages = vec![conversations().swap_remove(0).swap_remove(0), define_one()];
    let call = |id: i64, streams: &[i64]| {
        Frame::Call(Call {
            extensions: None,
            id: CallId(id),
            want: Want { value: true, keep: false },
            oneway: false,
            target: Target::Root,
            objects: streams
                .iter()
                .map(|stream| PassedObject::Stream(StreamId(*stream), crate::wire::Flow::Window))
                .collect(),
            method: MethodNumber(ONE),
            deadline_us: None,
            metadata: Vec::new(),
            payload: Payload::Inline(SmallBytes::copy_from_slice(&[1, 0, 1, 0])),
        })
    };
    let items = |stream: i64, objects: Vec<PassedObject>, count: u64, bytes: &[u8]| {
        let bytes = SmallBytes::copy_from_slice(bytes);
        Frame::Items(Items { stream: StreamId(stream), objects, count, bytes })
    };
    let nested = vec![
        PassedObject::Stream(StreamId(4), crate::wire::Flow::Window),
        PassedObject::Senders(ObjectId(1)),
    ];
    let large = |stream: i64, total| {
        Frame::LargeItem(LargeItem { stream: StreamId(stream), objects: Vec::new(), total })
    };
    let chunk =
        |stream: i64, length| Frame::ItemChunk { stream: StreamId(stream), bytes: vec![7; length].into() };
    let end = |stream: i64, end| Frame::StreamEnd { stream: StreamId(stream), end };
    let error = StreamEnd::Error {
        objects: vec![PassedObject::Stream(StreamId(5), crate::wire::Flow::Window)],
        bytes: vec![1, 2].into(),
    };
    for frames in [
        // The first returns its stream, the second runs on; what comes for even streams is read.
        vec![call(100, &[1]), call(102, &[2, 3])],
        vec![items(2, Vec::new(), 2, &[1, 7, 2, 8, 9]), items(2, nested, 1, &[1, 7])],
        vec![Frame::Missed { stream: StreamId(2), count: 3 }, large(2, 500), chunk(2, 200), chunk(2, 300)],
        vec![items(1, Vec::new(), 1, &[1, 7]), large(1, 17_000), chunk(1, 9_000)],
        vec![Frame::Credit { stream: StreamId(1), bytes: 100 }, items(4, Vec::new(), 1, &[0])],
        vec![
            Frame::Stop { stream: StreamId(1), reason: Some("enough".into()) },
            end(4, StreamEnd::Abandoned),
        ],
        vec![end(1, StreamEnd::Stopped), end(2, error)],
    ] {
        let mut message = Vec::new();
        frames.iter().for_each(|frame| write::put_frame(&mut message, frame));
        messages.push(message);
    }
    messages
}

fn script(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut script = Vec::new();
    for message in messages {
        script.extend_from_slice(&u16::try_from(message.len()).expect("it is short").to_le_bytes());
        script.extend_from_slice(message);
        script.extend_from_slice(&[0xff, 0xff]);
    }
    script
}

/// Writes the seeds of the corpus anew: `cargo test -p rpc-core write_the_corpus -- --ignored`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_corpus() {
    let write = |target: &str, name: String, bytes: &[u8]| {
        fs::create_dir_all(corpus(target)).expect("the tree is writable");
        fs::write(corpus(target).join(name), bytes).expect("the tree is writable");
    };
    for (at, (_, bytes)) in crate::wire::tests::golden().into_iter().enumerate() {
        write("frames", format!("frame-{at:02}"), &bytes);
    }
    for (at, (_, bytes)) in crate::wire::tests::golden_arguments().into_iter().enumerate() {
        write("frames", format!("arguments-{at:02}"), &bytes);
    }
    let talks = conversations().into_iter().chain([chunked_call(), objects_passed(), streams_passed()]);
    for (at, messages) in talks.enumerate() {
        write("frames", format!("conversation-{at}"), &messages.concat());
        write("session", format!("conversation-{at}"), &script(&messages));
        let backwards: Vec<Vec<u8>> = messages.iter().rev().cloned().collect();
        write("session", format!("backwards-{at}"), &script(&[&messages[..1], &backwards].concat()));
    }
    let inside = everything(Some(Box::new(everything(None))));
    let mut encoded = vec![8];
    codec::encode(&inside, &mut encoded).expect("it encodes");
    write("payload", "everything".into(), &encoded);
    let samples: [(&str, &[u8]); 10] = [
        ("number", &[0, 0xfb, 0x00, 0x01]),
        ("text", &[1, 3, b'a', 0xc3, 0xa9]),
        ("bytes", &[2, 2, 1, 2]),
        ("texts", &[3, 2, 1, b'a', 0]),
        ("units", &[4, 3]),
        ("many-units", &[4, 0xfc, 0xff, 0xff, 0xff, 0xff]),
        ("map", &[5, 1, 1, b'k', 1, 3]),
        ("nested", &[6, 1, 1, 1, 7, b'c']),
        ("shape", &[7, 2, 1, 2, 0, 2, 5, 1, 0]),
        ("huge-text", &[1, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ];
    for (name, bytes) in samples {
        write("payload", name.into(), bytes);
    }
}

fn everything(maybe: Option<Box<Everything>>) -> Everything {
    Everything {
        small: 7,
        wide: u128::MAX,
        signed: -5,
        real: 1.5,
        letter: 'é',
        flag: true,
        text: "text".into(),
        maybe,
        shape: Shape::Line { from: 300, to: vec![Shape::Point, Shape::Circle(0.5)] },
        map: BTreeMap::from([(1, vec![2, 70_000])]),
        pair: (-1, ()),
    }
}

/// The script about streams is one that the victim goes along with, or it would search no further than its first mistake.
#[test]
fn the_corpus_has_a_whole_conversation_about_streams() {
    let mut victim = Victim::new();
    for message in streams_passed() {
        assert_eq!(victim.hear(&message), Ok(()));
    }
    let said = victim.said.concat();
    let mut reader = crate::wire::read::FrameReader::new(said);
    let mut kinds = [false; 3];
    while let Some(frame) = reader.next_frame().expect("it speaks well") {
        kinds[0] |= matches!(frame, Frame::Items(_) | Frame::StreamEnd { .. });
        kinds[1] |= matches!(frame, Frame::Credit { .. });
        kinds[2] |= matches!(frame, Frame::Stop { .. });
    }
    assert_eq!(kinds, [true; 3], "it sends, grants and stops");
}

// ---- the hostile peer ----

/// Hostile conversations of an ordinary test run.
const ATTACKS: u64 = 3_000;

#[test]
fn a_hostile_peer_breaks_the_protocol_or_is_served() {
    let honest: Vec<Vec<Vec<u8>>> =
        conversations().into_iter().chain([chunked_call(), objects_passed(), streams_passed()]).collect();
    let (mut ended, mut served, mut passed) = (0, 0, 0);
    for seed in 1..=ATTACKS {
        match attack(seed, &honest) {
            Attack::Ended => ended += 1,
            Attack::Served { objects } => {
                served += 1;
                passed += objects;
            }
        }
    }
    // Both happen, or the attacks are not what they should be.
    assert!(ended > 100 && served > 100, "{ended} ended, {served} served");
    assert!(passed > 100, "{passed} objects were returned");
}

enum Attack {
    Ended,
    Served {
        /// That the victim returned.
        objects: usize,
    },
}

fn attack(seed: u64, honest: &[Vec<Vec<u8>>]) -> Attack {
    let mut seeded = Seeded::new(seed);
    let mut victim = Victim::new();
    let mut last_id = 0;
    // Half of them keep to the letter of the protocol and only ask for too much, in odd ways.
    let rude = seeded.chance(50);
    let talk = seeded.pick(honest);
    let mut messages = vec![talk[0].clone(), define_one()];
    last_id = call_ids(&talk[0]).into_iter().max().unwrap_or(last_id);
    for _ in 0..1 + seeded.below(12) {
        messages.push(hostile_message(&mut seeded, talk, last_id, rude));
        last_id = messages.iter().flat_map(|message| call_ids(message)).max().unwrap_or(0).max(last_id);
    }
    for message in &messages {
        if victim.hear(message).is_err() {
            return Attack::Ended;
        }
        if seeded.chance(20) {
            victim.pass_time(Duration::from_millis(30));
        }
        if seeded.chance(20) {
            victim.finish_handlers();
        }
    }
    check_service(&mut victim, &messages, last_id);
    Attack::Served { objects: victim.said.iter().map(|message| returned_objects(message)).sum() }
}

fn returned_objects(message: &[u8]) -> usize {
    let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
    let mut objects = 0;
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Frame::Return(answer) = frame {
            objects += answer.objects.len();
        }
    }
    objects
}

fn call_ids(message: &[u8]) -> Vec<i64> {
    let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
    let mut ids = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Frame::Call(call) = frame {
            ids.push(call.id.0);
        }
    }
    ids
}

fn hostile_message(seeded: &mut Seeded, talk: &[Vec<u8>], last_id: i64, rude: bool) -> Vec<u8> {
    match if rude { seeded.below(10) } else { 10 } {
        // A replay, or what would have come later.
        0 => seeded.pick(talk).clone(),
        // A recorded message with a few bytes changed.
        1 => {
            let mut message = seeded.pick(talk).clone();
            for _ in 0..=seeded.below(2) {
                let at = seeded.below(message.len());
                message[at] = seeded.next().to_le_bytes()[0];
            }
            message
        }
        2 => {
            let mut message = Vec::new();
            write::put_frame(&mut message, &crate::wire::tests::random_frame(seeded));
            message
        }
        _ => {
            let mut message = Vec::new();
            let mut last_id = last_id;
            for _ in 0..=seeded.below(30) {
                plausible_frame(seeded, &mut last_id, rude, &mut message);
            }
            message
        }
    }
}

/// A frame that a session might take, about calls that there may be.
fn plausible_frame(seeded: &mut Seeded, last_id: &mut i64, rude: bool, message: &mut Vec<u8>) {
    let known = |seeded: &mut Seeded, last_id: i64| CallId(1 + seeded.below(last_id.max(1) as usize) as i64);
    let frame = match seeded.below(20) {
        0 if *last_id > 0 => Frame::Cancel(known(seeded, *last_id)),
        1 if rude && *last_id > 0 && seeded.chance(20) => Frame::Release(vec![known(seeded, *last_id)]),
        2 if seeded.chance(10) => Frame::Goodbye { code: 1, reason: String::new() },
        4 if rude && seeded.chance(50) => {
            Frame::ReleaseObjects(vec![(ObjectId(1 + seeded.below(4) as i64), 1)])
        }
        3 if rude && seeded.chance(10) => {
            Frame::Return(Return { id: known(seeded, *last_id), objects: Vec::new(), status: Status::Done })
        }
        _ => {
            *last_id += 1 + seeded.below(3) as i64;
            let mut payload = vec![2];
            for _ in 0..2 {
                match seeded.below(5) {
                    0 | 1 => payload.extend_from_slice(&[0, 1, seeded.below(20) as u8]),
                    2 | 3 => {
                        let base = known(seeded, *last_id);
                        let path = seeded
                            .pick(&[vec![], vec![Step::Field(0)], vec![Step::Field(1), Step::Some]])
                            .clone();
                        crate::wire::arguments::put_reference(
                            &mut payload,
                            base,
                            &crate::Path(path),
                            seeded.chance(10),
                        );
                    }
                    _ => {
                        crate::wire::arguments::put_tuple(&mut payload, 2);
                        for _ in 0..2 {
                            crate::wire::arguments::put_reference(
                                &mut payload,
                                known(seeded, *last_id),
                                &crate::Path::whole(),
                                false,
                            );
                        }
                    }
                }
            }
            // Lengths that lie about the count; more bytes than are there.
            if seeded.chance(20) {
                payload[0] = seeded.below(4) as u8;
            }
            // One argument, as calls of objects have it.
            if seeded.chance(30) {
                payload = vec![1, 0, 1, seeded.below(3) as u8];
            }
            let chunked = seeded.chance(10);
            let some_object = |seeded: &mut Seeded| ObjectId(1 + seeded.below(6) as i64);
            let call = Call {
                extensions: None,
                id: CallId(*last_id),
                want: Want { value: seeded.chance(70), keep: seeded.chance(50) },
                oneway: seeded.chance(5),
                target: match seeded.below(20) {
                    0 => Target::Object(some_object(seeded)),
                    1 => Target::Result(known(seeded, *last_id), crate::Path::whole()),
                    _ => Target::Root,
                },
                objects: (0..seeded.below(4))
                    .map(|_| match seeded.below(4) {
                        0 => PassedObject::Receivers(some_object(seeded)),
                        1 => PassedObject::Result(known(seeded, *last_id), crate::Path::whole()),
                        _ => PassedObject::Senders(ObjectId(1 + seeded.below(10) as i64)),
                    })
                    .collect(),
                method: MethodNumber(*seeded.pick(&[0, 1, 1, 1, ONE, ONE])),
                deadline_us: seeded.chance(20).then(|| seeded.magnitude(64)),
                metadata: Vec::new(),
                payload: if chunked {
                    Payload::Chunked { total: payload.len() }
                } else {
                    Payload::Inline(payload.clone().into())
                },
            };
            write::put_frame(message, &Frame::Call(call));
            if chunked && seeded.chance(80) {
                write::put_chunk(message, CallId(*last_id), false, &payload);
            }
            return;
        }
    };
    write::put_frame(message, &frame);
}

/// A session that found nothing wrong answers an honest call, if only to say that a limit is reached.
#[track_caller]
fn check_service(victim: &mut Victim, messages: &[Vec<u8>], last_id: i64) {
    victim.finish_handlers();
    let id = CallId(last_id + 1);
    let Some(method) = named_add(messages) else { return };
    let call = Call {
        extensions: None,
        id,
        want: Want { value: true, keep: false },
        oneway: false,
        target: Target::Root,
        objects: Vec::new(),
        method,
        deadline_us: None,
        metadata: Vec::new(),
        payload: Payload::Inline(SmallBytes::copy_from_slice(&[2, 0, 1, 20, 0, 1, 22])),
    };
    let mut message = Vec::new();
    write::put_frame(&mut message, &Frame::Call(call));
    victim.said.clear();
    match victim.hear(&message) {
        Ok(()) => {}
        Err(Violation::Limit(_) | Violation::Malformed { .. }) => return,
        Err(other) => panic!("an honest call ended the session: {other}"),
    }
    victim.finish_handlers();
    victim.hear(&[]).expect("nothing is wrong with nothing");
    let status = victim.said.iter().find_map(|message| {
        let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
        std::iter::from_fn(|| reader.next_frame().expect("own frames are well formed")).find_map(|frame| {
            match frame {
                Frame::Return(answer) if answer.id == id => Some(answer.status),
                _ => None,
            }
        })
    });
    match status {
        Some(Status::Value(Payload::Inline(bytes))) => assert_eq!(bytes[..], [42]),
        Some(Status::Failed(Failure::ResourceExhausted { .. } | Failure::Unavailable)) => {}
        other => panic!("an honest call was answered with {other:?}"),
    }
}

/// The number that the conversation gave to `Test.add`.
fn named_add(messages: &[Vec<u8>]) -> Option<MethodNumber> {
    messages.iter().find_map(|message| {
        let mut reader = FrameReader::new(Bytes::copy_from_slice(message));
        std::iter::from_fn(|| reader.next_frame().ok().flatten()).find_map(|frame| match frame {
            Frame::Define(define)
                if (&*define.service, &*define.method) == ("Test", "add")
                    && define.fingerprint == TEST_METHODS[0].signature().fingerprint =>
            {
                Some(define.number)
            }
            _ => None,
        })
    })
}
