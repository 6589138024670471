//! Streams of the service under test, and clients that read, feed and hold them.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, future::try_join_all, stream};
use rpc_client::Client;
use rpc_core::{Broadcast, Limits, Slow, Streaming, rpc};

use super::EchoClient;
use crate::drive::{Done, Failure, Moved, TEXT, when_told};

/// A number and sixteen bytes of text, as small calls have.
type Item = (u64, String);

/// What streams are read from and written to.
#[rpc]
pub(crate) trait Flow {
    /// Small items without end.
    async fn items(&self) -> Streaming<Item>;
    /// Long items without end.
    async fn blocks(&self, length: u64) -> Streaming<Bytes>;
    /// Reads to the end; how many bytes there were.
    async fn take(&self, blocks: Streaming<Bytes>) -> u64;
    /// What is sent to all subscribers.
    async fn news(&self) -> Streaming<Item>;
    /// Starts to send without end, until nobody is subscribed.
    async fn announce(&self);
    /// A stream of which nothing comes.
    async fn quiet(&self) -> Streaming<Item>;
}

/// Items that wait for a subscriber that is slower than the others.
const NEWS_ROOM: usize = 64;

#[derive(Clone)]
pub(crate) struct Flowing {
    news: Broadcast<Item>,
    announcing: Arc<Mutex<bool>>,
}

impl Default for Flowing {
    fn default() -> Self {
        Self { news: Broadcast::new(), announcing: Arc::default() }
    }
}

impl Flow for Flowing {
    async fn items(&self) -> Streaming<Item> {
        Streaming::from_iter((0..).map(|number| (number, TEXT.to_owned())))
    }

    async fn blocks(&self, length: u64) -> Streaming<Bytes> {
        let block = Bytes::from(vec![7; usize::try_from(length).unwrap_or(0)]);
        Streaming::from_iter(std::iter::repeat(block))
    }

    async fn take(&self, blocks: Streaming<Bytes>) -> u64 {
        blocks.fold(0, async |sum, block| sum + block.map_or(0, |block| block.len() as u64)).await
    }

    async fn news(&self) -> Streaming<Item> {
        self.news.subscribe(NEWS_ROOM, Slow::Block)
    }

    async fn announce(&self) {
        let mut announcing = self.announcing.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *announcing, true) {
            tokio::spawn(announce(self.clone()));
        }
    }

    async fn quiet(&self) -> Streaming<Item> {
        Streaming::new(stream::pending())
    }
}

async fn announce(flowing: Flowing) {
    for number in 0.. {
        {
            // Who subscribes and then asks for news while this ends must find that it has ended.
            let mut announcing = flowing.announcing.lock().unwrap_or_else(PoisonError::into_inner);
            if flowing.news.subscribers() == 0 {
                *announcing = false;
                return;
            }
        }
        if flowing.news.send(&(number, TEXT.to_owned())).await.is_err() {
            return;
        }
    }
}

/// A session that may have so many streams.
async fn connect(address: SocketAddr, streams: usize) -> Result<Client, Failure> {
    let limits = Limits { streams_max: streams.max(1_024), ..Limits::default() };
    Ok(Client::builder().limits(limits).connect(&format!("ws://{address}")).await?)
}

/// Bytes of long items read in `time`, from the first on.
pub(crate) async fn download(address: SocketAddr, length: usize, time: Duration) -> Result<Moved, Failure> {
    let flow: FlowClient = connect(address, 1).await?.service();
    tokio::spawn(async move {
        let mut blocks = flow.blocks(length as u64).await?;
        blocks.next().await.ok_or("the blocks ended")??;
        let started = Instant::now();
        let mut count = 0;
        while started.elapsed() < time {
            count += blocks.next().await.ok_or("the blocks ended")??.len() as u64;
        }
        Ok(Moved { count, time: started.elapsed() })
    })
    .await?
}

