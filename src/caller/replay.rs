//! Proofs of possession already shown, by all workers of the process together: a proof that each worker accepted once would be
//! accepted as often as there are workers.

use super::claims::CLOCK_CORRECTION;
use super::refusal::Refusal;
use crate::shared::{SharedMemory, update};
use crate::time::{Span, Time};
use sha2::{Digest, Sha256};

/// The memory is so many slots, each with the proofs whose digest falls on it. They are never deleted, only written anew, so
/// their number and the proofs in each bound the memory.
const BUCKETS: usize = 1024;

/// A remembered proof: half a SHA-256, and until when it could be shown again, in milliseconds since 1970 (big-endian).
const ENTRY: usize = 16 + 8;

/// How proofs are remembered.
#[derive(Debug)]
pub(super) struct Replays {
    /// Most proofs in one bucket.
    depth: usize,
    /// For how long a proof can be valid after it was first shown.
    lifetime: Span,
}

impl Replays {
    /// `proofs`: how many at most, of all holders together; rounded up to whole buckets.
    pub(super) fn new(proofs: usize, lifetime: Span) -> Self {
        Self { depth: proofs.div_ceil(BUCKETS).max(1), lifetime }
    }

    /// Accepts the proof `id` of the key with this thumbprint, once. Only proved proofs come here, so only holders of bound tokens
    /// can fill the memory; which bucket a proof falls into, its holder can choose, but not another holder's. A full bucket accepts
    /// no more: forgetting early would let proofs be shown twice.
    pub(super) fn first_use(
        &self,
        thumbprint: &[u8; 32],
        id: &str,
        now: Time,
        memory: &dyn SharedMemory,
    ) -> Result<(), Refusal> {
        let mut mark = Sha256::new();
        mark.update(thumbprint);
        mark.update(id.as_bytes());
        let digest = mark.finalize();
        let (Some(mark), Some([high, low])) = (digest.first_chunk::<16>(), digest.last_chunk::<2>()) else {
            return Err(Refusal::TooManyProofs);
        };
        let bucket = usize::from(u16::from_be_bytes([*high, *low])) % BUCKETS;
        let key = format!("rerank-guard/dpop/{bucket}");
        update(memory, &key, |old| self.enter(old, mark, now)).map_err(|_| Refusal::NoProofMemory)?
    }

