//! What a description says of types is so: values of them, foreign ones too, look in JSON as it says.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    num::NonZeroU8,
    ops::{Range, RangeFrom, RangeInclusive},
    time::{Duration, SystemTime},
};

use rpc_core::{data, rpc};
use rpc_docs::{
    Api, Description,
    description::{Content, Field, Shape, Type},
    json::{self, Keys},
};
use serde::Serialize;
use serde_json::{Value, json};

#[data]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Unit {
    Meter,
    Foot,
}

#[data]
enum Mixed {
    Nothing,
    One(u8),
    Two(u8, String),
    Named {
        a: Option<u8>,
    },
    Braces {},
    Parentheses(),
    Hidden {
        #[serde(skip)]
        _a: u8,
    },
    OneOfTwo(#[serde(skip)] u8, u8),
    Skipped(#[serde(skip)] u8),
}

#[data]
struct Marker;

#[data]
struct Pair(u8, char);

#[data]
struct Nobody();

#[data]
struct Half(#[serde(skip)] (), u8);

#[data]
#[serde(transparent)]
struct Transparent {
    only: u8,
}

#[data]
struct All {
    mixed: Vec<Mixed>,
    marker: Marker,
    pair: Pair,
    nobody: Nobody,
    half: Half,
    transparent: Transparent,
    float: f64,
    lengths: BTreeMap<Unit, u8>,
    numbers: HashMap<u32, bool>,
    set: BTreeSet<u8>,
    array: [u8; 3],
    tuple: (u8, String),
    unit: (),
    shared: Box<str>,
    optional: Option<Box<All>>,
}

#[rpc]
trait Foreign {
    async fn uuid(&self, value: uuid::Uuid) -> Vec<uuid::Uuid>;
    async fn address(&self, value: IpAddr) -> Option<SocketAddr>;
    async fn url(&self, value: url::Url);
    async fn date(&self, value: chrono::DateTime<chrono::Utc>) -> chrono::NaiveDate;
    async fn duration(&self, value: Duration) -> SystemTime;
    async fn nonzero(&self, value: NonZeroU8);
    async fn path(&self, value: std::path::PathBuf);
    async fn ordered(&self, value: indexmap::IndexMap<String, uuid::Uuid>);
    async fn all(&self, value: All);
    async fn system_time(&self, value: SystemTime);
    async fn range(&self, value: Range<u8>, inclusive: RangeInclusive<u8>, wide: Range<u32>);
    async fn range_from(&self, value: RangeFrom<Unit>) -> Unit;
    async fn value(&self, value: serde_json::Number);
    async fn since(&self, value: Option<chrono::DateTime<chrono::Utc>>) -> Option<SystemTime>;
    async fn stamp(&self, value: Stamped) -> Vec<SystemTime>;
}

/// When something happened.
#[data]
struct Stamp(chrono::DateTime<chrono::Utc>);

#[data]
struct Stamped {
    at: SystemTime,
    took: Duration,
    stamp: Stamp,
    local: Option<Box<chrono::DateTime<chrono::Utc>>>,
}

fn describe() -> Description {
    Api::new("Foreign", "1").service::<ForeignClient>().describe()
}

/// Whether a value is one of a type, by what `rpc_docs::json` says.
fn is_of(description: &Description, ty: &Type, value: &Value) -> bool {
    let is = |ty: &Type, value: &Value| is_of(description, ty, value);
    match ty {
        Type::Bool => value.is_boolean(),
        Type::I8 | Type::I16 | Type::I32 | Type::U8 | Type::U16 | Type::U32 => value.is_i64(),
        Type::I64 | Type::I128 | Type::U64 | Type::U128 => value.is_number() || value.is_string(),
        Type::F32 | Type::F64 => value.is_number() || value.is_string(),
        Type::Char => value.as_str().is_some_and(|text| text.chars().count() == 1),
        Type::String | Type::Bytes => value.is_string(),
        Type::Unit => value.is_null(),
        Type::Option(inner) if json::may_be_null(description, inner) => {
            value.is_null() || value.as_array().is_some_and(|list| list.len() == 1 && is(inner, &list[0]))
        }
        Type::Option(inner) => value.is_null() || is(inner, value),
        Type::List(element) | Type::Collection { element, .. } => {
            value.as_array().is_some_and(|list| list.iter().all(|one| is(element, one)))
        }
        Type::Array { element, len } => {
            value.as_array().is_some_and(|list| list.len() == *len && list.iter().all(|one| is(element, one)))
        }
        Type::Tuple(elements) => is_list(description, elements, value),
        Type::Map { key, value: inner, .. } => match json::keys(description, key) {
            Keys::Object => value.as_object().is_some_and(|map| map.values().all(|one| is(inner, one))),
            Keys::Pairs => {
                is(&Type::List(Type::Tuple(vec![(**key).clone(), (**inner).clone()]).into()), value)
            }
        },
        Type::Ref(name) => {
            let definition = description.definition(name).unwrap();
            match &definition.json {
                Some(json) => is(json, value),
                None => is_of_shape(description, &definition.shape, value),
            }
        }
        Type::Result { .. } | Type::Object(_) | Type::Stream { .. } | Type::Unknown(_) => false,
    }
}

fn is_of_shape(description: &Description, shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Newtype(inner) | Shape::Opaque { reads: Some(inner) } => is_of(description, inner, value),
        Shape::Unit => value.is_null(),
        Shape::Tuple(elements) => is_list(description, elements, value),
        Shape::Struct(fields) => is_object(description, fields, value),
        Shape::Enum(variants) => variants.iter().any(|variant| {
            let content = value.get(&variant.name);
            match &variant.content {
                Content::Unit => value == &json!(variant.name),
                Content::Newtype(inner) => content.is_some_and(|content| is_of(description, inner, content)),
                Content::Tuple(elements) => {
                    content.is_some_and(|content| is_list(description, elements, content))
                }
                Content::Struct(fields) => {
                    content.is_some_and(|content| is_object(description, fields, content))
                }
                Content::Unreadable => false,
            }
        }),
        Shape::Opaque { reads: None } | Shape::Never | Shape::Unknown(_) => false,
    }
}

fn is_list(description: &Description, elements: &[Type], value: &Value) -> bool {
    value.as_array().is_some_and(|list| {
        let mut pairs = elements.iter().zip(list);
        list.len() == elements.len() && pairs.all(|(ty, one)| is_of(description, ty, one))
    })
}

fn is_object(description: &Description, fields: &[Field], value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        let is_there = |field: &Field| match object.get(&field.name) {
            Some(value) => is_of(description, &field.ty, value),
            None => field.has_default,
        };
        object.len() <= fields.len() && fields.iter().all(is_there)
    })
}

