use rpc_core::{data, rpc};

pub struct ChatClient;

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> u64;
}

#[rpc]
pub trait Twice {
    async fn find(&self, name: String) -> u64;
    async fn find(&self, id: u64) -> u64;
}

#[data]
pub struct User {
    pub id: u64,
    pub id: u64,
}

fn main() {}
