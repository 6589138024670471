//! Streams in every direction: what arrives, what stops, what is bounded, and how they end.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Context,
    time::Duration,
};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt, stream,
    task::{ArcWake, waker},
};
use rpc_client::Client;
use rpc_core::{
    Broadcast, CallError, CloseReason, ElementError, Limits, Refusal, Services, SessionHandle, Slow,
    StopReason, StreamError, StreamSender, Streaming, driver::SessionConfig, memory, rpc,
};
use rpc_server::Server;

#[rpc]
trait Spring {
    async fn upto(&self, end: u64) -> Streaming<u64>;
    async fn endless(&self) -> Streaming<u64>;
    async fn blocks(&self, count: u64, length: u64) -> Streaming<Bytes>;
    async fn failing(&self, after: u64) -> Result<Streaming<u64, Trouble>, Trouble>;
    async fn panicking(&self) -> Streaming<u64>;
    async fn abandoned(&self) -> Streaming<u64>;
    async fn sum(&self, numbers: Streaming<u64>) -> Result<u64, Trouble>;
    async fn length(&self, file: Streaming<Bytes>) -> u64;
    async fn doubled(&self, numbers: Streaming<u64>) -> Streaming<u64>;
    async fn same(&self, numbers: Streaming<u64>) -> Streaming<u64>;
    async fn first(&self, numbers: Streaming<u64>) -> u64;
    async fn refuse(&self, numbers: Streaming<u64>);
    async fn hold(&self, numbers: Streaming<u64>);
    async fn both(&self, left: Streaming<u64>, right: Streaming<u64>) -> Pair;
    async fn rows(&self) -> Streaming<Streaming<u64>>;
    async fn wells(&self, count: u64) -> Streaming<WellClient>;
    async fn drink(&self, wells: Streaming<WellClient>) -> u64;
    async fn news(&self) -> Streaming<String>;
    async fn tell(&self, text: String) -> u64;
    async fn add(&self, a: u64, b: u64) -> u64;
    async fn words(&self) -> Streaming<String>;
    async fn through(&self, well: WellClient) -> u64;
    async fn many(&self, count: u64) -> Vec<Streaming<u64>>;
    async fn newest(&self) -> Streaming<u64>;
    async fn strict(&self, number: u64) -> Result<u64, Trouble>;
    async fn both_of(&self, number: u64, numbers: Streaming<u64>) -> u64;
}

#[rpc]
trait Well {
    async fn depth(&self) -> u64;
    async fn echo(&self, numbers: Streaming<u64>) -> Streaming<u64>;
}

#[rpc_core::data]
struct Pair {
    left: Streaming<u64>,
    right: Option<Streaming<u64>>,
    count: u64,
}

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Trouble {
    #[error("dry after {0}")]
    Dry(u64),
    #[error("the numbers are not complete")]
    Incomplete,
}

#[derive(Clone)]
struct Source {
    /// Items that endless streams have made.
    made: Arc<AtomicUsize>,
    /// Endless streams that were dropped.
    dropped: Arc<AtomicUsize>,
    held: Arc<Mutex<Vec<Streaming<u64>>>>,
    news: Broadcast<String>,
    gauge: Broadcast<u64>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            made: Arc::default(),
            dropped: Arc::default(),
            held: Arc::default(),
            news: Broadcast::new(),
            gauge: Broadcast::new(),
        }
    }
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Spring for Source {
    async fn upto(&self, end: u64) -> Streaming<u64> {
        Streaming::from_iter(0..end)
    }
    async fn endless(&self) -> Streaming<u64> {
        let made = Arc::clone(&self.made);
        let dropped = Dropped(Arc::clone(&self.dropped));
        Streaming::from_iter((0..).inspect(move |_| {
            let _ = &dropped;
            made.fetch_add(1, Ordering::SeqCst);
        }))
    }
    async fn blocks(&self, count: u64, length: u64) -> Streaming<Bytes> {
        Streaming::from_iter((0..count).map(move |index| block(index, length)))
    }
    async fn failing(&self, after: u64) -> Result<Streaming<u64, Trouble>, Trouble> {
        let items = (0..after).map(Ok).chain([Err(Trouble::Dry(after))]);
        Ok(Streaming::try_new(stream::iter(items)))
    }
    async fn panicking(&self) -> Streaming<u64> {
        Streaming::from_iter((0..).map(|index| if index < 3 { index } else { panic!("dry") }))
    }
    async fn abandoned(&self) -> Streaming<u64> {
        let (mut sender, stream) = Streaming::channel(4);
        tokio::spawn(async move { sender.send(1).await });
        stream
    }
    async fn sum(&self, mut numbers: Streaming<u64>) -> Result<u64, Trouble> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number.map_err(|_| Trouble::Incomplete)?;
        }
        Ok(sum)
    }
    async fn length(&self, mut file: Streaming<Bytes>) -> u64 {
        let mut length = 0;
        let mut index = 0;
        while let Some(Ok(part)) = file.next().await {
            assert_eq!(part, block(index, part.len() as u64));
            length += part.len() as u64;
            index += 1;
        }
        length
    }
    async fn doubled(&self, numbers: Streaming<u64>) -> Streaming<u64> {
        Streaming::new(numbers.map(|number| 2 * number.unwrap()))
    }
    async fn same(&self, numbers: Streaming<u64>) -> Streaming<u64> {
        numbers
    }
    async fn first(&self, mut numbers: Streaming<u64>) -> u64 {
        numbers.next().await.unwrap().unwrap()
    }
    async fn refuse(&self, numbers: Streaming<u64>) {
        numbers.refuse("not today");
    }
    async fn hold(&self, numbers: Streaming<u64>) {
        self.held.lock().unwrap().push(numbers);
    }
    async fn both(&self, left: Streaming<u64>, right: Streaming<u64>) -> Pair {
        Pair { left, right: Some(right), count: 2 }
    }
    async fn rows(&self) -> Streaming<Streaming<u64>> {
        Streaming::from_iter((0..3).map(|row| Streaming::from_iter(row * 10..row * 10 + 3)))
    }
    async fn wells(&self, count: u64) -> Streaming<WellClient> {
        Streaming::from_iter((0..count).map(|depth| WellClient::local(Hole(depth))))
    }
    async fn drink(&self, mut wells: Streaming<WellClient>) -> u64 {
        let mut depth = 0;
        while let Some(well) = wells.next().await {
            depth += well.unwrap().depth().await.unwrap();
        }
        depth
    }
    async fn news(&self) -> Streaming<String> {
        self.news.subscribe(8, Slow::Block)
    }
    async fn tell(&self, text: String) -> u64 {
        self.news.send(&text).await.unwrap();
        self.news.subscribers() as u64
    }
    async fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }
    async fn strict(&self, number: u64) -> Result<u64, Trouble> {
        if number < 2 { Ok(number) } else { Err(Trouble::Dry(number)) }
    }
    async fn both_of(&self, number: u64, _: Streaming<u64>) -> u64 {
        number
    }
    async fn many(&self, count: u64) -> Vec<Streaming<u64>> {
        (0..count).map(|_| Streaming::from_iter(0..3)).collect()
    }
    async fn newest(&self) -> Streaming<u64> {
        self.gauge.subscribe(1, Slow::Latest)
    }
    async fn through(&self, well: WellClient) -> u64 {
        numbers(well.echo(Streaming::from_iter(0..3_000)).await.unwrap()).await.len() as u64
    }
    async fn words(&self) -> Streaming<String> {
        Streaming::from_iter(
            (0..100_u64).map(|index| "w".repeat(usize::try_from(index * index * 4).unwrap())),
        )
    }
}

