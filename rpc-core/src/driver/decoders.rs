//! Threads that decode long arguments: few of them, so that sessions which ask for much decoding leave processors to others.

use std::{
    collections::VecDeque,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

/// So many jobs of all sessions run at once: half of the processors go on with everything else. A session has one at a time,
/// so that each gets its turn.
static THREADS_MAX: LazyLock<usize> = LazyLock::new(|| {
    std::thread::available_parallelism().map_or(1, |processors| processors.get() / 2).max(1)
});

type Job = Box<dyn FnOnce() + Send>;

static DECODERS: Mutex<Decoders> = Mutex::new(Decoders { at_work: 0, waiting: VecDeque::new() });

struct Decoders {
    at_work: usize,
    waiting: VecDeque<Job>,
}

/// Runs a job that must not panic on a thread where it may take long, as soon as it is its turn.
pub(super) fn run(job: impl FnOnce() + Send + 'static) {
    let mut decoders = lock();
    decoders.waiting.push_back(Box::new(job));
    if decoders.at_work < *THREADS_MAX {
        decoders.at_work += 1;
        drop(decoders);
        tokio::task::spawn_blocking(work);
    }
}

fn work() {
    // Counted down in any case, so that no job waits for a thread that is gone.
    struct AtWork;
    impl Drop for AtWork {
        fn drop(&mut self) {
            lock().at_work -= 1;
        }
    }
    let at_work = AtWork;
    loop {
        let mut decoders = lock();
        let Some(job) = decoders.waiting.pop_front() else {
            decoders.at_work -= 1;
            std::mem::forget(at_work);
            return;
        };
        drop(decoders);
        job();
    }
}

fn lock() -> MutexGuard<'static, Decoders> {
    // Nothing that can panic runs under the lock.
    DECODERS.lock().unwrap_or_else(PoisonError::into_inner)
}
