use std::{rc::Rc, sync::Arc};

use rpc_core::rpc;

#[rpc]
pub trait Room {
    async fn title(&self) -> String;
}

pub mod rooms {
    pub trait Cellar {}
}

#[rpc]
pub trait Chat {
    async fn enter(&self, name: String) -> Box<dyn Room>;
    async fn share(&self) -> Result<Arc<dyn Room + Send + Sync>, String>;
    async fn rooms(&self) -> Vec<Box<dyn rooms::Cellar>>;
    async fn open(&self, room: impl Room);
    async fn close(&self, room: &dyn Room);
    async fn bare(&self, room: dyn Room);
    async fn twice(&self, room: Arc<Box<dyn Room>>);
    async fn optional(&self, room: Option<Rc<dyn Room>>);
    async fn callback(&self, on_message: Box<dyn Fn(String) + Send>);
    async fn closure(&self, on_message: impl Fn(String));
    async fn function(&self, on_message: fn(String));
}

fn main() {}
