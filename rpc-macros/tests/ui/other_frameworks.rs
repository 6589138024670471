use rpc_core::rpc;

#[rpc(server, client)]
pub trait Jsonrpsee {
    #[method(name = "find")]
    async fn find(&self, name: String) -> Result<u64, String>;
}

#[rpc]
pub trait AsyncTraitFirst {
    // What `#[async_trait]` above `#[rpc]` leaves.
    fn find<'life0, 'async_trait>(
        &'life0 self,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait;
}

#[rpc]
pub trait JsonrpseeNews {
    #[subscription(name = "news" => "item", item = String)]
    async fn news(&self) -> u64;
}

#[rpc]
pub trait Subscribing {
    #[rpc(subscription = "news")]
    async fn news(&self);
}

#[rpc]
pub trait Tarpc {
    async fn hello(name: String) -> String;
}

#[rpc]
pub trait TarpcHandler {
    async fn hello(self, cx: Context, name: String) -> String;
}

#[rpc]
pub trait Tonic {
    async fn say(&self, request: tonic::Request<u64>) -> Result<tonic::Response<u64>, tonic::Status>;
}

pub mod tonic {
    pub struct Request<T>(T);
    pub struct Response<T>(T);
    pub struct Status;
}

#[rpc]
#[async_trait]
pub trait AsyncTrait {
    async fn find(&self) -> u64;
}

#[rpc]
pub trait Timed {
    #[rpc(timeout = "5s")]
    async fn find(&self) -> u64;
    #[rpc(stream)]
    async fn follow(&self) -> u64;
    #[rpc(name = "x", idempotent, retry = 3)]
    async fn again(&self) -> u64;
}

fn main() {}
