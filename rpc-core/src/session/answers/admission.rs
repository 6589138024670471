//! Admission, the one door for calls of the peer: a call is taken, refused, or ends the session.
//!
//! Plain calls and all others are checked here before anything of a call is kept. The checks depend on the call's size and
//! options and on how full the session is, not on its method. Rules about methods belong where method numbers are resolved
//! (`session/methods.rs`), which steps of maps pass too.

use std::{sync::Arc, time::Duration};

use super::{Answers, slots_bytes};
use crate::{
    buffer::small_bytes::SmallBytes,
    error::Violation,
    limits::metadata_bytes,
    session::{
        answers::{Answer, AnswerTarget, Arriving, HandlerStep, PlainAnswer, Stage},
        due::RELEASES_MAX,
        events::{Arguments, Begin, BeginExtras, BeginTarget},
        handshake::INITIAL_CALLS,
        methods::{KnownMethod, Method, Refused},
        outgoing::Outgoing,
    },
    time::Time,
    value::{object::LocalObject, outcome::Outcome},
    wire::{CallId, Failure, Reached, Want, arguments, plain::PlainCall},
};

/// The sizes and options of a call that admission checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallHead {
    /// The length of the payload, which is here or will follow.
    pub(super) length: usize,
    /// Other bytes of the call that are kept while it waits.
    pub(super) beside: usize,
    pub(super) metadata: usize,
    /// Whether the result is to be kept.
    pub(super) keeps: bool,
    /// Bytes of payloads that are being assembled.
    pub(super) pending_elsewhere: usize,
}

/// Why a call is not taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Obstacle {
    /// A limit that an honest peer cannot reach; reaching it ends the session.
    Breaks(&'static str),
    /// The session is closing.
    Closing,
    Full(Reached),
    Work,
}

impl Answers {
    /// The first condition that speaks against a call, if any.
    #[inline]
    pub(super) fn obstacle(&self, head: &CallHead, outgoing: &Outgoing) -> Option<Obstacle> {
        #[cfg(test)]
        if let Some(rule) = self.added_rule {
            return Some(Obstacle::Full(Reached::new(rule, 0, 0)));
        }
        let limits = &self.limits;
        let full = |limit, needed, allowed| Obstacle::Full(Reached::new(limit, needed, allowed));
        let pending = self.books.pending_with(head.length).saturating_add(head.beside);
        // Failed calls leave markers until the caller hears of the failure and releases them. An honest caller can have
        // twice its calls in flight of these: failures it has not heard of, and calls sent before the releases. A peer that
        // piles up more ignores the limits.
        let in_flight_max = limits.calls_max.max(INITIAL_CALLS);
        let obstacle =
            if self.books.keeping() >= limits.held_answers_max + 2 * in_flight_max + 2 * RELEASES_MAX {
                Obstacle::Breaks("held_answers_max")
            } else if self.books.unfinished() + outgoing.returns() >= 4 * in_flight_max {
                // Refusals cost memory too. An honest caller waits for answers and does not get here.
                Obstacle::Breaks("calls_max")
            } else if self.refusing {
                Obstacle::Closing
            } else if head.length > limits.payload_bytes_max {
                // A caller that has not read the Welcome does not know this limit.
                full("payload_bytes_max", head.length, limits.payload_bytes_max)
            } else if head.metadata > limits.metadata_bytes_max {
                full("metadata_bytes_max", head.metadata, limits.metadata_bytes_max)
            } else if self.books.unfinished() >= limits.calls_max {
                full("calls_max", self.books.unfinished() + 1, limits.calls_max)
            } else if head.keeps && self.books.keeping() >= limits.held_answers_max {
                full("held_answers_max", self.books.keeping() + 1, limits.held_answers_max)
            } else if pending.saturating_add(head.pending_elsewhere) > limits.pending_bytes_max {
                let pending = pending.saturating_add(head.pending_elsewhere);
                full("pending_bytes_max", pending, limits.pending_bytes_max)
            } else if outgoing.bytes() > limits.outgoing_bytes_max {
                full("outgoing_bytes_max", outgoing.bytes(), limits.outgoing_bytes_max)
            } else if let Some(limit) = self.books.short_of() {
                full(limit, 0, 0)
            } else if self.work.is_overdrawn() {
                Obstacle::Work
            } else {
                return None;
            };
        Some(obstacle)
    }

    /// The failure of a call that is not taken; `None` if it is taken.
    ///
    /// # Errors
    /// A violation, which ends the session.
    pub(super) fn refusal(
        &self,
        arriving: &Arriving,
        outgoing: &Outgoing,
    ) -> Result<Option<Failure>, Violation> {
        let Arriving { call, length, pending_elsewhere, short_of, addressed, objects } = arriving;
        let head = CallHead {
            length: *length,
            beside: objects.as_ref().map_or(0, |objects| slots_bytes(objects)),
            metadata: metadata_bytes(&call.metadata),
            keeps: call.want.keep,
            pending_elsewhere: *pending_elsewhere,
        };
        let full = match self.obstacle(&head, outgoing) {
            Some(Obstacle::Breaks(limit)) => return Err(Violation::Limit(limit)),
            Some(Obstacle::Closing) => return Ok(Some(Failure::Unavailable)),
            Some(Obstacle::Full(reached)) => Some(reached.into()),
            Some(Obstacle::Work) => Some(self.work.refusal(0)),
            None => short_of.map(Failure::exhausted),
        };
        // Failures of the call itself come first: a retry would not change them.
        Ok(match (addressed, objects) {
            (Err(failure), _) | (_, Err(failure)) => Some(failure.clone()),
            (Ok((_, Method::Get)), _) if call.want.keep => {
                Some(Failure::invalid_reference("(result)", "a part is not kept; refer to the whole"))
            }
            _ => full,
        })
    }
}

