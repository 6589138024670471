//! The hot paths whose instructions are counted: client and server in one thread, over a WebSocket in memory.
//!
//! Nothing here depends on time: the clock stands still while there is something to do.

use bytes::Bytes;
use rpc_client::Client;
use rpc_core::{
    Limits, Streaming, data,
    driver::{self, ResumeConfig, SessionConfig, Side},
    rpc,
    websocket::{ClientHandshake, Socket},
};
use rpc_server::Server;

use crate::Failure;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// A small call and its return, one at a time.
    Call,
    /// The same with many in flight.
    Flight,
    /// Calls of which each needs the last one's result, in one round trip.
    Chain,
    /// 64 KiB there and back.
    Payload,
    /// Small items of a stream.
    Items,
    /// Items of 1 MiB of a stream.
    Blocks,
    /// Values of several fields, encoded and decoded twice each.
    Structs,
    /// Elements of a map.
    Map,
    /// A small call, one at a time, in a session that outlives its socket, as clients have by default.
    ResumableCall,
    /// The same with many in flight.
    ResumableFlight,
}

const IN_FLIGHT: u32 = 128;
const DEPTH: u32 = 8;
const PAYLOAD: usize = 64 << 10;
const BLOCK: usize = 1 << 20;
/// Structs in a call, and elements of a map.
const ELEMENTS: u32 = 100;
/// What lies between the ends of the link, as in the buffers of sockets.
const LINK_BYTES: usize = 256 << 10;
const TEXT: &str = "sixteen bytes ok";

impl Path {
    pub(super) const ALL: [Self; 10] = [
        Self::Call,
        Self::Flight,
        Self::Chain,
        Self::Payload,
        Self::Items,
        Self::Blocks,
        Self::Structs,
        Self::Map,
        Self::ResumableCall,
        Self::ResumableFlight,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Flight => "flight-128",
            Self::Chain => "chain-8",
            Self::Payload => "payload-64k",
            Self::Items => "items-small",
            Self::Blocks => "items-1m",
            Self::Structs => "structs",
            Self::Map => "map-100",
            Self::ResumableCall => "call-resumable",
            Self::ResumableFlight => "flight-128-resumable",
        }
    }

    /// What its count is for.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Call
            | Self::Flight
            | Self::Chain
            | Self::Payload
            | Self::ResumableCall
            | Self::ResumableFlight => "call",
            Self::Items | Self::Blocks => "item",
            Self::Structs => "struct",
            Self::Map => "element",
        }
    }

    fn is_resumable(self) -> bool {
        matches!(self, Self::ResumableCall | Self::ResumableFlight)
    }

    /// How many of the unit one repeat does.
    pub(super) fn units_each(self) -> u32 {
        match self {
            Self::Call | Self::Payload | Self::Items | Self::Blocks | Self::ResumableCall => 1,
            Self::Flight | Self::ResumableFlight => IN_FLIGHT,
            Self::Chain => DEPTH,
            Self::Structs | Self::Map => ELEMENTS,
        }
    }

    /// As many as a few seconds below valgrind have room for.
    pub(super) fn repeats(self) -> u32 {
        match self {
            Self::Call | Self::ResumableCall => 2_000,
            Self::Flight | Self::ResumableFlight => 40,
            Self::Chain => 400,
            Self::Payload => 200,
            Self::Items => 10_000,
            Self::Blocks => 20,
            Self::Structs => 40,
            Self::Map => 40,
        }
    }
}

/// A value like those of most services.
#[data]
#[derive(Debug, Clone)]
pub(crate) struct User {
    id: u64,
    name: String,
    role: Role,
    friends: Vec<u32>,
    presence: Option<String>,
    score: f64,
    is_active: bool,
}

#[data]
#[derive(Debug, Clone)]
pub(crate) enum Role {
    Guest,
    Member { since: i64 },
}

#[rpc]
pub(crate) trait Hot {
    async fn small(&self, number: u64, text: String) -> (u64, String);
    async fn next(&self, number: u64) -> u64;
    async fn bytes(&self, bytes: Bytes) -> Bytes;
    async fn users(&self, users: Vec<User>) -> Vec<User>;
    async fn numbers(&self, count: u32) -> Vec<u64>;
    async fn items(&self, count: u32) -> Streaming<(u64, String)>;
    async fn blocks(&self, count: u32) -> Streaming<Bytes>;
}

