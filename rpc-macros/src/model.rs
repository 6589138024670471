//! The model of a trait under `#[rpc]`, which the renderers read.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, FnArg, GenericArgument, Generics, Ident, ItemTrait, LitStr, Pat, PatType, PathArguments,
    ReceiverKind, ReturnType, Safety, Signature, Token, TraitItem, TraitItemFn, Type, TypeParamBound,
    Visibility, ext::IdentExt, parse_quote, punctuated::Punctuated, spanned::Spanned,
};

use crate::{
    attributes::{self, Level, Options, Repeat, Runtime},
    batch::{self, Batch},
    errors::Errors,
    names::local,
    travel::{self, Role},
};

/// The maximum number of arguments of a call. The wire counts them in one byte; stubs do not check this again.
const ARGUMENTS_MAX: usize = 64;

/// One trait.
pub(crate) struct Service {
    pub(crate) runtime: Runtime,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) unsafety: Option<Token![unsafe]>,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) supertraits: Punctuated<TypeParamBound, Token![+]>,
    pub(crate) wire_name: String,
    pub(crate) ordered: bool,
    pub(crate) items: Vec<Item>,
}

/// One item of the trait.
pub(crate) enum Item {
    Method(Box<Method>),
    /// An item that cannot be called remotely, and was reported. It stays in the trait, so that implementations of the trait
    /// give no second error.
    Refused(Box<TraitItem>),
}

/// One remote method.
pub(crate) struct Method {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) wire_name: String,
    pub(crate) idempotent: bool,
    pub(crate) oneway: bool,
    pub(crate) blocking: bool,
    pub(crate) no_cancel: bool,
    /// The name of the batch method, as written.
    pub(crate) batch_name: Option<LitStr>,
    /// The batch method, if it was found and its signature fits.
    pub(crate) batch: Option<Batch>,
    /// The span of `async`: rustc's messages about the future point here.
    pub(crate) async_span: Span,
    pub(crate) receiver: TokenStream,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Output,
}

/// One parameter after `&self`.
pub(crate) struct Parameter {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) kind: ParameterKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    Argument,
    Context,
    ContextReference,
}

/// The return type of a method, and its parts.
pub(crate) struct Output {
    /// The type as written; `()` if there is none.
    pub(crate) declared: Type,
    /// The `T` of `Result<T, E>`, or the whole type.
    pub(crate) value: Type,
    /// The `E` of `Result<T, E>`.
    pub(crate) error: Option<Type>,
}

/// A number of methods, which is also the number of the next method. If one of them is conditional, only rustc knows the value.
#[derive(Clone, Default)]
pub(crate) struct Number {
    unconditional: u32,
    conditional: Vec<Vec<Attribute>>,
}

impl Number {
    fn count(&mut self, method: &Method) {
        match method.conditions() {
            always if always.is_empty() => self.unconditional += 1,
            conditions => self.conditional.push(conditions),
        }
    }

    /// Whether the number can be written as a literal.
    pub(crate) fn is_literal(&self) -> bool {
        self.conditional.is_empty()
    }

    /// Input: the fourth method, with `#[cfg(unix)]` on one before it.
    /// Output: `{ let number = 2u32; #[cfg(unix)] let number = number + 1u32; number }`; `3u32` without the `cfg`.
    pub(crate) fn render(&self) -> TokenStream {
        let unconditional = self.unconditional;
        if self.is_literal() {
            return quote!(#unconditional);
        }
        let number = local("number");
        let conditional = &self.conditional;
        quote!({
            let #number = #unconditional;
            #(#(#conditional)* let #number = #number + 1u32;)*
            #number
        })
    }
}

impl Service {
    /// Reads a trait, and reports everything in it that cannot be called remotely.
    pub(crate) fn parse(options: Options, item: ItemTrait, errors: &mut Errors) -> Self {
        check_header(&item, errors);
        let ItemTrait { mut attrs, vis, unsafety, ident, generics, supertraits, items, .. } = item;
        outer(&mut attrs);
        // Only attributes of other frameworks are left here: `#[rpc]` itself has been read.
        attributes::take_foreign(&mut attrs, errors);
        let items: Vec<Item> = items.into_iter().map(|item| Item::parse(item, errors)).collect();
        Self {
            wire_name: options.name.as_ref().map_or_else(|| ident.unraw().to_string(), |name| name.value()),
            ordered: options.has("ordered"),
            runtime: options.runtime,
            attributes: attrs,
            visibility: vis,
            unsafety,
            ident,
            generics,
            supertraits,
            items,
        }
        .without_namesakes(errors)
        .with_distinct_names(errors)
        .with_batches(errors)
    }

