//! Objects in bad hands: callbacks that never answer, calls that call back without end, references in a circle, values
//! that break while they are decoded or dropped, and many threads at once.

use std::{
    future::{IntoFuture, pending},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpc_core::{CallError, Limits, Refusal, Services, SessionHandle, driver::SessionConfig, memory, rpc};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::timeout;

/// Long enough for whatever ends at all.
const PATIENCE: Duration = Duration::from_secs(30);

#[rpc]
trait Desk {
    async fn ask(&self, clerk: ClerkClient, depth: u32) -> Result<u32, String>;
    async fn keep(&self, clerk: ClerkClient) -> PostClient;
    async fn post(&self) -> PostClient;
    async fn same(&self, clerk: ClerkClient) -> ClerkClient;
    async fn swap(&self, clerks: Vec<ClerkClient>, post: PostClient) -> (PostClient, Vec<ClerkClient>);
    async fn picky(&self, first: ClerkClient, picky: Picky, last: Vec<ClerkClient>) -> u32;
    async fn explosive(&self) -> PostClient;
    async fn number(&self) -> u32;
}

#[rpc]
trait Clerk {
    async fn answer(&self, desk: DeskClient, depth: u32) -> Result<u32, String>;
    async fn visit(&self, post: PostClient);
    async fn name(&self) -> String;
}

#[rpc]
trait Post {
    async fn number(&self) -> u32;
}

/// A value that no side can decode.
#[derive(Serialize)]
struct Picky(u32);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            // Layouts are traced with numbers like this one.
            0 => Ok(Self(0)),
            other => Err(serde::de::Error::custom(format!("{other} is not to its taste"))),
        }
    }
}

/// Counts what is alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Life(Arc<AtomicUsize>);

impl Alive {
    fn one(&self) -> Life {
        self.0.fetch_add(1, Ordering::SeqCst);
        Life(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Default)]
struct Office {
    alive: Alive,
    explosive: bool,
}

struct Counter {
    clerk: Option<ClerkClient>,
    explosive: bool,
    _life: Life,
}

impl Post for Counter {
    async fn number(&self) -> u32 {
        u32::from(self.clerk.is_some())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        assert!(!self.explosive, "dropped on purpose");
    }
}

impl Office {
    fn counter(&self, clerk: Option<ClerkClient>, explosive: bool) -> PostClient {
        PostClient::local(Counter { clerk, explosive, _life: self.alive.one() })
    }
}

impl Desk for Office {
    async fn ask(&self, clerk: ClerkClient, depth: u32) -> Result<u32, String> {
        let desk = DeskClient::local(self.clone());
        clerk.answer(desk, depth).await.map_err(|error| error.to_string())
    }

    async fn keep(&self, clerk: ClerkClient) -> PostClient {
        let post = self.counter(Some(clerk.clone()), false);
        clerk.visit(post.clone()).await.expect("the clerk is there");
        post
    }

    async fn post(&self) -> PostClient {
        self.counter(None, false)
    }

    async fn same(&self, clerk: ClerkClient) -> ClerkClient {
        clerk
    }

    async fn swap(&self, clerks: Vec<ClerkClient>, post: PostClient) -> (PostClient, Vec<ClerkClient>) {
        (post, clerks)
    }

    async fn picky(&self, _first: ClerkClient, picky: Picky, _last: Vec<ClerkClient>) -> u32 {
        picky.0
    }

    async fn explosive(&self) -> PostClient {
        self.counter(None, self.explosive)
    }

    async fn number(&self) -> u32 {
        7
    }
}

/// Answers as it is told to.
struct Person {
    answers: Answers,
    visited: Mutex<Option<PostClient>>,
    at_work: Alive,
    _life: Life,
}

enum Answers {
    Never,
    /// Asks the desk again, and says how deep that went.
    Again(Arc<Mutex<Option<ClerkClient>>>),
    Plainly,
}

impl Clerk for Person {
    async fn answer(&self, desk: DeskClient, depth: u32) -> Result<u32, String> {
        let _work = self.at_work.one();
        let me = match &self.answers {
            Answers::Never => pending().await,
            Answers::Plainly => None,
            Answers::Again(me) => me.lock().unwrap().clone(),
        };
        match me {
            Some(me) if depth > 0 => {
                let deeper = desk.ask(me, depth - 1).await.map_err(|error| error.to_string())?;
                Ok(deeper + 1)
            }
            _ => Ok(0),
        }
    }

    async fn visit(&self, post: PostClient) {
        self.visited.lock().unwrap().replace(post);
    }

