//! The charts of a report.

use std::path::Path;

use super::Report;
use crate::{
    Subject,
    drive::Failure,
    plots::{Axis, BarChart, LineChart, Scale, Series, write_bars, write_lines},
    workloads::{IN_FLIGHT, Workload},
};

/// Bars of every workload that more than one subject does.
const WORKLOADS: &str = "workloads.svg";
const IN_FLIGHT_PLOT: &str = "in-flight.svg";
const DEPTH: &str = "depth.svg";

impl Report {
    /// Writes the charts that there are figures for, and says their names with what they show.
    pub(crate) fn write_plots(&self, folder: &Path) -> Result<Vec<(&'static str, &'static str)>, Failure> {
        let mut written = Vec::new();
        let bars = self.bars();
        if !bars.is_empty() {
            let title = format!(
                "Every workload, medians of {} rounds, {} workers a process (logarithmic; us and KiB: shorter is better)",
                self.rounds, self.workers
            );
            write_bars(&folder.join(WORKLOADS), &title, &bars)?;
            written.push((WORKLOADS, "Every workload, a bar a subject"));
        }
        let series = self.by_in_flight();
        if !series.is_empty() {
            let axis = |title: &str| Axis { title: title.to_owned(), scale: Scale::Log };
            let chart = LineChart {
                title: format!("W2, one connection, {} workers a process", self.workers),
                x: axis("calls in flight"),
                y: axis("calls/s"),
                series,
            };
            write_lines(&folder.join(IN_FLIGHT_PLOT), "Throughput by calls in flight", &[chart])?;
            written.push((IN_FLIGHT_PLOT, "Throughput by calls in flight"));
        }
        if let Some(depths) = &self.depths {
            write_lines(
                &folder.join(DEPTH),
                "Latency by depth: calls that need each other",
                &depths.charts(),
            )?;
            written.push((DEPTH, "Latency by depth"));
        }
        Ok(written)
    }

    fn bars(&self) -> Vec<BarChart> {
        let bars_of = |workload: Workload| {
            let bar = |subject: Subject| Some((subject.name().to_owned(), self.median(workload, subject)?));
            let bars: Vec<(String, f64)> = self.subjects().into_iter().filter_map(bar).collect();
            BarChart { title: format!("{}, {}", workload.name(), workload.unit()), bars }
        };
        self.workloads().into_iter().map(bars_of).filter(|chart| chart.bars.len() > 1).collect()
    }

    fn by_in_flight(&self) -> Vec<Series> {
        let series_of = |subject: Subject| {
            let point = |count| Some((count as f64, self.median(Workload::InFlight(count), subject)?));
            Series {
                name: subject.name().to_owned(),
                points: IN_FLIGHT.into_iter().filter_map(point).collect(),
            }
        };
        // One point is no line.
        self.subjects().into_iter().map(series_of).filter(|series| series.points.len() > 1).collect()
    }
}
