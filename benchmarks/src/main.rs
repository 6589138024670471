//! Measures the RPC beside a raw WebSocket, in one run: interleaved rounds, servers in their own processes.
//!
//! ```text
//! cargo run -p benchmarks --release                      the table
//! cargo run -p benchmarks --release -- --json            the same as JSON
//! cargo run -p benchmarks --release -- --only W2 --rounds 9
//! cargo run -p benchmarks --release -- --peers           other frameworks too; builds them first
//! cargo run -p benchmarks --release -- --only "W2 128" --subject rpc      to look at with a profiler
//! cargo run -p benchmarks --release -- instructions      counts those of the hot paths; fails above what is recorded
//! cargo run -p benchmarks --release -- check             ratios to a raw echo; fails below what is recorded
//! cargo run -p benchmarks --release -- compile           compile times beside tarpc's
//! ```
//! Only ratios between rows of one run mean anything: absolute figures are those of the machine and its mood.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what this program is for")]

mod check;
mod compile;
mod instructions;
mod ours;
mod process;
mod raw;
mod report;
mod workloads;

use std::time::Duration;

use crate::{
    process::{Peers, Programs, ServerProcess},
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
    /// gRPC over HTTP/2, of the program of the peers.
    Tonic,
    /// JSON-RPC over WebSocket, of the program of the peers.
    Jsonrpsee,
}

impl Subject {
    const ALL: [Self; 6] =
        [Self::Rpc, Self::WsFlush, Self::WsBatch, Self::WsPack, Self::Tonic, Self::Jsonrpsee];
    const RPC_NAME: &str = "rpc";

    fn name(self) -> &'static str {
        match self {
            Self::Rpc => Self::RPC_NAME,
            Self::WsFlush => "ws-flush",
            Self::WsBatch => "ws-batch",
            Self::WsPack => "ws-pack",
            Self::Tonic => "tonic",
            Self::Jsonrpsee => "jsonrpsee",
        }
    }

    /// Whether another program runs it.
    fn is_peer(self) -> bool {
        matches!(self, Self::Tonic | Self::Jsonrpsee)
    }
}

/// What the command line asks for.
struct Options {
    json: bool,
    only: Option<String>,
    subject: Option<String>,
    rounds: usize,
    round: Duration,
    workers: usize,
    peers: Peers,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

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
            workload,
            time,
        ));
    }
    if let [mode, path, repeats] = &arguments[..]
        && mode == "repeat"
    {
        return instructions::repeat(path, repeats.parse()?);
    }
    if let Some(arguments) = arguments.strip_prefix(&["instructions".to_owned()]) {
        return instructions::run(arguments);
    }
    if let Some(arguments) = arguments.strip_prefix(&["compile".to_owned()]) {
        return compile::run(arguments);
    }
    if let Some(arguments) = arguments.strip_prefix(&["check".to_owned()]) {
        return runtime(check::WORKERS)?.block_on(check::run(arguments));
    }
    let options = parse(&arguments)?;
    runtime(options.workers)?.block_on(run(&options))
}

fn runtime(workers: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        json: false,
        only: None,
        subject: None,
        rounds: 5,
        round: Duration::from_millis(400),
        workers: 2,
        peers: Peers::None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => options.json = true,
            "--only" => options.only = Some(value()?.clone()),
            "--subject" => options.subject = Some(value()?.clone()),
            "--rounds" => options.rounds = value()?.parse()?,
            "--round-ms" => options.round = Duration::from_millis(value()?.parse()?),
            "--workers" => options.workers = value()?.parse()?,
            "--peers" => options.peers = Peers::Build,
            "--peers-at" => options.peers = Peers::At(value()?.into()),
            "--help" => {
                println!(
                    "benchmarks [--json] [--only W2] [--subject rpc] [--rounds 5] [--round-ms 400] [--workers 2]\n           \
                     [--peers | --peers-at PROGRAM]"
                );
                std::process::exit(0);
            }
            other => return Err(format!("unknown option {other}; see --help").into()),
        }
    }
    Ok(options)
}

async fn run(options: &Options) -> Result<(), Failure> {
    let programs = Programs::find(&options.peers).await?;
    let is_wanted = |subject: Subject| options.subject.as_ref().is_none_or(|only| subject.name() == only);
    let is_asked = |workload: &Workload| {
        options.only.as_ref().is_none_or(|only| {
            let name = workload.name();
            // W1 is not W10.
            let rest = name.strip_prefix(only.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        })
    };
    let workloads: Vec<Workload> = Workload::all().into_iter().filter(is_asked).collect();
    let mut servers = Vec::new();
    for subject in Subject::ALL {
        let is_used = workloads.iter().any(|workload| workload.applies_to(subject));
        if let Some(program) = programs.of(subject).filter(|_| is_wanted(subject) && is_used) {
            servers.push((subject, program, ServerProcess::start(program, subject, options.workers).await?));
        }
    }
    let mut results = report::Report::new(options.rounds, options.workers);
    for workload in workloads {
        for round in 0..options.rounds {
            for (subject, program, server) in &servers {
                if workload.applies_to(*subject) {
                    let (name, subject_name) = (workload.name(), subject.name());
                    eprint!("\r{name:<40} round {}/{} {subject_name:<10}", round + 1, options.rounds);
                    let place = Place { program, server, workers: options.workers };
                    let sample = workload.measure(*subject, place, options.round).await?;
                    results.add(workload, *subject, sample);
                }
            }
        }
    }
    eprintln!("\r{:<70}", "");
    if options.json {
        results.print_json()
    } else {
        results.print_table()
    }
    Ok(())
}
