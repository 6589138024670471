//! Sessions that outlive their sockets: nothing is lost, duplicated or reordered, and what cannot go on says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt, future::join_all};
use rpc_client::{Client, ConnectionState, Reconnect, WaitingCalls};
use rpc_core::{
    CallError, CloseReason, Context, Delivery, Never, Retry, ServiceClient, Streaming, close_codes, rpc,
};
use rpc_server::{ResumeOptions, Server, ServerBuilder};
use tokio::{sync::watch, time::timeout};

use crate::{attacks::eventually, sockets::TestServer, support::cutter::Cutter};

const PATIENCE: Duration = Duration::from_secs(10);

#[rpc]
pub(crate) trait Works {
    /// Doubles a number.
    async fn double(&self, number: u64) -> u64;
    /// Doubles a number when the gate is open.
    async fn later(&self, number: u64) -> u64;
    /// Doubles a number when the gate is open; may be called twice.
    #[rpc(idempotent)]
    async fn look_later(&self, number: u64) -> u64;
    async fn upto(&self, end: u64) -> Streaming<u64>;
    async fn sum(&self, numbers: Streaming<u64>) -> Vec<u64>;
    async fn counter(&self) -> CounterClient;
    /// Tells a listener all numbers, one after the other.
    async fn tell(&self, listener: ListenerClient, end: u64) -> u64;
}

#[rpc]
pub(crate) trait Counter {
    async fn next(&self) -> u64;
}

#[rpc]
pub(crate) trait Listener {
    async fn hear(&self, number: u64) -> u64;
}

#[derive(Clone, Default)]
pub(crate) struct Works_ {
    gate: Arc<watch::Sender<bool>>,
    /// How often a number was asked for.
    runs: Arc<Mutex<BTreeMap<u64, usize>>>,
    /// Counts the handlers that look.
    running: Arc<()>,
    /// The numbers that were looked for to the end.
    done: Arc<Mutex<BTreeSet<u64>>>,
}

impl Works_ {
    fn note(&self, number: u64) {
        *self.runs.lock().unwrap().entry(number).or_default() += 1;
    }

    pub(crate) fn runs_of(&self, number: u64) -> usize {
        self.runs.lock().unwrap().get(&number).copied().unwrap_or_default()
    }

    fn running(&self) -> usize {
        Arc::strong_count(&self.running) - 2
    }

    fn is_done(&self, number: u64) -> bool {
        self.done.lock().unwrap().contains(&number)
    }

    async fn gate(&self) {
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
    }

    pub(crate) fn open(&self) {
        self.gate.send_replace(true);
    }
}

impl Works for Works_ {
    async fn double(&self, number: u64) -> u64 {
        self.note(number);
        number * 2
    }

    async fn later(&self, number: u64) -> u64 {
        self.note(number);
        self.gate().await;
        number * 2
    }

    async fn look_later(&self, number: u64) -> u64 {
        self.note(number);
        let running = Arc::clone(&self.running);
        self.gate().await;
        self.done.lock().unwrap().insert(number);
        drop(running);
        number * 2
    }

    async fn upto(&self, end: u64) -> Streaming<u64> {
        Streaming::from_iter(0..end)
    }

    async fn sum(&self, numbers: Streaming<u64>) -> Vec<u64> {
        numbers.map(Result::unwrap).collect().await
    }

    async fn counter(&self) -> CounterClient {
        CounterClient::local(Counter_::default())
    }

    async fn tell(&self, listener: ListenerClient, end: u64) -> u64 {
        let mut sum = 0;
        for number in 0..end {
            sum += listener.hear(number).await.unwrap();
        }
        sum
    }
}

#[derive(Default)]
struct Counter_(Mutex<u64>);

impl Counter for Counter_ {
    async fn next(&self) -> u64 {
        let mut count = self.0.lock().unwrap();
        *count += 1;
        *count
    }
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<u64>>>);

impl Listener for Ear {
    async fn hear(&self, number: u64) -> u64 {
        self.0.lock().unwrap().push(number);
        number
    }
}

pub(crate) fn offering(works: &Works_) -> ServerBuilder {
    let often = ResumeOptions { attaches_per_minute: u32::MAX, ..ResumeOptions::default() };
    Server::builder().service(WorksServer::new(works.clone())).resume(often)
}

/// A client that loses no time before it connects again.
pub(crate) async fn connect(url: &str) -> Client {
    let delay = Duration::from_millis(2);
    let policy = Reconnect { delay, delay_max: delay, ..Reconnect::default() };
    Client::builder().reconnect(policy).connect(url).await.unwrap()
}

