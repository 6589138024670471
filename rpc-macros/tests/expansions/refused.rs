#[rpc]
trait Chat {
    async fn good(&self) -> u8;
    #[rpc(idempotent)]
    async fn bad(&self, (left, right): (u8, u8)) -> u8;
}
