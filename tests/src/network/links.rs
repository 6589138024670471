//! Half-open connections: the link drops every packet, and no side is told.

use super::*;

/// The two namespaces that the script has joined, and the server's address there.
struct Link {
    server: String,
    client: String,
    address: String,
    device: String,
}

impl Link {
    fn new() -> Self {
        let [server, client, address, device] =
            ["RPC_TEST_SERVER_NETWORK", "RPC_TEST_CLIENT_NETWORK", "RPC_TEST_ADDRESS", "RPC_TEST_DEVICE"]
                .map(|name| env::var(name).expect("tests/network/run runs this test"));
        Self { server, client, address, device }
    }

    fn start(&self) -> (Actor, Actor) {
        let within = |network| ["ip", "netns", "exec", network];
        let (server, address) = Actor::server(&format!("{}:0", self.address), &within(&self.server), &[]);
        let client = Actor::client(&address, &within(&self.client), &[]);
        server.until("stay begun", 0);
        client.until("ok 10", 0);
        (server, client)
    }

    /// Drops every packet as it arrives, in both directions.
    fn drop_all(&self) {
        for network in [&self.server, &self.client] {
            let rules = "add table inet dark; add chain inet dark arriving { type filter hook input priority 0; policy drop; }";
            run(&["ip", "netns", "exec", network, "nft", rules]);
        }
    }

    fn drop_none(&self) {
        for network in [&self.server, &self.client] {
            run(&["ip", "netns", "exec", network, "nft", "delete table inet dark"]);
        }
    }

    fn set(&self, state: &str) {
        run(&["ip", "netns", "exec", &self.client, "ip", "link", "set", &self.device, state]);
    }
}

/// The next test finds the link as it was, also after a failure.
impl Drop for Link {
    fn drop(&mut self) {
        let words = [
            &["nft", "add table inet dark; delete table inet dark"][..],
            &["ip", "link", "set", &self.device, "up"],
        ];
        for (network, words) in [(&self.server, words[0]), (&self.client, words[0]), (&self.client, words[1])]
        {
            let within = Command::new("ip").args(["netns", "exec", network]).args(words).status();
            if !within.is_ok_and(|status| status.success()) {
                println!("{words:?} failed in {network}");
            }
        }
    }
}

/// Cuts the link, and joins it when both sides have found out; the session goes on.
fn check(cut: impl FnOnce(&Link), join: impl FnOnce(&Link)) {
    let link = Link::new();
    let (server, client) = link.start();
    assert_eq!(client.count("state Detached"), 0);
    let (of_client, of_server) = (client.now(), server.now());
    cut(&link);
    let limit = PING_INTERVAL + PING_TIMEOUT;
    let (client_took, server_took) = thread::scope(|scope| {
        let client = scope.spawn(|| time_of(|| _ = client.until("state Detached", of_client)));
        let server = scope.spawn(|| time_of(|| _ = server.until("connections 0", of_server)));
        (client.join().unwrap(), server.join().unwrap())
    });
    println!(
        "the client knows after {client_took:?}, the server after {server_took:?}; {limit:?} is the limit"
    );
    assert!(client_took < limit + SLACK && server_took < limit + SLACK);
    let resumed = client.now();
    join(&link);
    let took = time_of(|| _ = client.until("state Resumed", resumed));
    println!("the session goes on {took:?} after the link");
    client.until_next_call();
    assert_eq!(client.count("state Detached"), 1, "{:#?}", client.lines());
    assert_eq!(
        (client.count("state Lost"), client.count("stay ended"), server.count("stay over")),
        (0, 0, 0)
    );
    client.check_no_call_lost(&server);
}

#[test]
#[ignore = "tests/network/run runs it"]
fn packets_that_vanish_are_noticed_by_both_sides_and_the_session_goes_on() {
    check(Link::drop_all, Link::drop_none);
}

#[test]
#[ignore = "tests/network/run runs it"]
fn a_link_that_is_down_is_noticed_by_both_sides_and_the_session_goes_on() {
    check(|link| link.set("down"), |link| link.set("up"));
}

#[test]
#[ignore = "tests/network/run runs it"]
fn a_link_that_drops_packets_for_less_than_the_pings_take_is_not_noticed() {
    let link = Link::new();
    let (server, client) = link.start();
    for _ in 0..5 {
        link.drop_all();
        link.drop_none();
        client.until_next_call();
    }
    assert_eq!(client.count("state Detached"), 0, "{:#?}", client.lines());
    client.check_no_call_lost(&server);
}
