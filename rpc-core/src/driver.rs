//! Moves bytes, time and results between one session and the world: a socket, tokio's clock, callers, handlers.
//!
//! One task a session. Each turn takes what callers submitted, reads what the peer sent, starts handlers and hands
//! out results, and writes what came of it, so that everything one turn produced leaves together. The task yields
//! after a budget of its own, because handlers that finish at once run inside it.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::channel::oneshot;
use rustc_hash::FxHashMap;
use tokio::{runtime::RuntimeFlavor, time::Sleep};

use self::handlers::{RunningTask, Starting};
use crate::{
    caller::{passing::LinkHome, session_handle::SessionHandle},
    close_codes,
    error::{CloseReason, Delivery, Refusal, SocketError, Violation},
    handler::{
        context::{Peer, SessionScope},
        dispatch::Services,
    },
    id_map::IdMap,
    limits::{Limits, LimitsError},
    link::{
        Handle, Link, Submission,
        ambient::inside,
        cell::{CallCell, OriginCause, Returned},
    },
    memory_budget::MemoryBudget,
    session::{
        Identity, Session,
        account::Elsewhere,
        inputs::{CallOutcome, Interest, NewCall, UpstreamOutcome, Waiter},
        outputs::Event,
        streams::StreamEvent,
        work::Work,
    },
    time::{self, Time},
    transport::Transport,
    wire::{CallId, Failure, StreamId},
};

pub use crate::session::Side;

mod busy_poll;
mod elements;
mod handlers;
mod maps;
mod stopwatch;
mod streams;

/// How long calls that nobody awaits are held back for others to join their message.
const SEAL_GRACE: Duration = Duration::from_millis(1);
/// Messages read, handlers started and results handed out before other tasks get their turn.
const TURN_STEPS: usize = 256;
/// So many bytes count as one of them: long messages must not make turns long, at whose ends other sessions, and calls made
/// meanwhile, get theirs.
const STEP_READ_BYTES: usize = 1 << 10;
const STEP_SENT_BYTES: usize = 2 << 10;
/// So few calls are not worth another turn: a small conversation is answered in one message, however long it takes.
const CALLS_TOGETHER: usize = 16;
/// So many bytes are read at once while calls wait.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// So many bytes of results are sent while others are still being made.
const SLICE_BYTES: usize = 1 << 10;
/// The timer is not set for longer: the longest deadline is beyond what some clocks can add. It is set again then.
const TIMER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the peer may take to answer a close, and how long at least when the time for closing is over.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
const CLOSE_GRACE_MIN: Duration = Duration::from_millis(200);
/// How long a server that closes waits for a hello, which may be on its way.
const HELLO_GRACE: Duration = Duration::from_secs(1);
/// How long a peer may take to answer a close that has not said hello in time; until then it takes a place.
const CLOSE_GRACE_UNGREETED: Duration = Duration::from_millis(500);

/// What a session is started with.
#[derive(Debug, Default)]
pub struct SessionConfig {
    /// What this side offers the peer.
    pub services: Services,
    /// Who the peer is.
    pub peer: Peer,
    /// The bounds of the session.
    pub limits: Limits,
    /// What it shares with other sessions. By default it is bounded by its own limits alone.
    pub memory: MemoryBudget,
    /// Told once the peer's hello (a server's) or welcome (a client's) was accepted. Dropped untold when the session ends before.
    pub opened: Option<oneshot::Sender<()>>,
}

