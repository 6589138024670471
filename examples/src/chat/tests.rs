//! Checks the length of the chat's code, because people copy it.

/// Lines that are neither empty nor comments, without the tests' module.
fn lines(source: &str) -> usize {
    let code = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    code.filter(|line| !matches!(*line, "#[cfg(test)]" | "mod tests;")).count()
}

#[test]
fn the_chat_stays_small() {
    let (api, server, client) =
        (include_str!("api.rs"), include_str!("server.rs"), include_str!("client.rs"));
    let (api, server, client) = (lines(api), lines(server), lines(client));
    assert!(api + server + client < 180, "{api} + {server} + {client} lines");
    assert!(client < 40, "{client} lines");
}

#[test]
fn the_api_names_no_crate_but_ours_and_that_for_error_texts() {
    let source = include_str!("api.rs");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words =
        code.flat_map(|line| line.split(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter))));
    let mut crates: Vec<&str> =
        words.filter_map(|word| word.split_once("::")).map(|(first, _)| first).collect();
    crates.sort_unstable();
    crates.dedup();
    assert_eq!(crates, ["rpc_core", "thiserror"]);
}
