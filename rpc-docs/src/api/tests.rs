use std::collections::{BTreeMap, HashMap};

use rpc_core::{Streaming, data, rpc};

use super::*;
use crate::description::{Content, PathStep, Shape, Sink, Type, TypeDefinition};

/// Names a *user*.
#[data]
pub struct UserId(pub u64);

/// Somebody.
#[data]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Names them.
    pub id: UserId,
    /// What they are called.
    #[serde(alias = "nick", default)]
    pub full_name: String,
    pub boss: Option<Box<User>>,
    pub addresses: BTreeMap<Place, Vec<std::net::IpAddr>>,
    #[serde(with = "as_text")]
    pub level: u32,
}

/// Where somebody is.
#[data]
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At home.
    Home,
    #[deprecated(note = "nobody goes there")]
    Office(u32),
    #[serde(rename = "away")]
    Travelling { to: String, by: Option<String> },
}

/// Why not.
#[data]
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody has that name.
    #[error("there is no user {0}")]
    Unknown(u64),
    #[error("busy until {until}", until = .0)]
    Busy(u64),
}

mod other {
    #[rpc_core::data]
    pub struct User {
        pub number: u8,
    }
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(level: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&level.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// People.
#[rpc(name = "people")]
pub trait Directory {
    /// Finds somebody.
    #[rpc(idempotent)]
    async fn find(&self, name: String) -> Result<User, Refused>;
    #[rpc(name = "byId", batch = "many")]
    async fn by_id(&self, id: UserId) -> Result<User, Refused>;
    async fn many(&self, ids: Vec<UserId>) -> Result<Vec<Result<User, Refused>>, Refused>;
    #[deprecated]
    async fn page(&self, after: Option<UserId>) -> Page<other::User>;
    async fn watch(&self, watcher: WatcherClient) -> Result<SubscriptionClient, Refused>;
    async fn times(&self, ids: HashMap<String, bytes::Bytes>) -> (char, [u8; 4], std::time::Duration);
}

#[data]
pub struct Page<T> {
    pub items: Vec<T>,
}

#[rpc]
pub trait Watcher {
    #[rpc(oneway)]
    async fn changed(&self, user: User);
    async fn stop(&self, subscription: SubscriptionClient);
    async fn questions(&self) -> QuestionClient;
}

#[rpc]
pub trait Subscription {
    async fn end(&self, feed: Streaming<User>) -> Streaming<UserId, Refused>;
}

#[rpc]
pub trait Question {
    async fn ask(&self) -> u8;
}

fn describe() -> Description {
    Api::new("People", "2.0.0").service::<DirectoryClient>().describe()
}

fn definition<'a>(description: &'a Description, name: &str) -> &'a TypeDefinition {
    description.definition(name).unwrap_or_else(|| panic!("{name} is defined"))
}

fn named(name: &str) -> Type {
    Type::Ref(name.into())
}

#[test]
fn services_come_with_those_of_their_objects_and_sides_are_told_apart() {
    let description = describe();
    let found: Vec<_> = description
        .services
        .iter()
        .map(|service| (&*service.name, service.trait_name(), service.is_root, service.implemented_by))
        .collect();
    assert_eq!(
        found,
        [
            ("people", "Directory", true, Side::Server),
            ("Watcher", "Watcher", false, Side::Client),
            ("Subscription", "Subscription", false, Side::Server),
            ("Question", "Question", false, Side::Client),
        ]
    );
}

