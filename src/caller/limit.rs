//! A budget for bad signatures that this module proves wrong by itself: that costs as much as proving one right, up to milliseconds,
//! and whoever sends them for nothing must not keep a worker busy. What the host proves costs some 40 µs and needs no budget.
//!
//! Only bad ones are paid for: by their source, by the key they were held against, and by all together, so that neither many
//! sources nor many keys add up. Whoever is over a budget is told to come again, never that its token is bad: one address may be
//! a whole company, and one of its programs must not lock the others out. Budgets fill up again all the time, so signatures go on
//! being checked, at a bounded rate.

use super::presented::Connection;
use super::refusal::Refusal;
use super::settings::BadSignatureSettings;
use crate::time::{Span, Time};
use std::hash::{BuildHasher, RandomState};

/// Sources remembered, and keys. Two that fall on one slot share its budget; nobody can choose to, for the hash is keyed at random.
const SLOTS: usize = 1024;

/// How many times the budget of one source one key has, and all have together.
const ONE_KEY: u64 = 3;
const ALL: u64 = 6;

/// What is still owed for bad signatures.
#[derive(Debug)]
pub(super) struct BadSignatures {
    /// What one of the cheapest costs, in microseconds of forgiving, and how much may be owed.
    one: u64,
    most: u64,
    hash: RandomState,
    sources: Vec<Slot>,
    keys: Vec<Slot>,
    all: Slot,
    /// From when on certainly nobody owes anything. A clock set back only makes it later than it need be.
    forgiven: Time,
    /// How many signatures were admitted at a cost.
    #[cfg(test)]
    pub(super) admitted: u32,
}

/// A debt, in microseconds until it is forgiven.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    owed: u64,
    since: Time,
}

impl Slot {
    /// What is owed now. A clock set back forgives nothing, and nobody's debt lasts until it has caught up.
    fn settle(&mut self, now: Time) -> u64 {
        self.owed = self.owed.saturating_sub(now.since(self.since).0.saturating_mul(1000));
        self.since = now;
        self.owed
    }

    /// Adds to it; gives when all of it will be forgiven.
    fn owe(&mut self, more: u64, now: Time) -> Time {
        self.owed = self.settle(now).saturating_add(more);
        now.plus(Span(self.owed.div_ceil(1000)))
    }
}

/// A signature that may be checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    cost: u64,
    key: usize,
    /// Where it comes from, where that had to be asked for: nobody is asked while nobody owes anything.
    source: Option<Vec<u8>>,
}

impl BadSignatures {
    pub(super) fn new(settings: &BadSignatureSettings) -> Self {
        let one = settings.forgive.0.saturating_mul(1000);
        Self {
            one,
            most: one.saturating_mul(settings.burst.into()),
            hash: RandomState::new(),
            sources: vec![Slot::default(); SLOTS],
            keys: vec![Slot::default(); SLOTS],
            all: Slot::default(),
            forgiven: Time::default(),
            #[cfg(test)]
            admitted: 0,
        }
    }

    /// Whether a signature that costs this much (nothing: the host proves it) may be checked now, against the key of this name.
    pub(super) fn admit(
        &mut self,
        cost: u64,
        key: &[u8],
        connection: &dyn Connection,
        now: Time,
    ) -> Result<Admitted, Refusal> {
        let key = self.place(key);
        if cost == 0 {
            return Ok(Admitted { cost, key, source: None });
        }
        let mut source = None;
        if now < self.forgiven {
            source = connection.source();
            let place = source.as_deref().map(|source| self.place(source));
            let (one, most) = (self.one, self.most);
            let is_spent = |slot: &mut Slot, times: u64| {
                slot.settle(now).saturating_add(one.checked_div(times).unwrap_or(one)) > most
            };
            if place.and_then(|place| self.sources.get_mut(place)).is_some_and(|slot| is_spent(slot, 1))
                || self.keys.get_mut(key).is_some_and(|slot| is_spent(slot, ONE_KEY))
                || is_spent(&mut self.all, ALL)
            {
                return Err(Refusal::TooManyBadSignatures);
            }
        }
        #[cfg(test)]
        {
            self.admitted += 1;
        }
        Ok(Admitted { cost, key, source })
    }

    /// Has a bad one paid for.
    pub(super) fn count(&mut self, admitted: Admitted, connection: &dyn Connection, now: Time) {
        let Admitted { cost, key, source } = admitted;
        if cost == 0 {
            return;
        }
        let place = source.or_else(|| connection.source()).map(|source| self.place(&source));
        let price = |times: u64| self.one.saturating_mul(cost).checked_div(times).unwrap_or(self.one);
        let (by_source, by_key, by_all) = (price(1), price(ONE_KEY), price(ALL));
        let source = place.and_then(|place| self.sources.get_mut(place)).map(|slot| slot.owe(by_source, now));
        let key = self.keys.get_mut(key).map(|slot| slot.owe(by_key, now));
        let all = Some(self.all.owe(by_all, now));
        self.forgiven = [source, key, all].into_iter().flatten().fold(self.forgiven, Time::max);
    }