    /// Whether a client and a server can be rendered for the trait: it has no generics.
    pub(crate) fn is_plain(&self) -> bool {
        self.generics.params.is_empty() && self.generics.where_clause.is_none()
    }

    /// The remote methods.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.items.iter().filter_map(Item::method)
    }

    /// The remote methods and their numbers.
    pub(crate) fn numbered_methods(&self) -> impl Iterator<Item = (Number, &Method)> {
        let mut next = Number::default();
        self.methods().map(move |method| {
            let number = next.clone();
            next.count(method);
            (number, method)
        })
    }

    /// The number of remote methods.
    pub(crate) fn method_count(&self) -> Number {
        let mut count = Number::default();
        self.methods().for_each(|method| count.count(method));
        count
    }

    /// `ChatClient` for `Chat` and `Client`.
    pub(crate) fn named(&self, suffix: &str) -> Ident {
        Ident::new(&format!("{}{suffix}", self.ident.unraw()), self.ident.span())
    }

    /// The attributes that decide whether the trait, and with it everything generated, exists.
    pub(crate) fn conditions(&self) -> Vec<Attribute> {
        attributes::repeated(&self.attributes, Repeat::Conditions)
    }

    /// Removes methods that have the name of one before them, and reports each.
    fn without_namesakes(mut self, errors: &mut Errors) -> Self {
        let mut known: Vec<Ident> = Vec::new();
        self.items.retain(|item| {
            let Some(method) = item.method().filter(|method| method.conditions().is_empty()) else {
                return true;
            };
            let is_new = known.iter().all(|known| known.unraw() != method.ident.unraw());
            if is_new {
                known.push(method.ident.clone());
            } else {
                let message = format_args!("there are two methods `{}`; give one another name", method.ident);
                errors.push(&method.ident, message);
            }
            is_new
        });
        self
    }

    fn with_distinct_names(self, errors: &mut Errors) -> Self {
        let mut known: Vec<&Method> = Vec::new();
        for method in self.methods() {
            // Two conditional methods may be each other's replacement.
            let clash = known.iter().find(|other| {
                other.wire_name == method.wire_name
                    && (method.conditions().is_empty() || other.conditions().is_empty())
            });
            if let Some(other) = clash {
                errors.push(
                    &method.ident,
                    format_args!(
                        "`{}` and `{}` are both `{}` on the wire; give one another name with `#[rpc(name = \"…\")]`",
                        other.ident, method.ident, method.wire_name
                    ),
                );
            }
            known.push(method);
        }
        self
    }

    fn with_batches(mut self, errors: &mut Errors) -> Self {
        let find = |item: &Item| item.method().and_then(|method| batch::find(&self, method, errors));
        let batches: Vec<Option<Batch>> = self.items.iter().map(find).collect();
        for (item, batch) in self.items.iter_mut().zip(batches) {
            if let Item::Method(method) = item {
                method.batch = batch;
            }
        }
        self
    }
}

fn check_header(item: &ItemTrait, errors: &mut Errors) {
    if let Some(unsafety) = &item.unsafety {
        errors.push(unsafety, "a remote trait is a safe one: the other side proves nothing; remove `unsafe`");
    }
    if let Some(auto) = &item.modifiers.auto_token {
        errors.push(auto, "an auto trait has no methods to call; remove `auto`");
    }
    if !item.generics.params.is_empty() {
        errors.push(
            &item.generics,
            "a remote trait cannot be generic: its name on the wire stands for one set of types; write one trait \
             for each, or name the types",
        );
    }
    if let Some(clause) = &item.generics.where_clause {
        errors.push(clause, "a remote trait cannot have a where clause; write bounds as `trait Name: Bound`");
    }
}

impl Item {
    /// The remote method, if the item is one.
    pub(crate) fn method(&self) -> Option<&Method> {
        match self {
            Self::Method(method) => Some(method),
            Self::Refused(_) => None,
        }
    }

