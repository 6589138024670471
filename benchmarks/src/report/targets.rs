//! What must be reached, and what is aimed at beyond it: our figure against another's of the same run.

use serde_json::{Value, json};

use super::{Report, table::figure};
use crate::{
    Subject::{self, Capnp, Jsonrpsee, Rpc, Tarpc, Tonic, WsBatch, WsFlush},
    process::Placement,
    workloads::{Way, Workload},
};

/// A bound on a ratio, or on a figure of ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    what: String,
    value: f64,
    /// Whether less is better.
    is_at_most: bool,
    must: Option<f64>,
    aim: Option<f64>,
}

/// Those whose figures were measured.
#[derive(Default)]
struct Targets(Vec<Target>);

impl Targets {
    fn at_least(
        &mut self,
        what: &str,
        value: Option<f64>,
        must: impl Into<Option<f64>>,
        aim: impl Into<Option<f64>>,
    ) {
        self.add(what, value, false, must.into(), aim.into());
    }

    fn at_most(
        &mut self,
        what: &str,
        value: Option<f64>,
        must: impl Into<Option<f64>>,
        aim: impl Into<Option<f64>>,
    ) {
        self.add(what, value, true, must.into(), aim.into());
    }

    fn add(&mut self, what: &str, value: Option<f64>, is_at_most: bool, must: Option<f64>, aim: Option<f64>) {
        if let Some(value) = value {
            self.0.push(Target { what: what.to_owned(), value, is_at_most, must, aim });
        }
    }
}

impl Report {
    pub(super) fn targets(&self) -> Vec<Target> {
        let mut targets = Targets::default();
        self.calls(&mut targets);
        self.payloads(&mut targets);
        self.chains(&mut targets);
        self.streams(&mut targets);
        targets.0
    }

    fn against(&self, workload: Workload, subject: Subject) -> Option<f64> {
        self.ratio(workload, workload, subject)
    }

    /// The worse of the ratios to the two raw sockets.
    fn against_raw(&self, workload: Workload, worse: fn(f64, f64) -> f64) -> Option<f64> {
        [WsFlush, WsBatch].into_iter().filter_map(|subject| self.against(workload, subject)).reduce(worse)
    }

    fn calls(&self, targets: &mut Targets) {
        for (placement, name) in [(Placement::SameCore, "same core"), (Placement::CoreEach, "a core each")] {
            let one = Workload::OneAtATime(placement);
            targets.at_most(&format!("W1 {name} / tarpc"), self.against(one, Tarpc), 0.65, None);
            let raw = self.against_raw(one, f64::max);
            targets.at_most(&format!("W1 {name} / the better raw echo"), raw, 1.1, 1.0);
        }
        let in_flight = |count, subject| self.against(Workload::InFlight(count), subject);
        targets.at_least("W2/1 / tarpc", in_flight(1, Tarpc), 1.3, 1.6);
        targets.at_least("W2/16 / tarpc", in_flight(16, Tarpc), 3.5, 5.0);
        targets.at_least("W2/16 / ws-batch", in_flight(16, WsBatch), None, 1.0);
        targets.at_least("W2/128 / tarpc", in_flight(128, Tarpc), 5.5, 10.0);
        targets.at_least("W2/128 / capnp-rpc", in_flight(128, Capnp), 8.0, None);
        targets.at_least("W2/128 / ws-flush", in_flight(128, WsFlush), 3.0, None);
        targets.at_least("W2/1024 / tarpc", in_flight(1_024, Tarpc), 7.0, 12.0);
        targets.at_least("W2/1024 / jsonrpsee", in_flight(1_024, Jsonrpsee), 15.0, None);
        targets.at_least("W2/1024 / ws-batch", in_flight(1_024, WsBatch), 0.7, 1.0);
        let processor = |subject| self.cell(Workload::InFlight(1_024), subject)?.processor_us;
        let per_call = processor(Rpc).zip(processor(Tarpc)).map(|(ours, theirs)| ours / theirs);
        targets.at_most("W2/1024 processor time per call / tarpc", per_call, 0.17, 0.08);
        targets.at_least("W3 / tarpc", self.against(Workload::Connections, Tarpc), 5.0, 8.0);
        targets.at_least("W3 / ws-batch", self.against(Workload::Connections, WsBatch), None, 1.0);
    }

