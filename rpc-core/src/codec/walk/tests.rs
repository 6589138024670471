use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;
use crate::{
    codec::{self, walk::tests::select::SelectError},
    seeded::Seeded,
};

mod select;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct UserId(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Marker;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Circle(f64),
    Line(u8, i32),
    Text { at: (i16, char), text: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    id: UserId,
    name: String,
    boss: Option<Box<User>>,
    friends: Vec<UserId>,
    shapes: Vec<Shape>,
    wide: (u16, u32, u128, i64, i128, f32),
    counts: BTreeMap<u8, String>,
    digest: [u8; 4],
    rows: Vec<[u16; 2]>,
    marker: Marker,
    units: Vec<()>,
    flag: bool,
}

fn shape(seeded: &mut Seeded) -> Shape {
    match seeded.below(4) {
        0 => Shape::Nothing,
        1 => Shape::Circle(seeded.magnitude(32) as f64),
        2 => Shape::Line(seeded.magnitude(8) as u8, -(seeded.magnitude(31) as i32)),
        _ => Shape::Text { at: (-3, *seeded.pick(&['a', 'é', '€', '🦀'])), text: text(seeded) },
    }
}

fn text(seeded: &mut Seeded) -> String {
    "x".repeat(seeded.below(300))
}

fn list<T>(seeded: &mut Seeded, mut make: impl FnMut(&mut Seeded) -> T) -> Vec<T> {
    (0..seeded.below(5)).map(|_| make(seeded)).collect()
}

fn user(seeded: &mut Seeded) -> User {
    User {
        id: UserId(seeded.magnitude(64)),
        name: text(seeded),
        boss: seeded.chance(30).then(|| Box::new(user(seeded))),
        friends: list(seeded, |seeded| UserId(seeded.magnitude(64))),
        shapes: list(seeded, shape),
        wide: (
            seeded.magnitude(16) as u16,
            seeded.magnitude(32) as u32,
            u128::from(seeded.next()) << seeded.below(64),
            -(seeded.magnitude(60) as i64),
            -i128::from(seeded.next()),
            1.5,
        ),
        counts: list(seeded, |seeded| (seeded.magnitude(8) as u8, text(seeded))).into_iter().collect(),
        digest: [1, 2, 3, 4],
        rows: list(seeded, |seeded| [seeded.magnitude(16) as u16, 7]),
        marker: Marker,
        units: vec![(); seeded.below(4)],
        flag: true,
    }
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    bytes
}

/// A path that fits the layout, some of which lie past the end of the value.
fn path(seeded: &mut Seeded, layout: &Layout, length_max: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut layout = layout.clone();
    while steps.len() < length_max {
        let step = match layout.node() {
            Node::Newtype { .. } => vec![Step::Field(0)],
            Node::Optional(_) => vec![Step::Some],
            Node::Seq(_) => vec![Step::Index(seeded.below(6) as u32)],
            Node::Array(_, len) => vec![Step::Field(seeded.below(len) as u32)],
            Node::Product { fields, .. } if !fields.is_empty() => {
                vec![Step::Field(seeded.below(fields.len()) as u32)]
            }
            Node::Enum { variants, .. } => {
                let index = seeded.below(variants.len());
                let fields = variants[index].fields.as_ref().map_or(0, Vec::len);
                if fields == 0 {
                    return steps;
                }
                vec![Step::Variant(index as u32), Step::Field(seeded.below(fields) as u32)]
            }
            _ => return steps,
        };
        layout = layout.at(&step).unwrap();
        steps.extend(step);
    }
    steps
}

fn range(layout: &Layout, bytes: &[u8], path: &[Step]) -> Result<Range<usize>, WalkError> {
    locate(layout, bytes, path, None).map(|located| located.range)
}

#[track_caller]
fn check_agrees<T: Serialize + DeserializeOwned>(value: &T, path: &[Step]) {
    let layout = Layout::of::<T>();
    let bytes = encoded(value);
    assert_eq!(skip(&layout, &bytes), Ok(bytes.len()));
    let mut part = Vec::new();
    match select::select(value, path, 64, &mut part) {
        Ok(()) => assert_eq!(&bytes[range(&layout, &bytes, path).unwrap()], part, "at {path:?}"),
        Err(SelectError::Missed) => {
            assert_eq!(range(&layout, &bytes, path), Err(WalkError::Missed), "at {path:?}");
        }
        Err(SelectError::NotThere { .. }) => {
            assert_eq!(range(&layout, &bytes, path), Err(WalkError::NotThere))
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_is_located_is_what_select_writes() {
    let mut seeded = Seeded::new(11);
    let layout = Layout::of::<User>();
    for _ in 0..300 {
        let value = user(&mut seeded);
        for _ in 0..8 {
            let length_max = seeded.below(7);
            check_agrees(&value, &path(&mut seeded, &layout, length_max));
        }
    }
}

#[test]
fn a_path_that_does_not_fit_leads_nowhere() {
    check_agrees(&7_u8, &[Step::Field(0)]);
    check_agrees(&UserId(5), &[Step::Field(1)]);
    check_agrees(&UserId(5), &[Step::Some]);
    check_agrees(&(1_u8, 2_u8), &[Step::Field(2)]);
    check_agrees(&Some(1_u8), &[Step::Index(0)]);
    check_agrees(&Shape::Line(1, 2), &[Step::Variant(2)]);
    check_agrees(&Shape::Line(1, 2), &[Step::Variant(2), Step::Field(2)]);
    check_agrees(&BTreeMap::from([(1_u8, 2_u8)]), &[Step::Index(0)]);
}

#[test]
fn elements_are_the_ranges_of_a_sequence() {
    let layout = Layout::of::<Vec<String>>();
    let bytes = encoded(&vec!["ann", "", "cem"]);
    let elements = Elements::of(&layout, &bytes).unwrap().unwrap();
    assert_eq!(elements.left(), 3);
    let parts: Vec<&[u8]> = elements.map(|range| &bytes[range.unwrap()]).collect();
    assert_eq!(parts, [&b"\x03ann"[..], b"\0", b"\x03cem"]);
}

#[test]
fn elements_of_an_option_are_none_or_one() {
    let layout = Layout::of::<Option<u64>>();
    let bytes = encoded(&Some(9_u64));
    let elements: Vec<_> = Elements::of(&layout, &bytes).unwrap().unwrap().collect();
    assert_eq!(elements, [Ok(1..2)]);
    assert_eq!(Elements::of(&layout, &[0]).unwrap().unwrap().left(), 0);
    assert!(Elements::of(&Layout::of::<u64>(), &[0]).is_none());
}

#[test]
fn a_type_whose_layout_is_not_known_is_named() {
    /// Accepts nothing that tracing tries.
    #[derive(Debug)]
    struct Secret;

    impl<'de> Deserialize<'de> for Secret {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("no"))
        }
    }

    let layout = Layout::of::<(u8, Secret, u8)>();
    assert_eq!(range(&layout, &[1, 2, 3], &[Step::Field(0)]), Ok(0..1), "it lies behind what is looked for");
    let Err(WalkError::Unknown(name)) = range(&layout, &[1, 2, 3], &[Step::Field(2)]) else {
        panic!("it is walked over");
    };
    assert!(name.contains("Secret"), "{name}");
}

#[test]
fn lengths_that_lie_cost_nothing() {
    let huge = encoded(&u64::MAX);
    assert!(matches!(skip(&Layout::of::<Vec<u64>>(), &huge), Err(WalkError::Malformed(_))));
    assert!(matches!(skip(&Layout::of::<Vec<f64>>(), &huge), Err(WalkError::Malformed(_))));
    assert!(matches!(skip(&Layout::of::<String>(), &huge), Err(WalkError::Malformed(_))));
    assert_eq!(skip(&Layout::of::<Vec<()>>(), &huge), Ok(huge.len()));
    assert_eq!(skip(&Layout::of::<Vec<[(Marker, ()); 9]>>(), &huge), Ok(huge.len()));
    assert_eq!(skip(&Layout::of::<BTreeMap<(), Marker>>(), &huge), Ok(huge.len()));
}

#[test]
fn nesting_is_bounded() {
    #[derive(Serialize, Deserialize)]
    struct List(Option<Box<List>>);

    let layout = Layout::of::<List>();
    assert_eq!(skip(&layout, &vec![1; 100_000]), Err(WalkError::TooDeep));
    assert_eq!(skip(&layout, &[1, 1, 0]), Ok(3));
}

#[test]
fn no_bytes_make_it_panic_or_leave_them() {
    let mut seeded = Seeded::new(12);
    let layout = Layout::of::<Vec<User>>();
    for _ in 0..3_000 {
        let mut bytes = if seeded.chance(50) { seeded.bytes(200) } else { encoded(&list(&mut seeded, user)) };
        if let Some(length) = bytes.len().checked_sub(1) {
            let at = seeded.below(length + 1);
            bytes[at] = seeded.next() as u8;
            bytes.truncate(seeded.below(length + 1) + 1);
        }
        let length_max = seeded.below(8);
        let path = path(&mut seeded, &layout, length_max);
        if let Ok(range) = range(&layout, &bytes, &path) {
            assert!(range.end <= bytes.len());
        }
        if let Some(Ok(elements)) = Elements::of(&layout, &bytes) {
            assert!(elements.flatten().all(|range| range.end <= bytes.len()));
        }
    }
}
