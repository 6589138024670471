//! What the macros number, counted by the other side: methods, fields and variants.

use std::marker::PhantomData;

use rpc_core::{CallError, Context, Never, ServiceClient, Services, rpc};

#[rpc_core::data]
#[derive(Debug, Default)]
pub(crate) struct Record {
    #[serde(skip)]
    pub(crate) unsent: u8,
    pub(crate) first: u8,
    #[serde(with = "as_text")]
    pub(crate) own: u8,
    #[serde(skip)]
    pub(crate) unsent_either: u8,
    pub(crate) last: u8,
    pub(crate) wrapped: Wrapped<u8>,
    pub(crate) newtype: Newtype,
    pub(crate) items: Vec<Newtype>,
}

#[rpc_core::data]
#[derive(Debug, Default)]
#[serde(transparent)]
pub(crate) struct Wrapped<T> {
    marker: PhantomData<T>,
    pub(crate) value: u64,
}

#[rpc_core::data]
#[derive(Debug, Default)]
pub(crate) struct Newtype(pub(crate) String);

#[rpc_core::data]
#[derive(Debug)]
pub(crate) enum Shape {
    Empty,
    Circle(u32),
    Sized {
        #[serde(skip)]
        cache: u8,
        width: u32,
        r#type: String,
    },
    Pair(u8, String),
    #[serde(skip)]
    #[allow(dead_code, reason = "it never travels")]
    Hidden(u8),
}

mod as_text {
    use rpc_core::__private::serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        Ok(String::deserialize(deserializer)?.parse().unwrap())
    }
}

#[rpc]
trait Numbers {
    #[cfg(any())]
    async fn gone(&self);
    async fn record(&self) -> Record;
    #[cfg(not(any()))]
    async fn shape(&self, kind: u8) -> Result<Shape, String>;
    async fn echo(&self, #[rpc(context)] context: &Context, text: String) -> String;
    #[rpc(name = "sum_of_twelve")]
    #[allow(clippy::too_many_arguments)]
    async fn sum(
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
    ) -> String;
    async fn nothing(&self);
}

struct Counted;

impl Numbers for Counted {
    async fn record(&self) -> Record {
        Record {
            unsent: 1,
            first: 2,
            own: 3,
            unsent_either: 4,
            last: 5,
            wrapped: Wrapped { marker: PhantomData, value: 6 },
            newtype: Newtype("seven".into()),
            items: vec![Newtype("eight".into()), Newtype("nine".into())],
        }
    }

    async fn shape(&self, kind: u8) -> Result<Shape, String> {
        Ok(match kind {
            0 => Shape::Empty,
            1 => Shape::Circle(10),
            2 => Shape::Sized { cache: 1, width: 11, r#type: "wide".into() },
            3 => Shape::Pair(12, "both".into()),
            _ => return Err("no such shape".into()),
        })
    }

    async fn echo(&self, context: &Context, text: String) -> String {
        format!("{text}{}", context.metadata("tail").unwrap_or(""))
    }

    async fn sum(
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
    ) -> String {
        format!("{:?}", [a, b, c, d, e, f, g, h, i, j, k, l])
    }

    async fn nothing(&self) {}
}

fn numbers() -> NumbersClient {
    rpc_core::memory::connect(Services::new().with(NumbersServer::new(Counted))).service()
}

#[tokio::test]
async fn fields_are_found_where_serde_writes_them() {
    let numbers = numbers();
    let record = numbers.record();
    assert_eq!(record.first().await.unwrap(), 2);
    assert_eq!(record.last().await.unwrap(), 5);
    assert_eq!(record.wrapped().value().await.unwrap(), 6);
    assert_eq!(numbers.echo(record.newtype()._0()).await.unwrap(), "seven");
    assert_eq!(numbers.echo(record.items().index(1)._0()).await.unwrap(), "nine");
    let whole = record.await.unwrap();
    assert_eq!((whole.unsent, whole.own, whole.unsent_either, whole.last), (0, 3, 0, 5));
}

#[tokio::test]
async fn variants_are_found_where_serde_writes_them() {
    let numbers = numbers();
    assert_eq!(numbers.shape(1).circle()._0().await.unwrap(), 10);
    assert_eq!(numbers.shape(2).sized().width().await.unwrap(), 11);
    assert_eq!(numbers.echo(numbers.shape(2).sized().r#type()).await.unwrap(), "wide");
    assert_eq!(numbers.echo(numbers.shape(3).pair()._1()).await.unwrap(), "both");
    let missed = numbers.echo(numbers.shape(0).pair()._1()).await.unwrap_err();
    assert!(matches!(&missed, CallError::Upstream(upstream) if upstream.missed().is_some()), "{missed}");
}

#[tokio::test]
async fn methods_and_arguments_keep_their_places() {
    let numbers = numbers();
    let sum = numbers.sum(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, numbers.record().last()).await.unwrap();
    assert_eq!(sum, "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 5]");
    let error: CallError<Never> = numbers.echo(numbers.shape(9).pair()._1()).await.unwrap_err();
    assert!(matches!(&error, CallError::Upstream(upstream) if upstream.downcast::<String>().is_some()));
    assert_eq!(numbers.metadata("tail", "!").echo("hello").await.unwrap(), "hello!");
    numbers.nothing().await.unwrap();
}

#[test]
fn the_signature_can_be_traced() {
    let problems: Vec<String> = NumbersClient::descriptor()
        .methods
        .iter()
        .flat_map(|method| method.problems().iter().cloned())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
}
