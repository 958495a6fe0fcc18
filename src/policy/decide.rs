//! The decision on one call. Deny beats approval beats allow, and nothing matching denies.

use super::Policy;
use super::Reason;
use super::bundle::{Force, Limits, Mode};
use super::check::{Allow, Guard, Rule};
use super::facts::{Claims, Facts};
use super::glob::Exactness;
use super::index::{Dimension, Meant, Target};
use super::when::Holds;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::rc::Rc;

/// A call, as far as policy looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// When it came.
    pub now: Time,
    /// The caller's subject.
    pub subject: &'a str,
    /// The caller's issuer.
    pub issuer: &'a str,
    /// The caller's groups, as the identity provider names them.
    pub groups: &'a [String],
    /// All claims of the caller's token.
    pub claims: &'a dyn Claims,
    /// The model asked for.
    pub model: &'a str,
    /// The dataset the documents come from.
    pub dataset: &'a str,
    /// The tenant, where the route has one.
    pub tenant: Option<&'a str>,
    /// One of [`OPERATIONS`](super::OPERATIONS).
    pub operation: &'a str,
    /// How many documents.
    pub documents: u64,
    /// Bytes of the query.
    pub query_bytes: u64,
    /// Bytes of the largest document.
    pub document_bytes: u64,
    /// Results asked for; the number of documents where the call does not say.
    pub top_n: u64,
    /// Whether the response will repeat the documents, also when that is only the service's default.
    pub return_documents: bool,
    /// The names of further parameters.
    pub parameters: &'a [String],
    /// What is found in the call, and what the caller did before.
    pub facts: &'a dyn Facts,
}

/// What a policy says about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The outcome.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The rules that said so, by id.
    pub rules: Vec<Rc<str>>,
    /// Allows that would have matched but for one thing; at most [`NEAR_MISSES`].
    pub near_misses: Vec<NearMiss>,
    /// The points of all matching guards; 0 where the call is denied for anything else.
    pub risk: u32,
    /// Which guard gave how many points, by id.
    pub reasons: Vec<(Rc<str>, u32)>,
    /// The least of the limits of all matching guards and of the allow chosen. The call keeps to them, unless it is denied.
    pub limits: Limits,
    /// What to mask in the response, by name. Empty when denied.
    pub masks: Vec<Rc<str>>,
    /// Parameters to change on the way upstream.
    pub force: Force,
    /// What to mask in the request before it goes upstream, by name. Empty when denied.
    pub request_masks: Vec<Rc<str>>,
    /// The credential to go upstream with. None when denied, or when the allow uses none.
    pub credential: Option<Rc<str>>,
    /// The approvals to get, by name; empty unless the effect is [`Effect::Ask`].
    pub approvals: Vec<Rc<str>>,
    /// What it would be if shadow rules counted; None when none of them matches.
    pub shadow: Option<Shadow>,
}

/// How many near misses a decision names.
pub const NEAR_MISSES: usize = 8;

/// An outcome. The greater one is the stricter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The call may go on.
    Allow,
    /// The call may go on once people have approved it.
    #[serde(rename = "approval")]
    Ask,
    /// The call is refused.
    Deny,
}

impl Effect {
    /// `allow`, `approval` or `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "approval",
            Self::Deny => "deny",
        }
    }
}

/// An allow that would have matched but for `what`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NearMiss {
    /// The allow's id.
    pub rule: Rc<str>,
    /// What kept it from matching.
    pub what: Miss,
}

/// What keeps an allow from matching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Miss {
    /// It is not about calls like this, in this one dimension.
    Selector(Dimension),
    /// The call is larger than it grants.
    Limit(Limit),
    /// The caller's claims are not those of its `when`, or are not known.
    Claims,
    /// It is another time than its `when` says.
    Hours,
    /// It is past its `expires`.
    Expired,
}

/// The limits there are, named as in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// `documents`
    Documents,
    /// `query_bytes`
    QueryBytes,
    /// `document_bytes`
    DocumentBytes,
    /// `top_n`
    TopN,
    /// `return_documents`
    ReturnDocuments,
    /// `parameters`
    Parameters,
}

