//! What arrives is what was sent, or a refusal that says why: the cases that were taken for others once.

use std::collections::BTreeMap;

use rpc_core::{
    CallError, Pipelined, Promise, Refusal, Services, StreamError, Streaming, memory, schema::Layout,
};

/// What the server has.
mod newer {
    use rpc_core::rpc;

    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) enum Tree {
        Leaf,
        Node(Box<Tree>, u32, Box<Tree>),
    }

    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) enum Doc {
        List(Vec<Doc>),
        Link { to: Box<Doc>, count: u8 },
        Num(i32),
    }

    #[rpc]
    pub(super) trait Forest {
        async fn grow(&self) -> Tree;
        async fn twice(&self, number: u32) -> u32;
        async fn height(&self, tree: Tree) -> u32;
        async fn count(&self, doc: Doc) -> u8;
    }

    pub(super) struct Planted;

    impl Forest for Planted {
        async fn grow(&self) -> Tree {
            Tree::Node(Box::new(Tree::Leaf), 21, Box::new(Tree::Leaf))
        }

        async fn twice(&self, number: u32) -> u32 {
            2 * number
        }

        async fn height(&self, tree: Tree) -> u32 {
            match tree {
                Tree::Leaf => 0,
                Tree::Node(_, height, _) => height,
            }
        }

        async fn count(&self, doc: Doc) -> u8 {
            match doc {
                Doc::Link { count, .. } => count,
                Doc::List(_) | Doc::Num(_) => 0,
            }
        }
    }
}

/// What the client was built with: numbers have another sign.
mod older {
    use rpc_core::rpc;

    #[rpc_core::data]
    pub(super) enum Tree {
        Leaf,
        Node(Box<Tree>, i32, Box<Tree>),
    }

    #[rpc_core::data]
    pub(super) enum Doc {
        List(Vec<Doc>),
        Link { to: Box<Doc>, count: u8 },
        Num(u32),
    }

    #[rpc]
    pub(super) trait Forest {
        async fn height(&self, tree: Tree) -> u32;
        async fn count(&self, doc: Doc) -> u8;
    }
}

fn forest() -> Services {
    Services::new().with(newer::ForestServer::new(newer::Planted))
}

