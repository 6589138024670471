//! The part of BENCHMARKS.md that is made from a run. What stands outside of its two marks is written by hand and stays.

use std::{fs, path::Path, process::Command};

use crate::{drive::Failure, report::Report};

const BEGIN: &str = "<!-- measured: begin, made by `-- --peers --write` -->";
const END: &str = "<!-- measured: end -->";
/// Whose versions say what was measured, by the lock file that has them.
const OF_PROJECT: [&str; 2] = ["tokio", "tokio-tungstenite"];
const OF_PEERS: [&str; 4] = ["tarpc", "jsonrpsee", "tonic", "capnp-rpc"];

/// Writes the measured part, and its plots beside it.
pub(crate) fn write(report: &Report, arguments: &[String]) -> Result<(), Failure> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.parent().ok_or("the crate is not in the repository")?;
    let plots = report.write_plots(&own.join("plots"))?;
    let versions = [
        versions(&fs::read_to_string(root.join("Cargo.lock"))?, &OF_PROJECT),
        versions(&fs::read_to_string(own.join("peers/Cargo.lock"))?, &OF_PEERS),
    ];
    let cores = std::thread::available_parallelism()?;
    let mut measured = format!(
        "{}, {}, {cores} cores, {}:\n\n```console\ncargo run -p benchmarks --release -- {}\n```\n\n```text\n{}```\n",
        said_by("date", &["-u", "+%F"])?,
        said_by("rustc", &["--version"])?,
        versions.concat().join(", "),
        arguments.join(" "),
        report.table(),
    );
    for (file, shown) in plots {
        measured.push_str(&format!("\n![{shown}](benchmarks/plots/{file})\n"));
    }
    let path = root.join("BENCHMARKS.md");
    Ok(fs::write(&path, replace_measured(&fs::read_to_string(&path)?, &measured)?)?)
}

/// `document` with `measured` between its marks.
fn replace_measured(document: &str, measured: &str) -> Result<String, Failure> {
    let missing = || format!("there is no {BEGIN} and, behind it, {END}");
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{measured}\n{END}{after}"))
}

/// Those packages of a lock file, with their versions.
fn versions(lock: &str, names: &[&str]) -> Vec<String> {
    let version_of = |name: &&str| {
        let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", package.split('"').next()?))
    };
    names.iter().filter_map(version_of).collect()
}

fn said_by(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests;
