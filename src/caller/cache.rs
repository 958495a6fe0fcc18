//! Tokens already verified. Only verified tokens enter, so forged ones can push out nothing.

use super::Caller;
use super::claims::Moment;
use super::settings::CacheSettings;
use crate::time::{Span, Time};
use std::collections::HashMap;
use std::rc::Rc;

/// Verified tokens, found by all their bytes.
///
/// Bounded by two halves: what is used moves into the young one; when that is full it becomes the old one, and the old one,
/// unused since, is dropped. So every step takes the same time, and no list of uses is kept.
#[derive(Debug)]
pub(super) struct Cache {
    young: HashMap<Box<[u8]>, Entry>,
    old: HashMap<Box<[u8]>, Entry>,
    young_bytes: usize,
    half_tokens: usize,
    half_bytes: usize,
    ttl: Span,
}

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
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
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
        self.young = HashMap::new();
        self.old = HashMap::new();
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
            self.old = std::mem::take(&mut self.young);
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
