//! Seals queued calls: those that nobody wants are withdrawn, the others are sent while the peer takes more.

use crate::{
    buffer::{message::Out, small_bytes::SmallBytes},
    session::{
        Calls,
        calls::{Entry, Queued, Stage, repeating::Again},
        handshake::Allowance,
        inputs::{CallExtras, CallTarget, NumberedMethod, Waiter},
        methods::{OwnMethods, not_callable},
        outgoing::Outgoing,
        passing::objects_bytes_max,
    },
    time::Time,
    value::returned::Returned,
    wire::{Call, CallId, Extensions, Failure, Frame, INLINE_BYTES_MAX, Payload, Target, Want, plain, write},
};

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

impl<W: Waiter> Calls<W> {
    /// Seals the queued calls: reads the interest in each, withdraws those that are not needed, and encodes the rest while
    /// the allowance lasts.
    pub(crate) fn seal(
        &mut self,
        now: Time,
        allowance: Allowance,
        methods: &mut OwnMethods,
        outgoing: &mut Outgoing,
    ) {
        self.expire_deadlines(now, outgoing);
        self.read_interest(outgoing);
        let sent_before = outgoing.sent_bytes();
        while let Some(queued) = self.queue.front() {
            let unsent = self.table.get(&queued.id).is_some_and(Entry::is_unsent);
            if unsent && queued.late.is_some_and(|late| late <= now) {
                let id = queued.id;
                self.queue.pop_front();
                self.sealed -= 1;
                self.refuse(id, Returned::Failed(Failure::DeadlineExceeded), outgoing);
                continue;
            }
            let left = allowance.bytes.saturating_sub(outgoing.sent_bytes() - sent_before);
            let full = self.in_flight.max(outgoing.arguments_in_chunks()) >= allowance.calls
                || left
                    <= queued.payload.len()
                        + queued.extras.as_ref().map_or(0, |extras| objects_bytes_max(&extras.objects));
            if unsent && full {
                break;
            }
            let Some(queued) = self.queue.pop_front() else { break };
            self.sealed -= 1;
            if unsent {
                self.send(queued, now, methods, outgoing);
            }
        }
    }

    /// Tells the peer which results it may release, if a message leaves anyway or they have waited for long enough.
    pub(crate) fn send_releases(&mut self, now: Time, outgoing: &mut Outgoing) {
        let releases = self.releases.take(now, !outgoing.is_empty());
        if !releases.is_empty() {
            outgoing.put_frame(&Frame::Release(releases));
        }
    }

