//! Hostile strangers against a server with public limits: what each attack costs it, against bounds.
//!
//! ```text
//! PROGRAM attacks [--only NAME] [--quick] [--json]       fails if a row does
//! ```
//! Each attack has a server of its own in a process of its own, a healthy client in another, and the attacker in a third, which
//! the system runs when the others do not want to. Memory, processor time and the end of the work are the operating system's
//! figures; what the healthy client alone makes the server do is taken off. Handlers do next to nothing.

#![allow(clippy::cast_possible_truncation, reason = "they are this program's own figures, and small")]

mod calls;
mod door;
mod maps;
pub(crate) mod parts;
pub(crate) mod peer;
pub(crate) mod service;
mod stage;
mod streams;
pub(crate) mod wire;

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep, timeout};

pub(crate) use self::stage::Orders;
use self::{
    parts::{Latencies, Part, Processor, Setup},
    peer::MOVED,
    stage::{Check, Order, Report, Said, Stage, say},
};
use crate::{
    Failure,
    load::table::{Table, number},
};

const MIB: f64 = (1 << 20) as f64;
/// What one session may make the server hold.
pub(crate) const SESSION_BYTES_MAX: f64 = 100.0 * MIB;
/// Processor seconds that an attack may take at least.
const PROCESSOR_BASE: f64 = 0.050;
/// And for each byte that the attacker sent or took.
const PROCESSOR_A_BYTE: f64 = 10e-6;
/// And of a core while it lasts.
const PROCESSOR_SHARE: f64 = 0.1;
pub(crate) const HEALTHY_P99_MS: f64 = 20.0;
/// The server's work for a peer that hung up is over by then.
pub(crate) const ENDED_MS: f64 = 100.0;
/// An attacker that makes the server grow by more is stopped: the point is made, and the machine is needed.
pub(crate) const STOP_BYTES: u64 = 3 << 30;
/// How long work that goes on is watched.
const WATCHED: Duration = Duration::from_secs(3);
/// Rows whose only fault is a healthy client's latency are measured so often: others use the machine too.
const TIMES: usize = 3;
/// Of the server in the attack on it.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// A call of an attack that may have been parked is waited for so long.
const PARKED: Duration = Duration::from_millis(150);

type Attacking<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// An attack, as a row of the table.
struct Attack {
    name: &'static str,
    what: &'static str,
    /// Sessions that it opens, each of which may take its share of memory.
    sessions: usize,
    /// It takes long and little: it runs beside the others, and no healthy client's latency is taken.
    is_slow: bool,
    run: for<'a> fn(&'a mut Stage) -> Attacking<'a>,
}

macro_rules! attack {
    ($name:literal, $sessions:literal, $what:literal, |$stage:ident| $run:expr) => {
        Attack { name: $name, what: $what, sessions: $sessions, is_slow: false, run: |$stage| Box::pin($run) }
    };
}

