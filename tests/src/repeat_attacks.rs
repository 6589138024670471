//! Calls that are made again in another session, by peers that lie about them, and clients whose servers lie about calls.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use rpc_client::{Client, ConnectionState, Reconnect};
use rpc_core::{Limits, Streaming, close_codes, rpc};
use rpc_server::{Principal, ResumeOptions, Server, ServerBuilder};
use tokio::sync::watch;

use crate::{
    attacks::{
        Healthy, eventually,
        stranger::{Batch, Call, PATIENCE, Reply, inline, result_of},
    },
    resume::until_next_session,
    resume_attacks::{
        tab::{Ledger, Tab},
        until_connections,
    },
    sockets::TestServer,
    support::{PeopleServer, Village, cutter::Cutter},
};

mod forger;
mod races;
mod references;

// ---- methods of each kind ----

#[rpc]
pub(crate) trait Chores {
    #[rpc(idempotent)]
    async fn plain(&self, number: u64) -> u64;
    #[rpc(idempotent, no_cancel)]
    async fn steady(&self, number: u64) -> u64;
    #[rpc(idempotent, blocking)]
    async fn blocked(&self, number: u64) -> u64;
    #[rpc(idempotent, batch = "ones")]
    async fn one(&self, number: u64) -> u64;
    async fn ones(&self, numbers: Vec<u64>) -> Vec<u64>;
    #[rpc(oneway)]
    async fn jot(&self, number: u64);
    #[rpc(idempotent)]
    async fn tool(&self, number: u64) -> ToolClient;
    /// A number of this peer's own.
    async fn pay(&self, number: u64) -> u64;
    async fn follow(&self, number: u64) -> Streaming<u64>;
    #[rpc(idempotent)]
    async fn look_on(&self, number: u64) -> Streaming<u64>;
    #[rpc(idempotent)]
    async fn upto(&self, end: u64) -> Vec<u64>;
}

#[rpc(ordered)]
pub(crate) trait Line {
    #[rpc(idempotent)]
    async fn step(&self, number: u64) -> u64;
}

#[rpc]
pub(crate) trait Tool {
    #[rpc(idempotent)]
    async fn turn(&self, number: u64) -> u64;
}

#[derive(Default, Clone, Copy)]
struct Runs {
    begun: usize,
    running: usize,
    /// The most that ran at once.
    most: usize,
}

/// Chores that wait for a gate, and are counted by their number.
#[derive(Clone, Default)]
pub(crate) struct Chores_ {
    gate: Arc<watch::Sender<bool>>,
    runs: Arc<Mutex<BTreeMap<u64, Runs>>>,
    tools: Arc<AtomicUsize>,
}

struct Running(Chores_, u64);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.runs.lock().unwrap().get_mut(&self.1).unwrap().running -= 1;
    }
}

impl Chores_ {
    fn begin(&self, number: u64) -> Running {
        let mut all = self.runs.lock().unwrap();
        let runs = all.entry(number).or_default();
        runs.begun += 1;
        runs.running += 1;
        runs.most = runs.most.max(runs.running);
        Running(self.clone(), number)
    }

    async fn run(&self, number: u64) -> u64 {
        let _running = self.begin(number);
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        number * 2
    }

    fn runs(&self, number: u64) -> Runs {
        self.runs.lock().unwrap().get(&number).copied().unwrap_or_default()
    }

    fn open(&self) {
        self.gate.send_replace(true);
    }
}

impl Chores for Chores_ {
    async fn plain(&self, number: u64) -> u64 {
        self.run(number).await
    }

    async fn steady(&self, number: u64) -> u64 {
        self.run(number).await
    }

    async fn blocked(&self, number: u64) -> u64 {
        self.run(number).await
    }

    async fn one(&self, number: u64) -> u64 {
        self.run(number).await
    }

    async fn ones(&self, numbers: Vec<u64>) -> Vec<u64> {
        let all = numbers.into_iter().map(|number| self.run(number));
        futures::future::join_all(all).await
    }

    async fn jot(&self, number: u64) {
        self.run(number).await;
    }

    async fn tool(&self, _number: u64) -> ToolClient {
        self.tools.fetch_add(1, Ordering::SeqCst);
        ToolClient::local(Tool_(self.clone()))
    }

    async fn pay(&self, number: u64) -> u64 {
        self.run(number).await
    }

    async fn follow(&self, number: u64) -> Streaming<u64> {
        self.run(number).await;
        Streaming::from_iter(0..)
    }

    async fn look_on(&self, number: u64) -> Streaming<u64> {
        self.run(number).await;
        Streaming::from_iter(0..)
    }

