//! Kept results: values that later calls may refer to, as the bytes that their methods returned.
//!
//! A result is kept encoded, not typed. So its memory is known, and its parts are found without the user's code. Finding parts
//! again and again costs little, because a long value remembers where its parts lie.

use std::sync::Mutex;

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::{
        encode::SOME,
        walk::{self, MARK_BYTES, Marks, WalkError},
    },
    path::Step,
    schema::layout::Layout,
    sync::lock,
    value::encoded::{self, Encoded},
};

#[derive(Debug)]
pub(crate) struct Held {
    value: Encoded,
    /// In a long value, where parts lie that were passed on the way to others.
    marks: Option<Box<Mutex<Marks>>>,
}

/// A part of a value.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) part: Encoded,
    /// The number of values that the search passed until the end of the part.
    pub(crate) walked: usize,
}

impl Held {
    pub(crate) fn new(value: Encoded) -> Self {
        let marks = (value.len() > MARK_BYTES).then(Box::default);
        Self { value, marks }
    }

    pub(crate) fn value(&self) -> &Encoded {
        &self.value
    }

    /// The bytes that the result takes while it is kept.
    pub(crate) fn size(&self) -> usize {
        self.value.size()
    }

    /// The part at `path` in this value, whose layout is `layout`; with `as_some`, inside of a `Some`. The part's table has only
    /// the objects that the part names.
    ///
    /// # Errors
    /// There is no such part, or its bytes cannot be told apart from others.
    pub(crate) fn select(
        &self,
        layout: &Layout,
        path: &[Step],
        as_some: bool,
    ) -> Result<Selected, WalkError> {
        let (part, walked) = match path {
            [] => (self.value.clone(), 0),
            path => self.locate(layout, path)?,
        };
        Ok(Selected { part: if as_some { some(part) } else { part }, walked })
    }

    fn locate(&self, layout: &Layout, path: &[Step]) -> Result<(Encoded, usize), WalkError> {
        let Encoded { bytes, capabilities } = &self.value;
        let mut marks = self.marks.as_ref().map(|marks| lock(marks));
        let located = walk::locate(layout, bytes, path, marks.as_deref_mut())?;
        let range = located.range.clone();
        let Some(table) = capabilities else {
            // A short part must not keep all of a long value in memory.
            let is_most = range.len() >= bytes.len() / 2;
            let part = if is_most { bytes.part(range) } else { SmallBytes::copy_from_slice(&bytes[range]) };
            return Ok((part.into(), located.walked));
        };
        let (bytes, places) = walk::detach(layout, bytes, &located)?;
        let named = places.iter().filter_map(|place| table.get(*place as usize).cloned()).collect();
        Ok((Encoded { bytes: bytes.into(), capabilities: encoded::capabilities(named) }, located.walked))
    }
}

/// The encoded `Some` of an encoded value.
pub(crate) fn some(value: Encoded) -> Encoded {
    Encoded { bytes: [&[SOME], &value.bytes[..]].concat().into(), ..value }
}
