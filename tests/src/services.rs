//! What attributes change about a service, several services on one socket, and two versions of one.

use std::{
    fmt::Write,
    future::IntoFuture,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpc_core::{CallError, Context, Refusal, ServiceClient, Services, driver::SessionConfig, memory, rpc};
use tracing::{Event, Metadata, Subscriber, field::Visit, span};

use crate::support::{PeopleClient, PeopleServer, Village};

/// Writes down what is asked of it.
#[derive(Clone, Default)]
struct Notes {
    log: Arc<Mutex<Vec<String>>>,
    finished: Arc<AtomicUsize>,
}

#[rpc(ordered)]
trait Ledger {
    async fn slow(&self) -> u64;
    async fn enter(&self, number: u64);
}

#[rpc(name = "notes.v1")]
trait Notebook {
    #[rpc(no_cancel)]
    async fn finish(&self, #[rpc(context)] context: Context);
    async fn hold_the_thread(&self);
    async fn hold_it_among_others(&self);
    #[rpc(name = "remaining")]
    async fn time_left(&self, #[rpc(context)] context: Context) -> Option<u64>;
    /// Asks the caller's own notebook how much time is left.
    async fn time_left_at_callers(&self, #[rpc(context)] context: Context) -> Option<u64>;
}

impl Ledger for Notes {
    async fn slow(&self) -> u64 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        7
    }

    async fn enter(&self, number: u64) {
        self.log.lock().unwrap().push(number.to_string());
    }
}

impl Notebook for Notes {
    async fn finish(&self, context: Context) {
        context.cancelled().await;
        self.finished.fetch_add(1, Ordering::SeqCst);
    }

    async fn hold_the_thread(&self) {
        std::thread::sleep(Duration::from_millis(12));
    }
    async fn hold_it_among_others(&self) {
        std::thread::sleep(Duration::from_millis(12));
    }

    async fn time_left(&self, context: Context) -> Option<u64> {
        context.remaining().map(|remaining| remaining.as_secs())
    }

    async fn time_left_at_callers(&self, context: Context) -> Option<u64> {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let callers: NotebookClient = context.peer_service();
        callers.time_left().await.unwrap()
    }
}

#[tokio::test]
async fn several_services_share_a_session() {
    let services = Services::new()
        .with(PeopleServer::new(Village::default()))
        .with(NotebookServer::new(Notes::default()));
    let session = memory::connect(services);
    let (people, notebook): (PeopleClient, NotebookClient) = (session.service(), session.service());
    let (sum, left) = rpc_core::join!(people.add(1, 2), notebook.time_left());
    assert_eq!((sum.unwrap(), left.unwrap()), (3, None));
}

#[test]
#[should_panic(expected = "two services are named `People`")]
fn two_services_of_one_name_are_refused() {
    let village = || PeopleServer::new(Village::default());
    let _ = Services::new().with(village()).with(village());
}

#[tokio::test(start_paused = true)]
async fn calls_of_an_ordered_service_wait_for_each_other() {
    let notes = Notes::default();
    let session = memory::connect(
        Services::new().with(LedgerServer::new(notes.clone())).with(PeopleServer::new(Village::default())),
    );
    let ledger: LedgerClient = session.service();
    let slow = ledger.slow();
    let first = ledger.enter(&slow);
    let second = ledger.enter(8);
    let people: PeopleClient = session.service();
    // Another service does not wait.
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    assert!(notes.log.lock().unwrap().is_empty());
    rpc_core::try_join!(first, second).unwrap();
    assert_eq!(*notes.log.lock().unwrap(), ["7", "8"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_finish_though_nobody_waits() {
    let notes = Notes::default();
    let notebook: NotebookClient =
        memory::connect(Services::new().with(NotebookServer::new(notes.clone()))).service();
    let mut call = notebook.finish().into_future();
    assert!(futures::poll!(&mut call).is_pending());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(notes.finished.load(Ordering::SeqCst), 0);
    drop(call);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(notes.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_a_handler_makes_inherit_its_deadline() {
    let offer = || Services::new().with(NotebookServer::new(Notes::default()));
    let (client, _server) = memory::connect_with(
        SessionConfig { services: offer(), ..SessionConfig::default() },
        SessionConfig { services: offer(), ..SessionConfig::default() },
    );
    let notebook: NotebookClient = client.service();
    assert_eq!(notebook.time_left_at_callers().await.unwrap(), None);
    // A minute, of which the handler spends ten seconds before it asks back.
    let left = notebook.deadline(Duration::from_secs(60)).time_left_at_callers().await.unwrap();
    assert!(matches!(left, Some(49..=50)), "{left:?}");
}

/// Keeps the text of warnings and errors.
struct Warnings(Arc<Mutex<String>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{value:?}").unwrap();
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Text(&mut self.0.lock().unwrap()));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_handler_that_holds_its_thread_is_named_in_a_warning() {
    let text = Arc::<Mutex<String>>::default();
    let _guard = tracing::subscriber::set_default(Warnings(Arc::clone(&text)));
    let notebook: NotebookClient =
        memory::connect(Services::new().with(NotebookServer::new(Notes::default()))).service();
    for _ in 0..3 {
        notebook.hold_the_thread().await.unwrap();
    }
    let text = text.lock().unwrap();
    assert!(
        text.contains("`hold_the_thread` held its thread") && text.contains("#[rpc(blocking)]"),
        "{text}"
    );
    assert_eq!(text.matches("`hold_the_thread` held its thread").count(), 1, "{text}");
}

#[tokio::test]
async fn a_handler_that_holds_its_thread_among_others_is_named_when_it_does_so_again() {
    let text = Arc::<Mutex<String>>::default();
    let _guard = tracing::subscriber::set_default(Warnings(Arc::clone(&text)));
    let notebook: NotebookClient =
        memory::connect(Services::new().with(NotebookServer::new(Notes::default()))).service();
    // Of many short ones not each is timed.
    for left in rpc_core::join_all((0..64).map(|_| notebook.time_left())).await {
        left.unwrap();
    }
    for _ in 0..2 {
        let (held, left, again) =
            (notebook.hold_it_among_others(), notebook.time_left(), notebook.hold_it_among_others());
        rpc_core::try_join!(held, left, again).unwrap();
    }
    let text = text.lock().unwrap();
    assert_eq!(text.matches("`hold_it_among_others` held its thread").count(), 1, "{text}");
}

#[tokio::test]
async fn a_handler_that_panics_is_named_in_the_log() {
    let text = Arc::<Mutex<String>>::default();
    let _guard = tracing::subscriber::set_default(Warnings(Arc::clone(&text)));
    let people: PeopleClient =
        memory::connect(Services::new().with(PeopleServer::new(Village::default()))).service();
    assert!(matches!(people.panic().await.unwrap_err(), CallError::Panicked { .. }));
    assert_eq!(*text.lock().unwrap(), "the handler of `panic` panicked: on purpose");
}

/// What the server has.
mod newer {
    use rpc_core::rpc;

    #[rpc]
    pub(super) trait Shop {
        async fn price(&self, article: String, amount: u32) -> u64;
        async fn transfer(&self, to: u64, from: u64) -> u64;
        async fn name(&self) -> String;
    }

    pub(super) struct Open;

    impl Shop for Open {
        async fn price(&self, _article: String, amount: u32) -> u64 {
            u64::from(amount)
        }

        async fn transfer(&self, to: u64, _from: u64) -> u64 {
            to
        }

        async fn name(&self) -> String {
            "the shop".into()
        }
    }
}

/// What the client was built with.
mod older {
    use rpc_core::rpc;

    #[rpc]
    pub(super) trait Shop {
        async fn price(&self, article: String) -> u64;
        async fn transfer(&self, from: u64, to: u64) -> u64;
        async fn closing_time(&self) -> u32;
        async fn name(&self) -> String;
    }
}

#[tokio::test]
async fn two_versions_of_a_service_agree_where_they_can_and_name_where_they_differ() {
    let shop: older::ShopClient =
        memory::connect(Services::new().with(newer::ShopServer::new(newer::Open))).service();
    assert_eq!(shop.name().await.unwrap(), "the shop");
    let error = shop.price("bread").await.unwrap_err();
    let CallError::Refused { refusal: Refusal::SchemaMismatch { method, ours, theirs }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(method, "Shop.price");
    assert_eq!(ours, "(article: string) -> u64");
    assert_eq!(theirs, "(article: string, amount: u32) -> u64");
    // The same bytes with another meaning are never misread.
    let error = shop.transfer(1, 2).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { refusal: Refusal::SchemaMismatch { .. }, .. }), "{error:?}");
    let error = shop.closing_time().await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused { refusal: Refusal::UnknownMethod { service, method }, .. }
            if service == "Shop" && method == "closing_time"),
        "{error:?}"
    );
}

#[test]
fn a_service_describes_itself() {
    let notebook = NotebookClient::descriptor();
    assert_eq!(notebook.name, "notes.v1");
    let names: Vec<&str> = notebook.methods.iter().map(|method| method.name).collect();
    assert_eq!(
        names,
        ["finish", "hold_the_thread", "hold_it_among_others", "remaining", "time_left_at_callers"]
    );
    assert!(notebook.methods[0].attributes.no_cancel);
    assert_eq!(notebook.methods[4].docs, "Asks the caller's own notebook how much time is left.");
    assert_eq!(notebook.methods[3].layout_text(), "() -> option<u64>");
    assert!(LedgerClient::descriptor().ordered);
}

#[rpc]
trait Hiding {
    async fn hidden(&self) -> Box<Result<u64, String>>;
}

#[test]
fn a_result_inside_a_box_is_reported() {
    let problems = HidingClient::descriptor().methods[0].problems();
    assert!(matches!(problems, [problem] if problem.contains("write `Result<T, E>`")), "{problems:?}");
}
