//! New sockets for a session: who may bring one, and how often.
//!
//! A session without a socket waits for one. A client's session is given sockets by whoever dials for it. A server's session is
//! given those whose clients name it in their hello; they have to prove that the session is theirs, before anything changes.

use std::{future::poll_fn, sync::Arc, time::Duration};

use hmac_sha256::Hash;
use subtle::ConstantTimeEq;

use super::{Driver, Running, SessionConfig, attached::Attached, end::End};
use crate::{
    caller::session_handle::SessionHandle,
    close_codes,
    error::CloseReason,
    link::{Attach, AttachRequest, Attachment, Link, Submission},
    session::{Identity, Side},
    time::{self, Time},
    transport::Transport,
};

/// The new sockets that a session may get at once.
const ATTACHES_AT_ONCE: u32 = 10;

/// How long a session lives without a socket, and how often it may get a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeConfig {
    /// The time that a session is kept without a socket. Then it ends with [`CloseReason::Expired`]. Default 120 s.
    pub window: Duration,
    /// The new sockets that a session may get in a minute, in the long run; ten may come at once. Default 10. Further ones are
    /// refused with [`close_codes::TOO_OFTEN`], so that two that have the same secret do not take the session from each other
    /// without end.
    pub attaches_per_minute: u32,
}

impl Default for ResumeConfig {
    fn default() -> Self {
        Self { window: Duration::from_secs(120), attaches_per_minute: ATTACHES_AT_ONCE }
    }
}

/// The calls that may wait in a session without a socket. A further call fails at once, as not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingCalls {
    /// How many. Default 10,000.
    pub calls_max: usize,
    /// The bytes of their arguments. Default 16 MiB.
    pub bytes_max: usize,
    /// For how long, counted from when the socket ended. Default 30 s. Then those that wait fail, and further ones fail at once until
    /// there is a socket again.
    pub time: Duration,
}

impl Default for WaitingCalls {
    fn default() -> Self {
        Self { calls_max: 10_000, bytes_max: 16 << 20, time: Duration::from_secs(30) }
    }
}

impl WaitingCalls {
    /// No call waits.
    pub fn none() -> Self {
        Self { calls_max: 0, bytes_max: 0, time: Duration::ZERO }
    }
}

/// The sockets of one session, for whoever brings them. It does not keep the session open.
#[derive(Clone)]
pub struct Attachments {
    pub(super) link: Arc<Link>,
    /// The changes that were seen.
    seen: u64,
}

impl SessionHandle {
    /// The session's sockets, for a session that was started with [`ResumeConfig`] on the side that connects.
    pub fn attachments(&self) -> Attachments {
        Attachments { link: Arc::clone(&self.handle.link), seen: 0 }
    }

    /// The last round trip that was measured, by the handshake of a socket or by a heartbeat. `None` if there was none, which is so
    /// on the side that accepts until it has had to ask whether the peer is there.
    pub fn round_trip(&self) -> Option<Duration> {
        self.handle.link.round_trip()
    }
}

impl Attachments {
    /// Waits until the session has another socket, or none any more. The first time, it tells at once what was last so. `None` when
    /// the session is over.
    ///
    /// # Cancel safety
    /// Cancel safe: a change that was not returned is returned by the next call.
    pub async fn changed(&mut self) -> Option<Attachment> {
        let Self { link, seen } = self;
        poll_fn(|cx| link.poll_attachment(cx, seen)).await
    }

    /// Waits until the session is over.
    ///
    /// # Cancel safety
    /// Cancel safe: holds nothing.
    pub async fn over(&self) -> CloseReason {
        poll_fn(|cx| self.link.poll_closed(cx)).await
    }

    /// Has the session go on with this socket.
    pub fn attach(&self, transport: impl Into<Box<dyn Transport>>) {
        let attach = Attach { transport: transport.into(), guard: None, expires: None, request: None };
        self.link.submit(Submission::Attach(Box::new(attach)));
    }

    /// Ends the session, with [`CloseReason::Expired`], and waits until it is over: its client has begun another one.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the session from ending.
    pub async fn supersede(&self) {
        self.end(close_codes::TAKEN_OVER, CloseReason::Expired { cause: None });
        self.over().await;
    }

    /// Ends the session at once, with this close code and reason, whether it has a socket or not. Its calls fail.
    pub fn end(&self, code: u16, reason: CloseReason) {
        self.link.submit(Submission::End(code, reason));
    }

    /// Ends the session if it has no socket: it will get none. Has no effect on one that has just got a socket.
    pub fn give_up(&self, reason: CloseReason) {
        self.link.submit(Submission::GiveUp(reason));
    }
}

impl std::fmt::Debug for Attachments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachments").finish_non_exhaustive()
    }
}

/// Makes the session that takes the place of one that is over, or that takes no new calls because its peer is closing. Called once,
/// inside the task of the session; `None` if there is to be none.
pub struct Succession(pub Box<dyn FnOnce(Predecessor) -> Option<Attachments> + Send>);

impl std::fmt::Debug for Succession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Succession").finish_non_exhaustive()
    }
}

