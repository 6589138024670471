//! A thousand callers with small calls, alone and beside two connections that take all they can get.
//!
//! The callers think for 200 ms in the mean between a reply and the next call, which makes 5,000 calls a second: a small
//! part of what the server can do, so that what they wait for is others; and they do not think at all, so that each has a
//! call in flight all the time. Each kind of client is a process of its own. Two
//! cores run all of them, so the kernel too decides who waits. Three things tell its part from the server's: the same load
//! on a raw echo; heavy clients that run only when nobody else wants to (`nice`), which leaves the server's own work for them;
//! and what the kernel says about threads that could have run.

use serde_json::{Value, json};

use super::{
    Settings,
    clients::{Load, Order, Reply},
    parts::{Process, Share},
    service::{Kind, Setup},
    table::{Table, Target, median, number, time},
};
use crate::Failure;

const CALLERS: usize = 1_000;
const THINKING_MS: u64 = 200;
const IN_FLIGHT: usize = 1_024;
const WARM_MS: u64 = 1_000;
/// The small callers' latency beside the heavy ones may be so many times what it is alone.
const RATIO_MAX: f64 = 3.0;

/// Who is beside the small callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nobody,
    /// A connection with a window of calls.
    Window,
    /// A connection with long payloads.
    Payloads,
    Both,
    /// Both, when no other process wants the processor.
    NiceBoth,
}

