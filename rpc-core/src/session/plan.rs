//! The plan of a map: a checked program that may run. Its methods are known, and every part it uses fits where it is used.
//!
//! A plan is made before anything of the program runs, so that a program that cannot work costs no call. Costs that depend on
//! values cannot be checked here; they are bounded while the program runs: see `driver/maps.rs`.

use super::methods::{KnownMethod, Method, PeerMethods};
use crate::{
    buffer::small_bytes::SmallBytes,
    limits::Limits,
    path::Step as PathStep,
    schema::layout::{Layout, Over},
    wire::{
        Failure, Reached,
        arguments::Slot,
        map_program::{Base, Operand, OperandSlot, Policy, Program, ProgramError, Step, Target},
    },
};

pub(crate) struct Plan {
    pub(crate) policy: Policy,
    /// The layout of the sequence, option or stream that the program runs over.
    pub(crate) source: Layout,
    pub(crate) over: Over,
    pub(crate) element: Layout,
    pub(crate) captures: Vec<Layout>,
    pub(crate) steps: Vec<PlannedStep>,
    pub(crate) result: Operand,
    /// Whether the result of an element is an object and nothing else.
    pub(crate) result_is_object: bool,
    /// The layout of the whole map's result.
    pub(crate) returns: Layout,
    /// The error type of the call whose result becomes the element's.
    pub(crate) error: Option<Layout>,
}

pub(crate) struct PlannedStep {
    pub(crate) work: Work,
    pub(crate) returns: Layout,
    /// Whether something uses the result, or parts of it.
    pub(crate) is_used: bool,
    /// The last step that uses the result; the number of steps stands for the element's result.
    pub(crate) last_use: usize,
}

pub(crate) enum Work {
    Call { target: Target, method: KnownMethod, arguments: Vec<Slot<OperandSlot>>, objects: Vec<u32> },
    Map { source: Operand, captures: Vec<Operand>, plan: Box<Plan> },
}

impl PlannedStep {
    /// Whether one call of a batch method answers the step for many elements.
    pub(crate) fn is_batched(&self) -> bool {
        match &self.work {
            Work::Call { method, .. } => method.descriptor.attributes.batch.is_some(),
            Work::Map { .. } => false,
        }
    }
}

impl Plan {
    /// Reads and checks a program. `source` and `captures` are the layouts of its arguments, `passed` is the number of its
    /// objects.
    pub(crate) fn new(
        program: &SmallBytes,
        source: &Layout,
        captures: Vec<Layout>,
        passed: usize,
        methods: &PeerMethods,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let (steps_max, depth_max) = (limits.map_steps_max, limits.map_depth_max);
        let program = Program::parse(program, captures.len(), passed, steps_max, depth_max).map_err(
            |error| match error {
                ProgramError::Malformed(violation) => invalid("(program)", violation.to_string()),
                ProgramError::Steps => Reached::at("map_steps_max", steps_max).into(),
                ProgramError::Depth => Reached::at("map_depth_max", depth_max).into(),
            },
        )?;
        Self::check(program, source, captures, methods)
    }

    fn check(
        program: Program,
        source: &Layout,
        captures: Vec<Layout>,
        methods: &PeerMethods,
    ) -> Result<Self, Failure> {
        let Some((element, over)) = source.element() else {
            return Err(misfit(
                "(source)",
                format!("it is {source}, and a map runs over a sequence, an option or a stream"),
            ));
        };
        let mut plan = Self {
            policy: program.policy,
            source: source.clone(),
            over,
            element,
            captures,
            steps: Vec::with_capacity(program.steps.len()),
            returns: source.clone(),
            result: program.result,
            result_is_object: false,
            error: None,
        };
        for step in program.steps {
            let step = plan.planned(step, methods)?;
            plan.steps.push(step);
        }
        plan.finish()
    }

