//! Failures of calls: what each means, which calls may be repeated, and what a client does when its connection is lost.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rpc_client::{
    CallError, Client, ConnectError, Delivery, Reconnect, Refusal, Retry, ServiceClient, WaitingCalls,
};
use rpc_core::{
    Limits, Services, data,
    memory::{self, SessionConfig},
    rpc,
};
use rpc_server::Server;
use tokio::{sync::Mutex, time::Instant};

use super::Outcome;

// region: api
#[rpc]
trait Shop {
    #[rpc(idempotent)]
    async fn price(&self, article: String) -> Result<u64, ShopError>;
    /// Orders once for each `order`, however often it is called.
    #[rpc(idempotent)]
    async fn order(&self, order: u64, article: String) -> Result<u64, ShopError>;
    /// Pays each time it is called.
    async fn pay(&self, amount: u64) -> Result<u64, ShopError>;
}

#[data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum ShopError {
    #[error("there is no `{0}`")]
    NoSuchArticle(String),
    #[error("the till is closed")]
    Closed,
}
// end

// region: match
/// A sentence for the user.
fn sentence(error: &CallError<ShopError>) -> String {
    match error {
        // The method's own errors: the API promises them.
        CallError::Method(ShopError::NoSuchArticle(article)) => format!("We have no {article}."),
        CallError::Method(ShopError::Closed) => "Come back tomorrow.".into(),
        // The call never ran, because one that it was built on failed.
        CallError::Upstream(upstream) => match upstream.call_error::<ShopError>() {
            Some(error) => sentence(error),
            None => format!("{upstream}."),
        },
        // An element of a `map`.
        CallError::Element { error, .. } => sentence(error),
        // It may have run in part.
        CallError::DeadlineExceeded { .. } => "The shop is slow today.".into(),
        // The other side stopped the call.
        CallError::Cancelled { .. } => "The shop has stopped this.".into(),
        // A fault of the server: a report helps, a retry does not.
        CallError::Panicked { method } => format!("Something broke in the shop, at {method}."),
        // A fault of one of the two programs.
        CallError::BadAnswer { .. } => "This app does not understand the shop.".into(),
        CallError::Disconnected { delivery: Delivery::NotSent, .. } => "You are offline.".into(),
        // It may have run or not.
        CallError::Disconnected { .. } => "The connection broke. Look whether it was done.".into(),
        CallError::Refused { refusal, .. } => match refusal {
            Refusal::Unavailable => "The shop is closing.".into(),
            Refusal::ResourceExhausted { .. } => "The shop has too much to do.".into(),
            Refusal::UnknownService { .. }
            | Refusal::UnknownMethod { .. }
            | Refusal::SchemaMismatch { .. } => "Please update this app.".into(),
            // The others are mistakes of the program: the text says where.
            refusal => format!("{refusal}."),
        },
        // There may be more one day.
        error => format!("{error}."),
    }
}
// end

// region: rule
/// The calls that may be repeated.
#[derive(Clone, Copy)]
enum Repeat {
    /// Calls that certainly did not run.
    IfNotRun,
    /// Calls that may have run as well: for methods that do the same when they run twice.
    Idempotent,
}

impl Repeat {
    fn allows<E>(self, error: &CallError<E>) -> bool {
        let is_idempotent = matches!(self, Self::Idempotent);
        match error {
            CallError::Disconnected { delivery, .. } => is_idempotent || *delivery == Delivery::NotSent,
            CallError::Refused { refusal: Refusal::Unavailable, .. } => true,
            // Without a time it may be the result that was too large, after the call ran.
            CallError::Refused { refusal: Refusal::ResourceExhausted { retry_after, .. }, .. } => {
                is_idempotent || retry_after.is_some()
            }
            _ => false,
        }
    }
}
// end

// region: line
/// Connects, and states what the client does when its connection is lost.
async fn connect(url: &str) -> Result<Client, ConnectError> {
    let policy = Reconnect {
        // A new session begins when the server has not been back for a minute.
        window: Duration::from_secs(60),
        // Calls that are made meanwhile wait for ten seconds, and then fail as not sent.
        waiting: WaitingCalls { time: Duration::from_secs(10), ..WaitingCalls::default() },
        ..Reconnect::default()
    };
    Client::builder().reconnect(policy).connect(url).await
}
// end

