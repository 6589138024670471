//! Maps over streams: the result is a stream whose items a program makes of the items of another stream.
//!
//! Items are taken as they arrive, and as the reader of the result has room for its items. Items that are here, at most
//! `Limits::map_concurrency`, go through the program together. `map_calls_max` counts anew for each such window, because the
//! number of items is not known.

use std::{
    collections::VecDeque,
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Sleep;

use super::{ElementRun, MapRun, Window, captured_bytes, permits::Permit, unselectable};
use crate::{
    caller::passing,
    codec,
    error::StopReason,
    session::plan::Plan,
    stream::{
        reading::Reading,
        source::{Fill, Source},
    },
    value::{
        encoded::{Capabilities, Capability, Encoded, STREAM_TAKEN},
        held::Held,
        outcome::Outcome,
        stream::{Ending, Piece},
    },
    wire::{Failure, arguments::ItemReader},
};

impl MapRun {
    /// The result of a map over a stream: a stream, which exists before any of its items.
    pub(super) fn streamed(
        self: Arc<Self>,
        plan: Arc<Plan>,
        source: &Encoded,
        captures: Vec<Encoded>,
        item_time: Duration,
    ) -> Outcome {
        let reading = match source.only_object() {
            Some(Capability::Stream(slot)) => Reading::take(&slot),
            Some(Capability::Import(_) | Capability::Local(_)) | None => None,
        };
        let Some(reading) = reading else {
            return Outcome::Failed(unselectable(STREAM_TAKEN.into()));
        };
        let captures: Arc<[Held]> = captures.into_iter().map(Held::new).collect();
        let mapped = Mapped {
            captured: captured_bytes(&plan, &captures),
            items: Items { reading, open: None },
            run: self,
            plan,
            captures,
            next: 0,
            item_time,
            working: None,
            made: VecDeque::new(),
        };
        let stream = Capability::Stream(Reading::slot_of(mapped));
        // The stream is the first entry of its table.
        let mut bytes = Vec::new();
        if let Err(error) = codec::encode(&0_u32, &mut bytes) {
            return Outcome::Failed(super::unencodable(error));
        }
        Outcome::Value { payload: Some(bytes.into()), objects: vec![stream] }
    }
}

/// An item of the result, or the error that ends the stream.
type Made = Result<Encoded, Encoded>;

struct Mapped {
    items: Items,
    run: Arc<MapRun>,
    plan: Arc<Plan>,
    captures: Arc<[Held]>,
    /// Bytes of whole captures that each item's calls take.
    captured: u64,
    /// The number of the next item.
    next: u64,
    /// How long the program may take for an item.
    item_time: Duration,
    working: Option<Working>,
    made: VecDeque<Made>,
}

/// Items that go through the program together.
struct Working {
    made: Pin<Box<dyn Future<Output = Vec<Made>> + Send>>,
    until: Pin<Box<Sleep>>,
    _permit: Permit,
}

/// The stream that is mapped over.
struct Items {
    reading: Box<Reading>,
    /// Items that have arrived and have not gone through the program.
    open: Option<(ItemReader, Capabilities)>,
}

/// Items that share a table of objects.
struct Portion {
    source: Encoded,
    ranges: Vec<Range<usize>>,
}

enum Next {
    Portion(Portion),
    Missed(u64),
    End(Ending),
}

impl Source for Mapped {
    fn poll_fill(&mut self, cx: &mut Context<'_>, fill: &mut Fill<'_>) -> Poll<()> {
        self.run.start_turn();
        while fill.has_room() {
            match self.made.pop_front() {
                Some(Ok(mut item)) => {
                    passing::onto_item(&mut item, None, fill.link());
                    fill.encoded(item);
                    continue;
                }
                Some(Err(mut error)) => {
                    passing::onto_item(&mut error, None, fill.link());
                    fill.end(Ending::Error(error));
                    continue;
                }
                None => {}
            }
            if let Some(working) = &mut self.working {
                let Poll::Ready(made) = working.made.as_mut().poll(cx) else {
                    ready!(working.until.as_mut().poll(cx));
                    self.working = None;
                    fill.end(Ending::Failed(Failure::DeadlineExceeded));
                    continue;
                };
                self.made = made.into();
                self.working = None;
                continue;
            }
            let window = self.run.window(&self.plan, self.captured, self.run.concurrency);
            let permit = ready!(self.run.permits.poll_take(cx, window));
            let next = self.items.poll_next(cx, &self.run, permit.count);
            let Poll::Ready(next) = next else {
                // The stream waits for items: other maps may have the permit meanwhile.
                drop(permit);
                return Poll::Pending;
            };
            match next {
                Next::Portion(portion) => self.work(portion, permit),
                Next::Missed(count) => fill.missed(count),
                // The error has the type of the source's errors, which the reader of the result does not know.
                Next::End(Ending::Error(_)) => {
                    let reason = "the stream that is mapped over ended with an error of its own".into();
                    fill.end(Ending::Failed(Failure::Unreachable { reason }));
                }
                Next::End(ending) => fill.end(ending),
            }
        }
        Poll::Ready(())
    }

    fn stopped(&mut self, reason: &StopReason) {
        self.items.reading.stopped(reason);
    }
}

impl Mapped {
    fn work(&mut self, Portion { source, ranges }: Portion, mut permit: Permit) {
        permit.keep(ranges.len());
        let first = self.next;
        self.next += ranges.len() as u64;
        let (run, plan, captures) =
            (Arc::clone(&self.run), Arc::clone(&self.plan), Arc::clone(&self.captures));
        let until = Box::pin(tokio::time::sleep(self.item_time));
        let made = Box::pin(async move {
            run.calls_left.store(run.calls_max, Ordering::Relaxed);
            let count = ranges.len();
            let elements =
                (first..).zip(ranges).map(|(index, range)| ElementRun::new(index, range)).collect();
            let mut window = Window {
                run: &run,
                plan: &plan,
                source: &source,
                captures: &captures,
                concurrency_within: (run.concurrency / count.max(1)).max(1),
                elements,
                failed: None,
            };
            for number in 0..plan.steps.len() {
                window.step(number).await;
            }
            let made = window.each();
            run.work.spend(count as u64 * super::cost_ns(&plan));
            // The work of decoding arguments was spent in `step`.
            run.spend_turn(count as u64 * plan.cost().saturating_mul(crate::session::work::CALL_NS)).await;
            made
        });
        self.working = Some(Working { made, until, _permit: permit });
    }
}

impl Items {
    fn poll_next(&mut self, cx: &mut Context<'_>, run: &MapRun, window: usize) -> Poll<Next> {
        loop {
            if let Some((reader, capabilities)) = &mut self.open {
                let ranges: Vec<Range<usize>> =
                    std::iter::from_fn(|| reader.next_range()).take(window).collect();
                if !ranges.is_empty() {
                    let source =
                        Encoded { bytes: reader.bytes().clone(), capabilities: capabilities.clone() };
                    return Poll::Ready(Next::Portion(Portion { source, ranges }));
                }
                self.open = None;
            }
            let link = &run.scope.session.handle.link;
            match ready!(self.reading.poll_rest(cx)) {
                Piece::Items { mut items, .. } => {
                    self.reading.onto(&mut items, link);
                    self.open = Some((ItemReader::new(items.bytes), items.capabilities));
                }
                Piece::Large { head, item: mut source } => {
                    self.reading.onto(&mut source, link);
                    if !head.is_empty() {
                        source.bytes = [&head[..], &source.bytes].concat().into();
                    }
                    let whole = 0..source.bytes.len();
                    return Poll::Ready(Next::Portion(Portion { source, ranges: vec![whole] }));
                }
                Piece::Missed(count) => return Poll::Ready(Next::Missed(count)),
                Piece::End(ending) => return Poll::Ready(Next::End(ending)),
            }
        }
    }
}
