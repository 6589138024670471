//! The error type that the promises of one `try_join!` share.
//!
//! `try_join!` asks each promise for its error type, and takes the first that is not [`Never`]. Promises of methods that cannot fail
//! are widened to it. Methods of a type go before methods of traits, so the inherent methods below answer for `Never`, and those of
//! the traits for all other errors.

use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
};

use crate::{
    caller::promise::Promise,
    never::Never,
    schema::travels::{ByNobody, Impossible},
};

/// A promise or a future under `try_join!`.
#[derive(Debug)]
pub struct Joined<P>(P);

/// The error type of promises under `try_join!`.
#[derive(Debug)]
pub struct JoinedError<E>(PhantomData<fn() -> E>);

impl JoinedError<Never> {
    /// The error of no promise.
    pub fn none() -> Self {
        Self(PhantomData)
    }

    /// The error of the next promise.
    pub fn or<E>(self, next: JoinedError<E>) -> JoinedError<E> {
        next
    }
}

/// The answer of errors other than [`Never`].
pub trait KnownError: Sized {
    /// The error.
    type Error;

    /// This error, which the next promise must have too, unless it cannot fail.
    fn or<E: SameError<Self::Error, By>, By>(self, _: JoinedError<E>) -> JoinedError<E::Shared> {
        JoinedError(PhantomData)
    }
}

impl<E> KnownError for JoinedError<E> {
    type Error = E;
}

/// An error of a promise that can be joined with promises that fail with `E`.
#[diagnostic::on_unimplemented(
    message = "promises that fail with `{E}` and with `{Self}` cannot share an error",
    label = "`try_join!` gives one error for all",
    note = "`rpc_core::join!` gives each promise a result of its own"
)]
pub trait SameError<E, By> {
    /// `E`. Of errors that differ it is no type at all, so that rustc says nothing of what follows from that.
    type Shared;
}

/// Marks the two implementations of [`SameError`].
#[derive(Debug)]
pub struct BySame;
/// See [`BySame`].
#[derive(Debug)]
pub struct ByNever;

#[diagnostic::do_not_recommend]
impl<E> SameError<E, BySame> for E {
    type Shared = E;
}
#[diagnostic::do_not_recommend]
impl<E> SameError<E, ByNever> for Never {
    type Shared = E;
}

impl<P> Joined<P> {
    /// Takes the promise or future.
    pub fn new(promise: P) -> Self {
        Self(promise)
    }
}

impl<T, E> Joined<Promise<T, E>> {
    /// The error of the promise.
    pub fn error(&self) -> JoinedError<E> {
        JoinedError(PhantomData)
    }
}

impl<T> Joined<Promise<T, Never>> {
    /// The promise, with the shared error.
    pub fn with<E>(self, _: &JoinedError<E>) -> Promise<T, E> {
        Promise::widen(self.0)
    }
}

/// The answers of promises with an error and of futures.
pub trait JoinedAsIs: Sized {
    /// The promise or future.
    type Joins;

    /// A future is not asked for its error.
    fn error(&self) -> JoinedError<Never> {
        JoinedError::none()
    }

    /// The promise or future, with its own error.
    fn with<E: Beside<Self::Joins>>(self, _: &JoinedError<E>) -> E::Joins;
}

impl<P> JoinedAsIs for Joined<P> {
    type Joins = P;

    fn with<E: Beside<P>>(self, _: &JoinedError<E>) -> E::Joins {
        E::joins(self.0)
    }
}

/// A shared error beside a promise or a future with an error of its own. All are; rustc knows the promise only if it knows the error.
pub trait Beside<P> {
    /// `P`.
    type Joins;

    /// Returns the promise or future.
    fn joins(promise: P) -> Self::Joins;
}

impl<P, E> Beside<P> for E {
    type Joins = P;

    fn joins(promise: P) -> P {
        promise
    }
}

/// A promise or a future under `join!` or `try_join!`.
///
/// As with `Travels`, the second implementation makes rustc report this trait, and nothing of what
/// the macros do with the future.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a promise nor a future",
    label = "`join!` and `try_join!` wait for it themselves",
    note = "promises are joined instead of awaited: remove `.await` inside of the macro"
)]
pub trait Joinable<By> {
    /// The future.
    type Future: Future;

    /// Makes the future.
    fn joinable(self) -> Self::Future;
}

/// Marks the implementation of [`Joinable`] for all promises and futures.
#[derive(Debug)]
pub struct ByFuture;

#[diagnostic::do_not_recommend]
impl<P: IntoFuture> Joinable<ByFuture> for P {
    type Future = P::IntoFuture;

    fn joinable(self) -> P::IntoFuture {
        self.into_future()
    }
}

#[diagnostic::do_not_recommend]
impl<P: IntoFuture + Impossible> Joinable<ByNobody> for P {
    type Future = P::IntoFuture;

    fn joinable(self) -> P::IntoFuture {
        self.into_future()
    }
}
