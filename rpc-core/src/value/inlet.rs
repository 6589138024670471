//! What has arrived of a stream, between the session and its reader.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    sync::lock,
    value::{object::Home, stream::Piece},
    wire::StreamId,
};

/// Shared by the session, which puts in what arrives, and the one reader.
pub(crate) struct Inlet {
    pub(crate) stream: StreamId,
    /// Bytes that the reader takes before it tells the session.
    report_at: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Piece>,
    waker: Option<Waker>,
    /// Read, and not told to the session.
    unreported: u64,
    /// The session wants to know when the reader waits for more.
    is_awaited: bool,
}

/// The right to read a stream of the peer. Dropped before its end, the peer is told to stop. The session hears of either.
pub(crate) struct InletReader {
    inlet: Arc<Inlet>,
    home: Arc<dyn Home>,
    ended: bool,
    /// Why nobody reads on, if somebody said so.
    refusal: Option<String>,
}

impl Inlet {
    pub(crate) fn new(stream: StreamId, report_at: u64) -> Self {
        Self { stream, report_at: AtomicU64::new(report_at), state: Mutex::default() }
    }

    pub(crate) fn reader(inlet: &Arc<Self>, home: Arc<dyn Home>) -> InletReader {
        InletReader { inlet: Arc::clone(inlet), home, ended: false, refusal: None }
    }

    pub(crate) fn report_at(&self, bytes: u64) {
        self.report_at.store(bytes, Ordering::Relaxed);
    }

    /// Something arrived. Gives the waker of the reader, if it waits.
    pub(crate) fn push(&self, piece: Piece) -> Option<Waker> {
        let mut state = self.lock();
        match (piece, state.queue.back_mut()) {
            // They cost no credit, so that they must not pile up.
            (Piece::Missed(more), Some(Piece::Missed(count))) => *count = count.saturating_add(more),
            (piece, _) => state.queue.push_back(piece),
        }
        state.waker.take()
    }

    /// If the reader waits for more, what it has read and not told. If not, the session is told when it does.
    pub(crate) fn awaited(&self) -> Option<u64> {
        let mut state = self.lock();
        let waits = state.queue.is_empty() && state.waker.is_some();
        state.is_awaited = !waits;
        waits.then(|| std::mem::take(&mut state.unreported))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl InletReader {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let mut state = self.inlet.lock();
        let Some(piece) = state.queue.pop_front() else {
            match &state.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => state.waker = Some(cx.waker().clone()),
            }
            if std::mem::take(&mut state.is_awaited) {
                let unreported = std::mem::take(&mut state.unreported);
                drop(state);
                self.home.stream_awaited(self.inlet.stream, unreported);
            }
            return Poll::Pending;
        };
        self.ended = matches!(piece, Piece::End(_));
        state.unreported += piece.charge();
        if self.ended {
            drop(state);
            self.home.stream_dropped(self.inlet.stream, None);
        } else if state.unreported >= self.inlet.report_at.load(Ordering::Relaxed).max(1) {
            let unreported = std::mem::take(&mut state.unreported);
            drop(state);
            self.home.stream_consumed(self.inlet.stream, unreported);
        }
        Poll::Ready(piece)
    }

    /// Says what the peer is told when this is dropped.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refusal = Some(reason);
    }
}

impl Drop for InletReader {
    fn drop(&mut self) {
        // What has arrived is dropped here and not with the session's own handle, because it may refer to the session.
        let queue = std::mem::take(&mut self.inlet.lock().queue);
        drop(queue);
        if !self.ended {
            self.home.stream_dropped(self.inlet.stream, self.refusal.take());
        }
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inlet({})", self.stream.0)
    }
}
