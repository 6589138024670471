//! The sessions that can go on when their sockets end: found by their ids, and bounded while they have no socket; and the last results
//! of those that were lost.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rpc_core::{
    CloseReason, Peer, Principal, SessionHandle,
    driver::{Attachment, Attachments, LastResults, Recall, Recalls, ResumeConfig, SessionId},
};
use tokio::time::Instant;

use crate::listen::Prefix;

/// How sessions go on when their sockets end: for how long the server keeps them, and how many.
///
/// While a session has no socket, its handlers run on, its results and items wait, and its client may come back. Sessions that are
/// waiting are bounded by number and by bytes. When a bound is reached, the session that has waited longest ends with
/// [`CloseReason::Expired`]: that of the same peer, for the bound of one peer. A session that exceeds a bound alone ends at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeOptions {
    /// The time that a session is kept without a socket. Default 120 s. Zero: every session ends with its socket.
    pub window: Duration,
    /// Sessions without a socket at once. Default 10,000.
    pub detached_max: usize,
    /// Sessions of one peer without a socket at once. Default 100; public 8. A peer is a [`Principal`]; anonymous peers count by
    /// address, as in [`ListenOptions`](crate::listen::ListenOptions). Anonymous peers on loopback addresses have no such bound.
    pub peer_detached_max: usize,
    /// Bytes that sessions without a socket keep together, as [`Limits::session_bytes_max`](rpc_core::Limits::session_bytes_max)
    /// counts them. Default 256 MiB. A session's bytes are looked up when its socket ends; what its handlers add afterwards is
    /// bounded by its own limits and by the memory budget. Results of sessions that were lost are kept for as long as `window`, for clients
    /// that make an idempotent call again; they take what is left of these bytes, and make room.
    pub detached_bytes_max: usize,
    /// The new sockets that a session may get in a minute, in the long run; ten may come at once. Default 10. Further ones are
    /// refused with [`close_codes::TOO_OFTEN`](rpc_core::close_codes::TOO_OFTEN).
    pub attaches_per_minute: u32,
}

impl Default for ResumeOptions {
    fn default() -> Self {
        let ResumeConfig { window, attaches_per_minute } = ResumeConfig::default();
        Self {
            window,
            detached_max: 10_000,
            peer_detached_max: 100,
            detached_bytes_max: 256 << 20,
            attaches_per_minute,
        }
    }
}

impl ResumeOptions {
    /// Options for unknown clients on the open internet.
    pub fn public() -> Self {
        Self { peer_detached_max: 8, ..Self::default() }
    }

    /// Every session ends with its socket.
    pub fn off() -> Self {
        Self { window: Duration::ZERO, ..Self::default() }
    }

    pub(crate) fn config(&self) -> Option<ResumeConfig> {
        let Self { window, attaches_per_minute, .. } = *self;
        (!window.is_zero()).then_some(ResumeConfig { window, attaches_per_minute })
    }
}

/// The peer that a session without a socket counts for; `None` if it is not bounded by peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Named(Arc<str>),
    At(Prefix),
}

pub(crate) fn owner_of(peer: &Peer) -> Option<Owner> {
    match (&peer.principal, peer.address) {
        (Principal::Named(name), _) => Some(Owner::Named(Arc::clone(name))),
        (_, Some(address)) if !address.ip().to_canonical().is_loopback() => {
            Some(Owner::At(Prefix::of(address.ip())))
        }
        _ => None,
    }
}

/// The table of a server's sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    options: ResumeOptions,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// All ids that are taken. The session is missing until it has begun.
    known: HashMap<SessionId, Option<Known>>,
    detached: HashMap<SessionId, Waiting>,
    /// The order in which sessions lost their sockets. Sessions that are attached again leave their entry behind.
    order: VecDeque<(SessionId, u64)>,
    by_owner: HashMap<Owner, VecDeque<(SessionId, u64)>>,
    /// Bytes of all in `detached`.
    bytes: usize,
    /// The number of times that a session was detached.
    detaches: u64,
    lost: HashMap<SessionId, Lost>,
    /// The order in which the sessions in `lost` have ended, and when they are forgotten.
    lost_order: VecDeque<(SessionId, Instant)>,
    /// Whether a task forgets them in time.
    is_sweeping: bool,
    /// Bytes of all in `lost`.
    lost_bytes: usize,
}

#[derive(Debug)]
struct Known {
    handle: SessionHandle,
    principal: Principal,
}

/// A session that was lost.
#[derive(Debug)]
struct Lost {
    principal: Principal,
    results: Arc<LastResults>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    bytes: usize,
    owner: Option<Owner>,
    sockets: Attachments,
}

