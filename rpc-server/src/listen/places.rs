//! The table of connections and handshakes by address. It admits connections and chooses the handshakes that newer ones evict.
//!
//! ```text
//!  admit ──► begin ──► established ──► left
//!    │         └──────────► left         ▲
//!    │         └─► evicted ──────────────┘  (its places are free at once)
//!    └─► refused
//! ```
//!
//! The accept loop admits and begins; connections' permits do the rest. Every operation takes at most the logarithm of the
//! number of handshakes. An address stays in the table while it has a connection, and after that until its rate of new
//! connections has recovered: each new connection adds `1 / rate` to that time, at most `burst / rate` in all. So the table holds
//! at most `connections_max` addresses and [`FADING_MAX`] more, however many addresses a peer has. When it is full, the address
//! that would be forgotten next is forgotten early.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    ListenOptions, Network, Prefix,
    network::Neighbourhood,
    ranking::{Ranked, Ranking},
};

/// Addresses without a connection that are remembered for the rate of their new connections: some 4 MiB.
const FADING_MAX: usize = 16_384;
/// The number of addresses that one connection forgets at most. Two would keep the table bounded, as a connection adds at most one.
const FORGOTTEN_TOGETHER: usize = 4;

/// A connection's number, in the order in which connections began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Number(pub(super) u64);

/// Ends a handshake.
type Evict = oneshot::Sender<()>;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its address has `address_connections_max` connections, and all are sessions.
    Connections,
    /// Its network has `network_connections_max` connections, and its address has no handshake to evict.
    Network,
    /// Its address exceeds its rate of new connections.
    Rate,
}

/// A connection whose handshake has begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) place: Place,
    pub(super) evicted: oneshot::Receiver<()>,
}

/// The key of a connection in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    prefix: Prefix,
    number: Number,
}

/// Counts of connections that a listener has accepted and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenStats {
    /// Open connections, including those in their handshake.
    pub connections: usize,
    /// Connections in their handshake: from accepting to the peer's hello.
    pub handshakes: usize,
    /// Addresses in the table: those with connections, and those whose rate of new connections has not recovered yet.
    pub addresses: usize,
    /// Connections refused so far because their address had
    /// [`address_connections_max`](ListenOptions::address_connections_max).
    pub refused_for_connections: u64,
    /// Connections refused so far because their network had
    /// [`network_connections_max`](ListenOptions::network_connections_max).
    pub refused_for_network: u64,
    /// Connections refused so far because their address exceeded
    /// [`address_connects_per_second`](ListenOptions::address_connects_per_second).
    pub refused_for_rate: u64,
    /// Handshakes evicted so far to make room for newer ones.
    pub evicted: u64,
}

#[derive(Debug)]
pub(super) struct Places {
    caps: Caps,
    state: Mutex<State>,
}

/// The options in the form in which they are applied.
#[derive(Debug)]
struct Caps {
    handshakes: usize,
    address_connections: usize,
    address_handshakes: usize,
    network_connections: usize,
    /// The time after which an address may make one more connection.
    connect_interval: Duration,
    /// The lead that an address may have over its rate: its burst, as a time.
    connect_lead_max: Duration,
    count_loopback: bool,
    trusted_proxies: Vec<Network>,
}

#[derive(Debug, Default)]
struct State {
    addresses: HashMap<Prefix, Counts>,
    /// The connections of all limited addresses, by network.
    networks: HashMap<Neighbourhood, usize>,
    /// The handshakes under way, by address; each address's oldest first.
    handshakes: BTreeMap<(Prefix, Number), Evict>,
    /// The addresses that have handshakes.
    ranking: Ranking,
    /// The addresses without connections, by the time when their rate has recovered.
    fading: BTreeSet<(Instant, Prefix)>,
    last: Number,
    stats: ListenStats,
}

