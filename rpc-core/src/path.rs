//! Paths into a result: the steps from the whole value to the part that a promise points to.
//!
//! Paths are written by the pipes that `#[derive(Pipeline)]` generates, travel in argument slots and are followed
//! on the side that holds the result. Bounded by [`PATH_STEPS_MAX`].

use std::fmt;

/// The most steps a path may have. A longer path is a typed error for the caller, and a violation from a peer.
pub const PATH_STEPS_MAX: usize = 32;

/// One step from a value into a part of it. Ordinals count what serde serialises, not what the source declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A field of a struct, tuple, tuple struct or of the enum variant just entered, in serialisation order.
    Field(u32),
    /// An element of a sequence.
    Index(u32),
    /// The value inside a `Some`; misses when the option is `None`.
    Some,
    /// The enum variant with this index; misses when the value is another variant.
    Variant(u32),
}

/// The steps from a whole value to the selected part; empty for the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path(pub(crate) Vec<Step>);

impl Path {
    /// The path of the whole value.
    pub fn whole() -> Self {
        Self::default()
    }

    /// This path with one more step at its end.
    pub fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// Prints the steps as in Rust: `.0`, `[3]`, `?` for `Some`, `::2` for a variant.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the whole value");
        }
        for step in &self.0 {
            match step {
                Step::Field(ordinal) => write!(f, ".{ordinal}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Some => f.write_str("?")?,
                Step::Variant(index) => write!(f, "::{index}")?,
            }
        }
        Ok(())
    }
}
