//! When something is fetched over one of the proxy's clusters: at the start, by age and a little before it by chance, again after
//! failures with ever longer waits, and never more than one fetch at a time. What is fetched is the business of who asks.

use crate::time::{Span, Time};

/// First and longest wait after failed fetches.
const BACKOFF: (Span, Span) = (Span::from_secs(1), Span::from_secs(60));

/// How long after its timeout an unanswered fetch is given up.
const ANSWER_GRACE: Span = Span::from_secs(5);

/// The times of one thing that is fetched again and again.
#[derive(Debug)]
pub(crate) struct Schedule {
    timeout: Span,
    refresh: Span,
    state: State,
    failures: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Due,
    UnderWay { since: Time },
    Waiting { since: Time, wait: Span },
}

impl Schedule {
    /// Due at once. `timeout`: how long an answer may take. `refresh`: how old what was fetched gets before it is fetched again.
    pub(crate) const fn new(timeout: Span, refresh: Span) -> Self {
        Self { timeout, refresh, state: State::Due, failures: 0 }
    }

    pub(crate) const fn timeout(&self) -> Span {
        self.timeout
    }

    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.state, State::UnderWay { .. })
    }

    /// How long until the next fetch is to be sent, and no longer than `hurry` after the one before. Zero: now. A clock set back
    /// makes a fetch due at once, rather than late by as much.
    pub(crate) fn wait(&self, now: Time, hurry: Option<Span>) -> Span {
        let (since, wait) = match self.state {
            State::Due => return Span(0),
            State::UnderWay { since } => (since, Span(self.timeout.0.saturating_add(ANSWER_GRACE.0))),
            State::Waiting { since, wait } => (since, hurry.map_or(wait, |hurry| wait.min(hurry))),
        };
        if now < since { Span(0) } else { Span(wait.0.saturating_sub(now.since(since).0)) }
    }

    /// A fetch is sent now.
    pub(crate) const fn begin(&mut self, now: Time) {
        self.state = State::UnderWay { since: now };
    }

    /// The next fetch is due at once: what came says where to go on.
    pub(crate) const fn go_on(&mut self) {
        self.state = State::Due;
    }

    /// The fetch brought what it should; the next one comes when that is old, less up to a seventh by chance.
    pub(crate) fn succeed(&mut self, now: Time, random: u64) {
        let refresh = self.refresh.0;
        self.failures = 0;
        self.state = State::Waiting { since: now, wait: Span(refresh.saturating_sub(part(refresh / 7, random))) };
    }

    /// The fetch brought nothing; the next one comes after a wait that doubles each time, less up to half of it by chance.
    pub(crate) fn fail(&mut self, now: Time, random: u64) {
        let (first, longest) = BACKOFF;
        let doubled = first.0.saturating_mul(1 << self.failures.min(10));
        let most = doubled.min(longest.0).min(self.refresh.0);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { since: now, wait: Span(most.saturating_sub(part(most / 2, random))) };
    }
}

/// From nothing to nearly all of `whole`, evenly by `random`.
fn part(whole: u64, random: u64) -> u64 {
    let wide = u128::from(whole) * u128::from(random);
    u64::try_from(wide >> 64).unwrap_or(0)
}
