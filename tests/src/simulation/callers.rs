//! The clients of the simulation: each does what its seed says, and writes down what came of it.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::join_all};
use rpc_client::{Client, Reconnect, WaitingCalls};
use rpc_core::{CallError, Never, Promise, StreamError, Streaming};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    CALM, CONNECT_TIMEOUT, HOSTS, Plan,
    desk::{DeskClient, DeskError, Ear, ListenerClient, never_settled},
    ledger::{CallNumber, Failure, Kind, Ledger, Outcome, Runs},
    limits,
    network::Cuts,
    random::Random,
};

/// The time within which every call settles: a session is lost after its window, and calls wait for no longer than that for the next.
const PATIENCE: Duration = Duration::from_secs(20);
/// The room between the deadline of a call and its outcome: the timer of a session that has much else to do.
const LATE_MAX: Duration = Duration::from_millis(20);

/// The time within which a client is itself again once the network is sound.
const RECOVERY: Duration = Duration::from_secs(5);

/// One thing that a client does.
#[derive(Debug, Clone, Copy)]
enum Action {
    Plain { number: u64, millis: u64 },
    Look { number: u64, millis: u64 },
    Chain { length: u64, millis: u64 },
    BrokenChain,
    Map { count: u64 },
    Count { end: u64, millis: u64, taken: u64 },
    Read { end: u64, millis: u64 },
    Tell { end: u64 },
    Counter { calls: u64, millis: u64 },
    Cancel { after: u64, millis: u64 },
    Deadline { limit: u64, millis: u64 },
    Echo { bytes: u64 },
}

impl Action {
    fn choose(random: &mut Random) -> Self {
        let millis = if random.percent(50) { 0 } else { random.below(400) };
        match random.below(15) {
            0..=1 => Self::Plain { number: random.below(1 << 40), millis },
            2 => Self::Look { number: random.below(1_000), millis },
            3..=4 => Self::Chain { length: random.between(2, 6), millis: millis / 4 },
            5 => Self::BrokenChain,
            6 => Self::Map { count: random.below(12) },
            7 => {
                let end = random.below(120);
                Self::Count { end, millis: random.below(60), taken: random.below(2 * end + 1) }
            }
            8 => Self::Read { end: random.below(120), millis: random.below(60) },
            9..=10 => Self::Tell { end: random.between(1, 8) },
            11 => Self::Counter { calls: random.between(1, 6), millis: random.below(80) },
            12 => Self::Cancel { after: random.below(300), millis: random.below(400) },
            13 => Self::Deadline { limit: random.below(400), millis: random.below(400) },
            _ => {
                let bits = random.between(4, 17);
                Self::Echo { bytes: random.below(1 << bits) }
            }
        }
    }
}

/// Connects, does everything, and closes.
pub(super) async fn run(place: u64, plan: Plan, ledger: Ledger, cuts: Cuts) -> turmoil::Result {
    let mut random = Random::new(plan.seed ^ (place + 1) << 32);
    let delay = Duration::from_millis(1);
    let policy = Reconnect {
        delay,
        delay_max: delay,
        window: plan.window,
        waiting: WaitingCalls { time: plan.waiting, ..WaitingCalls::default() },
        ..Reconnect::default()
    };
    let first = random.below(2) as usize;
    let cuts = cuts.of_client();
    let opener = cuts.clone();
    let urls = HOSTS.map(|host| format!("ws://{host}:80/"));
    let mut builder = Client::builder().reconnect(policy).limits(limits()).connect_timeout(CONNECT_TIMEOUT);
    if plan.falls_back {
        builder = builder.fallback(&urls[1 - first]);
    }
    let client = builder.connector(move |address| opener.connect(address)).connect_lazily(&urls[first])?;
    let watcher = watch(place, &client, &ledger);
    let caller = Arc::new(Caller {
        desk: client.service(),
        ledger: ledger.clone(),
        numbers: AtomicU64::new((place + 1) << 24),
        loses: plan.loses(),
    });
    if plan.warms_up {
        // A session that the server knows can go on.
        Arc::clone(&caller).act(Action::Plain { number: 0, millis: 0 }).await;
    }
    cuts.arm();
    sleep_until(plan.begin).await;
    let mut actions: Vec<JoinHandle<()>> = Vec::new();
    for _ in 0..random.between(4, 16) {
        if random.percent(60) {
            sleep(Duration::from_millis(random.below(300))).await;
        }
        let action = Action::choose(&mut random);
        actions.push(tokio::spawn(Arc::clone(&caller).act(action)));
    }
    for ended in join_all(actions).await {
        if let Err(error) = ended {
            ledger.fault(format_args!("a client failed: {error}"));
        }
    }
    sleep_until(CALM).await;
    recover(&caller).await;
    check_empty(place, &client, &ledger).await;
    drop(caller);
    let reason = client.close().await;
    ledger.log(format_args!("client {place} closed: {reason}"));
    drop(client);
    watcher.await?;
    Ok(())
}

