//! From a call that may start to its handler's outcome: the typed half of a server.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, DecodeBudget},
    context::{CancelSignal, Context, ContextInner, Peer},
    descriptor::{MethodDescriptor, ServiceDescriptor},
    layout::{
        Layout,
        walk::{self, WalkError},
    },
    path::Step,
    select::{self, SelectError},
    session_handle::SessionHandle,
    small_bytes::SmallBytes,
    time::Time,
    wire::{Failure, Want, program::ElementFailure},
};

/// Something that answers calls: what `#[rpc]` generates as `…Server` around an implementation of the trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` answers no calls",
    label = "wrap it in the server that `#[rpc]` generated: `…Server::new(…)`"
)]
pub trait Service: Send + Sync + 'static {
    /// What it offers, as data.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    #[doc(hidden)]
    fn dispatch(&self, method: u32, incoming: Incoming) -> Reply;
}

/// The services one side of a session offers.
///
/// ```
/// # use rpc_core::{Services, rpc};
/// # #[rpc]
/// # trait Numbers {
/// #     async fn next(&self, number: u64) -> u64;
/// # }
/// # struct Counting;
/// # impl Numbers for Counting {
/// #     async fn next(&self, number: u64) -> u64 { number + 1 }
/// # }
/// let services = Services::new().with(NumbersServer::new(Counting));
/// assert_eq!(services.descriptors().next().map(|service| service.name), Some("Numbers"));
/// ```
#[derive(Clone, Default)]
pub struct Services {
    list: Vec<Arc<dyn Service>>,
}

impl Services {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more. Traces the layouts of its methods and logs those whose types the codec cannot carry.
    ///
    /// # Panics
    /// When a service of the same wire name is there already: which one answers would be chance.
    #[track_caller]
    pub fn with(mut self, service: impl Service) -> Self {
        let descriptor = service.descriptor();
        assert!(
            self.list.iter().all(|known| known.descriptor().name != descriptor.name),
            "two services are named `{}`; give one another name with #[rpc(name = \"…\")]",
            descriptor.name
        );
        log_problems(descriptor);
        self.list.push(Arc::new(service));
        self
    }

    /// Adds a service unless its name is taken.
    #[doc(hidden)]
    pub fn offer(&mut self, service: Arc<dyn Service>) {
        let name = service.descriptor().name;
        if self.list.iter().all(|known| known.descriptor().name != name) {
            self.list.push(service);
        }
    }

    /// What they offer, as data.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.list.iter().map(|service| service.descriptor())
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Arc<dyn Service>> {
        self.list.get(index)
    }
}

/// Logs the methods whose types the codec cannot carry; traces their layouts on the way.
#[doc(hidden)]
pub fn log_problems(service: &ServiceDescriptor) {
    for method in service.methods {
        for problem in method.problems() {
            tracing::error!("`{}.{}` cannot be called: {problem}", service.name, method.name);
        }
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.descriptors().map(|descriptor| descriptor.name)).finish()
    }
}

/// A result kept for later calls, typed: parts of it are encoded when they are asked for.
pub(crate) trait Held: Send {
    /// Appends the encoded part at `path`.
    fn select(&self, path: &[Step], out: &mut Vec<u8>) -> Result<(), SelectError>;
}

/// Empty only while it is dropped.
struct HeldValue<T>(Option<T>);

impl<T: Serialize + Send> Held for HeldValue<T> {
    fn select(&self, path: &[Step], out: &mut Vec<u8>) -> Result<(), SelectError> {
        let Some(value) = &self.0 else { return Err(SelectError::Missed) };
        // A user's `Serialize` may panic; it must not take the session with it.
        catch_unwind(AssertUnwindSafe(|| select::select(value, path, out))).unwrap_or_else(|_| {
            Err(SelectError::Encode(crate::error::EncodeError("its Serialize panicked".into())))
        })
    }
}

