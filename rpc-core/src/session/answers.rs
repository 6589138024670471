//! The calls this side answers: waiting for what they are built on, running, and kept for what is built on them.
//!
//! ```text
//! Arguments ──complete──▶ Waiting ──all references resolved──▶ (Ready) ──▶ Running ──finish──▶ Held / Failed / gone
//!     │                      │
//!     └──────refused─────────┴──a base failed, cancelled, deadline──▶ Failed / gone
//! ```
//! Every call is answered by exactly one Return. An answer stays in the table while its call is unfinished, and after
//! that while the caller asked to keep it and has not released it; a failed one stays as a marker, because a call
//! that refers to it fails with it as its origin. Bounded by `calls_max`, `held_answers_max`, `held_bytes_max`,
//! `pending_bytes_max` and `chain_depth_max`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use self::{admission::CallHead, books::Books};
use super::{
    account::{Account, Charge, Elsewhere},
    due::Deadlines,
    methods::{KnownMethod, Method, PeerMethods, Refused},
    outputs::{Arguments, Begin, BeginMap, BeginTarget, Resolved},
    plan::Plan,
    sending::Sending,
    work::{self, Work},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    codec::walk::WalkError,
    error::Violation,
    id_map::IdMap,
    limits::Limits,
    path::{Path, Step},
    schema::{
        descriptor::{MethodDescriptor, ServiceDescriptor},
        layout::Layout,
    },
    time::Time,
    value::{
        encoded::{self, Capabilities, Capability, Encoded, Passing, STREAM_TAKEN},
        held::Held,
        object::LocalObject,
        outcome::Outcome,
    },
    wire::{
        CHUNK_BYTES, Call, CallId, Define, Failure, INLINE_BYTES_MAX, MethodNumber, PassedObject, Return,
        Status, Want,
        arguments::{self, ArgumentList, Reference, Slot},
        plain::PlainCall,
        write,
    },
};

mod admission;
mod books;

/// Places of calls that wait to start which are kept for the next ones.
const STEPS_KEPT: usize = 256;

/// How long calls that wait to start keep the whole message that they came in.
const LEFT_AFTER: Duration = Duration::from_millis(10);

/// Results that are shorter are held against the session's memory with the next message, longer ones at once.
const SETTLED_BYTES: usize = 16 << 10;

pub(crate) struct Answers {
    limits: Arc<Limits>,
    methods: PeerMethods,
    /// Calls about which there is nothing special, until there is: what becomes of them otherwise than that they are
    /// run and answered happens in the other table.
    plain: IdMap<CallId, PlainAnswer>,
    /// All other calls. Boxed, because an idle session keeps the table's room.
    table: IdMap<CallId, Box<Answer>>,
    /// When a call last came or started.
    now: Time,
    last: CallId,
    books: Books,
    work: Work,
    /// Calls that may start wait until less waits to be sent.
    held_up: bool,
    /// Values in kept results that were passed to find parts, since this was last taken.
    walked: usize,
    /// Calls that have not started, of services whose calls start in the order made; ids rise.
    in_order: FxHashMap<usize, VecDeque<CallId>>,
    deadlines: Deadlines,
    steps: VecDeque<HandlerStep>,
    /// Steps, from the first on, whose calls have left their messages.
    left_messages: usize,
    refusing: bool,
    /// The longest result the caller takes.
    caller_payload_bytes_max: usize,
}

/// What is to happen to a handler.
pub(crate) enum NextStep {
    Begin(Begin),
    Map(Box<BeginMap>),
    Cancel(CallId),
}

enum HandlerStep {
    /// A call that may start since then.
    Begin(CallId, Time),
    /// A plain one, which lies here until it does.
    BeginPlain(Begin, Time),
    /// Of a handler that runs; before all calls that wait.
    Cancel(CallId),
}

/// A call that arrives, except for its payload.
pub(crate) struct Arriving {
    pub(crate) call: Call,
    /// Of its payload, which is here or will follow.
    pub(crate) length: usize,
    /// Bytes of payloads that are being assembled.
    pub(crate) pending_elsewhere: usize,
    /// The limit that leaves no memory for what it announces.
    pub(crate) short_of: Option<&'static str>,
    /// What it addresses, and the method as that has it.
    pub(crate) addressed: Result<(AnswerTarget, Method), Failure>,
    pub(crate) objects: Result<Vec<Passing>, Failure>,
}

/// What a call of the peer addresses.
pub(crate) enum AnswerTarget {
    Root,
    Object(Arc<LocalObject>),
    /// The object in the result of another call of the peer.
    Awaited(CallId, Path),
}

impl AnswerTarget {
    /// Whether a call that is ready addresses what another one does that begins.
    fn is_as(&self, other: &BeginTarget) -> bool {
        match (self, other) {
            (Self::Root, BeginTarget::Root(_)) => true,
            (Self::Object(object), BeginTarget::Object(other)) => Arc::ptr_eq(object, other),
            (Self::Root | Self::Object(_) | Self::Awaited(..), _) => false,
        }
    }
}

/// A call that refers to nothing, and whose result nothing can refer to: as most are. Where its arguments are, all is known.
struct PlainAnswer {
    method: MethodNumber,
    deadline: Option<Time>,
    running: bool,
}

/// What a map returns, charged to its session as long as the answer is there.
struct KeptLayout {
    layout: Layout,
    _charge: Charge,
}

struct Answer {
    method: Method,
    target: AnswerTarget,
    /// Those that came with the call, until its arguments are read.
    objects: Vec<Passing>,
    want: Want,
    oneway: bool,
    deadline: Option<Time>,
    metadata: Vec<(String, String)>,
    stage: Stage,
    /// What a map returns, known from when it may start.
    returns: Option<KeptLayout>,
    /// A map that may start and has not.
    plan: Option<Box<Plan>>,
    /// The longest chain of unfinished calls that ends here.
    depth: usize,
    uses: Vec<Use>,
    /// The caller neither waits nor refers to it any more; it goes on only for the sake of `uses`.
    cancelled: bool,
    /// The Return was sent.
    returned: bool,
    /// A handler holds the permit.
    running: bool,
}

