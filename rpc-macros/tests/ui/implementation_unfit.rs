use rpc_core::{data, rpc};

#[data]
pub enum ChatError {
    Nobody,
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<u64, ChatError>;
}

struct Inherent;
impl Inherent {
    async fn find(&self, _: String) -> Result<u64, ChatError> {
        Ok(1)
    }
}

fn the_trait_is_not_implemented() {
    let _ = ChatServer::new(Inherent);
}

fn nor_for_a_local_object() {
    let _ = ChatClient::local(Inherent);
}

fn main() {}