    fn payloads(&self, targets: &mut Targets) {
        let bounds = [(64 << 10, "64 KiB", 1.5, 1.05, 0.97), (1 << 20, "1 MiB", 1.2, 0.95, 1.0)];
        for (size, name, tarpc, capnp, raw) in bounds {
            let against = |subject| self.against(Workload::Payload(size), subject);
            targets.at_least(&format!("W4 {name} / tarpc"), against(Tarpc), tarpc, None);
            targets.at_least(&format!("W4 {name} / capnp-rpc"), against(Capnp), capnp, None);
            targets.at_least(&format!("W4 {name} / ws-batch"), against(WsBatch), None, raw);
        }
    }

    fn chains(&self, targets: &mut Targets) {
        let chain = |pipelined, delayed| Workload::Chain { pipelined, delayed };
        let pipelined = chain(true, false);
        targets.at_most("W5 pipelined / capnp-rpc", self.against(pipelined, Capnp), 0.45, None);
        let awaited = self.ratio(pipelined, chain(false, false), Rpc);
        targets.at_most("W5 pipelined / our own awaited", awaited, 0.3, None);
        let single = self.ratio(pipelined, Workload::OneAtATime(Placement::CoreEach), Rpc);
        targets.at_most("W5 pipelined / our own single call", single, None, 1.3);
        let delayed = self.ratio(chain(true, true), Workload::SingleDelayed, Rpc);
        targets.at_most("W5 pipelined / our own single call, 5 ms link", delayed, 1.03, 1.01);
        let deep = self.depths.as_ref().and_then(|depths| depths.worst_pipelined(10));
        targets.at_most("W5 the same at the worst depth up to 16", deep, 1.03, 1.01);
    }

    fn streams(&self, targets: &mut Targets) {
        targets.at_least("W6 stream / tonic", self.against(Workload::Items, Tonic), 1.3, 3.0);
        targets.at_least("W6 stream / jsonrpsee", self.against(Workload::Items, Jsonrpsee), 15.0, None);
        targets.at_most("W7 KiB a connection", self.median(Workload::IdleMemory, Rpc), 9.0, 6.0);
        targets.at_most("W7 memory / tarpc", self.against(Workload::IdleMemory, Tarpc), 0.45, None);
        let blocks = |way| self.against_raw(Workload::Blocks(way), f64::min);
        targets.at_least("W8 download / the better raw one", blocks(Way::Down), 0.8, None);
        targets.at_least("W8 upload / the better raw one", blocks(Way::Up), 0.8, None);
        let fan_out = self.median(Workload::FanOut { connections: 10 }, Rpc);
        targets.at_least("W9 fan-out, 10 connections, items/s", fan_out, 300_000.0, None);
        let beside = |delayed| {
            let p99 = |upload| self.cell(Workload::Beside { upload, delayed }, Rpc)?.p99_us;
            Some(p99(true)? / p99(false)?)
        };
        targets.at_most("W10 p99 beside an upload / alone", beside(false), 3.0, None);
        targets.at_most("W10 the same, 5 ms link", beside(true), 3.0, None);
    }
}

impl Target {
    fn reaches(&self, bound: f64) -> bool {
        if self.is_at_most { self.value <= bound } else { self.value >= bound }
    }

    pub(super) fn line(&self) -> String {
        let sign = if self.is_at_most { "<=" } else { ">=" };
        let text = |value: f64| if value >= 1_000.0 { figure(value) } else { format!("{value:.2}") };
        let bound = |bound: Option<f64>, yes, no| match bound {
            Some(bound) => {
                format!("{sign} {:<8}{:<8}", text(bound), if self.reaches(bound) { yes } else { no })
            }
            None => " ".repeat(19),
        };
        let must = bound(self.must, "met", "missed");
        let aim =
            self.aim.map_or(String::new(), |_| format!("aim {}", bound(self.aim, "reached", "not yet")));
        format!("{:<47} {:>10} {must} {aim}", self.what, text(self.value)).trim_end().to_owned() + "\n"
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "target": self.what, "value": self.value, "at_most": self.is_at_most, "must": self.must, "aim": self.aim,
            "met": self.must.map(|bound| self.reaches(bound)), "reached": self.aim.map(|bound| self.reaches(bound)),
        })
    }
}
