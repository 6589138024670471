//! The files of a documentation, and writing them into a folder.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The file that lists all written files with checksums. A later run uses it to remove files that it no longer writes.
const LIST: &str = ".rpc-docs";

/// The files of a documentation, by name. All of them belong in one folder; names may contain `/`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    files: BTreeMap<String, Vec<u8>>,
}

/// Why the documentation was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file or folder could not be accessed.
    #[error("`{path}` could not be {action}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation that failed: `read`, `written`, `removed`, `made`.
        action: &'static str,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// A file that rpc-docs did not write has the name of one of these files. Nothing was written.
    #[error("`{path}` was not written by rpc-docs: move it away, or choose another folder")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

impl Files {
    pub(crate) fn put(&mut self, name: impl Into<String>, contents: impl Into<Vec<u8>>) {
        // Of two services with one name, the last one is kept. Descriptions that were read have no such services.
        self.files.insert(name.into(), contents.into());
    }

    /// All files with their contents, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, contents)| (&**name, &**contents))
    }

    /// The contents of one file.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|contents| &**contents)
    }

    /// Writes all files into a folder, which is created if it does not exist.
    ///
    /// Removes files that an earlier call wrote and this documentation does not have. Other files in the folder stay as they are:
    /// the file `.rpc-docs` in the folder lists the written files.
    ///
    /// # Errors
    /// If a file could not be read, written or removed; or if a file that rpc-docs did not write has the name of one of these
    /// files. The error names the path.
    pub fn write_to(&self, folder: impl AsRef<Path>) -> Result<(), WriteError> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder).map_err(failed(folder, "made"))?;
        let ours = written_before(folder)?;
        for (name, contents) in &self.files {
            let path = folder.join(name);
            if !ours.contains_key(name) && read(&path)?.is_some_and(|found| found != *contents) {
                return Err(WriteError::Foreign { path });
            }
        }
        for (name, contents) in &self.files {
            let path = folder.join(name);
            if let Some(below) = path.parent() {
                fs::create_dir_all(below).map_err(failed(below, "made"))?;
            }
            fs::write(&path, contents).map_err(failed(&path, "written"))?;
        }
        self.remove_stale(folder, &ours)?;
        let list = folder.join(LIST);
        fs::write(&list, self.list()).map_err(failed(&list, "written"))
    }

    /// Removes files that an earlier call wrote, unless they were changed since.
    fn remove_stale(&self, folder: &Path, ours: &BTreeMap<String, u64>) -> Result<(), WriteError> {
        // On a file system that ignores case, a stale name may be another spelling of one that was just written.
        let current: Vec<String> = self.files.keys().map(|name| name.to_lowercase()).collect();
        for (name, checksum) in ours.iter().filter(|(name, _)| !current.contains(&name.to_lowercase())) {
            let path = folder.join(name);
            if read(&path)?.is_some_and(|found| checksum_of(&found) == *checksum) {
                fs::remove_file(&path).map_err(failed(&path, "removed"))?;
            }
        }
        Ok(())
    }

    fn list(&self) -> String {
        let mut list =
            String::from("# Files that rpc-docs wrote. It removes them when the API no longer has them.\n");
        for (name, contents) in &self.files {
            let _ = writeln!(list, "{:016x} {name}", checksum_of(contents));
        }
        list
    }
}

/// The files written by an earlier call, with checksums. Ignores damaged lines and names that lead out of the folder.
fn written_before(folder: &Path) -> Result<BTreeMap<String, u64>, WriteError> {
    let Some(list) = read(&folder.join(LIST))? else { return Ok(BTreeMap::new()) };
    let line = |line: &str| {
        let (checksum, name) = line.split_once(' ')?;
        let checksum = u64::from_str_radix(checksum, 16).ok()?;
        let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':']);
        name.split('/').all(is_plain).then(|| (name.to_owned(), checksum))
    };
    Ok(String::from_utf8_lossy(&list).lines().filter_map(line).collect())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, WriteError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read")(error)),
    }
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io { path, action, source }
}

/// A checksum (FNV-1a). It only has to detect edits.
pub(crate) fn checksum_of(contents: &[u8]) -> u64 {
    contents.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
