//! The bytes of the protocol: frames to bytes and back. The only file that knows them.
//!
//! One WebSocket message is one *batch*: frames back to back, nothing between or after them. Integers are unsigned
//! LEB128 (`varint`, at most ten bytes and 64 bits; a longer form than needed is accepted); where it says zigzag,
//! `n` is written as `2n` and a negative `n` as `-2n - 1`. `str` and `bytes` are a varint length and that many bytes;
//! a `str` is UTF-8 and, except in metadata, at most 4,096 bytes long. Kind, flags, status, tags and codes are single
//! bytes, as is whatever is written as two hexadecimal digits. Unknown bits in a flags byte, unknown statuses, tags and
//! codes are a violation, and so is a message that ends inside a frame.
//!
//! | kind | frame | fields |
//! |---|---|---|
//! | `01` | Hello | the four bytes `RPCW` · version · features · codec · session id, 16 bytes · secret, 32 bytes · attach `00` · offer |
//! | `02` | Welcome | version · features · codec · offer |
//! | `03` | Define | method number · service `str` · method `str` · fingerprint, 8 bytes, little-endian |
//! | `04` | Call | id · flags · target · method number · \[deadline µs\] · \[metadata: count, (`str` `str`)…\] · \[objects\] · payload |
//! | `05` | Return | id · status · what the status says |
//! | `06` | Cancel | id |
//! | `07` | Release | count · that many ids, each as its difference to the one before (zigzag); the first to 0 |
//! | `08` | Chunk | id × 2 + (1 if it belongs to a Return) · `bytes`, at least one |
//! | `09` | Goodbye | code, at most 65,535 · reason `str` |
//! | `0a` | Ack | number of sequenced frames accepted so far (only where the resume feature was agreed) |
//! | `10` | Items | stream id · count, at least 1 · `bytes` with that many `bytes` in them, one an item; at most 16 KiB + 8 |
//! | `11` | ItemWithObjects | stream id · objects · `bytes` with one `bytes` in them, the item |
//! | `12` | LargeItem | stream id · total length, above 0; ItemChunk frames bring it |
//! | `13` | LargeItemWithObjects | stream id · objects · total length, above 0 |
//! | `14` | ItemChunk | stream id · `bytes`, at least one |
//! | `15` | Missed | stream id · count, at least 1, of items that its sender left out here |
//! | `16` | StreamEnd | stream id · how |
//! | `17` | Credit | stream id · bytes, at least 1 |
//! | `18` | Stop | stream id · `00` its items are not wanted, or `01` and why, a `str` |
//! | `19`–`1f` | | kept |
//! | `20` | ReleaseObjects | count · that many: object id, as its difference to the one before (zigzag); the first to 0 · how often it was introduced |
//! | `21`–`2f` | | kept |
//! | `80`–`ff` | | optional: `bytes` follow; a receiver that does not know the kind skips them |
//!
//! An object id is 1 to 2^53 - 1, chosen by the side that has the object, above all it chose before. A table of objects is
//! a count and as many entries, at most 48 KiB; the payload names them by their place in it, from 0.
//!
//! | tag | entry | fields |
//! |---|---|---|
//! | `00` | the sender's object, introduced once more | object id |
//! | `01` | the receiver's own object | object id |
//! | `02` | in a Call: the object in the result of another call of the sender | call id · path |
//! | `03` | a stream of the sender, opened by this | stream id |
//! | `04` | the same, and it opens with a credit of 1, so that each item waits until the one before was read | stream id |
//!
//! Who was introduced to an object so and so often lets go of it with a ReleaseObjects that says how often, so that a
//! release and an introduction that cross each other on the way neither lose the object nor leak it.
//!
//! A stream id is 1 to 2^53 - 1, chosen by the side that sends the items, above all it chose before, and opened by its one
//! entry in a table. That side sends Items, Missed and a last StreamEnd; the other grants Credit and may Stop it, which
//! the StreamEnd answers. A stream opens with the credit that the receiver's offer says. An item takes its bytes from it,
//! those of its length included, and 64 more; each entry of its table takes 16, its chunks what they are long. One item alone, or
//! a chunk of at most 16 KiB, may be sent while any credit is left, and leaves a debt; everything else only within it. An
//! item in chunks is complete before the next begins. Credit that is not used is at most 2^31 - 1.
//!
//! | how | end of a stream | fields |
//! |---|---|---|
//! | `00` | it is complete | |
//! | `01` | its sender's own error | `bytes` |
//! | `21` | the same | objects · `bytes` |
//! | `02` | its sender let go of it before it was complete | |
//! | `03` | it was stopped | |
//! | `04` | something else ended it | code · what the code says, as in a Return |
//!
//! Any other kind is a violation, the kept ones included until a version gives them a meaning.
//! Version is `1`, codec `1` is bincode 2 (`codec.rs`), features are bits and `0`: none is defined.
//! An offer is what its sender takes: calls max · payload bytes max · window bytes · streams max · credit that a stream
//! opens with · extension `bytes`, to be skipped.
//! Attach is `00` for a new session; `01` is kept for a resume with epoch, counts and the time detached.
//! The Hello comes first from the side that opened the socket, the Welcome first from the other, each once.
//! Until the Welcome is here, the opener sends at most 256 calls, 64 streams without items, and 64 KiB, and no chunks.
//! Frames `03`–`08`, `10`–`18`, `20` and the kept ranges are *sequenced*: both ends count them, so that an Ack can name them.
//!
//! A call id is 1 to 2^53 - 1, chosen by the caller and above all it chose before. Method numbers have 32 bits; a
//! Define gives one its meaning before the first Call that uses it, once. Two are built in and not defined. Number 0
//! takes one argument, a Reference, and returns what that selects. Number 1 is a map: its arguments are the Reference to
//! a sequence or an option, an Inline program, and up to 62 captures, which are References; it returns a sequence or an
//! option of what the program makes of each element. Methods that the program names are defined before it.
//! Call flags: `01` value wanted · `02` keep the result for later references · `04` one-way · `08` deadline follows ·
//! `10` metadata follows · `20` payload follows in chunks · `40` a table of objects follows.
//! A target is zigzag: `0` for the services at the root, negative for the receiver's object of that id without its sign,
//! positive for the object in the result of that call, at the path that follows.
//! A payload is `bytes`; in chunks it is its total length alone, above 0, and Chunk frames bring the rest in order.
//!
//! | status | meaning | fields |
//! |---|---|---|
//! | `00` | done, value not wanted | |
//! | `01` | value | payload |
//! | `11` | value in chunks | total length |
//! | `02` | the method's error | payload |
//! | `12` | the method's error in chunks | total length |
//! | + `20` | on these four: a table of objects comes before | |
//! | `05` | an element of a map failed | payload |
//! | `15` | an element of a map failed, in chunks | total length |
//! | `03` | not run: a call it was built on failed, or has nothing at the path | id of that call · `00`, or `01` and path |
//! | `04` | failed | code · what the code says |
//!
//! | code | failure | fields |
//! |---|---|---|
//! | `01` | unknown service | |
//! | `02` | unknown method | |
//! | `03` | schema mismatch | the answering side's layout `str` |
//! | `04` | invalid argument | argument `str` · reason `str` |
//! | `05` | invalid reference | argument `str` · reason `str` |
//! | `06` | resource exhausted | limit `str` · retry after, ms, 0 if it cannot be said |
//! | `07` | unavailable | |
//! | `08` | unauthenticated | |
//! | `09` | permission denied | |
//! | `0a` | deadline exceeded | |
//! | `0b` | cancelled | |
//! | `0c` | the handler panicked | |
//! | `0d` | the object cannot be reached | reason `str` |
//! | `0e` | the method cannot be called by anybody | reason `str` |
//!
//! A Call's payload is its arguments: a count, at most 64, and as many slots, and nothing behind them.
//!
//! | tag | slot | fields |
//! |---|---|---|
//! | `00` | Inline | `bytes`, encoded by the codec |
//! | `01` | Reference | call id · path |
//! | `02` | Reference as the `Some` of an option | call id · path |
//! | `03` | Tuple | count, at most 64 · slots, none of them a tuple |
//!
//! A path is a count, at most 32, and as many steps: `00` field n · `01` index n · `02` some · `03` variant n, where
//! n has 32 bits. No steps are the whole result.
//!
//! A program is a policy, `00` if an element that fails fails the map, `01` if its error takes its place in the result ·
//! a count and as many steps · an operand, which is what becomes of the element. How many steps and how deep a nesting
//! are taken are limits of the side that runs it; all steps together have at most 1,024 slots.
//!
//! | tag | step | fields |
//! |---|---|---|
//! | `00` | Call | target · method number · count, at most 64 · slots · \[count · that many places in the table of the map's call\] |
//! | `01` | Map | operand, the sequence or option · count, at most 64 · operands, the captures · program |
//!
//! A target is `00` the services at the root, `01` and an operand that is an object, or `02` and the place of an object in
//! the table of the map's call. With `10` in it, the places follow that the slots' inline values name.
//! The slots are those of a call, with an operand in the place of call id and path. An operand is `00` the element, `01`
//! and the number of an earlier step, its result, or `02` and the number of a capture; then the path of the part.
//!
//! With the policy `01`, each element becomes a `Result` whose error is an `ElementError` (`error.rs`), as the codec
//! encodes them. How an element failed the map is a count, at most 64, and as many pairs of element and step, from the
//! outermost map inwards, where the number behind the last step stands for the result; then `00` and the `bytes` of the
//! error that the call returned, `01` and the operand that has nothing at its path, or `02`, code and what that says.