/// A user's `Drop` may panic too: in a release it would end the session, and while that unwinds, the next held value
/// would abort the process.
impl<T> Drop for HeldValue<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            tracing::error!("a result that was kept panicked when it was dropped: {}", panic_text(&*panic));
        }
    }
}

/// A result kept as bytes.
pub(crate) struct HeldBytes {
    pub(crate) bytes: SmallBytes,
    pub(crate) layout: Layout,
}

impl Held for HeldBytes {
    fn select(&self, path: &[Step], out: &mut Vec<u8>) -> Result<(), SelectError> {
        if path.is_empty() {
            out.extend_from_slice(&self.bytes);
            return Ok(());
        }
        let range = walk::locate(&self.layout, &self.bytes, path).map_err(|error| match error {
            WalkError::Missed => SelectError::Missed,
            other => SelectError::Encode(crate::error::EncodeError(other.to_string())),
        })?;
        out.extend_from_slice(&self.bytes[range]);
        Ok(())
    }
}

/// How a handler ended.
pub(crate) enum Outcome {
    Value {
        /// The encoded value, if the caller wants it.
        payload: Option<SmallBytes>,
        /// The value and its encoded length, if it is to be kept.
        held: Option<(Box<dyn Held>, usize)>,
    },
    Error(SmallBytes),
    /// An element of a map failed.
    Element(ElementFailure),
    Failed(Failure),
}

/// A call that may start: its arguments and what is wanted of it.
#[doc(hidden)]
pub struct Incoming {
    pub(crate) method: &'static MethodDescriptor,
    pub(crate) arguments: Vec<SmallBytes>,
    pub(crate) want: Want,
    pub(crate) budget: DecodeBudget,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) scope: Arc<SessionScope>,
}

/// What all calls of one session share.
pub(crate) struct SessionScope {
    pub(crate) peer: Peer,
    pub(crate) session: SessionHandle,
}

/// A handler at work, or the reason why there is none.
#[doc(hidden)]
pub struct Reply(pub(crate) ReplyInner);

pub(crate) enum ReplyInner {
    Done(Outcome),
    Running {
        handler: RunningHandler,
        /// Tells the handler that it is cancelled, if it can know.
        cancelled: Option<Arc<CancelSignal>>,
    },
}

pub(crate) type RunningHandler = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Incoming {
    /// Decodes the arguments and starts a handler that needs no context.
    pub fn run<A, T, E, F>(self, decode: Decode<A>, handler: impl FnOnce(A) -> F) -> Reply
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize + Send + 'static,
        E: Serialize,
    {
        match decode_arguments(decode, &self) {
            Ok(arguments) => reply(handler(arguments), self.want, None),
            Err(failure) => Reply::failed(failure),
        }
    }

    /// Decodes the arguments and starts a handler that takes its context.
    pub fn run_with_context<A, T, E, F>(
        self,
        decode: Decode<A>,
        handler: impl FnOnce(A, Context) -> F,
    ) -> Reply
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize + Send + 'static,
        E: Serialize,
    {
        let arguments = match decode_arguments(decode, &self) {
            Ok(arguments) => arguments,
            Err(failure) => return Reply::failed(failure),
        };
        let Self { want, deadline, metadata, scope, .. } = self;
        let cancelled = Arc::<CancelSignal>::default();
        let inner = Arc::new(ContextInner { scope, deadline, metadata, cancelled: Arc::clone(&cancelled) });
        reply(handler(arguments, Context { inner }), want, Some(cancelled))
    }

    /// The answer to a method number this service does not have.
    pub fn unknown_method(self) -> Reply {
        Reply::failed(Failure::UnknownMethod)
    }
}

impl Reply {
    fn failed(failure: Failure) -> Self {
        Self(ReplyInner::Done(Outcome::Failed(failure)))
    }
}

/// How generated code takes its arguments, in order.
#[doc(hidden)]
pub type Decode<A> = fn(&mut ArgumentReader<'_>) -> Result<A, ArgumentError>;

/// Hands out the decoded arguments in order.
#[doc(hidden)]
pub struct ArgumentReader<'a> {
    arguments: std::slice::Iter<'a, SmallBytes>,
    budget: DecodeBudget,
    index: usize,
}

