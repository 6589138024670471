//! What one peer may cost: memory while it is kept, work before it is done, and nothing half done for ever.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use rpc_core::{
    CallError, Limits, MemoryBudget, Never, Refusal, Services, SessionHandle, Streaming,
    driver::SessionConfig, memory, rpc,
};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Semaphore;

use crate::attacks::eventually;

#[rpc]
trait Depot {
    async fn add(&self, one: u64, other: u64) -> u64;
    /// Waits until the gate is open.
    async fn store(&self, goods: Vec<u64>) -> u64;
    async fn list(&self, count: u64) -> Vec<u64>;
    async fn weigh(&self, number: u64, goods: Vec<u64>) -> u64;
    async fn wait(&self, number: u64) -> u64;
    async fn numbers(&self) -> Streaming<u64>;
    async fn blobs(&self) -> Streaming<Bytes>;
    async fn copy(&self, blob: Bytes) -> Bytes;
}

#[rpc(ordered)]
trait Line {
    async fn long(&self, goods: Vec<u64>) -> u64;
    async fn short(&self, number: u64) -> u64;
}

impl Line for House {
    async fn long(&self, goods: Vec<u64>) -> u64 {
        self.begun.lock().unwrap().push("long".into());
        goods.len() as u64
    }
    async fn short(&self, number: u64) -> u64 {
        self.begun.lock().unwrap().push(format!("short({number})"));
        number
    }
}

#[derive(Clone)]
struct House {
    gate: Arc<Semaphore>,
    at_work: Arc<AtomicUsize>,
    most_at_work: Arc<AtomicUsize>,
    begun: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            at_work: Arc::default(),
            most_at_work: Arc::default(),
            begun: Arc::default(),
        }
    }

    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    fn begun(&self) -> Vec<String> {
        self.begun.lock().unwrap().clone()
    }
}

impl Depot for House {
    async fn add(&self, one: u64, other: u64) -> u64 {
        self.begun.lock().unwrap().push(format!("add({one}, {other})"));
        one + other
    }
    async fn store(&self, goods: Vec<u64>) -> u64 {
        self.begun.lock().unwrap().push(format!("store({})", goods.len()));
        let _ = self.gate.acquire().await;
        goods.len() as u64
    }
    async fn list(&self, count: u64) -> Vec<u64> {
        vec![1; count as usize]
    }
    async fn weigh(&self, number: u64, goods: Vec<u64>) -> u64 {
        self.begun.lock().unwrap().push(format!("weigh({number})"));
        number + goods.len() as u64
    }
    async fn wait(&self, number: u64) -> u64 {
        let at_work = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_work.fetch_max(at_work, Ordering::SeqCst);
        let _ = self.gate.acquire().await;
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        number
    }
    async fn numbers(&self) -> Streaming<u64> {
        Streaming::from_iter(0..1_000)
    }
    async fn copy(&self, blob: Bytes) -> Bytes {
        blob
    }
    async fn blobs(&self) -> Streaming<Bytes> {
        Streaming::from_iter((0..100).map(|_| Bytes::from(vec![7; 100_000])))
    }
}

fn server(house: &House, limits: Limits, memory: &MemoryBudget) -> SessionConfig {
    let services = Services::new().with(DepotServer::new(house.clone()));
    SessionConfig { services, limits, memory: memory.clone(), ..SessionConfig::default() }
}

fn depot(house: &House, limits: Limits) -> (DepotClient, SessionHandle, SessionHandle) {
    let (near, far) =
        memory::connect_with(SessionConfig::default(), server(house, limits, &MemoryBudget::default()));
    (near.service(), near, far)
}

/// The limit that refused the call.
#[track_caller]
fn limit<T: std::fmt::Debug>(result: Result<T, CallError<Never>>) -> (String, Option<Duration>) {
    match result {
        Err(CallError::Refused {
            refusal: Refusal::ResourceExhausted { limit, retry_after, .. }, ..
        }) => (limit, retry_after),
        other => panic!("{other:?}"),
    }
}

/// 100,000 bytes as they come, and 800,000 as they are used, which count twice.
fn goods() -> Vec<u64> {
    vec![1; 100_000]
}

// ---- memory ----

