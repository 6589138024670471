//! The limits of a session, all in one place: what each bounds, its default, and what happens when it is reached.

use std::{fmt, time::Duration};

/// The default nesting depth of values.
pub(crate) const DECODE_DEPTH_MAX: usize = 64;

/// The bounds of one session. All are on by default.
///
/// [`Limits::default`] bounds memory and work so that trusted peers run at full speed; [`Limits::public`] is for the
/// open internet. Change single fields with struct update syntax or the fields themselves.
///
/// ```
/// let limits = rpc_core::Limits { payload_bytes_max: 64 << 20, ..rpc_core::Limits::default() };
/// assert_eq!(limits.calls_max, 2_048);
/// ```
///
/// A field's largest value means no limit. Its smallest lets nothing through: every attempt fails with the name of the limit,
/// and the session goes on. Values that no honest peer could keep to are rejected when a server, a client or a session is
/// made: see [`check`](Self::check).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls of the peer in flight at once: waiting, running or being returned. Default 2,048; public 256. A caller learns it
    /// with the first message of this side. From then on its calls above the limit wait on its side for their turn, without a
    /// time limit of their own; a call above it that comes before is refused with `ResourceExhausted`.
    pub calls_max: usize,
    /// The largest argument list or result. Default 8 MiB; public 2 MiB. A larger one is refused with `ResourceExhausted`; a
    /// peer that announces a larger one anyway breaks the protocol.
    pub payload_bytes_max: usize,
    /// Bytes of the peer's payloads that are being assembled from chunks or wait to run, and an overhead for each waiting argument
    /// and object. Default 64 MiB; public 16 MiB. A call above it is refused with `ResourceExhausted`.
    /// Freed buffers of long payloads, 8 MiB at most, are kept for reuse for up to 0.2 s; they count towards `session_bytes_max`
    /// alone.
    pub pending_bytes_max: usize,
    /// Results kept for pipelining at once. Default 4,096; public 512. A call whose result would be one too many is
    /// refused with `ResourceExhausted`.
    pub held_answers_max: usize,
    /// Encoded bytes of the results kept for pipelining, and the memory of the layouts that maps compose for their results.
    /// Default 64 MiB; public 16 MiB. When reached, a call whose result would be kept fails with `ResourceExhausted`, and so
    /// does a map that would start.
    pub held_bytes_max: usize,
    /// Bytes waiting to be sent. Default 64 MiB; public 16 MiB. While it is exceeded, new calls of the peer are refused with
    /// `ResourceExhausted`, and accepted calls wait to start. Stream items that wait for credit are counted separately: producers
    /// wait while these exceed it. Bytes that the socket has taken and the peer has not, 640 KiB at most, count towards
    /// `session_bytes_max` alone.
    pub outgoing_bytes_max: usize,
    /// All bytes that the session keeps for its peer, as far as they can be counted: waiting arguments, decoded arguments of
    /// running handlers, kept results, bytes waiting to be sent, and unread stream items. Default 512 MiB; public 64 MiB. Above
    /// it, calls are refused with `ResourceExhausted`, and so are calls of methods known to return more than there is room for. A
    /// value that would take more is not decoded, a result that does not fit fails its call, and a stream that brings more ends.
    pub session_bytes_max: usize,
    /// Processor time per second that the peer may cost this side through requests that are cheap to send and expensive to serve:
    /// searching kept results, running maps, checking their programs. Handlers are not counted. The peer starts with 50 ms; each
    /// byte it sends adds 9 µs and each byte it takes 1 µs, up to a second. Default unlimited; public 100 ms. Above it, calls are
    /// refused with `ResourceExhausted`, with the time to retry after if waiting alone is enough.
    pub work_per_second: Duration,
    /// The length of a chain of waiting calls, each of which uses the result of the one before. Default 64; public 32. A
    /// longer chain is refused with `ResourceExhausted` before any of the excess runs.
    pub chain_depth_max: usize,
    /// Objects of this side that the peer may hold at once. Default 16,384; public 1,024. A call that would pass one
    /// more, in its arguments or its result, fails with `ResourceExhausted`.
    pub exports_max: usize,
    /// Objects of the peer that this side holds at once. Default 16,384; public 1,024. A call or a result that brings one more
    /// is refused with `ResourceExhausted`.
    pub imports_max: usize,
    /// Streams that may be open at once in each direction; less than 64 counts as 64. Default 1,024; public 128. A call that would
    /// open one more, in its arguments or its result, fails with `ResourceExhausted`; a peer that opens more breaks the protocol.
    /// Ended but unread streams count by their bytes, up to `streams_max` × (window + 16 KiB); above that, opening a stream fails.
    pub streams_max: usize,
    /// The window that a stream begins with: bytes of its items that are on their way or unread, and 64 more for each item.
    /// Default 64 KiB; zero counts as one, which lets one item through at a time. The producer waits while the window is full.
    pub stream_window_bytes: usize,
    /// The largest window of a stream: windows grow while they limit the reader. Default 8 MiB, which fills 80 MB/s over a
    /// round trip of 100 ms; public 1 MiB, for 10 MB/s. Beside calls, and over a round trip of less than 2 ms, a window shrinks
    /// again if less is enough, so that calls need not wait behind it.
    pub stream_window_bytes_max: usize,
    /// Bytes that the windows of all streams may grow by together, with the room for items longer than their window. Default
    /// 64 MiB; public 16 MiB. While it is reached, windows do not grow and such items wait. Windows leave `payload_bytes_max` of
    /// it to items.
    pub stream_buffer_bytes_max: usize,
    /// How long items of a stream of this side wait for a reader that takes none, and up to half as long again. Default
    /// unlimited; public 60 s. Then the stream ends with `ResourceExhausted`. A stream without waiting items stays open for as
    /// long as its producer likes.
    pub stream_stall: Duration,
    /// Calls of a method with `#[rpc(batch = "…")]` that one call of its batch method answers. Default 1,000; zero counts as
    /// one. Further ready calls are answered by further calls of the batch method.
    pub batch_max: usize,
    /// Calls that one `map` may make: elements × steps of its program, plus the calls of nested maps. Default 10,000; public
    /// 1,000. A map above it is refused with `ResourceExhausted` before it starts; if a nested map exceeds it, the element that
    /// the nested map belongs to fails.
    pub map_calls_max: usize,
    /// Nesting depth of maps. Default 4; more than 64 counts as 64, because deeper programs may not fit on a stack. A deeper map
    /// is refused with `ResourceExhausted` before it starts.
    pub map_depth_max: usize,
    /// Calls and maps that the program of one `map` may consist of. Default 64. A longer one is refused with
    /// `ResourceExhausted` before it starts.
    pub map_steps_max: usize,
    /// Elements of one `map` that are worked on at once, those of nested maps included. Default 16; public 4. The others
    /// wait. A `map` whose calls all have batch methods works on up to `batch_max` elements instead.
    pub map_concurrency: usize,
    /// Distinct methods a peer may name in one session. Default 4,096. Calls of further ones are refused with `ResourceExhausted`.
    pub methods_max: usize,
    /// Key and value bytes of one call's metadata, and 48 more for each entry. Default 8 KiB. A call with more is refused with
    /// `ResourceExhausted`; a call above this side's own limit is not sent.
    pub metadata_bytes_max: usize,
    /// Nesting depth of a value, decoded or encoded. Default 64; more than 256 counts as 256, because deeper values may not fit
    /// on a stack. A deeper value fails its call with `InvalidArgument` or `BadAnswer`.
    pub decode_depth_max: usize,
    /// Memory a decoded value may take, as a multiple of its payload's length. Default 32. A value that takes more is not
    /// decoded: its call fails with `InvalidArgument` or `BadAnswer`.
    pub decode_budget_factor: usize,
    /// Zero-sized elements of a decoded value. Default 65,536. A value with more is not decoded, like one that takes too much
    /// memory.
    pub decode_zero_sized_max: usize,
    /// The longest deadline that a peer's call may have; a longer one is clamped to it. Default one day.
    pub deadline_max: Duration,
    /// The longest WebSocket message accepted. Default 128 KiB, the longest that peers send; less is rejected. A longer message
    /// closes the socket with code 1009.
    pub message_bytes_max: usize,
    /// WebSocket frames that one message may be split into. Default 1,024; zero is rejected. More frames close the socket with
    /// code 1008.
    pub message_frames_max: usize,
    /// How long a WebSocket message may take to arrive once it has begun. While payloads in chunks are under way, one of them must
    /// be completed or 16 KiB arrive in the same time. Default 30 s; zero is rejected. Otherwise the session ends.
    pub message_timeout: Duration,
    /// Pings, pongs and closes that a peer may send: a burst of this many, refilled by half of it each second. Default 200;
    /// public 20; less than 4 is rejected. More frames close the socket with code 4429.
    pub control_frames_burst: u32,
    /// Bytes of sent messages that are kept until the peer acknowledges them, so that the session can go on with a new socket when
    /// its own ends; each message counts 64 more. Default 8 MiB; public 1 MiB. At first 256 KiB are in use, and then a quarter of
    /// the bytes that the peer has acknowledged. When it is reached, messages wait in the session's queues until the peer
    /// acknowledges some; a socket whose peer acknowledges none for `write_stall` is given up.
    pub replay_bytes_max: usize,
    /// Bytes of the HTTP request or response head of the WebSocket handshake. Default 16 KiB; less than 1 KiB is rejected. A
    /// longer head fails the handshake.
    pub handshake_bytes_max: usize,
    /// Time from accepting a connection to the peer's hello, TLS and the handshake included. A client waits this long for the
    /// handshake, and again for the welcome. Default 10 s; zero is rejected. Then the connection is closed.
    pub hello_timeout: Duration,
    /// Silence of the peer after which a ping is sent, of the socket and of the session. Default 20 s; zero is rejected.
    pub ping_interval: Duration,
    /// Silence after a ping after which the peer counts as gone: the socket ends, and the session goes on with another one or ends too.
    /// Default 10 s; zero is rejected.
    pub ping_timeout: Duration,
    /// How long a session may be unused: no message of a call, a stream or an object in either direction, and no call in flight. Then
    /// the session ends with [`CloseReason::Idle`](crate::CloseReason::Idle) and code 4410. Default no limit; public 15 minutes; zero is
    /// rejected. Heartbeats are no use, and neither are references and streams that are only held.
    pub idle_timeout: Duration,
    /// How long the peer may take none of the bytes that wait for it, or acknowledge none of the messages, before the socket ends. Default
    /// 10 s; zero is rejected.
    pub write_stall: Duration,
    /// How long a graceful close waits for calls in flight and for the peer; a server waits for streams that move, too. Default
    /// 30 s; zero waits for nothing.
    pub close_timeout: Duration,
    /// How long a session with calls in flight polls its socket before its thread may sleep, if polling shortens the wait. The
    /// session measures whether it does: between processes of one machine often, across a network hardly ever. Polling costs
    /// at most this much processor time for each awaited message, and all other tasks of the runtime go first. Default 50 µs;
    /// public zero, which never polls. More than a second counts as one.
    pub busy_poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 2_048,
            payload_bytes_max: 8 << 20,
            pending_bytes_max: 64 << 20,
            held_answers_max: 4_096,
            held_bytes_max: 64 << 20,
            outgoing_bytes_max: 64 << 20,
            session_bytes_max: 512 << 20,
            work_per_second: Duration::MAX,
            chain_depth_max: 64,
            exports_max: 16_384,
            imports_max: 16_384,
            streams_max: 1_024,
            stream_window_bytes: 64 << 10,
            stream_window_bytes_max: 8 << 20,
            stream_buffer_bytes_max: 64 << 20,
            stream_stall: Duration::MAX,
            batch_max: 1_000,
            map_calls_max: 10_000,
            map_depth_max: 4,
            map_steps_max: 64,
            map_concurrency: 16,
            methods_max: 4_096,
            metadata_bytes_max: 8 << 10,
            decode_depth_max: DECODE_DEPTH_MAX,
            decode_budget_factor: 32,
            decode_zero_sized_max: 65_536,
            deadline_max: Duration::from_secs(24 * 60 * 60),
            message_bytes_max: 128 << 10,
            message_frames_max: 1_024,
            message_timeout: Duration::from_secs(30),
            control_frames_burst: 200,
            replay_bytes_max: 8 << 20,
            handshake_bytes_max: 16 << 10,
            hello_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
            idle_timeout: Duration::MAX,
            write_stall: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            busy_poll: Duration::from_micros(50),
        }
    }
}

