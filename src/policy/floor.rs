//! The newest bundle that a process has taken from a source, as all its workers remember it: none of them goes back behind it,
//! whatever the source serves, and none is left behind: the signed bundle itself is kept beside it, so that a worker that is new, or
//! that the source keeps from it, has it too.
//!
//! What stands in the memory is believed only as far as it says "not older than this". The bundle that is kept is opened like any
//! other, signature first.

use super::signed::TrustedKey;
use crate::shared::{SharedMemory, Unavailable, update};
use crate::time::Time;

/// A bundle by serial and digest, and by the keys that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) serial: u64,
    digest: [u8; DIGEST],
    keys: Vec<[u8; KEY]>,
}

/// A digest, in hexadecimal.
const DIGEST: usize = 64;
/// The name of a key, in hexadecimal.
const KEY: usize = 16;
/// Most keys of a bundle.
const MOST_KEYS: usize = 8;
/// A mark as it is kept: the serial (big-endian), the digest, and room for the keys' names.
const MARK: usize = 8 + DIGEST + MOST_KEYS * KEY;

/// How a bundle stands to the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the newest one.
    Newest,
    /// It is older.
    Older,
    /// It has the newest one's serial, and is another one.
    Conflicting,
}

impl Mark {
    /// None for what is no digest in hexadecimal or no name of a key: that was not made here.
    pub(crate) fn new(serial: u64, digest: &str, keys: &[&TrustedKey]) -> Option<Self> {
        let keys = keys.iter().take(MOST_KEYS).map(|key| key.id().as_bytes().try_into().ok()).collect::<Option<_>>()?;
        Some(Self { serial, digest: digest.as_bytes().try_into().ok()?, keys })
    }

    pub(crate) fn is_of(&self, digest: &str) -> bool {
        self.digest == *digest.as_bytes()
    }

    /// It stands as long as one of the keys that signed it is trusted: with a key that was stolen goes what it has signed, or
    /// nobody could come back from the highest serial there is.
    fn stands(&self, keys: &[TrustedKey]) -> bool {
        self.keys.iter().any(|signed| keys.iter().any(|trusted| trusted.id().as_bytes() == signed))
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MARK);
        bytes.extend_from_slice(&self.serial.to_be_bytes());
        bytes.extend_from_slice(&self.digest);
        bytes.extend(self.keys.iter().take(MOST_KEYS).flatten());
        bytes.resize(MARK, 0);
        bytes
    }

    /// The mark at the beginning of `bytes`, and what follows it.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (serial, rest) = bytes.split_first_chunk::<8>()?;
        let (digest, rest) = rest.split_first_chunk::<DIGEST>()?;
        let (keys, rest) = rest.split_at_checked(MOST_KEYS * KEY)?;
        let keys = keys.as_chunks::<KEY>().0.iter().filter(|key| **key != [0; KEY]).copied().collect();
        Some((Self { serial: u64::from_be_bytes(*serial), digest: *digest, keys }, rest))
    }

    /// The same with the keys of `other` too.
    fn and_by(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.keys.extend(other.keys.iter().filter(|key| !self.keys.contains(key)));
        both
    }
}

/// Where the newest bundle of one source is remembered.
#[derive(Debug)]
pub(crate) struct Floor {
    mark: String,
    kept: String,
    heard: String,
}

impl Floor {
    /// `role`: what the bundle `id` is for.
    pub(crate) fn new(role: &str, id: &str) -> Self {
        let name: String = super::digest(id.as_bytes()).chars().take(32).collect();
        Self {
            mark: format!("bundle/{role}/{name}"),
            kept: format!("bundle/{role}/{name}/signed"),
            heard: format!("bundle/{role}/{name}/heard"),
        }
    }

    /// The newest bundle that was signed by one of `keys`. None: there was none yet.
    ///
    /// # Errors
    /// Nobody knows: the memory is not available, or somebody else has written there.
    pub(crate) fn newest(&self, keys: &[TrustedKey], memory: &dyn SharedMemory) -> Result<Option<Mark>, Unavailable> {
        let Some(slot) = memory.get(&self.mark)? else { return Ok(None) };
        let Some((mark, [])) = Mark::read(&slot.value) else { return Err(Unavailable) };
        Ok(Some(mark).filter(|mark| mark.stands(keys)))
    }

    /// When the source was last heard to have nothing newer; if nobody has heard it yet, when it was first asked. Where nobody knows,
    /// `now`: nothing decides then.
    pub(crate) fn heard(&self, now: Time, memory: &dyn SharedMemory) -> Time {
        let heard = update(memory, &self.heard, |old| match old.first_chunk::<8>() {
            Some(heard) => (None, Time(u64::from_be_bytes(*heard))),
            None => (Some(now.0.to_be_bytes().to_vec()), now),
        });
        heard.unwrap_or(now).min(now)
    }

    /// The source has been heard. Where nobody can remember that, workers that are new ask again.
    pub(crate) fn hear(&self, now: Time, memory: &dyn SharedMemory) {
        let _ = update(memory, &self.heard, |_| (Some(now.0.to_be_bytes().to_vec()), ()));
    }

