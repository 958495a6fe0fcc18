//! The bundles of one VM as they stand: the one in force, the one that is only looked at, and where newer ones come from.

use super::events::Event;
use super::reason::{BundleEvent, BundleReason};
use crate::mask::Masks;
use crate::policy::fetched::{Answer, Behind, Fetch, News, Settings, Source};
use crate::policy::{self, FetchReason, Policy, Question};
use crate::shared::SharedMemory;
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
    pub(crate) reason: policy::Reason,
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
            reason: decision.reason,
            rules: decision.rules,
        }
    }
}

/// What an answer to a fetch did, in the bounded words of metrics, and for a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplied {
    /// A [`BundleEvent`].
    pub event: &'static str,
    /// Why, where it was refused or failed.
    pub reason: Option<FetchReason>,
    /// What to log, and whether it is a warning; None: that was logged before.
    pub line: Option<(bool, String)>,
}

/// One bundle and its source.
#[derive(Debug)]
pub(super) struct Slot {
    role: Role,
    in_force: Option<Rc<InForce>>,
    source: Option<Source>,
    /// What came of following other workers and was not told yet.
    untold: Vec<(Supplied, Option<Event>)>,
}

/// More of it than this is not told.
const MOST_UNTOLD: usize = 16;

impl Slot {
    pub(super) fn new(role: Role, supply: Supply) -> Self {
        let id = supply.start.as_ref().map(Policy::id);
        let source = supply.fetched.map(|settings| Source::new(&settings, id, role.as_str()));
        Self { role, in_force: supply.start.map(InForce::new), source, untold: Vec::new() }
    }

    /// The bundle to judge calls by now: no older one than any worker of the process has judged by.
    ///
    /// # Errors
    /// Why there is none, in one word.
    pub(super) fn now(
        &mut self,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        memory: &dyn SharedMemory,
        now: Time,
    ) -> Result<Rc<InForce>, BundleReason> {
        self.catch_up(unfit, memory, now)?;
        if self.source.as_ref().is_some_and(|source| source.is_stale(now)) {
            return Err(BundleReason::Stale);
        }
        self.in_force.clone().ok_or(BundleReason::NoBundleYet)
    }

    /// Takes what other workers of the process have taken.
    ///
    /// # Errors
    /// What is in force here is older than theirs, or nobody knows.
    fn catch_up(
        &mut self,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        memory: &dyn SharedMemory,
        now: Time,
    ) -> Result<(), BundleReason> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let current = self.in_force.as_ref().map(|current| &current.policy);
        match source.catch_up(current, unfit, memory, now) {
            Ok(None) => Ok(()),
            Ok(Some(policy)) => {
                let told = loaded(self.role, &policy, current, now);
                self.in_force = Some(InForce::new(policy));
                self.untold.push(told);
                self.untold.truncate(MOST_UNTOLD);
                Ok(())
            }
            Err(Behind::Unknown) => Err(BundleReason::MemoryUnavailable),
            Err(Behind::Known) => Err(BundleReason::Behind),
            Err(Behind::Missed(serial, why)) => {
                let (what, stays) = (what(self.role), stays(current));
                let line = format!(
                    "{what} behind serial {serial}, which this process has taken: {why}; calls get 503 ({stays})"
                );
                self.untold.push((Supplied::new(BundleEvent::Behind, Some(why.reason()), Some((true, line))), None));
                self.untold.truncate(MOST_UNTOLD);
                Err(BundleReason::Behind)
            }
        }
    }

    /// Follows the other workers, for no call.
    pub(super) fn follow(&mut self, unfit: &dyn Fn(&Policy) -> Vec<String>, memory: &dyn SharedMemory, now: Time) {
        let _ = self.catch_up(unfit, memory, now);
    }

    /// What is to be recorded of following other workers, once.
    pub(super) fn events(&mut self) -> Vec<Event> {
        self.untold.iter_mut().filter_map(|(_, event)| event.take()).collect()
    }

    /// What is to be logged and counted of it, once. Calls follow other workers too, and have nobody to tell.
    pub(super) fn told(&mut self) -> Vec<Supplied> {
        self.untold.drain(..).map(|(supplied, _)| supplied).collect()
    }

    /// The bundle that is there, however old.
    pub(super) fn latest(&self) -> Option<&Rc<InForce>> {
        self.in_force.as_ref()
    }

    pub(super) fn due(&mut self, memory: &dyn SharedMemory, now: Time) -> Option<Fetch> {
        self.source.as_mut()?.due(memory, now)
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.source.as_ref().map_or(0, Source::max_bytes)
    }

    /// The bundle that is there, as new as any worker's. What is only looked at is never carried out.
    pub(super) fn newest(&mut self, memory: &dyn SharedMemory, now: Time) -> Option<Rc<InForce>> {
        self.catch_up(&|_| Vec::new(), memory, now).ok()?;
        self.in_force.clone()
    }

    /// Takes the answer to a fetch; gives what to log and count, and what to record.
    pub(super) fn answered(
        &mut self,
        answer: Answer<'_>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        memory: &dyn SharedMemory,
        now: Time,
        random: u64,
    ) -> (Supplied, Option<Event>) {
        let Some(source) = &mut self.source else { return (Supplied::new(BundleEvent::Unasked, None, None), None) };
        let current = self.in_force.as_ref().map(|current| &current.policy);
        let (role, what) = (self.role, what(self.role));
        match source.answered(answer, current, unfit, memory, now, random) {
            News::Unasked => (Supplied::new(BundleEvent::Unasked, None, None), None),
            News::Unchanged => (Supplied::new(BundleEvent::Unchanged, None, None), None),
            News::Loaded(policy) => {
                let told = loaded(role, &policy, current, now);
                self.in_force = Some(InForce::new(*policy));
                told
            }
            News::Refused(refused) => {
                let line = format!("{what} refused: {refused}; {}", stays(current));
                let event = Event::refused(role, now, &refused, current);
                (Supplied::new(BundleEvent::Refused, Some(refused.reason()), Some((true, line))), Some(event))
            }
            News::RefusedAgain(reason) => (Supplied::new(BundleEvent::Refused, Some(reason), None), None),
            News::Failed(failure) => {
                let line = format!("{what} not fetched: {failure}; {}", stays(current));
                (Supplied::new(BundleEvent::Failed, Some(failure.reason()), Some((true, line))), None)
            }
        }
    }
}

impl Supplied {
    pub(super) const fn new(event: BundleEvent, reason: Option<FetchReason>, line: Option<(bool, String)>) -> Self {
        Self { event: event.as_str(), reason, line }
    }
}

const fn what(role: Role) -> &'static str {
    match role {
        Role::Enforced => "bundle",
        Role::Shadow => "shadow bundle",
    }
}

fn loaded(role: Role, policy: &Policy, before: Option<&Policy>, now: Time) -> (Supplied, Option<Event>) {
    let (id, serial, digest) = (policy.id(), policy.serial(), policy.digest());
    let line = format!("{} `{id}`, serial {serial}, sha256:{digest}: loaded", what(role));
    (Supplied::new(BundleEvent::Loaded, None, Some((false, line))), Some(Event::loaded(role, now, policy, before)))
}

fn stays(current: Option<&Policy>) -> String {
    current.map_or_else(
        || "there is none in force".to_owned(),
        |current| format!("`{}`, serial {}, stays in force", current.id(), current.serial()),
    )
}
