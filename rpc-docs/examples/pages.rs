//! Writes the pages of a description: `cargo run -p rpc-docs --example pages -- description.json folder [page.md …]`.

use std::{env, error::Error, fs, path::Path};

use rpc_docs::{Description, html};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [description, folder, pages @ ..] = arguments.as_slice() else {
        return Err("usage: pages <description.json> <folder> [page.md …]".into());
    };
    let description = Description::from_json(&fs::read_to_string(description)?)?;
    let pages = pages.iter().map(|path| page(Path::new(path))).collect::<Result<_, _>>()?;
    html::render(&description, &html::Theme { pages, ..Default::default() }).write_to(folder)?;
    Ok(())
}

/// A page whose title is its first heading, or else the name of its file.
fn page(path: &Path) -> Result<html::Page, Box<dyn Error>> {
    let markdown = fs::read_to_string(path)?;
    let heading = markdown.lines().next().and_then(|line| line.strip_prefix("# "));
    let title =
        heading.map_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into(), str::to_owned);
    Ok(html::Page { title, markdown })
}
