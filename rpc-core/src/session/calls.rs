//! The calls this side makes: queued until sealed, in flight until returned, remembered while anything refers to them.
//!
//! ```text
//! Queued ──seal──▶ Sent ──return──▶ Returned ──nobody refers to it──▶ forgotten
//!    └─nobody wants it and nothing is built on it─▶ withdrawn, never sent
//! ```
//! The caller's interest in a result is read when the call is sealed. A call that others are built on stays remembered until
//! those are forgotten, because an answer to them may name it as the origin of their failure. A failed call is released at
//! once, even if something still refers to it. Calls built on it later fail here and are never sent, so that the peer keeps
//! no markers for a caller that collects failed promises.
//! Sent calls are bounded by the limits the peer offered; queued ones by the memory of the caller who makes them.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use self::repeating::{Again, Repeating};
use super::{
    due::{Deadlines, Releases},
    inputs::{CallExtras, NewCall, Waiter},
    outgoing::Outgoing,
};
use crate::{
    buffer::small_bytes::SmallBytes,
    error::{CloseReason, Delivery},
    in_order::in_order,
    schema::descriptor::MethodDescriptor,
    time::Time,
    value::{
        encoded::Capabilities,
        returned::{OriginCause, Returned},
    },
    wire::{CallId, Failure, MethodNumber, Reached},
};

mod repeating;
pub(crate) mod returning;
pub(crate) mod sealing;

pub(crate) struct Calls<W> {
    /// Why the session before this one ended. Calls built on its results cannot be made.
    before: Option<CloseReason>,
    /// Whether another session may follow: idempotent calls are kept to be sent again in it.
    sends_again: bool,
    table: FxHashMap<CallId, Entry<W>>,
    queue: VecDeque<Queued>,
    /// The number of calls at the front of the queue that are sealed: their interest was read.
    sealed: usize,
    last_sent: CallId,
    in_flight: usize,
    /// The calls at the front of the queue that were found to be few enough to wait for a socket, and their bytes.
    waiting: (usize, usize),
    /// Calls whose results the peer may release; told with the next batch.
    releases: Releases<CallId>,
    deadlines: Deadlines,
    finished: VecDeque<(W, Returned<W>)>,
    /// What few sessions need: those that another one may follow, and those whose calls were refused for a while.
    repeating: Option<Box<Repeating<W>>>,
}

struct Entry<W> {
    waiter: W,
    deadline: Option<Time>,
    stage: Stage,
    /// The number of the message that the call is sent in.
    message: u64,
    /// The parts of a call that may be made again.
    again: Option<Box<Again>>,
    /// Whether the waiter was asked for its interest.
    sealed: bool,
    /// Whether somebody waits for the value.
    value: bool,
    /// Whether something can still pass the result to another call.
    reference: bool,
    /// Whether the call runs even if nobody is interested.
    detached: bool,
    /// Whether the call's arguments have not been sent in full.
    arguments_unsent: bool,
    /// Whether a Cancel was sent.
    cancelled: bool,
    /// Whether the peer was asked to keep the result and has not been told to release it.
    kept: bool,
    /// `None` for most calls.
    ties: Option<Box<Ties<W>>>,
}

/// The ties of a call to the calls it is built on, and to those built on it.
struct Ties<W> {
    /// The calls that this one is built on.
    bases: Vec<CallId>,
    /// The number of calls in the table that are built on this one.
    dependents: usize,
    /// How many of them have not been sent in full: the peer must keep the result for them.
    unsent_dependents: usize,
    /// The dependents that were queued; some may have been sent since.
    queued_dependents: Vec<CallId>,
    /// The failure, kept for calls built on this one.
    failure: Option<Returned<W>>,
    /// Answers that name this call as their origin and overtook its own.
    parked: Vec<CallId>,
    /// The objects from its result that this side has, if they can be had again by making the call again.
    imports: usize,
    /// Whether the call was made again for the sake of its result.
    is_derived: bool,
}

impl<W> Default for Ties<W> {
    fn default() -> Self {
        Self {
            bases: Vec::new(),
            dependents: 0,
            unsent_dependents: 0,
            queued_dependents: Vec::new(),
            failure: None,
            parked: Vec::new(),
            imports: 0,
            is_derived: false,
        }
    }
}

enum Stage {
    /// The call waits in the queue, which has its payload.
    Queued,
    Sent,
    /// The call's Return is being assembled from chunks.
    Assembling(Box<Assembled>),
    Returned,
}

