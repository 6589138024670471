//! Constants of TLS: enough for the plain-text handshake to recognise a peer that speaks TLS.
//!
//! A TLS record begins with its type and the version (RFC 8446, 5.1). No HTTP begins with such bytes.

pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const VERSION_MAJOR: u8 = 3;

/// The name of TLS in an `Upgrade` header (RFC 2817, 4.2), without its version.
pub(super) const PRODUCT: &[u8] = b"TLS/";
