//! Promises: results that are not here yet, which can be awaited or passed to other calls.

use std::{
    any::Any,
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use serde::de::DeserializeOwned;

use crate::{
    caller::{
        arrived::CannotFail,
        outcomes::call_error,
        pipeline::{PipeAt, Pipelined},
    },
    error::{CallError, Delivery},
    link::{
        CallRejected, OutgoingCall,
        cell::{BORN_FAILED, CallCell, Place, Referable, Returned, born_failed},
    },
    path::Path,
    wire::{METHOD_GET, arguments},
};

/// The result of a call, which may not be here yet.
///
/// The client's method queued the call and returned this promise. The queue is flushed when a promise of the session is first
/// awaited, so calls made without awaiting in between leave together; it is flushed within about a millisecond in any case.
///
/// * `.await` gives the value or a [`CallError<E>`]. A promise is not a future but becomes one: where a future is asked
///   for, as by `tokio::spawn`, pass `promise.into_future()`.
/// * A promise can be an argument of another call, by value or by reference. The peer substitutes the result, which saves a
///   round trip.
/// * If `T` is [`Pipelined`], the promise derefs to a pipe whose methods return promises of the value's parts.
/// * A promise has no value yet, so it cannot be compared, calculated or printed with. For the fields of a promised value that are
///   called like a method of `PartialEq` or `PartialOrd`, write `(*promise).lt()`.
/// * Dropping a promise cancels the call, unless another call depends on it. [`Promise::detach`] lets the call run.
///
/// # Example
/// ```
/// use rpc_core::{Services, memory, rpc};
///
/// #[rpc]
/// trait Numbers {
///     async fn next(&self, number: u64) -> u64;
/// }
/// # struct Counting;
/// # impl Numbers for Counting {
/// #     async fn next(&self, number: u64) -> u64 { number + 1 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers: NumbersClient = memory::connect(Services::new().with(NumbersServer::new(Counting))).service();
/// let one = numbers.next(0);                      // on its way
/// let three = numbers.next(numbers.next(&one));   // built on results nobody has seen yet
/// let (one, three) = rpc_core::try_join!(one, three)?;
/// assert_eq!((one, three), (1, 3));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a promise, also with `let _ =`, cancels its call; await it, pass it on or `Promise::detach` it"]
pub struct Promise<T, E> {
    value: Value,
    place: Place,
    pipe: OnceLock<Box<dyn Any + Send + Sync>>,
    _types: PhantomData<fn() -> (T, E)>,
}

/// The right to a call's value. Dropping it before the value is taken means that nobody wants the value.
struct Value {
    cell: Arc<CallCell>,
    taken: bool,
}

impl Value {
    fn new(cell: Arc<CallCell>) -> Self {
        Self { cell, taken: false }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if !self.taken {
            self.cell.drop_value();
        }
    }
}

impl<T, E> Promise<T, E> {
    /// The promise of a whole result.
    pub(crate) fn of_call(cell: Arc<CallCell>) -> Self {
        let base = Referable::first(Arc::clone(&cell));
        Self::new(cell, Place { base, path: Path::whole() })
    }

    /// The promise of a part of a result.
    pub(crate) fn part(place: Place) -> Self {
        Self::new(call_for_part(&place), place)
    }

    fn new(value: Arc<CallCell>, place: Place) -> Self {
        Self { value: Value::new(value), place, pipe: OnceLock::new(), _types: PhantomData }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Drops the promise without cancelling its call, which runs to its end. The result and any error are lost.
    pub fn detach(promise: Self) {
        promise.value.cell.detach();
    }
}

impl<T, E: CannotFail> Promise<T, E> {
    /// Gives the promise of a method that cannot fail another error type, for places where all errors must have one type.
    /// `try_join!` does it by itself.
    pub fn widen<Wider>(promise: Self) -> Promise<T, Wider> {
        Promise { value: promise.value, place: promise.place, pipe: OnceLock::new(), _types: PhantomData }
    }
}

impl<T: Pipelined, E: Send + Sync + 'static> Deref for Promise<T, E> {
    type Target = T::Pipe<E>;

    fn deref(&self) -> &Self::Target {
        let pipe = self.pipe.get_or_init(|| Box::new(T::pipe::<E>(PipeAt::new(self.place.clone()))));
        pipe.downcast_ref().expect("the pipe's type is fixed by the promise's")
    }
}

impl<T: DeserializeOwned + 'static, E: DeserializeOwned + Send + Sync + 'static> IntoFuture
    for Promise<T, E>
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = CallFuture<T, E>;

    fn into_future(self) -> CallFuture<T, E> {
        // Dropping the place here, before the call is sealed, tells the peer that the result need not be kept.
        CallFuture { call: RawCall::new(self.value), _types: PhantomData }
    }
}

