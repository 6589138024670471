//! The limits on connections of a server.

use super::Network;

/// The limits on connections of a server: in all, of one address, and of one network.
///
/// When an address reaches one of its limits, its new connections are refused and no others. A refused connection is reset
/// right after it was accepted; it costs no task, no response and no memory. An HTTP response would mostly be lost, because
/// the client's request crosses it, and a client of `wss://` could not read it. Refusals are counted
/// ([`ServerHandle::listen_stats`](crate::ServerHandle::listen_stats)) and logged at a bounded rate.
///
/// An IPv6 address counts by its first 64 bits, because a client chooses the other 64 freely. An IPv4-mapped IPv6 address counts
/// as IPv4.
///
/// ```
/// use rpc_server::listen::ListenOptions;
///
/// let options = ListenOptions { trusted_proxies: vec!["10.0.0.0/8".parse()?], ..ListenOptions::public() };
/// # Ok::<(), rpc_server::listen::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may be open at once; zero counts as one. Default: 80 % of the process's limit of open files, or 10,000 if
    /// that limit is not known. When reached, a new connection evicts a handshake, as with `handshakes_max`. If no handshake is
    /// under way, the server accepts no connection until a session ends; connections wait in the operating system's queue.
    pub connections_max: usize,
    /// Connections that may be in their handshake at once: from accepting the connection to the peer's hello, which makes it a
    /// session. Default 1,000, at most half of `connections_max`; zero counts as one. When reached, each new connection evicts
    /// the oldest handshake of the address that has the most. If several addresses have equally many, the network with the most
    /// such addresses decides.
    pub handshakes_max: usize,
    /// Connections of one address that may be open at once, including those in their handshake; zero counts as one. Default a
    /// quarter of the default of `connections_max`; public 64. When reached, a new connection evicts the address's oldest
    /// handshake. If the address has only sessions, the new connection is refused.
    pub address_connections_max: usize,
    /// Connections of one address that may be in their handshake at once; zero counts as one. Default 500; public 64: room for a
    /// burst of new connections and for those of the next second. When reached, a new connection evicts the address's oldest
    /// handshake.
    pub address_handshakes_max: usize,
    /// New connections of one address per second, in the long run; zero counts as one. Default 200; public 20. Faster connections
    /// are refused when `address_connects_burst` is used up.
    pub address_connects_per_second: u32,
    /// New connections of one address that may come at once; zero counts as one. Default 250; public 40.
    pub address_connects_burst: u32,
    /// Connections of one network that may be open at once. A network is all addresses that share the first 24 bits of IPv4, or the
    /// first 32 of IPv6, which one provider has. Zero counts as one. Default no limit; public a quarter of the default of
    /// `connections_max`, because the owner of a network has enough addresses to take all connections. When reached, a new
    /// connection evicts the oldest handshake of its own address, and is refused if there is none.
    pub network_connections_max: usize,
    /// Whether loopback addresses are limited like others. Default no: a client on this machine is a proxy, a test or a colleague.
    pub count_loopback: bool,
    /// Networks without the limits of an address and of a network, because their hosts connect for many clients. Default none. A
    /// proxy has to limit its own clients: here each of its addresses counts as one client, whose oldest handshake is evicted when
    /// there are too many in all.
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
    /// Limits for unknown clients on the open internet. They assume that one address has few clients. If many clients share one
    /// address behind a proxy of yours, name the proxy in `trusted_proxies`.
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

/// Reads the soft limit of open files from `/proc/self/limits`, whose columns are name, soft limit, hard limit and unit.
pub(super) fn open_files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
