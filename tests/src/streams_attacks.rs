//! Streams of hostile strangers on real sockets, each beside a healthy client.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, future::ready};
use rpc_core::{Limits, StreamError, Streaming, close_codes, rpc};
use rpc_server::Server;
use tokio::time::timeout;

use crate::{
    attacks::{
        Healthy, MIB, Memory, eventually,
        stranger::{Batch, Call, EXHAUSTED, PATIENCE, Reply, Stranger, number_of},
    },
    sockets::TestServer,
    support::{PeopleServer, Village},
};

#[rpc]
pub(crate) trait Taps {
    async fn pour(&self) -> Streaming<Bytes>;
    async fn drink(&self, water: Streaming<Bytes>) -> u64;
    async fn store(&self, water: Streaming<Bytes>);
}

/// What is poured, drunk and stored.
#[derive(Clone, Default)]
pub(crate) struct Tap {
    /// Items that `pour` has made.
    poured: Arc<AtomicUsize>,
    /// Producers of `pour` and readers of `drink` at work.
    open: Arc<AtomicUsize>,
    /// Readers of `drink` whose session was lost.
    lost: Arc<AtomicUsize>,
    stored: Arc<Mutex<Vec<Streaming<Bytes>>>>,
}

pub(crate) type TapServer = TapsServer<Tap>;

struct Open(Arc<AtomicUsize>);