    async fn upto(&self, end: u64) -> Vec<u64> {
        (0..end).collect()
    }
}

impl Line for Chores_ {
    async fn step(&self, number: u64) -> u64 {
        self.run(number).await
    }
}

impl Tool for Chores_ {
    async fn turn(&self, number: u64) -> u64 {
        self.run(number).await
    }
}

/// A tool that the server counts.
struct Tool_(Chores_);

impl Drop for Tool_ {
    fn drop(&mut self) {
        self.0.tools.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Tool for Tool_ {
    async fn turn(&self, number: u64) -> u64 {
        self.0.run(number).await
    }
}

fn offering(chores: &Chores_) -> ServerBuilder {
    let resume = ResumeOptions { attaches_per_minute: u32::MAX, ..ResumeOptions::default() };
    Server::builder()
        .service(PeopleServer::new(Village::default()))
        .service(ChoresServer::new(chores.clone()))
        .service(LineServer::new(chores.clone()))
        .service(crate::resume_attacks::PostServer::new(crate::resume_attacks::Post_::default()))
        // The path of a connection is the name of its peer; `/` is nobody's.
        .authenticate(|peer| {
            Ok(match &*peer.target {
                "/" => Principal::Anonymous,
                name => Principal::named(name),
            })
        })
        .resume(resume)
}

/// A server whose gate is shut, or open.
async fn serve(is_open: bool) -> (Chores_, TestServer, Healthy) {
    let chores = Chores_::default();
    chores.gate.send_replace(is_open);
    let server = TestServer::start_with(offering(&chores)).await;
    let healthy = Healthy::beside(&server).await;
    (chores, server, healthy)
}

/// A call with the next id that claims to have been sent before.
fn again(tab: &mut Tab, method: &str, number: u8, before: &[([u8; 16], u64)]) -> Call {
    tab.next_call(method, &[inline(&[number])]).sent_before(before.iter().copied())
}

/// The reply to such a call.
async fn repeated(tab: &mut Tab, method: &str, number: u8, before: &[([u8; 16], u64)]) -> u8 {
    let call = again(tab, method, number, before);
    tab.send(Batch::default().call(&call)).await;
    tab.number(call.id).await
}

/// Has a session make a call, and leaves it with the result unread.
async fn left(server: &TestServer, chores: &Chores_, path: &str, session: u8, number: u8) -> (Ledger, u64) {
    let connections = server.handle.listen_stats().connections;
    let mut tab = Tab::open_as(server, path, Ledger::new(session)).await;
    let id = tab.call("plain", &[inline(&[number])]).await;
    eventually("it runs", || chores.runs(number.into()).begun == 1).await;
    let ledger = tab.leave();
    until_connections(server, connections).await;
    (ledger, id)
}

// ---- whose results they are ----

#[tokio::test]
async fn a_stranger_gets_no_result_and_ends_no_session_of_somebody_else() {
    let (chores, server, healthy) = serve(false).await;
    let mut attached = Tab::open_as(&server, "/ann", Ledger::new(1)).await;
    let attached_call = attached.call("plain", &[inline(&[10])]).await;
    let (waiting, waiting_call) = left(&server, &chores, "/ann", 2, 11).await;
    chores.open();
    eventually("both have run", || chores.runs(10).running + chores.runs(11).running == 0).await;
    let known = [([1; 16], attached_call), ([2; 16], waiting_call)];
    for (path, session) in [("/", 3), ("/bob", 4)] {
        let mut stranger = Tab::open_as(&server, path, Ledger::new(session)).await;
        for guess in 0..20 {
            let before = [(known[0].0, guess), (known[1].0, guess)];
            // Another number than the victim's, so that its result is told from the stranger's own.
            if guess > 0 {
                assert_eq!(repeated(&mut stranger, "plain", 50, &before).await, 100, "{path}");
            }
        }
    }
    assert_eq!(attached.double(4).await, 8, "the session with a socket goes on");
    let mut resumed = Tab::resume_as(&server, "/ann", &waiting, 9).await.expect("the waiting one as well");
    assert_eq!(resumed.number(waiting_call).await, 22);
    // Its own client gets the result.
    resumed.leave();
    let mut again = Tab::open_as(&server, "/ann", Ledger::new(5)).await;
    assert_eq!(repeated(&mut again, "plain", 50, &known[1..]).await, 22);
    assert_eq!(chores.runs(11).begun, 1);
    healthy.check().await;
}

/// Of anonymous peers, the id is the proof: whoever knows it is taken for the client of that session.
#[tokio::test]
async fn an_anonymous_session_is_ended_by_whoever_knows_its_id() {
    let (chores, server, healthy) = serve(true).await;
    let mut victim = Tab::open(&server, Ledger::new(1)).await;
    let call = victim.call("plain", &[inline(&[10])]).await;
    assert_eq!(victim.number(call).await, 20);
    let mut knowing = Tab::open(&server, Ledger::new(2)).await;
    assert_eq!(repeated(&mut knowing, "plain", 50, &[([1; 16], call)]).await, 20);
    assert_eq!(victim.close_code().await, close_codes::TAKEN_OVER);
    assert_eq!(chores.runs(50).begun, 0);
    // Results that were acknowledged are not told.
    let mut victim = Tab::open(&server, Ledger::new(3)).await;
    let call = victim.call("plain", &[inline(&[11])]).await;
    assert_eq!(victim.number(call).await, 22);
    victim.acknowledge().await;
    assert_eq!(victim.double(1).await, 2);
    assert_eq!(repeated(&mut knowing, "plain", 51, &[([3; 16], call)]).await, 102);
    healthy.check().await;
}

// ---- false claims ----

#[tokio::test]
async fn claims_about_nothing_run_the_call() {
    let (chores, server, healthy) = serve(true).await;
    let (ledger, call) = left(&server, &chores, "/ann", 1, 10).await;
    let mut tab = Tab::open_as(&server, "/ann", Ledger::new(2)).await;
    let claims: [Vec<([u8; 16], u64)>; 5] = [
        vec![([99; 16], 1)],
        vec![([99; 16], 1), ([99; 16], 1)],
        (100..116).map(|session| ([session; 16], 1)).collect(),
        vec![([99; 16], (1 << 53) - 1)],
        // Of a session that never made it.
        vec![(ledger.session, 4_711)],
    ];
    for (number, claim) in (20..).zip(&claims) {
        assert_eq!(repeated(&mut tab, "plain", number, claim).await, number * 2, "{claim:?}");
        assert_eq!(chores.runs(number.into()).begun, 1);
    }
    // The last claim has ended that session, which leaves its result; sixteen at once are looked at, and one twice.
    let mut many: Vec<_> = (100..114).map(|session| ([session; 16], 1)).collect();
    many.extend([(ledger.session, call), (ledger.session, call)]);
    assert_eq!(repeated(&mut tab, "plain", 60, &many).await, 20);
    // As often as it is asked for.
    for _ in 0..3 {
        assert_eq!(repeated(&mut tab, "plain", 61, &[(ledger.session, call)]).await, 20);
    }
    assert_eq!((chores.runs(60).begun, chores.runs(61).begun), (0, 0));
    healthy.check().await;
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_ends_its_own_session() {
    let (_, server, healthy) = serve(true).await;
    let claims: [Vec<([u8; 16], u64)>; 3] =
        [vec![([9; 16], 1); 17], vec![([9; 16], 0)], vec![([9; 16], 1 << 53)]];
    for (session, claim) in (1..).zip(claims) {
        let mut tab = Tab::open(&server, Ledger::new(session)).await;
        let call = again(&mut tab, "plain", 20, &claim);
        tab.send(Batch::default().call(&call)).await;
        assert_eq!(tab.close_code().await, close_codes::PROTOCOL, "{claim:?}");
    }
    healthy.check().await;
}

#[tokio::test]
async fn a_peer_that_names_its_own_session_gains_nothing() {
    let (chores, server, healthy) = serve(true).await;
    let mut tab = Tab::open(&server, Ledger::new(1)).await;
    let first = tab.call("plain", &[inline(&[10])]).await;
    assert_eq!(tab.number(first).await, 20);
    assert_eq!(repeated(&mut tab, "plain", 11, &[([1; 16], first)]).await, 22);
    assert_eq!(chores.runs(11).begun, 1);
    assert_eq!(tab.double(3).await, 6, "the session goes on");
    healthy.check().await;
}

#[tokio::test]
async fn sessions_that_name_each_other_harm_nobody_else() {
    let (_, server, healthy) = serve(true).await;
    for round in 0..20 {
        let mut one = Tab::open_as(&server, "/ann", Ledger::new(2 * round + 1)).await;
        let mut other = Tab::open_as(&server, "/ann", Ledger::new(2 * round + 2)).await;
        let (of_one, of_other) = (one.ledger.session, other.ledger.session);
        let (first, second) =
            (again(&mut one, "plain", 20, &[(of_other, 1)]), again(&mut other, "plain", 20, &[(of_one, 1)]));
        one.send(Batch::default().call(&first)).await;
        other.send(Batch::default().call(&second)).await;
        let ends = futures::join!(one.reply(first.id), other.reply(second.id));
        let is_end = |end: &Result<Reply, u16>| match end {
            Ok(reply) => *reply == Reply::Value(vec![40]),
            Err(code) => *code == close_codes::TAKEN_OVER,
        };
        assert!(is_end(&ends.0) && is_end(&ends.1), "{ends:?}");
        assert!(ends.0.is_err() || ends.1.is_err(), "one of them is over");
    }
    healthy.check().await;
}

// ---- each kind of call ----

/// The kinds of calls, and whether the first attempt is stopped before the next one begins.
const KINDS: [(&str, bool); 6] = [
    ("plain", true),
    ("one", true),
    ("turn", true),
    ("steady", false),
    // A thread cannot be stopped.
    ("blocked", false),
    // The first attempt is not looked for.
    ("step", false),
];

/// The next call of a method; of an object that is asked for before, if it is one of an object.
async fn kind(tab: &mut Tab, method: &str, number: u8) -> Call {
    if method != "turn" {
        return tab.next_call(method, &[inline(&[number])]);
    }
    let tool = tab.next_call("tool", &[inline(&[1])]).kept();
    tab.send(Batch::default().call(&tool)).await;
    tab.reply(tool.id).await.unwrap();
    Call { of_result: Some(tool.id), ..tab.next_call(method, &[inline(&[number])]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_attempt_that_runs_is_stopped_where_it_can_be() {
    for (session, (method, is_stopped)) in (1..).step_by(2).zip(KINDS) {
        let (chores, server, healthy) = serve(false).await;
        let mut tab = Tab::open_as(&server, "/ann", Ledger::new(session)).await;
        let first = kind(&mut tab, method, 7).await;
        tab.send(Batch::default().call(&first)).await;
        eventually("it runs", || chores.runs(7).running == 1).await;
        let ledger = tab.leave();
        until_connections(&server, 1).await;
        let mut tab = Tab::open_as(&server, "/ann", Ledger::new(session + 1)).await;
        let second = kind(&mut tab, method, 7).await.sent_before([(ledger.session, first.id)]);
        tab.send(Batch::default().call(&second)).await;
        eventually(&format!("{method} runs again"), || chores.runs(7).begun == 2).await;
        let most = if is_stopped { 1 } else { 2 };
        eventually(&format!("{most} of {method} run"), || chores.runs(7).running == most).await;
        assert_eq!(chores.runs(7).most, most, "{method}");
        chores.open();
        assert_eq!(tab.number(second.id).await, 14, "{method}");
        assert_eq!(chores.runs(7).begun, 2, "{method}");
        healthy.check().await;
    }
}

#[tokio::test]
async fn a_first_attempt_that_has_run_is_the_answer_to_each_kind_of_call() {
    for (session, (method, _)) in (1..).step_by(3).zip(KINDS) {
        let (chores, server, healthy) = serve(true).await;
        let mut tab = Tab::open_as(&server, "/ann", Ledger::new(session)).await;
        let first = kind(&mut tab, method, 7).await;
        tab.send(Batch::default().call(&first)).await;
        assert_eq!(tab.number(first.id).await, 14);
        let before = (tab.ledger.session, first.id);
        tab.leave();
        let mut tab = Tab::open_as(&server, "/ann", Ledger::new(session + 1)).await;
        let second = kind(&mut tab, method, 7).await.sent_before([before]);
        tab.send(Batch::default().call(&second)).await;
        assert_eq!(tab.number(second.id).await, 14, "{method}");
        // A repeat of a repeat, which names the last session alone.
        let last = (tab.ledger.session, second.id);
        tab.leave();
        let mut tab = Tab::open_as(&server, "/ann", Ledger::new(session + 2)).await;
        let third = kind(&mut tab, method, 7).await.sent_before([last]);
        tab.send(Batch::default().call(&third)).await;
        assert_eq!(tab.number(third.id).await, 14, "{method}");
        assert_eq!(chores.runs(7).begun, if method == "step" { 3 } else { 1 }, "{method}");
        healthy.check().await;
    }
}

#[tokio::test]
async fn a_oneway_call_that_has_run_does_not_run_again() {
    let (chores, server, healthy) = serve(true).await;
    let mut tab = Tab::open_as(&server, "/ann", Ledger::new(1)).await;
    let first = tab.next_call("jot", &[inline(&[7])]).oneway();
    tab.send(Batch::default().call(&first)).await;
    assert_eq!(tab.reply(first.id).await, Ok(Reply::Done));
    tab.leave();
    let mut tab = Tab::open_as(&server, "/ann", Ledger::new(2)).await;
    let second = tab.next_call("jot", &[inline(&[7])]).oneway().sent_before([([1; 16], first.id)]);
    tab.send(Batch::default().call(&second)).await;
    assert_eq!(tab.reply(second.id).await, Ok(Reply::Done));
    assert_eq!(chores.runs(7).begun, 1);
    healthy.check().await;
}

#[tokio::test]
async fn what_is_built_on_a_repeated_call_waits_for_it() {
    let (chores, server, healthy) = serve(true).await;
    let (ledger, call) = left(&server, &chores, "/ann", 1, 10).await;
    let mut tab = Tab::open_as(&server, "/ann", Ledger::new(2)).await;
    let base = again(&mut tab, "plain", 50, &[(ledger.session, call)]).kept();
    let on_it = tab.next_call("plain", &[result_of(base.id)]);
    // The built-in method that selects a value runs no handler; a claim changes nothing.
    let select = Call { method: 0, ..tab.next_call("plain", &[result_of(base.id)]) };
    let select = select.sent_before([(ledger.session, call)]);
    tab.send(Batch::default().call(&base).call(&on_it).call(&select)).await;
    assert_eq!(tab.number(base.id).await, 20);
    assert_eq!(tab.number(on_it.id).await, 40);
    assert_eq!(tab.number(select.id).await, 20);
    assert_eq!((chores.runs(50).begun, chores.runs(20).begun), (0, 1));
    healthy.check().await;
}

/// The first attempt is gone before the second begins, whatever threads they run on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_attempts_run_at_once() {
    let (chores, server, healthy) = serve(false).await;
    let connections = server.handle.listen_stats().connections;
    for round in 1..=60 {
        let number = u64::from(round);
        let mut before = Vec::new();
        for attempt in 0..4_u8 {
            let mut session = [round; 16];
            session[0] = attempt;
            let mut tab = Tab::open_as(&server, "/ann", Ledger { session, ..Ledger::new(1) }).await;
            let call = again(&mut tab, "plain", round, &before);
            tab.send(Batch::default().call(&call)).await;
            let begun = usize::from(attempt) + 1;
            eventually("it runs", || chores.runs(number).begun == begun).await;
            before.push((session, call.id));
        }
        assert_eq!(chores.runs(number).most, 1, "round {round}");
        until_connections(&server, connections).await;
    }
    healthy.check().await;
}

// ---- what lost sessions leave ----

#[tokio::test]
async fn lost_sessions_leave_their_results_within_the_bounds_and_for_a_while() {
    const SESSIONS: u16 = 400;
    let chores = Chores_::default();
    chores.open();
    let window = Duration::from_millis(400);
    let resume = ResumeOptions {
        window,
        detached_max: 50,
        peer_detached_max: usize::MAX,
        attaches_per_minute: u32::MAX,
        ..ResumeOptions::default()
    };
    let server = TestServer::start_with(offering(&chores).resume(resume)).await;
    let healthy = Healthy::beside(&server).await;
    let session = |number: u16| {
        let mut session = [0xaa; 16];
        session[..2].copy_from_slice(&number.to_le_bytes());
        session
    };
    let mut calls = Vec::new();
    for number in 0..SESSIONS {
        let ledger = Ledger { session: session(number), ..Ledger::new(1) };
        let mut tab = Tab::open_as(&server, "/ann", ledger).await;
        let id = tab.call("plain", &[inline(&[7])]).await;
        assert_eq!(tab.number(id).await, 14);
        calls.push((session(number), id));
        tab.leave();
    }
    let mut tab = Tab::open_as(&server, "/ann", Ledger::new(250)).await;
    let mut recalled = 0;
    for call in &calls {
        recalled += usize::from(repeated(&mut tab, "plain", 8, &[*call]).await == 14);
    }
    // Sessions that waited for their clients, and others that waited no more.
    assert!((1..=100).contains(&recalled), "{recalled}");
    let forgotten = async {
        while repeated(&mut tab, "plain", 8, &[*calls.last().unwrap()]).await == 14 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten).await.expect("it is forgotten when the window is over");
    healthy.check().await;
}

/// A client whose session is lost as soon as its socket is.
async fn connect_forgetful(url: &str, close_timeout: Duration) -> Client {
    let delay = Duration::from_millis(2);
    let policy = Reconnect { delay, delay_max: delay, window: Duration::ZERO, ..Reconnect::default() };
    let limits = Limits { close_timeout, ..Limits::default() };
    Client::builder().reconnect(policy).limits(limits).connect(url).await.unwrap()
}

/// Cuts the client's connection, and waits until its next session has a socket.
async fn lose_session(client: &Client, cutter: &Cutter) {
    let states = client.states();
    cutter.cut();
    until_next_session(states).await;
}
