//! Clients that are cut all at once, and how long they take to come back through a listener with bounds.
//!
//! ```text
//! benchmarks reconnect [--clients 10000]
//!
//! clients ══ relays ══ server        clients in a child process, a relay process for each address, the server here
//! ```
//! A relay connects to the server from a loopback address of its own, which the listener bounds like any other address. The relays
//! reset all their connections at once and take new ones at once. Each client has a call in flight at the cut, whose handler waits for it,
//! and makes another one when it is back.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, TryStreamExt, stream};
use rpc_client::{Client, ConnectionState};
use rpc_core::rpc;
use rpc_server::{ResumeOptions, Server, listen::ListenOptions};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin},
    net::{TcpListener, TcpSocket, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    Failure,
    load::table::{Target, number},
};

const CLIENTS: usize = 10_000;
/// The addresses that the clients come from, each with a relay.
const ADDRESSES: u8 = 8;
/// The connections that a client process opens at once.
const OPENED_TOGETHER: usize = 64;
/// The wait before a refused first connection is tried again.
const REFUSED_WAIT: Duration = Duration::from_millis(50);
/// The time in which the clients have to connect, and then to come back.
const PATIENCE: Duration = Duration::from_secs(120);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// Files that a process has open besides connections.
const OTHER_FILES: usize = 100;
const BACK_SECONDS_MAX: f64 = 30.0;

#[rpc]
trait Visits {
    /// The number of visits of this session so far, this one included.
    async fn visit(&self) -> u64;
    /// Returns after the cut.
    async fn held(&self) -> u64;
}

struct Visitor {
    visits: AtomicU64,
    is_cut: watch::Receiver<bool>,
}

impl Visits for Visitor {
    async fn visit(&self) -> u64 {
        self.visits.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn held(&self) -> u64 {
        let mut is_cut = self.is_cut.clone();
        // The sender lives as long as the server.
        let _ = is_cut.wait_for(|is_cut| *is_cut).await;
        self.visits.load(Ordering::Relaxed)
    }
}

/// A line of the client process.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Opened(usize),
    /// All clients are connected, and each has a call in flight.
    Ready,
    Back(usize),
    Done(Report),
}

/// The clients' account of the cut.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    /// When each client's session went on, in microseconds since 1970.
    back_us: Vec<u64>,
    /// Sessions that ended, or did not go on in time.
    lost: usize,
    /// Calls in flight at the cut that returned the right number.
    held: usize,
    /// Calls behind the cut that returned the right number.
    visited: usize,
    /// All other calls, by how they ended.
    failed: BTreeMap<String, usize>,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => crate::runtime(2)?.block_on(measure(CLIENTS)),
        ["--clients", clients] => crate::runtime(2)?.block_on(measure(clients.parse()?)),
        ["client", clients, addresses] => {
            let addresses = addresses.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
            let clients = clients.parse()?;
            crate::runtime(2)?.block_on(async { tokio::spawn(be_clients(clients, addresses)).await? })
        }
        ["relay", source, server] => {
            let (source, server) = (source.parse()?, server.parse()?);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(relay(source, server))
        }
        _ => Err("reconnect takes --clients 10000".into()),
    }
}

// ---- the measuring process, which is the server ----