/// Waits for a state.
pub(crate) async fn until(client: &Client, is_it: impl Fn(&ConnectionState) -> bool) -> ConnectionState {
    let mut states = pin!(client.states());
    let found = async {
        loop {
            let state = states.next().await.expect("the client lives");
            if is_it(&state) {
                return state;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("it comes to that state")
}

/// Waits until a session was lost and the next one has a socket. `states` was asked for before.
pub(crate) async fn until_next_session(states: impl Stream<Item = ConnectionState>) {
    let mut states = pin!(states);
    let settled = async {
        let mut is_lost = false;
        while let Some(state) = states.next().await {
            is_lost |= matches!(state, ConnectionState::Lost { .. });
            if is_lost && matches!(state, ConnectionState::Attached) {
                return;
            }
        }
    };
    timeout(PATIENCE, settled).await.expect("the next session has a socket");
}

pub(crate) async fn until_resumed(client: &Client) {
    until(client, |state| matches!(state, ConnectionState::Resumed)).await;
}

#[tokio::test]
async fn a_call_in_flight_goes_on_when_its_socket_is_cut() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let mut states = pin!(client.states());
    let call = tokio::spawn(stub.later(21).into_future());
    while works.runs_of(21) == 0 {
        tokio::task::yield_now().await;
    }
    cutter.cut();
    until_resumed(&client).await;
    works.open();
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap(), 42);
    assert_eq!(works.runs_of(21), 1, "the handler ran once");
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(ConnectionState::Resumed)) {
        seen.push(states.next().await.unwrap());
    }
    let is_cut = matches!(
        &seen[..],
        [
            ConnectionState::Connecting | ConnectionState::Attached,
            ..,
            ConnectionState::Detached { reason: CloseReason::Socket(_), .. },
            ConnectionState::Resumed,
        ]
    );
    assert!(is_cut, "{seen:?}");
    assert!(client.round_trip().is_some());
}

#[tokio::test]
async fn a_result_that_was_lost_on_the_way_arrives() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    // A session can go on once the server knows it.
    assert_eq!(stub.double(1).await.unwrap(), 2);
    // The connections are cut at each byte of a call and its result.
    for bytes in 0..120 {
        cutter.cut_after(bytes);
        let number = 1_000 + bytes;
        assert_eq!(timeout(PATIENCE, stub.double(number)).await.unwrap().unwrap(), number * 2, "{bytes}");
        assert_eq!(works.runs_of(number), 1, "{bytes}");
    }
    assert!(cutter.cuts() > 10, "{}", cutter.cuts());
}

#[tokio::test]
async fn streams_objects_and_callbacks_go_on() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let counter = stub.counter().await.unwrap();
    let ear = Ear::default();
    let mut down = stub.upto(20_000).await.unwrap();
    let up = tokio::spawn(stub.sum(Streaming::from_iter(0..20_000)).into_future());
    let told = tokio::spawn(stub.tell(ListenerClient::local(ear.clone()), 200).into_future());
    let mut expected = 0;
    while let Some(number) = timeout(PATIENCE, down.next()).await.unwrap() {
        assert_eq!(number.unwrap(), expected);
        expected += 1;
        if expected % 1_000 == 500 {
            cutter.cut();
            assert_eq!(timeout(PATIENCE, counter.next()).await.unwrap().unwrap(), expected / 1_000 + 1);
        }
    }
    assert_eq!(expected, 20_000);
    assert_eq!(up.await.unwrap().unwrap(), (0..20_000).collect::<Vec<_>>());
    assert_eq!(told.await.unwrap().unwrap(), (0..200).sum::<u64>());
    assert_eq!(*ear.0.lock().unwrap(), (0..200).collect::<Vec<_>>());
    assert!(cutter.connections() > 10, "{}", cutter.connections());
}

