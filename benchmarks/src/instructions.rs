//! Instructions that the hot paths take, held against the recorded ones. Unlike time, their count is the same on a busy
//! machine as on an idle one, so three percent are visible.
//!
//! ```text
//! PROGRAM instructions [--only NAME] [--update]
//!     ─▶ valgrind PROGRAM repeat NAME COUNT          and again with twice the COUNT
//! ```
//!
//! A path's figure is the difference of the two totals: what happens once, like starting and connecting, cancels out. The
//! counts belong to the tools in the file, because compiler and C library make the instructions. With others the check only
//! warns.
//!
//! What is recorded moves with what is accepted, so small steps could add up unnoticed. So the file also has the counts of a
//! fixed commit, which `--update` leaves alone, and a path may never take five percent more than there. Sessions that outlive their
//! socket, which that commit did not have, are held against its counts of those that do not.

mod paths;

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use serde::{Deserialize, Serialize};

use self::paths::Path;
pub(crate) use self::paths::repeat;
use crate::Failure;

/// More than this of the recorded count fails the check.
const RATIO_MAX: f64 = 1.03;
/// Less than this asks for the gain to be recorded, or half of it could be lost again unnoticed.
const RATIO_MIN: f64 = 0.97;

/// More than this of the count at the fixed commit fails the check, however small the steps were.
const BASELINE_RATIO_MAX: f64 = 1.05;

/// Has the C library copy and fill with what every x86-64 processor can do. Otherwise the processor chooses how, and with
/// `rep movsb` each byte counts as an instruction, which it is not worth.
const PLAIN_COPIES: &str = "glibc.cpu.hwcaps=-ERMS,-FSRM,-AVX2,-AVX_Fast_Unaligned_Load,-AVX512VL";

/// What is checked in.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Recorded {
    tools: String,
    instructions: BTreeMap<String, u64>,
    /// What counts never get far above; counted with the same tools.
    baseline: Option<Baseline>,
}

/// The counts of a commit, for good.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Baseline {
    commit: String,
    instructions: BTreeMap<String, u64>,
}

/// What a count means beside the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Held,
    Dearer,
    /// Than at the fixed commit.
    MuchDearer,
    Cheaper,
    /// There is nothing to compare it with.
    Unrecorded,
}

impl Verdict {
    fn of(recorded: Option<u64>, baseline: Option<u64>, counted: u64) -> Self {
        if baseline.is_some_and(|baseline| ratio(baseline, counted) > BASELINE_RATIO_MAX) {
            return Self::MuchDearer;
        }
        match recorded.map(|recorded| ratio(recorded, counted)) {
            None => Self::Unrecorded,
            Some(ratio) if ratio > RATIO_MAX => Self::Dearer,
            Some(ratio) if ratio < RATIO_MIN => Self::Cheaper,
            Some(_) => Self::Held,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Dearer => "DEARER",
            Self::MuchDearer => "MUCH DEARER than at the baseline",
            Self::Cheaper => "cheaper, record it",
            Self::Unrecorded => "not recorded",
        }
    }
}

/// Counts, and compares with the file or writes it.
///
/// # Errors
/// That a path became dearer or is not recorded, or what kept it from being counted.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (mut only, mut update) = (None, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = Some(arguments.next().ok_or("--only needs the name of a path")?.as_str()),
            "--update" => update = true,
            other => return Err(format!("instructions takes --only NAME and --update, not {other}").into()),
        }
    }
    if cfg!(debug_assertions) {
        return Err("instructions count in a release build only: cargo run -p benchmarks --release".into());
    }
    let paths: Vec<Path> =
        Path::ALL.into_iter().filter(|path| only.is_none_or(|only| path.name() == only)).collect();
    if paths.is_empty() {
        return Err(format!("the paths are {}", Path::ALL.map(Path::name).join(", ")).into());
    }
    let file = file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut recorded: Option<Recorded> = serde_json::from_str(&text).ok();
    let tools = tools()?;
    let verdicts = compare(&paths, recorded.as_ref())?;
    if update {
        let (instructions, baseline) = match recorded.take() {
            // What was counted with other tools says nothing beside what was counted with these.
            Some(recorded) if recorded.tools == tools => (recorded.instructions, recorded.baseline),
            _ => (BTreeMap::new(), None),
        };
        let counted = verdicts.iter().map(|(path, counted, _)| (path.name().to_owned(), *counted));
        let instructions = instructions.into_iter().chain(counted).collect();
        let recorded = Recorded { tools, instructions, baseline };
        std::fs::write(&file, serde_json::to_string_pretty(&recorded)? + "\n")?;
        println!("recorded in {}", file.display());
        return Ok(());
    }
    judge(verdicts.iter().map(|(.., verdict)| *verdict), recorded.as_ref(), &tools)
}