async fn measure(clients: usize) -> Result<(), Failure> {
    let files = crate::growth::open_files_max();
    if clients + OTHER_FILES > files {
        return Err(format!("{clients} clients need more than {files} open files: raise `ulimit -n`").into());
    }
    let (cut, is_cut) = watch::channel(false);
    let options = ListenOptions { count_loopback: true, connections_max: files, ..ListenOptions::default() };
    let bounds = options.clone();
    let resume = ResumeOptions::default();
    let resume = ResumeOptions { detached_max: resume.detached_max.max(clients), ..resume };
    let server = Server::builder()
        .service_with(move |_| {
            VisitsServer::new(Visitor { visits: AtomicU64::new(0), is_cut: is_cut.clone() })
        })
        .listen_options(options)
        .resume(resume)
        .build();
    let handle = server.handle();
    let listener = rpc_server::listen::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?.to_string();
    let _serving = tokio::spawn(server.serve_on(listener));

    let mut relays = Vec::new();
    let mut addresses = Vec::new();
    for last in 1..=ADDRESSES {
        let mut relay = Process::start(&["relay", &format!("127.9.0.{last}"), &address])?;
        addresses.push(relay.line().await?);
        relays.push(relay);
    }
    let mut all = Process::start(&["client", &clients.to_string(), &addresses.join(",")])?;
    loop {
        match serde_json::from_str(&all.line().await?)? {
            Line::Opened(count) => progress(&format!("{count} of {clients} are connected")),
            Line::Ready => break,
            line => return Err(format!("the clients said {line:?} before they were ready").into()),
        }
    }
    let before = handle.listen_stats();
    let cut_us = now_us();
    for relay in &mut relays {
        relay.say("cut").await?;
    }
    // The calls in flight return to sessions without a socket.
    cut.send_replace(true);
    let report = loop {
        match serde_json::from_str(&all.line().await?)? {
            Line::Back(count) => {
                let seconds = (now_us() - cut_us) as f64 / 1e6;
                progress(&format!("{count} of {clients} are back after {seconds:.1} s"));
            }
            Line::Done(report) => break report,
            line => return Err(format!("the clients said {line:?} after the cut").into()),
        }
    };
    eprintln!("\r{:<80}", "");
    let after = handle.listen_stats();
    let mut back: Vec<f64> = report.back_us.iter().map(|us| us.saturating_sub(cut_us) as f64 / 1e6).collect();
    back.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (back.len() * percent).div_ceil(100);
        back.get(place.max(1) - 1).copied().unwrap_or(f64::NAN)
    };
    let last = if back.len() == clients { at(100) } else { f64::NAN };
    println!(
        "{clients} clients of {ADDRESSES} addresses; {} new connections of an address at once, then {} a second; {} handshakes at once",
        bounds.address_connects_burst, bounds.address_connects_per_second, bounds.handshakes_max,
    );
    println!("back, seconds after the cut: p50 {:.2}, p99 {:.2}, last {last:.2}", at(50), at(99));
    println!(
        "sessions that went on: {}, lost: {}; calls in flight at the cut that returned: {}; calls after it: {}",
        number(back.len() as f64),
        report.lost,
        number(report.held as f64),
        number(report.visited as f64),
    );
    println!(
        "connections meanwhile: {} refused for their address's rate, {} evicted from their handshake",
        number((after.refused_for_rate - before.refused_for_rate) as f64),
        number((after.evicted - before.evicted) as f64),
    );
    report.failed.iter().for_each(|(failure, count)| println!("failed, {count} times: {failure}"));
    let what = format!("seconds until all {clients} are back");
    let target = Target { what, reached: last, bound: BACK_SECONDS_MAX, is_at_most: true };
    target.print();
    let is_whole = report.lost == 0 && report.held == clients && report.visited == clients;
    match is_whole && target.is_met() {
        true => Ok(()),
        false => Err("clients were lost or came back late".into()),
    }
}

fn progress(what: &str) {
    eprint!("\r{:<80}", format!("reconnect: {what}"));
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A child of this measurement; ended when dropped.
struct Process {
    _child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(words: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("reconnect").args(words).stdout(Stdio::piped()).stdin(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("the process has no output")?;
        let orders = child.stdin.take().ok_or("the process has no input")?;
        Ok(Self { _child: child, orders, lines: BufReader::new(stdout).lines() })
    }

    async fn say(&mut self, order: &str) -> Result<(), Failure> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let line = timeout(PATIENCE * 2, self.lines.next_line()).await??;
        Ok(line.ok_or("a process of the measurement ended")?)
    }
}

// ---- a relay ----

/// Passes connections on to the server from `source`, and resets all of them at each order.
async fn relay(source: Ipv4Addr, server: SocketAddr) -> Result<(), Failure> {
    let listener = rpc_server::listen::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    println!("{}", listener.local_addr()?);
    let cuts = watch::Sender::new(());
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            accepted = accept(&listener) => {
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    // A connection that the server refuses ends at both ends.
                    let _ = pass_on(accepted, source, server, &mut cut).await;
                });
            }
            order = orders.next_line() => match order? {
                Some(_) => cuts.send_replace(()),
                None => return Ok(()),
            },
        }
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}

async fn pass_on(
    mut near: TcpStream,
    source: Ipv4Addr,
    server: SocketAddr,
    cut: &mut watch::Receiver<()>,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let mut far = socket.connect(server).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ended = tokio::select! {
        passed = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, 1 << 10, 1 << 10) => passed.map(drop),
        _ = cut.changed() => Ok(()),
    };
    near.set_zero_linger()?;
    far.set_zero_linger()?;
    ended
}

// ---- the clients ----

