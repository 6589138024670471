//! Calls that clients make again after their session was lost: the results that a lost session leaves, and the look for one of them
//! before a handler runs.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use tokio::task::AbortHandle;

use super::{
    Conversation,
    greeting::SessionId,
    handlers::{EndReport, HandlerTask, start_one},
};
use crate::{
    deadline::with_deadline,
    error::CloseReason,
    handler::{context::CancelSignal, incoming::ReplyInner},
    principal::Principal,
    session::events::Begin,
    value::outcome::Outcome,
    wire::{CallId, SentBefore},
};

/// The memory that a result takes besides its bytes, and that of a handler that is stopped, about.
const RESULT_BYTES: usize = 128;
/// The time between two looks whether the handlers of a lost session are gone. They go when they are next polled.
const STOPPING_STEP: Duration = Duration::from_millis(1);

/// The results of a session that is over, as far as its client may not have got them; and its handlers, until they have stopped.
pub struct LastResults {
    results: FxHashMap<CallId, Outcome>,
    /// The handlers that ran when the session ended. An abort takes effect later, perhaps on another thread.
    stopping: Vec<AbortHandle>,
    bytes: usize,
}

impl LastResults {
    fn new(results: Vec<(CallId, Outcome)>, stopping: Vec<AbortHandle>) -> Self {
        let of_results: usize = results.iter().map(|(_, outcome)| outcome.bytes() + RESULT_BYTES).sum();
        let bytes = of_results + stopping.len() * RESULT_BYTES;
        Self { results: results.into_iter().collect(), stopping, bytes }
    }

    /// Results that take so much memory, for tests of a table that keeps them.
    #[doc(hidden)]
    pub fn of_bytes(bytes: usize) -> Self {
        Self { results: FxHashMap::default(), stopping: Vec::new(), bytes }
    }

    /// Waits until no handler of the session runs any more, except for those that nothing stops.
    async fn stopped(&self) {
        while !self.stopping.iter().all(AbortHandle::is_finished) {
            tokio::time::sleep(STOPPING_STEP).await;
        }
    }

    /// The memory that the results take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl std::fmt::Debug for LastResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { results, stopping, bytes } = self;
        f.debug_struct("LastResults")
            .field("results", &results.len())
            .field("stopping", &stopping.len())
            .field("bytes", bytes)
            .finish()
    }
}

/// A server's memory of sessions that are over, for clients that make a call again in another session.
pub trait Recall: Send + Sync {
    /// Keeps what a session leaves that is over now.
    fn keep(&self, results: LastResults);

    /// The results of the session with this id, if it was one of this principal, and not the one that asks. If it goes on, it ends
    /// first, with a socket or without: its client has given it up.
    fn recall(
        &self,
        session: SessionId,
        principal: Principal,
    ) -> Pin<Box<dyn Future<Output = Option<Arc<LastResults>>> + Send>>;
}

/// The memory of a server, as one of its sessions uses it.
#[derive(Clone)]
pub struct Recalls(pub Arc<dyn Recall>);

impl std::fmt::Debug for Recalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recalls").finish_non_exhaustive()
    }
}

/// The result of a call that was sent before, if one of those sessions has left it.
async fn recall(recalls: Recalls, calls: &[SentBefore], principal: &Principal) -> Option<Outcome> {
    for SentBefore { session, call } in calls {
        let left = recalls.0.recall(SessionId::from(*session), principal.clone()).await;
        let Some(left) = left else { continue };
        if let Some(outcome) = left.results.get(call) {
            return Some(outcome.clone());
        }
        left.stopped().await;
    }
    None
}

impl Conversation {
    /// The server's memory, if this call was sent before in sessions that were lost.
    #[inline]
    pub(super) fn recalls_for(&self, begin: &Begin) -> Option<Recalls> {
        let extras = begin.extras.as_ref()?;
        self.recalls.clone().filter(|_| !extras.sent_before.is_empty())
    }

    /// Answers a call that was sent before in sessions that were lost: with its result, if it had one, or by running its handler.
    pub(super) fn begin_again(&mut self, recalls: Recalls, mut begin: Begin) {
        let calls =
            begin.extras.as_mut().map(|extras| std::mem::take(&mut extras.sent_before)).unwrap_or_default();
        self.has_begun = true;
        let (answer, deadline, descriptor) = (begin.answer, begin.deadline, begin.descriptor);
        let (target, service) = (begin.target.clone(), self.service_of(&begin.target));
        let length = begin.arguments.bytes();
        let (number, incoming) = self.incoming(begin, self.budget(length));
        let principal = self.scope.peer.principal.clone();
        let cancelled = Arc::new(CancelSignal::default());
        let signal = Arc::clone(&cancelled);
        let handler = async move {
            if let Some(outcome) = recall(recalls, &calls, &principal).await {
                return outcome;
            }
            let reply = with_deadline(deadline, || start_one(&target, service.as_deref(), number, incoming));
            let (handler, inner) = match reply {
                ReplyInner::Done(outcome) => return outcome,
                ReplyInner::Running { handler, cancelled } => (handler, cancelled),
            };
            let passed_on = async {
                signal.wait().await;
                inner.inspect(|inner| inner.set());
                std::future::pending().await
            };
            tokio::select! {
                biased;
                outcome = handler => outcome,
                outcome = passed_on => outcome,
            }
        };
        let report = EndReport::of(answer, &self.link, &self.elsewhere);
        let task =
            HandlerTask { handler: Box::pin(handler), method: descriptor, deadline, given: length, report };
        self.spawn(task, Some(cancelled));
    }

    /// Leaves the results that the client of a lost session may not have got, and the handlers that end with it.
    pub(super) fn leave_results(&mut self, reason: &CloseReason) {
        // A client that has closed in good order makes no call again.
        if let (Some(Recalls(recalls)), CloseReason::Expired { .. }) = (self.recalls.take(), reason) {
            let results = self.session.take_unacknowledged_results();
            let stopping = self.running.values().filter(|task| task.can_stop).map(|task| task.abort.clone());
            let stopping: Vec<_> = stopping.collect();
            if !results.is_empty() || !stopping.is_empty() {
                recalls.keep(LastResults::new(results, stopping));
            }
        }
    }
}
