//! The calls this side answers: waiting for the calls they are built on, running, and kept for the calls built on them.
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

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use self::books::Books;
use super::{
    account::{Account, Charge},
    due::Deadlines,
    events::{Arguments, Begin, BeginExtras, BeginMap, BeginTarget},
    methods::{Method, PeerMethods},
    plan::Plan,
    work::Work,
};
use crate::{
    buffer::small_bytes::SmallBytes,
    id_map::IdMap,
    limits::Limits,
    path::Path,
    schema::layout::Layout,
    time::Time,
    value::{
        encoded::{Encoded, Passing},
        held::Held,
        object::LocalObject,
    },
    wire::{CHUNK_BYTES, Call, CallId, Failure, MethodNumber, Want},
};

pub(super) mod admission;
mod books;
pub(crate) mod ending;
pub(crate) mod resolving;
pub(crate) mod starting;

pub(crate) struct Answers {
    limits: Arc<Limits>,
    pub(super) methods: PeerMethods,
    /// Plain calls. `promote` moves one to `table` before anything but run-and-answer happens to it.
    plain: IdMap<CallId, PlainAnswer>,
    /// All other calls. Boxed, because an idle session keeps the table's capacity.
    table: IdMap<CallId, Box<Answer>>,
    /// The time when a call last came or started.
    now: Time,
    /// How long ago the peer first sent the calls that are read now.
    late: std::time::Duration,
    last: CallId,
    pub(super) books: Books,
    work: Work,
    /// Whether ready calls wait because too much waits to be sent.
    held_up: bool,
    /// The number of values in kept results that were passed to find parts, since this was last taken.
    walked: usize,
    /// Calls of ordered services that have not started, by service; ids rise.
    in_order: FxHashMap<usize, VecDeque<CallId>>,
    deadlines: Deadlines,
    steps: VecDeque<HandlerStep>,
    /// The number of steps, from the first on, whose calls have been copied out of their messages.
    left_messages: usize,
    refusing: bool,
    /// A rule that a test adds to those of [`admission`].
    #[cfg(test)]
    pub(super) added_rule: Option<&'static str>,
    /// The longest result the caller takes.
    caller_payload_bytes_max: usize,
}

/// The service or object that a call of the peer addresses.
pub(crate) enum AnswerTarget {
    Root,
    Object(Arc<LocalObject>),
    /// The object in the result of another call of the peer.
    Awaited(CallId, Path),
}

impl AnswerTarget {
    /// Whether a ready call has the same target as a call that begins.
    fn is_as(&self, other: &BeginTarget) -> bool {
        match (self, other) {
            (Self::Root, BeginTarget::Root(_)) => true,
            (Self::Object(object), BeginTarget::Object(other)) => Arc::ptr_eq(object, other),
            (Self::Root | Self::Object(_) | Self::Awaited(..), _) => false,
        }
    }
}

/// A plain call: no references, objects or metadata, and its result is not kept. Its arguments lie with its step.
struct PlainAnswer {
    method: MethodNumber,
    deadline: Option<Time>,
    running: bool,
}

struct Answer {
    method: Method,
    target: AnswerTarget,
    /// The objects that came with the call, until its arguments are read.
    objects: Vec<Passing>,
    want: Want,
    oneway: bool,
    deadline: Option<Time>,
    extras: Option<Box<BeginExtras>>,
    stage: Stage,
    /// The layout of a map's result; known once the map may start.
    returns: Option<KeptLayout>,
    /// The plan of a map that may start and has not.
    plan: Option<Box<Plan>>,
    /// The longest chain of unfinished calls that ends here.
    depth: usize,
    uses: Vec<Use>,
    /// Whether the caller neither waits for it nor refers to it any more; it goes on only for the sake of `uses`.
    cancelled: bool,
    /// Whether the Return was sent.
    returned: bool,
    /// Whether a handler holds the permit.
    running: bool,
}

