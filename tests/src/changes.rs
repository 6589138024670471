//! What is said of a change of an API is what happens: two versions meet, and every call of one at the other ends as the
//! comparison of their descriptions foretold.
//!
//! `UPDATE_CHANGES=1` writes the comparisons in words anew, which lie beside this file.

use std::{collections::BTreeSet, path::Path};

use futures::future::BoxFuture;
use rpc_core::{
    CallError, Refusal, Services, SessionHandle, driver::SessionConfig, memory,
    schema::compatibility::Compatibility,
};
use rpc_docs::{
    Description,
    compare::{Comparison, Verdict, Version, compare},
};

#[allow(unreachable_pub, reason = "the types are those of an API, which are public")]
mod kinds;

/// A method, and what became of a call of it.
type Ended = (&'static str, Compatibility);

/// One version of an API: what it serves, how it is described, and calls of all its methods.
struct Side {
    services: Services,
    description: Description,
    calls: fn(SessionHandle) -> BoxFuture<'static, Vec<Ended>>,
}

/// What became of a call, as the other side's rule would have it.
fn outcome<T, E: std::fmt::Debug>(result: Result<T, CallError<E>>) -> Compatibility {
    match result {
        Ok(_) => Compatibility::Works,
        Err(CallError::Refused { refusal: Refusal::UnknownService { .. }, .. }) => {
            Compatibility::UnknownService
        }
        Err(CallError::Refused { refusal: Refusal::UnknownMethod { .. }, .. }) => {
            Compatibility::UnknownMethod
        }
        Err(CallError::Refused { refusal: Refusal::NotCallable { .. }, .. }) => Compatibility::NotCallable,
        Err(CallError::Refused { refusal: Refusal::SchemaMismatch { .. }, .. }) => {
            Compatibility::SchemaMismatch
        }
        Err(other) => panic!("a call ended otherwise: {other:?}"),
    }
}

/// Lets the versions meet both ways and holds what happens against the comparison.
async fn meet(name: &str, old: Side, new: Side) -> Comparison {
    let comparison = compare(&old.description, &new.description);
    let mut happened = BTreeSet::new();
    for (version, caller, called) in
        [(Version::Old, old.calls, new.services.clone()), (Version::New, new.calls, old.services.clone())]
    {
        let ended = caller(memory::connect(called)).await;
        happened.extend(ended.into_iter().map(|(method, ended)| (version, method.to_owned(), ended)));
    }
    happened.retain(|(_, _, ended)| *ended != Compatibility::Works);
    let foretold: BTreeSet<_> = comparison
        .refused
        .iter()
        .chain(&comparison.not_yet)
        .map(|call| (call.caller_version, call.method.to_string(), call.why))
        .collect();
    assert_eq!(foretold, happened, "{name}");
    compare_with_snapshot(name, &comparison.to_string());
    comparison
}

#[track_caller]
fn compare_with_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/changes/{name}.txt"));
    if std::env::var_os("UPDATE_CHANGES").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(known.replace("\r\n", "\n"), text, "{name}: UPDATE_CHANGES=1 writes it anew");
}

