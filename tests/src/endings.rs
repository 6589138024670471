//! How things end where somebody would wait for ever: silent peers, handlers that close their own session, futures that are
//! polled too often.

use std::{
    future::IntoFuture,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use rpc_client::{Client, tls::TlsConnector};
use rpc_core::{
    CallError, CloseReason, Context, Limits, Services, SessionHandle, Streaming,
    driver::SessionConfig,
    memory::{self, connect_with},
    rpc,
};
use rpc_server::{ServeError, Server, ServerBuilder, ServerHandle, tls::TlsAcceptor};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    attacks::stranger::{PATIENCE, Stranger},
    sockets::TestServer,
    support::{PeopleClient, PeopleServer, Village, village},
};

// ---- a server that shuts down ----

/// A server that has all the time of the world for each phase of a connection.
fn patient() -> ServerBuilder {
    let long = Duration::from_secs(600);
    let limits = Limits { hello_timeout: long, close_timeout: long, ..Limits::default() };
    Server::builder().service(PeopleServer::new(Village::default())).limits(limits)
}

async fn check_shutdown(server: TestServer) {
    server.handle.shutdown();
    timeout(PATIENCE, server.task).await.expect("nobody holds up a shutdown").unwrap().unwrap();
}

/// Connections are accepted in their order: those before this one are the server's.
async fn connect_after_all(client: Client) {
    let people: PeopleClient = client.service();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    client.close().await;
}

#[tokio::test]
async fn peers_that_say_nothing_do_not_hold_up_a_shutdown() {
    let server = TestServer::start_with(patient()).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    let upgraded = Stranger::connect_silently(&server).await;
    connect_after_all(server.client().await).await;
    check_shutdown(server).await;
    drop((silent, half, upgraded));
}

#[tokio::test]
async fn peers_that_say_nothing_over_tls_do_not_hold_up_a_shutdown() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let acceptor =
        TlsAcceptor::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap();
    let server = TestServer::start_with(patient().tls(acceptor)).await;
    let trusting = TlsConnector::with_only_roots(cert.pem().as_bytes()).unwrap();
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await.unwrap();
    let encrypted =
        trusting.connect("localhost", TcpStream::connect(server.address).await.unwrap()).await.unwrap();
    let url = format!("wss://localhost:{}", server.address.port());
    connect_after_all(Client::builder().tls(trusting).connect(&url).await.unwrap()).await;
    check_shutdown(server).await;
    drop((silent, half, encrypted));
}

#[tokio::test]
async fn a_byte_stream_that_says_nothing_ends_with_its_server() {
    let server = Arc::new(patient().build());
    let handle = server.handle();
    let (_near, far) = tokio::io::duplex(1_000);
    let mut serving = std::pin::pin!(server.serve_io(far, None));
    assert!(futures::poll!(&mut serving).is_pending());
    handle.shutdown();
    let ended = timeout(PATIENCE, serving).await.expect("it does not wait for the peer");
    assert!(matches!(ended, Err(ServeError::ShuttingDown)), "{ended:?}");
}

// ---- handlers that end what they are part of ----

/// What a client offers its server in these tests.
#[rpc]
trait Bell {
    /// Ends the session in which it is called.
    async fn hang_up(&self) -> String;
}

/// Closes the session once it is known.
#[derive(Default, Clone)]
struct HangsUp(Arc<OnceLock<SessionHandle>>);

impl Bell for HangsUp {
    async fn hang_up(&self) -> String {
        let reason = self.0.get().unwrap().close().await;
        format!("{reason:?}")
    }
}

#[derive(Default, Clone)]
struct ClientHangsUp(Arc<OnceLock<Client>>);

impl Bell for ClientHangsUp {
    async fn hang_up(&self) -> String {
        // From here on it runs on a task of its own.
        tokio::task::yield_now().await;
        let reason = self.0.get().unwrap().close().await;
        format!("{reason:?}")
    }
}

/// Rings its caller's bell.
#[rpc]
trait Desk {
    async fn ring(&self, #[rpc(context)] context: Context) -> Result<String, String>;
    /// Ends the server, and says so after a while.
    async fn shut_down(&self) -> String;
    /// Numbers, behind which the session is closed.
    async fn numbers(&self) -> Streaming<u64>;
}

#[derive(Default, Clone)]
struct Counter {
    server: Arc<OnceLock<ServerHandle>>,
    session: Arc<OnceLock<SessionHandle>>,
    closed: Arc<Mutex<Option<CloseReason>>>,
}

impl Desk for Counter {
    async fn ring(&self, context: Context) -> Result<String, String> {
        let bell: BellClient = context.peer_service();
        bell.hang_up().await.map_err(|error| error.to_string())
    }

    async fn shut_down(&self) -> String {
        self.server.get().unwrap().shutdown();
        tokio::task::yield_now().await;
        "shut".into()
    }

