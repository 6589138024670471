use std::collections::BTreeMap;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A listener's places and the connections that were let in.
struct Table {
    places: Places,
    now: Instant,
    begun: Vec<(IpAddr, Begun)>,
}

impl Table {
    fn new(options: &ListenOptions) -> Self {
        Self { places: Places::new(options), now: Instant::now(), begun: Vec::new() }
    }

    /// Lets a connection begin; returns its index, or why it was refused.
    fn connect(&mut self, address: &str) -> Result<usize, Refusal> {
        let address = ip(address);
        let prefix = self.places.admit(address, self.now)?;
        self.begun.push((address, self.places.begin(prefix, self.now)));
        Ok(self.begun.len() - 1)
    }

    fn say_hello(&mut self, connection: usize) {
        assert!(self.places.establish(self.begun[connection].1.place), "it lost its place");
    }

    fn session(&mut self, address: &str) -> Result<usize, Refusal> {
        let connection = self.connect(address)?;
        self.say_hello(connection);
        Ok(connection)
    }

    fn end_session(&mut self, connection: usize) {
        self.places.leave(self.begun[connection].1.place, true);
    }

    /// The indices of the connections that were evicted since the last call.
    fn evicted(&mut self) -> Vec<usize> {
        let begun = self.begun.iter_mut().enumerate();
        begun.filter_map(|(index, (_, begun))| begun.evicted.try_recv().ok().map(|()| index)).collect()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Options with all limits out of reach; a test lowers the ones it needs.
fn wide() -> ListenOptions {
    ListenOptions {
        connections_max: 10_000,
        handshakes_max: 5_000,
        address_connections_max: usize::MAX,
        address_handshakes_max: usize::MAX,
        address_connects_per_second: u32::MAX,
        address_connects_burst: u32::MAX,
        network_connections_max: usize::MAX,
        count_loopback: false,
        trusted_proxies: Vec::new(),
    }
}

const ANN: &str = "192.0.2.1";
const BOB: &str = "192.0.2.2";

#[tokio::test(start_paused = true)]
async fn an_address_with_all_its_sessions_is_refused_and_no_other() {
    let mut table = Table::new(&ListenOptions { address_connections_max: 2, ..wide() });
    let first = table.session(ANN).expect("room");
    table.session(ANN).expect("room");
    assert_eq!(table.session(ANN), Err(Refusal::Connections));
    table.session(BOB).expect("another address has its own");
    table.end_session(first);
    table.session(ANN).expect("a place is free again");
    assert_eq!(table.session(ANN), Err(Refusal::Connections));
    assert_eq!(table.places.stats().refused_for_connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_address_gives_up_its_own_oldest_handshake_for_a_newcomer() {
    let mut table = Table::new(&ListenOptions { address_connections_max: 3, ..wide() });
    table.connect(BOB).expect("room");
    table.session(ANN).expect("room");
    let (oldest, newer) = (table.connect(ANN).expect("room"), table.connect(ANN).expect("room"));
    table.connect(ANN).expect("instead of the oldest");
    assert_eq!(table.evicted(), [oldest]);
    table.connect(ANN).expect("instead of the next");
    assert_eq!(table.evicted(), [newer]);
    assert_eq!(table.places.stats().connections, 4);
}

#[tokio::test(start_paused = true)]
async fn handshakes_of_one_address_are_bounded_by_its_own_oldest() {
    let mut table = Table::new(&ListenOptions { address_handshakes_max: 2, ..wide() });
    table.connect(BOB).expect("room");
    let first = table.connect(ANN).expect("room");
    table.session(ANN).expect("a session is no handshake");
    table.connect(ANN).expect("room");
    assert_eq!(table.evicted(), [] as [usize; 0]);
    table.connect(ANN).expect("instead of the oldest");
    assert_eq!(table.evicted(), [first]);
}

#[tokio::test(start_paused = true)]
async fn new_connections_come_in_a_burst_and_then_at_their_rate() {
    let options = ListenOptions { address_connects_per_second: 10, address_connects_burst: 5, ..wide() };
    let mut table = Table::new(&options);
    let mut come = |seconds: f64, address: &str| {
        table.now += Duration::from_secs_f64(seconds);
        (0..100).filter(|_| table.session(address).is_ok()).count()
    };
    assert_eq!(come(0.0, ANN), 5);
    assert_eq!(come(0.0, BOB), 5, "another address has its own");
    assert_eq!(come(0.099, ANN), 0);
    assert_eq!(come(0.001, ANN), 1);
    assert_eq!(come(0.3, ANN), 3);
    assert_eq!(come(60.0, ANN), 5, "what was not used does not pile up");
    assert_eq!(table.places.stats().refused_for_rate, 600 - 19);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_remembered_when_the_connections_are_gone() {
    let options = ListenOptions { address_connects_per_second: 1, address_connects_burst: 2, ..wide() };
    let mut table = Table::new(&options);
    for _ in 0..2 {
        let session = table.session(ANN).expect("room");
        table.end_session(session);
    }
    assert_eq!(table.session(ANN), Err(Refusal::Rate));
    assert_eq!(table.places.stats().addresses, 1);
}

#[tokio::test(start_paused = true)]
async fn addresses_of_one_network_of_64_bits_count_together() {
    let mut table = Table::new(&ListenOptions { address_connections_max: 2, ..wide() });
    table.session("2001:db8::1").expect("room");
    table.session("2001:db8::2").expect("room");
    assert_eq!(table.session("2001:db8::3"), Err(Refusal::Connections));
    table.session("2001:db8:0:1::1").expect("another network");
    table.session("::ffff:192.0.2.1").expect("room");
    table.session("192.0.2.1").expect("room");
    assert_eq!(table.session("::ffff:192.0.2.1"), Err(Refusal::Connections));
}

#[tokio::test(start_paused = true)]
async fn a_network_of_addresses_does_not_take_all_connections() {
    let mut table = Table::new(&ListenOptions { network_connections_max: 100, ..wide() });
    for network in 0..100_u8 {
        table.session(&format!("2001:db8:{network:x}::1")).expect("room");
        table.session(&format!("192.0.2.{network}")).expect("room");
    }
    assert_eq!(table.session("2001:db8:ffff::1"), Err(Refusal::Network));
    assert_eq!(table.session("192.0.2.255"), Err(Refusal::Network));
    table.session("2001:db9::1").expect("another network");
    let last = table.session("192.0.3.1").expect("another network");
    table.end_session(last - 2);
    let stalling = table.connect("192.0.2.255").expect("a place is free again");
    table.connect("192.0.2.255").expect("instead of its own handshake");
    assert_eq!(table.evicted(), [stalling]);
    assert_eq!(table.places.stats().refused_for_network, 2);
}

#[tokio::test(start_paused = true)]
async fn neighbours_of_a_proxy_have_limits_that_it_does_not_use_up() {
    let options = ListenOptions {
        address_connections_max: 2,
        network_connections_max: 2,
        trusted_proxies: vec!["2001:db8::1".parse().expect("a network")],
        ..wide()
    };
    let mut table = Table::new(&options);
    for _ in 0..100 {
        table.session("2001:db8::1").expect("no limit");
    }
    table.session("2001:db8::2").expect("room");
    table.session("2001:db8::3").expect("room");
    assert_eq!(table.session("2001:db8::4"), Err(Refusal::Connections));
}

#[tokio::test(start_paused = true)]
async fn proxies_and_loopback_have_no_limits_of_their_own() {
    let mut options = ListenOptions {
        address_connections_max: 1,
        address_connects_per_second: 1,
        address_connects_burst: 1,
        trusted_proxies: vec!["192.0.2.0/24".parse().expect("a network")],
        ..wide()
    };
    let mut table = Table::new(&options);
    for address in [ANN, "127.0.0.1", "::1", "::ffff:192.0.2.1", "::ffff:127.0.0.1"] {
        for _ in 0..100 {
            table.session(address).expect("no limit");
        }
    }
    table.session("198.51.100.1").expect("room");
    assert_eq!(table.session("198.51.100.1"), Err(Refusal::Connections));
    options.count_loopback = true;
    let mut table = Table::new(&options);
    table.session("127.0.0.1").expect("room");
    assert_eq!(table.session("127.0.0.1"), Err(Refusal::Connections));
}

#[tokio::test(start_paused = true)]
async fn the_address_with_most_handshakes_gives_up_its_oldest() {
    let mut table = Table::new(&ListenOptions { handshakes_max: 5, ..wide() });
    let slow = table.connect(ANN).expect("room");
    let many: Vec<usize> = (0..3).map(|_| table.connect(BOB).expect("room")).collect();
    table.connect("192.0.2.3").expect("room");
    table.connect("192.0.2.4").expect("instead of the oldest of those with most");
    assert_eq!(table.evicted(), [many[0]]);
    // The address with the most handshakes displaces itself.
    for evicted in many[1]..many[1] + 100 {
        table.connect(BOB).expect("instead of its own oldest");
        assert_eq!(table.evicted().len(), 1, "{evicted}");
    }
    table.say_hello(slow);
    assert_eq!(table.places.stats().handshakes, 4);
}

#[tokio::test(start_paused = true)]
async fn of_addresses_with_as_many_handshakes_the_oldest_goes() {
    let mut table = Table::new(&ListenOptions { handshakes_max: 2, ..wide() });
    let (first, second) = (table.connect(ANN).expect("room"), table.connect(BOB).expect("room"));
    table.connect("192.0.2.3").expect("room");
    assert_eq!(table.evicted(), [first]);
    table.connect("192.0.2.4").expect("room");
    assert_eq!(table.evicted(), [second]);
}

#[tokio::test(start_paused = true)]
async fn who_connects_once_from_each_of_a_network_of_addresses_displaces_itself() {
    let mut table = Table::new(&ListenOptions { handshakes_max: 20, ..wide() });
    let slow: Vec<usize> =
        (0..15_u8).map(|n| table.connect(&format!("192.0.{n}.1")).expect("room")).collect();
    for network in 0..5_000 {
        table.connect(&format!("2001:db8:{network:x}::1")).expect("room");
    }
    let evicted = table.evicted();
    assert_eq!(evicted.len(), 4_995);
    assert!(slow.iter().all(|slow| !evicted.contains(slow)));
}

#[tokio::test(start_paused = true)]
async fn behind_a_proxy_the_oldest_of_its_handshakes_goes() {
    let proxy = vec![Network::from(ip(ANN))];
    let mut table = Table::new(&ListenOptions { handshakes_max: 3, trusted_proxies: proxy, ..wide() });
    let through: Vec<usize> = (0..5).map(|_| table.connect(ANN).expect("no limit")).collect();
    assert_eq!(table.evicted(), through[..2]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_never_evicted_and_who_was_evicted_becomes_none() {
    let mut table = Table::new(&ListenOptions { handshakes_max: 1, ..wide() });
    let session = table.session(ANN).expect("room");
    let late = table.connect(ANN).expect("room");
    table.connect(ANN).expect("instead of the other");
    assert!(!table.places.establish(table.begun[late].1.place), "its hello came too late");
    assert_eq!(table.evicted(), [late]);
    // Eviction freed its places; its end frees nothing more.
    table.places.leave(table.begun[late].1.place, false);
    assert_eq!(table.places.stats().connections, 2);
    table.end_session(session);
    assert_eq!(table.places.stats().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_forgotten_when_its_rate_has_recovered() {
    let options = ListenOptions { address_connects_per_second: 2, address_connects_burst: 4, ..wide() };
    let mut table = Table::new(&options);
    for third in 0..100_u8 {
        let session = table.session(&format!("192.0.{third}.1")).expect("room");
        table.end_session(session);
    }
    assert_eq!(table.places.stats().addresses, 100);
    tokio::time::advance(SECOND).await;
    table.now += SECOND;
    for _ in 0..40 {
        table.places.admit(ip(ANN), table.now).expect("room");
    }
    assert_eq!(table.places.stats().addresses, 0);
    let session = table.session(ANN).expect("room");
    tokio::time::advance(SECOND).await;
    table.end_session(session);
    assert_eq!(table.places.stats().addresses, 0, "it had recovered before it left");
}

#[tokio::test(start_paused = true)]
async fn a_peer_with_any_number_of_addresses_does_not_fill_the_memory() {
    let options = ListenOptions { address_connects_per_second: 1, address_connects_burst: 9, ..wide() };
    let mut table = Table::new(&options);
    for network in 0..40_000_u32 {
        let address = format!("2001:{:x}:{:x}::1", network >> 8, network & 0xff);
        let session = table.session(&address).expect("room");
        table.end_session(session);
        table.begun.clear();
    }
    assert_eq!(table.places.stats().addresses, FADING_MAX);
    assert_eq!(table.places.state().fading.len(), FADING_MAX);
}

/// A random generator with a fixed seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end).expect("small")
    }
}

/// Checks the invariants of a table.
fn check(table: &Table, caps: &ListenOptions) {
    let state = table.places.state();
    assert!(state.handshakes.len() <= caps.handshakes_max);
    let mut handshakes: BTreeMap<Prefix, usize> = BTreeMap::new();
    for (prefix, _) in state.handshakes.keys() {
        *handshakes.entry(*prefix).or_default() += 1;
    }
    let (mut connections, mut networks) = (0, HashMap::new());
    for (prefix, counts) in &state.addresses {
        connections += counts.connections;
        if counts.connections > 0 {
            *networks.entry(prefix.neighbourhood()).or_insert(0) += counts.connections;
        }
        assert!(counts.connections <= caps.address_connections_max);
        assert!(counts.handshakes() <= caps.address_handshakes_max);
        assert!(counts.handshakes() <= counts.connections);
        assert_eq!(counts.handshakes(), handshakes.get(prefix).copied().unwrap_or(0));
        assert_eq!(counts.connections == 0, state.fading.contains(&(counts.recovered, *prefix)));
    }
    assert!(state.ranking.addresses().iter().eq(handshakes.keys()));
    assert!(state.fading.len() <= state.addresses.len());
    assert_eq!(state.stats.connections, connections);
    assert_eq!(state.networks, networks);
    assert!(networks.values().all(|connections| *connections <= caps.network_connections_max));
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_no_limit_is_exceeded_and_nothing_is_left() {
    for seed in 0..20 {
        let options = ListenOptions {
            handshakes_max: 12,
            address_connections_max: 6,
            address_handshakes_max: 4,
            address_connects_per_second: 20,
            address_connects_burst: 10,
            network_connections_max: 14,
            ..wide()
        };
        let mut numbers = Numbers(seed);
        let mut table = Table::new(&options);
        let mut open: Vec<(usize, bool)> = Vec::new();
        for _ in 0..2_000 {
            match numbers.below(8) {
                0..4 => {
                    let address = format!("192.0.{}.{}", numbers.below(2), numbers.below(6));
                    open.extend(table.connect(&address).map(|connection| (connection, false)));
                }
                4 => {
                    tokio::time::advance(SECOND / 30).await;
                    table.now = Instant::now();
                }
                5 => table.places.evict(),
                choice if !open.is_empty() => {
                    let index = numbers.below(open.len() as u64);
                    let place = table.begun[open[index].0].1.place;
                    if choice == 6 {
                        open[index].1 |= table.places.establish(place);
                    } else {
                        table.places.leave(place, open.swap_remove(index).1);
                    }
                }
                _ => {}
            }
            check(&table, &options);
        }
        for (connection, is_established) in open {
            table.places.leave(table.begun[connection].1.place, is_established);
        }
        tokio::time::advance(60 * SECOND).await;
        for _ in 0..12 {
            table.places.admit(ip("198.51.100.1"), Instant::now()).expect("room");
        }
        let state = table.places.state();
        assert!(state.addresses.is_empty() && state.networks.is_empty());
        assert!(state.handshakes.is_empty() && state.ranking.most().is_none());
        assert_eq!(state.stats.connections, 0);
    }
}