impl Sessions {
    pub(crate) fn new(options: ResumeOptions) -> Self {
        Self { options, tables: Mutex::default() }
    }

    pub(crate) fn config(&self) -> Option<ResumeConfig> {
        self.options.config()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No user code runs under the lock, and no change stops half-way.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with this id.
    pub(crate) fn find(&self, id: SessionId) -> Option<SessionHandle> {
        self.tables().known.get(&id)?.as_ref().map(|known| known.handle.clone())
    }

    /// Takes an id for a new session; `None` if it is taken. Of clients that come at once with one id, only the first gets it.
    pub(crate) fn claim(self: &Arc<Self>, id: SessionId) -> Option<Place> {
        match self.tables().known.entry(id) {
            hash_map::Entry::Occupied(_) => None,
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(None);
                Some(Place { sessions: Arc::clone(self), id })
            }
        }
    }

    /// Forgets each lost session in its time, until there is none.
    async fn sweep(self: Arc<Self>) {
        while let Some(due) = self.next_sweep() {
            tokio::time::sleep_until(due).await;
        }
    }

    fn next_sweep(&self) -> Option<Instant> {
        self.tables().sweep(Instant::now())
    }

    /// The sessions without a socket, and their bytes.
    #[cfg(test)]
    fn waiting(&self) -> (usize, usize) {
        let tables = self.tables();
        (tables.detached.len(), tables.bytes)
    }
}

/// An id in the table, which is taken until this is dropped.
pub(crate) struct Place {
    sessions: Arc<Sessions>,
    id: SessionId,
}

impl Place {
    /// Enters the session that has begun with this id.
    pub(crate) fn enter(self, handle: &SessionHandle, owner: Option<Owner>, principal: Principal) -> Entry {
        let known = Known { handle: handle.clone(), principal };
        self.sessions.tables().known.insert(self.id, Some(known));
        let sockets = handle.attachments();
        Entry { place: self, owner, handle: handle.clone(), sockets }
    }
}

impl Place {
    /// The server's memory of sessions that are over, for the session with this id.
    pub(crate) fn recalls(&self, principal: Principal) -> Recalls {
        let Self { sessions, id } = self;
        Recalls(Arc::new(Memory { sessions: Arc::clone(sessions), id: *id, principal }))
    }
}

struct Memory {
    sessions: Arc<Sessions>,
    id: SessionId,
    principal: Principal,
}

impl Recall for Memory {
    fn keep(&self, results: LastResults) {
        let Self { sessions, id, principal } = self;
        let lost = Lost { principal: principal.clone(), results: Arc::new(results) };
        if sessions.tables().leave(*id, lost, Instant::now(), &sessions.options) {
            tokio::spawn(Arc::clone(sessions).sweep());
        }
    }

