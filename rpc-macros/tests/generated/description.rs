//! What descriptors say.

use std::collections::BTreeMap;

use rpc_core::{ServiceClient, data, rpc, schema::MethodAttributes};

#[data]
#[derive(Debug)]
pub struct User {
    id: u64,
}

/// Rooms, people
///   and what they say.
#[rpc(name = "chat.v1")]
pub trait Chat {
    /// Finds a user.
    ///
    /// By name.
    #[rpc(idempotent)]
    #[rpc(name = "find_user")]
    async fn find(&self, name: String) -> Result<Vec<User>, String>;
    /** In a block. */
    #[doc = concat!("Made ", "up.")]
    #[rpc(blocking, no_cancel)]
    #[deprecated(since = "1.0.0", note = "use find")]
    async fn shapes(
        &self,
        r#type: BTreeMap<String, Option<(u8, [i32; 4])>>,
        f: std::vec::Vec<Option<u8>>,
        unit: (),
        one: (u8,),
    ) -> (u8, User);
    #[rpc(oneway)]
    #[deprecated]
    async fn log(&self);
    #[deprecated = "gone"]
    async fn unit(&self) -> Result<(), std::borrow::Cow<'static, str>>;
}

fn method(name: &str) -> &'static rpc_core::schema::MethodDescriptor {
    ChatClient::descriptor().methods.iter().find(|method| method.name == name).expect("the trait has it")
}

#[test]
fn names_and_docs_are_those_of_the_trait() {
    let chat = ChatClient::descriptor();
    assert_eq!(
        (chat.name, chat.docs, chat.ordered),
        ("chat.v1", "Rooms, people\n  and what they say.", false)
    );
    assert_eq!(method("find_user").docs, "Finds a user.\n\nBy name.");
    assert_eq!(method("shapes").docs, "In a block. \nMade up.");
    assert_eq!(method("log").docs, "");
}

#[test]
fn types_are_written_as_in_the_trait() {
    let arguments = method("shapes").arguments.iter();
    let arguments: Vec<(&str, &str)> =
        arguments.map(|argument| (argument.name, argument.value.type_name)).collect();
    assert_eq!(
        arguments,
        [
            ("type", "BTreeMap<String, Option<(u8, [i32; 4])>>"),
            ("f", "std::vec::Vec<Option<u8>>"),
            ("unit", "()"),
            ("one", "(u8,)"),
        ]
    );
    assert_eq!(method("shapes").result.type_name, "(u8, User)");
    assert_eq!(
        method("unit").error.as_ref().expect("it is fallible").type_name,
        "std::borrow::Cow<'static, str>"
    );
}

#[test]
fn results_are_told_from_errors() {
    assert_eq!(method("find_user").result.type_name, "Vec<User>");
    assert_eq!(method("find_user").error.as_ref().expect("it is fallible").type_name, "String");
    assert!(method("shapes").error.is_none());
    assert_eq!(method("log").result.type_name, "()");
}

#[test]
fn attributes_are_carried() {
    let with = |change: fn(&mut MethodAttributes)| {
        let mut attributes = MethodAttributes::NONE;
        change(&mut attributes);
        attributes
    };
    assert_eq!(method("find_user").attributes, with(|attributes| attributes.idempotent = true));
    let shapes = with(|attributes| {
        attributes.blocking = true;
        attributes.no_cancel = true;
        attributes.deprecated = Some("use find");
    });
    assert_eq!(method("shapes").attributes, shapes);
    let log = with(|attributes| {
        attributes.oneway = true;
        attributes.deprecated = Some("");
    });
    assert_eq!(method("log").attributes, log);
    assert_eq!(method("unit").attributes, with(|attributes| attributes.deprecated = Some("gone")));
}
