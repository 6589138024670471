use rpc_core::rpc;

pub struct Plain;

#[rpc]
pub trait Chat {
    async fn takes(&self, plain: Plain);
    async fn gives(&self) -> Plain;
    async fn fails(&self) -> Result<u8, Plain>;
    async fn context(&self, #[rpc(context)] cx: u8);
    async fn context_reference(&self, #[rpc(context)] cx: &String);
}

fn main() {}
