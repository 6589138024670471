//! Renders the first page: the introduction, services, types, errors and limits.

use super::{
    Pages, kind,
    places::Page,
    text::{block, code, escaped, table, word},
};
use crate::{
    agents::connecting,
    description::{Service, Side, TypeDefinition},
    links::Target,
};

impl Pages<'_> {
    pub(super) fn index(&self) -> String {
        let description = self.description;
        let mut page = format!("# {}\n\n", word(&description.title));
        page.push_str(&format!("Version {}\n\n", escaped(&description.version)));
        page.push_str(&self.comment(&description.docs, None, Page::Index, 1));
        page.push_str(&format!(
            "## Connecting\n\n{}\n\n{}\n{}\n{}\n\n## Services\n\n",
            connecting::LEAD,
            block("toml", connecting::DEPENDENCIES),
            block("rust", &connecting::code(description)),
            connecting::NOTE,
        ));
        let services: Vec<Vec<String>> =
            description.services.iter().map(|service| self.service_row(service)).collect();
        page.push_str(&table(&["service", "reached", "implemented by", "methods", ""], &services));
        let (errors, others): (Vec<_>, Vec<_>) =
            description.types.iter().partition(|definition| self.errors.contains_key(&*definition.name));
        for (title, types) in [("Errors", errors), ("Types", others)] {
            let rows: Vec<Vec<String>> =
                types.into_iter().map(|definition| self.type_row(definition)).collect();
            if !rows.is_empty() {
                page.push_str(&format!("## {title}\n\n{}", table(&["type", "kind", ""], &rows)));
            }
        }
        page.push_str(&self.limits());
        page.truncate(page.trim_end().len());
        page.push('\n');
        page
    }

    fn service_row(&self, service: &Service) -> Vec<String> {
        let name = word(service.trait_name());
        let reached = if service.is_root { "at once" } else { "through an object" };
        let side = match service.implemented_by {
            Side::Server => "the server",
            Side::Client => "clients",
            Side::Both => "both sides",
        };
        vec![
            format!("[{name}]({})", self.places.file(Page::Index, &service.name)),
            reached.into(),
            side.into(),
            service.methods.len().to_string(),
            self.summary(&service.docs, self.home(service), Page::Index),
        ]
    }

    fn type_row(&self, definition: &TypeDefinition) -> Vec<String> {
        let name = word(&definition.name);
        let known = self.description.definition(&definition.name).map(Target::Type);
        vec![
            format!("[{name}]({})", self.places.link_to_type(Page::Index, &definition.name)),
            kind(definition).into(),
            self.summary(&definition.docs, known, Page::Index),
        ]
    }

    fn limits(&self) -> String {
        let row = |limit: &crate::description::CallerLimit| {
            vec![code(&limit.name), escaped(&limit.value), self.summary(&limit.meaning, None, Page::Index)]
        };
        let rows: Vec<Vec<String>> = self.description.limits.iter().map(row).collect();
        if rows.is_empty() {
            return String::new();
        }
        format!("## Limits\n\n{}", table(&["limit", "value", ""], &rows))
    }
}

impl<'a> Pages<'a> {
    /// The item that `Self` means in the comments of a service.
    pub(super) fn home(&self, service: &Service) -> Option<Target<'a>> {
        self.description.service(&service.name).map(Target::Service)
    }
}
