//! The identity of a peer: asked for in the handshake, and good until its token expires or it is revoked.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use rpc_client::{Client, ClientBuilder, ConnectError, ConnectionState, HandshakeError, Reconnect};
use rpc_core::{CallError, CloseReason, Context, Peer, Principal, close_codes, rpc};
use rpc_server::{Authenticator, Identity, Rejection, ResumeOptions, Server, ServerBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{attacks::eventually, resume::until, sockets::TestServer, support::cutter::Cutter};

const PATIENCE: Duration = Duration::from_secs(10);

#[rpc]
trait Whoami {
    /// The caller's name, and the path and query that it connected with.
    async fn name(&self, #[rpc(context)] cx: Context) -> (Option<String>, String);
    /// Completes when the gate is open.
    async fn wait(&self) -> u64;
    async fn counter(&self) -> CounterClient;
}

#[rpc]
trait Counter {
    async fn next(&self) -> u64;
}

#[derive(Clone, Default)]
struct Whoami_ {
    waiting: Arc<AtomicUsize>,
    gate: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct Counter_(Mutex<u64>);

impl Whoami for Whoami_ {
    async fn name(&self, cx: Context) -> (Option<String>, String) {
        (cx.principal().name().map(str::to_owned), cx.peer().target.clone())
    }

    async fn wait(&self) -> u64 {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        7
    }

    async fn counter(&self) -> CounterClient {
        CounterClient::local(Counter_::default())
    }
}

impl Counter for Counter_ {
    async fn next(&self) -> u64 {
        let mut count = self.0.lock().unwrap();
        *count += 1;
        *count
    }
}

/// Tokens are `name`, or `name:milliseconds` for one that expires.
#[derive(Clone)]
struct Tokens {
    asked: Arc<Mutex<Vec<String>>>,
    /// A permit for each answer.
    answers: Arc<Semaphore>,
}

impl Tokens {
    fn new() -> Self {
        Self { asked: Arc::default(), answers: Arc::new(Semaphore::new(1_000)) }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Authenticator for Tokens {
    async fn authenticate(&self, peer: &Peer) -> Result<Identity, Rejection> {
        let token = peer.token().ok_or_else(|| Rejection::new(401, "a token is needed"))?.to_owned();
        self.asked.lock().unwrap().push(token.clone());
        self.answers.acquire().await.unwrap().forget();
        let (name, ms) = token.split_once(':').unwrap_or((&token, ""));
        if name == "nobody" {
            return Err(Rejection::new(403, "nobody may come in"));
        }
        let identity = Identity::from(Principal::named(name));
        Ok(match ms.parse() {
            Ok(ms) => identity.until(SystemTime::now() + Duration::from_millis(ms)),
            Err(_) => identity,
        })
    }
}

fn offering(whoami: &Whoami_, tokens: &Tokens) -> ServerBuilder {
    let often = ResumeOptions { attaches_per_minute: u32::MAX, ..ResumeOptions::default() };
    Server::builder()
        .service(WhoamiServer::new(whoami.clone()))
        .authenticator(tokens.clone())
        .token_grace(Duration::ZERO)
        .resume(often)
}

fn client() -> ClientBuilder {
    let delay = Duration::from_millis(2);
    Client::builder().reconnect(Reconnect { delay, delay_max: delay, ..Reconnect::default() })
}

/// A client whose tokens are these, one after the other, and then the last one again.
fn client_with(tokens: &[&str]) -> ClientBuilder {
    let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
    let asked = AtomicUsize::new(0);
    client().bearer_with(move || {
        let place = asked.fetch_add(1, Ordering::SeqCst).min(tokens.len() - 1);
        let token = tokens[place].clone();
        async move { Ok::<_, std::io::Error>(token) }
    })
}

fn refused(result: Result<Client, ConnectError>) -> (u16, String) {
    match result {
        Err(ConnectError::Handshake(HandshakeError::Refused { status, text, .. })) => (status, text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_peer_waits_for_its_authenticator_and_others_do_not_wait_for_it() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let ann = client_with(&["ann"]).connect(&server.url()).await.unwrap();
    tokens.answers.forget_permits(1_000);
    let url = server.url();
    let bob = tokio::spawn(async move { client_with(&["bob"]).connect(&url).await });
    eventually("bob is asked for", || tokens.asked() == ["ann", "bob"]).await;
    let stub: WhoamiClient = ann.service();
    assert_eq!(stub.name().await.unwrap().0.as_deref(), Some("ann"), "she is served meanwhile");
    assert!(!bob.is_finished());
    tokens.answers.add_permits(1);
    let bob: WhoamiClient = timeout(PATIENCE, bob).await.unwrap().unwrap().unwrap().service();
    assert_eq!(bob.name().await.unwrap().0.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_refusal_is_an_http_status_with_a_sentence() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let none = client().connect(&server.url()).await;
    assert_eq!(refused(none), (401, "a token is needed".into()));
    assert_eq!(
        refused(client_with(&["nobody"]).connect(&server.url()).await),
        (403, "nobody may come in".into())
    );
    let expired = client_with(&["ann:0"]).connect(&server.url()).await;
    assert_eq!(refused(expired), (401, "the token has expired".into()));
    eventually("their connections are closed", || server.handle.listen_stats().connections == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_authenticator_that_never_answers_ends_with_the_handshake() {
    let tokens = Tokens::new();
    tokens.answers.forget_permits(1_000);
    let server = offering(&Whoami_::default(), &tokens).build();
    let (near, far) = tokio::io::duplex(1 << 16);
    let served = tokio::spawn(async move { server.serve_io(far, None).await });
    let connected =
        Client::builder().header("authorization", "Bearer ann").connect_io(near, "localhost", "/").await;
    assert!(connected.is_err());
    let error = served.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("took longer") || format!("{error:?}").contains("Timeout"),
        "{error:?}"
    );
}

/// The status line that a server answers to a request with these headers.
async fn status_of(server: &TestServer, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
        server.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1 << 10];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn a_browser_puts_its_token_beside_the_subprotocol() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let answer = status_of(&server, "/", "Sec-WebSocket-Protocol: rpc.v1, bearer.ann\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 101") && answer.contains("sec-websocket-protocol: rpc.v1\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("ann"), "the token is not echoed");
    assert_eq!(tokens.asked(), ["ann"]);
}

#[tokio::test]
async fn a_token_in_the_query_counts_where_that_is_wanted_and_is_seen_by_nobody_else() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let url = format!("{}/rpc?token=ann&room=7", server.url());
    assert_eq!(refused(client().connect(&url).await).0, 401, "it is off by default");

    let server = TestServer::start_with(offering(&whoami, &tokens).token_in_query("token")).await;
    let url = format!("{}/rpc?token=ann&room=7", server.url());
    let stub: WhoamiClient = client().connect(&url).await.unwrap().service();
    assert_eq!(stub.name().await.unwrap(), (Some("ann".into()), "/rpc?room=7".into()));
}

#[tokio::test]
async fn a_session_outlives_its_token_on_a_connection_with_the_next_one() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let client = client_with(&["ann:300", "ann"]).connect(&server.url()).await.unwrap();
    let mut states = pin!(client.states());
    let stub: WhoamiClient = client.service();
    let counter = stub.counter().await.unwrap();
    assert_eq!(counter.next().await.unwrap(), 1);
    let waiting = tokio::spawn(stub.wait().into_future());
    let seen = async {
        let mut seen = Vec::new();
        while let Some(state) = states.next().await {
            match state {
                ConnectionState::Detached { reason, .. } => seen.push(reason),
                ConnectionState::Resumed => return seen,
                _ => {}
            }
        }
        seen
    };
    let seen = timeout(PATIENCE, seen).await.unwrap();
    assert!(matches!(&seen[..], [CloseReason::Peer { code: close_codes::TOKEN_EXPIRED, .. }]), "{seen:?}");
    whoami.gate.send_replace(true);
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap(), 7);
    assert_eq!(counter.next().await.unwrap(), 2, "it is the same object");
    assert_eq!((whoami.waiting.load(Ordering::SeqCst), tokens.asked().len()), (1, 2));
}

#[tokio::test]
async fn a_client_without_a_fresh_token_gives_up_with_the_servers_words() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let client = client_with(&["ann:200", "ann:0"]).connect(&server.url()).await.unwrap();
    let reason = timeout(PATIENCE, client.closed()).await.unwrap();
    let CloseReason::GaveUp { cause } = &reason else { panic!("{reason:?}") };
    assert!(cause.to_string().contains("the token has expired"), "{cause}");
}

#[tokio::test]
async fn a_token_of_somebody_else_continues_no_session() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let client = client_with(&["ann:200", "bob"]).connect(&server.url()).await.unwrap();
    let stub: WhoamiClient = client.service();
    let waiting = tokio::spawn(stub.wait().into_future());
    let lost = until(&client, |state| matches!(state, ConnectionState::Lost { .. })).await;
    let ConnectionState::Lost { reason: CloseReason::Peer { code, .. } } = lost else { panic!("{lost:?}") };
    assert_eq!(code, close_codes::UNKNOWN_SESSION);
    let outcome = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(CallError::Disconnected { .. })), "{outcome:?}");
    assert_eq!(stub.name().await.unwrap().0.as_deref(), Some("bob"), "a session of its own");
}

#[tokio::test]
async fn revoking_ends_all_sessions_of_a_principal_and_no_other() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let cutter = Cutter::start(server.address).await;
    let living = client_with(&["ann"]).connect(&server.url()).await.unwrap();
    let away = client_with(&["ann"]).connect(&cutter.url()).await.unwrap();
    let bob = client_with(&["bob"]).connect(&server.url()).await.unwrap();
    let calls: Vec<_> = [&living, &away, &bob]
        .map(|client| tokio::spawn(client.service::<WhoamiClient>().wait().into_future()))
        .into_iter()
        .collect();
    eventually("all wait", || whoami.waiting.load(Ordering::SeqCst) == 3).await;
    // Without a socket, and it does not come back before the end.
    cutter.set_down(true);
    cutter.cut();
    until(&away, |state| matches!(state, ConnectionState::Detached { .. })).await;
    eventually("the server has seen it", || server.handle.listen_stats().connections == 2).await;

    server.handle.revoke(Principal::named("ann"));
    let reason = timeout(PATIENCE, living.closed()).await.unwrap();
    assert!(matches!(&reason, CloseReason::Peer { code: close_codes::REVOKED, .. }), "{reason:?}");
    cutter.set_down(false);
    away.reconnect_now();
    let lost = until(&away, |state| matches!(state, ConnectionState::Lost { .. })).await;
    let ConnectionState::Lost { reason: CloseReason::Peer { code, .. } } = lost else { panic!("{lost:?}") };
    assert_eq!(code, close_codes::UNKNOWN_SESSION, "it ended while it waited");

    whoami.gate.send_replace(true);
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(timeout(PATIENCE, call).await.unwrap().unwrap());
    }
    assert!(matches!(&outcomes[..], [Err(_), Err(_), Ok(7)]), "{outcomes:?}");
    // Later ones are the authenticator's to refuse.
    let again: WhoamiClient = client_with(&["ann"]).connect(&server.url()).await.unwrap().service();
    assert_eq!(again.name().await.unwrap().0.as_deref(), Some("ann"));
}

