//! A user whose `rpc_core` is elsewhere.

mod facade {
    pub(crate) mod inner {
        pub(crate) use rpc_core as core;
    }
}

#[facade::inner::core::data(crate = facade::inner::core)]
pub struct User {
    pub id: u64,
}

#[facade::inner::core::data(crate = "facade::inner::core")]
pub enum Shape {
    Circle(f64),
}

#[derive(facade::inner::core::Pipeline)]
#[pipeline(crate = facade::inner::core)]
pub struct Pair(pub u8, pub u8);

#[facade::inner::core::rpc(crate = facade::inner::core)]
pub trait Chat {
    #[facade::inner::core::rpc(idempotent)]
    async fn find(&self, id: u64) -> User;
}

#[facade::inner::core::rpc(crate = "facade::inner::core", name = "other", ordered)]
pub trait Other {
    async fn shape(&self) -> Result<Shape, ()>;
}

#[test]
fn the_runtime_may_be_reached_by_another_path() {
    use facade::inner::core::ServiceClient;
    assert!(ChatClient::descriptor().methods[0].attributes.idempotent);
    assert_eq!(OtherClient::descriptor().name, "other");
    assert!(OtherClient::descriptor().ordered);
}
