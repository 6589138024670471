//! The weight of a program: one call of one service, as a client and as a server, beside the same in tarpc.
//!
//! ```text
//! PROGRAM weight [--rounds 1]
//!     target/weight/{client,client-tls,server,server-tls,tarpc-client,tarpc-server}/      a workspace of its own each
//!     target/weight/target/                                                               emptied before every timed build
//! ```
//!
//! Crates are all that cargo compiles besides the program itself: procedural macros and what build scripts need, too. Programs
//! are stripped, in cargo's release profile and with `lto = "thin"` and `codegen-units = 1`. Builds begin with nothing but the
//! downloaded sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::Failure;

/// The largest client without TLS, in MiB.
const CLIENT_MIB_MAX: f64 = 2.2;
/// The most crates of a client with TLS.
const CRATES_MAX: usize = 60;
/// A client's debug build may take so many times as long as that of tarpc's.
const DEBUG_RATIO_MAX: f64 = 1.2;

/// A program to weigh.
struct Program {
    name: &'static str,
    dependencies: &'static str,
    is_tarpc: bool,
    /// Whether its builds are timed; those of servers differ little.
    is_timed: bool,
    source: String,
}

/// What a program weighs.
struct Weight {
    crates: usize,
    bytes: u64,
    /// With link-time optimization.
    bytes_lto: u64,
    debug: Vec<Duration>,
    release: Vec<Duration>,
}

const TARPC: &str = r#"tarpc = { version = "=0.38.0", features = ["tokio1", "tcp", "serde-transport", "serde-transport-bincode"] }
futures = "0.3"
"#;
const CLIENT: &str = "rpc-core = { path = \"REPOSITORY/rpc-core\" }\nrpc-client = { path = \"REPOSITORY/rpc-client\"FEATURES }\n";
const SERVER: &str = "rpc-core = { path = \"REPOSITORY/rpc-core\" }\nrpc-server = { path = \"REPOSITORY/rpc-server\"FEATURES }\n";
const PROFILES: &str = "[profile.release]\nstrip = true\n\n\
                        [profile.lto]\ninherits = \"release\"\nlto = \"thin\"\ncodegen-units = 1\n";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let rounds = match arguments {
        [] => 1,
        [option, rounds] if option == "--rounds" => rounds.parse()?,
        _ => return Err("weight takes --rounds 1".into()),
    };
    let root = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .ok_or("this program is in no target folder")?
        .join("weight");
    let programs = programs();
    let mut weights = Vec::new();
    for program in &programs {
        let folder = prepare(&root, program)?;
        weights.push(Weight {
            crates: crates(&folder)?,
            bytes: 0,
            bytes_lto: 0,
            debug: vec![],
            release: vec![],
        });
    }
    for round in 1..=rounds {
        for profile in ["dev", "release"] {
            for (program, weight) in programs.iter().zip(&mut weights).filter(|(program, _)| program.is_timed)
            {
                eprint!("\r{:<60}", format!("{}, {profile}, round {round}/{rounds}", program.name));
                let time = build_from_nothing(&root.join(program.name), profile)?;
                if profile == "dev" { weight.debug.push(time) } else { weight.release.push(time) }
            }
        }
    }
    for (program, weight) in programs.iter().zip(&mut weights) {
        eprint!("\r{:<60}", format!("{}, size", program.name));
        let folder = root.join(program.name);
        weight.bytes = size(&folder, "release")?;
        weight.bytes_lto = size(&folder, "lto")?;
    }
    fs::remove_dir_all(root.join("target"))?;
    eprintln!("\r{:<60}", "");
    print(&programs, weights)
}

fn programs() -> Vec<Program> {
    let rpc = |name, dependencies, main: &str| Program {
        name,
        dependencies,
        is_tarpc: false,
        is_timed: dependencies == CLIENT,
        source: format!(
            "#[rpc_core::rpc]\ntrait Greeter {{ async fn greet(&self, name: String) -> String; }}\n{main}"
        ),
    };
    let tarpc = |name, main: &str| Program {
        name,
        dependencies: TARPC,
        is_tarpc: true,
        is_timed: name == "tarpc-client",
        source: format!(
            "#[tarpc::service]\ntrait Greeter {{ async fn greet(name: String) -> String; }}\n{main}"
        ),
    };
    vec![
        rpc("client", CLIENT, RPC_CLIENT),
        tarpc("tarpc-client", TARPC_CLIENT),
        rpc("client-tls", CLIENT, RPC_CLIENT),
        rpc("server", SERVER, RPC_SERVER),
        tarpc("tarpc-server", TARPC_SERVER),
        rpc("server-tls", SERVER, RPC_SERVER),
    ]
}