    /// The bucket with the proof in it and without those that are no longer valid, if it is not there and has room.
    fn enter(&self, old: &[u8], mark: &[u8; 16], now: Time) -> (Option<Vec<u8>>, Result<(), Refusal>) {
        let (entries, rest) = old.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            // Nobody of ours wrote this.
            return (None, Err(Refusal::NoProofMemory));
        }
        let mut new = Vec::with_capacity(old.len().saturating_add(ENTRY));
        for entry in entries {
            let (Some(seen), Some(until)) = (entry.first_chunk::<16>(), entry.last_chunk::<8>()) else {
                return (None, Err(Refusal::NoProofMemory));
            };
            let until = Time(u64::from_be_bytes(*until));
            // Further away than any proof can be valid: the clock was wrong when it was written, and so was the proof's.
            let is_live = until > now && until.since(now).0 <= self.lifetime.0.saturating_add(CLOCK_CORRECTION.0);
            if is_live && seen == mark {
                return (None, Err(Refusal::ProofReplayed));
            }
            if is_live {
                new.extend_from_slice(entry);
            }
        }
        if new.len() >= self.depth.saturating_mul(ENTRY) {
            return (None, Err(Refusal::TooManyProofs));
        }
        new.extend_from_slice(mark);
        new.extend_from_slice(&now.plus(self.lifetime).0.to_be_bytes());
        (Some(new), Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{LocalMemory, Unavailable, Versioned};
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::collections::HashMap;

    const NOW: Time = Time(1_800_000_000_000);
    const LIFETIME: Span = Span::from_secs(80);
    const KEY: [u8; 32] = [7; 32];

    /// Memory that only ever holds what it holds: how many slots, and how large.
    #[derive(Default)]
    struct Measured {
        memory: LocalMemory,
        sizes: RefCell<HashMap<String, usize>>,
    }

    impl SharedMemory for Measured {
        fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
            self.memory.get(key)
        }

        fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
            self.sizes.borrow_mut().insert(key.to_owned(), value.len());
            self.memory.put(key, value, version)
        }
    }

    struct Broken(bool);

    impl SharedMemory for Broken {
        fn get(&self, _: &str) -> Result<Option<Versioned>, Unavailable> {
            if self.0 { Ok(None) } else { Err(Unavailable) }
        }

        fn put(&self, _: &str, _: &[u8], _: Option<u32>) -> Result<bool, Unavailable> {
            if self.0 { Ok(false) } else { Err(Unavailable) }
        }
    }

    fn replays(proofs: usize) -> Replays {
        Replays::new(proofs, LIFETIME)
    }

    #[test]
    fn a_proof_shown_to_one_worker_is_a_replay_to_all_of_them() {
        let (memory, one, other) = (LocalMemory::default(), replays(1 << 17), replays(1 << 17));
        assert_eq!(one.first_use(&KEY, "a", NOW, &memory), Ok(()));
        assert_eq!(other.first_use(&KEY, "a", NOW, &memory), Err(Refusal::ProofReplayed));
        assert_eq!(one.first_use(&KEY, "a", NOW, &memory), Err(Refusal::ProofReplayed));
        assert_eq!(other.first_use(&[8; 32], "a", NOW, &memory), Ok(()), "another holder's proof of the same name");
        assert_eq!(other.first_use(&KEY, "b", NOW, &memory), Ok(()));
    }

    #[test]
    fn memory_that_cannot_be_read_or_written_accepts_no_proof() {
        for broken in [Broken(false), Broken(true)] {
            assert_eq!(replays(1 << 17).first_use(&KEY, "a", NOW, &broken), Err(Refusal::NoProofMemory));
        }
        assert!(Refusal::NoProofMemory.is_temporary());
        // What somebody else wrote there is nothing to go by.
        let memory = LocalMemory::default();
        for bucket in 0..BUCKETS {
            memory.put(&format!("rerank-guard/dpop/{bucket}"), b"rubbish", None).unwrap();
        }
        assert_eq!(replays(1 << 17).first_use(&KEY, "a", NOW, &memory), Err(Refusal::NoProofMemory));
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_accept_no_more_until_they_may_forget() {
        let (memory, replays) = (Measured::default(), replays(2 * BUCKETS));
        let (mut accepted, mut full) = (0, 0);
        for id in 0..8 * BUCKETS {
            match replays.first_use(&KEY, &id.to_string(), NOW, &memory) {
                Ok(()) => accepted += 1,
                Err(Refusal::TooManyProofs) => full += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(accepted > BUCKETS && accepted <= 2 * BUCKETS, "{accepted}");
        assert!(full > 0);
        assert!(memory.sizes.borrow().len() <= BUCKETS);
        assert!(memory.sizes.borrow().values().all(|size| *size <= 2 * ENTRY));
        let later = NOW.plus(LIFETIME);
        for id in 0..100 {
            assert_eq!(replays.first_use(&KEY, &format!("later-{id}"), later, &LocalMemory::default()), Ok(()));
        }
        assert_eq!(replays.first_use(&KEY, "0", later, &memory), Ok(()), "forgotten, and its proof is no longer valid");
    }

    #[test]
    fn a_clock_that_was_far_ahead_leaves_no_bucket_full_for_ever() {
        let (memory, replays) = (LocalMemory::default(), replays(4 * BUCKETS));
        for id in 0..16 * BUCKETS {
            let _ = replays.first_use(&KEY, &id.to_string(), NOW.plus(Span::from_secs(86_400)), &memory);
        }
        for id in 0..20 {
            assert_eq!(replays.first_use(&[id; 32], "now", NOW, &memory), Ok(()), "{id}");
        }
    }

    proptest! {
        /// The naive model: a list of everything ever shown, with the time.
        #[test]
        fn no_order_of_proofs_and_times_accepts_one_twice_while_it_is_valid(
            steps in proptest::collection::vec((0_u8..6, 0_u64..50), 1..60)
        ) {
            let (memory, replays) = (LocalMemory::default(), replays(1 << 17));
            let mut shown: HashMap<u8, Time> = HashMap::new();
            let mut now = NOW;
            for (id, later) in steps {
                now = now.plus(Span::from_secs(later));
                let is_replay = shown.get(&id).is_some_and(|first| now.since(*first) < LIFETIME);
                let verdict = replays.first_use(&KEY, &id.to_string(), now, &memory);
                prop_assert_eq!(verdict, if is_replay { Err(Refusal::ProofReplayed) } else { Ok(()) });
                if !is_replay {
                    shown.insert(id, now);
                }
            }
        }
    }
}
