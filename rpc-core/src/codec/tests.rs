use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap, HashSet},
    fmt::{self, Debug},
    net::IpAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
    ser::SerializeSeq,
};

use super::*;

const BUDGET: DecodeBudget = DecodeBudget { depth_max: 64, factor: 32, zero_sized_max: 65_536 };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct UserId(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Circle(f64),
    Line(u8, i32),
    Text { at: (i16, i16), text: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    id: UserId,
    name: String,
    boss: Option<Box<Everything>>,
    tags: Vec<String>,
    shapes: Vec<Shape>,
    counts: BTreeMap<String, i64>,
    blob: Bytes,
    wide: (u128, i128),
    flags: [bool; 3],
    letter: char,
    grid: Vec<Vec<u16>>,
    unit: (),
    maybe: Option<Option<u8>>,
    ratio: f32,
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out).expect("the value can be encoded");
    out
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode(bytes, BUDGET)
}

#[track_caller]
fn check_golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, bytes: &[u8]) {
    assert_eq!(encoded(&value), bytes, "encoding {value:?}");
    assert_eq!(decoded::<T>(bytes), Ok(value), "decoding {bytes:?}");
}

#[test]
fn unsigned_integers_are_varints() {
    check_golden(0u8, &[0]);
    check_golden(255u8, &[255]);
    check_golden(0u16, &[0]);
    check_golden(250u16, &[250]);
    check_golden(251u16, &[251, 251, 0]);
    check_golden(u16::MAX, &[251, 255, 255]);
    check_golden(250u32, &[250]);
    check_golden(251u32, &[251, 251, 0]);
    check_golden(65_535u32, &[251, 255, 255]);
    check_golden(65_536u32, &[252, 0, 0, 1, 0]);
    check_golden(u32::MAX, &[252, 255, 255, 255, 255]);
    check_golden(250u64, &[250]);
    check_golden(251u64, &[251, 251, 0]);
    check_golden(65_536u64, &[252, 0, 0, 1, 0]);
    check_golden(1u64 << 32, &[253, 0, 0, 0, 0, 1, 0, 0, 0]);
    check_golden(u64::MAX, &[253, 255, 255, 255, 255, 255, 255, 255, 255]);
    check_golden(300usize, &[251, 44, 1]);
    check_golden(1u128 << 64, &[254, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    check_golden(u128::MAX, &[&[254u8][..], &[255; 16]].concat());
}

#[test]
fn signed_integers_are_zigzag_varints() {
    check_golden(-1i8, &[255]);
    check_golden(i8::MIN, &[128]);
    check_golden(0i16, &[0]);
    check_golden(-1i16, &[1]);
    check_golden(1i32, &[2]);
    check_golden(-125i32, &[249]);
    check_golden(125i32, &[250]);
    check_golden(-126i32, &[251, 251, 0]);
    check_golden(i32::MIN, &[252, 255, 255, 255, 255]);
    check_golden(i32::MAX, &[252, 254, 255, 255, 255]);
    check_golden(i64::MIN, &[253, 255, 255, 255, 255, 255, 255, 255, 255]);
    check_golden(-2isize, &[3]);
    check_golden(-1i128, &[1]);
    check_golden(i128::MIN, &[&[254u8][..], &[255; 16]].concat());
}

#[test]
fn other_scalars_have_pinned_bytes() {
    check_golden(true, &[1]);
    check_golden(false, &[0]);
    check_golden(1.5f32, &[0, 0, 192, 63]);
    check_golden(-2.0f64, &[0, 0, 0, 0, 0, 0, 0, 192]);
    check_golden('a', b"a");
    check_golden('ß', "ß".as_bytes());
    check_golden('𝄞', "𝄞".as_bytes());
    check_golden((), &[]);
    check_golden(String::new(), &[0]);
    check_golden("hé".to_owned(), &[3, b'h', 0xc3, 0xa9]);
    check_golden("x".repeat(251), &[&[251u8, 251, 0][..], &[b'x'; 251]].concat());
    check_golden(Bytes::from_static(&[7, 8]), &[2, 7, 8]);
}

#[test]
fn compounds_have_pinned_bytes() {
    check_golden(None::<u8>, &[0]);
    check_golden(Some(9u8), &[1, 9]);
    check_golden(Some(None::<u8>), &[1, 0]);
    check_golden((1u8, 2u16, "z".to_owned()), &[1, 2, 1, b'z']);
    check_golden([1u16, 2, 300], &[1, 2, 251, 44, 1]);
    check_golden(vec![1u16, 2, 300], &[3, 1, 2, 251, 44, 1]);
    check_golden(vec![vec![1u8], vec![]], &[2, 1, 1, 0]);
    check_golden(BTreeMap::from([(1u8, 2u8), (3, 4)]), &[2, 1, 2, 3, 4]);
    check_golden(UserId(7), &[7]);
    check_golden(Shape::Nothing, &[0]);
    check_golden(Shape::Circle(0.0), &[1, 0, 0, 0, 0, 0, 0, 0, 0]);
    check_golden(Shape::Line(5, -1), &[2, 5, 1]);
    check_golden(Shape::Text { at: (1, -1), text: "t".to_owned() }, &[3, 2, 1, 1, b't']);
    check_golden(Ok::<u8, String>(3), &[0, 3]);
    check_golden(Duration::new(1, 2), &[1, 2]);
    // The compact form: addresses are strings only for formats that people read.
    check_golden(IpAddr::from([127, 0, 0, 1]), &[0, 127, 0, 0, 1]);
}

/// A small repeatable source of values.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).expect("bounds are small")
    }

    /// All magnitudes are equally likely, so that every varint width is met.
    fn wide(&mut self) -> u128 {
        let both = (u128::from(self.next()) << 64) | u128::from(self.next());
        both >> self.below(128)
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn int(&mut self) -> u64 {
        self.wide() as u64
    }

    fn text(&mut self) -> String {
        (0..self.below(12)).map(|_| ['a', 'ß', '\0', '𝄞', 'z'][self.below(5)]).collect()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| item(self)).collect()
    }

    fn shape(&mut self) -> Shape {
        match self.below(4) {
            0 => Shape::Nothing,
            1 => Shape::Circle(f64::from_bits(self.int() >> 12)),
            2 => Shape::Line(
                self.int().to_le_bytes()[0],
                i32::from_le_bytes([1, 2, self.int().to_le_bytes()[0], 4]),
            ),
            _ => Shape::Text { at: (-300, 7), text: self.text() },
        }
    }

    fn everything(&mut self, depth: usize) -> Everything {
        let boss = depth > 0 && self.below(2) == 0;
        Everything {
            id: UserId(self.int()),
            name: self.text(),
            boss: boss.then(|| Box::new(self.everything(depth - 1))),
            tags: self.list(Self::text),
            shapes: self.list(Self::shape),
            counts: self.list(|rng| (rng.text(), rng.int().cast_signed())).into_iter().collect(),
            blob: Bytes::from(self.list(|rng| rng.int().to_le_bytes()[0])),
            wide: (self.wide(), self.wide().cast_signed()),
            flags: [self.below(2) == 0, true, false],
            letter: ['a', 'ß', '\0', '𝄞'][self.below(4)],
            grid: self.list(|rng| rng.list(|rng| u16::from_le_bytes([rng.int().to_le_bytes()[0], 1]))),
            unit: (),
            maybe: [None, Some(None), Some(Some(3))][self.below(3)],
            ratio: 0.25,
        }
    }
}

