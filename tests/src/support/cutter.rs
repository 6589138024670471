//! A proxy that cuts its connections: on request, or after a number of bytes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes bytes between clients and a server until a connection is cut; then waits for the next one.
pub(crate) struct Cutter {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: Mutex<SocketAddr>,
    /// Rises with each cut.
    cuts: watch::Sender<u64>,
    /// The bytes after which the connections are cut.
    left: AtomicU64,
    connections: AtomicUsize,
    /// Whether connections are refused.
    is_down: watch::Sender<bool>,
}

impl Cutter {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            cuts: watch::Sender::new(0),
            left: AtomicU64::new(u64::MAX),
            connections: AtomicUsize::new(0),
            is_down: watch::Sender::new(false),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts all connections without a word.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts the connections when so many more bytes have passed, in both directions together.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.shared.left.store(bytes, Ordering::SeqCst);
    }

    /// The cuts so far.
    pub(crate) fn cuts(&self) -> u64 {
        *self.shared.cuts.borrow()
    }

    /// The connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Refuses connections, or takes them again; the open ones stay.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.shared.is_down.send_replace(is_down);
    }

    /// Leads the next connections to another server.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *shared.is_down.borrow() {
            continue;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let server = *shared.server.lock().unwrap();
        let Ok(server) = TcpStream::connect(server).await else { continue };
        let cuts = shared.cuts.subscribe();
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        tokio::spawn(pass(client_read, server_write, Arc::clone(&shared), cuts.clone()));
        tokio::spawn(pass(server_read, client_write, Arc::clone(&shared), cuts));
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    shared: Arc<Shared>,
    mut cuts: watch::Receiver<u64>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = cuts.changed() => return,
        };
        let Ok(count @ 1..) = read else { return };
        let left = shared.left.load(Ordering::SeqCst);
        let passes = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        if left != u64::MAX {
            shared.left.store(left - passes as u64, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..passes]).await.is_err() {
            return;
        }
        if passes < count {
            shared.left.store(u64::MAX, Ordering::SeqCst);
            shared.cuts.send_modify(|cuts| *cuts += 1);
            return;
        }
    }
}
