//! The workloads, W1 to W10, as rows of the table.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use examples::link::Link;

use crate::{
    Failure, Subject, ours,
    process::{self, ClientProcess, Placement, ServerProcess, processor_seconds},
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

/// Calls, items or bytes, and how long they took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

impl Moved {
    fn per_second(self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    fn mib_per_second(self) -> f64 {
        self.per_second() / f64::from(1 << 20)
    }
}

/// Calls in a chain.
const DEPTH: usize = 8;
/// Idle connections whose memory is measured.
const IDLE: usize = 2_000;
/// Idle streams of one connection whose memory is measured.
pub(crate) const IDLE_STREAMS: usize = 10_000;
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
            Self::InFlight(1),
            Self::InFlight(16),
            Self::InFlight(128),
            Self::InFlight(1_024),
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
            Self::IdleMemory | Self::IdleStreams(_) => "KiB each",
            Self::Items | Self::FanOut { .. } => "items/s",
        }
    }

    /// Whether a subject can do it at all, and does it here.
    pub(crate) fn applies_to(self, subject: Subject) -> bool {
        match self {
            // A raw socket has nothing to pipeline, no streams beside each other, nobody subscribed.
            Self::Chain { pipelined: true, .. }
            | Self::IdleStreams(_)
            | Self::FanOut { .. }
            | Self::Beside { .. } => subject == Subject::Rpc,
            Self::Items => true,
            _ => matches!(subject, Subject::Rpc | Subject::WsFlush | Subject::WsBatch),
        }
    }

    pub(crate) async fn measure(
        self,
        subject: Subject,
        place: Place<'_>,
        time: Duration,
    ) -> Result<Sample, Failure> {
        let server = place.server;
        let delayed = matches!(
            self,
            Self::SingleDelayed | Self::Chain { delayed: true, .. } | Self::Beside { delayed: true, .. }
        );
        let link = if delayed { Some(Link::start(server.address, DELAY).await?) } else { None };
        let address = link.as_ref().map_or(server.address, Link::address);
        let flush = flush_of(subject);
        let rpc = subject == Subject::Rpc;
        let plain = |value| Sample { value, ..Sample::default() };
        Ok(match self {
            Self::OneAtATime(placement) => {
                let _bound = server.bind(placement);
                plain(median_us(if rpc {
                    ours::latencies(address, time).await?
                } else {
                    raw::latencies(address, flush, time).await?
                }))
            }
            Self::InFlight(in_flight) => self.calls(subject, server, 1, in_flight, time).await?,
            Self::Connections => self.calls(subject, server, 64, 16, time).await?,
            Self::Payload(size) => {
                let started = Instant::now();
                let bytes = if rpc {
                    ours::payloads(address, size, time).await?
                } else {
                    raw::payloads(address, flush, size, time).await?
                };
                plain(bytes as f64 / started.elapsed().as_secs_f64() / f64::from(1 << 20))
            }
            Self::SingleDelayed => plain(median_us(if rpc {
                ours::chains(address, 1, false, time).await?
            } else {
                raw::chains(address, flush, 1, time).await?
            })),
            Self::Chain { pipelined, .. } => plain(median_us(if rpc {
                ours::chains(address, DEPTH, pipelined, time).await?
            } else {
                raw::chains(address, flush, DEPTH, time).await?
            })),
            Self::IdleMemory => plain(idle_memory(subject, server, flush).await?),
            Self::IdleStreams(side) => plain(idle_streams(subject, place, side).await?),
            Self::Items => items(subject, place, time).await?,
            Self::Blocks(way) => {
                let moved = match (rpc, way) {
                    (true, Way::Down) => ours::streams::download(address, BLOCK, time).await?,
                    (true, Way::Up) => ours::streams::upload(address, BLOCK, time).await?,
                    (false, Way::Down) => raw::streams::download(address, flush, BLOCK, time).await?,
                    (false, Way::Up) => raw::streams::upload(address, flush, BLOCK, time).await?,
                };
                plain(moved.mib_per_second())
            }
            Self::FanOut { connections } => {
                let before = processor_seconds("self") + server.processor_seconds();
                let moved = ours::streams::fan_out(address, connections, SUBSCRIBERS, time).await?;
                let used = processor_seconds("self") + server.processor_seconds() - before;
                counted(moved, used)
            }
            Self::Beside { upload, delayed } => {
                // An upload takes both cores; without one, the kernel may or may not have both ends on one.
                let _bound = (!upload && !delayed).then(|| server.bind(Placement::CoreEach));
                let upload = upload.then_some(FILE);
                let beside = ours::streams::calls_beside(address, upload, CALLS_MIN, time).await?;
                Sample {
                    p99_us: Some(percentile_us(beside.latencies.clone(), 99)),
                    upload: beside.uploaded.map(Moved::mib_per_second),
                    ..plain(median_us(beside.latencies))
                }
            }
        })
    }

    async fn calls(
        self,
        subject: Subject,
        server: &ServerProcess,
        connections: usize,
        in_flight: usize,
        time: Duration,
    ) -> Result<Sample, Failure> {
        let processor = || processor_seconds("self") + server.processor_seconds();
        let (before, started) = (processor(), Instant::now());
        let count = match subject {
            Subject::Rpc => ours::calls(server.address, connections, in_flight, time).await?,
            _ => raw::calls(server.address, flush_of(subject), connections, in_flight, time).await?,
        };
        let moved = Moved { count, time: started.elapsed() };
        Ok(counted(moved, processor() - before))
    }
}