    async fn numbers(&self) -> Streaming<u64> {
        let this = self.clone();
        let closing = futures::stream::once(async move {
            let reason = this.session.get().unwrap().close().await;
            *this.closed.lock().unwrap() = Some(reason);
            3
        });
        Streaming::new(futures::stream::iter([1, 2]).chain(closing))
    }
}

/// The callback's answer reaches the server, and the server's the caller, before the session is over.
#[tokio::test]
async fn a_callback_may_close_its_client() {
    let server = TestServer::start_with(Server::builder().service(DeskServer::new(Counter::default()))).await;
    let bell = ClientHangsUp::default();
    let client =
        Client::builder().service(BellServer::new(bell.clone())).connect(&server.url()).await.unwrap();
    bell.0.set(client.clone()).unwrap();
    let desk: DeskClient = client.service();
    let answer = timeout(PATIENCE, desk.ring().into_future()).await.expect("it does not wait for itself");
    assert_eq!(answer.unwrap(), "Local");
    let reason = timeout(PATIENCE, client.closed()).await.expect("the session ends");
    assert!(matches!(reason, CloseReason::Local), "{reason:?}");
    assert!(matches!(desk.ring().await, Err(CallError::Disconnected { .. })));
}

/// The same on the side that was connected to, in a handler that its session polls itself.
#[tokio::test]
async fn a_handler_may_close_the_session_it_answers_in() {
    let bell = HangsUp::default();
    let services = Services::new().with(BellServer::new(bell.clone()));
    let server = SessionConfig { services, ..SessionConfig::default() };
    let (client, server) = connect_with(SessionConfig::default(), server);
    bell.0.set(server.clone()).unwrap_or_else(|_| panic!("it is set once"));
    let bell: BellClient = client.service();
    let answer = timeout(PATIENCE, bell.hang_up().into_future()).await.expect("it does not wait for itself");
    assert_eq!(answer.unwrap(), "Local");
    timeout(PATIENCE, client.closed()).await.expect("the session ends");
    timeout(PATIENCE, server.closed()).await.expect("on both sides");
}

#[tokio::test]
async fn a_producer_may_close_the_session_it_produces_in() {
    let counter = Counter::default();
    let services = Services::new().with(DeskServer::new(counter.clone()));
    let server = SessionConfig { services, ..SessionConfig::default() };
    let (client, server) = connect_with(SessionConfig::default(), server);
    counter.session.set(server.clone()).unwrap_or_else(|_| panic!("it is set once"));
    let desk: DeskClient = client.service();
    let mut numbers = desk.numbers().await.unwrap();
    let mut read = Vec::new();
    while let Some(number) = timeout(PATIENCE, numbers.next()).await.expect("the stream ends") {
        read.push(number.unwrap());
    }
    assert_eq!(read, [1, 2, 3]);
    timeout(PATIENCE, server.closed()).await.expect("the session ends");
    assert!(matches!(*counter.closed.lock().unwrap(), Some(CloseReason::Local)));
}

/// Who closes from outside waits for the end, and for handlers.
#[tokio::test]
async fn a_close_from_outside_waits_for_the_end() {
    let session = memory::connect(village());
    let people: PeopleClient = session.service();
    let sum = people.add(1, 2);
    assert!(matches!(session.close().await, CloseReason::Local));
    assert!(session.is_closed());
    assert_eq!(sum.await.unwrap(), 3);
}

#[tokio::test]
async fn a_handler_may_shut_its_server_down() {
    let counter = Counter::default();
    let server = TestServer::start_with(Server::builder().service(DeskServer::new(counter.clone()))).await;
    counter.server.set(server.handle.clone()).unwrap();
    let client = server.single_client().await;
    let desk: DeskClient = client.service();
    let answer =
        timeout(PATIENCE, desk.shut_down().into_future()).await.expect("it does not wait for itself");
    assert_eq!(answer.unwrap(), "shut");
    timeout(PATIENCE, server.task).await.expect("the server ends").unwrap().unwrap();
    client.closed().await;
}

// ---- futures that are polled too often ----

#[tokio::test]
async fn a_calls_future_that_is_polled_after_its_end_says_so() {
    let people: PeopleClient = memory::connect(village()).service();
    let mut sum = people.add(1, 2).into_future();
    assert_eq!((&mut sum).await.unwrap(), 3);
    let polled = catch_unwind(AssertUnwindSafe(|| (&mut sum).now_or_never()));
    let panic = polled.expect_err("it does not pend for ever");
    let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert_eq!(text, "a call's future was polled after it completed");
}

#[tokio::test]
async fn a_stream_that_is_read_after_its_end_is_over() {
    let mut numbers = Streaming::<u64>::from_iter([1]);
    assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    assert!(numbers.next().await.is_none());
    assert!(numbers.next().now_or_never().expect("it does not pend for ever").is_none());
}
