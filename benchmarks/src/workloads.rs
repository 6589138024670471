//! The workloads, W1 to W10, as rows of the table.

use std::{path::Path, time::Duration};

use examples::link::Link;

use crate::{
    Subject,
    drive::{Failure, Moved, Work},
    ours,
    process::{self, ClientProcess, Outcome, Placement, ServerProcess, processor_seconds},
    raw::{self, Flush},
};

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    OneAtATime(Placement),
    InFlight(usize),
    Connections,
    Payload(usize),
    Chain {
        pipelined: bool,
        delayed: bool,
    },
    /// A single call over the delayed link, to compare chains with.
    SingleDelayed,
    IdleMemory,
    /// Memory of sessions whose clients have vanished.
    DetachedMemory,
    /// What an open stream takes that nothing comes of.
    IdleStreams(Side),
    /// A stream of small items from the server.
    Items,
    /// A stream of long items.
    Blocks(Way),
    /// One producer, many subscribers.
    FanOut {
        connections: usize,
    },
    /// Small calls one at a time, by themselves or while files are uploaded on the same connection.
    Beside {
        upload: bool,
        delayed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the server.
    Down,
    /// To the server, which unmasks what it reads.
    Up,
}

/// Where a round happens.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// What started the server.
    pub(crate) program: &'a Path,
    pub(crate) server: &'a ServerProcess,
    pub(crate) workers: usize,
}

/// What one round gave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// In the workload's unit.
    pub(crate) value: f64,
    /// Processor microseconds per call or item, client and server together, where they are counted.
    pub(crate) processor_us: Option<f64>,
    /// Microseconds that one call in a hundred took longer than, where the value is the median.
    pub(crate) p99_us: Option<f64>,
    /// What was uploaded meanwhile, in MiB/s.
    pub(crate) upload: Option<f64>,
}

