//! The program that `docs/recipes/migrating.md` shows beside those of other frameworks.

// region: program
use rpc_client::Client;
use rpc_server::Server;

#[rpc_core::rpc]
trait Greeter {
    async fn greet(&self, name: String) -> String;
}

struct English;

impl Greeter for English {
    async fn greet(&self, name: String) -> String {
        format!("Hello, {name}!")
    }
}

async fn greeting() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let server = Server::builder().service(GreeterServer::new(English)).bind("127.0.0.1:0").await?;
    let url = server.url()?;
    tokio::spawn(server.serve());

    let greeter: GreeterClient = Client::connect(&url).await?.service();
    Ok(greeter.greet("world").await?)
}
// end

#[tokio::test]
async fn the_program_greets() -> super::Outcome {
    assert_eq!(greeting().await?, "Hello, world!");
    Ok(())
}