#[tokio::test]
async fn two_versions_of_a_recursive_type_are_refused() {
    let forest: older::ForestClient = memory::connect(forest()).service();
    let leaf = || Box::new(older::Tree::Leaf);
    let Err(CallError::Refused { refusal: Refusal::SchemaMismatch { ours, theirs, .. }, .. }) =
        forest.height(older::Tree::Node(leaf(), 5, leaf())).await
    else {
        panic!("5 arrived as 10")
    };
    assert_eq!(ours, "(tree: enum Tree{Leaf, Node(^Tree, i32, ^Tree)}) -> u32");
    assert_eq!(theirs, "(tree: enum Tree{Leaf, Node(^Tree, u32, ^Tree)}) -> u32");
    let refused = forest.count(older::Doc::Num(5)).await;
    assert!(
        matches!(refused, Err(CallError::Refused { refusal: Refusal::SchemaMismatch { .. }, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn parts_behind_a_recursion_can_be_piped() {
    let forest: newer::ForestClient = memory::connect(forest()).service();
    assert_eq!(forest.twice(forest.grow().node()._1()).await.unwrap(), 42);
    let doc = newer::Doc::Link { to: Box::new(newer::Doc::Num(-1)), count: 3 };
    assert_eq!(forest.count(doc).await.unwrap(), 3);
    assert_eq!(forest.height(forest.grow()).await.unwrap(), 21);
}

mod sizes {
    use rpc_core::rpc;

    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(super) struct Size {
        pub(super) w: u32,
        pub(super) h: u32,
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(super) struct Swapped {
        pub(super) h: u32,
        pub(super) w: u32,
    }

    /// Lets a promise stand for one of another type, as only a program with a mistake would.
    pub(super) struct Anything<E>(rpc_core::__private::PipeAt<E>);

    impl<E: Send + Sync + 'static> Anything<E> {
        pub(super) fn is<T>(&self) -> Promise<T, E> {
            self.0.same()
        }
    }

    impl Pipelined for Size {
        type Pipe<E: Send + Sync + 'static> = Anything<E>;

        fn pipe<E: Send + Sync + 'static>(at: rpc_core::__private::PipeAt<E>) -> Anything<E> {
            Anything(at)
        }
    }

    #[rpc]
    pub(super) trait Screen {
        async fn size(&self) -> Size;
        async fn width(&self, size: Size) -> u32;
        async fn width_of_swapped(&self, size: Swapped) -> u32;
    }

    pub(super) struct Wide;

    impl Screen for Wide {
        async fn size(&self) -> Size {
            Size { w: 1_920, h: 1_080 }
        }

        async fn width(&self, size: Size) -> u32 {
            size.w
        }

        async fn width_of_swapped(&self, size: Swapped) -> u32 {
            size.w
        }
    }
}

#[tokio::test]
async fn a_reference_to_fields_of_other_names_is_refused() {
    let screen: sizes::ScreenClient =
        memory::connect(Services::new().with(sizes::ScreenServer::new(sizes::Wide))).service();
    assert_eq!(screen.width(screen.size()).await.unwrap(), 1_920);
    let Err(CallError::Refused { refusal: Refusal::InvalidReference { argument, reason }, .. }) =
        screen.width_of_swapped(screen.size().is::<sizes::Swapped>()).await
    else {
        panic!("the fields were swapped")
    };
    assert_eq!(argument, "size");
    assert!(reason.contains("{w: u32, h: u32}") && reason.contains("{h: u32, w: u32}"), "{reason}");
}

mod one_sided {
    use rpc_core::rpc;
    use serde::{Deserialize, Serialize};

    /// `Red` would arrive as `Green`.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum Color {
        #[serde(skip)]
        #[expect(dead_code, reason = "it is never sent")]
        Hidden,
        Red,
        Green,
    }

    #[rpc]
    pub(super) trait Paint {
        async fn mix(&self, colors: Vec<(u8, Color)>) -> u32;
        async fn buckets(&self) -> u32;
    }

    pub(super) struct Shop;

    impl Paint for Shop {
        async fn mix(&self, colors: Vec<(u8, Color)>) -> u32 {
            colors.len() as u32
        }

        async fn buckets(&self) -> u32 {
            3
        }
    }
}

/// The same service where colors are right.
mod two_sided {
    use rpc_core::rpc;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum Color {
        Red,
        Green,
    }

    #[rpc]
    pub(super) trait Paint {
        async fn mix(&self, colors: Vec<(u8, Color)>) -> u32;
        async fn buckets(&self) -> u32;
    }

    pub(super) struct Shop;

    impl Paint for Shop {
        async fn mix(&self, _: Vec<(u8, Color)>) -> u32 {
            unreachable!("no client can call it")
        }

        async fn buckets(&self) -> u32 {
            3
        }
    }
}

#[test]
#[should_panic(
    expected = "`Paint` cannot be offered:\n  `Paint.mix`: argument `colors`: [..].1 has a variant `Red` that is written as \
                number 1 and read as number 0"
)]
fn a_service_that_would_misread_is_not_offered() {
    let _ = Services::new().with(one_sided::PaintServer::new(one_sided::Shop));
}

#[tokio::test]
async fn a_client_that_would_be_misread_says_so_before_it_sends() {
    let server = Services::new().with(two_sided::PaintServer::new(two_sided::Shop));
    let paint: one_sided::PaintClient = memory::connect(server).service();
    for _ in 0..2 {
        let Err(CallError::Refused { refusal: Refusal::NotCallable { method, reason }, .. }) =
            paint.mix(vec![(1, one_sided::Color::Red)]).await
        else {
            panic!("Red arrived as Green")
        };
        assert_eq!(method, "Paint.mix");
        assert!(reason.starts_with("argument `colors`: [..].1 has a variant `Red`"), "{reason}");
    }
    assert_eq!(paint.buckets().await.unwrap(), 3, "other methods can be called");
}

/// Servers that make an implementation for each connection offer it when it is too late to refuse it.
#[tokio::test]
async fn a_server_that_would_misread_says_so_to_its_clients() {
    let mut services = Services::new();
    services.offer(std::sync::Arc::new(one_sided::PaintServer::new(one_sided::Shop)));
    let paint: two_sided::PaintClient = memory::connect(services).service();
    let Err(CallError::Refused { refusal: Refusal::NotCallable { method, reason }, .. }) =
        paint.mix(vec![(1, two_sided::Color::Red)]).await
    else {
        panic!("Red was mixed")
    };
    assert_eq!(method, "Paint.mix");
    assert!(reason.starts_with("argument `colors`: [..].1 has a variant `Red`"), "{reason}");
    assert_eq!(paint.buckets().await.unwrap(), 3);
}

mod nests {
    use rpc_core::rpc;

    use super::*;

    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) struct Nest(pub(super) Option<Box<Nest>>);

    pub(super) fn deep(levels: usize) -> Nest {
        (0..levels).fold(Nest(None), |inner, _| Nest(Some(Box::new(inner))))
    }

    #[rpc]
    pub(super) trait Nests {
        async fn echo(&self, nest: Nest) -> Nest;
        async fn build(&self, levels: u32) -> Nest;
        async fn rows(&self, levels: Vec<u32>) -> Streaming<Nest>;
    }

    pub(super) struct Birds;

    impl Nests for Birds {
        async fn echo(&self, nest: Nest) -> Nest {
            nest
        }

        async fn build(&self, levels: u32) -> Nest {
            deep(levels as usize)
        }

        async fn rows(&self, levels: Vec<u32>) -> Streaming<Nest> {
            Streaming::from_iter(levels.into_iter().map(|levels| deep(levels as usize)))
        }
    }
}

