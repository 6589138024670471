//! Mistakes that only show when a program runs, and what their errors say.

use std::{
    any::Any,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use rpc_client::Client;
use rpc_core::{CallError, Limits, Services, SessionHandle, Streaming, driver::SessionConfig, memory, rpc};
use rpc_server::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[rpc_core::data]
struct User {
    id: u64,
    boss: Option<u64>,
    names: Vec<String>,
}

#[rpc]
trait Chat {
    async fn user(&self, id: u64) -> User;
    async fn ids(&self) -> Vec<u64>;
    async fn next(&self, id: u64) -> u64;
    async fn slow(&self);
    async fn panics(&self) -> u64;
    async fn send(&self, bytes: Vec<u8>) -> u64;
    async fn receive(&self, length: u64) -> Vec<u8>;
    async fn lines(&self) -> Streaming<String>;
    async fn read(&self, lines: Streaming<String>) -> u64;
    async fn read_for(&self, id: u64, lines: Streaming<String>) -> u64;
    async fn room(&self) -> RoomClient;
    async fn title_of(&self, room: RoomClient) -> String;
    #[rpc(oneway)]
    async fn note(&self, line: String);
    #[rpc(batch = "doubled")]
    async fn double(&self, id: u64) -> u64;
    async fn doubled(&self, ids: Vec<u64>) -> Vec<u64>;
}

#[rpc]
trait Room {
    async fn title(&self) -> String;
}

struct Here;

impl Chat for Here {
    async fn user(&self, id: u64) -> User {
        User { id, boss: None, names: vec!["ann".into()] }
    }
    async fn ids(&self) -> Vec<u64> {
        vec![1, 2]
    }
    async fn next(&self, id: u64) -> u64 {
        id + 1
    }
    async fn slow(&self) {
        std::future::pending().await
    }
    async fn panics(&self) -> u64 {
        panic!("on purpose")
    }
    async fn send(&self, bytes: Vec<u8>) -> u64 {
        bytes.len() as u64
    }
    async fn receive(&self, length: u64) -> Vec<u8> {
        vec![0; length as usize]
    }
    async fn lines(&self) -> Streaming<String> {
        Streaming::from_iter(["one".to_owned()])
    }
    async fn read(&self, mut lines: Streaming<String>) -> u64 {
        let mut count = 0;
        while let Some(Ok(_)) = lines.next().await {
            count += 1;
        }
        count
    }
    async fn read_for(&self, _: u64, _: Streaming<String>) -> u64 {
        0
    }
    async fn room(&self) -> RoomClient {
        RoomClient::local(Here)
    }
    async fn title_of(&self, room: RoomClient) -> String {
        room.title().await.unwrap_or_else(|error| told(&error))
    }
    async fn note(&self, _: String) {}
    async fn double(&self, id: u64) -> u64 {
        id * 2
    }
    /// Forgets the results.
    async fn doubled(&self, _: Vec<u64>) -> Vec<u64> {
        Vec::new()
    }
}

impl Room for Here {
    async fn title(&self) -> String {
        "kitchen".into()
    }
}

/// The chat as a client of another version knows it.
mod other {
    use rpc_core::rpc;

    #[rpc]
    pub(super) trait Chat {
        async fn next(&self, id: String) -> u64;
        async fn previous(&self, id: u64) -> u64;
    }
}

/// A type with serde's derives and an attribute that promises of its parts could not follow.
mod derived {
    use rpc_core::rpc;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Settings {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        size: Option<u64>,
        name: String,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub(super) enum Either {
        Number(u64),
        Text(String),
    }

    #[rpc]
    pub(super) trait Store {
        async fn settings(&self, settings: Settings) -> u64;
        async fn either(&self, either: Either) -> u64;
    }

    pub(super) struct Full;

    impl Store for Full {
        async fn settings(&self, settings: Settings) -> u64 {
            settings.size.unwrap_or(settings.name.len() as u64)
        }
        async fn either(&self, either: Either) -> u64 {
            match either {
                Either::Number(number) => number,
                Either::Text(text) => text.len() as u64,
            }
        }
    }
}

fn services() -> Services {
    Services::new().with(ChatServer::new(Here))
}

fn session() -> SessionHandle {
    memory::connect(services())
}

fn chat() -> ChatClient {
    session().service()
}

/// A chat between two sides that both have these limits.
fn limited(limits: Limits) -> ChatClient {
    let server = SessionConfig { services: services(), limits: limits.clone(), ..Default::default() };
    let client = SessionConfig { limits, ..Default::default() };
    memory::connect_with(client, server).0.service()
}

/// The text of the error and of all its sources.
fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told.push_str(&format!(": {error}"));
        source = error.source();
    }
    told
}