use std::ops::Range;

use crate::{
    buffer::{message::Out, small_bytes::SmallBytes},
    error::Violation,
    path::{PATH_STEPS_MAX, Path, Step},
};

pub(crate) mod program;

/// The version of this file's tables.
pub(crate) const WIRE_VERSION: u32 = 1;
/// The codec of payloads: bincode 2, `standard()` configuration.
pub(crate) const CODEC_BINCODE: u64 = 1;
/// A batch is sealed when it has this many bytes.
pub(crate) const BATCH_BYTES: usize = 16 << 10;
/// Payloads up to this length travel inside their frame; longer ones in chunks.
pub(crate) const INLINE_BYTES_MAX: usize = 72 << 10;
/// The bytes of a chunk, except for the last.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// The most that a chunk frame has besides its bytes.
pub(crate) const CHUNK_HEAD_BYTES: usize = 16;
/// The longest message: a batch short of its seal and then the longest frame, with its metadata and names.
#[cfg(any(test, feature = "websocket"))]
pub(crate) const MESSAGE_BYTES_MAX: usize = BATCH_BYTES + INLINE_BYTES_MAX + (24 << 10);

const MAGIC: [u8; 4] = *b"RPCW";
const TEXT_BYTES_MAX: usize = 4 << 10;

const WANTED: u8 = 0x01;
const KEEP: u8 = 0x02;
const ONEWAY: u8 = 0x04;
const DEADLINE: u8 = 0x08;
const METADATA: u8 = 0x10;
const CHUNKED: u8 = 0x20;
const OBJECTS: u8 = 0x40;
/// Room for what a plain frame has before its payload, and a short payload.
const PLAIN_HEAD_BYTES: usize = 64;
const CALL_FLAGS: u8 = WANTED | KEEP | ONEWAY | DEADLINE | METADATA | CHUNKED | OBJECTS;
const RETURN_CHUNKED: u8 = 0x10;
const END_OBJECTS: u8 = 0x20;
/// Items that travel in one frame; a longer one travels in chunks.
pub(crate) const ITEMS_BYTES: usize = 16 << 10;
/// The length before the item that fills a frame.
const ITEMS_HEAD_BYTES: usize = 8;
/// Items keep the message they came in if they are more than this part of it.
const ITEMS_SHARE: usize = 4;
/// A chunk of an item that may be sent while any credit is left.
pub(crate) const ITEM_CHUNK_BYTES: usize = 16 << 10;
/// What an item takes from its stream's credit beside its bytes: it bounds the items as well.
pub(crate) const ITEM_OVERHEAD: usize = 64;
/// What an entry of its table takes.
const ITEM_OBJECT_OVERHEAD: usize = 16;
/// The most credit that is not used.
pub(crate) const CREDIT_MAX: u64 = (1 << 31) - 1;
const RETURN_OBJECTS: u8 = 0x20;
/// The longest table of objects.
pub(crate) const OBJECTS_BYTES_MAX: usize = 48 << 10;