    async fn name(&self) -> String {
        "Bob".into()
    }
}

/// A client of a new clerk, and counts of those alive and of handlers at work.
fn clerk(answers: Answers, alive: &Alive) -> (ClerkClient, Alive) {
    let at_work = Alive::default();
    let visited = Mutex::default();
    let person = Person { answers, visited, at_work: at_work.clone(), _life: alive.one() };
    (ClerkClient::local(person), at_work)
}

fn connect(office: &Office, limits: Limits) -> (SessionHandle, SessionHandle, DeskClient) {
    let services = Services::new().with(DeskServer::new(office.clone()));
    let server = SessionConfig { services, limits: limits.clone(), ..SessionConfig::default() };
    let client = SessionConfig { limits, ..SessionConfig::default() };
    let (client, server) = memory::connect_with(client, server);
    let desk = client.service();
    (client, server, desk)
}

/// Waits until it is so.
async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in the end {what}"));
}

async fn nothing_left(sessions: &[&SessionHandle]) {
    eventually("no references are left", async || {
        for session in sessions {
            let stats = session.stats().await;
            if (stats.exports, stats.imports) != (0, 0) {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_never_answers_stops_with_the_call_it_is_for() {
    let (alive, office) = (Alive::default(), Office::default());
    let (session, server, desk) = connect(&office, Limits::default());
    let (bob, at_work) = clerk(Answers::Never, &alive);
    let asking = desk.ask(&bob, 0);
    let mut asking = Box::pin(asking.into_future());
    assert!(futures::poll!(&mut asking).is_pending());
    eventually("the callback runs", async || at_work.count() == 1).await;
    // Others are answered, and so is another callback of the same object.
    assert_eq!(desk.number().await.unwrap(), 7);
    assert_eq!(desk.same(&bob).await.unwrap().name().await.unwrap(), "Bob");
    drop(asking);
    eventually("the callback has stopped", async || at_work.count() == 0).await;
    // A deadline ends it as well.
    let late = desk.deadline(Duration::from_millis(50)).ask(&bob, 0).await;
    assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
    eventually("the callback has stopped", async || at_work.count() == 0).await;
    nothing_left(&[&session, &server]).await;
    // It was called inside this process too, by a session that is closed when it goes.
    drop(bob);
    eventually("it is dropped", async || alive.count() == 0).await;
}

#[tokio::test]
async fn a_callback_that_never_answers_ends_with_the_session() {
    let (alive, office) = (Alive::default(), Office::default());
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let (session, _server, desk) = connect(&office, limits);
    let (bob, at_work) = clerk(Answers::Never, &alive);
    let asking = tokio::spawn(desk.ask(bob, 0).into_future());
    eventually("the callback runs", async || at_work.count() == 1).await;
    session.close().await;
    let ended = timeout(PATIENCE, asking).await.expect("it ends").unwrap();
    assert!(ended.is_err(), "{ended:?}");
    eventually("all are dropped", async || (at_work.count(), alive.count()) == (0, 0)).await;
}

#[tokio::test]
async fn calls_that_call_back_go_as_deep_as_the_limits() {
    let (alive, office) = (Alive::default(), Office::default());
    let limits = Limits { calls_max: 8, ..Limits::default() };
    let (session, server, desk) = connect(&office, limits);
    let me = Arc::<Mutex<Option<ClerkClient>>>::default();
    let (bob, at_work) = clerk(Answers::Again(Arc::clone(&me)), &alive);
    me.lock().unwrap().replace(bob.clone());
    let deep = timeout(PATIENCE, desk.ask(&bob, 5).into_future()).await.expect("it ends");
    assert_eq!(deep.unwrap(), 5);
    // Deeper than calls may be in flight, each waits for the one behind it; the deadline of the first ends them all.
    let late = desk.deadline(Duration::from_millis(200)).ask(&bob, 1_000_000).await;
    assert!(matches!(late, Err(CallError::DeadlineExceeded { .. })), "{late:?}");
    eventually("all have stopped", async || at_work.count() == 0).await;
    assert_eq!(desk.number().await.unwrap(), 7);
    me.lock().unwrap().take();
    drop(bob);
    nothing_left(&[&session, &server]).await;
    eventually("all are dropped", async || alive.count() == 0).await;
}

/// Whoever passes an object and keeps one that holds it makes a circle that no release opens: documented, bounded by
/// `exports_max`, and gone with the session.
#[tokio::test]
async fn references_in_a_circle_live_as_long_as_the_session() {
    let (alive, office) = (Alive::default(), Office::default());
    let (session, server, desk) = connect(&office, Limits::default());
    for _ in 0..3 {
        let (bob, _) = clerk(Answers::Plainly, &alive);
        let post = desk.keep(bob).await.unwrap();
        assert_eq!(post.number().await.unwrap(), 1);
    }
    // Each side holds the other's, though nobody else holds either.
    eventually("what the calls held is released", async || {
        let (near, far) = (session.stats().await, server.stats().await);
        (near.exports, near.imports, far.exports, far.imports) == (3, 3, 3, 3)
    })
    .await;
    assert_eq!((alive.count(), office.alive.count()), (3, 3));
    session.close().await;
    eventually("the circles are gone", async || (alive.count(), office.alive.count()) == (0, 0)).await;
}

#[tokio::test]
async fn arguments_that_cannot_be_decoded_give_back_what_they_name() {
    let (alive, office) = (Alive::default(), Office::default());
    let (session, server, desk) = connect(&office, Limits::default());
    let (bob, _) = clerk(Answers::Plainly, &alive);
    for _ in 0..3 {
        let refused = desk.picky(&bob, Picky(3), vec![bob.clone(), bob.clone()]).await;
        let Err(CallError::Refused { refusal: Refusal::InvalidArgument { argument, reason }, .. }) = refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!(argument, "picky");
        assert!(reason.contains("not to its taste"), "{reason}");
    }
    nothing_left(&[&session, &server]).await;
    drop(bob);
    assert_eq!(alive.count(), 0);
    assert_eq!(desk.number().await.unwrap(), 7);
}

#[tokio::test]
async fn an_object_that_panics_when_it_is_dropped_ends_nothing() {
    let office = Office { explosive: true, ..Office::default() };
    let (session, server, desk) = connect(&office, Limits::default());
    let post = desk.explosive().await.unwrap();
    assert_eq!(post.number().await.unwrap(), 0);
    drop(post);
    nothing_left(&[&session, &server]).await;
    assert_eq!(desk.number().await.unwrap(), 7);
    // Nor does it when the session lets go of it.
    let _post = desk.explosive().await.unwrap();
    session.close().await;
    eventually("they are dropped", async || office.alive.count() == 0).await;
}

#[tokio::test]
async fn an_object_of_a_session_that_is_over_is_unreachable_wherever_it_was_passed() {
    let (near, far) = (Office::default(), Office::default());
    let (near_session, near_server, near_desk) = connect(&near, Limits::default());
    let (far_session, _far_server, far_desk) = connect(&far, Limits::default());
    let (bob, _) = clerk(Answers::Plainly, &Alive::default());
    let post = far_desk.post().await.unwrap();
    let (post, _) = near_desk.swap(vec![bob], post).await.unwrap();
    far_session.close().await;
    let gone = timeout(PATIENCE, post.number().into_future()).await.expect("it is answered");
    assert!(gone.is_err(), "{gone:?}");
    eventually("it is dropped", async || far.alive.count() == 0).await;
    drop(post);
    nothing_left(&[&near_session, &near_server]).await;
    assert_eq!(near_desk.number().await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_that_many_threads_pass_and_drop_are_each_dropped_once() {
    let (alive, office) = (Alive::default(), Office::default());
    let (session, server, desk) = connect(&office, Limits::default());
    let (shared, _) = clerk(Answers::Plainly, &alive);
    let tasks = (0..6).map(|task| {
        let (desk, shared, alive) = (desk.clone(), shared.clone(), alive.clone());
        tokio::spawn(async move {
            for round in 0..60 {
                let (own, _) = clerk(Answers::Plainly, &alive);
                let post = desk.post();
                let swapped = desk.swap(vec![own.clone(), shared.clone(), own], (*post).clone());
                let same = desk.same(&shared);
                match (task + round) % 4 {
                    // Dropped at once, dropped in flight, awaited, and used before it is there.
                    0 => drop((swapped, same)),
                    1 => {
                        post.await.unwrap();
                        drop(swapped);
                        same.await.unwrap();
                    }
                    2 => {
                        let (post, clerks) = swapped.await.unwrap();
                        assert_eq!(clerks.len(), 3);
                        assert_eq!(post.number().await.unwrap(), 0);
                    }
                    _ => {
                        let name = same.name();
                        drop((swapped, same));
                        assert_eq!(name.await.unwrap(), "Bob");
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        timeout(PATIENCE, task).await.expect("it ends").unwrap();
    }
    nothing_left(&[&session, &server]).await;
    eventually("all others are dropped", async || (alive.count(), office.alive.count()) == (1, 0)).await;
    drop(shared);
    eventually("it is dropped", async || alive.count() == 0).await;
}
