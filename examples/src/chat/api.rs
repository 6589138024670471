//! The chat's API: everything that its server and its clients have to agree on.

use rpc_core::{Streaming, data, rpc};

/// Names a user.
#[data]
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct UserId(pub u64);

/// Names a room; there is one for every name.
#[data]
#[derive(Debug, Clone, PartialEq)]
pub struct RoomId(pub String);

/// Names a message; later ones have higher ids.
#[data]
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct MessageId(pub u64);

/// Somebody who chats.
#[data]
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Names this user.
    pub id: UserId,
    /// What others call them; unique.
    pub name: String,
    /// The best friend first.
    pub friends: Vec<UserId>,
    /// The room they are in, if they are present.
    pub presence: Option<RoomId>,
}

/// Something said in a room.
#[data]
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Names this message.
    pub id: MessageId,
    /// Where it was said.
    pub room: RoomId,
    /// Who said it.
    pub author: UserId,
    /// What was said.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
}

/// Why the chat did not do what was asked.
#[data]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChatError {
    /// Nobody can be called that.
    #[error("`{0}` is no name")]
    BadName(String),
    /// The id names nobody.
    #[error("there is no user {0:?}")]
    NoSuchUser(UserId),
    /// The id names no message.
    #[error("there is no message {0:?}")]
    NoSuchMessage(MessageId),
}

/// Users, rooms and what is said in them.
///
/// This is where every conversation begins: [`log_in`](Chat::log_in) gives a [`Member`], who can [enter](Member::enter) a
/// [`Room`]. None of them has to be waited for.
#[rpc]
pub trait Chat {
    /// Logs in under a name; the user is made on first use.
    ///
    /// A name is anything but spaces; everything else fails with [`ChatError::BadName`].
    async fn log_in(&self, name: String) -> Result<MemberClient, ChatError>;

    /// What is known about a user.
    #[rpc(idempotent)]
    async fn profile(&self, user: UserId) -> Result<User, ChatError>;

    /// One message.
    async fn message(&self, message: MessageId) -> Result<Message, ChatError>;
}

/// Somebody who has logged in: who holds it may act as this user.
#[rpc]
pub trait Member {
    /// What is known about the user.
    async fn profile(&self) -> Result<User, ChatError>;

    /// Makes somebody the best friend.
    async fn befriend(&self, friend: UserId) -> Result<(), ChatError>;

    /// Goes to a room.
    async fn enter(&self, room: RoomId) -> Result<RoomClient, ChatError>;
}

/// A room, as the member who entered it has it.
#[rpc]
pub trait Room {
    /// Says something.
    async fn say(&self, text: String, reply_to: Option<MessageId>) -> Result<Message, ChatError>;

    /// The last messages, oldest first.
    async fn history(&self, last: u32) -> Result<Vec<Message>, ChatError>;

    /// What is said from now on. For what was said before, see [`Room::history`].
    async fn messages(&self) -> Result<Streaming<Message>, ChatError>;

    /// Calls the listener for each message from now on, until it is gone.
    async fn listen(&self, listener: ListenerClient) -> Result<(), ChatError>;
}

/// What a client lets a room call.
#[rpc]
pub trait Listener {
    /// Something was said.
    #[rpc(oneway)]
    async fn heard(&self, message: Message);
}
