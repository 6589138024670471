//! The model of `#[rpc(batch = "…")]`: finds the batch method of a method and checks its signature.

use quote::ToTokens;
use syn::{GenericArgument, LitStr, PathArguments, Type, ext::IdentExt};

use crate::{
    errors::Errors,
    model::{Item, Method, ParameterKind, Service, result_parts},
    text::readable,
};

/// The method that answers many calls at once.
pub(crate) struct Batch {
    /// The index of the batch method among the trait's items.
    item: usize,
    pub(crate) answers: Answers,
}

/// The kind of result that a batch method returns for calls of a method.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    /// `Vec<Result<T, E>>` for `Result<T, E>`.
    Each,
    /// `Result<Vec<Result<T, E>>, E>` for `Result<T, E>`.
    EachOrNone,
    /// `Vec<T>` for `T`.
    Values,
    /// `()` for `()`.
    Nothing,
}

impl Batch {
    /// The batch method.
    pub(crate) fn method<'a>(&self, service: &'a Service) -> Option<&'a Method> {
        service.items.get(self.item).and_then(Item::method)
    }
}

/// Finds the batch method of `method`, and reports every mismatch of the two signatures.
pub(crate) fn find(service: &Service, method: &Method, errors: &mut Errors) -> Option<Batch> {
    let name = method.batch_name.as_ref()?;
    let before = errors.len();
    let (ident, text) = (&method.ident, method_name(name));
    if method.arguments().next().is_none() {
        let message = format_args!("`{ident}` has no arguments, so its calls are all alike; remove `batch`");
        errors.push(name, message);
        return None;
    }
    if ident.unraw() == text {
        errors.push(name, format_args!("`{ident}` cannot be its own batch method; name another"));
        return None;
    }
    let (item, target) = find_method(service, method, name, errors)?;
    check_options(method, target, errors);
    check_arguments(method, target, errors);
    let answers = check_output(method, target, errors);
    (errors.len() == before).then_some(Batch { item, answers: answers? })
}

fn find_method<'a>(
    service: &'a Service,
    method: &Method,
    name: &LitStr,
    errors: &mut Errors,
) -> Option<(usize, &'a Method)> {
    let text = method_name(name);
    let named = service.items.iter().enumerate().filter(|(_, item)| item.is_named(&text));
    let named: Vec<(usize, &Item)> = named.collect();
    let conditions = |method: &Method| method.conditions().iter().map(readable).collect::<Vec<_>>();
    let present = named
        .iter()
        .filter_map(|(item, named)| Some((*item, named.method()?)))
        .find(|(_, other)| conditions(other).is_empty() || conditions(other) == conditions(method));
    if present.is_some() {
        return present;
    }
    if named.is_empty() {
        errors
            .push(name, format_args!("the trait has no method `{text}`; write `{}`", wanted(method, &text)));
    } else if named.iter().any(|(_, named)| named.method().is_some()) {
        let message = format_args!("`{text}` is conditional; put the same `cfg` on `{}`", method.ident);
        errors.push(name, message);
    }
    // A refused method was already reported.
    None
}

