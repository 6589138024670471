//! Renders the page of a service: its methods with signatures, flows and examples.

use super::{
    Pages,
    diagrams::diagram,
    places::Page,
    text::{anchor, block, code, escaped, table, word},
};
use crate::{
    description::{Flow, Method, PathStep, Service, Side, Sink, Value},
    examples::rust_word,
    flows::spelled,
    html::is_plain,
};

/// The maximum number of sources and sinks listed for one value.
const ENDS_MAX: usize = 6;

/// The maximum number of parts of a result that are listed; those with the shortest path come first.
const PARTS_MAX: usize = 16;

impl<'a> Pages<'a> {
    pub(super) fn service(&self, service: &'a Service) -> String {
        let here = Page::Service(&service.name);
        let mut page = format!("# {}\n\n[All services](../README.md)\n\n", word(service.trait_name()));
        page.push_str(&self.comment(&service.docs, self.home(service), here, 1));
        page.push_str(&format!("{}\n\n", standing(service)));
        let row = |method: &Method| {
            let link = format!(
                "[{}](#{})",
                word(method.trait_name()),
                self.places.method(&service.name, &method.name)
            );
            vec![link, self.summary(&method.docs, self.home(service), here)]
        };
        let rows: Vec<Vec<String>> = service.methods.iter().map(row).collect();
        page.push_str(&table(&["method", ""], &rows));
        for method in &service.methods {
            page.push_str(&self.method(service, method));
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        page
    }

    fn method(&self, service: &'a Service, method: &'a Method) -> String {
        let here = Page::Service(&service.name);
        let id = self.places.method(&service.name, &method.name);
        let mut text = format!("{}\n\n## {}\n\n", anchor(id), word(method.trait_name()));
        text.push_str(&block("rust", &signature(method)));
        text.push('\n');
        text.push_str(&block("typescript", &self.declarations.signature(method)));
        text.push('\n');
        text.push_str(&self.warnings(service, method));
        text.push_str(&self.comment(&method.docs, self.home(service), here, 2));
        text.push_str(&self.values(method, here));
        let marks = marks(method);
        if !marks.is_empty() {
            text.push_str(&format!("*{}*\n\n", marks.join(" · ")));
        }
        text.push_str(&self.pipelines(service, method));
        text.push_str(&diagram(self.description, service, method));
        text.push_str(&self.examples(service, method));
        text
    }

    fn warnings(&self, service: &Service, method: &Method) -> String {
        let mut text = String::new();
        if let Some(note) = &method.deprecated {
            let note = self.summary(note, self.home(service), Page::Service(&service.name));
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            text.push_str(&format!("> **Deprecated**{note}\n\n"));
        }
        for problem in &method.problems {
            text.push_str(&format!("> **Cannot be called**: {}\n\n", escaped(problem)));
        }
        text
    }

    /// A table of the types in a signature, with links to them.
    fn values(&self, method: &Method, here: Page<'_>) -> String {
        let row = |name: String, value: &Value| vec![name, self.linked(&value.ty, here)];
        let mut rows: Vec<Vec<String>> =
            method.arguments.iter().map(|argument| row(code(&argument.name), &argument.value)).collect();
        if !method.oneway {
            rows.push(row("*gives*".into(), &method.result));
            rows.extend(method.error.as_ref().map(|error| row("*fails with*".into(), error)));
        }
        table(&["", "type"], &rows)
    }

    /// The flows of a method: results that fit its arguments, and arguments that its result fits.
    fn pipelines(&self, service: &Service, method: &Method) -> String {
        let here = Page::Service(&service.name);
        let mut text = String::new();
        let arguments = self.flows.arguments(&service.name, &method.name);
        for (argument, flow) in arguments.iter().filter(|(_, flow)| !is_plain(&flow.ty)) {
            let from = flow.from.iter().map(|source| {
                let part = if source.path.is_empty() {
                    String::new()
                } else {
                    format!(" {}", code(&spelled(&source.path)))
                };
                format!("{}{part}", self.method_link(&source.service, &source.method, here))
            });
            text.push_str(&format!("- {} can be a promise from {}\n", code(argument), listed(from)));
        }
        let results: Vec<_> = self
            .flows
            .results(&service.name, &method.name)
            .iter()
            .filter(|(_, flow)| !is_plain(&flow.ty))
            .collect();
        for (path, flow) in results.iter().take(PARTS_MAX) {
            text.push_str(&format!("- {} can be passed to {}\n", result(path), self.sinks(flow, here)));
        }
        if results.len() > PARTS_MAX {
            text.push_str(&format!("- and {} more parts of the result\n", results.len() - PARTS_MAX));
        }
        if text.is_empty() { text } else { format!("Pipelining:\n\n{text}\n") }
    }

    fn sinks(&self, flow: &Flow, here: Page<'_>) -> String {
        listed(flow.into.iter().map(|sink| match sink {
            Sink::Argument { service, method, argument } => {
                format!("{} as {}", self.method_link(service, method, here), code(argument))
            }
            Sink::Target { service } => {
                let name = self.description.service(service).map_or(&**service, Service::trait_name);
                format!("all methods of [{}]({})", word(name), self.places.file(here, service))
            }
        }))
    }

    fn method_link(&self, service: &str, method: &str, here: Page<'_>) -> String {
        let known = self.methods.get(&(service, method));
        let (service_name, method_name) =
            known.map_or((service, method), |(service, method)| (service.trait_name(), method.trait_name()));
        let address = self.places.link_to_method(here, service, method);
        format!("[{}.{}]({address})", word(service_name), word(method_name))
    }

    fn examples(&self, service: &'a Service, method: &'a Method) -> String {
        if !method.problems.is_empty() {
            return String::new();
        }
        let examples = self.guide.examples(service, method);
        let note = match service.implemented_by {
            Side::Client => "handed to the server",
            Side::Server | Side::Both => "in one round trip",
        };
        let both = |awaited: &str, pipelined: &str| {
            if awaited == pipelined {
                awaited.to_owned()
            } else {
                format!("{awaited}\n\n// {note}\n{pipelined}")
            }
        };
        let rust = both(&examples.rust_awaited, &examples.rust_pipelined);
        let typescript = both(&examples.typescript_awaited, &examples.typescript_pipelined);
        format!("{}\n{}\n", block("rust", &rust), block("typescript", &typescript))
    }
}

/// Sentences that say how a client of a service is obtained, and whether its calls are ordered.
fn standing(service: &Service) -> String {
    let reached = match (service.is_root, service.implemented_by) {
        (true, Side::Client) => "Clients offer it; the server calls it.",
        (true, _) => "A connection offers it at once.",
        (false, Side::Client) => {
            "Clients implement it and pass objects of it to the server, which calls back."
        }
        (false, _) => "It is reached through objects that other methods give.",
    };
    let ordered = if service.ordered {
        " Calls of one object keep their order: one that waits for a promise holds back those behind it."
    } else {
        ""
    };
    format!("{reached}{ordered}")
}

/// The method's signature as in the trait.
pub(crate) fn signature(method: &Method) -> String {
    let arguments = method.arguments.iter();
    let arguments: Vec<String> =
        arguments.map(|argument| format!("{}: {}", rust_word(&argument.name), argument.value.rust)).collect();
    let receiver = if arguments.is_empty() { "&self" } else { "&self, " };
    let result = match &method.error {
        Some(error) => format!(" -> Result<{}, {}>", method.result.rust, error.rust),
        None if method.oneway || method.result.rust == "()" => String::new(),
        None => format!(" -> {}", method.result.rust),
    };
    format!("async fn {}({receiver}{}){result}", rust_word(method.trait_name()), arguments.join(", "))
}

fn marks(method: &Method) -> Vec<String> {
    let marks = [
        (method.oneway, "one-way: nothing comes back"),
        (method.idempotent, "idempotent: it may be retried"),
        (method.no_cancel, "runs on when its promise is dropped"),
    ];
    let mut marks: Vec<String> =
        marks.into_iter().filter(|(is_set, _)| *is_set).map(|(_, mark)| mark.to_owned()).collect();
    if let Some(batch) = &method.batch {
        marks.push(format!("many calls are answered by one of {}", word(batch)));
    }
    if let Some(other) = &method.rust_name {
        marks.push(format!("{} on the wire, {} in Rust", word(&method.name), word(other)));
    }
    marks
}

fn result(path: &[PathStep]) -> String {
    if path.is_empty() { "the result".into() } else { code(&spelled(path)) }
}

fn listed(ends: impl ExactSizeIterator<Item = String>) -> String {
    let more = ends.len().saturating_sub(ENDS_MAX);
    let mut list = ends.take(ENDS_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    list
}
