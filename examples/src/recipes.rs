//! The programs of `docs/recipes/` and of the README. Each page quotes regions of one file; the tests run what they quote.

mod apps;
mod failures;
mod instead;
mod migrating;
mod quotes;
mod subscriptions;
mod testing;
mod token;
mod transfers;
mod versions;

/// The end of a test.
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
