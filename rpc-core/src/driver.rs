//! The driver: the task that moves bytes, time and results between one session and its socket, clock, callers and handlers.
//!
//! Each session has one task. A turn takes the submissions of callers, reads the peer's messages, starts handlers, hands
//! out results and writes messages, so that everything one turn produces leaves together. The task yields after a budget of
//! its own, because handlers that finish at once run inside it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::channel::oneshot;
use tokio::{runtime::RuntimeFlavor, task::JoinHandle, time::Sleep};

use self::{
    attached::Attached,
    attaching::{AttachRate, Detached, Proof},
    conversation::{Conversation, TURN_STEPS},
    end::End,
};
use crate::{
    caller::{passing::LinkHome, session_handle::SessionHandle},
    close_codes,
    driver::end::{CLOSE_GRACE, CLOSE_GRACE_MIN, CLOSE_GRACE_UNGREETED},
    error::CloseReason,
    handler::{
        context::{Peer, SessionScope},
        dispatch::Services,
    },
    limits::{Limits, LimitsError},
    link::{Handle, Link, SocketNumber, Submission, ambient::inside},
    memory_budget::MemoryBudget,
    session::{Identity, Session, events::Event},
    time::{self, Time},
    transport::Transport,
};

pub use self::{
    attaching::{Attachments, Predecessor, ResumeConfig, Succession, WaitingCalls},
    greeting::{Greeted, SessionId, greet},
    recalling::{LastResults, Recall, Recalls},
};
pub use crate::link::Attachment;
pub use crate::session::Side;

mod attached;
mod attaching;
mod busy_poll;
mod conversation;
pub(crate) mod end;
mod greeting;
mod handlers;
mod maps;
mod recalling;
mod stopwatch;
mod streams;

/// How long calls that nobody awaits are held back for others to join their message.
const SEAL_GRACE: Duration = Duration::from_millis(1);
/// The bytes read or sent that count as one of the [`TURN_STEPS`]. Long messages must not make turns long: other sessions, and
/// calls made meanwhile, wait for a turn's end.
const STEP_READ_BYTES: usize = 1 << 10;
const STEP_SENT_BYTES: usize = 2 << 10;
/// The number of waiting calls that do not end a turn whose time is over, unless it is a long one: they are answered in one
/// message.
const CALLS_TOGETHER: usize = 16;
/// The bytes that are read ahead while calls wait to start.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// The bytes of waiting results that are sent while more results are still being made.
const SLICE_BYTES: usize = 1 << 10;
/// The longest time the timer is set for; then it is set again. The longest deadline is beyond what some clocks can add.
const TIMER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A future for [`spawn`].
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Spawns a task. The future is boxed, because tokio has code for each type of future, twice: once for each scheduler.
pub(crate) fn spawn(task: Task) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// The configuration of a session that is started with [`start`].
#[derive(Debug, Default)]
pub struct SessionConfig {
    /// The services this side offers the peer. Default: none.
    pub services: Services,
    /// The address and identity of the peer. Default: anonymous.
    pub peer: Peer,
    /// The limits of the session.
    pub limits: Limits,
    /// The memory budget that the session shares with others. By default only its own limits bound it.
    pub memory: MemoryBudget,
    /// How the session goes on when its socket ends, if both sides have this. Default: it ends with its socket.
    pub resume: Option<ResumeConfig>,
    /// The calls that may wait while the session has no socket.
    pub waiting: WaitingCalls,
    /// On a server, its memory of sessions that are over. Default: none.
    pub recalls: Option<Recalls>,
    /// What takes the session's place when it is over. Default: nothing.
    pub succession: Option<Succession>,
    /// Notified once the peer's hello (on a server) or welcome (on a client) was accepted. Dropped if the session ends before.
    pub opened: Option<oneshot::Sender<()>>,
}

/// Starts a session on a transport. Nothing moves until the returned future is polled; it completes when the session
/// is over. Dropping it ends the session: calls in flight fail as disconnected, handlers are dropped. If [`Limits::check`]
/// refuses the limits, the session ends when the future is first polled, with [`CloseReason::Limits`].
///
/// # Panics
/// When the future is polled outside a tokio runtime with time enabled.
pub fn start(
    transport: impl Into<Box<dyn Transport>>,
    side: Side,
    config: SessionConfig,
) -> (SessionHandle, Running) {
    let (link, driver) = Driver::new(Some((transport.into(), None)), side, config, None);
    (handle(link, side), Running(driver))
}

