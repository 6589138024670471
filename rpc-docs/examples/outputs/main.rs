//! Writes what other programs check: `outputs <description.json, chat, hostile, big or workshop> <folder> [page.md …]`.
#![allow(clippy::print_stderr, reason = "it says what it wrote")]

use std::{env, error::Error, fs, path::Path, time::Instant};

use rpc_docs::{
    Api, Description, description, examples,
    html::{self, Page, Theme},
    outputs,
};

#[path = "../../src/fixtures.rs"]
mod fixtures;
#[allow(missing_docs, unreachable_pub, dead_code, reason = "an API to be described, not to be used")]
mod workshop;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, folder, pages @ ..] = arguments.as_slice() else {
        return Err(
            "usage: outputs <description.json, chat, hostile, big or workshop> <folder> [page.md …]".into()
        );
    };
    let description = match source.as_str() {
        "chat" => fixtures::chat(),
        "hostile" => fixtures::hostile(),
        "big" => fixtures::big(),
        "workshop" => Api::new("Workshop", "1.0.0").service::<workshop::WorkshopClient>().describe(),
        file => Description::from_json(&fs::read_to_string(file)?)?,
    };
    let pages = pages.iter().map(|path| page(Path::new(path))).collect::<Result<_, _>>()?;
    let theme = Theme { pages, ..Theme::default() };
    let start = Instant::now();
    let pages = html::render(&description, &theme).files().count();
    eprintln!("pages: {pages} files in {:.0} ms", start.elapsed().as_secs_f64() * 1000.0);
    let start = Instant::now();
    let files = outputs(&description, &theme);
    let bytes: usize = files.files().map(|(_, contents)| contents.len()).sum();
    eprintln!("all outputs: {bytes} bytes in {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    files.write_to(folder)?;
    if source == "workshop" {
        fs::write(Path::new(folder).join("values.json"), workshop::values().to_string())?;
    }
    let start = Instant::now();
    fs::write(Path::new(folder).join("examples.rs"), examples::rust_file(&description, "crate::api"))?;
    fs::write(Path::new(folder).join("examples.ts"), examples::typescript_file(&description))?;
    eprintln!("examples to compile: in {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

/// A page whose title is its first heading, or else the name of its file.
fn page(path: &Path) -> Result<Page, Box<dyn Error>> {
    let markdown = fs::read_to_string(path)?;
    let heading = markdown.lines().next().and_then(|line| line.strip_prefix("# "));
    let title =
        heading.map_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into(), str::to_owned);
    Ok(Page { title, markdown })
}
