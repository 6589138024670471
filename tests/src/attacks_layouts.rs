//! Layouts of types that are hard to look at: two versions of one are told apart, and what is sound is offered.

use rpc_core::{Services, memory, schema::Layout};
use serde::{Deserialize, Deserializer, Serialize};

/// A number with a check digit: no made-up value is one.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Checked(String);

impl Default for Checked {
    fn default() -> Self {
        Self("US0378331005".to_owned())
    }
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text != "US0378331005" {
            return Err(serde::de::Error::custom("the check digit is wrong"));
        }
        Ok(Self(text))
    }
}

/// The layout of an exchanged type that has no problems.
fn sound<T: Serialize + serde::de::DeserializeOwned>() -> Layout {
    let layout = Layout::of_exchanged::<T>("T");
    assert_eq!(layout.problems(), [""; 0], "{layout}");
    layout
}

mod wide {
    use super::*;

    #[rpc_core::data]
    #[derive(Debug, PartialEq, Default)]
    #[serde(default)]
    pub(super) struct Bond {
        #[serde(alias = "width")]
        pub(super) w: u32,
        pub(super) h: u32,
        #[serde(alias = "number", alias = "isin")]
        pub(super) id: Checked,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct First {
        id: Checked,
        #[serde(alias = "width")]
        w: u32,
        h: u32,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Paper {
        Bond {
            #[serde(alias = "width")]
            w: u32,
            h: u32,
            id: Checked,
        },
    }

    #[rpc_core::rpc]
    pub(super) trait Bonds {
        async fn echo(&self, bond: Bond) -> Bond;
        async fn twice(&self, number: u32) -> u32;
    }

    pub(super) struct Vault;

    impl Bonds for Vault {
        async fn echo(&self, bond: Bond) -> Bond {
            bond
        }

        async fn twice(&self, number: u32) -> u32 {
            2 * number
        }
    }
}

/// The same with two fields swapped.
mod high {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Bond {
        h: u32,
        #[serde(alias = "width")]
        w: u32,
        #[serde(alias = "number", alias = "isin")]
        id: Checked,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct First {
        id: Checked,
        h: u32,
        #[serde(alias = "width")]
        w: u32,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Paper {
        Bond {
            h: u32,
            #[serde(alias = "width")]
            w: u32,
            id: Checked,
        },
    }
}

#[test]
fn swapped_fields_with_aliases_differ_beside_what_rejects_all_values() {
    assert_ne!(sound::<wide::Bond>(), sound::<high::Bond>());
    assert_ne!(sound::<wide::First>(), sound::<high::First>());
    assert_ne!(sound::<wide::Paper>(), sound::<high::Paper>());
    assert_eq!(
        sound::<wide::Bond>().to_string(),
        "{w: u32, h: u32, id|isin|number: opaque<Checked: string>}"
    );
    assert_eq!(sound::<wide::First>().to_string(), "{id: opaque<Checked: string>, w: u32, h: u32}");
    assert_eq!(sound::<high::Paper>().to_string(), "enum{Bond{h: u32, w: u32, id: opaque<Checked: string>}}");
}

#[tokio::test]
async fn fields_with_aliases_and_defaults_are_as_many_as_are_declared() {
    let bonds: wide::BondsClient =
        memory::connect(Services::new().with(wide::BondsServer::new(wide::Vault))).service();
    let bond = wide::Bond { w: 1, h: 2, ..Default::default() };
    assert_eq!(bonds.echo(bond).await.unwrap(), wide::Bond { w: 1, h: 2, id: Checked::default() });
    assert_eq!(
        bonds.twice(bonds.echo(wide::Bond { w: 1, h: 2, ..Default::default() }).h()).await.unwrap(),
        4
    );
}

#[expect(non_upper_case_globals, reason = "it is legal")]
mod sized {
    use super::*;

    pub(super) const WIDTH: usize = 2;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Row<const N: usize>(pub(super) Vec<u8>);

    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) struct Grid<const N: usize, const other: usize> {
        pub(super) own: Row<N>,
        pub(super) others: Vec<Row<other>>,
        pub(super) wide: Row<WIDTH>,
    }

    #[rpc_core::rpc]
    pub(super) trait Rows {
        async fn echo(&self, row: Row<WIDTH>, grid: Grid<WIDTH, 3>) -> (Row<WIDTH>, Grid<WIDTH, 3>);
    }

    pub(super) struct Sheet;

    impl Rows for Sheet {
        async fn echo(&self, row: Row<WIDTH>, grid: Grid<WIDTH, 3>) -> (Row<WIDTH>, Grid<WIDTH, 3>) {
            (row, grid)
        }
    }
}

#[tokio::test]
async fn types_may_have_constants_for_parameters() {
    use sized::{Grid, Row};
    let rows: sized::RowsClient =
        memory::connect(Services::new().with(sized::RowsServer::new(sized::Sheet))).service();
    let grid = || Grid { own: Row(vec![1]), others: vec![Row(vec![])], wide: Row(vec![2, 3]) };
    assert_eq!(rows.echo(Row(vec![4]), grid()).await.unwrap(), (Row(vec![4]), grid()));
}

mod by_hand {
    use serde::Serializer;

