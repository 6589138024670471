//! The pipe of a promised stream.

use std::{
    future::{Pending, pending},
    marker::PhantomData,
};

use crate::{
    caller::{
        arrived::Arrived,
        outcomes::decode_error,
        pipeline::{Mapped, PipeAt, Pipelined},
        promise::Promise,
        record,
    },
    error::{ElementError, StreamError},
    never::Never,
    stream::Streaming,
    wire::map_program::Policy,
};

/// The pipe of a promised stream: maps its items at the peer.
pub struct StreamPipe<T, E> {
    at: PipeAt<E>,
    _items: PhantomData<fn() -> T>,
}

impl<T, E> Clone for StreamPipe<T, E> {
    fn clone(&self) -> Self {
        Self { at: self.at.clone(), _items: PhantomData }
    }
}

impl<T, E: Send + Sync + 'static> StreamPipe<T, E> {
    /// Maps each item through the calls of `each`, and gives a stream of the results in the order of the items. The peer makes
    /// the calls, next to the stream, as items come and as this side has room for results.
    ///
    /// [`SequencePipe::map`](crate::pipes::SequencePipe::map) documents what `each` may do. Results may have objects and streams inside.
    ///
    /// # Errors
    /// An item that fails ends the new stream with [`StreamError::Failed`](crate::StreamError::Failed), which has the item's error;
    /// [`map_each`](Self::map_each) goes on instead. If the mapped stream ends with an error of its own type, the new one ends with
    /// [`StreamError::Broken`](crate::StreamError::Broken); otherwise it ends as the mapped stream does.
    ///
    /// # Example
    /// ```
    /// use futures::TryStreamExt;
    /// # use rpc_core::{Services, Streaming, memory, rpc};
    /// #[rpc]
    /// trait Numbers {
    ///     async fn upto(&self, end: u64) -> Streaming<u64>;
    ///     async fn next(&self, number: u64) -> u64;
    /// }
    /// # struct Counting;
    /// # impl Numbers for Counting {
    /// #     async fn upto(&self, end: u64) -> Streaming<u64> { Streaming::from_iter(0..end) }
    /// #     async fn next(&self, number: u64) -> u64 { number + 1 }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let numbers: NumbersClient = memory::connect(Services::new().with(NumbersServer::new(Counting))).service();
    /// let next = numbers.upto(3).map(|number| numbers.next(number)).await?;
    /// assert_eq!(next.try_collect::<Vec<_>>().await?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<R: Mapped>(
        &self,
        each: impl FnOnce(Promise<T, E>) -> R,
    ) -> Promise<Streaming<R::Value, ElementError<R::Error>>, Never> {
        Promise::of_call(record::map(&self.at.place, Policy::Fail, decode_error::<Never>, each))
    }

    /// Like [`map`](Self::map), but the error of an item that fails takes its place in the stream, and the others go on.
    #[allow(clippy::type_complexity, reason = "an alias would hide what the promise gives")]
    pub fn map_each<R: Mapped>(
        &self,
        each: impl FnOnce(Promise<T, E>) -> R,
    ) -> Promise<Streaming<Result<R::Value, ElementError<R::Error>>>, Never> {
        Promise::of_call(record::map(&self.at.place, Policy::Collect, decode_error::<Never>, each))
    }
}

impl<T: 'static, SE: 'static> Pipelined for Streaming<T, SE> {
    type Pipe<E: Send + Sync + 'static> = StreamPipe<T, E>;
    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E> {
        StreamPipe { at, _items: PhantomData }
    }
}

// Does not compile, like the operators of promises, and says why.
#[doc(hidden)]
impl<T, E> StreamPipe<T, E> {
    pub fn next(&self) -> Pending<Option<Result<T, StreamError>>>
    where
        T: Arrived,
    {
        pending()
    }
}
