//! What callers did before, as far as bundles ask: how often in this minute, and what they have been let through to. All workers of
//! the process remember it together, in so many slots of so many bytes. What cannot be remembered is told as unknown, and unknown
//! means risk.

use crate::policy::Novelty;
use crate::shared::{SharedMemory, update};
use crate::time::Time;
use sha2::{Digest, Sha256};

/// Slots, for each of both kinds of memory.
const BUCKETS: usize = 1024;
/// Most callers of one minute in a slot. Those that come after them are not counted but unknown.
const MOST_CALLERS: usize = 64;
/// Most uses in a slot, and most of one caller. The oldest of a caller makes room: then it is taken for a first use again. It is that
/// of whoever has most, so that nobody makes others' uses forgotten by what they call themselves.
const MOST_USES: usize = 256;
const MOST_OF_A_CALLER: usize = 64;

/// Half a SHA-256 of whom and what.
const MARK: usize = 16;
/// A caller by a part of a SHA-256.
const CALLER: usize = 4;
/// The mark of a use, and its caller.
const USE: usize = MARK + CALLER;
/// A caller's mark, the minute since 1970, the calls, their documents (big-endian).
const COUNT: usize = MARK + 8 + 8 + 8;

/// A caller: issuer and subject.
type Who<'a> = (&'a str, &'a str);

/// Counts a call with so many documents. Gives the caller's calls and documents in this minute of the clock, this call's included;
/// None: they cannot be known.
pub(super) fn count(memory: &dyn SharedMemory, who: Who<'_>, documents: u64, now: Time) -> Option<(u64, u64)> {
    let (mark, bucket) = mark(who, "rate", "")?;
    let minute = now.secs() / 60;
    update(memory, &format!("rate/{bucket}"), |old| {
        let (entries, []) = old.as_chunks::<COUNT>() else { return (None, None) };
        let mut new = Vec::with_capacity(old.len().saturating_add(COUNT));
        let mut counted = (0u64, 0u64);
        for entry in entries {
            let number =
                |at: usize| entry.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|n| u64::from_be_bytes(*n));
            let (Some(then), Some(calls), Some(of_them)) = (number(MARK), number(MARK + 8), number(MARK + 16)) else {
                return (None, None);
            };
            if then == minute && entry.starts_with(&mark) {
                counted = (calls, of_them);
            } else if then == minute {
                new.extend_from_slice(entry);
            }
        }
        if new.len() >= MOST_CALLERS.saturating_mul(COUNT) {
            return (None, None);
        }
        let (calls, of_them) = (counted.0.saturating_add(1), counted.1.saturating_add(documents));
        new.extend_from_slice(&mark);
        for number in [minute, calls, of_them] {
            new.extend_from_slice(&number.to_be_bytes());
        }
        (Some(new), Some((calls, of_them)))
    })
    .ok()
    .flatten()
}

/// Whether nobody remembers that the caller was let through to this before.
pub(super) fn is_first_use(memory: &dyn SharedMemory, who: Who<'_>, of: Novelty, name: &str) -> bool {
    let Some((mark, bucket)) = mark(who, kind(of), name) else { return true };
    match memory.get(&format!("use/{bucket}")) {
        Ok(Some(slot)) => !slot.value.as_chunks::<USE>().0.iter().any(|entry| entry.starts_with(&mark)),
        Ok(None) | Err(_) => true,
    }
}

/// Remembers that the caller was let through. Where that fails it is a first use once more.
pub(super) fn remember_use(memory: &dyn SharedMemory, who: Who<'_>, of: Novelty, name: &str) {
    let Some((mark, bucket)) = mark(who, kind(of), name) else { return };
    let Some((caller, _)) = self::mark(who, "caller", "") else { return };
    let caller = caller.split_at(CALLER).0;
    let _ = update(memory, &format!("use/{bucket}"), |old| {
        let (entries, rest) = old.as_chunks::<USE>();
        if rest.is_empty() && entries.iter().any(|entry| entry.starts_with(&mark)) {
            return (None, ());
        }
        let of = |caller: &[u8]| entries.iter().filter(|entry| entry.ends_with(caller)).count();
        let whose = if of(caller) >= MOST_OF_A_CALLER {
            Some(caller)
        } else if entries.len() >= MOST_USES {
            entries.iter().map(|entry| entry.split_at(MARK).1).max_by_key(|caller| of(caller))
        } else {
            None
        };
        let oldest = whose.and_then(|whose| entries.iter().position(|entry| entry.ends_with(whose)));
        let kept = entries.iter().enumerate().filter(|(at, _)| Some(*at) != oldest).flat_map(|(_, entry)| entry);
        (Some(kept.chain(&mark).chain(caller).copied().collect()), ())
    });
}

const fn kind(of: Novelty) -> &'static str {
    match of {
        Novelty::Model => "model",
        Novelty::Dataset => "dataset",
    }
}

