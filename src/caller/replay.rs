//! Proofs of possession already shown, by all workers of the process together: a proof that each worker accepted once would be
//! accepted as often as there are workers.

use super::claims::CLOCK_CORRECTION;
use super::refusal::Refusal;
use crate::shared::{SharedMemory, update};
use crate::time::{Span, Time};
use sha2::{Digest, Sha256};

/// The memory is so many slots, each with the proofs whose digest falls on it. They are never deleted, only written anew, so
/// their number and the proofs in each bound the memory.
const BUCKETS: usize = 256;

/// Half a SHA-256 of a proof's id and its key.
const MARK: usize = 16;
/// A holder by a part of a SHA-256: who shares it by chance shares a part of a bucket, too.
const HOLDER: usize = 4;
/// A remembered proof: its mark, its key, its caller, and until when it could be shown again, in milliseconds since 1970
/// (big-endian).
const ENTRY: usize = MARK + HOLDER + HOLDER + 8;

/// Whose proof it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'a> {
    /// The key that signed it.
    pub(super) thumbprint: &'a [u8; 32],
    /// The issuer of the caller's token.
    pub(super) issuer: &'a str,
    /// The caller.
    pub(super) subject: &'a str,
}

/// How proofs are remembered.
#[derive(Debug)]
pub(super) struct Replays {
    /// Most proofs in one bucket.
    depth: usize,
    /// Most proofs of one key in it, and most of one caller, who may have any number of keys.
    shares: (usize, usize),
    /// For how long a proof can be valid after it was first shown.
    lifetime: Span,
}

impl Replays {
    /// `proofs`: how many at most, of all holders together; rounded up to whole buckets.
    pub(super) fn new(proofs: usize, lifetime: Span) -> Self {
        let depth = proofs.div_ceil(BUCKETS).max(1);
        Self { depth, shares: (depth.div_ceil(8), depth.div_ceil(4)), lifetime }
    }

    /// Accepts the proof `id` of this holder, once. Only proved proofs come here, so only holders of bound tokens fill the memory.
    /// Which bucket a proof falls into, its holder can choose, so each has a share of every bucket and no more: whoever uses it up
    /// shuts nobody else out. A proof that can still be shown is never forgotten to make room.
    pub(super) fn first_use(
        &self,
        holder: Holder<'_>,
        id: &str,
        now: Time,
        memory: &dyn SharedMemory,
    ) -> Result<(), Refusal> {
        let digest = hash(&[holder.thumbprint, id.as_bytes()]);
        let (mark, key) = (digest.first_chunk::<MARK>(), hash(&[b"key", holder.thumbprint]));
        let caller = hash(&[b"caller", holder.issuer.as_bytes(), holder.subject.as_bytes()]);
        let (Some(mark), Some([high, low]), Some(key), Some(caller)) =
            (mark, digest.last_chunk::<2>(), key.first_chunk::<HOLDER>(), caller.first_chunk::<HOLDER>())
        else {
            return Err(Refusal::TooManyProofs);
        };
        let bucket = usize::from(u16::from_be_bytes([*high, *low])) % BUCKETS;
        let name = format!("dpop/{bucket}");
        update(memory, &name, |old| self.enter(old, mark, (key, caller), now)).map_err(|_| Refusal::NoProofMemory)?
    }

    /// The bucket with the proof in it and without those that are no longer valid, if it is not there and has room.
    fn enter(
        &self,
        old: &[u8],
        mark: &[u8; MARK],
        (key, caller): (&[u8; HOLDER], &[u8; HOLDER]),
        now: Time,
    ) -> (Option<Vec<u8>>, Result<(), Refusal>) {
        let (entries, rest) = old.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            // Nobody of ours wrote this.
            return (None, Err(Refusal::NoProofMemory));
        }
        let mut new = Vec::with_capacity(old.len().saturating_add(ENTRY));
        let (mut by_key, mut by_caller) = (0usize, 0usize);
        for entry in entries {
            let (seen, rest) = entry.split_at(MARK);
            let (by, rest) = rest.split_at(HOLDER);
            let (of, until) = rest.split_at(HOLDER);
            let Some(until) = until.first_chunk::<8>() else { return (None, Err(Refusal::NoProofMemory)) };
            let until = Time(u64::from_be_bytes(*until));
            // Further away than any proof can be valid: the clock was wrong when it was written, and so was the proof's.
            let is_live = until > now && until.since(now).0 <= self.lifetime.0.saturating_add(CLOCK_CORRECTION.0);
            if is_live && seen == mark {
                return (None, Err(Refusal::ProofReplayed));
            }
            if is_live {
                new.extend_from_slice(entry);
                by_key = by_key.saturating_add(usize::from(by == key));
                by_caller = by_caller.saturating_add(usize::from(of == caller));
            }
        }
        let (most_by_key, most_by_caller) = self.shares;
        let is_full = new.len() >= self.depth.saturating_mul(ENTRY);
        if is_full || by_key >= most_by_key || by_caller >= most_by_caller {
            return (None, Err(Refusal::TooManyProofs));
        }
        new.extend_from_slice(mark);
        new.extend_from_slice(key);
        new.extend_from_slice(caller);
        new.extend_from_slice(&now.plus(self.lifetime).0.to_be_bytes());
        (Some(new), Ok(()))
    }
}

