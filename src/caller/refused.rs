//! Tokens already refused for good, so that one sent again and again is judged once.
//!
//! They are known by a hash of all their bytes, keyed at random: a token that is not among them has the same hash as one of them by
//! chance of one in 2^52, and is refused then. Whoever sends many different ones only pushes out others' bad ones.

use super::cache::ProvedBy;
use super::refusal::Refusal;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Verdicts kept, in two halves: what is new goes into the young one; when that is full it becomes the old one.
const HALF: usize = 2048;

/// Verdicts that time cannot change.
#[derive(Debug, Default)]
pub(super) struct Refused {
    hash: RandomState,
    young: HashMap<u64, (Refusal, ProvedBy)>,
    old: HashMap<u64, (Refusal, ProvedBy)>,
}

impl Refused {
    /// Why exactly these bytes were refused, if `stands` says that the keys they were held against are still there.
    pub(super) fn get(&self, token: &[u8], stands: impl FnOnce(ProvedBy) -> bool) -> Option<Refusal> {
        if self.young.is_empty() {
            return None;
        }
        let hash = self.hash.hash_one(token);
        let (refusal, proof) = self.young.get(&hash).or_else(|| self.old.get(&hash))?;
        stands(*proof).then_some(*refusal)
    }

    /// Remembers a verdict that only other keys can change.
    pub(super) fn put(&mut self, token: &[u8], refusal: Refusal, proof: ProvedBy) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(self.hash.hash_one(token), (refusal, proof));
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_those_of_exactly_these_bytes_under_the_same_keys_and_few_are_kept() {
        let mut refused = Refused::default();
        let keys = |generation| ProvedBy { issuer: 0, generation };
        assert_eq!(refused.get(b"a", |_| true), None);
        refused.put(b"a", Refusal::BadSignature, keys(1));
        assert_eq!(refused.get(b"a", |proof| proof == keys(1)), Some(Refusal::BadSignature));
        assert_eq!(refused.get(b"a", |proof| proof == keys(2)), None);
        assert_eq!(refused.get(b"b", |_| true), None);
        for number in 0..20_000_u32 {
            refused.put(&number.to_be_bytes(), Refusal::BadSignature, keys(1));
            assert!(refused.get(&number.to_be_bytes(), |_| true).is_some());
        }
        assert!(refused.len() <= 2 * HALF);
        assert_eq!(refused.get(b"a", |_| true), None);
    }
}
