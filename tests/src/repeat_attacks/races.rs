//! Cancellations that race the results of their calls.

use std::{
    future::{Future, poll_fn},
    task::Poll,
};

use rpc_core::{Services, SessionStats, memory};
use tokio::{sync::Semaphore, task::yield_now};

use super::*;

#[rpc]
trait Racing {
    /// Ends when it may.
    async fn run(&self);
}

#[derive(Clone)]
struct Track {
    gate: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

/// Counts how a handler ended.
struct Runner<'a>(&'a Track, bool);

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        let count = if self.1 { &self.0.done } else { &self.0.dropped };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Racing for Track {
    async fn run(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mut runner = Runner(self, false);
        self.gate.acquire().await.unwrap().forget();
        runner.1 = true;
    }
}

async fn yields(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// The handler ends and the caller lets go of the call, with every distance between the two.
async fn check_races() {
    const DISTANCE: usize = 24;
    const ROUNDS: usize = 4;
    let track = Track {
        gate: Arc::new(Semaphore::new(0)),
        begun: Arc::default(),
        done: Arc::default(),
        dropped: Arc::default(),
    };
    let session = memory::connect(Services::new().with(RacingServer::new(track.clone())));
    let racing: RacingClient = session.service();
    let (mut returned, mut cancelled) = (0, 0);
    for at in 0..DISTANCE * DISTANCE * ROUNDS {
        let (end, leave) = (at % DISTANCE, at / DISTANCE % DISTANCE);
        // Some are awaited to their end, and some never end, so that each outcome is seen on a machine of any speed.
        let (is_awaited, is_endless) = (at % 16 == 7, at % 16 == 15);
        let begun = track.begun.load(Ordering::SeqCst);
        let mut call = Box::pin(racing.run().into_future());
        // The other calls may not have begun yet when they are dropped.
        if (at / DISTANCE / DISTANCE).is_multiple_of(2) {
            assert!(futures::poll!(&mut call).is_pending());
            eventually("it runs", || track.begun.load(Ordering::SeqCst) > begun).await;
        }
        let ending = tokio::spawn({
            let gate = Arc::clone(&track.gate);
            async move {
                yields(end).await;
                // More than one, as a handler whose call was dropped before may take one on its way out.
                gate.add_permits(if is_endless { 0 } else { 8 });
            }
        });
        let mut left = Box::pin(yields(leave));
        let outcome = poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if is_awaited => Poll::Pending,
            Poll::Pending => left.as_mut().poll(cx).map(|()| None),
        })
        .await;
        match outcome {
            Some(Ok(())) => returned += 1,
            Some(Err(error)) => panic!("{error:?}"),
            None => cancelled += 1,
        }
        drop(call);
        ending.await.unwrap();
        let ended = || track.done.load(Ordering::SeqCst) + track.dropped.load(Ordering::SeqCst);
        eventually("the handler is over", || ended() == track.begun.load(Ordering::SeqCst)).await;
        // A permit that no handler took is not the next one's.
        let unused = track.gate.available_permits();
        track.gate.forget_permits(unused);
    }
    // A handler was told of its end once: it is done or dropped. One whose call was dropped before it left has never begun.
    let [begun, done, dropped] =
        [&track.begun, &track.done, &track.dropped].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(begun, done + dropped);
    assert!(done >= returned, "{done} are done, {returned} have returned");
    assert!(returned > 0 && cancelled > 0 && dropped > 0, "{returned} {cancelled} {dropped}");
    let empty = async {
        while session.stats().await != SessionStats::default() {
            yield_now().await;
        }
    };
    let is_empty = tokio::time::timeout(PATIENCE, empty).await.is_ok();
    assert!(is_empty, "{:?}", session.stats().await);
}

#[tokio::test]
async fn a_cancel_that_races_a_result_has_one_outcome() {
    check_races().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_cancel_that_races_a_result_has_one_outcome_on_many_threads() {
    check_races().await;
}
