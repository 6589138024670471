//! Every limit at its ends: what no session can have is refused by name, and all else refuses calls at most.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use rpc_client::{Client, ConnectError};
use rpc_core::{
    Broadcast, CallError, CloseReason, Limits, LimitsError, Services, SessionHandle, Slow, Streaming,
    driver::SessionConfig, join_all, memory, rpc,
};
use rpc_server::{ServeError, Server, listen::ListenOptions};

#[rpc]
trait Office {
    async fn add(&self, a: u64, b: u64) -> u64;
    async fn clerk(&self, name: String) -> Clerk;
    #[rpc(batch = "greetings")]
    async fn greeting(&self, name: String) -> String;
    async fn greetings(&self, names: Vec<String>) -> Vec<String>;
    async fn copy(&self, page: Bytes) -> Bytes;
    async fn pages(&self, count: u64) -> Vec<u64>;
    async fn desk(&self) -> DeskClient;
    /// The number, or why there is none, in words.
    async fn count(&self, desk: DeskClient) -> String;
    async fn numbers(&self, count: u64) -> Streaming<u64>;
    async fn sum(&self, numbers: Streaming<u64>) -> Result<u64, String>;
    async fn note(&self, #[rpc(context)] context: rpc_core::Context) -> String;
    #[rpc(oneway)]
    async fn ring(&self);
}

#[rpc]
trait Desk {
    async fn drawers(&self) -> u64;
}

#[rpc_core::data]
struct Clerk {
    name: String,
    rooms: Vec<Option<u64>>,
}

struct Here;

impl Office for Here {
    async fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }
    async fn clerk(&self, name: String) -> Clerk {
        Clerk { name, rooms: vec![Some(1), None] }
    }
    async fn greeting(&self, name: String) -> String {
        format!("hello {name}")
    }
    async fn greetings(&self, names: Vec<String>) -> Vec<String> {
        names.iter().map(|name| format!("hello {name}")).collect()
    }
    async fn copy(&self, page: Bytes) -> Bytes {
        page
    }
    async fn pages(&self, count: u64) -> Vec<u64> {
        (0..count).collect()
    }
    async fn desk(&self) -> DeskClient {
        DeskClient::local(Here)
    }
    async fn count(&self, desk: DeskClient) -> String {
        desk.drawers().await.map_or_else(|error| format!("{error:?}"), |count| count.to_string())
    }
    async fn numbers(&self, count: u64) -> Streaming<u64> {
        Streaming::from_iter(0..count)
    }
    async fn sum(&self, mut numbers: Streaming<u64>) -> Result<u64, String> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number.map_err(|error| format!("{error:?}"))?;
        }
        Ok(sum)
    }
    async fn note(&self, context: rpc_core::Context) -> String {
        context.metadata("note").unwrap_or_default().into()
    }
    async fn ring(&self) {}
}

impl Desk for Here {
    async fn drawers(&self) -> u64 {
        3
    }
}

// ---- the table ----

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Zero,
    One,
    Max,
}

trait Limit {
    fn set(&mut self, end: End);
}

macro_rules! impl_limit {
    ($($number:ty),*) => {$(
        impl Limit for $number {
            fn set(&mut self, end: End) {
                *self = match end {
                    End::Zero => 0,
                    End::One => 1,
                    End::Max => <$number>::MAX,
                };
            }
        }
    )*};
}

impl_limit!(usize, u32);

impl Limit for Duration {
    fn set(&mut self, end: End) {
        *self = match end {
            End::Zero => Duration::ZERO,
            End::One => Duration::from_secs(1),
            End::Max => Duration::MAX,
        };
    }
}

/// The fields named, which must be all: a further one in `Limits` does not compile until it is here.
macro_rules! fields {
    ($limits:expr => $($name:ident),* $(,)?) => {{
        let Limits { $($name),* } = $limits;
        vec![$((stringify!($name), $name as &mut dyn Limit)),*]
    }};
}