/// A call's name on the wire: chosen by the caller, rising, never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) i64);

/// Ids stay below 2^53 so that a peer written in JavaScript can hold them.
const CALL_ID_MAX: i64 = (1 << 53) - 1;

/// An object's name on the wire: chosen by the side that has it, rising, never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(pub(crate) i64);

/// A stream's name on the wire: chosen by the side that sends its items, rising, never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) i64);

/// How far ahead of its reader a stream may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flow {
    /// As far as its window allows.
    #[default]
    Window,
    /// One item.
    OneByOne,
}

/// What a call addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The services the peer offers.
    Root,
    /// An object of the receiver.
    Object(ObjectId),
    /// The object that a call of the sender returns, or has in its result at a path.
    Result(CallId, Path),
}

/// An object reference beside a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PassedObject {
    /// The sender's, introduced to the receiver once more.
    Senders(ObjectId),
    /// The receiver's own.
    Receivers(ObjectId),
    /// In the result of a call of the sender.
    Result(CallId, Path),
    /// A stream of the sender's.
    Stream(StreamId, Flow),
}

/// The number a peer gave a method when it first named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MethodNumber(pub(crate) u32);

/// Method number of the built-in call that returns the value of its one reference.
pub(crate) const METHOD_GET: MethodNumber = MethodNumber(0);
/// Method number of the built-in call that runs a program for each element of its reference.
pub(crate) const METHOD_MAP: MethodNumber = MethodNumber(1);
/// The first number that a Define may give a meaning.
pub(crate) const METHOD_FIRST: MethodNumber = MethodNumber(2);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    pub(crate) features: u64,
    pub(crate) codec: u64,
    pub(crate) session: [u8; 16],
    pub(crate) secret: [u8; 32],
    pub(crate) offer: Offer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) version: u32,
    pub(crate) features: u64,
    pub(crate) codec: u64,
    pub(crate) offer: Offer,
}

/// What the sender of a Hello or Welcome will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) calls_max: u64,
    pub(crate) payload_bytes_max: u64,
    /// Sequenced bytes that may be received and not yet acknowledged; used where resume was agreed.
    pub(crate) window_bytes: u64,
    /// Streams of the peer that may be open at once.
    pub(crate) streams_max: u64,
    /// The credit that each of them opens with.
    pub(crate) stream_window_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Define {
    pub(crate) number: MethodNumber,
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) fingerprint: u64,
}

/// A payload inside its frame, or the length of one that follows in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    Inline(SmallBytes),
    Chunked { total: usize },
}

/// What the caller wants of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Want {
    /// Send the value back.
    pub(crate) value: bool,
    /// Keep the result until it is released.
    pub(crate) keep: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) want: Want,
    pub(crate) oneway: bool,
    pub(crate) target: Target,
    pub(crate) method: MethodNumber,
    pub(crate) deadline_us: Option<u64>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) id: CallId,
    /// Only beside a value or an error.
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Done,
    Value(Payload),
    Error(Payload),
    /// An `ElementFailure`.
    Element(Payload),
    Upstream {
        origin: CallId,
        missed: Option<Path>,
    },
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) id: CallId,
    pub(crate) of_return: bool,
    pub(crate) bytes: SmallBytes,
}

/// Items of a stream, one behind the other, each after its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Items {
    pub(crate) stream: StreamId,
    /// Those that the one item names.
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) count: u64,
    pub(crate) bytes: SmallBytes,
}

/// An item that follows in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargeItem {
    pub(crate) stream: StreamId,
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) total: usize,
}

/// How a stream ended, as its sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    Complete,
    Error { objects: Vec<PassedObject>, bytes: SmallBytes },
    Abandoned,
    Stopped,
    Failed(Failure),
}

/// What items take from their stream's credit.
pub(crate) fn items_charge(count: u64, bytes: usize, objects: usize) -> u64 {
    count.saturating_mul(ITEM_OVERHEAD as u64).saturating_add((bytes + objects * ITEM_OBJECT_OVERHEAD) as u64)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Hello(Box<Hello>),
    Welcome(Welcome),
    Define(Define),
    Call(Call),
    Return(Return),
    Cancel(CallId),
    Release(Vec<CallId>),
    ReleaseObjects(Vec<(ObjectId, u64)>),
    Chunk(Chunk),
    Items(Items),
    LargeItem(LargeItem),
    ItemChunk { stream: StreamId, bytes: SmallBytes },
    Missed { stream: StreamId, count: u64 },
    StreamEnd { stream: StreamId, end: StreamEnd },
    Credit { stream: StreamId, bytes: u64 },
    Stop { stream: StreamId, reason: Option<String> },
    Goodbye { code: u16, reason: String },
    Ack { frames: u64 },
}

/// Why the peer did not produce a result, as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    UnknownService,
    UnknownMethod,
    SchemaMismatch { theirs: String },
    InvalidArgument { argument: String, reason: String },
    InvalidReference { argument: String, reason: String },
    ResourceExhausted { limit: String, retry_after_ms: u64 },
    Unavailable,
    Unauthenticated,
    PermissionDenied,
    DeadlineExceeded,
    Cancelled,
    Panicked,
    Unreachable { reason: String },
    NotCallable { reason: String },
}

