//! JSON-RPC over WebSocket, without Nagle's algorithm and with limits raised above what any workload has. Methods are
//! synchronous, which spares them a task. A payload is a text, the cheapest that JSON can do: bytes would need base64 on top.
//! A subscription whose reader falls behind by more than its buffer ends, so it has a large one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use jsonrpsee::{
    RpcModule,
    core::client::{ClientT, Subscription, SubscriptionClientT},
    rpc_params,
    server::{ServerBuilder, ServerConfig},
    types::ErrorObjectOwned,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::value::to_raw_value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::drive::{self, Done, Failure, TEXT, Task, read_for};

const CALLS_MAX: u16 = 8_192;
const CONNECTIONS_MAX: u32 = 100_000;
const MESSAGE_BYTES_MAX: u32 = 64 << 20;
/// Items that wait for the client's reader.
const BUFFERED_ITEMS: usize = 1 << 20;

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let mut module = RpcModule::new(());
    module.register_method("small", |params, _, _| params.parse::<(u64, String)>())?;
    module.register_method("bytes", |params, _, _| params.one::<String>())?;
    module.register_method("next", |params, _, _| Ok::<u64, ErrorObjectOwned>(params.one::<u64>()? + 1))?;
    module.register_subscription("items", "item", "stop_items", |_, pending, _, _| async move {
        let Ok(sink) = pending.accept().await else { return };
        for number in 0_u64.. {
            let Ok(item) = to_raw_value(&(number, TEXT.to_owned())) else { return };
            // Waits while the connection has too much to send.
            if sink.send(item).await.is_err() {
                return;
            }
        }
    })?;
    let config = ServerConfig::builder()
        .set_tcp_no_delay(true)
        .max_connections(CONNECTIONS_MAX)
        .max_request_body_size(MESSAGE_BYTES_MAX)
        .max_response_body_size(MESSAGE_BYTES_MAX)
        .set_message_buffer_capacity(CALLS_MAX.into());
    let server = ServerBuilder::with_config(config.build()).build_from_tcp(listener.into_std()?)?;
    server.start(module).stopped().await;
    Ok(())
}

#[derive(Clone)]
pub(crate) struct Client(Arc<WsClient>);

impl drive::Client for Client {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let builder = WsClientBuilder::new()
            .set_tcp_no_delay(true)
            .max_concurrent_requests(CALLS_MAX.into())
            .max_request_size(MESSAGE_BYTES_MAX)
            .max_response_size(MESSAGE_BYTES_MAX)
            .max_buffer_capacity_per_subscription(BUFFERED_ITEMS);
        Ok(Self(Arc::new(builder.build(format!("ws://{address}")).await?)))
    }

    async fn small(&self, number: u64) -> Result<(), Failure> {
        self.0.request::<(u64, String), _>("small", rpc_params![number, TEXT]).await?;
        Ok(())
    }

    async fn echo(&self, payload: Bytes) -> Result<usize, Failure> {
        let payload = std::str::from_utf8(&payload)?;
        Ok(self.0.request::<String, _>("bytes", rpc_params![payload]).await?.len())
    }

    async fn next(&self, number: u64) -> Result<u64, Failure> {
        Ok(self.0.request("next", rpc_params![number]).await?)
    }

    async fn items(&self, time: Duration) -> Result<Done, Failure> {
        let mut items: Subscription<(u64, String)> =
            self.0.subscribe("items", rpc_params![], "stop_items").await?;
        read_for(&mut items, time).await
    }

    fn spawn(task: Task<Self>) -> JoinHandle<Result<Done, Failure>> {
        tokio::spawn(task.run())
    }
}
