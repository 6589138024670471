//! The service under test, and clients that load it.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use rpc_client::Client;
use rpc_core::{Limits, rpc};
use rpc_server::Server;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::drive::{self, Done, Failure, TEXT, Task, read_for};

pub(crate) mod streams;

/// What the workloads call.
#[rpc]
pub(crate) trait Echo {
    /// A number and sixteen bytes of text, as small calls are.
    async fn small(&self, number: u64, text: String) -> (u64, String);
    async fn bytes(&self, bytes: Bytes) -> Bytes;
    /// One step of a chain.
    async fn next(&self, number: u64) -> u64;
    /// So many numbers, to map over.
    async fn numbers(&self, count: u64) -> Vec<u64>;
}

struct Echoing;

impl Echo for Echoing {
    async fn small(&self, number: u64, text: String) -> (u64, String) {
        (number, text)
    }

    async fn bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    async fn next(&self, number: u64) -> u64 {
        number + 1
    }

    async fn numbers(&self, count: u64) -> Vec<u64> {
        (0..count).collect()
    }
}

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let flow = streams::FlowServer::new(streams::Flowing::default());
    // As many as the workload of idle streams opens; a side bounds those that it sends as well.
    let limits = Limits { streams_max: 16_384, ..Limits::default() };
    let server = Server::builder().service(EchoServer::new(Echoing)).service(flow).limits(limits);
    Ok(server.serve_on(listener).await?)
}

/// A session as its users get it: with default limits.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) echo: EchoClient,
    flow: streams::FlowClient,
}

impl drive::Client for Session {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let client = Client::connect(&format!("ws://{address}")).await?;
        Ok(Self { echo: client.service(), flow: client.service() })
    }

    async fn small(&self, number: u64) -> Result<(), Failure> {
        self.echo.small(number, TEXT).await?;
        Ok(())
    }

    async fn echo(&self, payload: Bytes) -> Result<usize, Failure> {
        Ok(self.echo.bytes(payload).await?.len())
    }

    async fn next(&self, number: u64) -> Result<u64, Failure> {
        Ok(self.echo.next(number).await?)
    }

    async fn pipelined(&self, depth: usize) -> Result<(), Failure> {
        let mut number = self.echo.next(0);
        for _ in 1..depth {
            number = self.echo.next(number);
        }
        number.await?;
        Ok(())
    }

    async fn items(&self, time: Duration) -> Result<Done, Failure> {
        read_for(&mut self.flow.items().await?, time).await
    }

    fn spawn(task: Task<Self>) -> JoinHandle<Result<Done, Failure>> {
        tokio::spawn(task.run())
    }
}
