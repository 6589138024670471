//! The servers that are loaded.

use std::{hint::black_box, net::SocketAddr};

use bytes::Bytes;
use rpc_core::{Limits, rpc};
use rpc_server::{Server, listen::ListenOptions};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{Failure, raw};

/// What serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Rpc,
    /// A raw echo that flushes once for all queued messages.
    Raw,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Raw => "ws-batch",
        }
    }
}

#[rpc]
pub(crate) trait Desk {
    async fn small(&self, number: u64, text: String) -> (u64, String);
    async fn bytes(&self, bytes: Bytes) -> Bytes;
    /// Keeps a processor busy.
    async fn work(&self, rounds: u32) -> u64;
}

struct Worker;

impl Desk for Worker {
    async fn small(&self, number: u64, text: String) -> (u64, String) {
        (number, text)
    }

    async fn bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    async fn work(&self, rounds: u32) -> u64 {
        (0..rounds)
            .fold(7, |sum, round| black_box(sum ^ u64::from(round)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// How a server is set up where it is not by default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Loopback addresses that it listens on: one alone has no more than some 28,000 ports for clients.
    pub(crate) addresses: u8,
    /// All of `ListenOptions::connections_max`, whatever address they come to.
    pub(crate) connections_max: Option<usize>,
    pub(crate) calls_max: Option<usize>,
}

pub(crate) async fn listen(setup: &Setup) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), Failure> {
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for last in 1..=setup.addresses.max(1) {
        let listener = rpc_server::listen::bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
        addresses.push(listener.local_addr()?);
        listeners.push(listener);
    }
    Ok((listeners, addresses))
}

/// Serves until it is dropped.
pub(crate) async fn serve(kind: Kind, setup: &Setup, listeners: Vec<TcpListener>) -> Result<(), Failure> {
    let servers = listeners.into_iter().map(|listener| serve_on(kind, setup, listener));
    futures::future::try_join_all(servers).await?;
    Ok(())
}

async fn serve_on(kind: Kind, setup: &Setup, listener: TcpListener) -> Result<(), Failure> {
    match kind {
        Kind::Raw => raw::serve(listener, raw::Flush::Batch).await,
        Kind::Rpc => {
            let mut limits = Limits::default();
            limits.calls_max = setup.calls_max.unwrap_or(limits.calls_max);
            let mut options = ListenOptions::default();
            options.connections_max = setup.connections_max.unwrap_or(options.connections_max);
            let server = Server::builder().service(DeskServer::new(Worker)).limits(limits);
            Ok(server.listen_options(options).serve_on(listener).await?)
        }
    }
}
