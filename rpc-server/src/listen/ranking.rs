//! The address with the most handshakes; of several with equally many, one of the network that has the most such addresses.
//!
//! A flood from one address gives that address the most handshakes. The owner of a network can connect once from each of its
//! addresses: then many addresses have one handshake each, and most of them are in that network. Every operation takes the
//! logarithm of the number of addresses.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    network::{Neighbourhood, Prefix},
    places::Number,
};

/// The addresses of one network that have the same number of handshakes, ordered by their oldest handshake.
type Crowd = BTreeSet<(Number, Prefix)>;

/// The rank of an address that has handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) handshakes: usize,
    pub(super) oldest: Number,
    pub(super) prefix: Prefix,
}

#[derive(Debug, Default)]
pub(super) struct Ranking {
    crowds: BTreeMap<(usize, Neighbourhood), Crowd>,
    /// The crowds, ordered by handshakes of each address, then by number of addresses, then by oldest handshake.
    order: BTreeSet<(usize, usize, Reverse<Number>, Neighbourhood)>,
}

impl Ranking {
    pub(super) fn insert(&mut self, ranked: Ranked) {
        let Ranked { oldest, prefix, .. } = ranked;
        self.change(ranked, |crowd| crowd.insert((oldest, prefix)));
    }

    pub(super) fn remove(&mut self, ranked: Ranked) {
        let Ranked { oldest, prefix, .. } = ranked;
        self.change(ranked, |crowd| crowd.remove(&(oldest, prefix)));
    }

    /// The address that has the most handshakes. Of several with equally many, the network with the most such addresses decides,
    /// and within it the oldest handshake.
    pub(super) fn most(&self) -> Option<Prefix> {
        let (handshakes, .., neighbourhood) = *self.order.last()?;
        let (_, prefix) = self.crowds.get(&(handshakes, neighbourhood))?.first()?;
        Some(*prefix)
    }

    fn change(&mut self, ranked: Ranked, change: impl FnOnce(&mut Crowd) -> bool) {
        let (handshakes, neighbourhood) = (ranked.handshakes, ranked.prefix.neighbourhood());
        let crowd = self.crowds.entry((handshakes, neighbourhood)).or_default();
        let place = |crowd: &Crowd| {
            let (oldest, _) = crowd.first()?;
            Some((handshakes, crowd.len(), Reverse(*oldest), neighbourhood))
        };
        if let Some(before) = place(crowd) {
            self.order.remove(&before);
        }
        change(crowd);
        match place(crowd) {
            Some(after) => {
                self.order.insert(after);
            }
            None => {
                self.crowds.remove(&(handshakes, neighbourhood));
            }
        }
    }

    #[cfg(test)]
    pub(super) fn addresses(&self) -> BTreeSet<Prefix> {
        self.crowds.values().flatten().map(|(_, prefix)| *prefix).collect()
    }
}

#[cfg(test)]
mod tests;
