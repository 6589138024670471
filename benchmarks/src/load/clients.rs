//! What a client process does: it opens connections, keeps them, and makes calls over them in one of several ways.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use rpc_core::{CallError, Refusal};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    arrivals::{Arrivals, Dice},
    latencies::Latencies,
    run::Run,
    service::{DeskClient, Kind},
};
use crate::{
    Failure,
    drive::{PAYLOADS, TEXT},
    raw::{self, Flush},
};

/// Connections that are opened at once.
const OPENED_TOGETHER: usize = 64;
/// How long calls that are still on their way when a measurement ends are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Opens connections until there are so many. Each makes a call.
    Open { connections: usize },
    /// Makes calls. Those of the first `warm_ms` do not count.
    Run { load: Load, warm_ms: u64, time_ms: u64 },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Load {
    /// So many callers, each of which makes a call, awaits it and makes the next. Their calls walk over the first `over`
    /// connections: each caller has one of its own where the numbers are the same.
    Callers { callers: usize, over: usize, call: Call },
    /// One caller a connection, who pauses between a reply and the next call: a random time around this mean, so that
    /// callers do not fall into step.
    Thinking { mean_ms: u64 },
    /// Echoes of a MiB, eight at a time, over a connection of their own.
    Payloads,
    /// Small calls, so many at a time, over a connection of their own, with nothing measured of each.
    Window { in_flight: usize },
    /// Calls that do not wait for each other, over all connections.
    Arrivals { per_second: f64, call: Call, deadline_ms: Option<u64>, admitted: Option<usize> },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Call {
    Small,
    /// The server works on it.
    Work(u32),
}

/// What came of an order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// Connections opened; or calls done, whenever they were begun; or MiB echoed.
    pub(crate) done: f64,
    pub(crate) seconds: f64,
    /// Calls begun while it was measured, those refused by this side left out.
    pub(crate) begun: u64,
    /// Of those, by how they ended other than well.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Of those, such that did not end.
    pub(crate) unfinished: u64,
    /// Of those that ended well, from when they were to be made.
    pub(crate) latencies: Latencies,
    /// The same of those of the first and of the last quarter of the time.
    pub(crate) early: Latencies,
    pub(crate) late: Latencies,
    /// How late they were made.
    pub(crate) lag: Latencies,
}

impl Reply {
    pub(crate) fn per_second(&self) -> f64 {
        self.done / self.seconds
    }
}

/// The state of a client process.
pub(crate) struct Client {
    kind: Kind,
    addresses: Vec<SocketAddr>,
    desks: Vec<DeskClient>,
    sockets: Vec<raw::Socket>,
}

impl Client {
    pub(crate) fn new(kind: Kind, addresses: Vec<SocketAddr>) -> Self {
        Self { kind, addresses, desks: Vec::new(), sockets: Vec::new() }
    }

    pub(crate) async fn obey(&mut self, order: Order) -> Result<Reply, Failure> {
        match order {
            Order::Open { connections } => self.open(connections).await,
            Order::Run { load, warm_ms, time_ms } => {
                let (warm, time) = (Duration::from_millis(warm_ms), Duration::from_millis(time_ms));
                self.run(load, warm, time).await
            }
        }
    }

    async fn open(&mut self, connections: usize) -> Result<Reply, Failure> {
        let started = Instant::now();
        let wanted = self.desks.len().max(self.sockets.len())..connections;
        let count = wanted.len();
        let addresses = wanted.map(|index| self.addresses[index % self.addresses.len()]);
        match self.kind {
            Kind::Rpc => {
                let opened = stream::iter(addresses.map(connect)).buffer_unordered(OPENED_TOGETHER);
                self.desks.extend(opened.try_collect::<Vec<_>>().await?);
            }
            Kind::Raw => {
                for address in addresses {
                    let mut socket = raw::connect(address, Flush::Batch, 0).await?;
                    raw::trip(&mut socket).await?;
                    self.sockets.push(socket);
                }
            }
        }
        Ok(Reply { done: count as f64, seconds: started.elapsed().as_secs_f64(), ..Reply::default() })
    }

