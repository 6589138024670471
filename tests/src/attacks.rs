//! Hostile strangers on real sockets, each beside a healthy client whose calls go on.
//!
//! What a stranger is told is checked by code and limit. Memory is this process's own, read from the operating system;
//! tests that look at it take turns, and their bounds leave room for what else the test binary does.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpc_core::{Context, Limits, close_codes, rpc};
use rpc_server::{Server, ServerBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle, time::timeout};

use self::stranger::{
    Batch, CANCELLED, CHUNKED, Call, DEADLINE_EXCEEDED, EXHAUSTED, GET, INVALID_ARGUMENT, INVALID_REFERENCE,
    PANICKED, PATIENCE, RawSocket, Reply, Stranger, arguments, field_of, frame_header, inline, number_of,
    result_of, tuple,
};
use crate::{
    sockets::TestServer,
    support::{PeopleClient, PeopleServer, Village},
};

pub(crate) mod stranger;

pub(crate) const MIB: usize = 1 << 20;

// ---- what is attacked ----

#[derive(Serialize, Deserialize)]
pub(crate) struct Nested(Option<Box<Nested>>);

/// A value that panics where it is told to, as a user's type may.
#[derive(Debug, Default)]
pub(crate) struct Mine(u8);

const WHEN_DECODED: u8 = 201;
const WHEN_ENCODED: u8 = 202;
const WHEN_DROPPED: u8 = 203;

impl Serialize for Mine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != WHEN_ENCODED, "encoded on purpose");
        serializer.serialize_u8(self.0)
    }
}

impl<'de> Deserialize<'de> for Mine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mine = u8::deserialize(deserializer)?;
        assert!(mine != WHEN_DECODED, "decoded on purpose");
        Ok(Self(mine))
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(self.0 != WHEN_DROPPED, "dropped on purpose");
    }
}

/// Everything that is worth attacking.
#[rpc]
pub(crate) trait Traps {
    async fn nested(&self, value: Nested) -> u32;
    async fn units(&self, units: Vec<()>) -> u32;
    async fn map(&self, map: BTreeMap<String, Vec<u64>>) -> u32;
    async fn texts(&self, texts: Vec<String>, letter: char, flag: bool) -> u32;
    async fn mine(&self, mine: Mine) -> Mine;
    async fn count(&self, upto: u32) -> Vec<u32>;
    async fn gather(&self, lists: (Vec<u32>, Vec<u32>)) -> u32;
    async fn stay(&self);
    async fn never(&self) -> u64;
    async fn hold_thread(&self);
    async fn fail(&self) -> Result<u32, String>;
    async fn peek(&self, #[rpc(context)] context: Context) -> u32;
}

/// Opens once, for all who wait.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    /// Holds the thread.
    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_timeout_while(is_open, PATIENCE, |is_open| !*is_open).unwrap());
    }
}

#[derive(Clone, Default)]
pub(crate) struct Trap {
    /// Handlers of `stay` at work, and the most there have been.
    staying: Arc<AtomicUsize>,
    staying_max: Arc<AtomicUsize>,
    gate: Arc<Gate>,
}

