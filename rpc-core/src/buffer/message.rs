//! Outgoing messages: encoded bytes, and long byte strings that are not copied.

#[cfg(feature = "websocket")]
use bytes::Buf;
use bytes::Bytes;

/// Byte strings of at least this length are not copied. For shorter ones, a copy costs less than an entry of a vectored write.
pub(crate) const LONG_BYTES: usize = 4 << 10;

/// A target that frames are written to.
pub(crate) trait Out {
    /// The buffer to append the next bytes to.
    fn bytes(&mut self) -> &mut Vec<u8>;

    /// Appends a byte string, which a message does not copy if it is long.
    fn put_long(&mut self, bytes: &Bytes);
}

impl Out for Vec<u8> {
    fn bytes(&mut self) -> &mut Vec<u8> {
        self
    }

    fn put_long(&mut self, bytes: &Bytes) {
        self.extend_from_slice(bytes);
    }
}

/// One message, in several pieces of memory.
#[derive(Debug, Clone, Default)]
pub struct Message {
    bytes: Vec<u8>,
    /// Byte strings that lie elsewhere, each with its position: the number of `bytes` before it.
    parts: Vec<(usize, Bytes)>,
    parts_bytes: usize,
}

impl Out for Message {
    fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn put_long(&mut self, bytes: &Bytes) {
        if bytes.len() < LONG_BYTES {
            return self.bytes.extend_from_slice(bytes);
        }
        self.parts.push((self.bytes.len(), bytes.clone()));
        self.parts_bytes += bytes.len();
    }
}

impl Message {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// The length of the whole message, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.parts_bytes
    }

    /// Whether the message has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message's pieces, in order. A slice may be empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.parts.iter().map(|(at, _)| *at));
        let ends = self.parts.iter().map(|(at, _)| *at).chain(std::iter::once(self.bytes.len()));
        let between = starts.zip(ends).map(|(start, end)| &self.bytes[start..end]);
        let parts = self.parts.iter().map(|(_, part)| &part[..]).chain(std::iter::once(&[][..]));
        between.zip(parts).flat_map(|(bytes, part)| [bytes, part])
    }

    /// The message in one piece. Copies only if it has several.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.parts.is_empty() {
            return self.bytes;
        }
        let mut whole = Vec::with_capacity(self.len());
        self.slices().for_each(|slice| whole.extend_from_slice(slice));
        whole
    }

    /// Appends another message.
    pub(crate) fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.parts.extend(other.parts.iter().map(|(at, part)| (start + at, part.clone())));
        self.parts_bytes += other.parts_bytes;
    }
}

/// One message for a transport: a few bytes, and then the message of a session, which the session may keep. The transport sends
/// them as one.
#[derive(Debug, Clone, Copy)]
pub struct MessageRef<'a> {
    head: &'a [u8],
    body: Option<&'a Message>,
}

impl<'a> From<&'a Message> for MessageRef<'a> {
    fn from(message: &'a Message) -> Self {
        Self::new(&[], Some(message))
    }
}

impl<'a> MessageRef<'a> {
    pub(crate) fn new(head: &'a [u8], body: Option<&'a Message>) -> Self {
        Self { head, body }
    }

    /// The length of the whole message, in bytes.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.map_or(0, Message::len)
    }

    /// Whether the message has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message's pieces, in order. A slice may be empty.
    pub fn slices(&self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.head).chain(self.body.into_iter().flat_map(Message::slices))
    }

    /// A copy of the message in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len());
        self.slices().for_each(|slice| whole.extend_from_slice(slice));
        whole
    }

    /// Appends the message to another one, which shares its long byte strings.
    #[cfg(feature = "websocket")]
    pub(crate) fn append_to(&self, out: &mut Message) {
        out.bytes.extend_from_slice(self.head);
        if let Some(body) = self.body {
            out.append(body);
        }
    }
}

/// A queue of messages that are written little by little, kept as one long message.
#[cfg(feature = "websocket")]
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    message: Message,
    /// The number of bytes that are written.
    written: usize,
}

#[cfg(feature = "websocket")]
impl Unwritten {
    /// The number of bytes that are not written yet.
    pub(crate) fn len(&self) -> usize {
        self.message.len() - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message to append to.
    pub(crate) fn message(&mut self) -> &mut Message {
        self.forget_written();
        &mut self.message
    }

    /// Fills `slices` with the bytes not written yet, as far as there is room. Returns how many slices were filled.
    pub(crate) fn fill<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let mut filled = 0;
        for mut slice in self.message.slices() {
            if skip >= slice.len() {
                skip -= slice.len();
                continue;
            }
            slice = &slice[std::mem::take(&mut skip)..];
            let Some(place) = slices.get_mut(filled) else { break };
            *place = std::io::IoSlice::new(slice);
            filled += 1;
        }
        filled
    }

    /// Takes note that `bytes` more bytes were written.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.message.len() {
            self.message.bytes.clear();
            self.message.parts.clear();
            self.message.parts_bytes = 0;
            self.written = 0;
        }
    }

    /// Frees memory that only long messages need.
    pub(crate) fn shrink(&mut self) {
        self.forget_written();
        self.message.bytes.shrink_to_fit();
        self.message.parts.shrink_to_fit();
    }

    /// Removes the bytes that were written. The rest is moved to the front, so it should be short.
    fn forget_written(&mut self) {
        if self.written == 0 {
            return;
        }
        let Message { bytes, parts, parts_bytes } = &mut self.message;
        let mut left = std::mem::take(&mut self.written);
        let mut gone = 0;
        // The parts that were written whole. The order is: bytes before the first part, the part, and so on.
        let mut over = 0;
        for (at, part) in parts.iter_mut() {
            let before = (*at - gone).min(left);
            gone += before;
            left -= before;
            if gone < *at {
                break;
            }
            let of_part = part.len().min(left);
            left -= of_part;
            *parts_bytes -= of_part;
            part.advance(of_part);
            if !part.is_empty() {
                break;
            }
            over += 1;
        }
        parts.drain(..over);
        if parts.first().is_none_or(|(at, _)| *at > gone) {
            gone += left;
        }
        bytes.drain(..gone);
        parts.iter_mut().for_each(|(at, _)| *at -= gone);
    }
}

#[cfg(test)]
mod tests;
