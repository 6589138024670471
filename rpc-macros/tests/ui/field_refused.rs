use rpc_core::data;

pub struct Plain;

#[data]
pub struct Named {
    pub plain: Plain,
}

#[data]
pub struct Listed(pub Vec<Plain>);

#[data]
pub enum Either {
    Left(Option<Plain>),
    Right,
}

fn main() {}
