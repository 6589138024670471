use rpc_core::rpc;

#[rpc]
pub trait Generic<T> {
    async fn find(&self, id: u64) -> T;
}
struct Here;
impl Generic<u8> for Here {
    async fn find(&self, _: u64) -> u8 {
        1
    }
}

#[rpc]
pub trait Bounded
where
    Self: Sized,
{
    async fn find(&self, id: u64);
}

#[rpc]
pub unsafe trait Unsafe {
    async fn find(&self, id: u64);
}
unsafe impl Unsafe for Here {
    async fn find(&self, _: u64) {}
}

#[rpc]
pub trait Items {
    type Item;
    const LIMIT: usize;
    async fn find(&self, id: u64);
}
impl Items for Here {
    type Item = u8;
    const LIMIT: usize = 3;
    async fn find(&self, _: u64) {}
}

#[rpc]
impl Here {
    pub fn plain(&self) {}
}

#[rpc]
struct NotATrait;

#[rpc]
fn not_a_trait() {}

fn the_rest_is_still_there(client: &ItemsClient) {
    let _ = client.find(1);
    let _ = ItemsServer::new(Here);
    Here.plain();
    not_a_trait();
    let _ = NotATrait;
}

fn main() {}
