//! What the benchmarks compare with: other RPC frameworks, as servers and as clients in processes of their own.
//!
//! Each framework has a module with `serve` and a client. What clients do, and how the program that measures talks to this
//! one, is the same code as its own.

mod capnp_peer;
#[path = "../../src/drive.rs"]
mod drive;
mod jsonrpsee_peer;
mod tarpc_peer;
mod tonic_peer;

use std::{net::SocketAddr, time::Duration};

use drive::{Failure, Work, drive};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::LocalSet,
};

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (runtime, local) = match arguments[..] {
        [_, subject, workers, ..] => (runtime(subject, workers)?, LocalSet::new()),
        _ => {
            let usage =
                "the benchmarks start this program; see `cargo run -p benchmarks --release -- --help`";
            return Err(usage.into());
        }
    };
    // Only what cannot leave its thread runs in the set; the others' tasks are on the workers.
    match arguments[..] {
        ["serve", subject, _] => local.block_on(&runtime, serve(subject)),
        ["drive", subject, _, address, work, milliseconds] => {
            let time = Duration::from_millis(milliseconds.parse()?);
            local.block_on(&runtime, drive_as(subject, address.parse()?, work.parse()?, time))
        }
        _ => Err(format!("{arguments:?} is no order").into()),
    }
}

/// Cap'n Proto's objects stay on one thread, whatever the number of workers.
fn runtime(subject: &str, workers: &str) -> Result<Runtime, Failure> {
    Ok(match subject {
        "capnp-rpc" => Builder::new_current_thread().enable_all().build()?,
        _ => Builder::new_multi_thread().worker_threads(workers.parse()?).enable_all().build()?,
    })
}

async fn serve(subject: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let parent_gone = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let serve = async {
        match subject {
            "tarpc" => tarpc_peer::serve(listener).await,
            "jsonrpsee" => jsonrpsee_peer::serve(listener).await,
            "tonic" => tonic_peer::serve(listener).await,
            "capnp-rpc" => capnp_peer::serve(listener).await,
            other => Err(format!("nothing is called {other}").into()),
        }
    };
    tokio::select! {
        served = serve => served,
        _ = parent_gone => Ok(()),
    }
}

async fn drive_as(subject: &str, address: SocketAddr, work: Work, time: Duration) -> Result<(), Failure> {
    match subject {
        "tarpc" => drive::<tarpc_peer::EchoClient>(address, work, time).await,
        "jsonrpsee" => drive::<jsonrpsee_peer::Client>(address, work, time).await,
        "tonic" => drive::<tonic_peer::Client>(address, work, time).await,
        "capnp-rpc" => drive::<capnp_peer::Client>(address, work, time).await,
        other => Err(format!("nothing is called {other}").into()),
    }
}
