//! The semantics once more, straight from the bundle's document and without any index: slow and plain. The tests hold the
//! real thing against it, and against what must be true of every policy.

use super::bundle::{
    ApprovalTerms, Bundle, Credential, Force, Identity, Limits, Mode, Named, Require, Rule, Selectors,
};
use super::*;
use crate::fold;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn glob(pattern: &str, name: &str) -> bool {
    super::glob::tests::naive(pattern.as_bytes(), name.as_bytes())
}

/// The patterns of `list`, declared names opened up.
fn opened<'b>(list: &'b [String], declared: &'b BTreeMap<String, Named>) -> Vec<&'b str> {
    let open = |text: &'b String| match declared.get(text) {
        Some(Named { patterns: Some(patterns), .. }) => patterns.iter().map(String::as_str).collect(),
        _ => vec![text.as_str()],
    };
    list.iter().flat_map(open).collect()
}

/// Which selectors of a rule do not match.
fn unmet(bundle: &Bundle, selectors: &Selectors, is_allow: bool, q: &Question<'_>) -> Vec<Dimension> {
    let mut unmet = Vec::new();
    if let Some(aliases) = &selectors.groups {
        let named: Vec<&String> = aliases.iter().flat_map(|alias| &bundle.groups[alias]).collect();
        if !q.groups.iter().any(|group| named.contains(&group)) {
            unmet.push(Dimension::Groups);
        }
    }
    let meets = |pattern: &&str, name: &str| {
        let folded = || fold::forms(name).any(|name| glob(&fold::compared(pattern), &name));
        if is_allow { glob(pattern, name) } else { folded() }
    };
    let differs = |list: &Option<Vec<String>>, declared, name: &str| {
        list.as_ref().is_some_and(|list| !opened(list, declared).iter().any(|pattern| meets(pattern, name)))
    };
    if differs(&selectors.models, &bundle.models, q.model) {
        unmet.push(Dimension::Models);
    }
    let labelled = selectors.labels.as_ref().map(|labels| {
        let has = |named: &Named| named.labels.iter().any(|label| labels.contains(label));
        bundle.datasets.iter().filter(|(_, named)| has(named)).map(|(name, _)| name.clone()).collect()
    });
    if differs(&selectors.datasets.clone().or(labelled), &bundle.datasets, q.dataset) {
        unmet.push(Dimension::Datasets);
    }
    let tenants = match q.tenant {
        Some(tenant) => differs(&selectors.tenants, &BTreeMap::new(), tenant),
        None => is_allow && selectors.tenants.is_some(),
    };
    if tenants {
        unmet.push(Dimension::Tenants);
    }
    if selectors.operations.as_ref().is_some_and(|list| !list.iter().any(|operation| operation == q.operation)) {
        unmet.push(Dimension::Operations);
    }
    unmet
}

