//! The code of the README. Regions are quoted there word for word.

#![allow(missing_docs, reason = "the README explains it")]

use std::error::Error;

// region: api
use rpc_core::{Broadcast, CallError, Slow, Streaming, data, rpc};

#[data] // serde's traits, and promises of the fields
pub struct User { pub id: u64, pub name: String, pub boss: Option<u64> }

#[data]
#[derive(Debug, thiserror::Error)]
pub enum ChatError { #[error("nobody is called {0}")] Nobody(String) }

#[rpc]
pub trait Chat {
    async fn find(&self, name: String) -> Result<User, ChatError>;
    async fn profile(&self, id: u64) -> Result<User, ChatError>;
    async fn history(&self, of: u64, last: u32) -> Result<Vec<String>, ChatError>;
    async fn say(&self, text: String);
    async fn listen(&self) -> Streaming<String>; // whatever is said from now on
}
// end

/// The history of the boss of a user, in one round trip.
pub async fn boss_of(chat: &ChatClient, name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    // region: chain
    let user = chat.find(name);                      // on its way
    let boss = chat.profile(user.boss().some());     // a field of a result nobody has seen yet
    match chat.history(boss.id(), 50).await {        // and a field of that: one message out, one back
        Ok(said) => Ok(said),
        Err(CallError::Method(error)) => Err(format!("no history: {error}").into()),
        Err(CallError::Upstream(upstream)) => match upstream.downcast::<ChatError>() {
            Some(ChatError::Nobody(name)) => Err(format!("who is {name}?").into()),
            None => Err(upstream.into()),            // for one, this user has no boss
        },
        Err(error) => Err(error.into()),             // names the method and the cause
    }
    // end
}

#[derive(Default)]
// region: server
pub struct Room { said: Broadcast<String> }

impl Chat for Room {
    async fn say(&self, text: String) {
        let _ = self.said.send(&text).await;         // an error only if it cannot be encoded
    }
    async fn listen(&self) -> Streaming<String> {
        self.said.subscribe(16, Slow::DropOldest)    // a reader that is 16 behind misses some
    }
    // end
    async fn find(&self, name: String) -> Result<User, ChatError> {
        match &name[..] {
            "ann" => Ok(User { id: 1, name, boss: Some(2) }),
            "bob" => Ok(User { id: 2, name, boss: None }),
            _ => Err(ChatError::Nobody(name)),
        }
    }
    async fn profile(&self, id: u64) -> Result<User, ChatError> {
        self.find(if id == 1 { "ann".into() } else { "bob".into() }).await
    }
    async fn history(&self, of: u64, last: u32) -> Result<Vec<String>, ChatError> {
        Ok(vec![format!("the last {last} things that {of} said")])
    }
}

/// Prints what is said, at most `count` texts.
pub async fn print_news(chat: &ChatClient, count: usize) -> Result<Vec<String>, Box<dyn Error>> {
    use rpc_core::StreamError;
    let mut heard = Vec::new();
    // region: client
    let mut news = chat.listen().await?;
    while let Some(said) = news.next().await {
        match said {
            Ok(said) => heard.push(said),
            Err(StreamError::Missed { count }) => eprintln!("too slow for {count}"),
            Err(error) => return Err(error.into()),  // the server shut down, the connection broke, …
        }
        // end
        if heard.len() == count {
            break;
        }
        // region: client
    }
    // end
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use rpc_core::{Services, memory};

    use super::*;

    fn chat() -> ChatClient {
        memory::connect(Services::new().with(ChatServer::new(Room::default()))).service()
    }

    #[tokio::test]
    async fn a_chain_gives_its_result_or_the_typed_error_of_the_call_that_failed() {
        let chat = chat();
        assert_eq!(boss_of(&chat, "ann").await.unwrap(), ["the last 50 things that 2 said"]);
        assert_eq!(boss_of(&chat, "eve").await.unwrap_err().to_string(), "who is eve?");
        assert_eq!(
            boss_of(&chat, "bob").await.unwrap_err().to_string(),
            "`Chat.history` was built on `Chat.profile`, which failed: it was built on the result of `Chat.find`, which \
             has nothing at .boss"
        );
    }

    #[tokio::test]
    async fn a_subscriber_hears_what_is_said() {
        let chat = chat();
        let speaking = async {
            // The subscription is made in the same message, before this.
            chat.say("hello").await.unwrap();
            chat.say("again").await.unwrap();
        };
        let (heard, ()) = rpc_core::join!(print_news(&chat, 2), speaking);
        assert_eq!(heard.unwrap(), ["hello", "again"]);
    }
}