#[test]
fn methods_have_all_that_their_attributes_say() {
    let description = describe();
    let service = description.service("people").unwrap();
    assert_eq!(service.docs, "People.");
    let find = service.method("find").unwrap();
    assert_eq!((&*find.docs, find.idempotent, find.oneway), ("Finds somebody.", true, false));
    assert_eq!(find.arguments[0].value, Value { ty: Type::String, rust: "String".into() });
    assert_eq!(find.result, Value { ty: named("User"), rust: "User".into() });
    assert_eq!(find.error, Some(Value { ty: named("Refused"), rust: "Refused".into() }));
    let by_id = service.method("byId").unwrap();
    assert_eq!((by_id.trait_name(), by_id.batch.as_deref()), ("by_id", Some("many")));
    assert_eq!(service.method("page").unwrap().deprecated.as_deref(), Some(""));
    let times = service.method("times").unwrap();
    let map = Type::Map { name: "HashMap".into(), key: Type::String.into(), value: Type::Bytes.into() };
    assert_eq!(times.arguments[0].value.ty, map);
    let array = Type::Array { element: Type::U8.into(), len: 4 };
    assert_eq!(times.result.ty, Type::Tuple(vec![Type::Char, array, named("Duration")]));
    let descriptor = DirectoryClient::descriptor();
    assert_eq!(find.fingerprint, format!("{:016x}", descriptor.methods[0].signature().fingerprint));
    let many = service.method("many").unwrap();
    let result = Type::Result { ok: named("User").into(), error: named("Refused").into() };
    assert_eq!(many.result.ty, Type::List(result.into()));
}

#[test]
fn types_have_their_comments_names_and_defaults_however_deep_they_are() {
    let description = describe();
    let id = definition(&description, "UserId");
    assert_eq!((&*id.docs, &id.shape, id.pipelined), ("Names a *user*.", &Shape::Newtype(Type::U64), true));
    assert!(id.path.ends_with("tests::UserId"), "{}", id.path);
    let Shape::Struct(fields) = &definition(&description, "User").shape else { panic!("a struct") };
    let names: Vec<_> = fields.iter().map(|field| (&*field.name, field.rust_name.as_deref())).collect();
    let expected =
        [("id", None), ("fullName", Some("full_name")), ("boss", None), ("addresses", None), ("level", None)];
    assert_eq!(names, expected);
    assert_eq!((&*fields[1].docs, fields[1].has_default), ("What they are called.", true));
    assert_eq!(fields[1].aliases, ["nick"]);
    assert_eq!(fields[2].ty, Type::Option(named("User").into()));
    let addresses = Type::Map {
        name: "BTreeMap".into(),
        key: named("Place").into(),
        value: Type::List(named("IpAddr").into()).into(),
    };
    assert_eq!(fields[3].ty, addresses);
    assert!(fields[4].is_opaque);
    assert_eq!(fields[4].ty, Type::String);
    let Shape::Enum(variants) = &definition(&description, "Place").shape else { panic!("an enum") };
    assert_eq!((&*variants[0].docs, &variants[0].content), ("At home.", &Content::Unit));
    assert_eq!(variants[1].deprecated.as_deref(), Some("nobody goes there"));
    assert_eq!((&*variants[2].name, variants[2].rust_name.as_deref()), ("away", Some("Travelling")));
    let Content::Struct(fields) = &variants[2].content else { panic!("named fields") };
    assert_eq!(fields[1].name, "by");
}

#[test]
fn errors_say_what_they_mean() {
    let description = describe();
    let Shape::Enum(variants) = &definition(&description, "Refused").shape else { panic!("an enum") };
    let told: Vec<_> = variants.iter().map(|variant| (&*variant.docs, variant.message.as_deref())).collect();
    assert_eq!(
        told,
        [("Nobody has that name.", Some("there is no user {0}")), ("", Some("busy until {until}")),]
    );
}

#[test]
fn types_of_one_name_stay_apart() {
    let description = describe();
    let Shape::Struct(fields) = &definition(&description, "other::User").shape else { panic!("a struct") };
    assert_eq!(fields[0].name, "number");
    let page = definition(&description, "Page<other::User>");
    assert!(page.path.contains("other::User"), "{}", page.path);
    let Shape::Struct(fields) = &page.shape else { panic!("a struct") };
    assert_eq!(fields[0].ty, Type::List(named("other::User").into()));
}

