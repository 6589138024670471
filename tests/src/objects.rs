//! Clients as values: passed, called before they exist, called back, released.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpc_client::Client;
use rpc_core::{CallError, Limits, Refusal, Services, SessionHandle, driver::SessionConfig, memory, rpc};
use rpc_server::Server;

use crate::support::relay::Relay;

/// Where rooms come from.
#[rpc]
trait Hall {
    async fn log_in(&self, name: String) -> Result<SeatClient, HallError>;
    async fn visit(&self, name: String) -> Result<Visit, HallError>;
    async fn rooms(&self, names: Vec<String>) -> Vec<RoomClient>;
    async fn find(&self, name: String) -> Option<RoomClient>;
    async fn door(&self, open: bool) -> Door;
    async fn same(&self, room: RoomClient) -> RoomClient;
    async fn listen(&self, listener: ListenerClient);
    async fn tell(&self, text: String) -> Result<usize, HallError>;
    async fn forget(&self);
    async fn title_of(&self, room: RoomClient) -> Result<String, HallError>;
    async fn title_of_any(&self, rooms: Vec<Option<RoomClient>>) -> String;
    async fn guarded(&self) -> Result<(), HallError>;
    async fn back(&self, listener: ListenerClient) -> ListenerClient;
    async fn never(&self) -> RoomClient;
    async fn number(&self) -> u64;
    async fn names(&self, names: Vec<String>) -> Vec<String>;
    async fn label(&self, room: RoomClient, label: String) -> Labelled;
}

#[rpc_core::data]
struct Labelled {
    label: String,
    room: RoomClient,
}

#[rpc]
trait Seat {
    async fn enter(&self, room: String) -> Result<RoomClient, HallError>;
}

#[rpc]
trait Room {
    async fn title(&self) -> String;
    async fn history(&self, last: u32) -> Vec<String>;
    async fn twin(&self) -> RoomClient;
}

#[rpc]
trait Listener {
    async fn heard(&self, text: String) -> usize;
    async fn own_room(&self) -> RoomClient;
}

#[rpc_core::data]
struct Visit {
    room: RoomClient,
    rooms: Vec<RoomClient>,
    after: Option<RoomClient>,
    count: u64,
}

#[rpc_core::data]
enum Door {
    Closed,
    Open { room: RoomClient, since: u64 },
}

#[rpc_core::data]
#[derive(Debug, thiserror::Error)]
enum HallError {
    #[error("nobody")]
    Nobody,
    #[error("ask the room")]
    Ask(RoomClient),
}

/// Counts what is alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn one(&self) -> Life {
        self.0.fetch_add(1, Ordering::SeqCst);
        Life(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

struct Life(Arc<AtomicUsize>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Default)]
struct House {
    alive: Alive,
    listeners: Arc<Mutex<Vec<ListenerClient>>>,
}

impl House {
    fn room(&self, title: &str) -> RoomClient {
        RoomClient::local(Chamber { title: title.into(), house: self.clone(), _life: self.alive.one() })
    }
}

struct Chamber {
    title: String,
    house: House,
    _life: Life,
}

impl Room for Chamber {
    async fn title(&self) -> String {
        self.title.clone()
    }

    async fn history(&self, last: u32) -> Vec<String> {
        (0..last).map(|line| format!("{} {line}", self.title)).collect()
    }

    async fn twin(&self) -> RoomClient {
        self.house.room(&format!("{}'s twin", self.title))
    }
}

struct Chair(House);

impl Seat for Chair {
    async fn enter(&self, room: String) -> Result<RoomClient, HallError> {
        Ok(self.0.room(&room))
    }
}

impl Hall for House {
    async fn log_in(&self, name: String) -> Result<SeatClient, HallError> {
        if name == "nobody" { Err(HallError::Nobody) } else { Ok(SeatClient::local(Chair(self.clone()))) }
    }

