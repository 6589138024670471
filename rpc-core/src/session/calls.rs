//! The calls this side makes: queued until sealed, in flight until returned, remembered while anything refers to them.
//!
//! ```text
//! Queued ──seal──▶ Sent ──return──▶ Returned ──nobody refers to it──▶ forgotten
//!    └─nobody wants it and nothing is built on it─▶ withdrawn, never sent
//! ```
//! What is wanted of a result is read when the call is sealed. A call that others are built on stays remembered until
//! they are forgotten, because an answer to them may name it as the origin of their failure. A call that failed is
//! released at once, whatever still refers to it: calls built on it later fail here and are never sent, so that the
//! peer keeps no markers for a caller that collects failed promises.
//! Sent calls are bounded by what the peer offered; queued ones by the memory of the caller who makes them.

use std::collections::{VecDeque, hash_map};

use rustc_hash::FxHashMap;

use super::{
    due::{Deadlines, Releases},
    handshake::Allowance,
    inputs::{CallExtras, CallOutcome, CallTarget, MethodName, NewCall, UpstreamOutcome, Waiter},
    methods::{OwnMethods, not_callable},
    passing::objects_bytes_max,
    sending::Sending,
};
use crate::{
    buffer::{message::Out, small_bytes::SmallBytes},
    error::Violation,
    path::Path,
    time::Time,
    value::encoded::{Capabilities, Encoded},
    wire::{
        Call, CallId, Failure, Frame, INLINE_BYTES_MAX, MethodNumber, Payload, Target, Want, plain,
        program::ElementFailure, write,
    },
};

pub(crate) struct Calls<W> {
    table: FxHashMap<CallId, Entry<W>>,
    queue: VecDeque<Queued>,
    /// How many at the front of the queue have been asked for their interest.
    sealed: usize,
    last_sent: CallId,
    in_flight: usize,
    /// Calls whose last reference went before the peer could be told; goes out with the next batch.
    releases: Releases<CallId>,
    deadlines: Deadlines,
    finished: VecDeque<(W, CallOutcome<W>)>,
}

struct Entry<W> {
    waiter: W,
    deadline: Option<Time>,
    stage: Stage,
    /// Its waiter was asked for its interest.
    sealed: bool,
    /// Somebody waits for the value.
    value: bool,
    /// Something can still pass the result on.
    reference: bool,
    /// It runs though nobody is interested.
    detached: bool,
    /// Its own arguments have not been sent in full.
    arguments_unsent: bool,
    /// The peer was told that it need not go on.
    cancelled: bool,
    /// The peer was asked to keep the result and has not been told to let it go.
    kept: bool,
    /// Most calls have none.
    ties: Option<Box<Ties<W>>>,
}

/// What ties a call to others.
struct Ties<W> {
    /// Those it is built on.
    bases: Vec<CallId>,
    /// Calls in the table that are built on this one.
    dependents: usize,
    /// How many of them have not been sent in full: the peer must keep the result for them.
    unsent_dependents: usize,
    /// Those that were queued and may still be.
    queued_dependents: Vec<CallId>,
    /// The failure, kept for calls built on this one.
    failure: Option<CallOutcome<W>>,
    /// Answers that name this call as their origin and overtook its own.
    parked: Vec<CallId>,
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
        }
    }
}

enum Stage {
    /// Its place in the queue has the rest.
    Queued,
    Sent,
    /// Its return is being assembled from chunks.
    Assembling(Box<Assembled>),
    Returned,
}

/// What a return that comes in chunks will be.
/// With the objects that came with it, or a failure if this side does not take them; then the bytes mean nothing.
#[derive(Debug)]
pub(crate) enum Assembled {
    Value(Result<Capabilities, Failure>),
    Error(Result<Capabilities, Failure>),
    Element,
}

/// What is sent of a call. Its place in the queue is kept when the call is refused or withdrawn, and passed over.
struct Queued {
    id: CallId,
    number: MethodNumber,
    service: &'static str,
    method: &'static crate::schema::descriptor::MethodDescriptor,
    payload: SmallBytes,
    extras: Option<Box<CallExtras>>,
    /// From when on it is too late to send it.
    late: Option<Time>,
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

    fn failure(&self) -> Option<&CallOutcome<W>> {
        self.ties.as_ref()?.failure.as_ref()
    }

    fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::Queued)
    }

    fn has_returned(&self) -> bool {
        matches!(self.stage, Stage::Returned)
    }

    /// Asks the waiter, once, what is wanted of the result.
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

    /// How a call built on this one fails because this one did. Names the call that failed first, so that what is
    /// told does not grow with the length of a chain.
    fn as_cause(&self) -> Option<CallOutcome<W>>
    where
        W: Clone,
    {
        Some(match self.failure()? {
            upstream @ CallOutcome::Upstream { cause: UpstreamOutcome::Failed(_), .. } => upstream.clone(),
            other => CallOutcome::Upstream {
                origin: self.waiter.clone(),
                cause: UpstreamOutcome::Failed(Box::new(other.clone())),
            },
        })
    }

    /// Nobody would notice if it never ran.
    fn is_pointless(&self) -> bool {
        !(self.value || self.reference || self.detached) && self.unsent_dependents() == 0
    }
}

impl<W: Waiter> Calls<W> {
    pub(crate) fn new() -> Self {
        Self {
            table: FxHashMap::default(),
            queue: VecDeque::new(),
            sealed: 0,
            last_sent: CallId(0),
            in_flight: 0,
            releases: Releases::default(),
            deadlines: Deadlines::default(),
            finished: VecDeque::new(),
        }
    }

    // ---- towards the peer ----

    /// Queues a call. One the peer would not take, or that is built on a failed one, fails here.
    pub(crate) fn queue(
        &mut self,
        now: Time,
        call: NewCall<W>,
        payload_bytes_max: usize,
        sending: &mut Sending,
    ) {
        let NewCall { id, number, service, method, payload, bases, deadline, extras, waiter } = call;
        let mut deadline = deadline;
        let mut failure = (payload.len() > payload_bytes_max)
            .then(|| CallOutcome::Failed(Failure::exhausted("payload_bytes_max")));
        for base in &bases {
            // A base is in the table: the caller's arguments kept it referable until this call was queued.
            if let Some(base) = self.table.get_mut(base) {
                let ties = base.ties();
                ties.dependents += 1;
                ties.unsent_dependents += 1;
                ties.queued_dependents.push(id);
                if !base.has_returned() {
                    deadline = deadline.into_iter().chain(base.deadline).min();
                }
                failure = failure.or_else(|| base.as_cause());
            }
        }
        if let Some(deadline) = deadline {
            self.watch_deadline(deadline, id);
        }
        let ties = (!bases.is_empty()).then(|| Box::new(Ties { bases, ..Ties::default() }));
        self.table.insert(
            id,
            Entry {
                waiter,
                deadline,
                stage: Stage::Queued,
                sealed: false,
                value: true,
                reference: true,
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
            self.refuse(id, failure, sending);
        }
    }

    /// Fails the queued calls whose payloads are larger than the peer turned out to take.
    pub(crate) fn refuse_larger_than(&mut self, payload_bytes_max: usize, sending: &mut Sending) {
        let too_large = |queued: &&Queued| queued.payload.len() > payload_bytes_max;
        let ids: Vec<CallId> = self.queue.iter().filter(too_large).map(|queued| queued.id).collect();
        for id in ids {
            self.refuse(id, CallOutcome::Failed(Failure::exhausted("payload_bytes_max")), sending);
        }
    }

    /// Fails a call that has not been sent; then the unsent ones built on it.
    fn refuse(&mut self, id: CallId, outcome: CallOutcome<W>, sending: &mut Sending) {
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
            self.arguments_sent(id, sending);
            self.forget_if_done(id);
        }
    }

    /// Seals what is queued: reads what is wanted of each call, withdraws what is not needed, encodes the rest while
    /// the allowance lasts.
    pub(crate) fn seal(
        &mut self,
        now: Time,
        allowance: Allowance,
        methods: &mut OwnMethods,
        sending: &mut Sending,
    ) {
        self.expire_deadlines(now, sending);
        self.read_interest(sending);
        let sent_before = sending.sent_bytes();
        while let Some(queued) = self.queue.front() {
            let unsent = self.table.get(&queued.id).is_some_and(Entry::is_unsent);
            if unsent && queued.late.is_some_and(|late| late <= now) {
                let id = queued.id;
                self.queue.pop_front();
                self.sealed -= 1;
                self.refuse(id, CallOutcome::Failed(Failure::DeadlineExceeded), sending);
                continue;
            }
            let left = allowance.bytes.saturating_sub(sending.sent_bytes() - sent_before);
            let full = self.in_flight.max(sending.arguments_in_chunks()) >= allowance.calls
                || left
                    <= queued.payload.len()
                        + queued.extras.as_ref().map_or(0, |extras| objects_bytes_max(&extras.objects));
            if unsent && full {
                break;
            }
            let Some(queued) = self.queue.pop_front() else { break };
            self.sealed -= 1;
            if unsent {
                self.send(queued, now, methods, sending);
            }
        }
    }

