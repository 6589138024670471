//! The service under attack: methods that give attacks something to hold, to map over and to wait for.
//!
//! Handlers do next to nothing themselves, so that processor time is the framework's; what those that make large values take is
//! counted, to be taken off.

use std::{
    future::pending,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use rpc_core::{Service, Streaming, rpc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string of this length that takes nothing of the handler's. Unlike `Bytes`, it is encoded by copying.
pub(crate) struct Blob(usize);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&BLOCK[..self.0])
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(|bytes| Self(bytes.len()))
    }
}

/// A type whose layout is long in words.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Wide {
    a_field_with_a_name_that_is_long_and_says_little: (u64, String, Option<(u64, Vec<String>)>),
    another_field_with_a_name_that_is_as_long_as_that: (u64, String, Option<(u64, Vec<String>)>),
    a_third_field_so_that_there_are_more_than_two_of_it: (u64, String, Option<(u64, Vec<String>)>),
    narrower: Option<Wider>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Wider {
    fields_of_its_own_that_are_called_by_long_names: (u64, u64, u64, u64, u64, u64, u64, u64),
    and_again_a_field_whose_name_takes_some_space_here: (String, String, String, String, String),
    inner: Vec<Option<Result<u64, String>>>,
}

/// More elements are no handler's business.
const COUNT_MAX: u64 = 32 << 20;

fn count_of(count: u64) -> usize {
    usize::try_from(count.min(COUNT_MAX)).unwrap_or(0)
}

/// Everything that is worth attacking.
#[rpc]
pub(crate) trait Prey {
    async fn echo(&self, number: u64, text: String) -> (u64, String);
    /// Bytes of this number, at once.
    async fn bytes(&self, length: u64) -> Blob;
    /// The same after it has let others run.
    async fn later(&self, length: u64) -> Blob;
    /// The same in memory of its own.
    async fn fresh(&self, length: u64) -> Bytes;
    async fn numbers(&self, count: u64) -> Vec<u64>;
    /// Empty strings, of this number.
    async fn texts(&self, count: u64) -> Vec<String>;
    async fn grid(&self, rows: u64, columns: u64) -> Vec<Vec<u64>>;
    async fn pair(&self, number: u64) -> (u64, String);
    async fn same(&self, number: u64) -> u64;
    async fn length(&self, text: String) -> u64;
    async fn with_numbers(&self, number: u64, numbers: Vec<u64>) -> u64;
    async fn maybe(&self, number: Option<u64>, pair: (u64, String)) -> Option<u64>;
    async fn join(&self, first: Vec<String>, second: Vec<String>) -> Vec<String>;
    async fn fail(&self, number: u64) -> Result<u64, String>;
    async fn wide(&self, wide: Wide, wider: Option<Wide>) -> Result<Wide, Wider>;
    // Handlers that never return.
    async fn park(&self, number: u64) -> u64;
    async fn park_bytes(&self, bytes: Bytes) -> u64;
    async fn park_numbers(&self, numbers: Vec<u64>) -> u64;
    async fn park_texts(&self, texts: Vec<String>) -> u64;
    /// Holds its thread for two milliseconds, in which it sleeps.
    async fn nap(&self, bytes: Bytes) -> u64;
    /// Items without end.
    async fn items(&self) -> Streaming<u64>;
    /// A stream with this number of items.
    async fn some_items(&self, count: u64) -> Streaming<u64>;
    /// A stream of which nothing comes.
    async fn quiet(&self) -> Streaming<u64>;
    async fn drink(&self, items: Streaming<u64>) -> u64;
    async fn leaf(&self) -> LeafClient;
    /// Handlers that are parked now, and the most there have been.
    async fn parked(&self) -> (u64, u64);
    /// Microseconds that handlers have taken themselves.
    async fn spent_us(&self) -> u64;
}

/// An object.
#[rpc]
pub(crate) trait Leaf {
    async fn value(&self) -> u64;
    async fn next(&self) -> LeafClient;
}

/// What large results are cut from.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![7; COUNT_MAX as usize]));

#[derive(Clone, Default)]
pub(crate) struct Victim {
    parked: Arc<Parked>,
    spent_us: Arc<AtomicU64>,
    values_max: Option<usize>,
}

#[derive(Default)]
struct Parked {
    now: AtomicU64,
    most: AtomicU64,
}

struct Place(Arc<Parked>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Victim {
    pub(crate) fn new(values_max: Option<usize>) -> Self {
        // What it takes is no attack's.
        LazyLock::force(&BLOCK);
        Self { values_max, ..Self::default() }
    }

    fn many<T: Clone>(&self, value: T, count: u64) -> Vec<T> {
        let count = count_of(count).min(self.values_max.unwrap_or(usize::MAX));
        self.timed(|| vec![value; count])
    }

    /// Does what a handler does itself, and counts how long that takes.
    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let made = work();
        let us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.spent_us.fetch_add(us, Ordering::Relaxed);
        made
    }

    async fn wait_for_ever<T>(&self, held: T) -> u64 {
        let now = self.parked.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.parked.most.fetch_max(now, Ordering::Relaxed);
        let _place = Place(Arc::clone(&self.parked));
        let _held = held;
        pending().await
    }
}

