//! A chat: `chat` measures it on a slow link; `chat serve` and `chat talk` run it in terminals.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

use std::{env, error::Error, process::ExitCode, time::Duration};

use examples::chat::{
    api::{ChatServer, RoomId},
    demonstration::Stage,
    server::Rooms,
    terminal,
};
use rpc_server::Server;

const USAGE: &str = "\
usage: chat [--delay-ms N] [--json]     measures conversations on a link of N ms each way, 50 by default
       chat serve ADDRESS               serves, for example on 127.0.0.1:9000
       chat talk URL NAME ROOM          talks, for example at ws://127.0.0.1:9000";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *arguments {
        ["serve", address] => serve(address).await,
        ["talk", url, name, room] => terminal::talk(url, name, RoomId(room.into())).await,
        ref options => match Options::parse(options) {
            Some(options) => demonstrate(options).await,
            None => Err(USAGE.into()),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(error) = source {
                eprintln!("  because {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

struct Options {
    delay: Duration,
    json: bool,
}

impl Options {
    fn parse(mut arguments: &[&str]) -> Option<Self> {
        let mut options = Self { delay: Duration::from_millis(50), json: false };
        loop {
            arguments = match arguments {
                [] => return Some(options),
                ["--json", rest @ ..] => {
                    options.json = true;
                    rest
                }
                ["--delay-ms", delay, rest @ ..] => {
                    options.delay = Duration::from_millis(delay.parse::<u16>().ok()?.into());
                    rest
                }
                _ => return None,
            };
        }
    }
}

async fn demonstrate(options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stage = Stage::set(options.delay).await?;
    let report = stage.measure(|step| eprintln!("{step}")).await?;
    println!("{}", if options.json { report.to_json() } else { report.to_string() });
    Ok(())
}

async fn serve(address: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = Server::builder().service(ChatServer::new(Rooms::default())).bind(address).await?;
    eprintln!("serving on ws://{}; Ctrl-C ends it", server.local_addr()?);
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    Ok(server.serve_until(interrupted).await?)
}
