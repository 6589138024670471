//! A comparison in words.

use std::fmt;

use rpc_core::compatibility::Compatibility;

use super::{Change, Comparison, Place, Refused, Verdict, Version};
use crate::description::Side;

/// Methods that one line names.
const NAMES_MAX: usize = 6;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict() {
            Verdict::Unchanged => return writeln!(f, "unchanged"),
            Verdict::Compatible if self.not_yet.is_empty() => {
                writeln!(f, "COMPATIBLE: every call works between old and new, in both directions")?;
            }
            Verdict::Compatible => {
                writeln!(f, "COMPATIBLE: every call that worked works between old and new")?
            }
            Verdict::Breaking => writeln!(f, "BREAKING: calls that worked are refused between old and new")?,
        }
        write_changes(f, &self.changes)?;
        for version in [Version::Old, Version::New] {
            for side in [Side::Client, Side::Server, Side::Both] {
                let refused =
                    self.refused.iter().filter(|call| (call.caller_version, call.caller) == (version, side));
                write_refused(f, (version, side), &refused.collect::<Vec<_>>())?;
            }
        }
        if let Some(first) = self.not_yet.first() {
            writeln!(
                f,
                "\nThese can be called once the other side is new as well, and until then are refused:"
            )?;
            let names: Vec<String> = self.not_yet.iter().map(|call| call.method.to_string()).collect();
            writeln!(f, "  {} ({})", shortened(&names), why(first.why))?;
        }
        Ok(())
    }
}

fn write_changes(f: &mut fmt::Formatter<'_>, changes: &[Change]) -> fmt::Result {
    let mut last: Option<&Place> = None;
    for Change { place, what, refused } in changes {
        if last != Some(place) {
            writeln!(f, "\n  {place}")?;
            last = Some(place);
        }
        let names: Vec<String> = refused.iter().map(ToString::to_string).collect();
        match &names[..] {
            [] => writeln!(f, "    - {what}")?,
            names => writeln!(f, "    - {what} (in {})", shortened(names))?,
        }
    }
    Ok(())
}

fn write_refused(
    f: &mut fmt::Formatter<'_>,
    (version, side): (Version, Side),
    refused: &[&Refused],
) -> fmt::Result {
    if refused.is_empty() {
        return Ok(());
    }
    let (version, other_version) = match version {
        Version::Old => ("Old", "new"),
        Version::New => ("New", "old"),
    };
    let (side, other) = match side {
        Side::Client => ("clients", "servers"),
        Side::Server => ("servers", "clients"),
        Side::Both => ("callers", "ones"),
    };
    writeln!(f, "\n{version} {side} that call {other_version} {other} are refused:")?;
    for call in refused {
        writeln!(f, "  {}: {}", call.method, why(call.why))?;
    }
    Ok(())
}

fn why(why: Compatibility) -> &'static str {
    match why {
        Compatibility::Works => "it works",
        Compatibility::UnknownService => "the other side does not offer the service",
        Compatibility::UnknownMethod => "the other side has no such method",
        Compatibility::NotCallable => "its types cannot travel",
        Compatibility::SchemaMismatch => "the two sides have different arguments, results or errors",
    }
}

fn shortened(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Api => write!(f, "the API"),
            Place::Service(name) => write!(f, "service {name}"),
            Place::Method(name) => write!(f, "method {name}"),
            Place::Type(name) => write!(f, "type {name}"),
        }
    }
}
