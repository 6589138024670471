// Written by a test, see `versions.rs`: generated types as serde's derive makes them.
#![allow(dead_code, clippy::all)]

use std::collections::BTreeMap;

use rpc_core::schema::Layout;
use serde::{Deserialize, Serialize};

pub(super) fn layouts() -> Vec<(u64, Layout)> {
    vec![
        (1, { use types_1::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (2, { use types_2::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (3, { use types_3::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (4, { use types_4::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (5, { use types_5::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (6, { use types_6::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (7, { use types_7::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (8, { use types_8::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (9, { use types_9::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (10, { use types_10::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (11, { use types_11::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (12, { use types_12::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (13, { use types_13::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (14, { use types_14::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (15, { use types_15::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (16, { use types_16::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (17, { use types_17::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (18, { use types_18::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (19, { use types_19::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (20, { use types_20::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (21, { use types_21::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (22, { use types_22::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (23, { use types_23::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (24, { use types_24::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (25, { use types_25::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (26, { use types_26::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (27, { use types_27::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (28, { use types_28::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (29, { use types_29::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (30, { use types_30::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (46, { use types_46::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (53, { use types_53::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (61, { use types_61::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (66, { use types_66::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (67, { use types_67::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (68, { use types_68::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (83, { use types_83::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (111, { use types_111::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (112, { use types_112::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (114, { use types_114::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (147, { use types_147::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (172, { use types_172::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (253, { use types_253::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (254, { use types_254::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (257, { use types_257::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (259, { use types_259::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (273, { use types_273::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (302, { use types_302::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (332, { use types_332::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (352, { use types_352::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (374, { use types_374::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (377, { use types_377::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (387, { use types_387::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (391, { use types_391::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (403, { use types_403::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (407, { use types_407::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (417, { use types_417::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (421, { use types_421::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (431, { use types_431::*; Layout::of_exchanged::<Box<Ash>>("T") }),
        (452, { use types_452::*; Layout::of_exchanged::<Box<Ash>>("T") }),
    ]
}

mod types_1 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech { a: BTreeMap<String, Box<Ash>>, b: u64 }
}

mod types_2 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: i64 }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: BTreeMap<String, Box<Fir>>, b: Box<Cedar>, c: i64 },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(BTreeMap<String, BTreeMap<String, i64>>, Box<Cedar>, BTreeMap<String, BTreeMap<String, i64>>),
        Two,
        Three(i64),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One(i64),
        Two { a: (), b: BTreeMap<String, BTreeMap<String, i64>>, c: () },
        Three { a: Box<Beech> },
        Four,
    }
}

mod types_3 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: u64, b: i8 }
}

mod types_4 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash {  }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One {  },
        Two { a: String, b: Option<Box<Beech>> },
        Three(String),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One { a: Box<Cedar>, b: String },
        Two(Box<Beech>, String),
        Three { a: Box<Ash>, b: String },
        Four(String, Vec<String>),
    }
}

mod types_5 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Fir>, b: (Box<Cedar>, ) },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech(u8);

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar { a: Box<Ash>, b: (Box<Cedar>, ), c: (Box<Cedar>, ) }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One(Box<Fir>, Box<Cedar>, bool),
        Two { a: Box<Beech>, b: BTreeMap<String, Box<Beech>>, c: (Box<Cedar>, ) },
        Three { a: i8, b: Box<Cedar>, c: i8 },
        Four { a: BTreeMap<String, Box<Beech>>, b: Box<Cedar> },
    }
}

mod types_6 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash((Box<Beech>, bool, Box<Beech>, ));

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech {  }
}

mod types_7 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: Box<Beech>, b: char }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(i8),
        Two((Box<Ash>, Box<Cedar>, Box<Beech>, ), i8, (Box<Ash>, Box<Cedar>, Box<Beech>, )),
        Three { a: String },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar { a: i8, b: Box<Cedar> }
}

mod types_8 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        Two {  },
        One,
        Three(BTreeMap<String, BTreeMap<String, BTreeMap<String, Box<Ash>>>>),
        Four(BTreeMap<String, BTreeMap<String, Box<Ash>>>, BTreeMap<String, BTreeMap<String, Box<Ash>>>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech;
}

mod types_9 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: Box<Ash> }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech;
}

mod types_10 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar(Box<Beech>, Vec<Box<Beech>>, Vec<Box<Cedar>>);

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One { a: Vec<Box<Beech>> },
        Two {  },
        Three,
        Four(Vec<()>, Vec<Box<Cedar>>),
    }
}

mod types_11 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: u32 },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech { a: Box<Ash>, b: u32, c: Box<Beech> }
}

mod types_12 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash(Vec<Vec<(Box<Ash>, )>>, Vec<(Box<Ash>, )>, i8);

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech { a: bool, b: Box<Cedar>, c: i8 }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One { a: Vec<(Box<Ash>, )>, b: bool },
    }
}

mod types_13 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One,
        Two { a: String, b: Box<Ash> },
        Three { a: char, b: BTreeMap<String, String> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: BTreeMap<String, Box<Cedar>>, b: bool, c: String },
        Two,
        Three(i8, Box<Beech>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(char),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One { a: Box<Fir>, b: Box<Cedar>, c: BTreeMap<String, String> },
        Two {  },
    }
}

mod types_14 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One,
        Two(u8, i32),
        Three((u8, Box<Ash>, )),
        Four(i32, i32, Option<u32>),
    }
}

mod types_15 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash {  }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech { a: u32 }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(u32, Box<Beech>, i32),
        Two { a: char },
        Three { a: u32, b: i32, c: Box<Beech> },
    }
}

mod types_16 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: Option<Box<Ash>>, b: Box<Cedar>, c: Box<Cedar> }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(Option<Box<Ash>>),
        Two,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(Option<Box<Ash>>, Option<Box<Ash>>),
        Two {  },
        Three { a: char },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One(Vec<Box<Beech>>, Vec<Box<Beech>>),
        Two(Box<Beech>, Option<Box<Ash>>),
        Three(Box<Fir>),
        Four { a: Box<Beech> },
    }
}

mod types_17 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One(u32, (), Box<Ash>),
        Two { a: u32 },
        Three { a: Box<Ash> },
        Four { a: Box<Ash>, b: i64, c: Box<Ash> },
    }
}

mod types_18 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Beech> },
        Two,
        Three { a: Box<Beech>, b: bool },
        Four,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(bool),
        Eight { a: Box<Beech>, b: Option<Box<Cedar>>, c: Box<Beech> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar(());

    #[derive(Serialize, Deserialize)]
    pub(super) struct Fir(u64, (Box<Beech>, ), ());
}

mod types_19 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Beech>, b: Box<Fir> },
        Two { a: char, b: (Box<Beech>, ), c: Box<Fir> },
        Three(Option<Box<Ash>>, i64, (Box<Beech>, )),
        Four { a: Box<Fir>, b: Box<Beech> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: i8, b: (Box<Beech>, ) },
        Two { a: Option<Box<Ash>> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar(i32, char, Box<Ash>);

    #[derive(Serialize, Deserialize)]
    pub(super) struct Fir;
}

mod types_20 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: Box<Ash> }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(Box<Beech>, Option<Box<Ash>>, ()),
        Two { a: Box<Ash> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One,
        Two(BTreeMap<String, Box<Beech>>),
        Three {  },
        Four {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One(Box<Cedar>, (), Box<Fir>),
        Two(Option<Box<Ash>>, Vec<Box<Fir>>),
    }
}

mod types_21 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Cedar>, b: Option<Box<Beech>>, c: Box<Beech> },
        Two(Box<Beech>),
        Three { a: i8 },
        Four { a: i32, #[serde(default)] b: char, c: i8 },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(i8, i64),
        Two { a: i8 },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One { a: i8, b: bool },
        Two(u64),
        Three,
        Four(Option<Box<Beech>>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One {  },
        Two(i64, i64, Box<Beech>),
    }
}

mod types_22 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash {  }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech((), (), u8);

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One((Vec<Box<Cedar>>, Box<Beech>, )),
        Two { a: (), b: ((Vec<Box<Cedar>>, Box<Beech>, ), ) },
        Three(u8),
        Four { a: BTreeMap<String, ()>, b: BTreeMap<String, Box<Ash>> },
    }
}

mod types_23 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One((Box<Ash>, )),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar { a: i64, b: Box<Fir> }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One { a: Box<Cedar>, b: (), c: Option<Box<Beech>> },
        Two,
        Three(Option<Box<Beech>>, Vec<()>),
        Four(i64, (Box<Ash>, ), ((Box<Ash>, ), )),
    }
}

mod types_24 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash(i64);

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(u32, BTreeMap<String, Box<Beech>>, BTreeMap<String, ()>),
        Two(BTreeMap<String, Box<Beech>>, Vec<Box<Ash>>, u64),
        Three { a: i8, b: BTreeMap<String, ()> },
    }
}

mod types_25 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: String, b: u32 }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar { a: u64, b: BTreeMap<String, Vec<Box<Cedar>>> }
}

mod types_26 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One,
        Two,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Box<Beech>, b: BTreeMap<String, Box<Cedar>>, c: (Box<Beech>, BTreeMap<String, Box<Cedar>>, ) },
        Two(Vec<Box<Ash>>, (Box<Beech>, BTreeMap<String, Box<Cedar>>, )),
        Three((Box<Beech>, BTreeMap<String, Box<Cedar>>, ), Box<Ash>, i8),
        Four(Vec<Box<Ash>>, i8, Box<Beech>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One,
        Two { a: Box<Ash>, b: Box<Beech>, c: Box<Cedar> },
        Three { #[serde(default, skip_serializing_if = "Vec::is_empty")] a: Vec<Box<Ash>>, b: BTreeMap<String, Box<Cedar>>, c: i8 },
        Four { a: Vec<Box<Ash>>, b: Box<Cedar>, c: BTreeMap<String, Box<Cedar>> },
    }
}

mod types_27 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One(Box<Ash>, char),
        Two(Box<Ash>, Option<bool>),
        Three(bool, Box<Beech>, bool),
        Four {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(Box<Beech>, char),
        Two {  },
        Three,
    }
}

mod types_28 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One(Box<Beech>, (Box<Ash>, i32, Option<i32>, )),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(Option<i32>),
    }
}

mod types_29 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Option<(Box<Ash>, Box<Cedar>, Box<Ash>, )>, b: (Box<Beech>, (Box<Ash>, Box<Cedar>, Box<Ash>, ), ), c: (Box<Cedar>, ) },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(Option<Option<(Box<Ash>, Box<Cedar>, Box<Ash>, )>>, (Box<Cedar>, ), Option<(Box<Ash>, Box<Cedar>, Box<Ash>, )>),
        Two { a: (Box<Beech>, (Box<Ash>, Box<Cedar>, Box<Ash>, ), ) },
        Three((Box<Beech>, (Box<Ash>, Box<Cedar>, Box<Ash>, ), ), (Box<Cedar>, ), Option<(Box<Ash>, Box<Cedar>, Box<Ash>, )>),
    }
}

mod types_30 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One(Box<Ash>, u32, i8),
        Two {  },
        Three,
        Four(u32, String),
    }
}

mod types_46 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash(Box<Beech>, BTreeMap<String, ()>, Box<Fir>);

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech { #[serde(rename(serialize = "written"))] a: BTreeMap<String, ()>, b: i8, c: (Box<Cedar>, (), ) }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One { a: Vec<Box<Cedar>>, b: Vec<Box<Cedar>> },
        Two { a: (), b: BTreeMap<String, ()>, c: Box<Fir> },
        Three((Box<Cedar>, (), ), (Box<Cedar>, (), ), String),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One { a: i8 },
        Two { a: Box<Fir>, b: Vec<Box<Cedar>> },
        Three(Box<Ash>, Box<Beech>, String),
        Four { a: (Box<Cedar>, (), ) },
    }
}

mod types_53 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One {  },
        Two {  },
        Three(Box<Beech>),
        Four { a: u64 },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        #[serde(skip)] Seven,
        One { a: i64, b: u32 },
        Two { a: Box<Ash>, b: BTreeMap<String, u32>, c: Box<Beech> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar(Vec<u32>, u32, i64);
}

mod types_61 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        #[serde(rename(serialize = "Written"))] One,
        Two(BTreeMap<String, ()>, (BTreeMap<String, Box<Ash>>, BTreeMap<String, ()>, ), Box<Ash>),
        Three { a: String },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Box<Beech> },
        Two(Option<()>, Option<()>, Box<Beech>),
        Three,
    }
}

mod types_66 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { #[serde(alias = "aa")] a: Box<Ash>, b: char, c: () }
}

mod types_67 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash(BTreeMap<String, Box<Ash>>, BTreeMap<String, bool>, Box<Cedar>);

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { #[serde(alias = "xx")] a: bool, b: BTreeMap<String, bool> },
        Two { a: BTreeMap<String, Box<Ash>>, b: Vec<Box<Ash>> },
        Three(bool),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar(BTreeMap<String, bool>);

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One { a: Box<Ash>, b: Box<Fir> },
        Two { a: Box<Fir>, b: Box<Beech>, c: Box<Cedar> },
        Three,
        Four(Vec<Box<Ash>>, bool),
        Five,
    }
}

mod types_68 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Vec<Box<Ash>> },
        Two { #[serde(rename(serialize = "written"))] a: Box<Ash> },
        Three { a: Option<(i32, i32, i32, )>, b: Vec<i32>, c: Vec<Box<Ash>> },
    }
}

mod types_83 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: i64, #[serde(alias = "zz")] b: u32 }
}

mod types_111 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: i64, b: Box<Ash> }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech(Option<Option<u8>>);

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar { a: i8, b: i64 }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One(u32, Box<Beech>, i8),
        Two { a: u32, #[serde(default, skip_serializing_if = "Option::is_none")] b: Option<Option<u8>>, c: Option<u8> },
    }
}

mod types_112 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { #[serde(alias = "yy")] a: BTreeMap<String, u32>, b: (Box<Beech>, ) }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: u32 },
        Two { a: Box<Beech>, b: Vec<Box<Ash>> },
        Three(i64),
    }
}

mod types_114 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: i64, b: u32 },
        Two { #[serde(alias = "cc")] a: Box<Ash> },
        Three,
        Four(i64, i64, Option<u64>),
    }
}

mod types_147 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { #[serde(alias = "cc")] a: Option<Vec<()>>, b: Option<Vec<()>>, c: Box<Beech> },
        Two { a: Vec<()>, b: i32, c: () },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech {  }
}

mod types_172 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        #[serde(rename(serialize = "Written"))] One,
        Two(Option<String>, String),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One {  },
        Two(String, Vec<u32>, Box<Ash>),
        Three(String, Vec<u32>, Option<String>),
        Four { a: Option<String>, b: Option<String> },
    }
}

mod types_253 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: BTreeMap<String, Box<Ash>> },
        Two { #[serde(skip)] a: Vec<BTreeMap<String, Box<Ash>>> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One {  },
        Two { a: BTreeMap<String, i64> },
        Three { a: u8, b: BTreeMap<String, Box<Ash>>, c: i32 },
        Four(u8, i32),
    }
}

mod types_254 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        #[serde(skip)] Seven,
        One(i32),
    }
}

mod types_257 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: u64, b: u8, c: Box<Cedar> },
        Two { a: i64 },
        Three(Box<Beech>, BTreeMap<String, Box<Fir>>, u64),
        Four {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(u64, i32, Box<Ash>),
        Two { a: BTreeMap<String, Box<Fir>> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(i64),
        Two { #[serde(alias = "zz")] a: Box<Fir> },
        Three { a: Box<Beech>, b: String, c: Option<i64> },
        Four {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One {  },
        Two(i32, u64),
    }
}

mod types_259 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: i64, b: Box<Cedar> },
        Two,
        Three(Box<Beech>, u64),
        Four(Box<Beech>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: u64, b: (), c: () },
        #[serde(rename(serialize = "Written"))] Two(bool, i64, Box<Beech>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(bool, (), u64),
        Two { a: bool, b: i64 },
        Three { a: (Vec<Box<Cedar>>, ), b: Vec<Box<Cedar>> },
    }
}

mod types_273 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Beech>, b: i64 },
        Two {  },
        Three { a: BTreeMap<String, (Box<Beech>, )> },
        Four {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(BTreeMap<String, (Box<Beech>, )>, u8),
        #[serde(rename(serialize = "Written"))] Two(i32, String),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One { a: u8, b: u8, c: BTreeMap<String, (Box<Beech>, )> },
        Two(Box<Ash>),
        Three,
    }
}

mod types_302 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { #[serde(alias = "bb")] a: (Box<Beech>, Box<Ash>, ), b: Option<Box<Beech>> }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Box<Ash>, b: (Box<Beech>, (Box<Beech>, Box<Ash>, ), Box<Beech>, ), c: String },
        Two(bool, bool),
        Three(Box<Beech>, BTreeMap<String, (Box<Beech>, (Box<Beech>, Box<Ash>, ), Box<Beech>, )>),
    }
}

mod types_332 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: Box<Cedar>, #[serde(alias = "yy")] b: i64 }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Box<Ash> },
        Two(Box<Ash>),
        Three {  },
        Four(i64),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar;
}

mod types_352 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One,
        Two { a: String },
        Three(Box<Ash>),
        Four { a: Box<Ash>, b: Vec<Box<Cedar>> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Vec<Box<Cedar>>, b: Box<Ash>, #[serde(alias = "xx")] c: i32 },
        Two(i8, BTreeMap<String, char>),
        Three(u64, Box<Ash>, BTreeMap<String, Box<Cedar>>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(u64, char, BTreeMap<String, char>),
        Two { a: char, b: BTreeMap<String, char> },
        Three { a: Box<Beech>, b: i8, c: Box<Ash> },
    }
}

mod types_374 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One(BTreeMap<String, Box<Ash>>, Box<Beech>),
        Two { a: char },
        Three,
        Four(i32),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One((), char),
        Two { #[serde(rename(serialize = "written"))] a: i32, b: (Box<Beech>, Box<Ash>, bool, ), c: i32 },
    }
}

mod types_377 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { a: Vec<Box<Ash>>, b: (Box<Ash>, ), #[serde(alias = "yy")] c: String }
}

mod types_387 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { #[serde(rename(serialize = "written"))] a: bool },
        Two(char),
        Three { a: char },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One(bool, Option<Box<Ash>>, char),
        Two(bool, u64, ()),
        Three(Box<Beech>, Vec<(i8, )>),
    }
}

mod types_391 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: u64, #[serde(rename(serialize = "written"))] b: i32 },
        Two { a: Option<u32>, b: u8 },
        Three { a: (u32, u64, ), b: (u32, u64, ) },
        Four((), ()),
    }
}

mod types_403 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One,
        Two {  },
        Three(i64),
        Four(String, Vec<String>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { #[serde(skip)] a: i64 },
        Two(u8),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar { a: Box<Beech>, b: Vec<i8>, c: Vec<String> }
}

mod types_407 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One {  },
        Two(u64, Box<Beech>, i32),
        Three(bool),
        Four { a: i32, b: i32, c: String },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: i32, b: u32, c: BTreeMap<String, Box<Ash>> },
        Two(i32),
        Three { a: i32, #[serde(rename(serialize = "written"))] b: Box<Ash> },
    }
}

mod types_417 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One {  },
        Two(Box<Fir>, Box<Beech>, Option<Box<Cedar>>),
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Option<Box<Cedar>>, b: Box<Beech> },
        Two(Option<Option<Box<Cedar>>>, Box<Beech>),
        Three { a: Box<Fir>, b: Box<Fir>, c: Option<Box<Fir>> },
        Four { a: Box<Fir>, b: u8, c: Box<Cedar> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Cedar(Box<Beech>);

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One { #[serde(default, skip_serializing_if = "Option::is_none")] a: Option<Option<Box<Cedar>>> },
        Two(Option<Box<Fir>>, Box<Ash>),
    }
}

mod types_421 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Ash { #[serde(alias = "cc")] a: u32, b: Box<Cedar> }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Beech { a: (Option<Box<Cedar>>, ) }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One(BTreeMap<String, Box<Cedar>>, Box<Beech>, Box<Cedar>),
        Two {  },
        Three { a: i32 },
    }
}

mod types_431 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Ash> },
        Two(u64),
        Three { a: Box<Fir>, b: BTreeMap<String, Box<Fir>>, c: BTreeMap<String, Box<Fir>> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        One { a: Vec<Box<Ash>> },
        Two { a: Option<Box<Ash>>, b: (), #[serde(alias = "cc")] c: i32 },
        Three { a: Box<Beech>, b: BTreeMap<String, Box<Fir>>, c: Vec<Box<Ash>> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One { a: Box<Beech> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Fir {
        One(Option<Box<Fir>>),
        Two(BTreeMap<String, Box<Fir>>),
    }
}

mod types_452 {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) enum Ash {
        One { a: Box<Beech>, b: Box<Cedar> },
        Two,
        Three { a: String },
        Four { a: Box<Beech> },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Beech {
        #[serde(skip)] Seven,
        One {  },
    }

    #[derive(Serialize, Deserialize)]
    pub(super) enum Cedar {
        One,
    }
}
