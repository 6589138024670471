#[rpc]
#[cfg(feature = "chat")]
trait Chat {
    async fn first(&self);
    #[cfg(unix)]
    async fn second(&self);
    #[cfg_attr(feature = "old", cfg(windows), doc = "On Windows.", inline)]
    async fn third(&self);
    async fn last(&self) -> u8;
}