/// Cuts at random moments, while calls, chains, streams and callbacks go on: each call has one result, each handler ran once, each
/// item arrives once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_lose_duplicate_and_reorder_nothing() {
    const CUTS: u64 = 1_000;
    let works = Works_::default();
    works.open();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Arc::new(Cutter::start(server.address).await);
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let is_over = |cutter: &Cutter| cutter.cuts() >= CUTS;
    let calls = {
        let (stub, cutter) = (stub.clone(), Arc::clone(&cutter));
        tokio::spawn(async move {
            let mut number = 1_u64;
            while !is_over(&cutter) {
                let batch: Vec<_> =
                    (0..8).map(|at| (number + at, stub.double(stub.later(number + at)))).collect();
                number += 8;
                for (number, chain) in batch {
                    assert_eq!(chain.await.unwrap(), number * 4);
                }
            }
            number
        })
    };
    let items = {
        let (stub, cutter) = (stub.clone(), Arc::clone(&cutter));
        tokio::spawn(async move {
            let mut items = 0;
            while !is_over(&cutter) {
                let stream = stub.upto(500).await.unwrap();
                let numbers: Vec<u64> = stream.map(Result::unwrap).collect().await;
                assert_eq!(numbers, (0..500).collect::<Vec<_>>());
                assert_eq!(stub.sum(Streaming::from_iter(0..500)).await.unwrap(), numbers);
                items += 1_000;
            }
            items
        })
    };
    let callbacks = {
        let (stub, cutter) = (stub.clone(), Arc::clone(&cutter));
        tokio::spawn(async move {
            let mut heard = 0;
            while !is_over(&cutter) {
                let ear = Ear::default();
                stub.tell(ListenerClient::local(ear.clone()), 20).await.unwrap();
                assert_eq!(*ear.0.lock().unwrap(), (0..20).collect::<Vec<_>>());
                heard += 20;
            }
            heard
        })
    };
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    while !is_over(&cutter) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (before, bytes) = (cutter.cuts(), random % 6_000);
        cutter.cut_after(bytes);
        let cut = async {
            while cutter.cuts() == before {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, cut).await.expect("bytes go on flowing");
    }
    let (calls, items, callbacks) = (calls.await.unwrap(), items.await.unwrap(), callbacks.await.unwrap());
    // `later` notes its number and `double` notes twice the number: an even number is noted by both.
    let runs = works.runs.lock().unwrap().clone();
    for number in 1..calls {
        let by_double = usize::from(number % 2 == 0);
        assert_eq!(runs.get(&number).copied().unwrap_or_default(), 1 + by_double, "{number}");
    }
    let shown =
        format!("{} cuts, {} calls, {items} items, {callbacks} callbacks", cutter.cuts(), 2 * (calls - 1));
    assert!(calls > 100 && items > 1_000 && callbacks > 100, "{shown}");
    client.close().await;
}

#[tokio::test]
async fn a_restarted_server_gets_what_was_not_sent_and_what_may_be_sent_twice() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let counter = stub.counter().await.unwrap();
    let mut endless = stub.upto(u64::MAX).await.unwrap();
    endless.next().await.unwrap().unwrap();
    let once = tokio::spawn(stub.later(1).into_future());
    let twice = tokio::spawn(stub.look_later(2).into_future());
    while works.runs_of(1) == 0 || works.runs_of(2) == 0 {
        tokio::task::yield_now().await;
    }
    // Another server, which knows nothing of the session, at the same address.
    let restarted = Works_::default();
    let other = TestServer::start_with(offering(&restarted)).await;
    cutter.set_down(true);
    cutter.cut();
    until(&client, |state| matches!(state, ConnectionState::Detached { .. })).await;
    let unsent = tokio::spawn(stub.double(stub.double(3)).into_future());
    tokio::task::yield_now().await;
    cutter.lead_to(other.address);
    cutter.set_down(false);
    client.reconnect_now();
    let lost = until(&client, |state| matches!(state, ConnectionState::Lost { .. })).await;
    assert!(
        matches!(
            &lost,
            ConnectionState::Lost { reason: CloseReason::Peer { code: close_codes::UNKNOWN_SESSION, .. } }
        ),
        "{lost:?}"
    );
    let once = timeout(PATIENCE, once).await.unwrap().unwrap();
    let Err(CallError::Disconnected { delivery, .. }) = once else { panic!("{once:?}") };
    assert!(matches!(delivery, Delivery::Accepted | Delivery::Unacknowledged), "{delivery:?}");
    assert_eq!(timeout(PATIENCE, unsent).await.unwrap().unwrap().unwrap(), 12);
    assert_eq!((restarted.runs_of(3), restarted.runs_of(6)), (1, 1));
    restarted.open();
    assert_eq!(timeout(PATIENCE, twice).await.unwrap().unwrap().unwrap(), 4);
    assert_eq!((restarted.runs_of(2), restarted.runs_of(1)), (1, 0));
    // The stub goes on in the new session; what belonged to the old one is dead, and says so.
    assert_eq!(stub.double(5).await.unwrap(), 10);
    let dead = timeout(PATIENCE, counter.next()).await.unwrap();
    assert!(matches!(&dead, Err(CallError::Disconnected { delivery: Delivery::NotSent, .. })), "{dead:?}");
    assert!(timeout(PATIENCE, endless.count()).await.is_ok(), "the stream ends");
    let fresh = stub.counter().await.unwrap();
    assert_eq!(fresh.next().await.unwrap(), 1, "it is no object of before");
    client.close().await;
}

