//! The chat's client: what a program shows first.

use rpc_client::{CallError, try_join};

use super::api::{ChatClient, ChatError, Message, User};

/// What the first screen shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Who signed in.
    pub user: User,
    /// Their best friend.
    pub friend: User,
    /// What was last said in the room where the friend is.
    pub history: Vec<Message>,
    /// Who said the first of it.
    pub first_author: User,
}

/// Signs a user in and loads their overview: four calls, three of which need results of others, in one round trip.
///
/// # Errors
/// Also when the user has no friend, or is in no room, or nothing was said there.
///
/// # Cancel safety
/// Dropping the future cancels the calls; the user may be signed in.
pub async fn overview(chat: &ChatClient, name: &str) -> Result<Overview, CallError<ChatError>> {
    let user = chat.sign_in(name);
    let friend = chat.profile(user.friends().index(0));
    let history = chat.history(friend.presence().some(), 20);
    let first_author = chat.profile(history.index(0).author());
    let (user, friend, history, first_author) = try_join!(user, friend, history, first_author)?;
    Ok(Overview { user, friend, history, first_author })
}
