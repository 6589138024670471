//! Shows a method's own error where its type is not known: in the errors of calls that were built on the failed one.

use std::{
    any::Any,
    error::Error,
    fmt::{Debug, Display},
};

use super::layout::declared::Witness;
use crate::error::CallError;

/// The cause in a failed call's `CallError<E>`, if `E` is an error.
pub(crate) type CauseOf = fn(&(dyn Any + Send + Sync)) -> Option<&(dyn Error + 'static)>;

/// How a method's own error is shown: as what its type allows.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct ShownError {
    /// The text of an `E`.
    pub(crate) text: fn(&dyn Any) -> Option<String>,
    pub(crate) cause: CauseOf,
}

impl ShownError {
    const MUTE: Self = Self { text: |_| None, cause: |_| None };
}

/// Shows an error: `(&&&&Witness::<E>::new()).__rpc_shown()` resolves to this trait for types that are `Error`, to
/// [`ByDisplay`] for other types with a text, then to [`ByDebug`], and to [`ByNoText`] for all others.
#[doc(hidden)]
pub trait ByError {
    fn __rpc_shown(&self) -> ShownError;
}

impl<E: Error + 'static> ByError for &&&Witness<E> {
    fn __rpc_shown(&self) -> ShownError {
        ShownError {
            text: |error| error.downcast_ref::<E>().map(ToString::to_string),
            cause: |error| error.downcast_ref::<CallError<E>>()?.own_or_source(),
        }
    }
}

/// See [`ByError`].
#[doc(hidden)]
pub trait ByDisplay {
    fn __rpc_shown(&self) -> ShownError;
}

impl<E: Display + 'static> ByDisplay for &&Witness<E> {
    fn __rpc_shown(&self) -> ShownError {
        ShownError { text: |error| error.downcast_ref::<E>().map(ToString::to_string), ..ShownError::MUTE }
    }
}

/// See [`ByError`].
#[doc(hidden)]
pub trait ByDebug {
    fn __rpc_shown(&self) -> ShownError;
}

impl<E: Debug + 'static> ByDebug for &Witness<E> {
    fn __rpc_shown(&self) -> ShownError {
        let text = |error: &dyn Any| error.downcast_ref::<E>().map(|error| format!("{error:?}"));
        ShownError { text, ..ShownError::MUTE }
    }
}

/// See [`ByError`].
#[doc(hidden)]
pub trait ByNoText {
    fn __rpc_shown(&self) -> ShownError {
        ShownError::MUTE
    }
}

impl<E> ByNoText for Witness<E> {}
