//! A client that is suspended, as one on a laptop that sleeps.

use super::*;

fn start(window_ms: &str) -> (Actor, Actor) {
    let window = [(WINDOW_MS, window_ms)];
    let (server, address) = Actor::server("127.0.0.1:0", &[], &window);
    let client = Actor::client(&address, &[], &window);
    server.until("stay begun", 0);
    client.until("ok 10", 0);
    (server, client)
}

#[test]
#[ignore = "tests/network/run runs it"]
fn a_client_that_sleeps_for_less_than_the_window_loses_nothing() {
    let (server, client) = start("20000");
    for sleep in 1..=3 {
        let (of_server, of_client) = (server.now(), client.now());
        client.signal("-STOP");
        server.until("connections 0", of_server);
        client.signal("-CONT");
        client.until("state Resumed", of_client);
        client.until_next_call();
        assert_eq!(client.count("state Detached"), sleep, "{:#?}", client.lines());
    }
    assert_eq!(
        (client.count("state Lost"), client.count("stay ended"), server.count("stay over")),
        (0, 0, 0)
    );
    client.check_no_call_lost(&server);
}

#[test]
#[ignore = "tests/network/run runs it"]
fn a_client_that_sleeps_for_longer_than_the_window_begins_anew_and_says_what_became_of_its_calls() {
    let (server, client) = start("400");
    let (of_server, of_client) = (server.now(), client.now());
    client.signal("-STOP");
    server.until("connections 0", of_server);
    server.until("stay over", of_server);
    client.signal("-CONT");
    client.until("state Lost", of_client);
    client.until("state Attached", of_client);
    let stay = client.until("stay ended", of_client);
    assert!(stay.contains("Disconnected") && !stay.contains("NotSent"), "{stay}");
    assert_eq!(client.until("again ended", of_client), "again ended: Ok(1)");
    client.until_next_call();
    // A call that was under way as the client was stopped may have run, and says so.
    let failed: Vec<_> = client.lines().into_iter().filter(|line| line.starts_with("call ")).collect();
    assert!(failed.iter().all(|line| line.contains("Disconnected")), "{failed:#?}");
}

/// The server, which has more to lose.
#[test]
#[ignore = "tests/network/run runs it"]
fn a_server_that_sleeps_keeps_its_sessions() {
    let (server, client) = start("20000");
    let of_client = client.now();
    server.signal("-STOP");
    client.until("state Detached", of_client);
    server.signal("-CONT");
    client.until("state Resumed", of_client);
    client.until_next_call();
    assert_eq!(
        (client.count("state Lost"), client.count("stay ended"), server.count("stay over")),
        (0, 0, 0)
    );
    client.check_no_call_lost(&server);
}
