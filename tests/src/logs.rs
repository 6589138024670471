//! Logs are the operator's: a peer decides neither how many lines there are nor that its secrets are in them.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use rpc_client::{CallError, Client};
use rpc_core::{Peer, Principal, Services, memory, rpc};
use rpc_server::{Authenticator, Identity, Rejection, Server, listen::ListenOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tracing::{Event, Metadata, Subscriber, field::Visit, span};

#[rpc]
trait Fragile {
    async fn break_down(&self);
}

struct Glass;

impl Fragile for Glass {
    async fn break_down(&self) {
        std::panic::resume_unwind(Box::new("it is made of glass"));
    }
}

/// Keeps all lines, with their fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn thousands_of_panics_are_some_lines() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let fragile: FragileClient = memory::connect(Services::new().with(FragileServer::new(Glass))).service();
    for _ in 0..20 {
        for broken in rpc_core::join_all((0..500).map(|_| fragile.break_down())).await {
            assert!(matches!(broken, Err(CallError::Panicked { .. })), "{broken:?}");
        }
    }
    let lines = lines.0.lock().unwrap();
    let panics = lines.iter().filter(|line| line.contains("made of glass")).count();
    assert!((1..=100).contains(&panics), "{panics} lines for 10,000 panics");
}

#[tokio::test]
async fn what_a_client_sent_in_headers_is_in_no_line() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let server = Server::builder().service(FragileServer::new(Glass)).bind("127.0.0.1:0").await.unwrap();
    let url = server.url().unwrap();
    let address = url.strip_prefix("ws://").unwrap().trim_end_matches('/').to_owned();
    tokio::spawn(server.serve());
    for (header, value) in [
        ("Sec-WebSocket-Protocol", "bearer, canary-1"),
        ("Origin", "https://canary-2.example"),
        ("Authorization", "Bearer canary-3"),
        ("Sec-WebSocket-Version", "canary-4"),
        ("Sec-WebSocket-Key", "canary-5"),
        ("Upgrade", "canary-6"),
        ("Connection", "canary-7"),
        ("Cookie", "session=canary-8\u{1}"),
    ] {
        let mut headers = vec![
            ("Host", address.as_str()),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        headers.retain(|(name, _)| *name != header);
        headers.push((header, value));
        let mut request = "GET /canary-9?token=canary-10 HTTP/1.1\r\n".to_owned();
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    // The server has dealt with all of them when it serves the next.
    let client = Client::connect(&url).await.unwrap();
    let fragile: FragileClient = client.service();
    let _ = fragile.break_down().await;
    let lines = lines.0.lock().unwrap();
    let told: Vec<&String> = lines.iter().filter(|line| line.contains("canary")).collect();
    assert!(told.is_empty(), "{told:?}");
    assert!(
        lines.iter().any(|line| line.contains("did not become a session")),
        "refusals are told: {lines:?}"
    );
}

/// Knows one token; another one has expired.
struct Tokens;

impl Authenticator for Tokens {
    async fn authenticate(&self, peer: &Peer) -> Result<Identity, Rejection> {
        match peer.token() {
            Some("canary-good") => Ok(Principal::named("ann").into()),
            Some("canary-old") => Ok(Identity::from(Principal::named("ann")).until(SystemTime::UNIX_EPOCH)),
            _ => Err(Rejection::new(401, "the token is not valid")),
        }
    }
}

#[tokio::test]
async fn a_token_is_in_no_line_and_no_error_however_it_came_and_whatever_became_of_it() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let builder =
        Server::builder().service(FragileServer::new(Glass)).authenticator(Tokens).token_in_query("token");
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let url = server.url().unwrap();
    tokio::spawn(server.serve());
    let mut opened = 0;
    for token in ["canary-good", "canary-old", "canary-bad"] {
        let header = Client::builder().header("authorization", format!("Bearer {token}"));
        let asked =
            Client::builder().bearer_with(move || async move { Ok::<_, std::io::Error>(token.to_owned()) });
        let query = format!("{url}/?token={token}");
        for (builder, url) in [(header, &url), (asked, &url), (Client::builder(), &query)] {
            let shown = format!("{builder:?}");
            let outcome = match builder.connect(url).await {
                Ok(client) => {
                    let panicked = client.service::<FragileClient>().break_down().await;
                    opened += 1;
                    format!("{client:?} {panicked:?} {:?}", client.close().await)
                }
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("canary") && !outcome.contains("canary"), "{shown}\n{outcome}");
        }
    }
    assert_eq!(opened, 3);
    let lines = lines.0.lock().unwrap();
    let told: Vec<&String> = lines.iter().filter(|line| line.contains("canary")).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test]
async fn thousands_of_refused_connections_are_some_lines() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let options = ListenOptions {
        address_connects_per_second: 1,
        address_connects_burst: 1,
        count_loopback: true,
        ..ListenOptions::default()
    };
    let server = Server::builder().listen_options(options).bind("127.0.0.1:0").await.unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    tokio::spawn(server.serve());
    while handle.listen_stats().refused_for_rate < 2_000 {
        // Whatever becomes of it.
        let _ = TcpStream::connect(address).await;
    }
    let lines = lines.0.lock().unwrap();
    let refused: Vec<&String> = lines.iter().filter(|line| line.contains("refused a connection")).collect();
    assert!((1..=100).contains(&refused.len()), "{} lines", refused.len());
    assert!(refused[0].contains("limit=\"address_connects_per_second\""), "{}", refused[0]);
}
