//! Names that could meet those of generated code.

use rpc_core::{Context, NotSent, Promise, Service, ServiceClient, data, rpc};

#[data]
#[derive(Debug)]
pub struct User {
    pub id: u64,
}

#[data]
#[derive(Debug)]
pub struct Failed;

/// Arguments named like what generated code might call its own.
#[rpc]
#[deny(warnings)]
pub trait Arguments {
    async fn first(&self, ctx: u8, self_: u8, seq: u8, context: u8, request: u8, r#type: u8) -> u8;
    async fn second(&self, args: u8, service: u8, method: u8, incoming: u8, call: u8, stub: u8) -> u8;
    async fn third(&self, implementation: u8, reader: u8, number: u8, value_0: u8, at: u8, key: u8) -> u8;
    async fn fourth(
        &self,
        limit: u8,
        #[rpc(context)] cx: Context,
        value: u8,
        candidate: u8,
    ) -> Result<u8, Failed>;
}

struct Sums;

impl Arguments for Sums {
    async fn first(&self, ctx: u8, self_: u8, seq: u8, context: u8, request: u8, r#type: u8) -> u8 {
        ctx + self_ + seq + context + request + r#type
    }
    async fn second(&self, args: u8, service: u8, method: u8, incoming: u8, call: u8, stub: u8) -> u8 {
        args + service + method + incoming + call + stub
    }
    async fn third(&self, implementation: u8, reader: u8, number: u8, value_0: u8, at: u8, key: u8) -> u8 {
        implementation + reader + number + value_0 + at + key
    }
    async fn fourth(&self, limit: u8, cx: Context, value: u8, candidate: u8) -> Result<u8, Failed> {
        let _ = cx.is_cancelled();
        Ok(limit + value + candidate)
    }
}

/// Methods named like those of generated types and of the traits they implement.
#[rpc]
#[deny(warnings)]
#[expect(non_snake_case)]
pub trait Methods {
    async fn foo_bar(&self);
    async fn foo__bar(&self);
    async fn new(&self) -> u8;
    async fn clone(&self) -> u8;
    async fn fmt(&self) -> u8;
    async fn descriptor(&self) -> u8;
    async fn from_stub(&self) -> u8;
    async fn from_arc(&self) -> u8;
    async fn dispatch(&self) -> u8;
    async fn stub(&self) -> u8;
    async fn begin(&self) -> u8;
    async fn deadline(&self, at: u64) -> Result<(), Failed>;
    async fn metadata(&self) -> Vec<String>;
    async fn r#match(&self, r#in: User) -> Result<User, Failed>;
}

fn methods_are_the_users(client: &MethodsClient) {
    let _: Promise<(), rpc_core::Never> = client.foo__bar();
    let _: Promise<u8, rpc_core::Never> = client.clone();
    let _: Promise<(), Failed> = client.deadline(7);
    let _: Promise<Vec<String>, rpc_core::Never> = client.metadata();
    let _: Promise<User, Failed> = client.r#match(User { id: 1 });
    let _: MethodsClient = Clone::clone(client);
    let _: MethodsClient = ServiceClient::deadline(client, std::time::Duration::from_secs(1));
}

/// Traits named like those that generated code needs.
mod traits {
    use rpc_core::rpc;

    #[rpc]
    pub trait S {
        async fn s(&self);
    }
    #[rpc]
    pub trait T {
        async fn t(&self);
    }
    #[rpc]
    pub trait Send {
        async fn send(&self) -> std::result::Result<u8, u8>;
    }
    #[rpc]
    pub trait Sync {
        async fn sync(&self);
    }
    #[rpc]
    pub trait Result {
        async fn result(&self, value: std::string::String);
    }
    #[rpc]
    pub trait Option {
        async fn option(&self) -> std::option::Option<u8>;
    }
    #[rpc]
    pub trait Future {
        async fn future(&self);
    }
    #[rpc]
    pub trait Clone {
        async fn clone(&self);
    }
    #[rpc]
    pub trait Service {
        async fn service(&self);
    }
    mod client {
        #[rpc_core::rpc]
        pub(super) trait ServiceClient {
            async fn deadline(&self);
        }
    }
    #[rpc]
    pub trait Into {
        async fn into(&self) -> u8;
    }
    #[rpc]
    pub(super) trait Debug: std::fmt::Debug + std::marker::Send + 'static {
        async fn fmt(&self);
    }
}

/// Types that only a module knows, in a trait only it knows.
mod nested {
    use rpc_core::{data, rpc};

