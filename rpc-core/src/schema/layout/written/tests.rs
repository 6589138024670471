use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::schema::layout::Layout;

#[track_caller]
fn check_alike<T: Serialize + DeserializeOwned>() {
    let layout = Layout::of_exchanged::<T>("T");
    assert_eq!(layout.problems(), [""; 0]);
    assert_eq!(layout, Layout::of::<T>(), "comparing changes nothing");
}

#[track_caller]
fn check_told<T: Serialize + DeserializeOwned>(expected: &[&str]) {
    assert_eq!(Layout::of_exchanged::<T>("T").problems(), expected);
}

#[test]
fn types_that_write_what_they_read_are_fine() {
    #[derive(Serialize, Deserialize)]
    enum Tree {
        Leaf(u8),
        Node { left: Box<Tree>, right: Box<Tree>, label: Option<String> },
        Many(Vec<Tree>, BTreeMap<String, (u8, char)>),
    }
    #[derive(Serialize, Deserialize)]
    struct Skips {
        kept: u8,
        #[serde(skip)]
        #[expect(dead_code, reason = "skipped")]
        left: u32,
        #[serde(rename = "other")]
        named: [u16; 20],
    }
    check_alike::<Tree>();
    check_alike::<Skips>();
    check_alike::<HashMap<String, Result<BTreeSet<u8>, ()>>>();
    check_alike::<(Duration, SystemTime, IpAddr, bytes::Bytes, std::path::PathBuf, Box<str>)>();
    check_alike::<(std::num::NonZeroU8, Option<std::ops::Range<i64>>, std::cell::Cell<bool>)>();
}

#[test]
fn a_skipped_variant_before_others_is_told() {
    #[derive(Serialize, Deserialize)]
    enum Color {
        #[serde(skip)]
        #[expect(dead_code, reason = "skipped")]
        Hidden,
        Red,
        Green,
    }
    let told = "the value has a variant `Red` that is written as number 1 and read as number 0: serde counts a variant with \
                `skip` before it only when it writes; move that to the end";
    let problems = Layout::of_exchanged::<Color>("Color").problems();
    assert_eq!(problems[0], told);
    let problems = Layout::of_exchanged::<Vec<(u8, Option<Color>)>>("T").problems();
    let of_red =
        |problem: &String| problem.starts_with("[..].1? has a variant `Red` that is written as number 1");
    assert!(problems.iter().any(of_red), "{problems:?}");

    #[derive(Serialize, Deserialize)]
    enum AtTheEnd {
        Red,
        #[serde(skip)]
        #[expect(dead_code, reason = "skipped")]
        Hidden,
    }
    check_alike::<AtTheEnd>();
}

#[test]
fn a_field_left_out_of_some_values_is_told_by_its_name() {
    fn is_nothing(text: &str) -> bool {
        text.is_empty()
    }
    fn is_zero(number: &u8) -> bool {
        *number == 0
    }
    #[derive(Serialize, Deserialize)]
    struct Page {
        #[serde(skip_serializing_if = "is_zero")]
        number: u8,
        after: (u8, u8),
    }
    #[derive(Serialize, Deserialize)]
    struct Post {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        title: Option<u8>,
        pages: Vec<u8>,
    }
    #[derive(Serialize, Deserialize)]
    struct Text {
        #[serde(skip_serializing_if = "is_nothing", default)]
        text: String,
    }
    let left_out = |field: &str, place: &str| {
        format!(
            "the field `{field}` of {place} is left out of some values when they are written (`skip_serializing_if`), and \
             read from all: use an `Option` without it"
        )
    };
    check_told::<Page>(&[&left_out("number", "the value")]);
    check_told::<Post>(&[&left_out("title", "the value")]);
    check_told::<(u8, Vec<Page>)>(&[&left_out("number", ".1[..]")]);
    check_told::<Option<Text>>(&[&left_out("text", "?")]);
}

#[test]
fn parts_are_written_by_the_way_that_has_values() {
    #[derive(Serialize, Deserialize)]
    struct Endless {
        this: Box<Endless>,
    }
    #[derive(Serialize, Deserialize)]
    struct Post {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        title: Option<u8>,
    }
    /// The first way to a post has no values.
    #[derive(Serialize, Deserialize)]
    enum Page {
        Never { endless: Endless, post: Post },
        Empty,
        Posts(Vec<Vec<Post>>),
    }
    let problems = Layout::of_exchanged::<Page>("Page").problems();
    assert!(problems[0].starts_with("the field `title` of ::Posts.0[..][..] is left out"), "{problems:?}");
}

