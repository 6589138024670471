//! References, promises and streams of clients that lose their sessions.

use futures::future::join_all;
use rpc_core::{CallError, CloseReason, Delivery};
use tokio::time::timeout;

use super::*;

/// Numbers at random, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A server that keeps a session without a socket only for a moment, and a client that keeps none.
async fn start() -> (Chores_, TestServer, Cutter, Client, ChoresClient) {
    start_patiently(Duration::from_millis(200)).await
}

/// Such a pair, with the time that a closing client gives its calls.
async fn start_patiently(close_timeout: Duration) -> (Chores_, TestServer, Cutter, Client, ChoresClient) {
    let chores = Chores_::default();
    chores.open();
    let resume = ResumeOptions {
        window: Duration::from_millis(50),
        attaches_per_minute: u32::MAX,
        ..ResumeOptions::default()
    };
    let server = TestServer::start_with(offering(&chores).resume(resume)).await;
    let cutter = Cutter::start(server.address).await;
    let client = connect_forgetful(&cutter.url(), close_timeout).await;
    let stub = client.service();
    (chores, server, cutter, client, stub)
}

/// The tools that the server has.
fn tools(chores: &Chores_) -> usize {
    chores.tools.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_thousand_references_outlive_three_sessions_and_are_released_once() {
    for seed in 1..=3 {
        let (chores, _server, cutter, client, stub) = start().await;
        let mut random = Random(seed);
        let asked = (0..1_000).map(|number| stub.tool(number).into_future());
        let mut held: Vec<ToolClient> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        eventually("all are held", || tools(&chores) == 1_000).await;
        for round in 0..3 {
            // Some are dropped while the session is lost and the next one begins.
            let mut doomed = Vec::new();
            for _ in 0..100 {
                doomed.push(held.swap_remove(random.below(held.len() as u64) as usize));
            }
            let mut random_of_task = Random(random.below(1 << 30));
            let dropping = tokio::spawn(async move {
                while let Some(tool) = doomed.pop() {
                    for _ in 0..random_of_task.below(20) {
                        tokio::task::yield_now().await;
                    }
                    drop(tool);
                }
            });
            lose_session(&client, &cutter).await;
            for _ in 0..10 {
                let number = random.below(100);
                let tool = &held[random.below(held.len() as u64) as usize];
                assert_eq!(timeout(PATIENCE, tool.turn(number)).await.unwrap().unwrap(), number * 2);
            }
            dropping.await.unwrap();
            let expected = held.len();
            eventually(&format!("{expected} are held in round {round}"), || tools(&chores) == expected).await;
            // All of them lead to something.
            let turned = join_all(held.iter().map(|tool| tool.turn(3).into_future())).await;
            assert!(turned.iter().all(|result| matches!(result, Ok(6))), "round {round}");
        }
        held.clear();
        eventually("none is held", || tools(&chores) == 0).await;
        let forgotten = async {
            while client.stats().await.calls_remembered > 0 {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, forgotten).await.is_ok(), "{:?}", client.stats().await);
        assert!(matches!(client.state(), ConnectionState::Attached));
    }
}

// ---- streams ----

#[tokio::test]
async fn a_subscription_ends_with_its_session_and_is_not_made_again() {
    let (chores, _server, cutter, client, stub) = start().await;
    let mut once = stub.follow(1).await.unwrap();
    let mut idempotent = stub.look_on(2).await.unwrap();
    for stream in [&mut once, &mut idempotent] {
        stream.next().await.unwrap().unwrap();
    }
    lose_session(&client, &cutter).await;
    for stream in [once, idempotent] {
        let items: Vec<_> = timeout(PATIENCE, stream.collect()).await.expect("the stream ends");
        let Some((Err(error), items)) = items.split_last() else { panic!("it ends with an error") };
        assert!(items.iter().all(Result::is_ok));
        assert!(format!("{error:?}").contains("Disconnected"), "{error:?}");
    }
    assert_eq!(stub.plain(3).await.unwrap(), 6);
    assert_eq!((chores.runs(1).begun, chores.runs(2).begun), (1, 1));
}

#[tokio::test]
async fn a_subscription_in_flight_is_made_again_only_if_it_is_idempotent() {
    let (chores, _server, cutter, client, stub) = start().await;
    chores.gate.send_replace(false);
    let once = tokio::spawn(stub.follow(1).into_future());
    let idempotent = tokio::spawn(stub.look_on(2).into_future());
    eventually("both run", || chores.runs(1).begun + chores.runs(2).begun == 2).await;
    lose_session(&client, &cutter).await;
    let error = timeout(PATIENCE, once).await.unwrap().unwrap().map(drop).unwrap_err();
    assert!(
        matches!(&error, CallError::Disconnected { delivery, .. } if *delivery != Delivery::NotSent),
        "{error:?}"
    );
    eventually("one runs again", || chores.runs(2).begun == 2).await;
    chores.open();
    let mut stream = timeout(PATIENCE, idempotent).await.unwrap().unwrap().unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), 0);
    assert_eq!((chores.runs(1).begun, chores.runs(2).begun, chores.runs(2).most), (1, 2, 1));
}

