use rpc_core::{Pipeline, data};

#[data]
pub struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    #[serde(flatten)]
    pub inner: Inner,
    #[serde(skip_deserializing)]
    pub half: u8,
}

#[data]
pub struct Inner {
    pub x: u8,
}

#[data]
#[serde(untagged)]
pub enum Untagged {
    A(u8),
}

#[data]
#[serde(tag = "kind", content = "value")]
pub enum Tagged {
    A(u8),
}

#[data]
#[serde(from = "u8", into = "u8")]
#[derive(Clone)]
pub struct Converted(u8);

impl From<u8> for Converted {
    fn from(value: u8) -> Self {
        Self(value)
    }
}
impl From<Converted> for u8 {
    fn from(value: Converted) -> Self {
        value.0
    }
}

#[derive(Pipeline)]
#[serde(try_from = "u8")]
pub struct Checked(u8);

#[derive(Pipeline)]
#[serde(remote = "Inner")]
pub struct Remote {
    pub x: u8,
}

#[derive(Pipeline)]
pub enum Variants {
    #[serde(skip)]
    First(u8),
    AbCd(u8),
    Ab_Cd(u8),
    #[serde(untagged)]
    Any(u8),
}

#[derive(Pipeline)]
pub struct Borrowed<'a> {
    pub text: &'a str,
}

#[derive(Pipeline)]
pub union Overlaid {
    pub x: u8,
}

#[derive(Pipeline)]
#[pipeline(name = "x")]
pub struct Renamed(u8);

#[derive(Pipeline)]
#[pipeline]
pub struct Bare(u8);

fn the_rest_is_still_there(user: &rpc_core::Promise<User, String>) {
    let _ = user.inner().x();
}

fn main() {}