async fn sleep_until(time: Duration) {
    sleep(time.saturating_sub(turmoil::sim_elapsed().unwrap_or_default())).await;
}

/// Writes the states of the connection down.
fn watch(place: u64, client: &Client, ledger: &Ledger) -> JoinHandle<()> {
    let (mut states, ledger) = (Box::pin(client.states()), ledger.clone());
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            // Without the moment, which is none of the simulation's clock.
            let text = match state {
                rpc_client::ConnectionState::Detached { reason, .. } => format!("detached: {reason}"),
                state => format!("{state:?}"),
            };
            ledger.log(format_args!("client {place}: {text}"));
        }
    })
}

/// Calls until a call has a value: the network is sound, so there is one soon.
async fn recover(caller: &Caller) {
    let begun = Instant::now();
    loop {
        let number = caller.begin("recover", Runs::Once);
        let result = settled(caller.desk.double(number, 3, 0)).await;
        if caller.settle(number, result, |value| *value == 6).is_some() {
            return;
        }
        if begun.elapsed() > RECOVERY {
            return caller.ledger.fault("the client does not recover");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the session holds nothing any more.
async fn check_empty(place: u64, client: &Client, ledger: &Ledger) {
    let begun = Instant::now();
    loop {
        let stats = client.stats().await;
        let held = [
            stats.calls_in_flight,
            stats.calls_remembered,
            stats.answers_unfinished,
            stats.answers_held,
            stats.exports,
            stats.imports,
            stats.streams_sent,
            stats.streams_received,
            stats.outgoing_bytes,
            stats.unacknowledged_bytes,
            stats.session_bytes,
        ];
        if held.iter().all(|count| *count == 0) {
            return;
        }
        if begun.elapsed() > RECOVERY {
            return ledger.fault(format_args!("client {place} still holds something: {stats:?}"));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The result of a call; `None` if it does not settle.
async fn settled<T: Send + 'static, E: Send + 'static>(
    promise: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Option<Result<T, CallError<E>>> {
    timeout(PATIENCE, promise).await.ok()
}

struct Caller {
    desk: DeskClient,
    ledger: Ledger,
    numbers: AtomicU64,
    loses: bool,
}

impl Caller {
    fn begin(&self, what: &'static str, allowed: Runs) -> CallNumber {
        // Numbers in between are those of calls that the server makes for this one.
        let number = self.numbers.fetch_add(16, Ordering::SeqCst);
        self.ledger.begin(number, what, allowed);
        number
    }

    fn settle<T: std::fmt::Debug, E: std::fmt::Display>(
        &self,
        number: CallNumber,
        result: Option<Result<T, CallError<E>>>,
        is_right: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let Some(result) = result else {
            self.ledger.fault(format_args!("{number:x} never settled"));
            self.ledger.settle(number, never_settled());
            return None;
        };
        if let Err(error) = &result
            && !matches!(error, CallError::Disconnected { .. })
            && !Failure::of(error).is_loss
            && !self.is_expected(error)
        {
            self.ledger.fault(format_args!("{number:x}: an error that nothing explains: {error}"));
        }
        self.ledger.settle_with(number, result, is_right)
    }

    /// Whether the error is one that the actions provoke, or that of a server that shuts down.
    fn is_expected<E: std::fmt::Display>(&self, error: &CallError<E>) -> bool {
        match error {
            CallError::Method(_) | CallError::Upstream(_) | CallError::DeadlineExceeded { .. } => true,
            CallError::Cancelled { .. } | CallError::Refused { .. } => self.loses,
            _ => false,
        }
    }

    async fn act(self: Arc<Self>, action: Action) {
        match action {
            Action::Plain { number, millis } => {
                let call = self.begin("double", Runs::Once);
                let result = settled(self.desk.double(call, number, millis)).await;
                self.settle(call, result, |value| *value == number * 2);
            }
            Action::Look { number, millis } => {
                let call = self.begin("look", Runs::Idempotent);
                let result = settled(self.desk.look(call, number, millis)).await;
                self.settle(call, result, |value| *value == number * 2);
            }
            Action::Chain { length, millis } => self.chain(length, millis).await,
            Action::BrokenChain => self.broken_chain().await,
            Action::Map { count } => self.map(count).await,
            Action::Count { end, millis, taken } => self.count(end, millis, taken).await,
            Action::Read { end, millis } => self.read(end, millis).await,
            Action::Tell { end } => self.tell(end).await,
            Action::Counter { calls, millis } => self.counter(calls, millis).await,
            Action::Cancel { after, millis } => {
                let call = self.begin("cancelled double", Runs::Once);
                let promise = self.desk.double(call, 7, millis);
                match timeout(Duration::from_millis(after), promise).await {
                    Ok(result) => drop(self.settle(call, Some(result), |value| *value == 14)),
                    Err(_) => self.ledger.settle(call, Outcome::Dropped),
                }
            }
            Action::Deadline { limit, millis } => {
                let call = self.begin("double with a deadline", Runs::Once);
                let (limit, begun) = (Duration::from_millis(limit), Instant::now());
                let result = settled(self.desk.deadline(limit).double(call, 7, millis)).await;
                if begun.elapsed() > limit + LATE_MAX {
                    let late = begun.elapsed();
                    self.ledger
                        .fault(format_args!("{call:x}: settled after {late:?}, its limit is {limit:?}"));
                }
                self.settle(call, result, |value| *value == 14);
            }
            Action::Echo { bytes } => {
                let call = self.begin("echo", Runs::Once);
                let mut random = Random::new(call);
                let payload: Bytes = (0..bytes).map(|_| random.next() as u8).collect();
                let result = settled(self.desk.echo(call, payload.clone())).await;
                if let Some(Ok(echoed)) = &result
                    && *echoed != payload
                {
                    self.ledger.fault(format_args!("{call:x}: the echo differs"));
                }
                self.settle(call, result.map(|result| result.map(drop)), |()| true);
            }
        }
    }

    /// Calls of which each takes the result of the one before.
    async fn chain(&self, length: u64, millis: u64) {
        let mut calls = vec![self.begin("first of a chain", Runs::Once)];
        let mut promises: Vec<Promise<u64, Never>> = vec![self.desk.double(calls[0], 1, millis)];
        for _ in 1..length {
            let call = self.begin("link of a chain", Runs::Once);
            let promise = self.desk.double(call, &promises[promises.len() - 1], millis);
            calls.push(call);
            promises.push(promise);
        }
        // The last one first: the others are results that were referred to.
        let results = join_all(promises.into_iter().map(settled)).await;
        let mut right = 1;
        for (call, result) in calls.into_iter().zip(results) {
            right *= 2;
            self.settle(call, result, |value| *value == right);
        }
    }

    async fn broken_chain(&self) {
        let first = self.begin("failing", Runs::Once);
        let failing: Promise<u64, DeskError> = self.desk.fail(first);
        let second = self.begin("built on a failing one", Runs::Once);
        let built = self.desk.double(second, &failing, 0);
        let (failed, built) = futures::join!(settled(failing), settled(built));
        if let Some(Ok(_)) = &failed {
            self.ledger.fault(format_args!("{first:x}: a value of a method that fails"));
        }
        match failed {
            // The method ran.
            Some(Err(CallError::Method(DeskError(number)))) if number == first => {
                self.ledger.settle(first, Outcome::Value);
            }
            other => drop(self.settle(first, other, |_| false)),
        }
        if let Some(Err(CallError::Upstream(upstream))) = &built
            && let Some(DeskError(number)) = upstream.downcast::<DeskError>()
            && *number != first
        {
            self.ledger.fault(format_args!("{second:x}: built on {number:x}"));
        }
        self.settle(second, built, |_| false);
    }

    async fn map(&self, count: u64) {
        let first = self.begin("list of a map", Runs::Once);
        let list = self.desk.list(first, count);
        let call = self.begin("map", Runs::Each(count));
        let mapped = list.map(|number| self.desk.double_each(call, number));
        let (list, mapped) = futures::join!(settled(list), settled(mapped));
        self.settle(first, list, |list| list.iter().copied().eq(0..count));
        self.settle(call, mapped, |doubles| doubles.iter().copied().eq((0..count).map(|number| number * 2)));
    }

    /// Reads a stream, perhaps not to its end.
    async fn count(&self, end: u64, millis: u64, taken: u64) {
        let call = self.begin("count", Runs::Once);
        let result = settled(self.desk.count(call, end, millis)).await;
        let mut numbers = match result {
            Some(Ok(numbers)) => {
                self.ledger.settle(call, Outcome::Value);
                numbers
            }
            other => {
                self.settle(call, other.map(|result| result.map(drop)), |()| true);
                return;
            }
        };
        let mut expected = 0;
        loop {
            if expected == taken {
                return self.ledger.log(format_args!("{call:x} has enough items: {taken}"));
            }
            match timeout(PATIENCE, numbers.next()).await {
                Err(_) => {
                    return self.ledger.fault(format_args!("{call:x}: the stream neither goes on nor ends"));
                }
                Ok(Some(Ok(number))) if number == expected => expected += 1,
                Ok(Some(Ok(number))) => {
                    return self.ledger.fault(format_args!("{call:x}: item {number} in place of {expected}"));
                }
                Ok(None) if expected == end => {
                    return self.ledger.log(format_args!("{call:x} is complete: {end} items"));
                }
                Ok(None) => {
                    return self
                        .ledger
                        .fault(format_args!("{call:x}: the stream ends after {expected} of {end} items"));
                }
                Ok(Some(Err(error))) => {
                    if !self.loses || matches!(error, StreamError::Missed { .. } | StreamError::BadItem(_)) {
                        self.ledger.fault(format_args!("{call:x}: the stream broke: {error:?}"));
                    }
                    if !matches!(timeout(PATIENCE, numbers.next()).await, Ok(None)) {
                        self.ledger.fault(format_args!("{call:x}: the stream goes on after its error"));
                    }
                    return self.ledger.log(format_args!("{call:x} broke after {expected} items: {error}"));
                }
            }
        }
    }

    async fn read(&self, end: u64, millis: u64) {
        let call = self.begin("read", Runs::Once);
        let alive = self.ledger.alive(Kind::Object);
        let numbers = futures::stream::unfold((0, alive), move |(number, alive)| async move {
            if number % 16 == 15 {
                sleep(Duration::from_millis(millis)).await;
            }
            (number < end).then_some((number, (number + 1, alive)))
        });
        let result = settled(self.desk.read(call, Streaming::new(numbers))).await;
        let loses = self.loses;
        self.settle(call, result, |(count, is_whole)| {
            (*is_whole && *count == end) || (loses && !is_whole && *count <= end)
        });
    }

    async fn tell(&self, end: u64) {
        let call = self.begin("tell", Runs::Once);
        let expected = Arc::new(AtomicU64::new(0));
        let ear = ListenerClient::local(Ear::new(&self.ledger, Arc::clone(&expected)));
        let result = settled(self.desk.tell(call, ear, end)).await;
        let loses = self.loses;
        let heard = expected.load(Ordering::SeqCst);
        self.settle(call, result, |told| *told == heard && (loses || *told == end));
    }

    async fn counter(&self, calls: u64, millis: u64) {
        let first = self.begin("counter", Runs::Once);
        // The first call is made before there is an object.
        let promised = self.desk.counter(first);
        let second = self.begin("next", Runs::Once);
        let early = promised.next(second);
        let (counter, early) = futures::join!(settled(promised), settled(early));
        let before = u64::from(self.settle(second, early, |count| *count == 1).is_some());
        let counter = match counter {
            Some(Ok(counter)) => {
                self.ledger.settle(first, Outcome::Value);
                counter
            }
            other => {
                self.settle(first, other.map(|result| result.map(drop)), |()| true);
                return;
            }
        };
        for right in before + 1..=before + calls {
            sleep(Duration::from_millis(millis)).await;
            let call = self.begin("next", Runs::Once);
            let result = settled(counter.next(call)).await;
            let is_dead = matches!(result, Some(Err(_)));
            self.settle(call, result, |count| *count == right || self.loses && *count <= right);
            if is_dead {
                return;
            }
        }
    }
}
