//! The server's rules, through clients of a chat in this process: no sockets.

use rpc_client::CallError;

use super::*;
use crate::chat::api::ChatClient;

type Outcome = Result<(), CallError<ChatError>>;

fn chat() -> ChatClient {
    ChatClient::local(Rooms::default())
}

#[tokio::test]
async fn logging_in_twice_gives_the_same_user() -> Outcome {
    let chat = chat();
    let ann = chat.log_in("ann").profile().await?;
    assert_eq!(chat.log_in("ann").profile().await?, ann);
    let error = chat.log_in(" ").await.err();
    assert!(matches!(&error, Some(CallError::Method(ChatError::BadName(name))) if name == " "), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn the_newest_friend_is_the_best() -> Outcome {
    let chat = chat();
    let ann = chat.log_in("ann").await?;
    let (bob, cem) = (chat.log_in("bob").profile().id().await?, chat.log_in("cem").profile().id().await?);
    for friend in [bob, cem, bob] {
        ann.befriend(friend).await?;
    }
    assert_eq!(ann.profile().friends().await?, [bob, cem]);
    let error = ann.befriend(UserId(9)).await.err();
    assert!(matches!(error, Some(CallError::Method(ChatError::NoSuchUser(UserId(9))))), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_room_shows_only_its_own_last_messages_oldest_first() -> Outcome {
    let chat = chat();
    let ann = chat.log_in("ann").await?;
    let room = |name: &str| RoomId(name.into());
    for (name, text) in [("tea", "one"), ("coffee", "two"), ("tea", "three"), ("tea", "four")] {
        ann.enter(room(name)).say(text, None).await?;
    }
    let texts: Vec<String> =
        ann.enter(room("tea")).history(2).await?.into_iter().map(|message| message.text).collect();
    assert_eq!(texts, ["three", "four"]);
    assert_eq!(ann.enter(room("cocoa")).history(2).await?, []);
    assert_eq!(ann.profile().await?.presence, Some(room("cocoa")));
    Ok(())
}

#[tokio::test]
async fn what_is_said_can_be_found_again() -> Outcome {
    let chat = chat();
    let hello = chat.log_in("ann").enter(RoomId("tea".into())).say("hello", None).await?;
    assert_eq!(chat.message(hello.id).await?, hello);
    let error = chat.message(MessageId(3)).await.err();
    assert!(matches!(error, Some(CallError::Method(ChatError::NoSuchMessage(MessageId(3))))), "{error:?}");
    Ok(())
}
