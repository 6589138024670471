//! A ride in an elevator: the connection is lost again and again while a stream, calls and callbacks go on. At last the server is
//! killed, and the client says what that cost.

use std::{
    error::Error,
    fmt::Write as _,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use rpc_client::{CallError, Client, ConnectionState, Delivery, Reconnect};
use rpc_core::{Streaming, rpc};
use rpc_server::{ResumeOptions, Server};
use tokio::time::{Instant, interval, sleep};

use crate::link::Link;

/// What happens on the ride.
#[rpc]
pub trait Elevator {
    /// Counts, a hundred numbers a second.
    async fn counter(&self) -> Streaming<u64>;
    /// Presses the button of a floor. The floors are those that were pressed so far, in order.
    async fn press(&self, floor: u64) -> u64;
    /// Rings the bell at each floor, one after the other, without an end.
    async fn ride(&self, bell: BellClient);
}

/// The passenger's bell.
#[rpc]
pub trait Bell {
    /// Rings; the floors come in order.
    async fn ring(&self, floor: u64);
}

#[derive(Default)]
struct Cabin {
    pressed: AtomicU64,
}

impl Elevator for Cabin {
    async fn counter(&self) -> Streaming<u64> {
        let ticks = futures::stream::unfold((0, interval(TICK)), async |(number, mut ticks)| {
            ticks.tick().await;
            Some((number, (number + 1, ticks)))
        });
        Streaming::new(ticks)
    }

    async fn press(&self, _floor: u64) -> u64 {
        self.pressed.fetch_add(1, Ordering::SeqCst)
    }

    async fn ride(&self, bell: BellClient) {
        for floor in 0.. {
            if bell.ring(floor).await.is_err() {
                return;
            }
            sleep(TICK).await;
        }
    }
}

const TICK: Duration = Duration::from_millis(10);
/// The time of one column in the picture.
const COLUMN: Duration = Duration::from_millis(100);

/// Serves the elevator on a port, which it prints, until the process is killed.
///
/// # Errors
/// Errors of the operating system.
///
/// # Cancel safety
/// Dropping the future closes the server.
pub async fn serve(port: u16) -> io::Result<()> {
    let often = ResumeOptions { attaches_per_minute: 600, ..ResumeOptions::default() };
    let server = Server::builder().service(ElevatorServer::new(Cabin::default())).resume(often);
    let server = server.bind(("127.0.0.1", port)).await?;
    #[allow(clippy::print_stdout, reason = "the parent process reads it")]
    {
        println!("{}", server.local_addr()?.port());
    }
    server.serve().await
}

/// What the passenger noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Times that the connection was lost and the session went on.
    pub resumed: usize,
    /// Numbers of the counter that were missing.
    pub gaps: u64,
    /// Numbers, floors or results that came twice.
    pub duplicates: u64,
    /// Numbers of the counter, results of calls, and rings of the bell.
    pub heard: (u64, u64, u64),
    /// The times from a lost connection to the session going on.
    pub times: Vec<Duration>,
    /// One character for each tenth of a second.
    pub timeline: String,
}

#[derive(Default)]
struct Seen {
    numbers: AtomicU64,
    rings: AtomicU64,
    calls: AtomicU64,
    gaps: AtomicU64,
    duplicates: AtomicU64,
    is_attached: AtomicBool,
    times: Mutex<Vec<Duration>>,
}

impl Seen {
    /// Compares what came with what was due.
    fn note(&self, counted: &AtomicU64, number: u64) {
        let due = counted.load(Ordering::SeqCst);
        self.gaps.fetch_add(number.saturating_sub(due), Ordering::SeqCst);
        self.duplicates.fetch_add(u64::from(number < due), Ordering::SeqCst);
        counted.store(due.max(number + 1), Ordering::SeqCst);
    }
}

struct Ringing(Arc<Seen>);

impl Bell for Ringing {
    async fn ring(&self, floor: u64) {
        self.0.note(&self.0.rings, floor);
    }
}

/// A passenger: a client, and what goes on while it rides.
pub struct Passenger {
    client: Client,
    seen: Arc<Seen>,
    tasks: tokio::task::JoinSet<Result<(), String>>,
}

