//! Writes plans as TypeScript.

use super::{
    Given, Guide, Spoken,
    lines::arranged,
    plan::{Expression, Plan, Statement},
};
use crate::{
    description::{Method, Service, Side, Type, Value},
    samples::sample,
    typescript::{Declarations, Words, expression, property},
};

/// The maximum length of a made-up value; instead of a longer one, an expected variable is used.
const VALUE_CHARACTERS_MAX: usize = 60;

pub(super) fn speak(guide: &Guide<'_>, plan: &Plan<'_>) -> Spoken {
    let declarations = Declarations::new(guide.description, guide.names);
    let mut speaker = Speaker { guide, declarations, words: plan.words.clone(), given: Vec::new() };
    let root = |(service, name): &(&Service, String)| {
        (name.clone(), guide.names.service(&service.name).unwrap_or("unknown").to_owned())
    };
    let roots = plan.roots.iter().map(root).collect();
    let statements: Vec<String> =
        plan.statements.iter().map(|statement| arranged(&speaker.statement(statement))).collect();
    let mut spoken = Spoken { text: statements.join("\n"), roots, given: speaker.given };
    if plan.statements.iter().any(has_then) {
        spoken = Spoken {
            text: "// A method called `then` cannot be called from JavaScript.".into(),
            roots: Vec::new(),
            given: Vec::new(),
        };
    }
    spoken
}

fn has_then(statement: &Statement<'_>) -> bool {
    match statement {
        Statement::Keep { promise, .. }
        | Statement::Await { promise, .. }
        | Statement::Read { promise, .. }
        | Statement::Send(promise) => calls_then(promise),
        Statement::Together { promises, .. } => promises.iter().any(calls_then),
        Statement::Implement { .. } => false,
    }
}

fn calls_then(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::Variable(_) | Expression::Implementation { .. } | Expression::Value { .. } => false,
        Expression::Call { on, method, arguments } => {
            method.name == "then" || calls_then(on) || arguments.iter().any(calls_then)
        }
        Expression::Part { of, .. } => calls_then(of),
        Expression::Map { of, each, .. } => calls_then(of) || calls_then(each),
    }
}

struct Speaker<'a> {
    guide: &'a Guide<'a>,
    declarations: Declarations<'a>,
    words: Words,
    given: Vec<Given>,
}

impl Speaker<'_> {
    fn statement(&mut self, statement: &Statement<'_>) -> String {
        match statement {
            Statement::Keep { name, promise } => format!("const {name} = {};", self.expression(promise)),
            Statement::Await { name: Some(name), promise } => {
                format!("const {name} = await {};", self.expression(promise))
            }
            Statement::Await { name: None, promise } => format!("await {};", self.expression(promise)),
            Statement::Together { names: [one, two], promises: [first, second] } => {
                let (first, second) = (self.expression(first), self.expression(second));
                format!("const [{one}, {two}] = await Promise.all([{first}, {second}]);")
            }
            Statement::Send(call) => format!("await {};", self.expression(call)),
            Statement::Read { name, item, promise } => {
                let promise = self.expression(promise);
                format!("const {name} = await {promise};\nfor await (const {item} of {name}) {{\n  // …\n}}")
            }
            Statement::Implement { service, name } => self.implement(service, name),
        }
    }

    fn expression(&mut self, expression: &Expression<'_>) -> String {
        match expression {
            Expression::Variable(name) | Expression::Implementation { name, .. } => name.clone(),
            Expression::Call { on, method, arguments } => {
                let on = self.expression(on);
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| self.expression(argument)).collect();
                format!("{on}{}({})", member(&method.name), arguments.join(", "))
            }
            Expression::Part { of, part } => format!("{}{}", self.expression(of), part.typescript),
            Expression::Map { of, name, each } => {
                format!("{}.map(({name}) => {})", self.expression(of), self.expression(each))
            }
            Expression::Value { value, name, long_name } => self.value(value, name, long_name),
        }
    }

    fn value(&mut self, value: &Value, name: &str, long_name: &str) -> String {
        let is_long = |text: &String| text.chars().count() > VALUE_CHARACTERS_MAX;
        let is_simple = !matches!(value.ty, Type::Object(_) | Type::Stream { .. } | Type::Unknown(_));
        let made_up = match &value.ty {
            Type::Option(_) => Some("null".into()),
            Type::List(_) | Type::Collection { .. } => Some("[]".into()),
            ty if is_simple => sample(self.guide.description, ty, name).map(|value| expression(&value)),
            _ => None,
        };
        if let Some(text) = made_up.filter(|text| !is_long(text)) {
            return text;
        }
        let name = self.words.first_free(&[name, long_name]);
        self.given.push(Given {
            name: name.clone(),
            parameter: self.declarations.accepted(&value.ty),
            ty: self.declarations.received(&value.ty),
        });
        name
    }

    fn implement(&self, service: &Service, name: &str) -> String {
        let Some(implementation) = self.guide.names.implementation(&service.name) else {
            return String::new();
        };
        if service.implemented_by == Side::Server {
            return "// No client holds an object of this service.".into();
        }
        let methods: Vec<String> = service.methods.iter().map(handler).collect();
        format!("const {name}: {implementation} = {{\n{}\n}};", methods.join("\n"))
    }
}

/// The access to a member: `.name`, or brackets if the name is not an identifier.
fn member(name: &str) -> String {
    match property(name) {
        bare if bare == name => format!(".{bare}"),
        quoted => format!("[{quoted}]"),
    }
}

fn handler(method: &Method) -> String {
    let mut words = Words::new();
    let parameters: Vec<String> =
        method.arguments.iter().map(|argument| words.name(&argument.name)).collect();
    let body = match method.result.ty {
        Type::Unit => "// …",
        _ => "throw new Error(\"to do\");",
    };
    format!("  {}({}) {{\n    {body}\n  }},", property(&method.name), parameters.join(", "))
}
