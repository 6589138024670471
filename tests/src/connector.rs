//! Clients whose byte streams the application opens: they reconnect and resume as over TCP.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc_client::{Client, ConnectError, Reconnect, tls::TlsConnector};
use rpc_server::tls::TlsAcceptor;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, copy_bidirectional, split},
    net::TcpStream,
    sync::{Notify, mpsc},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    resume::{Works_, WorksClient, offering, until_resumed},
    sockets::TestServer,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Streams that lead through a task each, which a test ends to cut them.
#[derive(Clone, Default)]
struct Tunnels(Arc<Mutex<Vec<AbortHandle>>>);

impl Tunnels {
    fn through<IO>(&self, mut far: IO) -> DuplexStream
    where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let (near, mut middle) = tokio::io::duplex(1 << 12);
        let task = tokio::spawn(async move { copy_bidirectional(&mut middle, &mut far).await });
        self.0.lock().unwrap().push(task.abort_handle());
        near
    }

    fn opened(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn cut(&self) {
        self.0.lock().unwrap().iter().for_each(AbortHandle::abort);
    }
}

fn eager() -> Reconnect {
    let delay = Duration::from_millis(2);
    Reconnect { delay, delay_max: delay, ..Reconnect::default() }
}

/// Has a call in flight while the stream is cut: it goes on over the next one, and its handler runs once.
async fn check_resumes(client: Client, works: &Works_, tunnels: &Tunnels) {
    let stub: WorksClient = client.service();
    let call = tokio::spawn(stub.later(21).into_future());
    while works.runs_of(21) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tunnels.opened(), 1);
    tunnels.cut();
    until_resumed(&client).await;
    works.open();
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap(), 42);
    assert_eq!((works.runs_of(21), tunnels.opened()), (1, 2));
    client.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_session_over_a_unix_socket_goes_on_over_the_next_one() {
    use tokio::net::{UnixListener, UnixStream};

    let works = Works_::default();
    let path = std::env::temp_dir().join(format!("rpc-{}-{:p}.sock", std::process::id(), &raw const works));
    let listener = UnixListener::bind(&path).unwrap();
    let server = Arc::new(offering(&works).build());
    let serving = tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.serve_io(io, None).await });
        }
    });
    let tunnels = Tunnels::default();
    let (opener, place) = (tunnels.clone(), path.clone());
    let builder = Client::builder().reconnect(eager()).connector(move |_| {
        let (opener, place) = (opener.clone(), place.clone());
        async move { Ok(opener.through(UnixStream::connect(place).await?)) }
    });
    check_resumes(builder.connect("ws://localhost/").await.unwrap(), &works, &tunnels).await;
    serving.abort();
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn tls_runs_over_the_streams_of_a_connector() {
    let name = "rpc.example.com".to_owned();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec![name]).unwrap();
    let acceptor = TlsAcceptor::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes());
    let trusting = TlsConnector::with_only_roots(cert.pem().as_bytes()).unwrap();
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works).tls(acceptor.unwrap())).await;
    let (tunnels, address) = (Tunnels::default(), server.address);
    let opener = tunnels.clone();
    let builder = Client::builder().reconnect(eager()).tls(trusting).connector(move |_| {
        let opener = opener.clone();
        async move { Ok(opener.through(TcpStream::connect(address).await?)) }
    });
    check_resumes(builder.connect("wss://rpc.example.com/").await.unwrap(), &works, &tunnels).await;
}

#[tokio::test]
async fn each_attempt_asks_the_connector_with_its_address() {
    let server = TestServer::start_with(offering(&Works_::default())).await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (log, place) = (Arc::clone(&asked), server.address);
    let builder = Client::builder().fallback("ws://second:7/b").connector(move |address| {
        log.lock().unwrap().push(address.to_string());
        async move {
            match address.host() {
                "second" => TcpStream::connect(place).await,
                _ => Err(io::ErrorKind::HostUnreachable.into()),
            }
        }
    });
    let client = builder.connect("ws://first/a?token=1").await.unwrap();
    let stub: WorksClient = client.service();
    assert_eq!(stub.double(4).await.unwrap(), 8);
    assert_eq!(*asked.lock().unwrap(), ["ws://first/a", "ws://second:7/b"]);
}

