//! Attacks on the accounts of memory and work: hangs, leaks, and honest use that is refused.

use std::{
    future::IntoFuture,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use rpc_core::{
    CallError, Context, Limits, MemoryBudget, Never, Refusal, Services, SessionHandle, Streaming,
    driver::SessionConfig, memory, rpc,
};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::{
    runtime::Builder,
    sync::{Notify, Semaphore},
    task::yield_now,
    time::timeout,
};

use crate::attacks::eventually;

#[rpc]
trait Mill {
    async fn add(&self, one: u64, other: u64) -> u64;
    async fn list(&self, count: u64) -> Vec<u64>;
    /// Waits until the gate is open.
    async fn store(&self, goods: Vec<u64>) -> u64;
    /// Its arguments take as long to decode as the test likes.
    async fn grind(&self, grains: Vec<Grain>) -> u64;
    #[rpc(no_cancel)]
    async fn grind_on(&self, #[rpc(context)] context: Context, grains: Vec<Grain>);
    /// Waits for the next word.
    async fn news(&self, length: u64) -> Bytes;
    async fn number(&self, number: u64) -> u64;
    async fn tell(&self) -> u64;
    /// Holds its thread.
    async fn hold(&self, number: u64) -> u64;
    async fn grind_more(&self, number: u64, grains: Vec<Grain>) -> u64;
    async fn count(&self, to: u64) -> Streaming<u64>;
    async fn fail(&self, goods: Vec<u64>) -> u64;
    /// Reads nothing until the gate is open.
    async fn swallow(&self, goods: Streaming<Bytes>) -> u64;
    async fn blob(&self, length: u64) -> Bytes;
    async fn weigh(&self, number: u64, goods: Bytes) -> u64;
    #[rpc(batch = "pages")]
    async fn page(&self, number: u64) -> Bytes;
    async fn pages(&self, numbers: Vec<u64>) -> Vec<Bytes>;
    #[rpc(batch = "sums")]
    async fn sum(&self, one: u64, other: u64) -> u64;
    async fn sums(&self, pairs: Vec<(u64, u64)>) -> Vec<u64>;
}

/// One of these waits while it is decoded.
const HARD: u64 = 7_777_777;

/// One of these breaks the mill.
const STONE: u64 = 8_888_888;

#[derive(Debug, Clone, Serialize)]
struct Grain(u64);

type Hold = (std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>);
static HOLD: Mutex<Option<Hold>> = Mutex::new(None);

static MILLSTONE: Millstone = Millstone {
    begun: AtomicBool::new(false),
    is_late: AtomicBool::new(false),
    go_on: Mutex::new(false),
    told: Condvar::new(),
};

struct Millstone {
    begun: AtomicBool,
    is_late: AtomicBool,
    go_on: Mutex<bool>,
    told: Condvar,
}

impl Millstone {
    fn turn(&self) {
        self.begun.store(true, Ordering::SeqCst);
        let go_on = self.go_on.lock().unwrap();
        let patience = Duration::from_secs(5);
        let (go_on, _) = self.told.wait_timeout_while(go_on, patience, |go_on| !*go_on).unwrap();
        self.is_late.store(!*go_on, Ordering::SeqCst);
    }

    fn go_on(&self) {
        *self.go_on.lock().unwrap() = true;
        self.told.notify_all();
    }
}

impl<'de> Deserialize<'de> for Grain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number == HARD {
            MILLSTONE.turn();
        }
        assert_ne!(number, STONE, "a stone among the grains");
        Ok(Self(number))
    }
}

fn grains() -> Vec<Grain> {
    vec![Grain(1); 100_000]
}

fn hard_grains() -> Vec<Grain> {
    let mut grains = grains();
    grains[50_000] = Grain(HARD);
    grains
}

#[derive(Clone)]
struct House {
    gate: Arc<Semaphore>,
    word: Arc<Notify>,
    waiting: Arc<AtomicUsize>,
    most_waiting: Arc<AtomicUsize>,
    most_pages: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl House {
    fn new() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            word: Arc::default(),
            waiting: Arc::default(),
            most_waiting: Arc::default(),
            most_pages: Arc::default(),
            is_over: Arc::default(),
        }
    }

    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    async fn word(&self) {
        struct Leaves<'a>(&'a AtomicUsize);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        let _leaves = Leaves(&self.waiting);
        self.most_waiting.fetch_max(waiting, Ordering::SeqCst);
        self.word.notified().await;
    }
}

