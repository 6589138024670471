//! Which addresses count as one, and networks that are named as a whole.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// What of a client's address is counted: all of an IPv4 address, the first 64 bits of an IPv6 address. A client chooses the
/// other 64 bits as it likes. An IPv4 address that is written as an IPv6 one is an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Prefix {
    address: IpAddr,
    is_exempt: bool,
}

impl Prefix {
    pub(super) fn of(address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            address @ IpAddr::V6(_) => masked(address, 64),
            address @ IpAddr::V4(_) => address,
        };
        Self { address, is_exempt: false }
    }

    /// An address without limits of its own. It counts by itself: its neighbours have limits.
    pub(super) fn exempt(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), is_exempt: true }
    }

    pub(super) fn is_exempt(self) -> bool {
        self.is_exempt
    }

    /// Who is likely to be of one hand: the first 24 bits of IPv4, and the first 32 of IPv6, which one provider has.
    pub(super) fn neighbourhood(self) -> Neighbourhood {
        let bits = if self.address.is_ipv4() { 24 } else { 32 };
        Neighbourhood(masked(self.address, bits))
    }
}

/// The addresses that begin like a counted one, and may be of the same hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Neighbourhood(IpAddr);

/// The first bits of an address, and zeros behind.
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
