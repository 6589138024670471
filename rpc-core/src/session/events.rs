//! The outputs of a session: calls of the peer to begin, results of this side's calls, and counts.

use std::sync::Arc;

use crate::{
    buffer::small_bytes::SmallBytes,
    schema::descriptor::{MethodDescriptor, ServiceDescriptor},
    session::{inputs::NewCall, plan::Plan, streams::StreamEvent},
    time::Time,
    value::{
        encoded::{self, Capabilities, Encoded},
        object::LocalObject,
        returned::Returned,
    },
    wire::{CHUNK_BYTES, CallId, SentBefore, Want, arguments},
};

/// An event of the session that the driver must act on.
pub(crate) enum Event<W> {
    /// A call of this side is over.
    Returned {
        waiter: W,
        returned: Returned<W>,
    },
    /// A call of this side that the peer refused for a while is to be made again, by a new id. If that is not possible, it has failed.
    Again {
        call: NewCall<W>,
        refused: Returned<W>,
    },
    /// A call of the peer is to start.
    Begin(Begin),
    /// A map of the peer is to start.
    Map(Box<BeginMap>),
    /// Nobody waits for this answer any more; its handler may stop. The driver calls `finish` when it has.
    Cancel(CallId),
    Stream(StreamEvent),
    /// The peer takes no new calls.
    PeerClosing {
        code: u16,
        reason: String,
    },
}

/// A call of the peer that may start: all its references are resolved.
pub(crate) struct Begin {
    pub(crate) answer: CallId,
    pub(crate) target: BeginTarget,
    pub(crate) service: &'static ServiceDescriptor,
    pub(crate) method: usize,
    pub(crate) descriptor: &'static MethodDescriptor,
    pub(crate) arguments: Arguments,
    pub(crate) want: Want,
    pub(crate) deadline: Option<Time>,
    pub(crate) extras: Option<Box<BeginExtras>>,
}

/// Parts that few calls have. They are boxed, because a call is moved several times on its way.
#[derive(Debug, Default)]
pub(crate) struct BeginExtras {
    pub(crate) metadata: Vec<(String, String)>,
    /// The call, as it was sent before in sessions that were lost.
    pub(crate) sent_before: Vec<SentBefore>,
}

impl BeginExtras {
    /// The boxed parts; `None` if the call has none of them.
    pub(crate) fn boxed(metadata: Vec<(String, String)>, sent_before: Vec<SentBefore>) -> Option<Box<Self>> {
        let is_plain = metadata.is_empty() && sent_before.is_empty();
        (!is_plain).then(|| Box::new(Self { metadata, sent_before }))
    }
}

/// The service or object that answers a call.
#[derive(Debug, Clone)]
pub(crate) enum BeginTarget {
    /// The service at this index among those at the root.
    Root(usize),
    Object(Arc<LocalObject>),
}

/// A call's arguments, complete.
#[derive(Debug, Clone)]
pub(crate) enum Arguments {
    /// The payload as it came, with all arguments inline ([`arguments::all_inline`]) and no objects: the usual case.
    Inline(SmallBytes),
    Resolved(Box<Resolved>),
}

/// Arguments of which some came out of results, or name objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolved {
    pub(crate) values: Vec<SmallBytes>,
    /// The objects that came with the call.
    pub(crate) beside: Capabilities,
    /// The objects of arguments that came out of results, by the index of the argument.
    pub(crate) selected: Vec<(usize, Capabilities)>,
}

impl Arguments {
    /// An empty list of arguments.
    pub(crate) fn none() -> Self {
        Self::Inline(SmallBytes::default())
    }

