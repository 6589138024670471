//! Threads for long work that cannot yield: decoding long arguments, encoding long results, and dropping either.
//!
//! The threads are few, so that sessions with much long work leave processors to others. They belong to no runtime: queued jobs
//! run even if the runtime that queued them ends.

use crate::sync::lock;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{LazyLock, Mutex},
    thread,
};

/// The most threads, for all sessions of the process: half of the processors, which leaves the other half for everything else.
/// A session decodes for one call at a time, so that each session gets its turn.
static THREADS_MAX: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, |processors| processors.get() / 2).max(1));

/// Values with more bytes than this are decoded and encoded on these threads, and dropped here if a peer chooses when.
pub(crate) const LONG_BYTES: usize = 64 << 10;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: Mutex<Jobs> = Mutex::new(Jobs { threads: 0, waiting: VecDeque::new() });

struct Jobs {
    threads: usize,
    waiting: VecDeque<Job>,
}

/// Queues a job. It runs in the context of the caller's runtime.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    queue(Box::new(job));
}

fn queue(job: Job) {
    #[cfg(feature = "driver")]
    let job = {
        let runtime = tokio::runtime::Handle::try_current();
        Box::new(move || {
            let _inside = runtime.as_ref().map(tokio::runtime::Handle::enter);
            job();
        })
    };
    let mut jobs = lock(&JOBS);
    jobs.waiting.push_back(job);
    if jobs.threads >= *THREADS_MAX {
        return;
    }
    jobs.threads += 1;
    drop(jobs);
    // Without a new thread, possibly no thread would ever run the job: this one does.
    if thread::Builder::new().name("rpc-aside".into()).spawn(work).is_err() {
        work();
    }
}

fn work() {
    loop {
        let mut jobs = lock(&JOBS);
        let Some(job) = jobs.waiting.pop_front() else {
            // Counted under the lock: the next caller either finds this thread at work or starts another.
            jobs.threads -= 1;
            return;
        };
        drop(jobs);
        // Jobs catch the panics of user code. If one does not, the other jobs still run.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
