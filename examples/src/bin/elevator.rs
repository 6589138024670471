//! A client in an elevator: its connection is lost again and again, and nothing it does notices. Then its server is killed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use examples::{
    elevator::{ElevatorClient, Passenger, serve},
    link::Link,
};

type Failure = Box<dyn Error + Send + Sync>;

/// The times that the connection is lost; an argument says another number.
const CUTS: u32 = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["serve", port] => match port.parse() {
            Ok(port) => serve(port).await.map_err(Failure::from),
            Err(error) => Err(Failure::from(error)),
        },
        [] => ride(CUTS).await,
        [cuts] => match cuts.parse() {
            Ok(cuts) => ride(cuts).await,
            Err(_) => Err("usage: elevator [TIMES]".into()),
        },
        _ => Err("usage: elevator [TIMES]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn ride(cuts: u32) -> Result<(), Failure> {
    let (mut server, port) = start_server(0)?;
    let link = Link::start(([127, 0, 0, 1], port).into(), Duration::from_millis(5)).await?;
    let mut passenger = Passenger::board(&link.url()).await?;
    println!("a counter, calls and callbacks go on while the connection is lost {cuts} times …\n");
    let report = passenger.ride(&link, cuts).await;
    print!("{}", report.text());
    if report.gaps + report.duplicates > 0 {
        return Err("something was lost or came twice".into());
    }

    println!("\nnow the server is killed, and another one takes its port:");
    server.kill()?;
    server.wait()?;
    let (mut server, _) = start_server(port)?;
    for loss in passenger.losses().await {
        println!("  {loss}");
    }
    let elevator: ElevatorClient = passenger.client().service();
    let floors = elevator.press(0).await?;
    println!(
        "a new session has taken the old one's place: the same client presses its first button there, after {floors} others"
    );
    passenger.client().close().await;
    server.kill()?;
    server.wait()?;
    Ok(())
}

/// Starts a server in a process of its own, and reads its port.
fn start_server(port: u16) -> Result<(Child, u16), Failure> {
    let mut server = Command::new(env::current_exe()?)
        .args(["serve", &port.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = server.stdout.take().ok_or("the server has no output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((server, line.trim().parse()?))
}
