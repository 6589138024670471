//! The meter reads inbound WebSocket frame headers as their bytes pass, and enforces the peer's limits.
//!
//! [`Metered`](super::metered::Metered) shows it every byte before the codec sees it. The meter buffers nothing but one
//! header, so a violation is found before anything is allocated for it. The codec interprets the frames (masks, reserved
//! bits, the order of fragments); the meter only has to stay in step with a codec that accepted everything so far.
//!
//! The meter also counts complete messages. When the codec has handed on as many messages as the meter has counted, and no
//! byte of another one has passed, then the codec holds nothing and may be rebuilt.

use std::time::Duration;

use tokio::time::Instant;

use crate::{error::SocketError, limits::Limits};

/// The longest frame header: two bytes, an extended length of at most eight, a mask of four.
const HEADER_BYTES_MAX: usize = 14;

const OPCODE_CONTINUATION: u8 = 0x0;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_CLOSE: u8 = 0x8;

pub(super) struct Meter {
    message_bytes_max: u64,
    message_frames_max: usize,
    message_timeout: Duration,
    control: ControlBucket,
    position: Position,
    /// Data frames of the message under way that have begun; 0 between messages.
    frames: usize,
    /// Payload bytes of those frames, as announced.
    bytes: u64,
    /// When the first byte of the unfinished message or control frame arrived.
    began: Option<Instant>,
    /// Data messages and control frames whose last byte has passed.
    completed: u64,
    /// A close frame has passed. The codec refuses whatever follows it.
    closed: bool,
}

enum Position {
    Header(PartialHeader),
    Payload { frame: FrameHeader, remaining: u64 },
}

#[derive(Clone, Copy)]
struct FrameHeader {
    is_final: bool,
    opcode: u8,
    length: u64,
}

impl FrameHeader {
    fn is_control(self) -> bool {
        self.opcode >= OPCODE_CLOSE
    }
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            message_bytes_max: limits.message_bytes_max as u64,
            message_frames_max: limits.message_frames_max,
            message_timeout: limits.message_timeout,
            control: ControlBucket::new(limits.control_frames_burst),
            position: Position::Header(PartialHeader::default()),
            frames: 0,
            bytes: 0,
            began: None,
            completed: 0,
            closed: false,
        }
    }

    /// Sets another length limit for messages that begin after this call.
    pub(super) fn set_message_bytes_max(&mut self, bytes: usize) {
        self.message_bytes_max = bytes as u64;
    }

    /// Takes the next bytes from the peer, received at `now`.
    pub(super) fn observe(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), SocketError> {
        while !bytes.is_empty() && !self.closed {
            self.began.get_or_insert(now);
            match &mut self.position {
                Position::Header(header) => {
                    let taken = header.fill(bytes);
                    bytes = &bytes[taken..];
                    if let Some(frame) = header.parse() {
                        self.begin_frame(now, frame)?;
                    }
                }
                Position::Payload { frame, remaining } => {
                    let frame = *frame;
                    let taken = bytes.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                    *remaining -= taken as u64;
                    bytes = &bytes[taken..];
                    if *remaining == 0 {
                        self.end_frame(frame);
                    }
                }
            }
        }
        Ok(())
    }

    /// When the message under way must be complete; `None` between messages.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.began?.checked_add(self.message_timeout)
    }

    /// Whether a codec that has handed on `delivered` messages (control frames count) holds no byte of another.
    pub(super) fn is_between_messages(&self, delivered: u64) -> bool {
        self.began.is_none() && !self.closed && self.completed == delivered
    }

    /// Payload bytes that the message under way has announced so far.
    pub(super) fn message_bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// How many bytes may be read without passing the end of a message. Never 0.
    pub(super) fn bytes_to_boundary(&self) -> usize {
        match &self.position {
            Position::Header(header) => header.len_due() - header.len,
            Position::Payload { remaining, .. } => usize::try_from(*remaining).unwrap_or(usize::MAX),
        }
    }

    fn begin_frame(&mut self, now: Instant, frame: FrameHeader) -> Result<(), SocketError> {
        if frame.is_control() {
            self.control.take(now)?;
            check_length(frame.length, self.message_bytes_max)?;
        } else {
            self.begin_data_frame(frame)?;
        }
        self.position = Position::Payload { frame, remaining: frame.length };
        if frame.length == 0 {
            self.end_frame(frame);
        }
        Ok(())
    }

    fn begin_data_frame(&mut self, frame: FrameHeader) -> Result<(), SocketError> {
        if frame.opcode == OPCODE_TEXT {
            return Err(SocketError::Text);
        }
        if frame.length == 0 && !frame.is_final {
            return Err(SocketError::Protocol("an empty fragment that is not the last".into()));
        }
        // The codec rejects a first frame after an unfinished message; the meter merely starts its counts again.
        if frame.opcode != OPCODE_CONTINUATION {
            self.frames = 0;
            self.bytes = 0;
        }
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(frame.length);
        if self.frames > self.message_frames_max {
            return Err(SocketError::Limit { limit: "message_frames_max" });
        }
        check_length(self.bytes, self.message_bytes_max)
    }

    fn end_frame(&mut self, frame: FrameHeader) {
        self.position = Position::Header(PartialHeader::default());
        if frame.is_control() {
            self.completed += 1;
            self.closed = frame.opcode == OPCODE_CLOSE;
        } else if frame.is_final {
            self.completed += 1;
            self.frames = 0;
            self.bytes = 0;
        }
        // A control frame may stand between two fragments; the clock of their message goes on.
        if self.frames == 0 {
            self.began = None;
        }
    }
}

