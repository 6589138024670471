//! The check that the recipes quote code that is compiled: `UPDATE_RECIPES=1` writes the quotes anew.
//!
//! A quote is a fenced block behind a line `<!-- examples/src/recipes/token.rs#api -->`. The file has the same lines between
//! `// region: api` and `// end`, indented or not. A block of Rust that is no quote stands behind a line `<!-- not compiled: … -->`
//! which says why.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// The text of each region, by `file#region`.
type Regions = BTreeMap<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in a workspace").to_owned()
}

/// The files of a folder with this ending, by name.
fn files(folder: &Path, ending: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("the file can be read").replace("\r\n", "\n"))
    };
    wanted.map(read).collect()
}

/// The lines without the indentation that all of them have.
fn without_indentation(lines: &[&str]) -> String {
    let full = lines.iter().filter(|line| !line.trim().is_empty());
    let indentation = full.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(indentation..).unwrap_or_default())).collect()
}

fn regions() -> Regions {
    let mut regions = Regions::new();
    for (file, text) in files(&root().join("examples/src/recipes"), "rs") {
        let mut open: Option<(String, Vec<&str>)> = None;
        for line in text.lines() {
            match (line.trim().strip_prefix("// region: "), &mut open) {
                (Some(name), None) => {
                    open = Some((format!("examples/src/recipes/{file}#{name}"), Vec::new()));
                }
                (Some(name), Some(_)) => panic!("{file}: the region `{name}` begins inside another"),
                (None, Some(_)) if line.trim() == "// end" => {
                    let (name, lines) = open.take().expect("the region is open");
                    assert!(
                        regions.insert(name.clone(), without_indentation(&lines)).is_none(),
                        "{name} twice"
                    );
                }
                (None, Some((_, lines))) => lines.push(line),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{file}: a region has no `// end`");
    }
    regions
}

/// The page with its quotes as the files have them. Notes the regions that it quotes.
fn with_quotes(page: &str, text: &str, regions: &Regions, quoted: &mut BTreeSet<String>) -> String {
    let mut written = String::new();
    let mut lines = text.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        written.push_str(line);
        written.push('\n');
        if line.starts_with("```rust") {
            let mark = before.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->"));
            let mark = mark.unwrap_or_else(|| panic!("{page}: a block says neither whence nor why:\n{line}"));
            let block: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            let code = match mark.strip_prefix("not compiled: ") {
                Some(_) => &block,
                None => {
                    quoted.insert(mark.to_owned());
                    regions.get(mark).unwrap_or_else(|| panic!("{page}: there is no region {mark}"))
                }
            };
            written.push_str(code);
            written.push_str("```\n");
        }
        before = line;
    }
    written
}

/// The recipes and the README, by path.
fn pages() -> BTreeMap<String, String> {
    let recipes = files(&root().join("docs/recipes"), "md").into_iter();
    let recipes = recipes.map(|(name, text)| (format!("docs/recipes/{name}"), text));
    let mut at_root = files(&root(), "md");
    at_root.retain(|name, _| name == "README.md");
    recipes.chain(at_root).collect()
}

#[test]
fn the_recipes_quote_code_that_is_compiled() {
    let (regions, mut quoted) = (regions(), BTreeSet::new());
    for (page, text) in pages() {
        let written = with_quotes(&page, &text, &regions, &mut quoted);
        if env::var_os("UPDATE_RECIPES").is_some() {
            fs::write(root().join(&page), written).expect("the page can be written");
        } else {
            let other = text.lines().zip(written.lines()).find(|(line, code)| line != code);
            assert_eq!(other, None, "{page} quotes other code: UPDATE_RECIPES=1 writes it anew");
            assert_eq!(text.len(), written.len(), "{page} ends otherwise: UPDATE_RECIPES=1 writes it anew");
        }
    }
    let unquoted: Vec<&String> = regions.keys().filter(|region| !quoted.contains(*region)).collect();
    assert!(unquoted.is_empty(), "no page quotes {unquoted:?}");
}

#[test]
fn the_recipes_link_to_files_that_exist() {
    for (page, text) in pages() {
        let path = root().join(&page);
        let folder = path.parent().expect("a page lies in a folder");
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let is_file = !target.is_empty() && !target.contains("://");
            assert!(!is_file || folder.join(target).exists(), "{page}: {target} does not exist");
        }
    }
}
