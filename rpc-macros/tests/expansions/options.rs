#[rpc(name = "chat.v1", ordered, crate = facade::rpc)]
#[doc = "Rooms."]
#[allow(non_snake_case)]
pub(crate) trait Chat {
    #[rpc(oneway, name = "log_line")]
    #[deprecated(note = "use find")]
    #[expect(unused)]
    async fn log(&self, #[allow(unused)] line: String, #[rpc(context)] cx: &Context);
    #[rpc(idempotent, blocking, no_cancel)]
    #[must_use]
    #[doc = include_str!("deadline.md")]
    async fn deadline(&self);
    async fn r#match(&self, r#in: u8) -> std::result::Result<(), Vec<u8>>;
}
