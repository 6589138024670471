use rpc_core::{data, rpc};

#[data]
pub struct User {
    pub id: u64,
    pub boss: Option<u64>,
}

#[data]
pub enum ChatError {
    Nobody,
}

#[rpc]
pub trait Chat {
    async fn ids(&self) -> Vec<u64>;
    async fn user(&self, id: u64) -> Result<User, ChatError>;
    async fn name(&self, id: u64) -> String;
    async fn find(&self, name: String) -> u64;
    #[rpc(oneway)]
    async fn greet(&self, id: u64);
}

fn compares(chat: &ChatClient) {
    let _ = chat.ids().map(|id| if id > 3 { chat.name(id) } else { chat.name(0) });
}

fn matches(chat: &ChatClient) {
    let _ = chat.ids().map(|id| match id {
        1 => chat.name(1),
        other => chat.name(other),
    });
}

fn unpacks(chat: &ChatClient) {
    let _ = chat.ids().map(|id| match chat.user(id).boss() {
        Some(boss) => chat.name(boss),
        None => chat.name(0),
    });
}

fn unwraps(chat: &ChatClient) {
    let _ = chat.ids().map(|id| chat.name(chat.user(id).unwrap().id));
}

fn formats(chat: &ChatClient) {
    let _ = chat.ids().map(|id| chat.find(format!("user {id}")));
}

fn returns_two(chat: &ChatClient) {
    let _ = chat.ids().map(|id| (chat.name(&id), chat.user(id)));
}

fn returns_nothing(chat: &ChatClient) {
    let _ = chat.ids().map(|id| {
        chat.name(id);
    });
}

fn returns_the_oneway(chat: &ChatClient) {
    let _ = chat.ids().map(|id| chat.greet(id));
}

fn is_async(chat: &ChatClient) {
    let _ = chat.ids().map(async |id| chat.name(id).await);
}

fn maps_a_number(chat: &ChatClient) {
    let _ = chat.name(1).map(|name| chat.name(name));
}

fn filters(chat: &ChatClient) {
    let _ = chat.ids().filter(|id| chat.name(id)).map(|id| chat.name(id));
}

async fn maps_what_is_here(chat: &ChatClient) {
    let _ = chat.ids().await.map(|id| chat.name(id));
}

fn iterates(chat: &ChatClient) {
    for id in chat.ids() {
        let _ = chat.name(id);
    }
}

fn collects(chat: &ChatClient) -> Vec<u64> {
    chat.ids().collect()
}

fn for_each(chat: &ChatClient) {
    chat.ids().for_each(|id| drop(chat.name(id)));
}

fn enumerates(chat: &ChatClient) {
    for (index, id) in chat.ids().enumerate() {
        let _ = (index, chat.name(id));
    }
}

fn maps_a_struct(chat: &ChatClient) {
    let _ = chat.user(1).map(|user| user.id());
}

fn counts(chat: &ChatClient) -> bool {
    chat.ids().len() > 3 || chat.user(1).boss().is_some()
}

fn main() {}
