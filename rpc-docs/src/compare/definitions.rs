//! Finds changes of types, and the refused calls whose signatures contain them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, MethodName, Place, Refused, methods::Changes};
use crate::description::{Content, Description, Field, Method, Shape, Type, TypeDefinition, Variant};

pub(super) fn changes(old: &Description, new: &Description, refused: &[Refused]) -> Vec<Change> {
    let mut all = Vec::new();
    let users = [users(old, refused), users(new, refused)];
    for definition in &old.types {
        let mut changes = Changes::default();
        match new.definition(&definition.name) {
            Some(now) => changes.definition(definition, now),
            None => changes.add(Place::Type(definition.name.clone()), "the type is no longer used"),
        }
        all.extend(changes.0);
    }
    for definition in new.types.iter().filter(|definition| old.definition(&definition.name).is_none()) {
        let place = Place::Type(definition.name.clone());
        all.push(Change { place, what: "the type is new".into(), refused: Vec::new() });
    }
    for change in &mut all {
        if let Place::Type(name) = &change.place {
            let methods: BTreeSet<&MethodName> =
                users.iter().filter_map(|users| users.get(name)).flatten().collect();
            change.refused = methods.into_iter().cloned().collect();
        }
    }
    all
}

/// The refused methods by the types in their signatures.
fn users(description: &Description, refused: &[Refused]) -> BTreeMap<String, BTreeSet<MethodName>> {
    let mut users: BTreeMap<String, BTreeSet<MethodName>> = BTreeMap::new();
    let names: BTreeSet<&MethodName> = refused.iter().map(|refused| &refused.method).collect();
    for name in names {
        let method = description.service(&name.service).and_then(|service| service.method(&name.method));
        for ty in method.map(|method| types_in(description, method)).unwrap_or_default() {
            users.entry(ty.to_owned()).or_default().insert(name.clone());
        }
    }
    users
}

/// The names of all types in a method's signature, nested ones included.
fn types_in<'a>(description: &'a Description, method: &'a Method) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let values = method.arguments.iter().map(|argument| &argument.value);
    let mut open: Vec<&Type> =
        values.chain([&method.result]).chain(&method.error).map(|value| &value.ty).collect();
    while let Some(ty) = open.pop() {
        open.extend(ty.parts());
        if let Type::Ref(name) = ty
            && names.insert(&**name)
        {
            open.extend(description.definition(name).into_iter().flat_map(|known| known.shape.parts()));
        }
    }
    names
}

impl Changes {
    fn definition(&mut self, old: &TypeDefinition, new: &TypeDefinition) {
        let place = || Place::Type(old.name.clone());
        self.rewritten(place(), "doc comment", &old.docs, &new.docs);
        self.deprecated(place(), "it", old.deprecated.as_deref(), new.deprecated.as_deref());
        if old.schema != new.schema {
            self.add(place(), "its own JSON schema differs");
        }
        if old.json != new.json {
            self.add(place(), "it looks otherwise in JSON");
        }
        match (&old.shape, &new.shape) {
            (Shape::Struct(old), Shape::Struct(new)) => self.fields(&place(), "", old, new),
            (Shape::Enum(old), Shape::Enum(new)) => self.variants(&place(), old, new),
            (Shape::Newtype(old), Shape::Newtype(new)) if old != new => {
                self.add(place(), format!("it wrapped {} and wraps {}", words(old), words(new)));
            }
            (Shape::Tuple(old), Shape::Tuple(new)) if old != new => {
                self.add(place(), format!("it held {} and holds {}", list(old), list(new)));
            }
            (old, new) if old != new => {
                self.add(place(), format!("it was {} and is {}", kind(old), kind(new)));
            }
            _ => {}
        }
    }

    fn fields(&mut self, place: &Place, of: &str, old: &[Field], new: &[Field]) {
        let positions = [old, new].map(|fields| positions(fields.iter().map(|field| &*field.name)));
        let [in_old, in_new] = positions.each_ref().map(|known| |name: &str| known.get(name).copied());
        let is_rename = |was: &Field, is: &Field| {
            was.ty == is.ty && in_new(&was.name).is_none() && in_old(&is.name).is_none()
        };
        for (index, was) in old.iter().enumerate() {
            let name = &was.name;
            match (in_new(name), new.get(index).filter(|is| is_rename(was, is))) {
                (Some(is), _) => self.field(place, of, was, &new[is]),
                (None, Some(is)) => {
                    self.add(place.clone(), format!("{of}the field `{name}` is now called `{}`", is.name));
                }
                (None, None) => self.add(place.clone(), format!("{of}the field `{name}` is gone")),
            }
        }
        for (index, is) in new.iter().enumerate() {
            let is_renamed = old.get(index).is_some_and(|was| is_rename(was, is));
            if !is_renamed && in_old(&is.name).is_none() {
                let default = if is.has_default { ", with a default" } else { "" };
                self.add(
                    place.clone(),
                    format!("{of}the field `{}: {}` is new{default}", is.name, is.ty.to_rust()),
                );
            }
        }
        let common: Vec<usize> = old.iter().filter_map(|was| in_new(&was.name)).collect();
        if !common.is_sorted() {
            self.add(place.clone(), format!("{of}the fields are in another order"));
        }
    }