fn all() -> Vec<Attack> {
    let slow = |attack| Attack { is_slow: true, ..attack };
    vec![
        attack!("maps-of-maps", 1, "each map over the kept result of the one before", |s| maps::of_maps(
            s, 1
        )),
        attack!("maps-of-wrappers", 1, "the same, by programs that wrap the type 28 times", |s| {
            maps::of_maps(s, 28)
        }),
        attack!("misfits", 2, "types grown over empty lists, 12 calls each that they do not fit", |s| {
            maps::misfits(s)
        }),
        attack!("unread", 1, "255 largest results in one message, nothing read", |s| {
            calls::unread_results(s, "bytes")
        }),
        attack!("unread-later", 1, "the same, returned after a yield", |s| calls::unread_results(s, "later")),
        attack!("parked-bytes", 1, "256 largest arguments of handlers that wait", |s| {
            calls::parked_arguments(s, "park_bytes", 7)
        }),
        attack!("parked-numbers", 1, "the same, numbers of one byte each", |s| {
            calls::parked_arguments(s, "park_numbers", 7)
        }),
        attack!("parked-texts", 1, "the same, empty strings", |s| {
            calls::parked_arguments(s, "park_texts", 0)
        }),
        attack!("map-captures", 1, "4,000 maps that make a long capture of each element", |s| {
            maps::long_captures(s)
        }),
        attack!("map-argument", 2, "maps over 999 elements with a long inline argument, hung up on", |s| {
            maps::long_argument(s)
        }),
        attack!("far-references", 20, "references to the last of a million elements", |s| {
            calls::far_references(s)
        }),
        attack!("streams-idle", 1, "600,000 streams of which nothing comes", |s| {
            streams::any_number(s, "quiet", 64)
        }),
        attack!("streams-ready", 1, "600,000 streams without end, one item read of each", |s| {
            streams::any_number(s, "items", 1)
        }),
        attack!("kept-texts", 1, "kept lists of empty strings", |s| calls::kept_texts(s)),
        attack!("doubling", 1, "22 calls that each join the result before to itself", |s| calls::doubling(s)),
        attack!("waiting", 1, "plain calls that wait to start, a message of 127 KiB each", |s| {
            calls::long_messages(s, 1, "nap", 120)
        }),
        attack!("waiting-slices", 4, "handlers that wait with a slice of such a message each", |s| {
            calls::long_messages(s, 4, "park_bytes", 0)
        }),
        attack!("definitions", 1, "4,000 definitions of one method, and calls of each", |s| {
            calls::definitions(s)
        }),
        attack!("ids", 1, "ids with strides of powers of two, against random ones", |s| calls::ids(s)),
        attack!("maps-over-streams", 1, "2,000 maps over streams, whose steps wait", |s| {
            maps::over_streams(s)
        }),
        slow(attack!("slow-payloads", 1, "payloads announced, then a byte every 4.5 s", |s| {
            door::slow_payloads(s)
        })),
        slow(attack!("no-hello", 1, "a slow request, then no hello; 2 s are allowed", |s| door::no_hello(s))),
        attack!("one-address", 16_000, "as many sessions as there may be, from one address", |s| {
            let connections = if s.is_quick { QUICK_CONNECTIONS } else { 16_000 };
            door::one_address(s, connections)
        }),
        attack!("bare-connects", 6_000, "4,000 connects/s that say nothing, beside 15 slow clients", |s| {
            door::bare_connects(s)
        }),
        attack!("many-sessions", 2_000, "sessions that fill a budget each", |s| door::many_sessions(s)),
        attack!("texts", 1, "refusals in words: paths, chains, elements, layouts, names", |s| {
            calls::texts(s)
        }),
    ]
}

/// Connections that a server takes where the run is quick.
const QUICK_CONNECTIONS: usize = 2_000;

impl Attack {
    fn setup(&self, is_quick: bool) -> Setup {
        let is_at_door = matches!(self.name, "one-address" | "bare-connects" | "many-sessions");
        Setup {
            hello_timeout_ms: (self.name == "no-hello").then_some(HELLO_TIMEOUT.as_millis() as u64),
            connections_max: (is_quick && self.name == "one-address").then_some(QUICK_CONNECTIONS),
            counts_loopback: is_at_door,
            values_max: None,
        }
    }

    /// Bytes that the server may grow by. Many sessions are bounded by what the process may hold, if anything does that.
    fn memory_max(&self) -> Option<f64> {
        if self.name == "many-sessions" {
            return parts::process_bytes_max().map(|bytes| bytes as f64);
        }
        Some(self.sessions as f64 * SESSION_BYTES_MAX)
    }
}

/// What was measured of an attack.
struct Row {
    name: &'static str,
    what: &'static str,
    report: Report,
    memory: f64,
    memory_max: Option<f64>,
    processor: f64,
    processor_max: f64,
    seconds: f64,
    /// None where no healthy client was there.
    healthy: Option<Latencies>,
    ended_ms: f64,
    faults: Vec<String>,
}

impl Row {
    /// Whether only the healthy client's latency is wrong.
    fn is_late_alone(&self) -> bool {
        matches!(&self.faults[..], [fault] if fault == LATE)
    }

    fn judge(&mut self) {
        let mut fault = |is_fault: bool, what: &str| {
            if is_fault {
                self.faults.push(what.to_owned());
            }
        };
        fault(self.memory_max.is_some_and(|most| self.memory > most), "memory");
        fault(self.processor > self.processor_max, "processor");
        fault(self.healthy.is_some_and(|healthy| healthy.p99_ms > HEALTHY_P99_MS), LATE);
        fault(self.healthy.is_some_and(|healthy| healthy.failed > 0), "healthy calls failed");
        fault(self.ended_ms > ENDED_MS, "goes on");
        let checks: Vec<_> = self.report.checks.iter().filter(|check| !check.holds()).collect();
        self.faults.extend(checks.into_iter().map(|check| check.what.clone()));
    }

    fn json(&self) -> Value {
        let checks: Vec<Value> = self
            .report
            .checks
            .iter()
            .map(|check| json!({ "what": check.what, "figure": finite(check.figure), "at_most": check.at_most }))
            .collect();
        json!({
            "attack": self.name,
            "what": self.what,
            "bytes_sent": self.report.sent,
            "bytes_taken": self.report.taken,
            "seconds": self.seconds,
            "memory_bytes": self.memory,
            "memory_bytes_max": self.memory_max,
            "processor_seconds": self.processor,
            "processor_seconds_max": self.processor_max,
            "healthy": self.healthy,
            "ended_ms": self.ended_ms,
            "checks": checks,
            "notes": self.report.notes,
            "faults": self.faults,
            "pass": self.faults.is_empty(),
        })
    }
}

