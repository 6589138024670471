//! What depth costs over a slow link: `depth` calls under four ways of making them.
//!
//! | way | depth N means |
//! |---|---|
//! | awaited | N calls, each with the result of the one before, which is waited for |
//! | batched | N calls that do not need each other, sent together |
//! | pipelined | N calls, each with the promise of the one before |
//! | mapped | a call that gives a list of N, and a call on each of its elements |
//!
//! The link is the examples': it delays each direction by half of the round trip. A round trip of zero goes without it.

use std::time::{Duration, Instant};

use examples::link::Link;
use rpc_core::join_all;
use serde_json::{Value, json};

use crate::{
    drive::{Client, Failure},
    ours::{EchoClient, Session},
    plots::{Axis, LineChart, Scale, Series},
    process::{self, Placement, ServerProcess},
};

/// As `--only` names it.
pub(crate) const NAME: &str = "depth";
const DEPTHS: [u64; 5] = [1, 2, 4, 8, 16];
const ROUND_TRIPS_MS: [u64; 4] = [0, 10, 50, 100];
/// How often each is measured, without a link and with one.
const TIMES: (usize, usize) = (201, 3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Awaited,
    Batched,
    Pipelined,
    Mapped,
}

impl Way {
    const ALL: [Self; 4] = [Self::Pipelined, Self::Mapped, Self::Batched, Self::Awaited];

    fn name(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Batched => "batched",
            Self::Pipelined => "pipelined",
            Self::Mapped => "mapped",
        }
    }

    async fn make(self, session: &Session, depth: u64) -> Result<(), Failure> {
        let echo: &EchoClient = &session.echo;
        match self {
            Self::Awaited => {
                let mut number = 0;
                for _ in 0..depth {
                    number = echo.next(number).await?;
                }
            }
            Self::Batched => {
                for number in join_all((0..depth).map(|number| echo.next(number))).await {
                    number?;
                }
            }
            Self::Pipelined => session.pipelined(usize::try_from(depth)?).await?,
            Self::Mapped => {
                echo.numbers(depth).map(|number| echo.next(number)).await?;
            }
        }
        Ok(())
    }
}

/// The median of one way at one depth over one link.
#[derive(Debug, Clone, Copy)]
struct Cell {
    way: Way,
    depth: u64,
    round_trip_ms: u64,
    ms: f64,
}

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Depths(Vec<Cell>);

/// Measures all, on a connection a link.
pub(crate) async fn measure(server: &ServerProcess) -> Result<Depths, Failure> {
    let mut depths = Depths::default();
    for round_trip_ms in ROUND_TRIPS_MS {
        let link = match round_trip_ms {
            0 => None,
            _ => Some(Link::start(server.address, Duration::from_millis(round_trip_ms) / 2).await?),
        };
        // Without a link the kernel's choice of cores would decide.
        let here = Some(std::process::id());
        let _bound = link.is_none().then(|| process::bind(Placement::CoreEach, here, server));
        let session = Session::connect(link.as_ref().map_or(server.address, Link::address)).await?;
        let times = if link.is_some() { TIMES.1 } else { TIMES.0 };
        // On a worker, as callers are.
        let task = tokio::spawn(async move {
            let mut cells = Vec::new();
            for way in Way::ALL {
                // Methods are named once a session, in the first call of each.
                way.make(&session, 1).await?;
                for depth in DEPTHS {
                    let mut latencies = Vec::new();
                    for _ in 0..times {
                        let before = Instant::now();
                        way.make(&session, depth).await?;
                        latencies.push(before.elapsed());
                    }
                    latencies.sort_unstable();
                    let ms = latencies[latencies.len() / 2].as_secs_f64() * 1e3;
                    cells.push(Cell { way, depth, round_trip_ms, ms });
                }
            }
            Ok::<_, Failure>(cells)
        });
        depths.0.extend(task.await??);
    }
    Ok(depths)
}

impl Depths {
    fn ms(&self, way: Way, depth: u64, round_trip_ms: u64) -> Option<f64> {
        let is_it = |cell: &&Cell| (cell.way, cell.depth, cell.round_trip_ms) == (way, depth, round_trip_ms);
        Some(self.0.iter().find(is_it)?.ms)
    }

    /// How much longer a pipelined chain takes than a single call, at the depth where that is most.
    pub(crate) fn worst_pipelined(&self, round_trip_ms: u64) -> Option<f64> {
        let single = self.ms(Way::Awaited, 1, round_trip_ms)?;
        let chains = DEPTHS.into_iter().filter_map(|depth| self.ms(Way::Pipelined, depth, round_trip_ms));
        chains.reduce(f64::max).map(|worst| worst / single)
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<37} {:<8}", "latency by depth", "ms");
        DEPTHS.iter().for_each(|depth| table.push_str(&format!(" {depth:>10}")));
        table.push('\n');
        for round_trip in ROUND_TRIPS_MS {
            for way in Way::ALL {
                let name = format!("round trip {round_trip} ms, {}", way.name());
                let mut line = format!("{name:<46}");
                for depth in DEPTHS {
                    let cell = self.ms(way, depth, round_trip);
                    line.push_str(&format!(" {:>10}", cell.map_or("-".to_owned(), |ms| format!("{ms:.2}"))));
                }
                table.push_str(&line);
                table.push('\n');
            }
        }
        table
    }

    /// A chart a round trip.
    pub(crate) fn charts(&self) -> Vec<LineChart> {
        // A line that rises with every call, beside lines that do not, says it best on plain scales.
        let axis = |title: &str| Axis { title: title.to_owned(), scale: Scale::Linear };
        let chart_of = |round_trip: u64| {
            let series_of = |way: Way| {
                let point = |depth| Some((depth as f64, self.ms(way, depth, round_trip)?));
                Series { name: way.name().to_owned(), points: DEPTHS.into_iter().filter_map(point).collect() }
            };
            LineChart {
                title: format!("round trip {round_trip} ms"),
                x: axis("depth: calls, or elements mapped over"),
                y: axis("ms, median"),
                series: Way::ALL.into_iter().map(series_of).collect(),
            }
        };
        ROUND_TRIPS_MS.into_iter().map(chart_of).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let cell = |cell: &Cell| {
            json!({
                "way": cell.way.name(), "depth": cell.depth, "round_trip_ms": cell.round_trip_ms, "ms": cell.ms,
            })
        };
        self.0.iter().map(cell).collect()
    }
}
