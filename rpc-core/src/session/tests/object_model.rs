//! Random conversations about objects, checked against a model that only knows who was given which object.
//!
//! The model follows identities: which object a handle, an argument, a target or a part of a result stands for. The
//! sessions know ids, introductions and handles instead. Every handle that is found must lead to the object that the
//! model says, which must be alive; and when nobody holds anything, nothing is left and every object was dropped once.
//! Both peers are honest, so a violation is a failure whatever the seed.

#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small or meant to be cut")]

use std::collections::BTreeSet;

use super::{
    pair::{COUNT, MakePair, ONE, Pair, THING_NOTE, TestCall, TestPeer, WORK, encoded},
    talk::{self, Talk, is_built_on},
    things::{Gift, Item, THING, Things, Trouble, argument, places},
};
use crate::{
    caller::stub::{Kind, Remote, RemoteTarget, Stub},
    codec::DecodeBudget,
    handler::encoding,
    limits::Limits,
    path::{Path, Step},
    seeded::Seeded,
    session::{
        events::{Begin, SessionStats},
        inputs::CallTarget,
    },
    time::Time,
    value::{
        encoded::{Encoded, Passing},
        outcome::Outcome,
        returned::{OriginCause, Returned},
    },
    wire::{CallId, Failure, METHOD_GET, MethodNumber, arguments},
};

/// Conversations of an ordinary test run, and steps of each; raise the first for a longer search.
const CONVERSATIONS: u64 = 500;
const STEPS: usize = 250;
/// A side that holds more handles drops some.
const HOLDS_MAX: usize = 24;
/// Calls wait on each other no deeper than this where refusals are not expected.
const DEPTH_MAX: usize = 40;
const GET: u32 = 0;

#[test]
fn handles_lead_to_the_objects_they_were_made_for_and_nothing_is_left() {
    let limits = Limits::default();
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &limits, Expect::NoRefusals, Pair::with_limits));
}

#[test]
fn handles_survive_sockets_that_are_cut() {
    let limits = Limits::default();
    (1..=CONVERSATIONS).for_each(|seed| converse(seed, &limits, Expect::NoRefusals, Pair::resumable));
}

