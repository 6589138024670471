//! The wire format, which only this folder knows: the tables of the protocol, its frames, and the reasons why calls fail.
//! `wire/write.rs` turns frames to bytes and `wire/read.rs` turns bytes to frames.
//!
//! One WebSocket message is one *batch*: frames back to back, nothing between or after them. Integers are unsigned
//! LEB128 (`varint`, at most ten bytes and 64 bits; a longer form than needed is accepted). Zigzag integers are written as `2n`
//! if `n` is not negative, and as `-2n - 1` if it is. `str` and `bytes` are a varint length and that many bytes; a `str` is
//! UTF-8 and, except in metadata, at most 4,096 bytes long. Kind, flags, status, tags and codes are single bytes, as are all
//! fields written as two hexadecimal digits. Unknown bits in a flags byte, unknown statuses, tags and codes are a violation,
//! and so is a message that ends inside a frame.
//!
//! | kind | frame | fields |
//! |---|---|---|
//! | `01` | Hello | the four bytes `RPCW` · version · features · codec · session id, 16 bytes · secret, 32 bytes · attach · offer |
//! | `02` | Welcome | version · features · codec · attach · offer |
//! | `03` | Define | method number · service `str` · method `str` · fingerprint, 8 bytes, little-endian |
//! | `04` | Call | id · flags · target · method number · \[deadline µs\] · \[metadata: count, (`str` `str`)…\] · \[objects\] · \[extensions\] · payload |
//! | `05` | Return | id · status · \[extensions\] · the fields of the status |
//! | `06` | Cancel | id |
//! | `07` | Release | count · that many ids, each as its difference to the id before (zigzag); the first as its difference to 0 |
//! | `08` | Chunk | id × 2 + (1 if it belongs to a Return) · `bytes`, at least one |
//! | `09` | Goodbye | code, at most 65,535 · reason `str` |
//! | `0a` | Ack | number of sequenced messages accepted so far; only where the resume feature was agreed |
//! | `0b` | Ping | number, which a Pong brings back |
//! | `0c` | Pong | number of the last Ping |
//! | `0d` | Skip | number of the next sequenced message on this socket: those before it were accepted already |
//! | `10` | Items | stream id · count, at least 1 · `bytes` that contain as many `bytes`, one for each item; at most 16 KiB + 8 |
//! | `11` | ItemWithObjects | stream id · objects · `bytes` that contain one `bytes`, the item |
//! | `12` | LargeItem | stream id · total length, above 0; ItemChunk frames bring the item |
//! | `13` | LargeItemWithObjects | stream id · objects · total length, above 0 |
//! | `14` | ItemChunk | stream id · `bytes`, at least one |
//! | `15` | Missed | stream id · count, at least 1, of items that the sender left out at this point |
//! | `16` | StreamEnd | stream id · how the stream ended, and its fields |
//! | `17` | Credit | stream id · bytes, at least 1 |
//! | `18` | Stop | stream id · `00` if its items are not wanted, or `01` and the reason, a `str` |
//! | `19`–`1f` | | reserved |
//! | `20` | ReleaseObjects | count · that many pairs: object id, as in Release · number of introductions that are released |
//! | `21`–`2f` | | reserved |
//! | `80`–`ff` | | optional: `bytes` follow; a receiver that does not know the kind skips them |
//!
//! An object id is 1 to 2^53 - 1. The side that has the object chooses it, above all ids it chose before. A table of objects is
//! a count and as many entries, at most 48 KiB; the payload names an entry by its place in the table, from 0.
//!
//! | tag | entry | fields |
//! |---|---|---|
//! | `00` | an object of the sender, introduced once more | object id |
//! | `01` | the receiver's own object | object id |
//! | `02` | in a Call: the object in the result of another call of the sender | call id · path |
//! | `03` | a stream of the sender, opened by this entry | stream id |
//! | `04` | like `03`, but with an initial credit of 1, so that each item waits until the one before was read | stream id |
//!
//! The receiver counts the introductions of each object, and its ReleaseObjects says how many of them it releases. So a release
//! and an introduction that cross on the way neither lose the object nor leak it.
//!
//! A stream id is 1 to 2^53 - 1. The side that sends the items chooses it, above all ids it chose before. One entry in a table
//! opens the stream. The sender sends Items, Missed and a last StreamEnd. The receiver grants Credit and may send a Stop, which
//! the StreamEnd answers. A stream opens with the credit that the receiver's offer says. An item takes credit for its bytes,
//! those of its length included, and 64 more, and 16 for each entry of its table; the chunks of an item take their length. One
//! item alone, or a chunk of at most 16 KiB, may be sent while any credit is left, and may overdraw it. Everything else must
//! fit into the credit. An item in chunks is complete before the next begins. Unused credit is at most 2^31 - 1.
//!
//! | how | end of a stream | fields |
//! |---|---|---|
//! | `00` | complete | |
//! | `01` | the producer's own error | `bytes` |
//! | `21` | the producer's own error, with objects | objects · `bytes` |
//! | `02` | the producer was dropped before the stream was complete | |
//! | `03` | stopped | |
//! | `04` | another failure | code · the fields of the code, as in a Return |
//!
//! Any other kind is a violation, the reserved ones included until a version gives them a meaning.
//! Version is `1`. Codec `1` is bincode 2 (`codec.rs`). Features are bits: `01` is resume; the others are `0`. A feature is in
//! use where both sides have its bit.
//! An offer has the limits of its sender: calls max · payload bytes max · window bytes · streams max · credit that a stream
//! opens with · extension `bytes`, to be skipped.
//! The Hello is the first frame of the side that opened the socket, the Welcome the first of the other side; each is sent once
//! on a socket. Until the Welcome has arrived, the opener sends at most 256 calls, 64 streams without items, 64 KiB, and no
//! chunks.
//!
//! Frames `01`, `02` and `0a`–`0d` are about the socket and not about the session; they stand before all others in their message.
//! A message that has other frames behind them is *sequenced*: both ends count these messages, over all sockets of the session,
//! from 0. Where resume was agreed, the sender keeps each until an Ack, or the attach of a new socket, says that it was accepted.
//! Messages that are not acknowledged have at most window bytes together, of the sender's offer, and at first 256 KiB: the
//! window in use is a quarter of the bytes that were ever acknowledged, within these bounds, and one message may exceed it. The
//! receiver acknowledges at the latest when it has accepted a quarter of the window in use, or 64 messages, or after 100 ms.
//!
//! | attach | in a Hello | in a Welcome |
//! |---|---|---|
//! | `00` | a new session | a new session |
//! | `01` | the session with this id and secret goes on: next secret, 32 bytes · resume | it goes on: resume |
//!
//! A resume is the number of sequenced messages accepted from the other side · the number of the first sequenced message that
//! follows on this socket, at most what the other side has accepted · the number of the first one that was never sent before · µs
//! since the last socket ended, which are taken off the deadlines in messages that were sent before. The
//! receiver skips the messages that it has accepted already. The next secret takes the secret's place when the opener's first
//! Ack on the new socket has arrived; until then either opens another socket. A resume that is refused closes the socket.
//!
//! A call id is 1 to 2^53 - 1. The caller chooses it, above all ids it chose before. Method numbers have 32 bits. A Define
//! gives a number its meaning, once, before the first Call that uses it. Two numbers are built in and not defined. Number 0
//! takes one argument, a Reference, and returns the value that it selects. Number 1 is a map: its arguments are the Reference
//! to a sequence or an option, an Inline program, and up to 62 captures, which are References. It returns a sequence or an
//! option of the program's results, one for each element. Methods that the program names are defined before it.
//! Call flags: `01` value wanted · `02` keep the result for later references · `04` one-way · `08` deadline follows ·
//! `10` metadata follows · `20` payload follows in chunks · `40` a table of objects follows · `80` extensions follow.
//! A target is a zigzag integer: `0` for the services at the root, a negative object id for an object of the receiver, or a
//! positive call id for the object in the result of that call, at the path that follows.
//! A payload is `bytes`. A payload in chunks is only its total length, above 0; Chunk frames bring the bytes in order.
//!
//! | status | meaning | fields |
//! |---|---|---|
//! | `00` | done, value not wanted | |
//! | `01` | value | payload |
//! | `11` | value in chunks | total length |
//! | `02` | the method's error | payload |
//! | `12` | the method's error in chunks | total length |
//! | + `20` | on the four above: a table of objects comes before the payload or the total length | |
//! | + `80` | on all: extensions come first | |
//! | `05` | an element of a map failed | payload |
//! | `15` | an element of a map failed, in chunks | total length |
//! | `03` | not run: a call it was built on failed, or has nothing at the path | id of that call · `00`, or `01` and path |
//! | `04` | failed | code · the fields of the code |
//!
//! | code | failure | fields |
//! |---|---|---|
//! | `01` | unknown service | |
//! | `02` | unknown method | |
//! | `03` | schema mismatch | the answering side's layout `str` |
//! | `04` | invalid argument | argument `str` · reason `str` |
//! | `05` | invalid reference | argument `str` · reason `str` |
//! | `06` | resource exhausted | limit `str` · `00` if the limit is the sender's, `01` if the receiver's · the figure that was needed and the one allowed, each 0 if not told · retry after, ms, 0 if not known |
//! | `07` | unavailable | |
//! | `08` | unauthenticated | |
//! | `09` | permission denied | |
//! | `0a` | deadline exceeded | |
//! | `0b` | cancelled | |
//! | `0c` | the handler panicked | |
//! | `0d` | the object cannot be reached | reason `str` |
//! | `0e` | the method cannot be called by anybody | reason `str` |
//!
//! Extensions are a count, at most 16, and as many pairs of a kind, a varint, and `bytes`; 4 KiB together. Kinds rise. A receiver skips
//! the kinds that it does not know, so they may be sent before the peer is known. A Return has none so far.
//!
//! | kind | extension of a Call | bytes |
//! |---|---|---|
//! | `1` | the call was sent before, in sessions that were lost | for each, 1 to 16: session id, 16 bytes · its call id there, 8 bytes, little-endian |
//!
//! A Call's payload is its arguments: a count, at most 64, as many slots, and nothing after them.
//!
//! | tag | slot | fields |
//! |---|---|---|
//! | `00` | Inline | `bytes`, encoded by the codec |
//! | `01` | Reference | call id · path |
//! | `02` | Reference as the `Some` of an option | call id · path |
//! | `03` | Tuple | count, at most 64 · slots, none of them a tuple |
//!
//! A path is a count, at most 32, and as many steps: `00` field n · `01` index n · `02` some · `03` variant n, where
//! n has 32 bits. A path without steps is the whole result.
//!
//! A program is a policy · a count and as many steps · an operand, which is the element's result. The policy is `00` if an
//! element that fails fails the map, or `01` if the error takes the element's place in the result. The side that runs the
//! program limits its steps and their nesting; all steps together have at most 1,024 slots.
//!
//! | tag | step | fields |
//! |---|---|---|
//! | `00` | Call | target · method number · count, at most 64 · slots · \[count · that many places in the table of the map's call\] |
//! | `01` | Map | operand, the sequence or option · count, at most 64 · operands, the captures · program |
//!
//! A step's target is `00` for the services at the root, `01` and an operand that is an object, or `02` and the place of an
//! object in the table of the map's call. If the bit `10` is set in it, the places that inline slots name follow the slots.
//! The slots are those of a call, with an operand in the place of call id and path. An operand is `00` for the element, `01`
//! and the number of an earlier step for its result, or `02` and the number of a capture; then the path of the part.
//!
//! With the policy `01`, each element becomes a `Result` whose error is an `ElementError` (`error.rs`), as the codec encodes
//! them. The failure of an element is a trail and a cause. The trail is a count, at most 64, and as many pairs of element and
//! step, from the outermost map inwards; the number after the last step stands for the program's result. The cause is `00` and
//! the `bytes` of the error that the call returned, `01` and the operand that has nothing at its path, or `02`, a code and its
//! fields.

