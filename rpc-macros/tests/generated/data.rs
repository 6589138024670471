//! `#[data]` among other derives and attributes.

use std::collections::HashMap;

use rpc_core::{Pipelined, Promise, data};

/// Stands for what needs both directions of serde.
fn travels<T>()
where
    T: Pipelined
        + rpc_core::__private::serde::Serialize
        + for<'de> rpc_core::__private::serde::Deserialize<'de>,
{
}

#[data]
#[derive(Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct After {
    /// Its number.
    pub the_id: u64,
    #[serde(rename = "other", default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
#[data]
#[derive(Eq, Hash)]
pub struct Before(pub u64, pub String);

#[data]
#[derive(Default)]
#[serde(
    bound = "T: rpc_core::__private::serde::Serialize + for<'a> rpc_core::__private::serde::Deserialize<'a>"
)]
pub struct Bound<T> {
    pub value: T,
}

#[data]
#[serde(crate = "rpc_core::__private::serde")]
pub enum OwnSerde {
    A,
    B(u8),
}

#[data]
pub struct Unit;

#[data]
pub(crate) struct Map {
    pub(crate) of: HashMap<String, Vec<After>>,
}

#[test]
fn data_travels() {
    travels::<After>();
    travels::<Before>();
    travels::<Bound<u8>>();
    travels::<OwnSerde>();
    travels::<Unit>();
    travels::<Map>();
    assert_eq!(After { the_id: 1, name: None }.clone(), After { the_id: 1, name: None });
    let _ = |map: Promise<Map, ()>| map.of();
}
