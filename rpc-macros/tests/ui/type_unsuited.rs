use std::{
    collections::HashMap,
    rc::Rc,
    sync::Mutex,
    time::Instant,
};

use rpc_core::{Promise, data, rpc};

#[data]
pub struct Key(f64);

#[data]
pub struct User {
    pub id: u64,
}

pub struct Request<T>(T);

#[rpc]
pub trait Sizes {
    async fn hash(&self) -> [u8; 64];
    async fn row(&self, row: (u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8));
    async fn shared(&self) -> Rc<User>;
    async fn pointer(&self, at: *const u8);
}

#[rpc]
pub trait Foreign {
    async fn when(&self, at: Instant);
    async fn hidden(&self, lock: Mutex<Instant>);
    async fn wrapped(&self, request: Request<User>);
    async fn promised(&self, user: Promise<User, String>);
    async fn slice(&self, bytes: [u8]);
}

#[rpc]
pub trait Keys {
    async fn prices(&self) -> HashMap<Key, u64>;
}

fn main() {}
