//! Reads frames from messages.

use std::ops::Range;

use crate::{
    buffer::small_bytes::SmallBytes,
    error::{Side, Violation},
    path::{PATH_STEPS_MAX, Path, Step},
    wire::{
        CHUNKED, Call, CallId, Chunk, DEADLINE, Define, EXTENSIONS, EXTENSIONS_BYTES_MAX, EXTENSIONS_MAX,
        Exhausted, Extensions, Failure, Flow, Frame, Hello, ITEMS_BYTES, ITEMS_HEAD_BYTES, ITEMS_SHARE,
        Items, KEEP, LargeItem, MAGIC, METADATA, MethodNumber, OBJECTS, OBJECTS_BYTES_MAX, ONEWAY, ObjectId,
        Offer, PassedObject, Payload, RETURN_CHUNKED, RETURN_EXTENSIONS, RETURN_OBJECTS, Resume, Return,
        SENT_BEFORE, SENT_BEFORE_BYTES, SENT_BEFORE_MAX, SentBefore, Status, StreamEnd, StreamId,
        TEXT_BYTES_MAX, Target, WANTED, WIRE_VERSION, Want, Welcome,
        plain::{Plain, plain_call, plain_value},
        varint::{VARINT_BYTES_MAX, id_in_range, varint_at},
    },
};

fn read_sent_before(bytes: &[u8]) -> Option<Vec<SentBefore>> {
    let (calls, []) = bytes.as_chunks::<SENT_BEFORE_BYTES>() else { return None };
    if !(1..=SENT_BEFORE_MAX).contains(&calls.len()) {
        return None;
    }
    let read = |bytes: &[u8; SENT_BEFORE_BYTES]| {
        let (session, call) = bytes.split_first_chunk()?;
        let call = id_in_range(i64::from_le_bytes(*call.first_chunk()?))?;
        Some(SentBefore { session: *session, call: CallId(call) })
    };
    calls.iter().map(read).collect()
}

/// Reads the frames of one message, in order.
#[derive(Debug)]
pub(crate) struct FrameReader {
    pub(super) message: SmallBytes,
    pub(super) at: usize,
}

impl FrameReader {
    pub(crate) fn new(message: impl Into<SmallBytes>) -> Self {
        Self { message: message.into(), at: 0 }
    }

    /// The next frame, if it is a plain call or a plain value. All others, malformed frames included, are left to
    /// [`next_frame`](Self::next_frame).
    #[inline]
    pub(crate) fn peek_plain(&self) -> Option<Plain> {
        let bytes = &self.message[..];
        match bytes.get(self.at)? {
            0x04 => plain_call(bytes, self.at + 1).map(Plain::Call),
            0x05 => plain_value(bytes, self.at + 1).map(Plain::Value),
            _ => None,
        }
    }

    /// Whether the next frame is about the socket.
    #[inline]
    pub(crate) fn is_at_frame_of_socket(&self) -> bool {
        matches!(self.message.get(self.at), Some(0x01 | 0x02 | 0x0a..=0x0d))
    }

    /// The bytes that were not read yet.
    pub(crate) fn left(&self) -> usize {
        self.message.len() - self.at
    }

