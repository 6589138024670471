//! What each further connection costs the server, and whether those that are idle slow down those that are not.
//!
//! ```text
//! benchmarks growth [--json] [--time-ms 2000] [--plots FOLDER]
//! ```
//! One server, one process of clients, more and more connections. At each step 64 callers call over the first 64
//! connections, while the others are idle, and then walk over all of them. Open files and ports bound it: a process may open
//! so many files, and one address has some 28,000 ports for clients, so the server listens on several.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    Failure,
    load::{
        Settings,
        clients::{Call, Load, Order},
        parts::{Process, Share},
        service::{Kind, Setup},
        table::{Table, Target, number, time},
    },
    plots::{self, Axis, LineChart, Scale, Series},
};

const STEPS: [usize; 6] = [10, 64, 100, 1_000, 10_000, 20_000];
const CALLERS: usize = 64;
/// Files that a process has open besides connections.
const OTHER_FILES: usize = 100;
const ADDRESSES: u8 = 4;
const WARM_MS: u64 = 300;
/// After five seconds without traffic, sockets give back what they do not need.
const SETTLING: Duration = Duration::from_secs(7);
const KEPT_MIN: f64 = 0.7;

#[derive(Debug, Clone, Copy)]
struct Step {
    connections: usize,
    /// Connections opened a second, each with a call.
    accepted: f64,
    /// Bytes that the server has resident: just connected, and after a while of silence.
    fresh: u64,
    settled: u64,
    /// Seconds of processor that the server used a second meanwhile.
    idle_cpu: f64,
    /// Bytes of the kernel's own, for both ends.
    kernel: u64,
    same: Rate,
    walking: Rate,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    calls: f64,
    p50: f64,
    p99: f64,
}

pub(crate) async fn run(settings: &Settings) -> Result<(), Failure> {
    let files = open_files_max();
    let most = files.saturating_sub(OTHER_FILES);
    let setup = Setup { addresses: ADDRESSES, connections_max: Some(most), calls_max: None };
    let (server, addresses) = Process::server(Kind::Rpc, setup, Share::default()).await?;
    let mut client = Process::client(Kind::Rpc, &addresses, Share::default())?;
    let (empty, kernel_empty) = (server.resident_bytes(), kernel_bytes());
    let mut steps: Vec<Step> = Vec::new();
    for wanted in STEPS {
        let connections = wanted.min(most);
        if steps.last().is_some_and(|last| last.connections >= connections) {
            break;
        }
        eprintln!("growth: {connections} connections");
        let opened = client.order(&Order::Open { connections }).await?;
        let fresh = server.resident_bytes();
        let before = server.usage();
        tokio::time::sleep(SETTLING).await;
        let idle_cpu = server.usage().since(before).ran / SETTLING.as_secs_f64();
        let (settled, kernel) = (server.resident_bytes(), kernel_bytes());
        let mut rate = async |over: usize| {
            let load = Load::Callers { callers: CALLERS, over, call: Call::Small };
            let time_ms = settings.time_ms().min(2_000);
            let reply = client.order(&Order::Run { load, warm_ms: WARM_MS, time_ms }).await?;
            let (p50, p99) = (reply.latencies.at_us(0.5), reply.latencies.at_us(0.99));
            Ok::<_, Failure>(Rate { calls: reply.per_second(), p50, p99 })
        };
        let same = rate(connections.min(CALLERS)).await?;
        let walking = rate(connections).await?;
        steps.push(Step {
            connections,
            accepted: opened.per_second(),
            fresh: fresh.saturating_sub(empty),
            settled: settled.saturating_sub(empty),
            idle_cpu,
            kernel: kernel.saturating_sub(kernel_empty),
            same,
            walking,
        });
    }
    let target = target(&steps);
    if settings.json {
        let rows: Vec<Value> = steps.iter().map(json_of).collect();
        let all = json!({ "open_files_max": files, "rows": rows, "slope_bytes": slope(&steps, |step| step.settled),
            "targets": [target.json()] });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&steps, files);
        target.print();
    }
    if let Some(folder) = &settings.plots {
        draw(&folder.join("growth.svg"), &steps)?;
    }
    Ok(())
}

/// The soft limit, which is what the server's own default goes by. Raising it is the shell's business: `ulimit -n`.
pub(crate) fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1_024)
}

