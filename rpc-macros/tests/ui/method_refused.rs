use std::sync::Arc;

use rpc_core::rpc;

#[rpc]
pub trait Chat {
    async fn good(&self, id: u64) -> u8;
    async fn generic<T>(&self, id: u64);
    async fn lifetime<'a>(&self, id: u64);
    async fn bounded(&self, id: u64)
    where
        Self: Sized;
    async fn body(&self) -> u8 {
        1
    }
    fn blocking(&self) -> u8;
    async fn nothing(id: u64);
    async fn consumed(self);
    async fn changed(&mut self);
    async fn shared(self: Arc<Self>);
    async fn named(&'static self);
    async fn pattern(&self, (left, right): (u8, u8));
    async fn ignored(&self, _: u8);
    async fn changing(&self, mut id: u8);
    async unsafe fn dangerous(&self);
    async extern "C" fn foreign(&self);
    async fn conditional(&self, #[cfg(unix)] id: u8);
}

struct Here;

// Refused methods stay in the trait: none of these is a second mistake.
impl Chat for Here {
    async fn good(&self, _: u64) -> u8 {
        1
    }
    async fn generic<T>(&self, _: u64) {}
    async fn lifetime<'a>(&self, _: u64) {}
    async fn bounded(&self, _: u64) {}
    fn blocking(&self) -> u8 {
        1
    }
    async fn nothing(_: u64) {}
    async fn consumed(self) {}
    async fn changed(&mut self) {}
    async fn shared(self: Arc<Self>) {}
    async fn named(&'static self) {}
    async fn pattern(&self, (_, _): (u8, u8)) {}
    async fn ignored(&self, _: u8) {}
    async fn changing(&self, mut id: u8) {
        id += 1;
        let _ = id;
    }
    async unsafe fn dangerous(&self) {}
    async extern "C" fn foreign(&self) {}
    async fn conditional(&self, #[cfg(unix)] _: u8) {}
}

fn the_rest_is_still_there(client: &ChatClient) {
    let _ = client.good(1);
    let _ = ChatServer::new(Here);
}

#[rpc]
pub trait Constant {
    const fn constant(&self) -> u8;
}

#[rpc]
pub trait Variadic {
    async fn variadic(&self, rest: ...);
}

fn main() {}
