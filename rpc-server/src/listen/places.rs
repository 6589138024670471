//! Who has which places: connections and handshakes by address, and who gives one up for a newcomer.
//!
//! ```text
//!  admit ──► begin ──► established ──► left
//!    │         └──────────► left         ▲
//!    │         └─► evicted ──────────────┘  (its places are free at once)
//!    └─► refused
//! ```
//!
//! The accept loop admits and begins, connections' permits do the rest. Everything takes the logarithm of the number of
//! handshakes or less. An address is known for as long as it has a connection, and then until its rate of new connections
//! has recovered: after `burst / rate` at most, of which each connection made takes `1 / rate`. So the table holds at most
//! `connections_max` addresses and [`FADING_MAX`] more, however many addresses a peer has; beyond that, the one that would
//! be forgotten next is forgotten early.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    ListenOptions, Network, Prefix,
    ranking::{Ranked, Ranking},
};

/// Addresses without a connection that are remembered for the rate of their new connections: some 4 MiB.
const FADING_MAX: usize = 16_384;
/// Addresses that one connection cleans up after. Two would do to get on, as one is added at most.
const FORGOTTEN_TOGETHER: usize = 4;

/// The order in which connections began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Number(pub(super) u64);

/// Ends a handshake.
type Evict = oneshot::Sender<()>;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its address has as many sessions as it may have connections.
    Connections,
    /// Its address connects too often.
    Rate,
}

/// A connection that may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    prefix: Prefix,
    is_exempt: bool,
}

/// A connection that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) place: Place,
    pub(super) evicted: oneshot::Receiver<()>,
}

/// Which connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    prefix: Prefix,
    number: Number,
}

/// What a listener has taken and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenStats {
    /// Open connections, those in their handshake included.
    pub connections: usize,
    /// Connections in their handshake: from accepting to the peer's hello.
    pub handshakes: usize,
    /// Addresses that are remembered, for their connections or for those that they had a moment ago.
    pub addresses: usize,
    /// Connections refused so far, because their address had
    /// [`address_connections_max`](ListenOptions::address_connections_max).
    pub refused_for_connections: u64,
    /// Connections refused so far, because their address made more than
    /// [`address_connects_per_second`](ListenOptions::address_connects_per_second).
    pub refused_for_rate: u64,
    /// Handshakes ended so far to make room for newer ones.
    pub evicted: u64,
}

#[derive(Debug)]
pub(super) struct Places {
    caps: Caps,
    state: Mutex<State>,
}

/// The options, as they are applied.
#[derive(Debug)]
struct Caps {
    handshakes: usize,
    address_connections: usize,
    address_handshakes: usize,
    /// The time that an address earns one new connection in.
    connect_interval: Duration,
    /// How far ahead of that an address may be.
    connect_lead_max: Duration,
    count_loopback: bool,
    trusted_proxies: Vec<Network>,
}

#[derive(Debug, Default)]
struct State {
    addresses: HashMap<Prefix, Counts>,
    /// The handshakes under way, those of one address together, its oldest first.
    handshakes: BTreeMap<(Prefix, Number), Evict>,
    /// The addresses that have handshakes.
    ranking: Ranking,
    /// The addresses that have no connection, by when their rate has recovered.
    fading: BTreeSet<(Instant, Prefix)>,
    last: Number,
    stats: ListenStats,
}

/// What an address has.
#[derive(Debug)]
struct Counts {
    /// Those in their handshake included.
    connections: usize,
    /// Where it stands in the ranking, if it has handshakes.
    ranked: Option<Ranked>,
    /// When its rate of new connections has recovered: each puts it off by an interval.
    recovered: Instant,
}

impl Counts {
    fn handshakes(&self) -> usize {
        self.ranked.map_or(0, |ranked| ranked.handshakes)
    }
}

impl Places {
    pub(super) fn new(options: &ListenOptions) -> Self {
        let connections_max = options.connections_max.max(1);
        let connect_interval = Duration::from_secs(1) / options.address_connects_per_second.max(1);
        let caps = Caps {
            handshakes: options.handshakes_max.min(connections_max.div_ceil(2)).max(1),
            address_connections: options.address_connections_max.max(1),
            address_handshakes: options.address_handshakes_max.max(1),
            connect_interval,
            connect_lead_max: connect_interval * (options.address_connects_burst.max(1) - 1),
            count_loopback: options.count_loopback,
            trusted_proxies: options.trusted_proxies.clone(),
        };
        Self { caps, state: Mutex::default() }
    }

    /// Decides whether a connection may begin. Where its address has no place left, the oldest of its own handshakes ends.
    pub(super) fn admit(&self, address: IpAddr, now: Instant) -> Result<Admitted, Refusal> {
        let address = address.to_canonical();
        let prefix = Prefix::of(address);
        let is_exempt = (address.is_loopback() && !self.caps.count_loopback)
            || self.caps.trusted_proxies.iter().any(|network| network.contains(address));
        let mut state = self.state();
        state.forget(now);
        let evict = if is_exempt { None } else { state.make_room(prefix, now, &self.caps)? };
        drop(state);
        tell(evict);
        Ok(Admitted { prefix, is_exempt })
    }

    /// Begins a connection's handshake. Where there are too many in all, one of the address that has most ends.
    pub(super) fn begin(&self, admitted: Admitted, now: Instant) -> Begun {
        let Admitted { prefix, is_exempt } = admitted;
        let interval = if is_exempt { Duration::ZERO } else { self.caps.connect_interval };
        let mut state = self.state();
        let (place, evicted) = state.begin(prefix, now, interval);
        let evict = if state.handshakes.len() > self.caps.handshakes { state.take_of_most() } else { None };
        drop(state);
        tell(evict);
        Begun { place, evicted }
    }

