//! Invariants that a machine can check: who names what, and what users may rely on.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All Rust files below a folder.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has sources");
    files
}

/// Sources that hold tests, or what only tests use.
const TEST_FILES: [&str; 2] = ["tests.rs", "fuzzing.rs"];

/// Product code alone: no tests.
fn product_sources(folder: &str) -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests")
            || TEST_FILES.iter().any(|name| path.ends_with(name))
    };
    sources(folder).into_iter().filter(|(path, _)| !is_test(path)).collect()
}

/// Code lines with this text, comments left out.
fn lines_with<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(code).filter(|line| line.contains(word)).collect()
}

#[track_caller]
fn check_only_in(folder: &str, word: &str, allowed: &[&str]) {
    for (path, text) in product_sources(folder) {
        let lines = lines_with(&text, word);
        assert!(
            lines.is_empty() || allowed.iter().any(|allowed| path.ends_with(allowed)),
            "`{word}` belongs in {allowed:?} and stands in {}: {lines:?}",
            path.display()
        );
    }
}

#[test]
fn the_session_knows_no_socket_clock_thread_or_future() {
    let mut session = product_sources("rpc-core/src/session");
    session.push((
        root().join("rpc-core/src/session.rs"),
        fs::read_to_string(root().join("rpc-core/src/session.rs")).unwrap(),
    ));
    for (path, text) in session {
        for word in [
            "tokio",
            "futures",
            "std::time::Instant",
            "Instant::now",
            "SystemTime",
            "thread",
            "Mutex",
            "async ",
            "Waker",
        ] {
            let lines = lines_with(&text, word);
            assert!(lines.is_empty(), "{}: {word}: {lines:?}", path.display());
        }
    }
}

/// The floors of `rpc-core`, the lowest first: a file names its own floor and those below. What is in none stands above all.
const FLOORS: [&[&str]; 10] = [
    &[
        "aside",
        "id_map",
        "in_order",
        "limits",
        "log_rate",
        "memory_budget",
        "never",
        "panics",
        "path",
        "principal",
        "retry",
        "sync",
        "time",
    ],
    &["buffer", "deadline", "error", "schema"],
    &["close_codes", "codec", "transport", "wire"],
    &["element_error", "value"],
    &["session"],
    &["link"],
    &["caller"],
    &["handler", "stream"],
    &["driver"],
    &["memory", "websocket"],
];

/// The first names of all paths below `crate` in code, wherever they stand.
fn crate_names(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut names = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let path = &code[at + start.len()..];
        let Some(tree) = path.strip_prefix('{') else {
            names.push(path.to_owned());
            continue;
        };
        let mut depth = 1;
        let mut entry = String::new();
        for letter in tree.chars() {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            match letter {
                ',' if depth == 1 => names.push(std::mem::take(&mut entry)),
                _ if depth == 0 => break,
                _ => entry.push(letter),
            }
        }
        names.push(entry);
    }
    let first = |path: String| {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        path.trim_start().split(|letter| !is_name(letter)).next().unwrap_or_default().to_owned()
    };
    names.into_iter().map(first).filter(|name| !name.is_empty()).collect()
}

/// Names above their floor, in product code that is on one.
fn names_above(path: &Path, text: &str) -> Vec<String> {
    let inside = path.strip_prefix(root().join("rpc-core/src")).unwrap();
    let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
    let floor_of = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    let Some(floor) = floor_of(room) else { return Vec::new() };
    let text = text.split("\nmod tests {").next().unwrap_or_default();
    let is_above = |name: &String| floor_of(name).is_none_or(|named| named > floor);
    crate_names(text).into_iter().filter(is_above).collect()
}

#[test]
fn no_floor_names_one_above_it() {
    let upward: Vec<String> = product_sources("rpc-core/src")
        .iter()
        .flat_map(|(path, text)| {
            names_above(path, text).into_iter().map(move |name| format!("{}: {name}", path.display()))
        })
        .collect();
    assert!(upward.is_empty(), "files that name what stands above them:\n{}", upward.join("\n"));
    let session = root().join("rpc-core/src/session/work.rs");
    for text in [
        "use crate::driver::start;",
        "use crate::Promise;",
        "use crate::{\n    time::Time,\n    caller::stub::{Kind, Stub},\n};",
        "crate::stream::STREAM",
    ] {
        assert_eq!(names_above(&session, text).len(), 1, "{text}");
    }
}

