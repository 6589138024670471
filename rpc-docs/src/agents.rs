//! Files for programs that write code: `llms.txt`, which links to the Markdown pages, and a skill.

use crate::{
    description::{Description, Method, Service, Shape, Side, Type},
    examples::Guide,
    markdown::{self, signature},
    names::{Names, identifier},
    prose::{self, Setting, clipped, paragraphs, printable, summary},
};

pub(crate) mod connecting;
mod definitions;

/// The maximum number of services, and of methods of one service, in a skill: an agent reads a skill as a whole each time.
const SERVICES_MAX: usize = 40;
const METHODS_MAX: usize = 60;

/// The maximum number of examples in a skill.
const EXAMPLES_MAX: usize = 4;

/// The maximum number of error types, and of variants of one type, in a skill.
const ERRORS_MAX: usize = 12;

/// An index in the format of llmstxt.org, with links to the pages of [`markdown::render`]. `folder` is the prefix of the links:
/// `""` for pages beside the index, `"markdown/"` for pages in a folder.
pub fn llms_txt(description: &Description, folder: &str) -> String {
    let (first, rest) = introduction(description);
    let mut text = format!("# {}\n\n> {first}\n\n", line(&description.title));
    for paragraph in rest {
        text.push_str(&format!("{paragraph}\n\n"));
    }
    text.push_str(
        "A typed RPC API over WebSocket. Results can be passed to other calls before they are here, so dependent calls \
         take one round trip.\n\n## Services\n\n",
    );
    let pages = markdown::paths(description);
    for (service, page) in description.services.iter().zip(pages) {
        text.push_str(&link(service.trait_name(), &format!("{folder}{page}"), &service.docs));
    }
    text.push_str("\n## Types\n\n");
    text.push_str(&format!("- [Types and errors]({folder}{}): every type that travels\n", markdown::TYPES));
    text.push_str(&format!(
        "\n## Optional\n\n- [Index]({folder}{}): all services and limits\n",
        markdown::INDEX
    ));
    printable(text)
}

fn link(name: &str, address: &str, docs: &str) -> String {
    let docs = told(docs);
    let note = if docs.is_empty() { docs } else { format!(": {docs}") };
    format!("- [{}]({address}){note}\n", line(name))
}

/// The API's introduction: its first paragraph, and the others.
fn introduction(description: &Description) -> (String, Vec<String>) {
    let mut paragraphs = paragraphs(&description.docs);
    if paragraphs.is_empty() {
        paragraphs.push(format!(
            "The API {}, version {}.",
            line(&description.title),
            line(&description.version)
        ));
    }
    let first = paragraphs.remove(0);
    (first, paragraphs)
}

/// A summary as Markdown on one line.
fn told(docs: &str) -> String {
    prose::unlinked(&summary(docs), Setting::Markdown)
}

/// A text on one line, with characters replaced that could end a link or begin markup.
fn line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('<', "&lt;").replace('[', "(").replace(']', ")").replace('`', "'")
}

/// A skill: when to read it, and how to use the API from Rust.
pub fn skill(description: &Description) -> String {
    let names = Names::of(description);
    let guide = Guide::new(description, &names);
    let mut text = front_matter(description);
    let (first, rest) = introduction(description);
    text.push_str(&format!("# {}\n\n{first}\n\n", line(&description.title)));
    for paragraph in rest {
        text.push_str(&format!("{paragraph}\n\n"));
    }
    text.push_str(&connecting(description));
    text.push_str(&services(description));
    text.push_str(&round_trips(&guide, description));
    text.push_str(&definitions::listed(description));
    text.push_str(&errors(description));
    text.push_str(&limits(description));
    text.truncate(text.trim_end().len());
    text.push('\n');
    printable(text)
}

/// YAML: a name of small letters, digits and hyphens, and a description as a quoted string.
fn front_matter(description: &Description) -> String {
    let name = identifier(&description.title).to_lowercase().replace('_', "-");
    let name: String = clipped(name.trim_matches('-'), 60).to_owned();
    let name = if name.is_empty() { "api".to_owned() } else { name };
    let services: Vec<&str> = description.services.iter().take(8).map(Service::trait_name).collect();
    let when = format!(
        "How to call the {} API ({}) from Rust: connecting, services, pipelining, errors. Read before writing code that uses it.",
        plain(&description.title),
        plain(&services.join(", ")),
    );
    // JSON strings are valid YAML strings.
    format!("---\nname: {name}\ndescription: {}\n---\n\n", serde_json::Value::from(when))
}

/// A name without characters that readers of front matter take for markup.
fn plain(text: &str) -> String {
    line(text).replace("&lt;", "").replace(['<', '>'], "")
}

fn connecting(description: &Description) -> String {
    format!(
        "## Connecting\n\n{}\n\n{}\n{}\n{}\n\n`api.ts` has declarations only: there is no TypeScript client yet.\n\n",
        connecting::LEAD,
        markdown::block("toml", connecting::DEPENDENCIES),
        markdown::block("rust", &connecting::code(description)),
        connecting::NOTE,
    )
}

fn services(description: &Description) -> String {
    let mut text = String::from("## Services\n\n");
    for service in description.services.iter().take(SERVICES_MAX) {
        text.push_str(&format!(
            "**{}** ({}){}\n\n",
            line(service.trait_name()),
            standing(service),
            after_colon(&told(&service.docs))
        ));
        let signatures: Vec<String> = service
            .methods
            .iter()
            .filter(|method| method.problems.is_empty())
            .take(METHODS_MAX)
            .map(listed)
            .collect();
        if !signatures.is_empty() {
            text.push_str(&markdown::block("rust", &signatures.join("\n")));
            text.push('\n');
        }
        if service.methods.len() > METHODS_MAX {
            text.push_str(&format!("… and {} more.\n\n", service.methods.len() - METHODS_MAX));
        }
    }
    text
}

