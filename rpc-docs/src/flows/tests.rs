use super::*;
use crate::fixtures;

#[test]
fn flows_are_found_at_both_ends() {
    let chat = fixtures::chat();
    let flows = Flows::of(&chat);
    let parts: Vec<String> =
        flows.results("Member", "profile").iter().map(|(path, _)| spelled(path)).collect();
    assert_eq!(parts, ["name", "id", "presence.some", "friends[…]"]);
    assert_eq!(flows.arguments("Member", "enter")[0].0, "room");
    let objects: Vec<&str> = flows.objects("Room").map(|source| &*source.method).collect();
    assert_eq!(objects, ["enter"]);
    assert!(flows.results("Nobody", "nothing").is_empty());
}