/// A value of the method's argument, as serde makes it JSON.
#[track_caller]
fn check(method: &str, value: impl Serialize) {
    let description = describe();
    let method = description.service("Foreign").unwrap().method(method).unwrap();
    let ty = &method.arguments[0].value.ty;
    let value = serde_json::to_value(value).unwrap();
    assert!(is_of(&description, ty, &value), "{ty:?} as {value}: {description:#?}");
    let other = json!({ "other": [null] });
    assert!(!is_of(&description, ty, &other), "{ty:?} is not anything");
}

#[test]
fn foreign_types_look_as_they_are_described() {
    check("uuid", uuid::Uuid::from_u128(7));
    check("address", IpAddr::from([127, 0, 0, 1]));
    check("url", url::Url::parse("https://example.org/").unwrap());
    check("date", chrono::DateTime::UNIX_EPOCH);
    check("duration", Duration::from_millis(1_500));
    check("system_time", SystemTime::UNIX_EPOCH);
    check("range", 1_u8..2);
    check("range_from", Unit::Foot..);
    check("nonzero", NonZeroU8::MIN);
    check("path", std::path::PathBuf::from("/tmp"));
    check("since", Some(chrono::DateTime::UNIX_EPOCH));
    let stamp = Stamp(chrono::DateTime::UNIX_EPOCH);
    let (at, took) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
    check("stamp", Stamped { at, took, stamp, local: None });
    check("ordered", indexmap::IndexMap::from([("a".to_owned(), uuid::Uuid::nil())]));
}

#[test]
fn types_of_ones_own_look_as_they_are_described() {
    let all = |optional| All {
        mixed: vec![
            Mixed::Nothing,
            Mixed::One(1),
            Mixed::Two(2, "b".into()),
            Mixed::Named { a: None },
            Mixed::Named { a: Some(1) },
            Mixed::Braces {},
            Mixed::Parentheses(),
            Mixed::Hidden { _a: 1 },
            Mixed::OneOfTwo(1, 2),
            Mixed::Skipped(1),
        ],
        marker: Marker,
        pair: Pair(1, 'x'),
        nobody: Nobody(),
        half: Half((), 2),
        transparent: Transparent { only: 1 },
        float: 0.5,
        lengths: BTreeMap::from([(Unit::Meter, 1), (Unit::Foot, 2)]),
        numbers: HashMap::from([(3, true)]),
        set: BTreeSet::from([1]),
        array: [1, 2, 3],
        tuple: (1, "c".into()),
        unit: (),
        shared: "d".into(),
        optional,
    };
    check("all", all(Some(Box::new(all(None)))));
}