// ---- everything settles ----

#[tokio::test]
async fn a_map_in_flight_settles_when_its_session_is_lost() {
    let (chores, _server, cutter, client, stub) = start().await;
    chores.gate.send_replace(false);
    let in_map = stub.clone();
    let map = tokio::spawn(stub.upto(3).map(move |number| in_map.plain(number)).into_future());
    eventually("it runs", || chores.runs(2).begun == 1).await;
    lose_session(&client, &cutter).await;
    chores.open();
    // Whether a map may run twice is not known; it is not made again, and says so.
    let error = timeout(PATIENCE, map).await.expect("it settles").unwrap().unwrap_err();
    assert!(matches!(&error, CallError::Disconnected { .. } | CallError::Upstream(_)), "{error:?}");
    assert_eq!(chores.runs(2).begun, 1);
}

/// A promise that is never settled keeps its caller for ever; each kind of them is told when the client gives up.
#[tokio::test]
async fn every_promise_settles_when_the_client_is_closed_for_good() {
    let (chores, _server, cutter, client, stub) = start().await;
    let tool = stub.tool(1).await.unwrap();
    let mut stream = stub.follow(2).await.unwrap();
    stream.next().await.unwrap().unwrap();
    chores.gate.send_replace(false);
    let mut waiting = vec![
        tokio::spawn({
            let call = stub.plain(10);
            async move { drop(call.await) }
        }),
        tokio::spawn({
            let call = stub.pay(11);
            async move { drop(call.await) }
        }),
        // Built on one that has not returned.
        tokio::spawn({
            let call = stub.pay(stub.pay(12));
            async move { drop(call.await) }
        }),
        tokio::spawn({
            let call = stub.tool(13).turn(14);
            async move { drop(call.await) }
        }),
        tokio::spawn({
            let in_map = stub.clone();
            let map = stub.upto(3).map(move |number| in_map.plain(number));
            async move { drop(map.await) }
        }),
        tokio::spawn(async move { drop(stream.collect::<Vec<_>>().await) }),
        tokio::spawn({
            let closed = tool.closed();
            async move { drop(closed.await) }
        }),
        tokio::spawn({
            let call = tool.turn(15);
            async move { drop(call.await) }
        }),
    ];
    // One that nobody has awaited yet.
    let late = stub.plain(16);
    eventually("they run", || [10, 11, 12, 14, 15].iter().all(|number| chores.runs(*number).begun == 1))
        .await;
    cutter.set_down(true);
    cutter.cut();
    let closing = client.clone();
    waiting.push(tokio::spawn(async move { drop(closing.close().await) }));
    for (number, task) in waiting.into_iter().enumerate() {
        timeout(PATIENCE, task).await.unwrap_or_else(|_| panic!("{number} does not settle")).unwrap();
    }
    let error = timeout(PATIENCE, late).await.expect("it settles").unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    timeout(PATIENCE, client.closed()).await.expect("the client is closed");
    check_closed(&client).await;
}