use std::borrow::Cow;

use crate::{buffer::small_bytes::SmallBytes, error::Side, limits::LimitText, path::Path};

pub(crate) mod arguments;
pub(crate) mod map_program;
pub(crate) mod plain;
pub(crate) mod read;
pub(crate) mod varint;
pub(crate) mod write;

/// The version of the wire format that this file documents.
pub(crate) const WIRE_VERSION: u32 = 1;
/// The feature bit of sessions that outlive their sockets.
pub(crate) const FEATURE_RESUME: u64 = 1;
/// The codec of payloads: bincode 2, `standard()` configuration.
pub(crate) const CODEC_BINCODE: u64 = 1;
/// The length at which a batch is sealed.
pub(crate) const BATCH_BYTES: usize = 16 << 10;
/// Payloads up to this length travel inside their frame; longer ones in chunks.
pub(crate) const INLINE_BYTES_MAX: usize = 72 << 10;
/// The bytes of each chunk but the last.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// The most bytes that a chunk frame has besides those of the payload.
pub(crate) const CHUNK_HEAD_BYTES: usize = 16;
/// The longest message: a batch that is just not sealed, and then the longest frame, with its metadata and names.
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
const EXTENSIONS: u8 = 0x80;
const EXTENSIONS_MAX: usize = 16;
const EXTENSIONS_BYTES_MAX: usize = 4 << 10;
/// The kind of a Call's extension that tells where it was sent before.
const SENT_BEFORE: u64 = 1;
const SENT_BEFORE_BYTES: usize = 24;
/// The most lost sessions that a Call names.
pub(crate) const SENT_BEFORE_MAX: usize = 16;
const RETURN_CHUNKED: u8 = 0x10;
const RETURN_EXTENSIONS: u8 = 0x80;
const END_OBJECTS: u8 = 0x20;
/// The most bytes of items in one frame; a longer item travels in chunks.
pub(crate) const ITEMS_BYTES: usize = 16 << 10;
/// The room for the length of an item that fills a frame.
const ITEMS_HEAD_BYTES: usize = 8;
/// Items share the memory of their message if they are at least one in this number of its bytes; else they are copied.
const ITEMS_SHARE: usize = 4;
/// The longest chunk of an item, which may be sent while any credit is left.
pub(crate) const ITEM_CHUNK_BYTES: usize = 16 << 10;
/// The credit that an item takes besides its bytes. It bounds the number of items.
pub(crate) const ITEM_OVERHEAD: usize = 64;
/// The credit that each entry of an item's table takes.
const ITEM_OBJECT_OVERHEAD: usize = 16;
/// The most unused credit of a stream.
pub(crate) const CREDIT_MAX: u64 = (1 << 31) - 1;
const RETURN_OBJECTS: u8 = 0x20;
/// The longest table of objects.
pub(crate) const OBJECTS_BYTES_MAX: usize = 48 << 10;

