//! Resolves references of calls to results: when the call comes, or when the result is there.

use crate::{
    buffer::small_bytes::SmallBytes,
    codec::walk::WalkError,
    in_order::in_order,
    path::{Path, Step},
    schema::layout::Layout,
    session::{
        answers::{Answer, AnswerTarget, Answers, Argument, Place, Stage, Use, Waiting, take_objects},
        events::{Arguments, Resolved},
        methods::Method,
        outgoing::Outgoing,
        work,
    },
    value::{
        encoded::{self, Capabilities, Capability, Encoded, Passing, STREAM_TAKEN},
        held::Held,
        outcome::Outcome,
    },
    wire::{
        CallId, Failure, Reached,
        arguments::{self, ArgumentList, Reference, Slot},
    },
};

const GET_ARGUMENTS: &str = "the built-in call takes one reference";
const MAP_ARGUMENTS: &str = "a map takes a reference, a program and references";

fn are_map_arguments(slots: &[Slot<Reference>]) -> bool {
    let is_reference =
        |slot: &Slot<Reference>| matches!(slot, Slot::Reference(Reference { as_some: false, .. }));
    matches!(slots, [source, Slot::Inline(_), captures @ ..] if is_reference(source) && captures.iter().all(is_reference))
}

/// The table of objects that came with a call, once all its entries are here.
fn settled(objects: Vec<Passing>) -> Capabilities {
    let here = |object| match object {
        Passing::Settled(capability) => Some(capability),
        Passing::Result(..) => None,
    };
    encoded::capabilities(objects.into_iter().filter_map(here).collect())
}

/// The object that a selected part consists of; its layout says that it is one.
fn only_object(selected: &Encoded) -> Result<Capability, Outcome> {
    selected.only_object().ok_or_else(no_object)
}

fn no_object() -> Outcome {
    Outcome::Failed(Failure::invalid_reference("(target)", "there is no object"))
}

fn invalid_argument(argument: &str, reason: &str) -> Outcome {
    Outcome::Failed(Failure::InvalidArgument { argument: argument.into(), reason: reason.into() })
}

fn misfit(from: &str, path: &Path, found: &Layout, wanted: &Layout) -> String {
    format!("`{from}` has {found} at {path}, but {wanted} is due")
}

impl Answers {
    /// Takes the complete arguments of a call, resolves its references, and starts it if none is missing.
    pub(crate) fn arguments(&mut self, id: CallId, payload: SmallBytes, outgoing: &mut Outgoing) {
        if !self.is_waiting_for_arguments(id) {
            return;
        }
        let Some(answer) = self.table.get_mut(&id) else { return };
        let awaits = matches!(answer.target, AnswerTarget::Awaited(..))
            || answer.objects.iter().any(|object| matches!(object, Passing::Result(..)));
        if !awaits && arguments::all_inline(&payload).is_some() {
            let beside = settled(take_objects(answer, &mut self.books));
            let inline = Arguments::Inline(payload);
            let arguments = match beside {
                None => inline,
                beside => Resolved { values: inline.values(), beside, selected: Vec::new() }.into(),
            };
            return self.start_with_values(id, arguments, outgoing);
        }
        let list = match ArgumentList::parse(payload) {
            Ok(list) => list,
            Err(violation) => {
                return self.fail(id, invalid_argument("(arguments)", &violation.to_string()), outgoing);
            }
        };
        if let Err(no_value) = self.enter_arguments(id, list) {
            self.fail(id, no_value, outgoing);
            return;
        }
        let ready = matches!(self.answer(id), Some(Answer { stage: Stage::Waiting(waiting), .. }) if waiting.missing == 0);
        if ready {
            self.make_ready(id, outgoing);
        }
    }

