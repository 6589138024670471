//! One hostile session: a random conversation that keeps to the protocol and to no manners.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    dice::Dice,
    programs::{Kind, any_path, random_program, shapes, slots_of_call},
};
use crate::{
    Failure,
    attacks::{
        peer::{Door, Peer, Reading},
        service::{methods, number_of},
        wire::{Call, Frames, GET, Offer, WHOLE, inline, list, message, messages, number, reference},
    },
};

/// What a session does, and its weight in it.
pub(super) const ACTIONS: [&str; 14] = [
    "calls",
    "references",
    "chains",
    "maps",
    "stream maps",
    "results",
    "arguments",
    "definitions",
    "cancels",
    "credit",
    "feeding",
    "objects",
    "parking",
    "padding",
];

/// How a session reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Prompt,
    Slow,
    /// It stops reading after a while.
    Deaf,
    /// It asks for the longest results, all at once, and reads nothing.
    Greedy,
    /// It connects and says nothing.
    Silent,
}

/// What sessions have done, together.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    pub(super) calls: u64,
    pub(super) returned: u64,
    pub(super) ran: u64,
    /// How the server ended sessions.
    pub(super) endings: Vec<String>,
}

struct Session {
    peer: Peer,
    dice: Dice,
    weights: Vec<u64>,
    kept: Vec<(u64, Kind)>,
    recent: Vec<u64>,
    next_stream: u64,
    /// Streams of this side, and bytes of their credit that are left.
    feeding: Vec<(u64, u64)>,
    next_definition: u32,
    calls: u64,
    /// Large payloads are rare where bytes are to be few.
    bytes_left: u64,
}

/// Talks until then.
pub(super) async fn talk(door: &Door, seed: u64, weights: &[u64], until: Instant, done: &mut Done) {
    let mut dice = Dice::new(seed);
    let manner = match dice.below(12) {
        0 => Manner::Silent,
        1 => Manner::Deaf,
        2 | 3 => Manner::Slow,
        4 | 5 => Manner::Greedy,
        _ => Manner::Prompt,
    };
    while Instant::now() < until {
        let mut offer = Offer::GENEROUS;
        offer.streams = 1 << dice.below(40);
        offer.credit = 1 << dice.below(30);
        let receive_bytes = dice.once_in(3).then_some(8 << 10);
        let door = Door { offer, receive_bytes, ..*door };
        let Ok(mut peer) = Peer::meet(&door).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        if manner == Manner::Silent {
            peer.reading = Reading::Nothing;
            sleep_until(until).await;
            return;
        }
        let mut session = Session {
            peer,
            dice: Dice::new(dice.next()),
            weights: weights.to_vec(),
            kept: Vec::new(),
            recent: Vec::new(),
            next_stream: 0,
            feeding: Vec::new(),
            next_definition: 1_000,
            calls: 0,
            bytes_left: 64 << 20,
        };
        // Which it ends is the server's right: the next begins.
        let outcome = session.run(manner, until).await;
        done.calls += session.calls;
        done.returned += session.peer.seen.returns;
        done.ran += session.peer.seen.ran;
        let peer = &session.peer;
        if peer.is_closed || outcome.is_err() {
            let ending = peer.close.clone().or_else(|| peer.seen.goodbye.clone());
            let by_error = || outcome.map_or_else(|failure| failure.to_string(), |()| "no close".into());
            done.endings.push(ending.unwrap_or_else(by_error));
        }
    }
}

impl Session {
    async fn run(&mut self, manner: Manner, until: Instant) -> Result<(), Failure> {
        let deaf_from = Instant::now() + Duration::from_millis(200 + self.dice.below(1_500));
        while Instant::now() < until && !self.peer.is_closed {
            if manner == Manner::Deaf && Instant::now() > deaf_from {
                self.peer.reading = Reading::Nothing;
            }
            let bytes = match manner {
                Manner::Greedy if self.peer.reading != Reading::Nothing => {
                    self.peer.reading = Reading::Nothing;
                    self.longest_results()
                }
                _ => self.batch(),
            };
            if timeout_at(until, self.peer.send(&bytes)).await.is_err() {
                return Ok(());
            }
            let pause = match manner {
                Manner::Slow => 5 + self.dice.below(60),
                Manner::Prompt | Manner::Deaf | Manner::Greedy | Manner::Silent => self.dice.below(8),
            };
            let next = (Instant::now() + Duration::from_millis(pause)).min(until);
            if self.peer.reading == Reading::Nothing {
                sleep_until(next).await;
                continue;
            }
            // Most that is sent is to be taken: more than may be in flight is only refused.
            let most = if self.dice.once_in(20) { 1_000 } else { self.peer.offer.calls / 2 };
            let patience = (Instant::now() + Duration::from_millis(100)).min(until);
            while self.calls.saturating_sub(self.peer.seen.returns) > most && Instant::now() < patience {
                self.peer.read_until(patience).await?;
            }
            self.give_way();
            self.peer.read_until(next).await?;
            sleep_until(next).await;
        }
        Ok(())
    }

