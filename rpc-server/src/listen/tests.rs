use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use tokio::io::AsyncReadExt;

use super::{options::open_files_max, *};

/// A source of numbered connections; after its last step none arrive.
struct Script {
    steps: RefCell<VecDeque<io::Result<u32>>>,
    taken: RefCell<Vec<(u32, Permit)>>,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = io::Result<u32>>) -> Rc<Self> {
        Rc::new(Self { steps: RefCell::new(steps.into_iter().collect()), taken: RefCell::default() })
    }

    /// Runs the accept loop until `time` has passed.
    async fn run(&self, options: &ListenOptions, time: Duration) {
        let take = |number, _, permit| self.taken.borrow_mut().push((number, permit));
        let doorway = Arc::new(Doorway::new(options));
        let accept = accept_from(self, &doorway, take);
        assert!(tokio::time::timeout(time, accept).await.is_err(), "the loop ended");
    }

    fn numbers(&self) -> Vec<u32> {
        self.taken.borrow().iter().map(|(number, _)| *number).collect()
    }
}

impl Source for &Script {
    type Stream = u32;

    fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<(u32, SocketAddr)>> {
        match self.steps.borrow_mut().pop_front() {
            Some(step) => Poll::Ready(step.map(|number| (number, SocketAddr::from(([127, 0, 0, 1], 1))))),
            None => Poll::Pending,
        }
    }

    fn refuse(_: u32) {}
}

fn options(connections_max: usize, handshakes_max: usize) -> ListenOptions {
    ListenOptions { connections_max, handshakes_max, ..ListenOptions::default() }
}

fn failed(kind: io::ErrorKind) -> io::Result<u32> {
    Err(kind.into())
}

async fn is_evicted(permit: &mut Permit) -> bool {
    tokio::time::timeout(Duration::ZERO, permit.evicted()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn errors_never_end_the_loop_and_are_tried_again_ever_more_slowly() {
    let full = || failed(io::ErrorKind::Other);
    let left = || failed(io::ErrorKind::ConnectionAborted);
    let script = Script::new([Ok(1), left(), full(), full(), left(), full(), Ok(2), full(), Ok(3)]);
    let options = options(10, 10);
    // 10 + 20 + 40 ms, and after a success 10 ms again.
    script.run(&options, Duration::from_millis(79)).await;
    assert_eq!(script.numbers(), [1, 2]);
    let script = Script::new([full(), full(), full(), Ok(2), full(), Ok(3)]);
    script.run(&options, Duration::from_millis(81)).await;
    assert_eq!(script.numbers(), [2, 3]);
    let script = Script::new((0..10).map(|_| full()).chain([Ok(1)]));
    // 10 + 20 + 40 + 80 + 160 + 320 + 640 ms, and then a second each.
    script.run(&options, Duration::from_millis(4_269)).await;
    assert_eq!(script.numbers(), [] as [u32; 0]);
    let script = Script::new((0..10).map(|_| full()).chain([Ok(1)]));
    script.run(&options, Duration::from_millis(4_271)).await;
    assert_eq!(script.numbers(), [1]);
}

#[tokio::test(start_paused = true)]
async fn no_more_connections_than_allowed_and_more_when_one_ends() {
    let script = Script::new((1..=5).map(Ok));
    let options = options(3, 10);
    let end_one = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(script.numbers(), [1, 2, 3]);
        drop(script.taken.borrow_mut().remove(1));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(script.numbers(), [1, 3, 4]);
    };
    tokio::join!(script.run(&options, Duration::from_secs(3)), end_one);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_handshake_makes_room_for_a_new_connection() {
    let script = Script::new((1..=4).map(Ok));
    let options = options(100, 3);
    script.run(&options, Duration::from_secs(1)).await;
    let mut permits = script.taken.take();
    assert!(is_evicted(&mut permits[0].1).await, "it is the oldest");
    assert!(is_evicted(&mut permits[0].1).await, "it still is");
    assert!(!is_evicted(&mut permits[1].1).await, "one was enough");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_handshake_makes_room_when_all_connections_are_taken() {
    let script =
        Script::new([Ok(1), failed(io::ErrorKind::Other), Ok(2), failed(io::ErrorKind::Other), Ok(3)]);
    let options = options(2, 2);
    let finish_first = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        script.taken.borrow_mut()[0].1.handshake_done();
    };
    tokio::join!(script.run(&options, Duration::from_secs(1)), finish_first);
    assert_eq!(script.numbers(), [1, 2], "the third waits for a place");
    let mut permits = script.taken.take();
    assert!(!is_evicted(&mut permits[0].1).await, "its handshake is done");
    assert!(is_evicted(&mut permits[1].1).await, "it stalls");
}

#[tokio::test(start_paused = true)]
async fn handshakes_do_not_fill_all_connections() {
    let script = Script::new((1..=6).map(Ok));
    let options = options(6, 1_000);
    script.run(&options, Duration::from_secs(1)).await;
    let mut permits = script.taken.take();
    let mut evicted = Vec::new();
    for (number, permit) in &mut permits {
        if is_evicted(permit).await {
            evicted.push(*number);
        }
    }
    assert_eq!(evicted, [1, 2, 3]);
}

#[test]
fn the_limit_of_open_files_is_found() {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max processes             1000                 1000                 processes \n\
                  Max open files            20000                524288               files     \n";
    assert_eq!(open_files_max(limits), Some(20_000));
    assert_eq!(
        open_files_max("Max open files            unlimited            unlimited            files"),
        None
    );
    assert_eq!(open_files_max(""), None);
}

#[tokio::test]
async fn real_connections_are_handed_out_until_shutdown() {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let (handed, mut handed_out) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let options = ListenOptions::default();
        let on_connection = |stream: TcpStream, peer, permit| {
            handed.send((stream.nodelay().expect("a socket"), peer, permit)).expect("the test listens");
        };
        accept_loop(listener, &options, on_connection, async { stopped.await.expect("told to stop") }).await;
    });
    let mut client = TcpStream::connect(address).await.expect("connected");
    let (nodelay, peer, _permit) = handed_out.recv().await.expect("a connection");
    assert!(nodelay);
    assert_eq!(peer, client.local_addr().expect("connected"));
    assert_eq!(client.read(&mut [0]).await.expect("closed"), 0, "the stream was dropped");
    stop.send(()).expect("the loop runs");
    server.await.expect("it ended in good order");
    assert!(TcpStream::connect(address).await.is_err(), "somebody listens");
}
