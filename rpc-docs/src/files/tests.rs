use super::*;

/// A temporary folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rpc-docs-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn site(files: &[(&str, &str)]) -> Files {
    let mut site = Files::default();
    for (name, contents) in files {
        site.put(*name, *contents);
    }
    site
}

#[test]
fn stale_files_of_ours_go_and_foreign_ones_stay() {
    let folder = Folder::new("stale");
    site(&[("index.html", "1"), ("service.Old.html", "old"), ("service.Mine.html", "ours")])
        .write_to(&folder.0)
        .unwrap();
    fs::write(folder.0.join("notes.txt"), "foreign").unwrap();
    fs::write(folder.0.join("service.Mine.html"), "changed by hand").unwrap();
    site(&[("index.html", "2")]).write_to(&folder.0).unwrap();
    assert_eq!(folder.names(), [".rpc-docs", "index.html", "notes.txt", "service.Mine.html"]);
    assert_eq!(fs::read_to_string(folder.0.join("index.html")).unwrap(), "2");
}

#[test]
fn a_foreign_file_is_not_overwritten() {
    let folder = Folder::new("foreign");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("index.html"), "foreign").unwrap();
    let error = site(&[("a.css", ""), ("index.html", "ours")]).write_to(&folder.0).unwrap_err();
    assert!(matches!(&error, WriteError::Foreign { path } if path.ends_with("index.html")), "{error}");
    assert_eq!(folder.names(), ["index.html"], "nothing was written");
}

#[test]
fn a_list_that_names_files_elsewhere_removes_nothing() {
    let folder = Folder::new("list");
    let inside = folder.0.join("inside");
    fs::create_dir_all(&inside).unwrap();
    fs::write(folder.0.join("precious"), "x").unwrap();
    let checksum = checksum_of(b"x");
    fs::write(inside.join(LIST), format!("{checksum:016x} ../precious\nnonsense\n{checksum:016x} .\n"))
        .unwrap();
    site(&[("index.html", "1")]).write_to(&inside).unwrap();
    assert!(folder.0.join("precious").exists());
}

#[test]
fn errors_name_the_path() {
    let folder = Folder::new("errors");
    fs::create_dir_all(folder.0.join("index.html")).unwrap();
    let error = site(&[("index.html", "1")]).write_to(&folder.0).unwrap_err();
    assert!(error.to_string().contains("index.html"), "{error}");
}
