//! JSON-RPC over WebSocket. A subscription whose reader falls behind by more than its buffer ends, so it has a large one.

use std::{net::SocketAddr, time::Duration};

use jsonrpsee::{
    RpcModule,
    core::client::{Subscription, SubscriptionClientT},
    rpc_params,
    server::{ServerBuilder, ServerConfig},
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::value::to_raw_value;
use tokio::net::TcpListener;

use crate::{Failure, Moved, TEXT, read_for};

/// Items that wait for the client's reader.
const BUFFERED_ITEMS: usize = 1 << 20;

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let mut module = RpcModule::new(());
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
    let config = ServerConfig::builder().set_tcp_no_delay(true).build();
    let server = ServerBuilder::with_config(config).build_from_tcp(listener.into_std()?)?;
    server.start(module).stopped().await;
    Ok(())
}

pub(crate) async fn connect(address: SocketAddr) -> Result<WsClient, Failure> {
    let builder = WsClientBuilder::new().max_buffer_capacity_per_subscription(BUFFERED_ITEMS);
    Ok(builder.set_tcp_no_delay(true).build(format!("ws://{address}")).await?)
}

pub(crate) async fn items(client: WsClient, time: Duration) -> Result<(Moved, WsClient), Failure> {
    let mut items: Subscription<(u64, String)> =
        client.subscribe("items", rpc_params![], "stop_items").await?;
    Ok((read_for(&mut items, time).await?, client))
}
