//! Clients whose byte streams the application opens: they reconnect and resume as over TCP.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc_client::{Client, ConnectError, Reconnect, tls::TlsConnector};
use rpc_server::tls::TlsAcceptor;
use tokio::{io::copy_bidirectional, net::TcpStream, task::AbortHandle, time::timeout};

use crate::{
    attacks::stranger::PATIENCE,
    resume::{Works_, WorksClient, offering, until_resumed},
    sockets::TestServer,
};

/// Streams that lead through a task each, which a test ends to cut them.
#[derive(Clone, Default)]
struct Tunnels(Arc<Mutex<Vec<AbortHandle>>>);

impl Tunnels {
    fn through<IO>(&self, mut far: IO) -> tokio::io::DuplexStream
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
