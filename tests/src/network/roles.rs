//! The processes: a server, and a client that calls it all the time.

use std::{
    io,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use futures::StreamExt;
use rpc_client::{Client, ConnectionState, Reconnect};
use rpc_core::{Limits, rpc};
use rpc_server::{ResumeOptions, Server, ServerHandle};
use tokio::{sync::mpsc, task::JoinSet};

use super::*;

#[rpc]
trait Counting {
    async fn count(&self, number: u64) -> u64;
    /// Never returns.
    async fn stay(&self);
    /// The first call never returns; another one does so at once.
    #[rpc(idempotent)]
    async fn again(&self) -> u64;
}

#[derive(Default)]
struct Counter {
    again: AtomicU64,
}

struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        println!("stay over");
    }
}

impl Counting for Counter {
    async fn count(&self, number: u64) -> u64 {
        println!("ran {number}");
        number
    }

    async fn stay(&self) {
        let _stay = Stay;
        println!("stay begun");
        std::future::pending().await
    }

    async fn again(&self) -> u64 {
        let run = self.again.fetch_add(1, Ordering::SeqCst);
        if run == 0 {
            std::future::pending().await
        }
        run
    }
}

fn limits() -> Limits {
    Limits { ping_interval: PING_INTERVAL, ping_timeout: PING_TIMEOUT, ..Limits::default() }
}

fn window() -> Duration {
    let window = env::var(WINDOW_MS).ok().and_then(|window| window.parse().ok());
    window.map_or(PATIENCE, Duration::from_millis)
}

/// The orders of the test, until it is gone.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (send, orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    orders
}

async fn watch_connections(handle: ServerHandle) {
    let mut last = 0;
    loop {
        let connections = handle.listen_stats().connections;
        if connections != last {
            println!("connections {connections}");
            last = connections;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role that other tests start"]
async fn server() {
    let Ok(address) = env::var(LISTEN) else { return };
    let resume =
        ResumeOptions { window: window(), attaches_per_minute: u32::MAX, ..ResumeOptions::default() };
    let server = Server::builder().service(CountingServer::new(Counter::default()));
    let server = server.limits(limits()).resume(resume).bind(address.as_str()).await.unwrap();
    println!("listening {}", server.local_addr().unwrap());
    tokio::spawn(watch_connections(server.handle()));
    tokio::spawn(server.serve());
    let mut orders = orders();
    while orders.recv().await.is_some() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        println!("clock {}", now.as_secs());
    }
}

async fn tell_states(client: Client) {
    let mut states = pin!(client.states());
    while let Some(state) = states.next().await {
        match state {
            ConnectionState::Detached { reason, .. } => println!("state Detached {reason:?}"),
            ConnectionState::Lost { reason } => println!("state Lost {reason:?}"),
            other => println!("state {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role that other tests start"]
async fn client() {
    let Ok(url) = env::var(CONNECT) else { return };
    let delay = Duration::from_millis(50);
    let policy = Reconnect { delay, delay_max: delay, window: window(), ..Reconnect::default() };
    let client = Client::builder()
        .limits(limits())
        .reconnect(policy)
        // A dial whose first packet is lost is not the last one.
        .connect_timeout(Duration::from_millis(500))
        .connect(&url)
        .await
        .unwrap();
    tokio::spawn(tell_states(client.clone()));
    let counting: CountingClient = client.service();
    let stay = counting.stay();
    tokio::spawn(async move { println!("stay ended: {:?}", stay.await) });
    let again = counting.again();
    tokio::spawn(async move { println!("again ended: {:?}", again.await) });
    let mut orders = orders();
    let mut calls = JoinSet::new();
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    for number in 0.. {
        let call = counting.count(number);
        calls.spawn(async move {
            match call.await {
                Ok(counted) if counted == number => println!("ok {number}"),
                other => println!("call {number} failed: {other:?}"),
            }
        });
        tokio::select! {
            _ = clock.tick() => {}
            _ = orders.recv() => break,
        }
    }
    calls.join_all().await;
    println!("done");
    // The test ends it.
    std::future::pending().await
}
