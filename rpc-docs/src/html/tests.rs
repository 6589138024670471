//! Tests of the pages' text, and helpers for all tests of pages.

use serde_json::{Value, json};

use super::{Colour, Logo, Page, Theme, render};
use crate::Description;

/// The description of the example chat.
pub(super) fn chat() -> Description {
    Description::from_json(include_str!("../fixtures/chat.json")).unwrap()
}

/// A description with these services, types and flows.
pub(super) fn described(services: Value, types: Value, flows: Value) -> Description {
    let text = json!({
        "format": 1, "title": "Test", "version": "1", "services": services, "types": types, "flows": flows,
    });
    Description::from_json(&text.to_string()).unwrap()
}

/// A service of the server with these methods.
pub(super) fn service(name: &str, is_root: bool, methods: Value) -> Value {
    json!({ "name": name, "implemented_by": "server", "is_root": is_root, "methods": methods })
}

/// A method with this argument and result.
pub(super) fn method(name: &str, argument: Value, result: Value) -> Value {
    json!({
        "name": name, "arguments": [{ "name": "of", "type": argument, "rust": "Of" }],
        "result": { "type": result, "rust": "Given" }, "fingerprint": "00000000000000ff",
    })
}

fn page(description: &Description, file: &str) -> String {
    let site = render(description, &Theme::default());
    String::from_utf8(site.file(file).unwrap().to_vec()).unwrap()
}

#[test]
fn every_service_has_a_page_and_every_method_an_anchor() {
    let chat = chat();
    for service in &chat.services {
        let text = page(&chat, &format!("service.{}.html", service.name));
        for method in &service.methods {
            assert!(text.contains(&format!("id=\"method.{}\"", method.name)), "{}", method.name);
        }
    }
}

#[test]
fn the_same_description_gives_the_same_bytes() {
    let theme =
        || Theme { pages: vec![Page { title: "One".into(), markdown: "[Chat]".into() }], ..Theme::default() };
    assert_eq!(render(&chat(), &theme()), render(&chat(), &theme()));
}

#[test]
fn pages_without_the_users_text_stay_below_200_kb() {
    let site = render(&described(json!([]), json!([]), json!([])), &Theme::default());
    let bytes: usize = site.files().map(|(_, contents)| contents.len()).sum();
    // The site had 54.5 kB when this was written. The budget is 200 kB; a growth to 70 kB deserves a look.
    assert!(bytes < 70_000, "{bytes}");
}

#[test]
fn links_stay_when_an_api_grows() {
    let (old, mut new) = (chat(), chat());
    let mut method = new.services[0].methods[0].clone();
    method.name = "a_new_method".into();
    new.services[0].methods.insert(0, method);
    let mut service = new.services[0].clone();
    service.name = "chat".into();
    new.services.insert(0, service);
    let (old, new) = (render(&old, &Theme::default()), render(&new, &Theme::default()));
    for (file, contents) in old.files().filter(|(file, _)| file.ends_with(".html")) {
        let (old, new) =
            (String::from_utf8_lossy(contents), String::from_utf8_lossy(new.file(file).unwrap()));
        for anchor in old.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(new.contains(&format!(" id=\"{anchor}\"")), "{file}#{anchor}");
        }
    }
}

#[test]
fn a_theme_gives_title_logo_accent_and_pages() {
    let theme = Theme {
        title: Some("Our <chat>".into()),
        logo: Some(Logo::Png(vec![1, 2, 3])),
        accent: Colour::rgb(0x0f, 0x76, 0x6e),
        pages: vec![Page {
            title: "First steps".into(),
            markdown: "See [`Room::history`].\n\n## More".into(),
        }],
    };
    let site = render(&chat(), &theme);
    let text = |file: &str| String::from_utf8(site.file(file).unwrap().to_vec()).unwrap();
    assert_eq!(site.file("logo.png"), Some(&[1, 2, 3][..]));
    assert!(text("index.html").contains("<h1>Our &lt;chat&gt;</h1>"));
    assert!(text("index.html").contains("src=\"logo.png\""));
    // The accent is a shade darker, because it must be readable on tinted ground as well.
    assert!(text("site.css").starts_with(":root{--accent-light:#0e7169;"));
    let own = text("page.first-steps.html");
    assert!(own.contains("href=\"service.Room.html#method.history\"") && own.contains("id=\"section.more\""));
    assert!(text("search-index.js").contains("[7,\"More\",\"First steps\""));
}

