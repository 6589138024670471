//! Runs the producers of streams. Each is a task that makes items as long as there is credit and room in the backlog.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::task::AtomicWaker;

use crate::{
    driver::{self, Conversation},
    error::{CloseReason, StopReason},
    link::{Link, Submission, ambient::inside},
    panics::drop_quietly,
    session::streams::StreamEvent,
    stream::{
        reading::Reading,
        source::{Fill, Source, Stop, poll_fill},
    },
    time::Time,
    value::stream::{Ending, Piece, StreamSlot},
    wire::StreamId,
};

/// The bytes that a producer adds at once. Then it yields, so that they can leave while it makes more.
const FILL_BYTES: i64 = 64 << 10;

/// The bytes of all streams of a session that wait to be sent, shared by its producers. While they are too many, no producer
/// makes more items. Without it, each producer could add a long item before the session has said that there is no room.
pub(super) struct Backlog {
    bytes_max: u64,
    /// Bytes on their way to the session.
    submitted: AtomicU64,
    /// Bytes in the session when the driver last looked.
    queued: AtomicU64,
    /// The number of items that are being encoded on another thread. Producers make no more meanwhile: each could add a long
    /// one.
    encoding: AtomicUsize,
    /// Whether a producer waits for the backlog to fall.
    is_awaited: AtomicBool,
}

impl Backlog {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max: bytes_max as u64,
            submitted: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            encoding: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
        })
    }

    fn is_full(&self) -> bool {
        let is_full = || {
            let bytes = self.submitted.load(Ordering::Acquire) + self.queued.load(Ordering::Acquire);
            bytes > self.bytes_max || self.encoding.load(Ordering::Acquire) > 0
        };
        if !is_full() {
            return false;
        }
        self.is_awaited.store(true, Ordering::Release);
        // The backlog may have fallen before the flag was set, without waking anybody: check again.
        is_full()
    }
}

/// The state that a producer's task shares with the driver.
pub(super) struct Producer {
    /// The bytes that the producer may add; below zero after an item that took more than there was.
    room: AtomicI64,
    stopped: OnceLock<StopReason>,
    /// Stops the user's half that puts items in, if there is one.
    stop: Option<Arc<dyn Stop>>,
    waker: AtomicWaker,
    backlog: Arc<Backlog>,
}

impl Producer {
    /// Stops the producer. Returns the wakers of tasks that wait to put items in.
    pub(super) fn stop(&self, reason: StopReason) -> Vec<Waker> {
        let waiting = self.stop.as_ref().map_or_else(Vec::new, |stop| stop.stop(&reason));
        let _ = self.stopped.set(reason);
        self.waker.wake();
        waiting
    }
}

impl Conversation {
    pub(super) fn stream_event(&mut self, event: StreamEvent, now: Time) {
        match event {
            StreamEvent::Opened { stream, slot } => {
                let Some(reading) = Reading::take(&slot) else { return };
                let producer = Arc::new(Producer {
                    room: AtomicI64::new(0),
                    stopped: OnceLock::new(),
                    stop: reading.stop(),
                    waker: AtomicWaker::new(),
                    backlog: Arc::clone(&self.backlog),
                });
                self.producers.insert(stream, Arc::clone(&producer));
                let link = Arc::clone(&self.link);
                let pump = Pump { stream, source: Some(reading), encoding: None, producer, link };
                driver::spawn(Box::pin(pump));
            }
            StreamEvent::Room { stream, bytes } => {
                if let Some(producer) = self.producers.get(&stream) {
                    producer.room.fetch_add(bytes, Ordering::AcqRel);
                    producer.waker.wake();
                }
            }
            StreamEvent::Stopped { stream, reason } => {
                if let Some(producer) = self.producers.remove(&stream) {
                    self.wakers.extend(producer.stop(reason));
                }
            }
            StreamEvent::Arrived { inlet, piece } => self.wakers.extend(inlet.push(piece)),
            StreamEvent::Awaited { inlet } => {
                if let Some(bytes) = inlet.awaited() {
                    self.session.stream_consumed(now, inlet.stream, bytes, true);
                }
            }
        }
    }

    /// Queues the pieces that a producer has made.
    pub(super) fn send_stream(&mut self, stream: StreamId, pieces: Vec<Piece>) {
        let submitted = pieces.iter().map(Piece::charge).sum();
        self.backlog.submitted.fetch_sub(submitted, Ordering::AcqRel);
        for piece in pieces {
            if matches!(piece, Piece::End(_)) {
                self.producers.remove(&stream);
            }
            self.session.send_stream(stream, piece);
        }
    }

