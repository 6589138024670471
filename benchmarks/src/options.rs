//! What the command line asks for.

use std::{path::PathBuf, time::Duration};

use crate::{Subject, depth, drive::Failure, process::Peers, workloads::Workload};

const HELP: &str = "\
cargo run -p benchmarks --release -- [OPTIONS]

  --peers               other frameworks too; builds them first, for which `capnp` must be installed
  --peers-at PROGRAM    the same with a program that is built
  --only NAME           workloads whose names begin so: W2, \"W5 chain\", depth
  --subject NAMES       these alone, with commas between them: rpc,tarpc
  --rounds COUNT        5
  --round-ms TIME       400, for what is measured for a time
  --workers COUNT       2 threads in each process
  --work FOLDER         where results.json and the plots are written: target/benchmarks
  --json                print results.json instead of the table
  --write               put table, versions and plots of a whole pass into BENCHMARKS.md
";

pub(crate) struct Options {
    pub(crate) json: bool,
    pub(crate) write: bool,
    only: Option<String>,
    subjects: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    pub(crate) workers: usize,
    pub(crate) peers: Peers,
    pub(crate) work: PathBuf,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self {
            json: false,
            write: false,
            only: None,
            subjects: None,
            rounds: 5,
            round: Duration::from_millis(400),
            workers: 2,
            peers: Peers::None,
            work: "target/benchmarks".into(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--json" => options.json = true,
                "--write" => options.write = true,
                "--only" => options.only = Some(value()?.clone()),
                "--subject" => options.subjects = Some(value()?.clone()),
                "--rounds" => options.rounds = value()?.parse()?,
                "--round-ms" => options.round = Duration::from_millis(value()?.parse()?),
                "--workers" => options.workers = value()?.parse()?,
                "--work" => options.work = value()?.into(),
                "--peers" => options.peers = Peers::Build,
                "--peers-at" => options.peers = Peers::At(value()?.into()),
                "--help" => {
                    print!("{HELP}");
                    std::process::exit(0);
                }
                other => return Err(format!("unknown option {other}; see --help").into()),
            }
        }
        if options.write
            && (options.only.is_some() || options.subjects.is_some() || options.peers != Peers::Build)
        {
            return Err("--write is for a whole pass: with --peers, without --only and --subject".into());
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, subject: Subject) -> bool {
        self.subjects.as_ref().is_none_or(|only| only.split(',').any(|name| name == subject.name()))
    }

    pub(crate) fn workloads(&self) -> Vec<Workload> {
        Workload::all().into_iter().filter(|workload| self.names(&workload.name())).collect()
    }

    pub(crate) fn wants_depth(&self) -> bool {
        self.wants(Subject::Rpc) && self.names(depth::NAME)
    }

    /// Whether something of that name is to be measured.
    fn names(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| {
            // W1 is not W10.
            let rest = name.strip_prefix(only.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        })
    }
}

#[cfg(test)]
mod tests;
