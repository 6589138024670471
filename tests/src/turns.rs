//! How long a driver, or what it runs, keeps its thread: turns are bounded, whatever waits to be read, sent or made.

use std::{
    future::{IntoFuture, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use rpc_core::{
    CloseReason, Limits, Services, SocketError, StreamError, Streaming,
    driver::{self, SessionConfig, Side},
    memory::{self, MemoryTransport},
    rpc,
    transport::{MessageRef, Transport},
};

#[rpc]
trait Store {
    async fn put(&self, bytes: Bytes) -> u64;
    /// Works, and holds its thread meanwhile, for longer than handlers have in a turn.
    async fn sort(&self, bytes: Vec<u8>) -> u64;
}

#[rpc]
trait Source {
    async fn numbers(&self) -> Streaming<u64>;
}

#[rpc]
trait Tap {
    async fn same(&self, numbers: Streaming<u64>) -> Streaming<u64>;
}

struct Same;

impl Tap for Same {
    async fn same(&self, numbers: Streaming<u64>) -> Streaming<u64> {
        numbers
    }
}

struct Making {
    made: Arc<AtomicUsize>,
}

impl Source for Making {
    async fn numbers(&self) -> Streaming<u64> {
        let made = Arc::clone(&self.made);
        Streaming::from_iter((0..).inspect(move |_| {
            made.fetch_add(1, Ordering::Relaxed);
        }))
    }
}

#[derive(Default)]
struct Counting {
    sorted: Arc<AtomicUsize>,
}

impl Store for Counting {
    async fn put(&self, bytes: Bytes) -> u64 {
        bytes.len() as u64
    }

    async fn sort(&self, bytes: Vec<u8>) -> u64 {
        std::thread::sleep(Duration::from_millis(1));
        self.sorted.fetch_add(1, Ordering::Relaxed);
        bytes.len() as u64
    }
}

/// What went through a transport since it was last asked.
#[derive(Default)]
struct Moved {
    read: AtomicUsize,
    sent: AtomicUsize,
}

struct Watched {
    transport: MemoryTransport,
    moved: Arc<Moved>,
}

impl Transport for Watched {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>> {
        let message = self.transport.poll_receive(cx);
        if let Poll::Ready(Some(Ok(message))) = &message {
            self.moved.read.fetch_add(message.len(), Ordering::Relaxed);
        }
        message
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.transport.poll_ready(cx)
    }

    fn send(&mut self, message: MessageRef<'_>) -> Result<(), SocketError> {
        self.moved.sent.fetch_add(message.len(), Ordering::Relaxed);
        self.transport.send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.transport.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, code: u16, reason: &str) -> Poll<Result<(), SocketError>> {
        self.transport.poll_close(cx, code, reason)
    }
}

/// The most that one turn read and sent.
type Longest = Arc<Moved>;

fn watch(transport: MemoryTransport) -> (Watched, Arc<Moved>, Longest) {
    let moved = Arc::new(Moved::default());
    (Watched { transport, moved: Arc::clone(&moved) }, moved, Longest::default())
}

/// Runs a driver, turn by turn.
async fn run(driver: impl Future<Output = CloseReason>, moved: Arc<Moved>, longest: Longest) {
    let mut driver = pin!(driver);
    poll_fn(|cx| {
        let polled = Pin::new(&mut driver).as_mut().poll(cx);
        longest.read.fetch_max(moved.read.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        longest.sent.fetch_max(moved.sent.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        polled
    })
    .await;
}

#[tokio::test]
async fn a_turn_is_bounded_in_bytes_both_ways() {
    const TURN_READ: usize = 256 << 10;
    const TURN_SENT: usize = 512 << 10;
    /// The turn ends with the message that fills it.
    const MESSAGE: usize = 112 << 10;
    let (near, far) = memory::pipe();
    let ((near, client_moved, client_longest), (far, server_moved, server_longest)) =
        (watch(near), watch(far));
    let services = Services::new().with(StoreServer::new(Counting::default()));
    let (client, client_driver) = driver::start(near, Side::Client, SessionConfig::default());
    let (_server, server_driver) =
        driver::start(far, Side::Server, SessionConfig { services, ..SessionConfig::default() });
    tokio::spawn(run(client_driver, client_moved, Arc::clone(&client_longest)));
    tokio::spawn(run(server_driver, server_moved, Arc::clone(&server_longest)));
    let store: StoreClient = client.service();
    let bytes = Bytes::from(vec![7; 4 << 20]);
    let puts = rpc_core::join_all((0..4).map(|_| store.put(bytes.clone()))).await;
    assert!(puts.into_iter().all(|put| put.is_ok_and(|length| length == 4 << 20)));
    let (sent, read) =
        (client_longest.sent.load(Ordering::Relaxed), server_longest.read.load(Ordering::Relaxed));
    assert!((TURN_SENT..TURN_SENT + MESSAGE).contains(&sent), "{sent} bytes were sent in a turn");
    assert!((TURN_READ - MESSAGE..TURN_READ + MESSAGE).contains(&read), "{read} bytes were read in a turn");
}

/// Cancels lie behind the calls that they cancel, in other messages; handlers that keep a session busy must not keep it
/// from hearing them.
#[tokio::test]
async fn cancels_are_heard_before_the_calls_start_that_they_cancel() {
    const CALLS: usize = 300;
    let store = Counting::default();
    let sorted = Arc::clone(&store.sorted);
    let (near, far) = memory::pipe();
    let services = Services::new().with(StoreServer::new(store));
    let (client, client_driver) = driver::start(near, Side::Client, SessionConfig::default());
    let (server, server_driver) =
        driver::start(far, Side::Server, SessionConfig { services, ..SessionConfig::default() });
    tokio::spawn(client_driver);
    tokio::spawn(server_driver);
    // A task like any other: tokio polls what it blocks on less often.
    let caller = tokio::spawn(async move {
        let store: StoreClient = client.service();
        // Several calls fill a message.
        let mut calls: Vec<_> = (0..CALLS).map(|_| store.sort(vec![7; 1_000])).collect();
        calls.remove(0).await.unwrap();
        drop(calls);
        assert_eq!(store.put(Bytes::from_static(b"last")).await.unwrap(), 4);
    });
    caller.await.unwrap();
    assert_eq!(server.stats().await.answers_unfinished, 0);
    let sorted = sorted.load(Ordering::Relaxed);
    assert!(sorted < CALLS / 10, "{sorted} of {CALLS} ran, all but one of which were cancelled");
}

/// A producer that never waits has room for many portions: others have their turn between any two of them.
#[tokio::test]
async fn a_producer_that_has_more_lets_other_tasks_run_between_its_portions() {
    const WINDOW: usize = 1 << 20;
    const PORTION: usize = 64 << 10;
    /// What an item takes of the window, at least.
    const ITEM: usize = 64;
    let made = Arc::new(AtomicUsize::new(0));
    let longest = Arc::new(AtomicUsize::new(0));
    let (near, far) = memory::pipe();
    let services = Services::new().with(SourceServer::new(Making { made: Arc::clone(&made) }));
    let limits = Limits { stream_window_bytes: WINDOW, ..Limits::default() };
    let (client, client_driver) =
        driver::start(near, Side::Client, SessionConfig { limits, ..SessionConfig::default() });
    let (_server, server_driver) =
        driver::start(far, Side::Server, SessionConfig { services, ..SessionConfig::default() });
    tokio::spawn(client_driver);
    tokio::spawn(server_driver);
    // Behind all that can run, once more each time. `yield_now` would run when nothing else can.
    let bystander = tokio::spawn({
        let longest = Arc::clone(&longest);
        poll_fn(move |cx| {
            longest.fetch_max(made.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    });
    let source: SourceClient = client.service();
    let reader = tokio::spawn(async move {
        let mut numbers = source.numbers().await.unwrap();
        for _ in 0..2 * WINDOW / ITEM {
            numbers.next().await.unwrap().unwrap();
        }
    });
    reader.await.unwrap();
    bystander.abort();
    let longest = longest.load(Ordering::Relaxed);
    assert!((PORTION / 2 / ITEM..=PORTION / ITEM).contains(&longest), "{longest} items were made at once");
}

/// Adds to each message what no peer says, once it is told to.
struct Spoiled {
    transport: MemoryTransport,
    spoil: Arc<AtomicBool>,
}

impl Transport for Spoiled {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>> {
        let spoil = |message: Bytes| match self.spoil.load(Ordering::Relaxed) {
            true => [&message[..], &[0xff; 8]].concat().into(),
            false => message,
        };
        self.transport.poll_receive(cx).map(|message| message.map(|message| message.map(spoil)))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.transport.poll_ready(cx)
    }

    fn send(&mut self, message: MessageRef<'_>) -> Result<(), SocketError> {
        self.transport.send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.transport.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, code: u16, reason: &str) -> Poll<Result<(), SocketError>> {
        self.transport.poll_close(cx, code, reason)
    }
}

/// The caller must not wait for ever because the session ended between the arrival of its result and its turn.
#[tokio::test(start_paused = true)]
async fn what_came_before_the_session_ended_reaches_who_waits_for_it() {
    let (near, far) = memory::pipe();
    let spoil = Arc::new(AtomicBool::new(false));
    let near = Spoiled { transport: near, spoil: Arc::clone(&spoil) };
    let services = Services::new().with(StoreServer::new(Counting::default())).with(TapServer::new(Same));
    let (client, client_driver) = driver::start(near, Side::Client, SessionConfig::default());
    let (_server, server_driver) =
        driver::start(far, Side::Server, SessionConfig { services, ..SessionConfig::default() });
    tokio::spawn(client_driver);
    tokio::spawn(server_driver);
    let (store, tap): (StoreClient, TapClient) = (client.service(), client.service());
    let (mut opener, numbers) = Streaming::channel(1);
    let mut numbers = tap.same(numbers).await.unwrap();
    opener.send(1).await.unwrap();
    assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    spoil.store(true, Ordering::Relaxed);
    // The end of the stream and the result come in one message, and behind them what ends the session.
    opener.finish();
    let put =
        tokio::time::timeout(Duration::from_secs(60), store.put(Bytes::from_static(b"last")).into_future());
    assert_eq!(put.await.expect("the result is here").unwrap(), 4);
    assert!(matches!(client.closed().await, CloseReason::Violation(_)));
    let next = tokio::time::timeout(Duration::from_secs(60), numbers.next());
    let next = next.await.expect("the stream has an end");
    assert!(matches!(next, None | Some(Err(StreamError::Disconnected(_)))), "{next:?}");
}
