//! The arguments of an outgoing call: encoded values, and references to results that are not here yet.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    buffer::small_bytes::SmallBytes,
    caller::{
        passing::{self, Passed},
        stub::{Kind, Remote, RemoteTarget, Stub},
    },
    codec,
    deadline::{self, NoTimeLeft},
    limits::metadata_bytes,
    link::{
        Link,
        cell::{BORN_FAILED, Place, Referable, Returned},
        recorder::{PROMISED_INSIDE, RECORDED, Recorder},
    },
    schema::descriptor::MethodDescriptor,
    time::Time,
    value::encoded::{Capability, Passing},
    wire::{Failure, Reached, arguments},
};

/// The arguments of one call, as slots.
#[doc(hidden)]
pub struct Arguments<'a> {
    /// The session that the call goes through.
    link: &'a Arc<Link>,
    /// The count, then the slots.
    payload: Vec<u8>,
    /// A long byte string that ends the arguments. Copied into `payload` only if another slot follows.
    tail: Option<Bytes>,
    /// `None` for most calls.
    beside: Option<Box<Beside>>,
}

/// The parts of a call's arguments beside the payload: objects, references and faults.
#[derive(Default)]
pub(super) struct Beside {
    /// Clients and streams in the values, in the order of their places.
    passed: Vec<Passed>,
    bases: Vec<Referable>,
    /// The result that contains the object which the call addresses.
    pub(super) target: Option<Referable>,
    /// Clients and streams of values that were given encoded.
    pub(super) objects: Vec<Passing>,
    /// The recorders of the map closures whose placeholders the arguments use.
    pub(super) recorders: Vec<Arc<Recorder>>,
    failed: Option<ArgumentFault>,
}

pub(super) enum ArgumentFault {
    Encode { index: u8, reason: String },
    Upstream(Returned),
    Misuse(&'static str),
}

/// The finished arguments and options of a call, ready to be sent.
pub(crate) struct Ready {
    pub(crate) payload: SmallBytes,
    pub(crate) objects: Vec<Passing>,
    pub(crate) bases: Vec<Referable>,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(link: &'a Arc<Link>) -> Self {
        let mut payload = SmallBytes::scratch();
        arguments::begin(&mut payload);
        Self { link, payload, tail: None, beside: None }
    }

    pub(super) fn beside(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// Whether the call is made in the closure of a map.
    pub(super) fn is_recorded(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| !beside.recorders.is_empty())
    }

    pub(crate) fn push_owned<T: Serialize + 'static>(&mut self, value: &T) {
        let Some((head, bytes)) = codec::long_byte_string(value) else { return self.push_value(value) };
        arguments::put_inline_head(self.slots(), &head, bytes.len());
        self.tail = Some(bytes);
        arguments::count_one(&mut self.payload);
    }

    /// The payload, ready for the next slot to be appended.
    fn slots(&mut self) -> &mut Vec<u8> {
        if let Some(tail) = self.tail.take() {
            self.payload.extend_from_slice(&tail);
        }
        &mut self.payload
    }

