//! Renders all outputs of a description, for one folder.

use crate::{
    Description, Files, agents, asyncapi,
    html::{self, Theme},
    markdown, openrpc, typescript,
};

/// Renders all outputs of an API, for a documentation binary or a build step to write.
///
/// | file | for |
/// |---|---|
/// | `index.html` and its pages | people, in a browser; see [`html`] |
/// | `markdown/README.md` and its pages | people, on a code host; see [`markdown`] |
/// | `api.json` | the description itself |
/// | `openrpc.json` | [OpenRPC 1.4.1](https://spec.open-rpc.org); see [`openrpc`] |
/// | `asyncapi.json` | [AsyncAPI 3](https://www.asyncapi.com); see [`asyncapi`] |
/// | `api.ts` | declarations in TypeScript; see [`typescript`] |
/// | `llms.txt`, `SKILL.md` | agents; see [`agents`] |
///
/// ```no_run
/// use rpc_docs::{Api, html::Theme, outputs};
///
/// # #[rpc_core::rpc]
/// # trait Greeter {
/// #     async fn greet(&self, name: String) -> String;
/// # }
/// let api = Api::new("Greetings", "1.0.0").service::<GreeterClient>();
/// outputs(&api.describe(), &Theme::default()).write_to("target/greetings")?;
/// # Ok::<(), rpc_docs::WriteError>(())
/// ```
pub fn outputs(description: &Description, theme: &Theme) -> Files {
    let mut files = html::render(description, theme);
    for (path, page) in markdown::render(description) {
        files.put(format!("markdown/{path}"), page);
    }
    files.put("api.json", description.to_json());
    files.put("openrpc.json", openrpc::render(description));
    files.put("asyncapi.json", asyncapi::render(description));
    files.put("api.ts", typescript::render(description));
    files.put("llms.txt", agents::llms_txt(description, "markdown/"));
    files.put("SKILL.md", agents::skill(description));
    files
}

#[cfg(test)]
mod tests; // outputs/tests.rs: editing tests does not rebuild the library