    use super::*;

    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) struct Point {
        pub(super) x: u8,
        pub(super) y: u8,
    }

    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) struct Line {
        pub(super) from: Point,
        #[serde(with = "as_text")]
        pub(super) to: Point,
        #[serde(with = "as_list")]
        pub(super) over: Point,
    }

    /// Serde carries it all the same.
    #[rpc_core::data]
    #[derive(Debug, PartialEq)]
    pub(super) struct Skipped(#[serde(skip)] pub(super) u8);

    mod as_text {
        use super::*;

        pub(super) fn serialize<S: Serializer>(point: &Point, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{},{}", point.x, point.y))
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Point, D::Error> {
            let text = String::deserialize(deserializer)?;
            let (x, y) = text.split_once(',').unwrap_or_default();
            Ok(Point { x: x.parse().unwrap_or_default(), y: y.parse().unwrap_or_default() })
        }
    }

    mod as_list {
        use super::*;

        struct List;

        impl<'de> serde::de::Visitor<'de> for List {
            type Value = Point;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("two numbers")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Point, A::Error> {
                let mut next =
                    || list.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(2, &self));
                Ok(Point { x: next()?, y: next()? })
            }
        }

        pub(super) fn serialize<S: Serializer>(point: &Point, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([point.x, point.y])
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Point, D::Error> {
            deserializer.deserialize_seq(List)
        }
    }

    #[rpc_core::rpc]
    pub(super) trait Lines {
        async fn echo(&self, line: Line, skipped: Skipped) -> (Line, Skipped);
    }

    pub(super) struct Paper;

    impl Lines for Paper {
        async fn echo(&self, line: Line, skipped: Skipped) -> (Line, Skipped) {
            (line, skipped)
        }
    }
}

#[tokio::test]
async fn declared_types_may_have_other_readers_in_some_fields() {
    use by_hand::{Line, Point, Skipped};
    let lines: by_hand::LinesClient =
        memory::connect(Services::new().with(by_hand::LinesServer::new(by_hand::Paper))).service();
    let line = || Line { from: Point { x: 1, y: 2 }, to: Point { x: 3, y: 4 }, over: Point { x: 5, y: 6 } };
    assert_eq!(lines.echo(line(), Skipped(7)).await.unwrap(), (line(), Skipped(7)));
}

#[test]
fn identifiers_that_are_not_zero_are_made_up() {
    assert_eq!(sound::<(uuid::NonNilUuid, u8)>().to_string(), "(bytes, u8)");
}

/// So many variants of so many fields that each take a dozen made-up values.
macro_rules! wide {
    ($($ten:ident)*) => {
        wide!(@all [$($ten)*] $($ten)*);
    };
    (@all $ones:tt $($ten:ident)*) => {
        $(wide!(@one $ten $ones);)*

        #[derive(Serialize, Deserialize)]
        pub(super) enum Hundreds { $($ten([$ten; 2])),* }
    };
    (@one $ten:ident [$($one:ident)*]) => {
        #[derive(Serialize, Deserialize)]
        pub(super) enum $ten {
            $($one {
                link: url::Url,
                at: chrono::DateTime<chrono::Utc>,
                then: Option<chrono::DateTime<chrono::Utc>>,
                day: chrono::NaiveDate,
            },)*
        }
    };
}

#[allow(clippy::enum_variant_names, reason = "variants are called as the enums are")]
mod hundreds {
    use super::*;

    wide!(A B C D E F G H I J K L M N O);
}

#[test]
fn types_of_many_parts_that_reject_most_values_are_looked_at_to_their_end() {
    assert!(!sound::<hundreds::Hundreds>().to_string().contains("opaque"));
}

/// Written by hand: numbers begin at 1, and there are no names.
macro_rules! numbered_from_one {
    ($name:ident $inner:ty) => {
        struct $name($inner);

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_variant("Code", 1, "", &self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct One;

                impl<'de> serde::de::Visitor<'de> for One {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("variant 1")
                    }

                    fn visit_enum<A: serde::de::EnumAccess<'de>>(
                        self,
                        variant: A,
                    ) -> Result<$name, A::Error> {
                        let (number, content) = variant.variant::<u32>()?;
                        match number {
                            1 => serde::de::VariantAccess::newtype_variant(content).map($name),
                            _ => Err(serde::de::Error::custom("no such variant")),
                        }
                    }
                }

                deserializer.deserialize_enum("Code", &[], One)
            }
        }
    };
}

numbered_from_one!(Signed i32);
numbered_from_one!(Unsigned u32);

#[test]
fn enums_without_names_may_begin_at_another_number() {
    assert_ne!(sound::<Signed>(), sound::<Unsigned>());
    assert_eq!(sound::<Signed>().to_string(), "enum{(!), (i32)}");
}
