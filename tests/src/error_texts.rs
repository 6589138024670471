//! What errors say: nothing that a method said is lost on the way to whoever prints the error of a later call.

use std::{error::Error, time::Duration};

use rpc_core::{Context, Limits, Peer, Services, driver::SessionConfig, memory, rpc};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum ChatError {
    #[error("nobody is called {0}")]
    Nobody(String),
}

/// Neither an `Error` nor text.
#[derive(Debug, Serialize, Deserialize)]
enum Plain {
    Closed,
}

/// Not even for debugging.
#[derive(Serialize, Deserialize)]
struct Mute;

#[rpc_core::data]
struct Profile {
    id: u64,
    boss: Option<Box<Profile>>,
    friends: Vec<(String, u64)>,
    seat: Seat,
}

#[rpc_core::data]
enum Seat {
    None,
    Desk { floor: u64 },
}

#[rpc]
trait Chat {
    async fn profile(&self) -> Profile;
    async fn find(&self, name: String) -> Result<u64, ChatError>;
    async fn said(&self, name: String) -> Result<u64, String>;
    async fn plain(&self) -> Result<u64, Plain>;
    async fn mute(&self) -> Result<u64, Mute>;
    async fn panics(&self) -> Result<u64, ChatError>;
    async fn names(&self) -> Vec<String>;
    async fn long(&self) -> String;
    async fn greet(&self, id: u64) -> Result<String, ChatError>;
}

struct Nowhere;

impl Chat for Nowhere {
    async fn profile(&self) -> Profile {
        Profile { id: 1, boss: None, friends: Vec::new(), seat: Seat::None }
    }
    async fn find(&self, name: String) -> Result<u64, ChatError> {
        Err(ChatError::Nobody(name))
    }
    async fn said(&self, name: String) -> Result<u64, String> {
        Err(format!("no {name} here"))
    }
    async fn plain(&self) -> Result<u64, Plain> {
        Err(Plain::Closed)
    }
    async fn mute(&self) -> Result<u64, Mute> {
        Err(Mute)
    }
    async fn panics(&self) -> Result<u64, ChatError> {
        panic!("on purpose")
    }
    async fn long(&self) -> String {
        "x".repeat(600 << 10)
    }
    async fn names(&self) -> Vec<String> {
        vec!["ann".into(), "bob".into()]
    }
    async fn greet(&self, id: u64) -> Result<String, ChatError> {
        Ok(format!("hello, {id}"))
    }
}

fn chat() -> ChatClient {
    memory::connect(Services::new().with(ChatServer::new(Nowhere))).service()
}

/// The error's text and those of its sources.
fn texts(error: &dyn Error) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_error_of_a_failed_promise_is_told_to_who_built_on_it() {
    let chat = chat();
    let error = chat.greet(chat.find("bob")).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.greet` was built on `Chat.find`, which failed: nobody is called bob", "nobody is called bob"]
    );
    let source = error.source().and_then(|source| source.downcast_ref::<ChatError>());
    assert!(matches!(source, Some(ChatError::Nobody(name)) if name == "bob"), "{error:?}");

    let error = chat.greet(chat.find(chat.names().index(7))).await.unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "`Chat.greet` was built on `Chat.find`, which failed: it was built on the result of `Chat.names`, which has nothing at [7]"
        ]
    );
}

#[tokio::test]
async fn errors_that_are_no_errors_are_told_as_well_as_their_types_allow() {
    let chat = chat();
    let error = chat.greet(chat.said("bob")).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.greet` was built on `Chat.said`, which failed: no bob here"]);
    let error = chat.greet(chat.plain()).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.greet` was built on `Chat.plain`, which failed: Closed"]);
    let error = chat.greet(chat.mute()).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.greet` was built on `Chat.mute`, which failed: the method failed"]);
    let error = chat.greet(chat.panics()).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.greet` was built on `Chat.panics`, which failed: the handler panicked"]
    );
}

#[tokio::test]
async fn the_error_of_an_element_is_a_source_of_its_maps() {
    let chat = chat();
    let error = chat.names().map(|name| chat.find(name)).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["element 0 of the map failed: `Chat.find` failed: nobody is called ann", "nobody is called ann"]
    );
    let error = chat.names().map(|name| chat.greet(chat.find(name))).await.unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "element 0 of the map failed: `Chat.greet` was built on `Chat.find`, which failed: nobody is called ann",
            "nobody is called ann"
        ]
    );
}

#[tokio::test]
async fn a_server_that_cannot_listen_names_the_address() {
    let listening = rpc_server::Server::builder().bind("127.0.0.1:0").await.unwrap();
    let address = listening.local_addr().unwrap();
    let error = rpc_server::Server::builder().bind(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {address}: ")), "{text}");
}

#[tokio::test]
async fn a_path_reads_as_it_is_written() {
    let chat = chat();
    let profile = chat.profile();
    let error = chat.greet(profile.boss().some().id()).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.greet` was built on the result of `Chat.profile`, which has nothing at .boss.id"]
    );
    let error = chat.greet(profile.friends().index(7)._1()).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.greet` was built on the result of `Chat.profile`, which has nothing at .friends[7].1"]
    );
    let error = chat.greet(profile.seat().desk().floor()).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.greet` was built on the result of `Chat.profile`, which has nothing at .seat::Desk.floor"]
    );
}