impl Miss {
    /// As records write it: the member of the rule that was not met.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selector(Dimension::Groups) => "groups",
            Self::Selector(Dimension::Models) => "models",
            Self::Selector(Dimension::Datasets) => "datasets",
            Self::Selector(Dimension::Tenants) => "tenants",
            Self::Selector(Dimension::Operations) => "operations",
            Self::Limit(Limit::Documents) => "documents",
            Self::Limit(Limit::QueryBytes) => "query_bytes",
            Self::Limit(Limit::DocumentBytes) => "document_bytes",
            Self::Limit(Limit::TopN) => "top_n",
            Self::Limit(Limit::ReturnDocuments) => "return_documents",
            Self::Limit(Limit::Parameters) => "parameters",
            Self::Claims => "claims",
            Self::Hours => "hours",
            Self::Expired => "expires",
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What a decision would be if shadow rules counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The outcome it would have.
    pub effect: Effect,
    /// The shadow rules that match, by id.
    pub rules: Vec<Rc<str>>,
}

/// Decides; see [`Policy::decide`].
pub(super) fn decide(policy: &Policy, question: &Question<'_>) -> Decision {
    if policy.not_after.is_some_and(|end| question.now >= end) {
        return deny(Reason::BundleExpired, Vec::new());
    }
    let target = Target {
        groups: question.groups,
        model: question.model,
        dataset: question.dataset,
        tenant: question.tenant,
        operation: question.operation,
    };
    let meant = Meant::by(&target, &policy.lexicon);
    let met = policy.index.matching(&meant);
    let allows: Vec<_> = met.allows().filter_map(|number| Some((number, policy.allows.get(number)?))).collect();
    let (mut denies, mut unread_denies) = strictly(&policy.denies, met.denies(), question);
    let (mut guards, mut unread_guards) = strictly(&policy.guards, met.guards(), question);
    // To read the texts of a call is by far the dearest of all, so it is only done where something can come of it: where an allow
    // lets the call through, and no rule denies it that needs no texts. For what shadow rules would do, one in shadow is enough.
    let mut reads = false;
    let is_asked = !(unread_denies.is_empty() && unread_guards.is_empty());
    let is_denied = denies.iter().any(|rule| rule.mode == Mode::Enforce);
    if is_asked && !is_denied {
        let mut granting = allows.iter().filter(|(_, allow)| misses(allow, question).is_empty()).peekable();
        if granting.peek().is_some() {
            read(&mut denies, &mut unread_denies, question);
            read(&mut guards, &mut unread_guards, question);
        }
        reads = granting.any(|(_, allow)| allow.mode == Mode::Enforce);
    }
    let matching = Matching { policy, meant: &meant, denies, guards, allows };
    let mut decision = matching.weigh(question, |mode, is_read| mode == Mode::Enforce && (reads || !is_read));
    if decision.reason == Reason::NoRule {
        let enforced = |number: usize| policy.allows.get(number).is_some_and(|allow| allow.mode == Mode::Enforce);
        let left = NEAR_MISSES.saturating_sub(decision.near_misses.len());
        let near = policy.index.near_allows(&meant, enforced, left);
        decision.near_misses.extend(near.into_iter().filter_map(|(number, dimension)| {
            let rule = Rc::clone(&policy.allows.get(number)?.id);
            Some(NearMiss { rule, what: Miss::Selector(dimension) })
        }));
    }
    let shadows = matching.shadows();
    if !shadows.is_empty() {
        decision.shadow = Some(Shadow { effect: matching.weigh(question, |_, _| true).effect, rules: shadows });
    }
    decision
}

/// Those of the rules with these numbers whose condition holds, or is not known to fail; and those of which that cannot be said
/// without reading the call's texts. In the order of their ids.
fn strictly<'p, Terms>(
    rules: &'p [Rule<Terms>],
    numbers: impl Iterator<Item = usize>,
    question: &Question<'_>,
) -> (Vec<&'p Rule<Terms>>, Vec<&'p Rule<Terms>>) {
    let (mut counting, mut unread) = (Vec::new(), Vec::new());
    for rule in numbers.filter_map(|number| rules.get(number)) {
        if rule.reads() {
            unread.push(rule);
        } else if counts(rule, question) {
            counting.push(rule);
        }
    }
    (counting, unread)
}

/// Adds those of the `unread` rules that count after all.
fn read<'p, Terms>(counting: &mut Vec<&'p Rule<Terms>>, unread: &mut Vec<&'p Rule<Terms>>, question: &Question<'_>) {
    unread.retain(|rule| counts(rule, question));
    if !unread.is_empty() {
        counting.append(unread);
        counting.sort_by(|one, other| one.id.cmp(&other.id));
    }
}

fn counts<Terms>(rule: &Rule<Terms>, question: &Question<'_>) -> bool {
    matches!(holds(rule, question), Holds::Yes | Holds::UnknownClaims)
}