// region: policy
/// Asks for a price with more patience than usual, and pays with some: `pay` is repeated only if it has not run.
async fn patiently(shop: &ShopClient) -> Result<u64, CallError<ShopError>> {
    let patient = shop.retry(Retry { attempts: 10, ..Retry::default() }).deadline(Duration::from_secs(60));
    let price = patient.price("bread").await?;
    patient.pay(price).await
}
// end

// region: retry
const ATTEMPTS: u32 = 6;
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Makes a call, and repeats it as often as `repeat` and [`ATTEMPTS`] allow.
async fn repeated<T, E, P>(repeat: Repeat, call: impl Fn() -> P) -> Result<T, CallError<E>>
where
    P: IntoFuture<Output = Result<T, CallError<E>>>,
{
    let mut wait = WAIT_MIN;
    for _ in 1..ATTEMPTS {
        let error = match call().await {
            Err(error) if repeat.allows(&error) => error,
            done => return done,
        };
        // At random, so that a thousand clients that lost one server do not come back in the same moment.
        tokio::time::sleep(retry_after(&error).unwrap_or(wait.mul_f64(random()))).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
    call().await
}

/// The time after which the server wants to be asked again.
fn retry_after<E>(error: &CallError<E>) -> Option<Duration> {
    match error {
        CallError::Refused { refusal: Refusal::ResourceExhausted { retry_after, .. }, .. } => *retry_after,
        _ => None,
    }
}
// end

/// A number from 0 to 1.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

// region: use
async fn shopping(shop: &ShopClient) -> Result<u64, CallError<ShopError>> {
    // The number of the order is made once, outside the closure: all attempts have the same.
    let order = 4711;
    // The deadline is that of one attempt.
    let place = || shop.deadline(Duration::from_secs(10)).order(order, "bread");
    repeated(Repeat::Idempotent, place).await?;
    repeated(Repeat::IfNotRun, || shop.pay(3)).await
}
// end

#[derive(Clone, Default)]
struct Bakery {
    orders: Arc<Mutex<HashMap<u64, String>>>,
    paid: Arc<AtomicU32>,
}

impl Shop for Bakery {
    async fn price(&self, article: String) -> Result<u64, ShopError> {
        match &*article {
            "bread" => Ok(3),
            "cake" => panic!("it fell"),
            "moon" => std::future::pending().await,
            _ => Err(ShopError::NoSuchArticle(article)),
        }
    }

    async fn order(&self, order: u64, article: String) -> Result<u64, ShopError> {
        let mut orders = self.orders.lock().await;
        orders.insert(order, article);
        Ok(orders.len() as u64)
    }

    async fn pay(&self, amount: u64) -> Result<u64, ShopError> {
        self.paid.fetch_add(1, Ordering::Relaxed);
        Ok(amount)
    }
}

#[tokio::test]
async fn failures_are_told_in_sentences() -> Outcome {
    let services = Services::new().with(ShopServer::new(Bakery::default()));
    let (client, server) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services, ..SessionConfig::default() },
    );
    let shop: ShopClient = client.service();
    let said = |error: Option<CallError<ShopError>>| {
        error.map_or_else(|| "nothing".into(), |error| sentence(&error))
    };
    assert_eq!(said(shop.price("beer").await.err()), "We have no beer.");
    assert_eq!(said(shop.pay(shop.price("beer")).await.err()), "We have no beer.");
    assert_eq!(said(shop.price("cake").await.err()), "Something broke in the shop, at Shop.price.");
    let hurried = shop.deadline(Duration::from_millis(5));
    assert_eq!(said(hurried.price("moon").await.err()), "The shop is slow today.");
    server.close().await;
    assert_eq!(said(shop.price("bread").await.err()), "You are offline.");
    Ok(())
}