#[test]
fn nothing_of_a_description_is_markup() {
    let mut hostile = chat();
    let attack = "</title></script><script>alert(1)</script>\"><img src=x onerror=alert(1)>'";
    hostile.title = attack.into();
    hostile.version = attack.into();
    hostile.docs = attack.into();
    hostile.limits[0].meaning = attack.into();
    for service in &mut hostile.services {
        (service.rust_name, service.docs) = (Some(attack.into()), attack.into());
        for method in &mut service.methods {
            (method.rust_name, method.docs, method.deprecated) =
                (Some(attack.into()), attack.into(), Some(attack.into()));
            method.problems = vec![attack.into()];
            method.result.rust = attack.into();
        }
    }
    for definition in &mut hostile.types {
        (definition.docs, definition.path) = (attack.into(), attack.into());
    }
    for (file, contents) in
        render(&hostile, &Theme::default()).files().filter(|(file, _)| file.ends_with(".html"))
    {
        let text = String::from_utf8_lossy(contents);
        assert!(!text.contains("<script>"), "{file}");
        assert!(!text.contains("<img src=x"), "{file}");
        assert_eq!(text.matches("</script>").count(), 3, "{file}: the page's own scripts");
        assert_eq!(text.matches("</title>").count(), text.matches("<title>").count(), "{file}");
    }
}

#[test]
fn a_large_api_is_written_at_once() {
    let methods = |service: usize| -> Value {
        (0..10)
            .map(|at| {
                let (argument, result) = ((service * 31 + at * 7) % 500, (service * 17 + at * 3) % 500);
                method(
                    &format!("method{at}"),
                    json!({ "ref": format!("T{argument:03}") }),
                    json!({ "ref": format!("T{result:03}") }),
                )
            })
            .collect()
    };
    let services: Value = (0..30).map(|at| service(&format!("Service{at}"), true, methods(at))).collect();
    let types: Value = (0..500)
        .map(|at| {
            let fields: Value =
                (0..5).map(|field| json!({ "name": format!("f{field}"), "type": { "ref": format!("T{:03}", (at * 7 + field) % 500) } })).collect();
            json!({ "name": format!("T{at:03}"), "docs": "A type. [Service1::method3]", "shape": { "struct": fields } })
        })
        .collect();
    let site = render(&described(services, types, json!([])), &Theme::default());
    // The part of each type on the page is bounded; a quadratic list would exceed this size by far.
    let bytes: usize = site.files().map(|(_, contents)| contents.len()).sum();
    assert!(bytes < 6_000_000, "{bytes}");
}

/// A description of one method that has this comment, error and argument.
fn described_method(docs: &str) -> Description {
    let variants: Value = (0..5)
        .map(|at| json!({ "name": format!("V{at}"), "message": "no project {0.0:?}", "content": { "newtype": "u8" } }))
        .collect();
    let mut look = method(
        "type",
        json!("u8"),
        json!({ "stream": { "item": { "ref": "Item" }, "error": { "ref": "Late" } } }),
    );
    look["docs"] = json!(docs);
    look["arguments"][0]["name"] = json!("match");
    look["error"] = json!({ "type": { "ref": "Wrong" }, "rust": "Wrong" });
    let types = json!([
        { "name": "Item", "docs": "One thing.", "shape": "unit" },
        { "name": "Late", "docs": "Too late.", "shape": "unit" },
        { "name": "Wrong", "shape": { "enum": variants } },
    ]);
    described(json!([service("S", true, json!([look]))]), types, json!([]))
}

#[test]
fn a_method_has_one_list_of_errors_and_opens_the_first() {
    let text = page(&described_method("Looks.\n\n# Errors\n\nWhen it is late."), "service.S.html");
    assert_eq!(text.matches(">Errors</h4>").count(), 1);
    let errors = text.split(">Errors</h4>").nth(1).unwrap();
    assert!(errors.starts_with("<div class=\"prose\"><p>When it is late.</p>"), "{}", &errors[..200]);
    assert!(errors.contains("no project {0}") && !errors.contains("{0.0"));
    assert_eq!(errors.split("<details").next().unwrap().matches("<dt>").count(), 3);
    assert!(errors.contains("and 2 more variants") && errors.contains("ends the stream: "));
    assert!(errors.contains("Too late.") && text.contains("One thing."));
}

#[test]
fn keywords_are_raw_identifiers_in_signatures() {
    let described = described_method("Looks.");
    let text = page(&described, "service.S.html");
    assert!(text.contains("r#</span>") || text.contains("r#type"), "the method's name");
    assert_eq!(
        super::signature::rust(&described.services[0].methods[0]),
        "async fn r#type(&self, r#match: Of) -> Result<Given, Wrong>"
    );
    let markdown = crate::markdown::render(&described);
    assert!(markdown["services/S.md"].contains("async fn r#type(&self, r#match: Of)"));
}

#[test]
fn pages_with_typescript_say_that_there_is_no_client_yet() {
    let text = page(&chat(), "service.Room.html");
    assert_eq!(text.matches("there is no TypeScript client yet").count(), 1);
}
