//! Checks the claims about the conversations by counting messages at the socket. No test depends on time.

use std::cell::Cell;

use super::*;
use crate::chat::api::{Listener, ListenerClient};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// One thread, so that no scheduler comes between the calls of a graph.
async fn stage() -> Result<Stage, Box<dyn Error + Send + Sync>> {
    Stage::set(Duration::ZERO).await
}

#[tokio::test]
async fn sixteen_dependent_calls_are_one_message_out_and_one_back() -> Outcome {
    let stage = stage().await?;
    let cost = stage.count(thread_pipelined(&stage.chat, stage.newest, 16)).await?;
    assert_eq!((cost.traffic.out.messages, cost.traffic.back.messages), (1, 1));
    Ok(())
}

#[tokio::test]
async fn awaited_one_by_one_they_are_sixteen_out_and_sixteen_back() -> Outcome {
    let stage = stage().await?;
    let cost = stage.count(thread_awaited(&stage.chat, stage.newest, 16)).await?;
    assert_eq!((cost.traffic.out.messages, cost.traffic.back.messages), (16, 16));
    Ok(())
}

#[tokio::test]
async fn both_conversations_end_at_the_same_message() -> Outcome {
    let stage = stage().await?;
    for depth in DEPTHS {
        let awaited = thread_awaited(&stage.chat, stage.newest, depth).await?;
        assert_eq!(thread_pipelined(&stage.chat, stage.newest, depth).await?, awaited);
    }
    assert_eq!(thread_awaited(&stage.chat, stage.newest, 16).await?.text, "who is there?");
    Ok(())
}

#[tokio::test]
async fn an_overview_is_one_message_out_and_one_back_and_then_news_come() -> Outcome {
    let stage = stage().await?;
    let mut overview = client::overview(&stage.chat, "ann").await?;
    assert_eq!((overview.friend.name.as_str(), overview.history.len()), ("bob", 10));
    assert_eq!(overview.first_author, overview.friend);
    assert_eq!(overview.friends, ["bob"]);
    let said = overview.room.say("hello", None).await?;
    assert_eq!(overview.news.next().await.transpose()?, Some(said));
    let cost = stage.count(client::overview(&stage.chat, "ann")).await?;
    assert_eq!((cost.traffic.out.messages, cost.traffic.back.messages), (1, 1));
    Ok(())
}

/// A listener that forwards messages to a channel.
struct Ear(tokio::sync::mpsc::UnboundedSender<Message>);

impl Listener for Ear {
    async fn heard(&self, message: Message) {
        let _ = self.0.send(message);
    }
}

#[tokio::test]
async fn a_listener_joins_in_the_same_round_trip_and_is_called_for_each_message() -> Outcome {
    let stage = stage().await?;
    let (ear, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listener = ListenerClient::local(Ear(ear));
    let joined = Cell::new(None);
    let join = async {
        let room = stage.chat.log_in("ann").enter(RoomId("tea".into()));
        let listening = room.listen(listener);
        joined.set(Some(try_join!(room, listening)?.0));
        Ok::<_, CallError<ChatError>>(())
    };
    let cost = stage.count(join).await?;
    assert_eq!((cost.traffic.out.messages, cost.traffic.back.messages), (1, 1));
    let Some(room) = joined.take() else { panic!("it joined") };
    let said = room.say("hello", None).await?;
    assert_eq!(heard.recv().await, Some(said));
    Ok(())
}

#[tokio::test]
async fn an_overview_fails_with_the_error_of_the_call_that_failed() -> Outcome {
    let stage = stage().await?;
    let error = client::overview(&stage.chat, " ").await.err();
    let Some(CallError::Upstream(upstream)) = error else { panic!("{error:?}") };
    assert!(matches!(upstream.downcast(), Some(ChatError::BadName(_))), "{upstream}");
    // Eva has no friend yet: her profile exists, but its first friend does not.
    let error = client::overview(&stage.chat, "eva").await.err();
    let Some(CallError::Upstream(upstream)) = error else { panic!("{error:?}") };
    assert_eq!((upstream.failed().method, upstream.missed().is_some()), ("profile", true));
    Ok(())
}

#[tokio::test]
async fn the_report_is_a_table_and_json() -> Outcome {
    let report = stage().await?.measure(|_| {}).await?;
    let table = report.to_string();
    assert_eq!(table.lines().filter(|line| line.contains(" | ")).count(), 2 + DEPTHS.len(), "{table}");
    let json = report.to_json();
    assert_eq!(json.matches("\"messages_out\":").count(), 1 + 2 * DEPTHS.len(), "{json}");
    assert_eq!(
        (json.matches('{').count(), json.matches('}').count()),
        (12 + DEPTHS.len(), 12 + DEPTHS.len())
    );
    Ok(())
}
