use rpc_core::{Context, rpc};

#[rpc]
pub trait Chat {
    async fn who(&self, #[rpc(context)] cx: Context) -> String;
    #[rpc(oneway)]
    async fn log(&self, line: String);
}

struct Copied;

impl Chat for Copied {
    async fn who(&self, cx: Context) -> String {
        let _ = cx;
        String::new()
    }
    #[rpc(oneway)]
    async fn log(&self, _: String) {}
}

struct Marked;

#[rpc]
impl Chat for Marked {
    async fn who(&self, #[rpc(context)] cx: Context) -> String {
        let _ = cx;
        String::new()
    }
    #[rpc(oneway)]
    async fn log(&self, _: String) {}
}

fn main() {}
