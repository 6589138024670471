use rpc_core::{CallError, Promise, data, rpc};

#[data]
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub boss: Option<Box<User>>,
}

#[data]
#[derive(Debug)]
pub enum ChatError {
    Nobody,
}

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<User, ChatError>;
    async fn rename(&self, user: User, name: String) -> User;
    async fn count(&self) -> u64;
    async fn names(&self, ids: Vec<u64>) -> Vec<String>;
}

fn not_awaited(chat: &ChatClient) -> String {
    chat.find("ann").name
}

fn not_awaited_either(chat: &ChatClient) -> u64 {
    chat.count()
}

async fn awaited_outside_the_result(chat: &ChatClient) -> Result<User, CallError<ChatError>> {
    chat.find("ann")
}

async fn unwrapped(chat: &ChatClient) {
    let _ = chat.find("ann").unwrap();
}

async fn error_mapped_too_early(chat: &ChatClient) -> Result<User, String> {
    let ann = chat.find("ann").map_err(|_| "nobody".to_owned())?;
    Ok(ann)
}

async fn defaulted(chat: &ChatClient) -> u64 {
    chat.count().unwrap_or_default()
}

async fn awaited_twice(chat: &ChatClient) {
    let ann = chat.find("ann");
    let _ = ann.await;
    let _ = ann.await;
}

async fn awaited_by_reference(chat: &ChatClient) {
    let ann = chat.find("ann");
    let _ = (&ann).await;
}

async fn passed_and_awaited(chat: &ChatClient) {
    let ann = chat.find("ann");
    let _ = chat.rename(ann, "Anna");
    let _ = ann.await;
}

async fn cloned(chat: &ChatClient) {
    let ann = chat.find("ann");
    let _ = chat.rename(ann.clone(), "Anna");
}

async fn question_mark(chat: &ChatClient) -> Result<User, ChatError> {
    Ok(chat.find("ann").await?)
}

async fn question_mark_too_early(chat: &ChatClient) -> Result<User, CallError<ChatError>> {
    let ann = chat.find("ann")?;
    ann.await
}

async fn own_error_in_a_match(chat: &ChatClient) {
    match chat.find("ann").await {
        Ok(_) => {}
        Err(ChatError::Nobody) => {}
    }
}

async fn own_error_in_an_if(chat: &ChatClient) {
    if let Err(ChatError::Nobody) = chat.find("ann").await {}
}

fn spawned(chat: &ChatClient) {
    fn spawn<F: Future<Output: Send> + Send + 'static>(_: F) {}
    spawn(chat.find("ann"));
}

async fn joined_by_futures(chat: &ChatClient) {
    let _ = futures::join!(chat.find("ann"), chat.count());
}

async fn spawned_many(chat: &ChatClient) {
    let _ = futures::future::join_all(vec![chat.count(), chat.count()]).await;
}

async fn selected(chat: &ChatClient) {
    let _ = futures::future::select(chat.count(), chat.count()).await;
}

fn compared(chat: &ChatClient) -> bool {
    chat.count() > 3
}

fn compared_with_each_other(chat: &ChatClient) -> bool {
    chat.find("ann") == chat.find("bob")
}

fn printed(chat: &ChatClient) {
    println!("{}", chat.count());
}

fn debugged(chat: &ChatClient) {
    println!("{:?}", chat.find("ann"));
}

#[derive(Debug)]
struct Page {
    user: Promise<User, ChatError>,
}

fn main() {}
