use super::*;
use crate::fixtures;

#[test]
fn the_index_leads_to_the_pages() {
    let chat = fixtures::chat();
    let text = llms_txt(&chat, "markdown/");
    assert!(text.starts_with("# Chat\n\n> A small chat: rooms, members and what they say.\n"));
    let pages = markdown::render(&chat);
    let mut links = 0;
    for link in text.split("](markdown/").skip(1) {
        links += 1;
        assert!(pages.contains_key(link.split(')').next().unwrap()), "{link}");
    }
    assert_eq!(links, pages.len());
}

#[test]
fn a_skill_says_how_to_use_the_api() {
    let text = skill(&fixtures::chat());
    assert!(text.starts_with("---\nname: chat\ndescription: \"How to call the Chat API"));
    assert!(text.contains("let chat: ChatClient = client.service();"));
    assert!(text.contains("async fn profile(&self, user: UserId) -> Result<User, ChatError>  // What is known about a user; may be retried"));
    assert!(text.contains(".map(|each| "));
    assert!(text.contains("struct User {\n    id: UserId,"));
    assert!(text.contains("there is no TypeScript client yet"));
    assert!(text.contains("while let Some(item) = messages.next().await {"));
    assert!(text.contains("ListenerClient::local(MyListener)"));
    assert!(text.contains("- ChatError: BadName, NoSuchUser, NoSuchMessage"));
    assert!(text.contains("- payload_bytes_max = 8 MiB"));
    assert!(text.len() < 6000, "a skill is read as a whole");
}

#[test]
fn skills_stay_short_and_whole_whatever_is_in_them() {
    for description in [fixtures::hostile(), fixtures::big()] {
        let text = skill(&description);
        assert!(text.len() < 40_000, "{}", text.len());
        let front: Vec<&str> = text.lines().take(4).collect();
        assert_eq!((front[0], front[3]), ("---", "---"));
        let name = front[1].strip_prefix("name: ").unwrap();
        assert!(
            name.chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'),
            "{name}"
        );
        let description: String =
            serde_json::from_str(front[2].strip_prefix("description: ").unwrap()).unwrap();
        assert!(!description.contains(['<', '>']) && description.len() < 1024, "{description}");
        let headings = text.lines().filter(|line| line.starts_with("## ")).count();
        assert!((5..=6).contains(&headings), "{headings}");
    }
}

/// Links become their text, and a name without docs has no colon.
#[test]
fn a_skill_has_no_brackets_of_links() {
    let mut chat = fixtures::chat();
    chat.docs = "First [`Room::say`].\n\nSecond [Room].".into();
    chat.services[0].docs = String::new();
    chat.services[0].methods[0].docs = "Like [`Room::say`].".into();
    let text = skill(&chat);
    assert!(text.contains("First `Room::say`.\n\nSecond Room.\n\n## Connecting"), "{text}");
    assert!(text.contains("// Like `Room::say`") && text.contains("**Chat** (`client.service()`)\n"));
    assert!(llms_txt(&chat, "").contains("> First `Room::say`.\n\nSecond Room.\n"));
}