fn fields(limits: &mut Limits) -> Vec<(&'static str, &mut dyn Limit)> {
    fields!(limits =>
        calls_max, payload_bytes_max, pending_bytes_max, held_answers_max, held_bytes_max, outgoing_bytes_max,
        session_bytes_max, work_per_second, stream_stall,
        chain_depth_max, exports_max, imports_max, streams_max, stream_window_bytes, stream_window_bytes_max,
        stream_buffer_bytes_max, batch_max, map_calls_max, map_depth_max, map_steps_max, map_concurrency,
        methods_max, metadata_bytes_max, decode_depth_max, decode_budget_factor, decode_zero_sized_max,
        deadline_max, message_bytes_max, message_frames_max, message_timeout, control_frames_burst,
        replay_bytes_max, handshake_bytes_max, hello_timeout, ping_interval, ping_timeout, idle_timeout, write_stall, close_timeout, busy_poll,
    )
}

struct Case {
    field: &'static str,
    end: End,
    limits: Limits,
}

impl Case {
    fn all() -> Vec<Self> {
        let count = fields(&mut Limits::default()).len();
        let mut cases = Vec::new();
        for index in 0..count {
            for end in [End::Zero, End::One, End::Max] {
                let mut limits = Limits::default();
                let field = {
                    let (field, limit) = fields(&mut limits).swap_remove(index);
                    limit.set(end);
                    field
                };
                cases.push(Self { field, end, limits });
            }
        }
        cases
    }

    /// With the limits on the side that connects, on the other one, and on both.
    fn sides(&self) -> [(Limits, Limits); 3] {
        let (limits, others) = (&self.limits, Limits::default());
        [(limits.clone(), others.clone()), (others, limits.clone()), (limits.clone(), limits.clone())]
    }

    /// A failure that this limit may be the reason of.
    #[track_caller]
    fn check_failure(&self, what: &str, failure: &str) {
        let says = |word: &str| failure.contains(word);
        let is_of_limit = says(self.field)
            || (self.field.starts_with("decode")
                && (says("BadAnswer") || says("InvalidArgument") || says("nested deeper")))
            || (self.field == "deadline_max" && says("DeadlineExceeded"));
        assert!(self.end != End::Max && is_of_limit, "{} at {:?}: {what}: {failure}", self.field, self.end);
    }
}

enum Party<'a> {
    Session(&'a SessionHandle),
    Client(&'a Client),
}

impl Party<'_> {
    fn office(&self) -> OfficeClient {
        match self {
            Self::Session(session) => session.service(),
            Self::Client(client) => client.service(),
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Session(session) => session.is_closed(),
            Self::Client(client) => client.is_closed(),
        }
    }

    async fn close(&self) -> CloseReason {
        match self {
            Self::Session(session) => session.close().await,
            Self::Client(client) => client.close().await,
        }
    }
}

