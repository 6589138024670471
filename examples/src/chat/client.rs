//! The chat's client: what a program shows first.

use rpc_client::{CallError, Streaming, try_join};

use super::api::{ChatClient, ChatError, Message, RoomClient, User};

/// What the first screen shows.
#[derive(Debug)]
pub struct Overview {
    /// Who logged in.
    pub user: User,
    /// Their best friend.
    pub friend: User,
    /// What all friends are called.
    pub friends: Vec<String>,
    /// The room where the friend is.
    pub room: RoomClient,
    /// What was last said there.
    pub history: Vec<Message>,
    /// Who said the first of it.
    pub first_author: User,
    /// What is said from now on.
    pub news: Streaming<Message>,
}

/// Logs a user in, follows their best friend to a room, loads the names of all friends and what was said in the room, and
/// subscribes to what is said next: eight calls, on objects and with results that do not exist yet, in one round trip.
///
/// # Errors
/// Also when the user has no friend, or is in no room, or nothing was said there.
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