impl Answers {
    /// Accepts a plain call, of a service at the root or of this object, and returns true; or changes nothing and returns
    /// false. Then [`announce`](Self::announce) takes or refuses the call.
    pub(crate) fn take_plain(
        &mut self,
        now: Time,
        call: &PlainCall,
        object: Option<&Arc<LocalObject>>,
        payload: SmallBytes,
        pending_elsewhere: usize,
        outgoing: &Outgoing,
    ) -> bool {
        let Some(Method::Known(known)) = self.methods.find_number(call.method) else { return false };
        let (known, target) = match object {
            None if self.methods.is_at_root(known) => (*known, BeginTarget::Root(known.service())),
            None => return false,
            Some(object) => match known.of(object.descriptor()) {
                Ok(known) => (known, BeginTarget::Object(Arc::clone(object))),
                Err(_) => return false,
            },
        };
        let head =
            CallHead { length: payload.len(), beside: 0, metadata: 0, keeps: false, pending_elsewhere };
        let is_plain = call.id > self.last
            && !known.ordered
            && known.descriptor.attributes.batch.is_none()
            && self.obstacle(&head, outgoing).is_none()
            && arguments::all_inline(&payload).is_some();
        if !is_plain {
            return false;
        }
        let deadline = call.deadline_us.map(|us| self.deadline_in(now, us));
        self.last = call.id;
        self.books.came(false);
        self.books.add_pending(payload.len());
        self.plain.insert(call.id, PlainAnswer { method: call.method, deadline, running: false });
        if let Some(deadline) = deadline {
            self.watch_deadline(call.id, deadline);
        }
        let begin = Begin {
            answer: call.id,
            target,
            service: known.descriptor_of_service,
            method: known.method,
            descriptor: known.descriptor,
            arguments: Arguments::Inline(payload),
            want: Want { value: true, keep: false },
            deadline,
            extras: None,
        };
        self.sweep_steps();
        if self.steps.capacity() == 0 {
            // One call at a time needs no more, and most sessions make no more.
            self.steps.reserve_exact(1);
        }
        self.steps.push_back(HandlerStep::BeginPlain(begin, now));
        true
    }

    /// Moves a plain call to `table`, where anything may happen to it.
    pub(super) fn promote(&mut self, id: CallId) {
        let Some(PlainAnswer { method, deadline, running }) = self.plain.remove(&id) else { return };
        let method =
            self.methods.resolve(method).unwrap_or(Method::Refused(Refused::with(Failure::UnknownMethod)));
        let mut answer = Answer::new(method, AnswerTarget::Root, Want { value: true, keep: false });
        answer.deadline = deadline;
        answer.running = running;
        // Until the call starts, its arguments stay with its step.
        answer.stage = if running { Stage::Running } else { Stage::Ready(Arguments::none()) };
        self.table.insert(id, Box::new(answer));
    }

    fn deadline_in(&self, now: Time, us: u64) -> Time {
        now + Duration::from_micros(us).saturating_sub(self.late).min(self.limits.deadline_max)
    }

    /// Takes note how long ago the peer first sent the calls that follow.
    #[inline]
    pub(crate) fn arrived_late(&mut self, by: Duration) {
        self.late = by;
    }

    /// Enters a call whose payload of `length` bytes is here or will follow. A call that cannot be taken is answered
    /// at once. A violation is only what a peer that keeps to the protocol never does.
    pub(crate) fn announce(
        &mut self,
        now: Time,
        arriving: Arriving,
        outgoing: &mut Outgoing,
    ) -> Result<(), Violation> {
        self.now = now;
        self.sweep_steps();
        let id = arriving.call.id;
        if id <= self.last {
            return Err(Violation::IdReused(id.0));
        }
        self.last = id;
        let refusal = self.refusal(&arriving, outgoing)?;
        let Arriving { call, addressed, objects, .. } = arriving;
        let (target, method) = addressed
            .unwrap_or_else(|_| (AnswerTarget::Root, Method::Refused(Refused::with(Failure::UnknownMethod))));
        let deadline = call.deadline_us.map(|us| self.deadline_in(now, us));
        let objects = objects.unwrap_or_default();
        self.books.came(call.want.keep);
        self.books.add_pending(slots_bytes(&objects));
        let is_ordered = match method {
            Method::Known(known @ KnownMethod { ordered: true, .. }) => {
                self.in_order.entry(known.service()).or_default().push_back(id);
                true
            }
            _ => false,
        };
        let mut answer = Answer::new(method, target, call.want);
        answer.objects = objects;
        answer.oneway = call.oneway;
        // A look for an earlier result takes time, and other calls would overtake one of an ordered service.
        let extensions = call.extensions.filter(|_| !is_ordered);
        let sent_before = extensions.map(|extensions| extensions.sent_before).unwrap_or_default();
        answer.extras = BeginExtras::boxed(call.metadata, sent_before);
        self.table.insert(id, Box::new(answer));
        self.tighten_deadline(id, deadline);
        if let Some(failure) = refusal {
            self.fail(id, Outcome::Failed(failure), outgoing);
        }
        Ok(())
    }

    /// Whether the call still waits for its payload.
    pub(crate) fn is_waiting_for_arguments(&self, id: CallId) -> bool {
        self.table.get(&id).is_some_and(|answer| matches!(answer.stage, Stage::Arguments))
    }
}