impl Beside {
    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "alone",
            Self::Window => "1,024 in flight",
            Self::Payloads => "1 MiB echoes",
            Self::Both => "both",
            Self::NiceBoth => "both, nice",
        }
    }

    fn share(self) -> Share {
        Share { is_nice: self == Self::NiceBoth, ..Share::default() }
    }

    fn loads(self) -> Vec<Load> {
        let window = Load::Window { in_flight: IN_FLIGHT };
        match self {
            Self::Nobody => vec![],
            Self::Window => vec![window],
            Self::Payloads => vec![Load::Payloads],
            Self::Both | Self::NiceBoth => vec![window, Load::Payloads],
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scene {
    kind: Kind,
    mean_ms: u64,
    beside: Beside,
}

impl Scene {
    fn all() -> Vec<Self> {
        let scene = |kind, mean_ms, beside| Self { kind, mean_ms, beside };
        let mut all = Vec::new();
        for kind in [Kind::Rpc, Kind::Raw] {
            all.push(scene(kind, THINKING_MS, Beside::Nobody));
            all.push(scene(kind, THINKING_MS, Beside::Window));
            all.push(scene(kind, THINKING_MS, Beside::Payloads));
            all.push(scene(kind, THINKING_MS, Beside::Both));
            all.push(scene(kind, THINKING_MS, Beside::NiceBoth));
            all.push(scene(kind, 0, Beside::Nobody));
            all.push(scene(kind, 0, Beside::Both));
        }
        all
    }

    fn alone(self) -> Self {
        Self { beside: Beside::Nobody, ..self }
    }
}

/// Figures of one round, and their medians.
#[derive(Debug, Clone, Copy)]
struct Sample {
    calls: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    /// Of threads that could have run, in microseconds, in the server and with the small callers.
    server_wait: f64,
    callers_wait: f64,
    /// Of two cores, in percent.
    server_share: f64,
    window_calls: f64,
    payload_mib: f64,
}

pub(super) async fn run(settings: &Settings) -> Result<Value, Failure> {
    let scenes = Scene::all();
    let mut samples: Vec<(Scene, Sample)> = Vec::new();
    for round in 1..=settings.rounds {
        for scene in &scenes {
            let (kind, name) = (scene.kind.name(), scene.beside.name());
            eprintln!("fairness, round {round}/{}: {kind}, {} ms, {name}", settings.rounds, scene.mean_ms);
            samples.push((*scene, measure(*scene, settings).await?));
        }
    }
    let medians: Vec<(Scene, Sample)> =
        scenes.iter().map(|scene| (*scene, medians_of(*scene, &samples))).collect();
    let p99_of = |scene: Scene| {
        medians.iter().find(|(known, _)| *known == scene).map_or(f64::NAN, |(_, sample)| sample.p99)
    };
    let ratio = |scene: Scene| p99_of(scene) / p99_of(scene.alone());
    let target = |kind, mean_ms, beside, what: &str| Target {
        what: format!("p99 of small calls beside the heavy ones / alone, {what}"),
        reached: ratio(Scene { kind, mean_ms, beside }),
        bound: RATIO_MAX,
        is_at_most: true,
    };
    let targets = [
        target(Kind::Rpc, 0, Beside::Both, "rpc, each with a call in flight"),
        target(Kind::Rpc, THINKING_MS, Beside::Both, "rpc, thinking"),
        target(Kind::Rpc, THINKING_MS, Beside::NiceBoth, "rpc, thinking, heavy clients nice"),
        target(Kind::Raw, 0, Beside::Both, "ws-batch, each with a call in flight"),
        target(Kind::Raw, THINKING_MS, Beside::Both, "ws-batch, thinking"),
        target(Kind::Raw, THINKING_MS, Beside::NiceBoth, "ws-batch, thinking, heavy clients nice"),
    ];
    if !settings.json {
        print(&medians, ratio);
        targets.iter().for_each(Target::print);
    }
    Ok(json!({
        "rows": medians.iter().map(|(scene, sample)| json_of(*scene, sample, ratio(*scene))).collect::<Vec<_>>(),
        "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
    }))
}

async fn measure(scene: Scene, settings: &Settings) -> Result<Sample, Failure> {
    let (server, addresses) = Process::server(scene.kind, Setup::default(), Share::default()).await?;
    let mut callers = Process::client(scene.kind, &addresses, Share::default())?;
    callers.order(&Order::Open { connections: CALLERS }).await?;
    let time_ms = settings.time_ms();
    let (server_before, callers_before) = (server.usage(), callers.usage());
    let small = Order::Run { load: Load::Thinking { mean_ms: scene.mean_ms }, warm_ms: WARM_MS, time_ms };
    let small = async {
        let reply = callers.order(&small).await?;
        Ok::<_, Failure>((reply, server.usage().since(server_before), callers.usage().since(callers_before)))
    };
    let heavy = scene.beside.loads().into_iter().map(|load| {
        let client = Process::client(scene.kind, &addresses, scene.beside.share());
        async move {
            // Longer than the small callers, so that these are never alone.
            let order = Order::Run { load, warm_ms: 0, time_ms: WARM_MS + time_ms + 300 };
            Ok::<_, Failure>((load, client?.order(&order).await?))
        }
    });
    let heavy = futures::future::try_join_all(heavy);
    let ((reply, server_usage, callers_usage), heavy) = futures::try_join!(small, heavy)?;
    if !reply.failed.is_empty() || reply.unfinished > 0 {
        return Err(format!("small calls failed: {:?}, {} unfinished", reply.failed, reply.unfinished).into());
    }
    let rate_of = |is_it: fn(&Load) -> bool| {
        heavy
            .iter()
            .find(|(load, _)| is_it(load))
            .map_or(f64::NAN, |(_, reply): &(Load, Reply)| reply.per_second())
    };
    let seconds = (WARM_MS + time_ms) as f64 / 1e3;
    Ok(Sample {
        calls: reply.per_second(),
        p50: reply.latencies.at_us(0.5),
        p99: reply.latencies.at_us(0.99),
        p999: reply.latencies.at_us(0.999),
        server_wait: server_usage.wait_us(),
        callers_wait: callers_usage.wait_us(),
        server_share: server_usage.ran / seconds * 100.0,
        window_calls: rate_of(|load| matches!(load, Load::Window { .. })),
        payload_mib: rate_of(|load| matches!(load, Load::Payloads)),
    })
}

fn medians_of(scene: Scene, samples: &[(Scene, Sample)]) -> Sample {
    let of = |figure: fn(&Sample) -> f64| {
        median(
            samples.iter().filter(|(known, _)| *known == scene).map(|(_, sample)| figure(sample)).collect(),
        )
    };
    Sample {
        calls: of(|sample| sample.calls),
        p50: of(|sample| sample.p50),
        p99: of(|sample| sample.p99),
        p999: of(|sample| sample.p999),
        server_wait: of(|sample| sample.server_wait),
        callers_wait: of(|sample| sample.callers_wait),
        server_share: of(|sample| sample.server_share),
        window_calls: of(|sample| sample.window_calls),
        payload_mib: of(|sample| sample.payload_mib),
    }
}

fn print(medians: &[(Scene, Sample)], ratio: impl Fn(Scene) -> f64) {
    for mean_ms in [THINKING_MS, 0] {
        match mean_ms {
            0 => println!("{CALLERS} connections, each with a small call at all times\n"),
            _ => println!("{CALLERS} connections, each with a small call every {mean_ms} ms in the mean\n"),
        }
        let mut table = Table::new(&[
            "",
            "calls/s",
            "p50",
            "p99",
            "p99.9",
            "p99 / alone",
            "wait, server",
            "wait, callers",
            "server cpu %",
            "heavy calls/s",
            "heavy MiB/s",
        ]);
        for (scene, sample) in medians.iter().filter(|(scene, _)| scene.mean_ms == mean_ms) {
            table.row(vec![
                format!("{}, {}", scene.kind.name(), scene.beside.name()),
                number(sample.calls),
                time(sample.p50),
                time(sample.p99),
                time(sample.p999),
                number(ratio(*scene)),
                time(sample.server_wait),
                time(sample.callers_wait),
                number(sample.server_share),
                number(sample.window_calls),
                number(sample.payload_mib),
            ]);
        }
        table.print();
    }
    println!("wait: of a thread that can run, for a processor, in the mean");
}

fn json_of(scene: Scene, sample: &Sample, ratio: f64) -> Value {
    json!({
        "server": scene.kind.name(),
        "thinking_ms": scene.mean_ms,
        "beside": scene.beside.name(),
        "calls_per_second": sample.calls,
        "p50_us": sample.p50,
        "p99_us": sample.p99,
        "p999_us": sample.p999,
        "p99_to_alone": ratio,
        "server_wait_us": sample.server_wait,
        "callers_wait_us": sample.callers_wait,
        "server_processor_percent": sample.server_share,
        "heavy_calls_per_second": sample.window_calls,
        "heavy_mib_per_second": sample.payload_mib,
    })
}