    /// Tells the peer which results it may let go, if a message leaves anyway or they have waited for long enough.
    pub(crate) fn send_releases(&mut self, now: Time, sending: &mut Sending) {
        let releases = self.releases.take(now, !sending.is_empty());
        if !releases.is_empty() {
            sending.put_frame(&Frame::Release(releases));
        }
    }

    fn read_interest(&mut self, sending: &mut Sending) {
        let mut any_pointless = false;
        for queued in self.queue.range(self.sealed..) {
            if let Some(entry) = self.table.get_mut(&queued.id) {
                entry.seal();
                any_pointless |= entry.is_pointless();
            }
        }
        if any_pointless {
            // Backwards, because a call may be needed only by a later one that is not needed itself.
            for index in (self.sealed..self.queue.len()).rev() {
                let id = self.queue[index].id;
                self.withdraw_if_pointless(id, sending);
            }
        }
        self.sealed = self.queue.len();
    }

    /// Takes an unsent call back when nobody would notice; then what it was built on, for the same reason.
    fn withdraw_if_pointless(&mut self, id: CallId, sending: &mut Sending) {
        let mut candidates = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.take().or_else(|| candidates.pop()) {
            if !self.table.get(&id).is_some_and(|entry| entry.is_unsent() && entry.is_pointless()) {
                continue;
            }
            let Some(entry) = self.table.remove(&id) else { continue };
            self.clear_place(id);
            for base in entry.ties.map_or_else(Vec::new, |ties| ties.bases) {
                self.dependent_sent(base, sending);
                self.dependent_gone(base);
                candidates.push(base);
            }
        }
    }

    /// Lets go of what would have been sent of a call. Its place stays, maybe for long behind calls that wait for room; producers
    /// of its streams and holders of its objects need not wait as long.
    fn clear_place(&mut self, id: CallId) {
        if let Ok(place) = self.queue.binary_search_by_key(&id, |queued| queued.id) {
            let queued = &mut self.queue[place];
            queued.payload = SmallBytes::default();
            queued.extras = None;
        }
    }

    fn send(&mut self, queued: Queued, now: Time, methods: &mut OwnMethods, sending: &mut Sending) {
        let Some(queued) = self.send_plain(queued, now, methods, sending) else { return };
        let Queued { id, number, service, method, payload, extras, .. } = queued;
        let CallExtras { target, objects, methods: named, metadata } =
            extras.map_or_else(CallExtras::default, |extras| *extras);
        let names = || named.iter().copied().chain([MethodName { number, service, method }]);
        // Those of its own are looked at again for each call: they never count as named.
        let failure =
            names().filter(|name| methods.is_new(name.number)).find_map(|name| not_callable(name.method));
        if let Some(failure) = failure {
            return self.refuse(id, CallOutcome::Failed(failure), sending);
        }
        // Before the payload and the streams, whose chunks and items count batches from here.
        for MethodName { number, service, method } in names() {
            if methods.define(number) {
                // The peer may come to call objects of these services, also such as are passed on for others.
                sending.objects.learn(method.objects());
                let fingerprint = method.signature().fingerprint;
                sending.put(|out| write::put_define(out.bytes(), number, service, method.name, fingerprint));
            }
        }
        let passed = match sending.pass(&objects) {
            Ok(passed) => passed,
            Err(failure) => return self.refuse(id, CallOutcome::Failed(failure), sending),
        };
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.stage = Stage::Sent;
        entry.kept = entry.reference || entry.unsent_dependents() > 0;
        let payload = sending.payload(id, false, payload, write::objects_bytes(&passed));
        let in_chunks = matches!(payload, Payload::Chunked { .. });
        let call = Call {
            id,
            want: Want { value: entry.value, keep: entry.kept },
            oneway: method.attributes.oneway && entry.detached,
            target: target.to_wire(),
            method: number,
            deadline_us: entry.deadline.map(|deadline| micros_until(now, deadline)),
            metadata,
            objects: passed,
            payload,
        };
        sending.put_frame(&Frame::Call(call));
        self.last_sent = id;
        self.in_flight += 1;
        // References in chunked arguments are read when the last chunk is there.
        if !in_chunks {
            self.arguments_sent(id, sending);
        }
    }

