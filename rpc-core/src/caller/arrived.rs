//! Operators and methods of values, which promises have only to say why they lack them.
//!
//! A promise is compared, calculated with, printed or read by mistake, above all in the closure of a `map`, where it looks like a
//! value. Without these implementations rustc would only say that an operator, a format or a method is missing. They need [`Arrived`], which no
//! value has.

use std::{
    cmp::Ordering,
    fmt,
    future::Future,
    iter::{Empty, empty},
    marker::PhantomData,
    ops::{Add, Div, Mul, Rem, Sub},
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    caller::{
        pipeline::{OptionPipe, SequencePipe},
        promise::Promise,
    },
    error::CallError,
    never::Never,
};

/// A value that is here. No value has it: the trait stands for what the operators of a promise lack.
#[diagnostic::on_unimplemented(
    message = "a promise has no value yet, so it cannot be compared, calculated with, printed or read",
    label = "the value of the promise is not here",
    note = "where the value is needed here, await the promise: `promise.await?`",
    note = "the closure of a `map` runs once and before there are values: it records calls, which the peer makes for each element. To \
            decide by a value there, pass the promise to a method of the service that decides"
)]
pub trait Arrived {}

/// A value with elements, over which a promise of it can be mapped. Numbers and texts have none.
#[diagnostic::on_unimplemented(
    message = "a promise of `{Self}` cannot be mapped: only a promise of a `Vec`, an `Option` or a `Streaming` has `map`",
    label = "`{Self}` has no elements",
    note = "to pass the value to another call, pass the promise as it is: `chat.rename(promise)`",
    note = "to calculate with the value, await the promise: `promise.await.map(|value| …)` maps the `Ok`"
)]
pub trait HasElements<Mapped> {}

/// The error of a method that cannot fail: [`Never`] alone.
#[diagnostic::on_unimplemented(
    message = "a promise that fails with `{Self}` cannot be given another error",
    label = "only a promise of a method without an error can be widened",
    note = "await it and map the error: `promise.await.map_err(…)`; `join!` gives each promise a result of its own"
)]
pub trait CannotFail {}

impl CannotFail for Never {}

/// A promise where a future is asked for. No promise has it: the trait stands for what a promise lacks there.
#[diagnostic::on_unimplemented(
    message = "a promise is no future until it is made into one",
    label = "`promise.into_future()` is the future",
    note = "`promise.await` does that by itself; `rpc_core::join!`, `rpc_core::try_join!` and `rpc_core::join_all` do it for several promises; elsewhere, as in \
            `tokio::spawn(…)`, write `promise.into_future()`"
)]
pub trait MadeIntoAFuture {
    /// Nothing. A type of this trait makes rustc silent about all that follows from the mistake.
    type Output;
}

/// A reference to a promise where the promise is asked for. No promise has it.
#[diagnostic::on_unimplemented(
    message = "a promise is awaited by value, not by reference",
    label = "this is a reference to a promise",
    note = "a promise gives its value once: await the promise itself and keep the value; pass `&promise` to other calls before that"
)]
pub trait AwaitedByValue {
    /// See [`MadeIntoAFuture`].
    type Output;
}

/// A promise of a list where the list is asked for. No promise has it.
#[diagnostic::on_unimplemented(
    message = "a promise has no elements to iterate over yet",
    label = "the list of the promise is not here",
    note = "await the promise first: `for one in promise.await?`",
    note = "to make a call for each element without waiting for the list, write `promise.map(|one| chat.profile(one))`: the peer makes the calls"
)]
pub trait ListArrived {
    /// See [`MadeIntoAFuture`].
    type Item;
}

/// The value of a promise. A type of its own, because bounds on the value itself would be explained with its name.
#[derive(Debug)]
pub struct ValueOf<T>(PhantomData<T>);

