//! Random conversations about streams, checked against a model that only knows which items each stream was given.
//!
//! What a reader finds must be what was sent, in order, without a gap or a repetition, up to one end, which says what
//! the sender said. What waits must stay within the limits, whoever reads or does not. Both peers are honest, so a
//! violation is a failure whatever the seed; and when everybody reads on, everything arrives and nothing is left.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    pair::{MakePair, Pair, TEXT, TestCall, encoded, number},
    streams::{look, marked as slot, returning, text},
    talk::{self, Talk},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    caller::stub::{Remote, RemoteTarget},
    error::StopReason,
    limits::Limits,
    seeded::Seeded,
    session::events::SessionStats,
    stream::{reading::Reading, source::Source},
    value::{
        encoded::{self, Capabilities, Capability, Encoded},
        object::LocalObject,
        outcome::Outcome,
        returned::Returned,
        stream::{Ending, Piece, StreamSlot},
    },
    wire::{Failure, ITEMS_BYTES, StreamId, arguments::ItemReader, write::put_sized},
};

/// Conversations of an ordinary test run, and steps of each; raise the first for a longer search.
const CONVERSATIONS: u64 = 300;
const STEPS: usize = 400;

#[test]
fn readers_find_what_was_sent_and_nothing_is_left() {
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &Limits::default(), Pair::with_limits));
}

#[test]
fn readers_find_what_was_sent_through_sockets_that_are_cut() {
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &Limits::default(), Pair::resumable));
}

#[test]
fn tight_limits_hold_streams_back_but_never_lose_or_stop_them() {
    let limits = |seed: u64| Limits {
        stream_window_bytes: [1, 65, 200, 3_000, 20_000, 64 << 10][(seed % 6) as usize],
        stream_window_bytes_max: [200, 4_000, 100_000][(seed % 3) as usize],
        stream_buffer_bytes_max: [0, 1_000, 30_000, 250_000, 1 << 20][(seed % 5) as usize],
        payload_bytes_max: [50_000, 100_000, 300_000][(seed / 5 % 3) as usize],
        outgoing_bytes_max: [64 << 20, 600_000][(seed / 7 % 2) as usize],
        streams_max: 8,
        exports_max: 3 + (seed % 60) as usize,
        imports_max: 3 + (seed % 40) as usize,
        ..Limits::default()
    };
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &limits(seed), Pair::with_limits));
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &limits(seed), Pair::resumable));
}

/// Runs one conversation; a failure names its seed and steps.
fn converse(seed: u64, limits: &Limits, make: MakePair) {
    talk::converse(&format!("seed {seed}, {limits:?}"), STEPS, Model::new(seed, limits, make));
}

/// What a producer gave its stream.
#[derive(Clone, Debug, PartialEq)]
enum Given {
    /// An item: its number in the stream, its length, and the streams and objects in it.
    Item {
        number: u8,
        length: usize,
        streams: Vec<usize>,
        objects: usize,
    },
    Missed(u64),
    End(How),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Complete,
    Error,
    Abandoned,
    Failed,
}

/// A stream as the model knows it.
struct Known {
    /// The side that sends it.
    side: usize,
    /// Known when it is opened.
    id: Option<StreamId>,
    given: VecDeque<Given>,
    /// Items given so far.
    numbers: u8,
    ended: bool,
    reader: Reader,
}

enum Reader {
    /// Not here yet.
    OnItsWay,
    Reads(Reading),
    /// The reader let go of it, or never got it.
    Gone,
    /// It read the end.
    Over,
}

struct Model {
    talk: Talk,
    limits: Limits,
    /// While it is cut, a side's messages are not delivered.
    cut: [bool; 2],
    streams: Vec<Known>,
    /// The client's calls, and the streams in their arguments.
    calls: Vec<(TestCall, Vec<usize>)>,
    /// Those in their results.
    returns: BTreeMap<i64, Vec<usize>>,
    /// Refusals are expected.
    is_tight: bool,
}

impl talk::Model for Model {
    fn talk(&mut self) -> &mut Talk {
        &mut self.talk
    }

