use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    num::{NonZeroI8, NonZeroU32},
    ops::Range,
    time::{Duration, Instant, SystemTime},
};

use Step::{Field as At, Index, Some as Inside, Variant as Is};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use super::*;
use crate::codec;

#[track_caller]
fn check<T: DeserializeOwned>(expected: &str) {
    let layout = Layout::of::<T>();
    assert_eq!(layout.to_string(), expected);
    assert_eq!(layout.problems(), [""; 0]);
    assert_eq!(layout, Layout::of::<T>(), "tracing is repeatable");
}

#[track_caller]
fn check_same<A: DeserializeOwned, B: DeserializeOwned>() {
    assert_eq!(Layout::of::<A>(), Layout::of::<B>());
}

#[track_caller]
fn check_differ<A: DeserializeOwned, B: DeserializeOwned>() {
    assert_ne!(Layout::of::<A>(), Layout::of::<B>());
}

#[track_caller]
fn check_part<T: DeserializeOwned, P: DeserializeOwned>(steps: &[Step]) {
    assert_eq!(Layout::of::<T>().at(steps), Some(Layout::of::<P>()), "at {steps:?}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UserId(u64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle { r: f64 },
    Unit,
    Line(u8, i32),
    Named(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: UserId,
    name: String,
    boss: Option<u64>,
    shapes: Vec<Shape>,
    pair: Pair,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    value: u64,
    children: Vec<Tree>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum List {
    Cons(u8, Box<List>),
    Nil,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Ping {
    pong: Option<Box<Pong>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pong {
    ping: Option<Box<Ping>>,
    after: u16,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Never {}

/// Accepts only strings that no probe is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Url;

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "gopher://" => Ok(Url),
            _ => Err(D::Error::custom("not a gopher")),
        }
    }
}

/// Accepts only strings that look like a date.
#[derive(Debug, PartialEq)]
struct Date;

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() == 20 && text.ends_with('Z') { Ok(Date) } else { Err(D::Error::custom("not a date")) }
    }
}

#[test]
fn leaves_are_written_by_their_kind() {
    check::<bool>("bool");
    check::<(i8, i16, i32, i64, i128, isize)>("(i8, i16, i32, i64, i128, i64)");
    check::<(u8, u16, u32, u64, u128, usize)>("(u8, u16, u32, u64, u128, u64)");
    check::<(f32, f64, char)>("(f32, f64, char)");
    check::<String>("string");
    check::<Box<str>>("string");
    check::<bytes::Bytes>("bytes");
    check::<()>("()");
    check::<((),)>("(())");
    check::<Marker>("()");
    check::<PhantomData<u64>>("()");
    check::<std::path::PathBuf>("string");
}

#[test]
fn compounds_are_written_with_their_parts() {
    check::<Option<u64>>("option<u64>");
    check::<Vec<u8>>("seq<u8>");
    check::<BTreeSet<String>>("seq<string>");
    check::<HashMap<String, Vec<u64>>>("map<string, seq<u64>>");
    check::<[u8; 32]>("[u8; 32]");
    check::<[u8; 3]>("(u8, u8, u8)");
    check::<[u8; 0]>("()");
    check::<Pair>("(u8, string)");
    check::<UserId>("u64");
    check::<Option<Option<Box<u8>>>>("option<option<u8>>");
    check::<Shape>("enum{Circle{r: f64}, Unit, Line(u8, i32), Named(string)}");
    check::<User>(
        "{id: u64, name: string, boss: option<u64>, \
         shapes: seq<enum{Circle{r: f64}, Unit, Line(u8, i32), Named(string)}>, pair: (u8, string)}",
    );
}

#[test]
fn types_of_the_standard_library_have_layouts() {
    check::<Duration>("{secs: u64, nanos: u32}");
    check::<SystemTime>("{secs_since_epoch: u64, nanos_since_epoch: u32}");
    check::<Range<u8>>("{start: u8, end: u8}");
    check::<Result<u8, String>>("enum{Ok(u8), Err(string)}");
    check::<IpAddr>(
        "enum{V4(u8, u8, u8, u8), V6((u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8))}"
            .replace("V4(u8, u8, u8, u8)", "V4((u8, u8, u8, u8))")
            .as_str(),
    );
    check::<SocketAddr>(&Layout::of::<SocketAddr>().to_string());
    check::<(NonZeroU32, NonZeroI8)>("(u32, i8)");
}

#[test]
fn empty_enums_do_not_stop_their_neighbours() {
    check::<Never>("enum{}");
    check::<Result<u8, Never>>("enum{Ok(u8), Err(enum{})}");
    check::<Vec<Never>>("seq<enum{}>");
}

#[test]
fn recursion_leads_back_by_name() {
    check::<Tree>("Tree{value: u64, children: seq<^Tree>}");
    check::<Vec<Tree>>("seq<Tree{value: u64, children: seq<^Tree>}>");
    check::<List>("enum List{Cons(u8, ^List), Nil}");
    check::<Ping>("Ping{pong: option<Pong{ping: option<^Ping>, after: u16}>}");
}

#[test]
fn recursion_without_a_name_and_without_an_end_terminates() {
    #[derive(Deserialize)]
    #[serde(transparent)]
    #[expect(dead_code, reason = "traced only")]
    struct Bare(Option<Box<Bare>>);
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Endless {
        this: Box<Endless>,
        after: u8,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Wrapped(Box<Wrapped>);
    check::<Bare>("option<^>");
    check::<Endless>("Endless{this: ^Endless, after: u8}");
    check::<Wrapped>("Wrapped(^Wrapped)");
}

#[test]
fn same_names_are_not_the_same_type() {
    mod other {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "traced only")]
        pub(super) struct User {
            pub(super) inner: super::Pair,
        }
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct User {
        inner: other::User,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Wrapper<T>(T, u8);
    check::<User>("{inner: {inner: (u8, string)}}");
    check::<Wrapper<Wrapper<u16>>>("((u16, u8), u8)");
}

#[test]
fn validated_types_are_probed() {
    check::<Date>("string");
    check::<Vec<(Date, u8)>>("seq<(string, u8)>");
}

#[test]
fn a_type_that_accepts_nothing_is_opaque_by_name() {
    check::<Url>("opaque<Url: string>");
    check::<Box<Url>>("opaque<Url: string>");
    check::<Option<Url>>("option<opaque<Url: string>>");
    check::<Vec<Url>>("seq<opaque<Url: string>>");
    check::<HashMap<Url, Pair>>("map<opaque<Url: string>, (u8, string)>");
    check::<HashMap<Url, (Date, Url)>>("map<opaque<Url: string>, (string, opaque<Url: string>)>");
    assert_eq!(Layout::of_named::<Url>("url :: Link").to_string(), "opaque<Link: string>");
    assert_eq!(Layout::of_named::<u8>("Byte").to_string(), "u8");
    check_part::<Option<Url>, Url>(&[Inside]);
    check_part::<Vec<Url>, Url>(&[Index(0)]);
    check_differ::<Url, String>();
}

#[test]
fn an_opaque_field_does_not_hide_the_fields_after_it() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Page {
        id: u8,
        link: Url,
        title: Option<Date>,
        other: Url,
        shape: Shape,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Target {
        Here,
        There { link: Url, port: u16 },
        Pages(Vec<Page>),
    }
    check::<Page>(
        "{id: u8, link: opaque<Url: string>, title: option<string>, other: opaque<Url: string>, \
         shape: enum{Circle{r: f64}, Unit, Line(u8, i32), Named(string)}}",
    );
    assert!(
        Layout::of::<Target>()
            .to_string()
            .starts_with("enum{Here, There{link: opaque<Url: string>, port: u16}, Pages(seq<{id: u8,")
    );
    check_part::<Page, Url>(&[At(1)]);
    check_part::<Page, Shape>(&[At(4)]);
}

#[test]
fn what_follows_an_opaque_field_of_a_tuple_is_not_reached_and_equals_nothing() {
    let layout = Layout::of::<Vec<(u8, Url, u64)>>();
    assert_eq!(layout.to_string(), "seq<(u8, opaque<Url: string>, unreached<(u8,Url,u64).2>)>");
    assert_eq!(
        layout.problems(),
        [
            "[..].2 could not be looked at: it comes behind `Url`, for which no value could be made up: give the fields \
          names, or put it last"
        ]
    );
    assert_eq!(layout, layout.clone());
    check_differ::<(Url, u8), (Url, u16)>();
    check_differ::<(Url, u8), (Url, u8)>();
}

#[test]
fn a_checked_struct_keeps_its_shape() {
    #[derive(Deserialize)]
    #[serde(try_from = "(u8, u8)")]
    struct Ordered;
    impl TryFrom<(u8, u8)> for Ordered {
        type Error = &'static str;
        fn try_from((low, high): (u8, u8)) -> Result<Self, Self::Error> {
            if low < high { Ok(Self) } else { Err("not in order") }
        }
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Both {
        range: Ordered,
        name: String,
    }
    check::<Ordered>("(u8, u8)");
    check::<Both>("{range: (u8, u8), name: string}");
}

#[test]
fn what_bincode_cannot_carry_is_reported_with_its_place() {
    #[derive(Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "traced only")]
    enum Untagged {
        One(u8),
    }
    #[derive(Deserialize)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "traced only")]
    enum Tagged {
        One { id: u8 },
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Message {
        tagged: Option<Tagged>,
        list: Vec<(u8, Untagged)>,
        flat: Flat,
        fine: u8,
    }
    let layout = Layout::of::<Message>();
    assert_eq!(
        layout.to_string(),
        "{tagged: option<unsupported>, list: seq<(u8, unsupported)>, \
         flat: map<unsupported, unreached<Flat.value>>, fine: u8}"
    );
    let problems = layout.problems();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].starts_with(".tagged? reads a value of any type"), "{}", problems[0]);
    assert!(problems[1].starts_with(".list[..].1 reads a value of any type"), "{}", problems[1]);
    assert!(problems[2].starts_with(".flat.keys reads the name of a field"), "{}", problems[2]);
    assert!(Layout::of::<Untagged>().problems()[0].starts_with("the value reads"));
    assert_eq!(layout.at(&[At(3)]).map(|fine| fine.problems()), Some(vec![]));
}

#[test]
fn fingerprints_follow_positions_and_names_of_parts() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Before {
        id: u64,
        name: String,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Renamed {
        id: UserId,
        label: Box<str>,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Wrapped {
        id: UserId,
        name: Box<str>,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Swapped {
        name: String,
        id: u64,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Reordered {
        Unit,
        Circle { r: f64 },
        Line(u8, i32),
        Named(String),
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Longer {
        Circle { r: f64 },
        Unit,
        Line(u8, i32),
        Named(String),
        More,
    }
    check_same::<Before, Wrapped>();
    check_differ::<Before, Renamed>();
    check_differ::<Before, (u64, String)>();
    check_same::<UserId, u64>();
    check_same::<Option<UserId>, Option<u64>>();
    check_same::<[u8; 2], (u8, u8)>();
    check_same::<(), Marker>();
    check_same::<Vec<u8>, BTreeSet<u8>>();
    check_differ::<Before, Swapped>();
    check_differ::<Shape, Reordered>();
    check_differ::<Shape, Longer>();
    check_differ::<u32, u64>();
    check_differ::<u64, (u64,)>();
    check_differ::<(u8, u8), (u8, u8, u8)>();
    check_differ::<((u8, u8), u8), (u8, (u8, u8))>();
    check_differ::<[u8; 31], [u8; 32]>();
    check_differ::<Option<u8>, Vec<u8>>();
    check_differ::<HashMap<u8, u16>, HashMap<u16, u8>>();
    check_differ::<Vec<u8>, bytes::Bytes>();
    check_differ::<Tree, List>();
}

#[test]
fn fingerprints_never_change() {
    let layouts = [
        Layout::of::<u64>(),
        Layout::of::<User>(),
        Layout::of::<Tree>(),
        Layout::of::<List>(),
        Layout::of::<([u16; 32], HashMap<u8, ()>, Url)>(),
    ];
    let fingerprints = layouts.map(|layout| format!("{:016x}", layout.fingerprint()));
    assert_eq!(
        fingerprints,
        ["0c5535fb8688c96e", "18279ebc497432a9", "9360c5b6ec2f3fe9", "c34c62856dcc9e7f", "25e91a6081d4b5fc"]
    );
}

#[test]
fn parts_have_the_layout_of_their_type() {
    check_part::<User, User>(&[]);
    check_part::<User, UserId>(&[At(0)]);
    check_part::<User, u64>(&[At(0), At(0)]);
    check_part::<User, u64>(&[At(2), Inside]);
    check_part::<User, Vec<Shape>>(&[At(3)]);
    check_part::<User, f64>(&[At(3), Index(7), Is(0), At(0)]);
    check_part::<User, i32>(&[At(3), Index(7), Is(2), At(1)]);
    check_part::<User, String>(&[At(3), Index(7), Is(3), At(0)]);
    check_part::<[u16; 32], u16>(&[At(31)]);
    check_part::<Tree, Vec<Tree>>(&[At(1)]);
    check_part::<Tree, Tree>(&[At(1), Index(0)]);
    check_part::<Ping, Option<Pong>>(&[At(0)]);
    check_part::<Ping, Pong>(&[At(0), Inside]);
    check_part::<Ping, Ping>(&[At(0), Inside, At(0), Inside]);
    check_part::<List, List>(&[Is(0), At(1)]);
    let user = Layout::of::<User>();
    for path in [
        &[At(5)][..],
        &[Index(0)],
        &[At(0), At(1)],
        &[At(2), At(0)],
        &[At(3), Index(0), Is(0)],
        &[At(3), Index(0), Is(1), At(0)],
        &[At(3), Index(0), Is(4), At(0)],
        &[At(3), Index(0), Is(0), Inside],
        &[At(1), Index(0)],
    ] {
        assert_eq!(user.at(path), None, "{path:?}");
    }
    assert_eq!(Layout::of::<[u16; 32]>().at(&[At(32)]), None);
    assert_eq!(Layout::of::<BTreeMap<u8, u8>>().at(&[Index(0)]), None);
}

#[test]
fn a_selected_part_decodes_by_its_layout() {
    let budget = codec::DecodeBudget::from(&crate::Limits::default());
    let value = (
        UserId(5),
        Some(Shape::Line(1, -2)),
        Tree { value: 1, children: vec![Tree { value: 2, children: vec![] }] },
    );
    let layout = Layout::of::<(UserId, Option<Shape>, Tree)>();
    let mut bytes = Vec::new();
    codec::encode(&value, &mut bytes).expect("it encodes");
    let part =
        |path: &[Step]| &bytes[codec::walk::locate(&layout, &bytes, path, None).expect("it is there").range];
    let path = [At(2), At(1), Index(0)];
    assert_eq!(layout.at(&path), Some(Layout::of::<Tree>()));
    assert_eq!(codec::decode(part(&path), budget), Ok(Tree { value: 2, children: vec![] }));
    let path = [At(1), Inside, Is(2), At(1)];
    assert_eq!(layout.at(&path), Some(Layout::of::<i32>()));
    assert_eq!(codec::decode(part(&path), budget), Ok(-2i32));
}

#[test]
fn swapped_names_of_one_shape_differ() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its layout is used")]
    struct Swapped {
        y: u32,
        x: u32,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its layout is used")]
    struct Point {
        x: u32,
        y: u32,
    }
    check_differ::<Point, Swapped>();
}

#[test]
fn nodes_can_be_read() {
    let Node::Product { name, fields } = Layout::of::<User>().node() else { panic!("a struct") };
    assert_eq!((name, fields.len(), fields[1].name), ("User", 5, "name"));
    assert_eq!(fields[1].layout.node(), Node::Leaf(Leaf::Text));
    let Node::Newtype { name, inner } = fields[0].layout.node() else { panic!("a newtype") };
    assert_eq!((name, inner), ("UserId", Layout::of::<u64>()));
}

#[test]
fn adjacently_tagged_enums_are_a_problem() {
    #[derive(Deserialize)]
    #[serde(tag = "kind", content = "content")]
    #[expect(dead_code, reason = "traced only")]
    enum Adjacent {
        One(u8),
        Two(String),
    }
    let problems = Layout::of::<(Vec<Adjacent>, u8)>().problems();
    assert!(problems[0].starts_with(".0[..].kind reads the name of a field or a tag"), "{problems:?}");
}

#[test]
fn what_depends_on_a_value_is_refused() {
    struct Versioned;
    impl<'de> Deserialize<'de> for Versioned {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Reads;
            impl<'de> Visitor<'de> for Reads {
                type Value = Versioned;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a version and its content")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Versioned, A::Error> {
                    if fields.next_element::<u8>()? == Some(1) {
                        fields.next_element::<u16>()?;
                        return Err(A::Error::custom("too old"));
                    }
                    fields.next_element::<String>()?;
                    Ok(Versioned)
                }
            }
            deserializer.deserialize_tuple(2, Reads)
        }
    }
    let layout = Layout::of::<(Versioned, u8)>();
    assert_eq!(layout.to_string(), "((u8, unreached<Versioned.1>), u8)");
    assert!(layout.problems()[0].starts_with(".0.1 could not be looked at: what is read there depends"));
    check_differ::<Versioned, Versioned>();
}

#[test]
fn hostile_implementations_are_survived() {
    struct Panics;
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u8::deserialize(deserializer)?;
            panic!("whatever it is given")
        }
    }
    struct Greedy;
    impl<'de> Deserialize<'de> for Greedy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Asks;
            impl<'de> Visitor<'de> for Asks {
                type Value = Greedy;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("more")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Greedy, A::Error> {
                    loop {
                        elements.next_element::<u8>()?;
                    }
                }
            }
            deserializer.deserialize_seq(Asks)
        }
    }
    struct Refuses;
    impl<'de> Deserialize<'de> for Refuses {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(D::Error::custom("no"))
        }
    }
    /// Wants as many elements as there are, which is more than fit.
    struct Huge;
    impl<'de> Deserialize<'de> for Huge {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Takes;
            impl<'de> Visitor<'de> for Takes {
                type Value = Huge;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("all")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Huge, A::Error> {
                    while elements.next_element::<u16>()?.is_some() {}
                    Ok(Huge)
                }
            }
            deserializer.deserialize_tuple(usize::MAX, Takes)
        }
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct All {
        panics: Panics,
        greedy: Greedy,
        refuses: Refuses,
        after: u8,
    }
    let start = Instant::now();
    assert_eq!(Layout::of::<Panics>().to_string(), "opaque<Panics: u8>");
    assert_eq!(Layout::of::<Refuses>().to_string(), "opaque<Refuses>");
    assert_eq!(Layout::of::<Greedy>().to_string(), "seq<u8>");
    assert!(Layout::of::<Huge>().to_string().starts_with("[u16; "));
    assert_eq!(Layout::of::<All>(), Layout::of::<All>());
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
}

