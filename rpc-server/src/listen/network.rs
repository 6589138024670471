//! Which addresses count as one, and networks that are named as a whole.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// The part of a client's address that is counted: all of an IPv4 address, the first 64 bits of an IPv6 address. A client
/// chooses the other 64 bits as it likes. An IPv4 address that is written as an IPv6 one is an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Prefix(IpAddr);

impl Prefix {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & first_bits(64)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// A mask of that many leading bits.
fn first_bits(count: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(count.into())).unwrap_or(0)
}

/// Addresses that begin alike, written like `10.0.0.0/8` or `fd00::/8`; an address alone is a network of one.
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
    /// The bits behind the prefix are zero.
    address: IpAddr,
    prefix_bits: u8,
}

/// The text or the number of bits names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write one like 10.0.0.0/8, fd00::/8 or 192.0.2.7")]
pub struct NetworkError(String);

impl Network {
    /// The addresses that have the first `prefix_bits` bits of `address`.
    ///
    /// # Errors
    /// An address has fewer bits: 32 or 128.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Result<Self, NetworkError> {
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > bits_max {
            return Err(NetworkError(format!("{address}/{prefix_bits}")));
        }
        // An IPv4 network that is written as an IPv6 one is an IPv4 network.
        let (address, prefix_bits) = match (address.to_canonical(), prefix_bits.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix_bits)) if address.is_ipv6() => (mapped.into(), prefix_bits),
            _ => (address, prefix_bits),
        };
        let mask = first_bits(prefix_bits);
        let address = match address {
            IpAddr::V4(address) => {
                let [first, second, third, fourth, ..] = mask.to_be_bytes();
                let mask = u32::from_be_bytes([first, second, third, fourth]);
                std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask).into(),
        };
        Ok(Self { address, prefix_bits })
    }

    /// Whether the address belongs to the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let network = Self::new(address.to_canonical(), self.prefix_bits);
        network.is_ok_and(|network| network == *self)
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
