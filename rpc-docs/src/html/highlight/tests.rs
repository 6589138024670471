use super::*;

#[track_caller]
fn check(code: &str, language: Language, expected: &str) {
    assert_eq!(highlight(code, language, &|_| None).into_string(), expected);
}

#[test]
fn rust_has_its_colours() {
    check(
        "fn f<'a>(x: &'a u8) // c",
        Language::Rust,
        "<span class=\"k\">fn</span> f&lt;<span class=\"a\">'a</span>&gt;(x: &amp;<span class=\"a\">'a</span> \
         <span class=\"t\">u8</span>) <span class=\"c\">// c</span>",
    );
    check(
        "'x' \"\\\"\" 1_0",
        Language::Rust,
        "<span class=\"s\">'x'</span> <span class=\"s\">&quot;\\&quot;&quot;</span> <span class=\"n\">1_0</span>",
    );
}

#[test]
fn json_fields_differ_from_texts() {
    check(
        "{ \"a\": \"b\" }",
        Language::TypeScript,
        "{ <span class=\"f\">&quot;a&quot;</span>: <span class=\"s\">&quot;b&quot;</span> }",
    );
}

#[test]
fn words_with_a_page_are_links() {
    let link = |word: &str| (word == "User").then(|| "types.html#\"".to_owned());
    assert_eq!(
        highlight("User", Language::Rust, &link).into_string(),
        "<a class=\"t\" href=\"types.html#&quot;\">User</a>"
    );
}

#[test]
fn any_text_keeps_all_its_letters() {
    for code in [
        "\"open",
        "'",
        "/*",
        "#[",
        "`",
        "\\",
        "é'é",
        "//",
        "'\\",
        "1e",
        "</script>",
        "\u{202e}x",
        "#",
        "/",
        "a#b/c",
    ] {
        for language in [Language::Rust, Language::TypeScript, Language::Plain] {
            let html = highlight(code, language, &|_| None).into_string();
            let mut text = String::new();
            for part in html.split('<') {
                text.push_str(if html.starts_with(part) && text.is_empty() {
                    part
                } else {
                    part.split_once('>').map_or(part, |(_, text)| text)
                });
            }
            let text =
                text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
            assert_eq!(text, code, "{html}");
        }
    }
}