/// An argument that could not be decoded.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentError {
    index: usize,
    reason: String,
}

impl ArgumentReader<'_> {
    /// The next argument.
    #[inline]
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, ArgumentError> {
        let index = self.index;
        self.index += 1;
        let bytes =
            self.arguments.next().ok_or_else(|| ArgumentError { index, reason: "it is missing".into() })?;
        codec::decode(bytes, self.budget).map_err(|error| ArgumentError { index, reason: error.to_string() })
    }
}

fn decode_arguments<A>(decode: Decode<A>, incoming: &Incoming) -> Result<A, Failure> {
    let mut reader =
        ArgumentReader { arguments: incoming.arguments.iter(), budget: incoming.budget, index: 0 };
    let decoded = decode(&mut reader).and_then(|arguments| match reader.arguments.len() {
        0 => Ok(arguments),
        left => {
            Err(ArgumentError { index: reader.index, reason: format!("{left} more than the method takes") })
        }
    });
    decoded.map_err(|ArgumentError { index, reason }| Failure::InvalidArgument {
        argument: incoming
            .method
            .arguments
            .get(index)
            .map_or("(after the last)", |argument| argument.name)
            .into(),
        reason,
    })
}

fn reply<T, E>(
    handler: impl Future<Output = Result<T, E>> + Send + 'static,
    want: Want,
    cancelled: Option<Arc<CancelSignal>>,
) -> Reply
where
    T: Serialize + Send + 'static,
    E: Serialize,
{
    let handler = Box::pin(async move { outcome(handler.await, want) });
    Reply(ReplyInner::Running { handler, cancelled })
}

/// Encodes what a handler returned, on the handler's own task.
fn outcome<T: Serialize + Send + 'static, E: Serialize>(result: Result<T, E>, want: Want) -> Outcome {
    let encoded = match result {
        Ok(value) => value_outcome(value, want),
        Err(error) => SmallBytes::encode(|out| codec::encode(&error, out)).map(Outcome::Error),
    };
    encoded.unwrap_or_else(|error| {
        Outcome::Failed(Failure::InvalidArgument { argument: "(result)".into(), reason: error.to_string() })
    })
}

fn value_outcome<T: Serialize + Send + 'static>(
    value: T,
    want: Want,
) -> Result<Outcome, crate::error::EncodeError> {
    let mut payload = None;
    if want.value {
        payload = Some(SmallBytes::encode(|out| codec::encode(&value, out))?);
    }
    let mut held = None;
    if want.keep {
        let length = match &payload {
            Some(bytes) => bytes.len(),
            None => codec::encoded_len(&value)?,
        };
        held = Some((Box::new(HeldValue(Some(value))) as Box<dyn Held>, length));
    }
    Ok(Outcome::Value { payload, held })
}

/// Polls user code; a panic becomes the call's outcome.
pub(crate) fn poll_handler(
    handler: &mut RunningHandler,
    method: &MethodDescriptor,
    cx: &mut task::Context<'_>,
) -> Poll<Outcome> {
    catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)))
        .unwrap_or_else(|panic| Poll::Ready(panicked(&*panic, method)))
}

/// Starts user code, which begins with decoding its arguments; a panic becomes the call's outcome.
pub(crate) fn start(service: &dyn Service, method: u32, incoming: Incoming) -> ReplyInner {
    let descriptor = incoming.method;
    catch_unwind(AssertUnwindSafe(|| service.dispatch(method, incoming)))
        .map_or_else(|panic| ReplyInner::Done(panicked(&*panic, descriptor)), |reply| reply.0)
}

fn panicked(panic: &(dyn Any + Send), method: &MethodDescriptor) -> Outcome {
    tracing::error!("the handler of `{}` panicked: {}", method.name, panic_text(panic));
    Outcome::Failed(Failure::Panicked)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)")
}
