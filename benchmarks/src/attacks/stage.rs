//! An attack as its process sees it: what it is told, and what it reports.

use std::{
    io::BufRead,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rpc_client::Client;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::{
    peer::{Door, MOVED, Peer},
    service::PreyClient,
};
use crate::Failure;

/// What an attacker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) attack: String,
    pub(crate) server: SocketAddr,
    pub(crate) is_quick: bool,
}

/// What an attacker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Said {
    /// What follows is measured, if it gets a line.
    Begin,
    HungUp(Report),
}

/// What an attacker has done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) sent: u64,
    pub(crate) taken: u64,
    pub(crate) checks: Vec<Check>,
    pub(crate) notes: Vec<String>,
}

/// A figure of one attack alone, and what it may be at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) figure: f64,
    pub(crate) at_most: f64,
}

impl Check {
    pub(crate) fn holds(&self) -> bool {
        self.figure <= self.at_most
    }
}

/// Where an attack happens.
pub(crate) struct Stage {
    pub(crate) server: SocketAddr,
    pub(crate) is_quick: bool,
    pub(crate) report: Report,
    orders: Orders,
}

/// Orders that come in over standard input.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    pub(crate) go: Arc<Notify>,
    pub(crate) stop: Arc<Notify>,
}

impl Orders {
    /// Reads on a thread of its own: an attack may be stopped while it waits to begin.
    pub(crate) fn listen() -> Self {
        let orders = Self::default();
        let heard = orders.clone();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if line == "go" {
                    heard.go.notify_one();
                } else {
                    heard.stop.notify_one();
                }
            }
            heard.stop.notify_one();
        });
        orders
    }
}

impl Stage {
    pub(crate) fn new(order: &Order, orders: Orders) -> Self {
        Self { server: order.server, is_quick: order.is_quick, report: Report::default(), orders }
    }

    /// How long an attack holds on to what it has done.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_millis(if self.is_quick { 1_000 } else { 3_000 })
    }

    /// How much of its work an attack does.
    pub(crate) fn much(&self, full: u64) -> u64 {
        if self.is_quick { (full / 4).max(1) } else { full }
    }

    /// When work that is not bounded otherwise ends.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + 2 * self.hold()
    }

    pub(crate) fn door(&self) -> Door {
        Door::of(self.server)
    }

    pub(crate) fn door_from(&self, from: IpAddr) -> Door {
        Door { from, ..self.door() }
    }

    pub(crate) async fn peer(&self) -> Result<Peer, Failure> {
        Peer::meet(&self.door()).await
    }

    /// An honest client of its own, to ask the server about itself.
    pub(crate) async fn watch(&self) -> Result<PreyClient, Failure> {
        Ok(timeout(Duration::from_secs(5), Client::connect(&format!("ws://{}", self.server)))
            .await??
            .service())
    }

    /// What was done so far was preparation.
    pub(crate) async fn begin(&mut self) -> Result<(), Failure> {
        say(&Said::Begin)?;
        self.orders.go.notified().await;
        MOVED.take();
        Ok(())
    }

    pub(crate) fn check(&mut self, what: &str, figure: f64, at_most: f64) {
        self.report.checks.push(Check { what: what.into(), figure, at_most });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.report.notes.push(note.into());
    }
}

pub(crate) fn say(said: &Said) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(said)?);
    Ok(())
}
