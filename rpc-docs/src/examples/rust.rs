//! Writes plans as Rust.

use super::{
    Given, Guide, Spoken,
    lines::arranged,
    parts::{is_keyword, rust_word},
    plan::{Expression, Plan, Statement},
};
use crate::{
    description::{Argument, Content, Method, Service, Shape, Side, Type, Value},
    typescript::Words,
};

/// The maximum depth of newtypes that are written out.
const DEPTH_MAX: usize = 4;

pub(super) fn speak(guide: &Guide<'_>, plan: &Plan<'_>) -> Spoken {
    let mut speaker = Speaker { guide, words: plan.words.clone(), given: Vec::new() };
    let roots =
        plan.roots.iter().map(|(service, name)| (name.clone(), format!("&{}", client(service)))).collect();
    let statements: Vec<String> =
        plan.statements.iter().map(|statement| arranged(&speaker.statement(statement))).collect();
    Spoken { text: statements.join("\n"), roots, given: speaker.given }
}

/// The name of a service's client type.
pub(super) fn client(service: &Service) -> String {
    format!("{}Client", service.trait_name())
}

/// The name of the implementation of a service in examples.
pub(super) fn implementation(service: &Service) -> String {
    format!("My{}", service.trait_name())
}

struct Speaker<'a> {
    guide: &'a Guide<'a>,
    words: Words,
    given: Vec<Given>,
}

impl Speaker<'_> {
    fn statement(&mut self, statement: &Statement<'_>) -> String {
        match statement {
            Statement::Keep { name, promise } => format!("let {name} = {};", self.expression(promise)),
            Statement::Await { name: Some(name), promise } => {
                format!("let {name} = {}.await?;", self.expression(promise))
            }
            Statement::Await { name: None, promise } => format!("{}.await?;", self.expression(promise)),
            Statement::Together { names: [one, two], promises: [first, second] } => {
                let (first, second) = (self.expression(first), self.expression(second));
                format!("let ({one}, {two}) = rpc_client::join!({first}, {second});")
            }
            Statement::Send(call) => format!("{}?;", self.expression(call)),
            Statement::Read { name, item, promise } => format!(
                "let mut {name} = {}.await?;\nwhile let Some({item}) = {name}.next().await {{\n    let {item} = {item}?;\n}}",
                self.expression(promise)
            ),
            Statement::Implement { service, .. } => implement(service),
        }
    }

    fn expression(&mut self, expression: &Expression<'_>) -> String {
        match expression {
            Expression::Variable(name) => name.clone(),
            Expression::Call { on, method, arguments } => {
                let on = self.expression(on);
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| self.expression(argument)).collect();
                format!("{on}.{}({})", rust_word(method.trait_name()), arguments.join(", "))
            }
            Expression::Part { of, part } => format!("{}{}", self.expression(of), part.rust),
            Expression::Map { of, name, each } => {
                format!("{}.map(|{name}| {})", self.expression(of), self.expression(each))
            }
            Expression::Implementation { service, .. } => {
                format!("{}::local({})", client(service), implementation(service))
            }
            Expression::Value { value, name, long_name } => self.value(value, name, long_name),
        }
    }

    /// A made-up value, or an expected variable.
    fn value(&mut self, value: &Value, name: &str, long_name: &str) -> String {
        if let Some(made_up) = self.made_up(value, name) {
            return made_up;
        }
        let name = if is_keyword(name) { format!("{name}_") } else { name.to_owned() };
        let name = self.words.first_free(&[&name, long_name]);
        self.given.push(Given { name: name.clone(), parameter: value.rust.clone(), ty: value.rust.clone() });
        name
    }

    fn made_up(&self, value: &Value, name: &str) -> Option<String> {
        let (ty, rust) = (&value.ty, &*value.rust);
        match ty {
            // Only plain names fix a literal's type: an alias or another type may have the same form.
            Type::String => (rust == "String").then(|| format!("{:?}", name.replace('_', " "))),
            Type::Option(_) => rust.starts_with("Option<").then(|| "None".into()),
            Type::List(_) => rust.starts_with("Vec<").then(|| "vec![]".into()),
            Type::Object(service) => {
                let service = self.guide.description.service(service)?;
                let is_ours = service.implemented_by == Side::Client && rust == client(service);
                is_ours.then(|| format!("{rust}::local({})", implementation(service)))
            }
            Type::Stream { item, error: None } => {
                let item_rust = rust.strip_prefix("Streaming<")?.strip_suffix('>')?;
                let item = Value { ty: (**item).clone(), rust: item_rust.to_owned() };
                Some(format!("Streaming::from_iter([{}])", self.owned(&item, name)?))
            }
            _ => self.owned(value, name),
        }
    }

    /// A made-up value of exactly this type, without conversion.
    fn owned(&self, value: &Value, name: &str) -> Option<String> {
        match &value.ty {
            Type::String => {
                (value.rust == "String").then(|| format!("{:?}.to_owned()", name.replace('_', " ")))
            }
            Type::Ref(reference) if *reference == value.rust => self.named(reference, name, DEPTH_MAX),
            Type::Unit => (value.rust == "()").then(|| "()".into()),
            other => {
                let (rust, literal) = plain(other)?;
                (value.rust == rust).then(|| literal.into())
            }
        }
    }

    /// A newtype or a variant without content, written out.
    fn named(&self, reference: &str, name: &str, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let is_plain = reference.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let definition = self.guide.description.definition(reference).filter(|_| is_plain)?;
        match &definition.shape {
            Shape::Newtype(Type::String) => Some(format!("{reference}({:?}.into())", name.replace('_', " "))),
            Shape::Newtype(Type::Ref(inner)) => {
                Some(format!("{reference}({})", self.named(inner, name, depth)?))
            }
            Shape::Newtype(inner) => Some(format!("{reference}({})", plain(inner)?.1)),
            Shape::Unit => Some(reference.to_owned()),
            Shape::Enum(variants) => {
                let unit = variants.iter().find(|variant| variant.content == Content::Unit)?;
                let variant = unit.rust_name.as_deref().unwrap_or(&unit.name);
                Some(format!("{reference}::{}", rust_word(variant)))
            }
            _ => None,
        }
    }
}