const LATE: &str = "healthy p99";

/// JSON knows no infinity.
fn finite(figure: f64) -> Option<f64> {
    Some(figure).filter(|figure| figure.is_finite())
}

// ---- the command ----

struct Settings {
    only: Option<String>,
    is_quick: bool,
    json: bool,
}

impl Settings {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut settings = Self { only: None, is_quick: false, json: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--only" => settings.only = Some(arguments.next().ok_or("--only needs a name")?.clone()),
                "--quick" => settings.is_quick = true,
                "--json" => settings.json = true,
                _ => {
                    return Err(
                        format!("attacks takes --only NAME, --quick and --json, not {argument}").into()
                    );
                }
            }
        }
        Ok(settings)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.split(',').any(|only| name.starts_with(only)))
    }
}

/// A measurement, or a process of one.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let few_threads = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match arguments {
        [role, setup] if role == "--serve" => crate::runtime(2)?.block_on(parts::serve(setup)),
        [role, address] if role == "--healthy" => few_threads()?.block_on(parts::be_healthy(address)),
        [role, order] if role == "--attack" => few_threads()?.block_on(attack(order)),
        _ => few_threads()?.block_on(measure_all(&Settings::parse(arguments)?)),
    }
}

async fn measure_all(settings: &Settings) -> Result<(), Failure> {
    let attacks: Vec<Attack> = all().into_iter().filter(|attack| settings.wants(attack.name)).collect();
    if attacks.is_empty() {
        let names: Vec<_> = all().iter().map(|attack| attack.name).collect();
        return Err(format!("there are {}", names.join(", ")).into());
    }
    let started = Instant::now();
    let alone = alone().await?;
    if !settings.json {
        println!(
            "a healthy client without an attack: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            alone.p50_ms, alone.p99_ms, alone.max_ms
        );
    }
    let (slow, quick): (Vec<_>, Vec<_>) = attacks.iter().partition(|attack| attack.is_slow);
    let slow = futures::future::join_all(slow.iter().map(|attack| measure(attack, settings.is_quick)));
    let quick = async {
        let mut rows = Vec::new();
        for (index, attack) in quick.iter().enumerate() {
            let at = format!("{}/{}: {} ({})", index + 1, quick.len(), attack.name, attack.what);
            eprint!("\r{at:<110}");
            let mut row = measure(attack, settings.is_quick).await;
            for _ in 1..TIMES {
                if !row.is_late_alone() {
                    break;
                }
                row = measure(attack, settings.is_quick).await;
            }
            rows.push(row);
        }
        eprint!("\r{:<110}", "waiting for the slow ones");
        rows
    };
    let (mut rows, slow) = tokio::join!(quick, slow);
    rows.extend(slow);
    eprintln!("\r{:<110}\r{} s", "", started.elapsed().as_secs());
    if settings.json {
        let all: Vec<Value> = rows.iter().map(Row::json).collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "without_attack": alone, "attacks": all }))?);
    } else {
        print(&rows);
    }
    let failed: Vec<_> = rows.iter().filter(|row| !row.faults.is_empty()).map(|row| row.name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("beyond the bounds: {}", failed.join(", ")).into()) }
}

/// A healthy client's latencies where nobody attacks.
async fn alone() -> Result<Latencies, Failure> {
    let (_server, address) = Part::server(Setup::default()).await?;
    let mut healthy = Part::healthy(address).await?;
    sleep(Duration::from_millis(200)).await;
    healthy.latencies().await?;
    sleep(Duration::from_secs(2)).await;
    healthy.latencies().await
}

/// What the attacker's process does.
async fn attack(order: &str) -> Result<(), Failure> {
    let order: Order = serde_json::from_str(order)?;
    let attacks = all();
    let attack =
        attacks.iter().find(|attack| attack.name == order.attack).ok_or("there is no such attack")?;
    let orders = Orders::listen();
    let mut stage = Stage::new(&order, orders.clone());
    let most = Duration::from_secs(match (attack.is_slow, order.is_quick) {
        (true, _) => 60,
        (false, true) => 14,
        (false, false) => 22,
    });
    let outcome = {
        let attacking = timeout(most, (attack.run)(&mut stage));
        tokio::select! {
            outcome = attacking => match outcome {
                Ok(Ok(())) => None,
                // Whom the server throws out has attacked as long as that took.
                Ok(Err(failure)) => Some(format!("ended early: {failure}")),
                Err(_) => Some("stopped: it took too long".to_owned()),
            },
            () = orders.stop.notified() => Some("stopped".to_owned()),
        }
    };
    stage.report.notes.extend(outcome);
    (stage.report.sent, stage.report.taken) = MOVED.take();
    say(&Said::HungUp(stage.report))
}

