//! What errors say: nothing that a method said is lost on the way to whoever prints the error of a later call.

use std::error::Error;

use rpc_core::{Services, memory, rpc};
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
        ["`Chat.find`, which this call was built on, failed: nobody is called bob", "nobody is called bob"]
    );
    let source = error.source().and_then(|source| source.downcast_ref::<ChatError>());
    assert!(matches!(source, Some(ChatError::Nobody(name)) if name == "bob"), "{error:?}");

    let error = chat.greet(chat.find(chat.names().index(7))).await.unwrap_err();
    assert_eq!(
        texts(&error),
        ["`Chat.find`, which this call was built on, failed: the result of `Chat.names` has nothing at [7]"]
    );
}

#[tokio::test]
async fn errors_that_are_no_errors_are_told_as_well_as_their_types_allow() {
    let chat = chat();
    let error = chat.greet(chat.said("bob")).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.said`, which this call was built on, failed: no bob here"]);
    let error = chat.greet(chat.plain()).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.plain`, which this call was built on, failed: Closed"]);
    let error = chat.greet(chat.mute()).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.mute`, which this call was built on, failed: the method failed"]);
    let error = chat.greet(chat.panics()).await.unwrap_err();
    assert_eq!(texts(&error), ["`Chat.panics`, which this call was built on, failed: the handler panicked"]);
}

#[tokio::test]
async fn the_error_of_an_element_is_a_source_of_its_maps() {
    let chat = chat();
    let error = chat.names().map(|name| chat.find(name)).await.unwrap_err();
    assert_eq!(texts(&error), ["element 0 of the map failed: the method failed", "nobody is called ann"]);
    let error = chat.names().map(|name| chat.greet(chat.find(name))).await.unwrap_err();
    assert_eq!(
        texts(&error),
        [
            "element 0 of the map failed: `Chat.find`, which this call was built on, failed: nobody is called ann",
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
    assert_eq!(texts(&error), ["the result of `Chat.profile` has nothing at .boss.id"]);
    let error = chat.greet(profile.friends().index(7)._1()).await.unwrap_err();
    assert_eq!(texts(&error), ["the result of `Chat.profile` has nothing at .friends[7].1"]);
    let error = chat.greet(profile.seat().desk().floor()).await.unwrap_err();
    assert_eq!(texts(&error), ["the result of `Chat.profile` has nothing at .seat::Desk.floor"]);
}
