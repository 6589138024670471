//! The chat's server: keeps everything in memory.

use std::sync::{Mutex, MutexGuard};

use super::api::{Chat, ChatError, Message, MessageId, RoomId, User, UserId};

/// Users, the rooms they are in and what was said there.
#[derive(Default)]
pub struct Rooms(Mutex<State>);

#[derive(Default)]
struct State {
    users: Vec<User>,
    messages: Vec<Message>,
}

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
    async fn sign_in(&self, name: String) -> Result<User, ChatError> {
        if name.trim().is_empty() {
            return Err(ChatError::BadName(name));
        }
        let mut state = self.state();
        if let Some(user) = state.users.iter().find(|user| user.name == name) {
            return Ok(user.clone());
        }
        let id = UserId(state.users.len() as u64);
        let user = User { id, name, friends: Vec::new(), presence: None };
        state.users.push(user.clone());
        Ok(user)
    }

    async fn profile(&self, user: UserId) -> Result<User, ChatError> {
        self.state().user(user).cloned()
    }

    async fn befriend(&self, user: UserId, friend: UserId) -> Result<(), ChatError> {
        let mut state = self.state();
        state.user(friend)?;
        let friends = &mut state.user(user)?.friends;
        friends.retain(|known| *known != friend);
        friends.insert(0, friend);
        Ok(())
    }

    async fn enter(&self, user: UserId, room: RoomId) -> Result<(), ChatError> {
        self.state().user(user)?.presence = Some(room);
        Ok(())
    }

    async fn say(
        &self,
        from: UserId,
        text: String,
        reply_to: Option<MessageId>,
    ) -> Result<Message, ChatError> {
        let mut state = self.state();
        let Some(room) = state.user(from)?.presence.clone() else {
            return Err(ChatError::InNoRoom(from));
        };
        let id = MessageId(state.messages.len() as u64);
        let message = Message { id, room, author: from, text, reply_to };
        state.messages.push(message.clone());
        Ok(message)
    }

    async fn message(&self, message: MessageId) -> Result<Message, ChatError> {
        let state = self.state();
        let said = state.messages.iter().find(|said| said.id == message);
        said.cloned().ok_or(ChatError::NoSuchMessage(message))
    }

    async fn history(&self, room: RoomId, last: u32) -> Result<Vec<Message>, ChatError> {
        let state = self.state();
        let said: Vec<_> = state.messages.iter().filter(|message| message.room == room).collect();
        let skipped = said.len().saturating_sub(last as usize);
        Ok(said.into_iter().skip(skipped).cloned().collect())
    }
}

#[cfg(test)]
mod tests;
