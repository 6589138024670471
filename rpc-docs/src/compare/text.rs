//! Prints a comparison in words.

use std::{collections::BTreeSet, fmt};

use rpc_core::schema::compatibility::Compatibility;

use super::{Change, Comparison, Place, Refused, Verdict, Version};
use crate::description::Side;

/// The maximum number of methods on one line.
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
        for side in [Side::Client, Side::Server, Side::Both] {
            write_refused(f, side, &self.refused)?;
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

/// Writes the refused calls of one side, each method once, with the direction and the reason.
fn write_refused(f: &mut fmt::Formatter<'_>, side: Side, refused: &[Refused]) -> fmt::Result {
    let (side_name, other) = match side {
        Side::Client => ("clients", "servers"),
        Side::Server => ("servers", "clients"),
        Side::Both => ("callers", "ones"),
    };
    let by = |version: Version| {
        let of_version = move |call: &&Refused| (call.caller_version, call.caller) == (version, side);
        refused.iter().filter(of_version)
    };
    let is_among = |call: &Refused, mut others: Box<dyn Iterator<Item = &Refused> + '_>| {
        others.any(|other| (&other.method, other.why) == (&call.method, call.why))
    };
    let both = by(Version::Old).filter(|call| is_among(call, Box::new(by(Version::New))));
    let old = by(Version::Old).filter(|call| !is_among(call, Box::new(by(Version::New))));
    let new = by(Version::New).filter(|call| !is_among(call, Box::new(by(Version::Old))));
    let both_title = format!(
        "Old {side_name} that call new {other} are refused, and new {side_name} that call old {other}:"
    );
    let old_title = format!("Old {side_name} that call new {other} are refused:");
    let new_title = format!("New {side_name} that call old {other} are refused:");
    write_by_reason(f, &both_title, &both.collect::<Vec<_>>())?;
    write_by_reason(f, &old_title, &old.collect::<Vec<_>>())?;
    write_by_reason(f, &new_title, &new.collect::<Vec<_>>())
}

fn write_by_reason(f: &mut fmt::Formatter<'_>, title: &str, refused: &[&Refused]) -> fmt::Result {
    let reasons: BTreeSet<Compatibility> = refused.iter().map(|call| call.why).collect();
    if !reasons.is_empty() {
        writeln!(f, "\n{title}")?;
    }
    for reason in reasons {
        let of_reason = refused.iter().filter(|call| call.why == reason);
        let names: Vec<String> = of_reason.map(|call| call.method.to_string()).collect();
        writeln!(f, "  {}: {}", shortened(&names), why(reason))?;
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
