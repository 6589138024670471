//! The session: one conversation between two peers, with all its tables, its clock and its outputs. Frames are routed in
//! `session/incoming.rs`.
//!
//! A `Session` knows no socket, clock, thread or future. It takes messages, requests and the time as arguments and
//! hands out messages and events; its driver does the rest. Both ends run the same type, because both call and answer.
//!
//! | input | from |
//! |---|---|
//! | [`call`](Session::call), [`unwanted`](Session::unwanted), [`released`](Session::released) | stubs and promises |
//! | [`finish`](Session::finish) | handlers |
//! | [`send_stream`](Session::send_stream) | producers of streams |
//! | [`stream_consumed`](Session::stream_consumed), [`stream_dropped`](Session::stream_dropped) | readers of streams |
//! | [`handle_message`](Session::handle_message) | the peer |
//! | [`handle_timeout`](Session::handle_timeout) | the clock, at [`poll_timeout`](Session::poll_timeout) |
//! | [`detach`](Session::detach), [`greet_again`](Session::greet_again), [`welcome_back`](Session::welcome_back) | sockets that end and come |
//!
//! | output | for |
//! |---|---|
//! | [`poll_event`](Session::poll_event) | whoever waits for a result or runs handlers |
//! | [`poll_message`](Session::poll_message) | the peer |
//!
//! After every input the outputs are polled until they have nothing more.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use self::{
    account::{Account, Elsewhere},
    answers::{Answers, NextStep},
    assembly::Assembly,
    calls::Calls,
    handshake::Handshake,
    heartbeat::Heartbeat,
    methods::{OwnMethods, PeerMethods},
    objects::Objects,
    outgoing::Outgoing,
    replay::{Accepted, Kept},
    streams::Streams,
    work::Work,
};
use crate::{
    buffer::{message::MessageRef, spares::Spares},
    error::{CloseReason, Delivery},
    limits::Limits,
    memory_budget::MemoryBudget,
    schema::descriptor::ServiceDescriptor,
    session::{
        events::{Begin, Event, SessionStats},
        inputs::{CallTarget, NewCall, Waiter},
    },
    time::Time,
    value::{
        encoded::{Capability, Passing},
        inlet::Inlet,
        object::Home,
        outcome::Outcome,
        stream::Piece,
    },
    wire::{CallId, Frame, ObjectId, Offer, StreamId, read::FrameReader, write},
};

pub(crate) mod account;
mod answers;
mod assembly;
mod calls;
mod due;
pub(crate) mod events;
mod handshake;
mod heartbeat;
pub(crate) mod incoming;
pub(crate) mod inputs;
mod last_results;
mod long;
pub(crate) mod methods;
mod objects;
pub(crate) mod outgoing;
mod passing;
pub(crate) mod plan;
mod replay;
mod sockets;
pub(crate) mod streams;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod work;

/// How long a closing session waits for streams of which none moves.
const STILL_STREAMS: Duration = Duration::from_secs(2);
/// How long a server that closes takes calls that cross its goodbye.
const CROSSING_CALLS: Duration = Duration::from_secs(1);
/// The bytes received after which a session settles its account, if it has nothing of the shared memory. It also does when
/// [`LONG_BYTES`] wait to be sent.
const SETTLED_BYTES: usize = 4 << 10;
const LONG_BYTES: usize = 64 << 10;

/// The end of the socket that a session is on. Both ends call and answer alike; the handshake differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The side that opened the socket and sends the hello.
    Client,
    /// The side that accepted the socket.
    Server,
}

