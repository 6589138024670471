//! The error type that the promises of one `try_join!` share.
//!
//! `try_join!` asks each promise for its error type, and takes the first that is not [`Never`]. Promises of methods that cannot fail
//! are widened to it. Methods of a type go before methods of traits, so the inherent methods below answer for `Never`, and those of
//! the traits for all other errors.

use std::{future::IntoFuture, marker::PhantomData};

use serde::de::DeserializeOwned;

use crate::{
    caller::promise::{CallFuture, Promise},
    never::Never,
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
    /// This error, also if the next promise has another one, which the join then reports.
    fn or<E>(self, _: JoinedError<E>) -> Self {
        self
    }
}

impl<E> KnownError for JoinedError<E> {}

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

impl<T: DeserializeOwned + 'static> Joined<Promise<T, Never>> {
    /// The future of the promise, with the shared error.
    pub fn with<E: DeserializeOwned + Send + Sync + 'static>(self, _: &JoinedError<E>) -> CallFuture<T, E> {
        Promise::widen(self.0).into_future()
    }
}

/// The answers of promises with an error and of futures.
pub trait JoinedAsIs: Sized {
    /// The promise or future.
    type Joins: IntoFuture;

    /// A future is not asked for its error.
    fn error(&self) -> JoinedError<Never> {
        JoinedError::none()
    }

    /// The future, with its own error.
    fn with<E>(self, _: &JoinedError<E>) -> <Self::Joins as IntoFuture>::IntoFuture;
}

impl<P: IntoFuture> JoinedAsIs for Joined<P> {
    type Joins = P;

    fn with<E>(self, _: &JoinedError<E>) -> P::IntoFuture {
        self.0.into_future()
    }
}