#[test]
fn every_value_comes_back_and_agrees_with_bincode() {
    let mut rng = Rng(42);
    for _ in 0..2_000 {
        let value = rng.everything(4);
        let bytes = encoded(&value);
        assert_eq!(
            bytes,
            bincode::serde::encode_to_vec(&value, config::standard()).expect("bincode encodes it")
        );
        let theirs: (Everything, usize) =
            bincode::serde::borrow_decode_from_slice(&bytes, config::standard()).expect("bincode decodes it");
        assert_eq!(theirs, (value.clone(), bytes.len()));
        assert_eq!(decoded::<Everything>(&bytes), Ok(value));
    }
}

#[test]
fn cut_bytes_are_truncated_and_added_bytes_are_trailing() {
    let mut rng = Rng(7);
    for _ in 0..100 {
        let mut bytes = encoded(&rng.everything(2));
        for cut in 0..bytes.len() {
            assert_eq!(decoded::<Everything>(&bytes[..cut]), Err(DecodeError::Truncated), "cut at {cut}");
        }
        bytes.extend([0; 3]);
        assert_eq!(decoded::<Everything>(&bytes), Err(DecodeError::Trailing(3)));
    }
}

#[test]
fn changed_bytes_never_panic() {
    let mut rng = Rng(1);
    for _ in 0..20_000 {
        let mut bytes = encoded(&rng.everything(3));
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64);
            match rng.below(4) {
                0 => bytes[at] = rng.int().to_le_bytes()[0],
                1 => bytes[at] = 250 + rng.below(6).to_le_bytes()[0],
                2 => bytes.insert(at, 253),
                _ => bytes.truncate(at + 1),
            }
        }
        if let Ok(value) = decoded::<Everything>(&bytes) {
            encoded(&value);
        }
    }
}