/// What the kernel has allocated for itself, sockets and their buffers among it.
fn kernel_bytes() -> u64 {
    let table = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = table.lines().find_map(|line| line.strip_prefix("Slab:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// What each connection adds, from the last two steps, where what the process needs anyway does not count.
fn slope(steps: &[Step], figure: fn(&Step) -> u64) -> f64 {
    let [.., before, last] = steps else { return f64::NAN };
    (figure(last) as f64 - figure(before) as f64) / (last.connections - before.connections) as f64
}

fn target(steps: &[Step]) -> Target {
    let calls = |connections| {
        steps.iter().find(|step| step.connections == connections).map_or(f64::NAN, |step| step.same.calls)
    };
    Target {
        what: "calls/s with 10,000 connections / with 64".into(),
        reached: calls(10_000) / calls(64),
        bound: KEPT_MIN,
        is_at_most: false,
    }
}

fn kib_each(bytes: u64, connections: usize) -> f64 {
    bytes as f64 / 1_024.0 / connections as f64
}

fn print(steps: &[Step], files: usize) {
    println!("{CALLERS} callers; at most {files} open files a process\n");
    let mut table = Table::new(&[
        "connections",
        "opened/s",
        "KiB each, new",
        "KiB each, idle",
        "kernel KiB, both ends",
        "idle cpu %",
        "calls/s",
        "p50",
        "p99",
        "walking calls/s",
        "p50",
        "p99",
    ]);
    for step in steps {
        let count = step.connections;
        table.row(vec![
            number(count as f64),
            number(step.accepted),
            number(kib_each(step.fresh, count)),
            number(kib_each(step.settled, count)),
            number(kib_each(step.kernel, count)),
            number(step.idle_cpu * 100.0),
            number(step.same.calls),
            time(step.same.p50),
            time(step.same.p99),
            number(step.walking.calls),
            time(step.walking.p50),
            time(step.walking.p99),
        ]);
    }
    table.print();
    let (own, kernel) = (slope(steps, |step| step.settled), slope(steps, |step| step.kernel) / 2.0);
    println!(
        "each further connection: {own:.0} bytes of the server's and some {kernel:.0} of the kernel's for its end"
    );
    println!("a million: {:.1} GiB and some {:.1} GiB", gib(own * 1e6), gib(kernel * 1e6));
}

fn gib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 30)
}

fn json_of(step: &Step) -> Value {
    let rate =
        |rate: &Rate| json!({ "calls_per_second": rate.calls, "p50_us": rate.p50, "p99_us": rate.p99 });
    json!({
        "connections": step.connections,
        "opened_per_second": step.accepted,
        "new_bytes": step.fresh,
        "idle_bytes": step.settled,
        "kernel_bytes_both_ends": step.kernel,
        "idle_processor": step.idle_cpu,
        "first_64": rate(&step.same),
        "walking": rate(&step.walking),
    })
}

fn draw(path: &Path, steps: &[Step]) -> Result<(), Failure> {
    let points = |figure: &dyn Fn(&Step) -> f64| -> Vec<(f64, f64)> {
        steps.iter().map(|step| (step.connections as f64, figure(step))).collect()
    };
    let series =
        |name: &str, figure: &dyn Fn(&Step) -> f64| Series { name: name.into(), points: points(figure) };
    let chart = |title: &str, y: &str, scale, series| LineChart {
        title: title.into(),
        x: Axis { title: "connections".into(), scale: Scale::Log },
        y: Axis { title: y.into(), scale },
        series,
    };
    let same = "over 64 of them";
    let walking = "over all of them";
    let charts = [
        chart(
            "Calls, 64 in flight",
            "calls/s",
            Scale::Linear,
            vec![series(same, &|step| step.same.calls), series(walking, &|step| step.walking.calls)],
        ),
        chart(
            "One call in a hundred takes longer",
            "us",
            Scale::Linear,
            vec![series(same, &|step| step.same.p99), series(walking, &|step| step.walking.p99)],
        ),
        chart(
            "The server's memory",
            "KiB a connection",
            Scale::Log,
            vec![
                series("new", &|step| kib_each(step.fresh, step.connections)),
                series("idle", &|step| kib_each(step.settled, step.connections)),
            ],
        ),
        chart(
            "Connecting, with a first call",
            "connections/s",
            Scale::Linear,
            vec![series("new", &|step| step.accepted)],
        ),
    ];
    plots::write_lines(path, "More and more connections", &charts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(connections: usize, settled: u64, calls: f64) -> Step {
        let rate = Rate { calls, p50: 1.0, p99: 1.0 };
        Step {
            connections,
            accepted: 1.0,
            fresh: 0,
            settled,
            idle_cpu: 0.0,
            kernel: 0,
            same: rate,
            walking: rate,
        }
    }

    #[test]
    fn the_slope_leaves_out_what_is_there_anyway() {
        let steps = [step(100, 1_000_000, 1.0), step(1_100, 9_000_000, 1.0)];
        assert_eq!(slope(&steps, |step| step.settled), 8_000.0);
    }

    #[test]
    fn the_target_compares_ten_thousand_with_sixty_four() {
        let steps = [step(64, 0, 100.0), step(10_000, 0, 80.0)];
        assert!(target(&steps).is_met());
        assert!(!target(&steps[..1]).is_met());
    }
}
