//! The whole stack in a simulated network: unmodified servers and clients in hosts of turmoil, and trouble of every kind between them.
//!
//! One seed decides all of a run: the clients, their calls, the network's latency, what breaks, and when. Each run is checked against a
//! ledger of what callers saw and handlers did (`ledger.rs`). A seed gives the same run each time, in virtual time.
//!
//! ```text
//! cargo nextest run -p tests simulation                              # the seeds of CI
//! SIMULATION_SEEDS=5000 cargo nextest run -p tests simulation        # more of them
//! SIMULATION_SEED=17 cargo nextest run -p tests one_seed --no-capture  # one, with its events
//! ```

mod callers;
mod desk;
mod ledger;
mod network;
mod random;

use std::{
    io::Write,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rpc_core::{Limits, MemoryBudget};
use rpc_server::{ResumeOptions, Server, ServerHandle};
use tokio::{sync::watch, task::JoinSet};
use turmoil::{Sim, net::TcpListener};

use self::{
    desk::{Clerk, DeskServer},
    ledger::{Kind, Ledger},
    network::{Cuts, troubles},
    random::Random,
};

/// The hosts with servers. Clients know both.
const HOSTS: [&str; 2] = ["alpha", "beta"];
/// The time after which nothing breaks any more.
const CALM: Duration = Duration::from_millis(2_500);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A window that is longer than all trouble, and one that is not.
const LONG_WINDOW: Duration = Duration::from_secs(4);
const SHORT_WINDOW: Duration = Duration::from_millis(300);
const LONG_WAITING: Duration = Duration::from_secs(10);
const SHORT_WAITING: Duration = Duration::from_millis(100);
/// The real time after which a seed hangs: some task is busy, and virtual time stands still. A seed takes less than a second.
const HANGS: Duration = Duration::from_secs(60);
/// One step of the simulation. Random parts of the framework's waits are shorter than that.
const TICK: Duration = Duration::from_millis(1);
/// The room in the end for sessions that their clients have forgotten.
const ENDING: Duration = Duration::from_millis(LONG_WINDOW.as_millis() as u64 + 1_000);

/// The seeds that run in CI, and the tests that share them.
const SEEDS: u64 = 200;
const PARTS: u64 = 8;

/// The limits of both sides: a dead connection is found before the simulation is over.
fn limits() -> Limits {
    Limits {
        hello_timeout: Duration::from_millis(500),
        ping_interval: Duration::from_millis(200),
        ping_timeout: Duration::from_millis(300),
        close_timeout: CLOSE_TIMEOUT,
        // Busy polling asks the real clock.
        busy_poll: Duration::ZERO,
        ..Limits::default()
    }
}

/// The parts of a run that all hosts know.
#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    clients: u64,
    /// When clients begin to act, and trouble begins.
    begin: Duration,
    window: Duration,
    /// How long calls wait for a socket.
    waiting: Duration,
    latency_max: Duration,
    /// The connections that are cut after some bytes, in percent.
    cut_percent: u64,
    warms_up: bool,
    falls_back: bool,
    crashes: bool,
    drains: bool,
}

impl Plan {
    fn choose(random: &mut Random, seed: u64) -> Self {
        let warms_up = random.percent(85);
        let drains = random.percent(25);
        Self {
            seed,
            clients: random.between(1, 3),
            begin: Duration::from_millis(if warms_up { 500 } else { 0 }),
            window: if random.percent(20) { SHORT_WINDOW } else { LONG_WINDOW },
            waiting: if random.percent(15) { SHORT_WAITING } else { LONG_WAITING },
            latency_max: Duration::from_millis(random.between(1, 40)),
            cut_percent: if random.percent(50) { random.below(80) } else { 0 },
            warms_up,
            falls_back: drains || random.percent(15),
            crashes: random.percent(25),
            drains,
        }
    }

    /// Whether sessions can be lost. Otherwise, no call fails and no stream breaks.
    fn loses(&self) -> bool {
        let is_patient = self.window == LONG_WINDOW && self.waiting == LONG_WAITING;
        !is_patient || !self.warms_up || self.falls_back || self.crashes || self.drains
    }
}

/// The servers' handles and budgets, by host.
#[derive(Clone)]
struct Hosts {
    handles: Arc<Mutex<[Option<ServerHandle>; 2]>>,
    budget: MemoryBudget,
}