/// A client with a call in flight, and a task that waits until its session has gone on.
struct Visiting {
    client: Client,
    held: JoinHandle<Result<u64, String>>,
    back: JoinHandle<Option<u64>>,
}

async fn be_clients(clients: usize, addresses: Vec<SocketAddr>) -> Result<(), Failure> {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    tokio::select! {
        visited = visit(clients, &addresses) => visited?,
        () = parent_gone(&mut orders) => {}
    }
    Ok(())
}

async fn parent_gone(orders: &mut Lines<BufReader<Stdin>>) {
    while let Ok(Some(_)) = orders.next_line().await {}
}

fn tell(line: &Line) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

async fn visit(clients: usize, addresses: &[SocketAddr]) -> Result<(), Failure> {
    let count = Arc::new(AtomicUsize::new(0));
    let opening = stream::iter(0..clients).map(|index| {
        let (count, address) = (Arc::clone(&count), addresses[index % addresses.len()]);
        async move {
            let client = connect(address).await?;
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Failure>(client)
        }
    });
    let opening = opening.buffer_unordered(OPENED_TOGETHER).try_collect::<Vec<_>>();
    let opened = with_progress(&count, Line::Opened, opening).await??;

    count.store(0, Ordering::Relaxed);
    let mut visiting = Vec::new();
    for client in opened {
        let visits: VisitsClient = client.service();
        let held = tokio::spawn(async move { visits.held().await.map_err(|error| error.to_string()) });
        let back = tokio::spawn(went_on(client.clone(), Arc::clone(&count)));
        visiting.push(Visiting { client, held, back });
    }
    // The server answers in order: when it has answered this, it has every call that was made before it.
    for Visiting { client, .. } in &visiting {
        client.service::<VisitsClient>().visit().await?;
    }
    tell(&Line::Ready)?;

    let until = Instant::now() + PATIENCE;
    let mut report = Report::default();
    let mut here = Vec::new();
    let coming = async {
        for Visiting { client, held, back } in visiting {
            match timeout_at(until, back).await {
                Ok(Ok(Some(us))) => report.back_us.push(us),
                _ => report.lost += 1,
            }
            here.push((client, held));
        }
    };
    with_progress(&count, Line::Back, coming).await?;
    for (client, held) in here {
        let held = match timeout_at(until, held).await {
            Ok(Ok(held)) => held,
            _ => Err("a call in flight did not return".to_owned()),
        };
        let visited = timeout_at(until, client.service::<VisitsClient>().visit()).await;
        let visited = match visited {
            Ok(visited) => visited.map_err(|error| error.to_string()),
            Err(_) => Err("a call did not return".to_owned()),
        };
        // A session that began anew, or a call that ran twice, has another number of visits.
        for (result, expected, right) in [(held, 2, &mut report.held), (visited, 3, &mut report.visited)] {
            match result {
                Ok(count) if count == expected => *right += 1,
                Ok(count) => {
                    *report.failed.entry(format!("{count} visits, not {expected}")).or_default() += 1
                }
                Err(failure) => *report.failed.entry(failure).or_default() += 1,
            }
        }
    }
    tell(&Line::Done(report))
}

/// Tells the count now and then until `work` is done.
async fn with_progress<T>(
    count: &AtomicUsize,
    line: fn(usize) -> Line,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let telling = async {
        loop {
            sleep(PROGRESS_INTERVAL).await;
            if let Err(failure) = tell(&line(count.load(Ordering::Relaxed))) {
                return failure;
            }
        }
    };
    tokio::select! {
        done = work => Ok(done),
        failure = telling => Err(failure),
    }
}

/// Connects, and makes a call. The listener refuses connections that come too fast.
async fn connect(address: SocketAddr) -> Result<Client, Failure> {
    let url = format!("ws://{address}");
    let until = Instant::now() + PATIENCE;
    let client = loop {
        match Client::connect(&url).await {
            Ok(client) => break client,
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => sleep(REFUSED_WAIT).await,
        }
    };
    client.service::<VisitsClient>().visit().await?;
    Ok(client)
}

/// Waits until the client's session has gone on, on another socket; `None` if it is lost.
async fn went_on(client: Client, count: Arc<AtomicUsize>) -> Option<u64> {
    let mut states = std::pin::pin!(client.states());
    while let Some(state) = states.next().await {
        match state {
            ConnectionState::Resumed => {
                count.fetch_add(1, Ordering::Relaxed);
                return Some(now_us());
            }
            ConnectionState::Lost { .. } | ConnectionState::Closed { .. } => return None,
            _ => {}
        }
    }
    None
}
