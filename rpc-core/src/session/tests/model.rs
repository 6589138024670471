//! Random conversations between two sessions, checked against a model that only evaluates the graph of calls.
//!
//! The model knows what each call would return if it ran: its value, its own error, or that a part of a result it
//! was given is not there. From that and from what the test made handlers do it says which outcomes a call may have,
//! in which order calls may start, and which handlers somebody still waits for. Both peers are honest, so a violation
//! is a failure whatever the seed; so is anything a session still holds once nobody refers to it.

#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small or meant to be cut")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    pair::{
        ADD, Arg, BOTH, Happened, LABEL, MAYBE, MakePair, NOTE, ORDERED_ADD, Pair, STRUCTURED, TEXT,
        TestCall, encoded, natural_outcome,
    },
    talk::{self, Talk, is_built_on},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    limits::Limits,
    path::{Path, Step},
    seeded::Seeded,
    session::events::SessionStats,
    time::Time,
    value::{
        outcome::Outcome,
        returned::{OriginCause, Returned},
    },
    wire::{CallId, Failure, Frame, Payload, read::FrameReader},
};

/// Conversations of an ordinary test run, and steps of each; raise the first for a longer search.
const CONVERSATIONS: u64 = 800;
const STEPS: usize = 150;

/// Calls wait on each other no deeper than this where refusals are not expected.
const DEPTH_MAX: usize = 40;
const GET: u32 = 0;

#[test]
fn honest_sessions_agree_with_the_model() {
    let limits = Limits::default();
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &limits, Expect::NoRefusals, Pair::with_limits));
}

#[test]
fn sessions_whose_sockets_are_cut_agree_with_the_model() {
    let limits = Limits::default();
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &limits, Expect::NoRefusals, Pair::resumable));
}