fn over(limits: Option<&Limits>, q: &Question<'_>) -> Vec<&'static str> {
    let limits = limits.cloned().unwrap_or_default();
    let mut over = Vec::new();
    if q.documents > limits.documents.unwrap_or(u64::MAX) {
        over.push("documents");
    }
    if q.query_bytes > limits.query_bytes.unwrap_or(u64::MAX) {
        over.push("query_bytes");
    }
    if q.document_bytes > limits.document_bytes.unwrap_or(u64::MAX) {
        over.push("document_bytes");
    }
    if q.top_n > limits.top_n.unwrap_or(u64::MAX) {
        over.push("top_n");
    }
    if limits.return_documents == Some(false) && q.return_documents {
        over.push("return_documents");
    }
    if q.parameters.iter().any(|name| limits.parameters.as_ref().is_some_and(|list| !list.contains(name))) {
        over.push("parameters");
    }
    over
}

/// Whether the texts of a call have to be read for a rule.
fn is_read(rule: &Rule) -> bool {
    rule.when.as_ref().is_some_and(|when| when.pii.is_some() || when.terms.is_some())
}

/// Whether a rule's condition holds, said for claims that are text and hours of whole UTC days.
fn holds(rule: &Rule, unknown: bool, q: &Question<'_>) -> Result<(), &'static str> {
    let Some(when) = &rule.when else { return Ok(()) };
    let facts = q.facts;
    if when.documents_above.is_some_and(|most| q.documents <= most)
        || when.query_bytes_above.is_some_and(|most| q.query_bytes <= most)
        || when.document_bytes_above.is_some_and(|most| q.document_bytes <= most)
        || when.top_n_above.is_some_and(|most| q.top_n <= most)
        || when.pii.as_ref().is_some_and(|kinds| !facts.has_kind(kinds))
        || when.terms.as_ref().is_some_and(|terms| !facts.has_term(terms))
        || when.first_use.is_some_and(|of| !facts.is_first_use(of))
        || when.calls_per_minute_above.is_some_and(|most| facts.calls_this_minute().unwrap() <= most)
        || when.documents_per_minute_above.is_some_and(|most| facts.documents_this_minute().unwrap() <= most)
    {
        return Err("the call");
    }
    if let Some(hours) = &when.hours {
        let today = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][(q.now.0 / 86_400_000 % 7) as usize];
        if !hours.days.as_ref().unwrap().iter().any(|day| day == today) {
            return Err("hours");
        }
    }
    for (claim, values) in &when.claims {
        let holds = q.claims.all().get(claim).map_or(unknown, |value| values.iter().any(|one| value == one.as_str()));
        if !holds {
            return Err("claims");
        }
    }
    Ok(())
}

/// How exactly `list` names `name`: whole names first, then by letters.
fn exactness(list: &Option<Vec<String>>, declared: &BTreeMap<String, Named>, name: &str) -> (bool, usize) {
    let Some(list) = list else { return (false, 0) };
    let exact = |pattern: &&str| (!pattern.contains('*'), pattern.chars().filter(|c| *c != '*').count());
    opened(list, declared).into_iter().filter(|pattern| glob(pattern, name)).map(|p| exact(&p)).max().unwrap()
}

struct Plain {
    effect: Effect,
    reason: Reason,
    rules: Vec<String>,
    near_misses: Vec<(String, String)>,
    risk: u32,
    limits: Limits,
    masks: BTreeSet<String>,
    force: Force,
    request_masks: BTreeSet<String>,
    credential: Option<String>,
    approvals: BTreeSet<String>,
}

fn plain_deny(reason: Reason, rules: Vec<String>, near_misses: Vec<(String, String)>) -> Plain {
    Plain {
        effect: Effect::Deny,
        reason,
        rules,
        near_misses,
        risk: 0,
        limits: Limits::default(),
        masks: BTreeSet::new(),
        force: Force::default(),
        request_masks: BTreeSet::new(),
        credential: None,
        approvals: BTreeSet::new(),
    }
}

/// The decision with the rules whose mode `counts`.
fn decide(bundle: &Bundle, q: &Question<'_>, counts: impl Fn(Mode) -> bool) -> Plain {
    if bundle.bundle.not_after.is_some_and(|end| end <= q.now) {
        return plain_deny(Reason::BundleExpired, Vec::new(), Vec::new());
    }
    let mut rules: Vec<&Rule> = bundle.rules.iter().filter(|rule| counts(rule.mode)).collect();
    rules.sort_by_key(|rule| &rule.id);
    let matching = |selectors: &Option<Selectors>, is_allow| {
        selectors.as_ref().is_some_and(|selectors| unmet(bundle, selectors, is_allow, q).is_empty())
    };
    let ids = |rules: &[&Rule]| rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    // Texts are read only for a call that an allow lets through, and that nothing denies for anything else.
    let grants = |rule: &&&Rule| {
        matching(&rule.allow, true)
            && holds(rule, false, q).is_ok()
            && over(rule.limits.as_ref(), q).is_empty()
            && rule.expires.is_none_or(|end| end > q.now)
    };
    let denies = |rule: &&&Rule| matching(&rule.deny, false) && holds(rule, true, q).is_ok();
    let is_denied = rules.iter().filter(|rule| !is_read(rule)).any(|rule| denies(&rule));
    if is_denied || rules.iter().find(grants).is_none() {
        rules.retain(|rule| !is_read(rule));
    }
    let denies: Vec<&Rule> = rules.iter().filter(denies).copied().collect();
    if !denies.is_empty() {
        return plain_deny(Reason::DeniedByRule, ids(&denies), Vec::new());
    }
    let mut near_misses = Vec::new();
    let mut granting = Vec::new();
    for rule in rules.iter().copied().filter(|rule| matching(&rule.allow, true)) {
        let mut misses: Vec<&str> = over(rule.limits.as_ref(), q);
        if let Err(unmet) = holds(rule, false, q) {
            misses.insert(0, unmet);
        }
        if rule.expires.is_some_and(|end| end <= q.now) {
            misses.insert(0, "expires");
        }
        if misses.is_empty() {
            granting.push(rule);
        }
        near_misses.extend(misses.into_iter().map(|miss| (rule.id.clone(), miss.to_owned())));
    }
    near_misses.truncate(8);
    let guards: Vec<&Rule> =
        rules.iter().copied().filter(|rule| matching(&rule.guard, false) && holds(rule, true, q).is_ok()).collect();
    let labelled = |allow: &Selectors| {
        let labels = allow.labels.as_ref()?;
        let has = |named: &Named| named.labels.iter().any(|label| labels.contains(label));
        Some(bundle.datasets.iter().filter(|(_, named)| has(named)).map(|(name, _)| name.clone()).collect())
    };
    let exact = |rule: &Rule| {
        let allow = rule.allow.as_ref().unwrap();
        (
            exactness(&allow.datasets.clone().or(labelled(allow)), &bundle.datasets, q.dataset),
            exactness(&allow.models, &bundle.models, q.model),
            q.tenant.map_or((false, 0), |tenant| exactness(&allow.tenants, &BTreeMap::new(), tenant)),
            rule.precedence.unwrap_or(0),
        )
    };
    // `max_by_key` takes the last of equals, and the first by id is wanted.
    let Some(chosen) = granting.iter().rev().copied().max_by_key(|rule| exact(rule)) else {
        for rule in rules.iter().filter(|rule| rule.allow.is_some()) {
            if let [one] = unmet(bundle, rule.allow.as_ref().unwrap(), true, q)[..] {
                near_misses.push((rule.id.clone(), format!("{one:?}").to_lowercase()));
            }
        }
        near_misses.truncate(8);
        return plain_deny(Reason::NoRule, Vec::new(), near_misses);
    };
    let strict: Vec<&Rule> = guards.iter().copied().filter(|rule| !over(rule.limits.as_ref(), q).is_empty()).collect();
    if !strict.is_empty() {
        return plain_deny(Reason::LimitExceeded, ids(&strict), near_misses);
    }
    let risk = guards.iter().map(|rule| rule.risk.unwrap_or(0)).sum();
    let denying = |rule: &&&Rule| {
        rule.require.as_ref().and_then(|require| require.deny_when_risk_at_least).is_some_and(|most| risk >= most)
    };
    let denying: Vec<&Rule> = guards.iter().filter(denying).copied().collect();
    if !denying.is_empty() {
        return Plain { risk, ..plain_deny(Reason::RiskTooHigh, ids(&denying), near_misses) };
    }
    let requires: Vec<&Require> = guards.iter().filter_map(|rule| rule.require.as_ref()).collect();
    let approvals: BTreeSet<String> = requires
        .iter()
        .filter(|require| risk >= require.when_risk_at_least.unwrap_or(0))
        .filter_map(|require| require.approval.clone())
        .collect();
    let mut said = guards.clone();
    said.push(chosen);
    said.sort_by_key(|rule| &rule.id);
    let least = |limit: fn(&Limits) -> Option<u64>| said.iter().filter_map(|rule| limit(rule.limits.as_ref()?)).min();
    Plain {
        effect: if approvals.is_empty() { Effect::Allow } else { Effect::Ask },
        reason: if approvals.is_empty() { Reason::Granted } else { Reason::ApprovalRequired },
        rules: ids(&said),
        near_misses,
        risk,
        limits: Limits {
            documents: least(|limits| limits.documents),
            query_bytes: least(|limits| limits.query_bytes),
            document_bytes: least(|limits| limits.document_bytes),
            top_n: least(|limits| limits.top_n),
            return_documents: said.iter().find_map(|rule| rule.limits.as_ref()?.return_documents),
            parameters: ["p", "q"].iter().fold(None, |kept: Option<Vec<String>>, name| {
                let lists: Vec<_> = said.iter().filter_map(|rule| rule.limits.as_ref()?.parameters.as_ref()).collect();
                let everywhere = lists.iter().all(|list| list.iter().any(|listed| listed == name));
                let mut kept = if lists.is_empty() { return None } else { kept.unwrap_or_default() };
                kept.extend(everywhere.then(|| (*name).to_owned()));
                Some(kept)
            }),
        },
        masks: requires.iter().flat_map(|require| require.masks.clone()).collect(),
        force: Force {
            return_documents: requires.iter().find_map(|require| require.force.return_documents),
            top_n: requires.iter().filter_map(|require| require.force.top_n).min(),
        },
        request_masks: requires.iter().flat_map(|require| require.request_masks.clone()).collect(),
        credential: chosen.credential.clone(),
        approvals,
    }
}

fn texts<'a>(names: impl IntoIterator<Item = &'a Rc<str>>) -> Vec<String> {
    names.into_iter().map(|name| name.to_string()).collect()
}