/// Starts a client's session that has no socket yet: its calls wait until [`Attachments::attach`] brings one.
pub fn start_detached(config: SessionConfig) -> (SessionHandle, Running) {
    let (link, driver) = Driver::new(None, Side::Client, config, None);
    (handle(link, Side::Client), Running(driver))
}

/// A session that runs while this future is polled. Completes with the reason when it is over; dropping it ends the session.
#[must_use = "a session does nothing unless its future is polled"]
pub struct Running(Driver);

impl Future for Running {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        Pin::new(&mut self.get_mut().0).poll(cx)
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// The user's handle of a session.
fn handle(link: Arc<Link>, side: Side) -> SessionHandle {
    SessionHandle { handle: Arc::new(Handle { link, closes_on_drop: side == Side::Client }) }
}

/// Limits in one copy for any number of sessions.
#[derive(Debug, Clone)]
pub struct SharedLimits {
    limits: Arc<Limits>,
    checked: Result<(), LimitsError>,
}

impl From<Limits> for SharedLimits {
    fn from(limits: Limits) -> Self {
        let checked = limits.check();
        Self { limits: Arc::new(limits.within_reach()), checked }
    }
}

impl Driver {
    fn new(
        transport: Option<(Box<dyn Transport>, Option<Bytes>)>,
        side: Side,
        mut config: SessionConfig,
        before: Option<Predecessor>,
    ) -> (Arc<Link>, Self) {
        let limits = SharedLimits::from(std::mem::take(&mut config.limits));
        Self::sharing(&limits, transport, side, config, before)
    }

    /// A driver with these limits, whatever those of `config` are.
    fn sharing(
        limits: &SharedLimits,
        transport: Option<(Box<dyn Transport>, Option<Bytes>)>,
        side: Side,
        config: SessionConfig,
        before: Option<Predecessor>,
    ) -> (Arc<Link>, Self) {
        let SessionConfig { services, peer, memory, resume, waiting, recalls, succession, opened, .. } =
            config;
        let phase = match limits.checked {
            Ok(()) => Phase::Running,
            Err(error) => Phase::Refused(Box::new(error)),
        };
        let limits = Arc::clone(&limits.limits);
        let link = Arc::new(match &before {
            Some(before) => before.link.succeeding(Arc::clone(&limits)),
            None => Link::new(Arc::clone(&limits)),
        });
        // A server agrees to the identity that its client draws.
        let identity = resume.as_ref().and_then(|_| match side {
            Side::Client => attaching::draw_identity(),
            Side::Server => Some(Identity::default()),
        });
        let now = time::now();
        let mut session = Session::new(
            now,
            side,
            Arc::clone(&limits),
            services.descriptors().collect(),
            identity,
            Arc::new(LinkHome(Arc::clone(&link))),
            memory,
        );
        if succession.is_some() {
            session.send_again();
        }
        if let Some(before) = before {
            session.succeeds(before.reason);
        }
        let mut detached = None;
        if transport.is_none() {
            session.detach(now);
            detached = Some(Box::new(Detached {
                calls_until: now + waiting.time,
                until: None,
                is_wanted: false,
                cause: None,
            }));
        }
        let services = Arc::new(services);
        // The session holds this handle: it must not keep itself open.
        let own =
            SessionHandle { handle: Arc::new(Handle { link: Arc::clone(&link), closes_on_drop: false }) };
        let scope = Arc::new(SessionScope::new(peer, own, Arc::downgrade(&services)));
        let mut conversation =
            Conversation::new(Arc::clone(&link), session, side, scope, services, Arc::clone(&limits), opened);
        conversation.succession = succession;
        conversation.recalls = recalls;
        let attach_rate = resume.as_ref().map(|resume| AttachRate::new(now, resume.attaches_per_minute));
        let driver = Self {
            socket: transport.map(|(transport, first)| Box::new(Attached::new(transport, first, &limits))),
            conversation,
            resume,
            waiting,
            proof: None,
            attach_rate,
            newest: SocketNumber::default(),
            detached,
            is_told_attached: false,
            submissions: Vec::new(),
            sealing: Sealing::Idle,
            yielded: false,
            timer: None,
            phase,
        };
        (link, driver)
    }
}

/// The task of one session.
struct Driver {
    conversation: Conversation,
    /// `None` while the session is detached.
    socket: Option<Box<Attached>>,
    /// `None` if the session ends with its socket.
    resume: Option<ResumeConfig>,
    waiting: WaitingCalls,
    /// On a server, what proves that the session is a client's own.
    proof: Option<Proof>,
    attach_rate: Option<AttachRate>,
    /// On a server, the newest socket that the session has had.
    newest: SocketNumber,
    detached: Option<Box<Detached>>,
    /// Whether it was published that the session has its current socket.
    is_told_attached: bool,
    submissions: Vec<Submission>,
    sealing: Sealing,
    /// Whether other tasks have had their turn since calls became due.
    yielded: bool,
    timer: Option<Timer>,
    phase: Phase,
}

/// Whether the queued calls may be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealing {
    /// No calls are queued.
    Idle,
    /// Nobody awaits the queued calls yet; more may join until then.
    Held { until: Time },
    /// The queued calls leave with the next message.
    Now,
}

