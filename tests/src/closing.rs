//! A server that shuts down: who hears of it, what it waits for, and what those are told whom it cuts off.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, stream};
use rpc_client::Client;
use rpc_core::{
    CloseReason, Context, Limits, Services, SessionHandle, StreamError, Streaming, driver::SessionConfig,
    memory, rpc,
};
use rpc_server::Server;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

#[rpc]
trait News {
    /// Never has an item.
    async fn silent(&self) -> Streaming<u64>;
    /// An item each second, without an end.
    async fn ticking(&self) -> Streaming<u64>;
    /// One item, and no end until the session closes.
    async fn polite(&self, #[rpc(context)] cx: Context) -> Streaming<u64>;
    /// Returns when the session closes.
    async fn waiting(&self, #[rpc(context)] cx: Context) -> bool;
    /// Tells the test when it hears of the close.
    #[rpc(oneway, no_cancel)]
    async fn linger(&self, #[rpc(context)] cx: Context);
    /// Counts the items, and tells the test of each.
    async fn count(&self, items: Streaming<u64>) -> u64;
}

#[derive(Clone, Default)]
struct Desk {
    heard: Arc<Notify>,
    ended: Arc<AtomicUsize>,
}

/// A stream that counts its end.
struct Counted<S>(S, Arc<AtomicUsize>);

impl<S: Stream + Unpin> Stream for Counted<S> {
    type Item = S::Item;
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl News for Desk {
    async fn silent(&self) -> Streaming<u64> {
        Streaming::new(Counted(stream::pending(), Arc::clone(&self.ended)))
    }
    async fn ticking(&self) -> Streaming<u64> {
        Streaming::new(Box::pin(stream::unfold(0, |tick| async move {
            sleep(Duration::from_secs(1)).await;
            Some((tick, tick + 1))
        })))
    }
    async fn polite(&self, cx: Context) -> Streaming<u64> {
        let items = stream::iter([7]).chain(stream::pending());
        Streaming::new(items.take_until(Box::pin(cx.closing())))
    }
    async fn waiting(&self, cx: Context) -> bool {
        let before = cx.is_closing();
        cx.closing().await;
        !before && cx.is_closing()
    }
    async fn linger(&self, cx: Context) {
        cx.closing().await;
        self.heard.notify_one();
    }
    async fn count(&self, mut items: Streaming<u64>) -> u64 {
        let mut count = 0;
        while let Some(Ok(_)) = items.next().await {
            count += 1;
            self.heard.notify_one();
        }
        count
    }
}

fn newsroom() -> (SessionHandle, SessionHandle, Desk) {
    let desk = Desk::default();
    let services = Services::new().with(NewsServer::new(desk.clone()));
    let (client, server) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services, ..SessionConfig::default() },
    );
    (client, server, desk)
}

#[tokio::test(start_paused = true)]
async fn handlers_and_streams_hear_of_the_close_and_end_in_good_order() {
    let (client, server, _) = newsroom();
    let news: NewsClient = client.service();
    let mut polite = news.polite().await.unwrap();
    assert_eq!(polite.next().await.unwrap().unwrap(), 7);
    let waiting = tokio::spawn(news.waiting().into_future());
    drop(news.ticking().await.unwrap());
    let began = Instant::now();
    server.close().await;
    assert!(waiting.await.unwrap().unwrap());
    assert!(polite.next().await.is_none(), "it ended, and was not cut off");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_is_heard_of_as_well() {
    let (client, _server, desk) = newsroom();
    let news: NewsClient = client.service();
    news.linger().unwrap();
    assert!(news.waiting().into_future().now_or_never().is_none());
    client.close().await;
    desk.heard.notified().await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_do_not_move_do_not_hold_up_a_close() {
    let (client, server, desk) = newsroom();
    let news: NewsClient = client.service();
    let mut silent = news.silent().await.unwrap();
    assert!(futures::poll!(silent.next()).is_pending());
    let began = Instant::now();
    server.close().await;
    let taken = began.elapsed();
    assert!(taken >= Duration::from_secs(2) && taken < Duration::from_secs(3), "{taken:?}");
    let Some(Err(StreamError::Disconnected(CloseReason::Peer { code, text }))) = silent.next().await else {
        panic!("it ended otherwise")
    };
    assert_eq!((code, &text[..]), (1001, "the server is shutting down"));
    assert_eq!(desk.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn streams_that_move_have_the_whole_time_of_a_close() {
    let (client, server, _) = newsroom();
    let news: NewsClient = client.service();
    let (mut silent, mut ticking) = rpc_core::try_join!(news.silent(), news.ticking()).unwrap();
    let began = Instant::now();
    let closing = tokio::spawn(async move { server.close().await });
    let mut ticks = 0;
    let reason = loop {
        match ticking.next().await {
            Some(Ok(_)) => ticks += 1,
            Some(Err(StreamError::Disconnected(reason))) => break reason,
            other => panic!("{other:?}"),
        }
    };
    closing.await.unwrap();
    let timeout = Limits::default().close_timeout;
    assert!(began.elapsed() >= timeout && began.elapsed() < timeout + Duration::from_secs(3));
    assert!((28..=31).contains(&ticks), "{ticks}");
    assert_eq!(reason.to_string(), "closed by the peer (code 1001): the server is shutting down");
    assert!(matches!(silent.next().await, Some(Err(StreamError::Disconnected(_)))), "the other moved");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_moves_has_the_whole_time_of_a_close_too() {
    let (client, server, desk) = newsroom();
    let news: NewsClient = client.service();
    let numbers = stream::unfold(0, |number| async move {
        sleep(Duration::from_secs(3)).await;
        (number < 5).then_some((number, number + 1))
    });
    let count = tokio::spawn(news.count(Streaming::new(Box::pin(numbers))).into_future());
    desk.heard.notified().await;
    server.close().await;
    assert_eq!(count.await.unwrap().unwrap(), 5);
}

#[tokio::test]
async fn subscribers_of_a_server_that_shuts_down_are_told_so_in_words() {
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let listening = Server::builder()
        .limits(limits)
        .service(NewsServer::new(Desk::default()))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let (url, handle) = (listening.url().unwrap(), listening.handle());
    let served = tokio::spawn(listening.serve());
    let client = Client::builder().without_reconnect().connect(&url).await.unwrap();
    let news: NewsClient = client.service();
    let mut silent = news.silent().await.unwrap();
    handle.shutdown();
    served.await.unwrap().unwrap();
    let Some(Err(StreamError::Disconnected(reason))) = silent.next().await else {
        panic!("it ended otherwise")
    };
    assert_eq!(reason.to_string(), "closed by the peer (code 1001): the server is shutting down");
    assert_eq!(client.closed().await.to_string(), reason.to_string());
}
