//! Real WebSockets on loopback: counted messages, strangers at the door, closing.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures::{SinkExt, StreamExt};
use rpc_client::{Client, ConnectError};
use rpc_core::{CallError, CloseReason, Delivery, Peer, Violation, close_codes, websocket::HandshakeError};
use rpc_server::{Principal, Rejection, Server, ServerBuilder, ServerHandle};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{PeopleClient, PeopleServer, UserId, Village, relay::Relay};

/// A server on a port of its own.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl TestServer {
    async fn start() -> Self {
        Self::start_with(Server::builder().service(PeopleServer::new(Village::default()))).await
    }

    pub(crate) async fn start_with(builder: ServerBuilder) -> Self {
        let server = builder.bind("127.0.0.1:0").await.unwrap();
        let (address, handle) = (server.local_addr().unwrap(), server.handle());
        Self { address, handle, task: tokio::spawn(server.serve()) }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.url()).await.unwrap()
    }

    /// A client whose session ends with its socket.
    pub(crate) async fn single_client(&self) -> Client {
        Client::builder().without_reconnect().connect(&self.url()).await.unwrap()
    }
}

#[tokio::test]
async fn a_call_crosses_a_real_socket() {
    let server = TestServer::start().await;
    let people: PeopleClient = server.client().await.service();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    assert_eq!(people.find("ann").await.unwrap().name, "ann");
}

