use rpc_core::{data, rpc};

#[data]
pub enum ChatError {
    Nobody,
}

#[data]
pub enum MailError {
    Full,
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<u64, ChatError>;
    async fn count(&self) -> u64;
}

#[rpc]
pub trait Mail {
    async fn send(&self, to: String) -> Result<u64, MailError>;
}

async fn two_errors(chat: &ChatClient, mail: &MailClient) {
    let _ = rpc_core::try_join!(chat.find("ann"), mail.send("ann"));
}

async fn two_errors_and_none(chat: &ChatClient, mail: &MailClient) {
    let _ = rpc_core::try_join!(chat.count(), chat.find("ann"), mail.send("ann"));
}

async fn a_list_of_two_types(chat: &ChatClient) {
    let _ = rpc_core::join_all([chat.find("ann"), chat.count()]).await;
}

async fn awaited_inside(chat: &ChatClient) {
    let _ = rpc_core::try_join!(chat.count().await, chat.find("ann").await);
}

async fn widened_from_an_error(chat: &ChatClient) {
    let _ = rpc_core::Promise::widen::<MailError>(chat.find("ann"));
}

async fn widened_as_a_method(chat: &ChatClient) {
    let _ = rpc_core::try_join!(chat.count().widen(), chat.find("ann"));
}

fn main() {}