impl Limits {
    /// Limits for untrusted peers, as on the open internet.
    pub fn public() -> Self {
        Self {
            calls_max: 256,
            payload_bytes_max: 2 << 20,
            pending_bytes_max: 16 << 20,
            held_answers_max: 512,
            held_bytes_max: 16 << 20,
            outgoing_bytes_max: 16 << 20,
            session_bytes_max: 64 << 20,
            work_per_second: Duration::from_millis(100),
            chain_depth_max: 32,
            exports_max: 1_024,
            imports_max: 1_024,
            streams_max: 128,
            stream_window_bytes_max: 1 << 20,
            stream_buffer_bytes_max: 16 << 20,
            stream_stall: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(15 * 60),
            map_calls_max: 1_000,
            map_concurrency: 4,
            control_frames_burst: 20,
            replay_bytes_max: 1 << 20,
            busy_poll: Duration::ZERO,
            ..Self::default()
        }
    }

    /// Checks that a session can have these limits. Servers, clients and sessions check theirs when they are made.
    ///
    /// # Errors
    /// The first limit that no honest peer could keep to, so that every peer would be cut off.
    pub fn check(&self) -> Result<(), LimitsError> {
        let zero = "is zero, which no peer is fast enough for";
        let checks = [
            (
                "message_bytes_max",
                self.message_bytes_max < MESSAGE_BYTES,
                "is less than the 128 KiB that peers send",
            ),
            ("message_frames_max", self.message_frames_max == 0, "is zero, and a message has at least one"),
            ("message_timeout", self.message_timeout.is_zero(), zero),
            (
                "control_frames_burst",
                self.control_frames_burst < 4,
                "is less than 4, and a ping, a pong and a close may come at once",
            ),
            (
                "handshake_bytes_max",
                self.handshake_bytes_max < 1 << 10,
                "is less than 1 KiB, which HTTP heads take",
            ),
            ("hello_timeout", self.hello_timeout.is_zero(), zero),
            (
                "ping_interval",
                self.ping_interval.is_zero(),
                "is zero, and pings without a pause are an attack",
            ),
            ("ping_timeout", self.ping_timeout.is_zero(), zero),
            ("idle_timeout", self.idle_timeout.is_zero(), "is zero, and every session is unused at first"),
            ("write_stall", self.write_stall.is_zero(), zero),
        ];
        match checks.into_iter().find(|(_, is_refused, _)| *is_refused) {
            Some((limit, _, reason)) => Err(LimitsError { limit, reason }),
            None => Ok(()),
        }
    }