fn holds<Terms>(rule: &Rule<Terms>, question: &Question<'_>) -> Holds {
    rule.when.as_ref().map_or(Holds::Yes, |when| when.stands(question))
}

/// The rules that match a call, allows by their selectors alone and with their numbers, in the order of their ids.
struct Matching<'p> {
    policy: &'p Policy,
    meant: &'p Meant,
    denies: Vec<&'p Rule<()>>,
    guards: Vec<&'p Rule<Guard>>,
    allows: Vec<(usize, &'p Rule<Allow>)>,
}

impl<'p> Matching<'p> {
    /// What comes of the rules that count: by their mode, and by whether the call's texts are read for them.
    fn weigh(&self, question: &Question<'_>, counts: impl Fn(Mode, bool) -> bool) -> Decision {
        let denies: Vec<Rc<str>> =
            self.denies.iter().filter(|rule| counts(rule.mode, rule.reads())).map(|rule| Rc::clone(&rule.id)).collect();
        if !denies.is_empty() {
            return deny(Reason::DeniedByRule, denies);
        }
        let mut near_misses = Vec::new();
        let mut chosen: Option<(usize, &Rule<Allow>)> = None;
        for (number, allow) in self.allows.iter().copied().filter(|(_, rule)| counts(rule.mode, false)) {
            let misses = misses(allow, question);
            // Of equals the first by id is named; they have the same credential.
            if misses.is_empty()
                && chosen.is_none_or(|(best, other)| self.order(number, allow) > self.order(best, other))
            {
                chosen = Some((number, allow));
            }
            near_misses.extend(misses.into_iter().map(|what| NearMiss { rule: Rc::clone(&allow.id), what }));
        }
        near_misses.truncate(NEAR_MISSES);
        let Some((_, allow)) = chosen else {
            return Decision { near_misses, ..deny(Reason::NoRule, Vec::new()) };
        };
        let guards: Vec<&Rule<Guard>> =
            self.guards.iter().filter(|rule| counts(rule.mode, rule.reads())).copied().collect();
        let exceeded: Vec<Rc<str>> = guards
            .iter()
            .filter(|guard| !exceeded(&guard.terms.limits, question).is_empty())
            .map(|guard| Rc::clone(&guard.id))
            .collect();
        if !exceeded.is_empty() {
            return Decision { near_misses, ..deny(Reason::LimitExceeded, exceeded) };
        }
        grant(allow, &guards, near_misses)
    }

    fn order(&self, number: usize, allow: &Rule<Allow>) -> Order {
        let most_exact = |dimension| {
            let dictionary = self.policy.lexicon.dictionary(dimension);
            let met = self.policy.index.met_by_allow(number, dimension, self.meant);
            met.map(|symbol| dictionary.exactness(symbol)).max().unwrap_or_default()
        };
        Order {
            dataset: most_exact(Dimension::Datasets),
            model: most_exact(Dimension::Models),
            tenant: most_exact(Dimension::Tenants),
            precedence: allow.terms.precedence,
        }
    }

    fn shadows(&self) -> Vec<Rc<str>> {
        let denies = self.denies.iter().map(|rule| (rule.mode, &rule.id));
        let guards = self.guards.iter().map(|rule| (rule.mode, &rule.id));
        let allows = self.allows.iter().map(|(_, rule)| (rule.mode, &rule.id));
        let all = denies.chain(guards).chain(allows);
        in_order(all.filter(|(mode, _)| *mode == Mode::Shadow).map(|(_, id)| Rc::clone(id)))
    }
}

fn deny(reason: Reason, rules: Vec<Rc<str>>) -> Decision {
    Decision {
        effect: Effect::Deny,
        reason,
        rules,
        near_misses: Vec::new(),
        risk: 0,
        reasons: Vec::new(),
        limits: Limits::default(),
        masks: Vec::new(),
        force: Force::default(),
        request_masks: Vec::new(),
        credential: None,
        approvals: Vec::new(),
        shadow: None,
    }
}

