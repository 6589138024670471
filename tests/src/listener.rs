//! Who comes in when many want to: limits by address, and places that last until the hello.
//!
//! Linux has a whole network of loopback addresses, so the tests connect from as many as they like.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use futures::{StreamExt, channel::oneshot, stream};
use rpc_client::Client;
use rpc_core::{
    CloseReason, Limits, close_codes,
    driver::{self, SessionConfig, Side},
    memory,
};
use rpc_server::{
    Server,
    listen::{ListenOptions, ListenStats},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use crate::{
    attacks::stranger::{Batch, PATIENCE, frame_header},
    sockets::TestServer,
    support::{PeopleClient, PeopleServer, Village},
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// Limits addresses of this machine, and no limit is near but those that a test sets.
fn counted() -> ListenOptions {
    ListenOptions {
        connections_max: 10_000,
        handshakes_max: 1_000,
        address_connections_max: usize::MAX,
        address_handshakes_max: usize::MAX,
        address_connects_per_second: u32::MAX,
        address_connects_burst: u32::MAX,
        network_connections_max: usize::MAX,
        count_loopback: true,
        trusted_proxies: Vec::new(),
    }
}

/// A server that is in no hurry: what ends does so because of its places.
async fn server(options: ListenOptions) -> TestServer {
    let limits = Limits { hello_timeout: Duration::from_secs(3_600), ..Limits::public() };
    let server = Server::builder().service(PeopleServer::new(Village::default()));
    TestServer::start_with(server.limits(limits).listen_options(options)).await
}

async fn connect_from(address: [u8; 4], server: &TestServer) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address, 0)))?;
    socket.connect(server.address).await
}

/// A session from an address, which the server knows.
async fn client_from(address: [u8; 4], server: &TestServer) -> Client {
    let connecting = async {
        let stream = connect_from(address, server).await.unwrap();
        let client = Client::builder().connect_io(stream, "localhost", "/").await.unwrap();
        check_served(&client).await;
        client
    };
    timeout(PATIENCE, connecting).await.expect("it comes in")
}

async fn check_served(client: &Client) {
    let sum = client.service::<PeopleClient>().add(1, 2);
    assert_eq!(timeout(PATIENCE, sum.into_future()).await.expect("it is served").unwrap(), 3);
}

/// Waits until the server has ended the connection.
async fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = [0; 1_000];
    let end = async { while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
    timeout(PATIENCE, end).await.expect("the server ends it");
}

/// Connects, and waits until the server has refused that.
async fn check_refused(address: [u8; 4], server: &TestServer) {
    // The reset may come before the system says that it is connected.
    if let Ok(mut stream) = connect_from(address, server).await {
        wait_for_end(&mut stream).await;
    }
}

async fn wait_for(server: &TestServer, what: impl Fn(ListenStats) -> bool) {
    let waiting = async {
        while !what(server.handle.listen_stats()) {
            tokio::task::yield_now().await;
        }
    };
    if timeout(PATIENCE, waiting).await.is_err() {
        panic!("it stays at {:?}", server.handle.listen_stats());
    }
}

