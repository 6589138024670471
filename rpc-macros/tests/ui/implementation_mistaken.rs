use std::{future::Future, pin::Pin, sync::Mutex};

use rpc_core::{data, rpc};

#[data]
pub enum ChatError {
    Nobody,
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<u64, ChatError>;
}

struct Changing(u64);
impl Chat for Changing {
    async fn find(&mut self, _: String) -> Result<u64, ChatError> {
        self.0 += 1;
        Ok(self.0)
    }
}

struct Blocking;
impl Chat for Blocking {
    fn find(&self, _: String) -> Result<u64, ChatError> {
        Ok(1)
    }
}

struct Boxed;
impl Chat for Boxed {
    fn find(&self, _: String) -> Pin<Box<dyn Future<Output = Result<u64, ChatError>>>> {
        Box::pin(async { Ok(1) })
    }
}

struct Other;
impl Chat for Other {
    async fn find(&self, _: String) -> Result<u64, String> {
        Err("nobody".into())
    }
}

struct Additional;
impl Chat for Additional {
    async fn find(&self, _: String) -> Result<u64, ChatError> {
        Ok(1)
    }
    async fn helper(&self) {}
}

struct Locking(Mutex<u64>);
impl Chat for Locking {
    async fn find(&self, _: String) -> Result<u64, ChatError> {
        let guard = self.0.lock().map_err(|_| ChatError::Nobody)?;
        std::future::ready(()).await;
        Ok(*guard)
    }
}

struct Renamed;
impl ChatServer for Renamed {
    async fn find(&self, _: String) -> Result<u64, ChatError> {
        Ok(1)
    }
}

fn main() {}