#[tokio::test]
async fn arguments_are_charged_until_their_handler_is_done() {
    let house = House::new();
    let limits = Limits { session_bytes_max: 4 << 20, ..Limits::default() };
    let (depot, _near, far) = depot(&house, limits);
    let calls = (0..20).map(|_| depot.store(goods()));
    let calls: Vec<_> = calls.map(|call| tokio::spawn(async move { call.await })).collect();
    // Not "most are refused": one that is undecided would find room once the gate is open.
    eventually("each is at work or refused", || {
        calls.iter().filter(|call| call.is_finished()).count() + house.begun().len() == calls.len()
    })
    .await;
    let stats = far.stats().await;
    assert!((3 << 20..=5 << 20).contains(&stats.session_bytes), "{stats:?}");
    // Small calls need memory too.
    house.open();
    let (mut stored, mut refused) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(count) => stored += count / 100_000,
            refusal => {
                refused += 1;
                assert_eq!(limit(refusal).0, "session_bytes_max");
            }
        }
    }
    assert!((2..=3).contains(&stored), "{stored} were stored");
    assert_eq!(stored + refused, 20);
    assert_eq!(depot.store(goods()).await.unwrap(), 100_000, "all is free again");
    assert_eq!(far.stats().await.session_bytes, 0);
}

