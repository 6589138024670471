//! Server and client processes: this program again, or that of the peers.
//!
//! ```text
//! PROGRAM serve SUBJECT WORKERS                              says its address; ends with its standard input
//! PROGRAM drive SUBJECT WORKERS ADDRESS WORKLOAD MILLISECONDS
//!     ◀─ ready                        connected
//!     ─▶ go
//!     ◀─ done COUNT SECONDS           keeps what it opened until its standard input ends
//! ```

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{Failure, Subject, ours, raw, workloads::Moved};

/// Streams that `drive` opens and leaves alone.
pub(crate) const IDLE_STREAMS: &str = "idle-streams";
/// Small items that the server sends.
pub(crate) const ITEMS: &str = "items";

/// What runs servers and clients.
pub(crate) struct Programs {
    own: PathBuf,
    peers: Option<PathBuf>,
}

/// Where the program of the peers comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peers {
    /// They are left out.
    None,
    /// It is built.
    Build,
    /// It is there.
    At(PathBuf),
}

impl Programs {
    pub(crate) async fn find(peers: &Peers) -> Result<Self, Failure> {
        let peers = match peers {
            Peers::None => None,
            Peers::Build => Some(build_peers().await?),
            Peers::At(path) => Some(path.clone()),
        };
        Ok(Self { own: std::env::current_exe()?, peers })
    }

    /// What runs a subject, if it can be run.
    pub(crate) fn of(&self, subject: Subject) -> Option<&Path> {
        if subject.is_peer() { self.peers.as_deref() } else { Some(&self.own) }
    }
}

/// Builds the crate beside this one that is not of the workspace, and says where its program is.
async fn build_peers() -> Result<PathBuf, Failure> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");
    let arguments = ["build", "--release", "--locked", "--message-format=json-render-diagnostics"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).args(["--manifest-path", manifest]).stderr(Stdio::inherit());
    let output = command.output().await?;
    if !output.status.success() {
        return Err("the peers do not build".into());
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let mut programs = messages.filter_map(|message| {
        let message: serde_json::Value = serde_json::from_slice(message).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    programs.next_back().ok_or_else(|| "cargo did not say where the peers are".into())
}

/// A server in a process of its own; ended when dropped.
pub(crate) struct ServerProcess {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl ServerProcess {
    pub(crate) async fn start(program: &Path, subject: Subject, workers: usize) -> Result<Self, Failure> {
        let (child, mut lines) = spawn(program, &["serve", subject.name(), &workers.to_string()])?;
        let line = lines.next_line().await?.ok_or("the server said no address")?;
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
        resident_bytes(&self.child)
    }
}

/// A client in a process of its own; ended when dropped.
pub(crate) struct ClientProcess {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl ClientProcess {
    /// Gives it once it is connected.
    pub(crate) async fn start(
        program: &Path,
        subject: Subject,
        workers: usize,
        address: SocketAddr,
        workload: &str,
        time: Duration,
    ) -> Result<Self, Failure> {
        let (workers, address) = (workers.to_string(), address.to_string());
        let milliseconds = time.as_millis().to_string();
        let arguments = ["drive", subject.name(), &workers, &address, workload, &milliseconds];
        let (mut child, lines) = spawn(program, &arguments)?;
        let orders = child.stdin.take().ok_or("the client has no input")?;
        let mut client = Self { child, orders, lines };
        match client.line().await? {
            line if line == "ready" => Ok(client),
            line => Err(format!("the client said {line:?} and not that it is ready").into()),
        }
    }

    /// Has it do what it was started for.
    pub(crate) async fn go(&mut self) -> Result<Moved, Failure> {
        self.orders.write_all(b"go\n").await?;
        self.orders.flush().await?;
        let line = self.line().await?;
        let words: Vec<&str> = line.split(' ').collect();
        let ["done", count, seconds] = words[..] else {
            return Err(format!("the client said {line:?} and not what it has done").into());
        };
        Ok(Moved { count: count.parse()?, time: Duration::from_secs_f64(seconds.parse()?) })
    }

    async fn line(&mut self) -> Result<String, Failure> {
        Ok(self.lines.next_line().await?.ok_or("the client ended")?)
    }

    pub(crate) fn processor_seconds(&self) -> f64 {
        self.child.id().map_or(0.0, |id| processor_seconds(&id.to_string()))
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(&self.child)
    }
}

fn spawn(program: &Path, arguments: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>), Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).stdin(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or("the process has no output")?;
    Ok((child, BufReader::new(stdout).lines()))
}

pub(crate) fn resident_bytes(child: &Child) -> u64 {
    let Some(id) = child.id() else { return 0 };
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
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
            "ws-pack" => raw::serve(listener, raw::Flush::Pack).await,
            other => Err(format!("nothing is called {other}").into()),
        }
    };
    tokio::select! {
        served = serve => served,
        _ = parent_gone => Ok(()),
    }
}

/// Does a workload as a client, when told to, and keeps what it opened until standard input ends.
pub(crate) async fn drive(
    subject: &str,
    address: SocketAddr,
    workload: &str,
    _time: Duration,
) -> Result<(), Failure> {
    let (Subject::RPC_NAME, IDLE_STREAMS) = (subject, workload) else {
        return Err(format!("{subject} does not do {workload}").into());
    };
    let mut quiet = ours::streams::connect_quietly(address, crate::workloads::IDLE_STREAMS).await?;
    println!("ready");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    orders.next_line().await?;
    let started = Instant::now();
    quiet.open(crate::workloads::IDLE_STREAMS).await?;
    println!("done {} {}", crate::workloads::IDLE_STREAMS, started.elapsed().as_secs_f64());
    while orders.next_line().await?.is_some() {}
    Ok(())
}