    /// These limits, each lowered to the most that can be reached, so that sums and multiples of them do not overflow.
    #[cfg_attr(not(feature = "driver"), expect(dead_code, reason = "only drivers make sessions"))]
    pub(crate) fn within_reach(self) -> Self {
        let count = |count: usize| count.min(COUNT_MAX);
        let bytes = |bytes: usize| bytes.min(BYTES_MAX);
        let time = |time: Duration| time.min(TIME_MAX);
        Self {
            calls_max: count(self.calls_max),
            payload_bytes_max: bytes(self.payload_bytes_max),
            pending_bytes_max: bytes(self.pending_bytes_max),
            held_answers_max: count(self.held_answers_max),
            held_bytes_max: bytes(self.held_bytes_max),
            outgoing_bytes_max: bytes(self.outgoing_bytes_max),
            session_bytes_max: bytes(self.session_bytes_max),
            work_per_second: time(self.work_per_second),
            chain_depth_max: count(self.chain_depth_max),
            exports_max: count(self.exports_max),
            imports_max: count(self.imports_max),
            streams_max: count(self.streams_max),
            stream_window_bytes: bytes(self.stream_window_bytes),
            stream_window_bytes_max: bytes(self.stream_window_bytes_max),
            stream_buffer_bytes_max: bytes(self.stream_buffer_bytes_max),
            stream_stall: time(self.stream_stall),
            batch_max: count(self.batch_max),
            map_calls_max: count(self.map_calls_max),
            map_depth_max: self.map_depth_max.min(64),
            map_steps_max: count(self.map_steps_max),
            map_concurrency: count(self.map_concurrency),
            methods_max: count(self.methods_max),
            metadata_bytes_max: bytes(self.metadata_bytes_max),
            decode_depth_max: self.decode_depth_max.min(256),
            decode_budget_factor: count(self.decode_budget_factor),
            decode_zero_sized_max: count(self.decode_zero_sized_max),
            deadline_max: time(self.deadline_max),
            message_bytes_max: bytes(self.message_bytes_max),
            message_frames_max: count(self.message_frames_max),
            message_timeout: time(self.message_timeout),
            control_frames_burst: self.control_frames_burst,
            replay_bytes_max: bytes(self.replay_bytes_max),
            handshake_bytes_max: bytes(self.handshake_bytes_max),
            hello_timeout: time(self.hello_timeout),
            ping_interval: time(self.ping_interval),
            ping_timeout: time(self.ping_timeout),
            idle_timeout: time(self.idle_timeout),
            write_stall: time(self.write_stall),
            close_timeout: time(self.close_timeout),
            busy_poll: time(self.busy_poll),
        }
    }
}