/// Over the parts and where each ends.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
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

    const fn holder(thumbprint: &[u8; 32]) -> Holder<'_> {
        Holder { thumbprint, issuer: "https://idp.example", subject: "ann" }
    }

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
        assert_eq!(one.first_use(holder(&KEY), "a", NOW, &memory), Ok(()));
        assert_eq!(other.first_use(holder(&KEY), "a", NOW, &memory), Err(Refusal::ProofReplayed));
        assert_eq!(one.first_use(holder(&KEY), "a", NOW, &memory), Err(Refusal::ProofReplayed));
        assert_eq!(
            other.first_use(holder(&[8; 32]), "a", NOW, &memory),
            Ok(()),
            "another holder's proof of the same name"
        );
        assert_eq!(other.first_use(holder(&KEY), "b", NOW, &memory), Ok(()));
    }

    #[test]
    fn memory_that_cannot_be_read_or_written_accepts_no_proof() {
        for broken in [Broken(false), Broken(true)] {
            assert_eq!(replays(1 << 17).first_use(holder(&KEY), "a", NOW, &broken), Err(Refusal::NoProofMemory));
        }
        assert!(Refusal::NoProofMemory.is_temporary());
        // What somebody else wrote there is nothing to go by.
        let memory = LocalMemory::default();
        for bucket in 0..BUCKETS {
            memory.put(&format!("dpop/{bucket}"), b"rubbish", None).unwrap();
        }
        assert_eq!(replays(1 << 17).first_use(holder(&KEY), "a", NOW, &memory), Err(Refusal::NoProofMemory));
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_accept_no_more_until_they_may_forget() {
        let (memory, replays) = (Measured::default(), replays(8 * BUCKETS));
        let (mut accepted, mut full) = (0, 0);
        for id in 0..32 * BUCKETS {
            let (key, subject) = ([(id % 251) as u8; 32], (id % 241).to_string());
            let holder = Holder { thumbprint: &key, issuer: "https://idp.example", subject: &subject };
            match replays.first_use(holder, &id.to_string(), NOW, &memory) {
                Ok(()) => accepted += 1,
                Err(Refusal::TooManyProofs) => full += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(accepted > 4 * BUCKETS && accepted <= 8 * BUCKETS, "{accepted}");
        assert!(full > 0);
        assert!(memory.sizes.borrow().len() <= BUCKETS);
        assert!(memory.sizes.borrow().values().all(|size| *size <= 8 * ENTRY));
        let later = NOW.plus(LIFETIME);
        for id in 0..100 {
            assert_eq!(replays.first_use(holder(&KEY), &format!("later-{id}"), later, &LocalMemory::default()), Ok(()));
        }
        assert_eq!(
            replays.first_use(holder(&[0; 32]), "0", later, &memory),
            Ok(()),
            "forgotten, its proof no longer valid"
        );
    }

    /// The bucket of a proof, so that an attacker can be played who makes up ids until one falls where it hurts.
    fn bucket(thumbprint: &[u8; 32], id: &str) -> usize {
        let digest = hash(&[thumbprint, id.as_bytes()]);
        usize::from(u16::from_be_bytes([digest[30], digest[31]])) % BUCKETS
    }

    #[test]
    fn whoever_fills_a_bucket_on_purpose_shuts_out_nobody_else() {
        let (memory, replays) = (LocalMemory::default(), replays(1 << 14));
        let victim = Holder { thumbprint: &[9; 32], issuer: "https://idp.example", subject: "vic" };
        let aim = bucket(&[9; 32], "mine");
        let mut accepted = [0; 2];
        // With one key, and then with as many keys as the provider binds tokens to.
        for (round, keys) in [(0, 1), (1, 100)] {
            for id in 0..20_000u32 {
                let key = [100 + (id % keys) as u8; 32];
                let id = id.to_string();
                if bucket(&key, &id) == aim && replays.first_use(holder(&key), &id, NOW, &memory).is_ok() {
                    accepted[round] += 1;
                }
            }
        }
        assert_eq!(accepted, [8, 8], "an eighth of the bucket for a key, a quarter for a caller");
        assert_eq!(replays.first_use(holder(&[100; 32]), "mine", NOW, &LocalMemory::default()), Ok(()));
        assert_eq!(replays.first_use(victim, "mine", NOW, &memory), Ok(()));
        assert_eq!(replays.first_use(victim, "mine", NOW, &memory), Err(Refusal::ProofReplayed));
    }

    #[test]
    fn a_clock_that_was_far_ahead_leaves_no_bucket_full_for_ever() {
        let (memory, replays) = (LocalMemory::default(), replays(4 * BUCKETS));
        for id in 0..16 * BUCKETS {
            let _ = replays.first_use(holder(&KEY), &id.to_string(), NOW.plus(Span::from_secs(86_400)), &memory);
        }
        for id in 0..20 {
            assert_eq!(replays.first_use(holder(&[id; 32]), "now", NOW, &memory), Ok(()), "{id}");
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
                let verdict = replays.first_use(holder(&KEY), &id.to_string(), now, &memory);
                prop_assert_eq!(verdict, if is_replay { Err(Refusal::ProofReplayed) } else { Ok(()) });
                if !is_replay {
                    shown.insert(id, now);
                }
            }
        }
    }
}
