//! The smallest complete program: a trait, a server, a client and one call.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use rpc_client::Client;
use rpc_server::{Server, rpc};

#[rpc]
trait Greeter {
    async fn greet(&self, name: String) -> String;
}

struct English;
impl Greeter for English {
    async fn greet(&self, name: String) -> String {
        format!("Hello, {name}!")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().service(GreeterServer::new(English)).bind("127.0.0.1:0").await?;
    let url = server.url()?;
    tokio::spawn(server.serve());
    let client = Client::connect(&url).await?;
    let greeter: GreeterClient = client.service();
    println!("{}", greeter.greet("world").await?);
    Ok(())
}
