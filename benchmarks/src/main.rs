//! Measures the RPC beside a raw WebSocket, in one run: interleaved rounds, servers in their own processes.
//!
//! ```text
//! cargo run -p benchmarks --release                      the table
//! cargo run -p benchmarks --release -- --peers           other frameworks too; builds them first
//! cargo run -p benchmarks --release -- load              fairness, open loop, overload
//! cargo run -p benchmarks --release -- growth            more and more connections
//! cargo run -p benchmarks --release -- reconnect         10,000 clients that are cut at once
//! cargo run -p benchmarks --release -- --only "W2 128" --subject rpc      to look at with a profiler
//! cargo run -p benchmarks --release -- instructions      counts those of the hot paths; fails above what is recorded
//! cargo run -p benchmarks --release -- check             ratios to a raw echo; fails below what is recorded
//! cargo run -p benchmarks --release -- attacks           hostile peers; fails beyond the bounds
//! cargo run -p benchmarks --release -- hostile           random hostile conversations, in rounds
//! cargo run -p benchmarks --release -- compile           compile times beside tarpc's
//! cargo run -p benchmarks --release -- --help            the rest
//! ```
//! Only ratios between rows of one run mean anything: absolute figures are those of the machine and its mood.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what this program is for")]

mod attacks;
mod check;
mod compile;
mod depth;
mod document;
mod drive;
mod growth;
mod hostile;
mod instructions;
mod load;
mod options;
mod ours;
mod plots;
mod process;
mod progress;
mod raw;
mod reconnect;
mod report;
mod weight;
mod workloads;

use std::time::Duration;

use crate::{
    drive::Failure,
    options::Options,
    process::{Programs, ServerProcess},
    progress::Progress,
    report::Report,
    workloads::{Place, Workload},
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// This project.
    Rpc,
    /// A raw echo that flushes every message: the naive way.
    WsFlush,
    /// A raw echo that flushes once for all queued messages, with small buffers: the careful way.
    WsBatch,
    /// Raw messages of many items each.
    WsPack,
    /// bincode over TCP. It and those that follow are of the program of the peers.
    Tarpc,
    /// JSON-RPC over WebSocket.
    Jsonrpsee,
    /// gRPC over HTTP/2.
    Tonic,
    /// Cap'n Proto over TCP.
    Capnp,
}

impl Subject {
    const ALL: [Self; 8] = [
        Self::Rpc,
        Self::WsFlush,
        Self::WsBatch,
        Self::WsPack,
        Self::Tarpc,
        Self::Jsonrpsee,
        Self::Tonic,
        Self::Capnp,
    ];
    const RPC_NAME: &str = "rpc";

    fn name(self) -> &'static str {
        match self {
            Self::Rpc => Self::RPC_NAME,
            Self::WsFlush => "ws-flush",
            Self::WsBatch => "ws-batch",
            Self::WsPack => "ws-pack",
            Self::Tarpc => "tarpc",
            Self::Jsonrpsee => "jsonrpsee",
            Self::Tonic => "tonic",
            Self::Capnp => "capnp-rpc",
        }
    }

    /// Whether another program runs it.
    fn is_peer(self) -> bool {
        matches!(self, Self::Tarpc | Self::Jsonrpsee | Self::Tonic | Self::Capnp)
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, subject, workers] = &arguments[..]
        && mode == "serve"
    {
        return runtime(workers.parse()?)?.block_on(process::serve(subject));
    }
    if let [mode, subject, workers, address, workload, milliseconds] = &arguments[..]
        && mode == "drive"
    {
        let time = Duration::from_millis(milliseconds.parse()?);
        return runtime(workers.parse()?)?.block_on(process::drive(
            subject,
            address.parse()?,
            workload.parse()?,
            time,
        ));
    }
    if let Some((mode, rest)) = arguments.split_first() {
        match mode.as_str() {
            "load" => return runtime(2)?.block_on(load::run(&load::Settings::parse(rest)?)),
            "growth" => return runtime(2)?.block_on(growth::run(&load::Settings::parse(rest)?)),
            "reconnect" => return reconnect::run(rest),
            "part" => return load::parts::main(runtime(2)?, rest),
            "repeat" => {
                let [path, repeats] = rest else { return Err("repeat takes a path and a number".into()) };
                return instructions::repeat(path, repeats.parse()?);
            }
            "instructions" => return instructions::run(rest),
            "attacks" => return attacks::run(rest),
            "hostile" => return hostile::run(rest),
            "compile" => return compile::run(rest),
            "weight" => return weight::run(rest),
            "check" => return runtime(check::WORKERS)?.block_on(check::run(rest)),
            _ => {}
        }
    }
    let options = Options::parse(&arguments)?;
    let report = runtime(options.workers)?.block_on(run(&options))?;
    report.write_plots(&options.work)?;
    let results = format!("{:#}\n", report.json());
    std::fs::create_dir_all(&options.work)?;
    std::fs::write(options.work.join("results.json"), &results)?;
    print!("{}", if options.json { results } else { report.table() });
    if options.write {
        document::write(&report, &arguments)?;
    }
    Ok(())
}

fn runtime(workers: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// A round measures each workload with all subjects, one right after the other, so that whatever the machine is up to
/// meets all of them. Each round has servers of its own.
async fn run(options: &Options) -> Result<Report, Failure> {
    let programs = Programs::find(&options.peers).await?;
    let workloads = options.workloads();
    let subjects = Subject::ALL.into_iter().filter(|subject| options.wants(*subject));
    let subjects: Vec<_> = subjects
        .filter_map(|subject| Some((subject, programs.of(subject)?)))
        .filter(|(subject, _)| workloads.iter().any(|workload| workload.applies_to(*subject)))
        .collect();
    let of_workload =
        |workload: &Workload| subjects.iter().filter(|(subject, _)| workload.applies_to(*subject)).count();
    let a_round: usize = workloads.iter().map(of_workload).sum();
    let mut progress = Progress::of(a_round * options.rounds);
    let mut report = Report::new(options.rounds, options.workers);
    for round in 1..=options.rounds {
        let mut servers = Vec::new();
        for (subject, program) in &subjects {
            servers.push((
                *subject,
                *program,
                ServerProcess::start(program, *subject, options.workers).await?,
            ));
        }
        for workload in &workloads {
            for (subject, program, server) in &servers {
                if workload.applies_to(*subject) {
                    let what = format!("{}, {}", workload.name(), subject.name());
                    progress.next(round, options.rounds, &what);
                    let place = Place { program, server, workers: options.workers };
                    let sample = workload.measure(*subject, place, options.round).await;
                    report.add(*workload, *subject, sample.map_err(|failure| format!("{what}: {failure}"))?);
                }
            }
        }
    }
    if let Some(program) = programs.of(Subject::Rpc).filter(|_| options.wants_depth()) {
        let server = ServerProcess::start(program, Subject::Rpc, options.workers).await?;
        eprint!("\r{:<100}", "latency by depth");
        report.depths = Some(depth::measure(&server).await?);
    }
    progress.end();
    Ok(report)
}
