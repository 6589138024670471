use rpc_core::{Context, rpc};

#[rpc]
pub trait Chat {
    async fn argument(&self, name: String) -> u64;
    async fn result(&self) -> Result<u64, String>;
    async fn context(&self, #[rpc(context)] cx: Context);
    async fn missing(&self);
}

struct Rooms;

impl Chat for Rooms {
    async fn argument(&self, name: &str) -> u64 {
        1
    }
    async fn result(&self) -> u64 {
        1
    }
    async fn context(&self) {}
}

struct Other(std::cell::Cell<u8>);

fn main() {
    let _ = ChatServer::new(Other(Default::default()));
}