    fn field(&mut self, place: &Place, of: &str, old: &Field, new: &Field) {
        let noun = format!("{of}the field `{}`", old.name);
        if old.ty != new.ty {
            self.add(place.clone(), format!("{noun} was {} and is {}", words(&old.ty), words(&new.ty)));
        }
        self.renamed(place, &noun, &old.rust_name, &new.rust_name);
        if old.is_opaque != new.is_opaque {
            self.add(place.clone(), format!("{noun} is encoded otherwise"));
        }
        match (old.has_default, new.has_default) {
            (false, true) => self.add(place.clone(), format!("{noun} has a default")),
            (true, false) => self.add(place.clone(), format!("{noun} has no default any more")),
            _ => {}
        }
        self.aliases(place, &noun, &old.aliases, &new.aliases);
        if old.docs != new.docs {
            self.add(place.clone(), format!("the doc comment of {noun} was rewritten"));
        }
        self.deprecated(place.clone(), &noun, old.deprecated.as_deref(), new.deprecated.as_deref());
    }

    /// Adds the change of a Rust name, which does not travel.
    fn renamed(&mut self, place: &Place, noun: &str, old: &Option<String>, new: &Option<String>) {
        match new {
            _ if old == new => {}
            Some(new) => self.add(place.clone(), format!("{noun} is called `{new}` in the code")),
            None => self.add(place.clone(), format!("{noun} is called so in the code, too")),
        }
    }

    fn aliases(&mut self, place: &Place, noun: &str, old: &[String], new: &[String]) {
        for alias in new.iter().filter(|alias| !old.contains(alias)) {
            self.add(place.clone(), format!("{noun} is read as `{alias}` too, where names are read"));
        }
        for alias in old.iter().filter(|alias| !new.contains(alias)) {
            self.add(place.clone(), format!("{noun} is no longer read as `{alias}`"));
        }
    }

    fn variants(&mut self, place: &Place, old: &[Variant], new: &[Variant]) {
        let positions = [old, new].map(|variants| positions(variants.iter().map(|variant| &*variant.name)));
        let [in_old, in_new] = positions.each_ref().map(|known| |name: &str| known.get(name).copied());
        let is_rename = |was: &Variant, is: &Variant| {
            was.content == is.content && in_new(&was.name).is_none() && in_old(&is.name).is_none()
        };
        for (index, was) in old.iter().enumerate() {
            let name = &was.name;
            match (in_new(name), new.get(index).filter(|is| is_rename(was, is))) {
                (Some(is), _) => self.variant(place, was, &new[is]),
                (None, Some(is)) => {
                    self.add(place.clone(), format!("the variant `{name}` is now called `{}`", is.name));
                }
                (None, None) => self.add(place.clone(), format!("the variant `{name}` is gone")),
            }
        }
        for (index, is) in new.iter().enumerate() {
            let is_renamed = old.get(index).is_some_and(|was| is_rename(was, is));
            if !is_renamed && in_old(&is.name).is_none() {
                self.add(place.clone(), format!("the variant `{}` is new", is.name));
            }
        }
        let common: Vec<usize> = old.iter().filter_map(|was| in_new(&was.name)).collect();
        if !common.is_sorted() {
            self.add(place.clone(), "the variants are in another order");
        }
    }

    fn variant(&mut self, place: &Place, old: &Variant, new: &Variant) {
        let noun = format!("the variant `{}`", old.name);
        match (&old.content, &new.content) {
            (Content::Struct(fields), Content::Struct(now)) => {
                self.fields(place, &format!("in `{}` ", old.name), fields, now);
            }
            (was, is) if was != is => {
                self.add(place.clone(), format!("{noun} held {} and holds {}", content(was), content(is)));
            }
            _ => {}
        }
        self.renamed(place, &noun, &old.rust_name, &new.rust_name);
        if old.is_other != new.is_other {
            self.add(place.clone(), format!("{noun} stands for others, or no longer does"));
        }
        self.aliases(place, &noun, &old.aliases, &new.aliases);
        if (&old.docs, &old.message) != (&new.docs, &new.message) {
            self.add(place.clone(), format!("the meaning of {noun} was rewritten"));
        }
        self.deprecated(place.clone(), &noun, old.deprecated.as_deref(), new.deprecated.as_deref());
    }
}

/// The first position of each name.
fn positions<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut positions = BTreeMap::new();
    for (position, name) in names.enumerate() {
        positions.entry(name).or_insert(position);
    }
    positions
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Newtype(inner) => format!("a wrapper of {}", words(inner)),
        Shape::Unit => "a struct without fields".into(),
        Shape::Tuple(_) => "a tuple struct".into(),
        Shape::Struct(_) => "a struct".into(),
        Shape::Enum(_) => "an enum".into(),
        Shape::Opaque { reads: Some(reads) } => format!("an opaque type that reads {}", words(reads)),
        Shape::Opaque { reads: None } => "an opaque type".into(),
        Shape::Never => "a type without values".into(),
        Shape::Unknown(_) => "a type that could not be looked at".into(),
    }
}

fn content(content: &Content) -> String {
    match content {
        Content::Unit => "nothing".into(),
        Content::Newtype(inner) => words(inner),
        Content::Tuple(elements) => list(elements),
        Content::Struct(fields) => {
            let names: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            names.join(", ")
        }
        Content::Unreadable => "what cannot be sent".into(),
    }
}

fn list(types: &[Type]) -> String {
    types.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// A type as it would be written in Rust, in back-ticks.
fn words(ty: &Type) -> String {
    format!("`{}`", ty.to_rust())
}