/// A call's name on the wire. The caller chooses ids in rising order and uses none twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) i64);

/// An object's name on the wire. The side that has the object chooses ids in rising order and uses none twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(pub(crate) i64);

/// A stream's name on the wire. The sender of the items chooses ids in rising order and uses none twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) i64);

/// How far a stream's sender may be ahead of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flow {
    /// As far as the stream's window allows.
    #[default]
    Window,
    /// By one item.
    OneByOne,
}

/// The target of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The services the peer offers.
    Root,
    /// An object of the receiver.
    Object(ObjectId),
    /// The object at a path in the result of another call of the sender.
    Result(CallId, Path),
}

/// One entry of a table of objects beside a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PassedObject {
    /// An object of the sender, introduced to the receiver once more.
    Senders(ObjectId),
    /// An object of the receiver.
    Receivers(ObjectId),
    /// An object in the result of another call of the sender.
    Result(CallId, Path),
    /// A stream of the sender, opened by this entry.
    Stream(StreamId, Flow),
}

/// The number that a peer's Define gave a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MethodNumber(pub(crate) u32);

/// The method number of the built-in call that returns the value of its one reference.
pub(crate) const METHOD_GET: MethodNumber = MethodNumber(0);
/// The method number of the built-in call that runs a program for each element of its reference.
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
    /// For a session that goes on: its next secret, and where it goes on.
    pub(crate) attach: Option<([u8; 32], Resume)>,
    pub(crate) offer: Offer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) version: u32,
    pub(crate) features: u64,
    pub(crate) codec: u64,
    /// For a session that goes on: where.
    pub(crate) attach: Option<Resume>,
    pub(crate) offer: Offer,
}