    fn enter_arguments(&mut self, id: CallId, list: ArgumentList) -> Result<(), Outcome> {
        let Some(answer) = self.table.get_mut(&id) else { return Ok(()) };
        let objects = take_objects(answer, &mut self.books);
        if matches!(answer.method, Method::Get) && !matches!(list.slots[..], [Slot::Reference(_)]) {
            return Err(invalid_argument("(arguments)", GET_ARGUMENTS));
        }
        if matches!(answer.method, Method::Map) && !are_map_arguments(&list.slots) {
            return Err(invalid_argument("(arguments)", MAP_ARGUMENTS));
        }
        let mut references = Vec::new();
        if let AnswerTarget::Awaited(base, path) = &answer.target {
            references.push((Place::Target, Reference { base: *base, path: path.clone(), as_some: false }));
        }
        for (index, object) in objects.iter().enumerate() {
            if let Passing::Result(base, path) = object {
                let reference = Reference { base: *base, path: path.clone(), as_some: false };
                references.push((Place::Object(index), reference));
            }
        }
        let arguments = Vec::with_capacity(list.slots.len());
        let mut waiting = Waiting { arguments, objects, missing: 0, bases: Vec::new(), layouts: Vec::new() };
        for (index, slot) in list.slots.into_iter().enumerate() {
            waiting.arguments.push(match slot {
                Slot::Inline(bytes) => Argument::One(Some(bytes.into())),
                Slot::Reference(reference) => {
                    references.push((Place::Argument { index, part: None }, reference));
                    Argument::One(None)
                }
                Slot::Tuple(parts) => Argument::Tuple(
                    parts
                        .into_iter()
                        .enumerate()
                        .map(|(part, slot)| match slot {
                            Slot::Inline(bytes) => Some(bytes),
                            Slot::Reference(reference) => {
                                references.push((Place::Argument { index, part: Some(part) }, reference));
                                None
                            }
                            // `ArgumentList` does not nest tuples.
                            Slot::Tuple(_) => None,
                        })
                        .collect(),
                ),
            });
        }
        if !references.is_empty() {
            self.pending_has_room(waiting.bytes())?;
            waiting.leave_message();
        }
        self.books.add_pending(waiting.bytes());
        for (_, reference) in &references {
            waiting.bases.push(reference.base);
        }
        waiting.missing = references.len();
        if let Some(answer) = self.table.get_mut(&id) {
            answer.stage = Stage::Waiting(waiting);
        }
        for (place, reference) in references {
            self.refer(id, place, reference)?;
        }
        Ok(())
    }

    /// Resolves one reference now, or makes the call wait for its base.
    fn refer(&mut self, id: CallId, place: Place, reference: Reference) -> Result<(), Outcome> {
        let Reference { base, path, as_some } = reference;
        let name = self.argument_name(id, place);
        let refuse = |reason: &str| Outcome::Failed(Failure::invalid_reference(name, reason));
        let Some(source) = self.table.get(&base).filter(|source| base != id && source.want.keep) else {
            return Err(refuse(&format!("the result of call {} is not held", base.0)));
        };
        // A call of a refused method failed when it came, and its layout is not known.
        if let (Stage::Failed { origin }, Method::Refused(_)) = (&source.stage, &source.method) {
            return Err(Outcome::Upstream { origin: *origin, missed: None });
        }
        let layout =
            self.check_layout(id, place, source, &path, as_some).map_err(|reason| refuse(&reason))?;
        let deadline = source.deadline.filter(|_| !source.returned);
        match &source.stage {
            Stage::Failed { origin } => return Err(Outcome::Upstream { origin: *origin, missed: None }),
            Stage::Held(held) => {
                let (selected, walked) = self.select(held, source, base, &path, as_some, name)?;
                self.spend(walked, &selected);
                return self.put(id, place, selected, layout);
            }
            Stage::Arguments | Stage::Waiting(_) | Stage::Ready(_) | Stage::Running => {}
        }
        let depth = source.depth + 1;
        if depth > self.limits.chain_depth_max {
            let reached = Reached::new("chain_depth_max", depth, self.limits.chain_depth_max);
            return Err(Outcome::Failed(reached.into()));
        }
        self.tighten_deadline(id, deadline);
        if let Some(answer) = self.table.get_mut(&id) {
            answer.depth = answer.depth.max(depth);
        }
        if let Some(source) = self.table.get_mut(&base) {
            source.uses.push(Use { call: id, place, path, as_some });
        }
        Ok(())
    }

