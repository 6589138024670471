// One of everything that the macros take. Included where all words of generated code are in scope as something else.

use std::string::String as Text;

#[::rpc_core::data]
#[derive(::std::clone::Clone)]
pub struct Person<Extra: 'static> {
    pub name_of: Text,
    pub extra_of: ::std::vec::Vec<Extra>,
}

#[::rpc_core::data]
pub enum Trouble {
    Nobody,
    Somebody { person: Person<u8> },
    Something(Text),
}

#[::rpc_core::rpc]
pub trait Plain {
    async fn first_of(&self, text_of: Text, size_of: ::std::option::Option<u16>) -> ::std::result::Result<Person<u8>, Trouble>;
    #[cfg(not(any()))]
    async fn second_of(&self, #[rpc(context)] cx: ::rpc_core::Context) -> u64;
    async fn third_of(&self, #[rpc(context)] cx: &::rpc_core::Context, text_of: Text) -> ::std::vec::Vec<Text>;
    #[rpc(oneway)]
    async fn fourth_of(&self, other_of: OtherClient);
    #[rpc(blocking, no_cancel, idempotent)]
    async fn fifth_of(&self) -> ::rpc_core::Streaming<u8, Trouble>;
}

#[::rpc_core::rpc(ordered)]
pub trait Other {
    #[cfg(not(any()))]
    async fn before_of(&self);
    #[rpc(batch = "all_of")]
    async fn each_of(&self, text_of: Text, size_of: u8) -> u8;
    async fn all_of(&self, pairs_of: ::std::vec::Vec<(Text, u8)>) -> ::std::vec::Vec<u8>;
    #[rpc(batch = "every_of")]
    async fn one_of(&self, text_of: Text);
    async fn every_of(&self, #[rpc(context)] cx: ::rpc_core::Context, texts_of: ::std::vec::Vec<Text>);
}

struct Here;

impl Other for Here {
    async fn before_of(&self) {}
    async fn each_of(&self, _: Text, _: u8) -> u8 {
        0
    }
    async fn all_of(&self, pairs_of: ::std::vec::Vec<(Text, u8)>) -> ::std::vec::Vec<u8> {
        pairs_of.into_iter().map(|(_, size_of)| size_of).collect()
    }
    async fn one_of(&self, _: Text) {}
    async fn every_of(&self, _: ::rpc_core::Context, _: ::std::vec::Vec<Text>) {}
}

#[test]
fn names_in_scope_do_not_reach_generated_code() {
    let other_of = OtherClient::local(Here);
    assert_eq!(::std::format!("{other_of:?}").split('(').next(), ::std::option::Option::Some("OtherClient"));
}