/// The longest message that peers send: the default of `message_bytes_max`, and its least value.
pub(crate) const MESSAGE_BYTES: usize = 128 << 10;
/// More than any session has of anything, and small enough that multiples of it fit into 32 bits.
const COUNT_MAX: usize = 1 << 28;
/// A sixteenth of the address space: sums of several such limits do not overflow.
const BYTES_MAX: usize = usize::MAX >> 4;
/// Thirty years: longer than any session, and within what clocks can add.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Why a session cannot have these limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`Limits::{limit}` {reason}")]
#[non_exhaustive]
pub struct LimitsError {
    /// The name of the field in [`Limits`].
    pub limit: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The memory of a metadata entry besides its bytes: two `String`s.
const METADATA_ENTRY_BYTES: usize = 48;

/// The bytes that metadata counts towards [`Limits::metadata_bytes_max`]. Entries count too: empty ones take memory as well.
pub(crate) fn metadata_bytes(metadata: &[(String, String)]) -> usize {
    metadata.iter().map(|(key, value)| key.len() + value.len() + METADATA_ENTRY_BYTES).sum()
}

/// The text of a limit that was reached. It does not say whose, because that depends on who reads it.
pub(crate) struct LimitText<'a> {
    pub(crate) limit: &'a str,
    pub(crate) needed: u64,
    pub(crate) allowed: u64,
}