impl Mill for House {
    async fn add(&self, one: u64, other: u64) -> u64 {
        one + other
    }
    async fn list(&self, count: u64) -> Vec<u64> {
        vec![1; count as usize]
    }
    async fn store(&self, goods: Vec<u64>) -> u64 {
        let _ = self.gate.acquire().await;
        goods.len() as u64
    }
    async fn grind(&self, grains: Vec<Grain>) -> u64 {
        grains.iter().map(|grain| grain.0 % 10).sum()
    }
    async fn grind_on(&self, context: Context, _grains: Vec<Grain>) {
        context.cancelled().await;
        self.is_over.store(true, Ordering::SeqCst);
    }
    async fn news(&self, length: u64) -> Bytes {
        self.word().await;
        vec![1; length as usize].into()
    }
    async fn number(&self, number: u64) -> u64 {
        self.word().await;
        number
    }
    async fn tell(&self) -> u64 {
        self.word.notify_waiters();
        self.waiting.load(Ordering::SeqCst) as u64
    }
    async fn hold(&self, number: u64) -> u64 {
        let hold = HOLD.lock().unwrap().take();
        if let Some((begun, go_on)) = hold {
            begun.send(()).unwrap();
            let _ = go_on.recv();
        }
        number
    }
    async fn grind_more(&self, number: u64, grains: Vec<Grain>) -> u64 {
        number + grains.len() as u64
    }
    async fn count(&self, to: u64) -> Streaming<u64> {
        Streaming::from_iter(0..to)
    }
    async fn fail(&self, goods: Vec<u64>) -> u64 {
        yield_now().await;
        assert!(goods.is_empty(), "it fails");
        0
    }
    async fn swallow(&self, mut goods: Streaming<Bytes>) -> u64 {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _ = self.gate.acquire().await;
        let mut count = 0;
        while let Some(Ok(_)) = goods.next().await {
            count += 1;
        }
        count
    }
    async fn blob(&self, length: u64) -> Bytes {
        vec![0; length as usize].into()
    }
    async fn weigh(&self, number: u64, goods: Bytes) -> u64 {
        number + goods.len() as u64
    }
    async fn page(&self, number: u64) -> Bytes {
        self.pages(vec![number]).await.remove(0)
    }
    async fn pages(&self, numbers: Vec<u64>) -> Vec<Bytes> {
        self.most_pages.fetch_max(numbers.len(), Ordering::SeqCst);
        let page = Bytes::from(vec![1; 1 << 20]);
        numbers.iter().map(|_| page.clone()).collect()
    }
    async fn sum(&self, one: u64, other: u64) -> u64 {
        one + other
    }
    async fn sums(&self, pairs: Vec<(u64, u64)>) -> Vec<u64> {
        let _ = self.gate.acquire().await;
        pairs.iter().map(|(one, other)| one + other).collect()
    }
}

fn connect(
    house: &House,
    limits: Limits,
    memory: &MemoryBudget,
) -> (MillClient, SessionHandle, SessionHandle) {
    let services = Services::new().with(MillServer::new(house.clone()));
    let server = SessionConfig { services, limits, memory: memory.clone(), ..SessionConfig::default() };
    let (near, far) = memory::connect_with(SessionConfig::default(), server);
    (near.service(), near, far)
}

fn mill(house: &House, limits: Limits) -> (MillClient, SessionHandle, SessionHandle) {
    connect(house, limits, &MemoryBudget::default())
}

/// The limit that refused the call.
#[track_caller]
fn limit<T: std::fmt::Debug>(result: Result<T, CallError<Never>>) -> String {
    match result {
        Err(CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. }) => {
            limit.to_string()
        }
        other => panic!("{other:?}"),
    }
}

