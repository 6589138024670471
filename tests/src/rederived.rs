//! References after a lost session: those that only idempotent calls have made are made again, others are dead.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use rpc_client::{Client, ConnectionState};
use rpc_core::{CallError, Delivery, data, rpc};
use rpc_server::Server;
use tokio::time::timeout;

use crate::{
    attacks::eventually,
    resume::{connect, until_next_session},
    sockets::TestServer,
    support::cutter::Cutter,
};

const PATIENCE: Duration = Duration::from_secs(10);

#[rpc]
trait Library {
    #[rpc(idempotent)]
    async fn shelf(&self, name: String) -> Result<ShelfClient, String>;
    #[rpc(idempotent)]
    async fn found(&self, name: String) -> Found;
    #[rpc(idempotent)]
    async fn all(&self) -> Vec<ShelfClient>;
    /// Opens another shelf each time.
    async fn open(&self) -> ShelfClient;
    async fn look_at(&self, shelf: ShelfClient) -> String;
}

#[data]
#[derive(Debug, Clone)]
struct Found {
    count: u64,
    shelf: Option<ShelfClient>,
}

#[rpc]
trait Shelf {
    async fn label(&self) -> String;
    #[rpc(idempotent)]
    async fn row(&self, number: u64) -> ShelfClient;
    #[rpc(idempotent)]
    async fn labels(&self) -> Vec<String>;
}

/// A library with a name, which counts the shelves that are held.
#[derive(Clone)]
struct Library_ {
    name: &'static str,
    asked: Arc<Mutex<Vec<String>>>,
    held: Arc<()>,
}

struct Shelf_ {
    label: String,
    library: Library_,
    _held: Arc<()>,
}

impl Library_ {
    fn new(name: &'static str) -> Self {
        Self { name, asked: Arc::default(), held: Arc::default() }
    }

