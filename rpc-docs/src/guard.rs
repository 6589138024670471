//! Checks that the description that is checked in matches the code.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rpc_core::schema::compatibility::Compatibility;

use crate::{
    Api, Description, DescriptionError,
    compare::{Comparison, Verdict, compare},
};

/// The environment variable that accepts changes: `UPDATE_API=compatible`, or `UPDATE_API=breaking` for any change.
pub const ACCEPT: &str = "UPDATE_API";

/// The changes that a check may write to the description file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// No change.
    Nothing,
    /// Compatible changes only.
    Compatible,
    /// Any change, and a description in place of a damaged one.
    Breaking,
}

/// The outcome of a successful check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checked {
    /// The file matches the code.
    Unchanged,
    /// The file was missing or damaged, and was written.
    Created,
    /// The file was updated with these changes.
    Accepted(Comparison),
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The file does not exist.
    #[error("there is no description at {}; write it with {ACCEPT}=compatible and check it in", path.display())]
    Missing {
        /// The path of the missing file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("the description at {} cannot be read or written", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },
    /// The file is not a description that this version can read.
    #[error("{error} ({}; restore it, or write it anew with {ACCEPT}=breaking)", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The fault of the description.
        #[source]
        error: DescriptionError,
    },
    /// The API differs from the file, and the change was not accepted.
    #[error("{}the API is not what {} says.\n\n{comparison}\n{}", not_written(*accept), path.display(), remedy(comparison))]
    Changed {
        /// The path of the file.
        path: PathBuf,
        /// The changes that the check was allowed to write.
        accept: Accept,
        /// The differences.
        comparison: Comparison,
    },
    /// The API is unchanged for callers, but the file's text differs: a type has moved, or the file was edited.
    #[error("nothing changed for callers, but {} is not what would be written; write it anew with {ACCEPT}=compatible", path.display())]
    Stale {
        /// The path of the file.
        path: PathBuf,
    },
}

fn not_written(accept: Accept) -> String {
    match accept {
        Accept::Compatible => {
            format!("nothing was written: {ACCEPT}=compatible accepts changes that break nobody.\n")
        }
        Accept::Nothing | Accept::Breaking => String::new(),
    }
}

/// Advice for each reason why calls are refused.
fn remedy(comparison: &Comparison) -> String {
    let has = |reasons: &[Compatibility]| comparison.refused.iter().any(|call| reasons.contains(&call.why));
    let mut remedies = Vec::new();
    if has(&[Compatibility::UnknownMethod, Compatibility::UnknownService]) {
        remedies.push(
            "Keep what others call, mark it `#[deprecated]`, and remove it when nobody does any more. What was only renamed \
             keeps its name on the wire with `#[rpc(name = \"…\")]`.",
        );
    }
    if has(&[Compatibility::SchemaMismatch]) {
        remedies.push(
            "Add a method beside the old one, with types of its own, and deprecate that. A field or variant that was only \
             renamed keeps its name on the wire with `#[serde(rename = \"…\")]`.",
        );
    }
    let mut text = remedies.join("\n");
    match comparison.verdict() {
        Verdict::Breaking => {
            let accept =
                format!("\nIf it is meant, run this again with {ACCEPT}=breaking and check the file in.");
            text.push_str(&accept);
            text
        }
        Verdict::Compatible | Verdict::Unchanged => {
            format!("If it is meant, run this again with {ACCEPT}=compatible and check the file in.")
        }
    }
}

