//! The workloads, W1 to W7, as rows of the table.

use std::time::{Duration, Instant};

use examples::link::Link;

use crate::{
    Failure, Subject, ours,
    process::{Placement, ServerProcess, processor_seconds},
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
}

/// What one round gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// In the workload's unit.
    pub(crate) value: f64,
    /// Processor microseconds per call, client and server together, where calls are counted.
    pub(crate) processor_us: Option<f64>,
}

/// Calls in a chain.
const DEPTH: usize = 8;
/// Idle connections whose memory is measured.
const IDLE: usize = 2_000;
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
            Self::IdleMemory,
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
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::OneAtATime(_) | Self::Chain { .. } | Self::SingleDelayed => "us",
            Self::InFlight(_) | Self::Connections => "calls/s",
            Self::Payload(_) => "MiB/s",
            Self::IdleMemory => "KiB each",
        }
    }

    /// Whether the raw echo can do it at all: it has nothing to pipeline.
    pub(crate) fn applies_to(self, subject: Subject) -> bool {
        !matches!(self, Self::Chain { pipelined: true, .. }) || subject == Subject::Rpc
    }

    pub(crate) async fn measure(
        self,
        subject: Subject,
        server: &ServerProcess,
        time: Duration,
    ) -> Result<Sample, Failure> {
        let delayed = matches!(self, Self::SingleDelayed | Self::Chain { delayed: true, .. });
        let link = if delayed { Some(Link::start(server.address, DELAY).await?) } else { None };
        let address = link.as_ref().map_or(server.address, Link::address);
        let flush = if subject == Subject::WsFlush { Flush::Each } else { Flush::Batch };
        let rpc = subject == Subject::Rpc;
        let plain = |value| Sample { value, processor_us: None };
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
        let calls = match subject {
            Subject::Rpc => ours::calls(server.address, connections, in_flight, time).await?,
            Subject::WsFlush => raw::calls(server.address, Flush::Each, connections, in_flight, time).await?,
            Subject::WsBatch => {
                raw::calls(server.address, Flush::Batch, connections, in_flight, time).await?
            }
        };
        let used = processor() - before;
        Ok(Sample {
            value: calls as f64 / started.elapsed().as_secs_f64(),
            processor_us: Some(used * 1e6 / calls.max(1) as f64),
        })
    }
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

fn median_us(mut latencies: Vec<Duration>) -> f64 {
    latencies.sort_unstable();
    latencies.get(latencies.len() / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1e6)
}
