//! Frames as a stranger writes and reads them, from the table at the head of `rpc-core/src/wire.rs`.
//!
//! [`Frames`] writes the frames of one message, [`message`] puts the WebSocket's header before them, and [`Seen`] notes what a
//! server said. Independent of the product's encoder, so that a fault of one is not the fault of both.

pub(crate) const GET: u32 = 0;
pub(crate) const MAP: u32 = 1;

const WANTED: u8 = 0x01;
const KEEP: u8 = 0x02;
const CHUNKED: u8 = 0x20;
const OBJECTS: u8 = 0x40;
const CHUNK_BYTES: usize = 64 << 10;
/// Longer payloads travel in chunks.
const INLINE_BYTES_MAX: usize = 72 << 10;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

// ---- values, as bincode writes them ----

/// An unsigned number or a length.
pub(crate) fn number(value: u64) -> Vec<u8> {
    match value {
        0..251 => vec![value as u8],
        251..0x1_0000 => [&[251], &(value as u16).to_le_bytes()[..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[252], &(value as u32).to_le_bytes()[..]].concat(),
        _ => [&[253], &value.to_le_bytes()[..]].concat(),
    }
}

/// A list of so many bytes, or of so many numbers of one byte, or of so many empty strings.
pub(crate) fn list(count: usize, each: u8) -> Vec<u8> {
    let mut bytes = number(count as u64);
    bytes.resize(bytes.len() + count, each);
    bytes
}

// ---- paths, slots and programs ----

pub(crate) const WHOLE: Path = Path(Vec::new());

/// Tags and numbers of a path.
#[derive(Clone)]
pub(crate) struct Path(pub(crate) Vec<(u8, u64)>);

impl Path {
    pub(crate) fn index(index: u64) -> Self {
        Self(vec![(1, index)])
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        for (tag, value) in &self.0 {
            out.push(*tag);
            // `some` has no number.
            if *tag != 2 {
                put_varint(out, *value);
            }
        }
    }
}

pub(crate) fn inline(value: &[u8]) -> Vec<u8> {
    let mut slot = vec![0];
    put_bytes(&mut slot, value);
    slot
}

pub(crate) fn reference(call: u64, path: &Path) -> Vec<u8> {
    let mut slot = vec![1];
    put_varint(&mut slot, call);
    path.put(&mut slot);
    slot
}

pub(crate) fn tuple(slots: &[Vec<u8>]) -> Vec<u8> {
    let mut slot = vec![3, slots.len() as u8];
    slots.iter().for_each(|part| slot.extend(part));
    slot
}

/// What a step or a result of a program names.
#[derive(Clone, Copy)]
pub(crate) enum Base {
    Element,
    Step(u64),
    Capture(u64),
}

pub(crate) fn operand(base: Base, path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    match base {
        Base::Element => out.push(0),
        Base::Step(step) => {
            out.push(1);
            put_varint(&mut out, step);
        }
        Base::Capture(capture) => {
            out.push(2);
            put_varint(&mut out, capture);
        }
    }
    path.put(&mut out);
    out
}

/// An operand in the place of an argument.
pub(crate) fn operand_slot(base: Base, path: &Path) -> Vec<u8> {
    [vec![1], operand(base, path)].concat()
}

pub(crate) fn call_step(method: u32, slots: &[Vec<u8>]) -> Vec<u8> {
    let mut step = vec![0, 0];
    put_varint(&mut step, method.into());
    put_varint(&mut step, slots.len() as u64);
    slots.iter().for_each(|slot| step.extend(slot));
    step
}

pub(crate) fn map_step(source: &[u8], captures: &[Vec<u8>], program: &[u8]) -> Vec<u8> {
    let mut step = vec![1];
    step.extend(source);
    put_varint(&mut step, captures.len() as u64);
    captures.iter().for_each(|capture| step.extend(capture));
    step.extend(program);
    step
}

/// What an element that fails does to its map.
#[derive(Clone, Copy)]
pub(crate) enum Policy {
    Fail,
    Collect,
}

pub(crate) fn program(policy: Policy, steps: &[Vec<u8>], result: &[u8]) -> Vec<u8> {
    let mut program = vec![policy as u8];
    put_varint(&mut program, steps.len() as u64);
    steps.iter().for_each(|step| program.extend(step));
    program.extend(result);
    program
}

// ---- frames ----

/// What a call addresses.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    Root,
    /// The object that is the result of a call.
    Result(u64),
}

