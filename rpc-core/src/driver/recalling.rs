//! Calls that clients make again after their session was lost: the results that a lost session leaves, and the look for one of them
//! before a handler runs.

use std::{future::Future, pin::Pin, sync::Arc};

use rustc_hash::FxHashMap;

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

/// The memory that a result takes besides its bytes, about.
const RESULT_BYTES: usize = 128;

/// The results of a session that is over, as far as its client may not have got them.
pub struct LastResults {
    results: FxHashMap<CallId, Outcome>,
    bytes: usize,
}

impl LastResults {
    fn new(results: Vec<(CallId, Outcome)>) -> Self {
        let bytes = results.iter().map(|(_, outcome)| outcome.bytes() + RESULT_BYTES).sum();
        Self { results: results.into_iter().collect(), bytes }
    }

    /// The memory that the results take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl std::fmt::Debug for LastResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { results, bytes } = self;
        f.debug_struct("LastResults").field("results", &results.len()).field("bytes", bytes).finish()
    }
}

/// A server's memory of sessions that are over, for clients that make a call again in another session.
pub trait Recall: Send + Sync {
    /// Keeps what a session leaves that is over now.
    fn keep(&self, results: LastResults);

    /// The results of the session with this id, if it was one of this principal. If it goes on, it ends first: its client has
    /// given it up.
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
        if let Some(outcome) = left.and_then(|left| left.results.get(call).cloned()) {
            return Some(outcome);
        }
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

    /// Leaves the results that the client of a lost session may not have got.
    pub(super) fn leave_results(&mut self, reason: &CloseReason) {
        // A client that has closed in good order makes no call again.
        if let (Some(Recalls(recalls)), CloseReason::Expired { .. }) = (self.recalls.take(), reason) {
            let results = self.session.take_unacknowledged_results();
            if !results.is_empty() {
                recalls.keep(LastResults::new(results));
            }
        }
    }
}