/// Starts a session on a transport. Nothing moves until the returned future is polled; it completes when the session
/// is over. Dropping it ends the session: calls in flight fail as disconnected, handlers are dropped. With limits that no
/// session can have ([`Limits::check`]) it ends when it is first polled, as [`CloseReason::Limits`].
///
/// # Panics
/// Polling it outside a tokio runtime with time enabled.
pub fn start<T: Transport>(
    transport: T,
    side: Side,
    config: SessionConfig,
) -> (SessionHandle, impl Future<Output = CloseReason> + Send) {
    let SessionConfig { services, peer, limits, memory, opened } = config;
    let phase = match limits.check() {
        Ok(()) => Phase::Running,
        Err(error) => Phase::Refused(error),
    };
    let limits = Arc::new(limits.within_reach());
    let link = Arc::new(Link::new(Arc::clone(&limits)));
    let handle = |closes_on_drop| SessionHandle {
        handle: Arc::new(Handle { link: Arc::clone(&link), closes_on_drop }),
    };
    let session = Session::new(
        time::now(),
        side,
        Arc::clone(&limits),
        services.descriptors().collect(),
        Identity::default(),
        Arc::new(LinkHome(Arc::clone(&link))),
        memory,
    );
    let (elsewhere, work) = session.for_tasks();
    let backlog = streams::Backlog::new(limits.outgoing_bytes_max);
    let busy_poll = busy_poll::BusyPoll::new(limits.busy_poll);
    let calls_max = limits.calls_max;
    let driver = Driver {
        link: Arc::clone(&link),
        session,
        side,
        transport,
        scope: Arc::new(SessionScope { peer, session: handle(false) }),
        services,
        limits,
        submissions: Vec::new(),
        running: IdMap::default(),
        producers: FxHashMap::default(),
        backlog,
        elsewhere,
        work,
        map_permits: maps::Permits::new(calls_max),
        starting: None,
        wakers: Vec::new(),
        stopwatch: stopwatch::Stopwatch::new(),
        received_end: None,
        sealing: Sealing::Idle,
        yielded: false,
        busy_poll,
        has_sent: false,
        has_begun: false,
        unflushed: false,
        blocked_since: None,
        timer: None,
        is_left: false,
        opened,
        phase,
    };
    (handle(side == Side::Client), driver)
}

struct Driver<T> {
    link: Arc<Link>,
    session: Session<Arc<CallCell>>,
    side: Side,
    transport: T,
    scope: Arc<SessionScope>,
    services: Services,
    limits: Arc<Limits>,
    submissions: Vec<Submission>,
    running: IdMap<CallId, RunningTask>,
    /// Of the streams that this side sends.
    producers: FxHashMap<StreamId, Arc<streams::Producer>>,
    backlog: Arc<streams::Backlog>,
    /// What its maps hold, and what they spend.
    elsewhere: Elsewhere,
    work: Work,
    map_permits: maps::Permits,
    /// A call whose arguments are being decoded on another thread; those behind it wait.
    starting: Option<Starting>,
    /// Callers whose results are here; woken together at the end of the turn.
    wakers: Vec<Waker>,
    stopwatch: stopwatch::Stopwatch,
    /// The end of what the peer says, which was read ahead.
    received_end: Option<End>,
    sealing: Sealing,
    /// Other tasks have had their turn since calls became due.
    yielded: bool,
    busy_poll: busy_poll::BusyPoll,
    /// A message was given to the transport since this task last had nothing to do.
    has_sent: bool,
    /// A call of the peer was begun since then.
    has_begun: bool,
    /// Messages were given to the transport since it was last flushed.
    unflushed: bool,
    /// Since when the peer has taken nothing though something waits for it.
    blocked_since: Option<Time>,
    timer: Option<(Time, Pin<Box<Sleep>>)>,
    /// Nobody holds the session any more: it closes when the streams that it sends are over.
    is_left: bool,
    /// Waits to be told that both sides know each other.
    opened: Option<oneshot::Sender<()>>,
    phase: Phase,
}

/// Whether the queued calls may be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealing {
    /// None are queued.
    Idle,
    /// Nobody awaits them yet; more may join until then.
    Held { until: Time },
    /// They go with the next message.
    Now,
}

enum Phase {
    /// Not to be started.
    Refused(LimitsError),
    Running,
    /// Saying goodbye on the socket, for a while.
    Closing {
        end: End,
        grace: Pin<Box<Sleep>>,
    },
}

/// What ends a running session, and what the peer is told.
struct End {
    code: u16,
    text: String,
    reason: CloseReason,
}

impl End {
    fn new(code: u16, reason: CloseReason) -> Self {
        Self { code, text: reason.to_string(), reason }
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        crate::log_rate::log_rarely!(warn, "the peer broke the protocol: {violation}");
        Self {
            text: violation.to_string(),
            ..Self::new(close_codes::PROTOCOL, CloseReason::Violation(violation))
        }
    }
}

/// The socket knows by itself what to say about its errors.
impl From<SocketError> for End {
    fn from(error: SocketError) -> Self {
        Self::new(close_codes::INTERNAL, CloseReason::Socket(error))
    }
}

impl Waiter for Arc<CallCell> {
    fn seal(&self) -> Interest {
        CallCell::seal(self)
    }
}