pub(crate) struct Session<W> {
    limits: Arc<Limits>,
    work: Work,
    handshake: Handshake,
    heartbeat: Heartbeat,
    kept: Kept,
    accepted: Accepted,
    /// The frames about the socket that lead the message handed out last.
    head: Vec<u8>,
    /// The bytes of the session's messages that the current socket has taken, until the handshake is done on it.
    repeated: usize,
    /// Whether the peer has acknowledged something on this socket, and so has read its hello or welcome.
    is_acknowledged_here: bool,
    /// When a message of the session last went either way.
    used: Time,
    /// Since when there is no socket.
    detached_since: Option<Time>,
    own_methods: OwnMethods,
    calls: Calls<W>,
    answers: Answers,
    arguments: Assembly,
    results: Assembly,
    spares: Spares,
    /// Bytes of messages received since the account was last settled.
    unsettled: usize,
    /// The memory that the socket's buffers take.
    transport_bytes: usize,
    outgoing: Outgoing,
    events: VecDeque<Event<W>>,
    /// The rest of a message that made much work.
    reading: Option<FrameReader>,
    closing: Closing,
    /// The goodbye to send when the calls made before the close are sealed.
    goodbye: Option<(u16, String)>,
    /// The time at which a close that this side asked for times out, whatever the peer sends meanwhile.
    close_until: Option<Time>,
    /// When a closing session begins to refuse calls.
    refuse_calls_at: Option<Time>,
    /// When a message last went either way, since the close began.
    last_stir: Option<Time>,
    /// Whether that close does not wait for open streams.
    cuts_streams: bool,
    /// Whether the peer has stopped in the middle of a payload.
    payload_stalled: bool,
}

/// ```text
/// Open ──close()──▶ Local ──peer's goodbye──▶ Both
///   └──peer's goodbye──▶ Peer ──own calls done──▶ Both
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    /// This side said goodbye and waits for the peer's.
    Local,
    /// The peer said goodbye; this side says it when its calls are done.
    Peer,
    Both,
}

impl<W: Waiter> Session<W> {
    pub(crate) fn new(
        now: Time,
        side: Side,
        limits: Arc<Limits>,
        services: Vec<&'static ServiceDescriptor>,
        identity: Option<Identity>,
        home: Arc<dyn Home>,
        budget: MemoryBudget,
    ) -> Self {
        let work = Work::new(now, &limits);
        let outgoing = Outgoing::new(
            Objects::new(Arc::clone(&limits), Arc::clone(&home)),
            Streams::new(Arc::clone(&limits), home),
        );
        let offer = Offer {
            calls_max: limits.calls_max as u64,
            payload_bytes_max: limits.payload_bytes_max as u64,
            window_bytes: limits.replay_bytes_max as u64,
            streams_max: limits.streams_max as u64,
            stream_window_bytes: limits.stream_window_bytes.max(1) as u64,
        };
        // A server keeps messages from its client's hello on.
        let keeps = side == Side::Client && identity.is_some();
        Self {
            handshake: Handshake::new(now, side, limits.hello_timeout, offer, identity),
            heartbeat: Heartbeat::new(now, &limits),
            kept: Kept::new(keeps, limits.replay_bytes_max),
            accepted: Accepted::default(),
            head: Vec::new(),
            repeated: 0,
            is_acknowledged_here: false,
            used: now,
            detached_since: None,
            own_methods: OwnMethods::default(),
            calls: Calls::default(),
            answers: Answers::new(
                Arc::clone(&limits),
                PeerMethods::new(services, limits.methods_max),
                Account::new(limits.session_bytes_max, budget),
                work.clone(),
            ),
            work,
            arguments: Assembly::default(),
            results: Assembly::default(),
            spares: Spares::default(),
            unsettled: 0,
            transport_bytes: 0,
            outgoing,
            events: VecDeque::new(),
            reading: None,
            closing: Closing::Open,
            goodbye: None,
            close_until: None,
            refuse_calls_at: None,
            last_stir: None,
            cuts_streams: false,
            payload_stalled: false,
            limits,
        }
    }

    // ---- from this side ----

    /// Queues a call. The next `poll_message` that has room seals it: it reads what is wanted of the call and encodes it.
    pub(crate) fn call(&mut self, now: Time, call: NewCall<W>) {
        let payload_bytes_max = self.handshake.peer_payload_bytes_max();
        if call.extras.is_some() {
            return self.call_with_extras(now, call, payload_bytes_max);
        }
        self.calls.queue(now, call, payload_bytes_max, &mut self.outgoing);
    }

    #[inline(never)]
    fn call_with_extras(&mut self, now: Time, mut call: NewCall<W>, payload_bytes_max: usize) {
        let id = call.id;
        let is_stale = call.extras.as_ref().is_some_and(|extras| match &extras.target {
            CallTarget::Import(import) => !self.outgoing.objects.has_import(import),
            CallTarget::Root | CallTarget::Result(..) => false,
        });
        let is_stale = is_stale && !self.calls.derive_target(&mut call);
        self.derive_objects(&mut call);
        self.calls.queue(now, call, payload_bytes_max, &mut self.outgoing);
        if is_stale {
            self.calls.refuse_stale(id, &mut self.outgoing);
        }
    }

