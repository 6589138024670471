//! The walk: finds parts of an encoded value by its layout, without decoding it.
//!
//! Steps match what serde serialises:
//!
//! | step | matches |
//! |---|---|
//! | `Field(n)` | the n-th field of a struct, tuple, array or tuple struct; `Field(0)` of a newtype struct |
//! | `Index(n)` | the n-th element of a sequence |
//! | `Some` | the value inside a `Some` |
//! | `Variant(i)`, then `Field(n)` | the n-th field of an enum's variant, if it is the i-th |
//!
//! - `Box`, `Rc`, `Arc` and `#[serde(transparent)]` are invisible to serde and take no step.
//! - Maps are not selectable: their order is not part of the value.
//! - A variant is not a value, so a path cannot end with `Variant`.
//!
//! The bytes need not be trusted: every length is checked against the bytes that are left. The cost of a walk is bounded by the
//! bytes walked over, times the size of a type that takes no bytes. In a long value that is walked often, [`Marks`] remember
//! where parts of it lie, so that all walks together cost little more than one.
//!
//! A part whose layout is not known ends the walk with [`WalkError::Unknown`]: an opaque type, or a part that tracing could not
//! reach. Nesting is bounded by [`WALK_DEPTH_MAX`].

use std::{collections::BTreeMap, ops::Range};

use crate::{
    codec,
    path::Step,
    schema::layout::{Field, Layout, Leaf, Node},
};

/// The deepest nesting that is walked over. No less than the deepest that is ever decoded.
const WALK_DEPTH_MAX: usize = 256;

/// Why a part of an encoded value was not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WalkError {
    /// The path fits the type, but the value has nothing there: `None`, another variant, past the end.
    #[error("the value has nothing there")]
    Missed,
    /// The path does not fit the type.
    #[error("the path does not fit the type")]
    NotThere,
    /// The number of bytes that this type takes is not known.
    #[error("the bytes of `{0}` cannot be told apart: its layout is not known")]
    Unknown(String),
    /// The bytes are not a value of the layout.
    #[error("the bytes are not a value of the type: {0}")]
    Malformed(&'static str),
    /// The value is nested deeper than a walk goes.
    #[error("the value is nested deeper than {WALK_DEPTH_MAX} levels")]
    TooDeep,
}

/// The smallest part that marks remember, in bytes. Smaller parts are walked over again each time.
pub(crate) const MARK_BYTES: usize = 4 << 10;

/// The places of those parts of one value that were walked over and take [`MARK_BYTES`] or more. Marks take a hundredth of the
/// value's memory for each level of nesting that has such parts.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Where parts end, by their start and their node. Two parts begin at the same byte if one is the first part of the other.
    ends: BTreeMap<(usize, usize), usize>,
    /// Some elements of long sequences, each by its number and its start. The key is the start and the node of the first element.
    within: BTreeMap<(usize, usize), Vec<(u64, usize)>>,
}

/// A part of an encoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) range: Range<usize>,
    node: usize,
    /// The number of values that the walk passed until the end of the part.
    pub(crate) walked: usize,
}

/// The number of bytes that the value at the start of `bytes` takes.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn skip(layout: &Layout, bytes: &[u8]) -> Result<usize, WalkError> {
    let mut walk = Walk::new(layout, bytes);
    walk.skip(layout.nodes().1, WALK_DEPTH_MAX)?;
    Ok(walk.at)
}

/// Finds the part at `path` in the value at the start of `bytes`. `marks` are those of earlier walks over this value.
pub(crate) fn locate(
    layout: &Layout,
    bytes: &[u8],
    path: &[Step],
    marks: Option<&mut Marks>,
) -> Result<Located, WalkError> {
    let mut walk = Walk { marks, ..Walk::new(layout, bytes) };
    let node = walk.enter(layout.nodes().1, path)?;
    let start = walk.at;
    walk.pass_part(node)?;
    Ok(Located { range: start..walk.at, node, walked: walk.walked })
}

