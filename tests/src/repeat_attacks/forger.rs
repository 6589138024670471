//! Servers of their own make, which answer a client's calls as the test wants it.

use futures::{SinkExt, future::join_all};
use rpc_core::{CallError, CloseReason, Delivery, Refusal, Retry, ServiceClient};
use tokio::{net::TcpListener, time::timeout};
use tokio_tungstenite::tungstenite::{Message, handshake::server::Response};

use super::*;
use crate::attacks::stranger::{Reader, put_varint};

/// A server that answers each call at once with some frames.
struct Forger {
    url: String,
    calls: Arc<AtomicUsize>,
}

impl Forger {
    /// `answer` gets the number of the call, from 0, and the ids of all calls so far.
    async fn start(answer: impl Fn(usize, &[u64]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let calls = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&calls);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, Arc::clone(&answer), Arc::clone(&counted)));
            }
        });
        Self { url, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn client(&self) -> (Client, ChoresClient) {
        let client = Client::connect(&self.url).await.unwrap();
        let chores = client.service();
        (client, chores)
    }
}

#[allow(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
async fn converse(
    stream: tokio::net::TcpStream,
    answer: Arc<impl Fn(usize, &[u64]) -> Vec<u8>>,
    calls: Arc<AtomicUsize>,
) {
    let named = |_: &_, mut response: Response| {
        response.headers_mut().insert("sec-websocket-protocol", "rpc.v1".parse().unwrap());
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, named).await else { return };
    let mut ids = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(message) = message else { continue };
        let mut reader = Reader(&message);
        let mut out = Vec::new();
        while !reader.0.is_empty() {
            match reader.byte() {
                0x01 => {
                    out.extend(welcome());
                    reader.0 = skip_hello(reader.0);
                }
                0x03 => {
                    reader.varint();
                    reader.bytes();
                    reader.bytes();
                    reader.0 = &reader.0[8..];
                }
                0x04 => {
                    ids.push(read_call(&mut reader));
                    let number = calls.fetch_add(1, Ordering::SeqCst);
                    out.extend(answer(number, &ids));
                }
                0x06 | 0x0a..=0x0d => _ = reader.varint(),
                0x07 => (0..reader.varint()).for_each(|_| _ = reader.varint()),
                // A goodbye.
                _ => return,
            }
        }
        if !out.is_empty() && socket.send(Message::binary(out)).await.is_err() {
            return;
        }
    }
}

/// A new session, with the resume feature and high limits.
fn welcome() -> Vec<u8> {
    let mut out = vec![0x02, 1, 1, 1, 0];
    [1 << 20, 64 << 20, 64 << 20, 1 << 10, 1 << 20].into_iter().for_each(|limit| put_varint(&mut out, limit));
    out.push(0);
    out
}

fn skip_hello(hello: &[u8]) -> &[u8] {
    // Magic, version, features, codec, id, secret.
    let mut reader = Reader(&hello[4 + 3 + 16 + 32..]);
    assert_eq!(reader.byte(), 0, "a new session");
    (0..5).for_each(|_| _ = reader.varint());
    reader.bytes();
    reader.0
}

/// A call of a service at the root.
fn read_call(reader: &mut Reader<'_>) -> u64 {
    let (id, flags) = (reader.varint(), reader.byte());
    assert_eq!(reader.varint(), 0, "the target is a service");
    reader.varint();
    if flags & 0x08 != 0 {
        reader.varint();
    }
    assert_eq!(flags & 0x70, 0);
    if flags & 0x80 != 0 {
        for _ in 0..reader.varint() {
            reader.varint();
            reader.bytes();
        }
    }
    reader.bytes();
    id
}

fn returned(id: u64, status: &[u8]) -> Vec<u8> {
    let mut out = vec![0x05];
    put_varint(&mut out, id);
    out.extend(status);
    out
}

fn value(id: u64, number: u8) -> Vec<u8> {
    returned(id, &[0x01, 1, number])
}

/// A refusal by a limit of the server, with the time to come again.
fn refused(id: u64, retry_after_ms: u64) -> Vec<u8> {
    let mut status = vec![0x04, 0x06, 5];
    status.extend(b"calls");
    status.extend([0, 0, 0]);
    put_varint(&mut status, retry_after_ms);
    returned(id, &status)
}

fn unavailable(id: u64) -> Vec<u8> {
    returned(id, &[0x04, 0x07])
}

fn last(ids: &[u64]) -> u64 {
    *ids.last().unwrap()
}

// ---- refusals without end ----

