//! What can be done with a result before it is here: pipes, made by `#[derive(Pipeline)]` and for the standard types.

use std::{marker::PhantomData, sync::Arc};

use crate::{
    path::Step,
    promise::{Place, Promise},
};

/// A type whose parts can be named before a value of it exists.
///
/// `#[derive(Pipeline)]` or `#[rpc_core::data]` implement it. A `Promise<T, E>` of such a type derefs to its pipe:
/// methods named like the fields of a struct, `some()` for an `Option`, `index(i)` for a `Vec`, `_0()` for a tuple.
#[diagnostic::on_unimplemented(
    message = "the parts of a promised `{Self}` cannot be used before it is here",
    label = "`{Self}` has no pipe",
    note = "put `#[rpc_core::data]` or `#[derive(rpc_core::Pipeline)]` on `{Self}`, or await the promise first"
)]
pub trait Pipelined {
    /// What a `Promise<Self, E>` derefs to.
    type Pipe<E: Send + Sync + 'static>: Send + Sync + 'static;

    #[doc(hidden)]
    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E>;
}

/// Where a pipe stands: a call's result and the path into it. Keeps the call alive.
#[doc(hidden)]
pub struct PipeAt<E> {
    place: Place,
    _error: PhantomData<fn() -> E>,
}

impl<E> Clone for PipeAt<E> {
    fn clone(&self) -> Self {
        Self { place: self.place.clone(), _error: PhantomData }
    }
}

impl<E: Send + Sync + 'static> PipeAt<E> {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, _error: PhantomData }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    fn then(&self, step: Step) -> Self {
        Self::new(self.place.then(step))
    }

    /// The part at a field, as a promise of its own.
    pub fn field<T>(&self, ordinal: u32) -> Promise<T, E> {
        Promise::part(self.place.then(Step::Field(ordinal)))
    }

    /// The same value under another type: what a transparent wrapper holds.
    pub fn same<T>(&self) -> Promise<T, E> {
        Promise::part(self.place.clone())
    }

    /// Inside the variant with this index.
    pub fn variant(&self, index: u32) -> Self {
        self.then(Step::Variant(index))
    }
}

/// The pipe of an `Option<T>`.
pub struct OptionPipe<T, E> {
    at: PipeAt<E>,
    _value: PhantomData<fn() -> T>,
}

impl<T, E: Send + Sync + 'static> OptionPipe<T, E> {
    /// The value inside. A call that uses it fails with `Upstream` when the value is `None`.
    pub fn some(&self) -> Promise<T, E> {
        Promise::part(self.at.place.then(Step::Some))
    }
}

impl<T: 'static> Pipelined for Option<T> {
    type Pipe<E: Send + Sync + 'static> = OptionPipe<T, E>;
    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E> {
        OptionPipe { at, _value: PhantomData }
    }
}

/// The pipe of a sequence.
pub struct SequencePipe<T, E> {
    at: PipeAt<E>,
    _value: PhantomData<fn() -> T>,
}

impl<T, E: Send + Sync + 'static> SequencePipe<T, E> {
    /// The element at `index`. A call that uses it fails with `Upstream` when the sequence is shorter.
    pub fn index(&self, index: u32) -> Promise<T, E> {
        Promise::part(self.at.place.then(Step::Index(index)))
    }
}

impl<T: 'static> Pipelined for Vec<T> {
    type Pipe<E: Send + Sync + 'static> = SequencePipe<T, E>;
    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E> {
        SequencePipe { at, _value: PhantomData }
    }
}

macro_rules! transparent {
    ($($pointer:ident),+) => {$(
        impl<T: Pipelined + 'static> Pipelined for $pointer<T> {
            type Pipe<E: Send + Sync + 'static> = T::Pipe<E>;
            fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E> {
                T::pipe(at)
            }
        }
    )+};
}
transparent!(Box, Arc);

macro_rules! tuples {
    ($($pipe:ident $count:literal: $($value:ident $method:ident $ordinal:literal),+;)+) => {$(
        #[doc = concat!("The pipe of a tuple of ", $count, ".")]
        pub struct $pipe<$($value,)+ Error> {
            at: PipeAt<Error>,
            _value: PhantomData<fn() -> ($($value,)+)>,
        }
        impl<$($value,)+ Error: Send + Sync + 'static> $pipe<$($value,)+ Error> {
            $(
                #[doc = concat!("Element ", $ordinal, ".")]
                pub fn $method(&self) -> Promise<$value, Error> {
                    self.at.field($ordinal)
                }
            )+
        }
        impl<$($value: 'static),+> Pipelined for ($($value,)+) {
            type Pipe<Error: Send + Sync + 'static> = $pipe<$($value,)+ Error>;
            fn pipe<Error: Send + Sync + 'static>(at: PipeAt<Error>) -> Self::Pipe<Error> {
                $pipe { at, _value: PhantomData }
            }
        }
    )+};
}
tuples! {
    Tuple1Pipe 1: A _0 0;
    Tuple2Pipe 2: A _0 0, B _1 1;
    Tuple3Pipe 3: A _0 0, B _1 1, C _2 2;
    Tuple4Pipe 4: A _0 0, B _1 1, C _2 2, D _3 3;
    Tuple5Pipe 5: A _0 0, B _1 1, C _2 2, D _3 3, E5 _4 4;
    Tuple6Pipe 6: A _0 0, B _1 1, C _2 2, D _3 3, E5 _4 4, F _5 5;
}