thread_local! {
    static BUILT: Cell<usize> = const { Cell::new(0) };
}

/// Counts the memory that its instances take, on the stack of one test.
#[derive(Debug)]
struct Weighed<const N: usize>(#[allow(dead_code, reason = "only its size matters")] [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Weighed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let byte = u8::deserialize(deserializer)?;
        BUILT.set(BUILT.get() + N);
        Ok(Self([byte; N]))
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoded only")]
enum Hostile {
    Leaf,
    Big(Box<(u8, Option<Weighed<900>>)>),
    Many(Vec<Weighed<200>>),
    Nested(Vec<Hostile>),
    Keyed(HashMap<u8, Weighed<64>>),
    Text(String, Bytes),
}

#[test]
fn random_bytes_stay_in_their_budget() {
    let mut rng = Rng(99);
    for _ in 0..20_000 {
        let len = 1 + rng.below(400);
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.below(9).to_le_bytes()[0]).collect();
        if rng.below(2) == 0 {
            bytes[0] = 3;
            bytes[len / 2] = 253;
        }
        BUILT.set(0);
        let _ = decoded::<Hostile>(&bytes);
        assert!(BUILT.get() <= 32 * len + ALLOWANCE_BYTES, "{} built from {len} bytes", BUILT.get());
    }
}

#[test]
fn claimed_string_and_buffer_lengths_allocate_nothing() {
    let claim = [253, 0, 0, 0, 0, 0, 0, 0, 16];
    assert_eq!(decoded::<String>(&claim), Err(DecodeError::Truncated));
    assert_eq!(decoded::<Box<str>>(&claim), Err(DecodeError::Truncated));
    assert_eq!(decoded::<Bytes>(&claim), Err(DecodeError::Truncated));
    assert_eq!(decoded::<Vec<u8>>(&claim), Err(DecodeError::Truncated));
    assert_eq!(decoded::<HashMap<u64, u64>>(&claim), Err(DecodeError::Truncated));
}

#[test]
fn nested_boxes_are_too_deep() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Chain {
        End,
        Link(Box<Chain>),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct List {
        next: Option<Box<List>>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(transparent)]
    struct Bare(Option<Box<Bare>>);
    #[derive(Debug, PartialEq, Deserialize)]
    struct Endless(Box<Endless>);

    let bytes = [1; 30_000];
    assert_eq!(decoded::<Chain>(&bytes), Err(DecodeError::TooDeep(64)));
    assert_eq!(decoded::<List>(&bytes), Err(DecodeError::TooDeep(64)));
    assert_eq!(decoded::<Bare>(&bytes), Err(DecodeError::TooDeep(64)));
    assert_eq!(decoded::<Endless>(&bytes), Err(DecodeError::TooDeep(64)));

    // Without a limit there is one all the same: what fits on the stack of a worker thread.
    let unlimited = Limits { decode_depth_max: usize::MAX, ..Limits::default() }.within_reach();
    let decoding = move || decode::<List>(&bytes, DecodeBudget::from(&unlimited));
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(decoding).unwrap();
    assert_eq!(thread.join().unwrap(), Err(DecodeError::TooDeep(256)));
}

