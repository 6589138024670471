//! Medians over the rounds, as a table or as JSON, with the ratios that the targets are about.

use serde_json::json;

use crate::{
    Subject,
    process::Placement,
    workloads::{Sample, Way, Workload},
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
    p99_us: Option<f64>,
    upload: Option<f64>,
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
        let of_cell = |figure: &dyn Fn(&Sample) -> Option<f64>| {
            let is_of_cell =
                |(row, column, _): &&(Workload, Subject, Sample)| (*row, *column) == (workload, subject);
            let samples = self.samples.iter().filter(is_of_cell);
            let mut values: Vec<f64> = samples.filter_map(|(.., sample)| figure(sample)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |figure: &dyn Fn(&Sample) -> Option<f64>| {
            let values = of_cell(figure);
            values.get(values.len() / 2).copied()
        };
        let values = of_cell(&|sample| Some(sample.value));
        Some(Cell {
            median: *values.get(values.len() / 2)?,
            low: *values.first()?,
            high: *values.last()?,
            processor_us: median(&|sample| sample.processor_us),
            p99_us: median(&|sample| sample.p99_us),
            upload: median(&|sample| sample.upload),
        })
    }

    /// Those that did anything, in the order of columns.
    fn subjects(&self) -> Vec<Subject> {
        let has_samples = |subject: &Subject| self.samples.iter().any(|(_, known, _)| known == subject);
        Subject::ALL.into_iter().filter(has_samples).collect()
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
        let against = |workload, subject| self.ratio(workload, workload, subject);
        // Throughput counts against the better of the two raw transfers: the smaller ratio.
        let blocks = |way| {
            [Subject::WsFlush, Subject::WsBatch]
                .into_iter()
                .filter_map(|subject| against(Workload::Blocks(way), subject))
                .reduce(f64::min)
        };
        let fan_out = self.cell(Workload::FanOut { connections: 10 }, Subject::Rpc).map(|cell| cell.median);
        let beside = |delayed| {
            let p99 = |upload| self.cell(Workload::Beside { upload, delayed }, Subject::Rpc)?.p99_us;
            Some(p99(true)? / p99(false)?)
        };
        let at_least = |what, ratio, bound| Target { what, ratio, bound, at_most: false };
        let at_most = |what, ratio, bound| Target { what, ratio, bound, at_most: true };
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
            at_least("W6 stream / jsonrpsee's", against(Workload::Items, Subject::Jsonrpsee), 5.0),
            at_least("W6 stream / tonic's, aim 1.3", against(Workload::Items, Subject::Tonic), 1.0),
            at_least("W8 download / the better raw one's", blocks(Way::Down), 0.8),
            at_least("W8 upload / the better raw one's", blocks(Way::Up), 0.8),
            at_least("W9 fan-out, 10 connections, items/s", fan_out, 300_000.0),
            at_most("W10 p99 beside an upload / alone", beside(false), 3.0),
            at_most("W10 the same, 5 ms link", beside(true), 3.0),
        ]
    }

    pub(crate) fn print_table(&self) {
        println!("medians of {} interleaved rounds, {} workers a process\n", self.rounds, self.workers);
        let subjects = self.subjects();
        let others: Vec<Subject> =
            subjects.iter().copied().filter(|subject| *subject != Subject::Rpc).collect();
        print!("{:<37} {:<9}", "workload", "unit");
        subjects.iter().for_each(|subject| print!(" {:>12}", subject.name()));
        others.iter().for_each(|subject| print!(" {:>12}", format!("/ {}", subject.name())));
        println!();
        for workload in self.workloads() {
            print!("{:<37} {:<9}", workload.name(), workload.unit());
            for subject in &subjects {
                let cell = self.cell(workload, *subject);
                print!(" {:>12}", cell.map_or("-".into(), |cell| figure(cell.median)));
            }
            for subject in &others {
                let ratio = self.ratio(workload, workload, *subject);
                print!(" {:>12}", ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
            }
            println!();
        }
        self.print_beside("processor time per call or item, client + server, us", |cell| cell.processor_us);
        self.print_beside("one call in a hundred takes longer than this, us", |cell| cell.p99_us);
        self.print_beside("uploaded meanwhile, MiB/s", |cell| cell.upload);
        println!("\ntargets");
        for target in self.targets() {
            let Some(ratio) = target.ratio else { continue };
            let sign = if target.at_most { "<=" } else { ">=" };
            let verdict = if target.is_met() == Some(true) { "met" } else { "missed" };
            let ratio = if ratio >= 1_000.0 { figure(ratio) } else { format!("{ratio:.2}") };
            println!("{:<44} {ratio:>8} {sign} {:<6} {verdict}", target.what, target.bound);
        }
    }

    /// A table of what some cells have beside their value.
    fn print_beside(&self, title: &str, of_cell: impl Fn(&Cell) -> Option<f64>) {
        let mut title = Some(title);
        for workload in self.workloads() {
            let subjects = self.subjects().into_iter();
            let cells: Vec<Option<f64>> =
                subjects.map(|subject| of_cell(&self.cell(workload, subject)?)).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            if let Some(title) = title.take() {
                println!("\n{title}");
            }
            print!("{:<37} {:<9}", workload.name(), "");
            let text = |value: f64| if value >= 1_000.0 { figure(value) } else { format!("{value:.2}") };
            cells.iter().for_each(|cell| print!(" {:>12}", cell.map_or("-".into(), text)));
            println!();
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
                            "p99_us": cell.p99_us, "uploaded_mib_per_s": cell.upload,
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