/// Compares the API with the description at `path`, and updates the file as far as `accept` allows.
///
/// [`assert_unchanged!`](crate::assert_unchanged) runs this check in one line of a test.
///
/// # Errors
/// If the API differs, or the file is missing, damaged, or cannot be read or written.
pub fn check(path: impl AsRef<Path>, api: &Api, accept: Accept) -> Result<Checked, GuardError> {
    let path = path.as_ref();
    let new = api.describe();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && accept != Accept::Nothing => {
            return write(path, &new).map(|()| Checked::Created);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(GuardError::Missing { path: path.into() });
        }
        // A file that is not UTF-8 counts as damaged.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(GuardError::File { path: path.into(), error }),
    };
    // Git may have converted the line ends, and an editor may have added a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
    if text == new.to_json() {
        return Ok(Checked::Unchanged);
    }
    let old = match Description::from_json(&text) {
        Ok(old) => old,
        Err(_) if accept == Accept::Breaking => return write(path, &new).map(|()| Checked::Created),
        Err(error) => return Err(GuardError::Unreadable { path: path.into(), error }),
    };
    let comparison = compare(&old, &new);
    let is_accepted = match comparison.verdict() {
        Verdict::Breaking => accept == Accept::Breaking,
        Verdict::Compatible | Verdict::Unchanged => accept != Accept::Nothing,
    };
    match (is_accepted, comparison.verdict()) {
        (true, _) => write(path, &new).map(|()| Checked::Accepted(comparison)),
        (false, Verdict::Unchanged) => Err(GuardError::Stale { path: path.into() }),
        (false, _) => Err(GuardError::Changed { path: path.into(), accept, comparison }),
    }
}

fn write(path: &Path, description: &Description) -> Result<(), GuardError> {
    let written = match path.parent() {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    };
    // The rename is atomic: concurrent readers see the old file or the new one.
    let new = path.with_extension("new");
    let written =
        written.and_then(|()| fs::write(&new, description.to_json())).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| GuardError::File { path: path.into(), error })
}

/// Reads [`ACCEPT`] from the environment, for [`assert_unchanged!`](crate::assert_unchanged).
///
/// # Panics
/// If the variable has a value other than `compatible` or `breaking`.
#[doc(hidden)]
#[track_caller]
pub fn accepted_by_environment() -> Accept {
    let value = std::env::var_os(ACCEPT).unwrap_or_default();
    match value.to_str() {
        Some("") => Accept::Nothing,
        Some("compatible") => Accept::Compatible,
        Some("breaking") => Accept::Breaking,
        _ => panic!("{ACCEPT} is `compatible` or `breaking`, not `{}`", value.display()),
    }
}

/// The error's text with the operating system's error, for [`assert_unchanged!`](crate::assert_unchanged).
#[doc(hidden)]
pub fn told(error: &GuardError) -> String {
    match error {
        GuardError::File { error: why, .. } => format!("{error}: {why}"),
        GuardError::Missing { .. }
        | GuardError::Unreadable { .. }
        | GuardError::Changed { .. }
        | GuardError::Stale { .. } => error.to_string(),
    }
}

/// Panics if the API differs from the description at a path. The message lists the differences and the calls that they break.
///
/// The path is relative to the crate's folder. `UPDATE_API=compatible` creates the file, or updates it if all changes are
/// compatible. `UPDATE_API=breaking` writes it in any case.
///
/// ```no_run
/// # #[rpc_core::rpc]
/// # trait Greeter {
/// #     async fn greet(&self, name: String) -> String;
/// # }
/// #[test]
/// fn the_api_is_what_its_description_says() {
///     let api = rpc_docs::Api::new("Greetings", "1.0.0").service::<GreeterClient>();
///     rpc_docs::assert_unchanged!("api/greetings.json", api);
/// }
/// ```
#[macro_export]
macro_rules! assert_unchanged {
    ($path:expr, $api:expr $(,)?) => {{
        let path = ::std::path::Path::new(::core::env!("CARGO_MANIFEST_DIR")).join($path);
        if let Err(error) = $crate::guard::check(path, &$api, $crate::guard::accepted_by_environment()) {
            ::core::panic!("{}", $crate::guard::told(&error));
        }
    }};
}

#[cfg(test)]
mod tests; // guard/tests.rs: editing tests does not rebuild the library