/// The future of a [`Promise`]: waits for a call's result.
///
/// # Cancel safety
/// Dropping the future cancels the call, unless another call depends on it. A result that was not polled out is lost.
///
/// # Panics
/// When it is polled after it completed, as futures of `async fn`s do.
#[must_use = "futures do nothing unless polled, and dropping this one cancels its call"]
pub struct CallFuture<T, E> {
    call: RawCall,
    _types: PhantomData<fn() -> (T, E)>,
}

/// Waits for a call's result and leaves it encoded.
pub(crate) struct RawCall {
    value: Value,
    flushed: bool,
}

impl<T: DeserializeOwned + 'static, E: DeserializeOwned + Send + Sync + 'static> Future for CallFuture<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let returned = ready!(Pin::new(&mut self.call).poll(cx));
        let cell = &self.call.value.cell;
        Poll::Ready(match returned {
            Returned::Value(encoded) => encoded
                .decode(&cell.handle, cell.handle.link.budget)
                .map_err(|error| CallError::BadAnswer { method: cell.name(), error }),
            failed => Err(call_error(failed, cell)),
        })
    }
}

impl RawCall {
    fn new(value: Value) -> Self {
        Self { value, flushed: false }
    }

    /// Waits for a call that nothing else refers to.
    pub(crate) fn of_call(cell: Arc<CallCell>) -> Self {
        drop(Referable::first(Arc::clone(&cell)));
        Self::new(Value::new(cell))
    }

    pub(crate) fn cell(&self) -> &Arc<CallCell> {
        &self.value.cell
    }
}

impl Future for RawCall {
    type Output = Returned;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Returned> {
        let poll = self.value.cell.poll_take(cx);
        if poll.is_ready() {
            self.value.taken = true;
            return poll;
        }
        // Checked only while the result is pending: a result that was taken cannot be ready again.
        assert!(!self.value.taken, "a call's future was polled after it completed");
        if !self.flushed {
            self.flushed = true;
            self.value.cell.handle.link.flush();
        }
        poll
    }
}

impl<T, E> fmt::Debug for CallFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").finish_non_exhaustive()
    }
}

/// Queues the built-in call for the part of a result at `place`. The call is withdrawn before it is sent if nobody wants its
/// value.
pub(crate) fn call_for_part(place: &Place) -> Arc<CallCell> {
    let whole = place.base.cell();
    let new_cell = |id| CallCell::part(id, whole);
    if whole.id() == BORN_FAILED {
        return born_failed(new_cell(BORN_FAILED), whole.failure());
    }
    let mut payload = Vec::new();
    arguments::begin(&mut payload);
    arguments::count_one(&mut payload);
    arguments::put_reference(&mut payload, whole.id(), &place.path, false);
    let queued = whole.handle.link.call(false, |id| OutgoingCall {
        id,
        number: METHOD_GET,
        payload: payload.into(),
        bases: vec![place.base.clone()],
        deadline: None,
        extras: None,
        cell: new_cell(id),
    });
    queued.unwrap_or_else(|CallRejected(reason)| {
        born_failed(new_cell(BORN_FAILED), Returned::Disconnected { delivery: Delivery::NotSent, reason })
    })
}
