//! Uploads and downloads, with progress and with backpressure.

use std::{
    collections::HashMap,
    error::Error,
    io::Cursor,
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use rpc_core::{CallError, StopReason, StreamError, Streaming, data, rpc};
use rpc_server::Server;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Outcome;

// region: api
#[rpc]
trait Files {
    /// Stores a file, and streams the number of bytes that are stored so far.
    async fn put(&self, name: String, parts: Streaming<Bytes, ReadError>) -> Streaming<u64, FileError>;
    async fn get(&self, name: String) -> Result<Download, FileError>;
}

#[data]
struct Download {
    bytes: u64,
    parts: Streaming<Bytes, ReadError>,
}
// end

#[data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the file could not be read: {0}")]
struct ReadError(String);

#[data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum FileError {
    #[error("there is no file `{0}`")]
    Missing(String),
    #[error("a file may have {most} bytes")]
    TooLong { most: u64 },
    #[error("the file is not complete: {0}")]
    Incomplete(String),
}

// region: parts
/// Small enough that progress is smooth, large enough that each part costs little.
const PART_BYTES: usize = 64 << 10;

/// The parts of anything that tokio reads, a `tokio::fs::File` for example. A part is read when there is room for it.
fn parts<R: AsyncRead + Send + Unpin + 'static>(
    file: R,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
    stream::try_unfold(file, async |mut file| {
        let mut part = BytesMut::with_capacity(PART_BYTES);
        match file.read_buf(&mut part).await {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some((part.freeze(), file))),
            Err(error) => Err(ReadError(error.to_string())),
        }
    })
}
// end

#[derive(Clone)]
struct Disk {
    most: u64,
    files: Arc<Mutex<HashMap<String, Bytes>>>,
}

// region: server
impl Files for Disk {
    async fn put(&self, name: String, parts: Streaming<Bytes, ReadError>) -> Streaming<u64, FileError> {
        let upload = Upload { disk: self.clone(), name, parts, file: BytesMut::new() };
        // Each step stores one part. The stream outlives the call, so it owns all that it needs.
        Streaming::try_new(stream::try_unfold(upload, Upload::step))
    }

    async fn get(&self, name: String) -> Result<Download, FileError> {
        let file = self.file(&name).ok_or(FileError::Missing(name))?;
        let bytes = file.len() as u64;
        Ok(Download { bytes, parts: Streaming::try_new(parts(Cursor::new(file))) })
    }
}

struct Upload {
    disk: Disk,
    name: String,
    parts: Streaming<Bytes, ReadError>,
    file: BytesMut,
}

impl Upload {
    async fn step(mut self) -> Result<Option<(u64, Self)>, FileError> {
        let Some(part) = self.parts.next().await else {
            self.disk.keep(self.name, self.file.freeze());
            return Ok(None);
        };
        // A lost connection is an error too: half a file is never taken for a whole one.
        let part = part.map_err(|error| FileError::Incomplete(error.to_string()))?;
        let bytes = (self.file.len() + part.len()) as u64;
        if bytes > self.disk.most {
            return Err(FileError::TooLong { most: self.disk.most });
        }
        // While this writes, nobody reads, and soon the sender waits.
        self.file.extend_from_slice(&part);
        Ok(Some((bytes, self)))
    }
}
// end

impl Disk {
    fn file(&self, name: &str) -> Option<Bytes> {
        self.files.lock().expect("nothing panics while it holds the lock").get(name).cloned()
    }

    fn keep(&self, name: String, file: Bytes) {
        self.files.lock().expect("nothing panics while it holds the lock").insert(name, file);
    }
}

// region: client
async fn upload(
    files: &FilesClient,
    name: &str,
    file: impl AsyncRead + Send + Unpin + 'static,
    mut show: impl FnMut(u64),
) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let mut stored = files.put(name, Streaming::try_new(parts(file))).await?;
    let mut bytes = 0;
    while let Some(progress) = stored.next().await {
        bytes = progress?;
        show(bytes);
    }
    Ok(bytes)
}

async fn download(
    files: &FilesClient,
    name: &str,
    file: &mut (impl AsyncWrite + Unpin),
    mut show: impl FnMut(u64, u64),
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Download { bytes, mut parts } = files.get(name).await?;
    let mut written = 0;
    while let Some(part) = parts.next().await {
        let part = part?;
        file.write_all(&part).await?;
        written += part.len() as u64;
        show(written, bytes);
    }
    Ok(())
}
// end

async fn files(most: u64) -> Result<FilesClient, Box<dyn Error + Send + Sync>> {
    let disk = Disk { most, files: Arc::default() };
    let server = Server::builder().service(FilesServer::new(disk)).bind("127.0.0.1:0").await?;
    let url = server.url()?;
    tokio::spawn(server.serve());
    Ok(rpc_client::Client::connect(&url).await?.service())
}

#[tokio::test]
async fn a_file_goes_there_and_back_with_progress() -> Outcome {
    let files = files(1 << 30).await?;
    let file: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut shown = Vec::new();
    let bytes = upload(&files, "numbers", Cursor::new(file.clone()), |bytes| shown.push(bytes)).await?;
    assert_eq!((bytes, shown.last()), (3_000_000, Some(&3_000_000)));
    assert!(shown.len() > 3 && shown.is_sorted(), "{shown:?}");

    let (mut back, mut last) = (Vec::new(), (0, 0));
    download(&files, "numbers", &mut back, |written, bytes| last = (written, bytes)).await?;
    assert_eq!((back == file, last), (true, (3_000_000, 3_000_000)));

    let missing = download(&files, "letters", &mut back, |_, _| {}).await.err().ok_or("it was found")?;
    let missing: Option<&CallError<FileError>> = missing.downcast_ref();
    assert_eq!(missing.and_then(CallError::own), Some(&FileError::Missing("letters".into())));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_too_long_is_refused_before_it_is_sent_whole() -> Outcome {
    let files = files(100_000).await?;
    let endless = tokio::io::repeat(7);
    let error = upload(&files, "sevens", endless, |_| {}).await.err().ok_or("it was stored")?;
    let error: Option<&StreamError<FileError>> = error.downcast_ref();
    assert!(matches!(error, Some(StreamError::Failed(FileError::TooLong { most: 100_000 }))), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_breaks_off_is_not_stored() -> Outcome {
    let files = files(1 << 30).await?;
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(ReadError("scratched".into()))]);
    let mut stored = files.put("half", Streaming::try_new(broken)).await?;
    assert_eq!(stored.next().await.transpose()?, Some(4));
    let Some(Err(StreamError::Failed(FileError::Incomplete(_)))) = stored.next().await else {
        return Err("it was stored".into());
    };
    assert!(files.get("half").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_reader_of_progress_who_leaves_stops_the_sender() -> Outcome {
    let files = files(1 << 30).await?;
    let (mut sender, parts) = Streaming::channel(1);
    let mut stored = files.put("dropped", parts).await?;
    sender.send(Bytes::from_static(b"some")).await?;
    assert_eq!(stored.next().await.transpose()?, Some(4));
    drop(stored);
    assert!(matches!(sender.stopped().await, StopReason::NotWanted));
    assert!(files.get("dropped").await.is_err());
    Ok(())
}