/// The kind of a Return that comes in chunks, with the objects that came with it. If this side does not take the objects, it
/// has a failure instead, and the bytes mean nothing.
#[derive(Debug)]
pub(crate) enum Assembled {
    Value(Result<Capabilities, Failure>),
    Error(Result<Capabilities, Failure>),
    Element,
}

/// A queued call with its payload. The place in the queue stays when the call is refused or withdrawn, and is skipped later.
struct Queued {
    id: CallId,
    number: MethodNumber,
    service: &'static str,
    method: &'static MethodDescriptor,
    payload: SmallBytes,
    extras: Option<Box<CallExtras>>,
    /// The time from which it is too late to send the call.
    late: Option<Time>,
}

impl<W> Default for Calls<W> {
    fn default() -> Self {
        Self {
            before: None,
            sends_again: false,
            table: FxHashMap::default(),
            queue: VecDeque::new(),
            sealed: 0,
            last_sent: CallId(0),
            in_flight: 0,
            waiting: (0, 0),
            releases: Releases::default(),
            deadlines: Deadlines::default(),
            finished: VecDeque::new(),
            repeating: None,
        }
    }
}

impl<W> Entry<W> {
    fn ties(&mut self) -> &mut Ties<W> {
        self.ties.get_or_insert_default()
    }

    fn bases(&self) -> &[CallId] {
        self.ties.as_ref().map_or(&[], |ties| &ties.bases)
    }

    fn dependents(&self) -> usize {
        self.ties.as_ref().map_or(0, |ties| ties.dependents)
    }

    fn unsent_dependents(&self) -> usize {
        self.ties.as_ref().map_or(0, |ties| ties.unsent_dependents)
    }

    fn take_queued_dependents(&mut self) -> Vec<CallId> {
        self.ties.as_mut().map_or_else(Vec::new, |ties| std::mem::take(&mut ties.queued_dependents))
    }

    fn failure(&self) -> Option<&Returned<W>> {
        self.ties.as_ref()?.failure.as_ref()
    }

    fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::Queued)
    }

    /// Whether this side may still pass the result to another call.
    fn is_referable(&self) -> bool {
        self.reference || self.ties.as_ref().is_some_and(|ties| ties.is_derived && ties.imports > 0)
    }

    /// Whether a call that has returned can be forgotten.
    fn is_done(&self) -> bool {
        self.has_returned()
            && !self.reference
            && self.ties.as_ref().is_none_or(|ties| ties.dependents + ties.imports == 0)
    }

    fn imports(&self) -> usize {
        self.ties.as_ref().map_or(0, |ties| ties.imports)
    }

    fn is_derived(&self) -> bool {
        self.ties.as_ref().is_some_and(|ties| ties.is_derived)
    }

    fn has_returned(&self) -> bool {
        matches!(self.stage, Stage::Returned)
    }

    /// Asks the waiter, once, for its interest in the result.
    fn seal(&mut self)
    where
        W: Waiter,
    {
        if std::mem::replace(&mut self.sealed, true) {
            return;
        }
        let interest = self.waiter.seal();
        self.value = interest.value;
        self.reference = interest.reference;
        self.detached = interest.detached;
    }

    /// The failure of a call built on this one, if this one failed. It names the call that failed first, so that its size does
    /// not grow with the length of a chain.
    fn as_cause(&self) -> Option<Returned<W>>
    where
        W: Clone,
    {
        Some(match self.failure()? {
            upstream @ Returned::Upstream { cause: OriginCause::Failed(_), .. } => upstream.clone(),
            other => Returned::Upstream {
                origin: self.waiter.clone(),
                cause: OriginCause::Failed(Box::new(other.clone())),
            },
        })
    }

    /// Whether nobody would notice if the call never ran.
    fn is_pointless(&self) -> bool {
        !(self.value || self.is_referable() || self.detached) && self.unsent_dependents() == 0
    }
}

impl<W: Waiter> Calls<W> {
    /// Takes note why the session before this one ended.
    pub(crate) fn comes_after(&mut self, before: CloseReason) {
        self.before = Some(before);
    }

    /// Keeps idempotent calls from here on, to send them again in another session. `session` is the id of this one.
    pub(crate) fn send_again(&mut self, session: Option<[u8; 16]>) {
        self.sends_again = true;
        self.repeating.get_or_insert_default().session = session;
    }

    // ---- towards the peer ----