impl Answer {
    /// One that has just come.
    fn new(method: Method, target: AnswerTarget, want: Want) -> Self {
        Self {
            method,
            target,
            objects: Vec::new(),
            want,
            oneway: false,
            deadline: None,
            metadata: Vec::new(),
            stage: Stage::Arguments,
            returns: None,
            plan: None,
            depth: 1,
            uses: Vec::new(),
            cancelled: false,
            returned: false,
            running: false,
        }
    }
}

impl Answer {
    /// What its result looks like; not known of a map that may not start yet.
    fn result_layout(&self) -> Option<&Layout> {
        match &self.method {
            Method::Known(known) => Some(&known.descriptor.signature().result),
            Method::Map => self.returns.as_ref().map(|returns| &returns.layout),
            Method::Get | Method::Refused(_) => None,
        }
    }
}

enum Stage {
    /// Its arguments are on their way.
    Arguments,
    Waiting(Waiting),
    /// All arguments are here; it starts when the driver gets to it, or when it is its turn.
    Ready(Arguments),
    Running,
    Held(Box<Held>),
    /// It failed, or `origin` did, which it was built on.
    Failed {
        origin: CallId,
    },
}

struct Waiting {
    arguments: Vec<Argument>,
    objects: Vec<Passing>,
    missing: usize,
    bases: Vec<CallId>,
    /// What the references of a map were resolved to, and which argument each is.
    layouts: Vec<(usize, Layout)>,
}

enum Argument {
    One(Option<Encoded>),
    /// Encodes as its parts do, one behind the other.
    Tuple(Vec<Option<SmallBytes>>),
}

/// A call that waits for this answer, and where it wants which part of it.
struct Use {
    call: CallId,
    place: Place,
    path: Path,
    as_some: bool,
}

/// What of a call waits for a result.
#[derive(Clone, Copy)]
enum Place {
    Argument {
        index: usize,
        part: Option<usize>,
    },
    /// An entry of its table of objects.
    Object(usize),
    Target,
}

/// Why an answer has no value.
enum NoValue {
    Error(SmallBytes, Vec<PassedObject>),
    /// How an element failed, encoded.
    Element(SmallBytes),
    Failed(Failure),
    Upstream {
        origin: CallId,
        missed: Option<Path>,
    },
}

impl Answers {
    pub(crate) fn new(limits: Arc<Limits>, methods: PeerMethods, account: Account, work: Work) -> Self {
        Self {
            limits,
            methods,
            plain: IdMap::default(),
            table: IdMap::default(),
            now: Time::ZERO,
            last: CallId(0),
            books: Books::new(account),
            work,
            held_up: false,
            walked: 0,
            in_order: FxHashMap::default(),
            deadlines: Deadlines::default(),
            steps: VecDeque::new(),
            left_messages: 0,
            refusing: false,
            caller_payload_bytes_max: usize::MAX,
        }
    }

    /// The caller said how long a result it takes.
    pub(crate) fn caller_takes(&mut self, payload_bytes_max: usize) {
        self.caller_payload_bytes_max = payload_bytes_max;
    }

    /// The peer names a method.
    pub(crate) fn define(&mut self, define: Define) -> Result<(), Violation> {
        self.methods.define(define)
    }

    /// The method that the peer's number stands for.
    pub(crate) fn resolve(&self, number: MethodNumber) -> Result<Method, Violation> {
        self.methods.resolve(number)
    }

    /// From here on new calls are refused; they have not run.
    pub(crate) fn refuse_new_calls(&mut self) {
        self.refusing = true;
    }

    // ---- a call arrives ----

    /// Takes a call with these arguments, of a service at the root or of this object, if there is nothing to say against
    /// it. If there is, it leaves all as it was, and [`announce`](Self::announce) decides what becomes of the call.
    pub(crate) fn take_plain(
        &mut self,
        now: Time,
        call: &PlainCall,
        object: Option<&Arc<LocalObject>>,
        payload: SmallBytes,
        pending_elsewhere: usize,
        sending: &Sending,
    ) -> bool {
        let Some(Method::Known(known)) = self.methods.find_number(call.method) else { return false };
        let (known, target) = match object {
            None if self.methods.is_at_root(known) => (*known, BeginTarget::Root(known.service)),
            None => return false,
            Some(object) => match known.of(object.descriptor()) {
                Ok(known) => (known, BeginTarget::Object(Arc::clone(object))),
                Err(_) => return false,
            },
        };
        let head =
            CallHead { length: payload.len(), beside: 0, metadata: 0, keeps: false, pending_elsewhere };
        let is_plain = call.id > self.last
            && !known.ordered
            && known.descriptor.attributes.batch.is_none()
            && self.obstacle(&head, sending).is_none()
            && arguments::all_inline(&payload).is_some();
        if !is_plain {
            return false;
        }
        let deadline = call.deadline_us.map(|us| self.deadline_in(now, us));
        self.last = call.id;
        self.books.came(false);
        self.books.add_pending(payload.len());
        self.plain.insert(call.id, PlainAnswer { method: call.method, deadline, running: false });
        if let Some(deadline) = deadline {
            self.watch_deadline(call.id, deadline);
        }
        let begin = Begin {
            answer: call.id,
            target,
            service: known.descriptor_of_service,
            method: known.method,
            descriptor: known.descriptor,
            arguments: Arguments::Inline(payload),
            want: Want { value: true, keep: false },
            deadline,
            metadata: Vec::new(),
        };
        self.sweep_steps();
        self.steps.push_back(HandlerStep::BeginPlain(begin, now));
        true
    }

    /// Moves a plain call to where anything may become of it.
    fn promote(&mut self, id: CallId) {
        let Some(PlainAnswer { method, deadline, running }) = self.plain.remove(&id) else { return };
        let method =
            self.methods.resolve(method).unwrap_or(Method::Refused(Refused::As(Failure::UnknownMethod)));
        let mut answer = Answer::new(method, AnswerTarget::Root, Want { value: true, keep: false });
        answer.deadline = deadline;
        answer.running = running;
        // Before it starts, its arguments are where it waits for that.
        answer.stage = if running { Stage::Running } else { Stage::Ready(Arguments::none()) };
        self.table.insert(id, Box::new(answer));
    }

