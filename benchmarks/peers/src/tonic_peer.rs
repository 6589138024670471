//! gRPC over HTTP/2, without Nagle's algorithm and with room for all calls in flight: 200 streams are the server's default.
//!
//! The windows are large from the start. Adaptive ones, the other advice, begin at 64 KiB, and from a window the codec also
//! derives how many small frames may be unread before it hangs up: some 130 answers, fewer than W2 has in flight.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server},
};

use self::stubs::{
    echo_client::EchoClient,
    echo_server::{Echo, EchoServer},
};
use crate::drive::{self, Done, Failure, TEXT, Task, read_for};

mod stubs {
    include!(concat!(env!("OUT_DIR"), "/echo.Echo.rs"));
}

const CALLS_MAX: u16 = 8_192;
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Item {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    payload: Bytes,
}

struct Echoing;

#[tonic::async_trait]
impl Echo for Echoing {
    type ItemsStream = Pin<Box<dyn Stream<Item = Result<Item, Status>> + Send>>;

    async fn small(&self, request: Request<Item>) -> Result<Response<Item>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn bytes(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn next(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        Ok(Response::new(Number { number: request.into_inner().number + 1 }))
    }

    async fn items(&self, _: Request<Nothing>) -> Result<Response<Self::ItemsStream>, Status> {
        let items = stream::iter((0..).map(|number| Ok(Item { number, text: TEXT.to_owned() })));
        Ok(Response::new(items.boxed()))
    }
}

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    });
    let mut server = Server::builder()
        .max_concurrent_streams(u32::from(CALLS_MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    Ok(server.add_service(EchoServer::new(Echoing)).serve_with_incoming(incoming).await?)
}

/// A call needs the client to itself; clones share its connection.
#[derive(Clone)]
pub(crate) struct Client(EchoClient<Channel>);

impl drive::Client for Client {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .buffer_size(usize::from(CALLS_MAX));
        Ok(Self(EchoClient::new(endpoint.connect().await?)))
    }

    async fn small(&self, number: u64) -> Result<(), Failure> {
        self.0.clone().small(Item { number, text: TEXT.to_owned() }).await?;
        Ok(())
    }

    async fn echo(&self, payload: Bytes) -> Result<usize, Failure> {
        Ok(self.0.clone().bytes(Payload { payload }).await?.into_inner().payload.len())
    }

    async fn next(&self, number: u64) -> Result<u64, Failure> {
        Ok(self.0.clone().next(Number { number }).await?.into_inner().number)
    }

    async fn items(&self, time: Duration) -> Result<Done, Failure> {
        let mut items = self.0.clone().items(Nothing {}).await?.into_inner();
        read_for(&mut items, time).await
    }

    fn spawn(task: Task<Self>) -> JoinHandle<Result<Done, Failure>> {
        tokio::spawn(task.run())
    }
}
