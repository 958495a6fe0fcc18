//! Tokens already verified. Only verified tokens enter, so forged ones can push out nothing.

use super::Caller;
use super::claims::Moment;
use super::settings::CacheSettings;
use crate::time::{Span, Time};
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::rc::Rc;

/// Verified tokens, found by all their bytes.
///
/// Bounded by two halves: what is used moves into the young one; when that is full it becomes the old one, and the old one,
/// unused since, is dropped. So every step takes the same time, and no list of uses is kept.
#[derive(Debug)]
pub(super) struct Cache {
    young: Tokens,
    old: Tokens,
    ends: Ends,
    young_bytes: usize,
    half_tokens: usize,
    half_bytes: usize,
    ttl: Span,
}

type Tokens = HashMap<Box<[u8]>, Entry, Ends>;

#[derive(Debug)]
struct Entry {
    caller: Rc<Caller>,
    proof: ProvedBy,
    /// From when on it is believed, which a clock set back can undercut, and until when.
    from: Time,
    until: Time,
    bytes: usize,
}

/// Which keys proved a token: those of one issuer as they stood at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProvedBy {
    pub(super) issuer: usize,
    pub(super) generation: u64,
}

impl Cache {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        let ends = Ends::default();
        Self {
            young: HashMap::with_hasher(ends.clone()),
            old: HashMap::with_hasher(ends.clone()),
            ends,
            young_bytes: 0,
            half_tokens: settings.tokens / 2,
            half_bytes: settings.bytes / 2,
            ttl: settings.ttl,
        }
    }

    /// The caller of exactly these bytes, if `stands` says that what proved it still does.
    pub(super) fn get(
        &mut self,
        token: &[u8],
        moment: Moment,
        stands: impl FnOnce(ProvedBy) -> bool,
    ) -> Option<Rc<Caller>> {
        let (entry, is_young) = match self.young.get(token) {
            Some(entry) => (entry, true),
            None => (self.old.get(token)?, false),
        };
        let valid = moment.now >= entry.from && moment.latest < entry.until && stands(entry.proof);
        let caller = valid.then(|| entry.caller.clone());
        if !is_young || !valid {
            self.settle(token, is_young, valid);
        }
        caller
    }

    /// Remembers a token just verified.
    pub(super) fn put(&mut self, token: &[u8], caller: &Rc<Caller>, proof: ProvedBy, moment: Moment) {
        let until = moment.now.plus(self.ttl);
        let until = caller.expires.map_or(until, |expires| expires.min(until));
        // Claims as values take about four times their text; the rest is the entry and the caller.
        let bytes = token.len().saturating_mul(5).saturating_add(1024);
        if until <= moment.latest || bytes > self.half_bytes || self.half_tokens == 0 {
            return;
        }
        let entry = Entry { caller: caller.clone(), proof, from: moment.now, until, bytes };
        self.insert(token.into(), entry);
    }

    pub(super) fn clear(&mut self) {
        self.young = HashMap::with_hasher(self.ends.clone());
        self.old = HashMap::with_hasher(self.ends.clone());
        self.young_bytes = 0;
    }

    /// Takes a token out, and puts it back among the young if it is still good.
    fn settle(&mut self, token: &[u8], is_young: bool, valid: bool) {
        let half = if is_young { &mut self.young } else { &mut self.old };
        let Some((token, entry)) = half.remove_entry(token) else { return };
        if is_young {
            self.young_bytes = self.young_bytes.saturating_sub(entry.bytes);
        }
        if valid {
            self.insert(token, entry);
        }
    }

    fn insert(&mut self, token: Box<[u8]>, entry: Entry) {
        let bytes = entry.bytes;
        if self.young.len() >= self.half_tokens || self.young_bytes.saturating_add(bytes) > self.half_bytes {
            self.old = std::mem::replace(&mut self.young, HashMap::with_hasher(self.ends.clone()));
            self.young_bytes = 0;
        }
        if let Some(before) = self.young.insert(token, entry) {
            self.young_bytes = self.young_bytes.saturating_sub(before.bytes);
        }
        self.young_bytes = self.young_bytes.saturating_add(bytes);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// Hashes the end of a token, which is the end of its signature, keyed at random: to hash hundreds of bytes more would cost more than
/// all else about a hit. Tokens are still compared by all their bytes. Those that end alike fall on one place, which nobody can make
/// happen: only verified tokens are kept, and the end of a signature is its signer's chance.
#[derive(Debug, Clone, Default)]
struct Ends(RandomState);

impl BuildHasher for Ends {
    type Hasher = End;

    fn build_hasher(&self) -> End {
        End(self.0.build_hasher())
    }
}

#[derive(Debug)]
struct End(DefaultHasher);

impl End {
    /// 192 bits of a signature in base64url.
    const BYTES: usize = 32;
}

impl Hasher for End {
    fn write(&mut self, bytes: &[u8]) {
        let end = bytes.len().checked_sub(Self::BYTES).and_then(|start| bytes.get(start..));
        self.0.write(end.unwrap_or(bytes));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_end_alike_are_still_different_tokens() {
        let mut tokens: HashMap<Box<[u8]>, u8, Ends> = HashMap::default();
        let token = |start: u8| [&[start][..], &[b'z'; 100]].concat();
        for start in 0..50 {
            tokens.insert(token(start).into(), start);
        }
        assert_eq!(tokens.len(), 50);
        for start in 0..50 {
            assert_eq!(tokens.get(&*token(start)), Some(&start));
        }
        assert_eq!(tokens.get(&*token(51)), None);
        assert_eq!(tokens.get(&b"z"[..]), None);
        let ends = Ends::default();
        let hash = |token: &[u8]| ends.hash_one(token);
        assert_eq!(hash(&token(1)), hash(&token(2)));
        assert_ne!(hash(&[b'a'; 32]), hash(&[b'b'; 32]));
        assert_ne!(hash(b"a"), hash(b"b"), "short ones are hashed whole");
    }
}