struct Stay(Arc<AtomicUsize>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Traps for Trap {
    async fn nested(&self, value: Nested) -> u32 {
        u32::from(value.0.is_some())
    }

    async fn units(&self, units: Vec<()>) -> u32 {
        units.len() as u32
    }

    async fn map(&self, map: BTreeMap<String, Vec<u64>>) -> u32 {
        map.len() as u32
    }

    async fn texts(&self, texts: Vec<String>, _letter: char, _flag: bool) -> u32 {
        texts.len() as u32
    }

    async fn mine(&self, mine: Mine) -> Mine {
        mine
    }

    async fn count(&self, upto: u32) -> Vec<u32> {
        (0..upto).collect()
    }

    async fn gather(&self, lists: (Vec<u32>, Vec<u32>)) -> u32 {
        (lists.0.len() + lists.1.len()) as u32
    }

    async fn stay(&self) {
        let running = self.staying.fetch_add(1, Ordering::SeqCst) + 1;
        let _stay = Stay(Arc::clone(&self.staying));
        self.staying_max.fetch_max(running, Ordering::SeqCst);
        std::future::pending().await
    }

    async fn never(&self) -> u64 {
        std::future::pending().await
    }

    async fn hold_thread(&self) {
        self.gate.pass();
    }

    async fn fail(&self) -> Result<u32, String> {
        Err("as always".into())
    }

    async fn peek(&self, context: Context) -> u32 {
        context.metadata("trace").map_or(0, str::len) as u32
    }
}

#[rpc(ordered)]
pub(crate) trait Queueing {
    async fn next(&self, after: u64) -> u64;
}

pub(crate) struct Queue;

impl Queueing for Queue {
    async fn next(&self, after: u64) -> u64 {
        after + 1
    }
}

type TrapServer = TrapsServer<Trap>;
type QueueServer = QueueingServer<Queue>;

fn builder(trap: &Trap) -> ServerBuilder {
    Server::builder()
        .service(PeopleServer::new(Village::default()))
        .service(TrapsServer::new(trap.clone()))
        .service(QueueingServer::new(Queue))
}

async fn server_with(limits: Limits) -> TestServer {
    TestServer::start_with(builder(&Trap::default()).limits(limits)).await
}

// ---- who must not suffer ----

/// A client whose calls must succeed, whatever happens beside it.
pub(crate) struct Healthy {
    people: PeopleClient,
    calls: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Healthy {
    pub(crate) async fn beside(server: &TestServer) -> Self {
        let people: PeopleClient = server.client().await.service();
        let (calls, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn({
            let (people, calls, stop) = (people.clone(), Arc::clone(&calls), Arc::clone(&stop));
            async move {
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(people.add(20, 22).await.unwrap(), 42);
                    calls.fetch_add(1, Ordering::SeqCst);
                    // Paces the calls, so that they leave the processors to the attack.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        Self { people, calls, stop, task }
    }

    /// That so many more calls succeed from here on.
    async fn check_calls(&self, more: usize) {
        for _ in 0..more {
            let sum = timeout(PATIENCE, self.people.add(20, 22).into_future()).await;
            assert_eq!(sum.expect("a healthy client's call is answered").unwrap(), 42);
        }
    }

    /// That all of its calls succeeded, some of them after the attack.
    pub(crate) async fn check(self) {
        self.check_calls(3).await;
        self.stop.store(true, Ordering::SeqCst);
        timeout(PATIENCE, self.task).await.expect("the healthy client is answered").unwrap();
        assert!(self.calls.load(Ordering::SeqCst) > 0);
    }
}

// ---- figures of the operating system ----

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Tests that measure memory take turns.
static MEASURING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Memory from here on.
pub(crate) struct Memory {
    before: usize,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl Memory {
    pub(crate) async fn watch() -> Self {
        let turn = MEASURING.lock().await;
        Self { before: resident_bytes(), _turn: turn }
    }

    fn growth(&self) -> usize {
        resident_bytes().saturating_sub(self.before)
    }

    #[track_caller]
    pub(crate) fn check_growth_below(&self, bytes: usize) {
        let growth = self.growth();
        assert!(growth < bytes, "{} MiB more are resident, {} are allowed", growth / MIB, bytes / MIB);
    }
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let wait = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in the end {what}"));
    }
}

// ---- at the door ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_requests_keep_nobody_out() {
    let limits = Limits { hello_timeout: Duration::from_millis(500), ..Limits::default() };
    let server = server_with(limits).await;
    let healthy = Healthy::beside(&server).await;
    let mut halves = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
        halves.push(RawSocket { stream });
    }
    // A stranger in good faith comes in meanwhile.
    Stranger::connect(&server).await.check_alive(1).await;
    for mut half in halves {
        assert_eq!(half.close_code().await, 0, "the server hangs up without a word");
    }
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_without_a_hello_is_closed() {
    let limits = Limits { hello_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = server_with(limits).await;
    let healthy = Healthy::beside(&server).await;
    let mut silent = Stranger::connect_silently(&server).await;
    assert_eq!(silent.close_code().await, close_codes::HELLO_TIMEOUT);
    let mut rude = Stranger::connect_silently(&server).await;
    rude.send(Batch::default().goodbye()).await;
    assert_eq!(rude.close_code().await, close_codes::PROTOCOL);
    let mut twice = Stranger::connect(&server).await;
    twice.send(Batch::hello()).await;
    assert_eq!(twice.close_code().await, close_codes::PROTOCOL);
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_vanish_anywhere_leave_nothing() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let hello = Batch::hello().0;
    let mut whole = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        .to_vec();
    let request = whole.len();
    whole.extend(frame_header(0x82, hello.len() as u64));
    whole.extend(&hello);
    for round in 0..1_000 {
        // Steps that visit all places, in no order.
        let cut = round * 7_919 % whole.len();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if cut <= request {
            stream.write_all(&whole[..cut]).await.unwrap();
        } else {
            let mut socket = RawSocket::connect(&server).await;
            socket.stream.write_all(&whole[request..cut]).await.unwrap();
        }
    }
    memory.check_growth_below(64 * MIB);
    healthy.check().await;
    server.handle.shutdown();
    timeout(PATIENCE, server.task).await.expect("no connection is left to wait for").unwrap().unwrap();
}

// ---- WebSocket frames ----

/// Floods with the same bytes and never reads; then says how it ended.
async fn check_flood(bytes: &[u8], times: usize, expected: u16) {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut flood = RawSocket::connect(&server).await;
    let taken = flood.flood(bytes, times).await;
    assert!(taken < times, "the server hung up before it took all {times}");
    healthy.check_calls(10).await;
    memory.check_growth_below(32 * MIB);
    // The code is lost where the link was reset under what the flood still sent.
    let code = flood.close_code().await;
    assert!(code == expected || code == 0, "{code}");
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_of_a_client_that_never_reads_are_cut_off() {
    let ping = [frame_header(0x89, 125), vec![7; 125]].concat();
    check_flood(&ping, 1_000_000, close_codes::FLOOD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_fragments_are_cut_off() {
    check_flood(&frame_header(0x00, 0), 10_000_000, close_codes::PROTOCOL).await;
}

/// How the server ends a socket that sends just this; nothing of it takes memory.
async fn check_close_code(bytes: &[u8], expected: u16) {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut socket = RawSocket::connect(&server).await;
    let memory = Memory::watch().await;
    socket.stream.write_all(bytes).await.unwrap();
    assert_eq!(socket.close_code().await, expected);
    memory.check_growth_below(16 * MIB);
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_too_many_frames_is_cut_off() {
    let mut bytes = [frame_header(0x02, 1), vec![0]].concat();
    for _ in 0..1_024 {
        bytes.extend([frame_header(0x00, 1), vec![0]].concat());
    }
    check_close_code(&bytes, close_codes::POLICY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_length_takes_no_memory() {
    for length in [(128 << 10) + 1, 1 << 30, u64::from(u32::MAX), (1 << 63) - 1, u64::MAX] {
        check_close_code(&frame_header(0x82, length), close_codes::TOO_LONG).await;
    }
    check_close_code(&frame_header(0x81, 3), close_codes::TEXT).await;
    check_close_code(&frame_header(0x83, 3), close_codes::PROTOCOL).await;
    check_close_code(&[0x82, 0x01, 0x00], close_codes::PROTOCOL).await;
}

// ---- frames of the protocol ----

/// That the server ends the session of who sends this, and no other.
async fn check_violation(batch: Batch) {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    stranger.check_alive(1).await;
    stranger.send(batch).await;
    assert_eq!(stranger.close_code().await, close_codes::PROTOCOL);
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_inside_frames_are_checked_before_memory_is_taken() {
    let memory = Memory::watch().await;
    const HUGE: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let behind = |start: &[u8]| Batch([start, &HUGE].concat());
    // A call's payload, a call's metadata, its total in chunks, releases, a chunk, an optional frame, an id, a varint.
    check_violation(behind(&[4, 2, 1, 0, 1])).await;
    check_violation(behind(&[4, 2, 0x11, 0, 1])).await;
    check_violation(behind(&[4, 2, 0x21, 0, 1])).await;
    check_violation(behind(&[7])).await;
    check_violation(behind(&[8, 4])).await;
    check_violation(behind(&[0x80])).await;
    check_violation(behind(&[6])).await;
    check_violation(Batch(vec![6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])).await;
    memory.check_growth_below(32 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_used_twice_ends_the_session() {
    let add = Call::new(7, number_of("add"), &[inline(&[1]), inline(&[2])]);
    check_violation(Batch::default().call(&add).call(&add)).await;
    let lower = Call::new(6, number_of("add"), &[inline(&[1]), inline(&[2])]);
    check_violation(Batch::default().call(&add).call(&lower)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_of_what_is_not_held_ends_the_session() {
    let kept = Call::new(7, number_of("add"), &[inline(&[1]), inline(&[2])]).kept();
    check_violation(Batch::default().call(&kept).release(7).release(7)).await;
    check_violation(Batch::default().call(&kept).cancel(7).release(7)).await;
    check_violation(Batch::default().release(9)).await;
    check_violation(Batch::default().cancel(9)).await;
    check_violation(Batch::default().chunk(9, b"x")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_methods_are_bounded_and_unknown_ones_are_refused() {
    let limits = Limits { methods_max: 64, ..Limits::default() };
    let server = server_with(limits).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let names = ["", "ädd\u{202e}\u{0}🦀", &"x".repeat(4_096)];
    for (index, name) in names.into_iter().enumerate() {
        let (number, id) = (1_000 + index as u32, 1 + index as u64);
        stranger.send(Batch::default().define(number, "People", name, 0)).await;
        let refused = Reply::Failed { code: 2, text: String::new() };
        assert_eq!(stranger.ask(&Call::new(id, number, &[])).await, refused);
    }
    stranger.send(Batch::default().define(2_000, &"é".repeat(2_048), "add", 0)).await;
    let refused = Reply::Failed { code: 1, text: String::new() };
    assert_eq!(stranger.ask(&Call::new(10, 2_000, &[])).await, refused);
    stranger.send(Batch::default().define(2_001, "People", "add", 0)).await;
    let Reply::Failed { code: 3, text } = stranger.ask(&Call::new(11, 2_001, &[])).await else { panic!() };
    assert!(text.contains("a: u64"), "{text}");
    stranger.check_alive(12).await;
    let mut many = Batch::default();
    for number in 3_000..3_100 {
        many = many.define(number, "People", "add", 0);
    }
    stranger.send(many).await;
    let refused = stranger.ask(&Call::new(13, 3_099, &[])).await;
    assert_eq!(refused, Reply::Failed { code: EXHAUSTED, text: "methods_max".into() });
    stranger.check_alive(14).await;
    for batch in [
        Batch::default().define(4_000, "People", &"x".repeat(4_097), 0),
        Batch::default().define(0, "People", "add", 0),
        Batch::default().define(number_of("add"), "People", "add", 0),
        Batch::default().call(&Call::new(1, 5_000, &[])),
        Batch(b"\x03\x01\x02\xff\xff\x01a12345678".to_vec()),
    ] {
        let mut stranger = Stranger::connect(&server).await;
        stranger.send(batch).await;
        assert_eq!(stranger.close_code().await, close_codes::PROTOCOL);
    }
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_bounded_in_bytes_and_entries() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let with = |metadata| Call { metadata, ..Call::new(1, number_of("peek"), &[]) };
    let mut stranger = Stranger::connect(&server).await;
    let trace = (b"trace".to_vec(), vec![b'x'; 8_000]);
    assert_eq!(stranger.ask(&with(vec![trace])).await, Reply::Value(vec![251, 0x40, 0x1f]));
    let long = Call { id: 2, ..with(vec![(b"trace".to_vec(), vec![b'x'; 8 << 10])]) };
    let refused = Reply::Failed { code: EXHAUSTED, text: "metadata_bytes_max".into() };
    assert_eq!(stranger.ask(&long).await, refused);
    stranger.check_alive(3).await;
    let mut stranger = Stranger::connect(&server).await;
    stranger.send(Batch::default().call(&with(vec![(b"k".to_vec(), vec![0xff])]))).await;
    assert_eq!(stranger.close_code().await, close_codes::PROTOCOL);
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goodbyes_and_what_follows_them_harm_nobody() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let mut many = Batch::default();
    for _ in 0..40_000 {
        many = many.goodbye();
    }
    let late = Call::new(1, number_of("add"), &[inline(&[1]), inline(&[2])]);
    stranger.send(many.clone().call(&late)).await;
    // What crosses the goodbyes is answered one way or the other; then the session ends in good order.
    assert!(matches!(stranger.reply(1).await, Reply::Value(_) | Reply::Failed { .. }));
    stranger.try_send(many).await;
    assert_eq!(stranger.close_code().await, close_codes::NORMAL);
    healthy.check().await;
}

// ---- calls ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_above_the_limit_are_refused_and_places_come_back() {
    let trap = Trap::default();
    let limits = Limits { calls_max: 32, ..Limits::default() };
    let server = TestServer::start_with(builder(&trap).limits(limits)).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let mut flood = Batch::default();
    for id in 1..=200 {
        flood = flood.call(&Call::new(id, number_of("stay"), &[]));
    }
    stranger.send(flood).await;
    for id in 33..=200 {
        stranger.reply(id).await.check_failed(EXHAUSTED, "calls_max");
    }
    eventually("all places are taken", || trap.staying.load(Ordering::SeqCst) == 32).await;
    healthy.check_calls(3).await;
    let mut cancels = Batch::default();
    for id in 1..=200 {
        cancels = cancels.cancel(id);
    }
    stranger.send(cancels).await;
    for id in 1..=32 {
        stranger.reply(id).await.check_failed(CANCELLED, "");
    }
    stranger.check_alive(300).await;
    assert_eq!(trap.staying.load(Ordering::SeqCst), 0);
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_reads_no_answers_is_cut_off() {
    let limits = Limits { write_stall: Duration::from_secs(1), ..Limits::public() };
    let server = server_with(limits).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    let mut id = 0;
    let mut flood = || {
        let mut batch = Batch::default();
        for _ in 0..2_000 {
            id += 1;
            batch = batch.call(&Call::new(id, number_of("add"), &[inline(&[1])]));
        }
        batch
    };
    while stranger.try_send(flood()).await {}
    memory.check_growth_below(64 * MIB);
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_of_large_results_is_cut_off() {
    let limits =
        Limits { write_stall: Duration::from_millis(300), outgoing_bytes_max: 8 * MIB, ..Limits::default() };
    let server = server_with(limits).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    for id in 1..=200 {
        // About a MiB each.
        let call = Call::new(id, number_of("count"), &[inline(&[252, 0, 0, 4, 0])]);
        if !stranger.try_send(Batch::default().call(&call)).await {
            break;
        }
    }
    // What the operating system holds for the stranger, the results, and those being made.
    memory.check_growth_below(96 * MIB);
    // Nothing is read until the server has given up.
    let gone = async { while stranger.try_send(Batch::default().padding(60_000)).await {} };
    timeout(PATIENCE, gone).await.expect("the server hangs up");
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_above_the_limit_is_refused_before_the_excess_runs() {
    let trap = Trap::default();
    let server = TestServer::start_with(builder(&trap).limits(Limits::public())).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let mut chain = Batch::default();
    chain = chain.call(&Call::new(1, number_of("block"), &[inline(&[1])]).kept());
    for id in 2..=100 {
        chain = chain.call(&Call::new(id, number_of("add"), &[result_of(id - 1), inline(&[1])]).kept());
    }
    stranger.send(chain).await;
    stranger.reply(33).await.check_failed(EXHAUSTED, "chain_depth_max");
    assert_eq!(stranger.reply(34).await, Reply::Upstream(33));
    assert_eq!(stranger.reply(32).await, Reply::Value(vec![32]));
    stranger.check_alive(101).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_payloads_fail_their_call_alone() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    let huge = [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let cases: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        ("nested", vec![inline(&[1; 100_000])], "value"),
        ("nested", vec![inline(&[1; 64])], "value"),
        ("nested", vec![inline(&[2])], "value"),
        ("units", vec![inline(&huge)], "units"),
        ("units", vec![inline(&[252, 0xff, 0xff, 0xff, 0xff])], "units"),
        ("map", vec![inline(&huge)], "map"),
        ("map", vec![inline(&[&[1, 1, b'a'][..], &huge].concat())], "map"),
        ("map", vec![inline(&[1, 250])], "map"),
        ("map", vec![inline(&[1, 1, 0xff, 0])], "map"),
        ("texts", vec![inline(&huge), inline(b"a"), inline(&[1])], "texts"),
        ("texts", vec![inline(&[0]), inline(&[0xff]), inline(&[1])], "letter"),
        ("texts", vec![inline(&[0]), inline(&[0xed, 0xa0, 0x80]), inline(&[1])], "letter"),
        ("texts", vec![inline(&[0]), inline(b"a"), inline(&[2])], "flag"),
        ("add", vec![inline(&[1]), inline(&[])], "b"),
        ("add", vec![inline(&[1]), inline(&[1, 1])], "b"),
        ("add", vec![inline(&[255]), inline(&[1])], "a"),
        ("add", vec![inline(&[254, 1]), inline(&[1])], "a"),
        ("add", vec![inline(&[1])], "b"),
        ("add", vec![inline(&[1]), inline(&[1]), inline(&[1])], "(after the last)"),
        ("find", vec![inline(&huge)], "name"),
        ("find", vec![inline(&[3, b'a', b'n'])], "name"),
        ("find", vec![inline(&[1, 0xc3])], "name"),
        ("greet", vec![inline(&[0]), inline(&[7])], "title"),
        ("pair", vec![tuple(&[inline(&[1])])], "pair"),
        ("pair", vec![tuple(&[inline(&[1]), inline(&[1]), inline(&[1])])], "pair"),
        ("distance", vec![inline(&huge)], "between"),
        ("echo", vec![inline(&huge)], "bytes"),
        ("shape", vec![inline(&huge)], "kind"),
        ("profile", vec![inline(&[])], "id"),
        ("add", vec![vec![3, 0xff, 0xff, 0xff, 0xff, 0x0f], inline(&[1])], "(arguments)"),
        ("add", vec![tuple(&[tuple(&[])]), inline(&[1])], "(arguments)"),
        ("add", vec![vec![9], inline(&[1])], "(arguments)"),
    ];
    let mut id = 0;
    for (method, slots, about) in cases {
        id += 1;
        let reply = stranger.ask(&Call::new(id, number_of(method), &slots)).await;
        reply.check_failed(INVALID_ARGUMENT, about);
    }
    for payload in [vec![], vec![65], vec![0xff; 40], [arguments(&[]), vec![0]].concat()] {
        id += 1;
        let call = Call { payload, ..Call::new(id, number_of("add"), &[]) };
        stranger.ask(&call).await.check_failed(INVALID_ARGUMENT, "(arguments)");
    }
    memory.check_growth_below(32 * MIB);
    stranger.check_alive(id + 1).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_to_what_is_not_there_fail_their_call_alone() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let add = |id, slot: Vec<u8>| Call::new(id, number_of("add"), &[slot, inline(&[1])]);
    // Unknown, itself, later, and in a circle.
    stranger.ask(&add(1, result_of(900))).await.check_failed(INVALID_REFERENCE, "a");
    stranger.ask(&add(2, result_of(2))).await.check_failed(INVALID_REFERENCE, "a");
    let circle = Batch::default().call(&add(3, result_of(4)).kept()).call(&add(4, result_of(3)).kept());
    stranger.send(circle).await;
    stranger.reply(3).await.check_failed(INVALID_REFERENCE, "a");
    assert_eq!(stranger.reply(4).await, Reply::Upstream(3));
    // Not kept, released, failed, of another type, without such a part.
    assert_eq!(stranger.ask(&add(5, inline(&[1]))).await, Reply::Value(vec![2]));
    stranger.ask(&add(6, result_of(5))).await.check_failed(INVALID_REFERENCE, "a");
    assert_eq!(stranger.ask(&add(7, inline(&[1])).kept()).await, Reply::Value(vec![2]));
    stranger.ask(&add(8, field_of(7, 0))).await.check_failed(INVALID_REFERENCE, "a");
    stranger.send(Batch::default().release(7)).await;
    stranger.ask(&add(9, result_of(7))).await.check_failed(INVALID_REFERENCE, "a");
    let failing = Call::new(10, number_of("fail"), &[]).kept();
    assert!(matches!(stranger.ask(&failing).await, Reply::Error(_)));
    stranger.ask(&add(11, result_of(10))).await.check_failed(INVALID_REFERENCE, "a");
    let ann = Call::new(12, number_of("find"), &[inline(b"\x03ann")]).kept();
    assert!(matches!(stranger.ask(&ann).await, Reply::Value(_)));
    stranger.ask(&add(13, result_of(12))).await.check_failed(INVALID_REFERENCE, "a");
    stranger.ask(&add(14, field_of(12, 1))).await.check_failed(INVALID_REFERENCE, "a");
    stranger.ask(&add(15, field_of(12, 99))).await.check_failed(INVALID_REFERENCE, "a");
    let part = Call::new(16, GET, &[field_of(12, 1)]);
    assert_eq!(stranger.ask(&part).await, Reply::Value(b"\x03ann".to_vec()));
    stranger.ask(&Call::new(17, GET, &[inline(&[1])])).await.check_failed(INVALID_ARGUMENT, "(arguments)");
    stranger
        .ask(&Call::new(18, GET, &[result_of(12)]).kept())
        .await
        .check_failed(INVALID_REFERENCE, "(result)");
    // A path with more steps than there may be.
    let deep = [vec![1, 12, 33], [0, 0].repeat(33)].concat();
    stranger.ask(&add(19, deep)).await.check_failed(INVALID_ARGUMENT, "(arguments)");
    stranger.check_alive(20).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_everything_at_once_runs_no_more_than_allowed() {
    const PAIRS: usize = 100_000;
    let trap = Trap::default();
    let limits = Limits { calls_max: 64, ..Limits::default() };
    let server = TestServer::start_with(builder(&trap).limits(limits)).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    let stay = number_of("stay");
    let mut id = 0;
    while (id as usize) < PAIRS {
        let (mut calls, mut cancels, mut pairs) = (Batch::default(), Batch::default(), Batch::default());
        for place in 1..=100 {
            calls = calls.call(&Call::new(id + place, stay, &[]));
            cancels = cancels.cancel(id + place);
            let second = id + 100 + place;
            pairs = pairs.call(&Call::new(second, stay, &[])).cancel(second);
        }
        id += 200;
        stranger.send(calls).await;
        stranger.send(Batch([cancels.0, pairs.0].concat())).await;
        stranger.read_returns(id as usize).await;
    }
    assert!(trap.staying_max.load(Ordering::SeqCst) <= 64);
    eventually("no handler runs", || trap.staying.load(Ordering::SeqCst) == 0).await;
    memory.check_growth_below(32 * MIB);
    // All places are free again.
    let mut all = Batch::default();
    for place in 1..=64 {
        all = all.call(&Call::new(id + place, stay, &[]));
    }
    stranger.send(all).await;
    eventually("all places are taken", || trap.staying.load(Ordering::SeqCst) == 64).await;
    drop(stranger);
    eventually("handlers end with their session", || trap.staying.load(Ordering::SeqCst) == 0).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_of_zero_and_for_ever_are_taken_as_they_are() {
    let trap = Trap::default();
    let server = TestServer::start_with(builder(&trap)).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let until = |id, method, deadline_us| {
        let slots = if method == "add" { vec![inline(&[1]), inline(&[1])] } else { vec![] };
        Call { deadline_us: Some(deadline_us), ..Call::new(id, number_of(method), &slots) }
    };
    assert_eq!(stranger.ask(&until(1, "add", u64::MAX)).await, Reply::Value(vec![2]));
    let stays = until(2, "stay", u64::MAX).kept();
    stranger.send(Batch::default().call(&stays)).await;
    stranger.ask(&until(3, "stay", 0)).await.check_failed(DEADLINE_EXCEEDED, "");
    eventually("only the patient one stays", || trap.staying.load(Ordering::SeqCst) == 1).await;
    stranger.send(Batch::default().cancel(2)).await;
    stranger.reply(2).await.check_failed(CANCELLED, "");
    stranger.check_alive(4).await;
    healthy.check().await;
}

// ---- handlers and users' types ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panicking_handlers_fail_alone() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    for round in 0..100 {
        let mut mixed = Batch::default();
        for id in round * 20..round * 20 + 10 {
            mixed = mixed.call(&Call::new(2 * id + 1, number_of("panic"), &[]));
            mixed = mixed.call(&Call::new(2 * id + 2, number_of("add"), &[inline(&[1]), inline(&[1])]));
        }
        stranger.send(mixed).await;
        for id in round * 20..round * 20 + 10 {
            stranger.reply(2 * id + 1).await.check_failed(PANICKED, "");
            assert_eq!(stranger.reply(2 * id + 2).await, Reply::Value(vec![2]));
        }
    }
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_of_users_types_fail_their_call_alone() {
    let server = server_with(Limits::default()).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    let mine = |id, when| Call::new(id, number_of("mine"), &[inline(&[when])]);
    stranger.ask(&mine(1, WHEN_DECODED)).await.check_failed(PANICKED, "");
    stranger.ask(&mine(2, WHEN_ENCODED)).await.check_failed(PANICKED, "");
    stranger.ask(&mine(3, WHEN_ENCODED).kept()).await.check_failed(PANICKED, "");
    stranger.ask(&mine(4, WHEN_DROPPED)).await.check_failed(PANICKED, "");
    stranger.check_alive(5).await;
    stranger.ask(&mine(6, WHEN_DROPPED).kept()).await.check_failed(PANICKED, "");
    stranger.check_alive(7).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_holds_its_thread_delays_only_its_own_session() {
    let trap = Trap::default();
    let server = TestServer::start_with(builder(&trap)).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    stranger.check_alive(1).await;
    stranger.send(Batch::default().call(&Call::new(2, number_of("hold_thread"), &[]))).await;
    healthy.check_calls(100).await;
    trap.gate.open();
    assert_eq!(stranger.reply(2).await, Reply::Value(vec![]));
    healthy.check().await;
}

/// On one thread, where a session that does not yield stops all others.
#[tokio::test]
async fn a_message_that_makes_much_work_delays_only_its_own_session() {
    let trap = Trap::default();
    let server = TestServer::start_with(builder(&trap)).await;
    let healthy = Healthy::beside(&server).await;
    let mut stranger = Stranger::connect(&server).await;
    // 300 lists of 66,000 numbers each.
    for id in 1..=300 {
        let list = Call::new(id, number_of("count"), &[inline(&[252, 0xd0, 1, 1, 0])]).kept();
        assert_eq!(stranger.ask(&list).await, Reply::Chunked);
    }
    let last = |list: u64| vec![1, list as u8 | 0x80, (list >> 7) as u8, 1, 1, 0xcf, 0x83, 4];
    let searching = (1..=300)
        .fold(Batch::default(), |batch, list| batch.call(&Call::new(300 + list, GET, &[last(list)])));
    stranger.send(searching.call(&Call::new(601, number_of("stay"), &[]))).await;
    healthy.check_calls(1).await;
    assert_eq!(trap.staying.load(Ordering::SeqCst), 0, "the rest of the message waits");
    assert_eq!(stranger.reply(600).await, Reply::Value(vec![252, 0xcf, 1, 1, 0]));
    eventually("the whole message is read", || trap.staying.load(Ordering::SeqCst) == 1).await;
    healthy.check().await;
}

// ---- shutdown ----

/// Shuts a server down that is given half a second for handshakes and half a second for calls in flight.
async fn check_shutdown(server: TestServer) {
    server.handle.shutdown();
    timeout(PATIENCE, server.task).await.expect("nobody holds up a shutdown").unwrap().unwrap();
}

fn impatient() -> Limits {
    let short = Duration::from_millis(500);
    Limits { hello_timeout: short, close_timeout: short, ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_and_calls_that_never_end_do_not_hold_up_a_shutdown() {
    let server = server_with(impatient()).await;
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let silent = Stranger::connect_silently(&server).await;
    let mut unfinished = RawSocket::connect(&server).await;
    unfinished.stream.write_all(&frame_header(0x82, 100)).await.unwrap();
    let mut staying = Stranger::connect(&server).await;
    staying.send(Batch::default().call(&Call::new(1, number_of("stay"), &[]))).await;
    staying.check_alive(2).await;
    check_shutdown(server).await;
    staying.read_goodbye().await;
    drop((half, silent, unfinished));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_with_a_call_that_never_ends_does_not_hold_up_a_shutdown() {
    for first in [true, false] {
        let server = server_with(impatient()).await;
        let mut stranger = Stranger::connect(&server).await;
        stranger.send(Batch::default().call(&Call::new(1, number_of("stay"), &[]))).await;
        stranger.check_alive(2).await;
        if first {
            stranger.send(Batch::default().goodbye()).await;
            stranger.read_goodbye().await;
        }
        server.handle.shutdown();
        stranger.read_goodbye().await;
        stranger.try_send(Batch::default().goodbye()).await;
        check_shutdown(server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_reads_slowly_does_not_hold_up_a_shutdown() {
    let server = server_with(Limits { write_stall: Duration::from_secs(600), ..impatient() }).await;
    let mut stranger = Stranger::connect(&server).await;
    for id in 1..=40 {
        let call = Call::new(id, number_of("count"), &[inline(&[252, 0, 0, 4, 0])]);
        stranger.send(Batch::default().call(&call)).await;
    }
    // The first results are on their way, and the rest fills what there is between the two.
    stranger.read().await.unwrap();
    check_shutdown(server).await;
}

// ---- memory ----

/// That calls which wait for ever take no more memory than a session of `Limits::public` may.
async fn check_waiting_calls(wait: impl Fn(u64) -> Batch) {
    let server = server_with(Limits::public()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    let mut stranger = Stranger::connect(&server).await;
    stranger.send(Batch::default().call(&Call::new(1, number_of("never"), &[]).kept())).await;
    for id in 2..=250 {
        stranger.send(wait(id)).await;
    }
    stranger.check_alive(300).await;
    memory.check_growth_below(24 * MIB);
    // Ending them one by one is quick, too.
    let cancels = (2..=250).fold(Batch::default(), Batch::cancel);
    stranger.send(cancels).await;
    stranger.check_alive(301).await;
    healthy.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_call_does_not_keep_the_message_it_came_in() {
    let slots = [result_of(1), inline(&[1])];
    let wait = |id| Batch::default().call(&Call::new(id, number_of("add"), &slots)).padding(120_000);
    check_waiting_calls(wait).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_parts_of_arguments_count_towards_what_may_be_pending() {
    let empty = tuple(&vec![inline(&[]); 64]);
    let slots = [vec![result_of(1)], vec![empty; 63]].concat();
    check_waiting_calls(|id| Batch::default().call(&Call::new(id, number_of("add"), &slots))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_between_chunks_leaves_nothing() {
    let server = server_with(Limits::public()).await;
    let healthy = Healthy::beside(&server).await;
    let memory = Memory::watch().await;
    for _ in 0..4 {
        let mut stranger = Stranger::connect(&server).await;
        for id in 1..=100 {
            let mut call = Call::new(id, number_of("echo"), &[]);
            call.flags |= CHUNKED;
            call.payload = vec![0; 1_000_000];
            stranger.send(Batch::default().call(&call).chunk(id, &[0; 60_000])).await;
        }
        for id in 17..=100 {
            stranger.reply(id).await.check_failed(EXHAUSTED, "pending_bytes_max");
        }
    }
    memory.check_growth_below(64 * MIB);
    healthy.check().await;
    server.handle.shutdown();
    timeout(PATIENCE, server.task).await.expect("the sessions are gone").unwrap().unwrap();
}