#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) target: Target,
    pub(crate) method: u32,
    pub(crate) is_wanted: bool,
    pub(crate) is_kept: bool,
    /// Opened by it; `03` in its table, in this order.
    pub(crate) streams: Vec<u64>,
    pub(crate) payload: Vec<u8>,
}

impl Call {
    pub(crate) fn new(id: u64, method: u32, slots: &[Vec<u8>]) -> Self {
        let mut payload = vec![slots.len() as u8];
        slots.iter().for_each(|slot| payload.extend(slot));
        Self {
            id,
            target: Target::Root,
            method,
            is_wanted: true,
            is_kept: false,
            streams: Vec::new(),
            payload,
        }
    }

    /// A map over the whole result of a call.
    pub(crate) fn map(id: u64, source: u64, program: &[u8], captures: &[Vec<u8>]) -> Self {
        let mut slots = vec![reference(source, &WHOLE), inline(program)];
        slots.extend(captures.iter().cloned());
        Self::new(id, MAP, &slots)
    }

    pub(crate) fn kept(mut self) -> Self {
        self.is_kept = true;
        self
    }

    pub(crate) fn unwanted(mut self) -> Self {
        self.is_wanted = false;
        self
    }

    pub(crate) fn on(mut self, object: u64) -> Self {
        self.target = Target::Result(object);
        self
    }
}

/// What a peer says that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) calls: u64,
    pub(crate) payload: u64,
    pub(crate) window: u64,
    pub(crate) streams: u64,
    pub(crate) credit: u64,
}

impl Offer {
    pub(crate) const GENEROUS: Self =
        Self { calls: 1 << 20, payload: 64 << 20, window: 64 << 20, streams: 1 << 10, credit: 64 << 10 };

    fn numbers(self) -> [u64; 5] {
        [self.calls, self.payload, self.window, self.streams, self.credit]
    }
}

/// Frames of one message.
#[derive(Clone, Default)]
pub(crate) struct Frames(pub(crate) Vec<u8>);

impl Frames {
    pub(crate) fn hello(offer: Offer) -> Self {
        let mut out = vec![0x01];
        out.extend(b"RPCW\x01\x00\x01");
        out.extend([0; 16 + 32 + 1]);
        offer.numbers().into_iter().for_each(|number| put_varint(&mut out, number));
        out.push(0);
        Self(out)
    }

    pub(crate) fn define(&mut self, number: u32, service: &str, method: &str, fingerprint: u64) {
        self.0.push(0x03);
        put_varint(&mut self.0, number.into());
        put_bytes(&mut self.0, service.as_bytes());
        put_bytes(&mut self.0, method.as_bytes());
        self.0.extend(fingerprint.to_le_bytes());
    }

    /// Without the payload if that is long: its chunks are to follow.
    pub(crate) fn call(&mut self, call: &Call) {
        let out = &mut self.0;
        out.push(0x04);
        put_varint(out, call.id);
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let is_long = call.payload.len() > INLINE_BYTES_MAX;
        out.push(
            flag(WANTED, call.is_wanted)
                | flag(KEEP, call.is_kept)
                | flag(CHUNKED, is_long)
                | flag(OBJECTS, !call.streams.is_empty()),
        );
        match call.target {
            Target::Root => out.push(0),
            Target::Result(id) => {
                put_varint(out, id << 1);
                out.push(0);
            }
        }
        put_varint(out, call.method.into());
        if !call.streams.is_empty() {
            put_varint(out, call.streams.len() as u64);
            for stream in &call.streams {
                out.push(0x03);
                put_varint(out, *stream);
            }
        }
        if is_long {
            put_varint(out, call.payload.len() as u64);
        } else {
            put_bytes(out, &call.payload);
        }
    }

    /// A call whose payload of `total` bytes is announced and not sent.
    pub(crate) fn announce(&mut self, id: u64, method: u32, total: u64) {
        self.0.push(0x04);
        put_varint(&mut self.0, id);
        self.0.extend([WANTED | CHUNKED, 0]);
        put_varint(&mut self.0, method.into());
        put_varint(&mut self.0, total);
    }

    pub(crate) fn chunk(&mut self, call: u64, bytes: &[u8]) {
        self.0.push(0x08);
        put_varint(&mut self.0, call << 1);
        put_bytes(&mut self.0, bytes);
    }

    pub(crate) fn cancel(&mut self, call: u64) {
        self.0.push(0x06);
        put_varint(&mut self.0, call);
    }

