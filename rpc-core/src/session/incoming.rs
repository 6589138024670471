//! The router of the peer's frames: each frame goes to the table that it is about.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    error::Violation,
    session::{
        Closing, LONG_BYTES, SETTLED_BYTES, Session,
        answers::{AnswerTarget, Arriving},
        calls::Assembled,
        events::Event,
        handshake::INITIAL_CALLS,
        inputs::Waiter,
        methods::Method,
        replay::{Arrival, Kept},
    },
    time::Time,
    value::{encoded::Encoded, returned::Returned, stream::Ending},
    wire::{
        Call, Chunk, Failure, Frame, PassedObject, Payload, Return, Status, StreamEnd, StreamId, Target,
        map_program::ElementFailure, plain::Plain, read::FrameReader,
    },
};

/// The number of values in kept results that are passed to find parts before other sessions get their turn. A few bytes of a
/// call may ask for the last part of a long list.
const WALKED_MAX: usize = 64 << 10;

impl<W: Waiter> Session<W> {
    /// Takes one message. An error ends the session: messages after a violation mean nothing.
    ///
    /// A message that makes much work is read in parts. While [`is_reading`](Self::is_reading), its rest waits for
    /// [`read_on`](Self::read_on), which must be called before the next message is taken.
    pub(crate) fn handle_message(&mut self, now: Time, message: Bytes) -> Result<(), Violation> {
        self.stir(now);
        self.heartbeat.heard(now);
        // A result that comes after its call's deadline is too late, even if the timer has not fired yet.
        self.calls.expire_deadlines(now, &mut self.outgoing);
        self.work.earn(now, message.len());
        self.unsettled += message.len();
        if self.unsettled >= SETTLED_BYTES
            || self.answers.books.is_watched()
            || self.outgoing.bytes() > LONG_BYTES
        {
            self.settle(message.len());
        }
        self.answers.leave_messages(now);
        let mut frames = FrameReader::new(message);
        while frames.is_at_frame_of_socket() {
            let Some(frame) = frames.next_frame()? else { break };
            self.handle_frame_of_socket(now, frame)?;
        }
        if frames.left() == 0 {
            return Ok(());
        }
        if !self.handshake.is_open() {
            return Err(Violation::HelloMissing);
        }
        if self.accepted.arrived(now, frames.left()) == Arrival::Known {
            return Ok(());
        }
        self.used = now;
        self.answers.arrived_late(self.accepted.age());
        self.reading = Some(frames);
        self.read_on(now)
    }

    fn handle_frame_of_socket(&mut self, now: Time, frame: Frame) -> Result<(), Violation> {
        self.handshake.admit(&frame)?;
        match frame {
            Frame::Hello(hello) => {
                if self.handshake.hello(&hello)? {
                    self.kept = Kept::new(true, self.limits.replay_bytes_max);
                    self.accepted.acknowledge_from_here(hello.offer.window_bytes);
                }
                self.heard_offer();
            }
            Frame::Welcome(welcome) => {
                let is_first = self.handshake.is_first();
                let (resumable, resume) = self.handshake.welcome(now, &welcome)?;
                self.heartbeat.measured(self.handshake.round_trip());
                match resumable {
                    true => self.accepted.acknowledge_from_here(welcome.offer.window_bytes),
                    false => self.kept.keep_nothing(),
                }
                if let Some(resume) = resume {
                    self.kept.resume(resume.accepted)?;
                    self.accepted.resume(&resume)?;
                    // The first Ack makes the next secret the only one.
                    self.accepted.acknowledge_now(now);
                }
                // An offer gives streams their first credit, once.
                if is_first {
                    self.heard_offer();
                }
            }
            Frame::Ack { messages } => {
                self.kept.acknowledge(messages)?;
                self.is_acknowledged_here = true;
            }
            Frame::Ping { number } => self.heartbeat.ping(number),
            Frame::Pong { number } => self.heartbeat.pong(now, number),
            Frame::Skip { next } => self.accepted.skip_to(next)?,
            _ => return Err(Violation::FrameOrder),
        }
        Ok(())
    }

    /// Reads the rest of the last message.
    pub(crate) fn read_on(&mut self, now: Time) -> Result<(), Violation> {
        let Some(mut frames) = self.reading.take() else { return Ok(()) };
        loop {
            if self.take_plain(now, &mut frames) {
                self.outgoing.streams.saw_call(now);
                continue;
            }
            let Some(frame) = frames.next_frame()? else { break };
            self.handle_frame(now, frame)?;
            if self.answers.take_walked(WALKED_MAX) {
                self.reading = Some(frames);
                break;
            }
        }
        Ok(())
    }

    /// Takes the next frame, if it is a plain call or a plain value.
    fn take_plain(&mut self, now: Time, frames: &mut FrameReader) -> bool {
        match frames.peek_plain() {
            Some(Plain::Call(call)) => {
                let object = match call.object {
                    Some(id) => match self.outgoing.objects.exported(id) {
                        object @ Some(_) => object,
                        None => return false,
                    },
                    None => None,
                };
                let payload = frames.part(call.payload.clone());
                let pending = self.arguments.bytes_announced();
                let taken = self.answers.take_plain(now, &call, object, payload, pending, &self.outgoing);
                if taken {
                    frames.skip_to(call.payload.end);
                }
                taken
            }
            Some(Plain::Value(value)) => {
                let taken = self.calls.take_plain(value.id, || frames.part(value.payload.clone()));
                if taken {
                    frames.skip_to(value.payload.end);
                }
                taken
            }
            None => false,
        }
    }

