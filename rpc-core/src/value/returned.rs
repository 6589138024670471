//! The outcome of a call, as its caller gets it.

use crate::{
    error::{CloseReason, Delivery},
    path::Path,
    value::encoded::Encoded,
    wire::{Failure, map_program::ElementFailure},
};

/// The outcome of a call of this side, with value and error still encoded. `W` stands for a call of this side.
#[derive(Debug)]
pub(crate) enum Returned<W> {
    /// The call ran, and its value was not wanted.
    Done,
    Value(Encoded),
    Error(Encoded),
    /// An element of a map failed.
    Element(Box<ElementFailure>),
    /// A call that this one was built on failed, or its result has nothing at the path.
    Upstream {
        origin: W,
        cause: OriginCause<W>,
    },
    Failed(Failure),
    /// The call cannot work as it was made, and was not sent.
    Misuse(String),
    Disconnected {
        delivery: Delivery,
        reason: CloseReason,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum OriginCause<W> {
    Failed(Box<Returned<W>>),
    Missed(Path),
}

// Written by hand: a derived `clone` is inlined, and its copies are as long as half a file of code.
impl<W: Clone> Clone for Returned<W> {
    fn clone(&self) -> Self {
        match self {
            Self::Done => Self::Done,
            Self::Value(value) => Self::Value(value.clone()),
            Self::Error(error) => Self::Error(error.clone()),
            Self::Element(failure) => Self::Element(failure.clone()),
            Self::Upstream { origin, cause } => {
                Self::Upstream { origin: origin.clone(), cause: cause.clone() }
            }
            Self::Failed(failure) => Self::Failed(failure.clone()),
            Self::Misuse(why) => Self::Misuse(why.clone()),
            Self::Disconnected { delivery, reason } => {
                Self::Disconnected { delivery: *delivery, reason: reason.clone() }
            }
        }
    }
}

/// `Disconnected` equals nothing: its reason cannot be compared.
#[cfg(test)]
impl<W: PartialEq> PartialEq for Returned<W> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Done, Self::Done) => true,
            (Self::Value(one), Self::Value(other)) | (Self::Error(one), Self::Error(other)) => one == other,
            (Self::Element(one), Self::Element(other)) => one == other,
            (Self::Upstream { origin: one, cause: its }, Self::Upstream { origin: other, cause: others }) => {
                one == other && its == others
            }
            (Self::Failed(one), Self::Failed(other)) => one == other,
            (Self::Misuse(one), Self::Misuse(other)) => one == other,
            _ => false,
        }
    }
}

#[cfg(test)]
impl<W: PartialEq> PartialEq for OriginCause<W> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(one), Self::Failed(other)) => one == other,
            (Self::Missed(one), Self::Missed(other)) => one == other,
            _ => false,
        }
    }
}
