//! What a service costs to compile, beside the same service in tarpc: one program each that serves and calls every method.
//!
//! ```text
//! PROGRAM compile [--methods 50] [--rounds 5]
//!     target/compile/{rpc,tarpc}/      a workspace of its own each, written anew before every build
//!     target/compile/target/           what both are built in; dependencies are there before anything is timed
//! ```
//!
//! Builds are timed as their user waits for them: cargo, rustc and the linker. Only the crate itself is compiled.

mod source;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use self::source::{Edit, Framework};
use crate::Failure;

/// Ours may take so many times as long as tarpc's.
const RATIO_MAX: f64 = 2.0;
/// Methods of the services whose sizes give what one more method adds.
const SIZES: [usize; 3] = [10, 50, 100];

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// Everything of the crate is checked, nothing is generated.
    Check,
    Debug,
    /// After a change inside of one method.
    Body,
    /// After a change of one method's argument.
    Signature,
    Release,
}

impl Build {
    const ALL: [Self; 5] = [Self::Check, Self::Debug, Self::Body, Self::Signature, Self::Release];

    fn name(self) -> &'static str {
        match self {
            Self::Check => "check, clean",
            Self::Debug => "debug, clean",
            Self::Body => "debug, a method's body changed",
            Self::Signature => "debug, a method's signature changed",
            Self::Release => "release, clean",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Check => &["check"],
            Self::Debug | Self::Body | Self::Signature => &["build"],
            Self::Release => &["build", "--release"],
        }
    }

    fn edit(self) -> Edit {
        Edit {
            body: matches!(self, Self::Body | Self::Signature),
            signature: matches!(self, Self::Signature),
        }
    }

    /// Whether it starts from nothing of the crate itself.
    fn is_clean(self) -> bool {
        matches!(self, Self::Check | Self::Debug | Self::Release)
    }
}

/// How large a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    /// Bytes of machine code and constants, release.
    text: u64,
    /// Lines of LLVM's language before anything is optimized, which is what the back end has to read.
    lines: u64,
}

/// Where the programs are.
struct Place {
    root: PathBuf,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (mut methods, mut rounds) = (50, 5);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--methods" => methods = value()?.parse()?,
            "--rounds" => rounds = value()?.parse()?,
            other => return Err(format!("compile takes --methods 50 and --rounds 5, not {other}").into()),
        }
    }
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is in no target folder")?;
    let place = Place { root: target.join("compile") };
    for framework in Framework::ALL {
        place.prepare(framework)?;
        for build in [Build::Check, Build::Debug, Build::Release] {
            place.build(framework, methods, build)?;
        }
    }
    print_times(&place, methods, rounds)?;
    print_sizes(&place)
}

fn print_times(place: &Place, methods: usize, rounds: usize) -> Result<(), Failure> {
    let mut times = vec![[const { Vec::new() }; 2]; Build::ALL.len()];
    for round in 0..rounds {
        for (row, build) in Build::ALL.into_iter().enumerate() {
            for (column, framework) in Framework::ALL.into_iter().enumerate() {
                eprint!("\r{:<40} round {}/{rounds} {framework:<6}", build.name(), round + 1);
                times[row][column].push(place.build(framework, methods, build)?);
            }
        }
    }
    eprintln!("\r{:<70}", "");
    println!("{methods} methods, medians of {rounds} interleaved rounds, seconds\n");
    println!("{:<37} {:>8} {:>8} {:>8}", "", "rpc", "tarpc", "ratio");
    for (build, [rpc, tarpc]) in Build::ALL.into_iter().zip(times) {
        let (rpc, tarpc) = (median(rpc), median(tarpc));
        let ratio = rpc / tarpc;
        let verdict = if ratio <= RATIO_MAX { "met" } else { "missed" };
        println!("{:<37} {rpc:>8.2} {tarpc:>8.2} {ratio:>8.2} <= {RATIO_MAX:.0} {verdict}", build.name());
    }
    Ok(())
}

fn print_sizes(place: &Place) -> Result<(), Failure> {
    println!("\n{:<37} {:>12} {:>12} {:>12} {:>12}", "", "rpc text", "tarpc text", "rpc IR", "tarpc IR");
    let mut rows = Vec::new();
    for methods in SIZES {
        let [rpc, tarpc] = Framework::ALL.map(|framework| place.size(framework, methods));
        let row = (rpc?, tarpc?);
        println!(
            "{:<37} {:>12} {:>12} {:>12} {:>12}",
            format!("{methods} methods"),
            row.0.text,
            row.1.text,
            row.0.lines,
            row.1.lines
        );
        rows.push(row);
    }
    let (first, last) = (rows[0], rows[rows.len() - 1]);
    let more = (SIZES[SIZES.len() - 1] - SIZES[0]) as u64;
    println!(
        "{:<37} {:>12} {:>12} {:>12} {:>12}",
        "a method more",
        slope(first.0.text, last.0.text, more),
        slope(first.1.text, last.1.text, more),
        slope(first.0.lines, last.0.lines, more),
        slope(first.1.lines, last.1.lines, more),
    );
    Ok(())
}

fn slope(first: u64, last: u64, more: u64) -> u64 {
    last.saturating_sub(first) / more
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Place {
    fn folder(&self, framework: Framework) -> PathBuf {
        self.root.join(framework.name())
    }

    /// The manifest, and the versions that the workspace is built with.
    fn prepare(&self, framework: Framework) -> Result<(), Failure> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent")?;
        let folder = self.folder(framework);
        std::fs::create_dir_all(folder.join("src"))?;
        std::fs::write(folder.join("Cargo.toml"), framework.manifest(repository))?;
        std::fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(())
    }

    fn build(&self, framework: Framework, methods: usize, build: Build) -> Result<Duration, Failure> {
        self.write(framework, methods, build.edit())?;
        if build.is_clean() {
            let profile: &[&str] = if build == Build::Release { &["--release"] } else { &[] };
            let crate_alone = [&["clean", "--package", framework.package()], profile].concat();
            self.cargo(framework, &crate_alone)?;
        }
        let started = Instant::now();
        self.cargo(framework, build.arguments())?;
        Ok(started.elapsed())
    }

    fn write(&self, framework: Framework, methods: usize, edit: Edit) -> Result<(), Failure> {
        let file = self.folder(framework).join("src/main.rs");
        Ok(std::fs::write(file, source::program(framework, methods, edit))?)
    }

    fn cargo(&self, framework: Framework, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(self.folder(framework));
        let output = command.env("CARGO_TARGET_DIR", self.root.join("target")).output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("cargo {} of {framework} failed:\n{said}", arguments.join(" ")).into())
    }

    fn size(&self, framework: Framework, methods: usize) -> Result<Size, Failure> {
        self.write(framework, methods, Edit::default())?;
        self.cargo(framework, Build::Release.arguments())?;
        let built = self.root.join("target");
        let output = Command::new("size").arg(built.join("release").join(framework.package())).output()?;
        let text = text_bytes(&String::from_utf8_lossy(&output.stdout)).ok_or("size says no size")?;
        let lines = self.folder(framework).join("main.ll");
        let emit = format!("--emit=llvm-ir={}", lines.display());
        // In many units each would have its own copies of what is inlined.
        self.cargo(framework, &["rustc", "--", &emit, "-Ccodegen-units=1"])?;
        let lines = std::fs::read_to_string(lines)?.lines().count() as u64;
        Ok(Size { text, lines })
    }
}

/// The first figure of the second line that `size` prints.
fn text_bytes(said: &str) -> Option<u64> {
    said.lines().nth(1)?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
