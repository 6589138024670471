//! Plans of examples, independent of a language.

use super::{
    Guide,
    parts::{Part, is_keyword, parts, snake},
    reach::is_usable,
};
use crate::{
    description::{Flow, Method, PathStep, Service, Sink, Source, Type, Value},
    typescript::Words,
};

/// The plan of an example: its statements.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) statements: Vec<Statement<'a>>,
    pub(super) words: Words,
    /// The root services whose clients the example uses, with the variables' names.
    pub(super) roots: Vec<(&'a Service, String)>,
}

#[derive(Debug)]
pub(super) enum Statement<'a> {
    /// A promise in a variable.
    Keep { name: String, promise: Expression<'a> },
    /// An awaited value; without a name if the value is unit.
    Await { name: Option<String>, promise: Expression<'a> },
    /// Two calls that leave together.
    Together { names: [String; 2], promises: [Expression<'a>; 2] },
    /// A one-way call.
    Send(Expression<'a>),
    /// A stream, read to its end.
    Read { name: String, item: String, promise: Expression<'a> },
    /// An implementation of a service that the other side calls.
    Implement { service: &'a Service, name: String },
}

#[derive(Debug, Clone)]
pub(super) enum Expression<'a> {
    /// A variable of the example.
    Variable(String),
    /// A call.
    Call { on: Box<Expression<'a>>, method: &'a Method, arguments: Vec<Expression<'a>> },
    /// A part of a promise.
    Part { of: Box<Expression<'a>>, part: Part },
    /// A call for each element.
    Map { of: Box<Expression<'a>>, name: String, each: Box<Expression<'a>> },
    /// An object of a service that this example implements under this name.
    Implementation { service: &'a Service, name: String },
    /// An argument's value: made up, or an expected variable with this name.
    Value { value: &'a Value, name: String, long_name: String },
}

impl<'a> Plan<'a> {
    fn new() -> Self {
        Self { statements: Vec::new(), words: Words::new(), roots: Vec::new() }
    }

    fn name(&mut self, wanted: &str) -> String {
        self.words.name(&word(wanted))
    }

    /// A free name for a method's result: one after the result's type, or else the method's own.
    fn result_name(&mut self, method: &Method) -> String {
        let (said, own) = (word(&result_name(method)), word(method.trait_name()));
        self.words.first_free(&[&said, &own, &format!("other_{said}")])
    }

    /// The client of a root service.
    fn root(&mut self, service: &'a Service) -> Expression<'a> {
        if let Some((_, name)) = self.roots.iter().find(|(root, _)| root.name == service.name) {
            return Expression::Variable(name.clone());
        }
        let name = self.name(service.trait_name());
        self.roots.push((service, name.clone()));
        Expression::Variable(name)
    }

    fn call(&mut self, on: Expression<'a>, method: &'a Method) -> Expression<'a> {
        let arguments = method.arguments.iter().map(|argument| Expression::Value {
            value: &argument.value,
            // The variable gets its name later, if the value cannot be made up.
            name: argument.name.clone(),
            long_name: format!("{}_{}", snake(method.trait_name()), argument.name),
        });
        Expression::Call { on: Box::new(on), method, arguments: arguments.collect() }
    }

    fn keep(&mut self, name: String, promise: Expression<'a>) -> Expression<'a> {
        self.statements.push(Statement::Keep { name: name.clone(), promise });
        Expression::Variable(name)
    }

    /// Adds the last statement of an example, which uses the result of this method.
    fn finish(&mut self, method: &Method, promise: Expression<'a>) {
        let statement = match &method.result.ty {
            _ if method.oneway => Statement::Send(promise),
            Type::Unit => Statement::Await { name: None, promise },
            Type::Stream { .. } => {
                let name = self.name(&method.name);
                let item = self.name("item");
                Statement::Read { name, item, promise }
            }
            _ => {
                let name = self.result_name(method);
                Statement::Await { name: Some(name), promise }
            }
        };
        self.statements.push(statement);
    }
}

/// A name for a variable in Rust.
fn word(wanted: &str) -> String {
    let wanted = snake(wanted);
    if is_keyword(&wanted) { format!("{wanted}_") } else { wanted }
}

/// The name of a result: after the service of an object, the result's type, or the method.
fn result_name(method: &Method) -> String {
    let last_word = |path: &str| {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        path.rsplit("::").next().filter(|word| word.chars().all(is_word)).map(str::to_owned)
    };
    let name = match &method.result.ty {
        Type::Object(service) => last_word(service),
        Type::Ref(name) => last_word(name),
        _ => None,
    };
    name.unwrap_or_else(|| method.name.clone())
}

fn with_parts<'a>(of: Expression<'a>, parts: Vec<Part>) -> Expression<'a> {
    parts.into_iter().fold(of, |of, part| Expression::Part { of: Box::new(of), part })
}

/// Whether a type is specific. Others are not: a promised string fits many arguments by chance.
fn is_telling(ty: &Type) -> bool {
    matches!(ty, Type::Ref(_) | Type::Object(_))
}

impl<'a> Guide<'a> {
    /// Plans an example with each call awaited.
    pub(super) fn awaited(&self, service: &'a Service, method: &'a Method) -> Plan<'a> {
        let mut plan = Plan::new();
        let Some(client) = self.client(&mut plan, service, true) else {
            return self.implemented(service);
        };
        let call = plan.call(client, method);
        plan.finish(method, call);
        plan
    }

    /// Plans a pipelined example, which passes promises on in one round trip.
    pub(super) fn pipelined(&self, service: &'a Service, method: &'a Method) -> Plan<'a> {
        let Some(route) = self.routes.to(&service.name) else { return self.passed(service) };
        let chained = || {
            let mut plan = Plan::new();
            let client = self.client(&mut plan, service, false)?;
            let call = plan.call(client, method);
            plan.finish(method, call);
            Some(plan)
        };
        self.fed(service, method, true)
            .or_else(|| self.called_on_result(service, method))
            .or_else(|| self.led_on(service, method))
            .or_else(|| if route.depth > 0 { chained() } else { None })
            .or_else(|| self.fed(service, method, false))
            .or_else(|| self.together(service, method))
            .or_else(chained)
            .unwrap_or_else(Plan::new)
    }

    /// The client of a service, with the calls that lead to it.
    fn client(&self, plan: &mut Plan<'a>, service: &'a Service, is_awaited: bool) -> Option<Expression<'a>> {
        let Some(hop) = self.routes.to(&service.name)?.last else { return Some(plan.root(service)) };
        let before = self.client(plan, hop.service, is_awaited)?;
        let call = plan.call(before, hop.method);
        let promise = with_parts(call, parts(self.description, &hop.method.result.ty, hop.path)?);
        if !is_awaited {
            return Some(promise);
        }
        let name = plan.name(service.trait_name());
        plan.statements.push(Statement::Await { name: Some(name.clone()), promise });
        Some(Expression::Variable(name))
    }

    /// Plans a call on a promised object: the result, or an object in it.
    fn called_on_result(&self, service: &'a Service, method: &'a Method) -> Option<Plan<'a>> {
        let (parts, next) = self.next_on_result(service, method)?;
        let mut plan = Plan::new();
        let client = self.client(&mut plan, service, false)?;
        let call = plan.call(client, method);
        let next_call = plan.call(with_parts(call, parts), next);
        plan.finish(next, next_call);
        Some(plan)
    }

    /// Plans a call with an argument that is the promise of another call.
    fn fed(&self, service: &'a Service, method: &'a Method, is_telling_only: bool) -> Option<Plan<'a>> {
        let flows = self.flows.arguments(&service.name, &method.name);
        flows
            .iter()
            .filter(|(_, flow)| !is_telling_only || is_telling(&flow.ty))
            .find_map(|(argument, flow)| self.fed_by(service, method, argument, flow))
    }

    fn fed_by(
        &self,
        service: &'a Service,
        method: &'a Method,
        argument: &str,
        flow: &'a Flow,
    ) -> Option<Plan<'a>> {
        let index = method.arguments.iter().position(|known| known.name == argument)?;
        let (source_service, source_method, source) = self.nearest(&flow.from, method)?;
        let mut plan = Plan::new();
        let source_client = self.client(&mut plan, source_service, false)?;
        let source_call = plan.call(source_client, source_method);
        let name = plan.result_name(source_method);
        let kept = plan.keep(name, source_call);
        let fitting = with_parts(kept, parts(self.description, &source_method.result.ty, &source.path)?);
        let client = self.client(&mut plan, service, false)?;
        let mut call = plan.call(client, method);
        set_argument(&mut call, index, fitting);
        match self.next_on_result(service, method) {
            // Only objects that are whole results: nested ones would distract from the promise that is passed on.
            Some((parts, next)) if parts.is_empty() => {
                let next_call = plan.call(call, next);
                plan.finish(next, next_call);
            }
            _ => plan.finish(method, call),
        }
        Some(plan)
    }

    /// A method that can be called on an object in a method's result, with the path to the object: the result or the nearest part.
    fn next_on_result(&self, service: &Service, method: &'a Method) -> Option<(Vec<Part>, &'a Method)> {
        let whole: &[PathStep] = &[];
        let direct = Some((whole, &method.result.ty)).filter(|(_, ty)| matches!(ty, Type::Object(_)));
        let flows = self.flows.results(&service.name, &method.name);
        let inside = flows.iter().map(|(path, flow)| (*path, &flow.ty));
        direct.into_iter().chain(inside).find_map(|(path, ty)| {
            let Type::Object(object) = ty else { return None };
            let next = self.description.service(object)?.methods.iter().find(|next| is_usable(next))?;
            Some((parts(self.description, &method.result.ty, path)?, next))
        })
    }

    /// The source with the fewest calls and steps; other methods are preferred to the method itself.
    fn nearest(
        &self,
        sources: &'a [Source],
        method: &Method,
    ) -> Option<(&'a Service, &'a Method, &'a Source)> {
        let known = |source: &'a Source| {
            let service = self.description.service(&source.service)?;
            let depth = self.routes.to(&service.name)?.depth;
            let known = service.method(&source.method).filter(|method| is_usable(method))?;
            parts(self.description, &known.result.ty, &source.path)?;
            if looks_up_again(known, &source.path, method) {
                return None;
            }
            let is_same = std::ptr::eq(known, method);
            Some(((is_same, depth, source.path.len(), !known.idempotent), (service, known, source)))
        };
        sources.iter().take(ENDS_MAX).filter_map(known).min_by_key(|(cost, _)| *cost).map(|(_, found)| found)
    }

    /// Plans another call that takes the result, or each element of it.
    fn led_on(&self, service: &'a Service, method: &'a Method) -> Option<Plan<'a>> {
        if method.oneway {
            return None;
        }
        let results = self.flows.results(&service.name, &method.name);
        let telling = results.iter().filter(|(_, flow)| is_telling(&flow.ty));
        let best = telling.filter_map(|(path, flow)| {
            let (sink_service, sink, argument) = self.sink(&flow.into, method, path)?;
            let is_map = path.contains(&PathStep::Element);
            // A call that returns the same value again would show nothing.
            let is_again = std::ptr::eq(sink, method) || holds(&method.result.ty, &sink.result.ty);
            let depth = self.routes.to(&sink_service.name)?.depth;
            Some(((!is_map, is_again, depth, path.len()), (*path, sink_service, sink, argument)))
        });
        let (_, (path, sink_service, sink, argument)) = best.min_by_key(|(cost, _)| *cost)?;
        let index = sink.arguments.iter().position(|known| known.name == argument)?;
        let steps = parts(self.description, &method.result.ty, path)?;

        let mut plan = Plan::new();
        let client = self.client(&mut plan, service, false)?;
        let call = plan.call(client, method);
        let name = plan.result_name(method);
        let kept = plan.keep(name, call);
        let sink_client = self.client(&mut plan, sink_service, false)?;
        // The client is made outside the closure: inside, the calls that lead to it would run for each element.
        let sink_client = match sink_client {
            Expression::Variable(name) => Expression::Variable(name),
            way => {
                let name = plan.name(sink_service.trait_name());
                plan.keep(name, way)
            }
        };
        let mut next = plan.call(sink_client, sink);
        let promise = match steps.iter().position(|step| step.is_element) {
            Some(position) => {
                let (before, after) = steps.split_at(position);
                let name = plan.name("each");
                let element = with_parts(Expression::Variable(name.clone()), after[1..].to_vec());
                set_argument(&mut next, index, element);
                let of = Box::new(with_parts(kept, before.to_vec()));
                let promise = Expression::Map { of, name, each: Box::new(next) };
                let name = plan.name(&format!("{}_of_each", sink.name));
                plan.statements.push(Statement::Await { name: Some(name), promise });
                return Some(plan);
            }
            None => {
                set_argument(&mut next, index, with_parts(kept, steps));
                next
            }
        };
        plan.finish(sink, promise);
        Some(plan)
    }

    /// The sink for a result: methods that return another type are preferred, then other methods, then nearer services.
    fn sink(
        &self,
        sinks: &'a [Sink],
        method: &Method,
        path: &[PathStep],
    ) -> Option<(&'a Service, &'a Method, &'a str)> {
        let known = |sink: &'a Sink| {
            let Sink::Argument { service, method: name, argument } = sink else { return None };
            let service = self.description.service(service)?;
            let depth = self.routes.to(&service.name)?.depth;
            let known = service.method(name).filter(|known| is_usable(known))?;
            // A stream cannot be an argument in a closure: every element would need it.
            if known.arguments.iter().any(|argument| has_streams(&argument.value.ty)) {
                return None;
            }
            if looks_up_again(method, path, known) {
                return None;
            }
            let is_again = holds(&method.result.ty, &known.result.ty);
            Some(((is_again, std::ptr::eq(known, method), depth), (service, known, &**argument)))
        };
        sinks.iter().take(ENDS_MAX).filter_map(known).min_by_key(|(cost, _)| *cost).map(|(_, found)| found)
    }

    /// Plans two independent calls that leave together.
    fn together(&self, service: &'a Service, method: &'a Method) -> Option<Plan<'a>> {
        // Calls that change state are made one after the other: their effects may depend on the order.
        if method.oneway || !method.idempotent {
            return None;
        }
        let is_other =
            |other: &&Method| !std::ptr::eq(*other, method) && is_usable(other) && other.idempotent;
        let gives_data = |other: &&Method| !matches!(other.result.ty, Type::Object(_) | Type::Stream { .. });
        let mut others = service.methods.iter().filter(is_other);
        let other = others.clone().find(gives_data).or_else(|| others.next())?;
        let mut plan = Plan::new();
        let client = self.client(&mut plan, service, false)?;
        let promises = [plan.call(client.clone(), method), plan.call(client, other)];
        let names = [plan.result_name(method), plan.result_name(other)];
        plan.statements.push(Statement::Together { names, promises });
        Some(plan)
    }

    /// Plans the implementation of a service by this side.
    fn implemented(&self, service: &'a Service) -> Plan<'a> {
        let mut plan = Plan::new();
        let name = plan.name(service.trait_name());
        plan.statements.push(Statement::Implement { service, name });
        plan
    }

    /// Plans an implementation and a call that takes it.
    fn passed(&self, service: &'a Service) -> Plan<'a> {
        let mut plan = self.implemented(service);
        let takes =
            |method: &Method| method.arguments.iter().any(|argument| is_object(&argument.value.ty, service));
        let taker = self.description.services.iter().find_map(|other| {
            self.routes.to(&other.name)?;
            Some((other, other.methods.iter().find(|method| is_usable(method) && takes(method))?))
        });
        if let Some((other, method)) = taker
            && let Some(client) = self.client(&mut plan, other, false)
        {
            let mut call = plan.call(client, method);
            if let Some(Statement::Implement { service, name }) = plan.statements.first() {
                let ours = Expression::Implementation { service, name: name.clone() };
                let position =
                    method.arguments.iter().position(|argument| is_object(&argument.value.ty, service));
                set_argument(&mut call, position.unwrap_or_default(), ours);
            }
            plan.finish(method, call);
        }
        plan
    }
}

/// The maximum number of sources and sinks of a flow that are considered: enough to find a good one, even in a large API.
const ENDS_MAX: usize = 32;

fn set_argument<'a>(call: &mut Expression<'a>, index: usize, value: Expression<'a>) {
    if let Expression::Call { arguments, .. } = call {
        arguments[index] = value;
    }
}

fn is_object(ty: &Type, service: &Service) -> bool {
    matches!(ty, Type::Object(object) if *object == service.name)
}

fn holds(ty: &Type, searched: &Type) -> bool {
    let mut found = false;
    ty.walk(&mut |part| found |= part == searched);
    found
}

/// Whether a field of one method's result is passed to another method that returns the same value, like `users.user(user.id())`.
fn looks_up_again(first: &Method, path: &[PathStep], next: &Method) -> bool {
    let is_field = matches!(path.last(), Some(PathStep::Field(_) | PathStep::Index(_)));
    is_field && matches!(next.result.ty, Type::Ref(_)) && holds(&first.result.ty, &next.result.ty)
}

fn has_streams(ty: &Type) -> bool {
    let mut found = false;
    ty.walk(&mut |part| found |= matches!(part, Type::Stream { .. }));
    found
}