/// A client whose session is lost as soon as its socket is.
async fn connect_forgetful(url: &str) -> Client {
    let delay = Duration::from_millis(2);
    let policy = Reconnect { delay, delay_max: delay, window: Duration::ZERO, ..Reconnect::default() };
    Client::builder().reconnect(policy).connect(url).await.unwrap()
}

#[tokio::test]
async fn a_call_that_is_made_again_gets_the_result_that_its_lost_session_left() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect_forgetful(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let call = tokio::spawn(stub.look_later(21).into_future());
    eventually("it runs", || works.runs_of(21) == 1).await;
    cutter.set_down(true);
    cutter.cut();
    until(&client, |state| matches!(state, ConnectionState::Lost { .. })).await;
    works.open();
    eventually("it has run", || works.is_done(21)).await;
    cutter.set_down(false);
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap(), 42);
    assert_eq!(works.runs_of(21), 1, "the server had the result of the first attempt");
}

#[tokio::test]
async fn a_call_that_is_made_again_stops_the_first_attempt() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect_forgetful(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let call = tokio::spawn(stub.look_later(21).into_future());
    for attempt in 1..=3 {
        eventually("it runs", || works.runs_of(21) == attempt && works.running() == 1).await;
        cutter.cut();
    }
    eventually("it runs", || works.runs_of(21) == 4 && works.running() == 1).await;
    works.open();
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap(), 42);
}

#[tokio::test]
async fn a_call_is_made_in_as_many_sessions_as_its_policy_says() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect_forgetful(&cutter.url()).await;
    let once = client.service::<WorksClient>().retry(Retry::none());
    let twice = client.service::<WorksClient>().retry(Retry { attempts: 2, ..Retry::default() });
    let (once, twice) =
        (tokio::spawn(once.look_later(1).into_future()), tokio::spawn(twice.look_later(2).into_future()));
    eventually("both run", || works.runs_of(1) == 1 && works.runs_of(2) == 1).await;
    cutter.cut();
    let lost = |outcome: &Result<u64, CallError<Never>>| matches!(outcome, Err(CallError::Disconnected { delivery, .. }) if *delivery != Delivery::NotSent);
    assert!(lost(&timeout(PATIENCE, once).await.unwrap().unwrap()));
    eventually("it runs again", || works.runs_of(2) == 2).await;
    cutter.cut();
    assert!(lost(&timeout(PATIENCE, twice).await.unwrap().unwrap()));
    assert_eq!((works.runs_of(1), works.runs_of(2)), (1, 2));
}

#[tokio::test]
async fn a_server_that_shuts_down_hands_its_clients_on_without_a_failed_call() {
    let (first, second) = (Works_::default(), Works_::default());
    let (one, other) =
        (TestServer::start_with(offering(&first)).await, TestServer::start_with(offering(&second)).await);
    let policy = Reconnect { delay: Duration::from_millis(2), ..Reconnect::default() };
    let client = Client::builder().reconnect(policy).fallback(other.url()).connect(&one.url()).await.unwrap();
    let stub: WorksClient = client.service();
    let long = tokio::spawn(stub.later(1).into_future());
    while first.runs_of(1) == 0 {
        tokio::task::yield_now().await;
    }
    let calling = {
        let stub = stub.clone();
        tokio::spawn(async move {
            for number in 100..600 {
                assert_eq!(stub.double(number).await.unwrap(), number * 2);
            }
        })
    };
    while first.runs_of(200) == 0 {
        tokio::task::yield_now().await;
    }
    one.handle.shutdown();
    timeout(PATIENCE, calling).await.unwrap().unwrap();
    assert!(second.runs_of(599) == 1 && first.runs_of(599) == 0, "the calls go to the other server");
    // What was running on the first server ends there.
    first.open();
    assert_eq!(timeout(PATIENCE, long).await.unwrap().unwrap().unwrap(), 2);
    timeout(PATIENCE, one.task).await.unwrap().unwrap().unwrap();
    for number in 100..600 {
        assert_eq!(first.runs_of(number) + second.runs_of(number), 1, "{number}");
    }
    client.close().await;
}