impl Hosts {
    fn drain(&self, host: usize) {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &handles[host] {
            handle.shutdown();
        }
    }
}

/// Runs one server after the other until the host crashes.
async fn serve(host: usize, plan: Plan, hosts: Hosts, ledger: Ledger) -> turmoil::Result {
    loop {
        serve_until_drained(host, &plan, &hosts, &ledger).await?;
    }
}

async fn serve_until_drained(host: usize, plan: &Plan, hosts: &Hosts, ledger: &Ledger) -> turmoil::Result {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).await?;
    let resume =
        ResumeOptions { window: plan.window, attaches_per_minute: u32::MAX, ..ResumeOptions::default() };
    let closing = Arc::new(watch::Sender::new(false));
    let server = Server::builder()
        .service(DeskServer::new(Clerk(ledger.clone())))
        .limits(limits())
        .resume(resume)
        .memory_budget(hosts.budget.clone())
        .build();
    hosts.handles.lock().unwrap_or_else(PoisonError::into_inner)[host] = Some(server.handle());
    let server = Arc::new(server);
    ledger.log(format_args!("{} serves", HOSTS[host]));
    let mut closed = closing.subscribe();
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closed.changed() => break,
            accepted = listener.accept() => accepted,
        };
        let (io, peer) = accepted?;
        let (server, ledger, closing) = (Arc::clone(&server), ledger.clone(), Arc::clone(&closing));
        // Local tasks are dropped in their order when the host crashes; others are not.
        sessions.spawn_local(async move {
            let _alive = ledger.alive(Kind::Session);
            match server.serve_io(io, Some(peer)).await {
                Err(rpc_server::ServeError::ShuttingDown) => drop(closing.send_replace(true)),
                Err(error) => ledger.log(format_args!("{} refused {peer}: {error}", HOSTS[host])),
                Ok(reason) => ledger.log(format_args!("{} served {peer}: {reason}", HOSTS[host])),
            }
        });
    }
    drop(listener);
    sessions.join_all().await;
    Ok(())
}

/// A run that is over.
struct Run {
    events: Vec<String>,
    faults: Vec<String>,
    sums: [usize; 3],
}

/// The command that replays a seed.
fn replay(seed: u64) -> String {
    format!("SIMULATION_SEED={seed} cargo nextest run -p tests one_seed --no-capture")
}

/// Runs one seed, and gives the process up if that does not end.
fn simulate(seed: u64) -> Run {
    let (is_over, wait) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if wait.recv_timeout(HANGS) == Err(mpsc::RecvTimeoutError::Timeout) {
            // No test can stop a thread that is busy.
            let text = format!("seed {seed} hangs\n  replay: {}\n", replay(seed));
            let _ = std::io::stderr().write_all(text.as_bytes());
            std::process::abort();
        }
    });
    let run = simulate_to_end(seed);
    drop(is_over);
    watchdog.join().unwrap();
    run
}

fn simulate_to_end(seed: u64) -> Run {
    let mut random = Random::new(seed);
    let plan = Plan::choose(&mut random, seed);
    let (ledger, cuts) = (Ledger::default(), Cuts::new(random.next(), plan.cut_percent));
    let hosts = Hosts { handles: Arc::default(), budget: MemoryBudget::new(1 << 30) };
    let mut sim = turmoil::Builder::new()
        .rng_seed(random.next())
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(60))
        .min_message_latency(TICK)
        .max_message_latency(plan.latency_max)
        .fail_rate(0.0)
        .repair_rate(0.3)
        .tcp_capacity(1_024)
        .build();
    for (host, name) in HOSTS.into_iter().enumerate() {
        let (plan, hosts, ledger) = (plan.clone(), hosts.clone(), ledger.clone());
        sim.host(name, move || serve(host, plan.clone(), hosts.clone(), ledger.clone()));
    }
    for client in 0..plan.clients {
        let run = callers::run(client, plan.clone(), ledger.clone(), cuts.clone());
        sim.client(format!("client-{client}"), run);
    }
    ledger.log(format_args!("{plan:?}"));
    let troubles = troubles(&mut random, &plan);
    let mut left = troubles.iter().peekable();
    let mut is_calm = false;
    loop {
        while let Some((_, trouble)) = left.next_if(|(at, _)| *at <= sim.elapsed()) {
            trouble.happen(&mut sim, &hosts, &cuts, &ledger);
        }
        if !is_calm && sim.elapsed() >= CALM {
            is_calm = true;
            calm(&mut sim, &plan, &cuts);
        }
        match sim.step() {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => {
                ledger.fault(error);
                break;
            }
        }
    }
    check_end(&mut sim, &hosts, &ledger);
    let events = ledger.close();
    drop(sim);
    Run { events, faults: ledger.faults(plan.loses()), sums: ledger.sums() }
}

