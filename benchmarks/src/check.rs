//! Ratios to the raw WebSocket echo, held against recorded ones: a regression that no count of instructions shows, like a
//! wake or a write too many, fails here.
//!
//! ```text
//! PROGRAM check               fails below 0.85 of a recorded ratio
//! PROGRAM check --record      writes them, the worst of several runs
//! ```
//!
//! Made for a machine that others use too. Both sides of a ratio run in turns, a short round each. Throughput of two
//! processes on two cores follows what else runs there; the processor time that a call or a byte takes does so far less, and
//! wakes and system calls are in it. So that is compared; only the time of a call alone is steady as it is. A row that
//! fails is measured again before it is believed. On another machine the ratios are others, and the check only warns.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Failure, Subject,
    process::{Peers, Placement, Programs, ServerProcess},
    workloads::{Place, Way, Workload},
};

/// Less than this of the recorded ratio fails the check.
const SHARE_MIN: f64 = 0.85;
/// A row that fails is measured so many times more.
const AGAIN: usize = 3;
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_millis(100);
/// Runs of which the worst is recorded.
const RUNS_RECORDED: usize = 5;
/// Of each process. More of them wake each other, which is what varies most.
pub(crate) const WORKERS: usize = 1;

/// What is checked in.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Recorded {
    machine: String,
    /// How many times as good as the raw echo.
    ratios: BTreeMap<String, f64>,
}

/// What a ratio means beside the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Held,
    Worse,
    /// There is nothing to compare it with.
    Unrecorded,
}

impl Verdict {
    fn of(recorded: Option<f64>, now: f64) -> Self {
        match recorded {
            None => Self::Unrecorded,
            // Also what is not a number is worse.
            Some(recorded) if now / recorded >= SHARE_MIN => Self::Held,
            Some(_) => Self::Worse,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Worse => "WORSE",
            Self::Unrecorded => "not recorded",
        }
    }
}

/// A workload and whom it is compared with.
#[derive(Debug, Clone, Copy)]
struct Row {
    workload: Workload,
    against: Subject,
}

impl Row {
    fn all() -> [Self; 6] {
        let against = |against, workload| Self { workload, against };
        [
            against(Subject::WsBatch, Workload::OneAtATime(Placement::SameCore)),
            against(Subject::WsBatch, Workload::InFlight(128)),
            against(Subject::WsBatch, Workload::InFlight(1_024)),
            against(Subject::WsBatch, Workload::Payload(64 << 10)),
            against(Subject::WsPack, Workload::Items),
            against(Subject::WsBatch, Workload::Blocks(Way::Down)),
        ]
    }

    fn name(self) -> String {
        format!("{} / {}", self.workload.name(), self.against.name())
    }

    async fn measure(self, machine: &Machine) -> Result<f64, Failure> {
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(machine.round(self.workload, Subject::Rpc).await?);
            others.push(machine.round(self.workload, self.against).await?);
        }
        // The system counts processor time in hundredths of a second: a round alone says little of it.
        let cost = if self.workload.unit() == "us" { median } else { mean };
        Ok(cost(&others) / cost(&ours))
    }
}

fn median(costs: &[f64]) -> f64 {
    let mut costs = costs.to_vec();
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN)
}

fn mean(costs: &[f64]) -> f64 {
    costs.iter().sum::<f64>() / costs.len() as f64
}

/// The servers of everyone in question.
struct Machine {
    programs: Programs,
    servers: Vec<(Subject, ServerProcess)>,
}

impl Machine {
    async fn start() -> Result<Self, Failure> {
        let programs = Programs::find(&Peers::None).await?;
        let mut servers = Vec::new();
        for subject in [Subject::Rpc, Subject::WsBatch, Subject::WsPack] {
            let program = programs.of(subject).ok_or("this program runs no server")?;
            servers.push((subject, ServerProcess::start(program, subject, WORKERS).await?));
        }
        Ok(Self { programs, servers })
    }

    /// What a call took of the time where that is measured, and else what it or an item took of both processors.
    async fn round(&self, workload: Workload, subject: Subject) -> Result<f64, Failure> {
        let known = self.servers.iter().find(|(known, _)| *known == subject);
        let (_, server) = known.ok_or("nobody serves that")?;
        let program = self.programs.of(subject).ok_or("this program runs no server")?;
        let place = Place { program, server, workers: WORKERS };
        let sample = workload.measure(subject, place, ROUND).await?;
        Ok(sample.processor_us.unwrap_or(sample.value))
    }
}

pub(crate) async fn run(arguments: &[String]) -> Result<(), Failure> {
    let records = match arguments {
        [] => false,
        [argument] if argument == "--record" => true,
        _ => return Err("check takes --record and nothing else".into()),
    };
    if cfg!(debug_assertions) {
        return Err("ratios are those of a release build: cargo run -p benchmarks --release".into());
    }
    let machine = Machine::start().await?;
    if records { record(&machine).await } else { check(&machine).await }
}

async fn record(machine: &Machine) -> Result<(), Failure> {
    let mut ratios = BTreeMap::new();
    for row in Row::all() {
        let mut runs = Vec::new();
        for _ in 0..RUNS_RECORDED {
            runs.push(row.measure(machine).await?);
        }
        runs.sort_by(f64::total_cmp);
        // The worst: a run like one of these must not fail.
        let worst = runs[0];
        println!("{:<52} {worst:>8.3}  of {runs:.3?}", row.name());
        ratios.insert(row.name(), (worst * 1_000.0).round() / 1_000.0);
    }
    let recorded = Recorded { machine: name_of_machine(), ratios };
    std::fs::write(file(), serde_json::to_string_pretty(&recorded)? + "\n")?;
    println!("recorded in {}", file().display());
    Ok(())
}

async fn check(machine: &Machine) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file())
        .map_err(|error| format!("nothing is recorded ({error}); check --record does it"))?;
    let recorded: Recorded = serde_json::from_str(&text)?;
    println!("{:<52} {:>8} {:>8} {:>14}", "times as good", "recorded", "now", "now / recorded");
    let mut is_held = true;
    for row in Row::all() {
        let before = recorded.ratios.get(&row.name()).copied();
        let mut now = row.measure(machine).await?;
        for _ in 0..AGAIN {
            if Verdict::of(before, now) != Verdict::Worse {
                break;
            }
            now = now.max(row.measure(machine).await?);
        }
        let verdict = Verdict::of(before, now);
        is_held &= verdict == Verdict::Held;
        println!(
            "{:<52} {:>8} {now:>8.3} {:>14}  {}",
            row.name(),
            before.map_or("-".into(), |before| format!("{before:.3}")),
            before.map_or("-".into(), |before| format!("{:.2}", now / before)),
            verdict.words()
        );
    }
    judge(is_held, &recorded.machine, &name_of_machine())
}

fn judge(is_held: bool, recorded: &str, machine: &str) -> Result<(), Failure> {
    if recorded != machine {
        println!("\nwarning: recorded on {recorded}, measured on {machine}: nothing is decided");
        return Ok(());
    }
    if is_held {
        return Ok(());
    }
    Err(format!(
        "a ratio is below {SHARE_MIN} of what is recorded, {AGAIN} times again, or is not recorded. If that is \
         worth it, accept it and say why in the commit: cargo run -p benchmarks --release -- check --record"
    )
    .into())
}

fn file() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/recorded.json").into()
}

/// How many cores of what: ratios are different elsewhere.
fn name_of_machine() -> String {
    let table = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = table.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", model.map_or("an unnamed processor", |(_, name)| name))
}

#[cfg(test)]
mod tests;
