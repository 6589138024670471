use rpc_core::{Context, rpc};

#[rpc(idempotent)]
pub trait Level {}

#[rpc(nmae = "chat")]
pub trait Unknown {}

#[rpc(name = "chat", name = "room")]
pub trait Twice {}

#[rpc(name = "")]
pub trait EmptyName {}

#[rpc(name = chat)]
pub trait NotAString {}

#[rpc(crate = 3)]
pub trait NotAPath {}

#[rpc(ordered = true)]
pub trait Valued {}

#[rpc(name "chat")]
pub trait Syntax {}

#[rpc]
pub trait Chat {
    #[rpc(ordered)]
    async fn level(&self);
    #[rpc(retry)]
    async fn unknown(&self);
    #[rpc(idempotent)]
    #[rpc(idempotent)]
    async fn twice(&self);
    #[rpc(name = "")]
    async fn empty(&self);
    #[rpc(name)]
    async fn nameless(&self);
    #[rpc]
    async fn bare(&self);
    #[rpc(oneway = true)]
    async fn valued(&self);
    async fn parameter(&self, #[rpc(name = "x")] id: u8);
    async fn bare_parameter(&self, #[rpc] cx: Context);
    async fn same(&self);
    #[rpc(name = "same")]
    async fn other(&self);
}

struct Here;

impl Chat for Here {
    async fn level(&self) {}
    async fn unknown(&self) {}
    async fn twice(&self) {}
    async fn empty(&self) {}
    async fn nameless(&self) {}
    async fn bare(&self) {}
    async fn valued(&self) {}
    async fn parameter(&self, _: u8) {}
    async fn bare_parameter(&self, _: Context) {}
    async fn same(&self) {}
    async fn other(&self) {}
}

fn main() {}