/// A small conversation with all that there is; what fails in it.
async fn converse(office: OfficeClient) -> Vec<(&'static str, String)> {
    let mut failed = Vec::new();
    let mut check = |what: &'static str, right: bool, failure: Option<String>| match failure {
        Some(failure) => failed.push((what, failure)),
        None => assert!(right, "{what} came out wrong"),
    };
    macro_rules! result {
        ($what:literal, $call:expr, $right:expr) => {{
            let result = $call.await;
            let right: fn(_) -> bool = $right;
            match result {
                Ok(value) => check($what, right(value), None),
                Err(error) => check($what, false, Some(format!("{error:?}"))),
            }
        }};
    }
    result!("a call", office.add(1, 2), |sum| sum == 3);
    result!("a call with a deadline", office.deadline(Duration::from_secs(100)).add(1, 2), |sum| sum == 3);
    result!("a call with the longest deadline", office.deadline(Duration::MAX).add(1, 2), |sum| sum == 3);
    let kept = office.add(1, 2);
    result!("a pipelined call", office.add(&kept, office.add(&kept, 4)), |sum| sum == 10);
    drop(kept);
    let clerk = office.clerk("ann");
    result!("a call of a part", office.greeting(clerk.name()), |text: String| text == "hello ann");
    drop(clerk);
    for sum in join_all((0..20).map(|number| office.add(number, 1))).await.into_iter().enumerate() {
        match sum {
            (number, Ok(sum)) => check("one of many calls", sum == number as u64 + 1, None),
            (_, Err(error)) => check("one of many calls", false, Some(format!("{error:?}"))),
        }
    }
    for text in join_all((0..4).map(|number| office.greeting(number.to_string()))).await {
        match text {
            Ok(text) => check("a call in a batch", text.starts_with("hello"), None),
            Err(error) => check("a call in a batch", false, Some(format!("{error:?}"))),
        }
    }
    let page = Bytes::from(vec![7; 300_000]);
    result!("a large payload", office.copy(page), |page: Bytes| page.len() == 300_000);
    let doubled = office.pages(5).map(|page| office.add(&page, &page));
    result!("a map", doubled, |sums: Vec<u64>| sums == [0, 2, 4, 6, 8]);
    result!("a call of a promised object", office.desk().drawers(), |count| count == 3);
    result!("an object", office.desk(), |_| true);
    match office.count(DeskClient::local(Here)).await {
        Ok(count) => check("a call back", true, Some(count).filter(|count| count != "3")),
        Err(error) => check("a call with an object", false, Some(format!("{error:?}"))),
    }
    result!("metadata", office.metadata("note", "well").note(), |note: String| note == "well");
    result!("a stream to the peer", office.sum(Streaming::from_iter(0..1_000)), |sum| sum == 499_500);
    match office.numbers(1_000).await {
        Ok(mut numbers) => {
            let mut count = 0;
            let mut failure = None;
            while let Some(number) = numbers.next().await {
                match number {
                    Ok(_) => count += 1,
                    Err(error) => failure = Some(format!("{error:?}")),
                }
            }
            check("the items of a stream of the peer", count == 1_000, failure);
        }
        Err(error) => check("a stream of the peer", false, Some(format!("{error:?}"))),
    }
    match office.ring() {
        Ok(()) => check("a one-way call", true, None),
        Err(error) => check("a one-way call", false, Some(format!("{error:?}"))),
    }
    result!("a last call", office.add(3, 4), |sum| sum == 7);
    failed
}

async fn check_conversation(case: &Case, near: Party<'_>, far: Option<Party<'_>>) {
    let patience = Duration::from_secs(20);
    let mut failed = Vec::new();
    for session in std::iter::once(&near).chain(&far) {
        let conversed = tokio::time::timeout(patience, converse(session.office())).await;
        failed.extend(conversed.unwrap_or_else(|_| panic!("{} at {:?} hangs", case.field, case.end)));
        assert!(!session.is_closed(), "{} at {:?} ended a session", case.field, case.end);
    }
    for (what, failure) in failed {
        case.check_failure(what, &failure);
    }
    let closed = tokio::time::timeout(patience, near.close()).await.expect("it closes");
    assert!(matches!(closed, CloseReason::Local), "{} at {:?}: {closed:?}", case.field, case.end);
}

