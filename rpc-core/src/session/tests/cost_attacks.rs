//! Attacks on what calls of a peer cost, below the driver.

use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, walk},
    memory_budget::MemoryBudget,
    path::Step::{self, Field, Index, Some as Inside, Variant},
    schema::layout::Layout,
    session::account::Account,
    value::{encoded::Encoded, held::Held},
};

#[derive(Serialize, Deserialize)]
enum Leaf {
    Nothing,
    Text(String),
    Pair { number: u64, bytes: Vec<u8> },
}

#[derive(Serialize, Deserialize)]
struct Node {
    id: u64,
    name: String,
    tags: Vec<String>,
    grid: Vec<[u16; 4]>,
    within: Option<Box<Whole>>,
    leaves: Vec<Leaf>,
    wide: [u64; 16],
}

#[derive(Serialize, Deserialize)]
struct Whole {
    nodes: Vec<Node>,
    numbers: Vec<u64>,
    units: Vec<()>,
    bytes: Vec<u8>,
    floats: Vec<f64>,
    nested: Vec<Vec<Vec<u32>>>,
    twice: (Vec<String>, Vec<Node>),
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }

    fn many<T>(&mut self, most: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.next(most)).map(|_| one(self)).collect()
    }

    fn number(&mut self) -> u64 {
        let shift = self.next(64);
        self.next(u64::MAX) >> shift
    }

    fn text(&mut self) -> String {
        let most = [3, 30, 6_000][self.next(3) as usize];
        "x".repeat(self.next(most) as usize)
    }

    fn node(&mut self, depth: u64) -> Node {
        Node {
            id: self.number(),
            name: self.text(),
            tags: self.many(20, Self::text),
            grid: self.many(3_000, |random| [0; 4].map(|_: u16| random.number() as u16)),
            within: (depth > 0 && self.next(2) == 0).then(|| Box::new(self.whole(depth - 1))),
            leaves: self.many(600, |random| match random.next(3) {
                0 => Leaf::Nothing,
                1 => Leaf::Text(random.text()),
                _ => Leaf::Pair { number: random.number(), bytes: vec![1; random.next(100) as usize] },
            }),
            wide: [0; 16].map(|_: u64| self.number()),
        }
    }

    fn whole(&mut self, depth: u64) -> Whole {
        Whole {
            nodes: self.many(5, |random| random.node(depth)),
            numbers: self.many(9_000, Self::number),
            units: vec![(); self.next(100) as usize],
            bytes: vec![1; self.next(20_000) as usize],
            floats: vec![1.0; self.next(3_000) as usize],
            nested: self.many(30, |random| {
                random.many(30, |random| random.many(30, |random| random.number() as u32))
            }),
            twice: (self.many(30, Self::text), self.many(4, |random| random.node(0))),
        }
    }

    fn index(&mut self) -> Step {
        let most = [3, 30, 600, 9_000][self.next(4) as usize];
        Index(self.next(most) as u32)
    }

    fn field(&mut self, most: u64) -> Step {
        Field(self.next(most) as u32)
    }

    fn path(&mut self, path: &mut Vec<Step>) {
        match self.next(8) {
            0 | 1 => {
                path.extend([Field(0), self.index()]);
                self.path_of_node(path);
            }
            2 => {
                path.extend([Field(6), Field(1), self.index()]);
                self.path_of_node(path);
            }
            3 => path.extend([Field(6), Field(0), self.index()]),
            4 => path.extend([Field(5), self.index(), self.index(), self.index()]),
            5 => path.extend([Field(5), self.index()]),
            _ => {
                path.push(self.field(7));
                if self.next(2) == 0 {
                    path.push(self.index());
                }
            }
        }
    }

    fn path_of_node(&mut self, path: &mut Vec<Step>) {
        match self.next(7) {
            0 => {}
            1 => path.extend([Field(3), self.index(), self.field(5)]),
            2 => {
                path.extend([Field(4), Inside]);
                self.path(path);
            }
            3 => path.extend([Field(5), self.index(), Variant(2), self.field(2)]),
            4 => path.extend([Field(5), self.index(), Variant(1), Field(0)]),
            5 => path.extend([Field(6), self.field(17)]),
            _ => path.push(self.field(7)),
        }
    }
}

#[test]
fn parts_of_a_long_result_are_the_same_however_often_it_was_searched() {
    let layout = Layout::of::<Whole>();
    let (mut found, mut missed) = (0, 0);
    for seed in 1..9 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut bytes = Vec::new();
        codec::encode(&random.whole(1), &mut bytes).expect("it encodes");
        if seed % 4 == 0 {
            // Bytes need not be a value of the layout.
            let at = random.next(bytes.len() as u64) as usize;
            bytes[at] = random.next(256) as u8;
        }
        let held = Held::new(Encoded::from(bytes.clone()));
        for _ in 0..400 {
            let mut path = Vec::new();
            random.path(&mut path);
            let marked = held.select(&layout, &path, false).map(|selected| selected.part.bytes.to_vec());
            let fresh =
                walk::locate(&layout, &bytes, &path, None).map(|located| bytes[located.range].to_vec());
            match &fresh {
                Ok(_) => found += 1,
                Err(_) => missed += 1,
            }
            assert_eq!(marked, fresh, "seed {seed}, {path:?}");
        }
    }
    assert!(found > 500 && missed > 500, "{found} found, {missed} not");
}

#[test]
fn others_see_what_a_session_has_beyond_its_own_bound() {
    let budget = MemoryBudget::new(64 << 20);
    let mut account = Account::new(1 << 20, budget.clone());
    assert!(account.settle(10 << 20).is_err());
    assert!(budget.used() >= 9 << 20, "{budget:?}");
}
