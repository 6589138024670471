//! The errors of methods: one entry for each variant, shared by all methods with the error type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    description::{Content, Description, Shape, Type, TypeDefinition, Variant},
    json::{self, Seen},
    json_schema::Schemas,
    names::{Taken, identifier},
    prose::{clipped, summary},
};

/// The maximum length of a message; OpenRPC asks for one sentence.
const MESSAGE_CHARACTERS_MAX: usize = 200;

/// The error types of methods, with the names of their errors in the components.
pub(super) struct Errors<'a> {
    description: &'a Description,
    types: BTreeMap<&'a str, Vec<Named<'a>>>,
}

struct Named<'a> {
    key: String,
    code: usize,
    error: Failing<'a>,
}

enum Failing<'a> {
    Variant(&'a Variant),
    Whole(&'a TypeDefinition),
}

impl<'a> Errors<'a> {
    pub(super) fn of(description: &'a Description) -> Self {
        let mut taken = Taken::none();
        let mut types = BTreeMap::new();
        let methods = description.services.iter().flat_map(|service| &service.methods);
        for error in methods.filter_map(|method| method.error.as_ref()) {
            let Type::Ref(name) = &error.ty else { continue };
            if types.contains_key(&**name) {
                continue;
            }
            let Some(definition) = description.definition(name) else { continue };
            types.insert(&**name, entries(description, definition, &mut taken));
        }
        Self { description, types }
    }

    /// All errors of types with a name.
    pub(super) fn components(&self, schemas: &Schemas<'_>) -> Map<String, Value> {
        self.types.values().flatten().map(|named| (named.key.clone(), entry(named, schemas))).collect()
    }

    /// The errors of a method that fails with this type.
    pub(super) fn of_method(&self, schemas: &Schemas<'_>, ty: &Type) -> Value {
        match ty {
            Type::Ref(name) => {
                let named = self.types.get(&**name).into_iter().flatten();
                named.map(|named| json!({"$ref": format!("#/components/errors/{}", named.key)})).collect()
            }
            Type::Unit => json!([{"code": 1, "message": "the method failed"}]),
            other if matches!(json::seen(self.description, other), Seen::Shape(Shape::Never)) => json!([]),
            other => {
                json!([{"code": 1, "message": "the method failed", "data": {"schema": schemas.of(other)}}])
            }
        }
    }
}

fn entries<'a>(
    description: &'a Description,
    definition: &'a TypeDefinition,
    taken: &mut Taken,
) -> Vec<Named<'a>> {
    // The errors of a newtype are those of the type in it.
    let seen = match (&definition.json, &definition.shape) {
        (None, Shape::Newtype(inner)) => json::seen(description, inner),
        (Some(json), _) => json::seen(description, json),
        (None, shape) => Seen::Shape(shape),
    };
    let variants = match seen {
        Seen::Shape(Shape::Never) => return Vec::new(),
        Seen::Shape(Shape::Enum(variants)) => variants,
        _ => {
            let key = taken.name(&identifier(&definition.name));
            return vec![Named { key, code: 1, error: Failing::Whole(definition) }];
        }
    };
    let named = |(index, variant): (usize, &'a Variant)| Named {
        key: taken.name(&identifier(&format!("{}_{}", definition.name, variant.name))),
        code: index + 1,
        error: Failing::Variant(variant),
    };
    variants
        .iter()
        .enumerate()
        .filter(|(_, variant)| variant.content != Content::Unreadable)
        .map(named)
        .collect()
}

fn entry(named: &Named<'_>, schemas: &Schemas<'_>) -> Value {
    let (message, schema) = match &named.error {
        Failing::Variant(variant) => {
            let docs = summary(&variant.docs);
            let message = variant.message.clone().filter(|message| !message.is_empty());
            let message = message.or(Some(docs).filter(|docs| !docs.is_empty()));
            (message.unwrap_or_else(|| variant.name.clone()), schemas.variant(variant))
        }
        Failing::Whole(definition) => {
            let docs = summary(&definition.docs);
            let message = if docs.is_empty() { definition.name.clone() } else { docs };
            (message, schemas.of(&Type::Ref(definition.name.clone())))
        }
    };
    let message = clipped(&message, MESSAGE_CHARACTERS_MAX);
    json!({"code": named.code, "message": message, "data": {"schema": schema}})
}