/// Writes the program, with the versions that the workspace is built with.
fn prepare(root: &Path, program: &Program) -> Result<PathBuf, Failure> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent")?;
    let folder = root.join(program.name);
    let features = if program.name.ends_with("-tls") { "" } else { ", default-features = false" };
    let dependencies = program.dependencies.replace("FEATURES", features);
    let dependencies = dependencies.replace("REPOSITORY", &repository.display().to_string());
    fs::create_dir_all(folder.join("src"))?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[workspace]\n\n[package]\nname = {:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\
             tokio = {{ version = \"1\", features = [\"rt-multi-thread\", \"macros\"] }}\n\n{PROFILES}",
            program.name
        ),
    )?;
    fs::write(folder.join("src/main.rs"), &program.source)?;
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    cargo(&folder, &["fetch"])?;
    Ok(folder)
}

fn crates(folder: &Path) -> Result<usize, Failure> {
    let listed = cargo(folder, &["tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"])?;
    let crates: BTreeSet<_> = listed.lines().filter(|line| !line.is_empty()).collect();
    Ok(crates.len().saturating_sub(1))
}

fn build_from_nothing(folder: &Path, profile: &str) -> Result<Duration, Failure> {
    let target = target(folder);
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    let started = Instant::now();
    cargo(folder, &["build", "--profile", profile])?;
    Ok(started.elapsed())
}

fn size(folder: &Path, profile: &str) -> Result<u64, Failure> {
    cargo(folder, &["build", "--profile", profile])?;
    let name = folder.file_name().ok_or("the folder has no name")?;
    Ok(fs::metadata(target(folder).join(profile).join(name))?.len())
}

fn target(folder: &Path) -> PathBuf {
    folder.with_file_name("target")
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output =
        command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target(folder)).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("cargo {} in {} failed:\n{said}", arguments.join(" "), folder.display()).into())
}

fn print(programs: &[Program], weights: Vec<Weight>) -> Result<(), Failure> {
    println!(
        "{:<14} {:>8} {:>14} {:>14} {:>14} {:>14}",
        "", "crates", "release, MiB", "LTO, MiB", "debug, s", "release, s"
    );
    let mut rows = Vec::new();
    for (program, weight) in programs.iter().zip(weights) {
        let name = if program.is_tarpc { program.name.to_owned() } else { format!("rpc {}", program.name) };
        let row = (weight.crates, mib(weight.bytes), median(weight.debug));
        let (lto, debug, release) = (mib(weight.bytes_lto), seconds(row.2), seconds(median(weight.release)));
        println!("{name:<14} {:>8} {:>14.2} {lto:>14.2} {debug:>14} {release:>14}", row.0, row.1);
        rows.push(row);
    }
    let [client, tarpc, client_tls, ..] = &rows[..] else { return Err("a program is missing".into()) };
    println!("\ntargets");
    judge("client without TLS, MiB", client.1, CLIENT_MIB_MAX);
    judge("client with TLS, crates", client_tls.0 as f64, CRATES_MAX as f64);
    judge("client without TLS, debug build / tarpc's", client.2 / tarpc.2, DEBUG_RATIO_MAX);
    judge("client with TLS, debug build / tarpc's", client_tls.2 / tarpc.2, DEBUG_RATIO_MAX);
    Ok(())
}

fn judge(what: &str, figure: f64, most: f64) {
    let verdict = if figure <= most { "met" } else { "missed" };
    println!("{what:<44} {figure:>8.2} <= {most:<5} {verdict}");
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn seconds(time: f64) -> String {
    if time.is_nan() { "-".to_owned() } else { format!("{time:.1}") }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

const RPC_CLIENT: &str = r#"
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("no URL")?;
    let greeter: GreeterClient = rpc_client::Client::connect(&url).await?.service();
    println!("{}", greeter.greet("world").await?);
    Ok(())
}
"#;

const RPC_SERVER: &str = r#"
struct English;

impl Greeter for English {
    async fn greet(&self, name: String) -> String { format!("Hello, {name}!") }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = rpc_server::Server::builder().service(GreeterServer::new(English)).bind("127.0.0.1:0").await?;
    println!("{}", server.url()?);
    Ok(server.serve().await?)
}
"#;

const TARPC_CLIENT: &str = r#"
use tarpc::{client, context, serde_transport::tcp, tokio_serde::formats::Bincode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("no address")?;
    let greeter = GreeterClient::new(client::Config::default(), tcp::connect(address, Bincode::default).await?).spawn();
    println!("{}", greeter.greet(context::current(), "world".to_owned()).await?);
    Ok(())
}
"#;

const TARPC_SERVER: &str = r#"
use futures::StreamExt;
use tarpc::{serde_transport::tcp, server::{BaseChannel, Channel}, tokio_serde::formats::Bincode};

#[derive(Clone)]
struct English;

impl Greeter for English {
    async fn greet(self, _: tarpc::context::Context, name: String) -> String { format!("Hello, {name}!") }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tcp::listen("127.0.0.1:0", Bincode::default).await?;
    println!("{}", listener.local_addr());
    listener.filter_map(|link| async { link.ok() }).for_each(|link| async {
        let calls = BaseChannel::with_defaults(link).execute(English.serve());
        tokio::spawn(calls.for_each(|call| async { tokio::spawn(call); }));
    }).await;
    Ok(())
}
"#;
