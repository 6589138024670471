//! Pipes: the parts of a result that is not here yet, as promises. Made by `#[derive(Pipeline)]` and for standard types.

use std::{marker::PhantomData, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    caller::{outcomes::decode_error, promise::Promise, record},
    error::ElementError,
    link::cell::Place,
    never::Never,
    path::Step,
    wire::map_program::Policy,
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
    /// The pipe that a `Promise<Self, E>` derefs to.
    type Pipe<E: Send + Sync + 'static>: Send + Sync + 'static;

    #[doc(hidden)]
    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E>;
}

/// What the closure of a `map` returns: a promise, which stands for the result of each element.
#[diagnostic::on_unimplemented(
    message = "the closure of a `map` returns one promise, not `{Self}`",
    label = "a promise is due here",
    note = "return the promise of one call, or a part of one: `|id| chat.profile(id).name()`, without `async`, `.await`, `?` and a `;` at the end; two results \
            of an element are two maps, and a one-way call has no promise"
)]
pub trait Mapped {
    /// The type of an element of the map's result.
    type Value;
    /// The error that fails the map.
    type Error;

    #[doc(hidden)]
    fn promise(self) -> Promise<Self::Value, Self::Error>;
}

impl<T, E> Mapped for Promise<T, E> {
    type Value = T;
    type Error = E;

    fn promise(self) -> Self {
        self
    }
}

/// The place a pipe stands for: a call's result and the path into it. Keeps the call alive.
#[doc(hidden)]
pub struct PipeAt<E> {
    pub(crate) place: Place,
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

    /// The same value under another type: the one inside a transparent wrapper.
    pub fn same<T>(&self) -> Promise<T, E> {
        Promise::part(self.place.clone())
    }

    /// The place inside the variant with this index.
    pub fn variant(&self, index: u32) -> Self {
        self.then(Step::Variant(index))
    }
}

/// The pipe of an `Option<T>`.
pub struct OptionPipe<T, E> {
    at: PipeAt<E>,
    _value: PhantomData<fn() -> T>,
}

impl<T, E> Clone for OptionPipe<T, E> {
    fn clone(&self) -> Self {
        Self { at: self.at.clone(), _value: PhantomData }
    }
}

impl<T, E: Send + Sync + 'static> OptionPipe<T, E> {
    /// The value inside the `Some`. A call that uses it fails with `Upstream` when the option is `None`.
    pub fn some(&self) -> Promise<T, E> {
        Promise::part(self.at.place.then(Step::Some))
    }

    /// Makes the calls of `each` with the value inside, at the peer; `None` stays `None`.
    ///
    /// Everything that [`SequencePipe::map`] says holds here too, for a sequence of one element or none.
    pub fn map<R: Mapped>(&self, each: impl FnOnce(Promise<T, E>) -> R) -> Promise<Option<R::Value>, R::Error>
    where
        R::Error: DeserializeOwned + Send + Sync + 'static,
    {
        Promise::of_call(record::map(&self.at.place, Policy::Fail, decode_error::<R::Error>, each))
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

impl<T, E> Clone for SequencePipe<T, E> {
    fn clone(&self) -> Self {
        Self { at: self.at.clone(), _value: PhantomData }
    }
}

impl<T, E: Send + Sync + 'static> SequencePipe<T, E> {
    /// The element at `index`. A call that uses it fails with `Upstream` when the sequence is shorter.
    pub fn index(&self, index: u32) -> Promise<T, E> {
        Promise::part(self.at.place.then(Step::Index(index)))
    }

    /// Makes the calls of `each` for every element, at the peer, and returns their results in the order of the elements.
    /// However many elements there are, the map is one call and one result.
    ///
    /// `each` runs once, here and now, with a promise that stands for an element. A call that uses this promise, or the
    /// result of such a call, is not made but recorded. The peer makes all recorded calls for each element, also those whose
    /// results are not returned. Other calls in `each` are made once, as usual, and recorded calls may use their promises.
    /// `each` may map in turn, also over its element, and use promises of the closures around it.
    ///
    /// `each` cannot await: it passes a promise to the next call instead. It returns one promise; for several values of an
    /// element, map several times over the same promise.
    ///
    /// The peer works on several elements at once (`Limits::map_concurrency`). For each element it makes the calls in the
    /// order in which they were recorded. A one-way call is recorded too; its failure does not fail its element. All recorded
    /// calls share the earliest of their deadlines and the metadata of their stubs.
    ///
    /// # Errors
    /// The first element that fails ends the map with [`CallError::Element`](crate::CallError::Element), which holds its
    /// index and how the promise that `each` returned would have failed for it. Elements before it have run to their end,
    /// those behind it are stopped. [`map_each`](Self::map_each) goes on instead. If the mapped promise itself fails, the map
    /// fails as other calls that are built on that promise do.
    ///
    /// The promise fails with [`Refusal::Misuse`](crate::Refusal::Misuse) if `each` used a promise of another session or of a
    /// closure that is not around it, if its calls carry different metadata or take a stream, or if it uses more than 62
    /// promises from outside. Any other use of an element's promise outside of its closure fails with `Misuse` too.
    ///
    /// The promise fails with [`Refusal::InvalidReference`](crate::Refusal::InvalidReference), also before any call, if the
    /// result of an element would be a value with objects inside: return the object itself (`.board()`, not the struct it
    /// lies in). It fails with [`Refusal::ResourceExhausted`](crate::Refusal::ResourceExhausted) before any call is made if
    /// the program, or its length times the number of elements, exceeds the peer's `map_steps_max`, `map_depth_max` or
    /// `map_calls_max`.
    ///
    /// # Example
    /// ```
    /// # use rpc_core::{Services, memory, rpc};
    /// #[rpc]
    /// trait Numbers {
    ///     async fn upto(&self, end: u64) -> Vec<u64>;
    ///     async fn next(&self, number: u64) -> u64;
    /// }
    /// # struct Counting;
    /// # impl Numbers for Counting {
    /// #     async fn upto(&self, end: u64) -> Vec<u64> { (0..end).collect() }
    /// #     async fn next(&self, number: u64) -> u64 { number + 1 }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let numbers: NumbersClient = memory::connect(Services::new().with(NumbersServer::new(Counting))).service();
    /// let next = numbers.upto(3).map(|number| numbers.next(number));   // not one call was answered yet
    /// assert_eq!(next.await?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<R: Mapped>(&self, each: impl FnOnce(Promise<T, E>) -> R) -> Promise<Vec<R::Value>, R::Error>
    where
        R::Error: DeserializeOwned + Send + Sync + 'static,
    {
        Promise::of_call(record::map(&self.at.place, Policy::Fail, decode_error::<R::Error>, each))
    }

    /// Like [`map`](Self::map), but the error of a failed element takes the element's place in the result, and the others
    /// go on.
    ///
    /// # Errors
    /// Only if the map as a whole cannot be run; see [`map`](Self::map). [`Promise::widen`] gives the promise another error
    /// type.
    #[allow(clippy::type_complexity, reason = "an alias would hide what the promise gives")]
    pub fn map_each<R: Mapped>(
        &self,
        each: impl FnOnce(Promise<T, E>) -> R,
    ) -> Promise<Vec<Result<R::Value, ElementError<R::Error>>>, Never> {
        Promise::of_call(record::map(&self.at.place, Policy::Collect, decode_error::<Never>, each))
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
        impl<$($value,)+ Error> Clone for $pipe<$($value,)+ Error> {
            fn clone(&self) -> Self {
                Self { at: self.at.clone(), _value: PhantomData }
            }
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
