//! placeholder
use crate::path::Step;
use serde::de::DeserializeOwned;
/// placeholder
#[derive(Debug, Clone, PartialEq)]
pub struct Layout(&'static str);
impl Layout {
    /// placeholder
    pub fn of_named<T: DeserializeOwned>(n: &'static str) -> Self {
        Self(n)
    }
    pub fn fingerprint(&self) -> u64 {
        0
    }
    pub fn problems(&self) -> Vec<String> {
        vec![]
    }
    pub(crate) fn at(&self, _: &[Step]) -> Option<Layout> {
        Some(self.clone())
    }
    pub(crate) fn tuple(_: &[Layout]) -> Layout {
        Self("()")
    }
}
impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