/// The state of one address.
#[derive(Debug)]
struct Counts {
    /// Open connections, including those in their handshake.
    connections: usize,
    /// The address's entry in the ranking, if it has handshakes.
    ranked: Option<Ranked>,
    /// The time when the rate of new connections has recovered: each connection adds an interval.
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
            network_connections: options.network_connections_max.max(1),
            connect_interval,
            connect_lead_max: connect_interval * (options.address_connects_burst.max(1) - 1),
            count_loopback: options.count_loopback,
            trusted_proxies: options.trusted_proxies.clone(),
        };
        Self { caps, state: Mutex::default() }
    }

    /// Admits or refuses a connection, and returns the prefix it counts for. If its address has no place left, evicts the oldest
    /// handshake of that address.
    pub(super) fn admit(&self, address: IpAddr, now: Instant) -> Result<Prefix, Refusal> {
        let address = address.to_canonical();
        if self.is_exempt(address) {
            return Ok(Prefix::exempt(address));
        }
        let prefix = Prefix::of(address);
        let mut state = self.state();
        state.forget(now);
        let evict = state.make_room(prefix, now, &self.caps)?;
        drop(state);
        tell(evict);
        Ok(prefix)
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        (address.is_loopback() && !self.caps.count_loopback)
            || self.caps.trusted_proxies.iter().any(|network| network.contains(address))
    }

    /// Begins a connection's handshake. If there are too many handshakes in all, evicts one of the address that has the most.
    pub(super) fn begin(&self, prefix: Prefix, now: Instant) -> Begun {
        let mut state = self.state();
        let (place, evicted) = state.begin(prefix, now, self.caps.connect_interval);
        let evict = if state.handshakes.len() > self.caps.handshakes { state.take_of_most() } else { None };
        drop(state);
        tell(evict);
        Begun { place, evicted }
    }

    /// Evicts a handshake of the address that has the most, for a connection that waits for a place.
    pub(super) fn evict(&self) {
        let evict = self.state().take_of_most();
        tell(evict);
    }

    /// Turns a handshake into a session; returns false if the handshake was evicted.
    #[must_use]
    pub(super) fn establish(&self, place: Place) -> bool {
        let handshake = self.state().take_handshake(place);
        handshake.is_some()
    }

    /// Frees the places of a connection that has ended. An evicted connection has none.
    pub(super) fn leave(&self, place: Place, is_established: bool) {
        let mut state = self.state();
        let handshake = state.take_handshake(place);
        if is_established || handshake.is_some() {
            state.end_connection(place.prefix, Instant::now());
        }
        // Dropping a handshake wakes the connection that waits for its eviction, as `tell` does.
        drop(state);
    }

    pub(super) fn stats(&self) -> ListenStats {
        let state = self.state();
        ListenStats { handshakes: state.handshakes.len(), addresses: state.addresses.len(), ..state.stats }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes an evicted connection. Must be called outside the lock.
fn tell(evict: Option<Evict>) {
    if let Some(evict) = evict {
        // This fails if the connection has ended by itself meanwhile.
        let _ = evict.send(());
    }
}

impl State {
    /// Checks a new connection against the limits of its address and its network; evicts a handshake of its address if needed.
    fn make_room(&mut self, prefix: Prefix, now: Instant, caps: &Caps) -> Result<Option<Evict>, Refusal> {
        let of_network = self.networks.get(&prefix.neighbourhood()).copied().unwrap_or(0);
        let counts = self.addresses.get(&prefix);
        let handshakes = counts.map_or(0, Counts::handshakes);
        let is_address_full = counts.is_some_and(|counts| counts.connections >= caps.address_connections);
        let is_network_full = of_network >= caps.network_connections;
        if is_address_full && handshakes == 0 {
            self.stats.refused_for_connections += 1;
            return Err(Refusal::Connections);
        }
        if is_network_full && handshakes == 0 {
            self.stats.refused_for_network += 1;
            return Err(Refusal::Network);
        }
        let lead = counts.map_or(Duration::ZERO, |counts| counts.recovered.saturating_duration_since(now));
        if lead > caps.connect_lead_max {
            self.stats.refused_for_rate += 1;
            return Err(Refusal::Rate);
        }
        let is_full = is_address_full || is_network_full || handshakes >= caps.address_handshakes;
        Ok(if is_full { self.take_oldest(prefix) } else { None })
    }

    fn begin(&mut self, prefix: Prefix, now: Instant, interval: Duration) -> (Place, oneshot::Receiver<()>) {
        let counts =
            self.addresses.entry(prefix).or_insert(Counts { connections: 0, ranked: None, recovered: now });
        if counts.connections == 0 {
            self.fading.remove(&(counts.recovered, prefix));
        }
        counts.connections += 1;
        if !prefix.is_exempt() {
            counts.recovered = counts.recovered.max(now) + interval;
            *self.networks.entry(prefix.neighbourhood()).or_default() += 1;
        }
        self.stats.connections += 1;
        self.last.0 += 1;
        let (evict, evicted) = oneshot::channel();
        self.handshakes.insert((prefix, self.last), evict);
        let handshakes = counts.handshakes() + 1;
        self.rank(prefix, handshakes);
        (Place { prefix, number: self.last }, evicted)
    }

    /// Frees the places of the oldest handshake of the address that has the most.
    fn take_of_most(&mut self) -> Option<Evict> {
        self.take_oldest(self.ranking.most()?)
    }

    /// Frees the places of an address's oldest handshake.
    fn take_oldest(&mut self, prefix: Prefix) -> Option<Evict> {
        let number = self.oldest(prefix)?;
        let evict = self.take_handshake(Place { prefix, number })?;
        self.end_connection(prefix, Instant::now());
        self.stats.evicted += 1;
        Some(evict)
    }

    /// Removes a handshake from the tables; its connection still counts.
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

    /// Updates an address's entry in the ranking to this number of handshakes.
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
        let has_connections = counts.connections > 0;
        let recovered = counts.recovered;
        if !prefix.is_exempt() {
            self.end_connection_of_network(prefix.neighbourhood());
        }
        if has_connections {
            return;
        }
        if recovered <= now {
            self.addresses.remove(&prefix);
            return;
        }
        self.fading.insert((recovered, prefix));
        if self.fading.len() > FADING_MAX
            && let Some((_, next)) = self.fading.pop_first()
        {
            self.addresses.remove(&next);
        }
    }

    fn end_connection_of_network(&mut self, neighbourhood: Neighbourhood) {
        if let Entry::Occupied(mut connections) = self.networks.entry(neighbourhood) {
            *connections.get_mut() -= 1;
            if *connections.get() == 0 {
                connections.remove();
            }
        }
    }

    /// Forgets addresses without connections whose rate has recovered.
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
