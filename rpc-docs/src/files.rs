//! The files of a documentation, and how they get into a folder.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The list of the files that were written, with a checksum each: a later run removes what it no longer writes.
const LIST: &str = ".rpc-docs";

/// The files of a documentation, by name. All of them belong into one folder; a name may have `/` in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    files: BTreeMap<String, Vec<u8>>,
}

/// Why a documentation was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file system refused.
    #[error("`{path}` could not be {action}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `written`, `removed`, `made`.
        action: &'static str,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// A file of another origin stands where one of ours belongs. Nothing was written.
    #[error("`{path}` was not written by rpc-docs: move it away, or choose another folder")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

impl Files {
    pub(crate) fn put(&mut self, name: impl Into<String>, contents: impl Into<Vec<u8>>) {
        // Of two services of one name, which no description that was read has, the last is shown.
        self.files.insert(name.into(), contents.into());
    }

    /// The files in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, contents)| (&**name, &**contents))
    }

    /// The contents of one file.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|contents| &**contents)
    }

    /// Writes all files into a folder, which is made if it is not there.
    ///
    /// Files that an earlier call wrote and this documentation does not have are removed. All others in the folder stay
    /// as they are: which files are ours is kept in a list, `.rpc-docs`, in the folder.
    ///
    /// # Errors
    /// That a file could not be read, written or removed, with its path; or that a file of another origin stands where one of
    /// ours belongs.
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

    /// Removes what an earlier call wrote, unless somebody has changed it since.
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

/// The files of an earlier call. A damaged line names no file; a name that leads out of the folder is none of ours.
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

/// FNV-1a: it only has to notice edits.
pub(crate) fn checksum_of(contents: &[u8]) -> u64 {
    contents.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