    /// A part of the message.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub(crate) fn part(&self, range: Range<usize>) -> SmallBytes {
        self.message.part(range)
    }

    /// Continues at `end`, the end of a plain frame.
    pub(crate) fn skip_to(&mut self, end: usize) {
        self.at = end;
    }

    /// The next frame; `None` at the end. Optional frames of unknown kinds are skipped.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, Violation> {
        loop {
            if self.at == self.message.len() {
                return Ok(None);
            }
            let kind = self.byte()?;
            let frame = match kind {
                0x01 => Frame::Hello(Box::new(self.hello()?)),
                0x02 => Frame::Welcome(self.welcome()?),
                0x03 => Frame::Define(self.define()?),
                0x04 => Frame::Call(self.call()?),
                0x05 => Frame::Return(self.answer()?),
                0x06 => Frame::Cancel(self.id()?),
                0x07 => Frame::Release(self.release()?),
                0x08 => Frame::Chunk(self.chunk()?),
                0x09 => {
                    let code = u16::try_from(self.varint()?)
                        .map_err(|_| self.malformed("close code above 65,535"))?;
                    Frame::Goodbye { code, reason: self.string(TEXT_BYTES_MAX)? }
                }
                0x0a => Frame::Ack { messages: self.varint()? },
                0x0b => Frame::Ping { number: self.varint()? },
                0x0c => Frame::Pong { number: self.varint()? },
                0x0d => Frame::Skip { next: self.varint()? },
                0x10..=0x18 => self.stream_frame(kind)?,
                0x20 => Frame::ReleaseObjects(self.release_objects()?),
                0x80.. => {
                    self.bytes()?;
                    continue;
                }
                _ => return Err(Violation::UnknownFrame(kind)),
            };
            return Ok(Some(frame));
        }
    }

    pub(super) fn malformed(&self, what: &'static str) -> Violation {
        Violation::Malformed { offset: self.at, what }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Violation> {
        let byte =
            *self.message.get(self.at).ok_or_else(|| self.malformed("the message ends inside a frame"))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Violation> {
        if let Some((value, at)) = varint_at(&self.message, self.at) {
            self.at = at;
            return Ok(value);
        }
        // Read on to the error, so that its offset is right; the message may also end here.
        for _ in 0..VARINT_BYTES_MAX {
            if self.byte()? & 0x80 == 0 {
                break;
            }
        }
        Err(self.malformed("an integer above 64 bits"))
    }

    fn signed(&mut self) -> Result<i64, Violation> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Violation> {
        u32::try_from(self.varint()?).map_err(|_| self.malformed("a number above 32 bits"))
    }

    pub(super) fn length(&mut self) -> Result<usize, Violation> {
        usize::try_from(self.varint()?).map_err(|_| self.malformed("a length above the address space"))
    }

    fn call_id(&self, raw: i64) -> Result<CallId, Violation> {
        Ok(CallId(id_in_range(raw).ok_or_else(|| self.malformed("a call id out of range"))?))
    }

    fn object_id(&self, raw: i64) -> Result<ObjectId, Violation> {
        Ok(ObjectId(id_in_range(raw).ok_or_else(|| self.malformed("an object id out of range"))?))
    }

    fn stream_id(&self, raw: i64) -> Result<StreamId, Violation> {
        Ok(StreamId(id_in_range(raw).ok_or_else(|| self.malformed("a stream id out of range"))?))
    }

    fn stream_frame(&mut self, kind: u8) -> Result<Frame, Violation> {
        let raw = i64::try_from(self.varint()?).unwrap_or(i64::MAX);
        let stream = self.stream_id(raw)?;
        let objects = if matches!(kind, 0x11 | 0x13) { self.objects(false)? } else { Vec::new() };
        Ok(match kind {
            0x10 | 0x11 => {
                let count = if kind == 0x10 { self.varint()? } else { 1 };
                Frame::Items(Items { stream, objects, count, bytes: self.items(count)? })
            }
            0x12 | 0x13 => {
                let total = self.length()?;
                if total == 0 {
                    return Err(self.malformed("a large item of no bytes"));
                }
                Frame::LargeItem(LargeItem { stream, objects, total })
            }
            0x14 => {
                let bytes = self.bytes()?;
                if bytes.is_empty() {
                    return Err(self.malformed("an empty chunk of an item"));
                }
                Frame::ItemChunk { stream, bytes }
            }
            0x15 => Frame::Missed { stream, count: self.at_least_one()? },
            0x16 => Frame::StreamEnd { stream, end: self.stream_end()? },
            0x17 => Frame::Credit { stream, bytes: self.at_least_one()? },
            _ => {
                let reason = match self.byte()? {
                    0 => None,
                    1 => Some(self.string(TEXT_BYTES_MAX)?),
                    _ => return Err(self.malformed("neither a reason nor none")),
                };
                Frame::Stop { stream, reason }
            }
        })
    }

    fn at_least_one(&mut self) -> Result<u64, Violation> {
        match self.varint()? {
            0 => Err(self.malformed("a count of none")),
            count => Ok(count),
        }
    }

    /// Reads packed items. They must be `count` items and fill their `bytes` exactly.
    fn items(&mut self, count: u64) -> Result<SmallBytes, Violation> {
        let end = self.length()?.saturating_add(self.at);
        let start = self.at;
        if count == 0 || end > self.message.len() || end - start > ITEMS_BYTES + ITEMS_HEAD_BYTES {
            return Err(self.malformed("items that cannot be"));
        }
        for _ in 0..count {
            let length = self.length()?;
            if length > end.saturating_sub(self.at) {
                return Err(self.malformed("an item beyond the end of its frame"));
            }
            self.at += length;
        }
        if self.at != end {
            return Err(self.malformed("bytes behind the last item of a frame"));
        }
        let mut items = self.message.part(start..end);
        // Items may wait long to be read: they share their message only if they are a large part of it.
        items.leave_message(self.message.len() / ITEMS_SHARE);
        Ok(items)
    }

    fn stream_end(&mut self) -> Result<StreamEnd, Violation> {
        Ok(match self.byte()? {
            0 => StreamEnd::Complete,
            1 => StreamEnd::Error { objects: Vec::new(), bytes: self.bytes()? },
            0x21 => StreamEnd::Error { objects: self.objects(false)?, bytes: self.bytes()? },
            2 => StreamEnd::Abandoned,
            3 => StreamEnd::Stopped,
            4 => StreamEnd::Failed(self.failure()?),
            _ => return Err(self.malformed("an unknown end of a stream")),
        })
    }

    fn target(&mut self) -> Result<Target, Violation> {
        Ok(match self.signed()? {
            0 => Target::Root,
            object @ ..0 => Target::Object(self.object_id(object.checked_neg().unwrap_or(i64::MAX))?),
            base => Target::Result(self.call_id(base)?, self.path()?),
        })
    }

    /// Reads a table of objects. `in_call` tells whether it may name results of the sender's calls.
    fn objects(&mut self, in_call: bool) -> Result<Vec<PassedObject>, Violation> {
        let count = self.length()?;
        let start = self.at;
        // Each entry takes two bytes at least.
        if count == 0 || count > (self.message.len() - self.at) / 2 {
            return Err(self.malformed("a table of objects that cannot be"));
        }
        let mut objects = Vec::with_capacity(count.min(OBJECTS_BYTES_MAX / 2));
        for _ in 0..count {
            let tag = self.byte()?;
            let id = i64::try_from(self.varint()?).unwrap_or(i64::MAX);
            objects.push(match tag {
                0 => PassedObject::Senders(self.object_id(id)?),
                1 => PassedObject::Receivers(self.object_id(id)?),
                2 if in_call => PassedObject::Result(self.call_id(id)?, self.path()?),
                3 => PassedObject::Stream(self.stream_id(id)?, Flow::Window),
                4 => PassedObject::Stream(self.stream_id(id)?, Flow::OneByOne),
                _ => return Err(self.malformed("an unknown object entry")),
            });
            if self.at - start > OBJECTS_BYTES_MAX {
                return Err(self.malformed("a table of objects that is too long"));
            }
        }
        Ok(objects)
    }

    fn release_objects(&mut self) -> Result<Vec<(ObjectId, u64)>, Violation> {
        let count = self.length()?;
        if count > (self.message.len() - self.at) / 2 {
            return Err(self.malformed("more released objects than bytes"));
        }
        let mut before = 0_i64;
        (0..count)
            .map(|_| {
                before = before.saturating_add(self.signed()?);
                Ok((self.object_id(before)?, self.varint()?))
            })
            .collect()
    }

    pub(super) fn id(&mut self) -> Result<CallId, Violation> {
        let raw = i64::try_from(self.varint()?).unwrap_or(i64::MAX);
        self.call_id(raw)
    }

    pub(super) fn bytes(&mut self) -> Result<SmallBytes, Violation> {
        let length = self.length()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<SmallBytes, Violation> {
        if length > self.message.len() - self.at {
            return Err(self.malformed("a length beyond the end of the message"));
        }
        let bytes = self.message.part(self.at..self.at + length);
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(&bytes[..]).map_err(|_| self.malformed("a field of the wrong length"))
    }

    fn string(&mut self, bytes_max: usize) -> Result<String, Violation> {
        let bytes = self.bytes()?;
        if bytes.len() > bytes_max {
            return Err(self.malformed("a text that is too long"));
        }
        String::from_utf8(bytes.to_vec()).map_err(|_| self.malformed("a text that is not UTF-8"))
    }

    fn offer(&mut self) -> Result<Offer, Violation> {
        let offer = Offer {
            calls_max: self.varint()?,
            payload_bytes_max: self.varint()?,
            window_bytes: self.varint()?,
            streams_max: self.varint()?,
            stream_window_bytes: self.varint()?,
        };
        self.bytes()?;
        Ok(offer)
    }

    fn hello(&mut self) -> Result<Hello, Violation> {
        if self.array::<4>()? != MAGIC {
            return Err(self.malformed("not a hello of this protocol"));
        }
        let version = self.u32()?;
        if version != WIRE_VERSION {
            return Err(Violation::Version { peer: version, ours: WIRE_VERSION });
        }
        let hello = Hello {
            version,
            features: self.varint()?,
            codec: self.varint()?,
            session: self.array()?,
            secret: self.array()?,
            attach: match self.byte()? {
                0 => None,
                1 => Some((self.array()?, self.resume()?)),
                _ => return Err(self.malformed("an attach this version does not know")),
            },
            offer: self.offer()?,
        };
        Ok(hello)
    }

    fn resume(&mut self) -> Result<Resume, Violation> {
        let resume = Resume {
            accepted: self.varint()?,
            first: self.varint()?,
            fresh: self.varint()?,
            detached_us: self.varint()?,
        };
        if resume.first > resume.fresh {
            return Err(self.malformed("a resume whose messages are out of order"));
        }
        Ok(resume)
    }

    fn welcome(&mut self) -> Result<Welcome, Violation> {
        let version = self.u32()?;
        if version != WIRE_VERSION {
            return Err(Violation::Version { peer: version, ours: WIRE_VERSION });
        }
        Ok(Welcome {
            version,
            features: self.varint()?,
            codec: self.varint()?,
            attach: match self.byte()? {
                0 => None,
                1 => Some(self.resume()?),
                _ => return Err(self.malformed("an attach this version does not know")),
            },
            offer: self.offer()?,
        })
    }

    fn define(&mut self) -> Result<Define, Violation> {
        Ok(Define {
            number: MethodNumber(self.u32()?),
            service: self.string(TEXT_BYTES_MAX)?,
            method: self.string(TEXT_BYTES_MAX)?,
            fingerprint: u64::from_le_bytes(self.array()?),
        })
    }

    fn call(&mut self) -> Result<Call, Violation> {
        let id = self.id()?;
        let flags = self.byte()?;
        let target = self.target()?;
        let method = MethodNumber(self.u32()?);
        let deadline_us = if flags & DEADLINE != 0 { Some(self.varint()?) } else { None };
        let metadata = if flags & METADATA != 0 { self.metadata()? } else { Vec::new() };
        let objects = if flags & OBJECTS != 0 { self.objects(true)? } else { Vec::new() };
        let extensions = if flags & EXTENSIONS != 0 { self.extensions_of_call()? } else { None };
        let payload = self.payload(flags & CHUNKED != 0)?;
        Ok(Call {
            id,
            want: Want { value: flags & WANTED != 0, keep: flags & KEEP != 0 },
            oneway: flags & ONEWAY != 0,
            target,
            method,
            deadline_us,
            metadata,
            objects,
            extensions,
            payload,
        })
    }

    fn extensions_of_call(&mut self) -> Result<Option<Box<Extensions>>, Violation> {
        let mut known: Option<Box<Extensions>> = None;
        self.extensions(|kind, bytes| {
            if kind == SENT_BEFORE {
                known.get_or_insert_default().sent_before =
                    read_sent_before(bytes).ok_or("not calls of other sessions")?;
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// Reads extensions; `take` gets the kind and the bytes of each.
    fn extensions(
        &mut self,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), &'static str>,
    ) -> Result<(), Violation> {
        let count = self.length()?;
        let (mut last, mut left) = (None, EXTENSIONS_BYTES_MAX);
        if count > EXTENSIONS_MAX {
            return Err(self.malformed("too many extensions"));
        }
        for _ in 0..count {
            let kind = self.varint()?;
            let bytes = self.bytes()?;
            if last.is_some_and(|last| last >= kind) {
                return Err(self.malformed("extensions that do not rise"));
            }
            last = Some(kind);
            left = left.checked_sub(bytes.len()).ok_or_else(|| self.malformed("too long extensions"))?;
            take(kind, &bytes).map_err(|what| self.malformed(what))?;
        }
        Ok(())
    }

    fn metadata(&mut self) -> Result<Vec<(String, String)>, Violation> {
        let count = self.length()?;
        // Each entry takes two bytes at least: a larger count is false, and rejected before anything is reserved.
        if count > (self.message.len() - self.at) / 2 {
            return Err(self.malformed("more metadata than bytes"));
        }
        (0..count).map(|_| Ok((self.string(usize::MAX)?, self.string(usize::MAX)?))).collect()
    }

    fn payload(&mut self, chunked: bool) -> Result<Payload, Violation> {
        Ok(if chunked { Payload::Chunked { total: self.length()? } } else { Payload::Inline(self.bytes()?) })
    }

    fn answer(&mut self) -> Result<Return, Violation> {
        let id = self.id()?;
        let byte = self.byte()?;
        let chunked = byte & RETURN_CHUNKED != 0;
        let status = byte & !(RETURN_CHUNKED | RETURN_OBJECTS | RETURN_EXTENSIONS);
        if byte & RETURN_EXTENSIONS != 0 {
            self.extensions(|_, _| Ok(()))?;
        }
        let objects = match (byte & RETURN_OBJECTS != 0, status) {
            (false, _) => Vec::new(),
            (true, 1 | 2) => self.objects(false)?,
            (true, _) => return Err(self.malformed("an unknown return status")),
        };
        let status = match (status, chunked) {
            (0, false) => Status::Done,
            (1, _) => Status::Value(self.payload(chunked)?),
            (2, _) => Status::Error(self.payload(chunked)?),
            (3, false) => Status::Upstream {
                origin: self.id()?,
                missed: match self.byte()? {
                    0 => None,
                    1 => Some(self.path()?),
                    _ => return Err(self.malformed("neither a path nor none")),
                },
            },
            (4, false) => Status::Failed(self.failure()?),
            (5, _) => Status::Element(self.payload(chunked)?),
            _ => return Err(self.malformed("an unknown return status")),
        };
        Ok(Return { id, objects, status })
    }

    pub(super) fn failure(&mut self) -> Result<Failure, Violation> {
        Ok(match self.byte()? {
            1 => Failure::UnknownService,
            2 => Failure::UnknownMethod,
            3 => Failure::SchemaMismatch { theirs: self.string(TEXT_BYTES_MAX)? },
            4 => Failure::InvalidArgument {
                argument: self.string(TEXT_BYTES_MAX)?,
                reason: self.string(TEXT_BYTES_MAX)?,
            },
            5 => Failure::InvalidReference {
                argument: self.string(TEXT_BYTES_MAX)?,
                reason: self.string(TEXT_BYTES_MAX)?,
            },
            6 => Failure::ResourceExhausted(Box::new(Exhausted {
                limit: self.string(TEXT_BYTES_MAX)?.into(),
                side: match self.byte()? {
                    0 => Side::Local,
                    1 => Side::Peer,
                    _ => return Err(self.malformed("an unknown side of a limit")),
                },
                needed: self.varint()?,
                allowed: self.varint()?,
                retry_after_ms: self.varint()?,
            })),
            7 => Failure::Unavailable,
            8 => Failure::Unauthenticated,
            9 => Failure::PermissionDenied,
            10 => Failure::DeadlineExceeded,
            11 => Failure::Cancelled,
            12 => Failure::Panicked,
            13 => Failure::Unreachable { reason: self.string(TEXT_BYTES_MAX)? },
            14 => Failure::NotCallable { reason: self.string(TEXT_BYTES_MAX)? },
            _ => return Err(self.malformed("an unknown failure code")),
        })
    }

    fn release(&mut self) -> Result<Vec<CallId>, Violation> {
        let count = self.length()?;
        if count > self.message.len() - self.at {
            return Err(self.malformed("more released ids than bytes"));
        }
        let mut before = 0_i64;
        (0..count)
            .map(|_| {
                before = before.saturating_add(self.signed()?);
                self.call_id(before)
            })
            .collect()
    }

    fn chunk(&mut self) -> Result<Chunk, Violation> {
        let which = self.varint()?;
        let id = self.call_id((which >> 1) as i64)?;
        Ok(Chunk { id, of_return: which & 1 == 1, bytes: self.bytes()? })
    }

    pub(super) fn path(&mut self) -> Result<Path, Violation> {
        let count = self.length()?;
        if count > PATH_STEPS_MAX {
            return Err(self.malformed("a path with too many steps"));
        }
        let steps = (0..count).map(|_| {
            Ok(match self.byte()? {
                0 => Step::Field(self.u32()?),
                1 => Step::Index(self.u32()?),
                2 => Step::Some,
                3 => Step::Variant(self.u32()?),
                _ => return Err(self.malformed("an unknown path step")),
            })
        });
        steps.collect::<Result<Vec<_>, _>>().map(Path)
    }
}