fn spawned<F>(call: F) -> tokio::task::JoinHandle<<F::IntoFuture as Future>::Output>
where
    F: IntoFuture<IntoFuture: Send + 'static>,
    <F::IntoFuture as Future>::Output: Send + 'static,
{
    let call = call.into_future();
    tokio::spawn(call)
}

async fn others_had_their_turns() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

// ---- decoding on other threads ----

#[tokio::test]
async fn other_tasks_of_the_thread_go_on_while_arguments_are_decoded_elsewhere() {
    let (mill, _near, _far) = mill(&House::new(), Limits::default());
    let ground = spawned(mill.grind(hard_grains()));
    eventually("they are being decoded", || MILLSTONE.begun.load(Ordering::SeqCst)).await;
    // It waits for that.
    let sum = spawned(mill.add(1, 2));
    others_had_their_turns().await;
    MILLSTONE.go_on();
    assert_eq!(sum.await.unwrap().unwrap(), 3);
    ground.await.unwrap().unwrap();
    assert!(!MILLSTONE.is_late.load(Ordering::SeqCst), "nobody else had a turn");
}

/// Grinds on a new runtime.
fn grind_elsewhere(house: &House) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mill, _near, _far) = mill(house, Limits::default());
        let ground = timeout(PATIENCE, mill.grind(grains()).into_future()).await;
        assert_eq!(ground.expect("it is decoded").unwrap(), 100_000);
    });
}

#[test]
fn decoding_does_not_wait_for_the_threads_of_another_runtime() {
    let house = House::new();
    for _ in 0..2 {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async {
            // A blocking handler that takes long, say.
            tokio::task::spawn_blocking(move || is_done.recv());
            let (mill, _near, _far) = mill(&house, Limits::default());
            let _ground = spawned(mill.grind(grains()));
            others_had_their_turns().await;
        });
        runtime.shutdown_background();
        std::mem::forget(done);
    }
    grind_elsewhere(&house);
}

#[test]
fn decoding_goes_on_after_runtimes_were_shut_down() {
    let house = House::new();
    for _ in 0..2 {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (begun, is_begun) = std::sync::mpsc::channel::<()>();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        *HOLD.lock().unwrap() = Some((begun, may_go_on));
        let clients = runtime.block_on(async {
            let (mill, near, far) = mill(&house, Limits::default());
            let number = mill.number(1);
            let held = spawned(mill.hold(&number));
            let ground = spawned(mill.grind_more(&number, grains()));
            eventually("it waits", || house.waiting.load(Ordering::SeqCst) == 1).await;
            while far.stats().await.answers_unfinished < 3 || far.stats().await.pending_bytes < 100_000 {
                yield_now().await;
            }
            others_had_their_turns().await;
            house.word.notify_waiters();
            (mill, near, far, held, ground)
        });
        is_begun.recv_timeout(PATIENCE).expect("the thread is held");
        runtime.shutdown_background();
        go_on.send(()).unwrap();
        drop(clients);
        // What the runtime had of the house is gone with its last turn.
        let patience = std::time::Instant::now() + PATIENCE;
        while Arc::strong_count(&house.word) > 1 {
            assert!(std::time::Instant::now() < patience, "the runtime ends");
            std::thread::yield_now();
        }
        house.waiting.store(0, Ordering::SeqCst);
    }
    grind_elsewhere(&house);
}