#[test]
fn tight_limits_refuse_but_never_break_leak_or_hang() {
    let limits = |seed: u64| Limits {
        calls_max: 1 + (seed % 6) as usize,
        held_answers_max: 2 + (seed % 5) as usize,
        held_bytes_max: 2_000 + (seed % 3) as usize * 100_000,
        pending_bytes_max: 3_000 + (seed % 7) as usize * 60_000,
        payload_bytes_max: 1_000 + (seed % 4) as usize * 60_000,
        outgoing_bytes_max: 3_000 + (seed % 3) as usize * 60_000,
        chain_depth_max: 2 + (seed % 4) as usize,
        ..Limits::default()
    };
    (1..=CONVERSATIONS / 2).for_each(|seed| {
        converse(seed, &limits(seed), Expect::Refusals, Pair::with_limits);
        converse(seed, &limits(seed), Expect::Refusals, Pair::resumable);
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Refusals,
    NoRefusals,
}

/// Runs one conversation; a failure names its seed and steps.
fn converse(seed: u64, limits: &Limits, expect: Expect, make: MakePair) {
    talk::converse(&format!("seed {seed}"), STEPS, Model::new(seed, limits, expect, make));
}

// ---- the model: what a call would return ----

/// A value as a test method returns it.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(u64),
    Maybe(Option<u64>),
    List(u64),
    Structured(u64),
    Pair(u64, u64),
    Text(SmallBytes),
}

impl Value {
    fn bytes(&self) -> SmallBytes {
        match self {
            Self::Number(number) => encoded(number),
            Self::Maybe(maybe) => encoded(maybe),
            Self::List(length) => encoded(&(0..*length).collect::<Vec<u64>>()),
            Self::Structured(seed) => encoded(&(*seed, odd(*seed), (0..*seed).collect::<Vec<u64>>())),
            Self::Pair(a, b) => encoded(&(*a, *b)),
            Self::Text(bytes) => bytes.clone(),
        }
    }

    /// The part at `path`, if it is there.
    fn part(&self, path: &Path) -> Option<Self> {
        match (self, path.steps()) {
            (whole, []) => Some(whole.clone()),
            (Self::Structured(seed), [Step::Field(0)]) => Some(Self::Number(*seed)),
            (Self::Structured(seed), [Step::Field(1)]) => Some(Self::Maybe(odd(*seed))),
            (Self::Structured(seed), [Step::Field(1), Step::Some]) => odd(*seed).map(Self::Number),
            (Self::Structured(seed), [Step::Field(2)]) => Some(Self::List(*seed)),
            (Self::Structured(seed), [Step::Field(2), Step::Index(index)]) => {
                (u64::from(*index) < *seed).then(|| Self::Number(u64::from(*index)))
            }
            _ => None,
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            other => panic!("{other:?} is no number"),
        }
    }
}

fn odd(seed: u64) -> Option<u64> {
    (seed % 2 == 1).then_some(seed)
}

/// What a call returns when it runs and nothing interferes.
#[derive(Clone, Debug)]
enum Natural {
    Value(Value),
    /// Its own error.
    Overflow,
    /// A call it is built on has no value for it.
    Nothing,
}

/// What the handler of a call did other than its natural result.
#[derive(Clone, Debug)]
enum Forced {
    Error(SmallBytes),
    Panicked,
    Cancelled,
}

/// One argument: how it is written, what it refers to, what it is worth.
struct Slot {
    arg: Arg,
    uses: Vec<(usize, Path)>,
    value: Option<Value>,
    misfit: bool,
}

impl Slot {
    fn inline(arg: Arg, value: Value) -> Self {
        Self { arg, uses: Vec::new(), value: Some(value), misfit: false }
    }
}

/// A call as its caller remembers it. Its id is its place in the list of its caller's calls, counted from 1.
struct Made {
    call: TestCall,
    method: u32,
    uses: Vec<(usize, Path)>,
    arguments: Option<Vec<SmallBytes>>,
    misfit: bool,
    natural: Natural,
    forced: Option<Forced>,
    /// Its own, or the earliest of what it was built on.
    deadline: Option<Time>,
    /// From when on it is not started any more.
    late: Option<Time>,
    depth: usize,
    value: bool,
    reference: bool,
    detached: bool,
    /// Its value was given up before it was there.
    abandoned: bool,
    checked: bool,
    begun: bool,
}

/// When the answering side may start the calls of the other.
#[derive(Default)]
struct Starts {
    /// What calls whose arguments are here still wait for.
    waiting: BTreeMap<usize, BTreeSet<usize>>,
    finished: BTreeSet<usize>,
    chunks_missing: BTreeMap<usize, usize>,
    ready: BTreeMap<usize, usize>,
    last_ready: usize,
    last_ordered: usize,
}

struct Model {
    talk: Talk,
    made: [Vec<Made>; 2],
    /// By the side that made the calls.
    starts: [Starts; 2],
    expect: Expect,
}

impl talk::Model for Model {
    fn talk(&mut self) -> &mut Talk {
        &mut self.talk
    }

    fn step(&mut self) {
        let side = usize::from(self.talk.seeded.chance(30));
        match self.talk.seeded.below(100) {
            0..=29 => self.call(side),
            30..=44 => self.change_interest(side),
            45..=59 => {
                self.talk.send(side);
            }
            60..=79 => {
                let from = if self.talk.is_silent(side) { 1 - side } else { side };
                self.deliver(from);
            }
            80..=92 => self.finish_handler(side),
            93..=95 => self.talk.pass_time(),
            96..=97 => {
                let automatic = self.talk.seeded.chance(50);
                self.talk.note(format!("{side} automatic {automatic}"));
                self.talk.peer(side).automatic = automatic;
            }
            _ => {
                self.talk.send(side);
                self.deliver(side);
            }
        }
        self.observe();
    }

    fn finish(&mut self) {
        self.talk.note("the end");
        if self.talk.seeded.chance(40) {
            self.drop_everything();
            self.settle(Handlers::Left);
            self.check_cancelled();
        }
        self.settle(Handlers::Finished);
        for side in [0, 1] {
            for (at, made) in self.made[side].iter().enumerate() {
                assert!(!made.value || made.checked, "call {} of {side} never returned", at + 1);
            }
        }
        self.drop_everything();
        self.settle(Handlers::Finished);
        for side in [0, 1] {
            assert_eq!(
                self.talk.peer(side).session.stats(),
                SessionStats::default(),
                "{side} still holds something"
            );
            self.talk.peer(side).session.check_empty();
        }
        self.close();
    }
}

impl Model {
    fn new(seed: u64, limits: &Limits, expect: Expect, make: MakePair) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut pair = if seeded.chance(50) {
            make(limits.clone(), limits.clone())
        } else {
            make(Limits::default(), limits.clone())
        };
        pair.client.automatic = seeded.chance(50);
        pair.server.automatic = seeded.chance(50);
        Self { talk: Talk::new(seeded, pair), made: Default::default(), starts: Default::default(), expect }
    }

    // ---- one random step ----

    fn call(&mut self, side: usize) {
        let method = *self.talk.seeded.pick(&[
            ADD,
            ADD,
            ADD,
            ADD,
            STRUCTURED,
            STRUCTURED,
            MAYBE,
            BOTH,
            TEXT,
            LABEL,
            NOTE,
            ORDERED_ADD,
            ORDERED_ADD,
            GET,
            GET,
        ]);
        let slots: Vec<Slot> = match method {
            ADD | ORDERED_ADD => (0..2).map(|_| self.number_slot(side)).collect(),
            STRUCTURED => vec![self.small_number_slot(side)],
            MAYBE => vec![self.option_slot(side)],
            BOTH => vec![self.pair_slot(side)],
            TEXT => vec![self.text_slot(side)],
            LABEL => vec![self.text_slot(side), self.number_slot(side)],
            NOTE => vec![self.number_slot(side)],
            _ => match self.part_slot(side) {
                Some(slot) => vec![slot],
                None => return,
            },
        };
        let deadline = self.talk.seeded.chance(4).then(|| self.talk.pair.now + self.talk.milliseconds(40));
        self.make(side, method, slots, deadline);
    }

    fn make(&mut self, side: usize, method: u32, slots: Vec<Slot>, own_deadline: Option<Time>) {
        let id = self.made[side].len() + 1;
        let shown: Vec<String> = slots.iter().map(|slot| shown(&slot.arg)).collect();
        self.talk
            .note(format!("{side} call {id} method {method} ({}) until {own_deadline:?}", shown.join(", ")));
        let args: Vec<Arg> = slots.iter().map(|slot| slot.arg.clone()).collect();
        let call = if method == GET {
            let (base, path) = slots[0].uses[0].clone();
            let base = self.made[side][base - 1].call.clone();
            self.talk.peer(side).get(&base, path.steps())
        } else {
            self.talk.peer(side).call_until(method, &args, own_deadline)
        };
        assert_eq!(call.id, CallId(id as i64));
        let uses: Vec<(usize, Path)> = slots.iter().flat_map(|slot| slot.uses.iter().cloned()).collect();
        let bases = || uses.iter().map(|(base, _)| &self.made[side][base - 1]);
        let values: Option<Vec<Value>> = slots.iter().map(|slot| slot.value.clone()).collect();
        let deadline = bases().filter_map(|base| base.deadline).chain(own_deadline).min();
        let made = Made {
            call,
            method,
            arguments: values.as_ref().map(|values| values.iter().map(Value::bytes).collect()),
            misfit: slots.iter().any(|slot| slot.misfit),
            natural: values.map_or(Natural::Nothing, |values| natural(method, &values)),
            forced: None,
            deadline,
            late: deadline.map(|deadline| self.talk.pair.now.too_late(deadline)),
            depth: 1 + bases().map(|base| base.depth).max().unwrap_or(0),
            value: method != NOTE,
            reference: method != NOTE && method != GET,
            detached: method == NOTE,
            abandoned: method == NOTE,
            checked: false,
            begun: false,
            uses,
        };
        self.made[side].push(made);
    }

    /// An earlier call of this side whose result can be referred to.
    fn base(&mut self, side: usize, fits: impl Fn(&Made) -> bool) -> Option<usize> {
        let made = &self.made[side];
        let recent = made.len().saturating_sub(40);
        let depth_max = if self.expect == Expect::Refusals { usize::MAX } else { DEPTH_MAX };
        let candidates: Vec<usize> = (recent..made.len())
            .filter(|at| made[*at].reference && made[*at].depth < depth_max && fits(&made[*at]))
            .map(|at| at + 1)
            .collect();
        if candidates.is_empty() { None } else { Some(*self.talk.seeded.pick(&candidates)) }
    }

    fn reference(&self, side: usize, base: usize, path: Path, as_some: bool) -> Slot {
        let value = match &self.made[side][base - 1].natural {
            Natural::Value(value) => value.part(&path),
            Natural::Overflow | Natural::Nothing => None,
        };
        let value = match value {
            Some(value) if as_some => Some(Value::Maybe(Some(value.number()))),
            other => other,
        };
        let id = CallId(base as i64);
        let arg = if as_some { Arg::SomeOf(id, path.clone()) } else { Arg::Result(id, path.clone()) };
        Slot { arg, uses: vec![(base, path)], value, misfit: false }
    }

    fn literal(&mut self) -> u64 {
        if self.talk.seeded.chance(2) { 900_000 } else { self.talk.seeded.below(60) as u64 }
    }

    /// A call of a method that returns a number, or a number inside a structured result.
    fn number_place(&mut self, side: usize) -> Option<(usize, Path)> {
        let base = self.base(side, |made| !matches!(made.method, TEXT | NOTE | GET))?;
        let path = match self.made[side][base - 1].method {
            STRUCTURED => match self.talk.seeded.below(4) {
                0 | 1 => Path(vec![Step::Field(0)]),
                2 => Path(vec![Step::Field(1), Step::Some]),
                _ => Path(vec![Step::Field(2), Step::Index(self.talk.seeded.below(30) as u32)]),
            },
            _ => Path::whole(),
        };
        Some((base, path))
    }

    fn number_slot(&mut self, side: usize) -> Slot {
        let literal = self.literal();
        if self.talk.seeded.chance(1)
            && let Some(base) = self.base(side, |made| made.method != NOTE)
        {
            let misfit = self.reference(side, base, Path(vec![Step::Field(9)]), false);
            return Slot { misfit: true, ..misfit };
        }
        match self.number_place(side) {
            Some((base, path)) if self.talk.seeded.chance(70) => self.reference(side, base, path, false),
            _ => Slot::inline(Arg::Number(literal), Value::Number(literal)),
        }
    }

    /// A number that makes no long list.
    fn small_number_slot(&mut self, side: usize) -> Slot {
        let slot = self.number_slot(side);
        match slot.value {
            Some(Value::Number(number)) if number > 200 => {
                let number = number % 100;
                Slot::inline(Arg::Number(number), Value::Number(number))
            }
            _ => slot,
        }
    }

    fn option_slot(&mut self, side: usize) -> Slot {
        let structured = self.base(side, |made| made.method == STRUCTURED);
        match (self.talk.seeded.below(3), structured, self.number_place(side)) {
            (0, Some(base), _) => self.reference(side, base, Path(vec![Step::Field(1)]), false),
            (1, _, Some((base, path))) => self.reference(side, base, path, true),
            _ => {
                let maybe = self.talk.seeded.chance(50).then_some(7);
                Slot::inline(Arg::Bytes(encoded(&maybe).to_vec()), Value::Maybe(maybe))
            }
        }
    }

    fn pair_slot(&mut self, side: usize) -> Slot {
        let number = |made: &Made| matches!(made.method, ADD | ORDERED_ADD | MAYBE | BOTH);
        match (self.base(side, number), self.base(side, number)) {
            (Some(a), Some(b)) => {
                let value = |base: usize| match &self.made[side][base - 1].natural {
                    Natural::Value(value) => Some(value.number()),
                    Natural::Overflow | Natural::Nothing => None,
                };
                Slot {
                    arg: Arg::Pair(CallId(a as i64), CallId(b as i64)),
                    uses: vec![(a, Path::whole()), (b, Path::whole())],
                    value: value(a).zip(value(b)).map(|(a, b)| Value::Pair(a, b)),
                    misfit: false,
                }
            }
            _ => Slot::inline(Arg::Bytes(encoded(&(1_u64, 2_u64)).to_vec()), Value::Pair(1, 2)),
        }
    }

    fn text_slot(&mut self, side: usize) -> Slot {
        if self.talk.seeded.chance(40)
            && let Some(base) = self.base(side, |made| made.method == TEXT)
        {
            return self.reference(side, base, Path::whole(), false);
        }
        // Some fit into their frame just so; some travel in two or three chunks.
        let length = match self.talk.seeded.below(8) {
            0 => 60_000 + self.talk.seeded.below(13_000),
            1 => 74_000 + self.talk.seeded.below(120_000),
            _ => self.talk.seeded.below(2_000),
        };
        let bytes = encoded(&"t".repeat(length));
        Slot::inline(Arg::Bytes(bytes.to_vec()), Value::Text(bytes))
    }

    fn part_slot(&mut self, side: usize) -> Option<Slot> {
        let base = self.base(side, |made| made.method != NOTE)?;
        let path = match self.made[side][base - 1].method {
            STRUCTURED => self
                .talk
                .seeded
                .pick(&[
                    vec![Step::Field(0)],
                    vec![Step::Field(1)],
                    vec![Step::Field(1), Step::Some],
                    vec![Step::Field(2)],
                    vec![Step::Field(2), Step::Index(3)],
                ])
                .clone(),
            _ => Vec::new(),
        };
        Some(self.reference(side, base, Path(path), false))
    }

    /// A promise is awaited, given up, dropped or detached.
    fn change_interest(&mut self, side: usize) {
        let made = &self.made[side];
        let recent = made.len().saturating_sub(60);
        let live: Vec<usize> =
            (recent..made.len()).filter(|at| made[*at].value || made[*at].reference).collect();
        if live.is_empty() {
            return;
        }
        let at = *self.talk.seeded.pick(&live);
        let how = self.talk.seeded.below(10);
        self.talk.note(format!("{side} interest {} way {how}", at + 1));
        let call = self.made[side][at].call.clone();
        let made = &mut self.made[side][at];
        let undecided = made.value && call.outcome().is_none();
        match how {
            0..=3 => {
                made.reference = false;
                self.talk.peer(side).consume(&call);
            }
            4..=5 => {
                made.value = false;
                made.abandoned |= undecided;
                self.talk.peer(side).drop_value(&call);
            }
            6 => {
                made.detached = true;
                made.value &= call.outcome().is_some();
                made.reference = false;
                self.talk.peer(side).detach(&call);
            }
            _ => {
                made.value = false;
                made.reference = false;
                made.abandoned |= undecided;
                self.talk.peer(side).drop_promise(&call);
            }
        }
    }

    /// Delivers what `from` sent first.
    fn deliver(&mut self, from: usize) -> bool {
        let Some(message) = self.talk.deliver(from) else { return false };
        self.note_arrivals(from, &message);
        self.observe();
        true
    }

    fn finish_handler(&mut self, side: usize) {
        let open = self.talk.peer(side).open.len();
        if open == 0 {
            return;
        }
        let at = self.talk.seeded.below(open);
        self.finish_open(side, at);
    }

    fn finish_open(&mut self, side: usize, at: usize) {
        let begin = self.talk.peer(side).open.remove(at);
        let answer = begin.answer;
        let cancelled = self.talk.peer(side).cancelled.contains(&answer);
        let forced = match self.talk.seeded.below(20) {
            _ if cancelled => Some(Forced::Cancelled),
            0..=1 => Some(Forced::Error(encoded(&"e".repeat(self.talk.seeded.below(500))))),
            2 if self.talk.seeded.chance(20) => Some(Forced::Error(encoded(&"e".repeat(90_000)))),
            3 => Some(Forced::Panicked),
            _ => None,
        };
        self.talk.note(format!(
            "{side} finishes {} with {}",
            answer.0,
            if forced.is_some() { "failure" } else { "value" }
        ));
        let outcome = match &forced {
            None => natural_outcome(&begin),
            Some(Forced::Error(bytes)) => Outcome::Error(bytes.clone(), Vec::new()),
            Some(Forced::Panicked) => Outcome::Failed(Failure::Panicked),
            Some(Forced::Cancelled) => Outcome::Failed(Failure::Cancelled),
        };
        self.made[1 - side][answer.0 as usize - 1].forced = forced;
        self.talk.peer(side).finish_with(answer, outcome);
    }

    // ---- the order of starts ----

    fn note_arrivals(&mut self, from: usize, message: &[u8]) {
        let mut reader = FrameReader::new(SmallBytes::copy_from_slice(message));
        while let Some(frame) = reader.next_frame().expect("own frames are well formed") {
            match frame {
                Frame::Call(call) => match call.payload {
                    Payload::Inline(_) => self.note_arguments(from, call.id.0 as usize),
                    Payload::Chunked { total } => {
                        self.starts[from].chunks_missing.insert(call.id.0 as usize, total);
                    }
                },
                Frame::Chunk(chunk) if !chunk.of_return => {
                    let id = chunk.id.0 as usize;
                    let missing = self.starts[from].chunks_missing.get_mut(&id).expect("it was announced");
                    *missing -= chunk.bytes.len();
                    if *missing == 0 {
                        self.note_arguments(from, id);
                    }
                }
                _ => {}
            }
        }
    }

    fn note_arguments(&mut self, caller: usize, id: usize) {
        let starts = &mut self.starts[caller];
        let bases: BTreeSet<usize> = self.made[caller][id - 1]
            .uses
            .iter()
            .map(|(base, _)| *base)
            .filter(|base| !starts.finished.contains(base))
            .collect();
        starts.waiting.insert(id, bases);
        starts.note_ready();
    }

    /// Checks what happened to handlers and results since the last time.
    fn observe(&mut self) {
        for caller in [0, 1] {
            let history = std::mem::take(&mut self.talk.peer(1 - caller).history);
            for happened in history {
                match happened {
                    Happened::Begun { answer, method, arguments } => {
                        self.check_start(caller, answer.0 as usize, method, &arguments);
                    }
                    Happened::Finished { answer } => self.starts[caller].note_finished(answer.0 as usize),
                }
            }
            self.check_outcomes(caller);
        }
    }

    fn check_start(&mut self, caller: usize, id: usize, method: &str, arguments: &[SmallBytes]) {
        let made = &mut self.made[caller][id - 1];
        assert!(!made.begun, "call {id} of {caller} started twice");
        made.begun = true;
        assert_eq!(
            Some(arguments),
            made.arguments.as_deref(),
            "arguments of {method}, call {id} of {caller}"
        );
        let starts = &mut self.starts[caller];
        if made.method == ORDERED_ADD {
            assert!(id > starts.last_ordered, "call {id} of {caller} starts behind {}", starts.last_ordered);
            starts.last_ordered = id;
            return;
        }
        let ready = *starts.ready.get(&id).unwrap_or_else(|| panic!("call {id} of {caller} was not ready"));
        assert!(
            ready > starts.last_ready,
            "call {id} of {caller} was ready before one that started before it"
        );
        starts.last_ready = ready;
    }

    // ---- outcomes ----

    fn check_outcomes(&mut self, side: usize) {
        for at in 0..self.made[side].len() {
            let made = &self.made[side][at];
            if made.checked {
                continue;
            }
            let Some(outcome) = made.call.outcome() else { continue };
            assert!(!made.abandoned, "call {} of {side} was given up and returned {outcome:?}", at + 1);
            assert!(self.may_be(side, at + 1, &outcome), "call {} of {side} returned {outcome:?}", at + 1);
            self.made[side][at].checked = true;
        }
    }

    /// Whether the model has an explanation for this outcome.
    fn may_be(&self, side: usize, id: usize, outcome: &Returned<TestCall>) -> bool {
        let made = &self.made[side][id - 1];
        match outcome {
            Returned::Done | Returned::Element(_) | Returned::Misuse(_) | Returned::Disconnected { .. } => {
                false
            }
            Returned::Value(bytes) => {
                made.forced.is_none()
                    && matches!(&made.natural, Natural::Value(value) if value.bytes() == bytes.bytes)
                    && made.uses.iter().all(|(base, _)| self.made[side][base - 1].forced.is_none())
            }
            Returned::Error(bytes) => match &made.forced {
                Some(Forced::Error(forced)) => *forced == bytes.bytes,
                Some(_) => false,
                None => matches!(made.natural, Natural::Overflow) && bytes.bytes == encoded(&"overflow"),
            },
            Returned::Failed(Failure::DeadlineExceeded) => {
                let is_late = made.late.is_some_and(|late| !made.begun && late <= self.talk.pair.now);
                is_late || made.deadline.is_some_and(|deadline| deadline <= self.talk.pair.now)
            }
            Returned::Failed(Failure::ResourceExhausted(_)) => self.expect == Expect::Refusals,
            Returned::Failed(Failure::InvalidReference { .. }) => made.misfit,
            Returned::Failed(Failure::Panicked) => matches!(made.forced, Some(Forced::Panicked)),
            Returned::Failed(_) => false,
            Returned::Upstream { origin, cause: OriginCause::Missed(path) } => {
                let origin = origin.id.0 as usize;
                made.uses.iter().any(|(base, used)| *base == origin && used == path)
                    && matches!(&self.made[side][origin - 1].natural, Natural::Value(value) if value.part(path).is_none())
            }
            Returned::Upstream { origin, cause: OriginCause::Failed(failure) } => {
                let direct = !matches!(&**failure, Returned::Upstream { cause: OriginCause::Failed(_), .. });
                let origin = origin.id.0 as usize;
                direct && self.is_built_on(side, id, origin) && self.may_be(side, origin, failure)
            }
        }
    }

    fn is_built_on(&self, side: usize, id: usize, origin: usize) -> bool {
        is_built_on(id, origin, |id| self.made[side][id - 1].uses.iter().map(|(base, _)| *base))
    }

    // ---- the end ----

    fn drop_everything(&mut self) {
        for side in [0, 1] {
            for at in 0..self.made[side].len() {
                let made = &mut self.made[side][at];
                let call = made.call.clone();
                made.abandoned |= made.value && call.outcome().is_none();
                if made.value || made.reference {
                    made.value = false;
                    made.reference = false;
                    self.talk.peer(side).drop_promise(&call);
                }
            }
        }
    }

    /// Lets everything happen that can: messages, handlers, time.
    fn settle(&mut self, handlers: Handlers) {
        for round in 0.. {
            assert!(round < 10_000, "the conversation does not come to an end");
            let mut moved = false;
            for side in [0, 1] {
                while self.talk.send(side) {
                    moved = true;
                }
                while self.deliver(side) {
                    moved = true;
                }
                self.observe();
                if handlers == Handlers::Finished && !self.talk.peer(side).open.is_empty() {
                    self.finish_open(side, 0);
                    self.observe();
                    moved = true;
                }
            }
            if !moved && !self.talk.skip_time() {
                return;
            }
        }
    }

    /// With every promise gone, the only handlers not told to stop are those that nobody had to wait for.
    fn check_cancelled(&mut self) {
        for caller in [0, 1] {
            let mut needed = BTreeSet::new();
            for id in (1..=self.made[caller].len()).rev() {
                let made = &self.made[caller][id - 1];
                if made.detached || needed.contains(&id) {
                    needed.insert(id);
                    needed.extend(made.uses.iter().map(|(base, _)| *base));
                }
            }
            let answerer = self.talk.peer(1 - caller);
            for begin in &answerer.open {
                let id = begin.answer.0 as usize;
                assert!(
                    needed.contains(&id) || answerer.cancelled.contains(&begin.answer),
                    "call {id} of {caller} goes on for nobody"
                );
            }
        }
    }

    /// A graceful close of two idle sessions completes.
    fn close(&mut self) {
        let now = self.talk.pair.now;
        let until = now + Duration::from_secs(30);
        let first = self.talk.seeded.below(2);
        self.talk.peer(first).session.close(now, until, 1000, "", false);
        self.settle(Handlers::Finished);
        for side in [0, 1] {
            assert!(self.talk.peer(side).session.close_complete(), "{side} does not close");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Handlers {
    Left,
    Finished,
}

impl Starts {
    fn note_finished(&mut self, id: usize) {
        self.finished.insert(id);
        for bases in self.waiting.values_mut() {
            bases.remove(&id);
        }
        self.note_ready();
    }

    /// What waits for nothing is ready, in the order made.
    fn note_ready(&mut self) {
        let ready: Vec<usize> =
            self.waiting.iter().filter(|(_, bases)| bases.is_empty()).map(|(id, _)| *id).collect();
        for id in ready {
            self.waiting.remove(&id);
            let place = self.ready.len() + 1;
            self.ready.insert(id, place);
        }
    }
}

fn natural(method: u32, values: &[Value]) -> Natural {
    Natural::Value(match (method, values) {
        (ADD | ORDERED_ADD, [Value::Number(a), Value::Number(b)]) if a + b > 1_000_000 => {
            return Natural::Overflow;
        }
        (ADD | ORDERED_ADD, [Value::Number(a), Value::Number(b)]) => Value::Number(a + b),
        (STRUCTURED, [Value::Number(seed)]) => Value::Structured(*seed),
        (MAYBE, [Value::Maybe(maybe)]) => Value::Number(maybe.unwrap_or_default()),
        (BOTH, [Value::Pair(a, b)]) => Value::Number(a + b),
        (LABEL, [Value::Text(text), Value::Number(number)]) => Value::Number(text.len() as u64 + number),
        (TEXT | GET, [value]) => value.clone(),
        (NOTE, [_]) => return Natural::Nothing,
        other => panic!("no method takes {other:?}"),
    })
}

fn shown(arg: &Arg) -> String {
    match arg {
        Arg::Number(number) => number.to_string(),
        Arg::Result(base, path) => format!("#{} {path}", base.0),
        Arg::SomeOf(base, path) => format!("some of #{} {path}", base.0),
        Arg::Pair(a, b) => format!("(#{}, #{})", a.0, b.0),
        Arg::Bytes(bytes) => format!("{} bytes", bytes.len()),
    }
}
