//! Seats at one handler, polled by hand.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::{channel::oneshot, future::poll_fn, task::ArcWake};

use super::*;
use crate::{
    codec::DecodeBudget,
    handler::context::{Peer, SessionScope},
    limits::Limits,
    schema::descriptor::{
        MethodAttributes, MethodDescriptor, ObjectsCache, ServiceDescriptor, SignatureCache, ValueDescriptor,
    },
    session::events::BeginTarget,
    session::{events::Arguments, tests::pair::TEST},
};

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Table {
    seats: Vec<Option<Pin<Box<Seat>>>>,
    woken: Vec<Arc<Woken>>,
}

impl Table {
    fn new(seats: usize, handler: impl Future<Output = Vec<Outcome>> + Send + 'static) -> Self {
        let batch = MethodBatch::new(&TEST.methods[0], None, seats, Box::pin(handler));
        let seat = |index| Some(Box::pin(Seat { batch: Arc::clone(&batch), index }));
        let woken = (0..seats).map(|_| Arc::default()).collect();
        Self { seats: (0..seats).map(seat).collect(), woken }
    }

    /// Polls a seat; what its call is answered with, as a number.
    fn poll(&mut self, seat: usize) -> Poll<Option<u8>> {
        let waker = futures::task::waker(Arc::clone(&self.woken[seat]));
        let polled = self.seats[seat].as_mut().unwrap().as_mut().poll(&mut task::Context::from_waker(&waker));
        polled.map(|outcome| match outcome {
            Outcome::Error(bytes, _) => Some(bytes[0]),
            _ => None,
        })
    }

    fn drop(&mut self, seat: usize) {
        self.seats[seat] = None;
    }

    /// Who was woken, and how often, since last asked.
    fn woken(&self) -> Vec<usize> {
        self.woken.iter().map(|woken| woken.0.swap(0, Ordering::SeqCst)).collect()
    }
}

fn numbers(many: u8) -> Vec<Outcome> {
    (0..many).map(|number| Outcome::Error(vec![number].into(), Vec::new())).collect()
}

/// A handler that ends when it is told to, and a count of its polls.
fn gated(many: u8) -> (oneshot::Sender<()>, Arc<AtomicUsize>, BatchHandler) {
    let (sender, mut receiver) = oneshot::channel::<()>();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let handler = poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut receiver).poll(cx).map(|_| numbers(many))
    });
    (sender, polls, Box::pin(handler))
}

#[test]
fn one_seat_polls_and_the_others_are_woken_with_their_answers() {
    let (gate, polls, handler) = gated(3);
    let mut table = Table::new(3, handler);
    for seat in [1, 0, 2, 0] {
        assert!(table.poll(seat).is_pending());
    }
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    gate.send(()).unwrap();
    assert_eq!(table.woken(), [0, 1, 0]);
    assert_eq!(table.poll(1), Poll::Ready(Some(1)));
    assert_eq!(table.woken(), [1, 0, 1]);
    assert_eq!(table.poll(2), Poll::Ready(Some(2)));
    assert_eq!(table.poll(0), Poll::Ready(Some(0)));
    assert_eq!(polls.load(Ordering::SeqCst), 2);
}

#[test]
fn another_seat_takes_over_from_one_that_is_dropped() {
    let (gate, _, handler) = gated(3);
    let mut table = Table::new(3, handler);
    for seat in 0..3 {
        assert!(table.poll(seat).is_pending());
    }
    // Dropped before the handler wakes.
    table.drop(0);
    gate.send(()).unwrap();
    assert_eq!(table.woken(), [0, 1, 0]);
    // Dropped after it was woken for it and before it polls.
    table.drop(1);
    assert_eq!(table.woken(), [0, 0, 1]);
    assert_eq!(table.poll(2), Poll::Ready(Some(2)));
}

#[test]
fn a_wake_before_the_second_poll_is_not_lost() {
    let (gate, polls, handler) = gated(2);
    let mut table = Table::new(2, handler);
    assert!(table.poll(0).is_pending());
    gate.send(()).unwrap();
    // Whoever comes first.
    assert_eq!(table.poll(1), Poll::Ready(Some(1)));
    assert_eq!(polls.load(Ordering::SeqCst), 2);
    assert_eq!(table.woken(), [2, 0]);
    assert_eq!(table.poll(0), Poll::Ready(Some(0)));
}

#[test]
fn a_handler_that_wakes_itself_is_polled_again() {
    let mut polls = 0;
    let mut table = Table::new(
        2,
        poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(numbers(2)) }
        }),
    );
    assert!(table.poll(0).is_pending());
    assert_eq!(table.woken(), [1, 0]);
    assert!(table.poll(0).is_pending());
    assert_eq!(table.poll(0), Poll::Ready(Some(0)));
    assert_eq!(table.poll(1), Poll::Ready(Some(1)));
}