#[test]
fn many_types_that_refer_to_each_other_are_traced_quickly() {
    macro_rules! web {
        ($($name:ident)*) => {
            web!(@each [$($name)*] $($name)*);
        };
        (@each $all:tt $($name:ident)*) => { $(web!(@one $name $all);)* };
        (@one $name:ident [$($other:ident)*]) => {
            #[derive(Deserialize)]
            #[allow(dead_code, clippy::enum_variant_names, reason = "traced only")]
            enum $name { Leaf(u8), $($other(Box<$other>)),* }
        };
    }
    web!(A B C D E F G H I J K L);
    let start = Instant::now();
    let layout = Layout::of::<A>();
    assert!(layout.to_string().ends_with('}') || layout.to_string().contains('…'));
    assert_eq!(layout, Layout::of::<L>(), "all are alike");
    assert_eq!(layout.at(&[Is(3), At(0)]), Some(Layout::of::<C>()));
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}

#[test]
fn recursive_types_are_traced_to_their_last_variant() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Branches {
        Leaf,
        Node(Box<Branches>, i32, Box<Branches>),
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Unsigned {
        Leaf,
        Node(Box<Unsigned>, u32, Box<Unsigned>),
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Doc {
        List(Vec<Doc>),
        Link { to: Box<Doc>, count: u8 },
        Num(u32),
    }
    /// Its end is in another type, which is reached through it alone.
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Chain(Box<Rest>, u16);
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Rest {
        More(Chain, String),
        Both(Chain, Chain, bool),
        End(u8, Option<Chain>, i64),
    }
    check::<Branches>("enum Branches{Leaf, Node(^Branches, i32, ^Branches)}");
    check_differ::<Branches, Unsigned>();
    check_part::<Branches, i32>(&[Is(1), At(1)]);
    check::<Doc>("enum Doc{List(seq<^Doc>), Link{to: ^Doc, count: u8}, Num(u32)}");
    check_part::<Doc, u8>(&[Is(1), At(1)]);
    check::<Chain>(
        "Chain(enum Rest{More(^Chain, string), Both(^Chain, ^Chain, bool), End(u8, option<^Chain>, i64)}, u16)",
    );
}

#[test]
fn types_without_finite_values_are_told_apart_from_those_not_reached() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Endless(u8, Box<Endless>, u16);
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Some {
        Never(Never, u8),
        Endless(Endless, u8),
        Fine(u8),
    }
    check::<Endless>("Endless(u8, ^Endless, !)");
    check::<Some>("enum{Never(enum{}, !), Endless(Endless(u8, ^Endless, !), !), Fine(u8)}");
    check_same::<Endless, Endless>();
}

