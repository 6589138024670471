//! The identity of a peer.

use std::sync::Arc;

/// The identity of the peer, as far as this side knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Principal {
    /// Nobody vouches for the peer.
    #[default]
    Anonymous,
    /// The peer proved to be this one.
    Named(Arc<str>),
}

impl Principal {
    /// The principal of this name.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self::Named(name.into())
    }

    /// The principal's name; `None` if anonymous.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Named(name) => Some(name),
        }
    }
}