enum Phase {
    /// The limits are invalid: the session is not started.
    Refused(Box<LimitsError>),
    Running,
    /// The session is over; the socket is being closed, for at most `grace`.
    Closing {
        end: Box<End>,
        grace: Pin<Box<Sleep>>,
    },
}

impl Future for Driver {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let driver = self.get_mut();
        // Handlers are first polled inside the turn.
        let session = Arc::as_ptr(&driver.conversation.link);
        let ended = match driver.phase {
            Phase::Refused(ref error) => Err(End::new(close_codes::INTERNAL, CloseReason::Limits(**error))),
            Phase::Running => loop {
                match ready!(inside(session, || driver.turn(cx))) {
                    Err(end) if driver.survives(&end) => driver.detach(end),
                    ended => break ended,
                }
            },
            Phase::Closing { .. } => Ok(()),
        };
        if let Err(end) = ended {
            // From here on only the close frame matters; callers and handles learn of the end at once.
            driver.conversation.end(&end.reason);
            let due = driver.conversation.session.close_due();
            let grace_max = match end.reason {
                CloseReason::HelloTimeout => CLOSE_GRACE_UNGREETED,
                _ => CLOSE_GRACE,
            };
            let grace = due.map_or(grace_max, |due| time::now().until(due).clamp(CLOSE_GRACE_MIN, grace_max));
            driver.phase = Phase::Closing { end: Box::new(end), grace: Box::pin(tokio::time::sleep(grace)) };
        }
        driver.poll_close(cx)
    }
}

