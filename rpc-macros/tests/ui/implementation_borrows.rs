use rpc_core::{data, rpc};

#[data]
pub enum ChatError {
    Nobody,
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<u64, ChatError>;
}

struct Borrowing<'a>(&'a str);
impl Chat for Borrowing<'_> {
    async fn find(&self, _: String) -> Result<u64, ChatError> {
        Ok(self.0.len() as u64)
    }
}

fn main() {}