#[test]
fn depth_allows_what_it_says() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Chain {
        End,
        Link(Box<Chain>),
    }
    let bytes = [&[1; 63][..], &[0]].concat();
    assert!(decoded::<Chain>(&bytes).is_ok());
    let bytes = [&[1; 64][..], &[0]].concat();
    assert_eq!(decoded::<Chain>(&bytes), Err(DecodeError::TooDeep(64)));
}

#[test]
fn siblings_do_not_add_up_to_depth() {
    let value = vec![Some((1u8, Some(2u8))); 500];
    assert_eq!(decoded(&encoded(&value)), Ok(value));
}

#[test]
fn nested_sequences_that_claim_much_are_over_budget() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Nest(Vec<Nest>);
    let bytes = [252, 255, 255, 255, 127].repeat(1_200);
    assert_eq!(decoded::<Nest>(&bytes), Err(DecodeError::OverBudget));
}

#[test]
fn large_elements_are_over_budget() {
    let bytes = [&[250u8][..], &[0; 250]].concat();
    assert_eq!(decoded::<Vec<Option<[u64; 8]>>>(&bytes), Err(DecodeError::OverBudget));
    assert!(decoded::<Vec<Option<[u8; 24]>>>(&bytes).is_ok());
    // In a box the large part lies outside the element.
    assert_eq!(decoded::<Vec<Box<Option<[u64; 8]>>>>(&bytes).map(|_| ()), Err(DecodeError::OverBudget));
    assert_eq!(decoded::<BTreeMap<u8, Option<[u64; 8]>>>(&bytes).map(|_| ()), Err(DecodeError::OverBudget));
}

#[test]
fn zero_sized_elements_are_counted() {
    let start = Instant::now();
    let claim = [252, 255, 255, 255, 255];
    assert_eq!(decoded::<Vec<()>>(&claim), Err(DecodeError::OverBudget));
    assert_eq!(decoded::<HashSet<()>>(&claim), Err(DecodeError::OverBudget));
    assert_eq!(decoded::<HashMap<(), ()>>(&claim), Err(DecodeError::OverBudget));
    assert_eq!(decoded::<Vec<[(); 32]>>(&claim), Err(DecodeError::OverBudget));
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    let most = encoded(&vec![(); 65_536]);
    assert_eq!(decoded::<Vec<()>>(&most).map(|units| units.len()), Ok(65_536));
}

#[test]
fn elements_without_bytes_are_charged() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Skipped {
        #[serde(skip)]
        id: u64,
    }
    let claim = [252, 255, 255, 255, 255];
    assert_eq!(decoded::<Vec<Skipped>>(&claim), Err(DecodeError::OverBudget));
    assert_eq!(decoded::<HashMap<(), Skipped>>(&claim), Err(DecodeError::OverBudget));
}

#[test]
fn invalid_bytes_say_what_is_wrong() {
    #[track_caller]
    fn check<T: DeserializeOwned + Debug>(bytes: &[u8], part: &str) {
        match decoded::<T>(bytes) {
            Err(DecodeError::Invalid(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    check::<bool>(&[2], "bool");
    check::<Option<u8>>(&[7, 1], "option");
    check::<char>(&[0xff], "character");
    check::<String>(&[2, 0xff, 0xff], "utf-8");
    check::<u16>(&[253, 0, 0, 0, 0, 0, 0, 0, 0], "U64");
    check::<Shape>(&[9], "variant index");
    check::<std::num::NonZeroU8>(&[0], "nonzero");
}

#[test]
fn types_that_need_names_are_an_error() {
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "decoded only")]
    enum Untagged {
        One(u8),
    }
    assert!(
        matches!(decoded::<Untagged>(&[1]), Err(DecodeError::Invalid(text)) if text.contains("any type"))
    );
    assert!(matches!(decoded::<serde::de::IgnoredAny>(&[1]), Err(DecodeError::Invalid(_))));
}

#[test]
fn a_failed_encode_leaves_the_buffer_as_it_was() {
    struct Unsized;
    impl Serialize for Unsized {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_seq(None)?.end()
        }
    }
    let mut out = vec![1, 2, 3];
    let error = encode(&(7u64, "text", Unsized), &mut out).expect_err("it has no length");
    assert!(error.to_string().contains("length"), "{error}");
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn a_size_hint_is_never_above_the_bytes_that_remain() {
    struct Hint;
    impl<'de> Deserialize<'de> for Hint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Check;
            impl<'de> Visitor<'de> for Check {
                type Value = Hint;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a sequence")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Hint, A::Error> {
                    assert_eq!(elements.size_hint(), Some(3));
                    assert!(elements.next_element::<u8>()?.is_some());
                    Ok(Hint)
                }
            }
            assert!(!deserializer.is_human_readable());
            deserializer.deserialize_seq(Check)
        }
    }
    assert_eq!(decoded::<Hint>(&[252, 0, 0, 0, 1, 7, 7, 7]).map(|_| ()), Err(DecodeError::Trailing(2)));
}