fn policy(bundle: &Bundle) -> Policy {
    Policy::compile(bundle.clone(), "test".to_owned()).unwrap_or_else(|flaws| panic!("{flaws:#?}"))
}

// ---- Bundles and calls that meet each other often.

fn pick(from: &'static [&'static str], most: usize) -> BoxedStrategy<Vec<String>> {
    let all: Vec<String> = from.iter().map(|&text| text.to_owned()).collect();
    proptest::sample::subsequence(all, 1..=most).boxed()
}

const ALIASES: &[&str] = &["a", "b", "both", "other"];
const MODELS: &[&str] = &["m-1", "m-2", "m-*", "*", "*-2"];
const DATASETS: &[&str] = &["hr", "web", "web-*", "*", "*-docs", "hr-*"];
const TENANTS: &[&str] = &["t1", "t*", "t2"];

fn selectors(is_allow: bool) -> impl Strategy<Value = Selectors> {
    let sometimes = if is_allow { 1.0 } else { 0.6 };
    let maybe = |chance: f64, list: BoxedStrategy<Vec<String>>| {
        if chance < 1.0 { proptest::option::weighted(chance, list).boxed() } else { list.prop_map(Some).boxed() }
    };
    (
        maybe(sometimes, pick(ALIASES, 2)),
        maybe(sometimes, pick(MODELS, 2)),
        (maybe(sometimes, pick(DATASETS, 3)), proptest::option::weighted(0.2, pick(&["secret", "open"], 2))),
        maybe(0.3, pick(TENANTS, 2)),
        maybe(sometimes, pick(&["rerank"], 1)),
    )
        .prop_map(|(groups, models, (datasets, labels), tenants, operations)| Selectors {
            groups,
            models,
            datasets: datasets.filter(|_| labels.is_none()),
            labels,
            tenants,
            operations,
        })
}