    /// Queues a call. A call with a payload too large for the peer, or built on a failed call, fails here.
    pub(crate) fn queue(
        &mut self,
        now: Time,
        call: NewCall<W>,
        payload_bytes_max: usize,
        outgoing: &mut Outgoing,
    ) {
        let NewCall { id, number, service, method, payload, mut bases, deadline, extras, waiter } = call;
        let derived = extras.as_ref().and_then(|extras| extras.attempts.as_ref()?.derived);
        bases.extend(self.origin_tie(method, extras.as_deref()));
        let mut deadline = deadline;
        let mut failure =
            (payload.len() > payload_bytes_max).then(|| too_large_for_peer(payload.len(), payload_bytes_max));
        for base in &bases {
            // A base is in the table, because the caller's arguments kept it referable until this call was queued; or it belongs
            // to the session before this one.
            if let Some(base) = self.table.get_mut(base) {
                let ties = base.ties();
                ties.dependents += 1;
                ties.unsent_dependents += 1;
                ties.queued_dependents.push(id);
                if !base.has_returned() {
                    deadline = deadline.into_iter().chain(base.deadline).min();
                }
                failure = failure.or_else(|| base.as_cause());
            } else if self.before.is_some() {
                failure = failure.or_else(|| Some(self.before_this_session()));
            }
        }
        if let Some(deadline) = deadline {
            self.watch_deadline(deadline, id);
        }
        let ties = (!bases.is_empty() || derived.is_some()).then(|| {
            let imports = derived.map_or(0, |derived| derived.imports);
            Box::new(Ties { bases, imports, is_derived: derived.is_some(), ..Ties::default() })
        });
        self.table.insert(
            id,
            Entry {
                waiter,
                deadline,
                stage: Stage::Queued,
                message: 0,
                again: None,
                // The interest in a derived call is known.
                sealed: derived.is_some(),
                value: derived.is_none(),
                reference: derived.is_none_or(|derived| derived.reference),
                detached: false,
                arguments_unsent: true,
                cancelled: false,
                kept: false,
                ties,
            },
        );
        let late = deadline.map(|deadline| now.too_late(deadline));
        self.queue.push_back(Queued { id, number, service, method, payload, extras, late });
        if let Some(failure) = failure {
            self.refuse(id, failure, outgoing);
        }
    }

    /// Fails the queued calls above these bounds of number and bytes, and those that are built on them.
    pub(crate) fn refuse_waiting(
        &mut self,
        (calls_max, bytes_max): (usize, usize),
        reason: &CloseReason,
        outgoing: &mut Outgoing,
    ) {
        // Calls that were looked at before are not looked at again, so that many calls do not cost their square.
        let (mut count, mut bytes) = match self.waiting {
            (count, bytes) if count <= self.queue.len().min(calls_max) && bytes <= bytes_max => {
                (count, bytes)
            }
            _ => (0, 0),
        };
        for queued in self.queue.range(count..).take(calls_max.saturating_sub(count)) {
            let sum = bytes.saturating_add(queued.payload.len());
            if sum > bytes_max {
                break;
            }
            (count, bytes) = (count + 1, sum);
        }
        self.waiting = (count, bytes);
        for id in self.queue.range(count..).map(|queued| queued.id).collect::<Vec<_>>() {
            let outcome = Returned::Disconnected { delivery: Delivery::NotSent, reason: reason.clone() };
            self.refuse(id, outcome, outgoing);
        }
        self.queue.truncate(count);
        self.sealed = self.sealed.min(count);
    }

    /// The failure of a call that needs something of the session before this one.
    fn before_this_session(&self) -> Returned<W> {
        let reason = self.before.clone().unwrap_or(CloseReason::Aborted);
        Returned::Disconnected { delivery: Delivery::NotSent, reason }
    }

    /// Fails a queued call that needs something of the session before this one.
    pub(crate) fn refuse_stale(&mut self, id: CallId, outgoing: &mut Outgoing) {
        self.refuse(id, self.before_this_session(), outgoing);
    }

    /// Fails the queued calls whose payloads are larger than the peer turned out to take.
    pub(crate) fn refuse_larger_than(&mut self, payload_bytes_max: usize, outgoing: &mut Outgoing) {
        let too_large = |queued: &&Queued| queued.payload.len() > payload_bytes_max;
        let of_call = |queued: &Queued| (queued.id, queued.payload.len());
        let calls: Vec<_> = self.queue.iter().filter(too_large).map(of_call).collect();
        for (id, length) in calls {
            self.refuse(id, too_large_for_peer(length, payload_bytes_max), outgoing);
        }
    }

