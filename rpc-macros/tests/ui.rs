//! What users read when they make a mistake: the messages and where they point.
//!
//! `TRYBUILD=overwrite cargo nextest run -p rpc-macros` writes the `.stderr` files anew.

#[test]
fn every_mistake_is_explained_at_the_users_token() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
