//! The processes of a measurement: this program again, told what to be and then what to do.
//!
//! ```text
//! PROGRAM part PART            PART, orders and replies are JSON, one a line
//!     ◀─ addresses             of a server, which ends with its standard input
//!     ─▶ order  ◀─ reply       of a client, as often as it is asked
//! ```

use std::{net::SocketAddr, process::Stdio};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    runtime::Runtime,
};

use super::{
    clients::{Client, Order, Reply},
    service::{self, Kind, Setup},
};
use crate::Failure;

/// What a process is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Part {
    Server { kind: Kind, setup: Setup },
    Client { kind: Kind, addresses: Vec<SocketAddr> },
}

/// What a process gets of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    /// It alone is to run there, and nowhere else.
    pub(crate) core: Option<usize>,
    /// It runs when nobody else wants to.
    pub(crate) is_nice: bool,
}

/// What a process has had of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Seconds on a processor.
    pub(crate) ran: f64,
    /// Seconds in which its threads could have run and had no processor. Zero where the kernel does not tell.
    pub(crate) waited: f64,
    /// How often a thread was given a processor.
    pub(crate) slices: f64,
}

impl Usage {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran - before.ran,
            waited: self.waited - before.waited,
            slices: self.slices - before.slices,
        }
    }

    /// Microseconds that a thread that could run waited for a processor in the mean.
    pub(crate) fn wait_us(self) -> f64 {
        self.waited * 1e6 / self.slices.max(1.0)
    }

    /// The sum over threads of a line `ran waited slices` each, in nanoseconds.
    fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        lines.fold(Self::default(), |sum, line| {
            let mut figures = line.split_whitespace().map(|figure| figure.parse::<f64>().unwrap_or(0.0));
            let mut next = || figures.next().unwrap_or(0.0);
            Self {
                ran: sum.ran + next() / 1e9,
                waited: sum.waited + next() / 1e9,
                slices: sum.slices + next(),
            }
        })
    }
}

/// A process; ended when dropped.
pub(crate) struct Process {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(part: &Part, share: Share) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let mut words: Vec<String> = Vec::new();
        if let Some(core) = share.core {
            words.extend(["taskset", "--cpu-list", &core.to_string()].map(String::from));
        }
        if share.is_nice {
            words.extend(["nice", "-n", "19"].map(String::from));
        }
        words.push(own.to_string_lossy().into_owned());
        words.extend(["part".to_owned(), serde_json::to_string(part)?]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdout(Stdio::piped()).stdin(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("the process has no output")?;
        let orders = child.stdin.take().ok_or("the process has no input")?;
        Ok(Self { child, orders, lines: BufReader::new(stdout).lines() })
    }

    /// A server, and where it listens.
    pub(crate) async fn server(
        kind: Kind,
        setup: Setup,
        share: Share,
    ) -> Result<(Self, Vec<SocketAddr>), Failure> {
        let mut process = Self::start(&Part::Server { kind, setup }, share)?;
        let addresses = serde_json::from_str(&process.line().await?)?;
        Ok((process, addresses))
    }

    pub(crate) fn client(kind: Kind, addresses: &[SocketAddr], share: Share) -> Result<Self, Failure> {
        Self::start(&Part::Client { kind, addresses: addresses.to_vec() }, share)
    }

    /// Has a client do something.
    pub(crate) async fn order(&mut self, order: &Order) -> Result<Reply, Failure> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line).await?;
        self.orders.flush().await?;
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    async fn line(&mut self) -> Result<String, Failure> {
        Ok(self.lines.next_line().await?.ok_or("a process of the measurement ended")?)
    }

    pub(crate) fn usage(&self) -> Usage {
        let Some(id) = self.child.id() else { return Usage::default() };
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let lines: Vec<String> = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
            .collect();
        Usage::of_lines(lines.iter().map(String::as_str))
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        crate::process::resident_bytes(&self.child)
    }
}

/// A process of a measurement, which the one argument says.
pub(crate) fn main(runtime: Runtime, arguments: &[String]) -> Result<(), Failure> {
    let [part] = arguments else {
        return Err("a part of a measurement is started by the measurement".into());
    };
    let part = serde_json::from_str(part)?;
    // On a worker: what the main thread spawns reaches the workers by a slower way.
    runtime.block_on(async { tokio::spawn(be(part)).await? })
}

/// Is what it is told to be until standard input ends.
async fn be(part: Part) -> Result<(), Failure> {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    match part {
        Part::Server { kind, setup } => {
            let (listeners, addresses) = service::listen(&setup).await?;
            println!("{}", serde_json::to_string(&addresses)?);
            tokio::select! {
                served = service::serve(kind, &setup, listeners) => served,
                _ = orders.next_line() => Ok(()),
            }
        }
        Part::Client { kind, addresses } => {
            let mut client = Client::new(kind, addresses);
            while let Some(line) = orders.next_line().await? {
                let reply = client.obey(serde_json::from_str(&line)?).await?;
                println!("{}", serde_json::to_string(&reply)?);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_the_sum_of_what_the_threads_had() {
        let usage = Usage::of_lines(["2000000000 500000000 10", "1000000000 500000000 10"].into_iter());
        assert_eq!(usage, Usage { ran: 3.0, waited: 1.0, slices: 20.0 });
        assert!((usage.wait_us() - 50_000.0).abs() < 1e-6);
    }
}