/// One level; sixty-odd of them are more than is looked at.
#[derive(Deserialize)]
#[expect(dead_code, reason = "traced only")]
struct Level<T>(u8, T);

#[test]
fn what_lies_too_deep_is_a_problem_and_equals_nothing() {
    type Four<T> = Level<Level<Level<Level<T>>>>;
    type Sixteen<T> = Four<Four<Four<Four<T>>>>;
    type Deep<T> = Sixteen<Sixteen<Sixteen<Sixteen<Level<T>>>>>;
    let layout = Layout::of::<Deep<Level<u8>>>();
    assert_eq!(layout.problems().len(), 1, "{layout}");
    assert!(layout.problems()[0].contains("nested deeper than 64 levels"), "{:?}", layout.problems());
    check_differ::<Deep<Level<u8>>, Deep<Level<u8>>>();
    check_same::<Sixteen<Sixteen<u8>>, Sixteen<Sixteen<u8>>>();
}

#[test]
fn aliases_are_neither_fields_nor_variants() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Person {
        #[serde(alias = "nom", alias = "a")]
        name: String,
        n: u64,
        #[serde(rename = "z", alias = "b", default)]
        last: Option<Box<Person>>,
    }
    #[derive(Deserialize)]
    struct Plain {
        #[expect(dead_code, reason = "traced only")]
        name: String,
        #[expect(dead_code, reason = "traced only")]
        n: u64,
        #[expect(dead_code, reason = "traced only")]
        z: Option<Box<Plain>>,
    }
    #[derive(Serialize, Deserialize)]
    enum Color {
        #[serde(alias = "Crimson", alias = "Aaa")]
        Red,
        Green {
            #[serde(alias = "shade")]
            tint: u8,
        },
        #[serde(other)]
        Unknown,
    }
    check::<Person>("Person{name: string, n: u64, z: option<^Person>}");
    check_same::<Person, Plain>();
    check_part::<Person, u64>(&[At(1)]);
    let color = Layout::of_exchanged::<Color>("Color");
    assert_eq!(color.to_string(), "enum{Red, Green{tint: u8}, Unknown}");
    check::<Color>("enum{Aaa|Crimson|Red, Green{tint: u8}, Unknown}");
    assert_eq!(color.problems(), [""; 0]);
}

