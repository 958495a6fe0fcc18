//! The bundles of one VM as they stand: the one in force, the one that is only looked at, and where newer ones come from.

use super::events::Event;
use crate::mask::Masks;
use crate::policy::fetched::{Answer, Fetch, News, Settings, Source};
use crate::policy::{Policy, Question};
use crate::time::Time;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It decides.
    Enforced,
    /// It is asked as well, and recorded. It never changes what happens to a call.
    Shadow,
}

impl Role {
    /// As records and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Shadow => "shadow",
        }
    }
}

/// A bundle to start with, and where others are fetched from; at least one of them is there.
#[derive(Debug, Default)]
pub struct Supply {
    /// The bundle to start with: built in, or written in the configuration.
    pub start: Option<Policy>,
    /// Where to fetch.
    pub fetched: Option<Settings>,
}

/// A bundle and what was made of it. A call takes one and keeps it to its end, so that nobody is ever judged by half of one bundle
/// and half of another.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    masks: RefCell<BTreeMap<Vec<Rc<str>>, Rc<Masks>>>,
}

/// More sets of masks than this are not kept (a bundle has a handful).
const MOST_MASKS: usize = 256;

impl InForce {
    fn new(policy: Policy) -> Rc<Self> {
        Rc::new(Self { policy, masks: RefCell::default() })
    }

    /// The union of the named masks. None: a name that the bundle does not have.
    pub(crate) fn masks(&self, names: &[Rc<str>], keys: &[(&str, &[u8])]) -> Option<Rc<Masks>> {
        if let Some(known) = self.masks.try_borrow().ok().and_then(|known| known.get(names).cloned()) {
            return Some(known);
        }
        let rules: Option<Vec<_>> =
            names.iter().map(|name| self.policy.mask(name).map(|rule| (&**name, rule))).collect();
        let masks = Rc::new(Masks::compile_with_keys(&rules?, keys).ok()?);
        if let Ok(mut known) = self.masks.try_borrow_mut()
            && known.len() < MOST_MASKS
        {
            known.insert(names.to_vec(), masks.clone());
        }
        Some(masks)
    }
}

/// What a bundle that is only looked at says about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecondOpinion {
    pub(crate) bundle: Rc<str>,
    pub(crate) serial: u64,
    pub(crate) digest: Rc<str>,
    pub(crate) effect: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) rules: Vec<Rc<str>>,
}

impl SecondOpinion {
    pub(super) fn of(policy: &Policy, question: &Question<'_>) -> Self {
        let decision = policy.decide(question);
        Self {
            bundle: policy.id().into(),
            serial: policy.serial(),
            digest: policy.digest().into(),
            effect: decision.effect.as_str(),
            reason: decision.reason.as_str(),
            rules: decision.rules,
        }
    }
}

/// What an answer to a fetch did, in the bounded words of metrics, and for a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplied {
    /// `loaded`, `unchanged`, `refused`, `failed` or `unasked`.
    pub event: &'static str,
    /// Why, where it was refused or failed; otherwise `ok`.
    pub reason: &'static str,
    /// What to log, and whether it is a warning; None: that was logged before.
    pub line: Option<(bool, String)>,
}

/// One bundle and its source.
#[derive(Debug, Default)]
pub(super) struct Slot {
    in_force: Option<Rc<InForce>>,
    source: Option<Source>,
}

impl Slot {
    pub(super) fn new(supply: Supply) -> Self {
        let source = supply.fetched.map(|settings| Source::new(&settings, supply.start.as_ref().map(Policy::id)));
        Self { in_force: supply.start.map(InForce::new), source }
    }

    /// The bundle to judge calls by now.
    ///
    /// # Errors
    /// Why there is none, in one word.
    pub(super) fn now(&self, now: Time) -> Result<Rc<InForce>, &'static str> {
        if self.source.as_ref().is_some_and(|source| source.is_stale(now)) {
            return Err("bundle-stale");
        }
        self.in_force.clone().ok_or("no-bundle-yet")
    }

    /// The bundle that is there, however old.
    pub(super) fn latest(&self) -> Option<&Rc<InForce>> {
        self.in_force.as_ref()
    }

    pub(super) fn due(&mut self, now: Time) -> Option<Fetch> {
        self.source.as_mut()?.due(now)
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.source.as_ref().map_or(0, Source::max_bytes)
    }

    /// Takes the answer to a fetch; gives what to log and count, and what to record.
    pub(super) fn answered(
        &mut self,
        role: Role,
        answer: Answer<'_>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        now: Time,
        random: u64,
    ) -> (Supplied, Option<Event>) {
        let Some(source) = &mut self.source else { return (Supplied::new("unasked", "ok", None), None) };
        let current = self.in_force.as_ref().map(|current| &current.policy);
        let what = if role == Role::Shadow { "shadow bundle" } else { "bundle" };
        match source.answered(answer, current, unfit, now, random) {
            News::Unasked => (Supplied::new("unasked", "ok", None), None),
            News::Unchanged => (Supplied::new("unchanged", "ok", None), None),
            News::Loaded(policy) => {
                let line =
                    format!("{what} `{}`, serial {}, sha256:{}: loaded", policy.id(), policy.serial(), policy.digest());
                let event = Event::loaded(role, now, &policy, current);
                self.in_force = Some(InForce::new(*policy));
                (Supplied::new("loaded", "ok", Some((false, line))), Some(event))
            }
            News::Refused(refused) => {
                let line = format!("{what} refused: {refused}; {}", stays(current));
                let event = Event::refused(role, now, &refused, current);
                (Supplied::new("refused", refused.as_str(), Some((true, line))), Some(event))
            }
            News::RefusedAgain(reason) => (Supplied::new("refused", reason, None), None),
            News::Failed(failure) => {
                let line = format!("{what} not fetched: {failure}; {}", stays(current));
                (Supplied::new("failed", failure.as_str(), Some((true, line))), None)
            }
        }
    }
}

impl Supplied {
    pub(super) const fn new(event: &'static str, reason: &'static str, line: Option<(bool, String)>) -> Self {
        Self { event, reason, line }
    }
}

fn stays(current: Option<&Policy>) -> String {
    current.map_or_else(
        || "there is none in force".to_owned(),
        |current| format!("`{}`, serial {}, stays in force", current.id(), current.serial()),
    )
}
