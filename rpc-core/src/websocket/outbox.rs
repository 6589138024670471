//! Outgoing frames on their way to the operating system: one after the other, each whole.
//!
//! The codec would copy every message into a buffer of its own and write that. The outbox writes a server's message to the
//! socket from where its pieces lie; a client's message is copied once, because RFC 6455 (5.3) has it masked. The codec's own
//! frames (pongs, a close) are put between messages.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::{
    Role,
    frame::{
        FrameHeader,
        coding::{Data, OpCode},
    },
};

use crate::buffer::message::{MessageRef, Out, Unwritten};

/// The most pieces in one vectored write.
const SLICES: usize = 32;
/// The number of bytes masked at once: they fill a vector register or more.
const MASKED_TOGETHER: usize = 64;

pub(super) struct Outbox {
    unwritten: Unwritten,
    masks: bool,
}

impl Outbox {
    pub(super) fn new(role: Role) -> Self {
        Self { unwritten: Unwritten::default(), masks: role == Role::Client }
    }

    /// Bytes that the operating system has not taken yet.
    pub(super) fn len(&self) -> usize {
        self.unwritten.len()
    }

    /// Adds a message as one frame.
    pub(super) fn push(&mut self, message: MessageRef<'_>) {
        let out = self.unwritten.message();
        // The mask is unpredictable, so that no server can make a client write bytes that a proxy takes for a request.
        let mask = self.masks.then(rand::random::<[u8; 4]>);
        let header = FrameHeader { opcode: OpCode::Data(Data::Binary), mask, ..FrameHeader::default() };
        header.format(message.len() as u64, out.bytes()).expect("writing to memory does not fail");
        match mask {
            None => message.append_to(out),
            Some(mask) => {
                out.bytes().reserve(message.len());
                let mut masking = Masking { mask, at: 0 };
                message.slices().for_each(|slice| masking.append(out.bytes(), slice));
            }
        }
    }

    /// Adds whole frames of the codec.
    pub(super) fn push_frames(&mut self, frames: &[u8]) {
        self.unwritten.message().bytes().extend_from_slice(frames);
    }

    /// Writes until nothing is left. Calls `took` each time the link takes bytes.
    pub(super) fn poll_write(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        mut took: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.unwritten.fill(&mut slices);
            let written = ready!(match &slices[..filled] {
                // A system call that does not have to read a list is cheaper.
                [slice] => Pin::new(&mut *io).poll_write(cx, slice),
                slices => Pin::new(&mut *io).poll_write_vectored(cx, slices),
            })?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unwritten.advance(written);
            took();
        }
        Poll::Ready(Ok(()))
    }

    /// Frees memory that only long messages need.
    pub(super) fn shrink(&mut self) {
        self.unwritten.shrink();
    }

    #[cfg(test)]
    pub(super) fn capacity(&mut self) -> usize {
        self.unwritten.message().bytes().capacity()
    }
}

/// The masking of one message, piece by piece.
struct Masking {
    mask: [u8; 4],
    at: usize,
}

impl Masking {
    fn append(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        let key: [u8; MASKED_TOGETHER] = std::array::from_fn(|place| self.mask[(self.at + place) % 4]);
        self.at += bytes.len();
        let (whole, rest) = bytes.as_chunks::<MASKED_TOGETHER>();
        for chunk in whole {
            let masked: [u8; MASKED_TOGETHER] = std::array::from_fn(|place| chunk[place] ^ key[place]);
            out.extend_from_slice(&masked);
        }
        out.extend(rest.iter().zip(key).map(|(byte, key)| byte ^ key));
    }
}

#[cfg(test)]
mod tests;