fn limits() -> impl Strategy<Value = Option<Limits>> {
    let maybe = || proptest::option::weighted(0.3, 1u64..4);
    let parameters = proptest::sample::subsequence(vec!["p".to_owned(), "q".to_owned()], 0..=2);
    let returns = (proptest::option::weighted(0.2, Just(false)), proptest::option::weighted(0.2, parameters));
    let limits = (maybe(), maybe(), maybe(), maybe(), returns).prop_map(
        |(documents, query_bytes, document_bytes, top_n, (return_documents, parameters))| Limits {
            documents,
            query_bytes,
            document_bytes,
            top_n,
            return_documents,
            parameters,
        },
    );
    limits.prop_map(|limits| (limits != Limits::default()).then_some(limits))
}

fn bare(id: String, mode: Mode) -> Rule {
    Rule {
        id,
        mode,
        deny: None,
        guard: None,
        allow: None,
        when: None,
        require: None,
        limits: None,
        risk: None,
        credential: None,
        precedence: None,
        expires: None,
        owner: None,
        description: None,
    }
}

fn when() -> impl Strategy<Value = Option<When>> {
    let claim = || proptest::option::weighted(0.4, pick(&["x", "y"], 2));
    let days = proptest::option::weighted(0.4, pick(&["thu", "fri", "sat"], 3));
    let when = (claim(), claim(), days).prop_map(|(one, two, days)| When {
        claims: [("one".to_owned(), one), ("two".to_owned(), two)]
            .into_iter()
            .filter_map(|(name, values)| Some((name, values?)))
            .collect(),
        hours: days.map(|days| Hours { days: Some(days), from: None, to: None, offset: None }),
        ..When::default()
    });
    proptest::option::weighted(0.3, when).prop_map(|when| when.filter(|when| *when != When::default()))
}

