//! The origin check: which pages' scripts may open a WebSocket. Origins are those of RFC 6454, as browsers send them.

/// Whether a browser on a page of `origin` may use the server that it addresses as `host`.
///
/// The default port of the origin's scheme stands in for a missing one on both sides, because a `Host` header does not tell
/// the scheme and TLS may end at a proxy.
pub(super) fn is_allowed(origin: &str, host: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|known| known.eq_ignore_ascii_case(origin)) || is_same(origin, host)
}

fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let port = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let (origin_name, origin_port) = split_port(authority, port);
    let (host_name, host_port) = split_port(host, port);
    !origin_name.is_empty() && origin_name.eq_ignore_ascii_case(host_name) && origin_port == host_port
}

fn split_port<'a>(authority: &'a str, default: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        // In `[::1]` the last colon belongs to the address.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (authority, default),
    }
}