/// That the client says that it is closed, and its states end.
async fn check_closed(client: &Client) {
    let state = timeout(PATIENCE, client.states().collect::<Vec<_>>()).await;
    let state = state.unwrap_or_else(|_| panic!("the states end, and not with {:?}", client.state()));
    assert!(
        matches!(state.last(), Some(ConnectionState::Closed { reason: CloseReason::Local })),
        "{state:?}"
    );
}

/// The closing waits for the call in flight, and the session is lost meanwhile.
#[tokio::test]
async fn a_client_that_is_closed_begins_no_other_session() {
    let (chores, server, cutter, client, stub) = start_patiently(PATIENCE).await;
    chores.gate.send_replace(false);
    let call = tokio::spawn(stub.plain(1).into_future());
    eventually("it runs", || chores.runs(1).begun == 1).await;
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.close().await }
    });
    // It takes no calls any more: another one, which would return at once, is refused.
    while stub.upto(1).await.is_ok() {}
    cutter.cut();
    timeout(PATIENCE, closing).await.expect("the client closes").unwrap();
    let error = timeout(PATIENCE, call).await.expect("the call ends").unwrap().unwrap_err();
    assert!(matches!(&error, CallError::Disconnected { .. }), "{error:?}");
    check_closed(&client).await;
    until_connections(&server, 0).await;
    assert_eq!((chores.runs(1).begun, cutter.connections()), (1, 1));
}

/// A call that nobody waits for keeps the client until it has ended, in whichever session.
#[tokio::test]
async fn a_client_that_nobody_holds_ends_with_its_last_call() {
    let (chores, server, cutter, client, stub) = start_patiently(PATIENCE).await;
    chores.gate.send_replace(false);
    rpc_core::Promise::detach(stub.plain(1));
    eventually("it runs", || chores.runs(1).begun == 1).await;
    let mut states = pin!(client.states());
    drop((client, stub));
    cutter.cut();
    eventually("it runs again", || chores.runs(1).begun == 2).await;
    chores.open();
    let mut last = None;
    while let Some(state) = timeout(PATIENCE, states.next()).await.expect("the client ends") {
        last = Some(state);
    }
    assert!(matches!(last, Some(ConnectionState::Closed { .. })), "{last:?}");
    until_connections(&server, 0).await;
    assert_eq!((chores.runs(1).begun, cutter.connections()), (2, 2));
}

/// Closes at every moment around the loss of the session: the client is closed in the end, and waits for no other session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_crosses_a_lost_session_closes_the_client() {
    for round in 0..60 {
        let (chores, server, cutter, client, stub) = start_patiently(PATIENCE).await;
        let call = tokio::spawn(stub.plain(1).into_future());
        eventually("it runs", || chores.runs(1).begun >= 1).await;
        cutter.cut();
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        timeout(PATIENCE, client.close()).await.unwrap_or_else(|_| panic!("round {round}: it closes"));
        // Either outcome is right.
        drop(timeout(PATIENCE, call).await.expect("the call ends"));
        check_closed(&client).await;
        until_connections(&server, 0).await;
    }
}

#[tokio::test]
async fn a_dead_object_fails_its_own_calls_and_holds_up_no_others() {
    let (_, server, cutter, client, stub) = start().await;
    let gone = Chores_::default();
    gone.open();
    let tool = stub.tool(1).await.unwrap();
    // The next server offers other services: the tool cannot be had again.
    let other =
        TestServer::start_with(Server::builder().service(PeopleServer::new(Village::default()))).await;
    let people: crate::support::PeopleClient = client.service();
    cutter.lead_to(other.address);
    lose_session(&client, &cutter).await;
    for round in 0..200 {
        let (dead, alive) = (tool.turn(1), people.add(20, round));
        let (dead, alive) =
            timeout(PATIENCE, async { rpc_core::join!(dead, alive) }).await.expect("both end");
        assert!(dead.is_err(), "round {round}");
        assert_eq!(alive.unwrap(), 20 + round);
    }
    drop(server);
}
