//! The results that a session leaves which is over: those that the peer may not have got.

use super::{Session, inputs::Waiter};
use crate::{
    buffer::{message::Message, small_bytes::SmallBytes},
    value::outcome::Outcome,
    wire::{CallId, Frame, Payload, Return, Status, read::FrameReader},
};

impl<W: Waiter> Session<W> {
    /// Takes out the results that the peer has not acknowledged, of calls whose handlers have run. Those with objects or streams, and those
    /// in chunks, are left out: another session could not send the first, and the others are long.
    pub(crate) fn take_unacknowledged_results(&mut self) -> Vec<(CallId, Outcome)> {
        let mut results = Vec::new();
        for message in self.kept.take_messages() {
            read_results(message, &mut results);
        }
        while let Some(message) = self.outgoing.pop_message(false) {
            read_results(message, &mut results);
        }
        results
    }
}

fn read_results(message: Message, results: &mut Vec<(CallId, Outcome)>) {
    let mut frames = FrameReader::new(message.into_bytes());
    // This side wrote the frames.
    while let Ok(Some(frame)) = frames.next_frame() {
        let Frame::Return(Return { id, objects, status }) = frame else { continue };
        if !objects.is_empty() {
            continue;
        }
        // A copy, because the rest of the message is not needed.
        let own = |bytes: SmallBytes| SmallBytes::copy_from_slice(&bytes);
        let outcome = match status {
            Status::Done => Outcome::Value { payload: None, objects: Vec::new() },
            Status::Value(Payload::Inline(bytes)) => {
                Outcome::Value { payload: Some(own(bytes)), objects: Vec::new() }
            }
            Status::Error(Payload::Inline(bytes)) => Outcome::Error(own(bytes), Vec::new()),
            Status::Value(_)
            | Status::Error(_)
            | Status::Element(_)
            | Status::Upstream { .. }
            | Status::Failed(_) => continue,
        };
        results.push((id, outcome));
    }
}