#[tokio::test]
async fn a_value_nested_too_deeply_is_an_error_where_it_is_sent() {
    let nests: nests::NestsClient =
        memory::connect(Services::new().with(nests::NestsServer::new(nests::Birds))).service();
    assert_eq!(nests.echo(nests::deep(31)).await.unwrap(), nests::deep(31));
    for levels in [32, 5_000] {
        let Err(CallError::Refused { refusal: Refusal::InvalidArgument { argument, reason }, .. }) =
            nests.echo(nests::deep(levels)).await
        else {
            panic!("{levels} levels went through")
        };
        assert_eq!((&*argument, &*reason), ("nest", "the value is nested deeper than 64 levels"));
        let Err(CallError::Refused { refusal: Refusal::InvalidArgument { argument, reason }, .. }) =
            nests.build(levels as u32).await
        else {
            panic!("{levels} levels came back")
        };
        assert_eq!(argument, "(result)");
        assert!(reason.contains("nested deeper than 64 levels"), "{reason}");
    }
    let mut rows = nests.rows(vec![3, 5_000, 3]).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap(), nests::deep(3));
    let broken = rows.next().await.unwrap();
    assert!(
        matches!(&broken, Err(StreamError::Broken { reason }) if reason.contains("nested deeper than 64 levels")),
        "{broken:?}"
    );
    assert_eq!(nests.echo(nests::deep(1)).await.unwrap(), nests::deep(1), "the session lives");
}

/// Types of other crates, as people use them.
mod foreign {
    use rpc_core::rpc;

    use super::*;

    #[rpc_core::data]
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct Foreign {
        pub(super) id: uuid::Uuid,
        pub(super) at: chrono::DateTime<chrono::Utc>,
        pub(super) day: chrono::NaiveDate,
        pub(super) moment: time::OffsetDateTime,
        pub(super) date: time::Date,
        pub(super) link: url::Url,
        pub(super) by_name: indexmap::IndexMap<String, (uuid::Uuid, u8)>,
        pub(super) blob: bytes::Bytes,
        pub(super) path: std::path::PathBuf,
        pub(super) address: std::net::SocketAddr,
        pub(super) duration: std::time::Duration,
        pub(super) system: std::time::SystemTime,
        pub(super) count: std::num::NonZeroU16,
        pub(super) range: std::ops::RangeInclusive<i64>,
        pub(super) bound: std::ops::Bound<char>,
        pub(super) text: std::ffi::CString,
        pub(super) map: BTreeMap<url::Url, Result<chrono::NaiveDateTime, String>>,
        pub(super) after: u8,
    }

    #[rpc]
    pub(super) trait Abroad {
        async fn echo(&self, foreign: Foreign) -> Foreign;
        async fn links(&self, links: Vec<(url::Url, u8)>) -> Vec<(uuid::Uuid, u8)>;
    }

    pub(super) struct Travels;

    impl Abroad for Travels {
        async fn echo(&self, foreign: Foreign) -> Foreign {
            foreign
        }

        async fn links(&self, links: Vec<(url::Url, u8)>) -> Vec<(uuid::Uuid, u8)> {
            links.into_iter().map(|(_, number)| (uuid::Uuid::from_u128(number.into()), number)).collect()
        }
    }
}

