//! Uploads a file: the server's disk sets the pace, and neither side's memory grows with the file.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rpc_client::{Client, Streaming};
use rpc_core::{data, rpc};
use rpc_server::Server;
use tokio::time::Instant;

/// A store for files.
#[rpc]
pub trait Store {
    /// Stores a file and returns its length and checksum.
    async fn put(&self, file: Streaming<Bytes, ReadError>) -> Result<Receipt, StoreError>;
}

/// The receipt for a stored file.
#[data]
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The checksum of the file.
    pub checksum: u64,
}

/// Why a file is not complete.
#[data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the file could not be read: {0}")]
pub struct ReadError(pub String);

/// Why a file was not stored.
#[data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The file is not complete.
    #[error("the upload broke off: {0}")]
    Incomplete(String),
}

/// The number of bytes of a file that are read at once.
const PART_BYTES: usize = 256 << 10;

/// A store on a slow disk.
struct SlowDisk {
    bytes_a_second: u64,
}

impl Store for SlowDisk {
    async fn put(&self, mut file: Streaming<Bytes, ReadError>) -> Result<Receipt, StoreError> {
        let mut receipt = Receipt { bytes: 0, checksum: 0 };
        let mut written = Instant::now();
        while let Some(part) = file.next().await {
            let part = part.map_err(|error| StoreError::Incomplete(error.to_string()))?;
            receipt.bytes += part.len() as u64;
            receipt.checksum = checksum(receipt.checksum, &part);
            // The handler does not read while it writes, so backpressure stops the sender.
            written += Duration::from_secs_f64(part.len() as f64 / self.bytes_a_second as f64);
            tokio::time::sleep_until(written).await;
        }
        Ok(receipt)
    }
}

/// Updates a checksum with more bytes.
pub fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| sum.rotate_left(5).wrapping_mul(0x9e37_79b9) ^ u64::from(*byte) ^ 1)
}

/// Serves a store that writes `bytes_a_second`, on a task of its own. Returns its URL.
///
/// # Errors
/// If no socket can be opened.
///
/// # Cancel safety
/// If the future is dropped, no server is started.
pub async fn serve(bytes_a_second: u64) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let store = StoreServer::new(SlowDisk { bytes_a_second });
    let server = Server::builder().service(store).bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;
    tokio::spawn(server.serve());
    Ok(format!("ws://{address}"))
}

/// Uploads a file. `read` counts the bytes that were read from it: bytes already sent and bytes waiting to be sent.
///
/// # Errors
/// If the store cannot be reached or did not store the file.
///
/// # Cancel safety
/// Dropping the future cancels the upload.
pub async fn upload(
    url: &str,
    file: impl Read + Send + 'static,
    read: Arc<AtomicU64>,
) -> Result<Receipt, Box<dyn std::error::Error + Send + Sync>> {
    let store: StoreClient = Client::connect(url).await?.service();
    Ok(store.put(Streaming::try_new(parts(file, read))).await?)
}

/// The parts of a file, read on the blocking pool when there is room for them.
fn parts(
    file: impl Read + Send + 'static,
    read: Arc<AtomicU64>,
) -> impl futures::Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
    futures::stream::try_unfold(file, move |file| {
        let read = Arc::clone(&read);
        async move {
            let part = tokio::task::spawn_blocking(move || read_part(file)).await;
            let (part, file) = part
                .map_err(|error| ReadError(error.to_string()))?
                .map_err(|error| ReadError(error.to_string()))?;
            read.fetch_add(part.len() as u64, Ordering::Relaxed);
            Ok((!part.is_empty()).then_some((part, file)))
        }
    })
}

fn read_part<R: Read>(mut file: R) -> io::Result<(Bytes, R)> {
    let mut part = Vec::with_capacity(PART_BYTES);
    file.by_ref().take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok((part.into(), file))
}

/// A made-up file of `left` bytes, in which neighbouring bytes differ.
pub struct MadeUp {
    left: u64,
}

impl MadeUp {
    /// A file of `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        Self { left: bytes }
    }
}

impl Read for MadeUp {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for byte in &mut into[..length] {
            *byte = self.left.to_le_bytes()[0] ^ self.left.to_le_bytes()[1];
            self.left -= 1;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