/// A session that another one takes the place of.
pub struct Predecessor {
    pub(super) link: Arc<Link>,
    pub(super) reason: CloseReason,
}

impl Predecessor {
    /// Why it ends, or takes no new calls.
    pub fn reason(&self) -> &CloseReason {
        &self.reason
    }

    /// A session that takes its place: handles and clients of the services of the one lead to the other from then on. Calls that were
    /// not sent are made in it, and idempotent ones that did not return once more. It has no socket yet.
    pub fn succeed(self, config: SessionConfig) -> (Attachments, Running) {
        let (link, driver) = Driver::new(None, Side::Client, config, Some(self));
        (Attachments { link, seen: 0 }, Running(driver))
    }
}

impl std::fmt::Debug for Predecessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predecessor").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// A session without a socket.
pub(super) struct Detached {
    /// When calls that wait for a socket fail.
    pub(super) calls_until: Time,
    /// When the session ends if there is no socket by then; `None` for one that never had a socket.
    pub(super) until: Option<Time>,
    /// Whether it was published that a call waits for the first socket.
    pub(super) is_wanted: bool,
    pub(super) cause: Option<CloseReason>,
}

impl Detached {
    /// When time alone next changes something.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        // Behind `calls_until`, calls fail in the turn that takes them; behind `until`, a socket is still being greeted.
        [Some(self.calls_until), self.until].into_iter().flatten().filter(|due| *due > now).min()
    }
}

/// A new random identity; `None` if the operating system has no random numbers.
pub(super) fn draw_identity() -> Option<Identity> {
    let mut session = [0; 16];
    getrandom::fill(&mut session).ok()?;
    Some(Identity { session, secret: draw_secret()? })
}

fn draw_secret() -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).ok()?;
    Some(secret)
}

/// What a server knows of the secret of a session: hashes, so that whoever reads its memory cannot take sessions over.
pub(super) struct Proof {
    current: [u8; 32],
    /// The secret before the last attach. It counts until the client shows that it knows of the attach.
    previous: Option<[u8; 32]>,
}

impl Proof {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { current: Hash::hash(secret), previous: None }
    }

    /// Whether the secret is this session's.
    fn is_of(&self, secret: &[u8; 32]) -> bool {
        let shown = Hash::hash(secret);
        let is_previous = self.previous.map_or(0.into(), |previous| shown.ct_eq(&previous));
        (shown.ct_eq(&self.current) | is_previous).into()
    }

    /// Puts the next secret in the place of the one that was shown, which still counts.
    fn rotate(&mut self, shown: &[u8; 32], next: &[u8; 32]) {
        *self = Self { current: Hash::hash(next), previous: Some(Hash::hash(shown)) };
    }

    /// Forgets the secret before the last attach: the client has answered on the new socket.
    pub(super) fn confirm(&mut self) {
        self.previous = None;
    }
}

/// Counts the new sockets of a session.
pub(super) struct AttachRate {
    per_minute: u32,
    left: f64,
    since: Time,
}

impl AttachRate {
    pub(super) fn new(now: Time, per_minute: u32) -> Self {
        Self { per_minute, left: f64::from(ATTACHES_AT_ONCE), since: now }
    }

