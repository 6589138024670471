//! Compares one conversation awaited step by step and pipelined, on a slow link, by time, messages and bytes.

use std::{
    error::Error,
    fmt::{self, Write},
    time::{Duration, Instant},
};

use rpc_client::{CallError, Client, try_join};
use rpc_server::Server;

use super::{
    api::{ChatClient, ChatError, ChatServer, Message, MessageId, RoomId},
    client,
    server::Rooms,
};
use crate::link::{Link, Traffic};

/// The numbers of calls in the measured conversations. Each call needs the result of the one before.
pub const DEPTHS: [u32; 5] = [1, 2, 4, 8, 16];

/// Follows replies back, `depth` messages in all, and awaits each message before it asks for the next.
///
/// # Errors
/// If a message does not exist.
///
/// # Cancel safety
/// Dropping the future cancels the call in flight.
pub async fn thread_awaited(
    chat: &ChatClient,
    newest: MessageId,
    depth: u32,
) -> Result<Message, CallError<ChatError>> {
    let mut message = chat.message(newest).await?;
    for _ in 1..depth {
        let Some(answered) = message.reply_to else { break };
        message = chat.message(answered).await?;
    }
    Ok(message)
}

/// Follows replies back, `depth` messages in all, and awaits only the last.
///
/// # Errors
/// If a message does not exist, or is not a reply.
///
/// # Cancel safety
/// Dropping the future cancels all calls.
pub async fn thread_pipelined(
    chat: &ChatClient,
    newest: MessageId,
    depth: u32,
) -> Result<Message, CallError<ChatError>> {
    let mut message = chat.message(newest);
    for _ in 1..depth {
        message = chat.message(message.reply_to().some());
    }
    message.await
}

/// A chat on a link: its server, a connected client, and users who have exchanged messages.
pub struct Stage {
    chat: ChatClient,
    link: Link,
    delay: Duration,
    /// The last message of a chain of replies.
    newest: MessageId,
}

impl Stage {
    /// Starts a server and connects to it through a link of this delay.
    ///
    /// # Errors
    /// If no socket can be opened.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn set(delay: Duration) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let server = Server::builder().service(ChatServer::new(Rooms::default())).bind("127.0.0.1:0").await?;
        let link = Link::start(server.local_addr()?, delay).await?;
        tokio::spawn(server.serve());
        let chat: ChatClient = Client::connect(&link.url()).await?.service();
        let newest = populate(&chat).await?;
        Ok(Self { chat, link, delay, newest })
    }

    /// Measures the overview, then every depth awaited and pipelined. Calls `progress` before each step.
    ///
    /// # Errors
    /// If a call fails.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the calls under way.
    pub async fn measure(&self, progress: impl Fn(&str)) -> Result<Report, CallError<ChatError>> {
        let Self { chat, newest, delay, .. } = self;
        progress("a single call");
        let round_trip = self.cost(|| thread_awaited(chat, *newest, 1)).await?.time;
        progress("a user's overview");
        let overview = self.cost(|| client::overview(chat, "ann")).await?;
        let mut rows = Vec::new();
        for depth in DEPTHS {
            progress(&format!("a conversation of depth {depth}"));
            let awaited = self.cost(|| thread_awaited(chat, *newest, depth)).await?;
            let pipelined = self.cost(|| thread_pipelined(chat, *newest, depth)).await?;
            rows.push(Row { depth, awaited, pipelined });
        }
        Ok(Report { delay: *delay, round_trip, overview, rows })
    }

    /// The fastest of three runs: the machine slows the others.
    async fn cost<T, E, F>(&self, conversation: impl Fn() -> F) -> Result<Cost, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut fastest = self.count(conversation()).await?;
        for _ in 1..3 {
            let cost = self.count(conversation()).await?;
            if cost.time < fastest.time {
                fastest = cost;
            }
        }
        Ok(fastest)
    }

    async fn count<T, E>(&self, conversation: impl Future<Output = Result<T, E>>) -> Result<Cost, E> {
        // Wait until traffic of earlier conversations has left the link.
        tokio::time::sleep(2 * self.delay + Duration::from_millis(5)).await;
        let (before, start) = (self.link.traffic(), Instant::now());
        conversation.await?;
        Ok(Cost { time: start.elapsed(), traffic: self.link.traffic() - before })
    }
}