#[tokio::test]
async fn a_chain_of_sixteen_is_one_message_out_and_one_back() {
    let server = TestServer::start().await;
    let relay = Relay::start(server.address).await;
    let client = Client::connect(&relay.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    relay.reset();
    let mut sum = people.add(0, 1);
    for _ in 0..15 {
        sum = people.add(sum, 1);
    }
    assert_eq!(sum.await.unwrap(), 16);
    assert_eq!(relay.messages(), (1, 1));
}

#[tokio::test]
async fn a_whole_graph_is_one_message_out_and_one_back() {
    let server = TestServer::start().await;
    let relay = Relay::start(server.address).await;
    let client = Client::connect(&relay.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    relay.reset();
    let dan = people.find("dan");
    let boss = people.profile(dan.boss().some());
    let name = boss.name();
    let greeting = people.greet(&name, dan.home().city());
    let distance = people.distance(dan.home().position());
    let (dan, boss, name) = rpc_core::join!(dan, boss, name);
    let (greeting, distance) = (greeting.await.unwrap(), distance.await.unwrap());
    assert_eq!(
        (dan.unwrap().name, boss.unwrap().name, name.unwrap()),
        ("dan".into(), "cem".into(), "cem".into())
    );
    assert_eq!((greeting.as_str(), distance), ("hello danville cem", 6));
    assert_eq!(relay.messages().0, 1);
    assert!(relay.messages().1 <= 2, "handlers that wait answer in a message of their own");
}

#[tokio::test]
async fn a_map_over_a_hundred_elements_is_one_message_out_and_one_back() {
    let server = TestServer::start().await;
    let relay = Relay::start(server.address).await;
    let client = Client::connect(&relay.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    relay.reset();
    let sums = people.upto(100).map(|number| people.add(people.add(number, 1), 1));
    assert_eq!(sums.await.unwrap(), (2..102).collect::<Vec<u64>>());
    assert_eq!(relay.messages(), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_made_on_another_thread_than_the_drivers_is_one_message_too() {
    let server = TestServer::start().await;
    let relay = Relay::start(server.address).await;
    let client = Client::connect(&relay.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    let mut whole = 0;
    for _ in 0..50 {
        relay.reset();
        let mut sum = people.add(0, 1);
        for _ in 0..15 {
            sum = people.add(sum, 1);
        }
        assert_eq!(sum.await.unwrap(), 16);
        whole += usize::from(relay.messages().0 == 1);
    }
    // A caller that loses its processor for more than the grace of a millisecond is allowed two messages.
    assert!(whole >= 40, "{whole} of 50 graphs left whole");
}

#[tokio::test]
async fn many_calls_share_messages() {
    let server = TestServer::start().await;
    let relay = Relay::start(server.address).await;
    let client = Client::connect(&relay.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    relay.reset();
    let sums = rpc_core::join_all((0..500).map(|n| people.add(n, 1))).await;
    assert!(sums.into_iter().all(|sum| sum.is_ok()));
    let (out, back) = relay.messages();
    // Results leave in slices, so that this side works on the first while the others are made; a turn that takes long on a
    // busy machine is cut into several.
    assert!(out == 1 && back <= 20, "{out} out, {back} back");
}

#[tokio::test]
async fn large_values_cross_in_bounded_messages() {
    let server = TestServer::start().await;
    let people: PeopleClient = server.client().await.service();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let echoed = rpc_core::join_all((0..4).map(|_| people.echo(bytes::Bytes::from(bytes.clone())))).await;
    assert!(echoed.into_iter().all(|echo| echo.unwrap() == bytes));
}

#[tokio::test]
async fn a_shutdown_finishes_what_runs_and_leaves_nothing() {
    let server = TestServer::start().await;
    let client = server.single_client().await;
    let people: PeopleClient = client.service();
    let mut profile = std::future::IntoFuture::into_future(people.profile(UserId(1)));
    assert!(futures::poll!(&mut profile).is_pending());
    people.add(1, 1).await.unwrap();
    server.handle.shutdown();
    assert_eq!(profile.await.unwrap().name, "bob");
    server.task.await.unwrap().unwrap();
    assert!(matches!(client.closed().await, CloseReason::Peer { code: close_codes::GOING_AWAY, .. }));
    let error = people.add(1, 1).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected { delivery: Delivery::NotSent, .. }));
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let people: PeopleClient = client.service();
    let sum = people.add(1, 2);
    drop((client, people));
    assert_eq!(sum.await.unwrap(), 3);
    // Nothing of the session is left to wait for.
    server.handle.shutdown();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cut_socket_fails_calls_with_what_is_known() {
    let server = TestServer::start().await;
    let relay = Relay::start(server.address).await;
    let client = Client::builder().without_reconnect().connect(&relay.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    let mut waiting = std::future::IntoFuture::into_future(people.wait());
    assert!(futures::poll!(&mut waiting).is_pending());
    people.add(0, 0).await.unwrap();
    relay.cut();
    let error = waiting.await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected { delivery: Delivery::Unacknowledged, .. }), "{error:?}");
    assert!(matches!(client.closed().await, CloseReason::Socket(_)));
}

#[tokio::test]
async fn http_without_websocket_is_told_so() {
    let server = TestServer::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    let people: PeopleClient = server.client().await.service();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
}

/// What the server does with a raw message: the close code, while a healthy client beside it goes on.
async fn close_code_after(message: Message) -> u16 {
    let server = TestServer::start().await;
    let people: PeopleClient = server.client().await.service();
    people.add(1, 2).await.unwrap();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(server.url(), stream).await.unwrap();
    socket.send(message).await.unwrap();
    let close = loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => break close,
            Some(Ok(_)) => {}
            other => panic!("no close but {other:?}"),
        }
    };
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    close.code.into()
}

#[tokio::test]
async fn text_is_refused() {
    assert_eq!(close_code_after(Message::text("hello")).await, close_codes::TEXT);
}

#[tokio::test]
async fn nonsense_is_refused() {
    assert_eq!(close_code_after(Message::binary(b"hello".to_vec())).await, close_codes::PROTOCOL);
    assert_eq!(close_code_after(Message::binary(b"\x01RPCW\x07".to_vec())).await, close_codes::PROTOCOL);
}

#[tokio::test]
#[allow(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
async fn a_server_of_another_protocol_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_hdr_async(
            stream,
            |_: &_, mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
                response.headers_mut().insert("sec-websocket-protocol", "rpc.v1".parse().unwrap());
                Ok(response)
            },
        )
        .await
        .unwrap();
        // A Welcome of wire version 9.
        socket.send(Message::binary(vec![0x02, 9, 0, 1, 0, 0, 0, 0, 0])).await.unwrap();
        while socket.next().await.is_some() {}
    });
    let client = Client::connect(&format!("ws://{address}")).await.unwrap();
    let people: PeopleClient = client.service();
    let error = people.add(1, 2).await.unwrap_err();
    let CallError::Disconnected { reason: CloseReason::Violation(violation), .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(violation, Violation::Version { peer: 9, ours: 1 });
}

