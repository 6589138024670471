use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use serde::ser::Error;

use super::*;
use Step::{Field, Index, Some as Inside, Variant};

#[derive(Serialize)]
struct UserId(u64);

#[derive(Serialize)]
struct Pair(u8, String);

#[derive(Serialize)]
struct Marker;

#[derive(Serialize)]
enum Shape {
    Nothing,
    Circle(f64),
    Line(u8, i32),
    Text { at: (i16, i16), text: String },
}

#[derive(Serialize)]
struct User {
    id: UserId,
    name: String,
    boss: Option<Box<User>>,
    friends: Vec<UserId>,
    shapes: Box<[Shape]>,
    pair: Pair,
    tuple: (u16, char),
    counts: BTreeMap<u8, u8>,
    digest: [u8; 4],
    marker: Marker,
}

fn user(name: &str) -> User {
    User {
        id: UserId(300),
        name: name.to_owned(),
        boss: None,
        friends: vec![UserId(1), UserId(2), UserId(3)],
        shapes: Box::new([
            Shape::Nothing,
            Shape::Circle(1.5),
            Shape::Line(7, -8),
            Shape::Text { at: (1, 2), text: "t".to_owned() },
        ]),
        pair: Pair(9, "nine".to_owned()),
        tuple: (1_000, 'x'),
        counts: BTreeMap::from([(1, 2)]),
        digest: [1, 2, 3, 4],
        marker: Marker,
    }
}

fn selected<T: Serialize + ?Sized>(value: &T, path: &[Step]) -> Result<Vec<u8>, SelectError> {
    let mut out = vec![0xaa];
    let result = select(value, path, 64, &mut out);
    let part = out.split_off(1);
    assert_eq!(out, [0xaa], "what was in the buffer stays");
    if result.is_err() {
        assert!(part.is_empty(), "an error leaves nothing behind");
    }
    result.map(|()| part)
}

#[track_caller]
fn check_part<T: Serialize, P: Serialize + ?Sized>(value: &T, path: &[Step], part: &P) {
    let mut expected = Vec::new();
    codec::encode(part, &mut expected).expect("the part can be encoded");
    assert_eq!(selected(value, path), Ok(expected));
}

#[track_caller]
fn check_missed<T: Serialize>(value: &T, path: &[Step]) {
    assert_eq!(selected(value, path), Err(SelectError::Missed));
}

