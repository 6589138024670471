//! A client in a desktop application and in a command line tool, and a server beside another one.

use std::{error::Error, io, pin::pin, sync::mpsc, time::Duration};

use futures::StreamExt;
use rpc_client::{CallError, Client, ConnectionState};
use rpc_core::rpc;
use rpc_server::{Listening, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc::UnboundedReceiver, mpsc::UnboundedSender, oneshot, watch},
};

use super::Outcome;

#[rpc]
trait Greeter {
    async fn greet(&self, name: String) -> String;
}

struct English;

impl Greeter for English {
    async fn greet(&self, name: String) -> String {
        match &*name {
            "nobody" => std::future::pending().await,
            name => format!("Hello, {name}!"),
        }
    }
}

// region: desktop
/// A wish of the window.
enum Ask {
    Greeting { name: String },
}

/// News for the window.
#[derive(Debug, PartialEq)]
enum Tell {
    Connected,
    Greeting(String),
    Failed(String),
    Offline(String),
}

/// Starts a thread for everything asynchronous. `tell` hands news to the window's thread and wakes it.
fn start(url: String, tell: impl Fn(Tell) + Clone + Send + 'static) -> UnboundedSender<Ask> {
    let (asks, asked) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(converse(&url, asked, tell)),
        Err(error) => tell(Tell::Offline(error.to_string())),
    });
    asks
}

async fn converse(
    url: &str,
    mut asked: UnboundedReceiver<Ask>,
    tell: impl Fn(Tell) + Clone + Send + 'static,
) {
    let client = match Client::connect(url).await {
        Ok(client) => client,
        Err(error) => return tell(Tell::Offline(error.to_string())),
    };
    tell(Tell::Connected);
    let mut is_online = true;
    let greeter: GreeterClient = client.service();
    let mut states = pin!(client.states());
    loop {
        let ask = tokio::select! {
            ask = asked.recv() => ask,
            Some(state) = states.next() => {
                match state {
                    // The client connects again by itself; meanwhile its calls wait.
                    ConnectionState::Detached { reason, .. } | ConnectionState::Lost { reason } if is_online => {
                        is_online = false;
                        tell(Tell::Offline(reason.to_string()));
                    }
                    ConnectionState::Attached | ConnectionState::Resumed if !is_online => {
                        is_online = true;
                        tell(Tell::Connected);
                    }
                    _ => {}
                }
                continue;
            }
        };
        match ask {
            Some(Ask::Greeting { name }) => {
                // A task of its own: the next wish need not wait for this one.
                let (call, tell) = (greeter.deadline(Duration::from_secs(10)).greet(name), tell.clone());
                tokio::spawn(async move {
                    let greeting =
                        call.await.map_or_else(|error| Tell::Failed(error.to_string()), Tell::Greeting);
                    tell(greeting);
                });
            }
            // The window is closed.
            None => {
                client.close().await;
                return;
            }
        }
    }
}
// end

