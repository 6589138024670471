//! The service of the simulation. Each method takes the number of its call and writes its run down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, stream};
use rpc_core::{Streaming, rpc};
use tokio::time::sleep;

use super::ledger::{Alive, CallNumber, Failure, Kind, Ledger, Outcome, Runs};

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("on purpose: {0}")]
pub(super) struct DeskError(pub(super) u64);

#[rpc]
pub(super) trait Desk {
    /// Doubles a number, after a time.
    async fn double(&self, call: u64, number: u64, millis: u64) -> u64;
    #[rpc(idempotent)]
    async fn look(&self, call: u64, number: u64, millis: u64) -> u64;
    /// Doubles an element of a map.
    async fn double_each(&self, call: u64, number: u64) -> u64;
    async fn fail(&self, call: u64) -> Result<u64, DeskError>;
    async fn echo(&self, call: u64, bytes: Bytes) -> Bytes;
    async fn list(&self, call: u64, end: u64) -> Vec<u64>;
    /// Counts up to a number, with pauses.
    async fn count(&self, call: u64, end: u64, millis: u64) -> Streaming<u64>;
    /// Reads numbers, and tells how many came before the end, and whether it was one without an error.
    async fn read(&self, call: u64, numbers: Streaming<u64>) -> (u64, bool);
    /// Tells a listener all numbers, one after the other, and returns how many arrived.
    async fn tell(&self, call: u64, listener: ListenerClient, end: u64) -> u64;
    async fn counter(&self, call: u64) -> CounterClient;
}

#[rpc]
pub(super) trait Counter {
    async fn next(&self, call: u64) -> u64;
}

#[rpc]
pub(super) trait Listener {
    async fn hear(&self, call: u64, number: u64) -> u64;
}

#[derive(Clone)]
pub(super) struct Clerk(pub(super) Ledger);

impl Clerk {
    fn begin(&self, call: CallNumber, element: u64) -> Alive {
        self.0.ran(call, element);
        self.0.alive(Kind::Handler)
    }
}

impl Desk for Clerk {
    async fn double(&self, call: u64, number: u64, millis: u64) -> u64 {
        let _alive = self.begin(call, 0);
        sleep(Duration::from_millis(millis)).await;
        number * 2
    }

    async fn look(&self, call: u64, number: u64, millis: u64) -> u64 {
        let _alive = self.begin(call, 0);
        sleep(Duration::from_millis(millis)).await;
        number * 2
    }

    async fn double_each(&self, call: u64, number: u64) -> u64 {
        let _alive = self.begin(call, number);
        sleep(Duration::from_millis(number % 7)).await;
        number * 2
    }

    async fn fail(&self, call: u64) -> Result<u64, DeskError> {
        let _alive = self.begin(call, 0);
        Err(DeskError(call))
    }

    async fn echo(&self, call: u64, bytes: Bytes) -> Bytes {
        let _alive = self.begin(call, 0);
        bytes
    }

    async fn list(&self, call: u64, end: u64) -> Vec<u64> {
        let _alive = self.begin(call, 0);
        (0..end).collect()
    }

    async fn count(&self, call: u64, end: u64, millis: u64) -> Streaming<u64> {
        let alive = self.begin(call, 0);
        Streaming::new(stream::unfold((0, alive), move |(number, alive)| async move {
            if number % 8 == 7 {
                sleep(Duration::from_millis(millis)).await;
            }
            (number < end).then_some((number, (number + 1, alive)))
        }))
    }

    async fn read(&self, call: u64, mut numbers: Streaming<u64>) -> (u64, bool) {
        let _alive = self.begin(call, 0);
        let mut expected = 0;
        while let Some(number) = numbers.next().await {
            match number {
                Ok(number) if number == expected => expected += 1,
                Ok(number) => self.0.fault(format_args!("{call:x}: item {number} in place of {expected}")),
                Err(_) => return (expected, false),
            }
        }
        (expected, true)
    }

    async fn tell(&self, call: u64, listener: ListenerClient, end: u64) -> u64 {
        let _alive = self.begin(call, 0);
        for number in 0..end {
            let said = call + 1 + number;
            self.0.begin(said, "hear", Runs::Once);
            // The host may crash, or the call be cancelled, while the listener is called.
            let unsettled = Unsettled { ledger: &self.0, call: Some(said) };
            let heard = listener.hear(said, number).into_future().boxed().await;
            unsettled.settle();
            if self.0.settle_with(said, heard, |heard| *heard == number).is_none() {
                return number;
            }
        }
        end
    }

    async fn counter(&self, call: u64) -> CounterClient {
        let _alive = self.begin(call, 0);
        let alive = self.0.alive(Kind::Object);
        CounterClient::local(Count { ledger: self.0.clone(), count: AtomicU64::new(0), _alive: alive })
    }
}

/// A call whose caller may be dropped before it settles.
struct Unsettled<'a> {
    ledger: &'a Ledger,
    call: Option<CallNumber>,
}

impl Unsettled<'_> {
    fn settle(mut self) {
        self.call = None;
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.ledger.settle(call, Outcome::Dropped);
        }
    }
}

struct Count {
    ledger: Ledger,
    count: AtomicU64,
    _alive: Alive,
}

impl Counter for Count {
    async fn next(&self, call: u64) -> u64 {
        self.ledger.ran(call, 0);
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A client's listener, which hears each number once and in order.
pub(super) struct Ear {
    ledger: Ledger,
    expected: Arc<AtomicU64>,
    _alive: Alive,
}

impl Ear {
    pub(super) fn new(ledger: &Ledger, expected: Arc<AtomicU64>) -> Self {
        Self { ledger: ledger.clone(), expected, _alive: ledger.alive(Kind::Object) }
    }
}

impl Listener for Ear {
    async fn hear(&self, call: u64, number: u64) -> u64 {
        self.ledger.ran(call, 0);
        let expected = self.expected.fetch_add(1, Ordering::SeqCst);
        if expected != number {
            self.ledger.fault(format_args!("{call:x}: heard {number} in place of {expected}"));
        }
        number
    }
}

/// The end of a call for whoever waits for it too long.
pub(super) fn never_settled() -> Outcome {
    Outcome::Failed(Failure { text: "it never settled".into(), may_have_run: true, is_loss: false })
}