fn check_length(bytes: u64, bytes_max: u64) -> Result<(), SocketError> {
    if bytes > bytes_max { Err(SocketError::Limit { limit: "message_bytes_max" }) } else { Ok(()) }
}

/// A frame header of which any number of bytes may have arrived.
#[derive(Default)]
struct PartialHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
}

impl PartialHeader {
    /// Copies the header's bytes from the front of `input` and returns how many they are.
    fn fill(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        // Twice: the first two bytes tell how long the header is.
        for _ in 0..2 {
            let wanted = (self.len_due() - self.len).min(input.len() - taken);
            self.bytes[self.len..self.len + wanted].copy_from_slice(&input[taken..taken + wanted]);
            self.len += wanted;
            taken += wanted;
        }
        taken
    }

    fn len_due(&self) -> usize {
        if self.len < 2 {
            return 2;
        }
        let extended = match self.bytes[1] & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.bytes[1] & 0x80 == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    fn parse(&self) -> Option<FrameHeader> {
        if self.len < self.len_due() {
            return None;
        }
        let [first, second, extended @ ..] = self.bytes;
        let length = match second & 0x7F {
            126 => u64::from(u16::from_be_bytes([extended[0], extended[1]])),
            127 => extended[..8].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        };
        Some(FrameHeader { is_final: first & 0x80 != 0, opcode: first & 0x0F, length })
    }
}

/// How long it takes an exhausted bucket to fill: half of it comes back each second.
const REFILL: Duration = Duration::from_secs(2);

/// A token bucket for control frames, kept as the moment at which it will be full again.
struct ControlBucket {
    frame_cost: Duration,
    full_at: Option<Instant>,
}

impl ControlBucket {
    fn new(burst: u32) -> Self {
        // Without a burst, even the first frame costs more than a full bucket holds.
        let frame_cost = REFILL.checked_div(burst).unwrap_or(REFILL + REFILL);
        Self { frame_cost, full_at: None }
    }

    fn take(&mut self, now: Instant) -> Result<(), SocketError> {
        let missing = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let missing = missing + self.frame_cost;
        if missing > REFILL {
            return Err(SocketError::Limit { limit: "control_frames_burst" });
        }
        self.full_at = Some(now + missing);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
