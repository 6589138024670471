//! Twice as many calls as the server can do, under several answers to that.
//!
//! The server has a core of its own and the callers the other: on shared ones, callers who make twice as many calls would
//! themselves take what the server needs. A call works for some 20 µs, so that it is the server that has too much to do and
//! not the client that makes small calls. 16 connections share the calls.
//!
//! | policy | who says no |
//! |---|---|
//! | none | nobody: calls above `calls_max` wait at home, for as long as it takes |
//! | deadline | each call has 100 ms, after which its caller gives up and the server stops with it |
//! | deadline, few at the server | the same, with a `calls_max` of 32 a connection |
//! | admission | the caller, who has no more than 512 calls on their way |

use serde_json::{Value, json};

use super::{
    Settings,
    clients::{Call, Load, Order, Reply},
    parts::{Process, Share},
    service::{Kind, Setup},
    table::{Table, Target, median, number, time},
};
use crate::Failure;

const CONNECTIONS: usize = 16;
const WORK: Call = Call::Work(16_000);
const WARM_MS: u64 = 500;
/// Offered, of the maximum.
const OFFERED: f64 = 2.0;
const DEADLINE_MS: u64 = 100;
const GOODPUT_MIN: f64 = 0.9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    None,
    Deadline,
    DeadlineFew,
    Admission,
}

impl Policy {
    const ALL: [Self; 4] = [Self::None, Self::Deadline, Self::DeadlineFew, Self::Admission];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Deadline => "deadline of 100 ms",
            Self::DeadlineFew => "the same, calls_max 32",
            Self::Admission => "512 admitted",
        }
    }

    fn setup(self) -> Setup {
        Setup { calls_max: (self == Self::DeadlineFew).then_some(32), ..Setup::default() }
    }

    fn deadline_ms(self) -> Option<u64> {
        matches!(self, Self::Deadline | Self::DeadlineFew).then_some(DEADLINE_MS)
    }

    fn admitted(self) -> Option<usize> {
        (self == Self::Admission).then_some(512)
    }
}

struct Row {
    policy: Policy,
    reply: Reply,
    server_cpu: f64,
}

pub(super) async fn run(settings: &Settings) -> Result<Value, Failure> {
    let mut rates = Vec::new();
    let mut alone = Reply::default();
    for _ in 0..settings.rounds {
        eprintln!("overload: the maximum");
        let load = Load::Callers { callers: 8 * CONNECTIONS, over: CONNECTIONS, call: WORK };
        alone = load_server(Setup::default(), load, settings).await?.0;
        rates.push(alone.per_second());
    }
    let maximum = median(rates);
    let mut rows = Vec::new();
    for policy in Policy::ALL {
        eprintln!("overload: {}", policy.name());
        let load = Load::Arrivals {
            per_second: maximum * OFFERED,
            call: WORK,
            deadline_ms: policy.deadline_ms(),
            admitted: policy.admitted(),
        };
        let (reply, server_cpu) = load_server(policy.setup(), load, settings).await?;
        rows.push(Row { policy, reply, server_cpu });
    }
    let goodput = |row: &Row| row.reply.per_second() / maximum;
    let targets: Vec<Target> = rows
        .iter()
        .map(|row| Target {
            what: format!("goodput at twice the maximum / the maximum, {}", row.policy.name()),
            reached: goodput(row),
            bound: GOODPUT_MIN,
            is_at_most: false,
        })
        .collect();
    if !settings.json {
        println!(
            "closed loop, {} callers: {} calls/s, p99 {}",
            8 * CONNECTIONS,
            number(maximum),
            time(alone.latencies.at_us(0.99))
        );
        println!("offered: {} calls/s\n", number(maximum * OFFERED));
        print(&rows);
        targets.iter().for_each(Target::print);
    }
    Ok(json!({
        "maximum_per_second": maximum,
        "rows": rows.iter().map(|row| json_of(row, goodput(row))).collect::<Vec<_>>(),
        "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
    }))
}

/// What came of it, and the share of its core that the server used.
async fn load_server(setup: Setup, load: Load, settings: &Settings) -> Result<(Reply, f64), Failure> {
    let core = |core| Share { core: Some(core), ..Share::default() };
    let (server, addresses) = Process::server(Kind::Rpc, setup, core(1)).await?;
    let mut client = Process::client(Kind::Rpc, &addresses, core(0))?;
    client.order(&Order::Open { connections: CONNECTIONS }).await?;
    let before = server.usage();
    let started = std::time::Instant::now();
    let reply = client.order(&Order::Run { load, warm_ms: WARM_MS, time_ms: settings.time_ms() }).await?;
    Ok((reply, server.usage().since(before).ran / started.elapsed().as_secs_f64()))
}

fn print(rows: &[Row]) {
    let mut table = Table::new(&[
        "policy",
        "done/s",
        "begun",
        "done",
        "p50",
        "p99",
        "p99.9",
        "max",
        "p50 early",
        "p50 late",
        "server cpu",
    ]);
    for row in rows {
        let Reply { latencies, early, late, .. } = &row.reply;
        table.row(vec![
            row.policy.name().into(),
            number(row.reply.per_second()),
            number(row.reply.begun as f64),
            number(latencies.count() as f64),
            time(latencies.at_us(0.5)),
            time(latencies.at_us(0.99)),
            time(latencies.at_us(0.999)),
            time(latencies.max_us()),
            time(early.at_us(0.5)),
            time(late.at_us(0.5)),
            format!("{:.0} %", row.server_cpu * 100.0),
        ]);
    }
    table.print();
    for row in rows {
        let mut ends: Vec<String> = row
            .reply
            .failed
            .iter()
            .map(|(name, count)| format!("{} {name}", number(*count as f64)))
            .collect();
        if row.reply.unfinished > 0 {
            ends.push(format!("{} unfinished 3 s after the end", number(row.reply.unfinished as f64)));
        }
        println!(
            "{}: {}",
            row.policy.name(),
            if ends.is_empty() { "all done".into() } else { ends.join(", ") }
        );
    }
    println!();
}

fn json_of(row: &Row, goodput: f64) -> Value {
    let Reply { latencies, early, late, .. } = &row.reply;
    json!({
        "policy": row.policy.name(),
        "done_per_second": row.reply.per_second(),
        "goodput": goodput,
        "begun": row.reply.begun,
        "failed": row.reply.failed,
        "unfinished": row.reply.unfinished,
        "p50_us": latencies.at_us(0.5),
        "p99_us": latencies.at_us(0.99),
        "p999_us": latencies.at_us(0.999),
        "max_us": latencies.max_us(),
        "p50_first_quarter_us": early.at_us(0.5),
        "p50_last_quarter_us": late.at_us(0.5),
        "server_processor": row.server_cpu,
    })
}
