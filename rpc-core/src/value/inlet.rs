//! Inlets: the queue of a received stream between the session and the reader.

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

/// A received stream, shared by the session, which puts in arriving pieces, and the one reader.
pub(crate) struct Inlet {
    pub(crate) stream: StreamId,
    /// The bytes that the reader takes before it reports them to the session.
    report_at: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Piece>,
    waker: Option<Waker>,
    /// Bytes that were read and not yet reported to the session.
    unreported: u64,
    /// Whether the session wants to be told when the reader waits for more.
    is_awaited: bool,
}

/// The right to read a stream of the peer. If it is dropped before the stream's end, the peer is told to stop. The session is
/// told in either case.
pub(crate) struct InletReader {
    inlet: Arc<Inlet>,
    home: Arc<dyn Home>,
    ended: bool,
    /// The reason why the reader stops, if it gave one.
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

    /// Adds a piece that has arrived. Returns the waker of the reader, if it waits.
    pub(crate) fn push(&self, piece: Piece) -> Option<Waker> {
        let mut state = self.lock();
        match (piece, state.queue.back_mut()) {
            // Missed pieces cost no credit, so they must not pile up.
            (Piece::Missed(more), Some(Piece::Missed(count))) => *count = count.saturating_add(more),
            (piece, _) => state.queue.push_back(piece),
        }
        state.waker.take()
    }

    /// If the reader waits for more, the bytes that it has read and not reported. If not, `None`, and the session is told when
    /// the reader waits.
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

    /// Sets the reason that the peer is told when the reader is dropped.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refusal = Some(reason);
    }
}

impl Drop for InletReader {
    fn drop(&mut self) {
        // Arrived pieces are dropped here and not with the session's own handle, because they may refer to the session.
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