#[tokio::test]
async fn a_handler_that_goes_on_learns_of_a_cancel_that_came_while_its_arguments_were_decoded() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::default());
    let ground = spawned(mill.grind_on(hard_grains()));
    eventually("they are being decoded", || MILLSTONE.begun.load(Ordering::SeqCst)).await;
    ground.abort();
    others_had_their_turns().await;
    MILLSTONE.go_on();
    eventually("it learns that nobody waits", || house.is_over.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_session_closes_while_arguments_are_decoded_elsewhere() {
    let (house, memory) = (House::new(), MemoryBudget::new(64 << 20));
    let (mill, near, far) = connect(&house, Limits::default(), &memory);
    let ground = spawned(mill.grind(hard_grains()));
    eventually("they are being decoded", || MILLSTONE.begun.load(Ordering::SeqCst)).await;
    let closed = tokio::spawn(async move { near.close().await });
    others_had_their_turns().await;
    MILLSTONE.go_on();
    assert!(ground.await.unwrap().is_ok(), "calls in flight go on");
    timeout(PATIENCE, closed).await.expect("it closes").unwrap();
    drop((mill, far));
    eventually("all is given back", || memory.used() == 0).await;
}

#[tokio::test]
async fn a_session_is_dropped_while_arguments_are_decoded_elsewhere() {
    let (house, memory) = (House::new(), MemoryBudget::new(64 << 20));
    let (mill, near, far) = connect(&house, Limits::default(), &memory);
    let ground = spawned(mill.grind(hard_grains()));
    eventually("they are being decoded", || MILLSTONE.begun.load(Ordering::SeqCst)).await;
    ground.abort();
    drop((mill, near, far));
    others_had_their_turns().await;
    MILLSTONE.go_on();
    eventually("all is given back", || memory.used() == 0).await;
    let (mill, _near, _far) = connect(&house, Limits::default(), &memory);
    assert_eq!(mill.grind(grains()).await.unwrap(), 100_000);
}

#[tokio::test]
async fn arguments_that_panic_while_they_are_decoded_elsewhere_fail_their_call_alone() {
    let (mill, _near, far) = mill(&House::new(), Limits::default());
    let mut grains = grains();
    grains[1] = Grain(STONE);
    for _ in 0..5 {
        let (ground, sum) =
            futures::join!(mill.grind(grains.clone()).into_future(), mill.add(1, 2).into_future());
        assert!(matches!(ground, Err(CallError::Panicked { .. })), "{ground:?}");
        assert_eq!(sum.unwrap(), 3);
    }
    grains[1] = Grain(1);
    assert_eq!(mill.grind(grains).await.unwrap(), 100_000);
    assert_eq!(far.stats().await.session_bytes, 0);
}

#[tokio::test]
async fn a_call_whose_time_is_over_while_its_arguments_are_decoded_leaves_nothing() {
    let (mill, _near, far) = mill(&House::new(), Limits::default());
    let late = spawned(mill.deadline(Duration::from_millis(50)).grind(hard_grains()));
    eventually("they are being decoded", || MILLSTONE.begun.load(Ordering::SeqCst)).await;
    let late = timeout(Duration::from_secs(4), late).await.expect("it hears of it in time").unwrap();
    assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
    MILLSTONE.go_on();
    assert_eq!(mill.add(1, 2).await.unwrap(), 3);
    let stats = far.stats().await;
    assert!(stats.session_bytes == 0 && stats.answers_unfinished == 0, "{stats:?}");
}

/// As it is where they are short.
#[tokio::test]
async fn a_handler_that_goes_on_learns_of_a_cancel() {
    let house = House::new();
    let (mill, _near, far) = mill(&house, Limits::default());
    let ground = spawned(mill.grind_on(vec![Grain(1)]));
    while far.stats().await.answers_unfinished == 0 {
        yield_now().await;
    }
    ground.abort();
    eventually("it learns that nobody waits", || house.is_over.load(Ordering::SeqCst)).await;
}

// ---- room for results ----

#[tokio::test]
async fn calls_that_wait_for_room_do_not_hold_up_the_call_that_makes_it() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::public());
    let first = spawned(mill.news(1 << 20));
    eventually("it waits", || house.waiting.load(Ordering::SeqCst) == 1).await;
    mill.tell().await.unwrap();
    first.await.unwrap().unwrap();
    // As honest as one.
    let all: Vec<_> = (0..30).map(|_| spawned(mill.news(1 << 20))).collect();
    eventually("they wait", || house.waiting.load(Ordering::SeqCst) >= 15).await;
    for _ in 0..3 {
        timeout(PATIENCE, mill.tell().into_future()).await.expect("it is heard").unwrap();
        others_had_their_turns().await;
    }
    for news in all {
        assert_eq!(timeout(PATIENCE, news).await.expect("it comes").unwrap().unwrap().len(), 1 << 20);
    }
}