    pub(crate) fn push_value<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.slots();
        let passed_before = self.beside.as_ref().map_or(0, |beside| beside.passed.len());
        let depth_max = self.link.limits.decode_depth_max;
        let put = |out: &mut Vec<u8>| codec::encode_within(value, depth_max, out);
        let payload = &mut self.payload;
        let (encoded, added) = passing::writing(passed_before, || arguments::put_inline(payload, put));
        if !added.is_empty() {
            self.beside().passed.extend(added.take());
        }
        if let Err(error) = encoded {
            self.fail(ArgumentFault::Encode {
                index: arguments::counted(&self.payload),
                reason: error.to_string(),
            });
        }
        arguments::count_one(&mut self.payload);
    }

    pub(super) fn push_encoded(&mut self, value: &[u8]) {
        let put = arguments::put_inline(self.slots(), |out| {
            out.extend_from_slice(value);
            Ok::<(), std::convert::Infallible>(())
        });
        match put {
            Ok(()) => arguments::count_one(&mut self.payload),
            Err(never) => match never {},
        }
    }

    pub(crate) fn push_promise(&mut self, place: &Place) {
        self.push_reference(place, false);
        arguments::count_one(&mut self.payload);
    }

    pub(crate) fn push_promise_as_some(&mut self, place: &Place) {
        self.push_reference(place, true);
        arguments::count_one(&mut self.payload);
    }

    /// Appends one argument whose parts are all promises.
    pub(crate) fn push_tuple(&mut self, places: &[&Place]) {
        arguments::put_tuple(self.slots(), places.len());
        for place in places {
            self.push_reference(place, false);
        }
        arguments::count_one(&mut self.payload);
    }

    fn push_reference(&mut self, place: &Place, as_some: bool) {
        if self.can_use(place) {
            let base = place.base.cell();
            let id = if base.recorded.is_some() { RECORDED } else { base.id() };
            arguments::put_reference(self.slots(), id, &place.path, as_some);
            self.beside().bases.push(place.base.clone());
        }
    }

    /// Addresses the object in this result.
    pub(super) fn address(&mut self, place: &Place) {
        if self.can_use(place) {
            self.beside().target = Some(place.base.clone());
        }
    }

    /// Whether the call can be built on this result; if not, the call is marked as failed. A recorded result makes the call
    /// recorded too.
    fn can_use(&mut self, place: &Place) -> bool {
        let base = place.base.cell();
        if !base.handle.link.is_same(self.link) {
            self.fail(ArgumentFault::Misuse("it belongs to another session; await it first"));
        } else if let Some(recorded) = &base.recorded {
            self.beside().recorders.push(Arc::clone(&recorded.recorder));
            return true;
        } else if base.id() == BORN_FAILED {
            self.fail(ArgumentFault::Upstream(base.failure_of_dependents()));
        } else if place.path.steps().len() > crate::path::PATH_STEPS_MAX {
            self.fail(ArgumentFault::Misuse("it lies deeper inside a result than paths may reach"));
        } else {
            return true;
        }
        false
    }

    /// The clients and streams in the arguments, as they are passed. A client that the same peer promises is named by the call
    /// that promises it.
    fn pass(&mut self) -> Vec<Passing> {
        let beside = self.beside();
        let mut objects = std::mem::take(&mut beside.objects);
        for passed in std::mem::take(&mut beside.passed) {
            let stub = match passed {
                Passed::Stub(stub) => stub,
                Passed::Stream(slot) => {
                    objects.push(Passing::Settled(Capability::Stream(slot)));
                    continue;
                }
            };
            match &stub.kind {
                Kind::Remote(Remote { handle, target: RemoteTarget::Promised(place) })
                    if handle.link.is_same(self.link) =>
                {
                    if place.base.cell().recorded.is_some() {
                        self.fail(ArgumentFault::Misuse(PROMISED_INSIDE));
                    } else if self.can_use(place) {
                        objects.push(Passing::Result(place.base.cell().id(), place.path.clone()));
                        self.beside().bases.push(place.base.clone());
                    }
                }
                _ => objects.push(Passing::Settled(Capability::of(&stub, self.link))),
            }
        }
        objects
    }

    pub(super) fn fail(&mut self, fault: ArgumentFault) {
        self.beside().failed.get_or_insert(fault);
    }

    pub(super) fn finish(
        mut self,
        stub: &Stub,
        method: &'static MethodDescriptor,
    ) -> Result<Ready, Returned> {
        let (mut bases, mut objects) = (Vec::new(), Vec::new());
        if self.beside.is_some() {
            objects = self.pass();
            let Beside { bases: named, target, failed, .. } =
                self.beside.take().map_or_else(Beside::default, |beside| *beside);
            if let Some(fault) = failed {
                return Err(fault.into_returned(method));
            }
            bases = named;
            bases.extend(target);
        }
        let mut metadata = Vec::new();
        let mut limit = None;
        if let Some(options) = &stub.options {
            limit = options.deadline;
            metadata = options.metadata.clone();
            let (bytes, bytes_max) = (metadata_bytes(&metadata), self.link.limits.metadata_bytes_max);
            if bytes > bytes_max {
                let reached = Reached::new("metadata_bytes_max", bytes, bytes_max);
                return Err(Returned::Failed(reached.into()));
            }
        }
        let deadline = deadline::deadline_within(limit)
            .map_err(|NoTimeLeft| Returned::Failed(Failure::DeadlineExceeded))?;
        let payload = match self.tail {
            None => SmallBytes::from_scratch(self.payload),
            Some(tail) => SmallBytes::joined(&self.payload, tail),
        };
        Ok(Ready { payload, objects, bases, deadline, metadata })
    }
}

impl ArgumentFault {
    #[cold]
    fn into_returned(self, method: &'static MethodDescriptor) -> Returned {
        match self {
            Self::Upstream(returned) => returned,
            Self::Misuse(reason) => Returned::Misuse(reason.into()),
            Self::Encode { index, reason } => {
                let argument =
                    method.arguments.get(usize::from(index)).map_or("?", |argument| argument.name).into();
                Returned::Failed(Failure::InvalidArgument { argument, reason })
            }
        }
    }
}
