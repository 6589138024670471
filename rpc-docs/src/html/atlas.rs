//! Tables for all pages, built once: positions of methods and types, and their users.

use rustc_hash::FxHashMap;

use super::{names, theme::Theme};
use crate::{
    description::{Content, Description, Flow, Method, PathStep, Service, Shape, Sink, Type, TypeDefinition},
    examples::Guide,
    links::Links,
    names::Names,
    typescript::Declarations,
};

/// A method's position: the indices of its service and of the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At {
    pub(super) service: usize,
    pub(super) method: usize,
}

/// The users of a type, in the order of the description.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) taken_by: Vec<At>,
    pub(super) returned_by: Vec<At>,
    pub(super) fails: Vec<At>,
    /// The indices of the types that contain this type.
    pub(super) part_of: Vec<usize>,
}

/// The methods that return or take objects of a service.
#[derive(Debug, Default)]
pub(super) struct ObjectUses {
    pub(super) returned_by: Vec<At>,
    pub(super) taken_by: Vec<At>,
}

/// The flows into a method's arguments and out of its result. Plain types are left out.
#[derive(Debug, Default)]
pub(super) struct MethodFlows<'a> {
    /// Arguments with the flow that leads into each.
    pub(super) built_on: Vec<(&'a str, &'a Flow)>,
    /// Parts of the result with the flow that leads out of each.
    pub(super) leads_to: Vec<(&'a [PathStep], &'a Flow)>,
}

/// The tables for all pages.
pub(super) struct Atlas<'a> {
    pub(super) description: &'a Description,
    pub(super) theme: &'a Theme,
    page_files: Vec<String>,
    service_files: Vec<String>,
    services: FxHashMap<&'a str, usize>,
    methods: FxHashMap<(&'a str, &'a str), At>,
    definitions: FxHashMap<&'a str, usize>,
    uses: Vec<Uses>,
    objects: Vec<ObjectUses>,
    flows: Vec<Vec<MethodFlows<'a>>>,
    /// The number of objects between a root service and each service; `None` if no path leads to the service.
    depths: Vec<Option<usize>>,
    /// The method that returns or takes an object of each service, on the shortest path.
    ways: Vec<Option<At>>,
    /// Whether each type contains objects or streams, at any depth.
    carries: Vec<bool>,
    pub(super) links: Links<'a>,
    pub(super) guide: Guide<'a>,
    pub(super) declarations: Declarations<'a>,
}

/// Whether a type is plain: it does not tell the meaning of its values. A number fits every argument that is a number.
pub(crate) fn is_plain(ty: &Type) -> bool {
    let mut is_plain = true;
    ty.walk(&mut |part| is_plain &= !matches!(part, Type::Ref(_) | Type::Object(_) | Type::Stream { .. }));
    is_plain
}

impl<'a> Atlas<'a> {
    /// Builds the tables. `typescript` has the names of types and services in TypeScript.
    pub(super) fn new(description: &'a Description, theme: &'a Theme, typescript: &'a Names<'a>) -> Self {
        let services = &description.services;
        let mut atlas = Self {
            description,
            theme,
            page_files: names::page_files(&theme.pages),
            service_files: services.iter().map(|service| names::service_file(&service.name)).collect(),
            services: services.iter().enumerate().map(|(at, service)| (&*service.name, at)).collect(),
            methods: FxHashMap::default(),
            definitions: description.types.iter().enumerate().map(|(at, ty)| (&*ty.name, at)).collect(),
            uses: description.types.iter().map(|_| Uses::default()).collect(),
            objects: services.iter().map(|_| ObjectUses::default()).collect(),
            flows: services
                .iter()
                .map(|service| service.methods.iter().map(|_| MethodFlows::default()).collect())
                .collect(),
            depths: vec![None; services.len()],
            ways: vec![None; services.len()],
            carries: Vec::new(),
            links: Links::new(description),
            guide: Guide::new(description, typescript),
            declarations: Declarations::new(description, typescript),
        };
        for (at, service, method) in atlas.all_methods() {
            atlas.methods.insert((&service.name, &method.name), at);
        }
        atlas.carries = atlas.find_carriers();
        atlas.note_uses();
        atlas.note_flows();
        atlas.note_depths();
        atlas
    }

