//! What the chat offers: everything its server and its clients have to agree on.

use rpc_core::{data, rpc};

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
    /// Who talks has to be in a room.
    #[error("{0:?} is in no room")]
    InNoRoom(UserId),
}

/// Users, rooms and what is said in them.
#[rpc]
pub trait Chat {
    /// The user of this name, made on first use.
    async fn sign_in(&self, name: String) -> Result<User, ChatError>;

    /// What is known about a user.
    async fn profile(&self, user: UserId) -> Result<User, ChatError>;

    /// Makes `friend` the best friend of `user`.
    async fn befriend(&self, user: UserId, friend: UserId) -> Result<(), ChatError>;

    /// Brings a user to a room.
    async fn enter(&self, user: UserId, room: RoomId) -> Result<(), ChatError>;

    /// Says something in the room where the author is.
    async fn say(
        &self,
        from: UserId,
        text: String,
        reply_to: Option<MessageId>,
    ) -> Result<Message, ChatError>;

    /// One message.
    async fn message(&self, message: MessageId) -> Result<Message, ChatError>;

    /// The last messages of a room, oldest first.
    async fn history(&self, room: RoomId, last: u32) -> Result<Vec<Message>, ChatError>;
}