#[tokio::test]
async fn a_result_that_was_too_long_does_not_end_its_method_for_all() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::public());
    assert_eq!(mill.blob(1).await.unwrap().len(), 1);
    assert_eq!(limit(mill.blob(65 << 20).await), "payload_bytes_max");
    let (other, _other_near, _other_far) = connect(&house, Limits::public(), &MemoryBudget::default());
    for _ in 0..50 {
        if other.blob(1).await.is_ok() {
            return;
        }
    }
    panic!("{:?}", other.blob(1).await);
}

#[tokio::test]
async fn calls_that_were_cancelled_say_nothing_of_what_a_method_returns() {
    let house = House::new();
    let (mill, _near, far) = mill(&house, Limits::public());
    let first = spawned(mill.news(1 << 20));
    eventually("it waits", || house.waiting.load(Ordering::SeqCst) == 1).await;
    mill.tell().await.unwrap();
    first.await.unwrap().unwrap();
    for _ in 0..20 {
        let cancelled = spawned(mill.news(1 << 20));
        eventually("it waits", || house.waiting.load(Ordering::SeqCst) == 1).await;
        cancelled.abort();
        eventually("it is over", || house.waiting.load(Ordering::SeqCst) == 0).await;
        while far.stats().await.answers_unfinished > 0 {}
    }
    let _all: Vec<_> = (0..100).map(|_| spawned(mill.news(1 << 20))).collect();
    eventually("they wait", || house.waiting.load(Ordering::SeqCst) >= 10).await;
    others_had_their_turns().await;
    let most = house.most_waiting.load(Ordering::SeqCst);
    assert!(most <= 64, "{most} were begun, each of which is expected to return 1 of 64 MiB");
}

#[tokio::test]
async fn calls_of_one_batch_have_room_for_their_results() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::public());
    assert_eq!(mill.page(0).await.unwrap().len(), 1 << 20);
    let pages = join_all((0..200).map(|number| mill.page(number).into_future())).await;
    let most = house.most_pages.load(Ordering::SeqCst);
    let came = pages.iter().filter(|page| page.is_ok()).count();
    assert!(most <= 18, "one call made {most} MiB of results, of which there may be 16; {came} came");
}

#[tokio::test]
async fn results_on_their_way_take_nothing_of_what_may_be_kept() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::public());
    let number = mill.number(5);
    let sum = mill.add(&number, 1);
    let sum = spawned(sum);
    eventually("it waits", || house.waiting.load(Ordering::SeqCst) == 1).await;
    let news: Vec<_> = (0..20).map(|_| spawned(mill.news(1 << 20))).collect();
    eventually("they wait", || house.waiting.load(Ordering::SeqCst) == 21).await;
    mill.tell().await.unwrap();
    let sum = sum.await.unwrap();
    assert_eq!(sum.unwrap(), 6, "one byte is kept, of 16 MiB");
    for news in news {
        news.await.unwrap().unwrap();
    }
}

// ---- what is charged ----

#[tokio::test]
async fn a_session_that_was_short_of_shared_memory_goes_on_when_there_is_some() {
    let (house, memory) = (House::new(), MemoryBudget::new(1 << 20));
    let (rich, _rich_near, _rich_far) = connect(&house, Limits::default(), &memory);
    let (poor, _poor_near, _poor_far) = connect(&house, Limits::default(), &memory);
    assert_eq!(poor.add(1, 2).await.unwrap(), 3);
    let mut stored = Vec::new();
    for _ in 0..100 {
        stored.push(spawned(rich.store(vec![1; 10_000])));
        others_had_their_turns().await;
        if memory.used() == memory.bytes_max() {
            break;
        }
    }
    assert_eq!(memory.used(), memory.bytes_max());
    assert_eq!(limit(poor.store(vec![1; 8_000]).await), "memory_budget");
    let small = poor.add(1, 2).await;
    house.open();
    for stored in stored {
        let _ = stored.await.unwrap();
    }
    eventually("all is given back", || memory.used() == 0).await;
    assert_eq!(poor.add(1, 2).await.unwrap(), 3, "nobody has anything of the memory");
    assert_eq!(small.unwrap(), 3, "small calls need nothing of it");
}

