//! The model of a type under `#[derive(Pipeline)]`: its parts and their positions for serde.

use syn::{
    Attribute, Data, DataEnum, DeriveInput, Fields, GenericParam, Generics, Ident, Type, Visibility,
    ext::IdentExt, spanned::Spanned,
};

use super::serde::SerdeOptions;
use crate::{
    attributes::{Level, Options, Repeat, Runtime, repeated},
    errors::Errors,
};

/// One type whose promises get a pipe.
pub(crate) struct Piped {
    pub(crate) runtime: Runtime,
    pub(crate) visibility: Visibility,
    pub(crate) ident: Ident,
    /// The pipe's name.
    pub(crate) pipe: Ident,
    pub(crate) generics: Generics,
    pub(crate) shape: Shape,
}

pub(crate) enum Shape {
    Struct(Parts),
    Enum(Vec<Variant>),
}

/// The fields of a struct or variant.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) parts: Vec<Part>,
    /// Fields that travel, but not with the bytes of their type.
    pub(crate) opaque: Vec<String>,
}

/// One field of which a promise can be made.
pub(crate) struct Part {
    /// The author's docs and deprecation.
    pub(crate) surface: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) method: Ident,
    pub(crate) ty: Type,
    pub(crate) step: Step,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// A step into the field with this number for serde.
    Field(u32),
    /// No step: the struct is transparent.
    Same,
}

/// One variant that has fields.
pub(crate) struct Variant {
    pub(crate) surface: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) method: Ident,
    pub(crate) pipe: Ident,
    pub(crate) index: u32,
    pub(crate) parts: Parts,
}

impl Piped {
    /// Reads a type and reports the parts that have no fixed position. `None` if no pipe can be rendered for the type.
    pub(crate) fn parse(runtime: Runtime, input: DeriveInput, errors: &mut Errors) -> Option<Self> {
        let DeriveInput { attrs, vis, ident, generics, data } = input;
        let runtime = read_runtime(runtime, &attrs, errors);
        let container = SerdeOptions::read(&attrs);
        container.check_container(errors);
        for lifetime in generics.lifetimes() {
            errors.push(lifetime, "a promised value outlives its caller and cannot borrow; use owned types");
        }
        let shape = match data {
            Data::Struct(data) => Shape::Struct(parse_struct(&data.fields, &container, errors)),
            Data::Enum(data) => Shape::Enum(parse_enum(&ident, &vis, &data, errors)),
            Data::Union(data) => {
                errors.push(data.union_token, "serde cannot write a union; use an enum");
                return None;
            }
        };
        let has_lifetimes = generics.lifetimes().next().is_some();
        let pipe = named(&ident, "", "Pipe");
        (!has_lifetimes).then_some(Self { runtime, visibility: vis, ident, pipe, generics, shape })
    }

    /// The type parameters.
    pub(crate) fn type_parameters(&self) -> impl Iterator<Item = &Ident> {
        self.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Lifetime(_) | GenericParam::Const(_) => None,
        })
    }
}

fn read_runtime(default: Runtime, attributes: &[Attribute], errors: &mut Errors) -> Runtime {
    let mut options = Options::of(default);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("pipeline")) {
        match attribute.meta.require_list() {
            Ok(list) => options.read(Level::Type, list.tokens.clone(), errors),
            Err(_) => errors.push(attribute, "write `#[pipeline(crate = path::to::rpc_core)]`"),
        }
    }
    options.runtime
}

fn parse_struct(fields: &Fields, container: &SerdeOptions, errors: &mut Errors) -> Parts {
    let mut parts = parse_fields(fields, None, errors);
    if container.has("transparent") {
        // Like serde, takes the one field that is neither skipped nor a marker. More than one is serde's error.
        parts.parts.retain(|part| !is_marker(&part.ty));
        parts.parts.iter_mut().for_each(|part| part.step = Step::Same);
    }
    parts
}