#[track_caller]
fn check_nowhere<T: Serialize>(value: &T, path: &[Step], walked: usize, found: &str) {
    match selected(value, path) {
        Err(SelectError::NotThere { path: steps, found: at }) => {
            assert_eq!(steps.steps(), &path[..walked]);
            assert_eq!(at, found);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_empty_path_is_the_whole_value() {
    check_part(&user("ann"), &[], &user("ann"));
    check_part(&7u8, &[], &7u8);
}

#[test]
fn fields_are_those_of_structs_tuples_and_arrays() {
    let ann = user("ann");
    check_part(&ann, &[Field(0)], &300u64);
    check_part(&ann, &[Field(1)], "ann");
    check_part(&ann, &[Field(5), Field(1)], "nine");
    check_part(&ann, &[Field(6)], &(1_000u16, 'x'));
    check_part(&ann, &[Field(6), Field(1)], &'x');
    check_part(&ann, &[Field(8), Field(3)], &4u8);
    check_part(&ann, &[Field(9)], &());
    check_part(&ann, &[Field(7)], &ann.counts);
}

#[test]
fn a_newtype_struct_has_one_field() {
    check_part(&UserId(5), &[Field(0)], &5u64);
    check_part(&user("ann"), &[Field(0), Field(0)], &300u64);
    check_nowhere(&UserId(5), &[Field(1)], 1, "a newtype struct");
    check_nowhere(&UserId(5), &[Inside], 1, "a newtype struct");
}

#[test]
fn elements_are_those_of_sequences() {
    let ann = user("ann");
    check_part(&ann, &[Field(3), Index(0)], &1u64);
    check_part(&ann, &[Field(3), Index(2), Field(0)], &3u64);
    check_part(&BTreeSet::from([5u8, 6]), &[Index(1)], &6u8);
    check_part(&[[1u8, 2].as_slice()].as_slice(), &[Index(0), Index(1)], &2u8);
    check_missed(&ann, &[Field(3), Index(3)]);
    check_missed(&ann, &[Field(3), Index(u32::MAX)]);
    check_missed(&Vec::<u8>::new(), &[Index(0)]);
}

#[test]
fn a_sequence_of_unknown_length_ends_where_it_ends() {
    struct Unsized;
    impl Serialize for Unsized {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut elements = serializer.serialize_seq(None)?;
            elements.serialize_element(&1u8)?;
            elements.end()
        }
    }
    check_part(&Unsized, &[Index(0)], &1u8);
    check_missed(&Unsized, &[Index(1)]);
}

#[test]
fn options_hit_or_miss() {
    let mut ann = user("ann");
    check_missed(&ann, &[Field(2), Inside]);
    check_missed(&ann, &[Field(2), Inside, Field(1)]);
    check_part(&ann, &[Field(2)], &None::<u8>);
    ann.boss = Some(Box::new(user("bob")));
    check_part(&ann, &[Field(2), Inside, Field(1)], "bob");
    check_part(&Some(Some(4u8)), &[Inside], &Some(4u8));
    check_part(&Some(Some(4u8)), &[Inside, Inside], &4u8);
    check_nowhere(&Some(4u8), &[Field(0)], 1, "an option");
    check_nowhere(&None::<u8>, &[Field(0)], 1, "an option");
}

#[test]
fn variants_hit_or_miss() {
    let ann = user("ann");
    let shape = |index| [Field(4), Index(index)];
    let at = |index, steps: &[Step]| [&shape(index)[..], steps].concat();
    check_part(&ann, &at(1, &[Variant(1), Field(0)]), &1.5f64);
    check_part(&ann, &at(2, &[Variant(2), Field(1)]), &-8i32);
    check_part(&ann, &at(3, &[Variant(3), Field(0), Field(1)]), &2i16);
    check_part(&ann, &at(3, &[Variant(3), Field(1)]), "t");
    check_part(&Ok::<u8, ()>(1), &[Variant(0), Field(0)], &1u8);
    for index in 0..4 {
        for variant in (0..6).filter(|variant| *variant != index) {
            check_missed(&ann, &at(index, &[Variant(variant), Field(0)]));
            check_missed(&ann, &at(index, &[Variant(variant)]));
        }
        check_nowhere(&ann, &at(index, &[Variant(index)]), 3, "an enum");
        check_nowhere(&ann, &at(index, &[Field(0)]), 3, "an enum");
    }
    check_nowhere(&ann, &at(0, &[Variant(0), Field(0)]), 4, "a unit variant");
    check_nowhere(&ann, &at(1, &[Variant(1), Field(1)]), 4, "a newtype variant");
    check_nowhere(&ann, &at(2, &[Variant(2), Field(2)]), 4, "a tuple variant");
    check_nowhere(&ann, &at(2, &[Variant(2), Index(0)]), 4, "a tuple variant");
    check_nowhere(&ann, &at(3, &[Variant(3), Field(2)]), 4, "a struct variant");
}

#[test]
fn a_path_that_does_not_fit_says_where() {
    let ann = user("ann");
    check_nowhere(&7u8, &[Field(0)], 1, "an integer");
    check_nowhere(&ann, &[Field(10)], 1, "a struct");
    check_nowhere(&ann, &[Index(0)], 1, "a struct");
    check_nowhere(&ann, &[Field(1), Index(0), Field(3)], 2, "a string");
    check_nowhere(&ann, &[Field(3), Field(0)], 2, "a sequence");
    check_nowhere(&ann, &[Field(5), Field(2)], 2, "a tuple struct");
    check_nowhere(&ann, &[Field(6), Inside], 2, "a tuple");
    check_nowhere(&ann, &[Field(7), Index(0)], 2, "a map");
    check_nowhere(&ann, &[Field(9), Field(0)], 2, "a unit struct");
    check_nowhere(&(), &[Field(0)], 1, "a unit");
    check_nowhere(&1.0f32, &[Inside], 1, "a float");
    check_nowhere(&true, &[Variant(0)], 1, "a bool");
    check_nowhere(&1i128, &[Variant(0)], 1, "an integer");
    check_nowhere(&bytes::Bytes::new(), &[Index(0)], 1, "a byte buffer");
    let error = selected(&ann, &[Field(1), Index(0)]).expect_err("a string is not a sequence");
    assert_eq!(error.to_string(), ".1[0] leads nowhere: a string has no such part");
}

#[test]
fn a_field_skipped_for_its_value_keeps_its_ordinal() {
    #[derive(Serialize)]
    struct Sparse {
        first: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        second: Option<u8>,
        #[serde(skip)]
        #[expect(dead_code, reason = "serde never sees it")]
        hidden: u8,
        third: u8,
    }
    #[derive(Serialize)]
    enum Either {
        Sparse {
            #[serde(skip_serializing_if = "Option::is_none")]
            second: Option<u8>,
            third: u8,
        },
    }
    let sparse = Sparse { first: 1, second: None, hidden: 9, third: 3 };
    check_part(&sparse, &[Field(0)], &1u8);
    check_missed(&sparse, &[Field(1)]);
    check_part(&sparse, &[Field(2)], &3u8);
    let full = Sparse { first: 1, second: Some(2), hidden: 9, third: 3 };
    check_part(&full, &[Field(1), Inside], &2u8);
    check_part(&full, &[Field(2)], &3u8);
    let either = Either::Sparse { second: None, third: 3 };
    check_missed(&either, &[Variant(0), Field(0)]);
    check_part(&either, &[Variant(0), Field(1)], &3u8);
}

/// Counts how often it is serialised.
struct Watched<'a>(&'a Cell<usize>);

impl Serialize for Watched<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.set(self.0.get() + 1);
        assert!(!serializer.is_human_readable());
        serializer.serialize_u8(1)
    }
}