    pub(crate) fn release(&mut self, call: u64) {
        self.0.extend([0x07, 1]);
        put_varint(&mut self.0, call << 1);
    }

    /// One item.
    pub(crate) fn item(&mut self, stream: u64, value: &[u8]) {
        let mut items = Vec::new();
        put_bytes(&mut items, value);
        self.0.push(0x10);
        put_varint(&mut self.0, stream);
        self.0.push(1);
        put_bytes(&mut self.0, &items);
    }

    pub(crate) fn end(&mut self, stream: u64) {
        self.0.push(0x16);
        put_varint(&mut self.0, stream);
        self.0.push(0);
    }

    pub(crate) fn credit(&mut self, stream: u64, bytes: u64) {
        self.0.push(0x17);
        put_varint(&mut self.0, stream);
        put_varint(&mut self.0, bytes);
    }

    pub(crate) fn stop(&mut self, stream: u64) {
        self.0.push(0x18);
        put_varint(&mut self.0, stream);
        self.0.push(0);
    }

    /// An object of the server, introduced once.
    pub(crate) fn release_object(&mut self, object: u64) {
        self.0.extend([0x20, 1]);
        put_varint(&mut self.0, object << 1);
        self.0.push(1);
    }

    /// An optional frame that means nothing.
    pub(crate) fn padding(&mut self, bytes: usize) {
        self.0.push(0x80);
        put_varint(&mut self.0, bytes as u64);
        self.0.resize(self.0.len() + bytes, 0);
    }
}

/// A call as messages, its chunks with it, ready for the socket.
pub(crate) fn messages(call: &Call) -> Vec<u8> {
    let mut head = Frames::default();
    head.call(call);
    let mut out = message(&head.0);
    if call.payload.len() > INLINE_BYTES_MAX {
        for part in call.payload.chunks(CHUNK_BYTES) {
            let mut chunk = Frames::default();
            chunk.chunk(call.id, part);
            out.extend(message(&chunk.0));
        }
    }
    out
}

/// A binary message as a client sends it; the mask is zero.
pub(crate) fn message(frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.len() + 14);
    out.push(0x82);
    match frames.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend_from_slice(frames);
    out
}

/// Length of the header and of what follows it, of a frame that a server sent.
pub(crate) fn frame_lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, length) = match bytes.get(1)? & 0x7f {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (2, length.into()),
    };
    Some((header, length))
}

// ---- what the server says ----

/// What a server has said so far, as far as attacks look at it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) offer: Option<Offer>,
    pub(crate) returns: u64,
    /// Returns of calls that ran.
    pub(crate) ran: u64,
    /// The longest text or failure that a return brought.
    pub(crate) text_max: usize,
    /// The last failure in words.
    pub(crate) failure: String,
    /// Streams and objects that returns brought and that were not used yet.
    pub(crate) streams: Vec<u64>,
    pub(crate) objects: Vec<u64>,
    pub(crate) items: u64,
    /// Code and reason of the server's goodbye.
    pub(crate) goodbye: Option<String>,
}

impl Seen {
    /// Notes the frames of one message; `None` if they are not understood.
    pub(crate) fn note(&mut self, message: &[u8]) -> Option<()> {
        let mut reader = Reader(message);
        while !reader.0.is_empty() {
            self.frame(&mut reader)?;
        }
        Some(())
    }

    fn frame(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        match reader.byte()? {
            0x02 => {
                reader.varints(3)?;
                // A new session: these strangers never go on with one.
                if reader.byte()? != 0 {
                    return None;
                }
                let mut number = || reader.varint();
                self.offer = Some(Offer {
                    calls: number()?,
                    payload: number()?,
                    window: number()?,
                    streams: number()?,
                    credit: number()?,
                });
                reader.bytes()?;
            }
            0x05 => self.returned(reader)?,
            0x07 => {
                let count = reader.varint()?;
                reader.varints(count)?;
            }
            0x08 | 0x14 => {
                reader.varint()?;
                reader.bytes()?;
            }
            0x09 => {
                let code = reader.varint()?;
                let reason = String::from_utf8_lossy(reader.bytes()?).into_owned();
                self.goodbye = Some(format!("{code} {reason}"));
            }
            0x06 | 0x0a..=0x0d => reader.varints(1)?,
            0x10 => {
                reader.varint()?;
                self.items += reader.varint()?;
                reader.bytes()?;
            }
            0x11 => {
                reader.varint()?;
                self.table(reader)?;
                self.items += 1;
                reader.bytes()?;
            }
            0x12 | 0x15 | 0x17 => reader.varints(2)?,
            0x13 => {
                reader.varint()?;
                self.table(reader)?;
                reader.varint()?;
            }
            0x16 => self.stream_end(reader)?,
            0x18 => {
                reader.varint()?;
                if reader.byte()? == 1 {
                    reader.bytes()?;
                }
            }
            0x20 => {
                let count = reader.varint()?;
                reader.varints(2 * count)?;
            }
            // Optional kinds; a session that was opened by this side is not called back.
            0x80.. => {
                reader.bytes()?;
            }
            _ => return None,
        }
        Some(())
    }

