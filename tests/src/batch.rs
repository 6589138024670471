//! Calls that one call of a batch method answers: `#[rpc(batch = "…")]`.

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc_client::Client;
use rpc_core::{
    CallError, Context, Limits, Refusal, ServiceClient, Services, SessionHandle, driver::SessionConfig,
    memory, rpc, schema::MethodAttributes,
};
use rpc_server::Server;
use tokio::sync::Semaphore;

use crate::support::relay::Relay;

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct User {
    id: u64,
    name: String,
}

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("nobody has the id {0}")]
    Nobody(u64),
    #[error("the database is down")]
    Down,
}

/// An argument that some bytes are not: odd numbers do not decode.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Even(u64);

impl<'de> serde::Deserialize<'de> for Even {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            13 => panic!("on purpose"),
            odd if odd % 2 == 1 => Err(serde::de::Error::custom("it is odd")),
            even => Ok(Self(even)),
        }
    }
}

/// A result that cannot always be written.
#[derive(Debug, PartialEq, serde::Deserialize)]
pub(crate) struct Fragile(u64);

impl serde::Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1 => Err(serde::ser::Error::custom("not this one")),
            2 => panic!("on purpose"),
            other => serializer.serialize_newtype_struct("Fragile", &other),
        }
    }
}

#[rpc]
pub(crate) trait Directory {
    #[rpc(batch = "profiles")]
    async fn profile(&self, id: u64) -> Result<User, LookupError>;
    async fn profiles(&self, ids: Vec<u64>) -> Vec<Result<User, LookupError>>;
    /// As a whole or not at all.
    #[rpc(batch = "lookups")]
    async fn lookup(&self, id: u64) -> Result<u64, LookupError>;
    async fn lookups(&self, ids: Vec<u64>) -> Result<Vec<Result<u64, LookupError>>, LookupError>;
    #[rpc(batch = "sums")]
    async fn sum(&self, a: u64, b: u64) -> u64;
    async fn sums(&self, pairs: Vec<(u64, u64)>) -> Vec<u64>;
    #[rpc(batch = "notes")]
    async fn note(&self, text: String);
    #[rpc(oneway, batch = "notes")]
    async fn jot(&self, text: String);
    async fn notes(&self, texts: Vec<String>);
    /// Answers when it may.
    #[rpc(batch = "slows")]
    async fn slow(&self, id: u64) -> u64;
    async fn slows(&self, ids: Vec<u64>, #[rpc(context)] context: Context) -> Vec<u64>;
    #[rpc(batch = "enduring", no_cancel)]
    async fn endure(&self, id: u64) -> u64;
    async fn enduring(&self, #[rpc(context)] context: &Context, ids: Vec<u64>) -> Vec<u64>;
    #[rpc(batch = "whos")]
    async fn who(&self, #[rpc(context)] context: Context, id: u64) -> String;
    async fn whos(&self, #[rpc(context)] context: &Context, ids: Vec<u64>) -> Vec<String>;
    #[rpc(batch = "evens")]
    async fn even(&self, number: Even) -> u64;
    async fn evens(&self, numbers: Vec<Even>) -> Vec<u64>;
    #[rpc(batch = "fragiles")]
    async fn fragile(&self, id: u64) -> Fragile;
    async fn fragiles(&self, ids: Vec<u64>) -> Vec<Fragile>;
    /// One that is not batched.
    async fn plain(&self, id: u64) -> u64;
    async fn later(&self, id: u64) -> u64;
    async fn friends(&self, count: u64) -> Vec<u64>;
}

/// The same calls in an ordered trait.
#[rpc(ordered)]
pub(crate) trait Ledger {
    #[rpc(batch = "reads")]
    async fn read(&self, id: u64) -> u64;
    async fn reads(&self, ids: Vec<u64>) -> Vec<u64>;
    async fn write(&self, id: u64);
}

/// What was called, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Logs when it is dropped.
struct Dropped(Log, String);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.push(format!("{} dropped", self.1));
    }
}

struct House {
    log: Log,
    /// Lets `slow` and `endure` end.
    gate: Arc<Semaphore>,
}

/// An id with a meaning of its own for the batch method.
const DOWN: u64 = 1_000_001;
const TOO_FEW: u64 = 1_000_002;
const TOO_MANY: u64 = 1_000_003;
const PANIC: u64 = 1_000_004;

impl Directory for House {
    async fn profile(&self, _: u64) -> Result<User, LookupError> {
        self.log.push("profile".into());
        Err(LookupError::Down)
    }

    async fn profiles(&self, ids: Vec<u64>) -> Vec<Result<User, LookupError>> {
        self.log.push(format!("profiles {ids:?}"));
        assert!(!ids.contains(&PANIC), "on purpose");
        let mut users: Vec<_> = ids
            .iter()
            .map(|id| match id {
                100..1_000_000 => Err(LookupError::Nobody(*id)),
                id => Ok(User { id: *id, name: format!("user {id}") }),
            })
            .collect();
        if ids.contains(&TOO_FEW) {
            users.pop();
        }
        if ids.contains(&TOO_MANY) {
            users.push(Err(LookupError::Down));
        }
        users
    }

    async fn lookup(&self, id: u64) -> Result<u64, LookupError> {
        Ok(id)
    }

    async fn lookups(&self, ids: Vec<u64>) -> Result<Vec<Result<u64, LookupError>>, LookupError> {
        self.log.push(format!("lookups {ids:?}"));
        if ids.contains(&DOWN) {
            return Err(LookupError::Down);
        }
        Ok(ids.into_iter().map(|id| if id == 0 { Err(LookupError::Nobody(0)) } else { Ok(id) }).collect())
    }

    async fn sum(&self, a: u64, b: u64) -> u64 {
        a + b
    }

    async fn sums(&self, pairs: Vec<(u64, u64)>) -> Vec<u64> {
        self.log.push(format!("sums {pairs:?}"));
        pairs.into_iter().map(|(a, b)| a + b).collect()
    }

    async fn note(&self, _: String) {}

    async fn jot(&self, _: String) {}

    async fn notes(&self, texts: Vec<String>) {
        self.log.push(format!("notes {texts:?}"));
    }

    async fn slow(&self, id: u64) -> u64 {
        id
    }

    async fn slows(&self, ids: Vec<u64>, context: Context) -> Vec<u64> {
        let seconds = context.remaining().map(|remaining| remaining.as_secs_f64().ceil());
        self.log.push(format!("slows {ids:?} within {seconds:?}"));
        let _dropped = Dropped(self.log.clone(), format!("slows {ids:?}"));
        self.gate.acquire().await.unwrap().forget();
        ids.into_iter().map(|id| id * 10).collect()
    }

    async fn endure(&self, id: u64) -> u64 {
        id
    }

    async fn enduring(&self, context: &Context, ids: Vec<u64>) -> Vec<u64> {
        self.log.push(format!("enduring {ids:?}"));
        context.cancelled().await;
        self.log.push("cancelled".into());
        self.gate.acquire().await.unwrap().forget();
        self.log.push("endured".into());
        ids
    }

    async fn who(&self, _: Context, _: u64) -> String {
        String::new()
    }

    async fn whos(&self, context: &Context, ids: Vec<u64>) -> Vec<String> {
        let trace = context.metadata("trace").unwrap_or("-");
        self.log.push(format!("whos {ids:?} of {trace}"));
        ids.into_iter().map(|id| format!("{id}/{trace}")).collect()
    }

    async fn even(&self, number: Even) -> u64 {
        number.0
    }

    async fn evens(&self, numbers: Vec<Even>) -> Vec<u64> {
        let numbers: Vec<u64> = numbers.into_iter().map(|number| number.0).collect();
        self.log.push(format!("evens {numbers:?}"));
        numbers
    }

    async fn fragile(&self, id: u64) -> Fragile {
        Fragile(id)
    }

    async fn fragiles(&self, ids: Vec<u64>) -> Vec<Fragile> {
        ids.into_iter().map(Fragile).collect()
    }

    async fn plain(&self, id: u64) -> u64 {
        self.log.push(format!("plain {id}"));
        id
    }

    async fn friends(&self, count: u64) -> Vec<u64> {
        (0..count).collect()
    }

    async fn later(&self, id: u64) -> u64 {
        self.gate.acquire().await.unwrap().forget();
        id
    }
}

impl Ledger for House {
    async fn read(&self, id: u64) -> u64 {
        id
    }

    async fn reads(&self, ids: Vec<u64>) -> Vec<u64> {
        self.log.push(format!("reads {ids:?}"));
        ids
    }

    async fn write(&self, id: u64) {
        self.log.push(format!("write {id}"));
    }
}

/// A session whose server logs what was called.
struct Visit {
    session: SessionHandle,
    directory: DirectoryClient,
    log: Log,
    gate: Arc<Semaphore>,
}

fn visit() -> Visit {
    visit_with(Limits::default())
}

fn visit_with(limits: Limits) -> Visit {
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let house = Arc::new(House { log: log.clone(), gate: Arc::clone(&gate) });
    let services = Services::new()
        .with(DirectoryServer::from_arc(Arc::clone(&house)))
        .with(LedgerServer::from_arc(house));
    let server = SessionConfig { services, limits, ..SessionConfig::default() };
    let (session, _) = memory::connect_with(SessionConfig::default(), server);
    Visit { directory: session.service(), session, log, gate }
}

/// Lets everything that can run do so; time is paused, so the clock only moves when nothing can.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn ids(range: impl IntoIterator<Item = u64>) -> Vec<u64> {
    range.into_iter().collect()
}

#[tokio::test]
async fn calls_made_without_awaiting_are_one_call_of_the_batch_method() {
    let Visit { directory, log, .. } = visit();
    let users = rpc_core::join_all((0..100).map(|id| directory.profile(id))).await;
    let found: Vec<u64> = users.into_iter().map(|user| user.unwrap().id).collect();
    assert_eq!(found, ids(0..100));
    assert_eq!(log.take(), [format!("profiles {:?}", ids(0..100))]);
}

#[tokio::test]
async fn a_call_alone_is_a_batch_of_one() {
    let Visit { directory, log, .. } = visit();
    assert_eq!(directory.profile(7).await.unwrap().name, "user 7");
    assert_eq!(log.take(), ["profiles [7]"]);
}

#[tokio::test]
async fn the_batch_method_is_an_ordinary_method_too() {
    let Visit { directory, log, .. } = visit();
    let users = directory.profiles(vec![3, 100]).await.unwrap();
    assert!(users[0].is_ok());
    assert_eq!(users[1], Err(LookupError::Nobody(100)));
    assert_eq!(log.take(), ["profiles [3, 100]"]);
}

#[tokio::test]
async fn each_call_gets_its_own_result_duplicates_included() {
    let Visit { directory, log, .. } = visit();
    let calls = [5, 100, 5, 3, 200].map(|id| directory.profile(id));
    let users = rpc_core::join_all(calls).await;
    let users: Vec<_> = users.into_iter().map(|user| user.map(|user| user.id)).collect();
    assert!(matches!(
        users[..],
        [
            Ok(5),
            Err(CallError::Method(LookupError::Nobody(100))),
            Ok(5),
            Ok(3),
            Err(CallError::Method(LookupError::Nobody(200)))
        ]
    ));
    assert_eq!(log.take(), ["profiles [5, 100, 5, 3, 200]"]);
}

#[tokio::test]
async fn a_batch_may_fail_as_a_whole() {
    let Visit { directory, log, .. } = visit();
    let (none, one) = rpc_core::join!(directory.lookup(0), directory.lookup(1));
    assert!(matches!(none, Err(CallError::Method(LookupError::Nobody(0)))));
    assert_eq!(one.unwrap(), 1);
    let (one, down) = rpc_core::join!(directory.lookup(1), directory.lookup(DOWN));
    assert!(matches!(one, Err(CallError::Method(LookupError::Down))));
    assert!(matches!(down, Err(CallError::Method(LookupError::Down))));
    assert_eq!(log.take(), ["lookups [0, 1]".to_owned(), format!("lookups [1, {DOWN}]")]);
}

#[tokio::test]
async fn several_arguments_are_a_tuple() {
    let Visit { directory, log, .. } = visit();
    let (three, seven) = rpc_core::join!(directory.sum(1, 2), directory.sum(3, 4));
    assert_eq!((three.unwrap(), seven.unwrap()), (3, 7));
    assert_eq!(log.take(), ["sums [(1, 2), (3, 4)]"]);
}

#[tokio::test(start_paused = true)]
async fn methods_that_return_nothing_and_oneway_methods_are_batched() {
    let Visit { directory, log, .. } = visit();
    let (a, b) = rpc_core::join!(directory.note("a"), directory.note("b"));
    assert!(a.is_ok() && b.is_ok());
    directory.jot("c").unwrap();
    directory.jot("d").unwrap();
    settle().await;
    assert_eq!(log.take(), [r#"notes ["a", "b"]"#, r#"notes ["c", "d"]"#]);
}

#[tokio::test]
async fn another_number_of_results_fails_all_calls() {
    let Visit { directory, log, .. } = visit();
    for (odd, returned) in [(TOO_FEW, 1), (TOO_MANY, 3)] {
        let (one, other) = rpc_core::join!(directory.profile(1), directory.profile(odd));
        for result in [one, other] {
            let Err(CallError::Refused { refusal: Refusal::InvalidArgument { argument, reason }, .. }) =
                result
            else {
                panic!("{result:?}")
            };
            assert_eq!(argument, "(result)");
            assert_eq!(
                reason,
                format!("the batch method `profiles` returned {returned} results for 2 calls")
            );
        }
    }
    assert_eq!(log.take().len(), 2);
    assert!(directory.profile(1).await.is_ok());
}

#[tokio::test]
async fn a_panic_fails_the_calls_of_its_batch_alone() {
    let Visit { directory, .. } = visit();
    let (one, panic, plain, sum) = rpc_core::join!(
        directory.profile(1),
        directory.profile(PANIC),
        directory.plain(2),
        directory.sum(1, 2)
    );
    assert!(matches!(one, Err(CallError::Panicked { .. })), "{one:?}");
    assert!(matches!(panic, Err(CallError::Panicked { .. })), "{panic:?}");
    assert_eq!((plain.unwrap(), sum.unwrap()), (2, 3));
    assert!(directory.profile(1).await.is_ok());
}

#[tokio::test]
async fn an_argument_that_does_not_decode_fails_its_call_alone() {
    let Visit { directory, log, .. } = visit();
    let calls = [2, 3, 4, 13].map(|number| directory.even(Even(number)));
    let results = rpc_core::join_all(calls).await;
    let [two, three, four, thirteen] = <[_; 4]>::try_from(results).unwrap();
    assert_eq!((two.unwrap(), four.unwrap()), (2, 4));
    let Err(CallError::Refused { refusal: Refusal::InvalidArgument { argument, reason }, .. }) = three else {
        panic!("{three:?}")
    };
    assert_eq!((argument.as_str(), reason.as_str()), ("number", "it is odd"));
    assert!(matches!(thirteen, Err(CallError::Panicked { .. })), "{thirteen:?}");
    assert_eq!(log.take(), ["evens [2, 4]"]);
    // Without a call left there is no batch.
    assert!(directory.even(Even(3)).await.is_err());
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn a_result_that_cannot_be_written_fails_its_call_alone() {
    let Visit { directory, .. } = visit();
    let results = rpc_core::join_all((0..4).map(|id| directory.fragile(id))).await;
    let [zero, one, two, three] = <[_; 4]>::try_from(results).unwrap();
    assert_eq!((zero.unwrap(), three.unwrap()), (Fragile(0), Fragile(3)));
    assert!(
        matches!(&one, Err(CallError::Refused { refusal: Refusal::InvalidArgument { argument, .. }, .. }) if argument == "(result)"),
        "{one:?}"
    );
    assert!(matches!(two, Err(CallError::Panicked { .. })), "{two:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_while_one_of_its_callers_waits() {
    let Visit { session, directory, log, gate } = visit();
    let mut calls: Vec<_> = (1..4).map(|id| Box::pin(directory.slow(id).into_future())).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    settle().await;
    drop(calls.remove(0));
    settle().await;
    // Its share of the work goes on, so it counts.
    assert_eq!(session.stats().await.calls_in_flight, 3);
    assert_eq!(log.take(), ["slows [1, 2, 3] within None"]);
    gate.add_permits(1);
    let results = futures::future::join_all(calls).await;
    assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [20, 30]);
    assert_eq!(log.take(), ["slows [1, 2, 3] dropped"]);
    settle().await;
    assert_eq!(session.stats().await, Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_waits_for_is_dropped() {
    let Visit { session, directory, log, .. } = visit();
    let mut calls: Vec<_> = (1..4).map(|id| Box::pin(directory.slow(id).into_future())).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    settle().await;
    assert_eq!(log.take(), ["slows [1, 2, 3] within None"]);
    drop(calls);
    settle().await;
    assert_eq!(log.take(), ["slows [1, 2, 3] dropped"]);
    assert_eq!(session.stats().await, Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_until_the_latest_deadline_of_its_calls() {
    let Visit { directory, log, gate, .. } = visit();
    let within = |seconds| directory.deadline(Duration::from_secs(seconds));
    let (short, long) = (within(2), within(5));
    let (one, two) = rpc_core::join!(short.slow(1), async {
        let two = long.slow(2).into_future();
        tokio::time::sleep(Duration::from_secs(3)).await;
        gate.add_permits(1);
        two.await
    });
    assert!(matches!(one, Err(CallError::DeadlineExceeded { .. })), "{one:?}");
    assert_eq!(two.unwrap(), 20);
    assert_eq!(log.take(), ["slows [1, 2] within Some(5.0)", "slows [1, 2] dropped"]);
    let (one, two) = rpc_core::join!(short.slow(1), long.slow(2));
    assert!(matches!(one, Err(CallError::DeadlineExceeded { .. })), "{one:?}");
    assert!(matches!(two, Err(CallError::DeadlineExceeded { .. })), "{two:?}");
    settle().await;
    assert_eq!(log.take(), ["slows [1, 2] within Some(5.0)", "slows [1, 2] dropped"]);
    let mut endless = Box::pin(directory.slow(1).into_future());
    let mut soon = Box::pin(short.slow(2).into_future());
    assert!(futures::poll!(&mut endless).is_pending() && futures::poll!(&mut soon).is_pending());
    settle().await;
    assert_eq!(log.take(), ["slows [1, 2] within None"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_cancelled_learns_when_nobody_waits() {
    let Visit { session, directory, log, gate } = visit();
    let mut calls: Vec<_> = (1..3).map(|id| Box::pin(directory.endure(id).into_future())).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    settle().await;
    calls.pop();
    settle().await;
    assert_eq!(log.take(), ["enduring [1, 2]"]);
    calls.pop();
    settle().await;
    assert_eq!(log.take(), ["cancelled"]);
    gate.add_permits(1);
    settle().await;
    assert_eq!(log.take(), ["endured"]);
    assert_eq!(session.stats().await, Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_with_its_session() {
    let Visit { session, directory, log, .. } = visit();
    let mut calls: Vec<_> = (1..4).map(|id| Box::pin(directory.slow(id).into_future())).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    settle().await;
    log.take();
    // Nothing ends the calls, so the close waits as long as it may.
    session.close().await;
    settle().await;
    assert_eq!(log.take(), ["slows [1, 2, 3] dropped"]);
    for call in calls {
        assert!(matches!(call.await, Err(CallError::Disconnected { .. })));
    }
}

#[tokio::test]
async fn calls_with_other_metadata_do_not_share_a_context() {
    let Visit { directory, log, .. } = visit();
    let (a, b) = (directory.metadata("trace", "a"), directory.metadata("trace", "b"));
    let calls = [a.who(1), b.who(2), directory.who(3), a.who(4)];
    let answers: Vec<String> = rpc_core::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, ["1/a", "2/b", "3/-", "4/a"]);
    assert_eq!(log.take(), ["whos [1, 4] of a", "whos [2] of b", "whos [3] of -"]);
    // Where no context is taken, nobody can tell.
    let (a, b) = rpc_core::join!(a.sum(1, 2), b.sum(3, 4));
    assert_eq!((a.unwrap(), b.unwrap()), (3, 7));
    assert_eq!(log.take(), ["sums [(1, 2), (3, 4)]"]);
}

#[tokio::test]
async fn more_calls_than_the_limit_are_further_batches() {
    let Visit { directory, log, .. } = visit_with(Limits { batch_max: 4, ..Limits::default() });
    let users = rpc_core::join_all((0..10).map(|id| directory.profile(id))).await;
    assert!(users.into_iter().all(|user| user.is_ok()));
    assert_eq!(log.take(), ["profiles [0, 1, 2, 3]", "profiles [4, 5, 6, 7]", "profiles [8, 9]"]);
    let Visit { directory, log, .. } = visit_with(Limits { batch_max: 0, ..Limits::default() });
    let (one, two) = rpc_core::join!(directory.profile(1), directory.profile(2));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(log.take(), ["profiles [1]", "profiles [2]"]);
}

#[tokio::test]
async fn a_batch_stands_where_its_first_call_stands() {
    let Visit { directory, log, .. } = visit();
    let (.., last) = rpc_core::join!(
        directory.plain(1),
        directory.profile(1),
        directory.plain(2),
        directory.sum(1, 2),
        directory.profile(2),
        directory.plain(3),
        directory.sum(3, 4),
        directory.profile(3)
    );
    assert!(last.is_ok());
    assert_eq!(log.take(), ["plain 1", "profiles [1, 2, 3]", "plain 2", "sums [(1, 2), (3, 4)]", "plain 3"]);
}

#[tokio::test]
async fn an_ordered_trait_batches_only_what_follows_directly() {
    let Visit { session, directory, log, .. } = visit();
    let ledger: LedgerClient = session.service();
    let (.., last) = rpc_core::join!(
        ledger.read(1),
        directory.plain(9),
        ledger.read(2),
        ledger.write(3),
        ledger.read(4),
        ledger.read(5)
    );
    assert!(last.is_ok());
    assert_eq!(log.take(), ["reads [1, 2]", "plain 9", "write 3", "reads [4, 5]"]);
}

#[tokio::test]
async fn results_of_a_batch_are_built_on_like_others() {
    let Visit { directory, log, .. } = visit();
    let users: Vec<_> = (0..3).map(|id| directory.profile(id)).collect();
    let nobody = directory.profile(100);
    let notes: Vec<_> = users.iter().map(|user| directory.note(user.name())).collect();
    let plain = directory.plain(nobody.id());
    let again = directory.profile(users[2].id());
    let (notes, plain, again) = rpc_core::join!(rpc_core::join_all(notes), plain, again);
    assert!(notes.into_iter().all(|note| note.is_ok()));
    let Err(CallError::Upstream(upstream)) = plain else { panic!("{plain:?}") };
    assert_eq!(upstream.downcast::<LookupError>(), Some(&LookupError::Nobody(100)));
    assert_eq!(again.unwrap().id, 2);
    assert_eq!(
        log.take(),
        ["profiles [0, 1, 2, 100]", r#"notes ["user 0", "user 1", "user 2"]"#, "profiles [2]"]
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_become_ready_together_are_one_batch() {
    let Visit { directory, log, gate, .. } = visit();
    let later = directory.later(4);
    let mut users: Vec<_> = (0..3).map(|_| Box::pin(directory.profile(&later).into_future())).collect();
    for user in &mut users {
        assert!(futures::poll!(user).is_pending());
    }
    settle().await;
    assert!(log.take().is_empty());
    gate.add_permits(1);
    for user in users {
        assert_eq!(user.await.unwrap().id, 4);
    }
    assert_eq!(log.take(), ["profiles [4, 4, 4]"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_ends_on_any_thread() {
    let Visit { session, directory, log, gate } = visit();
    for round in 0..50 {
        let mut calls: Vec<_> = (0..20).map(|id| Box::pin(directory.slow(id).into_future())).collect();
        let mut given_up: Vec<_> = (20..30).map(|id| Box::pin(directory.slow(id).into_future())).collect();
        for call in calls.iter_mut().chain(&mut given_up) {
            assert!(futures::poll!(call).is_pending());
        }
        drop(given_up);
        let (results, ()) = tokio::join!(futures::future::join_all(calls), async {
            tokio::task::yield_now().await;
            gate.add_permits(1_000);
        });
        let results: Vec<u64> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, ids((0..20).map(|id| id * 10)), "round {round}");
        while gate.try_acquire().is_ok_and(|permit| {
            permit.forget();
            true
        }) {}
    }
    assert!(!log.take().is_empty());
    session.close().await;
}

#[test]
fn the_description_names_the_batch_method() {
    let method = |name: &str| DirectoryClient::descriptor().methods.iter().find(|method| method.name == name);
    let mut expected = MethodAttributes::NONE;
    expected.batch = Some("profiles");
    assert_eq!(method("profile").unwrap().attributes, expected);
    assert_eq!(method("profiles").unwrap().attributes.batch, None);
}

#[tokio::test]
async fn a_map_over_a_hundred_friends_is_one_message_each_way_and_one_call_of_the_batch_method() {
    let log = Log::default();
    let house = House { log: log.clone(), gate: Arc::new(Semaphore::new(0)) };
    let server = Server::builder().service(DirectoryServer::new(house)).bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(server.local_addr().unwrap()).await;
    let serving = tokio::spawn(server.serve());
    let client = Client::connect(&relay.url()).await.unwrap();
    let directory: DirectoryClient = client.service();
    // The hellos are exchanged; what is counted is the conversation.
    directory.plain(0).await.unwrap();
    log.take();
    relay.reset();

    let names = directory.friends(100).map(|id| directory.profile(id).name()).await.unwrap();
    assert_eq!((names.len(), names[99].as_str()), (100, "user 99"));
    assert_eq!(relay.messages(), (1, 1));
    let log = log.take();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("profiles [0, 1, 2,"), "{log:?}");

    // One that fails is told by its index, the others' calls are still one.
    let failed = directory.friends(103).map(|id| directory.profile(id).name()).await;
    let Err(CallError::Element { index, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(index, 100);
    serving.abort();
}
