use rpc_core::{Context, rpc};

#[rpc]
pub trait Chat {
    async fn who(&self, #[rpc(context)] cx: Context) -> String;
}

struct Rooms;

// rustc reads attributes of parameters before any macro can.
impl Chat for Rooms {
    async fn who(&self, #[rpc(context)] cx: Context) -> String {
        let _ = cx;
        String::new()
    }
}

fn main() {}