impl Failure {
    /// A limit that stopped a call or a stream.
    pub(crate) fn exhausted(limit: &'static str) -> Self {
        Self::ResourceExhausted { limit: limit.into(), retry_after_ms: 0 }
    }

    pub(crate) fn invalid_argument(argument: &str, reason: impl Into<String>) -> Self {
        Self::InvalidArgument { argument: argument.into(), reason: reason.into() }
    }

    pub(crate) fn invalid_reference(argument: &str, reason: impl Into<String>) -> Self {
        Self::InvalidReference { argument: argument.into(), reason: reason.into() }
    }

    pub(crate) fn no_such_object(argument: &str) -> Self {
        Self::invalid_reference(argument, "the peer holds no such object")
    }
}

/// In words, for errors that are told as text.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownService => f.write_str("there is no such service"),
            Self::UnknownMethod => f.write_str("there is no such method"),
            Self::SchemaMismatch { theirs } => write!(f, "the method differs: {theirs}"),
            Self::InvalidArgument { argument, reason } => write!(f, "`{argument}` is not valid: {reason}"),
            Self::InvalidReference { argument, reason } => {
                write!(f, "the reference in `{argument}` is not valid: {reason}")
            }
            Self::ResourceExhausted { limit, .. } => write!(f, "the limit `{limit}` is reached"),
            Self::Unavailable => f.write_str("no new calls are taken"),
            Self::Unauthenticated => f.write_str("the caller is not authenticated"),
            Self::PermissionDenied => f.write_str("the caller may not do this"),
            Self::DeadlineExceeded => f.write_str("the deadline passed"),
            Self::Cancelled => f.write_str("it was cancelled"),
            Self::Unreachable { reason } => write!(f, "the object cannot be reached: {reason}"),
            Self::Panicked => f.write_str("the handler panicked"),
            Self::NotCallable { reason } => write!(f, "the method cannot be called: {reason}"),
        }
    }
}

// ---- writing ----

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Long texts are cut at a character boundary: they explain, they do not carry data.
fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
}

fn put_id(out: &mut Vec<u8>, id: CallId) {
    put_varint(out, id.0 as u64);
}

fn put_offer(out: &mut Vec<u8>, offer: &Offer) {
    put_varint(out, offer.calls_max);
    put_varint(out, offer.payload_bytes_max);
    put_varint(out, offer.window_bytes);
    put_varint(out, offer.streams_max);
    put_varint(out, offer.stream_window_bytes);
    put_bytes(out, &[]);
}

fn put_payload(out: &mut impl Out, payload: &Payload) {
    match payload {
        Payload::Inline(bytes) => {
            put_varint(out.bytes(), bytes.len() as u64);
            put_long(out, bytes);
        }
        Payload::Chunked { total } => put_varint(out.bytes(), *total as u64),
    }
}

fn put_long(out: &mut impl Out, bytes: &SmallBytes) {
    let (head, long) = bytes.pieces();
    out.bytes().extend_from_slice(head);
    if let Some(long) = long {
        out.put_long(long);
    }
}

fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_varint(out, path.steps().len() as u64);
    for step in path.steps() {
        let (tag, number) = match *step {
            Step::Field(number) => (0, Some(number)),
            Step::Index(number) => (1, Some(number)),
            Step::Some => (2, None),
            Step::Variant(number) => (3, Some(number)),
        };
        out.push(tag);
        if let Some(number) = number {
            put_varint(out, u64::from(number));
        }
    }
}

/// Appends one frame.
pub(crate) fn put_frame(out: &mut impl Out, frame: &Frame) {
    // These end with bytes that may be many.
    match frame {
        Frame::Call(call) => {
            put_call_head(out.bytes(), call);
            return put_payload(out, &call.payload);
        }
        Frame::Return(answer) => return put_return(out, answer),
        Frame::Chunk(chunk) => {
            put_chunk_head(out.bytes(), chunk.id, chunk.of_return, chunk.bytes.len());
            return put_long(out, &chunk.bytes);
        }
        Frame::ItemChunk { stream, bytes } => {
            put_item_chunk_head(out.bytes(), *stream, bytes.len());
            return put_long(out, bytes);
        }
        _ => {}
    }
    let out = out.bytes();
    match frame {
        Frame::Call(_) | Frame::Return(_) | Frame::Chunk(_) | Frame::ItemChunk { .. } => {}
        Frame::Hello(hello) => {
            out.push(0x01);
            out.extend_from_slice(&MAGIC);
            put_varint(out, u64::from(hello.version));
            put_varint(out, hello.features);
            put_varint(out, hello.codec);
            out.extend_from_slice(&hello.session);
            out.extend_from_slice(&hello.secret);
            out.push(0);
            put_offer(out, &hello.offer);
        }
        Frame::Welcome(welcome) => {
            out.push(0x02);
            put_varint(out, u64::from(welcome.version));
            put_varint(out, welcome.features);
            put_varint(out, welcome.codec);
            put_offer(out, &welcome.offer);
        }
        Frame::Define(define) => {
            put_define(out, define.number, &define.service, &define.method, define.fingerprint)
        }
        Frame::Cancel(id) => {
            out.push(0x06);
            put_id(out, *id);
        }
        Frame::Release(ids) => put_release(out, ids),
        Frame::ReleaseObjects(objects) => put_release_objects(out, objects),
        Frame::Items(items) => put_items(out, items.stream, &items.objects, items.count, &items.bytes),
        Frame::LargeItem(item) => put_large_item(out, item.stream, &item.objects, item.total),
        Frame::Missed { stream, count } => {
            put_stream_head(out, 0x15, *stream);
            put_varint(out, *count);
        }
        Frame::StreamEnd { stream, end } => put_stream_end(out, *stream, end),
        Frame::Credit { stream, bytes } => {
            put_stream_head(out, 0x17, *stream);
            put_varint(out, *bytes);
        }
        Frame::Stop { stream, reason } => {
            put_stream_head(out, 0x18, *stream);
            out.push(u8::from(reason.is_some()));
            if let Some(reason) = reason {
                put_text(out, reason);
            }
        }
        Frame::Goodbye { code, reason } => {
            out.push(0x09);
            put_varint(out, u64::from(*code));
            put_text(out, reason);
        }
        Frame::Ack { frames } => {
            out.push(0x0a);
            put_varint(out, *frames);
        }
    }
}

