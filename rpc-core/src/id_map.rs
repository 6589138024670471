//! Hash tables whose keys are ids that a peer chooses: no choice of ids makes them slow.
//!
//! The hash multiplies the id by an odd number that is random in each process, and uses the high bits. Any two ids collide in
//! one of `n` buckets with a probability of at most `2/n` (M. Dietzfelbinger et al., "A reliable randomized algorithm for the
//! closest-pair problem", 1997). A hash with a known constant costs as much, but a peer can choose ids that all collide in it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::LazyLock,
};

/// A hash table whose keys are ids.
pub(crate) type IdMap<K, V> = HashMap<K, V, IdHashing>;

/// Makes hashes that no peer can foresee.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdHashing {
    multiplier: u64,
}

impl Default for IdHashing {
    fn default() -> Self {
        static MULTIPLIER: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0) | 1);
        Self { multiplier: *MULTIPLIER }
    }
}

impl BuildHasher for IdHashing {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { multiplier: self.multiplier, hash: 0 }
    }
}

/// The hash of one id.
#[derive(Debug)]
pub(crate) struct IdHasher {
    multiplier: u64,
    hash: u64,
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        // Tables take the bucket from the low bits.
        self.hash.rotate_left(26)
    }

    fn write_u64(&mut self, id: u64) {
        self.hash = (self.hash ^ id).wrapping_mul(self.multiplier);
    }

    fn write_i64(&mut self, id: i64) {
        self.write_u64(id.cast_unsigned());
    }

    fn write_u32(&mut self, id: u32) {
        self.write_u64(id.into());
    }

    fn write(&mut self, bytes: &[u8]) {
        // Ids are integers; only a key with other fields would come here.
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    /// The most ids in one of 4,096 buckets.
    fn fullest(hashing: IdHashing, ids: impl Iterator<Item = u64>) -> usize {
        let mut buckets = vec![0; 4_096];
        for id in ids {
            let bucket = hashing.hash_one(id.cast_signed()) as usize % buckets.len();
            buckets[bucket] += 1;
        }
        buckets.into_iter().max().unwrap_or_default()
    }

    /// The multiplicative inverse of an odd number.
    fn inverse(odd: u64) -> u64 {
        // Each step of Newton's iteration doubles the number of correct bits.
        (0..6).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))))
    }

    #[test]
    fn ids_that_meet_under_a_known_multiplier_do_not_under_another() {
        let mut random = Seeded::new(11);
        let known = IdHashing { multiplier: 0xf135_7aea_2e62_a9c5 };
        let chosen = || (0..4_096_u64).map(|id| id.wrapping_mul(inverse(known.multiplier)));
        assert_eq!(fullest(known, chosen()), 4_096, "these were chosen for it");
        for _ in 0..200 {
            let hashing = IdHashing { multiplier: random.next() | 1 };
            assert!(fullest(hashing, chosen()) <= 64, "{hashing:?}");
        }
    }

    #[test]
    fn ids_in_steps_of_any_size_are_spread() {
        let mut random = Seeded::new(12);
        for step in (0..40).map(|bits| 1_u64 << bits) {
            let worst = (0..20).map(|_| {
                let hashing = IdHashing { multiplier: random.next() | 1 };
                fullest(hashing, (0..4_096).map(|id| id * step))
            });
            let mut worst: Vec<usize> = worst.collect();
            worst.sort_unstable();
            assert!(worst[10] <= 16, "steps of {step}: {worst:?}");
        }
    }

    #[test]
    fn two_processes_hash_otherwise_and_one_always_alike() {
        let one = IdHashing::default();
        assert_eq!(one.hash_one(7_i64), IdHashing::default().hash_one(7_i64));
        assert_eq!(one.multiplier % 2, 1);
        assert_ne!(one.hash_one(7_i64), IdHashing { multiplier: one.multiplier ^ 2 }.hash_one(7_i64));
    }
}
