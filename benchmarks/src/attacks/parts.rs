//! The processes of an attack: a server, a healthy client beside it, and the attacker; this program again each time.
//!
//! ```text
//! PROGRAM attacks --serve SETUP        ─▶ its address; ends with its standard input
//! PROGRAM attacks --healthy ADDRESS    ◀─ a line  ─▶ latencies since the line before
//! PROGRAM attacks --attack ORDER       ─▶ "begin" ◀─ a line  ─▶ "hung up", and what it did
//! ```

use std::{net::SocketAddr, process::Stdio, time::Duration};

use hdrhistogram::Histogram;
use rpc_client::Client;
use rpc_core::{Limits, MemoryBudget};
use rpc_server::{
    Server,
    listen::{self, ListenOptions},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::Instant,
};

use super::service::{PreyClient, PreyServer, Victim};
use crate::{Failure, process::processor_seconds};

/// A healthy client calls this often.
const HEALTHY_EVERY: Duration = Duration::from_millis(3);
/// A healthy call that takes longer has failed.
const HEALTHY_PATIENCE: Duration = Duration::from_secs(10);

/// How a server is set up, besides the public limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// In place of the public one.
    pub(crate) hello_timeout_ms: Option<u64>,
    /// In place of what open files allow.
    pub(crate) connections_max: Option<usize>,
    /// Connections from this machine count by address, as others do.
    pub(crate) counts_loopback: bool,
    /// Values that a handler puts into one result; each of them holds its thread while it makes them.
    pub(crate) values_max: Option<usize>,
}

impl Setup {
    fn limits(self) -> Limits {
        let limits = Limits::public();
        Limits {
            hello_timeout: self.hello_timeout_ms.map_or(limits.hello_timeout, Duration::from_millis),
            ..limits
        }
    }
}

/// What a server takes. Counting by address, and what all sessions together may hold, belong here.
fn listen_options(setup: Setup) -> ListenOptions {
    let options = ListenOptions { count_loopback: setup.counts_loopback, ..ListenOptions::public() };
    ListenOptions { connections_max: setup.connections_max.unwrap_or(options.connections_max), ..options }
}

/// What a server's process may hold of all sessions together, if it bounds that.
pub(crate) fn process_bytes_max() -> Option<u64> {
    Some(PROCESS_BYTES as u64)
}

/// What a server has by itself.
const PROCESS_BYTES: usize = 1 << 30;

pub(crate) async fn serve(setup: &str) -> Result<(), Failure> {
    let setup: Setup = serde_json::from_str(setup)?;
    let victim = Victim::new(setup.values_max);
    // On all of 127.0.0.0/8: strangers come from many addresses.
    let listener = listen::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    let port = listener.local_addr()?.port();
    println!("{}", serde_json::to_string(&SocketAddr::from(([127, 0, 0, 1], port)))?);
    let server = Server::builder()
        .service(PreyServer::new(victim))
        .limits(setup.limits())
        .listen_options(listen_options(setup))
        .memory_budget(MemoryBudget::new(PROCESS_BYTES));
    let parent_gone = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    tokio::select! {
        served = server.serve_on(listener) => Ok(served?),
        _ = parent_gone => Ok(()),
    }
}

// ---- the healthy client ----

/// Latencies of a healthy client, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Seconds that the server's handlers have taken themselves, since it started.
    pub(crate) handlers: f64,
}