fn grant(allow: &Rule<Allow>, guards: &[&Rule<Guard>], near_misses: Vec<NearMiss>) -> Decision {
    // Guards are in the order of their ids already.
    let reasons: Vec<(Rc<str>, u32)> = guards
        .iter()
        .filter(|guard| guard.terms.risk > 0)
        .map(|guard| (Rc::clone(&guard.id), guard.terms.risk))
        .collect();
    let risk = reasons.iter().fold(0u32, |sum, (_, points)| sum.saturating_add(*points));
    let denying: Vec<Rc<str>> = guards
        .iter()
        .filter(|guard| guard.terms.deny_at.is_some_and(|most| risk >= most))
        .map(|guard| Rc::clone(&guard.id))
        .collect();
    if !denying.is_empty() {
        return Decision { near_misses, risk, reasons, ..deny(Reason::RiskTooHigh, denying) };
    }
    let masks = in_order(guards.iter().flat_map(|guard| guard.terms.masks.iter().cloned()));
    let request_masks = in_order(guards.iter().flat_map(|guard| guard.terms.request_masks.iter().cloned()));
    let asking = guards.iter().filter(|guard| risk >= guard.terms.threshold);
    let approvals = in_order(asking.filter_map(|guard| guard.terms.approval.clone()));
    let limits = guards.iter().map(|guard| &guard.terms.limits);
    let limits = limits.fold(allow.terms.limits.clone(), |least, other| tighter(&least, other));
    let before = guards.partition_point(|guard| guard.id < allow.id);
    let (before, after) = guards.split_at_checked(before).unwrap_or((guards, &[]));
    let mut rules = Vec::with_capacity(guards.len().saturating_add(1));
    rules.extend(before.iter().map(|guard| Rc::clone(&guard.id)));
    rules.push(Rc::clone(&allow.id));
    rules.extend(after.iter().map(|guard| Rc::clone(&guard.id)));
    let (effect, reason) =
        if approvals.is_empty() { (Effect::Allow, Reason::Granted) } else { (Effect::Ask, Reason::ApprovalRequired) };
    Decision {
        effect,
        reason,
        rules,
        near_misses,
        risk,
        reasons,
        limits,
        masks,
        force: guards.iter().fold(Force::default(), |force, guard| force.and(guard.terms.force)),
        request_masks,
        credential: allow.terms.credential.clone(),
        approvals,
        shadow: None,
    }
}

/// Names, ascending and once each.
fn in_order(names: impl Iterator<Item = Rc<str>>) -> Vec<Rc<str>> {
    let mut names: Vec<Rc<str>> = names.collect();
    if names.len() > 1 {
        names.sort_unstable();
        names.dedup();
    }
    names
}

/// Which of two allows gives the credential: the one that names the dataset more exactly, then the model, then the tenant,
/// then the one with the higher precedence. What is compared is the entry that matched the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    dataset: Exactness,
    model: Exactness,
    tenant: Exactness,
    precedence: u32,
}

fn misses(allow: &Rule<Allow>, question: &Question<'_>) -> Vec<Miss> {
    let expired = allow.terms.expires.is_some_and(|end| question.now >= end);
    let unmet = match holds(allow, question) {
        Holds::Yes => None,
        Holds::NotTheClaims | Holds::UnknownClaims => Some(Miss::Claims),
        // An allow asks nothing else of a call.
        Holds::NotTheHours | Holds::NotTheCall => Some(Miss::Hours),
    };
    let exceeded = exceeded(&allow.terms.limits, question).into_iter().map(Miss::Limit);
    expired.then_some(Miss::Expired).into_iter().chain(unmet).chain(exceeded).collect()
}

fn exceeded(limits: &Limits, question: &Question<'_>) -> Vec<Limit> {
    let listed = |parameter: &String| limits.parameters.as_ref().is_none_or(|listed| listed.contains(parameter));
    let further = !question.parameters.iter().all(listed);
    [
        (Limit::Documents, limits.documents, question.documents),
        (Limit::QueryBytes, limits.query_bytes, question.query_bytes),
        (Limit::DocumentBytes, limits.document_bytes, question.document_bytes),
        (Limit::TopN, limits.top_n, question.top_n),
    ]
    .into_iter()
    .filter(|(_, most, asked)| most.is_some_and(|most| *asked > most))
    .map(|(limit, _, _)| limit)
    .chain((limits.return_documents == Some(false) && question.return_documents).then_some(Limit::ReturnDocuments))
    .chain(further.then_some(Limit::Parameters))
    .collect()
}

fn tighter(one: &Limits, other: &Limits) -> Limits {
    let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Limits {
        documents: least(one.documents, other.documents),
        query_bytes: least(one.query_bytes, other.query_bytes),
        document_bytes: least(one.document_bytes, other.document_bytes),
        top_n: least(one.top_n, other.top_n),
        return_documents: one.return_documents.into_iter().chain(other.return_documents).min(),
        parameters: match (&one.parameters, &other.parameters) {
            (Some(one), Some(other)) => Some(one.iter().filter(|name| other.contains(name)).cloned().collect()),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        },
    }
}
