use rpc_core::{Promise, data, rpc};

#[data]
pub struct Borrowed<'a> {
    pub text: &'a str,
}

#[data]
pub struct Static {
    pub text: &'static str,
}

#[data]
pub type Alias = u64;

#[data]
pub fn function() {}

#[data]
impl Static {}

#[data(rename_all = "camelCase")]
pub struct Renamed {
    pub full_name: String,
}

#[data]
pub union Overlaid {
    pub x: u8,
}

#[derive(data)]
pub struct Derived;

#[data]
#[derive(Debug, Clone, Deserialize)]
pub struct Twice;

#[rpc]
pub trait Room {
    async fn title(&self) -> String;
}

#[data]
pub struct Holder {
    pub room: Box<dyn Room>,
}

#[data]
pub struct Later {
    pub user: Promise<u64, String>,
}

fn main() {}
