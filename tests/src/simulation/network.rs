//! The trouble of the simulated network: what happens when, and streams that are cut after a number of bytes.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use rpc_client::address::Address;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::{Sim, net::TcpStream};

use super::{CALM, HOSTS, Hosts, Plan, ledger::Ledger, random::Random};

/// One change of the network or of a host.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// Messages wait until the link is released.
    Hold {
        client: String,
        host: &'static str,
    },
    /// Messages are lost, both ways or one way.
    Partition {
        client: String,
        host: &'static str,
    },
    LoseToHost {
        client: String,
        host: &'static str,
    },
    LoseToClient {
        client: String,
        host: &'static str,
    },
    /// The link is sound again, and messages that were held arrive.
    Mend {
        client: String,
        host: &'static str,
    },
    /// Each message breaks its link with this chance, in thousandths.
    Fail {
        thousandths: u64,
    },
    /// All connections of the clients end.
    CutAll,
    /// The host is gone, and its memory with it.
    Crash {
        host: usize,
    },
    /// The host starts anew.
    Start {
        host: usize,
    },
    /// The host's server shuts down in good order, and another one follows when it has.
    Drain {
        host: usize,
    },
}

/// Troubles with their times, in order.
pub(super) fn troubles(random: &mut Random, plan: &Plan) -> Vec<(Duration, Trouble)> {
    let mut troubles = Vec::new();
    let (begin, calm) = (plan.begin.as_millis() as u64 + 50, CALM.as_millis() as u64 - 50);
    let mut add = |at: u64, trouble| troubles.push((Duration::from_millis(at.min(calm)), trouble));
    for _ in 0..random.below(8) {
        let at = random.between(begin, calm);
        let longest = if random.percent(30) { 900 } else { 200 };
        let until = at + random.between(1, longest);
        let client = format!("client-{}", random.below(plan.clients));
        let host = HOSTS[random.below(2) as usize];
        match random.below(6) {
            0 => add(at, Trouble::Hold { client: client.clone(), host }),
            1 => add(at, Trouble::Partition { client: client.clone(), host }),
            2 => add(at, Trouble::LoseToHost { client: client.clone(), host }),
            3 => add(at, Trouble::LoseToClient { client: client.clone(), host }),
            4 => {
                add(at, Trouble::Fail { thousandths: random.between(1, 60) });
                add(until, Trouble::Fail { thousandths: 0 });
            }
            _ => add(at, Trouble::CutAll),
        }
        add(until, Trouble::Mend { client, host });
    }
    if plan.crashes {
        for _ in 0..random.between(1, 2) {
            let (at, host) = (random.between(begin, calm), random.below(2) as usize);
            add(at, Trouble::Crash { host });
            add(at + random.between(1, 400), Trouble::Start { host });
        }
    }
    if plan.drains {
        let (at, host) = (random.between(begin, calm), random.below(2) as usize);
        add(at, Trouble::Drain { host });
        if random.percent(50) {
            add(at + random.between(50, 1_800), Trouble::Drain { host: 1 - host });
        }
    }
    troubles.sort_by_key(|(at, _)| *at);
    troubles
}

impl Trouble {
    pub(super) fn happen(&self, sim: &mut Sim<'_>, hosts: &Hosts, cuts: &Cuts, ledger: &Ledger) {
        ledger.log(format_args!("{self:?} at {:?}", sim.elapsed()));
        match self {
            Self::Hold { client, host } => sim.hold(&**client, *host),
            Self::Partition { client, host } => sim.partition(&**client, *host),
            Self::LoseToHost { client, host } => sim.partition_oneway(&**client, *host),
            Self::LoseToClient { client, host } => sim.partition_oneway(*host, &**client),
            Self::Mend { client, host } => sim.release(&**client, *host),
            Self::Fail { thousandths } => sim.set_fail_rate(*thousandths as f64 / 1_000.0),
            Self::CutAll => cuts.cut_all(),
            Self::Crash { host } => sim.crash(HOSTS[*host]),
            Self::Start { host } => sim.bounce(HOSTS[*host]),
            Self::Drain { host } => hosts.drain(*host),
        }
    }
}

/// Cuts the connections of clients. Cheap to clone.
#[derive(Clone)]
pub(super) struct Cuts {
    shared: Arc<Shared>,
    is_armed: Arc<AtomicBool>,
}

struct Shared {
    random: Mutex<Random>,
    /// The chance in percent that a new connection is cut after some bytes.
    percent: AtomicU64,
    /// Rises whenever all connections are cut.
    generation: AtomicU64,
    readers: Mutex<Vec<Waker>>,
}

impl Cuts {
    pub(super) fn new(seed: u64, percent: u64) -> Self {
        let shared = Shared {
            random: Mutex::new(Random::new(seed)),
            percent: percent.into(),
            generation: AtomicU64::new(0),
            readers: Mutex::default(),
        };
        Self { shared: Arc::new(shared), is_armed: Arc::default() }
    }

    /// The cuts of one client, whose connections are cut after some bytes when it says so.
    pub(super) fn of_client(&self) -> Self {
        Self { is_armed: Arc::default(), ..self.clone() }
    }

    pub(super) fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut readers = self.shared.readers.lock().unwrap();
        if !readers.iter().any(|reader| reader.will_wake(cx.waker())) {
            readers.push(cx.waker().clone());
        }
    }

    /// Opens a connection of a client.
    pub(super) fn connect(
        &self,
        address: Address,
    ) -> impl Future<Output = io::Result<Cuttable>> + Send + use<> {
        let cuts = self.clone();
        async move {
            let stream = TcpStream::connect((address.host(), address.port())).await?;
            Ok(cuts.cuttable(stream))
        }
    }

    fn cuttable(self, stream: TcpStream) -> Cuttable {
        let mut random = self.shared.random.lock().unwrap();
        let is_cut = random.percent(self.shared.percent.load(Ordering::SeqCst));
        // Handshakes have some hundred bytes; calls and results, some ten each.
        let bits = random.between(3, 14);
        let left =
            if is_cut && self.is_armed.load(Ordering::SeqCst) { random.below(1 << bits) } else { u64::MAX };
        drop(random);
        let generation = self.shared.generation.load(Ordering::SeqCst);
        Cuttable { stream, left, generation, cuts: self }
    }

    fn cut_all(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        self.shared.readers.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    /// Lets all further connections be.
    pub(super) fn end(&self) {
        self.shared.percent.store(0, Ordering::SeqCst);
    }
}

/// A connection that ends after a number of bytes, of both directions together.
pub(super) struct Cuttable {
    stream: TcpStream,
    left: u64,
    generation: u64,
    cuts: Cuts,
}

impl Cuttable {
    fn check(&self) -> io::Result<()> {
        let is_cut = self.left == 0 || self.generation != self.cuts.shared.generation.load(Ordering::SeqCst);
        if is_cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    fn pass(&mut self, bytes: usize) {
        if self.left != u64::MAX {
            self.left -= bytes as u64;
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let most = buffer.remaining().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut part) else {
            self.cuts.wait(cx);
            return Poll::Pending;
        };
        read?;
        let read = part.filled().len();
        buffer.advance(read);
        self.pass(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let most = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]))?;
        self.pass(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
