//! Server and client processes: this program again, or that of the peers. How they talk is in `drive.rs`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    Subject,
    drive::{self, Failure, Moved, Work},
    ours, raw,
};

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

    /// Processor seconds it has used.
    pub(crate) fn processor_seconds(&self) -> f64 {
        self.child.id().map_or(0.0, |id| processor_seconds(&id.to_string()))
    }

    /// Bytes of memory it has resident.
    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(&self.child)
    }

    /// The files that it has open, sockets among them.
    pub(crate) fn open_files(&self) -> usize {
        let files = self.child.id().and_then(|id| std::fs::read_dir(format!("/proc/{id}/fd")).ok());
        files.map_or(0, Iterator::count)
    }

    /// Waits until it has no more than this number of files open: it has noticed that its clients are gone.
    pub(crate) async fn until_open_files(&self, files: usize) -> Result<(), Failure> {
        let fewer = async {
            while self.open_files() > files {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        Ok(tokio::time::timeout(Duration::from_secs(10), fewer).await?)
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
        work: Work,
        time: Duration,
    ) -> Result<Self, Failure> {
        let (workers, address, work) = (workers.to_string(), address.to_string(), work.to_string());
        let milliseconds = time.as_millis().to_string();
        let arguments = ["drive", subject.name(), &workers, &address, &work, &milliseconds];
        let (mut child, lines) = spawn(program, &arguments)?;
        let orders = child.stdin.take().ok_or("the client has no input")?;
        let mut client = Self { child, orders, lines };
        match client.line().await? {
            line if line == "ready" => Ok(client),
            line => Err(format!("the client said {line:?} and not that it is ready").into()),
        }
    }

    /// Has it do what it was started for.
    pub(crate) async fn go(&mut self) -> Result<Outcome, Failure> {
        self.orders.write_all(b"go\n").await?;
        self.orders.flush().await?;
        self.line().await?.parse()
    }

    async fn line(&mut self) -> Result<String, Failure> {
        Ok(self.lines.next_line().await?.ok_or("the client ended")?)
    }

    /// Ends it as a crash does: the operating system closes its sockets.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    pub(crate) fn processor_seconds(&self) -> f64 {
        self.child.id().map_or(0.0, |id| processor_seconds(&id.to_string()))
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(&self.child)
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// What a client says that it has done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) moved: Moved,
    /// Microseconds, where calls are timed.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
}

impl FromStr for Outcome {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let words: Vec<&str> = line.split(' ').collect();
        let ["done", count, seconds, p50, p99] = words[..] else {
            return Err(format!("the client said {line:?} and not what it has done").into());
        };
        let moved = Moved { count: count.parse()?, time: Duration::try_from_secs_f64(seconds.parse()?)? };
        let latency = |text: &str| if text == "-" { Ok(None) } else { text.parse().map(Some) };
        Ok(Self { moved, p50_us: latency(p50)?, p99_us: latency(p99)? })
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

/// Binds a client and a server to cores until the guard is dropped. Left alone, the kernel's choice between one core and
/// two decides a single call's latency more than what the processes do. Does nothing where `taskset` is missing.
pub(crate) fn bind(placement: Placement, client: Option<u32>, server: &ServerProcess) -> Bound {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let all = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("").trim();
    let (first, last) = (all.split([',', '-']).next(), all.rsplit([',', '-']).next());
    let server_core = match placement {
        Placement::SameCore => first,
        Placement::CoreEach => last,
    };
    let ends = [client.map(|id| (id, first)), server.child.id().map(|id| (id, server_core))];
    for (id, core) in ends.iter().flatten() {
        set_cores(*id, core.unwrap_or(""));
    }
    Bound { ids: ends.iter().flatten().map(|(id, _)| *id).collect(), all: all.to_owned() }
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
            Subject::RPC_NAME => ours::serve(listener).await,
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

/// Does a workload as a client.
pub(crate) async fn drive(
    subject: &str,
    address: SocketAddr,
    work: Work,
    time: Duration,
) -> Result<(), Failure> {
    match (subject, work) {
        (Subject::RPC_NAME, Work::IdleStreams { streams }) => {
            ours::streams::drive_idle(address, streams).await
        }
        (Subject::RPC_NAME, _) => drive::drive::<ours::Session>(address, work, time).await,
        ("ws-flush", _) => raw::drive(address, raw::Flush::Each, work, time).await,
        ("ws-batch", _) => raw::drive(address, raw::Flush::Batch, work, time).await,
        ("ws-pack", _) => raw::drive(address, raw::Flush::Pack, work, time).await,
        _ => Err(format!("nothing is called {subject}").into()),
    }
}

#[cfg(test)]
mod tests;
