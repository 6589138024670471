//! gRPC over HTTP/2, with windows that adapt and without Nagle's algorithm.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint, Server},
};

use self::stubs::{
    flow_client::FlowClient,
    flow_server::{Flow, FlowServer},
};
use crate::{Failure, Moved, TEXT, read_for};

mod stubs {
    include!(concat!(env!("OUT_DIR"), "/flow.Flow.rs"));
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Request {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Item {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    text: String,
}

struct Flowing;

#[tonic::async_trait]
impl Flow for Flowing {
    type ItemsStream = Pin<Box<dyn Stream<Item = Result<Item, Status>> + Send>>;

    async fn items(&self, _: tonic::Request<Request>) -> Result<Response<Self::ItemsStream>, Status> {
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
    let server = Server::builder().http2_adaptive_window(Some(true)).add_service(FlowServer::new(Flowing));
    Ok(server.serve_with_incoming(incoming).await?)
}

pub(crate) async fn connect(address: SocketAddr) -> Result<FlowClient<Channel>, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let channel = endpoint.tcp_nodelay(true).http2_adaptive_window(true).connect().await?;
    Ok(FlowClient::new(channel))
}

pub(crate) async fn items(
    mut client: FlowClient<Channel>,
    time: Duration,
) -> Result<(Moved, FlowClient<Channel>), Failure> {
    let mut items = client.items(Request {}).await?.into_inner();
    Ok((read_for(&mut items, time).await?, client))
}