    fn ask(&self, what: &str) -> ShelfClient {
        self.asked.lock().unwrap().push(what.to_owned());
        let label = format!("{}:{what}", self.name);
        ShelfClient::local(Shelf_ { label, library: self.clone(), _held: Arc::clone(&self.held) })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Library for Library_ {
    async fn shelf(&self, name: String) -> Result<ShelfClient, String> {
        match (name.as_str(), self.name) {
            ("moved", "new") => Err("it was moved".into()),
            _ => Ok(self.ask(&name)),
        }
    }

    async fn found(&self, name: String) -> Found {
        Found { count: 1, shelf: Some(self.ask(&name)) }
    }

    async fn all(&self) -> Vec<ShelfClient> {
        vec![self.ask("first"), self.ask("second")]
    }

    async fn open(&self) -> ShelfClient {
        self.ask("opened")
    }

    async fn look_at(&self, shelf: ShelfClient) -> String {
        shelf.label().await.unwrap()
    }
}

impl Shelf for Shelf_ {
    async fn label(&self) -> String {
        self.label.clone()
    }

    async fn row(&self, number: u64) -> ShelfClient {
        self.library.ask(&format!("{}/{number}", self.label.rsplit(':').next().unwrap()))
    }

    async fn labels(&self) -> Vec<String> {
        vec![self.label.clone()]
    }
}

async fn serve(library: &Library_) -> TestServer {
    TestServer::start_with(Server::builder().service(LibraryServer::new(library.clone()))).await
}

/// Has another server take the place of the one that the client is connected to.
async fn replace(client: &Client, cutter: &Cutter, other: &TestServer) {
    let states = client.states();
    cutter.lead_to(other.address);
    cutter.cut();
    until_next_session(states).await;
}

async fn start() -> (Library_, TestServer, Cutter, Client, LibraryClient) {
    let old = Library_::new("old");
    let server = serve(&old).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect(&cutter.url()).await;
    let library = client.service();
    (old, server, cutter, client, library)
}

#[tokio::test]
async fn objects_and_promises_of_idempotent_calls_live_on_in_the_next_session() {
    let (_, _server, cutter, client, library) = start().await;
    let shelf = library.shelf("a").await.unwrap();
    let row = shelf.row(1).await.unwrap();
    let part = library.found("b").await.unwrap().shelf.unwrap();
    let promised = library.shelf("c").row(2);
    assert_eq!(promised.label().await.unwrap(), "old:c/2");
    let closed = tokio::spawn(shelf.closed());

    let mut servers = Vec::new();
    for name in ["second", "third"] {
        let next = Library_::new(name);
        servers.push(serve(&next).await);
        replace(&client, &cutter, servers.last().unwrap()).await;
        let labels = rpc_core::try_join!(shelf.label(), row.label(), part.label(), promised.label()).unwrap();
        let expected = ["a", "a/1", "b", "c/2"].map(|label| format!("{name}:{label}"));
        assert_eq!([labels.0, labels.1, labels.2, labels.3], expected);
        // Each was asked for once, and only those that are needed.
        let mut asked = next.asked();
        asked.sort();
        assert_eq!(asked, ["a", "a/1", "b", "c", "c/2"]);
        // As an argument, and as the base of further idempotent calls.
        assert_eq!(library.look_at(&shelf).await.unwrap(), format!("{name}:a"));
        assert_eq!(shelf.labels().await.unwrap(), [format!("{name}:a")]);
    }
    assert!(!closed.is_finished());
    drop((shelf, row, part, promised));
    // The task that waits for the end of `a` holds it.
    let forgotten = async {
        while client.stats().await.calls_remembered > 1 {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, forgotten).await.is_ok(), "{:?}", client.stats().await);
    client.close().await;
    assert!(timeout(PATIENCE, closed).await.is_ok(), "it ends with the client");
}

#[tokio::test]
async fn the_server_drops_objects_that_were_made_again_when_the_client_does() {
    let (_, _server, cutter, client, library) = start().await;
    let shelf = library.shelf("a").await.unwrap();
    let row = shelf.row(1).await.unwrap();
    let next = Library_::new("next");
    let other = serve(&next).await;
    replace(&client, &cutter, &other).await;
    assert_eq!(row.label().await.unwrap(), "next:a/1");
    // The library itself, its service, and two shelves with a library each.
    eventually("the shelves are held", || Arc::strong_count(&next.held) == 6).await;
    drop(shelf);
    eventually("one is let go", || Arc::strong_count(&next.held) == 4).await;
    assert_eq!(row.label().await.unwrap(), "next:a/1");
    drop(row);
    eventually("both are let go", || Arc::strong_count(&next.held) == 2).await;
}

#[tokio::test]
async fn what_cannot_be_made_again_says_why() {
    let (_, _server, cutter, client, library) = start().await;
    let opened = library.open().await.unwrap();
    let moved = library.shelf("moved").await.unwrap();
    let both = library.all().await.unwrap();
    let next = Library_::new("new");
    let other = serve(&next).await;
    replace(&client, &cutter, &other).await;
    // An object of a call that may not run twice, and one of several in a result.
    for dead in [&opened, &both[0]] {
        let error = timeout(PATIENCE, dead.label()).await.unwrap().unwrap_err();
        assert!(matches!(&error, CallError::Disconnected { delivery: Delivery::NotSent, .. }), "{error:?}");
        assert!(timeout(PATIENCE, dead.closed()).await.is_ok());
    }
    assert_eq!(next.asked(), [""; 0]);
    let error = moved.label().await.unwrap_err();
    assert!(matches!(&error, CallError::Upstream(_)), "{error:?}");
    let text = format!("{:?}", report(&error));
    assert!(text.contains("Library.shelf") && text.contains("it was moved"), "{text}");
    // The client itself goes on.
    assert_eq!(library.shelf("b").await.unwrap().label().await.unwrap(), "new:b");
}

fn report(error: &dyn std::error::Error) -> Vec<String> {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_server_that_shuts_down_takes_no_reference_with_it() {
    let (_, server, cutter, client, library) = start().await;
    let shelf = library.shelf("a").await.unwrap();
    let promised = library.shelf("b");
    assert_eq!(promised.label().await.unwrap(), "old:b");
    let next = Library_::new("next");
    let other = serve(&next).await;
    cutter.lead_to(other.address);
    let mut states = pin!(client.states());
    server.handle.shutdown();
    let moved = async {
        while let Some(state) = states.next().await {
            if matches!(state, ConnectionState::Lost { .. }) {
                return;
            }
        }
    };
    timeout(PATIENCE, moved).await.unwrap();
    assert_eq!(timeout(PATIENCE, shelf.label()).await.unwrap().unwrap(), "next:a");
    assert_eq!(timeout(PATIENCE, promised.label()).await.unwrap().unwrap(), "next:b");
}