    fn step(&mut self) {
        let side = self.talk.seeded.below(2);
        match self.talk.seeded.below(100) {
            0..=4 => self.call(),
            5..=9 => self.answer(),
            10..=39 => self.produce(side),
            40..=59 => self.read(side),
            60..=62 => self.let_go(side),
            63..=76 => _ = self.send(side),
            77..=90 => _ = self.deliver(side),
            91..=93 => {
                // Windows follow what is read where round trips are short.
                let unit = [Duration::from_millis(1), Duration::from_micros(20)][self.talk.seeded.below(2)];
                let by = unit * self.talk.seeded.below(60) as u32;
                self.talk.note(format!("{by:?} pass"));
                self.talk.pair.now = self.talk.pair.now + by;
                let now = self.talk.pair.now;
                self.talk.pair.client.handle_timeout(now);
                self.talk.pair.server.handle_timeout(now);
            }
            94 => {
                self.cut[side] = !self.cut[side];
                let is_cut = self.cut[side];
                self.talk.note(format!("what {side} says is held: {is_cut}"));
            }
            _ => {
                while self.send(side) {}
                while self.deliver(side) {}
            }
        }
        for side in [0, 1] {
            if self.talk.seeded.chance(60) {
                self.talk.peer(side).feed_drops();
            }
        }
        self.observe();
    }

    fn finish(&mut self) {
        self.talk.note("the end");
        self.cut = [false; 2];
        self.settle();
        for stream in 0..self.streams.len() {
            let known = &self.streams[stream];
            assert!(
                !matches!(known.reader, Reader::Reads(_)),
                "stream {stream}, which is {:?}, never ended; left are {:?}",
                known.id,
                known.given
            );
        }
        for (call, _) in std::mem::take(&mut self.calls) {
            self.talk.pair.client.drop_promise(&call);
        }
        self.settle();
        for side in [0, 1] {
            let stats = self.talk.peer(side).session.stats();
            assert_eq!(stats, SessionStats::default(), "{side} still holds something");
            self.talk.peer(side).session.check_empty();
        }
    }
}

impl Model {
    fn new(seed: u64, limits: &Limits, make: MakePair) -> Self {
        let pair = make(limits.clone(), limits.clone());
        Self {
            talk: Talk::new(Seeded::new(seed), pair),
            is_tight: *limits != Limits::default(),
            limits: limits.clone(),
            cut: [false; 2],
            streams: Vec::new(),
            calls: Vec::new(),
            returns: BTreeMap::new(),
        }
    }

    // ---- streams are opened ----

    fn stream(&mut self, side: usize) -> (usize, Arc<StreamSlot>) {
        let slot = slot(self.streams.len() as u64);
        self.streams.push(Known {
            side,
            id: None,
            given: VecDeque::new(),
            numbers: 0,
            ended: false,
            reader: Reader::OnItsWay,
        });
        let stream = self.streams.len() - 1;
        (stream, slot)
    }

    fn new_streams(&mut self, side: usize, count: usize) -> (Vec<usize>, Vec<Arc<StreamSlot>>) {
        (0..count).map(|_| self.stream(side)).unzip()
    }

    /// The client calls, with streams in the arguments or without.
    fn call(&mut self) {
        if self.talk.seeded.chance(25) {
            // Something to share the messages with.
            let length = if self.talk.seeded.chance(30) {
                self.talk.seeded.below(200_000)
            } else {
                self.talk.seeded.below(20_000)
            };
            self.talk.note(format!("a text of {length}"));
            let call = self.talk.pair.client.call(TEXT, &[text(length)]);
            self.calls.push((call, Vec::new()));
            return;
        }
        let count = self.talk.seeded.below(3);
        let (streams, slots) = self.new_streams(0, count);
        let call = self.talk.pair.client.call_with_streams(slots);
        self.talk.note(format!("call {} with streams {streams:?}", call.id.0));
        let wants = self.talk.seeded.chance(90);
        if !wants {
            self.talk.pair.client.drop_promise(&call);
            self.talk.note("and drops it");
        }
        self.calls.push((call, streams));
    }

