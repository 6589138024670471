//! The client's side: send a request, check that the answer is the upgrade it asked for.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{
    Error as CodecError,
    handshake::{
        client::{Response, generate_key},
        derive_accept_key,
    },
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, header,
        uri::{Authority, PathAndQuery},
    },
    protocol::Role,
};

use super::{ClientHandshake, HandshakeError, SUBPROTOCOL, head, tls};
use crate::{limits::Limits, websocket::Socket};

/// The most characters of a refusal's text that are kept.
const REFUSAL_CHARS_MAX: usize = 200;

pub(super) async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    request: &ClientHandshake,
    limits: &Limits,
) -> Result<Socket<IO>, HandshakeError> {
    let key = generate_key();
    io.write_all(&write_request(request, &key)?).await?;
    io.flush().await?;
    let head = head::read::<Response>(&mut io, limits.handshake_bytes_max, check_language, fault).await?;
    if head.parsed.status() != StatusCode::SWITCHING_PROTOCOLS {
        let wants_tls = wants_tls(&head.parsed, &head.rest);
        return Err(if wants_tls {
            HandshakeError::ServerSpeaksTls
        } else {
            refusal(&head.parsed, &head.rest)
        });
    }
    check_upgrade(head.parsed.headers(), &key)?;
    Ok(Socket::open(io, Role::Client, limits, head.rest))
}

fn write_request(request: &ClientHandshake, key: &str) -> Result<Vec<u8>, HandshakeError> {
    let ClientHandshake { host, path, headers } = request;
    // The check also rejects line breaks, with which a caller's string could forge headers.
    let is_path = path.starts_with('/') && path.parse::<PathAndQuery>().is_ok_and(|parsed| parsed == *path);
    if !is_path {
        return Err(HandshakeError::InvalidRequest("its path is not a URL path".into()));
    }
    if !host.parse::<Authority>().is_ok_and(|parsed| !parsed.as_str().contains('@')) {
        return Err(HandshakeError::InvalidRequest(
            "its host is not a host name with an optional port".into(),
        ));
    }
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
    );
    for (name, value) in headers {
        check_header(name, value)?;
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

fn check_header(name: &str, value: &str) -> Result<(), HandshakeError> {
    let Ok(parsed) = HeaderName::try_from(name) else {
        return Err(HandshakeError::InvalidRequest(format!(
            "`{}` is not a header name",
            name.escape_debug()
        )));
    };
    let is_ours = parsed.as_str().starts_with("sec-websocket-")
        || [
            header::HOST,
            header::CONNECTION,
            header::UPGRADE,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
        ]
        .contains(&parsed);
    if is_ours {
        return Err(HandshakeError::InvalidRequest(format!(
            "the header `{parsed}` belongs to the handshake"
        )));
    }
    if HeaderValue::from_str(value).is_err() {
        return Err(HandshakeError::InvalidRequest(format!(
            "the value of the header `{parsed}` is not valid"
        )));
    }
    Ok(())
}

fn check_upgrade(headers: &HeaderMap, key: &str) -> Result<(), HandshakeError> {
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    let subprotocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    if !has_token(headers, header::UPGRADE, "websocket") {
        return Err(HandshakeError::BadUpgrade("it does not upgrade to `websocket`"));
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return Err(HandshakeError::BadUpgrade("its `Connection` header does not upgrade"));
    }
    if accept.is_none_or(|accept| *accept != *derive_accept_key(key.as_bytes())) {
        return Err(HandshakeError::BadUpgrade("its `Sec-WebSocket-Accept` is not the answer to our key"));
    }
    if subprotocol.is_none_or(|chosen| *chosen != *SUBPROTOCOL) {
        return Err(HandshakeError::BadUpgrade("it did not choose the subprotocol that was offered"));
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err(HandshakeError::BadUpgrade("it uses an extension that was not offered"));
    }
    Ok(())
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let mut values = values.iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// The error for an answer that does not parse. Go's TLS servers answer plain text in HTTP/1.0, which the parser rejects.
fn fault(error: CodecError, answer: &[u8]) -> HandshakeError {
    match answer.strip_prefix(b"HTTP/1.0 400 ") {
        Some(rest) if names_https(rest) => HandshakeError::ServerSpeaksTls,
        _ => HandshakeError::Malformed(error.to_string()),
    }
}

/// Recognises a TLS server: it answers HTTP with an alert.
fn check_language(answer: &[u8]) -> Result<(), HandshakeError> {
    match answer {
        [tls::ALERT | tls::HANDSHAKE, tls::VERSION_MAJOR, ..] => Err(HandshakeError::ServerSpeaksTls),
        _ => Ok(()),
    }
}

/// Whether the server refuses because it wants TLS. RFC 2817 has a header for that, which our own servers send. Other servers
/// say so in their text, which always names HTTPS. A server that names HTTPS for another reason is only misquoted.
fn wants_tls(response: &Response, body: &[u8]) -> bool {
    let upgrades = response.headers().get_all(header::UPGRADE).iter();
    let names_tls = upgrades.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|product| {
        let name = product.trim_ascii().get(..tls::PRODUCT.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(tls::PRODUCT))
    });
    names_tls || (response.status() == StatusCode::BAD_REQUEST && names_https(body))
}

fn names_https(text: &[u8]) -> bool {
    text.windows(5).any(|word| word == b"HTTPS")
}

fn refusal(response: &Response, body: &[u8]) -> HandshakeError {
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = String::from_utf8_lossy(body);
    let line = body.lines().next().unwrap_or_default();
    HandshakeError::Refused {
        status: response.status().as_u16(),
        text: line.chars().filter(|char| !char.is_control()).take(REFUSAL_CHARS_MAX).collect(),
        retry_after: retry_after.map(Duration::from_secs),
    }
}
