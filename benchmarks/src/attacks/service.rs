//! What is attacked: methods that give attacks something to hold, to map over and to wait for.
//!
//! Handlers do next to nothing themselves, so that processor time and memory are the framework's.

use std::{
    future::pending,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use rpc_core::{Service, Streaming, rpc};

/// Everything that is worth attacking.
#[rpc]
pub(crate) trait Prey {
    async fn echo(&self, number: u64, text: String) -> (u64, String);
    /// So many bytes, at once.
    async fn bytes(&self, length: u64) -> Bytes;
    /// The same after it has let others run.
    async fn later(&self, length: u64) -> Bytes;
    async fn numbers(&self, count: u64) -> Vec<u64>;
    /// So many empty strings.
    async fn texts(&self, count: u64) -> Vec<String>;
    async fn grid(&self, rows: u64, columns: u64) -> Vec<Vec<u64>>;
    async fn pair(&self, number: u64) -> (u64, String);
    async fn same(&self, number: u64) -> u64;
    async fn length(&self, text: String) -> u64;
    async fn with_numbers(&self, number: u64, numbers: Vec<u64>) -> u64;
    async fn maybe(&self, number: Option<u64>, pair: (u64, String)) -> Option<u64>;
    async fn join(&self, first: Vec<String>, second: Vec<String>) -> Vec<String>;
    async fn fail(&self, number: u64) -> Result<u64, String>;
    // Handlers that never return.
    async fn park(&self, number: u64) -> u64;
    async fn park_bytes(&self, bytes: Bytes) -> u64;
    async fn park_numbers(&self, numbers: Vec<u64>) -> u64;
    async fn park_texts(&self, texts: Vec<String>) -> u64;
    /// Holds its thread for four milliseconds, in which it sleeps.
    async fn nap(&self, bytes: Bytes) -> u64;
    /// Items without end.
    async fn items(&self) -> Streaming<u64>;
    /// So many items.
    async fn some_items(&self, count: u64) -> Streaming<u64>;
    /// A stream of which nothing comes.
    async fn quiet(&self) -> Streaming<u64>;
    async fn drink(&self, items: Streaming<u64>) -> u64;
    async fn leaf(&self) -> LeafClient;
    /// Handlers that are parked now, and the most there have been.
    async fn parked(&self) -> (u64, u64);
}

/// An object.
#[rpc]
pub(crate) trait Leaf {
    async fn value(&self) -> u64;
    async fn next(&self) -> LeafClient;
}

/// What large results are cut from.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![7; 64 << 20]));

fn block(length: u64) -> Bytes {
    BLOCK.slice(..usize::try_from(length).unwrap_or(0).min(BLOCK.len()))
}

#[derive(Clone, Default)]
pub(crate) struct Victim {
    parked: Arc<Parked>,
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
    pub(crate) fn new() -> Self {
        // What it takes is no attack's.
        LazyLock::force(&BLOCK);
        Self::default()
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

    async fn bytes(&self, length: u64) -> Bytes {
        block(length)
    }

    async fn later(&self, length: u64) -> Bytes {
        tokio::task::yield_now().await;
        block(length)
    }

    async fn numbers(&self, count: u64) -> Vec<u64> {
        vec![7; usize::try_from(count).unwrap_or(0)]
    }

    async fn texts(&self, count: u64) -> Vec<String> {
        vec![String::new(); usize::try_from(count).unwrap_or(0)]
    }

    async fn grid(&self, rows: u64, columns: u64) -> Vec<Vec<u64>> {
        vec![vec![7; usize::try_from(columns).unwrap_or(0)]; usize::try_from(rows).unwrap_or(0)]
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
        first.extend(second);
        first
    }

    async fn fail(&self, number: u64) -> Result<u64, String> {
        if number.is_multiple_of(2) { Ok(number) } else { Err("odd".into()) }
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
        std::thread::sleep(Duration::from_millis(4));
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