    /// Whether the item is a function of this name without `r#`, refused or not.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        match self {
            Self::Method(method) => method.ident.unraw() == name,
            Self::Refused(item) => {
                matches!(&**item, TraitItem::Fn(function) if function.sig.ident.unraw() == name)
            }
        }
    }

    fn parse(item: TraitItem, errors: &mut Errors) -> Self {
        match item {
            TraitItem::Fn(function) => Self::parse_fn(function, errors),
            other => {
                let message = match &other {
                    TraitItem::Type(_) => {
                        "a remote trait has methods only; name the type in their signatures"
                    }
                    TraitItem::Const(_) => "a remote trait has methods only; return the constant from one",
                    _ => "a remote trait has methods only, written out; a macro's are not seen",
                };
                errors.push(&other, message);
                Self::Refused(Box::new(other))
            }
        }
    }

    fn parse_fn(mut function: TraitItemFn, errors: &mut Errors) -> Self {
        outer(&mut function.attrs);
        let options = attributes::take_rpc(&mut function.attrs, Level::Method, errors);
        let before = errors.len();
        if function.sig.generics.lifetimes().any(|lifetime| lifetime.lifetime.ident == "async_trait") {
            errors.push(&function.sig.ident, attributes::ASYNC_TRAIT);
            return Self::Refused(Box::new(TraitItem::Fn(function)));
        }
        check_signature(&function, errors);
        let parameters = parse_parameters(&mut function.sig.inputs, errors);
        let output = parse_output(&function.sig.output, options.has("oneway"), errors);
        if errors.len() != before {
            return Self::Refused(Box::new(TraitItem::Fn(harmless(function))));
        }
        let TraitItemFn { attrs, sig: Signature { asyncness, ident, inputs, .. }, .. } = function;
        Self::Method(Box::new(Method {
            wire_name: options.name.as_ref().map_or_else(|| ident.unraw().to_string(), |name| name.value()),
            idempotent: options.has("idempotent"),
            oneway: options.has("oneway"),
            blocking: options.has("blocking"),
            no_cancel: options.has("no_cancel"),
            batch_name: options.batch,
            batch: None,
            attributes: attrs,
            async_span: asyncness.map_or_else(|| ident.span(), |token| token.span),
            receiver: inputs.first().map(|receiver| quote!(#receiver)).unwrap_or_default(),
            ident,
            parameters,
            output,
        }))
    }
}

fn check_signature(function: &TraitItemFn, errors: &mut Errors) {
    let Signature { constness, asyncness, safety, abi, fn_token, ident, generics, inputs, variadic, .. } =
        &function.sig;
    if let Some(constness) = constness {
        errors.push(constness, "a remote method cannot be `const`; remove it");
    }
    if let Safety::Unsafe(token) = safety {
        errors.push(token, "a remote method cannot be `unsafe`: the other side proves nothing; remove it");
    }
    if let Some(abi) = abi {
        errors.push(abi, "a remote method has no ABI; remove it");
    }
    if asyncness.is_none() {
        errors.push(
            quote!(#fn_token #ident),
            format_args!("a remote method takes a round trip; write `async fn {ident}`"),
        );
    }
    if !generics.params.is_empty() {
        let message = "a remote method cannot be generic: both sides must know its types; name the types and let \
                       lifetimes go";
        errors.push(generics, message);
    }
    if let Some(clause) = &generics.where_clause {
        errors.push(clause, "a remote method cannot have a where clause; name the types instead");
    }
    match inputs.first() {
        Some(FnArg::Receiver(receiver)) => match &receiver.kind {
            ReceiverKind::Reference(_, None, None) if receiver.mutability.is_none() => {}
            _ => errors.push(receiver, "many calls run at once; write `&self` and lock inside what changes"),
        },
        _ => {
            errors.push(ident, "a remote method is called on something; write `&self` as its first parameter")
        }
    }
    if let Some(variadic) = variadic {
        errors.push(variadic, "a remote method takes a fixed number of arguments; take a `Vec` instead");
    }
    if let Some(body) = &function.default {
        errors.push(body, "a remote method has no default body, which the client would never run; write `;`");
    }
}

fn parse_parameters(inputs: &mut Punctuated<FnArg, Token![,]>, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for input in inputs {
        let FnArg::Typed(typed) = input else { continue };
        let Some(parameter) = parse_parameter(typed, errors) else { continue };
        let is_argument = parameter.kind == ParameterKind::Argument;
        let same =
            parameters.iter().filter(|known| (known.kind == ParameterKind::Argument) == is_argument).count();
        if !is_argument && same == 1 {
            errors.push(&*typed, "a call has one context; remove the second `#[rpc(context)]`");
        }
        if is_argument && same == ARGUMENTS_MAX {
            let message = format!("a call carries at most {ARGUMENTS_MAX} arguments; put some into a struct");
            errors.push(&*typed, message);
        }
        parameters.push(parameter);
    }
    parameters
}

/// Whether a type is written `Context`, `&Context` or `some::path::Context`.
fn is_context(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => is_context(&reference.elem),
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| last.ident == "Context" && last.arguments.is_none())
        }
        _ => false,
    }
}