/// Copies a part to stand alone. Its objects are numbered anew; also returns the place that each had in the table of the whole
/// value.
pub(crate) fn detach(
    layout: &Layout,
    bytes: &[u8],
    part: &Located,
) -> Result<(Vec<u8>, Vec<u32>), WalkError> {
    let named = Some(Vec::new());
    let mut walk = Walk { at: part.range.start, named, ..Walk::new(layout, bytes) };
    walk.skip(part.node, WALK_DEPTH_MAX)?;
    let (mut out, mut places) = (Vec::with_capacity(part.range.len()), Vec::new());
    let mut copied = part.range.start;
    for (range, place) in walk.named.unwrap_or_default() {
        out.extend_from_slice(&bytes[copied..range.start]);
        copied = range.end;
        let number = places.len() as u64;
        places.push(place);
        codec::encode(&number, &mut out).map_err(|_| WalkError::Malformed("a place cannot be written"))?;
    }
    out.extend_from_slice(&bytes[copied..part.range.end]);
    Ok((out, places))
}

/// The parts of an encoded sequence or option, one after the other: each is the range of an element in the bytes.
///
/// The count is what the bytes claim. Elements that take no bytes may outnumber the bytes.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    walk: Walk<'a>,
    element: usize,
    pub(crate) left: u64,
}

impl<'a> Elements<'a> {
    /// The elements of a `Seq`, or the zero or one value of an `Optional`. `None` for any other layout.
    pub(crate) fn of(layout: &'a Layout, bytes: &'a [u8]) -> Option<Result<Self, WalkError>> {
        let mut walk = Walk::new(layout, bytes);
        let (element, left) = match &walk.nodes[walk.below_newtypes(layout.nodes().1)] {
            Node::Seq(element) => (*element, walk.length()),
            Node::Optional(inner) => (*inner, walk.option().map(u64::from)),
            _ => return None,
        };
        Some(left.map(|left| Self { walk, element, left }))
    }

    /// The number of elements that are left.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Range<usize>, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let start = self.walk.at;
        let walked = self.walk.skip(self.element, WALK_DEPTH_MAX);
        if walked.is_err() {
            self.left = 0;
        }
        Some(walked.map(|()| start..self.walk.at))
    }
}

#[derive(Debug)]
struct Walk<'a> {
    nodes: &'a [Node<usize>],
    bytes: &'a [u8],
    at: usize,
    walked: usize,
    marks: Option<&'a mut Marks>,
    /// Where the bytes name objects, and the places of these; recorded only for [`detach`].
    named: Option<Vec<(Range<usize>, u32)>>,
}

impl<'a> Walk<'a> {
    fn new(layout: &'a Layout, bytes: &'a [u8]) -> Self {
        Self { nodes: layout.nodes().0, bytes, at: 0, walked: 0, marks: None, named: None }
    }

    // ---- along a path ----

    /// Moves to the part at `path`; returns its node.
    fn enter(&mut self, root: usize, path: &[Step]) -> Result<usize, WalkError> {
        let nodes = self.nodes;
        let mut root = root;
        let mut steps = path.iter().copied();
        while let Some(step) = steps.next() {
            root = match (&nodes[root], step) {
                (Node::Newtype { inner, .. }, Step::Field(0)) => *inner,
                (Node::Optional(inner), Step::Some) => match self.option()? {
                    true => *inner,
                    false => return Err(WalkError::Missed),
                },
                (Node::Seq(element), Step::Index(index)) => {
                    if self.length()? <= u64::from(index) {
                        return Err(WalkError::Missed);
                    }
                    self.pass_many(*element, u64::from(index))?;
                    *element
                }
                (Node::Array(element, len), Step::Field(ordinal)) if (ordinal as usize) < *len => {
                    self.pass_many(*element, u64::from(ordinal))?;
                    *element
                }
                (Node::Product { fields, .. }, Step::Field(ordinal)) => self.enter_field(fields, ordinal)?,
                (Node::Enum { variants, .. }, Step::Variant(wanted)) => {
                    if self.variant()? != wanted {
                        return Err(WalkError::Missed);
                    }
                    let variant = variants.get(wanted as usize).ok_or(WalkError::NotThere)?;
                    let fields = variant.fields.as_ref().ok_or(WalkError::Malformed("no such variant"))?;
                    let Some(Step::Field(ordinal)) = steps.next() else { return Err(WalkError::NotThere) };
                    self.enter_field(fields, ordinal)?
                }
                _ => return Err(WalkError::NotThere),
            };
        }
        Ok(root)
    }

    fn enter_field(&mut self, fields: &[Field<usize>], ordinal: u32) -> Result<usize, WalkError> {
        let ordinal = ordinal as usize;
        let entered = fields.get(ordinal).ok_or(WalkError::NotThere)?.layout;
        fields[..ordinal].iter().try_for_each(|field| self.pass_part(field.layout))?;
        Ok(entered)
    }