    /// The server answers a call, with streams in the result or without.
    fn answer(&mut self) {
        let open = self.talk.pair.server.open.len();
        if open == 0 {
            return;
        }
        let at = self.talk.seeded.below(open);
        let begin = self.talk.pair.server.open.remove(at);
        let id = begin.answer;
        let streams = self.calls.iter().find(|(call, _)| call.id == id).map(|(_, streams)| streams.clone());
        let streams = streams.unwrap_or_default();
        if self.talk.seeded.chance(85) {
            self.take(&streams, begin.arguments.objects().0);
        } else {
            self.talk.note(format!("{streams:?} are not taken"));
            self.lose(&streams);
        }
        let count = self.talk.seeded.below(3);
        let (results, slots) = self.new_streams(1, count);
        self.talk.note(format!("call {} returns streams {results:?}", id.0));
        let cancelled = self.talk.pair.server.cancelled.contains(&id);
        let outcome = match self.talk.seeded.below(10) {
            0 => Outcome::Failed(Failure::Panicked),
            _ if cancelled => Outcome::Failed(Failure::Cancelled),
            _ if !begin.want.value => Outcome::Failed(Failure::Cancelled),
            1 => {
                let objects = slots.into_iter().map(Capability::Stream).collect();
                Outcome::Error(encoded(&"no"), objects)
            }
            _ => returning(slots),
        };
        if matches!(outcome, Outcome::Failed(_)) {
            self.lose(&results);
            self.returns.insert(id.0, Vec::new());
        } else {
            self.returns.insert(id.0, results);
        }
        drop(begin.arguments);
        self.talk.pair.server.finish_with(id, outcome);
    }

    /// They arrived in this table.
    fn take(&mut self, streams: &[usize], table: &Capabilities) {
        let found: Vec<_> = table
            .iter()
            .flat_map(|table| table.iter())
            .filter_map(|capability| match capability {
                Capability::Stream(slot) => Some(slot),
                Capability::Import(_) | Capability::Local(_) => None,
            })
            .collect();
        assert_eq!(found.len(), streams.len(), "streams in a table");
        for (slot, stream) in found.into_iter().zip(streams) {
            let known = &mut self.streams[*stream];
            known.reader = match Reading::take(slot).map(|reading| *reading) {
                Some(reading) => Reader::Reads(reading),
                None => panic!("stream {stream} was taken"),
            };
        }
    }

    /// Nobody will read these.
    fn lose(&mut self, streams: &[usize]) {
        for stream in streams {
            self.streams[*stream].reader = Reader::Gone;
        }
    }

    // ---- producers ----

    /// A producer of this side sends something, within its room or one item beyond.
    fn produce(&mut self, side: usize) {
        let recent = self.streams.len().saturating_sub(40);
        let ready: Vec<usize> = (recent..self.streams.len())
            .filter(|at| {
                let known = &self.streams[*at];
                known.side == side && !known.ended && known.id.is_some_and(|id| self.room(side, id) > 0)
            })
            .collect();
        if ready.is_empty() {
            return;
        }
        let stream = *self.talk.seeded.pick(&ready);
        let burst = 1 + self.talk.seeded.below(6);
        for _ in 0..burst {
            self.produce_one(side, stream);
        }
    }

    fn room(&self, side: usize, id: StreamId) -> i64 {
        let peer = if side == 0 { &self.talk.pair.client } else { &self.talk.pair.server };
        match peer.producers.get(&id) {
            Some(producer) if producer.stopped.is_none() => producer.room,
            _ => 0,
        }
    }

    fn produce_one(&mut self, side: usize, stream: usize) {
        let Some(id) = self.streams[stream].id else { return };
        let room = self.room(side, id);
        if room <= 0 || self.streams[stream].ended {
            return;
        }
        let piece = match self.talk.seeded.below(100) {
            0..=3 => {
                let (given, ending) = match self.talk.seeded.below(6) {
                    0 => (How::Error, Ending::Error(Encoded::from(vec![4; 10]))),
                    1 => (How::Abandoned, Ending::Abandoned),
                    2 => (How::Failed, Ending::Failed(Failure::Panicked)),
                    _ => (How::Complete, Ending::Complete),
                };
                self.streams[stream].ended = true;
                self.streams[stream].given.push_back(Given::End(given));
                Piece::End(ending)
            }
            4..=8 => {
                let count = 1 + self.talk.seeded.below(5) as u64;
                match self.streams[stream].given.back_mut() {
                    Some(Given::Missed(before)) => *before += count,
                    _ => self.streams[stream].given.push_back(Given::Missed(count)),
                }
                Piece::Missed(count)
            }
            9..=16 => self.large(stream),
            17..=22 if self.streams.len() < 300 => self.with_capabilities(side, stream),
            _ => self.packed(stream, room),
        };
        let charge = piece.charge();
        self.talk.note(format!("{side} gives stream {stream} {charge} of room {room}"));
        self.talk.peer(side).send(id, piece);
    }

