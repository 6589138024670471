use futures::future::join;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::Instant,
};

use super::*;

type Accepted = Result<(Socket<DuplexStream>, HandshakeRequest), HandshakeError>;

/// A well-formed request of the server `example.com` with `headers` added to it.
fn request(headers: &str) -> String {
    format!(
        "GET /rpc?token=canary HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    )
}

/// What a server makes of these bytes, and what it answers.
async fn accept_raw(
    bytes: &str,
    decide: fn(&HandshakeRequest) -> Result<(), Rejection>,
) -> (Accepted, String) {
    let (io, mut peer) = duplex(1 << 20);
    let allowed = ["https://app.example.org".to_owned()];
    peer.write_all(bytes.as_bytes()).await.expect("the link has room");
    let limits = Limits::default();
    let (mut answer, mut space) = (Vec::new(), [0; 4096]);
    let hear = async {
        loop {
            let read = peer.read(&mut space).await.expect("memory does not fail");
            answer.extend_from_slice(&space[..read]);
            if read == 0 || answer.starts_with(b"HTTP/1.1 101") {
                break;
            }
        }
        drop(peer);
    };
    let decide = async |request: HandshakeRequest| decide(&request).map(|()| request);
    let (accepted, ()) = join(Socket::accept(io, &limits, &allowed, decide), hear).await;
    (accepted, String::from_utf8(answer).expect("HTTP is text"))
}

async fn check_accepted(bytes: &str) -> (HandshakeRequest, String) {
    let (accepted, answer) = accept_raw(bytes, |_| Ok(())).await;
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    assert!(
        answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
        "{answer}"
    );
    (accepted.map(|(_, request)| request).expect("a handshake"), answer)
}

async fn check_refused(bytes: &str, status: &str, error: &str) -> String {
    let (accepted, answer) = accept_raw(bytes, |_| Ok(())).await;
    let refused = accepted.map(|(_, request)| request).expect_err("no handshake");
    assert!(format!("{refused:?}").starts_with(error), "{refused:?}");
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    assert!(head.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{answer}");
    answer
}

/// What a client makes of a server that answers these bytes.
async fn connect_raw(answer: &str) -> Result<Socket<DuplexStream>, HandshakeError> {
    let (io, mut peer) = duplex(1 << 20);
    peer.write_all(answer.as_bytes()).await.expect("the link has room");
    peer.shutdown().await.expect("memory does not fail");
    Socket::connect(io, ClientHandshake::new("example.com", "/"), &Limits::default()).await
}

#[tokio::test(start_paused = true)]
async fn client_and_server_agree_and_the_server_sees_the_request() {
    let (near, far) = duplex(100);
    let limits = Limits::default();
    let mut request = ClientHandshake::new("example.com:81", "/rpc/v1?a=b");
    request.headers.push(("Authorization".into(), "Bearer canary".into()));
    let client = Socket::connect(near, request, &limits);
    let (client, server) = join(client, Socket::accept(far, &limits, &[], async |request| Ok(request))).await;
    client.expect("connected");
    let (_, seen) = server.expect("accepted");
    assert_eq!((seen.path.as_str(), seen.query.as_deref()), ("/rpc/v1", Some("a=b")));
    assert_eq!(seen.header("HOST"), Some("example.com:81"));
    assert_eq!(seen.header("authorization"), Some("Bearer canary"));
    assert_eq!(seen.header("sec-websocket-protocol"), Some(SUBPROTOCOL));
    assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_subprotocol_is_echoed_and_may_be_left_out() {
    let (seen, answer) = check_accepted(&request("")).await;
    assert!(!answer.to_lowercase().contains("sec-websocket-protocol"), "{answer}");
    assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
    let (_, answer) = check_accepted(&request("Sec-WebSocket-Protocol: chat, rpc.v1\r\n")).await;
    assert!(answer.contains("sec-websocket-protocol: rpc.v1\r\n"), "{answer}");
    check_accepted(&request("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: rpc.v1\r\n")).await;
    let several = request("").replace("keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade");
    check_accepted(&several).await;
    let chat = request("Sec-WebSocket-Protocol: chat, rpc.v11\r\n");
    check_refused(&chat, "400 Bad Request", "Subprotocol").await;
}

#[tokio::test(start_paused = true)]
async fn plain_http_is_told_to_upgrade() {
    for plain in [
        "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        request("").replace("Version: 13", "Version: 8"),
    ] {
        let answer = check_refused(&plain, "426 Upgrade Required", "NotWebSocket").await;
        assert!(answer.contains("\r\nUpgrade: websocket\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: upgrade, close\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nThis address speaks WebSocket only."), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_valid_handshake_is_a_bad_request() {
    let status = "400 Bad Request";
    check_refused("\x14\x03\x01 no\r\n\r\n", status, "Malformed").await;
    // One byte of TLS tells; there is no line to wait for.
    check_refused("\x16", status, "ClientSpeaksTls").await;
    check_refused("\r\n\r\n", status, "Malformed").await;
    check_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status, "Malformed").await;
    check_refused(&request("").replace("==", ""), status, "Malformed").await;
    check_refused(&request("Host: example.net\r\n"), status, "Malformed").await;
    check_refused(&(request("") + "early"), status, "Malformed").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_is_a_path_with_a_query_or_a_whole_url() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/a/b?c=d?e#f", "/a/b", Some("c=d?e")),
        ("/a#b?c", "/a", None),
        ("http://example.com/a?b", "/a", Some("b")),
        ("http://example.com", "/", None),
        ("http://example.com?b", "/", Some("b")),
    ] {
        let (seen, _) = check_accepted(&request("").replace("/rpc?token=canary", target)).await;
        assert_eq!((seen.path.as_str(), seen.query.as_deref()), (path, query), "{target}");
    }
    for target in ["*", "a", "?a", "/<a>", "://a/b", "http:///a", "a b"] {
        let bytes = request("").replace("/rpc?token=canary", target);
        check_refused(&bytes, "400 Bad Request", "Malformed").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_is_refused() {
    for same in ["http://example.com", "https://EXAMPLE.com:443", "https://app.example.org"] {
        check_accepted(&request(&format!("Origin: {same}\r\n"))).await;
    }
    for other in [
        "https://example.org",
        "https://example.com.evil.org",
        "https://evil-example.com",
        "https://example.com:444",
        "http://app.example.org",
        "file://example.com",
        "null",
        "",
    ] {
        check_refused(&request(&format!("Origin: {other}\r\n")), "403 Forbidden", "Origin").await;
    }
    let both = request("Origin: http://example.com\r\nOrigin: https://example.org\r\n");
    check_refused(&both, "403 Forbidden", "Origin").await;
}

#[test]
fn an_origin_with_an_ip_address_keeps_its_port_apart() {
    assert!(origin::is_allowed("http://[::1]:8080", "[::1]:8080", &[]));
    assert!(origin::is_allowed("http://[::1]", "[::1]:80", &[]));
    assert!(!origin::is_allowed("http://[::1]:8080", "[::1]", &[]));
    assert!(!origin::is_allowed("http://127.0.0.2:80", "127.0.0.1:80", &[]));
    assert!(!origin::is_allowed("http://", "", &[]));
}

#[tokio::test(start_paused = true)]
async fn the_caller_can_refuse_and_the_client_hears_why() {
    check_told_to_wait(Duration::from_millis(1_500), Duration::from_secs(2)).await;
    check_told_to_wait(Duration::ZERO, Duration::ZERO).await;
    check_told_to_wait(Duration::MAX, Duration::from_secs(u64::MAX)).await;
}

/// That a client which is to come again after `delay` hears so.
async fn check_told_to_wait(delay: Duration, heard: Duration) {
    let (near, far) = duplex(1 << 10);
    let limits = Limits::default();
    let full = async |_| Err::<(), _>(Rejection::new(503, "too many\nclients").retry_after(delay));
    let client = Socket::connect(near, ClientHandshake::new("example.com", "/"), &limits);
    // The client drops its end with the error, so that the server need not wait.
    let client = async { client.await.map(|_| ()).expect_err("refused") };
    let (client, server) = join(client, Socket::accept(far, &limits, &[], full)).await;
    assert_eq!(client.to_string(), "the server answered 503: too many");
    let HandshakeError::Refused { status: 503, retry_after, .. } = client else { panic!("{client:?}") };
    assert_eq!(retry_after, Some(heard));
    assert!(matches!(server, Err(HandshakeError::Rejected(rejection)) if rejection.status() == 503));
    assert_eq!(Rejection::new(200, "ok").status(), 403);
}

#[tokio::test(start_paused = true)]
async fn half_a_request_held_open_ends_in_time() {
    let bytes = request("");
    let (io, mut peer) = duplex(1 << 10);
    peer.write_all(&bytes.as_bytes()[..bytes.len() - 1]).await.expect("the link has room");
    let started = Instant::now();
    let accepted = Socket::accept(io, &Limits::default(), &[], async |_| Ok(())).await;
    assert!(matches!(accepted, Err(HandshakeError::Timeout(_))));
    assert_eq!(started.elapsed(), Limits::default().hello_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_single_bytes_is_understood() {
    let (io, mut peer) = duplex(1);
    let limits = Limits::default();
    let drip = async {
        for byte in request("").bytes() {
            peer.write_all(&[byte]).await.expect("the server reads");
        }
        let mut answer = [0; 12];
        peer.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 101");
        tokio::io::copy(&mut peer, &mut tokio::io::sink()).await.expect("memory does not fail");
    };
    let accept =
        async { Socket::accept(io, &limits, &[], async |_| Ok(())).await.map(drop).expect("a handshake") };
    join(accept, drip).await;
}

#[tokio::test(start_paused = true)]
async fn a_header_bomb_is_refused_at_the_limit() {
    let bomb = request(&format!("X-Bomb: {}\r\n", "x".repeat(16 << 10)));
    check_refused(&bomb, "431 Request Header Fields Too Large", "TooLong").await;

    let (io, mut peer) = duplex(1 << 10);
    let limits = Limits::default();
    let endless = async {
        peer.write_all(b"GET / HTTP/1.1\r\n").await.expect("the link has room");
        let mut sent = 0;
        while peer.write_all(b"X-Bomb: x\r\n").await.is_ok() {
            sent += 11;
            assert!(sent < 1 << 20, "the server takes it all");
        }
    };
    let (accepted, ()) = join(Socket::accept(io, &limits, &[], async |_| Ok(())), endless).await;
    assert!(matches!(accepted, Err(HandshakeError::TooLong(_))));

    let many = request(&"X: y\r\n".repeat(1_000));
    check_refused(&many, "400 Bad Request", "Malformed").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_cut() {
    let (io, mut peer) = duplex(1 << 10);
    peer.write_all(b"GET / HT").await.expect("the link has room");
    drop(peer);
    let accepted = Socket::accept(io, &Limits::default(), &[], async |_| Ok(())).await;
    assert!(matches!(accepted, Err(HandshakeError::Cut)));
}

#[tokio::test(start_paused = true)]
async fn a_client_says_what_the_server_answered() {
    for (answer, expected) in [
        ("HTTP/1.1 404 Not Found\r\n\r\nNo such page.\nSorry.", "the server answered 404: No such page."),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
            "the server answered 302 instead of opening a WebSocket",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "the server's upgrade is not valid: it does not upgrade to `websocket`",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: rpc.v1\r\n\r\n",
            "the server's upgrade is not valid: its `Sec-WebSocket-Accept` is not the answer to our key",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "the peer's handshake is not valid: "),
        ("HTTP/1.1 101", "the link ended during the handshake"),
    ] {
        let error = connect_raw(answer).await.map(drop).expect_err("no handshake").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_must_answer_the_key_and_choose_our_subprotocol() {
    for (headers, expected) in [
        ("", "it did not choose the subprotocol that was offered"),
        ("Sec-WebSocket-Protocol: chat\r\n", "it did not choose the subprotocol that was offered"),
        (
            "Sec-WebSocket-Protocol: rpc.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
            "it uses an extension that was not offered",
        ),
    ] {
        let (io, mut peer) = duplex(1 << 10);
        let answer = async {
            let asked = head::read(&mut peer, 1 << 10, |_| Ok(())).await.expect("a head");
            let asked = asked.request().expect("a request");
            let accept = key::accept(asked.headers.first("sec-websocket-key").expect("a key"));
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
            );
            peer.write_all(answer.as_bytes()).await.expect("the link has room");
        };
        let limits = Limits::default();
        let (client, ()) =
            join(Socket::connect(io, ClientHandshake::new("example.com", "/"), &limits), answer).await;
        let HandshakeError::BadUpgrade(what) = client.map(drop).expect_err("no handshake") else { panic!() };
        assert_eq!(what, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_would_forge_headers_is_not_sent() {
    let forged = |host: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = ClientHandshake::new(host, path);
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        request.headers = headers.collect();
        request
    };
    for request in [
        forged("example.com", "rpc", &[]),
        forged("example.com", "/ HTTP/1.1\r\nX: y", &[]),
        forged("example.com", "/#fragment", &[]),
        forged("example.com\r\nX: y", "/", &[]),
        forged("ann@example.com", "/", &[]),
        forged("", "/", &[]),
        forged("[::1", "/", &[]),
        forged("[::1]x", "/", &[]),
        forged("example.com:1x", "/", &[]),
        forged("::1", "/", &[]),
        forged("example.com", "/<", &[]),
        forged("example.com", "/", &[("x", "y\r\nz: w")]),
        forged("example.com", "/", &[("x\r\nz", "w")]),
        forged("example.com", "/", &[("host", "example.org")]),
        forged("example.com", "/", &[("Sec-WebSocket-Key", "x")]),
    ] {
        let (io, mut peer) = duplex(1 << 10);
        let text = format!("{request:?}");
        let refused = Socket::connect(io, request, &Limits::default()).await.map(drop);
        assert!(matches!(refused, Err(HandshakeError::InvalidRequest(_))), "{text}");
        assert_eq!(peer.read(&mut [0; 10]).await.expect("memory does not fail"), 0, "{text}");
    }
}
