use rpc_core::Services;

mod api {
    use rpc_core::rpc;

    #[rpc]
    trait Chat {
        async fn find(&self, name: String) -> u64;
    }
}

struct Rooms;

impl api::Chat for Rooms {
    async fn find(&self, _: String) -> u64 {
        1
    }
}

fn calls(chat: api::ChatClient) {
    let _ = chat;
}

fn runs_without_the_feature() {
    let _ = rpc_core::memory::connect(Services::new());
}

fn main() {}
