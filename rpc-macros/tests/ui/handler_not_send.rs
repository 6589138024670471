use std::rc::Rc;

use rpc_core::rpc;

#[rpc]
pub trait Chat {
    async fn count(&self) -> u64;
}

struct Rooms;

impl Chat for Rooms {
    async fn count(&self) -> u64 {
        let rc = Rc::new(1);
        std::future::ready(()).await;
        *rc
    }
}

fn main() {}