    /// All methods with their positions, in order.
    pub(super) fn all_methods(&self) -> impl Iterator<Item = (At, &'a Service, &'a Method)> + use<'a> {
        self.description.services.iter().enumerate().flat_map(|(service, known)| {
            let place = move |(method, found)| (At { service, method }, known, found);
            known.methods.iter().enumerate().map(place)
        })
    }

    pub(super) fn title(&self) -> &'a str {
        self.theme.title.as_deref().unwrap_or(&self.description.title)
    }

    pub(super) fn service_file(&self, at: usize) -> &str {
        &self.service_files[at]
    }

    pub(super) fn page_file(&self, at: usize) -> &str {
        &self.page_files[at]
    }

    pub(super) fn is_file(&self, name: &str) -> bool {
        ["index.html", "types.html", "errors.html"].contains(&name)
            || self.page_files.iter().chain(&self.service_files).any(|file| file == name)
    }

    pub(super) fn service(&self, name: &str) -> Option<(usize, &'a Service)> {
        let at = *self.services.get(name)?;
        Some((at, &self.description.services[at]))
    }

    pub(super) fn method(&self, at: At) -> (&'a Service, &'a Method) {
        let service = &self.description.services[at.service];
        (service, &service.methods[at.method])
    }

    pub(super) fn method_at(&self, service: &str, method: &str) -> Option<At> {
        self.methods.get(&(service, method)).copied()
    }

    pub(super) fn definition(&self, name: &str) -> Option<(usize, &'a TypeDefinition)> {
        let at = *self.definitions.get(name)?;
        Some((at, &self.description.types[at]))
    }

    pub(super) fn uses(&self, definition: usize) -> &Uses {
        &self.uses[definition]
    }

    pub(super) fn objects(&self, service: usize) -> &ObjectUses {
        &self.objects[service]
    }

    pub(super) fn flows(&self, at: At) -> &MethodFlows<'a> {
        &self.flows[at.service][at.method]
    }

    pub(super) fn depth(&self, service: usize) -> Option<usize> {
        self.depths[service]
    }

    pub(super) fn way(&self, service: usize) -> Option<At> {
        self.ways[service]
    }

    /// The indices of the error types of methods and streams.
    pub(super) fn error_types(&self) -> Vec<usize> {
        (0..self.uses.len()).filter(|at| !self.uses[*at].fails.is_empty()).collect()
    }

    pub(super) fn method_link(&self, at: At) -> String {
        let (_, method) = self.method(at);
        format!("{}#{}", self.service_files[at.service], names::anchor("method", &[&method.name]))
    }

    /// The objects and streams in a type, including those inside named types; each once, outermost first.
    pub(super) fn carried(&self, ty: &'a Type) -> Vec<&'a Type> {
        let mut found = Vec::new();
        let mut seen = vec![false; self.carries.len()];
        self.collect_carried(ty, &mut found, &mut seen);
        found
    }

    fn collect_carried(&self, ty: &'a Type, found: &mut Vec<&'a Type>, seen: &mut [bool]) {
        let mut inside = Vec::new();
        ty.walk(&mut |part| match part {
            Type::Object(_) | Type::Stream { .. } if !found.contains(&part) => found.push(part),
            Type::Ref(name) => inside.extend(self.definition(name)),
            _ => {}
        });
        for (at, definition) in inside {
            if self.carries[at] && !seen[at] {
                seen[at] = true;
                for part in definition.shape.parts() {
                    self.collect_carried(part, found, seen);
                }
            }
        }
    }

    /// Finds the types that contain objects or streams: first types that name one, then types that contain these, and so on.
    fn find_carriers(&self) -> Vec<bool> {
        let types = &self.description.types;
        let mut carries = vec![false; types.len()];
        let mut holders = vec![Vec::new(); types.len()];
        let mut next = Vec::new();
        for (at, definition) in types.iter().enumerate() {
            for part in definition.shape.parts() {
                part.walk(&mut |part| match part {
                    Type::Object(_) | Type::Stream { .. } => next.push(at),
                    Type::Ref(name) => {
                        if let Some(held) = self.definitions.get(&**name) {
                            holders[*held].push(at);
                        }
                    }
                    _ => {}
                });
            }
        }
        while let Some(at) = next.pop() {
            if !carries[at] {
                carries[at] = true;
                next.extend(&holders[at]);
            }
        }
        carries
    }

    fn note_uses(&mut self) {
        for (at, _, method) in self.all_methods() {
            for argument in &method.arguments {
                self.note(&argument.value.ty, at, |uses| &mut uses.taken_by);
                for object in self.carried_objects(&argument.value.ty) {
                    push_once(&mut self.objects[object].taken_by, at);
                }
            }
            self.note(&method.result.ty, at, |uses| &mut uses.returned_by);
            for object in self.carried_objects(&method.result.ty) {
                push_once(&mut self.objects[object].returned_by, at);
            }
            if let Some(error) = &method.error {
                self.note(&error.ty, at, |uses| &mut uses.fails);
            }
            let values = method.arguments.iter().map(|argument| &argument.value).chain([&method.result]);
            for value in values {
                value.ty.walk(&mut |part| {
                    if let Type::Stream { error: Some(error), .. } | Type::Result { error, .. } = part {
                        self.note(error, at, |uses| &mut uses.fails);
                    }
                });
            }
        }
        for (at, definition) in self.description.types.iter().enumerate() {
            for part in definition.shape.parts() {
                part.walk(&mut |part| {
                    if let Type::Ref(name) = part
                        && let Some(held) = self.definitions.get(&**name)
                    {
                        push_once(&mut self.uses[*held].part_of, at);
                    }
                });
            }
        }
    }

    fn note(&mut self, ty: &Type, at: At, list: impl Fn(&mut Uses) -> &mut Vec<At>) {
        ty.walk(&mut |part| {
            if let Type::Ref(name) = part
                && let Some(definition) = self.definitions.get(&**name)
            {
                push_once(list(&mut self.uses[*definition]), at);
            }
        });
    }

    fn carried_objects(&self, ty: &'a Type) -> Vec<usize> {
        let object = |part: &Type| match part {
            Type::Object(name) => self.services.get(&**name).copied(),
            _ => None,
        };
        self.carried(ty).into_iter().filter_map(object).collect()
    }

    fn note_flows(&mut self) {
        for flow in self.description.flows.iter().filter(|flow| !is_plain(&flow.ty)) {
            for source in &flow.from {
                if let Some(at) = self.method_at(&source.service, &source.method) {
                    self.flows[at.service][at.method].leads_to.push((&source.path, flow));
                }
            }
            for sink in &flow.into {
                let Sink::Argument { service, method, argument } = sink else { continue };
                if let Some(at) = self.method_at(service, method) {
                    self.flows[at.service][at.method].built_on.push((argument, flow));
                }
            }
        }
    }

    /// Fills `depths` and `ways`: walks from the root services, one object further each round.
    fn note_depths(&mut self) {
        let services = &self.description.services;
        let mut next: Vec<usize> = (0..services.len()).filter(|at| services[*at].is_root).collect();
        for at in &next {
            self.depths[*at] = Some(0);
        }
        let mut depth = 0;
        while !next.is_empty() {
            depth += 1;
            let mut further = Vec::new();
            for service in std::mem::take(&mut next) {
                for (method, known) in services[service].methods.iter().enumerate() {
                    let values =
                        known.arguments.iter().map(|argument| &argument.value).chain([&known.result]);
                    let objects: Vec<usize> =
                        values.flat_map(|value| self.carried_objects(&value.ty)).collect();
                    for object in objects {
                        if self.depths[object].is_none() {
                            self.depths[object] = Some(depth);
                            self.ways[object] = Some(At { service, method });
                            further.push(object);
                        }
                    }
                }
            }
            next = further;
        }
    }
}

/// Adds an item unless it is the last one. Lists grow in the order of methods and types, so a duplicate is always the last item.
fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.last() != Some(&item) {
        list.push(item);
    }
}

/// The variants of an error type, if it is an enum.
pub(super) fn variants(definition: &TypeDefinition) -> &[crate::description::Variant] {
    match &definition.shape {
        Shape::Enum(variants) => variants,
        _ => &[],
    }
}

/// The named fields of a variant.
pub(super) fn fields(content: &Content) -> &[crate::description::Field] {
    match content {
        Content::Struct(fields) => fields,
        _ => &[],
    }
}
