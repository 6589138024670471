//! Maps: closures that run on the peer, once for each element.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpc_core::{
    CallError, Context, ElementError, Limits, Never, NotSent, Promise, Refusal, Services,
    driver::SessionConfig, memory, rpc,
};

#[rpc_core::data]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id(u64);

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq)]
struct Person {
    id: Id,
    name: String,
    friends: Vec<Id>,
    boss: Option<Id>,
}

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum CrowdError {
    #[error("nobody has the id {0}")]
    Unknown(u64),
}

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{0}` has no account")]
struct NoAccount(String);

/// Its layout cannot be found out: it accepts nothing that tracing tries.
#[derive(Debug, Clone, PartialEq)]
struct Secret;

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(7)
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it is secret"))
    }
}

#[rpc]
trait Crowd {
    async fn secrets(&self) -> Vec<Secret>;
    async fn keep(&self, secret: Secret) -> u64;
    async fn ids(&self, count: u64) -> Result<Vec<Id>, CrowdError>;
    async fn groups(&self, sizes: Vec<u64>) -> Vec<Vec<Id>>;
    async fn profile(&self, id: Id) -> Result<Person, CrowdError>;
    async fn balance(&self, name: String) -> Result<u64, NoAccount>;
    async fn join(&self, first: String, second: String) -> String;
    async fn both(&self, pair: (Id, String)) -> String;
    async fn maybe(&self, id: Option<Id>) -> u64;
    async fn total(&self, numbers: Vec<u64>) -> u64;
    async fn thousand(&self, id: Id) -> u64;
    async fn text(&self, length: u64) -> String;
    async fn hang(&self, id: Id) -> u64;
    async fn crash(&self, id: Id) -> u64;
    async fn trace(&self, id: Id, #[rpc(context)] context: Context) -> String;
    #[rpc(oneway)]
    async fn note(&self, id: Id);
    #[rpc(blocking)]
    async fn block(&self, id: Id) -> u64;
    #[rpc(no_cancel)]
    async fn stubborn(&self, id: Id) -> u64;
}

/// Answers for ids below 1,000, of which every third has a boss, and remembers what it was asked.
#[derive(Clone, Default)]
struct Town {
    log: Arc<Mutex<Vec<String>>>,
    running: Arc<AtomicUsize>,
    most_running: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Town {
    fn log(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// How often a method was called.
    fn calls(&self, method: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(method)).count()
    }
}

impl Crowd for Town {
    async fn secrets(&self) -> Vec<Secret> {
        vec![Secret, Secret]
    }

    async fn keep(&self, _secret: Secret) -> u64 {
        self.log("keep".into());
        0
    }

    async fn ids(&self, count: u64) -> Result<Vec<Id>, CrowdError> {
        Ok((0..count).map(Id).collect())
    }

    async fn groups(&self, sizes: Vec<u64>) -> Vec<Vec<Id>> {
        sizes.into_iter().map(|size| (0..size).map(Id).collect()).collect()
    }

    async fn profile(&self, id: Id) -> Result<Person, CrowdError> {
        self.log(format!("profile {}", id.0));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        // Elements finish in another order than they started.
        for _ in 0..(7 * id.0 % 5) + 1 {
            tokio::task::yield_now().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        if id.0 >= 1_000 {
            return Err(CrowdError::Unknown(id.0));
        }
        Ok(Person {
            id,
            name: format!("p{}", id.0),
            friends: (0..id.0 % 4).map(Id).collect(),
            boss: id.0.is_multiple_of(3).then_some(Id(id.0 + 1)),
        })
    }

    async fn balance(&self, name: String) -> Result<u64, NoAccount> {
        self.log(format!("balance {name}"));
        match name.strip_prefix('p').and_then(|number| number.parse::<u64>().ok()) {
            Some(number) if number != 3 => Ok(number * 10),
            _ => Err(NoAccount(name)),
        }
    }

    async fn join(&self, first: String, second: String) -> String {
        self.log(format!("join {first} {second}"));
        format!("{first}+{second}")
    }

    async fn both(&self, pair: (Id, String)) -> String {
        format!("{}:{}", pair.0.0, pair.1)
    }

    async fn maybe(&self, id: Option<Id>) -> u64 {
        id.map_or(999, |id| id.0)
    }

    async fn total(&self, numbers: Vec<u64>) -> u64 {
        numbers.into_iter().sum()
    }

    async fn thousand(&self, _id: Id) -> u64 {
        1_000
    }

    async fn text(&self, length: u64) -> String {
        self.log("text".into());
        "x".repeat(length as usize)
    }

    async fn hang(&self, id: Id) -> u64 {
        let _dropped = Dropped(Arc::clone(&self.dropped));
        self.log(format!("hang {}", id.0));
        std::future::pending().await
    }

    async fn crash(&self, id: Id) -> u64 {
        assert!(id.0 != 2, "on purpose");
        id.0
    }

    async fn trace(&self, id: Id, context: Context) -> String {
        format!("{} {} {}", id.0, context.metadata("trace").unwrap_or("-"), context.remaining().is_some())
    }

    async fn note(&self, id: Id) {
        self.log(format!("note {}", id.0));
    }

    async fn block(&self, id: Id) -> u64 {
        id.0 + 1
    }

    async fn stubborn(&self, id: Id) -> u64 {
        self.log(format!("begun {}", id.0));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.log(format!("stubborn {}", id.0));
        id.0
    }
}

fn crowd() -> (CrowdClient, Town) {
    crowd_with(Limits::default())
}

fn crowd_with(limits: Limits) -> (CrowdClient, Town) {
    let town = Town::default();
    let services = Services::new().with(CrowdServer::new(town.clone()));
    let server = SessionConfig { services, limits, ..SessionConfig::default() };
    (memory::connect_with(SessionConfig::default(), server).0.service(), town)
}

#[track_caller]
fn check_misuse<T, E: std::fmt::Debug>(result: Result<T, CallError<E>>) {
    match result.map(drop) {
        Err(CallError::Refused { refusal: Refusal::Misuse { reason }, .. }) => assert!(!reason.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_exhausted<T, E: std::fmt::Debug>(result: Result<T, CallError<E>>, wanted: &str) {
    match result.map(drop) {
        Err(CallError::Refused { refusal: Refusal::ResourceExhausted { limit, .. }, .. }) => {
            assert_eq!(limit, wanted)
        }
        other => panic!("{other:?}"),
    }
}

fn names(range: impl Iterator<Item = u64>) -> Vec<String> {
    range.map(|number| format!("p{number}")).collect()
}

// ---- what works ----

#[tokio::test]
async fn each_element_goes_through_the_closure_and_keeps_its_place() {
    let (crowd, town) = crowd();
    let result = crowd.ids(40).map(|id| crowd.profile(id).name()).await.unwrap();
    assert_eq!(result, names(0..40));
    assert_eq!(town.calls("profile"), 40);
}

#[tokio::test]
async fn an_empty_sequence_gives_an_empty_one() {
    let (crowd, town) = crowd();
    assert_eq!(crowd.ids(0).map(|id| crowd.profile(id)).await.unwrap(), []);
    assert_eq!(town.calls("profile"), 0);
}

#[tokio::test]
async fn a_closure_may_make_no_call() {
    let (crowd, _) = crowd();
    assert_eq!(crowd.ids(2).map(|id| id).await.unwrap(), [Id(0), Id(1)]);
    assert_eq!(crowd.ids(3).map(|id| id._0()).await.unwrap(), [0, 1, 2]);
    assert_eq!(crowd.ids(2).map(|_| crowd.join("a", "b")).await.unwrap(), ["a+b", "a+b"]);
}

#[tokio::test]
async fn several_calls_are_made_for_each_element_also_unused_ones() {
    let (crowd, town) = crowd();
    let result = crowd
        .ids(3)
        .map(|id| {
            let person = crowd.profile(&id);
            let unused = crowd.balance("p7");
            drop(unused);
            let also_unused = crowd.maybe(person.boss());
            drop(also_unused);
            crowd.note(&id).unwrap();
            crowd.join(person.name(), crowd.both((&id, &person.name())))
        })
        .await
        .unwrap();
    assert_eq!(result, ["p0+0:p0", "p1+1:p1", "p2+2:p2"]);
    assert_eq!((town.calls("profile"), town.calls("note"), town.calls("join")), (3, 3, 3));
    assert_eq!(town.calls("balance"), 0, "a call that uses no element is none of the map's");
}

#[tokio::test]
async fn a_call_that_uses_no_element_is_made_once_and_captured() {
    let (crowd, town) = crowd();
    let result = crowd
        .ids(3)
        .map(|id| crowd.join(crowd.profile(id).name(), crowd.join("once", "only")))
        .await
        .unwrap();
    assert_eq!(result, ["p0+once+only", "p1+once+only", "p2+once+only"]);
    assert_eq!(town.calls("join once"), 1);
}

#[tokio::test]
async fn an_option_argument_takes_an_element() {
    let (crowd, _) = crowd();
    assert_eq!(crowd.ids(3).map(|id| crowd.maybe(id)).await.unwrap(), [0, 1, 2]);
    let bosses = crowd.ids(4).map(|id| crowd.maybe(crowd.profile(id).boss())).await.unwrap();
    assert_eq!(bosses, [1, 999, 999, 4]);
}

#[tokio::test]
async fn an_option_is_mapped_over() {
    let (crowd, _) = crowd();
    let name = |id| crowd.profile(Id(id)).boss().map(|boss| crowd.profile(boss).name());
    assert_eq!(name(3).await.unwrap(), Some("p4".to_owned()));
    assert_eq!(name(4).await.unwrap(), None);
}

#[tokio::test]
async fn maps_nest_and_see_the_elements_around_them() {
    let (crowd, _) = crowd();
    let result = crowd
        .ids(4)
        .map(|id| {
            let person = crowd.profile(&id);
            let name = person.name();
            person.friends().map(|friend| crowd.join(&name, crowd.both((&id, &crowd.profile(friend).name()))))
        })
        .await
        .unwrap();
    assert_eq!(result[0], [""; 0]);
    assert_eq!(result[3], ["p3+3:p0", "p3+3:p1", "p3+3:p2"]);
}

#[tokio::test]
async fn a_nested_map_may_run_over_what_lies_outside() {
    let (crowd, town) = crowd();
    let outside = crowd.ids(2);
    let result = crowd
        .ids(2)
        .map(|id| outside.map(|other| crowd.both((&id, &crowd.profile(other).name()))))
        .await
        .unwrap();
    assert_eq!(result, [["0:p0", "0:p1"], ["1:p0", "1:p1"]]);
    assert_eq!(town.calls("profile"), 4);
}

#[tokio::test]
async fn three_levels_use_the_outermost_element() {
    let (crowd, _) = crowd();
    let result = crowd
        .groups(vec![2])
        .map(|group| {
            group.map(|id| {
                let person = crowd.profile(&id);
                group.map(|other| crowd.both((&id, &crowd.join(person.name(), crowd.profile(other).name()))))
            })
        })
        .await
        .unwrap();
    assert_eq!(result, [[["0:p0+p0", "0:p0+p1"], ["1:p1+p0", "1:p1+p1"]]]);
}

#[tokio::test]
async fn what_a_map_returns_can_be_used_before_it_is_here() {
    let (crowd, _) = crowd();
    let people = crowd.ids(5).map(|id| crowd.profile(id));
    let third = crowd.profile(people.index(3).boss().some());
    let name = people.index(4).name();
    let balances = crowd.ids(3).map(|id| crowd.balance(crowd.profile(id).name()));
    let total = crowd.total(&balances);
    let names = people.map(|person| crowd.join(person.name(), "!"));
    let missed = people.index(5).name();
    assert_eq!(third.await.unwrap().name, "p4");
    assert_eq!(name.await.unwrap(), "p4");
    assert_eq!(total.await.unwrap(), 30);
    assert_eq!(names.await.unwrap()[2], "p2+!");
    assert!(
        matches!(missed.await.unwrap_err(), CallError::Upstream(upstream) if upstream.missed().is_some())
    );
    assert_eq!(balances.await.unwrap(), [0, 10, 20]);
}

#[tokio::test]
async fn the_deadline_and_metadata_of_the_recorded_calls_travel() {
    let (crowd, _) = crowd();
    let traced = crowd.metadata("trace", "t1").deadline(Duration::from_secs(60));
    assert_eq!(crowd.ids(2).map(|id| traced.trace(id)).await.unwrap(), ["0 t1 true", "1 t1 true"]);
    let other = crowd.metadata("trace", "t2");
    check_misuse(crowd.ids(2).map(|id| crowd.join(traced.trace(&id), other.trace(&id))).await);
}

#[tokio::test]
async fn blocking_and_unstoppable_methods_run_in_maps() {
    let (crowd, town) = crowd();
    assert_eq!(crowd.ids(3).map(|id| crowd.block(id)).await.unwrap(), [1, 2, 3]);
    assert_eq!(crowd.ids(3).map(|id| crowd.stubborn(id)).await.unwrap(), [0, 1, 2]);
    assert_eq!(town.calls("stubborn"), 3);
}

#[tokio::test]
async fn no_more_elements_are_worked_on_than_the_limit_says() {
    let (crowd, town) = crowd_with(Limits { map_concurrency: 3, ..Limits::default() });
    crowd.ids(20).map(|id| crowd.profile(id)).await.unwrap();
    assert_eq!(town.most_running.load(Ordering::SeqCst), 3);
    crowd.groups(vec![5; 5]).map(|ids| ids.map(|id| crowd.profile(id))).await.unwrap();
    crowd.groups(vec![5]).map(|ids| ids.map(|id| crowd.profile(id))).await.unwrap();
    assert_eq!(town.most_running.load(Ordering::SeqCst), 3, "maps within maps share it");
}

#[tokio::test]
async fn a_method_that_is_not_cancelled_outlives_its_map() {
    let (crowd, town) = crowd();
    let map = crowd.ids(3).map(|id| crowd.stubborn(id));
    let waiting = tokio::spawn(async move { map.await.map(drop) });
    while town.calls("begun") < 3 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    while town.calls("stubborn") < 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sequence_of_what_cannot_be_told_apart_is_refused_by_name() {
    let (crowd, town) = crowd();
    let error = crowd.secrets().map(|secret| crowd.keep(secret)).await.unwrap_err();
    let CallError::Refused { refusal: Refusal::InvalidReference { reason, .. }, .. } = &error else {
        panic!("{error}")
    };
    assert!(reason.contains("Secret"), "{reason}");
    assert_eq!(town.lines(), [""; 0]);
}

#[tokio::test]
async fn dropping_the_promise_stops_the_map() {
    let (crowd, town) = crowd();
    let map = crowd.ids(3).map(|id| crowd.hang(id));
    let waiting = tokio::spawn(async move { map.await.map(drop) });
    while town.calls("hang") < 3 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    while town.dropped.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(crowd.ids(1).await.unwrap(), [Id(0)]);
}

// ---- elements that fail ----

#[tokio::test]
async fn the_first_element_that_fails_fails_the_map_with_its_typed_error() {
    let (crowd, town) = crowd();
    let ids = crowd.ids(1_003);
    let error = ids.map(|id| crowd.profile(id).name()).await.unwrap_err();
    let CallError::Element { index: 1_000, error: element, .. } = &error else { panic!("{error}") };
    assert!(matches!(**element, CallError::Method(CrowdError::Unknown(1_000))));
    assert_eq!(error.own(), Some(&CrowdError::Unknown(1_000)));
    assert_eq!(town.calls("profile"), 1_003, "what ran in the same window is started before it fails");
}

#[tokio::test]
async fn a_call_in_the_middle_gives_its_own_typed_error() {
    let (crowd, _) = crowd();
    let error = crowd.ids(6).map(|id| crowd.text(crowd.balance(crowd.profile(id).name()))).await;
    let CallError::Element { index: 3, error, .. } = error.unwrap_err() else {
        panic!("another element failed")
    };
    let CallError::Upstream(upstream) = *error else { panic!("{error}") };
    assert_eq!(upstream.failed().to_string(), "Crowd.balance");
    assert_eq!(upstream.downcast::<NoAccount>(), Some(&NoAccount("p3".into())));
}

#[tokio::test]
async fn the_lowest_index_is_told_whichever_fails_first() {
    let (crowd, _) = crowd();
    // Element 2 fails in its second step, long after element 4 has failed in its first.
    let groups = crowd.groups(vec![0, 1, 5, 1, 5]);
    let error = groups
        .map(|group| {
            let third = crowd.profile(group.index(0));
            crowd.crash(third.id())
        })
        .await
        .unwrap_err();
    let CallError::Element { index: 0, error, .. } = error else { panic!("{error}") };
    assert!(matches!(*error, CallError::Upstream(ref upstream) if upstream.missed().is_some()), "{error}");
}

#[tokio::test]
async fn a_missed_part_a_panic_and_a_failure_within_a_nested_map_name_their_elements() {
    let (crowd, _) = crowd();
    let error = crowd.ids(3).map(|id| crowd.profile(crowd.profile(id).boss().some())).await.unwrap_err();
    let CallError::Element { index: 1, error, .. } = error else { panic!("{error}") };
    let CallError::Upstream(upstream) = *error else { panic!("{error}") };
    assert_eq!((upstream.failed().method, upstream.missed().is_some()), ("profile", true));

    let error = crowd.ids(3).map(|id| crowd.crash(id)).await.unwrap_err();
    assert!(
        matches!(error, CallError::Element { index: 2, ref error, .. } if matches!(**error, CallError::Panicked { .. }))
    );

    let groups = crowd.groups(vec![1, 4]);
    let error = groups.map(|ids| ids.map(|id| crowd.balance(crowd.profile(id).name()))).await.unwrap_err();
    assert_eq!(error.own(), Some(&NoAccount("p3".into())));
    let CallError::Element { index: 1, error, .. } = error else { panic!("{error}") };
    assert!(matches!(*error, CallError::Element { index: 3, .. }), "{error}");
}

#[tokio::test]
async fn the_result_itself_may_miss() {
    let (crowd, _) = crowd();
    let error = crowd.ids(2).map(|id| crowd.profile(id).boss().some()).await.unwrap_err();
    let CallError::Element { index: 1, error, .. } = error else { panic!("{error}") };
    assert!(matches!(*error, CallError::Upstream(ref upstream) if upstream.missed().is_some()), "{error}");
}

#[tokio::test]
async fn a_side_call_that_fails_is_not_lost() {
    let (crowd, _) = crowd();
    let error = crowd
        .ids(5)
        .map(|id| {
            let person = crowd.profile(id);
            drop(crowd.balance(person.name()));
            person.name()
        })
        .await
        .unwrap_err();
    let CallError::Element { index: 3, error, .. } = error else { panic!("{error}") };
    let CallError::Upstream(upstream) = *error else { panic!("{error}") };
    assert!(upstream.downcast::<NoAccount>().is_some());
}

#[tokio::test]
async fn errors_may_be_collected() {
    let (crowd, _) = crowd();
    let balances = crowd.ids(5).map_each(|id| crowd.balance(crowd.profile(id).name())).await.unwrap();
    assert_eq!(balances[2], Ok(20));
    assert_eq!(balances[3], Err(ElementError::Method(NoAccount("p3".into()))));
    assert_eq!(balances[4], Ok(40));
}

#[tokio::test]
async fn collected_errors_lose_nothing() {
    let (crowd, _) = crowd();
    let texts =
        crowd.ids(4).map_each(|id| crowd.text(crowd.balance(crowd.profile(id).name()))).await.unwrap();
    let Err(ElementError::Upstream { method, error }) = &texts[3] else { panic!("{:?}", texts[3]) };
    assert_eq!((method.as_str(), error.downcast::<NoAccount>()), ("balance", Some(NoAccount("p3".into()))));
    assert_eq!(error.downcast::<u64>(), None);
    let crashes = crowd.ids(4).map_each(|id| crowd.crash(id)).await.unwrap();
    assert!(matches!(&crashes[2], Err(ElementError::Failed { method, .. }) if method == "crash"));
    assert_eq!(crashes[3], Ok(3));
    let missed = crowd.ids(3).map_each(|id| crowd.profile(id).boss().some()).await.unwrap();
    assert!(matches!(&missed[1], Err(ElementError::Failed { .. })), "{:?}", missed[1]);
}

#[tokio::test]
async fn a_source_that_fails_fails_the_map_and_its_dependents() {
    let (crowd, _) = crowd();
    let nobody = crowd.profile(Id(5_000));
    let friends = nobody.friends().map(|id| crowd.profile(id).name());
    let first = crowd.join(friends.index(0), "x");
    let error = friends.await.unwrap_err();
    assert!(matches!(error, CallError::Upstream(upstream) if upstream.downcast::<CrowdError>().is_some()));
    assert!(
        matches!(first.await.unwrap_err(), CallError::Upstream(upstream) if upstream.failed().method == "profile")
    );
}

#[tokio::test]
async fn what_is_built_on_a_failed_map_gets_its_error() {
    let (crowd, _) = crowd();
    let map = crowd.ids(5).map(|id| crowd.balance(crowd.profile(id).name()));
    let total = crowd.total(&map);
    let error = total.await.unwrap_err();
    let CallError::Upstream(upstream) = error else { panic!("{error}") };
    assert_eq!(upstream.failed().method, "map");
    assert_eq!(upstream.downcast::<NoAccount>(), Some(&NoAccount("p3".into())));
}

// ---- what cannot work ----

#[tokio::test]
async fn a_placeholder_that_escapes_is_a_misuse() {
    let (crowd, town) = crowd();
    let (mut element, mut step) = (None, None);
    let map = crowd.ids(2).map(|id| {
        let person = crowd.profile(&id);
        element = Some(id);
        step = Some(crowd.profile(person.id()));
        person
    });
    let (element, step) = (element.unwrap(), step.unwrap());
    check_misuse(crowd.profile(&element).await);
    check_misuse(crowd.join(step.name(), "x").await);
    check_misuse(step.friends().map(|id| crowd.profile(id)).await);
    check_misuse(crowd.ids(1).map(|id| crowd.both((id, step.name()))).await);
    check_misuse(crowd.ids(1).map(|_| crowd.profile(&element)).await);
    check_misuse(crowd.note(&element).map_err(|not_sent| match not_sent {
        NotSent::Refused { method, refusal } => CallError::<Never>::Refused { method, refusal },
        other => panic!("{other}"),
    }));
    check_misuse(step.name().await);
    check_misuse(step.await);
    check_misuse(element.await);
    assert_eq!(map.await.unwrap().len(), 2);
    assert_eq!(town.calls("profile"), 4, "none of those ran");
}

#[tokio::test]
async fn an_element_of_another_session_is_a_misuse() {
    let ((near, _), (far, town)) = (crowd(), crowd());
    check_misuse(near.ids(2).map(|id| far.profile(id)).await);
    let elsewhere = far.ids(1);
    check_misuse(near.ids(2).map(|_| elsewhere.index(0)).await);
    assert_eq!(town.calls("profile"), 0);
}

#[tokio::test]
async fn a_result_of_the_inner_closure_does_not_leave_it() {
    let (crowd, _) = crowd();
    let result = crowd
        .ids(2)
        .map(|id| {
            let mut inner = None;
            let names = crowd.profile(id).friends().map(|friend| {
                let person = crowd.profile(friend);
                let name = person.name();
                inner = Some(person);
                name
            });
            drop(names);
            crowd.profile(inner.unwrap().id())
        })
        .await;
    check_misuse(result);
}

#[tokio::test]
async fn a_closure_that_panics_leaves_its_element_unusable() {
    let (crowd, _) = crowd();
    let ids = crowd.ids(1);
    let escaped = std::sync::Mutex::new(None);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(ids.map(|id| -> Promise<Id, CrowdError> {
            *escaped.lock().unwrap() = Some(id);
            panic!("on purpose")
        }));
    }));
    assert!(panicked.is_err());
    let element = escaped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).unwrap();
    check_misuse(crowd.profile(element).await);
    assert_eq!(ids.await.unwrap(), [Id(0)]);
}

// ---- limits ----

#[tokio::test]
async fn elements_times_steps_are_bounded_before_anything_runs() {
    let (crowd, town) = crowd_with(Limits { map_calls_max: 9, ..Limits::default() });
    check_exhausted(crowd.ids(5).map(|id| crowd.balance(crowd.profile(id).name())).await, "map_calls_max");
    assert_eq!(town.lines(), [""; 0]);
    assert_eq!(crowd.ids(9).map(|id| crowd.profile(id)).await.unwrap().len(), 9);
    check_exhausted(crowd.ids(10).map(|id| id).await, "map_calls_max");
}

#[tokio::test]
async fn a_nested_map_is_charged_before_it_starts() {
    let (crowd, town) = crowd_with(Limits { map_calls_max: 8, map_concurrency: 1, ..Limits::default() });
    let groups = crowd.groups(vec![1, 5, 1]);
    let error = groups.map(|ids| ids.map(|id| crowd.profile(id))).await.unwrap_err();
    let CallError::Element { index: 1, error, .. } = error else { panic!("{error}") };
    check_exhausted(Err::<(), _>(*error), "map_calls_max");
    assert_eq!(town.calls("profile"), 1);
}

#[tokio::test]
async fn programs_are_bounded_in_steps_and_depth() {
    let (crowd, town) = crowd_with(Limits { map_steps_max: 2, map_depth_max: 2, ..Limits::default() });
    let long = crowd.ids(1).map(|id| {
        drop(crowd.profile(&id));
        drop(crowd.profile(&id));
        crowd.profile(&id)
    });
    check_exhausted(long.await, "map_steps_max");
    let groups = crowd.groups(vec![1]);
    check_exhausted(
        groups.map(|a| a.map(|x| a.map(|y| crowd.both((&x, &crowd.profile(y).name()))))).await,
        "map_depth_max",
    );
    assert_eq!(groups.map(|a| a.map(|id| id)).await.unwrap(), [[Id(0)]]);
    assert_eq!(town.lines(), [""; 0]);
}

#[tokio::test]
async fn the_bytes_of_results_are_bounded() {
    let (crowd, _) = crowd_with(Limits { payload_bytes_max: 3_000, ..Limits::default() });
    let long = |count| crowd.ids(count).map(|id| crowd.text(crowd.thousand(id)));
    assert_eq!(long(2).await.unwrap().len(), 2);
    let error = long(4).await.unwrap_err();
    let CallError::Element { error, .. } = error else { panic!("{error}") };
    check_exhausted(Err::<(), _>(*error), "payload_bytes_max");

    let (crowd, _) = crowd_with(Limits { held_bytes_max: 3_000, ..Limits::default() });
    let error = crowd.ids(4).map(|id| crowd.text(crowd.thousand(id))).await.unwrap_err();
    let CallError::Element { error, .. } = error else { panic!("{error}") };
    check_exhausted(Err::<(), _>(*error), "held_bytes_max");
}