    fn recall(
        &self,
        session: SessionId,
        principal: Principal,
    ) -> Pin<Box<dyn Future<Output = Option<Arc<LastResults>>> + Send>> {
        let (sessions, own) = (Arc::clone(&self.sessions), self.id);
        Box::pin(async move {
            // A session that goes on is none that was lost.
            if session == own {
                return None;
            }
            let known = match sessions.tables().known.get(&session) {
                Some(Some(known)) if known.principal == principal => Some(known.handle.attachments()),
                _ => None,
            };
            if let Some(known) = known {
                known.supersede().await;
            }
            let tables = sessions.tables();
            let lost = tables.lost.get(&session).filter(|lost| lost.principal == principal)?;
            Some(Arc::clone(&lost.results))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tables = self.sessions.tables();
        tables.known.remove(&self.id);
        tables.attached(self.id);
    }
}

/// A session in the table.
pub(crate) struct Entry {
    place: Place,
    owner: Option<Owner>,
    handle: SessionHandle,
    sockets: Attachments,
}

impl Entry {
    /// Counts the session while it has no socket. Never completes before the session is over.
    pub(crate) async fn watch(&mut self) {
        let Place { sessions, id } = &self.place;
        while let Some(attachment) = self.sockets.changed().await {
            match attachment {
                Attachment::Detached(Some(_)) => {
                    let bytes = Box::pin(self.handle.stats()).await.session_bytes;
                    let waiting = (self.owner.clone(), bytes, self.sockets.clone());
                    let over = sessions.tables().detach(*id, waiting, &sessions.options);
                    over.into_iter()
                        .for_each(|sockets| sockets.give_up(CloseReason::Expired { cause: None }));
                }
                _ => sessions.tables().attached(*id),
            }
        }
    }
}

impl Tables {
    /// Enters a session whose socket has ended. Returns the sessions that have to end for it.
    fn detach(
        &mut self,
        id: SessionId,
        (owner, bytes, sockets): (Option<Owner>, usize, Attachments),
        options: &ResumeOptions,
    ) -> Vec<Attachments> {
        self.attached(id);
        if bytes > options.detached_bytes_max {
            // Ending all others would not make room for it.
            return vec![sockets];
        }
        self.detaches += 1;
        let number = self.detaches;
        self.order.push_back((id, number));
        if let Some(owner) = &owner {
            self.by_owner.entry(owner.clone()).or_default().push_back((id, number));
        }
        self.bytes += bytes;
        self.make_room(options);
        self.detached.insert(id, Waiting { number, bytes, owner: owner.clone(), sockets });
        let mut over = Vec::new();
        if let Some(owner) = &owner {
            while self.count_of(owner) > options.peer_detached_max {
                over.extend(
                    self.by_owner
                        .get(owner)
                        .and_then(VecDeque::front)
                        .copied()
                        .and_then(|(id, _)| self.end(id)),
                );
            }
        }
        while self.detached.len() > options.detached_max || self.bytes > options.detached_bytes_max {
            self.forget_stale();
            let Some((id, _)) = self.order.front().copied() else { break };
            over.extend(self.end(id));
        }
        over
    }

    /// The sessions of a peer without a socket. Removes entries of those that were attached again from the front.
    fn count_of(&mut self, owner: &Owner) -> usize {
        let Self { detached, by_owner, .. } = self;
        let Some(order) = by_owner.get_mut(owner) else { return 0 };
        order.retain(|(id, number)| detached.get(id).is_some_and(|waiting| waiting.number == *number));
        order.len()
    }

    fn forget_stale(&mut self) {
        while let Some((id, number)) = self.order.front()
            && self.detached.get(id).is_none_or(|waiting| waiting.number != *number)
        {
            self.order.pop_front();
        }
    }

    fn end(&mut self, id: SessionId) -> Option<Attachments> {
        let sockets = self.detached.get(&id).map(|waiting| waiting.sockets.clone());
        self.attached(id);
        sockets
    }

    /// Keeps what a lost session has left, if there is room for it. True if nobody sweeps so far, and somebody has to.
    fn leave(&mut self, id: SessionId, lost: Lost, now: Instant, options: &ResumeOptions) -> bool {
        if lost.results.bytes() > options.detached_bytes_max {
            return false;
        }
        self.lost_bytes += lost.results.bytes();
        match self.lost.insert(id, lost) {
            // A client that uses an id twice keeps the place, and the time, of the first.
            Some(before) => self.lost_bytes -= before.results.bytes(),
            None => self.lost_order.push_back((id, now + options.window)),
        }
        self.make_room(options);
        !self.lost.is_empty() && !std::mem::replace(&mut self.is_sweeping, true)
    }

    /// Forgets the lost sessions whose time is over, and tells when that of the next one is. `None` if there is none, which ends the
    /// sweep.
    fn sweep(&mut self, now: Instant) -> Option<Instant> {
        while let Some((id, due)) = self.lost_order.front().copied() {
            if due > now {
                return Some(due);
            }
            self.lost_order.pop_front();
            self.forget_lost(id);
        }
        self.is_sweeping = false;
        None
    }

    /// Forgets lost sessions, the first ones first, until those and the waiting ones are within the bounds.
    fn make_room(&mut self, options: &ResumeOptions) {
        while self.lost.len() > options.detached_max
            || (self.lost_bytes > 0 && self.bytes + self.lost_bytes > options.detached_bytes_max)
        {
            let Some((id, _)) = self.lost_order.pop_front() else { break };
            self.forget_lost(id);
        }
    }

    fn forget_lost(&mut self, id: SessionId) {
        if let Some(lost) = self.lost.remove(&id) {
            self.lost_bytes -= lost.results.bytes();
        }
    }

    /// Takes note that a session has a socket, or is over.
    fn attached(&mut self, id: SessionId) {
        let Some(Waiting { bytes, owner, .. }) = self.detached.remove(&id) else { return };
        self.bytes -= bytes;
        if let Some(owner) = owner
            && self.count_of(&owner) == 0
        {
            self.by_owner.remove(&owner);
        }
        if self.detached.is_empty() {
            self.order.clear();
        } else if self.order.len() > 2 * self.detached.len() + 64 {
            let detached = &self.detached;
            self.order
                .retain(|(id, number)| detached.get(id).is_some_and(|waiting| waiting.number == *number));
        }
    }
}

#[cfg(test)]
mod tests;