    /// Room is made where calls are parked for good.
    fn give_way(&mut self) {
        let in_flight = self.calls.saturating_sub(self.peer.seen.returns);
        if in_flight > self.peer.offer.calls / 2 {
            self.weights[8] = 40;
        }
        // Ids that are long gone are cancelled in vain.
        if self.recent.len() > 400 {
            self.recent.drain(..100);
        }
    }

    /// What it says next, in one message and those of long arguments.
    fn batch(&mut self) -> Vec<u8> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        for _ in 0..=self.dice.below(30) {
            let action = self.dice.weighted(&self.weights);
            if ACTIONS[action] == "arguments" {
                // Ids rise: what was called before goes first.
                if !frames.0.is_empty() {
                    out.extend(message(&std::mem::take(&mut frames).0));
                }
                out.extend(self.large_argument());
            } else {
                self.act(action, &mut frames);
            }
            if frames.0.len() > 60_000 || out.len() > 16 << 20 {
                break;
            }
        }
        if !frames.0.is_empty() {
            out.extend(message(&frames.0));
        }
        out
    }

    fn act(&mut self, action: usize, frames: &mut Frames) {
        match action {
            0 => self.call(frames),
            1 => self.refer(frames),
            2 => self.chain(frames),
            3 => self.map(frames),
            4 => self.map_over_stream(frames),
            5 => self.large_result(frames),
            7 => self.define(frames),
            8 => self.let_go(frames),
            9 => self.grant(frames),
            10 => self.feed(frames),
            11 => self.objects(frames),
            12 => self.park(frames),
            _ => {
                let length = self.dice.skewed(20_000);
                frames.padding(length as usize);
            }
        }
    }

    /// Enters a call; it is kept if there is something to be done with what it returns.
    fn enter(&mut self, mut call: Call, returns: Kind, frames: &mut Frames) -> u64 {
        let room = self.kept.len() < 400;
        if returns != Kind::Other && room && self.dice.once_in(3) {
            call.is_kept = true;
            call.is_wanted = self.dice.once_in(3);
            self.kept.push((call.id, returns));
        }
        let id = call.id;
        self.note(id);
        frames.call(&call);
        id
    }

    fn note(&mut self, id: u64) {
        self.calls += 1;
        self.recent.push(id);
    }

    fn call(&mut self, frames: &mut Frames) {
        let shapes = shapes();
        let shape = &shapes[self.dice.index(shapes.len() - 1)];
        let Some(slots) = slots_of_call(&mut self.dice, shape, &self.kept, 2_000) else { return };
        let id = self.peer.next_id();
        self.enter(Call::new(id, shape.method, &slots), shape.returns.clone(), frames);
    }

    /// Parts of what is kept, most of which are there.
    fn refer(&mut self, frames: &mut Frames) {
        let Some((source, kind)) = self.dice.choose(&self.kept).cloned() else { return self.call(frames) };
        let known = super::programs::path_to(&mut self.dice, &kind, &Kind::Number);
        let path = match known {
            Some(path) if !self.dice.once_in(6) => path,
            _ => any_path(&mut self.dice),
        };
        let id = self.peer.next_id();
        let method = if self.dice.once_in(2) { GET } else { number_of("same") };
        self.note(id);
        frames.call(&Call::new(id, method, &[reference(source, &path)]));
    }

    /// Calls that each use the one before; of the last, something is wanted.
    fn chain(&mut self, frames: &mut Frames) {
        let mut last = self.peer.next_id();
        let first = Call::new(last, number_of("same"), &[inline(&number(7))]).kept().unwanted();
        self.note(last);
        frames.call(&first);
        let mut chain = vec![last];
        for _ in 0..self.dice.below(28) {
            let id = self.peer.next_id();
            self.note(id);
            frames.call(&Call::new(id, number_of("same"), &[reference(last, &WHOLE)]).kept());
            chain.push(id);
            last = id;
        }
        chain.into_iter().for_each(|id| frames.release(id));
    }

    fn map(&mut self, frames: &mut Frames) {
        let lists: Vec<_> = self
            .kept
            .iter()
            .filter_map(|(id, kind)| match kind {
                Kind::List(of, length) => Some((*id, (**of).clone(), *length)),
                Kind::Maybe => Some((*id, Kind::Number, 1)),
                _ => None,
            })
            .collect();
        let Some((source, of, length)) = self.dice.choose(&lists).cloned() else { return self.list(frames) };
        // Some lists are new each time: those of maps of maps of maps are of little use.
        if self.dice.once_in(3) {
            self.list(frames);
        }
        let captured: Vec<_> =
            (0..self.dice.below(4)).filter_map(|_| self.dice.choose(&self.kept).cloned()).collect();
        let kinds: Vec<Kind> = captured.iter().map(|(_, kind)| kind.clone()).collect();
        let (program, returns) = random_program(&mut self.dice, &of, &kinds, length);
        let captures: Vec<_> = captured.iter().map(|(id, _)| reference(*id, &WHOLE)).collect();
        let id = self.peer.next_id();
        self.enter(Call::map(id, source, &program, &captures), returns, frames);
    }

    /// Something to map over.
    fn list(&mut self, frames: &mut Frames) {
        if self.kept.len() >= 400 {
            return self.let_go(frames);
        }
        let id = self.peer.next_id();
        let count = 1 + self.dice.skewed(900);
        let (method, of) = match self.dice.below(3) {
            0 => ("texts", Kind::Text),
            1 => ("grid", Kind::list(Kind::Number, 9)),
            _ => ("numbers", Kind::Number),
        };
        let count = if method == "grid" { count.min(60) } else { count };
        let mut slots = vec![inline(&number(count))];
        if method == "grid" {
            slots.push(inline(&number(9)));
        }
        self.note(id);
        self.kept.push((id, Kind::list(of, count)));
        frames.call(&Call::new(id, number_of(method), &slots).kept().unwanted());
    }

    fn map_over_stream(&mut self, frames: &mut Frames) {
        let (source, map) = (self.peer.next_id(), self.peer.next_id());
        let count = self.dice.skewed(2_000);
        let call = Call::new(source, number_of("some_items"), &[inline(&number(count))]);
        let (program, _) = random_program(&mut self.dice, &Kind::Number, &[], 0);
        self.note(source);
        self.note(map);
        frames.call(&call.kept().unwanted());
        frames.call(&Call::map(map, source, &program, &[]));
        frames.release(source);
    }

    fn large_result(&mut self, frames: &mut Frames) {
        let most = if self.dice.once_in(4) { self.peer.offer.payload - 16 } else { 200_000 };
        let method = *self.dice.choose(&["bytes", "later", "fresh", "numbers", "texts"]).unwrap_or(&"bytes");
        // Making millions of values would be the handler's work.
        let most = match method {
            "numbers" => most.min(1_000_000),
            "texts" => most.min(200_000),
            _ => most,
        };
        let length = self.dice.skewed(most);
        let returns = match method {
            "numbers" => Kind::list(Kind::Number, length),
            "texts" => Kind::list(Kind::Text, length),
            _ => Kind::Other,
        };
        let id = self.peer.next_id();
        self.enter(Call::new(id, number_of(method), &[inline(&number(length))]), returns, frames);
    }

    /// As many of the longest results as calls may be in flight, in one message.
    fn longest_results(&mut self) -> Vec<u8> {
        let mut frames = Frames::default();
        let argument = [inline(&number(self.peer.offer.payload - 16))];
        for _ in 0..self.peer.offer.calls {
            let method = *self.dice.choose(&["bytes", "later", "fresh"]).unwrap_or(&"bytes");
            let call = Call::new(self.peer.next_id(), number_of(method), &argument);
            self.calls += 1;
            frames.call(&if self.dice.once_in(3) { call.kept() } else { call });
        }
        message(&frames.0)
    }

    fn large_argument(&mut self) -> Vec<u8> {
        let most = if self.dice.once_in(6) { self.peer.offer.payload - 64 } else { 300_000 };
        let length = self.dice.skewed(most.min(self.bytes_left));
        self.bytes_left -= length;
        let (method, each) = match self.dice.below(4) {
            0 => ("park_bytes", 7),
            1 => ("park_numbers", 7),
            2 => ("park_texts", 0),
            _ => ("with_numbers", 7),
        };
        let argument = inline(&list(length as usize, each));
        let id = self.peer.next_id();
        let slots = if method == "with_numbers" { vec![inline(&[1]), argument] } else { vec![argument] };
        self.note(id);
        messages(&Call::new(id, number_of(method), &slots))
    }

    fn define(&mut self, frames: &mut Frames) {
        let Some(method) = self.dice.choose(methods()).copied() else { return };
        if self.next_definition > 4_000 {
            return;
        }
        let number = self.next_definition;
        self.next_definition += 1;
        let fingerprint = if self.dice.once_in(2) { method.fingerprint } else { self.dice.next() };
        let name = if self.dice.once_in(4) { "unknown" } else { method.name };
        frames.define(number, method.service, name, fingerprint);
        let id = self.peer.next_id();
        self.note(id);
        frames.call(&Call::new(id, number, &[inline(&[7])]));
    }

    /// Cancels and releases.
    fn let_go(&mut self, frames: &mut Frames) {
        if self.dice.once_in(2) && !self.kept.is_empty() {
            let index = self.dice.index(self.kept.len());
            let (id, _) = self.kept.swap_remove(index);
            return frames.release(id);
        }
        if !self.recent.is_empty() {
            let index = self.dice.index(self.recent.len());
            let id = self.recent.swap_remove(index);
            // A cancel releases its call, too.
            self.kept.retain(|(kept, _)| *kept != id);
            frames.cancel(id);
        }
    }

    /// Streams of the server: opens, feeds and stops them.
    fn grant(&mut self, frames: &mut Frames) {
        let seen = &mut self.peer.seen;
        if seen.streams.is_empty() || self.dice.once_in(4) {
            let id = self.peer.next_id();
            let method = *self.dice.choose(&["items", "some_items", "quiet"]).unwrap_or(&"items");
            let count = number(self.dice.skewed(10_000));
            let slots = if method == "some_items" { vec![inline(&count)] } else { Vec::new() };
            self.note(id);
            return frames.call(&Call::new(id, number_of(method), &slots));
        }
        let index = self.dice.index(seen.streams.len());
        match self.dice.below(4) {
            0 => frames.stop(seen.streams.swap_remove(index)),
            _ => {
                let credit = 1 + self.dice.skewed(1 << 20);
                frames.credit(seen.streams[index], credit);
            }
        }
    }

    /// Streams of this side: within the credit that they open with.
    fn feed(&mut self, frames: &mut Frames) {
        if self.feeding.len() < 60 && (self.feeding.is_empty() || self.dice.once_in(3)) {
            self.next_stream += 1;
            let id = self.peer.next_id();
            let mut call = Call::new(id, number_of("drink"), &[inline(&[0])]);
            call.streams.push(self.next_stream);
            self.feeding.push((self.next_stream, self.peer.offer.credit));
            self.note(id);
            return frames.call(&call);
        }
        let index = self.dice.index(self.feeding.len());
        let (stream, credit) = &mut self.feeding[index];
        for _ in 0..self.dice.below(20) {
            // An item's own bytes, its length and what each takes besides.
            if *credit < 200 {
                break;
            }
            *credit -= 70;
            frames.item(*stream, &number(self.dice.below(200)));
        }
        if self.dice.once_in(6) {
            let (stream, _) = self.feeding.swap_remove(index);
            frames.end(stream);
        }
    }

    fn objects(&mut self, frames: &mut Frames) {
        if let Some(object) = self.peer.seen.objects.pop()
            && self.dice.once_in(2)
        {
            return frames.release_object(object);
        }
        let leaf = self.peer.next_id();
        self.note(leaf);
        let mut call = Call::new(leaf, number_of("leaf"), &[]).kept();
        call.is_wanted = self.dice.once_in(2);
        frames.call(&call);
        let mut last = leaf;
        let mut chain = vec![leaf];
        for _ in 0..self.dice.below(8) {
            let id = self.peer.next_id();
            self.note(id);
            frames.call(&Call::new(id, number_of("next"), &[]).on(last).kept().unwanted());
            chain.push(id);
            last = id;
        }
        let id = self.peer.next_id();
        self.note(id);
        frames.call(&Call::new(id, number_of("value"), &[]).on(last));
        chain.into_iter().for_each(|id| frames.release(id));
    }

    fn park(&mut self, frames: &mut Frames) {
        let id = self.peer.next_id();
        self.note(id);
        frames.call(&Call::new(id, number_of("park"), &[inline(&[7])]));
    }
}
