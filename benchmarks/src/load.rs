//! How the server does when it is loaded: who waits for whom, how long, and what happens beyond what it can do.
//!
//! ```text
//! benchmarks load [fairness | open | overload] [--json] [--rounds 3] [--time-ms 4000] [--plots FOLDER]
//! ```

use std::path::PathBuf;

use serde_json::Value;

use crate::Failure;

mod arrivals;
pub(crate) mod clients;
mod fairness;
mod latencies;
mod open;
mod overload;
pub(crate) mod parts;
mod run;
pub(crate) mod service;
pub(crate) mod table;

/// What the command line asks for.
pub(crate) struct Settings {
    /// The workloads that are named, or all.
    names: Vec<String>,
    pub(crate) json: bool,
    rounds: usize,
    time_ms: Option<u64>,
    /// Where pictures go, if anywhere.
    pub(crate) plots: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut settings = Self { names: Vec::new(), json: false, rounds: 3, time_ms: None, plots: None };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--json" => settings.json = true,
                "--rounds" => settings.rounds = value()?.parse()?,
                "--time-ms" => settings.time_ms = Some(value()?.parse()?),
                "--plots" => settings.plots = Some(value()?.into()),
                name if !name.starts_with('-') => settings.names.push(name.to_owned()),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(settings)
    }

    /// How long each measurement takes.
    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms.unwrap_or(4_000)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

pub(crate) async fn run(settings: &Settings) -> Result<(), Failure> {
    let known = ["fairness", "open", "overload"];
    if let Some(unknown) = settings.names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("no load is called {unknown}; there are {}", known.join(", ")).into());
    }
    let mut results = serde_json::Map::new();
    for name in known.into_iter().filter(|name| settings.wants(name)) {
        let result: Value = match name {
            "fairness" => fairness::run(settings).await?,
            "open" => open::run(settings).await?,
            _ => overload::run(settings).await?,
        };
        results.insert(name.to_owned(), result);
    }
    if settings.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    }
    Ok(())
}