#[tokio::test]
async fn revoking_ends_a_session_that_is_closing() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let client = Client::builder().header("authorization", "Bearer ann").without_reconnect();
    let client = client.connect(&server.url()).await.unwrap();
    let stub: WhoamiClient = client.service();
    let waiting = tokio::spawn(stub.wait().into_future());
    eventually("it waits", || whoami.waiting.load(Ordering::SeqCst) == 1).await;
    // Its last call would run on for as long as the close timeout.
    server.handle.shutdown();
    let closing = async {
        while stub.name().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closing).await.expect("it takes no new calls");
    server.handle.revoke(Principal::named("ann"));
    let outcome = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    let Err(CallError::Disconnected { reason, .. }) = &outcome else { panic!("{outcome:?}") };
    assert!(matches!(reason, CloseReason::Peer { code: close_codes::REVOKED, .. }), "{reason:?}");
}

#[tokio::test]
async fn who_is_revoked_while_it_is_authenticated_does_not_stay() {
    let (whoami, tokens) = (Whoami_::default(), Tokens::new());
    tokens.answers.forget_permits(1_000);
    let server = TestServer::start_with(offering(&whoami, &tokens)).await;
    let url = server.url();
    let connecting = tokio::spawn(async move { client_with(&["ann"]).connect(&url).await });
    eventually("she is asked for", || tokens.asked() == ["ann"]).await;
    server.handle.revoke(Principal::named("ann"));
    tokens.answers.add_permits(1);
    let client = timeout(PATIENCE, connecting).await.unwrap().unwrap();
    let reason = match client {
        Ok(client) => timeout(PATIENCE, client.closed()).await.unwrap(),
        Err(error) => panic!("{error:?}"),
    };
    assert!(matches!(&reason, CloseReason::Peer { code: close_codes::REVOKED, .. }), "{reason:?}");
}
