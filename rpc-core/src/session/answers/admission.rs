//! The one door for calls of the peer: whether a call is taken, refused or ends the session.
//!
//! Asked before anything of a call is kept, by plain calls and by all others. What it says about a call depends on what the
//! call says of itself and on how full the session is, not on what its method does.

use super::{Answers, Arriving, slots_bytes};
use crate::{
    error::Violation,
    limits::metadata_bytes,
    session::{due::RELEASES_MAX, handshake::INITIAL_CALLS, methods::Method, sending::Sending},
    wire::Failure,
};

/// What is known of a call when it comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallHead {
    /// Of its payload, which is here or will follow.
    pub(super) length: usize,
    /// What else of it is kept while it waits.
    pub(super) beside: usize,
    pub(super) metadata: usize,
    /// Its result is to be kept.
    pub(super) keeps: bool,
    /// Bytes of payloads that are being assembled.
    pub(super) pending_elsewhere: usize,
}

/// Why a call is not taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Obstacle {
    /// Only a peer gets there that keeps to no limit.
    Breaks(&'static str),
    /// The session is closing.
    Closing,
    Full(&'static str),
    Work,
}

impl Answers {
    /// What speaks against a call.
    #[inline]
    pub(super) fn obstacle(&self, head: &CallHead, sending: &Sending) -> Option<Obstacle> {
        let limits = &self.limits;
        let pending = self.books.pending_with(head.length).saturating_add(head.beside);
        // Failed calls leave markers until they are released, which the caller does when it hears of the failure. Those
        // that it has not heard of are as many as it may have in flight, and as many again that it sends before the
        // releases; a peer that piles up more keeps to no limit at all.
        let in_flight_max = limits.calls_max.max(INITIAL_CALLS);
        let obstacle =
            if self.books.keeping() >= limits.held_answers_max + 2 * in_flight_max + 2 * RELEASES_MAX {
                Obstacle::Breaks("held_answers_max")
            } else if self.books.unfinished() + sending.returns() >= 4 * in_flight_max {
                // Refusals cost memory too. An honest caller waits for answers; one that reads none of them does not.
                Obstacle::Breaks("calls_max")
            } else if self.refusing {
                Obstacle::Closing
            } else if head.length > limits.payload_bytes_max {
                // A caller that has not been welcomed does not know what is taken.
                Obstacle::Full("payload_bytes_max")
            } else if head.metadata > limits.metadata_bytes_max {
                Obstacle::Full("metadata_bytes_max")
            } else if self.books.unfinished() >= limits.calls_max {
                Obstacle::Full("calls_max")
            } else if head.keeps && self.books.keeping() >= limits.held_answers_max {
                Obstacle::Full("held_answers_max")
            } else if pending.saturating_add(head.pending_elsewhere) > limits.pending_bytes_max {
                Obstacle::Full("pending_bytes_max")
            } else if sending.bytes() > limits.outgoing_bytes_max {
                Obstacle::Full("outgoing_bytes_max")
            } else if let Some(limit) = self.books.short_of() {
                Obstacle::Full(limit)
            } else if self.work.is_overdrawn() {
                Obstacle::Work
            } else {
                return None;
            };
        Some(obstacle)
    }

    /// Why a call that has come is not taken, if it is not.
    ///
    /// # Errors
    /// It ends the session.
    pub(super) fn refusal(
        &self,
        arriving: &Arriving,
        sending: &Sending,
    ) -> Result<Option<Failure>, Violation> {
        let Arriving { call, length, pending_elsewhere, short_of, addressed, objects } = arriving;
        let head = CallHead {
            length: *length,
            beside: objects.as_ref().map_or(0, |objects| slots_bytes(objects)),
            metadata: metadata_bytes(&call.metadata),
            keeps: call.want.keep,
            pending_elsewhere: *pending_elsewhere,
        };
        let full = match self.obstacle(&head, sending) {
            Some(Obstacle::Breaks(limit)) => return Err(Violation::Limit(limit)),
            Some(Obstacle::Closing) => return Ok(Some(Failure::Unavailable)),
            Some(Obstacle::Full(limit)) => Some(Failure::exhausted(limit)),
            Some(Obstacle::Work) => Some(self.work.refusal(0)),
            None => short_of.map(Failure::exhausted),
        };
        // What the call itself says is told first: it will not change.
        Ok(match (addressed, objects) {
            (Err(failure), _) | (_, Err(failure)) => Some(failure.clone()),
            (Ok((_, Method::Get)), _) if call.want.keep => {
                Some(Failure::invalid_reference("(result)", "a part is not kept; refer to the whole"))
            }
            _ => full,
        })
    }
}