#[test]
fn what_was_out_of_reach_is_tried_again_when_more_is_known() {
    #[derive(PartialEq, Eq, Hash, Deserialize)]
    enum Outer {
        Again(Box<Outer>),
        Inner(Inner),
    }
    #[derive(PartialEq, Eq, Hash, Deserialize)]
    enum Inner {
        Again(Box<Inner>),
        Both(Box<Inner>, Box<Inner>),
        End(u8),
    }
    /// Reads a key and then its value; without the key it does not get there.
    struct OneByOne;
    impl<'de> Deserialize<'de> for OneByOne {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Reads;
            impl<'de> Visitor<'de> for Reads {
                type Value = OneByOne;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("keys and values")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<OneByOne, A::Error> {
                    while map.next_key::<Outer>()?.is_some() {
                        map.next_value::<(char, u16)>()?;
                    }
                    Ok(OneByOne)
                }
            }
            deserializer.deserialize_map(Reads)
        }
    }
    check::<OneByOne>(
        "map<enum Outer{Again(^Outer), Inner(enum Inner{Again(^Inner), Both(^Inner, ^Inner), End(u8)})}, (char, u16)>",
    );
}

#[test]
fn a_panic_is_a_rejection_and_tracing_goes_on() {
    /// Takes anything but the first value that is tried.
    struct Nervous;
    impl<'de> Deserialize<'de> for Nervous {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            assert_ne!(u8::deserialize(deserializer)?, 1, "not one");
            Ok(Self)
        }
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    struct Inner {
        nervous: Nervous,
        after: u16,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "traced only")]
    enum Outer {
        Many(Vec<Outer>, Box<Inner>),
        One(Inner, char),
    }
    check::<Outer>(
        "enum Outer{Many(seq<^Outer>, {nervous: u8, after: u16}), One({nervous: u8, after: u16}, char)}",
    );
}

