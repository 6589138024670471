//! Threads for what takes long and cannot be paused: decoding long arguments, encoding long results, and dropping either.
//!
//! They are few, so that sessions which ask for much of it leave processors to others, and belong to no runtime: what waits for
//! them is done whichever runtime ends.

use crate::sync::lock;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{LazyLock, Mutex},
    thread,
};

/// Threads for all sessions of the process: half of the processors go on with everything else. A session decodes for one call
/// at a time, so that each gets its turn.
static THREADS_MAX: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, |processors| processors.get() / 2).max(1));

/// Values whose bytes are more are decoded and encoded here, and dropped here where a peer chooses when.
pub(crate) const LONG_BYTES: usize = 64 << 10;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: Mutex<Jobs> = Mutex::new(Jobs { threads: 0, waiting: VecDeque::new() });

struct Jobs {
    threads: usize,
    waiting: VecDeque<Job>,
}

/// Runs a job, as soon as it is its turn, inside of the runtime that this is called in.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    #[cfg(feature = "driver")]
    let job = {
        let runtime = tokio::runtime::Handle::try_current();
        move || {
            let _inside = runtime.as_ref().map(tokio::runtime::Handle::enter);
            job();
        }
    };
    let mut jobs = lock(&JOBS);
    jobs.waiting.push_back(Box::new(job));
    if jobs.threads >= *THREADS_MAX {
        return;
    }
    jobs.threads += 1;
    drop(jobs);
    // A thread that cannot be had is none that could be waited for.
    if thread::Builder::new().name("rpc-aside".into()).spawn(work).is_err() {
        work();
    }
}

fn work() {
    loop {
        let mut jobs = lock(&JOBS);
        let Some(job) = jobs.waiting.pop_front() else {
            // Under the lock: who comes next either finds this thread at work or starts one.
            jobs.threads -= 1;
            return;
        };
        drop(jobs);
        // Jobs catch what their users' code does; one that does not is no reason for the others to wait.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
