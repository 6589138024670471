//! The session's half of a driver: the session, and all that this process does for it. That is handlers, maps, producers of
//! streams and waiting callers.
//!
//! A conversation knows no socket. The driver gives it the submissions of callers and the peer's messages, and sends the
//! messages that result.

use std::{sync::Arc, task::Waker, time::Duration};

use futures::channel::oneshot;
use rustc_hash::FxHashMap;

use super::{
    attaching::{Predecessor, Succession},
    end,
    handlers::{RunningTask, Starting},
    maps::Permits,
    recalling::Recalls,
    stopwatch::Stopwatch,
    streams::{Backlog, Producer},
};
use crate::{
    error::CloseReason,
    handler::{context::SessionScope, dispatch::Services},
    id_map::IdMap,
    limits::Limits,
    link::{
        Attach, Link, OutgoingCall, Submission,
        cell::{CallCell, Returned},
    },
    session::{
        Session, Side,
        account::Elsewhere,
        events::Event,
        inputs::{Interest, NewCall, Waiter},
        streams::StreamEvent,
        work::Work,
    },
    time::{self, Time},
    wire::{CallId, StreamId},
};

/// The number of messages read, handlers started and results handed out before other tasks get their turn.
pub(super) const TURN_STEPS: usize = 256;
/// How long a server that closes waits for a hello, which may be on its way.
const HELLO_GRACE: Duration = Duration::from_secs(1);

/// Everything that belongs to a session, except for its socket.
pub(super) struct Conversation {
    pub(super) link: Arc<Link>,
    pub(super) session: Session<Arc<CallCell>>,
    pub(super) side: Side,
    pub(super) scope: Arc<SessionScope>,
    pub(super) services: Arc<Services>,
    pub(super) limits: Arc<Limits>,
    pub(super) running: IdMap<CallId, RunningTask>,
    /// The producers of the streams that this side sends.
    pub(super) producers: FxHashMap<StreamId, Arc<Producer>>,
    pub(super) backlog: Arc<Backlog>,
    /// The accounts of memory and work that tasks such as maps are charged to.
    pub(super) elsewhere: Elsewhere,
    pub(super) work: Work,
    pub(super) map_permits: Permits,
    /// Calls whose arguments are being decoded on another thread; later calls wait.
    pub(super) starting: Option<Box<Starting>>,
    /// The wakers of callers whose results are here; woken together at the end of the turn.
    pub(super) wakers: Vec<Waker>,
    pub(super) stopwatch: Stopwatch,
    /// Whether a call of the peer was begun since this side last waited for its next message.
    pub(super) has_begun: bool,
    /// Whether nobody holds the session any more: it closes when the streams that it sends are over.
    pub(super) is_left: bool,
    /// Sockets that were brought for the session.
    pub(super) attaching: Vec<Attach>,
    /// Why the session is to end, if nobody will bring it a socket.
    pub(super) given_up: Option<Box<CloseReason>>,
    /// On a server, its memory of sessions that are over.
    pub(super) recalls: Option<Recalls>,
    /// How the session is to end at once.
    pub(super) ending: Option<Box<(u16, CloseReason)>>,
    /// Makes the session that takes this one's place.
    pub(super) succession: Option<Succession>,
    /// Notified when the handshake is done.
    opened: Option<oneshot::Sender<()>>,
}

impl Waiter for Arc<CallCell> {
    fn seal(&self) -> Interest {
        CallCell::seal(self)
    }

    fn renumber(&self, id: CallId) {
        CallCell::renumber(self, id);
    }
}

impl Conversation {
    pub(super) fn new(
        link: Arc<Link>,
        session: Session<Arc<CallCell>>,
        side: Side,
        scope: Arc<SessionScope>,
        services: Arc<Services>,
        limits: Arc<Limits>,
        opened: Option<oneshot::Sender<()>>,
    ) -> Self {
        let (elsewhere, work) = session.for_tasks();
        Self {
            link,
            session,
            side,
            scope,
            services,
            running: IdMap::default(),
            producers: FxHashMap::default(),
            backlog: Backlog::new(limits.outgoing_bytes_max),
            elsewhere,
            work,
            map_permits: Permits::new(limits.calls_max),
            starting: None,
            wakers: Vec::new(),
            stopwatch: Stopwatch::new(),
            has_begun: false,
            is_left: false,
            attaching: Vec::new(),
            given_up: None,
            recalls: None,
            ending: None,
            succession: None,
            opened,
            limits,
        }
    }

    /// Handles a submission of a caller, a handler or a handle.
    pub(super) fn take(&mut self, submission: Submission, now: Time) {
        match submission {
            Submission::Call(call) => self.session.call(
                now,
                NewCall {
                    id: call.id,
                    number: call.number,
                    service: call.cell.service,
                    method: call.cell.method,
                    payload: call.payload,
                    bases: call.bases.iter().map(|base| base.cell().id()).collect(),
                    deadline: call.deadline,
                    extras: call.extras,
                    waiter: call.cell,
                },
            ),
            Submission::Unwanted(id) => self.session.unwanted(id),
            Submission::Released(id) => self.session.released(id),
            Submission::Finish { answer, outcome } => self.finish(answer, outcome),
            Submission::CameBack(started) => {
                if let Ok(started) = started.downcast() {
                    self.started(*started);
                }
            }
            Submission::ImportDropped(id, origin) => self.session.import_dropped(id, origin),
            Submission::OriginDropped(call) => self.session.origin_dropped(call),
            Submission::Stream(stream, pieces) => self.send_stream(stream, pieces),
            Submission::StreamConsumed { stream, bytes, awaited } => {
                self.session.stream_consumed(now, stream, bytes, awaited);
            }
            Submission::StreamDropped(stream, reason) => self.session.stream_dropped(now, stream, reason),
            Submission::Stats(reply) => {
                let _ = reply.send(self.session.stats());
            }
            Submission::Moved(calls) => calls.into_iter().for_each(|call| self.session.call(now, call)),
            Submission::Close => self.close(now),
            Submission::Left => self.is_left = true,
            Submission::Attach(attach) => self.attaching.push(*attach),
            Submission::GiveUp(reason) => self.given_up = Some(Box::new(reason)),
            Submission::End(code, reason) => self.ending = Some(Box::new((code, reason))),
        }
    }

