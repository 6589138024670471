//! Readable names of types, made from Rust's paths.

use std::collections::{BTreeMap, BTreeSet};

/// The paths of types that get no definition: they are described as the kind of value that they read.
const PRIMITIVE: &[&str] = &[
    "()",
    "bool",
    "char",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "f32",
    "f64",
    "&str",
    "str",
    "alloc::string::String",
    "alloc::boxed::Box<str>",
    "alloc::rc::Rc<str>",
    "alloc::sync::Arc<str>",
    "alloc::borrow::Cow<str>",
    "alloc::vec::Vec<u8>",
    "alloc::boxed::Box<[u8]>",
    "&[u8]",
    "bytes::bytes::Bytes",
    "bytes::bytes_mut::BytesMut",
    "serde_bytes::bytebuf::ByteBuf",
];

/// Whether a type of this path is primitive: described as the kind of value that it reads.
pub(super) fn is_primitive(path: &str) -> bool {
    PRIMITIVE.contains(&path) || path.starts_with("core::marker::PhantomData<")
}

/// The name of a collection other than `Vec`, without its type arguments: `BTreeSet`.
pub(super) fn collection(path: &str) -> Option<String> {
    let path = without_pointers(path);
    let (collection, _) = path.split_once('<').filter(|_| is_nameable(path))?;
    let name = last_segments(collection, 1);
    (name != "Vec" && !name.is_empty()).then(|| name.to_owned())
}

/// Whether a user can write this path: helper types of derived code, closures and trait objects are not nameable.
pub(super) fn is_nameable(path: &str) -> bool {
    !["__", "<impl ", "{", "dyn ", " as "].into_iter().any(|foreign| path.contains(foreign))
}

/// Gives each type the shortest free name: `User` for `api::User`, and `other::User` for the next type with that name.
///
/// The first type keeps its name when others follow, so that links to it stay valid. Types in angle brackets appear under their
/// own names.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    by_path: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn unique(&mut self, path: &str) -> String {
        let path = without_pointers(path);
        let segments = path.matches("::").count() + 1;
        let by_path = (1..=segments).map(|kept| self.shorten(path, kept));
        // Types of two versions of a crate have the same path.
        let by_number = (2..).map(|number| format!("{} ({number})", self.shorten(path, 1)));
        let free = by_path.chain(by_number).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or_else(|| path.to_owned());
        self.taken.insert(name.clone());
        self.by_path.entry(path.to_owned()).or_insert_with(|| name.clone());
        name
    }

    /// The path with its last `kept` segments, and types in angle brackets under their own names.
    fn shorten(&self, path: &str, kept: usize) -> String {
        replace_paths(path, |one, is_argument| match is_argument {
            true => self.argument(one),
            false => last_segments(one, kept).to_owned(),
        })
    }

    fn argument(&self, path: &str) -> String {
        if let Some(name) = self.by_path.get(path) {
            return name.clone();
        }
        let segments = path.matches("::").count() + 1;
        let mut names = (1..=segments).map(|kept| last_segments(path, kept));
        names.find(|name| !self.taken.contains(*name)).unwrap_or(path).to_owned()
    }
}

/// A path without the pointers around it, which are invisible to serde.
pub(super) fn without_pointers(mut path: &str) -> &str {
    let pointers = ["alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];
    while let Some(inner) = pointers.iter().find_map(|pointer| path.strip_prefix(pointer)?.strip_suffix('>'))
    {
        path = inner;
    }
    path
}

/// Replaces each path in a type. `name` gets the path, and whether it is a type argument without arguments of its own.
fn replace_paths(path: &str, name: impl Fn(&str, bool) -> String) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(start) = rest.find(is_part_of_path) {
        out.push_str(&rest[..start]);
        let length = rest[start..].find(|letter| !is_part_of_path(letter)).unwrap_or(rest.len() - start);
        let one = &rest[start..start + length];
        rest = &rest[start + length..];
        out.push_str(&name(one, out.contains('<') && !rest.starts_with('<')));
    }
    out.push_str(rest);
    out
}

fn last_segments(path: &str, kept: usize) -> &str {
    let mut starts = path.rmatch_indices("::").map(|(at, separator)| at + separator.len());
    starts.nth(kept.saturating_sub(1)).map_or(path, |start| &path[start..])
}

fn is_part_of_path(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == ':' || letter == '#'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_keeps_it_and_others_show_where_they_are_from() {
        let mut names = Names::default();
        let mut name = |path| names.unique(path);
        assert_eq!(name("api::people::User"), "User");
        assert_eq!(name("other::User"), "other::User");
        assert_eq!(name("api::Page<api::people::User>"), "Page<User>");
        assert_eq!(name("api::Page<other::User>"), "Page<other::User>");
        assert_eq!(name("other::Page<other::User>"), "other::Page<other::User>");
        assert_eq!(name("api::Pair<api::Page<third::User>, u8>"), "Pair<Page<third::User>, u8>");
        assert_eq!(name("third::User"), "third::User");
        assert_eq!(name("api::Page<alloc::string::String>"), "Page<String>");
        assert_eq!(name("alloc::boxed::Box<api::Node>"), "Node");
    }

    #[test]
    fn two_types_of_one_path_are_numbered() {
        let mut names = Names::default();
        assert_eq!(names.unique("api::User"), "User");
        assert_eq!(names.unique("api::User"), "api::User");
        assert_eq!(names.unique("api::User"), "User (2)");
    }
}