impl fmt::Display for LimitText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, needed, allowed } = self;
        match (needed, allowed) {
            // No field of `Limits`, but what all sessions share.
            _ if *limit == "memory_budget" => f.write_str("`MemoryBudget` has no room left"),
            (0, 0) => write!(f, "`Limits::{limit}` is reached"),
            (0, _) => write!(f, "`Limits::{limit}` is reached, which is {}", amount(limit, *allowed)),
            _ => {
                let (needed, allowed) = (amount(limit, *needed), amount(limit, *allowed));
                write!(f, "`Limits::{limit}` is {allowed}, and this needs {needed}")
            }
        }
    }
}

/// A figure of a limit, with the unit that the limit's name tells.
fn amount(limit: &str, figure: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    let in_units = |unit: u64, name| {
        // Rounded up to tenths: what is just above a limit must not read like the limit.
        let tenths = (u128::from(figure) * 10).div_ceil(u128::from(unit));
        match tenths % 10 {
            0 => format!("{} {name}", tenths / 10),
            part => format!("{}.{part} {name}", tenths / 10),
        }
    };
    match figure {
        _ if !limit.contains("bytes") => figure.to_string(),
        0..KIB => format!("{figure} bytes"),
        KIB..MIB => in_units(KIB, "KiB"),
        MIB.. => in_units(MIB, "MiB"),
    }
}