    /// Moves behind a part, with the help of marks.
    fn pass_part(&mut self, node: usize) -> Result<(), WalkError> {
        let start = self.at;
        if let Some(end) = self.marks.as_ref().and_then(|marks| marks.ends.get(&(start, node))) {
            self.at = *end;
            return Ok(());
        }
        self.skip(node, WALK_DEPTH_MAX)?;
        if let Some(marks) = &mut self.marks
            && self.at - start >= MARK_BYTES
        {
            marks.ends.insert((start, node), self.at);
        }
        Ok(())
    }

    /// Moves behind the first `count` elements of a sequence, with the help of marks.
    fn pass_many(&mut self, element: usize, count: u64) -> Result<(), WalkError> {
        let Some(marks) = &mut self.marks else { return self.skip_many(element, count, WALK_DEPTH_MAX) };
        let first = (self.at, element);
        let mut known = marks.within.remove(&first).unwrap_or_default();
        let behind = known.partition_point(|(number, _)| *number <= count);
        let (mut number, mut marked) = behind.checked_sub(1).map_or((0, self.at), |last| known[last]);
        let is_new = behind == known.len();
        self.at = marked;
        let mut walked = Ok(());
        while number < count && walked.is_ok() {
            // One element at a time, so that marks can be set; all at once if the elements have a fixed width.
            let many = if self.width_of(element).is_some() { count - number } else { 1 };
            let before = self.at;
            walked = self.skip_many(element, many, WALK_DEPTH_MAX);
            number += many;
            if self.at == before {
                break;
            }
            if is_new && walked.is_ok() && self.at - marked >= MARK_BYTES {
                marked = self.at;
                known.push((number, marked));
            }
        }
        if let Some(marks) = &mut self.marks
            && !known.is_empty()
        {
            marks.within.insert(first, known);
        }
        walked
    }

    fn width_of(&self, node: usize) -> Option<usize> {
        match &self.nodes[node] {
            Node::Leaf(leaf) => fixed_width(*leaf),
            _ => None,
        }
    }

    fn below_newtypes(&self, root: usize) -> usize {
        crate::schema::layout::below_newtypes(self.nodes, root)
    }

    // ---- over a value ----

    fn skip(&mut self, root: usize, depth: usize) -> Result<(), WalkError> {
        let nodes = self.nodes;
        let depth = depth.checked_sub(1).ok_or(WalkError::TooDeep)?;
        self.walked += 1;
        match &nodes[root] {
            Node::Leaf(leaf) | Node::Opaque { base: Some(leaf), .. } => self.skip_leaf(*leaf),
            Node::Opaque { name, base: None } => Err(WalkError::Unknown(name.clone())),
            Node::Unsupported { reads } => Err(WalkError::Unknown((*reads).into())),
            Node::Unreached(unreached) => Err(WalkError::Unknown(unreached.place.clone())),
            Node::Uninhabited => Err(WalkError::Malformed("the type has no values")),
            Node::Newtype { inner, .. } => self.skip(*inner, depth),
            Node::Optional(inner) => match self.option()? {
                true => self.skip(*inner, depth),
                false => Ok(()),
            },
            Node::Seq(element) => {
                let count = self.length()?;
                self.skip_many(*element, count, depth)
            }
            Node::Map(key, value) => {
                let count = self.length()?;
                self.skip_entries(*key, *value, count, depth)
            }
            Node::Array(element, len) => self.skip_many(*element, *len as u64, depth),
            // A stream is its place in a table, too.
            Node::Stream(..) => self.place(),
            Node::Product { fields, .. } => {
                fields.iter().try_for_each(|field| self.skip(field.layout, depth))
            }
            Node::Enum { variants, .. } => {
                let index = self.variant()?;
                let fields = variants.get(index as usize).and_then(|variant| variant.fields.as_ref());
                let fields = fields.ok_or(WalkError::Malformed("no such variant"))?;
                fields.iter().try_for_each(|field| self.skip(field.layout, depth))
            }
        }
    }

