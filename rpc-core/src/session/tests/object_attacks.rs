//! What a peer may do wrong with objects, and what must hold: a typed refusal or a violation, and nothing left behind.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use serde::{
    Deserialize, Deserializer,
    de::{IntoDeserializer, Visitor, value::U32Deserializer},
};

use super::{
    pair::{COUNT, GIVE_OTHER, ONE, PING, Pair, THING_NOTE, TestCall, TestPeer, WORK, encoded},
    stranger,
    things::{Gift, Item, OTHER, OtherItem, THING, Things, Trouble, argument, places},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    caller::stub::{Kind, Stub},
    error::{DecodeError, Violation},
    handler::encoding,
    limits::Limits,
    path::{Path, Step},
    session::{
        events::{Begin, BeginTarget},
        inputs::CallTarget,
    },
    value::{
        encoded::{Capability, Passing},
        outcome::Outcome,
        returned::Returned,
    },
    wire::{
        self, Call, CallId, Chunk, Failure, Frame, METHOD_GET, MethodNumber, ObjectId, PassedObject, Payload,
        Return, Status, Target, Want, arguments, write,
    },
};

/// A stranger, and the objects that its server gives away.
struct Stranger {
    peer: stranger::Stranger,
    things: Things,
}

impl Deref for Stranger {
    type Target = stranger::Stranger;

    fn deref(&self) -> &Self::Target {
        &self.peer
    }
}

impl DerefMut for Stranger {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.peer
    }
}

impl Stranger {
    fn new() -> Self {
        Self::against(Limits::default())
    }

    fn against(limits: Limits) -> Self {
        Self { peer: stranger::Stranger::defining(limits, WORK..=PING), things: Things::default() }
    }

    fn hears(&mut self) -> Vec<Frame> {
        self.peer.hears_all()
    }

    /// How the server answers the call.
    #[track_caller]
    fn status(&mut self, id: CallId) -> Status {
        let frames = self.hears();
        status_in(&frames, id).unwrap_or_else(|| panic!("call {} is not answered by {frames:?}", id.0))
    }

    /// A call that is not chunked; gives its id.
    fn call(&mut self, number: u32, target: Target, objects: Vec<PassedObject>, payload: &[u8]) -> Call {
        Call {
            extensions: None,
            id: self.next_id(),
            want: Want { value: true, keep: false },
            oneway: false,
            target,
            objects,
            method: MethodNumber(number),
            deadline_us: None,
            metadata: Vec::new(),
            payload: Payload::Inline(SmallBytes::copy_from_slice(payload)),
        }
    }

    fn kept(&mut self, number: u32, target: Target, objects: Vec<PassedObject>, payload: &[u8]) -> Call {
        Call { want: Want { value: true, keep: true }, ..self.call(number, target, objects, payload) }
    }

    fn count(&mut self, target: Target) -> Call {
        self.call(COUNT, target, Vec::new(), COUNT_THREE)
    }

    /// The handler that began first.
    #[track_caller]
    fn begun(&mut self) -> Begin {
        self.server().open.remove(0)
    }

    #[track_caller]
    fn finish<T: serde::Serialize + Send + 'static>(&mut self, begin: Begin, result: Result<T, Trouble>) {
        finish(self.server(), begin, result);
    }

    /// Makes the server return one new object from `one`; gives its serial number and its id.
    #[track_caller]
    fn export(&mut self) -> (usize, ObjectId) {
        let introduction = vec![PassedObject::Senders(ObjectId(1 << 40))];
        let call = self.call(ONE, Target::Root, introduction, ITEM_ZERO);
        self.says(&[Frame::Call(call)]);
        let begin = self.begun();
        let (serial, stub) = self.things.make(&THING);
        self.finish(begin, Ok(Item(stub)));
        let id = self.hears().iter().find_map(introduced).expect("an object is introduced");
        (serial, id)
    }

    /// That the session goes on, and holds no more than this.
    #[track_caller]
    fn check_alive(&mut self, exports: usize) {
        let call = self.count(Target::Root);
        let id = call.id;
        self.says(&[Frame::Call(call)]);
        let begin = self.begun();
        assert_eq!(begin.answer, id, "an earlier call began as well");
        self.finish(begin, Ok(3_u64));
        assert!(matches!(self.status(id), Status::Value(_)));
        assert!(self.server().open.is_empty());
        let stats = self.server().session.stats();
        assert_eq!(
            (stats.exports, stats.imports, stats.answers_unfinished, stats.answers_held, stats.pending_bytes),
            (exports, 0, 0, 0, 0)
        );
    }
}

/// `count(3)`, `one(place 0)`, and `work("", [])` with places.
const COUNT_THREE: &[u8] = &[1, 0, 1, 3];
const ITEM_ZERO: &[u8] = &[1, 0, 1, 0];

fn work_with(places: &[u32]) -> Vec<u8> {
    let mut payload = vec![2, 0, 1, 0];
    inline(&mut payload, &places);
    payload
}

fn inline<T: serde::Serialize>(payload: &mut Vec<u8>, value: &T) {
    let bytes = encoded(value);
    let put = arguments::put_inline(payload, |out| {
        out.extend_from_slice(&bytes);
        Ok::<_, ()>(())
    });
    put.expect("bytes are copied");
}

fn introduced(frame: &Frame) -> Option<ObjectId> {
    let Frame::Return(answer) = frame else { return None };
    answer.objects.iter().find_map(|object| match object {
        PassedObject::Senders(id) => Some(*id),
        PassedObject::Receivers(_) | PassedObject::Result(..) | PassedObject::Stream(..) => None,
    })
}

