//! The end of sent calls: they return or are cancelled, and are forgotten when nothing refers to them.

use std::collections::{VecDeque, hash_map};

use rustc_hash::FxHashMap;

use crate::{
    buffer::small_bytes::SmallBytes,
    error::Violation,
    path::Path,
    session::{
        Calls,
        calls::{Assembled, Entry, Stage},
        inputs::Waiter,
        outgoing::Outgoing,
    },
    value::{
        encoded::Encoded,
        returned::{OriginCause, Returned},
    },
    wire::{CallId, Frame, map_program::ElementFailure},
};

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

impl<W: Waiter> Calls<W> {
    /// Cancels a sent call that nothing on this side needs. The peer stops it unless a call it has received is built on it.
    pub(super) fn cancel_if_unneeded(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let needed = entry.value || entry.is_referable() || entry.detached || entry.unsent_dependents() > 0;
        if needed || entry.is_unsent() || entry.has_returned() || entry.cancelled {
            return;
        }
        entry.cancelled = true;
        // A cancel also releases; a release behind it would be one too many.
        if !std::mem::take(&mut entry.kept) {
            self.releases.remove(&id);
        }
        outgoing.put_frame(&Frame::Cancel(id));
    }

    pub(super) fn release_if_unreferred(&mut self, id: CallId) {
        if let Some(entry) = self.table.get_mut(&id)
            && entry.kept
            && (!entry.is_referable() || entry.failure().is_some())
            && entry.unsent_dependents() == 0
        {
            entry.kept = false;
            self.releases.push(id);
        }
    }

    pub(crate) fn unwanted(&mut self, id: CallId, outgoing: &mut Outgoing) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.value = false;
            self.interest_fell(id, outgoing);
        } else {
            self.forget_resting(id);
        }
    }

    pub(crate) fn released(&mut self, id: CallId, outgoing: &mut Outgoing) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.reference = false;
            self.interest_fell(id, outgoing);
        }
    }

    pub(super) fn interest_fell(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let Some(entry) = self.table.get(&id) else { return };
        if entry.is_unsent() {
            self.withdraw_if_pointless(id, outgoing);
            return;
        }
        self.cancel_if_unneeded(id, outgoing);
        self.release_if_unreferred(id);
        self.forget_if_done(id);
    }

    /// Ends a sent call with its outcome. Every sent call is remembered until then, also a cancelled one.
    pub(crate) fn returned(
        &mut self,
        id: CallId,
        outcome: Returned<W>,
        outgoing: &mut Outgoing,
    ) -> Result<(), Violation> {
        let mut over = VecDeque::new();
        let mut next = Some((id, outcome));
        while let Some((id, outcome)) = next.take().or_else(|| over.pop_front()) {
            sent_entry(&mut self.table, self.last_sent, id)?;
            let (cause, parked) = self.end(id, outcome, outgoing);
            for dependent in parked {
                let cause = cause.clone().ok_or(Violation::UnknownCall(id.0))?;
                over.push_back((dependent, cause));
            }
        }
        Ok(())
    }

    /// Takes the value of a plain call: one that is sent and wanted, and that nothing refers to or ever will. Returns false and
    /// changes nothing for any other call.
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
        self.finished.push_back((waiter, Returned::Value(value)));
        true
    }

    /// Ends one call. Returns the failure of calls built on it, if it failed, and the calls whose answers waited for its end.
    fn end(
        &mut self,
        id: CallId,
        outcome: Returned<W>,
        outgoing: &mut Outgoing,
    ) -> (Option<Returned<W>>, Vec<CallId>) {
        let Some(entry) = self.table.get_mut(&id) else { return (None, Vec::new()) };
        entry.stage = Stage::Returned;
        self.in_flight -= 1;
        let failed = !matches!(outcome, Returned::Done | Returned::Value(_));
        if failed && (entry.is_referable() || entry.dependents() > 0) {
            entry.ties().failure = Some(outcome.clone());
        }
        let cause = entry.as_cause();
        let parked = entry.ties.as_mut().map_or_else(Vec::new, |ties| std::mem::take(&mut ties.parked));
        if std::mem::take(&mut entry.value) {
            self.finished.push_back((entry.waiter.clone(), outcome));
        }
        if let Some(cause) = &cause {
            let queued = entry.take_queued_dependents();
            queued.into_iter().for_each(|dependent| self.refuse(dependent, cause.clone(), outgoing));
        }
        self.arguments_sent(id, outgoing);
        self.release_if_unreferred(id);
        self.forget_if_done(id);
        (cause, parked)
    }

    /// Ends a call that did not run because `origin` failed, or because the result of `origin` has nothing at `missed`.
    pub(crate) fn upstream(
        &mut self,
        id: CallId,
        origin: CallId,
        missed: Option<Path>,
        outgoing: &mut Outgoing,
    ) -> Result<(), Violation> {
        sent_entry(&mut self.table, self.last_sent, id)?;
        let source = self.table.get_mut(&origin).ok_or(Violation::UnknownCall(origin.0))?;
        let outcome = match (missed, source.as_cause()) {
            (Some(path), _) => {
                Returned::Upstream { origin: source.waiter.clone(), cause: OriginCause::Missed(path) }
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
        self.returned(id, outcome, outgoing)
    }

    pub(crate) fn expect_chunks(&mut self, id: CallId, what: Assembled) -> Result<(), Violation> {
        sent_entry(&mut self.table, self.last_sent, id)?.stage = Stage::Assembling(Box::new(what));
        Ok(())
    }

    pub(crate) fn assembled(
        &mut self,
        id: CallId,
        bytes: SmallBytes,
        outgoing: &mut Outgoing,
    ) -> Result<(), Violation> {
        let Some(entry) = self.table.get_mut(&id) else { return Err(Violation::UnknownCall(id.0)) };
        let Stage::Assembling(what) = std::mem::replace(&mut entry.stage, Stage::Sent) else {
            return Err(Violation::UnknownCall(id.0));
        };
        let outcome = match *what {
            Assembled::Value(Ok(capabilities)) => Returned::Value(Encoded { bytes, capabilities }),
            Assembled::Error(Ok(capabilities)) => Returned::Error(Encoded { bytes, capabilities }),
            Assembled::Value(Err(failure)) | Assembled::Error(Err(failure)) => Returned::Failed(failure),
            Assembled::Element => Returned::Element(ElementFailure::parse(bytes)?.into()),
        };
        self.returned(id, outcome, outgoing)
    }

    // ---- forgetting ----

    pub(super) fn dependent_gone(&mut self, base: CallId) {
        if let Some(entry) = self.table.get_mut(&base) {
            entry.ties().dependents -= 1;
            self.forget_if_done(base);
        }
    }

    /// Forgets a call that has returned and that nothing refers to, then the calls it was built on if nothing refers to those.
    pub(super) fn forget_if_done(&mut self, id: CallId) {
        let mut candidates = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.take().or_else(|| candidates.pop()) {
            let done = self.table.get(&id).is_some_and(Entry::is_done);
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
}
