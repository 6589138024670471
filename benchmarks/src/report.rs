//! Medians over the rounds, as a table or as JSON, with the ratios that the targets are about.

use serde_json::json;

use crate::{
    Subject,
    process::Placement,
    workloads::{Sample, Workload},
};

/// Every sample of a run.
pub(crate) struct Report {
    rounds: usize,
    workers: usize,
    samples: Vec<(Workload, Subject, Sample)>,
}

/// The figures of one cell over all rounds.
struct Cell {
    median: f64,
    low: f64,
    high: f64,
    processor_us: Option<f64>,
}

/// A figure that must be reached: our value against another's.
struct Target {
    what: &'static str,
    ratio: Option<f64>,
    bound: f64,
    at_most: bool,
}

impl Report {
    pub(crate) fn new(rounds: usize, workers: usize) -> Self {
        Self { rounds, workers, samples: Vec::new() }
    }

    pub(crate) fn add(&mut self, workload: Workload, subject: Subject, sample: Sample) {
        self.samples.push((workload, subject, sample));
    }

    fn workloads(&self) -> Vec<Workload> {
        Workload::all()
            .into_iter()
            .filter(|row| self.samples.iter().any(|(known, ..)| known == row))
            .collect()
    }

    fn cell(&self, workload: Workload, subject: Subject) -> Option<Cell> {
        let of_cell =
            || self.samples.iter().filter(|(row, column, _)| (*row, *column) == (workload, subject));
        let sorted = |values: &mut Vec<f64>| values.sort_by(f64::total_cmp);
        let mut values: Vec<f64> = of_cell().map(|(.., sample)| sample.value).collect();
        let mut processor: Vec<f64> = of_cell().filter_map(|(.., sample)| sample.processor_us).collect();
        sorted(&mut values);
        sorted(&mut processor);
        Some(Cell {
            median: *values.get(values.len() / 2)?,
            low: *values.first()?,
            high: *values.last()?,
            processor_us: processor.get(processor.len() / 2).copied(),
        })
    }

    fn ratio(&self, ours: Workload, other: Workload, subject: Subject) -> Option<f64> {
        Some(self.cell(ours, Subject::Rpc)?.median / self.cell(other, subject)?.median)
    }

    fn targets(&self) -> Vec<Target> {
        // The latency counts against the better of the two raw echoes: the larger ratio.
        let latency = |placement| {
            let one = Workload::OneAtATime(placement);
            [Subject::WsFlush, Subject::WsBatch]
                .into_iter()
                .filter_map(|subject| self.ratio(one, one, subject))
                .reduce(f64::max)
        };
        let in_flight = Workload::InFlight(128);
        let chain = Workload::Chain { pipelined: true, delayed: true };
        vec![
            Target {
                what: "W1 same core / the better raw echo's",
                ratio: latency(Placement::SameCore),
                bound: 1.5,
                at_most: true,
            },
            Target {
                what: "W1 a core each / the better raw echo's",
                ratio: latency(Placement::CoreEach),
                bound: 1.5,
                at_most: true,
            },
            Target {
                what: "W2 128 in flight / ws-flush",
                ratio: self.ratio(in_flight, in_flight, Subject::WsFlush),
                bound: 3.0,
                at_most: false,
            },
            Target {
                what: "W5 pipelined chain / single call, 5 ms link",
                ratio: self.ratio(chain, Workload::SingleDelayed, Subject::Rpc),
                bound: 1.15,
                at_most: true,
            },
        ]
    }

    pub(crate) fn print_table(&self) {
        println!("medians of {} interleaved rounds, {} workers a process\n", self.rounds, self.workers);
        print!("{:<37} {:<9}", "workload", "unit");
        for subject in Subject::ALL {
            print!(" {:>12}", subject.name());
        }
        println!(" {:>14} {:>12}", "rpc / ws-flush", "/ ws-batch");
        for workload in self.workloads() {
            print!("{:<37} {:<9}", workload.name(), workload.unit());
            for subject in Subject::ALL {
                let cell = self.cell(workload, subject);
                print!(" {:>12}", cell.map_or("-".into(), |cell| figure(cell.median)));
            }
            for (width, subject) in [(14, Subject::WsFlush), (12, Subject::WsBatch)] {
                let ratio = self.ratio(workload, workload, subject);
                print!(" {:>width$}", ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
            }
            println!();
        }
        println!("\nprocessor time per call, client + server, us");
        for workload in self.workloads() {
            let cells: Vec<Option<f64>> =
                Subject::ALL.iter().map(|subject| self.cell(workload, *subject)?.processor_us).collect();
            if cells.iter().any(Option::is_some) {
                print!("{:<37} {:<9}", workload.name(), "");
                for cell in cells {
                    print!(" {:>12}", cell.map_or("-".into(), |us| format!("{us:.2}")));
                }
                println!();
            }
        }
        println!("\ntargets");
        for target in self.targets() {
            let Some(ratio) = target.ratio else { continue };
            let sign = if target.at_most { "<=" } else { ">=" };
            let verdict = if target.is_met() == Some(true) { "met" } else { "missed" };
            println!("{:<46} {ratio:>6.2} {sign} {:<5} {verdict}", target.what, target.bound);
        }
    }

    pub(crate) fn print_json(&self) {
        let rows: Vec<_> = self
            .workloads()
            .into_iter()
            .map(|workload| {
                let cells: serde_json::Map<String, serde_json::Value> = Subject::ALL
                    .into_iter()
                    .filter_map(|subject| {
                        let cell = self.cell(workload, subject)?;
                        let value = json!({
                            "median": cell.median, "low": cell.low, "high": cell.high,
                            "processor_us_per_call": cell.processor_us,
                        });
                        Some((subject.name().to_owned(), value))
                    })
                    .collect();
                json!({ "workload": workload.name(), "unit": workload.unit(), "results": cells })
            })
            .collect();
        let targets: Vec<_> = self
            .targets()
            .into_iter()
            .filter(|target| target.ratio.is_some())
            .map(|target| {
                json!({
                    "target": target.what, "ratio": target.ratio, "bound": target.bound,
                    "at_most": target.at_most, "met": target.is_met(),
                })
            })
            .collect();
        let report =
            json!({ "rounds": self.rounds, "workers": self.workers, "workloads": rows, "targets": targets });
        println!("{report:#}");
    }
}

impl Target {
    fn is_met(&self) -> Option<bool> {
        self.ratio.map(|ratio| if self.at_most { ratio <= self.bound } else { ratio >= self.bound })
    }
}

fn figure(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let mut grouped = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        value => format!("{value:.1}"),
    }
}
