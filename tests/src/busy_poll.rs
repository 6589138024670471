//! Sessions stay awake for what the peer says next where that helps, and only there.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use rpc_core::{
    Limits, Services, SocketError, Streaming,
    driver::{self, SessionConfig, Side},
    memory::{self, MemoryTransport},
    rpc,
    transport::{MessageRef, Transport},
};
use tokio::time::Sleep;

#[rpc]
trait Next {
    async fn next(&self, number: u64) -> u64;
    /// Each number costs a round trip.
    async fn count(&self) -> Streaming<u64>;
}

struct Counting;

impl Next for Counting {
    async fn next(&self, number: u64) -> u64 {
        number + 1
    }

    async fn count(&self) -> Streaming<u64> {
        Streaming::from_iter(0..).one_by_one()
    }
}

/// What it takes to wake who sleeps: a very slow machine.
const WAKING: Duration = Duration::from_millis(5);

/// A link on which who polls sees at once what has come, and who sleeps is woken late.
struct SlowToWake {
    transport: MemoryTransport,
    waking: Pin<Box<Sleep>>,
    /// How often somebody was woken.
    woken: Arc<AtomicUsize>,
}

impl Transport for SlowToWake {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>> {
        loop {
            let is_woken = self.waking.as_mut().poll(cx).is_ready();
            if is_woken {
                self.waking.as_mut().reset(tokio::time::Instant::now() + WAKING);
                self.woken.fetch_add(1, Ordering::Relaxed);
            }
            let mut nobody = Context::from_waker(Waker::noop());
            if let Poll::Ready(message) = self.transport.poll_receive(&mut nobody) {
                self.waking.as_mut().reset(tokio::time::Instant::now() + WAKING);
                return Poll::Ready(message);
            }
            if !is_woken {
                return Poll::Pending;
            }
        }
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

/// A client on such a link, and how often somebody was woken.
fn connect(busy_poll: Duration) -> (NextClient, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let slow = |transport| SlowToWake {
        transport,
        waking: Box::pin(tokio::time::sleep(WAKING)),
        woken: Arc::clone(&woken),
    };
    let limits = Limits { busy_poll, ..Limits::default() };
    let (near, far) = memory::pipe();
    let client = SessionConfig { limits: limits.clone(), ..SessionConfig::default() };
    let services = Services::new().with(NextServer::new(Counting));
    let server = SessionConfig { services, limits, ..SessionConfig::default() };
    let (client, client_driver) = driver::start(slow(near), Side::Client, client);
    let (_server, server_driver) = driver::start(slow(far), Side::Server, server);
    tokio::spawn(client_driver);
    tokio::spawn(server_driver);
    (client.service(), woken)
}

/// How often somebody was woken during so many calls, one after the other, that others had come before.
async fn woken_during_calls(busy_poll: Duration, before: u64, calls: u64) -> usize {
    let (counter, woken) = connect(busy_poll);
    for number in 0..before {
        assert_eq!(counter.next(number).await.unwrap(), number + 1);
    }
    woken.store(0, Ordering::Relaxed);
    for number in 0..calls {
        assert_eq!(counter.next(number).await.unwrap(), number + 1);
    }
    woken.load(Ordering::Relaxed)
}

#[tokio::test]
async fn who_would_be_woken_late_stays_awake() {
    let woken = woken_during_calls(Duration::from_secs(1), 40, 200).await;
    assert!(woken < 40, "{woken} times for 200 calls, though both sides know that it helps to stay awake");
}

#[tokio::test]
async fn who_is_told_not_to_sleeps() {
    let woken = woken_during_calls(Duration::ZERO, 0, 40).await;
    assert!(woken >= 40, "{woken} times for 40 calls");
}

#[tokio::test]
async fn items_of_streams_keep_nobody_awake() {
    let (counter, woken) = connect(Duration::from_secs(1));
    let mut numbers = counter.count().await.unwrap();
    for number in 0..100 {
        if number == 50 {
            woken.store(0, Ordering::Relaxed);
        }
        assert_eq!(numbers.next().await.unwrap().unwrap(), number);
    }
    let woken = woken.load(Ordering::Relaxed);
    assert!(woken >= 50, "{woken} times for 50 items");
}
