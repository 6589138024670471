use std::{error::Error, io};

use rpc_core::{data, rpc};

#[data]
pub enum ChatError {
    Nobody,
}

pub type ChatResult<T> = Result<T, ChatError>;
pub type Done = Result<(), ChatError>;

pub mod anyhow {
    pub struct Error;
    pub type Result<T> = std::result::Result<T, Error>;
}

#[rpc]
pub trait Chat {
    async fn boxed(&self) -> Result<u8, Box<dyn Error + Send + Sync>>;
    async fn any(&self) -> Result<u8, anyhow::Error>;
    async fn io(&self) -> Result<u8, io::Error>;
    async fn opaque(&self) -> Result<u8, impl Error>;
    async fn borrowed(&self) -> Result<u8, &'static str>;
    async fn alias_of_anyhow(&self) -> anyhow::Result<u8>;
    async fn two_errors(&self) -> Result<u8, ChatError, String>;
    async fn no_error(&self) -> Result<u8>;
}

fn main() {}