#[test]
fn what_is_nested_too_deep_to_be_decoded_is_not_encoded_either() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Nest(Option<Box<Nest>>);
    let nest = |depth: usize| (0..depth).fold(Nest(None), |inner, _| Nest(Some(Box::new(inner))));
    let mut out = vec![7];
    // A struct and an option each.
    assert_eq!(encode(&nest(31), &mut out), Ok(()));
    assert_eq!(decoded(&out[1..]), Ok(nest(31)));
    assert_eq!(encode(&nest(32), &mut out), Err(EncodeError::TooDeep(64)));
    assert_eq!(encode(&nest(5_000), &mut out), Err(EncodeError::TooDeep(64)));
    assert_eq!(out.len(), 33, "failures leave nothing");
    assert_eq!(encode_within(&nest(32), 66, &mut out), Ok(()));
}

#[test]
fn a_value_that_is_longer_than_it_may_be_here_is_not_encoded() {
    /// Hides why what is inside of it was not written.
    struct Hiding<T>(T);
    impl<T: Serialize> Serialize for Hiding<T> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer).map_err(|_| serde::ser::Error::custom("for no reason"))
        }
    }
    /// Goes on whatever became of what is inside of it.
    struct Careless(Vec<u8>);
    impl Serialize for Careless {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut pair = serializer.serialize_tuple(2)?;
            let _ = serde::ser::SerializeTuple::serialize_element(&mut pair, &self.0);
            serde::ser::SerializeTuple::serialize_element(&mut pair, &1_u8)?;
            serde::ser::SerializeTuple::end(pair)
        }
    }
    fn stops<T: Serialize>(value: &T) {
        let mut out = vec![7; 3];
        let whole = encoded(value).len();
        assert_eq!(encode_up_to(value, 64, whole / 2, &mut out), Err(None));
        assert_eq!(encode_up_to(value, 64, 0, &mut out), Err(None));
        assert_eq!(out, [7; 3], "nothing is left of it");
        assert_eq!(encode_up_to(value, 64, whole, &mut out), Ok(()), "{whole}");
        assert_eq!(out[3..], encoded(value));
    }
    stops(&vec![5_u8; 2_000]);
    stops(&vec![u64::MAX; 1_000]);
    stops(&vec!["a".to_owned(); 1_000]);
    stops(&vec![(1, vec![2]); 1_000]);
    stops(&(1, "a".repeat(10_000)));
    stops(&BTreeMap::from_iter((0..1_000).map(|key| (key, "value"))));
    stops(&BTreeMap::from([(1, vec![0_u16; 1_000])]));
    stops(&Hiding(vec![1; 1_000]));
    stops(&Careless(vec![1; 1_000]));
    // Other errors are what they were.
    assert_eq!(
        encode_up_to(&vec![vec![1; 500]; 2], 1, 2_000, &mut vec![]),
        Err(Some(EncodeError::TooDeep(1)))
    );
}

