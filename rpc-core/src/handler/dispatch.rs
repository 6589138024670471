//! Services, and the start of a call: at its service, or at the peer to which its object forwards calls.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{self, Poll},
};

use crate::{
    handler::{
        forward,
        incoming::{Incoming, Reply, ReplyInner, RunningHandler, panicked},
    },
    schema::descriptor::{MethodDescriptor, ServiceDescriptor},
    value::{object::LocalObject, outcome::Outcome},
};

/// A service that answers calls. `#[rpc]` generates one as `…Server`, around an implementation of the trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` answers no calls",
    label = "wrap it in the server that `#[rpc]` generated: `…Server::new(…)`",
    note = "a server is made of an implementation of the trait, as in `ChatServer::new(Rooms)`; a client has none, and is passed to the peer in a call"
)]
pub trait Service: Send + Sync + 'static {
    /// The descriptor of the service: its methods and their types.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    #[doc(hidden)]
    fn dispatch(&self, method: u32, incoming: Incoming) -> Reply;

    /// Starts several calls of one method together and returns their replies in the same order.
    #[doc(hidden)]
    fn dispatch_many(&self, method: u32, calls: Vec<Incoming>) -> Vec<Reply> {
        calls.into_iter().map(|incoming| self.dispatch(method, incoming)).collect()
    }
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
    /// An empty list of services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service. Checks the types of its methods, and those of the objects that the methods take and return.
    ///
    /// # Panics
    /// - When the list already has a service of this wire name.
    /// - When a type of one of the methods would not arrive as it was sent: bincode cannot carry it, serde's attributes make
    ///   it write otherwise than it reads, or it could not be traced to the end. The message names methods, places and
    ///   remedies.
    #[track_caller]
    pub fn with(mut self, service: impl Service) -> Self {
        let descriptor = service.descriptor();
        assert!(
            self.list.iter().all(|known| known.descriptor().name != descriptor.name),
            "two services are named `{}`; give one another name with #[rpc(name = \"…\")]",
            descriptor.name
        );
        let problems = descriptor.problems();
        assert!(problems.is_empty(), "`{}` cannot be offered:\n  {}", descriptor.name, problems.join("\n  "));
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

    /// The descriptors of the services, in the order in which they were added.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.list.iter().map(|service| service.descriptor())
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Arc<dyn Service>> {
        self.list.get(index)
    }
}

/// Logs the methods of a service that cannot be called, where it is too late to refuse the service.
#[doc(hidden)]
pub fn log_problems(service: &'static ServiceDescriptor) {
    for problem in service.problems() {
        tracing::error!("a method cannot be called: {problem}");
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.descriptors().map(|descriptor| descriptor.name)).finish()
    }
}

/// Polls a handler; a panic becomes the call's outcome.
pub(crate) fn poll_handler(
    handler: &mut RunningHandler,
    method: &MethodDescriptor,
    cx: &mut task::Context<'_>,
) -> Poll<Outcome> {
    catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)))
        .unwrap_or_else(|panic| Poll::Ready(panicked(&*panic, method)))
}

/// Starts a handler, which begins with decoding its arguments; a panic becomes the call's outcome.
pub(crate) fn start(service: &dyn Service, method: u32, incoming: Incoming) -> ReplyInner {
    let descriptor = incoming.method;
    catch_unwind(AssertUnwindSafe(|| service.dispatch(method, incoming)))
        .map_or_else(|panic| ReplyInner::Done(panicked(&*panic, descriptor)), |reply| reply.0)
}

/// Starts a call of an object's method: at the object's service, or where the object forwards calls.
pub(crate) fn start_on(object: &LocalObject, method: u32, incoming: Incoming) -> Option<ReplyInner> {
    match object.service() {
        Some(service) => Some(start(service.as_ref(), method, incoming)),
        None => Some(forward::start(object.behaviour()?, method, incoming)),
    }
}