pub(crate) fn put_define(
    out: &mut Vec<u8>,
    number: MethodNumber,
    service: &str,
    method: &str,
    fingerprint: u64,
) {
    out.push(0x03);
    put_varint(out, u64::from(number.0));
    put_bytes(out, service.as_bytes());
    put_bytes(out, method.as_bytes());
    out.extend_from_slice(&fingerprint.to_le_bytes());
}

/// Appends a call as [`PlainCall`] describes it, to the services at the root.
pub(crate) fn put_plain_call(
    out: &mut impl Out,
    id: CallId,
    method: MethodNumber,
    deadline_us: Option<u64>,
    payload: &SmallBytes,
) {
    let bytes = out.bytes();
    bytes.reserve(PLAIN_HEAD_BYTES);
    bytes.push(0x04);
    put_id(bytes, id);
    bytes.push(if deadline_us.is_some() { WANTED | DEADLINE } else { WANTED });
    bytes.push(0);
    put_varint(bytes, u64::from(method.0));
    if let Some(deadline) = deadline_us {
        put_varint(bytes, deadline);
    }
    put_varint(bytes, payload.len() as u64);
    put_long(out, payload);
}

/// Appends a return as [`PlainValue`] describes it.
pub(crate) fn put_plain_value(out: &mut impl Out, id: CallId, payload: &SmallBytes) {
    let bytes = out.bytes();
    bytes.reserve(PLAIN_HEAD_BYTES);
    bytes.push(0x05);
    put_id(bytes, id);
    bytes.push(0x01);
    put_varint(bytes, payload.len() as u64);
    put_long(out, payload);
}