#[tokio::test]
async fn an_unreachable_server_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(&format!("ws://{address}")).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unreachable { address: tried, .. } if *tried == address.to_string())
    );
    assert!(matches!(Client::connect("http://localhost").await.unwrap_err(), ConnectError::Address(_)));
}

#[tokio::test]
async fn a_server_knows_its_peers_and_may_refuse_them() {
    let builder = Server::builder()
        .authenticate(|peer| match peer.header("authorization") {
            Some("Bearer ann") => Ok(Principal::named("ann")),
            Some(_) => Ok(Principal::Anonymous),
            None => Err(Rejection::new(401, "say who you are")),
        })
        .service_with(|peer| {
            assert!(peer.address.is_some());
            PeopleServer::new(Village::default())
        });
    let server = TestServer::start_with(builder).await;
    let client =
        Client::builder().header("authorization", "Bearer ann").connect(&server.url()).await.unwrap();
    assert_eq!(client.service::<PeopleClient>().whoami().await.unwrap(), "ann/-");
    let error = Client::connect(&server.url()).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Handshake(HandshakeError::Refused { status: 401, text, .. }) if text == "say who you are"),
        "{error:?}"
    );
}

#[tokio::test]
async fn any_byte_stream_will_do() {
    let server = Arc::new(Server::builder().service(PeopleServer::new(Village::default())).build());
    let (near, far) = tokio::io::duplex(1_000);
    let serving = tokio::spawn(async move { server.serve_io(far, None).await });
    let client = Client::builder().connect_io(near, "anywhere", "/").await.unwrap();
    let people: PeopleClient = client.service();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    drop((client, people));
    assert!(matches!(serving.await.unwrap().unwrap(), CloseReason::Peer { .. }));
}

#[tokio::test]
async fn calls_cross_tls_both_ways() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let acceptor =
        rpc_server::tls::TlsAcceptor::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes())
            .unwrap();
    let server = TestServer::start_with(
        Server::builder().tls(acceptor).service(PeopleServer::new(Village::default())),
    )
    .await;
    let url = format!("wss://localhost:{}", server.address.port());
    let trusting = rpc_client::tls::TlsConnector::with_only_roots(cert.pem().as_bytes()).unwrap();
    let client = Client::builder().tls(trusting).connect(&url).await.unwrap();
    let people: PeopleClient = client.service();
    assert_eq!(people.find("ann").await.unwrap().name, "ann");
    let echoed = people.echo(bytes::Bytes::from(vec![7; 500_000])).await.unwrap();
    assert_eq!(echoed.len(), 500_000);
    // Whoever does not trust the certificate does not connect.
    assert!(matches!(Client::connect(&url).await.unwrap_err(), ConnectError::Tls(_)));
}

#[tokio::test]
async fn handlers_see_the_headers_of_a_request_without_those_of_its_handshake() {
    let (asked, served) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let names = |peer: &Peer| peer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (at_door, inside) = (Arc::clone(&asked), Arc::clone(&served));
    let builder = Server::builder()
        .authenticate(move |peer| {
            *at_door.lock().unwrap() = names(peer);
            Ok(Principal::Anonymous)
        })
        .service_with(move |peer| {
            *inside.lock().unwrap() = names(peer);
            PeopleServer::new(Village::default())
        });
    let server = TestServer::start_with(builder).await;
    let client = Client::builder().header("x-team", "blue").connect(&server.url()).await.unwrap();
    let people: PeopleClient = client.service();
    people.add(1, 2).await.unwrap();
    let (asked, served) = (asked.lock().unwrap().clone(), served.lock().unwrap().clone());
    let has = |names: &[String], name: &str| names.iter().any(|known| known == name);
    assert!(has(&asked, "x-team") && has(&asked, "sec-websocket-key") && has(&asked, "upgrade"), "{asked:?}");
    assert!(has(&served, "x-team") && has(&served, "host"), "{served:?}");
    assert!(!has(&served, "sec-websocket-key") && !has(&served, "upgrade"), "{served:?}");
}