/// A text after a colon; empty if the text is empty.
fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn standing(service: &Service) -> &'static str {
    match (service.is_root, service.implemented_by) {
        (_, Side::Client) => "clients implement it, `…Client::local(…)` passes it",
        (true, _) => "`client.service()`",
        (false, _) => "an object that other methods give",
    }
}

/// A summary for a comment in code.
fn in_code(docs: &str) -> String {
    prose::unlinked(&summary(docs), Setting::Code)
}

fn listed(method: &Method) -> String {
    let mut notes = Vec::new();
    if method.oneway {
        notes.push("one-way".to_owned());
    }
    if method.idempotent {
        notes.push("may be retried".to_owned());
    }
    if let Some(note) = &method.deprecated {
        notes.push(if note.is_empty() {
            "deprecated".to_owned()
        } else {
            format!("deprecated: {}", in_code(note))
        });
    }
    let docs = in_code(&method.docs);
    if !docs.is_empty() {
        notes.insert(0, docs);
    }
    let notes = notes.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
    let signature = signature(method).split_whitespace().collect::<Vec<_>>().join(" ");
    if notes.is_empty() { signature } else { format!("{signature}  // {notes}") }
}

/// Examples of different kinds: the one with the most calls of each service, then a stream and a callback.
fn round_trips(guide: &Guide<'_>, description: &Description) -> String {
    let mut text = String::from(
        "## One round trip\n\nA call returns a promise. Pass it, or a part of it, to other calls, or call methods on a promised object, and await only in \
         the end: all calls made before leave together. Parts are methods named like the fields; `.some()` is what is in an \
         `Option`, `.index(0)` an element of a `Vec`, `.map(|each| …)` makes calls for each element on the server. \
         `rpc_client::try_join!` awaits several.\n\n",
    );
    let best = |service: &Service| {
        let service = description.service(&service.name)?;
        let methods =
            service.methods.iter().filter(|method| method.problems.is_empty() && method.deprecated.is_none());
        let examples = methods.map(|method| guide.examples(service, method).rust_pipelined);
        examples.take(METHODS_MAX).max_by_key(|example| example.matches('(').count())
    };
    let callable = description.services.iter().filter(|service| service.implemented_by != Side::Client);
    let mut examples: Vec<String> = callable.take(SERVICES_MAX).filter_map(best).collect();
    examples.sort_by_key(|example| std::cmp::Reverse(example.matches('(').count()));
    examples.truncate(EXAMPLES_MAX);
    // Streams, callbacks and maps need examples of their own.
    for special in ["while let Some", "::local(", ".map(|"] {
        let methods = description
            .services
            .iter()
            .flat_map(|service| service.methods.iter().map(move |method| (service, method)));
        let callable = methods
            .filter(|(service, method)| service.implemented_by != Side::Client && method.problems.is_empty());
        let mut all = callable
            .take(METHODS_MAX)
            .map(|(service, method)| guide.examples(service, method).rust_pipelined);
        if !examples.iter().any(|example| example.contains(special)) {
            examples.extend(all.find(|example| example.contains(special)));
        }
    }
    if !examples.is_empty() {
        text.push_str(&markdown::block("rust", &examples.join("\n\n")));
        text.push('\n');
    }
    text
}

fn errors(description: &Description) -> String {
    let mut text = String::from(
        "## Errors\n\nAwaiting gives `Result<T, CallError<E>>`. `CallError::Method(error)` is the method's own error; `CallError::Upstream(cause)` says that a \
         call failed that this one was built on (`cause.downcast::<E>()`). The others are the connection's, deadlines' and limits'.\n\n",
    );
    let methods = description.services.iter().flat_map(|service| &service.methods);
    let names: std::collections::BTreeSet<&str> = methods
        .filter_map(|method| match &method.error.as_ref()?.ty {
            Type::Ref(name) => Some(&**name),
            _ => None,
        })
        .collect();
    for name in names.into_iter().take(ERRORS_MAX) {
        let variants: Vec<&str> = match description.definition(name).map(|definition| &definition.shape) {
            Some(Shape::Enum(variants)) => {
                variants.iter().map(|variant| variant.rust_name.as_deref().unwrap_or(&variant.name)).collect()
            }
            _ => Vec::new(),
        };
        let more = if variants.len() > ERRORS_MAX { ", …" } else { "" };
        let list = variants.into_iter().take(ERRORS_MAX).map(line).collect::<Vec<_>>().join(", ");
        let said = if list.is_empty() {
            description.definition(name).map(|definition| told(&definition.docs)).unwrap_or_default()
        } else {
            format!("{list}{more}")
        };
        text.push_str(&format!("- {}{}\n", line(name), after_colon(&said)));
    }
    text.push('\n');
    text
}

fn limits(description: &Description) -> String {
    if description.limits.is_empty() {
        return String::new();
    }
    let limit = |limit: &crate::description::CallerLimit| {
        format!("- {} = {}: {}\n", line(&limit.name), line(&limit.value), told(&limit.meaning))
    };
    let limits: String = description.limits.iter().map(limit).collect();
    format!("## Limits\n\n{limits}\n")
}

#[cfg(test)]
mod tests;
