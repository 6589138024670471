//! What a single call promises: values, errors, deadlines, cancelling, panics, contexts.

use std::{
    future::{Future, IntoFuture},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use rpc_core::{
    CallError, Delivery, Limits, NotSent, Promise, Refusal, Services, Streaming, driver::SessionConfig,
    memory, rpc,
};

use crate::support::{PeopleClient, PeopleError, PeopleServer, Shape, UserId, Village, people, village};

/// Lets everything that can run do so; time is paused, so the clock only moves when nothing can.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// A service that has much to do.
#[rpc]
trait Busy {
    async fn step(&self, number: u32) -> u32;
    async fn stuck(&self);
    async fn join(&self, first: Bytes, number: u32, last: Bytes) -> Bytes;
}

#[derive(Default)]
struct Working {
    steps: Arc<AtomicU32>,
    steps_when_dropped: Arc<AtomicU32>,
}

impl Busy for Working {
    async fn step(&self, number: u32) -> u32 {
        self.steps.fetch_add(1, Ordering::Relaxed);
        number
    }

    async fn join(&self, first: Bytes, number: u32, last: Bytes) -> Bytes {
        [&first[..], &number.to_le_bytes(), &last[..]].concat().into()
    }

    async fn stuck(&self) {
        let (steps, dropped) = (Arc::clone(&self.steps), Arc::clone(&self.steps_when_dropped));
        let _guard = on_drop(move || dropped.store(steps.load(Ordering::Relaxed), Ordering::Relaxed));
        std::future::pending().await
    }
}

fn on_drop(action: impl FnOnce()) -> impl Drop {
    struct OnDrop<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            if let Some(action) = self.0.take() {
                action();
            }
        }
    }
    OnDrop(Some(action))
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_never_done_keeps_its_deadlines() {
    const CALLS: u32 = 20_000;
    let working = Working::default();
    let dropped = Arc::clone(&working.steps_when_dropped);
    let limits = Limits { calls_max: 2 * CALLS as usize, ..Limits::default() };
    let server = SessionConfig {
        services: Services::new().with(BusyServer::new(working)),
        limits: limits.clone(),
        ..SessionConfig::default()
    };
    let (session, _server) =
        memory::connect_with(SessionConfig { limits, ..SessionConfig::default() }, server);
    let busy: BusyClient = session.service();
    busy.step(0).await.unwrap();
    // Whenever other tasks have their turn, a millisecond passes. `advance` itself would wait until nothing can run.
    let clock = tokio::spawn(std::future::poll_fn(|cx| {
        let _ = pin!(tokio::time::advance(Duration::from_millis(1))).poll(cx);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let stuck = busy.deadline(Duration::from_millis(5)).stuck();
    let steps: Vec<_> = (0..CALLS).map(|number| busy.step(number)).collect();
    let (stuck, steps) = rpc_core::join!(stuck, rpc_core::join_all(steps));
    clock.abort();
    assert!(matches!(stuck, Err(CallError::DeadlineExceeded { .. })), "{stuck:?}");
    assert!(steps.into_iter().all(|step| step.is_ok()));
    let dropped = dropped.load(Ordering::Relaxed);
    assert!(dropped < CALLS / 2, "the handler was dropped after {dropped} calls");
}

/// Long ones are not copied, shorter ones are, longer ones travel in chunks; as the last argument, before others, as a
/// result, and as a result that another call is built on.
#[tokio::test]
async fn byte_strings_of_every_length_travel_in_every_place() {
    let busy: BusyClient =
        memory::connect(Services::new().with(BusyServer::new(Working::default()))).service();
    let lengths = [0, 1, 45, 4_095, 4_096, 70_000, 73_000, 1 << 20];
    let bytes = |length: usize, byte: u8| Bytes::from(vec![byte; length]);
    for first in lengths {
        for last in lengths {
            let joined = [&bytes(first, 1)[..], &[9, 0, 0, 0], &bytes(last, 2)].concat();
            let once = busy.join(bytes(first, 1), 9, bytes(last, 2));
            let twice = busy.join(&once, 9, bytes(last, 2));
            assert!(once.await.unwrap() == joined, "{first} and {last}");
            let joined = [&joined[..], &[9, 0, 0, 0], &bytes(last, 2)].concat();
            assert!(twice.await.unwrap() == joined, "{first} and twice {last}");
        }
    }
}

#[tokio::test]
async fn a_methods_own_error_arrives_typed() {
    let error = people().find("zoe").await.unwrap_err();
    assert!(matches!(error, CallError::Method(PeopleError::Nobody(name)) if name == "zoe"));
}

#[tokio::test]
async fn arguments_are_values_promises_references_and_what_stands_for_them() {
    let people = people();
    let ann = String::from("ann");
    let name = people.greet(&ann, None);
    assert_eq!(people.greet(&name, Some("Dr".into())).await.unwrap(), "hello Dr hello ann");
    // A promise of a `T` for an `Option<T>`.
    assert_eq!(people.greet("bob", &name).await.unwrap(), "hello hello ann bob");
    assert_eq!(people.greet(String::from("cem"), name).await.unwrap(), "hello hello ann cem");
    // A tuple of promises for a tuple.
    let (two, three) = (people.add(1, 1), people.add(1, 2));
    assert_eq!(people.pair((two, three)).await.unwrap(), 6);
    assert_eq!(people.pair((4, 5)).await.unwrap(), 20);
}

#[tokio::test]
async fn parts_of_enums_hit_or_miss() {
    let people = people();
    let circle = people.shape(1);
    assert_eq!(circle.circle().radius().await.unwrap(), 7);
    let rectangle = people.shape(2);
    let area = people.distance((1, 2));
    assert_eq!(area.await.unwrap(), -1);
    assert_eq!(rectangle.r#box()._1().await.unwrap(), 4);
    let missed = circle.r#box()._0().await.unwrap_err();
    let CallError::Upstream(upstream) = missed else { panic!("{missed}") };
    assert_eq!(upstream.missed().unwrap().to_string(), "::2.0");
    assert_eq!(circle.await.unwrap(), Shape::Circle { radius: 7 });
}

#[tokio::test]
async fn a_part_fails_with_the_typed_error_of_its_whole() {
    let nobody = people().find("zoe");
    let error = nobody.name().await.unwrap_err();
    assert!(matches!(error, CallError::Method(PeopleError::Nobody(_))), "{error}");
}

#[tokio::test]
async fn join_all_keeps_the_order() {
    let people = people();
    let sums = rpc_core::join_all((0..200).map(|n| people.add(n, n))).await;
    let sums: Vec<u64> = sums.into_iter().map(Result::unwrap).collect();
    assert_eq!(sums, (0..200).map(|n| 2 * n).collect::<Vec<_>>());
}

#[tokio::test]
async fn try_join_stops_at_the_first_error() {
    let people = people();
    let error =
        rpc_core::try_join!(people.find("ann"), people.find("zoe"), people.profile(UserId(99))).unwrap_err();
    assert!(matches!(error, CallError::Method(PeopleError::Nobody(_))));
    let (user, sum) = rpc_core::try_join!(people.find("ann"), Promise::widen(people.add(1, 2))).unwrap();
    assert_eq!((user.name.as_str(), sum), ("ann", 3));
    let (sum, user) = rpc_core::join!(people.add(1, 2), people.find("bob"));
    assert_eq!((sum.unwrap(), user.unwrap().name.as_str()), (3, "bob"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_promise_stops_its_handler() {
    let village = Village::default();
    let stopped = Arc::clone(&village.stopped);
    let session = memory::connect(Services::new().with(PeopleServer::new(village)));
    let people: PeopleClient = session.service();
    let mut waiting = Box::pin(std::future::IntoFuture::into_future(people.wait()));
    assert!(futures::poll!(&mut waiting).is_pending());
    settle().await;
    assert_eq!(stopped.load(Ordering::SeqCst), 0);
    drop(waiting);
    settle().await;
    assert_eq!(stopped.load(Ordering::SeqCst), 1);
    assert_eq!(session.stats().await, Default::default());
    assert_eq!(people.add(1, 1).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_detached_call_runs_though_its_promise_is_gone() {
    let village = Village::default();
    let calls = Arc::clone(&village.calls);
    let people: PeopleClient = memory::connect(Services::new().with(PeopleServer::new(village))).service();
    Promise::detach(people.add(1, 1));
    settle().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(people.add(2, 2));
    settle().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_nobody_awaits_yet_is_on_its_way() {
    let village = Village::default();
    let calls = Arc::clone(&village.calls);
    let people: PeopleClient = memory::connect(Services::new().with(PeopleServer::new(village))).service();
    let sum = people.add(1, 1);
    settle().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(sum.await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_here_and_there() {
    let village = Village::default();
    let stopped = Arc::clone(&village.stopped);
    let people: PeopleClient = memory::connect(Services::new().with(PeopleServer::new(village))).service();
    let started = tokio::time::Instant::now();
    let error = people.deadline(Duration::from_secs(2)).wait().await.unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded { .. }));
    assert_eq!(started.elapsed().as_secs(), 2);
    settle().await;
    assert_eq!(stopped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn metadata_travels_beside_the_arguments() {
    let people = people();
    assert_eq!(people.whoami().await.unwrap(), "?/-");
    assert_eq!(people.metadata("trace", "7").whoami().await.unwrap(), "?/7");
    let error = people.metadata("trace", "x".repeat(9_000)).whoami().await.unwrap_err();
    assert!(
        matches!(error, CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. } if limit == "metadata_bytes_max")
    );
}

#[tokio::test]
async fn a_panic_hurts_nobody_else() {
    let people = people();
    let (panicked, sum) = rpc_core::join!(people.panic(), people.add(1, 2));
    assert!(matches!(panicked.unwrap_err(), CallError::Panicked { .. }));
    assert_eq!(sum.unwrap(), 3);
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_oneway_call_arrives() {
    let village = Village::default();
    let notes = Arc::clone(&village.notes);
    let people: PeopleClient = memory::connect(Services::new().with(PeopleServer::new(village))).service();
    people.note("12345").unwrap();
    settle().await;
    assert_eq!(notes.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_blocking_handler_does_not_hold_up_others() {
    let people = people();
    let blocked = people.block(20);
    // The runtime has one thread: a handler that blocked it would answer first.
    let mut blocked = std::future::IntoFuture::into_future(blocked);
    assert!(futures::poll!(&mut blocked).is_pending());
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    assert!(futures::poll!(&mut blocked).is_pending());
    assert_eq!(blocked.await.unwrap(), 20);
}

#[tokio::test]
async fn large_values_travel_both_ways() {
    let people = people();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let (large, small) = rpc_core::join!(people.echo(Bytes::from(bytes.clone())), people.add(1, 2));
    assert_eq!(large.unwrap(), bytes);
    assert_eq!(small.unwrap(), 3);
    let error = people.echo(Bytes::from(vec![0; 9 << 20])).await.unwrap_err();
    assert!(
        matches!(error, CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. } if limit == "payload_bytes_max")
    );
}

#[tokio::test]
async fn an_unknown_service_is_named() {
    let people: PeopleClient = memory::connect(Services::new()).service();
    let error = people.add(1, 2).await.unwrap_err();
    assert!(
        matches!(error, CallError::Refused { refusal: Refusal::UnknownService { service }, .. } if service == "People")
    );
}

#[tokio::test]
async fn a_promise_of_another_session_is_refused_here() {
    let (here, there) = (people(), people());
    let sum = there.add(1, 2);
    let error = here.add(&sum, 1).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { refusal: Refusal::Misuse { .. }, .. }), "{error:?}");
    assert_eq!(sum.await.unwrap(), 3);
}

#[tokio::test]
async fn calls_on_a_closed_session_were_not_sent_and_neither_were_those_built_on_them() {
    let session = memory::connect(village());
    let people: PeopleClient = session.service();
    session.close().await;
    let sum = people.add(1, 2);
    let built = people.add(&sum, 1);
    assert!(matches!(sum.await.unwrap_err(), CallError::Disconnected { delivery: Delivery::NotSent, .. }));
    let error = built.await.unwrap_err();
    assert!(
        matches!(&error, CallError::Upstream(upstream) if upstream.failed().method == "add"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_close_waits_for_calls_in_flight() {
    let (client, server) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services: village(), ..SessionConfig::default() },
    );
    let people: PeopleClient = client.service();
    let mut profile = std::future::IntoFuture::into_future(people.profile(UserId(1)));
    assert!(futures::poll!(&mut profile).is_pending());
    let (reason, profile) = tokio::join!(client.close(), profile);
    assert_eq!(profile.unwrap().name, "bob");
    assert!(matches!(reason, rpc_core::CloseReason::Local), "{reason:?}");
    assert!(matches!(server.closed().await, rpc_core::CloseReason::Peer { .. }));
}

#[tokio::test]
async fn a_close_sends_the_calls_made_before_it() {
    let session = memory::connect(village());
    let people: PeopleClient = session.service();
    let sum = people.add(1, 2);
    session.close().await;
    assert_eq!(sum.await.unwrap(), 3);
}

#[tokio::test]
async fn the_last_handle_closes_the_session() {
    let (client, server) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services: village(), ..SessionConfig::default() },
    );
    let people: PeopleClient = client.service();
    let sum = people.add(1, 2);
    drop((client, people));
    assert_eq!(sum.await.unwrap(), 3);
    assert!(matches!(server.closed().await, rpc_core::CloseReason::Peer { .. }));
}

#[tokio::test]
async fn a_server_can_call_its_client() {
    let (_client, server) = memory::connect_with(
        SessionConfig { services: village(), ..SessionConfig::default() },
        SessionConfig::default(),
    );
    let people: PeopleClient = server.service();
    assert_eq!(people.find("eva").await.unwrap().name, "eva");
}

#[tokio::test]
async fn limits_of_the_peer_hold_calls_back_instead_of_failing_them() {
    let limits = Limits { calls_max: 3, ..Limits::default() };
    let (client, _server) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services: village(), limits, ..SessionConfig::default() },
    );
    let people: PeopleClient = client.service();
    people.add(0, 0).await.unwrap();
    let users = rpc_core::join_all((0..50).map(|n| people.profile(UserId(n % 5)))).await;
    assert!(users.into_iter().all(|user| user.is_ok()));
}

#[test]
#[allow(clippy::async_yields_async, reason = "the call outlives its runtime; that is the point")]
fn a_runtime_that_shuts_down_leaves_nobody_waiting() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let waiting = runtime.block_on(async {
        let people = people();
        let mut waiting = std::future::IntoFuture::into_future(people.wait());
        assert!(futures::poll!(&mut waiting).is_pending());
        people.add(1, 2).await.unwrap();
        waiting
    });
    drop(runtime);
    let error = futures::executor::block_on(waiting).unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_handler_with_a_context_is_tested_without_rpc() {
    let context = rpc_core::Context::for_test(rpc_core::Peer::named("ann"), &[("trace", "7")]);
    assert_eq!(crate::support::People::whoami(&Village::default(), context.clone()).await, "ann/7");
    assert!(!context.is_cancelled());
    let people: PeopleClient = context.peer_service();
    assert!(matches!(
        people.add(1, 2).await.unwrap_err(),
        CallError::Disconnected { delivery: Delivery::NotSent, .. }
    ));
}

#[rpc]
trait Clock {
    async fn tick(&self, number: u64) -> u64;
    #[rpc(batch = "tocks")]
    async fn tock(&self, number: u64) -> u64;
    async fn tocks(&self, numbers: Vec<u64>) -> Vec<u64>;
    #[rpc(oneway)]
    async fn strike(&self);
    async fn ticks(&self, count: u64) -> Vec<u64>;
    async fn follow(&self, ticks: Streaming<u64>) -> Streaming<u64>;
    /// Lets its deadline pass, then calls `tick` of this clock.
    async fn dawdle(&self, clock: ClockClient);
}

#[derive(Clone, Default)]
struct Counted {
    started: Arc<AtomicUsize>,
    /// How calls of handlers ended that had no time left.
    inherited: Arc<Mutex<Vec<String>>>,
}

impl Counted {
    fn start(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }
}

impl Clock for Counted {
    async fn tick(&self, number: u64) -> u64 {
        self.start();
        number
    }
    async fn tock(&self, number: u64) -> u64 {
        self.start();
        number
    }
    async fn tocks(&self, numbers: Vec<u64>) -> Vec<u64> {
        self.start();
        numbers
    }
    async fn strike(&self) {
        self.start();
    }
    async fn ticks(&self, count: u64) -> Vec<u64> {
        (0..count).collect()
    }
    async fn follow(&self, ticks: Streaming<u64>) -> Streaming<u64> {
        self.start();
        ticks
    }
    async fn dawdle(&self, clock: ClockClient) {
        let _ = pin!(tokio::time::advance(Duration::from_millis(500)))
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        let awaited = clock.tick(1).into_future();
        let oneway = clock.strike();
        let ended = format!("{:?}, {oneway:?}", futures::FutureExt::now_or_never(awaited));
        self.inherited.lock().unwrap().push(ended);
    }
}

/// Through a session, and of an object of this process.
fn clocks() -> (Counted, [ClockClient; 2]) {
    let counted = Counted::default();
    let session = memory::connect(Services::new().with(ClockServer::new(counted.clone())));
    (counted.clone(), [session.service(), ClockClient::local(counted)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_no_time_is_never_made() {
    let (counted, clocks) = clocks();
    for clock in &clocks {
        assert_eq!(clock.tick(7).await.unwrap(), 7);
        assert_eq!(counted.started.swap(0, Ordering::SeqCst), 1);
        let at_once = clock.deadline(Duration::ZERO);
        for _ in 0..200 {
            let late = at_once.tick(1).await;
            assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
        }
        for late in rpc_core::join_all((0..200).map(|number| at_once.tock(number))).await {
            assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
        }
        // Less than the clock tells apart.
        let late = clock.deadline(Duration::from_nanos(1)).tick(1).await;
        assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
        // What is built on it has its deadline.
        let base = at_once.tick(1);
        let (built, mapped) = (clock.tick(&base), at_once.ticks(3).map(|tick| clock.tick(tick)));
        assert!(matches!(built.await, Err(CallError::DeadlineExceeded { .. })));
        assert!(matches!(mapped.await, Err(CallError::DeadlineExceeded { .. })));
        assert!(matches!(base.await, Err(CallError::DeadlineExceeded { .. })));
        let within = clock.ticks(3).map(|tick| at_once.tick(tick)).await;
        assert!(matches!(within, Err(CallError::DeadlineExceeded { .. })), "{within:?}");
        assert!(matches!(at_once.strike(), Err(NotSent::DeadlineExceeded { .. })));
        // The producer of a stream that it would have opened is not left alone.
        let (sender, ticks) = Streaming::channel(1);
        let late = at_once.follow(ticks).await;
        assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
        sender.stopped().await;
        assert_eq!(clock.tick(7).await.unwrap(), 7);
        assert_eq!(counted.started.swap(0, Ordering::SeqCst), 1, "only the last call was made");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_deadline_has_passed_makes_no_more_calls() {
    let (counted, [clock, local]) = clocks();
    let late = clock.deadline(Duration::from_millis(100)).dawdle(local.clone()).await;
    assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
    let inherited = counted.inherited.lock().unwrap().concat();
    assert!(inherited.starts_with("Some(Err(DeadlineExceeded"), "{inherited}");
    assert!(inherited.contains(", Err(DeadlineExceeded"), "{inherited}");
    assert_eq!(counted.started.load(Ordering::SeqCst), 0);
}
