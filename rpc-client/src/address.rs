//! A server's address: a `ws://` or `wss://` URL, parsed and checked.
//!
//! The parser is strict on purpose: it refuses text that another program might read differently, and says what to write.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// A server's address: a parsed `ws://` or `wss://` URL.
///
/// ```
/// let address: rpc_client::address::Address = "wss://rpc.example.com/chat".parse()?;
/// assert_eq!((address.host(), address.port()), ("rpc.example.com", 443));
/// # Ok::<(), rpc_client::address::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    /// A DNS name or an IP address, in lower case, IPv6 without brackets.
    host: String,
    port: u16,
    /// Path and query, beginning with `/`.
    path_and_query: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    Ws,
    Wss,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Ws => 80,
            Scheme::Wss => 443,
        }
    }
}

/// Why a text is not a valid address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `://`.
    #[error("the address does not begin with `ws://` or `wss://`")]
    SchemeMissing,
    /// The scheme is neither `ws` nor `wss`.
    #[error("the address begins with `{0}://`; write `ws://` or `wss://`")]
    Scheme(String),
    /// `user:password@`, which would end up in logs.
    #[error("the address holds a user name or password; send credentials in a header or in the session")]
    UserInfo,
    /// `#…`, which has no meaning for a server.
    #[error("the address has a fragment; leave out `#` and what follows")]
    Fragment,
    /// The host is empty.
    #[error("the address has no host")]
    HostMissing,
    /// Neither a DNS name nor an IP address.
    #[error("`{0}` is not a host name; names with other letters than a-z are written in punycode")]
    Host(String),
    /// The brackets hold no IPv6 address, or an IPv6 address has no brackets.
    #[error("`{0}` is not an IPv6 address in brackets, like `[::1]`")]
    Ipv6(String),
    /// The port is not a number from 1 to 65,535.
    #[error("`{0}` is not a port; it is a number from 1 to 65535")]
    Port(String),
    /// A character in path or query that must be percent-encoded.
    #[error("the path or query holds {0:?}; percent-encode it")]
    Path(char),
}

impl Address {
    /// Whether the link is encrypted: `wss://`.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Wss
    }

    /// The host name or IP address to connect to, which the server's certificate must name. IPv6 has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: 80 for `ws://` and 443 for `wss://` if the address names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: the port only if it is not the scheme's default, IPv6 in brackets.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Path and query, beginning with `/`.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::SchemeMissing)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            _ => return Err(AddressError::Scheme(scheme.to_owned())),
        };
        if rest.contains('#') {
            return Err(AddressError::Fragment);
        }
        let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let port = port.map_or(Ok(scheme.default_port()), parse_port)?;
        Ok(Self { scheme, host: parse_host(host)?, port, path_and_query: parse_path(path_and_query)? })
    }
}

/// Splits at the colon before the port. Colons of an IPv6 address are in brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(end) = authority.find(']') {
        let (host, port) = authority.split_at(end + 1);
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if port.is_empty() => Ok((host, None)),
            None => Err(AddressError::Ipv6(authority.to_owned())),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(AddressError::Ipv6(authority.to_owned())),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(port: &str) -> Result<u16, AddressError> {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if is_number && number != 0 => Ok(number),
        _ => Err(AddressError::Port(port.to_owned())),
    }
}

fn parse_host(host: &str) -> Result<String, AddressError> {
    if host.is_empty() {
        return Err(AddressError::HostMissing);
    }
    if host.starts_with('[') || host.ends_with(']') {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = inner.and_then(|host| host.parse::<Ipv6Addr>().ok());
        return address.map(|address| address.to_string()).ok_or_else(|| AddressError::Ipv6(host.to_owned()));
    }
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
    };
    // A trailing dot makes a name absolute.
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(AddressError::Host(host.to_owned()));
    }
    Ok(host.to_ascii_lowercase())
}

fn parse_path(path_and_query: &str) -> Result<String, AddressError> {
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?%".contains(char);
    if let Some(char) = path_and_query.chars().find(|char| !is_allowed(*char)) {
        return Err(AddressError::Path(char));
    }
    let root = if path_and_query.starts_with('/') { "" } else { "/" };
    Ok(format!("{root}{path_and_query}"))
}

/// Leaves out the query, which may hold a token.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme.name(), self.host_header())
    }
}

/// As [`Display`](fmt::Display).
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests;
