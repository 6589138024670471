//! Prefixes of addresses that count as one client, and networks written in CIDR notation.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// The part of a client's address that limits count by: all of an IPv4 address, the first 64 bits of an IPv6 address. A client
/// chooses the other 64 bits freely. An IPv4-mapped IPv6 address counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Prefix {
    address: IpAddr,
    is_exempt: bool,
}

impl Prefix {
    pub(crate) fn of(address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            address @ IpAddr::V6(_) => masked(address, 64),
            address @ IpAddr::V4(_) => address,
        };
        Self { address, is_exempt: false }
    }

    /// An address without limits. All its bits count, because its neighbours have limits.
    pub(super) fn exempt(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), is_exempt: true }
    }

    pub(super) fn is_exempt(self) -> bool {
        self.is_exempt
    }

    /// The network that is likely to have one owner: the first 24 bits of IPv4, or the first 32 of IPv6, which one provider has.
    pub(super) fn neighbourhood(self) -> Neighbourhood {
        let bits = if self.address.is_ipv4() { 24 } else { 32 };
        Neighbourhood(masked(self.address, bits))
    }
}

/// A network of addresses that may have one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Neighbourhood(IpAddr);

/// The first `bits` bits of an address, followed by zeros.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// A network of addresses in CIDR notation, like `10.0.0.0/8` or `fd00::/8`; an address alone is a network of one.
///
/// ```
/// use rpc_server::listen::Network;
///
/// let office: Network = "10.0.0.0/8".parse()?;
/// assert!(office.contains([10, 1, 2, 3].into()));
/// assert!(!office.contains([11, 1, 2, 3].into()));
/// # Ok::<(), rpc_server::listen::NetworkError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address: the bits after the prefix are zero.
    address: IpAddr,
    prefix_bits: u8,
}

/// The text is not a network, or the prefix is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write one like 10.0.0.0/8, fd00::/8 or 192.0.2.7")]
pub struct NetworkError(String);

impl Network {
    /// The network of all addresses that share the first `prefix_bits` bits of `address`.
    ///
    /// # Errors
    /// If `prefix_bits` is more than 32 for IPv4 or 128 for IPv6.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Result<Self, NetworkError> {
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > bits_max {
            return Err(NetworkError(format!("{address}/{prefix_bits}")));
        }
        // An IPv4-mapped IPv6 network is an IPv4 network.
        let (address, prefix_bits) = match (address.to_canonical(), prefix_bits.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix_bits)) if address.is_ipv6() => (mapped.into(), prefix_bits),
            _ => (address, prefix_bits),
        };
        Ok(Self { address: masked(address, prefix_bits), prefix_bits })
    }

    /// Whether the address belongs to the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix_bits) == self.address
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix_bits: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let no_network = || NetworkError(text.chars().take(64).collect());
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| no_network());
        };
        let address = address.parse().map_err(|_| no_network())?;
        Self::new(address, bits.parse().map_err(|_| no_network())?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests;