struct Echoing;

impl Hot for Echoing {
    async fn small(&self, number: u64, text: String) -> (u64, String) {
        (number, text)
    }

    async fn next(&self, number: u64) -> u64 {
        number + 1
    }

    async fn bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    async fn users(&self, users: Vec<User>) -> Vec<User> {
        users
    }

    async fn numbers(&self, count: u32) -> Vec<u64> {
        (0..count.into()).collect()
    }

    async fn items(&self, count: u32) -> Streaming<(u64, String)> {
        Streaming::from_iter((0..count.into()).map(|number| (number, TEXT.to_owned())))
    }

    async fn blocks(&self, count: u32) -> Streaming<Bytes> {
        Streaming::from_iter(std::iter::repeat_n(Bytes::from(vec![7; BLOCK]), count as usize))
    }
}

/// Walks a path so many times.
pub(crate) fn repeat(path: &str, repeats: u32) -> Result<(), Failure> {
    let path = Path::ALL.into_iter().find(|known| known.name() == path).ok_or("no path is called that")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(LINK_BYTES);
        let server = Server::builder().service(HotServer::new(Echoing)).build();
        tokio::spawn(async move { server.serve_io(far, None).await });
        if path.is_resumable() {
            let limits = Limits::default();
            let socket = Socket::connect(near, ClientHandshake::new("localhost", "/"), &limits).await?;
            let config = SessionConfig { resume: Some(ResumeConfig::default()), ..SessionConfig::default() };
            let (session, running) = driver::start(socket, Side::Client, config);
            tokio::spawn(running);
            return walk(path, session.service(), repeats).await;
        }
        let client = Client::builder().connect_io(near, "localhost", "/").await?;
        walk(path, client.service(), repeats).await
    })
}

async fn walk(path: Path, hot: HotClient, repeats: u32) -> Result<(), Failure> {
    match path {
        Path::Call | Path::ResumableCall => {
            for number in 0..repeats {
                hot.small(u64::from(number), TEXT).await?;
            }
        }
        Path::Flight | Path::ResumableFlight => {
            let callers = (0..IN_FLIGHT).map(|_| {
                let hot = hot.clone();
                tokio::spawn(walk_calls(hot, repeats))
            });
            for caller in callers.collect::<Vec<_>>() {
                caller.await??;
            }
        }
        Path::Chain => {
            for _ in 0..repeats {
                let mut number = hot.next(0);
                for _ in 1..DEPTH {
                    number = hot.next(number);
                }
                number.await?;
            }
        }
        Path::Payload => {
            let payload = Bytes::from(vec![7; PAYLOAD]);
            for _ in 0..repeats {
                hot.bytes(payload.clone()).await?;
            }
        }
        Path::Items => {
            let mut items = hot.items(repeats).await?;
            while let Some(item) = items.next().await {
                item?;
            }
        }
        Path::Blocks => {
            let mut blocks = hot.blocks(repeats).await?;
            while let Some(block) = blocks.next().await {
                block?;
            }
        }
        Path::Structs => {
            let mut users: Vec<User> = (0..ELEMENTS).map(user).collect();
            for _ in 0..repeats {
                users = hot.users(users).await?;
            }
        }
        Path::Map => {
            for _ in 0..repeats {
                hot.numbers(ELEMENTS).map(|number| hot.next(number)).await?;
            }
        }
    }
    Ok(())
}

async fn walk_calls(hot: HotClient, repeats: u32) -> Result<(), Failure> {
    for number in 0..repeats {
        hot.small(u64::from(number), TEXT).await?;
    }
    Ok(())
}

fn user(number: u32) -> User {
    User {
        id: u64::from(number) * 1_000,
        name: format!("user number {number}"),
        role: if number.is_multiple_of(4) { Role::Guest } else { Role::Member { since: -i64::from(number) } },
        friends: (0..number % 16).collect(),
        presence: number.is_multiple_of(2).then(|| "lobby".to_owned()),
        score: f64::from(number) / 3.0,
        is_active: true,
    }
}
