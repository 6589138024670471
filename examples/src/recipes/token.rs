//! A token, from the client's header to the handler that asks who calls.

use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use rpc_client::{Client, ConnectError, ConnectionState, HandshakeError};
use rpc_core::{CallError, CloseReason, Context, Peer, Principal, close_codes, data, rpc};
use rpc_server::{Authenticator, Identity, Listening, Rejection, Server};

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

// region: authenticator
/// Accounts as a database has them: looking one up takes a while.
struct Accounts {
    /// The owners of tokens, and when each token ends to count.
    tokens: Mutex<HashMap<String, (String, SystemTime)>>,
}

impl Authenticator for Accounts {
    async fn authenticate(&self, peer: &Peer) -> Result<Identity, Rejection> {
        // In a header, or in a browser's list of subprotocols.
        let token = peer.token().ok_or_else(|| Rejection::new(401, "a token is needed"))?;
        let (name, expires_at) =
            self.look_up(token).await.ok_or_else(|| Rejection::new(401, "the token is not valid"))?;
        Ok(Identity::from(Principal::named(name)).until(expires_at))
    }
}
// end

impl Accounts {
    async fn look_up(&self, token: &str) -> Option<(String, SystemTime)> {
        tokio::task::yield_now().await;
        self.tokens.lock().expect("nothing panics while it holds the lock").get(token).cloned()
    }

    /// Gives a name the next token.
    fn issue(&self, name: &str, lasts: Duration) -> String {
        let mut tokens = self.tokens.lock().expect("nothing panics while it holds the lock");
        let token = format!("{name}-{}", tokens.len());
        tokens.insert(token.clone(), (name.to_owned(), SystemTime::now() + lasts));
        token
    }
}

// region: renewing
/// Connects with a token that is asked for before each attempt.
async fn stay_logged_in<F>(
    url: &str,
    fresh_token: impl Fn() -> F + Send + Sync + 'static,
) -> Result<Client, ConnectError>
where
    F: Future<Output = io::Result<String>> + Send + 'static,
{
    Client::builder().bearer_with(fresh_token).connect(url).await
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
async fn a_session_goes_on_with_the_next_token() -> Outcome {
    let accounts = Arc::new(Accounts { tokens: Mutex::default() });
    let issuer = Arc::clone(&accounts);
    let server = Server::builder()
        .authenticator(Arc::clone(&accounts))
        .token_grace(Duration::ZERO)
        .service(NotesServer::new(Board::default()))
        .bind("127.0.0.1:0")
        .await?;
    let (url, handle) = (server.url()?, server.handle());
    tokio::spawn(server.serve());
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let client = stay_logged_in(&url, move || {
        // The first token is short-lived.
        let lasts =
            Duration::from_millis(if count.fetch_add(1, Ordering::Relaxed) == 0 { 300 } else { 3_600_000 });
        std::future::ready(Ok(issuer.issue("ann", lasts)))
    });
    let client = client.await?;
    let notes: NotesClient = client.service();
    notes.write("buy bread").await?;
    let mut states = std::pin::pin!(client.states());
    while !matches!(states.next().await, Some(ConnectionState::Resumed)) {}
    assert_eq!(notes.mine().await?, ["buy bread"]);
    assert_eq!(issued.load(Ordering::Relaxed), 2);

    handle.revoke(Principal::named("ann"));
    assert!(matches!(client.closed().await, CloseReason::Peer { code: close_codes::REVOKED, .. }));
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
