//! Three ways for a server to tell its clients news: a stream, a broadcast, a callback.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, stream};
use rpc_client::{Client, CloseReason};
use rpc_core::{Broadcast, CallError, Context, Slow, StreamError, Streaming, data, join_all, rpc};
use rpc_server::Server;

use super::Outcome;

// region: api
#[rpc]
trait Market {
    /// Counts down, for this caller alone.
    async fn countdown(&self, from: u32, #[rpc(context)] cx: Context) -> Streaming<u32>;
    /// Every price from now on, and the last one.
    async fn prices(&self) -> Feed;
    /// The newest price, for a display.
    async fn ticker(&self) -> Streaming<Price>;
    /// Asks the watcher before each price is published.
    async fn watch(&self, watcher: WatcherClient);
}

/// Implemented by clients.
#[rpc]
trait Watcher {
    async fn agrees(&self, price: Price) -> bool;
}

#[data]
struct Feed {
    last: Option<Price>,
    next: Streaming<Price>,
}

#[data]
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price(u64);
// end

#[derive(Clone, Default)]
struct Exchange {
    prices: Broadcast<Price>,
    last: Arc<Mutex<Option<Price>>>,
    watchers: Arc<tokio::sync::Mutex<Vec<WatcherClient>>>,
}

// region: server
impl Market for Exchange {
    async fn countdown(&self, from: u32, cx: Context) -> Streaming<u32> {
        let numbers = stream::iter((0..from).rev()).then(async |number| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            number
        });
        // Complete when the session closes, instead of cut.
        Streaming::new(numbers.take_until(cx.closing()))
    }

    async fn prices(&self) -> Feed {
        // Prices are sent under this lock: none is lost between `last` and `next`, and none comes twice.
        let last = self.last.lock().expect("nothing panics while it holds the lock");
        Feed { last: *last, next: self.prices.subscribe(100, Slow::DropOldest) }
    }

    async fn ticker(&self) -> Streaming<Price> {
        self.prices.subscribe(1, Slow::Latest)
    }

    async fn watch(&self, watcher: WatcherClient) {
        self.watchers.lock().await.push(watcher);
    }
}
// end

// region: publish
impl Exchange {
    /// Publishes a price, unless a watcher disagrees. Says whether it was published.
    async fn publish(&self, price: Price) -> bool {
        // Held while the watchers are asked, so that prices are published one after the other.
        let mut watchers = self.watchers.lock().await;
        let votes = watchers.iter().map(|watcher| watcher.deadline(Duration::from_secs(10)).agrees(price));
        let votes = join_all(votes).await;
        let mut gone = votes.iter().map(|vote| matches!(vote, Err(CallError::Disconnected { .. })));
        watchers.retain(|_| !gone.next().unwrap_or(false));
        // A watcher that cannot be asked has no vote.
        if votes.iter().any(|vote| matches!(vote, Ok(false))) {
            return false;
        }
        let mut last = self.last.lock().expect("nothing panics while it holds the lock");
        *last = Some(price);
        self.prices.try_send(&price).is_ok()
    }
}
// end

// region: client
/// Reads prices until the market ends them. Returns the last one and the number of those that were left out.
async fn follow(
    market: &MarketClient,
) -> Result<(Option<Price>, u64), Box<dyn std::error::Error + Send + Sync>> {
    let Feed { mut last, mut next } = market.prices().await?;
    let mut missed = 0;
    while let Some(price) = next.next().await {
        match price {
            Ok(price) => last = Some(price),
            // This reader was too slow; the stream goes on.
            Err(StreamError::Missed { count }) => missed += count,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((last, missed))
}

struct Careful {
    most: u64,
}

impl Watcher for Careful {
    async fn agrees(&self, price: Price) -> bool {
        price.0 <= self.most
    }
}

/// Has a vote for as long as `Client` lives: a callback alone keeps no connection open.
async fn watch(client: &Client, most: u64) -> Result<(), CallError<rpc_core::Never>> {
    let market: MarketClient = client.service();
    market.watch(WatcherClient::local(Careful { most })).await
}
// end

async fn serve(exchange: &Exchange) -> Result<(String, rpc_server::ServerHandle), std::io::Error> {
    let service = MarketServer::new(exchange.clone());
    let server = Server::builder().service(service).bind("127.0.0.1:0").await?;
    let (url, handle) = (server.url()?, server.handle());
    tokio::spawn(server.serve());
    Ok((url, handle))
}

#[tokio::test]
async fn a_watcher_has_a_vote_until_it_is_gone() -> Outcome {
    let exchange = Exchange::default();
    let (url, _) = serve(&exchange).await?;
    let client = Client::connect(&url).await?;
    watch(&client, 100).await?;
    assert!(exchange.publish(Price(7)).await);
    assert!(!exchange.publish(Price(700)).await);
    client.close().await;
    assert!(exchange.publish(Price(800)).await);
    assert!(exchange.watchers.lock().await.is_empty());
    Ok(())
}

#[tokio::test]
async fn subscribers_end_in_good_order_when_the_server_does() -> Outcome {
    let exchange = Exchange::default();
    let (url, server) = serve(&exchange).await?;
    exchange.publish(Price(1)).await;
    let client = Client::builder().without_reconnect().connect(&url).await?;
    let market: MarketClient = client.service();
    let mut ticker = market.ticker().await?;
    let mut countdown = market.countdown(1_000).await?;
    let following = tokio::spawn(async move { follow(&market).await });
    while exchange.prices.subscribers() < 2 {
        tokio::task::yield_now().await;
    }
    exchange.publish(Price(2)).await;
    assert_eq!(ticker.next().await.transpose()?, Some(Price(2)));
    exchange.publish(Price(3)).await;
    // region: end
    // Complete for all subscribers, behind the prices sent so far. Without it they are cut after two seconds without a price.
    exchange.prices.close();
    server.shutdown();
    // end
    assert_eq!(following.await??, (Some(Price(3)), 0));
    assert!(countdown.next().await.is_none(), "`closing` ended it");
    assert_eq!(ticker.next().await.transpose()?, Some(Price(3)));
    assert!(ticker.next().await.is_none());
    assert!(matches!(client.closed().await, CloseReason::Peer { code: 1001, .. }));
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_it_missed() -> Outcome {
    let prices = Broadcast::<Price>::new();
    let (mut patient, mut hasty) =
        (prices.subscribe(2, Slow::DropOldest), prices.subscribe(2, Slow::Disconnect));
    for price in 0..5 {
        prices.try_send(&Price(price))?;
    }
    assert!(matches!(patient.next().await, Some(Err(StreamError::Missed { count: 3 }))));
    assert_eq!(patient.next().await.transpose()?, Some(Price(3)));
    assert_eq!(hasty.next().await.transpose()?, Some(Price(0)));
    assert_eq!(hasty.next().await.transpose()?, Some(Price(1)));
    assert!(matches!(hasty.next().await, Some(Err(StreamError::Broken { .. }))));
    assert!(hasty.next().await.is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_its_own_waits_for_its_reader() -> Outcome {
    let market = MarketClient::local(Exchange::default());
    let mut countdown = market.countdown(3).await?;
    let mut numbers = Vec::new();
    while let Some(number) = countdown.next().await {
        numbers.push(number?);
    }
    assert_eq!(numbers, [2, 1, 0]);
    Ok(())
}
