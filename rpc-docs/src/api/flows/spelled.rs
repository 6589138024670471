//! Types as written in code, with details that a description leaves out: pointers, `usize` and `isize`.

/// Pointers, which are invisible to serde.
const POINTERS: [&str; 4] = ["Box", "Rc", "Arc", "Cow"];

/// A type as written; empty if that is not known. An alias counts as the usual type for its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelled<'a>(&'a str);

impl<'a> Spelled<'a> {
    /// The written type is not known; it counts as the usual one.
    pub(super) const UNKNOWN: Self = Self("");

    pub(super) fn written(rust: &'a str) -> Self {
        Self(rust.trim())
    }

    /// The words that distinguish the type from the usual one for its layout.
    pub(super) fn unusual(self) -> String {
        let words = self.0.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        let is_unusual = |word: &&str| POINTERS.contains(word) || ["usize", "isize"].contains(word);
        words.filter(is_unusual).collect::<Vec<_>>().join(" ")
    }

    /// Whether a promise of the type can have parts. Behind a `Box` or an `Arc` it can, if the inner type is sized.
    pub(super) fn has_parts(self) -> bool {
        match self.head() {
            Some("Rc" | "Cow") => false,
            Some("Box" | "Arc") => self.argument(0).has_parts(),
            _ => !self.0.starts_with('['),
        }
    }

    /// The type of the value in an `Option`, or of the elements of a list.
    pub(super) fn inner(self) -> Self {
        let behind = self.behind_pointers();
        if behind.head().is_some() { behind.argument(0) } else { Self::UNKNOWN }
    }

    /// An element of a tuple.
    pub(super) fn element(self, index: usize) -> Self {
        let elements = self.behind_pointers().0.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        elements.map_or(Self::UNKNOWN, |elements| nth(elements, index))
    }

    fn behind_pointers(self) -> Self {
        match self.head() {
            Some(head) if POINTERS.contains(&head) => self.argument(0).behind_pointers(),
            _ => self,
        }
    }

    /// The name in front of generic arguments, without its path.
    fn head(self) -> Option<&'a str> {
        let (path, _) = self.0.split_once('<')?;
        path.rsplit("::").next().filter(|_| self.0.ends_with('>'))
    }

    fn argument(self, index: usize) -> Self {
        let arguments = self.0.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
        arguments.map_or(Self::UNKNOWN, |arguments| nth(arguments, index))
    }
}

/// One of several types with commas between them.
fn nth(types: &str, index: usize) -> Spelled<'_> {
    let mut depth = 0_usize;
    let mut starts = 0;
    let mut found = 0;
    for (at, letter) in types.char_indices() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 && found == index => return Spelled::written(&types[starts..at]),
            ',' if depth == 0 => {
                found += 1;
                starts = at + 1;
            }
            _ => {}
        }
    }
    if found == index { Spelled::written(&types[starts..]) } else { Spelled::UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_types_of_one_layout_apart() {
        let unusual = |rust| Spelled::written(rust).unusual();
        assert_eq!(unusual("Vec<api::User>"), "");
        assert_eq!(unusual("HashMap<String, u8>"), "");
        assert_eq!(unusual("std::collections::BTreeMap<String, Box<User>>"), "Box");
        assert_eq!(unusual("Sandbox"), "");
    }

    #[test]
    fn parts_are_found_behind_pointers() {
        let spelled = Spelled::written("Box<(u8, std::option::Option<Box<Node<u8, u8>>>, usize)>");
        assert_eq!(spelled.element(0), Spelled("u8"));
        assert_eq!(spelled.element(1).inner(), Spelled("Box<Node<u8, u8>>"));
        assert_eq!(spelled.element(2), Spelled("usize"));
        assert_eq!(spelled.element(3), Spelled::UNKNOWN);
        assert!(spelled.has_parts());
        assert!(!Spelled::written("Box<[User]>").has_parts());
        assert!(!Spelled::written("Cow<'static, User>").has_parts());
        assert_eq!(Spelled::written("Users").inner(), Spelled::UNKNOWN);
    }
}
