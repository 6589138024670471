//! What of TLS the plain-text handshake knows: enough to tell that the peer speaks it.
//!
//! Each of its records begins with its type and the version (RFC 8446, 5.1). No HTTP begins with such bytes.

pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const VERSION_MAJOR: u8 = 3;

/// How TLS is called in an `Upgrade` header (RFC 2817, 4.2), without its version.
pub(super) const PRODUCT: &[u8] = b"TLS/";
