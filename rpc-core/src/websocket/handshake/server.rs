//! The server's side: read a request, judge it, answer it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{
    Error as CodecError,
    error::ProtocolError,
    handshake::server::{Request, Response, create_response, write_response},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    protocol::Role,
};

use super::{HandshakeError, HandshakeRequest, Rejection, SUBPROTOCOL, Unprinted, head, origin, tls};
use crate::{limits::Limits, websocket::Socket};

/// How long a refused client has to read its answer before the link is dropped.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 64 << 10;

pub(super) async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    limits: &Limits,
    origins_allowed: &[String],
    decide: impl FnOnce(&HandshakeRequest) -> Result<(), Rejection>,
) -> Result<(Socket<IO>, HandshakeRequest), HandshakeError> {
    match read_request(&mut io, limits, origins_allowed, decide).await {
        Ok((response, request)) => {
            io.write_all(&response).await?;
            io.flush().await?;
            Ok((Socket::open(io, Role::Server, limits, Vec::new()), request))
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
    decide: impl FnOnce(&HandshakeRequest) -> Result<(), Rejection>,
) -> Result<(Vec<u8>, HandshakeRequest), HandshakeError> {
    let head = head::read::<Request>(io, limits.handshake_bytes_max, check_language, |error, _| fault(error))
        .await?;
    let mut response = create_response(&head.parsed).map_err(fault)?;
    if !head.rest.is_empty() {
        return Err(HandshakeError::Malformed("bytes after the request, before its answer".into()));
    }
    check_origin(head.parsed.headers(), origins_allowed)?;
    choose_subprotocol(head.parsed.headers(), &mut response)?;
    let request = describe(&head.parsed);
    decide(&request).map_err(HandshakeError::Rejected)?;
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(fault)?;
    Ok((bytes, request))
}

fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), HandshakeError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(HandshakeError::Malformed("not exactly one `Host` header".into()));
    };
    let host = String::from_utf8_lossy(host.as_bytes());
    for origin in headers.get_all(header::ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        if !origin::is_allowed(&origin, &host, allowed) {
            return Err(HandshakeError::Origin(Unprinted(origin.into_owned())));
        }
    }
    Ok(())
}

/// Echoes our subprotocol. A client that offers no subprotocol is accepted: connecting to this address is word enough.
fn choose_subprotocol(headers: &HeaderMap, response: &mut Response) -> Result<(), HandshakeError> {
    let offers: Vec<_> = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().collect();
    if offers.is_empty() {
        return Ok(());
    }
    let offers: Vec<_> = offers.iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let offers = offers.join(",");
    if !offers.split(',').any(|offer| offer.trim() == SUBPROTOCOL) {
        return Err(HandshakeError::Subprotocol(Unprinted(offers)));
    }
    let chosen = HeaderValue::from_static(SUBPROTOCOL);
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(())
}

fn describe(request: &Request) -> HandshakeRequest {
    let headers = request.headers().iter();
    HandshakeRequest {
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
    }
}

/// The HTTP answer to a refused client; `None` if it could not read one.
fn answer(error: &HandshakeError) -> Option<String> {
    let mut headers = String::new();
    let (status, text) = match error {
        HandshakeError::NotWebSocket(_) => {
            headers.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
            (StatusCode::UPGRADE_REQUIRED, "This address speaks WebSocket only.".to_owned())
        }
        HandshakeError::Subprotocol(_) => {
            (StatusCode::BAD_REQUEST, format!("This server speaks the subprotocol {SUBPROTOCOL}."))
        }
        HandshakeError::Origin(_) => {
            (StatusCode::FORBIDDEN, "Pages of this origin may not connect here.".to_owned())
        }
        HandshakeError::Rejected(rejection) => {
            if let Some(delay) = rejection.retry_after {
                let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
                headers.push_str(&format!("Retry-After: {seconds}\r\n"));
            }
            (rejection.status, rejection.text.clone())
        }
        HandshakeError::TooLong(_) => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's headers are too long.".to_owned())
        }
        HandshakeError::Malformed(_) => {
            (StatusCode::BAD_REQUEST, "This is not a valid WebSocket handshake.".to_owned())
        }
        // TLS clients recognise an HTTP answer and report that the server speaks plain text.
        HandshakeError::ClientSpeaksTls => {
            (StatusCode::BAD_REQUEST, "This address speaks plain text; connect with ws://.".to_owned())
        }
        HandshakeError::ClientSpeaksPlainText => {
            headers.push_str("Upgrade: TLS/1.2, HTTP/1.1\r\n");
            (StatusCode::BAD_REQUEST, "This address speaks TLS; connect with https:// or wss://.".to_owned())
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
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\n{headers}\r\n{text}",
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

/// The error for tungstenite's: the client broke the rules of a WebSocket handshake, or did not ask for a WebSocket.
fn fault(error: CodecError) -> HandshakeError {
    let CodecError::Protocol(fault) = &error else {
        return HandshakeError::Malformed(error.to_string());
    };
    match fault {
        ProtocolError::WrongHttpMethod
        | ProtocolError::WrongHttpVersion
        | ProtocolError::MissingConnectionUpgradeHeader
        | ProtocolError::MissingUpgradeWebSocketHeader
        | ProtocolError::MissingSecWebSocketVersionHeader => HandshakeError::NotWebSocket(error.to_string()),
        _ => HandshakeError::Malformed(error.to_string()),
    }
}