#[test]
fn the_handler_is_dropped_with_the_last_seat() {
    let (gate, _, handler) = gated(2);
    let mut table = Table::new(2, handler);
    assert!(table.poll(0).is_pending());
    table.drop(0);
    assert!(!gate.is_canceled());
    table.drop(1);
    assert!(gate.is_canceled());
}

#[test]
fn a_panic_answers_every_seat() {
    let mut table = Table::new(2, poll_fn(|_| panic!("on purpose")));
    assert_eq!(table.poll(0), Poll::Ready(None));
    assert_eq!(table.poll(1), Poll::Ready(None));
}

#[test]
fn too_few_outcomes_leave_nobody_waiting() {
    let mut table = Table::new(3, async { numbers(1) });
    assert_eq!(table.poll(2), Poll::Ready(None));
    assert_eq!(table.poll(0), Poll::Ready(Some(0)));
    assert_eq!(table.poll(1), Poll::Ready(None));
}

#[test]
fn user_code_runs_outside_the_lock() {
    /// Asks for the lock when it is dropped, as a user's value may.
    struct Asks(Arc<Mutex<Option<Arc<MethodBatch>>>>, Arc<AtomicUsize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let batch = self.0.lock().unwrap().take();
            assert!(batch.is_none_or(|batch| batch.state.try_lock().is_ok()));
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (known, dropped) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let asks = Asks(Arc::clone(&known), Arc::clone(&dropped));
    let handler = async move {
        let _asks = asks;
        std::future::pending().await
    };
    let mut table = Table::new(1, handler);
    assert!(table.poll(0).is_pending());
    *known.lock().unwrap() = table.seats[0].as_ref().map(|seat| Arc::clone(&seat.batch));
    table.drop(0);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

static METHODS: [MethodDescriptor; 2] = [method(None), method(Some("many"))];
static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "Service",
    rust_name: "Service",
    docs: "",
    ordered: false,
    methods: &METHODS,
    objects: ObjectsCache::new(),
};

const fn method(batch: Option<&'static str>) -> MethodDescriptor {
    MethodDescriptor {
        name: "one",
        rust_name: "one",
        docs: "",
        arguments: &[],
        result: ValueDescriptor::new::<()>("()"),
        error: None,
        attributes: MethodAttributes { batch, ..MethodAttributes::NONE },
        cache: SignatureCache::new(),
    }
}

/// Answers calls that come together with their places; panics at the first that comes alone, and at two.
#[derive(Default)]
struct Counting {
    alone: AtomicUsize,
}

impl Service for Counting {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, _: u32, _: Incoming) -> Reply {
        assert!(self.alone.fetch_add(1, Ordering::SeqCst) > 0, "on purpose");
        Reply(ReplyInner::Done(Outcome::Error(vec![1].into(), Vec::new())))
    }

    fn dispatch_many(&self, _: u32, calls: Vec<Incoming>) -> Vec<Reply> {
        assert!(calls.len() != 2, "on purpose");
        numbers(u8::try_from(calls.len()).unwrap())
            .into_iter()
            .map(|outcome| Reply(ReplyInner::Done(outcome)))
            .collect()
    }
}

fn check_started(method: usize, calls: usize, expected: &[Option<u8>]) {
    let limits = Limits { batch_max: 3, ..Limits::default() };
    let scope = Arc::new(SessionScope::of_no_session(Peer::default(), limits.clone()));
    let incoming = || Incoming {
        target: BeginTarget::Root(0),
        method: &METHODS[method],
        service: &SERVICE,
        arguments: Arguments::none(),
        want: Want { value: true, keep: false },
        budget: DecodeBudget::from(&limits),
        deadline: None,
        metadata: Vec::new(),
        scope: Arc::clone(&scope),
    };
    let calls = (0..calls).map(|_| incoming()).collect();
    let number = u32::try_from(method).unwrap();
    let replies = start_many(&Counting::default(), number, calls).into_iter().map(|reply| match reply {
        ReplyInner::Done(Outcome::Error(bytes, _)) => Some(bytes[0]),
        ReplyInner::Done(_) | ReplyInner::Running { .. } => None,
    });
    assert_eq!(replies.collect::<Vec<_>>(), expected);
}

#[test]
fn calls_without_a_batch_method_start_one_by_one_and_fail_alone() {
    check_started(0, 3, &[None, Some(1), Some(1)]);
    check_started(0, 0, &[]);
}

#[test]
fn calls_with_a_batch_method_start_together_up_to_the_limit() {
    check_started(1, 7, &[Some(0), Some(1), Some(2), Some(0), Some(1), Some(2), Some(0)]);
}

#[test]
fn a_panic_while_a_batch_starts_fails_its_calls_alone() {
    check_started(1, 5, &[Some(0), Some(1), Some(2), None, None]);
}