    #[data]
    struct Secret {
        word: String,
    }

    #[rpc]
    trait Private {
        async fn tell(&self, secret: Secret) -> Result<Secret, Secret>;
    }

    #[rpc]
    pub(super) trait Within {
        async fn tell(&self) -> u8;
    }

    struct Keeper;

    impl Private for Keeper {
        async fn tell(&self, secret: Secret) -> Result<Secret, Secret> {
            Ok(secret)
        }
    }

    fn uses(client: &PrivateClient) -> rpc_core::Promise<String, Secret> {
        let _ = PrivateServer::new(Keeper);
        client.deadline(std::time::Duration::ZERO).tell(Secret { word: String::new() }).word()
    }

    #[test]
    fn private_services_work_inside_their_module() {
        let _ = uses;
    }
}

/// Every count of arguments that tuples might be limited to.
#[rpc]
#[allow(clippy::too_many_arguments)]
pub trait Counts {
    async fn none(&self);
    async fn one(&self, a: u8);
    async fn two(&self, a: u8, b: u8);
    async fn twelve(
        &self,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: u8,
        j: u8,
        k: u8,
        l: u8,
    ) -> ();
    async fn fourteen(
        &self,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: u8,
        j: u8,
        k: u8,
        l: u8,
        m: u8,
        n: u8,
    ) -> Result<(), ()>;
}

/// A trait without methods is still a service.
#[rpc]
pub trait Empty {}

struct Nothing;

impl Empty for Nothing {}

#[rpc]
pub trait Contexts {
    async fn owned(&self, #[rpc(context)] cx: Context) -> u8;
    async fn borrowed(&self, name: String, #[rpc(context)] cx: &Context) -> Result<u8, Failed>;
    #[rpc(oneway)]
    async fn oneway(&self, #[rpc(context)] cx: Context, line: String);
}

impl Contexts for Nothing {
    async fn owned(&self, cx: Context) -> u8 {
        u8::from(cx.is_cancelled())
    }
    async fn borrowed(&self, name: String, cx: &Context) -> Result<u8, Failed> {
        cx.metadata(&name).map(|_| 1).ok_or(Failed)
    }
    async fn oneway(&self, cx: Context, line: String) {
        let _ = (cx.remaining(), line);
    }
}

fn a_context_is_not_an_argument(client: &ContextsClient) -> Result<(), NotSent> {
    let name: Promise<String, u8> = unreachable_promise();
    let _: Promise<u8, rpc_core::Never> = client.owned();
    let _: Promise<u8, Failed> = client.borrowed(&name);
    let _: Promise<u8, Failed> = client.borrowed(name);
    client.oneway("a line")
}

fn unreachable_promise<T, E>() -> Promise<T, E> {
    unreachable!("only compiled")
}

/// A macro may write the trait: its tokens have other spans than the user's.
macro_rules! service {
    ($name:ident, $argument:ident: $ty:ty) => {
        #[rpc]
        pub trait $name {
            async fn put(&self, $argument: $ty) -> Result<$ty, Failed>;
            async fn own(&self, own: $ty) -> u8;
        }
    };
}
service!(Written, argument: Vec<User>);

/// A trait and its use inside a function.
#[test]
fn a_trait_may_be_local() {
    #[rpc]
    trait Local {
        async fn here(&self);
    }
    struct Here;
    impl Local for Here {
        async fn here(&self) {}
    }
    assert_eq!(LocalServer::new(Here).descriptor().name, "Local");
}

#[test]
fn servers_share_their_implementation() {
    let shared = std::sync::Arc::new(Sums);
    let server = ArgumentsServer::from_arc(std::sync::Arc::clone(&shared));
    let another = server.clone();
    assert_eq!(std::sync::Arc::strong_count(&shared), 3);
    assert_eq!(another.descriptor().name, "Arguments");
    assert_eq!(EmptyServer::new(Nothing).descriptor().methods.len(), 0);
    assert_eq!(ContextsServer::new(Nothing).descriptor().methods.len(), 3);
}

#[test]
fn clients_are_values() {
    fn is_client<C: ServiceClient + std::fmt::Debug>() {}
    is_client::<MethodsClient>();
    is_client::<traits::SendClient>();
    is_client::<traits::CloneClient>();
    is_client::<traits::DebugClient>();
    is_client::<nested::WithinClient>();
    is_client::<WrittenClient>();
    is_client::<CountsClient>();
    let _ = (methods_are_the_users, a_context_is_not_an_argument);
}