    /// Has a call pass objects of a session before from the places where this session has them.
    fn derive_objects(&self, call: &mut NewCall<W>) {
        let NewCall { extras: Some(extras), bases, .. } = call else { return };
        for object in &mut extras.objects {
            let is_stale = matches!(object, Passing::Settled(Capability::Import(import)) if !self.outgoing.objects.has_import(import));
            if is_stale {
                self.calls.derive_object(object, bases);
            }
        }
    }

    /// Fails the queued calls above these bounds of number and bytes, and those that are built on them.
    pub(crate) fn refuse_waiting(&mut self, bounds: (usize, usize), reason: &CloseReason) {
        self.calls.refuse_waiting(bounds, reason, &mut self.outgoing);
    }

    /// Takes the place of a session that ended for this reason.
    pub(crate) fn succeeds(&mut self, before: CloseReason) {
        self.calls.comes_after(before);
    }

    /// Keeps idempotent calls from here on, to send them again in another session.
    pub(crate) fn send_again(&mut self) {
        self.calls.send_again(self.handshake.session_id());
    }

    /// Takes out the calls that another session can make; see [`Calls::hand_over`].
    pub(crate) fn hand_over_calls(&mut self, lost: bool) -> Vec<NewCall<W>> {
        self.calls.hand_over(lost)
    }

    /// Takes note that nobody waits for the value of this sealed call any more.
    pub(crate) fn unwanted(&mut self, id: CallId) {
        self.calls.unwanted(id, &mut self.outgoing);
    }

    /// Takes note that nobody can refer to the result of this sealed call any more.
    pub(crate) fn released(&mut self, id: CallId) {
        self.calls.released(id, &mut self.outgoing);
    }

    /// Ends a call of the peer: its handler is over and its permit is free.
    pub(crate) fn finish(&mut self, answer: CallId, outcome: Outcome) {
        self.answers.finish(answer, outcome, &mut self.outgoing);
        self.learn_exports();
    }

    /// Drops one handle of this side to an object of the peer.
    pub(crate) fn import_dropped(&mut self, id: ObjectId, origin: Option<CallId>) {
        self.outgoing.objects.import_dropped(id);
        origin.into_iter().for_each(|call| self.origin_dropped(call));
    }

    /// Drops one handle of this side to an object that came from this call, in this session or in one before it.
    pub(crate) fn origin_dropped(&mut self, call: CallId) {
        self.calls.origin_dropped(call, &mut self.outgoing);
    }

    /// Queues items of a stream of this side, or its end.
    pub(crate) fn send_stream(&mut self, stream: StreamId, piece: Piece) {
        self.outgoing.streams.send(stream, piece);
    }

    /// Takes note that `bytes` of a stream of the peer were read; `awaited` says that its reader waits for more.
    pub(crate) fn stream_consumed(&mut self, now: Time, stream: StreamId, bytes: u64, awaited: bool) {
        let streams = &mut self.outgoing.streams;
        match awaited {
            true => streams.awaited(now, stream, bytes),
            false => streams.consumed(now, stream, bytes),
        }
        streams.share_buffer(now);
    }

    /// Stops a stream of the peer that nobody reads any more, or forgets one that was read to its end.
    pub(crate) fn stream_dropped(&mut self, now: Time, stream: StreamId, reason: Option<String>) {
        self.outgoing.streams.dropped(stream, reason);
        self.outgoing.streams.share_buffer(now);
    }