    /// The bytes of the stream's next item.
    fn item(&mut self, stream: usize, length: usize, streams: Vec<usize>, objects: usize) -> Vec<u8> {
        let known = &mut self.streams[stream];
        known.numbers = known.numbers.wrapping_add(1);
        known.given.push_back(Given::Item { number: known.numbers, length, streams, objects });
        vec![known.numbers; length]
    }

    fn packed(&mut self, stream: usize, room: i64) -> Piece {
        let mut bytes = Vec::new();
        let mut count = 0;
        let most = 1 + self.talk.seeded.below(20);
        let lengths = [0, 1, 30, 300, 5_000, ITEMS_BYTES];
        loop {
            let longest = *self.talk.seeded.pick(&lengths);
            let length = self.talk.seeded.below(longest + 1);
            let end = bytes.len() + length + 3;
            let fits = crate::wire::items_charge(count + 1, end, 0) as i64 <= room && end <= ITEMS_BYTES;
            // The first may take more than there is.
            if count > 0 && (!fits || count as usize >= most) {
                break;
            }
            let item = self.item(stream, length, Vec::new(), 0);
            let put = put_sized(&mut bytes, |out| {
                out.extend_from_slice(&item);
                Ok::<_, ()>(())
            });
            put.expect("bytes are copied");
            count += 1;
            if !fits {
                break;
            }
        }
        Piece::Items { count, items: bytes.into() }
    }

    fn large(&mut self, stream: usize) -> Piece {
        let longest = self.limits.payload_bytes_max.min(400_000);
        let length = match self.talk.seeded.below(4) {
            0 => ITEMS_BYTES + 1 + self.talk.seeded.below(64),
            // About as long as windows are.
            1 => (64 << 10) - self.talk.seeded.below(20_000),
            _ => ITEMS_BYTES + 1 + self.talk.seeded.below(longest - ITEMS_BYTES),
        };
        let length = length.min(longest);
        let mut item = self.item(stream, length, Vec::new(), 0);
        let head = if self.talk.seeded.chance(30) { item.split_off(length - 5) } else { Vec::new() };
        Piece::Large { head: head.into(), item: item.into() }
    }

    fn with_capabilities(&mut self, side: usize, stream: usize) -> Piece {
        let count =
            if self.talk.seeded.chance(5) { self.talk.seeded.below(50) } else { self.talk.seeded.below(3) };
        let objects = self.talk.seeded.below(3);
        let length = if self.talk.seeded.chance(20) {
            20_000 + self.talk.seeded.below(10_000)
        } else {
            self.talk.seeded.below(50)
        };
        let (streams, slots) = self.new_streams(side, count);
        self.talk.note(format!("with streams {streams:?} and {objects} objects"));
        let item = self.item(stream, length, streams, objects);
        let handle = Arc::clone(&self.talk.peer(side).home.handle);
        let object = || {
            let handle = Arc::clone(&handle);
            Capability::Local(LocalObject::new(Remote { handle, target: RemoteTarget::Root }))
        };
        let table = slots.into_iter().map(Capability::Stream).chain((0..objects).map(|_| object())).collect();
        let capabilities = encoded::capabilities(table);
        if length > ITEMS_BYTES {
            return Piece::Large {
                head: SmallBytes::default(),
                item: Encoded { bytes: item.into(), capabilities },
            };
        }
        let mut bytes = Vec::new();
        let put = put_sized(&mut bytes, |out| {
            out.extend_from_slice(&item);
            Ok::<_, ()>(())
        });
        put.expect("bytes are copied");
        Piece::Items { count: 1, items: Encoded { bytes: bytes.into(), capabilities } }
    }

    // ---- readers ----

    fn readable(&self, side: usize) -> Vec<usize> {
        (0..self.streams.len())
            .filter(|at| {
                self.streams[*at].side != side && matches!(self.streams[*at].reader, Reader::Reads(_))
            })
            .collect()
    }