/// Makes two friends in a room and a chain of replies as long as the deepest conversation, in one round trip.
async fn populate(chat: &ChatClient) -> Result<MessageId, CallError<ChatError>> {
    let (ann, bob) = (chat.log_in("ann"), chat.log_in("bob"));
    let friends = ann.befriend(bob.profile().id());
    let room = RoomId("tea".into());
    let rooms = (ann.enter(room.clone()), bob.enter(room));
    let mut said = rooms.1.say("who is there?", None);
    for count in 2..=DEPTHS[DEPTHS.len() - 1] {
        let room = if count % 2 == 0 { &rooms.0 } else { &rooms.1 };
        said = room.say(format!("this is line {count}"), said.id());
    }
    let ((), newest) = try_join!(friends, said.id())?;
    Ok(newest)
}

/// The costs of the conversations.
#[derive(Debug)]
pub struct Report {
    delay: Duration,
    /// The time of the fastest single call: the link's two delays, timers and the machine.
    round_trip: Duration,
    overview: Cost,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    depth: u32,
    awaited: Cost,
    pipelined: Cost,
}

#[derive(Debug)]
struct Cost {
    time: Duration,
    traffic: Traffic,
}

impl Report {
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let (awaited, pipelined) = (self.cost_json(&row.awaited), self.cost_json(&row.pipelined));
                format!("{{\"depth\":{},\"awaited\":{awaited},\"pipelined\":{pipelined}}}", row.depth)
            })
            .collect();
        format!(
            "{{\"delay_ms\":{},\"round_trip_ms\":{:.1},\"overview\":{},\"conversations\":[{}]}}",
            self.delay.as_millis(),
            milliseconds(self.round_trip),
            self.cost_json(&self.overview),
            rows.join(",")
        )
    }

    fn cost_json(&self, cost: &Cost) -> String {
        let Traffic { out, back } = cost.traffic;
        let trips = self.round_trips(cost);
        format!(
            "{{\"round_trips\":{trips},\"messages_out\":{},\"messages_back\":{},\"bytes_out\":{},\"bytes_back\":{},\"ms\":{:.1}}}",
            out.messages,
            back.messages,
            out.bytes,
            back.bytes,
            milliseconds(cost.time)
        )
    }

    /// A conversation's time in round trips, rounded.
    fn round_trips(&self, cost: &Cost) -> f64 {
        (cost.time.as_secs_f64() / self.round_trip.as_secs_f64()).round()
    }

    fn write_cost(&self, f: &mut fmt::Formatter<'_>, cost: &Cost) -> fmt::Result {
        let Traffic { out, back } = cost.traffic;
        let trips = self.round_trips(cost);
        let (bytes, time) = (out.bytes + back.bytes, milliseconds(cost.time));
        write!(f, " | {trips:>11} {:>4} {:>4} {bytes:>6} {time:>7.1}", out.messages, back.messages)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A table for a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = " | round trips  out back  bytes      ms";
        let (delay, round_trip) = (self.delay.as_millis(), milliseconds(self.round_trip));
        writeln!(
            f,
            "A link of {delay} ms each way; a single call takes {round_trip:.1} ms, one round trip.\n"
        )?;
        writeln!(f, "depth | {:<36} | pipelined", "awaited step by step")?;
        writeln!(f, "     {columns}{columns}")?;
        let rule = "-".repeat(columns.len() - 2);
        writeln!(f, "------+{rule}+{rule}")?;
        for Row { depth, awaited, pipelined } in &self.rows {
            write!(f, "{depth:>5}")?;
            self.write_cost(f, awaited)?;
            self.write_cost(f, pipelined)?;
            f.write_char('\n')?;
        }
        let Cost { traffic, .. } = &self.overview;
        write!(
            f,
            "\nLogging in, friends' names, a room, its history and its news, eight calls of which seven need others: {:.1} ms, {} out, {} back.",
            milliseconds(self.overview.time),
            traffic.out.messages,
            traffic.back.messages
        )
    }
}

#[cfg(test)]
mod tests;