/// A rule without an id yet.
fn rule() -> impl Strategy<Value = Rule> {
    (unconditional(), when(), proptest::option::weighted(0.3, signals())).prop_map(|(rule, when, signals)| {
        let when = match signals.filter(|_| rule.allow.is_none()) {
            Some(signals) => Some(When {
                claims: when.as_ref().map(|when| when.claims.clone()).unwrap_or_default(),
                hours: when.and_then(|when| when.hours),
                ..signals
            }),
            None => when,
        };
        Rule { when: when.filter(|when| *when != When::default()), ..rule }
    })
}

/// Some of what only denies and guards may ask of a call.
fn signals() -> impl Strategy<Value = When> {
    let size = || proptest::option::weighted(0.2, 0u64..3);
    let kinds = proptest::sample::subsequence(vec![mask::Kind::Email, mask::Kind::Iban], 1..=2);
    let novelty = prop_oneof![Just(Novelty::Model), Just(Novelty::Dataset)];
    (
        (size(), size(), size(), size()),
        proptest::option::weighted(0.3, kinds),
        proptest::option::weighted(0.2, pick(&["falcon", "Eagle"], 2)),
        proptest::option::weighted(0.3, novelty),
        (size(), size()),
    )
        .prop_map(|(sizes, pii, terms, first_use, (calls, documents))| When {
            documents_above: sizes.0,
            query_bytes_above: sizes.1,
            document_bytes_above: sizes.2,
            top_n_above: sizes.3,
            pii,
            terms: terms.map(|terms| terms.iter().map(|term| term.to_lowercase()).collect()),
            first_use,
            calls_per_minute_above: calls,
            documents_per_minute_above: documents,
            ..When::default()
        })
}

fn stated() -> impl Strategy<Value = Stated> {
    let novelty = proptest::sample::subsequence(vec![Novelty::Model, Novelty::Dataset], 0..=2);
    let kinds = proptest::sample::subsequence(vec![mask::Kind::Email, mask::Kind::Iban], 0..=2);
    (kinds, proptest::option::of(pick(&["falcon", "Eagle"], 2)), novelty, 0u64..4, 0u64..4).prop_map(
        |(pii, terms, first_use, calls_per_minute, documents_per_minute)| Stated {
            pii,
            terms: terms.unwrap_or_default(),
            first_use,
            calls_per_minute,
            documents_per_minute,
        },
    )
}