    /// Updates the backlog; wakes producers when it has fallen to half of its limit.
    pub(super) fn tell_backlog(&mut self) {
        if self.producers.is_empty() {
            return;
        }
        let queued = self.session.stream_bytes_queued() as u64;
        self.backlog.queued.store(queued, Ordering::Release);
        if queued <= self.backlog.bytes_max / 2 && self.backlog.is_awaited.swap(false, Ordering::AcqRel) {
            self.producers.values().for_each(|producer| producer.waker.wake());
        }
    }

    /// Stops a producer that was not started before the session ended.
    pub(super) fn never_opened(&mut self, slot: &StreamSlot, reason: &CloseReason) {
        let Some(mut reading) = Reading::take(slot) else { return };
        reading.stopped(&StopReason::Disconnected(reason.clone()));
        drop_quietly(reading, "the producer of a stream");
    }

    /// Tells readers and producers why the session is over.
    pub(super) fn end_streams(&mut self, reason: &CloseReason) {
        let (inlets, _) = self.session.abandon_streams();
        for inlet in inlets {
            self.wakers.extend(inlet.push(Piece::End(Ending::Disconnected(reason.clone()))));
        }
        for (_, producer) in self.producers.drain() {
            self.wakers.extend(producer.stop(StopReason::Disconnected(reason.clone())));
        }
    }
}

/// The task of one producer.
struct Pump {
    stream: StreamId,
    /// `None` when the stream is over.
    source: Option<Box<Reading>>,
    /// Present while the stream waits for a long item.
    encoding: Option<EncodingItem>,
    producer: Arc<Producer>,
    link: Arc<Link>,
}

impl Future for Pump {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let pump = self.get_mut();
        pump.producer.waker.register(cx.waker());
        if let Some(reason) = pump.producer.stopped.get() {
            if let Some(source) = &mut pump.source {
                source.stopped(reason);
            }
            return pump.over();
        }
        let room = pump.producer.room.load(Ordering::Acquire);
        if room <= 0 || (pump.encoding.is_none() && pump.producer.backlog.is_full()) {
            return Poll::Pending;
        }
        let Some(source) = &mut pump.source else { return Poll::Ready(()) };
        let mut fill = Fill::new(&pump.link, room.min(FILL_BYTES));
        let polled = inside(Arc::as_ptr(&pump.link), || poll_fill(&mut **source, cx, &mut fill));
        let is_encoding = fill.is_encoding();
        let pieces = fill.finish();
        let charge: u64 = pieces.iter().map(Piece::charge).sum();
        pump.producer.room.fetch_sub(i64::try_from(charge).unwrap_or(i64::MAX), Ordering::AcqRel);
        let has_ended = matches!(pieces.last(), Some(Piece::End(_)));
        if !pieces.is_empty() {
            pump.producer.backlog.submitted.fetch_add(charge, Ordering::AcqRel);
            pump.link.submit(Submission::Stream(pump.stream, pieces));
        }
        match is_encoding {
            true => pump.waits_for_item(),
            false => pump.encoding = None,
        }
        if has_ended {
            return pump.over();
        }
        if polled.is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Pump {
    fn waits_for_item(&mut self) {
        let Self { stream, link, producer, .. } = self;
        self.encoding.get_or_insert_with(|| EncodingItem::new(*stream, &producer.backlog, link));
    }

    /// Ends the task. A panic of the user's `Drop` is caught.
    fn over(&mut self) -> Poll<()> {
        self.encoding = None;
        drop_quietly(self.source.take(), "the producer of a stream");
        Poll::Ready(())
    }
}

/// Sends no end when a runtime that shuts down drops the task: the reader learns of the end with the session's.
impl Drop for Pump {
    fn drop(&mut self) {
        if self.source.is_some() {
            drop_quietly(self.source.take(), "the producer of a stream");
        }
    }
}

/// Counts an item that is being encoded on another thread, as long as its stream waits for it.
struct EncodingItem {
    stream: StreamId,
    backlog: Arc<Backlog>,
    link: Arc<Link>,
}

impl EncodingItem {
    fn new(stream: StreamId, backlog: &Arc<Backlog>, link: &Arc<Link>) -> Self {
        backlog.encoding.fetch_add(1, Ordering::AcqRel);
        Self { stream, backlog: Arc::clone(backlog), link: Arc::clone(link) }
    }
}

impl Drop for EncodingItem {
    fn drop(&mut self) {
        self.backlog.encoding.fetch_sub(1, Ordering::AcqRel);
        // In its next turn the driver wakes the producers that waited.
        self.link.submit(Submission::Stream(self.stream, Vec::new()));
    }
}