    /// Calls that are cancelled before they start leave their places behind. They are swept out when they are the most, so
    /// that a peer that makes calls and cancels them does not fill the memory while others keep the handlers busy.
    fn sweep_steps(&mut self) {
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

    fn deadline_in(&self, now: Time, us: u64) -> Time {
        now + Duration::from_micros(us).min(self.limits.deadline_max)
    }

    fn answer(&self, id: CallId) -> Option<&Answer> {
        self.table.get(&id).map(|answer| &**answer)
    }

    /// Enters a call whose payload of `length` bytes is here or will follow. A call that cannot be taken is answered
    /// at once; only what a peer that keeps to the protocol never does is a violation.
    pub(crate) fn announce(
        &mut self,
        now: Time,
        arriving: Arriving,
        sending: &mut Sending,
    ) -> Result<(), Violation> {
        self.now = now;
        self.sweep_steps();
        let id = arriving.call.id;
        if id <= self.last {
            return Err(Violation::IdReused(id.0));
        }
        self.last = id;
        let refusal = self.refusal(&arriving, sending)?;
        let Arriving { call, addressed, objects, .. } = arriving;
        let (target, method) = addressed
            .unwrap_or_else(|_| (AnswerTarget::Root, Method::Refused(Refused::As(Failure::UnknownMethod))));
        let deadline = call.deadline_us.map(|us| self.deadline_in(now, us));
        let objects = objects.unwrap_or_default();
        self.books.came(call.want.keep);
        self.books.add_pending(slots_bytes(&objects));
        if let Method::Known(KnownMethod { ordered: true, service, .. }) = method {
            self.in_order.entry(service).or_default().push_back(id);
        }
        let mut answer = Answer::new(method, target, call.want);
        answer.objects = objects;
        answer.oneway = call.oneway;
        answer.metadata = call.metadata;
        self.table.insert(id, Box::new(answer));
        self.tighten_deadline(id, deadline);
        if let Some(failure) = refusal {
            self.fail(id, NoValue::Failed(failure), sending);
        }
        Ok(())
    }

    /// Whether the method is of a service at the root.
    pub(crate) fn is_at_root(&self, method: &KnownMethod) -> bool {
        self.methods.is_at_root(method)
    }

    /// The peer may come to call objects of this service.
    pub(crate) fn learn(&mut self, service: &'static ServiceDescriptor) {
        self.methods.learn(service);
    }

    /// Whether the call's payload is wanted.
    pub(crate) fn is_waiting_for_arguments(&self, id: CallId) -> bool {
        self.table.get(&id).is_some_and(|answer| matches!(answer.stage, Stage::Arguments))
    }

    /// The call's arguments are complete.
    pub(crate) fn arguments(&mut self, id: CallId, payload: SmallBytes, sending: &mut Sending) {
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
            return self.start_with_values(id, arguments, sending);
        }
        let list = match ArgumentList::parse(payload) {
            Ok(list) => list,
            Err(violation) => {
                return self.fail(id, invalid_argument("(arguments)", &violation.to_string()), sending);
            }
        };
        if let Err(no_value) = self.enter_arguments(id, list) {
            self.fail(id, no_value, sending);
            return;
        }
        let ready = matches!(self.answer(id), Some(Answer { stage: Stage::Waiting(waiting), .. }) if waiting.missing == 0);
        if ready {
            self.make_ready(id, sending);
        }
    }