    fn admit(&mut self, now: Time) -> bool {
        let earned = self.since.until(now).as_secs_f64() / 60.0 * f64::from(self.per_minute);
        self.left = (self.left + earned).min(f64::from(ATTACHES_AT_ONCE));
        self.since = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

impl Driver {
    /// Whether the session goes on without the socket that ended so.
    pub(super) fn survives(&self, end: &End) -> bool {
        let session = &self.conversation.session;
        // A peer that closes the socket behind both goodbyes is done with the session.
        let is_over = session.has_parted() && matches!(end.reason, CloseReason::Peer { .. });
        end.is_of_socket() && !is_over && self.resume.is_some() && session.is_resumable()
    }

    /// Goes on without a socket.
    pub(super) fn detach(&mut self, end: End) {
        let now = time::now();
        tracing::debug!(reason = %end.reason, "the session is detached: its socket has ended");
        // The socket may have ended in the turn that read its hello.
        self.learn_secret();
        self.conversation.session.detach(now);
        // The peer of a socket that its token ends reads why. Nobody reads on one that ended otherwise.
        if let (Some(socket), CloseReason::TokenExpired) = (self.socket.take(), &end.reason) {
            socket.close_aside(End::new(end.code, end.reason.clone()));
        }
        self.is_told_attached = false;
        let window = self.resume.as_ref().map_or(Duration::ZERO, |resume| resume.window);
        let calls_until = now + self.waiting.time;
        let cause = Some(end.reason.clone());
        let detached = Detached { calls_until, until: Some(now + window), is_wanted: false, cause };
        self.detached = Some(Box::new(detached));
        let waiting = self.conversation.link.set_attachment(Attachment::Detached(Some(end.reason)));
        self.conversation.wakers.extend(waiting);
    }

    /// Gives back the memory that a session without a socket and without work does not need: it may wait for minutes.
    pub(super) fn rest(&mut self) {
        if self.submissions.is_empty() {
            self.submissions = Vec::new();
        }
        if self.conversation.wakers.is_empty() {
            self.conversation.wakers = Vec::new();
        }
        self.conversation.running.shrink_to_fit();
        self.conversation.session.rest();
        self.conversation.link.rest();
    }

    /// Fails calls that wait for a socket, as far as more wait than may.
    pub(super) fn bound_waiting_calls(&mut self, now: Time) {
        let Some(detached) = &mut self.detached else { return };
        let is_late = detached.calls_until <= now && (detached.until.is_some() || detached.is_wanted);
        let bounds = match is_late {
            true => (0, 0),
            false => (self.waiting.calls_max, self.waiting.bytes_max),
        };
        let reason = detached.cause.clone().unwrap_or(CloseReason::Expired { cause: None });
        self.conversation.session.refuse_waiting(bounds, &reason);
        if detached.until.is_none() && !detached.is_wanted && self.conversation.session.has_queued_calls() {
            detached.is_wanted = true;
            // The time that calls wait for begins with the first.
            detached.calls_until = now + self.waiting.time;
            let waiting = self.conversation.link.set_attachment(Attachment::Wanted);
            self.conversation.wakers.extend(waiting);
        }
    }

    /// Takes the sockets that were brought since the last turn.
    pub(super) fn take_sockets(&mut self, now: Time) -> Result<(), End> {
        for attach in std::mem::take(&mut self.conversation.attaching) {
            let Attach { transport, guard, expires, request } = attach;
            let first = request.as_ref().map(|request| request.rest.clone()).filter(|rest| !rest.is_empty());
            let mut socket = Box::new(Attached::new(transport, first, &self.conversation.limits));
            socket.hold(guard);
            socket.expire(expires);
            match request {
                None => self.attach_to_server(now, socket),
                Some(request) => self.attach_to_client(now, socket, &request)?,
            }
        }
        Ok(())
    }

    fn attach_to_server(&mut self, now: Time, socket: Box<Attached>) {
        let Some(next_secret) = draw_secret() else {
            // Whoever brings sockets tries again.
            let waiting = self.conversation.link.set_attachment(Attachment::Detached(None));
            return self.conversation.wakers.extend(waiting);
        };
        let session = &mut self.conversation.session;
        if !session.is_detached() {
            session.detach(now);
        }
        session.greet_again(now, next_secret);
        self.socket = Some(socket);
    }

    /// Goes on, on a client's socket, if the client proves that the session is its own. Then another socket that still seems to be
    /// alive gives way. An error ends the session.
    fn attach_to_client(
        &mut self,
        now: Time,
        socket: Box<Attached>,
        request: &AttachRequest,
    ) -> Result<(), End> {
        let refuse = |code, text: &str| End { code, text: text.to_owned(), reason: CloseReason::Local };
        // Of anonymous peers, the secret alone is the proof.
        let is_same = self.conversation.scope.peer.principal == request.principal;
        let proof = self.proof.as_mut().filter(|_| self.conversation.session.is_resumable() && is_same);
        // One answer for all: it does not tell which part was right.
        let Some(proof) = proof.filter(|proof| proof.is_of(&request.secret)) else {
            socket.close_aside(refuse(close_codes::UNKNOWN_SESSION, "the session is not known"));
            return Ok(());
        };
        let text = "the session goes on, on another socket";
        // The hello was late: its client has left that socket, and dialled another one that is here already.
        if request.number < self.newest {
            socket.close_aside(refuse(close_codes::TAKEN_OVER, text));
            return Ok(());
        }
        if !self.attach_rate.as_mut().is_none_or(|rate| rate.admit(now)) {
            socket.close_aside(refuse(close_codes::TOO_OFTEN, "the session got a new socket too often"));
            return Ok(());
        }
        proof.rotate(&request.secret, &request.next_secret);
        self.newest = request.number;
        if let Some(before) = self.socket.take() {
            before.close_aside(refuse(close_codes::TAKEN_OVER, text));
        }
        let session = &mut self.conversation.session;
        session.detach(now);
        self.socket = Some(socket);
        session.welcome_back(now, &request.resume)?;
        self.detached = None;
        Ok(())
    }

    /// Keeps a hash of the secret that the client's first hello has told, and forgets the secret.
    fn learn_secret(&mut self) {
        if self.conversation.side == Side::Server && self.proof.is_none() {
            let secret = self.conversation.session.take_secret();
            self.proof = secret.map(|secret| Proof::new(&secret));
        }
    }

    /// Publishes that the session has a socket again, once the handshake is done on it.
    pub(super) fn tell_attached(&mut self) {
        let session = &mut self.conversation.session;
        if let Some(proof) = self.proof.as_mut().filter(|proof| proof.previous.is_some())
            && session.is_acknowledged_here()
        {
            proof.confirm();
        }
        if self.is_told_attached || self.socket.is_none() || !session.is_open() {
            return;
        }
        self.learn_secret();
        self.is_told_attached = true;
        self.conversation.link.set_round_trip(self.conversation.session.round_trip());
        self.detached = None;
        let waiting = self.conversation.link.set_attachment(Attachment::Attached);
        waiting.into_iter().for_each(std::task::Waker::wake);
    }
}

#[cfg(test)]
mod tests;