impl Driver {
    /// Runs one turn of a running session; `Ready` only when the session ends.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut steps = TURN_STEPS;
        self.conversation.stopwatch.start_turn();
        loop {
            let now = time::now();
            self.take_submissions(cx, now);
            if !self.conversation.attaching.is_empty() {
                self.take_sockets(now)?;
            }
            // A socket that came meanwhile counts for more.
            if let Some(reason) = self.conversation.given_up.take().filter(|_| self.socket.is_none()) {
                return Poll::Ready(Err(End::new(close_codes::NORMAL, *reason)));
            }
            if let Some(ending) = self.conversation.ending.take() {
                let (code, reason) = *ending;
                return Poll::Ready(Err(End::new(code, reason)));
            }
            if self.detached.is_some() {
                self.bound_waiting_calls(now);
            }
            let received = self
                .read_ahead(cx, now)
                .and_then(|()| self.run_events(cx, now, &mut steps))
                .and_then(|()| self.receive(cx, now, &mut steps));
            if received.is_ok() && steps > 0 && self.yields_before_sealing() {
                self.conversation.wakers.drain(..).for_each(Waker::wake);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.send(cx, now, &mut steps)?;
            self.conversation.tell_backlog();
            let buffers = self.socket.as_mut().map_or(0, |socket| socket.buffer_bytes());
            self.conversation.session.settle_rest(buffers);
            let woken = self.conversation.wakers.len();
            self.conversation.wakers.drain(..).for_each(Waker::wake);
            received?;
            self.conversation.tell_opened();
            self.tell_attached();
            self.check_end(now)?;
            // Sending opened streams or made room in them, or refused calls that could not be sent.
            if steps > 0 && self.conversation.session.has_events_of_sending() {
                continue;
            }
            // Several woken callers make more calls; the next turn runs behind all of them and sends those calls together.
            if steps == 0 || woken > 1 {
                self.yielded |= woken > 0;
                // Deadlines expire also in a session that never gets to its timer.
                self.expire(now);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.poll_timer(cx, now).is_pending() {
                if self.detached.is_some() {
                    self.rest();
                }
                self.await_peer(cx);
                return Poll::Pending;
            }
            self.expire(time::now());
        }
    }

    fn await_peer(&mut self, cx: &mut Context<'_>) {
        // Only calls are worth staying awake for. Items of streams flow on whenever this side wakes, and a side that sends
        // many needs the cores for other things.
        let has_calls = self.conversation.session.live_calls() > 0 || self.conversation.has_begun;
        if self.socket.as_mut().is_some_and(|socket| socket.await_peer(cx, has_calls)) {
            self.conversation.has_begun = false;
        }
    }

    fn expire(&mut self, now: Time) {
        if self.conversation.session.poll_timeout().is_some_and(|due| due <= now) {
            self.conversation.session.handle_timeout(now);
            self.conversation.link.set_round_trip(self.conversation.session.round_trip());
        }
        if matches!(self.sealing, Sealing::Held { until } if until <= now) {
            self.sealing = Sealing::Now;
        }
    }

    // ---- from this side ----

    fn take_submissions(&mut self, cx: &mut Context<'_>, now: Time) {
        let mut submissions = std::mem::take(&mut self.submissions);
        let flush = self.conversation.link.drain(cx, &mut submissions);
        for submission in submissions.drain(..) {
            self.conversation.take(submission, now);
        }
        self.submissions = submissions;
        if self.conversation.is_left && self.conversation.session.streams_sent() == 0 {
            self.conversation.is_left = false;
            self.conversation.close(now);
        }
        self.sealing = match self.sealing {
            _ if !self.conversation.session.has_queued_calls() => Sealing::Idle,
            _ if flush => Sealing::Now,
            // On a runtime of one thread this task runs only after the caller has stopped making calls.
            Sealing::Idle if on_one_thread() => Sealing::Now,
            Sealing::Idle => Sealing::Held { until: now + SEAL_GRACE },
            other => other,
        };
    }

    // ---- from the peer ----

    fn receive(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        while *steps > 0 {
            if self.conversation.session.is_reading() {
                self.conversation.session.read_on(now)?;
                self.after_message(cx, now, steps)?;
                continue;
            }
            let Poll::Ready(message) = self.poll_message(cx)? else { break };
            *steps = steps.saturating_sub(1 + message.len() / STEP_READ_BYTES);
            self.conversation.session.handle_message(now, message)?;
            self.after_message(cx, now, steps)?;
        }
        Ok(())
    }

    /// Reads on before more handlers start, if handlers took all the time of the last turn. So each call's time counts from
    /// when it arrived, and a cancel is read before the call that it cancels starts.
    fn read_ahead(&mut self, cx: &mut Context<'_>, now: Time) -> Result<(), End> {
        if !self.conversation.stopwatch.was_last_turn_over() {
            return Ok(());
        }
        let mut read = 0;
        while read < READ_AHEAD_BYTES
            && self.socket.as_ref().is_some_and(|socket| !socket.is_over())
            && !self.conversation.session.is_reading()
        {
            match self.poll_message(cx) {
                Poll::Ready(Ok(message)) => {
                    read += message.len();
                    self.conversation.session.handle_message(now, message)?;
                }
                // Calls that arrived before the end start before it.
                Poll::Ready(Err(end)) => {
                    if let Some(socket) = &mut self.socket {
                        socket.put_back(end);
                    }
                }
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        let Some(socket) = &mut self.socket else { return Poll::Pending };
        let link = &self.conversation.link;
        socket.poll_message(cx, || link.draining_reason())
    }

    fn after_message(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        self.run_events(cx, now, steps)?;
        // The rest of an expensive message waits for the next turn.
        if self.conversation.session.is_reading() || self.conversation.stopwatch.is_turn_over() {
            *steps = 0;
        }
        Ok(())
    }

    // ---- results and handlers ----

    fn run_events(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        while *steps > 0
            && let Some(event) =
                self.conversation.session.poll_event(now, self.conversation.starting.is_none())
        {
            *steps -= 1;
            match event {
                Event::Returned { waiter, returned } => {
                    self.conversation.wakers.extend(waiter.complete(returned));
                    if self.conversation.wakers.len() >= self.conversation.callers_woken_together() {
                        *steps = 0;
                    }
                }
                Event::Again { call, refused } => self.conversation.call_again(call, refused),
                Event::Begin(begin) if begin.descriptor.attributes.batch.is_some() => {
                    let calls = self.conversation.begin_batch(begin);
                    *steps = steps.saturating_sub(calls - 1);
                }
                Event::Begin(begin) => {
                    self.conversation.begin(begin);
                    if self.conversation.stopwatch.is_turn_over()
                        && (self.conversation.stopwatch.is_turn_long()
                            || self.conversation.session.calls_waiting() > CALLS_TOGETHER)
                    {
                        *steps = 0;
                    }
                }
                Event::Map(begin) => {
                    let calls = self.conversation.begin_map(*begin);
                    *steps = steps.saturating_sub(calls);
                }
                Event::Cancel(answer) => self.conversation.cancel(answer),
                Event::Stream(event) => self.conversation.stream_event(event, now),
                Event::PeerClosing { code, reason } => {
                    let reason = CloseReason::Peer { code, text: reason };
                    self.conversation.scope.closing.set();
                    self.conversation.hand_on(&reason, false);
                    self.conversation.link.begin_draining(reason);
                }
            }
            // The peer can use the first results while the next are being made.
            if self.conversation.session.outgoing_bytes() >= SLICE_BYTES {
                self.send(cx, now, steps)?;
            }
        }
        self.conversation.stopwatch.look();
        Ok(())
    }

    // ---- to the peer ----

    /// Whether to let other tasks run before the queued calls are sealed. Where several calls are live, results of one
    /// message wake several callers, and the next calls of all of them should leave in one message too.
    fn yields_before_sealing(&mut self) -> bool {
        let due = self.sealing == Sealing::Now && self.conversation.session.live_calls() > 1;
        self.yielded = due && !self.yielded;
        self.yielded
    }

    /// Sends messages as long as the socket has room. Bytes take steps: when none are left, the turn ends and the rest leaves
    /// in the next. A turn that has no steps left at the start sends everything.
    fn send(&mut self, cx: &mut Context<'_>, now: Time, steps: &mut usize) -> Result<(), End> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let session = &mut self.conversation.session;
        let bytes_max = if *steps == 0 { usize::MAX } else { *steps * STEP_SENT_BYTES };
        let (mut blocked, mut sent) = (false, 0);
        while session.may_have_message(now) {
            // Calls are not sealed before the socket has room: those that become unwanted meanwhile are never sent.
            if !socket.poll_ready(cx)? {
                blocked = session.wants_to_send();
                break;
            }
            let Some(message) = session.poll_message(now, self.sealing == Sealing::Now) else { break };
            sent += message.len();
            socket.send(message)?;
            if sent >= bytes_max {
                break;
            }
        }
        *steps = steps.saturating_sub(sent / STEP_SENT_BYTES);
        if !session.has_queued_calls() {
            self.sealing = Sealing::Idle;
        }
        socket.flush(cx, now, blocked)
    }

    /// `Ready` when a timeout of the session or the driver is due.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let held = match self.sealing {
            Sealing::Held { until } => Some(until),
            Sealing::Idle | Sealing::Now => None,
        };
        let stalled = self.socket.as_ref().and_then(|socket| socket.due());
        let detached = self.detached.as_ref().and_then(|detached| detached.due(now));
        let Some(due) =
            [self.conversation.session.poll_timeout(), held, stalled, detached].into_iter().flatten().min()
        else {
            self.timer = None;
            return Poll::Pending;
        };
        let wait = now.until(due).min(TIMER_MAX);
        match &mut self.timer {
            // A timer that fires early is set anew then. Most timeouts move on with each message, and setting costs more.
            Some(timer) if timer.at <= due => {
                if timer.at > now && timer.waker.will_wake(cx.waker()) {
                    return Poll::Pending;
                }
            }
            Some(timer) => {
                timer.at = now + wait;
                timer.sleep.as_mut().reset(tokio::time::Instant::now() + wait);
            }
            None => {
                let (at, sleep) = (now + wait, Box::pin(tokio::time::sleep(wait)));
                self.timer = Some(Timer { at, sleep, waker: cx.waker().clone() });
            }
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if !timer.waker.will_wake(cx.waker()) {
            timer.waker.clone_from(cx.waker());
        }
        ready!(timer.sleep.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
    }
}

/// The driver's timer.
struct Timer {
    at: Time,
    sleep: Pin<Box<Sleep>>,
    /// The waker that the sleep has.
    waker: Waker,
}

fn on_one_thread() -> bool {
    tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

#[cfg(test)]
mod tests;