/// The name without `r#`.
fn method_name(name: &LitStr) -> String {
    let name = name.value();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

fn check_options(method: &Method, target: &Method, errors: &mut Errors) {
    for blocking in [method, target].into_iter().filter(|method| method.blocking) {
        errors.push(
            &blocking.ident,
            "a batch starts inside its session and cannot be `blocking`; remove it, and leave what blocks to a thread \
             of its own inside the batch method",
        );
    }
    if method.takes_context() && !target.takes_context() {
        errors.push(
            &target.ident,
            format_args!(
                "`{}` takes a context, and its batches would have none; add `#[rpc(context)] context: Context`",
                method.ident
            ),
        );
    }
}

fn check_arguments(method: &Method, target: &Method, errors: &mut Errors) {
    let due = arguments_type(method);
    let mut arguments = target.arguments();
    match (arguments.next(), arguments.next()) {
        (Some(argument), None) if vec_element(&argument.ty).is_some_and(|ty| is_due(method, ty)) => {}
        (Some(argument), None) => errors.push(
            &argument.ty,
            format_args!("the arguments of all calls of `{}` are due; write `{due}`", method.ident),
        ),
        _ => errors.push(
            &target.ident,
            format_args!(
                "a batch method takes the arguments of all calls of `{}` as one; write `{}: {due}`",
                method.ident,
                arguments_name(method)
            ),
        ),
    }
}

/// Whether this type is the one that holds the arguments of one call.
fn is_due(method: &Method, ty: &Type) -> bool {
    readable(ty) == argument_type(method)
}

fn check_output(method: &Method, target: &Method, errors: &mut Errors) -> Option<Answers> {
    let (output, declared) = (&method.output, &target.output.declared);
    let is = |one: &Type, other: &Type| readable(one) == readable(other);
    let is_each = |ty: &Type| match (vec_element(ty), &output.error) {
        (Some(element), Some(error)) => {
            matches!(result_parts(element), Some(Ok((value, other))) if is(&value, &output.value) && is(&other, error))
        }
        _ => false,
    };
    let answers = match &output.error {
        None if is_unit(&output.value) => is_unit(declared).then_some(Answers::Nothing),
        None => {
            vec_element(declared).is_some_and(|element| is(element, &output.value)).then_some(Answers::Values)
        }
        Some(_) if is_each(declared) => Some(Answers::Each),
        Some(error) => match &target.output.error {
            Some(whole) if is(whole, error) && is_each(&target.output.value) => Some(Answers::EachOrNone),
            _ => None,
        },
    };
    if answers.is_some() {
        return answers;
    }
    let at = if is_unit(declared) { target.ident.to_token_stream() } else { declared.to_token_stream() };
    let message = if is_unit(&output.declared) {
        format!("`{}` returns nothing, so its batch method returns nothing; remove the result", method.ident)
    } else {
        let whole = output.error.as_ref().map(|error| {
            format!(", or `Result<{}, {}>` if it may fail as a whole", answers_type(method), readable(error))
        });
        let (due, whole) = (answers_type(method), whole.unwrap_or_default());
        format!("one result for each call of `{}` is due; write `{due}`{whole}", method.ident)
    };
    errors.push(at, message);
    None
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The `T` of a type written as `Vec<T>`.
fn vec_element(ty: &Type) -> Option<&Type> {
    let path = match ty {
        Type::Group(group) => return vec_element(&group.elem),
        Type::Paren(paren) => return vec_element(&paren.elem),
        Type::Path(path) if path.qself.is_none() => path,
        _ => return None,
    };
    let last = path.path.segments.last().filter(|last| last.ident == "Vec")?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else { return None };
    match (generics.args.first(), generics.args.len()) {
        (Some(GenericArgument::Type(element)), 1) => Some(element),
        _ => None,
    }
}

/// Input: `async fn profile(&self, id: UserId) -> Result<User, ChatError>;`, `profiles`
/// Output: `async fn profiles(&self, ids: Vec<UserId>) -> Vec<Result<User, ChatError>>;`
fn wanted(method: &Method, name: &str) -> String {
    let context = if method.takes_context() { "#[rpc(context)] context: Context, " } else { "" };
    let result = if is_unit(&method.output.declared) {
        String::new()
    } else {
        format!(" -> {}", answers_type(method))
    };
    let (arguments, ty) = (arguments_name(method), arguments_type(method));
    format!("async fn {name}(&self, {context}{arguments}: {ty}){result};")
}

/// The type that holds the arguments of one call: the argument's type, or a tuple of all arguments' types.
fn argument_type(method: &Method) -> String {
    let types: Vec<String> = method.arguments().map(|argument| readable(&argument.ty)).collect();
    match &types[..] {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}

fn arguments_type(method: &Method) -> String {
    format!("Vec<{}>", argument_type(method))
}

fn arguments_name(method: &Method) -> String {
    let mut arguments = method.arguments();
    match (arguments.next(), arguments.next()) {
        (Some(one), None) => format!("{}s", one.ident.unraw()),
        _ => "calls".to_owned(),
    }
}

fn answers_type(method: &Method) -> String {
    format!("Vec<{}>", readable(&method.output.declared))
}

impl Method {
    /// Whether the handler gets a context.
    pub(crate) fn takes_context(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.kind != ParameterKind::Argument)
    }
}