/// The place where a session goes on, on a new socket. Counts are those of sequenced messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resume {
    /// The count of messages accepted from the receiver of this frame.
    pub(crate) accepted: u64,
    /// The number of the first message that follows on this socket.
    pub(crate) first: u64,
    /// The number of the first message that was never sent before.
    pub(crate) fresh: u64,
    /// The time since the last socket ended.
    pub(crate) detached_us: u64,
}

/// The limits of the sender of a Hello or Welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) calls_max: u64,
    pub(crate) payload_bytes_max: u64,
    /// The most bytes of sequenced messages that the sender of the offer keeps until they are acknowledged.
    pub(crate) window_bytes: u64,
    /// Streams that the receiver of the offer may have open at once.
    pub(crate) streams_max: u64,
    /// The credit that each of these streams opens with.
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

/// What the peer is to do with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Want {
    /// Whether to send the value back.
    pub(crate) value: bool,
    /// Whether to keep the result until it is released.
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
    pub(crate) extensions: Option<Box<Extensions>>,
    pub(crate) payload: Payload,
}

/// The known extensions of a Call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extensions {
    /// The call, as it was sent before in sessions that were lost.
    pub(crate) sent_before: Vec<SentBefore>,
}

/// A call as it was sent in a session that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentBefore {
    pub(crate) session: [u8; 16],
    pub(crate) call: CallId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) id: CallId,
    /// Objects beside a value or an error; else empty.
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Done,
    Value(Payload),
    Error(Payload),
    /// An encoded `ElementFailure`.
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