#[test]
fn more_variants_than_are_looked_at_are_a_problem_and_equal_nothing() {
    /// An enum without names that takes every number, as hand-written code may.
    struct Numbered;
    impl<'de> Deserialize<'de> for Numbered {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Reads;
            impl<'de> Visitor<'de> for Reads {
                type Value = Numbered;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a number")
                }
                fn visit_enum<A: serde::de::EnumAccess<'de>>(self, data: A) -> Result<Numbered, A::Error> {
                    use serde::de::VariantAccess;
                    let (_, content): (u32, _) = data.variant()?;
                    content.unit_variant().map(|()| Numbered)
                }
            }
            deserializer.deserialize_enum("Numbered", &[], Reads)
        }
    }
    let layout = Layout::of::<Numbered>();
    assert_eq!(layout.problems().len(), 1, "{:?}", layout.problems());
    check_differ::<Numbered, Numbered>();
}

/// Whether a node leads back to itself, looked for from each node anew.
fn leads_back(nodes: &[Node<usize>], start: usize) -> bool {
    let mut seen = vec![false; nodes.len()];
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for part in nodes[node].parts().into_iter().copied() {
            if part == start {
                return true;
            }
            if !std::mem::replace(&mut seen[part], true) {
                open.push(part);
            }
        }
    }
    false
}

#[test]
fn recursive_parts_are_found_in_one_pass_as_one_by_one() {
    let mut random = crate::seeded::Seeded::new(7);
    for _ in 0..2_000 {
        let count = 1 + random.below(12);
        let mut part = || Field { name: "", layout: random.below(count) };
        let nodes: Vec<Node<usize>> = (0..count)
            .map(|node| Node::Product { name: "N", fields: (0..node % 4).map(|_| part()).collect() })
            .collect();
        let found = text::recursive(&nodes, count - 1);
        let mut reached = vec![false; count];
        let mut open = vec![count - 1];
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut reached[node], true) {
                open.extend(nodes[node].parts());
            }
        }
        for node in (0..count).filter(|node| reached[*node]) {
            assert_eq!(found[node], leads_back(&nodes, node), "{node} of {nodes:?}");
        }
    }
}