    /// Begins a graceful close: no new calls either way. Calls in flight go on until `until`, streams as long as some of them
    /// moves. With `cuts_streams` the close does not wait for open streams, except for sent ones whose producers have ended:
    /// those are delivered whole.
    pub(crate) fn close(&mut self, now: Time, until: Time, code: u16, reason: &str, cuts_streams: bool) {
        self.cuts_streams |= cuts_streams;
        self.last_stir = Some(now);
        self.close_until = Some(self.close_until.map_or(until, |earlier| earlier.min(until)));
        match self.closing {
            Closing::Open => self.closing = Closing::Local,
            Closing::Peer => self.closing = Closing::Both,
            Closing::Local | Closing::Both => return,
        }
        // Calls may be on their way that the peer made before it reads the goodbye. A client has nobody to hand them on to.
        match self.closing == Closing::Local && !cuts_streams {
            true => self.refuse_calls_at = Some(now + CROSSING_CALLS),
            false => self.answers.refuse_new_calls(),
        }
        self.goodbye = Some((code, reason.into()));
    }

    /// Records that a message went either way.
    fn stir(&mut self, now: Time) {
        if let Some(stir) = &mut self.last_stir {
            *stir = now;
        }
    }

    /// Waits for the peer's hello at most until `until`.
    pub(crate) fn hurry_hello(&mut self, until: Time) {
        self.handshake.hurry(until);
    }

    // ---- the account ----

    /// Settles the account: checks the memory kept for the peer, and an arriving message, against the limits.
    fn settle(&mut self, message: usize) {
        self.unsettled = 0;
        let mut short_of = self.answers.books.settle(self.bytes_beside_answers(), message);
        if short_of.is_some() && self.spares.bytes() > 0 {
            self.spares.clear();
            short_of = self.answers.books.settle(self.bytes_beside_answers(), message);
        }
        self.outgoing.streams.short_of(short_of);
    }

    fn bytes_beside_answers(&self) -> usize {
        self.arguments.bytes_announced()
            + self.results.bytes_announced()
            + self.outgoing.memory()
            + self.kept.bytes()
            + self.outgoing.streams.arrived_bytes()
            + self.spares.bytes()
            + self.transport_bytes
    }

    /// Settles the account at the end of a turn, if memory may have to be given back.
    pub(crate) fn settle_rest(&mut self, transport_bytes: usize) {
        self.transport_bytes = transport_bytes;
        self.kept.forget_unkept();
        self.outgoing.flushed(transport_bytes.max(self.kept.bytes()));
        if self.answers.books.is_watched() || transport_bytes >= LONG_BYTES {
            self.settle(0);
        }
    }

    /// The memory that a value decoded now may take, and the limit that bounds it.
    pub(crate) fn memory_left(&self) -> (usize, &'static str) {
        self.answers.books.memory_left()
    }

    /// Charges a handler that goes on by itself: `given` bytes of arguments, and `expected` bytes of its result.
    pub(crate) fn goes_on(&mut self, given: usize, expected: usize) {
        self.answers.books.goes_on(given, expected);
    }

    /// Ends the charge of [`goes_on`](Self::goes_on): the handler is over.
    pub(crate) fn came_back(&mut self, given: usize, expected: usize) {
        self.answers.books.came_back(given, expected);
    }

    /// The accounts of memory and work, for tasks of this session that keep something for the peer.
    pub(crate) fn for_tasks(&self) -> (Elsewhere, Work) {
        (self.answers.books.elsewhere().clone(), self.work.clone())
    }

    // ---- time ----

    /// When `handle_timeout` is next due.
    pub(crate) fn poll_timeout(&mut self) -> Option<Time> {
        let closing = self.close_due().filter(|_| !self.close_complete());
        let due = earlier(self.calls.timeout(), self.answers.timeout());
        let due = earlier(due, self.outgoing.objects.timeout());
        let due = earlier(due, self.spares.timeout());
        let due = earlier(due, self.refuse_calls_at);
        let due = earlier(due, closing);
        earlier(due, self.timeout_of_socket())
    }