// ---- measuring ----

/// A server under attack, and what it did before.
pub(crate) struct Scene {
    pub(crate) server: Part,
    pub(crate) address: SocketAddr,
    pub(crate) healthy: Option<Part>,
    /// Seconds of processor a second that the healthy client takes.
    idle: f64,
    resident: u64,
    before: Processor,
    /// Seconds that handlers had taken by then.
    handlers: f64,
    began: Instant,
}

impl Scene {
    pub(crate) async fn set(setup: Setup, has_healthy: bool) -> Result<Self, Failure> {
        let (server, address) = Part::server(setup).await?;
        let healthy = if has_healthy { Some(Part::healthy(address).await?) } else { None };
        sleep(Duration::from_millis(200)).await;
        let (before, began) = (server.processor(), Instant::now());
        let mut scene =
            Self { server, address, healthy, idle: 0.0, resident: 0, before, handlers: 0.0, began };
        scene.rest().await?;
        Ok(scene)
    }

    /// Measures what the healthy client alone takes.
    pub(crate) async fn rest(&mut self) -> Result<(), Failure> {
        let (before, start) = (self.server.processor(), Instant::now());
        sleep(Duration::from_millis(500)).await;
        self.idle =
            (self.server.processor().fine_seconds - before.fine_seconds) / start.elapsed().as_secs_f64();
        self.resident = self.server.memory().0;
        self.begin().await
    }

    /// What follows is the attack.
    pub(crate) async fn begin(&mut self) -> Result<(), Failure> {
        if let Some(healthy) = &mut self.healthy {
            self.handlers = healthy.latencies().await?.handlers;
        }
        (self.before, self.began) = (self.server.processor(), Instant::now());
        Ok(())
    }

    /// Bytes by which the server has grown.
    pub(crate) fn growth(&self) -> u64 {
        self.server.memory().0.saturating_sub(self.resident)
    }

    /// The attacker has hung up: watches until the server rests, and takes stock.
    pub(crate) async fn end(&mut self) -> Result<Stock, Failure> {
        let seconds = self.began.elapsed().as_secs_f64();
        let memory = self.server.memory().1.saturating_sub(self.resident) as f64;
        if let Some(healthy) = &mut self.healthy {
            healthy.order("").await?;
        }
        let ended_ms = self.watch_rest().await;
        let healthy = match &mut self.healthy {
            Some(healthy) => Some(timeout(Duration::from_secs(25), healthy.reply::<Latencies>()).await??),
            None => None,
        };
        // What handlers and the healthy client took is not the attack's.
        let handlers = healthy.map_or(0.0, |healthy| (healthy.handlers - self.handlers).max(0.0));
        let others = self.idle * self.began.elapsed().as_secs_f64() + handlers;
        let processor = (self.server.processor().seconds - self.before.seconds - others).max(0.0);
        Ok(Stock { memory, processor, seconds, healthy, ended_ms, is_alive: self.server.is_running() })
    }

    /// Milliseconds until the server does no more than the healthy client needs.
    async fn watch_rest(&self) -> f64 {
        const WINDOW: Duration = Duration::from_millis(25);
        let start = Instant::now();
        let (mut before, mut at) = (self.server.processor().fine_seconds, start);
        let (mut calm_since, mut calm) = (start, 0);
        while start.elapsed() < WATCHED {
            sleep(WINDOW).await;
            let (now, seconds) = (self.server.processor().fine_seconds, at.elapsed().as_secs_f64());
            // A fifth of a core for what was waiting, and for letting go.
            if now - before <= (2.0 * self.idle + 0.2) * seconds {
                calm += 1;
                if calm == 2 {
                    return (calm_since - start).as_secs_f64() * 1e3;
                }
            } else {
                calm = 0;
                calm_since = Instant::now();
            }
            (before, at) = (now, Instant::now());
        }
        WATCHED.as_secs_f64() * 1e3
    }
}

/// What an attack has cost.
pub(crate) struct Stock {
    pub(crate) memory: f64,
    pub(crate) processor: f64,
    pub(crate) seconds: f64,
    pub(crate) healthy: Option<Latencies>,
    pub(crate) ended_ms: f64,
    pub(crate) is_alive: bool,
}