fn unconditional() -> impl Strategy<Value = Rule> {
    let mode = || prop_oneof![4 => Just(Mode::Enforce), 1 => Just(Mode::Shadow)];
    let deny = (selectors(false), mode())
        .prop_map(|(selectors, mode)| Rule { deny: Some(selectors), ..bare(String::new(), mode) });
    let require = (
        proptest::option::of(prop_oneof![Just("desk".to_owned()), Just("board".to_owned())]),
        proptest::option::of(1u32..40),
        proptest::sample::subsequence(vec!["pii".to_owned(), "cards".to_owned()], 0..=2),
        proptest::sample::subsequence(vec!["pii".to_owned(), "cards".to_owned()], 0..=2),
        proptest::option::weighted(0.3, 20u32..60),
        (proptest::option::weighted(0.2, Just(false)), proptest::option::weighted(0.2, 1u64..4))
            .prop_map(|(return_documents, top_n)| Force { return_documents, top_n }),
    )
        .prop_map(|(approval, threshold, masks, request_masks, deny_when_risk_at_least, force)| Require {
            deny_when_risk_at_least,
            force,
            when_risk_at_least: threshold.filter(|_| approval.is_some()),
            approval,
            masks,
            request_masks,
        });
    let guard =
        (selectors(false), mode(), require, limits(), 1u32..30).prop_map(|(selectors, mode, require, limits, risk)| {
            Rule {
                guard: Some(selectors),
                require: Some(require),
                limits,
                risk: Some(risk),
                ..bare(String::new(), mode)
            }
        });
    // Allows of the same precedence have the same credential, so none tie.
    let expires = proptest::option::weighted(0.3, (1u64..4).prop_map(Time));
    let allow = (selectors(true), mode(), limits(), 0u32..4, expires).prop_map(
        |(selectors, mode, limits, precedence, expires)| Rule {
            allow: Some(selectors),
            limits,
            precedence: Some(precedence),
            credential: (precedence > 0).then(|| format!("c{precedence}")),
            expires,
            ..bare(String::new(), mode)
        },
    );
    prop_oneof![1 => deny, 3 => guard, 6 => allow]
}

fn bundle() -> impl Strategy<Value = Bundle> {
    let rules = proptest::collection::vec(rule(), 0..40);
    let not_after = proptest::option::weighted(0.1, (1u64..6).prop_map(Time));
    (rules, not_after).prop_map(|(mut rules, not_after)| {
        for (number, rule) in rules.iter_mut().enumerate() {
            // Ids whose order is not that of the rules.
            rule.id = format!("r{}", number * 7 % 41);
        }
        let risky = Selectors { datasets: Some(vec!["nowhere-*".to_owned()]), ..Selectors::default() };
        // Makes every threshold reachable.
        rules.push(Rule { guard: Some(risky), risk: Some(100), ..bare("risky".to_owned(), Mode::Enforce) });
        with_rules(rules, not_after)
    })
}

fn with_rules(rules: Vec<Rule>, not_after: Option<Time>) -> Bundle {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let group = |alias: &str, groups: &[&str]| (alias.to_owned(), texts(groups));
    let named = |name: &str, patterns: Option<&[&str]>, labels: &[&str]| {
        (name.to_owned(), Named { patterns: patterns.map(texts), labels: texts(labels) })
    };
    let approval =
        |name: &str| (name.to_owned(), ApprovalTerms { groups: texts(&["leads"]), min: 2, ttl: Span::from_secs(60) });
    let mask = |name: &str| (name.to_owned(), mask::Rule::detecting(&[mask::Kind::Email], "x"));
    Bundle {
        schema: SCHEMA.to_owned(),
        bundle: Identity { id: "test".to_owned(), serial: 1, not_after },
        groups: [group("a", &["ga"]), group("b", &["gb"]), group("both", &["ga", "gb"]), group("other", &["gc"])]
            .into(),
        models: BTreeMap::new(),
        datasets: [named("hr", Some(&["hr-*", "people"]), &["secret"]), named("web", None, &["open", "other"])].into(),
        credentials: ["c1", "c2", "c3"].map(|name| (name.to_owned(), Credential {})).into(),
        masks: [mask("pii"), mask("cards")].into(),
        approvals: [approval("desk"), approval("board")].into(),
        rules,
        tests: Vec::new(),
    }
}

