//! New sockets for a client's sessions: when to dial, how often, and what the application sees of it.
//!
//! Each session of a client has a task that brings it sockets. When a session is lost, the next one takes its place at once and waits
//! for its first socket; so the client's calls always have a session to go to.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, Stream};
use rpc_core::{
    CloseReason, Limits, Retry, Services, close_codes,
    driver::{Attachment, Attachments, Predecessor, ResumeConfig, SessionConfig, Succession, WaitingCalls},
    transport::Transport,
};
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};

use crate::dial::{ConnectError, Dialer};

/// How a client gets a new socket when its own ends, and what its calls do meanwhile.
///
/// The first attempt is made at once, unless the last ten sockets in a row were open for less than a second. Before each further one the client waits for a random time of up to `delay`, which doubles
/// with each attempt up to `delay_max`; so clients that lost one server do not come back all at once. A server's `Retry-After` is
/// waited for in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconnect {
    /// The longest wait before the second attempt. Default 250 ms.
    pub delay: Duration,
    /// The longest wait before any attempt. Default 20 s.
    pub delay_max: Duration,
    /// The attempts in a row after which the client gives up. Default: it never does.
    pub attempts_max: usize,
    /// The time that a session is kept for its next socket. Default 120 s. Then it is lost: its calls in flight fail, and the client
    /// begins a new one.
    pub window: Duration,
    /// The calls that wait for a socket: how many, and for how long. Default 10,000 calls, 16 MiB and 30 s. A further call fails at
    /// once as not sent; [`WaitingCalls::none`] has all of them do so.
    pub waiting: WaitingCalls,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(250),
            delay_max: Duration::from_secs(20),
            attempts_max: usize::MAX,
            window: ResumeConfig::default().window,
            waiting: WaitingCalls::default(),
        }
    }
}

/// The state of a client's connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionState {
    /// There is no socket, because nothing needs one. The next call opens it.
    Idle,
    /// The first socket is being opened.
    Connecting,
    /// There is a socket, and the session on it is new.
    Attached,
    /// There is a socket again, and the session has gone on: nothing was lost.
    Resumed,
    /// The socket has ended. The session waits for the next one.
    Detached {
        /// When it ended.
        since: Instant,
        /// Why it ended.
        reason: CloseReason,
    },
    /// The session could not go on; a new one takes its place. Calls in flight have failed, streams have ended, and references to
    /// objects of the server are dead.
    Lost {
        /// Why the session ended.
        reason: CloseReason,
    },
    /// The client is closed, or has given up. There will be no further socket.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// The changes that a subscriber may be behind by; older ones are left out.
const STATES_KEPT: usize = 64;
/// A socket that lasts for less than this is short-lived.
const STABLE: Duration = Duration::from_secs(1);
/// The short-lived sockets in a row after which the next attempt is not made at once.
const SHORT_LIVED_MAX: usize = 10;

/// The part of a client that outlives its sessions.
pub(crate) struct Reconnector {
    dialer: Dialer,
    policy: Reconnect,
    services: Services,
    limits: Limits,
    state: Mutex<ConnectionState>,
    changes: broadcast::Sender<ConnectionState>,
    /// When a session last got a socket, until that ends or another session takes its place.
    attached: Mutex<Option<Instant>>,
    /// The short-lived sockets in a row.
    short_lived: AtomicUsize,
    /// The attempts since a session had a socket.
    attempts: AtomicUsize,
    /// The address that the next attempt goes to.
    next_address: AtomicUsize,
    paused: watch::Sender<bool>,
    wake: Notify,
}