#[test]
fn fields_and_variants_of_one_side_are_told() {
    #[derive(Serialize, Deserialize)]
    struct NotRead {
        a: u8,
        #[serde(skip_deserializing)]
        b: u8,
    }
    #[derive(Serialize, Deserialize)]
    struct NotWritten {
        #[serde(skip_serializing)]
        #[expect(dead_code, reason = "not written")]
        a: u8,
        b: u8,
    }
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        #[serde(rename(serialize = "alpha"))]
        a: u8,
    }
    #[derive(Serialize, Deserialize)]
    enum RenamedVariant {
        #[serde(rename(deserialize = "ALPHA"))]
        Alpha,
    }
    #[derive(Serialize, Deserialize)]
    enum OneSided {
        A,
        #[serde(skip_deserializing)]
        #[expect(dead_code, reason = "not read")]
        B,
        C,
    }
    check_told::<NotRead>(&[
        "the value has 2 fields when it is written, `b` among them and 1 when it is read",
    ]);
    check_told::<NotWritten>(&[
        "the value has 1 fields when it is written and 2 when it is read, `a` among them",
    ]);
    check_told::<Renamed>(&["field 0 of the value is written as `alpha` and read as `a`"]);
    check_told::<RenamedVariant>(&["the value has a variant that is written as `Alpha` and read as `ALPHA`"]);
    let problems = Layout::of_exchanged::<OneSided>("T").problems();
    assert!(problems[0].contains("`C` that is written as number 2 and read as number 1"), "{problems:?}");
}

#[test]
fn encodings_of_one_side_are_told() {
    fn as_text<S: serde::Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&number.to_string())
    }
    #[derive(Serialize, Deserialize)]
    struct Number {
        #[serde(serialize_with = "as_text")]
        number: u32,
    }
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(into = "(u8, u8)")]
    struct Into {
        low: u8,
        high: u8,
        #[expect(dead_code, reason = "not written")]
        sum: u16,
    }
    impl From<Into> for (u8, u8) {
        fn from(into: Into) -> Self {
            (into.low, into.high)
        }
    }
    /// A struct that is written as a map.
    #[derive(Deserialize)]
    struct Mapped {
        a: u8,
    }
    impl Serialize for Mapped {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", self.a)])
        }
    }
    /// Says that it has one more element than it has.
    struct Short(u8);
    impl Serialize for Short {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(Some(2))?;
            seq.serialize_element(&self.0)?;
            seq.end()
        }
    }
    impl<'de> Deserialize<'de> for Short {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Vec::<u8>::deserialize(deserializer)
                .map(|bytes| Short(bytes.first().copied().unwrap_or_default()))
        }
    }
    check_told::<Number>(&[".number is written as string and read as u32"]);
    check_told::<Into>(&[
        "the value has 2 fields when it is written and 3 when it is read, `low` among them",
    ]);
    check_told::<Mapped>(&["the value is written as a map and read as a tuple or struct of 1"]);
    check_told::<(u8, Short)>(&[".1 says that it has 2 elements and writes 1"]);
}

#[test]
fn items_and_errors_of_streams_are_compared_too() {
    #[derive(Serialize, Deserialize)]
    struct Item {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<u8>,
        after: u8,
    }
    type Streams = Vec<crate::Streaming<u8, (u8, Item)>>;
    let problems = Layout::of_exchanged::<crate::Streaming<Item>>("T").problems();
    assert!(problems[0].starts_with("the field `note` of the value is left out"), "{problems:?}");
    let problems = Layout::of_exchanged::<Streams>("T").problems();
    assert!(problems[0].starts_with("the field `note` of .1 is left out"), "{problems:?}");
    check_alike::<crate::Streaming<(u8, String), Result<u8, String>>>();
}

#[test]
fn a_type_that_does_not_write_its_values_is_not_judged() {
    #[derive(Deserialize)]
    struct Silent(#[expect(dead_code, reason = "traced only")] u8);
    impl Serialize for Silent {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not this one"))
        }
    }
    #[derive(Deserialize)]
    struct Panics(#[expect(dead_code, reason = "traced only")] u8);
    impl Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("on made-up values")
        }
    }
    check_alike::<Vec<Silent>>();
    check_alike::<Vec<Panics>>();
}
