//! What a client does, and how it says what came of it: one piece of code for every subject, so that only their calls differ.
//!
//! Both programs compile this file: the one that measures and, from its own workspace, that of the peers. The program that
//! measures starts them and talks to them over their standard input and output:
//!
//! ```text
//! PROGRAM serve SUBJECT WORKERS                              says its address; ends with its standard input
//! PROGRAM drive SUBJECT WORKERS ADDRESS WORK MILLISECONDS
//!     ◀─ ready                        connected, one call made
//!     ─▶ go
//!     ◀─ done COUNT SECONDS P50 P99   microseconds, or `-`; keeps what it opened until its standard input ends
//! ```

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    str::FromStr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinHandle,
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What small calls and items have beside a number: sixteen bytes.
pub(crate) const TEXT: &str = "sixteen bytes ok";
/// Long payloads under way at once.
pub(crate) const PAYLOADS: usize = 8;
/// The time is looked at once in so many items.
const LOOK_EVERY: u64 = 64;
/// Chains whose median is worth something, however long a link makes them.
pub(crate) const CHAINS_MIN: usize = 3;

/// What a client is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Small calls one after the other, each timed.
    One,
    /// Small calls, so many in flight on each connection.
    Calls { connections: usize, in_flight: usize },
    /// Payloads of this length there and back.
    Payloads { bytes: usize },
    /// Calls that need each other's results, each chain timed.
    Chain { depth: usize, is_pipelined: bool },
    /// Reads small items from a stream.
    Items,
    /// Opens connections, makes one call on each, and leaves them alone.
    Idle { connections: usize },
    /// Opens streams of one connection and leaves them alone.
    IdleStreams { streams: usize },
}

impl Work {
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Calls { connections, .. } => connections,
            _ => 1,
        }
    }

    /// How many tasks share a connection.
    fn tasks(self) -> usize {
        match self {
            Self::Calls { in_flight, .. } => in_flight,
            Self::Payloads { .. } => PAYLOADS,
            _ => 1,
        }
    }
}

impl Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => write!(f, "one"),
            Self::Calls { connections, in_flight } => write!(f, "calls/{connections}/{in_flight}"),
            Self::Payloads { bytes } => write!(f, "payloads/{bytes}"),
            Self::Chain { depth, is_pipelined: false } => write!(f, "awaited/{depth}"),
            Self::Chain { depth, is_pipelined: true } => write!(f, "pipelined/{depth}"),
            Self::Items => write!(f, "items"),
            Self::Idle { connections } => write!(f, "idle/{connections}"),
            Self::IdleStreams { streams } => write!(f, "idle-streams/{streams}"),
        }
    }
}

impl FromStr for Work {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let parts: Vec<&str> = text.split('/').collect();
        Ok(match parts[..] {
            ["one"] => Self::One,
            ["calls", connections, in_flight] => {
                Self::Calls { connections: connections.parse()?, in_flight: in_flight.parse()? }
            }
            ["payloads", bytes] => Self::Payloads { bytes: bytes.parse()? },
            ["awaited", depth] => Self::Chain { depth: depth.parse()?, is_pipelined: false },
            ["pipelined", depth] => Self::Chain { depth: depth.parse()?, is_pipelined: true },
            ["items"] => Self::Items,
            ["idle", connections] => Self::Idle { connections: connections.parse()? },
            ["idle-streams", streams] => Self::IdleStreams { streams: streams.parse()? },
            _ => return Err(format!("nothing is called {text}").into()),
        })
    }
}

/// Calls, items or bytes, and how long they took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moved {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// What came of some work.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) moved: Moved,
    /// Of each call or chain, where they are timed.
    pub(crate) latencies: Vec<Duration>,
}

impl Done {
    pub(crate) fn moved(count: u64, time: Duration) -> Self {
        Self { moved: Moved { count, time }, latencies: Vec::new() }
    }

    pub(crate) fn timed(latencies: Vec<Duration>, time: Duration) -> Self {
        Self { latencies: latencies.clone(), ..Self::moved(latencies.len() as u64, time) }
    }

    /// What several tasks did at the same time.
    pub(crate) async fn together(tasks: Vec<JoinHandle<Result<Self, Failure>>>) -> Result<Self, Failure> {
        let mut all = Self::moved(0, Duration::ZERO);
        for task in tasks {
            let done = task.await??;
            all.moved.count += done.moved.count;
            all.moved.time = all.moved.time.max(done.moved.time);
            all.latencies.extend(done.latencies);
        }
        Ok(all)
    }
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let latency = latencies.get(latencies.len() * percent / 100);
            latency.map_or("-".to_owned(), |latency| (latency.as_secs_f64() * 1e6).to_string())
        };
        let Moved { count, time } = self.moved;
        write!(f, "done {count} {} {} {}", time.as_secs_f64(), percentile(50), percentile(99))
    }
}

