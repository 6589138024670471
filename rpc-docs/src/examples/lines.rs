//! Breaks long chains of calls into several lines, as formatters of both languages do.

/// The width of the narrowest panel that shows examples.
pub(super) const LINE_MAX: usize = 52;

/// A statement with each call of a long chain on a line of its own, and each argument of a long group as well.
pub(super) fn arranged(statement: &str) -> String {
    // Lines after the first one are short.
    let (first, rest) =
        statement.split_once('\n').map_or((statement, None), |(first, rest)| (first, Some(rest)));
    let first = chained(first).lines().map(grouped).collect::<Vec<_>>().join("\n");
    match rest {
        Some(rest) => format!("{first}\n{rest}"),
        None => first,
    }
}

fn chained(statement: &str) -> String {
    if statement.chars().count() <= LINE_MAX {
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

/// Puts each argument of the longest call on a line of its own, if the line is too long.
fn grouped(line: &str) -> String {
    if line.chars().count() <= LINE_MAX {
        return line.to_owned();
    }
    let Some((start, commas, end)) = longest_group(line) else { return line.to_owned() };
    let indent = " ".repeat(line.len() - line.trim_start().len());
    let mut out = line[..start].to_owned();
    let mut from = start;
    for comma in commas {
        out.push_str(&format!("\n{indent}    {},", line[from..comma].trim_start()));
        from = comma + 1;
    }
    out.push_str(&format!("\n{indent}    {},\n{indent}{}", line[from..end].trim_start(), &line[end..]));
    out
}

/// The longest group of several arguments or elements in a line: the position after its opening bracket, its commas, and the
/// position of its closing bracket.
fn longest_group(line: &str) -> Option<(usize, Vec<usize>, usize)> {
    let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut best: Option<(usize, Vec<usize>, usize)> = None;
    for (at, letter) in outside_texts(line) {
        match letter {
            '(' | '[' | '{' => open.push((at + 1, Vec::new())),
            ',' => {
                if let Some((_, commas)) = open.last_mut() {
                    commas.push(at);
                }
            }
            ')' | ']' | '}' => {
                let Some((start, commas)) = open.pop() else { continue };
                let is_longer = best.as_ref().is_none_or(|(known, _, end)| end - known < at - start);
                // A destructuring pattern stays on its line.
                let is_call = !matches!(line[..start].trim_start(), "let (" | "const [");
                if letter != '}' && !commas.is_empty() && is_longer && is_call {
                    best = Some((start, commas, at));
                }
            }
            _ => {}
        }
    }
    best
}

/// The positions where calls of the outermost chain begin: dots outside brackets and string literals.
fn links(statement: &str) -> Vec<usize> {
    let mut links = Vec::new();
    let mut depth = 0_usize;
    for (at, letter) in outside_texts(statement) {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => links.push(at),
            _ => {}
        }
    }
    links
}

/// The characters of a line outside string literals.
fn outside_texts(line: &str) -> Vec<(usize, char)> {
    let (mut is_text, mut is_escaped) = (false, false);
    let mut outside = Vec::new();
    for (at, letter) in line.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            _ if is_text => {}
            _ => outside.push((at, letter)),
        }
    }
    outside
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
    fn arguments_of_a_long_call_have_a_line_each() {
        assert_eq!(
            arranged(
                r#"let (user, project) = rpc_client::join!(users.user("a, b", 1), users.project(ProjectId(1)));"#
            ),
            "let (user, project) = rpc_client::join!(\n    users.user(\"a, b\", 1),\n    users.project(ProjectId(1)),\n);"
        );
        assert_eq!(
            arranged("let mut messages = tracker.project(1).messages(filter, another_one).await?;\nwhile {}"),
            "let mut messages = tracker\n    .project(1)\n    .messages(filter, another_one)\n    .await?;\nwhile {}"
        );
    }

    #[test]
    fn what_is_short_or_no_chain_stays() {
        for statement in [
            r#"let room = chat.log_in("ann").enter(room);"#,
            "let a_long_name_for_a_promise_of_something = function(of_an_argument_that_is_long);",
        ] {
            assert_eq!(arranged(statement), statement);
        }
    }
}