impl Moved {
    fn per_second(self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    fn mib_per_second(self) -> f64 {
        self.per_second() / f64::from(1 << 20)
    }
}

/// Calls in flight on one connection.
pub(crate) const IN_FLIGHT: [usize; 4] = [1, 16, 128, 1_024];
/// Calls in a chain.
const DEPTH: usize = 8;
/// Idle connections whose memory is measured.
const IDLE: usize = 2_000;
/// Clients that vanish together, and how often that happens. A server keeps 10,000 sessions without a socket by default.
const VANISHING: usize = 1_000;
const WAVES: usize = 8;
/// Idle streams of one connection whose memory is measured.
const IDLE_STREAMS: usize = 10_000;
/// Bytes of a long item.
const BLOCK: usize = 1 << 20;
const SUBSCRIBERS: usize = 1_000;
/// Bytes of a file that is uploaded beside calls.
const FILE: usize = 100 << 20;
/// Calls without which there is no 99th percentile to speak of.
const CALLS_MIN: usize = 200;
const DELAY: Duration = Duration::from_millis(5);

impl Workload {
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::OneAtATime(Placement::SameCore),
            Self::OneAtATime(Placement::CoreEach),
            Self::InFlight(IN_FLIGHT[0]),
            Self::InFlight(IN_FLIGHT[1]),
            Self::InFlight(IN_FLIGHT[2]),
            Self::InFlight(IN_FLIGHT[3]),
            Self::Connections,
            Self::Payload(64 << 10),
            Self::Payload(1 << 20),
            Self::Chain { pipelined: false, delayed: false },
            Self::Chain { pipelined: true, delayed: false },
            Self::SingleDelayed,
            Self::Chain { pipelined: false, delayed: true },
            Self::Chain { pipelined: true, delayed: true },
            Self::Items,
            Self::IdleMemory,
            Self::DetachedMemory,
            Self::IdleStreams(Side::Server),
            Self::IdleStreams(Side::Client),
            Self::Blocks(Way::Down),
            Self::Blocks(Way::Up),
            Self::FanOut { connections: 1 },
            Self::FanOut { connections: 10 },
            Self::FanOut { connections: 100 },
            Self::Beside { upload: false, delayed: false },
            Self::Beside { upload: true, delayed: false },
            Self::Beside { upload: false, delayed: true },
            Self::Beside { upload: true, delayed: true },
        ]
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::OneAtATime(Placement::SameCore) => "W1 one at a time, p50, same core".into(),
            Self::OneAtATime(Placement::CoreEach) => "W1 one at a time, p50, a core each".into(),
            Self::InFlight(count) => format!("W2 {count} in flight"),
            Self::Connections => "W3 64 connections x 16".into(),
            Self::Payload(size) => format!("W4 echo of {} KiB, 8 in flight", size >> 10),
            Self::Chain { pipelined, delayed } => format!(
                "W5 chain of {DEPTH}, {}{}",
                if pipelined { "pipelined" } else { "awaited" },
                if delayed { ", 5 ms link" } else { "" }
            ),
            Self::SingleDelayed => "W5 single call, 5 ms link".into(),
            Self::IdleMemory => format!("W7 server memory, {IDLE} idle"),
            Self::DetachedMemory => "W7 server memory, detached".into(),
            Self::IdleStreams(Side::Server) => format!("W7 server, {IDLE_STREAMS} idle streams"),
            Self::IdleStreams(Side::Client) => format!("W7 client, {IDLE_STREAMS} idle streams"),
            Self::Items => "W6 stream of small items".into(),
            Self::Blocks(Way::Down) => format!("W8 download of {} KiB items", BLOCK >> 10),
            Self::Blocks(Way::Up) => format!("W8 upload of {} KiB items", BLOCK >> 10),
            Self::FanOut { connections } => {
                format!("W9 fan-out, {connections} connections x {}", SUBSCRIBERS / connections)
            }
            Self::Beside { upload, delayed } => format!(
                "W10 {}call {}",
                if delayed { "5 ms link, " } else { "" },
                if upload { "beside an upload" } else { "alone" }
            ),
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::OneAtATime(_) | Self::Chain { .. } | Self::SingleDelayed | Self::Beside { .. } => "us",
            Self::InFlight(_) | Self::Connections => "calls/s",
            Self::Payload(_) | Self::Blocks(_) => "MiB/s",
            Self::IdleMemory | Self::DetachedMemory | Self::IdleStreams(_) => "KiB each",
            Self::Items | Self::FanOut { .. } => "items/s",
        }
    }

    /// Whether a subject can do it at all, and does it here.
    pub(crate) fn applies_to(self, subject: Subject) -> bool {
        match self {
            // Others have nothing to pipeline.
            Self::Chain { pipelined: true, .. } => matches!(subject, Subject::Rpc | Subject::Capnp),
            // What a raw socket has nothing of, and others are not asked.
            Self::DetachedMemory | Self::IdleStreams(_) | Self::FanOut { .. } | Self::Beside { .. } => {
                subject == Subject::Rpc
            }
            Self::Blocks(_) => matches!(subject, Subject::Rpc | Subject::WsFlush | Subject::WsBatch),
            Self::Items => subject != Subject::Tarpc,
            _ => subject != Subject::WsPack,
        }
    }

    /// Whether every call crosses a slow link.
    fn is_delayed(self) -> bool {
        matches!(
            self,
            Self::SingleDelayed | Self::Chain { delayed: true, .. } | Self::Beside { delayed: true, .. }
        )
    }

    /// What a client in a process of its own does for it; `None` where the measuring process is the client.
    fn work(self) -> Option<Work> {
        Some(match self {
            Self::OneAtATime(_) => Work::One,
            Self::InFlight(in_flight) => Work::Calls { connections: 1, in_flight },
            Self::Connections => Work::Calls { connections: 64, in_flight: 16 },
            Self::Payload(bytes) => Work::Payloads { bytes },
            Self::SingleDelayed => Work::Chain { depth: 1, is_pipelined: false },
            Self::Chain { pipelined, .. } => Work::Chain { depth: DEPTH, is_pipelined: pipelined },
            Self::Items => Work::Items,
            Self::IdleMemory => Work::Idle { connections: IDLE },
            Self::DetachedMemory => Work::Idle { connections: VANISHING },
            Self::IdleStreams(_) => Work::IdleStreams { streams: IDLE_STREAMS },
            Self::Blocks(_) | Self::FanOut { .. } | Self::Beside { .. } => return None,
        })
    }

    pub(crate) async fn measure(
        self,
        subject: Subject,
        place: Place<'_>,
        time: Duration,
    ) -> Result<Sample, Failure> {
        match self.work() {
            Some(work) if self == Self::DetachedMemory => measure_detached(work, subject, place, time).await,
            Some(work) => self.measure_client(work, subject, place, time).await,
            None => self.measure_here(subject, place.server, time).await,
        }
    }

    /// What a client process does and uses.
    async fn measure_client(
        self,
        work: Work,
        subject: Subject,
        place: Place<'_>,
        time: Duration,
    ) -> Result<Sample, Failure> {
        let Place { program, workers, .. } = place;
        // Memory is measured where nothing else has left room.
        let is_memory = matches!(work, Work::Idle { .. } | Work::IdleStreams { .. });
        let own = if is_memory { Some(ServerProcess::start(program, subject, workers).await?) } else { None };
        let server = own.as_ref().unwrap_or(place.server);
        let link = if self.is_delayed() { Some(Link::start(server.address, DELAY).await?) } else { None };
        let address = link.as_ref().map_or(server.address, Link::address);
        let mut client = ClientProcess::start(program, subject, workers, address, work, time).await?;
        let _bound = match self {
            Self::OneAtATime(placement) => Some(process::bind(placement, client.id(), server)),
            // So that it can be compared with a single call.
            Self::Chain { delayed: false, .. } => {
                Some(process::bind(Placement::CoreEach, client.id(), server))
            }
            _ => None,
        };
        let used = |client: &ClientProcess| {
            let seconds = client.processor_seconds() + server.processor_seconds();
            (seconds, server.resident_bytes(), client.resident_bytes())
        };
        let before = used(&client);
        let Outcome { moved, p50_us, p99_us } = client.go().await?;
        let after = used(&client);
        let grown = |before: u64, after: u64| Sample {
            value: after.saturating_sub(before) as f64 / 1_024.0 / moved.count as f64,
            ..Sample::default()
        };
        Ok(match self {
            Self::IdleMemory | Self::IdleStreams(Side::Server) => grown(before.1, after.1),
            Self::IdleStreams(Side::Client) => grown(before.2, after.2),
            Self::Payload(size) => Sample {
                value: moved.mib_per_second(),
                processor_us: Some((after.0 - before.0) * 1e6 * size as f64 / moved.count.max(1) as f64),
                ..Sample::default()
            },
            _ => match p50_us {
                Some(value) => Sample { value, p99_us, ..Sample::default() },
                None => counted(moved, after.0 - before.0),
            },
        })
    }

    /// What this process does as the client.
    async fn measure_here(
        self,
        subject: Subject,
        server: &ServerProcess,
        time: Duration,
    ) -> Result<Sample, Failure> {
        let link = if self.is_delayed() { Some(Link::start(server.address, DELAY).await?) } else { None };
        let address = link.as_ref().map_or(server.address, Link::address);
        let flush = if subject == Subject::WsFlush { Flush::Each } else { Flush::Batch };
        let rpc = subject == Subject::Rpc;
        let plain = |value| Sample { value, ..Sample::default() };
        Ok(match self {
            Self::Blocks(way) => {
                let before = processor_seconds("self") + server.processor_seconds();
                let moved = match (rpc, way) {
                    (true, Way::Down) => ours::streams::download(address, BLOCK, time).await?,
                    (true, Way::Up) => ours::streams::upload(address, BLOCK, time).await?,
                    (false, Way::Down) => raw::streams::download(address, flush, BLOCK, time).await?,
                    (false, Way::Up) => raw::streams::upload(address, flush, BLOCK, time).await?,
                };
                let used = processor_seconds("self") + server.processor_seconds() - before;
                Sample {
                    processor_us: Some(used * 1e6 * BLOCK as f64 / moved.count.max(1) as f64),
                    ..plain(moved.mib_per_second())
                }
            }
            Self::FanOut { connections } => {
                let before = processor_seconds("self") + server.processor_seconds();
                let moved = ours::streams::fan_out(address, connections, SUBSCRIBERS, time).await?;
                let used = processor_seconds("self") + server.processor_seconds() - before;
                counted(moved, used)
            }
            Self::Beside { upload, delayed } => {
                // An upload takes both cores; without one, the kernel may or may not have both ends on one.
                let here = Some(std::process::id());
                let _bound = (!upload && !delayed).then(|| process::bind(Placement::CoreEach, here, server));
                let upload = upload.then_some(FILE);
                let beside = ours::streams::calls_beside(address, upload, CALLS_MIN, time).await?;
                Sample {
                    p99_us: Some(percentile_us(beside.latencies.clone(), 99)),
                    upload: beside.uploaded.map(Moved::mib_per_second),
                    ..plain(percentile_us(beside.latencies, 50))
                }
            }
            _ => return Err(format!("{} has a client of its own", self.name()).into()),
        })
    }
}