/// What an attack may take of the processors.
pub(crate) fn processor_max(sent: u64, taken: u64, seconds: f64) -> f64 {
    PROCESSOR_BASE + PROCESSOR_A_BYTE * (sent + taken) as f64 + PROCESSOR_SHARE * seconds
}

/// Measures an attack; what cannot be measured has failed, and the others go on.
async fn measure(attack: &Attack, is_quick: bool) -> Row {
    measured(attack, is_quick).await.unwrap_or_else(|failure| Row {
        name: attack.name,
        what: attack.what,
        report: Report::default(),
        memory: 0.0,
        memory_max: attack.memory_max(),
        processor: 0.0,
        processor_max: 0.0,
        seconds: 0.0,
        healthy: None,
        ended_ms: 0.0,
        faults: vec![format!("not measured: {failure}")],
    })
}

async fn measured(attack: &Attack, is_quick: bool) -> Result<Row, Failure> {
    let mut scene = Scene::set(attack.setup(is_quick), !attack.is_slow).await?;
    let order = Order { attack: attack.name.into(), server: scene.address, is_quick };
    let mut attacker = Part::start("attacks", "--attack", &serde_json::to_string(&order)?, true)?;
    let mut ticks = interval(Duration::from_millis(10));
    let mut is_stopped = false;
    let mut report = loop {
        tokio::select! {
            said = attacker.reply() => match said? {
                Said::Begin => {
                    scene.begin().await?;
                    attacker.order("go").await?;
                }
                Said::HungUp(report) => break report,
            },
            _ = ticks.tick() => if !is_stopped && scene.growth() > STOP_BYTES {
                is_stopped = true;
                attacker.order("stop").await?;
            },
        }
    };
    let stock = scene.end().await?;
    if is_stopped {
        report.notes.push(format!("it was stopped at {} MiB", STOP_BYTES >> 20));
    }
    let mut faults = Vec::new();
    if !stock.is_alive {
        faults.push("the server died".to_owned());
    }
    let mut row = Row {
        name: attack.name,
        what: attack.what,
        memory: stock.memory,
        memory_max: attack.memory_max(),
        processor: stock.processor,
        processor_max: processor_max(report.sent, report.taken, stock.seconds),
        seconds: stock.seconds,
        healthy: stock.healthy,
        ended_ms: stock.ended_ms,
        report,
        faults,
    };
    row.judge();
    Ok(row)
}

fn print(rows: &[Row]) {
    println!(
        "bounds: {:.0} MiB a session; {:.0} ms of processor, 10 us for each byte sent or taken and {:.0} % of a core; healthy \
         p99 {HEALTHY_P99_MS} ms; ended {ENDED_MS} ms after the hang-up\n",
        SESSION_BYTES_MAX / MIB,
        PROCESSOR_BASE * 1e3,
        PROCESSOR_SHARE * 100.0
    );
    let mut table = Table::new(&[
        "attack",
        "sent",
        "taken",
        "s",
        "memory +MiB",
        "(max)",
        "processor ms",
        "(max)",
        "healthy p99 ms",
        "max ms",
        "ended ms",
        "pass",
    ]);
    for row in rows {
        let latency = |figure: fn(&Latencies) -> f64| {
            row.healthy.as_ref().map_or("-".into(), |healthy| format!("{:.1}", figure(healthy)))
        };
        let is_passed =
            if row.faults.is_empty() { "pass".into() } else { format!("FAIL: {}", row.faults.join(", ")) };
        table.row(vec![
            row.name.into(),
            number(row.report.sent as f64),
            number(row.report.taken as f64),
            format!("{:.1}", row.seconds),
            number((row.memory / MIB).round()),
            row.memory_max.map_or("none".into(), |most| number((most / MIB).round())),
            number((row.processor * 1e3).round()),
            number((row.processor_max * 1e3).round()),
            latency(|healthy| healthy.p99_ms),
            latency(|healthy| healthy.max_ms),
            format!("{:.0}", row.ended_ms),
            is_passed,
        ]);
    }
    table.print();
    for row in rows {
        let checks = row.report.checks.iter().map(describe);
        let words: Vec<String> = checks.chain(row.report.notes.iter().cloned()).collect();
        let colon = if words.is_empty() { "" } else { ": " };
        println!("{} - {}{colon}{}", row.name, row.what, words.join("; "));
    }
}

fn describe(check: &Check) -> String {
    let verdict = if check.holds() { "" } else { " (FAILS)" };
    format!("{} {:.2}, at most {}{verdict}", check.what, check.figure, check.at_most)
}