struct Hole(u64);

impl Well for Hole {
    async fn depth(&self) -> u64 {
        self.0
    }
    async fn echo(&self, numbers: Streaming<u64>) -> Streaming<u64> {
        numbers
    }
}

/// Bytes that say which block they are of.
fn block(index: u64, length: u64) -> Bytes {
    (0..length).map(|at| (at ^ (at >> 8) ^ index) as u8).collect()
}

fn spring() -> (SpringClient, Source) {
    let source = Source::default();
    (memory::connect(Services::new().with(SpringServer::new(source.clone()))).service(), source)
}

async fn numbers(stream: Streaming<u64>) -> Vec<u64> {
    stream.map(|number| number.unwrap()).collect().await
}

/// Waits for what happens when others get their turn.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it did not come so");
}

#[tokio::test]
async fn a_result_streams_to_its_end() {
    let (spring, _) = spring();
    assert_eq!(numbers(spring.upto(0).await.unwrap()).await, [0_u64; 0]);
    let many = numbers(spring.upto(10_000).await.unwrap()).await;
    assert!(many.into_iter().eq(0..10_000));
}

#[tokio::test]
async fn an_argument_streams_while_the_call_runs() {
    let (spring, _) = spring();
    let (mut sender, stream) = Streaming::channel(1);
    let sum = spring.sum(stream);
    let sending = async move {
        for number in 1..=1_000 {
            sender.send(number).await.unwrap();
        }
        sender.finish();
    };
    let (sum, ()) = futures::join!(sum.into_future(), sending);
    assert_eq!(sum.unwrap(), 500_500);
}

#[tokio::test]
async fn streams_go_both_ways_at_once() {
    let (spring, _) = spring();
    let doubled = spring.doubled(Streaming::from_iter(0..5_000)).await.unwrap();
    assert!(numbers(doubled).await.into_iter().eq((0..5_000).map(|number| 2 * number)));
}

#[tokio::test]
async fn several_streams_travel_in_one_value() {
    let (spring, _) = spring();
    let pair = spring.both(Streaming::from_iter(0..3), Streaming::from_iter(5..8)).await.unwrap();
    assert_eq!(pair.count, 2);
    assert_eq!(numbers(pair.right.unwrap()).await, [5, 6, 7]);
    assert_eq!(numbers(pair.left).await, [0, 1, 2]);
}

#[tokio::test]
async fn items_can_be_streams_and_objects() {
    let (spring, _) = spring();
    let mut rows = spring.rows().await.unwrap();
    let mut read = Vec::new();
    while let Some(row) = rows.next().await {
        read.push(numbers(row.unwrap()).await);
    }
    assert_eq!(read, [[0, 1, 2], [10, 11, 12], [20, 21, 22]]);

    let mut wells = spring.wells(20).await.unwrap();
    let mut depth = 0;
    while let Some(well) = wells.next().await {
        depth += well.unwrap().depth().await.unwrap();
    }
    assert_eq!(depth, 190);
    // They go home again, and the service calls its own.
    assert_eq!(spring.drink(spring.wells(20).await.unwrap()).await.unwrap(), 190);
    assert_eq!(spring.drink(spring.wells(20)).await.unwrap(), 190);
    let mine = Streaming::from_iter((0..5).map(|depth| WellClient::local(Hole(depth))));
    assert_eq!(spring.drink(mine).await.unwrap(), 10);
}