#[tokio::test]
async fn sessions_are_retired_without_a_failed_call() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works).session_age(Duration::from_millis(30))).await;
    let cutter = Cutter::start(server.address).await;
    // A session that is retired is no failure: the next one is begun at once, and not after these delays.
    let delay = PATIENCE * 100;
    let policy = Reconnect { delay, delay_max: delay, ..Reconnect::default() };
    let client = Client::builder().reconnect(policy).connect(&cutter.url()).await.unwrap();
    let stub: WorksClient = client.service();
    let mut number = 0;
    // Each session has a connection of its own.
    while cutter.connections() < 5 {
        number += 1;
        assert_eq!(timeout(PATIENCE, stub.double(number)).await.unwrap().unwrap(), number * 2);
    }
    for number in 1..=number {
        assert_eq!(works.runs_of(number), 1, "{number}");
    }
    client.close().await;
}

#[tokio::test]
async fn calls_wait_for_a_socket_within_their_bounds() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let waiting = WaitingCalls { calls_max: 3, ..WaitingCalls::default() };
    let policy = Reconnect { delay: Duration::from_millis(2), waiting, ..Reconnect::default() };
    let client = Client::builder().reconnect(policy).connect(&cutter.url()).await.unwrap();
    let stub: WorksClient = client.service();
    client.pause_reconnecting(true);
    cutter.cut();
    until(&client, |state| matches!(state, ConnectionState::Detached { .. })).await;
    let calls: Vec<_> = (0..5).map(|number| stub.double(number)).collect();
    let calls = tokio::spawn(join_all(calls.into_iter().map(IntoFuture::into_future)));
    let refused = timeout(PATIENCE, stub.double(9)).await.unwrap();
    assert!(
        matches!(refused, Err(CallError::Disconnected { delivery: Delivery::NotSent, .. })),
        "{refused:?}"
    );
    client.pause_reconnecting(false);
    let results = timeout(PATIENCE, calls).await.unwrap().unwrap();
    let values: Vec<_> = results.into_iter().map(Result::ok).collect();
    assert_eq!(values, [Some(0), Some(2), Some(4), None, None]);
}

