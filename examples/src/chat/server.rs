//! The chat's server: keeps everything in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rpc_core::{Broadcast, Slow, Streaming};

use super::api::{
    Chat, ChatError, ListenerClient, Member, MemberClient, Message, MessageId, Room, RoomClient, RoomId,
    User, UserId,
};

/// Users, the rooms they are in and what was said there.
#[derive(Clone, Default)]
pub struct Rooms(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    users: Vec<User>,
    messages: Vec<Message>,
    news: HashMap<String, Broadcast<Message>>,
    listeners: Vec<(RoomId, ListenerClient)>,
}

/// A user who has logged in.
struct LoggedIn(Rooms, UserId);

/// A user in a room.
struct Entered(Rooms, UserId, RoomId);

impl Rooms {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}

impl State {
    fn user(&mut self, id: UserId) -> Result<&mut User, ChatError> {
        self.users.iter_mut().find(|user| user.id == id).ok_or(ChatError::NoSuchUser(id))
    }
}

impl Chat for Rooms {
    async fn log_in(&self, name: String) -> Result<MemberClient, ChatError> {
        if name.trim().is_empty() {
            return Err(ChatError::BadName(name));
        }
        let mut state = self.state();
        let known = state.users.iter().find(|user| user.name == name).map(|user| user.id);
        let id = known.unwrap_or(UserId(state.users.len() as u64));
        if known.is_none() {
            state.users.push(User { id, name, friends: Vec::new(), presence: None });
        }
        Ok(MemberClient::local(LoggedIn(self.clone(), id)))
    }

    async fn profile(&self, user: UserId) -> Result<User, ChatError> {
        self.state().user(user).cloned()
    }

    async fn message(&self, message: MessageId) -> Result<Message, ChatError> {
        let state = self.state();
        let said = state.messages.iter().find(|said| said.id == message);
        said.cloned().ok_or(ChatError::NoSuchMessage(message))
    }
}

impl Member for LoggedIn {
    async fn profile(&self) -> Result<User, ChatError> {
        self.0.profile(self.1).await
    }

    async fn befriend(&self, friend: UserId) -> Result<(), ChatError> {
        let mut state = self.0.state();
        state.user(friend)?;
        let friends = &mut state.user(self.1)?.friends;
        friends.retain(|known| *known != friend);
        friends.insert(0, friend);
        Ok(())
    }

    async fn enter(&self, room: RoomId) -> Result<RoomClient, ChatError> {
        self.0.state().user(self.1)?.presence = Some(room.clone());
        Ok(RoomClient::local(Entered(self.0.clone(), self.1, room)))
    }
}

impl Room for Entered {
    async fn say(&self, text: String, reply_to: Option<MessageId>) -> Result<Message, ChatError> {
        let Self(rooms, author, room) = self;
        let mut state = rooms.state();
        let id = MessageId(state.messages.len() as u64);
        let message = Message { id, room: room.clone(), author: *author, text, reply_to };
        state.messages.push(message.clone());
        let _ = state.news.entry(room.0.clone()).or_default().try_send(&message);
        // A listener that cannot be called any more is removed.
        state.listeners.retain(|(at, listener)| at != room || listener.heard(message.clone()).is_ok());
        Ok(message)
    }

    async fn history(&self, last: u32) -> Result<Vec<Message>, ChatError> {
        let state = self.0.state();
        let said: Vec<_> = state.messages.iter().filter(|message| message.room == self.2).collect();
        let skipped = said.len().saturating_sub(last as usize);
        Ok(said.into_iter().skip(skipped).cloned().collect())
    }

    async fn messages(&self) -> Result<Streaming<Message>, ChatError> {
        // A slow reader loses the oldest messages and is told how many.
        Ok(self.0.state().news.entry(self.2.0.clone()).or_default().subscribe(100, Slow::DropOldest))
    }

    async fn listen(&self, listener: ListenerClient) -> Result<(), ChatError> {
        self.0.state().listeners.push((self.2.clone(), listener));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
