use rpc_core::rpc;

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> u64;
    async fn profile(&self, id: u64) -> String;
}

fn converted(chat: &ChatClient) {
    let _ = chat.find("ann".into());
}

fn parsed(chat: &ChatClient) {
    let _ = chat.profile("7".parse().unwrap());
}

fn defaulted(chat: &ChatClient) {
    let _ = chat.find(Default::default());
}

fn main() {}