    async fn visit(&self, name: String) -> Result<Visit, HallError> {
        if name == "nobody" {
            return Err(HallError::Ask(self.room("the porter's")));
        }
        Ok(Visit {
            room: self.room(&name),
            rooms: vec![self.room("first"), self.room("second")],
            after: Some(self.room("after")),
            count: 4,
        })
    }

    async fn rooms(&self, names: Vec<String>) -> Vec<RoomClient> {
        names.iter().map(|name| self.room(name)).collect()
    }

    async fn find(&self, name: String) -> Option<RoomClient> {
        (name != "nowhere").then(|| self.room(&name))
    }

    async fn door(&self, open: bool) -> Door {
        if open { Door::Open { room: self.room("behind"), since: 3 } } else { Door::Closed }
    }

    async fn same(&self, room: RoomClient) -> RoomClient {
        room
    }

    async fn listen(&self, listener: ListenerClient) {
        self.listeners.lock().unwrap().push(listener);
    }

    async fn tell(&self, text: String) -> Result<usize, HallError> {
        let listeners = self.listeners.lock().unwrap().clone();
        let heard = rpc_core::join_all(listeners.iter().map(|listener| listener.heard(&text))).await;
        Ok(heard.into_iter().filter_map(Result::ok).sum())
    }

    async fn forget(&self) {
        self.listeners.lock().unwrap().clear();
    }

    async fn title_of(&self, room: RoomClient) -> Result<String, HallError> {
        room.title().await.map_err(|_| HallError::Nobody)
    }

    async fn title_of_any(&self, rooms: Vec<Option<RoomClient>>) -> String {
        let titles = rpc_core::join_all(rooms.iter().flatten().map(RoomClient::title)).await;
        titles
            .into_iter()
            .map(|title| title.unwrap_or_else(|error| error.to_string()))
            .collect::<Vec<_>>()
            .join(",")
    }

    async fn guarded(&self) -> Result<(), HallError> {
        Err(HallError::Nobody)
    }

    async fn back(&self, listener: ListenerClient) -> ListenerClient {
        listener
    }

    async fn never(&self) -> RoomClient {
        std::future::pending().await
    }

    async fn number(&self) -> u64 {
        7
    }

    async fn names(&self, names: Vec<String>) -> Vec<String> {
        names
    }

    async fn label(&self, room: RoomClient, label: String) -> Labelled {
        Labelled { label, room }
    }
}

/// Remembers what it heard.
#[derive(Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
    alive: Alive,
    _life: Option<Arc<Life>>,
}

impl Ear {
    fn alive(alive: &Alive) -> Self {
        Self { alive: alive.clone(), _life: Some(Arc::new(alive.one())), ..Self::default() }
    }
}

impl Listener for Ear {
    async fn heard(&self, text: String) -> usize {
        let mut heard = self.heard.lock().unwrap();
        heard.push(text);
        heard.len()
    }

    async fn own_room(&self) -> RoomClient {
        let house = House { alive: self.alive.clone(), ..House::default() };
        house.room("the listener's")
    }
}

fn hall(house: &House) -> (SessionHandle, HallClient) {
    let session = memory::connect(Services::new().with(HallServer::new(house.clone())));
    let hall = session.service();
    (session, hall)
}

