//! Every sample of a run, and medians over its rounds. Tables, targets and pictures are made of these.

use serde_json::{Value, json};

use crate::{
    Subject,
    depth::Depths,
    workloads::{Sample, Workload},
};

pub(crate) mod pictures;
mod table;
mod targets;

/// What a run gave.
pub(crate) struct Report {
    rounds: usize,
    workers: usize,
    samples: Vec<(Workload, Subject, Sample)>,
    /// Where they were asked for.
    pub(crate) depths: Option<Depths>,
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

impl Report {
    pub(crate) fn new(rounds: usize, workers: usize) -> Self {
        Self { rounds, workers, samples: Vec::new(), depths: None }
    }

    pub(crate) fn add(&mut self, workload: Workload, subject: Subject, sample: Sample) {
        self.samples.push((workload, subject, sample));
    }

    fn workloads(&self) -> Vec<Workload> {
        let was_measured = |row: &Workload| self.samples.iter().any(|(known, ..)| known == row);
        Workload::all().into_iter().filter(was_measured).collect()
    }

    /// Those that did anything, in the order of columns.
    fn subjects(&self) -> Vec<Subject> {
        let has_samples = |subject: &Subject| self.samples.iter().any(|(_, known, _)| known == subject);
        Subject::ALL.into_iter().filter(has_samples).collect()
    }

    fn cell(&self, workload: Workload, subject: Subject) -> Option<Cell> {
        let samples = || {
            let is_of_cell =
                move |(row, column, _): &&(Workload, Subject, Sample)| (*row, *column) == (workload, subject);
            self.samples.iter().filter(is_of_cell).map(|(.., sample)| *sample)
        };
        let values = sorted(samples().map(|sample| sample.value));
        let median = |figure: fn(Sample) -> Option<f64>| {
            let values = sorted(samples().filter_map(figure));
            values.get(values.len() / 2).copied()
        };
        Some(Cell {
            median: *values.get(values.len() / 2)?,
            low: *values.first()?,
            high: *values.last()?,
            processor_us: median(|sample| sample.processor_us),
            p99_us: median(|sample| sample.p99_us),
            upload: median(|sample| sample.upload),
        })
    }

    fn median(&self, workload: Workload, subject: Subject) -> Option<f64> {
        Some(self.cell(workload, subject)?.median)
    }

    fn ratio(&self, ours: Workload, other: Workload, subject: Subject) -> Option<f64> {
        Some(self.median(ours, Subject::Rpc)? / self.median(other, subject)?)
    }

    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .workloads()
            .into_iter()
            .map(|workload| {
                let cells: serde_json::Map<String, Value> = Subject::ALL
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
        json!({
            "rounds": self.rounds, "workers": self.workers, "workloads": rows,
            "depth": self.depths.as_ref().map(Depths::json),
            "targets": self.targets().iter().map(targets::Target::json).collect::<Vec<_>>(),
        })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests;