fn flush_of(subject: Subject) -> Flush {
    match subject {
        Subject::WsFlush => Flush::Each,
        Subject::WsPack => Flush::Pack,
        _ => Flush::Batch,
    }
}

/// Of so many calls or items, for which so many processor seconds were used.
fn counted(moved: Moved, processor_seconds: f64) -> Sample {
    let processor_us = Some(processor_seconds * 1e6 / moved.count.max(1) as f64);
    Sample { value: moved.per_second(), processor_us, ..Sample::default() }
}

/// Small items from the server. Clients of peers are processes of their own.
async fn items(subject: Subject, place: Place<'_>, time: Duration) -> Result<Sample, Failure> {
    let Place { program, server, workers } = place;
    if subject.is_peer() {
        let mut client =
            ClientProcess::start(program, subject, workers, server.address, process::ITEMS, time).await?;
        let processor = || client.processor_seconds() + server.processor_seconds();
        let before = processor();
        let moved = client.go().await?;
        let used = client.processor_seconds() + server.processor_seconds() - before;
        return Ok(counted(moved, used));
    }
    let processor = || processor_seconds("self") + server.processor_seconds();
    let before = processor();
    let moved = match subject {
        Subject::Rpc => ours::streams::items(server.address, time).await?,
        _ => raw::streams::items(server.address, flush_of(subject), time).await?,
    };
    Ok(counted(moved, processor() - before))
}

/// What each of many idle streams of one connection costs. In processes of its own, whose memory nothing else has left
/// room in.
async fn idle_streams(subject: Subject, place: Place<'_>, side: Side) -> Result<f64, Failure> {
    let Place { program, workers, .. } = place;
    let server = ServerProcess::start(program, subject, workers).await?;
    let (address, time) = (server.address, Duration::ZERO);
    let mut client =
        ClientProcess::start(program, subject, workers, address, process::IDLE_STREAMS, time).await?;
    let before = (server.resident_bytes(), client.resident_bytes());
    let count = client.go().await?.count;
    let grown = match side {
        Side::Server => server.resident_bytes().saturating_sub(before.0),
        Side::Client => client.resident_bytes().saturating_sub(before.1),
    };
    Ok(grown as f64 / 1_024.0 / count as f64)
}

/// What each of many idle connections costs the server. Each has done one call.
async fn idle_memory(subject: Subject, server: &ServerProcess, flush: Flush) -> Result<f64, Failure> {
    let before = server.resident_bytes();
    let grown = if subject == Subject::Rpc {
        let mut clients = Vec::new();
        for _ in 0..IDLE {
            clients.push(ours::connect(server.address).await?);
        }
        server.resident_bytes().saturating_sub(before)
    } else {
        let _sockets = raw::idle(server.address, flush, IDLE).await?;
        server.resident_bytes().saturating_sub(before)
    };
    Ok(grown as f64 / 1_024.0 / IDLE as f64)
}

fn median_us(latencies: Vec<Duration>) -> f64 {
    percentile_us(latencies, 50)
}

fn percentile_us(mut latencies: Vec<Duration>, percent: usize) -> f64 {
    latencies.sort_unstable();
    latencies.get(latencies.len() * percent / 100).map_or(f64::NAN, |median| median.as_secs_f64() * 1e6)
}
