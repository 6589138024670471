//! Several services on one connection, two versions of one, and methods that an old server does not have.

use std::sync::Arc;

use rpc_client::Client;
use rpc_core::{CallError, Refusal, rpc, try_join};
use rpc_server::{Listening, Server};

use super::Outcome;

// region: versions
mod v1 {
    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) struct Book {
        pub(super) title: String,
    }

    #[rpc_core::rpc]
    pub(super) trait Library {
        async fn find(&self, title: String) -> Option<Book>;
    }
}

mod v2 {
    #[rpc_core::data]
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct Book {
        pub(super) title: String,
        pub(super) pages: u32,
    }

    /// The name on the wire is another one; the Rust name stays.
    #[rpc_core::rpc(name = "Library.v2")]
    pub(super) trait Library {
        async fn find(&self, title: String) -> Option<Book>;
    }
}
// end

struct Shelf {
    books: Vec<v2::Book>,
}

impl v2::Library for Shelf {
    async fn find(&self, title: String) -> Option<v2::Book> {
        self.books.iter().find(|book| book.title == title).cloned()
    }
}

#[rpc]
trait Clock {
    async fn hour(&self) -> u8;
}

struct Noon;

impl Clock for Noon {
    async fn hour(&self) -> u8 {
        12
    }
}

// region: server
/// The old version is a view of the new one.
impl v1::Library for Shelf {
    async fn find(&self, title: String) -> Option<v1::Book> {
        let v2::Book { title, .. } = v2::Library::find(self, title).await?;
        Some(v1::Book { title })
    }
}

async fn listen(shelf: Arc<Shelf>) -> std::io::Result<Listening> {
    Server::builder()
        .service(v1::LibraryServer::from_arc(Arc::clone(&shelf)))
        .service(v2::LibraryServer::from_arc(shelf))
        .service(ClockServer::new(Noon))
        .bind("127.0.0.1:0")
        .await
}
// end

async fn connect() -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let book = v2::Book { title: "Emma".into(), pages: 474 };
    let server = listen(Arc::new(Shelf { books: vec![book] })).await?;
    let url = server.url()?;
    tokio::spawn(server.serve());
    Ok(Client::connect(&url).await?)
}

#[tokio::test]
async fn services_share_a_connection_and_messages() -> Outcome {
    let client = connect().await?;
    // region: client
    let library: v2::LibraryClient = client.service();
    let clock: ClockClient = client.service();
    // Calls of different services leave in one message too.
    let (emma, hour) = try_join!(library.find("Emma"), clock.hour())?;
    // end
    assert_eq!((emma.map(|book| book.pages), hour), (Some(474), 12));
    let old: v1::LibraryClient = client.service();
    assert_eq!(old.find("Emma").await?, Some(v1::Book { title: "Emma".into() }));
    Ok(())
}

/// What a newer client was built with.
mod newer {
    #[rpc_core::rpc(name = "Library.v2")]
    pub(super) trait Library {
        async fn find(&self, title: String) -> Option<super::v2::Book>;
        async fn find_all(&self, titles: Vec<String>) -> Vec<super::v2::Book>;
    }

    #[rpc_core::rpc]
    pub(super) trait Archive {
        async fn oldest(&self) -> u32;
    }
}

// region: fallback
/// Finds books. An old server is asked for each of them, in one message.
async fn find_all(
    library: &newer::LibraryClient,
    titles: &[String],
) -> Result<Vec<v2::Book>, CallError<rpc_core::Never>> {
    match library.find_all(titles.to_vec()).await {
        Err(CallError::Refused { refusal: Refusal::UnknownMethod { .. }, .. }) => {
            let found = rpc_core::join_all(titles.iter().map(|title| library.find(title))).await;
            Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
        done => done,
    }
}
// end

#[tokio::test]
async fn a_new_client_gets_on_with_an_old_server() -> Outcome {
    let client = connect().await?;
    let found = find_all(&client.service(), &["Emma".into(), "Persuasion".into()]).await?;
    assert_eq!(found, [v2::Book { title: "Emma".into(), pages: 474 }]);
    let archive: newer::ArchiveClient = client.service();
    let error = archive.oldest().await.err();
    assert!(
        matches!(&error, Some(CallError::Refused { refusal: Refusal::UnknownService { service }, .. })
            if service == "Archive"),
        "{error:?}"
    );
    Ok(())
}

/// What an old client was built with, before somebody changed a struct under the same name.
mod changed {
    #[rpc_core::data]
    #[derive(Debug)]
    pub(super) struct Book {
        pub(super) title: String,
        pub(super) author: String,
    }

    #[rpc_core::rpc(name = "Library.v2")]
    pub(super) trait Library {
        async fn find(&self, title: String) -> Option<Book>;
    }
}

#[tokio::test]
async fn a_changed_type_is_refused_and_never_misread() -> Outcome {
    let library: changed::LibraryClient = connect().await?.service();
    let error = match library.find("Emma").await {
        Ok(book) => return Err(format!("{:?}", book.map(|book| (book.title, book.author))).into()),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        error,
        "`Library.v2.find` differs between the two sides\n  \
         here: (title: string) -> option<{title: string, author: string}>\n  \
         peer: (title: string) -> option<{title: string, pages: u32}>"
    );
    Ok(())
}
