//! Starts ready calls of the peer in the order in which they became ready, as far as there is room for their results.

use std::{collections::VecDeque, time::Duration};

use crate::{
    in_order::in_order,
    limits::Limits,
    schema::{descriptor::MethodDescriptor, layout::Layout},
    session::{
        answers::{Answer, AnswerTarget, Answers, HandlerStep, KeptLayout, NextStep, Stage},
        events::{Arguments, Begin, BeginMap, BeginTarget},
        methods::{KnownMethod, Method, PeerMethods},
        outgoing::Outgoing,
        plan::Plan,
        work,
    },
    time::Time,
    value::{encoded::Encoded, outcome::Outcome},
    wire::{CallId, Failure, Reached, Want},
};

/// The queue capacity that an idle session keeps, in waiting calls.
const STEPS_KEPT: usize = 256;

/// How long waiting calls keep the whole message that they came in.
const LEFT_AFTER: Duration = Duration::from_millis(10);

/// Checks a map whose references are all resolved.
pub(super) fn plan(
    arguments: &Arguments,
    layouts: Vec<(usize, Layout)>,
    methods: &PeerMethods,
    limits: &Limits,
) -> Result<Plan, Failure> {
    let mut layouts = in_order(layouts, |(index, _)| *index as u64).into_iter().map(|(_, layout)| layout);
    let values = arguments.values();
    let (Some(source), [_, program, captures @ ..]) = (layouts.next(), &values[..]) else {
        return Err(Failure::invalid_reference("(source)", "it is not known what it is"));
    };
    let given: Vec<Layout> = layouts.collect();
    if given.len() != captures.len() {
        return Err(Failure::invalid_reference("(capture)", "it is not known what it is"));
    }
    let passed = arguments.objects().0.as_ref().map_or(0, |table| table.len());
    Plan::new(program, &source, given, passed, methods, limits)
}

/// Whether a call that was ready at `since` would start too late to be answered before its deadline.
fn is_too_late(since: Time, deadline: Option<Time>, now: Time) -> bool {
    deadline.is_some_and(|deadline| since.too_late(deadline) <= now)
}

impl Answers {
    /// Sweeps out stale steps. Calls that are cancelled before they start leave their steps behind. These are removed when most
    /// steps are stale, so that a peer that makes and cancels calls does not fill the memory while other calls keep the handlers
    /// busy.
    pub(super) fn sweep_steps(&mut self) {
        if self.steps.len() < 2 * self.books.unfinished() + STEPS_KEPT {
            return;
        }
        self.left_messages = 0;
        let Self { steps, plain, table, books, .. } = self;
        steps.retain(|step| match step {
            HandlerStep::Cancel(_) => true,
            HandlerStep::Begin(id, _) => {
                table.get(id).is_some_and(|answer| matches!(answer.stage, Stage::Ready(_)))
            }
            HandlerStep::BeginPlain(begin, _) => {
                let waits = plain.contains_key(&begin.answer);
                if !waits {
                    books.remove_pending(begin.arguments.bytes());
                }
                waits
            }
        });
    }

