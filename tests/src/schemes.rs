//! `ws://` to a port that speaks TLS and `wss://` to one that does not: both sides are told at once what is wrong.

use std::net::SocketAddr;

use rpc_client::{
    Client, ConnectError,
    tls::{TlsConnector, TlsError},
};
use rpc_core::{Limits, websocket::HandshakeError};
use rpc_server::{Server, tls::TlsAcceptor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    attacks::stranger::PATIENCE,
    sockets::TestServer,
    support::{PeopleClient, PeopleServer, Village},
};

/// What the server has for `localhost`, and who trusts it.
fn certificate() -> (TlsAcceptor, TlsConnector) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let acceptor = TlsAcceptor::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes());
    (acceptor.unwrap(), TlsConnector::with_only_roots(cert.pem().as_bytes()).unwrap())
}

/// Nobody here waits for a time to be over.
fn patient() -> Limits {
    Limits { hello_timeout: PATIENCE * 60, ..Limits::default() }
}

async fn plain_server() -> TestServer {
    let builder = Server::builder().limits(patient()).service(PeopleServer::new(Village::default()));
    TestServer::start_with(builder).await
}

async fn tls_server() -> (TestServer, TlsConnector) {
    let (acceptor, connector) = certificate();
    let builder = Server::builder().limits(patient()).service(PeopleServer::new(Village::default()));
    (TestServer::start_with(builder.tls(acceptor)).await, connector)
}

/// Why a client of `ws://` is not connected.
async fn plain_error(address: SocketAddr) -> ConnectError {
    let url = format!("ws://{address}");
    let connecting = Client::builder().limits(patient()).connect_timeout(PATIENCE * 60).connect(&url);
    timeout(PATIENCE, connecting).await.expect("it is told at once").unwrap_err()
}

/// Why a client of `wss://` is not connected.
async fn tls_error(address: SocketAddr) -> ConnectError {
    let (_, connector) = certificate();
    let url = format!("wss://localhost:{}", address.port());
    let connecting =
        Client::builder().limits(patient()).connect_timeout(PATIENCE * 60).tls(connector).connect(&url);
    timeout(PATIENCE, connecting).await.expect("it is told at once").unwrap_err()
}

/// A server of somebody else, which says this to whoever says something, and hangs up.
async fn foreign(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4_096];
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut heard).await;
    });
    address
}

/// What our server says to these bytes, until it hangs up.
async fn answer_to(server: &TestServer, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is told at once").unwrap();
    String::from_utf8(answer).expect("it is told in plain text")
}

fn check_says_tls(error: &ConnectError) {
    assert!(matches!(error, ConnectError::Handshake(HandshakeError::ServerSpeaksTls)), "{error:?}");
    assert_eq!(error.to_string(), "the server speaks TLS; write `wss://`");
}

fn check_says_plain_text(error: &ConnectError) {
    assert!(matches!(error, ConnectError::Tls(TlsError::ServerSpeaksPlainText)), "{error:?}");
    assert_eq!(error.to_string(), "the server speaks plain text; write `ws://`");
}

#[tokio::test]
async fn a_plain_client_of_our_tls_server_is_told_to_use_tls() {
    let (server, connector) = tls_server().await;
    check_says_tls(&plain_error(server.address).await);
    // Those who got it right go on.
    let url = format!("wss://localhost:{}", server.address.port());
    let client = Client::builder().tls(connector).connect(&url).await.unwrap();
    let people: PeopleClient = client.service();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn a_tls_client_of_our_plain_server_is_told_to_use_plain_text() {
    let server = plain_server().await;
    check_says_plain_text(&tls_error(server.address).await);
    let people: PeopleClient = server.client().await.service();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn a_plain_client_of_any_tls_server_is_told_to_use_tls() {
    // rustls says so in an alert of its own.
    let (acceptor, _) = certificate();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(drop)
    });
    check_says_tls(&plain_error(address).await);
    let answers: [&[u8]; 5] = [
        // A fatal alert, and a handshake record.
        &[0x15, 3, 1, 0, 2, 2, 70],
        &[0x16, 3, 3, 0, 1, 0],
        // nginx, Go, and RFC 2817.
        b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n<html>\r\n<head><title>400 The plain \
          HTTP request was sent to HTTPS port</title></head>\r\n",
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
    ];
    for answer in answers {
        check_says_tls(&plain_error(foreign(answer).await).await);
    }
}

/// What only looks like it is another error.
#[tokio::test]
async fn other_refusals_of_plain_clients_say_nothing_of_tls() {
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\nno",
        b"HTTP/1.1 404 Not Found\r\n\r\nnot on this HTTPS port",
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\r\n",
        &[0x15],
    ];
    for answer in answers {
        let error = plain_error(foreign(answer).await).await;
        let refused = HandshakeError::Refused { status: 0, text: String::new(), retry_after: None };
        let ConnectError::Handshake(error) = error else { panic!("{error:?}") };
        let same = std::mem::discriminant(&error) == std::mem::discriminant(&refused);
        assert!(same || matches!(error, HandshakeError::Cut), "{error:?}");
    }
}

#[tokio::test]
async fn a_tls_client_of_any_plain_server_is_told_to_use_plain_text() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.9\r\n"]
    {
        check_says_plain_text(&tls_error(foreign(answer).await).await);
    }
    // A TLS server that wants nothing of this client is none of them.
    let error = tls_error(foreign(&[0x15, 3, 3, 0, 2, 2, 40]).await).await;
    assert!(matches!(error, ConnectError::Tls(TlsError::Handshake(_))), "{error:?}");
}

#[tokio::test]
async fn any_client_that_speaks_the_other_language_is_told_in_plain_text() {
    let server = plain_server().await;
    // One byte is enough to know, and all of a hello is no harm.
    let hello = [&[0x16, 3, 1, 7, 0, 1][..], &[7; 2_000]].concat();
    for said in [&hello[..1], &hello] {
        let answer = answer_to(&server, said).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("ws://."), "{answer}");
    }
    let (server, _) = tls_server().await;
    for said in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST"] {
        let answer = answer_to(&server, said.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("wss://."), "{answer}");
        assert!(answer.contains("\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n"), "{answer}");
    }
}