impl Answer {
    /// The answer to a call that has just come.
    fn new(method: Method, target: AnswerTarget, want: Want) -> Self {
        Self {
            method,
            target,
            objects: Vec::new(),
            want,
            oneway: false,
            deadline: None,
            extras: None,
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
    /// The layout of the result; not known for a map that may not start yet.
    fn result_layout(&self) -> Option<&Layout> {
        match &self.method {
            Method::Known(known) => Some(&known.descriptor.signature().result),
            Method::Map => self.returns.as_ref().map(|returns| &returns.layout),
            Method::Get | Method::Refused(_) => None,
        }
    }
}

enum Stage {
    /// The arguments are on their way.
    Arguments,
    Waiting(Waiting),
    /// All arguments are here; the call starts when the driver gets to it, or when it is its turn.
    Ready(Arguments),
    Running,
    Held(Box<Held>),
    /// The call failed, or `origin` did, which it was built on.
    Failed {
        origin: CallId,
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
            late: std::time::Duration::ZERO,
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
            #[cfg(test)]
            added_rule: None,
            caller_payload_bytes_max: usize::MAX,
        }
    }

    /// Sets the longest result that the caller takes.
    pub(crate) fn caller_takes(&mut self, payload_bytes_max: usize) {
        self.caller_payload_bytes_max = payload_bytes_max;
    }

    /// Gives back the room that calls which are over have left.
    pub(crate) fn rest(&mut self) {
        self.plain.shrink_to_fit();
        self.table.shrink_to_fit();
        self.steps.shrink_to_fit();
        self.methods.shrink();
    }

    /// The entries that there is room for: plain calls, all others, and calls that are to start.
    #[cfg(test)]
    pub(crate) fn room(&self) -> [usize; 3] {
        [self.plain.capacity(), self.table.capacity(), self.steps.capacity()]
    }

    /// Refuses new calls from here on.
    pub(crate) fn refuse_new_calls(&mut self) {
        self.refusing = true;
    }

    fn answer(&self, id: CallId) -> Option<&Answer> {
        self.table.get(&id).map(|answer| &**answer)
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

    // ---- time ----

    pub(crate) fn timeout(&mut self) -> Option<Time> {
        let Self { deadlines, plain, table, .. } = self;
        deadlines.next(|id, at| is_due(plain, table, id, at))
    }

    // ---- figures ----

    /// Whether at least `many` values were passed to find parts; then counts anew.
    pub(crate) fn take_walked(&mut self, many: usize) -> bool {
        let is_many = self.walked >= many;
        if is_many {
            self.walked = 0;
        }
        is_many
    }

    /// The number of results and failures kept for the caller, of calls that are over.
    pub(crate) fn held(&self) -> usize {
        self.table.len() + self.plain.len() - self.books.unfinished()
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

/// Whether `at` is the deadline of a call that was not answered yet.
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

/// The memory of the table of objects that came with a call.
fn slots_bytes(objects: &[Passing]) -> usize {
    size_of_val(objects)
}

/// Takes the table of objects that came with a call; it counts as pending until then.
fn take_objects(answer: &mut Answer, books: &mut Books) -> Vec<Passing> {
    let objects = std::mem::take(&mut answer.objects);
    books.remove_pending(slots_bytes(&objects));
    objects
}

pub(super) struct Waiting {
    arguments: Vec<Argument>,
    objects: Vec<Passing>,
    missing: usize,
    pub(super) bases: Vec<CallId>,
    /// The layouts that the references of a map were resolved to, by the index of the argument.
    layouts: Vec<(usize, Layout)>,
}

enum Argument {
    One(Option<Encoded>),
    /// Encoded parts, one behind the other.
    Tuple(Vec<Option<SmallBytes>>),
}

/// A call that waits for this answer: the part that it uses, and where that part goes.
pub(super) struct Use {
    pub(super) call: CallId,
    place: Place,
    path: Path,
    as_some: bool,
}

/// The place in a call that waits for a result.
#[derive(Clone, Copy)]
enum Place {
    Argument {
        index: usize,
        part: Option<usize>,
    },
    /// An entry of the call's table of objects.
    Object(usize),
    Target,
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

    /// The memory of the arguments: their bytes and their places, which may take more than the bytes.
    pub(super) fn bytes(&self) -> usize {
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

/// The next thing to happen to a handler.
pub(crate) enum NextStep {
    Begin(Begin),
    Map(Box<BeginMap>),
    Cancel(CallId),
}

pub(super) enum HandlerStep {
    /// A ready call, and the time since when it may start.
    Begin(CallId, Time),
    /// A plain call, kept here until it starts, and the time since when it may start.
    BeginPlain(Begin, Time),
    /// Cancels a running handler; goes before all calls that wait.
    Cancel(CallId),
}

/// The layout of a map's result, charged to the session as long as the answer is kept.
pub(super) struct KeptLayout {
    pub(super) layout: Layout,
    _charge: Charge,
}

/// A call that arrives, except for its payload.
pub(crate) struct Arriving {
    pub(crate) call: Call,
    /// The length of the payload, which is here or will follow.
    pub(crate) length: usize,
    /// Bytes of payloads that are being assembled.
    pub(crate) pending_elsewhere: usize,
    /// The limit that leaves no memory for the announced payload.
    pub(crate) short_of: Option<&'static str>,
    /// The target of the call, and the target's version of the method.
    pub(crate) addressed: Result<(AnswerTarget, Method), Failure>,
    pub(crate) objects: Result<Vec<Passing>, Failure>,
}

/// Copies a waiting argument out of the message it came in, so that it does not keep the whole message. A long argument stays:
/// it is most of its message.
pub(super) fn leave_message(argument: &mut SmallBytes) {
    argument.leave_message(CHUNK_BYTES);
}