fn put_call_head(out: &mut Vec<u8>, call: &Call) {
    out.push(0x04);
    put_id(out, call.id);
    let mut flags = 0;
    for (set, flag) in [
        (call.want.value, WANTED),
        (call.want.keep, KEEP),
        (call.oneway, ONEWAY),
        (call.deadline_us.is_some(), DEADLINE),
        (!call.metadata.is_empty(), METADATA),
        (matches!(call.payload, Payload::Chunked { .. }), CHUNKED),
        (!call.objects.is_empty(), OBJECTS),
    ] {
        if set {
            flags |= flag;
        }
    }
    out.push(flags);
    match &call.target {
        Target::Root => put_signed(out, 0),
        Target::Object(id) => put_signed(out, -id.0),
        Target::Result(base, path) => {
            put_signed(out, base.0);
            put_path(out, path);
        }
    }
    put_varint(out, u64::from(call.method.0));
    if let Some(deadline) = call.deadline_us {
        put_varint(out, deadline);
    }
    if !call.metadata.is_empty() {
        put_varint(out, call.metadata.len() as u64);
        for (key, value) in &call.metadata {
            put_bytes(out, key.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    if !call.objects.is_empty() {
        put_objects(out, &call.objects);
    }
}

pub(crate) fn put_objects(out: &mut Vec<u8>, objects: &[PassedObject]) {
    put_varint(out, objects.len() as u64);
    for object in objects {
        let (tag, id) = match object {
            PassedObject::Senders(id) => (0, id.0),
            PassedObject::Receivers(id) => (1, id.0),
            PassedObject::Result(base, _) => (2, base.0),
            PassedObject::Stream(stream, Flow::Window) => (3, stream.0),
            PassedObject::Stream(stream, Flow::OneByOne) => (4, stream.0),
        };
        out.push(tag);
        put_varint(out, id as u64);
        if let PassedObject::Result(_, path) = object {
            put_path(out, path);
        }
    }
}

/// The bytes of a table of objects; none for an empty one, which is not written.
pub(crate) fn objects_bytes(objects: &[PassedObject]) -> usize {
    if objects.is_empty() {
        return 0;
    }
    let mut out = Vec::with_capacity(16 * objects.len());
    put_objects(&mut out, objects);
    out.len()
}

pub(crate) fn put_return(out: &mut impl Out, answer: &Return) {
    let with_payload = match &answer.status {
        Status::Value(payload) => Some((1, payload)),
        Status::Error(payload) => Some((2, payload)),
        Status::Element(payload) => Some((5, payload)),
        Status::Done | Status::Upstream { .. } | Status::Failed(_) => None,
    };
    let bytes = out.bytes();
    bytes.push(0x05);
    put_id(bytes, answer.id);
    if let Some((status, payload)) = with_payload {
        let chunked = if matches!(payload, Payload::Chunked { .. }) { RETURN_CHUNKED } else { 0 };
        let objects = if answer.objects.is_empty() { 0 } else { RETURN_OBJECTS };
        bytes.push(status | chunked | objects);
        if objects != 0 {
            put_objects(bytes, &answer.objects);
        }
        return put_payload(out, payload);
    }
    let out = bytes;
    match &answer.status {
        Status::Done => out.push(0),
        Status::Upstream { origin, missed } => {
            out.push(3);
            put_id(out, *origin);
            out.push(u8::from(missed.is_some()));
            if let Some(path) = missed {
                put_path(out, path);
            }
        }
        Status::Failed(failure) => {
            out.push(4);
            put_failure(out, failure);
        }
        Status::Value(_) | Status::Error(_) | Status::Element(_) => {}
    }
}

fn put_failure(out: &mut Vec<u8>, failure: &Failure) {
    match failure {
        Failure::UnknownService => out.push(1),
        Failure::UnknownMethod => out.push(2),
        Failure::SchemaMismatch { theirs } => {
            out.push(3);
            put_text(out, theirs);
        }
        Failure::InvalidArgument { argument, reason } => {
            out.push(4);
            put_text(out, argument);
            put_text(out, reason);
        }
        Failure::InvalidReference { argument, reason } => {
            out.push(5);
            put_text(out, argument);
            put_text(out, reason);
        }
        Failure::ResourceExhausted { limit, retry_after_ms } => {
            out.push(6);
            put_text(out, limit);
            put_varint(out, *retry_after_ms);
        }
        Failure::Unavailable => out.push(7),
        Failure::Unauthenticated => out.push(8),
        Failure::PermissionDenied => out.push(9),
        Failure::DeadlineExceeded => out.push(10),
        Failure::Cancelled => out.push(11),
        Failure::Panicked => out.push(12),
        Failure::Unreachable { reason } => {
            out.push(13);
            put_text(out, reason);
        }
        Failure::NotCallable { reason } => {
            out.push(14);
            put_text(out, reason);
        }
    }
}

fn put_release(out: &mut Vec<u8>, ids: &[CallId]) {
    out.push(0x07);
    put_varint(out, ids.len() as u64);
    let mut before = 0;
    for id in ids {
        put_signed(out, id.0 - before);
        before = id.0;
    }
}

fn put_release_objects(out: &mut Vec<u8>, objects: &[(ObjectId, u64)]) {
    out.push(0x20);
    put_varint(out, objects.len() as u64);
    let mut before = 0;
    for (id, introductions) in objects {
        put_signed(out, id.0 - before);
        put_varint(out, *introductions);
        before = id.0;
    }
}

fn put_stream_head(out: &mut Vec<u8>, kind: u8, stream: StreamId) {
    out.push(kind);
    put_varint(out, stream.0 as u64);
}

pub(crate) fn put_items(
    out: &mut Vec<u8>,
    stream: StreamId,
    objects: &[PassedObject],
    count: u64,
    bytes: &[u8],
) {
    put_stream_head(out, if objects.is_empty() { 0x10 } else { 0x11 }, stream);
    if objects.is_empty() {
        put_varint(out, count);
    } else {
        put_objects(out, objects);
    }
    put_bytes(out, bytes);
}

pub(crate) fn put_large_item(out: &mut Vec<u8>, stream: StreamId, objects: &[PassedObject], total: usize) {
    put_stream_head(out, if objects.is_empty() { 0x12 } else { 0x13 }, stream);
    if !objects.is_empty() {
        put_objects(out, objects);
    }
    put_varint(out, total as u64);
}

/// The bytes of the chunk follow.
pub(crate) fn put_item_chunk_head(out: &mut Vec<u8>, stream: StreamId, bytes: usize) {
    put_stream_head(out, 0x14, stream);
    put_varint(out, bytes as u64);
}

fn put_stream_end(out: &mut Vec<u8>, stream: StreamId, end: &StreamEnd) {
    put_stream_head(out, 0x16, stream);
    match end {
        StreamEnd::Complete => out.push(0),
        StreamEnd::Error { objects, bytes } => {
            out.push(if objects.is_empty() { 1 } else { 1 | END_OBJECTS });
            if !objects.is_empty() {
                put_objects(out, objects);
            }
            put_bytes(out, bytes);
        }
        StreamEnd::Abandoned => out.push(2),
        StreamEnd::Stopped => out.push(3),
        StreamEnd::Failed(failure) => {
            out.push(4);
            put_failure(out, failure);
        }
    }
}

/// Appends what `encode` writes after its length. Gives that length.
pub(crate) fn put_sized<E>(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<usize, E> {
    let start = out.len();
    // Most values are short: one byte is reserved for the length, and the value moves if that is too few.
    out.push(0);
    if let Err(error) = encode(out) {
        out.truncate(start);
        return Err(error);
    }
    let length = out.len() - start - 1;
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out[start] = short,
        _ => {
            let mut prefix = Vec::with_capacity(10);
            put_varint(&mut prefix, length as u64);
            out.splice(start..start + 1, prefix);
        }
    }
    Ok(length)
}

/// The bytes of the chunk follow.
pub(crate) fn put_chunk_head(out: &mut Vec<u8>, id: CallId, of_return: bool, bytes: usize) {
    out.push(0x08);
    put_varint(out, ((id.0 as u64) << 1) | u64::from(of_return));
    put_varint(out, bytes as u64);
}

/// A chunk whose bytes are copied.
#[cfg(test)]
pub(crate) fn put_chunk(out: &mut Vec<u8>, id: CallId, of_return: bool, bytes: &[u8]) {
    put_chunk_head(out, id, of_return, bytes.len());
    out.extend_from_slice(bytes);
}

/// Arguments as a caller writes them: slots behind each other, counted at the front when sent.
pub(crate) mod slots {
    use std::ops::Range;

    use super::{CallId, Path, SLOTS_MAX, put_id, put_path, put_varint, varint_at};

    /// Where the first argument begins.
    pub(crate) fn first(payload: &[u8]) -> usize {
        varint_at(payload, 0).map_or(payload.len(), |(_, first)| first)
    }

    /// How many arguments these are, if all are inline, well formed, and nothing is behind them.
    pub(crate) fn all_inline(payload: &[u8]) -> Option<usize> {
        let (count, first) = varint_at(payload, 0)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= SLOTS_MAX)?;
        let mut at = first;
        for _ in 0..count {
            at = inline_value(payload, at)?.end;
        }
        (at == payload.len()).then_some(count)
    }

    /// Where the value of the inline slot lies that begins at `at`, and ends with it.
    #[inline]
    pub(crate) fn inline_value(payload: &[u8], at: usize) -> Option<Range<usize>> {
        if *payload.get(at)? != 0 {
            return None;
        }
        let (length, start) = varint_at(payload, at + 1)?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= payload.len()).then_some(start..end)
    }

    /// Appends an inline slot whose value `encode` writes.
    pub(crate) fn put_inline<E>(
        out: &mut Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        out.push(0);
        super::put_sized(out, encode).map(drop).inspect_err(|_| out.truncate(out.len() - 1))
    }

    /// Appends an inline slot whose value is `head` and so many bytes that are still to follow.
    pub(crate) fn put_inline_head(out: &mut Vec<u8>, head: &[u8], following: usize) {
        out.push(0);
        put_varint(out, (head.len() + following) as u64);
        out.extend_from_slice(head);
    }

    /// Appends a slot that stands for the part at `path` of what `base` returns.
    pub(crate) fn put_reference(out: &mut Vec<u8>, base: CallId, path: &Path, as_some: bool) {
        out.push(if as_some { 2 } else { 1 });
        put_id(out, base);
        put_path(out, path);
    }

    /// Opens a tuple of `count` slots.
    pub(crate) fn put_tuple(out: &mut Vec<u8>, count: usize) {
        out.push(3);
        put_varint(out, count as u64);
    }
}

// ---- reading ----

/// A frame of the kinds that most are, with what most have. Where its payload lies, nothing else is behind.
#[derive(Debug, Clone)]
pub(crate) enum Plain {
    Call(PlainCall),
    Value(PlainValue),
}

/// A call whose value is wanted and not kept, without metadata and objects, that does not address a promised object.
#[derive(Debug, Clone)]
pub(crate) struct PlainCall {
    pub(crate) id: CallId,
    /// Of the receiver; the services at the root if it is not.
    pub(crate) object: Option<ObjectId>,
    pub(crate) method: MethodNumber,
    pub(crate) deadline_us: Option<u64>,
    pub(crate) payload: Range<usize>,
}

/// A return with a value, without objects.
#[derive(Debug, Clone)]
pub(crate) struct PlainValue {
    pub(crate) id: CallId,
    pub(crate) payload: Range<usize>,
}

fn plain_call(bytes: &[u8], at: usize) -> Option<PlainCall> {
    let (id, at) = plain_id(bytes, at)?;
    let flags = *bytes.get(at)?;
    if flags & !DEADLINE != WANTED {
        return None;
    }
    let (target, at) = varint_at(bytes, at + 1)?;
    let object = match target {
        0 => None,
        // Odd is negative: the object n is 2n - 1.
        odd if odd & 1 == 1 => Some(ObjectId(checked_id(odd / 2 + 1)?)),
        _ => return None,
    };
    let (method, at) = varint_at(bytes, at)?;
    let (deadline_us, at) = match flags & DEADLINE {
        0 => (None, at),
        _ => varint_at(bytes, at).map(|(deadline, at)| (Some(deadline), at))?,
    };
    let payload = plain_payload(bytes, at)?;
    Some(PlainCall { id, object, method: MethodNumber(u32::try_from(method).ok()?), deadline_us, payload })
}

fn plain_value(bytes: &[u8], at: usize) -> Option<PlainValue> {
    let (id, at) = plain_id(bytes, at)?;
    if *bytes.get(at)? != 0x01 {
        return None;
    }
    Some(PlainValue { id, payload: plain_payload(bytes, at + 1)? })
}

#[inline]
fn plain_id(bytes: &[u8], at: usize) -> Option<(CallId, usize)> {
    let (id, at) = varint_at(bytes, at)?;
    Some((CallId(checked_id(id)?), at))
}

fn checked_id(raw: u64) -> Option<i64> {
    i64::try_from(raw).ok().filter(|id| (1..=CALL_ID_MAX).contains(id))
}

#[inline]
fn plain_payload(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let (length, start) = varint_at(bytes, at)?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

/// The integer that begins at `at`, and where it ends; `None` if it does not end or has more than 64 bits.
#[inline]
fn varint_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    match *bytes.get(at)? {
        short @ ..0x80 => Some((u64::from(short), at + 1)),
        _ => long_varint_at(bytes, at),
    }
}

fn long_varint_at(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        if shift == 63 && byte & 0x7f > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

/// Reads the frames of one message, in order.
#[derive(Debug)]
pub(crate) struct FrameReader {
    message: SmallBytes,
    at: usize,
}

impl FrameReader {
    pub(crate) fn new(message: impl Into<SmallBytes>) -> Self {
        Self { message: message.into(), at: 0 }
    }

    /// The next frame, if it is one of those that are most, and which have nothing special about them. What is not for
    /// whatever reason, malformed frames included, is left to [`next_frame`](Self::next_frame).
    #[inline]
    pub(crate) fn peek_plain(&self) -> Option<Plain> {
        let bytes = &self.message[..];
        match bytes.get(self.at)? {
            0x04 => plain_call(bytes, self.at + 1).map(Plain::Call),
            0x05 => plain_value(bytes, self.at + 1).map(Plain::Value),
            _ => None,
        }
    }

    /// A part of the message.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub(crate) fn part(&self, range: Range<usize>) -> SmallBytes {
        self.message.part(range)
    }

    /// Goes on reading at `end`, where a plain frame ends.
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
                0x0a => Frame::Ack { frames: self.varint()? },
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

    fn malformed(&self, what: &'static str) -> Violation {
        Violation::Malformed { offset: self.at, what }
    }

    fn byte(&mut self) -> Result<u8, Violation> {
        let byte =
            *self.message.get(self.at).ok_or_else(|| self.malformed("the message ends inside a frame"))?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Violation> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("an integer above 64 bits"))
    }

    fn signed(&mut self) -> Result<i64, Violation> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        u32::try_from(self.varint()?).map_err(|_| self.malformed("a number above 32 bits"))
    }

    fn length(&mut self) -> Result<usize, Violation> {
        usize::try_from(self.varint()?).map_err(|_| self.malformed("a length above the address space"))
    }

    fn checked_id(&self, raw: i64) -> Result<CallId, Violation> {
        if (1..=CALL_ID_MAX).contains(&raw) {
            Ok(CallId(raw))
        } else {
            Err(self.malformed("a call id out of range"))
        }
    }

    fn object_id(&mut self, raw: i64) -> Result<ObjectId, Violation> {
        if (1..=CALL_ID_MAX).contains(&raw) {
            Ok(ObjectId(raw))
        } else {
            Err(self.malformed("an object id out of range"))
        }
    }

    fn stream_id(&self, raw: i64) -> Result<StreamId, Violation> {
        if (1..=CALL_ID_MAX).contains(&raw) {
            Ok(StreamId(raw))
        } else {
            Err(self.malformed("a stream id out of range"))
        }
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

    /// Items one behind the other, which must be as many as is said and fill their bytes.
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
        // They may wait long to be read, and keep a message of which they are most.
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
            base => Target::Result(self.checked_id(base)?, self.path()?),
        })
    }

    /// A table of objects. `in_call` is whether it may name results of the sender's calls.
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
                2 if in_call => PassedObject::Result(self.checked_id(id)?, self.path()?),
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

    fn id(&mut self) -> Result<CallId, Violation> {
        let raw = i64::try_from(self.varint()?).unwrap_or(i64::MAX);
        self.checked_id(raw)
    }

    fn bytes(&mut self) -> Result<SmallBytes, Violation> {
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
            offer: {
                if self.byte()? != 0 {
                    return Err(self.malformed("an attach this version does not know"));
                }
                self.offer()?
            },
        };
        Ok(hello)
    }

    fn welcome(&mut self) -> Result<Welcome, Violation> {
        let version = self.u32()?;
        if version != WIRE_VERSION {
            return Err(Violation::Version { peer: version, ours: WIRE_VERSION });
        }
        Ok(Welcome { version, features: self.varint()?, codec: self.varint()?, offer: self.offer()? })
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
        if flags & !CALL_FLAGS != 0 {
            return Err(self.malformed("unknown call flags"));
        }
        let target = self.target()?;
        let method = MethodNumber(self.u32()?);
        let deadline_us = if flags & DEADLINE != 0 { Some(self.varint()?) } else { None };
        let metadata = if flags & METADATA != 0 { self.metadata()? } else { Vec::new() };
        let objects = if flags & OBJECTS != 0 { self.objects(true)? } else { Vec::new() };
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
            payload,
        })
    }

    fn metadata(&mut self) -> Result<Vec<(String, String)>, Violation> {
        let count = self.length()?;
        // Each entry takes two bytes at least: a count beyond that is a lie, found before anything is reserved.
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
        let status = byte & !(RETURN_CHUNKED | RETURN_OBJECTS);
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

    fn failure(&mut self) -> Result<Failure, Violation> {
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
            6 => Failure::ResourceExhausted {
                limit: self.string(TEXT_BYTES_MAX)?,
                retry_after_ms: self.varint()?,
            },
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
                self.checked_id(before)
            })
            .collect()
    }

    fn chunk(&mut self) -> Result<Chunk, Violation> {
        let which = self.varint()?;
        let id = self.checked_id((which >> 1) as i64)?;
        Ok(Chunk { id, of_return: which & 1 == 1, bytes: self.bytes()? })
    }

    fn path(&mut self) -> Result<Path, Violation> {
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

/// Goes through items that lie one behind the other; the frame they came in was checked.
#[derive(Debug, Default)]
pub(crate) struct ItemReader {
    bytes: SmallBytes,
    at: usize,
}

impl ItemReader {
    pub(crate) fn new(bytes: SmallBytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next item lies in [`bytes`](Self::bytes).
    pub(crate) fn next_range(&mut self) -> Option<std::ops::Range<usize>> {
        let mut length = 0_usize;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                let start = self.at;
                self.at = start.checked_add(length).filter(|end| *end <= self.bytes.len())?;
                return Some(start..self.at);
            }
        }
        None
    }

    pub(crate) fn bytes(&self) -> &SmallBytes {
        &self.bytes
    }

    /// The items that were not passed.
    pub(crate) fn into_rest(self) -> SmallBytes {
        self.bytes.part(self.at..self.bytes.len())
    }
}

