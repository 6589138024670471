//! Tests with paused time: the clock moves only when all tasks wait, so delays are exact.

use tokio::io::duplex;

use super::*;

/// A direction of a link between two streams in memory.
fn direction(delay: Duration) -> (tokio::io::DuplexStream, tokio::io::DuplexStream, Arc<Mutex<Flow>>) {
    let (near, from) = duplex(1 << 20);
    let (to, far) = duplex(1 << 20);
    let flow = Arc::<Mutex<Flow>>::default();
    let counted = Arc::clone(&flow);
    tokio::spawn(async move { pass(from, to, delay, &counted).await });
    (near, far, flow)
}

const DELAY: Duration = Duration::from_millis(50);
/// tokio's clock ticks in milliseconds.
const TICK: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn bytes_arrive_after_the_delay() -> io::Result<()> {
    let (mut near, mut far, _) = direction(DELAY);
    let start = Instant::now();
    near.write_all(b"a").await?;
    assert_eq!(far.read_u8().await?, b'a');
    let late = start.elapsed();
    assert!(late >= DELAY && late <= DELAY + TICK, "{late:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn bytes_do_not_wait_for_those_before_them() -> io::Result<()> {
    let (mut near, mut far, flow) = direction(DELAY);
    let start = Instant::now();
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            near.write_all(&[0; 1000]).await?;
            tokio::time::sleep(TICK).await;
        }
        io::Result::Ok(near)
    });
    let mut received = vec![0; 100_000];
    far.read_exact(&mut received).await?;
    let late = start.elapsed();
    assert!(late >= DELAY + 99 * TICK && late <= DELAY + 102 * TICK, "{late:?}");
    assert_eq!(lock(&flow).bytes, 100_000);
    drop(sending.await);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_end_arrives_after_the_delay_too() -> io::Result<()> {
    let (near, mut far, _) = direction(DELAY);
    let start = Instant::now();
    drop(near);
    assert_eq!(far.read(&mut [0]).await?, 0);
    assert!(start.elapsed() >= DELAY);
    Ok(())
}

#[test]
fn messages_are_counted_once_however_they_are_cut() {
    let head = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".as_slice();
    let masked = [0x82, 0x83, 1, 2, 3, 4, 5, 6, 7].as_slice();
    let empty = [0x82, 0].as_slice();
    let fragments = [0x02, 1, 0, 0x00, 1, 0, 0x80, 1, 0].as_slice();
    let ping = [0x89, 1, 0].as_slice();
    let long = [[0x82, 126, 1, 0].as_slice(), &[0x82; 256]].concat();
    let longer = [[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0].as_slice(), &[0x82; 1 << 16]].concat();
    let stream = [head, masked, empty, fragments, ping, &long, &longer, masked].concat();
    for size in [1, 2, 3, 7, 1000, stream.len()] {
        let mut frames = Frames::new();
        let messages: u64 = stream.chunks(size).map(|chunk| frames.count_messages(chunk)).sum();
        assert_eq!(messages, 6, "in pieces of {size}");
    }
}