#[tokio::test]
async fn arguments_are_charged_while_they_are_decoded_elsewhere() {
    let (mill, _near, far) = mill(&House::new(), Limits::default());
    let ground = spawned(mill.grind(hard_grains()));
    eventually("they are being decoded", || MILLSTONE.begun.load(Ordering::SeqCst)).await;
    let stats = far.stats().await;
    MILLSTONE.go_on();
    ground.await.unwrap().unwrap();
    assert!(stats.session_bytes >= 100_000, "{stats:?}");
}

#[tokio::test]
async fn streams_that_are_over_are_charged_until_they_are_read() {
    let house = House::new();
    let (mill, _near, far) = mill(&house, Limits::default());
    let goods = || Streaming::from_iter((0..6).map(|_| Bytes::from(vec![1; 10_000])));
    let swallowed: Vec<_> = (0..30).map(|_| spawned(mill.swallow(goods()))).collect();
    eventually("all are at work", || house.waiting.load(Ordering::SeqCst) == 30).await;
    others_had_their_turns().await;
    let stats = far.stats().await;
    house.open();
    for swallowed in swallowed {
        assert_eq!(swallowed.await.unwrap().unwrap(), 6);
    }
    assert!(stats.stream_bytes_unread >= 30 * 60_000, "{stats:?}");
    assert!(stats.session_bytes >= stats.stream_bytes_unread, "{stats:?}");
}

#[tokio::test]
async fn a_batch_is_charged_for_its_own_arguments_alone() {
    let house = House::new();
    let (mill, _near, far) = mill(&house, Limits::default());
    // Decoded on this thread.
    assert_eq!(mill.list(200_000).await.unwrap().len(), 200_000);
    let sums: Vec<_> = (0..30).map(|number| spawned(mill.sum(number, 1))).collect();
    let mut stats = far.stats().await;
    while stats.answers_unfinished < 30 {
        stats = far.stats().await;
    }
    others_had_their_turns().await;
    let stats = far.stats().await;
    assert!(stats.session_bytes < 100_000, "{stats:?}");
    house.open();
    for sum in sums {
        sum.await.unwrap().unwrap();
    }
}

