use std::collections::HashMap;

use rpc_core::{CallError, Promise, Streaming, data, rpc};

#[data]
#[derive(Clone)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub boss: Option<Box<User>>,
}

#[data]
pub struct Order {
    pub user: User,
}

#[rpc]
pub trait Room {
    async fn title(&self) -> String;
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<User, String>;
    async fn rename(&self, user: User) -> User;
    async fn order(&self, order: Order);
    async fn names(&self, ids: Vec<u64>) -> Vec<String>;
    async fn settings(&self, settings: HashMap<String, u64>);
    async fn perhaps(&self, name: Option<String>);
    async fn enter(&self, room: RoomClient);
    async fn upload(&self, lines: Streaming<String>);
}

struct Kitchen;
impl Room for Kitchen {
    async fn title(&self) -> String {
        String::new()
    }
}

fn by_reference(chat: &ChatClient, user: &User) {
    let _ = chat.rename(user);
}

fn a_result(chat: &ChatClient, user: Result<User, CallError<String>>) {
    let _ = chat.rename(user);
}

fn a_part_that_may_be_missing(chat: &ChatClient) {
    let _ = chat.rename(chat.find("ann").boss());
}

fn a_slice(chat: &ChatClient) {
    let _ = chat.names(&[1, 2]);
}

fn an_array(chat: &ChatClient) {
    let _ = chat.names([1_u64, 2]);
}

fn a_text_in_an_option(chat: &ChatClient) {
    let _ = chat.perhaps(Some("ann"));
}

fn a_text_for_an_option(chat: &ChatClient) {
    let _ = chat.perhaps("ann");
}

fn keys_of_another_type(chat: &ChatClient) {
    let _ = chat.settings(HashMap::from([("size", 1_u64)]));
}

fn a_promise_in_a_struct(chat: &ChatClient) {
    let _ = chat.order(Order { user: chat.find("ann") });
}

fn promises_in_a_vec(chat: &ChatClient, one: Promise<u64, String>, two: Promise<u64, String>) {
    let _ = chat.names(vec![one, two]);
}

fn an_implementation(chat: &ChatClient) {
    let _ = chat.enter(Kitchen);
}

fn a_server(chat: &ChatClient) {
    let _ = chat.enter(RoomServer::new(Kitchen));
}

fn a_vec_for_a_stream(chat: &ChatClient) {
    let _ = chat.upload(vec!["one".to_owned()]);
}

fn a_stream_of_another_type(chat: &ChatClient) {
    let _ = chat.upload(Streaming::from_iter(["one"]));
}

fn a_future(chat: &ChatClient) {
    let _ = chat.rename(async { todo!() });
}

fn main() {}