    /// Sends the call if there is nothing special about it, as most are; gives it back if there is.
    fn send_plain(
        &mut self,
        queued: Queued,
        now: Time,
        methods: &OwnMethods,
        sending: &mut Sending,
    ) -> Option<Queued> {
        let Queued { id, number, ref payload, ref extras, .. } = queued;
        let entry = self.table.get_mut(&id)?;
        let is_plain = extras.is_none()
            && entry.value
            && !entry.reference
            && !entry.detached
            && entry.ties.is_none()
            && payload.len() <= INLINE_BYTES_MAX
            && methods.is_defined(number);
        if !is_plain {
            return Some(queued);
        }
        entry.stage = Stage::Sent;
        entry.arguments_unsent = false;
        let deadline = entry.deadline.map(|deadline| micros_until(now, deadline));
        sending.put(|out| plain::put_plain_call(out, id, number, deadline, payload));
        self.last_sent = id;
        self.in_flight += 1;
        None
    }

    /// The peer has all it needs of the call's arguments, or the call has failed without them.
    pub(crate) fn arguments_sent(&mut self, id: CallId, sending: &mut Sending) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if !std::mem::take(&mut entry.arguments_unsent) {
            return;
        }
        for base in entry.bases().to_vec() {
            self.dependent_sent(base, sending);
            self.withdraw_if_pointless(base, sending);
        }
    }

    /// A call built on `base` needs it no longer to be kept on its account: it was sent, or never will be.
    fn dependent_sent(&mut self, base: CallId, sending: &mut Sending) {
        let Some(ties) = self.table.get_mut(&base).map(Entry::ties) else { return };
        ties.unsent_dependents -= 1;
        if ties.unsent_dependents == 0 {
            ties.queued_dependents = Vec::new();
            self.cancel_if_unneeded(base, sending);
        }
        self.release_if_unreferred(base);
    }

    /// Tells the peer that nothing on this side needs a call that runs there. The peer stops it unless a call it has
    /// received is built on it.
    fn cancel_if_unneeded(&mut self, id: CallId, sending: &mut Sending) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let needed = entry.value || entry.reference || entry.detached || entry.unsent_dependents() > 0;
        if needed || entry.is_unsent() || entry.has_returned() || entry.cancelled {
            return;
        }
        entry.cancelled = true;
        // A cancel also releases; a release behind it would be one too many.
        if !std::mem::take(&mut entry.kept) {
            self.releases.remove(&id);
        }
        sending.put_frame(&Frame::Cancel(id));
    }

    fn release_if_unreferred(&mut self, id: CallId) {
        if let Some(entry) = self.table.get_mut(&id)
            && entry.kept
            && (!entry.reference || entry.failure().is_some())
            && entry.unsent_dependents() == 0
        {
            entry.kept = false;
            self.releases.push(id);
        }
    }

    pub(crate) fn unwanted(&mut self, id: CallId, sending: &mut Sending) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.value = false;
            self.interest_fell(id, sending);
        }
    }

    pub(crate) fn released(&mut self, id: CallId, sending: &mut Sending) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.reference = false;
            self.interest_fell(id, sending);
        }
    }

    fn interest_fell(&mut self, id: CallId, sending: &mut Sending) {
        let Some(entry) = self.table.get(&id) else { return };
        if entry.is_unsent() {
            self.withdraw_if_pointless(id, sending);
            return;
        }
        self.cancel_if_unneeded(id, sending);
        self.release_if_unreferred(id);
        self.forget_if_done(id);
    }

    // ---- from the peer ----

    /// A call is over. Every call that was sent is remembered until this, also a cancelled one.
    pub(crate) fn returned(
        &mut self,
        id: CallId,
        outcome: CallOutcome<W>,
        sending: &mut Sending,
    ) -> Result<(), Violation> {
        let mut over = VecDeque::new();
        let mut next = Some((id, outcome));
        while let Some((id, outcome)) = next.take().or_else(|| over.pop_front()) {
            sent_entry(&mut self.table, self.last_sent, id)?;
            let (cause, parked) = self.end(id, outcome, sending);
            for dependent in parked {
                let cause = cause.clone().ok_or(Violation::UnknownCall(id.0))?;
                over.push_back((dependent, cause));
            }
        }
        Ok(())
    }

    /// Takes the value of a call, if it was sent, is wanted, and nothing refers to it or ever will: the end of most. Whether it
    /// was taken; if not, nothing has changed.
    pub(crate) fn take_plain(&mut self, id: CallId, payload: impl FnOnce() -> SmallBytes) -> bool {
        let hash_map::Entry::Occupied(place) = self.table.entry(id) else { return false };
        let entry = place.get();
        let is_plain = matches!(entry.stage, Stage::Sent)
            && entry.value
            && !entry.kept
            && !entry.reference
            && !entry.arguments_unsent
            && entry.ties.is_none();
        if !is_plain {
            return false;
        }
        let Entry { waiter, .. } = place.remove();
        self.in_flight -= 1;
        let value = Encoded { bytes: payload(), capabilities: None };
        self.finished.push_back((waiter, CallOutcome::Value(value)));
        true
    }

    /// Ends one call. Gives how calls built on it fail, if it failed, and those whose answers waited for that.
    fn end(
        &mut self,
        id: CallId,
        outcome: CallOutcome<W>,
        sending: &mut Sending,
    ) -> (Option<CallOutcome<W>>, Vec<CallId>) {
        let Some(entry) = self.table.get_mut(&id) else { return (None, Vec::new()) };
        entry.stage = Stage::Returned;
        self.in_flight -= 1;
        let failed = !matches!(outcome, CallOutcome::Done | CallOutcome::Value(_));
        if failed && (entry.reference || entry.dependents() > 0) {
            entry.ties().failure = Some(outcome.clone());
        }
        let cause = entry.as_cause();
        let parked = entry.ties.as_mut().map_or_else(Vec::new, |ties| std::mem::take(&mut ties.parked));
        if std::mem::take(&mut entry.value) {
            self.finished.push_back((entry.waiter.clone(), outcome));
        }
        if let Some(cause) = &cause {
            let queued = entry.take_queued_dependents();
            queued.into_iter().for_each(|dependent| self.refuse(dependent, cause.clone(), sending));
        }
        self.arguments_sent(id, sending);
        self.release_if_unreferred(id);
        self.forget_if_done(id);
        (cause, parked)
    }

    /// A call did not run because `origin` failed, or had nothing at `missed`.
    pub(crate) fn upstream(
        &mut self,
        id: CallId,
        origin: CallId,
        missed: Option<Path>,
        sending: &mut Sending,
    ) -> Result<(), Violation> {
        sent_entry(&mut self.table, self.last_sent, id)?;
        let source = self.table.get_mut(&origin).ok_or(Violation::UnknownCall(origin.0))?;
        let outcome = match (missed, source.as_cause()) {
            (Some(path), _) => {
                CallOutcome::Upstream { origin: source.waiter.clone(), cause: UpstreamOutcome::Missed(path) }
            }
            (None, Some(cause)) => cause,
            (None, None) if source.has_returned() || origin == id => {
                return Err(Violation::UnknownCall(origin.0));
            }
            (None, None) => {
                source.ties().parked.push(id);
                return Ok(());
            }
        };
        self.returned(id, outcome, sending)
    }

    pub(crate) fn expect_chunks(&mut self, id: CallId, what: Assembled) -> Result<(), Violation> {
        sent_entry(&mut self.table, self.last_sent, id)?.stage = Stage::Assembling(Box::new(what));
        Ok(())
    }

    pub(crate) fn assembled(
        &mut self,
        id: CallId,
        bytes: SmallBytes,
        sending: &mut Sending,
    ) -> Result<(), Violation> {
        let Some(entry) = self.table.get_mut(&id) else { return Err(Violation::UnknownCall(id.0)) };
        let Stage::Assembling(what) = std::mem::replace(&mut entry.stage, Stage::Sent) else {
            return Err(Violation::UnknownCall(id.0));
        };
        let outcome = match *what {
            Assembled::Value(Ok(capabilities)) => CallOutcome::Value(Encoded { bytes, capabilities }),
            Assembled::Error(Ok(capabilities)) => CallOutcome::Error(Encoded { bytes, capabilities }),
            Assembled::Value(Err(failure)) | Assembled::Error(Err(failure)) => CallOutcome::Failed(failure),
            Assembled::Element => CallOutcome::Element(ElementFailure::parse(bytes)?),
        };
        self.returned(id, outcome, sending)
    }

    // ---- forgetting ----

    fn dependent_gone(&mut self, base: CallId) {
        if let Some(entry) = self.table.get_mut(&base) {
            entry.ties().dependents -= 1;
            self.forget_if_done(base);
        }
    }

    /// Drops a call that has returned and that nothing refers to; then what it was built on, for the same reason.
    fn forget_if_done(&mut self, id: CallId) {
        let mut candidates = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.take().or_else(|| candidates.pop()) {
            let done = self
                .table
                .get(&id)
                .is_some_and(|entry| entry.has_returned() && !entry.reference && entry.dependents() == 0);
            if !done {
                continue;
            }
            let Some(entry) = self.table.remove(&id) else { continue };
            for base in entry.ties.map_or_else(Vec::new, |ties| ties.bases) {
                if let Some(base_entry) = self.table.get_mut(&base) {
                    base_entry.ties().dependents -= 1;
                    candidates.push(base);
                }
            }
        }
    }

    // ---- time ----

    pub(crate) fn timeout(&mut self) -> Option<Time> {
        let table = &self.table;
        let is_due = |id, _| table.get(&id).is_some_and(|entry| entry.value && !entry.has_returned());
        let deadline = self.deadlines.next(is_due);
        deadline.into_iter().chain(self.releases.timeout()).min()
    }

    fn watch_deadline(&mut self, deadline: Time, id: CallId) {
        let table = &self.table;
        let is_due = |id, _| table.get(&id).is_some_and(|entry| !entry.has_returned());
        self.deadlines.watch(deadline, id, table.len(), is_due);
    }

    /// Does what is due.
    pub(crate) fn expire(&mut self, now: Time, sending: &mut Sending) {
        if self.releases.is_overdue(now) {
            self.send_releases(now, sending);
        }
        self.expire_deadlines(now, sending);
    }

    /// Ends the wait for calls whose deadline has passed. The peer is told; its late answer is dropped.
    pub(crate) fn expire_deadlines(&mut self, now: Time, sending: &mut Sending) {
        while let Some((_, id)) = self.deadlines.pop_passed(now) {
            let Some(entry) = self.table.get_mut(&id) else { continue };
            entry.seal();
            if entry.value && !entry.has_returned() {
                entry.value = false;
                self.finished
                    .push_back((entry.waiter.clone(), CallOutcome::Failed(Failure::DeadlineExceeded)));
                self.interest_fell(id, sending);
            }
        }
    }

    // ---- outputs ----

    pub(crate) fn pop_finished(&mut self) -> Option<(W, CallOutcome<W>)> {
        self.finished.pop_front()
    }

    pub(crate) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Calls are sealed and not sent.
    pub(crate) fn has_sealed(&self) -> bool {
        self.sealed > 0
    }

    /// Nothing is queued or in flight.
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
        self.table.is_empty() && self.queue.is_empty() && self.releases.is_empty() && self.finished.is_empty()
    }

    /// The session is over: every waiter that still waits, and whether its call was sent.
    pub(crate) fn abandon(&mut self) -> Vec<(W, bool)> {
        let mut waiting: Vec<_> =
            self.table.drain().filter(|(_, entry)| entry.value && !entry.has_returned()).collect();
        waiting.sort_unstable_by_key(|(id, _)| *id);
        self.queue.clear();
        waiting
            .into_iter()
            .map(|(_, entry)| {
                let sent = !entry.is_unsent();
                (entry.waiter, sent)
            })
            .collect()
    }
}

impl CallTarget {
    fn to_wire(&self) -> Target {
        match self {
            Self::Root => Target::Root,
            Self::Import(import) => Target::Object(import.id),
            Self::Result(base, path) => Target::Result(*base, path.clone()),
        }
    }
}

fn micros_until(now: Time, deadline: Time) -> u64 {
    now.until(deadline).as_micros().try_into().unwrap_or(u64::MAX)
}

/// The entry of a call that the peer may answer now.
fn sent_entry<W>(
    table: &mut FxHashMap<CallId, Entry<W>>,
    last_sent: CallId,
    id: CallId,
) -> Result<&mut Entry<W>, Violation> {
    match table.get_mut(&id) {
        Some(entry) if matches!(entry.stage, Stage::Sent) => Ok(entry),
        Some(entry) if entry.is_unsent() => Err(Violation::UnknownCall(id.0)),
        None if id > last_sent => Err(Violation::UnknownCall(id.0)),
        Some(_) | None => Err(Violation::ReturnRepeated(id.0)),
    }
}
