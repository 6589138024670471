use rpc_core::{Broadcast, Promise, StreamError, Streaming, rpc};

#[rpc]
pub trait News {
    async fn follow(&self) -> Streaming<String>;
    async fn both(&self, lines: Streaming<String>) -> Streaming<u64>;
}

async fn promised(news: &NewsClient) {
    let mut lines = news.follow();
    while let Some(_) = lines.next().await {}
}

async fn not_mutable(news: &NewsClient) {
    let lines = news.follow().await.unwrap();
    let _ = lines.next().await;
}

async fn not_awaited(news: &NewsClient) {
    let mut lines = news.follow().await.unwrap();
    while let Some(_) = lines.next() {}
}

async fn in_a_for_loop(news: &NewsClient) {
    for line in news.follow().await.unwrap() {
        let _ = line;
    }
}

async fn items_are_results(news: &NewsClient) {
    let mut lines = news.follow().await.unwrap();
    while let Some(line) = lines.next().await {
        let _: String = line;
    }
}

async fn error_is_wrapped(news: &NewsClient) -> Result<(), StreamError<String>> {
    let mut lines = news.follow().await.unwrap();
    while let Some(line) = lines.next().await {
        let _ = line?;
    }
    Ok(())
}

async fn read_and_passed(news: &NewsClient) {
    let mut lines = news.follow().await.unwrap();
    let _ = news.both(lines).await;
    let _ = lines.next().await;
}

async fn cloned(news: &NewsClient) {
    let lines = news.follow().await.unwrap();
    let _ = news.both(lines.clone()).await;
}

async fn by_reference(news: &NewsClient) {
    let lines = news.follow().await.unwrap();
    let _ = news.both(&lines).await;
}

async fn collected(news: &NewsClient) {
    let lines = news.follow().await.unwrap();
    let _: Vec<String> = lines.collect().await;
}

struct Paper;
impl News for Paper {
    async fn follow(&self) -> Streaming<String> {
        vec!["one".to_owned()]
    }
    async fn both(&self, _: Streaming<String>) -> Streaming<u64> {
        Streaming::new([1, 2, 3])
    }
}

fn mapped(news: &NewsClient) -> Promise<Vec<u64>, String> {
    news.follow().map(|line| line.len())
}

fn broadcast_of_another_type(broadcast: &Broadcast<u64>) {
    broadcast.send("one");
}

fn main() {}
