//! Clients as handles of objects: which are equal, and how an object gets one of itself.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex},
};

use rpc_core::{Context, Peer, ServiceClient, Services, memory, rpc};

#[rpc]
trait House {
    /// The room with this number, the same each time.
    async fn room(&self, number: u64) -> RoomClient;
    /// Listens until the same client leaves.
    async fn join(&self, listener: ListenerClient) -> u64;
    async fn leave(&self, listener: ListenerClient) -> u64;
    /// A client of this service itself.
    async fn this(&self, #[rpc(context)] cx: Context) -> Option<HouseClient>;
    async fn name(&self) -> String;
}

#[rpc]
trait Room {
    async fn number(&self) -> u64;
    async fn this(&self, #[rpc(context)] cx: Context) -> Option<RoomClient>;
    /// Whether this room's handler gets no client of another trait.
    async fn is_only_itself(&self, #[rpc(context)] cx: Context) -> bool;
}

#[rpc]
trait Listener {
    async fn heard(&self, text: String);
}

#[derive(Clone)]
struct Mansion {
    rooms: Vec<RoomClient>,
    listeners: Arc<Mutex<HashSet<ListenerClient>>>,
}

impl Default for Mansion {
    fn default() -> Self {
        Self {
            rooms: (0..3).map(|number| RoomClient::local(Chamber(number))).collect(),
            listeners: Arc::default(),
        }
    }
}

impl House for Mansion {
    async fn room(&self, number: u64) -> RoomClient {
        self.rooms[number as usize].clone()
    }
    async fn join(&self, listener: ListenerClient) -> u64 {
        let mut listeners = self.listeners.lock().unwrap();
        listeners.insert(listener);
        listeners.len() as u64
    }
    async fn leave(&self, listener: ListenerClient) -> u64 {
        let mut listeners = self.listeners.lock().unwrap();
        listeners.remove(&listener);
        listeners.len() as u64
    }
    async fn this(&self, cx: Context) -> Option<HouseClient> {
        cx.this()
    }
    async fn name(&self) -> String {
        "mansion".into()
    }
}

struct Chamber(u64);

impl Room for Chamber {
    async fn number(&self) -> u64 {
        self.0
    }
    async fn this(&self, cx: Context) -> Option<RoomClient> {
        cx.this()
    }
    async fn is_only_itself(&self, cx: Context) -> bool {
        cx.this::<HouseClient>().is_none() && cx.this::<RoomClient>().is_some()
    }
}

struct Ear;

impl Listener for Ear {
    async fn heard(&self, _text: String) {}
}

fn house() -> HouseClient {
    memory::connect(Services::new().with(HouseServer::new(Mansion::default()))).service()
}

fn check_equal<C: ServiceClient + PartialEq + std::hash::Hash + std::fmt::Debug>(one: &C, other: &C) {
    let state = RandomState::new();
    assert_eq!(one, other);
    assert_eq!(state.hash_one(one), state.hash_one(other));
}

#[tokio::test]
#[allow(clippy::mutable_key_type, reason = "the hash is that of the identity")]
async fn clients_of_one_object_are_equal() {
    let house = house();
    let (one, again, other) = rpc_core::try_join!(house.room(1), house.room(1), house.room(2)).unwrap();
    check_equal(&one, &again);
    check_equal(&one, &one.deadline(std::time::Duration::from_secs(1)).metadata("key", "value"));
    assert_ne!(one, other);
    let mut names = HashMap::from([(one, "one"), (other, "two")]);
    assert_eq!(names.remove(&again), Some("one"));
    assert_eq!(names.remove(&again), None);
}

#[tokio::test]
async fn clients_of_a_service_are_equal_in_one_session() {
    let session = memory::connect(Services::new().with(HouseServer::new(Mansion::default())));
    let (one, other): (HouseClient, HouseClient) = (session.service(), HouseClient::new(&session));
    check_equal(&one, &other);
    assert_ne!(one, house());
}

#[tokio::test]
async fn clients_of_a_promised_object_are_equal_if_it_is_the_same_part() {
    let house = house();
    let (promised, other) = (house.room(1), house.room(1));
    let (one, again): (&RoomClient, &RoomClient) = (&promised, &promised);
    check_equal(one, &again.clone());
    assert_ne!(*one, *other, "nobody knows yet");
    let one = one.clone();
    assert_ne!(one, promised.await.unwrap());
}

#[tokio::test]
async fn a_listener_that_leaves_is_the_one_that_came() {
    let house = house();
    let (one, other) = (ListenerClient::local(Ear), ListenerClient::local(Ear));
    assert_ne!(one, other);
    assert_eq!(house.join(&one).await.unwrap(), 1);
    assert_eq!(house.join(&one).await.unwrap(), 1);
    assert_eq!(house.join(&other).await.unwrap(), 2);
    assert_eq!(house.leave(&one).await.unwrap(), 1);
    assert_eq!(house.leave(&one).await.unwrap(), 1);
    assert_eq!(house.leave(&other).await.unwrap(), 0);
}

#[tokio::test]
async fn a_handler_gets_a_client_of_its_own_object() {
    let house = house();
    let room = house.room(2).await.unwrap();
    check_equal(&room, &room.this().await.unwrap().unwrap());
    assert!(room.is_only_itself().await.unwrap());
    // Called in the process of the object, and of an object that does not exist yet.
    let local = RoomClient::local(Chamber(7));
    assert_eq!(local.this().await.unwrap().unwrap().number().await.unwrap(), 7);
    assert_eq!(house.room(1).this().some().number().await.unwrap(), 1);
    // In a map, each for itself.
    let rooms = [house.room(0), house.room(1)];
    for (number, room) in rooms.into_iter().enumerate() {
        assert_eq!(room.this().map(|this| this.number()).await.unwrap(), Some(number as u64));
    }
}

#[tokio::test]
async fn a_handler_of_a_service_gets_a_client_that_others_can_be_given() {
    let house = house();
    let this = house.this().await.unwrap().unwrap();
    assert_eq!(this.name().await.unwrap(), "mansion");
    assert_eq!(this.this().some().name().await.unwrap(), "mansion");
}

/// Keeps the context of each call.
#[derive(Default)]
struct Hoarder {
    contexts: Mutex<Vec<Context>>,
    alive: Arc<()>,
}

impl Room for Hoarder {
    async fn number(&self) -> u64 {
        0
    }
    async fn this(&self, cx: Context) -> Option<RoomClient> {
        self.contexts.lock().unwrap().push(cx);
        None
    }
    async fn is_only_itself(&self, cx: Context) -> bool {
        self.this(cx).await.is_none()
    }
}

#[tokio::test]
async fn an_implementation_may_keep_its_contexts() {
    let hoarder = Hoarder::default();
    let alive = Arc::downgrade(&hoarder.alive);
    let services = Services::new().with(RoomServer::new(hoarder));
    let session = memory::connect(services);
    let room = RoomClient::new(&session);
    assert!(room.this().await.unwrap().is_none());
    drop(room);
    session.close().await;
    // The server's side ends on its own task.
    while alive.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_handler_without_a_call_is_of_no_object() {
    assert!(Chamber(1).this(Context::for_test(Peer::default(), &[])).await.is_none());
}

#[rpc]
trait Makes {
    async fn new(&self, count: u64) -> u64;
}

impl Makes for Ear {
    async fn new(&self, count: u64) -> u64 {
        count
    }
}

#[tokio::test]
async fn a_method_of_the_trait_may_be_called_new() {
    let makes: MakesClient = memory::connect(Services::new().with(MakesServer::new(Ear))).service();
    assert_eq!(makes.new(3).await.unwrap(), 3);
}

#[tokio::test]
async fn a_pipe_can_be_cloned() {
    let house = house();
    let promise = house.this();
    let pipe = (*promise).clone();
    assert_eq!(pipe.some().name().await.unwrap(), "mansion");
}
