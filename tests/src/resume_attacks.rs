//! Strangers that break the rules of sessions that go on, on real sockets, each beside a healthy client whose calls go on.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::join_all};
use rpc_core::{Limits, MemoryBudget, Streaming, close_codes, rpc};
use rpc_server::{Principal, ResumeOptions, Server, ServerBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

use self::tab::{Ledger, Resume, Tab, ack, joined, ping, skip};
use crate::{
    attacks::{
        Healthy, MIB, eventually,
        stranger::{Batch, Call, DEADLINE_EXCEEDED, PATIENCE, RawSocket, Reply, frame_header, inline},
    },
    resume::{Works_, WorksClient, connect, offering, until_resumed},
    sockets::TestServer,
    support::{PeopleServer, Village, cutter::Cutter},
};

pub(crate) mod tab;

// ---- what is attacked ----

#[rpc]
pub(crate) trait Post {
    async fn double(&self, number: u64) -> u64;
    /// Doubles a number when the gate is open.
    async fn later(&self, number: u64) -> u64;
    async fn stay(&self);
    /// An object that the server keeps.
    async fn lend(&self) -> ThingClient;
    /// A number of KiB.
    async fn load(&self, kib: u64) -> Bytes;
    /// KiB without end.
    async fn pour(&self) -> Streaming<Bytes>;
}

#[rpc]
pub(crate) trait Thing {
    async fn touch(&self);
}

struct Thing_;

impl Thing for Thing_ {
    async fn touch(&self) {}
}

#[derive(Clone, Default)]
pub(crate) struct Post_ {
    /// The numbers that `double` and `later` were asked for.
    asked: Arc<Mutex<Vec<u64>>>,
    gate: Arc<watch::Sender<bool>>,
    /// Handlers of `stay` and producers of `pour` at work.
    open: Arc<AtomicUsize>,
    lent: Arc<Mutex<Option<ThingClient>>>,
}

struct Open(Arc<AtomicUsize>);

impl Open {
    fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Post_ {
    fn times_asked(&self, number: u64) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == number).count()
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Post for Post_ {
    async fn double(&self, number: u64) -> u64 {
        self.asked.lock().unwrap().push(number);
        number * 2
    }

    async fn later(&self, number: u64) -> u64 {
        self.asked.lock().unwrap().push(number);
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        number * 2
    }

    async fn stay(&self) {
        let _open = Open::one(&self.open);
        pending().await
    }

    async fn lend(&self) -> ThingClient {
        let thing = ThingClient::local(Thing_);
        *self.lent.lock().unwrap() = Some(thing.clone());
        thing
    }

    async fn load(&self, kib: u64) -> Bytes {
        vec![7; kib as usize * 1024].into()
    }

    async fn pour(&self) -> Streaming<Bytes> {
        let open = Open::one(&self.open);
        Streaming::from_iter(std::iter::repeat_with(move || {
            let _ = &open;
            Bytes::from_static(&[7; 1024])
        }))
    }
}

/// The path of a connection is the name of its peer; `/` is nobody's.
fn offering_post(post: &Post_) -> ServerBuilder {
    Server::builder()
        .service(PeopleServer::new(Village::default()))
        .service(PostServer::new(post.clone()))
        .authenticate(|peer| {
            Ok(match &*peer.target {
                "/" => Principal::Anonymous,
                name => Principal::named(name),
            })
        })
        .resume(unhurried())
}

/// Without a bound of the new sockets of a session.
fn unhurried() -> ResumeOptions {
    ResumeOptions { attaches_per_minute: u32::MAX, ..ResumeOptions::default() }
}

async fn serve(post: &Post_) -> TestServer {
    TestServer::start_with(offering_post(post)).await
}

/// That the session of this ledger is over.
async fn check_over(server: &TestServer, ledger: &Ledger, what: &str) {
    let hello = ledger.hello_again(0xee, ledger.resume());
    assert_eq!(Tab::code_for(server, hello).await, close_codes::UNKNOWN_SESSION, "{what}");
}

/// Waits until the server has so many connections.
pub(crate) async fn until_connections(server: &TestServer, count: usize) {
    let holds = || server.handle.listen_stats().connections == count;
    eventually(&format!("there are {count} connections"), holds).await;
}

// ---- secrets ----

#[tokio::test]
async fn an_old_secret_counts_until_the_next_one_is_confirmed() {
    let server = serve(&Post_::default()).await;
    let healthy = Healthy::beside(&server).await;
    let first = Tab::open(&server, Ledger::new(1)).await.leave();
    // Two welcomes are lost, and the client knows of none.
    let lost = Tab::resume(&server, &first, 11).await.unwrap().leave();
    Tab::resume(&server, &first, 12).await.unwrap().leave();
    check_over(&server, &lost, "a secret whose place another has taken").await;
    let mut tab = Tab::resume(&server, &first, 13).await.unwrap();
    // An acknowledgement, and a call behind it whose reply shows that it was taken.
    tab.acknowledge().await;
    assert_eq!(tab.double(2).await, 4);
    for replayed in [&first, &lost] {
        let hello = replayed.hello_again(14, tab.ledger.resume());
        assert_eq!(Tab::code_for(&server, hello).await, close_codes::UNKNOWN_SESSION);
    }
    assert_eq!(tab.double(3).await, 6, "on the same socket");
    let ledger = tab.leave();
    let mut tab = Tab::resume(&server, &ledger, 15).await.unwrap();
    assert_eq!(tab.double(4).await, 8);
    healthy.check().await;
}

#[tokio::test]
async fn a_stolen_id_alone_opens_nothing() {
    let server = serve(&Post_::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut victim = Tab::open(&server, Ledger::new(1)).await;
    for secret in [[0; 32], [2; 32], {
        let mut near = [1; 32];
        near[31] = 0;
        near
    }] {
        let thief = Ledger { secret, ..victim.ledger.clone() };
        check_over(&server, &thief, "a wrong secret").await;
        assert_eq!(victim.double(5).await, 10, "on the same socket");
    }
    // Nor does the right secret, if somebody else shows it.
    let mut other = Tab::dial(&server, "/eve", victim.ledger.clone()).await;
    other.send_beside(victim.ledger.hello_again(3, victim.ledger.resume())).await;
    assert_eq!(other.close_code().await, close_codes::UNKNOWN_SESSION);
    assert_eq!(victim.double(6).await, 12);
    // What was tried changed neither the secret nor the session.
    let ledger = victim.leave();
    assert_eq!(Tab::resume(&server, &ledger, 4).await.unwrap().double(7).await, 14);
    healthy.check().await;
}

// ---- forgeries ----

/// Messages that end the session of whoever sends them on its socket.
fn forgeries(tab: &mut Tab) -> Vec<(&'static str, Batch)> {
    let (accepted, sent) = (tab.ledger.accepted, tab.ledger.messages());
    let call = tab.next_call("double", &[inline(&[90])]);
    let call = Batch::default().call(&call);
    let again = tab.ledger.hello_again(2, tab.ledger.resume());
    vec![
        ("an acknowledgement of what was not sent", ack(accepted + 1)),
        ("an acknowledgement of everything", ack(u64::MAX)),
        ("a backward acknowledgement", joined(ack(accepted), &ack(accepted - 1))),
        ("a backward skip", skip(sent - 1)),
        ("a skip of what was not sent", skip(sent + 1)),
        ("a skip of everything", skip(u64::MAX)),
        ("an acknowledgement behind a call", joined(call.clone(), &ack(accepted))),
        ("a ping behind a call", joined(call.clone(), &ping())),
        ("a skip behind a call", joined(call.clone(), &skip(sent + 1))),
        ("a hello behind a call", joined(call, &tab.ledger.hello())),
        ("a second hello", tab.ledger.hello()),
        ("a second hello that resumes", again),
        ("a welcome", Batch(b"\x02\x01\x01\x01\x00\x01\x01\x01\x01\x01\x00".to_vec())),
    ]
}

#[tokio::test]
async fn forged_frames_about_the_socket_end_their_own_session() {
    let server = serve(&Post_::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut neighbour = Tab::open(&server, Ledger::new(255)).await;
    let count = forgeries(&mut Tab::open(&server, Ledger::new(254)).await).len();
    for at in 0..count {
        let mut tab = Tab::open(&server, Ledger::new(at as u8 + 1)).await;
        let (what, forged) = forgeries(&mut tab).swap_remove(at);
        tab.send_beside(forged).await;
        assert_eq!(tab.close_code().await, close_codes::PROTOCOL, "{what}");
        check_over(&server, &tab.leave(), what).await;
        assert_eq!(neighbour.double(8).await, 16, "{what}");
    }
    healthy.check().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_where_resume_was_not_agreed() {
    let post = Post_::default();
    let off = TestServer::start_with(offering_post(&post).resume(ResumeOptions::off())).await;
    let server = serve(&post).await;
    let healthy = Healthy::beside(&server).await;
    let plain = Ledger { features: 0, ..Ledger::new(1) };
    for (server, ledger) in [(&server, plain), (&off, Ledger::new(1))] {
        for count in [0, 1] {
            let mut tab = Tab::open(server, ledger.clone()).await;
            tab.send_beside(ack(count)).await;
            assert_eq!(tab.close_code().await, close_codes::PROTOCOL, "{count}");
        }
        // The session ends with its socket.
        let left = Tab::open(server, ledger).await.leave();
        let left = Ledger { features: 1, ..left };
        check_over(server, &left, "a session that cannot go on").await;
    }
    healthy.check().await;
}

#[tokio::test]
async fn forged_resumes_end_the_session_that_they_prove_to_own() {
    let server = serve(&Post_::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut neighbour = Tab::open(&server, Ledger::new(255)).await;
    // Made of the truth.
    type Forge = fn(Resume) -> Resume;
    let forgeries: [(&str, Forge); 6] = [
        ("accepted what was not sent", |true_| Resume { accepted: true_.accepted + 2, ..true_ }),
        ("accepted everything", |true_| Resume { accepted: u64::MAX, ..true_ }),
        ("accepted less than was acknowledged", |true_| Resume { accepted: true_.accepted - 1, ..true_ }),
        ("accepted nothing", |true_| Resume { accepted: 0, ..true_ }),
        ("a gap", |true_| Resume { first: true_.fresh + 1, fresh: true_.fresh + 1, ..true_ }),
        ("a gap without end", |true_| Resume { first: u64::MAX, fresh: u64::MAX, ..true_ }),
    ];
    for (number, (what, forge)) in (1..).zip(forgeries) {
        let mut tab = Tab::open(&server, Ledger::new(number)).await;
        let acknowledged = tab.ledger.accepted;
        assert_eq!(tab.double(9).await, 18);
        // The reply to a call behind the acknowledgement shows that it was taken; the truth is one message more.
        tab.acknowledge().await;
        assert_eq!(tab.double(10).await, 20);
        let ledger = Ledger { accepted: acknowledged + 1, ..tab.leave() };
        let hello = ledger.hello_again(77, forge(ledger.resume()));
        assert_eq!(Tab::code_for(&server, hello).await, close_codes::PROTOCOL, "{what}");
        check_over(&server, &ledger, what).await;
        assert_eq!(neighbour.double(8).await, 16, "{what}");
    }
    healthy.check().await;
}

#[tokio::test]
async fn hellos_that_prove_nothing_leave_the_session_alone() {
    let server = serve(&Post_::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut victim = Tab::open(&server, Ledger::new(1)).await;
    let ledger = victim.ledger.clone();
    let resume = ledger.resume();
    let unordered = Resume { first: resume.fresh + 1, ..resume };
    let mut unknown_attach = ledger.hello();
    unknown_attach.0[4 + 3 + 16 + 32 + 1] = 2;
    let mut cut_short = ledger.hello_again(2, resume);
    cut_short.0.truncate(100);
    let padding = Batch::default().padding(3);
    let hellos = [
        ("an unknown id", Ledger::new(9).hello_again(2, resume), close_codes::UNKNOWN_SESSION),
        ("an id that is taken", ledger.hello(), close_codes::UNKNOWN_SESSION),
        (
            "no resume feature",
            Ledger { features: 0, ..ledger.clone() }.hello_again(2, resume),
            close_codes::UNKNOWN_SESSION,
        ),
        ("more first than fresh", ledger.hello_again(2, unordered), close_codes::PROTOCOL),
        ("an attach that nobody knows", unknown_attach, close_codes::PROTOCOL),
        ("half a hello", cut_short, close_codes::PROTOCOL),
        ("no hello", ack(1), close_codes::PROTOCOL),
        ("a frame before the hello", joined(padding, &Ledger::new(8).hello()), close_codes::PROTOCOL),
    ];
    for (what, hello, code) in hellos {
        assert_eq!(Tab::code_for(&server, hello).await, code, "{what}");
        assert_eq!(victim.double(5).await, 10, "{what}");
    }
    assert_eq!(Tab::resume(&server, &victim.leave(), 2).await.unwrap().double(6).await, 12);
    healthy.check().await;
}

#[tokio::test]
async fn a_socket_that_was_away_for_ever_only_misses_its_deadlines() {
    let post = Post_::default();
    let server = serve(&post).await;
    let healthy = Healthy::beside(&server).await;
    let mut tab = Tab::open(&server, Ledger::new(1)).await;
    tab.acknowledge().await;
    let late = Call { deadline_us: Some(60_000_000), ..tab.next_call("double", &[inline(&[30])]) };
    let timeless = tab.next_call("double", &[inline(&[31])]);
    let ledger = tab.leave();
    let away = Resume { first: ledger.messages(), fresh: u64::MAX, detached_us: u64::MAX, ..ledger.resume() };
    let mut tab = Tab::dial(&server, "/", ledger.clone()).await;
    tab.send_beside(ledger.hello_again(2, away)).await;
    tab.send(Batch::default().call(&late).call(&timeless)).await;
    assert!(matches!(tab.reply(late.id).await, Ok(Reply::Failed { code: DEADLINE_EXCEEDED, .. })));
    assert_eq!(tab.number(timeless.id).await, 62);
    assert_eq!(post.times_asked(30), 0);
    healthy.check().await;
}

// ---- peers that keep memory ----

/// Sessions whose peers acknowledge nothing are given up as sockets, and go on where they stopped.
#[tokio::test]
async fn a_peer_that_acknowledges_nothing_loses_its_socket_and_not_its_session() {
    let post = Post_::default();
    let limits =
        Limits { replay_bytes_max: 64 << 10, write_stall: Duration::from_millis(50), ..Limits::default() };
    let server = TestServer::start_with(offering_post(&post).limits(limits)).await;
    let healthy = Healthy::beside(&server).await;
    let mut tab = Tab::open(&server, Ledger::new(1)).await;
    let pour = tab.call("pour", &[]).await;
    tab.reply(pour).await.unwrap();
    assert_eq!(tab.close_code().await, 0, "nobody says goodbye");
    let before = tab.ledger.item_bytes;
    assert!((32 << 10..=200 << 10).contains(&before), "{before} bytes came without an acknowledgement");
    // It acknowledges nothing of what is sent again either: the server does not wait for longer.
    let forgetful = Ledger { accepted: 1, ..tab.ledger.clone() };
    let mut again = Tab::resume(&server, &forgetful, 2).await.unwrap();
    assert_eq!(again.close_code().await, 0);
    assert_eq!(again.ledger.item_bytes, 2 * before, "the same messages, and no more");
    // A client that has accepted them goes on behind them.
    let ledger = Ledger { secret: [2; 32], ..tab.leave() };
    let mut tab = Tab::resume(&server, &ledger, 3).await.unwrap();
    while tab.ledger.item_bytes < 4 * before {
        tab.read().await.expect("a client that acknowledges keeps its socket");
        tab.acknowledge().await;
    }
    healthy.check().await;
}

#[tokio::test]
async fn memory_of_peers_that_acknowledge_nothing_is_bounded_and_comes_back() {
    const TABS: u8 = 8;
    let (post, budget) = (Post_::default(), MemoryBudget::new(64 * MIB));
    let limits =
        Limits { replay_bytes_max: 64 << 10, write_stall: Duration::from_millis(50), ..Limits::default() };
    let window = Duration::from_millis(50);
    let resume = ResumeOptions { window, ..unhurried() };
    let builder = offering_post(&post).limits(limits).resume(resume).memory_budget(budget.clone());
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let before = budget.used();
    let greedy = join_all((1..=TABS).map(async |number| {
        let mut tab = Tab::open(&server, Ledger::new(number)).await;
        tab.call("pour", &[]).await;
        let mut most = 0;
        while tab.read().await.is_ok() {
            // Credit without end.
            tab.send(Batch(b"\x17\x01\x80\x80\x40".to_vec())).await;
            most = budget.used().max(most);
        }
        most
    }));
    let greedy = timeout(PATIENCE, greedy).await.expect("the server gives their sockets up");
    let most = greedy.into_iter().max().unwrap();
    let each = most / usize::from(TABS);
    assert!(each > 64 << 10, "{each} bytes of a session are charged");
    assert!(each <= 512 << 10, "{each} bytes of a session are kept, though its window is 64 KiB");
    eventually("the sessions are over", || post.open() == 0).await;
    eventually("their memory is back", || budget.used() == before).await;
    healthy.check().await;
}

#[tokio::test]
async fn a_client_that_never_comes_back_leaves_nothing_behind() {
    let (post, budget) = (Post_::default(), MemoryBudget::new(64 * MIB));
    let resume = ResumeOptions { window: Duration::from_millis(50), ..unhurried() };
    let builder = offering_post(&post).resume(resume).memory_budget(budget.clone());
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let mut tab = Tab::open(&server, Ledger::new(1)).await;
    let stay = tab.call("stay", &[]).await;
    let lend = tab.call("lend", &[]).await;
    let kept = tab.next_call("load", &[inline(&[64])]).kept();
    tab.send(Batch::default().call(&kept)).await;
    tab.reply(lend).await.unwrap();
    tab.reply(kept.id).await.unwrap();
    eventually("the handler waits", || post.open() == 1).await;
    let lent = post.lent.lock().unwrap().clone().unwrap();
    assert!(lent.released().now_or_never().is_none(), "the client holds the object of call {lend}");
    assert!(budget.used() > 0, "the result of call {} is kept", kept.id);
    let ledger = tab.leave();
    timeout(PATIENCE, lent.released()).await.expect("the object is released");
    eventually("the handler is dropped", || post.open() == 0).await;
    eventually("the memory is back", || budget.used() == 0).await;
    check_over(&server, &ledger, &format!("the session of call {stay}")).await;
    healthy.check().await;
}

/// Opens sessions and leaves them, one after the other.
async fn open_and_leave(server: &TestServer, path: &str, numbers: [u8; 3]) -> [Ledger; 3] {
    let mut left = Vec::new();
    for number in numbers {
        let connections = server.handle.listen_stats().connections;
        let mut tab = Tab::open_as(server, path, Ledger::new(number)).await;
        let load = tab.call("load", &[inline(&[60])]).await;
        tab.reply(load).await.unwrap();
        left.push(tab.leave());
        until_connections(server, connections).await;
        // The server counts the session as it drops the socket; another round trip makes that certain.
        assert_eq!(Tab::open(server, Ledger::new(200 + number)).await.double(1).await, 2);
        until_connections(server, connections).await;
    }
    left.try_into().unwrap_or_else(|_| panic!("there are three"))
}

#[tokio::test]
async fn a_peer_keeps_only_its_last_sessions_without_a_socket() {
    let post = Post_::default();
    let builder = offering_post(&post).resume(ResumeOptions { peer_detached_max: 2, ..unhurried() });
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let of_bob = open_and_leave(&server, "/bob", [1, 2, 3]).await;
    let of_ann = open_and_leave(&server, "/ann", [4, 5, 6]).await;
    for (path, [oldest, others @ ..]) in [("/ann", of_ann), ("/bob", of_bob)] {
        let refused = Tab::resume_as(&server, path, &oldest, 7).await;
        assert_eq!(refused.err(), Some(close_codes::UNKNOWN_SESSION), "{path}");
        for other in others {
            assert_eq!(Tab::resume_as(&server, path, &other, 7).await.unwrap().double(5).await, 10, "{path}");
        }
    }
    healthy.check().await;
}

#[tokio::test]
async fn all_sessions_without_a_socket_keep_only_so_many_bytes() {
    let post = Post_::default();
    let resume = ResumeOptions { detached_bytes_max: 150 << 10, ..unhurried() };
    let server = TestServer::start_with(offering_post(&post).resume(resume)).await;
    let healthy = Healthy::beside(&server).await;
    let [oldest, others @ ..] = open_and_leave(&server, "/", [1, 2, 3]).await;
    check_over(&server, &oldest, "the oldest").await;
    for other in others {
        assert_eq!(Tab::resume(&server, &other, 7).await.unwrap().double(5).await, 10);
    }
    healthy.check().await;
}

/// One session goes on just as another one takes its place among those that wait: it goes on, or is not known any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_has_gone_on_is_not_given_up() {
    let post = Post_::default();
    let builder = offering_post(&post).resume(ResumeOptions { peer_detached_max: 1, ..unhurried() });
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let mut resumed = 0;
    for round in 0..100 {
        let waiting = Tab::open_as(&server, "/ann", Ledger::new(round)).await.leave();
        until_connections(&server, 1).await;
        let leaving = Tab::open_as(&server, "/ann", Ledger::new(100 + round)).await;
        let resuming = Tab::dial(&server, "/ann", waiting.clone()).await;
        let resume = tokio::spawn(resuming.go_on(waiting, 2));
        drop(leaving);
        if let Ok(mut tab) = resume.await.unwrap() {
            resumed += 1;
            assert_eq!(tab.double(5).await, 10, "round {round}");
            tab.send_beside(Batch::default().goodbye()).await;
            tab.close_code().await;
        }
        until_connections(&server, 1).await;
    }
    assert!(resumed > 0);
    healthy.check().await;
}

// ---- one session, several sockets ----

#[tokio::test]
async fn two_tabs_take_a_session_from_each_other_ten_times() {
    let builder = offering_post(&Post_::default())
        .resume(ResumeOptions { attaches_per_minute: 0, ..ResumeOptions::default() });
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let mut holder = Tab::open(&server, Ledger::new(1)).await;
    for swap in 0..10 {
        // The other tab knows all that the holder knows.
        let other = holder.ledger.clone();
        let taken = Tab::resume(&server, &other, 2 + swap).await;
        let taken = taken.unwrap_or_else(|code| panic!("swap {swap} is refused with {code}"));
        assert_eq!(holder.close_code().await, close_codes::TAKEN_OVER, "{swap}");
        holder = taken;
        assert_eq!(holder.double(swap).await, swap * 2);
    }
    for _ in 0..3 {
        let refused = Tab::resume(&server, &holder.ledger.clone(), 99).await;
        assert_eq!(refused.err(), Some(close_codes::TOO_OFTEN));
        assert_eq!(holder.double(20).await, 40, "on the same socket");
    }
    healthy.check().await;
}

#[tokio::test]
async fn a_socket_that_seems_alive_gives_way_and_its_late_bytes_mean_nothing() {
    let post = Post_::default();
    let server = serve(&post).await;
    let healthy = Healthy::beside(&server).await;
    let mut old = Tab::open(&server, Ledger::new(1)).await;
    let later = old.call("later", &[inline(&[40])]).await;
    // The result leaves for the old socket, and is not read there.
    let unread = old.call("double", &[inline(&[41])]).await;
    eventually("both calls run", || post.times_asked(40) + post.times_asked(41) == 2).await;
    let mut new = Tab::resume(&server, &old.ledger.clone(), 2).await.unwrap();
    let late = Batch::default().call(&old.next_call("double", &[inline(&[42])]));
    for _ in 0..3 {
        // The server may have hung up.
        let _ = futures::SinkExt::send(
            &mut old.socket,
            tokio_tungstenite::tungstenite::Message::binary(joined(ack(0), &late).0),
        )
        .await;
        assert_eq!(new.double(43).await, 86);
    }
    assert_eq!(new.number(unread).await, 82, "it is sent again");
    assert_eq!(old.close_code().await, close_codes::TAKEN_OVER);
    post.gate.send_replace(true);
    assert_eq!(new.number(later).await, 80);
    assert_eq!((post.times_asked(40), post.times_asked(41), post.times_asked(42)), (1, 1, 0));
    healthy.check().await;
}

#[tokio::test]
async fn a_resume_that_is_cut_at_every_byte_succeeds_at_last() {
    let post = Post_::default();
    let server = serve(&post).await;
    let healthy = Healthy::beside(&server).await;
    let mut tab = Tab::open(&server, Ledger::new(1)).await;
    let later = tab.call("later", &[inline(&[50])]).await;
    let unread = tab.call("double", &[inline(&[51])]).await;
    eventually("both calls run", || post.times_asked(50) + post.times_asked(51) == 2).await;
    let ledger = tab.leave();
    let again = |next_secret: u8| {
        let hello = ledger.hello_again(next_secret, ledger.resume());
        let mut bytes = frame_header(0x82, hello.0.len() as u64);
        bytes.extend(hello.0);
        bytes
    };
    let whole = again(0).len();
    for cut in 0..whole {
        let mut socket = RawSocket::connect(&server).await;
        socket.stream.write_all(&again(0)[..cut]).await.unwrap();
    }
    let (mut cut, mut welcome) = (0, usize::MAX);
    while cut < welcome {
        let mut socket = RawSocket::connect(&server).await;
        socket.stream.write_all(&again(cut as u8)).await.unwrap();
        let mut read = vec![0; cut];
        timeout(PATIENCE, socket.stream.read_exact(&mut read)).await.unwrap().unwrap();
        if let [0x82, length, ..] = read[..] {
            assert!(length < 126);
            welcome = 2 + usize::from(length);
        }
        cut += 1;
    }
    let mut tab = Tab::resume(&server, &ledger, 3).await.unwrap();
    assert_eq!(tab.number(unread).await, 102);
    post.gate.send_replace(true);
    assert_eq!(tab.number(later).await, 100);
    assert_eq!((post.times_asked(50), post.times_asked(51)), (1, 1));
    healthy.check().await;
}

/// The same with a real client, whose next connection is cut after so many bytes, handshake included.
#[tokio::test]
async fn a_client_whose_reconnects_are_cut_at_every_byte_loses_nothing() {
    let works = Works_::default();
    let builder = offering(&works).service(PeopleServer::new(Village::default()));
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    assert_eq!(stub.double(1).await.unwrap(), 2);
    let later = tokio::spawn(stub.later(2).into_future());
    eventually("the call runs", || works.runs_of(2) == 1).await;
    let mut cuts_of_connections = 0;
    // A call alone, and its result, take less than a hundred bytes; requests, responses, hellos and welcomes the others.
    for bytes in (0..800).step_by(3) {
        let before = cutter.cuts();
        cutter.cut_after(bytes);
        cutter.cut();
        let number = 1_000 + bytes;
        let doubled = timeout(PATIENCE, stub.double(number)).await.unwrap();
        assert_eq!(doubled.unwrap(), number * 2, "{bytes}");
        assert_eq!(works.runs_of(number), 1, "{bytes}");
        cuts_of_connections += cutter.cuts() - before - 1;
    }
    assert!(cuts_of_connections > 100, "{cuts_of_connections}");
    works.open();
    assert_eq!(timeout(PATIENCE, later).await.unwrap().unwrap().unwrap(), 4);
    assert_eq!(works.runs_of(2), 1);
    healthy.check().await;
}

#[tokio::test]
async fn an_idempotent_call_runs_once_where_its_session_goes_on() {
    let works = Works_::default();
    let builder = offering(&works).service(PeopleServer::new(Village::default()));
    let server = TestServer::start_with(builder).await;
    let healthy = Healthy::beside(&server).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let stub: WorksClient = client.service();
    let call = tokio::spawn(stub.look_later(21).into_future());
    eventually("the call runs", || works.runs_of(21) == 1).await;
    cutter.cut();
    until_resumed(&client).await;
    works.open();
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap(), 42);
    assert_eq!(works.runs_of(21), 1);
    healthy.check().await;
}

/// The server reads the hello and the end of its socket at once.
#[tokio::test]
async fn a_session_whose_first_socket_ends_at_once_goes_on() {
    let post = Post_::default();
    let server = serve(&post).await;
    let healthy = Healthy::beside(&server).await;
    let mut tab = Tab::dial(&server, "/", Ledger::new(1)).await;
    let ledger = tab.ledger.clone();
    tab.send_beside(ledger.hello()).await;
    drop(tab);
    until_connections(&server, 1).await;
    let tab = Tab::resume(&server, &ledger, 2).await;
    assert_eq!(tab.map(drop), Ok(()), "the session is known");
    healthy.check().await;
}

/// Of hellos that come at once with one id, the first begins the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_belongs_to_one_session() {
    let server = serve(&Post_::default()).await;
    let healthy = Healthy::beside(&server).await;
    for round in 1..=50 {
        let dialed = join_all((0..8).map(|_| Tab::dial(&server, "/", Ledger::new(round)))).await;
        let welcomed = dialed.into_iter().map(|mut tab| {
            tokio::spawn(async move {
                tab.send_beside(tab.ledger.hello()).await;
                tab.read().await.map(|()| tab)
            })
        });
        let welcomed = join_all(welcomed).await;
        let welcomed: Vec<Tab> = welcomed.into_iter().filter_map(|tab| tab.unwrap().ok()).collect();
        assert_eq!(welcomed.len(), 1, "round {round}");
    }
    healthy.check().await;
}
