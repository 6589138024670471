//! The server's side: read a request, judge it, answer it.

use std::{future::Future, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{
    HandshakeError, HandshakeRequest, Rejection, SUBPROTOCOL, Unprinted,
    head::{self, Headers, Request},
    key, origin, status, target, tls,
};
use crate::{limits::Limits, websocket::Socket};

/// How long a refused client has to read its answer before the link is dropped.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 64 << 10;

pub(super) async fn accept<
    IO: AsyncRead + AsyncWrite + Unpin,
    T,
    D: Future<Output = Result<T, Rejection>>,
>(
    mut io: IO,
    limits: &Limits,
    origins_allowed: &[String],
    decide: impl FnOnce(HandshakeRequest) -> D,
) -> Result<(Socket<IO>, T), HandshakeError> {
    let decided = match read_request(&mut io, limits, origins_allowed).await {
        Ok((response, request)) => {
            decide(request).await.map(|decision| (response, decision)).map_err(HandshakeError::Rejected)
        }
        Err(error) => Err(error),
    };
    match decided {
        Ok((response, decision)) => {
            io.write_all(&response).await?;
            io.flush().await?;
            Ok((Socket::open(io, Role::Server, limits, Vec::new()), decision))
        }
        Err(error) => Err(refuse(io, error).await),
    }
}

/// Tells the client why it gets no WebSocket, if it can read an answer.
pub(super) async fn refuse<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    error: HandshakeError,
) -> HandshakeError {
    if let Some(answer) = answer(&error) {
        // The caller gets the reason of the refusal, not an error of telling it.
        let _ = tokio::time::timeout(LINGER, say(&mut io, answer.as_bytes())).await;
    }
    error
}

/// Recognises a TLS client: its hello contains no end of an HTTP head, and it waits for an answer.
fn check_language(request: &[u8]) -> Result<(), HandshakeError> {
    match request {
        [tls::HANDSHAKE, ..] => Err(HandshakeError::ClientSpeaksTls),
        _ => Ok(()),
    }
}

async fn read_request(
    io: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
    origins_allowed: &[String],
) -> Result<(Vec<u8>, HandshakeRequest), HandshakeError> {
    let request = head::read(io, limits.handshake_bytes_max, check_language).await?.request()?;
    let accept = check_upgrade(&request)?;
    if !request.rest.is_empty() {
        return Err(HandshakeError::Malformed("bytes after the request, before its answer".into()));
    }
    check_origin(&request.headers, origins_allowed)?;
    let is_chosen = chooses_subprotocol(&request.headers)?;
    let request = describe(request)?;
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n"
    );
    if is_chosen {
        response.extend(["sec-websocket-protocol: ", SUBPROTOCOL, "\r\n"]);
    }
    response.push_str("\r\n");
    Ok((response.into_bytes(), request))
}

/// Checks that the client asks for a WebSocket (RFC 6455, 4.2.1). Returns the answer to its key.
fn check_upgrade(request: &Request) -> Result<String, HandshakeError> {
    let headers = &request.headers;
    let missing = if request.method != "GET" {
        Some("its method is not GET")
    } else if !request.is_http_1_1 {
        Some("it does not speak HTTP/1.1")
    } else if !headers.has_token("connection", "upgrade") {
        Some("its `Connection` header does not upgrade")
    } else if !headers.has_token("upgrade", "websocket") {
        Some("its `Upgrade` header does not name `websocket`")
    } else if headers.first("sec-websocket-version") != Some(b"13") {
        Some("its `Sec-WebSocket-Version` is not 13")
    } else {
        None
    };
    if let Some(missing) = missing {
        return Err(HandshakeError::NotWebSocket(missing.into()));
    }
    match headers.first("sec-websocket-key") {
        Some(key) if key::is_valid(key) => Ok(key::accept(key)),
        _ => Err(HandshakeError::Malformed("its `Sec-WebSocket-Key` is not sixteen bytes in base64".into())),
    }
}

fn check_origin(headers: &Headers, allowed: &[String]) -> Result<(), HandshakeError> {
    let mut hosts = headers.all("host");
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(HandshakeError::Malformed("not exactly one `Host` header".into()));
    };
    let host = String::from_utf8_lossy(host);
    for origin in headers.all("origin") {
        let origin = String::from_utf8_lossy(origin);
        if !origin::is_allowed(&origin, &host, allowed) {
            return Err(HandshakeError::Origin(Unprinted(origin.into_owned())));
        }
    }
    Ok(())
}

/// Whether our subprotocol is to be echoed. A client that offers no subprotocol is accepted: connecting to this address is word
/// enough.
fn chooses_subprotocol(headers: &Headers) -> Result<bool, HandshakeError> {
    let offers: Vec<_> = headers.all("sec-websocket-protocol").map(String::from_utf8_lossy).collect();
    if offers.is_empty() {
        return Ok(false);
    }
    let offers = offers.join(",");
    if !offers.split(',').any(|offer| offer.trim() == SUBPROTOCOL) {
        return Err(HandshakeError::Subprotocol(Unprinted(offers)));
    }
    Ok(true)
}

fn describe(request: Request) -> Result<HandshakeRequest, HandshakeError> {
    let Some((path, query)) = target::split(&request.target) else {
        return Err(HandshakeError::Malformed("its target is not a URL path".into()));
    };
    let text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8_lossy(&value).into_owned());
    Ok(HandshakeRequest {
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: request.headers.0.into_iter().map(text).collect(),
    })
}

/// The HTTP answer to a refused client; `None` if it could not read one.
fn answer(error: &HandshakeError) -> Option<String> {
    let mut headers = String::new();
    let (status, text) = match error {
        HandshakeError::NotWebSocket(_) => {
            headers.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
            (426, "This address speaks WebSocket only.".to_owned())
        }
        HandshakeError::Subprotocol(_) => (400, format!("This server speaks the subprotocol {SUBPROTOCOL}.")),
        HandshakeError::Origin(_) => (403, "Pages of this origin may not connect here.".to_owned()),
        HandshakeError::Rejected(rejection) => {
            if let Some(delay) = rejection.retry_after {
                let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
                headers.push_str(&format!("Retry-After: {seconds}\r\n"));
            }
            (rejection.status, rejection.text.clone())
        }
        HandshakeError::TooLong(_) => (431, "The request's headers are too long.".to_owned()),
        HandshakeError::Malformed(_) => (400, "This is not a valid WebSocket handshake.".to_owned()),
        // TLS clients recognise an HTTP answer and report that the server speaks plain text.
        HandshakeError::ClientSpeaksTls => {
            (400, "This address speaks plain text; connect with ws://.".to_owned())
        }
        HandshakeError::ClientSpeaksPlainText => {
            headers.push_str("Upgrade: TLS/1.2, HTTP/1.1\r\n");
            (400, "This address speaks TLS; connect with https:// or wss://.".to_owned())
        }
        HandshakeError::Io(_)
        | HandshakeError::Cut
        | HandshakeError::Timeout(_)
        | HandshakeError::ServerSpeaksTls
        | HandshakeError::Refused { .. }
        | HandshakeError::BadUpgrade(_)
        | HandshakeError::InvalidRequest(_) => return None,
    };
    let connection = if headers.starts_with("Upgrade: ") { "upgrade, close" } else { "close" };
    Some(format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\n{headers}\r\n{text}",
        status::reason(status),
        text.len(),
    ))
}

/// Sends the answer and then reads until the client closes: bytes that arrive at a closed link reset it, and the client would
/// lose the answer.
async fn say<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO, answer: &[u8]) -> std::io::Result<()> {
    io.write_all(answer).await?;
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}
