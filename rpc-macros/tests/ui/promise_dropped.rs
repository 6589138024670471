#![deny(unused_must_use)]

use rpc_core::{Streaming, rpc};

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> u64;
    async fn lines(&self) -> Streaming<String>;
    #[rpc(oneway)]
    async fn note(&self, line: String);
}

async fn forgets(chat: &ChatClient) {
    chat.find("ann");
    chat.note("ann is looked for");
    chat.find("bob").await;
    let mut lines = chat.lines().await.unwrap();
    lines.next();
}

fn main() {}
