//! The code of the README. Regions are quoted there word for word.

use rpc_core::{Services, memory};

// region: chain
use rpc_core::{Broadcast, CallError, Slow, StreamError, Streaming, data, rpc};

#[data] // serde's traits, and promises of the fields
struct User { id: u64, name: String, boss: Option<u64> }

#[data]
#[derive(Debug, thiserror::Error)]
enum ChatError { #[error("nobody is called {0}")] Nobody(String) }

#[rpc]
trait Chat {
    async fn find(&self, name: String) -> Result<User, ChatError>;
    async fn profile(&self, id: u64) -> Result<User, ChatError>;
    async fn history(&self, of: u64, last: u32) -> Result<Vec<String>, ChatError>;
    async fn say(&self, text: String);
    async fn listen(&self) -> Streaming<String>;         // what is said from now on
}

async fn said_by_boss_of(name: &str, chat: &ChatClient) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let user = chat.find(name);                          // on its way
    let boss = chat.profile(user.boss().some());         // a field of a result nobody has seen yet
    match chat.history(boss.id(), 50).await {            // and a field of that: one message out, one back
        Ok(said) => Ok(said),
        Err(CallError::Method(error)) => Err(format!("no history: {error}").into()),
        Err(CallError::Upstream(upstream)) => match upstream.downcast::<ChatError>() {
            Some(ChatError::Nobody(name)) => Err(format!("who is {name}?").into()),
            None => Err(upstream.into()),                // for one, this user has no boss
        },
        Err(error) => Err(error.into()),                 // names the method; its source is the cause
    }
}
// end

struct Room {
    said: Broadcast<String>,
}

impl Chat for Room {
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
    // region: subscription
    // In the server's `impl Chat for Room`, whose field `said` is a `Broadcast::<String>::new()`.
    async fn say(&self, text: String) {
        let _ = self.said.send(&text).await;             // an error only if it cannot be encoded
    }
    async fn listen(&self) -> Streaming<String> {
        self.said.subscribe(16, Slow::DropOldest)        // a reader that is 16 behind misses some
    }
}

async fn listen(chat: &ChatClient, heard: &mut Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut news = chat.listen().await?;
    while let Some(said) = news.next().await {
        match said {
            Ok(said) => heard.push(said),
            Err(StreamError::Missed { count }) => eprintln!("too slow for {count}"),
            Err(error) => return Err(error.into()),      // the server shut down, the connection broke, …
        }
    }
    Ok(())
}
// end

fn room() -> (ChatClient, Broadcast<String>) {
    let said = Broadcast::new();
    (memory::connect(Services::new().with(ChatServer::new(Room { said: said.clone() }))).service(), said)
}

#[tokio::test]
async fn a_chain_gives_its_result_or_the_typed_error_of_the_call_that_failed() {
    let (chat, _) = room();
    assert_eq!(said_by_boss_of("ann", &chat).await.unwrap(), ["the last 50 things that 2 said"]);
    assert_eq!(said_by_boss_of("eve", &chat).await.unwrap_err().to_string(), "who is eve?");
    assert_eq!(
        said_by_boss_of("bob", &chat).await.unwrap_err().to_string(),
        "`Chat.history` was built on `Chat.profile`, which failed: it was built on the result of `Chat.find`, which \
         has nothing at .boss"
    );
}

#[tokio::test]
async fn a_subscriber_hears_what_is_said() {
    let (chat, said) = room();
    let speaking = async {
        // The subscription is made in the same message, before this.
        chat.say("hello").await.unwrap();
        chat.say("again").await.unwrap();
        said.close();
    };
    let mut heard = Vec::new();
    let (listened, ()) = rpc_core::join!(listen(&chat, &mut heard), speaking);
    listened.unwrap();
    assert_eq!(heard, ["hello", "again"]);
}