#[tokio::test]
async fn calls_wait_for_a_socket_only_for_so_long() {
    let waiting = WaitingCalls { time: Duration::from_millis(50), ..WaitingCalls::default() };
    let policy = Reconnect { waiting, ..Reconnect::default() };
    let client = Client::builder().reconnect(policy).connect_lazily("ws://127.0.0.1:1").unwrap();
    let stub: WorksClient = client.service();
    for number in 0..3 {
        let refused = timeout(PATIENCE, stub.double(number)).await.expect("the call waits no longer");
        assert!(
            matches!(refused, Err(CallError::Disconnected { delivery: Delivery::NotSent, .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_client_without_patience_fails_at_once() {
    let server = TestServer::start_with(offering(&Works_::default())).await;
    let cutter = Cutter::start(server.address).await;
    let policy = Reconnect { waiting: WaitingCalls::none(), ..Reconnect::default() };
    let client = Client::builder().reconnect(policy).connect(&cutter.url()).await.unwrap();
    let stub: WorksClient = client.service();
    client.pause_reconnecting(true);
    cutter.cut();
    until(&client, |state| matches!(state, ConnectionState::Detached { .. })).await;
    let refused = timeout(PATIENCE, stub.double(9)).await.unwrap();
    assert!(
        matches!(refused, Err(CallError::Disconnected { delivery: Delivery::NotSent, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_client_may_be_made_before_its_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let policy = Reconnect {
        delay: Duration::from_millis(2),
        delay_max: Duration::from_millis(20),
        ..Reconnect::default()
    };
    let client = Client::builder().reconnect(policy).connect_lazily(&format!("ws://{address}")).unwrap();
    let stub: WorksClient = client.service();
    let call = tokio::spawn(stub.double(4).into_future());
    let works = Works_::default();
    let server = offering(&works).bind(address).await.unwrap();
    tokio::spawn(server.serve());
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap(), 8);
}

#[tokio::test]
async fn a_client_gives_up_after_its_attempts() {
    let policy = Reconnect { delay: Duration::from_millis(1), attempts_max: 3, ..Reconnect::default() };
    let client = Client::builder().reconnect(policy).connect_lazily("ws://127.0.0.1:1").unwrap();
    let stub: WorksClient = client.service();
    let failed = timeout(PATIENCE, stub.double(4)).await.unwrap();
    assert!(
        matches!(
            &failed,
            Err(CallError::Disconnected {
                delivery: Delivery::NotSent,
                reason: CloseReason::GaveUp { .. },
                ..
            })
        ),
        "{failed:?}"
    );
    assert!(matches!(client.closed().await, CloseReason::GaveUp { .. }));
    let states: Vec<_> = timeout(PATIENCE, client.states().collect()).await.expect("the states end");
    assert!(matches!(states[..], [ConnectionState::Closed { .. }]), "{states:?}");
}

#[tokio::test]
async fn an_unused_client_closes_and_the_next_call_opens_it_again() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let cutter = Cutter::start(server.address).await;
    let limits = rpc_core::Limits { idle_timeout: Duration::from_millis(20), ..rpc_core::Limits::default() };
    let client = Client::builder().limits(limits).connect_lazily(&cutter.url()).unwrap();
    let stub: WorksClient = client.service();
    assert!(matches!(client.state(), ConnectionState::Idle | ConnectionState::Connecting));
    assert_eq!(cutter.connections(), 0, "nothing needs a connection");
    assert_eq!(timeout(PATIENCE, stub.double(4)).await.unwrap().unwrap(), 8);
    assert_eq!(cutter.connections(), 1);
    until(&client, |state| matches!(state, ConnectionState::Idle)).await;
    assert_eq!(timeout(PATIENCE, stub.double(6)).await.unwrap().unwrap(), 12);
    assert_eq!(cutter.connections(), 2);
}

#[tokio::test]
async fn each_attempt_asks_for_its_headers() {
    let works = Works_::default();
    let tokens: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&tokens);
    let builder = offering(&works).authenticate(move |peer| {
        seen.lock().unwrap().push(peer.header("authorization").unwrap_or_default().to_owned());
        Ok(rpc_server::Principal::named("ann"))
    });
    let server = TestServer::start_with(builder).await;
    let cutter = Cutter::start(server.address).await;
    let asked = Arc::new(Mutex::new(0));
    let client = Client::builder()
        .headers_with(move || {
            let asked = Arc::clone(&asked);
            async move {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                Ok::<_, std::io::Error>(vec![("authorization".into(), format!("token {asked}"))])
            }
        })
        .connect(&cutter.url())
        .await
        .unwrap();
    let stub: WorksClient = client.service();
    assert_eq!(stub.double(1).await.unwrap(), 2);
    cutter.cut();
    until_resumed(&client).await;
    assert_eq!(*tokens.lock().unwrap(), ["token 1", "token 2"]);
}

#[tokio::test]
async fn a_session_is_its_principals_alone() {
    let works = Works_::default();
    let names = Arc::new(Mutex::new(vec!["eve", "ann"]));
    let builder = offering(&works).authenticate(move |_| {
        Ok(rpc_server::Principal::named(names.lock().unwrap().pop().unwrap_or("ann")))
    });
    let server = TestServer::start_with(builder).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    assert_eq!(stub.double(1).await.unwrap(), 2);
    let victim = tokio::spawn(stub.later(7).into_future());
    while works.runs_of(7) == 0 {
        tokio::task::yield_now().await;
    }
    // The next connection authenticates as somebody else, with the same secret.
    cutter.cut();
    let lost = until(&client, |state| matches!(state, ConnectionState::Lost { .. })).await;
    assert!(
        matches!(
            &lost,
            ConnectionState::Lost { reason: CloseReason::Peer { code: close_codes::UNKNOWN_SESSION, .. } }
        ),
        "{lost:?}"
    );
    assert!(timeout(PATIENCE, victim).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn a_handler_learns_nothing_of_a_cut() {
    #[rpc]
    trait Watched {
        async fn run(&self, #[rpc(context)] cx: Context) -> bool;
    }
    struct Watching(watch::Sender<u8>);
    impl Watched for Watching {
        async fn run(&self, cx: Context) -> bool {
            self.0.send_replace(1);
            self.0.subscribe().wait_for(|step| *step == 2).await.unwrap();
            cx.is_cancelled() || cx.is_closing()
        }
    }
    let steps = watch::Sender::new(0);
    let server =
        TestServer::start_with(Server::builder().service(WatchedServer::new(Watching(steps.clone())))).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WatchedClient = client.service();
    let call = tokio::spawn(stub.run().into_future());
    steps.subscribe().wait_for(|step| *step == 1).await.unwrap();
    cutter.cut();
    until_resumed(&client).await;
    steps.send_replace(2);
    assert!(!timeout(PATIENCE, call).await.unwrap().unwrap().unwrap());
}