/// The name of a primitive type, and a literal of it.
fn plain(ty: &Type) -> Option<(&'static str, &'static str)> {
    Some(match ty {
        Type::Bool => ("bool", "true"),
        Type::Char => ("char", "'a'"),
        Type::I8 => ("i8", "1"),
        Type::I16 => ("i16", "1"),
        Type::I32 => ("i32", "1"),
        Type::I64 => ("i64", "1"),
        Type::I128 => ("i128", "1"),
        Type::U8 => ("u8", "1"),
        Type::U16 => ("u16", "1"),
        Type::U32 => ("u32", "1"),
        Type::U64 => ("u64", "1"),
        Type::U128 => ("u128", "1"),
        Type::F32 => ("f32", "1.5"),
        Type::F64 => ("f64", "1.5"),
        _ => return None,
    })
}

/// An implementation of a service whose methods do nothing yet.
pub(super) fn implement(service: &Service) -> String {
    let name = implementation(service);
    let methods: Vec<String> = service.methods.iter().map(handler).collect();
    format!("struct {name};\n\nimpl {} for {name} {{\n{}\n}}", service.trait_name(), methods.join("\n"))
}

fn handler(method: &Method) -> String {
    let parameter = |argument: &Argument| format!(", {}: {}", rust_word(&argument.name), argument.value.rust);
    let parameters: String = method.arguments.iter().map(parameter).collect();
    let name = rust_word(method.trait_name());
    let (result, body) = match (&method.error, &method.result.ty) {
        (None, Type::Unit) => (String::new(), "// …"),
        (None, _) => (format!(" -> {}", method.result.rust), "todo!()"),
        (Some(error), Type::Unit) => (format!(" -> Result<(), {}>", error.rust), "Ok(())"),
        (Some(error), _) => (format!(" -> Result<{}, {}>", method.result.rust, error.rust), "todo!()"),
    };
    format!("    async fn {name}(&self{parameters}){result} {{\n        {body}\n    }}")
}
