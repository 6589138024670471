//! The client's side: send a request, check that the answer is the upgrade it asked for.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{
    ClientHandshake, HandshakeError, SUBPROTOCOL,
    head::{self, Headers, Response},
    key, target, tls,
};
use crate::{limits::Limits, websocket::Socket};

/// The headers that are the handshake's own, beside all that begin with `sec-websocket-`.
const OWN_HEADERS: [&str; 5] = ["host", "connection", "upgrade", "content-length", "transfer-encoding"];
/// The most characters of a refusal's text that are kept.
const REFUSAL_CHARS_MAX: usize = 200;

pub(super) async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    request: &ClientHandshake,
    limits: &Limits,
) -> Result<Socket<IO>, HandshakeError> {
    let key = key::random();
    io.write_all(&write_request(request, &key)?).await?;
    io.flush().await?;
    let head = head::read(&mut io, limits.handshake_bytes_max, check_language).await?;
    // Go's TLS servers answer plain text in HTTP/1.0, which is refused below.
    if head.strip_prefix(b"HTTP/1.0 400 ").is_some_and(names_https) {
        return Err(HandshakeError::ServerSpeaksTls);
    }
    let response = head.response()?;
    if response.status != 101 {
        return Err(if wants_tls(&response) { HandshakeError::ServerSpeaksTls } else { refusal(&response) });
    }
    check_upgrade(&response.headers, &key)?;
    Ok(Socket::open(io, Role::Client, limits, response.rest))
}

fn write_request(request: &ClientHandshake, key: &str) -> Result<Vec<u8>, HandshakeError> {
    let ClientHandshake { host, path, headers } = request;
    // The check also rejects line breaks, with which a caller's string could forge headers.
    if !target::is_path(path) {
        return Err(HandshakeError::InvalidRequest("its path is not a URL path".into()));
    }
    if !target::is_host(host) {
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
    if !target::is_token(name) {
        return Err(HandshakeError::InvalidRequest(format!(
            "`{}` is not a header name",
            name.escape_debug()
        )));
    }
    let name = name.to_ascii_lowercase();
    if name.starts_with("sec-websocket-") || OWN_HEADERS.contains(&&*name) {
        return Err(HandshakeError::InvalidRequest(format!("the header `{name}` belongs to the handshake")));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(HandshakeError::InvalidRequest(format!("the value of the header `{name}` is not valid")));
    }
    Ok(())
}

fn check_upgrade(headers: &Headers, key: &str) -> Result<(), HandshakeError> {
    if !headers.has_token("upgrade", "websocket") {
        return Err(HandshakeError::BadUpgrade("it does not upgrade to `websocket`"));
    }
    if !headers.has_token("connection", "upgrade") {
        return Err(HandshakeError::BadUpgrade("its `Connection` header does not upgrade"));
    }
    if headers.first("sec-websocket-accept") != Some(key::accept(key.as_bytes()).as_bytes()) {
        return Err(HandshakeError::BadUpgrade("its `Sec-WebSocket-Accept` is not the answer to our key"));
    }
    if headers.first("sec-websocket-protocol") != Some(SUBPROTOCOL.as_bytes()) {
        return Err(HandshakeError::BadUpgrade("it did not choose the subprotocol that was offered"));
    }
    if headers.first("sec-websocket-extensions").is_some() {
        return Err(HandshakeError::BadUpgrade("it uses an extension that was not offered"));
    }
    Ok(())
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
fn wants_tls(response: &Response) -> bool {
    let upgrades = response.headers.all("upgrade");
    let names_tls = upgrades.flat_map(|value| value.split(|byte| *byte == b',')).any(|product| {
        let name = product.trim_ascii().get(..tls::PRODUCT.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(tls::PRODUCT))
    });
    names_tls || (response.status == 400 && names_https(&response.rest))
}

fn names_https(text: &[u8]) -> bool {
    text.windows(5).any(|word| word == b"HTTPS")
}

fn refusal(response: &Response) -> HandshakeError {
    let retry_after = response.headers.first("retry-after");
    let retry_after = retry_after.and_then(|value| str::from_utf8(value).ok()?.parse().ok());
    let body = String::from_utf8_lossy(&response.rest);
    let line = body.lines().next().unwrap_or_default();
    HandshakeError::Refused {
        status: response.status,
        text: line.chars().filter(|char| !char.is_control()).take(REFUSAL_CHARS_MAX).collect(),
        retry_after: retry_after.map(Duration::from_secs),
    }
}