#[tokio::test]
async fn types_of_other_crates_arrive_as_they_were_sent() {
    let abroad: foreign::AbroadClient =
        memory::connect(Services::new().with(foreign::AbroadServer::new(foreign::Travels))).service();
    let url: url::Url = "https://example.com/a?b=c".parse().unwrap();
    let at = chrono::DateTime::from_timestamp(1_700_000_000, 5).unwrap();
    let foreign = foreign::Foreign {
        id: uuid::Uuid::from_u128(7),
        at,
        day: at.date_naive(),
        moment: time::OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap(),
        date: time::Date::from_ordinal_date(2_024, 366).unwrap(),
        link: url.clone(),
        by_name: [("one".to_owned(), (uuid::Uuid::nil(), 1))].into_iter().collect(),
        blob: bytes::Bytes::from_static(b"blob"),
        path: "a/b".into(),
        address: "[::1]:80".parse().unwrap(),
        duration: std::time::Duration::new(3, 4),
        system: std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(5, 6),
        count: 7.try_into().unwrap(),
        range: -1..=1,
        bound: std::ops::Bound::Excluded('x'),
        text: c"text".into(),
        map: [(url.clone(), Ok(at.naive_utc())), ("file:///".parse().unwrap(), Err("none".to_owned()))]
            .into(),
        after: 9,
    };
    assert_eq!(abroad.echo(foreign.clone()).await.unwrap(), foreign);
    assert_eq!(abroad.links(vec![(url, 3)]).await.unwrap(), [(uuid::Uuid::from_u128(3), 3)]);
    assert_eq!(Layout::of_exchanged::<uuid::Uuid>("Uuid").problems(), [""; 0]);
}

mod disagreeing {
    use rpc_core::rpc;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

    /// Written and read in the other order than declared, so promises of its fields would be of the wrong ones.
    #[derive(rpc_core::Pipeline)]
    pub(super) struct Odd {
        pub(super) a: u8,
        pub(super) b: u8,
    }

    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct("Odd", 2)?;
            fields.serialize_field("b", &self.b)?;
            fields.serialize_field("a", &self.a)?;
            fields.end()
        }
    }

    impl<'de> Deserialize<'de> for Odd {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            #[derive(Deserialize)]
            #[serde(rename = "Odd")]
            struct Read {
                b: u8,
                a: u8,
            }
            struct InOrder;
            impl<'de> serde::de::Visitor<'de> for InOrder {
                type Value = Odd;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("struct Odd with 2 elements")
                }

                fn visit_seq<A: serde::de::SeqAccess<'de>>(self, fields: A) -> Result<Odd, A::Error> {
                    let Read { b, a } =
                        Read::deserialize(serde::de::value::SeqAccessDeserializer::new(fields))?;
                    Ok(Odd { a, b })
                }
            }
            deserializer.deserialize_struct("Odd", &["b", "a"], InOrder)
        }
    }

    #[rpc_core::data]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Named {
        pub(super) first_name: u8,
        #[serde(rename = "nom", alias = "name", default)]
        pub(super) last_name: u8,
        #[serde(skip)]
        #[expect(dead_code, reason = "skipped")]
        pub(super) skipped: u8,
        pub(super) kind_of: Kind,
    }

    #[rpc_core::data]
    #[serde(rename_all = "SCREAMING-KEBAB-CASE", rename_all_fields = "PascalCase")]
    pub(super) enum Kind {
        FirstOne,
        SecondOne {
            of_two: (u8, Vec<Kind>),
        },
        #[serde(alias = "third", rename(serialize = "3rd", deserialize = "3rd"))]
        Third(Box<Named>),
        #[serde(other)]
        Unknown,
    }

    #[rpc]
    pub(super) trait Oddities {
        async fn odd(&self, odd: Vec<Option<Odd>>) -> u8;
    }

    #[rpc]
    pub(super) trait Names {
        async fn echo(&self, named: Named) -> Kind;
    }

    pub(super) struct Both;

    impl Oddities for Both {
        async fn odd(&self, odd: Vec<Option<Odd>>) -> u8 {
            odd.into_iter().flatten().map(|odd| odd.a - odd.b).sum()
        }
    }

    impl Names for Both {
        async fn echo(&self, named: Named) -> Kind {
            named.kind_of
        }
    }
}

#[test]
#[should_panic(
    expected = "`Oddities.odd`: argument `odd`: `Odd` is declared with `a` as field 0 and read with `b` there"
)]
fn a_type_that_is_read_otherwise_than_declared_is_not_offered() {
    let _ = Services::new().with(disagreeing::OdditiesServer::new(disagreeing::Both));
}

#[test]
fn names_are_declared_as_serde_makes_them() {
    let services = Services::new().with(disagreeing::NamesServer::new(disagreeing::Both));
    let signature = services.descriptors().next().unwrap().methods[0].layout_text();
    assert_eq!(
        signature,
        "(named: Named{firstName: u8, nom: u8, kindOf: enum Kind{FIRST-ONE, SECOND-ONE{OfTwo: (u8, seq<^Kind>)}, \
         3rd(^Named), UNKNOWN}}) -> enum Kind{FIRST-ONE, SECOND-ONE{OfTwo: (u8, seq<^Kind>)}, 3rd(Named{firstName: u8, \
         nom: u8, kindOf: ^Kind}), UNKNOWN}"
    );
}

