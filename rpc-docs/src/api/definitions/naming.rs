//! Names of types for people, out of the paths that Rust gives.

use std::collections::BTreeSet;

/// Types that are what they read, by their paths.
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

/// Whether a type of this path is no more than what it reads.
pub(super) fn is_primitive(path: &str) -> bool {
    PRIMITIVE.contains(&path) || path.starts_with("core::marker::PhantomData<")
}

/// The name of a collection that is no `Vec`: `BTreeSet` for one of anything.
pub(super) fn collection(path: &str) -> Option<String> {
    let path = without_pointers(path);
    let (collection, _) = path.split_once('<').filter(|_| is_nameable(path))?;
    let name = shorten(collection, 1);
    (name != "Vec" && !name.is_empty()).then_some(name)
}

/// Whether the path is one that somebody wrote: derived code has types of its own, and what is called.
pub(super) fn is_nameable(path: &str) -> bool {
    !["__", "<impl ", "{", "dyn ", " as "].into_iter().any(|foreign| path.contains(foreign))
}

/// The shortest name that no other type has, which is `User` for `api::User` and `api::User` for the next of that name.
///
/// The first keeps its name when others come, so that links to it stay.
pub(super) fn unique(path: &str, taken: &mut BTreeSet<String>) -> String {
    let path = without_pointers(path);
    let segments = path.matches("::").count() + 1;
    let by_path = (1..=segments).map(|kept| shorten(path, kept));
    // Two versions of a crate have the same paths.
    let by_number = (2..).map(|number| format!("{} ({number})", shorten(path, 1)));
    let mut names = by_path.chain(by_number);
    loop {
        let Some(name) = names.next() else { return path.to_owned() };
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

/// A path without the pointers around it, which serde does not see.
pub(super) fn without_pointers(mut path: &str) -> &str {
    let pointers = ["alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];
    while let Some(inner) = pointers.iter().find_map(|pointer| path.strip_prefix(pointer)?.strip_suffix('>'))
    {
        path = inner;
    }
    path
}

/// Each path in it with so many segments only: `Page<User>` for `api::Page<api::User>` and one.
fn shorten(path: &str, kept: usize) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(start) = rest.find(is_part_of_path) {
        out.push_str(&rest[..start]);
        let length = rest[start..].find(|letter| !is_part_of_path(letter)).unwrap_or(rest.len() - start);
        let one = &rest[start..start + length];
        let segments: Vec<&str> = one.split("::").collect();
        out.push_str(&segments[segments.len().saturating_sub(kept)..].join("::"));
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

fn is_part_of_path(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == ':' || letter == '#'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_keeps_it_and_others_show_where_they_are_from() {
        let mut taken = BTreeSet::new();
        let mut name = |path| unique(path, &mut taken);
        assert_eq!(name("api::people::User"), "User");
        assert_eq!(name("other::User"), "other::User");
        assert_eq!(name("api::Page<api::people::User>"), "Page<User>");
        assert_eq!(name("api::Page<other::User>"), "api::Page<other::User>");
        assert_eq!(name("alloc::boxed::Box<api::Node>"), "Node");
    }

    #[test]
    fn two_types_of_one_path_are_numbered() {
        let mut taken = BTreeSet::new();
        assert_eq!(unique("api::User", &mut taken), "User");
        assert_eq!(unique("api::User", &mut taken), "api::User");
        assert_eq!(unique("api::User", &mut taken), "User (2)");
    }
}
