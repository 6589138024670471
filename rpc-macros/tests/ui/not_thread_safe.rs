use std::cell::Cell;

use rpc_core::rpc;

#[rpc]
pub trait Chat {
    async fn count(&self) -> u64;
}

struct Rooms(Cell<u64>);

impl Chat for Rooms {
    async fn count(&self) -> u64 {
        self.0.get()
    }
}

fn main() {}