impl Reconnector {
    pub(crate) fn new(dialer: Dialer, policy: Reconnect, services: Services, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            policy,
            services,
            limits,
            state: Mutex::new(ConnectionState::Connecting),
            changes: broadcast::Sender::new(STATES_KEPT),
            attached: Mutex::new(None),
            short_lived: AtomicUsize::new(0),
            attempts: AtomicUsize::new(0),
            next_address: AtomicUsize::new(0),
            paused: watch::Sender::new(false),
            wake: Notify::new(),
        })
    }

    // ---- what the application sees and says ----

    pub(crate) fn state(&self) -> ConnectionState {
        lock(&self.state).clone()
    }

    pub(crate) fn states(&self) -> impl Stream<Item = ConnectionState> + Send + use<> {
        // Subscribed under the lock, so that no change is told twice or not at all.
        let state = lock(&self.state);
        let begin = (Some(state.clone()), Some(self.changes.subscribe()));
        drop(state);
        futures::stream::unfold(begin, async |(mut first, changes)| {
            let mut changes = changes?;
            let state = loop {
                if let Some(state) = first.take() {
                    break state;
                }
                match changes.recv().await {
                    Ok(state) => break state,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            };
            let changes = (!matches!(state, ConnectionState::Closed { .. })).then_some(changes);
            Some((state, (None, changes)))
        })
    }

    fn set(&self, state: ConnectionState) {
        let mut current = lock(&self.state);
        // What became of the last session is told by its socket as well, perhaps later.
        if matches!(*current, ConnectionState::Closed { .. }) {
            return;
        }
        current.clone_from(&state);
        // Nobody may be listening.
        let _ = self.changes.send(state.clone());
        drop(current);
        match &state {
            ConnectionState::Idle => tracing::debug!("not connected before a call needs it"),
            ConnectionState::Connecting => tracing::debug!("connecting"),
            ConnectionState::Attached => tracing::info!("connected"),
            ConnectionState::Resumed => tracing::info!("connected again, and the session goes on"),
            ConnectionState::Detached { reason, .. } => tracing::info!(%reason, "the connection is lost"),
            ConnectionState::Lost { reason } => tracing::warn!(%reason, "the session is lost"),
            ConnectionState::Closed { reason } => tracing::info!(%reason, "the client is closed"),
        }
    }

    pub(crate) fn pause(&self, is_paused: bool) {
        self.paused.send_replace(is_paused);
    }

    pub(crate) fn reconnect_now(&self) {
        self.wake.notify_waiters();
    }

    // ---- sessions ----

    pub(crate) fn session_config(self: &Arc<Self>) -> SessionConfig {
        let reconnector = Arc::clone(self);
        SessionConfig {
            services: self.services.clone(),
            limits: self.limits.clone(),
            resume: Some(ResumeConfig { window: self.policy.window, ..ResumeConfig::default() }),
            waiting: self.policy.waiting,
            succession: Some(Succession(Box::new(move |before| reconnector.succeed(before)))),
            ..SessionConfig::default()
        }
    }

    /// Begins the session after one that is lost, or whose server takes no new calls.
    fn succeed(self: Arc<Self>, before: Predecessor) -> Option<Attachments> {
        let reason = before.reason().clone();
        if !may_go_on(&reason) {
            self.set(ConnectionState::Closed { reason });
            return None;
        }
        // An unused session needs no other one before the next call.
        let is_unused =
            matches!(reason, CloseReason::Idle(_) | CloseReason::Peer { code: close_codes::IDLE, .. });
        self.needs_another_socket();
        self.set(ConnectionState::Lost { reason });
        let (sockets, task) = before.succeed(self.session_config());
        spawn(Box::pin(task.map(drop)));
        let begin = if is_unused { Begin::Wanted } else { Begin::Dial };
        spawn(Box::pin(self.tend(sockets.clone(), begin)));
        Some(sockets)
    }

    /// Brings a session sockets until it is over.
    pub(crate) async fn tend(self: Arc<Self>, mut sockets: Attachments, begin: Begin) {
        let mut was_detached = false;
        if begin == Begin::Dial && !self.bring(&mut sockets).await {
            return;
        }
        if begin == Begin::Wanted {
            self.set(ConnectionState::Idle);
        }
        while let Some(attachment) = sockets.changed().await {
            match attachment {
                Attachment::Attached => {
                    *lock(&self.attached) = Some(Instant::now());
                    self.set(if was_detached { ConnectionState::Resumed } else { ConnectionState::Attached });
                }
                Attachment::Detached(reason) => {
                    self.needs_another_socket();
                    was_detached = true;
                    let reason = reason.unwrap_or(CloseReason::Aborted);
                    self.set(ConnectionState::Detached { since: Instant::now(), reason });
                    if !self.bring(&mut sockets).await {
                        return;
                    }
                }
                Attachment::Wanted if begin == Begin::Wanted => {
                    self.set(ConnectionState::Connecting);
                    if !self.bring(&mut sockets).await {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// Counts the attempts anew if there was a socket. After many short-lived ones in a row the next attempt is not the first.
    fn needs_another_socket(&self) {
        let Some(since) = lock(&self.attached).take() else { return };
        let short_lived = match since.elapsed() < STABLE {
            true => self.short_lived.load(Ordering::Relaxed) + 1,
            false => 0,
        };
        self.short_lived.store(short_lived, Ordering::Relaxed);
        self.attempts.store(short_lived.saturating_sub(SHORT_LIVED_MAX), Ordering::Relaxed);
    }

    /// Opens a socket for a session. False if the session is over.
    async fn bring(&self, sockets: &mut Attachments) -> bool {
        let over = sockets.clone();
        let opened = tokio::select! {
            biased;
            _ = over.over() => return false,
            opened = self.open() => opened,
        };
        match opened {
            Ok(socket) => {
                sockets.attach(socket);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "gave up connecting");
                sockets.give_up(CloseReason::GaveUp { cause: Arc::new(error) });
                false
            }
        }
    }

    /// Opens a socket, in as many attempts as it takes.
    async fn open(&self) -> Result<Box<dyn Transport>, ConnectError> {
        let mut retry_after = None;
        loop {
            let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
            self.wait(self.delay_before(attempt).max(retry_after.unwrap_or_default())).await;
            let address = self.next_address.load(Ordering::Relaxed);
            match self.dialer.dial(address).await {
                Ok(socket) => return Ok(socket),
                Err(error) if error.is_final() || attempt + 1 >= self.policy.attempts_max => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(%error, attempt, "could not connect");
                    retry_after = error.retry_after();
                    self.next_address.store(address.wrapping_add(1), Ordering::Relaxed);
                }
            }
        }
    }

    /// The wait before an attempt: none before the first of a row, then a random part of a time that doubles.
    fn delay_before(&self, attempt: usize) -> Duration {
        let Reconnect { delay, delay_max, .. } = self.policy;
        let failed = u32::try_from(attempt).unwrap_or(u32::MAX);
        Retry { delay, delay_max, ..Retry::default() }.wait(failed, rand::random())
    }

    /// Waits until the delay is over or the application says that it is worth trying, and while it has paused reconnecting.
    async fn wait(&self, delay: Duration) {
        if !delay.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep(delay) => {}
                () = self.wake.notified() => self.attempts.store(1, Ordering::Relaxed),
            }
        }
        // The sender lives in `self`.
        let _ = self.paused.subscribe().wait_for(|is_paused| !is_paused).await;
    }

    /// Opens the first socket: tries each address once.
    pub(crate) async fn open_first(&self) -> Result<Box<dyn Transport>, ConnectError> {
        let last = self.dialer.addresses.len() - 1;
        for address in 0..last {
            if let Ok(socket) = self.dialer.dial(address).await {
                self.next_address.store(address, Ordering::Relaxed);
                return Ok(socket);
            }
        }
        self.next_address.store(last, Ordering::Relaxed);
        self.dialer.dial(last).await
    }
}

/// Locks the mutex, poisoned or not: no code under these locks can panic half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spawns a task. The future is boxed, because tokio has code for each type of future, twice: once for each scheduler.
pub(crate) fn spawn(task: Pin<Box<dyn Future<Output = ()> + Send>>) {
    tokio::spawn(task);
}

/// Whether a session has its first socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Attached,
    Dial,
    /// The first call has it opened.
    Wanted,
}

/// Whether a client goes on with a new session after one that ended so.
fn may_go_on(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Socket(_) | CloseReason::Stalled | CloseReason::HelloTimeout => true,
        CloseReason::Expired { .. } | CloseReason::Idle(_) => true,
        CloseReason::Peer { code, .. } => matches!(
            *code,
            close_codes::GOING_AWAY | 1005 | 1006 | close_codes::INTERNAL
                ..=1014 | close_codes::HELLO_TIMEOUT | close_codes::UNKNOWN_SESSION | close_codes::TOO_OFTEN
        ),
        _ => false,
    }
}

impl std::fmt::Debug for Reconnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconnector")
            .field("dialer", &self.dialer)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
