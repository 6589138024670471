//! Two versions of an API compared: what changed, and which calls no longer work between them.
//!
//! ```text
//! old, new ─▶ calls.rs    rpc_core::compatibility for each method, both ways ─▶ Refused   the verdict
//!          └▶ methods.rs, definitions.rs   differences in words                     ─▶ Change    the reasons
//! ```
//!
//! The verdict comes from the rule that sessions enforce and from nothing else. The differences are for people: they explain
//! a verdict, and never make one.

use std::fmt;

use rpc_core::compatibility::Compatibility;

use crate::description::{Description, Side};

mod calls;
mod definitions;
mod methods;
mod text;

/// What changed between two descriptions of one API.
///
/// Its `Display` says it in words, with the verdict first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// All differences, in the order of the descriptions.
    pub changes: Vec<Change>,
    /// Calls that both old sides could make, and that fail between an old and a new one.
    pub refused: Vec<Refused>,
    /// Calls of methods that only the new version has, at old sides.
    pub not_yet: Vec<Refused>,
}

/// How two versions stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing differs.
    Unchanged,
    /// Every call that worked works between the old and the new version too.
    Compatible,
    /// Some call that worked is refused between them.
    Breaking,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Where it is.
    pub place: Place,
    /// What it is, in words.
    pub what: String,
    /// Methods whose signatures differ, and in which the changed type is.
    pub refused: Vec<MethodName>,
}

/// Where something changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the API as a whole.
    Api,
    /// In a service, by its name on the wire.
    Service(String),
    /// In a method.
    Method(MethodName),
    /// In a type, by its name in the description.
    Type(String),
}

/// A method by its names on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MethodName {
    /// The service's.
    pub service: String,
    /// The method's.
    pub method: String,
}

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The one that is checked in.
    Old,
    /// The one that is in the code.
    New,
}

/// Calls that are refused between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The method that is called.
    pub method: MethodName,
    /// Which side calls.
    pub caller: Side,
    /// Which version the caller has; the called side has the other.
    pub caller_version: Version,
    /// Why it fails.
    pub why: Compatibility,
}

/// Compares two versions of an API.
///
/// ```
/// use rpc_docs::{Api, compare::{Verdict, compare}};
///
/// mod v1 {
///     #[rpc_core::rpc]
///     pub trait Greeter {
///         async fn greet(&self, name: String) -> String;
///     }
/// }
/// mod v2 {
///     #[rpc_core::rpc]
///     pub trait Greeter {
///         async fn greet(&self, name: String) -> String;
///         async fn part(&self);
///     }
/// }
///
/// let old = Api::new("Greetings", "1").service::<v1::GreeterClient>().describe();
/// let new = Api::new("Greetings", "2").service::<v2::GreeterClient>().describe();
/// assert_eq!(compare(&old, &new).verdict(), Verdict::Compatible);
/// assert_eq!(compare(&new, &old).verdict(), Verdict::Breaking);
/// ```
pub fn compare(old: &Description, new: &Description) -> Comparison {
    let (refused, not_yet) = calls::refused(old, new);
    let mut changes = methods::changes(old, new);
    changes.extend(definitions::changes(old, new, &refused));
    Comparison { changes, refused, not_yet }
}

impl Comparison {
    /// How the versions stand to each other.
    pub fn verdict(&self) -> Verdict {
        match (&self.refused[..], &self.changes[..]) {
            ([], []) => Verdict::Unchanged,
            ([], _) => Verdict::Compatible,
            _ => Verdict::Breaking,
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.method)
    }
}
