//! Instructions to get an API's clients in a Rust program, shared by the skill, the web pages and the Markdown pages.

use crate::{
    description::{Description, Service, Side},
    examples::{rust_word, snake},
};

/// The maximum number of root services in the code.
const SERVICES_MAX: usize = 40;

/// The introduction to the dependencies and the code.
pub(crate) const LEAD: &str =
    "Depend on `rpc-client`, on the crate with the API's traits (here `your_api`), and on `tokio`.";

/// A note on all clients.
pub(crate) const NOTE: &str =
    "A client is cheap to clone. Dropping a promise cancels its call, unless another call was built on it.";

/// The lines of `Cargo.toml`.
pub(crate) const DEPENDENCIES: &str = concat!(
    "[dependencies]\nrpc-client = \"",
    env!("CARGO_PKG_VERSION"),
    "\"\ntokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\nyour_api = { path = \"…\" } # the crate with the API's traits"
);

/// The code that connects and gets the clients of the root services.
pub(crate) fn code(description: &Description) -> String {
    let roots: Vec<&Service> = description
        .services
        .iter()
        .filter(|service| service.is_offered_by(Side::Server))
        .take(SERVICES_MAX)
        .collect();
    let clients: Vec<String> =
        roots.iter().map(|service| format!("{}Client", service.trait_name())).collect();
    let mut code = String::from("use rpc_client::Client;\n");
    match &*clients {
        [] => {}
        [only] => code.push_str(&format!("use your_api::{only};\n")),
        several => code.push_str(&format!("use your_api::{{{}}};\n", several.join(", "))),
    }
    code.push_str("\nlet client = Client::connect(\"ws://localhost:8080\").await?;");
    for (service, client) in roots.iter().zip(&clients) {
        code.push_str(&format!(
            "\nlet {}: {client} = client.service();",
            rust_word(&snake(service.trait_name()))
        ));
    }
    code
}
