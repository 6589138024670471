//! A report as text.

use std::fmt::Write;

use super::{Cell, Report};
use crate::{Subject, workloads::Workload};

impl Report {
    pub(crate) fn table(&self) -> String {
        let mut out =
            format!("medians of {} interleaved rounds, {} workers a process\n", self.rounds, self.workers);
        let subjects = self.subjects();
        let names: Vec<String> = subjects.iter().map(|subject| subject.name().to_owned()).collect();
        self.rows(&mut out, "workload", Workload::unit, &names, |row, column| {
            self.median(row, column).map(figure)
        });
        self.rows(
            &mut out,
            "rpc's figure by another's",
            |_| "",
            &names,
            |row, column| {
                let ratio = self.ratio(row, row, column).filter(|_| column != Subject::Rpc)?;
                Some(format!("{ratio:.2}"))
            },
        );
        self.beside(&mut out, "processor time per call or item, client + server, us", |cell| {
            cell.processor_us
        });
        self.beside(&mut out, "one call in a hundred takes longer than this, us", |cell| cell.p99_us);
        self.beside(&mut out, "uploaded meanwhile, MiB/s", |cell| cell.upload);
        if let Some(depths) = &self.depths {
            out.push('\n');
            out.push_str(&depths.table());
        }
        let targets = self.targets();
        if !targets.is_empty() {
            out.push_str("\ntargets\n");
            targets.iter().for_each(|target| out.push_str(&target.line()));
        }
        out
    }

    /// What some cells have beside their value.
    fn beside(&self, out: &mut String, title: &str, of_cell: impl Fn(&Cell) -> Option<f64>) {
        let names: Vec<String> = vec![String::new(); self.subjects().len()];
        self.rows(
            out,
            title,
            |_| "",
            &names,
            |row, column| {
                let value = of_cell(&self.cell(row, column)?)?;
                Some(if value >= 1_000.0 { figure(value) } else { format!("{value:.2}") })
            },
        );
    }

    /// A table of those rows that have anything to say.
    fn rows(
        &self,
        out: &mut String,
        title: &str,
        unit: fn(Workload) -> &'static str,
        names: &[String],
        cell: impl Fn(Workload, Subject) -> Option<String>,
    ) {
        let mut lines = String::new();
        for workload in self.workloads() {
            let cells: Vec<Option<String>> =
                self.subjects().into_iter().map(|subject| cell(workload, subject)).collect();
            if cells.iter().any(Option::is_some) {
                let cells = cells.iter().map(|cell| cell.as_deref().unwrap_or("-"));
                lines.push_str(&line(&workload.name(), unit(workload), cells));
            }
        }
        if !lines.is_empty() {
            out.push('\n');
            out.push_str(&line(title, "", names.iter().map(String::as_str)));
            out.push_str(&lines);
        }
    }
}

fn line<'a>(name: &str, unit: &str, cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = format!("{name:<37} {unit:<8}");
    for cell in cells {
        // Writing to a string does not fail.
        let _ = write!(line, " {cell:>10}");
    }
    format!("{}\n", line.trim_end())
}

/// With its thousands apart.
pub(super) fn figure(value: f64) -> String {
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
