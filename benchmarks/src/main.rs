//! Measures the RPC beside a raw WebSocket echo, in one run: interleaved rounds, servers in their own processes.
//!
//! ```text
//! cargo run -p benchmarks --release                      the table
//! cargo run -p benchmarks --release -- --json            the same as JSON
//! cargo run -p benchmarks --release -- --only W2 --rounds 9
//! cargo run -p benchmarks --release -- --only "W2 128" --subject rpc      to look at with a profiler
//! ```
//! Only ratios between rows of one run mean anything: absolute figures are those of the machine and its mood.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what this program is for")]

mod ours;
mod process;
mod raw;
mod report;
mod workloads;

use std::time::Duration;

use crate::{process::ServerProcess, workloads::Workload};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// This project.
    Rpc,
    /// A raw echo that flushes every message: the naive way.
    WsFlush,
    /// A raw echo that flushes once for all queued messages, with small buffers: the careful way.
    WsBatch,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Rpc, Self::WsFlush, Self::WsBatch];

    fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::WsFlush => "ws-flush",
            Self::WsBatch => "ws-batch",
        }
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
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, subject, workers] = &arguments[..]
        && mode == "serve"
    {
        return runtime(workers.parse()?)?.block_on(process::serve(subject));
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
            "--help" => {
                println!(
                    "benchmarks [--json] [--only W2] [--subject rpc] [--rounds 5] [--round-ms 400] [--workers 2]"
                );
                std::process::exit(0);
            }
            other => return Err(format!("unknown option {other}; see --help").into()),
        }
    }
    Ok(options)
}

async fn run(options: &Options) -> Result<(), Failure> {
    let mut servers = Vec::new();
    let wanted = |subject: &Subject| options.subject.as_ref().is_none_or(|only| subject.name() == only);
    for subject in Subject::ALL.into_iter().filter(wanted) {
        servers.push((subject, ServerProcess::start(subject.name(), options.workers).await?));
    }
    let mut results = report::Report::new(options.rounds, options.workers);
    for workload in Workload::all() {
        if options.only.as_ref().is_some_and(|only| !workload.name().starts_with(only.as_str())) {
            continue;
        }
        for round in 0..options.rounds {
            eprint!("\r{:<28} round {}/{}   ", workload.name(), round + 1, options.rounds);
            for (subject, server) in &servers {
                if workload.applies_to(*subject) {
                    let sample = workload.measure(*subject, server, options.round).await?;
                    results.add(workload, *subject, sample);
                }
            }
        }
    }
    eprintln!("\r{:<50}", "");
    if options.json {
        results.print_json()
    } else {
        results.print_table()
    }
    Ok(())
}