async fn serve() -> Result<(String, rpc_server::ServerHandle), io::Error> {
    let server = Server::builder().service(GreeterServer::new(English)).bind("127.0.0.1:0").await?;
    let (url, handle) = (server.url()?, server.handle());
    tokio::spawn(server.serve());
    Ok((url, handle))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_window_asks_and_is_told() -> Outcome {
    let (url, server) = serve().await?;
    let window = tokio::task::spawn_blocking(move || {
        // region: window
        // The window's side, which never waits for the network. `recv` stands for the window's event loop.
        let (news, told) = mpsc::channel();
        let asks = start(url, move |tell| {
            let _ = news.send(tell);
            // Wake the window here: `request_repaint`, `invoke_from_event_loop`, `glib::MainContext::invoke`, …
        });
        asks.send(Ask::Greeting { name: "Ann".into() })?;
        assert_eq!(told.recv()?, Tell::Connected);
        assert_eq!(told.recv()?, Tell::Greeting("Hello, Ann!".into()));
        // end
        server.shutdown();
        assert!(matches!(told.recv()?, Tell::Offline(reason) if reason.contains("closed by the peer")));
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    });
    window.await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_window_is_told_that_there_is_no_server() -> Outcome {
    let window = tokio::task::spawn_blocking(|| {
        let (news, told) = mpsc::channel();
        let _asks = start("ws://127.0.0.1:1".into(), move |tell| drop(news.send(tell)));
        assert!(matches!(told.recv()?, Tell::Offline(reason) if reason.contains("cannot be reached")));
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    });
    window.await?
}

// region: tool
/// One call of a command line tool. `main` has `#[tokio::main(flavor = "current_thread")]`.
async fn run(url: &str, name: &str, patience: Duration) -> Result<String, Box<dyn Error + Send + Sync>> {
    let client = Client::builder().connect_timeout(patience).connect(url).await?;
    let greeter: GreeterClient = client.service();
    let greeting = greeter.deadline(patience).greet(name).await?;
    client.close().await;
    Ok(greeting)
}

/// An error with its causes, for the terminal.
fn in_words(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(&format!("\n  because {error}"));
        cause = error.source();
    }
    text
}
// end

#[tokio::test]
async fn a_tool_says_what_happened() -> Outcome {
    let (url, _) = serve().await?;
    assert_eq!(run(&url, "Bob", Duration::from_secs(10)).await?, "Hello, Bob!");

    let late = run(&url, "nobody", Duration::from_millis(300)).await.err().ok_or("it was answered")?;
    assert_eq!(in_words(&*late), "`Greeter.greet`: the deadline passed before the call returned");
    assert!(matches!(late.downcast_ref(), Some(CallError::<rpc_core::Never>::DeadlineExceeded { .. })));

    let nowhere =
        run("ws://127.0.0.1:1", "Bob", Duration::from_secs(10)).await.err().ok_or("it was answered")?;
    let text = in_words(&*nowhere);
    assert!(text.starts_with("`127.0.0.1:1` cannot be reached\n  because "), "{text}");
    Ok(())
}

// region: beside
/// Serves RPC beside another server, until `stop` is true. Both end in good order.
async fn serve_both(
    rpc: Listening,
    http: impl Future<Output = io::Result<()>>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    tokio::try_join!(rpc.serve_until(stopped(stop)), http)?;
    Ok(())
}

/// Completes when `stop` is true, or when nobody can set it any more.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
// end

/// Stands for another server, which is no dependency of these examples.
async fn serve_http(listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let serving = async {
        loop {
            let (mut stream, _) = listener.accept().await?;
            let _ = stream.read(&mut [0; 1_024]).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        }
    };
    tokio::select! {
        done = serving => done,
        () = stop => Ok(()),
    }
}

#[tokio::test]
async fn two_servers_share_a_process_and_an_end() -> Outcome {
    let rpc = Server::builder().service(GreeterServer::new(English)).bind("127.0.0.1:0").await?;
    let url = format!("{}/rpc?v=2", rpc.url()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let http = serve_http(listener, stopped(stopping.clone()));
    let served = tokio::spawn(serve_both(rpc, http, stopping));

    let greeter: GreeterClient = Client::builder().without_reconnect().connect(&url).await?.service();
    assert_eq!(greeter.greet("Ann").await?, "Hello, Ann!");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 200 OK");

    stop.send_replace(true);
    served.await??;
    assert!(greeter.greet("Ann").await.is_err());
    Ok(())
}

/// What the page says of callbacks: a `Client` that is kept keeps the connection.
#[tokio::test]
async fn a_connection_closes_with_its_last_client() -> Outcome {
    let server = Server::builder().service(GreeterServer::new(English)).build();
    let (near, far) = tokio::io::duplex(64 << 10);
    let (ended, end) = oneshot::channel();
    tokio::spawn(async move { ended.send(server.serve_io(far, None).await) });
    let client = Client::builder().connect_io(near, "localhost", "/").await?;
    let greeter: GreeterClient = client.service();
    drop(client);
    assert_eq!(greeter.greet("Ann").await?, "Hello, Ann!");
    drop(greeter);
    assert!(end.await?.is_ok());
    Ok(())
}