pub(crate) async fn be_healthy(address: &str) -> Result<(), Failure> {
    let address: SocketAddr = address.parse()?;
    let client = Client::connect(&format!("ws://{address}")).await?;
    let prey: PreyClient = client.service();
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let empty = || Histogram::<u64>::new_with_bounds(1, 60_000_000, 3);
    let (mut latencies, mut failed) = (empty()?, 0);
    let mut number = 0;
    println!("\"ready\"");
    loop {
        tokio::select! {
            biased;
            line = orders.next_line() => {
                if line?.is_none() {
                    return Ok(());
                }
                let spent = tokio::time::timeout(HEALTHY_PATIENCE, prey.spent_us().into_future()).await;
                let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
                let reply = Latencies {
                    calls: latencies.len(),
                    failed,
                    p50_ms: at(0.5),
                    p99_ms: at(0.99),
                    max_ms: latencies.max() as f64 / 1e3,
                    handlers: spent.map_or(0.0, |spent| spent.unwrap_or(0) as f64 / 1e6),
                };
                println!("{}", serde_json::to_string(&reply)?);
                (latencies, failed) = (empty()?, 0);
            }
            () = tokio::time::sleep(HEALTHY_EVERY) => {
                number += 1;
                let start = Instant::now();
                let call = prey.echo(number, "a healthy client");
                let answered = tokio::time::timeout(HEALTHY_PATIENCE, call.into_future()).await;
                let is_right = matches!(answered, Ok(Ok((answer, _))) if answer == number);
                failed += u64::from(!is_right);
                // Calls that it could not make while it waited would have waited too.
                let took = u64::try_from(start.elapsed().as_micros())?.max(1);
                latencies.saturating_record(took);
                let every = u64::try_from(HEALTHY_EVERY.as_micros())?;
                (1..took / every).for_each(|missed| latencies.saturating_record(took - missed * every));
                if !is_right && failed > 3 {
                    // It was cut off: that shows in the row, and nobody is kept waiting.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

// ---- what starts them ----

/// A process that talks in lines of JSON; ended when dropped.
pub(crate) struct Part {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What a process has had of the processors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processor {
    /// In hundredths of a second, with threads that are gone.
    pub(crate) seconds: f64,
    /// Of threads that are there, to the nanosecond.
    pub(crate) fine_seconds: f64,
}

impl Part {
    /// `is_nice` processes run when others do not want to: an attacker is on another machine, in truth.
    pub(crate) fn start(command: &str, role: &str, order: &str, is_nice: bool) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let nice = if is_nice { "nice -n 10 " } else { "" };
        // As many files as the system lets it have.
        let script = format!("ulimit -n \"$(ulimit -Hn)\"; exec {nice}\"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(own).args([command, role, order]);
        shell.stdout(Stdio::piped()).stdin(Stdio::piped()).kill_on_drop(true);
        let mut child = shell.spawn()?;
        let stdout = child.stdout.take().ok_or("the process has no output")?;
        let orders = child.stdin.take().ok_or("the process has no input")?;
        Ok(Self { child, orders, lines: BufReader::new(stdout).lines() })
    }

    pub(crate) async fn server(setup: Setup) -> Result<(Self, SocketAddr), Failure> {
        let mut part = Self::start("attacks", "--serve", &serde_json::to_string(&setup)?, false)?;
        let address = part.reply().await?;
        Ok((part, address))
    }

    pub(crate) async fn healthy(server: SocketAddr) -> Result<Self, Failure> {
        let mut part = Self::start("attacks", "--healthy", &server.to_string(), false)?;
        part.reply::<String>().await?;
        Ok(part)
    }

    /// What it says next. Safe to cancel.
    pub(crate) async fn reply<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let line = self.lines.next_line().await?.ok_or("a process of the attack ended")?;
        Ok(serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?)
    }

    pub(crate) async fn order(&mut self, order: &str) -> Result<(), Failure> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }

    /// Latencies since the last time; a healthy client is asked.
    pub(crate) async fn latencies(&mut self) -> Result<Latencies, Failure> {
        self.order("").await?;
        self.reply().await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn processor(&self) -> Processor {
        let id = self.id();
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let nanoseconds = threads.filter_map(|thread| {
            let line = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        });
        let fine_seconds = nanoseconds.sum::<f64>() / 1e9;
        Processor { seconds: processor_seconds(&id.to_string()), fine_seconds }
    }

    /// Resident bytes now, and the most there have been.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let bytes = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
        };
        (bytes("VmRSS:").unwrap_or(0), bytes("VmHWM:").unwrap_or(0))
    }
}
