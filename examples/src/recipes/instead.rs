//! Things that the framework leaves out, done with what it has.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use rpc_core::{CallError, Context, Peer, Principal, Services, data, memory, rpc};

use super::Outcome;

// region: api
#[rpc]
trait Accounts {
    async fn list(&self) -> Vec<String>;
    async fn remove(&self, name: String, #[rpc(context)] cx: Context) -> Result<(), AccountError>;
    /// Takes as long as a processor needs for it.
    #[rpc(blocking)]
    async fn checksum(&self, text: String) -> u64;
}

#[data]
#[derive(Debug, PartialEq, thiserror::Error)]
enum AccountError {
    #[error("only administrators may do this")]
    NotAllowed,
    #[error("`{0}` has no account")]
    Missing(String),
}
// end

struct Book {
    names: Mutex<Vec<String>>,
}

impl Accounts for Book {
    async fn list(&self) -> Vec<String> {
        self.names.lock().expect("nothing panics while it holds the lock").clone()
    }

    async fn remove(&self, name: String, _: Context) -> Result<(), AccountError> {
        let mut names = self.names.lock().expect("nothing panics while it holds the lock");
        let at = names.iter().position(|known| *known == name).ok_or(AccountError::Missing(name))?;
        names.remove(at);
        Ok(())
    }

    async fn checksum(&self, text: String) -> u64 {
        text.bytes().fold(0, |sum, byte| sum.rotate_left(5) ^ u64::from(byte))
    }
}

// region: guard
/// Checks who may call what, counts the calls, and leaves the work to another implementation of the same trait.
struct Guarded<T> {
    accounts: T,
    calls: Arc<AtomicU64>,
}

impl<T> Guarded<T> {
    fn admit(&self, cx: &Context) -> Result<(), AccountError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match cx.principal() {
            Principal::Named(name) if &**name == "ann" => Ok(()),
            _ => Err(AccountError::NotAllowed),
        }
    }
}

impl<T: Accounts> Accounts for Guarded<T> {
    async fn list(&self) -> Vec<String> {
        self.accounts.list().await
    }

    async fn remove(&self, name: String, cx: Context) -> Result<(), AccountError> {
        self.admit(&cx)?;
        self.accounts.remove(name, cx).await
    }

    async fn checksum(&self, text: String) -> u64 {
        self.accounts.checksum(text).await
    }
}
// end

// region: http
/// What an HTTP route calls: the method of the trait. Neither a session nor a client is needed.
async fn delete_account(accounts: &impl Accounts, user: &str, name: &str) -> (u16, String) {
    // For whoever the HTTP server says that it is.
    let cx = Context::for_test(Peer::named(user), &[]);
    match accounts.remove(name.to_owned(), cx).await {
        Ok(()) => (204, String::new()),
        Err(error @ AccountError::NotAllowed) => (403, error.to_string()),
        Err(error @ AccountError::Missing(_)) => (404, error.to_string()),
    }
}
// end

fn guarded() -> Guarded<Book> {
    Guarded { accounts: Book { names: Mutex::new(vec!["bob".into()]) }, calls: Arc::default() }
}

#[tokio::test]
async fn a_guard_refuses_strangers() -> Outcome {
    let guarded = guarded();
    let calls = Arc::clone(&guarded.calls);
    let accounts: AccountsClient =
        memory::connect(Services::new().with(AccountsServer::new(guarded))).service();
    assert_eq!(accounts.list().await?, ["bob"]);
    let refused = accounts.remove("bob").await.err();
    assert!(matches!(refused, Some(CallError::Method(AccountError::NotAllowed))), "{refused:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(accounts.checksum("a").await?, 97);
    Ok(())
}

#[tokio::test]
async fn an_http_route_calls_the_same_methods() {
    let accounts = guarded();
    assert_eq!(delete_account(&accounts, "bob", "bob").await.0, 403);
    assert_eq!(delete_account(&accounts, "ann", "cem").await, (404, "`cem` has no account".into()));
    assert_eq!(delete_account(&accounts, "ann", "bob").await.0, 204);
    assert!(accounts.list().await.is_empty());
}
