//! The end of calls of the peer: with a value that is sent and kept, with a failure, or cancelled.

use std::collections::VecDeque;

use crate::{
    buffer::small_bytes::SmallBytes,
    error::Violation,
    session::{
        answers::{AnswerTarget, Answers, HandlerStep, Stage, is_due, take_objects},
        methods::Method,
        outgoing::Outgoing,
    },
    time::Time,
    value::{
        encoded::{Capability, Encoded},
        held::Held,
        outcome::Outcome,
    },
    wire::{CallId, Failure, INLINE_BYTES_MAX, PassedObject, Reached, Return, Status, write},
};

/// The shortest result that is checked against the session's memory at once; shorter ones are checked with the next message.
const SETTLED_BYTES: usize = 16 << 10;

fn put_return(outgoing: &mut Outgoing, id: CallId, objects: Vec<PassedObject>, status: Status) {
    outgoing.put_return(&Return { id, objects, status });
}

impl Answers {
    /// Answers a call whose handler is over.
    pub(crate) fn finish(&mut self, id: CallId, outcome: Outcome, outgoing: &mut Outgoing) {
        match outcome {
            Outcome::Value { payload: Some(payload), objects }
                if objects.is_empty()
                    && payload.len() <= INLINE_BYTES_MAX.min(self.caller_payload_bytes_max)
                    && self.plain.remove(&id).is_some() =>
            {
                self.books.is_over();
                outgoing.put_value(id, &payload);
            }
            outcome => {
                self.promote(id);
                self.finish_any(id, outcome, outgoing);
            }
        }
    }