#[test]
fn foreign_types_have_their_form_in_json() {
    let description = describe();
    let address = definition(&description, "IpAddr");
    assert!(matches!(address.shape, Shape::Enum(_)), "{:?}", address.shape);
    assert_eq!(address.json, Some(Type::String));
    let duration = definition(&description, "Duration");
    assert_eq!(duration.json, None);
    assert!(matches!(&duration.shape, Shape::Struct(fields) if fields[0].name == "secs"));
}

#[test]
fn streams_say_what_may_end_them() {
    let description = describe();
    let end = description.service("Subscription").unwrap().method("end").unwrap();
    let feed = Type::Stream { item: named("User").into(), error: None };
    assert_eq!(end.arguments[0].value.ty, feed);
    let result = Type::Stream { item: named("UserId").into(), error: Some(named("Refused").into()) };
    assert_eq!(end.result.ty, result);
}

#[test]
fn flows_lead_from_parts_of_results_to_arguments_and_objects() {
    let description = describe();
    let flow = description.flows.iter().find(|flow| flow.ty == named("UserId")).unwrap();
    let from: Vec<_> = flow.from.iter().map(|from| (&*from.method, from.path.clone())).collect();
    let field = |name: &str| PathStep::Field(name.into());
    assert_eq!(from, [("find", vec![field("id")]), ("byId", vec![field("id")])]);
    let into: Vec<_> = flow
        .into
        .iter()
        .map(|into| match into {
            Sink::Argument { method, argument, .. } => format!("{method}({argument})"),
            Sink::Target { service } => service.clone(),
        })
        .collect();
    assert_eq!(into, ["byId(id)", "page(after)"]);
    let object = Type::Object("Subscription".into());
    let flow = description.flows.iter().find(|flow| flow.ty == object).unwrap();
    assert_eq!(flow.from[0].method, "watch");
    assert_eq!(flow.into[0], Sink::Target { service: "Subscription".into() });
    // A field with a custom encoding gives no promise.
    let texts = description.flows.iter().find(|flow| flow.ty == Type::String).unwrap();
    assert!(texts.from.iter().all(|from| from.path.last() != Some(&field("level"))));
}

#[test]
fn a_description_is_the_same_each_time_and_after_it_was_written() {
    let description = describe();
    assert_eq!(description, describe());
    let text = description.to_json();
    assert_eq!(Description::from_json(&text).unwrap(), description);
}

#[test]
fn limits_are_told_in_words() {
    let description = Api::new("", "").limits(&Limits::public()).describe();
    let calls = description.limits.iter().find(|limit| limit.name == "calls_max").unwrap();
    assert_eq!(calls.value, "256 calls");
    assert_eq!(description.limits[0].value, "2 MiB");
}

#[test]
fn services_of_clients_are_roots_too() {
    let description =
        Api::new("", "").service::<DirectoryClient>().client_service::<WatcherClient>().describe();
    let side = |name: &str| {
        let service = description.service(name).unwrap();
        (service.is_root, service.implemented_by)
    };
    assert_eq!(side("people"), (true, Side::Server));
    assert_eq!(side("Watcher"), (true, Side::Client));
    let description =
        Api::new("", "").service::<WatcherClient>().client_service::<WatcherClient>().describe();
    assert_eq!(description.service("Watcher").unwrap().implemented_by, Side::Both);
    // Either side can watch: it implements `Question` and is handed subscriptions.
    assert_eq!(description.service("Question").unwrap().implemented_by, Side::Both);
}

#[rpc]
trait Broken {
    async fn fine(&self) -> u8;
    async fn any(&self, value: Any) -> u8;
}

/// Reads whatever comes.
#[derive(serde::Serialize)]
struct Any;

impl<'de> serde::Deserialize<'de> for Any {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(serde::de::IgnoredAny).map(|_| Self)
    }
}

