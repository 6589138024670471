use rpc_core::{Promise, data, rpc};

#[data]
pub struct User {
    pub id: u64,
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<User, String>;
    async fn profile(&self, id: u64) -> Result<User, String>;
}

fn calls(chat: &ChatClient, name: Promise<String, String>) {
    let _ = chat.find(7);
    let _ = chat.profile(name);
    let _ = chat.profile(chat.find("ann"));
    let _ = chat.profile();
}

fn main() {}