    async fn run(&mut self, load: Load, warm: Duration, time: Duration) -> Result<Reply, Failure> {
        let run = Arc::new(Run::new(warm, time));
        match load {
            Load::Callers { callers, over, call } => {
                let desks: Arc<[DeskClient]> = self.desks.iter().take(over).cloned().collect();
                with_tasks(&run, |run, running| {
                    (0..callers).for_each(|caller| {
                        let (run, desks) = (run.clone(), desks.clone());
                        let turn = Turn { run, desks, call, callers, _running: running.clone() };
                        turn.begin(caller);
                    });
                })
                .await;
            }
            Load::Thinking { mean_ms } => self.think(&run, Duration::from_millis(mean_ms)).await?,
            Load::Payloads => return self.payloads(warm + time).await,
            Load::Window { in_flight } => return self.window(in_flight, warm + time).await,
            Load::Arrivals { per_second, call, deadline_ms, admitted } => {
                let desks: Vec<DeskClient> = match deadline_ms {
                    None => self.desks.clone(),
                    Some(limit) => {
                        self.desks.iter().map(|desk| desk.deadline(Duration::from_millis(limit))).collect()
                    }
                };
                arrive(&run, desks, per_second, call, admitted).await;
            }
        }
        Ok(run.reply())
    }

    async fn think(&mut self, run: &Arc<Run>, mean: Duration) -> Result<(), Failure> {
        let desks = self.desks.iter().cloned().enumerate();
        let mut tasks: Vec<tokio::task::JoinHandle<Result<(), Failure>>> = Vec::new();
        for (index, desk) in desks {
            tasks.push(tokio::spawn(think(run.clone(), index, mean, async move || {
                desk.small(7, TEXT).await?;
                Ok(())
            })));
        }
        for (index, mut socket) in self.sockets.drain(..).enumerate() {
            tasks.push(tokio::spawn(think(run.clone(), index, mean, async move || {
                raw::trip(&mut socket).await
            })));
        }
        for task in tasks {
            task.await??;
        }
        Ok(())
    }

    async fn payloads(&self, time: Duration) -> Result<Reply, Failure> {
        let started = Instant::now();
        let (address, size) = (self.addresses[0], 1 << 20);
        let bytes = match self.kind {
            Kind::Raw => {
                let (socket, payload) =
                    (raw::connect(address, Flush::Batch, size).await?, Bytes::from(vec![7; size]));
                raw::window(socket, Flush::Batch, PAYLOADS, payload, time).await?.moved.count * size as u64
            }
            Kind::Rpc => {
                let (desk, payload) = (connect(address).await?, Bytes::from(vec![7; size]));
                sum_of(PAYLOADS, || echo_again_and_again(desk.clone(), payload.clone(), time)).await?
            }
        };
        let done = bytes as f64 / f64::from(1 << 20);
        Ok(Reply { done, seconds: started.elapsed().as_secs_f64(), ..Reply::default() })
    }

    async fn window(&self, in_flight: usize, time: Duration) -> Result<Reply, Failure> {
        let started = Instant::now();
        let address = self.addresses[0];
        let calls = match self.kind {
            Kind::Raw => {
                let socket = raw::connect(address, Flush::Batch, 0).await?;
                raw::window(socket, Flush::Batch, in_flight, raw::small(), time).await?.moved.count
            }
            Kind::Rpc => {
                let desk = connect(address).await?;
                sum_of(in_flight, || call_again_and_again(desk.clone(), time)).await?
            }
        };
        Ok(Reply { done: calls as f64, seconds: started.elapsed().as_secs_f64(), ..Reply::default() })
    }
}

async fn connect(address: SocketAddr) -> Result<DeskClient, Failure> {
    let client = rpc_client::Client::connect(&format!("ws://{address}")).await?;
    let desk: DeskClient = client.service();
    desk.small(0, TEXT).await?;
    Ok(desk)
}

/// The sum of what so many callers count.
async fn sum_of<F>(callers: usize, caller: impl Fn() -> F) -> Result<u64, Failure>
where
    F: Future<Output = Result<u64, Failure>> + Send + 'static,
{
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(caller())).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await??;
    }
    Ok(sum)
}

async fn echo_again_and_again(desk: DeskClient, payload: Bytes, time: Duration) -> Result<u64, Failure> {
    let started = Instant::now();
    let mut bytes = 0;
    while started.elapsed() < time {
        bytes += desk.bytes(payload.clone()).await?.len() as u64;
    }
    Ok(bytes)
}

async fn call_again_and_again(desk: DeskClient, time: Duration) -> Result<u64, Failure> {
    let started = Instant::now();
    let mut calls = 0;
    while started.elapsed() < time {
        desk.small(7, TEXT).await?;
        calls += 1;
    }
    Ok(calls)
}

/// Held by each task of a run.
type Running = mpsc::Sender<()>;