/// Prints a line for each path as soon as it is counted.
fn compare(paths: &[Path], recorded: Option<&Recorded>) -> Result<Vec<(Path, u64, Verdict)>, Failure> {
    let baseline = recorded.and_then(|recorded| recorded.baseline.as_ref());
    println!(
        "{:<14} {:<8} {:>12} {:>12} {:>12} {:>8} {:>8}",
        "instructions",
        "per",
        baseline.map_or("baseline", |baseline| &baseline.commit),
        "recorded",
        "now",
        "of base",
        "of rec."
    );
    let mut verdicts = Vec::new();
    for path in paths {
        let before = recorded.and_then(|recorded| recorded.instructions.get(path.name()).copied());
        let counted = count(*path)?;
        let base = baseline.and_then(|baseline| baseline.instructions.get(path.name()).copied());
        let verdict = Verdict::of(before, base, counted);
        let number = |count: Option<u64>| count.map_or("-".into(), |count| count.to_string());
        let share = |of: Option<u64>| of.map_or("-".into(), |of| format!("{:.4}", ratio(of, counted)));
        println!(
            "{:<14} {:<8} {:>12} {:>12} {counted:>12} {:>8} {:>8}  {}",
            path.name(),
            path.unit(),
            number(base),
            number(before),
            share(base),
            share(before),
            verdict.words(),
        );
        verdicts.push((*path, counted, verdict));
    }
    Ok(verdicts)
}

fn judge(
    verdicts: impl Iterator<Item = Verdict>,
    recorded: Option<&Recorded>,
    tools: &str,
) -> Result<(), Failure> {
    let accept = "cargo run -p benchmarks --release -- instructions --update";
    if let Some(recorded) = recorded.filter(|recorded| recorded.tools != tools) {
        println!(
            "\nwarning: recorded with {}, counted with {tools}: the counts do not compare, nothing is decided.\n\
             Record them with these tools, from a state that is known to be good: {accept}",
            recorded.tools
        );
        return Ok(());
    }
    let worst = verdicts.fold(Verdict::Held, |worst, verdict| match (worst, verdict) {
        (Verdict::MuchDearer, _) | (_, Verdict::MuchDearer) => Verdict::MuchDearer,
        (Verdict::Dearer | Verdict::Unrecorded, _) => worst,
        _ => verdict,
    });
    match worst {
        Verdict::MuchDearer => Err(format!(
            "a path takes over {:.0} % more instructions than at the fixed commit: make it cheaper",
            (BASELINE_RATIO_MAX - 1.0) * 100.0
        )
        .into()),
        Verdict::Dearer | Verdict::Unrecorded => Err(format!(
            "a path takes over {:.0} % more instructions than recorded, or is not recorded. If that is worth it, accept \
             it and say why in the commit: {accept}",
            (RATIO_MAX - 1.0) * 100.0
        )
        .into()),
        Verdict::Held | Verdict::Cheaper => Ok(()),
    }
}

fn ratio(recorded: u64, counted: u64) -> f64 {
    counted as f64 / recorded.max(1) as f64
}

fn file() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json").into()
}

/// Instructions of one unit of a path.
fn count(path: Path) -> Result<u64, Failure> {
    let once = total(path, path.repeats())?;
    let twice = total(path, 2 * path.repeats())?;
    let units = u64::from(path.repeats() * path.units_each());
    Ok(twice.saturating_sub(once) / units)
}

/// Instructions of a whole process that walks a path so many times.
fn total(path: Path, repeats: u32) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(std::env::current_exe()?).args(["repeat", path.name(), &repeats.to_string()]);
    // The environment lies on the stack and would shift it.
    let search = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", search).env("GLIBC_TUNABLES", PLAIN_COPIES);
    let output = command.output();
    let output = output.map_err(|error| format!("valgrind does not start ({error}); install it"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match collected(&said) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("{} was not counted; valgrind said:\n{said}", path.name()).into()),
    }
}

/// The total among what callgrind prints at its end: `==7== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let count = said.lines().find_map(|line| line.split_once("Collected :"))?.1;
    count.trim().parse().ok()
}

/// What decides how many instructions the same source takes. Some libraries ask at run time for wide vectors.
fn tools() -> Result<String, Failure> {
    let said = |program: &str, argument: &str| -> Result<String, Failure> {
        let output = Command::new(program).arg(argument).output();
        let output = output.map_err(|error| format!("{program} does not start ({error}); install it"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let rustc = said("rustc", "--version")?;
    let rustc = rustc.split(" (").next().unwrap_or(&rustc);
    let valgrind = said("valgrind", "--version")?;
    let library = said("getconf", "GNU_LIBC_VERSION")?;
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let vectors = if flags.split_whitespace().any(|flag| flag == "avx2") { "with" } else { "without" };
    Ok(format!("{rustc}, {valgrind}, {library}, {} {vectors} avx2", std::env::consts::ARCH))
}

#[cfg(test)]
mod tests;