fn status_in(frames: &[Frame], id: CallId) -> Option<Status> {
    frames.iter().find_map(|frame| match frame {
        Frame::Return(answer) if answer.id == id => Some(answer.status.clone()),
        _ => None,
    })
}

/// Introductions that these frames give back, by object.
fn given_back(frames: &[Frame]) -> Vec<(i64, u64)> {
    let mut all: Vec<(i64, u64)> = Vec::new();
    for frame in frames {
        let Frame::ReleaseObjects(objects) = frame else { continue };
        for (id, introductions) in objects {
            match all.iter_mut().find(|(known, _)| *known == id.0) {
                Some((_, sum)) => *sum += introductions,
                None => all.push((id.0, *introductions)),
            }
        }
    }
    all.sort_unstable();
    all
}

#[track_caller]
fn check_invalid_reference(status: &Status, place: &str) {
    match status {
        Status::Failed(Failure::InvalidReference { argument, .. }) => assert_eq!(argument, place),
        other => panic!("it is no invalid reference: {other:?}"),
    }
}

#[track_caller]
fn check_exhausted(outcome: &Returned<TestCall>, expected: &str) {
    match outcome {
        Returned::Failed(Failure::ResourceExhausted(reached)) => assert_eq!(reached.limit, expected),
        other => panic!("it is not refused for {expected}: {other:?}"),
    }
}

fn senders(ids: impl IntoIterator<Item = i64>) -> Vec<PassedObject> {
    ids.into_iter().map(|id| PassedObject::Senders(ObjectId(id))).collect()
}

#[track_caller]
fn finish<T: serde::Serialize + Send + 'static>(
    peer: &mut TestPeer,
    begin: Begin,
    result: Result<T, Trouble>,
) {
    let outcome = encoding::outcome(result, begin.descriptor, begin.want, &peer.home.handle.link);
    let answer = begin.answer;
    drop(begin);
    peer.finish_with(answer, outcome);
}

// ---- forged ids ----

#[test]
fn an_object_that_was_never_passed_cannot_be_called_or_passed() {
    let mut stranger = Stranger::new();
    for forged in [1, 2, (1 << 53) - 1] {
        let call = stranger.count(Target::Object(ObjectId(forged)));
        let id = call.id;
        stranger.says(&[Frame::Call(call)]);
        check_invalid_reference(&stranger.status(id), "(target)");
        // What came beside the forged id is given back.
        let table = vec![
            PassedObject::Senders(ObjectId(5)),
            PassedObject::Receivers(ObjectId(forged)),
            PassedObject::Senders(ObjectId(5)),
            PassedObject::Senders(ObjectId(6)),
        ];
        let call = stranger.call(WORK, Target::Root, table, &work_with(&[0, 1]));
        let id = call.id;
        stranger.says(&[Frame::Call(call)]);
        let frames = stranger.hears();
        check_invalid_reference(&status_in(&frames, id).expect("it is answered"), "(arguments)");
        assert_eq!(given_back(&frames), [(5, 2), (6, 1)]);
    }
    stranger.check_alive(0);
}

#[test]
fn an_object_of_another_session_is_unknown() {
    let (mut first, mut second) = (Stranger::new(), Stranger::new());
    let (_, id) = first.export();
    let call = second.count(Target::Object(id));
    let call_id = call.id;
    second.says(&[Frame::Call(call)]);
    check_invalid_reference(&second.status(call_id), "(target)");
    second.check_alive(0);
}

#[test]
fn a_result_cannot_name_an_object_that_its_receiver_never_passed() {
    let mut pair = Pair::new();
    pair.run();
    let mut message = Vec::new();
    let call = call(&mut pair.client, ONE, vec![Passing::Result(CallId(1), Path::whole())], ITEM_ZERO, &[]);
    pair.client.poll_message(pair.now);
    let objects = vec![PassedObject::Receivers(ObjectId(9))];
    let status = Status::Value(Payload::Inline(encoded(&0_u32)));
    write::put_frame(&mut message, &Frame::Return(Return { id: call.id, objects, status }));
    assert_eq!(pair.client.receive(pair.now, &message), Err(Violation::UnknownObject(9)));
}

#[test]
fn ids_and_tables_out_of_range_are_malformed() {
    let malformed = |frames: &[Frame]| {
        let mut stranger = Stranger::new();
        assert!(matches!(stranger.try_say(frames), Err(Violation::Malformed { .. })), "{frames:?}");
    };
    let mut stranger = Stranger::new();
    let call = stranger.call(ONE, Target::Root, Vec::new(), ITEM_ZERO);
    for id in [0, 1 << 53, i64::MAX] {
        let objects = senders([id]);
        malformed(&[Frame::Call(Call { objects, ..call.clone() })]);
        let objects = vec![PassedObject::Receivers(ObjectId(id))];
        malformed(&[Frame::Call(Call { objects, ..call.clone() })]);
        malformed(&[Frame::ReleaseObjects(vec![(ObjectId(id), 1)])]);
        if id > 0 {
            malformed(&[Frame::Call(Call { target: Target::Object(ObjectId(id)), ..call.clone() })]);
        }
    }
    // The longest table, and one entry more.
    let entries = wire::OBJECTS_BYTES_MAX / 2;
    let objects = senders(std::iter::repeat_n(1, entries));
    stranger.says(&[Frame::Call(Call { objects, ..call.clone() })]);
    let objects = senders(std::iter::repeat_n(1, entries + 1));
    malformed(&[Frame::Call(Call { objects, ..call.clone() })]);
    // A result cannot promise objects.
    let objects = vec![PassedObject::Result(CallId(1), Path::whole())];
    let status = Status::Value(Payload::Inline(encoded(&0_u32)));
    malformed(&[Frame::Return(Return { id: CallId(1), objects, status })]);
    // Counts that the message cannot hold: a call and a release.
    for bytes in [
        &[0x04, 1, 0x41, 0, 10, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1][..],
        &[0x04, 1, 0x41, 0, 10, 0, 0],
        &[0x20, 0xff, 0xff, 0xff, 0xff, 0x0f, 2, 1],
    ] {
        let mut stranger = Stranger::new();
        assert!(matches!(stranger.say_bytes(bytes), Err(Violation::Malformed { .. })), "{bytes:?}");
    }
}

