//! Calls that are made again: in this session when the peer refused them for a while, or in the next one.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::{
    buffer::small_bytes::SmallBytes,
    in_order::in_order,
    retry::Retry,
    schema::descriptor::MethodDescriptor,
    session::{
        calls::{Calls, Entry, Queued, Stage},
        inputs::{Attempts, CallExtras, CallTarget, Derived, NewCall, Waiter},
        outgoing::Outgoing,
    },
    time::Time,
    value::{
        encoded::{Capability, Passing},
        object::{Import, Origin},
        returned::Returned,
    },
    wire::{CallId, Failure, MethodNumber, SENT_BEFORE_MAX, SentBefore},
};

/// The parts of a sent call that may be made again.
pub(super) struct Again {
    pub(super) number: MethodNumber,
    pub(super) service: &'static str,
    pub(super) method: &'static MethodDescriptor,
    pub(super) payload: SmallBytes,
    pub(super) extras: Option<Box<CallExtras>>,
    pub(super) retry: Retry,
}

/// The state that only sessions have whose calls may be made again.
pub(super) struct Repeating<W> {
    /// The id of this session, by which the server of another one may know its calls.
    pub(super) session: Option<[u8; 16]>,
    /// Calls that the peer refused for a while.
    resting: Vec<Resting<W>>,
}

impl<W> Default for Repeating<W> {
    fn default() -> Self {
        Self { session: None, resting: Vec::new() }
    }
}

/// A call that the peer refused, until it is made again.
struct Resting<W> {
    due: Time,
    call: NewCall<W>,
    /// The refusal, for a caller whose session takes no calls by then.
    refused: Failure,
}

impl Again {
    /// Whether the call may run twice. Calls that pass objects of this side have no `Again`.
    fn is_repeatable(&self) -> bool {
        self.method.attributes.idempotent
    }

    fn attempts(&mut self) -> &mut Attempts {
        self.extras.get_or_insert_default().attempts.get_or_insert_default()
    }

    fn failed(&self) -> u32 {
        self.extras.as_ref().and_then(|extras| extras.attempts.as_ref()).map_or(0, |attempts| attempts.failed)
    }

    /// Counts the attempt that failed; `None` if there is to be no further one.
    fn count(mut self) -> Option<Self> {
        let failed = self.failed() + 1;
        if failed >= self.retry.attempts {
            return None;
        }
        self.attempts().failed = failed;
        Some(self)
    }

    fn new_call<W>(self, id: CallId, bases: Vec<CallId>, deadline: Option<Time>, waiter: W) -> NewCall<W> {
        let Self { number, service, method, payload, extras, .. } = self;
        NewCall { id, number, service, method, payload, bases, deadline, extras, waiter }
    }
}

impl<W: Waiter> Calls<W> {
    /// Whether a call of this method is made again, and how often.
    pub(super) fn retry_of(&self, method: &MethodDescriptor, attempts: Option<&Attempts>) -> Option<Retry> {
        let usual = || (self.sends_again && method.attributes.idempotent).then(Retry::default);
        attempts.and_then(|attempts| attempts.retry).or_else(usual).filter(|retry| retry.attempts > 1)
    }

    /// Has a call that the peer refused for a while rest until it is made again, if it may be. False leaves the call as it is.
    pub(crate) fn rest(&mut self, now: Time, id: CallId, refused: &Failure) -> bool {
        let retry_after = match refused {
            Failure::ResourceExhausted(exhausted) if exhausted.retry_after_ms > 0 => exhausted.retry_after_ms,
            Failure::Unavailable => 0,
            _ => return false,
        };
        let session = self.session_id();
        let Some(entry) = self.table.get_mut(&id) else { return false };
        // Something that refers to the call does so by its id, which the next attempt has not. The tie to its target's origin is made
        // anew.
        let is_import = |extras: &CallExtras| matches!(extras.target, CallTarget::Import(_));
        let has_tie = entry.again.as_ref().and_then(|again| again.extras.as_deref()).is_some_and(is_import);
        let stands_alone = matches!(entry.stage, Stage::Sent)
            && entry.value
            && !entry.reference
            && !entry.arguments_unsent
            && entry.dependents() == 0
            && entry.bases().len() <= usize::from(has_tie);
        if !stands_alone {
            return false;
        }
        let Some(again) = entry.again.take().and_then(|again| again.count()) else { return false };
        let wait = again.retry.wait(again.failed(), jitter((session, id, again.failed())));
        let due = now + wait.max(Duration::from_millis(retry_after));
        if entry.deadline.is_some_and(|deadline| deadline <= due) {
            return false;
        }
        let Some(Entry { waiter, deadline, ties, .. }) = self.table.remove(&id) else { return false };
        self.in_flight -= 1;
        ties.into_iter().flat_map(|ties| ties.bases).for_each(|base| self.dependent_gone(base));
        let call = again.new_call(id, Vec::new(), deadline, waiter);
        self.repeating.get_or_insert_default().resting.push(Resting { due, call, refused: refused.clone() });
        true
    }