    /// Whether a part of the last message is left.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    fn handle_frame(&mut self, now: Time, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Define(define) => self.answers.methods.define(define),
            Frame::Call(call) => {
                self.saw_call(now, &call.objects);
                self.handle_call(now, call)
            }
            Frame::Return(answer) => {
                self.saw_call(now, &answer.objects);
                self.handle_return(now, answer)
            }
            Frame::Cancel(id) => self.answers.cancel(id, &mut self.outgoing),
            Frame::Release(ids) => ids.into_iter().try_for_each(|id| self.answers.release(id)),
            Frame::ReleaseObjects(objects) => objects
                .into_iter()
                .try_for_each(|(id, introductions)| self.outgoing.objects.release(id, introductions)),
            Frame::Chunk(chunk) => self.handle_chunk(now, chunk),
            Frame::Items(items) => {
                let capabilities = self.outgoing.take_returned(&items.objects, None)?;
                self.outgoing.streams.items(now, items, capabilities)
            }
            Frame::LargeItem(item) => {
                let capabilities = self.outgoing.take_returned(&item.objects, None)?;
                self.outgoing.streams.large_item(now, item, capabilities)
            }
            Frame::ItemChunk { stream, bytes } => {
                self.outgoing.streams.item_chunk(now, stream, &bytes, &mut self.spares)
            }
            Frame::Missed { stream, count } => self.outgoing.streams.missed(stream, count),
            Frame::StreamEnd { stream, end } => self.handle_stream_end(now, stream, end),
            Frame::Credit { stream, bytes } => self.outgoing.streams.credit(stream, bytes),
            Frame::Stop { stream, reason } => self.outgoing.streams.stop(stream, reason),
            Frame::Goodbye { code, reason } => {
                self.handle_goodbye(code, reason);
                Ok(())
            }
            Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::Ack { .. }
            | Frame::Ping { .. }
            | Frame::Pong { .. }
            | Frame::Skip { .. } => Err(Violation::FrameOrder),
        }
    }

    /// Lets streams make room for calls beside them. A call or result with objects does not count: it may open a stream.
    fn saw_call<T>(&mut self, now: Time, objects: &[T]) {
        if objects.is_empty() {
            self.outgoing.streams.saw_call(now);
        }
    }

    /// Applies the limits that the peer has offered.
    fn heard_offer(&mut self) {
        let payload_bytes_max = self.handshake.peer_payload_bytes_max();
        self.calls.refuse_larger_than(payload_bytes_max, &mut self.outgoing);
        self.answers.caller_takes(payload_bytes_max);
        if let Some(offer) = self.handshake.peer() {
            self.outgoing.streams.heard(offer);
        }
    }

    fn handle_call(&mut self, now: Time, mut call: Call) -> Result<(), Violation> {
        let method = self.answers.methods.resolve(call.method)?;
        let payload = std::mem::replace(&mut call.payload, Payload::Chunked { total: 0 });
        let length = match &payload {
            Payload::Inline(bytes) => bytes.len(),
            Payload::Chunked { total } if *total > self.limits.payload_bytes_max => {
                return Err(Violation::Limit("payload_bytes_max"));
            }
            Payload::Chunked { total } => *total,
        };
        let id = call.id;
        let pending = self.arguments.bytes_announced();
        // The objects are read even if the call is refused: they were introduced and have to be released.
        let objects = self.outgoing.take_objects(std::mem::take(&mut call.objects))?;
        let addressed = self.address(&call.target, method);
        // A payload in chunks is longer than the message that announces it.
        let short_of = match payload {
            Payload::Chunked { .. } => self.answers.books.lacks(length),
            Payload::Inline(_) => None,
        };
        self.answers.announce(
            now,
            Arriving { call, length, pending_elsewhere: pending, short_of, addressed, objects },
            &mut self.outgoing,
        )?;
        match payload {
            Payload::Inline(bytes) => {
                self.answers.arguments(id, bytes, &mut self.outgoing);
                Ok(())
            }
            // An honest caller never has more payloads on their way than calls in flight, even if the calls are over.
            Payload::Chunked { .. }
                if self.arguments.payloads() >= self.limits.calls_max.max(INITIAL_CALLS) =>
            {
                Err(Violation::Limit("calls_max"))
            }
            // A refused call's chunks still arrive; they are counted off and dropped.
            Payload::Chunked { total } => {
                self.arguments.expect(now, id, total, self.answers.is_waiting_for_arguments(id))
            }
        }
    }

    /// Finds the target of a call, and the target's version of the method.
    fn address(&self, target: &Target, method: Method) -> Result<(AnswerTarget, Method), Failure> {
        let known = match method {
            Method::Known(known) => known,
            Method::Refused(refused) => return Err(refused.failure()),
            method @ (Method::Get | Method::Map) if *target == Target::Root => {
                return Ok((AnswerTarget::Root, method));
            }
            Method::Get | Method::Map => return Err(Failure::no_such_object("(target)")),
        };
        match target {
            Target::Root if self.answers.methods.is_at_root(&known) => {
                Ok((AnswerTarget::Root, Method::Known(known)))
            }
            Target::Root => Err(Failure::UnknownService),
            Target::Object(id) => {
                let object =
                    self.outgoing.objects.exported(*id).ok_or_else(|| Failure::no_such_object("(target)"))?;
                let known = known.of(object.descriptor())?;
                Ok((AnswerTarget::Object(Arc::clone(object)), Method::Known(known)))
            }
            Target::Result(base, path) => {
                Ok((AnswerTarget::Awaited(*base, path.clone()), Method::Known(known)))
            }
        }
    }

    fn handle_return(&mut self, now: Time, answer: Return) -> Result<(), Violation> {
        let Return { id, objects, status } = answer;
        let payload_max = self.limits.payload_bytes_max;
        let origin = match (&objects[..], &status) {
            ([PassedObject::Senders(_)], Status::Value(_)) => self.calls.origin_of_object(id),
            _ => None,
        };
        let capabilities = self.outgoing.take_returned(&objects, origin.as_ref())?;
        if origin.is_some() && capabilities.is_ok() {
            self.calls.imported_from(id);
        }
        let outcome = match status {
            Status::Done => Returned::Done,
            Status::Value(Payload::Inline(bytes)) => match capabilities {
                Ok(capabilities) => Returned::Value(Encoded { bytes, capabilities }),
                Err(failure) => Returned::Failed(failure),
            },
            Status::Error(Payload::Inline(bytes)) => match capabilities {
                Ok(capabilities) => Returned::Error(Encoded { bytes, capabilities }),
                Err(failure) => Returned::Failed(failure),
            },
            Status::Element(Payload::Inline(bytes)) => {
                Returned::Element(ElementFailure::parse(bytes)?.into())
            }
            Status::Value(Payload::Chunked { total })
            | Status::Error(Payload::Chunked { total })
            | Status::Element(Payload::Chunked { total })
                if total > payload_max =>
            {
                return Err(Violation::Limit("payload_bytes_max"));
            }
            Status::Value(Payload::Chunked { total }) => {
                self.calls.expect_chunks(id, Assembled::Value(capabilities))?;
                return self.results.expect(now, id, total, true);
            }
            Status::Error(Payload::Chunked { total }) => {
                self.calls.expect_chunks(id, Assembled::Error(capabilities))?;
                return self.results.expect(now, id, total, true);
            }
            Status::Element(Payload::Chunked { total }) => {
                self.calls.expect_chunks(id, Assembled::Element)?;
                return self.results.expect(now, id, total, true);
            }
            Status::Upstream { origin, missed } => {
                self.calls.upstream(id, origin, missed, &mut self.outgoing)?;
                return Ok(());
            }
            Status::Failed(failure) => {
                let failure = failure.received();
                if self.calls.rest(now, id, &failure) {
                    return Ok(());
                }
                Returned::Failed(failure)
            }
        };
        self.calls.returned(id, outcome, &mut self.outgoing)?;
        Ok(())
    }

    fn handle_chunk(&mut self, now: Time, chunk: Chunk) -> Result<(), Violation> {
        if !chunk.of_return {
            if let Some(Some(bytes)) = self.arguments.chunk(now, chunk.id, &chunk.bytes, &mut self.spares)? {
                self.answers.arguments(chunk.id, bytes, &mut self.outgoing);
            }
            return Ok(());
        }
        if let Some(Some(bytes)) = self.results.chunk(now, chunk.id, &chunk.bytes, &mut self.spares)? {
            self.calls.assembled(chunk.id, bytes, &mut self.outgoing)?;
        }
        Ok(())
    }

    fn handle_stream_end(&mut self, now: Time, stream: StreamId, end: StreamEnd) -> Result<(), Violation> {
        let ending = match end {
            StreamEnd::Complete => Ending::Complete,
            StreamEnd::Error { objects, bytes } => match self.outgoing.take_returned(&objects, None)? {
                Ok(capabilities) => Ending::Error(Encoded { bytes, capabilities }),
                Err(failure) => Ending::Failed(failure),
            },
            StreamEnd::Abandoned => Ending::Abandoned,
            StreamEnd::Stopped => Ending::Stopped,
            StreamEnd::Failed(failure) => Ending::Failed(failure),
        };
        self.outgoing.streams.ended(stream, ending)?;
        self.outgoing.streams.share_buffer(now);
        Ok(())
    }

    fn handle_goodbye(&mut self, code: u16, reason: String) {
        match self.closing {
            Closing::Open => self.closing = Closing::Peer,
            Closing::Local => {
                self.closing = Closing::Both;
                self.refuse_calls_at = None;
                self.answers.refuse_new_calls();
            }
            Closing::Peer | Closing::Both => return,
        }
        self.events.push_back(Event::PeerClosing { code, reason });
    }
}