#[tokio::test]
async fn the_error_of_a_connector_says_why_a_client_is_not_connected() {
    let builder = Client::builder()
        .connector(|_| async { Err::<TcpStream, _>(io::Error::other("the tunnel is closed")) });
    let error = builder.connect("ws://far:7").await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unreachable { address, source } if address == "far:7"
            && source.to_string() == "the tunnel is closed"),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connector_has_the_time_of_its_attempt() {
    let builder = Client::builder()
        .connect_timeout(Duration::from_millis(30))
        .connector(|_| std::future::pending::<io::Result<TcpStream>>());
    let error = builder.connect("ws://far:7").await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

/// Reads up to the end of an HTTP head.
async fn read_head(from: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.unwrap());
    }
    head
}

/// Reads a client's WebSocket message of less than 64 KiB.
async fn read_message(from: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut message = vec![from.read_u8().await.unwrap(), from.read_u8().await.unwrap()];
    let mut length = usize::from(message[1] & 0x7f);
    if length == 126 {
        let extended = from.read_u16().await.unwrap();
        message.extend(extended.to_be_bytes());
        length = extended.into();
    }
    let mut rest = vec![0; 4 + length];
    from.read_exact(&mut rest).await.unwrap();
    message.extend(rest);
    message
}

/// Passes a handshake on.
async fn pass_handshake(near: &mut DuplexStream, far: &mut TcpStream) {
    far.write_all(&read_head(near).await).await.unwrap();
    near.write_all(&read_head(far).await).await.unwrap();
}

/// Passes the handshake and the hello on. What the client says then waits for `release`.
async fn pass_hello_alone(mut near: DuplexStream, mut far: TcpStream, release: Arc<Notify>) {
    pass_handshake(&mut near, &mut far).await;
    far.write_all(&read_message(&mut near).await).await.unwrap();
    let (mut near_read, mut near_write) = split(near);
    let (mut far_read, mut far_write) = far.into_split();
    let up = async {
        release.notified().await;
        copy(&mut near_read, &mut far_write).await
    };
    let _ = tokio::join!(up, copy(&mut far_read, &mut near_write));
}

/// The client leaves its second socket with a hello on its way, which arrives when the third one has been welcomed, before the server
/// has heard of the client there.
#[tokio::test]
async fn a_late_hello_of_a_socket_that_was_left_takes_the_session_from_no_newer_one() {
    let works = Works_::default();
    let server = TestServer::start_with(offering(&works)).await;
    let (tunnels, address) = (Tunnels::default(), server.address);
    let (kept, mut late) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let opened = Arc::new(Mutex::new(0));
    let (opener, counter, held) = (tunnels.clone(), Arc::clone(&opened), Arc::clone(&release));
    let builder = Client::builder().reconnect(eager()).connector(move |_| {
        let (opener, kept, held) = (opener.clone(), kept.clone(), Arc::clone(&held));
        *counter.lock().unwrap() += 1;
        let number = *counter.lock().unwrap();
        async move {
            let mut far = TcpStream::connect(address).await?;
            let (near, mut middle) = tokio::io::duplex(1 << 16);
            match number {
                2 => {
                    tokio::spawn(async move {
                        pass_handshake(&mut middle, &mut far).await;
                        let hello = read_message(&mut middle).await;
                        kept.send((far, hello)).unwrap();
                    });
                }
                3 => drop(tokio::spawn(pass_hello_alone(middle, far, held))),
                _ => return Ok(opener.through(far)),
            }
            Ok(near)
        }
    });
    let client = builder.connect("ws://localhost/").await.unwrap();
    let stub: WorksClient = client.service();
    assert_eq!(stub.double(1).await.unwrap(), 2);
    tunnels.cut();
    let (mut far, hello) = timeout(PATIENCE, late.recv()).await.unwrap().unwrap();
    until_resumed(&client).await;
    far.write_all(&hello).await.unwrap();
    timeout(PATIENCE, far.read_u8()).await.unwrap().expect("the server answers");
    drop(far);
    release.notify_one();
    assert_eq!(timeout(PATIENCE, stub.double(5)).await.unwrap().unwrap(), 10);
    assert_eq!(*opened.lock().unwrap(), 3, "the third socket stays");
}