#[tokio::test]
async fn a_result_that_is_too_large_is_refused_after_the_call_ran() -> Outcome {
    #[rpc]
    trait Copier {
        async fn copy(&self, text: String, times: u32) -> String;
        async fn nest(&self, depth: u32) -> Nest;
    }
    #[data]
    struct Nest(Option<Box<Nest>>);
    struct Counting(Arc<AtomicU32>);
    impl Copier for Counting {
        async fn copy(&self, text: String, times: u32) -> String {
            self.0.fetch_add(1, Ordering::Relaxed);
            text.repeat(times as usize)
        }
        async fn nest(&self, depth: u32) -> Nest {
            self.0.fetch_add(1, Ordering::Relaxed);
            (0..depth).fold(Nest(None), |inner, _| Nest(Some(Box::new(inner))))
        }
    }
    let ran = Arc::<AtomicU32>::default();
    let services = Services::new().with(CopierServer::new(Counting(Arc::clone(&ran))));
    let limits = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    let client = SessionConfig { limits, ..SessionConfig::default() };
    let (client, _server) =
        memory::connect_with(client, SessionConfig { services, ..SessionConfig::default() });
    let copier: CopierClient = client.service();
    let error = copier.copy("text", 1_000).await.err().ok_or("it was returned")?;
    assert!(
        matches!(error, CallError::Refused { refusal: Refusal::ResourceExhausted { .. }, .. }),
        "{error:?}"
    );
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    assert!(!Repeat::IfNotRun.allows(&error));

    // A result that cannot be encoded is told as an argument that is not valid.
    let error = copier.nest(100).await.err().ok_or("it was returned")?;
    let CallError::Refused { refusal: Refusal::InvalidArgument { argument, .. }, .. } = error else {
        return Err(error.into());
    };
    assert_eq!((&*argument, ran.load(Ordering::Relaxed)), ("(result)", 2));
    Ok(())
}

#[tokio::test]
async fn calls_go_on_when_the_server_comes_back() -> Outcome {
    let bakery = Bakery::default();
    let builder = || Server::builder().service(ShopServer::new(bakery.clone()));
    let server = builder().bind("127.0.0.1:0").await?;
    let (address, url, handle) = (server.local_addr()?, server.url()?, server.handle());
    let served = tokio::spawn(server.serve());
    let client = connect(&url).await?;
    let shop: ShopClient = client.service();
    assert_eq!(shopping(&shop).await?, 3);

    handle.shutdown();
    served.await??;
    let shopping = tokio::spawn({
        let shop = shop.clone();
        async move { shopping(&shop).await }
    });
    tokio::spawn(builder().bind(address).await?.serve());
    client.reconnect_now();
    assert_eq!(shopping.await??, 3);
    assert_eq!(bakery.orders.lock().await.len(), 1, "the second order had the number of the first");
    assert_eq!(bakery.paid.load(Ordering::Relaxed), 2);
    assert_eq!(patiently(&shop).await?, shop.price("bread").await?);

    let both = repeated(Repeat::Idempotent, || async {
        shop.price("bread").await?;
        shop.order(4712, "bread").await
    });
    assert_eq!(both.await?, 2);
    let closed = repeated(Repeat::Idempotent, || shop.price("beer")).await;
    assert!(matches!(closed, Err(CallError::Method(ShopError::NoSuchArticle(_)))));
    assert_eq!(sentence(&CallError::Method(ShopError::Closed)), "Come back tomorrow.");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_again_when_it_said() -> Outcome {
    let asked = AtomicU32::new(0);
    let method = rpc_core::MethodName { service: "Shop", method: "price" };
    let busy = || async {
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(CallError::<ShopError>::Refused {
                method,
                refusal: Refusal::ResourceExhausted {
                    limit: "work_per_second".into(),
                    side: rpc_core::Side::Peer,
                    needed: None,
                    allowed: None,
                    retry_after: Some(Duration::from_secs(3)),
                },
            }),
            _ => Ok(7),
        }
    };
    let started = Instant::now();
    assert_eq!(repeated(Repeat::IfNotRun, busy).await?, 7);
    assert_eq!(started.elapsed().as_secs(), 3, "it waited as it was asked to");
    Ok(())
}