/// Waits until what was released is dropped: releases ride on other messages or leave after a while.
async fn settle(session: &SessionHandle, exports: usize, imports: usize) {
    for _ in 0..200 {
        let stats = session.stats().await;
        if (stats.exports, stats.imports) == (exports, imports) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let stats = session.stats().await;
    panic!("{} exports and {} imports are left", stats.exports, stats.imports);
}

#[tokio::test]
async fn logging_in_and_reading_a_rooms_history_is_one_message_each_way() {
    let server =
        Server::builder().service(HallServer::new(House::default())).bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::start(server.local_addr().unwrap()).await;
    let serving = tokio::spawn(server.serve());
    let client = Client::connect(&relay.url()).await.unwrap();
    let hall: HallClient = client.service();
    // The hellos and the definitions are exchanged; what is counted is the conversation.
    hall.number().await.unwrap();
    relay.reset();

    let ear = Ear::default();
    let seat = hall.log_in("ann");
    let room = seat.enter("kitchen");
    let history = room.history(2);
    let listening = hall.listen(ListenerClient::local(ear.clone()));
    let (history, ()) = rpc_core::try_join!(history, listening).unwrap();
    assert_eq!(history, ["kitchen 0", "kitchen 1"]);
    assert_eq!(relay.messages(), (1, 1));

    assert_eq!(hall.tell("hello").await.unwrap(), 1);
    assert_eq!(*ear.heard.lock().unwrap(), ["hello"]);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn references_travel_inside_values() {
    let house = House::default();
    let services = Services::new().with(HallServer::new(house.clone()));
    let served = SessionConfig { services, ..SessionConfig::default() };
    let (session, serving) = memory::connect_with(SessionConfig::default(), served);
    let hall: HallClient = session.service();
    let visit = hall.visit("attic").await.unwrap();
    assert_eq!(visit.count, 4);
    assert_eq!(visit.room.title().await.unwrap(), "attic");
    assert_eq!(visit.rooms[1].title().await.unwrap(), "second");
    assert_eq!(visit.after.as_ref().unwrap().title().await.unwrap(), "after");
    let rooms = hall.rooms(vec!["a".into(), "b".into()]).await.unwrap();
    assert_eq!(rooms[1].title().await.unwrap(), "b");
    assert!(hall.find("nowhere").await.unwrap().is_none());
    let Door::Open { room, since } = hall.door(true).await.unwrap() else { panic!("it is closed") };
    assert_eq!((room.title().await.unwrap().as_str(), since), ("behind", 3));
    let Err(CallError::Method(HallError::Ask(porter))) = hall.visit("nobody").await else {
        panic!("it is no error")
    };
    assert_eq!(porter.title().await.unwrap(), "the porter's");
    let any = hall.title_of_any(vec![Some(visit.room.clone()), None, Some(rooms[0].clone())]);
    assert_eq!(any.await.unwrap(), "attic,a");

    assert_eq!(house.alive.count(), 8);
    drop((visit, rooms, room, porter));
    settle(&serving, 0, 0).await;
    assert_eq!(house.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn promised_references_are_called_wherever_they_will_be() {
    let (_session, hall) = hall(&House::default());
    let visit = hall.visit("attic");
    let titles = rpc_core::try_join!(
        visit.room().title(),
        visit.rooms().index(1).title(),
        visit.after().some().title(),
        visit.room().twin().twin().title(),
        hall.door(true).open().room().title(),
    );
    let (room, second, after, twin, behind) = titles.unwrap();
    assert_eq!([room, second, after, behind], ["attic", "second", "after", "behind"]);
    assert_eq!(twin, "attic's twin's twin");
    // What is not there fails the call like any other part.
    let missed = hall.find("nowhere").some().title().await;
    let Err(CallError::Upstream(upstream)) = missed else { panic!("{missed:?}") };
    assert!(upstream.to_string().contains("find"), "{upstream}");
    let failed = hall.log_in("nobody").enter("kitchen").title().await;
    let Err(CallError::Upstream(upstream)) = failed else { panic!("{failed:?}") };
    assert!(matches!(upstream.downcast::<HallError>(), Some(HallError::Nobody)));
}

#[tokio::test(start_paused = true)]
async fn a_promised_reference_is_passed_before_it_exists() {
    let (_session, hall) = hall(&House::default());
    let room = hall.log_in("ann").enter("kitchen");
    // As the promise, as the client that the promise stands for, and inside a value.
    let by_promise = hall.title_of(&room);
    let by_client = hall.title_of((*room).clone());
    let inside = hall.title_of_any(vec![Some((*room).clone()), None]);
    let (by_promise, by_client) = rpc_core::try_join!(by_promise, by_client).unwrap();
    assert_eq!((by_promise.as_str(), by_client.as_str()), ("kitchen", "kitchen"));
    assert_eq!(inside.await.unwrap(), "kitchen");
    let failed = hall.title_of((*hall.log_in("nobody").enter("kitchen")).clone()).await;
    assert!(matches!(failed, Err(CallError::Upstream(_))), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn the_server_calls_back_and_lets_go() {
    let (alive, house) = (Alive::default(), House::default());
    let (session, hall) = hall(&house);
    let ear = Ear::alive(&alive);
    let listener = ListenerClient::local(ear.clone());
    hall.listen(&listener).await.unwrap();
    hall.listen(&listener).await.unwrap();
    assert_eq!(session.stats().await.exports, 1);
    assert_eq!(hall.tell("one").await.unwrap(), 1 + 2);
    hall.forget().await.unwrap();
    settle(&session, 0, 0).await;
    listener.released().await;
    assert_eq!(alive.count(), 1);
    drop((listener, ear));
    assert_eq!(alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_server_builds_on_what_a_callback_promises() {
    #[rpc]
    trait Curious {
        async fn title_at(&self, listener: ListenerClient) -> String;
    }
    struct Asking;
    impl Curious for Asking {
        async fn title_at(&self, listener: ListenerClient) -> String {
            listener.own_room().twin().title().await.unwrap_or_else(|error| error.to_string())
        }
    }
    let session = memory::connect(Services::new().with(CuriousServer::new(Asking)));
    let curious: CuriousClient = session.service();
    let title = curious.title_at(ListenerClient::local(Ear::default())).await.unwrap();
    assert_eq!(title, "the listener's's twin");
}

#[tokio::test(start_paused = true)]
async fn a_settled_reference_that_comes_home_is_the_object_itself() {
    let alive = Alive::default();
    let (session, hall) = hall(&House::default());
    let ear = Ear::alive(&alive);
    let home = hall.back(ListenerClient::local(ear)).await.unwrap();
    settle(&session, 0, 0).await;
    // Nobody else holds it: it is called without the session, and lives as long as this client of it.
    session.close().await;
    assert_eq!(home.heard("still").await.unwrap(), 1);
    assert_eq!(alive.count(), 1);
    drop(home);
    for _ in 0..200 {
        if alive.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is still alive");
}

#[tokio::test(start_paused = true)]
async fn a_promised_reference_to_an_own_object_goes_through_the_peer() {
    let ear = Ear::default();
    let (_session, hall) = hall(&House::default());
    let promised = hall.back(ListenerClient::local(ear.clone()));
    let first = promised.heard("over there and back");
    let home = promised.own_room().title();
    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(home.await.unwrap(), "the listener's");
    // A part of what was passed on is selected out of its bytes.
    let part = hall.log_in(promised.own_room().history(2).index(1)).enter("x").title();
    assert_eq!(part.await.unwrap(), "x");
    let settled = promised.await.unwrap();
    assert_eq!(settled.heard("here").await.unwrap(), 2);
    assert_eq!(*ear.heard.lock().unwrap(), ["over there and back", "here"]);
}

#[tokio::test(start_paused = true)]
async fn a_local_object_is_called_as_a_remote_one_is() {
    let house = House::default();
    let room = house.room("here");
    let twin = room.twin();
    let (title, history) = rpc_core::try_join!(twin.title(), room.history(1)).unwrap();
    assert_eq!((title.as_str(), history[0].as_str()), ("here's twin", "here 0"));
    // A reference from elsewhere passes through a local call.
    let (_session, hall) = hall(&house);
    let local = HallClient::local(house.clone());
    let remote = hall.find("remote").await.unwrap().unwrap();
    assert_eq!(local.title_of(&remote).await.unwrap(), "remote");
    assert_eq!(local.same(&remote).title().await.unwrap(), "remote");
}

#[tokio::test(start_paused = true)]
async fn a_reference_of_one_session_is_passed_on_in_another() {
    let (far, near) = (House::default(), House::default());
    let (_far_session, far_hall) = hall(&far);
    let (near_session, near_hall) = hall(&near);
    let room = far_hall.find("far").await.unwrap().unwrap();
    assert_eq!(near_hall.title_of(&room).await.unwrap(), "far");
    // Only promised, and through two sessions.
    let promised = far_hall.log_in("ann").enter("promised");
    assert_eq!(near_hall.title_of((*promised).clone()).await.unwrap(), "promised");
    // It is itself again where it came from.
    let again = near_hall.same(&room).await.unwrap();
    assert_eq!(far_hall.title_of(&again).await.unwrap(), "far");
    drop((room, again, promised));
    settle(&near_session, 0, 0).await;
    // Its error keeps its type.
    assert!(matches!(near_hall.log_in("nobody").await, Err(CallError::Method(HallError::Nobody))));
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_holds_is_dropped_when_the_session_ends() {
    let (alive, house) = (Alive::default(), House::default());
    let (session, hall) = hall(&house);
    let listener = ListenerClient::local(Ear::alive(&alive));
    hall.listen(listener).await.unwrap();
    let rooms = hall.rooms(vec!["a".into(), "b".into()]).await.unwrap();
    assert_eq!((alive.count(), house.alive.count()), (1, 2));
    let gone = rooms[0].closed();
    session.close().await;
    gone.await;
    for _ in 0..200 {
        if (alive.count(), house.alive.count()) == (0, 0) {
            assert!(matches!(rooms[0].title().await, Err(CallError::Disconnected { .. })));
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} listeners and {} rooms are alive", alive.count(), house.alive.count());
}

#[tokio::test(start_paused = true)]
async fn the_server_is_told_when_a_listener_is_gone() {
    let house = House::default();
    let (session, hall) = hall(&house);
    hall.listen(ListenerClient::local(Ear::default())).await.unwrap();
    let gone = house.listeners.lock().unwrap()[0].closed();
    tokio::pin!(gone);
    assert!(futures::poll!(&mut gone).is_pending());
    session.close().await;
    gone.await;
    let listener = house.listeners.lock().unwrap()[0].clone();
    assert!(matches!(listener.heard("?").await, Err(CallError::Disconnected { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_large_payload_carries_references_too() {
    let house = House::default();
    let (session, hall) = hall(&house);
    // A label long enough to be sent in chunks, both ways.
    let label = "l".repeat(300_000);
    let ours = hall.label(house.room("ours"), &label);
    let theirs = hall.label((*hall.log_in("ann").enter("theirs")).clone(), &label);
    let title = theirs.room().title();
    let (ours, title) = rpc_core::try_join!(ours, title).unwrap();
    assert_eq!((ours.label.len(), title.as_str()), (300_000, "theirs"));
    assert_eq!(ours.room.title().await.unwrap(), "ours");
    drop((ours, theirs));
    settle(&session, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn maps_call_objects_and_return_them() {
    let house = House::default();
    let services = Services::new().with(HallServer::new(house.clone()));
    let served = SessionConfig { services, ..SessionConfig::default() };
    let (session, serving) = memory::connect_with(SessionConfig::default(), served);
    let hall: HallClient = session.service();
    let names = || vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    // Each element is an object.
    let titles = hall.rooms(names()).map(|room| room.title());
    // A captured object is called: settled, only promised, and one that a step returns.
    let seat = hall.log_in("ann").await.unwrap();
    let settled = hall.names(names()).map(|name| seat.enter(name).title());
    let bob = hall.log_in("bob");
    let promised = hall.names(names()).map(|name| bob.enter(name).twin().title());
    // Objects are arguments, as elements, as captures and as clients.
    let room = hall.find("captured").await.unwrap().unwrap();
    let passed = hall.rooms(names()).map(|room| hall.title_of(room));
    let captured = hall.names(names()).map(|name| hall.label(&room, name).label());
    let (titles, settled, promised) = rpc_core::join!(titles, settled, promised);
    assert_eq!(titles.unwrap(), names());
    assert_eq!(settled.unwrap(), names());
    assert_eq!(promised.unwrap(), ["a's twin", "b's twin", "c's twin"]);
    assert_eq!(passed.await.unwrap(), names());
    assert_eq!(captured.await.unwrap(), names());
    // Objects are results: called before they are here, and after.
    let rooms = hall.names(names()).map(|name| seat.enter(name));
    let second = rooms.index(1).title();
    let (rooms, second) = rpc_core::join!(rooms, second);
    assert_eq!(second.unwrap(), "b");
    let rooms = rooms.unwrap();
    assert_eq!(rooms[2].title().await.unwrap(), "c");
    // A map within, and one over an option.
    let nested = hall.rooms(names()).map(|room| room.history(2).map(|line| seat.enter(line).title()));
    assert_eq!(nested.await.unwrap()[1], ["b 0", "b 1"]);
    assert_eq!(hall.find("x").map(|room| room.title()).await.unwrap(), Some("x".into()));
    assert_eq!(hall.find("nowhere").map(|room| room.title()).await.unwrap(), None);
    drop((room, rooms, seat, bob));
    settle(&serving, 0, 0).await;
    assert_eq!(house.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_object_in_a_map_are_one_call_of_its_batch_method() {
    #[rpc]
    trait Names {
        async fn ids(&self) -> Vec<u64>;
        async fn own(&self) -> NamesClient;
        #[rpc(batch = "names")]
        async fn name(&self, id: u64) -> String;
        async fn names(&self, ids: Vec<u64>) -> Vec<String>;
    }
    #[derive(Clone, Default)]
    struct Book(Arc<Mutex<Vec<usize>>>);
    impl Names for Book {
        async fn ids(&self) -> Vec<u64> {
            (0..50).collect()
        }
        async fn own(&self) -> NamesClient {
            NamesClient::local(self.clone())
        }
        async fn name(&self, id: u64) -> String {
            id.to_string()
        }
        async fn names(&self, ids: Vec<u64>) -> Vec<String> {
            self.0.lock().unwrap().push(ids.len());
            ids.iter().map(u64::to_string).collect()
        }
    }
    let book = Book::default();
    let session = memory::connect(Services::new().with(NamesServer::new(book.clone())));
    let names: NamesClient = session.service();
    let (settled, promised) = (names.own().await.unwrap(), names.own());
    assert_eq!(names.ids().map(|id| settled.name(id)).await.unwrap()[49], "49");
    assert_eq!(names.ids().map(|id| promised.name(id)).await.unwrap().len(), 50);
    assert_eq!(*book.0.lock().unwrap(), [50, 50]);
}

#[tokio::test(start_paused = true)]
async fn what_maps_cannot_do_with_objects_is_refused() {
    let (session, hall) = hall(&House::default());
    let names = || vec!["a".to_owned()];
    // Objects inside of what an element becomes.
    let visits = hall.names(names()).map(|name| hall.visit(name)).await;
    let Err(CallError::Refused { refusal: Refusal::InvalidReference { reason, .. }, .. }) = visits else {
        panic!("it ran")
    };
    assert!(reason.contains("cannot have objects inside"), "{reason}");
    // A client inside a value that is only promised.
    let inside = hall.rooms(names()).map(|room| hall.title_of_any(vec![Some((*room).clone())])).await;
    let Err(CallError::Refused { refusal: Refusal::Misuse { reason }, .. }) = inside else {
        panic!("it ran")
    };
    assert!(reason.contains("inside a value"), "{reason}");
    // Another session's object.
    let other = memory::connect(Services::new().with(HallServer::new(House::default())));
    let other: HallClient = other.service();
    let seat = other.log_in("ann").await.unwrap();
    let foreign = hall.names(names()).map(|name| seat.enter(name).title()).await;
    assert!(
        matches!(foreign, Err(CallError::Refused { refusal: Refusal::Misuse { .. }, .. })),
        "{foreign:?}"
    );
    settle(&session, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn references_are_bounded_on_both_sides() {
    let bounded = |exports_max, imports_max| SessionConfig {
        limits: Limits { exports_max, imports_max, ..Limits::default() },
        ..SessionConfig::default()
    };
    let house = House::default();
    let services = || Services::new().with(HallServer::new(house.clone()));
    let names = |count| vec![String::new(); count];
    // The server will not let go of more than three.
    let server = SessionConfig { services: services(), ..bounded(3, 100) };
    let (session, serving) = memory::connect_with(bounded(100, 100), server);
    let hall: HallClient = session.service();
    let two = hall.rooms(names(2)).await.unwrap();
    let refused = hall.rooms(names(2)).await;
    let Err(CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. }) = refused else {
        panic!("{:?}", refused.map(|rooms| rooms.len()))
    };
    assert_eq!(limit, "exports_max");
    drop(two);
    settle(&serving, 0, 0).await;
    assert_eq!(house.alive.count(), 0);
    assert_eq!(hall.rooms(names(3)).await.unwrap().len(), 3);

    // The client will not take more than three.
    let server = SessionConfig { services: services(), ..bounded(100, 100) };
    let (session, _server) = memory::connect_with(bounded(100, 3), server);
    let hall: HallClient = session.service();
    let refused = hall.rooms(names(4)).await;
    let Err(CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. }) = refused else {
        panic!("{:?}", refused.map(|rooms| rooms.len()))
    };
    assert_eq!(limit, "imports_max");
    settle(&session, 0, 0).await;
    assert_eq!(hall.rooms(names(3)).await.unwrap().len(), 3);

    // Nor the server, and the call that brings them does not run.
    let server = SessionConfig { services: services(), ..bounded(100, 1) };
    let (session, _server) = memory::connect_with(bounded(100, 100), server);
    let hall: HallClient = session.service();
    let room = || Some(house.room("own"));
    let refused = hall.title_of_any(vec![room(), room()]).await;
    assert!(
        matches!(&refused, Err(CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. }) if limit == "imports_max"),
        "{refused:?}"
    );
    settle(&session, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_travel_outside_calls() {
    let house = House::default();
    let error = serde_json::to_string(&house.room("x")).unwrap_err();
    assert!(error.to_string().contains("inside the arguments and results of calls"), "{error}");
    let error = serde_json::from_str::<RoomClient>("0").unwrap_err();
    assert!(error.to_string().contains("inside the arguments and results of calls"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn both_sides_call_each_other_while_they_wait() {
    /// Calls back into the caller, which is waiting for this very call.
    struct Echoing(Arc<Mutex<Option<HallClient>>>);
    impl Listener for Echoing {
        async fn heard(&self, text: String) -> usize {
            let hall = self.0.lock().unwrap().clone();
            match hall {
                Some(hall) if text.len() < 5 => hall.tell(format!("{text}+")).await.unwrap_or(100),
                _ => text.len(),
            }
        }
        async fn own_room(&self) -> RoomClient {
            House::default().room("own")
        }
    }
    let (_session, hall) = hall(&House::default());
    let slot = Arc::new(Mutex::new(Some(hall.clone())));
    hall.listen(ListenerClient::local(Echoing(Arc::clone(&slot)))).await.unwrap();
    assert_eq!(hall.tell("a").await.unwrap(), 5);
    slot.lock().unwrap().take();
}