impl Passenger {
    /// Boards the elevator at this address.
    ///
    /// # Errors
    /// If the server cannot be reached.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt.
    pub async fn board(url: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let policy = Reconnect { delay: TICK, delay_max: TICK * 5, ..Reconnect::default() };
        let client = Client::builder().reconnect(policy).connect(url).await?;
        let (elevator, seen): (ElevatorClient, _) = (client.service(), Arc::<Seen>::default());
        let mut tasks = tokio::task::JoinSet::new();
        let mut numbers = elevator.counter().await?;
        let counting = Arc::clone(&seen);
        tasks.spawn(async move {
            while let Some(number) = numbers.next().await {
                match number {
                    Ok(number) => counting.note(&counting.numbers, number),
                    Err(error) => return Err(format!("the counter ended: {error}")),
                }
            }
            Err("the counter ended".into())
        });
        let riding = elevator.ride(BellClient::local(Ringing(Arc::clone(&seen))));
        tasks.spawn(
            async move { riding.await.map_err(|error| format!("the bell is silent: {}", told(&error))) },
        );
        let pressing = Arc::clone(&seen);
        tasks.spawn(async move {
            for floor in 0.. {
                match elevator.press(floor).await {
                    Ok(pressed) => pressing.note(&pressing.calls, pressed),
                    Err(error) => return Err(format!("press({floor}): {}", told(&error))),
                }
                sleep(TICK).await;
            }
            Ok(())
        });
        let (states, watching) = (client.states(), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut states = std::pin::pin!(states);
            while let Some(state) = states.next().await {
                watching.is_attached.store(
                    matches!(state, ConnectionState::Attached | ConnectionState::Resumed),
                    Ordering::SeqCst,
                );
                if let ConnectionState::Detached { since, .. } = state
                    && let Some(ConnectionState::Resumed) = states.next().await
                {
                    watching.is_attached.store(true, Ordering::SeqCst);
                    watching.times.lock().unwrap_or_else(PoisonError::into_inner).push(since.elapsed());
                }
            }
            Ok(())
        });
        Ok(Self { client, seen, tasks })
    }

    /// Rides with the link going down and up `cuts` times, and reports.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the link as it is.
    pub async fn ride(&mut self, link: &Link, cuts: u32) -> Report {
        let mut timeline = String::new();
        let started = Instant::now();
        let mut columns = interval(COLUMN);
        let mut phase = 0_u32;
        while phase < 2 * cuts + 1 {
            // The doors are open for half a second, and closed for two tenths to six.
            let lasts = if phase.is_multiple_of(2) { 5 } else { 2 + phase % 5 };
            link.set_up(phase.is_multiple_of(2));
            for _ in 0..lasts {
                columns.tick().await;
                timeline.push(if self.seen.is_attached.load(Ordering::SeqCst) { '█' } else { '·' });
            }
            phase += 1;
        }
        // The last connection may still be on its way.
        while !self.seen.is_attached.load(Ordering::SeqCst) && started.elapsed() < Duration::from_secs(60) {
            sleep(TICK).await;
        }
        let Seen { numbers, rings, calls, gaps, duplicates, times, .. } = &*self.seen;
        let times = times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Report {
            resumed: times.len(),
            gaps: count(gaps),
            duplicates: count(duplicates),
            heard: (count(numbers), count(calls), count(rings)),
            times,
            timeline,
        }
    }

    /// What was lost when the session was: each thing that ended, in words.
    ///
    /// # Cancel safety
    /// Dropping the future loses the words.
    pub async fn losses(&mut self) -> Vec<String> {
        let mut losses = Vec::new();
        while losses.len() < 3
            && let Some(ended) = self.tasks.join_next().await
        {
            if let Ok(Err(loss)) = ended {
                losses.push(loss);
            }
        }
        losses.sort();
        losses
    }

    /// The passenger's client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl std::fmt::Debug for Passenger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passenger").finish_non_exhaustive()
    }
}

/// Whether a call that failed with its session has run.
fn told<E>(error: &CallError<E>) -> &'static str {
    match error {
        CallError::Disconnected { delivery: Delivery::NotSent, .. } => "it was not sent",
        CallError::Disconnected { delivery: Delivery::Accepted, .. } => {
            "the server had it; how it ended is unknown"
        }
        CallError::Disconnected { .. } => "whether the server had it is unknown",
        _ => "it failed otherwise",
    }
}

impl Report {
    /// The report as text, with the timeline.
    pub fn text(&self) -> String {
        let Self { resumed, gaps, duplicates, heard: (numbers, calls, rings), times, timeline } = self;
        let mut text = format!("connected  {timeline}   a column is {} ms\n", COLUMN.as_millis());
        let longest = times.iter().max().copied().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{resumed} times the connection was lost, and the session went on; the longest time took {} ms",
            longest.as_millis()
        );
        let _ = writeln!(
            text,
            "{numbers} numbers, {calls} calls, {rings} rings of the bell: gaps {gaps}, duplicates {duplicates}"
        );
        text
    }
}

#[cfg(test)]
mod tests;
