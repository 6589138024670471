//! A peer that says what it likes to a server whose handlers and readers the test runs.

use std::{ops::RangeInclusive, time::Duration};

use super::pair::{Pair, TestPeer, method};
use crate::{
    error::Violation,
    limits::Limits,
    wire::{CallId, Define, Frame, MethodNumber, read::FrameReader, write},
};

pub(super) struct Stranger {
    pub(super) pair: Pair,
    /// The last call that it made.
    pub(super) last: i64,
}

impl Stranger {
    /// One that has defined these methods, to a server with these limits.
    pub(super) fn defining(limits: Limits, methods: RangeInclusive<u32>) -> Self {
        let mut pair = Pair::with_limits(Limits::default(), limits);
        pair.run();
        let mut stranger = Self { pair, last: 0 };
        let defines: Vec<Frame> = methods.map(define).collect();
        stranger.says(&defines);
        stranger
    }

    pub(super) fn server(&mut self) -> &mut TestPeer {
        &mut self.pair.server
    }

    pub(super) fn next_id(&mut self) -> CallId {
        self.last += 1;
        CallId(self.last)
    }

    pub(super) fn try_say(&mut self, frames: &[Frame]) -> Result<(), Violation> {
        let mut message = Vec::new();
        frames.iter().for_each(|frame| write::put_frame(&mut message, frame));
        self.say_bytes(&message)
    }

    pub(super) fn say_bytes(&mut self, message: &[u8]) -> Result<(), Violation> {
        let now = self.pair.now;
        let heard = self.pair.server.receive(now, message);
        self.pair.server.session.outgoing.streams.check_books();
        heard
    }

    #[track_caller]
    pub(super) fn says(&mut self, frames: &[Frame]) {
        assert_eq!(self.try_say(frames), Ok(()));
    }

    #[track_caller]
    pub(super) fn check_violation(&mut self, frames: &[Frame], expected: &Violation) {
        assert_eq!(self.try_say(frames).as_ref(), Err(expected));
    }

    /// What the server says now.
    pub(super) fn hears(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        self.server().feed_drops();
        let now = self.pair.now;
        while let Some(message) = self.pair.server.poll_message(now) {
            let mut reader = FrameReader::new(message);
            while let Some(frame) = reader.next_frame().expect("the server's frames are well formed") {
                frames.push(frame);
            }
            self.server().feed_drops();
        }
        frames
    }

    /// What it says from here on until nothing more is due for a while.
    pub(super) fn hears_all(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        for _ in 0..2 {
            let now = self.pair.now;
            self.server().feed_drops();
            self.server().handle_timeout(now);
            frames.extend(self.hears());
            self.pair.now = now + Duration::from_millis(50);
        }
        frames
    }
}

/// The definition of a method, by its number in these tests.
pub(super) fn define(number: u32) -> Frame {
    let (service, method) = method(number);
    Frame::Define(Define {
        number: MethodNumber(number),
        service: service.into(),
        method: method.name.into(),
        fingerprint: method.signature().fingerprint,
    })
}
