//! The chat's documentation, generated from its API alone.

use rpc_core::Limits;
use rpc_docs::Api;

use super::api::ChatClient;

/// The whole API. The services of its objects are included automatically.
pub fn api() -> Api {
    Api::new("Chat", "1.0.0")
        .docs(include_str!("introduction.md"))
        .service::<ChatClient>()
        .limits(&Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_what_its_description_says() {
        rpc_docs::assert_unchanged!("api/chat.json", api());
    }
}
