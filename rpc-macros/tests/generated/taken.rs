//! Generated code where every word of it is also a constant and a type of the user's.
#![allow(non_camel_case_types, non_upper_case_globals, clippy::upper_case_acronyms)]

/// Input: `call incoming`. Output: a constant, of which a pattern of that name would be a use, and a type of each name.
macro_rules! take {
    ($($word:ident)*) => {
        $(
            pub const $word: Taken = Taken;
            pub enum $word {}
        )*
    };
}

#[derive(PartialEq, Eq)]
pub struct Taken;

mod words {
    use super::Taken;
    include!("taken/words.rs");
}

/// As unit variants, which users bring into scope with `use Kind::*`.
mod variants {
    macro_rules! take {
        ($($word:ident)*) => {
            pub enum Kind { $($word),* }
        };
    }
    include!("taken/words.rs");
}

/// The user's own types and arguments have names of their own; everything else is taken.
mod by_constants {
    #[allow(unused_imports)]
    use super::words::*;
    include!("taken/services.rs");
}

mod by_variants {
    #[allow(unused_imports)]
    use super::variants::Kind::*;
    include!("taken/services.rs");
}
