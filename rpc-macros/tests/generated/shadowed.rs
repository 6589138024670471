//! Generated code next to a user's own `Result`, `Option`, `Vec`, `String`, `Box` and friends.
#![allow(dead_code, non_camel_case_types)]

use rpc_core::{Service, data, rpc};

struct Option;
struct Vec;
struct Box;
struct Arc;
struct Duration;
struct PhantomData;
struct Some;
struct None;
struct Ok;
struct Err;
struct Promise;
struct Stub;
struct Context;
struct Infallible;
struct Never;
struct u32;
trait Future {}
trait Send {}
trait Sync {}
trait Into {}
trait Clone {}
trait Debug {}
trait Serialize {}
trait Deserialize {}
trait Pipelined {}
type Result<T> = std::result::Result<T, String>;

#[data]
pub struct String {
    text: std::string::String,
    parts: std::option::Option<std::vec::Vec<u8>>,
}

#[data]
pub enum Either {
    Left(String),
    Right { value: i64 },
}

#[rpc]
pub trait Shadowed {
    async fn named(&self, text: String, either: Either) -> std::result::Result<String, Either>;
    #[deprecated(note = "old")]
    async fn plain(&self) -> String;
    #[rpc(oneway)]
    async fn oneway(&self, text: String);
    #[rpc(batch = "eithers")]
    async fn either(&self, text: String) -> std::result::Result<String, Either>;
    async fn eithers(
        &self,
        texts: std::vec::Vec<String>,
    ) -> std::result::Result<std::vec::Vec<std::result::Result<String, Either>>, Either>;
    #[rpc(batch = "nothings")]
    async fn nothing(&self, text: String);
    async fn nothings(&self, texts: std::vec::Vec<String>);
}

struct Here;

impl Shadowed for Here {
    async fn named(&self, text: String, _: Either) -> std::result::Result<String, Either> {
        Result::Ok(text).map_err(|_: String| Either::Right { value: 1 })
    }
    async fn plain(&self) -> String {
        String { text: std::string::String::new(), parts: std::option::Option::None }
    }
    async fn oneway(&self, _: String) {}
    async fn either(&self, text: String) -> std::result::Result<String, Either> {
        Result::Ok(text).map_err(|_: String| Either::Right { value: 1 })
    }
    async fn eithers(
        &self,
        texts: std::vec::Vec<String>,
    ) -> std::result::Result<std::vec::Vec<std::result::Result<String, Either>>, Either> {
        std::result::Result::Ok(texts.into_iter().map(std::result::Result::Ok).collect())
    }
    async fn nothing(&self, _: String) {}
    async fn nothings(&self, _: std::vec::Vec<String>) {}
}

#[test]
fn shadowed_names_do_not_reach_generated_code() {
    let server = ShadowedServer::new(Here);
    assert_eq!(server.descriptor().methods[0].result.type_name, "String");
}