    fn planned(&mut self, step: Step, methods: &PeerMethods) -> Result<PlannedStep, Failure> {
        let number = self.steps.len();
        let (work, returns) = match step {
            Step::Call { target, method, arguments, objects } => {
                let method = match methods.find_number(method) {
                    Some(Method::Known(known)) => *known,
                    Some(Method::Refused(why)) => return Err(refused(number, &why.failure())),
                    Some(Method::Get | Method::Map) | None => {
                        return Err(invalid(
                            "(program)",
                            format!("step {number} calls a method that was not defined"),
                        ));
                    }
                };
                self.check_target(number, &target, method, methods)?;
                self.check_arguments(number, method, &arguments)?;
                (
                    Work::Call { target, method, arguments, objects },
                    method.descriptor.signature().result.clone(),
                )
            }
            Step::Map { source, captures, program } => {
                let layout = self.used(&source, number, "(source)")?;
                let given = captures
                    .iter()
                    .map(|capture| self.used(capture, number, "(capture)"))
                    .collect::<Result<_, _>>()?;
                let plan = Self::check(program, &layout, given, methods)?;
                if plan.over == Over::Stream {
                    let reason = "a stream is mapped over by itself, not inside of another map";
                    return Err(misfit("(source)", reason.into()));
                }
                let returns = plan.returns.clone();
                (Work::Map { source, captures, plan: Box::new(plan) }, returns)
            }
        };
        Ok(PlannedStep { work, returns, is_used: false, last_use: number })
    }

    fn check_target(
        &mut self,
        number: usize,
        target: &Target,
        method: KnownMethod,
        methods: &PeerMethods,
    ) -> Result<(), Failure> {
        let service = method.descriptor_of_service.name;
        match target {
            Target::Root if methods.is_at_root(&method) => Ok(()),
            Target::Root => Err(refused(number, &Failure::UnknownService)),
            Target::Object(operand) => {
                let found = self.used(operand, number, "(target)")?;
                match found.object() {
                    Some(object) if object.name == service => Ok(()),
                    _ => Err(misfit("(target)", format!("it is {found}, not an object of `{service}`"))),
                }
            }
            // The service of a passed object is checked when it is called.
            Target::Passed(_) => Ok(()),
        }
    }

