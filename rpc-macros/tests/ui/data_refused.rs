use rpc_core::{__private::serde, data};

#[data(name = "x")]
pub struct Named(u8);

#[data]
pub trait NotData {}

#[data]
#[derive(Debug, serde::Serialize)]
pub struct Twice(u8);

fn main() {
    let _ = format!("{:?}", Twice(1));
}