impl<T: Transport> Future for Driver<T> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let driver = self.get_mut();
        // Handlers are polled here once.
        let session = Arc::as_ptr(&driver.link);
        let ended = match driver.phase {
            Phase::Refused(error) => Err(End::new(close_codes::INTERNAL, CloseReason::Limits(error))),
            Phase::Running => ready!(inside(session, || driver.turn(cx))),
            Phase::Closing { .. } => Ok(()),
        };
        if let Err(end) = ended {
            // From here on only the close frame matters; who waits for the session learns of the end at once.
            driver.end(&end.reason);
            let due = driver.session.close_due();
            let grace_max = match end.reason {
                CloseReason::HelloTimeout => CLOSE_GRACE_UNGREETED,
                _ => CLOSE_GRACE,
            };
            let grace = due.map_or(grace_max, |due| time::now().until(due).clamp(CLOSE_GRACE_MIN, grace_max));
            driver.phase = Phase::Closing { end, grace: Box::pin(tokio::time::sleep(grace)) };
        }
        driver.poll_close(cx)
    }
}

impl<T: Transport> Driver<T> {
    /// One turn of a running session; `Ready` only with its end.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut steps = TURN_STEPS;
        self.stopwatch.start_turn();
        loop {
            let now = time::now();
            self.take_submissions(cx, now);
            let received = self
                .read_ahead(cx, now)
                .and_then(|()| self.run_events(cx, now, &mut steps))
                .and_then(|()| self.receive(cx, now, &mut steps));
            if received.is_ok() && steps > 0 && self.yields_before_sealing() {
                self.wakers.drain(..).for_each(Waker::wake);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.send(cx, now, &mut steps)?;
            self.tell_backlog();
            self.session.settle_rest(self.transport.buffer_bytes());
            let woken = self.wakers.len();
            self.wakers.drain(..).for_each(Waker::wake);
            received?;
            self.tell_opened();
            self.check_end(now)?;
            // What was sent opened streams or made room in them, and what could not be sent is refused.
            if steps > 0 && self.session.has_events_of_sending() {
                continue;
            }
            // Several callers that have their results ask for more; the next turn, behind all of them, sends it together.
            if steps == 0 || woken > 1 {
                self.yielded |= woken > 0;
                // A session that is never done keeps its deadlines all the same.
                self.expire(now);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.poll_timer(cx, now).is_pending() {
                self.await_peer(cx);
                return Poll::Pending;
            }
            self.expire(time::now());
        }
    }

    /// Has this task polled again as soon as nothing else is to be done, if what the peer says next is near.
    fn await_peer(&mut self, cx: &mut Context<'_>) {
        // Items of streams flow on whenever this side wakes; who sends so much needs the cores for other things.
        let has_calls = self.session.live_calls() > 0 || self.has_begun;
        if std::mem::take(&mut self.has_sent) && has_calls {
            self.has_begun = false;
            self.busy_poll.wait(Instant::now);
        }
        if self.busy_poll.is_awake(Instant::now) {
            // Polled once, it has the runtime wake this task when it has looked at its sockets.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
    }

    fn expire(&mut self, now: Time) {
        if self.session.poll_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
        }
        if matches!(self.sealing, Sealing::Held { until } if until <= now) {
            self.sealing = Sealing::Now;
        }
    }

    // ---- from this side ----

    fn take_submissions(&mut self, cx: &mut Context<'_>, now: Time) {
        let mut submissions = std::mem::take(&mut self.submissions);
        let flush = self.link.drain(cx, &mut submissions);
        for submission in submissions.drain(..) {
            self.take(submission, now);
        }
        self.submissions = submissions;
        if self.is_left && self.session.streams_sent() == 0 {
            self.is_left = false;
            self.close(now);
        }
        self.sealing = match self.sealing {
            _ if !self.session.has_queued_calls() => Sealing::Idle,
            _ if flush => Sealing::Now,
            // On one thread the caller has stopped making calls, or this task would not run.
            Sealing::Idle if on_one_thread() => Sealing::Now,
            Sealing::Idle => Sealing::Held { until: now + SEAL_GRACE },
            other => other,
        };
    }

    fn take(&mut self, submission: Submission, now: Time) {
        match submission {
            Submission::Call(call) => self.session.call(
                now,
                NewCall {
                    id: call.id,
                    number: call.number,
                    service: call.cell.service,
                    method: call.cell.method,
                    payload: call.payload,
                    bases: call.bases.iter().map(|base| base.cell().id).collect(),
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
            Submission::ImportDropped(id) => self.session.import_dropped(id),
            Submission::Stream(stream, pieces) => self.send_stream(stream, pieces),
            Submission::StreamConsumed { stream, bytes, awaited } => {
                self.session.stream_consumed(now, stream, bytes, awaited);
            }
            Submission::StreamDropped(stream, reason) => self.session.stream_dropped(now, stream, reason),
            Submission::Stats(reply) => {
                let _ = reply.send(self.session.stats());
            }
            Submission::Close => self.close(now),
            Submission::Left => self.is_left = true,
        }
    }

    fn close(&mut self, now: Time) {
        self.link.begin_draining(CloseReason::Local);
        let (code, text) = match self.side {
            Side::Client => (close_codes::NORMAL, ""),
            Side::Server => (close_codes::GOING_AWAY, "the server is shutting down"),
        };
        if self.side == Side::Server {
            self.session.hurry_hello(now + HELLO_GRACE);
        }
        // A server lets its clients read on for a while; a client that closes has read enough.
        let cuts_streams = self.side == Side::Client;
        self.session.close(now + self.limits.close_timeout, code, text, cuts_streams);
    }

    // ---- from the peer ----

    fn receive(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        while *steps > 0 {
            if self.session.is_reading() {
                self.session.read_on(now)?;
                self.after_message(cx, now, steps)?;
                continue;
            }
            let Poll::Ready(message) = self.poll_message(cx)? else { break };
            *steps = steps.saturating_sub(1 + message.len() / STEP_READ_BYTES);
            self.session.handle_message(now, message)?;
            self.after_message(cx, now, steps)?;
        }
        Ok(())
    }

    /// Reads on before more handlers start, if those of the last turn took all its time: so each call's time
    /// counts from when it came, and cancels are heard before the calls that they cancel start.
    fn read_ahead(&mut self, cx: &mut Context<'_>, now: Time) -> Result<(), End> {
        if !self.stopwatch.was_last_turn_over() {
            return Ok(());
        }
        let mut read = 0;
        while read < READ_AHEAD_BYTES && self.received_end.is_none() && !self.session.is_reading() {
            match self.poll_message(cx) {
                Poll::Ready(Ok(message)) => {
                    read += message.len();
                    self.session.handle_message(now, message)?;
                }
                // Calls that came before it start before it.
                Poll::Ready(Err(end)) => self.received_end = Some(end),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        if let Some(end) = self.received_end.take() {
            return Poll::Ready(Err(end));
        }
        let received = ready!(self.transport.poll_receive(cx));
        self.busy_poll.received(Instant::now);
        Poll::Ready(match received {
            Some(message) => Ok(message?),
            None => {
                let (code, text) = self.transport.peer_close().unwrap_or((close_codes::NORMAL, ""));
                // A close that this side began may be completed by the peer.
                let begun_here =
                    self.link.draining_reason().filter(|reason| matches!(reason, CloseReason::Local));
                let reason = begun_here.unwrap_or_else(|| CloseReason::Peer { code, text: text.into() });
                Err(End::new(close_codes::NORMAL, reason))
            }
        })
    }

    fn after_message(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        self.run_events(cx, now, steps)?;
        // The rest of a message that makes much work is for the next turn.
        if self.session.is_reading() || self.stopwatch.is_turn_over() {
            *steps = 0;
        }
        Ok(())
    }

    // ---- results and handlers ----

    fn run_events(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        while *steps > 0
            && let Some(event) = self.session.poll_event(now, self.starting.is_none())
        {
            *steps -= 1;
            match event {
                Event::Returned { waiter, outcome } => {
                    let returned = returned(&waiter, outcome);
                    self.wakers.extend(waiter.complete(returned));
                    if self.wakers.len() >= self.callers_woken_together() {
                        *steps = 0;
                    }
                }
                Event::Begin(begin) if begin.descriptor.attributes.batch.is_some() => {
                    let calls = self.begin_batch(begin);
                    *steps = steps.saturating_sub(calls - 1);
                }
                Event::Begin(begin) => {
                    self.begin(begin);
                    if self.stopwatch.is_turn_over()
                        && (self.stopwatch.is_turn_long() || self.session.calls_waiting() > CALLS_TOGETHER)
                    {
                        *steps = 0;
                    }
                }
                Event::Map(begin) => {
                    let calls = self.begin_map(*begin);
                    *steps = steps.saturating_sub(calls);
                }
                Event::Cancel(answer) => self.cancel(answer),
                Event::Stream(event) => self.stream_event(event, now),
                Event::PeerClosing { code, reason } => {
                    self.link.begin_draining(CloseReason::Peer { code, text: reason });
                }
            }
            // The peer works on the first results while the next are made.
            if self.session.outgoing_bytes() >= SLICE_BYTES {
                self.send(cx, now, steps)?;
            }
        }
        self.stopwatch.look();
        Ok(())
    }

    /// Callers that get their turn together: what they ask next leaves, and the peer works on it, while the rest of the
    /// results are handed out. With all of them at once the two sides would take turns.
    fn callers_woken_together(&self) -> usize {
        // Where calls wait for others to return, the peer has something to work on whatever callers ask next.
        if self.session.has_calls_waiting_for_room() {
            return TURN_STEPS;
        }
        (self.session.live_calls() / 6).clamp(24, 48)
    }

    // ---- to the peer ----

    /// Whether to let other tasks run before the queued calls are sealed. Where several calls are live, results of one
    /// message wake several callers, and what all of them ask next should leave in one message too.
    fn yields_before_sealing(&mut self) -> bool {
        let due = self.sealing == Sealing::Now && self.session.live_calls() > 1;
        self.yielded = due && !self.yielded;
        self.yielded
    }

    /// Sends what there is, as far as there is room. Bytes take steps; the last one ends the turn, and the rest leaves in
    /// the next. A turn that has none left still sends what it has made.
    fn send(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        let bytes_max = if *steps == 0 { usize::MAX } else { *steps * STEP_SENT_BYTES };
        let (mut blocked, mut sent) = (false, 0);
        loop {
            // What has become pointless until the socket has room is never sealed.
            if self.transport.poll_ready(cx)?.is_pending() {
                blocked = self.session.wants_to_send();
                break;
            }
            let Some(message) = self.session.poll_message(now, self.sealing == Sealing::Now) else { break };
            sent += message.len();
            self.transport.send(message)?;
            self.has_sent = true;
            self.unflushed = true;
            self.blocked_since = None;
            if sent >= bytes_max {
                break;
            }
        }
        *steps = steps.saturating_sub(sent / STEP_SENT_BYTES);
        if !self.session.has_queued_calls() {
            self.sealing = Sealing::Idle;
        }
        if self.unflushed {
            match self.transport.poll_flush(cx)? {
                Poll::Ready(()) => self.unflushed = false,
                Poll::Pending => blocked = true,
            }
        }
        if blocked {
            self.blocked_since.get_or_insert(now);
        } else {
            self.blocked_since = None;
        }
        Ok(())
    }

    // ---- time and the end ----

    /// Says once that both sides know each other.
    fn tell_opened(&mut self) {
        if self.opened.is_some()
            && self.session.is_open()
            && let Some(opened) = self.opened.take()
        {
            // Who does not listen does not want to know.
            let _ = opened.send(());
        }
    }

    fn check_end(&mut self, now: Time) -> Result<(), End> {
        if self.session.hello_overdue(now) && !self.session.close_overdue(now) {
            return Err(End::new(close_codes::HELLO_TIMEOUT, CloseReason::HelloTimeout));
        }
        if self.session.payload_stalled() {
            return Err(End::new(close_codes::POLICY, CloseReason::PayloadStalled));
        }
        if self.blocked_since.is_some_and(|since| since + self.limits.write_stall <= now) {
            return Err(End::new(close_codes::POLICY, CloseReason::Stalled));
        }
        let complete = !self.unflushed && self.session.close_complete();
        // A peer that reads slowly always leaves something unflushed.
        if complete || self.session.close_overdue(now) {
            let reason = self.link.draining_reason().unwrap_or(CloseReason::Local);
            let code = match (&reason, self.side) {
                (CloseReason::Local, Side::Server) => close_codes::GOING_AWAY,
                _ => close_codes::NORMAL,
            };
            return Err(End { code, text: String::new(), reason });
        }
        Ok(())
    }

    /// `Ready` when something of the session or the driver is due.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let held = match self.sealing {
            Sealing::Held { until } => Some(until),
            Sealing::Idle | Sealing::Now => None,
        };
        let stalled = self.blocked_since.map(|since| since + self.limits.write_stall);
        let Some(due) = [self.session.poll_timeout(), held, stalled].into_iter().flatten().min() else {
            self.timer = None;
            return Poll::Pending;
        };
        let wait = now.until(due).min(TIMER_MAX);
        match &mut self.timer {
            Some((set, _)) if *set == due => {}
            Some((set, sleep)) => {
                *set = due;
                sleep.as_mut().reset(tokio::time::Instant::now() + wait);
            }
            None => self.timer = Some((due, Box::pin(tokio::time::sleep(wait)))),
        }
        let Some((_, sleep)) = &mut self.timer else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Phase::Closing { end, grace } = &mut self.phase else { return Poll::Pending };
        if self.transport.poll_close(cx, end.code, &end.text).is_pending() {
            ready!(grace.as_mut().poll(cx));
        }
        Poll::Ready(end.reason.clone())
    }
}

impl<T> Driver<T> {
    /// The session is over: whoever waits learns why, handlers stop. Nobody is woken, and the session says of itself that it is
    /// over, before nothing is taken for it any more: neither calls nor items.
    fn end(&mut self, reason: &CloseReason) {
        self.wakers.extend(self.link.shut(reason));
        self.last_events(reason);
        for (cell, sent) in self.session.abandon_calls() {
            let delivery = if sent { Delivery::Unacknowledged } else { Delivery::NotSent };
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

    /// Hands out what came before the end and waited for its turn: results, and the last of streams.
    fn last_events(&mut self, reason: &CloseReason) {
        while let Some(event) = self.session.poll_last_event() {
            match event {
                Event::Returned { waiter, outcome } => {
                    let returned = returned(&waiter, outcome);
                    self.wakers.extend(waiter.complete(returned));
                }
                Event::Stream(StreamEvent::Opened { slot, .. }) => self.never_opened(&slot, reason),
                Event::Stream(event) => self.stream_event(event, time::now()),
                Event::Begin(_) | Event::Map(_) | Event::Cancel(_) | Event::PeerClosing { .. } => {}
            }
        }
    }
}

/// A driver dropped in mid-session, for example by a runtime that shuts down, leaves nobody waiting.
impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.end(&CloseReason::Aborted);
    }
}

fn on_one_thread() -> bool {
    tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

/// A call's outcome as its promise understands it.
fn returned(cell: &Arc<CallCell>, outcome: CallOutcome<Arc<CallCell>>) -> Returned {
    match outcome {
        CallOutcome::Done => {
            Returned::Refused(Refusal::Misuse { reason: "its value was not asked for".into() })
        }
        CallOutcome::Value(bytes) => Returned::Value(bytes),
        CallOutcome::Error(bytes) => Returned::Error(bytes),
        CallOutcome::Element(failure) => elements::element_returned(cell, &failure),
        CallOutcome::Upstream { origin, cause } => {
            let cause = match cause {
                UpstreamOutcome::Missed(path) => OriginCause::Missed(path),
                UpstreamOutcome::Failed(failed) => OriginCause::Failed(Box::new(returned(&origin, *failed))),
            };
            Returned::Upstream { origin, cause }
        }
        CallOutcome::Failed(failure) => failed(cell, failure),
    }
}

fn failed(cell: &CallCell, failure: Failure) -> Returned {
    let (service, method) = (cell.service, cell.method.name);
    Returned::Refused(match failure {
        Failure::DeadlineExceeded => return Returned::DeadlineExceeded,
        Failure::Cancelled => return Returned::Cancelled,
        Failure::Panicked => return Returned::Panicked,
        Failure::UnknownService => Refusal::UnknownService { service: service.into() },
        Failure::UnknownMethod => Refusal::UnknownMethod { service: service.into(), method: method.into() },
        Failure::SchemaMismatch { theirs } => Refusal::SchemaMismatch {
            method: format!("{service}.{method}"),
            ours: cell.method.layout_text(),
            theirs,
        },
        Failure::InvalidArgument { argument, reason } => Refusal::InvalidArgument { argument, reason },
        Failure::InvalidReference { argument, reason } => Refusal::InvalidReference { argument, reason },
        Failure::ResourceExhausted { limit, retry_after_ms } => Refusal::ResourceExhausted {
            limit,
            retry_after: (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms)),
        },
        Failure::Unavailable => Refusal::Unavailable,
        Failure::Unauthenticated => Refusal::Unauthenticated,
        Failure::PermissionDenied => Refusal::PermissionDenied,
        Failure::Unreachable { reason } => Refusal::Unreachable { reason },
        Failure::NotCallable { reason } => {
            Refusal::NotCallable { method: format!("{service}.{method}"), reason }
        }
    })
}