/// Waits for the tasks that `start` has started, but not for ever.
async fn with_tasks(run: &Arc<Run>, start: impl FnOnce(&Arc<Run>, Running)) {
    let (running, mut all_done) = mpsc::channel(1);
    start(run, running);
    let until = run.measured.end + PATIENCE;
    let _ = tokio::time::timeout_at(until.into(), all_done.recv()).await;
}

/// What the calls of [`Load::Callers`] share. Each call is a task, as it would be where requests come from outside, so that
/// what this finds is the most that [`Load::Arrivals`] can offer.
#[derive(Clone)]
struct Turn {
    run: Arc<Run>,
    desks: Arc<[DeskClient]>,
    call: Call,
    callers: usize,
    _running: Running,
}

impl Turn {
    fn begin(self, number: usize) {
        tokio::spawn(async move {
            let due = Instant::now();
            self.run.begin(number, due);
            let failure = make(&self.desks[number % self.desks.len()], self.call).await;
            self.run.end(number, due, failure);
            if !self.run.is_over() {
                let next = number + self.callers;
                self.begin(next);
            }
        });
    }
}

/// Makes a call and says how it failed, if it did.
async fn make(desk: &DeskClient, call: Call) -> Option<String> {
    match call {
        Call::Small => desk.small(7, TEXT).await.err().map(name_of),
        Call::Work(rounds) => desk.work(rounds).await.err().map(name_of),
    }
}

fn name_of<E: std::fmt::Display>(error: CallError<E>) -> String {
    match error {
        CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. } => {
            format!("refused: {limit}")
        }
        CallError::DeadlineExceeded { .. } => "deadline exceeded".into(),
        other => other.to_string(),
    }
}

async fn think(
    run: Arc<Run>,
    index: usize,
    mean: Duration,
    mut call: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut dice = Dice::new(index as u64);
    while !run.is_over() {
        if !mean.is_zero() {
            tokio::time::sleep(dice.pause(mean)).await;
        }
        let due = Instant::now();
        run.begin(index, due);
        let failure = call().await.err().map(|error| error.to_string());
        run.end(index, due, failure);
    }
    Ok(())
}

/// How exactly calls are made in time. Two cores have no time for a thread that never sleeps.
const PACE: Duration = Duration::from_micros(50);

async fn arrive(
    run: &Arc<Run>,
    desks: Vec<DeskClient>,
    per_second: f64,
    call: Call,
    admitted: Option<usize>,
) {
    let (due, mut dues) = mpsc::unbounded_channel();
    // tokio's own clock has ticks of a millisecond.
    let pacer = {
        let run = run.clone();
        std::thread::spawn(move || pace(&run, per_second, &due))
    };
    let desks: Arc<[DeskClient]> = desks.into();
    let (running, mut all_done) = mpsc::channel::<()>(1);
    let on_their_way = Arc::new(AtomicUsize::new(0));
    let mut dice = Dice::new(1);
    let mut number = 0;
    while let Some(batch) = dues.recv().await {
        for due in batch {
            number += 1;
            if admitted.is_some_and(|most| on_their_way.load(Ordering::Relaxed) >= most) {
                if run.measured.contains(&due) {
                    run.note("not admitted by the caller".into());
                }
                continue;
            }
            on_their_way.fetch_add(1, Ordering::Relaxed);
            let (run, desks, running) = (run.clone(), desks.clone(), running.clone());
            let (desk, on_their_way) = (dice.below(desks.len()), on_their_way.clone());
            tokio::spawn(async move {
                run.begin(number, due);
                let failure = make(&desks[desk], call).await;
                on_their_way.fetch_sub(1, Ordering::Relaxed);
                run.end(number, due, failure);
                drop(running);
            });
        }
    }
    drop(running);
    let until = run.measured.end + PATIENCE;
    let _ = tokio::time::timeout_at(until.into(), all_done.recv()).await;
    // It has ended: its channel is closed.
    let _ = pacer.join();
}

/// Sends the times at which calls are due, when they are due.
fn pace(run: &Run, per_second: f64, due: &mpsc::UnboundedSender<Vec<Instant>>) {
    let mut arrivals = Arrivals::new(per_second, 7).map(|at| run.started + at).peekable();
    while let Some(next) = arrivals.peek().copied().filter(|next| *next < run.measured.end) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()).max(PACE));
        let now = Instant::now();
        let mut batch = Vec::new();
        while let Some(at) = arrivals.next_if(|at| *at <= now) {
            batch.push(at);
        }
        if !batch.is_empty() && due.send(batch).is_err() {
            return;
        }
    }
}
