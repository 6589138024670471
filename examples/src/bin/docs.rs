//! Writes the chat's documentation: `cargo run -p examples --bin docs`, or with another folder after `--`.
#![allow(clippy::print_stdout, reason = "it says what it wrote")]

use std::{env, error::Error, path::PathBuf, time::Instant};

use rpc_docs::{
    html::{Page, Theme},
    outputs,
};

fn main() -> Result<(), Box<dyn Error>> {
    let target = || env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = env::args_os().nth(1).map_or_else(|| target().join("docs/chat"), PathBuf::from);
    let start = Instant::now();
    let description = examples::chat::docs::api().describe();
    let described = start.elapsed();
    let guide = Page { title: "First steps".into(), markdown: include_str!("../chat/first-steps.md").into() };
    let files = outputs(&description, &Theme { pages: vec![guide], ..Theme::default() });
    files.write_to(&folder)?;
    println!(
        "Described in {described:.1?}, {} files written in {:.1?}. Open {}",
        files.files().count(),
        start.elapsed() - described,
        folder.canonicalize()?.join("index.html").display()
    );
    Ok(())
}
