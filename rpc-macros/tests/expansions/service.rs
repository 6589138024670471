#[rpc]
/// Rooms and people.
pub trait Chat: Debug {
    /// Finds a user.
    async fn find(&self, name: String, limit: Option<u32>) -> Result<User, ChatError>;
    async fn who(&self, #[rpc(context)] cx: Context, verbose: bool) -> u64;
}
