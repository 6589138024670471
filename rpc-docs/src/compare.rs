//! Compares two versions of an API: the changes, and the calls that no longer work between the versions.
//!
//! ```text
//! old, new ─▶ calls.rs    rpc_core::schema::compatibility for each method, both ways ─▶ Refused   the verdict
//!          └▶ methods.rs, definitions.rs   differences in words                     ─▶ Change    the reasons
//! ```
//!
//! The verdict comes only from the rule that sessions enforce. The differences explain the verdict to people and never affect it.

use std::fmt;

use rpc_core::schema::compatibility::Compatibility;

use crate::description::{Description, Side};

mod calls;
mod definitions;
mod methods;
mod text;

/// The differences between two descriptions of one API.
///
/// `Display` prints them in words, with the verdict first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// All differences, in the order of the descriptions.
    pub changes: Vec<Change>,
    /// Calls that worked between two old sides and fail between an old and a new side.
    pub refused: Vec<Refused>,
    /// Calls by new sides of methods that old sides do not have yet.
    pub not_yet: Vec<Refused>,
}

/// The compatibility of two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The descriptions are equal.
    Unchanged,
    /// Every call that worked works between the old and the new version too.
    Compatible,
    /// Some call that worked is refused between the old and the new version.
    Breaking,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The place of the change.
    pub place: Place,
    /// The change, in words.
    pub what: String,
    /// Refused methods whose signatures contain the changed type.
    pub refused: Vec<MethodName>,
}

/// The place of a change.
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
    /// The service's wire name.
    pub service: String,
    /// The method's wire name.
    pub method: String,
}

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The version that is checked in.
    Old,
    /// The version in the code.
    New,
}

/// Calls that are refused between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The called method.
    pub method: MethodName,
    /// The calling side.
    pub caller: Side,
    /// The caller's version; the called side has the other one.
    pub caller_version: Version,
    /// Why the call fails.
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
    /// The verdict on the two versions.
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