    fn argument_name(&self, id: CallId, place: Place) -> &'static str {
        match (place, self.table.get(&id).map(|answer| &answer.method)) {
            (Place::Target, _) => "(target)",
            (Place::Object(_), _) => "(objects)",
            (Place::Argument { index, .. }, Some(Method::Known(known))) => {
                known.descriptor.arguments.get(index).map_or("(after the last)", |argument| argument.name)
            }
            (Place::Argument { index: 0, .. }, Some(Method::Map)) => "(source)",
            (Place::Argument { .. }, Some(Method::Map)) => "(capture)",
            (Place::Argument { .. }, Some(Method::Get | Method::Refused(_)) | None) => "(part)",
        }
    }

    /// Checks a reference: the part it names must have the same layout as the argument it stands for. Returns the part's
    /// layout, or `None` while the source's layout is not known: a map's is known once it may start.
    fn check_layout(
        &self,
        id: CallId,
        place: Place,
        source: &Answer,
        path: &Path,
        as_some: bool,
    ) -> Result<Option<Layout>, String> {
        let from = match &source.method {
            Method::Known(from) => from.descriptor.name,
            Method::Map => "map",
            Method::Get | Method::Refused(_) => return Err("it refers to no method's result".into()),
        };
        let Some(result) = source.result_layout() else { return Ok(None) };
        let Some(found) = result.at(path.steps()) else {
            return Err(format!("`{}` returns {result}, which has no part at {path}", from));
        };
        let Some(Method::Known(to)) = self.table.get(&id).map(|answer| &answer.method) else {
            return Ok(Some(found));
        };
        let (index, part) = match place {
            Place::Argument { index, part } => (index, part),
            Place::Object(_) | Place::Target => {
                let service = to.descriptor_of_service.name;
                return match found.object() {
                    // Decoding checks which service the payload wants there.
                    Some(object) if matches!(place, Place::Object(_)) || object.name == service => {
                        Ok(Some(found))
                    }
                    _ => Err(format!("`{from}` has {found} at {path}, not an object of `{service}`")),
                };
            }
        };
        let wanted = to.descriptor.signature().arguments.get(index).and_then(|layout| {
            let layout = match part {
                Some(part) => layout.at(&[Step::Field(u32::try_from(part).ok()?)])?,
                None => layout.clone(),
            };
            if as_some { layout.at(&[Step::Some]) } else { Some(layout) }
        });
        match wanted {
            Some(wanted) if wanted.fingerprint() == found.fingerprint() => Ok(Some(found)),
            Some(wanted) => Err(misfit(from, path, &found, &wanted)),
            None => Err("the method takes nothing of the kind there".into()),
        }
    }

    /// Selects the encoded part of a held result, within the limit of pending bytes. Also returns how many values were passed
    /// to find it.
    fn select(
        &self,
        held: &Held,
        source: &Answer,
        base: CallId,
        path: &Path,
        as_some: bool,
        argument: &'static str,
    ) -> Result<(Encoded, usize), Outcome> {
        let refuse = |reason: &str| Outcome::Failed(Failure::invalid_reference(argument, reason));
        let layout = source.result_layout().ok_or_else(|| refuse("it refers to no method's result"))?;
        let selected = held.select(layout, path.steps(), as_some).map_err(|error| match error {
            WalkError::Missed => Outcome::Upstream { origin: base, missed: Some(path.clone()) },
            other => refuse(&other.to_string()),
        })?;
        let Encoded { bytes, capabilities } = selected.part;
        // Streams in the part belong to the first call that selects them.
        let table = capabilities.as_deref().unwrap_or_default();
        let claimed: Option<Vec<Capability>> = table.iter().map(Capability::claimed).collect();
        let claimed = claimed.ok_or_else(|| refuse(STREAM_TAKEN))?;
        let part = Encoded { bytes, capabilities: encoded::capabilities(claimed) };
        self.pending_has_room(part.size())?;
        Ok((part, selected.walked))
    }

    fn pending_has_room(&self, bytes: usize) -> Result<(), Outcome> {
        let (pending, pending_max) = (self.books.pending_with(bytes), self.limits.pending_bytes_max);
        match pending > pending_max {
            true => Err(Outcome::Failed(Reached::new("pending_bytes_max", pending, pending_max).into())),
            false => Ok(()),
        }
    }

    /// Spends the work of finding a part behind `walked` values, and of decoding it later.
    fn spend(&mut self, walked: usize, part: &Encoded) {
        self.walked += walked;
        self.work.spend(walked as u64 * work::STEP_NS + part.len() as u64 * work::BYTE_NS);
    }

    /// Puts a part that was selected out of a result in its place in the call.
    fn put(
        &mut self,
        id: CallId,
        place: Place,
        selected: Encoded,
        layout: Option<Layout>,
    ) -> Result<(), Outcome> {
        let Some(answer) = self.table.get_mut(&id) else { return Ok(()) };
        let Stage::Waiting(waiting) = &mut answer.stage else { return Ok(()) };
        if matches!(answer.method, Method::Map)
            && let Place::Argument { index, .. } = place
        {
            waiting.layouts.extend(layout.map(|layout| (index, layout)));
        }
        waiting.missing -= 1;
        let (index, part) = match place {
            Place::Argument { index, part } => (index, part),
            Place::Object(index) => {
                waiting.objects[index] = Passing::Settled(only_object(&selected)?);
                return Ok(());
            }
            Place::Target => {
                let object = match only_object(&selected)? {
                    Capability::Local(object) => object,
                    Capability::Import(import) => import.forward(),
                    Capability::Stream(_) => return Err(no_object()),
                };
                // The result's layout says which service the object should be of; an object that forwards calls of a peer may
                // be of another.
                if let Method::Known(known) = answer.method {
                    answer.method = Method::Known(known.of(object.descriptor()).map_err(Outcome::Failed)?);
                }
                answer.target = AnswerTarget::Object(object);
                return Ok(());
            }
        };
        let length = selected.size();
        match (&mut waiting.arguments[index], part) {
            (Argument::One(slot), None) => *slot = Some(selected),
            (Argument::Tuple(_), Some(_)) if selected.capabilities.is_some() => {
                return Err(invalid_argument(
                    "(arguments)",
                    "a tuple of promises cannot have objects in it; pass them as arguments of their own",
                ));
            }
            (Argument::Tuple(parts), Some(part)) => parts[part] = Some(selected.bytes),
            (Argument::One(_), Some(_)) | (Argument::Tuple(_), None) => return Ok(()),
        }
        self.books.add_pending(length);
        Ok(())
    }

    /// Starts a call that refers to nothing.
    fn start_with_values(&mut self, id: CallId, arguments: Arguments, outgoing: &mut Outgoing) {
        let takes = match self.table.get(&id).map(|answer| &answer.method) {
            Some(Method::Get) => Some(GET_ARGUMENTS),
            Some(Method::Map) => Some(MAP_ARGUMENTS),
            Some(Method::Known(_) | Method::Refused(_)) | None => None,
        };
        if let Some(takes) = takes {
            return self.fail(id, invalid_argument("(arguments)", takes), outgoing);
        }
        self.books.add_pending(arguments.bytes());
        self.start(id, arguments, Vec::new(), outgoing);
    }

    fn make_ready(&mut self, id: CallId, outgoing: &mut Outgoing) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        let Stage::Waiting(mut waiting) = std::mem::replace(&mut answer.stage, Stage::Running) else {
            return;
        };
        let layouts = std::mem::take(&mut waiting.layouts);
        self.books.remove_pending(waiting.bytes());
        let mut arguments = Resolved { beside: settled(waiting.objects), ..Resolved::default() };
        for (index, argument) in waiting.arguments.into_iter().enumerate() {
            let Encoded { bytes, capabilities } = argument.into_encoded();
            arguments.values.push(bytes);
            if capabilities.is_some() {
                arguments.selected.push((index, capabilities));
            }
        }
        let arguments = Arguments::from(arguments);
        self.books.add_pending(arguments.bytes());
        self.start(id, arguments, layouts, outgoing);
    }

    /// Passes a finished result to the calls that wait for it, in the order in which they were made.
    pub(super) fn resolve_uses(
        &mut self,
        base: CallId,
        held: &Held,
        uses: Vec<Use>,
        outgoing: &mut Outgoing,
    ) {
        // Arguments in chunks are read later than those of calls made after them, so `uses` may be out of order.
        for Use { call, place, path, as_some } in in_order(uses, |used| used.call.0.cast_unsigned()) {
            let Some(Answer { stage: Stage::Waiting(_), .. }) = self.answer(call) else { continue };
            let selected = self.resolve_late(base, held, call, place, &path, as_some);
            if let Err(no_value) =
                selected.and_then(|(selected, layout)| self.put(call, place, selected, layout))
            {
                self.fail(call, no_value, outgoing);
                continue;
            }
            let ready = matches!(self.answer(call), Some(Answer { stage: Stage::Waiting(waiting), .. }) if waiting.missing == 0);
            if ready {
                self.make_ready(call, outgoing);
            }
        }
    }

    /// The part of a finished result that a call waits for. References to and from maps are checked here, because their layouts
    /// were not known when the call arrived.
    fn resolve_late(
        &mut self,
        base: CallId,
        held: &Held,
        call: CallId,
        place: Place,
        path: &Path,
        as_some: bool,
    ) -> Result<(Encoded, Option<Layout>), Outcome> {
        let name = self.argument_name(call, place);
        let is_map = |id| self.table.get(id).is_some_and(|answer| matches!(answer.method, Method::Map));
        let gone = || Outcome::Failed(Failure::invalid_reference(name, "its result is gone"));
        let source = self.table.get(&base).ok_or_else(gone)?;
        let layout = if is_map(&base) || is_map(&call) {
            self.check_layout(call, place, source, path, as_some)
                .map_err(|reason| Outcome::Failed(Failure::invalid_reference(name, &reason)))?
        } else {
            None
        };
        let (part, walked) = self.select(held, source, base, path, as_some, name)?;
        self.spend(walked, &part);
        Ok((part, layout))
    }
}