    /// The newest bundle in its envelope.
    pub(crate) fn kept(&self, memory: &dyn SharedMemory) -> Option<Vec<u8>> {
        let slot = memory.get(&self.kept).ok()??;
        Mark::read(&slot.value).map(|(_, envelope)| envelope.to_vec())
    }

    /// Makes `mark`, in its `envelope`, the newest bundle, if it is not older than the newest one. The envelope goes first: whoever
    /// sees the mark finds what it stands for.
    ///
    /// # Errors
    /// Nobody can remember it.
    pub(crate) fn raise(
        &self,
        mark: &Mark,
        envelope: &[u8],
        keys: &[TrustedKey],
        memory: &dyn SharedMemory,
    ) -> Result<Standing, Unavailable> {
        match advance(&self.kept, mark, envelope, keys, memory)? {
            Standing::Conflicting => Ok(Standing::Conflicting),
            // A newer one that is kept is about to be the newest.
            Standing::Newest | Standing::Older => advance(&self.mark, mark, &[], keys, memory),
        }
    }
}

fn advance(
    key: &str,
    mark: &Mark,
    envelope: &[u8],
    keys: &[TrustedKey],
    memory: &dyn SharedMemory,
) -> Result<Standing, Unavailable> {
    update(memory, key, |old| {
        let new = |mark: &Mark| Some([&mark.write(), envelope].concat());
        match Mark::read(old).map(|(old, _)| old).filter(|old| old.stands(keys)) {
            None => (new(mark), Standing::Newest),
            Some(old) if old.serial > mark.serial => (None, Standing::Older),
            Some(old) if old.serial < mark.serial => (new(mark), Standing::Newest),
            Some(old) if old.digest != mark.digest => (None, Standing::Conflicting),
            Some(old) => {
                let both = old.and_by(mark);
                (if both == old { None } else { new(&both) }, Standing::Newest)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::LocalMemory;
    use ed25519_compact::{KeyPair, Seed};

    fn key(seed: u8) -> TrustedKey {
        TrustedKey::from_bytes(&*KeyPair::from_seed(Seed::new([seed; 32])).pk).unwrap()
    }

    fn mark(serial: u64, word: &str, keys: &[&TrustedKey]) -> Mark {
        Mark::new(serial, &crate::policy::digest(word.as_bytes()), keys).unwrap()
    }

    #[test]
    fn the_newest_bundle_only_ever_gets_newer_and_is_one_bundle() {
        let (memory, floor, keys) = (LocalMemory::default(), Floor::new("enforced", "search"), [key(1)]);
        let by = [&keys[0]];
        assert_eq!(floor.newest(&keys, &memory), Ok(None));
        for (serial, word, standing, newest) in [
            (8, "a", Standing::Newest, "a"),
            (8, "a", Standing::Newest, "a"),
            (8, "b", Standing::Conflicting, "a"),
            (7, "c", Standing::Older, "a"),
            (9, "d", Standing::Newest, "d"),
            (8, "a", Standing::Older, "d"),
            (u64::MAX, "e", Standing::Newest, "e"),
        ] {
            let raised = floor.raise(&mark(serial, word, &by), word.as_bytes(), &keys, &memory);
            assert_eq!(raised, Ok(standing), "{serial} {word}");
            assert!(floor.newest(&keys, &memory).unwrap().unwrap().is_of(&crate::policy::digest(newest.as_bytes())));
            assert_eq!(floor.kept(&memory).as_deref(), Some(newest.as_bytes()));
        }
        for other in [Floor::new("shadow", "search"), Floor::new("enforced", "search2")] {
            assert_eq!(other.newest(&keys, &memory), Ok(None));
        }
    }

    #[test]
    fn what_a_key_signed_goes_with_the_key_and_stays_while_another_signed_it_too() {
        let (memory, floor) = (LocalMemory::default(), Floor::new("enforced", "search"));
        let (old, new) = (key(1), key(2));
        let (before, both, after) = ([old.clone()], [old.clone(), new.clone()], [new.clone()]);
        floor.raise(&mark(9, "a", &[&old]), b"a", &before, &memory).unwrap();
        assert!(floor.newest(&both, &memory).unwrap().is_some());
        assert_eq!(floor.newest(&after, &memory), Ok(None), "a stolen key holds nobody up");
        floor.raise(&mark(9, "a", &[&new]), b"a2", &both, &memory).unwrap();
        assert!(floor.newest(&after, &memory).unwrap().is_some() && floor.newest(&before, &memory).unwrap().is_some());
        assert_eq!(floor.kept(&memory).as_deref(), Some(&b"a2"[..]));
    }

    #[test]
    fn what_nobody_of_ours_wrote_is_unknown_and_not_nothing() {
        let (floor, keys) = (Floor::new("enforced", "search"), [key(1)]);
        for rubbish in [&b"x"[..], &[0; MARK - 1], &[0; MARK + 1]] {
            let memory = LocalMemory::default();
            memory.put(&floor.mark, rubbish, None).unwrap();
            assert_eq!(floor.newest(&keys, &memory), Err(Unavailable));
        }
    }
}
