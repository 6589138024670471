//! Where long values are encoded and decoded: on threads of their own, so that nobody else waits for them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures::future::join_all;
use rpc_core::{Limits, Services, Streaming, driver::SessionConfig, memory, rpc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::timeout;

use crate::attacks::eventually;

/// A number that says by which threads it was encoded and decoded.
#[derive(Debug, Clone, PartialEq)]
struct Brick(u64);

/// What was done by which thread with the last of each list.
static SEEN: Mutex<Vec<(&str, Option<String>)>> = Mutex::new(Vec::new());

fn see(what: &'static str, brick: u64) {
    if brick == 0 {
        SEEN.lock().unwrap().push((what, thread::current().name().map(str::to_owned)));
    }
}

fn seen() -> Vec<(&'static str, Option<String>)> {
    std::mem::take(&mut *SEEN.lock().unwrap())
}

impl Serialize for Brick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        see("encoded", self.0);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Brick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let brick = u64::deserialize(deserializer)?;
        see("decoded", brick);
        Ok(Self(brick))
    }
}

fn bricks(count: u64) -> Vec<Brick> {
    (0..count).rev().map(Brick).collect()
}

/// Many numbers, of which it is known how many there are.
struct Heavy {
    numbers: Vec<u64>,
    _counted: Option<Counted>,
}

#[derive(Clone, Default)]
struct Counter {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Counted(Counter);

impl Counter {
    fn count(&self) -> Counted {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Serialize for Heavy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.numbers.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Heavy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|numbers| Self { numbers, _counted: None })
    }
}

#[rpc]
trait Kiln {
    async fn list(&self, count: u64) -> Vec<Brick>;
    async fn weigh(&self, bricks: Vec<Brick>) -> u64;
    #[rpc(batch = "weigh_all")]
    async fn weigh_many(&self, bricks: Vec<Brick>) -> u64;
    async fn weigh_all(&self, bricks: Vec<Vec<Brick>>) -> Vec<u64>;
    #[rpc(batch = "list_all")]
    async fn list_many(&self, count: u64) -> Vec<Brick>;
    async fn list_all(&self, counts: Vec<u64>) -> Vec<Vec<Brick>>;
    async fn items(&self, items: u64, count: u64) -> Streaming<Vec<Brick>>;
    async fn sent(&self, items: u64, count: u64) -> Streaming<Vec<Brick>>;
    async fn heavy(&self, items: u64) -> Streaming<Heavy>;
    async fn stuck(&self) -> Streaming<Stuck>;
}

#[derive(Clone, Default)]
struct Hoffmann {
    heavy: Counter,
}

impl Kiln for Hoffmann {
    async fn list(&self, count: u64) -> Vec<Brick> {
        bricks(count)
    }
    async fn weigh(&self, bricks: Vec<Brick>) -> u64 {
        bricks.len() as u64
    }
    async fn weigh_many(&self, bricks: Vec<Brick>) -> u64 {
        bricks.len() as u64
    }
    async fn weigh_all(&self, bricks: Vec<Vec<Brick>>) -> Vec<u64> {
        bricks.iter().map(|bricks| bricks.len() as u64).collect()
    }
    async fn list_many(&self, count: u64) -> Vec<Brick> {
        bricks(count)
    }
    async fn list_all(&self, counts: Vec<u64>) -> Vec<Vec<Brick>> {
        counts.into_iter().map(bricks).collect()
    }
    async fn items(&self, items: u64, count: u64) -> Streaming<Vec<Brick>> {
        Streaming::from_iter((0..items).map(move |_| bricks(count)))
    }
    async fn sent(&self, items: u64, count: u64) -> Streaming<Vec<Brick>> {
        let (mut sender, stream) = Streaming::channel(1);
        tokio::spawn(async move {
            for _ in 0..items {
                sender.send(bricks(count)).await.unwrap();
            }
            sender.finish();
        });
        stream
    }
    async fn stuck(&self) -> Streaming<Stuck> {
        Streaming::from_iter([Stuck])
    }
    async fn heavy(&self, items: u64) -> Streaming<Heavy> {
        let counter = self.heavy.clone();
        let heavy = move |_| Heavy { numbers: vec![u64::MAX; 30_000], _counted: Some(counter.count()) };
        Streaming::from_iter((0..items).map(heavy))
    }
}