impl Prey for Victim {
    async fn echo(&self, number: u64, text: String) -> (u64, String) {
        (number, text)
    }

    async fn bytes(&self, length: u64) -> Blob {
        Blob(count_of(length))
    }

    async fn later(&self, length: u64) -> Blob {
        tokio::task::yield_now().await;
        Blob(count_of(length))
    }

    async fn fresh(&self, length: u64) -> Bytes {
        self.timed(|| Bytes::from(vec![7; count_of(length)]))
    }

    async fn numbers(&self, count: u64) -> Vec<u64> {
        self.many(7, count)
    }

    async fn texts(&self, count: u64) -> Vec<String> {
        self.many(String::new(), count)
    }

    async fn grid(&self, rows: u64, columns: u64) -> Vec<Vec<u64>> {
        vec![vec![7; count_of(columns.min(64))]; count_of(rows.min(1_000))]
    }

    async fn pair(&self, number: u64) -> (u64, String) {
        (number, "a pair".into())
    }

    async fn same(&self, number: u64) -> u64 {
        number
    }

    async fn length(&self, text: String) -> u64 {
        text.len() as u64
    }

    async fn with_numbers(&self, number: u64, numbers: Vec<u64>) -> u64 {
        number + numbers.len() as u64
    }

    async fn maybe(&self, number: Option<u64>, pair: (u64, String)) -> Option<u64> {
        number.map(|number| number ^ pair.0)
    }

    async fn join(&self, mut first: Vec<String>, second: Vec<String>) -> Vec<String> {
        self.timed(|| {
            first.extend(second);
            first
        })
    }

    async fn fail(&self, number: u64) -> Result<u64, String> {
        if number.is_multiple_of(2) { Ok(number) } else { Err("odd".into()) }
    }

    async fn wide(&self, wide: Wide, _wider: Option<Wide>) -> Result<Wide, Wider> {
        Ok(wide)
    }

    async fn park(&self, number: u64) -> u64 {
        self.wait_for_ever(number).await
    }

    async fn park_bytes(&self, bytes: Bytes) -> u64 {
        self.wait_for_ever(bytes).await
    }

    async fn park_numbers(&self, numbers: Vec<u64>) -> u64 {
        self.wait_for_ever(numbers).await
    }

    async fn park_texts(&self, texts: Vec<String>) -> u64 {
        self.wait_for_ever(texts).await
    }

    async fn nap(&self, bytes: Bytes) -> u64 {
        std::thread::sleep(Duration::from_millis(2));
        bytes.len() as u64
    }

    async fn items(&self) -> Streaming<u64> {
        Streaming::from_iter(0..)
    }

    async fn some_items(&self, count: u64) -> Streaming<u64> {
        Streaming::from_iter(0..count)
    }

    async fn quiet(&self) -> Streaming<u64> {
        Streaming::new(stream::pending())
    }

    async fn drink(&self, items: Streaming<u64>) -> u64 {
        items.fold(0, async |sum, item| sum + u64::from(item.is_ok())).await
    }

    async fn leaf(&self) -> LeafClient {
        LeafClient::local(Green)
    }

    async fn spent_us(&self) -> u64 {
        self.spent_us.load(Ordering::Relaxed)
    }

    async fn parked(&self) -> (u64, u64) {
        (self.parked.now.load(Ordering::Relaxed), self.parked.most.load(Ordering::Relaxed))
    }
}

struct Green;

impl Leaf for Green {
    async fn value(&self) -> u64 {
        7
    }

    async fn next(&self) -> LeafClient {
        LeafClient::local(Self)
    }
}

/// A method as it is named on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    pub(crate) number: u32,
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) fingerprint: u64,
}

/// All methods, by the numbers that [`number_of`] gives.
pub(crate) fn methods() -> &'static [Method] {
    static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
        let (prey, leaf) = (PreyServer::new(Victim::default()), LeafServer::new(Green));
        let services = [prey.descriptor(), leaf.descriptor()];
        let methods = services.into_iter().flat_map(|service| {
            service.methods.iter().map(|method| (service.name, method.name, method.signature().fingerprint))
        });
        // 0 and 1 are built in.
        let named = (2..).zip(methods).map(|(number, (service, name, fingerprint))| Method {
            number,
            service,
            name,
            fingerprint,
        });
        named.collect()
    });
    &METHODS
}

/// The number of a method; none has 0.
pub(crate) fn number_of(name: &str) -> u32 {
    methods().iter().find(|method| method.name == name).map_or(0, |method| method.number)
}