    /// A reader of this side reads a little, or all there is.
    fn read(&mut self, side: usize) {
        let readable = self.readable(side);
        if readable.is_empty() {
            return;
        }
        let stream = *self.talk.seeded.pick(&readable);
        let most = if self.talk.seeded.chance(50) { usize::MAX } else { 1 + self.talk.seeded.below(3) };
        self.read_some(stream, most);
    }

    fn read_some(&mut self, stream: usize, most: usize) -> bool {
        let mut read = 0;
        while read < most {
            let known = &mut self.streams[stream];
            let Reader::Reads(reading) = &mut known.reader else { break };
            let Some(piece) = look(reading) else { break };
            read += 1;
            self.check_piece(stream, piece);
        }
        if read > 0 {
            self.talk.note(format!("{read} pieces are read of stream {stream}"));
        }
        read > 0
    }

    fn check_piece(&mut self, stream: usize, piece: Piece) {
        match piece {
            Piece::Items { count, items } => {
                let mut reader = ItemReader::new(items.bytes);
                for _ in 0..count {
                    let range = reader.next_range().expect("there are as many as it says");
                    let bytes = reader.bytes().part(range);
                    self.check_item(stream, &bytes, &items.capabilities);
                }
                assert!(reader.next_range().is_none(), "there are no more than it says");
            }
            Piece::Large { head, item } => {
                assert!(head.is_empty());
                self.check_item(stream, &item.bytes, &item.capabilities);
            }
            Piece::Missed(count) => match self.streams[stream].given.front_mut() {
                Some(Given::Missed(missed)) if *missed > count => *missed -= count,
                Some(Given::Missed(missed)) if *missed == count => _ = self.streams[stream].given.pop_front(),
                other => panic!("{count} are missing of stream {stream}, not {other:?}"),
            },
            Piece::End(ending) => self.check_end(stream, &ending),
        }
    }

    fn check_item(&mut self, stream: usize, bytes: &[u8], capabilities: &Capabilities) {
        let Some(Given::Item { number, length, streams, objects }) = self.streams[stream].given.pop_front()
        else {
            panic!("stream {stream} has an item that was not sent here");
        };
        assert_eq!(bytes.len(), length, "length of an item of stream {stream}");
        assert!(bytes.iter().all(|byte| *byte == number), "another item of stream {stream} than {number}");
        let table = capabilities.as_deref().unwrap_or_default();
        let found = table.iter().filter(|capability| matches!(capability, Capability::Import(_))).count();
        assert_eq!(found, objects, "objects in an item of stream {stream}");
        self.take(&streams, capabilities);
    }

    fn check_end(&mut self, stream: usize, ending: &Ending) {
        let given = self.streams[stream].given.pop_front();
        let is_expected = match (&given, ending) {
            (Some(Given::End(How::Complete)), Ending::Complete)
            | (Some(Given::End(How::Abandoned)), Ending::Abandoned)
            | (Some(Given::End(How::Failed)), Ending::Failed(Failure::Panicked)) => true,
            (Some(Given::End(How::Error)), Ending::Error(error)) => error.bytes[..] == [4; 10],
            // An item that could not be passed, or not be taken, ends its stream where it was.
            (
                Some(Given::Item { streams, objects, .. }),
                Ending::Failed(Failure::ResourceExhausted(reached)),
            ) => {
                let expected = match &reached.limit[..] {
                    "streams_max" => !streams.is_empty(),
                    "exports_max" | "imports_max" => *objects > 0,
                    _ => false,
                };
                expected && self.is_tight
            }
            _ => false,
        };
        assert!(is_expected, "stream {stream} ended with {ending:?}, not {given:?}");
        if let Some(given) = given {
            self.streams[stream].given.push_front(given);
        }
        self.streams[stream].reader = Reader::Over;
        self.lose_given(stream);
    }

    /// What was given and never read takes the streams in it along.
    fn lose_given(&mut self, stream: usize) {
        for given in std::mem::take(&mut self.streams[stream].given) {
            if let Given::Item { streams, .. } = given {
                for nested in streams {
                    self.streams[nested].reader = Reader::Gone;
                    self.lose_given(nested);
                }
            }
        }
    }

    fn let_go(&mut self, side: usize) {
        let readable = self.readable(side);
        if readable.is_empty() {
            return;
        }
        let stream = *self.talk.seeded.pick(&readable);
        let reader = std::mem::replace(&mut self.streams[stream].reader, Reader::Gone);
        if let (Reader::Reads(mut reading), true) = (reader, self.talk.seeded.chance(30)) {
            reading.stopped(&StopReason::Refused { reason: "no more".into() });
        }
        self.talk.note(format!("nobody reads stream {stream} on"));
        self.lose_given(stream);
    }