#[track_caller]
fn check_told<T>(result: Result<T, impl Error + 'static>, expected: &str) {
    let error = result.err().expect("this is a mistake");
    let told = told(&error);
    assert!(told.contains(expected), "{told}");
}

/// The text of the panic of `mistake`.
fn told_by_panic(mistake: impl FnOnce()) -> String {
    let panic: Box<dyn Any + Send> = catch_unwind(AssertUnwindSafe(mistake)).expect_err("this is a mistake");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[tokio::test]
async fn addresses_that_are_none_say_how_to_write_one() {
    for (address, expected) in [
        ("http://localhost:9000", "the address begins with `http://`; write `ws://` or `wss://`"),
        ("https://localhost:9000", "the address begins with `https://`; write `ws://` or `wss://`"),
        ("localhost:9000", "the address does not begin with `ws://` or `wss://`"),
        ("", "the address does not begin with `ws://` or `wss://`"),
        ("ws://", "the address has no host"),
        ("ws://localhost:port", "`port` is not a port; it is a number from 1 to 65535"),
        ("ws://localhost:99999", "`99999` is not a port; it is a number from 1 to 65535"),
    ] {
        check_told(Client::connect(address).await, expected);
    }
}

#[tokio::test]
async fn a_port_without_a_server_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connected = Client::connect(&format!("ws://{address}")).await;
    check_told(connected, &format!("`{address}` cannot be reached: "));
}

#[tokio::test]
async fn a_server_that_was_bound_and_never_served_does_not_answer() {
    let listening = Server::builder().bind("127.0.0.1:0").await.unwrap();
    let client = Client::builder().connect_timeout(Duration::from_millis(50));
    check_told(
        client.connect(&listening.url().unwrap()).await,
        "did not answer within 50ms: no server serves there, or the way is slow",
    );
}

#[tokio::test]
async fn a_plain_http_server_opened_no_websocket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    });
    let connected = Client::connect(&format!("ws://{address}")).await;
    check_told(connected, "the server answered 200 instead of opening a WebSocket");
    server.await.unwrap();
}

