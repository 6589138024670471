//! Which address has most handshakes; and where several have as many, in which neighbourhood most of these are.
//!
//! Who floods from one address has most of it. Who has a whole network of addresses connects once from each, and then
//! all have one: but most of these are its neighbours. Every operation takes the logarithm of the number of addresses.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    network::{Neighbourhood, Prefix},
    places::Number,
};

/// The addresses of one neighbourhood that have as many handshakes, ordered by their oldest one.
type Crowd = BTreeSet<(Number, Prefix)>;

/// An address that has handshakes, as it is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) handshakes: usize,
    pub(super) oldest: Number,
    pub(super) prefix: Prefix,
}

#[derive(Debug, Default)]
pub(super) struct Ranking {
    crowds: BTreeMap<(usize, Neighbourhood), Crowd>,
    /// The crowds by their addresses' handshakes, by how many addresses they are, and by the oldest handshake.
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

    /// The address that has most handshakes. Of several with as many it is one of the neighbourhood that has most of them,
    /// and there the one with the oldest handshake.
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
