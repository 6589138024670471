//! Long chains of calls on several lines, as formatters of both languages write them.

/// The width of the narrowest panel that shows examples.
const LINE_MAX: usize = 60;

/// A statement with each call of a long chain on a line of its own.
pub(super) fn arranged(statement: &str) -> String {
    if statement.contains('\n') || statement.chars().count() <= LINE_MAX {
        return statement.to_owned();
    }
    let links = links(statement);
    if links.len() < 2 {
        return statement.to_owned();
    }
    let mut out = String::with_capacity(statement.len() + links.len() * 5);
    let mut start = 0;
    for link in links {
        out.push_str(&statement[start..link]);
        out.push_str("\n    ");
        start = link;
    }
    out.push_str(&statement[start..]);
    out
}

/// Where calls of the outermost chain begin: dots outside of brackets and texts.
fn links(statement: &str) -> Vec<usize> {
    let mut links = Vec::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, letter) in statement.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => links.push(at),
            _ => {}
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_has_a_line_a_call() {
        let statement = r#"let said = chat.log_in("a.b (").enter(RoomId("room".into())).history(10).map(|m| m.id()).await?;"#;
        let expected = r#"let said = chat
    .log_in("a.b (")
    .enter(RoomId("room".into()))
    .history(10)
    .map(|m| m.id())
    .await?;"#;
        assert_eq!(arranged(statement), expected);
    }

    #[test]
    fn what_is_short_or_no_chain_stays() {
        for statement in [
            r#"let room = chat.log_in("ann").enter(room);"#,
            "let a_long_name_for_a_promise = function(of_some_arguments, that_need_much_space, and_more);",
        ] {
            assert_eq!(arranged(statement), statement);
        }
    }
}