    /// Expires deadlines and timeouts that are due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.calls.expire(now, &mut self.outgoing);
        self.answers.expire(now, &mut self.outgoing);
        self.spares.expire(now);
        if self.refuse_calls_at.take_if(|at| *at <= now).is_some() {
            self.answers.refuse_new_calls();
        }
        if self.outgoing.objects.releases_are_overdue(now) {
            self.outgoing.push_object_releases(now);
        }
        if self.is_detached() {
            return;
        }
        self.outgoing.streams.expire(now);
        let patience = self.limits.message_timeout;
        self.payload_stalled |=
            self.arguments.is_stalled(now, patience) || self.results.is_stalled(now, patience);
        self.heartbeat.expire(now);
        self.kept.rest();
    }

    /// Whether the peer has stopped in the middle of a payload.
    pub(crate) fn payload_stalled(&self) -> bool {
        self.payload_stalled
    }

    /// Whether the handshake is done.
    pub(crate) fn is_open(&self) -> bool {
        self.handshake.is_open()
    }

    /// Whether the peer has not said hello in time.
    pub(crate) fn hello_overdue(&self, now: Time) -> bool {
        self.handshake.timeout().is_some_and(|until| until <= now)
    }

    /// Whether both sides have said goodbye and nothing is left to do.
    pub(crate) fn close_complete(&self) -> bool {
        self.has_only_streams() && self.outgoing.streams.may_close(self.cuts_streams)
    }

    /// Whether both sides have said goodbye.
    pub(crate) fn has_parted(&self) -> bool {
        self.closing == Closing::Both
    }

    /// Whether this side closes a session without a socket, and no call of either side is left that could still end.
    pub(crate) fn has_nothing_to_finish(&self) -> bool {
        self.is_detached()
            && self.close_until.is_some()
            && self.calls.is_idle()
            && self.answers.books.unfinished() == 0
    }

    /// Whether both sides have said goodbye and nothing is left to do but to go on with streams.
    fn has_only_streams(&self) -> bool {
        self.closing == Closing::Both
            && self.calls.is_idle()
            && self.goodbye.is_none()
            && self.answers.books.unfinished() == 0
            && self.outgoing.has_only_streams()
    }

    /// When a close that this side asked for times out: in any case at its end, and before that if only streams are left and
    /// none of them moves.
    pub(crate) fn close_due(&self) -> Option<Time> {
        let until = self.close_until?;
        let still = self.last_stir.filter(|_| self.has_only_streams()).map(|stir| stir + STILL_STREAMS);
        Some(still.map_or(until, |still| still.min(until)))
    }

    /// Whether a close that this side asked for has timed out, also because the peer has sent no hello in time.
    pub(crate) fn close_overdue(&self, now: Time) -> bool {
        self.close_due().is_some_and(|due| due <= now || self.hello_overdue(now))
    }

    // ---- outputs ----

    /// Whether [`poll_message`](Self::poll_message) may have something to send or to note. If not, it need not be asked.
    #[inline]
    pub(crate) fn may_have_message(&self, now: Time) -> bool {
        self.wants_to_send()
            || self.outgoing.streams.queued_bytes() > 0
            || self.accepted.ack_due().is_some_and(|due| due <= now)
            || self.heartbeat.has_frames()
            || self.calls.releases_need_a_look(now)
            || self.outgoing.objects.releases_need_a_look(now)
            || (self.closing == Closing::Peer && self.calls.is_idle())
    }

    /// The next message for the peer. With `seal`, the queued calls are sealed first. `None` when there is nothing to
    /// send.
    pub(crate) fn poll_message(&mut self, now: Time, seal: bool) -> Option<MessageRef<'_>> {
        if !self.handshake.may_send() {
            return None;
        }
        self.kept.forget_unkept();
        let skip = self.kept.take_skip();
        let session_bytes = match self.kept.has_unsent() {
            true if !self.handshake.may_repeat(self.repeated) => None,
            true => self.kept.hand_out(),
            false if self.handshake.may_send_new() => self.poll_new(now, seal),
            false => None,
        };
        self.put_head(now, skip, session_bytes.is_some());
        if session_bytes.is_none() && self.head.is_empty() {
            return None;
        }
        if let Some(bytes) = session_bytes {
            self.repeated += bytes;
            self.used = now;
        }
        self.work.took(session_bytes.unwrap_or(0));
        let body = session_bytes.and_then(|_| self.kept.handed_out());
        Some(MessageRef::new(&self.head, body))
    }

    /// Makes the next new message and returns its length.
    fn poll_new(&mut self, now: Time, seal: bool) -> Option<usize> {
        if !self.kept.has_room() {
            if self.wants_to_send() {
                self.kept.is_stopped(now);
            }
            return None;
        }
        let allowance = self.handshake.allowance(self.outgoing.sent_bytes());
        if (seal || self.goodbye.is_some()) && self.calls.has_queued() {
            self.calls.seal(now, allowance, &mut self.own_methods, &mut self.outgoing);
            self.learn_exports();
        }
        // Calls made before the close leave before the goodbye: after that the peer takes none.
        if !self.calls.has_queued()
            && let Some((code, reason)) = self.goodbye.take()
        {
            self.outgoing.put_frame(&Frame::Goodbye { code, reason });
        }
        self.calls.send_releases(now, &mut self.outgoing);
        self.outgoing.push_object_releases(now);
        if self.closing == Closing::Peer && self.calls.is_idle() {
            self.closing = Closing::Both;
            self.answers.refuse_new_calls();
            self.outgoing
                .put_frame(&Frame::Goodbye { code: crate::close_codes::NORMAL, reason: String::new() });
        }
        let message = self.outgoing.pop_message(allowance.large);
        if message.is_some() {
            self.stir(now);
        }
        self.outgoing.streams.watch_stalls(now);
        for call in self.outgoing.take_arguments_sent() {
            self.calls.arguments_sent(call, &mut self.outgoing);
        }
        let message = message?;
        let length = message.len();
        self.kept.push(message);
        Some(length)
    }

    /// Puts the frames about the socket that are due in front of the message.
    #[inline]
    fn put_head(&mut self, now: Time, skip: Option<u64>, message_leaves: bool) {
        let head = &mut self.head;
        head.clear();
        if let Some(greeting) = self.handshake.take_greeting() {
            write::put_frame_of_socket(head, &greeting);
        }
        if let Some(next) = skip {
            write::put_frame_of_socket(head, &Frame::Skip { next });
        }
        if self.handshake.is_open()
            && let Some(messages) = self.accepted.take_ack(now, message_leaves)
        {
            write::put_frame_of_socket(head, &Frame::Ack { messages });
        }
        self.heartbeat.take(|frame| write::put_frame_of_socket(head, frame));
    }

    /// The next event for the driver. Without `may_start`, ready calls of the peer wait.
    pub(crate) fn poll_event(&mut self, now: Time, may_start: bool) -> Option<Event<W>> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some((waiter, returned)) = self.calls.pop_finished() {
            return Some(Event::Returned { waiter, returned });
        }
        if self.calls.has_resting()
            && let Some((call, refused)) = self.calls.pop_rested(now)
        {
            return Some(Event::Again { call, refused });
        }
        if let Some(event) = self.outgoing.streams.pop_event() {
            return Some(Event::Stream(event));
        }
        Some(match self.answers.pop_step(now, may_start, &mut self.outgoing)? {
            NextStep::Begin(begin) => Event::Begin(begin),
            NextStep::Map(begin) => Event::Map(begin),
            NextStep::Cancel(answer) => Event::Cancel(answer),
        })
    }

    /// The next event after the session has ended: results and stream events that are here. No call starts any more.
    pub(crate) fn poll_last_event(&mut self) -> Option<Event<W>> {
        if let Some((waiter, returned)) = self.calls.pop_finished() {
            return Some(Event::Returned { waiter, returned });
        }
        self.outgoing.streams.pop_event().map(Event::Stream)
    }

    /// The number of calls of the peer that may start.
    pub(crate) fn calls_waiting(&self) -> usize {
        self.answers.waiting()
    }

    /// Whether sending has left something for [`poll_event`](Self::poll_event).
    pub(crate) fn has_events_of_sending(&self) -> bool {
        self.outgoing.streams.has_events()
            || self.calls.has_finished()
            || self.answers.may_go_on(&self.outgoing)
    }

    /// Takes at most `many` more ready calls of the peer for the same method as `first`, which has just been polled, in the
    /// order in which they became ready.
    pub(crate) fn poll_alike(&mut self, first: &Begin, many: usize) -> Vec<Begin> {
        self.answers.pop_alike(first, many, &mut self.outgoing)
    }

    /// Whether calls wait to be sealed.
    pub(crate) fn has_queued_calls(&self) -> bool {
        self.calls.has_queued()
    }

    /// Whether sealed calls wait on this side, because the peer takes no more at once.
    pub(crate) fn has_calls_waiting_for_room(&self) -> bool {
        self.calls.has_sealed()
    }

    /// The number of streams that this side sends.
    pub(crate) fn streams_sent(&self) -> usize {
        self.outgoing.streams.sent()
    }

    /// Bytes of all streams that wait to be sent.
    pub(crate) fn stream_bytes_queued(&self) -> usize {
        self.outgoing.streams.queued_bytes()
    }

    /// Bytes that wait to be sent, without those of streams.
    pub(crate) fn outgoing_bytes(&self) -> usize {
        self.outgoing.bytes()
    }

    /// The number of calls of this side that are queued or in flight.
    pub(crate) fn live_calls(&self) -> usize {
        self.calls.live()
    }

    /// Whether frames or calls wait to be sent.
    pub(crate) fn wants_to_send(&self) -> bool {
        !self.outgoing.is_empty()
            || self.calls.has_queued()
            || self.goodbye.is_some()
            || self.kept.has_unsent()
            || self.handshake.has_greeting()
    }

    /// Bytes of buffers of the peer's payloads that are no longer used, kept for the next payloads.
    #[cfg(test)]
    pub(crate) fn spare_bytes(&self) -> usize {
        self.spares.bytes()
    }

    pub(crate) fn stats(&self) -> SessionStats {
        SessionStats {
            calls_in_flight: self.calls.in_flight(),
            calls_remembered: self.calls.remembered(),
            answers_unfinished: self.answers.books.unfinished(),
            answers_held: self.answers.held(),
            held_bytes: self.answers.books.held(),
            pending_bytes: self.answers.books.pending() + self.arguments.bytes_announced(),
            outgoing_bytes: self.outgoing.all_bytes(),
            exports: self.outgoing.objects.exports(),
            imports: self.outgoing.objects.imports(),
            streams_sent: self.outgoing.streams.sent(),
            streams_received: self.outgoing.streams.received(),
            stream_bytes_unread: self.outgoing.streams.unread_bytes(),
            session_bytes: self.bytes_beside_answers() + self.answers.books.bytes(),
            unacknowledged_bytes: if self.kept.keeps() { self.kept.bytes() } else { 0 },
        }
    }

    /// Counts kept beside the tables: deadlines of calls, deadlines of answers, places of ordered calls.
    #[cfg(test)]
    pub(crate) fn remembered_beside_tables(&self) -> [usize; 3] {
        [self.calls.deadlines(), self.answers.deadlines(), self.answers.in_order()]
    }

    /// Checks that nothing is left in any table once nobody refers to anything, also in tables that `stats` does not count.
    #[cfg(test)]
    #[track_caller]
    pub(crate) fn check_empty(&self) {
        assert!(self.arguments.is_empty() && self.results.is_empty(), "payloads are being assembled");
        assert!(self.answers.is_empty(), "answers are left");
        assert!(self.calls.is_empty(), "calls are left");
        assert!(self.outgoing.objects.is_empty(), "objects are left");
        assert!(self.outgoing.streams.is_empty(), "streams are left");
        assert!(self.outgoing.is_empty() && self.events.is_empty(), "something waits to be told");
    }

    /// Lets the peer name methods of the services of newly exported objects.
    fn learn_exports(&mut self) {
        for service in self.outgoing.objects.take_new_services() {
            self.answers.methods.learn(service);
        }
    }

    /// Drops the objects of this side: nobody can call them any more.
    pub(crate) fn abandon_objects(&mut self) {
        self.outgoing.objects.abandon();
    }

    /// Takes out all streams: their readers and producers must learn that the session is over.
    pub(crate) fn abandon_streams(&mut self) -> (Vec<Arc<Inlet>>, Vec<StreamId>) {
        self.outgoing.streams.abandon()
    }

    /// Takes out the calls that can no longer return, with how far each got.
    pub(crate) fn abandon_calls(&mut self) -> Vec<(W, Delivery)> {
        self.calls.abandon(self.kept.acknowledged(), self.kept.fresh())
    }
}

/// The earlier of two times, of which there may be none.
#[inline(always)]
fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (some, None) | (None, some) => some,
    }
}

/// The id and secret of a session that can outlive its socket. Its client draws them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Identity {
    pub(crate) session: [u8; 16],
    pub(crate) secret: [u8; 32],
}

/// Leaves the secret out.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("session", &self.session).finish_non_exhaustive()
    }
}
