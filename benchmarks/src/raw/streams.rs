//! Transfers in one direction without any RPC.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::{Flush, Purpose, Socket, connect_for, small};
use crate::drive::{Done, Failure, Moved};

/// Bytes of a message of many items.
pub(super) const PACK_BYTES: usize = 16 << 10;
/// The time is looked at once in so many messages.
const LOOK_EVERY: u64 = 64;

/// Sends small items without end.
pub(super) async fn send_items(mut socket: Socket, flush: Flush) -> Result<(), Failure> {
    loop {
        match flush {
            Flush::Each => socket.send(Message::Binary(small())).await?,
            // The queue is never empty, so only full buffers are flushed.
            Flush::Batch => socket.feed(Message::Binary(small())).await?,
            Flush::Pack => socket.feed(Message::Binary(pack())).await?,
        }
    }
}

/// As many items as fit, each behind its length.
fn pack() -> Bytes {
    let mut message = Vec::with_capacity(PACK_BYTES);
    loop {
        let item = small();
        if message.len() + 1 + item.len() > PACK_BYTES {
            return message.into();
        }
        message.push(u8::try_from(item.len()).unwrap_or(0));
        message.extend_from_slice(&item);
    }
}

/// How many items a message has.
fn unpack(mut message: &[u8]) -> u64 {
    let mut count = 0;
    while let Some((length, rest)) = message.split_first() {
        message = rest.get(usize::from(*length)..).unwrap_or_default();
        count += 1;
    }
    count
}

/// Sends long messages without end.
pub(super) async fn send_blocks(mut socket: Socket, length: usize) -> Result<(), Failure> {
    let block = Bytes::from(vec![7; length]);
    loop {
        socket.send(Message::Binary(block.clone())).await?;
    }
}

/// Counts bytes until a text says that there are no more, and says how many there were.
pub(super) async fn take(mut socket: Socket) -> Result<(), Failure> {
    let mut count = 0;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Binary(block) => count += block.len() as u64,
            _ => socket.send(Message::text(count.to_string())).await?,
        }
    }
    Ok(())
}

/// Small items read in `time`, from the first on.
pub(super) async fn items(mut socket: Socket, flush: Flush, time: Duration) -> Result<Done, Failure> {
    socket.next().await.ok_or("the items ended")??;
    let started = Instant::now();
    let (mut count, mut messages) = (0, 0_u64);
    while !messages.is_multiple_of(LOOK_EVERY) || started.elapsed() < time {
        let message = socket.next().await.ok_or("the items ended")??;
        count += if flush == Flush::Pack { unpack(&message.into_data()) } else { 1 };
        messages += 1;
    }
    Ok(Done::moved(count, started.elapsed()))
}

/// Bytes of long messages read in `time`, from the first on.
pub(crate) async fn download(
    address: SocketAddr,
    flush: Flush,
    length: usize,
    time: Duration,
) -> Result<Moved, Failure> {
    let mut socket = connect_for(address, Purpose::Blocks(length), flush, length).await?;
    tokio::spawn(async move {
        socket.next().await.ok_or("the blocks ended")??;
        let started = Instant::now();
        let mut count = 0;
        while started.elapsed() < time {
            count += socket.next().await.ok_or("the blocks ended")??.len() as u64;
        }
        Ok(Moved { count, time: started.elapsed() })
    })
    .await?
}

/// Bytes of long messages that the server has read, when they were begun to be sent for `time`.
pub(crate) async fn upload(
    address: SocketAddr,
    flush: Flush,
    length: usize,
    time: Duration,
) -> Result<Moved, Failure> {
    let mut socket = connect_for(address, Purpose::Take(length), flush, length).await?;
    tokio::spawn(async move {
        let block = Bytes::from(vec![7; length]);
        let started = Instant::now();
        while started.elapsed() < time {
            socket.send(Message::Binary(block.clone())).await?;
        }
        socket.send(Message::text("end")).await?;
        let count = socket.next().await.ok_or("the server said no count")??.into_text()?.parse()?;
        Ok(Moved { count, time: started.elapsed() })
    })
    .await?
}