#[test]
fn a_method_that_cannot_be_called_says_why_and_is_described_alike_each_time() {
    let describe = || Api::new("", "").service::<BrokenClient>().describe();
    let description = describe();
    assert_eq!(description, describe());
    let [fine, any] = &description.services[0].methods[..] else { panic!("two methods") };
    assert!(fine.problems.is_empty());
    assert!(any.problems[0].contains("bincode cannot carry"), "{:?}", any.problems);
    let Type::Ref(name) = &any.arguments[0].value.ty else { panic!("it has a name") };
    assert_eq!(name, "Any");
    let Shape::Unknown(why) = &definition(&description, "Any").shape else { panic!("it is not known") };
    assert!(why.contains("cannot travel"), "{why}");
    assert_eq!(Description::from_json(&description.to_json()).unwrap(), description);
}

#[cfg(feature = "schemars")]
#[test]
fn a_type_may_bring_a_schema_of_its_own() {
    #[data]
    #[derive(schemars::JsonSchema)]
    struct Percent(#[schemars(range(min = 0, max = 100))] u8);

    #[rpc]
    trait Gauge {
        async fn set(&self, value: Percent);
    }

    let description = Api::new("", "").service::<GaugeClient>().schema::<Percent>().describe();
    let schema = definition(&description, "Percent").schema.as_ref().unwrap();
    assert_eq!(schema["maximum"], 100, "{schema}");
}

#[test]
fn a_set_is_no_list_because_its_elements_cannot_be_promised() {
    #[data]
    struct Tags {
        all: std::collections::BTreeSet<String>,
        #[allow(clippy::box_collection, reason = "a pointer is not seen")]
        some: Box<Vec<UserId>>,
    }

    #[rpc]
    trait Tagged {
        async fn tags(&self) -> Tags;
        async fn named(&self, tag: String, user: UserId);
    }

    let description = Api::new("", "").service::<TaggedClient>().describe();
    let Shape::Struct(fields) = &definition(&description, "Tags").shape else { panic!("a struct") };
    let set = Type::Collection { name: "BTreeSet".into(), element: Type::String.into() };
    assert_eq!(fields[0].ty, set);
    assert_eq!(fields[1].ty, Type::List(named("UserId").into()));
    let flows: Vec<&Type> = description.flows.iter().map(|flow| &flow.ty).collect();
    assert_eq!(flows, [&Type::U64, &named("UserId")][1..], "and none of strings");
}

#[test]
fn a_result_does_not_fit_into_a_call_that_the_other_side_makes() {
    let description = describe();
    let takes_user = |flow: &&crate::description::Flow| flow.ty == named("User");
    // Servers pass users to watchers. Clients with the promise of a user do not call watchers.
    assert_eq!(description.flows.iter().filter(takes_user).count(), 0);
}

/// Types that are found first behind an alias, where they are not asked for their declaration.
mod behind_aliases {
    use super::*;

    /// Somebody.
    #[data]
    pub struct Person {
        /// Names them.
        pub id: UserId,
    }

    pub(super) type People = Vec<Person>;

    /// Has no values that could be made up.
    #[derive(Debug, serde::Serialize)]
    pub(super) struct Picky(u8);

    impl<'de> serde::Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _ = u8::deserialize(deserializer)?;
            Err(serde::de::Error::custom("never good enough"))
        }
    }

    #[data]
    pub struct Parcel {
        pub weight: u8,
    }

    pub(super) type Row = (Picky, Parcel);

    #[rpc]
    pub trait Register {
        async fn all(&self) -> People;
        async fn first(&self) -> Person;
        async fn remove(&self, id: UserId);
        async fn row(&self, row: Row);
        async fn parcel(&self, parcel: Parcel);
    }
}

#[test]
fn it_does_not_matter_which_method_a_type_is_met_in_first() {
    let description = Api::new("", "").service::<behind_aliases::RegisterClient>().describe();
    let person = definition(&description, "Person");
    assert_eq!(person.docs, "Somebody.");
    assert!(person.pipelined);
    let Shape::Struct(fields) = &person.shape else { panic!("a struct") };
    assert_eq!(fields[0].docs, "Names them.");
    let flow = description.flows.iter().find(|flow| flow.ty == named("UserId")).expect("ids fit");
    let from: Vec<_> = flow.from.iter().map(|from| &*from.method).collect();
    assert_eq!(from, ["all", "first"]);
    let row = description.services[0].method("row").unwrap();
    assert!(!row.problems.is_empty(), "its second element is not reached");
    let parcel = definition(&description, "Parcel");
    assert!(matches!(&parcel.shape, Shape::Struct(fields) if fields[0].name == "weight"), "{parcel:?}");
}