/// Reads fields. `visibility` applies to all of them if it is given; otherwise each has its own.
fn parse_fields(fields: &Fields, visibility: Option<&Visibility>, errors: &mut Errors) -> Parts {
    let mut parts = Parts::default();
    let mut ordinal = 0;
    for (index, field) in fields.iter().enumerate() {
        let options = SerdeOptions::read(&field.attrs);
        options.check_field(errors);
        if options.is_skipped() {
            continue;
        }
        let step = Step::Field(ordinal);
        ordinal += 1;
        let method = field.ident.clone().unwrap_or_else(|| Ident::new(&format!("_{index}"), field.ty.span()));
        if options.is_opaque() {
            parts.opaque.push(method.unraw().to_string());
            continue;
        }
        parts.parts.push(Part {
            surface: repeated(&field.attrs, Repeat::Surface),
            visibility: visibility.unwrap_or(&field.vis).clone(),
            method,
            ty: field.ty.clone(),
            step,
        });
    }
    parts
}

fn parse_enum(ident: &Ident, visibility: &Visibility, data: &DataEnum, errors: &mut Errors) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    let mut skipped = None;
    for (index, variant) in (0..).zip(&data.variants) {
        let options = SerdeOptions::read(&variant.attrs);
        options.check_variant(errors);
        if options.is_skipped() {
            skipped.get_or_insert(options);
            continue;
        }
        if let Some(skipped) =
            skipped.take_if(|skipped| skipped.has("skip") || skipped.has("skip_deserializing"))
        {
            let message = "move skipped variants to the end: serde counts this one when it writes the variants after \
                           it and not when it reads them";
            errors.push(skipped.skip_tokens(), message);
        }
        let parts = parse_fields(&variant.fields, Some(visibility), errors);
        if options.is_opaque() || (parts.parts.is_empty() && parts.opaque.is_empty()) {
            continue;
        }
        let method = method_name(&variant.ident);
        if let Some(other) = variants.iter().find(|other| other.method == method) {
            errors.push(
                &variant.ident,
                format_args!(
                    "`{}` and `{}` would both be `{method}()`; rename one",
                    other.ident, variant.ident
                ),
            );
            continue;
        }
        variants.push(Variant {
            surface: repeated(&variant.attrs, Repeat::Surface),
            pipe: named(ident, &variant.ident.unraw().to_string(), "Pipe"),
            ident: variant.ident.clone(),
            method,
            index,
            parts,
        });
    }
    variants
}

/// `UserPipe` for `User`, `ShapeCirclePipe` for `Shape` and `Circle`.
fn named(ident: &Ident, variant: &str, suffix: &str) -> Ident {
    Ident::new(&format!("{}{variant}{suffix}", ident.unraw()), ident.span())
}

/// The variant's name in snake case: `HTTPServer2` becomes `http_server2`, `Type` becomes `r#type`.
fn method_name(variant: &Ident) -> Ident {
    let camel: Vec<char> = variant.unraw().to_string().chars().collect();
    let mut snake = String::new();
    for (index, letter) in camel.iter().enumerate() {
        let after_word = index > 0 && !camel[index - 1].is_uppercase() && camel[index - 1] != '_';
        let before_word = camel.get(index + 1).is_some_and(|next| next.is_lowercase());
        let starts_word = after_word || (before_word && index > 0 && camel[index - 1] != '_');
        if letter.is_uppercase() && starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    match snake.as_str() {
        // These keywords have no raw form.
        "self" | "super" | "crate" | "_" => Ident::new(&format!("{snake}_"), variant.span()),
        plain if syn::parse_str::<Ident>(plain).is_ok() => Ident::new(plain, variant.span()),
        keyword => Ident::new_raw(keyword, variant.span()),
    }
}

fn is_marker(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "PhantomData"),
        Type::Group(group) => is_marker(&group.elem),
        _ => false,
    }
}