fn request() -> impl Strategy<Value = Request> {
    let one = |from: &'static [&'static str]| proptest::sample::select(from).prop_map(str::to_owned);
    let size = || 0u64..5;
    (
        proptest::sample::subsequence(vec!["ga".to_owned(), "gb".to_owned(), "gc".to_owned(), "gd".to_owned()], 0..=3),
        one(&["m-1", "m-2", "x-2", "other"]),
        one(&["hr-reviews", "people", "web", "web-docs", "else"]),
        proptest::option::of(one(&["t1", "t2", "u1"])),
        prop_oneof![9 => Just("rerank".to_owned()), 1 => Just("embed".to_owned())],
        (size(), size(), size(), proptest::option::of(size()), any::<bool>(), size(), 0u64..3),
        (
            proptest::sample::subsequence(vec!["p".to_owned(), "q".to_owned(), "r".to_owned()], 0..=1),
            proptest::sample::subsequence(vec!["one", "two"], 0..=2),
            one(&["x", "y", "z"]),
            stated(),
        ),
    )
        .prop_map(|(groups, model, dataset, tenant, operation, sizes, (parameters, claims, value, signals))| {
            let (documents, query_bytes, document_bytes, top_n, return_documents, at, day) = sizes;
            Request {
                sub: "ann".to_owned(),
                iss: "https://idp.example".to_owned(),
                groups,
                model,
                dataset,
                tenant,
                operation,
                documents,
                query_bytes,
                document_bytes,
                top_n,
                return_documents,
                parameters,
                claims: claims.into_iter().map(|name| (name.to_owned(), value.as_str().into())).collect(),
                signals,
                at: Time(at + day * 86_400_000 * (at % 2)),
            }
        })
}

