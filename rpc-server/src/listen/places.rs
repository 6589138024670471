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
    /// So has its network, and its address has no handshake to end.
    Network,
    /// Its address connects too often.
    Rate,
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
    /// Connections refused so far, because their network had
    /// [`network_connections_max`](ListenOptions::network_connections_max).
    pub refused_for_network: u64,
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
    network_connections: usize,
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
    /// The connections of all limited addresses, by where these are.
    networks: HashMap<Neighbourhood, usize>,
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
            network_connections: options.network_connections_max.max(1),
            connect_interval,
            connect_lead_max: connect_interval * (options.address_connects_burst.max(1) - 1),
            count_loopback: options.count_loopback,
            trusted_proxies: options.trusted_proxies.clone(),
        };
        Self { caps, state: Mutex::default() }
    }

    /// Decides whether a connection may begin, and says what it counts as. Where its address has no place left, the oldest of its
    /// own handshakes ends.
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

    /// Begins a connection's handshake. Where there are too many in all, one of the address that has most ends.
    pub(super) fn begin(&self, prefix: Prefix, now: Instant) -> Begun {
        let mut state = self.state();
        let (place, evicted) = state.begin(prefix, now, self.caps.connect_interval);
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
        let handshake = self.state().take_handshake(place);
        handshake.is_some()
    }

    /// Frees the places of a connection that has ended. One that lost its place has none.
    pub(super) fn leave(&self, place: Place, is_established: bool) {
        let mut state = self.state();
        let handshake = state.take_handshake(place);
        if is_established || handshake.is_some() {
            state.end_connection(place.prefix, Instant::now());
        }
        // Dropping a handshake wakes who waits for its end, as `tell` does.
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

/// Wakes who has lost its place, outside the lock.
fn tell(evict: Option<Evict>) {
    if let Some(evict) = evict {
        // It fails where the connection has ended by itself meanwhile.
        let _ = evict.send(());
    }
}

impl State {
    /// Holds a newcomer against what its address has, and its network.
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
