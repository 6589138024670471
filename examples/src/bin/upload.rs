//! Sends a file to a store with a slow disk, shows a progress bar, and prints the peak memory.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{IsTerminal, Read, stderr},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use examples::upload::{MadeUp, serve, upload};

const USAGE: &str = "\
usage: upload [--mib N] [--disk-mib-s N]    a made-up file of 256 MiB, to a disk of 100 MiB/s
       upload FILE [--disk-mib-s N]         a file of yours; it stays on this machine";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match Options::parse(&arguments) {
        Some(options) => run(options).await,
        None => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(error) = source {
                eprintln!("  because {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

struct Options {
    file: Option<String>,
    mib: u64,
    disk_mib_s: u64,
}

impl Options {
    fn parse(mut arguments: &[&str]) -> Option<Self> {
        let mut options = Self { file: None, mib: 256, disk_mib_s: 100 };
        loop {
            arguments = match arguments {
                [] => return Some(options),
                ["--mib", mib, rest @ ..] => {
                    options.mib = mib.parse::<u32>().ok()?.into();
                    rest
                }
                ["--disk-mib-s", mib, rest @ ..] => {
                    options.disk_mib_s = mib.parse::<u32>().ok().filter(|mib| *mib > 0)?.into();
                    rest
                }
                [file, rest @ ..] if options.file.is_none() && !file.starts_with('-') => {
                    options.file = Some((*file).to_owned());
                    rest
                }
                _ => return None,
            };
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (file, length): (Box<dyn Read + Send>, u64) = match &options.file {
        Some(path) => {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            (Box::new(file), length)
        }
        None => (Box::new(MadeUp::new(options.mib << 20)), options.mib << 20),
    };
    let url = serve(options.disk_mib_s << 20).await?;
    let before = memory_kib("VmHWM:");
    let read = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let uploading = upload(&url, file, Arc::clone(&read));
    let receipt = tokio::select! {
        receipt = uploading => receipt?,
        () = show_progress(&read, length, started) => return Ok(()),
    };
    let taken = started.elapsed().as_secs_f64();
    let mib = receipt.bytes as f64 / f64::from(1 << 20);
    eprint!("{}", if stderr().is_terminal() { "\r\x1b[K" } else { "" });
    println!("{mib:.0} MiB in {taken:.1} s, {:.0} MiB/s; checksum {:016x}", mib / taken, receipt.checksum);
    match (before, memory_kib("VmHWM:")) {
        (Some(before), Some(after)) => println!(
            "peak memory of sender and receiver together: {:.1} MiB, {:.1} more than before the upload",
            after as f64 / 1_024.0,
            (after - before) as f64 / 1_024.0
        ),
        _ => println!("peak memory is not known on this system"),
    }
    Ok(())
}

/// Draws a progress bar until the future is dropped.
async fn show_progress(read: &AtomicU64, length: u64, started: Instant) {
    const WIDTH: usize = 40;
    let is_terminal = stderr().is_terminal();
    let pause = Duration::from_millis(if is_terminal { 100 } else { 1_000 });
    loop {
        tokio::time::sleep(pause).await;
        let read = read.load(Ordering::Relaxed);
        let share = read as f64 / length.max(1) as f64;
        let filled = usize::try_from(read * WIDTH as u64 / length.max(1)).unwrap_or(WIDTH).min(WIDTH);
        let rate = read as f64 / f64::from(1 << 20) / started.elapsed().as_secs_f64();
        let bar = format!("[{}{}]", "#".repeat(filled), "-".repeat(WIDTH - filled));
        let line = format!("{bar} {:3.0} %  {rate:.0} MiB/s", share * 100.0);
        eprint!("{}{line}{}", if is_terminal { "\r\x1b[K" } else { "" }, if is_terminal { "" } else { "\n" });
    }
}

/// A value in KiB from the kernel's `/proc/self/status`.
fn memory_kib(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
