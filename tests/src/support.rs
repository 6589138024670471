//! The service the tests call, and ways to connect to it.

pub(crate) mod cutter;
pub(crate) mod relay;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rpc_core::{Context, Services, rpc};

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) friends: Vec<UserId>,
    pub(crate) boss: Option<UserId>,
    pub(crate) home: Address,
}

#[rpc_core::data]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserId(pub(crate) u64);

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Address {
    pub(crate) city: String,
    pub(crate) position: (i32, i32),
}

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Empty,
    Circle { radius: u32 },
    Box(u32, u32),
}

#[rpc_core::data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum PeopleError {
    #[error("nobody has the id {0}")]
    Unknown(u64),
    #[error("`{0}` is nobody")]
    Nobody(String),
}

/// People and how they know each other.
#[rpc]
pub(crate) trait People {
    /// Finds somebody by name.
    async fn find(&self, name: String) -> Result<User, PeopleError>;
    async fn profile(&self, id: UserId) -> Result<User, PeopleError>;
    async fn add(&self, a: u64, b: u64) -> u64;
    async fn upto(&self, end: u64) -> Vec<u64>;
    async fn greet(&self, name: String, title: Option<String>) -> Result<String, PeopleError>;
    async fn shape(&self, kind: u32) -> Shape;
    async fn distance(&self, between: (i32, i32)) -> i32;
    async fn pair(&self, pair: (u64, u64)) -> u64;
    async fn wait(&self, #[rpc(context)] context: Context) -> Result<(), PeopleError>;
    async fn panic(&self) -> Result<(), PeopleError>;
    async fn whoami(&self, #[rpc(context)] context: Context) -> String;
    #[rpc(oneway)]
    async fn note(&self, text: String);
    #[rpc(blocking)]
    async fn block(&self, millis: u64) -> u64;
    async fn echo(&self, bytes: bytes::Bytes) -> bytes::Bytes;
}

/// A small population, which counts what is asked of it.
#[derive(Default)]
pub(crate) struct Village {
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) notes: Arc<AtomicUsize>,
    pub(crate) stopped: Arc<AtomicUsize>,
}

pub(crate) const NAMES: [&str; 5] = ["ann", "bob", "cem", "dan", "eva"];

impl Village {
    fn user(&self, index: usize) -> User {
        self.calls.fetch_add(1, Ordering::SeqCst);
        User {
            id: UserId(index as u64),
            name: NAMES[index].into(),
            friends: (0..NAMES.len() as u64).filter(|other| *other != index as u64).map(UserId).collect(),
            boss: index.checked_sub(1).map(|boss| UserId(boss as u64)),
            home: Address {
                city: format!("{}ville", NAMES[index]),
                position: (index as i32, -(index as i32)),
            },
        }
    }
}

struct Stopped(Arc<AtomicUsize>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl People for Village {
    async fn find(&self, name: String) -> Result<User, PeopleError> {
        let index = NAMES.iter().position(|known| *known == name).ok_or(PeopleError::Nobody(name))?;
        Ok(self.user(index))
    }

    async fn profile(&self, id: UserId) -> Result<User, PeopleError> {
        tokio::task::yield_now().await;
        let index = usize::try_from(id.0).ok().filter(|index| *index < NAMES.len());
        Ok(self.user(index.ok_or(PeopleError::Unknown(id.0))?))
    }

    async fn add(&self, a: u64, b: u64) -> u64 {
        self.calls.fetch_add(1, Ordering::SeqCst);
        a + b
    }

    async fn upto(&self, end: u64) -> Vec<u64> {
        (0..end).collect()
    }

    async fn greet(&self, name: String, title: Option<String>) -> Result<String, PeopleError> {
        Ok(match title {
            Some(title) => format!("hello {title} {name}"),
            None => format!("hello {name}"),
        })
    }

    async fn shape(&self, kind: u32) -> Shape {
        match kind {
            0 => Shape::Empty,
            1 => Shape::Circle { radius: 7 },
            _ => Shape::Box(3, 4),
        }
    }

    async fn distance(&self, between: (i32, i32)) -> i32 {
        between.0 - between.1
    }

    async fn pair(&self, pair: (u64, u64)) -> u64 {
        pair.0 * pair.1
    }

    async fn wait(&self, context: Context) -> Result<(), PeopleError> {
        let _stopped = Stopped(Arc::clone(&self.stopped));
        let _ = context.remaining();
        std::future::pending().await
    }

    async fn panic(&self) -> Result<(), PeopleError> {
        panic!("on purpose")
    }

    async fn whoami(&self, context: Context) -> String {
        format!("{}/{}", context.principal().name().unwrap_or("?"), context.metadata("trace").unwrap_or("-"))
    }

    async fn note(&self, text: String) {
        self.notes.fetch_add(text.len(), Ordering::SeqCst);
    }

    async fn block(&self, millis: u64) -> u64 {
        std::thread::sleep(std::time::Duration::from_millis(millis));
        millis
    }

    async fn echo(&self, bytes: bytes::Bytes) -> bytes::Bytes {
        bytes
    }
}

pub(crate) fn village() -> Services {
    Services::new().with(PeopleServer::new(Village::default()))
}

pub(crate) fn people() -> PeopleClient {
    rpc_core::memory::connect(village()).service()
}