/// What a caller could gain: never less strict, and no obligation lost unless denied altogether.
fn no_wider(before: &Decision, after: &Decision) -> bool {
    let kept = |before: &[Rc<str>], after: &[Rc<str>]| before.iter().all(|name| after.contains(name));
    after.effect == Effect::Deny
        || (after.effect >= before.effect
            && after.risk >= before.risk
            && after.force == after.force.and(before.force)
            && kept(&before.masks, &after.masks)
            && kept(&before.request_masks, &after.request_masks)
            && kept(&before.approvals, &after.approvals))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_index_decides_as_the_plain_scan_does(bundle in bundle(), requests in proptest::collection::vec(request(), 8)) {
        let policy = policy(&bundle);
        for request in &requests {
            let (decision, q) = (policy.decide(&request.question()), request.question());
            let plain = decide(&bundle, &q, |mode| mode == Mode::Enforce);
            prop_assert_eq!(decision.effect, plain.effect);
            prop_assert_eq!(decision.reason, plain.reason);
            prop_assert_eq!(texts(&decision.rules), plain.rules);
            let near: Vec<(String, String)> =
                decision.near_misses.iter().map(|miss| (miss.rule.to_string(), miss.what.to_string())).collect();
            prop_assert_eq!(near, plain.near_misses);
            prop_assert_eq!(decision.risk, plain.risk);
            prop_assert_eq!(decision.reasons.iter().map(|(_, points)| points).sum::<u32>(), plain.risk);
            prop_assert_eq!(decision.limits, plain.limits);
            prop_assert_eq!(decision.force, plain.force);
            prop_assert_eq!(texts(&decision.masks), plain.masks.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(texts(&decision.request_masks), plain.request_masks.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(decision.credential.as_ref().map(|name| name.to_string()), plain.credential);
            prop_assert_eq!(texts(&decision.approvals), plain.approvals.into_iter().collect::<Vec<_>>());
            if let Some(shadow) = &decision.shadow {
                prop_assert_eq!(shadow.effect, decide(&bundle, &q, |_| true).effect);
            } else if plain.reason != Reason::BundleExpired {
                prop_assert_eq!(decide(&bundle, &q, |_| true).effect, plain.effect);
            }
        }
    }

    #[test]
    fn the_order_of_rules_means_nothing(bundle in bundle(), request in request(), turn in 0usize..40) {
        let mut turned = bundle.clone();
        turned.rules.rotate_left(turn % bundle.rules.len());
        let mut reversed = bundle.clone();
        reversed.rules.reverse();
        let decision = policy(&bundle).decide(&request.question());
        prop_assert_eq!(&policy(&turned).decide(&request.question()), &decision);
        prop_assert_eq!(&policy(&reversed).decide(&request.question()), &decision);
    }

    #[test]
    fn adding_a_deny_or_a_guard_never_widens(bundle in bundle(), more in rule(), request in request()) {
        prop_assume!(more.allow.is_none());
        let before = policy(&bundle).decide(&request.question());
        let mut tighter = bundle;
        tighter.rules.push(Rule { id: "more".to_owned(), ..more });
        prop_assert!(no_wider(&before, &policy(&tighter).decide(&request.question())));
    }

    #[test]
    fn removing_an_allow_never_widens(bundle in bundle(), request in request()) {
        let before = policy(&bundle).decide(&request.question());
        for at in 0..bundle.rules.len() {
            if bundle.rules[at].allow.is_some() {
                let mut fewer = bundle.clone();
                fewer.rules.remove(at);
                prop_assert!(no_wider(&before, &policy(&fewer).decide(&request.question())));
            }
        }
    }

    #[test]
    fn shadow_rules_never_change_the_outcome(bundle in bundle(), request in request()) {
        let mut without = bundle.clone();
        without.rules.retain(|rule| rule.mode == Mode::Enforce);
        let with = policy(&bundle).decide(&request.question());
        prop_assert_eq!(Decision { shadow: None, ..with }, policy(&without).decide(&request.question()));
    }
}

/// Enough rules that sets are kept and searched in each way there is.
#[test]
fn many_rules_are_decided_as_the_plain_scan_does() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut sample = |strategy: &dyn Fn() -> BoxedStrategy<Rule>| {
        use proptest::strategy::ValueTree;
        strategy().new_tree(&mut runner).unwrap().current()
    };
    let rules: Vec<Rule> = (0..1500)
        .map(|number| {
            let mut rule = Rule { id: format!("r{number}"), ..sample(&|| rule().boxed()) };
            // Most are about one group of their own and few about the common ones, or every call would be denied.
            let selectors = [&mut rule.deny, &mut rule.guard, &mut rule.allow].into_iter().flatten().next().unwrap();
            if number % 10 > 0 || selectors.groups.is_none() {
                selectors.groups = Some(vec![format!("own{}", number % 300)]);
            }
            rule
        })
        .collect();
    let mut bundle = with_rules(rules, None);
    bundle.groups.extend((0..300).map(|number| (format!("own{number}"), vec![format!("grp{number}")])));
    bundle.rules.push(Rule {
        guard: Some(Selectors { datasets: Some(vec!["nowhere-*".to_owned()]), ..Selectors::default() }),
        risk: Some(100),
        ..bare("risky".to_owned(), Mode::Enforce)
    });
    let policy = policy(&bundle);
    let mut effects = BTreeSet::new();
    for number in 0..300 {
        use proptest::strategy::ValueTree;
        let mut request = request().new_tree(&mut runner).unwrap().current();
        request.groups = (0..number % 9).map(|more| format!("grp{}", (number + more * 17) % 300)).collect();
        if number % 50 == 0 {
            request.groups = (0..300).map(|number| format!("grp{number}")).collect();
        }
        let decision = policy.decide(&request.question());
        let plain = decide(&bundle, &request.question(), |mode| mode == Mode::Enforce);
        assert_eq!((decision.effect, texts(&decision.rules)), (plain.effect, plain.rules));
        assert_eq!(decision.credential.as_deref(), plain.credential.as_deref());
        let near = decision.near_misses.iter().map(|miss| (miss.rule.to_string(), miss.what.to_string()));
        assert_eq!(near.collect::<Vec<_>>(), plain.near_misses);
        effects.insert(decision.effect);
    }
    assert_eq!(effects.len(), 3, "calls of all outcomes must be among those tried: {effects:?}");
}