    fn finish_any(&mut self, id: CallId, outcome: Outcome, outgoing: &mut Outgoing) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        answer.running = false;
        if answer.returned {
            self.settle(id);
            return;
        }
        if let (Outcome::Value { payload: Some(payload), .. }, Method::Known(known)) =
            (&outcome, &answer.method)
        {
            known.descriptor.returned(payload.len());
        }
        match outcome {
            Outcome::Value { payload, objects } => self.finish_value(id, payload, objects, outgoing),
            failed => self.fail(id, failed, outgoing),
        }
    }

    /// Answers a call with its value, passes the value to calls that wait for it, and keeps it for later calls.
    fn finish_value(
        &mut self,
        id: CallId,
        payload: Option<SmallBytes>,
        objects: Vec<Capability>,
        outgoing: &mut Outgoing,
    ) {
        let Some(answer) = self.table.get(&id) else { return };
        let keeps = (answer.want.keep && !answer.cancelled) || !answer.uses.is_empty();
        let sent = payload.clone().filter(|_| answer.want.value && !answer.oneway);
        let held = payload.filter(|_| keeps).map(|bytes| {
            let capabilities = if objects.is_empty() { None } else { Some(objects.clone().into()) };
            Box::new(Held::new(Encoded { bytes, capabilities }))
        });
        let length_held = held.as_ref().map_or(0, |held| held.value().len());
        let too_long = match &sent {
            _ if length_held > self.limits.payload_bytes_max => {
                Err(Reached::new("payload_bytes_max", length_held, self.limits.payload_bytes_max).into())
            }
            Some(bytes) => self.fits_caller(bytes),
            None => Ok(()),
        };
        if let Err(failure) = too_long {
            return self.fail(id, Outcome::Failed(failure), outgoing);
        }
        if let Some(held) = &held
            && let Some(failure) = self.has_no_room_to_hold(held.size())
        {
            return self.fail(id, Outcome::Failed(failure), outgoing);
        }
        let has_streams = objects.iter().any(|object| matches!(object, Capability::Stream(_)));
        if let (Some(held), true) = (&held, has_streams) {
            // Calls that were built on this one get its streams first, not the caller, who may never read them.
            let answer = self.table.get_mut(&id);
            let uses = answer.map(|answer| std::mem::take(&mut answer.uses)).unwrap_or_default();
            self.resolve_uses(id, held, uses, outgoing);
        }
        let passed = match &sent {
            Some(_) => outgoing.pass_result(&objects),
            None => Ok(Vec::new()),
        };
        let passed = match passed {
            Ok(passed) => passed,
            Err(failure) => return self.fail(id, Outcome::Failed(failure), outgoing),
        };
        let Some(answer) = self.table.get_mut(&id) else { return };
        answer.returned = true;
        let uses = std::mem::take(&mut answer.uses);
        match sent {
            Some(payload) => {
                let payload = outgoing.payload(id, true, payload, write::objects_bytes(&passed));
                put_return(outgoing, id, passed, Status::Value(payload));
            }
            None => put_return(outgoing, id, Vec::new(), Status::Done),
        }
        if let Some(held) = held {
            self.resolve_uses(id, &held, uses, outgoing);
            self.hold(id, held);
        }
        self.settle(id);
    }

    /// The limit that has no room to keep `bytes` more, if any.
    fn has_no_room_to_hold(&mut self, bytes: usize) -> Option<Failure> {
        let (needed, allowed) = (self.books.held().saturating_add(bytes), self.limits.held_bytes_max);
        if needed > allowed {
            return Some(Reached::new("held_bytes_max", needed, allowed).into());
        }
        if bytes < SETTLED_BYTES { None } else { self.books.lacks(bytes).map(Failure::exhausted) }
    }

    fn hold(&mut self, id: CallId, held: Box<Held>) {
        if let Some(answer) = self.table.get_mut(&id)
            && answer.want.keep
        {
            self.books.hold(held.size());
            answer.stage = Stage::Held(held);
        }
    }

    /// Fails a call, then the calls that were built on it.
    pub(super) fn fail(&mut self, id: CallId, outcome: Outcome, outgoing: &mut Outgoing) {
        let mut failing = VecDeque::from([(id, outcome)]);
        while let Some((id, outcome)) = failing.pop_front() {
            let Some(answer) = self.table.get_mut(&id).filter(|answer| !answer.returned) else { continue };
            answer.returned = true;
            let origin = match &outcome {
                Outcome::Upstream { origin, missed: None } => *origin,
                _ => id,
            };
            let uses = std::mem::take(&mut answer.uses);
            let stage = std::mem::replace(&mut answer.stage, Stage::Failed { origin });
            let oneway = answer.oneway;
            // Otherwise these would stay with the failure's marker until it is released.
            answer.extras = None;
            answer.plan = None;
            drop(take_objects(answer, &mut self.books));
            answer.target = AnswerTarget::Root;
            self.drop_arguments(id, stage, outgoing);
            let (objects, status) = match oneway {
                // A one-way call returns no error to its caller, so objects in the error must not be introduced.
                true => (Vec::new(), Status::Done),
                false => self
                    .status_of(id, outcome, outgoing)
                    .unwrap_or_else(|failure| (Vec::new(), Status::Failed(failure))),
            };
            put_return(outgoing, id, objects, status);
            failing
                .extend(uses.into_iter().map(|used| (used.call, Outcome::Upstream { origin, missed: None })));
            self.leave_order(id);
            self.settle(id);
        }
    }

    /// Whether a result or an error is short enough for the caller.
    fn fits_caller(&self, bytes: &SmallBytes) -> Result<(), Failure> {
        let (length, length_max) = (bytes.len(), self.caller_payload_bytes_max);
        match length > length_max {
            true => Err(Failure::exhausted_of_peer(Reached::new("payload_bytes_max", length, length_max))),
            false => Ok(()),
        }
    }

    /// The status that tells the caller of an outcome without a value, or why the outcome cannot be sent.
    fn status_of(
        &self,
        id: CallId,
        outcome: Outcome,
        outgoing: &mut Outgoing,
    ) -> Result<(Vec<PassedObject>, Status), Failure> {
        let status = match outcome {
            Outcome::Error(bytes, objects) => {
                self.fits_caller(&bytes)?;
                let passed = outgoing.pass_result(&objects)?;
                let payload = outgoing.payload(id, true, bytes, write::objects_bytes(&passed));
                return Ok((passed, Status::Error(payload)));
            }
            Outcome::Element(failure) => {
                let mut bytes = Vec::new();
                failure.put(&mut bytes);
                let bytes = SmallBytes::from(bytes);
                self.fits_caller(&bytes)?;
                Status::Element(outgoing.payload(id, true, bytes, 0))
            }
            Outcome::Failed(failure) => Status::Failed(failure),
            Outcome::Upstream { origin, missed } => Status::Upstream { origin, missed },
            Outcome::Value { .. } => Status::Done,
        };
        Ok((Vec::new(), status))
    }

    /// Lets go of the arguments of a call that will not start, and of its claims on other calls.
    fn drop_arguments(&mut self, id: CallId, stage: Stage, outgoing: &mut Outgoing) {
        match stage {
            Stage::Waiting(mut waiting) => {
                self.books.remove_pending(waiting.bytes());
                waiting.bases.sort_unstable();
                waiting.bases.dedup();
                for base in waiting.bases {
                    if let Some(source) = self.table.get_mut(&base) {
                        source.uses.retain(|used| used.call != id);
                        self.stop_if_unneeded(base, outgoing);
                    }
                }
            }
            Stage::Ready(arguments) => self.books.remove_pending(arguments.bytes()),
            Stage::Arguments | Stage::Running | Stage::Held(_) | Stage::Failed { .. } => {}
        }
    }

    /// Frees the permit once the call was answered and no handler runs; forgets the answer unless it is kept.
    fn settle(&mut self, id: CallId) {
        let Some(answer) = self.table.get(&id) else { return };
        if !answer.returned || answer.running {
            return;
        }
        self.books.is_over();
        if !answer.want.keep {
            self.table.remove(&id);
        } else if answer.cancelled {
            self.let_go(id);
        }
    }

    // ---- the caller loses interest ----

    /// Cancels a call: the caller neither waits for the value nor will refer to it again.
    pub(crate) fn cancel(&mut self, id: CallId, outgoing: &mut Outgoing) -> Result<(), Violation> {
        if id > self.last {
            return Err(Violation::UnknownCall(id.0));
        }
        self.promote(id);
        // A call that is not in the table was answered and forgotten: the cancel crossed the Return on the wire.
        let Some(answer) = self.table.get_mut(&id).filter(|answer| !answer.cancelled) else { return Ok(()) };
        answer.cancelled = true;
        if answer.want.keep && answer.uses.is_empty() {
            self.let_go(id);
        }
        self.stop_if_unneeded(id, outgoing);
        Ok(())
    }

    /// Stops a cancelled call that no other call waits for.
    fn stop_if_unneeded(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let Some(answer) = self.table.get(&id) else { return };
        if !answer.cancelled || !answer.uses.is_empty() {
            return;
        }
        if answer.returned {
            return;
        }
        match answer.stage {
            Stage::Running => self.steps.push_front(HandlerStep::Cancel(id)),
            Stage::Arguments | Stage::Waiting(_) | Stage::Ready(_) => {
                self.fail(id, Outcome::Failed(Failure::Cancelled), outgoing);
            }
            Stage::Held(_) | Stage::Failed { .. } => {}
        }
    }

    /// Releases an answer: the caller will not refer to the result again.
    pub(crate) fn release(&mut self, id: CallId) -> Result<(), Violation> {
        if !self.table.get(&id).is_some_and(|answer| answer.want.keep && !answer.cancelled) {
            return Err(Violation::UnknownRelease(id.0));
        }
        self.let_go(id);
        Ok(())
    }

    /// Keeps the answer only until its call is finished.
    fn let_go(&mut self, id: CallId) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        answer.want.keep = false;
        self.books.let_go(match &answer.stage {
            Stage::Held(held) => held.size(),
            _ => 0,
        });
        if answer.returned && !answer.running {
            self.table.remove(&id);
        }
    }

    /// Fails the calls whose deadline has passed. A running handler is told to stop and keeps its permit until it has.
    pub(crate) fn expire(&mut self, now: Time, outgoing: &mut Outgoing) {
        while let Some((at, id)) = self.deadlines.pop_passed(now) {
            if !is_due(&self.plain, &self.table, id, at) {
                continue;
            }
            self.promote(id);
            if self.table.get(&id).is_some_and(|answer| answer.running) {
                self.steps.push_front(HandlerStep::Cancel(id));
            }
            self.give_up(id, outgoing);
        }
    }

    /// Fails a call that cannot be done before its deadline.
    pub(super) fn give_up(&mut self, id: CallId, outgoing: &mut Outgoing) {
        self.promote(id);
        self.fail(id, Outcome::Failed(Failure::DeadlineExceeded), outgoing);
    }
}