/// Bytes of long items that the server has read, when they were begun to be sent for `time`.
pub(crate) async fn upload(address: SocketAddr, length: usize, time: Duration) -> Result<Moved, Failure> {
    let flow: FlowClient = connect(address, 1).await?.service();
    let block = Bytes::from(vec![7; length]);
    let started = Instant::now();
    let blocks = std::iter::repeat(block).take_while(move |_| started.elapsed() < time);
    let count = flow.take(Streaming::from_iter(blocks)).await?;
    Ok(Moved { count, time: started.elapsed() })
}

/// Items of one producer that reach `subscribers` streams, spread over `connections`, in `time`.
pub(crate) async fn fan_out(
    address: SocketAddr,
    connections: usize,
    subscribers: usize,
    time: Duration,
) -> Result<Moved, Failure> {
    let each = subscribers / connections;
    let mut flows: Vec<FlowClient> = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..connections {
        let flow: FlowClient = connect(address, each).await?.service();
        streams.extend(try_join_all((0..each).map(|_| flow.news().into_future())).await?);
        flows.push(flow);
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers = streams.into_iter().map(|mut news| {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            let mut count = 0_u64;
            while let Some(item) = news.next().await {
                item?;
                if over.load(Ordering::Relaxed) {
                    break;
                }
                count += 1;
            }
            Ok::<u64, Failure>(count)
        })
    });
    let readers: Vec<_> = readers.collect();
    flows.first().ok_or("fanned out to nobody")?.announce().await?;
    let started = Instant::now();
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let time = started.elapsed();
    let mut count = 0;
    for reader in readers {
        count += reader.await??;
    }
    Ok(Moved { count, time })
}

/// What calls took, and how much was uploaded beside them.
pub(crate) struct Beside {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) uploaded: Option<Moved>,
}

/// The time of each of many small calls, one after the other, for `time` and at least `calls` of them. With `upload`, files
/// of so many bytes are uploaded on the same connection meanwhile, one after the other, and at least one.
pub(crate) async fn calls_beside(
    address: SocketAddr,
    upload: Option<usize>,
    calls: usize,
    time: Duration,
) -> Result<Beside, Failure> {
    const BLOCK: usize = 256 << 10;
    let client = connect(address, 1).await?;
    let (echo, flow): (EchoClient, FlowClient) = (client.service(), client.service());
    echo.small(7, TEXT).await?;
    let started = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let files = Arc::new(AtomicU64::new(0));
    let uploading = upload.map(|bytes| {
        let (over, files) = (Arc::clone(&over), Arc::clone(&files));
        tokio::spawn(async move {
            let block = Bytes::from(vec![7; BLOCK]);
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                let blocks = std::iter::repeat_n(block.clone(), bytes / BLOCK);
                count += flow.take(Streaming::from_iter(blocks)).await?;
                files.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failure>(Moved { count, time: started.elapsed() })
        })
    });
    let wants_file = uploading.is_some();
    let calling = tokio::spawn(async move {
        let mut latencies = Vec::new();
        let waits_for_file = || wants_file && files.load(Ordering::Relaxed) == 0;
        while started.elapsed() < time || latencies.len() < calls || waits_for_file() {
            let before = Instant::now();
            echo.small(7, TEXT).await?;
            latencies.push(before.elapsed());
        }
        Ok::<_, Failure>(latencies)
    });
    let latencies = calling.await??;
    over.store(true, Ordering::Relaxed);
    let uploaded = match uploading {
        Some(uploading) => Some(uploading.await??),
        None => None,
    };
    Ok(Beside { latencies, uploaded })
}

/// Opens streams when told to and leaves them alone.
pub(crate) async fn drive_idle(address: SocketAddr, count: usize) -> Result<(), Failure> {
    const TOGETHER: usize = 100;
    let flow: FlowClient = connect(address, count).await?.service();
    drop(flow.quiet().await?);
    let mut streams = Vec::with_capacity(count);
    when_told(async {
        let started = Instant::now();
        while streams.len() < count {
            let calls = (0..TOGETHER).map(|_| flow.quiet().into_future());
            streams.extend(try_join_all(calls).await?);
        }
        Ok(Done::moved(count as u64, started.elapsed()))
    })
    .await
}