/// Calls of all kinds that are cancelled, run out of time, fail, or whose session ends in the middle.
async fn strain(seed: u64) {
    let (house, memory) = (House::new(), MemoryBudget::new(256 << 20));
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (ended_early, limits) =
        (next(2) == 0, if next(2) == 0 { Limits::public() } else { Limits::default() });
    let (mill, near, far) = connect(&house, limits, &memory);
    let mut calls: Vec<tokio::task::JoinHandle<()>> = Vec::new();
    let mut kept = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..150 {
        let mill =
            if next(4) == 0 { mill.deadline(Duration::from_micros(next(3_000))) } else { mill.clone() };
        let (size, number) = (next(30_000) * next(4), next(100));
        macro_rules! go {
            ($call:expr) => {{
                let call = $call.into_future();
                calls.push(tokio::spawn(async move {
                    let _ = call.await;
                }));
            }};
        }
        match next(16) {
            0 => go!(mill.store(vec![number; size as usize])),
            1 => go!(mill.grind(vec![Grain(number); size as usize])),
            2 => go!(mill.news(size * 10)),
            3 => go!(mill.blob(size * 20)),
            4 => (0..next(50)).for_each(|other| go!(mill.page(other))),
            5 => (0..next(50)).for_each(|other| go!(mill.sum(other, number))),
            6 => go!(mill.fail(vec![number; size as usize])),
            7 => kept.push(mill.list(size)),
            8 => {
                let list = mill.list(next(1_000));
                go!(list.map(|number| mill.add(number, 1)));
                kept.push(list);
            }
            9 => {
                let goods = mill.blob(next(20_000));
                go!(mill.list(next(900)).map(|number| mill.weigh(number, &goods)));
            }
            10 => {
                if let Some(list) = kept.last() {
                    go!(mill.store(list));
                }
            }
            11 if std::env::var("STRAIN_ALL").is_ok() => {
                go!(mill.grind_on(vec![Grain(number); size as usize]))
            }
            12 => {
                let mapped = mill.count(next(2_000)).map(|number| mill.add(number, 1));
                if let Ok(Ok(mapped)) = timeout(Duration::from_millis(20), mapped.into_future()).await {
                    streams.push(mapped);
                }
            }
            13 => {
                if let Some(mut stream) = streams.pop() {
                    let _ = timeout(Duration::from_millis(2), stream.next()).await;
                    if next(2) == 0 {
                        streams.push(stream);
                    }
                }
            }
            14 if !calls.is_empty() => {
                let call = next(calls.len() as u64) as usize;
                calls.swap_remove(call).abort();
            }
            15 => {
                house.word.notify_waiters();
                yield_now().await;
            }
            _ => {
                kept.truncate(next(4) as usize);
                yield_now().await;
            }
        }
    }
    if ended_early {
        drop((mill, kept, streams, near, far));
        calls.iter().for_each(|call| call.abort());
        eventually("all is given back", || memory.used() == 0).await;
        return;
    }
    calls.iter().for_each(|call| call.abort());
    drop((kept, streams));
    for _ in 0..2_000 {
        house.gate.add_permits(100);
        house.word.notify_waiters();
        let stats = far.stats().await;
        if stats.session_bytes == 0 && stats.answers_unfinished == 0 && memory.used() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stats = far.stats().await;
    assert!(stats.session_bytes == 0 && stats.answers_unfinished == 0, "seed {seed}: {stats:?}");
    assert_eq!(memory.used(), 0, "seed {seed}");
    assert_eq!(mill.add(1, 2).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_charged() {
    let seeds = std::env::var("STRAIN").ok().and_then(|many| many.parse().ok()).unwrap_or(20);
    for seed in 0..seeds {
        tokio::spawn(timeout(Duration::from_secs(30), strain(seed))).await.unwrap().expect("it ends");
    }
}

// ---- work ----

#[tokio::test(start_paused = true)]
async fn a_map_over_900_elements_with_a_capture_of_8_kib_can_be_run_at_some_time() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::public());
    let mut last = None;
    for _ in 0..10 {
        let goods = mill.blob(8 << 10);
        match mill.list(900).map(|number| mill.weigh(number, &goods)).await {
            Ok(weights) => return assert_eq!(weights.len(), 900),
            Err(error) => last = Some(error),
        }
        // Longer than it was told to.
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    panic!("{last:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_as_long_as_a_refusal_says_is_not_told_the_same_for_ever() {
    let house = House::new();
    let (mill, _near, _far) = mill(&house, Limits::public());
    let list = mill.list(900);
    for _ in 0..20 {
        match list.map(|number| mill.weigh(number, Bytes::from(vec![1; 400_000]))).await {
            Ok(_) => return,
            Err(CallError::Refused { refusal: Refusal::ResourceExhausted { retry_after, .. }, .. }) => {
                let Some(retry_after) = retry_after else { return };
                tokio::time::sleep(retry_after).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("it is to be tried again for ever");
}

// ---- parts with objects and streams in them ----

#[rpc]
trait Member {
    async fn name(&self) -> String;
}

struct Named(u64);

impl Member for Named {
    async fn name(&self) -> String {
        format!("m{}", self.0)
    }
}

#[rpc_core::data]
struct Table {
    host: MemberClient,
    padding: Vec<String>,
    guests: Vec<MemberClient>,
    late: Option<MemberClient>,
    songs: Streaming<u64>,
}

#[rpc_core::data]
struct Party {
    number: u64,
    chair: MemberClient,
    tables: Vec<Table>,
    first: Table,
    noise: Streaming<u64>,
    again: MemberClient,
}

#[rpc]
trait Club {
    async fn party(&self) -> Party;
    async fn name_of(&self, member: MemberClient) -> String;
    async fn names_of(&self, members: Vec<MemberClient>) -> Vec<String>;
    async fn name_of_any(&self, member: Option<MemberClient>) -> String;
    async fn table_of(&self, table: Table) -> String;
    async fn sing(&self, songs: Streaming<u64>) -> u64;
    async fn members(&self, count: u64) -> Vec<MemberClient>;
}

struct Hall;

fn table(number: u64, guests: u64) -> Table {
    let members: Vec<_> = (0..guests).map(|guest| MemberClient::local(Named(number + 1 + guest))).collect();
    Table {
        host: MemberClient::local(Named(number)),
        padding: (0..guests).map(|_| "x".repeat(3_000)).collect(),
        // The same twice.
        guests: members.iter().chain(members.first()).cloned().collect(),
        late: (guests > 1).then(|| members[1].clone()),
        songs: Streaming::from_iter(0..number),
    }
}

async fn names(members: &[MemberClient]) -> Vec<String> {
    join_all(members.iter().map(|member| async { member.name().await.unwrap() })).await
}

impl Club for Hall {
    async fn party(&self) -> Party {
        let chair = MemberClient::local(Named(7));
        Party {
            number: 1,
            again: chair.clone(),
            chair,
            tables: (1..=4).map(|number| table(number * 100, number)).collect(),
            first: table(900, 3),
            noise: Streaming::from_iter(0..5),
        }
    }
    async fn name_of(&self, member: MemberClient) -> String {
        member.name().await.unwrap()
    }
    async fn names_of(&self, members: Vec<MemberClient>) -> Vec<String> {
        names(&members).await
    }
    async fn name_of_any(&self, member: Option<MemberClient>) -> String {
        names(member.as_slice()).await.join(",")
    }
    async fn table_of(&self, table: Table) -> String {
        let Table { host, guests, late, mut songs, .. } = table;
        let mut count = 0;
        while let Some(Ok(_)) = songs.next().await {
            count += 1;
        }
        let all: Vec<_> = [host].into_iter().chain(guests).chain(late).collect();
        format!("{} {count}", names(&all).await.join(","))
    }
    async fn sing(&self, mut songs: Streaming<u64>) -> u64 {
        let mut count = 0;
        while let Some(Ok(_)) = songs.next().await {
            count += 1;
        }
        count
    }
    async fn members(&self, count: u64) -> Vec<MemberClient> {
        (0..count).map(|number| MemberClient::local(Named(number))).collect()
    }
}

#[tokio::test]
async fn parts_of_results_have_their_own_objects_and_streams() {
    let services = Services::new().with(ClubServer::new(Hall));
    let (near, far) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services, ..SessionConfig::default() },
    );
    let club: ClubClient = near.service();
    for _ in 0..3 {
        let party = club.party();
        let third = club.table_of(party.tables().index(2));
        let again = club.name_of(party.again());
        let any = club.name_of_any(party.tables().index(3).late());
        let guests = club.names_of(party.tables().index(1).guests());
        let guest = club.name_of(party.tables().index(3).guests().index(4));
        let first = club.table_of(party.first());
        let noise = club.sing(party.noise());
        let second = club.table_of(party.tables().index(1));
        let taken = club.table_of(party.tables().index(1));
        let chair = party.chair().name();
        let mapped = club.members(50).map(|member| club.name_of(member));
        let kept = club.members(50);
        let passed = kept.map(|member| member);
        let passed = club.names_of(&passed);
        assert_eq!(third.await.unwrap(), "m300,m301,m302,m303,m301,m302 300");
        assert_eq!(again.await.unwrap(), "m7");
        assert_eq!(any.await.unwrap(), "m402");
        assert_eq!(guests.await.unwrap(), ["m201", "m202", "m201"]);
        assert_eq!(guest.await.unwrap(), "m401");
        assert_eq!(first.await.unwrap(), "m900,m901,m902,m903,m901,m902 900");
        assert_eq!(noise.await.unwrap(), 5);
        assert_eq!(second.await.unwrap(), "m200,m201,m202,m201,m202 200");
        assert!(taken.await.is_err());
        assert_eq!(chair.await.unwrap(), "m7");
        let all: Vec<_> = (0..50).map(|number| format!("m{number}")).collect();
        assert_eq!(mapped.await.unwrap(), all);
        assert_eq!(passed.await.unwrap(), all);
    }
    for _ in 0..5_000 {
        let stats = far.stats().await;
        if stats.exports == 0 && stats.session_bytes == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?}", far.stats().await);
}