/// Two versions of an API. All methods are called, with the values behind `=`.
macro_rules! change {
    ($name:ident, $verdict:ident: $($version:ident {
        $(types { $($item:item)* })?
        $($(#[$about:meta])* service $service:ident($client:ident, $server:ident $(, $($option:tt)*)?) {
            $($(#[$attribute:meta])* fn $method:ident($($argument:ident: $ty:ty = $value:expr),*) -> $result:ty { $given:expr })*
        })*
    })+) => {
        mod $name {
            $(pub(super) mod $version {
                #![allow(unused_imports, deprecated)]
                use rpc_core::{data, rpc};
                $($($item)*)?
                $(
                    $(#[$about])*
                    #[rpc($($($option)*)?)]
                    pub trait $service {
                        $($(#[$attribute])* async fn $method(&self, $($argument: $ty),*) -> $result;)*
                    }

                    impl $service for super::Implementation {
                        $(async fn $method(&self, $($argument: $ty),*) -> $result {
                            let _ = ($($argument,)*);
                            $given
                        })*
                    }
                )*

                pub fn side() -> crate::changes::Side {
                    let services = rpc_core::Services::new();
                    $(let services = services.with($server::new(super::Implementation));)*
                    let api = rpc_docs::Api::new("Api", "1.0.0");
                    $(let api = api.service::<$client>();)*
                    crate::changes::Side { services, description: api.describe(), calls: |session| Box::pin(async move {
                        let mut outcomes = Vec::new();
                        $(
                            let client: $client = session.service();
                            let service = <$client as rpc_core::ServiceClient>::descriptor();
                            let mut names = service.methods.iter().map(|method| format!("{}.{}", service.name, method.name));
                            $(
                                let ended = crate::changes::outcome(client.$method($($value),*).await);
                                outcomes.push((&*names.next().unwrap().leak(), ended));
                            )*
                        )*
                        outcomes
                    }) }
                }
            })+

            pub struct Implementation;

            #[tokio::test]
            async fn ends_as_foretold() {
                let comparison = crate::changes::meet(stringify!($name), v1::side(), v2::side()).await;
                assert_eq!(comparison.verdict(), rpc_docs::compare::Verdict::$verdict);
            }
        }
    };
}
use change;

/// The server calls back: the roles are swapped.
#[allow(unreachable_pub, reason = "the types are those of an API, which are public")]
mod callbacks {
    macro_rules! version {
        ($version:ident: $($argument:ident: $ty:ty = $value:expr),*) => {
            pub mod $version {
                use rpc_core::rpc;

                #[rpc]
                pub trait Hub {
                    /// Gives what became of a call of the listener, by its name.
                    async fn subscribe(&self, listener: ListenerClient) -> String;
                }

                #[rpc]
                pub trait Listener {
                    async fn heard(&self, $($argument: $ty),*);
                }

                pub struct Implementation;

                impl Hub for Implementation {
                    async fn subscribe(&self, listener: ListenerClient) -> String {
                        format!("{:?}", crate::changes::outcome(listener.heard($($value),*).await))
                    }
                }

                impl Listener for Implementation {
                    async fn heard(&self, $($argument: $ty),*) {
                        let _ = ($($argument,)*);
                    }
                }
            }
        };
    }
    version!(v1: text: String = "hello");
    version!(v2: text: String = "hello", loud: bool = true);
}

#[tokio::test]
async fn a_change_of_a_callback_breaks_servers_that_call_clients() {
    use callbacks::{v1, v2};
    let old = rpc_docs::Api::new("Api", "1.0.0").service::<v1::HubClient>().describe();
    let new = rpc_docs::Api::new("Api", "1.0.0").service::<v2::HubClient>().describe();
    let comparison = compare(&old, &new);
    assert_eq!(comparison.verdict(), Verdict::Breaking);
    compare_with_snapshot("callback", &comparison.to_string());
    let foretold: Vec<_> = comparison
        .refused
        .iter()
        .map(|call| (call.caller_version, call.caller, call.method.to_string(), call.why))
        .collect();
    let heard = || "Listener.heard".to_owned();
    let mismatch = Compatibility::SchemaMismatch;
    let server = rpc_docs::description::Side::Server;
    assert_eq!(
        foretold,
        [(Version::Old, server, heard(), mismatch), (Version::New, server, heard(), mismatch)]
    );

    let old_server = memory::connect(Services::new().with(v1::HubServer::new(v1::Implementation)));
    let hub: v2::HubClient = old_server.service();
    let happened = hub.subscribe(v2::ListenerClient::local(v2::Implementation)).await.unwrap();
    assert_eq!(happened, format!("{mismatch:?}"));
    let new_server = memory::connect(Services::new().with(v2::HubServer::new(v2::Implementation)));
    let hub: v1::HubClient = new_server.service();
    let happened = hub.subscribe(v1::ListenerClient::local(v1::Implementation)).await.unwrap();
    assert_eq!(happened, format!("{mismatch:?}"));
}

/// A service that servers offered, and that clients offer since.
#[tokio::test]
async fn a_service_that_moves_to_the_other_side_is_no_longer_there() {
    use callbacks::v1::{HubClient, HubServer, Implementation, ListenerClient};
    let services = || Services::new().with(HubServer::new(Implementation));
    let old = rpc_docs::Api::new("Api", "1.0.0").service::<HubClient>().describe();
    let new = rpc_docs::Api::new("Api", "1.0.0").client_service::<HubClient>().describe();
    let comparison = compare(&old, &new);
    let foretold = |calls: &[rpc_docs::compare::Refused]| -> Vec<_> {
        let told = |call: &rpc_docs::compare::Refused| {
            (call.caller_version, call.caller, call.method.to_string(), call.why)
        };
        calls.iter().map(told).collect()
    };
    let unknown = Compatibility::UnknownService;
    let subscribe = || "Hub.subscribe".to_owned();
    let [server, client] = [rpc_docs::description::Side::Server, rpc_docs::description::Side::Client];
    assert_eq!(foretold(&comparison.refused), [(Version::Old, client, subscribe(), unknown)], "{comparison}");
    assert_eq!(foretold(&comparison.not_yet), [(Version::New, server, subscribe(), unknown)]);

    let config = |services| SessionConfig { services, ..SessionConfig::default() };
    let call = |session: SessionHandle| async move {
        let hub: HubClient = session.service();
        outcome(hub.subscribe(ListenerClient::local(Implementation)).await)
    };
    // An old client at a new server, which offers nothing; and a new server at an old client, which does neither.
    let (old_client, new_server) = memory::connect_with(config(Services::new()), config(Services::new()));
    assert_eq!(call(old_client.clone()).await, unknown);
    assert_eq!(call(new_server).await, unknown);
    let (old_client, old_server) = memory::connect_with(config(Services::new()), config(services()));
    assert_eq!(call(old_client.clone()).await, Compatibility::Works);
    assert_eq!(call(old_server).await, unknown);
    // Of both, then of one.
    let both =
        rpc_docs::Api::new("Api", "1.0.0").service::<HubClient>().client_service::<HubClient>().describe();
    let comparison = compare(&both, &old);
    assert_eq!(foretold(&comparison.refused), [(Version::Old, server, subscribe(), unknown)], "{comparison}");
    assert_eq!(compare(&old, &both).verdict(), Verdict::Compatible);
}

#[test]
fn the_guide_says_of_each_kind_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(folder.join("../docs/evolving.md")).unwrap();
    let (_, kinds) = guide.split_once("## Kinds of change").unwrap();
    let mut told = BTreeSet::new();
    for section in kinds.split("\n### ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        let name = title.to_lowercase().replace(' ', "_");
        let snapshot = std::fs::read_to_string(folder.join(format!("src/changes/{name}.txt"))).unwrap();
        let (verdict, _) = snapshot.split_once(':').unwrap();
        let claim = format!("**{}.**", if verdict == "BREAKING" { "Breaking" } else { "Compatible" });
        assert!(text.trim_start().starts_with(&claim), "{title}: {claim}");
        told.insert(name);
    }
    let files = std::fs::read_dir(folder.join("src/changes")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let tested: BTreeSet<String> =
        files.filter_map(|file| file.strip_suffix(".txt").map(str::to_owned)).collect();
    let others = ["answer_where_there_was_none", "callback"].map(str::to_owned).into();
    let untold: Vec<_> =
        tested.difference(&told).filter(|kind| !BTreeSet::contains(&others, *kind)).collect();
    assert!(untold.is_empty(), "the guide leaves out {untold:?}");
}
