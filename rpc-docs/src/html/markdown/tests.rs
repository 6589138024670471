use super::{
    super::{Theme, tests::chat},
    *,
};

fn rendered(text: &str) -> String {
    let (chat, theme) = (chat(), Theme::default());
    render(&Atlas::new(&chat, &theme, &crate::names::Names::of(&chat)), None, text, 2).into_string()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found = rendered(text);
    let found = found.strip_prefix("<div class=\"prose\">").and_then(|rest| rest.strip_suffix("</div>"));
    assert_eq!(found.map(str::trim_end), Some(expected), "{text}");
}

#[test]
fn html_is_text() {
    check("<script>x</script>", "<p class=\"raw\">&lt;script&gt;x&lt;/script&gt;</p>");
    check("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>");
    check("`</code>`", "<p><code>&lt;/code&gt;</code></p>");
}

#[test]
fn links_lead_to_the_web_or_into_the_pages() {
    check("[a](https://x.org/\"b)", "<p><a rel=\"noopener\" href=\"https://x.org/&quot;b\">a</a></p>");
    check("<a@b.org>", "<p>a@b.org</p>");
    check("[a](mailto:a@b.org)", "<p><a rel=\"noopener\" href=\"mailto:a@b.org\">a</a></p>");
    check(
        "[`Room::history`]",
        "<p><a href=\"service.Room.html#method.history\"><code>Room::history</code></a></p>",
    );
    check("[it](Room::history)", "<p><a href=\"service.Room.html#method.history\">it</a></p>");
    check("[errors](errors.html)", "<p><a href=\"errors.html\">errors</a></p>");
}

#[test]
fn links_of_other_schemes_are_text() {
    for scheme in [
        "javascript:x",
        "JavaScript:x",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc",
        "//x.org",
        " javascript:x",
        "java\u{1}script:x",
    ] {
        let text = rendered(&format!("[a](<{scheme}>)"));
        assert!(!text.contains("href"), "{text}");
    }
}

#[test]
fn what_does_not_resolve_is_text() {
    check("[Nothing] and [it](Nothing::here), v[0]", "<p>[Nothing] and it, v[0]</p>");
}

#[test]
fn pictures_are_links_to_them() {
    check(
        "![a <b>](https://x.org/a.png)",
        "<p><a rel=\"noopener\" href=\"https://x.org/a.png\">a &lt;b&gt;</a></p>",
    );
    check("![](https://x.org/a.png)", "<p><a rel=\"noopener\" href=\"https://x.org/a.png\">picture</a></p>");
    check("![a](data:image/png;base64,x)", "<p>a</p>");
    check(
        "[![a](https://x.org/a.png)](https://x.org)",
        "<p><a rel=\"noopener\" href=\"https://x.org\">a</a></p>",
    );
}

#[test]
fn headings_stand_below_the_pages_own_without_gaps() {
    let text = rendered("# One\n\n##### Far\n\n# Two");
    let levels: Vec<&str> = text.matches(|letter: char| ('1'..='6').contains(&letter)).step_by(2).collect();
    assert_eq!(levels, ["3", "4", "3"], "{text}");
}

#[test]
fn code_is_coloured_and_hidden_lines_are_left_out() {
    check(
        "```\n# use x;\nlet a = 1;\n```",
        "<pre><code><span class=\"k\">let</span> a = <span class=\"n\">1</span>;</code></pre>",
    );
    check("```text\nlet <a>\n```", "<pre><code>let &lt;a&gt;</code></pre>");
}

#[test]
fn summaries_are_the_first_paragraph() {
    assert_eq!(plain_summary("# Title\n\nmore"), "Title");
    assert_eq!(plain_summary("One `two`\n[Room] <b>.\n\nMore."), "One two Room <b>.");
    assert_eq!(plain_summary(&"ä".repeat(90_000)).chars().count(), SUMMARY_MAX + 1);
}

#[test]
fn summaries_hold_no_blocks() {
    let (chat, theme) = (chat(), Theme::default());
    let names = crate::names::Names::of(&chat);
    let atlas = Atlas::new(&chat, &theme, &names);
    for text in
        ["- a\n- **b**", "> a", "# a", "```\na\n```", "| a |\n|---|\n| b |", "<div>\na\n</div>", "---"]
    {
        let html = summary(&atlas, None, text).into_string();
        let blocks = ["<ul", "<li", "<p", "<h", "<block", "<table", "<t", "<div"];
        assert!(blocks.iter().all(|block| !html.contains(block)), "{html}");
    }
}
