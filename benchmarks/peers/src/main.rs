//! What the benchmarks compare with: other RPC frameworks, as servers and as clients in processes of their own.
//!
//! The program that measures starts this one and talks to it as it does to itself:
//!
//! ```text
//! peers serve SUBJECT WORKERS                              says its address; ends with its standard input
//! peers drive SUBJECT WORKERS ADDRESS WORKLOAD MILLISECONDS
//!     ◀─ ready                        connected
//!     ─▶ go
//!     ◀─ done COUNT SECONDS           keeps what it opened until its standard input ends
//! ```
//! Each framework has a module with `serve`, and a `connect` whose client has a function a workload.

mod jsonrpsee_peer;
mod tonic_peer;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What small calls and items have beside a number: sixteen bytes.
const TEXT: &str = "sixteen bytes ok";
/// The time is looked at once in so many items.
const LOOK_EVERY: u64 = 64;

/// What was done, and how long it took.
struct Moved {
    count: u64,
    time: Duration,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", subject, workers] => runtime(workers)?.block_on(serve(subject)),
        ["drive", subject, workers, address, workload, milliseconds] => {
            let time = Duration::from_millis(milliseconds.parse()?);
            runtime(workers)?.block_on(drive(subject, address.parse()?, workload, time))
        }
        _ => {
            Err("the benchmarks start this program; see `cargo run -p benchmarks --release -- --help`".into())
        }
    }
}

fn runtime(workers: &str) -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(workers.parse()?).enable_all().build()?)
}

async fn serve(subject: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let parent_gone = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let serve = async {
        match subject {
            "tonic" => tonic_peer::serve(listener).await,
            "jsonrpsee" => jsonrpsee_peer::serve(listener).await,
            other => Err(format!("nothing is called {other}").into()),
        }
    };
    tokio::select! {
        served = serve => served,
        _ = parent_gone => Ok(()),
    }
}

async fn drive(subject: &str, address: SocketAddr, workload: &str, time: Duration) -> Result<(), Failure> {
    match (subject, workload) {
        ("tonic", "items") => {
            let client = tonic_peer::connect(address).await?;
            when_told(|| tonic_peer::items(client, time)).await
        }
        ("jsonrpsee", "items") => {
            let client = jsonrpsee_peer::connect(address).await?;
            when_told(|| jsonrpsee_peer::items(client, time)).await
        }
        _ => Err(format!("{subject} does not do {workload}").into()),
    }
}

/// Does it when it is told to, and keeps what was opened until standard input ends.
async fn when_told<K, F>(work: impl FnOnce() -> F) -> Result<(), Failure>
where
    K: Send + 'static,
    F: Future<Output = Result<(Moved, K), Failure>> + Send + 'static,
{
    println!("ready");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    orders.next_line().await?;
    // On a worker, as any other task.
    let (Moved { count, time }, _kept) = tokio::spawn(work()).await??;
    println!("done {count} {}", time.as_secs_f64());
    while orders.next_line().await?.is_some() {}
    Ok(())
}

/// Items read in `time`, from the first on.
async fn read_for<T, E>(
    items: &mut (impl Stream<Item = Result<T, E>> + Unpin),
    time: Duration,
) -> Result<Moved, Failure>
where
    Failure: From<E>,
{
    items.next().await.ok_or("the items ended")??;
    let started = Instant::now();
    let mut count = 0_u64;
    while !count.is_multiple_of(LOOK_EVERY) || started.elapsed() < time {
        items.next().await.ok_or("the items ended")??;
        count += 1;
    }
    Ok(Moved { count, time: started.elapsed() })
}