    fn place(&self, name: &[u8]) -> usize {
        usize::try_from(self.hash.hash_one(name) % SLOTS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const KEY: &[u8] = b"key";

    /// A connection that counts how often it is asked.
    struct From(Vec<u8>, Cell<u32>);

    impl From {
        fn new(name: &[u8]) -> Self {
            Self(name.to_vec(), Cell::new(0))
        }
    }

    impl Connection for From {
        fn source(&self) -> Option<Vec<u8>> {
            self.1.set(self.1.get() + 1);
            Some(self.0.clone())
        }

        fn certificate(&self) -> Option<[u8; 32]> {
            None
        }
    }

    fn limit(burst: u32) -> BadSignatures {
        BadSignatures::new(&BadSignatureSettings { burst, forgive: Span::from_secs(1) })
    }

    /// One bad signature; whether it was looked at.
    fn bad(limit: &mut BadSignatures, cost: u64, key: &[u8], from: &From, now: Time) -> bool {
        limit.admit(cost, key, from, now).map(|admitted| limit.count(admitted, from, now)).is_ok()
    }

    #[test]
    fn a_source_is_stopped_after_its_burst_and_forgiven_with_time() {
        let (mut limit, start, eve) = (limit(3), Time(1_000_000), From::new(b"eve"));
        let after = |ms: u64| start.plus(Span(ms));
        for (ms, looked_at) in [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (999, false),
            (1000, true),
            (1500, false),
            (1999, false),
            (2000, true),
            (9000, true),
            (9000, true),
            (9000, true),
            (9000, false),
        ] {
            assert_eq!(bad(&mut limit, 1, KEY, &eve, after(ms)), looked_at, "{ms}");
        }
    }

    #[test]
    fn a_clock_set_back_neither_forgives_nor_binds_for_longer() {
        let (mut limit, late, early, eve) = (limit(2), Time(9_000_000), Time(1_000_000), From::new(b"eve"));
        assert!(bad(&mut limit, 1, KEY, &eve, late) && bad(&mut limit, 1, KEY, &eve, late));
        assert!(!bad(&mut limit, 1, KEY, &eve, early));
        assert!(bad(&mut limit, 1, KEY, &eve, early.plus(Span::from_secs(1))));
    }

    #[test]
    fn good_signatures_and_those_the_host_proves_cost_nothing() {
        let (mut limit, now, eve) = (limit(1), Time(1_000_000), From::new(b"eve"));
        for _ in 0..1000 {
            assert!(bad(&mut limit, 0, KEY, &eve, now));
            assert!(limit.admit(9, KEY, &eve, now).is_ok());
        }
        assert!(bad(&mut limit, 1, KEY, &eve, now));
        assert!(limit.admit(1, KEY, &eve, now).is_err());
        assert!(limit.admit(0, KEY, &eve, now).is_ok(), "the host's are not concerned by others'");
    }

    #[test]
    fn dear_signatures_use_a_budget_up_sooner() {
        for (cost, most) in [(1, 12), (4, 3), (15, 1)] {
            let (mut limit, eve) = (limit(12), From::new(b"eve"));
            let looked_at = (0..50).filter(|_| bad(&mut limit, cost, KEY, &eve, Time(1_000_000))).count();
            assert_eq!(looked_at, most, "{cost}");
        }
    }

    /// Many sources cannot do what one cannot, and one key's flood leaves something to the other keys.
    #[test]
    fn keys_and_all_together_have_budgets_too() {
        let (mut limit, now) = (limit(10), Time(1_000_000));
        let flood = |limit: &mut BadSignatures, key: &[u8], salt: u8| {
            let sources = (0..100_u8).map(|source| From::new(&[source, salt]));
            sources.filter(|from| bad(limit, 1, key, from, now)).count()
        };
        assert_eq!(flood(&mut limit, b"one", 0), 30);
        assert_eq!(flood(&mut limit, b"two", 1), 30);
        assert_eq!(flood(&mut limit, b"three", 2), 0);
        assert_eq!((limit.sources.len(), limit.keys.len()), (SLOTS, SLOTS));
        let later = now.plus(Span(1000));
        let sources = (0..100_u8).map(|source| From::new(&[source, 3]));
        assert_eq!(sources.filter(|from| bad(&mut limit, 1, b"four", from, later)).count(), 6, "six a second");
    }

    #[test]
    fn nobody_is_asked_where_they_come_from_until_there_is_a_bad_signature_and_again_when_all_is_forgiven() {
        let (mut limit, eve, start) = (limit(2), From::new(b"eve"), Time(1_000_000));
        let after = |ms: u64| start.plus(Span(ms));
        let first = limit.admit(1, KEY, &eve, start).unwrap();
        assert_eq!((eve.1.get(), &first.source), (0, &None));
        limit.count(first, &eve, start);
        assert_eq!(eve.1.get(), 1);
        assert!(bad(&mut limit, 1, KEY, &eve, start));
        assert_eq!(eve.1.get(), 2, "once for both");
        assert_eq!(limit.admit(1, KEY, &eve, after(999)), Err(Refusal::TooManyBadSignatures));
        assert!(limit.admit(1, KEY, &eve, after(1000)).unwrap().source.is_some(), "one is still owed");
        assert!(limit.admit(1, KEY, &eve, after(2000)).unwrap().source.is_none());
        assert_eq!(eve.1.get(), 4);
        assert!(limit.admit(1, KEY, &eve, Time(0)).unwrap().source.is_some(), "a clock set back hides no debt");
    }
}