    /// Moves behind `count` elements. Ends early if an element takes no bytes: the rest take none either, whatever the count.
    fn skip_many(&mut self, element: usize, count: u64, depth: usize) -> Result<(), WalkError> {
        if let Some(width) = self.width_of(element) {
            let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(width));
            return self.pass(bytes.unwrap_or(usize::MAX));
        }
        for _ in 0..count {
            let before = self.at;
            self.skip(element, depth)?;
            if self.at == before {
                break;
            }
        }
        Ok(())
    }

    fn skip_entries(&mut self, key: usize, value: usize, count: u64, depth: usize) -> Result<(), WalkError> {
        for _ in 0..count {
            let before = self.at;
            self.skip(key, depth)?;
            self.skip(value, depth)?;
            if self.at == before {
                break;
            }
        }
        Ok(())
    }

    fn skip_leaf(&mut self, leaf: Leaf) -> Result<(), WalkError> {
        match leaf {
            Leaf::Unit | Leaf::Bool | Leaf::U8 | Leaf::I8 | Leaf::F32 | Leaf::F64 => {
                self.pass(fixed_width(leaf).unwrap_or_default())
            }
            Leaf::U16 | Leaf::I16 => self.varint(2).map(drop),
            Leaf::U32 | Leaf::I32 => self.varint(4).map(drop),
            // An object is its place in a table.
            Leaf::Object(_) => self.place(),
            Leaf::U64 | Leaf::I64 => self.varint(8).map(drop),
            Leaf::U128 | Leaf::I128 => self.varint(16).map(drop),
            Leaf::Char => self.character(),
            Leaf::Text | Leaf::Bytes => {
                let length = self.length()?;
                self.pass(usize::try_from(length).unwrap_or(usize::MAX))
            }
        }
    }

    // ---- over the pieces of the format; see the table in `codec.rs` ----

    fn pass(&mut self, count: usize) -> Result<(), WalkError> {
        if count > self.bytes.len() - self.at {
            return Err(WalkError::Malformed("they end too early"));
        }
        self.at += count;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, WalkError> {
        let byte = *self.bytes.get(self.at).ok_or(WalkError::Malformed("they end too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn option(&mut self) -> Result<bool, WalkError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WalkError::Malformed("an option has 0 or 1")),
        }
    }

    fn place(&mut self) -> Result<(), WalkError> {
        let start = self.at;
        let place = u32::try_from(self.varint(4)?).map_err(|_| WalkError::Malformed("no such place"))?;
        if let Some(named) = &mut self.named {
            named.push((start..self.at, place));
        }
        Ok(())
    }

    fn variant(&mut self) -> Result<u32, WalkError> {
        u32::try_from(self.varint(4)?).map_err(|_| WalkError::Malformed("no such variant"))
    }

    fn length(&mut self) -> Result<u64, WalkError> {
        self.varint(8)
    }

    /// Reads an integer of at most `width` bytes; bits above the lowest 64 are dropped.
    fn varint(&mut self, width: usize) -> Result<u64, WalkError> {
        let first = self.byte()?;
        let following = match first {
            0..=250 => return Ok(u64::from(first)),
            251 => 2,
            252 => 4,
            253 => 8,
            254 => 16,
            255 => return Err(WalkError::Malformed("no integer begins with 255")),
        };
        if following > width {
            return Err(WalkError::Malformed("an integer is too wide"));
        }
        let start = self.at;
        self.pass(following)?;
        let low = self.bytes[start..self.at].iter().take(8).rev();
        Ok(low.fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    fn character(&mut self) -> Result<(), WalkError> {
        let first = self.byte()?;
        match first {
            0..=0x7f => Ok(()),
            0xc0..=0xdf => self.pass(1),
            0xe0..=0xef => self.pass(2),
            0xf0..=0xf7 => self.pass(3),
            0x80..=0xbf | 0xf8.. => Err(WalkError::Malformed("not a character")),
        }
    }
}

fn fixed_width(leaf: Leaf) -> Option<usize> {
    match leaf {
        Leaf::Unit => Some(0),
        Leaf::Bool | Leaf::U8 | Leaf::I8 => Some(1),
        Leaf::F32 => Some(4),
        Leaf::F64 => Some(8),
        Leaf::U16 | Leaf::U32 | Leaf::U64 | Leaf::U128 => None,
        Leaf::I16 | Leaf::I32 | Leaf::I64 | Leaf::I128 => None,
        Leaf::Char | Leaf::Text | Leaf::Bytes | Leaf::Object(_) => None,
    }
}

#[cfg(test)]
mod tests; // layout/walk/tests.rs: editing tests does not rebuild the library