fn parse_parameter(typed: &mut PatType, errors: &mut Errors) -> Option<Parameter> {
    let is_marked = typed.attrs.iter().any(|attribute| attribute.path().is_ident("rpc"));
    let options = attributes::take_rpc(&mut typed.attrs, Level::Parameter, errors);
    if let Some(condition) = typed.attrs.iter().find(|attribute| attributes::is_condition(attribute)) {
        errors.push(condition, "a parameter cannot be conditional; put the `cfg` on the method");
    }
    let kind = match (&*typed.ty, options.has("context")) {
        (ty, false) if !is_marked && is_context(ty) => {
            errors.push(ty, "a context does not travel; mark the parameter `#[rpc(context)]` (a type of your own needs another name)");
            ParameterKind::Context
        }
        (ty, false) => {
            travel::check(ty, Role::Argument, errors);
            ParameterKind::Argument
        }
        (Type::Reference(reference), true) => {
            if let Some(mutability) = &reference.mutability {
                errors.push(mutability, "the context is shared; write `Context` or `&Context`");
            }
            ParameterKind::ContextReference
        }
        (_, true) => ParameterKind::Context,
    };
    let ident = match &*typed.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() => {
            name.ident.clone()
        }
        pattern => {
            errors.push(pattern, "parameters need a plain name, like `id: u64`");
            return None;
        }
    };
    Some(Parameter { attributes: typed.attrs.clone(), ident, ty: (*typed.ty).clone(), kind })
}

fn parse_output(output: &ReturnType, oneway: bool, errors: &mut Errors) -> Output {
    let declared = match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let is_unit = matches!(&declared, Type::Tuple(tuple) if tuple.elems.is_empty());
    if oneway && !is_unit {
        errors.push(&declared, "nothing comes back from a one-way call; remove the result, or `oneway`");
    } else {
        travel::check(&declared, Role::Result, errors);
    }
    let (value, error) = match result_parts(&declared) {
        None => (declared.clone(), None),
        Some(Ok((value, error))) => (value, Some(error)),
        Some(Err(())) => {
            let message = "write `Result<T, E>`: the macro cannot see which error an alias of it hides";
            errors.push(&declared, message);
            (declared.clone(), None)
        }
    };
    Output { declared, value, error }
}

/// The `T` and `E` of a type written as a `Result`; `Err` if the path hides one of them.
pub(crate) fn result_parts(ty: &Type) -> Option<Result<(Type, Type), ()>> {
    let ty = match ty {
        Type::Group(group) => return result_parts(&group.elem),
        Type::Paren(paren) => return result_parts(&paren.elem),
        Type::Path(path) if path.qself.is_none() => path,
        _ => return None,
    };
    let last = ty.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else { return Some(Err(())) };
    let mut arguments = generics.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(value)), Some(GenericArgument::Type(error)), None) => {
            Some(Ok((value.clone(), error.clone())))
        }
        _ => Some(Err(())),
    }
}

impl Method {
    /// The parameters that travel, in order.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Argument)
    }

    /// The attributes that decide whether the method exists.
    pub(crate) fn conditions(&self) -> Vec<Attribute> {
        attributes::repeated(&self.attributes, Repeat::Conditions)
    }
}

/// A reported method without the parts that rustc would report again.
fn harmless(mut function: TraitItemFn) -> TraitItemFn {
    function.sig.constness = None;
    function.sig.variadic = None;
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(typed) = input {
            travel::put_clients(&mut typed.ty);
        }
    }
    if let ReturnType::Type(_, ty) = &mut function.sig.output {
        travel::put_clients(ty);
    }
    if function.default.is_none() {
        for input in &mut function.sig.inputs {
            if let FnArg::Typed(typed) = input
                && !matches!(&*typed.pat, Pat::Ident(name) if name.by_ref.is_none() && name.mutability.is_none())
            {
                *typed.pat =
                    Pat::Wild(syn::PatWild { attrs: Vec::new(), underscore_token: Token![_](typed.span()) });
            }
        }
    }
    function.attrs.push(parse_quote!(#[allow(async_fn_in_trait)]));
    function
}

/// Turns inner attributes (`#![…]`) into outer ones.
fn outer(attributes: &mut [Attribute]) {
    for attribute in attributes {
        attribute.style = syn::AttrStyle::Outer;
    }
}