// ---- releases ----

#[test]
fn a_release_of_more_than_was_introduced_is_a_violation() {
    for (introductions, again) in [(0, 0), (2, 0), (u64::MAX, 0), (1, 1), (1, u64::MAX)] {
        let mut stranger = Stranger::new();
        let (_, id) = stranger.export();
        let mut objects = vec![(id, introductions)];
        if again > 0 {
            objects.push((id, again));
        }
        stranger.check_violation(&[Frame::ReleaseObjects(objects)], &Violation::UnknownObject(id.0));
    }
    let mut stranger = Stranger::new();
    stranger.check_violation(&[Frame::ReleaseObjects(vec![(ObjectId(7), 1)])], &Violation::UnknownObject(7));
}

#[test]
fn a_release_that_crosses_another_introduction_keeps_the_object() {
    let mut stranger = Stranger::new();
    let (serial, id) = stranger.export();
    // Passed home and back again while the release of the first introduction is on its way.
    let call = stranger.call(ONE, Target::Root, vec![PassedObject::Receivers(id)], ITEM_ZERO);
    stranger.says(&[Frame::Call(call)]);
    let begin = stranger.begun();
    let item: Item = argument(stranger.server(), &begin, 0).expect("the object came home");
    assert!(matches!(item.0.kind(), Kind::Local(object) if stranger.things.is(serial, object)));
    stranger.finish(begin, Ok(item));
    stranger.says(&[Frame::ReleaseObjects(vec![(id, 1)])]);
    assert_eq!(stranger.hears().iter().find_map(introduced), Some(id));
    assert_eq!(stranger.things.drops(serial), 0);
    stranger.says(&[Frame::ReleaseObjects(vec![(id, 1)])]);
    assert_eq!(stranger.things.drops(serial), 1);
    stranger.check_alive(0);
}

#[test]
fn an_object_released_while_it_is_called_lives_until_its_handler_is_over() {
    let mut stranger = Stranger::new();
    let (serial, id) = stranger.export();
    let call = stranger.count(Target::Object(id));
    stranger.says(&[Frame::Call(call), Frame::ReleaseObjects(vec![(id, 1)])]);
    let begin = stranger.begun();
    assert_eq!(stranger.things.drops(serial), 0);
    stranger.finish(begin, Ok(3_u64));
    assert_eq!(stranger.things.drops(serial), 1);
    stranger.check_alive(0);
}

// ---- decoding ----

#[test]
fn what_a_half_decoded_payload_names_is_released() {
    let mut stranger = Stranger::new();
    for places in [&[0, 1, 7][..], &[0, 1, u32::MAX]] {
        let call = stranger.call(WORK, Target::Root, senders([11, 12, 12]), &work_with(places));
        stranger.says(&[Frame::Call(call)]);
        let begin = stranger.begun();
        let items: Result<Vec<Item>, DecodeError> = argument(stranger.server(), &begin, 1);
        assert!(items.unwrap_err().to_string().contains("there is no object"));
        assert_eq!(stranger.server().session.stats().imports, 2);
        let answer = begin.answer;
        drop(begin);
        let failure = Failure::InvalidArgument { argument: "items".into(), reason: "no object".into() };
        stranger.server().finish_with(answer, Outcome::Failed(failure));
        assert_eq!(given_back(&stranger.hears()), [(11, 1), (12, 2)]);
    }
    stranger.check_alive(0);
}

