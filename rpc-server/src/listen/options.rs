//! How many connections a server takes, in all and of one address.

use super::Network;

/// How many connections a server takes, in all and of one address.
///
/// An address that reaches a limit of its own is refused, and no other: its connections are reset right after they are
/// accepted, without a task, an answer or memory. An HTTP answer would mostly be lost, because the client's request
/// crosses it, and a client of `wss://` could not read it. What is refused is counted
/// ([`ServerHandle::listen_stats`](crate::ServerHandle::listen_stats)), and logged some times a second at most.
///
/// An IPv6 address counts by its first 64 bits, because a client has all the others; an IPv4 address that is written as an IPv6
/// one counts as IPv4.
///
/// ```
/// use rpc_server::listen::ListenOptions;
///
/// let options = ListenOptions { trusted_proxies: vec!["10.0.0.0/8".parse()?], ..ListenOptions::public() };
/// # Ok::<(), rpc_server::listen::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may be open at once; zero counts as one. Default: 80 % of the process's limit of open files, or 10,000
    /// where that is not known. When reached, a new connection ends a handshake, as with `handshakes_max`. Where none is under
    /// way, no more are accepted until a session ends; they wait in the operating system's queue.
    pub connections_max: usize,
    /// Connections that may be in their handshake at once: from the accepted connection to the peer's hello, by which it becomes
    /// a session. Default 1,000, at most half of `connections_max`; zero counts as one. When reached, each new connection ends a
    /// handshake: the oldest of the address that has most of them; where several have as many, of the network that has most of
    /// these.
    pub handshakes_max: usize,
    /// Connections of one address that may be open at once, those in their handshake included; zero counts as one. Default a
    /// quarter of the default of `connections_max`; public 64. When reached, a new connection ends the address's oldest
    /// handshake, and is refused where all are sessions.
    pub address_connections_max: usize,
    /// Connections of one address that may be in their handshake at once; zero counts as one. Default 500; public 64. That is a
    /// burst of new connections, and what comes in the next second. When reached, a new connection ends the address's
    /// oldest handshake.
    pub address_handshakes_max: usize,
    /// New connections of one address in a second, in the long run; zero counts as one. Default 200; public 20. Where they come
    /// faster and `address_connects_burst` is used up, they are refused.
    pub address_connects_per_second: u32,
    /// New connections of one address that may come at once; zero counts as one. Default 250; public 40.
    pub address_connects_burst: u32,
    /// Connections of one network that may be open at once: of all addresses that share the first 24 bits of IPv4, or the first 32
    /// of IPv6, which one provider has. Zero counts as one. Default no limit; public a quarter of the default of `connections_max`:
    /// who has a network has as many addresses as it takes to have all connections. When reached, a new connection ends its
    /// address's oldest handshake, and is refused where there is none.
    pub network_connections_max: usize,
    /// Whether loopback addresses are limited like others. Default no: what connects from this machine is a proxy, a test or
    /// a colleague.
    pub count_loopback: bool,
    /// Networks that the limits of an address and a network do not hold for, because those who connect from there do it for many others.
    /// Default none. Such a proxy has to limit its own clients: here they are one address, whose oldest handshake ends when there
    /// are too many in all.
    pub trusted_proxies: Vec<Network>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let connections_max = open_files_max(&limits).map_or(10_000, |files| files / 5 * 4);
        Self {
            connections_max,
            handshakes_max: 1_000,
            address_connections_max: connections_max / 4,
            address_handshakes_max: 500,
            address_connects_per_second: 200,
            address_connects_burst: 250,
            network_connections_max: usize::MAX,
            count_loopback: false,
            trusted_proxies: Vec::new(),
        }
    }
}

impl ListenOptions {
    /// Bounds for clients that nobody vouches for. One address has few clients then; where many share one, behind a proxy of yours,
    /// name it in `trusted_proxies`.
    pub fn public() -> Self {
        let options = Self::default();
        Self {
            address_connections_max: 64,
            address_handshakes_max: 64,
            address_connects_per_second: 20,
            address_connects_burst: 40,
            network_connections_max: options.connections_max / 4,
            ..options
        }
    }
}

/// The soft limit in the format of `/proc/self/limits`: name, soft, hard, unit.
pub(super) fn open_files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