fn mark(who: Who<'_>, kind: &str, name: &str) -> Option<([u8; MARK], usize)> {
    let mut hash = Sha256::new();
    for part in [kind, who.0, who.1, name] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let [high, low] = digest.last_chunk::<2>()?;
    Some((*digest.first_chunk::<MARK>()?, usize::from(u16::from_be_bytes([*high, *low])) % BUCKETS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{LocalMemory, Unavailable, Versioned};

    const NOON: Time = Time(1_800_000_000_000);

    struct Broken;

    impl SharedMemory for Broken {
        fn get(&self, _: &str) -> Result<Option<Versioned>, Unavailable> {
            Err(Unavailable)
        }

        fn put(&self, _: &str, _: &[u8], _: Option<u32>) -> Result<bool, Unavailable> {
            Err(Unavailable)
        }
    }

    fn caller(subject: &str) -> Who<'_> {
        ("https://idp.test", subject)
    }

    #[test]
    fn calls_are_counted_by_caller_and_by_the_minutes_of_the_clock() {
        let (memory, ann, bob) = (LocalMemory::default(), caller("ann"), caller("bob"));
        // 1,800,000,000 is a whole minute.
        let at = |seconds: u64| NOON.plus(crate::time::Span::from_secs(seconds));
        assert_eq!(count(&memory, ann, 3, at(0)), Some((1, 3)));
        assert_eq!(count(&memory, ann, 4, at(59)), Some((2, 7)));
        assert_eq!(count(&memory, bob, 1, at(59)), Some((1, 1)));
        assert_eq!(count(&memory, ann, 5, at(60)), Some((1, 5)));
        assert_eq!(count(&memory, bob, u64::MAX, at(60)), Some((1, u64::MAX)));
        assert_eq!(count(&memory, bob, 1, at(60)), Some((2, u64::MAX)));
    }

    #[test]
    fn a_slot_has_room_for_so_many_callers_and_those_after_them_are_unknown() {
        struct OneSlot(LocalMemory);
        impl SharedMemory for OneSlot {
            fn get(&self, _: &str) -> Result<Option<Versioned>, Unavailable> {
                self.0.get("one")
            }
            fn put(&self, _: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
                assert!(value.len() <= (MOST_CALLERS * COUNT).max(MOST_USES * USE));
                self.0.put("one", value, version)
            }
        }
        let memory = OneSlot(LocalMemory::default());
        for number in 0..MOST_CALLERS {
            assert_eq!(count(&memory, caller(&number.to_string()), 1, NOON), Some((1, 1)));
        }
        assert_eq!(count(&memory, caller("late"), 1, NOON), None);
        assert_eq!(count(&memory, caller("0"), 1, NOON), Some((2, 2)), "who is counted already stays counted");
        assert_eq!(count(&memory, caller("late"), 1, Time(NOON.0 + 60_000)), Some((1, 1)));
        let memory = OneSlot(LocalMemory::default());
        remember_use(&memory, caller("bob"), Novelty::Model, "0");
        for number in 0..=MOST_OF_A_CALLER {
            remember_use(&memory, caller("ann"), Novelty::Model, &number.to_string());
        }
        assert!(is_first_use(&memory, caller("ann"), Novelty::Model, "0"), "the oldest made room");
        assert!(!is_first_use(&memory, caller("ann"), Novelty::Model, "1"));
        assert!(!is_first_use(&memory, caller("bob"), Novelty::Model, "0"), "and nobody else's");
        for number in 0..1000 {
            remember_use(&memory, caller(&format!("eve-{}", number % 4)), Novelty::Model, &number.to_string());
        }
        assert!(!is_first_use(&memory, caller("bob"), Novelty::Model, "0"), "whoever has most makes room");
    }

    #[test]
    fn a_use_is_remembered_for_one_caller_and_one_thing() {
        let (memory, ann) = (LocalMemory::default(), caller("ann"));
        assert!(is_first_use(&memory, ann, Novelty::Dataset, "hr"));
        remember_use(&memory, ann, Novelty::Dataset, "hr");
        assert!(!is_first_use(&memory, ann, Novelty::Dataset, "hr"));
        assert!(is_first_use(&memory, ann, Novelty::Dataset, "hr2"));
        assert!(is_first_use(&memory, ann, Novelty::Model, "hr"));
        assert!(is_first_use(&memory, caller("bob"), Novelty::Dataset, "hr"));
    }

    #[test]
    fn without_memory_nothing_is_known_and_everything_is_new() {
        assert_eq!(count(&Broken, caller("ann"), 1, NOON), None);
        remember_use(&Broken, caller("ann"), Novelty::Model, "m");
        assert!(is_first_use(&Broken, caller("ann"), Novelty::Model, "m"));
        // A slot that nobody of ours wrote.
        let memory = LocalMemory::default();
        for bucket in 0..BUCKETS {
            memory.put(&format!("rate/{bucket}"), b"x", None).unwrap();
        }
        assert_eq!(count(&memory, caller("ann"), 1, NOON), None);
    }
}
