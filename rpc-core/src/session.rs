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
    methods::{OwnMethods, PeerMethods},
    objects::Objects,
    outgoing::Outgoing,
    streams::Streams,
    work::Work,
};
use crate::{
    buffer::{message::Message, spares::Spares},
    limits::Limits,
    memory_budget::MemoryBudget,
    schema::descriptor::ServiceDescriptor,
    session::{
        events::{Begin, Event, SessionStats},
        inputs::{NewCall, Waiter},
    },
    time::Time,
    value::{inlet::Inlet, object::Home, outcome::Outcome, stream::Piece},
    wire::{CallId, Frame, ObjectId, Offer, StreamId, read::FrameReader},
};

pub(crate) mod account;
mod answers;
mod assembly;
mod calls;
mod due;
pub(crate) mod events;
mod handshake;
pub(crate) mod incoming;
pub(crate) mod inputs;
mod long;
pub(crate) mod methods;
mod objects;
pub(crate) mod outgoing;
mod passing;
pub(crate) mod plan;
pub(crate) mod streams;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod work;

/// The bytes received after which a session settles its account, if it has nothing of the shared memory. It also does when
/// [`LONG_BYTES`] wait to be sent.
/// How long a closing session waits for streams of which none moves.
const STILL_STREAMS: Duration = Duration::from_secs(2);
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
        identity: Identity,
        home: Arc<dyn Home>,
        budget: MemoryBudget,
    ) -> Self {
        let work = Work::new(now, &limits);
        let mut outgoing = Outgoing::new(
            Objects::new(Arc::clone(&limits), Arc::clone(&home)),
            Streams::new(Arc::clone(&limits), home),
        );
        let offer = Offer {
            calls_max: limits.calls_max as u64,
            payload_bytes_max: limits.payload_bytes_max as u64,
            window_bytes: limits.pending_bytes_max as u64,
            streams_max: limits.streams_max as u64,
            stream_window_bytes: limits.stream_window_bytes.max(1) as u64,
        };
        let handshake = Handshake::new(now, side, &limits, offer, identity, &mut outgoing);
        Self {
            handshake,
            own_methods: OwnMethods::default(),
            calls: Calls::new(),
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
        self.calls.queue(now, call, payload_bytes_max, &mut self.outgoing);
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
    pub(crate) fn import_dropped(&mut self, id: ObjectId) {
        self.outgoing.objects.import_dropped(id);
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
        self.answers.refuse_new_calls();
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
            + self.outgoing.streams.arrived_bytes()
            + self.spares.bytes()
            + self.transport_bytes
    }

    /// Settles the account at the end of a turn, if memory may have to be given back.
    pub(crate) fn settle_rest(&mut self, transport_bytes: usize) {
        self.transport_bytes = transport_bytes;
        self.outgoing.flushed(transport_bytes);
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
        [
            self.handshake.timeout(),
            self.calls.timeout(),
            self.answers.timeout(),
            self.outgoing.objects.timeout(),
            self.spares.timeout(),
            self.arguments.timeout(self.limits.message_timeout),
            self.results.timeout(self.limits.message_timeout),
            self.outgoing.streams.timeout(),
            closing,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Expires deadlines and timeouts that are due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.calls.expire(now, &mut self.outgoing);
        self.answers.expire(now, &mut self.outgoing);
        self.spares.expire(now);
        self.outgoing.streams.expire(now);
        let patience = self.limits.message_timeout;
        self.payload_stalled |=
            self.arguments.is_stalled(now, patience) || self.results.is_stalled(now, patience);
        if self.outgoing.objects.releases_are_overdue(now) {
            self.outgoing.push_object_releases(now);
        }
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

    /// The next message for the peer. With `seal`, the queued calls are sealed first. `None` when there is nothing to
    /// send.
    pub(crate) fn poll_message(&mut self, now: Time, seal: bool) -> Option<Message> {
        if !self.handshake.may_send() {
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
        self.work.took(message.as_ref().map_or(0, Message::len));
        for call in self.outgoing.take_arguments_sent() {
            self.calls.arguments_sent(call, &mut self.outgoing);
        }
        message
    }

    /// The next event for the driver. Without `may_start`, ready calls of the peer wait.
    pub(crate) fn poll_event(&mut self, now: Time, may_start: bool) -> Option<Event<W>> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some((waiter, returned)) = self.calls.pop_finished() {
            return Some(Event::Returned { waiter, returned });
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
        !self.outgoing.is_empty() || self.calls.has_queued() || self.goodbye.is_some()
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

    /// Takes out the calls that can no longer return, with whether each was sent.
    pub(crate) fn abandon_calls(&mut self) -> Vec<(W, bool)> {
        self.calls.abandon()
    }
}

/// The id and secret of a session: zero until sessions can be resumed; only their place on the wire is used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Identity {
    pub(crate) session: [u8; 16],
    pub(crate) secret: [u8; 32],
}