    /// Whether calls rest.
    #[inline]
    pub(crate) fn has_resting(&self) -> bool {
        self.repeating.as_ref().is_some_and(|repeating| !repeating.resting.is_empty())
    }

    /// When the first of the resting calls is made again.
    pub(super) fn rested(&self) -> Option<Time> {
        self.repeating.as_ref()?.resting.iter().map(|resting| resting.due).min()
    }

    /// Takes out a resting call that is to be made again, with the refusal that it fails with if that is not possible.
    pub(crate) fn pop_rested(&mut self, now: Time) -> Option<(NewCall<W>, Returned<W>)> {
        let resting = &mut self.repeating.as_mut()?.resting;
        let place = resting.iter().position(|resting| resting.due <= now)?;
        let Resting { call, refused, .. } = resting.remove(place);
        Some((call, Returned::Failed(refused)))
    }

    /// Forgets a resting call that nobody waits for any more.
    pub(super) fn forget_resting(&mut self, id: CallId) {
        if let Some(repeating) = &mut self.repeating {
            repeating.resting.retain(|resting| resting.call.id != id);
        }
    }

    /// Takes out all resting calls.
    pub(super) fn take_resting(&mut self) -> Vec<NewCall<W>> {
        let resting = self.repeating.as_mut().map(|repeating| std::mem::take(&mut repeating.resting));
        resting.unwrap_or_default().into_iter().map(|resting| resting.call).collect()
    }

    fn session_id(&self) -> Option<[u8; 16]> {
        self.repeating.as_ref()?.session
    }

    /// Takes out the calls that another session can make: those that were not sent or that rest, and with `lost` the idempotent ones that
    /// have not returned. Calls whose results are still referred to, or that such results are built on, are made again there as well, if
    /// all of them are idempotent. A call that needs something else of this session stays.
    pub(crate) fn hand_over(&mut self, lost: bool) -> Vec<NewCall<W>> {
        let ids = in_order(self.table.keys().copied().collect(), |id| id.0.cast_unsigned());
        let mut queue: FxHashMap<CallId, Queued> =
            std::mem::take(&mut self.queue).into_iter().map(|queued| (queued.id, queued)).collect();
        self.sealed = 0;
        let mut moved = self.take_resting();
        let session = self.session_id();
        let needed = self.needed_elsewhere(&ids, &queue, lost);
        for id in ids {
            let Some(mut entry) = self.table.remove(&id) else { continue };
            if !needed.contains(&id) {
                self.table.insert(id, entry);
                continue;
            }
            let bases = entry.bases().to_vec();
            let again = match queue.remove(&id) {
                Some(Queued { number, service, method, payload, extras, .. }) => {
                    Some(Again { number, service, method, payload, extras, retry: Retry::none() })
                }
                None if entry.has_returned() => None,
                None => entry.again.take().and_then(|again| again.count()),
            };
            moved.extend(match (again, entry) {
                (Some(again), Entry { stage: Stage::Queued, waiter, deadline, .. }) => {
                    Some(again.new_call(id, bases, deadline, waiter))
                }
                (Some(again), Entry { waiter, deadline, .. }) => {
                    Some(again.sent_before(session, id).new_call(id, bases, deadline, waiter))
                }
                // Its objects are known in this session until it ends.
                (None, entry) => self.table.entry(id).or_insert(entry).derived_call(id, bases),
            });
        }
        in_order(moved, |call| call.id.0.cast_unsigned())
    }

