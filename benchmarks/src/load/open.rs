//! Calls that arrive whether or not earlier ones have returned, at parts of what the server can do.
//!
//! A caller who waits for each reply before the next call asks less of a server the slower it is, and never sees the worst.
//! Here arrivals are a Poisson process, and a latency begins when the call was to be made, not when its turn came.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    Settings,
    clients::{Call, Load, Order, Reply},
    latencies::Latencies,
    parts::{Process, Share},
    service::{Kind, Setup},
    table::{Table, median, number, time},
};
use crate::{
    Failure,
    plots::{self, Axis, LineChart, Scale, Series},
};

const SHARES: [f64; 3] = [0.5, 0.8, 0.95];
const WARM_MS: u64 = 500;

/// Connections, and the callers that find the most they can do.
const PLACES: [(usize, &[usize]); 2] = [(1, &[128, 1_024]), (64, &[1_024])];

struct Row {
    connections: usize,
    share: f64,
    offered: f64,
    reply: Reply,
}

pub(super) async fn run(settings: &Settings) -> Result<Value, Failure> {
    let mut rows = Vec::new();
    let mut found = Vec::new();
    for (connections, callers) in PLACES {
        let maximum = maximum(connections, callers, settings).await?;
        found.push((connections, maximum));
        for share in SHARES {
            let offered = maximum * share;
            eprintln!("open: {connections} connections, {:.0} % of {maximum:.0} calls/s", share * 100.0);
            let load =
                Load::Arrivals { per_second: offered, call: Call::Small, deadline_ms: None, admitted: None };
            let reply = load_server(connections, load, settings).await?;
            rows.push(Row { connections, share, offered, reply });
        }
    }
    if !settings.json {
        print(&rows, &found);
    }
    if let Some(folder) = &settings.plots {
        draw(&folder.join("open-loop.svg"), &rows)?;
    }
    Ok(json!({ "rows": rows.iter().map(json_of).collect::<Vec<_>>(), "maximum_calls_per_second": found }))
}

/// Calls a second when each caller waits for its reply.
async fn maximum(connections: usize, callers: &[usize], settings: &Settings) -> Result<f64, Failure> {
    let mut best = 0.0_f64;
    for callers in callers {
        let mut rates = Vec::new();
        for _ in 0..settings.rounds {
            eprintln!("open: {connections} connections, {callers} callers");
            let load = Load::Callers { callers: *callers, over: connections, call: Call::Small };
            rates.push(load_server(connections, load, settings).await?.per_second());
        }
        best = best.max(median(rates));
    }
    Ok(best)
}

/// In new processes, so that nothing is left of what was before.
async fn load_server(connections: usize, load: Load, settings: &Settings) -> Result<Reply, Failure> {
    let (_server, addresses) = Process::server(Kind::Rpc, Setup::default(), Share::default()).await?;
    let mut client = Process::client(Kind::Rpc, &addresses, Share::default())?;
    client.order(&Order::Open { connections }).await?;
    client.order(&Order::Run { load, warm_ms: WARM_MS, time_ms: settings.time_ms() }).await
}

fn print(rows: &[Row], found: &[(usize, f64)]) {
    for (connections, maximum) in found {
        println!("{connections} connections, closed loop: {} calls/s\n", number(*maximum));
        let mut table = Table::new(&[
            "offered", "calls/s", "done/s", "p50", "p90", "p99", "p99.9", "max", "late p50", "late p99",
            "not done",
        ]);
        for row in rows.iter().filter(|row| row.connections == *connections) {
            let Reply { latencies, lag, .. } = &row.reply;
            table.row(vec![
                format!("{:.0} %", row.share * 100.0),
                number(row.offered),
                number(row.reply.per_second()),
                time(latencies.at_us(0.5)),
                time(latencies.at_us(0.9)),
                time(latencies.at_us(0.99)),
                time(latencies.at_us(0.999)),
                time(latencies.max_us()),
                time(lag.at_us(0.5)),
                time(lag.at_us(0.99)),
                number(row.reply.unfinished as f64),
            ]);
        }
        table.print();
    }
    println!("late: how long after its time the client made a call, which the latencies include");
}

fn json_of(row: &Row) -> Value {
    let Reply { latencies, lag, .. } = &row.reply;
    json!({
        "connections": row.connections,
        "share": row.share,
        "offered_per_second": row.offered,
        "done_per_second": row.reply.per_second(),
        "p50_us": latencies.at_us(0.5),
        "p90_us": latencies.at_us(0.9),
        "p99_us": latencies.at_us(0.99),
        "p999_us": latencies.at_us(0.999),
        "max_us": latencies.max_us(),
        "late_p50_us": lag.at_us(0.5),
        "late_p99_us": lag.at_us(0.99),
        "unfinished": row.reply.unfinished,
        "failed": row.reply.failed,
    })
}

/// The latency over how rare it is.
fn draw(path: &Path, rows: &[Row]) -> Result<(), Failure> {
    let chart = |connections: usize| LineChart {
        title: format!("{connections} connection{}", if connections == 1 { "" } else { "s" }),
        x: Axis { title: "one call in so many takes longer".into(), scale: Scale::Log },
        y: Axis { title: "ms from when the call was due".into(), scale: Scale::Log },
        series: rows.iter().filter(|row| row.connections == connections).map(series).collect(),
    };
    let charts: Vec<LineChart> = PLACES.iter().map(|(connections, _)| chart(*connections)).collect();
    plots::write_lines(path, "Calls that do not wait for each other", &charts)
}

fn series(row: &Row) -> Series {
    Series {
        name: format!("{:.0} % of the maximum", row.share * 100.0),
        points: distribution(&row.reply.latencies),
    }
}

/// Of one call in 2, 10, 100, … the time that it takes longer than, in milliseconds, as far as there are calls to know it by.
fn distribution(latencies: &Latencies) -> Vec<(f64, f64)> {
    let known = |one_in: &f64| latencies.count() as f64 >= 10.0 * one_in;
    let rarities = [2.0, 4.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5].into_iter().filter(known);
    rarities.map(|one_in| (one_in, latencies.at_us(1.0 - 1.0 / one_in) / 1e3)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_distribution_ends_where_too_few_calls_are_known() {
        let mut latencies = Latencies::default();
        (0..1_000).for_each(|_| latencies.record(Duration::from_millis(2)));
        let points = distribution(&latencies);
        assert_eq!(points.last().map(|point| point.0), Some(100.0));
        assert!(points.iter().all(|point| (point.1 - 2.0).abs() < 0.01));
    }
}