#[tokio::test]
async fn a_server_that_refuses_every_call_is_asked_as_often_as_the_policy_says() {
    type Answer = fn(usize, &[u64]) -> Vec<u8>;
    let answers: [(Answer, usize); 3] = [
        // Without a time it is not known that the call did not run.
        (|_, ids| refused(last(ids), 0), 1),
        (|_, ids| refused(last(ids), 1), 4),
        (|_, ids| unavailable(last(ids)), 4),
    ];
    for (answer, attempts) in answers {
        let forger = Forger::start(answer).await;
        let (_client, chores) = forger.client().await;
        let error = timeout(PATIENCE, chores.plain(1)).await.expect("it ends").unwrap_err();
        assert!(matches!(&error, CallError::Refused { .. }), "{error:?}");
        assert_eq!(forger.calls(), attempts);
        // A method that is not idempotent is not repeated unless the caller wants that.
        timeout(PATIENCE, chores.pay(1)).await.expect("it ends").unwrap_err();
        assert_eq!(forger.calls(), attempts + 1);
        let twice = chores.retry(Retry { attempts: 2, ..Retry::default() });
        timeout(PATIENCE, twice.pay(1)).await.expect("it ends").unwrap_err();
        assert_eq!(forger.calls(), attempts + 1 + attempts.min(2));
    }
}

#[tokio::test]
async fn a_call_that_is_to_come_again_in_years_holds_up_nothing() {
    for years in [40 * 365 * 86_400_000, 1 << 60, u64::MAX] {
        let forger = Forger::start(move |number, ids| match number {
            0 | 2 => refused(last(ids), years),
            _ => value(last(ids), 9),
        })
        .await;
        let (client, chores) = forger.client().await;
        let resting = tokio::spawn(chores.plain(1).into_future());
        eventually("it is refused", || forger.calls() == 1).await;
        assert_eq!(timeout(PATIENCE, chores.plain(2)).await.unwrap().unwrap(), 9);
        // One whose deadline is earlier fails at once.
        let soon = chores.deadline(Duration::from_secs(3_600)).plain(3);
        let error = timeout(PATIENCE, soon).await.expect("it does not wait").unwrap_err();
        let told = match &error {
            CallError::Refused { refusal: Refusal::ResourceExhausted { retry_after, .. }, .. } => {
                *retry_after
            }
            other => panic!("{other:?}"),
        };
        assert!(told.is_some_and(|told| told >= Duration::from_secs(86_400)), "{told:?}");
        assert!(!resting.is_finished());
        timeout(PATIENCE, client.close()).await.expect("it closes");
        let error = timeout(PATIENCE, resting).await.expect("it is told").unwrap().unwrap_err();
        assert!(
            matches!(&error, CallError::Disconnected { delivery: Delivery::NotSent, .. }),
            "{years}: {error:?}"
        );
        assert_eq!(forger.calls(), 3);
    }
}

#[tokio::test]
async fn a_call_that_rests_can_be_dropped() {
    let forger = Forger::start(|number, ids| match number {
        0 => refused(last(ids), u64::MAX),
        _ => value(last(ids), 9),
    })
    .await;
    let (client, chores) = forger.client().await;
    let resting = tokio::spawn(chores.plain(1).into_future());
    eventually("it is refused", || forger.calls() == 1).await;
    assert_eq!(timeout(PATIENCE, chores.plain(2)).await.unwrap().unwrap(), 9);
    resting.abort();
    assert!(resting.await.unwrap_err().is_cancelled());
    assert_eq!(timeout(PATIENCE, chores.plain(3)).await.unwrap().unwrap(), 9);
    assert_eq!(client.stats().await.calls_remembered, 0);
}

#[tokio::test]
async fn ten_thousand_refused_calls_come_again() {
    const CALLS: usize = 10_000;
    let forger = Forger::start(|number, ids| match number {
        ..CALLS => refused(last(ids), 1),
        _ => value(last(ids), 9),
    })
    .await;
    let (client, chores) = forger.client().await;
    let calls: Vec<_> = (0..CALLS).map(|_| chores.plain(1)).collect();
    let all = timeout(PATIENCE, join_all(calls.into_iter().map(IntoFuture::into_future))).await;
    let all = all.expect("they come again in time");
    assert!(all.iter().all(|result| matches!(result, Ok(9))));
    assert_eq!(forger.calls(), 2 * CALLS);
    assert_eq!(client.stats().await.calls_remembered, 0);
}

// ---- answers that nobody asked for ----

#[tokio::test]
async fn an_answer_to_a_call_that_was_refused_before_is_a_violation() {
    let forger = Forger::start(|number, ids| match number {
        0 => refused(last(ids), 1),
        // The first attempt, which has returned, and the second.
        _ => [value(ids[0], 7), value(last(ids), 9)].concat(),
    })
    .await;
    let (client, chores) = forger.client().await;
    let error = timeout(PATIENCE, chores.plain(1)).await.expect("it ends").unwrap_err();
    assert!(matches!(&error, CallError::Disconnected { reason: CloseReason::Violation(_), .. }), "{error:?}");
    assert!(matches!(timeout(PATIENCE, client.closed()).await, Ok(CloseReason::Violation(_))));
}
