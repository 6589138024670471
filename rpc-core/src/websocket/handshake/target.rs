//! The words of a request that become part of its head: which are valid, and what a server reads in them.

/// Whether this is a path of a URL, with its query if there is one. Line breaks, with which it could forge headers, are not.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| is_visible(byte) && byte != b'#')
}

/// Whether this is a name or address with an optional port (RFC 3986, 3.2).
pub(super) fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if is_made_of(address, b":.%-_~") => (None, port),
        Some(_) => return false,
        None => {
            let end = host.find(':').unwrap_or(host.len());
            (Some(&host[..end]), &host[end..])
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    name.is_none_or(|name| is_made_of(name, b"-._~!$&'()*+,;="))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Whether this is a name of a header.
pub(super) fn is_token(name: &str) -> bool {
    is_made_of(name, b"!#$%&'*+-.^_`|~")
}

/// The path and the query of a request's target: a path, or a URL as proxies send it. A fragment is left out.
pub(super) fn split(target: &str) -> Option<(&str, Option<&str>)> {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = match path.split_once("://") {
        Some((scheme, rest)) if !path.starts_with('/') => {
            let start = rest.find('/').unwrap_or(rest.len());
            if scheme.is_empty() || !is_host(&rest[..start]) {
                return None;
            }
            if start == rest.len() { "/" } else { &rest[start..] }
        }
        _ => path,
    };
    (path.starts_with('/') && target.bytes().all(is_visible)).then_some((path, query))
}

fn is_made_of(text: &str, marks: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

/// Whether a byte can be part of a URL. Bytes of other scripts are, although they should be escaped.
fn is_visible(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'<' | b'>' | 0x7f)
}
