//! A conversation in a terminal.

#![allow(clippy::print_stdout, reason = "it is a program's face")]

use std::error::Error;

use rpc_client::{Client, try_join};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::api::{ChatClient, Listener, ListenerClient, Message, RoomId};

/// Hands on what is said.
struct Ear(UnboundedSender<Message>);

impl Listener for Ear {
    async fn heard(&self, message: Message) {
        // Nobody reads it any more when the conversation is over.
        let _ = self.0.send(message);
    }
}

/// Enters a room and talks in it: sends the lines of standard input, shows what is said.
///
/// # Errors
/// That the server cannot be reached, or went away.
///
/// # Cancel safety
/// Dropping the future leaves the conversation; a line that is being sent may be lost.
pub async fn talk(address: &str, name: &str, room: RoomId) -> Result<(), Box<dyn Error + Send + Sync>> {
    let client = Client::connect(address).await?;
    let chat: ChatClient = client.service();
    let (ear, mut heard) = unbounded_channel();
    let room = chat.log_in(name).enter(room);
    let history = room.history(20);
    let listening = room.listen(ListenerClient::local(Ear(ear)));
    let (room, history, ()) = try_join!(room, history, listening)?;
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
            Some(message) = heard.recv() => show(&chat, &message).await?,
            reason = client.closed() => return Err(reason.into()),
        }
    }
}

async fn show(chat: &ChatClient, message: &Message) -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("{}: {}", chat.profile(message.author).await?.name, message.text);
    Ok(())
}