    /// The calls that another session makes.
    fn needed_elsewhere(
        &self,
        ids: &[CallId],
        queue: &FxHashMap<CallId, Queued>,
        lost: bool,
    ) -> FxHashSet<CallId> {
        // The calls that a call needs, if it can be made elsewhere once those are.
        let needs = |id: &CallId| -> Option<Vec<CallId>> {
            let entry = self.table.get(id)?;
            let extras = match (&entry.stage, queue.get(id)) {
                (Stage::Queued, queued) => &queued?.extras,
                (Stage::Sent | Stage::Assembling(_), _) if !lost => return None,
                (_, _) => {
                    let again = entry.again.as_ref().filter(|again| again.is_repeatable())?;
                    let is_over = again.failed() + 1 >= again.retry.attempts && !entry.has_returned();
                    (entry.failure().is_none() && !is_over).then_some(&again.extras)?
                }
            };
            let mut needs = entry.bases().to_vec();
            for import in extras.iter().flat_map(|extras| extras.imports()) {
                needs.push(import.origin()?.call);
            }
            Some(needs)
        };
        let mut possible = FxHashMap::default();
        for id in ids {
            if let Some(needs) = needs(id).filter(|needs| needs.iter().all(|id| possible.contains_key(id))) {
                possible.insert(*id, needs);
            }
        }
        let mut needed = FxHashSet::default();
        for id in ids.iter().rev() {
            let (Some(needs), Some(entry)) = (possible.get(id), self.table.get(id)) else { continue };
            if !entry.has_returned() || entry.reference || entry.imports() > 0 || needed.contains(id) {
                needed.insert(*id);
                needed.extend(needs);
            }
        }
        needed
    }

    // ---- objects that can be had again ----

    /// The place of the one object in a call's result, if that can be had again by making the call again.
    pub(crate) fn origin_of_object(&self, id: CallId) -> Option<Origin> {
        let again = self.table.get(&id)?.again.as_ref()?;
        if !again.is_repeatable() {
            return None;
        }
        let path = again.method.signature().result.only_object()?;
        Some(Origin { call: id, path })
    }

    /// Takes note that this side has an object from a call's result.
    pub(crate) fn imported_from(&mut self, id: CallId) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.ties().imports += 1;
        }
    }

    /// Takes note that this side has let go of such an object.
    pub(crate) fn origin_dropped(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let ties = entry.ties();
        ties.imports = ties.imports.saturating_sub(1);
        if ties.imports == 0 {
            self.interest_fell(id, outgoing);
        }
    }

    /// The place of an object of a session before in a result of this one; `None` if the object is lost.
    fn derived(&self, import: &Import) -> Option<Origin> {
        let origin = import.origin()?;
        self.table.get(&origin.call).filter(|entry| entry.is_derived()).map(|_| origin.clone())
    }

    /// Addresses a call of an object of a session before to the place where this session has it. False if it has not.
    pub(crate) fn derive_target(&self, call: &mut NewCall<W>) -> bool {
        let Some(extras) = &mut call.extras else { return true };
        let CallTarget::Import(import) = &extras.target else { return true };
        let Some(Origin { call: base, path }) = self.derived(import) else { return false };
        call.bases.push(base);
        extras.target = CallTarget::Result(base, path);
        true
    }

    /// Passes an object of a session before from the place where this session has it.
    pub(crate) fn derive_object(&self, object: &mut Passing, bases: &mut Vec<CallId>) {
        if let Passing::Settled(Capability::Import(import)) = object
            && let Some(Origin { call, path }) = self.derived(import)
        {
            bases.push(call);
            *object = Passing::Result(call, path);
        }
    }

    /// The call that a target came from, which is remembered for as long as this one may be made again.
    pub(super) fn origin_tie(
        &self,
        method: &MethodDescriptor,
        extras: Option<&CallExtras>,
    ) -> Option<CallId> {
        if !(self.sends_again && method.attributes.idempotent) {
            return None;
        }
        let CallTarget::Import(import) = &extras?.target else { return None };
        import.origin().map(|origin| origin.call).filter(|call| self.table.contains_key(call))
    }
}

impl<W: Clone> Entry<W> {
    /// The call that has this one's result in another session.
    fn derived_call(&self, id: CallId, bases: Vec<CallId>) -> Option<NewCall<W>> {
        let Again { number, service, method, payload, extras, .. } = &**self.again.as_ref()?;
        let mut extras = extras.clone().unwrap_or_default();
        extras.attempts.get_or_insert_default().derived =
            Some(Derived { reference: self.reference, imports: self.imports() });
        Some(NewCall {
            id,
            number: *number,
            service,
            method,
            payload: payload.clone(),
            bases,
            deadline: None,
            extras: Some(extras),
            waiter: self.waiter.clone(),
        })
    }
}

impl Again {
    /// Takes note of the session in which the call was sent.
    fn sent_before(mut self, session: Option<[u8; 16]>, call: CallId) -> Self {
        let sent_before = &mut self.attempts().sent_before;
        if sent_before.len() < SENT_BEFORE_MAX {
            sent_before.extend(session.map(|session| SentBefore { session, call }));
        }
        self
    }
}

/// A number from 0 to 1 that differs between sessions, calls and attempts.
fn jitter(of: impl Hash) -> f64 {
    let mut hasher = FxHasher::default();
    of.hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
