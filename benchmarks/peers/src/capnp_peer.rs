//! Cap'n Proto over TCP, without Nagle's algorithm and with buffered halves, as its documentation advises. All of it stays on
//! one thread, in a `LocalSet`.

use std::{
    cell::{Cell, RefCell},
    hint::black_box,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use capnp::message::ReaderOptions;
use capnp_rpc::{RpcSystem, new_client, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::{
    AsyncReadExt,
    channel::oneshot,
    io::{BufReader, BufWriter},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, spawn_local},
};
use tokio_util::compat::TokioAsyncReadCompatExt;

use self::echo_capnp::{echo, sink, step};
use crate::drive::{self, Done, Failure, TEXT, Task};

capnp::generated_code!(mod echo_capnp);

struct Echoing;

impl echo::Server for Echoing {
    async fn small(
        self: Rc<Self>,
        params: echo::SmallParams,
        mut results: echo::SmallResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        results.get().set_number(params.get_number());
        results.get().set_text(params.get_text()?);
        Ok(())
    }

    async fn bytes(
        self: Rc<Self>,
        params: echo::BytesParams,
        mut results: echo::BytesResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_payload(params.get()?.get_payload()?);
        Ok(())
    }

    async fn next(
        self: Rc<Self>,
        params: echo::NextParams,
        mut results: echo::NextResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_number(params.get()?.get_number() + 1);
        Ok(())
    }

    async fn step(
        self: Rc<Self>,
        params: echo::StepParams,
        mut results: echo::StepResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_step(new_client(Step(params.get()?.get_number() + 1)));
        Ok(())
    }

    async fn items(
        self: Rc<Self>,
        params: echo::ItemsParams,
        _: echo::ItemsResults,
    ) -> Result<(), capnp::Error> {
        let sink = params.get()?.get_sink()?;
        for number in 0.. {
            let mut request = sink.item_request();
            request.get().set_number(number);
            request.get().set_text(TEXT);
            // Waits while the window of the connection is full.
            request.send().await?;
        }
        Ok(())
    }
}

struct Step(u64);

impl step::Server for Step {
    async fn next(
        self: Rc<Self>,
        _: step::NextParams,
        mut results: step::NextResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_step(new_client(Self(self.0 + 1)));
        Ok(())
    }

    async fn number(
        self: Rc<Self>,
        _: step::NumberParams,
        mut results: step::NumberResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_number(self.0);
        Ok(())
    }
}

/// Counts items from the first on, and refuses what comes when the time is over, which ends the stream.
struct Sink {
    first: Cell<Option<Instant>>,
    count: Cell<u64>,
    time: Duration,
    done: RefCell<Option<oneshot::Sender<Done>>>,
}

impl sink::Server for Sink {
    async fn item(self: Rc<Self>, params: sink::ItemParams) -> Result<(), capnp::Error> {
        let params = params.get()?;
        black_box((params.get_number(), params.get_text()?));
        let Some(first) = self.first.get() else {
            self.first.set(Some(Instant::now()));
            return Ok(());
        };
        self.count.set(self.count.get() + 1);
        if first.elapsed() < self.time {
            return Ok(());
        }
        if let Some(done) = self.done.take() {
            // Nobody waits for it when the client has ended.
            let _ = done.send(Done::moved(self.count.get(), first.elapsed()));
        }
        Err(capnp::Error::failed("enough".into()))
    }
}

fn system(
    stream: TcpStream,
    side: Side,
    bootstrap: Option<capnp::capability::Client>,
) -> Result<RpcSystem<Side>, Failure> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.compat().split();
    let (reader, writer) = (BufReader::new(reader), BufWriter::new(writer));
    Ok(RpcSystem::new(Box::new(VatNetwork::new(reader, writer, side, ReaderOptions::new())), bootstrap))
}

pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let echo: echo::Client = new_client(Echoing);
    loop {
        spawn_local(system(listener.accept().await?.0, Side::Server, Some(echo.clone().client))?);
    }
}

#[derive(Clone)]
pub(crate) struct Client(echo::Client);

impl drive::Client for Client {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let mut system = system(TcpStream::connect(address).await?, Side::Client, None)?;
        let echo = system.bootstrap(Side::Server);
        spawn_local(system);
        Ok(Self(echo))
    }

    async fn small(&self, number: u64) -> Result<(), Failure> {
        let mut request = self.0.small_request();
        request.get().set_number(number);
        request.get().set_text(TEXT);
        let response = request.send().promise.await?;
        let response = response.get()?;
        black_box((response.get_number(), response.get_text()?.to_string()?));
        Ok(())
    }

    async fn echo(&self, payload: Bytes) -> Result<usize, Failure> {
        let mut request = self.0.bytes_request();
        request.get().set_payload(&payload);
        Ok(request.send().promise.await?.get()?.get_payload()?.len())
    }

    async fn next(&self, number: u64) -> Result<u64, Failure> {
        let mut request = self.0.next_request();
        request.get().set_number(number);
        Ok(request.send().promise.await?.get()?.get_number())
    }

    /// One call less makes objects, and the last reads the number of the last.
    async fn pipelined(&self, depth: usize) -> Result<(), Failure> {
        let mut step = self.0.step_request().send().pipeline.get_step();
        for _ in 2..depth {
            step = step.next_request().send().pipeline.get_step();
        }
        step.number_request().send().promise.await?.get()?.get_number();
        Ok(())
    }

    async fn items(&self, time: Duration) -> Result<Done, Failure> {
        let (sender, done) = oneshot::channel();
        let sink =
            Sink { first: Cell::default(), count: Cell::default(), time, done: RefCell::new(Some(sender)) };
        let mut request = self.0.items_request();
        request.get().set_sink(new_client(sink));
        let _sending = request.send().promise;
        Ok(done.await?)
    }

    fn spawn(task: Task<Self>) -> JoinHandle<Result<Done, Failure>> {
        spawn_local(task.run())
    }
}
