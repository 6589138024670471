//! Sessions inside one process: for tests of a user's own services, without sockets but with the full protocol.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

pub use crate::driver::SessionConfig;
use bytes::Bytes;
use futures::{
    FutureExt, Sink, Stream,
    channel::mpsc::{self, Receiver, Sender},
};

use crate::{
    caller::{session_handle::SessionHandle, stub::Stub},
    driver::{self, Side},
    error::SocketError,
    handler::dispatch::{Service, Services},
    transport::{MessageRef, Transport},
};

/// Messages in flight in each direction.
const MESSAGES: usize = 16;

/// Serves `services` on a task of the current runtime and gives a handle connected to it. Calls are encoded, pipelined and
/// limited as over a socket.
///
/// # Panics
/// Outside a tokio runtime.
///
/// # Example
/// ```
/// # use rpc_core::{Services, memory, rpc};
/// # #[rpc]
/// # trait Numbers {
/// #     async fn next(&self, number: u64) -> u64;
/// # }
/// # struct Counting;
/// # impl Numbers for Counting {
/// #     async fn next(&self, number: u64) -> u64 { number + 1 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers: NumbersClient = memory::connect(Services::new().with(NumbersServer::new(Counting))).service();
/// assert_eq!(numbers.next(41).await?, 42);
/// # Ok(())
/// # }
/// ```
pub fn connect(services: Services) -> SessionHandle {
    let server = SessionConfig { services, ..SessionConfig::default() };
    connect_with(SessionConfig::default(), server).0
}

impl Stub {
    /// A stub whose calls `service` answers in this process.
    #[doc(hidden)]
    pub fn of_service(service: Arc<dyn Service>) -> Self {
        Self::served(service, Some(connect))
    }
}

/// Like [`connect`], with a full configuration for each side. Gives the client's and the server's handle.
///
/// # Panics
/// Outside a tokio runtime.
pub fn connect_with(client: SessionConfig, server: SessionConfig) -> (SessionHandle, SessionHandle) {
    let (near, far) = pipe();
    let (client, client_task) = driver::start(near, Side::Client, client);
    let (server, server_task) = driver::start(far, Side::Server, server);
    driver::spawn(Box::pin(client_task.map(drop)));
    driver::spawn(Box::pin(server_task.map(drop)));
    (client, server)
}

/// Two transports joined back to back.
pub fn pipe() -> (MemoryTransport, MemoryTransport) {
    let (near_sender, far_receiver) = mpsc::channel(MESSAGES);
    let (far_sender, near_receiver) = mpsc::channel(MESSAGES);
    (
        MemoryTransport { sender: near_sender, receiver: near_receiver },
        MemoryTransport { sender: far_sender, receiver: far_receiver },
    )
}

/// One end of a pipe in memory.
#[derive(Debug)]
pub struct MemoryTransport {
    sender: Sender<Bytes>,
    receiver: Receiver<Bytes>,
}

impl Transport for MemoryTransport {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>> {
        Pin::new(&mut self.receiver).poll_next(cx).map(|message| message.map(Ok))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Pin::new(&mut self.sender).poll_ready(cx).map_err(|_| SocketError::Cut)
    }

    fn send(&mut self, message: MessageRef<'_>) -> Result<(), SocketError> {
        Pin::new(&mut self.sender).start_send(message.to_vec().into()).map_err(|_| SocketError::Cut)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        // A message in the channel counts as delivered, so there is nothing to flush; `poll_ready` waits for a full channel.
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        _code: u16,
        _reason: &str,
    ) -> Poll<Result<(), SocketError>> {
        self.sender.close_channel();
        while ready!(Pin::new(&mut self.receiver).poll_next(cx)).is_some() {}
        Poll::Ready(Ok(()))
    }
}
