//! A token, from the client's header to the handler that asks who calls.

use std::{collections::HashMap, io, sync::Mutex};

use rpc_client::{Client, ConnectError, HandshakeError};
use rpc_core::{CallError, Context, Peer, Principal, data, rpc};
use rpc_server::{Listening, Rejection, Server};

use super::Outcome;

// region: api
#[rpc]
trait Notes {
    async fn write(&self, text: String, #[rpc(context)] cx: Context) -> Result<(), NotesError>;
    /// The caller's own notes.
    async fn mine(&self, #[rpc(context)] cx: Context) -> Result<Vec<String>, NotesError>;
}

#[data]
#[derive(Debug, PartialEq, thiserror::Error)]
enum NotesError {
    #[error("only callers with a token have notes")]
    NotLoggedIn,
}
// end

// region: authenticate
/// Decides who a peer is. Runs during the handshake, so it must not block.
fn authenticate(tokens: &HashMap<String, String>, peer: &Peer) -> Result<Principal, Rejection> {
    // Names of headers are in lower case.
    let Some(header) = peer.header("authorization") else { return Ok(Principal::Anonymous) };
    let name = header.strip_prefix("Bearer ").and_then(|token| tokens.get(token));
    match name {
        Some(name) => Ok(Principal::named(name.as_str())),
        None => Err(Rejection::new(401, "the token is not valid")),
    }
}
// end

#[derive(Default)]
struct Board {
    notes: Mutex<HashMap<String, Vec<String>>>,
}

impl Notes for Board {
    async fn write(&self, text: String, cx: Context) -> Result<(), NotesError> {
        let name = cx.principal().name().ok_or(NotesError::NotLoggedIn)?;
        let mut notes = self.notes.lock().expect("nothing panics while it holds the lock");
        notes.entry(name.to_owned()).or_default().push(text);
        Ok(())
    }

    // region: handler
    async fn mine(&self, cx: Context) -> Result<Vec<String>, NotesError> {
        let name = cx.principal().name().ok_or(NotesError::NotLoggedIn)?;
        let notes = self.notes.lock().expect("nothing panics while it holds the lock");
        Ok(notes.get(name).cloned().unwrap_or_default())
    }
    // end
}

#[rpc]
trait Desk {
    async fn whose(&self) -> Option<String>;
}

// region: desk
/// The desk of one caller.
struct OwnDesk {
    owner: Principal,
}

impl Desk for OwnDesk {
    async fn whose(&self) -> Option<String> {
        self.owner.name().map(str::to_owned)
    }
}
// end

// region: serve
async fn listen(tokens: HashMap<String, String>) -> io::Result<Listening> {
    Server::builder()
        .authenticate(move |peer| authenticate(&tokens, peer))
        .service(NotesServer::new(Board::default()))
        // Runs after `authenticate`, once for each connection.
        .service_with(|peer| DeskServer::new(OwnDesk { owner: peer.principal.clone() }))
        .bind("127.0.0.1:0")
        .await
}
// end

// region: client
/// Connects, or gives a sentence for the user.
async fn log_in(url: &str, token: &str) -> Result<Client, String> {
    let builder = Client::builder().header("authorization", format!("Bearer {token}"));
    builder.connect(url).await.map_err(|error| match error {
        ConnectError::Handshake(HandshakeError::Refused { status: 401, text, .. }) => {
            format!("Please log in again: {text}.")
        }
        error => error.to_string(),
    })
}
// end

async fn serve() -> io::Result<String> {
    let tokens = HashMap::from([("a7f3".to_owned(), "ann".to_owned()), ("19cb".into(), "bob".into())]);
    let server = listen(tokens).await?;
    let url = server.url()?;
    tokio::spawn(server.serve());
    Ok(url)
}

#[tokio::test]
async fn handlers_know_who_calls() -> Outcome {
    let url = serve().await?;
    let client = log_in(&url, "a7f3").await?;
    let (notes, desk): (NotesClient, DeskClient) = (client.service(), client.service());
    notes.write("buy bread").await?;
    assert_eq!(notes.mine().await?, ["buy bread"]);
    assert_eq!(desk.whose().await?.as_deref(), Some("ann"));

    let notes: NotesClient = log_in(&url, "19cb").await?.service();
    assert!(notes.mine().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_is_refused_in_words() -> Outcome {
    let url = serve().await?;
    let text = log_in(&url, "0000").await.err();
    assert_eq!(text.as_deref(), Some("Please log in again: the token is not valid."));
    Ok(())
}

#[tokio::test]
async fn a_caller_without_a_token_is_anonymous() -> Outcome {
    let client = Client::connect(&serve().await?).await?;
    let (notes, desk): (NotesClient, DeskClient) = (client.service(), client.service());
    let refused = notes.mine().await.err();
    assert!(matches!(refused, Some(CallError::Method(NotesError::NotLoggedIn))), "{refused:?}");
    assert_eq!(desk.whose().await?, None);
    Ok(())
}

// region: object
#[rpc]
trait Door {
    /// Checks the token and gives the caller's desk.
    async fn log_in(&self, token: String) -> Result<DeskClient, NotesError>;
}

struct FrontDoor {
    tokens: HashMap<String, String>,
}

impl Door for FrontDoor {
    async fn log_in(&self, token: String) -> Result<DeskClient, NotesError> {
        // A handler may wait here, for a database or another server.
        let name = self.tokens.get(&token).ok_or(NotesError::NotLoggedIn)?;
        Ok(DeskClient::local(OwnDesk { owner: Principal::named(name.as_str()) }))
    }
}
// end

#[tokio::test]
async fn an_object_stands_for_a_caller_who_was_checked() -> Outcome {
    let tokens = HashMap::from([("a7f3".to_owned(), "ann".to_owned())]);
    let door = DoorClient::local(FrontDoor { tokens });
    // region: pipelined
    // One round trip: `whose` is called on an object that does not exist yet.
    let whose = door.log_in("a7f3").whose().await?;
    assert_eq!(whose.as_deref(), Some("ann"));
    // end
    let error = door.log_in("0000").whose().await.err();
    let Some(CallError::Upstream(upstream)) = error else { return Err("it was let in".into()) };
    assert_eq!(upstream.downcast(), Some(&NotesError::NotLoggedIn));
    Ok(())
}