// rustc finds these implementations, then their bounds, and reports the bounds.
#[doc(hidden)]
impl<T, E> Future for Promise<T, E>
where
    ValueOf<T>: MadeIntoAFuture,
{
    type Output = <ValueOf<T> as MadeIntoAFuture>::Output;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

#[doc(hidden)]
impl<T, E> Future for &Promise<T, E>
where
    ValueOf<T>: AwaitedByValue,
{
    type Output = <ValueOf<T> as AwaitedByValue>::Output;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

#[doc(hidden)]
impl<T, E> Iterator for Promise<T, E>
where
    ValueOf<T>: ListArrived,
{
    type Item = <ValueOf<T> as ListArrived>::Item;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// The other side of an operator. A type of its own, because rustc explains bounds on a
/// promise itself in words of its own.
#[derive(Debug)]
pub struct Operand<Other>(PhantomData<Other>);

// With two implementations, if only for types that nobody can name, rustc takes the operator first, whatever is on its other side, and
// then asks for the bound.
#[diagnostic::do_not_recommend]
impl Arrived for Operand<Nothing> {}
#[diagnostic::do_not_recommend]
impl Arrived for Operand<NothingElse> {}

#[derive(Debug)]
pub enum Nothing {}

#[derive(Debug)]
pub enum NothingElse {}

#[doc(hidden)]
impl<T, E, Other> PartialEq<Other> for Promise<T, E>
where
    Operand<Other>: Arrived,
{
    fn eq(&self, _: &Other) -> bool {
        false
    }
}

#[doc(hidden)]
impl<T, E, Other> PartialOrd<Other> for Promise<T, E>
where
    Operand<Other>: Arrived,
{
    fn partial_cmp(&self, _: &Other) -> Option<Ordering> {
        None
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident),+) => {$(
        #[doc(hidden)]
        impl<T, E, Other> $operator<Other> for Promise<T, E>
        where
            Operand<Other>: Arrived,
        {
            type Output = Self;

            fn $method(self, _: Other) -> Self {
                self
            }
        }
    )+};
}
operators!(Add add, Sub sub, Mul mul, Div div, Rem rem);

#[doc(hidden)]
impl<T: Arrived, E> fmt::Display for Promise<T, E> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

#[doc(hidden)]
impl<T: Arrived, E> fmt::Debug for Promise<T, E> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

#[doc(hidden)]
impl<T, E> Promise<T, E> {
    pub fn unwrap(self) -> T
    where
        T: Arrived,
    {
        unreachable!("no value has the bound")
    }

    pub fn expect(self, _: &str) -> T
    where
        T: Arrived,
    {
        unreachable!("no value has the bound")
    }

    pub fn unwrap_or_default(self) -> T
    where
        T: Arrived,
    {
        unreachable!("no value has the bound")
    }

    pub fn unwrap_or_else(self, _: impl FnOnce(CallError<E>) -> T) -> T
    where
        T: Arrived,
    {
        unreachable!("no value has the bound")
    }

    pub fn map_err<Mapped>(self, _: impl FnOnce(CallError<E>) -> Mapped) -> Result<T, Mapped>
    where
        T: Arrived,
    {
        unreachable!("no value has the bound")
    }
}

#[doc(hidden)]
impl<T, E> SequencePipe<T, E> {
    pub fn len(&self) -> usize
    where
        T: Arrived,
    {
        0
    }

    pub fn is_empty(&self) -> bool
    where
        T: Arrived,
    {
        true
    }

    pub fn iter(&self) -> Empty<T>
    where
        T: Arrived,
    {
        empty()
    }

    pub fn filter<Predicate>(&self, _: Predicate) -> &Self
    where
        T: Arrived,
    {
        self
    }

    pub fn collect<List>(&self) -> List
    where
        T: Arrived,
    {
        unreachable!("no value has the bound")
    }

    pub fn for_each(&self, _: impl FnMut(T))
    where
        T: Arrived,
    {
    }

    pub fn enumerate(&self) -> Empty<(usize, T)>
    where
        T: Arrived,
    {
        empty()
    }
}

#[doc(hidden)]
impl<T, E> OptionPipe<T, E> {
    pub fn is_some(&self) -> bool
    where
        T: Arrived,
    {
        false
    }

    pub fn is_none(&self) -> bool
    where
        T: Arrived,
    {
        true
    }

    pub fn unwrap(&self) -> Promise<T, E>
    where
        T: Arrived,
        E: Send + Sync + 'static,
    {
        self.some()
    }
}

// Promises of types without parts have no pipe, so these methods hide none of a pipe.
macro_rules! without_parts {
    ($($value:ty),+) => {$(
        #[doc(hidden)]
        impl<E> Promise<$value, E> {
            pub fn map<Mapped>(self, _: impl FnOnce(Self) -> Mapped) -> Self
            where
                $value: HasElements<Mapped>,
            {
                self
            }
        }
    )+};
}
without_parts!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    String
);

#[doc(hidden)]
impl<E> Promise<String, E> {
    pub fn len(&self) -> usize
    where
        ValueOf<E>: Arrived,
    {
        0
    }

    pub fn is_empty(&self) -> bool
    where
        ValueOf<E>: Arrived,
    {
        true
    }

    pub fn as_str(&self) -> &str
    where
        ValueOf<E>: Arrived,
    {
        ""
    }
}
