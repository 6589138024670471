//! What a promise derefs to.

use std::{fmt::Display, marker::PhantomData};

use rpc_core::{Pipeline, Promise, data};

#[data]
pub struct User {
    pub id: u64,
    /// Their name.
    pub name: String,
    pub friends: Vec<User>,
    pub boss: Option<Box<User>>,
    pub r#type: Kind,
    secret: u8,
    #[serde(skip)]
    pub cache: Cache,
}

#[derive(Default)]
pub struct Cache;

#[data]
pub enum Kind {
    Plain,
    Admin {
        since: u64,
        rights: Vec<String>,
    },
    HTTPBot(String, u16),
    Self_(u8),
    Match(Page<u8>),
    #[serde(skip)]
    Hidden(Cache),
}

#[data]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<u64>,
}

#[derive(Pipeline)]
pub struct Bounded<E: Display + ?Sized, const N: usize = 3, T: Default = u8>
where
    T: Clone,
{
    pub array: [T; N],
    pub shown: Box<E>,
}

#[data]
#[serde(transparent)]
pub struct Meters(f64);

#[data]
#[serde(transparent)]
pub struct Tagged<T> {
    pub value: u64,
    marker: PhantomData<T>,
}

#[data]
pub struct Newtype(pub User);

#[derive(Pipeline)]
pub enum Tree<T> {
    Leaf(T),
    Node(Box<Tree<T>>, Box<Tree<T>>),
}

#[derive(Pipeline)]
pub enum Void {}

fn struct_fields(user: Promise<User, String>) {
    let _: Promise<u64, String> = user.id();
    let _: Promise<String, String> = user.name();
    let _: Promise<User, String> = user.friends().index(3);
    let _: Promise<u64, String> = user.boss().some().boss().some().id();
    let _: Promise<u8, String> = user.secret();
    let _: UserPipe<String> = (*user).clone();
}

fn variants(kind: Promise<Kind, String>) {
    let _: Promise<Vec<String>, String> = kind.admin().rights();
    let _: Promise<u16, String> = kind.http_bot()._1();
    let _: Promise<u8, String> = kind.self_()._0();
    let _: Promise<u8, String> = kind.r#match()._0().items().index(0);
    let _: KindAdminPipe<String> = kind.admin();
}

fn generics(
    page: Promise<Page<User>, u8>,
    bounded: Promise<Bounded<u8, 7>, u8>,
    tree: Promise<Tree<User>, u8>,
) {
    let _: Promise<String, u8> = page.items().index(0).name();
    let _: Promise<[u8; 7], u8> = bounded.array();
    let _: Promise<String, u8> = tree.node()._0().leaf()._0().name();
}

fn wrappers(meters: Promise<Meters, u8>, tagged: Promise<Tagged<u8>, u8>, newtype: Promise<Newtype, u8>) {
    let _: Promise<f64, u8> = meters._0();
    let _: Promise<u64, u8> = tagged.value();
    let _: Promise<String, u8> = newtype._0().name();
}

#[test]
fn pipes_have_the_types_of_their_fields() {
    let _ = (struct_fields, variants, generics, wrappers);
}

#[test]
fn promises_and_pipes_are_send() {
    fn is_send<T: Send + Sync>() {}
    is_send::<UserPipe<String>>();
    is_send::<PagePipe<std::cell::Cell<u8>, String>>();
    is_send::<TreeNodePipe<u8, u8>>();
    is_send::<Promise<Void, u8>>();
}
