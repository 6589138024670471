//! A conversation in a terminal.

#![allow(clippy::print_stdout, reason = "it is a program's face")]

use std::error::Error;

use rpc_client::{Client, StreamError, try_join};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::api::{ChatClient, Message, RoomId};

/// Enters a room and talks in it: sends the lines of standard input and prints messages.
///
/// # Errors
/// If the server cannot be reached or the connection ends.
///
/// # Cancel safety
/// Dropping the future leaves the conversation; a line that is being sent may be lost.
pub async fn talk(address: &str, name: &str, room: RoomId) -> Result<(), Box<dyn Error + Send + Sync>> {
    let chat: ChatClient = Client::connect(address).await?.service();
    let room = chat.log_in(name).enter(room);
    let history = room.history(20);
    let news = room.messages();
    let (room, history, mut news) = try_join!(room, history, news)?;
    for message in &history {
        show(&chat, message).await?;
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(text) => drop(room.say(text, None).await?),
                None => return Ok(()),
            },
            message = news.next() => match message {
                Some(Ok(message)) => show(&chat, &message).await?,
                Some(Err(StreamError::Missed { count })) => println!("({count} messages were missed)"),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}

async fn show(chat: &ChatClient, message: &Message) -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("{}: {}", chat.profile(message.author).await?.name, message.text);
    Ok(())
}