impl Open {
    fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Taps for Tap {
    async fn pour(&self) -> Streaming<Bytes> {
        let (poured, open) = (Arc::clone(&self.poured), Open::one(&self.open));
        Streaming::from_iter(std::iter::repeat_with(move || {
            let _ = &open;
            poured.fetch_add(1, Ordering::SeqCst);
            Bytes::from_static(&[7; 1_000])
        }))
    }

    async fn drink(&self, water: Streaming<Bytes>) -> u64 {
        let (lost, open) = (Arc::clone(&self.lost), Open::one(&self.open));
        // Reads on though nobody waits for the answer any more.
        let drinking = tokio::spawn(async move {
            let _open = open;
            let count = |length: u64, item: Result<Bytes, StreamError>| {
                if matches!(item, Err(StreamError::Disconnected(_))) {
                    lost.fetch_add(1, Ordering::SeqCst);
                }
                ready(length + item.map_or(0, |item| item.len() as u64))
            };
            water.fold(0, count).await
        });
        drinking.await.unwrap()
    }

    async fn store(&self, water: Streaming<Bytes>) {
        self.stored.lock().unwrap().push(water);
    }
}

async fn server_with(tap: &Tap, limits: Limits) -> TestServer {
    let people = PeopleServer::new(Village::default());
    let builder = Server::builder().service(people).service(TapsServer::new(tap.clone()));
    TestServer::start_with(builder.limits(limits)).await
}

/// That a healthy client's streams go both ways.
async fn check_streams(server: &TestServer) {
    let taps: TapsClient = server.client().await.service();
    let water = taps.pour().await.unwrap().take(200).map(|item| item.unwrap());
    let drunk = timeout(PATIENCE, taps.drink(Streaming::new(water)).into_future()).await;
    assert_eq!(drunk.expect("a healthy client's stream goes on").unwrap(), 200 * 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_no_items_stops_the_producers_of_its_streams_alone() {
    let tap = Tap::default();
    let server = server_with(&tap, Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    const STREAMS: usize = 20;
    for id in 1..=STREAMS as u64 {
        let reply = stranger.ask(&Call::new(id, number_of("pour"), &[])).await;
        assert!(matches!(reply, Reply::Value(_)));
    }
    // It opens each with a credit of 1 MiB, and grants nothing more.
    while stranger.item_bytes < STREAMS * 900 * 1_000 {
        stranger.read().await.unwrap();
    }
    stranger.check_alive(100).await;
    let poured = tap.poured.load(Ordering::SeqCst);
    assert!(poured <= STREAMS * 1_000, "{poured} items were made");
    check_streams(&server).await;
    healthy.check().await;
    drop(stranger);
    eventually("its producers are dropped", || tap.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_beyond_the_credit_end_the_session_and_its_readers_learn_of_it() {
    let tap = Tap::default();
    let server = server_with(&tap, Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    stranger.send(Batch::default().call(&Call::with_stream(1, "drink", 1))).await;
    stranger.send(Batch::default().call(&Call::with_stream(2, "store", 2))).await;
    assert_eq!(stranger.reply(2).await, Reply::Value(Vec::new()));
    for _ in 0..6 {
        stranger.try_send(Batch::default().item(2, &[7; 16_000])).await;
    }
    assert_eq!(stranger.close_code().await, close_codes::PROTOCOL);
    eventually("who drinks learns of it", || tap.lost.load(Ordering::SeqCst) == 1).await;
    let mut stored = tap.stored.lock().unwrap().pop().unwrap();
    for _ in 0..5 {
        assert_eq!(stored.next().await.unwrap().unwrap(), [7; 16_000][..]);
    }
    assert!(matches!(stored.next().await, Some(Err(StreamError::Disconnected(_)))));
    check_streams(&server).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn left_out_items_of_a_stream_that_nobody_reads_take_no_memory() {
    let tap = Tap::default();
    let server = server_with(&tap, Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    assert_eq!(stranger.ask(&Call::with_stream(1, "store", 1)).await, Reply::Value(Vec::new()));
    let many = (0..20_000).fold(Batch::default(), |batch, _| batch.missed(1, 3));
    for _ in 0..50 {
        stranger.send(many.clone()).await;
    }
    stranger.check_alive(2).await;
    memory.check_growth_below(40 * MIB);
    let mut stored = tap.stored.lock().unwrap().pop().unwrap();
    assert!(matches!(stored.next().await, Some(Err(StreamError::Missed { count: 3_000_000 }))));
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_end_unread_are_refused_before_they_fill_the_memory() {
    let tap = Tap::default();
    let server = server_with(&tap, Limits { streams_max: 64, ..Limits::default() }).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    let fill = |id| {
        let batch = Batch::default().call(&Call::with_stream(id, "store", id));
        (0..4).fold(batch, |batch, _| batch.item(id, &[7; 16_000])).end(id)
    };
    let mut refused = 0;
    for id in 1..=1_000 {
        stranger.send(fill(id)).await;
        match stranger.reply(id).await {
            Reply::Value(_) => {}
            reply => {
                reply.check_failed(EXHAUSTED, "streams_max");
                refused += 1;
            }
        }
    }
    assert!((900..1_000).contains(&refused), "{refused} were refused");
    memory.check_growth_below(40 * MIB);
    tap.stored.lock().unwrap().clear();
    // Gone, they make room for others.
    stranger.check_alive(1_001).await;
    assert_eq!(stranger.ask(&Call::with_stream(1_002, "store", 1_002)).await, Reply::Value(Vec::new()));
    check_streams(&server).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_items_that_never_come_hold_up_no_other_stream() {
    let tap = Tap::default();
    let server = server_with(&tap, Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    for id in 1..=100 {
        let batch = Batch::default().call(&Call::with_stream(id, "drink", id)).large_item(id, 8 << 20);
        stranger.send(batch).await;
    }
    eventually("they are awaited", || tap.open.load(Ordering::SeqCst) == 100).await;
    let other = Batch::default().call(&Call::with_stream(101, "drink", 101)).item(101, &[7; 100]).end(101);
    stranger.send(other).await;
    assert_eq!(stranger.reply(101).await, Reply::Value(vec![100]));
    stranger.check_alive(102).await;
    memory.check_growth_below(40 * MIB);
    drop(stranger);
    eventually("who drinks learns of the end", || tap.lost.load(Ordering::SeqCst) == 100).await;
    check_streams(&server).await;
    healthy.check().await;
}
