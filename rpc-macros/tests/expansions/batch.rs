#[rpc]
trait Chat {
    #[rpc(batch = "profiles")]
    async fn profile(&self, id: UserId) -> Result<User, ChatError>;
    #[rpc(name = "many")]
    async fn profiles(&self, ids: Vec<UserId>) -> Vec<Result<User, ChatError>>;
    #[rpc(batch = "sums")]
    async fn sum(&self, a: u64, b: u64) -> u64;
    async fn sums(&self, pairs: Vec<(u64, u64)>, #[rpc(context)] cx: &Context) -> Vec<u64>;
    #[rpc(oneway, batch = "logs")]
    async fn log(&self, line: String);
    async fn logs(&self, lines: Vec<String>);
    #[cfg(unix)]
    #[rpc(batch = "stats")]
    async fn stat(&self, path: String) -> Result<u64, ChatError>;
    #[cfg(unix)]
    async fn stats(&self, paths: Vec<String>) -> Result<Vec<Result<u64, ChatError>>, ChatError>;
}