#[test]
fn the_codec_is_named_in_one_folder() {
    check_only_in("rpc-core/src", "bincode::", &["codec.rs", "codec/decode.rs"]);
}

/// What gives away that code reads or writes bytes of the wire or of the codec by itself: lengths, tags and counts.
const BYTES_BY_HAND: [&str; 8] =
    ["put_varint(", "varint_at(", "payload[0]", ".push(0)", ".push(1)", "vec![0]", "vec![1]", "251"];

#[test]
fn only_the_wire_and_the_codec_know_bytes() {
    for (path, text) in product_sources("rpc-core/src") {
        let inside = path.strip_prefix(root().join("rpc-core/src")).unwrap();
        if ["wire", "codec", "seeded"].iter().any(|room| inside.to_string_lossy().starts_with(room)) {
            continue;
        }
        for word in BYTES_BY_HAND {
            let lines = lines_with(&text, word);
            assert!(lines.is_empty(), "{} knows bytes: {word}: {lines:?}", path.display());
        }
    }
}

#[test]
fn websockets_are_named_below_the_driver_only() {
    for (path, text) in product_sources("rpc-core/src") {
        let below = path.components().any(|part| part.as_os_str() == "websocket");
        assert!(below || lines_with(&text, "tungstenite").is_empty(), "{}", path.display());
    }
}

#[test]
fn client_and_server_do_not_know_each_other() {
    check_only_in("rpc-client/src", "rpc_server", &[]);
    check_only_in("rpc-server/src", "rpc_client", &[]);
    check_only_in("rpc-core/src", "rpc_server", &[]);
    check_only_in("rpc-core/src", "rpc_client", &[]);
}

#[test]
fn product_code_does_not_unwrap() {
    for folder in ["rpc-core/src", "rpc-server/src", "rpc-client/src", "rpc-macros/src"] {
        check_only_in(folder, ".unwrap()", &[]);
        check_only_in(folder, "panic!(", &[]);
        check_only_in(folder, "todo!(", &[]);
    }
    check_only_in("rpc-docs/src", ".unwrap()", &[]);
    // What is one line of a user's test fails as tests do.
    check_only_in("rpc-docs/src", "panic!(", &["guard.rs"]);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    for folder in
        ["rpc-core", "rpc-server", "rpc-client", "rpc-macros", "rpc-docs", "examples", "benchmarks", "tests"]
    {
        for (path, _) in sources(&format!("{folder}/src")) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(
                !["util", "utils", "common", "types", "helpers", "mod"].contains(&name.as_str()),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn the_readme_prints_the_program_that_is_built() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let hello = fs::read_to_string(root().join("examples/src/bin/hello.rs")).unwrap();
    let program = &hello[hello.find("use rpc_client").unwrap()..];
    assert!(
        readme.contains(program.trim()),
        "README.md prints another program than examples/src/bin/hello.rs"
    );
}

#[test]
fn every_limit_states_its_default_where_it_is_defined() {
    let text = fs::read_to_string(root().join("rpc-core/src/limits.rs")).unwrap();
    let fields = text.split("pub struct Limits {").nth(1).unwrap().split("\n}").next().unwrap();
    let undocumented: Vec<&str> =
        fields.split(",\n").filter(|field| field.contains("pub ") && !field.contains("Default")).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

/// Compiles only if everything users hold can move between threads.
#[test]
fn everything_public_is_send_and_sync() {
    use crate::support::{PeopleClient, PeopleError, PeopleServer, User, Village};

    fn send<T: Send>() {}
    fn both<T: Send + Sync>() {}
    both::<rpc_core::Promise<User, PeopleError>>();
    send::<rpc_core::CallFuture<User, PeopleError>>();
    both::<<User as rpc_core::Pipelined>::Pipe<PeopleError>>();
    both::<PeopleClient>();
    both::<PeopleServer<Village>>();
    both::<rpc_core::CallError<PeopleError>>();
    both::<rpc_core::SessionHandle>();
    both::<rpc_core::Services>();
    both::<rpc_core::Context>();
    both::<rpc_core::schema::Layout>();
    both::<rpc_core::Limits>();
    both::<rpc_client::Client>();
    both::<rpc_client::ConnectError>();
    both::<rpc_client::ClientBuilder>();
    both::<rpc_server::ServerBuilder>();
    both::<rpc_server::ServerHandle>();
    both::<rpc_server::Listening>();
    both::<rpc_server::ServeError>();
    send::<rpc_core::websocket::Socket<tokio::net::TcpStream>>();
}