    fn check_arguments(
        &mut self,
        number: usize,
        method: KnownMethod,
        arguments: &[Slot<OperandSlot>],
    ) -> Result<(), Failure> {
        let descriptor = method.descriptor;
        let wanted = &descriptor.signature().arguments;
        if wanted.len() != arguments.len() {
            let text = format!("`{}` takes {} arguments", descriptor.name, wanted.len());
            return Err(invalid("(program)", text));
        }
        for ((slot, wanted), argument) in arguments.iter().zip(wanted).zip(descriptor.arguments) {
            match slot {
                Slot::Inline(_) => {}
                Slot::Reference(_) => self.check_slot(number, slot, Some(wanted.clone()), argument.name)?,
                Slot::Tuple(parts) => {
                    for (ordinal, part) in (0..).zip(parts) {
                        self.check_slot(number, part, wanted.at(&[PathStep::Field(ordinal)]), argument.name)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that a part has the same layout as the argument it stands for.
    fn check_slot(
        &mut self,
        number: usize,
        slot: &Slot<OperandSlot>,
        wanted: Option<Layout>,
        argument: &str,
    ) -> Result<(), Failure> {
        let Slot::Reference(OperandSlot { operand, as_some }) = slot else { return Ok(()) };
        let found = self.used(operand, number, argument)?;
        let wanted =
            wanted.and_then(|layout| if *as_some { layout.at(&[PathStep::Some]) } else { Some(layout) });
        match wanted {
            Some(wanted) if wanted.fingerprint() == found.fingerprint() => Ok(()),
            Some(wanted) => Err(misfit(argument, format!("it is {found}, but {wanted} is due"))),
            None => Err(misfit(argument, "the method takes nothing of the kind there".into())),
        }
    }

    /// The layout of the part that an operand names. Marks its step as used by step `by`.
    fn used(&mut self, operand: &Operand, by: usize, place: &str) -> Result<Layout, Failure> {
        let whole = match operand.base {
            Base::Element => &self.element,
            Base::Step(step) => {
                let step = &mut self.steps[step as usize];
                step.last_use = by;
                step.is_used = true;
                &step.returns
            }
            Base::Capture(capture) => &self.captures[capture as usize],
        };
        whole
            .at(operand.steps())
            .ok_or_else(|| misfit(place, format!("{whole} has no part at {}", operand.path)))
    }

    fn finish(mut self) -> Result<Self, Failure> {
        let result = self.result.clone();
        let value = self.used(&result, self.steps.len(), "(result)")?;
        self.error = match result.base {
            Base::Step(step) => match &self.steps[step as usize].work {
                Work::Call { method, .. } => method.descriptor.signature().error.clone(),
                Work::Map { plan, .. } if plan.policy == Policy::Fail => plan.error.clone(),
                Work::Map { .. } => None,
            },
            Base::Element | Base::Capture(_) => None,
        };
        // The results of elements have tables of their own. They can be merged into one table only if each result is an
        // object: then it is known where the table is referred to.
        let is_within = value.has_objects() && value.object().is_none();
        // Items of a stream keep their tables.
        if is_within && self.over != Over::Stream {
            let reason =
                "the results of a map cannot have objects inside them; return the objects, or parts without";
            return Err(misfit("(result)", reason.into()));
        }
        self.result_is_object = value.object().is_some();
        let error = self.error.clone().unwrap_or_else(Layout::of_never);
        let each = match self.policy {
            Policy::Fail => Some(value),
            Policy::Collect => value.or_element_error(&error),
        };
        let returns = each.and_then(|each| match (self.over, self.policy) {
            (Over::Option, _) => each.optional(),
            (Over::Sequence, _) => each.sequence(),
            (Over::Stream, Policy::Fail) => each.streamed(Some(&error)),
            (Over::Stream, Policy::Collect) => each.streamed(None),
        });
        let Some(returns) = returns else {
            let reason = "too many maps were run over what maps returned; await the result of one of them";
            return Err(misfit("(result)", reason.into()));
        };
        self.returns = returns;
        Ok(self)
    }

    /// The memory of the layouts that the plan has composed.
    pub(crate) fn layout_bytes(&self) -> usize {
        let within = self.steps.iter().map(|step| match &step.work {
            Work::Map { plan, .. } => plan.layout_bytes(),
            Work::Call { .. } => 0,
        });
        self.returns.composed_bytes() + within.sum::<usize>()
    }

    /// Bytes of inline arguments in the calls of one element.
    pub(crate) fn inline_bytes(&self) -> usize {
        fn of(slot: &Slot<OperandSlot>) -> usize {
            match slot {
                Slot::Inline(bytes) => bytes.len(),
                Slot::Reference(_) => 0,
                Slot::Tuple(parts) => parts.iter().map(of).sum(),
            }
        }
        let of_step = |step: &PlannedStep| match &step.work {
            Work::Call { arguments, .. } => arguments.iter().map(of).sum(),
            Work::Map { .. } => 0,
        };
        self.steps.iter().map(of_step).sum()
    }

    /// The number of calls and inner maps that one element makes, as far as it is known beforehand; at least one.
    pub(crate) fn cost(&self) -> u64 {
        self.steps.len().max(1) as u64
    }
}

fn invalid(argument: &str, reason: String) -> Failure {
    Failure::InvalidArgument { argument: argument.into(), reason }
}

fn misfit(argument: &str, reason: String) -> Failure {
    Failure::InvalidReference { argument: argument.into(), reason }
}

/// The failure of a program whose step calls a refused method. It names the step: the caller knows the method, this side may
/// not.
fn refused(number: usize, failure: &Failure) -> Failure {
    let what = match failure {
        Failure::UnknownService => "a service that is not here".to_owned(),
        Failure::UnknownMethod => "a method that is not here".to_owned(),
        Failure::SchemaMismatch { theirs } => format!("a method that differs on the peer's side: {theirs}"),
        other => return other.clone(),
    };
    invalid("(program)", format!("step {number} calls {what}"))
}

#[cfg(test)]
mod tests; // session/plan/tests.rs: editing tests does not rebuild the library