    // ---- messages ----

    fn send(&mut self, side: usize) -> bool {
        let has_sent = self.talk.send(side);
        if has_sent {
            self.talk.peer(side).sent.clear();
            self.learn_ids(side);
        }
        has_sent
    }

    fn deliver(&mut self, from: usize) -> bool {
        let is_heard = !self.cut[from] && self.talk.deliver(from).is_some();
        if is_heard {
            self.learn_ids(1 - from);
        }
        is_heard
    }

    /// Which of the model's streams were opened under which ids: their slots say.
    fn learn_ids(&mut self, side: usize) {
        let mut opened = Vec::new();
        for (id, producer) in &self.talk.peer(side).producers {
            if let Some(mut reading) = Reading::take(&producer.slot) {
                opened.push((*id, number_in(&mut reading)));
            }
        }
        for (id, stream) in opened {
            let before = self.streams[stream].id.replace(id);
            assert!(before.is_none(), "stream {stream} was opened twice");
            self.talk.note(format!("stream {stream} of {side} is {}", id.0));
        }
    }

    // ---- what is seen ----

    fn observe(&mut self) {
        for at in 0..self.calls.len() {
            let Some(outcome) = self.calls[at].0.take_outcome() else { continue };
            let id = self.calls[at].0.id.0;
            let returned = self.returns.remove(&id).unwrap_or_default();
            match outcome {
                Returned::Value(encoded) | Returned::Error(encoded) => {
                    self.talk.note(format!("call {id} has returned streams {returned:?}"));
                    self.take(&returned, &encoded.capabilities);
                }
                Returned::Failed(failure) => {
                    self.talk.note(format!("call {id} has failed: {failure}"));
                    let is_forced = matches!(failure, Failure::Panicked | Failure::Cancelled);
                    assert!(self.is_tight || is_forced, "call {id} was refused: {failure}");
                    let streams = self.calls[at].1.clone();
                    self.lose(&returned);
                    let unread: Vec<usize> = streams
                        .into_iter()
                        .filter(|stream| matches!(self.streams[*stream].reader, Reader::OnItsWay))
                        .collect();
                    self.lose(&unread);
                }
                other => panic!("call {id} returned {other:?}"),
            }
        }
        for peer in [&self.talk.pair.client, &self.talk.pair.server] {
            peer.session.outgoing.streams.check_books();
        }
    }

    // ---- the end ----

    /// Lets everything happen that can: everybody reads, and every stream is ended.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "the conversation does not come to an end");
            let mut moved = false;
            while !self.talk.pair.server.open.is_empty() {
                self.answer();
                moved = true;
            }
            for side in [0, 1] {
                self.talk.peer(side).feed_drops();
                while self.send(side) {
                    moved = true;
                }
                while self.deliver(side) {
                    moved = true;
                }
                self.observe();
                for stream in self.readable(side) {
                    moved |= self.read_some(stream, usize::MAX);
                }
            }
            for stream in 0..self.streams.len() {
                moved |= self.wind_up(stream);
            }
            if !moved && !self.talk.skip_time() {
                return;
            }
        }
    }

    /// Something more, perhaps, and the end.
    fn wind_up(&mut self, stream: usize) -> bool {
        let Known { side, id, ended, .. } = self.streams[stream];
        let Some(id) = id.filter(|id| !ended && self.room(side, *id) > 0) else { return false };
        if self.talk.seeded.chance(40) {
            let piece = if self.talk.seeded.chance(50) { self.large(stream) } else { self.packed(stream, 1) };
            self.talk.peer(side).send(id, piece);
            return true;
        }
        self.streams[stream].ended = true;
        self.streams[stream].given.push_back(Given::End(How::Complete));
        self.talk.peer(side).send(id, Piece::End(Ending::Complete));
        true
    }
}

/// The number that the slot of a stream was made with.
fn number_in(reading: &mut Reading) -> usize {
    match look(reading) {
        Some(Piece::Items { items, .. }) => number(&items.bytes[1..]) as usize,
        _ => panic!("it has its number"),
    }
}
