//! Operators and methods of values, which promises have only to say why they lack them.
//!
//! A promise is compared, calculated with, printed or read by mistake, above all in the closure of a `map`, where it looks like a
//! value. Without these implementations rustc would only say that an operator, a format or a method is missing. They need [`Arrived`], which no
//! value has.

use std::{
    cmp::Ordering,
    fmt,
    iter::{Empty, empty},
    marker::PhantomData,
    ops::{Add, Div, Mul, Rem, Sub},
};

use crate::{
    caller::{
        pipeline::{OptionPipe, SequencePipe},
        promise::Promise,
    },
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

/// The error of a method that cannot fail: [`Never`] alone.
#[diagnostic::on_unimplemented(
    message = "a promise that fails with `{Self}` cannot be given another error",
    label = "only a promise of a method without an error can be widened",
    note = "await it and map the error: `promise.await.map_err(…)`; `join!` gives each promise a result of its own"
)]
pub trait CannotFail {}

impl CannotFail for Never {}

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
