//! The pipe of a stream that is not here yet.

use std::marker::PhantomData;

use crate::{
    caller::{
        outcomes::decode_error,
        pipeline::{PipeAt, Pipelined},
        promise::Promise,
        record,
    },
    error::ElementError,
    never::Never,
    stream::Streaming,
    wire::map_program::Policy,
};

/// The pipe of a stream.
pub struct StreamPipe<T, E> {
    at: PipeAt<E>,
    _items: PhantomData<fn() -> T>,
}

impl<T, E: Send + Sync + 'static> StreamPipe<T, E> {
    /// A stream of what the calls of `each` make of every item, in the order of the items. The peer makes the calls, next to
    /// the stream, as items come and as this side has room for what becomes of them.
    ///
    /// What `each` may do is said at [`SequencePipe::map`](crate::SequencePipe::map). Items may become values with objects and streams inside.
    ///
    /// # Errors
    /// An item that fails ends the stream, with [`StreamError::Failed`](crate::StreamError::Failed) that says how;
    /// [`map_each`](Self::map_each) goes on instead. When the mapped stream ends with an error of its own type, this one
    /// ends with [`StreamError::Broken`](crate::StreamError::Broken), and otherwise as that one does.
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
    pub fn map<U, E2>(
        &self,
        each: impl FnOnce(Promise<T, E>) -> Promise<U, E2>,
    ) -> Promise<Streaming<U, ElementError<E2>>, Never> {
        Promise::of_call(record::map(&self.at.place, Policy::Fail, decode_error::<Never>, each))
    }

    /// Like [`map`](Self::map), but an item that fails takes its error's place in the stream and the others go on.
    pub fn map_each<U, E2>(
        &self,
        each: impl FnOnce(Promise<T, E>) -> Promise<U, E2>,
    ) -> Promise<Streaming<Result<U, ElementError<E2>>>, Never> {
        Promise::of_call(record::map(&self.at.place, Policy::Collect, decode_error::<Never>, each))
    }
}

impl<T: 'static, SE: 'static> Pipelined for Streaming<T, SE> {
    type Pipe<E: Send + Sync + 'static> = StreamPipe<T, E>;
    fn pipe<E: Send + Sync + 'static>(at: PipeAt<E>) -> Self::Pipe<E> {
        StreamPipe { at, _items: PhantomData }
    }
}