/// One argument as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    Inline(SmallBytes),
    Reference(Reference),
    Tuple(Vec<Slot>),
}

/// A slot that stands for a part of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) base: CallId,
    pub(crate) path: Path,
    pub(crate) as_some: bool,
}

/// The most slots a tuple may have; the macro's arguments stop there too.
pub(crate) const SLOTS_MAX: usize = 64;

/// A call's arguments.
pub(crate) struct ArgumentList {
    pub(crate) slots: Vec<Slot>,
}

impl ArgumentList {
    pub(crate) fn parse(payload: impl Into<SmallBytes>) -> Result<Self, Violation> {
        let mut reader = FrameReader::new(payload);
        let count = reader.length()?;
        if count > SLOTS_MAX {
            return Err(reader.malformed("too many arguments"));
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            slots.push(reader.slot(true)?);
        }
        if reader.at != reader.message.len() {
            return Err(reader.malformed("bytes after the last argument"));
        }
        Ok(Self { slots })
    }
}

impl FrameReader {
    fn slot(&mut self, tuple_allowed: bool) -> Result<Slot, Violation> {
        Ok(match self.byte()? {
            0 => Slot::Inline(self.bytes()?),
            tag @ (1 | 2) => {
                Slot::Reference(Reference { base: self.id()?, path: self.path()?, as_some: tag == 2 })
            }
            3 if tuple_allowed => {
                let count = self.length()?;
                if count > SLOTS_MAX {
                    return Err(self.malformed("too many slots in a tuple"));
                }
                Slot::Tuple((0..count).map(|_| self.slot(false)).collect::<Result<_, _>>()?)
            }
            _ => return Err(self.malformed("an unknown argument slot")),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