    /// Queues a call whose arguments are all here to start when it is its turn.
    pub(super) fn start(
        &mut self,
        id: CallId,
        mut arguments: Arguments,
        layouts: Vec<(usize, Layout)>,
        outgoing: &mut Outgoing,
    ) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        match &answer.method {
            Method::Get => {
                self.books.remove_pending(arguments.bytes());
                let Encoded { bytes, capabilities } = arguments.into_encoded().next().unwrap_or_default();
                let objects = capabilities.as_deref().unwrap_or_default().to_vec();
                self.finish(id, Outcome::Value { payload: Some(bytes), objects }, outgoing);
            }
            Method::Map => {
                let plan = plan(&arguments, layouts, &self.methods, &self.limits);
                self.work.spend(arguments.bytes() as u64 * work::BYTE_NS);
                answer.stage = Stage::Ready(arguments);
                match plan {
                    Ok(plan) => {
                        let bytes = plan.layout_bytes();
                        let (needed, allowed) =
                            (self.books.held().saturating_add(bytes), self.limits.held_bytes_max);
                        if needed > allowed {
                            let reached = Reached::new("held_bytes_max", needed, allowed);
                            return self.fail(id, Outcome::Failed(reached.into()), outgoing);
                        }
                        self.work.spend(bytes as u64 * work::LAYOUT_BYTE_NS);
                        // The charge covers the layouts of the whole plan; `returns` is the outermost of them.
                        let charge = self.books.elsewhere().charge(bytes);
                        let layout = plan.returns.clone();
                        answer.returns = Some(KeptLayout { layout, _charge: charge });
                        answer.plan = Some(Box::new(plan));
                        self.steps.push_back(HandlerStep::Begin(id, self.now));
                    }
                    Err(failure) => self.fail(id, Outcome::Failed(failure), outgoing),
                }
            }
            Method::Known(known) => {
                let (service, ordered) = (known.service(), known.ordered);
                if ordered {
                    arguments.leave_message();
                }
                answer.stage = Stage::Ready(arguments);
                if ordered {
                    self.start_in_order(service);
                } else {
                    self.steps.push_back(HandlerStep::Begin(id, self.now));
                }
            }
            Method::Refused(_) => {}
        }
    }

    /// Queues the calls of an ordered service to start, up to the first that still waits.
    fn start_in_order(&mut self, service: usize) {
        let Some(queue) = self.in_order.get_mut(&service) else { return };
        while let Some(id) = queue.front() {
            match self.table.get(id).map(|answer| &answer.stage) {
                Some(Stage::Arguments | Stage::Waiting(_)) => break,
                Some(Stage::Ready(_)) => self.steps.push_back(HandlerStep::Begin(*id, self.now)),
                Some(Stage::Running | Stage::Held(_) | Stage::Failed { .. }) | None => {}
            }
            queue.pop_front();
        }
    }

    pub(super) fn leave_order(&mut self, id: CallId) {
        if let Some(Answer { method: Method::Known(known @ KnownMethod { ordered: true, .. }), .. }) =
            self.answer(id)
        {
            let service = known.service();
            // If it were left in the queue, it would stay there as long as a call before it waits.
            if let Some(queue) = self.in_order.get_mut(&service)
                && let Ok(place) = queue.binary_search(&id)
            {
                queue.remove(place);
            }
            self.start_in_order(service);
        }
    }

    /// The next thing to happen to a handler, in the order in which calls became ready.
    pub(crate) fn pop_step(
        &mut self,
        now: Time,
        may_start: bool,
        outgoing: &mut Outgoing,
    ) -> Option<NextStep> {
        self.now = now;
        loop {
            let Some(next) = self.steps.front() else {
                self.held_up = false;
                // An idle session keeps the queue's capacity: do not keep a large one.
                if self.steps.capacity() > STEPS_KEPT {
                    self.steps = VecDeque::new();
                }
                return None;
            };
            self.held_up = outgoing.bytes() > self.limits.outgoing_bytes_max;
            if (self.held_up || !may_start) && !matches!(next, HandlerStep::Cancel(_)) {
                return None;
            }
            let step = self.steps.pop_front()?;
            self.left_messages = self.left_messages.saturating_sub(1);
            let id = match step {
                HandlerStep::Cancel(id) => return Some(NextStep::Cancel(id)),
                HandlerStep::BeginPlain(begin, since) => {
                    self.books.remove_pending(begin.arguments.bytes());
                    // Fields are passed by value: taking the address of one would copy `begin` once more.
                    let (answer, method, deadline) = (begin.answer, begin.descriptor, begin.deadline);
                    if self.starts_plain(answer, method, is_too_late(since, deadline, now), outgoing) {
                        return Some(NextStep::Begin(begin));
                    }
                    continue;
                }
                HandlerStep::Begin(id, since) => {
                    let deadline = self.answer(id).and_then(|answer| answer.deadline);
                    if is_too_late(since, deadline, now) {
                        self.give_up(id, outgoing);
                        continue;
                    }
                    id
                }
            };
            if let Some(limit) = self.has_no_memory_for(id) {
                self.fail(id, Outcome::Failed(Failure::exhausted(limit)), outgoing);
                continue;
            }
            if let Some(map) = self.begin_map(id) {
                return Some(NextStep::Map(Box::new(map)));
            }
            if let Some(begin) = self.begin(id) {
                return Some(NextStep::Begin(begin));
            }
        }
    }

    /// Copies calls that have waited to start for a while out of the message that they came in, which may be much longer than
    /// they are.
    #[inline]
    pub(crate) fn leave_messages(&mut self, now: Time) {
        if !self.steps.is_empty() {
            self.leave_messages_of_steps(now);
        }
    }

    fn leave_messages_of_steps(&mut self, now: Time) {
        let Self { steps, table, left_messages, .. } = self;
        for step in steps.iter_mut().skip(*left_messages) {
            let (arguments, since) = match step {
                HandlerStep::BeginPlain(begin, since) => (Some(&mut begin.arguments), *since),
                HandlerStep::Begin(id, since) => match table.get_mut(id).map(|answer| &mut answer.stage) {
                    Some(Stage::Ready(arguments)) => (Some(arguments), *since),
                    _ => (None, *since),
                },
                HandlerStep::Cancel(_) => {
                    *left_messages += 1;
                    continue;
                }
            };
            if now < since + LEFT_AFTER {
                break;
            }
            *left_messages += 1;
            arguments.into_iter().for_each(Arguments::leave_message);
        }
    }

    /// Whether a plain call still starts.
    #[inline]
    fn starts_plain(
        &mut self,
        id: CallId,
        method: &MethodDescriptor,
        is_too_late: bool,
        outgoing: &mut Outgoing,
    ) -> bool {
        // The call may have been cancelled.
        let Some(plain) = self.plain.get_mut(&id) else { return false };
        if is_too_late {
            self.give_up(id, outgoing);
            return false;
        }
        plain.running = true;
        method.expected_bytes() == 0 || self.starts_large(id, method, outgoing)
    }

    /// Whether a plain call still starts that is expected to return much.
    #[cold]
    fn starts_large(&mut self, id: CallId, method: &MethodDescriptor, outgoing: &mut Outgoing) -> bool {
        // Only the long path records the length of the result.
        self.promote(id);
        let Some(limit) = self.books.lacks(self.expected(method)) else { return true };
        if let Some(answer) = self.table.get_mut(&id) {
            answer.running = false;
        }
        self.fail(id, Outcome::Failed(Failure::exhausted(limit)), outgoing);
        false
    }

    /// The bytes that a call of the method is expected to return.
    fn expected(&self, method: &MethodDescriptor) -> usize {
        method.expected_bytes().min(self.limits.payload_bytes_max)
    }

    /// The limit that has no room for the result that a call is expected to return or keep.
    fn has_no_memory_for(&mut self, id: CallId) -> Option<&'static str> {
        let answer = self.answer(id)?;
        let expected = match &answer.method {
            Method::Known(known) => self.expected(known.descriptor),
            _ => 0,
        };
        if expected == 0 {
            // A short result fits unless no memory is left at all.
            return self.books.short_of().filter(|_| answer.want.keep);
        }
        // A result that is kept is also sent: it counts twice.
        self.books.lacks(if answer.want.keep { 2 * expected } else { expected })
    }

    /// Whether calls may start that had to wait until less waits to be sent.
    pub(crate) fn may_go_on(&self, outgoing: &Outgoing) -> bool {
        self.held_up && outgoing.bytes() <= self.limits.outgoing_bytes_max
    }

    /// The number of calls that may start.
    pub(crate) fn waiting(&self) -> usize {
        self.steps.len()
    }

    /// Takes at most `many` other ready calls of the same method out of their places behind `first`. Ordered services keep
    /// their order: the search stops at the first call of another method of the same service.
    pub(crate) fn pop_alike(&mut self, first: &Begin, many: usize, outgoing: &mut Outgoing) -> Vec<Begin> {
        self.left_messages = 0;
        let expected = self.expected(first.descriptor);
        let room = self.books.memory_left().0.min(self.limits.outgoing_bytes_max);
        let most = room.checked_div(expected).unwrap_or(usize::MAX);
        let many = many.min(most.saturating_sub(1));
        let mut alike = Vec::new();
        let mut passed = Vec::new();
        while alike.len() < many
            && let Some(step) = self.steps.pop_front()
        {
            let HandlerStep::Begin(id, since) = step else {
                passed.push(step);
                continue;
            };
            let Some(answer) = self.table.get(&id) else { continue };
            if is_too_late(since, answer.deadline, self.now) {
                self.give_up(id, outgoing);
                continue;
            }
            match &answer.method {
                Method::Known(known)
                    if std::ptr::eq(known.descriptor, first.descriptor)
                        && answer.target.is_as(&first.target)
                        && answer.extras.as_ref().is_none_or(|extras| extras.sent_before.is_empty()) =>
                {
                    alike.extend(self.begin(id));
                }
                Method::Known(known)
                    if known.ordered && std::ptr::eq(known.descriptor_of_service, first.service) =>
                {
                    passed.push(step);
                    break;
                }
                _ => passed.push(step),
            }
        }
        for step in passed.into_iter().rev() {
            self.steps.push_front(step);
        }
        alike
    }

    /// Starts a map, if the call is one and may still start.
    fn begin_map(&mut self, id: CallId) -> Option<BeginMap> {
        let answer = self.table.get_mut(&id)?;
        if !matches!(answer.stage, Stage::Ready(_)) {
            return None;
        }
        let plan = answer.plan.take()?;
        let want = Want { keep: answer.want.keep || !answer.uses.is_empty(), ..answer.want };
        let Stage::Ready(arguments) = std::mem::replace(&mut answer.stage, Stage::Running) else {
            return None;
        };
        answer.running = true;
        self.books.remove_pending(arguments.bytes());
        let passed = arguments.objects().0.clone();
        let mut given = arguments.into_encoded();
        let source = given.next().unwrap_or_default();
        Some(BeginMap {
            answer: id,
            plan: *plan,
            source,
            // The captures come after the program.
            captures: given.skip(1).collect(),
            passed,
            want,
            deadline: answer.deadline,
            metadata: answer.extras.take().map(|extras| extras.metadata).unwrap_or_default(),
            payload_bytes_max: self.caller_payload_bytes_max,
        })
    }

    /// Gives the call to a handler, if it may still start.
    fn begin(&mut self, id: CallId) -> Option<Begin> {
        let answer = self.table.get_mut(&id)?;
        let Method::Known(known) = &answer.method else { return None };
        if !matches!(answer.stage, Stage::Ready(_)) {
            return None;
        }
        // A released result is still kept for the calls that wait for it.
        let want = Want { keep: answer.want.keep || !answer.uses.is_empty(), ..answer.want };
        let Stage::Ready(arguments) = std::mem::replace(&mut answer.stage, Stage::Running) else {
            return None;
        };
        answer.running = true;
        self.books.remove_pending(arguments.bytes());
        // The handler keeps the object alive; a finished answer that is kept for its result does not.
        let target = match std::mem::replace(&mut answer.target, AnswerTarget::Root) {
            AnswerTarget::Object(object) => BeginTarget::Object(object),
            AnswerTarget::Root | AnswerTarget::Awaited(..) => BeginTarget::Root(known.service()),
        };
        Some(Begin {
            answer: id,
            target,
            service: known.descriptor_of_service,
            method: known.method,
            descriptor: known.descriptor,
            arguments,
            want,
            deadline: answer.deadline,
            extras: answer.extras.take(),
        })
    }
}