fn config(limits: &Limits) -> SessionConfig {
    let services = Services::new().with(OfficeServer::new(Here));
    SessionConfig { services, limits: limits.clone(), ..SessionConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn every_limit_at_its_ends_lets_honest_peers_converse_in_memory() {
    for case in Case::all() {
        for (near, far) in case.sides() {
            let (client, server) = memory::connect_with(config(&near), config(&far));
            let refused =
                near.check().is_err().then_some(&client).or(far.check().is_err().then_some(&server));
            let Some(refused) = refused else {
                check_conversation(&case, Party::Session(&client), Some(Party::Session(&server))).await;
                continue;
            };
            let CloseReason::Limits(error) = refused.closed().await else { panic!("it was refused") };
            assert_eq!(error.limit, case.field);
            let call = refused.service::<OfficeClient>().add(1, 2).await;
            assert!(matches!(call, Err(CallError::Disconnected { reason: CloseReason::Limits(_), .. })));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_limit_at_its_ends_lets_honest_peers_converse_over_websockets() {
    for case in Case::all() {
        for (near, far) in case.sides() {
            let server = Server::builder().limits(far).service(OfficeServer::new(Here)).build();
            let (near_io, far_io) = tokio::io::duplex(64 << 10);
            let serving = tokio::spawn(async move { server.serve_io(far_io, None).await });
            let client = Client::builder().limits(near).connect_io(near_io, "host", "/").await;
            match client {
                Ok(client) => {
                    check_conversation(&case, Party::Client(&client), None).await;
                    let ended = serving.await.unwrap().unwrap();
                    assert!(
                        matches!(ended, CloseReason::Peer { .. }),
                        "{} at {:?}: {ended:?}",
                        case.field,
                        case.end
                    );
                }
                Err(ConnectError::Limits(error)) => assert_eq!(error.limit, case.field),
                Err(_) => match serving.await.unwrap() {
                    Err(ServeError::Limits(error)) => assert_eq!(error.limit, case.field),
                    ended => panic!("{} at {:?}: {ended:?}", case.field, case.end),
                },
            }
        }
    }
}

#[tokio::test]
async fn a_server_with_limits_that_no_session_can_have_does_not_start() {
    let limits = Limits { hello_timeout: Duration::ZERO, ..Limits::default() };
    let error = Server::builder().limits(limits.clone()).bind("127.0.0.1:0").await.unwrap_err();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<LimitsError>());
    assert_eq!(inner.map(|error| error.limit), Some("hello_timeout"));
    let error = Client::builder().limits(limits).connect("ws://127.0.0.1:9").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Limits::hello_timeout` is zero, which no peer is fast enough for",
        "nothing was dialled"
    );
}

#[tokio::test]
async fn a_listener_takes_connections_with_each_option_at_its_ends() {
    for index in 0..7 {
        for end in [End::Zero, End::One, End::Max] {
            let mut options = ListenOptions { count_loopback: true, ..ListenOptions::default() };
            // All of them, as in `fields`.
            let ListenOptions {
                connections_max,
                handshakes_max,
                address_connections_max,
                address_handshakes_max,
                address_connects_per_second,
                address_connects_burst,
                network_connections_max,
                count_loopback: _,
                trusted_proxies: _,
            } = &mut options;
            let fields: [&mut dyn Limit; 7] = [
                connections_max,
                handshakes_max,
                address_connections_max,
                address_handshakes_max,
                address_connects_per_second,
                address_connects_burst,
                network_connections_max,
            ];
            fields.into_iter().nth(index).unwrap().set(end);
            let server = Server::builder().listen_options(options).service(OfficeServer::new(Here));
            let listening = server.bind("127.0.0.1:0").await.unwrap();
            let (address, handle) = (listening.url().unwrap(), listening.handle());
            let serving = tokio::spawn(listening.serve());
            let longest = Client::builder().connect_timeout(Duration::MAX);
            let client = longest.connect(&address).await.unwrap();
            assert_eq!(client.service::<OfficeClient>().add(1, 2).await.unwrap(), 3);
            client.close().await;
            let shortest = Client::builder().connect_timeout(Duration::ZERO);
            // Timers are not exact: it may be connected by then, or refused as one too many of its address.
            if let Err(error) = shortest.connect(&address).await {
                let is_early = matches!(error, ConnectError::Timeout { limit: Duration::ZERO, .. });
                let stats = handle.listen_stats();
                let refused =
                    stats.refused_for_rate + stats.refused_for_connections + stats.refused_for_network;
                assert!(is_early || refused == 1, "{error:?}");
            }
            handle.shutdown();
            serving.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_has_room_for_any_number_of_items() {
    for capacity in [0, 1, usize::MAX] {
        let (mut sender, stream) = Streaming::<u64>::channel(capacity);
        sender.send(1).await.unwrap();
        sender.finish();
        assert_eq!(stream.map(|item| item.unwrap()).collect::<Vec<_>>().await, [1]);
        let news = Broadcast::<u64>::new();
        let stream = news.subscribe(capacity, Slow::Disconnect);
        news.send(&1).await.unwrap();
        news.close();
        assert_eq!(stream.map(|item| item.unwrap()).collect::<Vec<_>>().await, [1]);
    }
}
