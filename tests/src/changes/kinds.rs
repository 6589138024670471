//! One change of each kind.

use super::change;

change!(new_method, Compatible:
v1 { service Api(ApiClient, ApiServer) { fn find(name: String = "a") -> u32 { 1 } } }
v2 { service Api(ApiClient, ApiServer) { fn first() -> u32 { 1 } fn find(name: String = "a") -> u32 { 1 } } });

change!(removed_method, Breaking:
v1 { service Api(ApiClient, ApiServer) { fn find(name: String = "a") -> u32 { 1 } fn first() -> u32 { 1 } } }
v2 { service Api(ApiClient, ApiServer) { fn find(name: String = "a") -> u32 { 1 } } });

change!(new_service, Compatible:
v1 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } } }
v2 {
    service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } }
    service Other(OtherClient, OtherServer) { fn more() -> u32 { 1 } }
});

change!(removed_service, Breaking:
v1 {
    service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } }
    service Other(OtherClient, OtherServer) { fn more() -> u32 { 1 } }
}
v2 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } } });

change!(trailing_optional_argument, Breaking:
v1 { service Api(ApiClient, ApiServer) { fn find(name: String = "a") -> u32 { 1 } } }
v2 { service Api(ApiClient, ApiServer) { fn find(name: String = "a", most: Option<u32> = None) -> u32 { 1 } } });

change!(renamed_argument, Breaking:
v1 { service Api(ApiClient, ApiServer) { fn find(name: String = "a") -> u32 { 1 } } }
v2 { service Api(ApiClient, ApiServer) { fn find(title: String = "a") -> u32 { 1 } } });

change!(new_field_with_default, Breaking:
v1 {
    types { #[data] pub struct User { pub name: String } }
    service Api(ApiClient, ApiServer) {
        fn save(user: User = User { name: "a".into() }) -> u32 { 1 }
        fn count() -> u32 { 1 }
    }
}
v2 {
    types { #[data] pub struct User { pub name: String, #[serde(default)] pub age: u32 } }
    service Api(ApiClient, ApiServer) {
        fn save(user: User = User { name: "a".into(), age: 3 }) -> u32 { 1 }
        fn count() -> u32 { 1 }
    }
});

change!(renamed_field, Breaking:
v1 {
    types { #[data] pub struct User { pub id: u32, pub name: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { id: 1, name: "a".into() } } }
}
v2 {
    types { #[data] pub struct User { pub id: u32, pub nick: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { id: 1, nick: "a".into() } } }
});

change!(renamed_field_with_its_old_name, Compatible:
v1 {
    types { #[data] pub struct User { pub name: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into() } } }
}
v2 {
    types { #[data] pub struct User { #[serde(rename = "name")] pub nick: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { nick: "a".into() } } }
});

change!(renamed_variant, Breaking:
v1 {
    types { #[data] pub enum Color { Red, Green } }
    service Api(ApiClient, ApiServer) { fn find() -> Color { Color::Green } }
}
v2 {
    types { #[data] pub enum Color { Red, Lime } }
    service Api(ApiClient, ApiServer) { fn find() -> Color { Color::Lime } }
});

change!(alias, Compatible:
v1 {
    types { #[data] pub struct User { pub name: String, pub age: u32 } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into(), age: 1 } } }
}
v2 {
    types { #[data] pub struct User { #[serde(alias = "nick")] pub name: String, pub age: u32 } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into(), age: 1 } } }
});

change!(reordered_fields, Breaking:
v1 {
    types { #[data] pub struct User { pub name: String, pub nick: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into(), nick: "b".into() } } }
}
v2 {
    types { #[data] pub struct User { pub nick: String, pub name: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into(), nick: "b".into() } } }
});

change!(changed_type, Breaking:
v1 { service Api(ApiClient, ApiServer) { fn find(id: u64 = 1_u64) -> String { "a".into() } } }
v2 { service Api(ApiClient, ApiServer) { fn find(id: String = "a") -> String { "a".into() } } });

change!(widened_integer, Breaking:
v1 { service Api(ApiClient, ApiServer) { fn count() -> u32 { 1 } } }
v2 { service Api(ApiClient, ApiServer) { fn count() -> u64 { 1 } } });

change!(new_variant, Breaking:
v1 {
    types { #[data] #[derive(Debug)] pub enum Denied { Unknown } }
    service Api(ApiClient, ApiServer) { fn find() -> Result<u32, Denied> { Ok(1) } }
}
v2 {
    types { #[data] #[derive(Debug)] pub enum Denied { Unknown, Busy } }
    service Api(ApiClient, ApiServer) { fn find() -> Result<u32, Denied> { Ok(1) } }
});

change!(deprecation, Compatible:
v1 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } } }
v2 { service Api(ApiClient, ApiServer) { #[deprecated(note = "use `first`")] fn find() -> u32 { 1 } } });

change!(renamed_method_with_its_old_name, Compatible:
v1 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } } }
v2 { service People(PeopleClient, PeopleServer, name = "Api") { #[rpc(name = "find")] fn find_first() -> u32 { 1 } } });

change!(newtype, Compatible:
v1 { service Api(ApiClient, ApiServer) { fn find(id: u64 = 1_u64) -> u32 { 1 } } }
v2 {
    types { #[data] pub struct UserId(pub u64); }
    service Api(ApiClient, ApiServer) { fn find(id: UserId = UserId(1)) -> u32 { 1 } }
});

change!(renamed_type, Compatible:
v1 {
    types { #[data] pub struct User { pub name: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into() } } }
}
v2 {
    types { #[data] pub struct Person { pub name: String } }
    service Api(ApiClient, ApiServer) { fn find() -> Person { Person { name: "a".into() } } }
});

change!(attributes, Compatible:
v1 { service Api(ApiClient, ApiServer) { #[rpc(idempotent)] fn find() -> u32 { 1 } #[rpc(no_cancel)] fn save() -> () { () } } }
v2 { service Api(ApiClient, ApiServer, ordered) { fn find() -> u32 { 1 } fn save() -> () { () } } });

change!(comments, Compatible:
v1 {
    types { #[data] pub struct User { pub name: String } }
    service Api(ApiClient, ApiServer) { fn find() -> User { User { name: "a".into() } } }
}
v2 {
    types {
        /// Somebody.
        #[data]
        pub struct User {
            /// What they are called.
            pub name: String,
        }
    }
    /// People.
    service Api(ApiClient, ApiServer) {
        /// Somebody.
        fn find() -> User { User { name: "a".into() } }
    }
});

change!(error_where_there_was_none, Breaking:
v1 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } } }
v2 {
    types { #[data] #[derive(Debug)] pub struct Denied { pub why: String } }
    service Api(ApiClient, ApiServer) { fn find() -> Result<u32, Denied> { Ok(1) } }
});

change!(answer_where_there_was_none, Compatible:
v1 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } fn tell(word: String = "a") -> () { () } } }
v2 { service Api(ApiClient, ApiServer) { fn find() -> u32 { 1 } #[rpc(no_cancel)] fn tell(word: String = "a") -> () { () } } });