/// A connection of one framework. Clones share it.
pub(crate) trait Client: Sized + Clone + 'static {
    async fn connect(address: SocketAddr) -> Result<Self, Failure>;
    /// Sends a number and [`TEXT`] and gets them back.
    async fn small(&self, number: u64) -> Result<(), Failure>;
    /// Sends a payload and gets it back; how long it is.
    async fn echo(&self, payload: Bytes) -> Result<usize, Failure>;
    /// Sends a number and gets the next.
    async fn next(&self, number: u64) -> Result<u64, Failure>;
    /// A chain in which nothing but the last result is waited for.
    async fn pipelined(&self, _depth: usize) -> Result<(), Failure> {
        Err("it has no pipelining".into())
    }
    /// Small items read for `time`.
    async fn items(&self, _time: Duration) -> Result<Done, Failure> {
        Err("it has no streams".into())
    }
    /// Runs a task beside the others: on any worker, where the framework allows it.
    fn spawn(task: Task<Self>) -> JoinHandle<Result<Done, Failure>>;
}

/// One that calls one after the other.
pub(crate) struct Task<C> {
    client: C,
    work: Work,
    started: Instant,
    time: Duration,
}

impl<C: Client> Task<C> {
    pub(crate) async fn run(self) -> Result<Done, Failure> {
        let Self { client, work, .. } = &self;
        let mut count = 0;
        let mut latencies = Vec::new();
        match *work {
            Work::One => {
                while self.has_time() {
                    let before = Instant::now();
                    client.small(7).await?;
                    latencies.push(before.elapsed());
                }
            }
            Work::Calls { .. } => {
                while self.has_time() {
                    client.small(count).await?;
                    count += 1;
                }
            }
            Work::Payloads { bytes } => {
                let payload = Bytes::from(vec![b'7'; bytes]);
                while self.has_time() {
                    count += client.echo(payload.clone()).await? as u64;
                }
            }
            Work::Chain { depth, is_pipelined } => {
                while self.has_time() || latencies.len() < CHAINS_MIN {
                    let before = Instant::now();
                    if is_pipelined {
                        client.pipelined(depth).await?;
                    } else {
                        let mut number = 0;
                        for _ in 0..depth {
                            number = client.next(number).await?;
                        }
                    }
                    latencies.push(before.elapsed());
                }
            }
            Work::Items => return client.items(self.time).await,
            Work::Idle { .. } | Work::IdleStreams { .. } => return Err(format!("{work} has no task").into()),
        }
        let time = self.started.elapsed();
        Ok(if latencies.is_empty() { Done::moved(count, time) } else { Done::timed(latencies, time) })
    }

    fn has_time(&self) -> bool {
        self.started.elapsed() < self.time
    }
}

/// Connects, and does `work` when told to.
pub(crate) async fn drive<C: Client>(address: SocketAddr, work: Work, time: Duration) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for _ in 0..work.connections() {
        clients.push(connect::<C>(address).await?);
    }
    when_told(async {
        if let Work::Idle { connections } = work {
            let started = Instant::now();
            for _ in 0..connections {
                clients.push(connect(address).await?);
            }
            return Ok(Done::moved(connections as u64, started.elapsed()));
        }
        let started = Instant::now();
        let tasks = clients.iter().flat_map(|client| std::iter::repeat_n(client, work.tasks()));
        let tasks = tasks.map(|client| C::spawn(Task { client: client.clone(), work, started, time }));
        Done::together(tasks.collect()).await
    })
    .await
}

async fn connect<C: Client>(address: SocketAddr) -> Result<C, Failure> {
    let client = C::connect(address).await?;
    client.next(0).await?;
    Ok(client)
}

/// Does it when it is told to. What it borrows stays until standard input ends.
pub(crate) async fn when_told(work: impl Future<Output = Result<Done, Failure>>) -> Result<(), Failure> {
    println!("ready");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    orders.next_line().await?;
    println!("{}", work.await?);
    while orders.next_line().await?.is_some() {}
    Ok(())
}

/// Items read in `time`, from the first on.
pub(crate) async fn read_for<T, E>(
    items: &mut (impl Stream<Item = Result<T, E>> + Unpin),
    time: Duration,
) -> Result<Done, Failure>
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
    Ok(Done::moved(count, started.elapsed()))
}
