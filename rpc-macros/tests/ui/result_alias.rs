use rpc_core::{data, rpc};

#[data]
pub enum ChatError {
    Nobody,
}

pub type ChatResult<T> = Result<T, ChatError>;
pub type Done = Result<(), ChatError>;

#[rpc]
pub trait Generic {
    async fn find(&self, name: String) -> ChatResult<u64>;
}

#[rpc]
pub trait Whole {
    async fn leave(&self) -> Done;
}

fn main() {}
