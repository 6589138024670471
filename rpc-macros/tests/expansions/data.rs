#[data]
#[derive(Debug)]
pub struct User {
    pub id: u64,
}

#[data(crate = facade::rpc)]
#[serde(rename_all = "camelCase", crate = "own::serde")]
pub enum Kind {
    A,
}