#[tokio::test]
async fn an_address_to_listen_on_is_an_address_and_a_port() {
    for address in ["localhost", "9000", "ws://127.0.0.1:9000"] {
        check_told(
            Server::builder().bind(address).await,
            "write an address and a port, like `127.0.0.1:9000`",
        );
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let listening = Server::builder().bind("127.0.0.1:0").await.unwrap();
    let address = listening.local_addr().unwrap();
    check_told(Server::builder().bind(address).await, &format!("cannot listen on {address}: "));
}

#[test]
fn a_service_that_is_offered_twice_needs_another_name() {
    let told = told_by_panic(|| drop(services().with(ChatServer::new(Here))));
    assert_eq!(told, "two services are named `Chat`; give one another name with #[rpc(name = \"…\")]");
}

#[test]
fn types_that_are_written_differently_than_read_are_named_where_the_service_is_offered() {
    let told = told_by_panic(|| {
        drop(Services::new().with(derived::StoreServer::new(derived::Full)));
    });
    assert!(told.contains("`Store.settings`: argument `settings`: "), "{told}");
    assert!(told.contains("`Store.either`: argument `either`: "), "{told}");
}

#[test]
fn a_session_outside_of_a_runtime_names_the_runtime() {
    assert!(told_by_panic(|| drop(session())).contains("Tokio"));
}

#[test]
fn a_local_object_outside_of_a_runtime_names_the_runtime() {
    let room = RoomClient::local(Here);
    let title = futures::executor::block_on(async { room.title().await });
    check_told(title, "tokio");
}

#[tokio::test]
async fn a_service_that_is_not_offered_is_named() {
    let room: RoomClient = session().service();
    check_told(room.title().await, "the peer has no service `Room`; a server offers one with `.service(…)`");
}

#[tokio::test]
async fn a_method_of_another_version_is_named() {
    let chat: other::ChatClient = session().service();
    check_told(chat.previous(1).await, "the peer's service `Chat` has no method `previous`");
}

#[tokio::test]
async fn a_method_that_differs_is_shown_as_both_sides_know_it() {
    let chat: other::ChatClient = session().service();
    check_told(chat.next("1").await, "`Chat.next` differs between the two sides");
    check_told(chat.next("1").await, "here: (id: string) -> u64");
    check_told(chat.next("1").await, "peer: (id: u64) -> u64");
}

#[tokio::test]
async fn a_promise_of_another_session_is_to_be_awaited_first() {
    let (one, two) = (chat(), chat());
    check_told(two.next(one.next(1)).await, "it belongs to another session; await it first");
}

#[tokio::test]
async fn a_map_that_calls_another_session_is_a_misuse() {
    let (one, two) = (chat(), chat());
    let mapped = one.ids().map(|id| two.next(id));
    check_told(mapped.await, "it belongs to another session; await it first");
}

#[tokio::test]
async fn an_element_that_is_used_outside_of_its_closure_is_explained() {
    let chat = chat();
    let mut kept = None;
    let mapped = chat.ids().map(|id| {
        let next = chat.next(&id);
        kept = Some(id);
        next
    });
    assert_eq!(mapped.await.unwrap(), [2, 3]);
    check_told(kept.take().unwrap().await, "it stands for something inside the closure of a `map`");
}

#[tokio::test]
async fn a_stream_inside_of_a_closure_is_explained() {
    let chat = chat();
    let mapped = chat.ids().map(|id| chat.read_for(id, Streaming::from_iter(["one".to_owned()])));
    check_told(mapped.await, "a stream can be read once, so the calls of a closure cannot take one");
}

#[tokio::test]
async fn a_promised_stream_has_one_reader() {
    let chat = chat();
    let lines = chat.lines();
    let (first, second) = (chat.read(&lines), chat.read(&lines));
    assert_eq!(first.await.unwrap(), 1);
    check_told(second.await, "a stream in it was taken by another reader or call");
    check_told(lines.await.map(drop), "a stream in it was taken by another reader or call");
}

#[tokio::test]
async fn a_stream_whose_sender_is_gone_says_that_it_is_not_complete() {
    let (sender, mut lines) = Streaming::<String>::channel(1);
    drop(sender);
    check_told(
        lines.next().await.unwrap(),
        "the stream was abandoned: its producer was dropped without `finish` or `fail`",
    );
}

#[tokio::test]
async fn an_item_that_nobody_reads_is_refused() {
    let (mut sender, lines) = Streaming::<String>::channel(1);
    drop(lines);
    check_told(sender.send("one".into()).await, "the stream was stopped: nobody reads it");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_closed_says_by_whom_and_what_became_of_its_calls() {
    let session = session();
    let chat: ChatClient = session.service();
    let before = chat.slow();
    let room = chat.room().await.unwrap();
    session.close().await;
    check_told(before.await, "(the peer may have run the call): closed by this side");
    check_told(chat.next(1).await, "(the call was not sent): closed by this side");
    check_told(room.title().await, "(the call was not sent): closed by this side");
    check_told(chat.note("late"), "the session takes no calls: closed by this side");
}

#[tokio::test]
async fn an_object_of_a_closed_session_cannot_be_reached_through_another() {
    let session = session();
    let room = session.service::<ChatClient>().room().await.unwrap();
    session.close().await;
    assert_eq!(
        chat().title_of(room).await.unwrap(),
        "`Room.title`: the object cannot be reached: closed by this side"
    );
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_call_and_those_built_on_it() {
    let chat = chat();
    check_told(chat.panics().await, "panicked");
    check_told(
        chat.next(chat.panics()).await,
        "`Chat.next` was built on `Chat.panics`, which failed: the handler panicked",
    );
}

#[tokio::test]
async fn a_deadline_that_has_passed_says_so() {
    let hurried = chat().deadline(Duration::ZERO);
    check_told(hurried.next(1).await, "deadline");
    check_told(hurried.note("late"), "the deadline passed before the call was sent");
}

#[tokio::test]
async fn a_part_that_is_not_there_is_named_as_it_is_written() {
    let chat = chat();
    check_told(
        chat.next(chat.user(1).boss().some()).await,
        "the result of `Chat.user`, which has nothing at .boss",
    );
    check_told(chat.user(1).names().index(7).await, "the result of `Chat.user` has nothing at .names[7]");
}

#[tokio::test]
async fn a_batch_method_returns_one_result_for_each_call() {
    check_told(chat().double(1).await, "the batch method `doubled` returned 0 results for 1 calls");
}

#[tokio::test]
async fn limits_are_named() {
    let small = limited(Limits { payload_bytes_max: 1_000, ..Limits::default() });
    check_told(small.send(vec![0; 5_000]).await, "`Limits::payload_bytes_max` is");
    check_told(small.receive(5_000).await, "`Limits::payload_bytes_max` is");
    let few = limited(Limits { calls_max: 1, ..Limits::default() });
    let running = few.slow();
    check_told(few.next(1).await, "`Limits::calls_max` is");
    drop(running);
    let short = limited(Limits { metadata_bytes_max: 10, ..Limits::default() });
    check_told(short.metadata("key", "a long value").next(1).await, "`Limits::metadata_bytes_max` is");
    let narrow = limited(Limits { map_calls_max: 1, ..Limits::default() });
    check_told(narrow.ids().map(|id| narrow.next(id)).await, "`Limits::map_calls_max` is reached");
    let shallow = limited(Limits { chain_depth_max: 3, ..Limits::default() });
    let ninth = (0..9).fold(shallow.next(0), |before, _| shallow.next(before));
    check_told(ninth.await, "the peer's `Limits::chain_depth_max` is 3, and this needs 4");
}

#[tokio::test]
async fn promises_with_and_without_an_error_are_joined() {
    let chat = chat();
    let session = memory::connect(Services::new().with(StaffServer::new(Office)));
    let staff: StaffClient = session.service();
    let (next, name, ids) = rpc_core::try_join!(chat.next(1), staff.name(1), chat.ids()).unwrap();
    assert_eq!((next, name.as_str(), ids.len()), (2, "ann", 2));
    let failed = rpc_core::try_join!(chat.next(1), staff.name(2), async { Ok(()) });
    assert!(matches!(failed, Err(CallError::Method(2))));
    assert_eq!(rpc_core::try_join!(chat.next(1), chat.next(2)).unwrap(), (2, 3));
}

#[tokio::test]
async fn a_promise_of_a_box_is_an_argument_and_operators_leave_fields_alone() {
    let staff: StaffClient = memory::connect(Services::new().with(StaffServer::new(Office))).service();
    let tree = staff.tree();
    assert_eq!(staff.weight(tree.left().some()).await.unwrap(), 1);
    // `PartialEq` has a method of this name too.
    assert_eq!((*tree).lt().await.unwrap(), 7);
}

#[rpc_core::data]
struct Tree {
    left: Option<Box<Tree>>,
    lt: u64,
}

#[rpc]
trait Staff {
    async fn name(&self, id: u64) -> Result<String, u64>;
    async fn tree(&self) -> Tree;
    async fn weight(&self, tree: Tree) -> u64;
}

struct Office;

impl Staff for Office {
    async fn name(&self, id: u64) -> Result<String, u64> {
        if id == 1 { Ok("ann".into()) } else { Err(id) }
    }
    async fn tree(&self) -> Tree {
        Tree { left: Some(Box::new(Tree { left: None, lt: 1 })), lt: 7 }
    }
    async fn weight(&self, tree: Tree) -> u64 {
        1 + tree.left.map_or(0, |left| left.lt)
    }
}