/// Items of a stream, one behind the other, each preceded by its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Items {
    pub(crate) stream: StreamId,
    /// The objects that the item names; more than one item has none.
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) count: u64,
    pub(crate) bytes: SmallBytes,
}

/// The announcement of an item that follows in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargeItem {
    pub(crate) stream: StreamId,
    pub(crate) objects: Vec<PassedObject>,
    pub(crate) total: usize,
}

/// How a stream ended, as its sender tells the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    Complete,
    Error { objects: Vec<PassedObject>, bytes: SmallBytes },
    Abandoned,
    Stopped,
    Failed(Failure),
}

/// The credit that items take from their stream.
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
    Ack { messages: u64 },
    Ping { number: u64 },
    Pong { number: u64 },
    Skip { next: u64 },
}

/// Why a call gave no result, or why a stream ended, as sent on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    UnknownService,
    UnknownMethod,
    SchemaMismatch { theirs: String },
    InvalidArgument { argument: String, reason: String },
    InvalidReference { argument: String, reason: String },
    ResourceExhausted(Box<Exhausted>),
    Unavailable,
    Unauthenticated,
    PermissionDenied,
    DeadlineExceeded,
    Cancelled,
    Panicked,
    Unreachable { reason: String },
    NotCallable { reason: String },
}

/// A limit that would be exceeded: its name in `Limits`, the figure that would be reached, and the one that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) limit: &'static str,
    pub(crate) needed: u64,
    pub(crate) allowed: u64,
}

impl Reached {
    pub(crate) fn new(limit: &'static str, needed: usize, allowed: usize) -> Self {
        Self { limit, needed: needed as u64, allowed: allowed as u64 }
    }

    /// A limit that is reached, by figures that were not summed up.
    pub(crate) fn at(limit: &'static str, allowed: usize) -> Self {
        Self::new(limit, 0, allowed)
    }
}

/// A limit that was reached, as its side told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) limit: Cow<'static, str>,
    /// The side whose limit it is, as this side sees it; on the wire, as the sender does (see [`Failure::received`]).
    pub(crate) side: Side,
    /// The figure that would be reached; 0 if the limit's side does not tell.
    pub(crate) needed: u64,
    /// The figure that is allowed; 0 if the limit's side does not tell.
    pub(crate) allowed: u64,
    /// 0 if unknown.
    pub(crate) retry_after_ms: u64,
}

impl From<Reached> for Failure {
    fn from(reached: Reached) -> Self {
        Self::ResourceExhausted(Box::new(reached.into()))
    }
}

impl From<Reached> for Exhausted {
    fn from(Reached { limit, needed, allowed }: Reached) -> Self {
        Self { limit: limit.into(), side: Side::Local, needed, allowed, retry_after_ms: 0 }
    }
}

impl Exhausted {
    fn text(&self) -> LimitText<'_> {
        LimitText { limit: &self.limit, needed: self.needed, allowed: self.allowed }
    }
}

impl Failure {
    /// The failure of a call or a stream that a limit of this side stopped, without figures.
    pub(crate) fn exhausted(limit: &'static str) -> Self {
        Reached { limit, needed: 0, allowed: 0 }.into()
    }

    /// The failure of a call or a stream that a limit of the other side stopped before it was sent.
    pub(crate) fn exhausted_of_peer(reached: Reached) -> Self {
        Self::ResourceExhausted(Box::new(Exhausted { side: Side::Peer, ..reached.into() }))
    }

    /// A failure that the peer sent, as this side sees it.
    pub(crate) fn received(mut self) -> Self {
        if let Self::ResourceExhausted(exhausted) = &mut self {
            exhausted.side = match exhausted.side {
                Side::Local => Side::Peer,
                Side::Peer => Side::Local,
            };
        }
        self
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

/// The failure as text, for errors that are told in words.
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
            Self::ResourceExhausted(exhausted) => exhausted.text().fmt(f),
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

#[cfg(test)]
pub(crate) mod tests;