#[tokio::test]
async fn sessions_share_a_budget_and_an_idle_one_has_nothing_of_it() {
    let (house, memory) = (House::new(), MemoryBudget::new(6 << 20));
    let connect = || {
        let server = server(&house, Limits::default(), &memory);
        memory::connect_with(SessionConfig::default(), server)
    };
    let ((near, far), (other, _other_far)) = (connect(), connect());
    let (depot, other): (DepotClient, DepotClient) = (near.service(), other.service());
    assert_eq!(depot.add(1, 2).await.unwrap(), 3);
    assert_eq!(memory.used(), 0, "small calls take nothing");
    let stored: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let call = depot.store(goods());
                async move { call.await }
            })
        })
        .collect();
    eventually("they are at work", || {
        house.begun().iter().filter(|call| call.starts_with("store")).count() == 3
    })
    .await;
    eventually("they are charged", || memory.used() >= 5_000_000).await;
    let refused = other.store(vec![1; 1_000_000]).await;
    assert_eq!(limit(refused).0, "memory_budget");
    assert_eq!(other.add(1, 2).await.unwrap(), 3, "what needs little goes on");
    house.open();
    for call in stored {
        assert_eq!(call.await.unwrap().unwrap(), 100_000);
    }
    eventually("it is given back", || memory.used() == 0).await;
    assert_eq!(other.store(vec![1; 200_000]).await.unwrap(), 200_000);
    let kept = depot.list(200_000);
    assert_eq!(depot.store(&kept).await.unwrap(), 200_000);
    eventually("it is charged", || memory.used() >= 190_000).await;
    // A session that is over has nothing.
    drop((kept, depot, near, far));
    eventually("it is given back", || memory.used() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_arguments_are_decoded_elsewhere_and_calls_start_in_order() {
    let house = House::new();
    let services = Services::new().with(LineServer::new(house.clone()));
    let (near, _far) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services, ..SessionConfig::default() },
    );
    let line: LineClient = near.service();
    let mut calls = Vec::new();
    for round in 0..20 {
        let (long, short) = (line.long(goods()), line.short(round));
        calls.push(async move { (long.await, short.await) });
    }
    for (round, (long, short)) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!((long.unwrap(), short.unwrap()), (100_000, round as u64));
    }
    let expected: Vec<String> =
        (0..20).flat_map(|round| ["long".into(), format!("short({round})")]).collect();
    assert_eq!(house.begun(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_arguments_are_being_decoded_can_be_cancelled() {
    let house = House::new();
    let (depot, _near, far) = depot(&house, Limits::default());
    for _ in 0..20 {
        let cancelled = tokio::spawn({
            let call = depot.store(goods());
            async move { call.await }
        });
        tokio::task::yield_now().await;
        cancelled.abort();
        assert_eq!(depot.add(1, 2).await.unwrap(), 3);
    }
    let mut stats = far.stats().await;
    while stats.answers_unfinished > 0 || stats.session_bytes > 0 {
        stats = far.stats().await;
    }
}

// ---- work ----

#[tokio::test(start_paused = true)]
async fn a_map_that_would_cost_much_is_refused_before_it_starts_and_says_when_to_try_again() {
    let house = House::new();
    let (depot, ..) = depot(&house, Limits::public());
    let list = depot.list(900);
    // 360 MB to decode, out of 400 kB.
    let refused = list.map(|number| depot.weigh(number, vec![1; 400_000])).await;
    let (limit, retry_after) = limit(refused);
    assert_eq!(limit, "work_per_second");
    assert_eq!(retry_after, None, "time alone does not pay for it");
    assert_eq!(house.begun(), [""; 0], "none of its calls has run");
    assert_eq!(depot.list(900).map(|number| depot.add(number, 1)).await.unwrap().len(), 900);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_spent_its_work_goes_on_after_a_while() {
    let house = House::new();
    let limits = Limits { work_per_second: Duration::from_millis(100), ..Limits::public() };
    house.open();
    let (depot, ..) = depot(&house, limits);
    let mut refusals = 0;
    let begun = tokio::time::Instant::now();
    let list = depot.list(900);
    // Some 100 bytes each, and 10 ms of work, of which the caller takes a number.
    for _ in 0..20 {
        let sums = depot.list(900).map(|number| depot.weigh(number, &list));
        match depot.store(&sums).await {
            Ok(count) => assert_eq!(count, 900),
            Err(CallError::Upstream(_)) => {
                refusals += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..20).contains(&refusals), "{refusals} in {:?}", begun.elapsed());
}

// On one thread, so that each map leaves with the stream that it is over: a stream that has left alone belongs to its caller.
#[tokio::test]
async fn handlers_of_maps_over_streams_have_permits() {
    let house = House::new();
    let limits = Limits { calls_max: 8, ..Limits::default() };
    let (depot, _near, far) = depot(&house, limits);
    let mut mapped = Vec::new();
    for _ in 0..6 {
        mapped.push(depot.numbers().map(|number| depot.wait(number)).await.unwrap());
    }
    eventually("as many as may are at work", || house.at_work.load(Ordering::SeqCst) == 8).await;
    assert_eq!(far.stats().await.streams_sent, 6);
    house.open();
    let all = join_all(mapped.into_iter().map(|mut stream| async move {
        let mut count = 0;
        while let Some(number) = stream.next().await {
            assert_eq!(number.unwrap(), count);
            count += 1;
        }
        count
    }));
    assert_eq!(all.await, [1_000; 6]);
    assert!(house.most_at_work.load(Ordering::SeqCst) <= 8, "{:?}", house.most_at_work);
}

// ---- time ----

#[tokio::test(start_paused = true)]
async fn an_item_of_a_mapped_stream_has_as_long_as_the_call_had() {
    let house = House::new();
    let (depot, ..) = depot(&house, Limits::default());
    let depot = depot.deadline(Duration::from_secs(5));
    let mut mapped = depot.numbers().map(|number| depot.wait(number)).await.unwrap();
    let ended = mapped.next().await.unwrap().unwrap_err();
    assert!(format!("{ended:?}").contains("eadline"), "{ended:?}");
    assert!(mapped.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_ends() {
    let house = House::new();
    let limits = Limits { stream_window_bytes: 1_000, stream_window_bytes_max: 1_000, ..Limits::default() };
    let (near, _far) = memory::connect_with(
        SessionConfig { limits, ..SessionConfig::default() },
        server(&house, Limits::public(), &MemoryBudget::default()),
    );
    let depot: DepotClient = near.service();
    let read = depot.blobs().await.unwrap();
    let mut unread = depot.blobs().await.unwrap();
    let reading = tokio::spawn(async move {
        let mut read = read;
        let mut count = 0;
        // Slowly, and to the end.
        while let Some(number) = read.next().await {
            number.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            count += 1;
        }
        count
    });
    tokio::time::sleep(Duration::from_secs(100)).await;
    let ended = unread.next().await.expect("it says why it ends").unwrap_err();
    assert!(format!("{ended:?}").contains("stream_stall"), "{ended:?}");
    assert_eq!(reading.await.unwrap(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_has_all_of_its_time_whenever_it_began() {
    let house = House::new();
    let limits = Limits { stream_window_bytes: 1_000, stream_window_bytes_max: 1_000, ..Limits::default() };
    let (near, far) = memory::connect_with(
        SessionConfig { limits, ..SessionConfig::default() },
        server(&house, Limits::public(), &MemoryBudget::default()),
    );
    let depot: DepotClient = near.service();
    let _first = depot.blobs().await.unwrap();
    tokio::time::sleep(Duration::from_secs(29)).await;
    let _second = depot.blobs().await.unwrap();
    let begun = tokio::time::Instant::now();
    while far.stats().await.streams_sent > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lasted = begun.elapsed();
    assert!((Duration::from_secs(60)..=Duration::from_secs(91)).contains(&lasted), "{lasted:?}");
}

// ---- honest use ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_pipelining_is_not_refused_under_public_limits() {
    let house = House::new();
    house.open();
    let (depot, _near, far) = depot(&house, Limits::public());
    for _ in 0..5 {
        let sums = (0..256).map(|number| depot.add(number, 1).into_future());
        for (number, sum) in join_all(sums).await.into_iter().enumerate() {
            assert_eq!(sum.unwrap(), number as u64 + 1);
        }
        let mut sum = depot.add(0, 0);
        for number in 0..30 {
            sum = depot.add(&sum, number);
        }
        assert_eq!(sum.await.unwrap(), 435);
        assert_eq!(depot.list(1_000).map(|number| depot.add(number, 1)).await.unwrap(), [2; 1_000]);
        let blobs = (0..8).map(|_| depot.copy(Bytes::from(vec![7; 1 << 20])).into_future());
        for blob in join_all(blobs).await {
            assert_eq!(blob.unwrap().len(), 1 << 20);
        }
        let numbers = (0..4).map(|_| depot.store(goods()).into_future());
        for count in join_all(numbers).await {
            assert_eq!(count.unwrap(), 100_000);
        }
        let mut stream = depot.numbers().await.unwrap();
        let mut count = 0;
        while let Some(number) = stream.next().await {
            assert_eq!(number.unwrap(), count);
            count += 1;
        }
        assert_eq!(count, 1_000);
    }
    assert_eq!(far.stats().await.answers_held, 0);
}

/// A number that says in which turns of the runtime it was decoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Grain(u64);

static TURN: AtomicU64 = AtomicU64::new(0);
static DECODED_IN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

impl<'de> Deserialize<'de> for Grain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        // Of each list the last one.
        if number == u64::MAX {
            DECODED_IN.lock().unwrap().push(TURN.load(Ordering::Relaxed));
        }
        Ok(Self(number))
    }
}

/// The most lists that were decoded in one turn since the last time.
fn most_in_a_turn() -> usize {
    let decoded_in = std::mem::take(&mut *DECODED_IN.lock().unwrap());
    decoded_in.chunk_by(|one, other| one == other).map(<[u64]>::len).max().unwrap_or(0)
}

#[rpc]
trait Mill {
    async fn list(&self, count: u64) -> Vec<u64>;
    async fn goods(&self, count: u64) -> Vec<Grain>;
    async fn weigh(&self, number: u64, goods: Vec<Grain>) -> u64;
}

struct Windmill;

impl Mill for Windmill {
    async fn list(&self, count: u64) -> Vec<u64> {
        (0..count).collect()
    }
    async fn goods(&self, count: u64) -> Vec<Grain> {
        (1..=count).map(|left| Grain(u64::MAX - count + left)).collect()
    }
    async fn weigh(&self, number: u64, goods: Vec<Grain>) -> u64 {
        number + goods.len() as u64
    }
}

#[tokio::test]
async fn a_map_gives_others_their_turn_however_its_calls_come_by_their_arguments() {
    let turning = tokio::spawn(poll_fn(|cx| {
        TURN.fetch_add(1, Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let client: MillClient = memory::connect(Services::new().with(MillServer::new(Windmill))).service();
    // 9 bytes each.
    let goods = client.goods(10_000);
    assert_eq!(client.weigh(1, &goods).await.unwrap(), 10_001);
    most_in_a_turn();
    let sums = client.list(40).map(|number| client.weigh(number, &goods)).await.unwrap();
    assert_eq!((sums.len(), sums[39]), (40, 10_039));
    let most = most_in_a_turn();
    assert!(most <= 4, "two in the session's own turn, two in the map's: {most}");

    let rows = client.list(12);
    let sums = rows.map(|row| client.list(row).map(|number| client.weigh(number, &goods))).await.unwrap();
    assert_eq!(sums.iter().map(Vec::len).sum::<usize>(), 66);
    let most = most_in_a_turn();
    assert!(most <= 4, "maps within a map have one turn together: {most}");
    turning.abort();
}
