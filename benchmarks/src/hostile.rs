//! Random hostile conversations that keep to the protocol, in rounds, each held against the bounds of the attacks.
//!
//! ```text
//! PROGRAM hostile [--seed S] [--for 30m] [--rounds N] [--json]
//! PROGRAM hostile --seed S --rounds 1          repeats the round that was called so
//! ```
//! A round has a server of its own, a healthy client, and one to eight sessions that talk for some seconds: programs, chains,
//! references, streams both ways, definitions, large values, objects, cancels, of which each round mixes others.

#![allow(clippy::cast_possible_truncation, reason = "they are this program's own figures, and small")]

mod dice;
mod programs;
mod session;

use std::{net::SocketAddr, time::Duration};

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};

use self::{
    dice::Dice,
    session::{ACTIONS, Done, talk},
};
use crate::{
    Failure,
    attacks::{
        ENDED_MS, HEALTHY_P99_MS, SESSION_BYTES_MAX, STOP_BYTES, Scene, Stock,
        parts::{Part, Setup},
        peer::{Door, MOVED},
        processor_max,
    },
};

/// Values in one result. A handler makes these in a millisecond or two; what it holds its thread for longer is no peer's doing.
const VALUES_MAX: usize = 200_000;
const LATE: &str = "healthy p99";
const GOES_ON: &str = "goes on";
/// So often a round is measured that is late.
const TIMES: usize = 3;
const SESSIONS_MAX: u64 = 8;
const MIB: f64 = (1 << 20) as f64;

struct Settings {
    seed: u64,
    time: Duration,
    rounds: u64,
    json: bool,
    /// Beside other work: how long things took is told and not judged.
    is_untimed: bool,
}

impl Settings {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let by_clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let mut settings = Self {
            seed: by_clock,
            time: Duration::from_mins(1),
            rounds: u64::MAX,
            json: false,
            is_untimed: false,
        };
        let mut has_time = false;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--seed" => settings.seed = value()?.parse()?,
                "--for" => (settings.time, has_time) = (time_of(value()?)?, true),
                "--rounds" => settings.rounds = value()?.parse()?,
                "--json" => settings.json = true,
                "--untimed" => settings.is_untimed = true,
                _ => {
                    let known = "--seed S, --for TIME, --rounds N, --json and --untimed";
                    return Err(format!("hostile takes {known}, not {argument}").into());
                }
            }
        }
        if settings.rounds != u64::MAX && !has_time {
            settings.time = Duration::MAX;
        }
        Ok(settings)
    }
}

/// `90s`, `30m` or `2h`.
fn time_of(text: &str) -> Result<Duration, Failure> {
    let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or("a time has a unit")?;
    let count: u64 = count.parse()?;
    Ok(Duration::from_secs(match unit {
        "s" => count,
        "m" => count * 60,
        "h" => count * 3_600,
        _ => return Err(format!("a time is 90s, 30m or 2h, not {text}").into()),
    }))
}

/// What the attackers of a round are told.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    server: SocketAddr,
    seed: u64,
    sessions: u64,
    weights: Vec<u64>,
    milliseconds: u64,
}

/// What they say in the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Report {
    sent: u64,
    taken: u64,
    calls: u64,
    returned: u64,
    ran: u64,
    endings: Vec<String>,
}

impl Order {
    fn of(server: SocketAddr, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let sessions = 1 + dice.below(SESSIONS_MAX);
        // Few things at once, and each of them much: what all sessions do a little of hides in the crowd.
        let weights = ACTIONS.iter().map(|_| if dice.once_in(3) { 1 + dice.below(20) } else { 0 });
        let mut weights: Vec<u64> = weights.collect();
        // Something is always called, and something let go.
        weights[0] += 2;
        weights[8] += 2;
        Self { server, seed, sessions, weights, milliseconds: 2_000 + dice.below(2_000) }
    }

