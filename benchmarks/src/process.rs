//! Server processes: this program again, serving.

use std::{net::SocketAddr, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::{Failure, ours, raw};

/// A server in a process of its own; ended when dropped.
pub(crate) struct ServerProcess {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl ServerProcess {
    pub(crate) async fn start(subject: &str, workers: usize) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", subject, &workers.to_string()])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.ok_or("the server said no address")?;
        Ok(Self { address: line.parse()?, child })
    }

    /// Binds this process and the server to cores until the guard is dropped. Left alone, the kernel's choice between one
    /// core and two decides a single call's latency more than what the processes do. Does nothing where `taskset` is
    /// missing.
    pub(crate) fn bind(&self, placement: Placement) -> Bound {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let all =
            status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("").trim();
        let (first, last) = (all.split([',', '-']).next(), all.rsplit([',', '-']).next());
        let server = match placement {
            Placement::SameCore => first,
            Placement::CoreEach => last,
        };
        let client = (std::process::id(), first);
        let ends = [Some(client), self.child.id().map(|id| (id, server))];
        for (id, core) in ends.iter().flatten() {
            set_cores(*id, core.unwrap_or(""));
        }
        Bound { ids: ends.iter().flatten().map(|(id, _)| *id).collect(), all: all.to_owned() }
    }

    /// Processor seconds it has used.
    pub(crate) fn processor_seconds(&self) -> f64 {
        self.child.id().map_or(0.0, |id| processor_seconds(&id.to_string()))
    }

    /// Bytes of memory it has resident.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let Some(id) = self.child.id() else { return 0 };
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
    }
}

/// Where client and server run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Waking the other is a switch.
    SameCore,
    /// Waking the other crosses cores, as it would machines.
    CoreEach,
}

/// Processes bound to cores; free again when it is dropped.
pub(crate) struct Bound {
    ids: Vec<u32>,
    all: String,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.ids.iter().for_each(|id| set_cores(*id, &self.all));
    }
}

fn set_cores(process: u32, cores: &str) {
    let arguments = ["--all-tasks", "--cpu-list", "--pid", cores, &process.to_string()];
    // Without it the figures are only noisier.
    let _ = std::process::Command::new("taskset").args(arguments).stdout(Stdio::null()).status();
}

/// Processor seconds of a process, user and system, from the operating system's table.
pub(crate) fn processor_seconds(process: &str) -> f64 {
    // Hundredths of a second on every Linux; fields 14 and 15, counted behind the name in parentheses.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Serves until standard input ends, that is, until the measuring process does.
pub(crate) async fn serve(subject: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let parent_gone = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let serve = async {
        match subject {
            "rpc" => ours::serve(listener).await,
            "ws-flush" => raw::serve(listener, raw::Flush::Each).await,
            "ws-batch" => raw::serve(listener, raw::Flush::Batch).await,
            other => Err(format!("nothing is called {other}").into()),
        }
    };
    tokio::select! {
        served = serve => served,
        _ = parent_gone => Ok(()),
    }
}