#[test]
fn encoding_and_decoding_count_the_same_levels() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        One(Box<Kind>),
        Two(Box<Kind>, u8),
        Named { inner: Vec<Kind> },
        Map(BTreeMap<u8, Kind>),
        Newtype(UserId),
        Pair((Option<Box<Kind>>, [u8; 2])),
        Nothing(Option<u8>),
        Number(u8),
    }
    fn grown(random: &mut Rng, depth: usize) -> Kind {
        let deeper = |random: &mut Rng| grown(random, depth.saturating_sub(1));
        match if depth == 0 { random.below(4) + 7 } else { 1 + random.below(6) } {
            7 => Kind::Unit,
            8 => Kind::Newtype(UserId(4)),
            9 => Kind::Nothing(None),
            10 => Kind::Number(1),
            1 => Kind::One(Box::new(deeper(random))),
            2 => Kind::Two(Box::new(deeper(random)), 1),
            3 => Kind::Named { inner: vec![deeper(random)] },
            4 => Kind::Map(BTreeMap::from([(1, deeper(random))])),
            5 => Kind::Newtype(UserId(3)),
            _ => Kind::Pair((Some(Box::new(deeper(random))), [0; 2])),
        }
    }
    let mut random = Rng(11);
    for _ in 0..500 {
        let depth = random.below(6);
        let value = grown(&mut random, depth);
        let bytes = encoded(&value);
        for depth_max in 0..20 {
            let budget = DecodeBudget { depth_max, factor: 1_000, ..BUDGET };
            let written = encode_within(&value, depth_max, &mut Vec::new());
            let read = decode::<Kind>(&bytes, budget);
            assert_eq!(
                written.is_ok(),
                read.is_ok(),
                "{value:?} within {depth_max}: {written:?} and {read:?}"
            );
        }
    }
}

#[test]
fn a_type_that_leaves_out_a_field_or_tells_a_wrong_length_is_an_error() {
    #[derive(Serialize)]
    struct Post {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<u8>,
        pages: Vec<u8>,
    }
    struct Says(usize, Vec<u8>);
    impl Serialize for Says {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(Some(self.0))?;
            self.1.iter().try_for_each(|byte| seq.serialize_element(byte))?;
            seq.end()
        }
    }
    let mut out = Vec::new();
    assert_eq!(
        encode(&Post { title: None, pages: vec![1, 7] }, &mut out),
        Err(EncodeError::LeftOut("title"))
    );
    assert_eq!(encode(&Says(1, vec![1, 2]), &mut out), Err(EncodeError::WrongLength));
    assert_eq!(encode(&Says(3, vec![1, 2]), &mut out), Err(EncodeError::WrongLength));
    assert_eq!(out, [0; 0]);
    assert_eq!(encode(&Post { title: Some(1), pages: vec![] }, &mut out), Ok(()));
    assert_eq!(encode(&Says(2, vec![1, 2]), &mut out), Ok(()));
    assert_eq!(out, [1, 1, 0, 2, 1, 2]);
}

#[test]
fn numbers_at_their_borders_are_those_of_bincode() {
    #[track_caller]
    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
        let theirs = bincode::serde::encode_to_vec(&value, config::standard()).expect("bincode encodes it");
        assert_eq!(encoded(&value), theirs, "{value:?}");
        assert_eq!(decoded::<T>(&theirs), Ok(value));
    }
    macro_rules! borders {
        ($($unsigned:ident $signed:ident),*) => {$(
            for bits in 0..$unsigned::BITS {
                for beside in [0, 1, 2, 3, 4, 5, 6] {
                    let border = (1 as $unsigned) << bits;
                    for value in [border.wrapping_add(beside), border.wrapping_sub(beside), !border, $unsigned::MAX - beside] {
                        check(value);
                        check(value.cast_signed());
                    }
                }
            }
            check([$signed::MIN, $signed::MAX, 0, -1]);
        )*};
    }
    borders!(u8 i8, u16 i16, u32 i32, u64 i64, u128 i128);
    for value in [250_u64, 251, 252, 253, 254, 255, 256] {
        check(value);
        check("x".repeat(usize::try_from(value).expect("it is short")));
    }
    for letter in ['\0', 'a', 'ß', '€', '🦀', char::MAX] {
        check(letter);
    }
    for number in [0.0, -0.0, 1.5, f64::MIN_POSITIVE, f64::INFINITY] {
        check(number);
        #[expect(clippy::cast_possible_truncation, reason = "any other number will do")]
        check(number as f32);
    }
}
