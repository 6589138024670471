//! The implementation is a plain value with `async fn`s: these tests need no RPC.

use super::*;

#[tokio::test]
async fn signing_in_twice_gives_the_same_user() -> Result<(), ChatError> {
    let rooms = Rooms::default();
    let ann = rooms.sign_in("ann".into()).await?;
    assert_eq!(rooms.sign_in("ann".into()).await, Ok(ann));
    assert_eq!(rooms.sign_in(" ".into()).await, Err(ChatError::BadName(" ".into())));
    Ok(())
}

#[tokio::test]
async fn the_newest_friend_is_the_best() -> Result<(), ChatError> {
    let rooms = Rooms::default();
    let ann = rooms.sign_in("ann".into()).await?.id;
    let bob = rooms.sign_in("bob".into()).await?.id;
    let cem = rooms.sign_in("cem".into()).await?.id;
    for friend in [bob, cem, bob] {
        rooms.befriend(ann, friend).await?;
    }
    assert_eq!(rooms.profile(ann).await?.friends, [bob, cem]);
    assert_eq!(rooms.befriend(ann, UserId(9)).await, Err(ChatError::NoSuchUser(UserId(9))));
    Ok(())
}

#[tokio::test]
async fn a_room_shows_only_its_own_last_messages_oldest_first() -> Result<(), ChatError> {
    let rooms = Rooms::default();
    let ann = rooms.sign_in("ann".into()).await?.id;
    for (room, text) in [("tea", "one"), ("coffee", "two"), ("tea", "three"), ("tea", "four")] {
        rooms.enter(ann, RoomId(room.into())).await?;
        rooms.say(ann, text.into(), None).await?;
    }
    let tea = RoomId("tea".into());
    let texts: Vec<String> = rooms.history(tea, 2).await?.into_iter().map(|message| message.text).collect();
    assert_eq!(texts, ["three", "four"]);
    assert_eq!(rooms.history(RoomId("cocoa".into()), 2).await, Ok(vec![]));
    Ok(())
}

#[tokio::test]
async fn who_talks_is_in_a_room() -> Result<(), ChatError> {
    let rooms = Rooms::default();
    let ann = rooms.sign_in("ann".into()).await?.id;
    assert_eq!(rooms.say(ann, "hello".into(), None).await, Err(ChatError::InNoRoom(ann)));
    let room = RoomId("tea".into());
    rooms.enter(ann, room.clone()).await?;
    assert_eq!(rooms.profile(ann).await?.presence, Some(room));
    let hello = rooms.say(ann, "hello".into(), None).await?;
    assert_eq!(rooms.message(hello.id).await, Ok(hello));
    assert_eq!(rooms.message(MessageId(3)).await, Err(ChatError::NoSuchMessage(MessageId(3))));
    Ok(())
}