    /// Fails a call that has not been sent, then the unsent calls built on it.
    fn refuse(&mut self, id: CallId, outcome: Returned<W>, outgoing: &mut Outgoing) {
        let mut failing = vec![(id, outcome)];
        while let Some((id, outcome)) = failing.pop() {
            let Some(entry) = self.table.get_mut(&id).filter(|entry| entry.is_unsent()) else { continue };
            entry.seal();
            entry.stage = Stage::Returned;
            entry.ties().failure = Some(outcome.clone());
            if std::mem::take(&mut entry.value) {
                self.finished.push_back((entry.waiter.clone(), outcome));
            }
            let dependents = entry.take_queued_dependents();
            if let Some(cause) = entry.as_cause() {
                failing.extend(dependents.into_iter().map(|dependent| (dependent, cause.clone())));
            }
            self.clear_place(id);
            self.arguments_sent(id, outgoing);
            self.forget_if_done(id);
        }
    }

    // ---- time ----

    pub(crate) fn timeout(&mut self) -> Option<Time> {
        let table = &self.table;
        let is_due = |id, _| table.get(&id).is_some_and(|entry| entry.value && !entry.has_returned());
        let deadline = self.deadlines.next(is_due);
        deadline.into_iter().chain(self.releases.timeout()).chain(self.rested()).min()
    }

    /// Whether releases leave when a message is asked for, or their time begins.
    pub(crate) fn releases_need_a_look(&self, now: Time) -> bool {
        self.releases.needs_a_look(now)
    }

    fn watch_deadline(&mut self, deadline: Time, id: CallId) {
        let table = &self.table;
        let is_due = |id, _| table.get(&id).is_some_and(|entry| !entry.has_returned());
        self.deadlines.watch(deadline, id, table.len(), is_due);
    }

    /// Sends overdue releases and expires deadlines.
    pub(crate) fn expire(&mut self, now: Time, outgoing: &mut Outgoing) {
        if self.releases.is_overdue(now) {
            self.send_releases(now, outgoing);
        }
        self.expire_deadlines(now, outgoing);
    }

    /// Fails calls whose deadline has passed, and cancels them if nothing else needs them. A late answer is dropped.
    pub(crate) fn expire_deadlines(&mut self, now: Time, outgoing: &mut Outgoing) {
        while let Some((_, id)) = self.deadlines.pop_passed(now) {
            let Some(entry) = self.table.get_mut(&id) else { continue };
            entry.seal();
            if entry.value && !entry.has_returned() {
                entry.value = false;
                self.finished.push_back((entry.waiter.clone(), Returned::Failed(Failure::DeadlineExceeded)));
                self.interest_fell(id, outgoing);
            }
        }
    }

    // ---- outputs ----

    pub(crate) fn pop_finished(&mut self) -> Option<(W, Returned<W>)> {
        self.finished.pop_front()
    }

    pub(crate) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether sealed calls wait to be sent.
    pub(crate) fn has_sealed(&self) -> bool {
        self.sealed > 0
    }

    /// Whether no call is queued or in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight == 0
    }

    pub(crate) fn live(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn remembered(&self) -> usize {
        self.table.len()
    }

    #[cfg(test)]
    pub(crate) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
            && self.queue.is_empty()
            && self.releases.is_empty()
            && self.finished.is_empty()
            && !self.has_resting()
    }

    /// Takes out every waiter that still waits when the session is over, with how far its call got. Messages before the number
    /// `accepted` were accepted by the peer, and those from `fresh` on never left.
    pub(crate) fn abandon(&mut self, accepted: u64, fresh: u64) -> Vec<(W, Delivery)> {
        let waiting: Vec<_> =
            self.table.drain().filter(|(_, entry)| entry.value && !entry.has_returned()).collect();
        self.queue.clear();
        let resting = self.take_resting().into_iter().map(|call| (call.waiter, Delivery::NotSent));
        let resting: Vec<_> = resting.collect();
        in_order(waiting, |(id, _)| id.0.cast_unsigned())
            .into_iter()
            .map(|(_, entry)| {
                let delivery = match entry.message {
                    _ if entry.is_unsent() => Delivery::NotSent,
                    number if number < accepted => Delivery::Accepted,
                    number if number < fresh => Delivery::Unacknowledged,
                    _ => Delivery::NotSent,
                };
                (entry.waiter, delivery)
            })
            .chain(resting)
            .collect()
    }
}

fn too_large_for_peer<W>(length: usize, length_max: usize) -> Returned<W> {
    Returned::Failed(Failure::exhausted_of_peer(Reached::new("payload_bytes_max", length, length_max)))
}