    /// Begins a graceful close.
    pub(super) fn close(&mut self, now: Time) {
        self.link.begin_draining(CloseReason::Local);
        self.scope.closing.set();
        let (code, text) = end::farewell(self.side);
        if self.side == Side::Server {
            self.session.hurry_hello(now + HELLO_GRACE);
        }
        // A closing server waits for its streams, so that clients can read on; a closing client does not.
        let cuts_streams = self.side == Side::Client;
        self.session.close(now, now + self.limits.close_timeout, code, text, cuts_streams);
    }

    /// Notifies `opened` once the handshake is done.
    pub(super) fn tell_opened(&mut self) {
        if self.opened.is_some()
            && self.session.is_open()
            && let Some(opened) = self.opened.take()
        {
            // The receiver may be gone.
            let _ = opened.send(());
        }
    }

    /// The number of callers that are woken together. Their next calls leave, and the peer works on them, while the rest of
    /// the results are handed out. If all callers were woken at once, the two sides would work in turns.
    pub(super) fn callers_woken_together(&self) -> usize {
        // Where sealed calls wait for room, the peer has work anyway.
        if self.session.has_calls_waiting_for_room() {
            return TURN_STEPS;
        }
        (self.session.live_calls() / 6).clamp(24, 48)
    }

    /// Ends the session: callers, readers and producers learn the reason, and handlers stop. The link stops taking calls and
    /// items first; only then is the end announced and anybody woken.
    pub(super) fn end(&mut self, reason: &CloseReason) {
        self.scope.closing.set();
        self.leave_results(reason);
        self.hand_on(reason, true);
        self.wakers.extend(self.link.shut(reason));
        self.last_events(reason);
        for (cell, delivery) in self.session.abandon_calls() {
            self.wakers.extend(cell.complete(Returned::Disconnected { delivery, reason: reason.clone() }));
        }
        self.end_streams(reason);
        self.wakers.extend(self.link.announce_end(reason));
        self.wakers.drain(..).for_each(Waker::wake);
        for (_, mut task) in self.running.drain() {
            task.cancel();
        }
        self.session.abandon_objects();
    }

    /// Has another session take the new calls from here on, if there is to be one, and those that were not sent. `is_over` says that
    /// this session is: then idempotent calls that did not return are made again. Done once, because a session's calls must rise:
    /// what goes on in a session whose peer is closing ends with it.
    pub(super) fn hand_on(&mut self, reason: &CloseReason, is_over: bool) {
        // A client that is closed, or that nobody holds, needs no other session, whatever becomes of this one.
        let is_closing = self.is_left || matches!(self.link.draining_reason(), Some(CloseReason::Local));
        if is_closing && !is_over {
            return;
        }
        let reason = if is_closing { &CloseReason::Local } else { reason };
        let Some(Succession(succeed)) = self.succession.take() else { return };
        let before = Predecessor { link: Arc::clone(&self.link), reason: reason.clone() };
        let Some(successor) = succeed(before) else { return };
        let moved = self.session.hand_over_calls(is_over);
        self.link.hand_on(reason.clone(), successor.link, moved);
    }

    /// Makes a call again that the peer refused for a while: in this session, or in the one that has taken its place.
    pub(super) fn call_again(&mut self, call: NewCall<Arc<CallCell>>, refused: Returned) {
        let NewCall { number, payload, deadline, extras, waiter, .. } = call;
        let again = self.link.call(true, |id| {
            waiter.renumber(id);
            let cell = Arc::clone(&waiter);
            OutgoingCall { id, number, payload, bases: Vec::new(), deadline, extras, cell }
        });
        if again.is_err() {
            self.wakers.extend(waiter.complete(refused));
        }
    }

    /// Hands out events that arrived before the end and waited for their turn: results, and the last items of streams.
    fn last_events(&mut self, reason: &CloseReason) {
        while let Some(event) = self.session.poll_last_event() {
            match event {
                Event::Returned { waiter, returned } => {
                    self.wakers.extend(waiter.complete(returned));
                }
                Event::Stream(StreamEvent::Opened { slot, .. }) => self.never_opened(&slot, reason),
                Event::Stream(event) => self.stream_event(event, time::now()),
                Event::Again { .. }
                | Event::Begin(_)
                | Event::Map(_)
                | Event::Cancel(_)
                | Event::PeerClosing { .. } => {}
            }
        }
    }
}

/// Ends the session if it is dropped half-way, for example by a runtime that shuts down, so that nobody waits forever.
impl Drop for Conversation {
    fn drop(&mut self) {
        self.end(&CloseReason::Aborted);
    }
}