#[tokio::test]
async fn what_is_long_is_encoded_and_decoded_elsewhere_from_the_first_time_on() {
    let server = Services::new().with(KilnServer::new(Hoffmann::default()));
    let client: KilnClient = memory::connect(server).service();
    // Finding out what the type looks like encodes and decodes it as well.
    assert_eq!(client.list(1).await.unwrap(), bricks(1));
    assert_eq!(client.weigh(bricks(1)).await.unwrap(), 1);
    seen();
    let aside = || Some("rpc-aside".to_owned());
    let here = || thread::current().name().map(str::to_owned);

    for (count, encoded_by) in [(100_000, aside()), (100, here()), (100_000, aside())] {
        assert_eq!(client.list(count).await.unwrap().len() as u64, count);
        assert_eq!(seen(), [("encoded", encoded_by), ("decoded", here())], "{count}");
    }
    for (count, decoded_by) in [(100_000, aside()), (100, here())] {
        assert_eq!(client.weigh(bricks(count)).await.unwrap(), count);
        assert_eq!(seen(), [("encoded", here()), ("decoded", decoded_by)], "{count}");
    }
    // Of a batch all arguments count together, and so do all results.
    let weighed = join_all((0..8).map(|_| client.weigh_many(bricks(15_000)).into_future())).await;
    assert!(weighed.into_iter().all(|weight| weight.unwrap() == 15_000));
    let by = seen();
    assert!(by.contains(&("decoded", aside())), "none is long by itself: {by:?}");
    let lists = join_all((0..8).map(|_| client.list_many(15_000).into_future())).await;
    assert!(lists.into_iter().all(|list| list.unwrap().len() == 15_000));
    let mut by = seen();
    by.retain(|(what, _)| *what == "encoded");
    assert_eq!(by.iter().filter(|(_, by)| *by == aside()).count(), 7, "the first is short: {by:?}");

    let mut items = client.items(3, 100_000).await.unwrap();
    while let Some(item) = items.next().await {
        assert_eq!(item.unwrap().len(), 100_000);
    }
    let mut items = client.sent(3, 100_000).await.unwrap();
    while let Some(item) = items.next().await {
        assert_eq!(item.unwrap().len(), 100_000);
    }
    let mut by = seen();
    by.retain(|(what, _)| *what == "encoded");
    assert_eq!(by, vec![("encoded", aside()); 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_make_nothing_while_a_long_item_is_encoded() {
    let kiln = Hoffmann::default();
    let limits = Limits { outgoing_bytes_max: 1 << 20, ..Limits::default() };
    let services = Services::new().with(KilnServer::new(kiln.clone()));
    let server = SessionConfig { services, limits, ..SessionConfig::default() };
    let (near, _far) = memory::connect_with(SessionConfig::default(), server);
    let client: KilnClient = near.service();
    let calls = (0..30).map(|_| client.heavy(5).into_future());
    let streams = join_all(calls).await.into_iter().map(|stream| async move {
        let mut stream = stream.unwrap();
        let mut count = 0;
        while let Some(item) = stream.next().await {
            assert_eq!(item.unwrap().numbers.len(), 30_000);
            count += 1;
        }
        count
    });
    assert_eq!(join_all(streams).await, [5; 30]);
    let most = kiln.heavy.most.load(Ordering::SeqCst);
    assert!(most <= 8, "{most} items of 30 streams at once");
}

#[tokio::test]
async fn a_stream_that_is_dropped_while_an_item_is_encoded_lets_the_others_go_on() {
    let client: KilnClient =
        memory::connect(Services::new().with(KilnServer::new(Hoffmann::default()))).service();
    let stuck = client.stuck().await.unwrap();
    eventually("its item is being encoded", || IS_STUCK.load(Ordering::SeqCst)).await;
    let mut items = client.items(3, 10).await.unwrap();
    let waiting = timeout(Duration::from_millis(50), items.next()).await;
    assert!(waiting.is_err(), "nothing is made meanwhile");
    drop(stuck);
    // The item is still being encoded, for nobody.
    let item = timeout(Duration::from_secs(10), items.next()).await.expect("it goes on");
    assert_eq!(item.unwrap().unwrap().len(), 10);
    IS_STUCK.store(false, Ordering::SeqCst);
}

#[tokio::test]
async fn the_calls_of_a_batch_share_what_is_left_of_the_memory() {
    let limits = Limits { session_bytes_max: 1 << 20, ..Limits::default() };
    let services = Services::new().with(KilnServer::new(Hoffmann::default()));
    let server = SessionConfig { services, limits, ..SessionConfig::default() };
    let (near, _far) = memory::connect_with(SessionConfig::default(), server);
    let client: KilnClient = near.service();
    // A byte each as they come, and eight decoded.
    let refused = async |calls: usize| {
        let calls = (0..calls).map(|_| client.weigh_many(vec![Brick(1); 1_500]).into_future());
        join_all(calls).await.into_iter().filter(Result::is_err).count()
    };
    assert_eq!(refused(16).await, 0);
    assert!(refused(80).await > 0, "each alone would have room");
    assert_eq!(refused(16).await, 0, "all is free again");
}

/// Many numbers, whose encoding on another thread does not end until it may.
struct Stuck;

static IS_STUCK: AtomicBool = AtomicBool::new(false);

impl Serialize for Stuck {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if thread::current().name() == Some("rpc-aside") {
            IS_STUCK.store(true, Ordering::SeqCst);
            while IS_STUCK.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        vec![u64::MAX; 30_000].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stuck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u64>::deserialize(deserializer).map(|_| Self)
    }
}