    fn mix(&self) -> String {
        let parts = ACTIONS.iter().zip(&self.weights).filter(|(_, weight)| **weight > 0);
        parts.map(|(action, weight)| format!("{action} {weight}")).collect::<Vec<_>>().join(", ")
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let few_threads = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match arguments {
        [role, order] if role == "--attack" => few_threads()?.block_on(attack(order)),
        _ => few_threads()?.block_on(rounds(&Settings::parse(arguments)?)),
    }
}

async fn attack(order: &str) -> Result<(), Failure> {
    let order: Order = serde_json::from_str(order)?;
    let door = Door::of(order.server);
    let until = Instant::now() + Duration::from_millis(order.milliseconds);
    let mut dice = Dice::new(order.seed ^ 0x5eed);
    let seeds: Vec<u64> = (0..order.sessions).map(|_| dice.next()).collect();
    let weights = &order.weights;
    let talks = join_all(seeds.into_iter().map(async |seed| {
        let mut done = Done::default();
        // A session that hangs in a write is given up.
        let _ = timeout(
            Duration::from_millis(order.milliseconds + 500),
            talk(&door, seed, weights, until, &mut done),
        )
        .await;
        done
    }));
    let orders = crate::attacks::Orders::listen();
    let mut report = Report::default();
    tokio::select! {
        all = talks => for done in all {
            report.calls += done.calls;
            report.returned += done.returned;
            report.ran += done.ran;
            report.endings.extend(done.endings);
        },
        () = orders.stop.notified() => {}
    }
    (report.sent, report.taken) = MOVED.take();
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn rounds(settings: &Settings) -> Result<(), Failure> {
    let (start, mut failed) = (Instant::now(), Vec::new());
    let mut seed = settings.seed;
    let mut count = 0;
    while count < settings.rounds && start.elapsed() < settings.time {
        eprint!("\r{:<100}", format!("round {}, seed {seed}, {} s", count + 1, start.elapsed().as_secs()));
        let mut measured = round(seed).await?;
        // Other processes take a processor at times: what was late alone is measured again.
        for _ in 1..TIMES {
            if !measured.is_late_alone() {
                break;
            }
            measured = round(seed).await?;
        }
        if settings.is_untimed {
            measured.faults.retain(|fault| fault != LATE && fault != GOES_ON);
        }
        let round = measured;
        eprint!("\r{:<100}\r", "");
        if settings.json {
            println!("{}", round.json());
        } else {
            round.print();
        }
        if !round.faults.is_empty() {
            failed.push(seed);
        }
        seed = seed.wrapping_add(1);
        count += 1;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {count} rounds are beyond the bounds, with these seeds: {failed:?}", failed.len())
        .into())
}

struct Round {
    order: Order,
    report: Report,
    stock: Stock,
    faults: Vec<String>,
}

async fn round(seed: u64) -> Result<Round, Failure> {
    let mut scene = Scene::set(Setup { values_max: Some(VALUES_MAX), ..Setup::default() }, true).await?;
    let order = Order::of(scene.address, seed);
    let mut attacker = Part::start("hostile", "--attack", &serde_json::to_string(&order)?, true)?;
    let mut ticks = interval(Duration::from_millis(10));
    let mut is_stopped = false;
    let report: Report = loop {
        tokio::select! {
            report = attacker.reply() => break report?,
            _ = ticks.tick() => if !is_stopped && scene.growth() > STOP_BYTES {
                is_stopped = true;
                attacker.order("stop").await?;
            },
        }
    };
    let stock = scene.end().await?;
    let mut faults = Vec::new();
    let mut fault = |is_fault: bool, what: &str| {
        if is_fault {
            faults.push(what.to_owned());
        }
    };
    fault(!stock.is_alive, "the server died");
    fault(stock.memory > order.sessions as f64 * SESSION_BYTES_MAX, "memory");
    fault(stock.processor > processor_max(report.sent, report.taken, stock.seconds), "processor");
    fault(stock.healthy.is_some_and(|healthy| healthy.p99_ms > HEALTHY_P99_MS), LATE);
    fault(stock.healthy.is_some_and(|healthy| healthy.failed > 0), "healthy calls failed");
    fault(stock.ended_ms > ENDED_MS, GOES_ON);
    Ok(Round { order, report, stock, faults })
}

impl Round {
    /// Whether only the healthy client's latency is wrong.
    fn is_late_alone(&self) -> bool {
        matches!(&self.faults[..], [fault] if fault == LATE)
    }

    fn ran(&self) -> f64 {
        self.report.ran as f64 / (self.report.returned as f64).max(1.0)
    }

    /// The most common way in which the server ended sessions: what is not well-formed ends them early.
    fn endings(&self) -> String {
        let count = |ending: &&String| self.report.endings.iter().filter(|other| other == ending).count();
        let most = self.report.endings.iter().max_by_key(count);
        most.map_or(String::new(), |ending| format!(" ({ending})"))
    }

    fn print(&self) {
        let healthy = self.stock.healthy.unwrap_or_default();
        let verdict =
            if self.faults.is_empty() { "pass".into() } else { format!("FAIL: {}", self.faults.join(", ")) };
        println!(
            "seed {}: {} sessions, {:.1} s; {} KiB sent, {} KiB taken; {} calls, {} returned, {:.0} % of them ran, {} ended{}; \
             +{:.0} MiB, {:.0} ms of processor of {:.0}, healthy p99 {:.1} ms, max {:.1} ms, ended after {:.0} ms; {verdict} \
             [{}]",
            self.order.seed,
            self.order.sessions,
            self.stock.seconds,
            self.report.sent >> 10,
            self.report.taken >> 10,
            self.report.calls,
            self.report.returned,
            self.ran() * 100.0,
            self.report.endings.len(),
            self.endings(),
            self.stock.memory / MIB,
            self.stock.processor * 1e3,
            processor_max(self.report.sent, self.report.taken, self.stock.seconds) * 1e3,
            healthy.p99_ms,
            healthy.max_ms,
            self.stock.ended_ms,
            self.order.mix(),
        );
        if !self.faults.is_empty() {
            println!(
                "    again: cargo run -p benchmarks --release -- hostile --seed {} --rounds 1",
                self.order.seed
            );
        }
    }

    fn json(&self) -> Value {
        json!({
            "seed": self.order.seed,
            "sessions": self.order.sessions,
            "mix": self.order.mix(),
            "seconds": self.stock.seconds,
            "done": self.report,
            "memory_bytes": self.stock.memory,
            "processor_seconds": self.stock.processor,
            "processor_seconds_max": processor_max(self.report.sent, self.report.taken, self.stock.seconds),
            "healthy": self.stock.healthy,
            "ended_ms": self.stock.ended_ms,
            "faults": self.faults,
            "pass": self.faults.is_empty(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time_of("30m").ok(), Some(Duration::from_mins(30)));
        assert_eq!(time_of("90s").ok(), Some(Duration::from_secs(90)));
        assert!(time_of("90").is_err());
        assert!(time_of("").is_err());
    }

    #[test]
    fn a_seed_says_what_is_mixed() {
        let server: SocketAddr = ([127, 0, 0, 1], 1).into();
        assert_eq!(Order::of(server, 7).mix(), Order::of(server, 7).mix());
        assert!((1..=SESSIONS_MAX).contains(&Order::of(server, 7).sessions));
    }
}