/// Serde reads these as others, and converts them.
#[test]
fn types_of_the_standard_library_are_not_those_that_they_are_made_of() {
    let description = describe();
    let method = |name: &str| description.service("Foreign").unwrap().method(name).unwrap();
    let of = |name: &str| -> Vec<_> {
        method(name).arguments.iter().map(|argument| argument.value.ty.to_rust()).collect()
    };
    assert_eq!(of("range"), ["Range<u8>", "RangeInclusive<u8>", "Range<u32>"]);
    assert_eq!(of("range_from"), ["RangeFrom<Unit>"]);
    assert_eq!(of("system_time"), ["SystemTime"]);
    assert_eq!(of("duration"), ["Duration"]);
    assert!(matches!(description.definition("Unit").unwrap().shape, Shape::Enum(_)));
    assert_eq!(method("range_from").problems, [""; 0], "its `Unit` is no struct of one field");
}

#[test]
fn foreign_types_are_called_by_their_names() {
    let description = describe();
    let text = |name: &str| {
        let definition = description.definition(name).unwrap_or_else(|| panic!("{name} is defined"));
        (definition.json.clone(), definition.shape.clone())
    };
    let opaque = |ty| Shape::Opaque { reads: Some(ty) };
    assert_eq!(text("Uuid"), (Some(Type::String), opaque(Type::Bytes)));
    assert_eq!(text("Url"), (None, opaque(Type::String)));
    assert_eq!(text("IpAddr").0, Some(Type::String));
    assert_eq!(text("SocketAddr").0, Some(Type::String));
    assert_eq!(text("DateTime<Utc>"), (None, opaque(Type::String)));
    assert_eq!(text("NonZero<u8>"), (None, opaque(Type::U8)));
}

#[test]
fn a_type_that_reads_itself_as_another_is_called_as_it_is_written() {
    let description = describe();
    let named = |name: &str| Type::Ref(name.into());
    let method = |name: &str| description.service("Foreign").unwrap().method(name).unwrap();
    let utc = || named("DateTime<Utc>");
    assert_eq!(method("date").arguments[0].value.ty, utc());
    assert_eq!(method("since").arguments[0].value.ty, Type::Option(utc().into()));
    assert_eq!(method("since").result.ty, Type::Option(named("SystemTime").into()));
    assert_eq!(method("stamp").result.ty, Type::List(named("SystemTime").into()));
    assert_eq!(method("duration").result.ty, named("SystemTime"));
    assert_eq!(description.definition("Stamp").unwrap().shape, Shape::Newtype(utc()));
    let Shape::Struct(fields) = &description.definition("Stamped").unwrap().shape else { panic!("a struct") };
    let types: Vec<Type> = fields.iter().map(|field| field.ty.clone()).collect();
    assert_eq!(types, [named("SystemTime"), named("Duration"), named("Stamp"), Type::Option(utc().into())]);
    let field = |name: &str| match &description.definition(name).unwrap().shape {
        Shape::Struct(fields) => fields[0].name.clone(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!((field("SystemTime"), field("Duration")), ("secs_since_epoch".into(), "secs".into()));
    assert!(description.types.iter().all(|ty| !ty.name.contains("Fixed")), "nobody wrote it");
}

#[rpc]
trait Spans {
    async fn start(&self, span: RangeFrom<Unit>) -> Option<RangeInclusive<Unit>>;
}

struct Measuring;

impl Spans for Measuring {
    async fn start(&self, span: RangeFrom<Unit>) -> Option<RangeInclusive<Unit>> {
        Some(Unit::Meter..=span.start)
    }
}

#[tokio::test]
async fn ranges_of_declared_types_travel() {
    let services = rpc_core::Services::new().with(SpansServer::new(Measuring));
    let spans: SpansClient = rpc_core::memory::connect(services).service();
    let span = spans.start(Unit::Foot..).await.unwrap().unwrap();
    assert!(span == (Unit::Meter..=Unit::Foot));
}

#[test]
fn a_field_that_reads_itself_as_another_is_passed_on_as_what_it_is() {
    #[data]
    struct Event {
        at: SystemTime,
    }

    #[rpc]
    trait Events {
        async fn last(&self) -> Event;
        async fn since(&self, at: SystemTime);
        async fn within(&self, time: Duration);
    }

    let description = Api::new("Events", "1").service::<EventsClient>().describe();
    let into: Vec<_> = description.flows.iter().map(|flow| (&flow.ty, flow.from.len(), &flow.into)).collect();
    let argument = rpc_docs::description::Sink::Argument {
        service: "Events".into(),
        method: "since".into(),
        argument: "at".into(),
    };
    assert_eq!(into, [(&Type::Ref("SystemTime".into()), 1, &vec![argument])]);
}