#[tokio::test]
async fn a_methods_own_error_reads_as_it_is() {
    let error = chat().find("bob").await.unwrap_err();
    assert_eq!(texts(&error), ["nobody is called bob"]);
    assert_eq!(chat().said("bob").await.unwrap_err().to_string(), "no bob here");
}

#[tokio::test]
async fn every_error_of_a_call_names_the_method() {
    let chat = chat();
    let says = |error: &dyn Error| texts(error)[0].clone();
    let error = chat.panics().await.unwrap_err();
    assert_eq!(says(&error), "`Chat.panics`: the handler panicked");
    let error = chat.deadline(Duration::ZERO).names().await.unwrap_err();
    assert_eq!(says(&error), "`Chat.names`: the deadline passed before the call returned");
    let profile = chat.profile();
    let error = profile.boss().some().id().await.unwrap_err();
    assert_eq!(says(&error), "the result of `Chat.profile` has nothing at .boss.id");

    let nobody: ChatClient = memory::connect(Services::new()).service();
    let error = nobody.names().await.unwrap_err();
    assert_eq!(
        says(&error),
        "`Chat.names`: the peer has no service `Chat`; a server offers one with `.service(…)`"
    );
    let error = nobody.greet(1).await.unwrap_err();
    assert_eq!(
        says(&error),
        "`Chat.greet`: the peer has no service `Chat`; a server offers one with `.service(…)`"
    );

    let listening = rpc_server::Server::builder().bind("127.0.0.1:0").await.unwrap();
    let url = listening.url().unwrap();
    let served = tokio::spawn(listening.serve());
    let client = rpc_client::Client::connect(&url).await.unwrap();
    let away: ChatClient = client.service();
    client.close().await;
    let error = away.names().await.unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "`Chat.names`: the session closed before the call returned (the call was not sent)",
            "closed by this side"
        ]
    );
    served.abort();
}

#[tokio::test]
async fn a_limit_is_told_with_whose_it_is_and_its_figures() {
    let small = Limits { payload_bytes_max: 1 << 20, metadata_bytes_max: 10, ..Limits::default() };
    let wider = Limits { payload_bytes_max: 2 << 20, ..small.clone() };
    let server = rpc_server::Server::builder().limits(wider).service(ChatServer::new(Nowhere));
    let listening = server.bind("127.0.0.1:0").await.unwrap();
    let url = listening.url().unwrap();
    let served = tokio::spawn(listening.serve());

    // The caller knows the peer's limit once it was told; before, the peer refuses.
    let client = rpc_client::Client::connect(&url).await.unwrap();
    let chat: ChatClient = client.service();
    let long = "x".repeat(3 << 20);
    for _ in 0..2 {
        let error = chat.find(&long).await.unwrap_err();
        assert_eq!(
            texts(&error),
            ["`Chat.find`: the peer's `Limits::payload_bytes_max` is 2 MiB, and this needs 3.1 MiB"]
        );
    }
    let error = chat.metadata("key", "a value").names().await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.names`: the peer's `Limits::metadata_bytes_max` is 10 bytes, and this needs 58 bytes"]
    );

    // An answer longer than the caller takes.
    let client = rpc_client::Client::builder().limits(small).connect(&url).await.unwrap();
    let chat: ChatClient = client.service();
    let error = chat.said(&long[..(1 << 20) - 12]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Chat.said`: this side's `Limits::payload_bytes_max` is 1 MiB, and this needs 1.1 MiB"
    );
    // Two elements that are short enough, in a result that is not.
    let error = chat.names().map(|_| chat.long()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with(": this side's `Limits::payload_bytes_max` is 1 MiB, and this needs 1.2 MiB"),
        "{text}"
    );
    let error = chat.metadata("key", "a value").names().await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.names`: this side's `Limits::metadata_bytes_max` is 10 bytes, and this needs 58 bytes"]
    );
    served.abort();
}

#[tokio::test]
async fn an_error_tells_whether_the_call_can_have_run() {
    let chat = chat();
    assert!(chat.panics().await.unwrap_err().may_have_run());
    assert!(chat.find("bob").await.unwrap_err().may_have_run());
    assert!(!chat.greet(chat.find("bob")).await.unwrap_err().may_have_run());
    assert!(chat.profile().boss().some().id().await.unwrap_err().may_have_run(), "of its own result");
    assert!(chat.names().map(|name| chat.find(name)).await.unwrap_err().may_have_run());
    let nobody: ChatClient = memory::connect(Services::new()).service();
    assert!(!nobody.names().await.unwrap_err().may_have_run());
    let small = Limits { payload_bytes_max: 4, ..Limits::default() };
    let (client, _server) = memory::connect_with(
        SessionConfig { limits: small, ..SessionConfig::default() },
        SessionConfig {
            services: Services::new().with(ChatServer::new(Nowhere)),
            ..SessionConfig::default()
        },
    );
    let chat: ChatClient = client.service();
    assert!(chat.names().await.unwrap_err().may_have_run(), "its result was too long");
}

#[test]
fn a_peer_is_printed_without_what_may_be_a_token() {
    let mut peer = Peer::named("ann");
    peer.target = "/chat?token=abc".into();
    peer.headers = vec![("authorization".into(), "Bearer abc".into())];
    let text = format!("{peer:?} {:?}", Context::for_test(peer.clone(), &[]));
    assert!(!text.contains("abc"), "{text}");
    assert!(text.contains("authorization") && text.contains("/chat"), "{text}");
}