    /// The number of arguments.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Inline(payload) => arguments::all_inline(payload).unwrap_or(0),
            Self::Resolved(resolved) => resolved.values.len(),
        }
    }

    /// The offset of the first argument, if they are inline.
    pub(crate) fn first(&self) -> usize {
        match self {
            Self::Inline(payload) => arguments::first(payload),
            Self::Resolved(_) => 0,
        }
    }

    /// The values in order.
    pub(crate) fn values(&self) -> Vec<SmallBytes> {
        match self {
            Self::Inline(payload) => {
                let mut at = arguments::first(payload);
                let next = || arguments::inline_value(payload, at).inspect(|value| at = value.end);
                std::iter::from_fn(next).map(|value| payload.part(value)).collect()
            }
            Self::Resolved(resolved) => resolved.values.clone(),
        }
    }

    /// The table of objects for the argument at `index`.
    pub(crate) fn capabilities(&self, index: usize) -> &Capabilities {
        match self {
            Self::Inline(_) => &None,
            Self::Resolved(resolved) => resolved.capabilities(index),
        }
    }

    /// The objects that came with the call, and those of arguments that came out of results.
    pub(crate) fn objects(&self) -> (&Capabilities, &[(usize, Capabilities)]) {
        match self {
            Self::Inline(_) => (&None, &[]),
            Self::Resolved(resolved) => (&resolved.beside, &resolved.selected),
        }
    }

    /// Each value with its table of objects.
    pub(crate) fn into_encoded(self) -> impl Iterator<Item = Encoded> {
        let Resolved { values, beside, selected } = match self {
            Self::Inline(_) => Resolved { values: self.values(), ..Resolved::default() },
            Self::Resolved(resolved) => *resolved,
        };
        values.into_iter().enumerate().map(move |(index, bytes)| {
            let found = selected.iter().find(|(known, _)| *known == index);
            let capabilities = found.map_or_else(|| beside.clone(), |(_, table)| table.clone());
            Encoded { bytes, capabilities }
        })
    }

    /// Copies the arguments out of the message that they came in, if that is much longer: they may wait long.
    pub(crate) fn leave_message(&mut self) {
        match self {
            Self::Inline(payload) => payload.leave_message(CHUNK_BYTES),
            Self::Resolved(resolved) => {
                resolved.values.iter_mut().for_each(|value| value.leave_message(CHUNK_BYTES));
            }
        }
    }

    /// Bytes of the values.
    #[inline]
    pub(crate) fn values_bytes(&self) -> usize {
        match self {
            Self::Inline(payload) => payload.len(),
            Self::Resolved(resolved) => resolved.values.iter().map(|value| value.len()).sum(),
        }
    }

    /// Bytes of the values and of the tables of objects.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Inline(payload) => payload.len(),
            Self::Resolved(resolved) => resolved.bytes(),
        }
    }
}

impl Resolved {
    /// The table of objects for the argument at `index`.
    pub(crate) fn capabilities(&self, index: usize) -> &Capabilities {
        self.selected.iter().find(|(known, _)| *known == index).map_or(&self.beside, |(_, table)| table)
    }

    fn bytes(&self) -> usize {
        self.values.iter().map(|value| value.len()).sum::<usize>()
            + encoded::capabilities_bytes(&self.beside)
            + self.selected.iter().map(|(_, table)| encoded::capabilities_bytes(table)).sum::<usize>()
    }
}

impl From<Resolved> for Arguments {
    fn from(resolved: Resolved) -> Self {
        Self::Resolved(Box::new(resolved))
    }
}

/// A map of the peer that may start: its source and captures are here, and its program was checked.
pub(crate) struct BeginMap {
    pub(crate) answer: CallId,
    pub(crate) plan: Plan,
    pub(crate) source: Encoded,
    pub(crate) captures: Vec<Encoded>,
    /// The objects that came with the call.
    pub(crate) passed: Capabilities,
    pub(crate) want: Want,
    pub(crate) deadline: Option<Time>,
    pub(crate) metadata: Vec<(String, String)>,
    /// The longest result that the caller takes.
    pub(crate) payload_bytes_max: usize,
}

/// Counts of what a session holds at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionStats {
    /// Calls of this side that were sent and have not returned.
    pub calls_in_flight: usize,
    /// Calls of this side that are queued or in flight, whose results can still be referred to, or that others are built on.
    pub calls_remembered: usize,
    /// Calls of the peer that wait or run.
    pub answers_unfinished: usize,
    /// Results and failures kept for the peer, of calls that are over.
    pub answers_held: usize,
    /// Bytes of the results kept for the peer, and of what maps of the peer hold.
    pub held_bytes: usize,
    /// Bytes of the peer's arguments that wait to run or are being assembled.
    pub pending_bytes: usize,
    /// Bytes that wait to be sent, those of streams included.
    pub outgoing_bytes: usize,
    /// Objects of this side that the peer holds.
    pub exports: usize,
    /// Objects of the peer that this side holds.
    pub imports: usize,
    /// Streams that this side sends.
    pub streams_sent: usize,
    /// Streams that this side receives.
    pub streams_received: usize,
    /// Bytes of received streams that have arrived and wait to be read, counted as
    /// [`Limits::stream_window_bytes`](crate::Limits::stream_window_bytes) does.
    pub stream_bytes_unread: usize,
    /// All bytes that the session keeps for its peer, as [`Limits::session_bytes_max`](crate::Limits::session_bytes_max) counts
    /// them.
    pub session_bytes: usize,
    /// Bytes of sent messages that the peer has not acknowledged, and 64 more for each; zero if the session cannot be resumed.
    pub unacknowledged_bytes: usize,
}