    fn read_interest(&mut self, outgoing: &mut Outgoing) {
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
                self.withdraw_if_pointless(id, outgoing);
            }
        }
        self.sealed = self.queue.len();
    }

    /// Withdraws an unsent call that nobody would miss, then the calls it was built on if nobody would miss those either.
    pub(super) fn withdraw_if_pointless(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let mut candidates = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.take().or_else(|| candidates.pop()) {
            if !self.table.get(&id).is_some_and(|entry| entry.is_unsent() && entry.is_pointless()) {
                continue;
            }
            let Some(entry) = self.table.remove(&id) else { continue };
            self.clear_place(id);
            for base in entry.ties.map_or_else(Vec::new, |ties| ties.bases) {
                self.dependent_sent(base, outgoing);
                self.dependent_gone(base);
                candidates.push(base);
            }
        }
    }

    /// Drops the payload and objects of a queued call that will not be sent. Its place stays, maybe for long behind calls that
    /// wait for room; its streams and objects are released at once.
    pub(super) fn clear_place(&mut self, id: CallId) {
        if let Ok(place) = self.queue.binary_search_by_key(&id, |queued| queued.id) {
            let queued = &mut self.queue[place];
            queued.payload = SmallBytes::default();
            queued.extras = None;
        }
    }

    fn send(&mut self, queued: Queued, now: Time, methods: &mut OwnMethods, outgoing: &mut Outgoing) {
        let Some(queued) = self.send_plain(queued, now, methods, outgoing) else { return };
        let Queued { id, number, service, method, payload, extras, .. } = queued;
        let CallExtras { target, objects, methods: named, metadata, attempts } =
            extras.map_or_else(CallExtras::default, |extras| *extras);
        let names = || named.iter().copied().chain([NumberedMethod { number, service, method }]);
        // A method that cannot be called is never named to the peer: it stays new and is checked again for each call.
        let failure =
            names().filter(|name| methods.is_new(name.number)).find_map(|name| not_callable(name.method));
        if let Some(failure) = failure {
            return self.refuse(id, Returned::Failed(failure), outgoing);
        }
        // Names come before the payload and the streams, whose chunks and items remember the batch that is open then.
        for NumberedMethod { number, service, method } in names() {
            if methods.define(number) {
                // The peer may come to call objects of these services, also objects that forward calls.
                outgoing.objects.learn(method.objects());
                let fingerprint = method.signature().fingerprint;
                outgoing.put(|out| write::put_define(out.bytes(), number, service, method.name, fingerprint));
            }
        }
        // Streams and objects of this side are taken by the first session that sends them.
        let retry = self.retry_of(method, attempts.as_deref()).filter(|_| objects.is_empty());
        let again = retry.map(|retry| {
            let (payload, metadata, attempts) = (payload.clone(), metadata.clone(), attempts.clone());
            let extras = CallExtras::boxed(target.clone(), Vec::new(), named.clone(), metadata, attempts);
            Box::new(Again { number, service, method, payload, extras, retry })
        });
        let passed = match outgoing.pass(&objects) {
            Ok(passed) => passed,
            Err(failure) => return self.refuse(id, Returned::Failed(failure), outgoing),
        };
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.stage = Stage::Sent;
        entry.message = outgoing.position() as u64;
        entry.again = again;
        entry.kept = entry.is_referable() || entry.unsent_dependents() > 0;
        let sent_before = attempts.map(|attempts| attempts.sent_before).unwrap_or_default();
        let extensions = (!sent_before.is_empty()).then(|| Box::new(Extensions { sent_before }));
        let payload = outgoing.payload(id, false, payload, write::objects_bytes(&passed));
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
            extensions,
            payload,
        };
        outgoing.put_frame(&Frame::Call(call));
        self.last_sent = id;
        self.in_flight += 1;
        // The peer reads references in chunked arguments only when the last chunk is there.
        if !in_chunks {
            self.arguments_sent(id, outgoing);
        }
    }

    /// Sends a plain call; returns any other call unchanged.
    fn send_plain(
        &mut self,
        queued: Queued,
        now: Time,
        methods: &OwnMethods,
        outgoing: &mut Outgoing,
    ) -> Option<Queued> {
        let Queued { id, number, ref payload, ref extras, .. } = queued;
        let entry = self.table.get_mut(&id)?;
        let is_plain = extras.is_none()
            && !(self.sends_again && queued.method.attributes.idempotent)
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
        entry.message = outgoing.position() as u64;
        entry.arguments_unsent = false;
        let deadline = entry.deadline.map(|deadline| micros_until(now, deadline));
        outgoing.put(|out| plain::put_plain_call(out, id, number, deadline, payload));
        self.last_sent = id;
        self.in_flight += 1;
        None
    }

    /// Releases the bases of a call whose arguments were sent in full, or that failed before.
    pub(crate) fn arguments_sent(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if !std::mem::take(&mut entry.arguments_unsent) {
            return;
        }
        for base in entry.bases().to_vec() {
            self.dependent_sent(base, outgoing);
            self.withdraw_if_pointless(base, outgoing);
        }
    }

    /// Takes one off the unsent dependents of `base`: a call built on it was sent in full, or never will be.
    fn dependent_sent(&mut self, base: CallId, outgoing: &mut Outgoing) {
        let Some(ties) = self.table.get_mut(&base).map(Entry::ties) else { return };
        ties.unsent_dependents -= 1;
        if ties.unsent_dependents == 0 {
            ties.queued_dependents = Vec::new();
            self.cancel_if_unneeded(base, outgoing);
        }
        self.release_if_unreferred(base);
    }
}
