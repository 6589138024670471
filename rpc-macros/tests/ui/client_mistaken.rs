use rpc_core::{Services, SessionHandle, rpc};

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> u64;
}

struct Rooms;
impl Chat for Rooms {
    async fn find(&self, _: String) -> u64 {
        1
    }
}

fn the_implementation_as_the_service() {
    let _ = Services::new().with(Rooms);
}

fn the_server_without_an_implementation() {
    let _ = Services::new().with(ChatServer);
}

fn a_client_as_the_service(chat: ChatClient) {
    let _ = Services::new().with(chat);
}

fn two_implementations() {
    let _ = Services::new().with(ChatServer::new(Rooms, Rooms));
}

fn shared(rooms: std::sync::Arc<Rooms>) {
    let _ = ChatServer::new(rooms);
}

async fn service_without_a_type(session: SessionHandle) {
    let chat = session.service();
    chat.find("ann").await;
}

async fn service_of_the_trait(session: SessionHandle) {
    let _ = session.service::<dyn Chat>();
}

async fn service_of_the_implementation(session: SessionHandle) {
    let _ = session.service::<Rooms>();
}

async fn service_of_the_server(session: SessionHandle) {
    let _ = session.service::<ChatServer<Rooms>>();
}

fn made(session: SessionHandle) {
    let _ = ChatClient::new(session);
}

async fn connected() {
    let _ = ChatClient::connect("ws://127.0.0.1:9000").await;
}

async fn the_server_called(server: ChatServer<Rooms>) {
    let _ = server.find("ann").await;
}

fn the_client_as_the_trait(chat: ChatClient) {
    fn use_it(_: impl Chat) {}
    use_it(chat);
}

async fn through_the_trait(chat: ChatClient) {
    let _ = Chat::find(&chat, "ann".to_owned()).await;
}

fn the_client_of_a_client(chat: ChatClient) {
    let _ = ChatClient::local(chat);
}

async fn a_context_passed(chat: ChatClient) {
    let _ = chat.find("ann", 7).await;
}

async fn another_method(chat: ChatClient) {
    let _ = chat.find_all().await;
}

async fn deadline_in_numbers(chat: ChatClient) {
    let _ = chat.deadline(5).find("ann").await;
}

async fn one_deadline_for_a_promise(chat: ChatClient) {
    let _ = chat.find("ann").deadline(std::time::Duration::from_secs(5)).await;
}

fn main() {}