#[tokio::test]
async fn long_items_arrive_whole_and_in_order() {
    let (spring, _) = spring();
    let mut blocks = spring.blocks(5, 3_000_000).await.unwrap();
    for index in 0..5 {
        assert_eq!(blocks.next().await.unwrap().unwrap(), block(index, 3_000_000));
    }
    assert!(blocks.next().await.is_none());
    // Mixed with short ones, and of a type that is looked at.
    let words = spring.words().await.unwrap();
    let lengths: Vec<usize> = words.map(|word| word.unwrap().len()).collect().await;
    assert!(lengths.into_iter().eq((0..100).map(|index| index * index * 4)));
    let file = Streaming::from_iter((0..40).map(|index| block(index, index * index * 100)));
    assert_eq!(spring.length(file).await.unwrap(), (0..40).map(|index| index * index * 100).sum::<u64>());
}

#[tokio::test]
async fn a_stream_ends_with_its_producers_error_once() {
    let (spring, _) = spring();
    let mut failing = spring.failing(2).await.unwrap();
    assert_eq!(failing.next().await.unwrap().unwrap(), 0);
    assert_eq!(failing.next().await.unwrap().unwrap(), 1);
    assert!(matches!(failing.next().await, Some(Err(StreamError::Failed(Trouble::Dry(2))))));
    assert!(failing.next().await.is_none());
    assert!(failing.next().await.is_none());

    let ends: Vec<_> = spring.panicking().await.unwrap().collect().await;
    assert!(matches!(ends[..], [Ok(0), Ok(1), Ok(2), Err(StreamError::Panicked)]), "{ends:?}");
    let ends: Vec<_> = spring.abandoned().await.unwrap().collect().await;
    assert!(matches!(ends[..], [Ok(1), Err(StreamError::Abandoned)]), "{ends:?}");
    // The session lives.
    assert_eq!(spring.add(1, 2).await.unwrap(), 3);

    let (sender, stream) = Streaming::<u64>::channel(1);
    drop(sender);
    let failed = spring.sum(stream).await;
    assert!(matches!(failed, Err(CallError::Method(Trouble::Incomplete))));
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_the_producer() {
    let (spring, source) = spring();
    let mut endless = spring.endless().await.unwrap();
    assert_eq!(endless.next().await.unwrap().unwrap(), 0);
    // Others go on beside it.
    for round in 0..100 {
        assert_eq!(spring.add(round, 1).await.unwrap(), round + 1);
        assert_eq!(numbers(spring.upto(100).await.unwrap()).await.len(), 100);
    }
    let made = source.made.load(Ordering::SeqCst);
    assert!(made < 5_000, "{made} were made for a reader of one");
    for number in 1..20_000 {
        assert_eq!(endless.next().await.unwrap().unwrap(), number);
    }
    drop(endless);
    until(|| source.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_producer_learns_why_nobody_reads_on() {
    let (spring, _) = spring();
    let (sender, stream) = Streaming::channel(1);
    spring.first(Streaming::from_iter(3..)).await.unwrap();
    let mut first = sender.clone();
    let one = spring.first(stream).into_future();
    first.send(7).await.unwrap();
    assert_eq!(one.await.unwrap(), 7);
    assert!(matches!(sender.stopped().await, StopReason::NotWanted));
    let stopped = first.send(8).await.unwrap_err();
    assert!(matches!(stopped.reason, StopReason::NotWanted));

    let (sender, stream) = Streaming::channel(1);
    spring.refuse(stream).await.unwrap();
    assert!(matches!(sender.stopped().await, StopReason::Refused { reason } if reason == "not today"));

    let (sender, stream) = Streaming::<u64>::channel(1);
    drop(stream);
    assert!(matches!(sender.stopped().await, StopReason::NotWanted));
}

/// Sends an item at the very moment at which it is woken, on whichever thread that is.
struct SendsWhenWoken {
    sender: Mutex<StreamSender<u64>>,
    sent: Mutex<Option<Result<(), StopReason>>>,
}

impl SendsWhenWoken {
    fn of(sender: &StreamSender<u64>) -> Arc<Self> {
        Arc::new(Self { sender: Mutex::new(sender.clone()), sent: Mutex::default() })
    }

    /// Has it woken by `event`, which must not have happened.
    fn on(self: &Arc<Self>, event: std::pin::Pin<&mut impl Future>) {
        assert!(event.poll(&mut Context::from_waker(&waker(Arc::clone(self)))).is_pending());
    }

    fn is_woken(&self) -> bool {
        self.sent.lock().unwrap().is_some()
    }

    #[track_caller]
    fn check_refused(&self) -> StopReason {
        match self.sent.lock().unwrap().take() {
            Some(Err(reason)) => reason,
            sent => panic!("the item of a sender that knew was not refused: {sent:?}"),
        }
    }
}

impl ArcWake for SendsWhenWoken {
    fn wake_by_ref(this: &Arc<Self>) {
        let sent = this.sender.lock().unwrap().send(2).now_or_never().expect("there is room");
        this.sent.lock().unwrap().get_or_insert(sent.map_err(|stopped| stopped.reason));
    }
}

#[tokio::test]
async fn no_item_is_taken_once_its_sender_can_know_that_the_reader_is_gone() {
    // Read in this process.
    let (sender, stream) = Streaming::channel(16);
    let knows = SendsWhenWoken::of(&sender);
    let mut stopped = pin!(sender.stopped());
    knows.on(stopped.as_mut());
    drop(stream);
    assert!(matches!(knows.check_refused(), StopReason::NotWanted));

    let (sender, stream) = Streaming::channel(16);
    let knows = SendsWhenWoken::of(&sender);
    let mut stopped = pin!(sender.stopped());
    knows.on(stopped.as_mut());
    stream.refuse("no more");
    assert!(matches!(knows.check_refused(), StopReason::Refused { reason } if reason == "no more"));

    // Read by a peer, in windows and one by one.
    let (spring, source) = spring();
    for one_by_one in [false, true] {
        let (sender, stream) = Streaming::channel(16);
        let stream = if one_by_one { stream.one_by_one() } else { stream };
        let knows = SendsWhenWoken::of(&sender);
        let mut stopped = pin!(sender.stopped());
        knows.on(stopped.as_mut());
        spring.hold(stream).await.unwrap();
        source.held.lock().unwrap().clear();
        until(|| knows.is_woken()).await;
        assert!(matches!(knows.check_refused(), StopReason::NotWanted));
    }
}

/// Its place in the queue of those that wait at home may be kept for long.
#[tokio::test(start_paused = true)]
async fn the_producer_of_a_call_that_is_never_sent_learns_of_it_at_once() {
    let services = Services::new().with(SpringServer::new(Source::default()));
    let limits = Limits { calls_max: 1, ..Limits::default() };
    let server = SessionConfig { services, limits, ..SessionConfig::default() };
    let (client, _server) = memory::connect_with(SessionConfig::default(), server);
    let spring: SpringClient = client.service();
    assert_eq!(spring.add(1, 2).await.unwrap(), 3);
    let mut running = pin!(spring.length(Streaming::new(stream::pending())).into_future());
    assert!(futures::poll!(&mut running).is_pending());
    let mut waiting = pin!(spring.add(1, 2).into_future());
    assert!(futures::poll!(&mut waiting).is_pending());
    let (dropped_sender, numbers) = Streaming::channel(1);
    let mut dropped = Box::pin(spring.hold(numbers).into_future());
    assert!(futures::poll!(&mut dropped).is_pending());
    let (late_sender, numbers) = Streaming::channel(1);
    let late = spring.deadline(Duration::from_millis(100)).hold(numbers);
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(dropped);
    let patience = Duration::from_secs(60);
    let stopped = tokio::time::timeout(patience, dropped_sender.stopped()).await;
    assert!(matches!(stopped, Ok(StopReason::NotWanted)), "{stopped:?}");
    assert!(matches!(late.await, Err(CallError::DeadlineExceeded { .. })));
    let stopped = tokio::time::timeout(patience, late_sender.stopped()).await;
    assert!(matches!(stopped, Ok(StopReason::NotWanted)), "{stopped:?}");
    assert!(futures::poll!(&mut waiting).is_pending());
}

#[tokio::test]
async fn no_item_is_taken_once_its_sender_can_know_that_the_session_is_over() {
    let services = Services::new().with(SpringServer::new(Source::default()));
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let config = |services| SessionConfig { services, limits: limits.clone(), ..SessionConfig::default() };
    let (client, server) = memory::connect_with(config(Services::new()), config(services));
    let spring: SpringClient = client.service();
    let (sender, stream) = Streaming::channel(16);
    spring.hold(stream).await.unwrap();
    let (by_session, by_call) = (SendsWhenWoken::of(&sender), SendsWhenWoken::of(&sender));
    let mut closed = pin!(client.closed());
    by_session.on(closed.as_mut());
    let mut call = pin!(spring.length(Streaming::new(stream::pending())).into_future());
    by_call.on(call.as_mut());
    while server.stats().await.answers_unfinished == 0 {
        tokio::task::yield_now().await;
    }
    server.close().await;
    until(|| by_session.is_woken() && by_call.is_woken()).await;
    let call = call.await;
    assert!(matches!(call, Err(CallError::Disconnected { .. })), "{call:?}");
    for knows in [by_session, by_call] {
        assert!(matches!(knows.check_refused(), StopReason::Disconnected(CloseReason::Peer { .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_was_told_of_the_end_sends_nothing_however_the_threads_run() {
    let (spring, _) = spring();
    for round in 0..2_000 {
        let (mut sender, stream) = Streaming::channel(4);
        let first = spring.first(stream).into_future();
        sender.send(1).await.unwrap();
        assert_eq!(first.await.unwrap(), 1);
        assert!(matches!(sender.stopped().await, StopReason::NotWanted));
        assert!(sender.send(2).await.is_err(), "round {round}");
    }
}

#[tokio::test]
async fn the_end_of_a_session_reaches_both_ends_of_its_streams() {
    let source = Source::default();
    let services = Services::new().with(SpringServer::new(source.clone()));
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let config = |services| SessionConfig { services, limits: limits.clone(), ..SessionConfig::default() };
    let (client, server) = memory::connect_with(config(Services::new()), config(services));
    let spring: SpringClient = client.service();
    let (sender, stream) = Streaming::channel(1);
    spring.hold(stream).await.unwrap();
    let mut endless = spring.endless().await.unwrap();
    endless.next().await.unwrap().unwrap();
    server.close().await;
    assert!(matches!(sender.stopped().await, StopReason::Disconnected(CloseReason::Peer { .. })));
    let mut last = None;
    while let Some(item) = endless.next().await {
        last = Some(item);
    }
    assert!(matches!(last, Some(Err(StreamError::Disconnected(_)))), "{last:?}");
    let held = source.held.lock().unwrap().pop().unwrap();
    let ends: Vec<_> = held.collect().await;
    assert!(matches!(ends[..], [Err(StreamError::Disconnected(_))]), "{ends:?}");
    until(|| source.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_promised_stream_is_an_argument_and_never_comes_by() {
    let (spring, source) = spring();
    assert_eq!(spring.sum(spring.upto(1_000)).await.unwrap(), 499_500);
    assert_eq!(spring.sum(spring.doubled(spring.upto(1_000))).await.unwrap(), 999_000);
    // The call that was built on it gets it, not the promise that is alive beside.
    let upto = spring.upto(10);
    let sum = spring.sum(&upto);
    let (upto, sum) = rpc_core::join!(upto, sum);
    assert_eq!(sum.unwrap(), 45);
    assert!(
        matches!(upto, Err(CallError::Refused { refusal: Refusal::InvalidReference { .. }, .. })),
        "{upto:?}"
    );
    // The second finds it taken.
    let upto = spring.upto(10);
    let (first, second) = (spring.sum(&upto), spring.sum(&upto));
    let (first, second) = rpc_core::join!(first, second);
    assert_eq!(first.unwrap(), 45);
    assert!(
        matches!(second, Err(CallError::Refused { refusal: Refusal::InvalidReference { .. }, .. })),
        "{second:?}"
    );
    assert_eq!(source.made.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stream_is_passed_on_also_when_a_part_was_read() {
    let (spring, source) = spring();
    let (other, _) = self::spring();
    // To a third party, and home again.
    assert_eq!(other.sum(spring.upto(5_000).await.unwrap()).await.unwrap(), 12_497_500);
    assert_eq!(spring.sum(spring.upto(5_000).await.unwrap()).await.unwrap(), 12_497_500);
    let back = spring.same(Streaming::from_iter(0..5_000)).await.unwrap();
    assert_eq!(numbers(back).await.len(), 5_000);
    // With long items.
    assert_eq!(other.length(spring.blocks(4, 300_000).await.unwrap()).await.unwrap(), 1_200_000);
    // In part.
    let mut part = spring.upto(10).await.unwrap();
    assert_eq!(part.next().await.unwrap().unwrap(), 0);
    assert_eq!(part.next().await.unwrap().unwrap(), 1);
    assert_eq!(other.sum(part).await.unwrap(), 44);
    // Its objects keep working.
    assert_eq!(other.drink(spring.wells(5).await.unwrap()).await.unwrap(), 10);
    // A reader at the far end that stops stops the first producer.
    let (held, last) = self::spring();
    held.hold(spring.endless().await.unwrap()).await.unwrap();
    let far = last.held.lock().unwrap().pop().unwrap();
    until(|| source.made.load(Ordering::SeqCst) > 0).await;
    assert!(source.made.load(Ordering::SeqCst) < 10_000);
    drop(far);
    until(|| source.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_local_stream_is_read_without_a_session() {
    assert_eq!(numbers(Streaming::from_iter(0..3)).await, [0, 1, 2]);
    let mut nested = Streaming::from_iter([Streaming::from_iter([1_u64, 2])]);
    assert_eq!(numbers(nested.next().await.unwrap().unwrap()).await, [1, 2]);
}

#[tokio::test]
async fn too_many_streams_are_refused_and_nothing_is_lost() {
    let limits = Limits { streams_max: 64, ..Limits::default() };
    let services = Services::new().with(SpringServer::new(Source::default()));
    let config = |services| SessionConfig { services, limits: limits.clone(), ..SessionConfig::default() };
    let (client, _server) = memory::connect_with(config(Services::new()), config(services));
    let spring: SpringClient = client.service();
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(spring.endless().await.unwrap());
    }
    let refused = spring.endless().await;
    let is_limit = |refused: &Result<_, CallError<rpc_core::Never>>| matches!(refused, Err(CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. }) if limit == "streams_max");
    assert!(is_limit(&refused), "{refused:?}");
    held.pop();
    until_ready(&client, 63).await;
    assert_eq!(held[0].next().await.unwrap().unwrap(), 0);
    held.push(spring.endless().await.unwrap());
    let mut mine = Vec::new();
    for _ in 0..64 {
        let (sender, stream) = Streaming::<u64>::channel(1);
        mine.push(sender);
        spring.hold(stream).await.unwrap();
    }
    let refused = spring.hold(Streaming::from_iter([1])).await;
    assert!(
        matches!(refused, Err(CallError::Refused { refusal: Refusal::ResourceExhausted { .. }, .. })),
        "{refused:?}"
    );
    assert_eq!(spring.add(1, 1).await.unwrap(), 2);
}

async fn until_ready(session: &SessionHandle, streams: usize) {
    for _ in 0..10_000 {
        if session.stats().await.streams_received == streams {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the streams did not go");
}

#[tokio::test]
async fn a_broadcast_reaches_all_and_blocks_for_who_wants_it() {
    let (spring, source) = spring();
    let mut first = spring.news().await.unwrap();
    let second = spring.news().await.unwrap();
    assert_eq!(spring.tell("one").await.unwrap(), 2);
    assert_eq!(first.next().await.unwrap().unwrap(), "one");
    drop(second);
    until(|| source.news.subscribers() == 1).await;
    assert_eq!(spring.tell("two").await.unwrap(), 1);
    assert_eq!(first.next().await.unwrap().unwrap(), "two");
    source.news.close();
    assert!(first.next().await.is_none());
    assert!(spring.news().await.unwrap().next().await.is_none());
}

#[tokio::test]
async fn slow_subscribers_get_what_they_chose() {
    let news = Broadcast::<u64>::new();
    let blocking = news.subscribe(2, Slow::Block);
    let lossy = news.subscribe(2, Slow::DropOldest);
    let latest = news.subscribe(5, Slow::Latest);
    let strict = news.subscribe(2, Slow::Disconnect);
    let sending = async {
        for number in 0..5 {
            news.send(&number).await.unwrap();
        }
        news.close();
    };
    let is_blocked = AtomicBool::new(true);
    let reading = async {
        tokio::task::yield_now().await;
        is_blocked.store(false, Ordering::SeqCst);
        numbers(blocking).await
    };
    let ((), read) = futures::join!(sending, reading);
    assert_eq!(read, [0, 1, 2, 3, 4]);
    let lossy: Vec<_> = lossy.collect().await;
    assert!(matches!(lossy[..], [Err(StreamError::Missed { count: 3 }), Ok(3), Ok(4)]), "{lossy:?}");
    assert_eq!(numbers(latest).await, [4]);
    let strict: Vec<_> = strict.collect().await;
    let [Ok(0), Ok(1), Err(StreamError::Broken { reason })] = &strict[..] else { panic!("{strict:?}") };
    assert_eq!(reason, "the reader fell behind the broadcast by more than the 2 items that wait for it");
}

#[tokio::test]
async fn streams_run_over_real_sockets() {
    let source = Source::default();
    let server =
        Server::builder().service(SpringServer::new(source.clone())).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve());
    let client = Client::connect(&format!("ws://{address}")).await.unwrap();
    let spring: SpringClient = client.service();
    assert_eq!(numbers(spring.upto(100_000).await.unwrap()).await.len(), 100_000);
    let file = Streaming::from_iter((0..64).map(|index| block(index, 500_000)));
    assert_eq!(spring.length(file).await.unwrap(), 32_000_000);
    let mut blocks = spring.blocks(10, 1 << 20).await.unwrap();
    let mut length = 0;
    while let Some(part) = blocks.next().await {
        length += part.unwrap().len();
    }
    assert_eq!(length, 10 << 20);
    let first: StreamSender<u64> = {
        let (sender, stream) = Streaming::channel(1);
        spring.hold(stream).await.unwrap();
        sender
    };
    client.close().await;
    assert!(matches!(first.stopped().await, StopReason::Disconnected(_)));
}

#[tokio::test]
async fn a_map_over_a_stream_runs_next_to_it() {
    let (spring, _) = spring();
    let mapped = spring.upto(1_000).map(|number| spring.add(number, 1)).await.unwrap();
    let mapped: Vec<_> = mapped.map(|number| number.unwrap()).collect().await;
    assert!(mapped.into_iter().eq(1..=1_000));
    // Its result is a stream like others: passed on before it is here.
    let sum = spring.doubled(spring.upto(10)).map(|number| spring.add(&number, &number));
    let all: Vec<_> = sum.await.unwrap().collect().await;
    assert!(all.into_iter().map(|number| number.unwrap()).eq((0..10).map(|number| 4 * number)));
    // Objects and streams of items work as they do elsewhere.
    let depths = spring.wells(30).map(|well| well.depth()).await.unwrap();
    assert!(depths.map(|depth| depth.unwrap()).collect::<Vec<_>>().await.into_iter().eq(0..30));
    let rows = spring.upto(3).map(|number| spring.upto(number)).await.unwrap();
    let rows: Vec<_> = rows.collect().await;
    let mut lengths = Vec::new();
    for row in rows {
        lengths.push(numbers(row.unwrap()).await.len());
    }
    assert_eq!(lengths, [0, 1, 2]);
}

#[tokio::test]
async fn an_item_that_fails_a_map_is_told_with_its_error() {
    let (spring, _) = spring();
    let mut mapped = spring.upto(5).map(|number| spring.strict(number)).await.unwrap();
    assert_eq!(mapped.next().await.unwrap().unwrap(), 0);
    assert_eq!(mapped.next().await.unwrap().unwrap(), 1);
    let failed = mapped.next().await.unwrap().unwrap_err();
    assert!(matches!(&failed, StreamError::Failed(ElementError::Method(Trouble::Dry(2)))), "{failed:?}");
    assert!(mapped.next().await.is_none());

    let each = spring.upto(4).map_each(|number| spring.strict(number)).await.unwrap();
    let each: Vec<_> = each.map(|item| item.unwrap()).collect().await;
    assert!(matches!(
        each[..],
        [
            Ok(0),
            Ok(1),
            Err(ElementError::Method(Trouble::Dry(2))),
            Err(ElementError::Method(Trouble::Dry(3)))
        ]
    ));
    // As what it maps over fails, so does it.
    let broken: Vec<_> = spring.failing(2).map(|number| spring.add(number, 1)).await.unwrap().collect().await;
    assert!(matches!(broken[..], [Ok(1), Ok(2), Err(StreamError::Broken { .. })]), "{broken:?}");
    let ends: Vec<_> = spring.panicking().map(|number| spring.add(number, 1)).await.unwrap().collect().await;
    assert!(matches!(ends[..], [Ok(1), Ok(2), Ok(3), Err(StreamError::Panicked)]), "{ends:?}");
}

#[tokio::test]
async fn a_map_over_an_endless_stream_goes_as_far_as_it_is_read() {
    let (spring, source) = spring();
    let mut mapped = spring.endless().map(|number| spring.add(number, 1)).await.unwrap();
    for number in 1..5_000 {
        assert_eq!(mapped.next().await.unwrap().unwrap(), number);
    }
    let made = source.made.load(Ordering::SeqCst);
    assert!(made < 12_000, "{made} were made");
    drop(mapped);
    until(|| source.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_stream_cannot_be_an_argument_of_every_element() {
    let (spring, _) = spring();
    let stream = std::cell::RefCell::new(Some(Streaming::from_iter([1_u64])));
    let refused = spring.upto(3).map(|number| spring.both_of(number, stream.take().unwrap())).await;
    assert!(
        matches!(refused, Err(CallError::Refused { refusal: Refusal::Misuse { .. }, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn dropping_other_handles_ends_no_stream() {
    let source = Source::default();
    let session = memory::connect(Services::new().with(SpringServer::new(source.clone())));
    let spring: SpringClient = session.service();
    let upto = spring.upto(50_000).await.unwrap();
    let (mut sender, stream) = Streaming::channel(1);
    spring.hold(stream).await.unwrap();
    drop((session, spring));
    assert_eq!(numbers(upto).await.len(), 50_000);
    // This side has no handle at all any more, and goes on sending.
    let mut held = source.held.lock().unwrap().pop().unwrap();
    for number in 0..5_000 {
        sender.send(number).await.unwrap();
        assert_eq!(held.next().await.unwrap().unwrap(), number);
    }
    sender.finish();
    assert!(held.next().await.is_none());
}

#[tokio::test]
async fn what_cannot_be_encoded_leaves_its_streams_where_they_are() {
    /// Refuses to be encoded.
    struct Unencodable;
    impl serde::Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not like this"))
        }
    }
    let item = (Streaming::from_iter([1_u64, 2]), Unencodable);
    let broadcast = Broadcast::new();
    let subscriber = broadcast.subscribe(1, Slow::Block);
    broadcast.send(&item).await.unwrap_err();
    assert_eq!(numbers(item.0).await, [1, 2]);
    drop(subscriber);
    // A stream of what cannot be encoded breaks off behind what could, and says why.
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Small(u64);
    impl serde::Serialize for Small {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 > 2 {
                return Err(serde::ser::Error::custom("it is too large"));
            }
            serializer.serialize_newtype_struct("Small", &self.0)
        }
    }
    let ends: Vec<_> = Streaming::from_iter((1..9).map(Small)).collect().await;
    let [Ok(Small(1)), Ok(Small(2)), Err(StreamError::Broken { reason })] = &ends[..] else {
        panic!("{ends:?}")
    };
    assert!(reason.contains("too large"), "{reason}");
}

#[tokio::test]
async fn a_client_and_a_stream_are_told_apart() {
    let (spring, _) = spring();
    // The layouts differ, so the call is refused by its signature before anything is decoded.
    let descriptor = |name: &str| {
        let service = <SpringClient as rpc_core::ServiceClient>::descriptor();
        service.methods.iter().find(|method| method.name == name).unwrap()
    };
    assert_eq!(descriptor("wells").signature().result.to_string(), "stream<Well>");
    assert_eq!(
        descriptor("failing").signature().result.to_string(),
        "stream<u64, enum{Dry(u64), Incomplete}>"
    );
    assert_eq!(descriptor("rows").signature().result.to_string(), "stream<stream<u64>>");
    assert_ne!(
        descriptor("upto").signature().result.fingerprint(),
        descriptor("wells").signature().result.fingerprint()
    );
    assert_eq!(spring.add(1, 1).await.unwrap(), 2);
}

#[tokio::test]
async fn streams_go_through_objects_of_third_parties_and_call_backs() {
    let (spring, _) = spring();
    let (other, _) = self::spring();
    let mut wells = spring.wells(2).await.unwrap();
    let well = wells.next().await.unwrap().unwrap();
    // The second server calls an object of the first, through here, both ways with a stream.
    assert_eq!(other.through(well).await.unwrap(), 3_000);
    assert_eq!(spring.through(WellClient::local(Hole(1))).await.unwrap(), 3_000);
    // Of an object that is not here yet.
    let well = wells.next().await.unwrap().unwrap();
    let echo = well.echo(spring.upto(500));
    assert_eq!(numbers(echo.await.unwrap()).await.len(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_deadline_of_its_call() {
    let (spring, _) = spring();
    let mut upto = spring.deadline(Duration::from_millis(100)).upto(1_000).await.unwrap();
    assert_eq!(upto.next().await.unwrap().unwrap(), 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(numbers(upto).await.len(), 999);
    // A call that waits for its stream does not.
    let (_sender, stream) = Streaming::<u64>::channel(1);
    let late = spring.deadline(Duration::from_millis(100)).sum(stream).await;
    assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
}

#[tokio::test]
async fn a_list_of_many_streams_is_within_the_budget_of_its_payload() {
    let (spring, _) = spring();
    for count in [26, 100, 1_000] {
        let mut many = spring.many(count).await.unwrap();
        assert_eq!(numbers(many.pop().unwrap()).await, [0, 1, 2]);
    }
}

#[tokio::test]
async fn the_newest_value_is_at_most_one_item_old() {
    let (spring, source) = spring();
    let mut newest = spring.newest().await.unwrap();
    for number in 0..5_000 {
        source.gauge.send(&number).await.unwrap();
        tokio::task::yield_now().await;
    }
    source.gauge.close();
    let read: Vec<u64> = numbers(newest_rest(&mut newest).await).await;
    assert!(read.len() <= 3 && read.last() == Some(&4_999), "{read:?}");
}

/// The same stream, after its first item came.
async fn newest_rest(newest: &mut Streaming<u64>) -> Streaming<u64> {
    newest.next().await.unwrap().unwrap();
    std::mem::replace(newest, Streaming::from_iter([]))
}

#[tokio::test]
async fn a_producer_goes_no_more_than_one_item_ahead_where_it_is_told_so() {
    let (spring, source) = spring();
    let made = Arc::clone(&source.made);
    let stream = Streaming::from_iter((0..).inspect(move |_| {
        made.fetch_add(1, Ordering::SeqCst);
    }));
    spring.hold(stream.one_by_one()).await.unwrap();
    let mut held = source.held.lock().unwrap().pop().unwrap();
    for number in 0..50 {
        assert_eq!(held.next().await.unwrap().unwrap(), number);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(source.made.load(Ordering::SeqCst) as u64 <= number + 2);
    }
    // Long items need no round trip a chunk.
    let words = Streaming::from_iter((0..4).map(|index| block(index, 1 << 20))).one_by_one();
    assert_eq!(spring.length(words).await.unwrap(), 4 << 20);
}

#[tokio::test]
async fn subscribers_that_were_too_slow_are_forgotten_and_filters_take_no_room() {
    let broadcast = Broadcast::<u64>::new();
    let slow = broadcast.subscribe(1, Slow::Disconnect);
    broadcast.try_send(&1).unwrap();
    broadcast.try_send(&2).unwrap();
    let ends: Vec<_> = slow.collect().await;
    assert!(matches!(ends[..], [Ok(1), Err(StreamError::Broken { .. })]), "{ends:?}");
    assert_eq!(broadcast.subscribers(), 0);

    let even = broadcast.subscribe_filtered(3, Slow::DropOldest, |number| number % 2 == 0);
    for number in 0..10 {
        broadcast.send(&number).await.unwrap();
    }
    drop(broadcast);
    let even: Vec<_> = even.collect().await;
    assert!(matches!(even[..], [Err(StreamError::Missed { count: 2 }), Ok(4), Ok(6), Ok(8)]), "{even:?}");
}

#[tokio::test]
async fn long_items_that_nobody_reads_keep_no_call_waiting_and_are_bounded() {
    let (spring, _) = spring();
    let mut unread = Vec::new();
    for _ in 0..40 {
        unread.push(spring.blocks(3, 7 << 20).await.unwrap());
    }
    for round in 0..100 {
        assert_eq!(spring.add(round, 1).await.unwrap(), round + 1);
    }
    let mut first = unread.swap_remove(0);
    assert_eq!(first.next().await.unwrap().unwrap().len(), 7 << 20);
    drop(unread);
    assert_eq!(first.next().await.unwrap().unwrap().len(), 7 << 20);
}

#[tokio::test]
async fn a_window_of_nothing_lets_items_through_one_at_a_time() {
    let limits = Limits { stream_window_bytes: 0, ..Limits::default() };
    let services = Services::new().with(SpringServer::new(Source::default()));
    let config = |services| SessionConfig { services, limits: limits.clone(), ..SessionConfig::default() };
    let (client, _server) = memory::connect_with(config(Services::new()), config(services));
    let spring: SpringClient = client.service();
    assert_eq!(numbers(spring.upto(1_000).await.unwrap()).await.len(), 1_000);
}

#[tokio::test]
async fn calls_of_a_batch_method_bring_their_streams() {
    #[rpc]
    trait Sums {
        #[rpc(batch = "sums")]
        async fn sum(&self, numbers: Streaming<u64>) -> u64;
        async fn sums(&self, numbers: Vec<Streaming<u64>>) -> Vec<u64>;
    }
    struct Adding;
    impl Sums for Adding {
        async fn sum(&self, numbers: Streaming<u64>) -> u64 {
            self::numbers(numbers).await.into_iter().sum()
        }
        async fn sums(&self, numbers: Vec<Streaming<u64>>) -> Vec<u64> {
            let mut sums = Vec::new();
            for numbers in numbers {
                sums.push(self.sum(numbers).await);
            }
            sums
        }
    }
    let sums: SumsClient = memory::connect(Services::new().with(SumsServer::new(Adding))).service();
    let calls = (0..20).map(|end| sums.sum(Streaming::from_iter(0..end)));
    let all = rpc_core::join_all(calls.collect::<Vec<_>>()).await;
    assert!(all.into_iter().map(|sum| sum.unwrap()).eq((0..20).map(|end| (0..end).sum::<u64>())));
}