async fn read_upgrade(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("the server answers");
        head.push(byte.expect("the server lets it in"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
}

/// A WebSocket that says no hello.
async fn silent_from(address: [u8; 4], server: &TestServer) -> TcpStream {
    let mut stream = connect_from(address, server).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    read_upgrade(&mut stream).await;
    stream
}

async fn say_hello(stream: &mut TcpStream) {
    let hello = Batch::hello().0;
    stream.write_all(&frame_header(0x82, hello.len() as u64)).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let welcome = timeout(PATIENCE, stream.read_u8()).await.expect("the server answers");
    assert_eq!(welcome.expect("the server welcomes it"), 0x82);
}

/// That the server answers a ping.
async fn check_alive(stream: &mut TcpStream) {
    stream.write_all(&frame_header(0x89, 0)).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(&[0x8a, 0]) {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("the server answers");
        received.push(byte.expect("its session goes on"));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_with_all_its_sessions_is_refused_and_others_come_in() {
    let options = ListenOptions { address_connections_max: 20, ..counted() };
    let server = server(options).await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(client_from([127, 0, 0, 9], &server).await);
    }
    let early = client_from([127, 0, 0, 10], &server).await;
    let refused = stream::iter(0..2_000).map(|_| check_refused([127, 0, 0, 9], &server));
    refused.buffer_unordered(100).collect::<Vec<()>>().await;
    let stats = server.handle.listen_stats();
    assert_eq!((stats.refused_for_connections, stats.connections), (2_000, 21));
    check_served(&early).await;
    let late = client_from([127, 0, 0, 11], &server).await;
    // Who was there before is not touched, and a place that is given up can be taken again.
    check_served(&sessions[0]).await;
    sessions.pop().unwrap().close().await;
    wait_for(&server, |stats| stats.connections == 21).await;
    client_from([127, 0, 0, 9], &server).await;
    check_served(&late).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_connects_too_often_is_refused_and_others_come_in() {
    let options = ListenOptions { address_connects_per_second: 1, address_connects_burst: 5, ..counted() };
    let server = server(options).await;
    let mut connected = Vec::new();
    for _ in 0..5 {
        connected.push(client_from([127, 0, 0, 9], &server).await);
    }
    let started = Instant::now();
    // A machine that is slow earns it another now and then.
    while server.handle.listen_stats().refused_for_rate < 20 {
        assert!(started.elapsed() < PATIENCE, "nothing is refused");
        connect_from([127, 0, 0, 9], &server).await.ok();
    }
    client_from([127, 0, 0, 10], &server).await;
    check_served(&connected[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loopback_is_not_limited_unless_it_is_asked_for() {
    let options = ListenOptions {
        address_connections_max: 1,
        address_connects_per_second: 1,
        address_connects_burst: 1,
        count_loopback: false,
        ..counted()
    };
    let server = server(options).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(client_from([127, 0, 0, 1], &server).await);
    }
    check_served(&clients[0]).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_without_a_hello_do_not_take_the_places_of_sessions() {
    let server = server(ListenOptions { connections_max: 4, ..counted() }).await;
    let session = client_from([127, 0, 0, 1], &server).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(silent_from([127, 0, 0, 9], &server).await);
    }
    // Half of all places are for handshakes; the newest have them.
    for stream in &mut silent[..8] {
        wait_for_end(stream).await;
    }
    wait_for(&server, |stats| stats.connections == 3).await;
    let stats = server.handle.listen_stats();
    assert_eq!((stats.handshakes, stats.evicted), (2, 8));
    let other = client_from([127, 0, 0, 10], &server).await;
    check_served(&session).await;
    check_served(&other).await;
    // With its hello it has a place of its own, which no newcomer takes.
    let mut late = silent_from([127, 0, 0, 9], &server).await;
    say_hello(&mut late).await;
    wait_for(&server, |stats| stats.handshakes < 2).await;
    let mut newer = Vec::new();
    for _ in 0..5 {
        newer.push(silent_from([127, 0, 0, 9], &server).await);
    }
    wait_for_end(&mut newer[0]).await;
    check_alive(&mut late).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_come_in_beside_a_flood_from_other_addresses() {
    let server = server(ListenOptions { handshakes_max: 20, ..counted() }).await;
    let (first_half, second_half) = REQUEST.split_at(60);
    let mut slow = Vec::new();
    for last in 0..15 {
        let mut stream = connect_from([127, 0, 1, last + 1], &server).await.unwrap();
        stream.write_all(first_half).await.unwrap();
        slow.push(stream);
    }
    let mut flood = VecDeque::new();
    for round in 0..2_000 {
        flood.push_back(connect_from([127, 0, 2, round as u8 % 3 + 1], &server).await.unwrap());
        // So the server has taken all of them but the last, each in a place.
        if flood.len() > 16 {
            wait_for_end(&mut flood.pop_front().unwrap()).await;
        }
    }
    for stream in &mut slow {
        stream.write_all(second_half).await.unwrap();
        read_upgrade(stream).await;
        say_hello(stream).await;
    }
    wait_for(&server, |stats| stats.connections - stats.handshakes == 15).await;
}

#[tokio::test(start_paused = true)]
async fn the_request_and_the_hello_have_one_span_of_time_together() {
    for sent_after in [Duration::ZERO, Duration::from_secs(5), Duration::from_millis(9_300)] {
        let server = Server::builder().service(PeopleServer::new(Village::default())).build();
        let (mut near, far) = tokio::io::duplex(64 << 10);
        let accepted = Instant::now();
        let serving = tokio::spawn(async move { server.serve_io(far, None).await });
        let (first_half, second_half) = REQUEST.split_at(60);
        near.write_all(first_half).await.unwrap();
        tokio::time::sleep(sent_after).await;
        near.write_all(second_half).await.unwrap();
        let mut received = Vec::new();
        near.read_to_end(&mut received).await.unwrap();
        assert!(matches!(serving.await.unwrap(), Ok(CloseReason::HelloTimeout)));
        let lasted = accepted.elapsed();
        assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&lasted), "{lasted:?}");
        let code = close_codes::HELLO_TIMEOUT.to_be_bytes();
        assert!(received.windows(2).any(|bytes| bytes == code), "it is told why: {received:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_starts_a_session_is_told_when_both_sides_know_each_other() {
    let ((near_opened, near_told), (far_opened, far_told)) = (oneshot::channel(), oneshot::channel());
    let config = |opened| SessionConfig { opened: Some(opened), ..SessionConfig::default() };
    let (client, _server) = memory::connect_with(config(near_opened), config(far_opened));
    assert_eq!((near_told.await, far_told.await), (Ok(()), Ok(())));
    client.close().await;
    // Nobody is at the other end.
    let (opened, told) = oneshot::channel();
    let (near, _far) = memory::pipe();
    let (_, session) = driver::start(near, Side::Server, config(opened));
    let (ended, told) = futures::join!(session, told);
    assert!(matches!(ended, CloseReason::HelloTimeout));
    assert!(told.is_err(), "there was no hello");
}
