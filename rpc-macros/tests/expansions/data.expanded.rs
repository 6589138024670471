#[derive(
    ::rpc_core::Pipeline,
    ::rpc_core::__private::serde::Serialize,
    ::rpc_core::__private::serde::Deserialize
)]
#[serde(crate = "::rpc_core::__private::serde")]
#[derive(Debug)]
pub struct User {
    pub id: u64,
}
#[derive(
    facade::rpc::Pipeline,
    facade::rpc::__private::serde::Serialize,
    facade::rpc::__private::serde::Deserialize
)]
#[pipeline(crate = facade::rpc)]
#[serde(rename_all = "camelCase", crate = "own::serde")]
pub enum Kind {
    A,
}
