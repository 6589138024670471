//! The inputs of a session: calls of this side, and the callers that wait for them.

use std::sync::Arc;

use crate::{
    buffer::small_bytes::SmallBytes,
    path::Path,
    retry::Retry,
    schema::descriptor::MethodDescriptor,
    time::Time,
    value::{
        encoded::{Capability, Passing},
        object::Import,
    },
    wire::{CallId, MethodNumber, SentBefore},
};

/// A caller that waits for a result, as the session sees it.
pub(crate) trait Waiter: Clone {
    /// The caller's interest in the result. Asked once, when the call is sealed; later changes are told through
    /// [`Session::unwanted`] and [`Session::released`].
    fn seal(&self) -> Interest;

    /// Takes note that its call is made again, by another id. Nothing refers to the call by the first one.
    fn renumber(&self, id: CallId);
}

/// A call to be made.
pub(crate) struct NewCall<W> {
    pub(crate) id: CallId,
    pub(crate) number: MethodNumber,
    /// The service's name and the method; unused for the built-in call.
    pub(crate) service: &'static str,
    pub(crate) method: &'static MethodDescriptor,
    pub(crate) payload: SmallBytes,
    pub(crate) bases: Vec<CallId>,
    pub(crate) deadline: Option<Time>,
    pub(crate) extras: Option<Box<CallExtras>>,
    pub(crate) waiter: W,
}

/// The interest in a result whose call has returned in the session before, where the result was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Derived {
    /// Whether something can still pass the result to another call.
    pub(crate) reference: bool,
    /// The objects from the result that this side has.
    pub(crate) imports: usize,
}

/// Parts that few calls have. They are boxed, because a call is moved several times on its way.
#[derive(Default, Clone)]
pub(crate) struct CallExtras {
    pub(crate) target: CallTarget,
    /// The table of objects that the payload's places refer to.
    pub(crate) objects: Vec<Passing>,
    /// Methods that the call's program names.
    pub(crate) methods: Vec<NumberedMethod>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) attempts: Option<Box<Attempts>>,
}

/// The attempts of a call: how many there may be, and those that have failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts {
    /// The policy that its caller chose.
    pub(crate) retry: Option<Retry>,
    pub(crate) failed: u32,
    /// The call, as it was sent in sessions that were lost.
    pub(crate) sent_before: Vec<SentBefore>,
    /// For a call that is made again because its result is still referred to.
    pub(crate) derived: Option<Derived>,
}

impl CallExtras {
    /// The objects of the peer that the call names: its target, and those that it passes.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &Arc<Import>> {
        let target = match &self.target {
            CallTarget::Import(import) => Some(import),
            CallTarget::Root | CallTarget::Result(..) => None,
        };
        let passed = self.objects.iter().filter_map(|object| match object {
            Passing::Settled(Capability::Import(import)) => Some(import),
            Passing::Settled(_) | Passing::Result(..) => None,
        });
        target.into_iter().chain(passed)
    }

    /// The boxed parts; `None` if the call has none of them.
    pub(crate) fn boxed(
        target: CallTarget,
        objects: Vec<Passing>,
        methods: Vec<NumberedMethod>,
        metadata: Vec<(String, String)>,
        attempts: Option<Box<Attempts>>,
    ) -> Option<Box<Self>> {
        let is_plain = matches!(target, CallTarget::Root)
            && objects.is_empty()
            && methods.is_empty()
            && metadata.is_empty()
            && attempts.is_none();
        (!is_plain).then(|| Box::new(Self { target, objects, methods, metadata, attempts }))
    }
}

/// The service or object that a call of this side addresses.
#[derive(Debug, Clone, Default)]
pub(crate) enum CallTarget {
    #[default]
    Root,
    /// An object of the peer. Its handle lives until the call is sent.
    Import(Arc<Import>),
    /// The object in the result of another call, which is among the bases.
    Result(CallId, Path),
}

/// A method by this side's number for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberedMethod {
    pub(crate) number: MethodNumber,
    pub(crate) service: &'static str,
    pub(crate) method: &'static MethodDescriptor,
}

/// The caller's interest in a result at the moment its call is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Whether a promise waits for the value.
    pub(crate) value: bool,
    /// Whether something can still pass the result into later calls.
    pub(crate) reference: bool,
    /// Whether the call must run even if nobody is interested.
    pub(crate) detached: bool,
}