#[test]
fn tight_limits_refuse_objects_but_never_lose_or_leak_them() {
    let limits = |seed: u64| Limits {
        exports_max: 1 + (seed % 9) as usize,
        imports_max: 1 + (seed % 7) as usize,
        calls_max: 1 + (seed % 6) as usize,
        held_answers_max: 2 + (seed % 5) as usize,
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

// ---- the model: what was given to whom ----

/// What a handler ended with; objects by their serial numbers.
#[derive(Clone, Debug)]
enum Ended {
    Gift { item: usize, list: Vec<usize>, maybe: Option<usize> },
    Item(usize),
    Number,
    Nothing,
    Trouble(Vec<usize>),
    Failed(Failure),
}

/// A part of a result.
#[derive(Debug, PartialEq)]
enum Part {
    Item(usize),
    List(Vec<usize>),
}

impl Ended {
    fn part(&self, path: &Path) -> Option<Part> {
        match (self, path.steps()) {
            (Self::Item(item), []) | (Self::Gift { item, .. }, [Step::Field(1)]) => Some(Part::Item(*item)),
            (Self::Gift { list, .. }, [Step::Field(2)]) => Some(Part::List(list.clone())),
            (Self::Gift { list, .. }, [Step::Field(2), Step::Index(at)]) => {
                list.get(*at as usize).copied().map(Part::Item)
            }
            (Self::Gift { maybe, .. }, [Step::Field(3), Step::Some]) => maybe.map(Part::Item),
            _ => None,
        }
    }

    fn is_value(&self) -> bool {
        matches!(self, Self::Gift { .. } | Self::Item(_) | Self::Number | Self::Nothing)
    }
}

/// An object in a call.
#[derive(Clone, Debug)]
enum Named {
    Settled(usize),
    Promised(usize, Path),
}

/// What a call was told about its arguments.
enum Given {
    Nothing,
    List(Vec<Named>),
    /// One argument that is a part of a result.
    Part(usize, Path),
}

struct Made {
    call: TestCall,
    method: u32,
    target: Option<Named>,
    given: Given,
    uses: Vec<(usize, Path)>,
    misfit: bool,
    ended: Option<Ended>,
    deadline: Option<Time>,
    /// From when on it is not started any more.
    late: Option<Time>,
    depth: usize,
    value: bool,
    reference: bool,
    abandoned: bool,
    checked: bool,
    begun: bool,
}

/// A handle that a side holds.
struct Hold {
    what: usize,
    stub: Stub,
}

/// A handler at work.
struct Opened {
    begin: Begin,
    target: Option<usize>,
    items: Vec<Hold>,
}

struct Model {
    talk: Talk,
    limits: [Limits; 2],
    make: MakePair,
    things: Things,
    made: [Vec<Made>; 2],
    holds: [Vec<Hold>; 2],
    /// By the side that answers.
    opened: [Vec<Opened>; 2],
    expect: Expect,
    taken: usize,
}

impl talk::Model for Model {
    fn talk(&mut self) -> &mut Talk {
        &mut self.talk
    }

    fn step(&mut self) {
        self.taken += 1;
        let side = usize::from(self.talk.seeded.chance(40));
        match self.talk.seeded.below(1_000) {
            0..=259 => self.call(side),
            260..=359 => self.change_interest(side),
            360..=459 => self.change_holds(side),
            460..=599 => {
                self.talk.send(side);
            }
            600..=779 => {
                let from = if self.talk.is_silent(side) { 1 - side } else { side };
                self.deliver(from);
            }
            780..=919 => self.finish_handler(side),
            920..=949 => self.talk.pass_time(),
            950..=996 => {
                self.talk.send(side);
                self.deliver(side);
            }
            _ => self.cut(),
        }
        // Handles may be dropped on any thread; the session hears of it when its driver gets to it.
        for side in [0, 1] {
            if self.talk.seeded.chance(60) {
                self.talk.peer(side).feed_drops();
            }
        }
        self.observe();
    }

    fn finish(&mut self) {
        self.talk.note("the end");
        if self.talk.seeded.chance(40) {
            self.drop_promises();
        }
        if self.talk.seeded.chance(40) {
            self.drop_handles();
        }
        self.settle();
        for side in [0, 1] {
            for (at, made) in self.made[side].iter().enumerate() {
                assert!(!made.value || made.checked, "call {} of {side} never returned", at + 1);
            }
        }
        self.drop_promises();
        self.drop_handles();
        self.settle();
        // Handlers that finished meanwhile have kept something.
        self.drop_handles();
        self.settle();
        for side in [0, 1] {
            let stats = self.talk.peer(side).session.stats();
            assert_eq!(stats, SessionStats::default(), "{side} still holds something");
            self.talk.peer(side).session.check_empty();
        }
        self.check_who_lives();
        self.holds = Default::default();
        self.check_who_lives();
    }
}

impl Model {
    fn new(seed: u64, limits: &Limits, expect: Expect, make: MakePair) -> Self {
        let mut seeded = Seeded::new(seed);
        let client = if seeded.chance(50) { limits.clone() } else { Limits::default() };
        let limits = [client, limits.clone()];
        let pair = make(limits[0].clone(), limits[1].clone());
        Self {
            talk: Talk::new(seeded, pair),
            limits,
            make,
            things: Things::default(),
            made: Default::default(),
            holds: Default::default(),
            opened: Default::default(),
            expect,
            taken: 0,
        }
    }

    fn there(&self, side: usize) -> &TestPeer {
        if side == 0 { &self.talk.pair.server } else { &self.talk.pair.client }
    }

    // ---- one random step ----

    fn call(&mut self, side: usize) {
        let method = *self.talk.seeded.pick(&[WORK, WORK, WORK, WORK, ONE, ONE, ONE, COUNT, THING_NOTE, GET]);
        let mut made = Making::default();
        let (target, target_named) =
            if method == GET { (CallTarget::Root, None) } else { self.target(side, &mut made) };
        let given = match method {
            WORK => {
                let pad = match self.talk.seeded.below(40) {
                    0 => 74_000 + self.talk.seeded.below(120_000),
                    1 => 60_000 + self.talk.seeded.below(13_000),
                    _ => self.talk.seeded.below(300),
                };
                made.inline(&"p".repeat(pad));
                match self.list_place(side) {
                    Some((base, path)) if self.talk.seeded.chance(25) => made.refer(base, path),
                    _ => self.inline_list(side, &mut made),
                }
            }
            ONE => match self.object_place(side) {
                Some((base, path)) if self.talk.seeded.chance(30) => made.refer(base, path),
                _ => {
                    let named = self.named(side, &mut made);
                    made.inline(&0_u32);
                    Given::List(vec![named])
                }
            },
            COUNT => {
                made.inline(&self.talk.seeded.next());
                Given::Nothing
            }
            GET => {
                let list = self.talk.seeded.chance(30);
                let place = if list { self.list_place(side) } else { self.object_place(side) };
                let Some((base, path)) = place else { return };
                made.refer(base, path)
            }
            _ => self.inline_list(side, &mut made),
        };
        let own_deadline =
            self.talk.seeded.chance(5).then(|| self.talk.pair.now + self.talk.milliseconds(40));
        self.make(side, method, made, target, target_named, given, own_deadline);
    }

    #[expect(clippy::too_many_arguments, reason = "a call in its parts")]
    fn make(
        &mut self,
        side: usize,
        number: u32,
        making: Making,
        target: CallTarget,
        target_named: Option<Named>,
        given: Given,
        own_deadline: Option<Time>,
    ) {
        let id = self.made[side].len() + 1;
        let Making { slots, payload: body, objects, uses, misfit } = making;
        let mut payload = vec![slots];
        payload.extend(body);
        let bases: Vec<CallId> = uses.iter().map(|(base, _)| CallId(*base as i64)).collect();
        self.talk.note(format!(
            "{side} call {id} method {number} on {target_named:?} with {} objects, {} bytes, built on {uses:?} until {own_deadline:?}",
            objects.len(),
            payload.len(),
        ));
        let of = |base: &usize| &self.made[side][base - 1];
        let deadline = uses.iter().filter_map(|(base, _)| of(base).deadline).chain(own_deadline).min();
        let depth = 1 + uses.iter().map(|(base, _)| of(base).depth).max().unwrap_or(0);
        let wire_number = if number == GET { METHOD_GET } else { MethodNumber(number) };
        let peer = self.talk.peer(side);
        let call = peer.call_with(wire_number, target, objects, payload, bases, own_deadline);
        if number == GET {
            peer.release(&call);
        }
        assert_eq!(call.id, CallId(id as i64));
        let is_oneway = number == THING_NOTE;
        self.made[side].push(Made {
            call,
            method: number,
            target: target_named,
            given,
            uses,
            misfit,
            ended: None,
            deadline,
            late: deadline.map(|deadline| self.talk.pair.now.too_late(deadline)),
            depth,
            value: !is_oneway,
            reference: !is_oneway && number != GET,
            abandoned: is_oneway,
            checked: false,
            begun: false,
        });
    }

    /// An earlier call of this side whose result can be referred to.
    fn base(&mut self, side: usize, fits: impl Fn(&Made) -> bool) -> Option<usize> {
        let made = &self.made[side];
        let recent = made.len().saturating_sub(30);
        let depth_max = if self.expect == Expect::Refusals { usize::MAX } else { DEPTH_MAX };
        let candidates: Vec<usize> = (recent..made.len())
            .filter(|at| made[*at].reference && made[*at].depth < depth_max && fits(&made[*at]))
            .map(|at| at + 1)
            .collect();
        if candidates.is_empty() { None } else { Some(*self.talk.seeded.pick(&candidates)) }
    }

    /// Where an object will be in a result.
    fn object_place(&mut self, side: usize) -> Option<(usize, Path)> {
        let base = self.base(side, |made| matches!(made.method, WORK | ONE))?;
        let path = match self.made[side][base - 1].method {
            ONE => Vec::new(),
            _ => match self.talk.seeded.below(4) {
                0 => vec![Step::Field(3), Step::Some],
                1 => vec![Step::Field(2), Step::Index(self.talk.seeded.below(3) as u32)],
                _ => vec![Step::Field(1)],
            },
        };
        Some((base, Path(path)))
    }

    fn list_place(&mut self, side: usize) -> Option<(usize, Path)> {
        Some((self.base(side, |made| made.method == WORK)?, Path(vec![Step::Field(2)])))
    }

    fn target(&mut self, side: usize, making: &mut Making) -> (CallTarget, Option<Named>) {
        if self.talk.seeded.chance(2)
            && let Some(base) = self.base(side, |made| made.method == COUNT)
        {
            making.misfit = true;
            making.uses.push((base, Path::whole()));
            return (
                CallTarget::Result(CallId(base as i64), Path::whole()),
                Some(Named::Promised(base, Path::whole())),
            );
        }
        let promised = if self.talk.seeded.chance(45) { self.object_place(side) } else { None };
        if let Some((base, path)) = promised {
            making.uses.push((base, path.clone()));
            return (
                CallTarget::Result(CallId(base as i64), path.clone()),
                Some(Named::Promised(base, path)),
            );
        }
        let imports: Vec<usize> = (0..self.holds[side].len())
            .filter(|at| import_of(&self.holds[side][*at].stub).is_some())
            .collect();
        if imports.is_empty() || self.talk.seeded.chance(20) {
            return (CallTarget::Root, None);
        }
        let hold = &self.holds[side][*self.talk.seeded.pick(&imports)];
        match import_of(&hold.stub) {
            Some(import) => (CallTarget::Import(import), Some(Named::Settled(hold.what))),
            None => (CallTarget::Root, None),
        }
    }

    fn inline_list(&mut self, side: usize, making: &mut Making) -> Given {
        let count = self.talk.seeded.below(4);
        let mut named = Vec::new();
        let before = making.objects.len();
        for _ in 0..count {
            if let Some(Named::Settled(what)) = named.last().cloned()
                && self.talk.seeded.chance(20)
            {
                // The same once more in the same table.
                making.objects.extend(making.objects.last().cloned());
                named.push(Named::Settled(what));
            } else {
                named.push(self.named(side, making));
            }
        }
        let list = making.objects.split_off(before);
        let places = places(&mut making.objects, list);
        making.inline(&places);
        Given::List(named)
    }

    /// An object for an argument; its entry is appended to the table.
    fn named(&mut self, side: usize, making: &mut Making) -> Named {
        let promised = if self.talk.seeded.chance(30) { self.object_place(side) } else { None };
        if let Some((base, path)) = promised {
            making.uses.push((base, path.clone()));
            making.objects.push(Passing::Result(CallId(base as i64), path.clone()));
            return Named::Promised(base, path);
        }
        let Hold { what, stub } = self.some_object(side);
        let passing = self.talk.peer(side).passing(&stub);
        making.objects.push(passing);
        Named::Settled(what)
    }

    /// A handle that the side holds, or a new object.
    fn some_object(&mut self, side: usize) -> Hold {
        let held = self.holds[side].len();
        if held > 0 && self.talk.seeded.chance(60) {
            let Hold { what, stub } = &self.holds[side][self.talk.seeded.below(held)];
            return Hold { what: *what, stub: stub.clone() };
        }
        let (what, stub) = self.things.make(&THING);
        if self.talk.seeded.chance(50) {
            self.hold(side, Hold { what, stub: stub.clone() });
        }
        Hold { what, stub }
    }

    fn hold(&mut self, side: usize, hold: Hold) {
        if self.holds[side].len() >= HOLDS_MAX {
            let at = self.talk.seeded.below(HOLDS_MAX);
            self.holds[side].swap_remove(at);
        }
        self.holds[side].push(hold);
    }

    fn change_holds(&mut self, side: usize) {
        let held = self.holds[side].len();
        if held == 0 {
            return;
        }
        let at = self.talk.seeded.below(held);
        if self.talk.seeded.chance(30) {
            let Hold { what, stub } = &self.holds[side][at];
            let (what, stub) = (*what, stub.clone());
            self.talk.note(format!("{side} clones {what}"));
            self.hold(side, Hold { what, stub });
        } else {
            let hold = self.holds[side].swap_remove(at);
            self.talk.note(format!("{side} drops {}", hold.what));
        }
    }

    /// A promise is awaited, given up or dropped.
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
        let undecided = made.value && !made.checked;
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
        let Some(_) = self.talk.deliver(from) else { return false };
        self.observe();
        true
    }

    // ---- handlers ----

    fn finish_handler(&mut self, side: usize) {
        let open = self.opened[side].len();
        if open > 0 {
            let at = self.talk.seeded.below(open);
            self.finish_open(side, at);
        }
    }

    fn finish_open(&mut self, side: usize, at: usize) {
        let Opened { begin, items, target } = self.opened[side].remove(at);
        let answer = begin.answer;
        let is_cancelled = self.talk.peer(side).cancelled.contains(&answer);
        let (ended, outcome) = match self.talk.seeded.below(20) {
            _ if is_cancelled && self.talk.seeded.chance(50) => failed(Failure::Cancelled),
            0 => failed(Failure::Panicked),
            1..=2 => self.trouble(side, &begin, &items),
            _ => self.natural(side, &begin, &items),
        };
        self.talk.note(format!("{side} finishes {} with {ended:?}", answer.0));
        self.made[1 - side][answer.0 as usize - 1].ended = Some(ended);
        // Some of what came in the arguments stays, the rest goes with the handler; before or after it finishes.
        for item in items {
            if self.talk.seeded.chance(40) {
                self.hold(side, item);
            }
        }
        if self.talk.seeded.chance(50) {
            drop(begin);
            self.talk.peer(side).finish_with(answer, outcome);
        } else {
            self.talk.peer(side).finish_with(answer, outcome);
            drop(begin);
        }
        let _ = target;
    }

    fn pad(&mut self) -> String {
        let length = if self.talk.seeded.chance(2) { 74_000 + self.talk.seeded.below(80_000) } else { 3 };
        "r".repeat(length)
    }

    /// Something to return: what came in the arguments, what is held, or something new.
    fn returned(&mut self, side: usize, items: &[Hold]) -> Hold {
        if !items.is_empty() && self.talk.seeded.chance(40) {
            let Hold { what, stub } = self.talk.seeded.pick(items);
            return Hold { what: *what, stub: stub.clone() };
        }
        self.some_object(side)
    }

    fn returned_list(&mut self, side: usize, items: &[Hold]) -> (Vec<usize>, Vec<Item>) {
        let count = self.talk.seeded.below(4);
        let list = (0..count).map(|_| self.returned(side, items));
        list.map(|hold| (hold.what, Item(hold.stub))).unzip()
    }

    fn natural(&mut self, side: usize, begin: &Begin, items: &[Hold]) -> (Ended, Outcome) {
        match begin.descriptor.name {
            "work" => {
                let item = self.returned(side, items);
                let (what, list) = self.returned_list(side, items);
                let maybe = if self.talk.seeded.chance(60) { Some(self.returned(side, items)) } else { None };
                let ended =
                    Ended::Gift { item: item.what, list: what, maybe: maybe.as_ref().map(|hold| hold.what) };
                let gift = Gift {
                    tag: 7,
                    item: Item(item.stub),
                    list,
                    maybe: maybe.map(|hold| Item(hold.stub)),
                    pad: self.pad(),
                };
                (ended, self.outcome::<Gift>(side, begin, Ok(gift)))
            }
            "one" => {
                let item = self.returned(side, items);
                (Ended::Item(item.what), self.outcome(side, begin, Ok(Item(item.stub))))
            }
            "count" => (Ended::Number, self.outcome(side, begin, Ok(5_u64))),
            _ => (Ended::Nothing, self.outcome(side, begin, Ok(()))),
        }
    }

    fn trouble(&mut self, side: usize, begin: &Begin, items: &[Hold]) -> (Ended, Outcome) {
        let (what, items) = self.returned_list(side, items);
        let trouble = Trouble { items, pad: self.pad() };
        (Ended::Trouble(what), self.outcome::<()>(side, begin, Err(trouble)))
    }

    fn outcome<T: serde::Serialize + Send + 'static>(
        &mut self,
        side: usize,
        begin: &Begin,
        result: Result<T, Trouble>,
    ) -> Outcome {
        encoding::outcome(result, begin.descriptor, begin.want, &self.talk.peer(side).home.handle.link)
    }

    // ---- what is seen ----

    /// Checks what happened to handlers and results since the last time, and every handle there is.
    fn observe(&mut self) {
        for side in [0, 1] {
            for begin in std::mem::take(&mut self.talk.peer(side).open) {
                self.check_start(side, begin);
            }
            self.talk.peer(side).history.clear();
            self.talk.peer(side).log.clear();
        }
        for side in [0, 1] {
            self.check_outcomes(side);
        }
        for side in [0, 1] {
            for Hold { what, stub } in &self.holds[side] {
                self.things.check_identity(*what, stub, self.there(side));
            }
            for Opened { items, target, begin } in &self.opened[side] {
                self.things.check_target(*target, &begin.target, self.there(side));
                for Hold { what, stub } in items {
                    self.things.check_identity(*what, stub, self.there(side));
                }
            }
        }
    }

    /// The object that the model expects in a place of a call of `caller`.
    fn expected(&self, caller: usize, named: &Named) -> usize {
        match named {
            Named::Settled(what) => *what,
            Named::Promised(base, path) => match self.part(caller, *base, path) {
                Part::Item(what) => what,
                Part::List(_) => panic!("a list is no object"),
            },
        }
    }

    fn part(&self, caller: usize, base: usize, path: &Path) -> Part {
        let ended = self.made[caller][base - 1].ended.as_ref();
        let ended = ended.unwrap_or_else(|| panic!("call {base} of {caller} has not ended"));
        ended.part(path).unwrap_or_else(|| panic!("call {base} of {caller} has nothing at {path}"))
    }

    fn check_start(&mut self, side: usize, begin: Begin) {
        let caller = 1 - side;
        let id = begin.answer.0 as usize;
        let made = &self.made[caller][id - 1];
        assert!(!made.begun, "call {id} of {caller} started twice");
        let target = made.target.as_ref().map(|named| self.expected(caller, named));
        let expected = match &made.given {
            Given::Nothing => Vec::new(),
            Given::List(list) => list.iter().map(|named| self.expected(caller, named)).collect(),
            Given::Part(base, path) => match self.part(caller, *base, path) {
                Part::Item(what) => vec![what],
                Part::List(list) => list,
            },
        };
        let peer = if side == 0 { &self.talk.pair.client } else { &self.talk.pair.server };
        let found = match begin.descriptor.name {
            "work" => argument::<Vec<Item>>(peer, &begin, 1),
            "one" => argument::<Item>(peer, &begin, 0).map(|item| vec![item]),
            "note" => argument::<Vec<Item>>(peer, &begin, 0),
            _ => Ok(Vec::new()),
        };
        let found = found.unwrap_or_else(|error| panic!("arguments of call {id} of {caller}: {error}"));
        assert_eq!(found.len(), expected.len(), "objects in call {id} of {caller}");
        let items = found.into_iter().zip(expected).map(|(item, what)| Hold { what, stub: item.0 }).collect();
        self.opened[side].push(Opened { begin, target, items });
        self.made[caller][id - 1].begun = true;
    }

    fn check_outcomes(&mut self, side: usize) {
        let recent = self.made[side].len().saturating_sub(400);
        for at in recent..self.made[side].len() {
            let made = &self.made[side][at];
            let Some(outcome) = made.call.take_outcome() else { continue };
            assert!(!made.checked, "call {} of {side} returned twice", at + 1);
            assert!(!made.abandoned, "call {} of {side} was given up and returned {outcome:?}", at + 1);
            assert!(self.may_be(side, at + 1, &outcome), "call {} of {side} returned {outcome:?}", at + 1);
            self.made[side][at].checked = true;
            self.take(side, at + 1, outcome);
        }
    }

    /// Decodes what came, checks what it is, and keeps some of it.
    fn take(&mut self, side: usize, id: usize, outcome: Returned<TestCall>) {
        let made = &self.made[side][id - 1];
        let ended = if made.method == GET {
            let (base, path) = made.uses[0].clone();
            if let Returned::Value(_) = outcome {
                match self.part(side, base, &path) {
                    Part::Item(what) => Some(Ended::Item(what)),
                    Part::List(list) => Some(Ended::Trouble(list)),
                }
            } else {
                None
            }
        } else {
            made.ended.clone()
        };
        let (expected, found): (Vec<usize>, Vec<Item>) = match (outcome, ended) {
            (Returned::Value(value), Some(Ended::Gift { item, list, maybe })) => {
                let gift: Gift = self.decode(side, &value);
                assert_eq!(gift.maybe.is_some(), maybe.is_some());
                let expected = [item].into_iter().chain(list).chain(maybe).collect();
                (expected, [gift.item].into_iter().chain(gift.list).chain(gift.maybe).collect())
            }
            (Returned::Value(value), Some(Ended::Item(item))) => {
                (vec![item], vec![self.decode(side, &value)])
            }
            // A list that was asked for.
            (Returned::Value(value), Some(Ended::Trouble(list))) => (list, self.decode(side, &value)),
            (Returned::Error(error), Some(Ended::Trouble(list))) => {
                let trouble: Trouble = self.decode(side, &error);
                (list, trouble.items)
            }
            _ => return,
        };
        assert_eq!(found.len(), expected.len(), "objects in the result of call {id} of {side}");
        for (item, what) in found.into_iter().zip(expected) {
            self.things.check_identity(what, &item.0, self.there(side));
            if self.talk.seeded.chance(50) {
                self.hold(side, Hold { what, stub: item.0 });
            }
        }
    }

    fn decode<T: serde::de::DeserializeOwned + 'static>(&mut self, side: usize, encoded: &Encoded) -> T {
        let budget = DecodeBudget::from(&Limits::default());
        let handle = std::sync::Arc::clone(&self.talk.peer(side).home.handle);
        encoded.decode(&handle, budget).unwrap_or_else(|error| panic!("a result of {side}: {error}"))
    }

    /// Whether the model has an explanation for this outcome.
    fn may_be(&self, side: usize, id: usize, outcome: &Returned<TestCall>) -> bool {
        let made = &self.made[side][id - 1];
        let ended = made.ended.as_ref();
        match outcome {
            Returned::Done | Returned::Element(_) | Returned::Misuse(_) | Returned::Disconnected { .. } => {
                false
            }
            Returned::Value(_) if made.method == GET => {
                let (base, path) = &made.uses[0];
                self.made[side][base - 1].ended.as_ref().is_some_and(|ended| ended.part(path).is_some())
            }
            Returned::Value(_) => ended.is_some_and(Ended::is_value),
            Returned::Error(_) => matches!(ended, Some(Ended::Trouble(_))),
            Returned::Failed(Failure::DeadlineExceeded) => {
                let is_late = made.late.is_some_and(|late| !made.begun && late <= self.talk.pair.now);
                is_late || made.deadline.is_some_and(|deadline| deadline <= self.talk.pair.now)
            }
            Returned::Failed(Failure::ResourceExhausted(_)) => self.expect == Expect::Refusals,
            Returned::Failed(Failure::InvalidReference { argument, .. }) => {
                made.misfit && argument == "(target)"
            }
            Returned::Failed(failure) => {
                matches!(ended, Some(Ended::Failed(forced)) if forced == failure)
                    && *failure != Failure::Cancelled
            }
            Returned::Upstream { origin, cause: OriginCause::Missed(path) } => {
                let origin = origin.id.0 as usize;
                let ended = self.made[side][origin - 1].ended.as_ref();
                made.uses.iter().any(|(base, used)| *base == origin && used == path)
                    && ended.is_some_and(|ended| ended.is_value() && ended.part(path).is_none())
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

    /// The socket breaks: both sides abandon everything. Objects that somebody holds live on, in the next session too.
    fn cut(&mut self) {
        self.talk.note("the session is cut");
        for side in [0, 1] {
            self.talk.peer(side).session.abandon_calls();
            self.talk.peer(side).session.abandon_objects();
            let stats = self.talk.peer(side).session.stats();
            assert_eq!(stats.exports, 0, "{side} still exports");
        }
        for side in [0, 1] {
            self.opened[side].clear();
            self.made[side].clear();
            self.talk.lose_messages(side);
            self.holds[side].retain(|hold| import_of(&hold.stub).is_none());
        }
        self.talk.pair = (self.make)(self.limits[0].clone(), self.limits[1].clone());
        self.check_who_lives();
    }

    /// Who is held on its own side is alive and released; all others were dropped, once.
    fn check_who_lives(&self) {
        let held: BTreeSet<usize> = self.holds.iter().flatten().map(|hold| hold.what).collect();
        for what in 0..self.things.len() {
            let drops = usize::from(!held.contains(&what));
            assert_eq!(self.things.drops(what), drops, "drops of object {what}");
            assert!(self.things.is_released(what), "object {what} counts as exported");
        }
    }

    /// All but some local objects.
    fn drop_handles(&mut self) {
        for side in [0, 1] {
            let mut left = 2;
            self.holds[side].retain(|hold| {
                left -= usize::from(left > 0 && import_of(&hold.stub).is_none());
                left > 0 && import_of(&hold.stub).is_none()
            });
        }
    }

    fn drop_promises(&mut self) {
        for side in [0, 1] {
            for at in 0..self.made[side].len() {
                let made = &mut self.made[side][at];
                let call = made.call.clone();
                made.abandoned |= made.value && !made.checked;
                if made.value || made.reference {
                    made.value = false;
                    made.reference = false;
                    self.talk.peer(side).drop_promise(&call);
                }
            }
        }
    }

    /// Lets everything happen that can: messages, handlers, time.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "the conversation does not come to an end");
            let mut moved = false;
            for side in [0, 1] {
                self.talk.peer(side).feed_drops();
                while self.talk.send(side) {
                    moved = true;
                }
                while self.deliver(side) {
                    moved = true;
                }
                self.observe();
                if !self.opened[side].is_empty() {
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
}

/// A call that is being put together.
#[derive(Default)]
struct Making {
    slots: u8,
    payload: Vec<u8>,
    objects: Vec<Passing>,
    uses: Vec<(usize, Path)>,
    misfit: bool,
}

impl Making {
    fn inline<T: serde::Serialize>(&mut self, value: &T) {
        let bytes = encoded(value);
        let put = arguments::put_inline(&mut self.payload, |out| {
            out.extend_from_slice(&bytes);
            Ok::<_, ()>(())
        });
        put.expect("bytes are copied");
        self.slots += 1;
    }

    fn refer(&mut self, base: usize, path: Path) -> Given {
        arguments::put_reference(&mut self.payload, CallId(base as i64), &path, false);
        self.slots += 1;
        self.uses.push((base, path.clone()));
        Given::Part(base, path)
    }
}

fn import_of(stub: &Stub) -> Option<std::sync::Arc<crate::value::object::Import>> {
    match stub.kind() {
        Kind::Remote(Remote { target: RemoteTarget::Import(import), .. }) => {
            Some(std::sync::Arc::clone(import))
        }
        Kind::Remote(_) | Kind::Local(_) => None,
    }
}

fn failed(failure: Failure) -> (Ended, Outcome) {
    (Ended::Failed(failure.clone()), Outcome::Failed(failure))
}
