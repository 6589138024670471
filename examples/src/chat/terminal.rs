//! A conversation in a terminal.

#![allow(clippy::print_stdout, reason = "it is a program's face")]

use std::{error::Error, time::Duration};

use rpc_client::{Client, join_all, try_join};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::api::{ChatClient, RoomId};

/// Enters a room and talks in it: sends the lines of standard input, shows what others say.
///
/// # Errors
/// That the server cannot be reached, or went away.
///
/// # Cancel safety
/// Dropping the future leaves the conversation; a line that is being sent may be lost.
pub async fn talk(address: &str, name: &str, room: RoomId) -> Result<(), Box<dyn Error + Send + Sync>> {
    let chat: ChatClient = Client::connect(address).await?.service();
    let user = chat.sign_in(name);
    let present = chat.enter(user.id(), room.clone());
    let (user, ()) = try_join!(user, present)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut seen = None;
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(text) => drop(chat.say(user.id, text, None).await?),
                None => return Ok(()),
            },
            _ = look.tick() => {
                let mut messages = chat.history(room.clone(), 20).await?;
                messages.retain(|message| Some(message.id) > seen);
                let authors = join_all(messages.iter().map(|message| chat.profile(message.author))).await;
                for (message, author) in messages.iter().zip(authors) {
                    println!("{}: {}", author?.name, message.text);
                    seen = Some(message.id);
                }
            }
        }
    }
}