/// Mends the whole network, and starts hosts that are down.
fn calm(sim: &mut Sim<'_>, plan: &Plan, cuts: &Cuts) {
    cuts.end();
    sim.set_fail_rate(0.0);
    for (at, host) in HOSTS.iter().enumerate() {
        for client in 0..plan.clients {
            sim.release(format!("client-{client}"), *host);
        }
        // A server that was drained has its place taken by another one.
        if !sim.is_host_running(*host) {
            sim.bounce(HOSTS[at]);
        }
    }
}

/// Waits until nothing is left of sessions, handlers and objects.
fn check_end(sim: &mut Sim<'_>, hosts: &Hosts, ledger: &Ledger) {
    let until = sim.elapsed() + ENDING;
    let kinds = [Kind::Handler, Kind::Object, Kind::Session];
    loop {
        let counts = kinds.map(|kind| ledger.count(kind));
        let bytes = hosts.budget.used();
        if counts == [0; 3] && bytes == 0 {
            return;
        }
        if sim.elapsed() > until {
            return ledger.fault(format_args!(
                "in the end there are {counts:?} handlers, objects and sessions, and {bytes} bytes of the budget"
            ));
        }
        if let Err(error) = sim.step() {
            return ledger.fault(error);
        }
    }
}

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Panics with the seeds that failed, and how to replay each.
fn check_part(part: u64) {
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let mut failed = Vec::new();
    let mut sums = [0; 3];
    for seed in (part..seeds).step_by(PARTS as usize) {
        let run = simulate(seed);
        if !run.faults.is_empty() {
            let faults = run.faults.join("\n  ");
            failed.push(format!("seed {seed}:\n  {faults}\n  replay: {}", replay(seed)));
        }
        sums = std::array::from_fn(|at| sums[at] + run.sums[at]);
    }
    assert!(failed.is_empty(), "{} seeds failed\n{}", failed.len(), failed.join("\n"));
    let [calls, values, losses] = sums;
    // A simulation in which nothing succeeds or nothing is lost would prove nothing.
    assert!(
        seeds < SEEDS || values > calls / 2 && losses > 0,
        "{calls} calls, {values} values, {losses} losses"
    );
}

macro_rules! parts {
    ($($name:ident = $part:literal),*) => {
        $(
            #[test]
            fn $name() {
                check_part($part);
            }
        )*
    };
}

parts! {
    part_0_of_the_seeds = 0,
    part_1_of_the_seeds = 1,
    part_2_of_the_seeds = 2,
    part_3_of_the_seeds = 3,
    part_4_of_the_seeds = 4,
    part_5_of_the_seeds = 5,
    part_6_of_the_seeds = 6,
    part_7_of_the_seeds = 7
}

#[test]
fn a_seed_gives_the_same_events_at_the_same_times() {
    for seed in 0..10 {
        let (first, second) = (simulate(seed), simulate(seed));
        let differing = first.events.iter().zip(&second.events).position(|(first, second)| first != second);
        if let Some(place) = differing {
            let around = place.saturating_sub(5)..place + 1;
            panic!("seed {seed}: {:#?}\n{:#?}", &first.events[around.clone()], &second.events[around]);
        }
        assert_eq!(first.events.len(), second.events.len(), "seed {seed}");
        assert!(first.events.len() > 20, "seed {seed}: something happens");
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "whoever replays a seed wants to see it")]
fn one_seed() {
    let Some(seed) = number("SIMULATION_SEED") else { return };
    let run = simulate(seed);
    println!("{}", run.events.join("\n"));
    assert!(run.faults.is_empty(), "seed {seed}:\n  {}", run.faults.join("\n  "));
}
