use std::{future::Future, pin::Pin};

use rpc_core::{
    __private::futures::{Stream, future::BoxFuture, stream::BoxStream},
    rpc,
};

pub mod mpsc {
    pub struct Receiver<T>(T);
}

#[rpc]
pub trait News {
    async fn follow(&self) -> impl Stream<Item = String>;
    async fn upload(&self, lines: impl Stream<Item = Vec<u8>> + Send) -> u64;
    async fn boxed(&self) -> Box<dyn Stream<Item = u64> + Send>;
    async fn pinned(&self) -> Result<Pin<Box<dyn Stream<Item = u64> + Send>>, String>;
    async fn named(&self) -> BoxStream<'static, u64>;
    async fn channel(&self) -> mpsc::Receiver<String>;
    async fn items(&self) -> impl Iterator<Item = u64>;
    async fn later(&self) -> impl Future<Output = u64>;
    async fn boxed_later(&self) -> BoxFuture<'static, u64>;
}

fn main() {}
