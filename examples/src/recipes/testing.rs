//! Tests of services and of their callers, without sockets and without waiting.

use std::{collections::HashMap, time::Duration};

use rpc_client::Client;
use rpc_core::{
    CallError, Context, Delivery, Peer, Services, data,
    memory::{self, SessionConfig},
    rpc, try_join,
};
use rpc_server::Server;

use super::Outcome;

// region: api
#[rpc]
trait Weather {
    async fn degrees(&self, city: String) -> Result<i32, WeatherError>;
    async fn greeting(&self, #[rpc(context)] cx: Context) -> String;
    /// Returns when it rains, in an hour.
    async fn rain(&self);
}
// end

#[data]
#[derive(Debug, PartialEq, thiserror::Error)]
enum WeatherError {
    #[error("`{0}` is not known")]
    Unknown(String),
}

struct Station {
    cities: HashMap<String, i32>,
}

impl Weather for Station {
    async fn degrees(&self, city: String) -> Result<i32, WeatherError> {
        self.cities.get(&city).copied().ok_or(WeatherError::Unknown(city))
    }

    async fn greeting(&self, cx: Context) -> String {
        let name = cx.principal().name().unwrap_or("stranger");
        match cx.metadata("language") {
            Some("de") => format!("Guten Tag, {name}"),
            _ => format!("Good morning, {name}"),
        }
    }

    async fn rain(&self) {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
}

fn station() -> Station {
    Station { cities: HashMap::from([("Oslo".into(), -3), ("Rome".into(), 14)]) }
}

// region: direct
#[tokio::test]
async fn a_handler_is_a_method() {
    let unknown = station().degrees("Atlantis".into()).await;
    assert_eq!(unknown, Err(WeatherError::Unknown("Atlantis".into())));

    let cx = Context::for_test(Peer::named("Ann"), &[("language", "de")]);
    assert_eq!(station().greeting(cx).await, "Guten Tag, Ann");
}
// end

// region: memory
#[tokio::test]
async fn calls_cross_the_protocol_and_no_socket() -> Outcome {
    let services = Services::new().with(WeatherServer::new(station()));
    let weather: WeatherClient = memory::connect(services).service();
    assert_eq!(weather.degrees("Oslo").await?, -3);
    let error = weather.degrees("Atlantis").await.err();
    assert!(matches!(error, Some(CallError::Method(WeatherError::Unknown(city))) if city == "Atlantis"));
    Ok(())
}
// end

// region: time
#[tokio::test(start_paused = true)]
async fn an_hour_passes_at_once() {
    let weather = WeatherClient::local(station());
    let started = tokio::time::Instant::now();
    let error = weather.deadline(Duration::from_secs(60)).rain().await.err();
    assert!(matches!(error, Some(CallError::DeadlineExceeded { .. })));
    assert_eq!(started.elapsed().as_secs(), 60);
    assert!(weather.rain().await.is_ok());
}
// end

// region: caller
/// The code under test: a caller.
async fn warmer<'a>(
    weather: &WeatherClient,
    (one, other): (&'a str, &'a str),
) -> Result<&'a str, CallError<WeatherError>> {
    let (first, second) = try_join!(weather.degrees(one), weather.degrees(other))?;
    Ok(if first > second { one } else { other })
}

/// A server that says what the test wants.
struct Fake(fn(&str) -> Result<i32, WeatherError>);

impl Weather for Fake {
    async fn degrees(&self, city: String) -> Result<i32, WeatherError> {
        (self.0)(&city)
    }

    async fn greeting(&self, _: Context) -> String {
        unreachable!("no test calls it")
    }

    async fn rain(&self) {}
}

#[tokio::test]
async fn a_caller_meets_a_fake() -> Outcome {
    let fake = Fake(|city| Ok(if city == "A" { 5 } else { 3 }));
    assert_eq!(warmer(&WeatherClient::local(fake), ("A", "B")).await?, "A");
    Ok(())
}
// end

// region: lost
#[tokio::test]
async fn a_caller_meets_a_server_that_hangs_up() {
    let services = Services::new().with(WeatherServer::new(station()));
    let (client, server) = memory::connect_with(
        SessionConfig::default(),
        SessionConfig { services, ..SessionConfig::default() },
    );
    server.close().await;
    let error = warmer(&client.service(), ("Oslo", "Rome")).await.err();
    assert!(matches!(error, Some(CallError::Disconnected { delivery: Delivery::NotSent, .. })), "{error:?}");
}
// end

// region: handshake
#[tokio::test]
async fn the_handshake_needs_no_socket_either() -> Outcome {
    let server = Server::builder()
        .authenticate(|peer| Ok(rpc_server::Principal::named(peer.header("name").unwrap_or("nobody"))))
        .service(WeatherServer::new(station()))
        .build();
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move { server.serve_io(far, None).await });
    let client = Client::builder().header("name", "Bob").connect_io(near, "localhost", "/").await?;
    let weather: WeatherClient = client.service();
    assert_eq!(weather.greeting().await?, "Good morning, Bob");
    Ok(())
}
// end