/// A value that is one kind of client or the other, found by trying, as an untagged enum is.
#[derive(Debug)]
enum Either {
    Other(#[expect(dead_code, reason = "it never is")] OtherItem),
    Thing(Item),
}

struct Tried(u32);

impl<'de> Deserializer<'de> for Tried {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_u32(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let place: U32Deserializer<Self::Error> = self.0.into_deserializer();
        visitor.visit_newtype_struct(place)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserialize<'de> for Either {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let place = u32::deserialize(deserializer)?;
        // Both are tried, and one of them twice: nothing is taken out of the table by that.
        let _ = Item::deserialize(Tried(place));
        if let Ok(other) = OtherItem::deserialize(Tried(place)) {
            return Ok(Self::Other(other));
        }
        Item::deserialize(Tried(place)).map(Self::Thing).map_err(serde::de::Error::custom)
    }
}

#[test]
fn a_decoder_that_tries_variants_takes_nothing() {
    let mut stranger = Stranger::new();
    let (serial, id) = stranger.export();
    let call = stranger.call(
        WORK,
        Target::Root,
        vec![PassedObject::Receivers(id), PassedObject::Receivers(id)],
        &work_with(&[0, 1, 0]),
    );
    stranger.says(&[Frame::Call(call)]);
    let begin = stranger.begun();
    let found: Vec<Either> = argument(stranger.server(), &begin, 1).expect("they are things");
    for either in &found {
        let Either::Thing(item) = either else { panic!("it is a thing") };
        assert!(matches!(item.0.kind(), Kind::Local(object) if stranger.things.is(serial, object)));
    }
    drop(found);
    stranger.finish(begin, Err::<(), _>(Trouble { items: Vec::new(), pad: String::new() }));
    stranger.hears();
    assert_eq!(stranger.server().session.stats().exports, 1);
    stranger.says(&[Frame::ReleaseObjects(vec![(id, 1)])]);
    assert_eq!(stranger.things.drops(serial), 1);
    stranger.check_alive(0);
}

#[test]
fn an_object_that_comes_home_as_something_else_is_refused_by_the_decoder() {
    let mut stranger = Stranger::new();
    let (_, id) = stranger.export();
    let call = stranger.call(ONE, Target::Root, vec![PassedObject::Receivers(id)], ITEM_ZERO);
    stranger.says(&[Frame::Call(call)]);
    let begin = stranger.begun();
    let other: Result<OtherItem, DecodeError> = argument(stranger.server(), &begin, 0);
    assert!(other.unwrap_err().to_string().contains("the object is a `Thing`, and a `Other` is due"));
    stranger.finish(begin, Ok(3_u64));
    stranger.check_alive(1);
}

// ---- targets that are results ----

#[test]
fn a_target_that_is_no_result_is_refused_and_the_session_lives() {
    let mut stranger = Stranger::new();
    let result = |id: CallId| Target::Result(id, Path::whole());
    // Its own result, and one of a call that comes later.
    let last = CallId(stranger.last + 1);
    let own = stranger.count(result(last));
    let later = stranger.count(result(CallId(last.0 + 2)));
    // A call whose result is not kept, and a one-way one.
    let not_kept = stranger.count(Target::Root);
    let on_not_kept = stranger.count(result(not_kept.id));
    let oneway = Call { oneway: true, want: Want::default(), ..stranger.count(Target::Root) };
    let on_oneway = stranger.count(result(oneway.id));
    let refused = [own.id, later.id, on_not_kept.id, on_oneway.id];
    let calls = [own, later, not_kept, on_not_kept, oneway, on_oneway];
    stranger.says(&calls.map(Frame::Call));
    let frames = stranger.hears();
    for id in refused {
        check_invalid_reference(&status_in(&frames, id).expect("it is answered"), "(target)");
    }
    for _ in 0..2 {
        let begin = stranger.begun();
        stranger.finish(begin, Ok(3_u64));
    }
    stranger.hears();
    stranger.check_alive(0);
}

#[test]
fn a_target_in_the_result_of_a_failed_or_released_call_fails() {
    let mut stranger = Stranger::new();
    let base = stranger.kept(ONE, Target::Root, senders([1]), ITEM_ZERO);
    let base_id = base.id;
    let waiting = stranger.count(Target::Result(base_id, Path::whole()));
    let waiting_id = waiting.id;
    stranger.says(&[Frame::Call(base), Frame::Call(waiting)]);
    let begin = stranger.begun();
    stranger.finish(begin, Err::<Item, _>(Trouble { items: Vec::new(), pad: String::new() }));
    let frames = stranger.hears();
    let upstream = Status::Upstream { origin: base_id, missed: None };
    assert_eq!(status_in(&frames, waiting_id), Some(upstream.clone()));
    let late = stranger.count(Target::Result(base_id, Path::whole()));
    let late_id = late.id;
    stranger.says(&[Frame::Call(late)]);
    assert_eq!(stranger.status(late_id), upstream);
    stranger.says(&[Frame::Release(vec![base_id])]);
    let too_late = stranger.count(Target::Result(base_id, Path::whole()));
    let too_late_id = too_late.id;
    stranger.says(&[Frame::Call(too_late)]);
    check_invalid_reference(&stranger.status(too_late_id), "(target)");
    stranger.check_alive(0);
}

#[test]
fn a_target_without_an_object_or_of_another_service_is_refused() {
    let mut stranger = Stranger::new();
    let number = stranger.kept(COUNT, Target::Root, Vec::new(), COUNT_THREE);
    let gift = stranger.kept(WORK, Target::Root, Vec::new(), &work_with(&[]));
    let other = stranger.kept(GIVE_OTHER, Target::Root, Vec::new(), &[0]);
    let bases = [number.id, gift.id, other.id];
    let mut calls = vec![number, gift, other];
    let mut refused = Vec::new();
    for target in [
        Target::Result(bases[0], Path::whole()),
        Target::Result(bases[1], Path::whole()),
        Target::Result(bases[1], Path(vec![Step::Field(0)])),
        Target::Result(bases[1], Path(vec![Step::Field(9)])),
        Target::Result(bases[1], Path(vec![Step::Field(2)])),
        Target::Result(bases[2], Path::whole()),
    ] {
        let call = stranger.count(target);
        refused.push(call.id);
        calls.push(call);
    }
    let ping =
        stranger.call(PING, Target::Result(bases[1], Path(vec![Step::Field(1)])), Vec::new(), COUNT_THREE);
    refused.push(ping.id);
    calls.push(ping);
    let get = stranger.call(0, Target::Result(bases[1], Path::whole()), Vec::new(), &[0]);
    let get = Call { method: METHOD_GET, ..get };
    refused.push(get.id);
    calls.push(get);
    let frames: Vec<Frame> = calls.into_iter().map(Frame::Call).collect();
    stranger.says(&frames);
    let frames = stranger.hears();
    for id in refused {
        check_invalid_reference(&status_in(&frames, id).expect("it is answered"), "(target)");
    }
    for _ in 0..3 {
        let begin = stranger.begun();
        stranger.server().finish_with(begin.answer, Outcome::Failed(Failure::Panicked));
    }
    stranger.hears();
    stranger.says(&[Frame::Release(bases.to_vec())]);
    stranger.check_alive(0);
}

#[test]
fn an_object_is_called_only_with_methods_of_its_service() {
    let mut stranger = Stranger::new();
    let (_, id) = stranger.export();
    let ping = stranger.call(PING, Target::Object(id), Vec::new(), COUNT_THREE);
    let (on_object, call) = (ping.id, Frame::Call(ping));
    stranger.says(&[call]);
    check_invalid_reference(&stranger.status(on_object), "(target)");
    // Known, but nothing at the root has it.
    let ping = stranger.call(PING, Target::Root, Vec::new(), COUNT_THREE);
    let (at_root, call) = (ping.id, Frame::Call(ping));
    stranger.says(&[call]);
    assert_eq!(stranger.status(at_root), Status::Failed(Failure::UnknownService));
    stranger.check_alive(1);
}

#[test]
fn an_object_of_another_service_in_a_result_is_never_called_as_what_the_result_should_be() {
    for before in [true, false] {
        let mut stranger = Stranger::new();
        let mut base = stranger.kept(ONE, Target::Root, senders([1]), ITEM_ZERO);
        base.want.value = false;
        let base_id = base.id;
        let dependent = stranger.count(Target::Result(base_id, Path::whole()));
        let dependent_id = dependent.id;
        stranger.says(&[Frame::Call(base)]);
        if before {
            stranger.says(&[Frame::Call(dependent.clone())]);
        }
        let begin = stranger.begun();
        let (_, stub) = stranger.things.make(&OTHER);
        let link = std::sync::Arc::clone(&stranger.server().home.handle.link);
        let outcome = Outcome::Value {
            payload: Some(SmallBytes::copy_from_slice(&[0])),
            objects: vec![Capability::of(&stub, &link)],
        };
        let answer = begin.answer;
        drop(begin);
        stranger.server().finish_with(answer, outcome);
        if !before {
            stranger.says(&[Frame::Call(dependent)]);
        }
        check_invalid_reference(&stranger.status(dependent_id), "(target)");
        assert!(stranger.server().open.is_empty());
        stranger.says(&[Frame::Release(vec![base_id])]);
        stranger.check_alive(0);
    }
}

// ---- growth ----

#[test]
fn an_object_introduced_ten_thousand_times_is_one_import_and_one_release() {
    let mut stranger = Stranger::new();
    let call = stranger.call(ONE, Target::Root, senders(std::iter::repeat_n(3, 10_000)), ITEM_ZERO);
    stranger.says(&[Frame::Call(call)]);
    assert_eq!(stranger.server().session.stats().imports, 1);
    let begin = stranger.begun();
    stranger.finish(begin, Ok(3_u64));
    assert_eq!(given_back(&stranger.hears()), [(3, 10_000)]);
    // One after the other, while somebody holds the first.
    let call = stranger.call(ONE, Target::Root, senders([4]), ITEM_ZERO);
    stranger.says(&[Frame::Call(call)]);
    let held = stranger.begun();
    for _ in 1..10_000 {
        let call = stranger.call(ONE, Target::Root, senders([4]), ITEM_ZERO);
        stranger.says(&[Frame::Call(call)]);
        let begin = stranger.begun();
        stranger.finish(begin, Ok(3_u64));
        assert_eq!(stranger.server().session.stats().imports, 1);
        let now = stranger.pair.now;
        stranger.server().feed_drops();
        stranger.server().poll_message(now);
    }
    stranger.finish(held, Ok(3_u64));
    assert_eq!(given_back(&stranger.hears()), [(4, 10_000)]);
    stranger.check_alive(0);
}

#[test]
fn passing_and_releasing_over_and_over_leaves_the_tables_as_they_were() {
    let mut stranger = Stranger::new();
    let mut last = 0;
    for round in 0..2_000 {
        let (serial, id) = stranger.export();
        assert!(id.0 > last, "an id is never used twice");
        last = id.0;
        let stats = stranger.server().session.stats();
        assert_eq!((stats.exports, stats.imports), (1, 0), "round {round}");
        stranger.says(&[Frame::ReleaseObjects(vec![(id, 1)])]);
        assert_eq!(stranger.things.drops(serial), 1);
        stranger.server().sent.clear();
    }
    assert_eq!(stranger.things.alive(), 0);
    stranger.check_alive(0);
}

#[test]
fn a_table_of_objects_counts_as_pending_while_its_call_waits_for_its_payload() {
    let limits = Limits { pending_bytes_max: 100_000, ..Limits::default() };
    let mut stranger = Stranger::against(limits);
    let mut refused = 0;
    let mut calls = Vec::new();
    for _ in 0..20 {
        let objects = senders(std::iter::repeat_n(2, 1_000));
        let call = stranger.call(WORK, Target::Root, objects, &[]);
        calls.push(call.id);
        stranger.says(&[Frame::Call(Call { payload: Payload::Chunked { total: 4 }, ..call })]);
        assert!(stranger.server().session.stats().pending_bytes <= 100_000);
        refused += usize::from(stranger.hears().iter().any(
            |frame| matches!(frame, Frame::Return(Return { status: Status::Failed(Failure::ResourceExhausted(reached)), .. }) if reached.limit == "pending_bytes_max"),
        ));
    }
    assert!((10..20).contains(&refused), "{refused} of 20 calls were refused");
    for id in calls {
        let bytes = SmallBytes::copy_from_slice(&[2, 0, 1, 0]);
        stranger.says(&[Frame::Chunk(Chunk { id, of_return: false, bytes })]);
    }
    assert!(stranger.server().open.is_empty(), "argument lists that end early begin nothing");
    stranger.hears();
    stranger.check_alive(0);
}

#[test]
fn a_promised_object_beside_a_refused_payload_in_chunks_holds_nothing_back() {
    let mut stranger = Stranger::against(Limits { pending_bytes_max: 100_000, ..Limits::default() });
    let base = stranger.kept(ONE, Target::Root, senders([1]), ITEM_ZERO);
    let base_id = base.id;
    let objects = vec![PassedObject::Result(base_id, Path::whole()), PassedObject::Senders(ObjectId(8))];
    let large = stranger.call(ONE, Target::Root, objects, &[]);
    let large_id = large.id;
    stranger.says(&[
        Frame::Call(base),
        Frame::Call(Call { payload: Payload::Chunked { total: 200_000 }, ..large }),
        Frame::Release(vec![base_id]),
    ]);
    let frames = stranger.hears();
    assert!(matches!(
        status_in(&frames, large_id),
        Some(Status::Failed(Failure::ResourceExhausted(reached))) if reached.limit == "pending_bytes_max"
    ));
    assert_eq!(given_back(&frames), [(8, 1)]);
    for _ in 0..4 {
        let bytes = SmallBytes::copy_from_slice(&[0; 50_000]);
        stranger.says(&[Frame::Chunk(Chunk { id: large_id, of_return: false, bytes })]);
    }
    let begin = stranger.begun();
    let (serial, stub) = stranger.things.make(&THING);
    stranger.finish(begin, Ok(Item(stub)));
    let id = stranger.hears().iter().find_map(introduced).expect("it is returned");
    stranger.says(&[Frame::ReleaseObjects(vec![(id, 1)])]);
    assert_eq!(stranger.things.drops(serial), 1);
    stranger.check_alive(0);
}

// ---- between two honest sides ----

/// A call of the client with these objects; `bases` are what it is built on.
fn call(
    peer: &mut TestPeer,
    number: u32,
    objects: Vec<Passing>,
    payload: &[u8],
    bases: &[&TestCall],
) -> TestCall {
    call_on(peer, CallTarget::Root, number, objects, payload, bases)
}

fn call_on(
    peer: &mut TestPeer,
    target: CallTarget,
    number: u32,
    objects: Vec<Passing>,
    payload: &[u8],
    bases: &[&TestCall],
) -> TestCall {
    let bases = bases.iter().map(|base| base.id).collect();
    peer.call_with(MethodNumber(number), target, objects, payload.to_vec(), bases, None)
}

/// `count` new objects as a peer passes them.
fn new_objects(things: &mut Things, peer: &TestPeer, count: usize) -> Vec<Passing> {
    (0..count).map(|_| peer.passing(&things.make(&THING).1)).collect()
}

fn new_items(things: &mut Things, count: usize) -> Vec<Item> {
    (0..count).map(|_| Item(things.make(&THING).1)).collect()
}

/// Arguments of `work` with these objects; long ones travel in chunks.
fn work_arguments(objects: &mut Vec<Passing>, list: Vec<Passing>, pad: usize) -> Vec<u8> {
    let mut payload = vec![2];
    inline(&mut payload, &"p".repeat(pad));
    let places = places(objects, list);
    inline(&mut payload, &places);
    payload
}

const LONG: usize = 90_000;

/// That nothing is left anywhere once the promises are gone.
#[track_caller]
fn check_nothing_left(pair: &mut Pair, things: &Things, calls: &[&TestCall]) {
    for call in calls {
        drop(call.take_outcome());
        pair.client.drop_promise(call);
    }
    pair.advance(Duration::from_secs(1));
    assert_eq!(things.alive(), 0, "objects are alive");
    pair.client.session.check_empty();
    pair.server.session.check_empty();
    for session in [&pair.client.session, &pair.server.session] {
        let stats = session.stats();
        assert_eq!((stats.exports, stats.imports, stats.pending_bytes), (0, 0, 0));
    }
}

#[test]
fn a_result_with_objects_that_crosses_the_cancel_is_given_back() {
    for pad in [0, LONG] {
        let (mut pair, mut things) = (Pair::new(), Things::default());
        let mut objects = Vec::new();
        let list = new_objects(&mut things, &pair.client, 2);
        let payload = work_arguments(&mut objects, list, 0);
        let promise = call(&mut pair.client, WORK, objects, &payload, &[]);
        pair.run();
        let begin = pair.server.open.remove(0);
        let mut items = new_items(&mut things, 3);
        items.extend(argument::<Vec<Item>>(&pair.server, &begin, 1).expect("two objects"));
        let gift = Gift { tag: 1, item: items[0].clone(), list: items, maybe: None, pad: "r".repeat(pad) };
        finish(&mut pair.server, begin, Ok(gift));
        let returned = pair.server.poll_message(pair.now).expect("the result leaves");
        pair.client.drop_promise(&promise);
        pair.client.receive(pair.now, &returned).expect("it is well formed");
        check_nothing_left(&mut pair, &things, &[&promise]);
        assert!(promise.outcome().is_none());
    }
}

#[test]
fn exports_above_the_limit_are_refused_on_every_way_and_nothing_stays() {
    let tight = Limits { exports_max: 2, ..Limits::default() };
    // In arguments: refused before the call leaves, whether its payload is long or not.
    for pad in [0, LONG] {
        let (mut pair, mut things) = (Pair::with_limits(tight.clone(), Limits::default()), Things::default());
        let mut objects = Vec::new();
        let list = new_objects(&mut things, &pair.client, 3);
        let payload = work_arguments(&mut objects, list, pad);
        let refused = call(&mut pair.client, WORK, objects, &payload, &[]);
        pair.run();
        check_exhausted(&refused.outcome().expect("it is refused"), "exports_max");
        assert!(pair.server.open.is_empty());
        check_nothing_left(&mut pair, &things, &[&refused]);
    }
    // In a value, an error, and a part that is asked for.
    for (pad, is_error) in [(0, false), (LONG, false), (0, true), (LONG, true)] {
        let (mut pair, mut things) = (Pair::with_limits(Limits::default(), tight.clone()), Things::default());
        let refused = call(&mut pair.client, WORK, Vec::new(), &work_with(&[]), &[]);
        pair.run();
        let begin = pair.server.open.remove(0);
        let (items, pad) = (new_items(&mut things, 3), "r".repeat(pad));
        if is_error {
            finish(&mut pair.server, begin, Err::<(), _>(Trouble { items, pad }));
        } else {
            let gift = Gift { tag: 1, item: items[0].clone(), list: items, maybe: None, pad };
            finish(&mut pair.server, begin, Ok(gift));
        }
        pair.run();
        check_exhausted(&refused.outcome().expect("it is refused"), "exports_max");
        check_nothing_left(&mut pair, &things, &[&refused]);
    }
    let (mut pair, mut things) = (Pair::with_limits(Limits::default(), tight), Things::default());
    let whole = call(&mut pair.client, WORK, Vec::new(), &work_with(&[]), &[]);
    pair.client.drop_value(&whole);
    let part = pair.client.get(&whole, &[Step::Field(2)]);
    pair.run();
    let begin = pair.server.open.remove(0);
    let items = new_items(&mut things, 3);
    let gift = Gift { tag: 1, item: items[0].clone(), list: items, maybe: None, pad: String::new() };
    finish(&mut pair.server, begin, Ok(gift));
    pair.run();
    check_exhausted(&part.outcome().expect("it is refused"), "exports_max");
    check_nothing_left(&mut pair, &things, &[&whole, &part]);
}

#[test]
fn imports_above_the_limit_are_refused_on_every_way_and_nothing_stays() {
    let tight = Limits { imports_max: 2, ..Limits::default() };
    for pad in [0, LONG] {
        let (mut pair, mut things) = (Pair::with_limits(Limits::default(), tight.clone()), Things::default());
        pair.run();
        let mut objects = Vec::new();
        let list = new_objects(&mut things, &pair.client, 3);
        let payload = work_arguments(&mut objects, list, pad);
        let refused = call(&mut pair.client, WORK, objects, &payload, &[]);
        pair.run();
        check_exhausted(&refused.outcome().expect("it is refused"), "imports_max");
        assert!(pair.server.open.is_empty());
        check_nothing_left(&mut pair, &things, &[&refused]);
    }
    for (pad, is_error) in [(0, false), (LONG, false), (0, true), (LONG, true)] {
        let (mut pair, mut things) = (Pair::with_limits(tight.clone(), Limits::default()), Things::default());
        let refused = call(&mut pair.client, WORK, Vec::new(), &work_with(&[]), &[]);
        pair.run();
        let begin = pair.server.open.remove(0);
        let (items, pad) = (new_items(&mut things, 3), "r".repeat(pad));
        if is_error {
            finish(&mut pair.server, begin, Err::<(), _>(Trouble { items, pad }));
        } else {
            let gift = Gift { tag: 1, item: items[0].clone(), list: items, maybe: None, pad };
            finish(&mut pair.server, begin, Ok(gift));
        }
        pair.run();
        check_exhausted(&refused.outcome().expect("it is refused"), "imports_max");
        check_nothing_left(&mut pair, &things, &[&refused]);
    }
}

#[test]
fn what_the_peer_has_already_is_passed_again_when_exports_are_full() {
    let tight = Limits { exports_max: 1, ..Limits::default() };
    let (mut pair, mut things) = (Pair::with_limits(tight.clone(), tight), Things::default());
    let (_, stub) = things.make(&THING);
    let list = vec![pair.client.passing(&stub)];
    let mut objects = Vec::new();
    let payload = work_arguments(&mut objects, list, 0);
    let first = call(&mut pair.client, WORK, objects, &payload, &[]);
    pair.run();
    let held = pair.server.open.remove(0);
    // The same object twice more in one table.
    let list = vec![pair.client.passing(&stub), pair.client.passing(&stub)];
    let mut objects = Vec::new();
    let payload = work_arguments(&mut objects, list, 0);
    let second = call(&mut pair.client, WORK, objects, &payload, &[]);
    pair.run();
    let begin = pair.server.open.remove(0);
    let items: Vec<Item> = argument(&pair.server, &begin, 1).expect("two objects");
    assert_eq!(items.len(), 2);
    // One of the server's own, and with it what came from the client, which is none of the server's exports.
    let own = Item(things.make(&THING).1);
    finish(
        &mut pair.server,
        begin,
        Ok(Gift { tag: 1, item: own, list: items, maybe: None, pad: String::new() }),
    );
    pair.run();
    assert!(matches!(second.outcome(), Some(Returned::Value(_))), "{:?}", second.outcome());
    pair.server.finish_with(held.answer, Outcome::Failed(Failure::Panicked));
    drop((held, stub));
    check_nothing_left(&mut pair, &things, &[&first, &second]);
}

#[test]
fn objects_count_towards_what_leaves_before_the_welcome() {
    let (mut pair, mut things) = (Pair::new(), Things::default());
    let (_, stub) = things.make(&THING);
    let mut calls = Vec::new();
    for _ in 0..8 {
        let objects = (0..4_800).map(|_| pair.client.passing(&stub)).collect();
        calls.push(call(&mut pair.client, WORK, objects, &work_with(&[]), &[]));
    }
    let mut bytes = 0;
    while let Some(message) = pair.client.poll_message(pair.now) {
        bytes += message.len();
        pair.server.receive(pair.now, &message).expect("it is well formed");
    }
    assert!(bytes <= 64 << 10, "{bytes} bytes left before the welcome");
    pair.run();
    assert_eq!(pair.server.open.len(), 8);
    for begin in std::mem::take(&mut pair.server.open) {
        pair.server.finish_with(begin.answer, Outcome::Failed(Failure::Panicked));
    }
    drop(stub);
    let calls: Vec<&TestCall> = calls.iter().collect();
    check_nothing_left(&mut pair, &things, &calls);
}

#[test]
fn an_error_of_a_oneway_call_introduces_nothing() {
    let (mut pair, mut things) = (Pair::new(), Things::default());
    let note = call(&mut pair.client, THING_NOTE, Vec::new(), &[1, 0, 1, 0], &[]);
    pair.run();
    let begin = pair.server.open.remove(0);
    let items = new_items(&mut things, 2);
    finish(&mut pair.server, begin, Err::<(), _>(Trouble { items, pad: String::new() }));
    check_nothing_left(&mut pair, &things, &[&note]);
}

#[test]
fn a_callback_that_never_answers_holds_back_nobody_and_stops_with_its_caller() {
    let (mut pair, mut things) = (Pair::new(), Things::default());
    let objects = new_objects(&mut things, &pair.client, 1);
    let outer = call(&mut pair.client, ONE, objects, ITEM_ZERO, &[]);
    pair.run();
    let begin = pair.server.open.remove(0);
    let item: Item = argument(&pair.server, &begin, 0).expect("an object");
    let target = import_target(&item.0);
    let inner = call_on(&mut pair.server, target, COUNT, Vec::new(), COUNT_THREE, &[]);
    pair.run();
    let callback = pair.client.open.remove(0);
    assert!(matches!(&callback.target, BeginTarget::Object(_)));
    // Both wait; others do not.
    for _ in 0..3 {
        let other = call(&mut pair.client, COUNT, Vec::new(), COUNT_THREE, &[]);
        pair.run();
        let begin = pair.server.open.remove(0);
        finish(&mut pair.server, begin, Ok(3_u64));
        pair.run();
        assert_eq!(other.value(), 3);
        pair.client.drop_promise(&other);
    }
    pair.client.drop_promise(&outer);
    pair.run();
    assert_eq!(pair.server.cancelled, [begin.answer]);
    // The handler stops, and with it its promise.
    pair.server.drop_promise(&inner);
    let answer = begin.answer;
    drop((begin, item));
    pair.server.finish_with(answer, Outcome::Failed(Failure::Cancelled));
    pair.run();
    assert_eq!(pair.client.cancelled, [callback.answer]);
    let answer = callback.answer;
    drop(callback);
    pair.client.finish_with(answer, Outcome::Failed(Failure::Cancelled));
    check_nothing_left(&mut pair, &things, &[&outer]);
}

fn import_target(stub: &Stub) -> CallTarget {
    match stub.kind() {
        Kind::Remote(crate::caller::stub::Remote {
            target: crate::caller::stub::RemoteTarget::Import(import),
            ..
        }) => CallTarget::Import(std::sync::Arc::clone(import)),
        Kind::Remote(_) | Kind::Local(_) => panic!("it is no object of the peer"),
    }
}

#[test]
fn objects_beside_a_part_that_has_none_come_back_to_nobody() {
    let mut stranger = Stranger::new();
    let base = stranger.kept(COUNT, Target::Root, Vec::new(), COUNT_THREE);
    let base_id = base.id;
    let mut payload = vec![1];
    arguments::put_reference(&mut payload, base_id, &Path::whole(), false);
    let get = stranger.call(0, Target::Root, senders([1, 2, 2]), &payload);
    let get_id = get.id;
    stranger.says(&[Frame::Call(base), Frame::Call(get), Frame::Release(vec![base_id])]);
    let begin = stranger.begun();
    stranger.finish(begin, Ok(3_u64));
    let frames = stranger.hears();
    assert!(matches!(status_in(&frames, get_id), Some(Status::Value(_))));
    assert_eq!(given_back(&frames), [(1, 1), (2, 2)]);
    stranger.check_alive(0);
}

#[test]
fn a_session_that_ends_lets_go_of_objects_that_hold_each_other() {
    let (mut pair, mut things) = (Pair::new(), Things::default());
    // The client's object is held by the server's handler, the server's by the client's.
    let objects = new_objects(&mut things, &pair.client, 1);
    let there = call(&mut pair.client, ONE, objects, ITEM_ZERO, &[]);
    let objects = new_objects(&mut things, &pair.server, 1);
    let back = call(&mut pair.server, ONE, objects, ITEM_ZERO, &[]);
    pair.advance(Duration::from_secs(60));
    assert_eq!(things.alive(), 2);
    assert_eq!(pair.server.session.stats().exports, 1);
    for peer in [&mut pair.client, &mut pair.server] {
        peer.session.abandon_calls();
        peer.session.abandon_objects();
        assert_eq!(peer.session.stats().exports, 0);
    }
    assert_eq!(things.alive(), 0);
    drop((there, back));
}
