//! The service under test, and clients that load it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rpc_client::Client;
use rpc_core::rpc;
use rpc_server::Server;
use tokio::net::TcpListener;

use crate::Failure;

pub(crate) mod streams;

/// What the workloads call.
#[rpc]
pub(crate) trait Echo {
    /// A number and sixteen bytes of text, as small calls are.
    async fn small(&self, number: u64, text: String) -> (u64, String);
    async fn bytes(&self, bytes: Bytes) -> Bytes;
    /// One step of a chain.
    async fn next(&self, number: u64) -> u64;
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
}

pub(crate) const TEXT: &str = "sixteen bytes ok";

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let flow = streams::FlowServer::new(streams::Flowing::default());
    Ok(Server::builder().service(EchoServer::new(Echoing)).service(flow).serve_on(listener).await?)
}

pub(crate) async fn connect(address: SocketAddr) -> Result<EchoClient, Failure> {
    let client = Client::connect(&format!("ws://{address}")).await?;
    let echo: EchoClient = client.service();
    echo.next(0).await?;
    Ok(echo)
}

/// The time of each of many calls, one after the other.
pub(crate) async fn latencies(address: SocketAddr, time: Duration) -> Result<Vec<Duration>, Failure> {
    let echo = connect(address).await?;
    let task = tokio::spawn(async move {
        let started = Instant::now();
        let mut latencies = Vec::new();
        while started.elapsed() < time {
            let before = Instant::now();
            echo.small(7, TEXT).await?;
            latencies.push(before.elapsed());
        }
        Ok(latencies)
    });
    task.await?
}

/// Calls done in `time` over `connections` connections with `in_flight` calls in flight on each.
pub(crate) async fn calls(
    address: SocketAddr,
    connections: usize,
    in_flight: usize,
    time: Duration,
) -> Result<u64, Failure> {
    let mut tasks = Vec::new();
    let started = Instant::now();
    for _ in 0..connections {
        let echo = connect(address).await?;
        for _ in 0..in_flight {
            let echo = echo.clone();
            tasks.push(tokio::spawn(async move {
                let mut done = 0_u64;
                while started.elapsed() < time {
                    echo.small(done, TEXT).await?;
                    done += 1;
                }
                Ok::<u64, Failure>(done)
            }));
        }
    }
    sum(tasks).await
}

/// Bytes echoed in `time`, with eight payloads in flight.
pub(crate) async fn payloads(address: SocketAddr, size: usize, time: Duration) -> Result<u64, Failure> {
    let echo = connect(address).await?;
    let payload = Bytes::from(vec![7; size]);
    let started = Instant::now();
    let tasks = (0..8).map(|_| {
        let (echo, payload) = (echo.clone(), payload.clone());
        tokio::spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < time {
                done += echo.bytes(payload.clone()).await?.len() as u64;
            }
            Ok::<u64, Failure>(done)
        })
    });
    sum(tasks.collect()).await
}

/// The time of each of many chains of `depth` dependent calls.
pub(crate) async fn chains(
    address: SocketAddr,
    depth: usize,
    pipelined: bool,
    time: Duration,
) -> Result<Vec<Duration>, Failure> {
    let echo = connect(address).await?;
    let task = tokio::spawn(async move {
        let started = Instant::now();
        let mut latencies = Vec::new();
        while started.elapsed() < time || latencies.len() < 3 {
            let before = Instant::now();
            if pipelined {
                let mut number = echo.next(0);
                for _ in 1..depth {
                    number = echo.next(number);
                }
                number.await?;
            } else {
                let mut number = 0;
                for _ in 0..depth {
                    number = echo.next(number).await?;
                }
            }
            latencies.push(before.elapsed());
        }
        Ok(latencies)
    });
    task.await?
}

async fn sum(tasks: Vec<tokio::task::JoinHandle<Result<u64, Failure>>>) -> Result<u64, Failure> {
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    Ok(total)
}
