//! Checks the claims about uploads, with a disk that is slow in virtual time.

use super::*;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::test]
async fn a_file_arrives_whole() -> Outcome {
    let url = serve(u64::MAX).await?;
    let length = 3 * PART_BYTES as u64 + 17;
    let mut bytes = Vec::new();
    MadeUp::new(length).read_to_end(&mut bytes)?;
    let read = Arc::new(AtomicU64::new(0));
    let receipt = upload(&url, MadeUp::new(length), Arc::clone(&read)).await?;
    assert_eq!(receipt, Receipt { bytes: length, checksum: checksum(0, &bytes) });
    assert_eq!(read.load(Ordering::Relaxed), length);
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_is_not_kept() -> Outcome {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("scratched"))
        }
    }
    let url = serve(u64::MAX).await?;
    let file = MadeUp::new(PART_BYTES as u64).chain(Broken);
    let Err(failed) = upload(&url, file, Arc::default()).await else { panic!("it was kept") };
    assert!(failed.to_string().contains("broke off"), "{failed}");
    Ok(())
}

/// A store that records, at each part that arrives, how far the sender has read ahead in the file.
struct Watching {
    read: Arc<AtomicU64>,
    most_ahead: Arc<AtomicU64>,
}

impl Store for Watching {
    async fn put(&self, mut file: Streaming<Bytes, ReadError>) -> Result<Receipt, StoreError> {
        let mut receipt = Receipt { bytes: 0, checksum: 0 };
        while let Some(Ok(part)) = file.next().await {
            // Before the first part is done, the sender gets turns to read ahead until it makes no more progress.
            let (mut seen, mut turns) = (0, 0);
            while receipt.bytes == 0 && turns < 20_000 {
                tokio::task::yield_now().await;
                let read = self.read.load(Ordering::Relaxed);
                turns = if read == seen { turns + 1 } else { 0 };
                seen = read;
            }
            receipt.bytes += part.len() as u64;
            let ahead = self.read.load(Ordering::Relaxed) - receipt.bytes;
            self.most_ahead.fetch_max(ahead, Ordering::Relaxed);
        }
        Ok(receipt)
    }
}

#[tokio::test]
async fn what_is_on_its_way_does_not_grow_with_the_file() -> Outcome {
    const LENGTH: u64 = 64 << 20;
    let (read, most_ahead) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let store = Watching { read: Arc::clone(&read), most_ahead: Arc::clone(&most_ahead) };
    let server = Server::builder().service(StoreServer::new(store)).bind("127.0.0.1:0").await?;
    let url = server.url()?;
    tokio::spawn(server.serve());
    assert_eq!(upload(&url, MadeUp::new(LENGTH), read).await?.bytes, LENGTH);
    // The bound covers the widest window and the parts that either side holds.
    let most_ahead = most_ahead.load(Ordering::Relaxed);
    assert!(most_ahead < 10 << 20, "{most_ahead} bytes were read ahead");
    Ok(())
}