#[test]
fn what_is_not_selected_is_not_serialised() {
    let (before, at, after) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let many = |cell| (0..1_000).map(|_| Watched(cell)).collect::<Vec<_>>();
    check_part(&(many(&before), Watched(&at), many(&after)), &[Field(1)], &1u8);
    check_part(&(many(&before), 5u8), &[Field(0), Index(999)], &1u8);
    assert_eq!((before.get(), at.get(), after.get()), (1, 1, 0));
}

#[test]
fn the_rest_of_a_sequence_is_not_visited() {
    struct Endless<'a>(&'a Cell<usize>);
    impl Serialize for Endless<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0u64..).inspect(|_| self.0.set(self.0.get() + 1)))
        }
    }
    let visited = Cell::new(0);
    check_part(&Endless(&visited), &[Index(2)], &2u64);
    assert_eq!(visited.get(), 3);
}

#[test]
fn a_replaced_error_does_not_lose_the_part() {
    struct Wraps(Vec<u8>);
    impl Serialize for Wraps {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer).map_err(|error| S::Error::custom(format!("wrapped: {error}")))
        }
    }
    check_part(&Wraps(vec![4, 5]), &[Index(1)], &5u8);
}

#[test]
fn a_part_that_cannot_be_encoded_is_an_encode_error() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("not today"))
        }
    }
    let expected = Err(SelectError::Encode(EncodeError::Invalid("not today".to_owned())));
    assert_eq!(selected(&(1u8, Refuses), &[Field(1)]), expected);
    assert_eq!(selected(&(1u8, Refuses), &[Field(1), Field(0)]), expected);
    check_part(&(1u8, Refuses), &[Field(0)], &1u8);
}

#[test]
fn pointers_take_no_step() {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Clear {
        inner: Box<(u8, u8)>,
    }
    check_part(&&Box::new(Box::new((1u8, 2u8))), &[Field(1)], &2u8);
    check_part(&Clear { inner: Box::new((1, 2)) }, &[Field(1)], &2u8);
    check_part(&std::borrow::Cow::Borrowed(&(1u8, 2u8)), &[Field(0)], &1u8);
}
