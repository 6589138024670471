use rpc_core::{__private::serde, Never, Pipelined, Promise, rpc};

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(crate = "rpc_core::__private::serde")]
pub struct Plain {
    pub id: u64,
}

#[rpc]
pub trait Chat {
    async fn find(&self) -> Plain;
}

fn uses(chat: &ChatClient) {
    let _ = chat.find().id();
}

fn needs_a_pipe<T: Pipelined>(_: Promise<T, Never>) {}

fn explained(chat: &ChatClient) {
    needs_a_pipe(chat.find());
}

fn main() {}
