//! What is claimed of uploads, with a disk that is slow in virtual time.

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
    assert!(failed.source().is_some_and(|error| error.to_string().contains("broke off")), "{failed}");
    Ok(())
}

#[tokio::test]
async fn what_is_on_its_way_does_not_grow_with_the_file() -> Outcome {
    // As good as stopped: after the first part it takes a day.
    let url = serve(1).await?;
    let read = Arc::new(AtomicU64::new(0));
    let uploading = tokio::spawn({
        let read = Arc::clone(&read);
        async move { upload(&url, MadeUp::new(1 << 30), read).await.map(drop).map_err(drop) }
    });
    let mut before = u64::MAX;
    // Until nothing more is read.
    while before != read.load(Ordering::Relaxed) || before == 0 {
        before = read.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(before < 2 << 20, "{before} bytes were read ahead");
    uploading.abort();
    Ok(())
}