#[test]
fn a_default_of_a_whole_struct_is_one_of_each_field() {
    #[data]
    #[serde(default)]
    #[derive(Default)]
    struct Options {
        quiet: bool,
        depth: u8,
    }

    #[rpc]
    trait Optional {
        async fn set(&self, options: Options);
    }

    let description = Api::new("", "").service::<OptionalClient>().describe();
    let Shape::Struct(fields) = &definition(&description, "Options").shape else { panic!("a struct") };
    assert!(fields.iter().all(|field| field.has_default), "{fields:?}");
}

#[test]
fn comments_are_read_as_rustdoc_reads_them() {
    /** Somebody
     *
     * with a *block*:
     *     code
     */
    #[data]
    struct Starred {
        ///   Far
        ///     in.
        far: u8,
        #[cfg_attr(all(), doc = "Of a condition.")]
        conditional: u8,
    }

    #[rpc]
    trait Commented {
        /**
         * Starred.
         */
        async fn starred(&self, value: Starred);
    }

    let description = Api::new("", "").service::<CommentedClient>().describe();
    let starred = definition(&description, "Starred");
    assert_eq!(starred.docs, "Somebody\n\nwith a *block*:\n    code");
    let Shape::Struct(fields) = &starred.shape else { panic!("a struct") };
    let docs: Vec<_> = fields.iter().map(|field| &*field.docs).collect();
    assert_eq!(docs, ["Far\n  in.", "Of a condition."]);
    assert_eq!(description.services[0].methods[0].docs, "Starred.");
}

#[test]
fn what_is_one_type_in_a_description_and_two_in_rust_does_not_fit() {
    #[data]
    struct Card {
        owner: Box<UserId>,
        next: Option<Box<Card>>,
        count: usize,
    }
    #[data]
    struct Row(#[serde(skip)] (), char, f32);

    #[data]
    #[serde(transparent)]
    struct Wrapped {
        _card: Card,
    }

    type Seven = (i8, i8, i8, i8, i8, i8, i8);

    #[rpc]
    trait Cards {
        async fn boxed(&self) -> Box<Card>;
        async fn plain(&self) -> Card;
        async fn slice(&self) -> Box<[Card]>;
        async fn ordered(&self) -> BTreeMap<String, u8>;
        async fn text(&self) -> Box<str>;
        async fn row(&self) -> Row;
        async fn seven(&self) -> Seven;
        async fn wrapped(&self) -> Wrapped;
        async fn take(&self, card: Card);
        async fn take_boxed(&self, card: Option<Box<Card>>);
        async fn take_id(&self, id: UserId, text: String, count: u64, map: HashMap<String, u8>);
        async fn take_row(&self, row: char, cards: Vec<Card>, number: i8);
        async fn take_wrapped(&self, card: Option<Wrapped>);
    }

    let description = Api::new("", "").service::<CardsClient>().describe();
    let mut told = Vec::new();
    for flow in &description.flows {
        for (from, into) in flow.from.iter().flat_map(|from| flow.into.iter().map(move |into| (from, into))) {
            let Sink::Argument { method, argument, .. } = into else { continue };
            told.push(format!("{}.{} {method}({argument})", from.method, crate::flows::spelled(&from.path)));
        }
    }
    told.sort();
    assert_eq!(
        told,
        [
            "boxed. take_boxed(card)",
            "boxed.next take_boxed(card)",
            "boxed.next.some take_boxed(card)",
            "boxed.owner.0 take_id(count)",
            "plain. take(card)",
            "plain.next take_boxed(card)",
            "plain.next.some take_boxed(card)",
            "plain.owner.0 take_id(count)",
            "wrapped. take_wrapped(card)",
        ]
    );
}