    fn enter_arguments(&mut self, id: CallId, list: ArgumentList) -> Result<(), NoValue> {
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
            if self.books.pending_with(waiting.bytes()) > self.limits.pending_bytes_max {
                return Err(NoValue::Failed(Failure::exhausted("pending_bytes_max")));
            }
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
    fn refer(&mut self, id: CallId, place: Place, reference: Reference) -> Result<(), NoValue> {
        let Reference { base, path, as_some } = reference;
        let name = self.argument_name(id, place);
        let refuse = |reason: &str| NoValue::Failed(Failure::invalid_reference(name, reason));
        let Some(source) = self.table.get(&base).filter(|source| base != id && source.want.keep) else {
            return Err(refuse(&format!("the result of call {} is not held", base.0)));
        };
        // Of a method that was refused, no layout is known; it failed when it came.
        if let (Stage::Failed { origin }, Method::Refused(_)) = (&source.stage, &source.method) {
            return Err(NoValue::Upstream { origin: *origin, missed: None });
        }
        let layout =
            self.check_layout(id, place, source, &path, as_some).map_err(|reason| refuse(&reason))?;
        let deadline = source.deadline.filter(|_| !source.returned);
        match &source.stage {
            Stage::Failed { origin } => return Err(NoValue::Upstream { origin: *origin, missed: None }),
            Stage::Held(held) => {
                let (selected, walked) = self.select(held, source, base, &path, as_some, name)?;
                self.spend(walked, &selected);
                return self.put(id, place, selected, layout);
            }
            Stage::Arguments | Stage::Waiting(_) | Stage::Ready(_) | Stage::Running => {}
        }
        let depth = source.depth + 1;
        if depth > self.limits.chain_depth_max {
            return Err(NoValue::Failed(Failure::exhausted("chain_depth_max")));
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

    /// A reference fits when the part it names has the same bytes as the argument it stands for. Gives the part's layout,
    /// or `None` as long as that of the source is not known: a map's is when it starts.
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
                    // Which service the payload wants there is seen when it is decoded.
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

    /// The encoded part of a held result, within what may be pending; and how many values were passed to find it.
    fn select(
        &self,
        held: &Held,
        source: &Answer,
        base: CallId,
        path: &Path,
        as_some: bool,
        argument: &'static str,
    ) -> Result<(Encoded, usize), NoValue> {
        let refuse = |reason: &str| NoValue::Failed(Failure::invalid_reference(argument, reason));
        let layout = source.result_layout().ok_or_else(|| refuse("it refers to no method's result"))?;
        let selected = held.select(layout, path.steps(), as_some).map_err(|error| match error {
            WalkError::Missed => NoValue::Upstream { origin: base, missed: Some(path.clone()) },
            other => refuse(&other.to_string()),
        })?;
        let Encoded { bytes, capabilities } = selected.part;
        // Streams in it belong to the call that got here first.
        let table = capabilities.as_deref().unwrap_or_default();
        let claimed: Option<Vec<Capability>> = table.iter().map(Capability::claimed).collect();
        let claimed = claimed.ok_or_else(|| refuse(STREAM_TAKEN))?;
        let part = Encoded { bytes, capabilities: encoded::capabilities(claimed) };
        if self.books.pending_with(part.size()) > self.limits.pending_bytes_max {
            return Err(NoValue::Failed(Failure::exhausted("pending_bytes_max")));
        }
        Ok((part, selected.walked))
    }

    /// A part was found behind so many values, and will be decoded where it goes.
    fn spend(&mut self, walked: usize, part: &Encoded) {
        self.walked += walked;
        self.work.spend(walked as u64 * work::STEP_NS + part.len() as u64 * work::BYTE_NS);
    }

    /// Puts what was selected out of a result in its place.
    fn put(
        &mut self,
        id: CallId,
        place: Place,
        selected: Encoded,
        layout: Option<Layout>,
    ) -> Result<(), NoValue> {
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
                // The result's layout says what it should be; one that was passed on for a peer may be something else.
                if let Method::Known(known) = answer.method {
                    answer.method = Method::Known(known.of(object.descriptor()).map_err(NoValue::Failed)?);
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

    fn tighten_deadline(&mut self, id: CallId, deadline: Option<Time>) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        let Some(deadline) = deadline else { return };
        if answer.deadline.is_none_or(|own| deadline < own) {
            answer.deadline = Some(deadline);
            self.watch_deadline(id, deadline);
        }
    }

    fn watch_deadline(&mut self, id: CallId, deadline: Time) {
        let Self { deadlines, plain, table, .. } = self;
        deadlines.watch(deadline, id, table.len() + plain.len(), |id, at| is_due(plain, table, id, at));
    }

    // ---- a call starts ----

    /// A call that refers to nothing, as most do.
    fn start_with_values(&mut self, id: CallId, arguments: Arguments, sending: &mut Sending) {
        let takes = match self.table.get(&id).map(|answer| &answer.method) {
            Some(Method::Get) => Some(GET_ARGUMENTS),
            Some(Method::Map) => Some(MAP_ARGUMENTS),
            Some(Method::Known(_) | Method::Refused(_)) | None => None,
        };
        if let Some(takes) = takes {
            return self.fail(id, invalid_argument("(arguments)", takes), sending);
        }
        self.books.add_pending(arguments.bytes());
        self.start(id, arguments, Vec::new(), sending);
    }

    fn make_ready(&mut self, id: CallId, sending: &mut Sending) {
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
        self.start(id, arguments, layouts, sending);
    }

    /// Lets a call start whose arguments are all here, when it is its turn.
    fn start(
        &mut self,
        id: CallId,
        mut arguments: Arguments,
        layouts: Vec<(usize, Layout)>,
        sending: &mut Sending,
    ) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        match &answer.method {
            Method::Get => {
                self.books.remove_pending(arguments.bytes());
                let Encoded { bytes, capabilities } = arguments.into_encoded().next().unwrap_or_default();
                let objects = capabilities.as_deref().unwrap_or_default().to_vec();
                self.finish(id, Outcome::Value { payload: Some(bytes), objects }, sending);
            }
            Method::Map => {
                let plan = plan(&arguments, layouts, &self.methods, &self.limits);
                self.work.spend(arguments.bytes() as u64 * work::BYTE_NS);
                answer.stage = Stage::Ready(arguments);
                match plan {
                    Ok(plan) => {
                        let bytes = plan.layout_bytes();
                        if self.books.held().saturating_add(bytes) > self.limits.held_bytes_max {
                            return self.fail(
                                id,
                                NoValue::Failed(Failure::exhausted("held_bytes_max")),
                                sending,
                            );
                        }
                        self.work.spend(bytes as u64 * work::LAYOUT_BYTE_NS);
                        // The layouts of the whole plan, of which this is the outermost.
                        let charge = self.books.elsewhere().charge(bytes);
                        let layout = plan.returns.clone();
                        answer.returns = Some(KeptLayout { layout, _charge: charge });
                        answer.plan = Some(Box::new(plan));
                        self.steps.push_back(HandlerStep::Begin(id, self.now));
                    }
                    Err(failure) => self.fail(id, NoValue::Failed(failure), sending),
                }
            }
            Method::Known(known) => {
                let (service, ordered) = (known.service, known.ordered);
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

    /// Starts the calls of an ordered service up to the first that still waits.
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

    fn leave_order(&mut self, id: CallId) {
        if let Some(Answer { method: Method::Known(KnownMethod { ordered: true, service, .. }), .. }) =
            self.answer(id)
        {
            let service = *service;
            // Left in its place behind a call that waits, it would stay for as long as that one does.
            if let Some(queue) = self.in_order.get_mut(&service)
                && let Ok(place) = queue.binary_search(&id)
            {
                queue.remove(place);
            }
            self.start_in_order(service);
        }
    }

    /// What is to happen next to a handler, in the order in which calls became ready.
    pub(crate) fn pop_step(&mut self, now: Time, may_start: bool, sending: &mut Sending) -> Option<NextStep> {
        self.now = now;
        loop {
            let Some(next) = self.steps.front() else {
                self.held_up = false;
                // An idle session keeps the queue's room.
                if self.steps.capacity() > STEPS_KEPT {
                    self.steps = VecDeque::new();
                }
                return None;
            };
            self.held_up = sending.bytes() > self.limits.outgoing_bytes_max;
            if (self.held_up || !may_start) && !matches!(next, HandlerStep::Cancel(_)) {
                return None;
            }
            let step = self.steps.pop_front()?;
            self.left_messages = self.left_messages.saturating_sub(1);
            let id = match step {
                HandlerStep::Cancel(id) => return Some(NextStep::Cancel(id)),
                HandlerStep::BeginPlain(begin, since) => {
                    self.books.remove_pending(begin.arguments.bytes());
                    // Fields by value: one whose address is taken is copied once more.
                    let (answer, method, deadline) = (begin.answer, begin.descriptor, begin.deadline);
                    if self.starts_plain(answer, method, is_too_late(since, deadline, now), sending) {
                        return Some(NextStep::Begin(begin));
                    }
                    continue;
                }
                HandlerStep::Begin(id, since) => {
                    let deadline = self.answer(id).and_then(|answer| answer.deadline);
                    if is_too_late(since, deadline, now) {
                        self.give_up(id, sending);
                        continue;
                    }
                    id
                }
            };
            if let Some(limit) = self.has_no_memory_for(id) {
                self.fail(id, NoValue::Failed(Failure::exhausted(limit)), sending);
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

    /// Calls that have waited to start for a while let go of the message that they came in, which may be much longer than
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
        sending: &mut Sending,
    ) -> bool {
        // It may have been cancelled.
        let Some(plain) = self.plain.get_mut(&id) else { return false };
        if is_too_late {
            self.give_up(id, sending);
            return false;
        }
        plain.running = true;
        method.expected_bytes() == 0 || self.starts_large(id, method, sending)
    }

    /// The same of one that is expected to return much.
    #[cold]
    fn starts_large(&mut self, id: CallId, method: &MethodDescriptor, sending: &mut Sending) -> bool {
        // What it returns is looked at there.
        self.promote(id);
        let Some(limit) = self.lacks(self.expected(method)) else { return true };
        if let Some(answer) = self.table.get_mut(&id) {
            answer.running = false;
        }
        self.fail(id, NoValue::Failed(Failure::exhausted(limit)), sending);
        false
    }

    /// What a call of the method is expected to return here.
    fn expected(&self, method: &MethodDescriptor) -> usize {
        method.expected_bytes().min(self.limits.payload_bytes_max)
    }

    /// The limit that has no room for what a call will keep or return, as far as that is known.
    fn has_no_memory_for(&mut self, id: CallId) -> Option<&'static str> {
        let answer = self.answer(id)?;
        let expected = match &answer.method {
            Method::Known(known) => self.expected(known.descriptor),
            _ => 0,
        };
        if expected == 0 {
            // What little it keeps is too much only where there is nothing left.
            return self.books.short_of().filter(|_| answer.want.keep);
        }
        // It is sent, and kept.
        self.lacks(if answer.want.keep { 2 * expected } else { expected })
    }

    /// Whether calls that had to wait for what is to be sent to leave may start.
    pub(crate) fn may_go_on(&self, sending: &Sending) -> bool {
        self.held_up && sending.bytes() <= self.limits.outgoing_bytes_max
    }

    /// A handler that was given so much goes on by itself, and is expected to return so much.
    pub(crate) fn goes_on(&mut self, given: usize, expected: usize) {
        self.books.goes_on(given, expected);
    }

    /// It is over.
    pub(crate) fn came_back(&mut self, given: usize, expected: usize) {
        self.books.came_back(given, expected);
    }

    /// Holds what is kept for the peer's calls, `beside` so much, and `more` that comes, against what may be. Gives the limit
    /// that leaves no memory for more.
    pub(crate) fn settle_memory(&mut self, beside: usize, more: usize) -> Option<&'static str> {
        self.books.settle(beside, more)
    }

    /// The limit that has no room for so much more, if any.
    pub(crate) fn lacks(&mut self, more: usize) -> Option<&'static str> {
        self.books.lacks(more)
    }

    /// What a value may take that is decoded now, and the limit that says so.
    pub(crate) fn memory_left(&self) -> (usize, &'static str) {
        self.books.memory_left()
    }

    /// Whether what is kept must be looked at: something of the shared budget may have to be given back, or there was too
    /// little.
    pub(crate) fn is_watched(&self) -> bool {
        self.books.is_watched()
    }

    /// What maps charge that run by themselves.
    pub(crate) fn elsewhere(&self) -> &Elsewhere {
        self.books.elsewhere()
    }

    /// All that is kept for the peer's calls.
    pub(crate) fn bytes(&self) -> usize {
        self.books.bytes()
    }

    /// Calls that may start.
    pub(crate) fn waiting(&self) -> usize {
        self.steps.len()
    }

    /// At most `many` other calls of the same method that may start, taken out of their places behind `first`. What is
    /// ordered stays so: there only calls are taken that no call of another method of the service stands before.
    pub(crate) fn pop_alike(&mut self, first: &Begin, many: usize, sending: &mut Sending) -> Vec<Begin> {
        self.left_messages = 0;
        let expected = self.expected(first.descriptor);
        let room = self.memory_left().0.min(self.limits.outgoing_bytes_max);
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
                self.give_up(id, sending);
                continue;
            }
            match &answer.method {
                Method::Known(known)
                    if std::ptr::eq(known.descriptor, first.descriptor)
                        && answer.target.is_as(&first.target) =>
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
            // Behind the program.
            captures: given.skip(1).collect(),
            passed,
            want,
            deadline: answer.deadline,
            metadata: std::mem::take(&mut answer.metadata),
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
        // Released already, it is still needed for the calls that wait for it.
        let want = Want { keep: answer.want.keep || !answer.uses.is_empty(), ..answer.want };
        let Stage::Ready(arguments) = std::mem::replace(&mut answer.stage, Stage::Running) else {
            return None;
        };
        answer.running = true;
        self.books.remove_pending(arguments.bytes());
        // The handler keeps the object; an answer that is kept for its result does not.
        let target = match std::mem::replace(&mut answer.target, AnswerTarget::Root) {
            AnswerTarget::Object(object) => BeginTarget::Object(object),
            AnswerTarget::Root | AnswerTarget::Awaited(..) => BeginTarget::Root(known.service),
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
            metadata: std::mem::take(&mut answer.metadata),
        })
    }

    // ---- a call ends ----

    /// The handler is over.
    pub(crate) fn finish(&mut self, id: CallId, outcome: Outcome, sending: &mut Sending) {
        match outcome {
            Outcome::Value { payload: Some(payload), objects }
                if objects.is_empty()
                    && payload.len() <= INLINE_BYTES_MAX.min(self.caller_payload_bytes_max)
                    && self.plain.remove(&id).is_some() =>
            {
                self.books.is_over();
                sending.put_value(id, &payload);
            }
            outcome => {
                self.promote(id);
                self.finish_any(id, outcome, sending);
            }
        }
    }

    fn finish_any(&mut self, id: CallId, outcome: Outcome, sending: &mut Sending) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        answer.running = false;
        if answer.returned {
            self.settle(id);
            return;
        }
        if let (Outcome::Value { payload: Some(payload), .. }, Method::Known(known)) =
            (&outcome, &answer.method)
        {
            known.descriptor.returned(payload.len());
        }
        let oneway = answer.oneway;
        match self.value_of(outcome, oneway, sending) {
            Ok((payload, objects)) => self.finish_value(id, payload, objects, sending),
            Err(no_value) => self.fail(id, no_value, sending),
        }
    }

    /// The encoded value of an outcome and the objects that it names, or why it has none.
    fn value_of(
        &self,
        outcome: Outcome,
        oneway: bool,
        sending: &mut Sending,
    ) -> Result<(Option<SmallBytes>, Vec<Capability>), NoValue> {
        let too_large = |bytes: &SmallBytes| bytes.len() > self.caller_payload_bytes_max;
        Err(match outcome {
            Outcome::Value { payload, objects } => return Ok((payload, objects)),
            Outcome::Error(bytes, _) if too_large(&bytes) => {
                NoValue::Failed(Failure::exhausted("payload_bytes_max"))
            }
            Outcome::Element(failure) => {
                let mut bytes = Vec::new();
                failure.put(&mut bytes);
                let bytes = SmallBytes::from(bytes);
                match too_large(&bytes) {
                    true => NoValue::Failed(Failure::exhausted("payload_bytes_max")),
                    false => NoValue::Element(bytes),
                }
            }
            // The caller of a one-way call hears of no error: objects in it would be introduced to nobody.
            Outcome::Error(bytes, _) if oneway => NoValue::Error(bytes, Vec::new()),
            Outcome::Error(bytes, objects) => match sending.pass_result(&objects) {
                Ok(passed) => NoValue::Error(bytes, passed),
                Err(failure) => NoValue::Failed(failure),
            },
            Outcome::Failed(failure) => NoValue::Failed(failure),
        })
    }

    /// Answers a call with its value, gives that to calls which wait for it, and keeps it for later ones.
    fn finish_value(
        &mut self,
        id: CallId,
        payload: Option<SmallBytes>,
        objects: Vec<Capability>,
        sending: &mut Sending,
    ) {
        let Some(answer) = self.table.get(&id) else { return };
        let keeps = (answer.want.keep && !answer.cancelled) || !answer.uses.is_empty();
        let sent = payload.clone().filter(|_| answer.want.value && !answer.oneway);
        let held = payload.filter(|_| keeps).map(|bytes| {
            let capabilities = if objects.is_empty() { None } else { Some(objects.clone().into()) };
            Box::new(Held::new(Encoded { bytes, capabilities }))
        });
        let is_too_long =
            held.as_ref().is_some_and(|held| held.value().len() > self.limits.payload_bytes_max);
        let is_too_long =
            is_too_long || sent.as_ref().is_some_and(|bytes| bytes.len() > self.caller_payload_bytes_max);
        if is_too_long {
            return self.fail(id, NoValue::Failed(Failure::exhausted("payload_bytes_max")), sending);
        }
        if let Some(held) = &held
            && let Some(limit) = self.has_no_room_to_hold(held.size())
        {
            return self.fail(id, NoValue::Failed(Failure::exhausted(limit)), sending);
        }
        let has_streams = objects.iter().any(|object| matches!(object, Capability::Stream(_)));
        if let (Some(held), true) = (&held, has_streams) {
            // Calls that were built on it get its streams, not a caller who may never ask for them.
            let answer = self.table.get_mut(&id);
            let uses = answer.map(|answer| std::mem::take(&mut answer.uses)).unwrap_or_default();
            self.resolve_uses(id, held, uses, sending);
        }
        let passed = match &sent {
            Some(_) => sending.pass_result(&objects),
            None => Ok(Vec::new()),
        };
        let passed = match passed {
            Ok(passed) => passed,
            Err(failure) => return self.fail(id, NoValue::Failed(failure), sending),
        };
        let Some(answer) = self.table.get_mut(&id) else { return };
        answer.returned = true;
        let uses = std::mem::take(&mut answer.uses);
        match sent {
            Some(payload) => {
                let payload = sending.payload(id, true, payload, write::objects_bytes(&passed));
                put_return(sending, id, passed, Status::Value(payload));
            }
            None => put_return(sending, id, Vec::new(), Status::Done),
        }
        if let Some(held) = held {
            self.resolve_uses(id, &held, uses, sending);
            self.hold(id, held);
        }
        self.settle(id);
    }

    /// The limit that has no room for so much more that is kept.
    fn has_no_room_to_hold(&mut self, bytes: usize) -> Option<&'static str> {
        if self.books.held().saturating_add(bytes) > self.limits.held_bytes_max {
            return Some("held_bytes_max");
        }
        if bytes < SETTLED_BYTES { None } else { self.lacks(bytes) }
    }

    fn hold(&mut self, id: CallId, held: Box<Held>) {
        if let Some(answer) = self.table.get_mut(&id)
            && answer.want.keep
        {
            self.books.hold(held.size());
            answer.stage = Stage::Held(held);
        }
    }

    /// Gives a finished result to the calls that wait for it, in the order in which they were made.
    fn resolve_uses(&mut self, base: CallId, held: &Held, mut uses: Vec<Use>, sending: &mut Sending) {
        // Arguments that came in chunks were read later than those of calls made after.
        uses.sort_by_key(|used| used.call);
        for Use { call, place, path, as_some } in uses {
            let Some(Answer { stage: Stage::Waiting(_), .. }) = self.answer(call) else { continue };
            let selected = self.resolve_late(base, held, call, place, &path, as_some);
            if let Err(no_value) =
                selected.and_then(|(selected, layout)| self.put(call, place, selected, layout))
            {
                self.fail(call, no_value, sending);
                continue;
            }
            let ready = matches!(self.answer(call), Some(Answer { stage: Stage::Waiting(waiting), .. }) if waiting.missing == 0);
            if ready {
                self.make_ready(call, sending);
            }
        }
    }

    /// The part of a finished result that a call waits for. What could not be checked when the call arrived is now.
    fn resolve_late(
        &mut self,
        base: CallId,
        held: &Held,
        call: CallId,
        place: Place,
        path: &Path,
        as_some: bool,
    ) -> Result<(Encoded, Option<Layout>), NoValue> {
        let name = self.argument_name(call, place);
        let is_map = |id| self.table.get(id).is_some_and(|answer| matches!(answer.method, Method::Map));
        let gone = || NoValue::Failed(Failure::invalid_reference(name, "its result is gone"));
        let source = self.table.get(&base).ok_or_else(gone)?;
        let layout = if is_map(&base) || is_map(&call) {
            self.check_layout(call, place, source, path, as_some)
                .map_err(|reason| NoValue::Failed(Failure::invalid_reference(name, &reason)))?
        } else {
            None
        };
        let (part, walked) = self.select(held, source, base, path, as_some, name)?;
        self.spend(walked, &part);
        Ok((part, layout))
    }

    /// Answers a call without a value; then the calls that were built on it.
    fn fail(&mut self, id: CallId, no_value: NoValue, sending: &mut Sending) {
        let mut failing = VecDeque::from([(id, no_value)]);
        while let Some((id, no_value)) = failing.pop_front() {
            let Some(answer) = self.table.get_mut(&id).filter(|answer| !answer.returned) else { continue };
            answer.returned = true;
            let origin = match &no_value {
                NoValue::Upstream { origin, missed: None } => *origin,
                NoValue::Upstream { .. } | NoValue::Error(..) | NoValue::Element(_) | NoValue::Failed(_) => {
                    id
                }
            };
            let uses = std::mem::take(&mut answer.uses);
            let stage = std::mem::replace(&mut answer.stage, Stage::Failed { origin });
            let oneway = answer.oneway;
            // They would stay with the marker until that is released.
            answer.metadata = Vec::new();
            answer.plan = None;
            drop(take_objects(answer, &mut self.books));
            answer.target = AnswerTarget::Root;
            self.drop_arguments(id, stage, sending);
            let (objects, status) = match no_value {
                _ if oneway => (Vec::new(), Status::Done),
                NoValue::Error(bytes, objects) => {
                    let payload = sending.payload(id, true, bytes, write::objects_bytes(&objects));
                    (objects, Status::Error(payload))
                }
                NoValue::Element(bytes) => (Vec::new(), Status::Element(sending.payload(id, true, bytes, 0))),
                NoValue::Failed(failure) => (Vec::new(), Status::Failed(failure)),
                NoValue::Upstream { origin, missed } => (Vec::new(), Status::Upstream { origin, missed }),
            };
            put_return(sending, id, objects, status);
            failing
                .extend(uses.into_iter().map(|used| (used.call, NoValue::Upstream { origin, missed: None })));
            self.leave_order(id);
            self.settle(id);
        }
    }

    /// Lets go of the arguments of a call that will not start, and of its claims on other calls.
    fn drop_arguments(&mut self, id: CallId, stage: Stage, sending: &mut Sending) {
        match stage {
            Stage::Waiting(mut waiting) => {
                self.books.remove_pending(waiting.bytes());
                waiting.bases.sort_unstable();
                waiting.bases.dedup();
                for base in waiting.bases {
                    if let Some(source) = self.table.get_mut(&base) {
                        source.uses.retain(|used| used.call != id);
                        self.stop_if_unneeded(base, sending);
                    }
                }
            }
            Stage::Ready(arguments) => self.books.remove_pending(arguments.bytes()),
            Stage::Arguments | Stage::Running | Stage::Held(_) | Stage::Failed { .. } => {}
        }
    }

    /// Frees the permit once the call was answered and no handler runs; forgets the answer unless it is kept.
    fn settle(&mut self, id: CallId) {
        let Some(answer) = self.table.get(&id) else { return };
        if !answer.returned || answer.running {
            return;
        }
        self.books.is_over();
        if !answer.want.keep {
            self.table.remove(&id);
        } else if answer.cancelled {
            self.let_go(id);
        }
    }

    // ---- the caller loses interest ----

    /// The caller neither waits for the value nor will refer to it again.
    pub(crate) fn cancel(&mut self, id: CallId, sending: &mut Sending) -> Result<(), Violation> {
        if id > self.last {
            return Err(Violation::UnknownCall(id.0));
        }
        self.promote(id);
        // Answered and forgotten: the cancel crossed the return on the wire.
        let Some(answer) = self.table.get_mut(&id).filter(|answer| !answer.cancelled) else { return Ok(()) };
        answer.cancelled = true;
        if answer.want.keep && answer.uses.is_empty() {
            self.let_go(id);
        }
        self.stop_if_unneeded(id, sending);
        Ok(())
    }

    /// Stops a cancelled call that no other call waits for.
    fn stop_if_unneeded(&mut self, id: CallId, sending: &mut Sending) {
        let Some(answer) = self.table.get(&id) else { return };
        if !answer.cancelled || !answer.uses.is_empty() {
            return;
        }
        if answer.returned {
            return;
        }
        match answer.stage {
            Stage::Running => self.steps.push_front(HandlerStep::Cancel(id)),
            Stage::Arguments | Stage::Waiting(_) | Stage::Ready(_) => {
                self.fail(id, NoValue::Failed(Failure::Cancelled), sending);
            }
            Stage::Held(_) | Stage::Failed { .. } => {}
        }
    }

    /// The caller will not refer to the result again.
    pub(crate) fn release(&mut self, id: CallId) -> Result<(), Violation> {
        if !self.table.get(&id).is_some_and(|answer| answer.want.keep && !answer.cancelled) {
            return Err(Violation::UnknownRelease(id.0));
        }
        self.let_go(id);
        Ok(())
    }

    /// Keeps the answer no longer than its call is unfinished.
    fn let_go(&mut self, id: CallId) {
        let Some(answer) = self.table.get_mut(&id) else { return };
        answer.want.keep = false;
        self.books.let_go(match &answer.stage {
            Stage::Held(held) => held.size(),
            _ => 0,
        });
        if answer.returned && !answer.running {
            self.table.remove(&id);
        }
    }

    // ---- time ----

    pub(crate) fn timeout(&mut self) -> Option<Time> {
        let Self { deadlines, plain, table, .. } = self;
        deadlines.next(|id, at| is_due(plain, table, id, at))
    }

    /// Answers the calls whose deadline has passed; a handler that runs is told to stop and keeps its permit until it
    /// has.
    pub(crate) fn expire(&mut self, now: Time, sending: &mut Sending) {
        while let Some((at, id)) = self.deadlines.pop_passed(now) {
            if !is_due(&self.plain, &self.table, id, at) {
                continue;
            }
            self.promote(id);
            if self.table.get(&id).is_some_and(|answer| answer.running) {
                self.steps.push_front(HandlerStep::Cancel(id));
            }
            self.give_up(id, sending);
        }
    }

    /// Answers a call that cannot be done in its time.
    fn give_up(&mut self, id: CallId, sending: &mut Sending) {
        self.promote(id);
        self.fail(id, NoValue::Failed(Failure::DeadlineExceeded), sending);
    }

    // ---- figures ----

    /// Whether so many values were passed to find parts; then counts anew.
    pub(crate) fn take_walked(&mut self, many: usize) -> bool {
        let is_many = self.walked >= many;
        if is_many {
            self.walked = 0;
        }
        is_many
    }

    /// Calls that wait or run.
    pub(crate) fn unfinished(&self) -> usize {
        self.books.unfinished()
    }

    /// Results and failures kept for the caller, of calls that are over.
    pub(crate) fn held(&self) -> usize {
        self.table.len() + self.plain.len() - self.books.unfinished()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.books.held()
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.books.pending()
    }

    #[cfg(test)]
    pub(crate) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    #[cfg(test)]
    pub(crate) fn in_order(&self) -> usize {
        self.in_order.values().map(VecDeque::len).sum()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
            && self.plain.is_empty()
            && self.books.keeping() == 0
            && self.in_order.values().all(VecDeque::is_empty)
            && self.steps.is_empty()
    }
}

const GET_ARGUMENTS: &str = "the built-in call takes one reference";
const MAP_ARGUMENTS: &str = "a map takes a reference, a program and references";

fn are_map_arguments(slots: &[Slot]) -> bool {
    let is_reference = |slot: &Slot| matches!(slot, Slot::Reference(Reference { as_some: false, .. }));
    matches!(slots, [source, Slot::Inline(_), captures @ ..] if is_reference(source) && captures.iter().all(is_reference))
}

/// Checks a map whose references are all resolved.
fn plan(
    arguments: &Arguments,
    mut layouts: Vec<(usize, Layout)>,
    methods: &PeerMethods,
    limits: &Limits,
) -> Result<Plan, Failure> {
    layouts.sort_by_key(|(index, _)| *index);
    let mut layouts = layouts.into_iter().map(|(_, layout)| layout);
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

/// An argument that waits keeps its own bytes, not all of the message they came in. A long one is most of its message.
fn leave_message(argument: &mut SmallBytes) {
    argument.leave_message(CHUNK_BYTES);
}

impl Waiting {
    fn leave_message(&mut self) {
        for argument in &mut self.arguments {
            match argument {
                Argument::One(encoded) => {
                    encoded.iter_mut().for_each(|encoded| leave_message(&mut encoded.bytes));
                }
                Argument::Tuple(parts) => parts.iter_mut().flatten().for_each(leave_message),
            }
        }
    }

    /// What the arguments take: their bytes, and their places, of which there may be more than bytes.
    fn bytes(&self) -> usize {
        let one = |length: Option<usize>| size_of::<Argument>() + length.unwrap_or(0);
        let arguments: usize = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::One(encoded) => one(encoded.as_ref().map(Encoded::size)),
                Argument::Tuple(parts) => {
                    parts.iter().map(|part| one(part.as_ref().map(|part| part.len()))).sum()
                }
            })
            .sum();
        arguments + slots_bytes(&self.objects)
    }
}

impl Argument {
    fn into_encoded(self) -> Encoded {
        match self {
            Self::One(encoded) => encoded.unwrap_or_default(),
            Self::Tuple(parts) => {
                let parts: Vec<SmallBytes> = parts.into_iter().flatten().collect();
                parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<u8>>().into()
            }
        }
    }
}

/// Whether this is the deadline of a call that was not answered.
fn is_due(
    plain: &IdMap<CallId, PlainAnswer>,
    table: &IdMap<CallId, Box<Answer>>,
    id: CallId,
    at: Time,
) -> bool {
    match plain.get(&id) {
        Some(plain) => plain.deadline == Some(at),
        None => table.get(&id).is_some_and(|answer| !answer.returned && answer.deadline == Some(at)),
    }
}

/// Whether a call that could have started then is not worth starting now.
fn is_too_late(since: Time, deadline: Option<Time>, now: Time) -> bool {
    deadline.is_some_and(|deadline| since.too_late(deadline) <= now)
}

/// What a table takes that came with a call.
fn slots_bytes(objects: &[Passing]) -> usize {
    size_of_val(objects)
}

/// The table that came with a call, which counts as pending until it is taken.
fn take_objects(answer: &mut Answer, books: &mut Books) -> Vec<Passing> {
    let objects = std::mem::take(&mut answer.objects);
    books.remove_pending(slots_bytes(&objects));
    objects
}

/// The table that came with a call, once all its entries are here.
fn settled(objects: Vec<Passing>) -> Capabilities {
    let here = |object| match object {
        Passing::Settled(capability) => Some(capability),
        Passing::Result(..) => None,
    };
    encoded::capabilities(objects.into_iter().filter_map(here).collect())
}

/// The object that a selected part is, as its layout says.
fn only_object(selected: &Encoded) -> Result<Capability, NoValue> {
    selected.only_object().ok_or_else(no_object)
}

fn no_object() -> NoValue {
    NoValue::Failed(Failure::invalid_reference("(target)", "there is no object"))
}

fn put_return(sending: &mut Sending, id: CallId, objects: Vec<PassedObject>, status: Status) {
    sending.put_return(&Return { id, objects, status });
}

fn invalid_argument(argument: &str, reason: &str) -> NoValue {
    NoValue::Failed(Failure::InvalidArgument { argument: argument.into(), reason: reason.into() })
}

fn misfit(from: &str, path: &Path, found: &Layout, wanted: &Layout) -> String {
    format!("`{from}` has {found} at {path}, but {wanted} is due")
}
