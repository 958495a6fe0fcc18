//! A limit on bad signatures for each place they come from: proving one wrong costs as much as proving one right, up to
//! milliseconds, and whoever sends them for nothing must not keep a worker busy.

use super::presented::Connection;
use super::refusal::Refusal;
use super::settings::BadSignatureSettings;
use crate::time::{Span, Time};
use std::hash::{BuildHasher, RandomState};

/// Places remembered. Two that fall on one slot share its budget; nobody can choose to, for the hash is keyed at random.
const SLOTS: usize = 1024;

/// What each source still owes for its bad signatures.
#[derive(Debug)]
pub(super) struct BadSignatures {
    burst: u64,
    forgive: Span,
    hash: RandomState,
    slots: Vec<Slot>,
    /// From when on certainly nobody owes anything. A clock set back only makes it later than it need be.
    forgiven: Time,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    bad: u64,
    since: Time,
}

impl BadSignatures {
    pub(super) fn new(settings: &BadSignatureSettings) -> Self {
        Self {
            burst: settings.burst.into(),
            forgive: settings.forgive,
            hash: RandomState::new(),
            slots: vec![Slot::default(); SLOTS],
            forgiven: Time::default(),
        }
    }

    /// Refuses a sender that has sent so many that no more of its signatures are looked at for now. Gives its source, where that
    /// had to be asked for: nobody is asked while nobody owes anything.
    pub(super) fn admit(&mut self, connection: &dyn Connection, now: Time) -> Result<Option<Vec<u8>>, Refusal> {
        if now >= self.forgiven {
            return Ok(None);
        }
        match connection.source() {
            Some(source) if self.is_exhausted(&source, now) => Err(Refusal::TooManyBadSignatures),
            source => Ok(source),
        }
    }

    /// Counts a bad one. `source`: what [`Self::admit`] gave.
    pub(super) fn count(&mut self, source: Option<Vec<u8>>, connection: &dyn Connection, now: Time) {
        if let Some(source) = source.or_else(|| connection.source()) {
            self.add(&source, now);
        }
    }

    fn is_exhausted(&mut self, source: &[u8], now: Time) -> bool {
        let burst = self.burst;
        self.slot(source, now).is_some_and(|slot| slot.bad >= burst)
    }

    fn add(&mut self, source: &[u8], now: Time) {
        let forgive = self.forgive.0;
        if let Some(slot) = self.slot(source, now) {
            slot.bad = slot.bad.saturating_add(1);
            let forgiven = slot.since.plus(Span(slot.bad.saturating_mul(forgive)));
            self.forgiven = self.forgiven.max(forgiven);
        }
    }

    /// The slot of `source`, with what has been forgiven since.
    fn slot(&mut self, source: &[u8], now: Time) -> Option<&mut Slot> {
        let place = usize::try_from(self.hash.hash_one(source) % SLOTS as u64).ok()?;
        let slot = self.slots.get_mut(place)?;
        let forgiven = now.since(slot.since).0.checked_div(self.forgive.0).unwrap_or(0);
        if slot.bad <= forgiven || now < slot.since {
            // All forgiven; or the clock was set back, and nobody's debt shall last until it has caught up.
            let bad = if now < slot.since { slot.bad } else { 0 };
            *slot = Slot { bad, since: now };
        } else {
            slot.bad = slot.bad.saturating_sub(forgiven);
            slot.since = slot.since.plus(Span(forgiven.saturating_mul(self.forgive.0)));
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn limit(burst: u32) -> BadSignatures {
        BadSignatures::new(&BadSignatureSettings { burst, forgive: Span::from_secs(1) })
    }

    #[test]
    fn a_source_is_stopped_after_its_burst_and_forgiven_with_time() {
        let (mut limit, start) = (limit(3), Time(1_000_000));
        let after = |ms: u64| start.plus(Span(ms));
        for _ in 0..3 {
            assert!(!limit.is_exhausted(b"eve", start));
            limit.add(b"eve", start);
        }
        assert!(limit.is_exhausted(b"eve", start));
        assert!(limit.is_exhausted(b"eve", after(999)));
        assert!(!limit.is_exhausted(b"eve", after(1000)));
        limit.add(b"eve", after(1500));
        assert!(limit.is_exhausted(b"eve", after(1999)));
        assert!(!limit.is_exhausted(b"eve", after(2000)), "half a second was not lost");
        limit.add(b"eve", after(9000));
        limit.add(b"eve", after(9000));
        assert!(!limit.is_exhausted(b"eve", after(9000)), "all was forgiven before");
    }

    #[test]
    fn a_clock_set_back_neither_forgives_nor_binds_for_longer() {
        let (mut limit, late, early) = (limit(2), Time(9_000_000), Time(1_000_000));
        limit.add(b"eve", late);
        limit.add(b"eve", late);
        assert!(limit.is_exhausted(b"eve", early));
        assert!(!limit.is_exhausted(b"eve", early.plus(Span::from_secs(1))));
    }

    #[test]
    fn sources_have_budgets_of_their_own_and_memory_is_fixed() {
        let (mut limit, now) = (limit(2), Time(1_000_000));
        limit.add(b"eve", now);
        limit.add(b"eve", now);
        // Others can share the slot by chance, but by no means all of them do.
        let free = (0..100_u32).filter(|source| !limit.is_exhausted(&source.to_be_bytes(), now)).count();
        assert!(free >= 90, "{free}");
        for source in 0..5_000_u32 {
            limit.add(&source.to_be_bytes(), now);
        }
        assert_eq!(limit.slots.len(), SLOTS);
    }

    /// A connection that counts how often it is asked.
    struct Asked(Cell<u32>);

    impl Connection for Asked {
        fn source(&self) -> Option<Vec<u8>> {
            self.0.set(self.0.get() + 1);
            Some(b"eve".to_vec())
        }

        fn certificate(&self) -> Option<[u8; 32]> {
            None
        }
    }

    #[test]
    fn nobody_is_asked_where_they_come_from_until_there_is_a_bad_signature_and_again_when_all_is_forgiven() {
        let (mut limit, asked, start) = (limit(2), Asked(Cell::new(0)), Time(1_000_000));
        let after = |ms: u64| start.plus(Span(ms));
        assert_eq!(limit.admit(&asked, start), Ok(None));
        assert_eq!(asked.0.get(), 0);
        limit.count(None, &asked, start);
        assert_eq!(asked.0.get(), 1);
        let source = limit.admit(&asked, start).unwrap();
        limit.count(source, &asked, start);
        assert_eq!(asked.0.get(), 2, "once for both");
        assert_eq!(limit.admit(&asked, after(999)), Err(Refusal::TooManyBadSignatures));
        assert_eq!(limit.admit(&asked, after(1000)), Ok(Some(b"eve".to_vec())), "one is still owed");
        assert_eq!(limit.admit(&asked, after(2000)), Ok(None));
        assert_eq!(asked.0.get(), 4);
        assert_eq!(limit.admit(&asked, Time(0)), Ok(Some(b"eve".to_vec())), "a clock set back hides no debt");
    }
}
