//! The chat's client: loads the first screen.

use rpc_client::{CallError, Streaming, try_join};

use super::api::{ChatClient, ChatError, Message, RoomClient, User};

/// The contents of the first screen.
#[derive(Debug)]
pub struct Overview {
    /// The user who logged in.
    pub user: User,
    /// The user's best friend.
    pub friend: User,
    /// The names of all friends.
    pub friends: Vec<String>,
    /// The room where the friend is.
    pub room: RoomClient,
    /// The last messages in the room.
    pub history: Vec<Message>,
    /// The author of the first of these messages.
    pub first_author: User,
    /// The messages from now on.
    pub news: Streaming<Message>,
}

/// Logs a user in, follows their best friend to a room, loads the names of all friends and the room's last messages, and
/// subscribes to new messages: eight calls, on objects and with results that do not exist yet, in one round trip.
///
/// # Errors
/// If a call fails, the user has no friend, the friend is in no room, or the room has no messages.
///
/// # Cancel safety
/// Dropping the future cancels the calls; the user may be logged in.
pub async fn overview(chat: &ChatClient, name: &str) -> Result<Overview, CallError<ChatError>> {
    let member = chat.log_in(name);
    let user = member.profile();
    let friend = chat.profile(user.friends().index(0));
    let friends = user.friends().map(|id| chat.profile(id).name());
    let room = member.enter(friend.presence().some());
    let history = room.history(10);
    let news = room.messages();
    let first_author = chat.profile(history.index(0).author());
    let (user, friend, friends, room, history, first_author, news) =
        try_join!(user, friend, friends, room, history, first_author, news)?;
    Ok(Overview { user, friend, friends, room, history, first_author, news })
}