    fn stream_end(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.varint()?;
        match reader.byte()? {
            0x01 => self.text(reader),
            0x21 => {
                self.table(reader)?;
                self.text(reader)
            }
            0x04 => self.failed(reader),
            _ => Some(()),
        }
    }

    fn table(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        for _ in 0..reader.varint()? {
            let (tag, id) = (reader.byte()?, reader.varint()?);
            match tag {
                0 => self.objects.push(id),
                3 | 4 => self.streams.push(id),
                _ => {}
            }
        }
        Some(())
    }

    fn text(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let text = reader.bytes()?;
        self.text_max = self.text_max.max(text.len());
        self.failure = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
        Some(())
    }

    fn returned(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let _id = reader.varint()?;
        self.returns += 1;
        let status = reader.byte()?;
        if status & 0x20 != 0 {
            self.table(reader)?;
        }
        // Also a method's own error is of one that ran.
        self.ran += u64::from(!matches!(status, 0x03 | 0x04));
        match status & !0x20 {
            0x00 => {}
            0x01 => {
                reader.bytes()?;
            }
            0x02 | 0x05 => self.text(reader)?,
            0x11 | 0x12 | 0x15 => {
                let total = reader.varint()?;
                if status == 0x15 {
                    self.text_max = self.text_max.max(total as usize);
                }
            }
            0x03 => {
                reader.varint()?;
                if reader.byte()? == 1 {
                    reader.path()?;
                }
            }
            0x04 => self.failed(reader)?,
            _ => return None,
        }
        Some(())
    }

    fn failed(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        match reader.byte()? {
            0x03 | 0x0d | 0x0e => self.text(reader)?,
            0x04 | 0x05 => {
                self.text(reader)?;
                self.text(reader)?;
            }
            0x06 => {
                self.text(reader)?;
                // The side, the figures that were needed and allowed, and the time to retry after.
                for _ in 0..4 {
                    reader.varint()?;
                }
            }
            _ => {}
        }
        Some(())
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn varints(&mut self, count: u64) -> Option<()> {
        (0..count).try_for_each(|_| self.varint().map(|_| ()))
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn path(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            if self.byte()? != 2 {
                self.varint()?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_messages_have_the_three_forms() {
        assert_eq!(message(&[7])[..6], [0x82, 0x81, 0, 0, 0, 0]);
        assert_eq!(message(&[7; 300])[..4], [0x82, 0x80 | 126, 1, 44]);
        assert_eq!(message(&vec![7; 70_000])[..10], [0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }

    #[test]
    fn numbers_are_written_in_the_shortest_form() {
        assert_eq!(number(250), [250]);
        assert_eq!(number(251), [251, 251, 0]);
        assert_eq!(number(70_000), [252, 0x70, 0x11, 1, 0]);
    }

    #[test]
    fn returns_are_told_apart() {
        let mut seen = Seen::default();
        // A value, a refusal with a text, and an object.
        let frames = [
            &[0x05, 1, 0x01, 2, 7, 7][..],
            &[0x05, 2, 0x04, 0x05, 1, b'a', 3, b'w', b'h', b'y'],
            &[0x05, 3, 0x21, 1, 0, 9, 1, 0],
        ];
        assert_eq!(seen.note(&frames.concat()), Some(()));
        assert_eq!((seen.returns, seen.ran, seen.text_max), (3, 2, 3));
        assert_eq!((seen.failure.as_str(), seen.objects), ("why", vec![9]));
    }

    #[test]
    fn a_message_that_ends_inside_a_frame_is_not_understood() {
        assert_eq!(Seen::default().note(&[0x05, 1, 0x01, 9, 7]), None);
    }
}
