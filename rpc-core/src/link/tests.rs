//! What callers and the driver do at the same time, step by step on one thread.

use std::future::IntoFuture;

use futures::{
    FutureExt,
    task::{ArcWake, noop_waker_ref, waker},
};

use super::*;
use crate::{
    caller::{promise::Promise, stub::Stub},
    error::CallError,
    session::{
        inputs::Interest,
        tests::things::{THING, Trouble},
    },
    value::encoded::{Capability, Encoded},
};

/// The place of `count` among the methods of `Thing`.
const COUNT: u32 = 2;

fn taken(link: &Link) -> Vec<Submission> {
    let mut submissions = Vec::new();
    link.drain(&mut Context::from_waker(noop_waker_ref()), &mut submissions);
    submissions
}

#[test]
fn a_call_keeps_what_it_is_built_on_until_the_driver_has_taken_it() {
    let link = Arc::new(Link::new(Arc::default()));
    let handle = Arc::new(Handle { link: Arc::clone(&link), closes_on_drop: false });
    let stub = Stub::root(handle, &THING);
    let session = stub.session();
    let mut base = stub.begin(&session, COUNT);
    base.argument::<u64>(3);
    let base: Promise<u64, Trouble> = base.send();
    let first = taken(&link);
    let [Submission::Call(first)] = &first[..] else { panic!("the first call is queued") };
    // The driver has taken the first call and not sealed it; meanwhile its promise goes into another call and away.
    let mut built = stub.begin(&session, COUNT);
    built.argument::<u64>(base);
    let built: Promise<u64, Trouble> = built.send();
    assert_eq!(
        first.cell.seal(),
        Interest { value: false, reference: true, detached: false },
        "the second call needs the first, which has to be kept for it"
    );
    let second = taken(&link);
    assert!(matches!(&second[..], [.., Submission::Call(call)] if call.bases[0].cell().id() == first.id));
    drop(second);
    assert!(matches!(&taken(&link)[..], [Submission::Released(id)] if *id == first.id));
    drop(built);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_waits_for_a_call_that_was_never_taken_is_woken_at_the_end() {
    let link = Arc::new(Link::new(Arc::default()));
    let handle = Arc::new(Handle { link: Arc::clone(&link), closes_on_drop: false });
    let stub = Stub::root(handle, &THING);
    let session = stub.session();
    let mut call = stub.begin(&session, COUNT);
    call.argument::<u64>(3);
    let mut call = call.send::<u64, Trouble>().into_future();
    let woken = Arc::new(Woken::default());
    assert!(call.poll_unpin(&mut Context::from_waker(&waker(Arc::clone(&woken)))).is_pending());
    link.close(&CloseReason::Local);
    assert!(woken.0.load(Ordering::SeqCst));
    let returned = call.now_or_never().unwrap();
    assert!(matches!(returned, Err(CallError::Disconnected { delivery: Delivery::NotSent, .. })));
}

/// The session may keep a cell for as long as objects of its value live.
#[test]
fn a_cell_keeps_no_value_that_nobody_takes() {
    let link = Arc::new(Link::new(Arc::default()));
    let handle = Arc::new(Handle { link: Arc::clone(&link), closes_on_drop: false });
    let stub = Stub::root(handle, &THING);
    let session = stub.session();
    for is_dropped_first in [true, false] {
        let table: Arc<[Capability]> = Arc::new([]);
        let value = || Encoded { bytes: SmallBytes::default(), capabilities: Some(Arc::clone(&table)) };
        let mut call = stub.begin(&session, COUNT);
        call.argument::<u64>(3);
        let promise: Promise<u64, Trouble> = call.send();
        let submitted = taken(&link);
        let [Submission::Call(call)] = &submitted[..] else { panic!("it is queued") };
        call.cell.seal();
        let mut promise = Some(promise);
        if is_dropped_first {
            promise = None;
        }
        call.cell.complete(Returned::Value(value()));
        assert_eq!(Arc::strong_count(&table), if is_dropped_first { 1 } else { 2 });
        drop(promise);
        assert_eq!(Arc::strong_count(&table), 1);
        taken(&link);
    }
}