/// Memory of a session without a socket. Clients connect, call and vanish, in waves. The memory that a wave's sockets leave behind is
/// taken by the sockets of the next wave, so the server grows from wave to wave by the sessions that it keeps.
async fn measure_detached(
    work: Work,
    subject: Subject,
    place: Place<'_>,
    time: Duration,
) -> Result<Sample, Failure> {
    let Place { program, workers, .. } = place;
    let server = ServerProcess::start(program, subject, workers).await?;
    let files = server.open_files();
    let (mut sessions, mut resident) = (0, Vec::new());
    for _ in 0..WAVES {
        let mut client = ClientProcess::start(program, subject, workers, server.address, work, time).await?;
        sessions += client.go().await?.moved.count;
        client.kill().await?;
        server.until_open_files(files).await?;
        resident.push((sessions, server.resident_bytes()));
    }
    // The first wave pays for what the process needs anyway.
    let [_, (few, before), .., (many, after)] = resident[..] else {
        return Err("there were too few waves".into());
    };
    let value = after.saturating_sub(before) as f64 / 1_024.0 / (many - few) as f64;
    Ok(Sample { value, ..Sample::default() })
}

/// Of so many calls or items, for which so many processor seconds were used.
fn counted(moved: Moved, processor_seconds: f64) -> Sample {
    let processor_us = Some(processor_seconds * 1e6 / moved.count.max(1) as f64);
    Sample { value: moved.per_second(), processor_us, ..Sample::default() }
}

fn percentile_us(mut latencies: Vec<Duration>, percent: usize) -> f64 {
    latencies.sort_unstable();
    latencies.get(latencies.len() * percent / 100).map_or(f64::NAN, |median| median.as_secs_f64() * 1e6)
}
