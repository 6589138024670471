//! What the macros write, compiled and used: it must build whatever the user calls things, and describe them rightly.
// The items look as they would in an API crate, where they are reachable; some are compiled only.
#![allow(unreachable_pub, dead_code)]

/// One module a subject.
pub mod generated {
    mod conditional;
    mod data;
    mod description;
    pub mod documented;
    mod hygiene;
    mod pipes;
    mod renamed;
    mod shadowed;
    mod taken;
}
