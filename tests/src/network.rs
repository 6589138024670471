//! Processes of their own: a server and a client whose link drops every packet, one that is suspended, one whose clock is wrong.
//!
//! `tests/network/run` runs these tests. They start this program again for each process, and talk to it line by line.
#![allow(clippy::print_stdout, reason = "a process tells the test what it sees")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

mod clocks;
mod links;
mod roles;
mod suspended;

/// Far above all that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pings of both sides. A peer that says nothing is given up after both.
const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(300);
/// The time by which a slow machine may be late.
const SLACK: Duration = Duration::from_secs(3);

/// The variables by which a test tells a process what it is.
const LISTEN: &str = "RPC_TEST_LISTEN";
const CONNECT: &str = "RPC_TEST_CONNECT";
const WINDOW_MS: &str = "RPC_TEST_WINDOW_MS";

/// A process that plays a role, and the lines that it has written.
struct Actor {
    name: &'static str,
    child: Child,
    orders: ChildStdin,
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Actor {
    /// Starts a role, behind the words of another command, such as one that enters a network namespace.
    fn start(name: &'static str, behind: &[&str], variables: &[(&str, &str)]) -> Self {
        let program = env::current_exe().unwrap();
        let role = format!("network::roles::{name}");
        let mut command = match behind {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args([&role, "--exact", "--ignored", "--nocapture"]);
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let written = Arc::clone(&lines);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                written.0.lock().unwrap().push(line);
                written.1.notify_all();
            }
        });
        Self { name, child, orders, lines }
    }

    fn server(listen: &str, behind: &[&str], variables: &[(&str, &str)]) -> (Self, String) {
        let variables = [variables, &[(LISTEN, listen)]].concat();
        let server = Self::start("server", behind, &variables);
        let address = server.until("listening ", 0).trim_start_matches("listening ").to_owned();
        (server, address)
    }

    fn client(address: &str, behind: &[&str], variables: &[(&str, &str)]) -> Self {
        let url = format!("ws://{address}");
        Self::start("client", behind, &[variables, &[(CONNECT, &url)]].concat())
    }

    fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().clone()
    }

    /// The number of lines so far.
    fn now(&self) -> usize {
        self.lines.0.lock().unwrap().len()
    }

    fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits for a line that begins so, among those from this number on.
    #[track_caller]
    fn until(&self, start: &str, from: usize) -> String {
        let (lines, changed) = &*self.lines;
        let found = |lines: &[String]| lines.iter().skip(from).find(|line| line.starts_with(start)).cloned();
        let guard = lines.lock().unwrap();
        let (guard, _) = changed.wait_timeout_while(guard, PATIENCE, |lines| found(lines).is_none()).unwrap();
        match found(&guard) {
            Some(line) => line,
            None => panic!("the {} never says `{start}` after line {from}: {:#?}", self.name, *guard),
        }
    }

    /// Waits for another call that succeeds.
    #[track_caller]
    fn until_next_call(&self) {
        self.until("ok ", self.now());
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Sends a signal to the process.
    fn signal(&self, signal: &str) {
        run(&["kill", signal, &self.child.id().to_string()]);
    }

    /// Has the client wait for its calls; that all of them succeeded.
    fn check_no_call_lost(mut self, server: &Actor) {
        self.order("stop");
        self.until("done", 0);
        let lines = self.lines();
        let failed: Vec<_> = lines.iter().filter(|line| line.contains("failed")).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let mut ran: Vec<_> = server.lines().into_iter().filter(|line| line.starts_with("ran ")).collect();
        let runs = ran.len();
        ran.sort();
        ran.dedup();
        assert_eq!((runs, ran.len()), (self.count("ok "), self.count("ok ")), "each call ran once");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // It may be over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that has to succeed.
#[track_caller]
fn run(words: &[&str]) {
    let status = Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(status.success(), "{words:?}: {status}");
}

/// Waits for something that another process writes meanwhile, and tells how long that took.
fn time_of(wait: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    wait();
    begun.elapsed()
}