/// Types that accept none of the values that tracing makes up.
mod strict {
    use rpc_core::rpc;
    use serde::{Deserialize, Serialize};

    /// Its last digit is a sum of the others.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(try_from = "String", into = "String")]
    pub(super) struct Checked(String);

    impl TryFrom<String> for Checked {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, Self::Error> {
            match &*text {
                "DE0007164600" | "US0378331005" => Ok(Self(text)),
                _ => Err("the last digit is wrong"),
            }
        }
    }

    impl From<Checked> for String {
        fn from(checked: Checked) -> Self {
            checked.0
        }
    }

    #[rpc_core::data]
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct Price(pub(super) Checked, pub(super) u64, pub(super) (Checked, Option<Box<Price>>));

    #[rpc]
    pub(super) trait Exchange {
        async fn prices(&self, of: Vec<(Checked, f64)>) -> Vec<Price>;
        async fn first(&self, of: (Checked, (Checked, u8))) -> u8;
    }

    pub(super) struct Frankfurt;

    impl Exchange for Frankfurt {
        async fn prices(&self, of: Vec<(Checked, f64)>) -> Vec<Price> {
            let price = |(checked, price): (Checked, f64)| {
                let inner = Price(checked.clone(), 1, (checked.clone(), None));
                Price(checked.clone(), price as u64, (checked, Some(Box::new(inner))))
            };
            of.into_iter().map(price).collect()
        }

        async fn first(&self, (_, (_, number)): (Checked, (Checked, u8))) -> u8 {
            number
        }
    }

    /// Prices are another kind of number here.
    pub(super) mod newer {
        #[rpc_core::rpc]
        pub(in super::super) trait Exchange {
            async fn prices(&self, of: Vec<(super::Checked, u64)>) -> Vec<super::Price>;
        }
    }
}

/// A type written otherwise than read, beside one for which no whole value can be made up.
mod beside {
    use rpc_core::rpc;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) enum Side {
        #[serde(skip)]
        #[expect(dead_code, reason = "it is never sent")]
        Hidden,
        Buy,
        Sell,
    }

    #[rpc_core::data]
    pub(super) struct Trade {
        pub(super) of: super::strict::Checked,
        pub(super) sides: Vec<Side>,
    }

    #[rpc]
    pub(super) trait Desk {
        async fn take(&self, trades: Vec<Trade>) -> u8;
    }

    pub(super) struct Open;

    impl Desk for Open {
        async fn take(&self, trades: Vec<Trade>) -> u8 {
            let count = |trade: &Trade| trade.sides.iter().filter(|side| matches!(side, Side::Buy)).count();
            trades.iter().map(count).sum::<usize>() as u8
        }
    }
}

#[test]
#[should_panic(expected = "a variant `Buy` that is written as number 1 and read as number 0")]
fn a_type_beside_one_that_cannot_be_made_up_is_compared_by_itself() {
    let _ = Services::new().with(beside::DeskServer::new(beside::Open));
}

#[tokio::test]
async fn what_comes_behind_a_type_that_cannot_be_made_up_is_traced_by_itself() {
    let services = Services::new().with(strict::ExchangeServer::new(strict::Frankfurt));
    let descriptor = services.descriptors().next().unwrap();
    assert_eq!(
        descriptor.methods[0].layout_text(),
        "(of: seq<(opaque<Checked: string>, f64)>) -> seq<(opaque<Checked: string>, u64, (opaque<Checked: string>, \
         option<Price(opaque<Checked: string>, u64, (opaque<Checked: string>, option<^Price>))>))>"
    );
    assert_eq!(descriptor.methods[1].problems(), [""; 0]);
    let session = memory::connect(services);
    let exchange: strict::ExchangeClient = session.service();
    let checked = strict::Checked::try_from("DE0007164600".to_owned()).unwrap();
    let prices = exchange.prices(vec![(checked.clone(), 7.5)]).await.unwrap();
    assert_eq!((prices.len(), prices[0].1), (1, 7));
    assert_eq!(exchange.first((checked.clone(), (checked.clone(), 3))).await.unwrap(), 3);
    let newer: strict::newer::ExchangeClient = session.service();
    let refused = newer.prices(vec![(checked, 7)]).await;
    assert!(
        matches!(refused, Err(CallError::Refused { refusal: Refusal::SchemaMismatch { .. }, .. })),
        "{refused:?}"
    );
}
