//! tarpc over TCP with bincode, without Nagle's algorithm. Its buffers and the calls that may be in flight are raised above
//! what any workload has, so that nothing waits for them; payloads are `serde_bytes`, so that bincode copies them whole.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::StreamExt;
use serde_bytes::ByteBuf;
use tarpc::{
    client, context,
    serde_transport::{self, Transport},
    server::{self, Channel},
    tokio_serde::formats::Bincode,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::codec::LengthDelimitedCodec;

use crate::drive::{self, Done, Failure, TEXT, Task};

const CALLS_MAX: usize = 8_192;

#[tarpc::service]
pub(crate) trait Echo {
    async fn small(number: u64, text: String) -> (u64, String);
    async fn bytes(payload: ByteBuf) -> ByteBuf;
    async fn next(number: u64) -> u64;
}

#[derive(Clone)]
struct Echoing;

impl Echo for Echoing {
    async fn small(self, _: context::Context, number: u64, text: String) -> (u64, String) {
        (number, text)
    }

    async fn bytes(self, _: context::Context, payload: ByteBuf) -> ByteBuf {
        payload
    }

    async fn next(self, _: context::Context, number: u64) -> u64 {
        number + 1
    }
}

type Wire<Item, SinkItem> = Transport<TcpStream, Item, SinkItem, Bincode<Item, SinkItem>>;

fn wire<Item, SinkItem>(stream: TcpStream) -> Result<Wire<Item, SinkItem>, Failure>
where
    Item: for<'a> tarpc::serde::Deserialize<'a>,
    SinkItem: tarpc::serde::Serialize,
{
    stream.set_nodelay(true)?;
    Ok(serde_transport::new(LengthDelimitedCodec::builder().new_framed(stream), Bincode::default()))
}

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    loop {
        let channel = server::Config { pending_response_buffer: CALLS_MAX };
        let calls = channel.channel(wire(listener.accept().await?.0)?).execute(Echoing.serve());
        tokio::spawn(calls.for_each(async |call| drop(tokio::spawn(call))));
    }
}

impl drive::Client for EchoClient {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let mut config = client::Config::default();
        config.max_in_flight_requests = CALLS_MAX;
        config.pending_request_buffer = CALLS_MAX;
        Ok(Self::new(config, wire(TcpStream::connect(address).await?)?).spawn())
    }

    async fn small(&self, number: u64) -> Result<(), Failure> {
        self.small(context::current(), number, TEXT.to_owned()).await?;
        Ok(())
    }

    async fn echo(&self, payload: Bytes) -> Result<usize, Failure> {
        Ok(self.bytes(context::current(), ByteBuf::from(payload)).await?.len())
    }

    async fn next(&self, number: u64) -> Result<u64, Failure> {
        Ok(self.next(context::current(), number).await?)
    }

    fn spawn(task: Task<Self>) -> JoinHandle<Result<Done, Failure>> {
        tokio::spawn(task.run())
    }
}