    /// Ends a handshake of the address that has most, for a connection that waits for any place.
    pub(super) fn evict(&self) {
        let evict = self.state().take_of_most();
        tell(evict);
    }

    /// Makes a session of a handshake; not of one that has lost its place.
    #[must_use]
    pub(super) fn establish(&self, place: Place) -> bool {
        self.state().take_handshake(place).is_some()
    }

    /// Frees the places of a connection that has ended. One that lost its place has none.
    pub(super) fn leave(&self, place: Place, is_established: bool) {
        let mut state = self.state();
        if is_established || state.take_handshake(place).is_some() {
            state.end_connection(place.prefix, Instant::now());
        }
    }

    pub(super) fn stats(&self) -> ListenStats {
        let state = self.state();
        ListenStats { handshakes: state.handshakes.len(), addresses: state.addresses.len(), ..state.stats }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes who has lost its place, outside the lock.
fn tell(evict: Option<Evict>) {
    if let Some(evict) = evict {
        // It has ended by itself meanwhile.
        let _ = evict.send(());
    }
}

impl State {
    /// Holds a newcomer against what its address has.
    fn make_room(&mut self, prefix: Prefix, now: Instant, caps: &Caps) -> Result<Option<Evict>, Refusal> {
        let Some(counts) = self.addresses.get(&prefix) else { return Ok(None) };
        let is_full = counts.connections >= caps.address_connections;
        if is_full && counts.handshakes() == 0 {
            self.stats.refused_for_connections += 1;
            return Err(Refusal::Connections);
        }
        if counts.recovered.saturating_duration_since(now) > caps.connect_lead_max {
            self.stats.refused_for_rate += 1;
            return Err(Refusal::Rate);
        }
        let is_full = is_full || counts.handshakes() >= caps.address_handshakes;
        Ok(if is_full { self.take_oldest(prefix) } else { None })
    }

    fn begin(&mut self, prefix: Prefix, now: Instant, interval: Duration) -> (Place, oneshot::Receiver<()>) {
        let counts =
            self.addresses.entry(prefix).or_insert(Counts { connections: 0, ranked: None, recovered: now });
        if counts.connections == 0 {
            self.fading.remove(&(counts.recovered, prefix));
        }
        counts.connections += 1;
        counts.recovered = counts.recovered.max(now) + interval;
        self.stats.connections += 1;
        self.last.0 += 1;
        let (evict, evicted) = oneshot::channel();
        self.handshakes.insert((prefix, self.last), evict);
        let handshakes = counts.handshakes() + 1;
        self.rank(prefix, handshakes);
        (Place { prefix, number: self.last }, evicted)
    }

    /// Takes the places of the oldest handshake of the address that has most.
    fn take_of_most(&mut self) -> Option<Evict> {
        self.take_oldest(self.ranking.most()?)
    }

    /// Takes the places of an address's oldest handshake.
    fn take_oldest(&mut self, prefix: Prefix) -> Option<Evict> {
        let number = self.oldest(prefix)?;
        let evict = self.take_handshake(Place { prefix, number })?;
        self.end_connection(prefix, Instant::now());
        self.stats.evicted += 1;
        Some(evict)
    }

    /// Ends a handshake; the connection stays.
    fn take_handshake(&mut self, place: Place) -> Option<Evict> {
        let Place { prefix, number } = place;
        let evict = self.handshakes.remove(&(prefix, number))?;
        let handshakes = self.addresses.get(&prefix).map_or(0, Counts::handshakes);
        self.rank(prefix, handshakes.saturating_sub(1));
        Some(evict)
    }

    fn oldest(&self, prefix: Prefix) -> Option<Number> {
        let ((of, number), _) = self.handshakes.range((prefix, Number::default())..).next()?;
        (*of == prefix).then_some(*number)
    }

    /// Puts an address where it stands with so many handshakes.
    fn rank(&mut self, prefix: Prefix, handshakes: usize) {
        let oldest = self.oldest(prefix);
        let Some(counts) = self.addresses.get_mut(&prefix) else { return };
        if let Some(before) = counts.ranked.take() {
            self.ranking.remove(before);
        }
        counts.ranked = oldest.map(|oldest| Ranked { handshakes, oldest, prefix });
        if let Some(after) = counts.ranked {
            self.ranking.insert(after);
        }
    }

    fn end_connection(&mut self, prefix: Prefix, now: Instant) {
        let Some(counts) = self.addresses.get_mut(&prefix) else { return };
        counts.connections -= 1;
        self.stats.connections -= 1;
        if counts.connections > 0 {
            return;
        }
        if counts.recovered <= now {
            self.addresses.remove(&prefix);
            return;
        }
        self.fading.insert((counts.recovered, prefix));
        if self.fading.len() > FADING_MAX
            && let Some((_, next)) = self.fading.pop_first()
        {
            self.addresses.remove(&next);
        }
    }

    /// Forgets addresses about which there is nothing to know.
    fn forget(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN_TOGETHER {
            let Some((recovered, prefix)) = self.fading.first().copied() else { return };
            if recovered > now {
                return;
            }
            self.fading.pop_first();
            self.addresses.remove(&prefix);
        }
    }
}

#[cfg(test)]
mod tests;
